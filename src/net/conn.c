// SPDX-License-Identifier: Apache-2.0
// The reading half of a client's connection: bytes become one whole request, which is handed to on_request; what is
// wrong with it is answered here. Writing is reply.c's.
//
// A conn is owned by libuv's handle inside it: it is freed when that handle is closed, which is always after the turn.
// `in` holds head and body of the open request and is freed with it; what comes behind it waits in `behind`. The
// socket is read all the time, so that a client that goes away is noticed at once, unless `behind` is full.
// Hooks are called from the top of libuv's callbacks and deferred turns only, never inside conn_write and its kin.
#include <sys/socket.h>
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/conn.h"
#include "net/outgoing.h"

#define HEAD_READ_BYTES ((size_t)16 << 10)  // a head and a small body; what is behind it is read in place
#define BODY_READ_BYTES ((size_t)256 << 10) // of a body, read in place
#define LONG_READ_BYTES ((size_t)32 << 10)  // of what is behind that: libuv reads 32 times before anyone else's turn
#define BODY_READ_LEAST_BYTES ((size_t)4 << 10) // less comes by the shared buffer
#define CHUNK_OVERHEAD 16                       // bytes of framing a byte of a chunked body may cost; a sane chunk: 6
#define LINGER_MS 2000                          // nginx waits up to 30 s; a client on its way reads its answer sooner
#define LINGER_BYTES ((size_t)16 << 20)

static void conn_input(struct conn *c, struct slice bytes);

// ---- the handle

static void conn_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
    struct conn *c = h->data;
    (void)suggested;
    bool is_long = c->in.len - c->head_bytes >= BODY_READ_BYTES;
    size_t most = c->upload ? LOOP_READ_BYTES
                  : is_long ? LONG_READ_BYTES
                            : BODY_READ_BYTES; // an upload's `in` has no more
    size_t left = c->body_left < most ? (size_t)c->body_left : most;
    if (c->state == CONN_BODY && !c->msg.chunked && left >= BODY_READ_LEAST_BYTES && buf_reserve(&c->in, left))
        *buf = uv_buf_init(c->in.p + c->in.len, (unsigned)left);
    else
        *buf = uv_buf_init(c->server->loop->read_buf, c->state == CONN_BODY ? LOOP_READ_BYTES : HEAD_READ_BYTES);
}

static void conn_deliver(struct conn *c);

static void conn_reading(struct conn *c, bool on);

static void conn_body_came(struct conn *c) {
    c->deadline_ms = c->server->loop->now_ms + c->server->o.body_idle_ms;
    if (c->upload && c->in.len > c->head_bytes) {
        conn_reading(c, false);
        c->deadline_ms = 0; // it is our turn
        c->server->hooks.on_piece(c->server->ctx, c, c->user, slice_from(buf_slice(&c->in), c->head_bytes));
    } else if (c->body_left == 0) {
        conn_deliver(c);
    }
}

void conn_piece_taken(struct conn *c) {
    if (c->state != CONN_BODY)
        return;
    c->in.len = c->head_bytes;
    c->raw_bytes = 0;
    loop_tick(c->server->loop, c);
    conn_reading(c, true);
    conn_body_came(c);
}

static void conn_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct conn *c = stream->data;
    loop_tick(c->server->loop, c);
    if (n == 0 || c->state == CONN_CLOSED)
        return;
    if (n < 0) {
        conn_lost(c);
        return;
    }
    if (buf->base == c->server->loop->read_buf) {
        conn_input(c, slice_of(buf->base, (size_t)n));
        return;
    }
    c->in.len += (size_t)n;
    c->body_left -= (uint64_t)n;
    conn_body_came(c);
}

static bool peer_is_loopback(struct conn *c) {
    struct sockaddr_storage addr;
    int len = sizeof addr;
    return uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&addr, &len) == 0 &&
           outgoing_is_loopback((struct sockaddr *)&addr);
}

static void conn_reading(struct conn *c, bool on) {
    if (c->reading == on)
        return;
    c->reading = on;
    if (on)
        (void)uv_read_start((uv_stream_t *)&c->tcp, conn_alloc, conn_on_read);
    else
        (void)uv_read_stop((uv_stream_t *)&c->tcp);
}

