// SPDX-License-Identifier: Apache-2.0
// HTTP from strangers, over real sockets: requests into the server, answers into our own client. Whatever the cut, the
// same requests are seen, every answer is one, and a fetch ends exactly once.
// First byte: bit 0 request or answer, the rest the step; second byte: the first cut.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "net/client.h"
#include "net/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop l;
static struct server *server;
static struct client *client;
static int upstream = -1;
static char upstream_path[32];
static struct buf seen;

static void on_request(void *ctx, struct conn *c, const struct http_request *r) {
    (void)ctx;
    buf_append(&seen, r->method);
    buf_append_char(&seen, ' ');
    buf_append(&seen, r->path);
    for (size_t i = 0; i < r->headers.n; i++) {
        buf_append(&seen, r->headers.v[i].name);
        buf_append(&seen, r->headers.v[i].value);
    }
    buf_append(&seen, r->body);
    buf_append_char(&seen, '\n');
    if (r->query.n & 1) {
        conn_release_request(c);
        conn_start(c, 200, "text/plain", NULL, NULL);
        conn_write(c, SLICE("a"));
        conn_end(c, NULL);
        return;
    }
    conn_respond(c, 200, NULL, NULL, r->body);
}

static void on_gone(void *ctx, struct conn *c, void *user) {
    (void)ctx;
    (void)c;
    (void)user;
}

static void begin(void) {
    static const struct server_hooks hooks = {.on_request = on_request, .on_gone = on_gone};
    struct server_options o = {.body_bytes = 100000};
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (upstream >= 0)
        return;
    buf_init(&seen, 1 << 26);
    if (loop_init(&l, 0) || server_new(&l, &o, &hooks, NULL, &server) || client_new(&l, &client))
        abort();
    // An abstract name: nothing to clean up.
    (void)snprintf(upstream_path, sizeof upstream_path, "%cfuzz-http-%d", 0, (int)getpid());
    memcpy(un.sun_path, upstream_path, sizeof upstream_path);
    upstream = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (upstream < 0 || bind(upstream, (struct sockaddr *)&un, sizeof un) || listen(upstream, 8))
        abort();
}

static void turns(int n) {
    while (n-- > 0)
        (void)uv_run(&l.uv, UV_RUN_NOWAIT);
}

static size_t drain(int fd, struct buf *out) {
    char room[4096];
    size_t all = 0;
    for (ssize_t n; (n = recv(fd, room, sizeof room, MSG_DONTWAIT)) > 0; all += (size_t)n)
        if (out)
            buf_append_mem(out, room, (size_t)n);
    return all;
}

static void request_run(struct slice s, size_t first, size_t step) {
    static struct listener from;
    struct buf out = BUF_INIT(1 << 26);
    int fd[2];
    struct conn *c = calloc(1, sizeof *c);
    from = (struct listener){.server = server, .loopback = true};
    if (!c || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
        abort();
    buf_clear(&seen);
    uv_tcp_init(&l.uv, &c->tcp);
    c->tcp.data = server;
    server->n_handles++;
    if (uv_tcp_open(&c->tcp, fd[0]))
        abort();
    conn_open(&from, c);
    for (size_t n = first; s.n; n = step) {
        ssize_t sent = send(fd[1], s.p, s.n < n ? s.n : n, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            break;
        if (sent > 0)
            s = slice_from(s, (size_t)sent);
        turns(1);
        (void)drain(fd[1], &out);
    }
    for (int i = 0; i < 200; i++) { // pipelined ones take a turn each
        turns(1);
        if (drain(fd[1], &out) == 0 && i > 3)
            break;
    }
    if (out.len && !slice_starts(buf_slice(&out), "HTTP/1.1 "))
        abort();
    close(fd[1]);
    turns(3);
    if (server_conns(server))
        abort();
    buf_done(&out);
}

struct call {
    struct buf body;
    int heads, dones, status;
    enum err err;
};

static void on_head(void *user, int status, const struct headers *h) {
    struct call *k = user;
    if (k->dones || k->heads++)
        abort();
    k->status = status;
    for (size_t i = 0; i < h->n; i++)
        buf_append(&k->body, h->v[i].value);
}

static void on_body(void *user, struct slice bytes) {
    struct call *k = user;
    if (k->dones || !k->heads || !bytes.n)
        abort();
    buf_append(&k->body, bytes);
}

static void on_done(void *user, enum err e, const char *detail) {
    struct call *k = user;
    (void)detail;
    if (k->dones++)
        abort();
    k->err = e;
}

static struct call answer_run(struct slice s, size_t first, size_t step) {
    static const struct fetch_hooks hooks = {.on_head = on_head, .on_body = on_body, .on_done = on_done};
    static const struct permit permit = {ZONE_DEVICE, 1u << ZONE_DEVICE, "fuzz"};
    struct call k = {.body = BUF_INIT(1 << 26)};
    struct fetch *f;
    struct fetch_request r = {.origin = {.host = SLICE("a"), .unix_path = {upstream_path, sizeof upstream_path}},
                              .method = "GET",
                              .permit = &permit,
                              .fresh = true};
    if (fetch_start(client, &r, &hooks, &k, &f))
        abort();
    int fd = accept(upstream, NULL, NULL);
    if (fd < 0)
        abort();
    turns(1);
    for (size_t n = first; s.n && !k.dones; n = step) {
        ssize_t sent = send(fd, s.p, s.n < n ? s.n : n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN)
            break;
        if (sent > 0)
            s = slice_from(s, (size_t)sent);
        turns(1);
    }
    (void)shutdown(fd, SHUT_WR);
    turns(3);
    if (k.dones != 1)
        abort();
    (void)drain(fd, NULL);
    close(fd);
    turns(2);
    return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3 || size > 30000)
        return 0;
    struct slice s = {(const char *)data + 2, size - 2};
    size_t cut = 1 + data[1] % s.n, step = 1 + (data[0] >> 1);
    if (s.n > 1000 && step < 50)
        step = 50;
    begin();
    if (data[0] & 1) {
        struct call whole = answer_run(s, s.n, s.n), parts = answer_run(s, cut, step);
        if (whole.err != parts.err || whole.status != parts.status)
            abort();
        if (!slice_eq(buf_slice(&whole.body), buf_slice(&parts.body)))
            abort();
        buf_done(&whole.body);
        buf_done(&parts.body);
        return 0;
    }
    request_run(s, s.n, s.n);
    struct buf whole = seen;
    buf_init(&seen, 1 << 26);
    request_run(s, cut, step);
    if (!slice_eq(buf_slice(&whole), buf_slice(&seen)))
        abort();
    buf_done(&whole);
    return 0;
}
