// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_SLOT_H
#define GRID_SLOT_H
// One model's place in the engine: its state, its child, its waiters. Between slot.c and engine.c only.
#include "grid/child.h"
#include "grid/engine.h"

enum phase {
    PHASE_OFF,
    PHASE_VERIFYING, // reading the weights
    PHASE_QUEUED,    // for memory
    PHASE_STARTING,  // the child runs and is asked for /health
    PHASE_READY,
    PHASE_STOPPING,
    PHASE_BACKOFF, // crashed; will be started when the time has come
    PHASE_FAILED,  // crashed too often; refuses for a while
};

struct slot {
    struct slot *next;
    struct engine *e;
    char *name;
    char *socket_path;
    struct target_live *live;
    const struct model *model; // of the engine's models; NULL: gone from the store
    enum phase phase;
    struct child *child;
    struct fetch *probe; // GET /health
    int probe_status;
    struct timer timer; // next probe, its end, backoff
    uint64_t probe_wait_ms, started_ms, used_ms, not_before_ms, failed_until_ms, first_failure_ms;
    unsigned failures; // within the last minute
    uint64_t last_requests;
    int64_t need_bytes;
    struct want *waiters; // oldest first
    unsigned n_waiters;
    bool verifying;     // the thread pool has our name
    bool unload_asked;  // when idle
    bool stop_failed;   // being stopped because it does not answer
    char reason[384];   // of the last failure
    uint8_t recipe[32]; // what the child was started with
};

struct engine {
    struct loop *l;
    struct client *client;
    struct lives *lives;
    char *data_dir, *runtime_dir;
    struct config *config;
    struct models *models;
    struct slot *slots;
    struct want *undelivered;
    struct timer tick;
    unsigned open; // slots and the tick, until they are closed
    bool closing;
    void (*closed)(void *ctx);
    void *ctx;
};

MUST_CHECK enum err slot_new(struct engine *e, const char *name, struct slot **ret, struct buf *problem);
void slot_close(struct slot *s); // nothing runs any more; takes itself out of `open`
void slot_take(struct slot *s, struct want *w);
void slot_refuse(struct slot *s, enum err e, const char *detail); // all waiters
void slot_expire(struct slot *s, uint64_t now_ms);
void slot_begin(struct slot *s);    // on the way to READY, from OFF or BACKOFF
void slot_continue(struct slot *s); // from QUEUED: the weights were checked
// Unloads if nothing runs on it. False: something does, or it is not loaded.
bool slot_unload(struct slot *s);
void slot_stop(struct slot *s);
void slot_suspect(struct slot *s);
bool slot_is_still(const struct slot *s); // no child, nothing under way
bool slot_recipe_changed(const struct slot *s);
int64_t slot_need(const struct slot *s);

// engine.c
// Is there memory for s? Else asks idle others to go; their end begins the queued ones again.
bool engine_make_room(struct slot *s);
void engine_slot_ended(struct engine *e);
void engine_tick_soon(struct engine *e);

// launch.c
// The argument list of the model's server in the arena; NULL with *problem filled.
const char *const *launch_args(const struct slot *s, struct arena *a, struct buf *problem);
void launch_recipe(const struct slot *s, uint8_t ret[32]);

#endif
