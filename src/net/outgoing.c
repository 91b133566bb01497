// SPDX-License-Identifier: Apache-2.0
// The one way out: every outgoing socket of the process is opened here, after its permit was looked at. Nothing else in
// the tree calls socket() or connect() (tools/check-layers looks).
#include "net/outgoing.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic bool offline;
static void (*_Atomic witness)(const struct permit *p, const struct sockaddr *addr);

void outgoing_set_offline(bool on) {
    atomic_store(&offline, on);
}

void outgoing_set_witness(void (*fn)(const struct permit *p, const struct sockaddr *addr)) {
    atomic_store(&witness, fn);
}

bool outgoing_is_offline(void) {
    return atomic_load(&offline);
}

bool outgoing_is_loopback(const struct sockaddr *addr) {
    if (addr->sa_family == AF_UNIX)
        return true;
    if (addr->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr) >> 24 == 127;
    if (addr->sa_family != AF_INET6)
        return false;
    const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

static bool permitted(const struct permit *p, const struct sockaddr *addr) {
    if (!p || (unsigned)p->zone >= ZONE_COUNT || !(p->allowed & 1u << p->zone))
        return false;
    bool here = outgoing_is_loopback(addr);
    return here || (p->zone != ZONE_DEVICE && !atomic_load(&offline));
}

enum err outgoing_permit(const struct permit *p, const struct sockaddr *addr) {
    if (!permitted(p, addr))
        return ERR_NO_PERMIT;
    void (*fn)(const struct permit *, const struct sockaddr *) = atomic_load(&witness);
    if (fn)
        fn(p, addr);
    return ERR_OK;
}

enum err outgoing_socket(const struct permit *p, const struct sockaddr *addr, int type, int protocol, int *ret_fd) {
    int one = 1;
    enum err e = outgoing_permit(p, addr);
    if (e)
        return e;
    int fd = socket(addr->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return errno == EAFNOSUPPORT ? ERR_UP_CONNECT : ERR_LIMIT;
    if (addr->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *ret_fd = fd;
    return ERR_OK;
}

enum err outgoing_open(const struct permit *p, const struct sockaddr *addr, socklen_t len, int *ret_fd) {
    int fd;
    enum err e = outgoing_socket(p, addr, SOCK_STREAM, 0, &fd);
    if (e)
        return e;
    if (connect(fd, addr, len) != 0 && errno != EINPROGRESS) {
        (void)close(fd);
        return ERR_UP_CONNECT;
    }
    *ret_fd = fd;
    return ERR_OK;
}
