// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_SINK_H
#define SWITCH_SINK_H
// Where an exchange's answer goes: a client's connection, or a parent exchange. The sink decides what "gone" means.
#include "net/http.h"

// Who waits at a connection: an exchange, or a call of our own API. Embedded; a connection's user points to it.
struct guest {
    void (*gone)(struct guest *g);   // the client went away
    void (*credit)(struct guest *g); // there is room to write again; may be NULL
};

struct sink_ops {
    // A whole answer; ends it.
    void (*respond)(void *to, int status, const char *content_type, const struct headers *h, struct slice body);
    // The same; body is given.
    void (*give)(void *to, int status, const char *content_type, const struct headers *h, struct buf *body);
    // A stream: start, any number of writes, then end or abort.
    void (*start)(void *to, int status, const char *content_type, const struct headers *h, const char *trailer);
    void (*write)(void *to, struct slice bytes);
    void (*flush)(void *to); // sends what was written, without waiting for more
    void (*end)(void *to, const struct headers *trailers);
    void (*abort)(void *to);
    bool (*has_credit)(void *to);
    // Who is told of gone and credit.
    void (*bind)(void *to, struct guest *g);
    // The request's bytes stay until this is given back, also when the client is gone. NULL: out of memory.
    struct conn_keep *(*keep)(void *to);
};

struct sink {
    const struct sink_ops *ops; // NULL: nobody listens (the client is gone, or a child)
    void *to;
};

struct conn;
struct sink sink_of_conn(struct conn *c);

#endif
