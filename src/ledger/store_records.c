// SPDX-License-Identifier: Apache-2.0
// The records behind `why` and `log`: settlements' lines as the journal has them, gathered in blocks of a transaction, and a
// row for each exchange's id that says which block it is in. A row per exchange would cost three times as much. A block is
// as old as the latest of its lines; it is deleted whole. As in store_sqlite.c: the holder of the ledger's mutex only,
// never a loop.
#include <stdlib.h>
#include "base/mem.h"
#include "ledger/line.h"
#include "ledger/store_own.h"

#define BLOCK_LINES 512u
#define BLOCK_BYTES (48u << 10)         // what a `why` reads to find its line
#define BLOCK_SPAN_US INT64_C(60000000) // what was fed late after a full disk is not kept longer for it

const char *const store_records_texts[RECORDS_SQL_N] = {
    [RECORDS_LATEST] = "SELECT max(n) FROM records",
    [RECORDS_PUT_ID] = "INSERT OR IGNORE INTO ids VALUES(?1, ?2)",
    [RECORDS_PUT] = "INSERT INTO records VALUES(?1, ?2, ?3)",
    [RECORDS_OF] = "SELECT lines FROM ids JOIN records USING(n) WHERE id = ?1",
    [RECORDS_EACH] = "SELECT lines FROM records WHERE ended_us >= ?1 ORDER BY ended_us DESC, n DESC",
    [RECORDS_OLDEST] = "SELECT n, lines FROM records WHERE ended_us < ?1 ORDER BY ended_us LIMIT 1",
    [RECORDS_DELETE] = "DELETE FROM records WHERE n = ?1",
    [RECORDS_DELETE_ID] = "DELETE FROM ids WHERE id = ?1",
};

struct found {
    int64_t ended_us;
    struct slice line;
};

struct store_block {
    struct buf lines; // of the running transaction
    int64_t n, first_us, ended_us;
    unsigned count;
    struct line_facts facts;         // of one line at a time
    struct found found[BLOCK_LINES]; // of a block that is read
};

static enum err run(struct store *s, enum records_sql what) {
    int rc = sqlite3_step(s->records[what]);
    (void)sqlite3_reset(s->records[what]);
    return store_err_of(rc);
}

static struct slice blob(sqlite3_stmt *q, int at) {
    const char *p = sqlite3_column_blob(q, at);
    return slice_of(p, p ? (size_t)sqlite3_column_bytes(q, at) : 0);
}

enum err store_block_new(struct store *s) {
    sqlite3_stmt *q = s->records[RECORDS_LATEST];
    struct store_block *b = mem_zalloc(sizeof *b);
    if (!b)
        return ERR_NO_MEMORY;
    b->lines = BUF_INIT(BLOCK_BYTES + LIMIT_JOURNAL_LINE_BYTES + 1);
    s->block = b;
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        b->n = sqlite3_column_int64(q, 0) + 1; // without rows NULL, which reads as 0
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

void store_block_free(struct store_block *b) {
    if (b)
        buf_done(&b->lines);
    mem_free(b);
}

void store_block_clear(struct store *s) {
    buf_clear(&s->block->lines);
    s->block->count = 0;
}

enum err store_block_flush(struct store *s) {
    sqlite3_stmt *q = s->records[RECORDS_PUT];
    struct store_block *b = s->block;
    if (b->count == 0)
        return ERR_OK;
    (void)sqlite3_bind_int64(q, 1, b->n++);
    (void)sqlite3_bind_int64(q, 2, b->ended_us);
    (void)sqlite3_bind_blob(q, 3, b->lines.p, (int)b->lines.len, SQLITE_STATIC);
    enum err e = run(s, RECORDS_PUT);
    store_block_clear(s);
    return e;
}

static bool block_takes(const struct store_block *b, const struct store_exchange *x) {
    int64_t apart;
    return b->count == 0 || (b->count < BLOCK_LINES && b->lines.len < BLOCK_BYTES &&
                             !__builtin_sub_overflow(x->ended_us, b->first_us, &apart) && apart < BLOCK_SPAN_US &&
                             apart > -BLOCK_SPAN_US);
}

enum err store_put_exchange(struct store *s, const struct store_exchange *x, bool *ret_new) {
    struct store_block *b = s->block;
    sqlite3_stmt *q = s->records[RECORDS_PUT_ID];
    enum err e = block_takes(b, x) ? ERR_OK : store_block_flush(s);
    if (e || !buf_reserve(&b->lines, x->line.n + 1))
        return e ? e : ERR_NO_MEMORY;
    store_bind(q, 1, x->id);
    (void)sqlite3_bind_int64(q, 2, b->n);
    e = run(s, RECORDS_PUT_ID);
    if (e)
        return e;
    *ret_new = sqlite3_changes(s->db) > 0;
    if (!*ret_new)
        return ERR_OK;
    b->first_us = b->count ? b->first_us : x->ended_us;
    b->ended_us = b->count && b->ended_us > x->ended_us ? b->ended_us : x->ended_us;
    b->count++;
    buf_append(&b->lines, x->line);
    buf_append_char(&b->lines, '\n');
    return ERR_OK;
}

// ---- one record

enum err store_record(struct store *s, struct slice id, struct buf *ret) {
    sqlite3_stmt *q = s->records[RECORDS_OF];
    enum err e = ERR_NOT_FOUND;
    store_bind(q, 1, id);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW)
        for (struct slice rest = blob(q, 0); rest.n && e;) {
            struct slice line = slice_split(&rest, '\n');
            if (!slice_eq(line_id(line), id))
                continue;
            buf_append(ret, line);
            e = ret->failed ? ERR_NO_MEMORY : ERR_OK;
        }
    (void)sqlite3_reset(q);
    return store_err_of(rc) ? ERR_DISK : e;
}

