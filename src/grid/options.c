// SPDX-License-Identifier: Apache-2.0
// The settings of one model, resolved: what config says of it goes before what it says of all, and where both are silent
// the model's file and the machine decide. From them follow the server's arguments (launch.c), the row that clients see
// (grid.c) and what the model will take of memory. Nothing is kept; strings are config's or the store's. Main thread.
#include "grid/options.h"
#include <sys/stat.h>
#include "grid/machine.h"

#define SERVER_BYTES (32 << 20) // of a llama-server without its model, measured: 28 MiB
#define DEFAULT_CONTEXT 4096    // tokens per slot, where neither config nor the weights say

static const struct config_engine_model *own_of(const struct config_engine *c, const struct model *m) {
    for (size_t i = 0; i < c->n_models; i++)
        if (strcmp(c->models[i].name, m->name) == 0 || (m->alias && strcmp(c->models[i].name, m->alias) == 0))
            return &c->models[i];
    return NULL;
}

static int64_t first_set(int64_t a, int64_t b, int64_t c) {
    return a > 0 ? a : b > 0 ? b : c;
}

static int64_t context_of(const struct config_engine *c, const struct config_engine_model *own, const struct model *m) {
    int64_t want = first_set(own && own->context > 0 ? own->context : m->num_ctx, c->context, DEFAULT_CONTEXT),
            most = m->header.context_length;
    return most > 0 && most < want ? most : want;
}

static enum config_task task_of(const struct config_engine_model *own, const struct model *m) {
    if (own && own->task != TASK_AUTO)
        return own->task;
    return m->header.rerank ? TASK_RERANK : m->header.embedding ? TASK_EMBED : TASK_CHAT;
}

struct options options_of(const struct config_engine *c, const struct model *m) {
    const struct config_engine_model *own = own_of(c, m);
    return (struct options){.task = task_of(own, m),
                            .context = context_of(c, own, m),
                            .parallel = first_set(own ? own->parallel : 0, c->parallel, 1),
                            .threads = own && own->threads > 0 ? own->threads : c->threads,
                            .keep_ms = own && own->has_keep_alive ? own->keep_alive_ms : c->keep_alive_ms,
                            .pin = own && own->pin,
                            .draft = own && own->draft ? own->draft : m->draft,
                            .projector = own && own->projector ? own->projector : m->projector,
                            .own = own};
}

// ---- a draft

static void draft_file(const char *path, struct draft *d) {
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    d->path = path;
    d->size_bytes = (int64_t)st.st_size;
    if (gguf_read_file(path, &d->header) != ERR_OK)
        d->header = (struct gguf){0}; // llama-server will say what is wrong with it
}

enum err options_draft(const struct options *o, const struct models *all, struct draft *ret, struct buf *problem) {
    *ret = (struct draft){0};
    if (!o->draft)
        return ERR_OK;
    ret->ngram = strcmp(o->draft, "ngram") == 0;
    for (size_t i = 0; i < all->n && !ret->ngram && !ret->path; i++) {
        const struct model *m = &all->v[i];
        bool named = strcmp(m->name, o->draft) == 0 || (m->alias && strcmp(m->alias, o->draft) == 0);
        if (named && !m->problem)
            *ret = (struct draft){.path = m->path, .size_bytes = m->size_bytes, .header = m->header};
    }
    if (!ret->ngram && !ret->path)
        draft_file(o->draft, ret);
    if (ret->ngram || ret->path)
        return ERR_OK;
    buf_printf(problem, "its draft '%s' is no model of the store and no file", o->draft);
    return ERR_ENGINE;
}

// ---- memory

int64_t engine_budget_bytes(const struct config_engine *c) {
    if (c->memory_bytes > 0)
        return c->memory_bytes;
    int64_t all = machine_memory();
    return all == INT64_MAX ? all : all / 4 * 3;
}

static int64_t file_bytes(const char *path) {
    struct stat st;
    return path && stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

struct need options_need(const struct options *o, const struct model *m, const struct draft *d) {
    int64_t tokens = o->context * o->parallel;
    int64_t least = m->size_bytes + file_bytes(o->projector) + gguf_kv_bytes(&m->header, tokens);
    if (d->path)
        least += d->size_bytes + gguf_kv_bytes(&d->header, tokens);
    return (struct need){.least = least, .likely = least + (m->size_bytes + d->size_bytes) / 10 + SERVER_BYTES};
}
