// SPDX-License-Identifier: Apache-2.0
// The arena: alignment, the cap, the order of cleanups, and every allocation failed in turn.
#include "base/arena.h"
#include "base/mem.h"
#include "unit.h"

TEST(arena_gives_aligned_memory) {
    struct arena a;
    arena_init(&a, 16u << 20, 0);
    for (size_t n = 0; n < 3000; n += 7) {
        char *p = arena_alloc(&a, n);
        CHECK(p && (uintptr_t)p % 16 == 0);
        memset(p, 1, n);
        char *z = arena_zalloc(&a, n);
        CHECK(z && (uintptr_t)z % 16 == 0);
        for (size_t i = 0; i < n; i++)
            CHECK_EQ(z[i], 0);
    }
    arena_done(&a);
    CHECK_EQ(a.used_bytes, 0);
    CHECK(arena_alloc(&a, 1) != NULL); // usable again
    arena_done(&a);
}

TEST(arena_copies) {
    struct arena a;
    arena_init(&a, 1u << 20, 0);
    struct slice s = arena_copy(&a, SLICE("abc")), none = arena_copy(&a, SLICE_NONE);
    CHECK(slice_is(s, "abc") && s.p[3] == 0);
    CHECK(none.p && none.n == 0 && none.p[0] == 0);
    CHECK_STREQ(arena_strdup(&a, "x"), "x");
    CHECK_STREQ(arena_cstr(&a, slice_of("xyz", 2)), "xy");
    CHECK_STREQ(arena_printf(&a, "%d-%s", 4, "five"), "4-five");
    arena_done(&a);
}

TEST(arena_refuses_beyond_its_cap) {
    struct arena a;
    arena_init(&a, 10000, 0);
    size_t got = 0;
    while (arena_alloc(&a, 64))
        got += 64;
    CHECK(got <= 10000 && got >= 9900); // the cap is used up, not left in a block too large
    CHECK(a.used_bytes <= 10000);
    volatile size_t huge = SIZE_MAX; // hidden from the compiler, which would refuse it
    CHECK(arena_alloc(&a, 20000) == NULL && arena_alloc(&a, huge) == NULL && arena_alloc(&a, huge - 8) == NULL);
    CHECK(arena_copy(&a, slice_of("", SIZE_MAX)).p == NULL);
    arena_done(&a);
    arena_init(&a, 100, 0);
    CHECK(arena_alloc(&a, 50) != NULL); // smaller than the first block
    CHECK(arena_printf(&a, "%200d", 1) == NULL);
    arena_done(&a);
    arena_init(&a, SIZE_MAX, 0);
    CHECK(arena_array(&a, SIZE_MAX / 2, 3) == NULL);
    CHECK(arena_array(&a, 3, 5) != NULL);
    arena_done(&a);
}

TEST(arena_puts_large_ones_alone) {
    struct arena a;
    arena_init(&a, 1u << 20, 0);
    char *small = arena_alloc(&a, 16), *large = arena_alloc(&a, 100000), *next = arena_alloc(&a, 16);
    CHECK(small && large);
    CHECK(next == small + 16); // the block with room stays the newest
    memset(large, 1, 100000);
    arena_done(&a);
    large = arena_alloc(&a, 200000);
    CHECK(large != NULL);
    arena_done(&a);
}

static char order[8];
static void note(void *arg) {
    order[strlen(order)] = *(const char *)arg;
}

TEST(arena_runs_cleanups_newest_first) {
    struct arena a;
    char one = '1', two = '2', three = '3';
    memset(order, 0, sizeof order);
    arena_init(&a, 4096, 0);
    CHECK(arena_defer(&a, note, &one) && arena_defer(&a, note, &two) && arena_defer(&a, note, &three));
    arena_done(&a);
    CHECK_STREQ(order, "321");
    arena_done(&a);
    CHECK_STREQ(order, "321");
}

static bool arena_used(struct arena *a) {
    char one = '1';
    return ARENA_NEW(a, struct arena) && arena_alloc(a, 5000) && arena_strdup(a, "x") && arena_array(a, 100, 100) &&
           arena_printf(a, "%d", 1) && ARENA_JOIN(a, SLICE("a"), SLICE("b")).p && arena_defer(a, note, &one);
}

TEST(arena_survives_every_failed_allocation) {
    bool ok = false;
    for (unsigned long k = 1; !ok; k++) {
        struct arena a;
        CHECK(k < 100);
        memset(order, 0, sizeof order);
        arena_init(&a, 1u << 20, 64);
        mem_fail_at(k);
        ok = arena_used(&a);
        mem_fail_at(0);
        // The cleanup's argument is gone by now; it must not run where it was not registered.
        a.cleanups = ok ? NULL : a.cleanups;
        CHECK(ok || !a.cleanups);
        arena_done(&a);
    }
}

TEST(arena_joins_slices) {
    struct arena a;
    arena_init(&a, 1u << 20, 0);
    struct slice s = ARENA_JOIN(&a, SLICE("one"), SLICE_NONE, SLICE(", "), SLICE("two"));
    CHECK_EQ(s.n, 8);
    CHECK_STREQ(s.p, "one, two");
    CHECK_STREQ(ARENA_JOIN(&a, SLICE_NONE).p, "");
    arena_done(&a);
}

static void count_up(void *arg) {
    ++*(int *)arg;
}

TEST(arena_gives_its_memory_to_another) {
    struct arena a, to = {0};
    int cleaned = 0;
    arena_init(&a, 1u << 20, 0);
    char *small = arena_strdup(&a, "small");
    CHECK(small && arena_alloc(&a, 100000) && arena_defer(&a, count_up, &cleaned));
    arena_give(&a, &to);
    arena_done(&a);
    CHECK_EQ(cleaned, 0);
    CHECK_STREQ(small, "small"); // still there
    CHECK(arena_alloc(&a, 100));
    arena_done(&a);
    arena_done(&to);
    CHECK_EQ(cleaned, 1);
}
