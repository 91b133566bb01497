// SPDX-License-Identifier: Apache-2.0
// Forward: one attempt per stage of the plan. For each: permit, the engine's readiness, reserve the money, write the
// request in the target's dialect, send. Before commit a failure moves to the next stage; after it the client gets its
// dialect's error event and no second model is spliced in. The only file that starts fetches for exchanges.
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "grid/health.h"
#include "grid/quota.h"
#include "switch/defaults.h"
#include "switch/local.h"
#include "switch/money.h"
#include "switch/permit.h"
#include "switch/private.h"
#include "switch/reply.h"
#include "switch/steps.h"
#include "switch/worker.h"

// ---- while a model loads: the reply may come after the attempt is gone, so it finds it through this

struct engine_wait {
    struct attempt *at; // NULL: gone
};

static void attempt_send(struct attempt *at);

static void engine_replied(void *arg, enum err e, const char *detail) {
    struct engine_wait *wait = arg;
    struct attempt *at = wait->at;
    mem_free(wait);
    if (!at)
        return;
    at->waiting = NULL;
    if (e == ERR_OK) {
        attempt_send(at);
        return;
    }
    struct problem p = PROBLEM(e);
    at->detail = arena_copy(&at->x->arena, slice_str(detail));
    p.message = at->detail;
    attempt_fail(at, &p);
}

static bool engine_asked(struct attempt *at) {
    struct worker *w = at->x->w;
    struct engine_wait *wait = mem_zalloc(sizeof *wait);
    if (!wait) {
        attempt_fail(at, &PROBLEM(ERR_NO_MEMORY));
        return false;
    }
    wait->at = at;
    at->waiting = wait;
    const struct exchange *x = at->x;
    const struct engine_ask ask = {.keep_ms = x->request->keep_ms,
                                   .elsewhere = x->next_stage < x->plan.n_stages && x->n_attempts < LIMIT_ATTEMPTS,
                                   .watched = x->request->stream};
    if (!engine_want(w->grid, at->t, &ask, &w->loop, engine_replied, wait))
        return false;
    at->waiting = NULL;
    mem_free(wait);
    return true;
}

// ---- sending

static void notes_carry(struct exchange *x, const struct notes *from) {
    for (const struct note *n = from->first; n; n = n->next)
        notes_add(&x->arena, &x->notes, n->action, arena_copy(&x->arena, n->path), n->reason);
}

// The request as this target must get it.
static enum err attempt_request(struct attempt *at, const struct request **ret, struct problem *p) {
    struct exchange *x = at->x;
    const struct request *own;
    enum err e = defaults_apply(&at->arena, at->t, x->request, &own);
    *ret = own;
    if (e || !target_emulates_tools(at->t) || !tools_matter(own))
        return e;
    e = tools_rewrite(&at->arena, own, at->again == AGAIN_SCHEMA_BROKEN, &at->emulation, p);
    if (e)
        return e;
    if (!at->again) // else they are there already
        notes_carry(x, &at->emulation->notes);
    *ret = &at->emulation->sent;
    return ERR_OK;
}

struct writing {
    struct attempt *at;
    struct problem problem;
    bool done;
};

static void writing_run(void *arg) {
    struct writing *wr = arg;
    struct attempt *at = wr->at;
    struct exchange *x = at->x;
    const struct request *r;
    struct write_options o = {.model = at->t->model,
                              .quirks = at->t->endpoint->provider->quirks,
                              .lacks = at->t->endpoint->provider->lacks,
                              .max_tokens = -1,
                              .stream = -1,
                              .want_usage = true,
                              .default_max_tokens = 4096};
    struct problem *p = &wr->problem;
    *p = PROBLEM(ERR_OK);
    money_write_options(at, &o);
    at->stream = o.stream > 0 || x->request->stream;
    enum err e = attempt_request(at, &r, p);
    if (!e)
        e = at->dialect->write_request(&at->arena, r, &o, &at->wire, p);
    notes_carry(x, &at->wire.notes);
    wr->done = true;
    if (!e) {
        *p = PROBLEM(ERR_OK);
        return;
    }
    if (!p->err)
        *p = PROBLEM(e);
    p->message = arena_copy(&x->arena, p->message);
    p->param = arena_copy(&x->arena, p->param);
}

static void writing_done(void *arg) {
    attempt_send(((struct writing *)arg)->at);
}