void conn_open(struct listener *from, struct conn *c) {
    struct server *s = from->server;
    c->tcp.data = c;
    c->write.data = c;
    c->server = s;
    c->is_unix = from->is_unix;
    c->loopback = from->is_unix || from->loopback || peer_is_loopback(c);
    c->guarded = from->loopback && !from->is_unix;
    c->deadline_ms = s->loop->now_ms + s->o.keepalive_ms;
    buf_init(&c->in, LIMIT_HEAD_BYTES + s->o.body_bytes + LOOP_READ_BYTES);
    buf_init(&c->behind, LIMIT_PIPELINE_BYTES + LOOP_READ_BYTES);
    buf_init(&c->out, OUT_BYTES);
    buf_init(&c->flying, OUT_BYTES);
    server_conn_added(s, c);
    conn_reading(c, true);
}

struct conn_keep {
    struct conn *conn; // NULL: its request is over
    struct buf in;     // then these are its bytes
    unsigned n;
};

struct conn_keep *conn_keep(struct conn *c) {
    if (!c->keep) {
        c->keep = mem_zalloc(sizeof *c->keep);
        if (!c->keep)
            return NULL;
        c->keep->conn = c;
    }
    c->keep->n++;
    return c->keep;
}

void conn_keep_done(struct conn_keep *k) {
    if (!k || --k->n > 0)
        return;
    if (k->conn)
        k->conn->keep = NULL;
    buf_done(&k->in);
    mem_free(k);
}

void conn_request_free(struct conn *c) {
    mem_free(c->req);
    c->req = NULL;
    if (c->keep) {
        c->keep->in = c->in;
        c->keep->conn = NULL;
        c->keep = NULL;
        buf_init(&c->in, c->in.max);
    }
    buf_done(&c->in);
}

void conn_closed(uv_handle_t *h) {
    struct conn *c = h->data;
    struct server *s = c->server;
    server_conn_removed(s, c);
    conn_request_free(c);
    buf_done(&c->behind);
    buf_done(&c->out);
    buf_done(&c->flying);
    if (c->turn_queued)
        c->dead = true;
    else
        mem_free(c);
    server_handle_gone(s);
}

void conn_close(struct conn *c) {
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_CLOSED;
    uv_close((uv_handle_t *)&c->tcp, conn_closed);
}

void conn_lost(struct conn *c) {
    bool open = c->state == CONN_OPEN || (c->state == CONN_BODY && c->upload && c->user);
    if (c->state == CONN_CLOSED)
        return;
    conn_close(c);
    if (open)
        c->server->hooks.on_gone(c->server->ctx, c, c->user);
}

static void slice_move(struct slice *s, uintptr_t from, const char *to, size_t n) {
    // A slice that is not in the buffer ("/" of an absolute target) stays.
    if (s->p && (uintptr_t)s->p - from <= n)
        s->p = to + ((uintptr_t)s->p - from);
}

// The buffer may have moved while the body came.
static void request_rebase(struct conn *c) {
    struct request *q = c->req;
    const char *to = c->in.p;
    struct slice *own[] = {&q->r.method, &q->r.target, &q->r.path, &q->r.query};
    if (q->base == (uintptr_t)to)
        return;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        slice_move(own[i], q->base, to, c->head_bytes);
    for (size_t i = 0; i < q->r.headers.n; i++) {
        slice_move(&q->v[i].name, q->base, to, c->head_bytes);
        slice_move(&q->v[i].value, q->base, to, c->head_bytes);
    }
    q->base = (uintptr_t)to;
}

static void conn_refuse_and_close(struct conn *c, int status, const char *text) {
    void *user = c->user;
    if (c->state == CONN_BODY && c->upload && user) {
        c->user = NULL;
        c->server->hooks.on_gone(c->server->ctx, c, user);
    }
    c->body_unread = true; // where the next request would begin is not known
    if (c->req)
        request_rebase(c); // the refusal is written in the dialect of its path
    conn_refuse(c, status, text, SLICE_NONE, SLICE_NONE);
}

void conn_timed_out(struct conn *c) {
    if (c->state == CONN_HEAD || c->state == CONN_BODY)
        conn_refuse_and_close(c, 408, "the request did not arrive in time");
    else
        conn_lost(c);
}

// ---- a head

