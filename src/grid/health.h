// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_HEALTH_H
#define GRID_HEALTH_H
// How endpoints and targets are, from what traffic and probes ran into. Any thread: relaxed atomics.
#include "grid/snapshot.h"

// A result of a target or a place. True: with this one it became sick, or well.
bool health_note(struct health *h, bool ok, uint64_t now_ms);
// Sick, and its time to be tried again has not come.
bool health_is_sick(const struct health *h, uint64_t now_ms);
// It is tried now: until that has ended, others keep away for as long as last time.
void health_tried(struct health *h, uint64_t now_ms);
// Milliseconds until a sick one may be tried; 0: now, or it is well.
int64_t health_wait_ms(const struct health *h, uint64_t now_ms);
// Sick and kept away from it for so long, by how often it came and went.
uint64_t health_backoff_ms(int flaps);

// An attempt at a target ended. What tells of the place (no connection, no TLS, a refused key) is noted there, what tells
// of the model with the target, what a client did with neither.
void target_health_note(const struct target *t, enum err e, uint64_t now_ms);
bool target_is_sick(const struct target *t, uint64_t now_ms);
// It is asked now, sick or not.
void target_tried(const struct target *t, uint64_t now_ms);

enum health_word { HEALTH_UNKNOWN, HEALTH_OK, HEALTH_UNSTEADY, HEALTH_FAILING };
const char *health_name(enum health_word h);
enum health_word target_health(const struct target *t);
// Of an endpoint of the snapshot, by its place: as its worst when all its targets are sick, unsteady when some are.
enum health_word endpoint_health(const struct snapshot *s, size_t endpoint);
// "engine", "starting", "ready" …
const char *engine_state_name(int state);

#endif
