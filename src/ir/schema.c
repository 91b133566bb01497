// SPDX-License-Identifier: Apache-2.0
// The validator behind structured outputs and emulated tools: a walk over schema and value at once. It judges what an
// upstream said against what a client asked for, so both sides come from strangers: the walk has a bound on its depth (a
// $ref may lead back to itself) and on its steps (alternatives of alternatives, long lists of enum values), and nothing is
// allocated. Unknown keywords allow everything: an answer is only refused for what is certainly wrong. "pattern" is among
// them on purpose: a client's expression is not run here, as it could take forever.
#include "ir/schema.h"
#include <math.h>
#include <stdio.h>
#include "base/limits.h"

// Where the walk stands in the value; links on the C stack up to the root, whose `up` is NULL.
struct place {
    const struct place *up;
    struct slice name; // of a member; p NULL: an element
    size_t index;
};

struct walk {
    yyjson_val *document;
    struct schema_fault *fault;
    size_t steps, depth;
    int quiet; // inside alternatives: a mismatch is no fault yet
    bool limit;
};

static bool fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at);

static bool take_steps(struct walk *w, size_t n) {
    if (n > LIMIT_SCHEMA_STEPS - w->steps)
        w->limit = true;
    else
        w->steps += n;
    return !w->limit;
}

// ---- telling

static void path_append(const struct place *at, struct schema_fault *f, size_t *n) {
    if (!at->up)
        return;
    path_append(at->up, f, n);
    char *to = f->text + *n;
    size_t room = sizeof f->text - *n;
    int more = at->name.p
                   ? snprintf(to, room, "%s%.*s", *n ? "." : "", (int)(at->name.n < 64 ? at->name.n : 64), at->name.p)
                   : snprintf(to, room, "[%zu]", at->index);
    *n += more < 0 ? 0 : (size_t)more < room ? (size_t)more : room - 1;
}

// Always false.
static bool breaks(struct walk *w, const struct place *at, const char *text) {
    size_t n = 0;
    if (w->quiet || w->limit)
        return false;
    path_append(at, w->fault, &n);
    (void)snprintf(w->fault->text + n, sizeof w->fault->text - n, "%s%s", n ? ": " : "", text);
    return false;
}

// ---- equality as JSON Schema means it: 1 and 1.0 are the same, members have no order

static bool number_equal(yyjson_val *a, yyjson_val *b) {
    if (yyjson_is_int(a) && yyjson_is_int(b))
        return yyjson_get_uint(a) == yyjson_get_uint(b) && yyjson_is_sint(a) == yyjson_is_sint(b);
    return yyjson_get_num(a) == yyjson_get_num(b);
}

static bool equal(struct walk *w, yyjson_val *a, yyjson_val *b);

static bool members_equal(struct walk *w, yyjson_val *a, yyjson_val *b) {
    yyjson_obj_iter it = yyjson_obj_iter_with(a);
    size_t n = yyjson_obj_size(a);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        if (!take_steps(w, n))
            return false;
        yyjson_val *other = yyjson_obj_getn(b, yyjson_get_str(key), yyjson_get_len(key));
        if (!other || !equal(w, yyjson_obj_iter_get_val(key), other))
            return false;
    }
    return true;
}

static bool elements_equal(struct walk *w, yyjson_val *a, yyjson_val *b) {
    yyjson_arr_iter one = yyjson_arr_iter_with(a), two = yyjson_arr_iter_with(b);
    for (yyjson_val *v; (v = yyjson_arr_iter_next(&one));)
        if (!equal(w, v, yyjson_arr_iter_next(&two)))
            return false;
    return true;
}

// Recursion is bounded by LIMIT_JSON_DEPTH of both.
static bool equal(struct walk *w, yyjson_val *a, yyjson_val *b) {
    if (!take_steps(w, 1) || yyjson_get_type(a) != yyjson_get_type(b))
        return false;
    switch (yyjson_get_type(a)) {
    case YYJSON_TYPE_NUM:
        return number_equal(a, b);
    case YYJSON_TYPE_STR:
        return slice_eq(json_str(a), json_str(b));
    case YYJSON_TYPE_BOOL:
        return yyjson_get_bool(a) == yyjson_get_bool(b);
    case YYJSON_TYPE_ARR:
        return yyjson_arr_size(a) == yyjson_arr_size(b) && elements_equal(w, a, b);
    case YYJSON_TYPE_OBJ:
        return yyjson_obj_size(a) == yyjson_obj_size(b) && members_equal(w, a, b);
    default:
        return true;
    }
}

