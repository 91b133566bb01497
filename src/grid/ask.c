// SPDX-License-Identifier: Apache-2.0
// What other threads ask of the engine. The common case, a model that is loaded, is one atomic read on the asking loop;
// everything else is a letter to the main thread, which is answered by a letter back. Nothing here waits or locks, but
// for engine_unload (a person's command) that takes a reference of the current snapshot.
#include "base/limits.h"
#include "base/mem.h"
#include "grid/inner.h"

static void want_arrived(void *arg) {
    struct want *w = arg;
    struct grid *g = w->grid;
    if (g->engine)
        engine_take(g->engine, w);
    else if (loop_post(w->l, want_deliver, w) != ERR_OK) // closing: nobody is left who would hear it
        mem_free(w);
    grid_letter_read(g);
}

// Own thread: the answer can still be given by a letter to ourselves, else at once.
static void want_refuse(struct want *w, enum err e, const char *detail) {
    w->err = e;
    for (size_t i = 0; detail[i] && i + 1 < sizeof w->detail; i++)
        w->detail[i] = detail[i];
    if (loop_post(w->l, want_deliver, w) != ERR_OK)
        want_deliver(w);
}

bool engine_want(struct grid *g, const struct target *t, const struct engine_ask *ask, struct loop *l,
                 void (*reply)(void *arg, enum err e, const char *detail), void *arg) {
    if (ask->keep_ms != KEEP_UNSET)
        atomic_store(&t->live->engine_keep_ms, ask->keep_ms);
    atomic_thread_fence(memory_order_seq_cst); // the caller counted itself in before: see slot_unload
    bool ready = atomic_load(&t->live->engine_state) == ENGINE_READY;
    bool crowded = atomic_load(&t->live->in_flight) > atomic_load(&t->live->engine_slots) + LIMIT_ENGINE_MODEL_WAITERS;
    if (ready && !crowded)
        return true;
    struct want *w = mem_zalloc(sizeof *w);
    if (!w) {
        reply(arg, ERR_NO_MEMORY, "");
        return false;
    }
    *w =
        (struct want){.grid = g, .live = t->live, .l = l, .ask = *ask, .reply = reply, .arg = arg, .err = ERR_DRAINING};
    if (ready) {
        want_refuse(w, ERR_BUSY, "all slots of this model are busy, and too many requests wait for one");
        return false;
    }
    atomic_fetch_add(&g->letters, 1);
    if (loop_post(g->main, want_arrived, w) == ERR_OK)
        return false;
    atomic_fetch_sub(&g->letters, 1);
    want_refuse(w, ERR_BUSY, "too many letters wait for the main thread");
    return false;
}

// ---- commands

struct order {
    struct grid *g;
    struct target_live *live;
    void (*take)(struct engine *e, const struct target_live *live);
};

static void order_arrived(void *arg) {
    struct order *n = arg;
    struct grid *g = n->g;
    if (g->engine)
        n->take(g->engine, n->live);
    mem_free(n);
    grid_letter_read(g);
}

static bool order_send(struct grid *g, struct target_live *live,
                       void (*take)(struct engine *e, const struct target_live *live)) {
    struct order *n = mem_zalloc(sizeof *n);
    if (!n)
        return false;
    *n = (struct order){g, live, take};
    atomic_fetch_add(&g->letters, 1);
    if (loop_post(g->main, order_arrived, n) == ERR_OK)
        return true;
    atomic_fetch_sub(&g->letters, 1);
    mem_free(n);
    return false;
}

bool engine_unload(struct grid *g, struct slice model) {
    struct snapshot *s = grid_snapshot(g);
    struct target_live *live = NULL;
    for (size_t i = 0; i < s->n_targets && !live; i++)
        if (s->targets[i].endpoint->engine && slice_eq(s->targets[i].model, model))
            live = s->targets[i].live;
    int state = live ? atomic_load(&live->engine_state) : ENGINE_OFF;
    bool sent = (state == ENGINE_READY || state == ENGINE_STARTING) && order_send(g, live, engine_take_unload);
    snapshot_unref(s); // the live row stays with the grid
    return sent;
}

void engine_suspect(struct grid *g, const struct target *t) {
    int ready = ENGINE_READY;
    // Until the main thread has looked, the next ones ask and wait instead of running into the same wall.
    if (!atomic_compare_exchange_strong(&t->live->engine_state, &ready, ENGINE_STARTING))
        return;
    if (!order_send(g, t->live, engine_take_suspicion))
        atomic_store(&t->live->engine_state, ENGINE_READY);
}
