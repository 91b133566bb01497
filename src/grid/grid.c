// SPDX-License-Identifier: Apache-2.0
// The grid as a whole: brings config, the engine's store and what discovery found together into snapshots, and hands each
// new one to the loops. Lives on the main thread and owns endpoints, probes, the engine and its own HTTP client; other
// threads reach it through snapshots (grid_snapshot takes the one lock, for a pointer) and letters (ask.c). A reload
// replaces everything or nothing: what can be refused is refused before the first change.
#include "grid/grid.h"
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/catalogue.h"
#include "grid/endpoint.h"
#include "grid/inner.h"
#include "grid/options.h"

#define AGAIN_MS 200

// ---- snapshots

struct snapshot *grid_snapshot(struct grid *g) {
    pthread_mutex_lock(&g->lock);
    struct snapshot *s = snapshot_ref(g->current);
    pthread_mutex_unlock(&g->lock);
    return s;
}

static void grid_publish(struct grid *g, struct snapshot *s) {
    pthread_mutex_lock(&g->lock);
    struct snapshot *old = g->current;
    g->current = s;
    pthread_mutex_unlock(&g->lock);
    snapshot_unref(old);
    g->changed(g->ctx, snapshot_ref(s));
}

static void header_show(struct target *t, const struct model *m, struct arena *a) {
    const struct gguf *h = &m->header;
    t->size_bytes = m->size_bytes;
    t->modified_s = m->modified_s;
    t->digest = arena_copy(a, slice_str(m->sha256));
    t->source = model_from_name(m->from);
    t->system = arena_copy(a, slice_str(m->system));
    t->parameters = arena_copy(a, m->parameters);
    t->messages = arena_copy(a, m->messages);
    if (!m->header_known)
        return;
    t->caps_known = true;
    t->tools = h->template_tools;
    t->thinking = h->template_thinking;
    t->family = arena_copy(a, slice_str(h->architecture));
    t->quantization = slice_str(gguf_quantization(h->file_type));
    if (h->size_label[0])
        t->parameter_size = arena_copy(a, slice_str(h->size_label));
    else if (h->parameters > 0)
        t->parameter_size =
            slice_str(h->parameters < 1000000000 ? arena_printf(a, "%.1fM", (double)h->parameters / 1e6)
                                                 : arena_printf(a, "%.1fB", (double)h->parameters / 1e9));
}

static void options_show(struct target *t, const struct config *c, const struct model *m) {
    static const unsigned can[] = {[TASK_CHAT] = CAN_CHAT, [TASK_EMBED] = CAN_EMBED, [TASK_RERANK] = CAN_RERANK};
    const struct options o = options_of(&c->engine, m);
    if (t->context == 0)
        t->context = o.context;
    t->can = can[o.task];
    t->vision |= o.projector != NULL;
}

static enum err engine_row(struct grid *g, struct snapshot *s, const struct model *m, const char *alias) {
    struct arena *a = snapshot_arena(s);
    struct target *t = snapshot_add_target(s, g->local, ZONE_DEVICE, slice_str(alias ? alias : m->name));
    if (!t)
        return ERR_NO_MEMORY;
    header_show(t, m, a);
    options_show(t, s->config, m);
    t->unix_path = arena_copy(a, slice_str(engine_socket(g->engine, m->name)));
    if (!alias)
        return t->unix_path.p ? ERR_OK : ERR_NO_MEMORY;
    const struct target *own = snapshot_target(s, slice_str(arena_printf(a, "%s/%s", ENDPOINT_ENGINE, m->name)));
    if (!own)
        return ERR_NO_MEMORY;
    t->alias_of = own->name;
    t->live = own->live;
    return ERR_OK;
}

