// SPDX-License-Identifier: Apache-2.0
// Blobs and names on the disk. A blob is in place only once all of its bytes are, under the name of its sha256, and is
// never written again; a manifest is replaced whole. So whatever dies at whatever moment, each name that is there is
// complete, and what is left over (a *.partial) is either taken up again or in nobody's way. Freeing looks at all names
// under one lock, and so does saving: a blob that a new name needs can't go between the look and the write.
#include "store/store.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/limits.h"
#include "base/secret.h"

#define PATH_BYTES 4096

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

int store_fault(void) {
    const char *path = getenv("GRIDTIE_FAULT_DISK");
    return path && path[0] == '/' && access(path, F_OK) == 0 ? ENOSPC : 0;
}

static enum err dir_make(const char *data_dir, const char *sub) {
    struct buf path = BUF_INIT(PATH_BYTES);
    buf_printf(&path, "%s/models/%s", data_dir, sub);
    enum err e = path.failed ? ERR_DISK : fs_mkdirs(buf_cstr(&path), 0700);
    buf_done(&path);
    return e;
}

enum err store_make_dirs(const char *data_dir) {
    enum err e = dir_make(data_dir, "blobs");
    return e ? e : dir_make(data_dir, "names");
}

void store_blob_path(const char *data_dir, const char *hex, struct buf *out) {
    buf_printf(out, "%s/models/blobs/sha256-%s", data_dir, hex);
}

static void name_path(const char *data_dir, const char *name, struct buf *out) {
    buf_printf(out, "%s/models/names/", data_dir);
    name_file(name, out);
    buf_append_str(out, ".json");
}

static void split_path(const char *data_dir, const struct manifest *m, size_t part, struct buf *out) {
    buf_printf(out, "%s/models/splits/%s/model-%05zu-of-%05zu.gguf", data_dir, m->weights[0], part + 1, m->n_weights);
}

void store_weights_path(const char *data_dir, const struct manifest *m, struct buf *out) {
    if (m->n_weights == 0)
        buf_append_str(out, m->file);
    else if (m->n_weights == 1)
        store_blob_path(data_dir, m->weights[0], out);
    else
        split_path(data_dir, m, 0, out);
}

int64_t store_blob_bytes(const char *data_dir, const char *hex) {
    struct buf path = BUF_INIT(PATH_BYTES);
    struct stat st;
    store_blob_path(data_dir, hex, &path);
    bool there = !path.failed && stat(buf_cstr(&path), &st) == 0 && S_ISREG(st.st_mode);
    buf_done(&path);
    return there ? (int64_t)st.st_size : -1;
}

int64_t store_bytes(const char *data_dir) {
    struct buf path = BUF_INIT(PATH_BYTES);
    struct stat st;
    int64_t sum = 0;
    buf_printf(&path, "%s/models/blobs", data_dir);
    DIR *dir = path.failed ? NULL : opendir(buf_cstr(&path));
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            sum += (int64_t)st.st_size;
    if (dir)
        (void)closedir(dir);
    buf_done(&path);
    return sum;
}

enum err store_put_blob(const char *data_dir, struct slice bytes, char ret_hex[HEX_BYTES]) {
    struct buf path = BUF_INIT(PATH_BYTES);
    struct hasher *h = hasher_new();
    char hex[HEX_BYTES];
    if (!h)
        return ERR_NO_MEMORY;
    hasher_feed(h, bytes.p ? bytes.p : "", bytes.n);
    hasher_end(h, hex);
    store_blob_path(data_dir, hex, &path);
    errno = store_fault();
    enum err e = path.failed || errno ? ERR_DISK : fs_write_atomic(buf_cstr(&path), bytes, 0600);
    buf_done(&path);
    if (!e)
        memcpy(ret_hex, hex, sizeof hex);
    return e;
}

// ---- reading names

static enum err manifest_load(const char *path, struct arena *a, struct manifest *ret) {
    struct buf text = BUF_INIT(MANIFEST_BYTES);
    enum err e = fs_read_file(path, MANIFEST_BYTES, &text);
    if (!e)
        e = manifest_read(a, buf_slice(&text), ret);
    buf_done(&text);
    return e;
}

enum err store_load(const char *data_dir, const char *name, struct arena *a, struct manifest *ret) {
    struct buf path = BUF_INIT(PATH_BYTES);
    name_path(data_dir, name, &path);
    enum err e = path.failed ? ERR_NOT_FOUND : manifest_load(buf_cstr(&path), a, ret);
    buf_done(&path);
    return e;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct manifest *)a)->name, ((const struct manifest *)b)->name);
}

