// SPDX-License-Identifier: Apache-2.0
// Table tests of the policies: what is out never becomes a stage, order is kept, rest moves a target back.
#include "policy/policy.h"
#include "unit.h"

static struct candidate candidate(const char *name, const char *out, int64_t rest_ms) {
    return (struct candidate){.name = slice_str(name), .out = out, .rest_ms = rest_ms, .predicted_cost_picousd = -1};
}

TEST(policy_ordered_keeps_order_and_leaves_out) {
    struct candidate c[] = {candidate("a", "out of reach", 0), candidate("b", NULL, 0), candidate("c", NULL, 0)};
    struct plan p = {.candidates = c, .n_candidates = 3};
    policy_ordered(&p);
    CHECK_EQ(p.n_stages, 2);
    CHECK_EQ(p.stages[0].candidate, 1);
    CHECK_EQ(p.stages[0].start, STAGE_AT_ONCE);
    CHECK_EQ(p.stages[1].candidate, 2);
    CHECK_EQ(p.stages[1].start, STAGE_AFTER_FAILURE);
}

TEST(policy_ordered_moves_a_resting_target_back) {
    struct candidate c[] = {candidate("a", NULL, 5000), candidate("b", NULL, 0)};
    struct plan p = {.candidates = c, .n_candidates = 2};
    policy_ordered(&p);
    CHECK_EQ(p.n_stages, 2);
    CHECK_EQ(p.stages[0].candidate, 1);
    CHECK_EQ(p.stages[1].candidate, 0);
}

TEST(policy_ordered_puts_the_tight_and_the_sick_between) {
    struct candidate c[] = {candidate("a", NULL, 5000), candidate("b", NULL, 0), candidate("c", NULL, 0),
                            candidate("d", NULL, 0)};
    c[1].sick = c[1].tight = true;
    c[2].tight = true;
    struct plan p = {.candidates = c, .n_candidates = 4};
    policy_ordered(&p);
    CHECK_EQ(p.n_stages, 4);
    CHECK(p.stages[0].candidate == 3 && p.stages[1].candidate == 2 && p.stages[2].candidate == 1 &&
          p.stages[3].candidate == 0);
    CHECK_EQ(p.stages[0].start, STAGE_AT_ONCE);
}

TEST(policy_ordered_is_bounded) {
    struct candidate c[LIMIT_TARGETS_PER_PLAN + 5];
    for (size_t i = 0; i < LIMIT_TARGETS_PER_PLAN + 5; i++)
        c[i] = candidate("x", NULL, 0);
    struct plan p = {.candidates = c, .n_candidates = LIMIT_TARGETS_PER_PLAN + 5};
    policy_ordered(&p);
    CHECK_EQ(p.n_stages, LIMIT_TARGETS_PER_PLAN);
}

TEST(policy_by_name_finds_rows) {
    CHECK(policy_by_name(SLICE("ordered")) != NULL);
    CHECK(policy_by_name(SLICE("magic")) == NULL);
}
