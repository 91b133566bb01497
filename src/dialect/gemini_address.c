// SPDX-License-Identifier: Apache-2.0
// Gemini's addresses, which say what other dialects have in the body: the model, the method, and by ?alt=sse how a stream
// is framed. The SDK asks under /v1beta or /v1, by its version. A model may be one of ours, with slashes and colons in it
// ("local/qwen3:8b"), as it is or percent-encoded; some clients take such a name for a whole resource ("tunedModels/x") and
// leave "models/" out. Pure, arena memory.
#include "base/limits.h"
#include "dialect/gemini.h"

#define STREAM ":streamGenerateContent"
#define EMBED_ONE ":embedContent"
#define EMBED_MANY ":batchEmbedContents"

const struct dialect_address gemini_addresses[] = {
    {"POST", "/v1beta/models/{model}:generateContent", OP_CHAT},
    {"POST", "/v1beta/models/{model}" STREAM, OP_CHAT},
    {"POST", "/v1beta/models/{model}:countTokens", OP_COUNT_TOKENS},
    {"POST", "/v1beta/models/{model}" EMBED_ONE, OP_EMBED},
    {"POST", "/v1beta/models/{model}" EMBED_MANY, OP_EMBED},
    {"POST", "/v1/models/{model}:generateContent", OP_CHAT},
    {"POST", "/v1/models/{model}" STREAM, OP_CHAT},
    {"POST", "/v1/models/{model}:countTokens", OP_COUNT_TOKENS},
    {"POST", "/v1/models/{model}" EMBED_ONE, OP_EMBED},
    {"POST", "/v1/models/{model}" EMBED_MANY, OP_EMBED},
    {"POST", "/models/{model}:generateContent", OP_CHAT},
    {"POST", "/models/{model}" STREAM, OP_CHAT},
    {"POST", "/models/{model}:countTokens", OP_COUNT_TOKENS},
    {"POST", "/models/{model}" EMBED_ONE, OP_EMBED},
    {"POST", "/models/{model}" EMBED_MANY, OP_EMBED},
    {"POST", "/v1beta/{model}:generateContent", OP_CHAT}, // behind those with "models/", which it would match too
    {"POST", "/v1beta/{model}" STREAM, OP_CHAT},
    {"POST", "/v1beta/{model}:countTokens", OP_COUNT_TOKENS},
    {"POST", "/v1beta/{model}" EMBED_ONE, OP_EMBED},
    {"POST", "/v1beta/{model}" EMBED_MANY, OP_EMBED},
    {"POST", "/v1/{model}:generateContent", OP_CHAT},
    {"POST", "/v1/{model}" STREAM, OP_CHAT},
    {"POST", "/v1/{model}:countTokens", OP_COUNT_TOKENS},
    {"POST", "/v1/{model}" EMBED_ONE, OP_EMBED},
    {"POST", "/v1/{model}" EMBED_MANY, OP_EMBED},
    {NULL, NULL, OP_CHAT},
};

static struct slice percent_decoded(struct arena *a, struct slice s) {
    char *out = arena_alloc(a, s.n + 1);
    if (!out)
        return SLICE_NONE;
    size_t n = slice_percent_decode(s, out, s.n);
    out[n] = 0;
    return slice_of(out, n);
}

static bool query_has(struct slice query, const char *pair) {
    while (query.n)
        if (slice_is(slice_split(&query, '&'), pair))
            return true;
    return false;
}

static enum err refuse(struct problem *problem, enum err e, const char *text) {
    *problem = PROBLEM(e);
    problem->param = SLICE("model");
    problem->message = slice_str(text);
    return e;
}

enum err gemini_read_address(struct arena *a, struct slice path, struct slice query, struct request *r,
                             struct problem *problem) {
    struct slice model = SLICE_NONE;
    for (const struct dialect_address *at = gemini_addresses; at->method && !model.p; at++)
        (void)dialect_path_split(at->path, path, &model);
    if (!model.n || slice_ends(model, "/"))
        return refuse(problem, ERR_MISSING_FIELD, "model: the address names none");
    if (model.n > 3 * LIMIT_MODEL_NAME_BYTES)
        return refuse(problem, ERR_BAD_FIELD, "model: the name is too long");
    r->model = percent_decoded(a, model);
    r->stream = slice_ends(path, STREAM);
    r->stream_array = r->stream && !query_has(query, "alt=sse");
    if (!r->model.p)
        return refuse(problem, ERR_NO_MEMORY, NULL);
    if (r->model.n > LIMIT_MODEL_NAME_BYTES || !slice_is_utf8(r->model))
        return refuse(problem, ERR_BAD_FIELD, "model: the name is too long, or no UTF-8");
    return ERR_OK;
}

const char *gemini_path(struct arena *a, struct slice model, const char *method) {
    struct buf b = BUF_INIT(4096);
    bool whole = slice_starts(model, "models/") || slice_starts(model, "tunedModels/");
    buf_append_str(&b, whole ? "/" : "/models/");
    buf_append_percent(&b, model, URL_UNRESERVED "/@");
    buf_append_char(&b, ':');
    buf_append_str(&b, method);
    struct slice path = b.failed ? SLICE_NONE : arena_copy(a, buf_slice(&b));
    buf_done(&b);
    return path.p;
}
