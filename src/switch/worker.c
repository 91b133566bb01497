// SPDX-License-Identifier: Apache-2.0
// A worker's own state: the journal's part of a turn, the snapshot that new exchanges take, and ending what runs: of a run
// that was stopped, of a key that was revoked, or everything when a drain has lasted too long. Runs on the worker's thread only.
#include "switch/worker.h"
#include "switch/private.h"

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

void worker_cut(struct worker *w) {
    while (w->live) {
        struct exchange *x = w->live;
        exchange_fail(x, &PROBLEM(ERR_DRAINING));
        if (w->live == x)
            break; // it is on the stack and ends when that returns
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

void worker_stop_run(struct worker *w, const struct payer *run) {
    stop_those(w, is_of_run, run, &PROBLEM(ERR_RUN_STOPPED));
}

void worker_stop_key(struct worker *w, const struct config_key *key) {
    struct problem p = PROBLEM(ERR_UNAUTHORIZED);
    p.message = SLICE("this key was revoked");
    stop_those(w, is_of_key, key, &p);
}
