// SPDX-License-Identifier: Apache-2.0
// The capped buffer: doubling growth up to its maximum, and a failure that sticks until buf_clear, so that a writer looks
// once at the end. Owned by whoever embeds it; allocates through base/mem. One byte more than `cap` is always there, for
// the NUL of buf_cstr and of vsnprintf, so that a full buffer can still be read as a C string.
#include "base/buf.h"
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"

void buf_init(struct buf *b, size_t max_bytes) {
    *b = BUF_INIT(max_bytes);
}

void buf_done(struct buf *b) {
    mem_free(b->p);
    *b = BUF_INIT(b->max);
}

void buf_clear(struct buf *b) {
    b->len = 0;
    b->failed = false;
}

bool buf_grow(struct buf *b, size_t more) {
    if (b->failed)
        return false;
    if (more <= b->cap - b->len)
        return true;
    if (more > b->max - b->len) {
        b->failed = true;
        return false;
    }
    size_t cap = b->cap ? b->cap : 256;
    while (cap < b->len + more)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    if (cap > b->max)
        cap = b->max;
    char *p = cap == SIZE_MAX ? NULL : mem_realloc(b->p, cap + 1);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void buf_append_u64(struct buf *b, uint64_t v) {
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_append_mem(b, digits + n, sizeof digits - n);
}

void buf_append_i64(struct buf *b, int64_t v) {
    if (v < 0)
        buf_append_char(b, '-');
    buf_append_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void buf_append_hex(struct buf *b, uint64_t v, unsigned digits) {
    static const char hex[] = "0123456789abcdef";
    while (digits-- > 0)
        buf_append_char(b, hex[digits < 16 ? v >> 4 * digits & 15 : 0]);
}

void buf_append_percent(struct buf *b, struct slice s, const char *kept) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool stays =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(kept, c));
        if (stays)
            buf_append_char(b, c);
        else
            buf_printf(b, "%%%02X", (unsigned char)c);
    }
}

void buf_append_fixed(struct buf *b, uint64_t v, unsigned decimals) {
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    buf_append_u64(b, v / unit);
    buf_append_char(b, '.');
    for (v %= unit; unit > 1; v %= unit) {
        unit /= 10;
        buf_append_char(b, (char)('0' + v / unit));
    }
}

void buf_append_size(struct buf *b, int64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double v = (double)bytes;
    size_t u = 0;
    for (; v >= 1024 && u < 4; u++)
        v /= 1024;
    buf_printf(b, v < 10 && u > 0 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

void buf_printf(struct buf *b, const char *fmt, ...) {
    va_list args;
    char small[512];
    va_start(args, fmt);
    int n = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof small) {
        buf_append_mem(b, small, (size_t)n);
    } else if (buf_reserve(b, (size_t)n)) {
        va_start(args, fmt);
        (void)vsnprintf(b->p + b->len, (size_t)n + 1, fmt, args);
        va_end(args);
        b->len += (size_t)n;
    }
}

void buf_consume(struct buf *b, size_t n) {
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->p, b->p + n, b->len - n);
    b->len -= n;
}

const char *buf_cstr(struct buf *b) {
    if (b->failed || b->len == 0)
        return "";
    b->p[b->len] = 0;
    return b->p;
}
