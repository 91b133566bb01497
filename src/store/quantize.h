// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_QUANTIZE_H
#define STORE_QUANTIZE_H
// Weights of another quantization, made by llama-quantize.
#include "config/config.h"
#include "store/job.h"
#include "store/manifest.h"

// Writes what is at `from` (a GGUF file) as `type` ("q4_K_M", any case) into a blob, as a step of the job. ERR_BAD_FIELD (no
// such type), ERR_UNSUPPORTED (there is no llama-quantize here), and helper_run's; all said.
MUST_CHECK enum err quantize_run(struct job *j, const struct config *c, const char *from, struct slice type,
                                 char ret_hex[HEX_BYTES], int64_t *ret_bytes);

#endif
