// SPDX-License-Identifier: Apache-2.0
// What is special about Gemini: addresses that hold the model, two spellings of every name, Google's schemas, results that
// are objects, calls in pieces, prompts that are blocked, streams that are one array.
#include "dialect/gemini.h"
#include "base/limits.h"
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;
static const struct dialect *d;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
    d = dialect_get(DIALECT_GEMINI);
}

#define CHECK_SLICE(s, text) CHECK_STREQ(arena_cstr(&arena, (s)), (text))

static struct request *read(const char *body, struct problem *p) {
    struct request *r = NULL;
    *p = PROBLEM(ERR_OK);
    return d->read_request(&arena, OP_CHAT, slice_str(body), &r, p) ? NULL : r;
}

static const char *written(const struct request *r, const struct dialect *by, struct wire_request *wire) {
    struct problem p = PROBLEM(ERR_OK);
    const struct write_options o = {.model = SLICE("up"), .max_tokens = -1, .stream = -1, .default_max_tokens = 9};
    const char *text = by->write_request(&arena, r, &o, wire, &p) ? NULL : arena_cstr(&arena, wire->body);
    return text ? text : "(not written)";
}

static bool noted(const struct wire_request *wire, const char *path) {
    for (const struct note *n = wire->notes.first; n; n = n->next)
        if (slice_is(n->path, path))
            return true;
    return false;
}

// ---- addresses

TEST(gemini_addresses_say_model_and_stream) {
    static const struct {
        const char *path, *query, *model;
        bool stream, array;
    } rows[] = {
        {"/v1beta/models/gemini-2.5-flash:generateContent", "", "gemini-2.5-flash", false, false},
        {"/v1/models/local/qwen3:8b:generateContent", "", "local/qwen3:8b", false, false},
        {"/v1/models/local%2Fqwen3%3a8b:generateContent", "", "local/qwen3:8b", false, false},
        {"/v1beta/models/m:streamGenerateContent", "alt=sse", "m", true, false},
        {"/v1beta/tunedModels/m:generateContent", "", "tunedModels/m", false, false},
        {"/v1/local/m:8b:streamGenerateContent", "alt=sse", "local/m:8b", true, false},
        {"/v1beta/models/m:streamGenerateContent", "key=k&alt=sse", "m", true, false},
        {"/v1beta/models/m:streamGenerateContent", "alt=json", "m", true, true},
        {"/v1beta/models/m:streamGenerateContent", "", "m", true, true},
        {"/v1beta/models/100%:generateContent", "", "100%", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request r;
        struct problem p = PROBLEM(ERR_OK);
        fresh();
        request_init(&r);
        CHECK_EQ(d->read_address(&arena, slice_str(rows[i].path), slice_str(rows[i].query), &r, &p), ERR_OK);
        CHECK_SLICE(r.model, rows[i].model);
        CHECK_EQ(r.stream, rows[i].stream);
        CHECK_EQ(r.stream_array, rows[i].array);
    }
    struct request r;
    struct problem p = PROBLEM(ERR_OK);
    char *longer = arena_alloc(&arena, 2000);
    memset(longer, 'a', 2000);
    const char *path = arena_printf(&arena, "/v1/models/%.300s:generateContent", longer);
    CHECK_EQ(d->read_address(&arena, slice_str(path), SLICE(""), &r, &p), ERR_BAD_FIELD);
    path = arena_printf(&arena, "/v1/models/%.1500s:generateContent", longer);
    CHECK_EQ(d->read_address(&arena, slice_str(path), SLICE(""), &r, &p), ERR_BAD_FIELD);
    CHECK_EQ(d->read_address(&arena, SLICE("/v1/models/%ff:generateContent"), SLICE(""), &r, &p), ERR_BAD_FIELD);
    CHECK_EQ(d->read_address(&arena, SLICE("/v1/models/:generateContent"), SLICE(""), &r, &p), ERR_MISSING_FIELD);
    CHECK_SLICE(p.param, "model");
    fresh();
}

TEST(gemini_paths_for_an_upstream) {
    fresh();
    CHECK_STREQ(gemini_path(&arena, SLICE("gemini-3"), "generateContent"), "/models/gemini-3:generateContent");
    CHECK_STREQ(gemini_path(&arena, SLICE("models/m"), "countTokens"), "/models/m:countTokens");
    CHECK_STREQ(gemini_path(&arena, SLICE("a?b #c"), "generateContent"), "/models/a%3Fb%20%23c:generateContent");
    fresh();
}

// ---- requests

TEST(gemini_names_in_two_spellings) {
    struct problem p;
    const char *where = "";
    fresh();
    struct request *snake = read(gemini_sample_requests[3], &p);
    struct request *camel = read(
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]}],\"systemInstruction\":{\"parts\":[{\"text\":\"S\"}]},"
        "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parametersJsonSchema\":{\"type\":\"object\"}}]}],"
        "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"AUTO\"}},\"generationConfig\":{\"responseMimeType\":"
        "\"application/json\",\"responseJsonSchema\":{\"type\":\"object\"},\"maxOutputTokens\":9,\"topP\":0.5,"
        "\"thinkingConfig\":{\"thinkingBudget\":-1}}}",
        &p);
    CHECK(snake && camel);
    if (!request_equal(snake, camel, &where))
        FAIL("%s differs", where);
    CHECK(!read("{\"contents\":[{\"parts\":[]}],\"generationConfig\":{},\"generation_config\":{}}", &p));
    CHECK_SLICE(p.param, "generationConfig");
    CHECK(!read("{\"contents\":[{\"parts\":[{\"inline_data\":{\"mime_type\":7,\"data\":\"\"}}]}]}", &p));
    CHECK_SLICE(p.param, "contents[0].parts[0].inline_data.mime_type");
    fresh();
}

