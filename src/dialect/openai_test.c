// SPDX-License-Identifier: Apache-2.0
// The OpenAI codec's own: what the generic suite cannot know. Requests and their patches, notes, quirks, hostile streams,
// exact bytes of chunks, errors of several servers.
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;

static const struct dialect *codec(void) {
    return dialect_get(DIALECT_OPENAI);
}

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
}

#define CHECK_SLICE(s, text) CHECK_STREQ(arena_cstr(&arena, (s)), (text))

static struct problem problem;

static struct request *read_body(const char *body) {
    struct request *r = NULL;
    problem = PROBLEM(ERR_OK);
    return codec()->read_request(&arena, OP_CHAT, slice_str(body), &r, &problem) ? NULL : r;
}

static const struct write_options plain = {.max_tokens = -1, .stream = -1, .default_max_tokens = -1};

static struct wire_request wire;

static const char *written(const struct request *r, struct write_options o) {
    if (!o.model.p)
        o.model = r->model;
    return codec()->write_request(&arena, r, &o, &wire, &problem) ? "error" : arena_cstr(&arena, wire.body);
}

static bool noted(const char *path) {
    for (const struct note *n = wire.notes.first; n; n = n->next)
        if (slice_is(n->path, path))
            return true;
    return false;
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

// ---- requests

TEST(openai_request_fields_are_read) {
    fresh();
    const struct request *r = read_body(openai_sample_requests[1]);
    CHECK(r != NULL);
    CHECK_SLICE(r->model, "gpt-x");
    CHECK(r->stream && r->include_usage && r->has_images && r->has_audio && r->has_documents && r->has_remote_media);
    CHECK_EQ(r->max_tokens, 100);
    CHECK_EQ(r->seed, -7);
    CHECK_EQ(r->n_stops, 2);
    CHECK_EQ(r->think, THINK_LOW);
    const struct message *m = r->messages;
    CHECK(m->role == ROLE_SYSTEM && !m->developer && m->next->developer);
    const struct part *p = m->next->next->parts;
    CHECK_SLICE(p->text, "what is this? \xc3\xa9\n");
    CHECK_SLICE(p->next->media_type, "image/png");
    CHECK_SLICE(p->next->data, "AAAA");
    CHECK_SLICE(p->next->next->url, "https://x.example/a.png");
    CHECK_SLICE(p->next->next->src, "{\"type\": \"image_url\", \"image_url\": {\"url\": \"https://x.example/a.png\"}}");
    CHECK_SLICE(m->src, "{\"role\": \"system\", \"content\": \"be brief\"}");
    fresh();
}

TEST(openai_request_tools_are_read) {
    fresh();
    const struct request *r = read_body(openai_sample_requests[2]);
    CHECK(r != NULL);
    CHECK_EQ(r->tool_choice, TOOL_CHOICE_NAMED);
    CHECK_SLICE(r->tool_choice_name, "weather");
    CHECK_EQ(r->tools->strict, 1);
    CHECK_SLICE(r->tools->schema, "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}");
    CHECK_EQ(r->format, FORMAT_SCHEMA);
    const struct part *p = r->messages->next->parts;
    CHECK_EQ(p->kind, PART_THINK);
    CHECK_SLICE(p->next->text, "{\"city\":\"Bern\"}");
    const struct part *result = r->messages->next->next->parts;
    CHECK(result->kind == PART_TOOL_RESULT);
    CHECK_SLICE(result->id, "c1");
    CHECK_SLICE(result->content->text, "rain");
    fresh();
}

static void check_refused(const char *body, enum err e, const char *param) {
    fresh();
    CHECK(read_body(body) == NULL);
    CHECK_EQ(problem.err, e);
    CHECK_SLICE(problem.param, param);
    CHECK(problem.message.n > 0);
    fresh();
}

TEST(openai_request_refusals_name_the_field) {
    check_refused("{" MESSAGES "}", ERR_MISSING_FIELD, "model");
    check_refused("{\"model\":\"m\"}", ERR_MISSING_FIELD, "messages");
    check_refused("{\"model\":\"m\",\"messages\":[]}", ERR_BAD_FIELD, "messages");
    check_refused("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":7}]}", ERR_BAD_FIELD,
                  "messages[0].content");
    check_refused("{\"model\":\"m\",\"messages\":[{\"role\":\"bot\",\"content\":\"\"}]}", ERR_BAD_FIELD,
                  "messages[0].role");
    check_refused("{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", ERR_MISSING_FIELD, "messages[0].content");
    check_refused("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
                  ERR_MISSING_FIELD, "messages[0].content[0].image_url");
    check_refused("{\"model\":\"m\",\"n\":17," MESSAGES "}", ERR_BAD_FIELD, "n");
    check_refused("{\"model\":\"m\",\"model\":\"k\"," MESSAGES "}", ERR_BAD_FIELD, "model");
    check_refused("{\"model\":\"m\",\"tool_choice\":\"maybe\"," MESSAGES "}", ERR_BAD_FIELD, "tool_choice");
    check_refused("{\"model\":\"m\",\"stop\":[1]," MESSAGES "}", ERR_BAD_FIELD, "stop[0]");
}

