// SPDX-License-Identifier: Apache-2.0
// The store in SQLite: write-ahead log, synchronous NORMAL (a power cut may take the last batches back, and with them how
// far the journals were read, so they are read again), prepared statements that live as long as the store. An exchange is
// one row with its record as JSON; attempts have rows only while they are open; money is summed per quarter of an hour, key,
// run and target in a table that retention never touches. The schema has a version; each migration runs once, in a transaction. Only the
// holder of the ledger's mutex may be here; loops never are.
#include "ledger/store_own.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"

// One string per version, oldest first. Never edit one that was released: add the next.
static const char *const migrations[] = {
    "CREATE TABLE exchanges(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ended_us INTEGER NOT NULL,"
    " child INTEGER NOT NULL, failed INTEGER NOT NULL, model TEXT NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL,"
    " record TEXT NOT NULL);"
    "CREATE INDEX exchanges_ended ON exchanges(ended_us);"
    "CREATE TABLE open_attempts(exchange TEXT NOT NULL, attempt INTEGER NOT NULL, wall_us INTEGER NOT NULL,"
    " reserved_picousd INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY(exchange, attempt)) WITHOUT ROWID;"
    "CREATE TABLE sums(day INTEGER NOT NULL, key TEXT NOT NULL, target TEXT NOT NULL, exchanges INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,"
    " settled_picousd INTEGER NOT NULL, unknown INTEGER NOT NULL, unknown_picousd INTEGER NOT NULL,"
    " unpriced INTEGER NOT NULL, PRIMARY KEY(day, key, target)) WITHOUT ROWID;"
    "CREATE TABLE segments(name TEXT PRIMARY KEY, fed_bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;",

    "CREATE TABLE spend(slot INTEGER NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, target TEXT NOT NULL,"
    " exchanges INTEGER NOT NULL, attempts INTEGER NOT NULL, input_tokens INTEGER NOT NULL,"
    " output_tokens INTEGER NOT NULL, settled_picousd INTEGER NOT NULL, unknown INTEGER NOT NULL,"
    " unknown_picousd INTEGER NOT NULL, unpriced INTEGER NOT NULL, overrun_picousd INTEGER NOT NULL,"
    " PRIMARY KEY(slot, key, run, target)) WITHOUT ROWID;"
    "INSERT INTO spend SELECT day * 96, key, '', target, exchanges, attempts, input_tokens, output_tokens,"
    " settled_picousd, unknown, unknown_picousd, unpriced, 0 FROM sums;"
    "DROP TABLE sums;"
    "CREATE TABLE runs(key TEXT NOT NULL, run TEXT NOT NULL, cap_picousd INTEGER NOT NULL, stopped INTEGER NOT NULL,"
    " PRIMARY KEY(key, run)) WITHOUT ROWID;"
    "CREATE TABLE keys(name TEXT PRIMARY KEY, prefix TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, budgets TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, revoked_us INTEGER NOT NULL) WITHOUT ROWID;",
};
#define N_MIGRATIONS ((int64_t)(sizeof migrations / sizeof migrations[0]))

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_PUT_OPEN,
    SQL_PUT_EXCHANGE,
    SQL_DELETE_OPEN,
    SQL_ADD,
    SQL_OFFSET,
    SQL_SET_OFFSET,
    SQL_FORGET,
    SQL_FORGET_ALL,
    SQL_COUNT,
    SQL_RECORD,
    SQL_RECORD_LAST,
    SQL_SOME_OPEN,
    SQL_EACH_OPEN,
    SQL_EACH_LOG,
    SQL_TOTALS,
    SQL_TOTALS_OPEN,
    SQL_EXPIRE,
    SQL_N
};
static const char *const texts[SQL_N] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_PUT_OPEN] = "INSERT INTO open_attempts SELECT ?1, ?2, ?3, ?4, ?5"
                     " WHERE NOT EXISTS (SELECT 1 FROM exchanges WHERE id = ?1)"
                     " ON CONFLICT DO UPDATE SET reserved_picousd = ?4, line = ?5 WHERE reserved_picousd < ?4",
    [SQL_PUT_EXCHANGE] = "INSERT OR IGNORE INTO exchanges(id, ended_us, child, failed, model, target, key, record)"
                         " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_DELETE_OPEN] = "DELETE FROM open_attempts WHERE exchange = ?1",
    [SQL_ADD] = "INSERT INTO spend VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO"
                " UPDATE SET exchanges = exchanges + ?5, attempts = attempts + ?6, input_tokens = input_tokens + ?7,"
                " output_tokens = output_tokens + ?8, settled_picousd = settled_picousd + ?9, unknown = unknown + ?10,"
                " unknown_picousd = unknown_picousd + ?11, unpriced = unpriced + ?12,"
                " overrun_picousd = overrun_picousd + ?13",
    [SQL_OFFSET] = "SELECT fed_bytes FROM segments WHERE name = ?1",
    [SQL_SET_OFFSET] = "INSERT INTO segments VALUES(?1, ?2) ON CONFLICT DO UPDATE SET fed_bytes = ?2",
    [SQL_FORGET] = "DELETE FROM segments WHERE name = ?1",
    [SQL_FORGET_ALL] = "DELETE FROM segments",
    [SQL_COUNT] = "INSERT INTO counters VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = value + ?2 RETURNING value",
    [SQL_RECORD] = "SELECT record FROM exchanges WHERE id = ?1",
    [SQL_RECORD_LAST] = "SELECT record FROM exchanges WHERE child = 0 ORDER BY ended_us DESC, n DESC LIMIT 1",
    [SQL_SOME_OPEN] = "SELECT exchange FROM open_attempts LIMIT 1",
    [SQL_EACH_OPEN] = "SELECT line FROM open_attempts WHERE exchange = ?1 ORDER BY attempt",
    [SQL_EACH_LOG] = "SELECT record FROM exchanges WHERE ended_us >= ?1 AND (?2 = '' OR model = ?2)"
                     " AND (?3 = '' OR target = ?3) AND (?4 = '' OR key = ?4) AND (?5 < 0 OR failed = ?5)"
                     " ORDER BY ended_us DESC, n DESC LIMIT ?6",
    [SQL_TOTALS] = "SELECT sum(exchanges), sum(attempts), sum(input_tokens), sum(output_tokens), sum(settled_picousd),"
                   " sum(unknown), sum(unknown_picousd), sum(unpriced), sum(overrun_picousd) FROM spend",
    [SQL_TOTALS_OPEN] = "SELECT count(*), sum(max(reserved_picousd, 0)) FROM open_attempts",
    [SQL_EXPIRE] = "DELETE FROM exchanges WHERE n IN"
                   " (SELECT n FROM exchanges WHERE ended_us < ?1 ORDER BY ended_us LIMIT ?2)",
};

