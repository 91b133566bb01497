// SPDX-License-Identifier: Apache-2.0
// Money's texts, exactly: decimals are read digit by digit into integers and written back the same way, never through a
// float. Used by config, headers, lists and messages; allocates nothing but what a buf does.
#include "base/usd.h"
#include <stdio.h>

static bool digits_read(struct slice s, int decimals, int64_t *ret, size_t *ret_n) {
    int64_t v = 0;
    int behind = -1;
    size_t i = 0;
    for (; i < s.n; i++) {
        char c = s.p[i];
        if (c == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        if (behind >= 0 && ++behind > decimals)
            return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, c - '0', &v))
            return false;
    }
    if (i == 0 || (i == 1 && behind == 0))
        return false;
    for (int k = behind < 0 ? 0 : behind; k < decimals; k++)
        if (__builtin_mul_overflow(v, 10, &v))
            return false;
    *ret = v;
    *ret_n = i;
    return true;
}

bool decimal_read(struct slice *s, int decimals, int64_t *ret) {
    size_t n;
    if (!digits_read(*s, decimals, ret, &n))
        return false;
    *s = slice_from(*s, n);
    return true;
}

bool usd_read(struct slice s, int64_t *ret) {
    int64_t v;
    if (!decimal_read(&s, 12, &v) || s.n > 0)
        return false;
    *ret = v;
    return true;
}

void usd_append(struct buf *out, int64_t picousd) {
    char text[40];
    uint64_t v = picousd < 0 ? (uint64_t)0 - (uint64_t)picousd : (uint64_t)picousd;
    int n = snprintf(text, sizeof text, "%s%llu.%012llu", picousd < 0 ? "-" : "",
                     (unsigned long long)(v / (uint64_t)PICOUSD_PER_USD),
                     (unsigned long long)(v % (uint64_t)PICOUSD_PER_USD));
    while (text[n - 1] == '0')
        n--;
    if (text[n - 1] == '.')
        n--;
    buf_append_mem(out, text, (size_t)n);
}
