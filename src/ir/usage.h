// SPDX-License-Identifier: Apache-2.0
#ifndef IR_USAGE_H
#define IR_USAGE_H
#include <stdbool.h>
#include <stdint.h>
#include "base/usd.h"

// Token counts of one attempt; -1 is "not reported". One meaning for all dialects:
//   input_tokens includes cache_read and cache_write; output_tokens includes reasoning (each token counted once).
struct usage {
    int64_t input_tokens;
    int64_t cache_read_tokens;
    int64_t cache_write_tokens;
    int64_t output_tokens;
    int64_t reasoning_tokens;
    // llama-server and Ollama report how long they worked; -1 if not
    int64_t prompt_us;
    int64_t output_us;
    int64_t load_us;
    bool estimated; // our own count, the upstream gave none
    // llama-server with speculative decoding: tokens that were guessed ahead, and those of them that held; 0 none
    int64_t draft_tokens, draft_accepted;
};
#define USAGE_NONE ((struct usage){-1, -1, -1, -1, -1, -1, -1, -1, false, 0, 0})

// Takes from `b` what it reports (a stream reports input first, output later). Negative and absurd (> 2^40) values are
// ignored and false is returned.
bool usage_merge(struct usage *into, const struct usage *b);

// Prices in pico-USD per token; -1 unknown.
struct price {
    int64_t input;
    int64_t output;
    int64_t cache_read;  // -1: as input
    int64_t cache_write; // -1: as input
    // Above so many input tokens the whole request costs this instead; tier_tokens 0: never. The caches' -1: as tier_input.
    int64_t tier_tokens, tier_input, tier_output, tier_cache_read, tier_cache_write;
};
#define PRICE_UNKNOWN ((struct price){.input = -1, .output = -1, .cache_read = -1, .cache_write = -1})
#define PRICE_FREE ((struct price){.input = 0, .output = 0, .cache_read = 0, .cache_write = 0})

static inline bool price_known(const struct price *p) {
    return p->input >= 0 && p->output >= 0;
}
// What holds for a request of so many input tokens: the price itself, or its tier. Without a tier of its own then.
struct price price_at(const struct price *p, int64_t input_tokens);
// Cost in pico-USD; -1 when the price or the counts are unknown; saturates at INT64_MAX.
int64_t usage_cost(const struct usage *u, const struct price *base);

#endif
