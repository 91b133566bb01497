// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_OPTIONS_H
#define GRID_OPTIONS_H
// How a model of the engine is to be run: config's word for it, the engine's, else what fits model and machine.
#include "grid/room.h"
#include "store/models.h"

struct options {
    enum config_task task;              // never TASK_AUTO
    int64_t context, parallel, threads; // context in tokens of each slot; threads 0: one per core
    int64_t keep_ms;
    bool pin;
    const char *gpu_layers;                // as llama-server takes them; NULL: its own choice
    const char *draft, *projector;         // as config has them; NULL: none
    const struct config_engine_model *own; // what config says of this model; NULL: nothing
};
struct options options_of(const struct config_engine *c, const struct model *m);

// What guesses ahead.
struct draft {
    bool ngram;       // from the text itself
    const char *path; // of a model; NULL: none
    int64_t size_bytes;
    struct gguf header; // zeroed if it can't be read
};
// Reads the header where it is a file beyond the store. ERR_ENGINE with *problem filled: there is none like that.
MUST_CHECK enum err options_draft(const struct options *o, const struct models *all, struct draft *ret,
                                  struct buf *problem);

#define CARD_SERVER_BYTES (INT64_C(600) << 20) // of a card, for a server without a model; measured with CUDA: 614 MiB

int64_t engine_budget_bytes(const struct config_engine *c); // for all models together
// The same of graphics cards, of which so many bytes were free.
int64_t engine_card_budget_bytes(const struct config_engine *c, int64_t free_bytes);
// What its server takes: at least (weights, keys and values), and as estimated, with buffers and a draft. On a card lies
// what config says; where llama-server chooses, as much as card_budget holds, and at least nothing.
struct need {
    struct sizes least, likely;
};
struct need options_need(const struct options *o, const struct model *m, const struct draft *d, int64_t card_budget);

#endif
