// SPDX-License-Identifier: Apache-2.0
// Ollama's answers → events. A stream is lines of the same object, the last with done:true and the counts; a whole answer
// is that last line with everything in it, so one reader serves both. Calls come whole and, from older servers, without
// ids: theirs are made of the answer's time and model, so that no two answers of a conversation give the same one.
#include "dialect/ollama.h"
#include "base/limits.h"

struct stream_reader {
    struct arena *a;
    const struct json_doc *doc; // of the line at hand
    struct buf logprobs;
    uint64_t salt;        // of made ids
    enum block_kind kind; // of the open block
    bool open, started, done, called, failed;
    uint32_t block; // the open one, or the next
};

static void reader_free(void *arg) {
    struct stream_reader *r = arg;
    buf_done(&r->logprobs);
}

struct stream_reader *ollama_reader_new(struct arena *a, enum op op) {
    (void)op;
    struct stream_reader *r = ARENA_NEW(a, struct stream_reader);
    if (!r || !arena_defer(a, reader_free, r))
        return NULL;
    r->a = a;
    buf_init(&r->logprobs, LIMIT_FRAME_BYTES);
    return r;
}

// ---- blocks

static enum err close_block(struct stream_reader *r, struct event_sink *s) {
    if (!r->open)
        return ERR_OK;
    r->open = false;
    return emit_block_end(s, r->block++, 0, r->kind, SLICE_NONE);
}

static enum err open_block(struct stream_reader *r, struct event_sink *s, enum block_kind kind) {
    enum err e = close_block(r, s);
    if (e || r->block >= LIMIT_BLOCKS)
        return e ? e : ERR_UP_PROTOCOL;
    r->open = true;
    r->kind = kind;
    return ERR_OK;
}

static enum err put_text(struct stream_reader *r, struct event_sink *s, enum block_kind kind, yyjson_val *v) {
    struct slice text = json_str(v);
    if (v && !yyjson_is_str(v) && !yyjson_is_null(v))
        return ERR_UP_PROTOCOL;
    if (!text.n)
        return ERR_OK;
    if (!r->open || r->kind != kind) {
        enum err e = open_block(r, s, kind);
        if (!e)
            e = emit_begin(s, r->block, 0, kind);
        if (e)
            return e;
    }
    return emit_delta(s, r->block, 0, kind, text);
}

// Written as OpenAI's dialect has it, since that is the form the others know.
static enum err put_logprobs(struct stream_reader *r, struct event_sink *s, yyjson_val *root) {
    if (!yyjson_arr_size(yyjson_obj_get(root, "logprobs")) || !r->open)
        return ERR_OK;
    buf_clear(&r->logprobs);
    buf_append_str(&r->logprobs, "{\"content\":");
    buf_append(&r->logprobs, json_get_src(r->doc, root, "logprobs"));
    buf_append_char(&r->logprobs, '}');
    if (r->logprobs.failed)
        return ERR_NO_MEMORY;
    return emit_meta(s, r->block, 0, SLICE("logprobs"), buf_slice(&r->logprobs));
}

// ---- calls

