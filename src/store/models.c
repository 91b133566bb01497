// SPDX-License-Identifier: Apache-2.0
// The local store: names for weights on this disk. Sources, first come first named: config, the names that were pulled or
// created (store.c), an index of weights whose bytes we know by sha256, whatever else lies in <data_dir>/models, and what
// other programs hold (foreign.c). Weights of a blob or the index are never served unless their bytes are the promised
// ones (damaged tensors load without complaint and answer nonsense); a file found good is remembered by path, size, time and inode in <data_dir>/verified, so that a start does not read gigabytes.
// models_new reads headers: on the main thread at start and reload, on the pool when the store changed. model_verify runs
// on the thread pool, one at a time per model. Nothing here is called from a serving loop.
#include "store/models.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/foreign.h"
#include "store/pull.h"
#include "store/store.h"

#define MODELS_MAX 1024
#define MODELS_ARENA_BYTES (64u << 20)
#define VERIFIED_BYTES (1u << 20)

static const struct {
    const char *name, *alias, *file, *sha256;
} index_rows[] = {
    {"smollm2:135m", "smollm2", "smollm2-135m-instruct-q4_1.gguf",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
};

const char *model_from_name(enum model_from f) {
    static const char *const names[] = {
        [MODEL_FROM_CONFIG] = "config",          [MODEL_FROM_STORE] = "store",   [MODEL_FROM_INDEX] = "index",
        [MODEL_FROM_FOLDER] = "folder",          [MODEL_FROM_OLLAMA] = "ollama", [MODEL_FROM_LMSTUDIO] = "lmstudio",
        [MODEL_FROM_HUGGINGFACE] = "huggingface"};
    return names[f];
}

const struct model *model_named(const struct models *m, const char *name) {
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->v[i].name, name) == 0)
            return &m->v[i];
    return NULL;
}

// ---- what lies on the disk

static void model_look(struct models *m, struct model *model) {
    struct stat st;
    if (stat(model->path, &st) != 0 || !S_ISREG(st.st_mode)) {
        model->problem = arena_printf(&m->arena, "no weights at %s", model->path);
        return;
    }
    model->size_bytes = (int64_t)st.st_size;
    model->modified_s = (int64_t)st.st_mtime;
    enum err e = gguf_read_file(model->path, &model->header);
    model->header_known = e == ERR_OK;
    if (e != ERR_OK)
        model->problem = arena_printf(&m->arena, "%s is not a GGUF file that can be read", model->path);
    else if (model->header.file_bytes > model->size_bytes)
        model->problem = arena_printf(&m->arena, "%s is cut: it has %lld of %lld bytes", model->path,
                                      (long long)model->size_bytes, (long long)model->header.file_bytes);
}

struct model *model_add(struct models *m, const char *name, const char *path, enum model_from from) {
    if (!name || !path || m->n >= MODELS_MAX || model_named(m, name))
        return NULL;
    struct model *model = &m->v[m->n++];
    *model = (struct model){.name = name, .path = path, .from = from, .n_parts = 1};
    model_look(m, model);
    return model;
}

static void add_configured(struct models *m, const char *data_dir) {
    const struct config_engine *c = &m->config->engine;
    for (size_t i = 0; i < c->n_models; i++) {
        const char *path = c->models[i].file;
        if (path && path[0] != '/')
            path = arena_printf(&m->arena, "%s/models/%s", data_dir, path);
        (void)model_add(m, c->models[i].name, path, MODEL_FROM_CONFIG);
    }
}

// What config has settings for and nobody has the weights of: a request hears why.
static void add_missing(struct models *m) {
    const struct config_engine *c = &m->config->engine;
    for (size_t i = 0; i < c->n_models; i++) {
        const char *name = c->models[i].name;
        bool there = false;
        for (size_t k = 0; k < m->n && !there; k++)
            there = strcmp(m->v[k].name, name) == 0 || (m->v[k].alias && strcmp(m->v[k].alias, name) == 0);
        if (there || m->n >= MODELS_MAX)
            continue;
        m->v[m->n++] = (struct model){
            .name = name,
            .path = "",
            .problem =
                arena_printf(&m->arena, "the store has no model '%s', and engine.models[] names no file for it", name)};
    }
}

// ---- names of the store

