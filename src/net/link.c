// SPDX-License-Identifier: Apache-2.0
// A connection to an upstream of our own client: writes one request, reads one answer, and then waits in the pool of
// its origin for the next. Answers are read from the loop's shared buffer, and pieces of bodies are handed on as they
// lie there; only a head that comes in pieces is gathered.
//
// A link is owned by its handle and freed when that is closed. A pooled link is read on: whatever comes then (an end,
// or bytes nobody asked for) closes it. After each hook the link may have lost its fetch; then it is not touched more.
//
// A socket that still connects takes no bytes, so the first write is also how connecting is awaited: libuv writes when
// the socket can, and its error is connect's. Only then reading starts.
#include <unistd.h>
#include "base/limits.h"
#include "base/mem.h"
#include "net/fetch.h"

#define FIRST_WRITE_BYTES ((size_t)64 << 10) // reading starts behind it: a server may refuse a long body early
#define WRITE_BYTES ((size_t)256 << 10)      // of one write; an event has two: 0.7 ms
#define LONG_BYTES ((size_t)64 << 10)
#define LONG_READ_BYTES ((size_t)16 << 10) // of a longer answer: libuv reads 32 times before anyone else's turn
#define LIMIT_INTERIM 16                   // 1xx answers before the real one

static void link_input(struct link *k, struct slice bytes);

// ---- pools

static bool pool_is(const struct pool *pool, struct slice name, uint16_t port) {
    if (pool->key_n != name.n + 2)
        return false;
    return memcmp(pool->key, &port, 2) == 0 && memcmp(pool->key + 2, name.p, name.n) == 0;
}

struct pool *pool_get(struct client *c, struct slice unix_path, struct slice host, uint16_t port) {
    struct slice name = unix_path.n ? unix_path : host;
    if (unix_path.n)
        port = 0; // no TCP port, and a path is no host name: '/' is not allowed in one
    for (struct pool *pool = c->pools; pool; pool = pool->next)
        if (pool_is(pool, name, port))
            return pool;
    struct pool *pool = mem_zalloc(sizeof *pool + name.n + 2);
    if (!pool)
        return NULL;
    pool->key_n = name.n + 2;
    memcpy(pool->key, &port, 2);
    if (name.n)
        memcpy(pool->key + 2, name.p, name.n);
    pool->next = c->pools;
    c->pools = pool;
    return pool;
}

void pools_free(struct client *c) {
    while (c->pools) {
        struct pool *pool = c->pools;
        c->pools = pool->next;
        mem_free(pool);
    }
}

struct link *link_take(struct pool *pool) {
    struct link *k = pool->idle;
    if (!k)
        return NULL;
    pool->idle = k->next_idle;
    pool->n_idle--;
    k->client->n_idle--;
    k->next_idle = NULL;
    return k;
}

static void pool_drop(struct link *k) {
    for (struct link **at = &k->pool->idle; *at; at = &(*at)->next_idle) {
        if (*at != k)
            continue;
        *at = k->next_idle;
        k->pool->n_idle--;
        k->client->n_idle--;
        return;
    }
}

static void link_pool(struct link *k) {
    if (k->client->closing || k->pool->n_idle >= LIMIT_IDLE_UPSTREAMS) {
        link_close(k);
        return;
    }
    k->p = NULL;
    k->idle_since_ms = k->client->loop->now_ms;
    k->next_idle = k->pool->idle;
    k->pool->idle = k;
    k->pool->n_idle++;
    k->client->n_idle++;
    link_reading(k, true);
    client_sweep_arm(k->client);
}

void links_sweep(struct client *c) {
    for (struct link *k = c->links; k; k = k->next)
        if (!k->p && !k->closing && k->idle_since_ms + LIMIT_IDLE_UPSTREAM_MS <= c->loop->now_ms)
            link_close(k);
}

void links_close_idle(struct client *c) {
    for (struct link *k = c->links; k; k = k->next)
        if (!k->p)
            link_close(k);
}

