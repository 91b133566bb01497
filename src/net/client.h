// SPDX-License-Identifier: Apache-2.0
#ifndef NET_CLIENT_H
#define NET_CLIENT_H
// HTTP out, on one loop: our own keep-alive client (llhttp, libuv) for plain HTTP and UNIX sockets, libcurl multi for
// TLS and proxies. Both behind this one contract. No callback runs inside fetch_start.
#include "net/http.h"
#include "net/loop.h"
#include "net/outgoing.h"

struct origin { // where to connect
    bool tls;
    struct slice host; // name or address, for Host and SNI
    uint16_t port;
    struct slice unix_path; // not empty: connect here instead, host is still sent
    const char *proxy;      // "http://127.0.0.1:3128" or NULL: direct (the environment is not looked at)
    const char *ca_file;    // NULL: the system's
};

struct fetch_request {
    struct origin origin;
    const char *method;          // "POST"
    struct slice path;           // with query
    struct headers headers;      // without Host, Content-Length, Connection: those are ours
    struct slice body;           // borrowed until done
    uint64_t connect_ms;         // 0 = LIMIT_CONNECT_MS. Other deadlines are the caller's (fetch_cancel)
    const struct permit *permit; // checked by outgoing_open
    bool fresh;                  // do not reuse a kept-alive connection
};

struct fetch_hooks {
    void (*on_sent)(void *user);                                      // the whole request is written; may be NULL
    void (*on_head)(void *user, int status, const struct headers *h); // h is borrowed during the call
    void (*on_body)(void *user, struct slice bytes);                  // decoded of chunking; borrowed during the call
    // Exactly once, unless cancelled; the fetch is gone after it. ERR_OK: the answer was complete (its length or last
    // chunk came; close-delimited counts as complete only for HTTP/1.0 or `connection: close` without length).
    // ERR_UP_CONNECT, ERR_UP_TLS, ERR_UP_DIED (cut), ERR_UP_PROTOCOL, ERR_UP_TIMEOUT (connect), ERR_STALE (a reused
    // connection was closed before any byte came: try again once with fresh), ERR_NO_PERMIT, ERR_NO_MEMORY.
    // detail: a short text for the operator, without secrets.
    void (*on_done)(void *user, enum err e, const char *detail);
    // All that one read brought was given, and the answer goes on; may be NULL. libcurl does not tell.
    void (*on_read_end)(void *user);
};

struct client;
struct fetch;
MUST_CHECK enum err client_new(struct loop *l, struct client **ret);
// Cancels what is open (their on_done is not called), closes idle sockets; closed when all is gone; may be NULL.
void client_close(struct client *c, void (*closed)(void *), void *ctx);
// hooks is borrowed for the fetch's life. On an error nothing was started and no hook will be called.
MUST_CHECK enum err fetch_start(struct client *c, const struct fetch_request *r, const struct fetch_hooks *hooks,
                                void *user, struct fetch **ret);
void fetch_pause(struct fetch *f);  // stop reading upstream; may be called inside on_body
void fetch_resume(struct fetch *f); // never calls a hook before it returns
// Ends it now: the socket is closed (a finished answer's may be kept). No hook is called any more. May be called
// inside any hook.
void fetch_cancel(struct fetch *f);
bool fetch_reused(const struct fetch *f); // runs on a kept-alive connection
// How long a byte takes to the peer and back, as the kernel has it (of a proxy, where there is one); 0: no TCP, or not
// known. While the fetch lives, from on_head on.
uint32_t fetch_round_trip_us(const struct fetch *f);

// Splits "http://host:1234/base" ; problem gets a text. The slices point into url.
MUST_CHECK enum err origin_parse(struct slice url, struct origin *ret, struct slice *ret_base_path,
                                 struct buf *problem);
// Where `to`, as an answer of `base` names it, leads: a whole URL appended. It may be of any scheme. ERR_BAD_FIELD (no URL,
// or it does not fit), ERR_NO_MEMORY.
MUST_CHECK enum err url_resolve(const char *base, const char *to, struct buf *out);

#endif
