// SPDX-License-Identifier: Apache-2.0
// What is special to the Messages codec: its request both ways, the splice that keeps bytes, foreign requests put into its
// habits, streams read and written, parallel blocks put in a row, errors and counts. The rest is in codec_suite_test.c.
#include "base/limits.h"
#include "dialect/anthropic.h"
#include "unit.h"

static struct arena arena;
extern const struct dialect dialect_anthropic;
static const struct dialect *const d = &dialect_anthropic;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
}

static bool same(struct slice a, const char *b) {
    if (!slice_is(a, b))
        unit_fail(__FILE__, __LINE__, "%.*s is not %s", SLICE_FMT(a), b);
    return slice_is(a, b);
}

static bool holds(struct slice a, const char *b) {
    bool found = slice_search(a, slice_str(b)) != SIZE_MAX;
    if (!found)
        unit_fail(__FILE__, __LINE__, "%.*s has no %s", SLICE_FMT(a), b);
    return found;
}

static const struct write_options plain = {.max_tokens = -1, .stream = -1, .default_max_tokens = 1000};

static struct request *read_ok(enum op op, const char *body) {
    struct request *r = NULL;
    struct problem p = PROBLEM(ERR_OK);
    if (d->read_request(&arena, op, slice_str(body), &r, &p))
        unit_fail(__FILE__, __LINE__, "%.*s", SLICE_FMT(p.message));
    return r;
}

static const char full[] =
    "{\"model\":\"m\",\"max_tokens\":9000,\"system\":[{\"type\":\"text\",\"text\":\"brief\","
    "\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":["
    "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\","
    "\"media_type\":\"image/png\",\"data\":\"AAAA\"}},{\"type\":\"image\",\"source\":{\"type\":\"url\","
    "\"url\":\"https://x.example/a.png\"}}]},"
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s1\"},"
    "{\"type\":\"redacted_thinking\",\"data\":\"zz\"},"
    "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"a\":1}}]},"
    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\"content\":\"rain\","
    "\"is_error\":true}]}],"
    "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}}],"
    "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true},\"temperature\":1,\"top_k\":5,"
    "\"stop_sequences\":[\"x\"],\"stream\":true,\"metadata\":{\"user_id\":\"u\"},"
    "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}}";

TEST(anthropic_request_is_read) {
    fresh();
    const struct request *r = read_ok(OP_CHAT, full);
    CHECK_EQ(r->max_tokens, 9000);
    CHECK_EQ(r->messages->role, ROLE_SYSTEM);
    CHECK(same(r->messages->parts->cache_control, "{\"type\":\"ephemeral\"}"));
    const struct part *hi = r->messages->next->parts, *think = r->messages->next->next->parts;
    CHECK(same(hi->next->media_type, "image/png"));
    CHECK(r->has_remote_media && r->has_images && r->has_thinking);
    CHECK(same(think->signature, "s1"));
    CHECK(think->next->redacted);
    CHECK(same(think->next->next->text, "{\"a\":1}"));
    const struct part *result = r->messages->next->next->next->parts;
    CHECK_EQ(result->kind, PART_TOOL_RESULT);
    CHECK(result->is_error);
    CHECK(same(result->content->text, "rain"));
    CHECK_EQ(r->parallel_tools, 0);
    CHECK_EQ(r->think_budget, 2000);
    CHECK(same(r->user, "u"));
    fresh();
}

TEST(anthropic_request_survives_both_ways) {
    fresh();
    struct wire_request wire;
    struct problem p;
    const char *where = "";
    struct request *r = read_ok(OP_CHAT, full), *again = NULL;
    CHECK_EQ(d->write_request(&arena, r, &plain, &wire, &p), ERR_OK);
    CHECK(wire.verbatim);
    CHECK(same(wire.body, full));
    struct write_options o = plain;
    o.model = SLICE("other");
    o.stream = 0;
    CHECK_EQ(d->write_request(&arena, r, &o, &wire, &p), ERR_OK);
    CHECK(holds(wire.body, "{\"model\":\"other\",\"max_tokens\":9000,\"system\""));
    CHECK(holds(wire.body, "\"stream\":false"));
    request_erase_sources(r);
    CHECK_EQ(d->write_request(&arena, r, &plain, &wire, &p), ERR_OK);
    CHECK_EQ(d->read_request(&arena, OP_CHAT, wire.body, &again, &p), ERR_OK);
    if (!request_equal(r, again, &where))
        FAIL("differs at %s: %.*s", where, SLICE_FMT(wire.body));
    fresh();
}

TEST(anthropic_request_names_the_wrong_field) {
    static const struct {
        const char *body, *param;
        enum err err;
    } rows[] = {
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "max_tokens", ERR_MISSING_FIELD},
        {"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":7}]}", "messages[0].content",
         ERR_BAD_FIELD},
        {"{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"top_k\":\"x\"}",
         "top_k", ERR_BAD_FIELD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh();
        struct request *r;
        struct problem p = PROBLEM(ERR_OK);
        CHECK_EQ(d->read_request(&arena, OP_CHAT, slice_str(rows[i].body), &r, &p), rows[i].err);
        CHECK(same(p.param, rows[i].param));
    }
    fresh();
}