// "http://host/path" has its own host; RFC 9112 3.2.2 wants it understood.
static struct slice target_path(struct slice target, struct slice *ret_host) {
    *ret_host = SLICE_NONE;
    if (target.n && target.p[0] == '/')
        return target;
    if (slice_is(target, "*"))
        return target;
    size_t skip = slice_starts(target, "http://") ? 7 : slice_starts(target, "https://") ? 8 : 0;
    if (skip == 0)
        return SLICE_NONE;
    struct slice rest = slice_from(target, skip);
    size_t slash = slice_find(rest, '/');
    *ret_host = slice_first(rest, slash);
    return slash == SIZE_MAX ? SLICE("/") : slice_from(rest, slash);
}

// As it is meant: "//v1/models/" is what a base URL that ends with a slash makes of it.
static struct slice path_plain(struct slice path) {
    while (path.n > 1 && path.p[1] == '/')
        path = slice_from(path, 1);
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    return path;
}

static bool request_make(struct conn *c, const struct header *v) {
    const struct message *m = &c->msg;
    struct request *q = mem_alloc(sizeof *q + m->n * sizeof *v);
    if (!q)
        return false;
    memset(q, 0, sizeof *q);
    if (m->n)
        memcpy(q->v, v, m->n * sizeof *v);
    q->base = (uintptr_t)c->in.p;
    q->r = (struct http_request){.method = m->method,
                                 .target = m->target,
                                 .headers = {q->v, m->n},
                                 .keep_alive = m->keep_alive,
                                 .loopback = c->loopback,
                                 .is_unix = c->is_unix,
                                 .start_us = c->start_us};
    c->req = q;
    c->is_head = slice_is(m->method, "HEAD");
    c->http10 = m->minor == 0;
    c->keep_alive = m->keep_alive;
    return true;
}

static size_t hosts_count(const struct headers *h) {
    size_t n = 0;
    for (size_t i = 0; i < h->n; i++)
        n += slice_eq_nocase(h->v[i].name, SLICE("host"));
    return n;
}

// 0, or the status to refuse with.
static int request_check(struct conn *c, const char **ret_text) {
    struct http_request *r = &c->req->r;
    struct slice target_host;
    r->path = target_path(r->target, &target_host);
    r->query = r->path;
    r->path = path_plain(slice_split(&r->query, '?'));
    struct slice host = headers_get(&r->headers, "host"), expect = headers_get(&r->headers, "expect");
    struct slice coding = headers_get(&r->headers, "content-encoding");
    size_t n_hosts = hosts_count(&r->headers);
    *ret_text = "the request's target is not valid";
    if (!r->path.p || slice_is(r->method, "CONNECT"))
        return 400;
    *ret_text = "exactly one Host header is needed";
    if (n_hosts > 1 || (n_hosts == 0 && !c->http10))
        return 400;
    *ret_text = "this Host name is not served here; add it to the server's allowed hosts";
    if (c->guarded && n_hosts && !guard_host_allowed(c->server, host))
        return 403;
    if (c->guarded && target_host.p && !guard_host_allowed(c->server, target_host))
        return 403;
    *ret_text = "pages of this origin are not served here; add it to `cors` in the config";
    if (c->guarded && !guard_origin_allowed(c->server, &r->headers))
        return 403;
    *ret_text = "only Expect: 100-continue is understood";
    if (expect.p && !slice_eq_nocase(expect, SLICE("100-continue")))
        return 417;
    *ret_text = "a compressed body is not understood; send it as it is";
    return coding.p && !slice_eq_nocase(coding, SLICE("identity")) ? 415 : 0;
}

static void conn_keep_behind(struct conn *c, struct slice bytes) {
    buf_append(&c->behind, bytes);
    if (c->behind.len >= LIMIT_PIPELINE_BYTES)
        conn_reading(c, false);
}

static void conn_body_begin(struct conn *c);

static void conn_head_accept(struct conn *c) {
    struct server *s = c->server;
    size_t here = c->in.len - c->head_bytes;
    uint64_t length = c->msg.has_length ? c->msg.length : 0;
    c->upload = s->hooks.is_upload && s->hooks.is_upload(&c->req->r);
    if (length > s->o.body_bytes && !c->upload) {
        conn_refuse_and_close(c, 413, "the request's body is too large");
        return;
    }
    if (!c->msg.chunked && here > length) {
        conn_keep_behind(c, slice_from(buf_slice(&c->in), c->head_bytes + (size_t)length));
        c->in.len = c->head_bytes + (size_t)length;
        here = (size_t)length;
    }
    c->body_left = c->msg.chunked ? UINT64_MAX : length - here;
    c->body_unread = c->body_left > 0;
    struct slice body = SLICE_NONE;
    int status = s->hooks.on_head ? s->hooks.on_head(s->ctx, c, &c->req->r, &body) : 0;
    if (status) {
        conn_refuse(c, status, http_status_text(status), c->req->r.path, body);
        return;
    }
    if (c->upload) {
        c->user = NULL;
        s->hooks.on_upload(s->ctx, c, &c->req->r);
    }
    conn_body_begin(c);
}

