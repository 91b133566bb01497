// SPDX-License-Identifier: Apache-2.0
// Discovery: one probe per endpoint whose models config does not list. A probe is a timer and at most one GET with the
// endpoint's credential and a permit of its own zone; its last good list stays when a later one fails, so that a passing
// fault does not take models away. The probe owns its list (two arenas in turn: the old list is borrowed until the next
// turn of the loop) and notes into the endpoint's live row what went wrong. Main thread.
#include "grid/discovery.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/endpoint.h"

#define PROBE_EVERY_MS 300000
#define PROBE_RETRY_MS 10000
#define PROBE_LOST_AFTER 2          // refused connections in a row
#define PROBE_LIMIT_MS 15000        // a list is small; a host that hangs is asked again later
#define PROBE_BODY_BYTES (8u << 20) // OpenRouter's list is about 1 MB
#define PROBE_ARENA_BYTES (64u << 20)

struct probe {
    struct loop *l;
    struct client *client;
    struct endpoint *e;
    struct endpoint_live *live;
    struct timer timer;
    struct fetch *fetch;
    struct permit permit;
    struct buf body;
    int status;
    struct arena arenas[2];
    unsigned turn; // the arena that the list is in
    struct found_model *found;
    size_t n_found;
    bool known;
    unsigned refused; // connections, in a row
    void (*changed)(void *ctx);
    void *ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

struct endpoint *probe_endpoint(const struct probe *p) {
    return p->e;
}

void probe_set_endpoint(struct probe *p, struct endpoint *e) {
    struct endpoint *old = p->e;
    p->e = endpoint_ref(e);
    endpoint_unref(old);
}

bool probe_found(const struct probe *p, const struct found_model **ret, size_t *ret_n) {
    *ret = p->found;
    *ret_n = p->n_found;
    return p->known;
}

bool probe_lost(const struct probe *p) {
    return p->refused >= PROBE_LOST_AFTER;
}

// ---- the answer

static bool list_is(const struct probe *p, const struct found_model *v, size_t n) {
    if (!p->known || n != p->n_found)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct found_model *a = &p->found[i], *b = &v[i];
        if (!slice_eq(a->name, b->name) || a->cloud != b->cloud || a->context != b->context ||
            a->has_zone != b->has_zone || a->zone != b->zone || a->vision != b->vision || a->tools != b->tools ||
            a->thinking != b->thinking)
            return false;
    }
    return true;
}

static enum err answer_take(struct probe *p, bool *ret_changed) {
    struct arena *a = &p->arenas[!p->turn];
    struct found_model *v;
    size_t n;
    arena_done(a);
    enum err e = found_read(p->e->provider->dialect, buf_slice(&p->body), a, &v, &n);
    if (e != ERR_OK || list_is(p, v, n))
        return e;
    p->turn = !p->turn;
    p->found = v;
    p->n_found = n;
    p->known = true;
    LOG(LOG_INFO, "discovered", LOG_S("endpoint", p->e->name), LOG_I("models", n));
    *ret_changed = true;
    return ERR_OK;
}

static void probe_failed(struct probe *p, enum err e) {
    int before = atomic_fetch_add_explicit(&p->live->probe_failures, 1, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_err, (int)e, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_status, p->status, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_error_us, clock_wall_us(), memory_order_relaxed);
    if (before == 0) // once, not every ten seconds
        LOG(LOG_WARN, "discovery_failed", LOG_S("endpoint", p->e->name), LOG_S("err", err_name(e)),
            LOG_I("status", p->status));
    p->refused = e == ERR_UP_CONNECT ? p->refused + 1 : 0;
    timer_start(&p->timer, PROBE_RETRY_MS);
    if (p->refused == PROBE_LOST_AFTER)
        p->changed(p->ctx); // last of all: it may close the probe
}

static void probe_end(struct probe *p, enum err e) {
    bool changed = false;
    p->fetch = NULL;
    if (e == ERR_OK && p->status != 200)
        e = dialect_err_of_status(p->status);
    if (e == ERR_OK && p->body.failed)
        e = ERR_TOO_LARGE;
    if (e == ERR_OK)
        e = answer_take(p, &changed);
    buf_done(&p->body);
    if (e != ERR_OK) {
        probe_failed(p, e);
        return;
    }
    p->refused = 0;
    atomic_store_explicit(&p->live->probe_failures, 0, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_ok_us, clock_wall_us(), memory_order_relaxed);
    timer_start(&p->timer, PROBE_EVERY_MS);
    if (changed)
        p->changed(p->ctx); // last of all: it may close the probe
}

