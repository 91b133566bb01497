// SPDX-License-Identifier: Apache-2.0
// Ollama's wire: requests are read and written back the same, streams come through the events unchanged in meaning,
// calls get ids, errors are texts.
#include "dialect/ollama.h"
#include "unit.h"

extern const struct dialect dialect_ollama;

static const char chat[] =
    "{\"model\":\"m:1\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"hi\","
    "\"images\":[\"iVBORw0KGgo=\"]},{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
    "\"arguments\":{\"a\":1}}}]},{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"42\"}],\"stream\":false,"
    "\"think\":\"low\",\"format\":{\"type\":\"object\"},\"options\":{\"temperature\":0.5,\"num_predict\":7,\"stop\":[\"x\"]},"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":\"object\"}}}]}";

static struct request *read_ok(struct arena *a, enum op op, const char *body) {
    struct request *r = NULL;
    struct problem p = PROBLEM(ERR_OK);
    enum err e = dialect_ollama.read_request(a, op, slice_str(body), &r, &p);
    return e ? NULL : r;
}

TEST(ollama_reads_a_chat_request) {
    struct arena a;
    arena_init(&a, 1 << 20, 0);
    struct request *r = read_ok(&a, OP_CHAT, chat);
    CHECK(r != NULL);
    CHECK(!r->stream);
    CHECK_EQ(r->max_tokens, 7);
    CHECK_EQ(r->think, THINK_LOW);
    CHECK_EQ(r->format, FORMAT_SCHEMA);
    CHECK(r->has_images);
    const struct message *m = r->messages->next->next;
    CHECK_EQ(m->parts->kind, PART_TOOL_CALL);
    CHECK(slice_is(m->parts->text, "{\"a\":1}"));
    CHECK(slice_eq(m->parts->id, m->next->parts->id));
    CHECK(slice_is(m->next->parts->content->text, "42"));
    arena_done(&a);
}

TEST(ollama_streams_unless_told_not_to) {
    struct arena a;
    arena_init(&a, 1 << 20, 0);
    struct request *r = read_ok(&a, OP_GENERATE, "{\"model\":\"m\",\"prompt\":\"p\",\"options\":{\"num_predict\":-1}}");
    CHECK(r != NULL && r->stream);
    CHECK_EQ(r->max_tokens, -1);
    arena_done(&a);
}

TEST(ollama_refuses_wrong_types_by_path) {
    static const struct {
        const char *body, *path;
    } rows[] = {{"{\"model\":1}", "model"},
                {"{\"model\":\"m\",\"messages\":3}", "messages"},
                {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"images\":[\"%%\"]}]}", "messages[0].images[0]"},
                {"{\"model\":\"m\",\"messages\":[{\"role\":\"x\"}]}", "messages[0].role"},
                {"{\"model\":\"m\",\"options\":{\"temperature\":\"hot\"}}", "options.temperature"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        struct request *r = NULL;
        struct problem p = PROBLEM(ERR_OK);
        arena_init(&a, 1 << 20, 0);
        CHECK(dialect_ollama.read_request(&a, OP_CHAT, slice_str(rows[i].body), &r, &p) != ERR_OK);
        CHECK_STREQ(arena_cstr(&a, p.param), rows[i].path);
        arena_done(&a);
    }
}

TEST(ollama_passes_its_own_bytes_and_writes_the_fields_the_same) {
    struct arena a;
    struct wire_request wire;
    struct problem p = PROBLEM(ERR_OK);
    const char *where = "";
    struct write_options o = {.model = SLICE("m:1"), .max_tokens = -1, .stream = -1};
    arena_init(&a, 1 << 22, 0);
    struct request *r = read_ok(&a, OP_CHAT, chat);
    CHECK_EQ(dialect_ollama.write_request(&a, r, &o, &wire, &p), ERR_OK);
    CHECK(wire.verbatim && slice_is(wire.body, chat));
    request_erase_sources(r);
    CHECK_EQ(dialect_ollama.write_request(&a, r, &o, &wire, &p), ERR_OK);
    CHECK(!wire.verbatim);
    struct request *again = read_ok(&a, OP_CHAT, arena_cstr(&a, wire.body));
    CHECK(again != NULL);
    CHECK(request_equal(r, again, &where));
    arena_done(&a);
}

struct both {
    struct answer answer;
    struct stream_writer *w;
    struct buf out;
};

static enum err to_both(void *ctx, const struct event *ev) {
    struct both *b = ctx;
    enum err e = answer_add(&b->answer, ev);
    return e ? e : dialect_ollama.writer_event(b->w, ev, &b->out);
}

static enum err to_answer(void *ctx, const struct event *ev) {
    return answer_add(ctx, ev);
}

static enum err read_lines(struct arena *a, struct slice lines, struct event_sink *sink) {
    struct stream_reader *r = dialect_ollama.reader_new(a, OP_CHAT);
    enum err e = r ? ERR_OK : ERR_NO_MEMORY;
    while (!e && lines.n) {
        struct slice line = slice_split(&lines, '\n');
        const struct frame f = {.data = line, .raw = line};
        e = dialect_ollama.reader_frame(r, &f, sink);
    }
    return e ? e : dialect_ollama.reader_finish(r, sink);
}

TEST(ollama_stream_written_again_means_the_same) {
    static const char lines[] =
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n"
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":false}\n"
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"b\"},\"done\":false}\n"
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
        "\"arguments\":{\"q\":\"\\\"\"}}}]},\"done\":false}\n"
        "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\","
        "\"prompt_eval_count\":5,\"eval_count\":6,\"eval_duration\":7000}\n";
    struct arena a;
    struct request *r;
    struct both b = {.out = BUF_INIT(1 << 20)};
    struct identity who = {SLICE("id"), SLICE("m"), 1700000000};
    struct answer again;
    arena_init(&a, 1 << 22, 0);
    r = read_ok(&a, OP_CHAT, chat);
    CHECK(answer_init(&b.answer, &a) && answer_init(&again, &a));
    b.w = dialect_ollama.writer_new(&a, r, &who);
    struct event_sink first = {to_both, &b}, second = {to_answer, &again};
    CHECK_EQ(read_lines(&a, slice_str(lines), &first), ERR_OK);
    CHECK_EQ(b.answer.n_blocks, 3);
    CHECK_EQ(b.answer.choices[0].finish, FINISH_TOOL);
    CHECK_EQ(b.answer.usage.input_tokens, 5);
    CHECK_EQ(read_lines(&a, buf_slice(&b.out), &second), ERR_OK);
    CHECK_EQ(again.n_blocks, 3);
    CHECK(slice_is(buf_slice(&again.first->next->text), "ab"));
    CHECK(slice_is(buf_slice(&again.first->next->next->text), "{\"q\":\"\\\"\"}"));
    CHECK_EQ(again.usage.output_tokens, 6);
    CHECK_EQ(again.usage.output_us, 7);
    arena_done(&a);
    buf_done(&b.out);
}

TEST(ollama_stream_without_its_end_is_a_death) {
    struct arena a;
    struct answer answer;
    arena_init(&a, 1 << 20, 0);
    CHECK(answer_init(&answer, &a));
    struct event_sink sink = {to_answer, &answer};
    CHECK_EQ(read_lines(&a, SLICE("{\"message\":{\"content\":\"a\"},\"done\":false}\n"), &sink), ERR_UP_DIED);
    arena_done(&a);
}
