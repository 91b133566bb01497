// SPDX-License-Identifier: Apache-2.0
// What gridtie answers itself, as part of forward. Ollama's clients load a model with an empty prompt and unload it with
// keep_alive 0. A count of tokens goes to the upstream if it has an address for it; else a free local target counts
// exactly, by a helper call that generates one token; else it is our estimate.
#include "switch/local.h"
#include "base/mem.h"
#include "switch/worker.h"

static const struct target *first_target(const struct exchange *x) {
    return x->targets[x->plan.candidates[x->plan.stages[0].candidate].index];
}

static bool is_load(const struct exchange *x) {
    const struct request *r = x->request;
    if (x->dialect->id != DIALECT_OLLAMA || r->op == OP_COUNT_TOKENS)
        return false;
    return r->op == OP_GENERATE ? r->prompt.n == 0 && !r->messages : r->messages == NULL;
}

static bool is_count(const struct exchange *x) {
    return x->request->op == OP_COUNT_TOKENS &&
           !dialect_get(first_target(x)->endpoint->provider->dialect)->counts_tokens;
}

bool local_applies(const struct exchange *x) {
    return is_load(x) || is_count(x);
}

static enum step_result answer_with(struct exchange *x, struct usage usage, enum finish finish) {
    struct event ev[] = {{.kind = EV_START, .model = x->request->model, .id = slice_str(x->id)},
                         {.kind = EV_USAGE, .usage = usage},
                         {.kind = EV_FINISH, .finish = finish},
                         {.kind = EV_END}};
    ev[0].created_s = x->start_wall_us / 1000000;
    struct answer *answer = answer_new(&x->arena);
    if (!answer)
        return exchange_refuse(x, ERR_NO_MEMORY, NULL);
    for (size_t i = 0; i < sizeof ev / sizeof ev[0]; i++) {
        enum err e = answer_add(answer, &ev[i]);
        if (e)
            return exchange_refuse(x, e, NULL);
    }
    x->answer = answer;
    x->finish = finish;
    return STEP_NEXT;
}

// ---- load and unload

// The exchange may be gone by then; the worker's list of live ones tells.
static bool still_live(const struct worker *w, const struct exchange *wanted) {
    for (const struct exchange *x = w->live; x; x = x->next)
        if (x == wanted)
            return true;
    return false;
}

struct load_reply {
    struct worker *w;
    struct exchange *x;
    char id[EXCHANGE_ID_BYTES];
};

static void model_loaded(void *arg, enum err e, const char *detail) {
    struct load_reply *reply = arg;
    struct exchange *x = reply->x;
    bool live = still_live(reply->w, x) && strcmp(x->id, reply->id) == 0;
    mem_free(reply);
    if (!live || x->settled)
        return;
    if (e) {
        struct problem p = PROBLEM(e);
        p.message = arena_copy(&x->arena, slice_str(detail));
        exchange_fail(x, &p);
        return;
    }
    if (answer_with(x, USAGE_NONE, FINISH_LOAD) == STEP_NEXT)
        x->local_waits = false;
    exchange_resume(x);
}

static enum step_result load_run(struct exchange *x) {
    const struct target *t = first_target(x);
    if (!t->endpoint->engine)
        return answer_with(x, USAGE_NONE, FINISH_LOAD);
    if (x->request->keep_ms == 0) {
        (void)engine_unload(x->w->grid, t->model);
        return answer_with(x, USAGE_NONE, FINISH_LOAD);
    }
    struct load_reply *reply = mem_zalloc(sizeof *reply);
    if (!reply)
        return exchange_refuse(x, ERR_NO_MEMORY, NULL);
    *reply = (struct load_reply){.w = x->w, .x = x};
    memcpy(reply->id, x->id, sizeof reply->id);
    const struct engine_ask ask = {.keep_ms = x->request->keep_ms, .watched = true};
    if (engine_want(x->w->grid, t, &ask, &x->w->loop, model_loaded, reply)) {
        mem_free(reply);
        return answer_with(x, USAGE_NONE, FINISH_LOAD);
    }
    x->local_waits = true;
    return STEP_WAIT;
}

// ---- counting

static enum step_result count_estimated(struct exchange *x) {
    struct usage u = USAGE_NONE;
    u.input_tokens = x->estimated_tokens;
    u.output_tokens = 0;
    u.estimated = true;
    notes_add(&x->arena, &x->notes, "approximated", SLICE("input_tokens"), "estimated: the target cannot count tokens");
    return answer_with(x, u, FINISH_STOP);
}

bool local_estimates(struct exchange *x, const struct problem *p) {
    if (x->request->op != OP_COUNT_TOKENS || x->winner || x->problem.err || x->local_answer)
        return false;
    if (p->status != 404 && p->status != 405 && p->status != 501)
        return false;
    x->local_answer = true;
    (void)count_estimated(x);
    exchange_resume(x);
    return true;
}

static void count_done(struct exchange *x, struct exchange *child) {
    struct usage u = USAGE_NONE;
    x->local_waits = false;
    if (child->problem.err == ERR_OK && child->answer && child->answer->usage.input_tokens >= 0) {
        u.input_tokens = child->answer->usage.input_tokens;
        u.output_tokens = 0;
        (void)answer_with(x, u, FINISH_STOP);
    } else {
        (void)count_estimated(x);
    }
    exchange_resume(x);
}

static enum step_result count_run(struct exchange *x) {
    const struct target *t = first_target(x);
    bool is_free = t->price.input == 0 && t->price.output == 0 && t->zone == ZONE_DEVICE;
    struct request *r = is_free && x->request->messages ? arena_alloc(&x->arena, sizeof *r) : NULL;
    if (!r)
        return count_estimated(x);
    *r = *x->request;
    r->op = OP_CHAT;
    r->stream = false;
    r->max_tokens = 1;
    r->doc = (struct json_doc){0}; // it is another request now: written from the fields
    if (exchange_spawn(x, r, count_done))
        return count_estimated(x);
    x->local_waits = true;
    return STEP_WAIT;
}

enum step_result local_run(struct exchange *x) {
    if (x->problem.err)
        return STEP_FAIL;
    if (x->answer)
        return STEP_NEXT;
    if (x->local_waits)
        return STEP_WAIT;
    return is_load(x) ? load_run(x) : count_run(x);
}