static enum err engine_rows(struct grid *g, struct snapshot *s) {
    const struct models *m = engine_models(g->engine);
    for (size_t i = 0; i < m->n; i++) {
        enum err e = engine_row(g, s, &m->v[i], NULL);
        if (e == ERR_OK && m->v[i].alias && !model_named(m, m->v[i].alias))
            e = engine_row(g, s, &m->v[i], m->v[i].alias);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static const struct config_endpoint *config_of(const struct config *c, const struct endpoint *e) {
    for (size_t i = 0; i < c->n_endpoints; i++)
        if (strcmp(c->endpoints[i].name, e->name) == 0)
            return &c->endpoints[i];
    return NULL;
}

static enum err listed_rows(struct snapshot *s, struct endpoint *e, const struct config_endpoint *c) {
    for (size_t i = 0; i < c->n_models; i++) {
        const struct config_model *m = &c->models[i];
        struct target *t = snapshot_add_target(s, e, e->zone, slice_str(m->name));
        if (!t)
            return ERR_NO_MEMORY;
        if (m->context > 0)
            t->context = m->context;
        t->caps_known = m->vision >= 0 && m->tools >= 0;
        t->vision = m->vision > 0;
        t->tools = m->tools > 0;
        t->thinking = m->thinking > 0;
        snapshot_complete(s, t);
    }
    return ERR_OK;
}

// Never nearer than its endpoint, whatever a list says.
static enum zone found_zone(const struct endpoint *e, const struct found_model *m) {
    bool farther = m->has_zone && strcmp(e->provider->name, "gridtie") == 0 && m->zone > e->zone;
    return m->cloud ? ZONE_CLOUD : farther ? m->zone : e->zone;
}

static enum err found_row(struct snapshot *s, struct endpoint *e, const struct found_model *m) {
    struct arena *a = snapshot_arena(s);
    struct target *t = snapshot_add_target(s, e, found_zone(e, m), m->name);
    if (!t)
        return ERR_NO_MEMORY;
    if (t->context == 0)
        t->context = m->context;
    t->caps_known = m->vision >= 0 && m->tools >= 0;
    t->vision = m->vision > 0;
    t->tools = m->tools > 0;
    t->thinking = m->thinking > 0;
    if (t->price_from == PRICE_FROM_NOBODY && price_known(&m->price) &&
        e->provider->quirks & QUIRK_PREFERENCES) { // the word of whom it is paid to
        t->price = m->price;
        t->price_from = PRICE_FROM_LIST;
    }
    snapshot_complete(s, t);
    t->size_bytes = m->size_bytes;
    t->family = arena_copy(a, m->family);
    t->quantization = arena_copy(a, m->quantization);
    t->parameter_size = arena_copy(a, m->parameter_size);
    t->digest = arena_copy(a, m->digest);
    return ERR_OK;
}

static enum err endpoint_rows(struct grid *g, struct snapshot *s, size_t i) {
    struct endpoint *e = g->places.v[i];
    const struct config_endpoint *c = config_of(s->config, e);
    const struct found_model *found = NULL;
    size_t n = 0;
    bool asked = g->probes[i] && !probe_is_for_health(g->probes[i]);
    bool known = asked && probe_found(g->probes[i], &found, &n);
    bool open = !(c && c->n_models) && !known; // also where there is no list to ask for
    enum err err = snapshot_add_endpoint(s, e, open);
    if (err != ERR_OK)
        return err;
    if (c && c->n_models)
        return listed_rows(s, e, c);
    for (size_t k = 0; known && k < n && err == ERR_OK; k++)
        err = found_row(s, e, &found[k]);
    return err;
}

static size_t rows_wanted(const struct grid *g) {
    size_t n = 2 * engine_models(g->engine)->n;
    for (size_t i = 0; i < g->places.n; i++) {
        const struct config_endpoint *c = config_of(g->config, g->places.v[i]);
        const struct found_model *found;
        size_t n_found = 0;
        if (g->probes[i] && probe_found(g->probes[i], &found, &n_found))
            n += n_found;
        if (c)
            n += c->n_models;
    }
    return n;
}

static enum err grid_rebuild(struct grid *g) {
    struct snapshot *s;
    enum err e = snapshot_new(g->config, g->lives, g->catalogue, ++g->next_id, rows_wanted(g), g->places.n + 1, &s);
    if (e != ERR_OK)
        return e;
    if (g->config->engine.enabled)
        e = snapshot_add_endpoint(s, g->local, false);
    if (e == ERR_OK)
        e = engine_rows(g, s);
    for (size_t i = 0; i < g->places.n && e == ERR_OK; i++)
        e = endpoint_rows(g, s, i);
    if (e == ERR_OK)
        grid_publish(g, s);
    else
        snapshot_unref(s);
    return e;
}

// What it shows is taken already: a snapshot that found no memory is tried again until it does.
void grid_show(struct grid *g) {
    enum err e = g->closing ? ERR_OK : grid_rebuild(g);
    if (e == ERR_OK)
        return;
    LOG(LOG_ERROR, "snapshot_failed", LOG_S("err", err_name(e)));
    timer_start(&g->again, AGAIN_MS);
}

static void show_again(struct timer *t) {
    grid_show(t->arg);
}

// ---- endpoints

static void part_closed(void *ctx);
static void on_found(void *ctx);

static void probe_drop(struct grid *g, struct probe *p) {
    g->open++;
    probe_close(p, part_closed, g);
}

static struct probe *probe_kept(struct grid *g, struct endpoint *e, bool health_only) {
    for (size_t i = 0; i < g->places.n; i++) {
        struct probe *p = g->probes[i];
        if (!p || probe_is_for_health(p) != health_only || !endpoint_same_place(probe_endpoint(p), e))
            continue;
        g->probes[i] = NULL;
        probe_set_endpoint(p, e);
        return p;
    }
    return NULL;
}

static struct probe *probe_for(struct grid *g, struct endpoint *e) {
    const struct config_endpoint *c = config_of(g->config, e);
    bool listed = c && c->n_models;
    if (!e->provider->models_path)
        return NULL;
    struct probe *p = probe_kept(g, e, listed);
    struct endpoint_live *live = lives_endpoint(g->lives, e->name);
    if (!p && (!live || probe_new(g->main, g->client, e, live, listed, on_found, g, &p) != ERR_OK))
        return NULL;
    return p;
}

// Takes the places and the probes' array; what was discovered at a place that stays is kept.
static void places_adopt(struct grid *g, const struct places *p, struct probe **probes) {
    for (size_t i = 0; i < p->n; i++)
        probes[i] = probe_for(g, p->v[i]);
    for (size_t i = 0; i < g->places.n; i++)
        if (g->probes[i])
            probe_drop(g, g->probes[i]);
    places_done(&g->places);
    mem_free(g->probes);
    g->places = *p;
    g->probes = probes;
}

// What was found on ports that are still looked at.
static void finds_keep(struct grid *g, const struct scan_port *v, size_t n) {
    size_t kept = 0;
    for (size_t i = 0; i < g->n_finds; i++)
        for (size_t k = 0; k < n; k++)
            if (g->finds[i].port == v[k].port)
                g->finds[kept++] = g->finds[i];
    g->n_finds = kept;
}

// The same config, but something was found or is gone. Where memory is missing, the next tick tries again.
static void grid_replace(struct grid *g) {
    struct places places;
    struct buf problem = BUF_INIT(65536);
    enum err e = places_make(g->config, g->finds, g->n_finds, &places, &problem);
    struct probe **probes = e == ERR_OK ? mem_zalloc((places.n + 1) * sizeof *probes) : NULL;
    g->stale = !probes;
    if (probes) {
        places_adopt(g, &places, probes);
        grid_show(g);
    } else {
        if (e == ERR_OK)
            places_done(&places);
        LOG(LOG_ERROR, "places_failed", LOG_S("err", err_name(e ? e : ERR_NO_MEMORY)));
    }
    buf_done(&problem);
}

static void on_find(void *ctx, const struct scan_find *find) {
    struct grid *g = ctx;
    if (g->n_finds < LIMIT_SCAN_PORTS)
        g->finds[g->n_finds++] = *find;
    grid_replace(g);
}

// A server on this machine that was found and has gone leaves nothing behind; its port is looked at again.
static bool finds_drop_lost(struct grid *g) {
    bool any = false;
    for (size_t i = 0; i < g->places.n; i++) {
        const struct endpoint *e = g->places.v[i];
        if (e->found_by != FOUND_BY_PORT || !g->probes[i] || !probe_lost(g->probes[i]))
            continue;
        size_t k = 0;
        while (k < g->n_finds && g->finds[k].port != e->origin.port)
            k++;
        if (k == g->n_finds)
            continue;
        LOG(LOG_INFO, "gone", LOG_S("endpoint", e->name));
        g->finds[k] = g->finds[--g->n_finds];
        scan_again(g->scan, e->origin.port);
        any = true;
    }
    return any;
}

static void on_found(void *ctx) {
    struct grid *g = ctx;
    if (finds_drop_lost(g))
        grid_replace(g);
    else
        grid_show(g);
}

#define TICK_MS 1000
#define ENERGY_TICKS 10 // prices by measured times are looked at so often

// A probe that asks may change the places, and with them the probes: then the rest waits for the next tick.
static void on_tick(struct timer *t) {
    struct grid *g = t->arg;
    uint64_t now_ms = clock_mono_ms();
    if (g->stale)
        grid_replace(g);
    struct probe *const *before = g->probes;
    for (size_t i = 0; g->probes == before && i < g->places.n; i++)
        if (g->probes[i])
            probe_tick(g->probes[i], now_ms);
    if (++g->ticks % ENERGY_TICKS == 0 && snapshot_energy_moved(g->current))
        grid_show(g);
    timer_start(&g->tick, TICK_MS);
}

static enum err grid_adopt(struct grid *g, struct config *c, struct buf *problem) {
    struct places places = {0};
    struct models *models = NULL;
    struct probe **probes = NULL;
    struct scan_port ports[LIMIT_SCAN_PORTS];
    size_t n_ports = places_ports(c, ports);
    struct scan_find before[LIMIT_SCAN_PORTS];
    size_t n_before = g->n_finds;
    memcpy(before, g->finds, sizeof before);
    finds_keep(g, ports, n_ports);
    enum err e = places_make(c, g->finds, g->n_finds, &places, problem);
    if (e == ERR_OK && !(probes = mem_zalloc((places.n + 1) * sizeof *probes)))
        e = ERR_NO_MEMORY;
    if (e == ERR_OK)
        e = models_new(c, g->data_dir, &models);
    if (e == ERR_OK)
        e = engine_configure(g->engine, c, models, problem);
    if (e != ERR_OK) {
        models_free(models);
        memcpy(g->finds, before, sizeof before);
        g->n_finds = n_before;
        places_done(&places);
        mem_free(probes);
        return e;
    }
    struct config *old = g->config;
    g->config = config_ref(c);
    config_unref(old);
    places_adopt(g, &places, probes);
    scan_set(g->scan, ports, n_ports);
    if (!g->current)
        return grid_rebuild(g);
    grid_show(g);
    return ERR_OK;
}

enum err grid_reload(struct grid *g, struct config *c, struct buf *problem) {
    return g->closing ? ERR_DRAINING : grid_adopt(g, c, problem);
}

// ---- the end

static void grid_free(struct grid *g) {
    places_done(&g->places);
    mem_free(g->probes);
    endpoint_unref(g->local);
    snapshot_unref(g->current);
    lives_unref(g->lives);
    catalogue_unref(g->catalogue);
    config_unref(g->config);
    pthread_mutex_destroy(&g->lock);
    mem_free(g->data_dir);
    mem_free(g);
}

// A letter was read, or something closed. Letters that still travel hold the grid.
void grid_letter_read(struct grid *g) {
    int left = atomic_fetch_sub(&g->letters, 1) - 1;
    if (!g->closing || left > 0 || g->open > 0)
        return;
    void (*closed)(void *) = g->closed;
    void *ctx = g->closed_ctx;
    grid_free(g);
    if (closed)
        closed(ctx);
}

void grid_part_closed(struct grid *g) {
    g->open--;
    atomic_fetch_add(&g->letters, 1);
    grid_letter_read(g);
}

static void part_closed(void *ctx) {
    grid_part_closed(ctx);
}

static void engine_closed(void *ctx) {
    struct grid *g = ctx;
    g->engine = NULL;
    client_close(g->client, part_closed, g);
}

void grid_close(struct grid *g, void (*closed)(void *ctx), void *ctx) {
    g->closing = true;
    g->closed = closed;
    g->closed_ctx = ctx;
    g->open = g->open + 1; // the engine, then its client: one after the other
    for (size_t i = 0; i < g->places.n; i++) {
        if (g->probes[i])
            probe_drop(g, g->probes[i]);
        g->probes[i] = NULL;
    }
    if (g->job)
        g->open++; // it runs on another thread, and comes back
    if (g->stock)
        g->open++; // so does this
    g->open += 2;
    timer_close(&g->tick, part_closed);
    scan_close(g->scan, part_closed, g);
    g->open++;
    timer_close(&g->again, part_closed);
    engine_close(g->engine, engine_closed, g);
}

// ---- the start

static enum err grid_parts(struct grid *g, const char *data_dir, const char *runtime_dir) {
    g->data_dir = mem_strdup(data_dir);
    g->lives = lives_new();
    if (!g->data_dir || !g->lives)
        return ERR_NO_MEMORY;
    enum err e = endpoint_new_engine(&g->local);
    if (e == ERR_OK)
        e = client_new(g->main, &g->client);
    if (e != ERR_OK)
        return e;
    e = scan_new(g->main, g->client, on_find, g, &g->scan);
    if (e == ERR_OK) {
        e = engine_new(g->main, g->client, g->lives, data_dir, runtime_dir, &g->engine);
        if (e == ERR_OK)
            return e;
        scan_close(g->scan, NULL, NULL);
    }
    client_close(g->client, NULL, NULL);
    return e;
}

enum err grid_new(struct loop *main, struct config *c, const char *data_dir, const char *runtime_dir,
                  void (*changed)(void *ctx, struct snapshot *s), void *ctx, struct grid **ret, struct buf *problem) {
    struct grid *g = mem_zalloc(sizeof *g);
    if (!g)
        return ERR_NO_MEMORY;
    g->main = main;
    g->changed = changed;
    g->ctx = ctx;
    pthread_mutex_init(&g->lock, NULL);
    enum err e = grid_parts(g, data_dir, runtime_dir);
    if (e != ERR_OK) {
        grid_free(g);
        return e;
    }
    timer_init(&g->again, main, show_again, g);
    timer_init(&g->tick, main, on_tick, g);
    timer_start(&g->tick, TICK_MS);
    grid_catalogue_begin(g);
    e = grid_adopt(g, c, problem);
    if (e == ERR_OK)
        *ret = g;
    else
        grid_close(g, NULL, NULL); // frees itself with the loop's next turns
    return e;
}
