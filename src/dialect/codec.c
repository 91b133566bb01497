// SPDX-License-Identifier: Apache-2.0
// Typed reading of JSON members, for the request readers of all dialects. A refusal names the field by its path and says
// what was expected and what came, because a client's developer reads it: "messages[2].content: expected a string or an
// array, got a number". Where a value stands is a chain of field_at on the C stack; a path is only built when needed.
// Values are borrowed from the tree, paths and messages belong to the arena. No I/O, no logging.
#include "dialect/codec.h"
#include "base/limits.h"

// A request has some forty members at its root; more than this is an attack on the look-ups.
#define ROOT_MEMBERS_MAX 1024

static const char *type_text(yyjson_val *v) {
    if (!v)
        return "nothing";
    switch (yyjson_get_type(v)) {
    case YYJSON_TYPE_NULL:
        return "null";
    case YYJSON_TYPE_BOOL:
        return "a boolean";
    case YYJSON_TYPE_NUM:
        return "a number";
    case YYJSON_TYPE_STR:
        return "a string";
    case YYJSON_TYPE_ARR:
        return "an array";
    case YYJSON_TYPE_OBJ:
        return "an object";
    default:
        return "something else";
    }
}

static void path_append(struct buf *b, const struct field_at *at) {
    if (!at || !at->up)
        return;
    path_append(b, at->up);
    if (!at->name) {
        buf_printf(b, "[%zu]", at->index);
        return;
    }
    if (b->len)
        buf_append_char(b, '.');
    buf_append_str(b, at->name);
}

struct slice field_path(struct arena *a, const struct field_at *at, const char *name) {
    struct buf b = BUF_INIT(4096);
    path_append(&b, at);
    if (name && b.len)
        buf_append_char(&b, '.');
    if (name)
        buf_append_str(&b, name);
    struct slice path = b.failed ? SLICE_NONE : arena_copy(a, buf_slice(&b));
    buf_done(&b);
    return path;
}

enum err field_no_memory(struct field_reader *rd) {
    *rd->problem = PROBLEM(ERR_NO_MEMORY);
    return ERR_NO_MEMORY;
}

static enum err refuse(struct field_reader *rd, enum err e, struct slice path, const char *message) {
    if (!path.p || !message)
        return field_no_memory(rd);
    *rd->problem = PROBLEM(e);
    rd->problem->param = path;
    rd->problem->message = slice_str(message);
    return e;
}

enum err field_refuse(struct field_reader *rd, const struct field_at *at, const char *name, enum err e,
                      const char *text) {
    struct slice path = field_path(rd->a, at, name);
    const char *message =
        path.n ? arena_printf(rd->a, "%.*s: %s", SLICE_FMT(path), text) : arena_printf(rd->a, "the body: %s", text);
    return refuse(rd, e, path, message);
}

enum err field_wrong(struct field_reader *rd, const struct field_at *at, const char *name, const char *expected,
                     yyjson_val *got) {
    const char *text = arena_printf(rd->a, "expected %s, got %s", expected, type_text(got));
    return text ? field_refuse(rd, at, name, ERR_BAD_FIELD, text) : field_no_memory(rd);
}

static bool is_base64(struct slice s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
                  (c == '=' && i + 2 >= s.n);
        if (!ok)
            return false;
    }
    return s.n > 0;
}

enum err field_base64(struct field_reader *rd, const struct field_at *at, const char *name, struct slice data) {
    return is_base64(data) ? ERR_OK : field_refuse(rd, at, name, ERR_BAD_FIELD, "expected base64");
}

enum err field_missing(struct field_reader *rd, const struct field_at *at, const char *name) {
    return field_refuse(rd, at, name, ERR_MISSING_FIELD, "this field is required");
}

static enum err refuse_json(struct field_reader *rd, const struct json_error *why) {
    const char *text = arena_printf(rd->a, "the body is not valid JSON: at byte %zu, %s", why->offset, why->text);
    return refuse(rd, ERR_BAD_JSON, SLICE(""), text);
}

enum err field_reader_open(struct field_reader *rd, struct arena *a, struct slice body, struct problem *problem) {
    struct json_error why;
    *rd = (struct field_reader){.a = a, .problem = problem};
    enum err e = json_read_body(a, body, &rd->doc, &why);
    if (e == ERR_NO_MEMORY)
        return field_no_memory(rd);
    if (e)
        return refuse_json(rd, &why);
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd->doc.doc));
    if (!yyjson_is_obj(root.val))
        return field_wrong(rd, &root, NULL, "an object", root.val);
    if (yyjson_obj_size(root.val) > ROOT_MEMBERS_MAX)
        return field_refuse(rd, &root, NULL, ERR_BAD_FIELD, "it has too many members");
    return ERR_OK;
}

