// SPDX-License-Identifier: Apache-2.0
// Our own HTTP client against a scripted upstream on real sockets.
#include "net/client.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/wire_test.h"
#include "unit.h"

struct call {
    struct loop *l;
    struct fetch *f;
    struct buf body, headers;
    int status;
    enum err err;
    unsigned sents, heads, bodies, dones, read_ends;
    bool done;
    char detail[100];
    enum call_what { CALL_GOES_ON, CALL_CANCELS_AT_HEAD, CALL_CANCELS_AT_BODY, CALL_CANCELS_AT_SENT, CALL_PAUSES } what;
};

struct desk {
    struct loop l;
    struct client *c;
    int fd, port; // the upstream's listening socket
    bool closed;
};

static const struct permit here = {ZONE_DEVICE, 1u << ZONE_DEVICE, "test"};

static void on_sent(void *user) {
    struct call *k = user;
    k->sents++;
    if (k->what == CALL_CANCELS_AT_SENT)
        fetch_cancel(k->f);
}

static void on_head(void *user, int status, const struct headers *h) {
    struct call *k = user;
    k->heads++;
    k->status = status;
    for (size_t i = 0; i < h->n; i++)
        buf_printf(&k->headers, "%.*s=%.*s;", SLICE_FMT(h->v[i].name), SLICE_FMT(h->v[i].value));
    if (k->what == CALL_CANCELS_AT_HEAD)
        fetch_cancel(k->f);
}

static void on_body(void *user, struct slice bytes) {
    struct call *k = user;
    k->bodies++;
    buf_append(&k->body, bytes);
    if (k->what == CALL_CANCELS_AT_BODY)
        fetch_cancel(k->f);
    if (k->what == CALL_PAUSES)
        fetch_pause(k->f);
}

static void on_done(void *user, enum err e, const char *detail) {
    struct call *k = user;
    k->dones++;
    k->done = true;
    k->err = e;
    (void)snprintf(k->detail, sizeof k->detail, "%s", detail ? detail : "");
    fetch_cancel(k->f); // must do nothing
}

static void on_read_end(void *user) {
    ((struct call *)user)->read_ends++;
}

static const struct fetch_hooks hooks = {on_sent, on_head, on_body, on_done, on_read_end};

static void call_init(struct call *k) {
    *k = (struct call){.body = BUF_INIT(64 << 20), .headers = BUF_INIT(1 << 20)};
}

static void call_free(struct call *k) {
    buf_done(&k->body);
    buf_done(&k->headers);
}

static bool desk_open(struct desk *t) {
    t->fd = wire_listen(&t->port);
    return t->fd >= 0 && loop_init(&t->l, 0) == ERR_OK && client_new(&t->l, &t->c) == ERR_OK;
}

static void set_true(void *flag) {
    *(bool *)flag = true;
}

static void desk_close(struct desk *t) {
    client_close(t->c, set_true, &t->closed);
    (void)wire_until(&t->l, &t->closed);
    loop_done(&t->l);
    close(t->fd);
}

static struct fetch_request request_to(struct desk *t) {
    return (struct fetch_request){.origin = {.host = SLICE("127.0.0.1"), .port = (uint16_t)t->port},
                                  .method = "POST",
                                  .path = SLICE("/v1/x?y=z"),
                                  .body = SLICE("{\"a\":1}"),
                                  .permit = &here};
}

