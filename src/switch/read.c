// SPDX-License-Identifier: Apache-2.0
// Read: HTTP body → request, by the client's dialect. The body is borrowed from the connection until the answer ends;
// strings of the tree point into the arena's own copy. A large body is read off the loop.
#include "switch/money.h"

bool json_is_much(struct slice json) {
    size_t quotes = 0;
    if (json.n > LIMIT_LOOP_JSON_BYTES)
        return true;
    if (json.n <= LIMIT_LOOP_JSON_QUOTES)
        return false;
    for (const char *p = json.p, *end = p + json.n; (p = memchr(p, '"', (size_t)(end - p))); p++)
        if (++quotes > LIMIT_LOOP_JSON_QUOTES)
            return true;
    return false;
}

struct reading {
    struct exchange *x;
    struct request *request;
    int64_t estimated_tokens, input_bound;
    struct problem problem;
};

static void reading_run(void *arg) {
    struct reading *r = arg;
    struct exchange *x = r->x;
    r->problem = PROBLEM(ERR_OK);
    enum err e = x->dialect->read_request(&x->arena, x->in.op, x->in.body, &r->request, &r->problem);
    if (e == ERR_OK && x->dialect->read_address)
        e = x->dialect->read_address(&x->arena, x->in.path, x->in.query, r->request, &r->problem);
    if (e && !r->problem.err)
        r->problem = PROBLEM(e);
    if (e)
        return;
    r->problem = PROBLEM(ERR_OK);
    r->estimated_tokens = request_estimate_tokens(r->request);
    r->input_bound = money_input_bound(x, r->request);
}

static enum step_result reading_take(struct exchange *x, const struct reading *r) {
    if (r->problem.err) {
        x->problem = r->problem;
        return STEP_FAIL;
    }
    x->request = r->request;
    x->estimated_tokens = r->estimated_tokens;
    x->input_bound = r->input_bound;
    return STEP_NEXT;
}

static void reading_done(void *arg) {
    exchange_resume(((struct reading *)arg)->x);
}

static bool reading_starts(struct exchange *x) {
    struct reading *r = ARENA_NEW(&x->arena, struct reading);
    if (!r)
        return false;
    r->x = x;
    x->reading = exchange_offload(x, reading_run, reading_done, r) ? r : NULL;
    return x->reading != NULL;
}

enum step_result step_read(struct exchange *x) {
    if (x->request)
        return STEP_NEXT; // a helper call brings its own
    if (x->reading)
        return reading_take(x, x->reading);
    x->much = json_is_much(x->in.body);
    if (x->much && reading_starts(x))
        return STEP_WAIT;
    struct reading here = {.x = x};
    reading_run(&here);
    return reading_take(x, &here);
}