// ---- $ref

// The next step of a JSON pointer (RFC 6901) is `name`; "~1" stands for '/', "~0" for '~'.
static bool pointer_step_is(struct slice step, struct slice name) {
    size_t i = 0, j = 0;
    while (i < step.n && j < name.n) {
        char c = step.p[i++];
        if (c == '~' && i < step.n)
            c = step.p[i++] == '1' ? '/' : '~';
        if (c != name.p[j++])
            return false;
    }
    return i == step.n && j == name.n;
}

static yyjson_val *pointer_step(yyjson_val *at, struct slice step) {
    uint64_t index;
    if (yyjson_is_arr(at))
        return slice_u64(step, &index) ? yyjson_arr_get(at, (size_t)index) : NULL;
    yyjson_obj_iter it = yyjson_obj_iter_with(at);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
        if (pointer_step_is(step, json_str(key)))
            return yyjson_obj_iter_get_val(key);
    return NULL;
}

yyjson_val *schema_resolve(yyjson_val *document, struct slice ref) {
    if (slice_is(ref, "#"))
        return document;
    if (!slice_starts(ref, "#/"))
        return NULL;
    struct slice rest = slice_from(ref, 2);
    yyjson_val *at = document;
    while (at && rest.p)
        at = pointer_step(at, slice_split(&rest, '/'));
    return at;
}

static bool ref_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    struct slice ref = json_get_str(schema, "$ref");
    if (!ref.p)
        return true;
    if (!take_steps(w, 1 + ref.n / 8))
        return false;
    yyjson_val *target = schema_resolve(w->document, ref);
    return !target || fits(w, target, v, at);
}

// ---- any value

static bool whole(yyjson_val *v) {
    double d = yyjson_get_num(v);
    return yyjson_is_int(v) || (isfinite(d) && d == floor(d));
}

// A name that is no type allows everything.
static bool type_is(struct slice name, yyjson_val *v) {
    if (slice_is(name, "string"))
        return yyjson_is_str(v);
    if (slice_is(name, "number"))
        return yyjson_is_num(v);
    if (slice_is(name, "integer"))
        return yyjson_is_num(v) && whole(v);
    if (slice_is(name, "object"))
        return yyjson_is_obj(v);
    if (slice_is(name, "array"))
        return yyjson_is_arr(v);
    if (slice_is(name, "boolean"))
        return yyjson_is_bool(v);
    if (slice_is(name, "null"))
        return yyjson_is_null(v);
    return true;
}

static bool type_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *type = yyjson_obj_get(schema, "type"), *one;
    size_t i, n;
    char text[64];
    if (yyjson_is_str(type)) {
        struct slice name = json_str(type);
        if (type_is(name, v))
            return true;
        (void)snprintf(text, sizeof text, "expected %.*s", (int)(name.n < 16 ? name.n : 16), name.p);
        return breaks(w, at, text);
    }
    if (!yyjson_is_arr(type) || !take_steps(w, yyjson_arr_size(type)))
        return !yyjson_is_arr(type);
    yyjson_arr_foreach(type, i, n, one) {
        if (!yyjson_is_str(one) || type_is(json_str(one), v))
            return true;
    }
    return breaks(w, at, "is of none of the types allowed");
}

static bool enum_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *list = yyjson_obj_get(schema, "enum"), *only = yyjson_obj_get(schema, "const"), *one;
    size_t i, n;
    if (only && !equal(w, only, v))
        return breaks(w, at, "is not the one value allowed");
    if (!yyjson_is_arr(list))
        return true;
    yyjson_arr_foreach(list, i, n, one) {
        if (equal(w, one, v))
            return true;
    }
    return breaks(w, at, "is none of the values allowed");
}

