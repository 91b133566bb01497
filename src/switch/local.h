// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_LOCAL_H
#define SWITCH_LOCAL_H
#include "switch/exchange.h"

// Does gridtie answer this itself? (Ollama's load and unload; counting tokens where the target has no such address.)
bool local_applies(const struct exchange *x);
// The only targets that were to count tokens have no address for it after all: then we estimate. True: x goes on.
bool local_estimates(struct exchange *x, const struct problem *p);
// Part of forward: STEP_WAIT while a model loads or a helper call counts, then STEP_NEXT with x->answer filled.
enum step_result local_run(struct exchange *x);

#endif