TEST(anthropic_takes_a_foreign_request) {
    fresh();
    struct request r;
    struct wire_request wire;
    struct problem p;
    request_init(&r);
    r.dialect = DIALECT_OPENAI;
    r.model = SLICE("m");
    r.temperature = 1.5;
    r.seed_set = true;
    struct message **tail = &r.messages;
    static const enum role roles[] = {ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_USER};
    for (size_t i = 0; i < 5; i++) {
        struct message *m = message_add(&arena, &tail, roles[i]);
        struct part **at = &m->parts, *part = part_add(&arena, &at, PART_TEXT);
        part->text = SLICE("t");
        if (roles[i] == ROLE_ASSISTANT)
            *part = (struct part){.kind = PART_TOOL_CALL, .id = SLICE("c.1"), .name = SLICE("f")};
        if (roles[i] == ROLE_TOOL)
            *part = (struct part){.kind = PART_TOOL_RESULT, .id = SLICE("c.1")};
    }
    CHECK_EQ(d->write_request(&arena, &r, &plain, &wire, &p), ERR_OK);
    CHECK(holds(wire.body, "\"max_tokens\":1000"));
    CHECK(holds(wire.body, "\"temperature\":1"));
    CHECK(holds(wire.body, "\"system\":"));
    CHECK(holds(wire.body, "{\"type\":\"tool_use\",\"id\":\"c_1\",\"name\":\"f\",\"input\":{}}"));
    CHECK(holds(wire.body, "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c_1\""));
    CHECK(wire.notes.n >= 3);
    fresh();
}

// ---- streams

static enum err gather(void *ctx, const struct event *ev) {
    return answer_add(ctx, ev);
}

static enum err write_on(void *ctx, const struct event *ev) {
    void **both = ctx;
    return d->writer_event(both[0], ev, both[1]);
}

// Reads a stream as on the wire.
static enum err read_stream(struct slice bytes, struct answer *answer) {
    struct event_sink sink = {gather, answer};
    struct stream_reader *r = d->reader_new(&arena, OP_CHAT);
    enum err e = answer_init(answer, &arena) ? ERR_OK : ERR_NO_MEMORY;
    while (bytes.n && !e) {
        struct slice line = slice_split(&bytes, '\n');
        struct frame f = {.data = slice_from(line, 6)};
        if (slice_starts(line, "data: "))
            e = d->reader_frame(r, &f, &sink);
    }
    return e ? e : d->reader_finish(r, &sink);
}

