// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_SAMPLES_H
#define DIALECT_SAMPLES_H
// Tests only: what each dialect offers to codec_suite_test.c, and what the tests of codecs share. A dialect without a row is
// skipped. All lists end with NULL.
#include <stdlib.h>
#include "base/limits.h"
#include "dialect/dialect.h"

struct dialect_samples {
    // Bodies of OP_CHAT requests. Everything in them must be modelled, so that they survive without their source.
    const char *const *requests;
    // Whole streams as on the wire, with a proper end. The same answer in every dialect is best: it is carried across.
    const char *const *streams;
    // Whole answers.
    const char *const *answers;
    // Error bodies (their status is 400).
    const char *const *errors;
    // NULL, or of a dialect that refuses a wrong type wherever it stands: what a path holds where anything may be.
    const char *const *free_paths;
};

// ---- openai

static const char *const openai_sample_requests[] = {
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
    "{ \"model\": \"gpt-x\", \"stream\": true, \"stream_options\": {\"include_usage\": true},\n"
    "  \"messages\": [{\"role\": \"system\", \"content\": \"be brief\"},\n"
    "    {\"role\": \"developer\", \"content\": \"and kind\"},\n"
    "    {\"role\": \"user\", \"name\": \"ann\", \"content\": [{\"type\": \"text\", \"text\": \"what is this? \\u00e9\\n\"},\n"
    "      {\"type\": \"image_url\", \"image_url\": {\"url\": \"data:image/png;base64,AAAA\", \"detail\": \"low\"}},\n"
    "      {\"type\": \"image_url\", \"image_url\": {\"url\": \"https://x.example/a.png\"}},\n"
    "      {\"type\": \"input_audio\", \"input_audio\": {\"data\": \"UklG\", \"format\": \"wav\"}},\n"
    "      {\"type\": \"file\", \"file\": {\"filename\": \"a.pdf\", \"file_data\": \"data:application/pdf;base64,JVBE\"}}]}],\n"
    "  \"max_tokens\": 100, \"temperature\": 0.7, \"top_p\": 0.9, \"presence_penalty\": -0.5,\n"
    "  \"frequency_penalty\": 1.5, \"seed\": -7, \"stop\": [\"a\", \"b\"], \"n\": 2, \"logprobs\": true,\n"
    "  \"top_logprobs\": 3, \"user\": \"u1\", \"reasoning_effort\": \"low\" }",
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"weather in Bern and Rome?\"},"
    "{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"two calls\",\"tool_calls\":["
    "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Bern\\\"}\"}},"
    "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Rome\\\"}\"}}]},"
    "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"rain\"},"
    "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"su\"},{\"type\":\"text\","
    "\"text\":\"n\"}]},{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"},{\"role\":\"user\",\"content\":\"so?\"}],"
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"weather\",\"description\":\"now\",\"strict\":true,"
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}}],"
    "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"weather\"}},\"parallel_tool_calls\":false,"
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"w\",\"strict\":true,"
    "\"schema\":{\"type\":\"object\"}}},\"max_tokens\":5,\"top_k\":4,\"min_p\":0.25,\"repeat_penalty\":1.25}",
    NULL,
};

#define OPENAI_CHUNK(choices)                                                                                           \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\"," choices \
    "}\n\n"
#define OPENAI_DELTA(delta) OPENAI_CHUNK("\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]")
#define OPENAI_FINISH(reason) OPENAI_CHUNK("\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]")
#define OPENAI_USAGE(in, out)                                                                      \
    OPENAI_CHUNK("\"choices\":[],\"usage\":{\"prompt_tokens\":" #in ",\"completion_tokens\":" #out \
                 ",\"total_tokens\":0}")

static const char *const openai_sample_streams[] = {
    OPENAI_DELTA("\"role\":\"assistant\",\"content\":\"\"") OPENAI_DELTA("\"content\":\"Hel\"")
        OPENAI_DELTA("\"content\":\"lo \\u00e9\\n\"") OPENAI_FINISH("stop") OPENAI_USAGE(7, 3) "data: [DONE]\n\n",
    OPENAI_DELTA("\"role\":\"assistant\",\"reasoning_content\":\"hm\"") OPENAI_DELTA("\"reasoning_content\":\"m.\"")
        OPENAI_DELTA("\"content\":\"It is\"") OPENAI_DELTA("\"content\":\" 4.\"") OPENAI_FINISH("length")
            OPENAI_USAGE(9, 5) "data: [DONE]\n\n",
    OPENAI_DELTA("\"role\":\"assistant\",\"content\":\"I look.\"") OPENAI_DELTA(
        "\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"weather\","
        "\"arguments\":\"\"}}]")
        OPENAI_DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"city\\\":\"}}]")
            OPENAI_DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\"Bern\\\"}\"}}]") OPENAI_DELTA(
                "\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"clock\","
                "\"arguments\":\"{}\"}}]") OPENAI_FINISH("tool_calls") OPENAI_USAGE(20, 11) "data: [DONE]\n\n",
    NULL,
};

