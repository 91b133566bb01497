// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_FIXTURE_TEST_H
#define LEDGER_FIXTURE_TEST_H
// A ledger in a directory of its own, for tests: exchanges to put into it, and what it says of them.
#include "base/arena.h"
#include "base/json.h"
#include "ledger/journal.h"

#define BEGAN_US INT64_C(1790000000000000)

struct fixture {
    char dir[64];
    struct ledger *l;
    struct arena arena; // of what the questions gave
};

// loops 0: nothing is opened yet. False, with a failed test.
bool fixture_init(struct fixture *f, unsigned loops);
bool fixture_open(struct fixture *f, unsigned loops, int64_t retention_s);
void fixture_close(struct fixture *f);
// Closes it, takes the directory away and all faults back.
void fixture_done(struct fixture *f);

// The answers as JSON; NULL: it refused.
yyjson_val *fixture_totals(struct fixture *f);
int64_t fixture_total(struct fixture *f, const char *name);
yyjson_val *fixture_why(struct fixture *f, const char *id);
yyjson_val *fixture_log(struct fixture *f, struct log_filter filter);

// What holds 1000 and costs 700 picousd; ids and attempts are borrowed.
struct attempt_intent intent_of(const char *id, unsigned attempt);
struct attempt_record attempt_of(enum err e);
struct settlement settlement_of(const char *id, const struct attempt_record *attempts, size_t n);
// Each as a turn of its own.
enum err intent_put(struct journal *j, const struct attempt_intent *i);
void settle_put(struct journal *j, const struct settlement *s);
enum err exchange_whole(struct journal *j, const char *id);

// The first segment of loop 0.
void segment_path(const struct fixture *f, char *path, size_t n);
void segment_append(const struct fixture *f, struct slice text);
int segments(const struct fixture *f); // how many there are

#endif
