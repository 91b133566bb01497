// SPDX-License-Identifier: Apache-2.0
// Bytes to frames: server-sent events (WHATWG HTML 9.2.5, 9.2.6), lines of NDJSON and the objects of a JSON array. It
// stands between every upstream body and the dialect that reads it.
//
// A frame that is whole within the bytes given is emitted with slices of those bytes, nothing is copied. Only a frame
// that was cut is gathered in `pending`, and only an event of several data lines is joined in `joined`; both belong to
// the reader. Each byte is searched once, however the stream was cut. Nothing here blocks or logs.
//
// A line ends with \n, \r\n or \r. Whether a \r at the end of what has come is a whole line end is not known yet. It is
// waited for, unless the line is blank and the stream does not use \r\n: then the event must not hang until the next.
#include "net/sse.h"

#define APPEND_BYTES ((size_t)64 << 10) // so much is gathered at once: an unfinished frame rarely needs more
#define BOM "\xef\xbb\xbf"

typedef enum err frame_emit(void *ctx, const struct frame *f);

void frame_reader_init(struct frame_reader *r, enum framing f, size_t max_bytes) {
    *r = (struct frame_reader){.framing = f, .max_bytes = max_bytes};
    buf_init(&r->pending, max_bytes + APPEND_BYTES);
    buf_init(&r->joined, max_bytes);
}

void frame_reader_done(struct frame_reader *r) {
    buf_done(&r->pending);
    buf_done(&r->joined);
}

// First \n or \r at or behind `from`; SIZE_MAX when there is none.
static size_t line_end(struct slice s, size_t from) {
    const char *p = s.p + from;
    const char *lf = memchr(p, '\n', s.n - from);
    const char *cr = memchr(p, '\r', lf ? (size_t)(lf - p) : s.n - from);
    if (cr)
        return (size_t)(cr - s.p);
    return lf ? (size_t)(lf - s.p) : SIZE_MAX;
}

static bool ends_crlf(struct slice s, size_t at) {
    return at >= 2 && s.p[at - 2] == '\r' && s.p[at - 1] == '\n';
}

// Length of the terminator at `at`; 0 when that is not known before the next byte.
static size_t terminator_length(struct slice s, size_t at, size_t line, bool blank, bool at_end) {
    if (s.p[at] == '\n')
        return 1;
    if (at + 1 < s.n)
        return s.p[at + 1] == '\n' ? 2 : 1;
    if (at_end)
        return 1;
    return blank && !ends_crlf(s, line) ? 1 : 0;
}

// Length of the first event in s with its blank line; 0 when it is not whole. *line and *scanned keep the place.
static size_t event_length(struct slice s, bool begun, bool at_end, size_t *line, size_t *scanned) {
    size_t bom = !begun && slice_starts(s, BOM) ? 3 : 0;
    while (*scanned < s.n) {
        size_t at = line_end(s, *scanned);
        if (at == SIZE_MAX) {
            *scanned = s.n;
            return 0;
        }
        bool blank = at == (*line == 0 ? bom : *line);
        size_t n = terminator_length(s, at, *line, blank, at_end);
        *scanned = at + n;
        if (n == 0)
            return 0;
        if (blank)
            return at + n;
        *line = at + n;
    }
    return 0;
}

static size_t record_length(struct slice s, size_t *scanned) {
    size_t at = slice_find(slice_from(s, *scanned), '\n');
    if (at != SIZE_MAX)
        return *scanned + at + 1;
    *scanned = s.n;
    return 0;
}

// Brackets are counted outside of strings; whether it is JSON is for whoever reads the frame.
static bool element_step(struct frame_reader *r, char c) {
    if (r->quoted_) {
        r->quoted_ = r->escaped_ || c != '"';
        r->escaped_ = !r->escaped_ && c == '\\';
        return false;
    }
    r->quoted_ = c == '"';
    if (c == '[' && r->depth_ == 0)
        r->array_ = true;
    if (c == '{' || c == '[')
        r->depth_++;
    if ((c != '}' && c != ']') || r->depth_ == 0)
        return false;
    r->depth_--;
    return r->depth_ == 0 || (r->array_ && c == '}' && r->depth_ == 1);
}