TEST(gemini_schemas_become_json_schema) {
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"{\"type\":\"STRING\",\"nullable\":true,\"enum\":[\"A\"]}",
         "{\"type\":[\"string\",\"null\"],\"enum\":[\"A\"]}"},
        {"{\"type\":\"ARRAY\",\"items\":{\"type\":\"NUMBER\"},\"min_items\":\"2\",\"maxItems\":3}",
         "{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"minItems\":2,\"maxItems\":3}"},
        {"{\"type\":\"OBJECT\",\"properties\":{\"type\":{\"type\":\"BOOLEAN\"}},\"propertyOrdering\":[\"type\"]}",
         "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"boolean\"}}}"},
        {"{\"anyOf\":[{\"type\":\"INTEGER\"},{\"type\":\"TYPE_UNSPECIFIED\"}],\"default\":{\"type\":\"STRING\"}}",
         "{\"anyOf\":[{\"type\":\"integer\"},{}],\"default\":{\"type\":\"STRING\"}}"},
        {"{\"type\":[\"string\",\"null\"],\"additionalProperties\":false,\"$ref\":\"#/$defs/A\"}",
         "{\"type\":[\"string\",\"null\"],\"additionalProperties\":false,\"$ref\":\"#/$defs/A\"}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem p;
        fresh();
        struct request *r =
            read(arena_printf(&arena,
                              "{\"contents\":[{\"parts\":[]}],\"tools\":[{\"functionDeclarations\":[{\"name\":"
                              "\"f\",\"parameters\":%s}]}],\"generationConfig\":{\"responseSchema\":%s}}",
                              rows[i].from, rows[i].from),
                 &p);
        CHECK(r != NULL);
        CHECK_SLICE(r->tools->schema, rows[i].to);
        CHECK_SLICE(r->format_schema, rows[i].to);
    }
    fresh();
}

