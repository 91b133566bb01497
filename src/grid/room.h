// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_ROOM_H
#define GRID_ROOM_H
// Who may be in memory. Pure: no clock, no allocation.
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum room {
    ROOM_FREE,  // there is room now
    ROOM_SOON,  // there will be once those have gone that leave, or were told to (must_go)
    ROOM_HELD,  // busy or warm models hold it
    ROOM_NEVER, // it does not fit, whoever goes
};

enum tenure { TENURE_IDLE, TENURE_BUSY, TENURE_PINNED, TENURE_LEAVING };

// Bytes: of the machine's memory, of its graphics cards' (0 where there are none, also as a budget).
struct sizes {
    int64_t host, card;
};

struct tenant {
    struct sizes size;
    enum tenure tenure;
    int64_t idle_ms; // since its last use
    int64_t cost_ms; // what bringing it back would take: its load, and its prompts read again
    bool must_go;    // out
};

struct room_wish {
    struct sizes need;  // as estimated
    struct sizes least; // what it takes at the very least
    struct sizes budget;
    int64_t warm_ms; // no model is warm for longer
    bool may_evict;
};

// An idle model stays for as long as bringing it back would take: then no order of requests makes us spend more than
// twice the least possible time on loading (the ski rental bound).
bool tenant_is_warm(const struct tenant *t, int64_t warm_ms);
// All or nothing: must_go is set for those that together make room, cheapest first, or for nobody.
enum room room_find(struct tenant *v, size_t n, const struct room_wish *w);

#endif
