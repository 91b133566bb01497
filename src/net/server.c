// SPDX-License-Identifier: Apache-2.0
// The HTTP server's life on one loop: its connections, their deadlines, draining and closing.
//
// The server owns listeners and connections and frees itself when the last of their handles is closed. Deadlines are
// not timers: each connection has one number, and one coarse timer looks at all of them while there are any.
// Nothing here blocks or logs.
#include "net/conn.h"
#include "base/limits.h"
#include "base/mem.h"

#define SWEEP_MS 1000 // the longest; deadlines are met with this much lateness
#define SWEEP_LEAST_MS 10
#define HEAD_OUT_BYTES ((size_t)256 << 10)

// ---- deadlines

static void server_sweep(struct timer *t);

static void server_sweep_arm(struct server *s) {
    if (s->sweeping || s->closing)
        return;
    s->sweeping = true;
    timer_start(&s->sweep, s->sweep_ms);
}

// A client that takes even a little has not stalled.
static bool conn_moved(struct conn *c) {
    if (!c->is_flying)
        return false;
    size_t left = conn_flying(c);
    bool moved = left < c->flying_left;
    c->flying_left = left;
    if (moved)
        c->deadline_ms = c->server->loop->now_ms + c->server->o.send_idle_ms;
    return moved;
}

static void server_sweep(struct timer *t) {
    struct server *s = t->arg;
    uint64_t now = s->loop->now_ms;
    s->sweeping = false;
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next; // conns leave the list when their handle is closed, not before
        if (c->state == CONN_CLOSED || !c->deadline_ms)
            continue;
        if (!conn_moved(c) && c->deadline_ms <= now)
            conn_timed_out(c);
    }
    for (struct listener *from = s->listeners; from; from = from->next)
        listener_retry(from);
    if (s->conns)
        server_sweep_arm(s);
}

// ---- counting

// c NULL: only something to come back for.
void server_conn_added(struct server *s, struct conn *c) {
    server_sweep_arm(s);
    if (!c)
        return;
    c->next = s->conns;
    c->prev = &s->conns;
    if (s->conns)
        s->conns->prev = &c->next;
    s->conns = c;
    s->n_conns++;
}

static void server_drained(struct server *s) {
    void (*idle)(void *) = s->idle;
    if (!s->draining || s->n_conns || !idle)
        return;
    s->idle = NULL;
    idle(s->idle_ctx);
}

void server_conn_removed(struct server *s, struct conn *c) {
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->n_conns--;
    server_drained(s);
}

void server_handle_gone(struct server *s) {
    if (--s->n_handles > 0 || !s->closing)
        return;
    void (*closed)(void *) = s->closed;
    void *ctx = s->closed_ctx;
    buf_done(&s->scratch);
    mem_free(s);
    if (closed)
        closed(ctx);
}

unsigned server_conns(const struct server *s) {
    return s->n_conns;
}

// ---- life

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static struct server_options options_filled(struct server_options o) {
    o.body_bytes = o.body_bytes ? o.body_bytes : LIMIT_BODY_BYTES;
    o.head_ms = o.head_ms ? o.head_ms : LIMIT_HEAD_MS;
    o.body_idle_ms = o.body_idle_ms ? o.body_idle_ms : LIMIT_BODY_IDLE_MS;
    o.keepalive_ms = o.keepalive_ms ? o.keepalive_ms : LIMIT_KEEPALIVE_MS;
    o.send_idle_ms = o.send_idle_ms ? o.send_idle_ms : LIMIT_SEND_IDLE_MS;
    o.backlog_bytes = o.backlog_bytes ? o.backlog_bytes : LIMIT_CLIENT_BACKLOG_BYTES;
    o.backlog_low_bytes = o.backlog_low_bytes ? o.backlog_low_bytes : LIMIT_CLIENT_LOW_BYTES;
    o.max_conns = o.max_conns ? o.max_conns : LIMIT_CONNS_PER_LOOP;
    return o;
}

enum err server_new(struct loop *l, const struct server_options *o, const struct server_hooks *h, void *ctx,
                    struct server **ret) {
    struct server *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    *s = (struct server){.loop = l, .o = options_filled(*o), .hooks = *h, .ctx = ctx, .n_handles = 1, .date_s = -1};
    buf_init(&s->scratch, HEAD_OUT_BYTES);
    if (!buf_reserve(&s->scratch, 1024)) {
        mem_free(s);
        return ERR_NO_MEMORY;
    }
    uint64_t shortest = least(least(s->o.head_ms, s->o.body_idle_ms), least(s->o.keepalive_ms, s->o.send_idle_ms));
    s->sweep_ms = least(SWEEP_MS, shortest / 4 < SWEEP_LEAST_MS ? SWEEP_LEAST_MS : shortest / 4);
    timer_init(&s->sweep, l, server_sweep, s);
    *ret = s;
    return ERR_OK;
}

void server_drain(struct server *s, void (*idle)(void *ctx), void *ctx) {
    s->draining = true;
    s->idle = idle;
    s->idle_ctx = ctx;
    listeners_close(s);
    for (struct conn *c = s->conns; c; c = c->next)
        if (c->state == CONN_IDLE)
            conn_close(c);
    server_drained(s);
}

static void server_sweep_closed(void *arg) {
    server_handle_gone(arg);
}

void server_close(struct server *s, void (*closed)(void *ctx), void *ctx) {
    s->closing = true;
    s->closed = closed;
    s->closed_ctx = ctx;
    s->idle = NULL;
    listeners_close(s);
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        conn_lost(c);
    }
    timer_close(&s->sweep, server_sweep_closed);
}
