// SPDX-License-Identifier: Apache-2.0
// Payers, their accounts, and the clock that renews them. Payers live in a table of buckets, each with a lock that is held
// for a look-up; a request keeps a reference. Keys and the whole stay for the life of the process, runs are forgotten
// when they are idle and room is needed. Accounts and periods are never freed before their payer. An account whose sum is
// not known (a budget that was just configured, or a clock that was set back by days) is sealed: requests wait until the
// ledger's thread has read what was spent. Taking money is hold.c's, waiting for it queue.c's.
#include "ledger/accounts_own.h"
#include "base/clock.h"
#include "base/mem.h"
#include <stdio.h>

#define BUCKETS 1024u
#define CLOCK_HELD_S (48 * 3600)

struct bucket {
    pthread_mutex_t lock;
    struct payer *first;
};

struct accounts {
    struct bucket buckets[BUCKETS];
    _Atomic unsigned n_runs, n_sealed;
    _Atomic int64_t mark_s;
};

enum err accounts_new(struct accounts **ret) {
    struct accounts *a = mem_zalloc(sizeof *a);
    if (!a)
        return ERR_NO_MEMORY;
    for (unsigned i = 0; i < BUCKETS; i++)
        (void)pthread_mutex_init(&a->buckets[i].lock, NULL);
    *ret = a;
    return ERR_OK;
}

static void account_free(struct account *t) {
    if (atomic_load(&t->sealed))
        atomic_fetch_sub(&t->payer->of->n_sealed, 1);
    struct period *p = atomic_load(&t->now);
    while (p) {
        struct period *before = p->before;
        mem_free(p);
        p = before;
    }
    tz_free(t->tz);
    (void)pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static void payer_free(struct payer *p) {
    while (p->all) {
        struct account *t = p->all;
        p->all = t->next;
        account_free(t);
    }
    mem_free(p->key);
    mem_free(p->run);
    mem_free(p);
}

void accounts_free(struct accounts *a) {
    if (!a)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct payer *p = a->buckets[i].first, *next; p; p = next) {
            next = p->next;
            payer_free(p);
        }
        (void)pthread_mutex_destroy(&a->buckets[i].lock);
    }
    mem_free(a);
}

// ---- the clock

int64_t accounts_now_s(struct accounts *a) {
    int64_t now = clock_wall_s(), mark = atomic_load_explicit(&a->mark_s, memory_order_relaxed);
    if (now < mark && mark - now <= CLOCK_HELD_S)
        return mark;
    if (now != mark) // a race sets it a second back, and the next one forward again: both lie within the hold
        atomic_store_explicit(&a->mark_s, now, memory_order_relaxed);
    return now;
}

void accounts_set_mark_s(struct accounts *a, int64_t s) {
    atomic_store_explicit(&a->mark_s, s, memory_order_relaxed);
}

// ---- periods

static struct period *period_make(struct account *t, int64_t now_s) {
    struct period *p = mem_zalloc(sizeof *p);
    if (!p)
        return NULL;
    p->account = t;
    p->start_s = INT64_MIN;
    p->end_s = INT64_MAX;
    if (t->window != WINDOW_TOTAL)
        tz_period(t->tz, t->window == WINDOW_DAY ? TZ_DAY : TZ_MONTH, now_s, &p->start_s, &p->end_s);
    return p;
}

static bool period_holds(const struct period *p, int64_t now_s) {
    return now_s >= p->start_s && now_s < p->end_s;
}

// Under the account's lock. Going on to a later period needs no look at the past; going back does.
static struct period *period_change(struct account *t, struct period *from, int64_t now_s) {
    struct period *p = from->before;
    while (p && !period_holds(p, now_s))
        p = p->before;
    if (p) // one that was left before: its sums are right, and it stays where it is in the list
        return p;
    p = period_make(t, now_s);
    if (!p)
        return NULL;
    if (now_s < from->start_s)
        account_seal(t);
    p->before = from;
    atomic_store(&t->now, p);
    return p;
}

