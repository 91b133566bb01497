// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_LEDGER_OWN_H
#define LEDGER_LEDGER_OWN_H
// What ledger.c and query.c share.
#include "ledger/feed.h"
#include "ledger/money.h"

// Takes the mutex and feeds what the journals hold now; unlock also after an error. The store and the feed may be used
// in between.
MUST_CHECK enum err ledger_lock_fed(struct ledger *l);
void ledger_unlock(struct ledger *l);
struct store *ledger_store(struct ledger *l);
struct feed *ledger_feed(struct ledger *l);
// budgets.c, under the mutex: accounts that are sealed get their sums; those that are sealed for less than a moment wait
// for the next turn, unless at_start.
void budgets_unseal(struct ledger *l, bool at_start);
// At start: runs as they stood, and the clock that money goes by.
MUST_CHECK enum err budgets_recover(struct ledger *l);
uint64_t ledger_lost_lines(const struct ledger *l);

#endif