static DIR *names_open(const char *data_dir, struct buf *path) {
    buf_printf(path, "%s/models/names", data_dir);
    return path->failed ? NULL : opendir(buf_cstr(path));
}

enum err store_list(const char *data_dir, struct arena *a, struct manifest **ret, size_t *ret_n, unsigned *ret_bad) {
    struct buf folder = BUF_INIT(PATH_BYTES);
    struct manifest *v = arena_array(a, LIMIT_STORE_NAMES, sizeof *v);
    DIR *dir = v ? names_open(data_dir, &folder) : NULL;
    size_t n = 0;
    enum err e = v ? ERR_OK : ERR_NO_MEMORY;
    *ret_bad = 0;
    for (struct dirent *d; dir && !e && n < LIMIT_STORE_NAMES && (d = readdir(dir));) {
        if (d->d_name[0] == '.' || !slice_ends(slice_str(d->d_name), ".json"))
            continue;
        const char *path = arena_printf(a, "%s/%s", buf_cstr(&folder), d->d_name);
        enum err one = path ? manifest_load(path, a, &v[n]) : ERR_NO_MEMORY;
        e = one == ERR_NO_MEMORY ? one : ERR_OK;
        n += one == ERR_OK;
        *ret_bad += one != ERR_OK;
    }
    if (dir)
        closedir(dir);
    buf_done(&folder);
    if (e)
        return e;
    if (n)
        qsort(v, n, sizeof *v, by_name);
    *ret = v;
    *ret_n = n;
    return ERR_OK;
}

// ---- freeing

static bool uses(const struct manifest *m, const char *hex) {
    const char *draft = manifest_draft_blob(m);
    for (size_t i = 0; i < m->n_weights; i++)
        if (strcmp(m->weights[i], hex) == 0)
            return true;
    for (size_t i = 0; i < m->n_adapters; i++)
        if (strcmp(m->adapters[i], hex) == 0)
            return true;
    if (draft && strcmp(draft, hex) == 0)
        return true;
    return (m->projector && strcmp(m->projector, hex) == 0) || (m->template && strcmp(m->template, hex) == 0);
}

static int64_t blob_drop(const char *data_dir, const char *hex, const struct manifest *others, size_t n) {
    struct buf path = BUF_INIT(PATH_BYTES);
    int64_t bytes = store_blob_bytes(data_dir, hex);
    for (size_t i = 0; i < n; i++)
        if (uses(&others[i], hex))
            return 0;
    store_blob_path(data_dir, hex, &path);
    bool gone = !path.failed && unlink(buf_cstr(&path)) == 0;
    buf_done(&path);
    return gone && bytes > 0 ? bytes : 0;
}

static void split_drop(const char *data_dir, const struct manifest *m, const struct manifest *others, size_t n) {
    struct buf path = BUF_INIT(PATH_BYTES);
    for (size_t i = 0; i < n; i++)
        if (others[i].n_weights > 1 && strcmp(others[i].weights[0], m->weights[0]) == 0)
            return;
    for (size_t i = 0; i < m->n_weights; i++) {
        buf_clear(&path);
        split_path(data_dir, m, i, &path);
        (void)unlink(buf_cstr(&path));
    }
    buf_clear(&path);
    buf_printf(&path, "%s/models/splits/%s", data_dir, m->weights[0]);
    (void)rmdir(buf_cstr(&path));
    buf_done(&path);
}

// What only m used goes. Under the lock, when m's name is gone or says something else.
static enum err manifest_drop(const char *data_dir, const struct manifest *m, struct arena *a, int64_t *ret_freed) {
    struct manifest *others;
    size_t n;
    unsigned bad;
    enum err e = store_list(data_dir, a, &others, &n, &bad);
    if (e || bad)
        return e; // what a damaged name holds is not known: its blobs must stay, and so all do
    if (m->n_weights > 1)
        split_drop(data_dir, m, others, n);
    for (size_t i = 0; i < m->n_weights; i++)
        *ret_freed += blob_drop(data_dir, m->weights[i], others, n);
    for (size_t i = 0; i < m->n_adapters; i++)
        *ret_freed += blob_drop(data_dir, m->adapters[i], others, n);
    if (manifest_draft_blob(m))
        *ret_freed += blob_drop(data_dir, manifest_draft_blob(m), others, n);
    if (m->projector)
        *ret_freed += blob_drop(data_dir, m->projector, others, n);
    if (m->template)
        *ret_freed += blob_drop(data_dir, m->template, others, n);
    return ERR_OK;
}

