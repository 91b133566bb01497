// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_DETECTOR_H
#define PRIVACY_DETECTOR_H
// Finds what is private in a text.
#include "base/buf.h"
#include "base/err.h"
#include "privacy/pattern.h"

struct detector; // immutable once made, shared by reference count, any thread

struct detector_options {
    const char *const *dirs;  // where the compiled table may be kept (database.h); ends with NULL
    const char *const *words; // the operator's own; may go after the call
    size_t n_words;
};

struct spans { // owned; zeroed is empty
    struct span *v;
    size_t n, cap;
};
void spans_done(struct spans *s);
MUST_CHECK bool spans_add(struct spans *s, struct span one);

// Blocks for up to some seconds: never on a loop. ERR_INTERNAL with *problem, ERR_NO_MEMORY.
MUST_CHECK enum err detector_new(const struct detector_options *o, struct detector **ret, struct buf *problem);
struct detector *detector_ref(struct detector *d);
void detector_unref(struct detector *d); // NULL is allowed
// A number that no other detector of this process has: what was found by one does not hold for another.
uint64_t detector_id(const struct detector *d);
// The shortest text in which anything could be found, in bytes.
size_t detector_least_bytes(const struct detector *d);

// Appends what was found in `text`, in order, without overlaps; overlapping finds are one span: of a secret's
// entity, else of the longer one's, else of the first row's; where neither covers the other, of ENTITY_WORD.
// Any thread; takes as long as the text is long. ERR_NO_MEMORY; ERR_LIMIT: an expression gave up, or the text is beyond
// 4 GB: then nothing is known about the text.
MUST_CHECK enum err detector_scan(struct detector *d, struct slice text, struct spans *out);

#endif
