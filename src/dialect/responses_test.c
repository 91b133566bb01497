// SPDX-License-Identifier: Apache-2.0
// What is special about OpenAI responses: state that is refused by name, items and how they gather into turns, the grammar
// of a stream, servers that leave parts of it out.
#include "base/limits.h"
#include "dialect/codec.h"
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;
static const struct dialect *d;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
    d = dialect_get(DIALECT_RESPONSES);
}

static struct request *read(const char *body, struct problem *p) {
    struct request *r = NULL;
    *p = PROBLEM(ERR_OK);
    return d->read_request(&arena, OP_CHAT, slice_str(body), &r, p) ? NULL : r;
}

static const char *written(const struct request *r, const struct dialect *by, struct wire_request *wire) {
    struct problem p = PROBLEM(ERR_OK);
    const struct write_options o = {.model = SLICE("up"), .max_tokens = -1, .stream = -1, .default_max_tokens = 9};
    return by->write_request(&arena, r, &o, wire, &p) ? NULL : arena_cstr(&arena, wire->body);
}

static bool noted(const struct wire_request *wire, const char *path) {
    for (const struct note *n = wire->notes.first; n; n = n->next)
        if (slice_is(n->path, path))
            return true;
    return false;
}

#define CHECK_SLICE(s, text) CHECK_STREQ(arena_cstr(&arena, (s)), (text))

// ---- requests

TEST(responses_state_is_refused_by_name) {
    static const struct {
        const char *member, *param;
        enum err err;
    } rows[] = {
        {"\"previous_response_id\":\"resp_1\"", "previous_response_id", ERR_UNSUPPORTED},
        {"\"background\":true", "background", ERR_UNSUPPORTED},
        {"\"conversation\":\"conv_1\"", "conversation", ERR_UNSUPPORTED},
        {"\"conversation\":{\"id\":\"conv_1\"}", "conversation", ERR_UNSUPPORTED},
        {"\"conversation\":7", "conversation", ERR_BAD_FIELD},
        {"\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]", "input[0].type", ERR_UNSUPPORTED},
        {"\"input\":[{\"id\":\"msg_1\"}]", "input[0].type", ERR_MISSING_FIELD},
        {"\"input\":[]", "input", ERR_BAD_FIELD},
        {"\"metadata\":{\"a\":1}", "metadata.a", ERR_BAD_FIELD},
        {"\"include\":[1]", "include[0]", ERR_BAD_FIELD},
        {"\"max_tool_calls\":1.5", "max_tool_calls", ERR_BAD_FIELD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem p;
        fresh();
        bool own_input = strstr(rows[i].member, "\"input\"") != NULL;
        const char *body =
            arena_printf(&arena, "{\"model\":\"m\",%s%s}", own_input ? "" : "\"input\":\"x\",", rows[i].member);
        CHECK(!read(body, &p));
        CHECK_EQ(p.err, rows[i].err);
        CHECK_SLICE(p.param, rows[i].param);
        CHECK(p.message.n > p.param.n);
    }
    struct problem p;
    CHECK(read(
        "{\"model\":\"m\",\"input\":\"x\",\"previous_response_id\":null,\"background\":false,\"conversation\":null}",
        &p));
    CHECK(!read("{\"model\":\"m\"}", &p) && p.err == ERR_MISSING_FIELD);
    fresh();
}

TEST(responses_are_never_stored) {
    static const char *const stores[] = {"", ",\"store\":true", ",\"store\":null", ",\"store\":false"};
    for (size_t i = 0; i < 4; i++) {
        struct problem p;
        struct wire_request wire;
        fresh();
        struct request *r = read(arena_printf(&arena, "{\"model\":\"up\",\"input\":\"x\"%s}", stores[i]), &p);
        CHECK(r != NULL);
        CHECK(strstr(written(r, d, &wire), "\"store\":false"));
        CHECK_EQ(noted(&wire, "store"), i < 2 || i == 2);
        CHECK(!strstr(written(r, dialect_get(DIALECT_OPENAI), &wire), "store"));
        CHECK_EQ(noted(&wire, "store"), i < 3);
    }
    fresh();
}

TEST(responses_items_gather_into_turns) {
    struct problem p;
    struct wire_request wire;
    fresh();
    struct request *r = read(responses_sample_requests[2], &p);
    CHECK(r != NULL);
    const struct message *m = r->messages->next;
    static const enum part_kind kinds[] = {PART_THINK, PART_TEXT, PART_TEXT, PART_TOOL_CALL, PART_TOOL_CALL};
    const struct part *part = m->parts;
    CHECK_EQ(m->role, ROLE_ASSISTANT);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++, part = part->next)
        CHECK(part && part->kind == kinds[i]);
    CHECK(!part && m->next->role == ROLE_TOOL && m->next->next->role == ROLE_TOOL);
    CHECK(strstr(written(r, dialect_get(DIALECT_OPENAI), &wire),
                 "\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"weather\","));
    CHECK(noted(&wire, "thinking") && noted(&wire, "signature"));
    fresh();
}

