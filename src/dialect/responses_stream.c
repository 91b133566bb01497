// SPDX-License-Identifier: Apache-2.0
// Events of a streamed response → events of the inner form. It stands between the upstream's frames and the pipe of an
// attempt and runs once per token. Items are found by output_index, since some servers give an item another id in each
// event; a content part of a message is a block, reasoning and a call are one each, anything else becomes an opaque block
// when it is done. Servers that tell a part only when it is done are read as well. Upstreams are not believed: wrong types
// and calls that were not begun are ERR_UP_PROTOCOL, unknown events are passed over.
#include "dialect/responses.h"
#include "base/limits.h"
#include "dialect/openai.h"

struct item {
    struct item *next; // newest first
    int64_t index;     // output_index
    int64_t part;      // content_index or summary_index of what was told last
    uint32_t block;
    enum block_kind kind; // of the open block
    bool open;
    bool told; // something of the part, or of the call's arguments
    bool any;  // something of the item
    bool call;
};

struct stream_reader {
    struct arena *a;
    const struct json_doc *doc; // of the frame at hand
    struct item *items;
    uint32_t n_items;
    uint32_t n_blocks;
    bool called;
    bool started;
    bool done;
    bool failed; // the upstream told an error
};

// One frame.
struct frame_read {
    struct stream_reader *r;
    struct event_sink *sink;
    yyjson_val *root;
    struct item *item; // by output_index; made when there is none
};

struct stream_reader *responses_reader_new(struct arena *a, enum op op) {
    (void)op;
    struct stream_reader *r = ARENA_NEW(a, struct stream_reader);
    if (r)
        r->a = a;
    return r;
}

// ---- items and blocks

static struct item *item_add(struct stream_reader *r, int64_t index) {
    struct item *it = r->n_items < LIMIT_BLOCKS ? ARENA_NEW(r->a, struct item) : NULL;
    if (!it)
        return NULL;
    r->n_items++;
    it->index = index;
    it->part = -1;
    it->next = r->items;
    return r->items = it;
}

static enum err no_item(const struct stream_reader *r) {
    return r->n_items < LIMIT_BLOCKS ? ERR_NO_MEMORY : ERR_UP_PROTOCOL;
}

static struct item *item_at(struct stream_reader *r, int64_t index) {
    for (struct item *it = r->items; it; it = it->next)
        if (it->index == index)
            return it;
    return item_add(r, index);
}

static enum err close_item(struct frame_read *k, struct item *it, struct slice signature) {
    if (!it->open)
        return ERR_OK;
    it->open = false;
    return emit_block_end(k->sink, it->block, 0, it->kind, signature);
}

static enum err open_item(struct frame_read *k, enum block_kind kind, struct event *begin) {
    struct item *it = k->item;
    enum err e = close_item(k, it, SLICE_NONE);
    if (e)
        return e;
    if (k->r->n_blocks >= LIMIT_BLOCKS)
        return ERR_UP_PROTOCOL;
    it->block = k->r->n_blocks++;
    it->kind = kind;
    it->open = it->any = true;
    begin->kind = EV_BLOCK_BEGIN;
    begin->block = it->block;
    begin->block_kind = kind;
    return emit(k->sink, begin);
}

static enum err put_text(struct frame_read *k, enum block_kind kind, const char *index, struct slice text) {
    struct item *it = k->item;
    int64_t part = json_get_int(k->root, index, 0);
    bool same = it->open && it->kind == kind && it->part == part;
    enum err e = ERR_OK;
    if (it->call || !text.n)
        return it->call ? ERR_UP_PROTOCOL : ERR_OK;
    if (!same)
        e = open_item(k, kind, &(struct event){0});
    it->part = part;
    it->told = true;
    return e ? e : emit_delta(k->sink, it->block, 0, kind, text);
}