static size_t name_index(const char *const *names, yyjson_val *key) {
    size_t i = 0;
    while (names[i] && !yyjson_equals_str(key, names[i]))
        i++;
    return i;
}

enum err field_check_once(struct field_reader *rd, const struct field_at *obj, const char *const *names) {
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

enum err field_unmodelled(struct field_reader *rd, yyjson_val *obj, const char *const *names, struct slice **ret,
                          size_t *ret_n) {
    struct slice found[LIMIT_DROPPED];
    size_t n = 0;
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    for (yyjson_val *key; n < LIMIT_DROPPED && (key = yyjson_obj_iter_next(&it));)
        if (!names[name_index(names, key)])
            found[n++] = json_str(key);
    struct slice *kept = n ? arena_array(rd->a, n, sizeof *kept) : NULL;
    if (n && !kept)
        return field_no_memory(rd);
    if (n)
        memcpy(kept, found, n * sizeof *kept);
    *ret = kept;
    *ret_n = n;
    return ERR_OK;
}

// ---- typed members

// NULL: absent or null.
static yyjson_val *member(const struct field_at *obj, const char *name) {
    yyjson_val *v = yyjson_obj_get(obj->val, name);
    return yyjson_is_null(v) ? NULL : v;
}

enum err field_str(struct field_reader *rd, const struct field_at *obj, const char *name, struct slice *ret) {
    yyjson_val *v = member(obj, name);
    if (v && !yyjson_is_str(v))
        return field_wrong(rd, obj, name, "a string", v);
    if (v)
        *ret = json_str(v);
    return ERR_OK;
}

enum err field_str_needed(struct field_reader *rd, const struct field_at *obj, const char *name, struct slice *ret) {
    yyjson_val *v = member(obj, name);
    return v ? field_str(rd, obj, name, ret) : field_missing(rd, obj, name);
}

enum err field_bool(struct field_reader *rd, const struct field_at *obj, const char *name, bool *ret) {
    yyjson_val *v = member(obj, name);
    if (v && !yyjson_is_bool(v))
        return field_wrong(rd, obj, name, "a boolean", v);
    if (v)
        *ret = yyjson_get_bool(v);
    return ERR_OK;
}

enum err field_flag(struct field_reader *rd, const struct field_at *obj, const char *name, int *ret) {
    bool on = false;
    enum err e = field_bool(rd, obj, name, &on);
    if (!e && member(obj, name))
        *ret = on;
    return e;
}

static bool whole_number(yyjson_val *v, int64_t *ret) {
    if (yyjson_is_sint(v)) {
        *ret = yyjson_get_sint(v);
        return true;
    }
    if (yyjson_is_uint(v)) {
        *ret = (int64_t)yyjson_get_uint(v);
        return yyjson_get_uint(v) <= INT64_MAX;
    }
    double d = yyjson_get_real(v);
    if (!yyjson_is_real(v) || !(d > -9.2e18 && d < 9.2e18) || d != (double)(int64_t)d)
        return false;
    *ret = (int64_t)d;
    return true;
}

enum err field_int(struct field_reader *rd, const struct field_at *obj, const char *name, int64_t min, int64_t max,
                   int64_t *ret) {
    yyjson_val *v = member(obj, name);
    int64_t n;
    if (!v)
        return ERR_OK;
    if (!yyjson_is_num(v))
        return field_wrong(rd, obj, name, "an integer", v);
    if (!whole_number(v, &n))
        return field_refuse(rd, obj, name, ERR_BAD_FIELD, "expected an integer");
    if (n < min || n > max) {
        const char *text = arena_printf(rd->a, "expected an integer from %lld to %lld", (long long)min, (long long)max);
        return text ? field_refuse(rd, obj, name, ERR_BAD_FIELD, text) : field_no_memory(rd);
    }
    *ret = n;
    return ERR_OK;
}

enum err field_num(struct field_reader *rd, const struct field_at *obj, const char *name, double min, double max,
                   double *ret) {
    yyjson_val *v = member(obj, name);
    if (!v)
        return ERR_OK;
    if (!yyjson_is_num(v))
        return field_wrong(rd, obj, name, "a number", v);
    double d = yyjson_get_num(v);
    if (!(d >= min && d <= max)) {
        const char *text = arena_printf(rd->a, "expected a number from %g to %g", min, max);
        return text ? field_refuse(rd, obj, name, ERR_BAD_FIELD, text) : field_no_memory(rd);
    }
    *ret = d;
    return ERR_OK;
}

enum err field_arr(struct field_reader *rd, const struct field_at *obj, const char *name, yyjson_val **ret) {
    yyjson_val *v = member(obj, name);
    if (v && !yyjson_is_arr(v))
        return field_wrong(rd, obj, name, "an array", v);
    *ret = v;
    return ERR_OK;
}

enum err field_obj(struct field_reader *rd, const struct field_at *obj, const char *name, yyjson_val **ret) {
    yyjson_val *v = member(obj, name);
    if (v && !yyjson_is_obj(v))
        return field_wrong(rd, obj, name, "an object", v);
    *ret = v;
    return ERR_OK;
}

enum err field_obj_src(struct field_reader *rd, const struct field_at *obj, const char *name, struct slice *ret) {
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, obj, name, &v);
    if (!e && v)
        *ret = json_get_src(&rd->doc, obj->val, name);
    return e;
}

