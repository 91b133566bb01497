// SPDX-License-Identifier: Apache-2.0
// Zones against libc's own reading of the same files, and days and months where the clock jumps. Zone files are the
// system's; a test without them is skipped.
#include "base/tz.h"
#include <stdlib.h>
#include <time.h>
#include "base/buf.h"
#include "base/fs.h"
#include "unit.h"

static struct tz *zone(const char *name) {
    struct tz *tz = NULL;
    if (tz_load(slice_str(name), &tz))
        unit_skip("no zone files on this machine");
    return tz;
}

#define H 3600

TEST(tz_offsets_are_libcs) {
    static const char *const names[] = {"Europe/Berlin",       "America/New_York",  "America/St_Johns",
                                        "Australia/Lord_Howe", "Asia/Kathmandu",    "Europe/Dublin",
                                        "Pacific/Apia",        "America/Sao_Paulo", "Africa/Casablanca",
                                        "Asia/Beirut",         "America/Havana",    "Etc/GMT+5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tz *tz = zone(names[i]);
        if (!tz)
            return;
        (void)setenv("TZ", names[i], 1); // each test has a process of its own
        tzset();
        for (int64_t t = INT64_C(946684800); t < INT64_C(2524608000); t += 5 * H + 1234) { // 2000 to 2050
            struct tm tm;
            time_t when = (time_t)t;
            (void)localtime_r(&when, &tm);
            if (tz_offset_s(tz, t) != tm.tm_gmtoff)
                unit_fail(__FILE__, __LINE__, "%s at %lld: %lld, libc has %ld", names[i], (long long)t,
                          (long long)tz_offset_s(tz, t), tm.tm_gmtoff);
        }
        tz_free(tz);
    }
}

struct span_row {
    const char *zone;
    enum tz_span span;
    int64_t at, start, end;
};

static void check_spans(const struct span_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t start = 0, end = 0;
        struct tz *tz = zone(rows[i].zone);
        if (!tz)
            return;
        tz_period(tz, rows[i].span, rows[i].at, &start, &end);
        CHECK_EQ(start, rows[i].start);
        CHECK_EQ(end, rows[i].end);
        tz_free(tz);
    }
}

TEST(tz_days_are_23_or_25_hours_where_the_clock_changes) {
    static const struct span_row rows[] = {
        {"UTC", TZ_DAY, 1767225600, 1767225600, 1767225600 + 24 * H},
        {"UTC", TZ_DAY, 1767225599, 1767225600 - 24 * H, 1767225600},
        {"UTC", TZ_DAY, -1, -24 * H, 0},
        {"Europe/Berlin", TZ_DAY, 1774742400, 1774738800, 1774738800 + 23 * H},     // 2026-03-29
        {"Europe/Berlin", TZ_DAY, 1792886400, 1792879200, 1792879200 + 25 * H},     // 2026-10-25
        {"America/Havana", TZ_DAY, 1772946000, 1772946000, 1772946000 + 23 * H},    // 2026-03-08 begins at 01:00
        {"America/Sao_Paulo", TZ_DAY, 1541300400, 1541300400, 1541300400 + 23 * H}, // 2018-11-04 begins at 01:00
        {"America/Sao_Paulo", TZ_DAY, 1550368800, 1550282400, 1550282400 + 25 * H}, // 2019-02-16 has 23:00 twice
    };
    check_spans(rows, sizeof rows / sizeof rows[0]);
}

TEST(tz_months_end_where_they_end) {
    static const struct span_row rows[] = {
        {"UTC", TZ_MONTH, 1772323199, 1769904000, 1772323200}, // 2026-02: 28 days
        {"UTC", TZ_MONTH, 1772323200, 1772323200, 1775001600}, // 2026-03
        {"UTC", TZ_MONTH, 1709164800, 1706745600, 1709251200}, // 2024-02-29
        {"UTC", TZ_MONTH, 1798761599, 1796083200, 1798761600}, // 2026-12 ends with the year
    };
    check_spans(rows, sizeof rows / sizeof rows[0]);
    // March in Berlin is an hour short, and at 23:30 UTC of the last day it is April there.
    struct tz *tz = zone("Europe/Berlin");
    int64_t start = 0, end = 0;
    if (!tz)
        return;
    tz_period(tz, TZ_MONTH, 1775000000, &start, &end);
    CHECK_EQ(start, 1774994400);
    tz_period(tz, TZ_MONTH, 1774994399, &start, &end);
    CHECK_EQ(start, 1772319600);
    CHECK_EQ(end, 1774994400);
    CHECK_EQ(end - start, 31 * 24 * H - H);
    tz_free(tz);
}

// Whatever the zone: periods follow each other without a gap, and each instant lies in its own.
TEST(tz_periods_tile_time) {
    static const char *const names[] = {"UTC",          "Europe/Berlin", "America/St_Johns",  "America/Havana",
                                        "Pacific/Apia", "Asia/Beirut",   "Africa/Casablanca", "America/Sao_Paulo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct tz *tz = zone(names[i]);
        if (!tz)
            return;
        for (int span = TZ_DAY; span <= TZ_MONTH; span++) {
            int64_t start, end, at = 536457600; // 1987
            tz_period(tz, (enum tz_span)span, at, &start, &end);
            for (int k = 0; k < 12000 && at < 2200000000; k++) {
                int64_t next_start, next_end;
                CHECK(start <= at && at < end);
                CHECK(end - start <= (span == TZ_DAY ? 26 : 32 * 24) * H);
                tz_period(tz, (enum tz_span)span, end - 1, &next_start, &next_end);
                CHECK(next_start == start && next_end == end);
                tz_period(tz, (enum tz_span)span, end, &next_start, &next_end);
                CHECK_EQ(next_start, end);
                at = start = next_start;
                end = next_end;
            }
        }
        tz_free(tz);
    }
}

TEST(tz_refuses_names_that_are_none) {
    static const char *const bad[] = {"",    "../../etc/passwd", "/etc/localtime", "Europe", "Mars/Olympus",
                                      "a b", "Europe/Berlin;",   "Europe/../UTC"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tz *tz = NULL;
        CHECK(tz_load(slice_str(bad[i]), &tz) != ERR_OK);
        CHECK(!tz);
    }
}

// A file cut at every byte, and with every byte changed, is refused or read, and never more than that.
TEST(tz_survives_broken_files) {
    struct buf file = BUF_INIT(65536);
    if (fs_read_file("/usr/share/zoneinfo/Europe/Berlin", 65536, &file)) {
        unit_skip("no zone files on this machine");
        return;
    }
    for (size_t n = 0; n < file.len; n++) {
        struct tz *tz = NULL;
        CHECK(tz_parse(slice_of(file.p, n), &tz) != ERR_OK);
    }
    for (size_t i = 0; i < file.len; i++) {
        struct tz *tz = NULL;
        file.p[i] ^= 0x55;
        if (tz_parse(buf_slice(&file), &tz) == ERR_OK) {
            int64_t start, end;
            tz_period(tz, TZ_DAY, 1767225600, &start, &end);
            tz_period(tz, TZ_MONTH, 2767225600, &start, &end);
            tz_free(tz);
        }
        file.p[i] ^= 0x55;
    }
    buf_done(&file);
}