static enum err remove_locked(const char *data_dir, const char *name, int64_t *ret_freed) {
    struct arena a;
    struct manifest m = {0};
    struct buf path = BUF_INIT(PATH_BYTES);
    int64_t freed = 0;
    arena_init(&a, LIMIT_STORE_ARENA_BYTES, 0);
    name_path(data_dir, name, &path);
    enum err e = store_load(data_dir, name, &a, &m);
    bool known = e == ERR_OK;
    if (e == ERR_BAD_JSON || e == ERR_BAD_FIELD)
        e = ERR_OK; // a damaged one goes; what it held is not known
    if (!e && unlink(buf_cstr(&path)) != 0)
        e = ERR_DISK;
    if (!e && known)
        e = manifest_drop(data_dir, &m, &a, &freed);
    if (!e)
        *ret_freed = freed;
    buf_done(&path);
    arena_done(&a);
    return e;
}

void store_forget(const char *data_dir, const char *hex) {
    struct arena a;
    struct manifest *v;
    size_t n;
    unsigned bad;
    arena_init(&a, LIMIT_STORE_ARENA_BYTES, 0);
    (void)pthread_mutex_lock(&names_lock);
    if (store_list(data_dir, &a, &v, &n, &bad) == ERR_OK && !bad)
        (void)blob_drop(data_dir, hex, v, n);
    (void)pthread_mutex_unlock(&names_lock);
    arena_done(&a);
}

enum err store_remove(const char *data_dir, const char *name, int64_t *ret_freed) {
    (void)pthread_mutex_lock(&names_lock);
    enum err e = remove_locked(data_dir, name, ret_freed);
    (void)pthread_mutex_unlock(&names_lock);
    return e;
}

// ---- writing names

static bool blobs_are_there(const char *data_dir, const struct manifest *m) {
    for (size_t i = 0; i < m->n_weights; i++)
        if (store_blob_bytes(data_dir, m->weights[i]) < 0)
            return false;
    for (size_t i = 0; i < m->n_adapters; i++)
        if (store_blob_bytes(data_dir, m->adapters[i]) < 0)
            return false;
    return (!manifest_draft_blob(m) || store_blob_bytes(data_dir, manifest_draft_blob(m)) >= 0) &&
           (!m->projector || store_blob_bytes(data_dir, m->projector) >= 0) &&
           (!m->template || store_blob_bytes(data_dir, m->template) >= 0);
}

static enum err split_make(const char *data_dir, const struct manifest *m) {
    struct buf path = BUF_INIT(PATH_BYTES), to = BUF_INIT(PATH_BYTES);
    enum err e = ERR_OK;
    buf_printf(&path, "%s/models/splits/%s", data_dir, m->weights[0]);
    e = fs_mkdirs(buf_cstr(&path), 0700);
    for (size_t i = 0; i < m->n_weights && !e; i++) {
        buf_clear(&path);
        buf_clear(&to);
        split_path(data_dir, m, i, &path);
        buf_printf(&to, "../../blobs/sha256-%s", m->weights[i]);
        if (symlink(buf_cstr(&to), buf_cstr(&path)) != 0 && errno != EEXIST)
            e = ERR_DISK;
    }
    buf_done(&path);
    buf_done(&to);
    return e;
}

static enum err save_locked(const char *data_dir, const struct manifest *m, struct arena *a) {
    struct manifest before = {0};
    struct buf path = BUF_INIT(PATH_BYTES), text = BUF_INIT(MANIFEST_BYTES);
    int64_t ignored = 0;
    if (!blobs_are_there(data_dir, m))
        return ERR_NOT_FOUND;
    bool had = store_load(data_dir, m->name, a, &before) == ERR_OK;
    enum err e = m->n_weights > 1 ? split_make(data_dir, m) : ERR_OK;
    name_path(data_dir, m->name, &path);
    manifest_write(m, &text);
    if (!e && (path.failed || text.failed))
        e = ERR_NO_MEMORY;
    errno = e ? errno : store_fault();
    if (!e)
        e = errno ? ERR_DISK : fs_write_atomic(buf_cstr(&path), buf_slice(&text), 0600);
    if (!e && had)
        (void)!manifest_drop(data_dir, &before, a, &ignored); // the new name is good either way
    buf_done(&path);
    buf_done(&text);
    return e;
}

enum err store_save(const char *data_dir, const struct manifest *m) {
    struct arena a;
    arena_init(&a, LIMIT_STORE_ARENA_BYTES, 0);
    (void)pthread_mutex_lock(&names_lock);
    enum err e = save_locked(data_dir, m, &a);
    (void)pthread_mutex_unlock(&names_lock);
    arena_done(&a);
    return e;
}
