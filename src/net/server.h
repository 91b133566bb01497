// SPDX-License-Identifier: Apache-2.0
#ifndef NET_SERVER_H
#define NET_SERVER_H
// HTTP/1.1 in (RFC 9110, 9112), on one loop. Our own, on llhttp in strict mode and libuv.
// A connection carries one request at a time; pipelined bytes wait (LIMIT_PIPELINE_BYTES, then reading stops).
#include "net/http.h"
#include "net/loop.h"

struct conn; // a client's connection

// One whole request. Everything is borrowed until conn_end/conn_respond of this request, at which it is freed.
struct http_request {
    struct slice method; // "POST"
    struct slice target; // "/v1/models?x=1"
    struct slice path;   // raw, without the query
    struct slice query;  // behind '?', raw
    struct headers headers;
    struct slice body;
    bool keep_alive;
    bool loopback; // the peer is on this machine's loopback, or a unix socket
    bool is_unix;
    uint64_t start_us; // clock_mono_us of the first byte
};

// 0 or NULL in a number's place: the limit of base/limits.h.
struct server_options {
    size_t body_bytes; // limit of a body; beyond it 413 and close
    uint64_t head_ms;  // the head must be whole by then (408)
    uint64_t body_idle_ms;
    uint64_t keepalive_ms;
    uint64_t send_idle_ms;
    size_t backlog_bytes;     // credit: above this conn_has_credit is false …
    size_t backlog_low_bytes; // … until it is below this, then on_credit
    unsigned max_conns;
    // Host names and addresses allowed in Host besides loopback names and the listening addresses (NULL-terminated);
    // a list holding "*" allows all. Wrong Host on a loopback listener: 403 (DNS rebinding).
    const char *const *allowed_hosts;
    const char *const *cors_origins; // NULL-terminated; NULL: CORS off. "*" allowed. Preflights are answered here.
};

struct server_hooks {
    // The head is there, the body not yet (r->body is empty). Return 0 to go on, or an HTTP status to refuse with. The
    // hook may fill *ret_body (JSON; it must live until the hook's caller has copied it: static, or the hook's own
    // memory); else error_body is asked. The connection is closed unless the body is here already. May be NULL.
    int (*on_head)(void *ctx, struct conn *c, const struct http_request *r, struct slice *ret_body);
    // Is it a request whose body is taken in pieces, however large it is? Looks at method and path only. May be NULL.
    bool (*is_upload)(const struct http_request *r);
    // The head of one was accepted: what on_piece and on_request find in conn_user begins here.
    void (*on_upload)(void *ctx, struct conn *c, const struct http_request *r);
    // A piece of its body, borrowed during the call. Nothing more is read until conn_piece_taken. on_request comes behind
    // the last one, with an empty body; on_gone if it never does, unless conn_user is NULL.
    void (*on_piece)(void *ctx, struct conn *c, void *user, struct slice bytes);
    // A whole request. Answer it with conn_*; now or later.
    void (*on_request)(void *ctx, struct conn *c, const struct http_request *r);
    // The backlog has fallen below the low mark after conn_has_credit was false. user is conn_set_user's.
    void (*on_credit)(void *ctx, struct conn *c, void *user);
    // The client went away while its request was open. After this the conn must not be touched any more.
    // It is also called on server_close for what is still open.
    void (*on_gone)(void *ctx, struct conn *c, void *user);
    // Body of an error the server itself answers (bad HTTP, 408, 413, 431, 403 host): writes a JSON body that fits
    // the path's dialect into *out. path may be empty. NULL: plain text.
    void (*error_body)(void *ctx, struct slice path, int status, const char *text, struct buf *out);
};

struct server;
// options and hooks are copied (the lists inside are borrowed for the server's life).
MUST_CHECK enum err server_new(struct loop *l, const struct server_options *o, const struct server_hooks *h, void *ctx,
                               struct server **ret);
// The server of loop 0 must listen first: it finds out whether another program holds the address.
// Listens with SO_REUSEPORT on "127.0.0.1:11411", "[::1]:80", "0.0.0.0:1"; port 0 picks one (server_port tells).
// problem gets a text for people on failure.
MUST_CHECK enum err server_listen_tcp(struct server *s, const char *address, int *ret_port, struct buf *problem);
// A listening UNIX socket that the caller made with server_unix_listener (shared by all loops, dup'ed here).
MUST_CHECK enum err server_listen_fd(struct server *s, int fd);
// Makes, binds (mode 0600, a stale file is replaced) and listens. -1 with *problem filled.
int server_unix_listener(const char *path, struct buf *problem);
// Stops accepting; idle connections close, open ones may finish ("connection: close" from now on). idle(ctx) once when none is left.
void server_drain(struct server *s, void (*idle)(void *ctx), void *ctx);
// Cuts everything. Frees itself once all is closed; closed may be NULL.
void server_close(struct server *s, void (*closed)(void *ctx), void *ctx);
unsigned server_conns(const struct server *s);

// The hook has parsed and copied what it needs: head and body of the open request are freed now, its slices die. For
// streams, whose connection then holds next to nothing.
void conn_release_request(struct conn *c);
// The piece of an upload is dealt with: reading goes on.
void conn_piece_taken(struct conn *c);
// Those bytes stay, also when the request is freed, until each keep was given back. NULL: out of memory.
struct conn_keep;
struct conn_keep *conn_keep(struct conn *c);
void conn_keep_done(struct conn_keep *k); // NULL is allowed
void conn_set_user(struct conn *c, void *user);
void *conn_user(struct conn *c);
struct loop *conn_loop(struct conn *c);

// A whole answer at once: content-length is added (and CORS headers where they apply); HEAD sends no body. The
// request ends. body is copied or written before return. extra may be empty; content_type NULL = none.
void conn_respond(struct conn *c, int status, const char *content_type, const struct headers *extra, struct slice body);
// The same; body is given, and a large one is not copied where the client is slow.
void conn_give(struct conn *c, int status, const char *content_type, const struct headers *extra, struct buf *body);
// Streams: the head (transfer-encoding: chunked; HTTP/1.0 clients get close-delimited) waits to be sent with the first
// write of the same turn or conn_flush. `trailer` names trailers to be announced or NULL.
void conn_start(struct conn *c, int status, const char *content_type, const struct headers *extra, const char *trailer);
// One chunk. Up to 16 KiB are copied and joined with what else this turn writes (one system call when it ends); more is
// written at once, and copied only as far as the socket does not take it.
void conn_write(struct conn *c, struct slice bytes);
// Sends what the turn has written so far, without waiting for its end.
void conn_flush(struct conn *c);
// The last chunk with its trailers (may be NULL), then keep-alive goes on. The request ends.
void conn_end(struct conn *c, const struct headers *trailers);
// Cuts the connection without the last chunk: the client sees a broken stream. The request ends.
void conn_abort(struct conn *c);
bool conn_started(const struct conn *c); // conn_start was called
bool conn_has_credit(const struct conn *c);
size_t conn_backlog(const struct conn *c);
// Bytes written so far for this request's body.
uint64_t conn_sent(const struct conn *c);

#endif
