// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_PULL_H
#define STORE_PULL_H
// Getting a model: from the built-in index, a registry that speaks Ollama's protocol, Hugging Face, a URL or this disk.
#include "config/config.h"
#include "store/download.h"

// Starts or joins the pull of `source`; `as` (may be empty) is the name it gets here. The caller watches the job.
// ERR_BAD_FIELD with *problem: it is no source; the errors of job_start.
MUST_CHECK enum err pull_start(struct jobs *jobs, struct config *c, struct slice source, struct slice as,
                               struct job **ret, struct buf *problem);
// What the built-in index has: "smollm2:135m"; NULL behind the last.
const char *pull_indexed(size_t i);
// Would `gridtie pull NAME` find this in the index? ":latest" is the first of its model.
bool pull_is_indexed(struct slice name);

// --- between pull*.c: one pull
struct pull {
    struct job *job;
    struct config *config;
    struct wire wire;
    struct secret token; // for Hugging Face; empty: none
    struct arena arena;
    struct manifest made; // what is gathered
    char source[WIRE_URL_BYTES], as[NAME_BYTES];
};
// Adds a blob to the weights of p->made.
MUST_CHECK enum err pull_add_weights(struct pull *p, const char *hex, int64_t bytes);
MUST_CHECK enum err pull_name(struct pull *p, const char *name); // unless the caller said another
enum err pull_no_memory(struct pull *p);
// One source each. They fill p->made; errors are said.
MUST_CHECK enum err pull_from_registry(struct pull *p);
MUST_CHECK enum err pull_from_hub(struct pull *p);
MUST_CHECK enum err pull_from_index(struct pull *p);

// Checks that the weights are a model, writes the name, tells the grid. Said when it fails.
MUST_CHECK enum err pull_keep(struct job *j, struct manifest *m);
// The template of p->made, if it is one that llama-server reads; else the job says that the weights' own is used.
MUST_CHECK enum err pull_take_template(struct job *j, struct arena *a, struct manifest *m, struct slice text);

#endif
