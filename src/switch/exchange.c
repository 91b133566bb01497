// SPDX-License-Identifier: Apache-2.0
// The way of a request: eight steps in one list, and the loop of a dozen lines that runs them. A step returns NEXT, WAIT
// or FAIL; what it waited for calls exchange_resume. Any failure goes to settle, which always runs and cannot fail. The
// exchange is freed after the loop's turn, never inside its own callback.
#include "switch/exchange.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/server.h"
#include "switch/money.h"
#include "switch/private.h"
#include "switch/reply.h"
#include "switch/worker.h"

// Of its arena: a small chat's request, plan and first attempt stand in it.
#define FIRST_BLOCK_BYTES 4064

static const struct step {
    const char *name;
    enum step_result (*run)(struct exchange *x);
} steps[STEP_SETTLE] = {
    [STEP_READ] = {"read", step_read},          // HTTP body → request
    [STEP_ADMIT] = {"admit", step_admit},       // who is it, may it
    [STEP_RECALL] = {"recall", step_recall},    // what adds content
    [STEP_LABEL] = {"label", step_label},       // how private, what it needs
    [STEP_DECIDE] = {"decide", step_decide},    // where: the plan
    [STEP_FORWARD] = {"forward", step_forward}, // attempts, until one commits
    [STEP_RELAY] = {"relay", step_relay},       // its answer, to the end
};

int64_t exchange_age_us(const struct exchange *x) {
    return (int64_t)(clock_mono_us() - x->in.start_us);
}

// Loop number, time and a counter: unique over restarts, and a cancel or GET finds its loop.
static void exchange_name(struct exchange *x) {
    struct buf id = BUF_FIXED(x->id);
    buf_append_char(&id, 'x');
    buf_append_hex(&id, x->w->loop.index, 2);
    buf_append_hex(&id, (uint64_t)x->start_wall_us, 12);
    buf_append_hex(&id, x->w->counter++, 5);
    (void)buf_cstr(&id);
}

static struct exchange *exchange_of_guest(struct guest *g) {
    return (struct exchange *)(void *)((char *)g - offsetof(struct exchange, guest));
}

static void exchange_guest_gone(struct guest *g) {
    exchange_gone(exchange_of_guest(g));
}

static void exchange_guest_credit(struct guest *g) {
    exchange_credit(exchange_of_guest(g));
}

static struct exchange *exchange_new(struct worker *w, const struct arrival *in, const struct sink *sink) {
    struct exchange *x = mem_zalloc(sizeof *x);
    if (!x)
        return NULL;
    x->w = w;
    x->in = *in;
    x->dialect = in->dialect;
    x->sink = *sink;
    x->start_wall_us = clock_wall_us();
    x->first_event_us = -1;
    for (size_t i = 0; i < STEP_COUNT; i++)
        x->step_us[i] = -1;
    x->snap = snapshot_ref(w->snap);
    arena_init(&x->arena, LIMIT_EXCHANGE_ARENA_BYTES, FIRST_BLOCK_BYTES);
    notes_init(&x->notes);
    exchange_name(x);
    x->next = w->live;
    if (w->live)
        w->live->prev = x;
    w->live = x;
    atomic_fetch_add_explicit(&w->n_live, 1, memory_order_relaxed);
    x->guest = (struct guest){exchange_guest_gone, exchange_guest_credit};
    if (sink->ops)
        sink->ops->bind(sink->to, &x->guest);
    return x;
}

static void exchange_free(void *arg) {
    struct exchange *x = arg;
    for (unsigned i = 0; i < x->n_attempts; i++)
        attempt_free(x->attempts[i]);
    worker_free(x->w, &x->arena, x->much);
    purse_done(&x->purse);
    snapshot_unref(x->snap);
    mem_free(x);
}

static void exchange_free_later(struct deferred *d) {
    struct exchange *x = (struct exchange *)(void *)((char *)d - offsetof(struct exchange, later));
    if (x->timer_live)
        timer_close(&x->timer, exchange_free);
    else
        exchange_free(x);
}

static void exchange_leave(struct exchange *x) {
    struct worker *w = x->w;
    if (x->prev)
        x->prev->next = x->next;
    if (x->next)
        x->next->prev = x->prev;
    if (w->live == x)
        w->live = x->next;
    atomic_fetch_sub_explicit(&w->n_live, 1, memory_order_relaxed);
    loop_defer(&w->loop, &x->later, exchange_free_later);
    worker_left(w);
}

// The parent hears of it while the child's arena still stands.
static void exchange_tell_parent(struct exchange *x) {
    struct exchange *parent = x->parent;
    if (!parent)
        return;
    parent->child = NULL;
    x->parent = NULL;
    if (!parent->settled)
        x->on_child(parent, x);
}

static void exchange_finish(struct exchange *x) {
    if (x->settled)
        return;
    x->settled = true;
    x->step = STEP_SETTLE;
    if (x->child)
        exchange_gone(x->child);
    private_leave(x);
    step_settle(x);
    exchange_tell_parent(x);
    exchange_leave(x);
}