// False: it runs on the pool, or it has failed.
static bool attempt_write(struct attempt *at) {
    struct writing here = {.at = at}, *wr = at->writing;
    if (at->x->much && !wr && (wr = at->writing = ARENA_NEW(&at->arena, struct writing))) {
        wr->at = at;
        if (exchange_offload(at->x, writing_run, writing_done, wr))
            return false;
    }
    if (!wr)
        wr = &here;
    if (!wr->done)
        writing_run(wr);
    at->written = wr->problem.err == ERR_OK;
    if (!at->written)
        attempt_fail(at, &wr->problem);
    return at->written;
}

struct header attempt_credential(struct attempt *at) {
    struct slice key = secret_reveal(&at->t->endpoint->key);
    const struct auth_header *auth = auth_header(at->t->endpoint->provider->auth);
    return (struct header){auth->name, auth->prefix.n ? ARENA_JOIN(&at->arena, auth->prefix, key) : key};
}

static size_t headers_of_client(const struct attempt *at, struct header *out, size_t room) {
    size_t n = 0;
    if (at->dialect != at->x->dialect || !at->dialect->carried_headers || !at->x->in.headers)
        return 0;
    for (const char *const *name = at->dialect->carried_headers; *name && n < room; name++) {
        struct slice v = headers_get(at->x->in.headers, *name);
        if (v.p)
            out[n++] = (struct header){slice_str(*name), v};
    }
    return n;
}

static bool header_is_in(const struct header *h, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (slice_eq_nocase(h[i].name, slice_str(name)))
            return true;
    return false;
}

static struct headers attempt_headers(struct attempt *at) {
    const struct endpoint *ep = at->t->endpoint;
    size_t room = 24 + ep->headers.n;
    struct header *h = arena_array(&at->arena, room, sizeof *h);
    if (!h)
        return (struct headers){NULL, 0};
    char digits[16];
    struct buf hop = BUF_FIXED(digits);
    size_t n = headers_of_client(at, h, 8);
    for (size_t i = 0; i < at->wire.n_headers; i++)
        if (!header_is_in(h, n, at->wire.headers[i].name))
            h[n++] = (struct header){slice_str(at->wire.headers[i].name), at->wire.headers[i].value};
    h[n++] = (struct header){SLICE("content-type"), SLICE("application/json")};
    bool events = at->stream && !at->wire.json_array;
    h[n++] = (struct header){SLICE("accept"),
                             events ? slice_str(at->dialect->stream_content_type) : SLICE("application/json")};
    h[n++] = (struct header){SLICE("user-agent"), SLICE("gridtie")};
    buf_append_u64(&hop, at->x->hops + 1);
    h[n++] = (struct header){SLICE("x-gridtie-hop"), arena_copy(&at->arena, buf_slice(&hop))};
    if (!secret_is_empty(&ep->key) && ep->provider->auth != AUTH_NONE)
        h[n++] = attempt_credential(at);
    for (size_t i = 0; i < ep->headers.n; i++)
        h[n++] = ep->headers.v[i];
    return (struct headers){h, n};
}

// ---- waiting for the journal

static void attempt_join(struct attempt *at, struct attempt **list) {
    at->next = *list;
    at->prev = list;
    if (at->next)
        at->next->prev = &at->next;
    *list = at;
}

static void attempt_leave(struct attempt *at) {
    if (!at->prev)
        return;
    *at->prev = at->next;
    if (at->next)
        at->next->prev = at->prev;
    at->prev = NULL;
}

// Its intent joins what the journal gets of this turn; attempts_written goes on.
static void attempt_reserve(struct attempt *at) {
    struct exchange *x = at->x;
    enum err e = money_intend(at);
    if (e) {
        attempt_fail(at, &PROBLEM(e));
        return;
    }
    at->sent = true; // from here on the journal holds it against us
    attempt_join(at, &x->w->reserving);
    worker_commit_later(x->w);
}

void attempt_raised(struct attempt *at) {
    if (!at->prev)
        attempt_join(at, &at->x->w->raising);
    worker_commit_later(at->x->w);
}

