// SPDX-License-Identifier: Apache-2.0
// Ollama's /api/chat and /api/generate as the scripted provider writes them (docs/api.md): lines of JSON, tool calls
// whole with arguments as an object, counts and durations in the last line.
#include "sim/speak.h"

static void head_write(const struct talk *t, struct json_writer *w) {
    json_obj(w);
    json_kv_str(w, "model", t->ask->model);
    json_kv_cstr(w, "created_at", "2025-01-01T00:00:00.000000Z");
}

static void call_write(const struct tool_order *o, struct json_writer *w) {
    json_obj(w);
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", o->name);
    json_kv_raw(w, "arguments", o->arguments);
    json_obj_end(w);
    json_obj_end(w);
}

// message {…}, or response for generate
static void said_write(const struct talk *t, struct json_writer *w, struct slice text, struct slice thinking,
                       size_t tool_from, size_t tool_to) {
    if (t->ask->shape == SHAPE_OLLAMA_GENERATE) {
        json_kv_str(w, "response", text.p ? text : SLICE(""));
        if (thinking.n)
            json_kv_str(w, "thinking", thinking);
        return;
    }
    json_key(w, "message");
    json_obj(w);
    json_kv_cstr(w, "role", "assistant");
    json_kv_str(w, "content", text.p ? text : SLICE(""));
    if (thinking.n)
        json_kv_str(w, "thinking", thinking);
    if (tool_from < tool_to) {
        json_key(w, "tool_calls");
        json_arr(w);
        for (size_t i = tool_from; i < tool_to; i++)
            call_write(&t->order->tools[i], w);
        json_arr_end(w);
    }
    json_obj_end(w);
}

static void done_write(const struct talk *t, struct json_writer *w) {
    json_kv_bool(w, "done", true);
    json_kv_cstr(w, "done_reason", t->finish);
    json_kv_int(w, "total_duration", 5000000);
    json_kv_int(w, "load_duration", 1000000);
    if (!t->order->no_usage)
        json_kv_int(w, "prompt_eval_count", t->input_tokens);
    json_kv_int(w, "prompt_eval_duration", 2000000);
    if (!t->order->no_usage)
        json_kv_int(w, "eval_count", t->output_tokens);
    json_kv_int(w, "eval_duration", 2000000);
    json_obj_end(w);
}

static void ollama_whole(struct talk *t, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    head_write(t, &w);
    said_write(t, &w, t->text, t->order->thinking, 0, t->order->n_tools);
    done_write(t, &w);
}

static void ollama_begin(struct talk *t, struct buf *out) {
    (void)t, (void)out;
}

static void line_write(struct talk *t, struct slice text, struct slice thinking, size_t from, size_t to,
                       struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    head_write(t, &w);
    said_write(t, &w, text, thinking, from, to);
    json_kv_bool(&w, "done", false);
    json_obj_end(&w);
    buf_append_char(out, '\n');
}

static void ollama_open(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    if (kind == PIECE_TOOL)
        line_write(t, SLICE_NONE, SLICE_NONE, tool, tool + 1, out);
}

static void ollama_piece(struct talk *t, enum piece kind, size_t tool, struct slice text, struct buf *out) {
    (void)tool;
    if (kind == PIECE_TEXT)
        line_write(t, text, SLICE_NONE, 0, 0, out);
    else if (kind == PIECE_THINK)
        line_write(t, SLICE_NONE, text, 0, 0, out);
}

static void ollama_close(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    (void)t, (void)kind, (void)tool, (void)out;
}

static void ollama_end(struct talk *t, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    if (t->order->no_done)
        return;
    head_write(t, &w);
    said_write(t, &w, SLICE_NONE, SLICE_NONE, 0, 0);
    done_write(t, &w);
    buf_append_char(out, '\n');
}

static void ollama_error(const struct named_error *e, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "error", e->message);
    json_obj_end(&w);
}

static void ollama_stream_error(const struct named_error *e, struct buf *out) {
    ollama_error(e, out);
    buf_append_char(out, '\n');
}

const struct shape_ops ollama_ops = {
    .stream_type = "application/x-ndjson",
    .errors =
        {
            [ERROR_NONE] = {400, NULL, NULL, "invalid request"},
            [ERROR_RATE_LIMIT] = {429, NULL, NULL, "too many requests"},
            [ERROR_QUOTA] = {429, NULL, NULL, "you have reached your weekly usage limit"},
            [ERROR_OVERLOADED] = {503, NULL, NULL, "server busy, please try again.  maximum pending requests exceeded"},
            [ERROR_AUTH] = {401, NULL, NULL, "unauthorized"},
            [ERROR_NOT_FOUND] = {404, NULL, NULL, "model not found, try pulling it first"},
            [ERROR_CONTEXT_LENGTH] = {400, NULL, NULL, "input length exceeds maximum context length"},
            [ERROR_SERVER] = {500, NULL, NULL, "model runner has unexpectedly stopped"},
        },
    .finishes = {"stop", "length", "stop", "stop", "stop"},
    .mark = "\n",
    .whole = ollama_whole,
    .begin = ollama_begin,
    .open = ollama_open,
    .piece = ollama_piece,
    .close = ollama_close,
    .end = ollama_end,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
};