bool exchange_is_away(const struct exchange *x) {
    for (; x; x = x->child)
        if (x->work.runs)
            return true;
    return false;
}

static void exchange_run(struct exchange *x) {
    if (x->running || x->settled || exchange_is_away(x))
        return;
    x->running = true;
    while (x->step < STEP_SETTLE) {
        enum step_result r = x->problem.err ? STEP_FAIL : steps[x->step].run(x);
        if (r == STEP_WAIT)
            break;
        x->step_us[x->step] = exchange_age_us(x);
        x->step = r == STEP_FAIL ? STEP_SETTLE : x->step + 1;
    }
    x->running = false;
    if (x->step == STEP_SETTLE)
        exchange_finish(x);
}

void exchange_start(struct worker *w, const struct arrival *in, const struct sink *sink) {
    struct exchange *x = exchange_new(w, in, sink);
    if (x) {
        exchange_run(x);
        return;
    }
    char text[1024];
    struct buf out = BUF_FIXED(text);
    int status = 503;
    in->dialect->write_error(&PROBLEM(ERR_NO_MEMORY), SLICE_NONE, &out, &status);
    sink->ops->respond(sink->to, status, "application/json", NULL, buf_slice(&out));
}

// ---- off the loop

static void work_run(void *arg) {
    struct exchange *x = arg;
    x->work.work(x->work.arg);
}

// The outermost that has failed meanwhile ends, and takes its helper calls with it.
static void work_done(void *arg) {
    struct exchange *x = arg, *failed = NULL;
    struct conn_keep *keep = x->work.keep; // what is recorded of a request may stand there
    x->work.runs = false;
    for (struct exchange *y = x; y; y = y->parent)
        if (y->problem.err)
            failed = y;
    if (failed)
        exchange_run(failed);
    else
        x->work.done(x->work.arg);
    conn_keep_done(keep);
}

bool exchange_offload(struct exchange *x, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
    const struct exchange *first = x;
    while (first->parent)
        first = first->parent;
    if (!first->sink.ops)
        return false;
    x->work = (struct exchange_work){work, done, arg, first->sink.ops->keep(first->sink.to), true};
    if (x->work.keep && loop_offload(&x->w->loop, work_run, work_done, x) == ERR_OK)
        return true;
    conn_keep_done(x->work.keep);
    x->work.runs = false;
    return false;
}

// ---- helper calls

static unsigned exchange_depth(const struct exchange *x) {
    unsigned depth = 0;
    for (; x->parent; x = x->parent)
        depth++;
    return depth;
}

static void exchange_run_later(struct deferred *d) {
    exchange_run((struct exchange *)(void *)((char *)d - offsetof(struct exchange, begin)));
}

enum err exchange_spawn(struct exchange *parent, struct request *request,
                        void (*done)(struct exchange *parent, struct exchange *child)) {
    if (parent->child || exchange_depth(parent) >= LIMIT_CHILD_DEPTH)
        return ERR_LIMIT;
    struct arrival in = parent->in;
    in.start_us = clock_mono_us();
    in.body = SLICE_NONE;
    struct exchange *x = exchange_new(parent->w, &in, &(struct sink){NULL, NULL});
    if (!x)
        return ERR_NO_MEMORY;
    snapshot_unref(x->snap);
    x->snap = snapshot_ref(parent->snap);
    x->parent = parent;
    x->on_child = done;
    x->request = request;
    x->much = parent->much;
    x->key = parent->key;
    purse_copy(&x->purse, &parent->purse);
    x->hops = parent->hops;
    x->deadline_ms = parent->deadline_ms;
    x->label = parent->label;
    x->label_source = parent->label_source;
    x->reach = parent->reach;
    x->route = parent->route;
    x->estimated_tokens = request_estimate_tokens(request);
    x->input_bound = money_input_bound(x, request);
    x->step = STEP_DECIDE;
    parent->child = x;
    loop_defer(&x->w->loop, &x->begin, exchange_run_later); // before `later`, if it ends at once
    return ERR_OK;
}

void exchange_resume(struct exchange *x) {
    exchange_run(x);
}

void exchange_fail(struct exchange *x, const struct problem *p) {
    if (x->settled || (x->winner && !exchange_is_away(x) && attempt_finish_whole(x->winner)))
        return;
    if (!x->problem.err)
        x->problem = *p;
    exchange_run(x);
}

enum step_result exchange_refuse(struct exchange *x, enum err e, const char *message) {
    x->problem = PROBLEM(e);
    x->problem.message = slice_str(message);
    return STEP_FAIL;
}

void exchange_gone(struct exchange *x) {
    x->sink.ops = NULL;
    exchange_fail(x, &PROBLEM(ERR_CLIENT_GONE));
}

void exchange_credit(struct exchange *x) {
    if (!x->paused || x->settled)
        return;
    x->paused = false;
    struct attempt *at = x->winner;
    if (!at || !at->alive)
        return;
    at->last_us = exchange_age_us(x);
    if (at->fetch)
        fetch_resume(at->fetch);
    exchange_arm(x);
}