TEST(openai_request_knows_its_relatives) {
    fresh();
    const struct request *r = read_body("{\"models\":[\"a\",\"b\"],\"provider\":{\"sort\":\"price\"},\"reasoning\":"
                                        "{\"max_tokens\":2000},\"logit_bias\":{}," MESSAGES "}");
    CHECK(r != NULL);
    CHECK_SLICE(r->model, "a");
    CHECK_EQ(r->n_fallback_models, 2);
    CHECK_SLICE(r->provider_prefs, "{\"sort\":\"price\"}");
    CHECK_EQ(r->think_budget, 2000);
    CHECK_EQ(r->n_unmodelled, 1);
    CHECK_STREQ(written(r, plain),
                "{\"reasoning\":{\"max_tokens\":2000},\"logit_bias\":{}," MESSAGES ",\"model\":\"a\"}");
    CHECK_EQ(wire.notes.n, 1);
    CHECK_SLICE(wire.notes.first->path, "provider");
    struct write_options router = plain;
    router.quirks = QUIRK_PREFERENCES;
    CHECK_STREQ(written(r, router), "{\"provider\":{\"sort\":\"price\"},\"reasoning\":{\"max_tokens\":2000},"
                                    "\"logit_bias\":{}," MESSAGES ",\"model\":\"a\"}");
    CHECK_EQ(wire.notes.n, 0);
    r = read_body("{\"model\":\"m\",\"chat_template_kwargs\":{\"enable_thinking\":false},\"max_tokens\":1,"
                  "\"max_completion_tokens\":2," MESSAGES "}");
    CHECK(r && r->think == THINK_OFF && r->max_tokens == 2);
    r = read_body("{\"model\":\"m\",\"functions\":[{\"name\":\"f\"}],\"function_call\":{\"name\":\"f\"},\"messages\":["
                  "{\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
                  "{\"role\":\"function\",\"name\":\"f\",\"content\":\"1\"}]}");
    CHECK(r && r->tool_choice == TOOL_CHOICE_NAMED && r->tools);
    CHECK(slice_eq(r->messages->parts->id, r->messages->next->parts->id));
    fresh();
}

TEST(openai_same_dialect_touches_only_what_must_differ) {
    fresh();
    const char *body = "{ \"stream\":true, \"model\" : \"m\",\"odd\":[1 ,2], \"max_tokens\":9, " MESSAGES " }";
    const struct request *r = read_body(body);
    CHECK(r != NULL);
    CHECK_STREQ(written(r, plain), body);
    CHECK(wire.body.p == body && wire.verbatim && !wire.usage_added);
    struct write_options o = plain;
    o.model = SLICE("up/\"m");
    o.max_tokens = 5;
    o.want_usage = true;
    CHECK_STREQ(written(r, o), "{ \"stream\":true, \"model\" : \"up/\\\"m\",\"odd\":[1 ,2], \"max_tokens\":5, " MESSAGES
                               ",\"stream_options\":{\"include_usage\":true} }");
    CHECK(wire.usage_added);
    o = plain;
    o.stream = 0;
    o.quirks = QUIRK_MAX_COMPLETION_TOKENS;
    CHECK_STREQ(written(r, o),
                "{ \"stream\":false, \"model\" : \"m\",\"odd\":[1 ,2], " MESSAGES ",\"max_completion_tokens\":9 }");
    fresh();
}