// ---- the handle

static void link_closed(uv_handle_t *h) {
    struct link *k = h->data;
    struct client *c = k->client;
    *k->prev = k->next;
    if (k->next)
        k->next->prev = k->prev;
    buf_done(&k->in);
    mem_free(k);
    client_handle_gone(c);
}

void link_close(struct link *k) {
    if (k->closing)
        return;
    k->closing = true;
    if (!k->p)
        pool_drop(k);
    k->p = NULL;
    uv_close((uv_handle_t *)&k->tcp, link_closed);
}

static void link_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
    struct link *k = h->data;
    (void)suggested;
    *buf = uv_buf_init(k->client->loop->read_buf, k->came > LONG_BYTES ? LONG_READ_BYTES : LOOP_READ_BYTES);
}

static void link_ended(struct link *k, int status);

static void link_on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct link *k = stream->data;
    loop_tick(k->client->loop, k);
    if (n == 0 || k->closing)
        return;
    struct plain *p = k->p;
    if (!p) {
        link_close(k);
        return;
    }
    if (n < 0) {
        link_ended(k, (int)n);
        return;
    }
    link_input(k, slice_of(buf->base, (size_t)n));
    if (k->p == p && p->f.hooks->on_read_end)
        p->f.hooks->on_read_end(p->f.user);
}

void link_reading(struct link *k, bool on) {
    if (k->reading == on || k->closing)
        return;
    k->reading = on;
    if (on)
        (void)uv_read_start((uv_stream_t *)&k->tcp, link_alloc, link_on_read);
    else
        (void)uv_read_stop((uv_stream_t *)&k->tcp);
}

void link_attach(struct link *k, struct plain *p) {
    k->p = p;
    p->link = k;
    k->reads = LINK_HEAD;
    k->scan = (struct head_scan){0};
    k->any_byte = false;
    k->came = 0;
    k->n_interim = 0;
}

enum err link_open(struct client *c, struct plain *p, const struct address *addr) {
    int fd = -1;
    struct link *k = mem_zalloc(sizeof *k);
    if (!k)
        return ERR_NO_MEMORY;
    enum err e = outgoing_open(&p->permit, &addr->a.any, addr->len, &fd);
    if (e) {
        mem_free(k);
        return e;
    }
    k->client = c;
    k->pool = p->pool;
    k->addr = *addr;
    buf_init(&k->in, LIMIT_UP_HEAD_BYTES + LOOP_READ_BYTES);
    uv_tcp_init(&c->loop->uv, &k->tcp);
    k->tcp.data = k;
    k->write.data = k;
    c->n_handles++;
    k->next = c->links;
    k->prev = &c->links;
    if (k->next)
        k->next->prev = &k->next;
    c->links = k;
    link_attach(k, p);
    int r = uv_tcp_open(&k->tcp, fd);
    if (!r)
        return ERR_OK;
    close(fd);
    p->link = NULL;
    link_close(k);
    return ERR_LIMIT;
}

// ---- writing

static void link_connected(struct link *k) {
    if (k->connected)
        return;
    k->connected = true;
    plain_connecting(k->p, false);
    if (!k->p->paused)
        link_reading(k, true);
}

// The kernel's word that there never was a connection.
static bool is_connect_error(int status) {
    return status == UV_ECONNREFUSED || status == UV_ETIMEDOUT || status == UV_EHOSTUNREACH ||
           status == UV_ENETUNREACH || status == UV_EADDRNOTAVAIL || status == UV_ECONNRESET || status == UV_EACCES ||
           status == UV_EPERM;
}

static void link_write_failed(struct link *k, int status) {
    struct plain *p = k->p;
    if (!k->connected && p->sent == 0 && is_connect_error(status)) {
        p->link = NULL;
        link_close(k);
        plain_connect_failed(p, uv_strerror(status));
        return;
    }
    // The answer may be there already (a refusal of a long body): reading finds it, or the end.
    if (k->connected && k->reading && !p->f.reused)
        return;
    link_ended(k, status);
}

