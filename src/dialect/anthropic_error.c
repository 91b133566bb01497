// SPDX-License-Identifier: Apache-2.0
// Errors of the Messages API, both ways: {"type": "error", "error": {"type", "message"}, "request_id"}. The type decides,
// the status only where no type can be read. What an upstream says of our credential or its own state is for the operator;
// what it says of the request goes to the client. Slices are copied to the arena.
#include "dialect/anthropic.h"

static const struct error_row {
    int status;
    const char *type;
    enum err err;
} rows[] = {
    {400, "invalid_request_error", ERR_UP_REFUSED}, {401, "authentication_error", ERR_UP_AUTH},
    {402, "billing_error", ERR_UP_QUOTA},           {403, "permission_error", ERR_UP_AUTH},
    {404, "not_found_error", ERR_UP_NOT_FOUND},     {413, "request_too_large", ERR_TOO_LARGE},
    {429, "rate_limit_error", ERR_UP_RATE_LIMIT},   {500, "api_error", ERR_UP_INTERNAL},
    {504, "timeout_error", ERR_UP_TIMEOUT},         {529, "overloaded_error", ERR_UP_OVERLOADED},
};

static const struct error_row *row_of_status(int status) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return &rows[i];
    return NULL;
}

static const struct error_row *row_of_type(struct slice type) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_is(type, rows[i].type))
            return &rows[i];
    return NULL;
}

// ---- writing

// The status as this dialect has it: what it has no type for becomes the nearest that it has.
static int wire_status(const struct problem *p) {
    int status = problem_status(p);
    if (status == 503)
        return 529;
    return status == 502 ? 500 : status;
}

static const char *wire_type(int status) {
    const struct error_row *row = row_of_status(status);
    if (row)
        return row->type;
    return status < 500 ? "invalid_request_error" : "api_error";
}

void anthropic_put_error(struct json_writer *w, const struct problem *p) {
    json_key(w, "error");
    json_obj(w);
    json_kv_cstr(w, "type", wire_type(wire_status(p)));
    json_kv_str(w, "message", problem_text(p));
    json_obj_end(w);
}

void anthropic_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status) {
    struct json_writer w = JSON_WRITER(out);
    *ret_status = wire_status(p);
    json_obj(&w);
    json_kv_cstr(&w, "type", "error");
    anthropic_put_error(&w, p);
    if (request_id.n)
        json_kv_str(&w, "request_id", request_id);
    json_obj_end(&w);
}

// ---- reading

static bool says(struct slice message, const char *words) {
    return slice_search(message, slice_str(words)) != SIZE_MAX;
}

static enum err err_of(int status, struct slice type, struct slice message) {
    const struct error_row *row = row_of_type(type);
    enum err e = row ? row->err : dialect_err_of_status(status);
    if (e != ERR_UP_REFUSED)
        return e;
    if (says(message, "prompt is too long") || says(message, "exceed context limit"))
        return ERR_CONTEXT_LENGTH;
    return says(message, "credit balance is too low") ? ERR_UP_QUOTA : e;
}

void anthropic_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret) {
    yyjson_val *error = yyjson_obj_get(root, "error");
    struct slice message = yyjson_is_str(error) ? json_str(error) : json_get_str(error, "message");
    struct slice type = json_get_str(error, "type");
    *ret = PROBLEM(err_of(status, type, message));
    ret->status = status;
    if (type.n)
        ret->code = arena_copy(a, type);
    if (!message.n)
        return;
    ret->detail = arena_copy(a, message);
    if (err_row(ret->err)->fault == FAULT_CLIENT)
        ret->message = ret->detail;
}

void anthropic_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret) {
    struct json_doc doc = {0};
    struct json_error why;
    (void)quirks;
    enum err e = json_read(a, body, &doc, &why);
    anthropic_problem_of(a, status, e ? NULL : yyjson_doc_get_root(doc.doc), ret);
}
