// SPDX-License-Identifier: Apache-2.0
// Time zones for budgets that renew by the day or month. libc knows zones only through one global variable that no thread
// may touch while others run, so the zone files are read here: the 64-bit table of transitions, and behind its end the
// rule in the footer (POSIX TZ), which is all that newer files hold of today's daylight saving. A zone is immutable once
// loaded; reading a file blocks, everything else is arithmetic. Formats: RFC 8536; POSIX.1-2017, 8.3.
#include "base/tz.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/fs.h"
#include "base/mem.h"

#define DAY_S 86400
#define FILE_BYTES (256u << 10) // the largest zone file is 4 KiB
#define NAME_BYTES 100

struct rule_day { // when daylight saving begins or ends
    char kind;    // 'M' month.week.day, 'J' 1…365 without leap day, 'N' 0…365 with it
    int month, week, day;
    int64_t time_s;
};

struct tz {
    size_t n;          // transitions
    int64_t *at;       // UTC seconds, rising
    int32_t *offset_s; // from at[i] on
    int32_t first_s;   // before at[0]
    bool has_rule, has_saving;
    int32_t standard_s, saving_s; // east of UTC
    struct rule_day begin, end;
};

// ---- the calendar (days since 1970-01-01, proleptic Gregorian)

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static int64_t days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int *ret_month) {
    days += 719468;
    int64_t era = floor_div(days, 146097), doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *ret_year = yoe + era * 400 + (*ret_month <= 2);
}

static bool is_leap(int64_t y) {
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

// ---- the footer's rule

static bool number_take(struct slice *s, int64_t most, int64_t *ret) {
    int64_t v = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9' && i < 4; i++)
        v = v * 10 + (s->p[i] - '0');
    *s = slice_from(*s, i);
    *ret = v;
    return i > 0 && v <= most;
}

static bool char_take(struct slice *s, char c) {
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

// [+-]hh[:mm[:ss]]
static bool time_take(struct slice *s, int64_t *ret) {
    int64_t h, m = 0, sec = 0;
    bool negative = char_take(s, '-');
    if (!negative)
        (void)char_take(s, '+');
    if (!number_take(s, 167, &h))
        return false;
    if (char_take(s, ':') && !number_take(s, 59, &m))
        return false;
    if (char_take(s, ':') && !number_take(s, 59, &sec))
        return false;
    *ret = (h * 3600 + m * 60 + sec) * (negative ? -1 : 1);
    return true;
}

static bool name_skip(struct slice *s) {
    if (char_take(s, '<')) {
        size_t close = slice_find(*s, '>');
        *s = slice_from(*s, close == SIZE_MAX ? s->n : close + 1);
        return close != SIZE_MAX;
    }
    size_t i = 0;
    while (i < s->n && ((s->p[i] | 32) >= 'a' && (s->p[i] | 32) <= 'z'))
        i++;
    *s = slice_from(*s, i);
    return i >= 3;
}

static bool day_take(struct slice *s, struct rule_day *ret) {
    int64_t a, b, c;
    *ret = (struct rule_day){.kind = 'N', .time_s = 2 * 3600};
    if (char_take(s, 'M')) {
        if (!number_take(s, 12, &a) || !char_take(s, '.') || !number_take(s, 5, &b) || !char_take(s, '.') ||
            !number_take(s, 6, &c) || a < 1 || b < 1)
            return false;
        ret->kind = 'M';
        ret->month = (int)a, ret->week = (int)b, ret->day = (int)c;
    } else {
        bool julian = char_take(s, 'J');
        if (!number_take(s, 365, &a) || (julian && a < 1))
            return false;
        ret->kind = julian ? 'J' : 'N';
        ret->day = (int)a;
    }
    return !char_take(s, '/') || time_take(s, &ret->time_s);
}

static bool rule_read(struct slice s, struct tz *tz) {
    int64_t west;
    if (!name_skip(&s) || !time_take(&s, &west))
        return false;
    tz->has_rule = true;
    tz->standard_s = tz->saving_s = (int32_t)-west;
    if (s.n == 0)
        return true;
    if (!name_skip(&s))
        return false;
    west -= 3600;
    if (s.n > 0 && s.p[0] != ',' && !time_take(&s, &west))
        return false;
    tz->saving_s = (int32_t)-west;
    tz->has_saving = char_take(&s, ',') && day_take(&s, &tz->begin) && char_take(&s, ',') && day_take(&s, &tz->end);
    return tz->has_saving && s.n == 0;
}

// Local seconds since 1970 at which the rule's day strikes in that year.
static int64_t rule_local_s(const struct rule_day *r, int64_t year) {
    int64_t day;
    if (r->kind == 'M') {
        int64_t first = days_of(year, r->month, 1), weekday = ((first + 4) % 7 + 7) % 7; // 1970-01-01 was a Thursday
        int64_t next = r->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, r->month + 1, 1);
        day = first + (r->day - weekday + 7) % 7 + (r->week - 1) * 7;
        while (day >= next) // week 5 is the last
            day -= 7;
    } else {
        day = days_of(year, 1, 1) + r->day - (r->kind == 'J');
        if (r->kind == 'J' && r->day > 59 && is_leap(year))
            day++;
    }
    return day * DAY_S + r->time_s;
}

static int64_t rule_offset(const struct tz *tz, int64_t utc_s) {
    if (!tz->has_saving)
        return tz->standard_s;
    int64_t year;
    int month;
    date_of(floor_div(utc_s + tz->standard_s, DAY_S), &year, &month);
    int64_t begin = rule_local_s(&tz->begin, year) - tz->standard_s, end = rule_local_s(&tz->end, year) - tz->saving_s;
    bool saving = begin < end ? utc_s >= begin && utc_s < end : utc_s >= begin || utc_s < end;
    return saving ? tz->saving_s : tz->standard_s;
}

// ---- the file

static uint32_t be32(const char *p) {
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static int64_t be64(const char *p) {
    return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4));
}