static const char stream[] =
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\","
    "\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":5,"
    "\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n"
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\","
    "\"signature\":\"\"}}\n"
    "data: {\"type\":\"ping\"}\n"
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n"
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"sg\"}}\n"
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n"
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\","
    "\"name\":\"f\",\"input\":{}}}\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"{\\\"a\\\":\"}}\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"1}\"}}\n"
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n"
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\",\"stop_sequence\":null},"
    "\"usage\":{\"output_tokens\":20}}\n"
    "data: {\"type\":\"message_stop\"}\n";

static void check_answer(const struct answer *a) {
    CHECK(same(a->id, "msg_1"));
    CHECK_EQ(a->n_blocks, 2);
    CHECK_EQ(a->usage.input_tokens, 17);
    CHECK_EQ(a->usage.cache_read_tokens, 5);
    CHECK_EQ(a->usage.output_tokens, 20);
    CHECK_EQ(a->choices[0].finish, FINISH_TOOL);
    CHECK(same(buf_slice(&a->first->text), "hm"));
    CHECK(same(a->first->signature, "sg"));
    CHECK(same(buf_slice(&a->first->next->text), "{\"a\":1}"));
    CHECK(a->ended);
}

TEST(anthropic_stream_is_read_and_written) {
    fresh();
    struct answer first, again, whole;
    struct buf out = BUF_INIT(1 << 20), body = BUF_INIT(1 << 20);
    struct identity who = {SLICE("x"), SLICE("m"), 0};
    struct request r;
    request_init(&r);
    CHECK_EQ(read_stream(slice_str(stream), &first), ERR_OK);
    check_answer(&first);
    void *both[] = {d->writer_new(&arena, &r, &who), &out};
    CHECK_EQ(answer_replay(&first, &(struct event_sink){write_on, both}), ERR_OK);
    CHECK_EQ(read_stream(buf_slice(&out), &again), ERR_OK);
    check_answer(&again);
    CHECK_EQ(d->write_answer(&arena, &r, &first, &who, &body), ERR_OK);
    CHECK(holds(buf_slice(&body), "\"input\":{\"a\":1}"));
    CHECK(holds(buf_slice(&body), "\"input_tokens\":10"));
    CHECK(answer_init(&whole, &arena));
    CHECK_EQ(d->read_answer(&arena, OP_CHAT, buf_slice(&body), &(struct event_sink){gather, &whole}), ERR_OK);
    check_answer(&whole);
    buf_done(&out);
    buf_done(&body);
    fresh();
}

TEST(anthropic_stream_that_breaks_off_died) {
    fresh();
    struct answer a;
    struct slice s = slice_str(stream);
    CHECK_EQ(read_stream(slice_first(s, slice_search(s, SLICE("data: {\"type\":\"message_delta\""))), &a), ERR_UP_DIED);
    fresh();
}

TEST(anthropic_writer_puts_parallel_blocks_in_a_row) {
    fresh();
    struct buf out = BUF_INIT(1 << 20);
    struct identity who = {SLICE("x"), SLICE("m"), 0};
    struct request r;
    struct answer a;
    request_init(&r);
    void *both[] = {d->writer_new(&arena, &r, &who), &out};
    struct event_sink sink = {write_on, both};
    CHECK_EQ(emit_start(&sink, SLICE("c-1"), SLICE("m"), 0), ERR_OK);
    CHECK_EQ(emit_begin_tool(&sink, 0, 0, SLICE("a"), SLICE("f")), ERR_OK);
    CHECK_EQ(emit_begin_tool(&sink, 1, 0, SLICE("b"), SLICE("g")), ERR_OK);
    CHECK_EQ(emit_delta(&sink, 1, 0, BLOCK_TOOL, SLICE("{\"y\":2}")), ERR_OK);
    CHECK_EQ(emit_delta(&sink, 0, 0, BLOCK_TOOL, SLICE("{\"x\":1}")), ERR_OK);
    CHECK_EQ(emit_block_end(&sink, 1, 0, BLOCK_TOOL, SLICE_NONE), ERR_OK);
    CHECK_EQ(emit_block_end(&sink, 0, 0, BLOCK_TOOL, SLICE_NONE), ERR_OK);
    CHECK_EQ(emit_finish(&sink, 0, FINISH_TOOL, SLICE_NONE), ERR_OK);
    CHECK_EQ(emit_end(&sink), ERR_OK);
    struct slice bytes = buf_slice(&out);
    CHECK(slice_search(bytes, SLICE("\"x\\\":1")) < slice_search(bytes, SLICE("content_block_stop")));
    CHECK(slice_search(bytes, SLICE("content_block_stop")) < slice_search(bytes, SLICE("\"name\":\"g\"")));
    CHECK_EQ(read_stream(bytes, &a), ERR_OK);
    CHECK(same(buf_slice(&a.first->next->text), "{\"y\":2}"));
    buf_done(&out);
    fresh();
}

