// SPDX-License-Identifier: Apache-2.0
// Frames out of a byte stream, by the rules of WHATWG HTML 9.2 for SSE. A frame that is whole within the bytes given is
// not copied; only an unfinished one waits in `pending`. The raws of all frames together are the input, byte for byte.
#include "net/sse.h"

typedef enum err emit_fn(void *ctx, const struct frame *f);

void frame_reader_init(struct frame_reader *r, enum framing f, size_t max_bytes) {
    *r = (struct frame_reader){.framing = f, .max_bytes = max_bytes};
    buf_init(&r->pending, max_bytes);
    buf_init(&r->joined, max_bytes);
}

void frame_reader_done(struct frame_reader *r) {
    buf_done(&r->pending);
    buf_done(&r->joined);
}

// End of the line that starts at `from`: *ret_next is where the next begins. False: not whole yet. A lone CR at the very
// end may be half of CR LF, so it waits unless `final`.
static bool line_end(struct slice s, size_t from, bool final, size_t *ret_end, size_t *ret_next) {
    for (size_t i = from; i < s.n; i++) {
        if (s.p[i] == '\n') {
            *ret_end = i;
            *ret_next = i + 1;
            return true;
        }
        if (s.p[i] != '\r')
            continue;
        if (i + 1 == s.n && !final)
            return false;
        *ret_end = i;
        *ret_next = i + 1 < s.n && s.p[i + 1] == '\n' ? i + 2 : i + 1;
        return true;
    }
    return false;
}

// Length of the first whole frame of s, 0 if there is none yet.
static size_t frame_length(const struct frame_reader *r, struct slice s, bool final) {
    size_t end, next;
    if (r->framing == FRAMING_NDJSON) {
        size_t at = slice_find(s, '\n');
        return at == SIZE_MAX ? 0 : at + 1;
    }
    for (size_t from = 0; line_end(s, from, final, &end, &next); from = next)
        if (end == from)
            return next;
    return 0;
}

static struct slice field_value(struct slice line, size_t colon) {
    struct slice v = slice_from(line, colon + 1);
    return v.n && v.p[0] == ' ' ? slice_from(v, 1) : v;
}

static enum err data_line(struct frame_reader *r, struct frame *f, unsigned n, struct slice value) {
    if (n == 0) {
        f->data = value.p ? value : SLICE("");
        return ERR_OK;
    }
    if (n == 1) {
        buf_clear(&r->joined);
        buf_append(&r->joined, f->data);
    }
    buf_append_char(&r->joined, '\n');
    buf_append(&r->joined, value);
    f->data = buf_slice(&r->joined);
    return r->joined.failed ? ERR_NO_MEMORY : ERR_OK;
}

static enum err event_parse(struct frame_reader *r, struct slice raw, struct frame *f) {
    size_t end, next, from = slice_starts(raw, "\xef\xbb\xbf") ? 3 : 0;
    unsigned n_data = 0;
    *f = (struct frame){.raw = raw, .comment = true};
    for (; from < raw.n && line_end(raw, from, true, &end, &next); from = next) {
        struct slice line = slice_of(raw.p + from, end - from);
        size_t colon = slice_find(line, ':');
        if (line.n == 0 || colon == 0)
            continue;
        struct slice name = slice_first(line, colon), value = colon == SIZE_MAX ? SLICE_NONE : field_value(line, colon);
        if (slice_is(name, "event"))
            f->event = value;
        if (!slice_is(name, "data"))
            continue;
        enum err e = data_line(r, f, n_data++, value);
        if (e)
            return e;
    }
    f->comment = n_data == 0;
    return ERR_OK;
}

static enum err frame_emit(struct frame_reader *r, struct slice raw, emit_fn *emit, void *ctx) {
    struct frame f = {.raw = raw};
    if (r->framing == FRAMING_SSE) {
        enum err e = event_parse(r, raw, &f);
        return e ? e : emit(ctx, &f);
    }
    f.data = slice_trim(raw);
    f.comment = f.data.n == 0;
    return emit(ctx, &f);
}

static enum err frames_of(struct frame_reader *r, struct slice *s, bool final, emit_fn *emit, void *ctx) {
    size_t n;
    while (s->n && (n = frame_length(r, *s, final)) > 0) {
        enum err e = frame_emit(r, slice_first(*s, n), emit, ctx);
        if (e)
            return e;
        *s = slice_of(s->p + n, s->n - n);
    }
    return ERR_OK;
}

enum err frame_feed(struct frame_reader *r, struct slice bytes, emit_fn *emit, void *ctx) {
    struct slice s = bytes;
    if (r->pending.len) {
        buf_append(&r->pending, bytes);
        if (r->pending.failed)
            return ERR_TOO_LARGE;
        s = buf_slice(&r->pending);
    }
    size_t all = s.n;
    enum err e = frames_of(r, &s, false, emit, ctx);
    if (e)
        return e;
    if (r->pending.len) {
        buf_consume(&r->pending, all - s.n);
    } else if (s.n) {
        buf_append(&r->pending, s);
    }
    return r->pending.failed ? ERR_TOO_LARGE : ERR_OK;
}

enum err frame_finish(struct frame_reader *r, emit_fn *emit, void *ctx, bool *ret_leftover) {
    struct slice s = buf_slice(&r->pending);
    enum err e = frames_of(r, &s, true, emit, ctx);
    if (!e && s.n && r->framing == FRAMING_NDJSON) {
        e = frame_emit(r, s, emit, ctx);
        s = SLICE_NONE;
    }
    *ret_leftover = slice_trim(s).n > 0;
    buf_clear(&r->pending);
    return e;
}
