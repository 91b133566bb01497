// SPDX-License-Identifier: Apache-2.0
// Streams of strangers as frames: whatever the cut, the same frames count, and the raw bytes joined are the input.
// First byte: framing and where to cut; the rest is the stream.
#include <stdlib.h>
#include "net/sse.h"

#define MAX_BYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct buf text, raw;
};

static enum err note(void *ctx, const struct frame *f) {
    struct seen *t = ctx;
    buf_append(&t->raw, f->raw);
    if (f->comment) {
        if (f->data.n)
            abort();
        return ERR_OK;
    }
    buf_append_u64(&t->text, f->event.n);
    buf_append(&t->text, f->event);
    buf_append_u64(&t->text, f->data.n);
    buf_append(&t->text, f->data);
    return ERR_OK;
}

static enum err run(struct seen *t, enum framing framing, struct slice s, size_t first, size_t step, bool *leftover) {
    struct frame_reader r;
    enum err e = ERR_OK;
    *t = (struct seen){BUF_INIT(1 << 24), BUF_INIT(1 << 24)};
    frame_reader_init(&r, framing, MAX_BYTES);
    for (size_t n = first; s.n && !e; n = step) {
        // A copy of its own, so that reading past it is found.
        struct slice part = slice_first(s, n);
        char *copy = malloc(part.n);
        if (!copy)
            abort();
        memcpy(copy, part.p, part.n);
        e = frame_feed(&r, slice_of(copy, part.n), note, t);
        free(copy);
        s = slice_from(s, n);
    }
    if (!e)
        e = frame_finish(&r, note, t, leftover);
    frame_reader_done(&r);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3)
        return 0;
    static const enum framing framings[] = {FRAMING_SSE, FRAMING_NDJSON, FRAMING_SSE, FRAMING_JSON_ARRAY};
    enum framing framing = framings[data[0] & 3];
    struct slice s = {(const char *)data + 2, size - 2};
    size_t cut = 1 + data[1] % s.n, step = data[0] & 4 ? 1 : 1 + (data[0] >> 3);
    struct seen whole, parts;
    bool left_whole = false, left_parts = false;
    enum err e = run(&whole, framing, s, s.n, s.n, &left_whole);
    enum err f = run(&parts, framing, s, cut, step, &left_parts);
    if (!e && !f) {
        if (!slice_eq(buf_slice(&whole.text), buf_slice(&parts.text)) || left_whole != left_parts)
            abort();
        if (!slice_eq(buf_slice(&whole.raw), slice_first(s, whole.raw.len)) || (!left_whole && whole.raw.len != s.n))
            abort();
        if (!slice_eq(buf_slice(&parts.raw), slice_first(s, parts.raw.len)) || (!left_parts && parts.raw.len != s.n))
            abort();
    }
    buf_done(&whole.text);
    buf_done(&whole.raw);
    buf_done(&parts.text);
    buf_done(&parts.raw);
    return 0;
}
