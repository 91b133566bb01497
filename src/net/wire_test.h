// SPDX-License-Identifier: Apache-2.0
#ifndef NET_WIRE_TEST_H
#define NET_WIRE_TEST_H
// For tests: the other end of the wire, in the same thread as the loop, which is turned while we wait.
#include "base/buf.h"
#include "net/loop.h"

// Non-blocking loopback sockets; -1 on failure.
int wire_dial(int port);
int wire_dial_unix(const char *path);
int wire_listen(int *ret_port);
// Turns the loop until somebody connects to fd.
int wire_accept(struct loop *l, int fd);
void wire_turns(struct loop *l, int n);
void wire_send(struct loop *l, int fd, struct slice bytes);
// Turns the loop until `until` (NULL: the end) is in what came from fd; false when the end or 5 s came first.
bool wire_read(struct loop *l, int fd, struct buf *in, const char *until);
// Turns the loop until *flag, at most 5 s.
bool wire_until(struct loop *l, const bool *flag);
// Closes with a reset.
void wire_reset(int fd);
int wire_count(struct slice in, const char *what);

#endif