TEST(gemini_results_become_texts_and_back) {
    static const struct {
        const char *response, *text, *back;
        bool error;
    } rows[] = {
        {"{\"output\":\"rain\"}", "rain", "{\"output\":\"rain\"}", false},
        {"{\"result\":\"rain\"}", "rain", "{\"output\":\"rain\"}", false},
        {"{\"error\":\"no\"}", "no", "{\"error\":\"no\"}", true},
        {"{\"output\":{\"a\":1}}", "{\"output\":{\"a\":1}}", "{\"output\":{\"a\":1}}", false},
        {"{\"a\":1,\"output\":\"x\"}", "{\"a\":1,\"output\":\"x\"}", "{\"a\":1,\"output\":\"x\"}", false},
        {"{}", "{}", "{}", false},
        {"{\"output\":\"[1]\"}", "[1]", "{\"output\":\"[1]\"}", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem p;
        struct wire_request wire;
        fresh();
        struct request *r =
            read(arena_printf(&arena,
                              "{\"contents\":[{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]},"
                              "{\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":%s}}]}]}",
                              rows[i].response),
                 &p);
        CHECK(r != NULL);
        const struct part *result = r->messages->next->parts;
        CHECK_SLICE(result->content->text, rows[i].text);
        CHECK_EQ(result->is_error, rows[i].error);
        CHECK_SLICE(result->id, "call_0");
        r->carried = true;
        if (!strstr(written(r, d, &wire), rows[i].back))
            FAIL("%s became %s", rows[i].response, arena_cstr(&arena, wire.body));
    }
    fresh();
}

TEST(gemini_keeps_what_only_it_knows) {
    struct problem p;
    struct wire_request wire;
    fresh();
    struct request *r = read(
        "{\"contents\":[{\"parts\":[{\"text\":\"x\"},{\"fileData\":{\"fileUri\":\"gs://b/f\",\"mimeType\":\"image/png\"}},"
        "{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"}},{\"inlineData\":{\"mimeType\":\"video/mp4\","
        "\"data\":\"AAAA\"}}]}],\"tools\":[{\"googleSearch\":{},\"functionDeclarations\":[{\"name\":\"f\"}]}],"
        "\"safetySettings\":[{\"category\":\"C\",\"threshold\":\"T\"}],\"cachedContent\":\"c\",\"generationConfig\":{"
        "\"mediaResolution\":\"LOW\",\"responseModalities\":[\"TEXT\",\"IMAGE\"]},\"toolConfig\":{\"functionCallingConfig\":"
        "{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\",\"g\"]}}}",
        &p);
    CHECK(r != NULL);
    r->carried = true; // so that it is written from the fields
    const char *text = written(r, d, &wire);
    static const char *const parts[] = {"gs://b/f",
                                        "executableCode",
                                        "video/mp4",
                                        "{\"googleSearch\":{}}",
                                        "\"threshold\":\"T\"",
                                        "\"cachedContent\":\"c\"",
                                        "\"mediaResolution\":\"LOW\""};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(text, parts[i]))
            FAIL("no %s in %s", parts[i], text);
    CHECK(r->kept);
    text = written(r, dialect_get(DIALECT_OPENAI), &wire);
    CHECK(!strstr(text, "gs://") && !strstr(text, "googleSearch"));
    static const char *const paths[] = {"safetySettings",  "cachedContent",
                                        "mediaResolution", "generationConfig.responseModalities",
                                        "tools",           "toolConfig.functionCallingConfig.allowedFunctionNames"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (!noted(&wire, paths[i]))
            FAIL("%s is not noted", paths[i]);
    fresh();
}

// As Google's own clients write bytes.
TEST(gemini_media_in_the_alphabet_of_urls_reaches_others_in_the_usual_one) {
    struct wire_request wire;
    struct problem p;
    fresh();
    struct request *r =
        read("{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"ab-_AB\"}}]}]}", &p);
    CHECK(r != NULL);
    CHECK(strstr(written(r, dialect_get(DIALECT_OPENAI), &wire), "data:image/png;base64,ab+/AB=="));
    CHECK(strstr(written(r, d, &wire), "\"ab-_AB\""));
    CHECK(!read("{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"a b\"}}]}]}", &p));
    CHECK_SLICE(p.param, "contents[0].parts[0].inlineData.data");
    fresh();
}