TEST(openai_same_dialect_quirks) {
    fresh();
    const struct request *r =
        read_body("{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"x\"},"
                  "{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"stream_options\":"
                  "{\"x\":1,\"include_usage\":false},\"tools\":[{\"type\":\"function\",\"function\":"
                  "{\"name\":\"f\",\"strict\":true}}]}");
    CHECK(r != NULL);
    struct write_options o = plain;
    o.quirks = QUIRK_NO_DEVELOPER_ROLE | QUIRK_NO_STRICT;
    o.want_usage = true;
    CHECK_STREQ(written(r, o), "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"},"
                               "{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"stream_options\":"
                               "{\"x\":1,\"include_usage\":true},\"tools\":[{\"type\":\"function\",\"function\":"
                               "{\"name\":\"f\"}}]}");
    o.quirks = QUIRK_NO_STREAM_OPTIONS;
    CHECK(strstr(written(r, o), "stream_options") == NULL);
    fresh();
}

static const char *const lacks[] = {
    "max_completion_tokens=max_tokens", "seed=random_seed", "user", "presence_penalty", "parallel_tool_calls", NULL};

TEST(openai_what_an_upstream_lacks_is_left_out_or_renamed) {
    fresh();
    const struct request *r =
        read_body("{\"model\":\"m\",\"seed\":7,\"user\":\"u\",\"presence_penalty\":0.5,\"top_p\":1,"
                  "\"max_completion_tokens\":9," MESSAGES "}");
    CHECK(r != NULL);
    struct write_options o = plain;
    o.lacks = lacks;
    CHECK_STREQ(written(r, o), "{\"model\":\"m\",\"top_p\":1," MESSAGES ",\"max_tokens\":9,\"random_seed\":7}");
    CHECK(noted("user") && noted("presence_penalty") && !noted("seed") && !noted("top_p"));
    o.max_tokens = 5; // a bound of ours goes by the same name
    CHECK_STREQ(written(r, o), "{\"model\":\"m\",\"top_p\":1," MESSAGES ",\"max_tokens\":5,\"random_seed\":7}");
    r = read_body("{\"model\":\"m\",\"top_p\":1,\"max_tokens\":3," MESSAGES "}");
    CHECK_STREQ(
        written(r, (struct write_options){.max_tokens = -1, .stream = -1, .default_max_tokens = 4096, .lacks = lacks}),
        "{\"model\":\"m\",\"top_p\":1,\"max_tokens\":3," MESSAGES "}");
    fresh();
}

TEST(openai_what_an_upstream_lacks_is_not_written_from_fields) {
    fresh();
    struct message m = {.role = ROLE_USER};
    struct request r;
    request_init(&r);
    r.dialect = DIALECT_ANTHROPIC;
    r.model = SLICE("m");
    r.messages = &m;
    r.max_tokens = 9;
    r.seed_set = true;
    r.seed = 7;
    r.user = SLICE("u");
    r.presence_penalty = 0.5;
    struct write_options o = plain;
    o.lacks = lacks;
    const char *text = written(&r, o);
    CHECK(strstr(text, "\"max_tokens\":9,\"random_seed\":7") && !strstr(text, "\"user\":\"u\"") &&
          !strstr(text, "penalty"));
    CHECK(noted("user") && noted("presence_penalty"));
    fresh();
}

// A request as another dialect would have made it.
static struct request foreign(void) {
    struct request r;
    request_init(&r);
    r.dialect = DIALECT_ANTHROPIC;
    r.model = SLICE("m");
    return r;
}