// ---- alternatives

// How many of the list fit, counted up to `enough`.
static size_t count_fitting(struct walk *w, yyjson_val *list, yyjson_val *v, const struct place *at, size_t enough) {
    yyjson_val *one;
    size_t i, n, count = 0;
    w->quiet++;
    yyjson_arr_foreach(list, i, n, one) {
        if (count < enough && !w->limit)
            count += fits(w, one, v, at);
    }
    w->quiet--;
    return count;
}

static bool combined_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *any = yyjson_obj_get(schema, "anyOf"), *one_of = yyjson_obj_get(schema, "oneOf");
    yyjson_val *all = yyjson_obj_get(schema, "allOf"), *no = yyjson_obj_get(schema, "not"), *one;
    size_t i, n;
    yyjson_arr_foreach(all, i, n, one) {
        if (!fits(w, one, v, at))
            return false;
    }
    if (yyjson_is_arr(any) && count_fitting(w, any, v, at, 1) == 0)
        return breaks(w, at, "fits none of the alternatives");
    if (yyjson_is_arr(one_of) && count_fitting(w, one_of, v, at, 2) != 1)
        return breaks(w, at, "does not fit exactly one of the alternatives");
    if (!no)
        return true;
    w->quiet++;
    bool hit = fits(w, no, v, at);
    w->quiet--;
    return hit || w->limit ? breaks(w, at, "is what the schema rules out") : true;
}

// ---- by type

// A bound that is no number allows everything.
static bool number_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *min = yyjson_obj_get(schema, "minimum"), *max = yyjson_obj_get(schema, "maximum");
    yyjson_val *above = yyjson_obj_get(schema, "exclusiveMinimum"), *below = yyjson_obj_get(schema, "exclusiveMaximum");
    yyjson_val *step = yyjson_obj_get(schema, "multipleOf");
    double d = yyjson_get_num(v), of = yyjson_get_num(step);
    if ((yyjson_is_num(min) && d < yyjson_get_num(min)) || (yyjson_is_num(above) && d <= yyjson_get_num(above)))
        return breaks(w, at, "is below the minimum");
    if ((yyjson_is_num(max) && d > yyjson_get_num(max)) || (yyjson_is_num(below) && d >= yyjson_get_num(below)))
        return breaks(w, at, "is above the maximum");
    if (yyjson_is_num(step) && of > 0 && fabs(d / of - round(d / of)) > 1e-9)
        return breaks(w, at, "is no multiple of what it must be");
    return true;
}

// The keyword as a count; `otherwise` when it is absent or none.
static size_t count_of(yyjson_val *schema, const char *name, size_t otherwise) {
    int64_t n = json_get_int(schema, name, -1);
    return n < 0 ? otherwise : (size_t)n;
}

static bool size_fits(struct walk *w, yyjson_val *schema, size_t n, const char *least, const char *most,
                      const struct place *at) {
    if (n < count_of(schema, least, 0))
        return breaks(w, at, "is too short");
    return n <= count_of(schema, most, SIZE_MAX) ? true : breaks(w, at, "is too long");
}

static bool string_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    struct slice s = json_str(v);
    size_t points = 0;
    for (size_t i = 0; i < s.n; i++)
        points += (s.p[i] & 0xc0) != 0x80;
    return size_fits(w, schema, points, "minLength", "maxLength", at);
}

static bool all_differ(struct walk *w, yyjson_val *list) {
    yyjson_arr_iter it = yyjson_arr_iter_with(list);
    for (yyjson_val *a; (a = yyjson_arr_iter_next(&it));) {
        yyjson_arr_iter behind = it;
        for (yyjson_val *b; (b = yyjson_arr_iter_next(&behind));)
            if (equal(w, a, b) || w->limit)
                return false;
    }
    return true;
}