// Up to and with the end of an object of the array, or of the array itself.
static size_t element_length(struct frame_reader *r, struct slice s) {
    while (r->scanned_ < s.n)
        if (element_step(r, s.p[r->scanned_++]))
            return r->scanned_;
    return 0;
}

// Cuts the next line off *rest, its terminator too.
static struct slice line_next(struct slice *rest) {
    size_t at = line_end(*rest, 0);
    struct slice line = slice_first(*rest, at);
    if (at == SIZE_MAX) {
        *rest = SLICE_NONE;
        return line;
    }
    bool two = at + 1 < rest->n && rest->p[at] == '\r' && rest->p[at + 1] == '\n';
    *rest = slice_from(*rest, at + (two ? 2 : 1));
    return line;
}

// Value of the line if it is the named field: behind the colon and one space. p NULL when it is another.
static struct slice field_value(struct slice line, const char *name, size_t name_n) {
    if (line.n < name_n || memcmp(line.p, name, name_n) != 0)
        return SLICE_NONE;
    if (line.n == name_n)
        return slice_of(line.p + name_n, 0);
    if (line.p[name_n] != ':')
        return SLICE_NONE;
    size_t skip = name_n + 1;
    if (skip < line.n && line.p[skip] == ' ')
        skip++;
    return slice_of(line.p + skip, line.n - skip);
}

static void data_add(struct frame_reader *r, struct frame *f, size_t *n_data, struct slice value) {
    if ((*n_data)++ == 0) {
        f->data = value;
        return;
    }
    if (*n_data == 2) {
        buf_clear(&r->joined);
        buf_append(&r->joined, f->data);
    }
    buf_append_char(&r->joined, '\n');
    buf_append(&r->joined, value);
}

static enum err event_emit(struct frame_reader *r, struct slice raw, frame_emit *emit, void *ctx) {
    struct frame f = {.raw = raw};
    struct slice rest = raw;
    size_t n_data = 0;
    if (!r->begun_ && slice_starts(rest, BOM))
        rest = slice_from(rest, 3);
    r->begun_ = true;
    while (rest.n) {
        struct slice line = line_next(&rest);
        struct slice value = field_value(line, "data", 4);
        if (value.p) {
            data_add(r, &f, &n_data, value);
            continue;
        }
        value = field_value(line, "event", 5);
        if (value.p)
            f.event = value;
    }
    if (r->joined.failed)
        return ERR_NO_MEMORY;
    if (n_data > 1)
        f.data = buf_slice(&r->joined);
    f.comment = n_data == 0;
    return emit(ctx, &f);
}

static enum err record_emit(struct slice raw, frame_emit *emit, void *ctx) {
    struct frame f = {.raw = raw, .data = raw};
    if (f.data.n && f.data.p[f.data.n - 1] == '\n')
        f.data.n--;
    if (f.data.n && f.data.p[f.data.n - 1] == '\r')
        f.data.n--;
    f.comment = f.data.n == 0;
    return emit(ctx, &f);
}

static enum err element_emit(struct slice raw, frame_emit *emit, void *ctx) {
    struct frame f = {.raw = raw, .comment = true};
    size_t from = raw.p[raw.n - 1] == '}' ? slice_find(raw, '{') : SIZE_MAX;
    if (from != SIZE_MAX) {
        f.data = slice_from(raw, from);
        f.comment = false;
    }
    return emit(ctx, &f);
}

