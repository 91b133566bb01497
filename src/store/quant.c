// SPDX-License-Identifier: Apache-2.0
// Quantizations in file names. Repositories hold one model in a dozen of them, and only the files' names tell which is
// which before a byte is fetched. Pure.
#include "store/quant.h"

static struct slice file_of(struct slice path) {
    size_t n = path.n;
    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return slice_from(path, n);
}

static bool starts_nocase(struct slice s, const char *prefix) {
    size_t n = strlen(prefix);
    return s.n >= n && slice_eq_nocase(slice_first(s, n), slice_of(prefix, n));
}

static bool is_digit(struct slice s, size_t at) {
    return at < s.n && s.p[at] >= '0' && s.p[at] <= '9';
}

static bool is_quant(struct slice s) {
    if (starts_nocase(s, "f16") || starts_nocase(s, "f32") || starts_nocase(s, "bf16") || starts_nocase(s, "mxfp4"))
        return true;
    size_t q = starts_nocase(s, "iq") || starts_nocase(s, "tq") ? 2 : starts_nocase(s, "q") ? 1 : 0;
    return q > 0 && is_digit(s, q) && (q + 1 == s.n || s.p[q + 1] == '_');
}

struct slice quant_of_file(struct slice stem) {
    stem = file_of(stem);
    for (size_t i = stem.n; i-- > 0;) {
        if (i > 0 && stem.p[i - 1] != '-' && stem.p[i - 1] != '.')
            continue;
        struct slice rest = slice_from(stem, i);
        size_t end = 0;
        while (end < rest.n && rest.p[end] != '-' && rest.p[end] != '.')
            end++;
        if (is_quant(slice_first(rest, end)))
            return slice_first(rest, end);
    }
    return SLICE_NONE;
}

bool quant_is_projector(struct slice file) {
    file = file_of(file);
    for (size_t i = 0; i + 6 <= file.n; i++)
        if (slice_eq_nocase(slice_first(slice_from(file, i), 6), SLICE("mmproj")))
            return slice_ends(file, ".gguf");
    return false;
}

bool quant_same(struct slice quant, struct slice asked) {
    return quant.n > 0 && slice_eq_nocase(quant, asked);
}

unsigned quant_rank(struct slice quant) {
    static const char *const order[] = {"Q4_K_M", "Q4_0",   "Q4_K_S", "Q5_K_M", "Q5_K_S", "Q4_1",
                                        "IQ4_XS", "IQ4_NL", "Q5_0",   "Q6_K",   "Q8_0",   "MXFP4",
                                        "Q3_K_M", "Q3_K_L", "Q3_K_S", "Q2_K",   "BF16",   "F16"};
    size_t n = sizeof order / sizeof order[0];
    for (size_t i = 0; i < n; i++)
        if (quant_same(quant, slice_str(order[i])))
            return (unsigned)i;
    return (unsigned)n;
}