TEST(openai_foreign_fields_leave_notes) {
    fresh();
    struct part think = {.kind = PART_THINK, .text = SLICE("t"), .signature = SLICE("s")};
    struct part text = {.kind = PART_TEXT, .text = SLICE("yes"), .cache_control = SLICE("{}")};
    struct message m = {.role = ROLE_ASSISTANT, .parts = &think};
    think.next = &text;
    struct request r = foreign();
    r.messages = &m;
    r.top_k = 5;
    r.think = THINK_ON;
    r.think_budget = 2000;
    CHECK_STREQ(written(&r, plain), "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"yes\"}],"
                                    "\"reasoning_effort\":\"low\"}");
    CHECK(noted("top_k") && noted("cache_control") && noted("signature") && noted("thinking") &&
          noted("thinking.budget_tokens"));
    struct write_options o = plain;
    o.quirks = QUIRK_CACHE_PROMPT;
    r.think = THINK_OFF;
    r.think_budget = -1;
    CHECK_STREQ(
        written(&r, o),
        "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"yes\",\"reasoning_content\":\"t\"}],"
        "\"top_k\":5,\"chat_template_kwargs\":{\"enable_thinking\":false}}");
    fresh();
}

TEST(openai_foreign_tool_results_are_taken_apart) {
    fresh();
    struct part shot = {.kind = PART_IMAGE, .media_type = SLICE("image/png"), .data = SLICE("AA")};
    struct part one = {.kind = PART_TOOL_RESULT, .id = SLICE("c1"), .content = &shot, .is_error = true};
    struct part rain = {.kind = PART_TEXT, .text = SLICE("rain")};
    struct part two = {.kind = PART_TOOL_RESULT, .id = SLICE("c2"), .content = &rain};
    struct part say = {.kind = PART_TEXT, .text = SLICE("so?")};
    struct message m = {.role = ROLE_USER, .parts = &one};
    one.next = &two;
    two.next = &say;
    struct request r = foreign();
    r.messages = &m;
    CHECK_STREQ(
        written(&r, plain),
        "{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"rain\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]},"
        "{\"role\":\"user\",\"content\":\"so?\"}]}");
    CHECK(noted("is_error") && noted("tool_result.content"));
    fresh();
}

TEST(openai_generate_becomes_a_chat) {
    fresh();
    struct part brief = {.kind = PART_TEXT, .text = SLICE("be brief")};
    struct message m = {.role = ROLE_SYSTEM, .parts = &brief};
    struct request r = foreign();
    r.op = OP_GENERATE;
    r.messages = &m;
    r.prompt = SLICE("why?");
    CHECK_STREQ(written(&r, plain), "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
                                    "{\"role\":\"user\",\"content\":\"why?\"}]}");
    r.raw = true; // without a template: as a completion
    CHECK_STREQ(written(&r, plain), "{\"model\":\"m\",\"prompt\":\"why?\"}");
    CHECK_STREQ(wire.path, "/completions");
    r.op = OP_COUNT_TOKENS;
    CHECK_STREQ(written(&r, plain), "error");
    CHECK_EQ(problem.err, ERR_UNSUPPORTED);
    fresh();
}

// ---- streams

static struct answer answer;

static enum err read_stream(const char *bytes) {
    struct event_sink sink = {sample_collect, &answer};
    fresh(); // frees the answer before
    if (!answer_init(&answer, &arena))
        return ERR_NO_MEMORY;
    return sample_read_stream(&arena, codec(), slice_str(bytes), &sink);
}

static const struct answer_block *block_at(unsigned i) {
    const struct answer_block *b = answer.first;
    while (b && i--)
        b = b->next;
    return b;
}

TEST(openai_stream_tool_calls) {
    fresh();
    CHECK_EQ(read_stream(openai_sample_streams[2]), ERR_OK);
    CHECK(answer.ended);
    CHECK_EQ(answer.n_blocks, 3);
    CHECK_SLICE(buf_slice(&block_at(0)->text), "I look.");
    CHECK_SLICE(buf_slice(&block_at(1)->text), "{\"city\":\"Bern\"}");
    CHECK_SLICE(block_at(2)->call_id, "c2");
    CHECK_EQ(answer.choices[0].finish, FINISH_TOOL);
    CHECK_EQ(answer.usage.output_tokens, 11);
    fresh();
}

