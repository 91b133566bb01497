// SPDX-License-Identifier: Apache-2.0
// Byte runs: empty and NULL slices everywhere, UTF-8 by the rows of the Unicode table.
#include "base/slice.h"
#include "unit.h"

TEST(slice_compares) {
    CHECK(slice_eq(SLICE("ab"), slice_of("abc", 2)));
    CHECK(!slice_eq(SLICE("ab"), SLICE("ac")));
    CHECK(slice_eq(SLICE_NONE, SLICE("")));
    CHECK(slice_is(SLICE_NONE, ""));
    CHECK(slice_is(SLICE_NONE, NULL));
    CHECK(slice_starts(SLICE("abc"), "ab") && slice_starts(SLICE_NONE, "") && !slice_starts(SLICE("a"), "ab"));
    CHECK(slice_ends(SLICE("abc"), "bc") && slice_ends(SLICE_NONE, "") && !slice_ends(SLICE("c"), "bc"));
    CHECK(slice_eq_nocase(SLICE("Content-TYPE"), SLICE("content-type")));
    CHECK(!slice_eq_nocase(SLICE("a"), SLICE("ab")));
    CHECK(!slice_eq_nocase(SLICE("@"), SLICE("`")));
    CHECK(slice_eq_nocase(SLICE_NONE, SLICE("")));
}

TEST(slice_cuts) {
    CHECK(slice_is(slice_from(SLICE("abc"), 1), "bc"));
    CHECK_EQ(slice_from(SLICE("abc"), 3).n, 0);
    CHECK_EQ(slice_from(SLICE("abc"), SIZE_MAX).n, 0);
    CHECK(slice_is(slice_first(SLICE("abc"), 2), "ab"));
    CHECK(slice_is(slice_first(SLICE("abc"), 9), "abc"));
    CHECK(slice_is(slice_trim(SLICE(" \t a b\r\n")), "a b"));
    CHECK_EQ(slice_trim(SLICE(" \n ")).n, 0);
    CHECK_EQ(slice_trim(SLICE_NONE).n, 0);
    CHECK_EQ(slice_str(NULL).n, 0);
}

TEST(slice_finds) {
    CHECK_EQ(slice_find(SLICE("abc"), 'c'), 2);
    CHECK_EQ(slice_find(SLICE("abc"), 'x'), SIZE_MAX);
    CHECK_EQ(slice_find(SLICE_NONE, 'x'), SIZE_MAX);
    CHECK_EQ(slice_search(SLICE("aabab"), SLICE("bab")), 2);
    CHECK_EQ(slice_search(SLICE("ab"), SLICE("abc")), SIZE_MAX);
    CHECK_EQ(slice_search(SLICE("abc"), SLICE("x")), SIZE_MAX);
    CHECK_EQ(slice_search(SLICE("ab"), SLICE("")), 0);
    CHECK_EQ(slice_search(SLICE_NONE, SLICE_NONE), 0);
    CHECK_EQ(slice_search(slice_of("a\0b", 3), slice_of("\0b", 2)), 1);
}

TEST(slice_splits) {
    struct slice rest = SLICE("a,,b");
    CHECK(slice_is(slice_split(&rest, ','), "a"));
    CHECK(slice_is(slice_split(&rest, ','), ""));
    CHECK(rest.p != NULL);
    CHECK(slice_is(slice_split(&rest, ','), "b"));
    CHECK(rest.p == NULL && rest.n == 0);
    rest = SLICE("a,");
    CHECK(slice_is(slice_split(&rest, ','), "a"));
    CHECK(rest.p != NULL && rest.n == 0); // an empty last part is not "no more parts"
}

TEST(slice_reads_numbers) {
    uint64_t v = 7;
    CHECK(slice_u64(SLICE("18446744073709551615"), &v));
    CHECK(v == UINT64_MAX);
    CHECK(slice_u64(SLICE("007"), &v));
    CHECK_EQ(v, 7);
    const char *bad[] = {"", "18446744073709551616", "99999999999999999999999", "-1", "+1", " 1", "1 ", "0x1", "1e3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!slice_u64(slice_str(bad[i]), &v));
    CHECK_EQ(v, 7);
}

TEST(slice_knows_utf8) {
    const char *good[] = {"",
                          "plain",
                          "\x7f",
                          "\xc2\x80",
                          "\xdf\xbf",
                          "\xe0\xa0\x80",
                          "\xed\x9f\xbf",
                          "\xee\x80\x80",
                          "\xef\xbf\xbf",
                          "\xf0\x90\x80\x80",
                          "\xf4\x8f\xbf\xbf",
                          "eight by\xc3\xa9t and more text \xf0\x9f\x98\x80 than eight"};
    const char *bad[] = {"\x80",
                         "\xbf",
                         "\xc0\x80",
                         "\xc1\xbf",
                         "\xc2",
                         "\xc2\x20",
                         "\xe0\x9f\xbf",
                         "\xed\xa0\x80",
                         "\xe2\x82",
                         "\xf0\x8f\xbf\xbf",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xff",
                         "\xf0\x9f\x98",
                         "12345678\xff",
                         "1234567\xc3"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!slice_is_utf8(slice_str(good[i])))
            FAIL("good row %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (slice_is_utf8(slice_str(bad[i])))
            FAIL("bad row %zu", i);
    CHECK(slice_is_utf8(SLICE_NONE));
}

TEST(slice_steps_over_utf8) {
    CHECK_EQ(slice_utf8_step(SLICE("a")), 1);
    CHECK_EQ(slice_utf8_step(SLICE("\xc3\xa9x")), 2);
    CHECK_EQ(slice_utf8_step(SLICE("\xe2\x82\xac")), 3);
    CHECK_EQ(slice_utf8_step(SLICE("\xf0\x9f\x98\x80")), 4);
    CHECK_EQ(slice_utf8_step(SLICE("\xa9")), 0);
    CHECK_EQ(slice_utf8_step(SLICE_NONE), 0);
}

TEST(slice_undoes_percent_codes) {
    static const struct {
        const char *from, *to;
    } rows[] = {{"a%2Fb", "a/b"},   {"%6d%3A%4C", "m:L"}, {"100%", "100%"}, {"%2", "%2"},
                {"%zz%2f", "%zz/"}, {"a%00b", "a%00b"},   {"", ""}};
    char to[32];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(slice_is(slice_of(to, slice_percent_decode(slice_str(rows[i].from), to, sizeof to)), rows[i].to));
    CHECK_EQ(slice_percent_decode(SLICE("%41%42%43"), to, 2), 2);
    CHECK_MEM(to, 2, "AB", 2);
}

TEST(slice_measures_distance) {
    CHECK_EQ(slice_distance(SLICE("kitten"), SLICE("sitting")), 3);
    CHECK_EQ(slice_distance(SLICE("same"), SLICE("same")), 0);
    CHECK_EQ(slice_distance(SLICE(""), SLICE("abc")), 3);
    CHECK_EQ(slice_distance(SLICE_NONE, SLICE_NONE), 0);
    char longest[200];
    memset(longest, 'a', sizeof longest);
    CHECK_EQ(slice_distance(slice_of(longest, sizeof longest), SLICE_NONE), 64);
}

TEST(slice_is_one_line_without_cr_lf_and_nul) {
    CHECK(slice_is_one_line(SLICE_NONE));
    CHECK(slice_is_one_line(SLICE("a \t\v\x01\x7f\xff")));
    CHECK(!slice_is_one_line(SLICE("a\r")));
    CHECK(!slice_is_one_line(SLICE("\nb")));
    CHECK(!slice_is_one_line(slice_of("a\0b", 3)));
}
