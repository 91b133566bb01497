// SPDX-License-Identifier: Apache-2.0
#ifndef IR_PROBLEM_H
#define IR_PROBLEM_H
#include "base/err.h"
#include "base/slice.h"

// An error as every dialect can say it. Slices live in the exchange's arena or are static.
struct problem {
    enum err err;
    struct slice message;   // for the client; empty: the row's text
    struct slice detail;    // what an upstream said of itself, for the operator's eyes only
    struct slice param;     // path of the field at fault ("messages[2].content"), or empty
    struct slice code;      // an upstream's own code, carried between equal dialects ("context_length_exceeded")
    int status;             // an upstream's HTTP status, 0 if none
    int64_t retry_after_ms; // -1 unknown
    const char *first_file; // where it was first seen, for the log
    int first_line;
};

#define PROBLEM(e) ((struct problem){.err = (e), .retry_after_ms = -1, .first_file = __FILE__, .first_line = __LINE__})

// The text a client sees: the message, else the row's text.
struct slice problem_text(const struct problem *p);
// The HTTP status of the row (a dialect may choose another).
int problem_status(const struct problem *p);

#endif
