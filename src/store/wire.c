// SPDX-License-Identifier: Apache-2.0
// HTTP out for jobs, over net's client on a small loop that turns only while a call runs. Redirects are followed here, a
// few: a credential goes to the origin that it is meant for and to nobody else, not even to another port of it, and what
// began with TLS does not go on without. Deadlines are silence, not totals: a large file on a thin line is no fault. Every
// tenth of a second the job's cancelling is looked at. The permit says cloud for all that is not this machine's loopback,
// so that being offline holds here as anywhere.
#include "store/wire.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/limits.h"

#define TICK_MS 100
#define SILENCE_MS 60000
#define REDIRECTS_MAX 6

static void call_end(struct wire *w, enum err e) {
    w->err = e;
    w->fetch = NULL;
    timer_stop(&w->timer);
    loop_stop(&w->loop);
}

static void on_tick(struct timer *t) {
    struct wire *w = t->arg;
    bool silent = clock_mono_ms() - w->heard_ms > SILENCE_MS;
    if (!silent && !job_cancelled(w->job)) {
        timer_start(&w->timer, TICK_MS);
        return;
    }
    if (w->fetch)
        fetch_cancel(w->fetch);
    (void)snprintf(w->call->detail, sizeof w->call->detail, "nothing came for %d s", SILENCE_MS / 1000);
    call_end(w, silent ? ERR_UP_TIMEOUT : ERR_CANCELLED);
}

enum err wire_open(struct wire *w, struct job *j) {
    *w = (struct wire){.job = j};
    enum err e = loop_init(&w->loop, LIMIT_LOOPS);
    if (e)
        return e;
    timer_init(&w->timer, &w->loop, on_tick, w);
    e = client_new(&w->loop, &w->client);
    if (e) {
        timer_close(&w->timer, NULL);
        loop_done(&w->loop);
    }
    return e;
}

void wire_close(struct wire *w) {
    client_close(w->client, NULL, NULL);
    timer_close(&w->timer, NULL);
    loop_done(&w->loop);
}

// ---- an answer

static void header_keep(const struct headers *h, const char *name, char *to, size_t room) {
    struct slice v = slice_trim(headers_get(h, name));
    to[0] = 0;
    if (v.n && v.n < room)
        (void)snprintf(to, room, "%.*s", SLICE_FMT(v));
}

// "bytes 100-199/1000"; the end of all may be unknown ("*").
static void range_read(struct wire_call *c, struct slice v) {
    uint64_t from, all;
    c->range_from = c->range_all = -1;
    if (!slice_starts(v, "bytes "))
        return;
    v = slice_from(v, 6);
    struct slice span = slice_split(&v, '/');
    if (slice_u64(slice_first(span, slice_find(span, '-')), &from) && from < INT64_MAX)
        c->range_from = (int64_t)from;
    if (slice_u64(v, &all) && all < INT64_MAX)
        c->range_all = (int64_t)all;
}

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void on_head(void *user, int status, const struct headers *h) {
    struct wire *w = user;
    struct wire_call *c = w->call;
    uint64_t length;
    w->heard_ms = clock_mono_ms();
    c->status = status;
    c->length =
        slice_u64(slice_trim(headers_get(h, "content-length")), &length) && length < INT64_MAX ? (int64_t)length : -1;
    range_read(c, slice_trim(headers_get(h, "content-range")));
    header_keep(h, "etag", c->etag, sizeof c->etag);
    header_keep(h, "location", w->location, sizeof w->location);
    if ((status == 200 || status == 206) && c->on_head)
        c->on_head(c->ctx);
}

static void on_body(void *user, struct slice bytes) {
    struct wire *w = user;
    w->heard_ms = clock_mono_ms();
    bool wanted = w->call->status == 200 || w->call->status == 206;
    if (!wanted || w->stopped || w->call->on_bytes(w->call->ctx, bytes))
        return;
    w->stopped = true;
    fetch_cancel(w->fetch);
    call_end(w, ERR_DISK);
}

