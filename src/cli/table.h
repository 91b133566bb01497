// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TABLE_H
#define CLI_TABLE_H
// Text for people: aligned tables, sizes, money, times, and colours where they can be seen.
#include "base/arena.h"
#include "base/json.h"

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN, COLOUR_YELLOW };
// The escape sequence, or "" when standard output is no terminal or NO_COLOR is set.
const char *colour_on(enum colour c);
const char *colour_off(void);

struct table {
    struct arena *arena;
    const char *const *heads; // NULL-terminated; a head that starts with '>' is of a column aligned to the right
    size_t columns, n, cap;   // cells
    const char **cells;
};
void table_init(struct table *t, struct arena *a, const char *const *heads);
// Cell by cell, in order of the columns. Control characters are replaced. Empty and NULL: "-".
void table_add(struct table *t, struct slice cell);
void table_add_str(struct table *t, const char *cell);
void table_print(const struct table *t);

// All in the arena, never NULL.
const char *text_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *text_bytes(struct arena *a, int64_t n);      // "1.5 GiB"; "-" for 0 and less
const char *text_count(struct arena *a, yyjson_val *v);  // "-" for null
const char *text_ms(struct arena *a, yyjson_val *v);     // "12.3 ms", "1.52 s"
const char *text_usd(struct arena *a, yyjson_val *v);    // of a decimal text: "0.00012"; at most 6 decimals
const char *text_plain(struct arena *a, struct slice s); // without control characters; "-" when empty
const char *text_duration(struct arena *a, int64_t s);   // "4m", "2h 5m"

#endif
