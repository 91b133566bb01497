// SPDX-License-Identifier: Apache-2.0
// The writing half of a client's connection: whole answers, streams of chunks, and the queue behind a slow client.
//
// Bytes go to the socket at once (uv_try_write), and what it does not take is copied: `out` waits, `flying` is libuv's
// until its callback. Small chunks of one turn are joined in `out` and leave when the turn ends, in one system call.
// The caller's credit is what may wait; above it conn_has_credit is false until on_credit. A write that fails ends the
// connection when the turn ends: no hook is ever called from inside these functions.
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/conn.h"

#define JOIN_BYTES ((size_t)16 << 10)    // larger chunks are not copied to be joined
#define JOINED_BYTES ((size_t)64 << 10)  // so much joined does not wait for the turn's end
#define KEEP_OUT_BYTES ((size_t)1 << 10) // an empty queue may hold so much for the next chunk
#define PIECE_BYTES ((size_t)512 << 10)  // written between two events, of much that waits: 0.3 ms
#define GIVEN_BYTES ((size_t)256 << 10)  // more is not copied if it is ours
#define ERROR_BODY_BYTES ((size_t)8 << 10)

// ---- the queue

size_t conn_flying(const struct conn *c) {
    size_t waits = c->is_flying ? c->flying.len - c->flown : 0;
    return c->is_flying ? waits + uv_stream_get_write_queue_size((const uv_stream_t *)&c->tcp) : 0;
}

size_t conn_backlog(const struct conn *c) {
    return c->out.len + conn_flying(c);
}

bool conn_written(const struct conn *c) {
    return c->out.len == 0 && !c->is_flying;
}

bool conn_has_credit(const struct conn *c) {
    return !c->starved;
}

static void conn_broken(struct conn *c) {
    c->broken = true;
    conn_turn_queue(c);
}

// What stands behind the part that was written.
static void out_keep_rest(struct conn *c, size_t written, const struct slice *v, size_t n) {
    size_t queued = c->out.len;
    if (written >= queued) {
        written -= queued;
        c->out.len = 0;
    } else {
        buf_consume(&c->out, written);
        written = 0;
    }
    for (size_t i = 0; i < n; i++) {
        size_t skip = written < v[i].n ? written : v[i].n;
        written -= skip;
        buf_append(&c->out, slice_from(v[i], skip));
    }
    if (c->out.len == 0 && c->out.cap > KEEP_OUT_BYTES)
        buf_done(&c->out);
    if (c->out.failed)
        conn_broken(c);
}

static void conn_on_written(uv_write_t *w, int status);

// The next piece: a socket that takes all at once would keep the loop.
static void piece_fly(struct conn *c) {
    struct slice piece = slice_first(slice_from(buf_slice(&c->flying), c->flown), PIECE_BYTES);
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)piece.p, (unsigned)piece.n);
    c->flown += piece.n;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, conn_on_written)) {
        c->is_flying = false;
        conn_broken(c);
    }
}

// Hands the queue to libuv, which writes when the socket can take more.
static void out_fly(struct conn *c) {
    struct buf out = c->out;
    c->out = c->flying;
    c->flying = out;
    c->is_flying = true;
    c->flown = 0;
    c->flying_left = c->flying.len;
    c->deadline_ms = c->server->loop->now_ms + c->server->o.send_idle_ms;
    piece_fly(c);
}

void conn_send(struct conn *c, const struct slice *v, size_t n) {
    uv_buf_t b[5];
    unsigned count = 0;
    size_t all = c->out.len, written = 0;
    if (c->broken || c->state == CONN_CLOSED)
        return;
    if (c->out.len)
        b[count++] = uv_buf_init(c->out.p, (unsigned)c->out.len);
    for (size_t i = 0; i < n; i++) {
        if (v[i].n)
            b[count++] = uv_buf_init((char *)(uintptr_t)v[i].p, (unsigned)v[i].n);
        all += v[i].n;
    }
    if (!c->is_flying && all) {
        int r = uv_try_write((uv_stream_t *)&c->tcp, b, count);
        if (r < 0 && r != UV_EAGAIN) {
            conn_broken(c);
            return;
        }
        written = r < 0 ? 0 : (size_t)r;
    }
    out_keep_rest(c, written, v, n);
    if (!c->broken && !c->is_flying && c->out.len)
        out_fly(c);
}

