// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H
// The database behind the ledger. One caller at a time (the ledger's mutex). Every call may block on the disk.
// ERR_DISK: it refused; inside a transaction the caller rolls back and tries the same lines again later.
#include "ledger/ledger.h"
#include "ledger/under_way.h"

struct store;
// Makes, upgrades and checks it. ERR_DISK with *problem, also for a damaged one or one of a newer gridtie.
MUST_CHECK enum err store_open(const char *path, struct store **ret, struct buf *problem);
void store_close(struct store *s); // NULL is allowed

MUST_CHECK enum err store_begin(struct store *s);
MUST_CHECK enum err store_commit(struct store *s);
void store_rollback(struct store *s);
// What is committed survives a power cut after this.
MUST_CHECK enum err store_checkpoint(struct store *s);

// An attempt that is under way, in memory. Nothing happens when it is known to hold as much. Whoever reads a segment again
// from its beginning (feed_again) has those that stood in it; before it goes they are spilled to the database.
MUST_CHECK enum err store_put_open(struct store *s, const struct way *w);
// In a transaction. careful: segments may have been read in any order, so what is settled by now is left out.
MUST_CHECK enum err store_spill_open(struct store *s, bool careful);
// After its commit.
void store_spilled(struct store *s);
// Outside a transaction, now and then: are there spilled ones left? While there are, each settlement looks for them.
MUST_CHECK enum err store_recount_open(struct store *s);
struct store_exchange {
    struct slice id, line; // id: in the line
    int64_t ended_us;
};
MUST_CHECK enum err store_put_exchange(struct store *s, const struct store_exchange *x);
// Is there a record of it, be it of the running transaction? Some ten microseconds.
MUST_CHECK enum err store_knows(struct store *s, struct slice id, bool *ret);
MUST_CHECK enum err store_delete_open(struct store *s, struct slice exchange);
// Sums are kept per quarter of an hour (all time zones of today are whole quarters apart), key, run and target; gathered
// in memory until the commit.
#define STORE_SLOT_S 900
struct store_account {
    int64_t slot; // money_s / STORE_SLOT_S
    struct slice key, run, target;
};
struct store_sum {
    int64_t exchanges, attempts, input_tokens, output_tokens, settled_picousd, unknown, unknown_picousd, unpriced,
        overrun_picousd;
};
MUST_CHECK enum err store_add(struct store *s, const struct store_account *who, const struct store_sum *add);

// How far a segment was read; 0 when it is new.
MUST_CHECK enum err store_offset(struct store *s, const char *segment, int64_t *ret);
MUST_CHECK enum err store_set_offset(struct store *s, const char *segment, int64_t offset);
MUST_CHECK enum err store_forget_segment(struct store *s, const char *segment); // NULL: all
// A counter by name: adds, and gives what it is then.
MUST_CHECK enum err store_count(struct store *s, const char *name, int64_t add, int64_t *ret);

// Appends its line. ERR_NOT_FOUND.
MUST_CHECK enum err store_record(struct store *s, struct slice id, struct buf *ret);
// Of what ended last and was no helper call.
MUST_CHECK enum err store_last_record(struct store *s, struct buf *ret);
// Any exchange with attempts that were spilled; ERR_NOT_FOUND when there is none.
MUST_CHECK enum err store_some_open(struct store *s, struct buf *ret_exchange);
// Calls row(ctx, line) for each; stops early when it returns false. The slices are borrowed for the call.
MUST_CHECK enum err store_each_open(struct store *s, struct slice exchange, bool (*row)(void *ctx, struct slice line),
                                    void *ctx);
MUST_CHECK enum err store_each_log(struct store *s, const struct log_filter *f,
                                   bool (*row)(void *ctx, struct slice line), void *ctx);
struct store_totals {
    struct store_sum sum;
    int64_t open, open_picousd;
};
MUST_CHECK enum err store_totals(struct store *s, struct store_totals *ret);
// Deletes about `most` exchanges that ended before; sums stay.
MUST_CHECK enum err store_expire(struct store *s, int64_t before_us, int64_t most, int64_t *ret_deleted);

// --- money (store_money.c)
// Settled in [from_s, to_s), of one key or (p NULL) of all; open reservations of it are added to *ret_open.
MUST_CHECK enum err store_spent(struct store *s, struct slice key, int64_t from_s, int64_t to_s, int64_t *ret_settled,
                                int64_t *ret_open);
// The latest slot that anything was booked in, as UTC seconds; 0 when there is none.
MUST_CHECK enum err store_mark(struct store *s, int64_t *ret_s);
enum store_by { STORE_BY_KEY, STORE_BY_MODEL, STORE_BY_ENDPOINT, STORE_BY_RUN, STORE_BY_DAY, STORE_BY_COUNT };
struct store_spend {
    struct slice name, key; // key: of a run
    struct store_sum sum;
    int64_t first_s, last_s; // slots
};
// Most expensive first, days and runs latest first. Of one key, or (p NULL) of all.
MUST_CHECK enum err store_each_spend(struct store *s, enum store_by by, int64_t since_s, struct slice key,
                                     bool (*row)(void *ctx, const struct store_spend *r), void *ctx);
// A run's cap (-1: as it is; a lower one stays) and whether it was stopped (never undone).
MUST_CHECK enum err store_run_put(struct store *s, struct slice key, struct slice run, int64_t cap_picousd,
                                  bool stopped);
struct store_run {
    struct slice key, run;
    int64_t cap_picousd; // -1 none
    bool stopped;
};
MUST_CHECK enum err store_each_run(struct store *s, bool (*row)(void *ctx, const struct store_run *r), void *ctx);
// Joins the sums of one day that ended before into one per key and target, without their runs.
MUST_CHECK enum err store_join_old(struct store *s, int64_t before_s);

struct store_key {
    struct slice name, prefix, budgets; // budgets: as given
    struct slice hash;                  // 32 bytes
    int64_t created_us, revoked_us;     // 0: not revoked
};
// ERR_LIMIT: the name is taken.
MUST_CHECK enum err store_key_put(struct store *s, const struct store_key *k);
// ERR_NOT_FOUND: none of that name, or revoked before.
MUST_CHECK enum err store_key_revoke(struct store *s, struct slice name, int64_t wall_us);
MUST_CHECK enum err store_each_key(struct store *s, bool (*row)(void *ctx, const struct store_key *k), void *ctx);

#endif
