// SPDX-License-Identifier: Apache-2.0
// Servers on this machine that nobody listed: each port is asked for its models as the server that is usual there, at
// start and then ever more rarely, until one answers. Who it is, it says itself (`owned_by`); what can't be told apart
// from a proxy is one, so its zone is cloud. `device` needs more than a word: the program that listens must be a
// llama-server of this user. No credential is ever sent, and nothing but loopback is asked. Main thread; a scan owns its
// spots, the grid makes endpoints of what is found.
#include "grid/scan.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/discovery.h"
#include "grid/listener.h"

#define SCAN_FIRST_MS 2000 // after the first look; doubled each time
#define SCAN_LAST_MS 60000 // a server that was started is found within a minute
#define SCAN_LIMIT_MS 3000 // loopback; what does not answer by then is none
#define SCAN_BODY_BYTES (8u << 20)

struct spot {
    struct scan *scan;
    struct scan_port want;
    bool used, found;
    uint64_t wait_ms;
    struct timer timer;
    struct fetch *fetch;
    struct permit permit;
    int status;
    struct buf body;
    const struct provider *proxy; // known by the head of its answer
    bool gridtie, told;           // another of our kind; that was logged
};

struct scan {
    struct loop *l;
    struct client *client;
    void (*found)(void *ctx, const struct scan_find *find);
    void *ctx;
    struct spot spots[LIMIT_SCAN_PORTS];
    unsigned open; // timers that have not closed
    void (*closed)(void *ctx);
    void *closed_ctx;
};

// ---- who answers

static const struct provider *owner_find(struct slice owner) {
    for (size_t i = 0; owner.n && i < n_providers; i++)
        if (providers[i].owner && slice_is(owner, providers[i].owner))
            return &providers[i];
    return NULL;
}

static bool header_seen(const struct headers *h, const char *prefix) {
    for (size_t i = 0; i < h->n; i++) {
        struct slice name = slice_first(h->v[i].name, strlen(prefix));
        if (slice_eq_nocase(name, slice_str(prefix)))
            return true;
    }
    return false;
}

const struct provider *scan_identify(const struct provider *expected, struct slice body) {
    struct arena a;
    struct found_model *v;
    size_t n = 0;
    arena_init(&a, SCAN_BODY_BYTES * 8, 0);
    enum err e = found_read(expected->dialect, body, &a, &v, &n);
    const struct provider *who = NULL;
    if (e == ERR_OK && expected->dialect == DIALECT_OLLAMA)
        who = expected; // also without a model: one may be pulled at any time
    else if (e == ERR_OK && n > 0)
        who = owner_find(v[0].owner);
    if (!who && e == ERR_OK && n > 0)
        who = provider_by_name(SLICE("openai-compatible"));
    arena_done(&a);
    return who;
}

// Programs that only pass on what they are sent, often to far away.
static bool exe_is_tunnel(const char *exe) {
    static const char *const names[] = {"ssh",    "autossh",    "kubectl", "socat", "cloudflared", "ngrok", "frpc",
                                        "chisel", "tailscaled", "haproxy", "nginx", "caddy",       "envoy", "traefik"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(exe, names[i]) == 0)
            return true;
    return false;
}

static enum zone zone_of(const struct provider *p, uint16_t port) {
    struct listener_who who;
    if (p->zone == ZONE_CLOUD)
        return ZONE_CLOUD;
    listener_find(port, &who);
    if (who.ours && exe_is_tunnel(who.exe))
        return ZONE_CLOUD;
    bool engine = strcmp(p->name, "llama-server") == 0 && who.ours && strncmp(who.exe, "llama", 5) == 0;
    return engine ? ZONE_DEVICE : p->zone;
}

// ---- one look at one port

static void spot_later(struct spot *s) {
    timer_start(&s->timer, s->wait_ms);
    s->wait_ms = s->wait_ms * 2 > SCAN_LAST_MS ? SCAN_LAST_MS : s->wait_ms * 2;
}

static void spot_end(struct spot *s, enum err e) {
    const struct provider *who = NULL;
    s->fetch = NULL;
    if (e == ERR_OK && s->status == 200 && !s->body.failed && !s->gridtie)
        who = scan_identify(s->want.provider, buf_slice(&s->body));
    if (who && s->proxy)
        who = s->proxy;
    buf_done(&s->body);
    if (!who) {
        spot_later(s);
        return;
    }
    struct scan_find find = {who, s->want.port, zone_of(who, s->want.port)};
    s->found = true;
    LOG(LOG_INFO, "found", LOG_S("provider", who->name), LOG_I("port", s->want.port),
        LOG_S("zone", zone_name(find.zone)));
    s->scan->found(s->scan->ctx, &find);
}

// Gateways give themselves away here. Our own kind is never taken: two of us would ask each other in a circle.
static void on_head(void *user, int status, const struct headers *h) {
    struct spot *s = user;
    s->status = status;
    s->gridtie = header_seen(h, "x-gridtie");
    if (s->gridtie && !s->told)
        LOG(LOG_INFO, "passed_by", LOG_S("provider", "gridtie"), LOG_I("port", s->want.port));
    s->told |= s->gridtie;
    if (header_seen(h, "x-litellm"))
        s->proxy = provider_by_name(SLICE("litellm"));
}