static void on_done(void *user, enum err e, const char *detail) {
    struct wire *w = user;
    (void)snprintf(w->call->detail, sizeof w->call->detail, "%s", detail ? detail : "");
    call_end(w, e);
}

static const struct fetch_hooks hooks = {.on_head = on_head, .on_body = on_body, .on_done = on_done};

// ---- one request

static bool host_is_loopback(struct slice host) {
    return slice_eq_nocase(host, SLICE("localhost")) || slice_starts(host, "127.") || slice_is(host, "::1");
}

struct address {
    struct origin origin;
    struct slice path; // with the query
    char text[WIRE_URL_BYTES];
};

static bool address_parse(struct slice url, struct address *ret, struct buf *problem) {
    struct slice before = slice_first(url, slice_find(url, '#')), base;
    struct slice query = before;
    before = slice_split(&query, '?');
    if (origin_parse(before, &ret->origin, &base, problem))
        return false;
    int n = snprintf(ret->text, sizeof ret->text, "%.*s%s%.*s", SLICE_FMT(base.n ? base : SLICE("/")),
                     query.n ? "?" : "", SLICE_FMT(query));
    if (n <= 0 || (size_t)n >= sizeof ret->text)
        return false;
    ret->path = slice_of(ret->text, (size_t)n);
    return true;
}

static bool same_origin(const struct origin *a, const struct origin *b) {
    return a->tls == b->tls && a->port == b->port && slice_eq_nocase(a->host, b->host);
}

static size_t headers_write(const struct wire_call *c, bool with_credential, struct buf *text, struct header v[5]) {
    size_t n = 0, start;
    v[n++] = (struct header){SLICE("user-agent"), SLICE("gridtie")};
    v[n++] = (struct header){SLICE("accept"), c->accept ? slice_str(c->accept) : SLICE("*/*")};
    v[n++] = (struct header){SLICE("accept-encoding"), SLICE("identity")};
    if (c->from > 0) {
        buf_printf(text, "bytes=%lld-", (long long)c->from);
        v[n++] = (struct header){SLICE("range"), buf_slice(text)};
    }
    start = text->len;
    if (with_credential) {
        buf_append_str(text, "Bearer ");
        buf_append(text, secret_reveal(c->bearer));
        v[n++] = (struct header){SLICE("authorization"), slice_from(buf_slice(text), start)};
    }
    return n;
}

static enum err get_once(struct wire *w, const struct address *to, bool with_credential, bool fresh) {
    char space[8192]; // does not move
    struct buf text = BUF_FIXED(space);
    struct header v[5];
    struct permit permit = {.zone = host_is_loopback(to->origin.host) ? ZONE_DEVICE : ZONE_CLOUD,
                            .allowed = (1u << ZONE_COUNT) - 1,
                            .purpose = "pull"};
    struct fetch_request r = {
        .origin = to->origin, .method = "GET", .path = to->path, .permit = &permit, .fresh = fresh};
    r.headers = (struct headers){v, headers_write(w->call, with_credential, &text, v)};
    w->call->status = 0;
    w->call->detail[0] = 0;
    w->location[0] = 0;
    w->stopped = false;
    w->heard_ms = clock_mono_ms();
    (void)snprintf(w->call->host, sizeof w->call->host, "%.*s", SLICE_FMT(to->origin.host));
    enum err e = text.failed ? ERR_BAD_FIELD : fetch_start(w->client, &r, &hooks, w, &w->fetch);
    if (!e) {
        timer_start(&w->timer, TICK_MS);
        loop_run(&w->loop);
        e = w->err;
    }
    wipe(space, sizeof space);
    return e;
}

