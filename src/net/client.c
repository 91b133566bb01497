// SPDX-License-Identifier: Apache-2.0
// HTTP out: which of the two clients serves an origin, and what both share: the lives of fetches and of the client.
//
// A fetch is in the client's list until it is over; then no hook of it is called any more, and it is freed when the
// turn ends, as it may stand on the stack. The client is freed when its last handle is closed. Nothing here does I/O.
#include <arpa/inet.h>
#include "base/limits.h"
#include "base/mem.h"
#include "net/fetch.h"
#include <netinet/tcp.h>

#define SWEEP_IDLE_MS 1000
#define SWEEP_CONNECT_MS 50

// ---- fetches

void fetch_init(struct fetch *f, struct client *c, const struct fetch_kind *kind, const struct fetch_hooks *hooks,
                void *user) {
    f->kind = kind;
    f->client = c;
    f->hooks = hooks;
    f->user = user;
    f->next = c->fetches;
    f->prev = &c->fetches;
    if (f->next)
        f->next->prev = &f->next;
    c->fetches = f;
}

static void fetch_on_turn(struct deferred *d) {
    struct fetch *f = (struct fetch *)(void *)((char *)d - offsetof(struct fetch, turn));
    f->turn_queued = false;
    if (f->over)
        f->kind->free(f);
    else
        f->kind->turn(f);
}

void fetch_turn_queue(struct fetch *f) {
    if (f->turn_queued)
        return;
    f->turn_queued = true;
    loop_defer(f->client->loop, &f->turn, fetch_on_turn);
}

static void fetch_over(struct fetch *f) {
    f->over = true;
    *f->prev = f->next;
    if (f->next)
        f->next->prev = f->prev;
    fetch_turn_queue(f);
}

void fetch_tell_sent(struct fetch *f) {
    if (f->sent_told || f->over)
        return;
    f->sent_told = true;
    if (f->hooks->on_sent)
        f->hooks->on_sent(f->user);
}

void fetch_finish(struct fetch *f, enum err e, const char *detail) {
    if (f->over)
        return;
    fetch_over(f);
    f->hooks->on_done(f->user, e, detail);
}

void fetch_pause(struct fetch *f) {
    if (!f->over)
        f->kind->pause(f);
}

void fetch_resume(struct fetch *f) {
    if (!f->over)
        f->kind->resume(f);
}

void fetch_cancel(struct fetch *f) {
    if (f->over)
        return;
    fetch_over(f);
    f->kind->cancel(f);
}

bool fetch_reused(const struct fetch *f) {
    return f->reused;
}

uint32_t fetch_round_trip_us(const struct fetch *f) {
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    int fd = f->over ? -1 : f->kind->socket(f);
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 ? info.tcpi_rtt : 0;
}

bool header_is_ours(struct slice name) {
    static const struct slice ours[] = {
        {"host", 4}, {"content-length", 14}, {"connection", 10}, {"transfer-encoding", 17}};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (slice_eq_nocase(name, ours[i]))
            return true;
    return false;
}

static bool path_is_plain(struct slice path) {
    for (size_t i = 0; i < path.n; i++)
        if ((unsigned char)path.p[i] <= ' ' || path.p[i] == 0x7f)
            return false;
    return true;
}

bool host_is_localhost(struct slice host) {
    if (slice_eq_nocase(host, SLICE("localhost")))
        return true;
    return host.n > 10 && slice_eq_nocase(slice_from(host, host.n - 10), SLICE(".localhost"));
}

static bool needs_a_name_server(const struct origin *o) {
    char name[INET6_ADDRSTRLEN] = "";
    struct in6_addr ignored;
    if (o->unix_path.n || host_is_localhost(o->host))
        return false;
    if (o->host.n < sizeof name)
        memcpy(name, o->host.p, o->host.n);
    return inet_pton(AF_INET, name, &ignored) != 1 && inet_pton(AF_INET6, name, &ignored) != 1;
}

enum err fetch_start(struct client *c, const struct fetch_request *r, const struct fetch_hooks *hooks, void *user,
                     struct fetch **ret) {
    const struct permit *p = r->permit;
    if (!p || (unsigned)p->zone >= ZONE_COUNT || !(p->allowed & 1u << p->zone))
        return ERR_NO_PERMIT;
    // What a proxy reaches is not this device, and a proxy on loopback would be the way out of being offline.
    if (r->origin.proxy && (p->zone == ZONE_DEVICE || outgoing_is_offline()))
        return ERR_NO_PERMIT;
    // Asking for a name is itself a packet that leaves.
    if (outgoing_is_offline() && needs_a_name_server(&r->origin))
        return ERR_NO_PERMIT;
    if (c->closing)
        return ERR_DRAINING;
    if (!path_is_plain(r->path) || !slice_is_one_line(r->origin.host))
        return ERR_BAD_REQUEST;
    return r->origin.tls || r->origin.proxy ? curl_start(c, r, hooks, user, ret) : plain_start(c, r, hooks, user, ret);
}

