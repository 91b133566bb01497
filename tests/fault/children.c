// SPDX-License-Identifier: Apache-2.0
// The other processes of a test, all of them this very program: a constructor looks at argv and becomes the guard
// (GUARD_FLAG), a scripted provider (sim) or a fake llama-server (--host, --list-devices). What the fake does is said by config
// engine.models[].args: --fake MODE.
//   ok      /health at once; anything else is answered by the scripted provider, orders in the prompt and all
//   slow    /health says 503 for the first 200 ms
//   NUMBER  or for so many
//   poison  ends, without a word, with the first request
//   never   /health says 503
//   crash   ends at once with a line about odd weights
//   deaf    ignores SIGTERM
//   die     ends after a second
#include "fault/children.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "grid/guard.h"
#include "sim/serve.h"
#include "sim/sim.h"

#define SLOW_MS 200

const char *self_path(void) {
    static char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    return exe;
}

// ---- the fake llama-server

static struct sim fake_sim;
static uint64_t fake_start_ms;
static uint64_t fake_ready_ms; // after its start
static bool fake_is_poisoned;

static const char *arg_of(int argc, char **argv, const char *flag) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            return argv[i + 1];
    return "";
}

static int fake_listen(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, path, strlen(path) < sizeof a.sun_path ? strlen(path) : 0);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0)
        _exit(9);
    return fd;
}

static void fake_health(int fd) {
    char in[4096];
    bool ready = clock_mono_ms() - fake_start_ms >= fake_ready_ms;
    const char *text = ready ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
                             : "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
    if (read(fd, in, sizeof in) > 0 && write(fd, text, strlen(text)) < 0)
        errno = 0;
    close(fd);
}

static void *fake_connection(void *arg) {
    int fd = (int)(intptr_t)arg;
    char first[11] = "";
    bool health = recv(fd, first, sizeof first, MSG_PEEK | MSG_WAITALL) == (ssize_t)sizeof first &&
                  memcmp(first, "GET /health", sizeof first) == 0;
    if (!health && fake_is_poisoned)
        _exit(7);
    if (health)
        fake_health(fd);
    else
        serve_connection(&fake_sim, fd);
    return NULL;
}

static void fake_main(int argc, char **argv) {
    const char *mode = arg_of(argc, argv, "--fake");
    prctl(PR_SET_NAME, "fake-llama");
    (void)signal(SIGPIPE, SIG_IGN);
    if (strcmp(mode, "crash") == 0) {
        dprintf(2, "loading\nE fake: error: the weights are odd\n");
        _exit(3);
    }
    if (strcmp(mode, "deaf") == 0)
        (void)signal(SIGTERM, SIG_IGN);
    fake_start_ms = clock_mono_ms();
    fake_ready_ms = strcmp(mode, "never") == 0  ? UINT64_MAX
                    : strcmp(mode, "slow") == 0 ? SLOW_MS
                                                : strtoull(mode, NULL, 10);
    fake_is_poisoned = strcmp(mode, "poison") == 0;
    order_init(&fake_sim.defaults);
    (void)snprintf(fake_sim.models, sizeof fake_sim.models, "%s", arg_of(argc, argv, "--alias"));
    book_init(&fake_sim.book, -1, 0, 0);
    int fd = fake_listen(arg_of(argc, argv, "--host"));
    if (strcmp(mode, "die") == 0)
        (void)alarm(1);
    for (;;) {
        pthread_t thread;
        int c = accept(fd, NULL, NULL);
        if (c >= 0 && pthread_create(&thread, NULL, fake_connection, (void *)(intptr_t)c) == 0)
            (void)pthread_detach(thread);
    }
}

// What a test put into FAKE_DEVICES; "hang": no answer.
static int devices_list(void) {
    const char *text = getenv("FAKE_DEVICES");
    if (text && strcmp(text, "hang") == 0)
        (void)pause();
    return dprintf(2, "Available devices:\n  %s\n", text ? text : "(none)") < 0;
}

__attribute__((constructor)) static void become(int argc, char **argv) {
    if (argc > 3 && strcmp(argv[1], GUARD_FLAG) == 0)
        _exit(engine_guard_main(argc, argv));
    if (argc == 2 && strcmp(argv[1], "--list-devices") == 0)
        _exit(devices_list());
    if (argc > 2 && strcmp(argv[1], "--host") == 0)
        fake_main(argc, argv);
    if (argc > 2 && strcmp(argv[1], "sim") == 0)
        _exit(sim_main(argc - 1, argv + 1));
}

// ---- the scripted provider

static int port_read(int fd) {
    char text[256] = "";
    size_t n = 0;
    while (n < sizeof text - 1 && !strchr(text, '\n')) {
        ssize_t got = read(fd, text + n, sizeof text - 1 - n);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        text[n] = '\0';
    }
    const char *colon = strrchr(text, ':');
    return colon ? (int)strtol(colon + 1, NULL, 10) : 0;
}

pid_t sim_start(const char *bill_path, int *ret_port) {
    int out[2];
    if (pipe(out) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl(self_path(), "gridtie-sim", "sim", "--listen", "127.0.0.1:0", "--bill", bill_path, (char *)NULL);
        _exit(99);
    }
    close(out[1]);
    *ret_port = pid > 0 ? port_read(out[0]) : 0;
    close(out[0]);
    return *ret_port > 0 ? pid : -1;
}

void sim_stop(pid_t pid) {
    if (pid <= 0)
        return;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}
