// SPDX-License-Identifier: Apache-2.0
// The store in SQLite: write-ahead log, synchronous NORMAL (a power cut may take the last batches back, and with them how
// far the journals were read, so they are read again), prepared statements that live as long as the store. Records stand in
// blocks (store_records.c); attempts have rows only if they are open when their journal segment goes; money is summed per
// quarter of an hour, key, run and target in a table that retention never touches. The schema has a version; each migration runs once, in a transaction. Only the
// holder of the ledger's mutex may be here; loops never are.
#include "ledger/store_own.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "ledger/line.h"

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

    "CREATE TABLE records(n INTEGER PRIMARY KEY, ended_us INTEGER NOT NULL, lines BLOB NOT NULL);"
    "CREATE TABLE ids(id TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO records SELECT n, ended_us, line_of_json(record) FROM exchanges;"
    "INSERT INTO ids SELECT id, n FROM exchanges;"
    "CREATE INDEX records_ended ON records(ended_us);"
    "DROP TABLE exchanges;"
    "CREATE TABLE under_way(exchange TEXT NOT NULL, attempt INTEGER NOT NULL, key TEXT NOT NULL,"
    " reserved_picousd INTEGER NOT NULL, line BLOB NOT NULL, PRIMARY KEY(exchange, attempt)) WITHOUT ROWID;"
    "INSERT INTO under_way SELECT exchange, attempt, ifnull(json_extract(line, '$.key'), ''), reserved_picousd,"
    " line_of_json(line) FROM open_attempts;"
    "DROP TABLE open_attempts;",

    "CREATE TABLE spans(last TEXT NOT NULL, first TEXT NOT NULL, n INTEGER NOT NULL, marks BLOB NOT NULL,"
    " PRIMARY KEY(last, first, n)) WITHOUT ROWID;"
    "INSERT INTO spans SELECT max(substr(id, 4)), min(substr(id, 4)), n, x'' FROM ids JOIN records USING(n)"
    " WHERE length(lines) > 0 GROUP BY n;"
    "DROP TABLE ids;",
};
#define N_MIGRATIONS ((int64_t)(sizeof migrations / sizeof migrations[0]))

enum sql {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SPILL,
    SQL_RAISE,
    SQL_DELETE_OPEN,
    SQL_ADD,
    SQL_OFFSET,
    SQL_SET_OFFSET,
    SQL_FORGET,
    SQL_FORGET_ALL,
    SQL_COUNT,
    SQL_SOME_OPEN,
    SQL_EACH_OPEN,
    SQL_TOTALS,
    SQL_TOTALS_OPEN,
    SQL_N
};
static const char *const texts[SQL_N] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_SPILL] = "INSERT INTO under_way VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET reserved_picousd = ?4,"
                  " line = ?5 WHERE reserved_picousd < ?4",
    [SQL_RAISE] = "UPDATE under_way SET reserved_picousd = max(reserved_picousd, ?4), line = ?5"
                  " WHERE exchange = ?1 AND attempt = ?2",
    [SQL_DELETE_OPEN] = "DELETE FROM under_way WHERE exchange = ?1",
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
    [SQL_SOME_OPEN] = "SELECT exchange FROM under_way LIMIT 1",
    [SQL_EACH_OPEN] = "SELECT line FROM under_way WHERE exchange = ?1 ORDER BY attempt",
    [SQL_TOTALS] = "SELECT sum(exchanges), sum(attempts), sum(input_tokens), sum(output_tokens), sum(settled_picousd),"
                   " sum(unknown), sum(unknown_picousd), sum(unpriced), sum(overrun_picousd) FROM spend",
    [SQL_TOTALS_OPEN] = "SELECT count(*), sum(max(reserved_picousd, 0)) FROM under_way",
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
#define TABLES_CHECKED                                                                              \
    "SELECT group_concat(name) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'" \
    " AND name NOT IN ('exchanges', 'records', 'ids', 'spans')"

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

