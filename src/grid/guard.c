// SPDX-License-Identifier: Apache-2.0
// The guard: a tiny process of one thread that gridtie's main thread starts for each llama-server, so that no way of
// dying leaves one behind. gridtie killed: the guard's parent-death signal ends it, and the server's own parent-death
// signal, set against the guard, ends the server; stdin's EOF says the same where parent-death does not reach. An
// orderly stop is SIGTERM to the guard or EOF: SIGTERM, 1 s, SIGTERM (the server's first one waits for open streams),
// 3 s, SIGKILL. It runs in a process of its own: nothing of gridtie's is set up here but argv.
#include "grid/guard.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"

#define SECOND_TERM_MS 1000
#define KILL_MS 4000

struct guard {
    pid_t server;
    int signals; // signalfd
    bool stdin_open;
    uint64_t stop_ms; // when the stop began; 0: not yet
    unsigned terms;   // SIGTERMs sent
    int status;       // of the server, once `ended`
    bool ended;
};

static void descriptors_close(void) {
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
        return;
#endif
    long most = sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < (most > 0 && most < 65536 ? most : 65536); fd++)
        close(fd);
}

// Own group, so that Ctrl-C at a terminal reaches gridtie alone, which then stops us in order.
static bool guard_bind(pid_t parent) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        return false;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    return true;
}

static void server_exec(pid_t guard, char **argv, const sigset_t *unblocked) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != guard)
        _exit(1);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    (void)signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, unblocked, NULL);
    execv(argv[0], argv);
    dprintf(STDERR_FILENO, "gridtie-engine-guard: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static bool guard_start(struct guard *g, char **argv) {
    sigset_t ours, before;
    sigemptyset(&ours);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGHUP);
    sigaddset(&ours, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ours, &before);
    sigemptyset(&before); // the server starts with nothing blocked, whatever we inherited
    g->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    if (g->signals < 0)
        return false;
    pid_t self = getpid();
    g->server = fork();
    if (g->server == 0)
        server_exec(self, argv, &before);
    if (g->server < 0)
        return false;
    dprintf(STDERR_FILENO, GUARD_PID_LINE "%d\n", (int)g->server);
    return true;
}

static void guard_stop(struct guard *g) {
    if (g->stop_ms == 0)
        g->stop_ms = clock_mono_ms();
}

static void guard_reap(struct guard *g) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != g->server)
            continue; // a grandchild that came to us
        g->status = status;
        g->ended = true;
    }
}

static void guard_read_signals(struct guard *g) {
    struct signalfd_siginfo info;
    while (read(g->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            guard_reap(g);
        else
            guard_stop(g);
    }
}

static void guard_read_stdin(struct guard *g) {
    char bytes[64];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    g->stdin_open = false;
    guard_stop(g);
}

// Sends what is due of the stop and tells how long to sleep until the next of it; -1: for ever.
static int guard_step(struct guard *g) {
    if (g->stop_ms == 0)
        return -1;
    uint64_t age = clock_mono_ms() - g->stop_ms;
    if (g->terms == 0 || (g->terms == 1 && age >= SECOND_TERM_MS)) {
        g->terms++;
        kill(g->server, SIGTERM);
    }
    if (age >= KILL_MS) {
        kill(g->server, SIGKILL);
        return 100;
    }
    return (int)((g->terms == 1 ? SECOND_TERM_MS : KILL_MS) - age);
}

int engine_guard_main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    descriptors_close();
    if (!guard_bind((pid_t)strtol(argv[2], NULL, 10)))
        return 1;
    struct guard g = {.stdin_open = true};
    if (!guard_start(&g, argv + 3))
        return 1;
    while (!g.ended) {
        struct pollfd fds[2] = {{.fd = g.signals, .events = POLLIN},
                                {.fd = g.stdin_open ? STDIN_FILENO : -1, .events = POLLIN}};
        int n = poll(fds, 2, guard_step(&g));
        if (n > 0 && fds[0].revents)
            guard_read_signals(&g);
        if (n > 0 && fds[1].revents)
            guard_read_stdin(&g);
    }
    if (!WIFSIGNALED(g.status))
        return WEXITSTATUS(g.status);
    dprintf(STDERR_FILENO, "gridtie-engine-guard: ended by signal %d\n", WTERMSIG(g.status));
    return 128 + WTERMSIG(g.status);
}
