// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_TURNS_H
#define SWITCH_TURNS_H
// Signatures of turns without a call, for clients whose dialect has no place for them (dialect/carry.h): kept for a while,
// found again by the conversation up to that turn and its words. Who comes back late, or after a restart, goes on without.
#include "switch/exchange.h"

struct turns;
struct turns *turns_new(void); // NULL: no memory
void turns_free(struct turns *t);

// Any loop's thread. What the answer to x, of these words, had left to carry. t NULL is allowed, here and below.
void turns_keep(struct turns *t, const struct exchange *x, struct slice words, struct slice package);
// Puts what is known of x's past turns back into its request. ERR_NO_MEMORY.
MUST_CHECK enum err turns_recall(struct turns *t, struct exchange *x);

#endif
