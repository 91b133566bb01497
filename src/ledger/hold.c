// SPDX-License-Identifier: Apache-2.0
// Taking money of several accounts at once, and giving it back: the hot path of every request that is paid for. Each
// account's `used` (settled + open) moves by compare-and-swap and never above the limit; accounts come in a fixed order,
// and what was taken is given back when a later one refuses. Any thread; nothing is allocated.
#include "base/clock.h"
#include "ledger/accounts_own.h"

void money_add(_Atomic int64_t *at, int64_t v) {
    int64_t old = atomic_load(at), new;
    do {
        if (__builtin_add_overflow(old, v, &new))
            new = v > 0 ? INT64_MAX : INT64_MIN;
    } while (!atomic_compare_exchange_weak(at, &old, new));
}

static bool period_take(struct period *p, int64_t picousd) {
    int64_t old = atomic_load(&p->used), new;
    do {
        if (__builtin_add_overflow(old, picousd, &new) || new > atomic_load(&p->account->limit))
            return false;
    } while (!atomic_compare_exchange_weak(&p->used, &old, new));
    return true;
}

static void period_give_back(struct period *p, int64_t picousd) {
    money_add(&p->used, -picousd);
    queue_wake(p->account);
}

static void give_back(struct hold *h, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        period_give_back(h->periods[i], h->picousd);
}

// The periods of all accounts in force, in their order. False: no memory.
static bool periods_gather(struct hold *h, const struct purse *p, int64_t now_s) {
    h->n = 0;
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        for (unsigned k = 0; p->payers[i] && k < LIMIT_BUDGETS; k++) {
            struct account *t = atomic_load(&p->payers[i]->accounts[k]);
            struct period *now = t ? account_period(t, now_s) : NULL;
            if (now)
                h->periods[h->n++] = now;
            else if (t)
                return false;
        }
    return true;
}

// Why it does not give: settled money, or what others hold.
static enum held refusal_of(struct period *p, int64_t picousd) {
    int64_t limit = atomic_load(&p->account->limit), then;
    if (atomic_load(&p->account->sealed))
        return HELD_BY_OTHERS;
    return __builtin_add_overflow(atomic_load(&p->settled), picousd, &then) || then > limit ? HELD_NOT : HELD_BY_OTHERS;
}

static bool is_wanted(const struct account *t) {
    uint64_t until = atomic_load_explicit(&t->wanted_until_ms, memory_order_relaxed);
    return until && clock_mono_ms() < until;
}

// Of all periods or none; *ret_at: which one refused.
static enum held take_once(struct hold *h, const struct waiter *w, unsigned *ret_at) {
    for (unsigned i = 0; i < h->n; i++) {
        struct account *t = h->periods[i]->account;
        bool waits = atomic_load(&t->sealed) || queue_is_before(t, w) || (w && is_wanted(t));
        if (!waits && period_take(h->periods[i], h->picousd))
            continue;
        enum held why = refusal_of(h->periods[i], h->picousd);
        give_back(h, i);
        *ret_at = i;
        return why;
    }
    return HELD;
}

enum held hold_take(struct hold *h, const struct purse *p, int64_t now_s, int64_t picousd, struct waiter *w,
                    bool queue) {
    bool first = true;
    unsigned at = 0;
    h->picousd = picousd;
    if (picousd < 0 || picousd > MONEY_MOST || !periods_gather(h, p, now_s))
        return HELD_NOT;
    enum held r = take_once(h, w, &at);
    while (r == HELD_BY_OTHERS && w && queue) {
        struct account *t = h->periods[at]->account;
        bool stood = w->at == t;
        queue_join(t, w, &first);
        if (stood || !first)
            return r;
        r = take_once(h, w, &at); // money that came free before we stood there woke nobody
    }
    h->taken = r == HELD;
    h->wants = false;
    if (r == HELD && w && w->at)
        (void)waiter_leave(w);
    return r;
}

// Another one that still wants more says so again.
static void wants_end(struct hold *h) {
    for (unsigned i = 0; h->wants && i < h->n; i++) {
        atomic_store(&h->periods[i]->account->wanted_until_ms, 0);
        queue_wake(h->periods[i]->account);
    }
    h->wants = false;
}

bool hold_more(struct hold *h, int64_t picousd) {
    if (picousd < 0 || picousd > MONEY_MOST - h->picousd)
        return false;
    for (unsigned i = 0; i < h->n; i++) {
        if (period_take(h->periods[i], picousd))
            continue;
        atomic_store_explicit(&h->periods[i]->account->wanted_until_ms, clock_mono_ms() + HOLD_WANTED_MS,
                              memory_order_relaxed);
        while (i-- > 0)
            period_give_back(h->periods[i], picousd);
        h->wants = true;
        return false;
    }
    h->picousd += picousd;
    wants_end(h);
    return true;
}

void hold_settle(struct hold *h, int64_t cost_picousd) {
    if (!h->taken)
        return;
    h->taken = false;
    int64_t cost = cost_picousd < 0 ? 0 : cost_picousd > MONEY_MOST ? MONEY_MOST : cost_picousd;
    for (unsigned i = 0; i < h->n; i++) {
        money_add(&h->periods[i]->settled, cost);
        period_give_back(h->periods[i], h->picousd - cost);
    }
    wants_end(h);
}

bool purse_is_limited(const struct purse *p) {
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        for (unsigned k = 0; p->payers[i] && k < LIMIT_BUDGETS; k++) {
            struct account *t = atomic_load(&p->payers[i]->accounts[k]);
            if (t && atomic_load(&t->limit) != MONEY_UNLIMITED)
                return true;
        }
    return false;
}

struct room purse_room(const struct purse *p, int64_t now_s) {
    struct room room = {MONEY_UNLIMITED, MONEY_UNLIMITED, NULL};
    struct hold h;
    if (!periods_gather(&h, p, now_s))
        return (struct room){0, 0, NULL};
    for (unsigned i = 0; i < h.n; i++) {
        struct account *t = h.periods[i]->account;
        int64_t limit = atomic_load(&t->limit), left, unheld;
        if (limit == MONEY_UNLIMITED || atomic_load(&t->sealed)) // what is not known yet is no reason to refuse
            continue;
        if (__builtin_sub_overflow(limit, atomic_load(&h.periods[i]->settled), &left) || left < 0)
            left = 0;
        if (__builtin_sub_overflow(limit, atomic_load(&h.periods[i]->used), &unheld) || unheld < 0)
            unheld = 0;
        if (!room.least || left < room.left)
            room.left = left, room.least = t;
        room.free = unheld < room.free ? unheld : room.free;
    }
    return room;
}
