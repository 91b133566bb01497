// SPDX-License-Identifier: Apache-2.0
// OpenAI's responses as the scripted provider writes them (api-reference: responses/object, responses-streaming). Every
// piece of an answer is an item; talk.block counts them, talk.seq the events. The end says the whole answer again.
#include "sim/speak.h"

static bool incomplete(const struct talk *t) {
    return slice_starts(slice_str(t->finish), "incomplete:");
}

static void usage_write(const struct talk *t, struct json_writer *w) {
    json_key(w, "usage");
    json_obj(w);
    json_kv_int(w, "input_tokens", t->input_tokens);
    json_key(w, "input_tokens_details");
    json_obj(w);
    json_kv_int(w, "cached_tokens", t->order->cached_tokens > 0 ? t->order->cached_tokens : 0);
    json_obj_end(w);
    json_kv_int(w, "output_tokens", t->output_tokens);
    json_key(w, "output_tokens_details");
    json_obj(w);
    json_kv_int(w, "reasoning_tokens", talk_reasoning(t));
    json_obj_end(w);
    json_kv_int(w, "total_tokens", t->input_tokens + t->output_tokens);
    json_obj_end(w);
}

static void part_write(const struct talk *t, enum piece kind, bool whole, struct json_writer *w) {
    struct slice text = kind == PIECE_THINK ? t->order->thinking : t->text;
    json_obj(w);
    json_kv_cstr(w, "type", kind == PIECE_THINK ? "summary_text" : "output_text");
    json_kv_str(w, "text", whole && text.p ? text : SLICE(""));
    if (kind == PIECE_TEXT) {
        json_key(w, "annotations");
        json_arr(w);
        json_arr_end(w);
    }
    json_obj_end(w);
}

static void id_write(const char *key, enum piece kind, unsigned n, struct json_writer *w) {
    static const char *const prefixes[] = {"rs", "msg", "fc"};
    struct buf id = BUF_INIT(64);
    buf_printf(&id, "%s_sim%u", prefixes[kind], n);
    json_kv_str(w, key, buf_slice(&id));
    buf_done(&id);
}

static void item_write(const struct talk *t, enum piece kind, size_t tool, unsigned n, bool whole,
                       struct json_writer *w) {
    json_obj(w);
    id_write("id", kind, n, w);
    if (kind == PIECE_TOOL) {
        const struct tool_order *o = &t->order->tools[tool];
        json_kv_cstr(w, "type", "function_call");
        json_kv_cstr(w, "status", whole ? "completed" : "in_progress");
        json_kv_str(w, "call_id", o->id);
        json_kv_str(w, "name", o->name);
        json_kv_str(w, "arguments", whole ? o->arguments : SLICE(""));
    } else {
        json_kv_cstr(w, "type", kind == PIECE_THINK ? "reasoning" : "message");
        json_key(w, kind == PIECE_THINK ? "summary" : "content");
        json_arr(w);
        if (whole)
            part_write(t, kind, true, w);
        json_arr_end(w);
        if (kind == PIECE_TEXT) {
            json_kv_cstr(w, "role", "assistant");
            json_kv_cstr(w, "status", whole ? "completed" : "in_progress");
        } else if (whole && t->order->signature.p) {
            json_kv_str(w, "encrypted_content", t->order->signature);
        }
    }
    json_obj_end(w);
}

static void output_write(const struct talk *t, struct json_writer *w) {
    unsigned n = 0;
    json_key(w, "output");
    json_arr(w);
    if (t->order->thinking.n)
        item_write(t, PIECE_THINK, 0, n++, true, w);
    if (t->text.n)
        item_write(t, PIECE_TEXT, 0, n++, true, w);
    for (size_t i = 0; i < t->order->n_tools; i++)
        item_write(t, PIECE_TOOL, i, n++, true, w);
    json_arr_end(w);
}

static void object_write(const struct talk *t, bool whole, struct json_writer *w) {
    json_obj(w);
    json_kv_str(w, "id", t->id);
    json_kv_cstr(w, "object", "response");
    json_kv_int(w, "created_at", t->created_s);
    json_kv_cstr(w, "status", !whole ? "in_progress" : incomplete(t) ? "incomplete" : "completed");
    json_kv_null(w, "error");
    json_key(w, "incomplete_details");
    if (whole && incomplete(t)) {
        json_obj(w);
        json_kv_str(w, "reason", slice_from(slice_str(t->finish), sizeof "incomplete:" - 1));
        json_obj_end(w);
    } else {
        json_put_null(w);
    }
    json_kv_str(w, "model", t->ask->model);
    if (whole) {
        output_write(t, w);
    } else {
        json_key(w, "output");
        json_arr(w);
        json_arr_end(w);
    }
    json_kv_bool(w, "parallel_tool_calls", true);
    json_kv_cstr(w, "tool_choice", "auto");
    json_key(w, "tools");
    json_arr(w);
    json_arr_end(w);
    if (whole && !t->order->no_usage)
        usage_write(t, w);
    else
        json_kv_null(w, "usage");
    json_obj_end(w);
}

static void responses_whole(struct talk *t, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    object_write(t, true, &w);
}

// ---- streams