static enum err one_string(struct field_reader *rd, struct slice s, struct slice **ret, size_t *ret_n) {
    *ret = arena_array(rd->a, 1, sizeof **ret);
    if (!*ret)
        return field_no_memory(rd);
    **ret = s;
    *ret_n = 1;
    return ERR_OK;
}

enum err field_strings(struct field_reader *rd, const struct field_at *obj, const char *name, size_t max,
                       struct slice **ret, size_t *ret_n) {
    yyjson_val *v = member(obj, name), *item;
    if (!v)
        return ERR_OK;
    if (yyjson_is_str(v))
        return one_string(rd, json_str(v), ret, ret_n);
    if (!yyjson_is_arr(v))
        return field_wrong(rd, obj, name, "a string or an array of strings", v);
    size_t n = yyjson_arr_size(v), i, count;
    if (n > max)
        return field_refuse(rd, obj, name, ERR_BAD_FIELD, "it has too many elements");
    struct slice *list = arena_array(rd->a, n ? n : 1, sizeof *list);
    if (!list)
        return field_no_memory(rd);
    const struct field_at arr = FIELD_MEMBER(obj, name, v);
    yyjson_arr_foreach(v, i, count, item) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, item);
        if (!yyjson_is_str(item))
            return field_wrong(rd, &at, NULL, "a string", item);
        list[i] = json_str(item);
    }
    *ret = list;
    *ret_n = n;
    return ERR_OK;
}

// ---- members that are only looked at

static bool type_fits(yyjson_val *v, char type) {
    switch (type) {
    case 's':
        return yyjson_is_str(v);
    case 'b':
        return yyjson_is_bool(v);
    case 'n':
    case 'i':
        return yyjson_is_num(v);
    case 'a':
    case 't':
        return yyjson_is_arr(v);
    default:
        return yyjson_is_obj(v);
    }
}

static const char *type_expected(char type) {
    switch (type) {
    case 's':
        return "a string";
    case 'b':
        return "a boolean";
    case 'n':
        return "a number";
    case 'i':
        return "an integer";
    case 'a':
        return "an array";
    case 't':
        return "an array of strings";
    default:
        return "an object";
    }
}

static enum err strings_inside(struct field_reader *rd, const struct field_at *obj, const char *name, yyjson_val *v) {
    yyjson_val *key, *item;
    size_t i, n;
    const struct field_at at = FIELD_MEMBER(obj, name, v);
    yyjson_arr_foreach(v, i, n, item) {
        const struct field_at one = FIELD_ELEMENT(&at, i, item);
        if (!yyjson_is_str(item))
            return field_wrong(rd, &one, NULL, "a string", item);
    }
    yyjson_obj_foreach(v, i, n, key, item) {
        if (!yyjson_is_str(item))
            return field_wrong(rd, &at, yyjson_get_str(key), "a string", item);
    }
    return ERR_OK;
}

enum err field_types(struct field_reader *rd, const struct field_at *obj, const struct field_type *rows) {
    for (; rows->name; rows++) {
        yyjson_val *v = member(obj, rows->name);
        int64_t whole;
        enum err e = ERR_OK;
        if (!v)
            continue;
        if (!type_fits(v, rows->type))
            e = field_wrong(rd, obj, rows->name, type_expected(rows->type), v);
        else if (rows->type == 'i' && !whole_number(v, &whole))
            e = field_refuse(rd, obj, rows->name, ERR_BAD_FIELD, "expected an integer");
        else if (rows->type == 't' || rows->type == 'm')
            e = strings_inside(rd, obj, rows->name, v);
        if (e)
            return e;
    }
    return ERR_OK;
}
