// SPDX-License-Identifier: Apache-2.0
// The vocabulary: caps hold, failures stick, bytes are found again, every allocation may fail.
#include <math.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/zone.h"
#include "unit.h"

TEST(slice_finds_splits_and_numbers) {
    struct slice s = SLICE("a=1&b=&c"), rest = s;
    CHECK(slice_is(slice_split(&rest, '&'), "a=1"));
    CHECK(slice_is(slice_split(&rest, '&'), "b="));
    CHECK(slice_is(slice_split(&rest, '&'), "c"));
    CHECK(rest.p == NULL);
    CHECK_EQ(slice_search(s, SLICE("b=")), 4);
    CHECK(slice_search(s, SLICE("zz")) == SIZE_MAX);
    uint64_t v = 7;
    CHECK(slice_u64(SLICE("18446744073709551615"), &v) && v == UINT64_MAX);
    CHECK(!slice_u64(SLICE("18446744073709551616"), &v));
    CHECK(!slice_u64(SLICE("-1"), &v));
    CHECK(!slice_u64(SLICE(""), &v));
    CHECK_EQ(slice_distance(SLICE("listn"), SLICE("listen")), 1);
    CHECK_EQ(slice_distance(SLICE(""), SLICE("abc")), 3);
    CHECK(slice_eq_nocase(SLICE("Content-Type"), SLICE("content-type")));
    CHECK(slice_is(slice_trim(SLICE(" \t x y\r\n")), "x y"));
}

