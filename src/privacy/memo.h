// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_MEMO_H
#define PRIVACY_MEMO_H
// What was found in texts that were seen before: a conversation's next turn brings its past along.
#include "privacy/detector.h"

struct memo; // any thread

// Holds up to `entries` texts' findings, the oldest go first. NULL: out of memory.
struct memo *memo_new(size_t entries);
void memo_free(struct memo *m); // NULL is allowed

struct memo_key {
    uint64_t v[2];
};
// Keyed with bytes that only this memo knows: nobody can make two texts meet. `detector`: whose findings they are.
struct memo_key memo_key_of(const struct memo *m, uint64_t detector, struct slice text);
// Appends what is known of the text. False: nothing is known, or there was no memory to say it.
bool memo_find(struct memo *m, struct memo_key key, struct spans *out);
// Never fails: what can't be kept will be looked for again.
void memo_put(struct memo *m, struct memo_key key, const struct span *spans, size_t n);

#endif
