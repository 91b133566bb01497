// SPDX-License-Identifier: Apache-2.0
// Jobs: a pull of gigabytes, a conversion, a copy, each on a thread of its own, which may block as it likes. What others
// see of one is its list of steps, which only grows, and how far the last is; watchers look when they have time, so a slow
// client holds nothing up. The list owns its jobs; a job goes when its thread has ended and nobody watches it any more.
// Closing waits for the threads, so whatever runs in one looks at job_cancelled every 100 ms or so.
#include "store/job.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/limits.h"
#include "base/mem.h"

struct job {
    struct jobs *jobs;
    struct job *next;
    char *key;
    struct job_work work;
    unsigned watchers; // under jobs->lock
    bool running;      // its thread; under jobs->lock
    _Atomic bool cancel;
    pthread_mutex_t lock; // of what follows
    struct job_step steps[JOB_STEPS];
    size_t n_steps;
    bool done;
    enum err err;
    char problem[1024];
    uint64_t seen;
};

struct jobs {
    char *data_dir;
    uint64_t (*changed)(void *ctx, struct job *j);
    void *ctx;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct job *first;
    unsigned n_running;
    bool closing;
};

enum err jobs_new(const char *data_dir, uint64_t (*changed)(void *ctx, struct job *j), void *ctx, struct jobs **ret) {
    struct jobs *jobs = mem_zalloc(sizeof *jobs);
    if (!jobs)
        return ERR_NO_MEMORY;
    jobs->data_dir = mem_strdup(data_dir);
    if (!jobs->data_dir) {
        mem_free(jobs);
        return ERR_NO_MEMORY;
    }
    jobs->changed = changed;
    jobs->ctx = ctx;
    (void)pthread_mutex_init(&jobs->lock, NULL);
    (void)pthread_cond_init(&jobs->ended, NULL);
    *ret = jobs;
    return ERR_OK;
}

// Under the lock.
static void job_sweep(struct job *j) {
    if (j->watchers > 0 || j->running)
        return;
    struct job **at = &j->jobs->first;
    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    j->work.arg_free(j->work.arg);
    (void)pthread_mutex_destroy(&j->lock);
    mem_free(j->key);
    mem_free(j);
}

