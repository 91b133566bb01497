// SPDX-License-Identifier: Apache-2.0
// Anthropic's Messages API: the table that joins its two directions. Agents speak it as clients, Anthropic's cloud and a
// few others as upstreams; between the two the bytes stay what they were.
// Pure functions and arena memory; no I/O, no clock, no logging.
#include "dialect/anthropic.h"

static const struct dialect_address addresses[] = {
    {"POST", "/v1/messages", OP_CHAT},
    {"POST", "/v1/messages/count_tokens", OP_COUNT_TOKENS},
    {NULL, NULL, OP_CHAT},
};

static const char *const carried_headers[] = {"anthropic-version", "anthropic-beta", NULL};

const struct dialect dialect_anthropic = {
    .id = DIALECT_ANTHROPIC,
    .name = "anthropic",
    .addresses = addresses,
    .framing = FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .carried_headers = carried_headers,
    .keepalive = {"event: ping\ndata: {\"type\":\"ping\"}\n\n", 35},
    .read_request = anthropic_read_request,
    .write_answer = anthropic_write_answer,
    .writer_new = anthropic_writer_new,
    .writer_event = anthropic_writer_event,
    .write_error = anthropic_write_error,
    .write_request = anthropic_write_request,
    .read_answer = anthropic_read_answer,
    .reader_new = anthropic_reader_new,
    .reader_frame = anthropic_reader_frame,
    .reader_finish = anthropic_reader_finish,
    .read_error = anthropic_read_error,
};