// What is to be written next. A fresh link first gets only so much as is needed to see it connected.
static unsigned request_rest(const struct link *k, uv_buf_t b[2]) {
    const struct plain *p = k->p;
    unsigned n = 0;
    size_t most = k->connected ? WRITE_BYTES : FIRST_WRITE_BYTES;
    struct slice head = slice_from(buf_slice(&p->head), p->sent);
    struct slice body = slice_from(p->body, p->sent > p->head.len ? p->sent - p->head.len : 0);
    head = slice_first(head, most);
    body = slice_first(body, most - head.n);
    if (head.n)
        b[n++] = uv_buf_init((char *)(uintptr_t)head.p, (unsigned)head.n);
    if (body.n)
        b[n++] = uv_buf_init((char *)(uintptr_t)body.p, (unsigned)body.n);
    return n;
}

static void link_on_written(uv_write_t *w, int status) {
    struct link *k = w->data;
    struct plain *p = k->p;
    k->writing = false;
    if (!p || k->closing)
        return;
    loop_tick(k->client->loop, k);
    if (status) {
        link_write_failed(k, status);
        return;
    }
    uv_buf_t b[2];
    unsigned n = request_rest(k, b); // the same that was given to uv_write
    for (unsigned i = 0; i < n; i++)
        p->sent += b[i].len;
    link_connected(k);
    link_send(k);
}

void link_send(struct link *k) {
    struct plain *p = k->p;
    uv_buf_t b[2];
    unsigned n;
    size_t written = 0;
    while ((n = request_rest(k, b)) > 0 && written < WRITE_BYTES) {
        int r = uv_try_write((uv_stream_t *)&k->tcp, b, n);
        if (r < 0 && r != UV_EAGAIN) {
            link_write_failed(k, r);
            return;
        }
        if (r <= 0)
            break;
        p->sent += (size_t)r;
        written += (size_t)r;
        link_connected(k);
    }
    if (n == 0) {
        buf_done(&p->head);
        fetch_turn_queue(&p->f); // tells on_sent
        return;
    }
    k->writing = true;
    int r = uv_write(&k->write, (uv_stream_t *)&k->tcp, b, n, link_on_written);
    if (r) {
        k->writing = false;
        link_write_failed(k, r);
    }
}

// ---- the answer

static void link_fail(struct link *k, enum err e, const char *detail) {
    plain_fail(k->p, e, detail);
}

static void link_answered(struct link *k, bool more_came) {
    struct plain *p = k->p;
    bool keep = k->msg.keep_alive && !more_came && k->reads != LINK_UNTIL_EOF && plain_is_sent(p) && !k->writing;
    if (plain_is_sent(p))
        fetch_tell_sent(&p->f);
    if (k->p != p)
        return;
    p->link = NULL;
    if (keep)
        link_pool(k);
    else
        link_close(k);
    fetch_finish(&p->f, ERR_OK, NULL);
}

static void link_ended(struct link *k, int status) {
    struct plain *p = k->p;
    if (k->reads == LINK_UNTIL_EOF && status == UV_EOF && (k->msg.says_close || k->msg.minor == 0)) {
        link_answered(k, false);
        return;
    }
    const char *detail = status == UV_EOF ? "the connection was closed" : uv_strerror(status);
    link_fail(k, p->f.reused && !k->any_byte ? ERR_STALE : ERR_UP_DIED, detail);
}

static void body_input(struct link *k, struct slice bytes);

static void body_begin(struct link *k, struct slice rest) {
    const struct message *m = &k->msg;
    bool none = k->p->is_head || m->status == 204 || m->status == 304;
    k->left = m->length;
    if (none || (m->has_length && m->length == 0)) {
        k->reads = LINK_LENGTH;
        link_answered(k, rest.n > 0);
        return;
    }
    k->reads = m->chunked ? LINK_CHUNKED : m->has_length ? LINK_LENGTH : LINK_UNTIL_EOF;
    if (rest.n)
        body_input(k, rest);
}

