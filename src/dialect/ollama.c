// SPDX-License-Identifier: Apache-2.0
// Ollama's chat and generate: the table that joins the two directions, and its errors, which are a text and a status.
// Streams are lines of JSON; there is no keep-alive, a waiting client waits.
#include "dialect/ollama.h"
#include "dialect/refusal.h"

#define DETAIL_BYTES 2048

static const struct dialect_address addresses[] = {
    {"POST", "/api/chat", OP_CHAT},
    {"POST", "/api/generate", OP_GENERATE},
    {"POST", "/api/embed", OP_EMBED},
    {"POST", "/api/embeddings", OP_EMBED},
    {NULL, NULL, OP_CHAT},
};

static const char *const carried_headers[] = {NULL};

static void ollama_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status) {
    struct json_writer w = JSON_WRITER(out);
    (void)request_id;
    *ret_status = problem_status(p);
    json_obj(&w);
    json_kv_str(&w, "error", problem_text(p));
    json_obj_end(&w);
}

// ---- from an upstream

static enum err error_of(int status, struct slice text) {
    enum err e = refusal_class(status, SLICE_NONE, SLICE_NONE, text);
    if (!e)
        e = status ? dialect_err_of_status(status) : ERR_UP_INTERNAL;
    return e;
}

static void fill(struct arena *a, int status, struct slice text, struct problem *ret) {
    enum err e = error_of(status, text);
    *ret = PROBLEM(e);
    ret->status = status;
    ret->detail = arena_copy(a, slice_first(text, DETAIL_BYTES));
    ret->retry_after_ms = refusal_retry_ms(text);
    if (err_row(e)->fault == FAULT_CLIENT) // about the client's request; the rest is for the operator
        ret->message = ret->detail;
}

void ollama_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret) {
    yyjson_val *error = yyjson_obj_get(root, "error");
    struct slice text = yyjson_is_obj(error) ? json_get_str(error, "message") : json_str(error);
    fill(a, status, text, ret);
}

static void ollama_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret) {
    struct json_doc doc;
    struct json_error why;
    (void)quirks;
    if (json_read(a, body, &doc, &why))
        fill(a, status, body, ret);
    else
        ollama_problem_of(a, status, yyjson_doc_get_root(doc.doc), ret);
}

const struct dialect dialect_ollama = {
    .id = DIALECT_OLLAMA,
    .name = "ollama",
    .addresses = addresses,
    .framing = FRAMING_NDJSON,
    .stream_content_type = "application/x-ndjson",
    .carried_headers = carried_headers,
    .keepalive = {NULL, 0},
    .tasks = 1u << OP_EMBED,
    .media = MEDIA_IMAGES,
    .read_request = ollama_read_request,
    .write_answer = ollama_write_answer,
    .writer_new = ollama_writer_new,
    .writer_event = ollama_writer_event,
    .write_error = ollama_write_error,
    .write_request = ollama_write_request,
    .read_answer = ollama_read_answer,
    .reader_new = ollama_reader_new,
    .reader_frame = ollama_reader_frame,
    .reader_finish = ollama_reader_finish,
    .read_error = ollama_read_error,
};
