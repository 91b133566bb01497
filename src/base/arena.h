// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/slice.h"

// Memory that is freed all at once. Embedded; the first block comes with the first allocation.
struct arena_block;
struct arena_cleanup;
struct arena {
    struct arena_block *blocks; // newest first
    struct arena_cleanup *cleanups;
    size_t used_bytes; // taken from the system
    size_t cap_bytes;
    size_t next_block_bytes;
};

// cap_bytes bounds what the arena ever takes. first_block_bytes 0 = 2 KiB; blocks double up to 64 KiB.
void arena_init(struct arena *a, size_t cap_bytes, size_t first_block_bytes);
// Runs the cleanups newest first, then frees all. The arena may be used again.
void arena_done(struct arena *a);
// Memory and cleanups go to `to`, which has none, and end with it. a may be used again.
void arena_give(struct arena *a, struct arena *to);

// Aligned to 16. NULL when the cap is reached or memory is out. Large ones get a block of their own.
void *arena_alloc(struct arena *a, size_t n) __attribute__((alloc_size(2)));
void *arena_zalloc(struct arena *a, size_t n) __attribute__((alloc_size(2)));
// n objects of `size` bytes, zeroed; NULL also on overflow.
void *arena_array(struct arena *a, size_t n, size_t size);
// Copies; the copy has a NUL behind it that n does not count. p NULL on failure (and n 0).
struct slice arena_copy(struct arena *a, struct slice s);
char *arena_strdup(struct arena *a, const char *s);
char *arena_cstr(struct arena *a, struct slice s);
// The parts in a row; a NUL behind them that n does not count. p NULL on failure.
#define ARENA_JOIN(a, ...)                               \
    arena_join((a), (const struct slice[]){__VA_ARGS__}, \
               sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice))
struct slice arena_join(struct arena *a, const struct slice *v, size_t n);
// NULL on failure.
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// fn(arg) runs at arena_done. False when out of memory: then fn was not registered.
bool arena_defer(struct arena *a, void (*fn)(void *), void *arg);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))

#endif
