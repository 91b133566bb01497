// SPDX-License-Identifier: Apache-2.0
#ifndef ADMIN_ERRAND_H
#define ADMIN_ERRAND_H
// A question whose answer takes a disk, or long: the pool finds it, the loop that it came to sends it.
#include "admin/api.h"
#include "switch/sink.h"

struct errand {
    struct guest guest; // first
    struct conn *conn;  // NULL: the client is gone, and loses only its answer
    const char *path;   // whose dialect errors have the shape of; static
    struct buf out;     // the answer
    enum err err;
    void (*work)(struct errand *e); // by the pool: fills out, or sets err
    void (*done)(struct errand *e); // on the loop, also when the client is gone; NULL: errand_answer(e, NULL)
    void (*drop)(struct errand *e); // the end; NULL: errand_free
};
// Takes e, of which path, out and work are set; it is dropped when it is done, or at once when it can't be started,
// which the client is told. NULL: there was no memory for it, said in the shape of OpenAI's errors.
void errand_start(struct shift *s, struct conn *c, struct errand *e);
// The same here and now: for what is short this time.
void errand_run(struct conn *c, struct errand *e);
// To the client, if it is there: its error with the message, or `out` as JSON.
void errand_answer(struct errand *e, const char *message);
// `out`, and e itself.
void errand_free(struct errand *e);

#endif
