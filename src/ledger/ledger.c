// SPDX-License-Identifier: Apache-2.0
// The ledger's owner: it holds the directory (flock), opens the store, feeds what an earlier process left, gives each loop
// its journal, and runs the thread that syncs the journals and feeds the store from them every batch_ms. How far a
// segment was read is committed with the lines that were read, so a kill at any point loses and doubles nothing; a
// segment is deleted only when it is complete, fed and the store's log is on the disk. Queries run on their caller's
// thread under the same mutex. Loops never wait here: they only write to their journals.
#include "ledger/ledger.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "ledger/journal.h"
#include "ledger/ledger_own.h"

// Segment numbers never repeat, also over restarts: a run owns a million of them.
#define SEGMENTS_PER_RUN 1000000u
#define EXPIRE_EVERY_MS 1000
#define PATH_BYTES 8192 // on the stack: a path without memory would be another path
#define EXPIRE_ROWS 500
#define JOIN_AFTER_S (62 * 86400) // a month in any zone, and no run goes on for so long

struct reader { // of one journal
    struct journal *j;
    uint64_t seq;
    int fd;         // -1: not open yet
    int64_t offset; // committed
    int64_t next;   // in the running transaction
    int64_t synced;
    bool complete; // no more is written to this segment, and all of it was read
};

struct ledger {
    struct ledger_options o;
    char *dir, *folder; // folder: dir/journal
    int lock_fd, wake_fd;
    struct store *store;
    struct feed *feed;
    struct accounts *accounts;
    struct keyring *keyring;
    struct reader readers[LIMIT_LOOPS];
    pthread_mutex_t mutex;
    pthread_t thread;
    bool threaded;
    _Atomic bool stop;
    _Atomic uint64_t failures; // of the store
    bool doubt;                // a round failed: the store knows how far it got
    uint64_t expired_ms;
};

// ---- one round: sync, feed, commit, retire

static bool path_of(struct buf *out, const char *dir, const char *name) {
    buf_clear(out);
    buf_printf(out, "%s/%s", dir, name);
    return buf_cstr(out)[0] != 0;
}

static const char *segment_name(struct buf *path) {
    const char *p = buf_cstr(path), *slash = strrchr(p, '/');
    return slash ? slash + 1 : p;
}

static bool reader_open(struct ledger *l, struct reader *r, unsigned index) {
    if (r->fd >= 0)
        return true;
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    journal_segment_path(&path, l->folder, index, r->seq);
    r->fd = open(buf_cstr(&path), O_RDONLY | O_CLOEXEC);
    return r->fd >= 0;
}

