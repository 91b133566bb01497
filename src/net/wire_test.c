// SPDX-License-Identifier: Apache-2.0
// The other end of the wire for the tests of net/: plain sockets in the loop's own thread.
#include "net/wire_test.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"

#define PATIENCE_US 5000000

static struct sockaddr_in loopback(int port) {
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

int wire_dial(int port) {
    struct sockaddr_in in = loopback(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

int wire_dial_unix(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    memcpy(un.sun_path, path, strlen(path));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int wire_listen(int *ret_port) {
    struct sockaddr_in in = loopback(0);
    socklen_t len = sizeof in;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof in) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&in, &len))
        return -1;
    *ret_port = ntohs(in.sin_port);
    return fd;
}

void wire_turns(struct loop *l, int n) {
    while (n-- > 0)
        (void)uv_run(&l->uv, UV_RUN_NOWAIT);
}

int wire_accept(struct loop *l, int fd) {
    for (uint64_t end = clock_mono_us() + PATIENCE_US; clock_mono_us() < end;) {
        wire_turns(l, 1);
        int got = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got >= 0)
            return got;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        (void)poll(&p, 1, 1);
    }
    return -1;
}

void wire_send(struct loop *l, int fd, struct slice bytes) {
    uint64_t end = clock_mono_us() + PATIENCE_US;
    while (bytes.n && clock_mono_us() < end) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINPROGRESS)
            return;
        if (n > 0)
            bytes = slice_from(bytes, (size_t)n);
        wire_turns(l, 1);
    }
}

bool wire_read(struct loop *l, int fd, struct buf *in, const char *until) {
    char room[65536];
    for (uint64_t end = clock_mono_us() + PATIENCE_US; clock_mono_us() < end;) {
        if (until && slice_search(buf_slice(in), slice_str(until)) != SIZE_MAX)
            return true;
        wire_turns(l, 1);
        ssize_t n = recv(fd, room, sizeof room, 0);
        if (n > 0)
            buf_append_mem(in, room, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return until ? slice_search(buf_slice(in), slice_str(until)) != SIZE_MAX : n == 0;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (n < 0)
            (void)poll(&p, 1, 1);
    }
    return false;
}

bool wire_until(struct loop *l, const bool *flag) {
    for (uint64_t end = clock_mono_us() + PATIENCE_US; !*flag && clock_mono_us() < end;) {
        wire_turns(l, 1);
        if (!*flag)
            (void)usleep(100);
    }
    return *flag;
}

void wire_reset(int fd) {
    struct linger now = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

int wire_count(struct slice in, const char *what) {
    int n = 0;
    for (size_t at; (at = slice_search(in, slice_str(what))) != SIZE_MAX; n++)
        in = slice_from(in, at + strlen(what));
    return n;
}
