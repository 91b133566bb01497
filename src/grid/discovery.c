// SPDX-License-Identifier: Apache-2.0
// Asking endpoints: one probe each. It asks for the models that config does not list, at once, then every few seconds on
// this machine and nearby, every few minutes in a cloud, and soon when a model that should be there was not. And it asks
// who is sick whether it is well again, ever more rarely (grid/health.h). A probe is a timer and at most one GET with the
// endpoint's credential and a permit of its own zone; its last good list stays when a later one fails, so that a passing
// fault does not take models away. The probe owns its list (two arenas in turn: the old list is borrowed until the next
// turn of the loop) and notes into the endpoint's live row what went wrong. Main thread.
#include "grid/discovery.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/endpoint.h"
#include "grid/health.h"

#define PROBE_NEAR_MS 15000 // a model that was pulled or removed is noticed by then
#define PROBE_FAR_MS 300000
#define PROBE_AGAIN_NEAR_MS 2000 // least time between two, where there is a reason to ask
#define PROBE_AGAIN_FAR_MS 30000
#define PROBE_RETRY_MS 2000 // after a failure; doubled each time, up to PROBE_FAR_MS
#define PROBE_LOST_AFTER 2  // refused connections in a row
#define ABOUT_BYTES (256u << 10)
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
    bool health_only; // config lists the models
    bool about;       // this question is which version the server has; its answer is good for nothing else
    bool was_sick;    // as last logged
    uint64_t asked_ms;
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
            a->thinking != b->thinking || memcmp(&a->price, &b->price, sizeof a->price) != 0)
            return false;
    }
    return true;
}

static size_t missing_in(const struct found_model *v, size_t n, const struct found_model *of, size_t n_of) {
    size_t missing = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n_of && !slice_eq(v[i].name, of[k].name))
            k++;
        missing += k == n_of;
    }
    return missing;
}

static enum err answer_take(struct probe *p, bool *ret_changed) {
    struct arena *a = &p->arenas[!p->turn];
    struct found_model *v;
    size_t n;
    arena_done(a);
    enum err e = found_read(p->e->provider->dialect, buf_slice(&p->body), a, &v, &n);
    if (e != ERR_OK || list_is(p, v, n))
        return e;
    LOG(LOG_INFO, p->known ? "models_changed" : "discovered", LOG_S("endpoint", p->e->name), LOG_I("models", n),
        LOG_I("appeared", missing_in(v, n, p->found, p->n_found)),
        LOG_I("vanished", missing_in(p->found, p->n_found, v, n)));
    p->turn = !p->turn;
    p->found = v;
    p->n_found = n;
    p->known = true;
    *ret_changed = true;
    return ERR_OK;
}

// What a failed question says of the place. A list that is forbidden (a key may be for chats only) or not there says
// nothing: who talks there may do well.
static bool tells_of_place(enum err e) {
    return e == ERR_UP_CONNECT || e == ERR_UP_TLS || e == ERR_UP_TIMEOUT || e == ERR_UP_DIED || e == ERR_UP_INTERNAL ||
           e == ERR_UP_OVERLOADED;
}

static uint64_t pause_after_failure(const struct probe *p, int before, uint64_t now_ms) {
    if (atomic_load(&p->live->health.sick))
        return (uint64_t)health_wait_ms(&p->live->health, now_ms) + 1;
    uint64_t ms = (uint64_t)PROBE_RETRY_MS << (before < 10 ? before : 10);
    return ms < PROBE_FAR_MS ? ms : PROBE_FAR_MS;
}

static void probe_failed(struct probe *p, enum err e) {
    uint64_t now_ms = clock_mono_ms();
    int before = atomic_fetch_add_explicit(&p->live->probe_failures, 1, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_err, (int)e, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_status, p->status, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_error_us, clock_wall_us(), memory_order_relaxed);
    if (before == 0) // once, not every few seconds
        LOG(LOG_WARN, "discovery_failed", LOG_S("endpoint", p->e->name), LOG_S("err", err_name(e)),
            LOG_I("status", p->status));
    if (tells_of_place(e))
        (void)health_note(&p->live->health, false, now_ms);
    p->refused = e == ERR_UP_CONNECT ? p->refused + 1 : 0;
    timer_start(&p->timer, pause_after_failure(p, before, now_ms));
    if (p->refused == PROBE_LOST_AFTER)
        p->changed(p->ctx); // last of all: it may close the probe
}

static void probe_well(struct probe *p) {
    uint64_t now_ms = clock_mono_ms();
    p->refused = 0;
    atomic_store_explicit(&p->live->probe_failures, 0, memory_order_relaxed);
    atomic_store_explicit(&p->live->last_ok_us, clock_wall_us(), memory_order_relaxed);
    atomic_store_explicit(&p->live->probe_us, (int64_t)(now_ms - p->asked_ms) * 1000, memory_order_relaxed);
    (void)health_note(&p->live->health, true, now_ms);
    if (atomic_load(&p->live->health.sick)) // it has to do well once more
        timer_start(&p->timer, PROBE_RETRY_MS);
    else if (p->health_only)
        timer_stop(&p->timer);
    else
        timer_start(&p->timer, p->e->near ? PROBE_NEAR_MS : PROBE_FAR_MS);
}

