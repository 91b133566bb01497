// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_WIRE_H
#define SIM_WIRE_H
// One client's connection to the scripted provider: a thread, a blocking socket, and bytes exactly as ordered.
#include "base/buf.h"
#include "net/http.h"
#include "sim/order.h"

#define WIRE_HEADERS 100

struct wire_request {
    struct slice method, target, path;
    struct header list[WIRE_HEADERS];
    struct headers headers;
    struct slice body;
    bool keep_alive, http_1_0;
};

enum wire_end {
    WIRE_OPEN,
    WIRE_GONE, // the client closed
    WIRE_CUT,  // we did, as ordered
};

struct wire {
    int fd;
    struct buf in;
    size_t taken; // bytes of `in` that the current request took
    const struct order *order;
    uint64_t body_sent;
    int64_t events;
    bool chunked;
    bool drop_next; // the next request finds a closed door (stale keep-alive)
    enum wire_end end;
    struct wire_stats *stats;
};

// Of all connections; relaxed atomics.
struct wire_stats {
    _Atomic uint64_t bytes_sent, requests, connections;
    _Atomic int64_t open_connections, open_requests, blocked_writes;
};

// Waits for a whole request. False: the connection is over (closed, broken, or dropped as ordered).
bool wire_read(struct wire *w, struct arena *a, struct wire_request *ret);
// Forgets the request's bytes; what is pipelined behind stays.
void wire_next(struct wire *w);
// Raw bytes, in pieces as ordered. False: over.
bool wire_send(struct wire *w, struct slice s);
// Bytes of the body: chunked if so, counted, cut as ordered.
bool wire_body(struct wire *w, struct slice s);
// One event of a stream; counted, stalls or cuts as ordered.
bool wire_event(struct wire *w, struct slice s);
// Sleeps unless the client goes away. False: gone.
bool wire_wait(struct wire *w, int64_t ms);
// Until the client has closed, at most ten minutes.
void wire_wait_gone(struct wire *w);
// Ends the connection as ordered: FIN or RST.
void wire_cut(struct wire *w);

#endif