// All of an answer may be out now, or enough of it for more.
static void conn_after_writing(struct conn *c) {
    const struct server *s = c->server;
    if (c->state == CONN_OPEN && conn_written(c))
        c->deadline_ms = 0;
    if (c->starved && c->state == CONN_OPEN && conn_backlog(c) <= s->o.backlog_low_bytes) {
        c->starved = false;
        if (s->hooks.on_credit)
            s->hooks.on_credit(s->ctx, c, c->user);
    }
    if (c->state == CONN_DONE && conn_written(c))
        conn_next_request(c);
}

static void conn_on_written(uv_write_t *w, int status) {
    struct conn *c = w->data;
    loop_tick(c->server->loop, c);
    if (!status && c->flown < c->flying.len && c->state != CONN_CLOSED) {
        piece_fly(c);
        if (!c->broken)
            return;
    }
    c->is_flying = false;
    buf_done(&c->flying);
    if (c->state == CONN_CLOSED)
        return;
    if (!status && c->out.len)
        conn_send(c, NULL, 0);
    if (status || c->broken)
        conn_lost(c);
    else
        conn_after_writing(c);
}

void conn_turn_end(struct conn *c) {
    if (c->state == CONN_CLOSED)
        return;
    if (!c->is_flying && c->out.len)
        conn_send(c, NULL, 0);
    if (c->broken)
        conn_lost(c);
    else
        conn_after_writing(c);
}

static void conn_on_turn(struct deferred *d) {
    struct conn *c = (struct conn *)(void *)((char *)d - offsetof(struct conn, turn));
    c->turn_queued = false;
    if (c->dead)
        mem_free(c);
    else
        conn_turn_end(c);
}

void conn_turn_queue(struct conn *c) {
    if (c->turn_queued)
        return;
    c->turn_queued = true;
    loop_defer(c->server->loop, &c->turn, conn_on_turn);
}

void conn_flush(struct conn *c) {
    if (!c->is_flying && c->out.len)
        conn_send(c, NULL, 0);
}

// ---- heads

// One that would break the head is left out: it can only come from an upstream or a bug.
static void header_append(struct buf *b, struct slice name, struct slice value) {
    if (!slice_is_one_line(name) || !slice_is_one_line(value))
        return;
    buf_append(b, name);
    buf_append_mem(b, ": ", 2);
    buf_append(b, value);
    buf_append_mem(b, "\r\n", 2);
}

static void headers_append(struct buf *b, const struct headers *h) {
    for (size_t i = 0; h && i < h->n; i++)
        header_append(b, h->v[i].name, h->v[i].value);
}

