// SPDX-License-Identifier: Apache-2.0
// The writer of receipts. One chain for the whole process, in the order in which attempts leave: a mutex, a hash of some
// hundred bytes and one write(2) to a file opened with O_APPEND; a killed process loses none, a power cut those of the last
// second. A line that the disk refuses is taken back, and the attempt is not sent. Files are turned over at a size, the
// chain goes on across them, and whole files go when they are old. Loops wait here for the disk only as they do for their
// journals.
#include "privacy/receipt.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "privacy/receipt_files.h"

struct receipts {
    pthread_mutex_t mutex;
    char *dir; // <state>/receipts
    int fd;    // -1: no file yet
    unsigned file;
    uint64_t size, seq;
    int64_t keep_s;
    char hash[RECEIPT_HASH_HEX + 1];
    struct buf line;
    bool dirty;
};

void receipt_hash(struct slice s, char hex[RECEIPT_HASH_HEX + 1]) {
    uint8_t digest[32];
    struct buf out = {hex, 0, RECEIPT_HASH_HEX, RECEIPT_HASH_HEX, false};
    sha256(s, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        buf_append_hex(&out, digest[i], 2);
    hex[RECEIPT_HASH_HEX] = 0;
}

// ---- lines

static void put_hex(struct json_writer *w, const char *name, const uint8_t *bytes) {
    char hex[65];
    struct buf out = BUF_FIXED(hex);
    for (size_t i = 0; i < 32; i++)
        buf_append_hex(&out, bytes[i], 2);
    json_kv_str(w, name, buf_slice(&out));
}

static void put_spans(struct json_writer *w, const uint32_t *counts) {
    json_key(w, "spans");
    json_obj(w);
    for (int e = 0; e < ENTITY_COUNT; e++)
        if (counts[e])
            json_kv_int(w, entity_name((enum entity)e), counts[e]);
    json_obj_end(w);
}

static void put_receipt(struct json_writer *w, const struct receipt *one) {
    char rule[64];
    (void)snprintf(rule, sizeof rule, "%s: %s%s", label_name(one->label), condition_name(one->condition),
                   one->checked ? "" : ", not checked");
    json_kv_int(w, "wall_us", one->wall_us);
    json_kv_str(w, "exchange", one->exchange);
    json_kv_int(w, "attempt", one->attempt);
    json_kv_str(w, "endpoint", slice_first(one->endpoint, 256));
    json_kv_str(w, "target", slice_first(one->target, 512));
    json_kv_cstr(w, "zone", zone_name(one->zone));
    if (one->key.n)
        json_kv_str(w, "key", slice_first(one->key, 256));
    json_kv_cstr(w, "rule", rule);
    json_kv_int(w, "bytes", (int64_t)one->bytes);
    put_hex(w, "sha256", one->sha256);
    put_spans(w, one->counts);
}

// The line of `one`, or with NULL one that says that `torn` bytes were cut off.
static void line_compose(struct receipts *r, const struct receipt *one, int64_t torn, char hash[RECEIPT_HASH_HEX + 1]) {
    struct json_writer w = JSON_WRITER(&r->line);
    buf_clear(&r->line);
    json_obj(&w);
    json_kv_int(&w, "seq", (int64_t)r->seq + 1);
    json_kv_cstr(&w, "prev", r->hash);
    if (one) {
        put_receipt(&w, one);
    } else {
        json_kv_int(&w, "wall_us", clock_wall_us());
        json_kv_int(&w, "torn_bytes", torn);
    }
    receipt_hash(buf_slice(&r->line), hash);
    json_kv_cstr(&w, "hash", hash);
    json_obj_end(&w);
    buf_append_char(&r->line, '\n');
}

// ---- files

static enum err file_open(struct receipts *r, int more) {
    struct buf path = BUF_INIT(8192);
    receipt_path(&path, r->dir, r->file);
    int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | more, 0600);
    buf_done(&path);
    if (fd < 0)
        return ERR_DISK;
    if (r->fd >= 0)
        (void)close(r->fd);
    r->fd = fd;
    return ERR_OK;
}

static void old_files_delete(struct receipts *r) {
    struct receipt_list list;
    struct buf path = BUF_INIT(8192);
    struct stat st;
    if (receipt_files(r->dir, &list))
        return;
    for (size_t i = 0; i + 1 < list.n; i++) {
        buf_clear(&path);
        receipt_path(&path, r->dir, list.v[i]);
        if (stat(buf_cstr(&path), &st) != 0 || (int64_t)st.st_mtime + r->keep_s > clock_wall_s())
            break; // the oldest go first, so that the chain stays in one piece
        (void)unlink(buf_cstr(&path));
    }
    buf_done(&path);
    mem_free(list.v);
}

static enum err file_for_next(struct receipts *r) {
    if (r->fd >= 0 && r->size < RECEIPT_FILE_BYTES)
        return ERR_OK;
    r->file++;
    enum err e = file_open(r, O_EXCL);
    if (e) {
        r->file--;
        return r->fd >= 0 ? ERR_OK : e; // a long file is better than none
    }
    r->size = 0;
    old_files_delete(r);
    return ERR_OK;
}

