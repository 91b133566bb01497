// SPDX-License-Identifier: Apache-2.0
// The arguments of a call that Gemini streams: pieces of values, each with the path where it belongs ("$.a.b[1].c"), a
// text's pieces being joined. They are put together as a tree and told as JSON when the call is whole, because a piece of
// a tree is no piece of a text. Paths come from an upstream: depth and indexes are bounded, and a path through something
// that is no object or array is refused. The tree is of our allocator and freed with the arena.
#include "base/limits.h"
#include "base/mem.h"
#include "dialect/gemini.h"

#define INDEX_MAX 4096 // elements of a list that a model writes as one argument

struct gemini_partial {
    yyjson_mut_doc *doc;
    char *text; // of the last take
};

static void partial_free(void *arg) {
    struct gemini_partial *p = arg;
    yyjson_mut_doc_free(p->doc);
    mem_free(p->text);
}

static bool partial_reset(struct gemini_partial *p) {
    yyjson_mut_doc_free(p->doc);
    p->doc = yyjson_mut_doc_new(&json_alc);
    yyjson_mut_val *root = p->doc ? yyjson_mut_obj(p->doc) : NULL;
    if (root)
        yyjson_mut_doc_set_root(p->doc, root);
    return root != NULL;
}

struct gemini_partial *gemini_partial_new(struct arena *a) {
    struct gemini_partial *p = ARENA_NEW(a, struct gemini_partial);
    if (!p || !arena_defer(a, partial_free, p) || !partial_reset(p))
        return NULL;
    return p;
}

// ---- paths

// The next step of a path: a name, or an index (*ret_index >= 0). False: it is no path.
static bool step_next(struct slice *path, struct slice *ret_name, int64_t *ret_index) {
    uint64_t index;
    *ret_index = -1;
    if (path->n > 1 && path->p[0] == '.') {
        size_t n = 1;
        while (n < path->n && path->p[n] != '.' && path->p[n] != '[')
            n++;
        *ret_name = slice_of(path->p + 1, n - 1);
        *path = slice_from(*path, n);
        return ret_name->n > 0;
    }
    size_t end = slice_find(*path, ']');
    if (!path->n || path->p[0] != '[' || end == SIZE_MAX)
        return false;
    struct slice inside = slice_of(path->p + 1, end - 1);
    *path = slice_from(*path, end + 1);
    if (inside.n > 2 && (inside.p[0] == '\'' || inside.p[0] == '"') && inside.p[inside.n - 1] == inside.p[0]) {
        *ret_name = slice_of(inside.p + 1, inside.n - 2);
        return true;
    }
    if (!slice_u64(inside, &index) || index >= INDEX_MAX)
        return false;
    *ret_index = (int64_t)index;
    return true;
}

// What stands at one step below `at`; made as null when there is nothing.
static enum err step_into(yyjson_mut_doc *doc, yyjson_mut_val **at, struct slice name, int64_t index) {
    yyjson_mut_val *up = *at;
    if (yyjson_mut_is_null(up))
        (void)(index < 0 ? yyjson_mut_set_obj(up) : yyjson_mut_set_arr(up));
    if (index < 0 ? !yyjson_mut_is_obj(up) : !yyjson_mut_is_arr(up))
        return ERR_UP_PROTOCOL;
    if (index < 0) {
        *at = yyjson_mut_obj_getn(up, name.p, name.n);
        if (*at)
            return ERR_OK;
        yyjson_mut_val *key = yyjson_mut_strncpy(doc, name.p, name.n);
        *at = yyjson_mut_null(doc);
        return key && *at && yyjson_mut_obj_add(up, key, *at) ? ERR_OK : ERR_NO_MEMORY;
    }
    while (yyjson_mut_arr_size(up) <= (size_t)index)
        if (!yyjson_mut_arr_append(up, yyjson_mut_null(doc)))
            return ERR_NO_MEMORY;
    *at = yyjson_mut_arr_get(up, (size_t)index);
    return ERR_OK;
}

static enum err find(struct gemini_partial *p, struct slice path, yyjson_mut_val **ret) {
    yyjson_mut_val *at = yyjson_mut_doc_get_root(p->doc);
    if (path.n < 2 || path.p[0] != '$')
        return ERR_UP_PROTOCOL;
    path = slice_from(path, 1);
    for (unsigned depth = 0; path.n; depth++) {
        struct slice name = SLICE_NONE;
        int64_t index;
        if (depth >= LIMIT_JSON_DEPTH / 2 || !step_next(&path, &name, &index))
            return ERR_UP_PROTOCOL;
        enum err e = step_into(p->doc, &at, name, index);
        if (e)
            return e;
    }
    *ret = at;
    return ERR_OK;
}

// ---- values

// Pieces of a text follow each other, the last of them often empty.
static enum err set_text(struct gemini_partial *p, yyjson_mut_val *at, struct slice more) {
    struct slice have = SLICE_NONE;
    if (yyjson_mut_is_str(at))
        have = slice_of(yyjson_mut_get_str(at), yyjson_mut_get_len(at));
    else if (!yyjson_mut_is_null(at))
        return ERR_UP_PROTOCOL;
    if (have.n + more.n > LIMIT_FRAME_BYTES)
        return ERR_TOO_LARGE;
    if (have.p && !more.n)
        return ERR_OK;
    char *joined = mem_alloc(have.n + more.n + 1);
    if (!joined)
        return ERR_NO_MEMORY;
    if (have.n)
        memcpy(joined, have.p, have.n);
    if (more.n)
        memcpy(joined + have.n, more.p, more.n);
    yyjson_mut_val *copy = yyjson_mut_strncpy(p->doc, joined, have.n + more.n);
    mem_free(joined);
    if (!copy)
        return ERR_NO_MEMORY;
    yyjson_mut_set_strn(at, yyjson_mut_get_str(copy), yyjson_mut_get_len(copy));
    return ERR_OK;
}

static enum err set_value(struct gemini_partial *p, yyjson_mut_val *at, yyjson_val *piece) {
    yyjson_val *text = yyjson_obj_get(piece, "stringValue"), *number = yyjson_obj_get(piece, "numberValue");
    yyjson_val *boolean = yyjson_obj_get(piece, "boolValue");
    if (yyjson_is_str(text))
        return set_text(p, at, json_str(text));
    if (yyjson_is_uint(number))
        yyjson_mut_set_uint(at, yyjson_get_uint(number));
    else if (yyjson_is_sint(number))
        yyjson_mut_set_sint(at, yyjson_get_sint(number));
    else if (yyjson_is_num(number))
        yyjson_mut_set_real(at, yyjson_get_num(number));
    else if (yyjson_is_bool(boolean))
        yyjson_mut_set_bool(at, yyjson_get_bool(boolean));
    return ERR_OK; // null, or a kind that came after us
}

enum err gemini_partial_add(struct gemini_partial *p, yyjson_val *list) {
    yyjson_val *v;
    size_t i, n;
    if (!yyjson_is_arr(list))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(list, i, n, v) {
        yyjson_mut_val *at = NULL;
        enum err e = find(p, json_get_str(v, "jsonPath"), &at);
        if (!e)
            e = set_value(p, at, v);
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err gemini_partial_take(struct gemini_partial *p, struct slice *ret) {
    size_t n = 0;
    mem_free(p->text);
    p->text = yyjson_mut_write_opts(p->doc, YYJSON_WRITE_NOFLAG, &json_alc, &n, NULL);
    *ret = slice_of(p->text, n);
    return p->text ? ERR_OK : ERR_NO_MEMORY;
}
