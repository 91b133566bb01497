// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_TIMES_H
#define BASE_TIMES_H
// Times as other programs write them. Pure; what time it is, only base/clock.h tells.
#include "base/slice.h"

#define TIMES_DAY_MS INT64_C(86400000)

// "7m12.5s", "28ms", "45 seconds", "1h2m": milliseconds, anything above TIMES_DAY_MS is that. *s is left at what follows.
// False: there is no number with a unit; *ret is untouched.
bool times_duration(struct slice *s, int64_t *ret_ms);
// The whole of s as a number of seconds with an optional fraction; the same bound.
bool times_seconds(struct slice s, int64_t *ret_ms);
// RFC 3339 with Z or an offset, and RFC 9110's IMF-fixdate ("Sun, 06 Nov 1994 08:49:37 GMT"): microseconds since 1970.
bool times_rfc3339(struct slice s, int64_t *ret_wall_us);
bool times_http_date(struct slice s, int64_t *ret_wall_us);

#endif
