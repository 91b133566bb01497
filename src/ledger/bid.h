// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_BID_H
#define LEDGER_BID_H
// How much money is held for an attempt, and which bound on its output goes over the wire for it.
#include "ir/habit.h"
#include "ir/usage.h"
#include "ledger/accounts.h"

struct bid_terms {
    const struct price *price; // known
    const struct habit *habit; // of the target
    int64_t input_bound;       // tokens that the request can't be above, by its bytes
    int64_t want;              // output tokens that it may have if money were no matter; all choices together
    int64_t choices;           // 1 or more; the wire's bound is for each
};

struct bid {
    int64_t picousd;  // held, or to be held
    int64_t input;    // tokens of it
    int64_t bound;    // output tokens that the wire allows, all choices together
    int64_t reserved; // output tokens that are held; below `bound` the answer must be followed, and the hold topped up
};

// What a request needs in the worst case. Saturates at MONEY_MOST.
struct bid bid_whole(const struct bid_terms *t);
// What it can do with when no more than `left` is there, `free` of it unheld: its output cut to that, its input at what such
// requests were counted at before, and of the output only what answers usually need. False: `left` does not pay for a
// useful answer.
bool bid_cut(const struct bid_terms *t, int64_t left, int64_t free, struct bid *ret);
// Tokens that should be held now that `said` have come, or `reserved` if that still is enough.
int64_t bid_next(const struct bid_terms *t, const struct bid *b, int64_t said);
// Cost of so many output tokens.
int64_t bid_output_cost(const struct bid_terms *t, int64_t tokens);

// Asks for money: the whole, else a cut bid. HELD: *ret is it. HELD_BY_OTHERS: with `queue`, w waits (hold_take); *ret_room
// says what is left. HELD_NOT: the same, and ret->picousd is what the least useful bid would cost.
enum held bid_place(const struct bid_terms *t, const struct purse *p, int64_t now_s, struct waiter *w, bool queue,
                    struct hold *hold, struct bid *ret, struct room *ret_room);
// Enlarges the hold to `reserved` tokens. False: refused, nothing changed.
bool bid_raise(const struct bid_terms *t, struct hold *hold, struct bid *b, int64_t reserved);

#endif
