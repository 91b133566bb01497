// SPDX-License-Identifier: Apache-2.0
// Reading: a yyjson tree beside the source it came from. yyjson copies the source and un-escapes strings in that copy, so
// a string node stands at the same offset there as its text does in the source; that is how a member's own bytes are
// found again without positions in the tree. The tree lives outside the arena and is freed with it.
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"

// ---- memory of the tree

static void *alc_malloc(void *ctx, size_t n) {
    (void)ctx;
    return mem_alloc(n);
}

static void *alc_realloc(void *ctx, void *p, size_t old, size_t n) {
    (void)ctx;
    (void)old;
    return mem_realloc(p, n);
}

static void alc_free(void *ctx, void *p) {
    (void)ctx;
    mem_free(p);
}

const yyjson_alc json_alc = {alc_malloc, alc_realloc, alc_free, NULL};

static void doc_free(void *doc) {
    yyjson_doc_free(doc);
}

// ---- reading

static const char *after_string(const char *p, const char *end);

// yyjson reads without recursion, but whoever walks the tree may recurse. Its values lie in one array in reading order,
// a container's `next` behind its last child.
static bool depth_ok(yyjson_doc *doc) {
    yyjson_val *ends[LIMIT_JSON_DEPTH], *v = yyjson_doc_get_root(doc), *last = v + yyjson_doc_get_val_count(doc);
    for (size_t depth = 0; v < last; v++) {
        while (depth && v >= ends[depth - 1])
            depth--;
        if (!yyjson_is_ctn(v))
            continue;
        if (depth == LIMIT_JSON_DEPTH)
            return false;
        ends[depth++] = unsafe_yyjson_get_next(v);
    }
    return true;
}

// Where the nesting goes beyond the limit, in a text that is JSON.
static size_t too_deep_at(struct slice s) {
    int depth = 0;
    for (const char *p = s.p, *end = s.p + s.n; p < end;) {
        if (*p == '"') {
            p = after_string(p, end);
            continue;
        }
        if (*p == '[' || *p == '{')
            depth++;
        if (*p == ']' || *p == '}')
            depth--;
        if (depth > LIMIT_JSON_DEPTH)
            return (size_t)(p - s.p);
        p++;
    }
    return s.n;
}

enum err json_read(struct arena *a, struct slice src, struct json_doc *ret, struct json_error *why) {
    yyjson_read_err e;
    *why = (struct json_error){0, "it is empty"};
    if (src.n == 0)
        return ERR_BAD_JSON;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)src.p, src.n, YYJSON_READ_NOFLAG, &json_alc, &e);
    if (!doc) {
        *why = (struct json_error){e.pos, e.msg};
        return e.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ERR_NO_MEMORY : ERR_BAD_JSON;
    }
    if (!depth_ok(doc)) {
        yyjson_doc_free(doc);
        *why = (struct json_error){too_deep_at(src), "it is nested too deeply"};
        return ERR_BAD_JSON;
    }
    if (!arena_defer(a, doc_free, doc)) {
        yyjson_doc_free(doc);
        return ERR_NO_MEMORY;
    }
    *ret = (struct json_doc){doc, src};
    return ERR_OK;
}

// ---- finding a value's own bytes

static const char *after_space(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

// p stands at a quote; behind the closing one, or end.
static const char *after_string(const char *p, const char *end) {
    const char *from = p + 1;
    for (p = from; p < end && (p = memchr(p, '"', (size_t)(end - p))); p++) {
        const char *run = p; // of backslashes before the quote; an odd number makes it part of the string
        while (run > from && run[-1] == '\\')
            run--;
        if ((p - run) % 2 == 0)
            return p + 1;
    }
    return end;
}

static const char *after_container(const char *p, const char *end) {
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            p = after_string(p, end);
            continue;
        }
        if (*p == '[' || *p == '{')
            depth++;
        if (*p == ']' || *p == '}')
            depth--;
        p++;
        if (depth == 0)
            return p;
    }
    return end;
}

struct slice json_value_at(struct slice s) {
    if (s.n == 0)
        return SLICE_NONE;
    const char *end = s.p + s.n, *p = after_space(s.p, end), *q = p;
    if (p == end)
        return SLICE_NONE;
    if (*p == '"')
        q = after_string(p, end);
    else if (*p == '[' || *p == '{')
        q = after_container(p, end);
    else
        while (q < end && !strchr(",]} \t\r\n", *q))
            q++;
    return slice_of(p, (size_t)(q - p));
}

// The source behind the colon of a member, to the end of the text.
static struct slice behind_key(const struct json_doc *d, yyjson_val *key) {
    if (!d->src.p || !yyjson_is_str(key))
        return SLICE_NONE;
    size_t at = (size_t)(yyjson_get_str(key) - d->doc->str_pool);
    if (at == 0 || at >= d->src.n || d->src.p[at - 1] != '"')
        return SLICE_NONE;
    const char *end = d->src.p + d->src.n, *p = after_space(after_string(d->src.p + at - 1, end), end);
    if (p == end || *p != ':')
        return SLICE_NONE;
    p = after_space(p + 1, end);
    return slice_of(p, (size_t)(end - p));
}

struct slice json_member_src(const struct json_doc *d, yyjson_val *key) {
    return json_value_at(behind_key(d, key));
}

struct slice json_get_rest(const struct json_doc *d, yyjson_val *obj, const char *name) {
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
        if (yyjson_equals_str(key, name))
            return behind_key(d, key);
    return SLICE_NONE;
}

struct slice json_get_src(const struct json_doc *d, yyjson_val *obj, const char *name) {
    return json_value_at(json_get_rest(d, obj, name));
}

int64_t json_get_int(yyjson_val *obj, const char *name, int64_t otherwise) {
    yyjson_val *v = yyjson_obj_get(obj, name);
    if (yyjson_is_uint(v))
        return yyjson_get_uint(v) <= INT64_MAX ? (int64_t)yyjson_get_uint(v) : otherwise;
    if (!yyjson_is_real(v))
        return otherwise;
    double d = yyjson_get_real(v);
    return d >= 0 && d < 9.2e18 && d == (double)(int64_t)d ? (int64_t)d : otherwise;
}

struct slice json_unescape(struct arena *a, struct slice inside) {
    struct buf quoted = BUF_INIT(LIMIT_BODY_BYTES);
    struct slice out = SLICE_NONE;
    buf_append_char(&quoted, '"');
    buf_append(&quoted, inside);
    buf_append_char(&quoted, '"');
    yyjson_doc *doc = quoted.failed ? NULL : yyjson_read_opts(quoted.p, quoted.len, 0, &json_alc, NULL);
    if (doc && yyjson_is_str(yyjson_doc_get_root(doc)))
        out = arena_copy(a, json_str(yyjson_doc_get_root(doc)));
    yyjson_doc_free(doc);
    buf_done(&quoted);
    return out;
}
