// SPDX-License-Identifier: Apache-2.0
#ifndef NET_OUTGOING_H
#define NET_OUTGOING_H
// The one function of the program that opens outgoing sockets. It asks for a permit; who may write one is decided in
// switch/permit.c (for exchanges), grid (probes of what config names) and cli (to the daemon).
#include <sys/socket.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"

struct permit {
    enum zone zone;      // where the target stands
    unsigned allowed;    // bit mask of zones (1u << zone) that the request's reach allows
    const char *purpose; // "exchange", "probe", "engine", "cli"
};

// A non-blocking, close-on-exec socket that is connecting or connected to addr. The caller owns *ret_fd.
// ERR_NO_PERMIT: p is NULL, the zone is not in allowed, zone device but the address is not this machine's loopback or a
// UNIX socket, or the process is offline (outgoing_set_offline) and the address is not loopback.
// ERR_UP_CONNECT (refused at once), ERR_LIMIT (no descriptors left).
MUST_CHECK enum err outgoing_open(const struct permit *p, const struct sockaddr *addr, socklen_t len, int *ret_fd);
// Same checks, only the socket: libcurl connects it itself (CURLOPT_OPENSOCKETFUNCTION).
MUST_CHECK enum err outgoing_socket(const struct permit *p, const struct sockaddr *addr, int type, int protocol,
                                    int *ret_fd);
// The checks alone, for a connection that is used again by another exchange than the one that opened it.
MUST_CHECK enum err outgoing_permit(const struct permit *p, const struct sockaddr *addr);
void outgoing_set_offline(bool on);
bool outgoing_is_offline(void);
bool outgoing_is_loopback(const struct sockaddr *addr);
// Tests: called with each permit that was granted (also for a connection used again), and the address.
void outgoing_set_witness(void (*fn)(const struct permit *p, const struct sockaddr *addr));

#endif
