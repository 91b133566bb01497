// SPDX-License-Identifier: Apache-2.0
// OpenAI chat completions, and the older completions, vectors and rerank beside them: the table that joins its two
// directions. The dialect is the widest spoken: clients, the local
// llama-server and most clouds use it, so a same-dialect exchange is the usual one and stays byte for byte what it was.
// Pure functions and arena memory; no I/O, no clock, no logging.
#include "dialect/openai.h"

static const struct dialect_address addresses[] = {
    {"POST", "/v1/chat/completions", OP_CHAT},
    {"POST", "/chat/completions", OP_CHAT},
    {"POST", "/v1/completions", OP_GENERATE},
    {"POST", "/completions", OP_GENERATE},
    {"POST", "/v1/embeddings", OP_EMBED},
    {"POST", "/embeddings", OP_EMBED},
    {"POST", "/v1/rerank", OP_RERANK},
    {"POST", "/rerank", OP_RERANK},
    {NULL, NULL, OP_CHAT},
};

static const char *const carried_headers[] = {"openai-beta", "idempotency-key", NULL};

const struct dialect dialect_openai = {
    .id = DIALECT_OPENAI,
    .name = "openai",
    .addresses = addresses,
    .framing = FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .id_header = "x-request-id",
    .carried_headers = carried_headers,
    .tasks = 1u << OP_EMBED | 1u << OP_RERANK,
    .media = MEDIA_IMAGES | MEDIA_AUDIO | MEDIA_FILES | MEDIA_REMOTE,
    .keepalive = {": keep-alive\n\n", 14},
    .read_request = openai_read_request,
    .write_answer = openai_write_answer,
    .writer_new = openai_writer_new,
    .writer_event = openai_writer_event,
    .write_error = openai_write_error,
    .write_request = openai_write_request,
    .read_answer = openai_read_answer,
    .reader_new = openai_reader_new,
    .reader_frame = openai_reader_frame,
    .reader_finish = openai_reader_finish,
    .read_error = openai_read_error,
};
