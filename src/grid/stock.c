// SPDX-License-Identifier: Apache-2.0
// The store changed: its models are read anew on the pool (a thousand headers take a moment), and what they are now comes
// into force as at a reload, with the config that there is. One reading at a time; who asks meanwhile waits for the next,
// since the one that runs may have looked before the change. A reload in between makes what was read worthless, and it is
// read again. Main thread, but for the reading itself.
#include "base/log.h"
#include "base/mem.h"
#include "grid/inner.h"

struct stock_wait {
    struct stock_wait *next;
    void (*done)(void *arg, enum err e, uint64_t snapshot);
    void *arg;
};

struct stock { // one reading
    struct grid *g;
    struct config *config; // a reference
    struct models *models;
    struct stock_wait *waits;
    enum err err;
};

static enum err stock_begin(struct grid *g);

static void waits_answer(struct stock_wait *w, enum err e, uint64_t snapshot) {
    while (w) {
        struct stock_wait *next = w->next;
        w->done(w->arg, e, snapshot);
        mem_free(w);
        w = next;
    }
}

static void stock_work(void *arg) {
    struct stock *s = arg;
    s->err = models_new(s->config, s->g->data_dir, &s->models);
}

static enum err stock_adopt(struct stock *s) {
    struct buf problem = BUF_INIT(4096);
    enum err e = s->err ? s->err : engine_configure(s->g->engine, s->config, s->models, &problem);
    if (e)
        LOG(LOG_ERROR, "models_not_read", LOG_S("err", err_name(e)), LOG_SL("problem", buf_slice(&problem)));
    else
        s->models = NULL;
    buf_done(&problem);
    if (!e)
        grid_show(s->g);
    return e;
}

static void waits_join(struct stock_wait **to, struct stock_wait *more) {
    while (*to)
        to = &(*to)->next;
    *to = more;
}

static void stock_done(void *arg) {
    struct stock *s = arg;
    struct grid *g = s->g;
    struct stock_wait *waits = s->waits;
    bool stale = s->config != g->config;
    g->stock = NULL;
    enum err e = g->closing ? ERR_DRAINING : stale ? ERR_OK : stock_adopt(s);
    models_free(s->models);
    config_unref(s->config);
    mem_free(s);
    if (g->closing) {
        waits_answer(waits, e, 0);
        waits_answer(g->stock_waits, e, 0);
        g->stock_waits = NULL;
        grid_part_closed(g);
        return;
    }
    if (stale)
        waits_join(&waits, g->stock_waits), g->stock_waits = waits;
    else
        waits_answer(waits, e, g->next_id);
    if (!g->stock_waits)
        return;
    e = stock_begin(g);
    if (e) {
        waits = g->stock_waits;
        g->stock_waits = NULL;
        waits_answer(waits, e, 0);
    }
}

// Takes all that wait.
static enum err stock_begin(struct grid *g) {
    struct stock *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    *s = (struct stock){.g = g, .config = config_ref(g->config), .waits = g->stock_waits};
    enum err e = loop_offload(g->main, stock_work, stock_done, s);
    if (e) {
        config_unref(s->config);
        mem_free(s);
        return e;
    }
    g->stock = s;
    g->stock_waits = NULL;
    return ERR_OK;
}

enum err grid_models_refresh(struct grid *g, void (*done)(void *arg, enum err e, uint64_t snapshot), void *arg) {
    if (g->closing)
        return ERR_DRAINING;
    struct stock_wait *w = mem_zalloc(sizeof *w);
    if (!w)
        return ERR_NO_MEMORY;
    *w = (struct stock_wait){NULL, done, arg};
    waits_join(&g->stock_waits, w);
    enum err e = g->stock ? ERR_OK : stock_begin(g);
    if (e) { // nothing ran, so nobody else waited
        g->stock_waits = NULL;
        mem_free(w);
    }
    return e;
}
