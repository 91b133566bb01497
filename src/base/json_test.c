// SPDX-License-Identifier: Apache-2.0
// JSON: what is refused and where, each value's own bytes found again, every allocation failed in turn.
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "unit.h"

#define CUT_TEST_BYTES 5000

static struct arena arena;
static struct json_doc doc;
static struct json_error why;

static enum err reads(struct slice s) {
    arena_done(&arena);
    arena_init(&arena, 1u << 20, 0);
    return json_read(&arena, s, &doc, &why);
}

static yyjson_val *root(void) {
    return yyjson_doc_get_root(doc.doc);
}

TEST(json_reads) {
    CHECK_EQ(reads(SLICE(" {\"a\": [1, -2.5, \"x\\u00e9\", true, null]} \n")), ERR_OK);
    CHECK_EQ(yyjson_arr_size(yyjson_obj_get(root(), "a")), 5);
    CHECK(slice_is(json_str(yyjson_arr_get(yyjson_obj_get(root(), "a"), 2)), "x\xc3\xa9"));
    CHECK_EQ(json_str(yyjson_arr_get(yyjson_obj_get(root(), "a"), 0)).n, 0);
    CHECK_EQ(reads(SLICE("\"alone\"")), ERR_OK);
    CHECK_EQ(reads(SLICE("0")), ERR_OK);
    arena_done(&arena);
}

TEST(json_refuses_what_is_not_json) {
    const char *bad[] = {"",
                         " ",
                         "{",
                         "[1,]",
                         "{\"a\":1,}",
                         "NaN",
                         "// c\n1",
                         "1 2",
                         "'a'",
                         "\"\xff\"",
                         "\"\\ud800\"",
                         "{\"a\" 1}",
                         "[1] trail",
                         "\xff",
                         "01",
                         "\"a\nb\"",
                         "Infinity",
                         "{a:1}",
                         "\"\xed\xa0\x80\"",
                         "tru",
                         "[1}",
                         "\"\\x\"",
                         "\xef\xbb\xbf{}x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why.text = NULL;
        if (reads(slice_str(bad[i])) != ERR_BAD_JSON || !why.text)
            FAIL("row %zu was taken", i);
    }
    CHECK_EQ(reads(SLICE_NONE), ERR_BAD_JSON);
    CHECK_EQ(reads(SLICE("[1, x]")), ERR_BAD_JSON);
    CHECK_EQ(why.offset, 4);
    CHECK_EQ(reads(slice_of("1\0", 2)), ERR_BAD_JSON);
    arena_done(&arena);
}

// `opens` deep around a string that holds brackets.
static struct slice nested(char *text, size_t opens, char open, char close) {
    size_t n = 0;
    for (size_t i = 0; i < opens; i++) {
        text[n++] = open;
        for (const char *k = open == '{' ? "\"[k\":" : ""; *k; k++)
            text[n++] = *k;
    }
    for (const char *k = "\"[{\\\"[\""; *k; k++)
        text[n++] = *k;
    for (size_t i = 0; i < opens; i++)
        text[n++] = close;
    return slice_of(text, n);
}

TEST(json_bounds_the_depth) {
    static char text[100000];
    CHECK_EQ(reads(nested(text, LIMIT_JSON_DEPTH, '[', ']')), ERR_OK);
    CHECK_EQ(reads(nested(text, LIMIT_JSON_DEPTH, '{', '}')), ERR_OK);
    CHECK_EQ(reads(nested(text, LIMIT_JSON_DEPTH + 1, '[', ']')), ERR_BAD_JSON);
    CHECK_EQ(why.offset, LIMIT_JSON_DEPTH);
    CHECK_EQ(reads(nested(text, LIMIT_JSON_DEPTH + 1, '{', '}')), ERR_BAD_JSON);
    CHECK_EQ(reads(nested(text, 10000, '[', ']')), ERR_BAD_JSON);
    CHECK_EQ(reads(nested(text, 10000, '{', '}')), ERR_BAD_JSON);
    size_t n = 0; // wide is not deep
    text[n++] = '[';
    for (size_t i = 0; i < 1000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s[[],{}]", i ? "," : "");
    text[n++] = ']';
    CHECK_EQ(reads(slice_of(text, n)), ERR_OK);
    arena_done(&arena);
}

TEST(json_finds_each_members_bytes) {
    static const char text[] = "\n\t { \"a\" : 1.50 ,\"\\u0062\\\"\":\t{\"x\":[1, \"}\\\"]\"]}, \"s\":\"v\\n\"\n,"
                               "\"\":true, \"n\" :null,\"e\":[ ],\"t\\\\\":-0e1 }  ";
    const char *want[] = {"1.50", "{\"x\":[1, \"}\\\"]\"]}", "\"v\\n\"", "true", "null", "[ ]", "-0e1"};
    CHECK_EQ(reads(slice_str(text)), ERR_OK);
    yyjson_obj_iter it = yyjson_obj_iter_with(root());
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct slice src = json_member_src(&doc, yyjson_obj_iter_next(&it));
        CHECK_MEM(src.p, src.n, want[i], strlen(want[i]));
        CHECK(src.p > text && src.p < text + sizeof text); // the source's own bytes, not a copy
    }
    CHECK(slice_is(json_get_src(&doc, root(), "b\""), want[1]));
    struct slice inner = json_get_src(&doc, yyjson_obj_get(root(), "b\""), "x");
    CHECK(slice_is(inner, "[1, \"}\\\"]\"]"));
    CHECK(json_get_src(&doc, root(), "absent").p == NULL);
    CHECK(json_get_src(&doc, yyjson_obj_get(root(), "s"), "a").p == NULL);
    CHECK(json_get_src(&doc, NULL, "a").p == NULL);
    CHECK(json_member_src(&doc, NULL).p == NULL);
    CHECK(json_member_src(&doc, root()).p == NULL);
    struct json_doc erased = {.doc = doc.doc};
    CHECK(json_get_src(&erased, root(), "a").p == NULL);
    arena_done(&arena);
}