static void on_body(void *user, struct slice bytes) {
    buf_append(&((struct spot *)user)->body, bytes);
}

static void on_done(void *user, enum err e, const char *detail) {
    (void)detail;
    spot_end(user, e);
}

static const struct fetch_hooks spot_hooks = {.on_head = on_head, .on_body = on_body, .on_done = on_done};

static void spot_ask(struct spot *s) {
    static const struct header agent = {SLICE("user-agent"), SLICE("gridtie")};
    bool ollama = s->want.provider->dialect == DIALECT_OLLAMA;
    struct fetch_request r = {.origin = {.host = SLICE("127.0.0.1"), .port = s->want.port},
                              .method = "GET",
                              .path = ollama ? SLICE("/api/tags") : SLICE("/v1/models"),
                              .headers = {&agent, 1},
                              .connect_ms = SCAN_LIMIT_MS,
                              .permit = &s->permit,
                              .fresh = true};
    s->permit = (struct permit){.zone = ZONE_DEVICE, .allowed = 1u << ZONE_DEVICE, .purpose = "scan"};
    s->status = 0;
    s->proxy = NULL;
    s->gridtie = false;
    buf_init(&s->body, SCAN_BODY_BYTES);
    timer_start(&s->timer, SCAN_LIMIT_MS);
    enum err e = fetch_start(s->scan->client, &r, &spot_hooks, s, &s->fetch);
    if (e != ERR_OK)
        spot_end(s, e);
}

static void spot_stop(struct spot *s) {
    timer_stop(&s->timer);
    if (s->fetch)
        fetch_cancel(s->fetch);
    s->fetch = NULL;
    buf_done(&s->body);
}

static void spot_timer(struct timer *t) {
    struct spot *s = t->arg;
    if (!s->fetch) {
        spot_ask(s);
        return;
    }
    spot_stop(s);
    spot_later(s);
}

static void spot_begin(struct spot *s, uint64_t after_ms) {
    s->found = false;
    s->wait_ms = SCAN_FIRST_MS;
    timer_start(&s->timer, after_ms);
}

// ---- the whole

enum err scan_new(struct loop *l, struct client *c, void (*found)(void *ctx, const struct scan_find *find), void *ctx,
                  struct scan **ret) {
    struct scan *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    *s = (struct scan){.l = l, .client = c, .found = found, .ctx = ctx};
    for (size_t i = 0; i < LIMIT_SCAN_PORTS; i++) {
        s->spots[i].scan = s;
        timer_init(&s->spots[i].timer, l, spot_timer, &s->spots[i]);
    }
    *ret = s;
    return ERR_OK;
}

static const struct scan_port *port_wanted(const struct scan_port *v, size_t n, const struct scan_port *p) {
    for (size_t i = 0; i < n; i++)
        if (v[i].port == p->port && v[i].provider == p->provider)
            return &v[i];
    return NULL;
}

static struct spot *spot_of(struct scan *s, const struct scan_port *p) {
    for (size_t i = 0; i < LIMIT_SCAN_PORTS; i++)
        if (s->spots[i].used && port_wanted(&s->spots[i].want, 1, p))
            return &s->spots[i];
    return NULL;
}

void scan_set(struct scan *s, const struct scan_port *v, size_t n) {
    for (size_t i = 0; i < LIMIT_SCAN_PORTS; i++) {
        struct spot *spot = &s->spots[i];
        if (spot->used && !port_wanted(v, n, &spot->want)) {
            spot_stop(spot);
            spot->used = false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct spot *spot = spot_of(s, &v[i]), *free_one = s->spots;
        if (spot)
            continue;
        while (free_one->used) // n is at most their number
            free_one++;
        free_one->used = true;
        free_one->want = v[i];
        spot_begin(free_one, 0);
    }
}

void scan_again(struct scan *s, uint16_t port) {
    for (size_t i = 0; i < LIMIT_SCAN_PORTS; i++)
        if (s->spots[i].used && s->spots[i].found && s->spots[i].want.port == port)
            spot_begin(&s->spots[i], SCAN_FIRST_MS);
}

static void spot_closed(void *arg) {
    struct scan *s = ((struct spot *)arg)->scan;
    if (--s->open)
        return;
    void (*closed)(void *) = s->closed;
    void *ctx = s->closed_ctx;
    mem_free(s);
    if (closed)
        closed(ctx);
}

void scan_close(struct scan *s, void (*closed)(void *ctx), void *ctx) {
    s->closed = closed;
    s->closed_ctx = ctx;
    s->open = LIMIT_SCAN_PORTS;
    for (size_t i = 0; i < LIMIT_SCAN_PORTS; i++) {
        spot_stop(&s->spots[i]);
        timer_close(&s->spots[i].timer, spot_closed);
    }
}