// Where the answer points to, from where we are.
static bool redirect_resolve(struct wire *w, const struct address *from, char next[WIRE_URL_BYTES]) {
    const struct origin *o = &from->origin;
    bool v6 = slice_find(o->host, ':') != SIZE_MAX;
    int n;
    if (strncmp(w->location, "https://", 8) == 0 || (strncmp(w->location, "http://", 7) == 0 && !o->tls))
        n = snprintf(next, WIRE_URL_BYTES, "%s", w->location);
    else if (w->location[0] == '/' && w->location[1] != '/')
        n = snprintf(next, WIRE_URL_BYTES, "%s://%s%.*s%s:%u%s", o->tls ? "https" : "http", v6 ? "[" : "",
                     SLICE_FMT(o->host), v6 ? "]" : "", o->port, w->location);
    else
        return false;
    return n > 0 && n < WIRE_URL_BYTES;
}

enum err wire_get(struct wire *w, struct wire_call *c) {
    char url[WIRE_URL_BYTES], first[WIRE_URL_BYTES];
    struct address at, home;
    struct buf problem = BUF_FIXED(c->detail);
    w->call = c;
    if (c->url.n >= sizeof url)
        return ERR_BAD_FIELD;
    (void)snprintf(url, sizeof url, "%.*s", SLICE_FMT(c->url));
    memcpy(first, url, sizeof first);
    if (!address_parse(slice_str(first), &home, &problem)) {
        (void)buf_cstr(&problem);
        return ERR_BAD_FIELD;
    }
    for (int i = 0; i < REDIRECTS_MAX; i++) {
        if (!address_parse(slice_str(url), &at, &problem))
            return ERR_UP_PROTOCOL;
        bool with_credential = c->bearer && !secret_is_empty(c->bearer) && same_origin(&at.origin, &home.origin);
        enum err e = get_once(w, &at, with_credential, false);
        if (e == ERR_STALE)
            e = get_once(w, &at, with_credential, true);
        if (e || !is_redirect(c->status))
            return e;
        char next[WIRE_URL_BYTES];
        if (!redirect_resolve(w, &at, next)) {
            (void)snprintf(c->detail, sizeof c->detail, "it redirects to an address that is not followed");
            return ERR_UP_PROTOCOL;
        }
        memcpy(url, next, sizeof url);
    }
    (void)snprintf(c->detail, sizeof c->detail, "it redirects too often");
    return ERR_UP_PROTOCOL;
}

static bool text_take(void *ctx, struct slice bytes) {
    struct buf *out = ctx;
    buf_append(out, bytes);
    return !out->failed;
}

enum err wire_text(struct wire *w, struct wire_call *c, struct buf *out) {
    c->on_bytes = text_take;
    c->ctx = out;
    enum err e = wire_get(w, c);
    if (e == ERR_DISK) {
        (void)snprintf(c->detail, sizeof c->detail, "the answer is too large");
        return ERR_UP_PROTOCOL;
    }
    return e;
}

enum err wire_explain(struct wire *w, const struct wire_call *c, enum err e, const char *what) {
    if (e == ERR_CANCELLED)
        return job_problem(w->job, e, "cancelled; what came is kept, and the next pull goes on from there");
    if (e == ERR_NO_PERMIT)
        return job_problem(w->job, e, "%s can't be fetched: gridtie is offline", what);
    if (e)
        return job_problem(w->job, e, "%s can't be fetched from %s: %s%s%s", what, c->host, err_row(e)->text,
                           c->detail[0] ? ": " : "", c->detail);
    if (c->status == 401 || c->status == 403)
        return job_problem(
            w->job, ERR_FORBIDDEN, "%s refuses %s (HTTP %d): it may be private or need its terms accepted%s", c->host,
            what, c->status,
            c->bearer ? "; is the token right?" : "; for Hugging Face set HF_TOKEN where the daemon runs");
    if (c->status == 404)
        return job_problem(w->job, ERR_MODEL_NOT_FOUND, "%s does not have %s", c->host, what);
    return job_problem(w->job, ERR_UP_INTERNAL, "%s answers HTTP %d for %s", c->host, c->status, what);
}
