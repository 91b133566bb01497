// SPDX-License-Identifier: Apache-2.0
// A whole chat completion → events, the same that a stream would give; and the readings that whole answers and chunks
// share: reasons to finish, usage in its several spellings, contents that are lists. The upstream may be anybody, so every
// type is checked and nothing is believed beyond it. Slices point into the tree, which lives as long as the arena.
#include "dialect/openai.h"
#include "base/limits.h"

#define CHOICES_MAX 16

enum finish openai_finish_of(struct slice reason, bool has_tools) {
    if (slice_is(reason, "length") || slice_is(reason, "model_length"))
        return FINISH_LENGTH;
    if (slice_is(reason, "tool_calls") || slice_is(reason, "function_call"))
        return FINISH_TOOL;
    if (slice_is(reason, "content_filter"))
        return FINISH_FILTER;
    // A named tool ends with "stop" at OpenAI; elsewhere the client must learn that there is a call to make.
    return has_tools ? FINISH_TOOL : FINISH_STOP;
}

// ---- usage

static int64_t or_else(int64_t v, int64_t otherwise) {
    return v >= 0 ? v : otherwise;
}

static int64_t milliseconds_us(yyjson_val *o, const char *name) {
    yyjson_val *v = yyjson_obj_get(o, name);
    double ms = yyjson_is_num(v) ? yyjson_get_num(v) : -1;
    return ms >= 0 && ms < 1e12 ? (int64_t)(ms * 1000) : -1;
}

// xAI counts reasoning beside completion_tokens, all others inside; the total tells.
static void add_reasoning_beside(yyjson_val *u, struct usage *ret) {
    int64_t total = json_get_int(u, "total_tokens", -1);
    if (ret->reasoning_tokens <= 0 || ret->input_tokens < 0 || ret->output_tokens < 0)
        return;
    if (ret->reasoning_tokens < INT32_MAX && ret->output_tokens < INT32_MAX && ret->input_tokens < INT32_MAX &&
        total == ret->input_tokens + ret->output_tokens + ret->reasoning_tokens)
        ret->output_tokens += ret->reasoning_tokens;
}

void openai_read_usage(yyjson_val *root, struct usage *ret) {
    *ret = USAGE_NONE;
    yyjson_val *u = yyjson_obj_get(root, "usage"), *timings = yyjson_obj_get(root, "timings");
    if (!yyjson_is_obj(u))
        u = yyjson_obj_get(yyjson_obj_get(root, "x_groq"), "usage");
    if (yyjson_is_obj(u)) {
        yyjson_val *in = yyjson_obj_get(u, "prompt_tokens_details"),
                   *out = yyjson_obj_get(u, "completion_tokens_details");
        ret->input_tokens = json_get_int(u, "prompt_tokens", -1);
        ret->output_tokens = json_get_int(u, "completion_tokens", -1);
        ret->cache_read_tokens =
            or_else(json_get_int(in, "cached_tokens", -1), json_get_int(u, "prompt_cache_hit_tokens", -1));
        ret->cache_write_tokens = json_get_int(in, "cache_write_tokens", -1);
        ret->reasoning_tokens = json_get_int(out, "reasoning_tokens", -1);
        add_reasoning_beside(u, ret);
    }
    if (yyjson_is_obj(timings)) {
        ret->prompt_us = milliseconds_us(timings, "prompt_ms");
        ret->output_us = milliseconds_us(timings, "predicted_ms");
        ret->draft_tokens = json_get_int(timings, "draft_n", 0);
        ret->draft_accepted = json_get_int(timings, "draft_n_accepted", 0);
    }
}

// ---- contents that are lists (Mistral)

