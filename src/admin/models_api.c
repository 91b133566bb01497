// SPDX-License-Identifier: Apache-2.0
// Ollama's addresses that change the store, to its wire format: pull, create, copy, delete, blobs, push (refused). Each is a
// job on a thread of its own; the answer is what its watcher sees (watch.c). Only the owner changes what is there:
// where keys are needed, a client's key is not enough. Nothing here blocks.
#include "admin/models.h"
#include <errno.h>
#include <pthread.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/change.h"
#include "store/leftovers.h"
#include "store/pull.h"
#include "switch/admit.h"
#include "switch/sink.h"

// ---- a job has changed the store: its thread waits until the grid shows it

struct telling {
    _Atomic int holders; // the job's thread, and the letter
    struct daemon *d;
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool done;
    uint64_t snapshot;
};

static void telling_unref(struct telling *t) {
    if (atomic_fetch_sub(&t->holders, 1) > 1)
        return;
    (void)pthread_mutex_destroy(&t->lock);
    (void)pthread_cond_destroy(&t->told);
    mem_free(t);
}

static void telling_done(void *arg, enum err e, uint64_t snapshot) {
    struct telling *t = arg;
    (void)pthread_mutex_lock(&t->lock);
    t->done = true;
    t->snapshot = e ? 0 : snapshot;
    (void)pthread_cond_signal(&t->told);
    (void)pthread_mutex_unlock(&t->lock);
    telling_unref(t);
}

static void telling_read(void *arg) {
    struct telling *t = arg;
    enum err e = t->d->grid ? grid_models_refresh(t->d->grid, telling_done, t) : ERR_DRAINING;
    if (e)
        telling_done(t, e, 0);
}

// The job's thread. A job that is cancelled does not wait: the main thread may be the one that waits for it.
static uint64_t store_changed(void *ctx, struct job *j) {
    struct daemon *d = ctx;
    struct telling *t = mem_zalloc(sizeof *t);
    if (!t)
        return 0;
    t->holders = 2;
    t->d = d;
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->told, NULL);
    if (loop_post(&d->main, telling_read, t))
        telling_done(t, ERR_LIMIT, 0);
    (void)pthread_mutex_lock(&t->lock);
    while (!t->done && !job_cancelled(j)) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&t->told, &t->lock, &until);
    }
    uint64_t snapshot = t->snapshot;
    (void)pthread_mutex_unlock(&t->lock);
    telling_unref(t);
    return snapshot;
}

enum err models_open(struct daemon *d, const char *data_dir) {
    leftovers_sweep(data_dir, true);
    return jobs_new(data_dir, store_changed, d, &d->jobs);
}

static void found_read(void *arg, enum err e, uint64_t snapshot) {
    (void)arg;
    (void)e; // the grid has logged it
    (void)snapshot;
}

static void found_changed(void *ctx) {
    struct daemon *d = ctx;
    if (d->grid && !d->draining && grid_models_refresh(d->grid, found_read, NULL))
        LOG(LOG_ERROR, "models of other programs changed and can't be read");
}

void models_watch(struct daemon *d) {
    bool wanted = d->config->engine.enabled && d->config->store_found;
    if (wanted && !d->watch) {
        if (foreign_watch_new(&d->main, LIMIT_WATCHED_FOLDERS, LIMIT_LOOK_MS, found_changed, d, &d->watch))
            LOG(LOG_ERROR, "no memory to watch what other programs hold: a reload looks at it");
        found_changed(d); // at a reload they were read before; at the start there is no grid yet, and they will be
    }
    if (wanted || !d->watch)
        return;
    foreign_watch_close(d->watch);
    d->watch = NULL;
}

void models_close(struct daemon *d) {
    foreign_watch_close(d->watch);
    d->watch = NULL;
    jobs_close(d->jobs);
    d->jobs = NULL;
}

// ---- requests

struct asked {
    struct arena arena;
    yyjson_val *root; // NULL: refused, and answered
};

static bool asked_read(struct asked *b, struct conn *c, const struct http_request *r) {
    struct json_doc doc;
    struct json_error why;
    arena_init(&b->arena, 64u << 20, 0);
    b->root = json_read(&b->arena, r->body, &doc, &why) == ERR_OK ? yyjson_doc_get_root(doc.doc) : NULL;
    if (yyjson_is_obj(b->root))
        return true;
    api_respond_error(c, r->path, ERR_BAD_JSON, NULL);
    arena_done(&b->arena);
    return false;
}

static struct slice model_of(yyjson_val *root) {
    struct slice name = json_get_str(root, "model");
    return name.n ? name : json_get_str(root, "name");
}

static enum watch_as watch_of(yyjson_val *root) {
    return yyjson_is_false(yyjson_obj_get(root, "stream")) ? WATCH_ONCE : WATCH_STREAM;
}

