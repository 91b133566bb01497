// SPDX-License-Identifier: Apache-2.0
// The engine: all slots together. It ends what was idle for keep_alive, lets waiters go when their time is over, and
// brings a new config to what runs; who may be in memory stands in memory.c. Owns the slots, the store's list and the answers that could not be posted yet. Main thread only; a tick
// of a second, or a tenth while anyone waits, drives what is bound to time.
#include "grid/engine.h"
#include <stdio.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/machine.h"
#include "grid/slot.h"

#define TICK_MS 1000
#define TICK_WAITING_MS 100

const struct models *engine_models(const struct engine *e) {
    return e->models;
}

static struct slot *slot_named(const struct engine *e, const char *name) {
    for (struct slot *s = e->slots; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

static struct slot *slot_of(const struct engine *e, const struct target_live *live) {
    for (struct slot *s = e->slots; s; s = s->next)
        if (s->live == live)
            return s;
    return NULL;
}

const char *engine_socket(const struct engine *e, const char *model) {
    const struct slot *s = slot_named(e, model);
    return s ? s->socket_path : NULL;
}

// ---- answers

void want_deliver(void *want) {
    struct want *w = want;
    w->reply(w->arg, w->err, w->detail);
    mem_free(w);
}

void want_reply(struct engine *e, struct want *w, enum err err, const char *detail) {
    w->err = err;
    snprintf(w->detail, sizeof w->detail, "%s", detail);
    if (loop_post(w->l, want_deliver, w) == ERR_OK)
        return;
    w->next = e->undelivered;
    e->undelivered = w;
    engine_tick_soon(e);
}

static void deliver_again(struct engine *e) {
    struct want *list = e->undelivered;
    e->undelivered = NULL;
    while (list) {
        struct want *w = list;
        list = w->next;
        if (loop_post(w->l, want_deliver, w) == ERR_OK)
            continue;
        w->next = e->undelivered;
        e->undelivered = w;
    }
}

// ---- time

static void tick_arm(struct engine *e) {
    bool waiting = e->undelivered != NULL;
    for (struct slot *s = e->slots; s && !waiting; s = s->next)
        waiting = slot_is_wanted(s);
    timer_start(&e->tick, waiting ? TICK_WAITING_MS : TICK_MS);
}

void engine_tick_soon(struct engine *e) {
    if (!e->closing)
        timer_start(&e->tick, TICK_WAITING_MS);
}

static void tick_ready(struct slot *s, uint64_t now) {
    uint64_t requests = atomic_load_explicit(&s->live->requests, memory_order_relaxed);
    bool busy = atomic_load(&s->live->in_flight) > 0 || requests != s->last_requests;
    s->last_requests = requests;
    if (busy)
        s->used_ms = now;
    memory_look(s, now);
    int64_t left = slot_show_expiry(s, now);
    if ((left <= 0 && !busy) || s->unload_asked)
        (void)slot_unload(s);
}

static void engine_tick(struct timer *t) {
    struct engine *e = t->arg;
    uint64_t now = clock_mono_ms();
    deliver_again(e);
    for (struct slot *s = e->slots; s; s = s->next) {
        slot_expire(s, now);
        if (s->phase == PHASE_READY)
            tick_ready(s, now);
        else if (s->phase == PHASE_OFF && s->load_asked && !s->verifying)
            slot_begin(s);
    }
    memory_press(e);
    engine_slot_ended(e);
    tick_arm(e);
}

// ---- questions

void engine_take(struct engine *e, struct want *w) {
    struct slot *s = slot_of(e, w->live);
    if (e->closing)
        want_reply(e, w, ERR_DRAINING, "gridtie is shutting down");
    else if (!s || !s->model)
        want_reply(e, w, ERR_ENGINE, "the model is not in the store any more");
    else
        slot_take(s, w);
}

void engine_take_unload(struct engine *e, const struct target_live *live) {
    struct slot *s = slot_of(e, live);
    if (!s || e->closing)
        return;
    s->load_asked = false;
    s->unload_asked = s->child != NULL; // a busy or loading one goes once it is idle
    (void)slot_unload(s);
}

void engine_take_suspicion(struct engine *e, const struct target_live *live) {
    struct slot *s = slot_of(e, live);
    if (s && !e->closing)
        slot_suspect(s);
}

// ---- config

// A slot for each model that has none; it belongs to no model yet, so that it goes again if the config is refused.
static enum err slots_add(struct engine *e, const struct models *models, struct buf *problem) {
    for (size_t i = 0; i < models->n; i++) {
        struct slot *s = slot_named(e, models->v[i].name);
        enum err err = s ? ERR_OK : slot_new(e, models->v[i].name, &s, problem);
        if (err != ERR_OK)
            return err;
        struct slot **at = &e->slots;
        while (*at && *at != s)
            at = &(*at)->next;
        *at = s;
    }
    return ERR_OK;
}

static void slot_configure(struct slot *s) {
    s->model = model_named(s->e->models, s->name);
    s->pinned = s->model && options_of(&s->e->config->engine, s->model).pin;
    atomic_store_explicit(&s->live->engine_pinned, s->pinned, memory_order_relaxed);
    if (!s->model)
        slot_refuse(s, ERR_ENGINE, "the model is not in the store any more");
    if (s->child && (!s->model || slot_recipe_changed(s)))
        s->unload_asked = true;
}

static bool is_in(const char **list, size_t n, const char *name) {
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(list[i], name) == 0)
            return true;
    return false;
}

// At start, and what a reload adds: a model that somebody unloaded since then stays so.
static void preload(struct engine *e, const struct config *before) {
    const struct config_engine *now = &e->config->engine;
    for (struct slot *s = e->slots; s; s = s->next) {
        const char *alias = s->model ? s->model->alias : NULL;
        bool asked =
            s->model && (is_in(now->preload, now->n_preload, s->name) || is_in(now->preload, now->n_preload, alias));
        bool known = before && (is_in(before->engine.preload, before->engine.n_preload, s->name) ||
                                is_in(before->engine.preload, before->engine.n_preload, alias));
        s->load_asked = s->load_asked ? asked : asked && !known && !s->child;
        if (s->load_asked)
            engine_tick_soon(e);
    }
}

enum err engine_configure(struct engine *e, struct config *c, struct models *m, struct buf *problem) {
    struct config *old_config = e->config;
    struct models *old_models = e->models;
    enum err err = slots_add(e, m, problem);
    if (err != ERR_OK)
        return err;
    e->config = config_ref(c);
    e->models = m;
    memory_budget(e);
    for (struct slot *s = e->slots; s; s = s->next)
        slot_configure(s);
    preload(e, old_config);
    config_unref(old_config);
    models_free(old_models);
    return ERR_OK;
}

enum err engine_new(struct loop *l, struct client *client, struct lives *lives, const char *data_dir,
                    const char *runtime_dir, struct engine **ret) {
    struct engine *e = mem_zalloc(sizeof *e);
    if (!e)
        return ERR_NO_MEMORY;
    *e = (struct engine){.l = l, .client = client, .lives = lives, .cores = machine_cores()};
    e->data_dir = mem_strdup(data_dir);
    e->runtime_dir = mem_strdup(runtime_dir);
    struct buf logs = BUF_INIT(4096);
    buf_printf(&logs, "%s/logs", data_dir);
    bool made = fs_mkdirs(buf_cstr(&logs), 0700) == ERR_OK && fs_mkdirs(runtime_dir, 0700) == ERR_OK;
    if (!made)
        LOG(LOG_WARN, "engine_dirs", LOG_S("data", data_dir), LOG_S("runtime", runtime_dir)); // a start will tell
    buf_done(&logs);
    if (!e->data_dir || !e->runtime_dir || cards_new(l, memory_cards_told, e, &e->cards) != ERR_OK) {
        mem_free(e->data_dir);
        mem_free(e->runtime_dir);
        mem_free(e);
        return ERR_NO_MEMORY;
    }
    timer_init(&e->tick, l, engine_tick, e);
    timer_start(&e->tick, TICK_MS);
    e->open = 2;
    *ret = e;
    return ERR_OK;
}

// ---- the end

// What has nothing left to do goes: models that left the store, and all when we close.
static void engine_sweep(struct engine *e) {
    for (struct slot **at = &e->slots; *at;) {
        struct slot *s = *at;
        if (!slot_is_still(s) || (s->model && !e->closing)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        slot_close(s);
    }
}

static void engine_free(struct engine *e) {
    void (*closed)(void *) = e->closed;
    void *ctx = e->ctx;
    while (e->undelivered) {
        struct want *w = e->undelivered;
        e->undelivered = w->next;
        mem_free(w);
    }
    config_unref(e->config);
    models_free(e->models);
    mem_free(e->data_dir);
    mem_free(e->runtime_dir);
    mem_free(e);
    if (closed)
        closed(ctx);
}

static void part_closed(void *arg) {
    struct engine *e = arg;
    e->open--;
    engine_slot_ended(e);
}

void engine_slot_ended(struct engine *e) {
    engine_sweep(e);
    engine_queue(e);
    if (e->closing && e->open == 0)
        engine_free(e);
}

void engine_close(struct engine *e, void (*closed)(void *ctx), void *ctx) {
    e->closing = true;
    e->closed = closed;
    e->ctx = ctx;
    for (struct slot *s = e->slots; s; s = s->next) {
        slot_refuse(s, ERR_DRAINING, "gridtie is shutting down");
        slot_stop(s);
    }
    deliver_again(e);
    timer_close(&e->tick, part_closed);
    cards_close(e->cards, part_closed, e);
    engine_sweep(e);
}