// ---- errors and counts

TEST(anthropic_errors_are_told_apart) {
    static const struct {
        const char *type, *message;
        enum err err;
    } rows[] = {
        {"invalid_request_error", "bad", ERR_UP_REFUSED},
        {"invalid_request_error", "prompt is too long: 9 > 8", ERR_CONTEXT_LENGTH},
        {"authentication_error", "key", ERR_UP_AUTH},
        {"billing_error", "pay", ERR_UP_QUOTA},
        {"not_found_error", "m", ERR_UP_NOT_FOUND},
        {"request_too_large", "big", ERR_TOO_LARGE},
        {"rate_limit_error", "slow", ERR_UP_RATE_LIMIT},
        {"api_error", "oops", ERR_UP_INTERNAL},
        {"overloaded_error", "busy", ERR_UP_OVERLOADED},
        {"timeout_error", "late", ERR_UP_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fresh();
        struct problem p;
        const char *body = arena_printf(&arena, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"}}",
                                        rows[i].type, rows[i].message);
        d->read_error(&arena, 400, slice_str(body), 0, &p);
        CHECK_EQ(p.err, rows[i].err);
        CHECK(same(p.detail, rows[i].message));
    }
    fresh();
}

TEST(anthropic_error_is_written) {
    struct buf out = BUF_INIT(4096);
    struct problem p = PROBLEM(ERR_UP_OVERLOADED);
    int status = 0;
    d->write_error(&p, SLICE("req_1"), &out, &status);
    CHECK_EQ(status, 529);
    CHECK(holds(buf_slice(&out), "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\""));
    CHECK(holds(buf_slice(&out), "\"request_id\":\"req_1\""));
    buf_done(&out);
}

TEST(anthropic_counts_tokens) {
    fresh();
    struct wire_request wire;
    struct problem p;
    struct answer a;
    struct buf out = BUF_INIT(4096);
    struct identity who = {0};
    struct request *r =
        read_ok(OP_COUNT_TOKENS, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    request_erase_sources(r);
    CHECK_EQ(d->write_request(&arena, r, &plain, &wire, &p), ERR_OK);
    CHECK(slice_search(wire.body, SLICE("max_tokens")) == SIZE_MAX);
    CHECK_STREQ(wire.path, "/v1/messages/count_tokens");
    CHECK(answer_init(&a, &arena));
    CHECK_EQ(d->read_answer(&arena, OP_COUNT_TOKENS, SLICE("{\"input_tokens\":42}"), &(struct event_sink){gather, &a}),
             ERR_OK);
    CHECK_EQ(d->write_answer(&arena, r, &a, &who, &out), ERR_OK);
    CHECK(same(buf_slice(&out), "{\"input_tokens\":42}"));
    buf_done(&out);
    fresh();
}

// ---- the writer's grammar

static const struct identity me = {{"x", 1}, {"m", 1}, 0};

// Writes the events with the sink's help; gives back where it fails.
static struct slice written(const struct event *events, size_t n, enum err *ret) {
    struct request r;
    struct buf out = BUF_INIT(1 << 24);
    request_init(&r);
    struct stream_writer *w = d->writer_new(&arena, &r, &me);
    *ret = w ? ERR_OK : ERR_NO_MEMORY;
    for (size_t i = 0; i < n && !*ret; i++)
        *ret = d->writer_event(w, &events[i], &out);
    struct slice s = arena_copy(&arena, buf_slice(&out));
    buf_done(&out);
    return s;
}

#define WRITTEN(events, e) written((events), sizeof(events) / sizeof(events)[0], (e))

// A text that goes on after a call began is told as a new block, since the call's may not be left.
TEST(anthropic_writer_lets_a_text_go_on) {
    static const struct event events[] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN, .block = 0, .block_kind = BLOCK_TEXT},
        {.kind = EV_DELTA, .block = 0, .block_kind = BLOCK_TEXT, .text = SLICE("one")},
        {.kind = EV_BLOCK_BEGIN, .block = 1, .block_kind = BLOCK_TOOL, .call_id = SLICE("c"), .name = SLICE("f")},
        {.kind = EV_DELTA, .block = 0, .block_kind = BLOCK_TEXT, .text = SLICE("two")},
        {.kind = EV_DELTA, .block = 1, .block_kind = BLOCK_TOOL, .text = SLICE("{}")},
        {.kind = EV_BLOCK_END, .block = 1, .block_kind = BLOCK_TOOL},
        {.kind = EV_BLOCK_END, .block = 0, .block_kind = BLOCK_TEXT},
        {.kind = EV_END},
    };
    struct answer a;
    enum err e;
    fresh();
    struct slice bytes = WRITTEN(events, &e);
    CHECK_EQ(e, ERR_OK);
    CHECK_EQ(read_stream(bytes, &a), ERR_OK);
    CHECK_EQ(a.n_blocks, 3);
    CHECK(same(buf_slice(&a.first->text), "one"));
    CHECK(same(buf_slice(&a.first->next->text), "{}"));
    CHECK(same(buf_slice(&a.first->next->next->text), "two"));
    fresh();
}

