// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
#include "base/buf.h"

// All time comes from here, so that a test can set it. Monotonic for durations, wall for records.
uint64_t clock_mono_us(void);
static inline uint64_t clock_mono_ms(void) {
    return clock_mono_us() / 1000;
}
// Microseconds since 1970-01-01 UTC.
int64_t clock_wall_us(void);
static inline int64_t clock_wall_s(void) {
    return clock_wall_us() / 1000000;
}
// Tests: adds to the wall clock / the monotonic clock (GRIDTIE_CLOCK_OFFSET_S does the wall at start).
void clock_shift(int64_t wall_us, int64_t mono_us);
// RFC 3339 with milliseconds and Z.
void clock_append_rfc3339(struct buf *out, int64_t wall_us);

#endif