// Parts of a summary are one block, with a blank line between them.
static enum err put_thought(struct frame_read *k, const char *index, struct slice text) {
    struct item *it = k->item;
    int64_t part = json_get_int(k->root, index, 0);
    enum err e = ERR_OK;
    if (it->call || !text.n)
        return it->call ? ERR_UP_PROTOCOL : ERR_OK;
    if (!it->open)
        e = open_item(k, BLOCK_THINK, &(struct event){.call_id = json_get_str(k->root, "item_id")});
    else if (it->part != part)
        e = emit_delta(k->sink, it->block, 0, BLOCK_THINK, SLICE("\n\n"));
    it->part = part;
    it->told = true;
    return e ? e : emit_delta(k->sink, it->block, 0, BLOCK_THINK, text);
}

// ---- events of text

static enum err on_text_delta(struct frame_read *k) {
    enum err e = put_text(k, BLOCK_TEXT, "content_index", json_get_str(k->root, "delta"));
    if (e || !k->item->open || !yyjson_arr_size(yyjson_obj_get(k->root, "logprobs")))
        return e;
    return responses_emit_logprobs(json_get_src(k->r->doc, k->root, "logprobs"), k->item->block, k->sink);
}

// Was this part told already? Else its end tells all of it.
static bool part_told(const struct frame_read *k, const char *index) {
    return k->item->told && k->item->part == json_get_int(k->root, index, 0);
}

static enum err on_text_done(struct frame_read *k) {
    if (part_told(k, "content_index"))
        return ERR_OK;
    return put_text(k, BLOCK_TEXT, "content_index", json_get_str(k->root, "text"));
}

static enum err on_annotation(struct frame_read *k) {
    if (!k->item->open)
        return ERR_OK;
    return emit_meta(k->sink, k->item->block, 0, SLICE("annotation"), json_get_src(k->r->doc, k->root, "annotation"));
}

static enum err on_refusal_delta(struct frame_read *k) {
    return put_text(k, BLOCK_REFUSAL, "content_index", json_get_str(k->root, "delta"));
}

static enum err on_refusal_done(struct frame_read *k) {
    if (part_told(k, "content_index"))
        return ERR_OK;
    return put_text(k, BLOCK_REFUSAL, "content_index", json_get_str(k->root, "refusal"));
}

static enum err on_part_done(struct frame_read *k) {
    return k->item->open && k->item->kind != BLOCK_THINK ? close_item(k, k->item, SLICE_NONE) : ERR_OK;
}

// ---- events of thinking

static enum err on_summary_delta(struct frame_read *k) {
    return put_thought(k, "summary_index", json_get_str(k->root, "delta"));
}

static enum err on_summary_done(struct frame_read *k) {
    return part_told(k, "summary_index") ? ERR_OK : put_thought(k, "summary_index", json_get_str(k->root, "text"));
}

static enum err on_thought_delta(struct frame_read *k) {
    return put_thought(k, "content_index", json_get_str(k->root, "delta"));
}

static enum err on_thought_done(struct frame_read *k) {
    return part_told(k, "content_index") ? ERR_OK : put_thought(k, "content_index", json_get_str(k->root, "text"));
}

// ---- events of calls

static enum err on_arguments_delta(struct frame_read *k) {
    struct slice text = json_get_str(k->root, "delta");
    if (!k->item->call || !k->item->open)
        return ERR_UP_PROTOCOL;
    k->item->told |= text.n > 0;
    return emit_delta(k->sink, k->item->block, 0, BLOCK_TOOL, text);
}

static enum err on_arguments_done(struct frame_read *k) {
    if (!k->item->call || !k->item->open)
        return ERR_UP_PROTOCOL;
    if (k->item->told)
        return ERR_OK;
    k->item->told = true;
    return emit_delta(k->sink, k->item->block, 0, BLOCK_TOOL, json_get_str(k->root, "arguments"));
}

// ---- items as a whole

