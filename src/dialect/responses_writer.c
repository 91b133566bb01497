// SPDX-License-Identifier: Apache-2.0
// Events → frames of a streamed response, for clients of this dialect. Each frame has its number; each block is an item at
// an output_index of its own, so that blocks may be open side by side. The ends of parts, items and the response repeat
// what was said, so all of it is gathered, in the same struct answer that a client without a stream is answered from. A
// failure ends the stream with response.failed, or with an error frame where nothing was begun. State lives in the arena.
#include "dialect/responses.h"
#include "base/limits.h"

struct out_item {
    struct out_item *next; // newest first
    const struct answer_block *block;
    uint32_t index; // output_index
    uint32_t annotations;
    bool part; // its part was begun
};

struct stream_writer {
    struct arena *a;
    const struct request *r;
    struct identity who;
    struct answer answer;
    struct responses_object object;
    struct out_item *items, *current;
    struct out_item *late; // ended, and not yet said
    uint32_t n_items;
    int64_t seq;
    bool started;
    bool over;
};

struct stream_writer *responses_writer_new(struct arena *a, const struct request *r, const struct identity *who) {
    struct stream_writer *w = ARENA_NEW(a, struct stream_writer);
    if (!w || !answer_init(&w->answer, a))
        return NULL;
    w->a = a;
    w->r = r;
    w->who = *who;
    w->object = (struct responses_object){.a = a, .r = r, .answer = &w->answer, .who = &w->who};
    return w;
}

// ---- frames

struct frame_out {
    struct json_writer j;
    size_t from; // where the data begins
};

static struct frame_out frame_begin(struct stream_writer *w, const char *type, struct buf *out) {
    struct frame_out f = {.j = JSON_WRITER(out)};
    buf_append_str(out, "event: ");
    buf_append_str(out, type);
    buf_append_str(out, "\ndata: ");
    f.from = out->len;
    json_obj(&f.j);
    json_kv_cstr(&f.j, "type", type);
    json_kv_int(&f.j, "sequence_number", w->seq++);
    return f;
}

