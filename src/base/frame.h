// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_FRAME_H
#define BASE_FRAME_H
#include "base/slice.h"

// How a stream is cut into frames.
enum framing { FRAMING_SSE, FRAMING_NDJSON, FRAMING_JSON_ARRAY };

// One frame of a stream: a server-sent event, or a line of NDJSON. All slices are borrowed.
struct frame {
    struct slice event; // SSE "event:" name, empty if none
    struct slice data;  // SSE: its data lines joined by \n; NDJSON: the line; JSON array: the element
    struct slice raw;   // the bytes with their terminator, as they came
    bool comment;       // SSE: only comments (keep-alives); JSON array: only its brackets; data is empty
};

#endif
