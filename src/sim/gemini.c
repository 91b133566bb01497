// SPDX-License-Identifier: Apache-2.0
// Google's generateContent as the scripted provider writes it (API reference: GenerateContentResponse): the same object for
// a whole answer and for each chunk, calls whole with an object for arguments, thinking counted beside the answer. Streams
// are events, or without alt=sse one JSON array.
#include "sim/speak.h"

static void usage_write(const struct talk *t, struct json_writer *w) {
    int64_t thoughts = talk_reasoning(t);
    if (t->order->no_usage)
        return;
    json_key(w, "usageMetadata");
    json_obj(w);
    json_kv_int(w, "promptTokenCount", t->input_tokens);
    json_kv_int(w, "candidatesTokenCount", t->output_tokens - thoughts);
    json_kv_int(w, "totalTokenCount", t->input_tokens + t->output_tokens);
    if (t->order->cached_tokens > 0)
        json_kv_int(w, "cachedContentTokenCount", t->order->cached_tokens);
    if (thoughts)
        json_kv_int(w, "thoughtsTokenCount", thoughts);
    json_obj_end(w);
}

static void text_part(struct slice text, bool thought, struct json_writer *w) {
    json_obj(w);
    json_kv_str(w, "text", text.p ? text : SLICE(""));
    if (thought)
        json_kv_bool(w, "thought", true);
    json_obj_end(w);
}

static void call_part(const struct talk *t, size_t tool, struct json_writer *w) {
    const struct tool_order *o = &t->order->tools[tool];
    json_obj(w);
    json_key(w, "functionCall");
    json_obj(w);
    json_kv_str(w, "name", o->name);
    json_kv_raw(w, "args", o->arguments);
    json_obj_end(w);
    if (tool == 0 && t->order->signature.p)
        json_kv_str(w, "thoughtSignature", t->order->signature);
    json_obj_end(w);
}

static void head_write(struct json_writer *w) {
    json_obj(w);
    json_key(w, "candidates");
    json_arr(w);
    json_obj(w);
    json_key(w, "content");
    json_obj(w);
    json_key(w, "parts");
    json_arr(w);
}

static void tail_write(const struct talk *t, const char *finish, struct json_writer *w) {
    json_arr_end(w);
    json_kv_cstr(w, "role", "model");
    json_obj_end(w);
    if (finish)
        json_kv_cstr(w, "finishReason", finish);
    json_kv_int(w, "index", 0);
    json_obj_end(w);
    json_arr_end(w);
    usage_write(t, w);
    json_kv_str(w, "modelVersion", t->ask->model);
    json_kv_str(w, "responseId", t->id);
    json_obj_end(w);
}

static void gemini_whole(struct talk *t, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    head_write(&w);
    if (t->order->thinking.n)
        text_part(t->order->thinking, true, &w);
    if (t->text.n)
        text_part(t->text, false, &w);
    for (size_t i = 0; i < t->order->n_tools; i++)
        call_part(t, i, &w);
    tail_write(t, t->finish, &w);
}

// ---- streams

static struct json_writer chunk_open(struct talk *t, struct buf *out) {
    if (t->ask->array)
        buf_append_str(out, t->seq++ ? "," : "[");
    else
        buf_append_str(out, "data: ");
    struct json_writer w = JSON_WRITER(out);
    head_write(&w);
    return w;
}

static void chunk_close(struct talk *t, const char *finish, struct json_writer *w) {
    tail_write(t, finish, w);
    buf_append_str(w->out, t->ask->array ? "\r\n" : "\r\n\r\n");
}

static void gemini_begin(struct talk *t, struct buf *out) {
    (void)t, (void)out;
}

static void gemini_open(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    if (kind != PIECE_TOOL)
        return;
    struct json_writer w = chunk_open(t, out);
    call_part(t, tool, &w);
    chunk_close(t, NULL, &w);
}

static void gemini_piece(struct talk *t, enum piece kind, size_t tool, struct slice text, struct buf *out) {
    (void)tool;
    if (kind == PIECE_TOOL)
        return;
    struct json_writer w = chunk_open(t, out);
    text_part(text, kind == PIECE_THINK, &w);
    chunk_close(t, NULL, &w);
}

static void gemini_close(struct talk *t, enum piece kind, size_t tool, struct buf *out) {
    (void)t, (void)kind, (void)tool, (void)out;
}

static void gemini_end(struct talk *t, struct buf *out) {
    if (!t->order->no_done) {
        struct json_writer w = chunk_open(t, out);
        text_part(SLICE(""), false, &w);
        chunk_close(t, t->finish, &w);
    }
    if (t->ask->array)
        buf_append_str(out, "]\r\n");
}

static void gemini_error(const struct named_error *e, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_key(&w, "error");
    json_obj(&w);
    json_kv_int(&w, "code", e->status);
    json_kv_cstr(&w, "message", e->message);
    json_kv_cstr(&w, "status", e->type);
    json_obj_end(&w);
    json_obj_end(&w);
}

static void gemini_stream_error(const struct named_error *e, struct buf *out) {
    buf_append_str(out, "data: ");
    gemini_error(e, out);
    buf_append_str(out, "\r\n\r\n");
}

const struct shape_ops gemini_ops = {
    .stream_type = "text/event-stream",
    .errors =
        {
            [ERROR_NONE] = {400, "INVALID_ARGUMENT", NULL, "Request contains an invalid argument."},
            [ERROR_RATE_LIMIT] = {429, "RESOURCE_EXHAUSTED", NULL, "Resource has been exhausted (e.g. check quota)."},
            [ERROR_QUOTA] = {429, "RESOURCE_EXHAUSTED", NULL, "You exceeded your current quota."},
            [ERROR_OVERLOADED] = {503, "UNAVAILABLE", NULL, "The model is overloaded. Please try again later."},
            [ERROR_AUTH] = {400, "INVALID_ARGUMENT", NULL, "API key not valid. Please pass a valid API key."},
            [ERROR_NOT_FOUND] = {404, "NOT_FOUND", NULL, "models/m is not found for API version v1beta."},
            [ERROR_CONTEXT_LENGTH] =
                {400, "INVALID_ARGUMENT", NULL,
                 "The input token count (9000) exceeds the maximum number of tokens allowed (8192)."},
            [ERROR_SERVER] = {500, "INTERNAL", NULL, "An internal error has occurred."},
        },
    .finishes = {"STOP", "MAX_TOKENS", "STOP", "SAFETY", "STOP"},
    .mark = "\r\n\r\n",
    .whole = gemini_whole,
    .begin = gemini_begin,
    .open = gemini_open,
    .piece = gemini_piece,
    .close = gemini_close,
    .end = gemini_end,
    .error = gemini_error,
    .stream_error = gemini_stream_error,
};
