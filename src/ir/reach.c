// SPDX-License-Identifier: Apache-2.0
// Where a request may be computed. It is made once from the label's row of the matrix and then only narrowed: by the
// key, by headers, by a label that rises. A pure value; copying it is how it is shared. Nothing here widens, and nothing
// may: the permit that opens sockets believes what it reads here.
#include "ir/reach.h"
#include "base/buf.h"

enum condition condition_stricter(enum condition a, enum condition b) {
    if (a == b || b == COND_YES)
        return a;
    if (a == COND_YES)
        return b;
    return a == COND_NO || b == COND_NO ? COND_NO : COND_BOTH;
}

struct reach reach_of_label(const enum condition matrix[LABEL_COUNT][ZONE_COUNT], enum label l) {
    struct reach r;
    for (int z = 0; z < ZONE_COUNT; z++)
        r.zones[z] = matrix[l][z];
    return r;
}

struct reach reach_intersect(struct reach a, struct reach b) {
    for (int z = 0; z < ZONE_COUNT; z++)
        a.zones[z] = condition_stricter(a.zones[z], b.zones[z]);
    return a;
}

struct reach reach_up_to(enum zone widest) {
    struct reach r;
    for (int z = 0; z < ZONE_COUNT; z++)
        r.zones[z] = z <= (int)widest ? COND_YES : COND_NO;
    return r;
}

static bool condition_allows(enum condition c, bool retention, bool replaced) {
    if (c == COND_NO || (condition_pseudonymises(c) && !replaced))
        return false;
    return !retention || c == COND_YES || c == COND_PSEUDONYMISED;
}

bool reach_allows(const struct reach *r, enum zone z, bool retention, bool replaced) {
    return (int)z >= 0 && (int)z < ZONE_COUNT && condition_allows(r->zones[z], retention, replaced);
}

unsigned reach_mask(const struct reach *r) {
    unsigned mask = 0;
    for (int z = 0; z < ZONE_COUNT; z++)
        if (condition_allows(r->zones[z], false, true))
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
