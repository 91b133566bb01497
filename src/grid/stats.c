// SPDX-License-Identifier: Apache-2.0
// Counters of a target for /metrics. Loops add with relaxed atomics at settle; readers sum at any time. No lock, no memory.
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

void target_stats_note(struct target_stats *s, enum err e, int64_t first_event_us, int64_t output_us, int64_t tokens) {
    atomic_fetch_add_explicit(&s->results[e], 1, memory_order_relaxed);
    if (first_event_us < 0)
        return;
    histogram_add(&s->first_event, (uint64_t)first_event_us);
    if (tokens >= 2 && output_us >= 0)
        histogram_add(&s->per_token, (uint64_t)(output_us / (tokens - 1)));
}
