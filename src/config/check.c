// SPDX-License-Identifier: Apache-2.0
// What one field can't tell: names that stand twice or point nowhere, addresses, URLs, keys that two clients share. Reads
// the filled config beside the document, since problems need line and column; changes nothing but endpoints' lines.
// A config with problems in its fields comes here as well, so any pointer may still be NULL.
#include <arpa/inet.h>
#include <sys/un.h>
#include "base/limits.h"
#include "base/tz.h"
#include "config/parse.h"

#define WORD_LEAST_BYTES 3 // shorter ones stand everywhere
#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static const char *(*provider_name)(size_t i);

void config_know_providers(const char *(*name)(size_t i)) {
    provider_name = name;
}

// The node of root.section[i].key, or the nearest around it that exists.
static const yaml_node_t *place(struct parse *p, const yaml_node_t *root, const char *section, size_t i,
                                const char *key) {
    const yaml_node_t *list = node_member(p, root, section), *item = node_item(p, list, i);
    const yaml_node_t *value = key ? node_member(p, item, key) : NULL;
    return value ? value : item ? item : list ? list : root;
}

// "; did you mean 'x'?" or nothing, for what is nearest among what `take` was given.
struct nearest {
    struct slice wanted;
    const char *name;
    unsigned distance;
};

static void nearest_take(struct nearest *n, const char *name) {
    unsigned d = name ? slice_distance(n->wanted, slice_str(name)) : UINT32_MAX;
    if (d < n->distance && d * 2 <= n->wanted.n)
        n->distance = d, n->name = name;
}

static const char *nearest_text(const struct nearest *n, char text[128]) {
    text[0] = 0;
    if (n->name)
        (void)snprintf(text, 128, "; did you mean '%.64s'?", n->name);
    return text;
}

// ---- addresses

static bool listen_ok(const char *address) {
    char host[64];
    uint64_t port;
    unsigned char in[16];
    const char *colon = strrchr(address, ':');
    if (strncmp(address, "unix:", 5) == 0)
        return address[5] && strlen(address + 5) < sizeof((struct sockaddr_un *)0)->sun_path;
    if (!colon || !slice_u64(slice_str(colon + 1), &port) || port > 65535)
        return false;
    struct slice name = slice_of(address, (size_t)(colon - address));
    bool v6 = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
    if (v6)
        name = slice_of(name.p + 1, name.n - 2);
    if (name.n == 0 || name.n >= sizeof host)
        return false;
    memcpy(host, name.p, name.n);
    host[name.n] = 0;
    return inet_pton(v6 ? AF_INET6 : AF_INET, host, in) == 1;
}

static void listen_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *list = node_member(p, root, "listen");
    for (size_t i = 0; list && i < p->c->n_listen; i++) {
        const yaml_node_t *item = node_item(p, list, i);
        if (!listen_ok(p->c->listen[i]))
            problem_at(p, item ? item : list,
                       "listen: found '%.100s'; expected an address and port like 127.0.0.1:11411 or [::1]:11411, or "
                       "unix:/path",
                       p->c->listen[i]);
    }
}

static void cors_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *list = node_member(p, root, "cors");
    for (size_t i = 0; list && i < p->c->n_cors; i++) {
        const char *origin = p->c->cors[i], *host = strstr(origin, "://");
        const yaml_node_t *item = node_item(p, list, i);
        if (strcmp(origin, "*") != 0 && (!host || !host[3] || strchr(host + 3, '/')))
            problem_at(p, item ? item : list, "cors: found '%.100s'; expected an origin like https://app.example",
                       origin);
    }
}

static bool url_ok(const char *url, const char *scheme) {
    size_t n = strlen(scheme);
    if (strncmp(url, scheme, n) != 0 || !url[n] || url[n] == '/' || url[n] == ':')
        return false;
    for (const char *c = url; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f)
            return false;
    return true;
}

static void url_check(struct parse *p, const yaml_node_t *n, const char *url) {
    if (!url_ok(url, "http://") && !url_ok(url, "https://"))
        return problem_at(p, n, "url: found '%.100s'; expected http://HOST… or https://HOST…", url);
    const char *host = strstr(url, "://") + 3;
    if (memchr(host, '@', strcspn(host, "/?#")))
        problem_at(p, n, "url: holds a user name; give the credential as key or key_file");
    if (strpbrk(url, "?#"))
        problem_at(p, n, "url: holds '?' or '#'; a base URL is extended by paths");
}

