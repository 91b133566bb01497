// SPDX-License-Identifier: Apache-2.0
// The sink of a client's connection: it passes everything on to net/server. A client that goes away stops its exchange;
// a later sink (a background store, a queue) will let it go on.
#include "switch/sink.h"
#include "net/server.h"

static void conn_sink_respond(void *to, int status, const char *content_type, const struct headers *h,
                              struct slice body) {
    conn_respond(to, status, content_type, h, body);
}

static void conn_sink_give(void *to, int status, const char *content_type, const struct headers *h, struct buf *body) {
    conn_give(to, status, content_type, h, body);
}

static void conn_sink_start(void *to, int status, const char *content_type, const struct headers *h,
                            const char *trailer) {
    conn_start(to, status, content_type, h, trailer);
}

static void conn_sink_write(void *to, struct slice bytes) {
    conn_write(to, bytes);
}

static void conn_sink_flush(void *to) {
    conn_flush(to);
}

static void conn_sink_end(void *to, const struct headers *trailers) {
    conn_end(to, trailers);
}

static void conn_sink_abort(void *to) {
    conn_abort(to);
}

static bool conn_sink_has_credit(void *to) {
    return conn_has_credit(to);
}

static void conn_sink_bind(void *to, struct guest *g) {
    conn_set_user(to, g);
}

static struct conn_keep *conn_sink_keep(void *to) {
    return conn_keep(to);
}

static const struct sink_ops conn_sink = {
    .respond = conn_sink_respond,
    .give = conn_sink_give,
    .start = conn_sink_start,
    .write = conn_sink_write,
    .flush = conn_sink_flush,
    .end = conn_sink_end,
    .abort = conn_sink_abort,
    .has_credit = conn_sink_has_credit,
    .bind = conn_sink_bind,
    .keep = conn_sink_keep,
};

struct sink sink_of_conn(struct conn *c) {
    return (struct sink){&conn_sink, c};
}