// "1.8.3" as one number; -1: it is no version.
static int64_t version_pack(struct slice text) {
    int64_t packed = 0;
    for (int i = 0; i < 3; i++) {
        struct slice part = slice_split(&text, '.');
        uint64_t v = 0;
        if ((!slice_u64(part, &v) && (i == 0 || part.n)) || v >= 1 << 20)
            return -1;
        packed = packed << 20 | (int64_t)v;
    }
    return packed > 0 ? packed : -1;
}

static int64_t version_of(struct slice body) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    int64_t v = -1;
    arena_init(&a, ABOUT_BYTES * 8, 0);
    if (json_read(&a, body, &d, &why) == ERR_OK)
        v = version_pack(json_get_str(yyjson_doc_get_root(d.doc), "version"));
    arena_done(&a);
    return v;
}

static void about_end(struct probe *p, enum err e) {
    bool well = e == ERR_OK && p->status == 200 && !p->body.failed && p->body.len <= ABOUT_BYTES;
    atomic_store_explicit(&p->live->version, well ? version_of(buf_slice(&p->body)) : -1, memory_order_relaxed);
    p->about = false;
    buf_done(&p->body);
    timer_start(&p->timer, PROBE_NEAR_MS);
}

// One's own server may say more of itself; it is asked when it is new, or has other models than before.
static void about_ask(struct probe *p, bool changed) {
    bool known = atomic_load_explicit(&p->live->version, memory_order_relaxed) != 0;
    if (!p->e->provider->about_path || !p->e->near || p->health_only || (known && !changed))
        return;
    p->about = true;
    timer_start(&p->timer, 0);
}

static void probe_end(struct probe *p, enum err e) {
    bool changed = false;
    p->fetch = NULL;
    if (p->about) {
        about_end(p, e);
        return;
    }
    if (e == ERR_OK && p->status / 100 != 2)
        e = dialect_err_of_status(p->status);
    if (e == ERR_OK && p->body.failed)
        e = ERR_TOO_LARGE;
    if (e == ERR_OK && !p->health_only)
        e = answer_take(p, &changed);
    buf_done(&p->body);
    if (e != ERR_OK) {
        probe_failed(p, e);
        return;
    }
    probe_well(p);
    about_ask(p, changed);
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

// One's own server of a provider's kind may have an address that is made for this question.
static const char *path_of(const struct probe *p) {
    const struct provider *row = p->e->provider;
    if (p->about)
        return row->about_path;
    return p->health_only && row->health_path && p->e->near ? row->health_path : row->models_path;
}

static void probe_ask(struct probe *p) {
    const struct endpoint *e = p->e;
    struct arena a;
    struct buf auth = BUF_INIT(128u << 10);
    arena_init(&a, 1u << 20, 1024);
    struct header *h = arena_array(&a, e->headers.n + 4, sizeof *h);
    char *path = arena_printf(&a, "%.*s%s", SLICE_FMT(e->base_path), path_of(p));
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
    p->asked_ms = clock_mono_ms();
    atomic_store_explicit(&p->live->ask_again, 0, memory_order_relaxed);
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

void probe_tick(struct probe *p, uint64_t now_ms) {
    struct endpoint_live *live = p->live;
    bool sick = atomic_load(&live->health.sick);
    if (sick != p->was_sick)
        LOG(sick ? LOG_WARN : LOG_INFO, sick ? "endpoint_sick" : "endpoint_well", LOG_S("endpoint", p->e->name),
            LOG_I("relapses", atomic_load(&live->health.flaps)));
    p->was_sick = sick;
    uint64_t since = now_ms - p->asked_ms;
    bool wanted = !p->health_only && atomic_load(&live->ask_again) &&
                  since >= (p->e->near ? PROBE_AGAIN_NEAR_MS : PROBE_AGAIN_FAR_MS);
    bool due = sick && health_wait_ms(&live->health, now_ms) == 0 && since >= PROBE_RETRY_MS;
    if (!p->fetch && (wanted || due))
        probe_ask(p);
}

enum err probe_new(struct loop *l, struct client *c, struct endpoint *e, struct endpoint_live *live, bool health_only,
                   void (*changed)(void *ctx), void *ctx, struct probe **ret) {
    struct probe *p = mem_zalloc(sizeof *p);
    if (!p)
        return ERR_NO_MEMORY;
    *p = (struct probe){.l = l,
                        .client = c,
                        .e = endpoint_ref(e),
                        .live = live,
                        .health_only = health_only,
                        .changed = changed,
                        .ctx = ctx};
    arena_init(&p->arenas[0], PROBE_ARENA_BYTES, 0);
    arena_init(&p->arenas[1], PROBE_ARENA_BYTES, 0);
    timer_init(&p->timer, l, probe_timer, p);
    if (!health_only)
        timer_start(&p->timer, 0);
    *ret = p;
    return ERR_OK;
}

bool probe_is_for_health(const struct probe *p) {
    return p->health_only;
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
