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

// `Link: <https://…?cursor=x>; rel="next"`, one of several perhaps.
static void next_read(struct wire *w, struct slice v) {
    char to[WIRE_URL_BYTES];
    w->next[0] = 0;
    while (v.n) {
        struct slice rest = slice_from(v, slice_find(v, '<') == SIZE_MAX ? v.n : slice_find(v, '<') + 1);
        struct slice url = slice_split(&rest, '>');
        v = rest;
        struct slice more = slice_first(rest, slice_find(rest, '<'));
        if (slice_search(more, SLICE("rel=\"next\"")) == SIZE_MAX || url.n == 0 || url.n >= sizeof to)
            continue;
        (void)snprintf(w->next, sizeof w->next, "%.*s", SLICE_FMT(url));
        return;
    }
}

// Of an object store that it redirects to, Hugging Face says itself what the file is.
static void etag_read(struct wire_call *c, const struct headers *h, bool redirects) {
    char linked[sizeof c->etag];
    header_keep(h, "x-linked-etag", linked, sizeof linked);
    bool is_sha256 = strlen(linked) == 66 && linked[0] == '"' && strspn(linked + 1, "0123456789abcdef") == 64;
    if (is_sha256 && (redirects || !c->etag_is_sha256)) {
        memcpy(c->etag, linked, sizeof linked);
        c->etag_is_sha256 = true;
    } else if (!c->etag_is_sha256) {
        header_keep(h, "etag", c->etag, sizeof c->etag);
    }
}

