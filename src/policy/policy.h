// SPDX-License-Identifier: Apache-2.0
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H
// A policy is a pure function: candidates in, order out. No clock, no I/O, no lock, no memory of its own.
#include "ir/plan.h"

// Puts the candidates that can serve (out == NULL) into plan->stages, best first, each with its reason (static or
// borrowed from the candidate). plan->candidates is filled; plan->n_stages is 0. At most LIMIT_TARGETS_PER_PLAN.
typedef void policy_fn(struct plan *plan);

struct policy {
    const char *name;
    policy_fn *order;
};

// By name; NULL if there is none.
const struct policy *policy_by_name(struct slice name);

policy_fn policy_ordered;

#endif
