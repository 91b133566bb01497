// SPDX-License-Identifier: Apache-2.0
// Our own HTTP/1.1 client for plain connections: from a request to bytes on a link. The address is a literal, loopback
// by name, or asked of the resolver on libuv's threads; each is tried in turn until one connects or the time is up.
//
// A fetch owns its head and borrows the body; the link (link.c) reads the answer and calls the hooks. Kept-alive links
// are taken newest first, after the permit was held against the address they lead to. Nothing fails inside fetch_start
// but for memory: what goes wrong on the way is told when the turn ends.
#include <arpa/inet.h>
#include <netdb.h>
#include "base/limits.h"
#include "base/mem.h"
#include "net/fetch.h"

#define REQUEST_HEAD_BYTES ((size_t)256 << 10)

struct resolve {
    uv_getaddrinfo_t uv;
    struct client *client;
    struct plain *p; // NULL: nobody waits any more
};

static void plain_connect_next(struct plain *p);

// ---- the head

static void host_append(struct buf *b, const struct origin *o) {
    bool v6 = slice_find(o->host, ':') != SIZE_MAX;
    if (o->host.n == 0) {
        buf_append_str(b, "localhost"); // behind a UNIX socket
        return;
    }
    if (v6)
        buf_append_char(b, '[');
    buf_append(b, o->host);
    if (v6)
        buf_append_char(b, ']');
    if (o->port && o->port != 80) {
        buf_append_char(b, ':');
        buf_append_u64(b, o->port);
    }
}

static bool method_has_body(const char *method) {
    return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static void head_write(struct buf *b, const struct fetch_request *r) {
    buf_append_str(b, r->method);
    buf_append_char(b, ' ');
    buf_append(b, r->path.n ? r->path : SLICE("/"));
    buf_append_str(b, " HTTP/1.1\r\nhost: ");
    host_append(b, &r->origin);
    buf_append_str(b, "\r\n");
    for (size_t i = 0; i < r->headers.n; i++) {
        const struct header *h = &r->headers.v[i];
        if (header_is_ours(h->name) || !slice_is_one_line(h->name) || !slice_is_one_line(h->value))
            continue;
        buf_append(b, h->name);
        buf_append_mem(b, ": ", 2);
        buf_append(b, h->value);
        buf_append_mem(b, "\r\n", 2);
    }
    if (r->body.n || method_has_body(r->method)) {
        buf_append_str(b, "content-length: ");
        buf_append_u64(b, r->body.n);
        buf_append_mem(b, "\r\n", 2);
    }
    buf_append_mem(b, "\r\n", 2);
}

// ---- its end

bool plain_is_sent(const struct plain *p) {
    return p->sent == p->all;
}

void plain_connecting(struct plain *p, bool on) {
    struct client *c = p->f.client;
    if (p->connecting == on)
        return;
    p->connecting = on;
    c->n_connecting += on ? 1 : -1u;
    client_sweep_arm(c);
}

static void plain_let_go(struct plain *p) {
    plain_connecting(p, false);
    if (p->resolve) {
        p->resolve->p = NULL;
        (void)uv_cancel((uv_req_t *)&p->resolve->uv);
        p->resolve = NULL;
    }
    if (p->link) {
        struct link *k = p->link;
        p->link = NULL;
        link_close(k);
    }
}

void plain_fail(struct plain *p, enum err e, const char *detail) {
    if (p->f.over || p->failed)
        return;
    plain_let_go(p);
    if (!p->starting) {
        fetch_finish(&p->f, e, detail);
        return;
    }
    p->failed = e;
    p->detail = detail;
    fetch_turn_queue(&p->f);
}

static void plain_turn(struct fetch *f) {
    struct plain *p = (struct plain *)f;
    if (p->failed)
        fetch_finish(f, p->failed, p->detail);
    else if (plain_is_sent(p))
        fetch_tell_sent(f);
}

static void plain_cancel(struct fetch *f) {
    plain_let_go((struct plain *)f);
}

static void plain_free(struct fetch *f) {
    struct plain *p = (struct plain *)f;
    if (p->found)
        uv_freeaddrinfo(p->found);
    buf_done(&p->head);
    mem_free(p);
}

static void plain_pause(struct fetch *f) {
    struct plain *p = (struct plain *)f;
    p->paused = true;
    if (p->link && p->link->connected)
        link_reading(p->link, false);
}

static void plain_resume(struct fetch *f) {
    struct plain *p = (struct plain *)f;
    p->paused = false;
    if (p->link && p->link->connected)
        link_reading(p->link, true);
}

static int plain_socket(const struct fetch *f) {
    const struct plain *p = (const struct plain *)(const void *)f;
    int fd = -1;
    return p->link && uv_fileno((const uv_handle_t *)&p->link->tcp, &fd) == 0 ? fd : -1;
}

const struct fetch_kind plain_kind = {plain_turn, plain_pause, plain_resume, plain_cancel, plain_free, plain_socket};

// ---- addresses

static bool address_next(struct plain *p, struct address *ret) {
    if (p->next_known < p->n_known) {
        *ret = p->known[p->next_known++];
        return true;
    }
    for (; p->at; p->at = p->at->ai_next) {
        if ((p->at->ai_family != AF_INET && p->at->ai_family != AF_INET6) || p->at->ai_addrlen > sizeof ret->a)
            continue;
        ret->len = p->at->ai_addrlen;
        memcpy(&ret->a, p->at->ai_addr, ret->len);
        if (p->at->ai_family == AF_INET)
            ret->a.in.sin_port = htons(p->port);
        else
            ret->a.in6.sin6_port = htons(p->port);
        p->at = p->at->ai_next;
        return true;
    }
    return false;
}

static struct address address_v4(uint32_t host_order, uint16_t port) {
    struct address a = {.len = sizeof a.a.in};
    a.a.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(host_order)}};
    return a;
}