// ---- endpoints

static void provider_check(struct parse *p, const yaml_node_t *n, const char *provider) {
    char text[128];
    struct nearest near = {slice_str(provider), NULL, 4};
    for (size_t i = 0; provider_name && provider_name(i); i++)
        nearest_take(&near, provider_name(i));
    if (provider_name && !(near.name && near.distance == 0))
        problem_at(p, n, "provider: there is none named '%.64s'%s", provider, nearest_text(&near, text));
}

static void models_check(struct parse *p, const yaml_node_t *list, const struct config_endpoint *e) {
    for (size_t i = 1; i < e->n_models; i++)
        for (size_t j = 0; j < i && e->models[i].name; j++)
            if (e->models[j].name && strcmp(e->models[j].name, e->models[i].name) == 0) {
                problem_at(p, node_item(p, list, i), "models: '%.64s' is there twice", e->models[i].name);
                break;
            }
}

static void endpoint_check(struct parse *p, const yaml_node_t *root, size_t i) {
    const struct config_endpoint *e = &p->c->endpoints[i];
    const yaml_node_t *n = place(p, root, "endpoints", i, "name");
    if (e->name && strspn(e->name, NAME_CHARS) != strlen(e->name))
        problem_at(p, n, "endpoint name '%.64s': only letters, digits, . _ -", e->name);
    if (e->name && strcmp(e->name, "local") == 0)
        problem_at(p, n, "'local' is the engine's own name; choose another");
    for (size_t j = 0; e->name && j < i; j++)
        if (p->c->endpoints[j].name && strcmp(p->c->endpoints[j].name, e->name) == 0)
            problem_at(p, n, "a second endpoint named '%.64s'; the first is in line %u", e->name,
                       p->c->endpoints[j].line);
    if (e->provider)
        provider_check(p, place(p, root, "endpoints", i, "provider"), e->provider);
    if (e->url)
        url_check(p, place(p, root, "endpoints", i, "url"), e->url);
    if (e->proxy && !url_ok(e->proxy, "http://") && !url_ok(e->proxy, "https://") && !url_ok(e->proxy, "socks5h://"))
        problem_at(p, place(p, root, "endpoints", i, "proxy"),
                   "proxy: found '%.100s'; expected http://HOST:PORT, https://… or socks5h://…", e->proxy);
    if (e->api_version && strspn(e->api_version, NAME_CHARS) != strlen(e->api_version))
        problem_at(p, place(p, root, "endpoints", i, "api_version"),
                   "api_version: found '%.64s'; expected a date like 2024-10-21", e->api_version);
    models_check(p, place(p, root, "endpoints", i, "models"), e);
}

static void endpoints_check(struct parse *p, const yaml_node_t *root) {
    for (size_t i = 0; i < p->c->n_endpoints; i++)
        p->c->endpoints[i].line = (unsigned)place(p, root, "endpoints", i, NULL)->start_mark.line + 1;
    for (size_t i = 0; i < p->c->n_endpoints; i++)
        endpoint_check(p, root, i);
}

// PROVIDER:PORT
static void ports_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *list = node_member(p, node_member(p, root, "discovery"), "ports");
    for (size_t i = 0; list && i < p->c->n_discovery_ports; i++) {
        struct slice rest = slice_str(p->c->discovery_ports[i]), name = slice_split(&rest, ':');
        const yaml_node_t *item = node_item(p, list, i);
        char provider[128];
        uint64_t port;
        (void)snprintf(provider, sizeof provider, "%.*s", SLICE_FMT(slice_first(name, sizeof provider - 1)));
        if (!slice_u64(rest, &port) || port == 0 || port > 65535)
            problem_at(p, item ? item : list, "ports: found '%.64s'; expected PROVIDER:PORT, like vllm:8001",
                       p->c->discovery_ports[i]);
        else
            provider_check(p, item ? item : list, provider);
    }
}

// ---- routes

// The first part of endpoint/model: configured, the engine, or one that may be found under its provider's name.
static bool endpoint_exists(const struct config *c, struct nearest *near) {
    nearest_take(near, "local");
    for (size_t i = 0; i < c->n_endpoints; i++)
        nearest_take(near, c->endpoints[i].name);
    if (near->name && near->distance == 0)
        return true;
    for (size_t i = 0; provider_name && provider_name(i); i++)
        if (slice_is(near->wanted, provider_name(i)))
            return true;
    return false;
}