TEST(slice_is_utf8_follows_rfc_3629) {
    CHECK(slice_is_utf8(SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")));
    CHECK(!slice_is_utf8(SLICE("\xc0\x80")));         // overlong
    CHECK(!slice_is_utf8(SLICE("\xed\xa0\x80")));     // surrogate
    CHECK(!slice_is_utf8(SLICE("\xf4\x90\x80\x80"))); // beyond U+10FFFF
    CHECK(!slice_is_utf8(SLICE("\xe2\x82")));         // cut
    CHECK(!slice_is_utf8(SLICE("\xff")));
}

TEST(buf_failure_sticks_until_cleared) {
    struct buf b = BUF_INIT(10);
    buf_append_str(&b, "12345678");
    buf_append_str(&b, "abc");
    CHECK(b.failed);
    buf_append_char(&b, 'x');
    CHECK_EQ(b.len, 8);
    buf_clear(&b);
    buf_append_i64(&b, INT64_C(-123456));
    CHECK_STREQ(buf_cstr(&b), "-123456");
    buf_consume(&b, 1);
    CHECK_STREQ(buf_cstr(&b), "123456");
    buf_done(&b);
}

TEST(buf_printf_is_longer_than_its_stack) {
    struct buf b = BUF_INIT(4096);
    buf_printf(&b, "%01000d|%s", 7, "end");
    CHECK_EQ(b.len, 1004);
    CHECK_MEM(b.p + 999, 5, "7|end", 5);
    buf_done(&b);
}

static void count_up(void *arg) {
    ++*(int *)arg;
}

TEST(arena_has_a_cap_and_runs_cleanups) {
    struct arena a;
    int n = 0;
    arena_init(&a, 100000, 0);
    CHECK(arena_defer(&a, count_up, &n));
    char *p = arena_alloc(&a, 3), *q = arena_alloc(&a, 3);
    CHECK(((uintptr_t)p & 15) == 0 && ((uintptr_t)q & 15) == 0 && p != q);
    CHECK(arena_alloc(&a, 90000) != NULL);
    CHECK(arena_alloc(&a, 90000) == NULL);
    CHECK(arena_array(&a, SIZE_MAX / 2, 4) == NULL);
    CHECK(arena_alloc(&a, 16) != NULL);
    CHECK_STREQ(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    arena_done(&a);
    CHECK_EQ(n, 1);
}

TEST(json_finds_the_source_of_members) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    struct slice src = SLICE(
        " { \"a\\\"b\" : [1, {\"x\":\"]\"}] , \"model\":\"m\\n1\",\"n\": -1.5e3,\"o\":{\"model\":2}, \"t\":true}");
    arena_init(&a, 1 << 20, 0);
    CHECK_EQ(json_read(&a, src, &d, &why), ERR_OK);
    yyjson_val *root = yyjson_doc_get_root(d.doc);
    CHECK(slice_is(json_get_src(&d, root, "a\"b"), "[1, {\"x\":\"]\"}]"));
    CHECK(slice_is(json_get_src(&d, root, "model"), "\"m\\n1\""));
    CHECK(slice_is(json_get_src(&d, root, "n"), "-1.5e3"));
    CHECK(slice_is(json_get_src(&d, root, "o"), "{\"model\":2}"));
    CHECK(slice_is(json_get_src(&d, root, "t"), "true"));
    CHECK(slice_is(json_get_src(&d, yyjson_obj_get(root, "o"), "model"), "2"));
    CHECK(json_get_src(&d, root, "none").p == NULL);
    CHECK(slice_is(json_get_str(root, "model"), "m\n1"));
    arena_done(&a);
}

TEST(json_refuses_what_is_no_json) {
    static const char *const bad[] = {"",         " ",   "{",       "[1,]",    "{\"a\":1}x",
                                      "\"\xff\"", "NaN", "// c\n1", "{'a':1}", "\"\n\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena a;
        struct json_doc d;
        struct json_error why;
        arena_init(&a, 1 << 20, 0);
        CHECK_EQ(json_read(&a, slice_str(bad[i]), &d, &why), ERR_BAD_JSON);
        CHECK(why.text != NULL);
        arena_done(&a);
    }
}

TEST(json_depth_is_bounded) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    struct buf deep = BUF_INIT(1 << 20);
    for (int i = 0; i < 10000; i++)
        buf_append_char(&deep, '[');
    for (int i = 0; i < 10000; i++)
        buf_append_char(&deep, ']');
    arena_init(&a, 1 << 20, 0);
    CHECK_EQ(json_read(&a, buf_slice(&deep), &d, &why), ERR_BAD_JSON);
    CHECK(why.text != NULL);
    arena_done(&a);
    buf_done(&deep);
}

TEST(json_writes_what_it_can_read) {
    struct buf out = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_kv_str(&w, "s", SLICE("a\"\\\n\x01\xc3\xa9\xff"));
    json_kv_num(&w, "n", 0.1);
    json_kv_num(&w, "i", 3.0);
    json_kv_num(&w, "nan", NAN);
    json_key(&w, "l");
    json_arr(&w);
    json_put_int(&w, INT64_MIN);
    json_put_bool(&w, false);
    json_put_raw(&w, SLICE("{\"x\":1}"));
    json_arr_end(&w);
    json_obj_end(&w);
    CHECK_STREQ(buf_cstr(&out), "{\"s\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\"n\":0.1,\"i\":3,\"nan\":null,"
                                "\"l\":[-9223372036854775808,false,{\"x\":1}]}");
    buf_done(&out);
}

TEST(json_numbers_come_back_the_same) {
    for (int i = 0; i < 10000; i++) {
        double v = (double)(i * 7919 % 100003) / (double)(i + 3);
        struct buf out = BUF_INIT(64);
        struct json_writer w = JSON_WRITER(&out);
        json_put_num(&w, v);
        CHECK(strtod(buf_cstr(&out), NULL) == v);
        buf_done(&out);
    }
}

TEST(json_read_survives_every_failed_allocation) {
    for (unsigned long k = 1; k < 100; k++) {
        struct arena a;
        struct json_doc d;
        struct json_error why;
        arena_init(&a, 1 << 20, 0);
        mem_fail_at(k);
        enum err e = json_read(&a, SLICE("{\"a\":[1,2,3]}"), &d, &why);
        mem_fail_at(0);
        arena_done(&a);
        if (e == ERR_OK)
            return;
        CHECK_EQ(e, ERR_NO_MEMORY);
    }
    FAIL("never succeeded");
}

TEST(err_rows_are_complete) {
    for (int e = 0; e < ERR_COUNT; e++) {
        const struct err_row *row = err_row((enum err)e);
        CHECK(row->name[0] >= 'a' && row->name[0] <= 'z');
        CHECK(row->status >= 200 && row->status < 600);
        CHECK(row->text[0] != 0);
    }
    CHECK_STREQ(err_name(ERR_MODEL_NOT_FOUND), "model_not_found");
}

TEST(clock_prints_rfc3339) {
    struct buf out = BUF_INIT(64);
    clock_append_rfc3339(&out, INT64_C(1700000000123456));
    CHECK_STREQ(buf_cstr(&out), "2023-11-14T22:13:20.123Z");
    buf_done(&out);
}

TEST(secret_compares_and_is_gone_after_done) {
    struct secret s;
    CHECK(secret_set(&s, SLICE("sk-123")));
    CHECK(secret_equals(&s, SLICE("sk-123")));
    CHECK(!secret_equals(&s, SLICE("sk-124")));
    CHECK(!secret_equals(&s, SLICE("sk-12")));
    secret_done(&s);
    CHECK(secret_is_empty(&s));
    CHECK(!secret_equals(&s, SLICE("")));
}

TEST(zone_and_label_names_go_both_ways) {
    enum zone z = ZONE_CLOUD;
    enum label l = LABEL_PUBLIC;
    for (int i = 0; i < ZONE_COUNT; i++)
        CHECK(zone_parse(slice_str(zone_name((enum zone)i)), &z) && (int)z == i);
    for (int i = 0; i < LABEL_COUNT; i++)
        CHECK(label_parse(slice_str(label_name((enum label)i)), &l) && (int)l == i);
    CHECK(!zone_parse(SLICE("moon"), &z));
    CHECK_EQ(reach_default_matrix[LABEL_SECRET][ZONE_EDGE], COND_NO);
}
