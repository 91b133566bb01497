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

TEST(ollama_reads_how_long_a_model_is_kept) {
    static const struct {
        const char *said;
        int64_t ms;
    } rows[] = {{"\"5m\"", 300000},
                {"\"1h30m\"", 5400000},
                {"\"300ms\"", 300},
                {"0", 0},
                {"\"0\"", 0},
                {"\"0s\"", 0},
                {"90", 90000},
                {"1.5", 1500},
                {"-1", KEEP_FOREVER},
                {"-0.5", KEEP_FOREVER},
                {"\"-1m\"", KEEP_FOREVER},
                {"null", KEEP_UNSET},
                {"1e300", 31536000000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        arena_init(&a, 1 << 20, 0);
        char *talk = arena_printf(&a, "{\"model\":\"m\",\"messages\":[],\"keep_alive\":%s}", rows[i].said);
        char *embed = arena_printf(&a, "{\"model\":\"m\",\"input\":\"x\",\"keep_alive\":%s}", rows[i].said);
        const struct request *spoken = read_ok(&a, OP_CHAT, talk), *vectors = read_ok(&a, OP_EMBED, embed);
        if (!spoken || !vectors)
            FAIL("%s is refused", rows[i].said);
        CHECK_EQ(spoken->keep_ms, rows[i].ms);
        CHECK_EQ(vectors->keep_ms, rows[i].ms);
        arena_done(&a);
    }
}

TEST(ollama_refuses_wrong_types_by_path) {
    static const struct {
        const char *body, *path;
    } rows[] = {{"{\"model\":1}", "model"},
                {"{\"model\":\"m\",\"messages\":3}", "messages"},
                {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"images\":[\"%%\"]}]}", "messages[0].images[0]"},
                {"{\"model\":\"m\",\"messages\":[{\"role\":\"x\"}]}", "messages[0].role"},
                {"{\"model\":\"m\",\"options\":{\"temperature\":\"hot\"}}", "options.temperature"},
                {"{\"model\":\"m\",\"keep_alive\":true}", "keep_alive"},
                {"{\"model\":\"m\",\"keep_alive\":\"-1\"}", "keep_alive"},
                {"{\"model\":\"m\",\"keep_alive\":\"5 apples\"}", "keep_alive"}};
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

// ---- what is special to this wire

static const struct write_options as_is = {.max_tokens = -1, .stream = -1};

TEST(ollama_results_find_the_call_they_name) {
    struct arena a;
    arena_init(&a, 1 << 20, 0);
    struct request *r = read_ok(
        &a, OP_CHAT,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}},"
        "{\"function\":{\"name\":\"g\",\"arguments\":{}}},{\"id\":\"own\",\"function\":{\"name\":\"g\"}}]},"
        "{\"role\":\"tool\",\"tool_name\":\"g\",\"content\":\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"own\"},"
        "{\"role\":\"tool\",\"content\":\"2\"},{\"role\":\"tool\",\"content\":\"3\"}]}");
    CHECK(r != NULL);
    static const char *const ids[] = {"call_1", "own", "call_0", "call_2"};
    const struct message *m = r->messages->next;
    for (size_t i = 0; i < 4; i++, m = m->next)
        CHECK(slice_is(m->parts->id, ids[i]));
    arena_done(&a);
}

TEST(ollama_bound_keeps_the_other_options) {
    struct arena a;
    struct wire_request wire;
    struct problem p = PROBLEM(ERR_OK);
    struct write_options o = as_is;
    arena_init(&a, 1 << 20, 0);
    struct request *r = read_ok(&a, OP_CHAT,
                                "{\"model\":\"m\",\"options\":{\"mirostat\":1,\"num_predict\":-1,\"top_k\":2},"
                                "\"messages\":[],\"template\":\"T\"}");
    CHECK(r != NULL);
    CHECK_EQ(r->n_unmodelled, 2);
    CHECK_EQ(r->max_tokens, -1);
    o.max_tokens = 9;
    o.model = SLICE("n");
    CHECK_EQ(dialect_ollama.write_request(&a, r, &o, &wire, &p), ERR_OK);
    CHECK(slice_is(wire.body, "{\"model\":\"n\",\"options\":{\"mirostat\":1,\"top_k\":2,\"num_predict\":9},"
                              "\"messages\":[],\"template\":\"T\"}"));
    arena_done(&a);
}

TEST(ollama_generate_survives_both_ways) {
    static const char body[] = "{\"model\":\"m\",\"prompt\":\"p\",\"suffix\":\"s\",\"system\":\"S\",\"raw\":true,"
                               "\"images\":[\"iVBORw0KGgo=\"],\"think\":\"max\",\"stream\":false}";
    struct arena a;
    struct wire_request wire;
    struct problem p = PROBLEM(ERR_OK);
    const char *where = "";
    arena_init(&a, 1 << 20, 0);
    struct request *r = read_ok(&a, OP_GENERATE, body);
    CHECK(r != NULL);
    CHECK(r->has_images && r->raw);
    request_erase_sources(r);
    CHECK_EQ(dialect_ollama.write_request(&a, r, &as_is, &wire, &p), ERR_OK);
    CHECK_STREQ(wire.path, "/api/generate");
    struct request *again = read_ok(&a, OP_GENERATE, arena_cstr(&a, wire.body));
    CHECK(again != NULL);
    CHECK(request_equal(r, again, &where));
    arena_done(&a);
}

