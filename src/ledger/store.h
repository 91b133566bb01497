// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H
// The database behind the ledger. One caller at a time (the ledger's mutex). Every call may block on the disk.
// ERR_DISK: it refused; inside a transaction the caller rolls back and tries the same lines again later.
#include "ledger/ledger.h"

struct store;
// Makes, upgrades and checks it. ERR_DISK with *problem, also for a damaged one or one of a newer gridtie.
MUST_CHECK enum err store_open(const char *path, struct store **ret, struct buf *problem);
void store_close(struct store *s); // NULL is allowed

MUST_CHECK enum err store_begin(struct store *s);
MUST_CHECK enum err store_commit(struct store *s);
void store_rollback(struct store *s);
// What is committed survives a power cut after this.
MUST_CHECK enum err store_checkpoint(struct store *s);

// An attempt that is under way. Nothing happens when it is known, or its exchange is settled.
MUST_CHECK enum err store_put_open(struct store *s, struct slice exchange, int64_t attempt, int64_t wall_us,
                                   int64_t reserved_picousd, struct slice line);
struct store_exchange {
    struct slice id, model, target, key; // target: that gave the answer, else the last one tried
    int64_t ended_us;
    bool child, failed;
    struct slice record;
};
// *ret_new false: it was there already, and nothing happened.
MUST_CHECK enum err store_put_exchange(struct store *s, const struct store_exchange *x, bool *ret_new);
MUST_CHECK enum err store_delete_open(struct store *s, struct slice exchange);
// Adds to the sums of one day, key and target (gathered in memory until the commit).
struct store_sum {
    int64_t exchanges, attempts, input_tokens, output_tokens, settled_picousd, unknown, unknown_picousd, unpriced;
};
MUST_CHECK enum err store_add(struct store *s, int64_t day, struct slice key, struct slice target,
                              const struct store_sum *add);

// How far a segment was read; 0 when it is new.
MUST_CHECK enum err store_offset(struct store *s, const char *segment, int64_t *ret);
MUST_CHECK enum err store_set_offset(struct store *s, const char *segment, int64_t offset);
MUST_CHECK enum err store_forget_segment(struct store *s, const char *segment); // NULL: all
// A counter by name: adds, and gives what it is then.
MUST_CHECK enum err store_count(struct store *s, const char *name, int64_t add, int64_t *ret);

// Appends the record; id "last": of what ended last and was no helper call. ERR_NOT_FOUND.
MUST_CHECK enum err store_record(struct store *s, struct slice id, struct buf *ret);
// Any exchange with open attempts; ERR_NOT_FOUND when there is none.
MUST_CHECK enum err store_some_open(struct store *s, struct buf *ret_exchange);
// Calls row(ctx, line) for each; stops early when it returns false. The slices are borrowed for the call.
MUST_CHECK enum err store_each_open(struct store *s, struct slice exchange, bool (*row)(void *ctx, struct slice line),
                                    void *ctx);
MUST_CHECK enum err store_each_log(struct store *s, const struct log_filter *f,
                                   bool (*row)(void *ctx, struct slice record), void *ctx);
struct store_totals {
    struct store_sum sum;
    int64_t open, open_picousd;
};
MUST_CHECK enum err store_totals(struct store *s, struct store_totals *ret);
// Deletes up to `most` exchanges that ended before; sums stay.
MUST_CHECK enum err store_expire(struct store *s, int64_t before_us, int64_t most, int64_t *ret_deleted);

#endif
