// SPDX-License-Identifier: Apache-2.0
// A llama-server under its guard (grid/guard.c), as one process to start, stop and listen to. The child owns the guard's
// process handle, its stdin (EOF there means that we are gone or want it to end), and the read end of the pipe that
// both write their output to. Output goes to a log file and, the last lines, to memory, where an error finds its reason.
// The environment is passed on without anything that looks like a credential. Main thread; the small appends to the log
// are the only disk writes.
#include "grid/child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/mem.h"
#include "grid/guard.h"

#define CHILD_LINES 20
#define CHILD_LINE_BYTES 256
#define CHILD_LOG_BYTES (4 << 20)
#define CHILD_STOP_MS 5500 // the guard kills after 4 s; beyond this the guard itself hangs
#define CHILD_ENV_MAX 4096
#define CHILD_ARGS_MAX 512

struct child {
    struct loop *l;
    uv_process_t process;
    uv_pipe_t in, out;
    struct timer kill;
    unsigned open; // handles to be closed
    bool exited, stopping;
    int status;
    int server; // pid
    void (*ended)(void *ctx, struct child *c, int status);
    void *ctx;
    char lines[CHILD_LINES][CHILD_LINE_BYTES];
    unsigned n_lines; // ever seen
    char line[CHILD_LINE_BYTES];
    size_t line_len;
    char *log_path;
    int log_fd;
    int64_t log_bytes;
};

// ---- the log

static void log_open(struct child *c) {
    if (!c->log_path)
        return;
    c->log_fd = open(c->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    struct stat st;
    c->log_bytes = c->log_fd >= 0 && fstat(c->log_fd, &st) == 0 ? (int64_t)st.st_size : 0;
}

static void log_rotate(struct child *c) {
    char old[4096];
    int n = snprintf(old, sizeof old, "%s.1", c->log_path);
    if (n > 0 && (size_t)n < sizeof old && rename(c->log_path, old) != 0)
        errno = 0;
    close(c->log_fd);
    log_open(c);
}

static void log_put(struct child *c, struct slice bytes) {
    if (c->log_fd < 0)
        return;
    if (c->log_bytes > CHILD_LOG_BYTES)
        log_rotate(c);
    if (c->log_fd < 0)
        return;
    ssize_t n = write(c->log_fd, bytes.p, bytes.n); // a full disk must not stop the engine
    if (n > 0)
        c->log_bytes += n;
}

static void line_end(struct child *c) {
    struct slice line = slice_trim(slice_of(c->line, c->line_len));
    c->line_len = 0;
    if (line.n == 0)
        return;
    if (slice_starts(line, GUARD_PID_LINE)) {
        uint64_t pid = 0;
        if (slice_u64(slice_from(line, sizeof GUARD_PID_LINE - 1), &pid) && pid < INT32_MAX)
            c->server = (int)pid;
        return;
    }
    char *to = c->lines[c->n_lines++ % CHILD_LINES];
    for (size_t i = 0; i < line.n; i++)
        to[i] = (unsigned char)line.p[i] < 0x20 ? ' ' : line.p[i];
    to[line.n] = '\0';
}

static void output_take(struct child *c, struct slice bytes) {
    log_put(c, bytes);
    for (size_t i = 0; i < bytes.n; i++) {
        if (bytes.p[i] == '\n')
            line_end(c);
        else if (c->line_len < CHILD_LINE_BYTES - 1)
            c->line[c->line_len++] = bytes.p[i];
    }
}

// llama-server's last words after an error are often about cleaning up: the last line that names one is better.
const char *child_last_line(const struct child *c) {
    unsigned kept = c->n_lines < CHILD_LINES ? c->n_lines : CHILD_LINES;
    for (unsigned i = 1; i <= kept; i++) {
        const char *line = c->lines[(c->n_lines - i) % CHILD_LINES];
        if (strstr(line, "error") || strstr(line, "failed") || strstr(line, " E ") || strstr(line, "cannot"))
            return line;
    }
    return kept ? c->lines[(c->n_lines - 1) % CHILD_LINES] : "";
}

const char *child_line(const struct child *c, unsigned i) {
    unsigned kept = c->n_lines < CHILD_LINES ? c->n_lines : CHILD_LINES;
    return i < kept ? c->lines[(c->n_lines - kept + i) % CHILD_LINES] : NULL;
}

int child_pid(const struct child *c) {
    return c->exited ? 0 : c->server;
}

// ---- the end

static void handle_closed(struct child *c) {
    if (--c->open > 0)
        return;
    c->ended(c->ctx, c, c->status);
    if (c->log_fd >= 0)
        close(c->log_fd);
    mem_free(c->log_path);
    mem_free(c);
}

static void uv_closed(uv_handle_t *h) {
    handle_closed(h->data);
}

static void timer_closed(void *arg) {
    handle_closed(arg);
}

// What the pipe still holds when the process is gone; nobody else has its write end for longer than a moment.
static void output_drain(struct child *c) {
    char bytes[4096];
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&c->out, &fd) != 0)
        return;
    for (ssize_t n; (n = read(fd, bytes, sizeof bytes)) > 0;)
        output_take(c, slice_of(bytes, (size_t)n));
    line_end(c);
}

static void close_once(uv_handle_t *h) {
    if (!uv_is_closing(h))
        uv_close(h, uv_closed);
}