static void on_head(void *user, int status, const struct headers *h) {
    (void)h;
    ((struct probe *)user)->status = status;
}

static void on_body(void *user, struct slice bytes) {
    buf_append(&((struct probe *)user)->body, bytes);
}

static void on_done(void *user, enum err e, const char *detail) {
    (void)detail;
    probe_end(user, e);
}

static const struct fetch_hooks probe_hooks = {.on_head = on_head, .on_body = on_body, .on_done = on_done};

// ---- the question

static size_t auth_put(const struct probe *p, struct header *h, struct buf *value) {
    const struct provider *row = p->e->provider;
    size_t n = 0;
    if (row->dialect == DIALECT_ANTHROPIC)
        h[n++] = (struct header){SLICE("anthropic-version"), SLICE("2023-06-01")};
    if (secret_is_empty(&p->e->key) || row->auth == AUTH_NONE)
        return n;
    buf_append(value, auth_header(row->auth)->prefix);
    buf_append(value, secret_reveal(&p->e->key));
    h[n++] = (struct header){auth_header(row->auth)->name, buf_slice(value)};
    return n;
}

static void probe_ask(struct probe *p) {
    const struct endpoint *e = p->e;
    struct arena a;
    struct buf auth = BUF_INIT(128u << 10);
    arena_init(&a, 1u << 20, 1024);
    struct header *h = arena_array(&a, e->headers.n + 4, sizeof *h);
    char *path = arena_printf(&a, "%.*s%s", SLICE_FMT(e->base_path), e->provider->models_path);
    enum err err = h && path ? ERR_OK : ERR_NO_MEMORY;
    if (err == ERR_OK) {
        size_t n = auth_put(p, h, &auth);
        h[n++] = (struct header){SLICE("user-agent"), SLICE("gridtie")};
        for (size_t i = 0; i < e->headers.n; i++)
            h[n++] = e->headers.v[i];
        p->permit = (struct permit){.zone = e->zone, .allowed = 1u << e->zone, .purpose = "probe"};
        p->status = 0;
        buf_init(&p->body, PROBE_BODY_BYTES);
        struct fetch_request r = {.origin = e->origin,
                                  .method = "GET",
                                  .path = slice_str(path),
                                  .headers = {h, n},
                                  .connect_ms = e->connect_ms,
                                  .permit = &p->permit,
                                  .fresh = true};
        err = fetch_start(p->client, &r, &probe_hooks, p, &p->fetch);
    }
    atomic_fetch_add_explicit(&p->live->probes, 1, memory_order_relaxed);
    if (auth.cap)
        wipe(auth.p, auth.cap);
    buf_done(&auth);
    arena_done(&a);
    timer_start(&p->timer, PROBE_LIMIT_MS);
    if (err != ERR_OK)
        probe_end(p, err);
}

static void probe_timer(struct timer *t) {
    struct probe *p = t->arg;
    if (!p->fetch) {
        probe_ask(p);
        return;
    }
    fetch_cancel(p->fetch);
    probe_end(p, ERR_UP_TIMEOUT);
}

enum err probe_new(struct loop *l, struct client *c, struct endpoint *e, struct endpoint_live *live,
                   void (*changed)(void *ctx), void *ctx, struct probe **ret) {
    struct probe *p = mem_zalloc(sizeof *p);
    if (!p)
        return ERR_NO_MEMORY;
    *p = (struct probe){.l = l, .client = c, .e = endpoint_ref(e), .live = live, .changed = changed, .ctx = ctx};
    arena_init(&p->arenas[0], PROBE_ARENA_BYTES, 0);
    arena_init(&p->arenas[1], PROBE_ARENA_BYTES, 0);
    timer_init(&p->timer, l, probe_timer, p);
    timer_start(&p->timer, 0);
    *ret = p;
    return ERR_OK;
}

static void probe_gone(void *arg) {
    struct probe *p = arg;
    void (*closed)(void *) = p->closed;
    void *ctx = p->closed_ctx;
    endpoint_unref(p->e);
    arena_done(&p->arenas[0]);
    arena_done(&p->arenas[1]);
    buf_done(&p->body);
    mem_free(p);
    if (closed)
        closed(ctx);
}

void probe_close(struct probe *p, void (*closed)(void *ctx), void *ctx) {
    p->closed = closed;
    p->closed_ctx = ctx;
    if (p->fetch)
        fetch_cancel(p->fetch);
    p->fetch = NULL;
    timer_close(&p->timer, probe_gone);
}