static void target_check(struct parse *p, const yaml_node_t *n, const char *target) {
    char text[128];
    struct slice name = slice_str(target);
    size_t slash = slice_find(name, '/');
    struct nearest near = {slice_first(name, slash), NULL, 4};
    if (slash == SIZE_MAX)
        return; // a bare model's name, found where it is
    if (slash == 0 || slash + 1 == name.n)
        problem_at(p, n, "target '%.100s': expected endpoint/model", target);
    else if (!endpoint_exists(p->c, &near))
        problem_at(p, n, "target '%.100s': no endpoint is named '%.*s'%s", target, SLICE_FMT(shown(near.wanted)),
                   nearest_text(&near, text));
}

static void route_check(struct parse *p, const yaml_node_t *root, size_t i) {
    const struct config_route *r = &p->c->routes[i];
    const yaml_node_t *map = node_member(p, root, "routes"), *n = place(p, root, "routes", i, "targets");
    const yaml_node_t *key = yaml_document_get_node(p->doc, map->data.mapping.pairs.start[i].key);
    if (r->name && strchr(r->name, '/'))
        problem_at(p, key, "route '%.64s': a name with '/' would be an endpoint's model", r->name);
    for (size_t j = 0; r->name && j < i; j++)
        if (p->c->routes[j].name && strcmp(p->c->routes[j].name, r->name) == 0)
            problem_at(p, key, "a second route named '%.64s'", r->name);
    for (size_t j = 0; j < r->n_targets; j++) {
        const yaml_node_t *item = n->type == YAML_SEQUENCE_NODE ? node_item(p, n, j) : NULL;
        target_check(p, item ? item : n, r->targets[j]);
    }
}

// ---- prices, the engine's models, keys

static void prices_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *catalogue = node_member(p, root, "catalogue");
    const struct config_price *v = p->c->prices;
    for (size_t i = 0; i < p->c->n_prices; i++) {
        const yaml_node_t *n = place(p, catalogue, "models", i, "name");
        if (v[i].name && !strchr(v[i].name, '/'))
            problem_at(p, n, "name: found '%.64s'; expected endpoint/model", v[i].name);
        for (size_t j = 0; v[i].name && j < i; j++)
            if (v[j].name && strcmp(v[j].name, v[i].name) == 0)
                problem_at(p, n, "a second price of '%.64s'", v[i].name);
    }
}

static bool gpu_layers_ok(const char *text) {
    uint64_t n;
    return strcmp(text, "auto") == 0 || strcmp(text, "all") == 0 || (slice_u64(slice_str(text), &n) && n < 65536);
}

static void gpu_layers_check(struct parse *p, const yaml_node_t *at, const char *text) {
    if (text && !gpu_layers_ok(text))
        problem_at(p, at, "gpu_layers: found '%.64s'; expected a number, auto or all", text);
}

static void engine_model_check(struct parse *p, const yaml_node_t *engine, size_t i) {
    const struct config_engine_model *m = &p->c->engine.models[i];
    gpu_layers_check(p, place(p, engine, "models", i, "gpu_layers"), m->gpu_layers);
    if (m->context > 0 && m->context < 128)
        problem_at(p, place(p, engine, "models", i, "context"), "context: found %lld; expected 128 or more, or 0",
                   (long long)m->context);
}

static void engine_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *engine = node_member(p, root, "engine");
    const struct config_engine_model *v = p->c->engine.models;
    const yaml_node_t *layers = engine ? node_member(p, engine, "gpu_layers") : NULL;
    gpu_layers_check(p, layers ? layers : root, p->c->engine.gpu_layers);
    for (size_t i = 0; i < p->c->engine.n_models; i++)
        engine_model_check(p, engine, i);
    for (size_t i = 1; i < p->c->engine.n_models; i++)
        for (size_t j = 0; v[i].name && j < i; j++)
            if (v[j].name && strcmp(v[j].name, v[i].name) == 0)
                problem_at(p, place(p, engine, "models", i, "name"), "a second engine model named '%.64s'", v[i].name);
}

// ---- budgets

