// SPDX-License-Identifier: Apache-2.0
#ifndef IR_REACH_H
#define IR_REACH_H
// Reach: per zone a condition. Made from the label's row of the matrix, then only ever narrowed.
#include "base/slice.h"
#include "base/zone.h"

struct reach {
    enum condition zones[ZONE_COUNT];
};

struct reach reach_of_label(const enum condition matrix[LABEL_COUNT][ZONE_COUNT], enum label l);
// The stricter of both, zone by zone (COND_NO < PSEUDONYMISED < NO_RETENTION < YES in width, except that
// pseudonymised ∩ no-retention needs both and is COND_NO until a step can give both).
struct reach reach_intersect(struct reach a, struct reach b);
// Everything up to and including `widest`, nothing beyond.
struct reach reach_up_to(enum zone widest);
// May a target in this zone be used as things are? `retention`: the endpoint keeps data. Pseudonymised counts as no
// until privacy/ can do it.
bool reach_allows(const struct reach *r, enum zone z, bool retention);
// Bit mask for net's permit: zones that some target could be allowed in.
unsigned reach_mask(const struct reach *r);
// "device=yes edge=no …" into out, for why.
struct buf;
void reach_print(const struct reach *r, struct buf *out);

#endif
