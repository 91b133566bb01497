// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_WALK_H
#define PRIVACY_WALK_H
// The texts of a request's JSON, whatever its dialect: each string and long number in the order of the bytes, with what
// is needed to tell whether it may be looked into.
#include "base/limits.h"
#include "base/slice.h"

enum walk_kind { WALK_KEY, WALK_STRING, WALK_NUMBER };

struct walk_token {
    enum walk_kind kind;
    struct slice raw; // between the quotes as it stands there, or the number
    struct slice key; // raw; of the member that it is the value of, or is in an array of; empty: none
    bool escaped;     // raw holds a backslash
    bool exempt;      // by its field: a signature, an id, encrypted or binary content, a word of the format
    bool open;        // inside a value of the client's own making (arguments, a schema): no field is exempt there
    // Texts that stand one behind the other in one content have the same number; the model reads them as one. 0: none.
    unsigned run;
};

struct walk_level {
    struct slice key; // of the member that this value is
    bool object, open;
    bool wants_value;    // in an object: a key was read
    struct slice name;   // that key
    unsigned run;        // an array's: of the texts in it so far
    bool text, text_was; // an object's: it has a text; an array's: its last element was one
};

struct walk {
    struct slice json;
    size_t at;
    unsigned depth, runs;
    struct walk_level levels[LIMIT_JSON_DEPTH + 1];
};

// json must be valid; anything else ends the walk early and never reads outside.
void walk_begin(struct walk *w, struct slice json);
bool walk_next(struct walk *w, struct walk_token *ret);

#endif
