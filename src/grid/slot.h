// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_SLOT_H
#define GRID_SLOT_H
// One model's place in the engine: its state, its child, its waiters. Between slot.c and engine.c only.
#include "grid/cards.h"
#include "grid/child.h"
#include "grid/engine.h"
#include "grid/options.h"
#include "grid/room.h"

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
    struct want *waiters; // oldest first
    unsigned n_waiters;
    bool verifying;     // the thread pool has our name
    bool unload_asked;  // when idle
    bool load_asked;    // by config, without a request
    bool stop_failed;   // being stopped because it does not answer
    char reason[384];   // of the last failure
    uint8_t recipe[32]; // what the child was started with
    struct look *look;  // at what its server made of the draft (look.c), or NULL

    // memory.c
    struct need need;      // for the next load, or of the one that is
    struct sizes held;     // that are counted for it while it has a child
    struct sizes measured; // at the last look at this recipe; host 0: never
    int64_t window;        // tokens that its slots can keep
    uint64_t load_ms;      // how long the last load took
    uint64_t looked_ms, queued_ms;
    uint64_t tokens_before; // of the target's count, at its load
    bool pinned;
    bool is_held;   // the room it waits for is held by busy or warm ones
    bool was_asked; // in this turn of the queue
    char held_why[ENGINE_WHY_BYTES];
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
    unsigned n_waiting; // of all slots
    struct sizes budget;
    struct cards *cards;
    int64_t cores;
    bool in_queue;
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
void slot_begin(struct slot *s);           // on the way to READY, from OFF or BACKOFF
bool slot_is_wanted(const struct slot *s); // somebody waits for it, or config wants it loaded
// From QUEUED: there is room; or there will be none: back to OFF, and who waits hears why.
void slot_start(struct slot *s);
void slot_give_up(struct slot *s, enum err e, const char *why);
// Those who have another place to go need not wait for what others hold.
void slot_send_elsewhere(struct slot *s);
// Unloads if nothing runs on it. False: something does, or it is not loaded.
bool slot_unload(struct slot *s);
void slot_stop(struct slot *s);
// Tells when it goes if nobody wants it; ms until then, INT64_MAX never.
int64_t slot_show_expiry(struct slot *s, uint64_t now_ms);
void slot_suspect(struct slot *s);
bool slot_is_still(const struct slot *s); // no child, nothing under way
bool slot_recipe_changed(const struct slot *s);

// memory.c
// What s will take. ERR_ENGINE with *problem filled.
MUST_CHECK enum err memory_estimate(struct slot *s, struct buf *problem);
void memory_budget(struct engine *e);              // by config, and by what cards there are
void memory_cards_told(void *engine);              // it is known now
void memory_look(struct slot *s, uint64_t now_ms); // at what its child takes, if it is time
// Prompt caches grow: where models have outgrown the budget together, cold ones go.
void memory_press(struct engine *e);
// Starts those queued ones that have room, and asks others to go; their end comes back here.
void engine_queue(struct engine *e);

// engine.c
void engine_slot_ended(struct engine *e);
void engine_tick_soon(struct engine *e);

// look.c: once it is ready, whether its server took the draft that it was given.
void look_start(struct slot *s);
void look_cancel(struct slot *s);

// launch.c
// In the arena; NULL with *problem filled: there is none.
const char *launch_binary(const struct config_engine *c, struct arena *a, struct buf *problem);
// The argument list of the model's server in the arena; NULL with *problem filled.
const char *const *launch_args(const struct slot *s, struct arena *a, struct buf *problem);
void launch_recipe(const struct slot *s, uint8_t ret[32]);

#endif
