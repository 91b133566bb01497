// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_PLACES_H
#define GRID_PLACES_H
// The endpoints that there are: those of config, then what was found on this machine's ports, then what the usual
// variables hold keys for. Main thread.
#include "grid/endpoint.h"
#include "grid/scan.h"

struct places {
    struct endpoint **v; // one reference each
    size_t n;
};

// All problems are listed, not only the first. ERR_BAD_FIELD, ERR_NO_MEMORY; *ret is untouched then.
// What is found gives way to config: a name or a place that config has is not taken a second time.
MUST_CHECK enum err places_make(const struct config *c, const struct scan_find *finds, size_t n_finds,
                                struct places *ret, struct buf *problem);
void places_done(struct places *p);

// The ports to look at: config's, else the providers' own; without those that config has an endpoint on or listens on.
// At most LIMIT_SCAN_PORTS.
size_t places_ports(const struct config *c, struct scan_port ret[LIMIT_SCAN_PORTS]);

#endif
