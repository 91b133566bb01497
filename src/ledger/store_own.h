// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_STORE_OWN_H
#define LEDGER_STORE_OWN_H
// What store_sqlite.c, store_records.c and store_money.c share.
#include <sqlite3.h>
#include "ledger/store.h"
#include "ledger/tally.h"
#include "ledger/under_way.h"

enum money_sql {
    MONEY_SPENT,
    MONEY_OPEN,
    MONEY_MARK,
    MONEY_SPEND_KEY,
    MONEY_SPEND_MODEL,
    MONEY_SPEND_ENDPOINT,
    MONEY_SPEND_RUN,
    MONEY_SPEND_DAY,
    MONEY_RUN_PUT,
    MONEY_EACH_RUN,
    MONEY_OLDEST,
    MONEY_JOIN,
    MONEY_JOINED,
    MONEY_KEY_PUT,
    MONEY_KEY_REVOKE,
    MONEY_EACH_KEY,
    MONEY_SQL_N
};
extern const char *const store_money_texts[MONEY_SQL_N];

enum records_sql {
    RECORDS_LATEST,
    RECORDS_PUT_SPAN,
    RECORDS_PUT,
    RECORDS_SPANS,
    RECORDS_OF,
    RECORDS_EACH,
    RECORDS_OLDEST,
    RECORDS_DELETE,
    RECORDS_DELETE_SPAN,
    RECORDS_SQL_N
};
extern const char *const store_records_texts[RECORDS_SQL_N];

struct store_block;
struct store {
    sqlite3 *db;
    sqlite3_stmt **sql;                   // of store_sqlite.c
    sqlite3_stmt *records[RECORDS_SQL_N]; // of store_records.c
    sqlite3_stmt *money[MONEY_SQL_N];     // of store_money.c
    struct tallies *tallies;
    struct store_block *block;
    struct under_way *under_way;
    int64_t n_spilled; // rows of under_way, or more
};

// What of the running transaction waits for its commit (store_records.c).
MUST_CHECK enum err store_block_new(struct store *s);
void store_block_free(struct store_block *b); // NULL is allowed
void store_block_clear(struct store *s);
MUST_CHECK enum err store_block_flush(struct store *s);

static inline enum err store_err_of(int rc) {
    return rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW ? ERR_OK : ERR_DISK;
}

static inline void store_bind(sqlite3_stmt *q, int at, struct slice v) {
    (void)sqlite3_bind_text(q, at, v.p ? v.p : "", (int)v.n, SQLITE_STATIC);
}

static inline struct slice store_column(sqlite3_stmt *q, int at) {
    const char *p = (const char *)sqlite3_column_text(q, at);
    return slice_of(p, p ? (size_t)sqlite3_column_bytes(q, at) : 0);
}

#endif