struct period *account_period(struct account *t, int64_t now_s) {
    struct period *p = atomic_load(&t->now);
    if (period_holds(p, now_s))
        return p;
    (void)pthread_mutex_lock(&t->lock);
    p = atomic_load(&t->now);
    if (!period_holds(p, now_s))
        p = period_change(t, p, now_s);
    (void)pthread_mutex_unlock(&t->lock);
    return p;
}

// ---- accounts

bool accounts_any_sealed(const struct accounts *a) {
    return atomic_load_explicit(&a->n_sealed, memory_order_relaxed) > 0;
}

void account_seal(struct account *t) {
    t->sealed_ms = clock_mono_ms();
    if (!atomic_exchange(&t->sealed, true))
        atomic_fetch_add(&t->payer->of->n_sealed, 1);
}

void account_set_limit(struct account *t, int64_t picousd) {
    atomic_store(&t->limit, picousd);
    queue_wake(t); // it may have grown
}

void account_begin(struct account *t, int64_t now_s, int64_t settled) {
    struct period *p = account_period(t, now_s);
    if (!p)
        return; // sealed it stays, and the next turn tries again
    money_add(&p->settled, settled);
    money_add(&p->used, settled);
    if (atomic_exchange(&t->sealed, false))
        atomic_fetch_sub(&t->payer->of->n_sealed, 1);
    queue_wake(t);
}

static struct account *account_make(struct payer *p, enum config_window window, const char *zone) {
    struct account *t = mem_zalloc(sizeof *t);
    if (!t)
        return NULL;
    (void)pthread_mutex_init(&t->lock, NULL);
    t->payer = p;
    t->window = window;
    (void)snprintf(t->zone, sizeof t->zone, "%s", zone);
    struct period *first = window != WINDOW_TOTAL && tz_load(slice_str(zone), &t->tz) ? NULL : period_make(t, 0);
    if (!first) {
        account_free(t);
        return NULL;
    }
    if (window != WINDOW_TOTAL)
        first->start_s = first->end_s = INT64_MIN; // none yet: the first look makes the real one
    atomic_store(&t->limit, MONEY_UNLIMITED);
    atomic_store(&t->now, first);
    account_seal(t);
    return t;
}

static struct account *account_in_force(struct payer *p, enum config_window window, const char *zone,
                                        _Atomic(struct account *) **ret_room) {
    *ret_room = NULL;
    for (unsigned i = 0; i < LIMIT_BUDGETS; i++) {
        struct account *t = atomic_load(&p->accounts[i]);
        if (!t)
            *ret_room = *ret_room ? *ret_room : &p->accounts[i];
        else if (t->window == window && (window == WINDOW_TOTAL || strcmp(t->zone, zone) == 0))
            return t;
    }
    return NULL;
}

struct account *payer_account(struct payer *p, enum config_window window, const char *zone, bool make) {
    _Atomic(struct account *) *room;
    struct account *t = account_in_force(p, window, zone, &room);
    if (t || !room || !make)
        return t;
    t = account_make(p, window, zone);
    if (!t)
        return NULL;
    t->next = p->all;
    p->all = t;
    atomic_store(room, t);
    return t;
}

void account_retire(struct payer *p, struct account *t) {
    for (unsigned i = 0; i < LIMIT_BUDGETS; i++)
        if (atomic_load(&p->accounts[i]) == t)
            atomic_store(&p->accounts[i], NULL);
    account_set_limit(t, MONEY_UNLIMITED); // whoever waits here goes on
}

// ---- payers

static uint64_t hash_of(enum scope scope, struct slice key, struct slice run) {
    return slice_hash(run, slice_hash(key, (uint64_t)scope));
}

static struct payer *bucket_find(struct bucket *b, uint64_t hash, enum scope scope, struct slice key,
                                 struct slice run) {
    for (struct payer *p = b->first; p; p = p->next)
        if (p->hash == hash && p->scope == scope && slice_is(key, p->key) && slice_is(run, p->run))
            return p;
    return NULL;
}

