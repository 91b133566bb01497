// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_SNAPSHOT_H
#define GRID_SNAPSHOT_H
// Making snapshots: main thread only, until the finished one is handed out. What anyone may do with one stands in grid.h.
#include "grid/grid.h"

// Everything that lives across snapshots, by name. Entries stay until the last reference goes.
struct lives;
struct lives *lives_new(void);
struct lives *lives_ref(struct lives *l);
void lives_unref(struct lives *l); // any thread; NULL is allowed
// Main thread. NULL: no memory.
struct target_live *lives_target(struct lives *l, const char *name);
_Atomic int64_t *lives_card_budget(
    struct lives *l); // bytes of graphics cards that are for models; 0 none, or not known yet
struct endpoint_live *lives_endpoint(struct lives *l, const char *name);

// One reference, owned; room for so many rows. Takes references of config, lives and the catalogue (may be NULL).
MUST_CHECK enum err snapshot_new(struct config *c, struct lives *l, struct catalogue *catalogue, uint64_t id,
                                 size_t max_targets, size_t max_endpoints, struct snapshot **ret);
// open: it takes any model. Takes a reference.
MUST_CHECK enum err snapshot_add_endpoint(struct snapshot *s, struct endpoint *e, bool open);
// A row named "endpoint/model", with the price and limits that config gives for it. Borrowed; NULL: no memory or room.
struct target *snapshot_add_target(struct snapshot *s, struct endpoint *e, enum zone zone, struct slice model);
// What neither config nor the place itself said, as far as the catalogue knows it: call it when the row is filled.
void snapshot_complete(const struct snapshot *s, struct target *t);
// Would a snapshot made now have another price for the energy of some target?
bool snapshot_energy_moved(const struct snapshot *s);
struct arena *snapshot_arena(struct snapshot *s); // of its strings
const struct endpoint_live *snapshot_endpoint_live(const struct snapshot *s, size_t endpoint);
bool snapshot_endpoint_open(const struct snapshot *s, size_t endpoint);

#endif
