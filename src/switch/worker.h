// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_WORKER_H
#define SWITCH_WORKER_H
// What one loop has: its server, its client, its journal, its view of the grid, its live exchanges.
#include "grid/grid.h"
#include "ledger/ledger.h"
#include "net/client.h"
#include "net/loop.h"
#include "net/server.h"

struct attempt;
struct detector;
struct exchange;
struct accounts;
struct keyring;
struct memo;
struct privacy;
struct turns;

struct worker {
    struct loop loop;
    struct server *server;
    struct client *client;
    struct journal *journal;
    struct accounts *accounts;
    const struct keyring *keyring;
    struct grid *grid;
    struct snapshot *snap; // the current one; exchanges hold their own reference
    struct exchange *live; // doubly linked
    _Atomic unsigned n_live;
    uint32_t counter;       // of ids
    struct deferred commit; // writes what this turn gave the journal
    bool commit_queued;
    struct attempt *reserving;     // whose intents are among that
    struct attempt *raising;       // whose raised holds are
    const struct privacy *privacy; // shared
    struct detector *detector;     // a reference; NULL: none is loaded yet
    bool detector_failed;          // and none will be
    struct memo *memo;             // of what was found in texts
    struct turns *turns;           // shared; NULL: there is none
    _Atomic uint64_t scanned_bytes, replaced;
    bool draining;
    struct deferred empty; // calls when_empty
    void (*when_empty)(void *arg);
    void *when_empty_arg;
    _Atomic uint64_t failures[ERR_COUNT]; // exchanges by how they ended; [ERR_OK] went well
};

// Own thread: what this turn put into the journal is written when it ends, in one go; then the attempts that wait for it
// are sent.
void worker_commit_later(struct worker *w);
// Own thread: frees what the arena holds, much of it off the loop. large: it holds more than it knows of (trees of JSON).
// Its cleanups must not care where they run.
void worker_free(struct worker *w, struct arena *a, bool large);
// Own thread: takes the reference.
void worker_set_snapshot(struct worker *w, struct snapshot *s);
// Own thread: ends the live exchanges of that run with ERR_RUN_STOPPED, those of a revoked key with ERR_UNAUTHORIZED.
struct payer;
struct config_key;
void worker_stop_run(struct worker *w, const struct payer *run);
void worker_stop_key(struct worker *w, const struct config_key *key);
// Own thread: takes the reference. NULL: there can be none. Who waits for one goes on.
void worker_set_detector(struct worker *w, struct detector *d);
// Own thread: ends every live exchange with ERR_DRAINING; those that are away, when they are back.
void worker_cut(struct worker *w);
// Own thread, once nothing new comes: fn(arg) is called when no exchange is left.
void worker_when_empty(struct worker *w, void (*fn)(void *arg), void *arg);
// One has left w->live.
void worker_left(struct worker *w);

#endif
