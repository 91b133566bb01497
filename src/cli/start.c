// SPDX-License-Identifier: Apache-2.0
// Starts a daemon behind the user's back, but not behind their eyes: it says so, says where the log is, and when the
// daemon does not come up, shows what it said last. The daemon is a process of its own session (a Ctrl-C here does not
// reach it) that runs this same program; nothing of ours stays open in it but the log.
#include "cli/start.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"

#define START_MS 30000
#define POLL_US 50000

static const char *log_path(struct arena *a) {
    struct buf path = BUF_INIT(8192);
    fs_data_dir(&path);
    enum err e = fs_mkdirs(buf_cstr(&path), 0700);
    buf_append_str(&path, "/serve.log");
    const char *text = e ? NULL : arena_cstr(a, buf_slice(&path));
    if (!text)
        (void)cli_fail(1, "%s can't be made: %s", buf_cstr(&path), strerror(errno));
    buf_done(&path);
    return text;
}

static void daemon_become(int log, const char *config_path, bool offline) {
    char program[] = "gridtie", serve[] = "serve", option[] = "--config", off[] = "--offline";
    char *argv[6] = {program, serve};
    int n = 2;
    if (offline)
        argv[n++] = off;
    if (config_path) {
        argv[n++] = option;
        argv[n++] = mem_strdup(config_path);
    }
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)setsid();
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    (void)execv("/proc/self/exe", argv);
    (void)dprintf(STDERR_FILENO, "gridtie can't be run: %s\n", strerror(errno));
    _exit(127);
}

static void log_show_from(const char *path, off_t from) {
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
    if (end - from > (off_t)sizeof text)
        from = end - (off_t)sizeof text;
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof text, from);
    if (n > 0)
        (void)fprintf(stderr, "%.*s", (int)n, text);
    if (fd >= 0)
        (void)close(fd);
}

static bool daemon_wait(struct talk *t, pid_t pid, const char *log, off_t from) {
    uint64_t start = clock_mono_ms();
    int status;
    while (clock_mono_ms() - start < START_MS) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            (void)cli_fail(1, "the daemon ended at once; its log (%s) says:", log);
            log_show_from(log, from);
            return false;
        }
        if (talk_probe(t) == ERR_OK)
            return true;
        (void)usleep(POLL_US);
    }
    (void)cli_fail(1, "the daemon does not answer at %s after %d s; its log is %s", t->url, START_MS / 1000, log);
    return false;
}

bool daemon_start(struct talk *t, const char *config_path, bool offline) {
    const char *path = log_path(&t->arena);
    int log = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (path && log < 0)
        (void)cli_fail(1, "%s can't be written: %s", path, strerror(errno));
    if (log < 0)
        return false;
    off_t from = lseek(log, 0, SEEK_END);
    (void)fprintf(stderr, "gridtie: starting the daemon at %s (log: %s)\n", t->url, path);
    pid_t pid = fork();
    if (pid == 0)
        daemon_become(log, config_path, offline);
    (void)close(log);
    if (pid < 0) {
        (void)cli_fail(1, "no process can be started: %s", strerror(errno));
        return false;
    }
    return daemon_wait(t, pid, path, from);
}

bool daemon_find_or_start(struct talk *t) {
    enum err e = talk_probe(t);
    if (e == ERR_UP_CONNECT && !t->given)
        return daemon_start(t, NULL, false);
    if (e)
        (void)talk_explain(t, e, SLICE_NONE);
    return !e;
}
