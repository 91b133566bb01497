// SPDX-License-Identifier: Apache-2.0
#ifndef FAULT_SCENE_H
#define FAULT_SCENE_H
// The requests that the fault suites send, and the config they are sent to: one endpoint per dialect on the scripted
// provider, a route whose first target fails, an engine whose model `warm` loads at once and `cold` after a while.
#include "fault/rig.h"

struct scene {
    const char *name;
    const char *dialect; // of the client
    const char *model;
    bool stream;
    char body[1 << 17];
    int filler; // KB of words more in the request, and as much in the answer
    bool much;  // more than a loop reads and writes by itself
    bool slow;  // the client takes nothing, and what is done is done once the upstream is paused
};
#define SCENE(...) (&(struct scene){__VA_ARGS__})

// A client whose key has a budget that no worst case fits into, and the owner, whom nothing binds.
#define SCENE_MONEY                                                  \
    "loopback: owner\n"                                              \
    "keys: [{name: payer, secret: s, budgets: [{amount: 1 USD}]}]\n" \
    "budgets: {wait: 2s, max_tokens: 1000000}\n"
extern const char scene_yaml[];
bool scene_rig(struct rig *r);
// Is it the payer's?
bool scene_is_paid(const struct scene *s);
// Fills the body.
void scene_write(struct scene *s);
const char *scene_path(const struct scene *s);
// What only the proper end of an answer to it holds.
const char *scene_end(const struct scene *s);
// A whole 200 with its proper end.
bool scene_is_answered(const struct scene *s, const struct visit *v);

#endif
