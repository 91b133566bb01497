// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/slice.h"

// A growable byte string with a maximum. Failure sticks: after the first append that did not fit, or found no
// memory, `failed` is set and later appends do nothing, so a writer checks once at the end.
struct buf {
    char *p;
    size_t len;
    size_t cap;
    size_t max;
    bool failed;
};

// On an array of the caller's: never allocates, never grows, is never given to buf_done.
#define BUF_FIXED(array) ((struct buf){(array), 0, sizeof(array) - 1, sizeof(array) - 1, false})
#define BUF_INIT(max_bytes) ((struct buf){NULL, 0, 0, (max_bytes), false})

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);              // frees; usable again
void buf_clear(struct buf *b);             // keeps the memory, resets `failed`
bool buf_grow(struct buf *b, size_t more); // what buf_reserve does when there is no room
static inline bool buf_reserve(struct buf *b, size_t more) {
    return (!b->failed && more <= b->cap - b->len) || buf_grow(b, more);
}
// Inline: a journal line or a head is a hundred of these, most of them of a literal.
static inline void buf_append_mem(struct buf *b, const void *p, size_t n) {
    if (n == 0 || !buf_reserve(b, n))
        return;
    if (!b->p)
        __builtin_unreachable(); // room for one byte is a place; the analyzer can't see that
    memcpy(b->p + b->len, p, n);
    b->len += n;
}
static inline void buf_append(struct buf *b, struct slice s) {
    buf_append_mem(b, s.p, s.n);
}
static inline void buf_append_str(struct buf *b, const char *cstr) {
    buf_append_mem(b, cstr, strlen(cstr));
}
static inline void buf_append_char(struct buf *b, char c) {
    if (buf_reserve(b, 1))
        b->p[b->len++] = c;
}
void buf_append_u64(struct buf *b, uint64_t v);
void buf_append_i64(struct buf *b, int64_t v);
// Hexadecimal in lower case, the lowest `digits` digits.
void buf_append_hex(struct buf *b, uint64_t v, unsigned digits);
// As a part of a URL (RFC 3986): letters, digits and what stands in `kept` stay, other bytes become %XX.
#define URL_UNRESERVED "-._~"
void buf_append_percent(struct buf *b, struct slice s, const char *kept);
// A fixed-point number: v / 10^decimals with all its decimals.
void buf_append_fixed(struct buf *b, uint64_t v, unsigned decimals);
void buf_append_size(struct buf *b, int64_t bytes); // for people: "1.5 GiB", "740 MiB"
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Removes n bytes at the front.
void buf_consume(struct buf *b, size_t n);
static inline struct slice buf_slice(const struct buf *b) {
    return (struct slice){b->p, b->len};
}
// The bytes with a NUL behind them (not counted in len); "" when empty or failed.
const char *buf_cstr(struct buf *b);

#endif
