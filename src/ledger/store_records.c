// SPDX-License-Identifier: Apache-2.0
// The records behind `why` and `log`: settlements' lines as the journal has them, gathered in blocks of a transaction. Any
// row for each exchange, be it only its id, would cost as much as all the rest. So a block's span stands beside it: the first
// and the last of its ids in the order of their times, which are part of them, and a mark (a hash) for each. The blocks that
// may hold an id are those whose span it is in: as many as were filled while it ran. A block is as old as the latest of its
// lines; it is deleted whole. As in store_sqlite.c: the holder of the ledger's mutex only, never a loop.
#include <stdlib.h>
#include "base/mem.h"
#include "ledger/line.h"
#include "ledger/store_own.h"

#define BLOCK_LINES 512u
#define BLOCK_BYTES (48u << 10) // what a `why` reads to find its line
#define MARK_BYTES 4u
#define NAME_PREFIX 3u                  // of an id: its kind and its loop; what follows is its time
#define BLOCK_SPAN_US INT64_C(60000000) // what was fed late after a full disk is not kept longer for it

const char *const store_records_texts[RECORDS_SQL_N] = {
    [RECORDS_LATEST] = "SELECT max(n) FROM records",
    [RECORDS_PUT_SPAN] = "INSERT INTO spans VALUES(?1, ?2, ?3, ?4)",
    [RECORDS_PUT] = "INSERT INTO records VALUES(?1, ?2, ?3)",
    [RECORDS_SPANS] = "SELECT n, marks FROM spans WHERE last >= ?1 AND first <= ?1",
    [RECORDS_OF] = "SELECT lines FROM records WHERE n = ?1",
    [RECORDS_EACH] = "SELECT lines FROM records WHERE ended_us >= ?1 ORDER BY ended_us DESC, n DESC",
    [RECORDS_OLDEST] = "SELECT n, lines FROM records WHERE ended_us < ?1 ORDER BY ended_us LIMIT 1",
    [RECORDS_DELETE] = "DELETE FROM records WHERE n = ?1",
    [RECORDS_DELETE_SPAN] = "DELETE FROM spans WHERE last = ?1 AND first = ?2 AND n = ?3",
};

struct found {
    int64_t ended_us;
    struct slice line;
};

struct span {
    struct slice first, last; // first.p NULL: empty
};