static const char *blob_path(struct models *m, const char *data_dir, const char *hex) {
    struct buf path = BUF_INIT(4096);
    store_blob_path(data_dir, hex, &path);
    const char *own = path.failed ? NULL : arena_strdup(&m->arena, buf_cstr(&path));
    buf_done(&path);
    return own;
}

static const char *weights_path(struct models *m, const char *data_dir, const struct manifest *f) {
    struct buf path = BUF_INIT(4096);
    store_weights_path(data_dir, f, &path);
    const char *own = path.failed ? NULL : arena_strdup(&m->arena, buf_cstr(&path));
    buf_done(&path);
    return own;
}

void model_describe(struct models *m, struct model *model, const struct manifest *f) {
    struct json_doc doc;
    struct json_error why;
    model->system = f->system;
    model->license = f->license;
    model->source = f->source;
    model->note = f->note;
    model->parameters = f->parameters;
    model->messages = f->messages;
    if (f->parameters.n && json_read(&m->arena, f->parameters, &doc, &why) == ERR_OK)
        model->num_ctx = json_get_int(yyjson_doc_get_root(doc.doc), "num_ctx", 0);
}

static void add_named_one(struct models *m, const char *data_dir, const struct manifest *f) {
    struct model *model = model_add(m, f->name, weights_path(m, data_dir, f), MODEL_FROM_STORE);
    if (!model)
        return;
    model_describe(m, model, f);
    if (pull_is_indexed(slice_str(f->name)) && !slice_ends(slice_str(f->name), ":latest"))
        model->alias = arena_cstr(&m->arena, slice_first(slice_str(f->name), slice_find(slice_str(f->name), ':')));
    model->sha256 = f->n_weights ? f->weights[0] : NULL;
    model->n_parts = f->n_weights > 1 ? (unsigned)f->n_weights : 1;
    model->modified_s = f->created_s ? f->created_s : model->modified_s;
    if (f->size_bytes > model->size_bytes)
        model->size_bytes = f->size_bytes;
    if (f->projector)
        model->projector = blob_path(m, data_dir, f->projector);
    if (f->template)
        model->template_file = blob_path(m, data_dir, f->template);
    model->draft = manifest_draft_blob(f) ? blob_path(m, data_dir, manifest_draft_blob(f)) : f->draft;
    model->adapters = arena_array(&m->arena, f->n_adapters, sizeof *model->adapters);
    for (size_t i = 0; model->adapters && i < f->n_adapters; i++, model->n_adapters++)
        model->adapters[i] = blob_path(m, data_dir, f->adapters[i]);
}

static void add_named(struct models *m, const char *data_dir) {
    struct manifest *v = NULL;
    size_t n = 0;
    unsigned bad;
    if (store_list(data_dir, &m->arena, &v, &n, &bad) != ERR_OK)
        return;
    for (size_t i = 0; i < n; i++)
        add_named_one(m, data_dir, &v[i]);
}

// ---- the index and the folder

static const char *cache_dir(struct arena *a) {
    struct buf path = BUF_INIT(4096);
    fs_cache_dir(&path);
    const char *own = path.len ? arena_strdup(a, buf_cstr(&path)) : NULL;
    buf_done(&path);
    return own;
}

static void add_indexed(struct models *m, const char *data_dir) {
    const char *dirs[] = {data_dir, cache_dir(&m->arena)};
    for (size_t i = 0; i < sizeof index_rows / sizeof index_rows[0]; i++) {
        for (size_t d = 0; d < 2; d++) {
            const char *path = dirs[d] ? arena_printf(&m->arena, "%s/models/%s", dirs[d], index_rows[i].file) : NULL;
            if (!path || access(path, F_OK) != 0)
                continue;
            struct model *model = model_add(m, index_rows[i].name, path, MODEL_FROM_INDEX);
            if (!model)
                break;
            model->alias = index_rows[i].alias;
            model->sha256 = index_rows[i].sha256;
            break;
        }
    }
}

static bool file_is_indexed(const char *file) {
    for (size_t i = 0; i < sizeof index_rows / sizeof index_rows[0]; i++)
        if (strcmp(file, index_rows[i].file) == 0)
            return true;
    return false;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct model *)a)->name, ((const struct model *)b)->name);
}

