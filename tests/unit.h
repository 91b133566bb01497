/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unit test frame. A test stands beside the code (src/x/y_test.c):
 *
 *     #include "unit.h"
 *     TEST(slice_trim_keeps_inner_space) {
 *         CHECK_EQ(slice_trim(...).len, 3);
 *     }
 *
 * A failed check prints file:line with both values, marks the test failed and returns from the function it stands in,
 * which must be void. Checks evaluate each argument once.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>

struct unit_test {
    const char *name;
    const char *file;
    void (*run)(void);
    struct unit_test *next;
};

/* Called by the constructors that TEST makes; `t` must live as long as the program. */
void unit_register(struct unit_test *t);

/* Each prints and returns false when it does not hold. All pointers borrowed; strings may be NULL. */
bool unit_check(const char *file, int line, const char *text, bool holds);
bool unit_check_eq(const char *file, int line, const char *a_text, const char *b_text, long long a, long long b);
bool unit_check_streq(const char *file, int line, const char *a_text, const char *b_text, const char *a, const char *b);
bool unit_check_mem(const char *file, int line, const char *a_text, const char *b_text, const void *a, size_t a_bytes,
                    const void *b, size_t b_bytes);
void unit_fail(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
void unit_skip(const char *reason);

#define TEST(name_)                                                                \
    static void test_##name_(void);                                                \
    static struct unit_test unit_##name_ = {#name_, __FILE__, test_##name_, NULL}; \
    __attribute__((constructor)) static void unit_add_##name_(void) {              \
        unit_register(&unit_##name_);                                              \
    }                                                                              \
    static void test_##name_(void)

#define CHECK(expr)                                                                  \
    do {                                                                             \
        const bool holds_ = (expr) ? true : false; /* so that an analyzer sees it */ \
        if (!unit_check(__FILE__, __LINE__, #expr, holds_) || !holds_)               \
            return;                                                                  \
    } while (0)

/* Integers, enums and booleans of any width; 64-bit unsigned values compare by their bits. */
#define CHECK_EQ(a, b)                                                                  \
    do {                                                                                \
        if (!unit_check_eq(__FILE__, __LINE__, #a, #b, (long long)(a), (long long)(b))) \
            return;                                                                     \
    } while (0)

/* C strings. */
#define CHECK_STREQ(a, b)                                            \
    do {                                                             \
        if (!unit_check_streq(__FILE__, __LINE__, #a, #b, (a), (b))) \
            return;                                                  \
    } while (0)

/* n bytes at p against m bytes at q. */
#define CHECK_MEM(p, n, q, m)                                                \
    do {                                                                     \
        if (!unit_check_mem(__FILE__, __LINE__, #p, #q, (p), (n), (q), (m))) \
            return;                                                          \
    } while (0)

/* Fails with a message of its own: FAIL("row %d: %s", i, why). */
#define FAIL(...)                                   \
    do {                                            \
        unit_fail(__FILE__, __LINE__, __VA_ARGS__); \
        return;                                     \
    } while (0)

/* Ends the test as skipped; only where something outside the tree is missing. */
#define SKIP(reason)       \
    do {                   \
        unit_skip(reason); \
        return;            \
    } while (0)

#endif
