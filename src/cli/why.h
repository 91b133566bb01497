// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_WHY_H
#define CLI_WHY_H
#include "base/arena.h"
#include "base/json.h"

// Prints one request's record, as the daemon gives it, for people.
void why_show(struct arena *a, yyjson_val *record);

#endif
