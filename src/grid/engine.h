// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_ENGINE_H
#define GRID_ENGINE_H
// The supervised llama-servers: one per loaded model. Main thread, but for what want_deliver does.
#include "store/models.h"
#include "grid/snapshot.h"

struct engine;
#define ENGINE_WHY_BYTES 640 // of a reason that a client reads

// One question "is it ready?", on its way from a loop to the main thread and back. Given to engine_take.
struct want {
    struct want *next;
    struct grid *grid;
    struct target_live *live;
    struct loop *l;
    struct engine_ask ask;
    void (*reply)(void *arg, enum err e, const char *detail);
    void *arg;
    uint64_t since_ms, deadline_ms;
    enum err err;
    char detail[ENGINE_WHY_BYTES];
};

// Directories are copied; client and lives borrowed. Nothing is started.
MUST_CHECK enum err engine_new(struct loop *l, struct client *client, struct lives *lives, const char *data_dir,
                               const char *runtime_dir, struct engine **ret);
// Takes a reference of c, is given m. Children of models that stay are kept; what changed restarts when it is idle. On an
// error nothing has changed, and m stays with the caller.
MUST_CHECK enum err engine_configure(struct engine *e, struct config *c, struct models *m, struct buf *problem);
const struct models *engine_models(const struct engine *e); // borrowed until the next configure
// The model's socket, borrowed until the model goes; NULL: no such model.
const char *engine_socket(const struct engine *e, const char *model);
void engine_close(struct engine *e, void (*closed)(void *ctx), void *ctx);

void engine_take(struct engine *e, struct want *w);
void engine_take_unload(struct engine *e, const struct target_live *live);
void engine_take_suspicion(struct engine *e, const struct target_live *live);

// Sends the answer home; what can't be posted now is tried again. The want is freed on its loop.
void want_reply(struct engine *e, struct want *w, enum err err, const char *detail);
void want_deliver(void *want); // loop thread

#endif