static void add_others(struct models *m, const char *data_dir) {
    char *dir_path = arena_printf(&m->arena, "%s/models", data_dir);
    DIR *dir = dir_path ? opendir(dir_path) : NULL;
    if (!dir)
        return;
    size_t first = m->n;
    for (struct dirent *d; (d = readdir(dir));) {
        struct slice file = slice_str(d->d_name);
        size_t end = sizeof ".gguf" - 1;
        if (!slice_ends(file, ".gguf") || file.n == end || file.p[0] == '.' || file_is_indexed(d->d_name))
            continue;
        const char *name = arena_cstr(&m->arena, slice_first(file, file.n - end));
        (void)model_add(m, name, arena_printf(&m->arena, "%s/%s", dir_path, d->d_name), MODEL_FROM_FOLDER);
    }
    closedir(dir);
    if (m->n > first)
        qsort(m->v + first, m->n - first, sizeof *m->v, by_name);
}

enum err models_new(struct config *c, const char *data_dir, struct models **ret) {
    struct models *m = mem_zalloc(sizeof *m);
    if (!m)
        return ERR_NO_MEMORY;
    arena_init(&m->arena, MODELS_ARENA_BYTES, 4096);
    m->config = config_ref(c);
    m->v = arena_array(&m->arena, MODELS_MAX, sizeof *m->v);
    if (!m->v) {
        models_free(m);
        return ERR_NO_MEMORY;
    }
    if (c->engine.enabled) {
        add_configured(m, data_dir);
        add_named(m, data_dir);
        add_indexed(m, data_dir);
        add_others(m, data_dir);
        if (c->store_found)
            foreign_add(m);
        add_missing(m);
    }
    *ret = m;
    return ERR_OK;
}

void models_free(struct models *m) {
    if (!m)
        return;
    config_unref(m->config);
    arena_done(&m->arena);
    mem_free(m);
}

// ---- are they the promised bytes?

static bool fingerprint(const char *path, const char *sha256_hex, struct buf *out) {
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    buf_printf(out, "%s %lld %lld.%09ld %llu %s\n", sha256_hex, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
               st.st_mtim.tv_nsec, (unsigned long long)st.st_ino, path);
    return !out->failed;
}

static bool is_remembered(const char *book, struct slice line) {
    struct buf all = BUF_INIT(VERIFIED_BYTES);
    bool found = fs_read_file(book, VERIFIED_BYTES, &all) == ERR_OK && slice_search(buf_slice(&all), line) != SIZE_MAX;
    buf_done(&all);
    return found;
}

// Best effort: without it the file is read again at the next start.
static void remember(const char *book, struct slice line) {
    int fd = open(book, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (lseek(fd, 0, SEEK_END) > VERIFIED_BYTES / 2 && ftruncate(fd, 0) != 0)
        line = SLICE_NONE;
    if (line.n && write(fd, line.p, line.n) < 0)
        errno = 0;
    close(fd);
}

void model_trust(const char *path, const char *sha256_hex, const char *data_dir) {
    struct buf line = BUF_INIT(8192), book = BUF_INIT(8192);
    buf_printf(&book, "%s/verified", data_dir);
    if (fingerprint(path, sha256_hex, &line) && !is_remembered(buf_cstr(&book), buf_slice(&line)))
        remember(buf_cstr(&book), buf_slice(&line));
    buf_done(&line);
    buf_done(&book);
}

enum err model_verify(const char *path, const char *sha256_hex, const char *data_dir, struct buf *problem) {
    struct buf line = BUF_INIT(8192), book = BUF_INIT(8192);
    char hex[65];
    enum err e = ERR_DISK;
    buf_printf(&book, "%s/verified", data_dir);
    if (!fingerprint(path, sha256_hex, &line)) {
        buf_printf(problem, "no weights at %s", path);
    } else if (is_remembered(buf_cstr(&book), buf_slice(&line))) {
        e = ERR_OK;
    } else if (!sha256_file(path, hex)) {
        buf_printf(problem, "cannot read %s: %s", path, strerror(errno));
    } else if (strcmp(hex, sha256_hex) != 0) {
        buf_printf(problem,
                   "%s is damaged or is something else (sha256 %.12s…, should be %.12s…); remove it and fetch it again",
                   path, hex, sha256_hex);
        e = ERR_ENGINE;
    } else {
        remember(buf_cstr(&book), buf_slice(&line));
        e = ERR_OK;
    }
    buf_done(&line);
    buf_done(&book);
    return e;
}
