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

#define BUF_INIT(max_bytes) ((struct buf){NULL, 0, 0, (max_bytes), false})

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);  // frees; usable again
void buf_clear(struct buf *b); // keeps the memory, resets `failed`
bool buf_reserve(struct buf *b, size_t more);
void buf_append(struct buf *b, struct slice s);
void buf_append_mem(struct buf *b, const void *p, size_t n);
void buf_append_str(struct buf *b, const char *cstr);
void buf_append_char(struct buf *b, char c);
void buf_append_u64(struct buf *b, uint64_t v);
void buf_append_i64(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// Removes n bytes at the front.
void buf_consume(struct buf *b, size_t n);
static inline struct slice buf_slice(const struct buf *b) {
    return (struct slice){b->p, b->len};
}
// The bytes with a NUL behind them (not counted in len); "" when empty or failed.
const char *buf_cstr(struct buf *b);

#endif
