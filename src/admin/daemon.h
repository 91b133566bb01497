// SPDX-License-Identifier: Apache-2.0
#ifndef ADMIN_DAEMON_H
#define ADMIN_DAEMON_H
// The daemon: one main thread (grid, engine, signals), N loops, one ledger thread.
#include <pthread.h>
#include "admin/keeper.h"
#include "config/config.h"
#include "grid/grid.h"
#include "ledger/ledger.h"
#include "store/foreign_watch.h"
#include "store/job.h"
#include "switch/worker.h"

struct daemon;

// One loop and its thread.
struct shift {
    struct worker worker; // first: a worker's shift is found by cast
    struct daemon *d;
    pthread_t thread;
    bool running; // the thread was started
    bool closing; // server and client are going, or gone
};

struct daemon {
    struct loop main;
    struct config *config;   // the current one; main thread
    struct config *first;    // the one of the start: what is listened on; the servers point into its lists
    const char *config_path; // NULL: defaults
    struct ledger *ledger;
    struct grid *grid;
    struct keeper keeper;
    struct jobs *jobs;           // of the store
    struct foreign_watch *watch; // of what other programs hold; NULL: config says no
    const char *data_dir;        // borrowed
    struct shift *shifts;
    unsigned n_shifts;
    unsigned n_idle, n_closed; // while it drains; main thread
    bool offline;              // asked for on the command line
    bool draining;
    bool cut;
    struct timer drain_timer;
    uv_signal_t signals[4];
    int64_t start_wall_s;
    struct buf listening; // JSON array of addresses
    _Atomic uint64_t reloads, reload_failures;
};

// argv[0] is "serve". Returns the process's exit status.
int daemon_main(int argc, char **argv);
// Main thread. Swaps the config whole or not at all; false with *problems filled.
bool daemon_reload(struct daemon *d, struct buf *problems);
// Any thread.
void daemon_stop(struct daemon *d);

// --- front.c: what a worker's server calls
extern const struct server_hooks front_hooks;

#endif
