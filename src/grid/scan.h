// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_SCAN_H
#define GRID_SCAN_H
// Looking for servers on the loopback ports of this machine. Main thread.
#include "base/limits.h"
#include "grid/grid.h"

struct scan_port {
    const struct provider *provider; // who is expected there
    uint16_t port;
};

// Who answered.
struct scan_find {
    const struct provider *provider;
    uint16_t port;
    enum zone zone;
};

// Nothing is looked at before scan_set. found(ctx, find) is called once per find, from the loop's turn.
struct scan;
MUST_CHECK enum err scan_new(struct loop *l, struct client *c, void (*found)(void *ctx, const struct scan_find *find),
                             void *ctx, struct scan **ret);
// The ports from now on. One that stays keeps its state: found, or the time until it is asked again.
void scan_set(struct scan *s, const struct scan_port *v, size_t n);
// Who was found there is gone: look again.
void scan_again(struct scan *s, uint16_t port);
void scan_close(struct scan *s, void (*closed)(void *ctx), void *ctx);

// What a list of models tells of who gives it. expected: the row that was asked as. NULL: nobody that can be used (not a
// list, no model in it).
const struct provider *scan_identify(const struct provider *expected, struct slice body);

#endif
