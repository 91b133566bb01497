// SPDX-License-Identifier: Apache-2.0
// Counters of a target for /metrics, and its recent times. Loops add with relaxed atomics at settle; readers sum at any time. No lock, no memory.
#include "grid/grid.h"

// From a cached local token to a long prompt on a slow machine.
const uint64_t stats_bounds_us[STATS_BUCKETS] = {1000,   5000,   10000,   25000,   50000,    100000,
                                                 250000, 500000, 1000000, 2500000, 10000000, 60000000};

static void histogram_add(struct histogram *h, uint64_t us) {
    size_t i = 0;
    while (i < STATS_BUCKETS && us > stats_bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&h->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
}

// An eighth of the new one; a lost race costs one sample.
static void decayed_add(_Atomic int64_t *mean, int64_t v) {
    int64_t old = atomic_load_explicit(mean, memory_order_relaxed);
    int64_t now = old == 0 ? v : old + (v - old) / 8;
    atomic_store_explicit(mean, now > 0 ? now : 1, memory_order_relaxed);
}

void target_stats_note(struct target_stats *s, enum err e, int64_t first_event_us, int64_t output_us, int64_t tokens,
                       int64_t prompt_us, int64_t prompt_tokens) {
    atomic_fetch_add_explicit(&s->results[e], 1, memory_order_relaxed);
    if (first_event_us < 0)
        return;
    histogram_add(&s->first_event, (uint64_t)first_event_us);
    decayed_add(&s->first_event_us, first_event_us);
    if (prompt_tokens > 0 && prompt_us >= 0)
        decayed_add(&s->prompt_token_ns, prompt_us * 1000 / prompt_tokens);
    if (tokens < 2 || output_us < 0)
        return;
    histogram_add(&s->per_token, (uint64_t)(output_us / (tokens - 1)));
    decayed_add(&s->per_token_ns, output_us * 1000 / (tokens - 1));
}
