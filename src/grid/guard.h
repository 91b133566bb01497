// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_GUARD_H
#define GRID_GUARD_H
// The process that stands between gridtie and a llama-server.

#define GUARD_FLAG "--engine-guard"
// What the guard writes to its stderr once the server is forked, followed by the server's pid and a newline.
#define GUARD_PID_LINE "gridtie-engine-guard: pid "

// gridtie itself as `gridtie-engine-guard --engine-guard PARENT_PID BINARY [ARG…]`; main calls it first of all when
// argv[1] is GUARD_FLAG. Returns the exit status: the server's own, or 128 + the signal that ended it.
int engine_guard_main(int argc, char **argv);

#endif