static struct address address_v6(struct in6_addr addr, uint16_t port) {
    struct address a = {.len = sizeof a.a.in6};
    a.a.in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = addr};
    return a;
}

// False: the name must be resolved, or (known stays 0 and e is set) it cannot be an address at all.
static bool addresses_know(struct plain *p, const struct origin *o) {
    char name[64];
    struct in_addr v4;
    struct in6_addr v6;
    if (o->unix_path.n) {
        struct address *a = &p->known[p->n_known++];
        a->a.un.sun_family = AF_UNIX;
        a->len = sizeof a->a.un;
        memcpy(a->a.un.sun_path, o->unix_path.p, o->unix_path.n);
        return true;
    }
    if (host_is_localhost(o->host)) {
        p->known[p->n_known++] = address_v4(INADDR_LOOPBACK, o->port);
        p->known[p->n_known++] = address_v6(in6addr_loopback, o->port);
        return true;
    }
    if (o->host.n >= sizeof name)
        return false;
    memcpy(name, o->host.p, o->host.n);
    name[o->host.n] = 0;
    if (inet_pton(AF_INET, name, &v4) == 1)
        p->known[p->n_known++] = address_v4(ntohl(v4.s_addr), o->port);
    else if (inet_pton(AF_INET6, name, &v6) == 1)
        p->known[p->n_known++] = address_v6(v6, o->port);
    return p->n_known > 0;
}

static void resolve_done(uv_getaddrinfo_t *uv, int status, struct addrinfo *found) {
    struct resolve *q = uv->data;
    struct plain *p = q->p;
    struct client *c = q->client;
    mem_free(q);
    loop_tick(c->loop, NULL);
    if (p) {
        p->resolve = NULL;
        p->found = p->at = found;
        if (status)
            plain_fail(p, ERR_UP_CONNECT, uv_strerror(status));
        else
            plain_connect_next(p);
    } else if (found) {
        uv_freeaddrinfo(found);
    }
    client_handle_gone(c);
}

