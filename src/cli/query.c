// SPDX-License-Identifier: Apache-2.0
// Times and names of the command line as parts of a query string, for `log` and `spend`. What is wrong is told by the
// callers, who know the option's name.
#include "cli/query.h"
#include "base/clock.h"

int64_t query_since(struct slice s) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t n;
    if (slice_u64(s, &n) && n < INT64_MAX / 2)
        return (int64_t)n;
    if (s.n < 2 || !slice_u64(slice_first(s, s.n - 1), &n) || n > 1000000)
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (s.p[s.n - 1] == units[i].unit)
            return clock_wall_s() - (int64_t)n * units[i].seconds;
    return -1;
}

void query_put(struct buf *path, const char *name, const char *value) {
    static const char hex[] = "0123456789ABCDEF";
    if (!value)
        return;
    buf_printf(path, "&%s=", name);
    for (const char *p = value; *p; p++) {
        unsigned char ch = (unsigned char)*p;
        bool plain =
            (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || strchr("-._~/:", ch);
        if (plain)
            buf_append_char(path, *p);
        else
            buf_printf(path, "%%%c%c", hex[ch >> 4], hex[ch & 15]);
    }
}
