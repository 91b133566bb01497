// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_BOOK_H
#define SIM_BOOK_H
// What reached the scripted provider, what it charges, and what it was told to do next. Any thread.
#include <pthread.h>
#include "base/buf.h"
#include "sim/peer.h"

#define BOOK_REQUESTS 1000
#define BOOK_QUEUE 4096
#define BOOK_BODY_BYTES (4u << 20) // of a body that is kept to be shown

struct book_entry {
    uint64_t number;     // 0: free
    char *json;          // owned: {"method":…,"path":…,"headers":{…},"body":… without the closing brace
    const char *outcome; // "open", "done", "gone", "cut"
    int64_t events;
    uint64_t body_sent;
};

struct book {
    pthread_mutex_t lock;
    int bill_fd;                       // -1: none
    int64_t input_price, output_price; // pico-USD per token
    uint64_t next_number;
    struct book_entry entries[BOOK_REQUESTS];
    char *queue[BOOK_QUEUE]; // owned JSON texts of orders
    size_t queue_from, queue_to;
    char *standing; // owned: {"default":…,"models":…} or NULL
    // totals
    int64_t requests, cancelled, input_tokens, output_tokens, cost_picousd;
};

void book_init(struct book *b, int bill_fd, int64_t input_price, int64_t output_price);
// Its number, from 1.
uint64_t book_arrived(struct book *b, const struct peer_request *r);

struct bill_line {
    struct slice model;
    int64_t input_tokens, output_tokens;
    int status;
    bool cancelled;
};
void book_ended(struct book *b, uint64_t number, const struct peer *w, const struct bill_line *line);
// Applies the standing orders (for that model) and the next of the queue. ERR_BAD_JSON, ERR_BAD_FIELD, ERR_NO_MEMORY.
MUST_CHECK enum err book_order(struct book *b, struct arena *a, struct slice model, struct order *o);
// A list of orders is queued, an object replaces the standing ones ("queue" in it is queued).
MUST_CHECK enum err book_script(struct book *b, struct slice json);
void book_reset(struct book *b);
void book_bill_json(struct book *b, struct buf *out);
void book_requests_json(struct book *b, struct buf *out);

#endif
