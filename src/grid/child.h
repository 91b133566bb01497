// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_CHILD_H
#define GRID_CHILD_H
// One guarded child process and its log. Main thread (the parent-death signal follows the thread that forks).
#include "base/buf.h"
#include "net/loop.h"

struct child;
struct child_options {
    const char *const *argv; // the server's, argv[0] its path; NULL-terminated; borrowed during the call
    const char *log_path;    // its output is appended here, rotated at 4 MiB; NULL: only the last lines are kept
    // Exactly once: the process is gone, all of its output was read. The child is freed after this returns.
    void (*ended)(void *ctx, struct child *c, int status);
    void *ctx;
};
// ERR_ENGINE with *problem filled, ERR_NO_MEMORY.
MUST_CHECK enum err child_start(struct loop *l, const struct child_options *o, struct child **ret, struct buf *problem);
// Asks it to end in order; if that takes too long it is killed. Twice is fine.
void child_stop(struct child *c);
// Without order.
void child_kill(struct child *c);
// The server's pid once the guard has told it, else 0.
int child_pid(const struct child *c);
// The last line that says something, "" if none; valid until the next turn.
const char *child_last_line(const struct child *c);
// The i-th of the last lines that are kept (20), oldest first; NULL behind the last.
const char *child_line(const struct child *c, unsigned i);

#endif
