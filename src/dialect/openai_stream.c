// SPDX-License-Identifier: Apache-2.0
// Chunks of a streamed chat completion → events. It stands between the upstream's frames and the pipe of an attempt, and
// runs once per token: one parse in a block that is kept, a few look-ups, no memory from the arena except once per block.
// The wire has no blocks: a text begins with its first bytes and ends when thinking, a refusal or a call begins, or with
// the choice; calls are told apart by index and stay open side by side. Upstreams are not believed: wrong types are
// ERR_UP_PROTOCOL, a missing index or id is made up, a stream that ends without a finish is a death.
#include "dialect/openai.h"
#include "base/limits.h"

#define CHOICES_MAX 16
#define INDEX_OLD INT64_C(-2)   // the old function_call
#define INDEX_NONE INT64_C(-16) // and below: calls that came without one

struct call {
    struct call *next;
    int64_t index;   // on the wire
    struct slice id; // as given there, to notice a new call under an old index
    uint32_t block;
    bool open;
};

struct choice {
    struct call *calls; // newest first
    uint32_t block;     // the open text, thinking or refusal
    enum block_kind kind;
    bool open;
    bool seen;
    bool finished;
};

struct stream_reader {
    struct arena *a;
    const struct json_doc *doc; // of the frame at hand
    struct choice choices[CHOICES_MAX];
    struct slice id;
    uint32_t n_blocks;
    bool started;
    bool done;
    bool failed; // the upstream told an error
};

// What one chunk is read with.
struct chunk {
    struct stream_reader *r;
    struct event_sink *sink;
    struct choice *c;
    uint32_t choice;
};

struct stream_reader *openai_reader_new(struct arena *a, enum op op) {
    (void)op;
    struct stream_reader *r = ARENA_NEW(a, struct stream_reader);
    if (r)
        r->a = a;
    return r;
}

// ---- blocks

static enum err new_block(struct chunk *k, uint32_t *ret) {
    if (k->r->n_blocks >= LIMIT_BLOCKS)
        return ERR_UP_PROTOCOL;
    *ret = k->r->n_blocks++;
    return ERR_OK;
}

static enum err close_text(struct chunk *k) {
    if (!k->c->open)
        return ERR_OK;
    k->c->open = false;
    return emit_block_end(k->sink, k->c->block, k->choice, k->c->kind, SLICE_NONE);
}

static enum err close_calls(struct chunk *k, struct call *call) {
    if (!call)
        return ERR_OK;
    enum err e = close_calls(k, call->next); // oldest first; bounded by LIMIT_BLOCKS
    if (e || !call->open)
        return e;
    call->open = false;
    return emit_block_end(k->sink, call->block, k->choice, BLOCK_TOOL, SLICE_NONE);
}

static enum err put_text(void *ctx, enum block_kind kind, struct slice text) {
    struct chunk *k = ctx;
    struct choice *c = k->c;
    enum err e = ERR_OK;
    if (!text.n)
        return ERR_OK;
    if (!c->open || c->kind != kind) {
        e = close_text(k);
        if (!e)
            e = new_block(k, &c->block);
        if (e)
            return e;
        c->kind = kind;
        c->open = true;
        e = emit_begin(k->sink, c->block, k->choice, kind);
    }
    return e ? e : emit_delta(k->sink, c->block, k->choice, kind, text);
}

// ---- tool calls

static struct call *find_call(struct choice *c, int64_t index) {
    struct call *call = c->calls;
    while (call && call->index != index)
        call = call->next;
    return call;
}

static struct slice made_id(struct chunk *k, uint32_t block) {
    struct slice id = k->r->id, tail = id.n > 12 ? slice_from(id, id.n - 12) : id;
    return slice_str(arena_printf(k->r->a, "call_%.*s_%u", SLICE_FMT(tail), block));
}

static enum err begin_call(struct chunk *k, int64_t index, struct slice id, struct slice name, struct call **ret) {
    uint32_t block;
    if (!name.n)
        return ERR_UP_PROTOCOL;
    enum err e = close_text(k);
    if (!e)
        e = new_block(k, &block);
    if (e)
        return e;
    struct call *call = ARENA_NEW(k->r->a, struct call);
    struct slice kept = id.n ? arena_copy(k->r->a, id) : made_id(k, block);
    if (!call || !kept.p)
        return ERR_NO_MEMORY;
    *call = (struct call){
        .next = k->c->calls, .index = index, .id = id.n ? kept : SLICE_NONE, .block = block, .open = true};
    k->c->calls = call;
    *ret = call;
    return emit_begin_tool(k->sink, block, k->choice, kept, name);
}

