// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_PATTERN_H
#define PRIVACY_PATTERN_H
// The table of what is looked for: entities.def and patterns.def as data.
#include "privacy/check.h"

enum entity {
#define ENTITY(id, name) ENTITY_##id,
#include "privacy/entities.def"
#undef ENTITY
    ENTITY_COUNT
};

const char *entity_name(enum entity e);
// A credential: masked for every zone beyond the device, whatever the label.
static inline bool entity_is_secret(enum entity e) {
    return e == ENTITY_SECRET || e == ENTITY_CREDENTIAL;
}

// Bytes before the end of an anchor in which its expression may start: a long value that is known by what stands at its
// end; what assigns a value to a name; the first groups of a number.
#define PATTERN_BACK 320
#define PHRASE_BACK 6
#define NUMBER_BACK 24

#define PATTERN_BEGINS_0 (UINT32_C(1) << 31)

struct pattern {
    enum entity entity;
    unsigned back;
    unsigned least; // digits; 0: no row of DIGITS
    uint32_t runs;  // bit n: of n digits; PATTERN_BEGINS_0
    const char *rule, *anchor, *expression, *near;
    bool (*check)(const struct found *f); // NULL: none
};

extern const struct pattern patterns[];
extern const size_t n_patterns;
// Spans of the operator's own words have this in place of a row's number.
#define PATTERN_WORD UINT16_MAX

// Where something was found: bytes `at` to `at + n` of the text that was given.
struct span {
    uint32_t at, n;
    uint16_t pattern; // row of patterns, or PATTERN_WORD
};
enum entity span_entity(const struct span *s);
const char *span_rule(const struct span *s);

#endif
