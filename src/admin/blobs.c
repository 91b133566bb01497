// SPDX-License-Identifier: Apache-2.0
// Blobs that a client sends before it creates a model of them: HEAD asks whether one is there, POST sends it. Weights are
// gigabytes, so a body comes in pieces and each is hashed and written on the pool while the connection waits: nothing is held
// but one piece. A blob gets its name only when its bytes are those of the address. A client that goes leaves nothing.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "admin/api.h"
#include "admin/models.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/models.h"
#include "store/store.h"
#include "switch/sink.h"

struct blob {
    struct guest guest; // first
    struct shift *shift;
    struct conn *conn; // NULL: gone
    const char *data_dir;
    char hex[HEX_BYTES];
    char path[4096]; // of what is there so far; empty: nothing yet
    int fd;
    struct hasher *hash;
    char *bytes; // the piece that is written now
    size_t n, room;
    bool busy; // the pool has it
    enum err err;
    int cause; // errno of ERR_DISK
};

static struct slice digest_of(const struct http_request *r) {
    return slice_from(r->path, sizeof "/api/blobs/" - 1);
}

bool blob_is_upload(const struct http_request *r) {
    return slice_is(r->method, "POST") && slice_starts(r->path, "/api/blobs/");
}

// ---- its end

static void drop_work(void *arg) {
    struct blob *b = arg;
    if (b->fd >= 0)
        (void)close(b->fd);
    if (b->path[0])
        (void)unlink(b->path);
    hasher_end(b->hash, NULL);
    b->hash = NULL;
}

static void drop_done(void *arg) {
    struct blob *b = arg;
    mem_free(b->bytes);
    mem_free(b);
}

static void blob_drop(struct blob *b) {
    if (loop_offload(&b->shift->worker.loop, drop_work, drop_done, b) == ERR_OK)
        return;
    drop_work(b);
    drop_done(b);
}

static void blob_gone(struct guest *g) {
    struct blob *b = (void *)g;
    b->conn = NULL;
    if (!b->busy)
        blob_drop(b);
}

static struct blob *blob_new(struct shift *s, struct conn *c, const struct http_request *r) {
    struct blob *b = mem_zalloc(sizeof *b);
    if (!b)
        return NULL;
    *b = (struct blob){
        .guest = {blob_gone, NULL}, .shift = s, .conn = c, .data_dir = s->d->data_dir, .fd = -1, .hash = hasher_new()};
    if (!b->hash)
        b->err = ERR_NO_MEMORY;
    else if (!digest_parse(digest_of(r), b->hex))
        b->err = ERR_BAD_FIELD;
    return b;
}

// Runs work on the pool; then done, where conn may be NULL.
static void blob_offload(struct blob *b, void (*work)(void *), void (*done)(void *)) {
    b->busy = true;
    if (loop_offload(&b->shift->worker.loop, work, done, b) == ERR_OK)
        return;
    b->err = ERR_BUSY;
    done(b);
}

// ---- pieces

void blob_begin(struct shift *s, struct conn *c, const struct http_request *r) {
    struct blob *b = blob_new(s, c, r);
    conn_set_user(c, b ? &b->guest : NULL);
}

