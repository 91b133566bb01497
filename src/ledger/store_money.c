// SPDX-License-Identifier: Apache-2.0
// The store's questions about money: what a budget's period has spent, spending by key, model, endpoint, run and day, runs'
// caps, and the keys that `gridtie key` made. All are answered from one table of sums per quarter of an hour, so that a
// budget that is new, or changes its zone, counts what was spent before. As in store_sqlite.c: the holder of the ledger's
// mutex only, never a loop.
#include "ledger/store_own.h"

#define SLOTS_PER_DAY 96
// Columns of every question about spending, behind name and key.
#define SUMS                                                                                                       \
    " sum(exchanges), sum(attempts), sum(input_tokens), sum(output_tokens), sum(settled_picousd), sum(unknown),"   \
    " sum(unknown_picousd), sum(unpriced), sum(overrun_picousd), min(slot), max(slot) FROM spend WHERE slot >= ?1" \
    " AND (?3 OR key = ?2)"
// A target is "endpoint/model"; what never got one has neither.
#define ENDPOINT "substr(target, 1, instr(target, '/') - 1)"
#define MODEL "substr(target, instr(target, '/') + 1)"

const char *const store_money_texts[MONEY_SQL_N] = {
    [MONEY_SPENT] = "SELECT sum(settled_picousd) FROM spend WHERE slot >= ?1 AND slot < ?2 AND (?4 OR key = ?3)",
    [MONEY_OPEN] = "SELECT sum(max(reserved_picousd, 0)) FROM under_way WHERE ?2 OR key = ?1",
    [MONEY_MARK] = "SELECT max(slot) FROM spend",
    [MONEY_SPEND_KEY] = "SELECT key, '', " SUMS " GROUP BY key ORDER BY 7 DESC, 1",
    [MONEY_SPEND_MODEL] = "SELECT " MODEL ", '', " SUMS " AND target <> '' GROUP BY 1 ORDER BY 7 DESC, 1",
    [MONEY_SPEND_ENDPOINT] = "SELECT " ENDPOINT ", '', " SUMS " AND target <> '' GROUP BY 1 ORDER BY 7 DESC, 1",
    [MONEY_SPEND_RUN] = "SELECT run, key, " SUMS " AND run <> '' GROUP BY run, key ORDER BY 13 DESC, 1 LIMIT 65536",
    [MONEY_SPEND_DAY] = "SELECT date(slot / 96 * 86400, 'unixepoch'), '', " SUMS " GROUP BY 1 ORDER BY 1 DESC",
    [MONEY_RUN_PUT] = "INSERT INTO runs VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET stopped = max(stopped, ?4),"
                      " cap_picousd = CASE WHEN ?3 < 0 THEN cap_picousd WHEN cap_picousd < 0 THEN ?3"
                      " ELSE min(cap_picousd, ?3) END",
    [MONEY_EACH_RUN] = "SELECT key, run, cap_picousd, stopped FROM runs",
    [MONEY_OLDEST] = "SELECT min(slot) FROM spend WHERE run <> '' AND slot < ?1",
    [MONEY_JOIN] = "INSERT INTO spend SELECT ?1, key, '', target, sum(exchanges), sum(attempts), sum(input_tokens),"
                   " sum(output_tokens), sum(settled_picousd), sum(unknown), sum(unknown_picousd), sum(unpriced),"
                   " sum(overrun_picousd) FROM spend WHERE run <> '' AND slot >= ?1 AND slot < ?1 + 96"
                   " GROUP BY key, target ON CONFLICT DO UPDATE SET exchanges = exchanges + excluded.exchanges,"
                   " attempts = attempts + excluded.attempts, input_tokens = input_tokens + excluded.input_tokens,"
                   " output_tokens = output_tokens + excluded.output_tokens,"
                   " settled_picousd = settled_picousd + excluded.settled_picousd,"
                   " unknown = unknown + excluded.unknown,"
                   " unknown_picousd = unknown_picousd + excluded.unknown_picousd,"
                   " unpriced = unpriced + excluded.unpriced,"
                   " overrun_picousd = overrun_picousd + excluded.overrun_picousd",
    [MONEY_JOINED] = "DELETE FROM spend WHERE run <> '' AND slot >= ?1 AND slot < ?1 + 96",
    [MONEY_KEY_PUT] = "INSERT INTO keys VALUES(?1, ?2, ?3, ?4, ?5, 0)",
    [MONEY_KEY_REVOKE] = "UPDATE keys SET revoked_us = ?2 WHERE name = ?1 AND revoked_us = 0",
    [MONEY_EACH_KEY] = "SELECT name, prefix, hash, budgets, created_us, revoked_us FROM keys ORDER BY created_us, name",
};