static struct json_writer frame_open(struct talk *t, const char *type, struct buf *out) {
    buf_printf(out, "event: %s\ndata: ", type);
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "type", type);
    json_kv_int(&w, "sequence_number", t->seq++);
    return w;
}

static void frame_close(struct json_writer *w) {
    json_obj_end(w);
    buf_append_str(w->out, "\n\n");
}

static void object_frame(struct talk *t, const char *type, bool whole, struct buf *out) {
    struct json_writer w = frame_open(t, type, out);
    json_key(&w, "response");
    object_write(t, whole, &w);
    frame_close(&w);
}

static void responses_begin(struct talk *t, struct buf *out) {
    object_frame(t, "response.created", false, out);
    object_frame(t, "response.in_progress", false, out);
}

static void item_frame(struct talk *t, const char *type, enum piece kind, size_t tool, bool whole, struct buf *out) {
    struct json_writer w = frame_open(t, type, out);
    json_kv_int(&w, "output_index", t->block);
    json_key(&w, "item");
    item_write(t, kind, tool, t->block, whole, &w);
    frame_close(&w);
}

static struct json_writer inner_open(struct talk *t, const char *type, enum piece kind, struct buf *out) {
    struct json_writer w = frame_open(t, type, out);
    id_write("item_id", kind, t->block, &w);
    json_kv_int(&w, "output_index", t->block);
    if (kind != PIECE_TOOL)
        json_kv_int(&w, kind == PIECE_THINK ? "summary_index" : "content_index", 0);
    return w;
}

static void part_frame(struct talk *t, const char *type, enum piece kind, bool whole, struct buf *out) {
    struct json_writer w = inner_open(t, type, kind, out);
    json_key(&w, "part");
    part_write(t, kind, whole, &w);
    frame_close(&w);
}

static void responses_open(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    item_frame(t, "response.output_item.added", kind, tool, false, out);
    if (kind == PIECE_THINK)
        part_frame(t, "response.reasoning_summary_part.added", kind, false, out);
    else if (kind == PIECE_TEXT)
        part_frame(t, "response.content_part.added", kind, false, out);
}

static void responses_piece(struct talk *t, enum piece kind, size_t tool, struct slice text, struct buf *out) {
    static const char *const types[] = {"response.reasoning_summary_text.delta", "response.output_text.delta",
                                        "response.function_call_arguments.delta"};
    (void)tool;
    struct json_writer w = inner_open(t, types[kind], kind, out);
    json_kv_str(&w, "delta", text);
    frame_close(&w);
}

static void responses_close(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    static const char *const types[] = {"response.reasoning_summary_text.done", "response.output_text.done",
                                        "response.function_call_arguments.done"};
    struct json_writer w = inner_open(t, types[kind], kind, out);
    json_kv_str(&w, kind == PIECE_TOOL ? "arguments" : "text",
                kind == PIECE_TOOL    ? t->order->tools[tool].arguments
                : kind == PIECE_THINK ? t->order->thinking
                                      : t->text);
    frame_close(&w);
    if (kind == PIECE_THINK)
        part_frame(t, "response.reasoning_summary_part.done", kind, true, out);
    else if (kind == PIECE_TEXT)
        part_frame(t, "response.content_part.done", kind, true, out);
    item_frame(t, "response.output_item.done", kind, tool, true, out);
    t->block++;
}

static void responses_end(struct talk *t, struct buf *out) {
    if (!t->order->no_done)
        object_frame(t, incomplete(t) ? "response.incomplete" : "response.completed", true, out);
}

static void responses_stream_error(const struct named_error *e, struct buf *out) {
    buf_append_str(out, "event: error\ndata: ");
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "type", "error");
    json_kv_cstr(&w, "code", e->code ? e->code : e->type);
    json_kv_cstr(&w, "message", e->message);
    json_kv_null(&w, "param");
    json_kv_int(&w, "sequence_number", 0);
    json_obj_end(&w);
    buf_append_str(out, "\n\n");
}

// The shape of an error is that of chat completions.
static void responses_error(const struct named_error *e, struct buf *out) {
    openai_ops.error(e, out);
}

const struct shape_ops responses_ops = {
    .stream_type = "text/event-stream; charset=utf-8",
    .errors =
        {
            [ERROR_NONE] = {400, "invalid_request_error", NULL, "The request is not valid."},
            [ERROR_RATE_LIMIT] = {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."},
            [ERROR_QUOTA] = {429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."},
            [ERROR_OVERLOADED] = {503, "server_error", NULL, "The server is overloaded."},
            [ERROR_AUTH] = {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
            [ERROR_NOT_FOUND] = {404, "invalid_request_error", "model_not_found", "The model does not exist."},
            [ERROR_CONTEXT_LENGTH] = {400, "invalid_request_error", "context_length_exceeded",
                                      "Your input exceeds the context window of this model."},
            [ERROR_SERVER] = {500, "server_error", NULL, "The server had an error while processing your request."},
        },
    .finishes = {"completed", "incomplete:max_output_tokens", "completed", "incomplete:content_filter", "completed"},
    .mark = "\n\n",
    .whole = responses_whole,
    .begin = responses_begin,
    .open = responses_open,
    .piece = responses_piece,
    .close = responses_close,
    .end = responses_end,
    .error = responses_error,
    .stream_error = responses_stream_error,
};
