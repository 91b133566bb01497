// SPDX-License-Identifier: Apache-2.0
// The scripted provider's own HTTP/1.1, apart from net/ on purpose: it must be able to send what no honest server would,
// and must not share the daemon's mistakes. One thread per connection; everything here blocks. The peer owns its socket
// and its input buffer; requests borrow from the buffer until peer_next.
#include "sim/peer.h"
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

#define HEAD_MAX (1u << 20)
#define READ_BYTES 65536

static bool peer_fill(struct peer *w) {
    if (!buf_reserve(&w->in, READ_BYTES))
        return false;
    ssize_t n;
    do
        n = recv(w->fd, w->in.p + w->in.len, READ_BYTES, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        w->end = PEER_GONE;
        return false;
    }
    w->in.len += (size_t)n;
    return true;
}

static bool head_line(struct slice *rest, struct slice *ret) {
    size_t end = slice_search(*rest, SLICE("\r\n"));
    if (end == SIZE_MAX)
        return false;
    *ret = slice_first(*rest, end);
    *rest = slice_from(*rest, end + 2);
    return true;
}

static bool head_parse(struct slice head, struct peer_request *r) {
    struct slice line;
    if (!head_line(&head, &line))
        return false;
    r->method = slice_split(&line, ' ');
    r->target = slice_split(&line, ' ');
    r->http_1_0 = slice_is(line, "HTTP/1.0");
    if (!r->http_1_0 && !slice_is(line, "HTTP/1.1"))
        return false;
    struct slice path = r->target;
    r->path = slice_split(&path, '?');
    size_t n = 0;
    while (head_line(&head, &line) && line.n && n < PEER_HEADERS) {
        struct slice name = slice_split(&line, ':');
        r->list[n++] = (struct header){name, slice_trim(line)};
    }
    r->headers = (struct headers){r->list, n};
    struct slice connection = headers_get(&r->headers, "connection");
    r->keep_alive = !r->http_1_0 && !slice_eq_nocase(connection, SLICE("close"));
    return true;
}

// Bytes until `wanted` of the buffer are there.
static bool peer_need(struct peer *w, size_t wanted) {
    while (w->in.len < wanted)
        if (!peer_fill(w))
            return false;
    return true;
}

static bool chunk_size(struct slice line, size_t *ret) {
    size_t v = 0, i = 0;
    for (; i < line.n && i < 8; i++) {
        char c = line.p[i];
        unsigned d = c >= '0' && c <= '9' ? (unsigned)(c - '0') : ((unsigned)(c | 32) - 'a' + 10);
        if (d > 15)
            break;
        v = v * 16 + d;
    }
    *ret = v;
    return i > 0;
}

// Chunked: decoded into the arena; w->taken moves behind it.
static bool body_chunked(struct peer *w, struct arena *a, size_t at, struct slice *ret) {
    struct buf out = BUF_INIT(256u << 20);
    bool ok = false;
    for (;;) {
        size_t eol, size;
        while ((eol = slice_search(slice_from(buf_slice(&w->in), at), SLICE("\r\n"))) == SIZE_MAX)
            if (!peer_fill(w))
                goto done;
        if (!chunk_size(slice_of(w->in.p + at, eol), &size) || !peer_need(w, at + eol + 2 + size + 2))
            goto done;
        buf_append_mem(&out, w->in.p + at + eol + 2, size);
        at += eol + 2 + size + 2;
        if (size == 0)
            break;
    }
    w->taken = at;
    *ret = arena_copy(a, buf_slice(&out));
    ok = !out.failed;
done:
    buf_done(&out);
    return ok;
}

static bool body_read(struct peer *w, struct arena *a, size_t head_bytes, struct peer_request *r) {
    struct slice expect = headers_get(&r->headers, "expect"), v = headers_get(&r->headers, "content-length");
    uint64_t n = 0;
    if (expect.n && !peer_send(w, SLICE("HTTP/1.1 100 Continue\r\n\r\n")))
        return false;
    if (slice_eq_nocase(headers_get(&r->headers, "transfer-encoding"), SLICE("chunked")))
        return body_chunked(w, a, head_bytes, &r->body);
    if (v.p && !slice_u64(v, &n))
        return false;
    if (!peer_need(w, head_bytes + n))
        return false;
    w->taken = head_bytes + n;
    r->body = slice_of(w->in.p + head_bytes, n);
    return true;
}

bool peer_read(struct peer *w, struct arena *a, struct peer_request *ret) {
    size_t end;
    w->order = NULL;
    while ((end = slice_search(buf_slice(&w->in), SLICE("\r\n\r\n"))) == SIZE_MAX)
        if (w->in.len > HEAD_MAX || !peer_fill(w))
            return false;
    if (w->drop_next)
        return false;
    // The buffer may move while the body comes: the head is parsed from a copy.
    struct slice head = arena_copy(a, slice_of(w->in.p, end + 4));
    if (!head.p || !head_parse(head, ret)) {
        (void)peer_send(w, SLICE("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"));
        return false;
    }
    return body_read(w, a, end + 4, ret);
}