static enum err begin_call(struct frame_read *k, yyjson_val *v) {
    struct slice id = json_get_str(v, "call_id"), name = json_get_str(v, "name");
    struct slice arguments = json_get_str(v, "arguments");
    if (!id.n)
        id = json_get_str(v, "id");
    if (!id.n || !name.n)
        return ERR_UP_PROTOCOL;
    k->item->call = k->r->called = true;
    enum err e = open_item(k, BLOCK_TOOL, &(struct event){.call_id = id, .name = name});
    k->item->told = arguments.n > 0;
    return e ? e : emit_delta(k->sink, k->item->block, 0, BLOCK_TOOL, arguments);
}

static enum err on_item_added(struct frame_read *k) {
    yyjson_val *v = yyjson_obj_get(k->root, "item");
    if (!yyjson_is_obj(v))
        return ERR_UP_PROTOCOL;
    if (k->item->any && !k->item->open) // a proxy that counts anew
        k->item = item_add(k->r, k->item->index);
    if (!k->item)
        return no_item(k->r);
    return slice_is(json_get_str(v, "type"), "function_call") && !k->item->open ? begin_call(k, v) : ERR_OK;
}

static enum err finish_call(struct frame_read *k, yyjson_val *v) {
    enum err e = k->item->call ? ERR_OK : begin_call(k, v);
    if (!e && k->item->open && !k->item->told)
        e = emit_delta(k->sink, k->item->block, 0, BLOCK_TOOL, json_get_str(v, "arguments"));
    return e ? e : close_item(k, k->item, SLICE_NONE);
}

static enum err finish_reasoning(struct frame_read *k, yyjson_val *v) {
    struct slice text = SLICE_NONE, signature = json_get_str(v, "encrypted_content");
    enum err e = k->item->any ? ERR_OK : responses_thinking_of(k->r->a, v, &text);
    if (!e && !k->item->any && (text.n || signature.n)) {
        e = open_item(k, BLOCK_THINK, &(struct event){.call_id = json_get_str(v, "id")});
        if (!e)
            e = emit_delta(k->sink, k->item->block, 0, BLOCK_THINK, text);
    }
    return e ? e : close_item(k, k->item, signature.n ? signature : SLICE_NONE);
}

static enum err finish_message(struct frame_read *k, yyjson_val *v) {
    yyjson_val *list = yyjson_obj_get(v, "content"), *part;
    size_t i, n;
    enum err e = close_item(k, k->item, SLICE_NONE);
    if (k->item->any)
        return e;
    yyjson_arr_foreach(list, i, n, part) {
        struct slice refusal = json_get_str(part, "refusal");
        k->item->part = -1;
        if (!e)
            e = put_text(k, refusal.p ? BLOCK_REFUSAL : BLOCK_TEXT, "output_index",
                         refusal.p ? refusal : json_get_str(part, "text"));
        if (!e)
            e = close_item(k, k->item, SLICE_NONE);
    }
    return e;
}

static enum err on_item_done(struct frame_read *k) {
    yyjson_val *v = yyjson_obj_get(k->root, "item");
    struct slice type = json_get_str(v, "type");
    if (!type.n)
        return ERR_UP_PROTOCOL;
    if (slice_is(type, "message"))
        return finish_message(k, v);
    if (slice_is(type, "reasoning"))
        return finish_reasoning(k, v);
    if (slice_is(type, "function_call"))
        return finish_call(k, v);
    enum err e = close_item(k, k->item, SLICE_NONE);
    if (e || k->r->n_blocks >= LIMIT_BLOCKS)
        return e ? e : ERR_UP_PROTOCOL;
    return responses_emit_opaque(k->r->a, v, json_get_src(k->r->doc, k->root, "item"), k->r->n_blocks++, k->sink);
}

// ---- the response as a whole

static enum err on_created(struct frame_read *k) {
    yyjson_val *v = yyjson_obj_get(k->root, "response");
    if (k->r->started)
        return ERR_OK;
    k->r->started = true;
    return emit_start(k->sink, json_get_str(v, "id"), json_get_str(v, "model"), json_get_int(v, "created_at", 0));
}

