// SPDX-License-Identifier: Apache-2.0
// Downloads. Bytes go into blobs/sha256-HEX.partial (or url-HASH.partial where the digest is not known before) and through
// the hash at once; renamed into place only when number and digest are right. A cut is tried again from where it stands,
// a few times in a row without progress at most; a killed process leaves the partial file, and the next pull hashes that
// and asks for the rest. Where nobody promises a digest, only the same strong ETag lets it go on. The partial file is
// locked, so that a pull that is being cancelled and the next one never write both. Job threads only.
#include "store/download.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/leftovers.h"
#include "store/models.h"

#define TRIES 6 // in a row that brought nothing
#define BLOCK_BYTES (1u << 20)
#define PATH_BYTES 4096
#define ETAG_BYTES 200

struct transfer {
    struct wire *w;
    struct job *job;
    const struct download *d;
    struct wire_call call;
    struct buf partial, etag_path;
    int fd;
    struct hasher *hash;
    int64_t have, total; // total -1: not known yet
    char etag[ETAG_BYTES];
    int disk_errno;
    const char *odd; // the answer does not fit what was asked for
};

static void nap(struct job *j, unsigned tenths) {
    for (unsigned i = 0; i < tenths && !job_cancelled(j); i++)
        (void)usleep(100000);
}

static enum err disk_problem(struct transfer *t, int cause) {
    if (cause == ENOSPC || cause == EDQUOT)
        return job_problem(
            t->job, ERR_DISK,
            "the disk is full (%s/models): %lld bytes of %s are still to come; what came is kept, so make "
            "room and pull again",
            job_data_dir(t->job), (long long)(t->total > t->have ? t->total - t->have : 0), t->d->what);
    return job_problem(t->job, ERR_DISK, "%s can't be written: %s", buf_cstr(&t->partial), strerror(cause));
}

// ---- the partial file

static bool hash_restart(struct transfer *t) {
    hasher_end(t->hash, NULL);
    t->hash = hasher_new();
    t->have = 0;
    return t->hash && ftruncate(t->fd, 0) == 0 && lseek(t->fd, 0, SEEK_SET) == 0;
}

// What is there goes through the hash; the position is behind it.
static bool hash_existing(struct transfer *t) {
    char *block = mem_alloc(BLOCK_BYTES);
    ssize_t n = 1;
    while (block && n > 0 && !job_cancelled(t->job)) {
        n = read(t->fd, block, BLOCK_BYTES);
        if (n > 0) {
            hasher_feed(t->hash, block, (size_t)n);
            t->have += n;
            job_progress(t->job, t->have);
        }
    }
    mem_free(block);
    return n == 0;
}

static bool etag_is_strong(const char *etag) {
    return etag[0] == '"';
}

static void etag_load(struct transfer *t) {
    struct buf text = BUF_INIT(ETAG_BYTES);
    t->etag[0] = 0;
    if (!t->d->sha256 && fs_read_file(buf_cstr(&t->etag_path), ETAG_BYTES - 1, &text) == ERR_OK)
        (void)snprintf(t->etag, sizeof t->etag, "%s", buf_cstr(&text));
    buf_done(&text);
}

static bool same_file(int fd, const char *path) {
    struct stat here, there;
    return fstat(fd, &here) == 0 && stat(path, &there) == 0 && here.st_ino == there.st_ino;
}

