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
// The stricter of both, zone by zone; pseudonymised ∩ no-retention is COND_BOTH.
struct reach reach_intersect(struct reach a, struct reach b);
// Everything up to and including `widest`, nothing beyond.
struct reach reach_up_to(enum zone widest);
enum condition condition_stricter(enum condition a, enum condition b);
// What is private has to be replaced before it may go there.
static inline bool condition_pseudonymises(enum condition c) {
    return c == COND_PSEUDONYMISED || c == COND_BOTH;
}
// May a target in this zone be used? `retention`: the endpoint keeps data. `replaced`: what is private is replaced, or can
// be (when it is decided where to go).
bool reach_allows(const struct reach *r, enum zone z, bool retention, bool replaced);
// Bit mask for net's permit: zones that some target could be allowed in.
unsigned reach_mask(const struct reach *r);
// "device=yes edge=no …" into out, for why.
struct buf;
void reach_print(const struct reach *r, struct buf *out);

#endif