// Raw JSON may be spread over lines, and a frame's data is one; line breaks stand between tokens only.
static void frame_end(struct frame_out *f) {
    struct buf *out = f->j.out;
    json_obj_end(&f->j);
    for (size_t i = f->from; i < out->len; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
    buf_append_str(out, "\n\n");
}

static struct frame_out item_frame(struct stream_writer *w, const char *type, const struct out_item *it,
                                   struct buf *out) {
    struct frame_out f = frame_begin(w, type, out);
    responses_put_item_id(&f.j, "item_id", &w->object, it->block);
    json_kv_int(&f.j, "output_index", it->index);
    return f;
}

static struct frame_out part_frame(struct stream_writer *w, const char *type, const struct out_item *it,
                                   struct buf *out) {
    struct frame_out f = item_frame(w, type, it, out);
    json_kv_int(&f.j, it->block->kind == BLOCK_THINK ? "summary_index" : "content_index", 0);
    return f;
}

static void put_response(struct stream_writer *w, const char *type, struct buf *out) {
    struct frame_out f = frame_begin(w, type, out);
    json_key(&f.j, "response");
    responses_put_object(&f.j, &w->object);
    frame_end(&f);
}

static void put_item(struct stream_writer *w, const char *type, const struct out_item *it, bool whole,
                     struct buf *out) {
    struct frame_out f = frame_begin(w, type, out);
    json_kv_int(&f.j, "output_index", it->index);
    json_key(&f.j, "item");
    responses_put_item(&f.j, &w->object, it->block, whole);
    frame_end(&f);
}

static void put_started(struct stream_writer *w, struct buf *out) {
    if (w->started)
        return;
    w->started = true;
    put_response(w, "response.created", out);
    put_response(w, "response.in_progress", out);
}

// ---- parts

static void put_summary_part(struct json_writer *j, struct slice text) {
    json_key(j, "part");
    json_obj(j);
    json_kv_cstr(j, "type", "summary_text");
    json_kv_str(j, "text", text);
    json_obj_end(j);
}

static void put_part(struct stream_writer *w, struct out_item *it, bool whole, struct buf *out) {
    const struct answer_block *b = it->block;
    bool think = b->kind == BLOCK_THINK;
    const char *type = think
                           ? (whole ? "response.reasoning_summary_part.done" : "response.reasoning_summary_part.added")
                           : (whole ? "response.content_part.done" : "response.content_part.added");
    struct frame_out f = part_frame(w, type, it, out);
    if (think) {
        put_summary_part(&f.j, whole ? buf_slice(&b->text) : SLICE(""));
    } else {
        json_key(&f.j, "part");
        responses_put_part(&f.j, w->a, b, whole);
    }
    frame_end(&f);
}

static void put_text_done(struct stream_writer *w, const struct out_item *it, struct buf *out) {
    const struct answer_block *b = it->block;
    bool refusal = b->kind == BLOCK_REFUSAL, think = b->kind == BLOCK_THINK;
    struct frame_out f = part_frame(w,
                                    think     ? "response.reasoning_summary_text.done"
                                    : refusal ? "response.refusal.done"
                                              : "response.output_text.done",
                                    it, out);
    json_kv_str(&f.j, refusal ? "refusal" : "text", buf_slice(&b->text));
    if (!refusal && !think)
        responses_put_logprobs(&f.j, w->a, b);
    frame_end(&f);
}

static void put_arguments_done(struct stream_writer *w, const struct out_item *it, struct buf *out) {
    struct frame_out f = item_frame(w, "response.function_call_arguments.done", it, out);
    json_kv_str(&f.j, "name", it->block->name);
    json_kv_str(&f.j, "arguments", responses_arguments(it->block));
    frame_end(&f);
}

static const char *delta_type(enum block_kind kind) {
    switch (kind) {
    case BLOCK_TEXT:
        return "response.output_text.delta";
    case BLOCK_REFUSAL:
        return "response.refusal.delta";
    case BLOCK_THINK:
        return "response.reasoning_summary_text.delta";
    case BLOCK_TOOL:
        return "response.function_call_arguments.delta";
    case BLOCK_MEDIA:
    case BLOCK_SERVER_TOOL:
    case BLOCK_OPAQUE:
        return NULL;
    }
    return NULL;
}

static void put_delta(struct stream_writer *w, const struct out_item *it, struct slice text, struct buf *out) {
    enum block_kind kind = it->block->kind;
    struct frame_out f =
        kind == BLOCK_TOOL ? item_frame(w, delta_type(kind), it, out) : part_frame(w, delta_type(kind), it, out);
    json_kv_str(&f.j, "delta", text);
    if (kind == BLOCK_TEXT)
        json_kv_raw(&f.j, "logprobs", SLICE("[]")); // they follow, with the end of the text
    frame_end(&f);
}

// ---- events

static struct out_item *find(struct stream_writer *w, uint32_t block) {
    if (w->current && w->current->block->block == block)
        return w->current;
    struct out_item *it = w->items;
    while (it && it->block->block != block)
        it = it->next;
    return w->current = it;
}

static enum err on_begin(struct stream_writer *w, struct buf *out) {
    const struct answer_block *b = w->answer.current;
    if (!responses_is_item(b))
        return ERR_OK;
    struct out_item *it = ARENA_NEW(w->a, struct out_item);
    if (!it)
        return ERR_NO_MEMORY;
    it->block = b;
    it->index = w->n_items++;
    it->next = w->items;
    w->items = w->current = it;
    put_item(w, "response.output_item.added", it, false, out);
    it->part = b->kind == BLOCK_TEXT || b->kind == BLOCK_REFUSAL;
    if (it->part)
        put_part(w, it, false, out);
    return ERR_OK;
}

static void on_delta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_item *it = find(w, ev->block);
    if (!it || !ev->text.n || !delta_type(it->block->kind))
        return;
    if (it->block->kind == BLOCK_THINK && !it->part) {
        it->part = true;
        put_part(w, it, false, out);
    }
    put_delta(w, it, ev->text, out);
}

