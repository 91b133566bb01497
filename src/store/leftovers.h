// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_LEFTOVERS_H
#define STORE_LEFTOVERS_H
// What lies in the store and belongs to no name: pulls that were cut, and what was never made a model of. All of it blocks
// on the disk: off the loops, but for the sweep at the start.
#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"

// What a pull has fetched so far.
struct leftover {
    const char *name, *source; // what it would be called, and what was asked for; "" where nobody wrote that down
    int64_t bytes, modified_s;
    bool busy; // it is being pulled now
};
#define LEFTOVERS_MAX 1024

// Writes down beside a partial file (its path without ".partial") what it is for. Best effort.
void leftover_label(struct slice base_path, const char *name, const char *source);
void leftover_unlabel(struct slice base_path);

// All, by name; several files of one pull are one. *ret in the arena. ERR_NO_MEMORY.
MUST_CHECK enum err leftovers_list(const char *data_dir, struct arena *a, struct leftover **ret, size_t *ret_n);
// Those of this name (or asked for by it) go. *ret_busy: some are being pulled, and stay. False: there are none.
bool leftovers_drop(const char *data_dir, struct slice name, int64_t *ret_freed, bool *ret_busy);

// What nobody has gone on with for LIMIT_LEFTOVER_S goes. At the start, when nothing runs: also what copies and uploads of a
// killed process left, and blobs of that age that no name uses.
void leftovers_sweep(const char *data_dir, bool at_start);

#endif
