// SPDX-License-Identifier: Apache-2.0
// The writer: commas, escapes, broken UTF-8, numbers that read back the same.
#include <math.h>
#include "base/json.h"
#include "base/mem.h"
#include "unit.h"

static struct buf out;

static struct json_writer fresh(void) {
    buf_done(&out);
    buf_init(&out, 1u << 20);
    return JSON_WRITER(&out);
}

TEST(json_writes_structures) {
    struct json_writer w = fresh();
    json_obj(&w);
    json_kv_str(&w, "s", SLICE("a\"b"));
    json_kv_cstr(&w, "c", "x");
    json_kv_cstr(&w, "z", NULL);
    json_kv_int(&w, "i", INT64_MIN);
    json_kv_num(&w, "n", 0.5);
    json_kv_bool(&w, "t", true);
    json_kv_null(&w, "u");
    json_kv_raw(&w, "r", SLICE("[1]"));
    json_kv_raw(&w, "q", SLICE_NONE);
    json_key_slice(&w, SLICE("k\n"));
    json_arr(&w);
    json_arr(&w);
    json_arr_end(&w);
    json_obj(&w);
    json_obj_end(&w);
    json_put_bool(&w, false);
    json_put_cstr(&w, "y");
    json_arr_end(&w);
    json_obj_end(&w);
    CHECK_STREQ(buf_cstr(&out),
                "{\"s\":\"a\\\"b\",\"c\":\"x\",\"z\":null,\"i\":-9223372036854775808,\"n\":0.5,\"t\":true,"
                "\"u\":null,\"r\":[1],\"q\":null,\"k\\n\":[[],{},false,\"y\"]}");
    buf_done(&out);
}

static const char *escaped(struct slice s) {
    (void)fresh();
    json_escape(&out, s);
    return buf_cstr(&out);
}

TEST(json_escapes) {
    CHECK_STREQ(escaped(SLICE("plain \x7f/")), "plain \x7f/");
    CHECK_STREQ(escaped(SLICE("\"\\\b\f\n\r\t\x01\x1f")), "\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f");
    CHECK_STREQ(escaped(slice_of("a\0b", 3)), "a\\u0000b");
    CHECK_STREQ(escaped(SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    CHECK_STREQ(escaped(SLICE("a\xff"
                              "b\xc3")),
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd");
    CHECK_STREQ(escaped(SLICE("\xe2\x82"
                              "x")),
                "\xef\xbf\xbd\xef\xbf\xbdx");
    CHECK_STREQ(escaped(SLICE("\xed\xa0\x80")), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    CHECK_STREQ(escaped(SLICE_NONE), "");
    buf_done(&out);
}

TEST(json_escapes_each_byte_at_each_place) {
    struct buf expected = BUF_INIT(1000);
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 150; at++) {
            char text[150];
            memset(text, 'a', sizeof text);
            text[at] = (char)c;
            buf_clear(&expected);
            for (size_t i = 0; i < sizeof text; i++) // one byte alone is never a part of a block
                json_escape(&expected, slice_of(text + i, 1));
            CHECK_STREQ(escaped(slice_of(text, sizeof text)), buf_cstr(&expected));
        }
    }
    buf_done(&expected);
    buf_done(&out);
}

static const char *number(double v) {
    struct json_writer w = fresh();
    json_put_num(&w, v);
    return buf_cstr(&out);
}

TEST(json_numbers_read_back_the_same) {
    CHECK_STREQ(number(0.1), "0.1");
    CHECK_STREQ(number(1), "1");
    CHECK_STREQ(number(-3), "-3");
    CHECK_STREQ(number(1e15), "1000000000000000");
    CHECK_STREQ(number(9007199254740991.0), "9007199254740991");
    CHECK_STREQ(number(NAN), "null");
    CHECK_STREQ(number(-INFINITY), "null");
    const double v[] = {1.0 / 3,
                        2.0 / 3,
                        1e300,
                        5e-324,
                        1.7976931348623157e308,
                        9007199254740993.0,
                        1e22,
                        0.1 + 0.2,
                        -1e-7,
                        123456789.123456789};
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
        CHECK(strtod(number(v[i]), NULL) == v[i]);
    uint64_t bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 20000; i++) { // xorshift: any bit pattern that is a number
        double d;
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        memcpy(&d, &bits, sizeof d);
        if (isfinite(d))
            CHECK(strtod(number(d), NULL) == d);
    }
    buf_done(&out);
}

TEST(json_writes_values_of_a_tree) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, 65536, 0);
    CHECK_EQ(json_read(&a, SLICE("{ \"b\" : [1, 2.5, \"\\u00e9\"], \"a\":null }"), &d, &why), ERR_OK);
    struct json_writer w = fresh();
    json_arr(&w);
    json_put_val(&w, yyjson_doc_get_root(d.doc));
    json_put_val(&w, yyjson_obj_get(yyjson_doc_get_root(d.doc), "a"));
    json_arr_end(&w);
    CHECK_STREQ(buf_cstr(&out), "[{\"b\":[1,2.5,\"\xc3\xa9\"],\"a\":null},null]");
    bool ok = false;
    for (unsigned long k = 1; !ok; k++) {
        CHECK(k < 100);
        w = fresh();
        mem_fail_at(k);
        json_put_val(&w, yyjson_doc_get_root(d.doc));
        mem_fail_at(0);
        ok = !out.failed;
    }
    buf_done(&out);
    arena_done(&a);
}
