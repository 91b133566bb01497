// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_HELPER_H
#define STORE_HELPER_H
// Programs that do a part of a job's work, as children of it.
#include "config/config.h"
#include "store/job.h"
#include "store/manifest.h"

typedef void helper_line(void *ctx, struct slice line);
// Runs argv until it ends or the job is cancelled, which kills its session. out, err: called with each line of its standard
// output and error; may be NULL. ERR_OK: it ended well. ERR_CANCELLED, ERR_INTERNAL (it can't be run), ERR_UP_INTERNAL (it
// failed; its last word is the problem), all said.
MUST_CHECK enum err helper_run(struct job *j, char *const argv[], helper_line *out, helper_line *err, void *ctx);
// Its file, on the store's disk, becomes a blob. ERR_DISK, said.
MUST_CHECK enum err helper_adopt(struct job *j, const char *file, char ret_hex[HEX_BYTES], int64_t *ret_bytes);

// The first of these places beside this program, or in the source tree that it was built in, where a program lies.
bool helper_beside(const char *const *places, size_t n_places, char (*ret)[4096]);
// llama-quantize, which lies beside llama-server.
bool helper_quantizer(const struct config *c, char (*ret)[4096]);

#endif