static bool link_on_piece(void *user, struct slice piece) {
    struct link *k = user;
    struct plain *p = k->p;
    p->f.hooks->on_body(p->f.user, piece);
    return k->p == p;
}

// rest: what came behind the head in the same read.
static void head_whole(struct link *k, struct slice head, struct slice rest) {
    struct header v[LIMIT_HEADERS * 2];
    struct plain *p = k->p;
    if (message_head(&k->msg, HTTP_RESPONSE, head, v, LIMIT_HEADERS * 2)) {
        link_fail(k, ERR_UP_PROTOCOL, "the answer's head is not valid HTTP/1.1");
        return;
    }
    if (k->msg.status < 200) {
        if (k->msg.status == 101 || ++k->n_interim > LIMIT_INTERIM) {
            link_fail(k, ERR_UP_PROTOCOL, "an interim answer that was not asked for");
            return;
        }
        k->scan = (struct head_scan){0};
        buf_done(&k->in);
        if (rest.n)
            link_input(k, rest);
        return;
    }
    k->msg.on_piece = link_on_piece;
    k->msg.user = k;
    if (plain_is_sent(p))
        fetch_tell_sent(&p->f);
    if (k->p == p)
        p->f.hooks->on_head(p->f.user, k->msg.status, &(struct headers){v, k->msg.n});
    if (k->p != p)
        return;
    buf_done(&k->in);
    body_begin(k, rest);
}

static void head_input(struct link *k, struct slice bytes) {
    size_t n = 0, before = k->in.len;
    if (before)
        buf_append(&k->in, bytes);
    struct slice all = before ? buf_slice(&k->in) : bytes;
    enum head_found found = k->in.failed ? HEAD_MORE : head_scan(&k->scan, all, &n);
    if (memcmp(all.p, "HTTP/", all.n < 5 ? all.n : 5) != 0)
        found = HEAD_BAD; // another protocol may never send a blank line
    if (found == HEAD_WHOLE && n <= LIMIT_UP_HEAD_BYTES) {
        head_whole(k, slice_first(all, n), slice_from(bytes, n - before));
        return;
    }
    if (!before && found == HEAD_MORE)
        buf_append(&k->in, bytes);
    if (found == HEAD_BAD)
        link_fail(k, ERR_UP_PROTOCOL, "the answer's head is not valid HTTP/1.1");
    else if (all.n > LIMIT_UP_HEAD_BYTES)
        link_fail(k, ERR_UP_PROTOCOL, "the answer's head is too large");
    else if (k->in.failed)
        link_fail(k, ERR_NO_MEMORY, "out of memory");
}

static void chunks_input(struct link *k, struct slice bytes) {
    size_t used;
    enum err e = message_body(&k->msg, bytes, &used);
    if (e == ERR_CANCELLED)
        return;
    if (e)
        link_fail(k, ERR_UP_PROTOCOL, "the answer's chunks are not valid");
    else if (k->msg.whole)
        link_answered(k, used < bytes.n);
}

static void body_input(struct link *k, struct slice bytes) {
    struct plain *p = k->p;
    if (k->reads == LINK_CHUNKED) {
        chunks_input(k, bytes);
        return;
    }
    struct slice mine = bytes;
    if (k->reads == LINK_LENGTH && k->left < bytes.n)
        mine.n = (size_t)k->left;
    p->f.hooks->on_body(p->f.user, mine);
    if (k->p != p || k->reads != LINK_LENGTH)
        return;
    k->left -= mine.n;
    if (k->left == 0)
        link_answered(k, mine.n < bytes.n);
}

static void link_input(struct link *k, struct slice bytes) {
    k->any_byte = true;
    k->came += bytes.n;
    if (k->reads == LINK_HEAD)
        head_input(k, bytes);
    else
        body_input(k, bytes);
}
