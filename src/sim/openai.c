// SPDX-License-Identifier: Apache-2.0
// OpenAI's chat completions as the scripted provider writes them (api-reference: chat/object, chat-streaming). One SSE
// frame per call, except the end: finish, usage if asked for, [DONE].
#include "sim/speak.h"

static void usage_write(const struct talk *t, struct json_writer *w) {
    json_key(w, "usage");
    json_obj(w);
    json_kv_int(w, "prompt_tokens", t->input_tokens);
    json_kv_int(w, "completion_tokens", t->output_tokens);
    json_kv_int(w, "total_tokens", t->input_tokens + t->output_tokens);
    json_key(w, "prompt_tokens_details");
    json_obj(w);
    json_kv_int(w, "cached_tokens", t->order->cached_tokens > 0 ? t->order->cached_tokens : 0);
    json_obj_end(w);
    json_key(w, "completion_tokens_details");
    json_obj(w);
    json_kv_int(w, "reasoning_tokens", talk_reasoning(t));
    json_obj_end(w);
    json_obj_end(w);
}

static void head_write(const struct talk *t, struct json_writer *w, const char *object) {
    json_obj(w);
    json_kv_str(w, "id", t->id);
    json_kv_cstr(w, "object", object);
    json_kv_int(w, "created", t->created_s);
    json_kv_str(w, "model", t->ask->model);
}

static void calls_write(const struct talk *t, struct json_writer *w) {
    json_key(w, "tool_calls");
    json_arr(w);
    for (size_t i = 0; i < t->order->n_tools; i++) {
        const struct tool_order *o = &t->order->tools[i];
        json_obj(w);
        json_kv_str(w, "id", o->id);
        json_kv_cstr(w, "type", "function");
        json_key(w, "function");
        json_obj(w);
        json_kv_str(w, "name", o->name);
        json_kv_str(w, "arguments", o->arguments);
        json_obj_end(w);
        json_obj_end(w);
    }
    json_arr_end(w);
}

static void openai_whole(struct talk *t, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    head_write(t, &w, "chat.completion");
    json_key(&w, "choices");
    json_arr(&w);
    json_obj(&w);
    json_kv_int(&w, "index", 0);
    json_key(&w, "message");
    json_obj(&w);
    json_kv_cstr(&w, "role", "assistant");
    if (t->text.n || !t->order->n_tools)
        json_kv_str(&w, "content", t->text.p ? t->text : SLICE(""));
    else
        json_kv_null(&w, "content");
    if (t->order->thinking.n)
        json_kv_str(&w, "reasoning_content", t->order->thinking);
    if (t->order->n_tools)
        calls_write(t, &w);
    json_obj_end(&w);
    json_kv_null(&w, "logprobs");
    json_kv_cstr(&w, "finish_reason", t->finish);
    json_obj_end(&w);
    json_arr_end(&w);
    if (!t->order->no_usage)
        usage_write(t, &w);
    json_obj_end(&w);
}

// data: {… "choices":[{"index":0,"delta":{
static struct json_writer chunk_open(const struct talk *t, struct buf *out) {
    buf_append_str(out, "data: ");
    struct json_writer w = JSON_WRITER(out);
    head_write(t, &w, "chat.completion.chunk");
    json_key(&w, "choices");
    json_arr(&w);
    json_obj(&w);
    json_kv_int(&w, "index", 0);
    json_key(&w, "delta");
    json_obj(&w);
    return w;
}

static void chunk_close(struct json_writer *w, const char *finish) {
    json_obj_end(w);
    json_kv_cstr(w, "finish_reason", finish);
    json_obj_end(w);
    json_arr_end(w);
    json_obj_end(w);
    buf_append_str(w->out, "\n\n");
}

static void openai_begin(struct talk *t, struct buf *out) {
    struct json_writer w = chunk_open(t, out);
    json_kv_cstr(&w, "role", "assistant");
    json_kv_cstr(&w, "content", "");
    chunk_close(&w, NULL);
}

static void openai_open(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    if (kind != PIECE_TOOL)
        return;
    const struct tool_order *o = &t->order->tools[tool];
    struct json_writer w = chunk_open(t, out);
    json_key(&w, "tool_calls");
    json_arr(&w);
    json_obj(&w);
    json_kv_int(&w, "index", (int64_t)tool);
    json_kv_str(&w, "id", o->id);
    json_kv_cstr(&w, "type", "function");
    json_key(&w, "function");
    json_obj(&w);
    json_kv_str(&w, "name", o->name);
    json_kv_cstr(&w, "arguments", "");
    json_obj_end(&w);
    json_obj_end(&w);
    json_arr_end(&w);
    chunk_close(&w, NULL);
}

static void openai_piece(struct talk *t, enum piece kind, size_t tool, struct slice text, struct buf *out) {
    struct json_writer w = chunk_open(t, out);
    if (kind == PIECE_TOOL) {
        json_key(&w, "tool_calls");
        json_arr(&w);
        json_obj(&w);
        json_kv_int(&w, "index", (int64_t)tool);
        json_key(&w, "function");
        json_obj(&w);
        json_kv_str(&w, "arguments", text);
        json_obj_end(&w);
        json_obj_end(&w);
        json_arr_end(&w);
    } else {
        json_kv_str(&w, kind == PIECE_THINK ? "reasoning_content" : "content", text);
    }
    chunk_close(&w, NULL);
}

static void openai_close(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    (void)t, (void)kind, (void)tool, (void)out;
}

static void openai_end(struct talk *t, struct buf *out) {
    struct json_writer w = chunk_open(t, out);
    chunk_close(&w, t->finish);
    if (t->ask->include_usage && !t->order->no_usage) {
        buf_append_str(out, "data: ");
        w = (struct json_writer)JSON_WRITER(out);
        head_write(t, &w, "chat.completion.chunk");
        json_key(&w, "choices");
        json_arr(&w);
        json_arr_end(&w);
        usage_write(t, &w);
        json_obj_end(&w);
        buf_append_str(out, "\n\n");
    }
    if (!t->order->no_done)
        buf_append_str(out, "data: [DONE]\n\n");
}

static void openai_error(const struct named_error *e, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_key(&w, "error");
    json_obj(&w);
    json_kv_cstr(&w, "message", e->message);
    json_kv_cstr(&w, "type", e->type);
    json_kv_null(&w, "param");
    json_kv_cstr(&w, "code", e->code);
    json_obj_end(&w);
    json_obj_end(&w);
}

static void openai_stream_error(const struct named_error *e, struct buf *out) {
    buf_append_str(out, "data: ");
    openai_error(e, out);
    buf_append_str(out, "\n\n");
}

const struct shape_ops openai_ops = {
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
                                      "This model's maximum context length is 4096 tokens."},
            [ERROR_SERVER] = {500, "server_error", NULL, "The server had an error while processing your request."},
        },
    .finishes = {"stop", "length", "tool_calls", "content_filter", "stop"},
    .mark = "\n\n",
    .whole = openai_whole,
    .begin = openai_begin,
    .open = openai_open,
    .piece = openai_piece,
    .close = openai_close,
    .end = openai_end,
    .error = openai_error,
    .stream_error = openai_stream_error,
};
