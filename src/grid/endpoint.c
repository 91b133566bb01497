// SPDX-License-Identifier: Apache-2.0
// Endpoints from config: the provider's row, what config says beyond it, and the zone where config is silent. An endpoint
// is immutable and shared by reference count between snapshots; its strings are in its own arena, its key is a secret of
// its own that is wiped with it. Made on the main thread, dropped on any.
// The zone errs to the outside: a row that says `edge` holds only for this machine and private networks, and of what
// answers on loopback only llama-server counts as `device`, since anything else may be a proxy to a cloud.
#include "grid/endpoint.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/limits.h"
#include "base/mem.h"

#define ENDPOINT_ARENA_BYTES (1u << 20)

struct endpoint_box {
    struct endpoint pub; // first: the public face is the box
    struct arena arena;
};

static const struct provider provider_engine = {.name = "engine",
                                                .dialect = DIALECT_OPENAI,
                                                .auth = AUTH_NONE,
                                                .zone = ZONE_DEVICE,
                                                .quirks =
                                                    QUIRK_LLAMA_STATUS | QUIRK_CACHE_PROMPT | QUIRK_NO_DEVELOPER_ROLE};

static struct endpoint_box *box_new(void) {
    struct endpoint_box *box = mem_zalloc(sizeof *box);
    if (!box)
        return NULL;
    arena_init(&box->arena, ENDPOINT_ARENA_BYTES, 512);
    atomic_init(&box->pub.refs, 1);
    return box;
}

struct endpoint *endpoint_ref(struct endpoint *e) {
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void endpoint_unref(struct endpoint *e) {
    if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct endpoint_box *box = (struct endpoint_box *)e;
    secret_done(&box->pub.key);
    arena_done(&box->arena);
    mem_free(box);
}

// ---- where a host stands

static struct slice host_bare(struct slice host) {
    bool brackets = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
    return brackets ? slice_of(host.p + 1, host.n - 2) : host;
}

static bool host_is_loopback(const struct origin *o) {
    if (o->unix_path.n)
        return true;
    struct slice host = host_bare(o->host);
    char text[64];
    struct in_addr v4;
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(slice_first(host, sizeof text - 1)));
    if (inet_pton(AF_INET, text, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return slice_eq_nocase(host, SLICE("localhost")) || slice_is(host, "::1");
}

static bool address_is_private(const char *text) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        uint32_t a = ntohl(v4.s_addr);
        return (a >> 24) == 10 || (a >> 20) == 0xac1 || (a >> 16) == 0xc0a8 || (a >> 16) == 0xa9fe;
    }
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    return (v6.s6_addr[0] & 0xfe) == 0xfc || (v6.s6_addr[0] == 0xfe && (v6.s6_addr[1] & 0xc0) == 0x80);
}

static bool host_is_private(const struct origin *o) {
    static const char *const ends[] = {".internal", ".local", ".lan", ".home.arpa"};
    struct slice host = host_bare(o->host);
    char text[64];
    snprintf(text, sizeof text, "%.*s", SLICE_FMT(slice_first(host, sizeof text - 1)));
    if (address_is_private(text))
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (slice_ends(host, ends[i]))
            return true;
    return false;
}

static enum zone zone_of(const struct provider *p, const struct origin *o) {
    bool loopback = host_is_loopback(o);
    if (loopback && strcmp(p->name, "llama-server") == 0)
        return ZONE_DEVICE;
    if (p->zone == ZONE_EDGE && !loopback && !host_is_private(o))
        return ZONE_CLOUD;
    return p->zone;
}

// ---- from config

static const struct provider *provider_of(const struct config_endpoint *c, struct buf *problem) {
    struct slice name = slice_str(c->provider);
    const struct provider *p = provider_by_name(name);
    if (p)
        return p;
    buf_printf(problem, "line %u: endpoint '%s': there is no provider '%s'; known are", c->line, c->name,
               c->provider ? c->provider : "");
    for (size_t i = 0; i < n_providers; i++)
        buf_printf(problem, "%s %s", i ? "," : "", providers[i].name);
    buf_append_char(problem, '\n');
    return NULL;
}

// A provider's usual variable must not travel to a host that is not the provider's.
static bool host_is_default(const struct provider *p, const struct origin *o) {
    struct origin usual;
    struct slice base;
    struct buf why = BUF_INIT(256);
    bool ok = p->default_url && origin_parse(slice_str(p->default_url), &usual, &base, &why) == ERR_OK;
    buf_done(&why);
    return ok && slice_eq_nocase(usual.host, o->host) && usual.tls == o->tls;
}

