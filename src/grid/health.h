// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_HEALTH_H
#define GRID_HEALTH_H
#include "grid/snapshot.h"

enum health { HEALTH_UNKNOWN, HEALTH_OK, HEALTH_FAILING };
const char *health_name(enum health h);
// Of an endpoint of the snapshot, by its place. Any thread.
enum health endpoint_health(const struct snapshot *s, size_t endpoint);
// "engine", "starting", "ready" …; any thread.
const char *engine_state_name(int state);

#endif