static const char *const openai_sample_answers[] = {
    "{\"id\":\"chatcmpl-2\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"Hello\",\"reasoning_content\":\"hm\",\"refusal\":null},"
    "\"logprobs\":{\"content\":[{\"token\":\"Hello\",\"logprob\":-0.5}]},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10,\"prompt_tokens_details\":"
    "{\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":1}}}",
    "{\"id\":\"chatcmpl-3\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":"
    "{\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Bern\\\"}\"}},{\"id\":\"c2\",\"type\":\"function\",\"function\":"
    "{\"name\":\"clock\",\"arguments\":\"{}\"}}]},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],"
    "\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":11,\"total_tokens\":31}}",
    NULL,
};

static const char *const openai_sample_errors[] = {
    "{\"error\":{\"message\":\"too long\",\"type\":\"invalid_request_error\",\"param\":\"messages\","
    "\"code\":\"context_length_exceeded\"}}",
    "{\"error\":{\"code\":400,\"message\":\"bad\",\"type\":\"invalid_request_error\"}}",
    NULL,
};

// ---- the others
#include "dialect/anthropic_samples.h"
#include "dialect/gemini_samples.h"
#include "dialect/ollama_samples.h"
#include "dialect/responses_samples.h"

static const struct dialect_samples samples[DIALECT_COUNT] = {
    [DIALECT_OPENAI] = {openai_sample_requests, openai_sample_streams, openai_sample_answers, openai_sample_errors},
    [DIALECT_ANTHROPIC] = ANTHROPIC_SAMPLES,
    [DIALECT_OLLAMA] = OLLAMA_SAMPLES,
    [DIALECT_RESPONSES] = RESPONSES_SAMPLES,
    [DIALECT_GEMINI] = GEMINI_SAMPLES,
};

#define EACH_SAMPLE(d, list, s)                                                              \
    for (const struct dialect *const *dp_ = dialects; dp_ < dialects + DIALECT_COUNT; dp_++) \
        for (const struct dialect *d = *dp_; d; d = NULL)                                    \
            for (const char *const *s = samples[d->id].list; s && *s; s++)

// ---- what tests of codecs share

// Cuts the next frame off a stream's bytes; false at the end. Enough for samples, not for the world.
static inline bool sample_frame(enum framing framing, struct slice *rest, struct frame *ret) {
    *ret = (struct frame){0};
    if (!rest->n)
        return false;
    if (framing == FRAMING_NDJSON) {
        ret->raw = *rest;
        ret->data = slice_split(rest, '\n');
        ret->raw.n = ret->data.n + 1;
        return true;
    }
    size_t end = slice_search(*rest, SLICE("\n\n")), cr = slice_search(*rest, SLICE("\r\n\r\n")), n = 2;
    if (cr < end)
        end = cr, n = 4;
    struct slice event = slice_first(*rest, end == SIZE_MAX ? rest->n : end);
    ret->raw = slice_first(*rest, end == SIZE_MAX ? rest->n : end + n);
    *rest = slice_from(*rest, ret->raw.n);
    ret->comment = event.n && event.p[0] == ':';
    while (event.n) {
        struct slice line = slice_split(&event, '\n');
        if (slice_starts(line, "event:"))
            ret->event = slice_trim(slice_from(line, 6));
        if (slice_starts(line, "data:"))
            ret->data = slice_trim(slice_from(line, 5));
    }
    return true;
}

static inline enum err sample_collect(void *ctx, const struct event *ev) {
    return answer_add(ctx, ev);
}

// Reads a whole stream into an answer.
static inline enum err sample_read_stream(struct arena *a, const struct dialect *d, struct slice bytes,
                                          struct event_sink *sink) {
    struct frame f;
    struct stream_reader *r = d->reader_new(a, OP_CHAT);
    enum err e = r ? ERR_OK : ERR_NO_MEMORY;
    while (!e && sample_frame(d->framing, &bytes, &f))
        e = d->reader_frame(r, &f, sink);
    return e ? e : d->reader_finish(r, sink);
}

// A request as an upstream of dialect d gets it, read again there.
static inline enum err sample_read_wire(struct arena *a, const struct dialect *d, const struct wire_request *wire,
                                        enum op op, struct request **ret, struct problem *p) {
    *p = PROBLEM(ERR_OK);
    enum err e = d->read_request(a, op, wire->body, ret, p);
    if (e || !d->read_address)
        return e;
    struct slice query = slice_str(arena_printf(a, "/v1beta%s", wire->path)), path = slice_split(&query, '?');
    return d->read_address(a, path, query, *ret, p);
}

static const struct identity sample_identity = {{"x1", 2}, {"named", 5}, 1700000001};

#endif
