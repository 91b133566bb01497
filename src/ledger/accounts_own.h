// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_ACCOUNTS_OWN_H
#define LEDGER_ACCOUNTS_OWN_H
// What accounts.c, hold.c and queue.c share.
#include "ledger/accounts.h"

// Adds without ever wrapping around.
void money_add(_Atomic int64_t *at, int64_t v);
// Under the account's lock, or before anybody knows it.
void account_seal(struct account *t);
// Money came free: the first in the queue is poked.
void queue_wake(struct account *t);
// Would w, taking money here now, go before others who came earlier and wait here?
bool queue_is_before(struct account *t, const struct waiter *w);
// Moves w there, by its time of arrival; where it stands already it stays. *ret_first: nobody is before it.
void queue_join(struct account *t, struct waiter *w, bool *ret_first);

#endif