static void attempt_fetch(struct attempt *at) {
    const struct endpoint *ep = at->t->endpoint;
    at->permit = permit_make(at);
    at->asked_us = at->last_us = exchange_age_us(at->x);
    struct fetch_request r = {.origin = ep->origin,
                              .method = "POST",
                              .headers = attempt_headers(at),
                              .body = at->wire.body,
                              .connect_ms = ep->connect_ms,
                              .permit = &at->permit,
                              .fresh = at->fresh};
    if (ep->engine)
        r.origin.unix_path = at->t->unix_path;
    r.path = endpoint_path(ep, at->t->model, at->wire.path, &at->arena);
    enum err e =
        r.path.n && r.headers.n ? fetch_start(at->x->w->client, &r, &attempt_hooks, at, &at->fetch) : ERR_NO_MEMORY;
    if (e) {
        attempt_fail(at, &PROBLEM(e));
        return;
    }
    if (!at->fresh)
        target_sent(at->t, at->x->estimated_tokens);
    target_tried(at->t, clock_mono_ms());
    exchange_arm(at->x);
}

// Everything that has to be true before a byte leaves, in order. The attempt may have failed and be over when it returns.
static void attempt_send(struct attempt *at) {
    if (!money_take(at)) // before it is written: the bound on the wire is what money pays for
        return;
    if (!at->written && !attempt_write(at))
        return;
    if (!private_ready(at))
        return;
    if (at->sent)
        attempt_fetch(at); // the second try on a fresh connection is the same attempt
    else
        attempt_reserve(at);
}

void attempt_go(struct attempt *at) {
    attempt_send(at);
}

// A hold that was raised is no use where no line says so.
static void raises_written(struct worker *w, enum err e) {
    while (w->raising) {
        w->raising->unwritten |= e != ERR_OK;
        attempt_leave(w->raising);
    }
}

// Whoever fails may start another, which waits for the next writing: these are taken off the worker's list first.
void attempts_written(struct worker *w, enum err e) {
    struct attempt *waiting = w->reserving;
    raises_written(w, e);
    w->reserving = NULL;
    if (waiting)
        waiting->prev = &waiting;
    while (waiting) {
        struct attempt *at = waiting;
        attempt_leave(at);
        at->sent = e == ERR_OK;
        if (e)
            attempt_fail(at, &PROBLEM(e));
        else if (private_receipt(at))
            attempt_fetch(at);
    }
}

static struct attempt *attempt_new(struct exchange *x, unsigned stage) {
    const struct stage *s = &x->plan.stages[stage];
    struct attempt *at = ARENA_NEW(&x->arena, struct attempt);
    if (!at)
        return NULL;
    at->x = x;
    at->index = x->n_attempts;
    at->stage = stage;
    at->t = x->targets[x->plan.candidates[s->candidate].index];
    at->dialect = dialect_get(at->t->endpoint->provider->dialect);
    at->usage = USAGE_NONE;
    at->retry_after_ms = -1;
    at->start_us = at->last_us = exchange_age_us(x);
    at->sent_us = at->first_event_us = at->end_us = -1;
    at->alive = true;
    arena_init(&at->arena, LIMIT_EXCHANGE_ARENA_BYTES, 0);
    x->attempts[x->n_attempts++] = at;
    return at;
}

static void attempt_count(struct attempt *at) {
    struct target_live *live = at->t->live;
    at->counted = true;
    atomic_fetch_add_explicit(&live->in_flight, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&live->requests, 1, memory_order_relaxed);
}

// False: it was not started (the exchange fails with its last problem).
static bool attempt_begin(struct exchange *x, unsigned stage, enum again again) {
    struct attempt *at = attempt_new(x, stage);
    if (!at) {
        x->problem = PROBLEM(ERR_NO_MEMORY);
        return false;
    }
    at->again = again;
    attempt_count(at);
    if (at->t->endpoint->engine && !engine_asked(at)) {
        exchange_arm(x);
        return true; // waits, or has failed and gone on by itself
    }
    attempt_send(at);
    return true;
}

// Starts the next stage that is left.
static bool stage_next(struct exchange *x) {
    if (x->next_stage >= x->plan.n_stages || x->n_attempts >= LIMIT_ATTEMPTS)
        return false;
    return attempt_begin(x, x->next_stage++, AGAIN_NOT);
}

// ---- the end of an attempt

static void live_note_result(struct attempt *at, enum err e) {
    struct target_live *live = at->t->live;
    if (at->counted)
        atomic_fetch_sub_explicit(&live->in_flight, 1, memory_order_relaxed);
    at->counted = false;
    if (e == ERR_OK || e == ERR_CLIENT_GONE || e == ERR_CANCELLED || e == ERR_PAYMENT || e == ERR_BUDGET_HELD)
        return; // not the target's
    atomic_fetch_add_explicit(&live->failures, 1, memory_order_relaxed);
    atomic_store_explicit(&live->last_err, (int)e, memory_order_relaxed);
    atomic_store_explicit(&live->last_error_wall_us, clock_wall_us(), memory_order_relaxed);
}