TEST(openai_stream_interleaved_and_incomplete_calls) {
    fresh();
    // pieces in turn, ids only at first, a call without an index, one whole in a chunk with an object for arguments
    CHECK_EQ(
        read_stream(
            OPENAI_DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}},"
                         "{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\"}}]")
                OPENAI_DELTA("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"[\"}}]")
                    OPENAI_DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]")
                        OPENAI_DELTA("\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"]\"}}]")
                            OPENAI_DELTA("\"tool_calls\":[{\"function\":{\"name\":\"h\",\"arguments\":{\"x\":1}}}]")
                                OPENAI_FINISH("stop")),
        ERR_OK);
    CHECK_EQ(answer.n_blocks, 3);
    CHECK_SLICE(buf_slice(&block_at(0)->text), "{}");
    CHECK_SLICE(buf_slice(&block_at(1)->text), "[]");
    CHECK_SLICE(buf_slice(&block_at(2)->text), "{\"x\":1}");
    CHECK(block_at(2)->call_id.n > 5);
    CHECK_EQ(answer.choices[0].finish, FINISH_TOOL);
    fresh();
}

TEST(openai_stream_new_call_under_an_old_index) {
    fresh();
    CHECK_EQ(
        read_stream(
            OPENAI_DELTA(
                "\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
                OPENAI_DELTA(
                    "\"tool_calls\":[{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]")
                    OPENAI_FINISH("tool_calls") "data: [DONE]\n\n"),
        ERR_OK);
    CHECK_EQ(answer.n_blocks, 2);
    CHECK_SLICE(block_at(1)->call_id, "b");
    fresh();
}

TEST(openai_stream_ends) {
    fresh();
    CHECK_EQ(read_stream(OPENAI_DELTA("\"content\":\"a\"") OPENAI_FINISH("stop")), ERR_OK); // no [DONE]
    CHECK(answer.ended);
    CHECK_EQ(read_stream(OPENAI_DELTA("\"content\":\"a\"") "data: [DONE]\n\n"), ERR_OK); // no finish
    CHECK_EQ(answer.choices[0].finish, FINISH_STOP);
    CHECK_EQ(read_stream(OPENAI_DELTA("\"content\":\"a\"")), ERR_UP_DIED);
    CHECK_EQ(read_stream(""), ERR_UP_DIED);
    CHECK_EQ(read_stream("data: [DONE]\n\n"), ERR_UP_PROTOCOL);
    CHECK_EQ(read_stream("data: {\"error\":{\"message\":\"busy\",\"type\":\"overloaded_error\"}}\n\n"),
             ERR_UP_OVERLOADED);
    CHECK_EQ(read_stream(OPENAI_DELTA("\"content\":\"a\"") "data: {\"error\":\"oh\"}\n\n"), ERR_UP_INTERNAL);
    fresh();
}

TEST(openai_stream_wrong_types_are_protocol_errors) {
    static const char *const bad[] = {
        "data: 7\n\n",
        "data: {\"choices\":7}\n\n",
        "data: {\"choices\":[7]}\n\n",
        "data: {\"choices\":[{\"delta\":7}]}\n\n",
        "data: {\"choices\":[{\"index\":99,\"delta\":{}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":7}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":7}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[7]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":7}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"x\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":7}}]}}]}\n\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fresh();
        enum err e = read_stream(bad[i]);
        if (e != ERR_UP_PROTOCOL)
            FAIL("%s gave %s", bad[i], err_name(e));
    }
    fresh();
}

TEST(openai_stream_lists_usage_and_choices) {
    fresh();
    CHECK_EQ(
        read_stream(
            "data: {\"id\":\"x\",\"choices\":[]}\n\n: comment\n\n"
            "data: {\"id\":\"y\",\"choices\":[{\"index\":1,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":"
            "[{\"type\":\"text\",\"text\":\"t\"}]},{\"type\":\"text\",\"text\":\"b\"}]},\"finish_reason\":\"stop\"},"
            "{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1,"
            "\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":1}},\"timings\":{\"prompt_ms\":1.5,"
            "\"predicted_ms\":2}}\n\n"),
        ERR_OK);
    CHECK_SLICE(answer.id, "y");
    CHECK_EQ(answer.n_blocks, 3);
    CHECK_EQ(block_at(0)->kind, BLOCK_THINK);
    CHECK_EQ(block_at(1)->choice, 1);
    CHECK_EQ(answer.choices[0].finish, FINISH_LENGTH);
    CHECK_EQ(answer.usage.cache_read_tokens, 1);
    CHECK_EQ(answer.usage.prompt_us, 1500);
    fresh();
}