bool endpoint_url_is_default(const struct provider *p, const char *url) {
    struct origin o;
    struct slice base;
    struct buf why = BUF_INIT(256);
    bool ok = origin_parse(slice_str(url), &o, &base, &why) == ERR_OK && host_is_default(p, &o);
    buf_done(&why);
    return ok;
}

bool endpoint_config_on_port(const struct config_endpoint *c, uint16_t port) {
    const struct provider *p = provider_by_name(slice_str(c->provider));
    const char *url = c->url ? c->url : p ? p->default_url : NULL;
    struct origin o;
    struct slice base;
    struct buf why = BUF_INIT(256);
    bool ok = url && origin_parse(slice_str(url), &o, &base, &why) == ERR_OK && host_is_loopback(&o) && o.port == port;
    buf_done(&why);
    return ok;
}

static enum err origin_fill(struct endpoint_box *box, const struct config_endpoint *c, struct buf *problem) {
    struct endpoint *e = &box->pub;
    const char *url = c->url ? c->url : e->provider->default_url;
    if (!url) {
        buf_printf(problem, "line %u: endpoint '%s': provider %s needs a url\n", c->line, c->name, e->provider->name);
        return ERR_BAD_FIELD;
    }
    struct slice own = arena_copy(&box->arena, slice_str(url));
    if (!own.p)
        return ERR_NO_MEMORY;
    struct buf why = BUF_INIT(512);
    enum err err = origin_parse(own, &e->origin, &e->base_path, &why);
    if (err != ERR_OK)
        buf_printf(problem, "line %u: endpoint '%s': url: %s\n", c->line, c->name, buf_cstr(&why));
    buf_done(&why);
    if (err != ERR_OK)
        return err == ERR_NO_MEMORY ? err : ERR_BAD_FIELD;
    while (e->base_path.n && e->base_path.p[e->base_path.n - 1] == '/')
        e->base_path.n--;
    e->origin.proxy = c->proxy ? arena_strdup(&box->arena, c->proxy) : NULL;
    e->origin.ca_file = c->ca_file ? arena_strdup(&box->arena, c->ca_file) : NULL;
    return ERR_OK;
}

// A provider that goes by deployment does so only at its bare host: what has a path of its own is spoken to as it is.
static enum err version_fill(struct endpoint_box *box, const struct config_endpoint *c) {
    struct endpoint *e = &box->pub;
    if (!e->provider->api_version || e->base_path.n)
        return ERR_OK;
    e->api_version = arena_strdup(&box->arena, c->api_version ? c->api_version : e->provider->api_version);
    return e->api_version ? ERR_OK : ERR_NO_MEMORY;
}

struct slice endpoint_path(const struct endpoint *e, struct slice model, const char *wire_path, struct arena *a) {
    if (!e->api_version)
        return ARENA_JOIN(a, e->base_path, slice_str(wire_path));
    struct buf path = BUF_INIT(8192);
    buf_append_str(&path, "/openai/deployments/");
    buf_append_percent(&path, model, URL_UNRESERVED);
    buf_printf(&path, "%s?api-version=%s", wire_path, e->api_version);
    struct slice copy = path.failed ? SLICE_NONE : arena_copy(a, buf_slice(&path));
    buf_done(&path);
    return copy;
}

static enum err key_fill(struct endpoint *e, const struct config_endpoint *c, struct buf *problem) {
    const char *usual =
        e->provider->key_env && host_is_default(e->provider, &e->origin) ? getenv(e->provider->key_env) : NULL;
    struct slice key = secret_is_empty(&c->key) ? slice_str(usual) : secret_reveal(&c->key);
    if (!secret_set(&e->key, key))
        return ERR_NO_MEMORY;
    // One's own server of a provider's kind may do without.
    bool own_host = !e->provider->default_url || host_is_default(e->provider, &e->origin);
    if (key.n || !e->provider->needs_key || !own_host)
        return ERR_OK;
    buf_printf(problem, "line %u: endpoint '%s': provider %s needs a key: give key or key_file", c->line, c->name,
               e->provider->name);
    if (e->provider->key_env)
        buf_printf(problem, ", or set %s", e->provider->key_env);
    buf_append_char(problem, '\n');
    return ERR_BAD_FIELD;
}