// Sums of the running transaction; a busy quarter of an hour has few keys, runs and targets.
#define TALLIES 64
#define TALLY_NAMES_BYTES 1400 // key, run and target, one behind the other
struct tally {
    int64_t slot;
    size_t key_n, run_n, target_n;
    char names[TALLY_NAMES_BYTES];
    struct store_sum sum;
};
struct store_tallies {
    size_t n;
    struct tally v[TALLIES];
};

// Runs a statement that gives no rows, and makes it ready for its next use.
static enum err run(struct store *s, enum sql what) {
    int rc = sqlite3_step(s->sql[what]);
    (void)sqlite3_reset(s->sql[what]);
    return store_err_of(rc);
}

// ---- opening

static enum err say(struct buf *problem, const char *path, const char *what, sqlite3 *db) {
    buf_printf(problem, "%s: %s (%s)", path, what, db ? sqlite3_errmsg(db) : "out of memory");
    return ERR_DISK;
}

static enum err one_value(sqlite3 *db, const char *text, struct buf *ret) {
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        buf_append(ret, store_column(q, 0));
    (void)sqlite3_finalize(q);
    return rc == SQLITE_ROW ? ERR_OK : ERR_DISK;
}

static enum err say_damaged(struct buf *problem, const char *path, struct slice detail) {
    buf_printf(problem,
               "%s is damaged: %.*s. Move it away (mv '%s' '%s.damaged') and start again: a new one is made, and what "
               "the journals still hold is fed into it; or put a backup in its place",
               path, SLICE_FMT(detail), path, path);
    return ERR_DISK;
}

