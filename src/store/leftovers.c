// SPDX-License-Identifier: Apache-2.0
// Pulls that were cut. A partial file (download.c) has two companions: .etag, by which a URL goes on, and .for, in which
// stands whose it is, so that it can be shown and removed by the name that people know. What the helper for packages has
// fetched lies in a folder of its own (pull_index.c). Whoever writes one holds its lock, and what is locked is left alone: a
// file is unlinked under its lock, and a pull that waits for it looks again (download.c). Time alone removes what is older
// than a week: a pull is gone on with within days, or never.
#include "store/leftovers.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "store/pull.h"

#define PATH_BYTES 4096
#define LABEL_BYTES (2 * WIRE_URL_BYTES)

// ---- labels

static void label_path(struct slice base_path, struct buf *out) {
    buf_append(out, base_path);
    buf_append_str(out, ".for");
}

void leftover_label(struct slice base_path, const char *name, const char *source) {
    struct buf path = BUF_INIT(PATH_BYTES), text = BUF_INIT(LABEL_BYTES);
    label_path(base_path, &path);
    buf_printf(&text, "%s\n%s\n", name, source);
    if (!path.failed && !text.failed)
        (void)!fs_write_atomic(buf_cstr(&path), buf_slice(&text), 0600);
    buf_done(&path);
    buf_done(&text);
}

void leftover_unlabel(struct slice base_path) {
    struct buf path = BUF_INIT(PATH_BYTES);
    label_path(base_path, &path);
    if (!path.failed)
        (void)unlink(buf_cstr(&path));
    buf_done(&path);
}

// ---- each of them

struct spot { // borrowed during a visit
    const char *data_dir;
    int dir; // folder that it lies in
    const char *file;
    bool is_folder;
    struct slice name, source;
    int64_t bytes, modified_s;
};
typedef void visit_fn(void *ctx, const struct spot *s);

static DIR *models_open_dir(const char *data_dir, const char *sub) {
    struct buf path = BUF_INIT(PATH_BYTES);
    buf_printf(&path, "%s/models/%s", data_dir, sub);
    DIR *dir = path.failed ? NULL : opendir(buf_cstr(&path));
    buf_done(&path);
    return dir;
}

static void label_read(const char *data_dir, const char *file, struct buf *out) {
    struct buf path = BUF_INIT(PATH_BYTES);
    struct slice base = slice_first(slice_str(file), strlen(file) - (sizeof ".partial" - 1));
    buf_printf(&path, "%s/models/blobs/%.*s.for", data_dir, SLICE_FMT(base));
    if (path.failed || fs_read_file(buf_cstr(&path), LABEL_BYTES, out) != ERR_OK)
        buf_clear(out);
    buf_done(&path);
}

