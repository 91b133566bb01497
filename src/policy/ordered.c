// SPDX-License-Identifier: Apache-2.0
// ordered: the candidates in the order in which they were named, with exceptions: a target near a limit of its upstream
// stands behind the others, one whose last attempts failed behind those, and one whose upstream asked for rest behind all,
// so that a wait or a failure is never the first choice while another place is free. None is left out for that.
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

enum rank { RANK_WELL, RANK_TIGHT, RANK_SICK, RANK_RESTING, RANK_COUNT };

static enum rank rank_of(const struct candidate *c) {
    if (c->rest_ms > 0)
        return RANK_RESTING;
    return c->sick ? RANK_SICK : c->tight ? RANK_TIGHT : RANK_WELL;
}

void policy_ordered(struct plan *p) {
    static const char *const reasons[RANK_COUNT] = {"next in order", "near its upstream's limit, so it stands behind",
                                                    "its last attempts failed, so it stands behind",
                                                    "its upstream asked for rest, so it stands last"};
    for (enum rank rank = RANK_WELL; rank < RANK_COUNT; rank++)
        for (unsigned i = 0; i < p->n_candidates; i++)
            if (!p->candidates[i].out && rank_of(&p->candidates[i]) == rank)
                stage_add(p, i, rank == RANK_WELL && p->n_stages == 0 ? "first in order" : reasons[rank]);
}