struct block { // one of the file's two data blocks
    uint64_t utcs, stds, leaps, times, types, chars;
    uint64_t bytes;
};

#define HEAD_BYTES 44

static bool block_read(struct slice s, uint64_t time_bytes, struct block *b) {
    if (s.n < HEAD_BYTES || !slice_starts(s, "TZif"))
        return false;
    *b = (struct block){
        be32(s.p + 20), be32(s.p + 24), be32(s.p + 28), be32(s.p + 32), be32(s.p + 36), be32(s.p + 40), 0};
    b->bytes = b->times * (time_bytes + 1) + b->types * 6 + b->chars + b->leaps * (time_bytes + 4) + b->stds + b->utcs;
    return b->types > 0 && b->bytes <= s.n - HEAD_BYTES;
}

static bool transitions_read(struct slice data, const struct block *b, struct tz *tz) {
    const char *index = data.p + b->times * 8, *types = index + b->times;
    tz->at = mem_alloc((b->times + 1) * sizeof *tz->at);
    tz->offset_s = mem_alloc((b->times + 1) * sizeof *tz->offset_s);
    if (!tz->at || !tz->offset_s)
        return false;
    tz->first_s = (int32_t)be32(types);
    for (size_t i = 0; i < b->times; i++) {
        unsigned type = (unsigned char)index[i];
        tz->at[i] = be64(data.p + i * 8);
        tz->offset_s[i] = type < b->types ? (int32_t)be32(types + type * 6) : INT32_MAX;
    }
    tz->n = b->times;
    return true;
}

static bool table_is_sane(const struct tz *tz) {
    for (size_t i = 0; i < tz->n; i++)
        if (tz->offset_s[i] <= -26 * 3600 || tz->offset_s[i] >= 26 * 3600 || (i > 0 && tz->at[i] <= tz->at[i - 1]))
            return false;
    return tz->first_s > -26 * 3600 && tz->first_s < 26 * 3600;
}

static enum err parse_into(struct slice file, struct tz *tz) {
    struct block old, b;
    if (!block_read(file, 4, &old) || file.p[4] < '2') // version 1 has 32-bit times and no footer; none is left
        return ERR_BAD_FIELD;
    struct slice second = slice_from(file, HEAD_BYTES + old.bytes);
    if (!block_read(second, 8, &b))
        return ERR_BAD_FIELD;
    struct slice data = slice_from(second, HEAD_BYTES), footer = slice_from(data, b.bytes);
    if (!transitions_read(data, &b, tz))
        return ERR_NO_MEMORY;
    if (!table_is_sane(tz) || !char_take(&footer, '\n'))
        return ERR_BAD_FIELD;
    size_t end = slice_find(footer, '\n');
    if (end == SIZE_MAX)
        return ERR_BAD_FIELD;
    return end == 0 || rule_read(slice_first(footer, end), tz) ? ERR_OK : ERR_BAD_FIELD;
}