static enum err run_one(struct store *s, enum money_sql what) {
    int rc = sqlite3_step(s->money[what]);
    (void)sqlite3_reset(s->money[what]);
    return store_err_of(rc);
}

static enum err one_number(struct store *s, enum money_sql what, int64_t *ret) {
    int rc = sqlite3_step(s->money[what]);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(s->money[what], 0); // no rows to sum: NULL, which reads as 0
    (void)sqlite3_reset(s->money[what]);
    return store_err_of(rc);
}

struct open_sum {
    struct slice key; // p NULL: all
    int64_t picousd;
};

static enum err way_add(void *ctx, const struct way *w) {
    struct open_sum *sum = ctx;
    if (w->reserved_picousd > 0 && (!sum->key.p || slice_eq(sum->key, w->key)) &&
        __builtin_add_overflow(sum->picousd, w->reserved_picousd, &sum->picousd))
        sum->picousd = INT64_MAX;
    return ERR_OK;
}

static int64_t slot_up(int64_t s) {
    return s == INT64_MAX ? INT64_MAX : s / STORE_SLOT_S + (s % STORE_SLOT_S > 0);
}

enum err store_spent(struct store *s, struct slice key, int64_t from_s, int64_t to_s, int64_t *ret_settled,
                     int64_t *ret_open) {
    sqlite3_stmt *q = s->money[MONEY_SPENT], *open = s->money[MONEY_OPEN];
    (void)sqlite3_bind_int64(q, 1, from_s == INT64_MIN ? INT64_MIN : from_s / STORE_SLOT_S);
    (void)sqlite3_bind_int64(q, 2, slot_up(to_s));
    store_bind(q, 3, key);
    (void)sqlite3_bind_int(q, 4, key.p == NULL);
    enum err e = one_number(s, MONEY_SPENT, ret_settled);
    if (e)
        return e;
    store_bind(open, 1, key);
    (void)sqlite3_bind_int(open, 2, key.p == NULL);
    struct open_sum sum = {.key = key};
    e = one_number(s, MONEY_OPEN, &sum.picousd);
    if (!e)
        e = under_way_each(s->under_way, SLICE_NONE, way_add, &sum);
    if (!e)
        *ret_open = sum.picousd;
    return e;
}

enum err store_mark(struct store *s, int64_t *ret_s) {
    int64_t slot = 0;
    enum err e = one_number(s, MONEY_MARK, &slot);
    if (!e)
        *ret_s = slot * STORE_SLOT_S;
    return e;
}

enum err store_each_spend(struct store *s, enum store_by by, int64_t since_s, struct slice key,
                          bool (*row)(void *ctx, const struct store_spend *r), void *ctx) {
    sqlite3_stmt *q = s->money[MONEY_SPEND_KEY + by];
    int rc;
    (void)sqlite3_bind_int64(q, 1, since_s / STORE_SLOT_S);
    store_bind(q, 2, key);
    (void)sqlite3_bind_int(q, 3, key.p == NULL);
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct store_spend r = {
            .name = store_column(q, 0),
            .key = store_column(q, 1),
            .sum = {sqlite3_column_int64(q, 2), sqlite3_column_int64(q, 3), sqlite3_column_int64(q, 4),
                    sqlite3_column_int64(q, 5), sqlite3_column_int64(q, 6), sqlite3_column_int64(q, 7),
                    sqlite3_column_int64(q, 8), sqlite3_column_int64(q, 9), sqlite3_column_int64(q, 10)},
            .first_s = sqlite3_column_int64(q, 11) * STORE_SLOT_S,
            .last_s = sqlite3_column_int64(q, 12) * STORE_SLOT_S};
        if (!row(ctx, &r))
            break;
    }
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

