// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_SERVE_H
#define SIM_SERVE_H
#include "sim/book.h"

struct sim {
    struct book book;
    struct peer_stats stats;
    struct order defaults; // from the command line
    const char *models;    // "a,b,c"
};

// Answers requests on fd until it ends, then closes it. Blocks; one thread each.
void serve_connection(struct sim *s, int fd);

#endif
