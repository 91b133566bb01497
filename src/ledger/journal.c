// SPDX-License-Identifier: Apache-2.0
// A loop's journal. The lines of a loop's turn gather in a batch and go out in one write(2) to a file opened with
// O_APPEND: when journal_flush returned, a kill of this process can't take them back (a power cut can, until the ledger's
// thread has synced them). The loop owns the file and the buffers. A settlement that the disk refuses waits in `pending`,
// bounded; while something waits, loop and ledger thread take the mutex, else nobody does. Intents that can't be written
// are an error, so that nothing is sent that no line accounts for. A piece of a batch that did get written is cut off
// again, and where that fails too, closed with a newline, so that it can only ever spoil itself.
#include "ledger/journal.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/line.h"

// Some minutes of settlements at 100 a second; more would be memory that nobody planned for.
#define PENDING_BYTES (4u << 20)
// A turn handles at most the 1,024 events of a poll; a line has some hundred bytes, a kilobyte with its reasons.
#define BATCH_BYTES (4u << 20)
#define BATCH_KEPT_BYTES ((size_t)64 << 10) // memory that a rare long batch leaves behind

struct journal {
    const char *folder;
    unsigned index;
    int fd;
    uint64_t size;               // bytes of the current segment
    bool torn;                   // a piece of a line stands at its end
    struct buf line;             // being composed
    struct buf intents, settled; // the batch; whole lines. An intent stands before its settlement
    pthread_mutex_t mutex;       // of pending, and of all above while something waits there
    struct buf pending;          // whole lines
    _Atomic bool waits;          // pending is not empty
    _Atomic uint64_t seq, failures, lost;
};

static _Atomic int fault_error;
static _Atomic size_t fault_after;
static _Atomic uint64_t segment_bytes = LIMIT_JOURNAL_SEGMENT_BYTES;
static char fault_file[512]; // written once, before threads are

void journal_set_fault(int error, size_t after_bytes) {
    atomic_store(&fault_after, after_bytes);
    atomic_store(&fault_error, error);
}

void journal_set_segment_bytes(uint64_t n) {
    atomic_store(&segment_bytes, n ? n : LIMIT_JOURNAL_SEGMENT_BYTES);
}

void journal_fault_from_env(void) {
    struct slice s = slice_str(getenv("GRIDTIE_FAULT_DISK"));
    if (slice_is(s, "ENOSPC"))
        journal_set_fault(ENOSPC, 0);
    else if (slice_is(s, "EIO"))
        journal_set_fault(EIO, 0);
    else if (slice_is(s, "EFBIG"))
        journal_set_fault(EFBIG, 0);
    else if (slice_starts(s, "/") && s.n < sizeof fault_file)
        memcpy(fault_file, s.p, s.n + 1);
}

int journal_fault(void) {
    if (fault_file[0] && access(fault_file, F_OK) == 0)
        return ENOSPC;
    return atomic_load_explicit(&fault_error, memory_order_relaxed);
}

void journal_segment_path(struct buf *out, const char *folder, unsigned index, uint64_t seq) {
    buf_printf(out, "%s/%u-%" PRIu64 JOURNAL_SUFFIX, folder, index, seq);
}

static int segment_create(const struct journal *j, uint64_t seq) {
    char text[8192];
    struct buf path = BUF_FIXED(text);
    journal_segment_path(&path, j->folder, j->index, seq);
    int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    return fd;
}

enum err journal_open(const char *folder, unsigned index, uint64_t seq, struct journal **ret) {
    struct journal *j = mem_zalloc(sizeof *j);
    if (!j)
        return ERR_NO_MEMORY;
    j->folder = folder;
    j->index = index;
    j->line = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES);
    j->intents = BUF_INIT(2 * BATCH_BYTES);
    j->settled = BUF_INIT(BATCH_BYTES);
    j->pending = BUF_INIT(PENDING_BYTES);
    atomic_store(&j->seq, seq);
    j->fd = segment_create(j, seq);
    if (j->fd < 0) {
        mem_free(j);
        return ERR_DISK;
    }
    (void)pthread_mutex_init(&j->mutex, NULL);
    *ret = j;
    return ERR_OK;
}

uint64_t journal_seq(const struct journal *j) {
    return atomic_load_explicit(&j->seq, memory_order_acquire);
}

uint64_t journal_failures(const struct journal *j) {
    return atomic_load_explicit(&j->failures, memory_order_relaxed);
}

uint64_t journal_lost(const struct journal *j) {
    return atomic_load_explicit(&j->lost, memory_order_relaxed);
}

// A failure to make the next file leaves the current one growing: a long segment is better than none.
static void segment_rotate(struct journal *j) {
    uint64_t next = atomic_load_explicit(&j->seq, memory_order_relaxed) + 1;
    if (j->size < atomic_load_explicit(&segment_bytes, memory_order_relaxed))
        return;
    int fd = segment_create(j, next);
    if (fd < 0)
        return;
    (void)close(j->fd);
    j->fd = fd;
    j->size = 0;
    j->torn = false;
    atomic_store_explicit(&j->seq, next, memory_order_release);
}

static ssize_t write_once(int fd, struct slice s) {
    int error = journal_fault();
    if (error) {
        size_t n = atomic_load(&fault_after);
        ssize_t put = n > 0 ? write(fd, s.p, n < s.n ? n : s.n) : 0;
        errno = error;
        return put > 0 ? put : -1;
    }
    ssize_t n = write(fd, s.p, s.n);
    while (n < 0 && errno == EINTR)
        n = write(fd, s.p, s.n);
    return n;
}

