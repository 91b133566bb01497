// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_SERVE_H
#define SIM_SERVE_H
#include "sim/book.h"

struct sim {
    struct book book;
    struct peer_stats stats;
    struct order defaults; // from the command line
    const char *owner;     // `owned_by` in its lists
    // What its lists show; POST /sim/models changes it.
    pthread_mutex_t lists_lock;
    char models[4096]; // "a,b,c"
    struct buf list;   // the whole answer to GET /models instead; empty: made of the names
    int list_status;   // 200, or the error that every list answers
};

// Answers requests on fd until it ends, then closes it. Blocks; one thread each.
void serve_connection(struct sim *s, int fd);

#endif
