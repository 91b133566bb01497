// SPDX-License-Identifier: Apache-2.0
// Events of the inner form → Anthropic's stream. Its grammar is stricter than ours: one block is open at a time, each has
// a start and a stop, and message_start comes first with the input's usage. So message_start waits for the first event
// that is not usage; and of several blocks that are open at once one is written, the others are kept until it ends. A
// text or thinking gives way as soon as another block waits (it may go on as a new block), a tool's arguments never do.
// What is kept is bounded. Bufs are freed with the arena; events are borrowed for the length of a call.
#include "dialect/anthropic.h"
#include "base/limits.h"

#define KEPT_MAX ((size_t)8 << 20) // bytes of blocks that wait; parallel tool calls are a few KiB

struct out_block {
    struct out_block *next;
    uint32_t block;
    enum block_kind kind;
    bool redacted;
    bool told;  // its start was written at least once
    bool ended; // its end has come, though perhaps not been written
    struct slice opening, call_id, name, signature;
    struct buf text;  // what waits
    struct buf metas; // name \t json \n
};

struct stream_writer {
    struct arena *a;
    struct identity who;
    struct slice id, model;
    struct usage usage;
    struct out_block *first; // not yet over, in order of their beginning
    struct out_block *open;
    uint32_t next_index;
    size_t kept_bytes;
    enum finish finish;
    struct slice stop_sequence;
    struct slice stop_details; // raw JSON
    struct slice container;
    bool started;
    bool ends_in_tool; // the last block was a call
    bool over;
    bool no_memory;
};

static void writer_free(void *arg) {
    struct stream_writer *w = arg;
    for (struct out_block *b = w->first; b; b = b->next) {
        buf_done(&b->text);
        buf_done(&b->metas);
    }
}

struct stream_writer *anthropic_writer_new(struct arena *a, const struct request *r, const struct identity *who) {
    struct stream_writer *w = ARENA_NEW(a, struct stream_writer);
    (void)r;
    if (!w || !arena_defer(a, writer_free, w))
        return NULL;
    w->a = a;
    w->who = *who;
    w->usage = USAGE_NONE;
    return w;
}

// ---- frames

static struct json_writer frame_begin(struct buf *out, const char *type) {
    struct json_writer j = JSON_WRITER(out);
    buf_append_str(out, "event: ");
    buf_append_str(out, type);
    buf_append_str(out, "\ndata: ");
    json_obj(&j);
    json_kv_cstr(&j, "type", type);
    return j;
}

static void frame_end(struct json_writer *j) {
    json_obj_end(j);
    buf_append_str(j->out, "\n\n");
}

// For frames with raw JSON in them, which may be spread over lines: a frame's data is one line. `from` is where the JSON
// began; line breaks stand between its tokens only.
static void frame_end_raw(struct json_writer *j, size_t from) {
    json_obj_end(j);
    for (size_t i = from; i < j->out->len; i++)
        if (j->out->p[i] == '\n' || j->out->p[i] == '\r')
            j->out->p[i] = ' ';
    buf_append_str(j->out, "\n\n");
}

static void put_start(struct stream_writer *w, struct buf *out) {
    if (w->started)
        return;
    w->started = true;
    struct slice id = anthropic_answer_id(w->a, w->id, w->who.id);
    w->no_memory |= !id.p;
    struct json_writer j = frame_begin(out, "message_start");
    json_key(&j, "message");
    json_obj(&j);
    json_kv_str(&j, "id", id);
    json_kv_cstr(&j, "type", "message");
    json_kv_cstr(&j, "role", "assistant");
    json_kv_str(&j, "model", w->model.n ? w->model : w->who.model);
    json_kv_raw(&j, "content", SLICE("[]"));
    json_kv_null(&j, "stop_reason");
    json_kv_null(&j, "stop_sequence");
    json_key(&j, "usage");
    anthropic_put_usage(&j, &w->usage, true);
    json_obj_end(&j);
    frame_end(&j);
}

