// SPDX-License-Identifier: Apache-2.0
// The HTTP server against raw bytes on real sockets.
#include "net/server.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/wire_test.h"
#include "unit.h"

#define HOST "Host: localhost\r\n"

struct site {
    struct loop l;
    struct server *s;
    int port;
    struct server_options o;
    struct server_hooks h;
    struct conn *held;
    unsigned requests, gone, credits;
    size_t pushed, to_push;
    bool closed, idle, whole; // whole: the last request was as the test wanted it
    int refuse;               // what on_head says
    struct buf uploaded;
    unsigned pieces;
    struct buf seen; // "METHOD path?query bodylength;" of each request
};

static char block[4000];

static void push(struct site *t, struct conn *c) {
    while (t->pushed < t->to_push && conn_has_credit(c)) {
        conn_write(c, slice_of(block, sizeof block));
        t->pushed += sizeof block;
    }
    if (t->pushed >= t->to_push) {
        t->held = NULL;
        conn_end(c, NULL);
    }
}

static void serve_stream(struct conn *c) {
    struct header trailer = {SLICE("x-cost"), SLICE("7")};
    conn_start(c, 200, "text/event-stream", NULL, "x-cost");
    conn_write(c, SLICE("data: 1\n\n"));
    conn_write(c, SLICE("data: 2\n\n"));
    conn_end(c, &(struct headers){&trailer, 1});
}

static void on_request(void *ctx, struct conn *c, const struct http_request *r) {
    struct site *t = ctx;
    t->requests++;
    buf_printf(&t->seen, "%.*s %.*s?%.*s %zu;", SLICE_FMT(r->method), SLICE_FMT(r->path), SLICE_FMT(r->query),
               r->body.n);
    t->whole = slice_is(headers_get(&r->headers, "x-last"), "yes");
    conn_set_user(c, t);
    if (slice_is(r->path, "/echo")) {
        conn_respond(c, 200, "text/plain", NULL, r->body);
    } else if (slice_is(r->path, "/stream")) {
        serve_stream(c);
    } else if (slice_is(r->path, "/hold")) {
        t->held = c;
    } else if (slice_is(r->path, "/push")) {
        t->held = c;
        conn_release_request(c);
        conn_start(c, 200, "text/plain", NULL, NULL);
        push(t, c);
    } else {
        struct header extra[] = {{SLICE("x-a"), SLICE("b")}, {SLICE("x-evil"), SLICE("1\r\nx-injected: 1")}};
        conn_respond(c, 200, "text/plain", &(struct headers){extra, 2}, SLICE("hello"));
    }
}

static int on_head(void *ctx, struct conn *c, const struct http_request *r, struct slice *ret_body) {
    struct site *t = ctx;
    (void)c;
    if (slice_is(r->path, "/refuse-with-body"))
        *ret_body = SLICE("{\"no\":1}");
    return slice_starts(r->path, "/refuse") ? t->refuse : 0;
}

static void on_credit(void *ctx, struct conn *c, void *user) {
    struct site *t = ctx;
    (void)user;
    t->credits++;
    push(t, c);
}

static void on_gone(void *ctx, struct conn *c, void *user) {
    struct site *t = ctx;
    (void)c;
    (void)user;
    t->gone++;
    t->held = NULL;
}

static bool is_upload(const struct http_request *r) {
    return slice_is(r->path, "/upload");
}

static void on_upload(void *ctx, struct conn *c, const struct http_request *r) {
    (void)r;
    conn_set_user(c, ctx);
}

static void piece_is_taken(void *arg) {
    struct site *t = arg;
    if (t->held)
        conn_piece_taken(t->held);
}

static void on_piece(void *ctx, struct conn *c, void *user, struct slice bytes) {
    struct site *t = user;
    (void)ctx;
    buf_append(&t->uploaded, bytes);
    t->pieces++;
    t->held = c;
    if (loop_post(&t->l, piece_is_taken, t)) // it takes a while
        abort();
}

static void on_closed(void *ctx) {
    *(bool *)ctx = true;
}

static bool site_open(struct site *t) {
    struct buf problem = BUF_INIT(1000);
    t->h = (struct server_hooks){.on_head = on_head,
                                 .is_upload = is_upload,
                                 .on_upload = on_upload,
                                 .on_piece = on_piece,
                                 .on_request = on_request,
                                 .on_credit = on_credit,
                                 .on_gone = on_gone};
    buf_init(&t->seen, 1 << 20);
    bool good = loop_init(&t->l, 0) == ERR_OK && server_new(&t->l, &t->o, &t->h, t, &t->s) == ERR_OK &&
                server_listen_tcp(t->s, "127.0.0.1:0", &t->port, &problem) == ERR_OK;
    buf_done(&problem);
    return good;
}

