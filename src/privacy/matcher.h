// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_MATCHER_H
#define PRIVACY_MATCHER_H
// Finds known texts in a text that may come in pieces: case aside, numbers also with other separators.
#include "base/arena.h"

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

// How a form is read. Both start and end where no letter or digit goes on, unless `loose`.
enum form {
    FORM_TEXT,    // as it stands, ASCII case aside
    FORM_ADDRESS, // an e-mail address or a part of one: a '.', '+', '-' … joins more to it than to a word
    FORM_NUMBER,  // digits and letters; up to three separators may stand between any two and behind a + or ( in front
};

struct matcher;
// NULL: out of memory. Lives in the arena.
struct matcher *matcher_new(struct arena *a);
// An equal form (to its kind's measure) keeps the first id; *ret_id is the one it has. ERR-free: false is no memory.
// plus: a + in front belongs to it.
bool matcher_add(struct matcher *m, enum form form, struct slice text, bool plus, bool loose, uint32_t id,
                 uint32_t *ret_id);
// The most bytes that can be needed to tell whether a form stands somewhere.
size_t matcher_reach(const struct matcher *m);
bool matcher_is_empty(const struct matcher *m);

struct match_found {
    size_t n; // bytes from `at` on
    uint32_t id;
};
// The longest form that begins at text.p[at]. `before`: the character in front of text, 0 none. `more`: text may go on,
// then MATCH_MAYBE says that it must be known how.
enum match matcher_at(const struct matcher *m, struct slice text, size_t at, char before, bool more,
                      struct match_found *ret);
// Would a form of this kind be found that stands at these bytes, by what is around it?
bool matcher_borders_hold(enum form form, struct slice text, size_t at, size_t n);
// The first place from `at` on at which a form may begin; text.n if there is none. For skipping what can't match.
size_t matcher_next(const struct matcher *m, struct slice text, size_t at);

#endif