// Which call a piece belongs to; NULL: a new one. Without an index it goes to the latest, unless it names itself anew.
static struct call *call_of(struct choice *c, bool has_index, int64_t index, struct slice id, struct slice name) {
    struct call *call = has_index ? find_call(c, index) : c->calls;
    if (!call)
        return NULL;
    bool other_id = id.n && !slice_eq(id, call->id);
    if (has_index)
        return other_id && name.n && call->id.n ? NULL : call;
    return other_id || (!id.n && name.n) ? NULL : call;
}

static enum err put_call(struct chunk *k, bool has_index, int64_t index, struct slice id, yyjson_val *function) {
    yyjson_val *v = yyjson_obj_get(function, "arguments");
    struct slice name = json_get_str(function, "name");
    enum err e = ERR_OK;
    if (v && !yyjson_is_str(v) && !yyjson_is_obj(v) && !yyjson_is_null(v))
        return ERR_UP_PROTOCOL;
    struct slice arguments = yyjson_is_obj(v) ? json_get_src(k->r->doc, function, "arguments") : json_str(v);
    struct call *call = call_of(k->c, has_index, index, id, name);
    if (!call)
        e = begin_call(k, has_index ? index : INDEX_NONE - (int64_t)k->r->n_blocks, id, name, &call);
    if (e)
        return e;
    if (!call->open && arguments.n) // said to be over, and yet more comes
        return ERR_UP_PROTOCOL;
    return emit_delta(k->sink, call->block, k->choice, BLOCK_TOOL, arguments);
}

static enum err put_calls(struct chunk *k, yyjson_val *list) {
    yyjson_val *v;
    size_t i, n;
    if (!list || yyjson_is_null(list))
        return ERR_OK;
    if (!yyjson_is_arr(list))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(list, i, n, v) {
        yyjson_val *function = yyjson_obj_get(v, "function");
        int64_t index = json_get_int(v, "index", -1);
        if (!yyjson_is_obj(v) || (function && !yyjson_is_obj(function) && !yyjson_is_null(function)))
            return ERR_UP_PROTOCOL;
        if (!function && !find_call(k->c, index))
            continue; // a kind of call that we don't know
        enum err e = put_call(k, index >= 0, index, json_get_str(v, "id"), function);
        if (e)
            return e;
    }
    return ERR_OK;
}

// ---- one choice of a chunk

static enum err put_content(struct chunk *k, yyjson_val *v) {
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    if (yyjson_is_str(v))
        return put_text(k, BLOCK_TEXT, json_str(v));
    return yyjson_is_arr(v) ? openai_each_part(v, put_text, k) : ERR_UP_PROTOCOL;
}

static enum err put_metas(struct chunk *k, yyjson_val *choice, yyjson_val *delta) {
    const struct json_doc *doc = k->r->doc;
    enum err e = ERR_OK;
    if (!k->c->open)
        return ERR_OK;
    if (yyjson_is_obj(yyjson_obj_get(choice, "logprobs")))
        e = emit_meta(k->sink, k->c->block, k->choice, SLICE("logprobs"), json_get_src(doc, choice, "logprobs"));
    if (!e && yyjson_arr_size(yyjson_obj_get(delta, "annotations")))
        e = emit_meta(k->sink, k->c->block, k->choice, SLICE("annotations"), json_get_src(doc, delta, "annotations"));
    return e;
}

static enum err put_delta(struct chunk *k, yyjson_val *choice, yyjson_val *delta) {
    yyjson_val *old = yyjson_obj_get(delta, "function_call");
    enum err e = put_text(k, BLOCK_THINK, openai_reasoning_of(delta));
    if (!e)
        e = put_content(k, yyjson_obj_get(delta, "content"));
    if (!e)
        e = put_text(k, BLOCK_REFUSAL, json_get_str(delta, "refusal"));
    if (!e)
        e = put_metas(k, choice, delta);
    if (!e)
        e = put_calls(k, yyjson_obj_get(delta, "tool_calls"));
    if (!e && yyjson_is_obj(old))
        e = put_call(k, true, INDEX_OLD, SLICE_NONE, old);
    return e;
}

