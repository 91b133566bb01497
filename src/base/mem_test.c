// SPDX-License-Identifier: Apache-2.0
// The allocator's door: it fails when told, and stays failed until told otherwise.
#include "base/mem.h"
#include "base/slice.h"
#include "unit.h"

TEST(mem_fails_from_the_kth_call_on) {
    mem_fail_at(3);
    void *a = mem_alloc(1), *b = mem_zalloc(8), *c = mem_alloc(1), *d = mem_zalloc(1), *e = mem_realloc(NULL, 4);
    char *f = mem_strdup("x");
    CHECK_EQ(mem_count(), 6);
    mem_fail_at(0);
    CHECK(a && b && !c && !d && !e && !f);
    mem_free(a);
    mem_free(b);
    CHECK_EQ(mem_count(), 0);
}

TEST(mem_of_nothing_is_not_null) {
    void *a = mem_alloc(0), *b = mem_zalloc(0), *c = mem_realloc(NULL, 0);
    CHECK(a && b && c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}

TEST(mem_copies_strings) {
    char *a = mem_strdup("abc"), *b = mem_strndup("abcdef", 2), *c = mem_strndup(NULL, 0);
    CHECK_STREQ(a, "abc");
    CHECK_STREQ(b, "ab");
    CHECK_STREQ(c, "");
    CHECK(mem_strdup(NULL) == NULL);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

TEST(mem_grows_what_it_gave) {
    char *p = mem_strdup("abcd");
    p = mem_realloc(p, 4000);
    CHECK_STREQ(p, "abcd");
    mem_free(p);
}
