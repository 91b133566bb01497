// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_ALIAS_H
#define PRIVACY_ALIAS_H
// The map of one request: each private value beside its stand-in. Built anew from the request each time, in the order
// of the text, so that nothing needs to be kept: the same text gives the same map.
#include "base/arena.h"
#include "privacy/matcher.h"
#include "privacy/standin.h"

// One spelling of one value. Spellings of one value share `family`.
struct alias {
    enum entity entity;
    struct slice real, standin; // arena
    bool loose;                 // it stood where a letter or digit goes on
    uint32_t family, next;      // the next spelling of the family, plus 1
    bool part;                  // of an address: what stands before the @; only for the way back
};

struct aliases {
    struct arena *a;
    const struct standin_key *key;
    struct alias *v;
    uint32_t n, cap;
    uint32_t counts[ENTITY_COUNT]; // of values
    struct alias_set *set;
};

// key is borrowed for the map's life. False: out of memory.
bool aliases_init(struct aliases *m, struct arena *a, const struct standin_key *key);
// First, for each value of the request: none of them will be anybody's stand-in. False: out of memory.
bool aliases_note(struct aliases *m, enum entity e, struct slice real);
// Then: the stand-in of `given` as it is spelled here (arena). loose: see struct alias. p NULL: out of memory.
struct slice aliases_take(struct aliases *m, enum entity e, struct slice given, bool loose);

// Matchers over the map, in its arena; NULL: out of memory. The one finds real values (FORM_… by entity), the other
// stand-ins. Ids are indices of m->v, of the first spelling of a family.
struct matcher *aliases_find_real(const struct aliases *m);
struct matcher *aliases_find_standin(struct aliases *m);
// What `said`, found as family `id`, stands for: the very spelling where there is one, else the first, written like
// `said` (without separators, in capitals). Appended; exact: only the very spelling, false if there is none.
bool aliases_restore(const struct aliases *m, uint32_t id, struct slice said, bool exact, struct buf *out);

#endif
