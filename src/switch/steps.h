// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_STEPS_H
#define SWITCH_STEPS_H
// An attempt whose upstream answers in steps. Nothing here does anything for other dialects.
#include "switch/attempt.h"

// Is what comes now only the way to the answer?
bool steps_collect(const struct attempt *at);
// Its head came, its bytes, its end: the next step is begun, the answer relayed, or the attempt has failed.
void steps_open(struct attempt *at);
MUST_CHECK enum err steps_bytes(struct attempt *at, struct slice bytes);
void steps_next(struct attempt *at);
// Asks for at->step (again).
void steps_fetch(struct attempt *at);
// at->poll_ms has come.
void steps_poll(struct attempt *at);
// The attempt ends: what still runs upstream is cancelled.
void steps_leave(struct attempt *at);

#endif
