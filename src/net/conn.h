// SPDX-License-Identifier: Apache-2.0
#ifndef NET_CONN_H
#define NET_CONN_H
// What the files of the HTTP server share; nobody else includes it.
//   listen.c  sockets that listen, accepting
//   conn.c    reading: bytes → one whole request, and what may be wrong with it
//   reply.c   writing: answers, chunks, the queue behind a slow client
//   guard.c   Host and Origin
//   server.c  the server's life, time-outs
#include "base/limits.h"
#include "net/head.h"
#include "net/server.h"

#define OUT_BYTES ((size_t)LIMIT_EXCHANGE_ARENA_BYTES) // a whole answer, to a client that reads slowly

enum conn_state {
    CONN_IDLE,   // between requests
    CONN_HEAD,   // some of a head is here
    CONN_BODY,   // the head is whole, the body is not
    CONN_OPEN,   // on_request was called; no answer's end yet
    CONN_DONE,   // answered; bytes may still wait to be sent
    CONN_LINGER, // answered and shut down; what still comes is dropped, so that the client can read our answer
    CONN_CLOSED, // uv_close was called
};

// A request with its headers behind it, one allocation.
struct request {
    struct http_request r;
    uintptr_t base; // where conn.in stood when the slices were made
    struct header v[];
};

struct conn {
    uv_tcp_t tcp; // also for UNIX sockets: libuv treats an accepted stream alike
    uv_write_t write;
    struct server *server;
    struct conn *next, **prev; // in server->conns
    struct deferred turn;      // what is left to do when the turn ends
    struct message msg;
    struct head_scan scan;
    struct buf in;          // head and body of the request
    struct conn_keep *keep; // somebody else reads there
    struct buf behind;      // what came behind it
    struct buf out;         // not yet written
    struct buf flying;      // libuv writes it, in pieces
    size_t flown;           // of it, up to the piece's end
    struct request *req;
    void *user;
    const char *cors; // what access-control-allow-origin says to this request; NULL: nothing
    uint64_t deadline_ms;
    uint64_t start_us;
    uint64_t body_left;
    uint64_t raw_bytes; // of a chunked body, with its framing
    uint64_t sent_bytes;
    size_t head_bytes;
    size_t flying_left; // at the last sweep
    enum conn_state state;
    bool is_unix : 1;
    bool loopback : 1; // the peer
    bool guarded : 1;  // Host is looked at
    bool is_head : 1;
    bool http10 : 1;
    bool keep_alive : 1;
    bool body_unread : 1; // close after the answer: the request's rest would be taken for the next
    bool upload : 1;      // its body is given on in pieces
    bool started : 1;
    bool chunked : 1; // the answer is
    bool starved : 1; // the credit is spent
    bool broken : 1;  // a write failed, or memory for it
    bool reading : 1;
    bool turn_queued : 1;
    bool dead : 1; // closed while turn was queued
    bool is_flying : 1;
};

struct listener {
    uv_pipe_t pipe; // a TCP socket in a pipe's handle: libuv sleeps after each accept of a TCP listener
    struct server *server;
    struct listener *next;
    bool is_unix;
    bool loopback; // bound to a loopback address
    bool retry;    // a connection waits in libuv that memory was missing for
};

struct server {
    struct loop *loop;
    struct server_options o;
    struct server_hooks hooks;
    void *ctx;
    struct listener *listeners;
    struct conn *conns;
    struct timer sweep;
    struct buf scratch; // heads are composed here
    unsigned n_conns;
    unsigned n_handles; // that are not closed yet
    uint64_t sweep_ms;
    int64_t date_s;
    char date[32];
    bool sweeping, draining, closing;
    void (*idle)(void *ctx);
    void *idle_ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

// listen.c
void listener_retry(struct listener *from);
void listeners_close(struct server *s);

// server.c
void server_conn_added(struct server *s, struct conn *c);
void server_conn_removed(struct server *s, struct conn *c);
void server_handle_gone(struct server *s);

// conn.c
void conn_open(struct listener *from, struct conn *c); // c is accepted
void conn_closed(uv_handle_t *h);
void conn_close(struct conn *c);
// The other side is gone, or must be: tells on_gone if a request is open, then closes. Only from the top of a callback.
void conn_lost(struct conn *c);
void conn_timed_out(struct conn *c);
// The answer ended and all is written: the next request, or the end.
void conn_next_request(struct conn *c);
void conn_request_free(struct conn *c);

// reply.c
// The server's own answer to something it does not serve. state must be HEAD or BODY. Closes unless keep.
void conn_refuse(struct conn *c, int status, const char *text, struct slice path, struct slice body);
void conn_send(struct conn *c, const struct slice *v, size_t n);
// Has conn_turn_end run when the turn is over.
void conn_turn_queue(struct conn *c);
void conn_turn_end(struct conn *c);
bool conn_written(const struct conn *c);
size_t conn_flying(const struct conn *c); // bytes that libuv has, or will get next

// guard.c
bool guard_host_allowed(const struct server *s, struct slice host);
bool guard_origin_allowed(const struct server *s, const struct headers *h);
const char *guard_origin(const struct server *s, struct slice origin);
bool guard_preflight(struct conn *c, const struct http_request *r);

#endif