struct store_block {
    struct buf lines; // of the running transaction; never grows, so that the span stays where it is
    int64_t n, first_us, ended_us;
    unsigned count;
    struct span span;
    unsigned char marks[BLOCK_LINES * MARK_BYTES];
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

// ---- names

// What ids are ordered by.
static struct slice name_of(struct slice id) {
    return id.n > NAME_PREFIX ? slice_from(id, NAME_PREFIX) : SLICE("");
}

// As SQLite compares texts.
static int name_order(struct slice a, struct slice b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static void span_take(struct span *span, struct slice id) {
    struct slice name = name_of(id);
    bool empty = !span->first.p;
    if (empty || name_order(name, span->first) < 0)
        span->first = name;
    if (empty || name_order(name, span->last) > 0)
        span->last = name;
}

static void mark_put(unsigned char *to, struct slice id) {
    uint64_t h = slice_hash(id, 0);
    for (unsigned i = 0; i < MARK_BYTES; i++)
        to[i] = (unsigned char)(h >> 8 * i);
}

// Blocks of an older gridtie have no marks: they may hold anything.
static bool marks_hold(struct slice marks, struct slice id) {
    unsigned char mark[MARK_BYTES];
    mark_put(mark, id);
    for (size_t i = 0; i + MARK_BYTES <= marks.n; i += MARK_BYTES)
        if (memcmp(marks.p + i, mark, MARK_BYTES) == 0)
            return true;
    return marks.n == 0;
}

// ---- the running block

enum err store_block_new(struct store *s) {
    sqlite3_stmt *q = s->records[RECORDS_LATEST];
    struct store_block *b = mem_zalloc(sizeof *b);
    if (!b)
        return ERR_NO_MEMORY;
    b->lines = BUF_INIT(BLOCK_BYTES + LIMIT_JOURNAL_LINE_BYTES + 1);
    s->block = b;
    if (!buf_reserve(&b->lines, b->lines.max))
        return ERR_NO_MEMORY;
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
    s->block->span = (struct span){SLICE_NONE, SLICE_NONE};
}

static enum err span_write(struct store *s, const struct store_block *b) {
    sqlite3_stmt *q = s->records[RECORDS_PUT_SPAN];
    store_bind(q, 1, b->span.last);
    store_bind(q, 2, b->span.first);
    (void)sqlite3_bind_int64(q, 3, b->n);
    (void)sqlite3_bind_blob(q, 4, b->marks, (int)(b->count * MARK_BYTES), SQLITE_STATIC);
    return run(s, RECORDS_PUT_SPAN);
}

enum err store_block_flush(struct store *s) {
    sqlite3_stmt *q = s->records[RECORDS_PUT];
    struct store_block *b = s->block;
    if (b->count == 0)
        return ERR_OK;
    (void)sqlite3_bind_int64(q, 1, b->n);
    (void)sqlite3_bind_int64(q, 2, b->ended_us);
    (void)sqlite3_bind_blob(q, 3, b->lines.p, (int)b->lines.len, SQLITE_STATIC);
    enum err e = run(s, RECORDS_PUT);
    if (!e)
        e = span_write(s, b);
    b->n++;
    store_block_clear(s);
    return e;
}

static bool block_takes(const struct store_block *b, const struct store_exchange *x) {
    int64_t apart;
    return b->count == 0 || (b->count < BLOCK_LINES && b->lines.len < BLOCK_BYTES &&
                             !__builtin_sub_overflow(x->ended_us, b->first_us, &apart) && apart < BLOCK_SPAN_US &&
                             apart > -BLOCK_SPAN_US);
}

enum err store_put_exchange(struct store *s, const struct store_exchange *x) {
    struct store_block *b = s->block;
    enum err e = block_takes(b, x) ? ERR_OK : store_block_flush(s);
    if (e || x->line.n + 1 > b->lines.cap - b->lines.len)
        return e ? e : ERR_NO_MEMORY; // LIMIT_JOURNAL_LINE_BYTES rules it out
    const char *line = b->lines.p + b->lines.len;
    b->first_us = b->count ? b->first_us : x->ended_us;
    b->ended_us = b->count && b->ended_us > x->ended_us ? b->ended_us : x->ended_us;
    mark_put(b->marks + (size_t)b->count++ * MARK_BYTES, x->id);
    buf_append(&b->lines, x->line);
    buf_append_char(&b->lines, '\n');
    span_take(&b->span, slice_of(line + (x->id.p - x->line.p), x->id.n));
    return ERR_OK;
}

// ---- one record

// The line of this id, else SLICE_NONE.
static struct slice block_find(struct slice lines, struct slice id) {
    while (lines.n) {
        struct slice line = slice_split(&lines, '\n');
        if (slice_eq(line_id(line), id))
            return line;
    }
    return SLICE_NONE;
}

// Appends its line to *ret, unless that is NULL. ERR_NOT_FOUND.
static enum err block_look(struct store *s, int64_t n, struct slice id, struct buf *ret) {
    sqlite3_stmt *q = s->records[RECORDS_OF];
    (void)sqlite3_bind_int64(q, 1, n);
    int rc = sqlite3_step(q);
    struct slice line = rc == SQLITE_ROW ? block_find(blob(q, 0), id) : SLICE_NONE;
    if (ret)
        buf_append(ret, line);
    (void)sqlite3_reset(q);
    return store_err_of(rc) ? ERR_DISK : !line.p ? ERR_NOT_FOUND : ret && ret->failed ? ERR_NO_MEMORY : ERR_OK;
}

static enum err record_find(struct store *s, struct slice id, struct buf *ret) {
    sqlite3_stmt *q = s->records[RECORDS_SPANS];
    enum err e = ERR_NOT_FOUND;
    store_bind(q, 1, name_of(id));
    int rc = sqlite3_step(q);
    for (; rc == SQLITE_ROW && e == ERR_NOT_FOUND; rc = sqlite3_step(q))
        if (marks_hold(blob(q, 1), id))
            e = block_look(s, sqlite3_column_int64(q, 0), id, ret);
    (void)sqlite3_reset(q);
    return store_err_of(rc) ? ERR_DISK : e;
}

enum err store_record(struct store *s, struct slice id, struct buf *ret) {
    return record_find(s, id, ret);
}

enum err store_knows(struct store *s, struct slice id, bool *ret) {
    const struct store_block *b = s->block;
    bool now = b->count && marks_hold(slice_of((const char *)b->marks, b->count * MARK_BYTES), id) &&
               block_find(buf_slice(&b->lines), id).p;
    enum err e = now ? ERR_OK : record_find(s, id, NULL);
    if (e && e != ERR_NOT_FOUND)
        return e;
    *ret = e == ERR_OK;
    return ERR_OK;
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

static enum err block_delete(struct store *s, int64_t n, const struct span *span) {
    sqlite3_stmt *q = s->records[RECORDS_DELETE_SPAN];
    store_bind(q, 1, span->last);
    store_bind(q, 2, span->first);
    (void)sqlite3_bind_int64(q, 3, n);
    (void)sqlite3_bind_int64(s->records[RECORDS_DELETE], 1, n);
    enum err e = run(s, RECORDS_DELETE_SPAN);
    return e ? e : run(s, RECORDS_DELETE);
}

// *ret_n: the exchanges of the oldest block; 0 when no block is that old.
static enum err oldest_delete(struct store *s, int64_t before_us, int64_t *ret_n) {
    sqlite3_stmt *q = s->records[RECORDS_OLDEST];
    struct span span = {SLICE_NONE, SLICE_NONE};
    enum err e = ERR_OK;
    int64_t n = 0;
    (void)sqlite3_bind_int64(q, 1, before_us);
    int rc = sqlite3_step(q);
    if (rc == SQLITE_ROW) {
        for (struct slice rest = blob(q, 1); rest.n; n++)
            span_take(&span, line_id(slice_split(&rest, '\n')));
        n += n == 0; // a block without a line must not be taken for the end
        e = block_delete(s, sqlite3_column_int64(q, 0), &span);
    }
    (void)sqlite3_reset(q);
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
