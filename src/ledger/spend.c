// SPDX-License-Identifier: Apache-2.0
// What `spend`, `runs` and `key list` show: sums from the store, and what the accounts hold now. Money is an integer in
// pico-USD beside a decimal text in USD. Runs on the caller's thread and blocks: never a loop's.
#include "base/clock.h"
#include "base/json.h"
#include "ledger/ledger_own.h"

static const char *const by_names[STORE_BY_COUNT] = {"key", "model", "endpoint", "run", "day"};
static const char *const windows[] = {"total", "day", "month"};

bool spend_by_parse(struct slice name, enum store_by *ret) {
    for (int i = 0; i < STORE_BY_COUNT; i++)
        if (slice_is(name, by_names[i])) {
            *ret = (enum store_by)i;
            return true;
        }
    return false;
}

static void put_money(struct json_writer *w, const char *name, int64_t picousd) {
    struct buf text = BUF_INIT(128);
    buf_printf(&text, "%s_picousd", name);
    json_kv_int(w, buf_cstr(&text), picousd);
    struct buf usd = BUF_INIT(64);
    usd_append(&usd, picousd);
    buf_clear(&text);
    buf_printf(&text, "%s_usd", name);
    json_kv_str(w, buf_cstr(&text), buf_slice(&usd));
    buf_done(&text);
    buf_done(&usd);
}

static void put_time(struct json_writer *w, const char *name, int64_t wall_us) {
    struct buf text = BUF_INIT(64);
    clock_append_rfc3339(&text, wall_us);
    json_kv_str(w, name, buf_slice(&text));
    buf_done(&text);
}

static void put_sum(struct json_writer *w, const struct store_sum *s) {
    json_kv_int(w, "exchanges", s->exchanges);
    json_kv_int(w, "attempts", s->attempts);
    json_kv_int(w, "input_tokens", s->input_tokens);
    json_kv_int(w, "output_tokens", s->output_tokens);
    put_money(w, "settled", s->settled_picousd);
    put_money(w, "overrun", s->overrun_picousd);
    put_money(w, "unknown", s->unknown_picousd);
    json_kv_int(w, "unknown", s->unknown);
    json_kv_int(w, "unpriced", s->unpriced);
}

// ---- accounts as they stand

static const char *scope_word(enum scope s) {
    return s == SCOPE_WHOLE ? "whole" : s == SCOPE_KEY ? "key" : "run";
}

void account_name(const struct account *t, struct buf *out) {
    static const char *const when[] = {"", " for today", " for this month"};
    const struct payer *p = t->payer;
    if (p->scope == SCOPE_WHOLE)
        buf_append_str(out, "the budget of all requests");
    else
        buf_printf(out, "the budget of %s '%s'", scope_word(p->scope), p->scope == SCOPE_KEY ? p->key : p->run);
    buf_append_str(out, when[t->window]);
}

struct showing {
    struct json_writer *w;
    struct accounts *accounts;
    struct slice key; // p NULL: all
};

static void account_put(struct json_writer *w, struct account *t, int64_t now_s) {
    struct period *p = account_period(t, now_s);
    int64_t limit = atomic_load(&t->limit), settled = p ? atomic_load(&p->settled) : 0;
    int64_t used = p ? atomic_load(&p->used) : 0;
    json_obj(w);
    json_kv_cstr(w, "scope", scope_word(t->payer->scope));
    if (t->payer->scope == SCOPE_KEY)
        json_kv_cstr(w, "key", t->payer->key);
    json_kv_cstr(w, "window", windows[t->window]);
    if (t->window != WINDOW_TOTAL)
        json_kv_cstr(w, "time_zone", t->zone);
    put_money(w, "limit", limit);
    put_money(w, "settled", settled);
    put_money(w, "open", used > settled ? used - settled : 0);
    put_money(w, "left", limit > settled ? limit - settled : 0);
    json_kv_int(w, "waiting", atomic_load(&t->n_waiting));
    if (p && p->end_s != INT64_MAX)
        put_time(w, "renews", p->end_s * 1000000);
    else
        json_kv_null(w, "renews");
    json_obj_end(w);
}

static void budgets_put(void *ctx, struct payer *p) {
    struct showing *s = ctx;
    if (p->scope == SCOPE_RUN || (s->key.p && !(p->scope == SCOPE_KEY && slice_is(s->key, p->key))))
        return;
    for (unsigned i = 0; i < LIMIT_BUDGETS; i++) {
        struct account *t = atomic_load(&p->accounts[i]);
        if (t)
            account_put(s->w, t, accounts_now_s(s->accounts));
    }
}

// ---- spend

struct spend_rows {
    struct json_writer *w;
    const struct spend_filter *f;
    struct store_sum total;
};

static void total_add(int64_t *into, int64_t v) {
    if (__builtin_add_overflow(*into, v, into))
        *into = INT64_MAX;
}

