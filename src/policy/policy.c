// SPDX-License-Identifier: Apache-2.0
// The table of policies, made from policies.def. A new policy is a file and a row there.
#include "policy/policy.h"

static const struct policy policies[] = {
#define POLICY(name) {#name, policy_##name},
#include "policy/policies.def"
#undef POLICY
};

const struct policy *policy_by_name(struct slice name) {
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        if (slice_is(name, policies[i].name))
            return &policies[i];
    return NULL;
}