static void site_close(struct site *t) {
    if (t->s)
        server_close(t->s, on_closed, &t->closed);
    (void)wire_until(&t->l, &t->closed);
    loop_done(&t->l);
    buf_done(&t->seen);
}

// Sends and reads to the end of the connection; the status of the last answer, 0 for none, -1 when it did not end.
static int ask_closed(struct site *t, struct slice request, size_t cut, struct buf *in) {
    int fd = wire_dial(t->port), status = 0;
    buf_clear(in);
    wire_send(&t->l, fd, slice_first(request, cut));
    if (cut < request.n) {
        wire_turns(&t->l, 3);
        wire_send(&t->l, fd, slice_from(request, cut));
    }
    bool ended = wire_read(&t->l, fd, in, NULL);
    struct slice rest = buf_slice(in);
    for (size_t at; (at = slice_search(rest, SLICE("HTTP/1.1 "))) != SIZE_MAX;) {
        rest = slice_from(rest, at + 9);
        status = rest.p ? (int)strtol(rest.p, NULL, 10) : 0;
    }
    close(fd);
    return ended ? status : -1;
}

static const struct bad {
    const char *name;
    const char *request;
    int status;
} bads[] = {
    {"bare LF", "GET / HTTP/1.1\nHost: localhost\n\n", 400},
    {"bare LF in headers", "GET / HTTP/1.1\r\n" HOST "X: 1\nY: 2\r\n\r\n", 400},
    {"no host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", 400},
    {"two hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"space before colon", "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400},
    {"obs-fold", "GET / HTTP/1.1\r\n" HOST "X: 1\r\n 2\r\n\r\n", 400},
    {"obs-fold by tab", "GET / HTTP/1.1\r\n" HOST "X: 1\r\n\t2\r\n\r\n", 400},
    {"space before the first header", "GET / HTTP/1.1\r\n X: 1\r\n" HOST "\r\n", 400},
    {"two lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400},
    {"the same length twice", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
    {"a list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na", 400},
    {"signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\na", 400},
    {"hex length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na", 400},
    {"huge length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\na", 400},
    {"length and chunked",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunked and length",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400},
    {"unknown coding", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 400},
    {"coding before chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunked twice", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunked in two headers",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"quoted chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
    {"chunked in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {"chunk size not hex", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400},
    {"chunk size with 0x", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n", 400},
    {"chunk size with a sign", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400},
    {"chunk size too large", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
    {"chunk size with a space", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n", 400},
    {"bare LF behind a chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n", 400},
    {"chunk longer than said", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400},
    {"bare LF behind the last chunk", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\n\n", 400},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"HTTP/3.0", "GET / HTTP/3.0\r\n" HOST "\r\n", 400},
    {"unknown method", "GTE / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"lower case method", "get / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"TLS", "\x16\x03\x01\x02", 400},
    {"CONNECT", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n", 400},
    {"no path", "GET foo HTTP/1.1\r\n" HOST "\r\n", 400},
    {"expectation", "GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", 417},
    {"compressed", "POST / HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 415},
    {"rebinding", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403},
    {"rebinding by a prefix", "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403},
    {"rebinding by an address as prefix", "GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n", 403},
    {"rebinding by the target", "GET http://evil.example/ HTTP/1.1\r\n" HOST "\r\n", 403},
    {"another address", "GET / HTTP/1.1\r\nHost: 192.168.1.1\r\n\r\n", 403},
    {"empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 403},
};

TEST(server_refuses_what_is_not_plain_http) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        struct slice request = slice_str(bads[i].request);
        for (size_t cut = 1; cut <= request.n; cut++) {
            int status = ask_closed(&t, request, cut, &in);
            if (status != bads[i].status || wire_count(buf_slice(&in), "HTTP/1.1 ") != 1)
                FAIL("%s, cut at %zu: %d, not %d", bads[i].name, cut, status, bads[i].status);
        }
    }
    CHECK_EQ(t.requests, 0);
    struct slice nul = {"GET / HTTP/1.1\r\nHost: local\0host\r\n\r\n", 36};
    CHECK_EQ(ask_closed(&t, nul, nul.n, &in), 400);
    nul = slice_of("GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n", 36);
    CHECK_EQ(ask_closed(&t, nul, nul.n, &in), 400);
    CHECK_EQ(t.requests, 0);
    buf_done(&in);
    site_close(&t);
}

TEST(server_gives_an_upload_on_in_pieces) {
    static const char *const requests[] = {
        "POST /upload HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 12\r\n\r\nhello upload",
        "POST /upload HTTP/1.1\r\n" HOST "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n7\r\n upload\r\n0\r\n\r\n"};
    struct site t = {.o.body_bytes = 8}; // no bound for them
    struct buf in = BUF_INIT(1 << 20);
    buf_init(&t.uploaded, 1 << 20);
    CHECK(site_open(&t));
    for (size_t i = 0; i < 2; i++) {
        struct slice request = slice_str(requests[i]);
        for (size_t cut = 1; cut <= request.n; cut++) {
            buf_clear(&t.uploaded);
            buf_clear(&t.seen);
            CHECK_EQ(ask_closed(&t, request, cut, &in), 200);
            CHECK_STREQ(buf_cstr(&t.uploaded), "hello upload");
            CHECK_STREQ(buf_cstr(&t.seen), "POST /upload? 0;");
        }
    }
    CHECK(t.pieces > t.requests && t.gone == 0);
    buf_done(&in);
    buf_done(&t.uploaded);
    site_close(&t);
}

TEST(server_tells_when_an_upload_never_ends) {
    static const char *const requests[] = {
        "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nhello",
        "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nodd\r\n"};
    struct site t = {0};
    buf_init(&t.uploaded, 1 << 20);
    CHECK(site_open(&t));
    for (unsigned i = 0; i < 3; i++) {
        int fd = wire_dial(t.port);
        wire_send(&t.l, fd, slice_str(requests[i]));
        wire_turns(&t.l, 5);
        close(fd);
        wire_turns(&t.l, 5);
        CHECK_EQ(t.gone, i + 1);
    }
    CHECK_EQ(t.requests, 0);
    buf_done(&t.uploaded);
    site_close(&t);
}

static const struct good {
    const char *request;
    const char *seen;
    const char *answer; // a part of it
} goods[] = {
    {"GET / HTTP/1.1\r\n" HOST "Connection: close\r\nX-Last: yes\r\n\r\n", "GET /? 0;", "\r\n\r\nhello"},
    {"\r\nGET /a?b=c?d HTTP/1.1\r\nHost: LOCALHOST:99\r\nConnection: close\r\nX-Last: yes\r\n\r\n", "GET /a?b=c?d 0;",
     "x-a: b\r\n"},
    {"GET / HTTP/1.0\r\nX-Last: yes\r\n\r\n", "GET /? 0;", "connection: close\r\n"},
    {"HEAD / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\nX-Last:   yes \t\r\n\r\n", "HEAD /? 0;",
     "content-length: 5\r\n\r\n"},
    {"POST /echo HTTP/1.1\r\nHost: 127.9.9.9\r\nConnection: close\r\nX-Last: yes\r\nContent-Length: 5\r\n\r\nabcde",
     "POST /echo? 5;", "\r\n\r\nabcde"},
    {"POST /echo HTTP/1.1\r\nHost: a.localhost\r\nConnection: close\r\nX-Last: yes\r\nTransfer-Encoding: "
     "chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
     "POST /echo? 5;", "\r\n\r\nabcde"},
    {"GET http://localhost:80/x?y HTTP/1.1\r\n" HOST "Connection: close\r\nX-Last: yes\r\n\r\n", "GET /x?y 0;",
     "hello"},
    {"GET http://localhost HTTP/1.1\r\n" HOST "Connection: close\r\nX-Last: yes\r\n\r\n", "GET /? 0;", "hello"},
    {"OPTIONS * HTTP/1.1\r\n" HOST "Connection: close\r\nX-Last: yes\r\n\r\n", "OPTIONS *? 0;", "hello"},
    {"GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\nX-Last: yes\r\n\r\n", "GET /stream? 0;",
     "trailer: x-cost\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\nx-cost: 7\r\n\r\n"},
    {"GET /stream HTTP/1.0\r\n" HOST "X-Last: yes\r\n\r\n", "GET /stream? 0;",
     "connection: close\r\n\r\ndata: 1\n\ndata: 2\n\n"},
    {"GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: upgrade, close\r\nX-Last: yes\r\n\r\n", "GET /? 0;",
     "hello"},
    // three in one go, the last closes
    {"GET /1 HTTP/1.1\r\n" HOST "\r\nPOST /echo HTTP/1.1\r\n" HOST
     "Content-Length: 2\r\n\r\nhiPOST /echo HTTP/1.1\r\n" HOST
     "Connection: close\r\nX-Last: yes\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     "GET /1? 0;POST /echo? 2;POST /echo? 1;", "content-length: 2\r\n\r\nhi"},
    {"POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET /stream HTTP/1.1\r\n" HOST
     "\r\nGET /2 HTTP/1.1\r\n" HOST "Connection: close\r\nX-Last: yes\r\n\r\n",
     "POST /echo? 1;GET /stream? 0;GET /2? 0;", "0\r\nx-cost: 7\r\n\r\nHTTP/1.1 200 OK"},
};

TEST(server_serves_whatever_the_cut) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
        struct slice request = slice_str(goods[i].request);
        for (size_t cut = 1; cut <= request.n; cut++) {
            buf_clear(&t.seen);
            int status = ask_closed(&t, request, cut, &in);
            if (status != 200 || !t.whole || !slice_is(buf_slice(&t.seen), goods[i].seen))
                FAIL("%zu, cut at %zu: %d, seen %s", i, cut, status, buf_cstr(&t.seen));
            if (slice_search(buf_slice(&in), slice_str(goods[i].answer)) == SIZE_MAX)
                FAIL("%zu, cut at %zu: %s", i, cut, buf_cstr(&in));
            CHECK_EQ(wire_count(buf_slice(&in), "x-injected"), 0);
        }
    }
    CHECK_EQ(t.gone, 0);
    buf_done(&in);
    site_close(&t);
}

TEST(server_serves_byte_by_byte) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    for (size_t i = 0; i < sizeof goods / sizeof goods[0]; i++) {
        struct slice request = slice_str(goods[i].request);
        int fd = wire_dial(t.port);
        buf_clear(&t.seen);
        buf_clear(&in);
        for (size_t at = 0; at < request.n; at++)
            wire_send(&t.l, fd, slice_of(request.p + at, 1));
        CHECK(wire_read(&t.l, fd, &in, NULL));
        CHECK_STREQ(buf_cstr(&t.seen), goods[i].seen);
        close(fd);
    }
    buf_done(&in);
    site_close(&t);
}

TEST(server_head_has_no_body) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    struct slice head =
        SLICE("HEAD / HTTP/1.1\r\n" HOST "\r\nHEAD /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, head, head.n, &in), 200);
    CHECK(slice_ends(buf_slice(&in), "\r\n\r\n"));
    CHECK_EQ(wire_count(buf_slice(&in), "hello"), 0);
    CHECK_EQ(wire_count(buf_slice(&in), "data:"), 0);
    buf_done(&in);
    site_close(&t);
}

static void buf_repeat(struct buf *b, const char *text, size_t n) {
    while (n-- > 0)
        buf_append_str(b, text);
}

TEST(server_keeps_its_limits) {
    struct site t = {.o = {.body_bytes = 1000}};
    struct buf in = BUF_INIT(1 << 20), r = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    buf_append_str(&r, "GET /");
    buf_repeat(&r, "a", LIMIT_TARGET_BYTES + 1);
    buf_append_str(&r, " HTTP/1.1\r\n" HOST "\r\n");
    CHECK_EQ(ask_closed(&t, buf_slice(&r), r.len, &in), 414);
    CHECK_EQ(ask_closed(&t, slice_first(buf_slice(&r), LIMIT_TARGET_BYTES + 200), 100, &in), 414);
    buf_clear(&r);
    buf_append_str(&r, "GET / HTTP/1.1\r\n" HOST "X: ");
    buf_repeat(&r, "a", LIMIT_HEAD_BYTES);
    CHECK_EQ(ask_closed(&t, buf_slice(&r), r.len, &in), 431);
    buf_append_str(&r, "\r\n\r\n");
    CHECK_EQ(ask_closed(&t, buf_slice(&r), r.len, &in), 431);
    buf_clear(&r);
    buf_append_str(&r, "GET / HTTP/1.1\r\n" HOST);
    buf_repeat(&r, "X: 1\r\n", LIMIT_HEADERS);
    buf_append_str(&r, "\r\n");
    CHECK_EQ(ask_closed(&t, buf_slice(&r), r.len, &in), 431);
    struct slice too_long = SLICE("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\nabc");
    CHECK_EQ(ask_closed(&t, too_long, 30, &in), 413);
    buf_clear(&r);
    buf_append_str(&r, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    buf_repeat(&r, "a\r\n0123456789\r\n", 101);
    CHECK_EQ(ask_closed(&t, buf_slice(&r), 200, &in), 413);
    buf_clear(&r);
    buf_append_str(&r, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1;");
    buf_repeat(&r, "extension", 20000);
    CHECK_EQ(ask_closed(&t, buf_slice(&r), 200, &in), 400);
    CHECK_EQ(t.requests, 0);
    buf_done(&in);
    buf_done(&r);
    site_close(&t);
}

TEST(server_takes_long_bodies) {
    struct site t = {0};
    size_t n = (size_t)3 << 20;
    struct buf in = BUF_INIT(n * 2), r = BUF_INIT(n * 2);
    CHECK(site_open(&t));
    buf_printf(&r, "POST /echo HTTP/1.1\r\n" HOST "X-Last: yes\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", n);
    size_t head = r.len;
    for (size_t i = 0; i < n; i++)
        buf_append_char(&r, (char)('a' + i % 23));
    CHECK_EQ(ask_closed(&t, buf_slice(&r), r.len, &in), 200);
    CHECK(t.whole);
    CHECK_MEM(in.p + in.len - n, n, r.p + head, n);
    buf_done(&in);
    buf_done(&r);
    site_close(&t);
}

TEST(server_continues_on_expectation) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    int fd = wire_dial(t.port);
    wire_send(&t.l, fd, SLICE("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    CHECK(wire_read(&t.l, fd, &in, "HTTP/1.1 100 Continue\r\n\r\n"));
    wire_send(&t.l, fd, SLICE("abc"));
    CHECK(wire_read(&t.l, fd, &in, "\r\n\r\nabc"));
    // and not when the body is there
    buf_clear(&in);
    wire_send(&t.l, fd, SLICE("POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"));
    CHECK(wire_read(&t.l, fd, &in, "\r\n\r\nabc"));
    CHECK(slice_starts(buf_slice(&in), "HTTP/1.1 200"));
    close(fd);
    buf_done(&in);
    site_close(&t);
}

TEST(server_refuses_at_the_head) {
    struct site t = {.refuse = 401};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    struct slice whole = SLICE("POST /refuse HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n" HOST
                               "Connection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, whole, whole.n, &in), 200); // the body was there: the connection goes on
    CHECK_EQ(wire_count(buf_slice(&in), "HTTP/1.1 401 Unauthorized"), 1);
    struct slice part = SLICE("POST /refuse-with-body HTTP/1.1\r\n" HOST "Content-Length: 300\r\n\r\nabc");
    CHECK_EQ(ask_closed(&t, part, part.n, &in), 401);
    CHECK(slice_ends(buf_slice(&in), "{\"no\":1}"));
    CHECK_EQ(t.requests, 1);
    buf_done(&in);
    site_close(&t);
}

TEST(server_times_out) {
    struct site t = {.o = {.head_ms = 60, .body_idle_ms = 60, .keepalive_ms = 60, .send_idle_ms = 100}};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    struct slice head = SLICE("GET / HTTP/1.1\r\n"),
                 body = SLICE("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\na");
    CHECK_EQ(ask_closed(&t, head, head.n, &in), 408);
    CHECK_EQ(ask_closed(&t, body, body.n, &in), 408);
    CHECK_EQ(ask_closed(&t, SLICE("GET / HTTP/1.1\r\n" HOST "\r\n"), 100, &in), 200);
    CHECK_EQ(ask_closed(&t, SLICE_NONE, 0, &in), 0);
    // a client that takes nothing
    t.to_push = (size_t)64 << 20;
    int fd = wire_dial(t.port);
    wire_send(&t.l, fd, SLICE("GET /push HTTP/1.1\r\n" HOST "\r\n"));
    for (uint64_t end = clock_mono_us() + 5000000; t.gone == 0 && clock_mono_us() < end;)
        wire_turns(&t.l, 1);
    CHECK_EQ(t.gone, 1);
    CHECK(t.pushed < t.to_push);
    close(fd);
    buf_done(&in);
    site_close(&t);
}

TEST(server_notices_that_a_client_went) {
    struct site t = {0};
    CHECK(site_open(&t));
    for (int way = 0; way < 3; way++) {
        int fd = wire_dial(t.port);
        wire_send(&t.l, fd, SLICE("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
        wire_turns(&t.l, 3);
        CHECK(t.held);
        if (way == 0)
            close(fd);
        else if (way == 1)
            wire_reset(fd);
        else
            (void)shutdown(fd, SHUT_WR);
        wire_turns(&t.l, 2);
        CHECK_EQ(t.gone, way + 1);
        CHECK(!t.held);
        if (way == 2)
            close(fd);
    }
    wire_turns(&t.l, 3);
    CHECK_EQ(server_conns(t.s), 0);
    site_close(&t);
}

TEST(server_stops_reading_behind_an_open_request) {
    struct site t = {0};
    struct buf in = BUF_INIT(64 << 20);
    CHECK(site_open(&t));
    int fd = wire_dial(t.port);
    size_t bytes = 0;
    wire_send(&t.l, fd, SLICE("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    wire_turns(&t.l, 3);
    char padded[4096]; // few requests fill a window
    int length = snprintf(padded, sizeof padded, "GET /n HTTP/1.1\r\n" HOST "X-Padding: %04000d\r\n\r\n", 0);
    struct slice next = slice_of(padded, (size_t)length);
    for (int idle = 0; idle < 50 && bytes < (64u << 20); idle++) {
        struct slice rest = slice_from(next, bytes % next.n);
        ssize_t n = send(fd, rest.p, rest.n, MSG_NOSIGNAL);
        if (n > 0) {
            idle = 0;
            bytes += (size_t)n;
        }
        wire_turns(&t.l, 1);
    }
    CHECK(bytes < (64u << 20)); // the window closed
    size_t sent = (bytes + next.n - 1) / next.n;
    CHECK(t.held);
    conn_respond(t.held, 200, NULL, NULL, SLICE("held"));
    CHECK(wire_read(&t.l, fd, &in, "held"));
    if (bytes % next.n)
        wire_send(&t.l, fd, slice_from(next, bytes % next.n));
    while (t.requests < sent + 1 && wire_read(&t.l, fd, &in, "hello"))
        buf_clear(&in);
    CHECK_EQ(t.requests, sent + 1);
    close(fd);
    buf_done(&in);
    site_close(&t);
}

TEST(server_gives_credit_and_takes_it) {
    struct site t = {.to_push = (size_t)8 << 20, .o = {.backlog_bytes = 32768, .backlog_low_bytes = 4096}};
    struct buf in = BUF_INIT(64 << 20);
    CHECK(site_open(&t));
    int fd = wire_dial(t.port), small = 65536;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    wire_send(&t.l, fd, SLICE("GET /push HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    wire_turns(&t.l, 20);
    CHECK(t.held && !conn_has_credit(t.held));
    CHECK(conn_backlog(t.held) < 32768 + 70000);
    CHECK(t.pushed < t.to_push);
    CHECK(wire_read(&t.l, fd, &in, NULL));
    CHECK(t.credits > 0);
    CHECK(slice_ends(buf_slice(&in), "\r\n0\r\n\r\n"));
    CHECK(in.len > t.to_push);
    CHECK_EQ(t.gone, 0);
    close(fd);
    buf_done(&in);
    site_close(&t);
}

TEST(server_abort_breaks_the_stream) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    int fd = wire_dial(t.port);
    wire_send(&t.l, fd, SLICE("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    wire_turns(&t.l, 3);
    CHECK(t.held);
    conn_start(t.held, 200, "text/plain", NULL, NULL);
    conn_write(t.held, SLICE("part"));
    CHECK(wire_read(&t.l, fd, &in, "part"));
    CHECK_EQ(conn_sent(t.held), 4);
    conn_abort(t.held);
    CHECK(wire_read(&t.l, fd, &in, NULL));
    CHECK_EQ(wire_count(buf_slice(&in), "0\r\n\r\n"), 0);
    close(fd);
    fd = wire_dial(t.port);
    wire_send(&t.l, fd, SLICE("GET /hold HTTP/1.0\r\n" HOST "\r\n"));
    wire_turns(&t.l, 3);
    conn_start(t.held, 200, "text/plain", NULL, NULL);
    conn_write(t.held, SLICE("part"));
    wire_turns(&t.l, 2);
    conn_abort(t.held);
    wire_turns(&t.l, 3);
    char room[1000];
    while (recv(fd, room, sizeof room, 0) > 0)
        continue;
    CHECK_EQ(errno, ECONNRESET); // else it would look whole
    close(fd);
    CHECK_EQ(t.gone, 0);
    buf_done(&in);
    site_close(&t);
}

TEST(server_cors) {
    static const char *const origins[] = {"https://a.example", "https://b.example", NULL};
    struct site t = {.o = {.cors_origins = origins}};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    struct slice ask = SLICE("GET / HTTP/1.1\r\n" HOST "Origin: https://b.example\r\nConnection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    CHECK_EQ(wire_count(buf_slice(&in), "access-control-allow-origin: https://b.example\r\n"), 1);
    CHECK_EQ(wire_count(buf_slice(&in), "vary: Origin\r\n"), 1);
    ask = SLICE("GET / HTTP/1.1\r\n" HOST "Origin: https://c.example\r\nConnection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 403); // a simple request would be served unseen
    CHECK_EQ(wire_count(buf_slice(&in), "access-control"), 0);
    CHECK_EQ(t.requests, 1);
    ask = SLICE("OPTIONS /v1 HTTP/1.1\r\n" HOST "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
                "Access-Control-Request-Headers: authorization\r\nConnection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 204);
    CHECK_EQ(wire_count(buf_slice(&in), "access-control-allow-headers: authorization\r\n"), 1);
    CHECK_EQ(wire_count(buf_slice(&in), "content-length"), 0);
    CHECK_EQ(t.requests, 1);
    buf_done(&in);
    site_close(&t);
}

TEST(server_allowed_hosts) {
    static const char *const hosts[] = {"gate.example", "other.example:99", NULL};
    struct site t = {.o = {.allowed_hosts = hosts}};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    struct slice ask = SLICE("GET / HTTP/1.1\r\nHost: Gate.example:1234\r\nConnection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    ask = SLICE("GET / HTTP/1.1\r\nHost: other.example:99\r\nConnection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    ask = SLICE("GET / HTTP/1.1\r\nHost: other.example:98\r\nConnection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 403);
    buf_done(&in);
    site_close(&t);
}

TEST(server_unix_socket) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20), problem = BUF_INIT(1000);
    char path[64];
    struct stat st;
    CHECK(site_open(&t));
    (void)snprintf(path, sizeof path, "/tmp/gridtie-net-test-%d", (int)getpid());
    int fd = server_unix_listener(path, &problem);
    CHECK(fd >= 0 && stat(path, &st) == 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(server_unix_listener(path, &problem), -1);
    CHECK(slice_search(buf_slice(&problem), SLICE("another program")) != SIZE_MAX);
    CHECK_EQ(server_listen_fd(t.s, fd), ERR_OK);
    close(fd);
    int c = wire_dial_unix(path);
    CHECK(c >= 0);
    wire_send(&t.l, c, SLICE("GET / HTTP/1.1\r\nHost: whatever.example\r\nConnection: close\r\n\r\n"));
    CHECK(wire_read(&t.l, c, &in, "hello"));
    close(c);
    site_close(&t);
    fd = server_unix_listener(path, &problem); // nobody is behind it any more
    CHECK(fd >= 0);
    close(fd);
    (void)unlink(path);
    buf_done(&in);
    buf_done(&problem);
}

TEST(server_address_problems) {
    struct site t = {0};
    struct buf problem = BUF_INIT(1000);
    int port;
    char again[40];
    CHECK(site_open(&t));
    const char *wrong[] = {"", "localhost:1", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "[::1:80", "300.0.0.1:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_EQ(server_listen_tcp(t.s, wrong[i], &port, &problem), ERR_BAD_FIELD);
    (void)snprintf(again, sizeof again, "127.0.0.1:%d", t.port);
    CHECK_EQ(server_listen_tcp(t.s, again, &port, &problem), ERR_LIMIT);
    buf_done(&problem);
    site_close(&t);
}

TEST(server_drains) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    int quiet = wire_dial(t.port), open = wire_dial(t.port);
    wire_send(&t.l, open, SLICE("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    wire_turns(&t.l, 3);
    CHECK(t.held);
    server_drain(t.s, on_closed, &t.idle);
    CHECK(wire_read(&t.l, quiet, &in, NULL));
    CHECK(!t.idle);
    wire_turns(&t.l, 2);
    int late = wire_dial(t.port);
    CHECK_EQ(server_conns(t.s), 1);
    conn_respond(t.held, 200, NULL, NULL, SLICE("last"));
    CHECK(wire_read(&t.l, open, &in, NULL));
    CHECK_EQ(wire_count(buf_slice(&in), "connection: close"), 1);
    CHECK(wire_until(&t.l, &t.idle));
    close(quiet);
    close(open);
    if (late >= 0)
        close(late);
    buf_done(&in);
    site_close(&t);
}

TEST(server_close_tells_who_is_open) {
    struct site t = {0};
    CHECK(site_open(&t));
    int fd = wire_dial(t.port);
    wire_send(&t.l, fd, SLICE("GET /hold HTTP/1.1\r\n" HOST "\r\n"));
    wire_turns(&t.l, 3);
    CHECK(t.held);
    site_close(&t);
    CHECK_EQ(t.gone, 1);
    CHECK(t.closed);
    close(fd);
}

TEST(server_turns_away_above_max_conns) {
    struct site t = {.o = {.max_conns = 2}};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    int a = wire_dial(t.port), b = wire_dial(t.port);
    wire_turns(&t.l, 3);
    CHECK_EQ(server_conns(t.s), 2);
    CHECK_EQ(ask_closed(&t, SLICE_NONE, 0, &in), 503);
    close(a);
    wire_turns(&t.l, 3);
    struct slice ask = SLICE("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    close(b);
    buf_done(&in);
    site_close(&t);
}

TEST(server_survives_want_of_descriptors) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    struct rlimit was, few;
    int waiting[8], taken[512], n = 0;
    CHECK(site_open(&t));
    struct slice ask = SLICE("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    for (int i = 0; i < 8; i++)
        waiting[i] = wire_dial(t.port);
    CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
    few = (struct rlimit){256, was.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    while (n < 512 && (taken[n] = dup(0)) >= 0)
        n++;
    wire_turns(&t.l, 20);
    while (n > 0)
        close(taken[--n]);
    (void)setrlimit(RLIMIT_NOFILE, &was);
    for (int i = 0; i < 8; i++)
        close(waiting[i]);
    wire_turns(&t.l, 5);
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    buf_done(&in);
    site_close(&t);
}

TEST(server_full_backlog) {
    struct site t = {0};
    struct buf in = BUF_INIT(1 << 20);
    int fd[400];
    CHECK(site_open(&t));
    for (int i = 0; i < 400; i++)
        fd[i] = wire_dial(t.port);
    wire_turns(&t.l, 20);
    for (int i = 0; i < 400; i++) {
        CHECK(fd[i] >= 0);
        buf_clear(&in);
        wire_send(&t.l, fd[i], SLICE("GET / HTTP/1.1\r\n" HOST "\r\n"));
        CHECK(wire_read(&t.l, fd[i], &in, "hello"));
    }
    CHECK_EQ(server_conns(t.s), 400);
    for (int i = 0; i < 400; i++)
        close(fd[i]);
    buf_done(&in);
    site_close(&t);
}

// Each allocation of a connection fails in turn: it is answered with 503, or closed, and the server goes on.
TEST(server_survives_every_failed_allocation) {
    struct site t = {.o = {.head_ms = 40}};
    struct buf in = BUF_INIT(1 << 20);
    CHECK(site_open(&t));
    struct slice asks[] = {
        SLICE("POST /echo HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 5\r\n\r\nabcde"),
        SLICE("POST /echo HTTP/1.1\r\n" HOST
              "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"),
        SLICE("GET /stream HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
        SLICE("GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        for (unsigned long k = 1; k < 40; k++) {
            (void)buf_reserve(&in, 60000);
            (void)buf_reserve(&t.seen, 1000);
            int fd = wire_dial(t.port);
            mem_fail_at(k);
            wire_send(&t.l, fd, asks[i]);
            wire_turns(&t.l, 5);
            bool all = mem_count() < k;
            mem_fail_at(0);
            buf_clear(&in);
            CHECK(wire_read(&t.l, fd, &in, NULL));
            close(fd);
            if (all)
                break;
            CHECK(k < 39);
        }
    }
    struct slice ask = SLICE("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK_EQ(ask_closed(&t, ask, ask.n, &in), 200);
    buf_done(&in);
    site_close(&t);
}
