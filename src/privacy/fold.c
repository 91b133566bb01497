// SPDX-License-Identifier: Apache-2.0
// Folding, so that a number written in full-width or Arabic digits, an address with a zero-width joint in it or a
// Cyrillic letter that looks Latin is found by the same patterns as any other. The map back is one offset a byte; texts
// that hold nothing to fold (ASCII, and most prose of most scripts) are not copied. Folded text is only looked at,
// never sent.
#include "privacy/fold.h"
#include "base/mem.h"

#define FOLD_SAME UINT32_MAX
#define FOLD_GONE 0

struct fold_range {
    uint32_t from, to;
    char first; // what `from` becomes; 0: gone. The others follow where `step` is set
    bool step;
};

static const struct fold_range ranges[] = {
    {0x00A0, 0x00A0, ' ', false}, {0x00AD, 0x00AD, 0, false},   {0x0300, 0x036F, 0, false},
    {0x061C, 0x061C, 0, false},   {0x0660, 0x0669, '0', true},  {0x06F0, 0x06F9, '0', true},
    {0x0966, 0x096F, '0', true},  {0x09E6, 0x09EF, '0', true},  {0x0E50, 0x0E59, '0', true},
    {0x1680, 0x1680, ' ', false}, {0x180E, 0x180E, 0, false},   {0x2000, 0x200A, ' ', false},
    {0x200B, 0x200F, 0, false},   {0x2010, 0x2015, '-', false}, {0x2024, 0x2024, '.', false},
    {0x202A, 0x202E, 0, false},   {0x202F, 0x202F, ' ', false}, {0x205F, 0x205F, ' ', false},
    {0x2060, 0x2064, 0, false},   {0x2066, 0x2069, 0, false},   {0x2212, 0x2212, '-', false},
    {0x3000, 0x3000, ' ', false}, {0xFE00, 0xFE0F, 0, false},   {0xFE52, 0xFE52, '.', false},
    {0xFE58, 0xFE58, '-', false}, {0xFE63, 0xFE63, '-', false}, {0xFE6B, 0xFE6B, '@', false},
    {0xFEFF, 0xFEFF, 0, false},   {0xFF01, 0xFF5E, '!', true},
};

// Cyrillic and Greek letters that are drawn like Latin ones.
static const struct {
    uint16_t from;
    char to;
} twins[] = {
    {0x0391, 'A'}, {0x0392, 'B'}, {0x0395, 'E'}, {0x0396, 'Z'}, {0x0397, 'H'}, {0x0399, 'I'}, {0x039A, 'K'},
    {0x039C, 'M'}, {0x039D, 'N'}, {0x039F, 'O'}, {0x03A1, 'P'}, {0x03A4, 'T'}, {0x03A5, 'Y'}, {0x03A7, 'X'},
    {0x03BF, 'o'}, {0x0405, 'S'}, {0x0406, 'I'}, {0x0408, 'J'}, {0x0410, 'A'}, {0x0412, 'B'}, {0x0415, 'E'},
    {0x041A, 'K'}, {0x041C, 'M'}, {0x041D, 'H'}, {0x041E, 'O'}, {0x0420, 'P'}, {0x0421, 'C'}, {0x0422, 'T'},
    {0x0423, 'Y'}, {0x0425, 'X'}, {0x0430, 'a'}, {0x0435, 'e'}, {0x043E, 'o'}, {0x0440, 'p'}, {0x0441, 'c'},
    {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'}, {0x0458, 'j'},
};

// The ASCII character for cp, FOLD_GONE, or FOLD_SAME.
static uint32_t fold_char(uint32_t cp) {
    if (cp >= 0x1D400 && cp <= 0x1D6A3)
        return (cp - 0x1D400) % 52 < 26 ? 'A' + (cp - 0x1D400) % 52 : 'a' + (cp - 0x1D400) % 52 - 26;
    if (cp >= 0x1D7CE && cp <= 0x1D7FF)
        return '0' + (cp - 0x1D7CE) % 10;
    if (cp >= 0x0391 && cp <= 0x0458) {
        for (size_t i = 0; i < sizeof twins / sizeof twins[0]; i++)
            if (twins[i].from == cp)
                return (unsigned char)twins[i].to;
        return FOLD_SAME;
    }
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0] && cp >= ranges[i].from; i++)
        if (cp <= ranges[i].to)
            return (unsigned char)ranges[i].first + (ranges[i].step ? cp - ranges[i].from : 0);
    return FOLD_SAME;
}

static uint32_t decode(struct slice s, size_t step) {
    const unsigned char *p = (const unsigned char *)s.p;
    if (step == 2)
        return (uint32_t)(p[0] & 0x1f) << 6 | (p[1] & 0x3fu);
    if (step == 3)
        return (uint32_t)(p[0] & 0x0f) << 12 | (uint32_t)(p[1] & 0x3f) << 6 | (p[2] & 0x3fu);
    return (uint32_t)(p[0] & 0x07) << 18 | (uint32_t)(p[1] & 0x3f) << 12 | (uint32_t)(p[2] & 0x3f) << 6 |
           (p[3] & 0x3fu);
}

// What stands at s, with its length in *ret_step.
static uint32_t fold_at(struct slice s, size_t *ret_step) {
    *ret_step = 1;
    if ((unsigned char)s.p[0] < 0x80)
        return FOLD_SAME;
    size_t step = slice_utf8_step(s);
    if (step < 2)
        return FOLD_SAME;
    *ret_step = step;
    return fold_char(decode(s, step));
}

static size_t first_to_fold(struct slice s) {
    size_t step;
    for (size_t i = 0; i < s.n; i += step) {
        uint64_t eight;
        for (; i + sizeof eight <= s.n; i += sizeof eight) { // ASCII stays
            memcpy(&eight, s.p + i, sizeof eight);
            if (eight & UINT64_C(0x8080808080808080))
                break;
        }
        step = 1;
        if (i < s.n && fold_at(slice_from(s, i), &step) != FOLD_SAME)
            return i;
    }
    return s.n;
}

enum err fold(struct slice s, struct folded *ret) {
    size_t first = first_to_fold(s), step;
    *ret = (struct folded){s, NULL, BUF_INIT(s.n + 1)};
    if (first == s.n)
        return ERR_OK;
    ret->at = mem_alloc((s.n + 1) * sizeof *ret->at);
    if (!ret->at || !buf_reserve(&ret->bytes_, s.n))
        return ERR_NO_MEMORY;
    buf_append(&ret->bytes_, slice_first(s, first));
    for (size_t i = 0; i < first; i++)
        ret->at[i] = (uint32_t)i;
    for (size_t i = first; i < s.n; i += step) {
        uint32_t to = fold_at(slice_from(s, i), &step);
        if (to == FOLD_GONE)
            continue;
        for (size_t k = 0; k < (to == FOLD_SAME ? step : 1); k++)
            ret->at[ret->bytes_.len + k] = (uint32_t)(i + (to == FOLD_SAME ? k : 0));
        if (to == FOLD_SAME)
            buf_append_mem(&ret->bytes_, s.p + i, step);
        else
            buf_append_char(&ret->bytes_, (char)to);
    }
    ret->at[ret->bytes_.len] = (uint32_t)s.n;
    ret->text = buf_slice(&ret->bytes_);
    return ERR_OK;
}

void fold_done(struct folded *f) {
    mem_free(f->at);
    f->at = NULL;
    buf_done(&f->bytes_);
}
