// SPDX-License-Identifier: Apache-2.0
// The memo: what was put is found, under its own detector and text only; the one that was not used for longest goes.
#include "privacy/memo.h"
#include <stdio.h>
#include "base/mem.h"
#include "unit.h"

static struct memo_key key_of(const struct memo *m, unsigned i) {
    char text[32];
    return memo_key_of(m, 1, slice_of(text, (size_t)snprintf(text, sizeof text, "the text %u", i)));
}

TEST(memo_finds_what_was_put) {
    struct memo *m = memo_new(64);
    struct spans found = {0};
    struct span many[10];
    CHECK(m != NULL);
    for (uint32_t i = 0; i < 10; i++)
        many[i] = (struct span){i * 10, 5, 3};
    for (unsigned n = 0; n <= 10; n += 2) {
        memo_put(m, key_of(m, n), many, n);
        found.n = 0;
        CHECK(memo_find(m, key_of(m, n), &found));
        CHECK_EQ(found.n, n);
        CHECK(n == 0 || memcmp(found.v, many, n * sizeof *many) == 0);
    }
    CHECK(!memo_find(m, key_of(m, 1), &found));
    CHECK(!memo_find(m, memo_key_of(m, 2, SLICE("the text 2")), &found));
    memo_put(m, key_of(m, 2), many, 1); // another find for the same text takes its place
    found.n = 0;
    CHECK(memo_find(m, key_of(m, 2), &found) && found.n == 1);
    spans_done(&found);
    memo_free(m);
}

TEST(memo_is_bounded_and_keeps_what_is_used) {
    struct memo *m = memo_new(64);
    struct spans found = {0};
    const struct span span = {1, 2, 3};
    unsigned known = 0;
    for (unsigned i = 0; i < 5000; i++) {
        memo_put(m, key_of(m, i), &span, 1);
        CHECK(memo_find(m, key_of(m, i), &found));
        if (i % 3 == 0) // used again and again: it stays
            CHECK(memo_find(m, key_of(m, 0), &found));
    }
    for (unsigned i = 0; i < 5000; i++)
        known += memo_find(m, key_of(m, i), &found);
    CHECK(known > 32 && known <= 64);
    CHECK(memo_find(m, key_of(m, 0), &found));
    spans_done(&found);
    memo_free(m);
}

TEST(memo_survives_each_failed_allocation) {
    const struct span many[5] = {{1, 2, 3}};
    for (unsigned long k = 1; k < 20; k++) {
        struct spans found = {0};
        mem_fail_at(k);
        struct memo *m = memo_new(16);
        if (m) {
            memo_put(m, key_of(m, 1), many, 5);
            bool ok = memo_find(m, key_of(m, 1), &found);
            CHECK(!ok || found.n == 5);
        }
        mem_fail_at(0);
        spans_done(&found);
        memo_free(m);
    }
}
