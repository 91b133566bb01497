// SPDX-License-Identifier: Apache-2.0
#ifndef CONFIG_VALUES_H
#define CONFIG_VALUES_H
#include "base/slice.h"

// Scalars with units. False: not of that form, negative, or too large.
bool value_bytes(struct slice s, int64_t *ret);       // 100, 64KiB, 512MB, 8GiB
bool value_duration_ms(struct slice s, int64_t *ret); // 250ms, 30s, 5m, 1h, 30d; 0
bool value_usd(struct slice s, int64_t *ret);         // "50 USD" → pico-USD; at most 12 decimals
bool value_price(struct slice s, int64_t *ret);       // "2.50 USD/M" → pico-USD per token; at most 6 decimals
bool value_bool(struct slice s, bool *ret);           // true, false, yes, no, on, off

#endif
