// SPDX-License-Identifier: Apache-2.0
// The capped buffer: the maximum holds to the byte, failure sticks, and a failed allocation leaves what was there.
#include "base/buf.h"
#include "base/mem.h"
#include "unit.h"

TEST(buf_appends) {
    struct buf b;
    buf_init(&b, 1000);
    CHECK_STREQ(buf_cstr(&b), "");
    buf_append(&b, SLICE("ab"));
    buf_append(&b, SLICE_NONE);
    buf_append_mem(&b, NULL, 0);
    buf_append_str(&b, "cd");
    buf_append_char(&b, 'e');
    buf_append_u64(&b, UINT64_MAX);
    buf_append_char(&b, ' ');
    buf_append_u64(&b, 0);
    buf_append_i64(&b, INT64_MIN);
    buf_append_i64(&b, -1);
    buf_append_i64(&b, 12);
    buf_printf(&b, "<%d%s>", 7, "x");
    CHECK_STREQ(buf_cstr(&b), "abcde18446744073709551615 0-9223372036854775808-112<7x>");
    CHECK_EQ(buf_slice(&b).n, strlen(buf_cstr(&b)));
    buf_done(&b);
    CHECK(b.p == NULL && b.max == 1000);
}

TEST(buf_ends_at_its_maximum) {
    struct buf b = BUF_INIT(5);
    buf_append_str(&b, "12345");
    CHECK(!b.failed);
    CHECK_STREQ(buf_cstr(&b), "12345"); // the NUL is not counted
    buf_append_char(&b, '6');
    CHECK(b.failed);
    CHECK_EQ(b.len, 5);
    CHECK_STREQ(buf_cstr(&b), "");
    buf_clear(&b);
    buf_append_str(&b, "1234");
    buf_append_str(&b, "56"); // does not fit: nothing of it is put
    buf_append_str(&b, "7");  // would fit, but failure sticks
    CHECK(b.failed);
    CHECK_EQ(b.len, 4);
    buf_done(&b);
    struct buf none = BUF_INIT(0);
    buf_append_char(&none, 'x');
    CHECK(none.failed);
    buf_done(&none);
}

TEST(buf_prints_long_texts) {
    char text[2000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    struct buf b = BUF_INIT(sizeof text - 1);
    buf_printf(&b, "%s", text);
    CHECK_STREQ(buf_cstr(&b), text);
    buf_printf(&b, "%s", text);
    CHECK(b.failed);
    buf_done(&b);
}

TEST(buf_reserves_and_consumes) {
    struct buf b = BUF_INIT(SIZE_MAX / 4);
    CHECK(buf_reserve(&b, 10000));
    CHECK(b.cap >= 10000 && b.len == 0);
    buf_append_str(&b, "abcdef");
    buf_consume(&b, 2);
    CHECK_STREQ(buf_cstr(&b), "cdef");
    buf_consume(&b, 99);
    CHECK_EQ(b.len, 0);
    buf_done(&b);
    buf_consume(&b, 1);
    struct buf huge = BUF_INIT(SIZE_MAX);
    CHECK(!buf_reserve(&huge, SIZE_MAX));
    buf_done(&huge);
}

TEST(buf_keeps_what_it_had_when_memory_ends) {
    struct buf b = BUF_INIT(100000);
    buf_append_str(&b, "kept");
    mem_fail_at(1);
    CHECK(!buf_reserve(&b, 5000));
    mem_fail_at(0);
    CHECK(b.failed);
    CHECK_MEM(b.p, b.len, "kept", 4);
    buf_clear(&b);
    buf_append_str(&b, "again");
    CHECK_STREQ(buf_cstr(&b), "again");
    buf_done(&b);
}

TEST(buf_on_an_array_fills_it_and_no_more) {
    char room[6];
    struct buf b = BUF_FIXED(room);
    buf_append_str(&b, "12345");
    CHECK(!b.failed);
    CHECK_STREQ(buf_cstr(&b), "12345");
    buf_append_char(&b, '6');
    CHECK(b.failed);
    CHECK_MEM(room, 5, "12345", 5);
}

TEST(buf_codes_parts_of_urls) {
    struct buf b = BUF_INIT(256);
    buf_append_percent(&b, SLICE("aZ09-._~ /%\0\xc3\x9f"), URL_UNRESERVED);
    CHECK_STREQ(buf_cstr(&b), "aZ09-._~%20%2F%25%00%C3%9F");
    buf_clear(&b);
    buf_append_percent(&b, SLICE("a/b@c:d"), "/@");
    CHECK_STREQ(buf_cstr(&b), "a/b@c%3Ad");
    buf_done(&b);
}

TEST(buf_appends_numbers) {
    struct buf b = BUF_INIT(1000);
    buf_append_hex(&b, 0xab5, 2);
    buf_append_char(&b, ' ');
    buf_append_hex(&b, UINT64_MAX, 18);
    CHECK_STREQ(buf_cstr(&b), "b5 00ffffffffffffffff");
    buf_clear(&b);
    buf_append_fixed(&b, 0, 3);
    buf_append_char(&b, ' ');
    buf_append_fixed(&b, 1234567, 3);
    buf_append_char(&b, ' ');
    buf_append_fixed(&b, 1500000, 12);
    CHECK_STREQ(buf_cstr(&b), "0.000 1234.567 0.000001500000");
    buf_clear(&b);
    buf_append_size(&b, 0);
    buf_append_char(&b, ' ');
    buf_append_size(&b, 1536);
    buf_append_char(&b, ' ');
    buf_append_size(&b, 740LL << 20);
    CHECK_STREQ(buf_cstr(&b), "0 B 1.5 KiB 740 MiB");
    buf_done(&b);
}
