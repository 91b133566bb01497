// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_MACHINE_H
#define GRID_MACHINE_H
// What this machine has, and what a process of it takes. Small reads of /proc and /sys; any thread.
#include <stdint.h>

// Cores that this process may use: of its affinity, without second threads of one core, and not more than its cgroup is
// given. At least 1.
int64_t machine_cores(void);
// Bytes of memory: the machine's, or its cgroup's if that is less; INT64_MAX unknown.
int64_t machine_memory(void);
// What is resident of a process, its part of what it shares (PSS); 0: unknown, or gone.
int64_t process_memory(int pid);
// Memory of graphics cards that it holds, by the kernel (DRM's fdinfo) or NVIDIA's library; 0: none, or neither tells.
int64_t process_vram(int pid);

#endif
