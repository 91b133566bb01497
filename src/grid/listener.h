// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_LISTENER_H
#define GRID_LISTENER_H
// Who listens on a port of this machine.
#include <stdbool.h>
#include <stdint.h>

struct listener_who {
    bool ours;     // a process of this user; its program is known then
    char exe[256]; // the program's file name, without folders; "" unknown
};

// Reads /proc, so it blocks for some milliseconds at most. What can't be read stays unknown.
void listener_find(uint16_t port, struct listener_who *ret);

#endif
