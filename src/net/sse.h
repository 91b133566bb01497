// SPDX-License-Identifier: Apache-2.0
#ifndef NET_SSE_H
#define NET_SSE_H
// Cuts a byte stream into frames: server-sent events (WHATWG HTML 9.2) or lines of NDJSON. Any cut of the input is legal.
#include "base/buf.h"
#include "base/err.h"
#include "base/frame.h"

struct frame_reader {
    enum framing framing;
    struct buf pending; // an unfinished frame
    struct buf joined;  // data of several lines
    size_t max_bytes;
    size_t scanned_;    // bytes of pending that were looked at
};

void frame_reader_init(struct frame_reader *r, enum framing f, size_t max_bytes);
void frame_reader_done(struct frame_reader *r);
// Calls emit for each whole frame in bytes (zero-copy when the frame is whole within bytes). emit returning other than
// ERR_OK stops and is returned. ERR_TOO_LARGE when a frame exceeds max_bytes, ERR_NO_MEMORY.
MUST_CHECK enum err frame_feed(struct frame_reader *r, struct slice bytes,
                               enum err (*emit)(void *ctx, const struct frame *f), void *ctx);
// At the end of input: a last NDJSON line without newline is a frame; an unfinished SSE event is dropped (spec).
// *ret_leftover tells whether unfinished bytes were there.
MUST_CHECK enum err frame_finish(struct frame_reader *r, enum err (*emit)(void *ctx, const struct frame *f), void *ctx,
                                 bool *ret_leftover);

#endif