static struct slice server_date(struct server *s) {
    time_t now = (time_t)clock_wall_s();
    struct tm tm;
    if (now != s->date_s && gmtime_r(&now, &tm)) {
        s->date_s = now;
        (void)strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return slice_str(s->date);
}

static void cors_append(struct conn *c, struct buf *b) {
    if (!c->cors)
        return;
    header_append(b, SLICE("access-control-allow-origin"), slice_str(c->cors));
    header_append(b, SLICE("access-control-expose-headers"), SLICE("*"));
    if (strcmp(c->cors, "*") != 0)
        header_append(b, SLICE("vary"), SLICE("Origin"));
}

// All of a head but its framing and the blank line.
static void head_append(struct conn *c, struct buf *b, int status, const char *content_type,
                        const struct headers *extra) {
    if (c->server->draining || c->body_unread)
        c->keep_alive = false;
    buf_append_mem(b, "HTTP/1.1 ", 9);
    buf_append_u64(b, (uint64_t)status);
    buf_append_char(b, ' ');
    buf_append_str(b, http_status_text(status));
    buf_append_mem(b, "\r\ndate: ", 8);
    buf_append(b, server_date(c->server));
    buf_append_mem(b, "\r\n", 2);
    if (content_type)
        header_append(b, SLICE("content-type"), slice_str(content_type));
    cors_append(c, b);
    headers_append(b, extra);
    if (!c->keep_alive)
        buf_append_str(b, "connection: close\r\n");
    else if (c->http10)
        buf_append_str(b, "connection: keep-alive\r\n");
}

// ---- answers

static void answer_end(struct conn *c) {
    conn_request_free(c);
    c->user = NULL;
    c->starved = false;
    c->state = CONN_DONE;
    if (!conn_written(c) || c->broken)
        return; // conn_on_written goes on, or the turn's end
    if (c->behind.len)
        conn_turn_queue(c);
    else
        conn_next_request(c);
}

static bool status_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

// Sends it behind what was sent, without a copy.
static bool body_give(struct conn *c, struct buf *body) {
    if (body->len <= GIVEN_BYTES || c->out.len || c->is_flying || c->broken)
        return false;
    buf_done(&c->out);
    c->out = *body;
    c->out.max = OUT_BYTES;
    *body = BUF_INIT(body->max);
    out_fly(c);
    return true;
}

// given: what body is of, or NULL.
static void answer_whole(struct conn *c, int status, const char *content_type, const struct headers *extra,
                         struct slice body, struct buf *given) {
    struct buf *head = &c->server->scratch;
    buf_clear(head);
    head_append(c, head, status, content_type, extra);
    if (status_has_body(status)) {
        buf_append_str(head, "content-length: ");
        buf_append_u64(head, body.n);
        buf_append_mem(head, "\r\n", 2);
    }
    buf_append_mem(head, "\r\n", 2);
    bool sends_body = status_has_body(status) && !c->is_head;
    struct slice v[2] = {buf_slice(head), sends_body ? body : SLICE_NONE};
    c->sent_bytes = v[1].n;
    if (given && given->len > GIVEN_BYTES && v[1].n) {
        conn_send(c, v, 1);
        v[0] = SLICE_NONE;
        if (body_give(c, given))
            v[1] = SLICE_NONE;
    }
    if (head->failed)
        conn_broken(c);
    else if (v[0].n || v[1].n)
        conn_send(c, v, 2);
    answer_end(c);
}

void conn_respond(struct conn *c, int status, const char *content_type, const struct headers *extra,
                  struct slice body) {
    if (c->state != CONN_OPEN)
        return;
    if (c->started)
        conn_abort(c); // a second head would be read as part of the stream
    else
        answer_whole(c, status, content_type, extra, body, NULL);
}

void conn_give(struct conn *c, int status, const char *content_type, const struct headers *extra, struct buf *body) {
    if (c->state == CONN_OPEN && !c->started)
        answer_whole(c, status, content_type, extra, buf_slice(body), body);
    else
        conn_respond(c, status, content_type, extra, buf_slice(body));
    buf_done(body);
}

// The path of a request that is not whole, as far as it can be told, so that the error has its dialect's shape.
static struct slice path_guess(const struct conn *c) {
    if (c->req)
        return c->req->r.path;
    struct slice line = buf_slice(&c->in);
    (void)slice_split(&line, ' ');
    struct slice target = slice_split(&line, ' ');
    struct slice path = slice_split(&target, '?');
    return line.p && path.n && path.p[0] == '/' && slice_is_one_line(path) ? path : SLICE_NONE;
}

void conn_refuse(struct conn *c, int status, const char *text, struct slice path, struct slice body) {
    const struct server *s = c->server;
    struct buf written = BUF_INIT(ERROR_BODY_BYTES);
    const char *type = "application/json";
    if (!path.p)
        path = path_guess(c);
    if (!body.n && s->hooks.error_body) {
        s->hooks.error_body(s->ctx, path, status, text, &written);
        body = written.failed ? SLICE_NONE : buf_slice(&written);
    }
    if (!body.n) {
        body = slice_str(text);
        type = "text/plain";
    }
    c->state = CONN_OPEN;
    static const struct header challenge = {SLICE("www-authenticate"), SLICE("Bearer")}; // RFC 9110, 15.5.2
    answer_whole(c, status, type, status == 401 ? &(struct headers){&challenge, 1} : NULL, body, NULL);
    buf_done(&written);
}

bool conn_started(const struct conn *c) {
    return c->started;
}

uint64_t conn_sent(const struct conn *c) {
    return c->sent_bytes;
}

void conn_start(struct conn *c, int status, const char *content_type, const struct headers *extra,
                const char *trailer) {
    if (c->state != CONN_OPEN || c->started)
        return;
    c->started = true;
    c->chunked = !c->http10;
    if (c->http10)
        c->keep_alive = false;
    head_append(c, &c->out, status, content_type, extra);
    if (c->chunked)
        buf_append_str(&c->out, "transfer-encoding: chunked\r\n");
    if (c->chunked && trailer)
        header_append(&c->out, SLICE("trailer"), slice_str(trailer));
    buf_append_mem(&c->out, "\r\n", 2);
    if (c->out.failed)
        conn_broken(c);
    conn_turn_queue(c);
}

static struct slice chunk_head(char *room, size_t room_n, size_t n) {
    static const char digits[] = "0123456789abcdef";
    size_t at = room_n;
    room[--at] = '\n';
    room[--at] = '\r';
    do {
        room[--at] = digits[n & 15];
        n >>= 4;
    } while (n);
    return slice_of(room + at, room_n - at);
}

static void out_join(struct conn *c, const struct slice *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        buf_append(&c->out, v[i]);
    if (c->out.failed)
        conn_broken(c);
    conn_turn_queue(c);
}

void conn_write(struct conn *c, struct slice bytes) {
    char room[20];
    if (c->state != CONN_OPEN || !c->started || c->broken || c->is_head || bytes.n == 0)
        return;
    struct slice v[3] = {SLICE_NONE, bytes, SLICE_NONE};
    if (c->chunked) {
        v[0] = chunk_head(room, sizeof room, bytes.n);
        v[2] = SLICE("\r\n");
    }
    c->sent_bytes += bytes.n;
    if (bytes.n <= JOIN_BYTES && c->out.len < JOINED_BYTES)
        out_join(c, v, 3);
    else
        conn_send(c, v, 3);
    if (conn_backlog(c) < c->server->o.backlog_bytes)
        return;
    // Much of it may only wait for the turn's end.
    conn_flush(c);
    if (conn_backlog(c) >= c->server->o.backlog_bytes)
        c->starved = true;
}

void conn_end(struct conn *c, const struct headers *trailers) {
    if (c->state != CONN_OPEN)
        return;
    if (c->chunked && !c->is_head) {
        buf_append_mem(&c->out, "0\r\n", 3);
        headers_append(&c->out, trailers);
        buf_append_mem(&c->out, "\r\n", 2);
    }
    if (c->out.failed)
        conn_broken(c);
    conn_flush(c);
    answer_end(c);
}

void conn_abort(struct conn *c) {
    if (c->state != CONN_OPEN)
        return;
    conn_request_free(c);
    // Without chunks only a reset tells a cut stream from a whole one.
    if (c->chunked || c->is_flying || uv_tcp_close_reset(&c->tcp, conn_closed)) {
        conn_close(c);
        return;
    }
    c->state = CONN_CLOSED;
}