// ---- runs

enum err store_run_put(struct store *s, struct slice key, struct slice run, int64_t cap_picousd, bool stopped) {
    sqlite3_stmt *q = s->money[MONEY_RUN_PUT];
    store_bind(q, 1, key);
    store_bind(q, 2, run);
    (void)sqlite3_bind_int64(q, 3, cap_picousd);
    (void)sqlite3_bind_int(q, 4, stopped);
    return run_one(s, MONEY_RUN_PUT);
}

enum err store_each_run(struct store *s, bool (*row)(void *ctx, const struct store_run *r), void *ctx) {
    sqlite3_stmt *q = s->money[MONEY_EACH_RUN];
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct store_run r = {store_column(q, 0), store_column(q, 1), sqlite3_column_int64(q, 2),
                              sqlite3_column_int(q, 3) != 0};
        if (!row(ctx, &r))
            break;
    }
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

enum err store_join_old(struct store *s, int64_t before_s) {
    int64_t oldest = 0;
    (void)sqlite3_bind_int64(s->money[MONEY_OLDEST], 1, before_s / STORE_SLOT_S / SLOTS_PER_DAY * SLOTS_PER_DAY);
    enum err e = one_number(s, MONEY_OLDEST, &oldest);
    if (e || oldest == 0)
        return e;
    int64_t day = oldest / SLOTS_PER_DAY * SLOTS_PER_DAY;
    (void)sqlite3_bind_int64(s->money[MONEY_JOIN], 1, day);
    (void)sqlite3_bind_int64(s->money[MONEY_JOINED], 1, day);
    e = store_begin(s);
    if (!e)
        e = run_one(s, MONEY_JOIN);
    if (!e)
        e = run_one(s, MONEY_JOINED);
    if (!e)
        e = store_commit(s);
    if (e)
        store_rollback(s);
    return e;
}

// ---- keys

enum err store_key_put(struct store *s, const struct store_key *k) {
    sqlite3_stmt *q = s->money[MONEY_KEY_PUT];
    store_bind(q, 1, k->name);
    store_bind(q, 2, k->prefix);
    (void)sqlite3_bind_blob(q, 3, k->hash.p, (int)k->hash.n, SQLITE_STATIC);
    store_bind(q, 4, k->budgets);
    (void)sqlite3_bind_int64(q, 5, k->created_us);
    int rc = sqlite3_step(q);
    (void)sqlite3_reset(q);
    return rc == SQLITE_CONSTRAINT ? ERR_LIMIT : store_err_of(rc);
}

enum err store_key_revoke(struct store *s, struct slice name, int64_t wall_us) {
    sqlite3_stmt *q = s->money[MONEY_KEY_REVOKE];
    store_bind(q, 1, name);
    (void)sqlite3_bind_int64(q, 2, wall_us);
    enum err e = run_one(s, MONEY_KEY_REVOKE);
    return e ? e : sqlite3_changes(s->db) > 0 ? ERR_OK : ERR_NOT_FOUND;
}

enum err store_each_key(struct store *s, bool (*row)(void *ctx, const struct store_key *k), void *ctx) {
    sqlite3_stmt *q = s->money[MONEY_EACH_KEY];
    int rc;
    while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct store_key k = {.name = store_column(q, 0),
                              .prefix = store_column(q, 1),
                              .hash = slice_of(sqlite3_column_blob(q, 2), (size_t)sqlite3_column_bytes(q, 2)),
                              .budgets = store_column(q, 3),
                              .created_us = sqlite3_column_int64(q, 4),
                              .revoked_us = sqlite3_column_int64(q, 5)};
        if (!row(ctx, &k))
            break;
    }
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}
