// SPDX-License-Identifier: Apache-2.0
// Following an answer whose hold is less than its bound: each piece of text is counted, the hold is topped up before it is
// used up, and when that is refused the answer ends as if its length bound had been reached: open blocks are closed, the
// finish says "length", and the upstream is told to stop (the attempt completes once this filter has set `cut`). Where the
// answer ends in a burst it is made already, and stopping it saves nothing: then it is read to its end, unseen by the client,
// since what it says of itself is what will be billed. The filter stands
// right behind the one that observes, so that its ends pass all filters that hold something back. One per attempt that
// needs it, on its loop; what it keeps is the attempt's.
#include "switch/money.h"

#define ASK_EARLY_SHARE 2  // of a usual answer: time for others to end before a refusal counts
#define LOOK_MS 10         // of the time that a stop takes anyway (HABIT_NOTICE_US)
#define BURST_IDLE_MS 100  // a window of the network may be so long under way
#define BURST_MOST_MS 2000 // and a client waits for its end no longer than this

struct follow_block {
    struct follow_block *next;
    uint32_t block, choice;
    enum block_kind kind;
    bool open;
};

static void block_note(struct attempt *at, const struct event *ev) {
    struct follow_block *b = at->blocks;
    while (b && b->block != ev->block)
        b = b->next;
    if (ev->kind == EV_BLOCK_END) {
        if (b)
            b->open = false;
        return;
    }
    if (!b && (b = ARENA_NEW(&at->arena, struct follow_block))) {
        b->next = at->blocks;
        at->blocks = b;
    }
    if (b)
        *b = (struct follow_block){b->next, ev->block, ev->choice, ev->block_kind, true};
    at->choices_seen |= 1u << (ev->choice & 31);
}

// Enough for what was said and what is under way? Asks for more where it is not; refused, it may go on while it lasts.
static bool affords(struct attempt *at) {
    if (at->unwritten)
        return false;
    int64_t said = habit_tokens(at->terms.habit, at->output_bytes);
    int64_t soon = said + habit_quantile(at->terms.habit, HABIT_QUANTILE) / ASK_EARLY_SHARE;
    int64_t next = bid_next(&at->terms, &at->bid, soon);
    if (next <= at->bid.reserved)
        return true;
    int64_t need = habit_need(at->terms.habit, said, at->bid.bound);
    bool raised = bid_raise(&at->terms, &at->hold, &at->bid, next) ||
                  (need > at->bid.reserved && bid_raise(&at->terms, &at->hold, &at->bid, need));
    if (!raised)
        return need <= at->bid.reserved || !habit_is_used_up(at->terms.habit, said, at->bid.reserved);
    if (money_intend(at))
        return false; // what no line accounts for must not be used
    attempt_raised(at);
    return true;
}

static enum err blocks_end(struct filter *f, struct follow_block *b) {
    if (!b)
        return ERR_OK;
    enum err e = blocks_end(f, b->next); // the oldest first; LIMIT_BLOCKS bounds the depth
    if (e || !b->open)
        return e;
    b->open = false;
    struct event end = {.kind = EV_BLOCK_END, .block = b->block, .choice = b->choice, .block_kind = b->kind};
    return filter_pass(f, &end);
}

static enum err cut(struct filter *f) {
    struct attempt *at = f->owner;
    struct event usage = {.kind = EV_USAGE, .usage = at->usage};
    at->cut = true;
    at->finish = FINISH_LENGTH;
    notes_add(&at->x->arena, &at->x->notes, "cut", SLICE("output"),
              "the budget has no more to pay for a longer answer");
    enum err e = blocks_end(f, at->blocks);
    for (uint32_t i = 0; i < 32 && !e; i++) {
        struct event finish = {.kind = EV_FINISH, .choice = i, .finish = FINISH_LENGTH};
        if (at->choices_seen & 1u << i)
            e = filter_pass(f, &finish);
    }
    usage.usage.estimated = true;
    usage.usage.output_tokens = habit_tokens(at->terms.habit, at->output_bytes);
    if (usage.usage.input_tokens < 0)
        usage.usage.input_tokens = habit_input_seen(at->terms.habit, at->terms.input_bound);
    if (!e)
        e = filter_pass(f, &usage);
    return e ? e : filter_pass(f, &(struct event){.kind = EV_END});
}

enum err money_follow(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    if (at->cut)
        return ERR_OK;
    if (ev->kind == EV_BLOCK_BEGIN || ev->kind == EV_BLOCK_END)
        block_note(at, ev);
    if (ev->kind == EV_FINISH)
        at->choices_seen &= ~(1u << (ev->choice & 31));
    if (ev->kind == EV_DELTA && !affords(at))
        return cut(f);
    return filter_pass(f, ev);
}

bool money_looks_on(struct attempt *at) {
    uint64_t now = (uint64_t)exchange_age_us(at->x) / 1000;
    if (at->ended)
        return false;
    if (at->look_ms == 0) {
        at->look_from_ms = now;
    } else if (now < at->look_ms) {
        return true;
    } else if (habit_is_burst(at->terms.habit, at->output_bytes - at->look_bytes, LOOK_MS * 1000)) {
        at->burst_ms = now;
    } else if (at->output_bytes > at->look_bytes || at->burst_ms == 0 || now - at->burst_ms >= BURST_IDLE_MS) {
        return false;
    }
    if (now - at->look_from_ms >= BURST_MOST_MS)
        return false;
    at->look_ms = now + LOOK_MS;
    at->look_bytes = at->output_bytes;
    exchange_arm(at->x);
    return true;
}