static const struct answer {
    const char *name;
    const char *bytes;
    bool close;
    enum err want;
    int status;
    const char *body;
} answers[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", false, ERR_OK, 200, "hello"},
    {"no reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", false, ERR_OK, 200, "hello"},
    {"empty", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", false, ERR_OK, 500, ""},
    {"no content", "HTTP/1.1 204 No\r\n\r\n", false, ERR_OK, 204, ""},
    {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=\"y\"\r\nlo\r\n0\r\nT: x\r\n\r\n",
     false, ERR_OK, 200, "hello"},
    {"interim",
     "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
     false, ERR_OK, 200, "hi"},
    {"until the end, 1.0", "HTTP/1.0 200 OK\r\n\r\nhello", true, ERR_OK, 200, "hello"},
    {"until the end, said", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", true, ERR_OK, 200, "hello"},
    {"until the end, not said", "HTTP/1.1 200 OK\r\n\r\nhello", true, ERR_UP_DIED, 200, "hello"},
    {"cut in the body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", true, ERR_UP_DIED, 200, "hello"},
    {"cut in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", true, ERR_UP_DIED, 200,
     "hello"},
    {"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", true, ERR_UP_DIED, 0, ""},
    {"nothing", "", true, ERR_UP_DIED, 0, ""},
    {"bytes behind", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200", false, ERR_OK, 200, "hi"},
    {"length and chunked", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false,
     ERR_UP_PROTOCOL, 0, ""},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", false, ERR_UP_PROTOCOL, 0,
     ""},
    {"coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, ERR_UP_PROTOCOL, 0, ""},
    {"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", false, ERR_UP_PROTOCOL, 200, ""},
    {"bad chunk end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix\r\n", false, ERR_UP_PROTOCOL, 200,
     "hi"},
    {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", false, ERR_UP_PROTOCOL, 0, ""},
    {"obs-fold", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello", false, ERR_UP_PROTOCOL, 0, ""},
    {"switching", "HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", false, ERR_UP_PROTOCOL, 0, ""},
    {"no HTTP", "SSH-2.0-OpenSSH_9\r\n", false, ERR_UP_PROTOCOL, 0, ""},
    {"HTTP/2", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, ERR_UP_PROTOCOL, 0, ""},
};

// One fetch, the answer given in pieces: `cut` bytes, then `step` each.
static bool answer_runs(struct desk *t, struct call *k, const struct answer *a, size_t cut, size_t step) {
    struct fetch_request r = request_to(t);
    struct buf in = BUF_INIT(1 << 20);
    struct slice rest = slice_str(a->bytes);
    r.fresh = true;
    call_init(k);
    if (fetch_start(t->c, &r, &hooks, k, &k->f) || k->done || k->sents)
        return false;
    int fd = wire_accept(&t->l, t->fd);
    bool good = wire_read(&t->l, fd, &in, "{\"a\":1}");
    for (size_t n = cut; rest.n && good; n = step) {
        wire_send(&t->l, fd, slice_first(rest, n));
        rest = slice_from(rest, n);
        wire_turns(&t->l, 2);
    }
    if (a->close)
        close(fd);
    good = good && (k->done || wire_until(&t->l, &k->done));
    if (!a->close)
        close(fd);
    wire_turns(&t->l, 2);
    buf_done(&in);
    return good && k->dones == 1 && k->sents == 1;
}

TEST(client_reads_answers_whatever_the_cut) {
    struct desk t = {0};
    CHECK(desk_open(&t));
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        const struct answer *a = &answers[i];
        for (size_t cut = 0; cut <= strlen(a->bytes); cut++) {
            struct call k;
            // 0: one byte at a time
            bool ran = answer_runs(&t, &k, a, cut ? cut : 1, cut ? SIZE_MAX : 1);
            if (!ran || k.err != a->want || k.status != a->status || !slice_is(buf_slice(&k.body), a->body))
                FAIL("%s, cut at %zu: ran %d, %s (%s), status %d, body %s", a->name, cut, ran, err_name(k.err),
                     k.detail, k.status, buf_cstr(&k.body));
            call_free(&k);
        }
    }
    desk_close(&t);
}

TEST(client_writes_a_plain_request) {
    struct desk t = {0};
    struct call k;
    struct buf in = BUF_INIT(1 << 20);
    char want[400];
    CHECK(desk_open(&t));
    call_init(&k);
    struct header h[] = {{SLICE("authorization"), SLICE("Bearer x")},
                         {SLICE("Host"), SLICE("evil")},
                         {SLICE("content-length"), SLICE("99")},
                         {SLICE("x-evil"), SLICE("a\r\nx-injected: 1")}};
    struct fetch_request r = request_to(&t);
    r.headers = (struct headers){h, 4};
    r.origin.host = SLICE("localhost");
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    int fd = wire_accept(&t.l, t.fd);
    CHECK(wire_read(&t.l, fd, &in, "{\"a\":1}"));
    (void)snprintf(want, sizeof want,
                   "POST /v1/x?y=z HTTP/1.1\r\nhost: localhost:%d\r\nauthorization: Bearer x\r\n"
                   "content-length: 7\r\n\r\n{\"a\":1}",
                   t.port);
    CHECK_STREQ(buf_cstr(&in), want);
    fetch_cancel(k.f);
    wire_turns(&t.l, 2);
    CHECK_EQ(k.dones, 0);
    r.path = SLICE("/a b");
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_BAD_REQUEST);
    r.path = SLICE("/a\r\nX: y");
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_BAD_REQUEST);
    close(fd);
    call_free(&k);
    buf_done(&in);
    desk_close(&t);
}

// One exchange over fd (or a new connection when -1), which stays open.
static int talk(struct desk *t, struct call *k, int fd, const char *answer) {
    struct fetch_request r = request_to(t);
    struct buf in = BUF_INIT(1 << 20);
    call_init(k);
    if (fetch_start(t->c, &r, &hooks, k, &k->f))
        return -1;
    if (fd < 0)
        fd = wire_accept(&t->l, t->fd);
    bool good = wire_read(&t->l, fd, &in, "{\"a\":1}");
    wire_send(&t->l, fd, slice_str(answer));
    (void)wire_until(&t->l, &k->done);
    buf_done(&in);
    return good ? fd : -1;
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

TEST(client_keeps_connections) {
    struct desk t = {0};
    struct call k;
    CHECK(desk_open(&t));
    int fd = talk(&t, &k, -1, OK_ANSWER);
    CHECK(fd >= 0 && k.err == ERR_OK);
    call_free(&k);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(talk(&t, &k, fd, OK_ANSWER), fd);
        CHECK_EQ(k.err, ERR_OK);
        call_free(&k);
    }
    // bytes behind an answer, or `close`: never again
    const char *last[] = {OK_ANSWER "x", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"};
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(talk(&t, &k, fd, last[i]), fd);
        CHECK_EQ(k.err, ERR_OK);
        call_free(&k);
        close(fd);
        fd = talk(&t, &k, -1, OK_ANSWER);
        CHECK(fd >= 0 && k.err == ERR_OK);
        call_free(&k);
    }
    // one that was closed while it was idle is not used
    close(fd);
    wire_turns(&t.l, 2);
    fd = talk(&t, &k, -1, OK_ANSWER);
    CHECK(fd >= 0 && k.err == ERR_OK);
    call_free(&k);
    close(fd);
    desk_close(&t);
}

TEST(client_tells_stale) {
    struct desk t = {0};
    struct call k;
    struct buf in = BUF_INIT(1 << 20);
    CHECK(desk_open(&t));
    for (int way = 0; way < 3; way++) {
        int fd = talk(&t, &k, -1, OK_ANSWER);
        CHECK(fd >= 0);
        call_free(&k);
        call_init(&k);
        struct fetch_request r = request_to(&t);
        if (way == 0)
            wire_reset(fd); // not noticed yet: no turn in between
        CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
        CHECK(fetch_reused(k.f));
        CHECK(!k.done);
        if (way > 0)
            CHECK(wire_read(&t.l, fd, &in, "{\"a\":1}"));
        if (way == 2)
            wire_send(&t.l, fd, SLICE("HTTP/1.1 2"));
        if (way > 0)
            close(fd);
        CHECK(wire_until(&t.l, &k.done));
        CHECK_EQ(k.err, way == 2 ? ERR_UP_DIED : ERR_STALE);
        call_free(&k);
        buf_clear(&in);
    }
    buf_done(&in);
    desk_close(&t);
}

TEST(client_connect_failures) {
    struct desk t = {0};
    struct call k;
    CHECK(desk_open(&t));
    struct fetch_request r = request_to(&t);
    close(t.fd);
    t.fd = -1;
    const char *hosts[] = {"127.0.0.1", "localhost", "a.localhost", "::1"};
    for (int i = 0; i < 4; i++) {
        call_init(&k);
        r.origin.host = slice_str(hosts[i]);
        CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
        CHECK(!k.done);
        CHECK(wire_until(&t.l, &k.done));
        CHECK_EQ(k.err, ERR_UP_CONNECT);
        CHECK_EQ(k.dones, 1);
        call_free(&k);
    }
    call_init(&k);
    r.origin.host = slice_str("no-such-host.invalid");
    struct permit far = {ZONE_CLOUD, 1u << ZONE_CLOUD, "test"};
    r.permit = &far;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_UP_CONNECT);
    // cancelled while the name is asked for
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    fetch_cancel(k.f);
    CHECK_EQ(k.dones, 1);
    call_free(&k);
    desk_close(&t);
}

TEST(client_connect_timeout) {
    struct desk t = {0};
    struct call k;
    int full[200], n = 0;
    CHECK(desk_open(&t));
    (void)listen(t.fd, 0); // a full backlog: the kernel drops what comes
    for (; n < 5; n++)
        full[n] = wire_dial(t.port);
    wire_turns(&t.l, 3);
    call_init(&k);
    struct fetch_request r = request_to(&t);
    r.connect_ms = 80;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_UP_TIMEOUT);
    call_free(&k);
    while (n > 0)
        close(full[--n]);
    desk_close(&t);
}