static enum err resolve_start(struct plain *p, struct slice host) {
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct client *c = p->f.client;
    struct resolve *q = mem_zalloc(sizeof *q);
    char *name = mem_strndup(host.p, host.n);
    if (q && name) {
        q->client = c;
        q->p = p;
        q->uv.data = q;
    }
    int r = q && name ? uv_getaddrinfo(&c->loop->uv, &q->uv, resolve_done, name, NULL, &hints) : UV_ENOMEM;
    mem_free(name);
    if (r) {
        mem_free(q);
        return r == UV_ENOMEM ? ERR_NO_MEMORY : ERR_UP_CONNECT;
    }
    c->n_handles++;
    p->resolve = q;
    return ERR_OK;
}

// ---- connecting

static void plain_connect_next(struct plain *p) {
    struct address addr;
    enum err e = ERR_UP_CONNECT;
    const char *detail = p->detail ? p->detail : "the name has no address";
    while (address_next(p, &addr)) {
        e = link_open(p->f.client, p, &addr);
        if (!e) {
            link_send(p->link);
            return;
        }
        detail = err_row(e)->text;
        if (e == ERR_NO_MEMORY || e == ERR_LIMIT)
            break;
    }
    plain_fail(p, e, detail);
}

void plain_connect_failed(struct plain *p, const char *detail) {
    p->detail = detail;
    p->link = NULL;
    p->sent = 0;
    plain_connect_next(p);
}

void plain_sweep(struct plain *p) {
    if (p->deadline_ms <= p->f.client->loop->now_ms)
        plain_fail(p, ERR_UP_TIMEOUT, "connecting took too long");
}

// A kept-alive link, if the permit allows the address that it leads to.
static bool plain_reuse(struct plain *p, enum err *ret_refused) {
    struct link *k = link_take(p->pool);
    *ret_refused = ERR_OK;
    if (!k)
        return false;
    link_attach(k, p);
    *ret_refused = outgoing_permit(&p->permit, &k->addr.a.any);
    if (*ret_refused)
        return false;
    p->f.reused = true;
    link_send(k);
    return true;
}

static enum err plain_go(struct plain *p, const struct fetch_request *r) {
    enum err refused = ERR_OK;
    if (!r->fresh && plain_reuse(p, &refused))
        return ERR_OK;
    if (refused) {
        plain_fail(p, refused, err_row(refused)->text);
        return ERR_OK;
    }
    plain_connecting(p, true);
    if (addresses_know(p, &r->origin)) {
        plain_connect_next(p);
        return ERR_OK;
    }
    enum err e = resolve_start(p, r->origin.host);
    if (e)
        plain_connecting(p, false);
    return e;
}

enum err plain_start(struct client *c, const struct fetch_request *r, const struct fetch_hooks *hooks, void *user,
                     struct fetch **ret) {
    if (r->origin.unix_path.n >= sizeof((struct sockaddr_un *)0)->sun_path)
        return ERR_BAD_REQUEST;
    struct plain *p = mem_zalloc(sizeof *p);
    if (!p)
        return ERR_NO_MEMORY;
    buf_init(&p->head, REQUEST_HEAD_BYTES);
    (void)buf_reserve(&p->head, 1024);
    head_write(&p->head, r);
    p->pool = pool_get(c, r->origin.unix_path, r->origin.host, r->origin.port);
    if (p->head.failed || !p->pool) {
        plain_free(&p->f);
        return ERR_NO_MEMORY;
    }
    fetch_init(&p->f, c, &plain_kind, hooks, user);
    p->body = r->body;
    p->all = p->head.len + p->body.n;
    p->permit = *r->permit;
    p->port = r->origin.port;
    p->is_head = strcmp(r->method, "HEAD") == 0;
    p->deadline_ms = c->loop->now_ms + (r->connect_ms ? r->connect_ms : LIMIT_CONNECT_MS);
    p->starting = true;
    enum err e = plain_go(p, r);
    p->starting = false;
    if (e) {
        fetch_cancel(&p->f);
        return e;
    }
    *ret = &p->f;
    return ERR_OK;
}
