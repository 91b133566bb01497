// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_DEFAULTS_H
#define SWITCH_DEFAULTS_H
#include "grid/grid.h"
#include "ir/request.h"

// What a local model's Modelfile says (SYSTEM, MESSAGE, PARAMETER) under what the request says, which holds where both
// do. *ret: r itself when there is nothing to add, else a copy in the arena. ERR_NO_MEMORY.
MUST_CHECK enum err defaults_apply(struct arena *a, const struct target *t, const struct request *r,
                                   const struct request **ret);

#endif
