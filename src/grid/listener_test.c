// SPDX-License-Identifier: Apache-2.0
// Who listens: ourselves on 127.0.0.1 and on a wildcard; nobody; and not us where only ::1 is ours.
#include "grid/listener.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit.h"

static int listen_at(const struct sockaddr *a, socklen_t len, uint16_t *ret_port) {
    struct sockaddr_storage got = {0};
    socklen_t n = sizeof got;
    int fd = socket(a->sa_family, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, a, len) != 0 || listen(fd, 1) != 0 || getsockname(fd, (struct sockaddr *)&got, &n) != 0) {
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    uint16_t port; // at the same place in both families' addresses
    memcpy(&port, (const char *)&got + offsetof(struct sockaddr_in, sin_port), sizeof port);
    *ret_port = ntohs(port);
    return fd;
}

static bool is_me(uint16_t port) {
    struct listener_who who;
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    listener_find(port, &who);
    const char *name = strrchr(self, '/');
    return who.ours && name && strcmp(who.exe, name + 1) == 0;
}

TEST(listener_finds_this_process) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port = 0;
    int fd = listen_at((struct sockaddr *)&a, sizeof a, &port);
    CHECK(fd >= 0 && is_me(port));
    (void)close(fd);
    struct listener_who who;
    listener_find(port, &who);
    CHECK(!who.ours && !who.exe[0]);
    a.sin_addr.s_addr = htonl(INADDR_ANY);
    fd = listen_at((struct sockaddr *)&a, sizeof a, &port);
    CHECK(fd >= 0 && is_me(port));
    (void)close(fd);
}

TEST(listener_of_another_loopback_is_not_the_one_that_is_asked) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    uint16_t port = 0;
    int fd = listen_at((struct sockaddr *)&six, sizeof six, &port);
    if (fd < 0)
        SKIP("no IPv6");
    CHECK(!is_me(port));
    (void)close(fd);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002)};
    fd = listen_at((struct sockaddr *)&a, sizeof a, &port);
    CHECK(fd >= 0 && !is_me(port));
    (void)close(fd);
}
