// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_CHANGE_H
#define STORE_CHANGE_H
// New names for what is there, names made by a Modelfile, and names that go. Each is a job that the caller watches.
#include "config/config.h"
#include "store/job.h"
#include "store/manifest.h"

// ERR_BAD_FIELD with *problem: no names; the errors of job_start. The job's own: ERR_MODEL_NOT_FOUND, ERR_DISK.
MUST_CHECK enum err copy_start(struct jobs *jobs, struct config *c, struct slice source, struct slice destination,
                               struct job **ret, struct buf *problem);
// The job's own: ERR_MODEL_NOT_FOUND; ERR_BAD_FIELD: it is not the store's, and where it lies.
MUST_CHECK enum err remove_start(struct jobs *jobs, struct config *c, struct slice name, struct job **ret,
                                 struct buf *problem);
// body: Ollama's request (model, from, files, template, system, parameters, license, messages), or ours with the text of a
// Modelfile in `modelfile` and the folder that its paths start from in `path`. Errors as copy_start.
MUST_CHECK enum err create_start(struct jobs *jobs, struct config *c, struct slice body, struct job **ret,
                                 struct buf *problem);

// What a name stands for, as a manifest: the store's, or one made for weights that lie elsewhere. All in the arena.
// ERR_MODEL_NOT_FOUND (said), ERR_NO_MEMORY. *ret_ours: it is a name of the store.
MUST_CHECK enum err model_resolve(struct job *j, struct config *c, struct slice asked, struct arena *a,
                                  struct manifest *ret, bool *ret_ours);

#endif