static unsigned witnessed;
static void witness(const struct permit *p, const struct sockaddr *addr) {
    (void)p;
    witnessed += outgoing_is_loopback(addr);
}

TEST(client_asks_for_permits) {
    struct desk t = {0};
    struct call k;
    CHECK(desk_open(&t));
    struct fetch_request r = request_to(&t);
    struct permit not_allowed = {ZONE_CLOUD, 1u << ZONE_DEVICE, "test"}, far = {ZONE_CLOUD, 1u << ZONE_CLOUD, "test"};
    r.permit = NULL;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_NO_PERMIT);
    r.permit = &not_allowed;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_NO_PERMIT);
    // device, and an address that is not
    r.permit = &here;
    r.origin.host = SLICE("192.0.2.1");
    call_init(&k);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_NO_PERMIT);
    call_free(&k);
    // offline
    outgoing_set_offline(true);
    r.permit = &far;
    call_init(&k);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_NO_PERMIT);
    r.origin.host = SLICE("some.name.example");
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_NO_PERMIT);
    r.origin.proxy = "http://127.0.0.1:1";
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_NO_PERMIT);
    outgoing_set_offline(false);
    call_free(&k);
    // also a connection used again is witnessed
    outgoing_set_witness(witness);
    witnessed = 0;
    int fd = talk(&t, &k, -1, OK_ANSWER);
    CHECK_EQ(witnessed, 1);
    call_free(&k);
    CHECK_EQ(talk(&t, &k, fd, OK_ANSWER), fd);
    CHECK_EQ(witnessed, 2);
    call_free(&k);
    outgoing_set_witness(NULL);
    close(fd);
    desk_close(&t);
}

