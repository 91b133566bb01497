// SPDX-License-Identifier: Apache-2.0
// Google's form of a schema → JSON Schema. Theirs is OpenAPI's of old: types in capitals, `nullable` beside the type, the
// order of properties as a list, counts that may be strings (64-bit integers in a protocol buffer's JSON). All other
// dialects and the local grammar take JSON Schema, and so does Gemini, under parametersJsonSchema and responseJsonSchema,
// so this goes one way only. The depth is bounded by the JSON reader. Arena memory.
#include "base/limits.h"
#include "dialect/gemini.h"

struct schema_out {
    struct field_reader *rd;
    struct json_writer w;
};

static enum err put_schema(struct schema_out *out, const struct field_at *at);

static void put_lower(struct json_writer *w, struct slice s) {
    char text[32];
    size_t n = s.n < sizeof text ? s.n : sizeof text;
    for (size_t i = 0; i < n; i++)
        text[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
    json_put_str(w, slice_of(text, n));
}

static enum err put_type(struct schema_out *out, const struct field_at *at, bool nullable) {
    struct slice type = json_str(at->val);
    if (yyjson_is_arr(at->val)) { // JSON Schema already
        json_kv_raw(&out->w, "type", json_get_src(&out->rd->doc, at->up->val, at->name));
        return ERR_OK;
    }
    if (!type.p)
        return field_wrong(out->rd, at, NULL, "a string", at->val);
    if (slice_is(type, "TYPE_UNSPECIFIED"))
        return ERR_OK;
    json_key(&out->w, "type");
    if (nullable)
        json_arr(&out->w);
    put_lower(&out->w, type);
    if (nullable) {
        json_put_cstr(&out->w, "null");
        json_arr_end(&out->w);
    }
    return ERR_OK;
}

static enum err put_properties(struct schema_out *out, const struct field_at *at) {
    enum err e = ERR_OK;
    if (!yyjson_is_obj(at->val))
        return field_wrong(out->rd, at, NULL, "an object", at->val);
    json_key(&out->w, "properties");
    json_obj(&out->w);
    yyjson_obj_iter it = yyjson_obj_iter_with(at->val);
    for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));) {
        const struct field_at one = FIELD_MEMBER(at, yyjson_get_str(key), yyjson_obj_iter_get_val(key));
        json_key_slice(&out->w, json_str(key));
        e = put_schema(out, &one);
    }
    json_obj_end(&out->w);
    return e;
}

static enum err put_list(struct schema_out *out, const struct field_at *at, const char *name) {
    yyjson_val *v;
    size_t i, n;
    enum err e = ERR_OK;
    if (!yyjson_is_arr(at->val))
        return field_wrong(out->rd, at, NULL, "an array", at->val);
    json_key(&out->w, name);
    json_arr(&out->w);
    yyjson_arr_foreach(at->val, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(at, i, v);
        if (!e)
            e = put_schema(out, &one);
    }
    json_arr_end(&out->w);
    return e;
}

// A schema, or JSON Schema's true and false.
static enum err put_inner(struct schema_out *out, const struct field_at *at, const char *name) {
    json_key(&out->w, name);
    if (!yyjson_is_bool(at->val))
        return put_schema(out, at);
    json_put_bool(&out->w, yyjson_get_bool(at->val));
    return ERR_OK;
}

static enum err put_count(struct schema_out *out, const struct field_at *at, const char *name) {
    uint64_t n;
    if (yyjson_is_str(at->val) && slice_u64(json_str(at->val), &n) && n <= INT64_MAX) {
        json_kv_int(&out->w, name, (int64_t)n);
        return ERR_OK;
    }
    if (!yyjson_is_num(at->val))
        return field_wrong(out->rd, at, NULL, "an integer", at->val);
    if (!yyjson_is_int(at->val))
        return field_refuse(out->rd, at, NULL, ERR_BAD_FIELD, "expected an integer");
    json_key(&out->w, name);
    json_put_val(&out->w, at->val);
    return ERR_OK;
}

static bool named(const char *key, const char *camel) {
    if (!key)
        return false; // an element, not a member
    for (; *key; key++) {
        char c = *camel >= 'A' && *camel <= 'Z' ? (char)(*camel - 'A' + 'a') : *camel;
        if (*key == '_')
            continue;
        if (*key != *camel && *key != c)
            return false;
        camel++;
    }
    return *camel == 0;
}

static enum err put_member(struct schema_out *out, const struct field_at *at, yyjson_val *key, bool nullable) {
    static const char *const counts[] = {"minItems",      "maxItems",      "minLength", "maxLength",
                                         "minProperties", "maxProperties", NULL};
    const char *name = at->name;
    if (named(name, "propertyOrdering") || named(name, "nullable"))
        return ERR_OK;
    if (named(name, "type"))
        return put_type(out, at, nullable);
    if (named(name, "properties"))
        return put_properties(out, at);
    if (named(name, "items") || named(name, "additionalProperties"))
        return put_inner(out, at, named(name, "items") ? "items" : "additionalProperties");
    if (named(name, "anyOf") || named(name, "prefixItems"))
        return put_list(out, at, named(name, "anyOf") ? "anyOf" : "prefixItems");
    for (const char *const *count = counts; *count; count++)
        if (named(name, *count))
            return put_count(out, at, *count);
    json_key_slice(&out->w, json_str(key));
    json_put_raw(&out->w, json_member_src(&out->rd->doc, key));
    return ERR_OK;
}

static enum err put_schema(struct schema_out *out, const struct field_at *at) {
    static const struct field_type looked_at[] = {{"format", 's'},           {"title", 's'},    {"description", 's'},
                                                  {"nullable", 'b'},         {"required", 't'}, {"enum", 'a'},
                                                  {"propertyOrdering", 't'}, {NULL, 0}};
    if (!yyjson_is_obj(at->val))
        return field_wrong(out->rd, at, NULL, "an object", at->val);
    enum err e = gemini_types(out->rd, at, looked_at);
    bool nullable = yyjson_is_true(yyjson_obj_get(at->val, "nullable"));
    json_obj(&out->w);
    yyjson_obj_iter it = yyjson_obj_iter_with(at->val);
    for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));) {
        const struct field_at one = FIELD_MEMBER(at, yyjson_get_str(key), yyjson_obj_iter_get_val(key));
        e = put_member(out, &one, key, nullable);
    }
    json_obj_end(&out->w);
    return e;
}

enum err gemini_read_schema(struct field_reader *rd, const struct field_at *at, struct slice *ret) {
    struct buf b = BUF_INIT(2 * (size_t)LIMIT_BODY_BYTES);
    struct schema_out out = {rd, JSON_WRITER(&b)};
    enum err e = put_schema(&out, at);
    if (!e && buf_into_arena(&b, rd->a, ret))
        e = field_no_memory(rd);
    buf_done(&b);
    return e;
}