TEST(ollama_refuses_to_count_tokens) {
    struct arena a;
    struct wire_request wire;
    struct problem p = PROBLEM(ERR_OK);
    struct request r;
    arena_init(&a, 1 << 20, 0);
    request_init(&r);
    r.op = OP_COUNT_TOKENS;
    CHECK_EQ(dialect_ollama.write_request(&a, &r, &as_is, &wire, &p), ERR_UNSUPPORTED);
    CHECK_EQ(p.err, ERR_UNSUPPORTED);
    arena_done(&a);
}

// Writes these events; the text is in the arena.
static struct slice written(struct arena *a, struct request *r, const struct event *events, size_t n) {
    struct buf out = BUF_INIT(1 << 20);
    struct identity who = {SLICE("id"), SLICE("m"), 1700000000};
    struct stream_writer *w = dialect_ollama.writer_new(a, r, &who);
    for (size_t i = 0; i < n && w; i++)
        if (dialect_ollama.writer_event(w, &events[i], &out))
            break;
    struct slice s = arena_copy(a, buf_slice(&out));
    buf_done(&out);
    return s;
}

TEST(ollama_says_load_and_unload) {
    static const struct event events[] = {
        {.kind = EV_START}, {.kind = EV_FINISH, .finish = FINISH_LOAD}, {.kind = EV_END}};
    static const struct {
        int64_t keep_ms;
        const char *reason;
    } rows[] = {
        {KEEP_UNSET, "\"load\"}\n"}, {300000, "\"load\"}\n"}, {KEEP_FOREVER, "\"load\"}\n"}, {0, "\"unload\"}\n"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        struct request r;
        arena_init(&a, 1 << 20, 0);
        request_init(&r);
        r.keep_ms = rows[i].keep_ms;
        bool fine = slice_ends(written(&a, &r, events, 3), rows[i].reason);
        arena_done(&a);
        CHECK(fine);
    }
}

// Line breaks between the tokens of a model's arguments must not break the line; unknown counts are not zero.
TEST(ollama_lines_are_lines) {
    static const struct event events[] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_TOOL, .call_id = SLICE("c"), .name = SLICE("f")},
        {.kind = EV_DELTA, .block_kind = BLOCK_TOOL, .text = SLICE("{\n\"a\":")},
        {.kind = EV_DELTA, .block_kind = BLOCK_TOOL, .text = SLICE("\r\n1}")},
        {.kind = EV_BLOCK_END, .block_kind = BLOCK_TOOL},
        {.kind = EV_FINISH, .finish = FINISH_TOOL},
        {.kind = EV_USAGE, .usage = USAGE_NONE},
        {.kind = EV_END},
    };
    struct arena a;
    struct request r;
    struct answer answer;
    arena_init(&a, 1 << 20, 0);
    request_init(&r);
    struct slice out = written(&a, &r, events, sizeof events / sizeof events[0]);
    CHECK(slice_search(out, SLICE("eval_count")) == SIZE_MAX);
    CHECK(slice_search(out, SLICE("\"eval_duration\":1")) != SIZE_MAX);
    CHECK(answer_init(&answer, &a));
    struct event_sink sink = {to_answer, &answer};
    CHECK_EQ(read_lines(&a, out, &sink), ERR_OK);
    CHECK_EQ(answer.n_blocks, 1);
    CHECK_EQ(answer.choices[0].finish, FINISH_TOOL);
    arena_done(&a);
}

TEST(ollama_ids_differ_from_answer_to_answer) {
    static const char format[] =
        "{\"model\":\"m\",\"created_at\":\"%d\",\"message\":{\"role\":\"assistant\",\"content\":"
        "\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]},\"done\":true}";
    struct arena a;
    struct answer answers[2];
    arena_init(&a, 1 << 20, 0);
    for (int i = 0; i < 2; i++) {
        CHECK(answer_init(&answers[i], &a));
        struct event_sink sink = {to_answer, &answers[i]};
        struct slice body = slice_str(arena_printf(&a, format, i));
        CHECK_EQ(dialect_ollama.read_answer(&a, OP_CHAT, body, &sink), ERR_OK);
    }
    CHECK(answers[0].first->call_id.n > 0);
    CHECK(!slice_eq(answers[0].first->call_id, answers[1].first->call_id));
    arena_done(&a);
}

TEST(ollama_keeps_what_an_upstream_says_of_itself) {
    static const struct {
        int status;
        const char *body;
        enum err err;
        bool told;
    } rows[] = {
        {404, "{\"error\":\"model \\\"m\\\" not found, try pulling it first\"}", ERR_UP_NOT_FOUND, false},
        {400, "{\"error\":\"\\\"m\\\" does not support tools\"}", ERR_UP_REFUSED, true},
        {500, "{\"error\":\"llama runner process has terminated\"}", ERR_UP_INTERNAL, false},
        {503, "{\"error\":\"server busy, please try again\"}", ERR_UP_OVERLOADED, false},
        {502, "<html>", ERR_UP_INTERNAL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        struct problem p;
        arena_init(&a, 1 << 20, 0);
        dialect_ollama.read_error(&a, rows[i].status, slice_str(rows[i].body), 0, &p);
        bool told = p.message.n > 0, detailed = p.detail.n > 0;
        arena_done(&a);
        CHECK_EQ(p.err, rows[i].err);
        CHECK_EQ(told, rows[i].told);
        CHECK(detailed);
    }
}