static void partials_visit(const char *data_dir, visit_fn *fn, void *ctx) {
    DIR *dir = models_open_dir(data_dir, "blobs");
    struct buf label = BUF_INIT(LABEL_BYTES);
    for (struct dirent *d; dir && (d = readdir(dir));) {
        struct slice file = slice_str(d->d_name);
        struct stat st;
        if (!slice_ends(file, ".partial") || slice_starts(file, "copy-") || slice_starts(file, "upload-") ||
            fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        buf_clear(&label);
        label_read(data_dir, d->d_name, &label);
        struct slice rest = buf_slice(&label), name = slice_split(&rest, '\n'), source = slice_split(&rest, '\n');
        const struct spot s = {data_dir, dirfd(dir), d->d_name,           false,
                               name,     source,     (int64_t)st.st_size, (int64_t)st.st_mtime};
        fn(ctx, &s);
    }
    if (dir)
        (void)closedir(dir);
    buf_done(&label);
}

static void folder_measure(int dir, const char *folder, struct spot *s) {
    int fd = openat(dir, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *in = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;
    if (!in) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    if (fstat(dirfd(in), &st) == 0)
        s->modified_s = (int64_t)st.st_mtime;
    for (struct dirent *d; (d = readdir(in));) {
        if (d->d_name[0] == '.' || fstatat(dirfd(in), d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        s->bytes += (int64_t)st.st_size;
        s->modified_s = (int64_t)st.st_mtime > s->modified_s ? (int64_t)st.st_mtime : s->modified_s;
    }
    (void)closedir(in);
}

// "fetch-smollm2" is what came of "smollm2:135m".
static void folders_visit(const char *data_dir, visit_fn *fn, void *ctx) {
    DIR *dir = models_open_dir(data_dir, "");
    for (struct dirent *d; dir && (d = readdir(dir));) {
        struct slice file = slice_str(d->d_name);
        if (!slice_starts(file, "fetch-"))
            continue;
        struct spot s = {.data_dir = data_dir, .dir = dirfd(dir), .file = d->d_name, .is_folder = true};
        for (size_t i = 0; pull_indexed(i); i++) {
            struct slice rest = slice_str(pull_indexed(i));
            if (slice_eq(slice_split(&rest, ':'), slice_from(file, sizeof "fetch-" - 1)))
                s.name = s.source = slice_str(pull_indexed(i));
        }
        folder_measure(s.dir, s.file, &s);
        fn(ctx, &s);
    }
    if (dir)
        (void)closedir(dir);
}

// ---- the list

// Its lock, or -1: somebody else has it. The lock goes when the descriptor is closed.
static int spot_lock(const struct spot *s) {
    int fd = openat(s->dir, s->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (s->is_folder ? O_DIRECTORY : 0));
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

struct listing {
    struct arena *a;
    struct leftover *v;
    size_t n;
    enum err err;
};

static struct leftover *row_of(struct listing *l, const struct spot *s) {
    for (size_t i = 0; i < l->n && s->name.n; i++)
        if (slice_is(s->name, l->v[i].name))
            return &l->v[i];
    if (l->n == LEFTOVERS_MAX)
        return NULL;
    const char *name = arena_cstr(l->a, s->name.n ? s->name : SLICE("")),
               *source = arena_cstr(l->a, s->source.n ? s->source : SLICE(""));
    if (!name || !source) {
        l->err = ERR_NO_MEMORY;
        return NULL;
    }
    l->v[l->n] = (struct leftover){.name = name, .source = source};
    return &l->v[l->n++];
}

static void spot_list(void *ctx, const struct spot *s) {
    struct leftover *row = row_of(ctx, s);
    if (!row)
        return;
    int fd = spot_lock(s);
    row->bytes += s->bytes;
    row->modified_s = s->modified_s > row->modified_s ? s->modified_s : row->modified_s;
    row->busy |= fd < 0;
    if (fd >= 0)
        (void)close(fd);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct leftover *)a)->name, ((const struct leftover *)b)->name);
}

enum err leftovers_list(const char *data_dir, struct arena *a, struct leftover **ret, size_t *ret_n) {
    struct listing l = {.a = a, .v = arena_array(a, LEFTOVERS_MAX, sizeof *l.v)};
    if (!l.v)
        return ERR_NO_MEMORY;
    partials_visit(data_dir, spot_list, &l);
    folders_visit(data_dir, spot_list, &l);
    if (l.err)
        return l.err;
    if (l.n)
        qsort(l.v, l.n, sizeof *l.v, by_name);
    *ret = l.v;
    *ret_n = l.n;
    return ERR_OK;
}

// ---- they go

static void companion_remove(const struct spot *s, const char *end) {
    struct buf name = BUF_INIT(PATH_BYTES);
    buf_append(&name, slice_first(slice_str(s->file), strlen(s->file) - (sizeof ".partial" - 1)));
    buf_append_str(&name, end);
    if (!name.failed)
        (void)unlinkat(s->dir, buf_cstr(&name), 0);
    buf_done(&name);
}

// False: it is being pulled.
static bool spot_remove(const struct spot *s) {
    struct buf path = BUF_INIT(PATH_BYTES);
    int fd = spot_lock(s);
    if (fd < 0)
        return false;
    if (s->is_folder) {
        buf_printf(&path, "%s/models/%s", s->data_dir, s->file);
        fs_remove_tree(buf_cstr(&path));
    } else {
        (void)unlinkat(s->dir, s->file, 0);
        companion_remove(s, ".etag");
        companion_remove(s, ".for");
    }
    buf_done(&path);
    (void)close(fd);
    return true;
}

struct dropping {
    struct slice name;
    int64_t freed;
    bool any, busy;
};

static void spot_drop(void *ctx, const struct spot *s) {
    struct dropping *d = ctx;
    if (!model_name_same(s->name, d->name) && !model_name_same(s->source, d->name))
        return;
    bool gone = spot_remove(s);
    d->any = true;
    d->busy |= !gone;
    d->freed += gone ? s->bytes : 0;
}

bool leftovers_drop(const char *data_dir, struct slice name, int64_t *ret_freed, bool *ret_busy) {
    struct dropping d = {.name = name};
    partials_visit(data_dir, spot_drop, &d);
    folders_visit(data_dir, spot_drop, &d);
    *ret_freed = d.freed;
    *ret_busy = d.busy;
    return d.any;
}

// ---- by age

static bool is_old(int64_t modified_s) {
    return clock_wall_s() - modified_s > LIMIT_LEFTOVER_S;
}

static void spot_age(void *ctx, const struct spot *s) {
    (void)ctx;
    if (is_old(s->modified_s))
        (void)spot_remove(s);
}

// Half-written copies and uploads, companions whose file is gone, and blobs that nobody named in time.
static void blobs_sweep(const char *data_dir) {
    DIR *dir = models_open_dir(data_dir, "blobs");
    for (struct dirent *d; dir && (d = readdir(dir));) {
        struct slice file = slice_str(d->d_name), base = slice_first(file, slice_find(file, '.'));
        struct stat st;
        char hex[HEX_BYTES], partial[256];
        bool copy = slice_starts(file, "copy-") || slice_starts(file, "upload-");
        bool companion = slice_ends(file, ".etag") || slice_ends(file, ".for");
        (void)snprintf(partial, sizeof partial, "%.*s.partial", SLICE_FMT(slice_first(base, 200)));
        if (copy || (companion && faccessat(dirfd(dir), partial, F_OK, 0) != 0))
            (void)unlinkat(dirfd(dir), d->d_name, 0);
        else if (slice_starts(file, "sha256-") && digest_parse(file, hex) &&
                 fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_old((int64_t)st.st_mtime))
            store_forget(data_dir, hex);
    }
    if (dir)
        (void)closedir(dir);
}

void leftovers_sweep(const char *data_dir, bool at_start) {
    partials_visit(data_dir, spot_age, NULL);
    folders_visit(data_dir, spot_age, NULL);
    if (at_start)
        blobs_sweep(data_dir);
}
