// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_SLICE_H
#define BASE_SLICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A borrowed run of bytes; p may be NULL when n is 0. Not NUL-terminated.
struct slice {
    const char *p;
    size_t n;
};

#define SLICE(lit) ((struct slice){"" lit, sizeof(lit) - 1})
#define SLICE_NONE ((struct slice){NULL, 0})
// For printf: "%.*s", SLICE_FMT(s)
#define SLICE_FMT(s) (int)(s).n, (s).p

static inline struct slice slice_of(const char *p, size_t n) {
    return (struct slice){p, n};
}

// NULL gives an empty slice.
static inline struct slice slice_str(const char *cstr) {
    return (struct slice){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_is(struct slice a, const char *cstr) {
    return slice_eq(a, slice_str(cstr));
}

static inline bool slice_starts(struct slice s, const char *prefix) {
    size_t n = strlen(prefix);
    return n == 0 || (s.p && s.n >= n && memcmp(s.p, prefix, n) == 0);
}

static inline bool slice_ends(struct slice s, const char *suffix) {
    size_t n = strlen(suffix);
    return n == 0 || (s.p && s.n >= n && memcmp(s.p + s.n - n, suffix, n) == 0);
}

// The bytes from offset `from` on; empty when from is past the end.
static inline struct slice slice_from(struct slice s, size_t from) {
    return from >= s.n ? SLICE_NONE : (struct slice){s.p + from, s.n - from};
}

static inline struct slice slice_first(struct slice s, size_t n) {
    return (struct slice){s.p, n < s.n ? n : s.n};
}

// Of tables; no secret, and the same on every machine, so that it may be kept.
uint64_t slice_hash(struct slice s, uint64_t seed);
// ASCII case-insensitive, for header names.
bool slice_eq_nocase(struct slice a, struct slice b);
// Without ASCII white space at both ends.
struct slice slice_trim(struct slice s);
// Index of c, or SIZE_MAX.
size_t slice_find(struct slice s, char c);
// Index of the first occurrence of `needle`, or SIZE_MAX. An empty needle is found at 0.
size_t slice_search(struct slice s, struct slice needle);
// Cuts *rest at the first c: returns what stands before it and leaves what follows.
// Without c, returns all and leaves *rest empty with p NULL.
struct slice slice_split(struct slice *rest, char c);
// Whole slice as a decimal number without sign; false on anything else or overflow.
bool slice_u64(struct slice s, uint64_t *ret);
// Without CR, LF and NUL, so that it can stand in a header?
bool slice_is_one_line(struct slice s);
// Valid UTF-8 (RFC 3629: no surrogates, no overlong forms)?
bool slice_is_utf8(struct slice s);
// Bytes of the valid sequence at the start of s, 1 to 4; 0 when it is broken or s is empty.
size_t slice_utf8_step(struct slice s);
int slice_hex_digit(char c); // its value; -1: it is none
// Undoes %XX into `to`; as much as has room. %00 and what is no code stays. Returns the bytes written.
size_t slice_percent_decode(struct slice s, char *to, size_t room);
// Levenshtein distance over bytes, capped at 64 bytes a side; for "did you mean".
unsigned slice_distance(struct slice a, struct slice b);

#include "base/banned.h"

#endif