static enum err ignore(void *ctx, const struct event *ev) {
    *(size_t *)ctx += ev->kind == EV_DELTA;
    return ERR_OK;
}

TEST(openai_stream_of_any_length_takes_no_more_memory) {
    fresh();
    size_t deltas = 0;
    struct event_sink sink = {ignore, &deltas};
    struct stream_reader *r = codec()->reader_new(&arena, OP_CHAT);
    CHECK(r != NULL);
    struct slice bytes = SLICE(OPENAI_DELTA("\"content\":\"word\""));
    struct frame f;
    CHECK(sample_frame(FRAMING_SSE, &bytes, &f));
    CHECK_EQ(codec()->reader_frame(r, &f, &sink), ERR_OK);
    size_t used = arena.used_bytes;
    for (int i = 1; i < 2000; i++)
        CHECK_EQ(codec()->reader_frame(r, &f, &sink), ERR_OK);
    CHECK_EQ(deltas, 2000);
    CHECK_EQ(arena.used_bytes, used);
    fresh();
}

// ---- writing streams

struct writing {
    struct stream_writer *w;
    struct buf out;
};

static enum err to_writer(void *ctx, const struct event *ev) {
    struct writing *x = ctx;
    return codec()->writer_event(x->w, ev, &x->out);
}

#define HEAD \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\"choices\":["

TEST(openai_writer_writes_what_clients_expect) {
    fresh();
    struct request r;
    request_init(&r);
    r.include_usage = true;
    struct writing x = {codec()->writer_new(&arena, &r, &sample_identity), BUF_INIT(1 << 16)};
    struct event_sink sink = {to_writer, &x};
    enum err e = sample_read_stream(&arena, codec(), slice_str(openai_sample_streams[0]), &sink);
    char *text = arena_cstr(&arena, buf_slice(&x.out));
    buf_done(&x.out);
    CHECK_EQ(e, ERR_OK);
    CHECK_STREQ(
        text, HEAD
        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n" HEAD
        "{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}],\"usage\":null}\n\n" HEAD
        "{\"index\":0,\"delta\":{\"content\":\"lo \xc3\xa9\\n\"},\"finish_reason\":null}],\"usage\":null}\n\n" HEAD
        "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n" HEAD
        "],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}}\n\ndata: [DONE]\n\n");
    fresh();
}

TEST(openai_writer_error_and_ping) {
    fresh();
    struct request r;
    request_init(&r);
    struct buf out = BUF_INIT(4096);
    struct stream_writer *w = codec()->writer_new(&arena, &r, &sample_identity);
    const struct problem p = PROBLEM(ERR_UP_DIED);
    enum err e = codec()->writer_event(w, &(struct event){.kind = EV_PING}, &out);
    if (!e)
        e = codec()->writer_event(w, &(struct event){.kind = EV_ERROR, .problem = &p}, &out);
    char *text = arena_cstr(&arena, buf_slice(&out));
    buf_done(&out);
    CHECK_EQ(e, ERR_OK);
    CHECK_STREQ(
        text,
        ": keep-alive\n\ndata: {\"error\":{\"message\":\"the upstream closed the connection before the answer was "
        "complete\",\"type\":\"server_error\",\"param\":null,\"code\":\"up_died\"}}\n\n");
    fresh();
}

// ---- errors

static enum err error_of(int status, const char *body, unsigned quirks) {
    codec()->read_error(&arena, status, slice_str(body), quirks, &problem);
    return problem.err;
}