static struct request *read_chat(const char *body) {
    struct problem p = PROBLEM(ERR_OK);
    struct request *r = NULL;
    return dialect_get(DIALECT_OPENAI)->read_request(&arena, OP_CHAT, slice_str(body), &r, &p) ? NULL : r;
}

TEST(gemini_is_written_for_other_clients) {
    struct wire_request wire;
    fresh();
    struct request *r = read_chat(
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"u\"},{\"role\":"
        "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
        "\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r1\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":"
        "\"{\\\"x\\\":2}\"},{\"role\":\"system\",\"content\":\"T\"}],\"user\":\"me\",\"max_tokens\":5}");
    CHECK(r != NULL);
    CHECK_STREQ(
        written(r, d, &wire),
        "{\"systemInstruction\":{\"parts\":[{\"text\":\"S\"},{\"text\":\"T\"}]},\"contents\":[{\"role\":\"user\",\"parts\":[{"
        "\"text\":\"u\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":1}},"
        "\"thoughtSignature\":\"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=\"},{\"functionCall\":{\"id\":\"c2\",\"name\":\"g\","
        "\"args\":{}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\",\"response\":{\"output\":"
        "\"r1\"}}},{\"functionResponse\":{\"id\":\"c2\",\"name\":\"g\",\"response\":{\"x\":2}}}]}],\"generationConfig\":{"
        "\"maxOutputTokens\":5}}");
    CHECK_STREQ(wire.path, "/models/up:generateContent");
    CHECK(noted(&wire, "user") && noted(&wire, "messages") && noted(&wire, "thoughtSignature"));
    fresh();
}

TEST(gemini_thinking_is_a_budget_for_others) {
    static const struct {
        const char *effort, *config;
    } rows[] = {{"low", "{\"thinkingBudget\":1024,\"includeThoughts\":true}"},
                {"high", "{\"thinkingBudget\":16384,\"includeThoughts\":true}"},
                {"none", NULL}};
    for (size_t i = 0; i < 3; i++) {
        struct wire_request wire;
        fresh();
        struct request *r = read_chat(arena_printf(
            &arena,
            "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}],\"reasoning_effort\":\"%s\"}",
            rows[i].effort));
        const char *text = written(r, d, &wire);
        CHECK_EQ(strstr(text, "thinkingConfig") != NULL, rows[i].config != NULL);
        CHECK(!rows[i].config || strstr(text, rows[i].config));
        CHECK(wire.notes.n == 1);
    }
    fresh();
}

TEST(gemini_bound_is_set_in_the_source) {
    struct problem p;
    struct wire_request wire;
    const struct write_options o = {.model = SLICE("up"), .max_tokens = 7, .stream = 1};
    fresh();
    struct request *r =
        read("{ \"model\":\"models/x\",\"contents\":[{\"parts\":[]}], \"generation_config\": {\"temperature\": 1, "
             "\"max_output_tokens\": 90, \"a\":2} }",
             &p);
    CHECK_EQ(d->write_request(&arena, r, &o, &wire, &p), ERR_OK);
    CHECK_SLICE(wire.body, "{ \"contents\":[{\"parts\":[]}], \"generation_config\": {\"temperature\":1,\"a\":2,"
                           "\"maxOutputTokens\":7} }");
    CHECK_STREQ(wire.path, "/models/up:streamGenerateContent?alt=sse");
    r = read("{\"contents\":[{\"parts\":[]}]}", &p);
    CHECK_EQ(d->write_request(&arena, r, &o, &wire, &p), ERR_OK);
    CHECK_SLICE(wire.body, "{\"contents\":[{\"parts\":[]}],\"generationConfig\":{\"maxOutputTokens\":7}}");
    fresh();
}

