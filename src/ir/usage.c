// SPDX-License-Identifier: Apache-2.0
// Token counts and what they cost. Readers report counts as they come, often in several events; the attempt merges them
// and settle turns them into money. All sums are integers and checked: a hostile upstream may claim any number, and
// none of them may wrap around into a small bill. Nothing is allocated here.
#include "ir/usage.h"

// More tokens than any machine makes in a lifetime; far below where token × price leaves 64 bits for sane prices.
#define COUNT_MAX (INT64_C(1) << 40)

static bool take(int64_t *into, int64_t v) {
    if (v == -1)
        return true;
    if (v < 0 || v > COUNT_MAX)
        return false;
    *into = v;
    return true;
}

bool usage_merge(struct usage *into, const struct usage *b) {
    bool fine = take(&into->input_tokens, b->input_tokens);
    fine &= take(&into->cache_read_tokens, b->cache_read_tokens);
    fine &= take(&into->cache_write_tokens, b->cache_write_tokens);
    fine &= take(&into->output_tokens, b->output_tokens);
    fine &= take(&into->reasoning_tokens, b->reasoning_tokens);
    fine &= take(&into->prompt_us, b->prompt_us);
    fine &= take(&into->output_us, b->output_us);
    fine &= take(&into->load_us, b->load_us);
    if (b->draft_tokens > 0 && b->draft_tokens <= COUNT_MAX && b->draft_accepted >= 0 &&
        b->draft_accepted <= b->draft_tokens) {
        into->draft_tokens = b->draft_tokens;
        into->draft_accepted = b->draft_accepted;
    }
    if (b->input_tokens >= 0 || b->output_tokens >= 0)
        into->estimated = b->estimated;
    return fine;
}

static int64_t add_product(int64_t sum, int64_t count, int64_t price) {
    int64_t product;
    if (__builtin_mul_overflow(count, price, &product))
        return INT64_MAX;
    return __builtin_add_overflow(sum, product, &sum) ? INT64_MAX : sum;
}

static int64_t or_zero(int64_t count) {
    return count < 0 ? 0 : count;
}

struct price price_at(const struct price *p, int64_t input_tokens) {
    if (p->tier_tokens <= 0 || input_tokens <= p->tier_tokens)
        return (struct price){p->input, p->output, p->cache_read, p->cache_write, 0, 0, 0, 0, 0};
    return (struct price){p->tier_input, p->tier_output, p->tier_cache_read, p->tier_cache_write, 0, 0, 0, 0, 0};
}

int64_t usage_cost(const struct usage *u, const struct price *base) {
    if (!price_known(base) || u->input_tokens < 0 || u->output_tokens < 0)
        return -1;
    const struct price at = price_at(base, u->input_tokens), *p = &at;
    int64_t read = or_zero(u->cache_read_tokens), written = or_zero(u->cache_write_tokens);
    if (read > u->input_tokens)
        read = u->input_tokens;
    if (written > u->input_tokens - read)
        written = u->input_tokens - read;
    int64_t cost = add_product(0, u->input_tokens - read - written, p->input);
    cost = add_product(cost, read, p->cache_read >= 0 ? p->cache_read : p->input);
    cost = add_product(cost, written, p->cache_write >= 0 ? p->cache_write : p->input);
    return add_product(cost, u->output_tokens, p->output);
}
