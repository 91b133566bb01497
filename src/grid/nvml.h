// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_NVML_H
#define GRID_NVML_H
// What a process takes of NVIDIA's cards, whose driver does not tell the kernel.
#include <stdint.h>

void nvml_open(void); // once, or it does nothing; wakes the driver, which blocks for a while; any thread
int64_t nvml_process_bytes(
    int pid); // of all cards; 0: none, not opened, or the driver hides it (containers); any thread

#endif
