// SPDX-License-Identifier: Apache-2.0
// When the catalogue is read and made anew. The compiled file lies with the state, its sources in the cache folder, where
// setup or `gridtie catalogue update` put them. At start what is compiled is mapped; where the sources are newer they are
// compiled off the loop, and the next snapshot has the prices. That there is none is no error: then prices are unknown.
// Main thread, but for the compiling itself, which touches nothing of the grid.
#include <stdio.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/catalogue.h"
#include "grid/inner.h"

struct catalogue_job {
    struct grid *g;
    char folder[4096], to[4096];
    enum err err;
    struct buf problem;
    void (*done)(void *arg, enum err e, const char *problem);
    void *arg;
};

static void places_fill(const struct grid *g, char folder[4096], char to[4096]) {
    struct buf cache = BUF_INIT(4096);
    fs_cache_dir(&cache);
    (void)snprintf(folder, 4096, "%s/catalogue", buf_cstr(&cache));
    (void)snprintf(to, 4096, "%s/catalogue.table", g->data_dir);
    buf_done(&cache);
}

static void catalogue_map(struct grid *g, const char *path) {
    struct catalogue *c = NULL;
    enum err e = catalogue_open(path, &c);
    if (e == ERR_NOT_FOUND)
        return;
    if (e != ERR_OK) {
        LOG(LOG_WARN, "catalogue_unusable", LOG_S("file", path), LOG_S("err", err_name(e)));
        return;
    }
    catalogue_unref(g->catalogue);
    g->catalogue = c;
}

static void job_work(void *arg) {
    struct catalogue_job *job = arg;
    job->err = catalogue_compile_files(job->folder, job->to, clock_wall_s(), &job->problem);
}

static void job_free(struct catalogue_job *job) {
    buf_done(&job->problem);
    mem_free(job);
}

static void job_done(void *arg) {
    struct catalogue_job *job = arg;
    struct grid *g = job->g;
    g->job = NULL;
    if (g->closing) {
        if (job->done)
            job->done(job->arg, ERR_DRAINING, "");
        job_free(job);
        grid_part_closed(g);
        return;
    }
    if (job->err == ERR_OK) {
        catalogue_map(g, job->to);
        LOG(LOG_INFO, "catalogue_compiled");
        grid_show(g);
    } else if (job->err != ERR_NOT_FOUND) {
        LOG(LOG_WARN, "catalogue_failed", LOG_S("err", err_name(job->err)),
            LOG_SL("problem", buf_slice(&job->problem)));
    }
    if (job->done)
        job->done(job->arg, job->err, buf_cstr(&job->problem));
    job_free(job);
}

enum err grid_catalogue_update(struct grid *g, void (*done)(void *arg, enum err e, const char *problem), void *arg) {
    if (g->closing)
        return ERR_DRAINING;
    if (g->job)
        return ERR_BUSY;
    struct catalogue_job *job = mem_zalloc(sizeof *job);
    if (!job)
        return ERR_NO_MEMORY;
    *job = (struct catalogue_job){.g = g, .done = done, .arg = arg, .problem = BUF_INIT(65536)};
    places_fill(g, job->folder, job->to);
    enum err e = loop_offload(g->main, job_work, job_done, job);
    if (e == ERR_OK)
        g->job = job;
    else
        job_free(job);
    return e;
}

// Is there a source that was written after the table, or no table that can be used?
static bool is_stale(const struct grid *g, const char *folder, const char *table) {
    static const char *const names[] = {"litellm.json", "genai-prices.json"};
    struct stat of_table, st;
    bool have = g->catalogue && stat(table, &of_table) == 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4200];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (stat(path, &st) == 0 && (!have || st.st_mtime > of_table.st_mtime))
            return true;
    }
    return false;
}

void grid_catalogue_begin(struct grid *g) {
    char folder[4096], table[4096];
    places_fill(g, folder, table);
    catalogue_map(g, table);
    enum err e = is_stale(g, folder, table) ? grid_catalogue_update(g, NULL, NULL) : ERR_OK;
    if (e != ERR_OK)
        LOG(LOG_WARN, "catalogue_failed", LOG_S("err", err_name(e)));
}