static void segment_mend(struct journal *j, ssize_t written) {
    if (written <= 0)
        return;
    if (ftruncate(j->fd, (off_t)j->size) == 0)
        return;
    j->size += (uint64_t)written;
    j->torn = true;
}

// s holds whole lines. All of it is written, or none.
static enum err segment_write(struct journal *j, struct slice s) {
    if (j->torn) {
        if (write_once(j->fd, SLICE("\n")) != 1)
            return ERR_DISK;
        j->size++;
        j->torn = false;
    }
    ssize_t n = write_once(j->fd, s);
    if (n != (ssize_t)s.n) {
        segment_mend(j, n);
        return ERR_DISK;
    }
    j->size += s.n;
    segment_rotate(j);
    return ERR_OK;
}

static enum err pending_flush(struct journal *j) {
    if (j->pending.len == 0)
        return ERR_OK;
    enum err e = segment_write(j, buf_slice(&j->pending));
    if (e)
        return e;
    buf_clear(&j->pending);
    atomic_store_explicit(&j->waits, false, memory_order_release);
    LOG(LOG_INFO, "the journal's disk takes writes again", LOG_I("loop", j->index));
    return ERR_OK;
}

void journal_retry(struct journal *j) {
    if (!atomic_load_explicit(&j->waits, memory_order_acquire))
        return;
    (void)pthread_mutex_lock(&j->mutex);
    (void)!pending_flush(j);
    (void)pthread_mutex_unlock(&j->mutex);
}

static enum err lines_put(struct journal *j, struct slice lines) {
    if (!atomic_load_explicit(&j->waits, memory_order_acquire))
        return segment_write(j, lines);
    (void)pthread_mutex_lock(&j->mutex);
    enum err e = pending_flush(j);
    if (!e)
        e = segment_write(j, lines);
    (void)pthread_mutex_unlock(&j->mutex);
    return e;
}

static void failure_note(struct journal *j, int error) {
    uint64_t before = atomic_fetch_add_explicit(&j->failures, 1, memory_order_relaxed);
    // The first, then seldom: a full disk must not be filled further by its own log.
    if ((before & (before - 1)) == 0)
        LOG(LOG_ERROR, "the journal can't be written", LOG_I("loop", j->index), LOG_I("errno", error),
            LOG_I("failures", before + 1));
}

enum err journal_intent(struct journal *j, const struct attempt_intent *i) {
    size_t before = j->intents.len;
    buf_clear(&j->line);
    bool whole = line_write_intent(&j->line, i);
    buf_append(&j->intents, buf_slice(&j->line));
    buf_append_char(&j->intents, '\n');
    if (whole && !j->intents.failed)
        return ERR_OK;
    j->intents.len = before;
    j->intents.failed = false;
    failure_note(j, ENOMEM);
    return ERR_DISK;
}

static void lost_note(struct journal *j, uint64_t lines) {
    atomic_fetch_add_explicit(&j->lost, lines, memory_order_relaxed);
}

static uint64_t lines_in(struct slice s) {
    uint64_t n = 0;
    for (; s.n; n++)
        (void)slice_split(&s, '\n');
    return n;
}

static void pending_keep(struct journal *j, struct slice lines) {
    (void)pthread_mutex_lock(&j->mutex);
    while (lines.n) {
        struct slice rest = lines;
        (void)slice_split(&rest, '\n');
        buf_append(&j->pending, slice_first(lines, lines.n - rest.n));
        if (j->pending.failed)
            break;
        lines = rest;
    }
    j->pending.failed = false;
    atomic_store_explicit(&j->waits, j->pending.len > 0, memory_order_release);
    (void)pthread_mutex_unlock(&j->mutex);
    lost_note(j, lines_in(lines));
}

void journal_settle(struct journal *j, const struct settlement *s) {
    size_t before = j->settled.len;
    bool whole = line_write_settlement(&j->line, s, NULL);
    buf_append(&j->settled, buf_slice(&j->line));
    buf_append_char(&j->settled, '\n');
    if (whole && !j->settled.failed)
        return;
    j->settled.len = before;
    j->settled.failed = false;
    lost_note(j, 1);
    failure_note(j, ENOMEM);
}

static void batch_clear(struct buf *b) {
    if (b->cap > BATCH_KEPT_BYTES)
        buf_done(b);
    buf_clear(b);
}

enum err journal_flush(struct journal *j) {
    if (j->intents.len + j->settled.len == 0)
        return ERR_OK;
    errno = 0;
    buf_append(&j->intents, buf_slice(&j->settled));
    enum err e = j->intents.failed ? ERR_DISK : lines_put(j, buf_slice(&j->intents));
    if (e) {
        failure_note(j, errno);
        pending_keep(j, buf_slice(&j->settled));
    }
    batch_clear(&j->intents);
    batch_clear(&j->settled);
    return e;
}

void journal_close(struct journal *j) {
    if (!j)
        return;
    (void)!journal_flush(j);
    journal_retry(j);
    if (j->pending.len > 0)
        LOG(LOG_ERROR, "settlements are lost: the disk took no writes until the end", LOG_I("bytes", j->pending.len));
    (void)close(j->fd);
    buf_done(&j->line);
    buf_done(&j->intents);
    buf_done(&j->settled);
    buf_done(&j->pending);
    (void)pthread_mutex_destroy(&j->mutex);
    mem_free(j);
}