static enum err file_open(struct blob *b) {
    static _Atomic unsigned serial;
    enum err e = store_make_dirs(b->data_dir);
    int n =
        snprintf(b->path, sizeof b->path, "%s/models/blobs/upload-%d-%u.partial", b->data_dir, (int)getpid(), serial++);
    if (!e && (n < 0 || (size_t)n >= sizeof b->path))
        e = ERR_DISK;
    b->fd = e ? -1 : open(b->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (b->fd < 0)
        b->cause = errno;
    return b->fd < 0 ? ERR_DISK : ERR_OK;
}

static void piece_work(void *arg) {
    struct blob *b = arg;
    if (!b->err && b->fd < 0)
        b->err = file_open(b);
    for (size_t at = 0; !b->err && at < b->n;) {
        errno = store_fault();
        ssize_t n = errno ? -1 : write(b->fd, b->bytes + at, b->n - at);
        if (n < 0 && errno != EINTR) {
            b->cause = errno;
            b->err = ERR_DISK;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    if (!b->err)
        hasher_feed(b->hash, b->bytes, b->n);
}

static void piece_done(void *arg) {
    struct blob *b = arg;
    b->busy = false;
    if (b->conn)
        conn_piece_taken(b->conn);
    else
        blob_drop(b);
}

void blob_piece(struct shift *s, struct conn *c, void *user, struct slice bytes) {
    struct blob *b = user;
    (void)s;
    if (b && !b->err && b->room < bytes.n) {
        mem_free(b->bytes);
        b->bytes = mem_alloc(bytes.n);
        b->room = b->bytes ? bytes.n : 0;
        if (!b->bytes)
            b->err = ERR_NO_MEMORY;
    }
    if (!b || b->err) { // what still comes is dropped; the answer says why
        conn_piece_taken(c);
        return;
    }
    memcpy(b->bytes, bytes.p, bytes.n);
    b->n = bytes.n;
    blob_offload(b, piece_work, piece_done);
}

// ---- all of it

static void put_work(void *arg) {
    struct blob *b = arg;
    char hex[HEX_BYTES] = "";
    struct buf path = BUF_INIT(4096);
    if (!b->err && b->fd < 0)
        b->err = file_open(b);
    hasher_end(b->hash, hex);
    b->hash = NULL;
    if (!b->err && strcmp(hex, b->hex) != 0)
        b->err = ERR_BAD_FIELD;
    store_blob_path(b->data_dir, b->hex, &path);
    if (!b->err && (fsync(b->fd) != 0 || fs_rename_synced(b->path, buf_cstr(&path)) != ERR_OK)) {
        b->cause = errno;
        b->err = ERR_DISK;
    }
    if (!b->err) {
        b->path[0] = 0;
        model_trust(buf_cstr(&path), b->hex, b->data_dir);
    }
    buf_done(&path);
}

static void put_done(void *arg) {
    struct blob *b = arg;
    b->busy = false;
    if (b->conn) {
        conn_set_user(b->conn, NULL);
        if (!b->err)
            conn_respond(b->conn, 201, NULL, NULL, SLICE_NONE);
        else
            api_respond_error(b->conn, SLICE("/api/blobs"), b->err,
                              b->err == ERR_BAD_FIELD ? "the body's sha256 is not the one of the address"
                              : b->cause == ENOSPC    ? "the disk is full; nothing of the blob was kept"
                                                      : NULL);
    }
    blob_drop(b);
}

void blob_put(struct shift *s, struct conn *c, const struct http_request *r) {
    struct blob *b = conn_user(c);
    (void)s;
    if (!b)
        api_respond_error(c, r->path, ERR_NO_MEMORY, NULL);
    else
        blob_offload(b, put_work, put_done);
}

// ---- is it there?

static void ask_work(void *arg) {
    struct blob *b = arg;
    if (!b->err && store_blob_bytes(b->data_dir, b->hex) < 0)
        b->err = ERR_NOT_FOUND;
}

static void ask_done(void *arg) {
    struct blob *b = arg;
    b->busy = false;
    if (b->conn) {
        conn_set_user(b->conn, NULL);
        if (b->err)
            api_respond_error(b->conn, SLICE("/api/blobs"), b->err,
                              b->err == ERR_BAD_FIELD ? "expected sha256:HEX at the end of the address" : NULL);
        else
            conn_respond(b->conn, 200, NULL, NULL, SLICE_NONE);
    }
    blob_drop(b);
}

void blob_ask(struct shift *s, struct conn *c, const struct http_request *r) {
    struct blob *b = blob_new(s, c, r);
    if (!b) {
        api_respond_error(c, r->path, ERR_NO_MEMORY, NULL);
        return;
    }
    conn_set_user(c, &b->guest);
    blob_offload(b, ask_work, ask_done);
}