TEST(gemini_counts_tokens) {
    struct problem p = PROBLEM(ERR_OK);
    struct wire_request wire;
    struct request *r;
    struct answer answer;
    struct buf out = BUF_INIT(4096);
    fresh();
    CHECK_EQ(d->read_request(&arena, OP_COUNT_TOKENS, SLICE("{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}"), &r, &p),
             ERR_OK);
    CHECK_STREQ(written(r, d, &wire), "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}");
    CHECK_STREQ(wire.path, "/models/up:countTokens");
    CHECK_EQ(
        d->read_request(
            &arena, OP_COUNT_TOKENS,
            SLICE(
                "{\"generateContentRequest\":{\"model\":\"models/ours\",\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}}"),
            &r, &p),
        ERR_OK);
    CHECK(strstr(written(r, d, &wire), "{\"generateContentRequest\":{\"model\":\"models/up\",\"contents\":"));
    struct event_sink sink = {sample_collect, &answer};
    CHECK(answer_init(&answer, &arena));
    CHECK_EQ(d->read_answer(&arena, OP_COUNT_TOKENS, SLICE("{\"totalTokens\":31}"), &sink), ERR_OK);
    CHECK_EQ(d->write_answer(&arena, r, &answer, &sample_identity, &out), ERR_OK);
    CHECK_STREQ(buf_cstr(&out), "{\"totalTokens\":31}");
    buf_done(&out);
    fresh();
}

// ---- answers

static enum err collect(const char *body, struct answer **ret) {
    struct answer *answer = ARENA_NEW(&arena, struct answer);
    struct event_sink sink = {sample_collect, answer};
    *ret = answer;
    return answer_init(answer, &arena) ? d->read_answer(&arena, OP_CHAT, slice_str(body), &sink) : ERR_NO_MEMORY;
}

TEST(gemini_answers_end_for_a_reason) {
    static const struct {
        const char *body;
        enum err err;
        enum finish finish;
    } rows[] = {
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}", ERR_OK,
         FINISH_STOP},
        {"{\"candidates\":[{\"content\":{\"role\":\"model\"},\"finishReason\":\"MAX_TOKENS\"}]}", ERR_OK,
         FINISH_LENGTH},
        {"{\"candidates\":[{\"finishReason\":\"SAFETY\"}]}", ERR_OK, FINISH_FILTER},
        {"{\"candidates\":[{\"finishReason\":\"MODEL_ARMOR\"}]}", ERR_OK, FINISH_FILTER},
        {"{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"}}", ERR_OK, FINISH_FILTER},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]},\"finishReason\":\"STOP\"}]}",
         ERR_OK, FINISH_TOOL},
        {"{\"candidates\":[]}", ERR_UP_PROTOCOL, FINISH_NONE},
        {"{\"candidates\":{}}", ERR_UP_PROTOCOL, FINISH_NONE},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":1}]}}]}", ERR_UP_PROTOCOL, FINISH_NONE},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"args\":{}}}]}}]}", ERR_UP_PROTOCOL,
         FINISH_NONE},
        {"{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":[]}}]}}]}",
         ERR_UP_PROTOCOL, FINISH_NONE},
        {"{\"candidates\":[{\"index\":16,\"finishReason\":\"STOP\"}]}", ERR_UP_PROTOCOL, FINISH_NONE},
        {"{\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}", ERR_UP_OVERLOADED, FINISH_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answer *a;
        fresh();
        enum err e = collect(rows[i].body, &a);
        if (e != rows[i].err || (!e && a->choices[0].finish != rows[i].finish))
            FAIL("%s gave %s, %s", rows[i].body, err_name(e), finish_name(a->choices[0].finish));
    }
    fresh();
}

TEST(gemini_counts_thinking_beside_the_answer) {
    struct answer *a;
    fresh();
    CHECK_EQ(collect("{\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":10,"
                     "\"toolUsePromptTokenCount\":3,\"cachedContentTokenCount\":4,\"candidatesTokenCount\":5,"
                     "\"thoughtsTokenCount\":7,\"totalTokenCount\":25}}",
                     &a),
             ERR_OK);
    CHECK_EQ(a->usage.input_tokens, 13);
    CHECK_EQ(a->usage.output_tokens, 12);
    CHECK_EQ(a->usage.reasoning_tokens, 7);
    CHECK_EQ(a->usage.cache_read_tokens, 4);
    fresh();
}

