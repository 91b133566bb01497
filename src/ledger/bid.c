// SPDX-License-Identifier: Apache-2.0
// The rule by which money is held for an attempt. As long as the worst case of all open requests fits into the budget,
// each holds its worst case: its input at the bound of its bytes, its output at the bound on the wire. Where it does not
// fit, the output's bound is cut to what could be paid if nobody else were there, and only what the model's answers
// usually need is held of it (ir/habit.h), so that many can run at once; such an answer is streamed, followed and topped
// up, and ended when there is no more. Its bound is what is free can pay, so that a burst, which nobody can end in time, is
// paid for; but no less than some times its hold, or who comes while others hold much would be cut short for nothing. Of a model of which nothing is known that would be a guess: there the bound
// itself is cut to an eighth of what is left, and all of it is held. So it is where answers come all at once and can't be
// ended in time: to a quarter of what is free, but near the longest that were seen. Pure but for the accounts.
#include "ledger/bid.h"

#define BLIND_SHARE 8 // so many requests to an unknown model may run side by side
#define BURST_SHARE 4
#define BURST_MOST 4    // times the cover
#define BLIND_TOKENS 64 // but not below an answer's useful length
#define RAISE_SHARE 4   // a top-up is a quarter of the usual length, so that few are needed
#define RAISE_TOKENS 32

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t times(int64_t tokens, int64_t price) {
    int64_t v;
    return __builtin_mul_overflow(tokens, price, &v) || v > MONEY_MOST ? MONEY_MOST : v;
}

static int64_t plus(int64_t a, int64_t b) {
    return a > MONEY_MOST - b ? MONEY_MOST : a + b;
}

static int64_t most_input(const struct bid_terms *t) {
    int64_t likely = habit_input(t->habit, t->input_bound);
    return likely > t->input_bound ? likely : t->input_bound;
}

// Of a request that may be so long that all of it costs more, that.
static struct price price_of(const struct bid_terms *t) {
    return price_at(t->price, most_input(t));
}

// A cache may be written to at a higher price.
static int64_t input_cost(const struct bid_terms *t, int64_t tokens) {
    struct price p = price_of(t);
    int64_t v = p.input > p.cache_write ? p.input : p.cache_write;
    return times(tokens, v > p.cache_read ? v : p.cache_read);
}

int64_t bid_output_cost(const struct bid_terms *t, int64_t tokens) {
    return times(tokens, price_of(t).output);
}

static int64_t cost_of(const struct bid_terms *t, const struct bid *b) {
    return plus(input_cost(t, b->input), bid_output_cost(t, b->reserved));
}

struct bid bid_whole(const struct bid_terms *t) {
    struct bid b = {.input = most_input(t), .bound = t->want, .reserved = t->want};
    b.picousd = cost_of(t, &b);
    return b;
}

static int64_t whole_choices(const struct bid_terms *t, int64_t tokens) {
    return tokens / t->choices * t->choices;
}

static int64_t affords(const struct bid_terms *t, int64_t input, int64_t money) {
    int64_t output = price_of(t).output;
    return money < input ? 0 : output ? (money - input) / output : t->want;
}

// Of what is left, so much may go over the wire.
static int64_t wire_share(const struct bid_terms *t, int64_t tokens) {
    if (habit_is_known(t->habit))
        return tokens;
    return tokens / BLIND_SHARE >= BLIND_TOKENS ? tokens / BLIND_SHARE : least(tokens, BLIND_TOKENS);
}

bool bid_cut(const struct bid_terms *t, int64_t left, int64_t free, struct bid *ret) {
    struct bid b = {.input = habit_input(t->habit, t->input_bound)};
    int64_t input = input_cost(t, b.input), useful = least(t->want, LIMIT_LEAST_TOKENS * t->choices);
    b.bound = whole_choices(t, least(t->want, wire_share(t, affords(t, input, left))));
    bool enough = b.bound >= useful;
    if (!enough)
        b.bound = b.reserved = useful; // what would have been needed, for the message
    else if (!habit_is_known(t->habit))
        b.reserved = b.bound;
    else
        b.reserved = habit_need(t->habit, 0, b.bound);
    if (enough && habit_is_known(t->habit) && habit_can_stop(t->habit)) {
        int64_t burst = most(affords(t, input, free), b.reserved * BURST_MOST);
        b.bound = least(b.bound, whole_choices(t, most(burst, useful)));
    } else if (enough && habit_is_known(t->habit)) {
        int64_t share = least(affords(t, input, free) / BURST_SHARE, b.reserved * BURST_MOST);
        b.bound = b.reserved = whole_choices(t, least(b.bound, most(useful, most(share, b.reserved))));
    }
    b.picousd = cost_of(t, &b);
    *ret = b;
    return enough;
}

int64_t bid_next(const struct bid_terms *t, const struct bid *b, int64_t said) {
    int64_t need = habit_need(t->habit, said, b->bound);
    if (need <= b->reserved)
        return b->reserved;
    int64_t step = habit_quantile(t->habit, HABIT_QUANTILE) / RAISE_SHARE;
    return least(b->bound, need + (step > RAISE_TOKENS ? step : RAISE_TOKENS));
}

enum held bid_place(const struct bid_terms *t, const struct purse *p, int64_t now_s, struct waiter *w, bool queue,
                    struct hold *hold, struct bid *ret, struct room *ret_room) {
    *ret = bid_whole(t);
    if (hold_take(hold, p, now_s, ret->picousd, w, false) == HELD)
        return HELD;
    for (int i = 0; i < 4; i++) { // what is left may shrink between looking and taking
        *ret_room = purse_room(p, now_s);
        if (!bid_cut(t, ret_room->left, ret_room->free, ret))
            return HELD_NOT;
        enum held r = hold_take(hold, p, now_s, ret->picousd, w, queue);
        if (r != HELD_NOT)
            return r;
    }
    return HELD_NOT;
}

bool bid_raise(const struct bid_terms *t, struct hold *hold, struct bid *b, int64_t reserved) {
    int64_t more = bid_output_cost(t, reserved) - bid_output_cost(t, b->reserved);
    if (!hold_more(hold, more))
        return false;
    b->reserved = reserved;
    b->picousd += more;
    return true;
}
