// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_MONEY_H
#define LEDGER_MONEY_H
// What the ledger knows of budgets, runs and keys beyond its rows.
#include "ledger/accounts.h"
#include "ledger/keyring.h"
#include "ledger/ledger.h"

// Owned by the ledger; any thread.
struct accounts *ledger_accounts(struct ledger *l);
struct keyring *ledger_keyring(struct ledger *l);

// The budgets of the config and of made keys come into force, each with what its period has spent so far. Main thread; it
// blocks. At start (before anything is served) all sums are known when it returns; at a reload the requests of a new
// budget wait for some ten milliseconds until the ledger's thread knows what others had begun. Open reservations that
// stood before it are counted as spent. ERR_DISK, ERR_NO_MEMORY.
MUST_CHECK enum err ledger_budgets(struct ledger *l, const struct config *c, bool at_start);

// --- any thread but the loops' (they block). JSON is appended.
struct spend_filter {
    enum store_by by;
    int64_t since_s;
    struct slice key; // p NULL: all, the owner asks; else only what this key may see
};
bool spend_by_parse(struct slice name, enum store_by *ret); // "key", "model", "endpoint", "run", "day"
// {"by":…,"since_s":…,"rows":[…],"total":{…},"budgets":[…]}
MUST_CHECK enum err ledger_spend(struct ledger *l, const struct spend_filter *f, struct buf *json);
// {"runs":[…]}
MUST_CHECK enum err ledger_runs(struct ledger *l, struct slice key, struct buf *json);
// {"keys":[…]}, those of the config aside.
MUST_CHECK enum err ledger_keys(struct ledger *l, struct buf *json);
// As keyring_add; its budgets are in force when it returns.
MUST_CHECK enum err ledger_key_add(struct ledger *l, const struct config *c, struct slice name, struct slice budgets,
                                   char ret_secret[KEY_SECRET_BYTES], struct buf *problem);
// Nobody is let in with it any more. *ret: what keyring_find gave for it, so that its exchanges can be ended.
MUST_CHECK enum err ledger_key_revoke(struct ledger *l, struct slice name, const struct config_key **ret);
// Nothing more is begun for it, also after a restart. key p NULL: the run of that name, whosever it is; ERR_NOT_FOUND,
// ERR_LIMIT when several keys have one of that name. *ret: a reference, so that its exchanges can be ended.
MUST_CHECK enum err ledger_run_stop(struct ledger *l, struct slice key, struct slice run, struct payer **ret);

// "the budget of key 'bar' for this month"
void account_name(const struct account *t, struct buf *out);

#endif
