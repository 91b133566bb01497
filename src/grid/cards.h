// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_CARDS_H
#define GRID_CARDS_H
// The graphics cards that models may lie on, as the llama-server that uses them sees them: so it is the same for CUDA,
// Vulkan, ROCm and whatever else that was built with. Main thread.
#include "net/loop.h"

struct cards;
// told(ctx) after each answer.
MUST_CHECK enum err cards_new(struct loop *l, void (*told)(void *ctx), void *ctx, struct cards **ret);
// Asks that llama-server, unless it is the one that was asked last, or an answer is under way.
void cards_ask(struct cards *c, const char *binary);
bool cards_busy(const struct cards *c); // an answer is under way
// Bytes of all cards, and what other programs had left of them when it was asked; 0: there are none that it can use.
int64_t cards_total(const struct cards *c);
int64_t cards_free(const struct cards *c);
unsigned cards_count(const struct cards *c);
void cards_close(struct cards *c, void (*closed)(void *ctx), void *ctx);

// A line of `llama-server --list-devices`, "  CUDA0: NVIDIA H200 (143771 MiB, 143000 MiB free)", in bytes. False: it is
// no card.
bool cards_line(struct slice line, int64_t *ret_total, int64_t *ret_free);

#endif