static enum err close_all(struct frame_read *k, struct item *it) {
    if (!it)
        return ERR_OK;
    enum err e = close_all(k, it->next); // oldest first; bounded by LIMIT_BLOCKS
    return e ? e : close_item(k, it, SLICE_NONE);
}

static enum err on_ended(struct frame_read *k) {
    yyjson_val *v = yyjson_obj_get(k->root, "response");
    if (!yyjson_is_obj(v))
        return ERR_UP_PROTOCOL;
    k->r->done = true;
    enum err e = close_all(k, k->r->items);
    return e ? e : responses_emit_ending(k->r->a, v, k->r->called, k->sink);
}

static enum err on_error(struct frame_read *k, yyjson_val *said) {
    struct problem p;
    k->r->failed = true;
    openai_problem_of(k->r->a, 0, said, 0, &p);
    return emit_error(k->sink, &p);
}

static enum err on_failed(struct frame_read *k) {
    return on_error(k, yyjson_obj_get(k->root, "response"));
}

static const struct row {
    const char *type; // behind "response."
    enum err (*run)(struct frame_read *k);
    bool of_item;
} rows[] = {
    {"output_text.delta", on_text_delta, true},
    {"function_call_arguments.delta", on_arguments_delta, true},
    {"reasoning_summary_text.delta", on_summary_delta, true},
    {"reasoning_text.delta", on_thought_delta, true},
    {"refusal.delta", on_refusal_delta, true},
    {"output_item.added", on_item_added, true},
    {"output_item.done", on_item_done, true},
    {"content_part.done", on_part_done, true},
    {"output_text.done", on_text_done, true},
    {"output_text.annotation.added", on_annotation, true},
    {"function_call_arguments.done", on_arguments_done, true},
    {"reasoning_summary_text.done", on_summary_done, true},
    {"reasoning_text.done", on_thought_done, true},
    {"refusal.done", on_refusal_done, true},
    {"created", on_created, false},
    {"completed", on_ended, false},
    {"incomplete", on_ended, false},
    {"failed", on_failed, false},
};

static enum err run_row(struct frame_read *k, const struct row *row) {
    if (!k->r->started && row->run != on_created) {
        k->r->started = true;
        enum err e = emit_start(k->sink, SLICE_NONE, SLICE_NONE, 0);
        if (e)
            return e;
    }
    if (row->of_item) {
        k->item = item_at(k->r, json_get_int(k->root, "output_index", 0));
        if (!k->item)
            return no_item(k->r);
    }
    return row->run(k);
}

static enum err dispatch(struct frame_read *k, struct slice type) {
    if (slice_is(type, "error") || (!type.n && yyjson_obj_get(k->root, "error")))
        return on_error(k, k->root);
    if (!slice_starts(type, "response."))
        return ERR_OK;
    type = slice_from(type, sizeof "response." - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_is(type, rows[i].type))
            return run_row(k, &rows[i]);
    return ERR_OK; // an event of an item that is told when it is done, or one that came after us
}

enum err responses_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink) {
    struct frame_json json;
    if (f->comment)
        return emit(sink, &(struct event){.kind = EV_PING});
    struct slice data = slice_trim(f->data);
    if (!data.n || r->done || r->failed || slice_is(data, "[DONE]"))
        return ERR_OK;
    enum err e = frame_json_open(&json, data);
    r->doc = &json.doc;
    struct frame_read k = {.r = r, .sink = sink, .root = json.root};
    if (!e)
        e = dispatch(&k, json_get_str(json.root, "type"));
    r->doc = NULL;
    frame_json_close(&json);
    return e;
}

enum err responses_reader_finish(struct stream_reader *r, struct event_sink *sink) {
    (void)sink;
    return r->done || r->failed ? ERR_OK : ERR_UP_DIED;
}
