// SPDX-License-Identifier: Apache-2.0
// Snapshots: the immutable table of what there is, which loops read without a lock. The main thread makes a new one when
// config or a discovery changes something; it goes when the last exchange that looked at it has ended. What changes
// (struct target_live) is not in it but in a registry that all snapshots share, so that counters and the engine's state
// survive a reload. Targets of open endpoints are made in the exchange's arena; they share one live row per endpoint, so
// that a client's invented model names can't make us grow.
#include "grid/snapshot.h"
#include "base/mem.h"
#include "grid/catalogue.h"
#include "grid/endpoint.h"
#include "grid/energy.h"

#define SNAPSHOT_ARENA_BYTES (64u << 20) // a gateway's list has some hundred models of about 200 bytes

struct live_entry {
    struct live_entry *next;
    char *name;
    struct target_live live;
};

struct endpoint_entry {
    struct endpoint_entry *next;
    char *name;
    struct endpoint_live live;
};

#define LIVES_BUCKETS 4096 // some clouds list hundreds of models each

struct lives {
    _Atomic unsigned refs;
    struct live_entry *targets[LIVES_BUCKETS]; // by their names' hash
    struct endpoint_entry *endpoints;
    _Atomic int64_t card_budget;
};

struct endpoint_face {
    bool open;
    struct target_live *any; // of an open endpoint: for whatever model
    struct endpoint_live *live;
};

struct snapshot_box {
    struct snapshot pub; // first: the public face is the box
    struct arena arena;
    struct lives *lives;
    struct endpoint_face *faces; // as pub.endpoints
    size_t max_targets, max_endpoints;
};

// ---- what lives on

struct lives *lives_new(void) {
    struct lives *l = mem_zalloc(sizeof *l);
    if (l)
        atomic_init(&l->refs, 1);
    return l;
}

_Atomic int64_t *lives_card_budget(struct lives *l) {
    return &l->card_budget;
}

struct lives *lives_ref(struct lives *l) {
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void lives_unref(struct lives *l) {
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < LIVES_BUCKETS; i++) {
        while (l->targets[i]) {
            struct live_entry *e = l->targets[i];
            l->targets[i] = e->next;
            mem_free(e->name);
            mem_free(e);
        }
    }
    while (l->endpoints) {
        struct endpoint_entry *e = l->endpoints;
        l->endpoints = e->next;
        mem_free(e->name);
        mem_free(e);
    }
    mem_free(l);
}

static struct live_entry **bucket_of(struct lives *l, const char *name) {
    return &l->targets[slice_hash(slice_str(name), 0) % LIVES_BUCKETS];
}

struct target_live *lives_target(struct lives *l, const char *name) {
    struct live_entry **bucket = bucket_of(l, name);
    for (struct live_entry *e = *bucket; e; e = e->next)
        if (strcmp(e->name, name) == 0)
            return &e->live;
    struct live_entry *e = mem_zalloc(sizeof *e);
    if (!e)
        return NULL;
    e->name = mem_strdup(name);
    if (!e->name) {
        mem_free(e);
        return NULL;
    }
    atomic_init(&e->live.engine_keep_ms, KEEP_UNSET);
    e->next = *bucket;
    *bucket = e;
    return &e->live;
}

struct endpoint_live *lives_endpoint(struct lives *l, const char *name) {
    for (struct endpoint_entry *e = l->endpoints; e; e = e->next)
        if (strcmp(e->name, name) == 0)
            return &e->live;
    struct endpoint_entry *e = mem_zalloc(sizeof *e);
    if (!e)
        return NULL;
    e->name = mem_strdup(name);
    if (!e->name) {
        mem_free(e);
        return NULL;
    }
    e->next = l->endpoints;
    l->endpoints = e;
    return &e->live;
}

// ---- making

