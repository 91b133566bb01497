// SPDX-License-Identifier: Apache-2.0
// A worker's own state: the journal's part of a turn, the snapshot that new exchanges take, and ending what runs: of a run
// that was stopped, of a key that was revoked, or everything when a drain has lasted too long. Runs on the worker's thread only.
#include "switch/worker.h"
#include "base/mem.h"
#include "switch/private.h"

#define LARGE_BYTES ((size_t)1 << 20) // to free so much takes 0.1 ms: the kernel takes the pages back one by one

static void worker_commit(struct deferred *d) {
    struct worker *w = (struct worker *)(void *)((char *)d - offsetof(struct worker, commit));
    w->commit_queued = false;
    attempts_written(w, journal_flush(w->journal));
}

void worker_commit_later(struct worker *w) {
    if (w->commit_queued)
        return;
    w->commit_queued = true;
    loop_defer(&w->loop, &w->commit, worker_commit);
}

void worker_set_snapshot(struct worker *w, struct snapshot *s) {
    if (w->snap)
        snapshot_unref(w->snap);
    w->snap = s;
}

struct left {
    struct arena arena;
};

static void left_free(void *arg) {
    arena_done(&((struct left *)arg)->arena);
}

static void left_done(void *arg) {
    mem_free(arg);
}

void worker_free(struct worker *w, struct arena *a, bool large) {
    struct left *l = a->blocks && (large || a->used_bytes > LARGE_BYTES) ? mem_alloc(sizeof *l) : NULL;
    if (!l) {
        arena_done(a);
        return;
    }
    arena_give(a, &l->arena);
    if (loop_offload(&w->loop, left_free, left_done, l) == ERR_OK)
        return;
    left_free(l);
    left_done(l);
}

static struct exchange *waiting_one(struct worker *w) {
    for (struct exchange *x = w->live; x; x = x->next)
        if (x->check == CHECK_WAITS && !x->settled)
            return x;
    return NULL;
}

void worker_set_detector(struct worker *w, struct detector *d) {
    detector_unref(w->detector);
    w->detector = d;
    w->detector_failed = !d;
    // One may end others when it goes on: each time the list is read anew. None waits twice.
    for (struct exchange *x = waiting_one(w); x; x = waiting_one(w)) {
        exchange_resume(x);
        if (x->check == CHECK_WAITS)
            break; // it is on the stack, and asks when it goes on
    }
}

static bool is_of_run(const struct exchange *x, const void *run) {
    return x->purse.payers[SCOPE_RUN] == run;
}

static bool is_of_key(const struct exchange *x, const void *key) {
    return x->key == key;
}

// One that ends may take others with it (its helper calls), so the list is begun anew after each.
static void stop_those(struct worker *w, bool (*is_of)(const struct exchange *x, const void *whose), const void *whose,
                       const struct problem *p) {
    struct exchange *x = w->live;
    while (x) {
        if (is_of(x, whose) && !x->problem.err) {
            exchange_fail(x, p);
            x = w->live;
        } else {
            x = x->next;
        }
    }
}

static bool is_any(const struct exchange *x, const void *unused) {
    (void)x;
    (void)unused;
    return true;
}

void worker_cut(struct worker *w) {
    stop_those(w, is_any, NULL, &PROBLEM(ERR_DRAINING));
}

static void worker_empty(struct deferred *d) {
    struct worker *w = (struct worker *)(void *)((char *)d - offsetof(struct worker, empty));
    w->when_empty(w->when_empty_arg);
}

void worker_left(struct worker *w) {
    if (!w->live && w->when_empty)
        loop_defer(&w->loop, &w->empty, worker_empty);
}

void worker_when_empty(struct worker *w, void (*fn)(void *arg), void *arg) {
    w->when_empty = fn;
    w->when_empty_arg = arg;
    worker_left(w);
}

void worker_stop_run(struct worker *w, const struct payer *run) {
    stop_those(w, is_of_run, run, &PROBLEM(ERR_RUN_STOPPED));
}

void worker_stop_key(struct worker *w, const struct config_key *key) {
    struct problem p = PROBLEM(ERR_UNAUTHORIZED);
    p.message = SLICE("this key was revoked");
    stop_those(w, is_of_key, key, &p);
}
