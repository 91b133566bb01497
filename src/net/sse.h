// SPDX-License-Identifier: Apache-2.0
#ifndef NET_SSE_H
#define NET_SSE_H
// Cuts a byte stream into frames: server-sent events (WHATWG HTML 9.2), lines of NDJSON, or the objects of one JSON array
// (Google's streams without alt=sse). Any cut of the input is legal.
#include "base/buf.h"
#include "base/err.h"
#include "base/frame.h"

struct frame_reader {
    enum framing framing;
    struct buf pending; // an unfinished frame
    struct buf joined;  // data of several lines
    size_t max_bytes;
    size_t scanned_; // bytes of pending that were looked at
    size_t line_;    // where the unfinished line starts in pending
    bool begun_;     // a frame was read: a byte order mark is not expected any more
    unsigned depth_; // JSON array: brackets that are open
    bool array_;     // the outermost is a list, and not the single object of an error
    bool quoted_;    // inside a string
    bool escaped_;   // behind a backslash in it
};

void frame_reader_init(struct frame_reader *r, enum framing f, size_t max_bytes);
void frame_reader_done(struct frame_reader *r);
// The raw bytes of all frames, joined, are the input: what the specification ignores (blank lines, events without data,
// comments) comes as a frame with `comment` set. Its event name is still given. So do the brackets of a JSON array; what
// stands between its objects belongs to the object behind it.
// Calls emit for each whole frame in bytes (zero-copy when the frame is whole within bytes). emit returning other than
// ERR_OK stops and is returned. ERR_TOO_LARGE when a frame exceeds max_bytes, ERR_NO_MEMORY.
// After an error the reader is good for frame_reader_done only.
MUST_CHECK enum err frame_feed(struct frame_reader *r, struct slice bytes,
                               enum err (*emit)(void *ctx, const struct frame *f), void *ctx);
// At the end of input: a last NDJSON line without newline is a frame; an unfinished SSE event is dropped (spec).
// *ret_leftover tells whether unfinished bytes were there.
MUST_CHECK enum err frame_finish(struct frame_reader *r, enum err (*emit)(void *ctx, const struct frame *f), void *ctx,
                                 bool *ret_leftover);

#endif