enum err tz_parse(struct slice file, struct tz **ret) {
    struct tz *tz = mem_zalloc(sizeof *tz);
    if (!tz)
        return ERR_NO_MEMORY;
    enum err e = parse_into(file, tz);
    if (e)
        tz_free(tz);
    else
        *ret = tz;
    return e;
}

static bool name_is_fine(struct slice name) {
    if (name.n == 0 || name.n > NAME_BYTES || name.p[0] == '/' || slice_search(name, SLICE("..")) != SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
        if (!letter && !strchr("/_+-", c))
            return false;
    }
    return true;
}

enum err tz_load(struct slice name, struct tz **ret) {
    if (!name_is_fine(name))
        return ERR_BAD_FIELD;
    if (slice_is(name, "UTC")) {
        *ret = mem_zalloc(sizeof **ret);
        return *ret ? ERR_OK : ERR_NO_MEMORY;
    }
    const char *dir = getenv("TZDIR");
    struct buf path = BUF_INIT(4096), file = BUF_INIT(FILE_BYTES);
    buf_printf(&path, "%s/%.*s", dir && dir[0] ? dir : "/usr/share/zoneinfo", SLICE_FMT(name));
    enum err e = path.failed ? ERR_NO_MEMORY : fs_read_file(buf_cstr(&path), FILE_BYTES, &file);
    if (e == ERR_DISK || e == ERR_TOO_LARGE) // a folder, or something else that is no zone
        e = ERR_NOT_FOUND;
    if (!e)
        e = tz_parse(buf_slice(&file), ret);
    buf_done(&path);
    buf_done(&file);
    return e;
}

void tz_free(struct tz *tz) {
    if (!tz)
        return;
    mem_free(tz->at);
    mem_free(tz->offset_s);
    mem_free(tz);
}

// ---- asking

int64_t tz_offset_s(const struct tz *tz, int64_t utc_s) {
    size_t low = 0, high = tz->n; // the first transition behind utc_s
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (tz->at[mid] <= utc_s)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == tz->n && tz->has_rule)
        return rule_offset(tz, utc_s);
    return low == 0 ? tz->first_s : tz->offset_s[low - 1];
}

// A gap swallows that midnight: the day begins where the clock jumps.
static int64_t jump_between(const struct tz *tz, int64_t from, int64_t to) {
    int64_t before = tz_offset_s(tz, from);
    while (from + 1 < to) {
        int64_t mid = from + (to - from) / 2;
        if (tz_offset_s(tz, mid) == before)
            from = mid;
        else
            to = mid;
    }
    return to;
}

static int64_t day_start(const struct tz *tz, int64_t day) {
    int64_t local = day * DAY_S, from = local - 26 * 3600, to = local + 26 * 3600;
    int64_t before = tz_offset_s(tz, from), after = tz_offset_s(tz, to);
    int64_t a = local - before, b = local - after; // that midnight by either clock
    bool a_is = tz_offset_s(tz, a) == before, b_is = tz_offset_s(tz, b) == after;
    if (a_is && b_is)
        return a < b ? a : b;
    if (a_is || b_is)
        return a_is ? a : b;
    return jump_between(tz, from, to);
}

static int64_t start_of(const struct tz *tz, enum tz_span span, int64_t day, int step) {
    int64_t year;
    int month;
    if (span == TZ_DAY)
        return day_start(tz, day + step);
    date_of(day, &year, &month);
    month += step;
    return day_start(tz, month > 12 ? days_of(year + 1, 1, 1) : days_of(year, month, 1));
}

void tz_period(const struct tz *tz, enum tz_span span, int64_t utc_s, int64_t *ret_start, int64_t *ret_end) {
    int64_t day = floor_div(utc_s + tz_offset_s(tz, utc_s), DAY_S);
    int64_t start = start_of(tz, span, day, 0), end = start_of(tz, span, day, 1);
    // Where the clock goes back over midnight, an old date comes again for a while; the new day has begun all the same.
    for (int i = 0; i < 2 && utc_s >= end; i++) {
        start = end;
        day = floor_div(end + tz_offset_s(tz, end), DAY_S);
        end = start_of(tz, span, day, 1);
    }
    *ret_start = start;
    *ret_end = end;
}
