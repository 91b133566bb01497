// SPDX-License-Identifier: Apache-2.0
#ifndef IR_PLAN_H
#define IR_PLAN_H
// What a decision is: the candidates that were looked at, and the stages to be tried in order. A value, so that `why`
// and a dry run show what live traffic does.
#include "base/limits.h"
#include "base/slice.h"
#include "base/zone.h"

// A target as a policy sees it: numbers and names, no connections. `index` finds the real one again.
struct candidate {
    struct slice name;
    enum zone zone;
    unsigned index;
    int64_t predicted_cost_picousd; // -1 unknown
    int in_flight;
    int64_t rest_ms;  // a Retry-After that still runs; 0 none
    bool tight;       // near a limit that its upstream told of
    bool sick;        // its last attempts failed
    const char *out;  // why it can't serve this request; NULL: it can
    struct slice via; // how it was named: "route coding", "model qwen3:8b", …
};

enum stage_start { STAGE_AT_ONCE, STAGE_AFTER_FAILURE };
enum stage_commit { STAGE_FIRST_EVENT, STAGE_JUDGED_WHOLE };

struct stage {
    unsigned candidate; // position in plan.candidates
    enum stage_start start;
    enum stage_commit commit;
    struct slice reason;
};

struct plan {
    struct candidate *candidates; // arena
    size_t n_candidates;
    struct stage stages[LIMIT_TARGETS_PER_PLAN];
    size_t n_stages;
    const char *policy; // its name
};

#endif
