// SPDX-License-Identifier: Apache-2.0
// Energy as a price: joules per token times the price of a joule. The times are what traffic measured, decayed, with all
// that ran beside it on the machine: a rough figure, and an honest one, since the machine draws its power either way. A
// token read from the cache costs nothing, writing it is part of reading the prompt. Pure but for the atomics; any thread.
#include "grid/energy.h"

#define NS_WATT_PER_KWH INT64_C(3600000000000000) // 3.6e6 J

// Rounded up, so that something is never free.
static int64_t token_price(int64_t watts, int64_t kwh_picousd, int64_t ns) {
    __int128 v = (__int128)watts * kwh_picousd * ns + (NS_WATT_PER_KWH - 1);
    v /= NS_WATT_PER_KWH;
    return v > PICOUSD_PER_USD ? PICOUSD_PER_USD : (int64_t)v;
}

bool energy_price(int64_t watts, int64_t kwh_picousd, const struct target_stats *measured, struct price *ret) {
    int64_t out_ns = atomic_load_explicit(&measured->per_token_ns, memory_order_relaxed);
    int64_t in_ns = atomic_load_explicit(&measured->prompt_token_ns, memory_order_relaxed);
    if (watts <= 0 || kwh_picousd <= 0 || out_ns == 0 || in_ns == 0)
        return false;
    *ret = (struct price){.input = token_price(watts, kwh_picousd, in_ns),
                          .output = token_price(watts, kwh_picousd, out_ns),
                          .cache_read = 0,
                          .cache_write = -1};
    return true;
}

static bool number_moved(int64_t from, int64_t to) {
    int64_t by = from > to ? from - to : to - from;
    return by > from / 10;
}

bool energy_moved(const struct price *from, const struct price *to) {
    return number_moved(from->input, to->input) || number_moved(from->output, to->output);
}
