// SPDX-License-Identifier: Apache-2.0
// The validator against a table of schemas and values, hostile ones among them.
#include "ir/schema.h"
#include <stdio.h>
#include "base/limits.h"
#include "base/mem.h"
#include "unit.h"

static enum err check(const char *schema, const char *value, struct schema_fault *f) {
    struct arena a;
    struct json_doc s, v;
    struct json_error why;
    arena_init(&a, 64u << 20, 0);
    enum err e = json_read(&a, slice_str(schema), &s, &why);
    if (!e)
        e = json_read(&a, slice_str(value), &v, &why);
    if (!e)
        e = schema_check(yyjson_doc_get_root(s.doc), yyjson_doc_get_root(v.doc), f);
    arena_done(&a);
    return e;
}

// One schema, values that fit it, values that do not. Lists end with NULL.
struct row {
    const char *schema;
    const char *fit[10];
    const char *not_fit[10];
};

static const struct row rows[] = {
    {"{}", {"1", "null", "{}"}, {NULL}},
    {"true", {"1"}, {NULL}},
    {"false", {NULL}, {"1", "null"}},
    {"{\"type\":\"string\"}", {"\"\"", "\"a\""}, {"1", "null", "[]", "{}", "true"}},
    {"{\"type\":\"integer\"}", {"1", "-7", "2.0", "1e3", "18446744073709551615"}, {"1.5", "\"1\"", "true"}},
    {"{\"type\":\"number\"}", {"1", "1.5", "-0.0"}, {"\"1\"", "null"}},
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"0", "null"}},
    {"{\"type\":\"null\"}", {"null"}, {"0", "false"}},
    {"{\"type\":[\"string\",\"null\"]}", {"null", "\"x\""}, {"1", "{}"}},
    {"{\"type\":\"string\",\"nullable\":true}", {"null", "\"x\""}, {"1"}},
    {"{\"type\":\"money\"}", {"1", "\"a type of somebody's own allows everything\""}, {NULL}},
    {"{\"type\":5,\"required\":7,\"properties\":[],\"anyOf\":1,\"enum\":2,\"minimum\":\"x\"}", {"1", "{}"}, {NULL}},
    {"{\"enum\":[\"a\",1,null,{\"k\":[1]}]}",
     {"\"a\"", "1", "1.0", "null", "{\"k\":[1.0]}"},
     {"\"b\"", "2", "false", "{\"k\":[1,1]}", "{\"k\":[2]}", "{\"j\":[1]}", "{}"}},
    {"{\"const\":{\"a\":1,\"b\":2}}", {"{\"b\":2,\"a\":1}"}, {"{\"a\":1}", "{\"a\":1,\"b\":2,\"c\":3}", "null"}},
    {"{\"const\":-1}", {"-1", "-1.0"}, {"18446744073709551615", "1"}},
    {"{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}",
     {"{\"a\":1}", "{\"a\":1,\"b\":\"more\"}", "\"no object at all\""},
     {"{}", "{\"a\":\"1\"}", "{\"b\":1}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}",
     {"{}", "{\"a\":null}"},
     {"{\"b\":1}", "{\"a\":1,\"b\":1}", "[]"}},
    {"{\"properties\":{\"a\":{}},\"additionalProperties\":{\"type\":\"string\"}}",
     {"{\"a\":1,\"b\":\"x\"}"},
     {"{\"b\":1}"}},
    {"{\"properties\":{\"a\":{\"type\":\"integer\"}},\"patternProperties\":{\"^x\":{}},\"additionalProperties\":false}",
     {"{\"xy\":1}"},
     {"{\"a\":\"\"}"}},
    {"{\"minProperties\":1,\"maxProperties\":2}", {"{\"a\":1}", "1"}, {"{}", "{\"a\":1,\"b\":1,\"c\":1}"}},
    {"{\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
     {"[1]", "[1,2,3]", "{}"},
     {"[]", "[1,2,3,4]", "[1,\"2\"]"}},
    {"{\"items\":false,\"prefixItems\":[{\"type\":\"string\"},{}]}", {"[\"a\",1]", "[]"}, {"[1]", "[\"a\",1,2]"}},
    {"{\"items\":[{\"type\":\"string\"}],\"additionalItems\":{\"type\":\"null\"}}",
     {"[\"a\",null]"},
     {"[\"a\",1]", "[1]"}},
    {"{\"uniqueItems\":true}", {"[1,2,\"1\",{\"a\":1}]", "[]"}, {"[1,1.0]", "[{\"a\":[]},{\"a\":[]}]"}},
    {"{\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"", "5"},
     {"\"a\"", "\"abcd\""}},
    {"{\"minimum\":1,\"maximum\":2.5}", {"1", "2.5", "\"3\""}, {"0.99", "3", "-1"}},
    {"{\"exclusiveMinimum\":1,\"exclusiveMaximum\":3}", {"2"}, {"1", "3"}},
    {"{\"multipleOf\":0.1}", {"0.3", "1", "-2.7"}, {"0.35"}},
    {"{\"multipleOf\":0}", {"0.3"}, {NULL}},
    {"{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}]}", {"\"a\"", "7", "null"}, {"3"}},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"minimum\":5}]}", {"3", "5.5", "\"x\""}, {"7", "3.5"}},
    {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", {"2"}, {"0", "4"}},
    {"{\"not\":{\"type\":\"null\"}}", {"1"}, {"null"}},
    {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"type\":\"string\"}}}", {"\"x\""}, {"1"}},
    {"{\"properties\":{\"x\":{\"$ref\":\"#/definitions/a~1b~0c\"}},\"definitions\":{\"a/b~c\":{\"const\":1}}}",
     {"{\"x\":1}"},
     {"{\"x\":2}"}},
    {"{\"properties\":{\"x\":{\"$ref\":\"#/allOf/1\"}},\"allOf\":[{},{\"type\":\"object\"}]}",
     {"{\"x\":{}}"},
     {"{\"x\":1}", "2"}},
    {"{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}},\"additionalProperties\":false}",
     {"{\"next\":{\"next\":{}}}"},
     {"{\"next\":{\"next\":{\"x\":1}}}", "{\"next\":1}"}},
    {"{\"$ref\":\"https://elsewhere.example/schema\"}", {"1", "{}"}, {NULL}},
    {"{\"$ref\":\"#/nowhere\"}", {"1"}, {NULL}},
    {"{\"pattern\":\"^a+$\",\"format\":\"date\"}", {"\"neither is run here\""}, {NULL}},
};

