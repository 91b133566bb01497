// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_PERMIT_H
#define SWITCH_PERMIT_H
#include "ir/reach.h"
#include "net/outgoing.h"

struct attempt;

// The exchange's reach against the target's zone and retention, and whether what leaves was looked into: what net/outgoing
// asks for. A reach that does not allow the target gives a permit that opens nothing.
struct permit permit_make(const struct attempt *at);

#endif