static enum err headers_fill(struct endpoint_box *box, const struct config_endpoint *c) {
    if (c->n_headers == 0)
        return ERR_OK;
    struct header *h = arena_array(&box->arena, c->n_headers, sizeof *h);
    if (!h)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < c->n_headers; i++) {
        h[i].name = arena_copy(&box->arena, slice_str(c->headers[i].name));
        h[i].value = arena_copy(&box->arena, slice_str(c->headers[i].value));
        if (!h[i].name.p || !h[i].value.p)
            return ERR_NO_MEMORY;
    }
    box->pub.headers = (struct headers){h, c->n_headers};
    return ERR_OK;
}

static uint64_t ms_or(int64_t given, uint64_t otherwise) {
    return given > 0 ? (uint64_t)given : otherwise;
}

static enum err endpoint_fill(struct endpoint_box *box, const struct config_endpoint *c, struct buf *problem) {
    struct endpoint *e = &box->pub;
    if (strcmp(c->name, ENDPOINT_ENGINE) == 0) {
        buf_printf(problem, "line %u: endpoint '%s': that name is the local engine's; choose another\n", c->line,
                   c->name);
        return ERR_BAD_FIELD;
    }
    e->provider = provider_of(c, problem);
    if (!e->provider)
        return ERR_BAD_FIELD;
    e->name = arena_strdup(&box->arena, c->name);
    if (!e->name)
        return ERR_NO_MEMORY;
    enum err err = origin_fill(box, c, problem);
    if (err != ERR_OK)
        return err;
    if (strcmp(e->provider->name, "openai") == 0 && !host_is_default(e->provider, &e->origin))
        e->provider = provider_by_name(SLICE("openai-compatible"));
    err = version_fill(box, c);
    if (err == ERR_OK)
        err = key_fill(e, c, problem);
    if (err != ERR_OK)
        return err;
    e->zone = c->has_zone ? c->zone : zone_of(e->provider, &e->origin);
    e->retention = c->retention;
    e->watts = c->watts;
    e->near = host_is_loopback(&e->origin) || host_is_private(&e->origin);
    e->connect_ms = ms_or(c->connect_ms, LIMIT_CONNECT_MS);
    e->first_event_ms = ms_or(c->first_event_ms, LIMIT_FIRST_EVENT_MS);
    e->idle_ms = ms_or(c->idle_ms, LIMIT_IDLE_EVENT_MS);
    e->total_ms = ms_or(c->total_ms, LIMIT_TOTAL_MS);
    return headers_fill(box, c);
}

enum err endpoint_new(const struct config_endpoint *c, struct endpoint **ret, struct buf *problem) {
    struct endpoint_box *box = box_new();
    if (!box)
        return ERR_NO_MEMORY;
    enum err e = endpoint_fill(box, c, problem);
    if (e == ERR_OK)
        *ret = &box->pub;
    else
        endpoint_unref(&box->pub);
    return e;
}

enum err endpoint_new_engine(struct endpoint **ret) {
    struct endpoint_box *box = box_new();
    if (!box)
        return ERR_NO_MEMORY;
    struct endpoint *e = &box->pub;
    e->name = ENDPOINT_ENGINE;
    e->provider = &provider_engine;
    e->origin = (struct origin){.host = SLICE("localhost"), .port = 80};
    e->base_path = SLICE("/v1");
    e->zone = ZONE_DEVICE;
    e->engine = true;
    e->connect_ms = LIMIT_CONNECT_MS;
    e->first_event_ms = LIMIT_FIRST_EVENT_MS;
    e->idle_ms = LIMIT_IDLE_EVENT_MS;
    e->total_ms = LIMIT_TOTAL_MS;
    *ret = e;
    return ERR_OK;
}

bool endpoint_same_place(const struct endpoint *a, const struct endpoint *b) {
    return strcmp(a->name, b->name) == 0 && a->provider == b->provider && a->zone == b->zone &&
           a->origin.tls == b->origin.tls && a->origin.port == b->origin.port &&
           slice_eq(a->origin.host, b->origin.host) && slice_eq(a->origin.unix_path, b->origin.unix_path) &&
           slice_eq(a->base_path, b->base_path) && secret_equals(&a->key, secret_reveal(&b->key));
}
