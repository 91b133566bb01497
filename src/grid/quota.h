// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_QUOTA_H
#define GRID_QUOTA_H
// What an upstream says of its limits, and what follows from it for a target. Any thread: values and atomics.
#include "grid/grid.h"

struct quota_window {
    int64_t left;     // -1: not said
    int64_t reset_ms; // from now, when `left` is renewed
    bool told;        // reset_ms was said; else it is the usual minute
};
struct quota_said {
    struct quota_window requests, tokens;
    int64_t retry_ms; // Retry-After; -1: not said
};

// Of several windows of a kind (minute, day), the one with least left. wall_us: now, for headers that hold dates.
void quota_read(const struct headers *h, int64_t wall_us, struct quota_said *ret);

// The head of an answer of this target. Nothing left until a told moment: it rests until then.
void target_heard(const struct target *t, const struct quota_said *q, uint64_t now_ms);
// A request of about so many tokens goes out: it is counted against what was left.
void target_sent(const struct target *t, int64_t tokens);
// An attempt ended. retry_ms: what its refusal said, -1 nothing. A limit with a time rests the target; without one it is
// tight for a while, and after an empty account its whole endpoint, both longer each time in a row.
void target_ended(const struct target *t, enum err e, int64_t retry_ms, uint64_t now_ms);

// Milliseconds until it may be asked again; 0: now.
int64_t target_rest_ms(const struct target *t, uint64_t now_ms);
// Would so many tokens meet a limit, as far as one can tell? Then others should be asked first, but it may be asked.
bool target_is_tight(const struct target *t, int64_t tokens, uint64_t now_ms);

#endif
