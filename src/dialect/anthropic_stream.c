// SPDX-License-Identifier: Apache-2.0
// Events of a streamed message → events of the inner form. It stands between the upstream's frames and the pipe of an
// attempt and runs once per token: one parse in a block that is kept, a few look-ups, no memory but the signature's.
// Upstreams are not believed: content before message_start, deltas of blocks that are not open and wrong types are
// ERR_UP_PROTOCOL; unknown events and unknown deltas are passed over. A second message_start (a proxy that tried again
// mid-stream) closes what is open and goes on under the same answer, because what was said cannot be taken back.
#include "dialect/anthropic.h"
#include "base/limits.h"

#define OPEN_MAX 16 // one is what the wire has; more is mercy

struct open_block {
    int64_t index; // on the wire
    uint32_t block;
    enum block_kind kind;
    bool used;
    bool filled; // its input came whole with its start
    struct buf signature;
};

struct stream_reader {
    struct arena *a;
    const struct json_doc *doc; // of the frame at hand
    struct open_block open[OPEN_MAX];
    struct anthropic_counts counts;
    uint32_t n_blocks;
    bool started;
    bool finished; // a reason to stop was given
    bool done;
    bool failed; // the upstream told an error
};

static void reader_free(void *arg) {
    struct stream_reader *r = arg;
    for (size_t i = 0; i < OPEN_MAX; i++)
        buf_done(&r->open[i].signature);
}

struct stream_reader *anthropic_reader_new(struct arena *a, enum op op) {
    (void)op;
    struct stream_reader *r = ARENA_NEW(a, struct stream_reader);
    if (!r || !arena_defer(a, reader_free, r))
        return NULL;
    r->a = a;
    r->counts = ANTHROPIC_COUNTS_NONE;
    for (size_t i = 0; i < OPEN_MAX; i++)
        buf_init(&r->open[i].signature, LIMIT_FRAME_BYTES);
    return r;
}

// ---- blocks

static struct open_block *find_open(struct stream_reader *r, int64_t index) {
    for (size_t i = 0; i < OPEN_MAX; i++)
        if (r->open[i].used && r->open[i].index == index)
            return &r->open[i];
    return NULL;
}

static struct open_block *free_slot(struct stream_reader *r) {
    for (size_t i = 0; i < OPEN_MAX; i++)
        if (!r->open[i].used)
            return &r->open[i];
    return NULL;
}

static enum err close_block(struct open_block *b, struct event_sink *sink) {
    struct slice signature = b->signature.len ? buf_slice(&b->signature) : SLICE_NONE;
    b->used = false;
    if (b->signature.failed)
        return ERR_NO_MEMORY;
    enum err e = emit_block_end(sink, b->block, 0, b->kind, signature);
    buf_clear(&b->signature);
    return e;
}