// ---- the client

static void client_sweep(struct timer *t) {
    struct client *c = t->arg;
    c->sweeping = false;
    for (struct fetch *f = c->fetches, *next; f; f = next) {
        next = f->next;
        if (f->kind == &plain_kind && ((struct plain *)f)->connecting)
            plain_sweep((struct plain *)f);
    }
    links_sweep(c);
    client_sweep_arm(c);
}

void client_sweep_arm(struct client *c) {
    if (c->closing || (c->sweeping && !c->n_connecting) || (!c->n_idle && !c->n_connecting))
        return;
    c->sweeping = true;
    timer_start(&c->sweep, c->n_connecting ? SWEEP_CONNECT_MS : SWEEP_IDLE_MS);
}

enum err client_new(struct loop *l, struct client **ret) {
    struct client *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NO_MEMORY;
    c->loop = l;
    c->n_handles = 1;
    timer_init(&c->sweep, l, client_sweep, c);
    *ret = c;
    return ERR_OK;
}

void client_handle_gone(struct client *c) {
    if (--c->n_handles > 0 || !c->closing)
        return;
    void (*closed)(void *) = c->closed;
    void *ctx = c->closed_ctx;
    pools_free(c);
    mem_free(c);
    if (closed)
        closed(ctx);
}

static void client_sweep_closed(void *arg) {
    client_handle_gone(arg);
}

void client_close(struct client *c, void (*closed)(void *), void *ctx) {
    if (!c) {
        if (closed)
            closed(ctx);
        return;
    }
    c->closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    while (c->fetches)
        fetch_cancel(c->fetches);
    links_close_idle(c);
    curl_side_close(c);
    timer_close(&c->sweep, client_sweep_closed);
}

// ---- URLs

static bool port_parse(struct slice s, uint16_t *ret) {
    uint64_t port;
    if (!slice_u64(s, &port) || port == 0 || port > 65535)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool host_is_plain(struct slice host, bool bracketed) {
    if (host.n == 0 || host.n > 253)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                     (bracketed ? c == ':' : c == '-' || c == '_');
        if (!plain)
            return false;
    }
    return true;
}

static const char *authority_parse(struct slice authority, struct origin *o) {
    bool bracketed = authority.n && authority.p[0] == '[';
    if (slice_find(authority, '@') != SIZE_MAX)
        return "credentials do not belong into a URL";
    size_t end = slice_find(authority, bracketed ? ']' : ':');
    if (bracketed && end == SIZE_MAX)
        return "the ']' of the address is missing";
    o->host = slice_first(authority, end);
    if (bracketed)
        o->host = slice_from(o->host, 1);
    struct slice port = slice_from(authority, end == SIZE_MAX ? end : end + bracketed);
    if (!host_is_plain(o->host, bracketed))
        return "the host name is not valid";
    if (port.n && (port.p[0] != ':' || !port_parse(slice_from(port, 1), &o->port)))
        return "the port is not a number from 1 to 65535";
    return NULL;
}

enum err origin_parse(struct slice url, struct origin *ret, struct slice *ret_base_path, struct buf *problem) {
    struct origin o = {.port = 80};
    const char *why = "expected http://host:port/path or https://…";
    struct slice rest = SLICE_NONE;
    if (slice_starts(url, "https://")) {
        o.tls = true;
        o.port = 443;
        rest = slice_from(url, 8);
    } else if (slice_starts(url, "http://")) {
        rest = slice_from(url, 7);
    }
    size_t slash = slice_find(rest, '/');
    struct slice path = slash == SIZE_MAX ? SLICE_NONE : slice_from(rest, slash);
    if (rest.n)
        why = authority_parse(slice_first(rest, slash), &o);
    if (!why && (!path_is_plain(path) || slice_find(path, '?') != SIZE_MAX || slice_find(path, '#') != SIZE_MAX))
        why = "the path may have no query, fragment or space";
    if (why) {
        buf_append_str(problem, why);
        return ERR_BAD_FIELD;
    }
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    *ret = o;
    *ret_base_path = path.n ? path : SLICE_NONE;
    return ERR_OK;
}
