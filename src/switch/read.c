// SPDX-License-Identifier: Apache-2.0
// Read: HTTP body → request, by the client's dialect. The body is borrowed from the connection until the answer ends;
// strings of the tree point into the arena's own copy.
#include "switch/exchange.h"

enum step_result step_read(struct exchange *x) {
    if (x->request)
        return STEP_NEXT; // a helper call brings its own
    struct problem p = PROBLEM(ERR_OK);
    enum err e = x->dialect->read_request(&x->arena, x->in.op, x->in.body, &x->request, &p);
    if (e == ERR_OK && x->dialect->read_address)
        e = x->dialect->read_address(&x->arena, x->in.path, x->in.query, x->request, &p);
    if (e == ERR_OK)
        return STEP_NEXT;
    x->problem = p.err ? p : PROBLEM(e);
    return STEP_FAIL;
}