static enum err close_all(struct stream_reader *r, struct event_sink *sink) {
    for (size_t i = 0; i < OPEN_MAX; i++) {
        enum err e = r->open[i].used ? close_block(&r->open[i], sink) : ERR_OK;
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err begin_block(struct stream_reader *r, yyjson_val *obj, struct slice raw, int64_t index,
                            struct event_sink *sink) {
    struct open_block *b = free_slot(r);
    if (!b || find_open(r, index) || r->n_blocks >= LIMIT_BLOCKS || !yyjson_is_obj(obj))
        return ERR_UP_PROTOCOL;
    b->used = true;
    b->index = index;
    b->block = r->n_blocks++;
    b->kind = anthropic_kind_of(json_get_str(obj, "type"));
    b->filled = yyjson_obj_size(yyjson_obj_get(obj, "input")) > 0;
    buf_append(&b->signature, json_get_str(obj, "signature"));
    return anthropic_emit_opening(sink, r->doc, obj, raw, b->block);
}

// ---- events

static enum err on_usage(struct stream_reader *r, yyjson_val *usage, struct event_sink *sink) {
    struct usage u;
    anthropic_read_usage(usage, &r->counts, &u);
    return emit_usage(sink, &u);
}

// A message that starts with content: programmatic tool calls go on that way.
static enum err on_prefilled(struct stream_reader *r, yyjson_val *message, struct event_sink *sink) {
    yyjson_val *list = yyjson_obj_get(message, "content"), *v;
    size_t i, n;
    if (!yyjson_arr_size(list))
        return ERR_OK;
    struct src_walk walk = src_walk_member(r->doc, message, "content");
    yyjson_arr_foreach(list, i, n, v) {
        enum err e = begin_block(r, v, src_walk_next(&walk), -1, sink);
        if (!e)
            e = close_block(find_open(r, -1), sink);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err on_message_start(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    yyjson_val *message = yyjson_obj_get(root, "message");
    if (!yyjson_is_obj(message))
        return ERR_UP_PROTOCOL;
    enum err e = r->started ? close_all(r, sink)
                            : emit_start(sink, json_get_str(message, "id"), json_get_str(message, "model"), 0);
    r->started = true;
    if (!e)
        e = on_usage(r, yyjson_obj_get(message, "usage"), sink);
    return e ? e : on_prefilled(r, message, sink);
}

static enum err on_block_start(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    int64_t index = json_get_int(root, "index", -1);
    yyjson_val *obj = yyjson_obj_get(root, "content_block");
    if (index < 0)
        return ERR_UP_PROTOCOL;
    return begin_block(r, obj, json_get_src(r->doc, root, "content_block"), index, sink);
}

static enum err put_delta(struct stream_reader *r, struct open_block *b, yyjson_val *root, yyjson_val *delta,
                          struct event_sink *sink) {
    struct slice type = json_get_str(delta, "type");
    const struct json_doc *doc = r->doc;
    if (slice_is(type, "text_delta") && b->kind == BLOCK_TEXT)
        return emit_delta(sink, b->block, 0, b->kind, json_get_str(delta, "text"));
    if (slice_is(type, "thinking_delta") && b->kind == BLOCK_THINK)
        return emit_delta(sink, b->block, 0, b->kind, json_get_str(delta, "thinking"));
    if (slice_is(type, "input_json_delta") && (b->kind == BLOCK_TOOL || b->kind == BLOCK_SERVER_TOOL))
        return b->filled ? ERR_OK : emit_delta(sink, b->block, 0, b->kind, json_get_str(delta, "partial_json"));
    if (slice_is(type, "citations_delta"))
        return emit_meta(sink, b->block, 0, SLICE("citation"), json_get_src(doc, delta, "citation"));
    if (slice_is(type, "signature_delta")) {
        buf_append(&b->signature, json_get_str(delta, "signature"));
        return b->signature.failed ? ERR_NO_MEMORY : ERR_OK;
    }
    if (b->kind == BLOCK_OPAQUE)
        return emit_meta(sink, b->block, 0, SLICE("delta"), json_get_src(doc, root, "delta"));
    return ERR_OK; // a kind of delta that came after us
}

static enum err on_block_delta(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct open_block *b = find_open(r, json_get_int(root, "index", -1));
    yyjson_val *delta = yyjson_obj_get(root, "delta");
    if (!b || !yyjson_is_obj(delta))
        return ERR_UP_PROTOCOL;
    return put_delta(r, b, root, delta, sink);
}

static enum err on_block_stop(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct open_block *b = find_open(r, json_get_int(root, "index", -1));
    return b ? close_block(b, sink) : ERR_UP_PROTOCOL;
}

// About the answer as a whole; no block is meant.
static enum err answer_meta(struct stream_reader *r, yyjson_val *delta, const char *name, struct event_sink *sink) {
    yyjson_val *v = yyjson_obj_get(delta, name);
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    return emit_meta(sink, UINT32_MAX, 0, slice_str(name), json_get_src(r->doc, delta, name));
}

static enum err on_message_delta(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    yyjson_val *delta = yyjson_obj_get(root, "delta");
    struct slice reason = json_get_str(delta, "stop_reason");
    enum err e = on_usage(r, yyjson_obj_get(root, "usage"), sink);
    if (!e)
        e = answer_meta(r, delta, "stop_details", sink);
    if (!e)
        e = answer_meta(r, delta, "container", sink);
    if (e || !reason.n)
        return e;
    r->finished = true;
    return emit_finish(sink, 0, anthropic_finish_of(reason), json_get_str(delta, "stop_sequence"));
}

static enum err on_message_stop(struct stream_reader *r, struct event_sink *sink) {
    r->done = true;
    enum err e = close_all(r, sink);
    return e ? e : emit_end(sink);
}

static enum err on_error(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct problem p;
    r->failed = true;
    anthropic_problem_of(r->a, 0, root, &p);
    return emit_error(sink, &p);
}

static enum err dispatch(struct stream_reader *r, struct slice type, yyjson_val *root, struct event_sink *sink) {
    if (slice_is(type, "message_start"))
        return on_message_start(r, root, sink);
    if (slice_is(type, "ping"))
        return emit(sink, &(struct event){.kind = EV_PING});
    bool content = slice_starts(type, "content_block_"), message = slice_starts(type, "message_");
    if (!content && !message)
        return ERR_OK;
    if (!r->started)
        return ERR_UP_PROTOCOL;
    if (slice_is(type, "content_block_delta"))
        return on_block_delta(r, root, sink);
    if (slice_is(type, "content_block_start"))
        return on_block_start(r, root, sink);
    if (slice_is(type, "content_block_stop"))
        return on_block_stop(r, root, sink);
    if (slice_is(type, "message_delta"))
        return on_message_delta(r, root, sink);
    return slice_is(type, "message_stop") ? on_message_stop(r, sink) : ERR_OK;
}

static enum err on_root(struct stream_reader *r, yyjson_val *root, struct slice event, struct event_sink *sink) {
    struct slice type = json_get_str(root, "type");
    if (slice_is(type, "error") || (!type.n && yyjson_obj_get(root, "error")))
        return on_error(r, root, sink);
    return dispatch(r, type.n ? type : event, root, sink);
}

enum err anthropic_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink) {
    struct frame_json json;
    if (f->comment)
        return emit(sink, &(struct event){.kind = EV_PING});
    struct slice data = slice_trim(f->data);
    if (!data.n || r->done || r->failed || slice_is(data, "[DONE]"))
        return ERR_OK;
    enum err e = frame_json_open(&json, data);
    r->doc = &json.doc;
    if (!e)
        e = on_root(r, json.root, f->event, sink);
    r->doc = NULL;
    frame_json_close(&json);
    return e;
}

enum err anthropic_reader_finish(struct stream_reader *r, struct event_sink *sink) {
    if (r->done || r->failed)
        return ERR_OK;
    return r->finished ? on_message_stop(r, sink) : ERR_UP_DIED;
}
