// SPDX-License-Identifier: Apache-2.0
// Durations and dates in headers and texts of other programs, read by hand since they come from strangers: any bytes give
// a time or nothing, and no number can overflow. Called from loops; no memory, no locale.
#include "base/times.h"
#include <ctype.h>
#include <time.h>

// ---- durations

// Digits with a fraction, in thousandths, at most MOST. False: no digit. *s is left behind them.
#define MOST (TIMES_DAY_MS * 1000)

static bool thousandths_read(struct slice *s, int64_t *ret) {
    int64_t v = 0, scale = 1000;
    size_t i = 0;
    bool point = false;
    for (; i < s->n && (isdigit((unsigned char)s->p[i]) || (s->p[i] == '.' && !point)); i++) {
        if (s->p[i] == '.')
            point = true;
        else if (!point && v < MOST)
            v = v * 10 + (s->p[i] - '0') * 1000;
        else if (point && scale > 1)
            v += (s->p[i] - '0') * (scale /= 10);
    }
    if (i == 0 || s->p[0] == '.')
        return false;
    *s = slice_from(*s, i);
    *ret = v;
    return true;
}

static int64_t ms_of(int64_t thousandths, int64_t unit_ms) {
    return thousandths > MOST / unit_ms ? TIMES_DAY_MS : thousandths * unit_ms / 1000;
}

// Milliseconds of the unit at the start of s; 0: none is known there. "s" and "seconds" both begin with s.
static int64_t unit_read(struct slice *s) {
    struct slice rest = *s;
    size_t n = 0;
    while (rest.n && rest.p[0] == ' ')
        rest = slice_from(rest, 1);
    while (n < rest.n && isalpha((unsigned char)rest.p[n]))
        n++;
    struct slice word = slice_first(rest, n);
    int64_t ms = 0;
    if (slice_is(word, "ms") || slice_starts(word, "milli"))
        ms = 1;
    else if (slice_starts(word, "s"))
        ms = 1000;
    else if (slice_is(word, "m") || slice_starts(word, "min"))
        ms = 60000;
    else if (slice_starts(word, "h"))
        ms = 3600000;
    if (ms)
        *s = slice_from(rest, n);
    return ms;
}

bool times_duration(struct slice *s, int64_t *ret_ms) {
    struct slice rest = *s;
    int64_t total = 0, v, unit;
    bool any = false;
    while (thousandths_read(&rest, &v) && (unit = unit_read(&rest)) != 0) {
        total += ms_of(v, unit);
        total = total > TIMES_DAY_MS ? TIMES_DAY_MS : total;
        any = true;
        *s = rest;
    }
    if (any)
        *ret_ms = total;
    return any;
}

bool times_seconds(struct slice s, int64_t *ret_ms) {
    int64_t v;
    s = slice_trim(s);
    if (!thousandths_read(&s, &v) || s.n)
        return false;
    *ret_ms = ms_of(v, 1000);
    return true;
}

// ---- dates

// Exactly n digits.
static bool digits_read(struct slice *s, size_t n, int *ret) {
    int v = 0;
    if (s->n < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s->p[i]))
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = slice_from(*s, n);
    *ret = v;
    return true;
}

static bool literal_read(struct slice *s, char c) {
    if (!s->n || s->p[0] != c)
        return false;
    *s = slice_from(*s, 1);
    return true;
}

static bool clock_read(struct slice *s, struct tm *t) {
    return digits_read(s, 2, &t->tm_hour) && literal_read(s, ':') && digits_read(s, 2, &t->tm_min) &&
           literal_read(s, ':') && digits_read(s, 2, &t->tm_sec) && t->tm_hour < 24 && t->tm_min < 60 &&
           t->tm_sec <= 60;
}

static bool day_ok(const struct tm *t) {
    return t->tm_mon >= 0 && t->tm_mon < 12 && t->tm_mday >= 1 && t->tm_mday <= 31;
}

// "Z", "+02:00": minutes east of UTC.
static bool offset_read(struct slice *s, int *ret_min) {
    int hours, minutes;
    if (literal_read(s, 'Z')) {
        *ret_min = 0;
        return true;
    }
    bool west = s->n && s->p[0] == '-';
    if (!literal_read(s, west ? '-' : '+') || !digits_read(s, 2, &hours) || !literal_read(s, ':') ||
        !digits_read(s, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_min = (west ? -1 : 1) * (hours * 60 + minutes);
    return true;
}

bool times_rfc3339(struct slice s, int64_t *ret_wall_us) {
    struct tm t = {0};
    int offset_min;
    s = slice_trim(s);
    if (!digits_read(&s, 4, &t.tm_year) || !literal_read(&s, '-') || !digits_read(&s, 2, &t.tm_mon) ||
        !literal_read(&s, '-') || !digits_read(&s, 2, &t.tm_mday) || !literal_read(&s, 'T') || !clock_read(&s, &t))
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    if (literal_read(&s, '.'))
        while (s.n && isdigit((unsigned char)s.p[0]))
            s = slice_from(s, 1);
    if (!offset_read(&s, &offset_min) || s.n || !day_ok(&t))
        return false;
    *ret_wall_us = ((int64_t)timegm(&t) - offset_min * 60) * 1000000;
    return true;
}

bool times_http_date(struct slice s, int64_t *ret_wall_us) {
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t = {.tm_mon = -1};
    s = slice_trim(s);
    size_t comma = slice_find(s, ',');
    if (comma != 3)
        return false;
    s = slice_from(s, comma + 1);
    if (!literal_read(&s, ' ') || !digits_read(&s, 2, &t.tm_mday) || !literal_read(&s, ' ') || s.n < 3)
        return false;
    for (int m = 0; m < 12; m++)
        if (memcmp(s.p, months + m * 3, 3) == 0)
            t.tm_mon = m;
    s = slice_from(s, 3);
    if (!literal_read(&s, ' ') || !digits_read(&s, 4, &t.tm_year) || !literal_read(&s, ' ') || !clock_read(&s, &t) ||
        !slice_is(s, " GMT") || !day_ok(&t))
        return false;
    t.tm_year -= 1900;
    *ret_wall_us = (int64_t)timegm(&t) * 1000000;
    return true;
}