TEST(anthropic_writer_bounds_what_waits) {
    static char piece[1 << 20];
    struct event events[16] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN, .block = 0, .block_kind = BLOCK_TOOL, .call_id = SLICE("a"), .name = SLICE("f")},
        {.kind = EV_BLOCK_BEGIN, .block = 1, .block_kind = BLOCK_TOOL, .call_id = SLICE("b"), .name = SLICE("g")},
    };
    enum err e;
    fresh();
    memset(piece, 'x', sizeof piece);
    for (size_t i = 3; i < 16; i++)
        events[i] = (struct event){.kind = EV_DELTA, .block = 1, .text = slice_of(piece, sizeof piece)};
    (void)WRITTEN(events, &e);
    CHECK_EQ(e, ERR_LIMIT);
    fresh();
}

// What others have and this dialect has not: other choices, media, opaque blocks of another wire.
TEST(anthropic_writer_passes_over_the_unspeakable) {
    static const struct event events[] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN, .block = 0, .choice = 1, .block_kind = BLOCK_TEXT},
        {.kind = EV_DELTA, .block = 0, .choice = 1, .text = SLICE("other")},
        {.kind = EV_BLOCK_BEGIN, .block = 1, .block_kind = BLOCK_OPAQUE, .text = SLICE("{\"type\":\"custom\"}")},
        {.kind = EV_BLOCK_END, .block = 1, .block_kind = BLOCK_OPAQUE},
        {.kind = EV_BLOCK_BEGIN, .block = 2, .block_kind = BLOCK_MEDIA},
        {.kind = EV_BLOCK_BEGIN,
         .block = 3,
         .block_kind = BLOCK_OPAQUE,
         .name = SLICE("responses:web_search_call"),
         .text = SLICE("{\"type\":\"web_search_call\"}")},
        {.kind = EV_BLOCK_END, .block = 3, .block_kind = BLOCK_OPAQUE},
        {.kind = EV_END},
    };
    struct answer a;
    enum err e;
    fresh();
    struct slice bytes = WRITTEN(events, &e);
    CHECK_EQ(e, ERR_OK);
    CHECK_EQ(read_stream(bytes, &a), ERR_OK);
    CHECK_EQ(a.n_blocks, 0);
    CHECK_EQ(a.choices[0].finish, FINISH_STOP);
    fresh();
}

