// SPDX-License-Identifier: Apache-2.0
// Reading: a yyjson tree beside the source it came from. yyjson copies the source and un-escapes strings in that copy, so
// a string node stands at the same offset there as its text does in the source; that is how a member's own bytes are
// found again without positions in the tree. The tree lives outside the arena and is freed with it.
//
// A large body is mostly a few strings: an image in base64, a long prompt. Those without escapes are cut out of the text
// that yyjson gets, and their nodes are made to point into the source: a third of the time for 1 MB of image, and neither
// the copy nor the 2.7 MB that yyjson would reserve for values.
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
static const char *after_space(const char *p, const char *end);

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
    *ret = (struct json_doc){.doc = doc, .src = src};
    return ERR_OK;
}

// ---- reading without long strings

#define CUT_TEXT_BYTES 16384 // a shorter text is read sooner than it is looked through
#define CUT_STRING_BYTES 1024
#define CUTS_MAX 64

struct json_cut {
    size_t at, n; // the inside of a string, in the source; ascending
};

static bool is_plain(const char *p, size_t n) {
    size_t last = n - JSON_BLOCK_BYTES; // a cut string is longer than a block
    for (size_t i = 0; i < last; i += JSON_BLOCK_BYTES)
        if (!json_block_is_plain(p + i))
            return false;
    return json_block_is_plain(p + last);
}

// The look is given up where a window's worth of text went by with less than half of it cut: then it costs too much.
static size_t cuts_find(struct slice s, struct json_cut *cuts) {
    const char *p = s.p, *end = s.p + s.n;
    size_t n = 0, all = 0;
    while (n < CUTS_MAX && (size_t)(p - s.p) <= CUT_TEXT_BYTES + 2 * all && (p = memchr(p, '"', (size_t)(end - p)))) {
        const char *inside = p + 1;
        p = after_string(p, end);
        size_t len = (size_t)(p - inside) - 1;
        if (p - inside < CUT_STRING_BYTES || p[-1] != '"' || !is_plain(inside, len))
            continue;
        const char *next = after_space(p, end);
        if (next < end && *next == ':')
            continue; // keys stay: their place is asked for
        cuts[n++] = (struct json_cut){(size_t)(inside - s.p), len};
        all += len;
    }
    return n;
}

static enum err cuts_leave_out(struct slice s, const struct json_cut *cuts, size_t n, struct buf *ret) {
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        buf_append_mem(ret, s.p + from, cuts[i].at - from);
        from = cuts[i].at + cuts[i].n;
    }
    buf_append(ret, slice_from(s, from));
    return ret->failed ? ERR_NO_MEMORY : ERR_OK;
}

// An offset in the text that was read → in the source.
static size_t in_source(size_t at, const struct json_cut *cuts, size_t n) {
    for (size_t i = 0; i < n && cuts[i].at < at; i++)
        at += cuts[i].n;
    return at;
}

// The nodes stand in reading order, and an empty string's node at its place like any other.
static void cuts_put_back(struct json_doc *d) {
    yyjson_val *v = yyjson_doc_get_root(d->doc), *last = v + yyjson_doc_get_val_count(d->doc);
    size_t gone = 0;
    for (size_t i = 0; v < last && i < d->n_cuts; v++) {
        if (!yyjson_is_str(v) || (size_t)(yyjson_get_str(v) - d->doc->str_pool) + gone != d->cuts[i].at)
            continue;
        unsafe_yyjson_set_strn(v, d->src.p + d->cuts[i].at, d->cuts[i].n);
        gone += d->cuts[i++].n;
    }
}

enum err json_read_body(struct arena *a, struct slice src, struct json_doc *ret, struct json_error *why) {
    struct json_cut found[CUTS_MAX];
    size_t n = src.n > CUT_TEXT_BYTES ? cuts_find(src, found) : 0;
    if (n == 0)
        return json_read(a, src, ret, why);
    struct json_cut *cuts = arena_array(a, n, sizeof *cuts);
    struct buf text = BUF_INIT(src.n);
    enum err e = cuts ? cuts_leave_out(src, found, n, &text) : ERR_NO_MEMORY;
    if (!e)
        e = json_read(a, buf_slice(&text), ret, why);
    buf_done(&text);
    why->offset = in_source(why->offset, found, n);
    if (e)
        return e;
    memcpy(cuts, found, n * sizeof *cuts);
    *ret = (struct json_doc){ret->doc, src, cuts, n};
    cuts_put_back(ret);
    return ERR_OK;
}

// ---- finding a value's own bytes

size_t json_str_at(const struct json_doc *d, yyjson_val *str) {
    const char *p = yyjson_get_str(str);
    if (p >= d->src.p && p < d->src.p + d->src.n)
        return (size_t)(p - d->src.p);
    return in_source((size_t)(p - d->doc->str_pool), d->cuts, d->n_cuts);
}

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
    size_t at = json_str_at(d, key);
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