// What can't be read as a record becomes an empty one: its money is in the sums, and is what matters.
static void line_of_json(sqlite3_context *c, int n, sqlite3_value **v) {
    struct buf line = BUF_INIT(4 * LIMIT_JOURNAL_LINE_BYTES);
    const char *p = (const char *)sqlite3_value_text(v[0]);
    enum err e = n == 1 && p ? line_from_json(slice_of(p, (size_t)sqlite3_value_bytes(v[0])), &line) : ERR_BAD_JSON;
    if (e == ERR_NO_MEMORY)
        sqlite3_result_error_nomem(c);
    else if (e)
        sqlite3_result_zeroblob(c, 0);
    else
        sqlite3_result_blob(c, line.p, (int)line.len, SQLITE_TRANSIENT);
    buf_done(&line);
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
    int rc = sqlite3_create_function_v2(s->db, "line_of_json", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                        line_of_json, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, "CREATE TABLE IF NOT EXISTS migrations(version INTEGER PRIMARY KEY, wall_us INTEGER)",
                          NULL, NULL, NULL);
    for (int64_t at = (int64_t)version; rc == SQLITE_OK && at < N_MIGRATIONS; at++)
        rc = migrate_one(s, at) ? SQLITE_ERROR : SQLITE_OK;
    return rc == SQLITE_OK ? ERR_OK : say(problem, path, "its schema can't be made", s->db);
}

static enum err prepare_all(struct store *s, const char *path, struct buf *problem) {
    for (int i = 0; i < SQL_N; i++)
        if (sqlite3_prepare_v3(s->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->sql[i], NULL) != SQLITE_OK)
            return say(problem, path, "can't be used", s->db);
    for (int i = 0; i < RECORDS_SQL_N; i++)
        if (sqlite3_prepare_v3(s->db, store_records_texts[i], -1, SQLITE_PREPARE_PERSISTENT, &s->records[i], NULL))
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
    if (!e)
        e = prepare_all(s, path, problem);
    if (!e && (e = store_block_new(s)) != ERR_OK)
        return say(problem, path, "can't be read", s->db);
    if (!e) {
        s->n_spilled = 1; // unknown
        e = store_recount_open(s);
    }
    return e;
}

enum err store_open(const char *path, struct store **ret, struct buf *problem) {
    struct store *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    s->sql = mem_zalloc(SQL_N * sizeof *s->sql);
    enum err e = under_way_new(&s->under_way);
    if (!e)
        e = tallies_new(&s->tallies);
    if (!e)
        e = s->sql ? open_steps(s, path, problem) : ERR_NO_MEMORY;
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
    for (int i = 0; i < RECORDS_SQL_N; i++)
        (void)sqlite3_finalize(s->records[i]);
    for (int i = 0; i < MONEY_SQL_N; i++)
        (void)sqlite3_finalize(s->money[i]);
    (void)sqlite3_close(s->db);
    mem_free(s->sql);
    tallies_free(s->tallies);
    store_block_free(s->block);
    under_way_free(s->under_way);
    mem_free(s);
}

// ---- transactions and sums

static enum err tally_write(void *ctx, const struct store_account *who, const struct store_sum *sum) {
    struct store *s = ctx;
    sqlite3_stmt *q = s->sql[SQL_ADD];
    const int64_t v[] = {sum->exchanges,       sum->attempts,        sum->input_tokens,
                         sum->output_tokens,   sum->settled_picousd, sum->unknown,
                         sum->unknown_picousd, sum->unpriced,        sum->overrun_picousd};
    (void)sqlite3_bind_int64(q, 1, who->slot);
    store_bind(q, 2, who->key);
    store_bind(q, 3, who->run);
    store_bind(q, 4, who->target);
    for (int i = 0; i < (int)(sizeof v / sizeof v[0]); i++)
        (void)sqlite3_bind_int64(q, 5 + i, v[i]);
    return run(s, SQL_ADD);
}

static enum err tallies_flush(struct store *s) {
    enum err e = tallies_each(s->tallies, tally_write, s);
    tallies_clear(s->tallies);
    return e;
}

enum err store_begin(struct store *s) {
    tallies_clear(s->tallies);
    store_block_clear(s);
    return run(s, SQL_BEGIN);
}

