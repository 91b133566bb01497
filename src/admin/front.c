// SPDX-License-Identifier: Apache-2.0
// The front door: an address that a dialect serves becomes an exchange, one of ours an API call, anything else an error in
// the shape that the address suggests. The credential is checked when the head is there, before a body is taken in.
#include "admin/api.h"
#include "admin/daemon.h"
#include "admin/models.h"
#include "switch/admit.h"
#include "switch/exchange.h"

static struct shift *shift_of(void *ctx) {
    return ctx;
}

static void error_of_path(struct slice path, enum err e, const char *message, struct buf *out, int *ret_status) {
    struct problem p = PROBLEM(e);
    p.message = slice_str(message);
    *ret_status = err_row(e)->status;
    dialect_for_error(path)->write_error(&p, SLICE_NONE, out, ret_status);
}

// Where the path doesn't tell whose client asks, its headers may.
static struct slice shape_path(const struct http_request *r) {
    if (dialect_for_error(r->path) != dialect_get(DIALECT_OPENAI))
        return r->path;
    if (headers_get(&r->headers, "anthropic-version").p)
        return SLICE("/v1/messages");
    return headers_get(&r->headers, "x-goog-api-key").p ? SLICE("/v1beta/") : r->path;
}

// Nothing is there, or not by this method: then it must be said by which (RFC 9110, 15.5.6).
static void respond_nothing(struct conn *c, const struct http_request *r, const char *allow) {
    const struct header h = {SLICE("allow"), slice_str(allow ? allow : "")};
    struct buf out = BUF_INIT(4096);
    int status;
    error_of_path(shape_path(r), allow ? ERR_METHOD : ERR_NOT_FOUND, NULL, &out, &status);
    conn_respond(c, status, "application/json", allow ? &(struct headers){&h, 1} : NULL, buf_slice(&out));
    buf_done(&out);
}

static bool address_is_open(struct slice path) {
    return slice_is(path, "/healthz") || slice_is(path, "/");
}

static int front_head(void *ctx, struct conn *c, const struct http_request *r, struct slice *ret_body) {
    const struct config *config = shift_of(ctx)->worker.snap->config;
    struct caller caller;
    (void)c;
    (void)ret_body;
    if (address_is_open(r->path))
        return 0;
    const struct keyring *ring = shift_of(ctx)->worker.keyring;
    if (admit_credential(config, ring, &r->headers, r->query, r->loopback, &caller))
        return 401;
    return blob_is_upload(r) && !caller.owner ? 403 : 0; // before its gigabytes come
}

static void front_upload(void *ctx, struct conn *c, const struct http_request *r) {
    blob_begin(shift_of(ctx), c, r);
}

static void front_piece(void *ctx, struct conn *c, void *user, struct slice bytes) {
    blob_piece(shift_of(ctx), c, user, bytes);
}

static void front_request(void *ctx, struct conn *c, const struct http_request *r) {
    struct worker *w = &shift_of(ctx)->worker;
    enum op op = OP_CHAT;
    bool known = false;
    const struct dialect *d = dialect_for(r->method, r->path, &op, &known);
    if (d) {
        struct arrival in = {d, op, r->body, &r->headers, r->loopback, r->start_us, r->path, r->query};
        struct sink sink = sink_of_conn(c);
        exchange_start(w, &in, &sink);
        return;
    }
    if (api_serve(shift_of(ctx), c, r))
        return;
    respond_nothing(c, r, known ? "POST" : lists_has(r->path) ? "GET, HEAD" : NULL);
}

static void front_credit(void *ctx, struct conn *c, void *user) {
    struct guest *g = user;
    (void)ctx;
    (void)c;
    if (g && g->credit)
        g->credit(g);
}

static void front_gone(void *ctx, struct conn *c, void *user) {
    struct guest *g = user;
    (void)ctx;
    (void)c;
    if (g)
        g->gone(g);
}

static enum err err_of_status(int status) {
    switch (status) {
    case 401:
        return ERR_UNAUTHORIZED;
    case 403:
        return ERR_FORBIDDEN;
    case 408:
        return ERR_TIMEOUT_CLIENT;
    case 413:
        return ERR_TOO_LARGE;
    case 431:
        return ERR_HEADERS_TOO_LARGE;
    default:
        return status >= 500 ? ERR_INTERNAL : ERR_BAD_REQUEST;
    }
}

static void front_error_body(void *ctx, struct slice path, int status, const char *text, struct buf *out) {
    int ignored;
    (void)ctx;
    bool bare = strcmp(text, http_status_text(status)) == 0; // a refusal of front_head: the error's own text says more
    error_of_path(path, err_of_status(status), bare ? NULL : text, out, &ignored);
}

const struct server_hooks front_hooks = {.on_head = front_head,
                                         .is_upload = blob_is_upload,
                                         .on_upload = front_upload,
                                         .on_piece = front_piece,
                                         .on_request = front_request,
                                         .on_credit = front_credit,
                                         .on_gone = front_gone,
                                         .error_body = front_error_body};
