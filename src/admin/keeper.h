// SPDX-License-Identifier: Apache-2.0
#ifndef ADMIN_KEEPER_H
#define ADMIN_KEEPER_H
// What the daemon has for privacy as a whole: the node's key, the receipts, the detector that loads while the loops
// already serve. Main thread, but for keeper_serve.
#include "config/config.h"
#include "net/server.h"
#include "switch/private.h"

struct daemon;
struct shift;

struct keeper {
    struct daemon *d;
    struct privacy shared; // what workers see
    struct turns *turns;   // and what it keeps for its clients
    const char *state_dir; // borrowed
    struct timer sync;
    bool timing, loading, syncing, closing;
};

// The key, the receipts, a memo for each worker. False with *problem.
bool keeper_open(struct keeper *k, struct daemon *d, const char *state_dir, struct buf *problem);
// Begins to load the detector off the loop; workers get it when it is there.
void keeper_start(struct keeper *k);
// For another config: the words may be others. Blocks for a moment. False with *problems: the old detector stays.
bool keeper_reload(struct keeper *k, const struct config *c, struct buf *problems);
// No more work is begun; what runs ends by itself.
void keeper_stop(struct keeper *k);
// After the loops are done.
void keeper_close(struct keeper *k);

// Loop's thread. /gridtie/v1/audit…, /gridtie/v1/privacy/…; false: none of them.
bool keeper_serve(struct shift *s, struct conn *c, const struct http_request *r);

#endif