static enum err check(struct store *s, const char *path, const char *pragma, struct buf *problem) {
    char text[4096];
    struct buf answer = BUF_FIXED(text);
    enum err e = one_value(s->db, pragma, &answer);
    if (e)
        e = say_damaged(problem, path, slice_str(sqlite3_errmsg(s->db)));
    else if (!slice_is(buf_slice(&answer), "ok"))
        e = say_damaged(problem, path, buf_slice(&answer));
    return e;
}

// To look at every page costs 1.7 ms a MB, measured: a ledger of a year would delay the start by seconds. Of a large one
// only the tables with money in them are looked at, whatever its version calls them: all but the records, where damage
// shows when one is read.
#define CHECKED_WHOLE_PAGES 1024
#define TABLES_CHECKED \
    "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table' AND name <> 'exchanges' AND name NOT LIKE 'sqlite%'"

static enum err check_tables(struct store *s, const char *path, struct buf *problem) {
    char names[1024], pragma[256];
    struct buf text = BUF_FIXED(names);
    if (one_value(s->db, TABLES_CHECKED, &text) || text.failed)
        return say_damaged(problem, path, slice_str(sqlite3_errmsg(s->db)));
    enum err e = ERR_OK;
    for (struct slice rest = buf_slice(&text); rest.n && !e;) {
        struct slice table = slice_split(&rest, ',');
        (void)snprintf(pragma, sizeof pragma, "PRAGMA quick_check(%.*s)", SLICE_FMT(table));
        e = check(s, path, pragma, problem);
    }
    return e;
}

static enum err check_at_start(struct store *s, const char *path, struct buf *problem) {
    char number[64];
    struct buf text = BUF_FIXED(number);
    uint64_t pages = 0;
    bool known = !one_value(s->db, "PRAGMA page_count", &text) && slice_u64(buf_slice(&text), &pages);
    if (!known || pages <= CHECKED_WHOLE_PAGES)
        return check(s, path, "PRAGMA quick_check(1)", problem);
    return check_tables(s, path, problem);
}

static enum err migrate_one(struct store *s, int64_t version) {
    char script[16384];
    struct buf text = BUF_FIXED(script);
    buf_printf(&text, "BEGIN IMMEDIATE;%s;INSERT INTO migrations VALUES(%lld, %lld);PRAGMA user_version = %lld;COMMIT;",
               migrations[version], (long long)version + 1, (long long)clock_wall_us(), (long long)version + 1);
    if (text.failed)
        return ERR_LIMIT;
    int rc = sqlite3_exec(s->db, buf_cstr(&text), NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        (void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return store_err_of(rc);
}

static enum err migrate(struct store *s, const char *path, struct buf *problem) {
    char digits[64];
    struct buf text = BUF_FIXED(digits);
    uint64_t version = 0;
    enum err e = one_value(s->db, "PRAGMA user_version", &text);
    bool number = slice_u64(buf_slice(&text), &version);
    if (e || !number)
        return say(problem, path, "can't be read", s->db);
    if (version > (uint64_t)N_MIGRATIONS) {
        buf_printf(problem, "%s was written by a newer gridtie (schema %llu, this one knows %lld)", path,
                   (unsigned long long)version, (long long)N_MIGRATIONS);
        return ERR_DISK;
    }
    int rc = sqlite3_exec(s->db, "CREATE TABLE IF NOT EXISTS migrations(version INTEGER PRIMARY KEY, wall_us INTEGER)",
                          NULL, NULL, NULL);
    for (int64_t at = (int64_t)version; rc == SQLITE_OK && at < N_MIGRATIONS; at++)
        rc = migrate_one(s, at) ? SQLITE_ERROR : SQLITE_OK;
    return rc == SQLITE_OK ? ERR_OK : say(problem, path, "its schema can't be made", s->db);
}

static enum err prepare_all(struct store *s, const char *path, struct buf *problem) {
    for (int i = 0; i < SQL_N; i++)
        if (sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->sql[i], NULL) != SQLITE_OK)
            return say(problem, path, "can't be used", s->db);
    for (int i = 0; i < MONEY_SQL_N; i++)
        if (sqlite3_prepare_v3(s->db, store_money_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->money[i], NULL))
            return say(problem, path, "can't be used", s->db);
    return ERR_OK;
}

static enum err open_steps(struct store *s, const char *path, struct buf *problem) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
        return say(problem, path, "can't be opened", s->db);
    (void)sqlite3_busy_timeout(s->db, 5000); // someone may look at it with the sqlite3 shell
    enum err e = check_at_start(s, path, problem);
    if (e)
        return e;
    if (sqlite3_exec(s->db, "PRAGMA synchronous = NORMAL; PRAGMA journal_mode = WAL; PRAGMA temp_store = MEMORY", NULL,
                     NULL, NULL) != SQLITE_OK)
        return say(problem, path, "can't be written", s->db);
    e = migrate(s, path, problem);
    return e ? e : prepare_all(s, path, problem);
}