TEST(schema_table_holds) {
    struct schema_fault f = {.text = ""};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t k = 0; rows[i].fit[k]; k++)
            if (check(rows[i].schema, rows[i].fit[k], &f))
                FAIL("%s does not take %s: %s", rows[i].schema, rows[i].fit[k], f.text);
        for (size_t k = 0; rows[i].not_fit[k]; k++)
            if (check(rows[i].schema, rows[i].not_fit[k], &f) != ERR_UP_SCHEMA || !f.text[0])
                FAIL("%s takes %s", rows[i].schema, rows[i].not_fit[k]);
    }
}

TEST(schema_tells_where) {
    static const char schema[] =
        "{\"properties\":{\"people\":{\"items\":{\"properties\":{\"age\":{\"type\":\"integer\"}},"
        "\"required\":[\"name\"],\"additionalProperties\":false}}},"
        "\"additionalProperties\":{\"type\":\"null\"}}";
    struct schema_fault f;
    CHECK_EQ(check(schema, "{\"people\":[{\"name\":1},{\"name\":1,\"age\":\"x\"}]}", &f), ERR_UP_SCHEMA);
    CHECK_STREQ(f.text, "people[0]: has a member that the schema does not allow");
    CHECK_EQ(check(schema, "{\"people\":[{\"age\":1}]}", &f), ERR_UP_SCHEMA);
    CHECK_STREQ(f.text, "people[0].name: is missing");
    CHECK_EQ(check(schema, "{\"a name that the model made up\":1}", &f), ERR_UP_SCHEMA);
    CHECK_STREQ(f.text, "*: expected null");
    CHECK_EQ(check("{\"type\":\"array\"}", "{}", &f), ERR_UP_SCHEMA);
    CHECK_STREQ(f.text, "expected array");
    CHECK_EQ(check("{\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]}]}", "{\"a\":2}", &f),
             ERR_UP_SCHEMA);
    CHECK_STREQ(f.text, "fits none of the alternatives");
    CHECK_EQ(check("{}", "1", &f), ERR_OK);
    CHECK_STREQ(f.text, "");
}

