// SPDX-License-Identifier: Apache-2.0
// A worker's own state: the journal's part of a turn, the snapshot that new exchanges take, and cutting what still runs
// when a drain has lasted too long. Runs on the worker's thread only.
#include "switch/worker.h"
#include "switch/attempt.h"

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

void worker_cut(struct worker *w) {
    while (w->live) {
        struct exchange *x = w->live;
        exchange_fail(x, &PROBLEM(ERR_DRAINING));
        if (w->live == x)
            break; // it is on the stack and ends when that returns
    }
}