TEST(json_finds_the_first_of_two_equal_keys) {
    CHECK_EQ(reads(SLICE("{\"a\":1,\"a\":2}")), ERR_OK);
    CHECK(slice_is(json_get_src(&doc, root(), "a"), "1"));
    arena_done(&arena);
}

TEST(json_takes_a_value_at) {
    CHECK(slice_is(json_value_at(SLICE("  12,3")), "12"));
    CHECK(slice_is(json_value_at(SLICE("12")), "12"));
    CHECK(slice_is(json_value_at(SLICE("\"a\\\\\"x")), "\"a\\\\\""));
    CHECK(slice_is(json_value_at(SLICE("\"\\\"\\\"\" ")), "\"\\\"\\\"\""));
    CHECK(slice_is(json_value_at(SLICE("{\"}\":[]} ]")), "{\"}\":[]}"));
    CHECK(slice_is(json_value_at(SLICE("true}")), "true"));
    CHECK(slice_is(json_value_at(SLICE("\"open")), "\"open"));
    CHECK(slice_is(json_value_at(SLICE("\"")), "\""));
    CHECK(slice_is(json_value_at(SLICE("\"\\")), "\"\\"));
    CHECK(slice_is(json_value_at(SLICE("[\"")), "[\""));
    CHECK_EQ(json_value_at(SLICE("  ")).n, 0);
    CHECK_EQ(json_value_at(SLICE_NONE).n, 0);
}

TEST(json_gets_integers) {
    CHECK_EQ(reads(SLICE("{\"a\":7,\"b\":7.0,\"c\":7.5,\"d\":-1,\"e\":\"7\",\"f\":1e300,\"g\":9223372036854775807,"
                         "\"h\":9223372036854775808,\"i\":null,\"j\":1e3}")),
             ERR_OK);
    const struct {
        const char *name;
        int64_t want;
    } rows[] = {{"a", 7},         {"b", 7},  {"c", -9}, {"d", -9},   {"e", -9},   {"f", -9},
                {"g", INT64_MAX}, {"h", -9}, {"i", -9}, {"j", 1000}, {"none", -9}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_EQ(json_get_int(root(), rows[i].name, -9), rows[i].want);
    CHECK(slice_is(json_get_str(root(), "e"), "7"));
    CHECK(json_get_str(root(), "a").p == NULL);
    arena_done(&arena);
}

TEST(json_unescapes) {
    arena_init(&arena, 1u << 20, 0);
    CHECK(slice_is(json_unescape(&arena, SLICE("a\\n\\u00e9\\ud83d\\ude00\\\"")), "a\n\xc3\xa9\xf0\x9f\x98\x80\""));
    struct slice empty = json_unescape(&arena, SLICE_NONE);
    CHECK(empty.p && empty.n == 0);
    CHECK(json_unescape(&arena, SLICE("\\ud83d")).p == NULL);
    CHECK(json_unescape(&arena, SLICE("a\"b")).p == NULL);
    CHECK(json_unescape(&arena, SLICE("\\")).p == NULL);
    arena_done(&arena);
}

TEST(json_reading_survives_every_failed_allocation) {
    static char text[60000];
    size_t n = (size_t)snprintf(text, sizeof text, "[");
    while (n < 50000) // more than the first guess of yyjson, so that it must grow
        n += (size_t)snprintf(text + n, sizeof text - n, "0,");
    n += (size_t)snprintf(text + n, sizeof text - n, "0]");
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; e; k++) {
        CHECK(k < 100);
        arena_init(&arena, 1u << 20, 0);
        mem_fail_at(k);
        e = json_read(&arena, slice_of(text, n), &doc, &why);
        struct slice s = e ? SLICE_NONE : json_unescape(&arena, SLICE("x"));
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        CHECK(!s.p || slice_is(s, "x"));
        arena_done(&arena);
        if (!s.p)
            e = ERR_NO_MEMORY;
    }
    arena_init(&arena, 0, 0); // no room even for the cleanup: the tree is freed at once
    CHECK_EQ(json_read(&arena, SLICE("[1]"), &doc, &why), ERR_NO_MEMORY);
    arena_done(&arena);
}

