// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_TALLY_H
#define LEDGER_TALLY_H
// Sums of a running transaction, in memory, until they are written.
#include "ledger/store.h"

struct tallies;
MUST_CHECK enum err tallies_new(struct tallies **ret);
void tallies_free(struct tallies *t); // NULL is allowed
void tallies_clear(struct tallies *t);
// False: full; write what there is, clear, and add again. Names are cut at 400 bytes (key), 200 (run) and 800 (target).
MUST_CHECK bool tallies_add(struct tallies *t, const struct store_account *who, const struct store_sum *add);
// In the order in which they came; stops at the first error and gives it.
MUST_CHECK enum err tallies_each(const struct tallies *t,
                                 enum err (*fn)(void *ctx, const struct store_account *who,
                                                const struct store_sum *sum),
                                 void *ctx);

#endif