static void zone_check(struct parse *p, const yaml_node_t *n, const char *name) {
    struct tz *tz = NULL;
    enum err e = tz_load(slice_str(name), &tz);
    if (e == ERR_NO_MEMORY)
        p->no_memory = true;
    else if (e)
        problem_at(p, n, "time_zone: there is none named '%.64s'; expected one like Europe/Berlin or UTC%s", name,
                   e == ERR_NOT_FOUND ? " (from the system's zone files, package tzdata)" : "");
    tz_free(tz);
}

static const char *zone_of(const struct parse *p, const struct config_budget *b) {
    return b->time_zone ? b->time_zone : p->c->budget_zone;
}

static bool same_period(const struct parse *p, const struct config_budget *a, const struct config_budget *b) {
    if (a->window != b->window)
        return false;
    return a->window == WINDOW_TOTAL || strcmp(zone_of(p, a), zone_of(p, b)) == 0;
}

static void budgets_check(struct parse *p, const yaml_node_t *list, const struct config_budget *v, size_t count) {
    if (count > LIMIT_BUDGETS)
        problem_at(p, list, "has %zu budgets; at most %u are kept", count, LIMIT_BUDGETS);
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *item = node_item(p, list, i);
        const yaml_node_t *zone = item ? node_member(p, item, "time_zone") : NULL;
        if (v[i].time_zone && zone)
            zone_check(p, zone, v[i].time_zone);
        for (size_t j = 0; j < i; j++)
            if (item && same_period(p, &v[i], &v[j]))
                problem_at(p, item, "a second budget for the same time; keep the smaller one");
    }
}

static void whole_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *section = node_member(p, root, "budgets");
    const yaml_node_t *zone = node_member(p, section, "time_zone"), *whole = node_member(p, section, "whole");
    if (zone && p->c->budget_zone)
        zone_check(p, zone, p->c->budget_zone);
    if (whole)
        budgets_check(p, whole, p->c->budgets, p->c->n_budgets);
}

static void key_check(struct parse *p, const yaml_node_t *root, size_t i) {
    const struct config_key *k = &p->c->keys[i];
    const yaml_node_t *n = place(p, root, "keys", i, "name"), *item = place(p, root, "keys", i, NULL);
    const char *name = k->name ? k->name : "";
    if (!node_member(p, item, "secret") && !node_member(p, item, "secret_file"))
        problem_at(p, item, "key '%.64s': needs secret or secret_file", name);
    else if (secret_is_empty(&k->secret) && p->n_problems == 0)
        problem_at(p, item, "key '%.64s': has no secret", name);
    if (k->name && strlen(k->name) > LIMIT_KEY_NAME_BYTES)
        problem_at(p, n, "key '%.64s…': its name is longer than %u bytes", name, LIMIT_KEY_NAME_BYTES);
    if (k->n_budgets > 0)
        budgets_check(p, place(p, root, "keys", i, "budgets"), k->budgets, k->n_budgets);
    for (size_t j = 0; j < i; j++) {
        const struct config_key *other = &p->c->keys[j];
        if (k->name && other->name && strcmp(other->name, k->name) == 0)
            problem_at(p, n, "a second key named '%.64s'", name);
        if (secret_equals(&k->secret, secret_reveal(&other->secret)))
            problem_at(p, n, "key '%.64s': has the same secret as '%.64s'", name, other->name ? other->name : "");
    }
}

static void words_check(struct parse *p, const yaml_node_t *root) {
    const yaml_node_t *list = node_member(p, node_member(p, root, "privacy"), "words");
    for (size_t i = 0; i < p->c->n_words; i++) {
        const yaml_node_t *item = node_item(p, list, i);
        if (strlen(p->c->words[i]) < WORD_LEAST_BYTES)
            problem_at(p, item ? item : list, "words: found '%.64s'; a word needs at least %d characters",
                       p->c->words[i], WORD_LEAST_BYTES);
    }
}

void config_check(struct parse *p, const yaml_node_t *root) {
    if (root->type != YAML_MAPPING_NODE || p->no_memory)
        return;
    listen_check(p, root);
    cors_check(p, root);
    endpoints_check(p, root);
    ports_check(p, root);
    for (size_t i = 0; i < p->c->n_routes; i++)
        route_check(p, root, i);
    prices_check(p, root);
    engine_check(p, root);
    whole_check(p, root);
    words_check(p, root);
    for (size_t i = 0; i < p->c->n_keys; i++)
        key_check(p, root, i);
}
