// SPDX-License-Identifier: Apache-2.0
// Where a request may be computed. It is made once from the label's row of the matrix and then only narrowed: by the
// key, by headers, by a label that rises. A pure value; copying it is how it is shared. Nothing here widens, and nothing
// may: the permit that opens sockets believes what it reads here.
#include "ir/reach.h"
#include "base/buf.h"

static enum condition stricter(enum condition a, enum condition b) {
    if (a == b)
        return a;
    if (a == COND_YES)
        return b;
    if (b == COND_YES)
        return a;
    // Different and neither is "yes": one is "no", or both steps would be needed and none can give both yet.
    return COND_NO;
}

struct reach reach_of_label(const enum condition matrix[LABEL_COUNT][ZONE_COUNT], enum label l) {
    struct reach r;
    for (int z = 0; z < ZONE_COUNT; z++)
        r.zones[z] = matrix[l][z];
    return r;
}

struct reach reach_intersect(struct reach a, struct reach b) {
    for (int z = 0; z < ZONE_COUNT; z++)
        a.zones[z] = stricter(a.zones[z], b.zones[z]);
    return a;
}

struct reach reach_up_to(enum zone widest) {
    struct reach r;
    for (int z = 0; z < ZONE_COUNT; z++)
        r.zones[z] = z <= (int)widest ? COND_YES : COND_NO;
    return r;
}

static bool condition_allows(enum condition c, bool retention) {
    return c == COND_YES || (c == COND_NO_RETENTION && !retention);
}

bool reach_allows(const struct reach *r, enum zone z, bool retention) {
    return (int)z >= 0 && (int)z < ZONE_COUNT && condition_allows(r->zones[z], retention);
}

unsigned reach_mask(const struct reach *r) {
    unsigned mask = 0;
    for (int z = 0; z < ZONE_COUNT; z++)
        if (condition_allows(r->zones[z], false))
            mask |= 1u << z;
    return mask;
}

void reach_print(const struct reach *r, struct buf *out) {
    for (int z = 0; z < ZONE_COUNT; z++) {
        if (z > 0)
            buf_append_char(out, ' ');
        buf_append_str(out, zone_name((enum zone)z));
        buf_append_char(out, '=');
        buf_append_str(out, condition_name(r->zones[z]));
    }
}
