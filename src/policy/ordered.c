// SPDX-License-Identifier: Apache-2.0
// ordered: the candidates in the order in which they were named. Two exceptions: a target near a limit of its upstream
// stands behind the others, and one whose upstream asked for rest (Retry-After, a spent quota) behind all, so that a wait
// or a refusal is never the first choice while another place is free.
#include "policy/policy.h"

static void stage_add(struct plan *p, unsigned candidate, const char *reason) {
    if (p->n_stages == LIMIT_TARGETS_PER_PLAN)
        return;
    p->stages[p->n_stages] = (struct stage){.candidate = candidate,
                                            .start = p->n_stages ? STAGE_AFTER_FAILURE : STAGE_AT_ONCE,
                                            .commit = STAGE_FIRST_EVENT,
                                            .reason = slice_str(reason)};
    p->n_stages++;
}

void policy_ordered(struct plan *p) {
    for (unsigned i = 0; i < p->n_candidates; i++)
        if (!p->candidates[i].out && p->candidates[i].rest_ms == 0 && !p->candidates[i].tight)
            stage_add(p, i, p->n_stages ? "next in order" : "first in order");
    for (unsigned i = 0; i < p->n_candidates; i++)
        if (!p->candidates[i].out && p->candidates[i].rest_ms == 0 && p->candidates[i].tight)
            stage_add(p, i, "near its upstream's limit, so it stands behind");
    for (unsigned i = 0; i < p->n_candidates; i++)
        if (!p->candidates[i].out && p->candidates[i].rest_ms > 0)
            stage_add(p, i, "its upstream asked for rest, so it stands last");
}
