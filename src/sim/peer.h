// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_PEER_H
#define SIM_PEER_H
// One client's connection to the scripted provider: a thread, a blocking socket, and bytes exactly as ordered.
#include "base/buf.h"
#include "net/http.h"
#include "sim/order.h"

#define PEER_HEADERS 100

struct peer_request {
    struct slice method, target, path;
    struct header list[PEER_HEADERS];
    struct headers headers;
    struct slice body;
    bool keep_alive, http_1_0;
};

enum peer_end {
    PEER_OPEN,
    PEER_GONE, // the client closed
    PEER_CUT,  // we did, as ordered
};

struct peer {
    int fd;
    struct buf in;
    size_t taken; // bytes of `in` that the current request took
    const struct order *order;
    uint64_t body_sent;
    int64_t events;
    bool chunked;
    bool drop_next; // the next request finds a closed door (stale keep-alive)
    enum peer_end end;
    struct peer_stats *stats;
};

// Of all connections; relaxed atomics.
struct peer_stats {
    _Atomic uint64_t bytes_sent, requests, connections;
    _Atomic int64_t open_connections, open_requests, blocked_writes;
};

// Waits for a whole request. False: the connection is over (closed, broken, or dropped as ordered).
bool peer_read(struct peer *w, struct arena *a, struct peer_request *ret);
// Forgets the request's bytes; what is pipelined behind stays.
void peer_next(struct peer *w);
// Raw bytes, in pieces as ordered. False: over.
bool peer_send(struct peer *w, struct slice s);
// Bytes of the body: chunked if so, counted, cut as ordered.
bool peer_body(struct peer *w, struct slice s);
// One event of a stream; counted, stalls or cuts as ordered.
bool peer_event(struct peer *w, struct slice s);
// Sleeps unless the client goes away. False: gone.
bool peer_wait(struct peer *w, int64_t ms);
// Until the client has closed, at most ten minutes.
void peer_wait_gone(struct peer *w);
// Ends the connection as ordered: FIN or RST.
void peer_cut(struct peer *w);

#endif