enum err snapshot_new(struct config *c, struct lives *l, struct catalogue *catalogue, uint64_t id, size_t max_targets,
                      size_t max_endpoints, struct snapshot **ret) {
    struct snapshot_box *box = mem_zalloc(sizeof *box);
    if (!box)
        return ERR_NO_MEMORY;
    arena_init(&box->arena, SNAPSHOT_ARENA_BYTES, 4096);
    atomic_init(&box->pub.refs, 1);
    box->pub.id = id;
    box->pub.config = config_ref(c);
    box->pub.catalogue = catalogue_ref(catalogue);
    box->lives = lives_ref(l);
    box->max_targets = max_targets;
    box->max_endpoints = max_endpoints;
    box->pub.targets = arena_array(&box->arena, max_targets + 1, sizeof *box->pub.targets);
    box->pub.endpoints = arena_array(&box->arena, max_endpoints + 1, sizeof(struct endpoint *));
    box->faces = arena_array(&box->arena, max_endpoints + 1, sizeof *box->faces);
    *ret = &box->pub;
    if (box->pub.targets && box->pub.endpoints && box->faces)
        return ERR_OK;
    snapshot_unref(&box->pub);
    *ret = NULL;
    return ERR_NO_MEMORY;
}

enum err snapshot_add_endpoint(struct snapshot *s, struct endpoint *e, bool open) {
    struct snapshot_box *box = (struct snapshot_box *)s;
    if (s->n_endpoints >= box->max_endpoints)
        return ERR_LIMIT;
    struct endpoint_face *face = &box->faces[s->n_endpoints];
    char *any = arena_printf(&box->arena, "%s/*", e->name);
    face->open = open;
    face->live = lives_endpoint(box->lives, e->name);
    face->any = any ? lives_target(box->lives, any) : NULL;
    if (!face->live || !face->any)
        return ERR_NO_MEMORY;
    s->endpoints[s->n_endpoints++] = endpoint_ref(e);
    return ERR_OK;
}

// ---- what a model costs and can: config's word, then one's own machine, then its provider's list, then the catalogue

const char *price_from_name(enum price_from f) {
    static const char *const names[] = {NULL, "config", "catalogue", "own", "energy", "list"};
    return names[f];
}

static void config_apply(const struct config *c, struct target *t) {
    for (size_t i = 0; i < c->n_prices; i++) {
        const struct config_price *p = &c->prices[i];
        if (strcmp(p->name, t->name) != 0)
            continue;
        if (p->input >= 0 || p->output >= 0) { // half a price is none, but it is config's word
            t->price = (struct price){
                .input = p->input, .output = p->output, .cache_read = p->cache_read, .cache_write = p->cache_write};
            t->price_from = PRICE_FROM_CONFIG;
        }
        if (p->context > 0)
            t->context = p->context;
    }
}

static bool energy_of(const struct config *c, const struct target *t, struct price *ret) {
    int64_t watts = t->endpoint->engine ? c->engine.watts : t->endpoint->watts;
    return energy_price(watts, c->kwh_picousd, &t->live->stats, ret);
}

// A machine of one's own costs its energy, and nothing per token where that is not known.
static void own_apply(const struct config *c, struct target *t) {
    if (t->price_from != PRICE_FROM_NOBODY || t->zone > ZONE_EDGE)
        return;
    t->price_from = energy_of(c, t, &t->price) ? PRICE_FROM_ENERGY : PRICE_FROM_OWN;
    if (t->price_from == PRICE_FROM_OWN)
        t->price = PRICE_FREE;
}

void snapshot_complete(const struct snapshot *s, struct target *t) {
    struct model_facts f;
    if (!catalogue_find(s->catalogue, t->endpoint->provider, t->model, &f))
        return;
    if (t->price_from == PRICE_FROM_NOBODY && f.source) {
        t->price = f.price;
        t->price_from = PRICE_FROM_CATALOGUE;
    }
    if (t->context == 0)
        t->context = f.context;
    t->max_output = f.max_output;
    t->can = f.can;
    // What it says is there is believed; what it does not say may only be missing.
    if (!t->caps_known) {
        t->vision |= (f.can & CAN_SEE) != 0;
        t->tools |= (f.can & CAN_TOOLS) != 0;
        t->thinking |= (f.can & CAN_THINK) != 0;
    }
}

static void facts_apply(const struct snapshot *s, struct target *t) {
    t->price = PRICE_UNKNOWN;
    config_apply(s->config, t);
    own_apply(s->config, t);
}

bool snapshot_energy_moved(const struct snapshot *s) {
    for (size_t i = 0; i < s->n_targets && s->config->kwh_picousd > 0; i++) {
        const struct target *t = &s->targets[i];
        struct price now;
        bool own = t->price_from == PRICE_FROM_OWN || t->price_from == PRICE_FROM_ENERGY;
        if (own && energy_of(s->config, t, &now) && energy_moved(&t->price, &now))
            return true;
    }
    return false;
}

