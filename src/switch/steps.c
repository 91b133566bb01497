// SPDX-License-Identifier: Apache-2.0
// Upstreams that answer in steps (dialect.read_step; Replicate): what is sent makes a prediction, whose stream is then
// read, or which is asked for until it is done. Part of forward: the attempt is one, its intent in the journal too; only
// its fetches are several. Addresses come from the upstream's answers, so they are held against the endpoint's own: the
// credential goes to no other host, and nothing but a stream is read from one. Whoever no longer wants a prediction says
// so, in a request that nobody waits for.
#include "switch/steps.h"
#include "base/limits.h"
#include "switch/permit.h"
#include "switch/worker.h"

#define POLL_LEAST_MS 250
#define POLL_MOST_MS 2000

bool steps_collect(const struct attempt *at) {
    return at->dialect->read_step && at->step.next != NEXT_STREAM && !at->step_over && at->status < 400;
}

void steps_open(struct attempt *at) {
    buf_done(&at->said);
    buf_init(&at->said, LIMIT_UP_BODY_BYTES);
}

enum err steps_bytes(struct attempt *at, struct slice bytes) {
    buf_append(&at->said, bytes);
    return at->said.failed ? ERR_UP_PROTOCOL : ERR_OK;
}

// ---- where the next step is

// "stream.x.example" beside "api.x.example": all but the first label is the same.
static bool host_is_beside(struct slice host, struct slice own) {
    size_t dot = slice_find(own, '.');
    return dot != SIZE_MAX && slice_find(slice_from(own, dot + 1), '.') != SIZE_MAX && host.n > own.n - dot &&
           slice_eq(slice_from(host, host.n - (own.n - dot)), slice_from(own, dot)) &&
           !(own.p[own.n - 1] >= '0' && own.p[own.n - 1] <= '9');
}

struct place {
    struct origin origin;
    struct slice path;
    bool own; // the endpoint's: the credential may go there
};

static enum err place_of(struct attempt *at, struct slice url, bool streams, struct place *ret) {
    const struct origin *own = &at->t->endpoint->origin;
    struct buf problem = BUF_INIT(4096);
    struct origin o = {0};
    enum err e = origin_parse(url, &o, &ret->path, &problem);
    buf_done(&problem);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    ret->own = o.tls == own->tls && o.port == own->port && slice_eq(o.host, own->host);
    if (!ret->own && (!streams || o.tls != own->tls || !host_is_beside(o.host, own->host)))
        return ERR_UP_PROTOCOL;
    ret->origin = *own;
    ret->origin.host = o.host;
    ret->origin.port = o.port;
    return ERR_OK;
}

static struct headers headers_for(struct attempt *at, const struct place *place, bool streams) {
    struct header *h = arena_array(&at->arena, 4, sizeof *h);
    size_t n = 0;
    if (!h)
        return (struct headers){NULL, 0};
    h[n++] = (struct header){SLICE("accept"), streams ? SLICE("text/event-stream") : SLICE("application/json")};
    h[n++] = (struct header){SLICE("cache-control"), SLICE("no-store")};
    h[n++] = (struct header){SLICE("user-agent"), SLICE("gridtie")};
    if (place->own && !secret_is_empty(&at->t->endpoint->key))
        h[n++] = attempt_credential(at);
    return (struct headers){h, n};
}

static enum err step_fetch(struct attempt *at, const char *method, struct slice url, const struct fetch_hooks *hooks,
                           void *user, struct fetch **ret) {
    struct place place;
    bool streams = at->step.next == NEXT_STREAM && url.p == at->step.url.p;
    enum err e = place_of(at, url, streams, &place);
    if (e)
        return e;
    at->permit = permit_make(at);
    const struct fetch_request r = {.origin = place.origin,
                                    .method = method,
                                    .path = place.path,
                                    .headers = headers_for(at, &place, streams),
                                    .connect_ms = at->t->endpoint->connect_ms,
                                    .permit = &at->permit,
                                    .fresh = at->fresh};
    return r.headers.n ? fetch_start(at->x->w->client, &r, hooks, user, ret) : ERR_NO_MEMORY;
}

void steps_fetch(struct attempt *at) {
    at->poll_ms = 0;
    at->status = 0;
    enum err e = step_fetch(at, "GET", at->step.url, &attempt_hooks, at, &at->fetch);
    if (e)
        attempt_fail(at, &PROBLEM(e));
    else
        exchange_arm(at->x);
}

// ---- from one to the next

static void poll_later(struct attempt *at) {
    at->poll_every_ms = at->poll_every_ms == 0 ? POLL_LEAST_MS : at->poll_every_ms * 2;
    if (at->poll_every_ms > POLL_MOST_MS)
        at->poll_every_ms = POLL_MOST_MS;
    at->poll_ms = (uint64_t)exchange_age_us(at->x) / 1000 + at->poll_every_ms;
    exchange_arm(at->x);
}

static void answer_take(struct attempt *at) {
    at->step_over = true;
    enum err e = relay_open(at, 200, SLICE("application/json"));
    if (!e)
        e = relay_bytes(at, buf_slice(&at->said));
    buf_done(&at->said);
    if (e)
        attempt_fail(at, &PROBLEM(e));
    else
        attempt_arrived(at);
}

void steps_next(struct attempt *at) {
    struct wire_step next;
    enum err e = at->dialect->read_step(&at->arena, buf_slice(&at->said), at->stream, &next);
    if (e) {
        attempt_fail(at, &PROBLEM(e));
        return;
    }
    at->step = next;
    at->fresh = false;
    if (next.next == NEXT_NOTHING)
        answer_take(at);
    else if (next.next == NEXT_STREAM)
        steps_fetch(at);
    else
        poll_later(at);
}

void steps_poll(struct attempt *at) {
    uint64_t late_ms = (uint64_t)at->asked_us / 1000 + at->t->endpoint->total_ms;
    if ((uint64_t)exchange_age_us(at->x) / 1000 >= late_ms)
        attempt_fail(at, &PROBLEM(ERR_UP_TIMEOUT));
    else
        steps_fetch(at);
}

// ---- the end

static void nobody_head(void *user, int status, const struct headers *h) {
    (void)user;
    (void)status;
    (void)h;
}

static void nobody_body(void *user, struct slice bytes) {
    (void)user;
    (void)bytes;
}

static void nobody_done(void *user, enum err e, const char *detail) {
    (void)user;
    (void)e;
    (void)detail;
}

static const struct fetch_hooks nobody = {NULL, nobody_head, nobody_body, nobody_done, NULL};

void steps_leave(struct attempt *at) {
    struct fetch *ignored;
    buf_done(&at->said);
    if (at->step.next == NEXT_NOTHING || !at->step.cancel.n || at->ended)
        return;
    // Where it can't be sent the prediction runs to its end: its cost is reckoned either way.
    enum err e = step_fetch(at, "POST", at->step.cancel, &nobody, NULL, &ignored);
    (void)e;
    at->step.next = NEXT_NOTHING;
}