static void put_text(struct stream_writer *w, enum block_kind kind, struct slice text, struct buf *out) {
    bool think = kind == BLOCK_THINK, tool = kind == BLOCK_TOOL || kind == BLOCK_SERVER_TOOL;
    struct json_writer j = frame_begin(out, "content_block_delta");
    json_kv_int(&j, "index", w->next_index);
    json_key(&j, "delta");
    json_obj(&j);
    json_kv_cstr(&j, "type", think ? "thinking_delta" : tool ? "input_json_delta" : "text_delta");
    json_kv_str(&j, think ? "thinking" : tool ? "partial_json" : "text", text);
    json_obj_end(&j);
    frame_end(&j);
}

static void put_meta(struct stream_writer *w, struct slice name, struct slice json, struct buf *out) {
    bool citation = slice_is(name, "citation");
    if (!citation && !slice_is(name, "delta"))
        return;
    struct json_writer j = frame_begin(out, "content_block_delta");
    size_t from = out->len;
    json_kv_int(&j, "index", w->next_index);
    json_key(&j, "delta");
    if (citation) {
        json_obj(&j);
        json_kv_cstr(&j, "type", "citations_delta");
        json_kv_raw(&j, "citation", json);
        json_obj_end(&j);
    } else {
        json_put_raw(&j, json);
    }
    frame_end_raw(&j, from);
}

static void put_signature(struct stream_writer *w, struct slice signature, struct buf *out) {
    struct json_writer j = frame_begin(out, "content_block_delta");
    json_kv_int(&j, "index", w->next_index);
    json_key(&j, "delta");
    json_obj(&j);
    json_kv_cstr(&j, "type", "signature_delta");
    json_kv_str(&j, "signature", signature);
    json_obj_end(&j);
    frame_end(&j);
}

// ---- one block

static void put_empty_think(struct json_writer *j, const struct out_block *b) {
    json_obj(j);
    json_kv_cstr(j, "type", b->redacted ? "redacted_thinking" : "thinking");
    if (b->redacted) {
        json_kv_str(j, "data", b->opening);
    } else {
        json_kv_str(j, "thinking", SLICE(""));
        json_kv_str(j, "signature", SLICE(""));
    }
    json_obj_end(j);
}

static void put_empty_tool(struct json_writer *j, const struct out_block *b) {
    json_obj(j);
    json_kv_cstr(j, "type", "tool_use");
    json_kv_str(j, "id", b->call_id);
    json_kv_str(j, "name", b->name);
    json_kv_raw(j, "input", SLICE("{}"));
    json_obj_end(j);
}

static void put_empty_block(struct stream_writer *w, struct json_writer *j, const struct out_block *b) {
    bool tool = b->kind == BLOCK_TOOL || b->kind == BLOCK_SERVER_TOOL;
    if (b->kind == BLOCK_THINK)
        put_empty_think(j, b);
    else if (b->kind == BLOCK_TEXT || b->kind == BLOCK_REFUSAL)
        json_put_raw(j, SLICE("{\"type\":\"text\",\"text\":\"\"}"));
    else if (!anthropic_put_opening(j, w->a, b->opening, tool ? SLICE("{}") : SLICE_NONE))
        put_empty_tool(j, b);
}

static void flush_kept(struct stream_writer *w, struct out_block *b, struct buf *out) {
    struct slice rest = buf_slice(&b->metas), name, json;
    if (b->text.len)
        put_text(w, b->kind, buf_slice(&b->text), out);
    while (answer_meta_next(&rest, &name, &json))
        put_meta(w, name, json, out);
    w->kept_bytes -= b->text.len + b->metas.len;
    buf_done(&b->text);
    buf_done(&b->metas);
}

static void block_open(struct stream_writer *w, struct out_block *b, struct buf *out) {
    struct json_writer j = frame_begin(out, "content_block_start");
    size_t from = out->len;
    json_kv_int(&j, "index", w->next_index);
    json_key(&j, "content_block");
    put_empty_block(w, &j, b);
    frame_end_raw(&j, from);
    b->told = true;
    w->open = b;
    flush_kept(w, b, out);
}

static void block_remove(struct stream_writer *w, struct out_block *b) {
    struct out_block **at = &w->first;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    buf_done(&b->text);
    buf_done(&b->metas);
}