// Raw JSON that came over several lines goes out on one.
TEST(anthropic_frames_are_one_line) {
    static const struct event events[] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN,
         .block_kind = BLOCK_OPAQUE,
         .name = SLICE("fallback"),
         .text = SLICE("{\"type\":\"fallback\",\n\"to\":{\n\r\"model\":\"x\"}}")},
        {.kind = EV_META, .name = SLICE("delta"), .text = SLICE("{\"type\":\n\"x\"}")},
        {.kind = EV_BLOCK_END, .block_kind = BLOCK_OPAQUE},
        {.kind = EV_END},
    };
    struct answer a;
    enum err e;
    fresh();
    struct slice bytes = WRITTEN(events, &e);
    CHECK_EQ(e, ERR_OK);
    CHECK_EQ(read_stream(bytes, &a), ERR_OK);
    CHECK_EQ(a.n_blocks, 1);
    CHECK_EQ(a.first->kind, BLOCK_OPAQUE);
    fresh();
}

TEST(anthropic_stream_error_ends_it) {
    fresh();
    struct answer a;
    CHECK_EQ(read_stream(
                 SLICE("data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n"), &a),
             ERR_UP_OVERLOADED);
    fresh();
}

// ---- thinking, from dialects that know levels

static struct slice with_effort(struct request *r, int64_t bound, struct notes *ret) {
    struct write_options o = {.model = SLICE("m"), .max_tokens = bound, .stream = -1};
    struct wire_request wire;
    struct problem p;
    r->dialect = DIALECT_OPENAI;
    r->model = SLICE("m");
    if (d->write_request(&arena, r, &o, &wire, &p))
        return SLICE_NONE;
    *ret = wire.notes;
    return wire.body;
}

TEST(anthropic_thinking_fits_below_max_tokens) {
    struct notes notes;
    struct request r;
    fresh();
    request_init(&r);
    r.think = THINK_MEDIUM;
    r.max_tokens = 100;
    struct slice body = with_effort(&r, -1, &notes);
    CHECK(holds(body, "\"budget_tokens\":4096"));
    CHECK(holds(body, "\"max_tokens\":4196"));
    body = with_effort(&r, 3000, &notes); // what the budget can pay
    CHECK(holds(body, "\"budget_tokens\":1500"));
    CHECK(holds(body, "\"max_tokens\":3000"));
    body = with_effort(&r, 1500, &notes);
    CHECK(slice_search(body, SLICE("thinking")) == SIZE_MAX);
    r.tool_choice = TOOL_CHOICE_REQUIRED;
    body = with_effort(&r, -1, &notes);
    CHECK(slice_search(body, SLICE("thinking")) == SIZE_MAX);
    fresh();
}

TEST(anthropic_bound_moves_the_thinking_budget) {
    struct write_options o = {.model = SLICE("m"), .max_tokens = 4000, .stream = -1};
    struct wire_request wire;
    struct problem p;
    fresh();
    struct request *r =
        read_ok(OP_CHAT, "{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"type\":\"enabled\","
                         "\"budget_tokens\":8000},\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    CHECK(r != NULL);
    CHECK_EQ(d->write_request(&arena, r, &o, &wire, &p), ERR_OK);
    CHECK(holds(wire.body, "\"max_tokens\":4000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2000}"));
    fresh();
}