enum err store_open(const char *path, struct store **ret, struct buf *problem) {
    struct store *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    s->sql = mem_zalloc(SQL_N * sizeof *s->sql);
    s->tallies = mem_alloc(sizeof *s->tallies);
    enum err e = s->sql && s->tallies ? open_steps(s, path, problem) : ERR_NO_MEMORY;
    if (e)
        store_close(s);
    else
        *ret = s;
    return e;
}

void store_close(struct store *s) {
    if (!s)
        return;
    for (int i = 0; s->sql && i < SQL_N; i++)
        (void)sqlite3_finalize(s->sql[i]);
    for (int i = 0; i < MONEY_SQL_N; i++)
        (void)sqlite3_finalize(s->money[i]);
    (void)sqlite3_close(s->db);
    mem_free(s->sql);
    mem_free(s->tallies);
    mem_free(s);
}

// ---- transactions and sums

static struct slice tally_name(const struct tally *t, size_t from, size_t n) {
    return slice_of(t->names + from, n);
}

static enum err tally_write(struct store *s, const struct tally *t) {
    sqlite3_stmt *q = s->sql[SQL_ADD];
    const int64_t v[] = {t->sum.exchanges,       t->sum.attempts,        t->sum.input_tokens,
                         t->sum.output_tokens,   t->sum.settled_picousd, t->sum.unknown,
                         t->sum.unknown_picousd, t->sum.unpriced,        t->sum.overrun_picousd};
    (void)sqlite3_bind_int64(q, 1, t->slot);
    store_bind(q, 2, tally_name(t, 0, t->key_n));
    store_bind(q, 3, tally_name(t, t->key_n, t->run_n));
    store_bind(q, 4, tally_name(t, t->key_n + t->run_n, t->target_n));
    for (int i = 0; i < (int)(sizeof v / sizeof v[0]); i++)
        (void)sqlite3_bind_int64(q, 5 + i, v[i]);
    return run(s, SQL_ADD);
}

static enum err tallies_flush(struct store *s) {
    enum err e = ERR_OK;
    for (size_t i = 0; i < s->tallies->n && !e; i++)
        e = tally_write(s, &s->tallies->v[i]);
    s->tallies->n = 0;
    return e;
}

enum err store_begin(struct store *s) {
    s->tallies->n = 0;
    return run(s, SQL_BEGIN);
}

enum err store_commit(struct store *s) {
    enum err e = tallies_flush(s);
    return e ? e : run(s, SQL_COMMIT);
}

void store_rollback(struct store *s) {
    s->tallies->n = 0;
    // A failed write may have rolled back by itself.
    if (sqlite3_get_autocommit(s->db) == 0)
        (void)!run(s, SQL_ROLLBACK);
}