void attempt_free(struct attempt *at) {
    private_free(at);
    worker_free(at->x->w, &at->arena, at->x->much);
}

void attempt_end(struct attempt *at, enum err err) {
    if (!at->alive)
        return;
    attempt_leave(at);
    at->alive = false;
    at->err = err;
    at->end_us = exchange_age_us(at->x);
    if (at->waiting)
        at->waiting->at = NULL;
    at->waiting = NULL;
    if (at->fetch) {
        at->reused = fetch_reused(at->fetch);
        fetch_cancel(at->fetch);
    }
    at->fetch = NULL;
    steps_leave(at);
    money_settle(at);
    live_note_result(at, err);
    target_ended(at->t, err, at->retry_after_ms, clock_mono_ms());
    target_health_note(at->t, err, clock_mono_ms());
    if (at->frames_live)
        frame_reader_done(&at->frames);
    at->frames_live = false;
    buf_done(&at->out);
    buf_done(&at->body);
    if (!private_drop(at) && at->x->winner != at)
        attempt_free(at); // the winner's holds the answer until the exchange ends
}

static bool may_try(const struct exchange *x) {
    return !x->winner && !x->problem.err && x->n_attempts < LIMIT_ATTEMPTS;
}

static bool may_go_on(const struct exchange *x, const struct problem *p) {
    return may_try(x) && err_row(p->err)->retriable && x->next_stage < x->plan.n_stages;
}

void attempt_fail(struct attempt *at, const struct problem *given) {
    struct exchange *x = at->x;
    struct problem p = *given;
    if (!at->alive || attempt_finish_whole(at))
        return;
    bool died = at->t->endpoint->engine && (p.err == ERR_UP_CONNECT || p.err == ERR_UP_DIED);
    if (died || (at->t->endpoint->engine && p.err == ERR_UP_TIMEOUT))
        engine_suspect(x->w->grid, at->t);
    if (p.retry_after_ms < 0)
        p.retry_after_ms = at->retry_after_ms;
    relay_rest(at); // what it said before it broke
    attempt_end(at, p.err);
    // Once more is worth it where the engine crashed under us or a model spoke out of its schema; a request that kills the
    // engine, or is beyond the model, is not.
    enum again why = died ? AGAIN_ENGINE_DIED : p.err == ERR_UP_SCHEMA ? AGAIN_SCHEMA_BROKEN : AGAIN_NOT;
    if (why && !at->again && may_try(x) && attempt_begin(x, at->stage, why))
        return;
    if ((may_go_on(x, &p) && stage_next(x)) || local_estimates(x, &p))
        return;
    exchange_fail(x, &p); // where not even the next attempt could be made, that is the problem already
}

// ---- what the upstream does

static void attempt_on_sent(void *user) {
    struct attempt *at = user;
    at->sent_us = exchange_age_us(at->x);
}

static void attempt_on_head(void *user, int status, const struct headers *h) {
    struct attempt *at = user;
    struct quota_said said;
    at->last_us = exchange_age_us(at->x);
    said.retry_ms = -1;
    if (!at->t->endpoint->engine) {
        quota_read(h, clock_wall_us(), &said);
        target_heard(at->t, &said, clock_mono_ms());
    }
    if (status >= 400)
        at->retry_after_ms = said.retry_ms;
    if (at->limited && at->stream)
        habit_note_round_trip(&at->t->live->habit, fetch_round_trip_us(at->fetch));
    at->status = status;
    if (steps_collect(at)) {
        steps_open(at);
        return;
    }
    enum err e = relay_open(at, status, headers_get(h, "content-type"));
    if (e)
        attempt_fail(at, &PROBLEM(e));
}

static void exchange_commit(struct attempt *at) {
    struct exchange *x = at->x;
    x->winner = at;
    at->first_event_us = x->first_event_us = exchange_age_us(x);
    exchange_resume(x);
}

static void attempt_deliver(struct attempt *at);

