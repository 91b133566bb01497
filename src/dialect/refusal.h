// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_REFUSAL_H
#define DIALECT_REFUSAL_H
// What upstreams say when they refuse, whatever their wire format: shared by the codecs' read_error.
#include "base/err.h"
#include "base/slice.h"

// By its own words: code, type and message may be empty. ERR_OK: they say nothing that is known; go by the status.
// A limit that ends by itself is ERR_UP_RATE_LIMIT; what only money or a person can change is ERR_UP_QUOTA.
enum err refusal_class(int status, struct slice code, struct slice type, struct slice message);
// "try again in 7m12.5s", "retry after 45 seconds" → milliseconds, at most a day; -1: it names no time.
int64_t refusal_retry_ms(struct slice message);
// Case does not matter.
bool refusal_says(struct slice message, const char *words);

#endif