// ---- many

struct picking {
    const struct log_filter *f;
    bool helpers; // these too
    int64_t left;
    bool (*row)(void *ctx, struct slice line);
    void *ctx;
};

static bool is_wanted(const struct picking *p, const struct line_facts *f) {
    const struct line_attempt *at = line_chosen(f);
    struct slice target = at ? at->target : SLICE_NONE, status = p->f->status;
    return line_ended_us(f) >= p->f->since_us && (p->helpers || !f->child) &&
           (!p->f->model.n || slice_eq(p->f->model, f->model)) && (!p->f->target.n || slice_eq(p->f->target, target)) &&
           (!p->f->key.n || slice_eq(p->f->key, f->key)) &&
           (!(slice_is(status, "ok") || slice_is(status, "failed")) || slice_is(status, "ok") == f->settled);
}

static int latest_first(const void *a, const void *b) {
    const struct found *x = a, *y = b;
    if (x->ended_us != y->ended_us)
        return x->ended_us < y->ended_us ? 1 : -1;
    return x->line.p < y->line.p ? 1 : -1; // what stands behind came later
}

// False: enough.
static bool block_pick(struct store_block *b, struct slice rest, struct picking *p) {
    size_t n = 0;
    while (rest.n && n < BLOCK_LINES) {
        struct slice line = slice_split(&rest, '\n');
        if (line_facts_read(line, &b->facts) && is_wanted(p, &b->facts))
            b->found[n++] = (struct found){line_ended_us(&b->facts), line};
    }
    if (n > 1)
        qsort(b->found, n, sizeof b->found[0], latest_first);
    for (size_t i = 0; i < n && p->left > 0; i++, p->left--)
        if (!p->row(p->ctx, b->found[i].line))
            return false;
    return p->left > 0;
}

static enum err pick(struct store *s, struct picking *p) {
    sqlite3_stmt *q = s->records[RECORDS_EACH];
    (void)sqlite3_bind_int64(q, 1, p->f->since_us);
    int rc = sqlite3_step(q);
    while (rc == SQLITE_ROW && block_pick(s->block, blob(q, 0), p))
        rc = sqlite3_step(q);
    (void)sqlite3_reset(q);
    return store_err_of(rc);
}

enum err store_each_log(struct store *s, const struct log_filter *f, bool (*row)(void *ctx, struct slice line),
                        void *ctx) {
    int64_t limit = f->limit < 1 ? 100 : f->limit > 1000 ? 1000 : f->limit;
    return pick(s, &(struct picking){f, true, limit, row, ctx});
}

static bool last_take(void *ctx, struct slice line) {
    buf_append(ctx, line);
    return false;
}

enum err store_last_record(struct store *s, struct buf *ret) {
    const struct log_filter all = {.since_us = INT64_MIN};
    size_t before = ret->len;
    enum err e = pick(s, &(struct picking){&all, false, 1, last_take, ret});
    return e ? e : ret->failed ? ERR_NO_MEMORY : ret->len > before ? ERR_OK : ERR_NOT_FOUND;
}

// ---- retention

// *ret_n: the exchanges of the oldest block; 0 when no block is that old.
static enum err oldest_delete(struct store *s, int64_t before_us, int64_t *ret_n) {
    sqlite3_stmt *q = s->records[RECORDS_OLDEST];
    enum err e = ERR_OK;
    int64_t n = 0;
    (void)sqlite3_bind_int64(q, 1, before_us);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        (void)sqlite3_bind_int64(s->records[RECORDS_DELETE], 1, sqlite3_column_int64(q, 0));
        for (struct slice rest = blob(q, 1); rest.n && !e; n++) {
            store_bind(s->records[RECORDS_DELETE_ID], 1, line_id(slice_split(&rest, '\n')));
            e = run(s, RECORDS_DELETE_ID);
        }
        n += n == 0; // a block without a line must not be taken for the end
    }
    (void)sqlite3_reset(q);
    if (!e && rc == SQLITE_ROW)
        e = run(s, RECORDS_DELETE);
    if (!e)
        e = store_err_of(rc);
    if (!e)
        *ret_n = n;
    return e;
}

enum err store_expire(struct store *s, int64_t before_us, int64_t most, int64_t *ret_deleted) {
    int64_t deleted = 0, n = 1;
    enum err e = store_begin(s);
    while (!e && n > 0 && deleted < most) {
        e = oldest_delete(s, before_us, &n);
        deleted += e ? 0 : n;
    }
    if (!e)
        e = store_commit(s);
    if (e)
        store_rollback(s);
    else
        *ret_deleted = deleted;
    return e;
}
