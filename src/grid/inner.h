// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_INNER_H
#define GRID_INNER_H
// The grid's own inside; for grid.c, ask.c, stock.c and show.c.
#include <pthread.h>
#include "grid/discovery.h"
#include "grid/engine.h"
#include "grid/places.h"
#include "grid/snapshot.h"

struct grid {
    struct loop *main;
    struct config *config;
    char *data_dir;
    void (*changed)(void *ctx, struct snapshot *s);
    void *ctx;
    struct lives *lives;
    struct client *client;
    struct engine *engine;
    struct endpoint *local; // the engine's
    struct places places;
    struct probe **probes; // as places; NULL: nothing can be asked
    struct timer tick;
    bool stale;                     // places are to be made anew
    struct catalogue *catalogue;    // NULL: none
    struct catalogue_job *job;      // that compiles one, or NULL
    struct stock *stock;            // that reads the store anew, or NULL
    struct stock_wait *stock_waits; // for the next reading
    unsigned ticks;
    struct scan *scan;
    struct scan_find finds[LIMIT_SCAN_PORTS];
    size_t n_finds;
    uint64_t next_id;     // of snapshots
    struct timer again;   // a snapshot that found no memory
    pthread_mutex_t lock; // of `current`
    struct snapshot *current;
    _Atomic int letters; // on their way to the main thread
    unsigned open;       // what has still to close
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

void grid_show(struct grid *g);        // a new snapshot of what there is now
void grid_part_closed(struct grid *g); // one of those that `open` counts
void grid_catalogue_begin(struct grid *g);
struct snapshot *grid_snapshot(struct grid *g); // a fresh reference; any thread
void grid_letter_read(struct grid *g);          // main thread, last of all: g may be gone after it

#endif