static void on_meta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_item *it = find(w, ev->block);
    if (!it || !slice_is(ev->name, "annotation") || it->block->kind != BLOCK_TEXT)
        return;
    struct frame_out f = part_frame(w, "response.output_text.annotation.added", it, out);
    json_kv_int(&f.j, "annotation_index", it->annotations++);
    json_kv_raw(&f.j, "annotation", ev->text);
    frame_end(&f);
}

static void end_item(struct stream_writer *w, struct out_item *it, struct buf *out) {
    enum block_kind kind = it->block->kind;
    if (kind == BLOCK_TOOL && !it->block->text.len)
        put_delta(w, it, responses_arguments(it->block), out);
    if (kind == BLOCK_TOOL)
        put_arguments_done(w, it, out);
    if (it->part) {
        put_text_done(w, it, out);
        put_part(w, it, true, out);
    }
    w->late = it;
}

// The last one's status says how the answer ended, which comes behind its end.
static void late_put(struct stream_writer *w, struct buf *out) {
    if (w->late)
        put_item(w, "response.output_item.done", w->late, true, out);
    w->late = NULL;
}

static void on_end(struct stream_writer *w, struct buf *out) {
    w->over = true;
    w->object.status = RESPONSES_DONE;
    enum finish finish = w->answer.choices[0].finish;
    bool cut = finish == FINISH_LENGTH || finish == FINISH_FILTER || finish == FINISH_REFUSAL;
    put_response(w, cut ? "response.incomplete" : "response.completed", out);
}

static void on_error(struct stream_writer *w, const struct problem *p, struct buf *out) {
    w->over = true;
    if (w->started) {
        w->object.status = RESPONSES_FAILED;
        w->object.problem = p;
        put_response(w, "response.failed", out);
        return;
    }
    struct frame_out f = frame_begin(w, "error", out);
    json_kv_cstr(&f.j, "code", err_name(p->err));
    json_kv_str(&f.j, "message", problem_text(p));
    json_kv_null(&f.j, "param");
    frame_end(&f);
}

static enum err dispatch(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_item *it = NULL;
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        return on_begin(w, out);
    case EV_DELTA:
        on_delta(w, ev, out);
        return ERR_OK;
    case EV_META:
        on_meta(w, ev, out);
        return ERR_OK;
    case EV_BLOCK_END:
        it = find(w, ev->block);
        if (it)
            end_item(w, it, out);
        return ERR_OK;
    case EV_END:
        on_end(w, out);
        return ERR_OK;
    case EV_START:
    case EV_FINISH:
    case EV_USAGE:
    case EV_PING:
    case EV_ERROR:
        return ERR_OK;
    }
    return ERR_OK;
}

void responses_writer_after(struct stream_writer *w, int64_t frames) {
    w->seq = frames;
}

enum err responses_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out) {
    const struct problem unknown = PROBLEM(ERR_UP_INTERNAL);
    if (w->over)
        return ERR_OK;
    if (ev->kind == EV_ERROR) {
        late_put(w, out);
        on_error(w, ev->problem ? ev->problem : &unknown, out);
        return buf_status(out);
    }
    if (ev->kind == EV_PING) {
        buf_append(out, dialect_get(DIALECT_RESPONSES)->keepalive);
        return buf_status(out);
    }
    if (ev->kind != EV_START && !w->answer.started)
        w->answer.started = true; // a reader that began in the middle
    enum err e = answer_add(&w->answer, ev);
    if (e)
        return e;
    put_started(w, out);
    if (ev->kind != EV_USAGE)
        late_put(w, out);
    e = dispatch(w, ev, out);
    return e ? e : buf_status(out);
}
