// SPDX-License-Identifier: Apache-2.0
// The way of every question that blocks, from a loop to the pool and back. It belongs to whoever runs it: the connection
// only points at it, and takes that back when the client leaves.
#include "admin/errand.h"
#include "base/mem.h"

static void errand_gone(struct guest *g) {
    ((struct errand *)(void *)g)->conn = NULL;
}

void errand_free(struct errand *e) {
    buf_done(&e->out);
    mem_free(e);
}

static void errand_end(struct errand *e) {
    (e->drop ? e->drop : errand_free)(e);
}

static void errand_work(void *arg) {
    struct errand *e = arg;
    e->work(e);
    if (!e->err && e->out.failed)
        e->err = ERR_NO_MEMORY;
}

static void errand_finish(struct errand *e) {
    if (e->done)
        e->done(e);
    else
        errand_answer(e, NULL);
    errand_end(e);
}

static void errand_done(void *arg) {
    struct errand *e = arg;
    if (e->conn)
        conn_set_user(e->conn, NULL);
    errand_finish(e);
}

void errand_run(struct conn *c, struct errand *e) {
    e->conn = c;
    errand_work(e);
    errand_finish(e);
}

void errand_answer(struct errand *e, const char *message) {
    if (e->conn && e->err)
        api_respond_error(e->conn, slice_str(e->path), e->err, message);
    else if (e->conn)
        api_respond_json(e->conn, 200, &e->out);
}

void errand_start(struct shift *s, struct conn *c, struct errand *e) {
    if (!e) {
        api_respond_error(c, SLICE("/gridtie"), ERR_NO_MEMORY, NULL);
        return;
    }
    e->guest = (struct guest){.gone = errand_gone};
    e->conn = c;
    conn_set_user(c, &e->guest);
    if (loop_offload(&s->worker.loop, errand_work, errand_done, e) == ERR_OK)
        return;
    conn_set_user(c, NULL);
    api_respond_error(c, slice_str(e->path), ERR_BUSY, NULL);
    errand_end(e);
}
