// SPDX-License-Identifier: Apache-2.0
// Blocks that double from 2 KiB to 64 KiB; what is larger than half a block stands alone. Freed together, cleanups first.
// One thread uses an arena; nothing is ever freed singly.
#include "base/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include "base/mem.h"

#define FIRST_BLOCK_BYTES 2048
#define LARGEST_BLOCK_BYTES 65536
#define ALIGN 16

struct arena_block {
    struct arena_block *next;
    size_t used, size; // of what follows the header
};

struct arena_cleanup {
    struct arena_cleanup *next;
    void (*fn)(void *);
    void *arg;
};

_Static_assert(sizeof(struct arena_block) <= 32, "the header is counted as 32 bytes");
#define HEADER_BYTES 32

void arena_init(struct arena *a, size_t cap_bytes, size_t first_block_bytes) {
    *a = (struct arena){.cap_bytes = cap_bytes,
                        .next_block_bytes = first_block_bytes ? first_block_bytes : FIRST_BLOCK_BYTES};
}

void arena_done(struct arena *a) {
    for (struct arena_cleanup *c = a->cleanups; c; c = c->next)
        c->fn(c->arg);
    a->cleanups = NULL;
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        mem_free(b);
    }
    a->used_bytes = 0;
}

void arena_give(struct arena *a, struct arena *to) {
    *to = *a;
    a->blocks = NULL;
    a->cleanups = NULL;
    a->used_bytes = 0;
}

static struct arena_block *block_new(struct arena *a, size_t size) {
    if (size > a->cap_bytes || a->used_bytes > a->cap_bytes - size)
        return NULL;
    struct arena_block *b = mem_alloc(HEADER_BYTES + size);
    if (!b)
        return NULL;
    b->used = 0;
    b->size = size;
    a->used_bytes += size;
    return b;
}

// A block of its own goes behind the newest, which still has room for small ones.
static void *alloc_alone(struct arena *a, size_t n) {
    struct arena_block *b = block_new(a, n);
    if (!b)
        return NULL;
    b->used = n;
    b->next = a->blocks ? a->blocks->next : NULL;
    if (a->blocks)
        a->blocks->next = b;
    else
        a->blocks = b;
    return (char *)b + HEADER_BYTES;
}

// The usual doubling, or near the cap what is left of it.
static size_t block_bytes(const struct arena *a, size_t n) {
    size_t left = a->cap_bytes - a->used_bytes;
    return a->next_block_bytes > left && n <= left ? left : a->next_block_bytes;
}

void *arena_alloc(struct arena *a, size_t n) {
    if (n > a->cap_bytes)
        return NULL;
    n = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (n == 0)
        n = ALIGN;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < n) {
        if (n > a->next_block_bytes / 2)
            return alloc_alone(a, n);
        b = block_new(a, block_bytes(a, n));
        if (!b)
            return NULL;
        if (a->next_block_bytes < LARGEST_BLOCK_BYTES)
            a->next_block_bytes *= 2;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = (char *)b + HEADER_BYTES + b->used;
    b->used += n;
    return p;
}

void *arena_zalloc(struct arena *a, size_t n) {
    void *p = arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    return arena_zalloc(a, bytes);
}

struct slice arena_copy(struct arena *a, struct slice s) {
    char *p = s.n == SIZE_MAX ? NULL : arena_alloc(a, s.n + 1);
    if (!p)
        return SLICE_NONE;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return slice_of(p, s.n);
}

char *arena_cstr(struct arena *a, struct slice s) {
    return (char *)(uintptr_t)arena_copy(a, s).p;
}

char *arena_strdup(struct arena *a, const char *s) {
    return arena_cstr(a, slice_str(s));
}

struct slice arena_join(struct arena *a, const struct slice *v, size_t n) {
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += v[i].n;
    char *p = arena_alloc(a, bytes + 1), *at = p;
    if (!p)
        return SLICE_NONE;
    for (size_t i = 0; i < n; i++) {
        if (v[i].n)
            memcpy(at, v[i].p, v[i].n);
        at += v[i].n;
    }
    *at = 0;
    return slice_of(p, bytes);
}

char *arena_printf(struct arena *a, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (!p)
        return NULL;
    va_start(args, fmt);
    (void)vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return p;
}

bool arena_defer(struct arena *a, void (*fn)(void *), void *arg) {
    struct arena_cleanup *c = arena_alloc(a, sizeof *c);
    if (!c)
        return false;
    *c = (struct arena_cleanup){a->cleanups, fn, arg};
    a->cleanups = c;
    return true;
}