TEST(client_cancel_inside_hooks) {
    struct desk t = {0};
    CHECK(desk_open(&t));
    const char *long_answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n2\r\nho\r\n0\r\n\r\n";
    for (enum call_what what = CALL_CANCELS_AT_HEAD; what <= CALL_CANCELS_AT_SENT; what++) {
        for (int chunked = 0; chunked < 2; chunked++) {
            struct call k;
            struct buf in = BUF_INIT(1 << 20);
            call_init(&k);
            struct fetch_request r = request_to(&t);
            k.what = what;
            CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
            int fd = wire_accept(&t.l, t.fd);
            wire_send(&t.l, fd, slice_str(chunked ? long_answer : OK_ANSWER));
            wire_turns(&t.l, 5);
            CHECK_EQ(k.dones, 0);
            CHECK_EQ(k.read_ends, 0);
            CHECK(k.bodies <= 1);
            (void)wire_read(&t.l, fd, &in, NULL); // the socket was closed
            close(fd);
            buf_done(&in);
            call_free(&k);
        }
    }
    desk_close(&t);
}

TEST(client_tells_the_end_of_each_read) {
    struct desk t = {0};
    struct call k;
    struct buf in = BUF_INIT(1 << 20);
    CHECK(desk_open(&t));
    call_init(&k);
    struct fetch_request r = request_to(&t);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    int fd = wire_accept(&t.l, t.fd);
    CHECK(wire_read(&t.l, fd, &in, "{\"a\":1}"));
    wire_send(&t.l, fd, SLICE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n2\r\nho\r\n"));
    wire_turns(&t.l, 5);
    CHECK_EQ(k.bodies, 2);
    CHECK_EQ(k.read_ends, 1);
    wire_send(&t.l, fd, SLICE("2\r\nha\r\n"));
    wire_turns(&t.l, 5);
    CHECK_EQ(k.bodies, 3);
    CHECK_EQ(k.read_ends, 2);
    wire_send(&t.l, fd, SLICE("2\r\nhe\r\n0\r\n\r\n"));
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.bodies, 4);
    CHECK_EQ(k.read_ends, 2); // it is over
    close(fd);
    buf_done(&in);
    call_free(&k);
    desk_close(&t);
}

