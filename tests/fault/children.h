// SPDX-License-Identifier: Apache-2.0
#ifndef FAULT_CHILDREN_H
#define FAULT_CHILDREN_H
// What the unit test program becomes when it starts itself: the engine's guard, a fake llama-server, a scripted provider.
#include <stdbool.h>
#include <sys/types.h>

// The path of this program, for engine.binary and exec.
const char *self_path(void);
// A scripted provider with its bill in bill_path. Its pid, or -1.
pid_t sim_start(const char *bill_path, int *ret_port);
void sim_stop(pid_t pid);

#endif
