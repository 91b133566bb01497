// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_TZ_H
#define BASE_TZ_H
// Calendar days and months of a time zone, from the system's zone files (RFC 8536), without libc's global TZ: any number
// of zones at once, on any thread.
#include "base/err.h"
#include "base/slice.h"

struct tz;
enum tz_span { TZ_DAY, TZ_MONTH };

// "Europe/Berlin"; "UTC" needs no file. Looked for in $TZDIR, else /usr/share/zoneinfo. ERR_NOT_FOUND: no such zone, or no
// zone files; ERR_BAD_FIELD: no zone's name, or a broken file; ERR_NO_MEMORY. Blocks on the disk. Free with tz_free.
MUST_CHECK enum err tz_load(struct slice name, struct tz **ret);
void tz_free(struct tz *tz); // NULL is allowed
// Seconds east of UTC at that instant.
int64_t tz_offset_s(const struct tz *tz, int64_t utc_s);
// The local day or month in which utc_s lies: [*ret_start, *ret_end), in UTC seconds. A day begins at the first instant
// that has its date, also where midnight does not exist or comes twice.
void tz_period(const struct tz *tz, enum tz_span span, int64_t utc_s, int64_t *ret_start, int64_t *ret_end);
// Tests: from the bytes of a zone file.
MUST_CHECK enum err tz_parse(struct slice file, struct tz **ret);

#endif