TEST(client_pauses) {
    struct desk t = {0};
    struct call k;
    struct buf in = BUF_INIT(1 << 20);
    CHECK(desk_open(&t));
    call_init(&k);
    struct fetch_request r = request_to(&t);
    k.what = CALL_PAUSES;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    int fd = wire_accept(&t.l, t.fd);
    CHECK(wire_read(&t.l, fd, &in, "{\"a\":1}"));
    size_t n = (size_t)32 << 20, sent = 0;
    buf_clear(&in);
    buf_printf(&in, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    wire_send(&t.l, fd, buf_slice(&in));
    static char block[65536];
    for (int idle = 0; idle < 30 && sent < n; idle++) {
        ssize_t m = send(fd, block, n - sent < sizeof block ? n - sent : sizeof block, MSG_NOSIGNAL);
        if (m > 0) {
            sent += (size_t)m;
            idle = 0;
        }
        wire_turns(&t.l, 1);
    }
    CHECK(sent < n);             // the socket was not read
    CHECK(k.body.len <= 131072); // but for what had been read
    k.what = CALL_GOES_ON;
    unsigned bodies = k.bodies;
    fetch_resume(k.f);
    CHECK_EQ(k.bodies, bodies); // no hook inside
    while (sent < n && !k.done) {
        size_t m = n - sent < sizeof block ? n - sent : sizeof block;
        wire_send(&t.l, fd, slice_of(block, m));
        sent += m;
    }
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_OK);
    CHECK_EQ(k.body.len, n);
    close(fd);
    call_free(&k);
    buf_done(&in);
    desk_close(&t);
}

