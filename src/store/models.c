// SPDX-License-Identifier: Apache-2.0
// The local store: names for weights on this disk. Three sources, first come first named: config, an index of weights
// whose bytes we know by sha256, and whatever else lies in <data_dir>/models. Weights of the index are never served
// unless their bytes are the promised ones (damaged tensors load without complaint and answer nonsense); a file found good
// is remembered by path, size, time and inode in <data_dir>/verified, so that a start does not read gigabytes.
// models_new reads headers and runs on the main thread at start and reload; model_verify runs on the thread pool, one
// at a time per model. Nothing here is called from a serving loop.
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

#define MODELS_MAX 1024
#define MODELS_ARENA_BYTES (8u << 20)
#define VERIFIED_BYTES (1u << 20)

static const struct {
    const char *name, *alias, *file, *sha256;
} index_rows[] = {
    {"smollm2:135m", "smollm2", "smollm2-135m-instruct-q4_1.gguf",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
};

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
}

static struct model *model_add(struct models *m, const char *name, const char *path) {
    if (!name || !path || m->n >= MODELS_MAX || model_named(m, name))
        return NULL;
    struct model *model = &m->v[m->n++];
    *model = (struct model){.name = name, .path = path};
    model_look(m, model);
    return model;
}

static void add_configured(struct models *m, const char *data_dir) {
    const struct config_engine *c = &m->config->engine;
    for (size_t i = 0; i < c->n_models; i++) {
        const char *path = c->models[i].file;
        if (path && path[0] != '/')
            path = arena_printf(&m->arena, "%s/models/%s", data_dir, path);
        (void)model_add(m, c->models[i].name, path);
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
            struct model *model = model_add(m, index_rows[i].name, path);
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
        (void)model_add(m, name, arena_printf(&m->arena, "%s/%s", dir_path, d->d_name));
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
        add_indexed(m, data_dir);
        add_others(m, data_dir);
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
