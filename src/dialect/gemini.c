// SPDX-License-Identifier: Apache-2.0
// Gemini's generateContent and its vectors: the table that joins the two directions, look-ups that don't mind the spelling of a name, and
// errors in Google's shape, {"error": {code, message, status, details}}. Its streams end with their connection, as server-
// sent events or, without alt=sse, as one JSON array. What an upstream says goes on to the client only where it is about
// the client's request; the rest stays in problem.detail for the operator. Pure functions and arena memory.
#include "dialect/gemini.h"

#define DETAIL_BYTES 2048

static const char *const carried_headers[] = {"x-goog-api-client", NULL};

const struct dialect dialect_gemini = {
    .id = DIALECT_GEMINI,
    .name = "gemini",
    .addresses = gemini_addresses,
    .framing = FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .carried_headers = carried_headers,
    .keepalive = {NULL, 0}, // its clients take a comment, and older ones an empty line too, for a broken chunk
    .tasks = 1u << OP_EMBED,
    .media = MEDIA_IMAGES | MEDIA_AUDIO | MEDIA_FILES | MEDIA_REMOTE,
    .counts_tokens = true,
    .signs_thinking = true,
    .signs_calls = true,
    .read_request = gemini_read_request,
    .read_address = gemini_read_address,
    .write_answer = gemini_write_answer,
    .writer_new = gemini_writer_new,
    .writer_event = gemini_writer_event,
    .write_error = gemini_write_error,
    .write_request = gemini_write_request,
    .read_answer = gemini_read_answer,
    .reader_new = gemini_reader_new,
    .reader_frame = gemini_reader_frame,
    .reader_finish = gemini_reader_finish,
    .read_error = gemini_read_error,
};

// ---- names in two spellings

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_name(struct slice key, const char *camel) {
    for (size_t i = 0; i < key.n; i++) {
        if (key.p[i] == '_')
            continue;
        if (lower(key.p[i]) != lower(*camel))
            return false;
        camel++;
    }
    return *camel == 0;
}

static yyjson_val *find_key(yyjson_val *obj, const char *camel) {
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
        if (same_name(json_str(key), camel))
            return key;
    return NULL;
}

const char *gemini_key(const struct field_at *obj, const char *camel) {
    yyjson_val *key = find_key(obj->val, camel);
    return key ? yyjson_get_str(key) : camel;
}

yyjson_val *gemini_get(yyjson_val *obj, const char *camel) {
    yyjson_val *key = find_key(obj, camel);
    return key ? yyjson_obj_iter_get_val(key) : NULL;
}

static size_t name_index(const char *const *names, yyjson_val *key) {
    size_t i = 0;
    while (names[i] && !same_name(json_str(key), names[i]))
        i++;
    return i;
}

enum err gemini_check_once(struct field_reader *rd, const struct field_at *obj, const char *const *names) {
    uint64_t seen = 0;
    yyjson_obj_iter it = yyjson_obj_iter_with(obj->val);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        size_t i = name_index(names, key);
        if (!names[i])
            continue;
        if (seen & (UINT64_C(1) << i))
            return field_refuse(rd, obj, names[i], ERR_BAD_FIELD, "this field is given twice");
        seen |= UINT64_C(1) << i;
    }
    return ERR_OK;
}

enum err gemini_unmodelled(struct field_reader *rd, const struct field_at *obj, const char *const *names,
                           struct request *r) {
    enum err e = ERR_OK;
    yyjson_obj_iter it = yyjson_obj_iter_with(obj->val);
    for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));)
        if (!names[name_index(names, key)])
            e = request_unmodelled_add(rd, r, yyjson_get_str(key));
    return e;
}

enum err gemini_types(struct field_reader *rd, const struct field_at *obj, const struct field_type *rows) {
    enum err e = ERR_OK;
    for (; rows->name && !e; rows++) {
        const struct field_type one[] = {{gemini_key(obj, rows->name), rows->type}, {NULL, 0}};
        e = field_types(rd, obj, one);
    }
    return e;
}

// ---- errors to a client

static const char *status_text(int status) {
    switch (status) {
    case 401:
        return "UNAUTHENTICATED";
    case 403:
        return "PERMISSION_DENIED";
    case 404:
        return "NOT_FOUND";
    case 402:
    case 429:
        return "RESOURCE_EXHAUSTED";
    case 499:
        return "CANCELLED";
    case 408:
    case 504:
        return "DEADLINE_EXCEEDED";
    case 502:
    case 503:
        return "UNAVAILABLE";
    default:
        return status >= 500 ? "INTERNAL" : "INVALID_ARGUMENT";
    }
}

static void put_details(struct json_writer *w, const struct problem *p) {
    if (!p->param.n && p->retry_after_ms <= 0)
        return;
    json_key(w, "details");
    json_arr(w);
    if (p->param.n) {
        json_obj(w);
        json_kv_cstr(w, "@type", "type.googleapis.com/google.rpc.BadRequest");
        json_key(w, "fieldViolations");
        json_arr(w);
        json_obj(w);
        json_kv_str(w, "field", p->param);
        json_kv_str(w, "description", problem_text(p));
        json_obj_end(w);
        json_arr_end(w);
        json_obj_end(w);
    }
    if (p->retry_after_ms > 0) {
        json_obj(w);
        json_kv_cstr(w, "@type", "type.googleapis.com/google.rpc.RetryInfo");
        json_key(w, "retryDelay");
        buf_printf(w->out, "\"%lld.%03llds\"", (long long)(p->retry_after_ms / 1000),
                   (long long)(p->retry_after_ms % 1000));
        w->comma = true;
        json_obj_end(w);
    }
    json_arr_end(w);
}

