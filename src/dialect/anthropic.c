// SPDX-License-Identifier: Apache-2.0
// Anthropic messages: the table that joins its two directions, and errors in Anthropic's shape,
// {"type": "error", "error": {type, message}, "request_id"}. Reading errors is forgiving: llama-server gives OpenAI's
// shape on /v1/messages, proxies a bare text. What an upstream says goes on to the client only where it is about the
// client's request; the rest stays in problem.detail for the operator. Pure functions and arena memory; no I/O, no
// clock, no logging.
#include "dialect/anthropic.h"
#include "dialect/refusal.h"

#define DETAIL_BYTES 2048

static const struct dialect_address addresses[] = {
    {"POST", "/v1/messages", OP_CHAT},
    {"POST", "/v1/messages/count_tokens", OP_COUNT_TOKENS},
    {"POST", "/messages", OP_CHAT},
    {"POST", "/messages/count_tokens", OP_COUNT_TOKENS},
    {NULL, NULL, OP_CHAT},
};

static const char *const carried_headers[] = {"anthropic-version", "anthropic-beta", NULL};

#define PING "event: ping\ndata: {\"type\": \"ping\"}\n\n"

const struct dialect dialect_anthropic = {
    .id = DIALECT_ANTHROPIC,
    .name = "anthropic",
    .addresses = addresses,
    .framing = FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .id_header = "request-id",
    .carried_headers = carried_headers,
    .keepalive = {PING, sizeof PING - 1},
    .media = MEDIA_IMAGES | MEDIA_FILES | MEDIA_REMOTE,
    .counts_tokens = true,
    .signs_thinking = true,
    .read_request = anthropic_read_request,
    .write_answer = anthropic_write_answer,
    .writer_new = anthropic_writer_new,
    .writer_event = anthropic_writer_event,
    .write_error = anthropic_write_error,
    .write_request = anthropic_write_request,
    .read_answer = anthropic_read_answer,
    .reader_new = anthropic_reader_new,
    .reader_frame = anthropic_reader_frame,
    .reader_finish = anthropic_reader_finish,
    .read_error = anthropic_read_error,
};

// ---- to a client

static const char *type_of_status(int status) {
    switch (status) {
    case 401:
        return "authentication_error";
    case 402:
        return "billing_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
    case 431:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 504:
        return "timeout_error";
    case 529:
        return "overloaded_error";
    default:
        return status >= 400 && status < 500 ? "invalid_request_error" : "api_error";
    }
}

static int status_of(const struct problem *p) {
    if (p->err == ERR_UP_OVERLOADED || p->err == ERR_BUSY)
        return 529; // what Anthropic's clients know how to wait for
    return problem_status(p);
}

void anthropic_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status) {
    struct json_writer w = JSON_WRITER(out);
    int status = status_of(p);
    json_obj(&w);
    json_kv_cstr(&w, "type", "error");
    json_key(&w, "error");
    json_obj(&w);
    json_kv_cstr(&w, "type", type_of_status(status));
    json_kv_str(&w, "message", problem_text(p));
    json_obj_end(&w);
    if (request_id.n)
        json_kv_str(&w, "request_id", request_id);
    json_obj_end(&w);
    *ret_status = status;
}

// ---- from an upstream

static const struct {
    const char *type;
    enum err err;
} types[] = {
    {"api_error", ERR_UP_INTERNAL},
    {"invalid_request_error", ERR_UP_REFUSED},
};

static enum err error_of(int status, struct slice type, struct slice message) {
    enum err e = refusal_class(status, SLICE_NONE, type, message);
    for (size_t i = 0; !e && i < sizeof types / sizeof types[0]; i++)
        if (slice_is(type, types[i].type))
            e = types[i].err;
    if (!e)
        e = status ? dialect_err_of_status(status) : ERR_UP_INTERNAL;
    return e;
}

static bool about_the_request(enum err e) {
    return e == ERR_UP_REFUSED || e == ERR_CONTEXT_LENGTH || e == ERR_CONTENT_FILTER || e == ERR_TOO_LARGE;
}

static void fill(struct arena *a, int status, enum err e, struct slice text, struct problem *ret) {
    *ret = PROBLEM(e);
    ret->status = status;
    ret->detail = arena_copy(a, slice_first(text, DETAIL_BYTES));
    ret->retry_after_ms = refusal_retry_ms(text);
    if (about_the_request(e))
        ret->message = ret->detail;
}

void anthropic_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret) {
    yyjson_val *error = yyjson_obj_get(root, "error");
    struct slice type = json_get_str(error, "type"), message = json_get_str(error, "message");
    if (yyjson_is_str(error))
        message = json_str(error);
    if (!message.n)
        message = json_get_str(root, "message");
    fill(a, status, error_of(status, type, message), message, ret);
}

void anthropic_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret) {
    struct json_doc doc;
    struct json_error why;
    (void)quirks;
    if (json_read(a, body, &doc, &why)) {
        fill(a, status, dialect_err_of_status(status), body, ret);
        return;
    }
    anthropic_problem_of(a, status, yyjson_doc_get_root(doc.doc), ret);
}
