// SPDX-License-Identifier: Apache-2.0
// A client that watches a job of the store: a line of JSON for each step and for how far the last one is, as Ollama's
// clients read them. The job runs on a thread of its own and nobody tells us: a timer of the client's loop looks. "success"
// is said only when this worker's snapshot has what the job made, so that the client's next request finds it. A client that
// goes leaves the job, which ends when nobody watches it. While the daemon drains, pulls end too: they can be resumed.
#include "admin/api.h"
#include "admin/models.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/job.h"
#include "switch/sink.h"

#define LOOK_FIRST_MS 5 // most jobs are copies and removals
#define LOOK_MS 100     // a progress bar that moves ten times a second is smooth
#define SEEN_MS 5000    // for a snapshot to reach this loop

struct watch {
    struct guest guest; // first
    struct shift *shift;
    struct conn *conn; // NULL: gone
    struct job *job;
    struct timer timer;
    enum watch_as as;
    size_t at;         // steps said
    int64_t completed; // of the last, as it was said
    int64_t total;
    uint64_t look_ms, done_ms;
};

static void watch_freed(void *arg) {
    mem_free(arg);
}

static void watch_end(struct watch *w) {
    if (w->conn)
        conn_set_user(w->conn, NULL);
    w->conn = NULL;
    if (w->job)
        job_leave(w->job);
    w->job = NULL;
    timer_close(&w->timer, watch_freed);
}

static void watch_gone(struct guest *g) {
    struct watch *w = (void *)g;
    w->conn = NULL;
    watch_end(w);
}

static void line_write(struct watch *w, struct buf *line) {
    buf_append_char(line, '\n');
    if (!conn_started(w->conn))
        conn_start(w->conn, 200, "application/x-ndjson", NULL, NULL);
    conn_write(w->conn, buf_slice(line));
}

static void say(struct watch *w, const char *key, const char *text) {
    struct buf line = BUF_INIT(8192);
    struct json_writer j = JSON_WRITER(&line);
    json_obj(&j);
    json_kv_cstr(&j, key, text);
    json_obj_end(&j);
    line_write(w, &line);
    buf_done(&line);
}

static void step_write(struct watch *w, const struct job_step *step) {
    struct buf line = BUF_INIT(8192);
    struct json_writer j = JSON_WRITER(&line);
    json_obj(&j);
    json_kv_cstr(&j, "status", step->status);
    if (step->digest[0])
        json_kv_cstr(&j, "digest", step->digest);
    if (step->total > 0)
        json_kv_int(&j, "total", step->total);
    if (step->completed > 0)
        json_kv_int(&j, "completed", step->completed);
    json_obj_end(&j);
    line_write(w, &line);
    buf_done(&line);
    w->completed = step->completed;
    w->total = step->total;
}

static void steps_write(struct watch *w, size_t n) {
    struct job_step step;
    if (w->at > 0 && job_step_at(w->job, w->at - 1, &step) &&
        (step.completed != w->completed || step.total != w->total))
        step_write(w, &step);
    for (; w->at < n && job_step_at(w->job, w->at, &step); w->at++)
        step_write(w, &step);
}

static void refuse(struct watch *w, enum err e, const char *problem) {
    struct conn *c = w->conn;
    bool started = conn_started(c);
    if (started)
        say(w, "error", problem);
    conn_set_user(c, NULL);
    if (started)
        conn_end(c, NULL);
    else
        api_respond_error(c, slice_str("/api/pull"), e, problem); // the problem is the job's
    w->conn = NULL;
    watch_end(w);
}

static void succeed(struct watch *w) {
    struct conn *c = w->conn;
    enum watch_as as = w->as;
    if (as == WATCH_STREAM)
        say(w, "status", "success");
    watch_end(w);
    if (as == WATCH_STREAM)
        conn_end(c, NULL);
    else
        conn_respond(c, 200, as == WATCH_ONCE ? "application/json" : NULL, NULL,
                     as == WATCH_ONCE ? SLICE("{\"status\":\"success\"}") : SLICE_NONE);
}

static void watch_look(struct timer *t) {
    struct watch *w = t->arg;
    struct job_view v;
    job_look(w->job, &v);
    if (w->as == WATCH_STREAM)
        steps_write(w, v.n_steps);
    if (v.done && v.err) {
        refuse(w, v.err, v.problem);
        return;
    }
    if (v.done && w->done_ms == 0)
        w->done_ms = clock_mono_ms();
    bool seen = w->shift->worker.snap->id >= v.seen || clock_mono_ms() - w->done_ms > SEEN_MS;
    if (v.done && seen) {
        succeed(w);
        return;
    }
    if (w->shift->worker.draining) {
        refuse(w, ERR_DRAINING, "gridtie is shutting down; what came is kept, and the next pull goes on from there");
        return;
    }
    w->look_ms = w->look_ms * 2 < LOOK_MS ? w->look_ms * 2 : LOOK_MS;
    timer_start(&w->timer, w->look_ms);
}

void watch_start(struct shift *s, struct conn *c, struct slice path, struct job *j, enum watch_as as) {
    struct watch *w = mem_zalloc(sizeof *w);
    if (!w) {
        job_leave(j);
        api_respond_error(c, path, ERR_NO_MEMORY, NULL);
        return;
    }
    *w = (struct watch){
        .guest = {watch_gone, NULL}, .shift = s, .conn = c, .job = j, .as = as, .look_ms = LOOK_FIRST_MS};
    timer_init(&w->timer, &s->worker.loop, watch_look, w);
    conn_set_user(c, &w->guest);
    timer_start(&w->timer, w->look_ms);
}
