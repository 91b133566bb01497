// SPDX-License-Identifier: Apache-2.0
// Which endpoints there are. Config comes first and wins: a provider whose key stands in its usual variable, or a server
// found on a port, becomes an endpoint only where config has neither its name nor its place. A key goes to its provider's
// own host and nowhere else: where a variable beside it (OPENAI_BASE_URL) says that it belongs to another host, it is left
// alone. Main thread; nothing is asked of anybody here.
#include "grid/places.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/mem.h"

void places_done(struct places *p) {
    for (size_t i = 0; i < p->n; i++)
        endpoint_unref(p->v[i]);
    mem_free(p->v);
    *p = (struct places){0};
}

static enum err config_add(const struct config *c, struct places *p, struct buf *problem) {
    enum err first = ERR_OK;
    for (size_t i = 0; i < c->n_endpoints; i++) {
        enum err e = endpoint_new(&c->endpoints[i], &p->v[p->n], problem);
        if (e == ERR_OK)
            p->n++;
        if (first == ERR_OK)
            first = e;
    }
    return first;
}

static bool name_taken(const struct places *p, const char *name) {
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->v[i]->name, name) == 0)
            return true;
    return strcmp(name, ENDPOINT_ENGINE) == 0;
}

// ---- ports

static enum err find_add(const struct scan_find *f, struct places *p) {
    char name[64], url[64];
    bool unnamed = !f->provider->default_url; // "openai-compatible" says nothing
    (void)snprintf(name, sizeof name, "%s", unnamed ? "port" : f->provider->name);
    if (unnamed || name_taken(p, name))
        (void)snprintf(name, sizeof name, "%s-%u", unnamed ? "port" : f->provider->name, f->port);
    if (name_taken(p, name))
        return ERR_OK;
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u%s", f->port,
                   f->provider->dialect == DIALECT_OLLAMA ? "" : "/v1");
    struct config_endpoint c = {
        .name = name, .provider = f->provider->name, .url = url, .has_zone = true, .zone = f->zone, .retention = true};
    struct buf problem = BUF_INIT(1024);
    enum err e = endpoint_new(&c, &p->v[p->n], &problem);
    buf_done(&problem);
    if (e == ERR_OK)
        p->v[p->n++]->found_by = FOUND_BY_PORT;
    return e;
}

static bool listens_on(const struct config *c, uint16_t port) {
    for (size_t i = 0; i < c->n_listen; i++) {
        const char *colon = strrchr(c->listen[i], ':');
        uint64_t own;
        if (colon && slice_u64(slice_str(colon + 1), &own) && own == port)
            return true;
    }
    return false;
}

static bool config_has_port(const struct config *c, uint16_t port) {
    for (size_t i = 0; i < c->n_endpoints; i++)
        if (endpoint_config_on_port(&c->endpoints[i], port))
            return true;
    return false;
}

static void port_add(const struct config *c, const struct provider *p, uint64_t port, struct scan_port *v, size_t *n) {
    if (!p || port == 0 || port > 65535 || *n == LIMIT_SCAN_PORTS)
        return;
    for (size_t i = 0; i < *n; i++)
        if (v[i].port == port)
            return;
    if (!listens_on(c, (uint16_t)port) && !config_has_port(c, (uint16_t)port))
        v[(*n)++] = (struct scan_port){p, (uint16_t)port};
}

size_t places_ports(const struct config *c, struct scan_port ret[LIMIT_SCAN_PORTS]) {
    size_t n = 0;
    if (!c->discovery)
        return 0;
    for (size_t i = 0; !c->discovery_ports && i < n_providers; i++)
        port_add(c, &providers[i], providers[i].port, ret, &n);
    for (size_t i = 0; c->discovery_ports && i < c->n_discovery_ports; i++) {
        struct slice rest = slice_str(c->discovery_ports[i]), name = slice_split(&rest, ':');
        uint64_t port;
        if (slice_u64(rest, &port))
            port_add(c, provider_by_name(name), port, ret, &n);
    }
    return n;
}

// ---- keys

// "OPENAI_API_KEY" → what OPENAI_BASE_URL, else OPENAI_API_BASE says; NULL: neither is set.
static const char *base_beside(const char *key_env) {
    static const char *const ends[] = {"_BASE_URL", "_API_BASE"};
    size_t stem = slice_search(slice_str(key_env), SLICE("_API_KEY"));
    char name[64];
    for (size_t i = 0; stem != SIZE_MAX && i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(name, sizeof name, "%.*s%s", (int)stem, key_env, ends[i]);
        const char *v = getenv(name);
        if (v && v[0])
            return v;
    }
    return NULL;
}

static bool key_is_usable(const struct provider *p) {
    const char *key = p->key_env && p->default_url && !p->second ? getenv(p->key_env) : NULL;
    if (!key || !key[0])
        return false;
    const char *base = base_beside(p->key_env);
    if (!base || endpoint_url_is_default(p, base))
        return true;
    LOG(LOG_INFO, "key_left_alone", LOG_S("provider", p->name), LOG_S("why", "it belongs to another base URL"));
    return false;
}

static bool provider_used(const struct places *p, const struct provider *row) {
    for (size_t i = 0; i < p->n; i++) {
        const struct provider *other = p->v[i]->provider;
        bool same_place = other->default_url && row->default_url && strcmp(other->default_url, row->default_url) == 0;
        if (other == row || same_place)
            return true;
    }
    return false;
}

static enum err keys_add(struct places *p) {
    for (size_t i = 0; i < n_providers; i++) {
        const struct provider *row = &providers[i];
        if (provider_used(p, row) || name_taken(p, row->name) || !key_is_usable(row))
            continue;
        struct config_endpoint c = {.name = row->name, .provider = row->name, .retention = true};
        struct buf problem = BUF_INIT(1024);
        enum err e = endpoint_new(&c, &p->v[p->n], &problem);
        buf_done(&problem);
        if (e != ERR_OK)
            return e;
        p->v[p->n++]->found_by = FOUND_BY_KEY;
    }
    return ERR_OK;
}

enum err places_make(const struct config *c, const struct scan_find *finds, size_t n_finds, struct places *ret,
                     struct buf *problem) {
    struct places p = {.v = mem_zalloc((c->n_endpoints + n_finds + n_providers) * sizeof(struct endpoint *))};
    enum err e = p.v ? config_add(c, &p, problem) : ERR_NO_MEMORY;
    for (size_t i = 0; i < n_finds && e == ERR_OK; i++)
        e = find_add(&finds[i], &p);
    if (e == ERR_OK && c->discovery && c->discovery_keys)
        e = keys_add(&p);
    if (e == ERR_OK)
        *ret = p;
    else
        places_done(&p);
    return e;
}
