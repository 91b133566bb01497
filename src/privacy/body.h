// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_BODY_H
#define PRIVACY_BODY_H
// A request's bytes, as they came or as they would leave: what is private in them, and the same bytes with stand-ins.
#include "privacy/alias.h"
#include "privacy/detector.h"
#include "privacy/memo.h"

// A find: bytes of the JSON text, inside one string or number.
struct mark {
    size_t at, n;
    uint16_t pattern;
    bool loose;         // letters or digits go on beside it
    bool rest;          // what goes on from the mark before, in the next part: it has the value
    struct slice value; // arena or json; the text as it is meant, without JSON's escapes. Empty for a rest
};

struct body {
    struct arena *a;
    struct detector *detector; // borrowed
    struct memo *memo;         // borrowed; NULL: none
    struct slice json;
    bool plain; // no JSON: all of it is one text
    // what was found
    struct mark *marks; // by place
    size_t n, cap;
    uint32_t counts[ENTITY_COUNT]; // marks by entity
    size_t scanned_bytes;          // given to the detector; the others were known
};

// Finds all marks. `most`: so many bytes may be scanned; beyond that *ret_more is true, what was learned is in the memo
// and the body is as before. SIZE_MAX: no bound. Any thread. ERR_NO_MEMORY, ERR_LIMIT (see detector_scan).
MUST_CHECK enum err body_find(struct body *b, size_t most, bool *ret_more);
bool body_has_personal(const struct body *b); // anything but secrets
bool body_has_secret(const struct body *b);

struct replaced {
    struct slice json; // arena; body.json itself where nothing was private
    struct aliases aliases;
    struct matcher *standins;      // NULL: nothing was replaced
    uint32_t counts[ENTITY_COUNT]; // places that were replaced
    size_t longest;                // of the stand-ins
};
// After body_find: replaces each mark (secrets_only: of secrets), and each other place where a value that was found
// stands. What is not touched stays byte for byte. Any thread. ERR_NO_MEMORY; ERR_LIMIT: no free stand-in is left.
MUST_CHECK enum err body_replace(struct body *b, const struct standin_key *key, bool secrets_only,
                                 struct replaced *ret);

#endif
