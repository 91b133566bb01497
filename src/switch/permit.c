// SPDX-License-Identifier: Apache-2.0
// The permit stands between a decision and a socket: decide already left out what is out of reach, and this asks again
// with what is true at the moment of sending, so that no retry, fallback or bug above can widen the reach.
#include "switch/permit.h"
#include "switch/private.h"

struct permit permit_make(const struct attempt *at) {
    const struct target *t = at->t;
    bool checked = private_is_checked(at);
    bool ok =
        reach_allows(&at->x->reach, t->zone, t->endpoint->retention, checked) && (checked || t->zone <= ZONE_EDGE);
    return (struct permit){.zone = t->zone, .allowed = ok ? 1u << t->zone : 0, .purpose = "exchange"};
}