static enum err each_thinking(yyjson_val *list, enum err (*text)(void *, enum block_kind, struct slice), void *ctx) {
    yyjson_val *v;
    size_t i, n;
    if (yyjson_is_str(list))
        return text(ctx, BLOCK_THINK, json_str(list));
    yyjson_arr_foreach(list, i, n, v) {
        enum err e = text(ctx, BLOCK_THINK, json_get_str(v, "text"));
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err openai_each_part(yyjson_val *parts, enum err (*text)(void *ctx, enum block_kind kind, struct slice text),
                          void *ctx) {
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(parts, i, n, v) {
        struct slice type = json_get_str(v, "type");
        enum err e = ERR_OK;
        if (slice_is(type, "text"))
            e = text(ctx, BLOCK_TEXT, json_get_str(v, "text"));
        else if (slice_is(type, "refusal"))
            e = text(ctx, BLOCK_REFUSAL, json_get_str(v, "refusal"));
        else if (slice_is(type, "thinking"))
            e = each_thinking(yyjson_obj_get(v, "thinking"), text, ctx);
        if (e)
            return e;
    }
    return ERR_OK;
}

struct slice openai_reasoning_of(yyjson_val *said) {
    struct slice text = json_get_str(said, "reasoning_content");
    return text.n ? text : json_get_str(said, "reasoning");
}

// ---- a whole answer

struct answer_reader {
    struct arena *a;
    struct json_doc doc;
    struct event_sink *sink;
    struct slice id;
    uint32_t block;
    uint32_t choice;
    uint32_t last_text; // block of the choice's text
    bool has_text;
    bool has_tools;
};

static enum err put_block(void *ctx, enum block_kind kind, struct slice text) {
    struct answer_reader *r = ctx;
    if (!text.n)
        return ERR_OK;
    uint32_t block = r->block++;
    if (kind == BLOCK_TEXT) {
        r->has_text = true;
        r->last_text = block;
    }
    enum err e = emit_begin(r->sink, block, r->choice, kind);
    if (!e)
        e = emit_delta(r->sink, block, r->choice, kind, text);
    return e ? e : emit_block_end(r->sink, block, r->choice, kind, SLICE_NONE);
}

static struct slice call_id(struct answer_reader *r, struct slice id) {
    if (id.n)
        return id;
    struct slice tail = r->id.n > 12 ? slice_from(r->id, r->id.n - 12) : r->id;
    return slice_str(arena_printf(r->a, "call_%.*s_%u", SLICE_FMT(tail), r->block));
}

static enum err put_tool(struct answer_reader *r, struct slice given_id, yyjson_val *function) {
    struct slice name = json_get_str(function, "name"), id = call_id(r, given_id);
    yyjson_val *v = yyjson_obj_get(function, "arguments");
    if (!name.n || (v && !yyjson_is_str(v) && !yyjson_is_obj(v) && !yyjson_is_null(v)))
        return ERR_UP_PROTOCOL;
    if (!id.p)
        return ERR_NO_MEMORY;
    struct slice arguments = yyjson_is_obj(v) ? json_get_src(&r->doc, function, "arguments") : json_str(v);
    uint32_t block = r->block++;
    r->has_tools = true;
    enum err e = emit_begin_tool(r->sink, block, r->choice, id, name);
    if (!e)
        e = emit_delta(r->sink, block, r->choice, BLOCK_TOOL, arguments);
    return e ? e : emit_block_end(r->sink, block, r->choice, BLOCK_TOOL, SLICE_NONE);
}

static enum err put_tools(struct answer_reader *r, yyjson_val *message) {
    yyjson_val *list = yyjson_obj_get(message, "tool_calls"), *old = yyjson_obj_get(message, "function_call"), *v;
    size_t i, n;
    if (list && !yyjson_is_arr(list) && !yyjson_is_null(list))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(list, i, n, v) {
        yyjson_val *function = yyjson_obj_get(v, "function");
        if (!function && yyjson_is_obj(v))
            continue; // a kind of call that we don't know
        enum err e = put_tool(r, json_get_str(v, "id"), function);
        if (e)
            return e;
    }
    return yyjson_is_obj(old) ? put_tool(r, SLICE_NONE, old) : ERR_OK;
}

static enum err put_content(struct answer_reader *r, yyjson_val *message) {
    yyjson_val *v = yyjson_obj_get(message, "content");
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    if (yyjson_is_str(v))
        return put_block(r, BLOCK_TEXT, json_str(v));
    return yyjson_is_arr(v) ? openai_each_part(v, put_block, r) : ERR_UP_PROTOCOL;
}

static enum err put_metas(struct answer_reader *r, yyjson_val *choice, yyjson_val *message) {
    enum err e = ERR_OK;
    if (!r->has_text)
        return ERR_OK;
    if (yyjson_is_obj(yyjson_obj_get(choice, "logprobs")))
        e = emit_meta(r->sink, r->last_text, r->choice, SLICE("logprobs"), json_get_src(&r->doc, choice, "logprobs"));
    if (!e && yyjson_arr_size(yyjson_obj_get(message, "annotations")))
        e = emit_meta(r->sink, r->last_text, r->choice, SLICE("annotations"),
                      json_get_src(&r->doc, message, "annotations"));
    return e;
}

static enum err put_choice(struct answer_reader *r, yyjson_val *choice, size_t position) {
    yyjson_val *message = yyjson_obj_get(choice, "message");
    int64_t index = json_get_int(choice, "index", (int64_t)position);
    struct slice text = json_get_str(choice, "text"); // of /v1/completions
    if ((!yyjson_is_obj(message) && !text.p) || index >= CHOICES_MAX)
        return ERR_UP_PROTOCOL;
    r->choice = (uint32_t)index;
    r->has_text = r->has_tools = false;
    struct slice thinking = openai_reasoning_of(message);
    enum err e = put_block(r, BLOCK_THINK, thinking);
    if (!e)
        e = message ? put_content(r, message) : put_block(r, BLOCK_TEXT, text);
    if (!e)
        e = put_block(r, BLOCK_REFUSAL, json_get_str(message, "refusal"));
    if (!e)
        e = put_metas(r, choice, message);
    if (!e)
        e = put_tools(r, message);
    if (e)
        return e;
    return emit_finish(r->sink, r->choice, openai_finish_of(json_get_str(choice, "finish_reason"), r->has_tools),
                       SLICE_NONE);
}

static enum err put_error(struct answer_reader *r, yyjson_val *root) {
    struct problem p;
    openai_problem_of(r->a, 0, root, 0, &p);
    return emit_error(r->sink, &p);
}

static enum err put_answer(struct answer_reader *r, yyjson_val *root) {
    yyjson_val *choices = yyjson_obj_get(root, "choices"), *v;
    size_t i, n;
    struct usage usage;
    yyjson_val *error = yyjson_obj_get(root, "error");
    if (error && !yyjson_is_null(error))
        return put_error(r, root);
    if (!yyjson_is_arr(choices) || yyjson_arr_size(choices) == 0)
        return ERR_UP_PROTOCOL;
    r->id = json_get_str(root, "id");
    enum err e = emit_start(r->sink, r->id, json_get_str(root, "model"), json_get_int(root, "created", 0));
    yyjson_arr_foreach(choices, i, n, v) {
        if (e)
            return e;
        e = put_choice(r, v, i);
    }
    openai_read_usage(root, &usage);
    if (!e)
        e = emit_usage(r->sink, &usage);
    return e ? e : emit_end(r->sink);
}

enum err openai_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink) {
    struct answer_reader r = {.a = a, .sink = sink};
    struct json_error why;
    enum err e = json_read(a, body, &r.doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(r.doc.doc);
    if (!yyjson_is_obj(root))
        return ERR_UP_PROTOCOL;
    bool task = op == OP_EMBED || op == OP_RERANK, failed = yyjson_is_obj(yyjson_obj_get(root, "error"));
    return task && !failed ? openai_put_task(a, op, root, sink) : put_answer(&r, root);
}