static enum err frame_emit_raw(struct frame_reader *r, struct slice raw, frame_emit *emit, void *ctx) {
    if (raw.n > r->max_bytes)
        return ERR_TOO_LARGE;
    if (r->framing == FRAMING_NDJSON)
        return record_emit(raw, emit, ctx);
    if (r->framing == FRAMING_JSON_ARRAY)
        return element_emit(raw, emit, ctx);
    enum err e = event_emit(r, raw, emit, ctx);
    // One long event should not hold its memory for the rest of the stream.
    if (r->joined.cap > APPEND_BYTES)
        buf_done(&r->joined);
    return e;
}

static size_t frame_length(struct frame_reader *r, struct slice s, bool at_end) {
    switch (r->framing) {
    case FRAMING_NDJSON:
        return record_length(s, &r->scanned_);
    case FRAMING_JSON_ARRAY:
        return element_length(r, s);
    case FRAMING_SSE:
        break;
    }
    return event_length(s, r->begun_, at_end, &r->line_, &r->scanned_);
}

// Emits the whole frames of s; *ret_used tells how far it came, line_ and scanned_ where it stands in the rest.
static enum err frames_emit(struct frame_reader *r, struct slice s, bool at_end, frame_emit *emit, void *ctx,
                            size_t *ret_used) {
    size_t used = 0;
    enum err e = ERR_OK;
    while (used < s.n && !e) {
        struct slice rest = slice_from(s, used);
        size_t n = frame_length(r, rest, at_end);
        if (n == 0)
            break;
        r->line_ = r->scanned_ = 0;
        used += n;
        e = frame_emit_raw(r, slice_first(rest, n), emit, ctx);
    }
    *ret_used = used;
    return e;
}

static enum err pending_append(struct frame_reader *r, struct slice s) {
    buf_append(&r->pending, s);
    return r->pending.failed ? ERR_NO_MEMORY : ERR_OK;
}

static void pending_consume(struct frame_reader *r, size_t n) {
    if (n < r->pending.len)
        buf_consume(&r->pending, n);
    else
        buf_done(&r->pending); // a stream that is idle between events holds no memory
}

static enum err feed_pending(struct frame_reader *r, struct slice bytes, frame_emit *emit, void *ctx) {
    size_t used = 0;
    enum err e = pending_append(r, bytes);
    if (!e)
        e = frames_emit(r, buf_slice(&r->pending), false, emit, ctx, &used);
    if (used)
        pending_consume(r, used);
    if (e)
        return e;
    return r->pending.len > r->max_bytes ? ERR_TOO_LARGE : ERR_OK;
}

enum err frame_feed(struct frame_reader *r, struct slice bytes, frame_emit *emit, void *ctx) {
    size_t used = 0;
    enum err e = ERR_OK;
    while (!e && r->pending.len && bytes.n) {
        struct slice part = slice_first(bytes, APPEND_BYTES);
        bytes = slice_from(bytes, part.n);
        e = feed_pending(r, part, emit, ctx);
    }
    if (e || bytes.n == 0)
        return e;
    e = frames_emit(r, bytes, false, emit, ctx, &used);
    struct slice rest = slice_from(bytes, used);
    if (e || rest.n == 0)
        return e;
    return rest.n > r->max_bytes ? ERR_TOO_LARGE : pending_append(r, rest);
}

enum err frame_finish(struct frame_reader *r, frame_emit *emit, void *ctx, bool *ret_leftover) {
    size_t used = 0;
    enum err e = ERR_OK;
    struct slice rest = buf_slice(&r->pending);
    bool blank = r->framing == FRAMING_JSON_ARRAY && slice_trim(rest).n == 0;
    if (rest.n && (r->framing == FRAMING_NDJSON || blank)) {
        e = frame_emit_raw(r, rest, emit, ctx);
        used = rest.n;
    } else if (rest.n && r->framing == FRAMING_SSE) {
        e = frames_emit(r, rest, true, emit, ctx, &used);
    }
    *ret_leftover = used < rest.n;
    if (used)
        pending_consume(r, used);
    return e;
}
