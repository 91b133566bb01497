// SPDX-License-Identifier: Apache-2.0
// Helpers: a script that fetches packages, llama-quantize. Each is a child in a session of its own, so that what it starts
// goes with it; it ends when our end of its standard input is closed, by us or by our death (a script that listens; others
// live for seconds). The job's thread polls with a timeout, so that a cancelled job ends soon. Where helpers lie: beside this
// program, or beside the llama-server that is used.
#include "store/helper.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/secret.h"
#include "store/models.h"
#include "store/store.h"

#define SAID_BYTES (1u << 20)
#define COMPLAINT_BYTES 1024 // its last line is kept
#define POLL_MS 100

// ---- where they lie

bool helper_beside(const char *const *places, size_t n_places, char (*ret)[4096]) {
    char exe[2048];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
    while (n > 0 && exe[n - 1] != '/')
        n--;
    for (size_t i = 0; n > 1 && i < n_places; i++) {
        (void)snprintf(*ret, sizeof *ret, "%.*s%s", (int)n, exe, places[i]);
        if (access(*ret, X_OK) == 0)
            return true;
    }
    return false;
}

// Wherever llama-server is; a link to it leads there.
bool helper_quantizer(const struct config *c, char (*ret)[4096]) {
    static const char *const places[] = {"../libexec/gridtie/llama-quantize"};
    const char *env = getenv("GRIDTIE_LLAMA_SERVER");
    struct buf cache = BUF_INIT(4096);
    fs_cache_dir(&cache);
    buf_append_str(&cache, "/bin/llama-server");
    const char *servers[] = {c->engine.binary, env, buf_cstr(&cache)};
    bool found = false;
    for (size_t i = 0; i < 3 && !found; i++) {
        char *real = servers[i] && servers[i][0] ? realpath(servers[i], NULL) : NULL;
        char *slash = real ? strrchr(real, '/') : NULL;
        if (slash)
            (void)snprintf(*ret, sizeof *ret, "%.*s/llama-quantize", (int)(slash - real), real);
        found = slash && access(*ret, X_OK) == 0;
        free(real);
    }
    buf_done(&cache);
    return found || helper_beside(places, 1, ret);
}

// ---- the child

struct helper {
    pid_t pid;
    int in, out, err; // ours of its pipes
    struct buf said, complained;
    char last[COMPLAINT_BYTES]; // its last word
};

static void fds_close(int *fds, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
}

static bool helper_start(struct helper *h, char *const argv[]) {
    int fds[6] = {-1, -1, -1, -1, -1, -1};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    if (pipe2(fds, O_CLOEXEC) || pipe2(fds + 2, O_CLOEXEC) || pipe2(fds + 4, O_CLOEXEC)) {
        fds_close(fds, 6);
        return false;
    }
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawn_file_actions_adddup2(&files, fds[0], 0);
    (void)posix_spawn_file_actions_adddup2(&files, fds[3], 1);
    (void)posix_spawn_file_actions_adddup2(&files, fds[5], 2);
    sigset_t all;
    (void)sigemptyset(&all);
    (void)posix_spawnattr_setsigmask(&attr, &all);
    (void)sigaddset(&all, SIGPIPE); // the daemon ignores it, and ignoring is inherited
    (void)posix_spawnattr_setsigdefault(&attr, &all);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    errno = posix_spawn(&h->pid, argv[0], &files, &attr, argv, environ);
    int cause = errno;
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attr);
    int theirs[] = {fds[0], fds[3], fds[5]}, ours[] = {fds[1], fds[2], fds[4]};
    fds_close(theirs, 3);
    if (cause)
        fds_close(ours, 3);
    h->in = fds[1];
    h->out = fds[2];
    h->err = fds[4];
    errno = cause;
    return cause == 0;
}

static bool pipe_read(int fd, struct buf *to) {
    char block[4096];
    ssize_t n = read(fd, block, sizeof block);
    if (n > 0)
        buf_append_mem(to, block, (size_t)n);
    return n > 0 && !to->failed;
}

static void lines_take(struct buf *from, bool at_end, helper_line *take, void *ctx, char last[COMPLAINT_BYTES]) {
    size_t end;
    while ((end = slice_find(buf_slice(from), '\n')) != SIZE_MAX || (at_end && from->len)) {
        struct slice line = slice_first(buf_slice(from), end);
        if (take)
            take(ctx, line);
        if (last && slice_trim(line).n)
            (void)snprintf(last, COMPLAINT_BYTES, "%.*s", SLICE_FMT(slice_trim(line)));
        buf_consume(from, line.n < from->len ? line.n + 1 : line.n);
    }
}

// Until both pipes end, or the job is cancelled.
static void helper_listen(struct job *j, struct helper *h, helper_line *out, helper_line *err, void *ctx) {
    struct pollfd fds[] = {{h->out, POLLIN, 0}, {h->err, POLLIN, 0}};
    while ((fds[0].fd >= 0 || fds[1].fd >= 0) && !job_cancelled(j)) {
        if (poll(fds, 2, POLL_MS) <= 0)
            continue;
        if (fds[0].revents && !pipe_read(h->out, &h->said))
            fds[0].fd = -1;
        if (fds[1].revents && !pipe_read(h->err, &h->complained))
            fds[1].fd = -1;
        lines_take(&h->said, fds[0].fd < 0, out, ctx, NULL);
        lines_take(&h->complained, fds[1].fd < 0, err, ctx, h->last);
    }
}

// Its session goes with it: pip, and what that starts.
static int helper_end(struct job *j, struct helper *h) {
    int status = -1;
    if (job_cancelled(j))
        (void)kill(-h->pid, SIGKILL);
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
        ;
    int ours[] = {h->in, h->out, h->err};
    fds_close(ours, 3);
    return status;
}

enum err helper_run(struct job *j, char *const argv[], helper_line *out, helper_line *err, void *ctx) {
    struct helper h = {.said = BUF_INIT(SAID_BYTES), .complained = BUF_INIT(SAID_BYTES)};
    enum err e = ERR_OK;
    if (!helper_start(&h, argv))
        return job_problem(j, ERR_INTERNAL, "%s can't be run: %s", argv[0], strerror(errno));
    helper_listen(j, &h, out, err, ctx);
    int status = helper_end(j, &h);
    if (job_cancelled(j))
        e = job_problem(j, ERR_CANCELLED, "cancelled");
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        e = job_problem(j, ERR_UP_INTERNAL, "%s", h.last[0] ? h.last : "a helper failed without a word");
    buf_done(&h.said);
    buf_done(&h.complained);
    return e;
}

// ---- its file

enum err helper_adopt(struct job *j, const char *file, char ret_hex[HEX_BYTES], int64_t *ret_bytes) {
    struct buf path = BUF_INIT(4096);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && sha256_file(file, ret_hex) && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (ok)
        store_blob_path(job_data_dir(j), ret_hex, &path);
    errno = ok ? store_fault() : errno;
    ok = ok && !errno && fs_rename_synced(file, buf_cstr(&path)) == ERR_OK;
    enum err e = ok ? ERR_OK : job_problem(j, ERR_DISK, "%s can't become a blob: %s", file, strerror(errno));
    if (ok)
        model_trust(buf_cstr(&path), ret_hex, job_data_dir(j));
    buf_done(&path);
    *ret_bytes = ok ? store_blob_bytes(job_data_dir(j), ret_hex) : 0;
    return e;
}
