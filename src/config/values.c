// SPDX-License-Identifier: Apache-2.0
// Scalars with units, exactly: decimals become integers, never floats.
#include "config/values.h"
#include "base/usd.h"

struct unit {
    const char *name;
    int64_t factor;
};

static bool unit_read(struct slice s, const struct unit *units, int64_t scale, int64_t v, int64_t *ret) {
    s = slice_trim(s);
    for (; units->name; units++) {
        if (!slice_is(s, units->name))
            continue;
        if (__builtin_mul_overflow(v, units->factor, &v) || v % scale)
            return false;
        *ret = v / scale;
        return true;
    }
    return false;
}

bool value_bytes(struct slice s, int64_t *ret) {
    static const struct unit units[] = {
        {"", 1},      {"B", 1},        {"KiB", 1 << 10},   {"MiB", 1 << 20},   {"GiB", 1 << 30}, {"kB", 1000},
        {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TiB", 1LL << 40}, {NULL, 0}};
    int64_t v;
    return decimal_read(&s, 2, &v) && unit_read(s, units, 100, v, ret);
}

bool value_duration_ms(struct slice s, int64_t *ret) {
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
    int64_t v;
    if (slice_is(s, "0")) {
        *ret = 0;
        return true;
    }
    return decimal_read(&s, 3, &v) && unit_read(s, units, 1000, v, ret);
}

bool value_usd(struct slice s, int64_t *ret) {
    int64_t v;
    if (!decimal_read(&s, 12, &v) || !slice_is(slice_trim(s), "USD"))
        return false;
    *ret = v;
    return true;
}

bool value_price(struct slice s, int64_t *ret) {
    int64_t v;
    if (!decimal_read(&s, 6, &v) || !slice_is(slice_trim(s), "USD/M"))
        return false;
    *ret = v; // 1 USD per million tokens is 10^12 / 10^6 pico-USD a token
    return true;
}

bool value_bool(struct slice s, bool *ret) {
    bool yes = slice_is(s, "true") || slice_is(s, "yes") || slice_is(s, "on");
    if (!yes && !slice_is(s, "false") && !slice_is(s, "no") && !slice_is(s, "off"))
        return false;
    *ret = yes;
    return true;
}
