// SPDX-License-Identifier: Apache-2.0
// Config → accounts in force, each with what its period had spent before. The sums come from the store after the journals
// were fed, so a kill loses none; attempts that a kill left open are in them at what they held. A budget that comes into
// force while requests run starts sealed, and gets its sum a moment later, when the journals hold the intents of all that
// began without it. Under the ledger's mutex, on the main thread, the ledger's own, or an off-loop one.
#include "base/clock.h"
#include "base/log.h"
#include "ledger/ledger_own.h"

#define SEALED_MS \
    50 // between taking money and writing its intent a loop does nothing else, and that takes microseconds
#define RUNS_KEPT_S (62 * 86400)

// ---- sums

struct unsealing {
    struct ledger *l;
    bool at_start;
    uint64_t now_ms;
};

static void account_sum(struct ledger *l, struct payer *p, struct account *t) {
    int64_t now = accounts_now_s(ledger_accounts(l)), settled = 0, open = 0;
    struct period *period = account_period(t, now);
    struct slice key = p->scope == SCOPE_WHOLE ? SLICE_NONE : slice_str(p->key);
    if (!period || store_spent(ledger_store(l), key, period->start_s, period->end_s, &settled, &open))
        return; // sealed it stays; the next turn tries again
    account_begin(t, now, settled + open);
}

static void payer_unseal(void *ctx, struct payer *p) {
    struct unsealing *u = ctx;
    for (struct account *t = p->all; t; t = t->next)
        if (atomic_load(&t->sealed) && (u->at_start || u->now_ms - t->sealed_ms >= SEALED_MS))
            account_sum(u->l, p, t);
}

void budgets_unseal(struct ledger *l, bool at_start) {
    struct unsealing u = {l, at_start, clock_mono_ms()};
    if (accounts_any_sealed(ledger_accounts(l)))
        payers_each(ledger_accounts(l), payer_unseal, &u);
}

// ---- what config and keys ask for

static void payer_mark(void *ctx, struct payer *p) {
    (void)ctx;
    for (struct account *t = p->all; t && p->scope != SCOPE_RUN; t = t->next)
        t->live = false;
}

static void payer_sweep(void *ctx, struct payer *p) {
    (void)ctx;
    for (struct account *t = p->all; t && p->scope != SCOPE_RUN; t = t->next)
        if (!t->live)
            account_retire(p, t);
}

struct applying {
    struct ledger *l;
    const struct config *c;
    bool make; // else only accounts that are in force already
};

static enum err payer_apply(const struct applying *a, enum scope scope, const char *key, const struct config_budget *v,
                            size_t n) {
    struct payer *p = payer_get(ledger_accounts(a->l), scope, slice_str(key), SLICE_NONE);
    enum err e = p ? ERR_OK : ERR_NO_MEMORY;
    for (size_t i = 0; !e && i < n; i++) {
        const char *zone = v[i].window == WINDOW_TOTAL ? "" : v[i].time_zone ? v[i].time_zone : a->c->budget_zone;
        struct account *t = payer_account(p, v[i].window, zone, a->make);
        if (t) {
            t->live = true;
            account_set_limit(t, v[i].amount_picousd);
        }
        e = t || !a->make ? ERR_OK : ERR_NO_MEMORY;
    }
    payer_unref(p);
    return e;
}

static bool config_has_key(const struct config *c, const char *name) {
    for (size_t i = 0; i < c->n_keys; i++)
        if (strcmp(c->keys[i].name, name) == 0)
            return true;
    return false;
}

static enum err all_apply(const struct applying *a) {
    const struct keyring *ring = ledger_keyring(a->l);
    enum err e = payer_apply(a, SCOPE_WHOLE, "", a->c->budgets, a->c->n_budgets);
    for (size_t i = 0; !e && i < a->c->n_keys; i++)
        e = payer_apply(a, SCOPE_KEY, a->c->keys[i].name, a->c->keys[i].budgets, a->c->keys[i].n_budgets);
    for (size_t i = 0; !e && i < keyring_count(ring); i++) {
        const struct config_key *k = &keyring_at(ring, i)->key;
        if (!config_has_key(a->c, k->name))
            e = payer_apply(a, SCOPE_KEY, k->name, k->budgets, k->n_budgets);
        else if (a->make)
            LOG(LOG_WARN, "a key of the config has the name of a made one; the config's budgets count for both",
                LOG_S("key", k->name));
    }
    return e;
}

