// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_WIRE_H
#define STORE_WIRE_H
// HTTP for a job: one GET at a time, and it waits. On a loop and with a client of the job's own thread.
#include "base/secret.h"
#include "net/client.h"
#include "store/job.h"

#define WIRE_URL_BYTES 8192         // signed addresses of object stores take about 2,000
#define WIRE_TEXT_BYTES (16u << 20) // a manifest, a list of a repository's files

struct wire_call;

struct wire {
    struct job *job;
    const char *ca_file;       // borrowed; NULL: the system's authorities
    const char *name, *source; // borrowed: what its files will be called, and what was asked for; NULL: not known
    // Asked once per call, when the origin that it is for wants a login (401 with a challenge). True: call.bearer says
    // something else now, and it is asked again. It may use this wire. NULL: nobody can.
    bool (*login)(void *ctx, const struct wire_call *refused);
    void *login_ctx;
    struct loop loop;
    struct client *client;
    struct timer timer;
    // the call that runs
    struct wire_call *call;
    struct fetch *fetch;
    uint64_t heard_ms; // clock_mono_ms of the last byte
    enum err err;
    bool stopped; // on_bytes refused
    bool at_home; // it asks the origin that the call is for
    char location[WIRE_URL_BYTES], next[WIRE_URL_BYTES];
};

struct wire_call {
    struct slice url;                                // http or https, with a query
    const struct secret *bearer;                     // goes to that origin only, whatever it redirects to; NULL none
    const char *authorization;                       // the same, as a whole value; NULL none
    const char *page;                                // where people accept a model's terms, for wire_explain; NULL none
    const char *accept;                              // NULL: anything
    int64_t from;                                    // > 0: only the bytes from there on
    bool (*on_bytes)(void *ctx, struct slice bytes); // of an answer 200 or 206; false: enough
    void (*on_head)(void *ctx);                      // the fields below are filled; before on_bytes; may be NULL
    void *ctx;
    // what came; of the last answer
    int status;
    int64_t length;                // of the body, -1 not said
    int64_t range_from, range_all; // of a 206; -1 not said
    char etag[200];                // what Hugging Face says of the file before it redirects counts more
    bool etag_is_sha256;           // said so by Hugging Face (X-Linked-Etag)
    char challenge[1024];          // WWW-Authenticate: Bearer …, of the origin that was asked
    char code[64];                 // X-Error-Code
    char next[WIRE_URL_BYTES];     // the next page (Link: rel="next"), whole; empty: none
    char detail[256];              // what went wrong, for people
    char host[256];                // who answered
};

MUST_CHECK enum err wire_open(struct wire *w, struct job *j);
void wire_close(struct wire *w);
// ERR_OK: a whole answer, whatever its status. ERR_CANCELLED (the job), ERR_DISK (on_bytes refused), ERR_NO_PERMIT
// (offline), ERR_UP_CONNECT, ERR_UP_TLS, ERR_UP_DIED (cut), ERR_UP_TIMEOUT (silence), ERR_UP_PROTOCOL (what is no HTTP, or
// redirects to nowhere), ERR_BAD_FIELD (the URL), ERR_NO_MEMORY.
MUST_CHECK enum err wire_get(struct wire *w, struct wire_call *c);
// The same with a body of at most WIRE_TEXT_BYTES appended to out, for statuses 200.
MUST_CHECK enum err wire_text(struct wire *w, struct wire_call *c, struct buf *out);
// Says what a failed call means, as the job's problem. what: "the manifest of x". Returns an error that fits.
enum err wire_explain(struct wire *w, const struct wire_call *c, enum err e, const char *what);

#endif
