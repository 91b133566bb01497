// SPDX-License-Identifier: Apache-2.0
#include "base/usd.h"
#include "unit.h"

static const char *shown(struct buf *b, int64_t v) {
    buf_clear(b);
    usd_append(b, v);
    return buf_cstr(b);
}

TEST(usd_text_is_exact_both_ways) {
    static const struct {
        const char *text;
        int64_t picousd;
    } rows[] = {{"0", 0},
                {"0.0000015", 1500000},
                {"0.000000000001", 1},
                {"2", 2 * PICOUSD_PER_USD},
                {"50.25", 50250000000000},
                {"9223372.036854775807", INT64_MAX}};
    struct buf b = BUF_INIT(64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t v = -1;
        CHECK(usd_read(slice_str(rows[i].text), &v));
        CHECK_EQ(v, rows[i].picousd);
        CHECK_STREQ(shown(&b, v), rows[i].text);
    }
    CHECK_STREQ(shown(&b, -1500000), "-0.0000015");
    CHECK_STREQ(shown(&b, INT64_MIN), "-9223372.036854775808");
    buf_done(&b);
}

TEST(usd_refuses_what_is_no_amount) {
    static const char *const bad[] = {"",
                                      ".",
                                      "-1",
                                      "+1",
                                      "1e3",
                                      "1 ",
                                      "1.0000000000001",
                                      "9223372.036854775808",
                                      "1.2.3",
                                      "0x1",
                                      "99999999999999999999",
                                      "nan",
                                      "1,5",
                                      "$1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t v = 77;
        CHECK(!usd_read(slice_str(bad[i]), &v));
        CHECK_EQ(v, 77);
    }
}

TEST(decimal_leaves_what_follows) {
    struct slice s = SLICE("2.50 USD");
    int64_t v;
    CHECK(decimal_read(&s, 2, &v));
    CHECK_EQ(v, 250);
    CHECK(slice_is(s, " USD"));
}