static void *job_thread(void *arg) {
    struct job *j = arg;
    struct jobs *jobs = j->jobs;
    enum err e = j->work.run(j, j->work.arg);
    (void)pthread_mutex_lock(&j->lock);
    j->done = true;
    j->err = e;
    if (e && !j->problem[0])
        (void)snprintf(j->problem, sizeof j->problem, "%s", err_row(e)->text);
    (void)pthread_mutex_unlock(&j->lock);
    (void)pthread_mutex_lock(&jobs->lock);
    j->running = false;
    job_sweep(j);
    jobs->n_running--;
    (void)pthread_cond_broadcast(&jobs->ended);
    (void)pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

void jobs_close(struct jobs *jobs) {
    if (!jobs)
        return;
    (void)pthread_mutex_lock(&jobs->lock);
    jobs->closing = true;
    for (struct job *j = jobs->first; j; j = j->next)
        atomic_store(&j->cancel, true);
    while (jobs->n_running > 0)
        (void)pthread_cond_wait(&jobs->ended, &jobs->lock);
    while (jobs->first) { // watched by connections that are gone with their loops
        jobs->first->watchers = 0;
        job_sweep(jobs->first);
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    (void)pthread_cond_destroy(&jobs->ended);
    (void)pthread_mutex_destroy(&jobs->lock);
    mem_free(jobs->data_dir);
    mem_free(jobs);
}

static struct job *job_running(struct jobs *jobs, struct slice key) {
    for (struct job *j = jobs->first; j; j = j->next)
        if (slice_is(key, j->key) && j->running && !atomic_load(&j->cancel))
            return j;
    return NULL;
}

static enum err job_new(struct jobs *jobs, struct slice key, const struct job_work *work, struct job **ret) {
    if (jobs->closing)
        return ERR_DRAINING;
    if (jobs->n_running >= LIMIT_JOBS)
        return ERR_BUSY;
    struct job *j = mem_zalloc(sizeof *j);
    if (!j)
        return ERR_NO_MEMORY;
    j->key = mem_strndup(key.p, key.n);
    if (!j->key) {
        mem_free(j);
        return ERR_NO_MEMORY;
    }
    j->jobs = jobs;
    j->work = *work;
    (void)pthread_mutex_init(&j->lock, NULL);
    *ret = j;
    return ERR_OK;
}

// Under the lock: the thread ends behind it at the earliest.
static enum err job_run(struct job *j) {
    pthread_attr_t detached;
    pthread_t thread;
    (void)pthread_attr_init(&detached);
    (void)pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    bool ok = pthread_create(&thread, &detached, job_thread, j) == 0;
    (void)pthread_attr_destroy(&detached);
    if (!ok)
        return ERR_LIMIT;
    j->next = j->jobs->first;
    j->jobs->first = j;
    j->jobs->n_running++;
    j->running = true;
    return ERR_OK;
}

enum err job_start(struct jobs *jobs, struct slice key, const struct job_work *work, struct job **ret) {
    (void)pthread_mutex_lock(&jobs->lock);
    struct job *j = job_running(jobs, key);
    bool joined = j != NULL;
    enum err e = joined ? ERR_OK : job_new(jobs, key, work, &j);
    if (!e && !joined) {
        e = job_run(j);
        if (e) {
            (void)pthread_mutex_destroy(&j->lock);
            mem_free(j->key);
            mem_free(j);
        }
    }
    if (!e)
        j->watchers++;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (e || joined)
        work->arg_free(work->arg);
    if (!e)
        *ret = j;
    return e;
}

void job_leave(struct job *j) {
    struct jobs *jobs = j->jobs;
    (void)pthread_mutex_lock(&jobs->lock);
    if (--j->watchers == 0)
        atomic_store(&j->cancel, true); // one that is done does not look any more
    job_sweep(j);
    (void)pthread_mutex_unlock(&jobs->lock);
}

void job_look(struct job *j, struct job_view *ret) {
    (void)pthread_mutex_lock(&j->lock);
    *ret = (struct job_view){j->n_steps, j->done, j->err, j->problem, j->seen};
    (void)pthread_mutex_unlock(&j->lock);
}

bool job_step_at(struct job *j, size_t i, struct job_step *ret) {
    (void)pthread_mutex_lock(&j->lock);
    bool there = i < j->n_steps;
    if (there)
        *ret = j->steps[i];
    (void)pthread_mutex_unlock(&j->lock);
    return there;
}

// ---- inside

const char *job_data_dir(const struct job *j) {
    return j->jobs->data_dir;
}

bool job_cancelled(const struct job *j) {
    return atomic_load(&j->cancel);
}

void job_cancel(struct job *j) {
    atomic_store(&j->cancel, true);
}

// What does not fit replaces the last one: the end is what watchers wait for.
static void step_add(struct job *j, const struct job_step *step) {
    (void)pthread_mutex_lock(&j->lock);
    if (j->n_steps < JOB_STEPS)
        j->n_steps++;
    j->steps[j->n_steps - 1] = *step;
    (void)pthread_mutex_unlock(&j->lock);
}

void job_say(struct job *j, const char *fmt, ...) {
    struct job_step step = {0};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(step.status, sizeof step.status, fmt, args);
    va_end(args);
    step_add(j, &step);
}

void job_bytes(struct job *j, const char *status, const char *digest, int64_t total) {
    struct job_step step = {.total = total};
    (void)snprintf(step.status, sizeof step.status, "%s", status);
    (void)snprintf(step.digest, sizeof step.digest, "%s", digest);
    step_add(j, &step);
}

void job_total(struct job *j, int64_t total) {
    (void)pthread_mutex_lock(&j->lock);
    if (j->n_steps)
        j->steps[j->n_steps - 1].total = total > 0 ? total : 0;
    (void)pthread_mutex_unlock(&j->lock);
}

void job_progress(struct job *j, int64_t completed) {
    (void)pthread_mutex_lock(&j->lock);
    if (j->n_steps)
        j->steps[j->n_steps - 1].completed = completed;
    (void)pthread_mutex_unlock(&j->lock);
}

enum err job_problem(struct job *j, enum err e, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)pthread_mutex_lock(&j->lock);
    if (!j->problem[0])
        (void)vsnprintf(j->problem, sizeof j->problem, fmt, args);
    (void)pthread_mutex_unlock(&j->lock);
    va_end(args);
    return e;
}

void job_changed(struct job *j) {
    uint64_t seen = j->jobs->changed(j->jobs->ctx, j);
    (void)pthread_mutex_lock(&j->lock);
    j->seen = seen;
    (void)pthread_mutex_unlock(&j->lock);
}
