// SPDX-License-Identifier: Apache-2.0
// The reader of orders: a table from JSON names to members. An unknown name is an error, so that a test with a typing
// mistake fails instead of testing nothing.
#include "sim/order.h"

enum kind { KIND_NUMBER, KIND_TEXT, KIND_BOOL };

#define NUMBER(name) \
    { #name, KIND_NUMBER, offsetof(struct order, name) }
#define TEXT(name) \
    { #name, KIND_TEXT, offsetof(struct order, name) }
#define BOOL(name) \
    { #name, KIND_BOOL, offsetof(struct order, name) }
static const struct row {
    const char *name;
    enum kind kind;
    size_t offset;
} rows[] = {
    NUMBER(status),
    NUMBER(retry_after),
    NUMBER(delay_ms),
    NUMBER(first_ms),
    NUMBER(chunk_ms),
    NUMBER(slow_chunks),
    NUMBER(chunks),
    NUMBER(chunk_chars),
    NUMBER(words),
    {"big", KIND_NUMBER, offsetof(struct order, big_kb)},
    NUMBER(split),
    NUMBER(rechunk),
    NUMBER(split_us),
    NUMBER(cut_after_bytes),
    NUMBER(cut_after_events),
    NUMBER(stall_after_events),
    NUMBER(error_after_events),
    NUMBER(bad_chunk_after_events),
    TEXT(body),
    TEXT(body_file),
    TEXT(content_type),
    TEXT(garbage),
    TEXT(text),
    TEXT(thinking),
    TEXT(signature),
    TEXT(finish),
    TEXT(id),
    BOOL(echo),
    BOOL(interleave),
    BOOL(half_close),
    BOOL(rst),
    BOOL(no_usage),
    BOOL(no_done),
    BOOL(clean_cut),
    BOOL(drop),
    BOOL(stale),
    BOOL(close),
    BOOL(no_length),
    BOOL(ignore_max),
};

static const char *const error_names[ERROR_NAME_COUNT] = {
    "none", "rate_limit", "quota", "overloaded", "auth", "not_found", "context_length", "server_error",
};

void order_init(struct order *o) {
    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].kind == KIND_NUMBER)
            *(int64_t *)(void *)((char *)o + rows[i].offset) = -1;
    o->status = 0;
    o->input_tokens = o->output_tokens = o->cached_tokens = o->reasoning_tokens = -1;
}

static enum err read_error_name(yyjson_val *v, struct order *o) {
    for (int i = 0; i < ERROR_NAME_COUNT; i++) {
        if (!slice_is(json_str(v), error_names[i]))
            continue;
        o->error = (enum error_name)i;
        return ERR_OK;
    }
    return ERR_BAD_FIELD;
}

static enum err read_tools(struct arena *a, yyjson_val *list, struct order *o) {
    size_t n = yyjson_arr_size(list), i = 0, max = 0;
    yyjson_val *v;
    o->tools = arena_array(a, n + 1, sizeof *o->tools);
    if (!yyjson_is_arr(list) || !o->tools)
        return ERR_BAD_FIELD;
    yyjson_arr_foreach(list, i, max, v) {
        yyjson_val *args = yyjson_obj_get(v, "arguments");
        struct slice text = json_str(args);
        if (!text.p) {
            struct buf b = BUF_INIT(1 << 20);
            struct json_writer w = JSON_WRITER(&b);
            if (args)
                json_put_val(&w, args);
            else
                buf_append_str(&b, "{}");
            text = arena_copy(a, buf_slice(&b));
            buf_done(&b);
        }
        o->tools[i] = (struct tool_order){json_get_str(v, "name"), text, json_get_str(v, "id")};
        if (!o->tools[i].id.p)
            o->tools[i].id = slice_str(arena_printf(a, "call_sim%zu", i));
    }
    o->n_tools = n;
    return ERR_OK;
}

static void read_usage(yyjson_val *v, struct order *o) {
    o->input_tokens = json_get_int(v, "input", o->input_tokens);
    o->output_tokens = json_get_int(v, "output", o->output_tokens);
    o->cached_tokens = json_get_int(v, "cached", o->cached_tokens);
    o->reasoning_tokens = json_get_int(v, "reasoning", o->reasoning_tokens);
}

static enum err read_row(const struct row *row, yyjson_val *v, struct order *o) {
    char *at = (char *)o + row->offset;
    switch (row->kind) {
    case KIND_NUMBER:
        if (!yyjson_is_int(v))
            return ERR_BAD_FIELD;
        *(int64_t *)(void *)at = yyjson_get_sint(v);
        return ERR_OK;
    case KIND_TEXT:
        if (!yyjson_is_str(v))
            return ERR_BAD_FIELD;
        *(struct slice *)(void *)at = json_str(v);
        return ERR_OK;
    case KIND_BOOL:
        if (!yyjson_is_bool(v))
            return ERR_BAD_FIELD;
        *(bool *)at = yyjson_get_bool(v);
        return ERR_OK;
    }
    return ERR_BAD_FIELD;
}

static enum err read_member(struct arena *a, const struct json_doc *doc, yyjson_val *key, yyjson_val *v,
                            struct order *o) {
    struct slice name = json_str(key);
    if (slice_is(name, "error"))
        return read_error_name(v, o);
    if (slice_is(name, "tool_calls"))
        return read_tools(a, v, o);
    if (slice_is(name, "usage")) {
        read_usage(v, o);
        return ERR_OK;
    }
    if (slice_is(name, "headers")) {
        o->headers = json_member_src(doc, key);
        return ERR_OK;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_is(name, rows[i].name))
            return read_row(&rows[i], v, o);
    return ERR_BAD_FIELD;
}

enum err order_apply(struct arena *a, const struct json_doc *doc, yyjson_val *obj, struct order *o) {
    size_t i, max;
    yyjson_val *key, *v;
    if (!yyjson_is_obj(obj))
        return ERR_BAD_FIELD;
    yyjson_obj_foreach(obj, i, max, key, v) {
        enum err e = read_member(a, doc, key, v, o);
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err order_read(struct arena *a, struct slice json, struct order *o) {
    struct json_doc doc;
    struct json_error why;
    struct slice copy = arena_copy(a, json);
    if (!copy.p)
        return ERR_NO_MEMORY;
    enum err e = json_read(a, copy, &doc, &why);
    return e ? e : order_apply(a, &doc, yyjson_doc_get_root(doc.doc), o);
}
