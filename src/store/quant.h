// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_QUANT_H
#define STORE_QUANT_H
// What names of GGUF files say, by the habits of those who publish them.
#include "base/slice.h"

// "Q4_K_M" of "Qwen3-8B-Q4_K_M" or "qwen3-8b.q4_k_m"; empty when none stands there. Borrowed of stem.
struct slice quant_of_file(struct slice stem);
// "mmproj-model-f16.gguf": a multimodal projector, no model by itself.
bool quant_is_projector(struct slice file);
// Is `quant` the one asked for, whatever its case?
bool quant_same(struct slice quant, struct slice asked);
// The better one where nothing is asked for: smaller is better. By what most people can run: Q4_K_M first.
unsigned quant_rank(struct slice quant);

#endif