void gemini_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status) {
    struct json_writer w = JSON_WRITER(out);
    (void)request_id; // stands in a header
    *ret_status = problem_status(p);
    json_obj(&w);
    json_key(&w, "error");
    json_obj(&w);
    json_kv_int(&w, "code", *ret_status);
    json_kv_str(&w, "message", problem_text(p));
    json_kv_cstr(&w, "status", status_text(*ret_status));
    put_details(&w, p);
    json_obj_end(&w);
    json_obj_end(&w);
}

// ---- errors from an upstream

static const struct {
    const char *status;
    enum err err;
} statuses[] = {
    {"UNAUTHENTICATED", ERR_UP_AUTH},
    {"PERMISSION_DENIED", ERR_UP_AUTH},
    {"NOT_FOUND", ERR_UP_NOT_FOUND},
    {"RESOURCE_EXHAUSTED", ERR_UP_RATE_LIMIT},
    {"UNAVAILABLE", ERR_UP_OVERLOADED},
    {"DEADLINE_EXCEEDED", ERR_UP_TIMEOUT},
    {"INTERNAL", ERR_UP_INTERNAL},
    {"UNKNOWN", ERR_UP_INTERNAL},
    {"FAILED_PRECONDITION", ERR_UP_INTERNAL},
    {"INVALID_ARGUMENT", ERR_UP_REFUSED},
    {"OUT_OF_RANGE", ERR_UP_REFUSED},
    {"CANCELLED", ERR_UP_INTERNAL},
};

// What the status alone does not tell.
static const struct {
    const char *words;
    enum err err;
} messages[] = {
    {"exceeds the maximum number of tokens", ERR_CONTEXT_LENGTH},
    {"token count exceeds", ERR_CONTEXT_LENGTH},
    {"maximum context length", ERR_CONTEXT_LENGTH},
    {"API key not valid", ERR_UP_AUTH},
    {"API key expired", ERR_UP_AUTH},
    {"API_KEY_INVALID", ERR_UP_AUTH},
    {"User location is not supported", ERR_UP_AUTH},
};

static enum err error_of(int status, struct slice word, struct slice message) {
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        if (slice_search(message, slice_str(messages[i].words)) != SIZE_MAX)
            return messages[i].err;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (slice_is(word, statuses[i].status))
            return statuses[i].err;
    return status ? dialect_err_of_status(status) : ERR_UP_INTERNAL;
}

// "34.4s"
static int64_t delay_ms(struct slice text) {
    struct slice whole = slice_split(&text, '.');
    uint64_t s = 0, tenth = 0;
    if (slice_ends(whole, "s"))
        whole.n--;
    if (!slice_u64(whole, &s) || s > 86400)
        return -1;
    if (text.n && slice_u64(slice_first(text, 1), &tenth))
        return (int64_t)(s * 1000 + tenth * 100);
    return (int64_t)s * 1000;
}

static void read_details(struct arena *a, yyjson_val *list, struct problem *ret) {
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        struct slice delay = json_get_str(v, "retryDelay");
        struct slice field = json_get_str(yyjson_arr_get_first(yyjson_obj_get(v, "fieldViolations")), "field");
        if (delay.n)
            ret->retry_after_ms = delay_ms(delay);
        if (field.n)
            ret->param = arena_copy(a, slice_first(field, 256));
        if (slice_is(json_get_str(v, "reason"), "API_KEY_INVALID"))
            ret->err = ERR_UP_AUTH;
    }
}

void gemini_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret) {
    if (yyjson_is_arr(root)) // a stream that is an array fails as one
        root = yyjson_arr_get_first(root);
    yyjson_val *error = yyjson_obj_get(root, "error");
    int64_t code = json_get_int(error, "code", 0);
    struct slice message = yyjson_is_str(error) ? json_str(error) : json_get_str(error, "message");
    struct slice word = json_get_str(error, "status");
    if (!status && code >= 400 && code < 600)
        status = (int)code;
    *ret = PROBLEM(error_of(status, word, message));
    ret->status = status;
    ret->detail = arena_copy(a, slice_first(message, DETAIL_BYTES));
    read_details(a, yyjson_obj_get(error, "details"), ret);
    if (err_row(ret->err)->fault == FAULT_CLIENT)
        ret->message = ret->detail;
    else
        ret->param = SLICE_NONE;
}

void gemini_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret) {
    struct json_doc doc;
    struct json_error why;
    (void)quirks;
    if (body.n && json_read(a, body, &doc, &why) == ERR_OK) {
        gemini_problem_of(a, status, yyjson_doc_get_root(doc.doc), ret);
        return;
    }
    *ret = PROBLEM(dialect_err_of_status(status));
    ret->status = status;
    ret->detail = arena_copy(a, slice_first(body, DETAIL_BYTES)); // a proxy's page, perhaps
    if (err_row(ret->err)->fault == FAULT_CLIENT)
        ret->message = ret->detail;
}