static void conn_head_whole(struct conn *c, size_t n) {
    struct header v[LIMIT_HEADERS];
    const char *text;
    enum err e = message_head(&c->msg, HTTP_REQUEST, slice_first(buf_slice(&c->in), n), v, LIMIT_HEADERS);
    if (e) {
        bool large = e == ERR_HEADERS_TOO_LARGE;
        conn_refuse_and_close(c, large ? 431 : 400, large ? "too many headers" : "the request is not valid HTTP/1.1");
        return;
    }
    if (c->msg.target.n > LIMIT_TARGET_BYTES) {
        conn_refuse_and_close(c, 414, "the request's target is too long");
        return;
    }
    c->head_bytes = n;
    if (!request_make(c, v)) {
        conn_refuse_and_close(c, 503, "out of memory");
        return;
    }
    c->cors = guard_origin(c->server, headers_get(&c->req->r.headers, "origin"));
    int status = request_check(c, &text);
    if (status)
        conn_refuse_and_close(c, status, text);
    else
        conn_head_accept(c);
}

static void conn_head_begin(struct conn *c) {
    c->state = CONN_HEAD;
    c->start_us = clock_mono_us();
    c->deadline_ms = c->server->loop->now_ms + c->server->o.head_ms;
    c->scan = (struct head_scan){0};
    c->cors = NULL;
    c->raw_bytes = c->sent_bytes = 0;
    c->is_head = c->http10 = c->started = c->chunked = c->starved = c->body_unread = c->upload = false;
    c->keep_alive = false;
}

static void conn_head_input(struct conn *c, struct slice bytes) {
    size_t n = 0;
    if (c->state == CONN_IDLE) {
        // Old clients send an empty line behind a body (RFC 9112 2.2).
        while (bytes.n && (bytes.p[0] == '\r' || bytes.p[0] == '\n'))
            bytes = slice_from(bytes, 1);
        if (bytes.n == 0)
            return;
        conn_head_begin(c);
    }
    buf_append(&c->in, bytes);
    if (c->in.failed) {
        conn_refuse_and_close(c, 503, "out of memory");
        return;
    }
    enum head_found found = head_scan(&c->scan, buf_slice(&c->in), &n);
    bool method_begins = c->in.p[0] >= 'A' && c->in.p[0] <= 'Z'; // else TLS on a plain port, most of the time
    if (found == HEAD_BAD || !method_begins)
        conn_refuse_and_close(c, 400, "the request is not valid HTTP/1.1");
    else if (c->scan.line == 0 && c->in.len > LIMIT_TARGET_BYTES + 64)
        conn_refuse_and_close(c, 414, "the request's target is too long");
    else if ((found == HEAD_WHOLE ? n : c->in.len) > LIMIT_HEAD_BYTES)
        conn_refuse_and_close(c, 431, "the request's headers are too large");
    else if (found == HEAD_WHOLE)
        conn_head_whole(c, n);
}

// ---- a body

static bool conn_on_piece(void *user, struct slice piece) {
    struct conn *c = user;
    size_t most = c->upload ? LOOP_READ_BYTES : c->server->o.body_bytes;
    if (c->in.len - c->head_bytes + piece.n > most || !buf_reserve(&c->in, piece.n))
        return false;
    // What came with the head is decoded in place: source and target overlap, the target is always before.
    memmove(c->in.p + c->in.len, piece.p, piece.n);
    c->in.len += piece.n;
    return true;
}

static void conn_chunks_input(struct conn *c, struct slice bytes) {
    size_t used;
    enum err e = message_body(&c->msg, bytes, &used);
    c->raw_bytes += used;
    if (e == ERR_CANCELLED && c->in.failed)
        conn_refuse_and_close(c, 503, "out of memory");
    else if (e == ERR_CANCELLED)
        conn_refuse_and_close(c, 413, "the request's body is too large");
    else if (e || c->raw_bytes > CHUNK_OVERHEAD * (c->in.len - c->head_bytes) + LOOP_READ_BYTES)
        conn_refuse_and_close(c, 400, "the request's chunks are not valid");
    else if (c->msg.whole && used < bytes.n)
        conn_keep_behind(c, slice_from(bytes, used));
    if (c->state != CONN_BODY)
        return;
    if (c->msg.whole)
        c->body_left = 0;
    conn_body_came(c);
}

