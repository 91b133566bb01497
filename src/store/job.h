// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_JOB_H
#define STORE_JOB_H
// Long work on the store: a thread of its own each, watched by whoever wants to see how far it is. Two who ask for the
// same share one; when the last watcher goes, it is cancelled.
#include <stdatomic.h>
#include "base/err.h"
#include "base/slice.h"

struct job;
struct jobs;

struct job_step {
    char status[200];         // "pulling 8eeb52dfb3bb"
    char digest[72];          // "sha256:…", or empty
    int64_t total, completed; // bytes; total 0: it has none
};
#define JOB_STEPS 512 // a GGUF in 256 parts, and what stands around them

struct job_view {
    size_t n_steps; // so far
    bool done;
    enum err err;        // once done
    const char *problem; // once done: what is wrong and what to do; borrowed of the job
    uint64_t seen;       // once done: what `changed` returned
};

// changed: the store is another now; called on the job's thread, which waits in it until requests can go to what is new
// (or is_cancelled(job)). Its result is shown as job_view.seen.
MUST_CHECK enum err jobs_new(const char *data_dir, uint64_t (*changed)(void *ctx, struct job *j), void *ctx,
                             struct jobs **ret);
// Cancels all, waits until their threads are gone (they look every 100 ms), and frees. NULL is allowed.
void jobs_close(struct jobs *jobs);

// What a job runs: ERR_OK, or an error with job_problem said. arg is given: arg_free frees it, also when nothing is started.
struct job_work {
    enum err (*run)(struct job *j, void *arg);
    void (*arg_free)(void *arg);
    void *arg;
};
// Starts one, or joins the one that runs with the same key; either way the caller watches it. Any thread.
// ERR_BUSY (too many run), ERR_NO_MEMORY, ERR_LIMIT (no thread), ERR_DRAINING.
MUST_CHECK enum err job_start(struct jobs *jobs, struct slice key, const struct job_work *work, struct job **ret);
void job_leave(struct job *j); // the watcher goes
// Any thread.
void job_look(struct job *j, struct job_view *ret);
bool job_step_at(struct job *j, size_t i, struct job_step *ret);

// --- for what runs in it
const char *job_data_dir(const struct job *j);
bool job_cancelled(const struct job *j);
void job_cancel(struct job *j);
void job_say(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3))); // a step without bytes
void job_bytes(struct job *j, const char *status, const char *digest, int64_t total);    // a step with them
void job_total(struct job *j, int64_t total);        // of the last step, once it is known; < 0: still not
void job_progress(struct job *j, int64_t completed); // of the last step
// The first problem said stays. Returns e.
enum err job_problem(struct job *j, enum err e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void job_changed(struct job *j);

#endif
