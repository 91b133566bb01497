// SPDX-License-Identifier: Apache-2.0
// Errors in OpenAI's shape, {"error": {message, type, param, code}}, written to clients and read from upstreams. Reading
// is forgiving: llama-server puts a number into code, vLLM and Mistral leave the envelope out, Ollama's kin give a bare
// text, FastAPI says "detail". What an upstream says goes on to the client only where it is about the client's request;
// the rest (keys, organisations, hosts) stays in problem.detail for the operator.
#include "dialect/openai.h"
#include "dialect/refusal.h"

#define DETAIL_BYTES 2048

// ---- to a client

struct error_row {
    enum err err;
    const char *type;
    const char *code; // NULL: the error's own name
};

static const struct error_row rows[] = {
    {ERR_CONTEXT_LENGTH, "invalid_request_error", "context_length_exceeded"},
    {ERR_CONTENT_FILTER, "invalid_request_error", "content_filter"},
    {ERR_BAD_FIELD, "invalid_request_error", "invalid_value"},
    {ERR_MISSING_FIELD, "invalid_request_error", "missing_required_parameter"},
    {ERR_UNAUTHORIZED, "invalid_request_error", "invalid_api_key"},
    {ERR_PAYMENT, "insufficient_quota", "insufficient_quota"},
    {ERR_BUDGET_HELD, "rate_limit_error", "rate_limit_exceeded"},
    {ERR_FORBIDDEN, "permission_error", NULL},
    {ERR_RUN_STOPPED, "permission_error", NULL},
    {ERR_NO_REACH, "permission_error", NULL},
    {ERR_MODEL_NOT_FOUND, "invalid_request_error", "model_not_found"},
    {ERR_RATE_LIMIT, "rate_limit_error", "rate_limit_exceeded"},
    {ERR_UP_RATE_LIMIT, "rate_limit_error", "rate_limit_exceeded"},
    {ERR_UP_QUOTA, "insufficient_quota", "insufficient_quota"},
};

static struct error_row row_of(enum err e) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].err == e)
            return rows[i];
    bool clients = err_row(e)->fault == FAULT_CLIENT && err_row(e)->status < 500;
    return (struct error_row){e, clients ? "invalid_request_error" : "server_error", NULL};
}

void openai_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status) {
    (void)request_id; // stands in a header
    struct json_writer w = JSON_WRITER(out);
    const struct error_row row = row_of(p->err);
    struct slice code = row.code ? slice_str(row.code) : slice_str(err_name(p->err));
    json_obj(&w);
    json_key(&w, "error");
    json_obj(&w);
    json_kv_str(&w, "message", problem_text(p));
    json_kv_cstr(&w, "type", row.type);
    if (p->param.n)
        json_kv_str(&w, "param", p->param);
    else
        json_kv_null(&w, "param");
    json_kv_str(&w, "code", p->code.n ? p->code : code);
    json_obj_end(&w);
    json_obj_end(&w);
    *ret_status = problem_status(p);
}

// ---- from an upstream

// llama-server answers 500 to some mistakes of the client; only their texts tell (docs: engine notes).
static bool llama_blames_client(struct slice message) {
    static const char *const texts[] = {
        "parse error",     "parse_error",     "json.exception",  "is not supported", "too large to process",
        "Failed to parse", "failed to parse", "Invalid type",    "Invalid role",     "Missing '",
        "Expected '",      "must be a",       "must be of type", "does not have",    "unsupported",
        "input is too",    "Unsupported",     "Invalid input",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (slice_search(message, slice_str(texts[i])) != SIZE_MAX)
            return true;
    return false;
}

struct said {
    struct slice message, type, code, param;
    int status; // in the body
};

static struct slice first_str(yyjson_val *o, const char *a, const char *b) {
    struct slice s = json_get_str(o, a);
    return s.p ? s : json_get_str(o, b);
}

static struct said read_said(yyjson_val *root) {
    yyjson_val *error = yyjson_obj_get(root, "error"), *o = yyjson_is_obj(error) ? error : root;
    struct said s = {.message = first_str(o, "message", "detail")};
    if (yyjson_is_str(error))
        s.message = json_str(error);
    s.type = json_get_str(o, "type");
    s.code = json_get_str(o, "code");
    s.param = json_get_str(o, "param");
    int64_t code = json_get_int(o, "code", 0);
    s.status = code >= 400 && code < 600 ? (int)code : 0;
    return s;
}

static enum err err_of(const struct said *s, int status, unsigned quirks) {
    enum err e = refusal_class(status, s->code, s->type, s->message);
    if (e)
        return e;
    if (status >= 500 && status != 503 && quirks & QUIRK_LLAMA_STATUS && llama_blames_client(s->message))
        return ERR_UP_REFUSED;
    if (status >= 400)
        return dialect_err_of_status(status);
    return slice_is(s->type, "invalid_request_error") ? ERR_UP_REFUSED : ERR_UP_INTERNAL;
}

static struct slice kept(struct arena *a, struct slice s) {
    return s.n ? arena_copy(a, slice_first(s, DETAIL_BYTES)) : SLICE_NONE;
}

static void fill(struct arena *a, const struct said *s, int status, unsigned quirks, struct problem *ret) {
    enum err e = err_of(s, status >= 400 ? status : s->status, quirks);
    *ret = PROBLEM(e);
    ret->status = status >= 400 ? status : s->status;
    ret->detail = kept(a, s->message);
    ret->retry_after_ms = refusal_retry_ms(s->message);
    if (err_row(e)->fault != FAULT_CLIENT)
        return;
    ret->message = ret->detail;
    ret->code = kept(a, s->code);
    ret->param = kept(a, s->param);
}

void openai_problem_of(struct arena *a, int status, yyjson_val *root, unsigned quirks, struct problem *ret) {
    const struct said s = read_said(root);
    fill(a, &s, status, quirks, ret);
}

void openai_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret) {
    struct json_doc doc;
    struct json_error why;
    struct said s = {.message = SLICE_NONE};
    if (body.n && json_read(a, body, &doc, &why) == ERR_OK && yyjson_is_obj(yyjson_doc_get_root(doc.doc))) {
        s = read_said(yyjson_doc_get_root(doc.doc));
        fill(a, &s, status, quirks, ret);
        return;
    }
    fill(a, &s, status, quirks, ret);
    ret->detail = kept(a, body); // a proxy's page, perhaps
}