static int64_t reader_size(const struct reader *r) {
    struct stat st;
    return fstat(r->fd, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void reader_sync(struct reader *r) {
    int64_t size = reader_size(r);
    if (size > r->synced && fdatasync(r->fd) == 0)
        r->synced = size;
}

static enum err reader_feed(struct ledger *l, struct reader *r, unsigned index) {
    bool end = false;
    r->next = r->offset;
    r->complete = false;
    if (!reader_open(l, r, index))
        return ERR_DISK;
    bool last = journal_seq(r->j) > r->seq; // read before the file is: then nothing comes after its end
    enum err e = feed_file(l->feed, r->fd, last, &r->next, &end);
    if (e)
        return e;
    r->complete = last && end;
    if (r->next == r->offset)
        return ERR_OK;
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    journal_segment_path(&path, l->folder, index, r->seq);
    e = store_set_offset(l->store, segment_name(&path), r->next);
    return e;
}

// What is under way stands nowhere but in its segment, and in memory.
static enum err open_spill(struct ledger *l, bool careful) {
    enum err e = store_begin(l->store);
    if (!e)
        e = store_spill_open(l->store, careful);
    if (!e)
        e = store_commit(l->store);
    if (e)
        store_rollback(l->store);
    else
        store_spilled(l->store);
    return e;
}

// The store has it on the disk before the file goes; the row goes last, so that a kill in between costs nothing.
static void segment_retire(struct ledger *l, const char *path, const char *name) {
    if (open_spill(l, false) != ERR_OK || store_checkpoint(l->store) != ERR_OK)
        return;
    if (unlink(path) != 0 && errno != ENOENT)
        return;
    (void)!store_forget_segment(l->store, name);
}

static void reader_advance(struct ledger *l, struct reader *r, unsigned index) {
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    journal_segment_path(&path, l->folder, index, r->seq);
    segment_retire(l, buf_cstr(&path), segment_name(&path));
    (void)close(r->fd);
    // r->j is read by other threads and stays as it is.
    r->seq++;
    r->fd = -1;
    r->offset = r->next = r->synced = 0;
    r->complete = false;
}

static bool round_is_needed(struct ledger *l) {
    for (unsigned i = 0; i < l->o.loops; i++) {
        struct reader *r = &l->readers[i];
        if (journal_seq(r->j) > r->seq || !reader_open(l, r, i) || reader_size(r) > r->offset)
            return true;
    }
    return false;
}

// A commit that failed may have been one all the same, and our own lines are taken without asking whether they are known.
static enum err offsets_read(struct ledger *l) {
    enum err e = ERR_OK;
    for (unsigned i = 0; i < l->o.loops && !e; i++) {
        char path_text[PATH_BYTES];
        struct buf path = BUF_FIXED(path_text);
        journal_segment_path(&path, l->folder, i, l->readers[i].seq);
        e = store_offset(l->store, segment_name(&path), &l->readers[i].offset);
    }
    return e;
}

static enum err round_feed(struct ledger *l) {
    if (journal_fault())
        return ERR_DISK;
    enum err e = l->doubt ? offsets_read(l) : ERR_OK;
    l->doubt = e != ERR_OK;
    if (!e)
        e = store_begin(l->store);
    if (e)
        return e;
    for (unsigned i = 0; i < l->o.loops && !e; i++)
        e = reader_feed(l, &l->readers[i], i);
    if (!e)
        e = store_commit(l->store);
    if (e)
        store_rollback(l->store);
    l->doubt = e != ERR_OK;
    return e;
}

static void failure_note(struct ledger *l, enum err e) {
    uint64_t before = atomic_fetch_add_explicit(&l->failures, 1, memory_order_relaxed);
    if ((before & (before - 1)) == 0)
        LOG(LOG_ERROR, "the ledger can't be written", LOG_S("err", err_name(e)), LOG_I("failures", before + 1));
}

// One transaction; *ret_more: there may be more to read now.
static enum err round_run(struct ledger *l, bool *ret_more) {
    *ret_more = false;
    if (!round_is_needed(l))
        return ERR_OK;
    enum err e = round_feed(l);
    if (e) {
        failure_note(l, e);
        return e;
    }
    for (unsigned i = 0; i < l->o.loops; i++) {
        struct reader *r = &l->readers[i];
        *ret_more = *ret_more || r->next - r->offset >= (int64_t)(1u << 20) || r->complete;
        r->offset = r->next;
        if (r->complete)
            reader_advance(l, r, i);
    }
    return ERR_OK;
}

static enum err rounds_run(struct ledger *l) {
    bool more = true;
    enum err e = ERR_OK;
    while (more && !e)
        e = round_run(l, &more);
    return e;
}

// ---- the thread

static void expire(struct ledger *l) {
    int64_t deleted = 0;
    if (l->o.retention_s <= 0 || clock_mono_ms() - l->expired_ms < EXPIRE_EVERY_MS)
        return;
    enum err e = store_expire(l->store, clock_wall_us() - l->o.retention_s * 1000000, EXPIRE_ROWS, &deleted);
    (void)!store_recount_open(l->store);
    (void)!store_join_old(l->store, clock_wall_s() - JOIN_AFTER_S);
    // With more to delete the next turn goes on; in between, loops' lines and queries have theirs.
    if (e || deleted < EXPIRE_ROWS)
        l->expired_ms = clock_mono_ms();
}

static void turn(struct ledger *l) {
    bool more = false;
    (void)pthread_mutex_lock(&l->mutex);
    for (unsigned i = 0; i < l->o.loops; i++) {
        journal_retry(l->readers[i].j);
        if (reader_open(l, &l->readers[i], i))
            reader_sync(&l->readers[i]);
    }
    do { // not for ever: queries want the mutex too
        (void)!round_run(l, &more);
    } while (more && atomic_load(&l->stop));
    budgets_unseal(l, false);
    expire(l);
    (void)pthread_mutex_unlock(&l->mutex);
}

static void *thread_main(void *arg) {
    struct ledger *l = arg;
    struct pollfd wake = {.fd = l->wake_fd, .events = POLLIN};
    while (!atomic_load(&l->stop)) {
        (void)poll(&wake, 1, (int)l->o.batch_ms);
        turn(l);
    }
    return NULL;
}

enum err ledger_lock_fed(struct ledger *l) {
    (void)pthread_mutex_lock(&l->mutex);
    return rounds_run(l);
}

void ledger_unlock(struct ledger *l) {
    (void)pthread_mutex_unlock(&l->mutex);
}

struct store *ledger_store(struct ledger *l) {
    return l->store;
}

struct feed *ledger_feed(struct ledger *l) {
    return l->feed;
}

uint64_t ledger_disk_failures(const struct ledger *l) {
    uint64_t n = atomic_load_explicit(&l->failures, memory_order_relaxed);
    for (unsigned i = 0; i < l->o.loops; i++)
        n += journal_failures(l->readers[i].j);
    return n;
}

uint64_t ledger_lost_lines(const struct ledger *l) {
    uint64_t n = 0;
    for (unsigned i = 0; i < l->o.loops; i++)
        n += journal_lost(l->readers[i].j);
    return n;
}

struct accounts *ledger_accounts(struct ledger *l) {
    return l->accounts;
}

struct keyring *ledger_keyring(struct ledger *l) {
    return l->keyring;
}

struct journal *ledger_journal(struct ledger *l, unsigned index) {
    return l->readers[index].j;
}

// ---- recovery

static enum err recover_part(struct ledger *l, int fd, const char *name, int64_t *offset, bool *ret_end) {
    int64_t next = *offset;
    enum err e = store_begin(l->store);
    if (!e)
        e = feed_file(l->feed, fd, true, &next, ret_end);
    if (!e)
        e = store_set_offset(l->store, name, next);
    if (!e)
        e = store_commit(l->store);
    if (e)
        store_rollback(l->store);
    else
        *offset = next;
    return e;
}

static enum err recover_segment(struct ledger *l, const char *path, const char *name) {
    int64_t offset = 0;
    bool end = false;
    enum err e = store_offset(l->store, name, &offset);
    if (e)
        return e;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_DISK;
    if (offset > 0)
        e = feed_again(l->feed, fd, offset);
    while (!e && !end)
        e = recover_part(l, fd, name, &offset, &end);
    (void)close(fd);
    return e;
}

static bool is_segment(const char *name) {
    return name[0] >= '0' && name[0] <= '9' &&
           (slice_ends(slice_str(name), JOURNAL_SUFFIX) || slice_ends(slice_str(name), ".jsonl"));
}

// Calls fn for each segment file of the folder; stops at the first error. Adds their number to *n.
static enum err each_segment(struct ledger *l, enum err (*fn)(struct ledger *l, const char *path, const char *name),
                             size_t *n) {
    DIR *d = opendir(l->folder);
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    enum err e = d ? ERR_OK : ERR_DISK;
    for (struct dirent *entry; !e && (entry = readdir(d));) {
        if (!is_segment(entry->d_name))
            continue;
        e = path_of(&path, l->folder, entry->d_name) ? fn(l, buf_cstr(&path), entry->d_name) : ERR_DISK;
        ++*n;
    }
    if (d)
        (void)closedir(d);
    return e;
}

static enum err segment_delete(struct ledger *l, const char *path, const char *name) {
    (void)l;
    (void)name;
    return unlink(path) == 0 || errno == ENOENT ? ERR_OK : ERR_DISK;
}

// What no line settles now never will be: its process is gone.
static enum err recover_one_open(struct ledger *l, int64_t *n) {
    char id_text[4096];
    struct buf id = BUF_FIXED(id_text), record = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES);
    enum err e = store_some_open(l->store, &id);
    if (!e)
        e = feed_open_record(l->feed, buf_slice(&id), "unknown", &record);
    if (!e)
        e = feed_line(l->feed, buf_slice(&record));
    // Also where an older settlement made that line a double: the loop must end.
    if (!e)
        e = store_delete_open(l->store, buf_slice(&id));
    *n += !e;
    buf_done(&record);
    return e;
}

static enum err recover_open(struct ledger *l) {
    int64_t n = 0;
    enum err e = store_begin(l->store);
    while (!e)
        e = recover_one_open(l, &n);
    if (e == ERR_NOT_FOUND)
        e = store_commit(l->store);
    if (e)
        store_rollback(l->store);
    else if (n > 0)
        LOG(LOG_WARN, "exchanges were under way when the last process ended; their outcome is unknown",
            LOG_I("exchanges", n));
    return e;
}

static enum err recover(struct ledger *l, struct buf *problem) {
    size_t fed = 0, deleted = 0;
    enum err e = each_segment(l, recover_segment, &fed);
    if (!e)
        e = open_spill(l, true);
    if (!e)
        e = recover_open(l);
    if (!e)
        e = store_recount_open(l->store);
    if (!e && fed > 0)
        e = store_checkpoint(l->store); // on the disk before they go; a clean start has none and syncs nothing
    if (!e && fed > 0)
        e = each_segment(l, segment_delete, &deleted);
    if (!e)
        e = store_forget_segment(l->store, NULL);
    if (e)
        buf_printf(problem, "%s: the journals of the last process can't be fed (%s)", l->folder,
                   errno ? strerror(errno) : err_name(e));
    return e;
}

// ---- open and close

static enum err directory_take(struct ledger *l, struct buf *problem) {
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    enum err e = fs_mkdirs(l->folder, 0700);
    if (e) {
        buf_printf(problem, "%s can't be made: %s", l->folder, strerror(errno));
        return e;
    }
    (void)path_of(&path, l->dir, "lock");
    l->lock_fd = open(buf_cstr(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock_fd < 0) {
        buf_printf(problem, "%s can't be opened: %s", buf_cstr(&path), strerror(errno));
        e = ERR_DISK;
    } else if (flock(l->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        buf_printf(problem,
                   "%s is in use by another gridtie; stop it, or give this one another folder (`state` in the config)",
                   l->dir);
        e = ERR_DISK;
    }
    return e;
}

static enum err store_take(struct ledger *l, struct buf *problem) {
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    mode_t before = umask(077); // the database and its log are nobody else's
    (void)path_of(&path, l->dir, "ledger.db");
    enum err e = store_open(buf_cstr(&path), &l->store, problem);
    (void)umask(before);
    return e ? e : feed_new(l->store, &l->feed);
}

static enum err journals_open(struct ledger *l, struct buf *problem) {
    int64_t run = 0;
    enum err e = store_count(l->store, "runs", 1, &run);
    for (unsigned i = 0; i < l->o.loops && !e; i++) {
        uint64_t seq = (uint64_t)run * SEGMENTS_PER_RUN;
        l->readers[i] = (struct reader){.seq = seq, .fd = -1};
        e = journal_open(l->folder, i, seq, &l->readers[i].j);
    }
    if (e)
        buf_printf(problem, "%s: no journal can be made (%s)", l->folder, errno ? strerror(errno) : err_name(e));
    return e;
}

static enum err thread_start(struct ledger *l, struct buf *problem) {
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->threaded = l->wake_fd >= 0 && pthread_create(&l->thread, NULL, thread_main, l) == 0;
    if (l->threaded)
        return ERR_OK;
    buf_printf(problem, "the ledger's thread can't be started");
    return ERR_LIMIT;
}

static enum err open_steps(struct ledger *l, struct buf *problem) {
    enum err e = directory_take(l, problem);
    if (!e)
        e = store_take(l, problem);
    errno = 0;
    if (!e)
        e = recover(l, problem);
    if (!e)
        feed_trust(l->feed);
    if (!e)
        e = accounts_new(&l->accounts);
    if (!e)
        e = keyring_open(l->store, l->dir, &l->keyring, problem);
    if (!e)
        e = budgets_recover(l);
    if (!e)
        e = journals_open(l, problem);
    return e ? e : thread_start(l, problem);
}

static char *join(const char *dir, const char *name) {
    struct buf b = BUF_INIT(8192);
    buf_printf(&b, "%s/%s", dir, name);
    char *s = b.failed ? NULL : mem_strndup(b.p, b.len);
    buf_done(&b);
    return s;
}

enum err ledger_open(const struct ledger_options *o, struct ledger **ret, struct buf *problem) {
    if (o->loops < 1 || o->loops > LIMIT_LOOPS)
        return ERR_LIMIT;
    struct ledger *l = mem_zalloc(sizeof *l);
    if (!l)
        return ERR_NO_MEMORY;
    l->o = *o;
    l->o.batch_ms = o->batch_ms ? o->batch_ms : 100;
    l->lock_fd = l->wake_fd = -1;
    (void)pthread_mutex_init(&l->mutex, NULL);
    (void)signal(SIGXFSZ, SIG_IGN); // a file size limit must be an error that we handle, not a death
    journal_fault_from_env();
    l->dir = mem_strdup(o->dir);
    l->folder = join(o->dir, "journal");
    enum err e = l->dir && l->folder ? open_steps(l, problem) : ERR_NO_MEMORY;
    if (e)
        ledger_close(l);
    else
        *ret = l;
    return e;
}

static void thread_stop(struct ledger *l) {
    const uint64_t one = 1;
    if (!l->threaded)
        return;
    atomic_store(&l->stop, true);
    (void)!write(l->wake_fd, &one, sizeof one);
    (void)pthread_join(l->thread, NULL);
}

static void reader_close(struct ledger *l, unsigned index) {
    struct reader *r = &l->readers[index];
    if (!r->j)
        return;
    bool fed = l->threaded && r->fd >= 0 && journal_seq(r->j) == r->seq && reader_size(r) == r->offset;
    char path_text[PATH_BYTES];
    struct buf path = BUF_FIXED(path_text);
    journal_segment_path(&path, l->folder, index, r->seq);
    if (fed)
        segment_retire(l, buf_cstr(&path), segment_name(&path));
    journal_close(r->j);
    if (r->fd >= 0)
        (void)close(r->fd);
}

void ledger_close(struct ledger *l) {
    if (!l)
        return;
    thread_stop(l);
    if (l->threaded) {
        for (unsigned i = 0; i < l->o.loops; i++) {
            (void)!journal_flush(l->readers[i].j);
            journal_retry(l->readers[i].j);
        }
        (void)!rounds_run(l);
    }
    for (unsigned i = 0; i < l->o.loops; i++)
        reader_close(l, i);
    feed_free(l->feed);
    keyring_close(l->keyring);
    accounts_free(l->accounts);
    store_close(l->store);
    if (l->wake_fd >= 0)
        (void)close(l->wake_fd);
    if (l->lock_fd >= 0)
        (void)close(l->lock_fd);
    (void)pthread_mutex_destroy(&l->mutex);
    mem_free(l->dir);
    mem_free(l->folder);
    mem_free(l);
}