static void on_exit_of(uv_process_t *p, int64_t status, int signal) {
    struct child *c = p->data;
    c->exited = true;
    c->status = signal ? 128 + signal : (int)status;
    output_drain(c);
    close_once((uv_handle_t *)&c->process);
    close_once((uv_handle_t *)&c->in);
    close_once((uv_handle_t *)&c->out);
    timer_close(&c->kill, timer_closed);
}

static void on_kill(struct timer *t) {
    child_kill(t->arg);
}

void child_stop(struct child *c) {
    if (c->exited || c->stopping)
        return;
    c->stopping = true;
    close_once((uv_handle_t *)&c->in);
    (void)uv_process_kill(&c->process, SIGTERM);
    timer_start(&c->kill, CHILD_STOP_MS);
}

void child_kill(struct child *c) {
    if (c->exited)
        return;
    c->stopping = true;
    (void)uv_process_kill(&c->process, SIGKILL); // the server's parent-death signal does the rest
}

// ---- the start

static bool env_is_private(const char *entry) {
    static const char *const words[] = {"KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"};
    struct slice all = slice_str(entry), name = slice_first(all, slice_find(all, '='));
    if (slice_starts(name, "GRIDTIE_") || slice_starts(name, "LLAMA_SERVER_") || slice_starts(name, "LLAMA_ARG_"))
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (slice_search(name, slice_str(words[i])) != SIZE_MAX)
            return true;
    return slice_is(name, "OMP_WAIT_POLICY");
}

static char **env_make(struct arena *a) {
    char **out = arena_array(a, CHILD_ENV_MAX + 2, sizeof *out);
    if (!out)
        return NULL;
    size_t n = 0;
    for (char **e = environ; *e && n < CHILD_ENV_MAX; e++)
        if (!env_is_private(*e))
            out[n++] = *e;
    out[n] = arena_strdup(a, "OMP_WAIT_POLICY=passive"); // spinning threads of two children starve each other
    return out[n] ? out : NULL;
}

static char **args_make(struct arena *a, const char *const *argv) {
    char **out = arena_array(a, CHILD_ARGS_MAX + 4, sizeof *out);
    if (!out)
        return NULL;
    size_t n = 0;
    out[n++] = arena_strdup(a, "gridtie-engine-guard");
    out[n++] = arena_strdup(a, GUARD_FLAG);
    out[n++] = arena_printf(a, "%d", (int)getpid());
    for (; *argv && n < CHILD_ARGS_MAX; argv++)
        out[n++] = arena_strdup(a, *argv);
    for (size_t i = 0; i < n; i++)
        if (!out[i])
            return NULL;
    return out;
}

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *ret) {
    (void)want;
    struct child *c = h->data;
    *ret = uv_buf_init(c->l->read_buf, LOOP_READ_BYTES);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b) {
    struct child *c = s->data;
    if (n > 0)
        output_take(c, slice_of(b->base, (size_t)n));
    if (n < 0)
        uv_read_stop(s); // its end is told by the process
}

static int child_spawn(struct child *c, char **args, char **env, int output) {
    uv_stdio_container_t stdio[3] = {{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&c->in},
                                     {.flags = UV_INHERIT_FD, .data.fd = output},
                                     {.flags = UV_INHERIT_FD, .data.fd = output}};
    uv_process_options_t o = {
        .exit_cb = on_exit_of, .file = "/proc/self/exe", .args = args, .env = env, .stdio_count = 3, .stdio = stdio};
    return uv_spawn(&c->l->uv, &c->process, &o);
}

static void handles_init(struct child *c) {
    uv_pipe_init(&c->l->uv, &c->in, 0);
    uv_pipe_init(&c->l->uv, &c->out, 0);
    c->in.data = c->out.data = c->process.data = c;
    timer_init(&c->kill, c->l, on_kill, c);
    c->open = 4;
}

static void never_started(void *ctx, struct child *c, int status) {
    (void)ctx;
    (void)c;
    (void)status;
}

enum err child_start(struct loop *l, const struct child_options *o, struct child **ret, struct buf *problem) {
    struct arena a;
    arena_init(&a, 4u << 20, 8192);
    struct child *c = mem_zalloc(sizeof *c);
    char **env = env_make(&a), **args = args_make(&a, o->argv);
    int ends[2];
    if (!c || !env || !args || pipe2(ends, O_CLOEXEC) != 0) {
        arena_done(&a);
        mem_free(c);
        return ERR_NO_MEMORY;
    }
    c->l = l;
    c->log_fd = -1;
    c->ended = o->ended;
    c->ctx = o->ctx;
    c->log_path = mem_strdup(o->log_path);
    log_open(c);
    handles_init(c);
    int failed = child_spawn(c, args, env, ends[1]);
    close(ends[1]);
    arena_done(&a);
    if (uv_pipe_open(&c->out, ends[0]) == 0)
        uv_read_start((uv_stream_t *)&c->out, on_alloc, on_read);
    else
        close(ends[0]);
    if (failed == 0) {
        *ret = c;
        return ERR_OK;
    }
    buf_printf(problem, "cannot start a process: %s", uv_strerror(failed));
    c->ended = never_started;
    on_exit_of(&c->process, 0, 0);
    return ERR_ENGINE;
}