enum err store_commit(struct store *s) {
    enum err e = tallies_flush(s);
    if (!e)
        e = store_block_flush(s);
    return e ? e : run(s, SQL_COMMIT);
}

void store_rollback(struct store *s) {
    tallies_clear(s->tallies);
    store_block_clear(s);
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

enum err store_add(struct store *s, const struct store_account *who, const struct store_sum *add) {
    if (tallies_add(s->tallies, who, add))
        return ERR_OK;
    enum err e = tallies_flush(s);
    return e ? e : tallies_add(s->tallies, who, add) ? ERR_OK : ERR_LIMIT;
}

// ---- writing

static enum err way_write(struct store *s, enum sql what, const struct way *w) {
    sqlite3_stmt *q = s->sql[what];
    store_bind(q, 1, w->exchange);
    (void)sqlite3_bind_int64(q, 2, w->attempt);
    store_bind(q, 3, w->key);
    (void)sqlite3_bind_int64(q, 4, w->reserved_picousd);
    (void)sqlite3_bind_blob(q, 5, w->line.p, (int)w->line.n, SQLITE_STATIC);
    return run(s, what);
}

enum err store_put_open(struct store *s, const struct way *w) {
    if (s->n_spilled > 0) {
        enum err e = way_write(s, SQL_RAISE, w);
        if (e || sqlite3_changes(s->db) > 0)
            return e;
    }
    return under_way_put(s->under_way, w);
}

static enum err way_spill(void *ctx, const struct way *w) {
    struct store *s = ctx;
    enum err e = way_write(s, SQL_SPILL, w);
    s->n_spilled += e == ERR_OK;
    return e;
}

static enum err way_spill_unsettled(void *ctx, const struct way *w) {
    bool settled = false;
    enum err e = store_knows(ctx, w->exchange, &settled);
    return e || settled ? e : way_spill(ctx, w);
}

enum err store_spill_open(struct store *s, bool careful) {
    return under_way_each(s->under_way, SLICE_NONE, careful ? way_spill_unsettled : way_spill, s);
}

void store_spilled(struct store *s) {
    under_way_clear(s->under_way);
}

enum err store_recount_open(struct store *s) {
    sqlite3_stmt *q = s->sql[SQL_TOTALS_OPEN];
    if (s->n_spilled == 0)
        return ERR_OK;
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        s->n_spilled = sqlite3_column_int64(q, 0);
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

enum err store_delete_open(struct store *s, struct slice exchange) {
    under_way_drop(s->under_way, exchange);
    if (s->n_spilled == 0)
        return ERR_OK;
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

enum err store_some_open(struct store *s, struct buf *ret_exchange) {
    return first_text(s, SQL_SOME_OPEN, ret_exchange);
}

struct open_rows {
    bool (*row)(void *ctx, struct slice line);
    void *ctx;
};

static enum err open_row(void *ctx, const struct way *w) {
    const struct open_rows *rows = ctx;
    return rows->row(rows->ctx, w->line) ? ERR_OK : ERR_LIMIT;
}

enum err store_each_open(struct store *s, struct slice exchange, bool (*row)(void *ctx, struct slice line), void *ctx) {
    sqlite3_stmt *q = s->sql[SQL_EACH_OPEN];
    struct open_rows rows = {row, ctx};
    store_bind(q, 1, exchange);
    int rc = sqlite3_step(q);
    while (rc == SQLITE_ROW && row(ctx, store_column(q, 0)))
        rc = sqlite3_step(q);
    (void)sqlite3_reset(q);
    if (rc != SQLITE_DONE)
        return store_err_of(rc);
    (void)!under_way_each(s->under_way, exchange, open_row, &rows); // stopped by the caller: no error
    return ERR_OK;
}

static enum err way_count(void *ctx, const struct way *w) {
    struct store_totals *t = ctx;
    t->open++;
    sum_up(&t->open_picousd, w->reserved_picousd);
    return ERR_OK;
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
    (void)!under_way_each(s->under_way, SLICE_NONE, way_count, ret); // never fails
    return rc == SQLITE_ROW && rc_open == SQLITE_ROW ? ERR_OK : ERR_DISK;
}
