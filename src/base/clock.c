// SPDX-License-Identifier: Apache-2.0
// The only source of time. A test shifts it; GRIDTIE_CLOCK_OFFSET_S shifts the wall clock of a whole process, read at the
// first look at it. Any thread. Monotonic and wall time are never mixed: durations from the one, records from the other.
#include "base/clock.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static _Atomic int64_t wall_shift, mono_shift;

static void shift_from_environment(void) {
    const char *s = getenv("GRIDTIE_CLOCK_OFFSET_S");
    if (s)
        atomic_fetch_add(&wall_shift, strtoll(s, NULL, 10) * 1000000);
}

static int64_t clock_us(clockid_t which) {
    struct timespec t;
    (void)clock_gettime(which, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

uint64_t clock_mono_us(void) {
    return (uint64_t)(clock_us(CLOCK_MONOTONIC) + atomic_load_explicit(&mono_shift, memory_order_relaxed));
}

int64_t clock_wall_us(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, shift_from_environment);
    return clock_us(CLOCK_REALTIME) + atomic_load_explicit(&wall_shift, memory_order_relaxed);
}

void clock_shift(int64_t wall_us, int64_t mono_us) {
    atomic_fetch_add(&wall_shift, wall_us);
    atomic_fetch_add(&mono_shift, mono_us);
}

void clock_append_rfc3339(struct buf *out, int64_t wall_us) {
    int64_t ms = wall_us / 1000 - (wall_us % 1000 < 0);
    time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm tm;
    if (!gmtime_r(&s, &tm))
        return;
    buf_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
               tm.tm_min, tm.tm_sec, (int)((ms % 1000 + 1000) % 1000));
}
