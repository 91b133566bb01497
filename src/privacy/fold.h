// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_FOLD_H
#define PRIVACY_FOLD_H
// A text as detection sees it: full-width and mathematical letters, foreign digits, look-alikes of Latin letters,
// exotic spaces and hyphens are ASCII, zero-width and combining characters are gone.
#include "base/buf.h"
#include "base/err.h"

struct folded {
    struct slice text; // the given one where nothing had to be folded
    uint32_t *at;      // at[i]: where byte i of `text` stands in what was given, at[text.n]: its end. NULL: the same
    struct buf bytes_;
};

// Invalid UTF-8 passes as it is. Free with fold_done, also after an error. ERR_NO_MEMORY.
MUST_CHECK enum err fold(struct slice s, struct folded *ret);
void fold_done(struct folded *f);

#endif
