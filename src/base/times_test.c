// SPDX-License-Identifier: Apache-2.0
// Durations and dates as providers write them, every cut of them, and numbers that are too large.
#include "base/times.h"
#include "unit.h"

static int64_t duration(const char *text) {
    struct slice s = slice_str(text);
    int64_t ms = -1;
    return times_duration(&s, &ms) && !s.n ? ms : -1;
}

TEST(times_durations) {
    CHECK_EQ(duration("28ms"), 28);
    CHECK_EQ(duration("7.66s"), 7660);
    CHECK_EQ(duration("2m59.56s"), 179560);
    CHECK_EQ(duration("6m0s"), 360000);
    CHECK_EQ(duration("1h2m3.25s"), 3723250);
    CHECK_EQ(duration("45 seconds"), 45000);
    CHECK_EQ(duration("2 minutes"), 120000);
    CHECK_EQ(duration("1.0005s"), 1000);
    CHECK_EQ(duration("25h"), TIMES_DAY_MS);
    CHECK_EQ(duration("99999999999999999999999999h99999999999999s"), TIMES_DAY_MS);
    static const char *const wrong[] = {"", "s", "5", "5 apples", ".5s", "-5s", "5 s!", "m5"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_EQ(duration(wrong[i]), -1);
    struct slice s = SLICE("3s. Then");
    int64_t ms;
    CHECK(times_duration(&s, &ms) && ms == 3000 && slice_is(s, ". Then"));
}

TEST(times_seconds) {
    int64_t ms = -1;
    CHECK(times_seconds(SLICE("20"), &ms) && ms == 20000);
    CHECK(times_seconds(SLICE(" 11.382867097854614 "), &ms) && ms == 11382);
    CHECK(times_seconds(SLICE("0"), &ms) && ms == 0);
    CHECK(times_seconds(SLICE("999999999999999999999"), &ms) && ms == TIMES_DAY_MS);
    CHECK(!times_seconds(SLICE("20s"), &ms) && !times_seconds(SLICE(""), &ms) && !times_seconds(SLICE("-1"), &ms) &&
          !times_seconds(SLICE("1.2.3"), &ms));
}

TEST(times_dates) {
    int64_t us = 0;
    CHECK(times_rfc3339(SLICE("2025-01-01T00:00:00Z"), &us) && us == 1735689600000000);
    CHECK(times_rfc3339(SLICE("2025-01-01T01:30:00.123456+01:30"), &us) && us == 1735689600000000);
    CHECK(times_rfc3339(SLICE("2024-12-31T19:00:00-05:00"), &us) && us == 1735689600000000);
    CHECK(times_http_date(SLICE("Sun, 06 Nov 1994 08:49:37 GMT"), &us) && us == 784111777000000);
    static const char *const wrong[] = {"2025-13-01T00:00:00Z",          "2025-01-01 00:00:00Z",
                                        "2025-01-01T25:00:00Z",          "2025-01-01T00:00:00",
                                        "2025-01-01T00:00:00+99:00",     "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nop 1994 08:49:37 GMT",
                                        "Sun, 46 Nov 1994 08:49:37 GMT", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK(!times_rfc3339(slice_str(wrong[i]), &us) && !times_http_date(slice_str(wrong[i]), &us));
}

TEST(times_every_cut_is_no_date) {
    static const char *const whole[] = {"2025-01-01T01:30:00.5+01:30", "Sun, 06 Nov 1994 08:49:37 GMT"};
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 0; n < strlen(whole[i]); n++) {
            int64_t us;
            CHECK(!times_rfc3339(slice_of(whole[i], n), &us) && !times_http_date(slice_of(whole[i], n), &us));
        }
}