static void conn_body_input(struct conn *c, struct slice bytes) {
    if (c->msg.chunked) {
        conn_chunks_input(c, bytes);
        return;
    }
    struct slice mine = slice_first(bytes, (size_t)(c->body_left < bytes.n ? c->body_left : bytes.n));
    buf_append(&c->in, mine);
    if (c->in.failed) {
        conn_refuse_and_close(c, 503, "out of memory");
        return;
    }
    c->body_left -= mine.n;
    if (mine.n < bytes.n)
        conn_keep_behind(c, slice_from(bytes, mine.n));
    conn_body_came(c);
}

static void conn_body_begin(struct conn *c) {
    static const struct slice go_on = {"HTTP/1.1 100 Continue\r\n\r\n", 25};
    struct slice here = slice_from(buf_slice(&c->in), c->head_bytes);
    c->state = CONN_BODY;
    if (c->body_left && here.n == 0 && !c->http10 && headers_get(&c->req->r.headers, "expect").p)
        conn_send(c, &go_on, 1);
    if (!c->msg.chunked) {
        conn_body_came(c);
        return;
    }
    c->msg.on_piece = conn_on_piece;
    c->msg.user = c;
    c->in.len = c->head_bytes;
    c->deadline_ms = c->server->loop->now_ms + c->server->o.body_idle_ms;
    if (here.n)
        conn_chunks_input(c, here);
}

// ---- the whole request

static void conn_deliver(struct conn *c) {
    request_rebase(c);
    c->req->r.body = slice_from(buf_slice(&c->in), c->head_bytes);
    c->body_unread = false;
    c->state = CONN_OPEN;
    c->deadline_ms = 0;
    if (!guard_preflight(c, &c->req->r))
        c->server->hooks.on_request(c->server->ctx, c, &c->req->r);
}

static void conn_input(struct conn *c, struct slice bytes) {
    switch (c->state) {
    case CONN_IDLE:
    case CONN_HEAD:
        conn_head_input(c, bytes);
        break;
    case CONN_BODY:
        conn_body_input(c, bytes);
        break;
    case CONN_OPEN:
    case CONN_DONE:
        conn_keep_behind(c, bytes);
        if (c->behind.failed)
            conn_lost(c);
        break;
    case CONN_LINGER:
        c->raw_bytes += bytes.n;
        if (c->raw_bytes > LINGER_BYTES)
            conn_close(c);
        break;
    case CONN_CLOSED:
        break;
    }
}

// Closing a socket with unread bytes resets it, and the reset can overtake our answer.
static void conn_finish(struct conn *c) {
    uv_os_fd_t fd;
    if ((!c->body_unread && c->behind.len == 0) || uv_fileno((uv_handle_t *)&c->tcp, &fd)) {
        conn_close(c);
        return;
    }
    (void)shutdown(fd, SHUT_WR);
    buf_done(&c->behind);
    c->state = CONN_LINGER;
    c->raw_bytes = 0;
    c->deadline_ms = c->server->loop->now_ms + LINGER_MS;
    conn_reading(c, true);
}

void conn_next_request(struct conn *c) {
    if (!c->keep_alive || c->body_unread || c->server->draining || c->behind.failed) {
        conn_finish(c);
        return;
    }
    c->state = CONN_IDLE;
    c->deadline_ms = c->server->loop->now_ms + c->server->o.keepalive_ms;
    if (c->behind.len == 0)
        return;
    struct buf behind = c->behind;
    buf_init(&c->behind, behind.max);
    conn_reading(c, true); // may be stopped again by what stands further behind
    conn_input(c, buf_slice(&behind));
    buf_done(&behind);
}

void conn_set_user(struct conn *c, void *user) {
    c->user = user;
}

void *conn_user(struct conn *c) {
    return c->user;
}

struct loop *conn_loop(struct conn *c) {
    return c->server->loop;
}

void conn_release_request(struct conn *c) {
    conn_request_free(c);
}