TEST(client_long_body_and_early_refusal) {
    struct desk t = {0};
    struct call k;
    struct buf in = BUF_INIT(64 << 20), body = BUF_INIT(64 << 20);
    CHECK(desk_open(&t));
    for (size_t i = 0; i < (8u << 20); i++)
        buf_append_char(&body, (char)('a' + i % 19));
    struct fetch_request r = request_to(&t);
    r.body = buf_slice(&body);
    call_init(&k);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    int fd = wire_accept(&t.l, t.fd);
    for (uint64_t end = clock_mono_us() + 5000000; in.len < body.len + 100 && clock_mono_us() < end;) {
        wire_turns(&t.l, 1);
        char room[65536];
        ssize_t n = recv(fd, room, sizeof room, 0);
        if (n > 0)
            buf_append_mem(&in, room, (size_t)n);
        size_t head = slice_search(buf_slice(&in), SLICE("\r\n\r\n"));
        if (head != SIZE_MAX && in.len == head + 4 + body.len)
            break;
    }
    CHECK(in.len > body.len);
    CHECK_MEM(in.p + in.len - body.len, body.len, body.p, body.len);
    wire_turns(&t.l, 2);
    CHECK_EQ(k.sents, 1);
    wire_send(&t.l, fd, SLICE(OK_ANSWER));
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_OK);
    close(fd);
    call_free(&k);
    // an answer before the body was read, then a reset
    call_init(&k);
    r.fresh = true;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    fd = wire_accept(&t.l, t.fd);
    wire_send(&t.l, fd, SLICE("HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno"));
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_OK);
    CHECK_EQ(k.status, 413);
    CHECK_EQ(k.sents, 0);
    wire_reset(fd);
    call_free(&k);
    buf_done(&in);
    buf_done(&body);
    desk_close(&t);
}

TEST(client_head_request_and_unix_socket) {
    struct desk t = {0};
    struct call k;
    struct buf in = BUF_INIT(1 << 20);
    char path[64];
    CHECK(desk_open(&t));
    (void)snprintf(path, sizeof path, "/tmp/gridtie-net-up-%d", (int)getpid());
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path));
    (void)unlink(path);
    close(t.fd);
    t.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(bind(t.fd, (struct sockaddr *)&un, sizeof un) == 0 && listen(t.fd, 5) == 0);
    struct fetch_request r = {.origin = {.unix_path = slice_str(path), .host = SLICE("engine"), .port = 80},
                              .method = "HEAD",
                              .path = SLICE("/x"),
                              .permit = &here};
    call_init(&k);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k, &k.f), ERR_OK);
    int fd = wire_accept(&t.l, t.fd);
    CHECK(wire_read(&t.l, fd, &in, "\r\n\r\n"));
    CHECK_STREQ(buf_cstr(&in), "HEAD /x HTTP/1.1\r\nhost: engine\r\n\r\n");
    wire_send(&t.l, fd, SLICE("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"));
    CHECK(wire_until(&t.l, &k.done));
    CHECK_EQ(k.err, ERR_OK);
    CHECK_EQ(k.body.len, 0);
    CHECK(slice_is(buf_slice(&k.headers), "Content-Length=100;"));
    close(fd);
    (void)unlink(path);
    call_free(&k);
    buf_done(&in);
    desk_close(&t);
}

TEST(client_survives_every_failed_allocation) {
    struct desk t = {0};
    CHECK(desk_open(&t));
    for (int named = 0; named < 2; named++) {
        for (unsigned long k = 1; k < 40; k++) {
            struct call c;
            call_init(&c);
            (void)buf_reserve(&c.body, 1000);
            (void)buf_reserve(&c.headers, 1000);
            struct fetch_request r = request_to(&t);
            struct permit far = {ZONE_CLOUD, 1u << ZONE_CLOUD, "test"};
            r.fresh = true;
            if (named) {
                r.origin.host = SLICE("no-such-host.invalid");
                r.permit = &far;
            }
            mem_fail_at(k);
            enum err e = fetch_start(t.c, &r, &hooks, &c, &c.f);
            wire_turns(&t.l, 3);
            int fd = e || c.done || named ? -1 : wire_accept(&t.l, t.fd);
            if (fd >= 0) {
                wire_send(&t.l, fd, SLICE("HTTP/1.1 200 OK\r\nContent-"));
                wire_turns(&t.l, 2);
                wire_send(&t.l, fd, SLICE("Length: 2\r\n\r\nhi"));
            }
            if (!e)
                CHECK(wire_until(&t.l, &c.done));
            bool all = mem_count() < k;
            mem_fail_at(0);
            CHECK_EQ(e ? e : c.err, !all ? ERR_NO_MEMORY : named ? ERR_UP_CONNECT : ERR_OK);
            if (fd >= 0)
                close(fd);
            call_free(&c);
            if (all)
                break;
        }
    }
    desk_close(&t);
}