static void block_close(struct stream_writer *w, struct buf *out) {
    struct out_block *b = w->open;
    if (b->ended && b->kind == BLOCK_THINK && b->signature.n && !b->redacted)
        put_signature(w, b->signature, out);
    struct json_writer j = frame_begin(out, "content_block_stop");
    json_kv_int(&j, "index", w->next_index);
    frame_end(&j);
    w->next_index++;
    w->open = NULL;
    if (b->ended)
        block_remove(w, b);
}

// ---- which block is written

static bool has_work(const struct out_block *b) {
    return !b->told || b->text.len || b->metas.len || (b->ended && b->kind == BLOCK_THINK && b->signature.n);
}

static struct out_block *next_waiting(struct stream_writer *w) {
    for (struct out_block *b = w->first, *next; b; b = next) {
        next = b->next;
        if (b == w->open)
            continue;
        if (has_work(b))
            return b;
        if (b->ended)
            block_remove(w, b);
    }
    return NULL;
}

static bool gives_way(const struct out_block *b) {
    return b->kind == BLOCK_TEXT || b->kind == BLOCK_THINK || b->kind == BLOCK_REFUSAL;
}

static void advance(struct stream_writer *w, struct buf *out) {
    for (;;) {
        struct out_block *waiting = w->open && !w->open->ended && !gives_way(w->open) ? NULL : next_waiting(w);
        if (w->open && !w->open->ended && !waiting)
            return;
        if (w->open)
            block_close(w, out);
        else if (waiting)
            block_open(w, waiting, out);
        else
            return;
    }
}

// ---- events

static struct out_block *find(struct stream_writer *w, uint32_t block) {
    if (w->open && w->open->block == block)
        return w->open;
    struct out_block *b = w->first;
    while (b && b->block != block)
        b = b->next;
    return b;
}

static struct slice keep(struct stream_writer *w, struct slice s) {
    if (!s.n)
        return SLICE_NONE;
    struct slice copy = arena_copy(w->a, s);
    w->no_memory |= !copy.p;
    return copy;
}

static bool speakable(const struct event *ev) {
    if (ev->choice != 0 || ev->block_kind == BLOCK_MEDIA)
        return false;
    return (ev->block_kind != BLOCK_OPAQUE && ev->block_kind != BLOCK_SERVER_TOOL) ||
           (anthropic_owns(ev->name) && ev->text.n);
}

static void on_begin(struct stream_writer *w, const struct event *ev, struct buf *out) {
    if (!speakable(ev))
        return;
    struct out_block *b = ARENA_NEW(w->a, struct out_block);
    if (!b) {
        w->no_memory = true;
        return;
    }
    b->block = ev->block;
    b->kind = ev->block_kind;
    b->redacted = ev->redacted;
    b->opening = keep(w, ev->text);
    b->call_id = keep(w, ev->call_id);
    b->name = keep(w, ev->name);
    buf_init(&b->text, KEPT_MAX);
    buf_init(&b->metas, KEPT_MAX);
    w->ends_in_tool = b->kind == BLOCK_TOOL;
    struct out_block **at = &w->first;
    while (*at)
        at = &(*at)->next;
    *at = b;
    advance(w, out);
}

static enum err keep_bytes(struct stream_writer *w, size_t n) {
    if (n > KEPT_MAX - w->kept_bytes)
        return ERR_LIMIT;
    w->kept_bytes += n;
    return ERR_OK;
}

static enum err on_delta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_block *b = find(w, ev->block);
    if (!b || b->ended || !ev->text.n || b->kind == BLOCK_OPAQUE)
        return ERR_OK;
    if (b == w->open) {
        put_text(w, b->kind, ev->text, out);
        return ERR_OK;
    }
    enum err e = keep_bytes(w, ev->text.n);
    if (e)
        return e;
    buf_append(&b->text, ev->text);
    w->no_memory |= b->text.failed;
    advance(w, out);
    return ERR_OK;
}

static enum err keep_meta(struct stream_writer *w, struct out_block *b, const struct event *ev) {
    enum err e = keep_bytes(w, ev->name.n + ev->text.n + 2);
    if (e)
        return e;
    buf_append(&b->metas, ev->name);
    buf_append_char(&b->metas, '\t');
    for (size_t i = 0; i < ev->text.n; i++) // line breaks in JSON stand only between tokens
        buf_append_char(&b->metas, ev->text.p[i] == '\n' || ev->text.p[i] == '\r' ? ' ' : ev->text.p[i]);
    buf_append_char(&b->metas, '\n');
    w->no_memory |= b->metas.failed;
    return ERR_OK;
}