static enum err finish_choice(struct chunk *k, struct slice reason) {
    enum err e = close_text(k);
    if (!e)
        e = close_calls(k, k->c->calls);
    if (e || k->c->finished)
        return e;
    k->c->finished = true;
    return emit_finish(k->sink, k->choice, openai_finish_of(reason, k->c->calls != NULL), SLICE_NONE);
}

static enum err put_choice(struct chunk *k, yyjson_val *choice) {
    int64_t index = json_get_int(choice, "index", 0);
    yyjson_val *delta = yyjson_obj_get(choice, "delta");
    if (!yyjson_is_obj(choice) || index >= CHOICES_MAX)
        return ERR_UP_PROTOCOL;
    if (!delta)
        delta = yyjson_obj_get(choice, "message"); // some send the whole at once
    if (delta && !yyjson_is_obj(delta) && !yyjson_is_null(delta))
        return ERR_UP_PROTOCOL;
    k->choice = (uint32_t)index;
    k->c = &k->r->choices[index];
    k->c->seen = true;
    struct slice text = delta ? SLICE_NONE : json_get_str(choice, "text"); // of /v1/completions
    enum err e = delta ? put_delta(k, choice, delta) : put_text(k, BLOCK_TEXT, text);
    if (!e && !delta)
        e = put_metas(k, choice, NULL);
    if (e)
        return e;
    struct slice reason = json_get_str(choice, "finish_reason");
    return reason.n ? finish_choice(k, reason) : ERR_OK;
}

// ---- frames

static enum err start(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    if (r->started)
        return ERR_OK;
    r->started = true;
    struct slice id = json_get_str(root, "id");
    r->id = arena_copy(r->a, slice_first(id, 256));
    if (!r->id.p)
        return ERR_NO_MEMORY;
    return emit_start(sink, id, json_get_str(root, "model"), json_get_int(root, "created", 0));
}

static enum err put_chunk(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    yyjson_val *choices = yyjson_obj_get(root, "choices"), *v;
    size_t i, n;
    struct usage usage;
    struct chunk k = {.r = r, .sink = sink};
    if (choices && !yyjson_is_arr(choices) && !yyjson_is_null(choices))
        return ERR_UP_PROTOCOL;
    openai_read_usage(root, &usage);
    // Azure's first chunk has no choices, and neither id nor model.
    enum err e = yyjson_arr_size(choices) ? start(r, root, sink) : ERR_OK;
    yyjson_arr_foreach(choices, i, n, v) {
        if (e)
            return e;
        e = put_choice(&k, v);
    }
    return e || !r->started ? e : emit_usage(sink, &usage);
}

static enum err end_all(struct stream_reader *r, struct event_sink *sink) {
    struct chunk k = {.r = r, .sink = sink};
    r->done = true;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        k.choice = i;
        k.c = &r->choices[i];
        enum err e = k.c->seen ? finish_choice(&k, SLICE_NONE) : ERR_OK;
        if (e)
            return e;
    }
    return emit_end(sink);
}

static enum err put_error(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct problem p;
    r->failed = true;
    openai_problem_of(r->a, 0, root, 0, &p);
    return emit_error(sink, &p);
}

static enum err put_root(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    yyjson_val *error = yyjson_obj_get(root, "error");
    if (error && !yyjson_is_null(error))
        return put_error(r, root, sink);
    return put_chunk(r, root, sink);
}

enum err openai_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink) {
    struct frame_json json;
    if (f->comment)
        return emit(sink, &(struct event){.kind = EV_PING});
    struct slice data = slice_trim(f->data);
    if (!data.n || r->done || r->failed)
        return ERR_OK;
    if (slice_is(data, "[DONE]"))
        return r->started ? end_all(r, sink) : ERR_UP_PROTOCOL;
    enum err e = frame_json_open(&json, data);
    r->doc = &json.doc;
    if (!e)
        e = put_root(r, json.root, sink);
    r->doc = NULL;
    frame_json_close(&json);
    return e;
}

enum err openai_reader_finish(struct stream_reader *r, struct event_sink *sink) {
    if (r->done || r->failed)
        return ERR_OK;
    bool complete = r->started;
    for (int i = 0; i < CHOICES_MAX; i++)
        complete &= !r->choices[i].seen || r->choices[i].finished;
    return complete ? end_all(r, sink) : ERR_UP_DIED;
}