TEST(responses_keep_what_only_they_know) {
    static const char *const body =
        "{\"model\":\"m\",\"store\":false,\"service_tier\":\"flex\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
        "\"input_image\",\"file_id\":\"f1\"},{\"type\":\"input_text\",\"text\":\"x\"}]},{\"type\":\"web_search_call\",\"id\":"
        "\"ws_1\",\"status\":\"completed\"},{\"type\":\"custom_tool_call_output\",\"call_id\":\"c\",\"output\":\"o\"}],"
        "\"tools\":[{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"web_search\"},\"include\":[\"a.b\"],"
        "\"truncation\":\"auto\",\"text\":{\"verbosity\":\"low\"}}";
    struct problem p;
    struct wire_request wire;
    fresh();
    struct request *r = read(body, &p);
    CHECK(r != NULL);
    r->carried = true; // so that it is written from the fields
    const char *text = written(r, d, &wire);
    CHECK(!wire.verbatim);
    CHECK(strstr(text, "{\"type\":\"input_image\",\"file_id\":\"f1\"}"));
    CHECK(strstr(text, "{\"type\":\"web_search_call\",\"id\":\"ws_1\",\"status\":\"completed\"}"));
    CHECK(strstr(text, "\"type\":\"custom_tool_call_output\""));
    CHECK(strstr(text, "\"tools\":[{\"type\":\"web_search\"}]") && strstr(text, "\"service_tier\":\"flex\""));
    CHECK(strstr(text, "\"tool_choice\":{\"type\":\"web_search\"}") && strstr(text, "\"include\":[\"a.b\"]"));
    text = written(r, dialect_get(DIALECT_ANTHROPIC), &wire);
    CHECK(!strstr(text, "web_search") && !strstr(text, "f1"));
    static const char *const paths[] = {"service_tier",   "tool_choice", "include[0]", "truncation",
                                        "text.verbosity", "tools",       "content"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (!noted(&wire, paths[i]))
            FAIL("%s is not noted", paths[i]);
    fresh();
}

TEST(responses_are_written_for_other_clients) {
    struct problem p = PROBLEM(ERR_OK);
    struct wire_request wire;
    struct request *r;
    fresh();
    CHECK_EQ(
        dialect_get(DIALECT_OPENAI)
            ->read_request(
                &arena, OP_CHAT,
                SLICE(
                    "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\","
                    "\"content\":\"u\"},{\"role\":\"system\",\"content\":\"T\"}],\"tools\":[{\"type\":\"function\","
                    "\"function\":{\"name\":\"f\"}}],\"stop\":\"x\",\"seed\":1,\"n\":2,\"reasoning_effort\":\"high\"}"),
                &r, &p),
        ERR_OK);
    CHECK_STREQ(
        written(r, d, &wire),
        "{\"model\":\"up\",\"instructions\":\"S\",\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":\"u\"},"
        "{\"type\":\"message\",\"role\":\"system\",\"content\":\"T\"}],\"tools\":[{\"type\":\"function\",\"name\":\"f\","
        "\"parameters\":null,\"strict\":false}],\"reasoning\":{\"effort\":\"high\",\"summary\":\"auto\"},\"include\":["
        "\"reasoning.encrypted_content\"],\"store\":false}");
    CHECK_STREQ(wire.path, "/responses");
    CHECK(noted(&wire, "stop") && noted(&wire, "seed") && noted(&wire, "n"));
    fresh();
}

TEST(responses_count_tokens) {
    struct problem p = PROBLEM(ERR_OK);
    struct wire_request wire;
    struct request *r;
    struct answer answer;
    struct buf out = BUF_INIT(4096);
    fresh();
    struct event_sink sink = {sample_collect, &answer};
    CHECK_EQ(d->read_request(&arena, OP_COUNT_TOKENS, SLICE("{\"model\":\"m\",\"input\":\"x\"}"), &r, &p), ERR_OK);
    CHECK_STREQ(written(r, d, &wire), "{\"model\":\"up\",\"input\":\"x\"}");
    CHECK_STREQ(wire.path, "/responses/input_tokens");
    r->carried = true;
    CHECK(!strstr(written(r, d, &wire), "store"));
    CHECK(answer_init(&answer, &arena));
    CHECK_EQ(d->read_answer(&arena, OP_COUNT_TOKENS,
                            SLICE("{\"object\":\"response.input_tokens\",\"input_tokens\":11}"), &sink),
             ERR_OK);
    CHECK_EQ(answer.usage.input_tokens, 11);
    CHECK_EQ(d->write_answer(&arena, r, &answer, &sample_identity, &out), ERR_OK);
    CHECK_STREQ(buf_cstr(&out), "{\"object\":\"response.input_tokens\",\"input_tokens\":11}");
    buf_done(&out);
    fresh();
}

// ---- answers

static enum err collect(const char *stream, struct answer **ret) {
    struct answer *answer = ARENA_NEW(&arena, struct answer);
    struct event_sink sink = {sample_collect, answer};
    *ret = answer;
    return answer_init(answer, &arena) ? sample_read_stream(&arena, d, slice_str(stream), &sink) : ERR_NO_MEMORY;
}

static const struct answer_block *nth(const struct answer *a, unsigned n) {
    const struct answer_block *b = a->first;
    while (b && n--)
        b = b->next;
    return b;
}

#define DATA(json) "data: " json "\n\n"
#define DELTA(i, id, text)                                                                                        \
    DATA("{\"type\":\"response.output_text.delta\",\"output_index\":" #i ",\"content_index\":0,\"item_id\":\"" id \
         "\",\"delta\":\"" text "\"}")
#define END(status) DATA("{\"type\":\"response." status "\",\"response\":{\"status\":\"" status "\",\"output\":[]}}")

TEST(responses_streams_that_differ) {
    struct answer *a;
    fresh();
    // Another id in each event, and two items side by side.
    CHECK_EQ(
        collect(DELTA(0, "x1", "a") DELTA(1, "x2", "1") DELTA(0, "x3", "b") DELTA(1, "x4", "2") END("completed"), &a),
        ERR_OK);
    CHECK_SLICE(buf_slice(&nth(a, 0)->text), "ab");
    CHECK_SLICE(buf_slice(&nth(a, 1)->text), "12");
    // Everything only when it is done.
    CHECK_EQ(
        collect(
            DATA(
                "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\","
                "\"summary\":[{\"type\":\"summary_text\",\"text\":\"a\"},{\"type\":\"summary_text\",\"text\":\"b\"}]}}")
                DATA(
                    "{\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"message\",\"content\":["
                    "{\"type\":\"output_text\",\"text\":\"t\"},{\"type\":\"refusal\",\"refusal\":\"r\"}]}}")
                    DATA(
                        "{\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"type\":\"function_call\","
                        "\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}}") END("completed"),
            &a),
        ERR_OK);
    CHECK_SLICE(buf_slice(&nth(a, 0)->text), "a\n\nb");
    CHECK_EQ(nth(a, 1)->kind, BLOCK_TEXT);
    CHECK_EQ(nth(a, 2)->kind, BLOCK_REFUSAL);
    CHECK_SLICE(nth(a, 3)->call_id, "c");
    CHECK_EQ(a->choices[0].finish, FINISH_TOOL);
    // Reasoning that says nothing and is not signed is nothing.
    CHECK_EQ(
        collect(
            DATA(
                "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\","
                "\"summary\":[],\"encrypted_content\":null}}") END("completed"),
            &a),
        ERR_OK);
    CHECK_EQ(a->n_blocks, 0);
    // Items of other kinds keep their JSON.
    CHECK_EQ(
        collect(
            DATA(
                "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"web_search_call\",\"id\":\"w\"}}")
                END("completed"),
            &a),
        ERR_OK);
    CHECK_SLICE(a->first->opening, "{\"type\":\"web_search_call\",\"id\":\"w\"}");
    CHECK_SLICE(a->first->name, "responses:web_search_call");
    fresh();
}

TEST(responses_streams_that_fail) {
    struct answer *a;
    fresh();
    CHECK_EQ(collect(DELTA(0, "x", "a"), &a), ERR_UP_DIED);
    CHECK_EQ(
        collect(
            DATA(
                "{\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\","
                "\"message\":\"slow\"}}}"),
            &a),
        ERR_UP_RATE_LIMIT);
    CHECK_EQ(collect(DATA("{\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null}"), &a),
             ERR_UP_INTERNAL);
    CHECK_EQ(
        collect(DATA("{\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"x\"}"), &a),
        ERR_UP_PROTOCOL);
    CHECK_EQ(
        collect(
            DATA("{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"function_call\"}}"),
            &a),
        ERR_UP_PROTOCOL);
    CHECK_EQ(collect(DATA("{\"type\":\"response.completed\"}"), &a), ERR_UP_PROTOCOL);
    CHECK_EQ(collect(DATA("{\"type\":\"response.completed\",\"response\":{\"status\":\"queued\"}}"), &a),
             ERR_UP_PROTOCOL);
    CHECK_EQ(collect(DELTA(0, "x", "a")
                         DATA("{\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\","
                              "\"incomplete_details\":{\"reason\":\"content_filter\"}}}"),
                     &a),
             ERR_OK);
    CHECK_EQ(a->choices[0].finish, FINISH_FILTER);
    fresh();
}

TEST(responses_more_items_than_blocks_are_refused) {
    struct buf b = BUF_INIT(16 << 20);
    struct answer *a;
    fresh();
    for (int i = 0; i < LIMIT_BLOCKS + 1; i++)
        buf_printf(
            &b,
            "data: {\"type\":\"response.output_item.added\",\"output_index\":%d,\"item\":{\"type\":\"message\"}}\n\n",
            i);
    CHECK_EQ(collect(buf_cstr(&b), &a), ERR_UP_PROTOCOL);
    buf_done(&b);
    fresh();
}

// ---- to a client

struct told {
    struct stream_writer *w;
    struct buf out;
};

static enum err tell(void *ctx, const struct event *ev) {
    struct told *t = ctx;
    return d->writer_event(t->w, ev, &t->out);
}

static const char *retold(const struct dialect *from, const char *stream, struct told *t) {
    static struct request r;
    request_init(&r);
    r.dialect = DIALECT_RESPONSES;
    r.stream = true;
    *t = (struct told){d->writer_new(&arena, &r, &sample_identity), BUF_INIT(1 << 20)};
    struct event_sink sink = {tell, t};
    return sample_read_stream(&arena, from, slice_str(stream), &sink) ? NULL : buf_cstr(&t->out);
}

// Types in order, and numbers without a gap.
static const char *grammar(const char *stream) {
    struct buf types = BUF_INIT(1 << 16);
    struct slice rest = slice_str(stream);
    struct frame f;
    for (int64_t n = 0; sample_frame(FRAMING_SSE, &rest, &f); n++) {
        struct frame_json json;
        bool fine = frame_json_open(&json, f.data) == ERR_OK && json_get_int(json.root, "sequence_number", -1) == n &&
                    slice_eq(json_get_str(json.root, "type"), f.event);
        buf_append(&types, slice_starts(f.event, "response.") ? slice_from(f.event, 9) : f.event);
        buf_append_str(&types, fine ? " " : "! ");
        frame_json_close(&json);
    }
    const char *text = arena_cstr(&arena, buf_slice(&types));
    buf_done(&types);
    return text;
}

TEST(responses_streams_have_their_grammar) {
    struct told t;
    fresh();
    CHECK_STREQ(grammar(retold(d, responses_sample_streams[0], &t)),
                "created in_progress output_item.added content_part.added output_text.delta output_text.delta "
                "output_text.done content_part.done output_item.done completed ");
    buf_done(&t.out);
    CHECK_STREQ(grammar(retold(d, responses_sample_streams[1], &t)),
                "created in_progress output_item.added reasoning_summary_part.added reasoning_summary_text.delta "
                "reasoning_summary_text.delta reasoning_summary_text.done reasoning_summary_part.done output_item.done "
                "output_item.added content_part.added output_text.delta output_text.done content_part.done "
                "output_item.done incomplete ");
    // The message that the bound ended says so, in its own event and in the whole; the thinking before it was whole.
    const char *told = buf_cstr(&t.out), *mark = "\"role\":\"assistant\",\"status\":\"incomplete\"";
    const char *once = strstr(told, mark), *twice = once ? strstr(once + 1, mark) : NULL;
    CHECK(twice && !strstr(twice + 1, mark) && strstr(once, "response.incomplete") < twice);
    CHECK(!strstr(told, "\"role\":\"assistant\",\"status\":\"completed\""));
    buf_done(&t.out);
    CHECK_STREQ(
        grammar(retold(dialect_get(DIALECT_OPENAI), openai_sample_streams[2], &t)),
        "created in_progress output_item.added content_part.added output_text.delta output_text.done "
        "content_part.done output_item.done output_item.added function_call_arguments.delta "
        "function_call_arguments.delta output_item.added function_call_arguments.delta "
        "function_call_arguments.done output_item.done function_call_arguments.done output_item.done completed ");
    buf_done(&t.out);
    fresh();
}

TEST(responses_streams_end_in_failure) {
    struct told t;
    struct problem p = PROBLEM(ERR_UP_DIED);
    const struct event error = {.kind = EV_ERROR, .problem = &p}, start = {.kind = EV_START};
    struct request r;
    fresh();
    request_init(&r);
    r.dialect = DIALECT_RESPONSES;
    t = (struct told){d->writer_new(&arena, &r, &sample_identity), BUF_INIT(1 << 20)};
    CHECK_EQ(tell(&t, &start), ERR_OK);
    CHECK_EQ(tell(&t, &error), ERR_OK);
    CHECK_EQ(tell(&t, &start), ERR_OK); // nothing more
    CHECK_STREQ(grammar(buf_cstr(&t.out)), "created in_progress failed ");
    CHECK(strstr(buf_cstr(&t.out), "\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\""));
    buf_done(&t.out);
    t = (struct told){d->writer_new(&arena, &r, &sample_identity), BUF_INIT(1 << 20)};
    CHECK_EQ(tell(&t, &error), ERR_OK);
    CHECK_STREQ(grammar(buf_cstr(&t.out)), "error ");
    buf_done(&t.out);
    fresh();
}

TEST(responses_say_back_what_was_asked) {
    struct problem p;
    struct answer *a;
    struct buf out = BUF_INIT(1 << 16);
    fresh();
    struct request *r =
        read("{\"model\":\"m\",\"input\":\"x\",\"instructions\":\"I\",\"metadata\":{\"k\":\"v\"},\"temperature\":0.5,"
             "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}},{\"type\":\"web_search\"}],"
             "\"reasoning\":{\"effort\":\"low\"},\"parallel_tool_calls\":false}",
             &p);
    CHECK(r != NULL);
    CHECK_EQ(collect(DELTA(0, "x", "a") END("completed"), &a), ERR_OK);
    CHECK_EQ(d->write_answer(&arena, r, a, &sample_identity, &out), ERR_OK);
    static const char *const parts[] = {
        "\"instructions\":\"I\"",
        "\"metadata\":{\"k\":\"v\"}",
        "\"temperature\":0.5",
        "\"top_p\":1",
        "{\"type\":\"function\",\"name\":\"f\",\"description\":null,\"parameters\":{},\"strict\":true},{\"type\":\"web_search\"}",
        "\"reasoning\":{\"effort\":\"low\"}",
        "\"parallel_tool_calls\":false",
        "\"store\":false",
        "\"previous_response_id\":null",
        "\"error\":null,\"incomplete_details\":null",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(buf_cstr(&out), parts[i]))
            FAIL("no %s in %s", parts[i], buf_cstr(&out));
    buf_done(&out);
    fresh();
}