// Accounts that stay keep their sums. What goes makes room before what is new comes: a payer has few places.
static enum err budgets_apply(struct ledger *l, const struct config *c) {
    struct applying a = {l, c, false};
    payers_each(ledger_accounts(l), payer_mark, NULL);
    enum err e = all_apply(&a);
    payers_each(ledger_accounts(l), payer_sweep, NULL);
    a.make = true;
    return e ? e : all_apply(&a);
}

enum err ledger_budgets(struct ledger *l, const struct config *c, bool at_start) {
    enum err e = ledger_lock_fed(l);
    if (!e)
        e = budgets_apply(l, c);
    if (!e && at_start)
        budgets_unseal(l, true);
    ledger_unlock(l);
    return e;
}

enum err ledger_key_add(struct ledger *l, const struct config *c, struct slice name, struct slice budgets,
                        char ret_secret[KEY_SECRET_BYTES], struct buf *problem) {
    for (size_t i = 0; i < c->n_keys; i++)
        if (slice_is(name, c->keys[i].name))
            return ERR_LIMIT;
    enum err e = ledger_lock_fed(l);
    if (!e)
        e = keyring_add(ledger_keyring(l), name, budgets, ret_secret, problem);
    if (!e)
        e = budgets_apply(l, c);
    ledger_unlock(l);
    return e;
}

enum err ledger_key_revoke(struct ledger *l, struct slice name, const struct config_key **ret) {
    enum err e = ledger_lock_fed(l);
    if (!e)
        e = keyring_revoke(ledger_keyring(l), name, ret);
    ledger_unlock(l);
    return e;
}

// ---- runs, as an earlier process left them

static bool run_recover(void *ctx, const struct store_spend *r) {
    struct accounts *a = ctx;
    struct payer *p = payer_get(a, SCOPE_RUN, r->key, r->name);
    struct account *t = p ? atomic_load(&p->accounts[0]) : NULL;
    if (t)
        account_begin(t, 0, r->sum.settled_picousd);
    if (p)
        atomic_store(&p->last_us, r->last_s * 1000000);
    payer_unref(p);
    return p != NULL; // latest first: those that find no room are the oldest
}

static bool run_mark(void *ctx, const struct store_run *r) {
    struct payer *p = payer_find(ctx, SCOPE_RUN, r->key, r->run);
    if (!p && r->stopped) // stopped before it had spent anything
        p = payer_get(ctx, SCOPE_RUN, r->key, r->run);
    if (p && r->cap_picousd >= 0)
        run_cap(p, r->cap_picousd);
    if (p && r->stopped)
        atomic_store(&p->stopped, true);
    payer_unref(p);
    return true;
}

enum err budgets_recover(struct ledger *l) {
    struct accounts *a = ledger_accounts(l);
    int64_t mark = 0;
    enum err e = store_mark(ledger_store(l), &mark);
    accounts_set_mark_s(a, mark);
    if (!e)
        e = store_each_spend(ledger_store(l), STORE_BY_RUN, accounts_now_s(a) - RUNS_KEPT_S, SLICE_NONE, run_recover,
                             a);
    if (!e)
        e = store_each_run(ledger_store(l), run_mark, a);
    return e;
}

struct run_search {
    struct slice key, run;
    struct payer *found;
    unsigned n;
};

static void run_match(void *ctx, struct payer *p) {
    struct run_search *s = ctx;
    if (p->scope != SCOPE_RUN || !slice_is(s->run, p->run) || (s->key.p && !slice_is(s->key, p->key)))
        return;
    s->n++;
    payer_unref(s->found);
    s->found = payer_ref(p);
}

enum err ledger_run_stop(struct ledger *l, struct slice key, struct slice run, struct payer **ret) {
    struct run_search s = {key, run, NULL, 0};
    payers_each(ledger_accounts(l), run_match, &s);
    enum err e = s.n == 0 ? ERR_NOT_FOUND : s.n > 1 ? ERR_LIMIT : ledger_lock_fed(l);
    if (s.n == 1) {
        if (!e)
            e = store_run_put(ledger_store(l), slice_str(s.found->key), run, -1, true);
        ledger_unlock(l);
    }
    if (e) {
        payer_unref(s.found);
        return e;
    }
    atomic_store(&s.found->stopped, true);
    *ret = s.found;
    return ERR_OK;
}