// A run that nobody holds, without a cap that would have to be kept: the one that has been idle longest goes.
static void bucket_forget_run(struct accounts *a, struct bucket *b) {
    struct payer **oldest = NULL;
    for (struct payer **at = &b->first; *at; at = &(*at)->next) {
        struct payer *p = *at;
        bool idle = p->scope == SCOPE_RUN && atomic_load(&p->refs) == 1 && run_cap_of(p) < 0 && !p->stopped;
        if (idle && (!oldest || p->last_us < (*oldest)->last_us))
            oldest = at;
    }
    if (!oldest)
        return;
    struct payer *gone = *oldest;
    *oldest = gone->next;
    payer_free(gone);
    atomic_fetch_sub(&a->n_runs, 1);
}

static bool run_has_room(struct accounts *a, struct bucket *b) {
    if (atomic_load(&a->n_runs) >= LIMIT_RUNS)
        bucket_forget_run(a, b);
    return atomic_load(&a->n_runs) < LIMIT_RUNS;
}

static struct payer *payer_make(struct accounts *a, enum scope scope, struct slice key, struct slice run) {
    struct payer *p = mem_zalloc(sizeof *p);
    if (!p)
        return NULL;
    p->of = a;
    p->scope = scope;
    p->key = mem_strndup(key.n ? key.p : "", key.n);
    p->run = mem_strndup(run.n ? run.p : "", run.n);
    atomic_store(&p->refs, 1); // the table's own
    struct account *t = p->key && p->run && scope == SCOPE_RUN ? payer_account(p, WINDOW_TOTAL, "", true) : NULL;
    if (!p->key || !p->run || (scope == SCOPE_RUN && !t)) {
        payer_free(p);
        return NULL;
    }
    if (t)
        account_begin(t, 0, 0);
    return p;
}

static struct payer *payer_look(struct accounts *a, enum scope scope, struct slice key, struct slice run, bool make) {
    uint64_t hash = hash_of(scope, key, run);
    struct bucket *b = &a->buckets[hash % BUCKETS];
    (void)pthread_mutex_lock(&b->lock);
    struct payer *p = bucket_find(b, hash, scope, key, run);
    if (!p && make && (scope != SCOPE_RUN || run_has_room(a, b)) && (p = payer_make(a, scope, key, run))) {
        p->hash = hash;
        p->next = b->first;
        b->first = p;
        if (scope == SCOPE_RUN)
            atomic_fetch_add(&a->n_runs, 1);
    }
    if (p)
        atomic_fetch_add(&p->refs, 1);
    (void)pthread_mutex_unlock(&b->lock);
    return p;
}

struct payer *payer_get(struct accounts *a, enum scope scope, struct slice key, struct slice run) {
    return payer_look(a, scope, key, run, true);
}

struct payer *payer_find(struct accounts *a, enum scope scope, struct slice key, struct slice run) {
    return payer_look(a, scope, key, run, false);
}

struct payer *payer_ref(struct payer *p) {
    if (p)
        atomic_fetch_add(&p->refs, 1);
    return p;
}

void payer_unref(struct payer *p) {
    if (p)
        atomic_fetch_sub(&p->refs, 1); // the table keeps it
}

void payers_each(struct accounts *a, void (*fn)(void *ctx, struct payer *p), void *ctx) {
    for (unsigned i = 0; i < BUCKETS; i++) {
        (void)pthread_mutex_lock(&a->buckets[i].lock);
        for (struct payer *p = a->buckets[i].first; p; p = p->next)
            fn(ctx, p);
        (void)pthread_mutex_unlock(&a->buckets[i].lock);
    }
}

// ---- runs

void run_cap(struct payer *run, int64_t picousd) {
    struct account *t = atomic_load(&run->accounts[0]);
    int64_t now = atomic_load(&t->limit);
    while (picousd < now && !atomic_compare_exchange_weak(&t->limit, &now, picousd)) {
    }
}

int64_t run_cap_of(const struct payer *run) {
    struct account *t = atomic_load(&run->accounts[0]);
    int64_t limit = t ? atomic_load(&t->limit) : MONEY_UNLIMITED;
    return limit == MONEY_UNLIMITED ? -1 : limit;
}

// ---- purses

void purse_done(struct purse *p) {
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        payer_unref(p->payers[i]);
    *p = (struct purse){{NULL}};
}

void purse_copy(struct purse *to, const struct purse *from) {
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        to->payers[i] = payer_ref(from->payers[i]);
}
