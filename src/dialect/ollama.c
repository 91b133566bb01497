// SPDX-License-Identifier: Apache-2.0
// Ollama's chat and generate: the table that joins the two directions, and its errors, which are a text and a status.
// Streams are lines of JSON; there is no keep-alive, a waiting client waits.
#include "dialect/ollama.h"

static const struct dialect_address addresses[] = {
    {"POST", "/api/chat", OP_CHAT},
    {"POST", "/api/generate", OP_GENERATE},
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

static enum err err_of(int status, struct slice text) {
    if (status == 404)
        return ERR_UP_NOT_FOUND;
    if (slice_search(text, SLICE("context")) != SIZE_MAX && slice_search(text, SLICE("exceed")) != SIZE_MAX)
        return ERR_CONTEXT_LENGTH;
    return dialect_err_of_status(status);
}

static void ollama_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret) {
    struct json_doc doc;
    struct json_error why;
    (void)quirks;
    *ret = PROBLEM(dialect_err_of_status(status));
    ret->status = status;
    if (json_read(a, body, &doc, &why) != ERR_OK)
        return;
    struct slice text = json_get_str(yyjson_doc_get_root(doc.doc), "error");
    ret->message = arena_copy(a, text);
    ret->err = err_of(status, text);
}

const struct dialect dialect_ollama = {
    .id = DIALECT_OLLAMA,
    .name = "ollama",
    .addresses = addresses,
    .framing = FRAMING_NDJSON,
    .stream_content_type = "application/x-ndjson",
    .carried_headers = carried_headers,
    .keepalive = {NULL, 0},
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