TEST(client_close_with_all_kinds_open) {
    struct desk t = {0};
    struct call k[3];
    CHECK(desk_open(&t));
    int fd = talk(&t, &k[0], -1, OK_ANSWER); // stays idle
    call_free(&k[0]);
    struct permit far = {ZONE_CLOUD, 1u << ZONE_CLOUD, "test"};
    struct fetch_request r = request_to(&t);
    r.fresh = true;
    for (int i = 0; i < 3; i++)
        call_init(&k[i]);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k[0], &k[0].f), ERR_OK);
    wire_turns(&t.l, 2);
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k[1], &k[1].f), ERR_OK);
    r.origin.host = SLICE("no-such-host.invalid");
    r.permit = &far;
    CHECK_EQ(fetch_start(t.c, &r, &hooks, &k[2], &k[2].f), ERR_OK);
    desk_close(&t);
    CHECK(t.closed);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(k[i].dones, 0);
        call_free(&k[i]);
    }
    close(fd);
}

static const struct url {
    const char *url;
    bool good, tls;
    const char *host;
    int port;
    const char *path;
} urls[] = {
    {"http://a", true, false, "a", 80, ""},
    {"http://a/", true, false, "a", 80, ""},
    {"https://a.b-c.example:8443/v1/", true, true, "a.b-c.example", 8443, "/v1"},
    {"http://[::1]:8080/x/y", true, false, "::1", 8080, "/x/y"},
    {"https://[::1]", true, true, "::1", 443, ""},
    {"http://127.0.0.1:11434", true, false, "127.0.0.1", 11434, ""},
    {"", false, false, "", 0, ""},
    {"ftp://a", false, false, "", 0, ""},
    {"http://", false, false, "", 0, ""},
    {"http:///x", false, false, "", 0, ""},
    {"http://a:0", false, false, "", 0, ""},
    {"http://a:65536", false, false, "", 0, ""},
    {"http://a:1x", false, false, "", 0, ""},
    {"http://u:p@a/", false, false, "", 0, ""},
    {"http://a/x?y", false, false, "", 0, ""},
    {"http://a/x y", false, false, "", 0, ""},
    {"http://[::1", false, false, "", 0, ""},
    {"http://[::1]x", false, false, "", 0, ""},
    {"http://a b/", false, false, "", 0, ""},
};

TEST(client_origin_parse) {
    struct buf problem = BUF_INIT(1000);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct origin o = {0};
        struct slice path = SLICE_NONE;
        buf_clear(&problem);
        bool good = origin_parse(slice_str(urls[i].url), &o, &path, &problem) == ERR_OK;
        if (good != urls[i].good || good == (problem.len > 0))
            FAIL("%s: %d %s", urls[i].url, good, buf_cstr(&problem));
        if (good && (o.tls != urls[i].tls || o.port != urls[i].port || !slice_is(o.host, urls[i].host) ||
                     !slice_is(path, urls[i].path)))
            FAIL("%s: %.*s %d %.*s", urls[i].url, SLICE_FMT(o.host), o.port, SLICE_FMT(path));
    }
    buf_done(&problem);
}
