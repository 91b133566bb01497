// SPDX-License-Identifier: Apache-2.0
// Anthropic's messages as the scripted provider writes them (API reference: messages, streaming, errors). Blocks follow
// each other and count their index in talk.block.
#include "sim/speak.h"

static void usage_write(const struct talk *t, struct json_writer *w, int64_t output) {
    json_key(w, "usage");
    json_obj(w);
    json_kv_int(w, "input_tokens", t->input_tokens);
    json_kv_int(w, "cache_creation_input_tokens", 0);
    json_kv_int(w, "cache_read_input_tokens", t->order->cached_tokens > 0 ? t->order->cached_tokens : 0);
    json_kv_int(w, "output_tokens", output);
    json_obj_end(w);
}

static void message_head(const struct talk *t, struct json_writer *w) {
    json_kv_str(w, "id", t->id);
    json_kv_cstr(w, "type", "message");
    json_kv_cstr(w, "role", "assistant");
    json_kv_str(w, "model", t->ask->model);
}

static void block_write(const struct talk *t, enum piece kind, size_t tool, bool whole, struct json_writer *w) {
    json_obj(w);
    switch (kind) {
    case PIECE_THINK:
        json_kv_cstr(w, "type", "thinking");
        json_kv_str(w, "thinking", whole ? t->order->thinking : SLICE(""));
        json_kv_str(w, "signature", !whole ? SLICE("") : t->order->signature.p ? t->order->signature : SLICE("c2ln"));
        break;
    case PIECE_TEXT:
        json_kv_cstr(w, "type", "text");
        json_kv_str(w, "text", whole ? t->text : SLICE(""));
        break;
    case PIECE_TOOL:
        json_kv_cstr(w, "type", "tool_use");
        json_kv_str(w, "id", t->order->tools[tool].id);
        json_kv_str(w, "name", t->order->tools[tool].name);
        json_kv_raw(w, "input", whole ? t->order->tools[tool].arguments : SLICE("{}"));
        break;
    }
    json_obj_end(w);
}

static void anthropic_whole(struct talk *t, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    message_head(t, &w);
    json_key(&w, "content");
    json_arr(&w);
    if (t->order->thinking.n)
        block_write(t, PIECE_THINK, 0, true, &w);
    if (t->text.n)
        block_write(t, PIECE_TEXT, 0, true, &w);
    for (size_t i = 0; i < t->order->n_tools; i++)
        block_write(t, PIECE_TOOL, i, true, &w);
    json_arr_end(&w);
    json_kv_cstr(&w, "stop_reason", t->finish);
    json_kv_null(&w, "stop_sequence");
    if (!t->order->no_usage)
        usage_write(t, &w, t->output_tokens);
    json_obj_end(&w);
}

static struct json_writer frame_open(const char *event, struct buf *out) {
    buf_printf(out, "event: %s\ndata: ", event);
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "type", event);
    return w;
}

static void frame_close(struct json_writer *w) {
    json_obj_end(w);
    buf_append_str(w->out, "\n\n");
}

static void anthropic_begin(struct talk *t, struct buf *out) {
    struct json_writer w = frame_open("message_start", out);
    json_key(&w, "message");
    json_obj(&w);
    message_head(t, &w);
    json_key(&w, "content");
    json_arr(&w);
    json_arr_end(&w);
    json_kv_null(&w, "stop_reason");
    json_kv_null(&w, "stop_sequence");
    if (!t->order->no_usage)
        usage_write(t, &w, 1);
    json_obj_end(&w);
    frame_close(&w);
    w = frame_open("ping", out);
    frame_close(&w);
}

static void anthropic_open(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    struct json_writer w = frame_open("content_block_start", out);
    json_kv_int(&w, "index", t->block);
    json_key(&w, "content_block");
    block_write(t, kind, tool, false, &w);
    frame_close(&w);
}

static struct json_writer delta_open(const struct talk *t, const char *type, struct buf *out) {
    struct json_writer w = frame_open("content_block_delta", out);
    json_kv_int(&w, "index", t->block);
    json_key(&w, "delta");
    json_obj(&w);
    json_kv_cstr(&w, "type", type);
    return w;
}

static void anthropic_piece(struct talk *t, enum piece kind, size_t tool, struct slice text, struct buf *out) {
    static const char *const types[] = {"thinking_delta", "text_delta", "input_json_delta"};
    static const char *const names[] = {"thinking", "text", "partial_json"};
    (void)tool;
    struct json_writer w = delta_open(t, types[kind], out);
    json_kv_str(&w, names[kind], text);
    json_obj_end(&w);
    frame_close(&w);
}

static void anthropic_close(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    struct json_writer w;
    (void)tool;
    if (kind == PIECE_THINK) {
        w = delta_open(t, "signature_delta", out);
        json_kv_str(&w, "signature", t->order->signature.p ? t->order->signature : SLICE("c2ln"));
        json_obj_end(&w);
        frame_close(&w);
    }
    w = frame_open("content_block_stop", out);
    json_kv_int(&w, "index", t->block++);
    frame_close(&w);
}

static void anthropic_end(struct talk *t, struct buf *out) {
    struct json_writer w = frame_open("message_delta", out);
    json_key(&w, "delta");
    json_obj(&w);
    json_kv_cstr(&w, "stop_reason", t->finish);
    json_kv_null(&w, "stop_sequence");
    json_obj_end(&w);
    if (!t->order->no_usage)
        usage_write(t, &w, t->output_tokens);
    frame_close(&w);
    if (t->order->no_done)
        return;
    w = frame_open("message_stop", out);
    frame_close(&w);
}

static void anthropic_error(const struct named_error *e, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "type", "error");
    json_key(&w, "error");
    json_obj(&w);
    json_kv_cstr(&w, "type", e->type);
    json_kv_cstr(&w, "message", e->message);
    json_obj_end(&w);
    json_kv_cstr(&w, "request_id", "req_sim");
    json_obj_end(&w);
}

static void anthropic_stream_error(const struct named_error *e, struct buf *out) {
    buf_append_str(out, "event: error\ndata: ");
    anthropic_error(e, out);
    buf_append_str(out, "\n\n");
}

const struct shape_ops anthropic_ops = {
    .stream_type = "text/event-stream; charset=utf-8",
    .errors =
        {
            [ERROR_NONE] = {400, "invalid_request_error", NULL, "The request is not valid."},
            [ERROR_RATE_LIMIT] = {429, "rate_limit_error", NULL, "This request would exceed your rate limit."},
            [ERROR_QUOTA] = {400, "invalid_request_error", NULL,
                             "Your credit balance is too low to access the Anthropic API."},
            [ERROR_OVERLOADED] = {529, "overloaded_error", NULL, "Overloaded"},
            [ERROR_AUTH] = {401, "authentication_error", NULL, "invalid x-api-key"},
            [ERROR_NOT_FOUND] = {404, "not_found_error", NULL, "model: no such model"},
            [ERROR_CONTEXT_LENGTH] = {400, "invalid_request_error", NULL,
                                      "prompt is too long: 200001 tokens > 200000 maximum"},
            [ERROR_SERVER] = {500, "api_error", NULL, "Internal server error"},
        },
    .finishes = {"end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence"},
    .mark = "\n\n",
    .whole = anthropic_whole,
    .begin = anthropic_begin,
    .open = anthropic_open,
    .piece = anthropic_piece,
    .close = anthropic_close,
    .end = anthropic_end,
    .error = anthropic_error,
    .stream_error = anthropic_stream_error,
};
