// SPDX-License-Identifier: Apache-2.0
// Byte runs: comparing, searching, splitting, numbers, UTF-8. Everything that reads text stands on these: header names,
// JSON, config, model names. Pure functions on borrowed bytes; nothing here allocates, fails loudly or knows a locale.
#include "base/slice.h"
#include <endian.h>

static inline char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

// A multiplication and a shift for eight bytes; what is short of eight has zeros behind it, and the length tells them apart.
uint64_t slice_hash(struct slice s, uint64_t seed) {
    uint64_t h = seed ^ s.n;
    for (size_t i = 0; i < s.n; i += 8) {
        uint64_t v = 0;
        memcpy(&v, s.p + i, s.n - i < 8 ? s.n - i : 8);
        h = (h ^ le64toh(v)) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    return h;
}

bool slice_eq_nocase(struct slice a, struct slice b) {
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

static inline bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s) {
    while (s.n && is_space(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

size_t slice_find(struct slice s, char c) {
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

size_t slice_search(struct slice s, struct slice needle) {
    if (needle.n == 0)
        return 0;
    const char *at = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - s.p) : SIZE_MAX;
}

struct slice slice_split(struct slice *rest, char c) {
    size_t at = slice_find(*rest, c);
    struct slice head = *rest;
    if (at == SIZE_MAX) {
        *rest = SLICE_NONE;
        return head;
    }
    head.n = at;
    *rest = slice_of(rest->p + at + 1, rest->n - at - 1);
    return head;
}

int slice_hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t slice_percent_decode(struct slice s, char *to, size_t room) {
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < room; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? slice_hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? slice_hex_digit(s.p[i + 2]) : -1;
        bool coded = low >= 0 && high * 16 + low > 0;
        to[n++] = coded ? (char)(high * 16 + low) : s.p[i];
        i += coded ? 2 : 0;
    }
    return n;
}

bool slice_u64(struct slice s, uint64_t *ret) {
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return true;
}

bool slice_is_one_line(struct slice s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= '\r' && (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0))
            return false;
    return true;
}

// Table 3-7 of the Unicode standard.
size_t slice_utf8_step(struct slice s) {
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char low = 0x80, high = 0xbf;
    if (s.n == 0)
        return 0;
    size_t len = p[0] < 0x80                   ? 1
                 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
                 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                               : 0;
    if (len == 0 || len > s.n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    if (p[0] == 0xed)
        high = 0x9f;
    if (p[0] == 0xf0)
        low = 0x90;
    if (p[0] == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < len; i++) {
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return len;
}

bool slice_is_utf8(struct slice s) {
    for (size_t i = 0; i < s.n;) {
        uint64_t eight; // most text is ASCII: eight bytes at once
        if (s.n - i >= sizeof eight) {
            memcpy(&eight, s.p + i, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t step = slice_utf8_step(slice_of(s.p + i, s.n - i));
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

unsigned slice_distance(struct slice a, struct slice b) {
    unsigned row[65];
    a = slice_first(a, 64);
    b = slice_first(b, 64);
    for (unsigned j = 0; j <= b.n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = least(change, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.n];
}