static enum err on_meta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    if (slice_is(ev->name, "stop_details"))
        w->stop_details = keep(w, ev->text);
    if (slice_is(ev->name, "container"))
        w->container = keep(w, ev->text);
    struct out_block *b = find(w, ev->block);
    bool ours = slice_is(ev->name, "citation") || slice_is(ev->name, "delta");
    if (!b || b->ended || !ours)
        return ERR_OK;
    if (b == w->open) {
        put_meta(w, ev->name, ev->text, out);
        return ERR_OK;
    }
    enum err e = keep_meta(w, b, ev);
    if (!e)
        advance(w, out);
    return e;
}

static void on_block_end(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_block *b = find(w, ev->block);
    if (!b)
        return;
    b->ended = true;
    b->signature = keep(w, ev->signature);
    advance(w, out);
}

static void on_finish(struct stream_writer *w, const struct event *ev) {
    if (ev->choice != 0)
        return;
    w->finish = ev->finish;
    w->stop_sequence = keep(w, ev->stop_sequence);
}

static void put_message_delta(struct stream_writer *w, struct buf *out) {
    struct json_writer j = frame_begin(out, "message_delta");
    size_t from = out->len;
    json_key(&j, "delta");
    json_obj(&j);
    json_kv_cstr(&j, "stop_reason", anthropic_finish_text(w->finish, w->ends_in_tool));
    if (w->stop_sequence.n)
        json_kv_str(&j, "stop_sequence", w->stop_sequence);
    else
        json_kv_null(&j, "stop_sequence");
    if (w->stop_details.p)
        json_kv_raw(&j, "stop_details", w->stop_details);
    if (w->container.p)
        json_kv_raw(&j, "container", w->container);
    json_obj_end(&j);
    json_key(&j, "usage");
    anthropic_put_usage(&j, &w->usage, false);
    frame_end_raw(&j, from);
}

static void on_end(struct stream_writer *w, struct buf *out) {
    for (struct out_block *b = w->first; b; b = b->next)
        b->ended = true;
    advance(w, out);
    put_message_delta(w, out);
    struct json_writer j = frame_begin(out, "message_stop");
    frame_end(&j);
    w->over = true;
}

static void on_error(struct stream_writer *w, const struct problem *p, struct buf *out) {
    int status;
    buf_append_str(out, "event: error\ndata: ");
    anthropic_write_error(p, w->who.id, out, &status);
    buf_append_str(out, "\n\n");
    w->over = true;
}

static enum err dispatch(struct stream_writer *w, const struct event *ev, struct buf *out) {
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        on_begin(w, ev, out);
        return ERR_OK;
    case EV_DELTA:
        return on_delta(w, ev, out);
    case EV_META:
        return on_meta(w, ev, out);
    case EV_BLOCK_END:
        on_block_end(w, ev, out);
        return ERR_OK;
    case EV_FINISH:
        on_finish(w, ev);
        return ERR_OK;
    case EV_PING:
        buf_append(out, dialect_get(DIALECT_ANTHROPIC)->keepalive);
        return ERR_OK;
    case EV_END:
        on_end(w, out);
        return ERR_OK;
    case EV_ERROR:
    case EV_START:
    case EV_USAGE:
        return ERR_OK;
    }
    return ERR_OK;
}

enum err anthropic_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out) {
    if (w->over)
        return ERR_OK;
    if (ev->kind == EV_START) {
        w->id = keep(w, ev->id);
        w->model = keep(w, ev->model);
        return w->no_memory ? ERR_NO_MEMORY : ERR_OK;
    }
    if (ev->kind == EV_USAGE) {
        usage_merge(&w->usage, &ev->usage);
        return ERR_OK;
    }
    if (ev->kind == EV_ERROR) {
        on_error(w, ev->problem, out);
        return buf_status(out);
    }
    put_start(w, out);
    enum err e = dispatch(w, ev, out);
    if (e)
        return e;
    return w->no_memory ? ERR_NO_MEMORY : buf_status(out);
}