static bool spend_row(void *ctx, const struct store_spend *r) {
    struct spend_rows *s = ctx;
    struct json_writer *w = s->w;
    json_obj(w);
    json_kv_str(w, by_names[s->f->by], r->name);
    if (s->f->by == STORE_BY_RUN)
        json_kv_str(w, "key", r->key);
    put_sum(w, &r->sum);
    json_obj_end(w);
    const int64_t *from = &r->sum.exchanges;
    int64_t *into = &s->total.exchanges;
    for (size_t i = 0; i < sizeof s->total / sizeof *into; i++)
        total_add(&into[i], from[i]);
    return !w->out->failed;
}

enum err ledger_spend(struct ledger *l, const struct spend_filter *f, struct buf *json) {
    struct json_writer w = JSON_WRITER(json);
    struct spend_rows rows = {&w, f, {0}};
    struct showing showing = {&w, ledger_accounts(l), f->key};
    json_obj(&w);
    json_kv_cstr(&w, "by", by_names[f->by]);
    json_kv_int(&w, "since_s", f->since_s);
    json_key(&w, "rows");
    json_arr(&w);
    (void)!ledger_lock_fed(l); // a store that can't take more still answers for what it has
    enum err e = store_each_spend(ledger_store(l), f->by, f->since_s, f->key, spend_row, &rows);
    ledger_unlock(l);
    json_arr_end(&w);
    json_key(&w, "total");
    json_obj(&w);
    put_sum(&w, &rows.total);
    json_obj_end(&w);
    json_key(&w, "budgets");
    json_arr(&w);
    payers_each(ledger_accounts(l), budgets_put, &showing);
    json_arr_end(&w);
    json_obj_end(&w);
    return !e && json->failed ? ERR_NO_MEMORY : e;
}

// ---- runs

static void run_state_put(struct json_writer *w, const struct payer *p, int64_t last_s) {
    struct account *t = p ? atomic_load(&p->accounts[0]) : NULL;
    struct period *period = t ? atomic_load(&t->now) : NULL;
    int64_t cap = p ? run_cap_of(p) : -1, last_us = p ? atomic_load(&p->last_us) : 0;
    int64_t settled = period ? atomic_load(&period->settled) : 0, used = period ? atomic_load(&period->used) : 0;
    if (cap >= 0)
        put_money(w, "cap", cap);
    else
        json_kv_null(w, "cap_picousd");
    put_money(w, "open", used > settled ? used - settled : 0);
    json_kv_cstr(w, "state", p && atomic_load(&p->stopped) ? "stopped" : cap >= 0 && settled >= cap ? "spent" : "open");
    put_time(w, "last", last_us > 0 ? last_us : last_s * 1000000);
}

static bool run_row(void *ctx, const struct store_spend *r) {
    struct showing *s = ctx;
    if (s->key.p && !slice_eq(s->key, r->key))
        return true;
    struct payer *p = payer_find(s->accounts, SCOPE_RUN, r->key, r->name);
    json_obj(s->w);
    json_kv_str(s->w, "run", r->name);
    json_kv_str(s->w, "key", r->key);
    put_sum(s->w, &r->sum);
    run_state_put(s->w, p, r->last_s);
    json_obj_end(s->w);
    payer_unref(p);
    return !s->w->out->failed;
}

enum err ledger_runs(struct ledger *l, struct slice key, struct buf *json) {
    struct json_writer w = JSON_WRITER(json);
    struct showing s = {&w, ledger_accounts(l), key};
    json_obj(&w);
    json_key(&w, "runs");
    json_arr(&w);
    (void)!ledger_lock_fed(l);
    enum err e = store_each_spend(ledger_store(l), STORE_BY_RUN, 0, key, run_row, &s);
    ledger_unlock(l);
    json_arr_end(&w);
    json_obj_end(&w);
    return !e && json->failed ? ERR_NO_MEMORY : e;
}

// ---- keys

enum err ledger_keys(struct ledger *l, struct buf *json) {
    struct json_writer w = JSON_WRITER(json);
    const struct keyring *ring = ledger_keyring(l);
    json_obj(&w);
    json_key(&w, "keys");
    json_arr(&w);
    for (size_t i = 0; i < keyring_count(ring); i++) {
        const struct ring_key *k = keyring_at(ring, i);
        int64_t revoked = atomic_load(&k->revoked_us);
        json_obj(&w);
        json_kv_cstr(&w, "name", k->key.name);
        json_kv_cstr(&w, "prefix", k->prefix);
        json_kv_cstr(&w, "budgets", k->budgets);
        put_time(&w, "created", k->created_us);
        if (revoked)
            put_time(&w, "revoked", revoked);
        else
            json_kv_null(&w, "revoked");
        json_obj_end(&w);
    }
    json_arr_end(&w);
    json_obj_end(&w);
    return json->failed ? ERR_NO_MEMORY : ERR_OK;
}