static void challenge_read(struct wire *w, const struct headers *h) {
    w->call->challenge[0] = 0;
    for (size_t i = 0; w->at_home && i < h->n; i++) {
        struct slice v = slice_trim(h->v[i].value);
        if (slice_eq_nocase(h->v[i].name, SLICE("www-authenticate")) && v.n < sizeof w->call->challenge &&
            slice_eq_nocase(slice_first(v, 7), SLICE("bearer ")))
            (void)snprintf(w->call->challenge, sizeof w->call->challenge, "%.*s", SLICE_FMT(v));
    }
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
    etag_read(c, h, is_redirect(status));
    challenge_read(w, h);
    next_read(w, slice_trim(headers_get(h, "link")));
    header_keep(h, "x-error-code", c->code, sizeof c->code);
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

static bool address_parse(struct slice url, const char *ca_file, struct address *ret, struct buf *problem) {
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
    ret->origin.ca_file = ca_file;
    return true;
}

static bool same_origin(const struct origin *a, const struct origin *b) {
    return a->tls == b->tls && a->port == b->port && slice_eq_nocase(a->host, b->host);
}

static bool has_credential(const struct wire_call *c) {
    return c->authorization || (c->bearer && !secret_is_empty(c->bearer));
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
        buf_append_str(text, c->authorization ? c->authorization : "Bearer ");
        buf_append(text, c->authorization ? SLICE_NONE : secret_reveal(c->bearer));
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
    w->next[0] = 0;
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
static bool redirect_resolve(const char *from, const char *to, bool tls, char next[WIRE_URL_BYTES]) {
    struct buf out = BUF_INIT(WIRE_URL_BYTES - 1);
    enum err e = url_resolve(from, to, &out);
    struct slice url = buf_slice(&out);
    bool ok = !e && (slice_starts(url, "https://") || (slice_starts(url, "http://") && !tls));
    if (ok)
        (void)snprintf(next, WIRE_URL_BYTES, "%.*s", SLICE_FMT(url));
    buf_done(&out);
    return ok;
}

// One request, with its redirects.
static enum err get_followed(struct wire *w, struct wire_call *c) {
    char url[WIRE_URL_BYTES], next[WIRE_URL_BYTES], first[WIRE_URL_BYTES];
    struct address at, home;
    struct buf problem = BUF_FIXED(c->detail);
    if (c->url.n >= sizeof url)
        return ERR_BAD_FIELD;
    (void)snprintf(url, sizeof url, "%.*s", SLICE_FMT(c->url));
    memcpy(first, url, sizeof first);
    c->etag_is_sha256 = false;
    if (!address_parse(slice_str(first), w->ca_file, &home, &problem)) {
        (void)buf_cstr(&problem);
        return ERR_BAD_FIELD;
    }
    for (int i = 0; i < REDIRECTS_MAX; i++) {
        if (!address_parse(slice_str(url), w->ca_file, &at, &problem))
            return ERR_UP_PROTOCOL;
        w->at_home = same_origin(&at.origin, &home.origin);
        bool with_credential = has_credential(c) && w->at_home;
        enum err e = get_once(w, &at, with_credential, false);
        if (e == ERR_STALE)
            e = get_once(w, &at, with_credential, true);
        c->next[0] = 0;
        if (!e && w->next[0])
            (void)redirect_resolve(url, w->next, at.origin.tls, c->next);
        if (e || !is_redirect(c->status))
            return e;
        if (!redirect_resolve(url, w->location, at.origin.tls, next)) {
            (void)snprintf(c->detail, sizeof c->detail, "it redirects to an address that is not followed%s",
                           at.origin.tls && strncmp(w->location, "http://", 7) == 0 ? ": it has no TLS" : "");
            return ERR_UP_PROTOCOL;
        }
        memcpy(url, next, sizeof url);
    }
    (void)snprintf(c->detail, sizeof c->detail, "it redirects too often");
    return ERR_UP_PROTOCOL;
}

enum err wire_get(struct wire *w, struct wire_call *c) {
    bool (*login)(void *, const struct wire_call *) = w->login;
    w->call = c;
    enum err e = get_followed(w, c);
    if (e || c->status != 401 || !c->challenge[0] || !login)
        return e;
    w->login = NULL; // it calls us
    bool again = login(w->login_ctx, c);
    w->login = login;
    w->call = c;
    return again ? get_followed(w, c) : ERR_OK;
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

static enum err refusal_explain(struct wire *w, const struct wire_call *c, const char *what) {
    bool token = has_credential(c), gated = strcmp(c->code, "GatedRepo") == 0;
    if (c->page && (gated || (token && c->status == 403)))
        return job_problem(
            w->job, ERR_FORBIDDEN,
            "%s gives %s only to those who accepted its terms (HTTP %d): accept them at %s, and %s", c->host, what,
            c->status, c->page,
            token ? "see that HF_TOKEN is of the same account and may read gated repositories"
                  : "set HF_TOKEN where the daemon runs to a token of that account (HF's settings, Access Tokens)");
    if (c->page)
        return job_problem(w->job, ERR_FORBIDDEN,
                           "%s refuses %s (HTTP %d): there is none of that name, or it is private%s", c->host, what,
                           c->status,
                           token ? " and HF_TOKEN's account may not read it"
                                 : "; for a private one set HF_TOKEN where the daemon runs");
    return job_problem(w->job, ERR_FORBIDDEN, "%s refuses %s (HTTP %d)%s", c->host, what, c->status,
                       token ? ": the login that it asked for was not enough" : ": it wants a login");
}

enum err wire_explain(struct wire *w, const struct wire_call *c, enum err e, const char *what) {
    if (e == ERR_CANCELLED)
        return job_problem(w->job, e, "cancelled; what came is kept, and the next pull goes on from there");
    if (e == ERR_NO_PERMIT)
        return job_problem(w->job, e, "%s can't be fetched: gridtie is offline", what);
    bool unknown = e == ERR_UP_TLS && (strstr(c->detail, "issuer") || strstr(c->detail, "signed"));
    if (e)
        return job_problem(w->job, e, "%s can't be fetched from %s: %s%s%s%s", what, c->host, err_row(e)->text,
                           c->detail[0] ? ": " : "", c->detail,
                           unknown ? "; store.ca_file names authorities of one's own" : "");
    if (c->status == 401 || c->status == 403)
        return refusal_explain(w, c, what);
    if (c->status == 404)
        return job_problem(w->job, ERR_MODEL_NOT_FOUND, "%s does not have %s", c->host, what);
    return job_problem(w->job, ERR_UP_INTERNAL, "%s answers HTTP %d for %s", c->host, c->status, what);
}
