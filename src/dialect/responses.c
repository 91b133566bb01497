// SPDX-License-Identifier: Apache-2.0
// OpenAI responses, without its state: the table that joins its two directions. Nothing is kept between two requests, so
// the client sends the whole conversation each time, as it must with store: false at OpenAI's too. Errors have the shape
// of chat completions. Pure functions and arena memory; no I/O, no clock, no logging.
#include "dialect/responses.h"
#include "dialect/openai.h"

static const struct dialect_address addresses[] = {
    {"POST", "/v1/responses", OP_CHAT},
    {"POST", "/responses", OP_CHAT},
    {"POST", "/v1/responses/input_tokens", OP_COUNT_TOKENS},
    {"POST", "/responses/input_tokens", OP_COUNT_TOKENS},
    {NULL, NULL, OP_CHAT},
};

static const char *const carried_headers[] = {"openai-beta", "idempotency-key", NULL};

const struct dialect dialect_responses = {
    .id = DIALECT_RESPONSES,
    .name = "responses",
    .addresses = addresses,
    .framing = FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .id_header = "x-request-id",
    .carried_headers = carried_headers,
    .keepalive = {": keep-alive\n\n", 14},
    .media = MEDIA_IMAGES | MEDIA_FILES | MEDIA_REMOTE,
    .counts_tokens = true,
    .signs_thinking = true,
    .read_request = responses_read_request,
    .write_answer = responses_write_answer,
    .writer_new = responses_writer_new,
    .writer_event = responses_writer_event,
    .writer_after = responses_writer_after,
    .write_error = openai_write_error,
    .write_request = responses_write_request,
    .read_answer = responses_read_answer,
    .reader_new = responses_reader_new,
    .reader_frame = responses_reader_frame,
    .reader_finish = responses_reader_finish,
    .read_error = openai_read_error,
};
