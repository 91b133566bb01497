// SPDX-License-Identifier: Apache-2.0
// The settings of one model, resolved: what config says of it goes before what it says of all, and where both are silent
// the model's file and the machine decide. From them follow the server's arguments (launch.c), the row that clients see
// (grid.c) and what the model will take of memory. Nothing is kept; strings are config's or the store's. Main thread.
#include "grid/options.h"
#include <sys/stat.h>
#include "grid/machine.h"

#define SERVER_BYTES (32 << 20)              // of a llama-server without its model, measured: 28 MiB
#define CARD_HOST_BYTES (INT64_C(400) << 20) // of the machine's memory then; measured: 306 to 430 MiB
#define DEFAULT_CONTEXT 4096                 // tokens per slot, where neither config nor the weights say

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
                            .gpu_layers = own && own->gpu_layers ? own->gpu_layers : c->gpu_layers,
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

int64_t engine_card_budget_bytes(const struct config_engine *c, int64_t free_bytes) {
    return free_bytes == 0 ? 0 : c->gpu_memory_bytes > 0 ? c->gpu_memory_bytes : free_bytes / 10 * 9;
}

static int64_t file_bytes(const char *path) {
    struct stat st;
    return path && stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

// Of its layers, 0 to 1; below 0: llama-server chooses. The layer behind the last is the output's.
static double card_share(const struct options *o, const struct model *m) {
    uint64_t layers = 0;
    if (!o->gpu_layers || strcmp(o->gpu_layers, "auto") == 0)
        return -1;
    if (!slice_u64(slice_str(o->gpu_layers), &layers) || m->header.block_count <= 0) // "all"
        return layers > 0 || strcmp(o->gpu_layers, "all") == 0;
    double share = (double)layers / (double)(m->header.block_count + 1);
    return share < 1 ? share : 1;
}

static int64_t part(int64_t bytes, double share) {
    return (int64_t)((double)bytes * share);
}

struct need options_need(const struct options *o, const struct model *m, const struct draft *d, int64_t card_budget) {
    int64_t tokens = o->context * o->parallel, extra = (m->size_bytes + d->size_bytes) / 10;
    int64_t least = m->size_bytes + file_bytes(o->projector) + gguf_kv_bytes(&m->header, tokens);
    if (d->path)
        least += d->size_bytes + gguf_kv_bytes(&d->header, tokens);
    double share = card_budget > 0 ? card_share(o, m) : 0;
    bool chosen = share >= 0;
    int64_t room = card_budget - CARD_SERVER_BYTES;
    if (!chosen)
        share = room >= least + extra ? 1 : room > 0 ? (double)room / (double)(least + extra) : 0;
    if (card_budget <= 0)
        return (struct need){.least.host = least, .likely.host = least + extra + SERVER_BYTES};
    if (share <= 0) // the server and its buffers are there all the same, or less of them if they must
        return (struct need){.least.host = least,
                             .likely = {least + extra + CARD_HOST_BYTES,
                                        card_budget < CARD_SERVER_BYTES ? card_budget : CARD_SERVER_BYTES}};
    int64_t on_card = part(least, share);
    return (struct need){.least = {least - on_card, chosen ? on_card : 0},
                         .likely = {least + extra - part(least + extra, share) + CARD_HOST_BYTES,
                                    part(least + extra, share) + CARD_SERVER_BYTES}};
}