// Locked against another pull of the same. Whoever had it may have renamed it into a blob meanwhile, and a blob is never
// written: then it is opened anew.
static enum err partial_lock(struct transfer *t) {
    for (;;) {
        t->fd = open(buf_cstr(&t->partial), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (t->fd < 0)
            return disk_problem(t, errno);
        while (flock(t->fd, LOCK_EX | LOCK_NB) != 0) {
            if (job_cancelled(t->job))
                return ERR_CANCELLED;
            nap(t->job, 1);
        }
        if (same_file(t->fd, buf_cstr(&t->partial)))
            return ERR_OK;
        (void)close(t->fd);
    }
}

// The partial file's path without what makes it one.
static struct slice base_of(const struct transfer *t) {
    return slice_first(buf_slice(&t->partial), t->partial.len - (sizeof ".partial" - 1));
}

static enum err partial_open(struct transfer *t) {
    struct stat st;
    enum err e = partial_lock(t);
    if (e)
        return e;
    if (t->w->name && t->w->source)
        leftover_label(base_of(t), t->w->name, t->w->source);
    t->hash = hasher_new();
    if (!t->hash || fstat(t->fd, &st) != 0)
        return ERR_NO_MEMORY;
    etag_load(t);
    bool known = t->d->sha256 || etag_is_strong(t->etag);
    bool fits = t->d->bytes < 0 || st.st_size <= t->d->bytes;
    if (st.st_size > 0 && (!known || !fits))
        return hash_restart(t) ? ERR_OK : disk_problem(t, errno);
    if (!hash_existing(t))
        return job_cancelled(t->job) ? ERR_CANCELLED : disk_problem(t, errno);
    return ERR_OK;
}

static enum err room_check(struct transfer *t) {
    struct statvfs v;
    int64_t need = t->total - t->have;
    if (t->total < 0 || fstatvfs(t->fd, &v) != 0)
        return ERR_OK;
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    if (need <= 0 || (uint64_t)need <= room)
        return ERR_OK;
    return job_problem(t->job, ERR_DISK, "%s needs %lld bytes more, and the disk of %s/models has %llu left",
                       t->d->what, (long long)need, job_data_dir(t->job), (unsigned long long)room);
}

// ---- what comes

static void on_head(void *ctx) {
    struct transfer *t = ctx;
    const struct wire_call *c = &t->call;
    t->odd = NULL;
    if (c->status == 206 && (c->range_from != t->have || t->have == 0)) {
        t->odd = "another range than was asked for";
        return;
    }
    if (c->status == 200 && t->have > 0 && !hash_restart(t)) { // it does not know ranges, or has another file now
        t->disk_errno = errno;
        return;
    }
    if (!t->d->sha256) {
        if (c->status == 206 && strcmp(c->etag, t->etag) != 0)
            t->odd = "another file than before";
        (void)snprintf(t->etag, sizeof t->etag, "%s", c->etag);
        (void)!fs_write_atomic(buf_cstr(&t->etag_path), slice_str(t->etag), 0600); // else it begins anew after a kill
    }
    if (t->total < 0)
        job_total(t->job, t->total = c->status == 206 ? c->range_all : c->length);
}

static bool write_all(struct transfer *t, struct slice s) {
    while (s.n) {
        errno = store_fault();
        ssize_t n = errno ? -1 : write(t->fd, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            t->disk_errno = errno;
            return false;
        }
        hasher_feed(t->hash, s.p, (size_t)n);
        t->have += n;
        s = slice_from(s, (size_t)n);
    }
    return true;
}

static bool on_bytes(void *ctx, struct slice bytes) {
    struct transfer *t = ctx;
    if (t->odd || t->disk_errno)
        return false;
    if (t->total >= 0 && (int64_t)bytes.n > t->total - t->have) {
        t->odd = "more bytes than it has";
        return false;
    }
    bool ok = write_all(t, bytes);
    job_progress(t->job, t->have);
    return ok;
}

// ---- tries

static bool is_worth_another(enum err e, const struct wire_call *c) {
    if (e == ERR_OK)
        return c->status == 429 || c->status >= 500;
    return e == ERR_UP_CONNECT || e == ERR_UP_DIED || e == ERR_UP_TIMEOUT || e == ERR_STALE;
}

// ERR_OK: all of it is here, or the server thinks so.
static enum err try_once(struct transfer *t) {
    t->call = (struct wire_call){.url = t->d->url,
                                 .bearer = t->d->bearer,
                                 .page = t->d->page,
                                 .from = t->have,
                                 .on_head = on_head,
                                 .on_bytes = on_bytes,
                                 .ctx = t};
    enum err e = wire_get(t->w, &t->call);
    if (t->disk_errno)
        return disk_problem(t, t->disk_errno);
    if (t->odd || (!e && t->call.status == 416)) { // what is here is no beginning of what is there
        t->odd = NULL;
        return hash_restart(t) ? ERR_UP_DIED : disk_problem(t, errno);
    }
    if (!e && (t->call.status == 200 || t->call.status == 206))
        return t->total >= 0 && t->have < t->total ? ERR_UP_DIED : ERR_OK;
    if (is_worth_another(e, &t->call))
        return ERR_UP_DIED;
    return wire_explain(t->w, &t->call, e, t->d->what);
}

static enum err transfer_tries(struct transfer *t) {
    unsigned idle = 0;
    while (t->total < 0 || t->have < t->total) {
        int64_t before = t->have;
        enum err e = try_once(t);
        if (e != ERR_UP_DIED)
            return e;
        idle = t->have > before ? 0 : idle + 1;
        if (idle >= TRIES)
            return wire_explain(t->w, &t->call,
                                t->call.status && t->call.status != 200 && t->call.status != 206 ? ERR_OK : ERR_UP_DIED,
                                t->d->what);
        nap(t->job, idle * idle + 1);
        if (job_cancelled(t->job))
            return wire_explain(t->w, &t->call, ERR_CANCELLED, t->d->what);
    }
    return ERR_OK;
}

static enum err transfer_place(struct transfer *t, char ret_hex[HEX_BYTES]) {
    char hex[HEX_BYTES] = "";
    struct buf path = BUF_INIT(PATH_BYTES);
    hasher_end(t->hash, hex);
    t->hash = NULL;
    const char *promised = t->d->sha256 ? t->d->sha256 : t->call.etag_is_sha256 ? t->etag + 1 : NULL;
    if (promised && strncmp(hex, promised, HEX_BYTES - 1) != 0) {
        (void)unlink(buf_cstr(&t->partial));
        leftover_unlabel(base_of(t));
        return job_problem(
            t->job, ERR_UP_PROTOCOL,
            "%s is damaged or is something else (sha256 %.12s…, should be %.12s…); nothing of it was kept", t->d->what,
            hex, promised);
    }
    store_blob_path(job_data_dir(t->job), hex, &path);
    bool ok = hex[0] && fsync(t->fd) == 0 && fs_rename_synced(buf_cstr(&t->partial), buf_cstr(&path)) == ERR_OK;
    int cause = errno;
    if (ok)
        model_trust(buf_cstr(&path), hex, job_data_dir(t->job));
    (void)unlink(buf_cstr(&t->etag_path));
    leftover_unlabel(base_of(t));
    buf_done(&path);
    if (!ok)
        return disk_problem(t, cause);
    memcpy(ret_hex, hex, sizeof hex);
    return ERR_OK;
}

static void partial_name(struct transfer *t) {
    const char *dir = job_data_dir(t->job);
    uint8_t digest[32];
    if (t->d->sha256) {
        store_blob_path(dir, t->d->sha256, &t->partial);
    } else {
        sha256(t->d->url, digest);
        buf_printf(&t->partial, "%s/models/blobs/url-", dir);
        for (size_t i = 0; i < 16; i++)
            buf_append_hex(&t->partial, digest[i], 2);
    }
    buf_append(&t->etag_path, buf_slice(&t->partial));
    buf_append_str(&t->partial, ".partial");
    buf_append_str(&t->etag_path, ".etag");
}

static void step_begin(const struct transfer *t, int64_t total) {
    char status[200], digest[72] = "";
    if (t->d->sha256) {
        (void)snprintf(status, sizeof status, "pulling %.12s", t->d->sha256);
        (void)snprintf(digest, sizeof digest, "sha256:%s", t->d->sha256);
    } else {
        (void)snprintf(status, sizeof status, "pulling %.100s", t->d->what);
    }
    job_bytes(t->job, status, digest, total);
}

static enum err transfer_run(struct transfer *t, char ret_hex[HEX_BYTES]) {
    enum err e = partial_open(t);
    if (!e && t->d->sha256 && store_blob_bytes(job_data_dir(t->job), t->d->sha256) >= 0) { // the other pull got it
        (void)unlink(buf_cstr(&t->partial));
        leftover_unlabel(base_of(t));
        memcpy(ret_hex, t->d->sha256, HEX_BYTES);
        t->have = store_blob_bytes(job_data_dir(t->job), ret_hex);
        return ERR_OK;
    }
    if (!e)
        e = room_check(t);
    if (!e)
        e = transfer_tries(t);
    if (!e)
        e = transfer_place(t, ret_hex);
    return e;
}

static enum err download_once(struct wire *w, const struct download *d, char ret_hex[HEX_BYTES], int64_t *ret_bytes) {
    struct transfer t = {.w = w,
                         .job = w->job,
                         .d = d,
                         .partial = BUF_INIT(PATH_BYTES),
                         .etag_path = BUF_INIT(PATH_BYTES),
                         .fd = -1,
                         .total = d->bytes};
    partial_name(&t);
    step_begin(&t, d->bytes > 0 ? d->bytes : 0);
    enum err e = transfer_run(&t, ret_hex);
    *ret_bytes = t.have;
    hasher_end(t.hash, NULL);
    if (t.fd >= 0)
        (void)close(t.fd);
    buf_done(&t.partial);
    buf_done(&t.etag_path);
    return e;
}

enum err download_run(struct wire *w, const struct download *d, char ret_hex[HEX_BYTES], int64_t *ret_bytes) {
    int64_t here = d->sha256 ? store_blob_bytes(job_data_dir(w->job), d->sha256) : -1;
    if (here >= 0) {
        struct transfer t = {.job = w->job, .d = d};
        step_begin(&t, here);
        job_progress(w->job, here);
        memcpy(ret_hex, d->sha256, HEX_BYTES);
        *ret_bytes = here;
        return ERR_OK;
    }
    enum err e = store_make_dirs(job_data_dir(w->job));
    if (e)
        return job_problem(w->job, e, "%s/models can't be made: %s", job_data_dir(w->job), strerror(errno));
    return download_once(w, d, ret_hex, ret_bytes);
}

// ---- from this disk

static enum err copy_bytes(struct job *j, int from, int to, char hex[HEX_BYTES], int64_t *ret_bytes) {
    char *block = mem_alloc(BLOCK_BYTES);
    struct hasher *h = hasher_new();
    enum err e = block && h ? ERR_OK : ERR_NO_MEMORY;
    int64_t done = 0;
    while (!e) {
        ssize_t n = read(from, block, BLOCK_BYTES);
        if (n <= 0) {
            e = n < 0 ? ERR_DISK : ERR_OK;
            break;
        }
        hasher_feed(h, block, (size_t)n);
        errno = store_fault();
        if (errno || write(to, block, (size_t)n) != n)
            e = ERR_DISK;
        done += n;
        job_progress(j, done);
        if (job_cancelled(j))
            e = ERR_CANCELLED;
    }
    int cause = errno;
    hasher_end(h, e ? NULL : hex);
    mem_free(block);
    errno = cause;
    *ret_bytes = done;
    return e;
}

static enum err copy_place(struct job *j, int from, const char *beside, char hex[HEX_BYTES], int64_t *ret_bytes) {
    struct buf path = BUF_INIT(PATH_BYTES);
    int to = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    enum err e = to < 0 ? ERR_DISK : copy_bytes(j, from, to, hex, ret_bytes);
    if (!e && fsync(to) != 0)
        e = ERR_DISK;
    int cause = errno;
    if (to >= 0)
        (void)close(to);
    if (!e) {
        store_blob_path(job_data_dir(j), hex, &path);
        e = fs_rename_synced(beside, buf_cstr(&path));
        cause = errno;
        if (!e)
            model_trust(buf_cstr(&path), hex, job_data_dir(j));
    }
    if (e)
        (void)unlink(beside);
    buf_done(&path);
    errno = cause;
    return e;
}

enum err download_copy(struct job *j, const char *path, char ret_hex[HEX_BYTES], int64_t *ret_bytes) {
    static _Atomic unsigned serial;
    struct buf beside = BUF_INIT(PATH_BYTES), status = BUF_INIT(256);
    char hex[HEX_BYTES];
    struct stat st;
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (from < 0 || fstat(from, &st) != 0 || !S_ISREG(st.st_mode)) {
        int cause = from < 0 ? errno : EISDIR;
        if (from >= 0)
            (void)close(from);
        return job_problem(j, ERR_NOT_FOUND, "%s can't be read: %s", path, strerror(cause));
    }
    enum err e = store_make_dirs(job_data_dir(j));
    buf_printf(&beside, "%s/models/blobs/copy-%d-%u.partial", job_data_dir(j), (int)getpid(), serial++);
    buf_printf(&status, "copying file %.150s", path);
    job_bytes(j, buf_cstr(&status), "", (int64_t)st.st_size);
    if (!e)
        e = copy_place(j, from, buf_cstr(&beside), hex, ret_bytes);
    int cause = errno;
    (void)close(from);
    buf_done(&beside);
    buf_done(&status);
    if (e == ERR_DISK && (cause == ENOSPC || cause == EDQUOT))
        return job_problem(j, e, "the disk is full (%s/models); nothing of %s was kept", job_data_dir(j), path);
    if (e == ERR_DISK)
        return job_problem(j, e, "%s can't be copied into the store: %s", path, strerror(cause));
    if (!e)
        memcpy(ret_hex, hex, sizeof hex);
    return e;
}
