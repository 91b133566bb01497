// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_USD_H
#define BASE_USD_H
// Money is an integer of pico-USD (10^-12); these are its two texts.
#include "base/buf.h"

#define PICOUSD_PER_USD INT64_C(1000000000000)

// Digits with at most `decimals` (0 to 18) behind a point, scaled by 10^decimals; *s is left at what follows. False: no
// such number at the start of *s (a sign is none), more decimals, or too large; *s is then untouched.
bool decimal_read(struct slice *s, int decimals, int64_t *ret);
// "0.05": the whole slice, USD with at most 12 decimals → pico-USD.
bool usd_read(struct slice s, int64_t *ret);
// Without rounding, zeros at the end cut: 1500000 → "0.0000015". Negative ones with their sign.
void usd_append(struct buf *out, int64_t picousd);

#endif