// n times `open`, `middle`, n times `close`; freed by the caller.
static char *nested(size_t n, const char *open, const char *middle, const char *close) {
    char *text = mem_alloc(n * (strlen(open) + strlen(close)) + strlen(middle) + 1), *to = text;
    for (size_t i = 0; i < n; i++)
        to = mempcpy(to, open, strlen(open));
    to = mempcpy(to, middle, strlen(middle));
    for (size_t i = 0; i < n; i++)
        to = mempcpy(to, close, strlen(close));
    *to = 0;
    return text;
}

// A fault at the end of a path of any length stays within its text.
TEST(schema_cuts_a_long_path) {
    char *value = nested(LIMIT_JSON_DEPTH - 1, "{\"a_member_with_a_long_name\":", "1", "}");
    struct schema_fault f;
    enum err e =
        check("{\"type\":\"object\",\"properties\":{\"a_member_with_a_long_name\":{\"$ref\":\"#\"}}}", value, &f);
    mem_free(value);
    CHECK_EQ(e, ERR_UP_SCHEMA);
    CHECK_EQ(strlen(f.text), sizeof f.text - 1);
    CHECK(strncmp(f.text, "a_member_with_a_long_name.a_member", 34) == 0);
}

TEST(schema_is_bounded) {
    struct schema_fault f;
    CHECK_EQ(check("{\"$ref\":\"#\"}", "1", &f), ERR_LIMIT);
    CHECK_EQ(check("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}",
                   "1", &f),
             ERR_LIMIT);
    CHECK_EQ(check("{\"not\":{\"$ref\":\"#\"}}", "1", &f), ERR_LIMIT);
    // two alternatives of two alternatives of …: each name doubles the work
    static const char doubling[] =
        "{\"$defs\":{\"a\":{\"anyOf\":[{\"$ref\":\"#/$defs/b\"},{\"$ref\":\"#/$defs/b\"}]},"
        "\"b\":{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/a\"}]}},\"$ref\":\"#/$defs/a\"}";
    CHECK_EQ(check(doubling, "1", &f), ERR_LIMIT);
    char *many = nested(20000, "0,", "0", ""), *list = mem_alloc(strlen(many) + 3);
    (void)snprintf(list, strlen(many) + 3, "[%s]", many);
    enum err e = check("{\"items\":{\"enum\":[1,2,3,4,5,6,7,8,9]},\"uniqueItems\":true}", list, &f);
    enum err fine = check("{\"items\":{\"type\":\"integer\"}}", list, &f);
    mem_free(many);
    mem_free(list);
    CHECK_EQ(e, ERR_UP_SCHEMA); // the first two are equal: found at once
    CHECK_EQ(fine, ERR_OK);
}

// Long lists that all differ are too much to compare pair by pair.
TEST(schema_bounds_comparisons) {
    struct buf b = BUF_INIT(1u << 20);
    struct schema_fault f;
    buf_append_char(&b, '[');
    for (int i = 0; i < 5000; i++)
        buf_printf(&b, "%s%d", i ? "," : "", i);
    buf_append_char(&b, ']');
    enum err e = check("{\"uniqueItems\":true}", buf_cstr(&b), &f);
    buf_done(&b);
    CHECK_EQ(e, ERR_LIMIT);
}

TEST(schema_allocates_nothing) {
    struct arena a;
    struct json_doc s, v;
    struct json_error why;
    struct schema_fault f;
    arena_init(&a, 1u << 20, 0);
    bool read = !json_read(&a, SLICE("{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"$ref\":\"#/items/anyOf/0\"}]}}"),
                           &s, &why) &&
                !json_read(&a, SLICE("[\"a\",2]"), &v, &why);
    mem_fail_at(1);
    enum err e = read ? schema_check(yyjson_doc_get_root(s.doc), yyjson_doc_get_root(v.doc), &f) : ERR_OK;
    unsigned long n = mem_count();
    mem_fail_at(0);
    arena_done(&a);
    CHECK_EQ(e, ERR_UP_SCHEMA);
    CHECK_EQ(n, 0);
}