// After bytes were taken in: an error that the upstream said itself, the commit, and what can go out.
static void attempt_progress(struct attempt *at) {
    struct exchange *x = at->x;
    if (at->errored) {
        attempt_fail(at, &at->problem);
        return;
    }
    if (at->cut) {
        if (!money_looks_on(at))
            attempt_deliver(at);
        return;
    }
    if (at->commits && !x->winner && x->request->stream && at->framed)
        exchange_commit(at);
    if (at->alive)
        relay_flush(at);
}

static void attempt_on_body(void *user, struct slice bytes) {
    struct attempt *at = user;
    at->last_us = exchange_age_us(at->x);
    bool way = steps_collect(at);
    enum err e = way ? steps_bytes(at, bytes) : relay_bytes(at, bytes);
    if (e)
        attempt_fail(at, &PROBLEM(e));
    else if (!way)
        attempt_progress(at);
}

static void attempt_refused(struct attempt *at) {
    struct problem p = PROBLEM(ERR_OK);
    at->dialect->read_error(&at->x->arena, at->status, buf_slice(&at->body), at->t->endpoint->provider->quirks, &p);
    if (!p.err)
        p.err = dialect_err_of_status(at->status);
    p.status = at->status;
    if (at->retry_after_ms < 0)
        at->retry_after_ms = p.retry_after_ms;
    at->detail = private_detail(at, slice_first(p.message, 300));
    if (at->emulation)
        tools_blame(at->emulation, &at->x->arena, &p);
    if (err_row(p.err)->fault != FAULT_CLIENT && p.err != ERR_UP_RATE_LIMIT)
        p.message = SLICE_NONE; // internals stay here
    p.message = private_restore(at, p.message);
    attempt_fail(at, &p);
}

static void attempt_deliver(struct attempt *at) {
    struct exchange *x = at->x;
    if (!x->winner)
        exchange_commit(at);
    if (!at->alive)
        return;
    relay_flush(at);
    money_settle(at); // the answer's head names its cost
    x->finish = at->finish;
    if (!x->request->stream) {
        x->answer = at->answer;
        if (at->verbatim || at->out.len)
            reply_verbatim(x, at->verbatim ? &at->body : &at->out);
    }
    attempt_end(at, ERR_OK);
    exchange_resume(x);
}

bool attempt_finish_whole(struct attempt *at) {
    if (!at->alive || !(at->cut || (at->whole && at->x->winner == at)))
        return false;
    attempt_deliver(at);
    return true;
}

// ---- the whole answer

struct arrived {
    struct attempt *at;
    enum err err;
};

static void arrived_take(struct attempt *at, enum err e) {
    if (e || at->errored)
        attempt_fail(at, e ? &PROBLEM(e) : &at->problem);
    else
        attempt_deliver(at);
}

static void arrived_run(void *arg) {
    struct arrived *ar = arg;
    ar->err = relay_close(ar->at);
    if (!ar->err && !ar->at->errored)
        relay_write(ar->at);
}

static void arrived_done(void *arg) {
    const struct arrived *ar = arg;
    arrived_take(ar->at, ar->err);
}

// Read, or only written, it is too much for here.
static bool arrived_is_much(const struct attempt *at) {
    if (at->fetch)
        return false; // its connection is still read
    return at->framed ? !at->x->request->stream && at->output_bytes > LIMIT_LOOP_JSON_BYTES
                      : json_is_much(buf_slice(&at->body));
}

void attempt_arrived(struct attempt *at) {
    struct arrived *ar = arrived_is_much(at) ? ARENA_NEW(&at->arena, struct arrived) : NULL;
    if (ar) {
        ar->at = at;
        at->x->much = true; // to be freed, too
        if (exchange_offload(at->x, arrived_run, arrived_done, ar))
            return;
    }
    arrived_take(at, relay_close(at));
}

static void attempt_on_done(void *user, enum err e, const char *detail) {
    struct attempt *at = user;
    at->reused = at->fetch && fetch_reused(at->fetch);
    at->fetch = NULL;
    if (e == ERR_STALE && !at->fresh) {
        at->fresh = true;
        at->sent_us = -1;
        if (at->step.next)
            steps_fetch(at);
        else
            attempt_send(at);
        return;
    }
    if (e == ERR_OK && steps_collect(at)) {
        steps_next(at);
        return;
    }
    if (e == ERR_OK || (at->ended && e == ERR_UP_DIED)) {
        if (at->status >= 400)
            attempt_refused(at);
        else
            attempt_arrived(at);
        return;
    }
    at->detail = arena_copy(&at->x->arena, slice_str(detail));
    attempt_fail(at, &PROBLEM(e));
}