struct target *snapshot_add_target(struct snapshot *s, struct endpoint *e, enum zone zone, struct slice model) {
    struct snapshot_box *box = (struct snapshot_box *)s;
    if (s->n_targets >= box->max_targets)
        return NULL;
    struct target *t = &s->targets[s->n_targets];
    *t = (struct target){.endpoint = e, .zone = zone};
    t->name = arena_printf(&box->arena, "%s/%.*s", e->name, SLICE_FMT(model));
    t->model = arena_copy(&box->arena, model);
    t->live = t->name ? lives_target(box->lives, t->name) : NULL;
    t->place = lives_endpoint(box->lives, e->name);
    if (!t->live || !t->place || !t->model.p)
        return NULL;
    facts_apply(s, t);
    s->n_targets++;
    return t;
}

struct arena *snapshot_arena(struct snapshot *s) {
    return &((struct snapshot_box *)s)->arena;
}

const struct endpoint_live *snapshot_endpoint_live(const struct snapshot *s, size_t endpoint) {
    return ((const struct snapshot_box *)s)->faces[endpoint].live;
}

bool snapshot_endpoint_open(const struct snapshot *s, size_t endpoint) {
    return ((const struct snapshot_box *)s)->faces[endpoint].open;
}

// ---- reading

struct snapshot *snapshot_ref(struct snapshot *s) {
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot *s) {
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct snapshot_box *box = (struct snapshot_box *)s;
    for (size_t i = 0; i < s->n_endpoints; i++)
        endpoint_unref(s->endpoints[i]);
    config_unref(s->config);
    catalogue_unref(s->catalogue);
    lives_unref(box->lives);
    arena_done(&box->arena);
    mem_free(box);
}

bool target_emulates_tools(const struct target *t) {
    bool binds = t->endpoint->engine || (t->endpoint->provider->quirks & QUIRK_LLAMA_STATUS);
    return t->caps_known && !t->tools && binds;
}

const struct target *snapshot_target(const struct snapshot *s, struct slice full_name) {
    for (size_t i = 0; i < s->n_targets; i++)
        if (slice_is(full_name, s->targets[i].name))
            return &s->targets[i];
    return NULL;
}

static bool model_is_cloud(const struct endpoint *e, struct slice model) {
    return e->provider->dialect == DIALECT_OLLAMA && (slice_ends(model, ":cloud") || slice_ends(model, "-cloud"));
}

static const struct target *open_target(const struct snapshot *s, size_t at, struct slice full_name, struct arena *a) {
    const struct snapshot_box *box = (const struct snapshot_box *)s;
    struct endpoint *e = s->endpoints[at];
    struct target *t = ARENA_NEW(a, struct target);
    char *name = arena_cstr(a, full_name);
    if (!t || !name)
        return NULL;
    size_t cut = strlen(e->name) + 1;
    *t =
        (struct target){.name = name, .model = slice_of(name + cut, full_name.n - cut), .endpoint = e, .zone = e->zone};
    if (model_is_cloud(e, t->model))
        t->zone = ZONE_CLOUD;
    t->live = box->faces[at].any;
    t->place = box->faces[at].live;
    facts_apply(s, t);
    snapshot_complete(s, t);
    return t;
}

const struct target *snapshot_open_target(const struct snapshot *s, struct slice full_name, struct arena *a) {
    const struct snapshot_box *box = (const struct snapshot_box *)s;
    for (size_t i = 0; i < s->n_endpoints; i++) {
        struct slice name = slice_str(s->endpoints[i]->name);
        bool here =
            full_name.n > name.n + 1 && full_name.p[name.n] == '/' && slice_eq(slice_first(full_name, name.n), name);
        if (here)
            return box->faces[i].open ? open_target(s, i, full_name, a) : NULL;
    }
    return NULL;
}

void snapshot_ask_again(const struct snapshot *s) {
    const struct snapshot_box *box = (const struct snapshot_box *)s;
    for (size_t i = 0; i < s->n_endpoints; i++)
        if (s->endpoints[i]->near)
            atomic_store_explicit(&box->faces[i].live->ask_again, 1, memory_order_relaxed);
}
