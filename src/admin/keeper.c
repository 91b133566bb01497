// SPDX-License-Identifier: Apache-2.0
// The daemon's side of privacy. The detector is made on the pool, since compiling its table takes a while where it is not
// kept on the disk yet; until it is there, the label step waits or keeps to device and edge. Each loop gets a reference by
// letter. Receipts are synced once a second. A reload with other words makes another detector before the config is
// swapped, so that no request meets the new config with the old words. The daemon owns all of it.
#include "admin/keeper.h"
#include <stdlib.h>
#include <unistd.h>
#include "admin/daemon.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "privacy/key.h"
#include "switch/turns.h"

#define SYNC_MS 1000
#define MEMO_ENTRIES 16384 // texts of a loop's conversations: a dozen long ones

// ---- to the loops

struct handover {
    struct worker *w;
    struct detector *detector; // NULL: there is none
};

static void handover_take(void *arg) {
    struct handover *v = arg;
    worker_set_detector(v->w, v->detector);
    mem_free(v);
}

static void detector_deliver(struct shift *s, struct detector *d) {
    struct handover *v = s->running ? mem_alloc(sizeof *v) : NULL;
    if (!s->running) {
        worker_set_detector(&s->worker, d ? detector_ref(d) : NULL);
        return;
    }
    if (v)
        *v = (struct handover){&s->worker, d ? detector_ref(d) : NULL};
    if (v && loop_post(&s->worker.loop, handover_take, v) == ERR_OK)
        return;
    if (v)
        detector_unref(v->detector);
    mem_free(v);
    LOG(LOG_ERROR, "a loop got no detector: it keeps to what it has", LOG_I("loop", s->worker.loop.index));
}

static void detector_spread(struct keeper *k, struct detector *d) {
    for (unsigned i = 0; i < k->d->n_shifts; i++)
        detector_deliver(&k->d->shifts[i], d);
}

// ---- making one

// The compiled table: beside the program, where the build puts it; where an installation does; else the cache.
static enum err detector_make(const struct config *c, struct detector **ret, struct buf *problem) {
    char here[4096] = "";
    struct buf installed = BUF_INIT(8192), cache = BUF_INIT(8192);
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    char *slash = n > 0 ? memrchr(here, '/', (size_t)n) : NULL;
    if (slash)
        *slash = 0;
    buf_printf(&installed, "%s/../libexec/gridtie", here);
    fs_cache_dir(&cache);
    const char *dirs[] = {here, buf_cstr(&installed), buf_cstr(&cache), NULL};
    const struct detector_options o = {dirs, c->words, c->n_words};
    enum err e = detector_new(&o, ret, problem);
    buf_done(&installed);
    buf_done(&cache);
    return e;
}

struct loading {
    struct keeper *k;
    struct config *config; // a reference: its words
    struct detector *detector;
    struct buf problem;
    enum err err;
};

static void loading_work(void *arg) {
    struct loading *l = arg;
    const char *fault = getenv("GRIDTIE_FAULT_DETECTOR"); // "late": after two seconds; anything else: never
    if (fault && strcmp(fault, "late") != 0) {
        l->err = ERR_INTERNAL;
        return;
    }
    if (fault)
        (void)sleep(2);
    l->err = detector_make(l->config, &l->detector, &l->problem);
}

static bool same_words(const struct config *a, const struct config *b) {
    bool same = a->n_words == b->n_words;
    for (size_t i = 0; same && i < a->n_words; i++)
        same = strcmp(a->words[i], b->words[i]) == 0;
    return same;
}

static void loading_done(void *arg) {
    struct loading *l = arg;
    struct keeper *k = l->k;
    k->loading = false;
    if (l->err)
        LOG(LOG_ERROR, "no detector of private data: nothing goes beyond edge", LOG_S("err", err_name(l->err)),
            LOG_SL("problem", buf_slice(&l->problem)));
    bool other = !same_words(l->config, k->d->config); // a reload came in between
    if (!k->closing && other)
        keeper_start(k);
    else if (!k->closing)
        detector_spread(k, l->err ? NULL : l->detector);
    detector_unref(l->detector);
    config_unref(l->config);
    buf_done(&l->problem);
    mem_free(l);
}

void keeper_start(struct keeper *k) {
    struct loading *l = mem_zalloc(sizeof *l);
    if (l) {
        *l = (struct loading){.k = k, .config = config_ref(k->d->config), .problem = BUF_INIT(4096)};
        k->loading = true;
        if (loop_offload(&k->d->main, loading_work, loading_done, l) == ERR_OK)
            return;
        k->loading = false;
        config_unref(l->config);
        mem_free(l);
    }
    LOG(LOG_ERROR, "no memory for a detector of private data: nothing goes beyond edge");
    detector_spread(k, NULL);
}

bool keeper_reload(struct keeper *k, const struct config *c, struct buf *problems) {
    struct detector *d = NULL;
    if (k->loading || same_words(c, k->d->config))
        return true; // what loads asks again when it is done
    if (detector_make(c, &d, problems))
        return false;
    detector_spread(k, d);
    detector_unref(d);
    return true;
}

// ---- receipts

static void sync_work(void *arg) {
    receipts_sync(((struct keeper *)arg)->shared.receipts);
}

static void sync_done(void *arg) {
    struct keeper *k = arg;
    k->syncing = false;
    if (!k->closing)
        timer_start(&k->sync, SYNC_MS);
}

static void sync_due(struct timer *t) {
    struct keeper *k = t->arg;
    k->syncing = loop_offload(&k->d->main, sync_work, sync_done, k) == ERR_OK;
    if (!k->syncing)
        timer_start(&k->sync, SYNC_MS);
}

// ---- open and close

bool keeper_open(struct keeper *k, struct daemon *d, const char *state_dir, struct buf *problem) {
    k->d = d;
    k->state_dir = state_dir;
    if (state_key_open(state_dir, &k->shared.key, problem))
        return false;
    if (receipts_open(state_dir, d->config->receipts_s, &k->shared.receipts, problem))
        return false;
    k->turns = turns_new(); // without, clients go on without
    for (unsigned i = 0; i < d->n_shifts; i++) {
        d->shifts[i].worker.turns = k->turns;
        d->shifts[i].worker.privacy = &k->shared;
        d->shifts[i].worker.memo = memo_new(MEMO_ENTRIES); // without one all is looked at each time
    }
    timer_init(&k->sync, &d->main, sync_due, k);
    timer_start(&k->sync, SYNC_MS);
    k->timing = true;
    return true;
}

void keeper_stop(struct keeper *k) {
    k->closing = true;
    if (k->timing)
        timer_close(&k->sync, NULL);
    k->timing = false;
}

void keeper_close(struct keeper *k) {
    for (unsigned i = 0; k->d && i < k->d->n_shifts; i++) {
        detector_unref(k->d->shifts[i].worker.detector);
        memo_free(k->d->shifts[i].worker.memo);
    }
    turns_free(k->turns);
    receipts_close(k->shared.receipts);
    secret_done(&k->shared.key);
}
