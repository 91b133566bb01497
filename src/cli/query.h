// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_QUERY_H
#define CLI_QUERY_H
// What options become on their way into a query string.
#include "base/buf.h"

// "30m", "12h", "7d" ago, or seconds since 1970. -1: neither.
int64_t query_since(struct slice s);
// "&name=value", coded; nothing when value is NULL.
void query_put(struct buf *path, const char *name, const char *value);

#endif