TEST(openai_errors_of_many_servers) {
    fresh();
    CHECK_EQ(error_of(400, openai_sample_errors[0], 0), ERR_CONTEXT_LENGTH);
    CHECK_SLICE(problem.code, "context_length_exceeded");
    CHECK_EQ(error_of(400,
                      "{\"error\":{\"code\":400,\"message\":\"request (9 tokens) exceeds the available context size\","
                      "\"type\":\"exceed_context_size_error\",\"n_prompt_tokens\":9,\"n_ctx\":4}}",
                      0),
             ERR_CONTEXT_LENGTH);
    CHECK_EQ(error_of(400, "{\"error\":{\"message\":\"temperature is silly\"}}", 0), ERR_UP_REFUSED);
    CHECK_SLICE(problem.message, "temperature is silly");
    CHECK_EQ(error_of(429, "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"pay\"}}", 0), ERR_UP_QUOTA);
    CHECK_EQ(error_of(429, "{\"error\":{\"message\":\"slow down, org-123\"}}", 0), ERR_UP_RATE_LIMIT);
    CHECK(problem.message.n == 0 && problem.detail.n > 0);
    CHECK_EQ(error_of(404, "{\"error\":{\"message\":\"no such model\"}}", 0), ERR_UP_NOT_FOUND);
    CHECK_EQ(error_of(401, "{\"error\":{\"message\":\"bad key sk-x\"}}", 0), ERR_UP_AUTH);
    CHECK_EQ(
        error_of(503, "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}", 0),
        ERR_UP_OVERLOADED);
    CHECK_EQ(
        error_of(400, "{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 tokens\"}", 0),
        ERR_CONTEXT_LENGTH);
    CHECK_EQ(error_of(502, "<html>", 0), ERR_UP_INTERNAL);
    CHECK_EQ(error_of(500, "", 0), ERR_UP_INTERNAL);
    const char *image =
        "{\"error\":{\"code\":500,\"message\":\"image input is not supported - hint\",\"type\":\"server_error\"}}";
    CHECK_EQ(error_of(500, image, 0), ERR_UP_INTERNAL);
    CHECK_EQ(error_of(500, image, QUIRK_LLAMA_STATUS), ERR_UP_REFUSED);
    fresh();
}

static const char *error_text(enum err e, int *ret_status) {
    struct problem p = PROBLEM(e);
    struct buf out = BUF_INIT(4096);
    codec()->write_error(&p, SLICE("x1"), &out, ret_status);
    const char *text = arena_cstr(&arena, buf_slice(&out));
    buf_done(&out);
    return text;
}

TEST(openai_errors_are_written) {
    fresh();
    int status = 0;
    CHECK_STREQ(
        error_text(ERR_MODEL_NOT_FOUND, &status),
        "{\"error\":{\"message\":\"the model does not exist here\",\"type\":\"invalid_request_error\",\"param\":null,"
        "\"code\":\"model_not_found\"}}");
    CHECK_EQ(status, 404);
    CHECK(strstr(error_text(ERR_UNAUTHORIZED, &status), "\"invalid_api_key\"") != NULL);
    CHECK_EQ(status, 401);
    CHECK(strstr(error_text(ERR_NO_MEMORY, &status), "server_error") != NULL);
    CHECK_EQ(status, 503);
    fresh();
}

TEST(dialect_lookups) {
    enum op op = OP_GENERATE;
    bool known = false;
    CHECK(dialect_for(SLICE("POST"), SLICE("/v1/chat/completions"), &op, &known) == codec());
    CHECK_EQ(op, OP_CHAT);
    CHECK(!dialect_for(SLICE("GET"), SLICE("/v1/chat/completions"), &op, &known) && known);
    CHECK(!dialect_for(SLICE("GET"), SLICE("/nowhere"), &op, &known) && !known);
    CHECK(dialect_by_name(SLICE("openai")) == codec());
    CHECK(dialect_by_name(SLICE("none")) == NULL);
    CHECK_EQ(dialect_err_of_status(403), ERR_UP_AUTH);
    CHECK_EQ(dialect_err_of_status(418), ERR_UP_REFUSED);
    CHECK_EQ(dialect_err_of_status(529), ERR_UP_OVERLOADED);
}