// FNV-1a: no secret, only distinct.
static uint64_t salt_add(uint64_t salt, struct slice s) {
    for (size_t i = 0; i < s.n; i++)
        salt = (salt ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
    return salt;
}

static struct slice call_id(struct stream_reader *r, yyjson_val *call) {
    struct slice id = json_get_str(call, "id");
    if (id.n)
        return id;
    return slice_str(arena_printf(r->a, "call_%016llx_%u", (unsigned long long)r->salt, r->block));
}

static enum err put_call(struct stream_reader *r, struct event_sink *s, yyjson_val *call) {
    yyjson_val *function = yyjson_obj_get(call, "function"), *v = yyjson_obj_get(function, "arguments");
    struct slice name = json_get_str(function, "name");
    struct slice arguments = yyjson_is_str(v) ? json_str(v) : json_get_src(r->doc, function, "arguments");
    if (!name.n || (v && !yyjson_is_obj(v) && !yyjson_is_str(v) && !yyjson_is_null(v)))
        return ERR_UP_PROTOCOL;
    enum err e = open_block(r, s, BLOCK_TOOL);
    struct slice id = call_id(r, call);
    if (e || !id.p)
        return e ? e : ERR_NO_MEMORY;
    r->called = true;
    e = emit_begin_tool(s, r->block, 0, id, name);
    if (!e && v && !yyjson_is_null(v))
        e = emit_delta(s, r->block, 0, BLOCK_TOOL, arguments);
    return e ? e : close_block(r, s);
}

static enum err put_calls(struct stream_reader *r, struct event_sink *s, yyjson_val *list) {
    yyjson_val *v;
    size_t i, n;
    if (!list || yyjson_is_null(list))
        return ERR_OK;
    if (!yyjson_is_arr(list))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(list, i, n, v) {
        enum err e = put_call(r, s, v);
        if (e)
            return e;
    }
    return ERR_OK;
}

// ---- the last line

static int64_t us_of(yyjson_val *root, const char *name) {
    int64_t ns = json_get_int(root, name, -1);
    return ns < 0 ? -1 : ns / 1000;
}

static enum finish finish_of(const struct stream_reader *r, struct slice reason) {
    if (slice_is(reason, "length"))
        return FINISH_LENGTH;
    if (slice_is(reason, "load") || slice_is(reason, "unload"))
        return FINISH_LOAD;
    return r->called ? FINISH_TOOL : FINISH_STOP;
}

static enum err put_done(struct stream_reader *r, struct event_sink *s, yyjson_val *root) {
    struct usage u = USAGE_NONE;
    u.input_tokens = json_get_int(root, "prompt_eval_count", -1);
    u.output_tokens = json_get_int(root, "eval_count", -1);
    u.prompt_us = us_of(root, "prompt_eval_duration");
    u.output_us = us_of(root, "eval_duration");
    u.load_us = us_of(root, "load_duration");
    enum err e = close_block(r, s);
    if (!e)
        e = emit_finish(s, 0, finish_of(r, json_get_str(root, "done_reason")), SLICE_NONE);
    if (!e)
        e = emit_usage(s, &u);
    r->done = true;
    return e ? e : emit_end(s);
}

// ---- lines

static enum err put_error(struct stream_reader *r, struct event_sink *s, yyjson_val *root) {
    struct problem p;
    r->failed = true;
    ollama_problem_of(r->a, 0, root, &p);
    return emit_error(s, &p);
}

static enum err start(struct stream_reader *r, struct event_sink *s, yyjson_val *root) {
    if (r->started)
        return ERR_OK;
    r->started = true;
    r->salt = salt_add(salt_add(UINT64_C(14695981039346656037), json_get_str(root, "created_at")),
                       json_get_str(root, "model"));
    return emit_start(s, SLICE_NONE, json_get_str(root, "model"), 0);
}

static enum err put_object(struct stream_reader *r, struct event_sink *s, yyjson_val *root) {
    yyjson_val *message = yyjson_obj_get(root, "message");
    if (yyjson_is_null(message))
        message = NULL;
    if (message && !yyjson_is_obj(message))
        return ERR_UP_PROTOCOL;
    if (!yyjson_is_bool(yyjson_obj_get(root, "done")) && !message && !yyjson_obj_get(root, "response"))
        return ERR_UP_PROTOCOL;
    enum err e = start(r, s, root);
    if (!e)
        e = put_text(r, s, BLOCK_THINK, yyjson_obj_get(message ? message : root, "thinking"));
    if (!e)
        e = put_text(r, s, BLOCK_TEXT, message ? yyjson_obj_get(message, "content") : yyjson_obj_get(root, "response"));
    if (!e)
        e = put_logprobs(r, s, root);
    if (!e)
        e = put_calls(r, s, yyjson_obj_get(message, "tool_calls"));
    if (!e && yyjson_is_true(yyjson_obj_get(root, "done")))
        e = put_done(r, s, root);
    return e;
}

static enum err put_root(struct stream_reader *r, struct event_sink *sink, yyjson_val *root) {
    yyjson_val *error = yyjson_obj_get(root, "error");
    return error && !yyjson_is_null(error) ? put_error(r, sink, root) : put_object(r, sink, root);
}

enum err ollama_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink) {
    struct frame_json json;
    struct slice line = slice_trim(f->data);
    if (r->done || r->failed || !line.n)
        return ERR_OK;
    enum err e = frame_json_open(&json, line);
    r->doc = &json.doc;
    if (!e)
        e = put_root(r, sink, json.root);
    r->doc = NULL;
    frame_json_close(&json);
    return e;
}

enum err ollama_reader_finish(struct stream_reader *r, struct event_sink *sink) {
    (void)sink;
    return r->done || r->failed ? ERR_OK : ERR_UP_DIED;
}

enum err ollama_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink) {
    if (op == OP_EMBED)
        return ollama_read_vectors(a, body, sink);
    struct stream_reader *r = ollama_reader_new(a, op);
    if (!r)
        return ERR_NO_MEMORY;
    const struct frame f = {.data = body, .raw = body};
    enum err e = ollama_reader_frame(r, &f, sink);
    return e || r->done || r->failed ? e : ERR_UP_PROTOCOL;
}