void peer_next(struct peer *w) {
    buf_consume(&w->in, w->taken);
    w->taken = 0;
    w->body_sent = 0;
    w->events = 0;
    w->chunked = false;
}

static bool send_all(struct peer *w, struct slice s) {
    while (s.n) {
        ssize_t n = send(w->fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            atomic_fetch_add_explicit(&w->stats->blocked_writes, 1, memory_order_relaxed);
            struct pollfd p = {.fd = w->fd, .events = POLLOUT};
            (void)poll(&p, 1, 1000);
            atomic_fetch_sub_explicit(&w->stats->blocked_writes, 1, memory_order_relaxed);
            continue;
        }
        if (n < 0 && errno != EINTR) {
            w->end = PEER_GONE;
            return false;
        }
        if (n > 0) {
            atomic_fetch_add_explicit(&w->stats->bytes_sent, (uint64_t)n, memory_order_relaxed);
            s = slice_from(s, (size_t)n);
        }
    }
    return true;
}

bool peer_send(struct peer *w, struct slice s) {
    if (w->end != PEER_OPEN)
        return false;
    if (!w->order || w->order->split <= 0)
        return send_all(w, s);
    while (s.n) {
        if (!send_all(w, slice_first(s, (size_t)w->order->split)))
            return false;
        s = slice_from(s, (size_t)w->order->split);
        int64_t rest_us = w->order->split_us;
        if (rest_us > 0)
            (void)nanosleep(&(struct timespec){rest_us / 1000000, rest_us % 1000000 * 1000}, NULL);
    }
    return true;
}

void peer_cut(struct peer *w) {
    if (w->order && w->order->rst)
        (void)setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (w->end == PEER_OPEN)
        w->end = PEER_CUT;
    if (w->order && w->order->half_close) {
        (void)shutdown(w->fd, SHUT_WR);
        peer_wait_gone(w);
    }
}

// One piece of the body; with chunked coding one chunk. A cut inside it leaves the chunk broken.
static bool body_piece(struct peer *w, struct slice s) {
    char size[24];
    int64_t limit = w->order->cut_after_bytes;
    bool cut = limit >= 0 && w->body_sent + s.n > (uint64_t)limit;
    struct slice part = cut ? slice_first(s, (size_t)((uint64_t)limit - w->body_sent)) : s;
    struct buf out = BUF_INIT(s.n + 64);
    if (w->chunked) {
        bool broken = w->order->bad_chunk_after_events >= 0 && w->events > w->order->bad_chunk_after_events;
        int n = snprintf(size, sizeof size, "%s%zx\r\n", broken ? "zz" : "", s.n);
        buf_append_mem(&out, size, (size_t)n);
    }
    buf_append(&out, part);
    if (w->chunked && !cut)
        buf_append_str(&out, "\r\n");
    bool ok = peer_send(w, buf_slice(&out));
    buf_done(&out);
    w->body_sent += part.n;
    if (cut)
        peer_cut(w);
    return ok && !cut;
}

bool peer_body(struct peer *w, struct slice s) {
    size_t step = w->chunked && w->order->rechunk > 0 ? (size_t)w->order->rechunk : s.n;
    for (size_t at = 0; at < s.n; at += step)
        if (!body_piece(w, slice_first(slice_from(s, at), step)))
            return false;
    return w->end == PEER_OPEN;
}

bool peer_event(struct peer *w, struct slice s) {
    if (w->events == w->order->stall_after_events) {
        peer_wait_gone(w);
        return false;
    }
    if (w->events == w->order->cut_after_events) {
        if (!w->order->clean_cut)
            peer_cut(w);
        return false;
    }
    w->events++;
    return peer_body(w, s);
}

// True while the peer has not closed. Pipelined bytes don't count as closing.
static bool peer_there(struct peer *w) {
    char c;
    ssize_t n = recv(w->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

bool peer_wait(struct peer *w, int64_t ms) {
    uint64_t until = clock_mono_ms() + (uint64_t)(ms > 0 ? ms : 0);
    while (w->end == PEER_OPEN) {
        uint64_t now = clock_mono_ms();
        if (now >= until)
            return true;
        struct pollfd p = {.fd = w->fd, .events = POLLRDHUP};
        int n = poll(&p, 1, (int)(until - now));
        if (n > 0 && ((p.revents & (POLLERR | POLLHUP | POLLRDHUP)) || !peer_there(w)))
            w->end = PEER_GONE;
    }
    return false;
}

void peer_wait_gone(struct peer *w) {
    enum peer_end before = w->end;
    w->end = PEER_OPEN;
    (void)peer_wait(w, 600000);
    w->end = before == PEER_OPEN ? PEER_GONE : before;
}