static enum err line_write(struct receipts *r, const char hash[RECEIPT_HASH_HEX + 1]) {
    if (r->line.failed)
        return ERR_NO_MEMORY;
    ssize_t n = write(r->fd, r->line.p, r->line.len);
    while (n < 0 && errno == EINTR)
        n = write(r->fd, r->line.p, r->line.len);
    if (n != (ssize_t)r->line.len) {
        // A piece of a line is no receipt.
        if (n > 0 && ftruncate(r->fd, (off_t)r->size) != 0)
            r->size += (uint64_t)n;
        return ERR_DISK;
    }
    r->size += r->line.len;
    r->seq++;
    memcpy(r->hash, hash, sizeof r->hash);
    r->dirty = true;
    return ERR_OK;
}

static enum err put(struct receipts *r, const struct receipt *one, int64_t torn) {
    char hash[RECEIPT_HASH_HEX + 1];
    enum err e = file_for_next(r);
    if (e)
        return e;
    line_compose(r, one, torn, hash);
    return line_write(r, hash);
}

enum err receipts_put(struct receipts *r, const struct receipt *one) {
    (void)pthread_mutex_lock(&r->mutex);
    enum err e = put(r, one, 0);
    (void)pthread_mutex_unlock(&r->mutex);
    return e;
}

void receipts_sync(struct receipts *r) {
    char text[RECEIPT_HASH_HEX + 32];
    struct buf path = BUF_INIT(8192);
    (void)pthread_mutex_lock(&r->mutex);
    int fd = r->dirty ? fcntl(r->fd, F_DUPFD_CLOEXEC, 0) : -1;
    int n = snprintf(text, sizeof text, "%llu:%s\n", (unsigned long long)r->seq, r->hash);
    r->dirty = fd < 0 && r->dirty;
    (void)pthread_mutex_unlock(&r->mutex);
    if (fd < 0)
        return;
    buf_printf(&path, "%s/head", r->dir);
    // The head last: it never names what a power cut could take.
    if (fdatasync(fd) == 0 && n > 0)
        (void)!fs_write_atomic(buf_cstr(&path), slice_of(text, (size_t)n), 0600);
    (void)close(fd);
    buf_done(&path);
}

// ---- taking the chain up

// Cuts a torn line off the last file, and says so in the chain.
static enum err tail_mend(struct receipts *r, const struct receipt_tail *tail) {
    enum err e = file_open(r, 0);
    if (e)
        return e;
    r->size = (uint64_t)tail->whole;
    r->seq = tail->seq;
    memcpy(r->hash, tail->hash, sizeof r->hash);
    if (tail->torn == 0)
        return ERR_OK;
    return ftruncate(r->fd, (off_t)tail->whole) == 0 ? put(r, NULL, tail->torn) : ERR_DISK;
}

static enum err chain_take_up(struct receipts *r) {
    struct receipt_list list;
    struct receipt_tail tail;
    memset(r->hash, '0', RECEIPT_HASH_HEX);
    enum err e = receipt_files(r->dir, &list);
    if (e)
        return e;
    if (list.n) {
        r->file = list.v[list.n - 1];
        e = receipt_tail_read(r->dir, &list, &tail);
        if (!e && tail.readable)
            e = tail_mend(r, &tail);
        // Else what is there can't be gone on from: a new file begins a new chain, and `audit verify` will tell.
    }
    mem_free(list.v);
    return e;
}

enum err receipts_open(const char *state_dir, int64_t keep_s, struct receipts **ret, struct buf *problem) {
    struct receipts *r = mem_zalloc(sizeof *r);
    struct buf dir = BUF_INIT(8192);
    if (!r)
        return ERR_NO_MEMORY;
    r->fd = -1;
    r->keep_s = keep_s;
    r->line = BUF_INIT(65536);
    (void)pthread_mutex_init(&r->mutex, NULL);
    buf_printf(&dir, "%s/receipts", state_dir);
    r->dir = mem_strdup(buf_cstr(&dir));
    buf_done(&dir);
    errno = 0;
    enum err e = r->dir ? fs_mkdirs(r->dir, 0700) : ERR_NO_MEMORY;
    if (!e)
        e = chain_take_up(r);
    if (e) {
        buf_printf(problem, "%s: the receipts can't be taken up (%s)", r->dir ? r->dir : "",
                   errno ? strerror(errno) : err_name(e));
        receipts_close(r);
        return e;
    }
    *ret = r;
    return ERR_OK;
}

void receipts_close(struct receipts *r) {
    if (!r)
        return;
    receipts_sync(r);
    if (r->fd >= 0)
        (void)close(r->fd);
    buf_done(&r->line);
    mem_free(r->dir);
    (void)pthread_mutex_destroy(&r->mutex);
    mem_free(r);
}
