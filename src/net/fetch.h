// SPDX-License-Identifier: Apache-2.0
#ifndef NET_FETCH_H
#define NET_FETCH_H
// What the files of the HTTP client share; nobody else includes it.
//   client.c       the contract of client.h: which of the two serves an origin, lives and deaths
//   client_http.c  our own, plain HTTP: addresses, connecting, sending
//   link.c         its connections: answers, the pool of kept-alive ones
//   client_curl.c  libcurl: TLS and proxies
#include <netinet/in.h>
#include <sys/un.h>
#include "net/client.h"
#include "net/head.h"

struct fetch_kind {
    void (*turn)(struct fetch *f); // what fetch_turn_queue asked for
    void (*pause)(struct fetch *f);
    void (*resume)(struct fetch *f);
    void (*cancel)(struct fetch *f); // lets go of the connection; no hook
    void (*free)(struct fetch *f);
    int (*socket)(const struct fetch *f); // -1: none
};

struct fetch {
    const struct fetch_kind *kind;
    struct client *client;
    const struct fetch_hooks *hooks;
    void *user;
    struct fetch *next, **prev; // in client->fetches
    struct deferred turn;
    bool turn_queued;
    bool over; // done or cancelled: freed when the turn ends
    bool reused;
    bool sent_told;
};

struct client {
    struct loop *loop;
    struct fetch *fetches;
    struct pool *pools;
    struct link *links;
    struct curl_side *curl;
    struct timer sweep;
    unsigned n_handles; // what must close or end before the client may go
    unsigned n_idle, n_connecting;
    bool sweeping, closing;
    void (*closed)(void *);
    void *closed_ctx;
};

// client.c
void fetch_init(struct fetch *f, struct client *c, const struct fetch_kind *kind, const struct fetch_hooks *hooks,
                void *user);
void fetch_turn_queue(struct fetch *f);
void fetch_tell_sent(struct fetch *f);
// Ends it and calls on_done; f stays readable until the turn ends.
void fetch_finish(struct fetch *f, enum err e, const char *detail);
void client_handle_gone(struct client *c);
bool header_is_ours(struct slice name);

// client_http.c
struct address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } a;
};

struct plain {
    struct fetch f;
    struct link *link;
    struct pool *pool;
    struct buf head; // the request's; freed when all is sent
    struct slice body;
    size_t all, sent; // of both
    struct permit permit;
    uint64_t deadline_ms; // of connecting
    struct resolve *resolve;
    struct addrinfo *found, *at; // by DNS
    struct address known[2];     // without
    unsigned n_known, next_known;
    enum err failed; // to be told when the turn ends
    const char *detail;
    uint16_t port;
    bool is_head;
    bool starting; // inside fetch_start
    bool connecting;
    bool paused;
};
extern const struct fetch_kind plain_kind;

// localhost or a name under it (RFC 6761, 6.3): loopback, without asking anybody.
bool host_is_localhost(struct slice host);
enum err plain_start(struct client *c, const struct fetch_request *r, const struct fetch_hooks *hooks, void *user,
                     struct fetch **ret);
// Ends it with an error, now or (inside fetch_start) when the turn ends.
void plain_fail(struct plain *p, enum err e, const char *detail);
// The link could not connect: the next address, or the end.
void plain_connect_failed(struct plain *p, const char *detail);
void plain_connecting(struct plain *p, bool on);
void plain_sweep(struct plain *p);
bool plain_is_sent(const struct plain *p);

// link.c
struct pool {
    struct pool *next;
    struct link *idle; // newest first
    unsigned n_idle;
    size_t key_n;
    char key[];
};

struct link {
    uv_tcp_t tcp; // also for UNIX sockets
    uv_write_t write;
    struct client *client;
    struct pool *pool;
    struct link *next, **prev; // in client->links
    struct link *next_idle;
    struct plain *p; // whose answer is read; NULL: idle or closing
    struct address addr;
    struct message msg;
    struct head_scan scan;
    struct buf in; // a head that came in pieces
    uint64_t left; // of a body with a length
    uint64_t came; // of this answer
    uint64_t idle_since_ms;
    enum { LINK_HEAD, LINK_LENGTH, LINK_CHUNKED, LINK_UNTIL_EOF } reads;
    unsigned n_interim;
    bool connected;
    bool any_byte; // of this answer
    bool reading;
    bool writing;
    bool closing;
};
struct pool *pool_get(struct client *c, struct slice unix_path, struct slice host, uint16_t port); // NULL: no memory
// A kept-alive link, or NULL.
struct link *link_take(struct pool *pool);
// Connects. ERR_NO_PERMIT, ERR_UP_CONNECT, ERR_LIMIT, ERR_NO_MEMORY.
MUST_CHECK enum err link_open(struct client *c, struct plain *p, const struct address *addr);
void link_attach(struct link *k, struct plain *p);
void link_send(struct link *k);
void link_reading(struct link *k, bool on);
void link_close(struct link *k);
void links_sweep(struct client *c);
void links_close_idle(struct client *c);
void client_sweep_arm(struct client *c);
void pools_free(struct client *c);

// client_curl.c
enum err curl_start(struct client *c, const struct fetch_request *r, const struct fetch_hooks *hooks, void *user,
                    struct fetch **ret);
// Counts itself in n_handles until it is gone.
void curl_side_close(struct client *c);

#endif
