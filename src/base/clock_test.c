// SPDX-License-Identifier: Apache-2.0
// Time can be shifted, never goes back by itself, and is written as RFC 3339 on both sides of 1970.
#include "base/clock.h"
#include "unit.h"

TEST(clock_is_shifted) {
    int64_t wall = clock_wall_s();
    uint64_t mono = clock_mono_ms(), mono_us = clock_mono_us();
    CHECK(clock_mono_us() >= mono_us);
    clock_shift(3600LL * 1000000, 5000000);
    CHECK(clock_wall_s() >= wall + 3600 && clock_wall_s() < wall + 3700);
    CHECK(clock_mono_ms() >= mono + 5000 && clock_mono_ms() < mono + 100000);
    clock_shift(-3600LL * 1000000, -5000000);
    CHECK(clock_wall_s() >= wall && clock_wall_s() < wall + 100);
    CHECK(clock_wall_us() / 1000000 >= wall);
}

static const char *written(int64_t us) {
    static char text[64];
    struct buf b = BUF_INIT(64);
    clock_append_rfc3339(&b, us);
    (void)snprintf(text, sizeof text, "%s", buf_cstr(&b));
    buf_done(&b);
    return text;
}

TEST(clock_writes_rfc3339) {
    CHECK_STREQ(written(0), "1970-01-01T00:00:00.000Z");
    CHECK_STREQ(written(1), "1970-01-01T00:00:00.000Z");
    CHECK_STREQ(written(1767225599999999), "2025-12-31T23:59:59.999Z");
    CHECK_STREQ(written(1709164800000000), "2024-02-29T00:00:00.000Z");
    CHECK_STREQ(written(-1), "1969-12-31T23:59:59.999Z");
    CHECK_STREQ(written(-1000000), "1969-12-31T23:59:59.000Z");
    CHECK_STREQ(written(-1500000), "1969-12-31T23:59:58.500Z");
}