enum err store_checkpoint(struct store *s) {
    return store_err_of(sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
}

static void sum_up(int64_t *into, int64_t v) {
    if (v > 0 && __builtin_add_overflow(*into, v, into))
        *into = INT64_MAX;
}

static struct tally *tally_find(struct store *s, const struct store_account *who) {
    for (size_t i = 0; i < s->tallies->n; i++) {
        struct tally *t = &s->tallies->v[i];
        if (t->slot == who->slot && slice_eq(tally_name(t, t->key_n + t->run_n, t->target_n), who->target) &&
            slice_eq(tally_name(t, 0, t->key_n), who->key) && slice_eq(tally_name(t, t->key_n, t->run_n), who->run))
            return t;
    }
    return NULL;
}

static void name_put(char **to, struct slice s) {
    if (s.n)
        memcpy(*to, s.p, s.n);
    *to += s.n;
}

static struct tally *tally_new(struct store *s, const struct store_account *who) {
    struct tally *t = &s->tallies->v[s->tallies->n++];
    char *to = t->names;
    t->slot = who->slot;
    t->key_n = who->key.n, t->run_n = who->run.n, t->target_n = who->target.n;
    t->sum = (struct store_sum){0};
    name_put(&to, who->key);
    name_put(&to, who->run);
    name_put(&to, who->target);
    return t;
}

enum err store_add(struct store *s, const struct store_account *given, const struct store_sum *add) {
    struct store_account who = {given->slot, slice_first(given->key, 400), slice_first(given->run, 200),
                                slice_first(given->target, 800)};
    struct tally *t = tally_find(s, &who);
    if (!t) {
        enum err e = s->tallies->n == TALLIES ? tallies_flush(s) : ERR_OK;
        if (e)
            return e;
        t = tally_new(s, &who);
    }
    sum_up(&t->sum.exchanges, add->exchanges);
    sum_up(&t->sum.attempts, add->attempts);
    sum_up(&t->sum.input_tokens, add->input_tokens);
    sum_up(&t->sum.output_tokens, add->output_tokens);
    sum_up(&t->sum.settled_picousd, add->settled_picousd);
    sum_up(&t->sum.unknown, add->unknown);
    sum_up(&t->sum.unknown_picousd, add->unknown_picousd);
    sum_up(&t->sum.unpriced, add->unpriced);
    sum_up(&t->sum.overrun_picousd, add->overrun_picousd);
    return ERR_OK;
}

// ---- writing

enum err store_put_open(struct store *s, struct slice exchange, int64_t attempt, int64_t wall_us,
                        int64_t reserved_picousd, struct slice line) {
    sqlite3_stmt *q = s->sql[SQL_PUT_OPEN];
    store_bind(q, 1, exchange);
    (void)sqlite3_bind_int64(q, 2, attempt);
    (void)sqlite3_bind_int64(q, 3, wall_us);
    (void)sqlite3_bind_int64(q, 4, reserved_picousd);
    store_bind(q, 5, line);
    return run(s, SQL_PUT_OPEN);
}

enum err store_put_exchange(struct store *s, const struct store_exchange *x, bool *ret_new) {
    sqlite3_stmt *q = s->sql[SQL_PUT_EXCHANGE];
    store_bind(q, 1, x->id);
    (void)sqlite3_bind_int64(q, 2, x->ended_us);
    (void)sqlite3_bind_int(q, 3, x->child);
    (void)sqlite3_bind_int(q, 4, x->failed);
    store_bind(q, 5, x->model);
    store_bind(q, 6, x->target);
    store_bind(q, 7, x->key);
    store_bind(q, 8, x->record);
    enum err e = run(s, SQL_PUT_EXCHANGE);
    if (!e)
        *ret_new = sqlite3_changes(s->db) > 0;
    return e;
}

enum err store_delete_open(struct store *s, struct slice exchange) {
    store_bind(s->sql[SQL_DELETE_OPEN], 1, exchange);
    return run(s, SQL_DELETE_OPEN);
}

enum err store_set_offset(struct store *s, const char *segment, int64_t offset) {
    sqlite3_stmt *q = s->sql[SQL_SET_OFFSET];
    store_bind(q, 1, slice_str(segment));
    (void)sqlite3_bind_int64(q, 2, offset);
    return run(s, SQL_SET_OFFSET);
}

enum err store_forget_segment(struct store *s, const char *segment) {
    if (!segment)
        return run(s, SQL_FORGET_ALL);
    store_bind(s->sql[SQL_FORGET], 1, slice_str(segment));
    return run(s, SQL_FORGET);
}

enum err store_count(struct store *s, const char *name, int64_t add, int64_t *ret) {
    sqlite3_stmt *q = s->sql[SQL_COUNT];
    store_bind(q, 1, slice_str(name));
    (void)sqlite3_bind_int64(q, 2, add);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        *ret = sqlite3_column_int64(q, 0);
    // RETURNING: the change is complete with the last step.
    while (rc == SQLITE_ROW)
        rc = sqlite3_step(q);
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

enum err store_expire(struct store *s, int64_t before_us, int64_t most, int64_t *ret_deleted) {
    sqlite3_stmt *q = s->sql[SQL_EXPIRE];
    (void)sqlite3_bind_int64(q, 1, before_us);
    (void)sqlite3_bind_int64(q, 2, most);
    enum err e = run(s, SQL_EXPIRE);
    if (!e)
        *ret_deleted = sqlite3_changes(s->db);
    return e;
}

// ---- reading

enum err store_offset(struct store *s, const char *segment, int64_t *ret) {
    sqlite3_stmt *q = s->sql[SQL_OFFSET];
    store_bind(q, 1, slice_str(segment));
    int rc = sqlite3_step(q);
    if (store_err_of(rc) == ERR_OK)
        *ret = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

static enum err first_text(struct store *s, enum sql what, struct buf *ret) {
    int rc = sqlite3_step(s->sql[what]);
    if (rc == SQLITE_ROW)
        buf_append(ret, store_column(s->sql[what], 0));
    (void)sqlite3_reset(s->sql[what]);
    if (ret->failed)
        return ERR_NO_MEMORY;
    return rc == SQLITE_DONE ? ERR_NOT_FOUND : store_err_of(rc);
}

enum err store_record(struct store *s, struct slice id, struct buf *ret) {
    if (slice_is(id, "last"))
        return first_text(s, SQL_RECORD_LAST, ret);
    store_bind(s->sql[SQL_RECORD], 1, id);
    return first_text(s, SQL_RECORD, ret);
}

enum err store_some_open(struct store *s, struct buf *ret_exchange) {
    return first_text(s, SQL_SOME_OPEN, ret_exchange);
}

static enum err each(struct store *s, enum sql what, bool (*row)(void *ctx, struct slice text), void *ctx) {
    sqlite3_stmt *q = s->sql[what];
    int rc = sqlite3_step(q);
    while (rc == SQLITE_ROW && row(ctx, store_column(q, 0)))
        rc = sqlite3_step(q);
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

enum err store_each_open(struct store *s, struct slice exchange, bool (*row)(void *ctx, struct slice line), void *ctx) {
    store_bind(s->sql[SQL_EACH_OPEN], 1, exchange);
    return each(s, SQL_EACH_OPEN, row, ctx);
}

enum err store_each_log(struct store *s, const struct log_filter *f, bool (*row)(void *ctx, struct slice record),
                        void *ctx) {
    sqlite3_stmt *q = s->sql[SQL_EACH_LOG];
    int64_t limit = f->limit < 1 ? 100 : f->limit;
    (void)sqlite3_bind_int64(q, 1, f->since_us);
    store_bind(q, 2, f->model);
    store_bind(q, 3, f->target);
    store_bind(q, 4, f->key);
    (void)sqlite3_bind_int(q, 5, slice_is(f->status, "failed") ? 1 : slice_is(f->status, "ok") ? 0 : -1);
    (void)sqlite3_bind_int64(q, 6, limit > 1000 ? 1000 : limit);
    return each(s, SQL_EACH_LOG, row, ctx);
}

enum err store_totals(struct store *s, struct store_totals *ret) {
    sqlite3_stmt *q = s->sql[SQL_TOTALS], *open = s->sql[SQL_TOTALS_OPEN];
    int rc = sqlite3_step(q), rc_open = sqlite3_step(open);
    if (rc == SQLITE_ROW && rc_open == SQLITE_ROW)
        *ret = (struct store_totals){
            .sum = {sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1), sqlite3_column_int64(q, 2),
                    sqlite3_column_int64(q, 3), sqlite3_column_int64(q, 4), sqlite3_column_int64(q, 5),
                    sqlite3_column_int64(q, 6), sqlite3_column_int64(q, 7), sqlite3_column_int64(q, 8)},
            .open = sqlite3_column_int64(open, 0),
            .open_picousd = sqlite3_column_int64(open, 1)};
    (void)sqlite3_reset(q);
    (void)sqlite3_reset(open);
    return rc == SQLITE_ROW && rc_open == SQLITE_ROW ? ERR_OK : ERR_DISK;
}