static bool array_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *items = yyjson_obj_get(schema, "items"), *first = yyjson_obj_get(schema, "prefixItems"), *one;
    size_t i, n;
    if (!size_fits(w, schema, yyjson_arr_size(v), "minItems", "maxItems", at))
        return false;
    if (yyjson_get_bool(yyjson_obj_get(schema, "uniqueItems")) && !all_differ(w, v))
        return breaks(w, at, "holds a value twice");
    if (yyjson_is_arr(items)) { // the spelling before 2020-12
        first = items;
        items = yyjson_obj_get(schema, "additionalItems");
    }
    yyjson_arr_iter of_first = yyjson_arr_iter_with(yyjson_is_arr(first) ? first : NULL);
    yyjson_arr_foreach(v, i, n, one) {
        const struct place inner = {at, SLICE_NONE, i};
        yyjson_val *own = yyjson_arr_iter_next(&of_first), *item = own ? own : items;
        if (item && !fits(w, item, one, &inner))
            return false;
    }
    return true;
}

static bool required_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *list = yyjson_obj_get(schema, "required"), *one;
    size_t i, n, members = yyjson_obj_size(v);
    yyjson_arr_foreach(list, i, n, one) {
        if (!take_steps(w, members + 1))
            return false;
        const struct place inner = {at, json_str(one), 0};
        if (yyjson_is_str(one) && !yyjson_obj_getn(v, yyjson_get_str(one), yyjson_get_len(one)))
            return breaks(w, &inner, "is missing");
    }
    return true;
}

static bool members_fit(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    yyjson_val *properties = yyjson_obj_get(schema, "properties");
    yyjson_val *more = yyjson_obj_get(schema, "additionalProperties");
    size_t known = yyjson_obj_size(properties);
    if (yyjson_obj_get(schema, "patternProperties"))
        more = NULL; // which members it means is not known here
    yyjson_obj_iter it = yyjson_obj_iter_with(v);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        if (!take_steps(w, known + 1))
            return false;
        yyjson_val *own = yyjson_obj_getn(properties, yyjson_get_str(key), yyjson_get_len(key));
        if (!own && yyjson_is_false(more))
            return breaks(w, at, "has a member that the schema does not allow");
        const struct place inner = {at, own ? json_str(key) : SLICE("*"), 0};
        yyjson_val *rule = own ? own : more;
        if (rule && !fits(w, rule, yyjson_obj_iter_get_val(key), &inner))
            return false;
    }
    return true;
}

static bool object_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    return size_fits(w, schema, yyjson_obj_size(v), "minProperties", "maxProperties", at) &&
           required_fits(w, schema, v, at) && members_fit(w, schema, v, at);
}

static bool own_type_fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    if (yyjson_is_obj(v))
        return object_fits(w, schema, v, at);
    if (yyjson_is_arr(v))
        return array_fits(w, schema, v, at);
    if (yyjson_is_str(v))
        return string_fits(w, schema, v, at);
    return yyjson_is_num(v) ? number_fits(w, schema, v, at) : true;
}

static bool fits(struct walk *w, yyjson_val *schema, yyjson_val *v, const struct place *at) {
    if (yyjson_is_false(schema))
        return breaks(w, at, "is not allowed");
    if (!yyjson_is_obj(schema))
        return true;
    if (!take_steps(w, 1 + yyjson_obj_size(schema)) || w->depth == LIMIT_SCHEMA_DEPTH) {
        w->limit = true;
        return false;
    }
    if (yyjson_is_null(v) && yyjson_get_bool(yyjson_obj_get(schema, "nullable")))
        return true;
    w->depth++;
    bool fine = ref_fits(w, schema, v, at) && type_fits(w, schema, v, at) && enum_fits(w, schema, v, at) &&
                combined_fits(w, schema, v, at) && own_type_fits(w, schema, v, at);
    w->depth--;
    return fine && !w->limit;
}

enum err schema_check(yyjson_val *schema, yyjson_val *value, struct schema_fault *ret) {
    const struct place root = {NULL, SLICE_NONE, 0};
    struct walk w = {.document = schema, .fault = ret};
    ret->text[0] = 0;
    if (fits(&w, schema, value, &root))
        return ERR_OK;
    return w.limit ? ERR_LIMIT : ERR_UP_SCHEMA;
}