static enum err add_pieces(struct gemini_partial *p, const char *json) {
    struct frame_json f;
    const char *text = arena_printf(&arena, "{\"l\":%s}", json);
    enum err e = frame_json_open(&f, slice_str(text));
    if (!e)
        e = gemini_partial_add(p, yyjson_obj_get(f.root, "l"));
    frame_json_close(&f);
    return e;
}

TEST(gemini_arguments_in_pieces) {
    static const char *const broken[] = {
        "7",
        "[{\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"a\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.a[\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.a[-1]\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.a[99999]\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.s.b\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.s[0]\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$.n\",\"stringValue\":\"x\"}]",
        "[{\"jsonPath\":\"$[0]\",\"stringValue\":\"x\"}]",
    };
    struct slice text;
    fresh();
    struct gemini_partial *p = gemini_partial_new(&arena);
    CHECK(p != NULL);
    CHECK_EQ(
        add_pieces(
            p,
            "[{\"jsonPath\":\"$.s\",\"stringValue\":\"Gr\\u00fc\"},{\"jsonPath\":\"$.s\",\"stringValue\":\"\\u00dfe\"},"
            "{\"jsonPath\":\"$.s\",\"stringValue\":\"\"},{\"jsonPath\":\"$.n\",\"numberValue\":-3},{\"jsonPath\":"
            "\"$.l[1].x\",\"boolValue\":false},{\"jsonPath\":\"$['odd.name']\",\"nullValue\":null},{\"jsonPath\":"
            "\"$.e\",\"stringValue\":\"\"}]"),
        ERR_OK);
    CHECK_EQ(gemini_partial_take(p, &text), ERR_OK);
    CHECK_SLICE(text, "{\"s\":\"Gr\u00fc\u00dfe\",\"n\":-3,\"l\":[null,{\"x\":false}],\"odd.name\":null,\"e\":\"\"}");
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        if (add_pieces(p, broken[i]) != ERR_UP_PROTOCOL)
            FAIL("%s was taken", broken[i]);
    fresh();
}

// ---- errors

TEST(gemini_errors_of_upstreams) {
    static const struct {
        int status;
        const char *body;
        enum err err;
        int64_t retry_ms;
    } rows[] = {
        {429,
         "{\"error\":{\"code\":429,\"message\":\"q\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"x/RetryInfo\","
         "\"retryDelay\":\"34.4s\"}]}}",
         ERR_UP_RATE_LIMIT, 34400},
        {429, "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"retryDelay\":\"7s\"}]}}",
         ERR_UP_RATE_LIMIT, 7000},
        {429, "{\"error\":{\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"retryDelay\":\"soon\"}]}}",
         ERR_UP_RATE_LIMIT, -1},
        {400, "{\"error\":{\"code\":400,\"message\":\"API key not valid.\",\"status\":\"INVALID_ARGUMENT\"}}",
         ERR_UP_AUTH, -1},
        {400,
         "{\"error\":{\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"reason\":"
         "\"API_KEY_INVALID\"}]}}",
         ERR_UP_AUTH, -1},
        {400, "{\"error\":{\"message\":\"The input token count (9) exceeds the maximum number of tokens allowed\"}}",
         ERR_CONTEXT_LENGTH, -1},
        {404, "{\"error\":{\"code\":404,\"message\":\"m\",\"status\":\"NOT_FOUND\"}}", ERR_UP_NOT_FOUND, -1},
        {503, "not json", ERR_UP_OVERLOADED, -1},
        {500, "[]", ERR_UP_INTERNAL, -1},
        {502, "{\"error\":\"text\"}", ERR_UP_INTERNAL, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct problem p;
        fresh();
        d->read_error(&arena, rows[i].status, slice_str(rows[i].body), 0, &p);
        if (p.err != rows[i].err || p.retry_after_ms != rows[i].retry_ms)
            FAIL("%s gave %s, %lld", rows[i].body, err_name(p.err), (long long)p.retry_after_ms);
    }
    fresh();
}

TEST(gemini_errors_to_clients) {
    struct problem p = PROBLEM(ERR_BAD_FIELD);
    struct buf out = BUF_INIT(4096);
    int status = 0;
    p.param = SLICE("contents[0]");
    p.message = SLICE("contents[0]: no");
    fresh();
    d->write_error(&p, SLICE("x"), &out, &status);
    CHECK_EQ(status, 400);
    CHECK_STREQ(
        buf_cstr(&out),
        "{\"error\":{\"code\":400,\"message\":\"contents[0]: no\",\"status\":\"INVALID_ARGUMENT\",\"details\":[{\"@type\":"
        "\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"contents[0]\",\"description\":"
        "\"contents[0]: no\"}]}]}}");
    buf_clear(&out);
    p = PROBLEM(ERR_UP_RATE_LIMIT);
    p.retry_after_ms = 1500;
    d->write_error(&p, SLICE("x"), &out, &status);
    CHECK(
        strstr(buf_cstr(&out),
               "\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
               "\"retryDelay\":\"1.500s\"}]"));
    buf_done(&out);
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

static struct told listener(bool array, int shown) {
    struct request *r = ARENA_NEW(&arena, struct request);
    request_init(r);
    r->dialect = DIALECT_GEMINI;
    r->stream = true;
    r->stream_array = array;
    r->think_shown = shown;
    return (struct told){d->writer_new(&arena, r, &sample_identity), BUF_INIT(1 << 20)};
}

TEST(gemini_streams_as_events_and_as_an_array) {
    fresh();
    struct told t = listener(false, -1);
    struct event_sink sink = {tell, &t};
    CHECK_EQ(sample_read_stream(&arena, d, slice_str(gemini_sample_streams[2]), &sink), ERR_OK);
    CHECK(slice_ends(buf_slice(&t.out), "\r\n\r\n"));
    CHECK(strstr(buf_cstr(&t.out), "\"args\":{\"city\":\"Bern\"}},\"thoughtSignature\":\"c2ln\"}"));
    buf_done(&t.out);

    t = listener(true, -1);
    CHECK_EQ(sample_read_stream(&arena, d, slice_str(gemini_sample_streams[2]), &sink), ERR_OK);
    struct json_doc doc;
    struct json_error why;
    CHECK_EQ(json_read(&arena, buf_slice(&t.out), &doc, &why), ERR_OK);
    CHECK_EQ(yyjson_arr_size(yyjson_doc_get_root(doc.doc)), 4);
    buf_done(&t.out);
    fresh();
}

TEST(gemini_streams_break_as_what_they_are) {
    struct problem p = PROBLEM(ERR_UP_DIED);
    const struct event error = {.kind = EV_ERROR, .problem = &p}, begin = {.kind = EV_BLOCK_BEGIN};
    const struct event delta = {.kind = EV_DELTA, .text = SLICE("a")};
    for (int i = 0; i < 4; i++) {
        struct json_doc doc;
        struct json_error why;
        fresh();
        struct told t = listener(i & 1, -1);
        if (i & 2) {
            CHECK_EQ(tell(&t, &begin), ERR_OK);
            CHECK_EQ(tell(&t, &delta), ERR_OK);
        }
        CHECK_EQ(tell(&t, &error), ERR_OK);
        CHECK(strstr(buf_cstr(&t.out), "{\"error\":{\"code\":502,"));
        CHECK(!(i & 1) || json_read(&arena, buf_slice(&t.out), &doc, &why) == ERR_OK);
        CHECK((i & 1) || slice_ends(buf_slice(&t.out), "}\r\n\r\n"));
        buf_done(&t.out);
    }
    fresh();
}

TEST(gemini_hides_thoughts_when_told) {
    for (int shown = -1; shown <= 1; shown++) {
        fresh();
        struct told t = listener(false, shown);
        struct event_sink sink = {tell, &t};
        CHECK_EQ(sample_read_stream(&arena, d, slice_str(gemini_sample_streams[1]), &sink), ERR_OK);
        CHECK_EQ(strstr(buf_cstr(&t.out), "\"thought\":true") != NULL, shown != 0);
        buf_done(&t.out);
    }
    fresh();
}