// The loop's turn may be long with thousands of streams: what this one brought does not wait for its end.
static void attempt_on_read_end(void *user) {
    struct attempt *at = user;
    struct exchange *x = at->x;
    if (x->winner == at && x->sink.ops)
        x->sink.ops->flush(x->sink.to);
}

const struct fetch_hooks attempt_hooks = {attempt_on_sent, attempt_on_head, attempt_on_body, attempt_on_done,
                                          attempt_on_read_end};

// ---- deadlines: one timer for the exchange, armed for the nearest

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

// Milliseconds of the exchange's age at which this attempt is late; UINT64_MAX when it can't be.
static uint64_t attempt_late_ms(const struct attempt *at) {
    const struct endpoint *ep = at->t->endpoint;
    if (at->alive && at->cut)
        return at->look_ms;
    if (!at->alive || !at->fetch)
        return at->alive && at->poll_ms ? at->poll_ms : money_late_ms(at);
    uint64_t total = (uint64_t)at->asked_us / 1000 + ep->total_ms;
    if (at->x->paused)
        return total; // the client is slow, not the upstream
    if (!at->commits && at->x->winner != at)
        return sooner(total, (uint64_t)at->asked_us / 1000 + ep->first_event_ms);
    return sooner(total, (uint64_t)at->last_us / 1000 + ep->idle_ms);
}

// Likewise: at which a stream whose model still loads gets a sign of life.
static uint64_t attempt_ping_ms(const struct attempt *at) {
    int64_t every = at->x->snap->config->engine.ping_ms;
    if (!at->alive || !at->waiting || every <= 0 || !reply_can_ping(at->x))
        return UINT64_MAX;
    return (uint64_t)at->last_us / 1000 + (uint64_t)every;
}

static void exchange_on_time(struct timer *timer) {
    struct exchange *x = timer->arg;
    if (x->deadline_ms && clock_mono_ms() >= x->deadline_ms) {
        exchange_fail(x, &PROBLEM(ERR_DEADLINE));
        return;
    }
    uint64_t age_ms = (uint64_t)exchange_age_us(x) / 1000;
    for (unsigned i = 0; i < x->n_attempts && !exchange_is_away(x); i++) {
        struct attempt *at = x->attempts[i];
        if (attempt_ping_ms(at) <= age_ms) {
            at->last_us = exchange_age_us(x);
            reply_ping(x);
        }
        if (x->settled)
            return;
        if (attempt_late_ms(at) > age_ms)
            continue;
        if (at->cut)
            attempt_progress(at);
        else if (!at->fetch && at->poll_ms)
            steps_poll(at);
        else if (!at->fetch)
            money_waited(at);
        else if (at->ended)
            attempt_arrived(at); // the answer is whole, only the connection does not end
        else
            attempt_fail(at, &PROBLEM(ERR_UP_TIMEOUT));
        return; // the exchange may be gone or armed anew
    }
    exchange_arm(x);
}

void exchange_arm(struct exchange *x) {
    if (x->settled)
        return;
    uint64_t now = (uint64_t)exchange_age_us(x) / 1000, at = UINT64_MAX;
    if (x->deadline_ms) {
        uint64_t mono = clock_mono_ms();
        at = now + (x->deadline_ms > mono ? x->deadline_ms - mono : 0);
    }
    for (unsigned i = 0; i < x->n_attempts; i++)
        at = sooner(at, sooner(attempt_late_ms(x->attempts[i]), attempt_ping_ms(x->attempts[i])));
    if (at == UINT64_MAX)
        return;
    if (!x->timer_live)
        timer_init(&x->timer, &x->w->loop, exchange_on_time, x);
    x->timer_live = true;
    timer_start(&x->timer, at > now ? at - now + 1 : 1);
}

// ---- the step

enum step_result step_forward(struct exchange *x) {
    if (x->problem.err)
        return STEP_FAIL;
    if (x->local_answer)
        return local_run(x);
    if (x->winner) {
        reply_begin(x);
        return STEP_NEXT;
    }
    if (x->n_attempts == 0 && !stage_next(x) && !x->problem.err)
        return exchange_refuse(x, ERR_NO_TARGET, NULL);
    if (x->problem.err)
        return STEP_FAIL;
    return x->winner ? step_forward(x) : STEP_WAIT;
}
