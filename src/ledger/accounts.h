// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_ACCOUNTS_H
#define LEDGER_ACCOUNTS_H
// Budgets as they are held while requests run: Σ settled + Σ open ≤ limit, at every instant, with any number of loops.
//
// A payer is the whole daemon, a key, or a run of a key; it has accounts, one per budget. An account has a limit and
// the sums of its running period. A request has a purse (its payers) and holds money of all their accounts at once, or of
// none; a hold is settled at what it cost. Taking and settling are compare-and-swap on each account in a fixed order, with
// what was taken given back where a later one refuses: no lock, no lease. Only who must wait for money that others hold
// takes a lock, the account's own, and waits there in the order of arrival.
#include <pthread.h>
#include <stdatomic.h>
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"
#include "base/tz.h"
#include "config/config.h"

enum scope { SCOPE_WHOLE, SCOPE_KEY, SCOPE_RUN, SCOPE_COUNT };
#define MONEY_UNLIMITED INT64_MAX
// Beyond any bill, and far from where sums overflow.
#define MONEY_MOST (INT64_MAX / 4096)

struct account;

// The sums of one period. Never freed while its accounts live, so a hold may keep it across the period's end: what was
// taken in a period is settled in it.
struct period {
    struct account *account;
    struct period *before;
    int64_t start_s, end_s; // UTC; INT64_MAX: never ends
    _Atomic int64_t used;   // settled + open
    _Atomic int64_t settled;
};

struct waiter {
    struct waiter *next, *prev;
    struct account *at; // where it waits; NULL: nowhere
    uint64_t since_us;  // mono: its place in the order
    bool poked;         // a letter is on its way; guarded by the account's lock
    // There may be room: try again. Any thread, under the account's lock, so it only posts. False: it could not.
    bool (*poke)(struct waiter *w);
};

struct account {
    struct payer *payer;
    struct account *next; // of the payer, also those that no config asks for any more
    enum config_window window;
    char zone[LIMIT_TZ_NAME_BYTES];
    struct tz *tz;
    bool live;             // asked for by the config; the ledger's mutex guards it
    _Atomic int64_t limit; // MONEY_UNLIMITED: none
    _Atomic bool sealed;   // the sum of its period is not known yet: nothing is refused, all wait
    uint64_t sealed_ms;    // mono, since when; guarded by lock
    _Atomic(struct period *) now;
    pthread_mutex_t lock; // of the queue, and of a new period
    struct waiter *first, *last;
    _Atomic unsigned n_waiting;
    _Atomic uint64_t wanted_until_ms; // mono: an answer that runs wants more; nobody new is let in until then
};

struct payer {
    struct accounts *of;
    struct payer *next; // of its bucket
    uint64_t hash;
    enum scope scope;
    char *key, *run; // "" where there is none
    _Atomic unsigned refs;
    _Atomic(struct account *) accounts[LIMIT_BUDGETS]; // those in force; NULL where there is none
    struct account *all;
    // runs
    _Atomic bool stopped;
    _Atomic int64_t last_us; // wall, of the last request
};

struct accounts;
MUST_CHECK enum err accounts_new(struct accounts **ret);
void accounts_free(struct accounts *a); // NULL is allowed; no purse is held any more

// --- the clock that money goes by: the wall's, but it stands still while that is up to two days behind where it was (a
// budget that was spent must not come back because the clock went back). Further back is believed: then it was the time
// before that was wrong. Any thread.
int64_t accounts_now_s(struct accounts *a);
// At start: where it was.
void accounts_set_mark_s(struct accounts *a, int64_t s);

// --- payers. Any thread; a bucket's lock is held for a look-up.
// One more reference; made if missing. NULL: no memory, or (runs) LIMIT_RUNS are known and none may be forgotten.
struct payer *payer_get(struct accounts *a, enum scope scope, struct slice key, struct slice run);
// Likewise, but never made: NULL when it is not there.
struct payer *payer_find(struct accounts *a, enum scope scope, struct slice key, struct slice run);
struct payer *payer_ref(struct payer *p);
void payer_unref(struct payer *p); // NULL is allowed
// The account in force for that window and zone. If there was none it is made, where `make` says so, and begins sealed.
// NULL: no memory, no such zone, or LIMIT_BUDGETS are in force. One caller at a time.
struct account *payer_account(struct payer *p, enum config_window window, const char *zone, bool make);
// A run's cap: the first one holds, later ones may only lower it. Any thread.
void run_cap(struct payer *run, int64_t picousd);
int64_t run_cap_of(const struct payer *run); // -1 none
// fn(ctx, payer) for each; its bucket's lock is held meanwhile.
void payers_each(struct accounts *a, void (*fn)(void *ctx, struct payer *p), void *ctx);

void account_set_limit(struct account *t, int64_t picousd);
struct period *account_period(struct account *t, int64_t now_s); // NULL: no memory
// Adds what was settled before in the period that holds now_s, and ends the seal.
void account_begin(struct account *t, int64_t now_s, int64_t settled);
// No config asks for it any more; it stays for those who hold its money.
void account_retire(struct payer *p, struct account *t);

// Is there an account that waits for account_begin?
bool accounts_any_sealed(const struct accounts *a);

// --- a request's purse
struct purse {
    struct payer *payers[SCOPE_COUNT]; // NULL where there is none
};
void purse_done(struct purse *p);
void purse_copy(struct purse *to, const struct purse *from);
bool purse_is_limited(const struct purse *p); // has any account a limit?

struct room {
    int64_t left;          // least of limit - settled; MONEY_UNLIMITED
    int64_t free;          // least of limit - settled - open
    struct account *least; // the account with the least left; NULL: none is limited
};
struct room purse_room(const struct purse *p, int64_t now_s); // sealed accounts aside

// --- holding money. Any thread.
struct hold {
    struct period *periods[SCOPE_COUNT * LIMIT_BUDGETS];
    unsigned n;
    int64_t picousd;
    bool taken;
    bool wants; // it was refused more
};
enum held { HELD, HELD_BY_OTHERS, HELD_NOT }; // taken; open reservations stand in the way; settled money leaves no room
// Takes `picousd` of all accounts of the purse, or nothing; never before those who wait already, if w is not their first.
// With `queue`, HELD_BY_OTHERS leaves w in the queue of the account that refused (where it stood before, it keeps its
// place), and it will be poked. HELD takes it out of any.
enum held hold_take(struct hold *h, const struct purse *p, int64_t now_s, int64_t picousd, struct waiter *w,
                    bool queue);
// More for the same hold, out of turn. False: there is not so much free; then for HOLD_WANTED_MS no new hold is given by
// the account that refused, so that what comes free goes to those that run already and ask again.
#define HOLD_WANTED_MS 500
bool hold_more(struct hold *h, int64_t picousd);
// It cost so much, which may be more than was held. Wakes who waits.
void hold_settle(struct hold *h, int64_t cost_picousd);

// Leaves its queue. True: a letter is still on its way, so its memory must live until that comes.
bool waiter_leave(struct waiter *w);
// The letter has come.
void waiter_read(struct waiter *w);

#endif
