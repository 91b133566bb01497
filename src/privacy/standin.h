// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_STANDIN_H
#define PRIVACY_STANDIN_H
// Stand-ins: what an upstream sees in place of a private value. A function of a secret key, what the value is and the
// value itself: the same bytes every turn, and nothing about the value to whoever lacks the key.
#include "base/buf.h"
#include "base/err.h"
#include "privacy/pattern.h"

struct standin_key {
    uint8_t bytes[32];
};

// The key of one scope (a run, or a client's key), from the node's own.
void standin_key_of(struct slice master, struct slice scope, struct standin_key *ret);

// Is it made of digits and letters in groups, so that it may be written with other separators and mean the same?
bool entity_is_number(enum entity e);
// The value without what does not matter: separators of a number, case of an address. ASCII where it can be; appended.
// False: out of memory.
MUST_CHECK bool standin_normalise(enum entity e, struct slice value, struct buf *out);
// Appends the stand-in for `normal`, written the way `spelling` is (separators, case). `again` counts from 0: another
// one each time, for when two would be the same. ASCII; no character that JSON escapes.   e-mail at example.com; phones
// of +999 or an area code that is never given out; card numbers of the networks' test   ranges; IBANs of a bank 0000;
// US SSNs of 9xx; NINOs of QQ; NHS numbers of 999; addresses of the documentation   ranges, then of 198.18/15, then of
// 240/4; other numbers with a check digit that is wrong; a marked token for secrets.
void standin_write(const struct standin_key *key, enum entity e, struct slice normal, struct slice spelling,
                   unsigned again, struct buf *out);

#define STANDIN_SECRET_MARK "GRIDTIE_SECRET_"

#endif