// The error of a *_start; ERR_MISSING_FIELD where the request does not say what it is about.
typedef enum err start_fn(struct shift *s, const struct http_request *r, yyjson_val *root, struct job **j,
                          struct buf *problem);

static enum err pull_ask(struct shift *s, const struct http_request *r, yyjson_val *root, struct job **j,
                         struct buf *problem) {
    struct slice name = model_of(root);
    (void)r;
    return name.n ? pull_start(s->d->jobs, s->worker.snap->config, name, json_get_str(root, "as"), j, problem)
                  : ERR_MISSING_FIELD;
}

static enum err create_ask(struct shift *s, const struct http_request *r, yyjson_val *root, struct job **j,
                           struct buf *problem) {
    return model_of(root).n ? create_start(s->d->jobs, s->worker.snap->config, r->body, j, problem) : ERR_MISSING_FIELD;
}

static enum err copy_ask(struct shift *s, const struct http_request *r, yyjson_val *root, struct job **j,
                         struct buf *problem) {
    struct slice from = json_get_str(root, "source"), to = json_get_str(root, "destination");
    (void)r;
    return from.n && to.n ? copy_start(s->d->jobs, s->worker.snap->config, from, to, j, problem) : ERR_MISSING_FIELD;
}

static enum err remove_ask(struct shift *s, const struct http_request *r, yyjson_val *root, struct job **j,
                           struct buf *problem) {
    struct slice name = model_of(root);
    (void)r;
    return name.n ? remove_start(s->d->jobs, s->worker.snap->config, name, j, problem) : ERR_MISSING_FIELD;
}

static const struct change_row {
    const char *method, *path, *needs;
    bool quiet; // its answer is a status and nothing else
    start_fn *start;
} changes[] = {
    {"POST", "/api/pull", "model is required", false, pull_ask},
    {"POST", "/api/create", "model is required", false, create_ask},
    {"POST", "/api/copy", "source and destination are required", true, copy_ask},
    {"DELETE", "/api/delete", "model is required", true, remove_ask},
};

static const struct change_row *change_of(const struct http_request *r) {
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        if (slice_is(r->method, changes[i].method) && slice_is(r->path, changes[i].path))
            return &changes[i];
    return NULL;
}

static void serve_change(struct shift *s, struct conn *c, const struct http_request *r, const struct change_row *row) {
    struct asked b;
    struct job *j = NULL;
    struct buf problem = BUF_INIT(2048);
    if (!asked_read(&b, c, r))
        return;
    enum err e = row->start(s, r, b.root, &j, &problem);
    if (e == ERR_MISSING_FIELD && !problem.len)
        buf_append_str(&problem, row->needs);
    if (e)
        api_respond_error(c, r->path, e == ERR_LIMIT ? ERR_BUSY : e, problem.len ? buf_cstr(&problem) : NULL);
    else
        watch_start(s, c, r->path, j, row->quiet ? WATCH_QUIET : watch_of(b.root));
    arena_done(&b.arena);
    buf_done(&problem);
}

// ---- which

typedef void serve_fn(struct shift *s, struct conn *c, const struct http_request *r);

// Ollama's client asks who it is before it pushes.
static bool is_publishing(struct slice path) {
    return slice_is(path, "/api/push") || slice_is(path, "/api/me") || slice_is(path, "/api/signout");
}

static void serve_push(struct shift *s, struct conn *c, const struct http_request *r) {
    (void)s;
    api_respond_error(c, r->path, ERR_UNSUPPORTED,
                      "gridtie has no accounts and does not publish models: push is not supported");
}

static serve_fn *serve_of(const struct http_request *r) {
    bool post = slice_is(r->method, "POST"), head = slice_is(r->method, "HEAD");
    if (post && is_publishing(r->path))
        return serve_push;
    if (head && slice_starts(r->path, "/api/blobs/"))
        return blob_ask;
    if (store_is_asked(r))
        return store_show;
    return blob_is_upload(r) ? blob_put : NULL;
}

bool models_serve(struct shift *s, struct conn *c, const struct http_request *r) {
    struct caller caller = {NULL, false};
    const struct change_row *change = change_of(r);
    serve_fn *serve = change ? NULL : serve_of(r);
    if (!change && !serve)
        return false;
    if (admit_credential(s->worker.snap->config, s->worker.keyring, &r->headers, r->query, r->loopback, &caller))
        api_respond_error(c, r->path, ERR_UNAUTHORIZED, NULL);
    else if (!caller.owner)
        api_respond_error(c, r->path, ERR_FORBIDDEN, "only the owner changes which models are here");
    else if (change)
        serve_change(s, c, r, change);
    else
        serve(s, c, r);
    return true;
}