// ---- large bodies

static void fill(struct buf *b, char c, size_t n) {
    while (n-- > 0)
        buf_append_char(b, c);
}

static void put_image(struct buf *b, size_t n) {
    buf_append_str(b, "{\"type\":\"image\",\"alt\":\"\",\"data\" : \"");
    fill(b, 'A', n);
    buf_append_str(b, "\" , \"n\":1}");
}

// Long strings of all kinds: two that can be cut, an empty one between them, one with an escape, one with UTF-8, a key.
static void put_large(struct buf *b) {
    buf_append_str(b, "{\"first\":[");
    put_image(b, 20000);
    buf_append_str(b, ",\"\",");
    put_image(b, 9000);
    buf_append_str(b, "],\"escaped\":\"");
    fill(b, 'b', 3000);
    buf_append_str(b, "\\n\",\"utf8\":\"");
    fill(b, 'c', 2000);
    buf_append_str(b, "\xc3\xa9\",\"");
    fill(b, 'k', 2000);
    buf_append_str(b, "\":2,\"text\":\"");
    fill(b, 'd', CUT_TEST_BYTES);
    buf_append_str(b, "\",\"last\":{\"x\":\"y\"}}");
}

static enum err reads_body(struct slice s) {
    arena_done(&arena);
    arena_init(&arena, 1u << 20, 0);
    return json_read_body(&arena, s, &doc, &why);
}

static bool points_into(struct slice s, const struct buf *b) {
    return s.p >= b->p && s.p < b->p + b->len;
}

TEST(json_bodies_are_read_like_any_text) {
    struct buf b = BUF_INIT(1u << 20);
    struct arena other;
    struct json_doc whole;
    arena_init(&other, 1u << 20, 0);
    put_large(&b);
    CHECK_EQ(json_read(&other, buf_slice(&b), &whole, &why), ERR_OK);
    CHECK_EQ(reads_body(buf_slice(&b)), ERR_OK);
    CHECK(yyjson_equals(root(), yyjson_doc_get_root(whole.doc)));
    yyjson_val *image = yyjson_arr_get(yyjson_obj_get(root(), "first"), 2);
    CHECK(points_into(json_get_str(image, "data"), &b)); // not copied
    CHECK_EQ(json_get_str(image, "data").n, 9000);
    CHECK(points_into(json_get_str(root(), "text"), &b));
    CHECK(!points_into(json_get_str(root(), "escaped"), &b));
    CHECK(!points_into(json_get_str(root(), "utf8"), &b));
    const char *names[] = {"first", "escaped", "utf8", "text", "last"};
    for (size_t i = 0; i < 5; i++)
        CHECK(slice_eq(json_get_src(&doc, root(), names[i]),
                       json_get_src(&whole, yyjson_doc_get_root(whole.doc), names[i])));
    CHECK(slice_is(json_get_src(&doc, yyjson_obj_get(root(), "last"), "x"), "\"y\""));
    CHECK(slice_is(json_get_src(&doc, image, "n"), "1"));
    yyjson_obj_iter it = yyjson_obj_iter_with(root());
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
        CHECK(slice_eq(slice_first(slice_from(buf_slice(&b), json_str_at(&doc, key)), yyjson_get_len(key)),
                       json_str(key)));
    arena_done(&other);
    arena_done(&arena);
    buf_done(&b);
}

static bool in_a_run(const struct buf *b, size_t at) {
    return at >= 40 && at + 40 < b->len && b->p[at - 40] == b->p[at] && b->p[at + 40] == b->p[at];
}

TEST(json_bodies_are_refused_like_any_text) {
    struct buf b = BUF_INIT(1u << 20);
    static const char odd[] = "\"\\\x01,}]{:\xff x";
    put_large(&b);
    for (size_t at = 0; at < b.len; at++) {
        if (in_a_run(&b, at) && at % 1000)
            continue;
        char kept = b.p[at];
        for (size_t i = 0; i < sizeof odd - 1; i++) {
            b.p[at] = odd[i];
            enum err expected = reads(buf_slice(&b));
            size_t offset = why.offset;
            CHECK_EQ(reads_body(buf_slice(&b)), expected);
            CHECK_EQ(expected ? why.offset : offset, offset);
        }
        b.p[at] = kept;
        enum err expected = reads(slice_first(buf_slice(&b), at));
        CHECK_EQ(reads_body(slice_first(buf_slice(&b), at)), expected);
    }
    arena_done(&arena);
    buf_done(&b);
}

TEST(json_bodies_survive_every_failed_allocation) {
    struct buf b = BUF_INIT(1u << 20);
    enum err e = ERR_NO_MEMORY;
    put_large(&b);
    for (unsigned long k = 1; e; k++) {
        CHECK(k < 50);
        arena_done(&arena);
        arena_init(&arena, 1u << 20, 0);
        mem_fail_at(k);
        e = json_read_body(&arena, buf_slice(&b), &doc, &why);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
    }
    CHECK_EQ(json_get_str(root(), "text").n, CUT_TEST_BYTES);
    arena_done(&arena);
    buf_done(&b);
}
