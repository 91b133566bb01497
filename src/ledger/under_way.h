// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_UNDER_WAY_H
#define LEDGER_UNDER_WAY_H
// Attempts that were begun and not settled: their intent lines, in memory. They are not written to the database while
// their journal segment lives, since what is in it can be read again; most never are.
#include "base/buf.h"
#include "base/err.h"

struct under_way;
MUST_CHECK enum err under_way_new(struct under_way **ret);
void under_way_free(struct under_way *u); // NULL is allowed

struct way {
    struct slice exchange, key, line; // borrowed; the first two are parts of the line
    int64_t attempt, reserved_picousd;
};
// Copies it. An attempt that is there takes the new line if it holds more. ERR_NO_MEMORY.
MUST_CHECK enum err under_way_put(struct under_way *u, const struct way *w);
// All attempts of an exchange.
void under_way_drop(struct under_way *u, struct slice exchange);
void under_way_clear(struct under_way *u);
// Calls fn for each until it returns an error, and gives that. exchange p NULL: all, else its own, by attempt.
MUST_CHECK enum err under_way_each(const struct under_way *u, struct slice exchange,
                                   enum err (*fn)(void *ctx, const struct way *w), void *ctx);

#endif
