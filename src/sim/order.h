// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_ORDER_H
#define SIM_ORDER_H
// What a test wants the scripted provider to do with one request.
#include "base/json.h"

enum error_name {
    ERROR_NONE,
    ERROR_RATE_LIMIT,
    ERROR_QUOTA,
    ERROR_OVERLOADED,
    ERROR_AUTH,
    ERROR_NOT_FOUND,
    ERROR_CONTEXT_LENGTH,
    ERROR_SERVER,
    ERROR_NAME_COUNT
};

struct tool_order {
    struct slice name, arguments, id; // arguments: JSON text
};

// Numbers below 0 are unset. Slices live in the arena that the order was read into.
struct order {
    int64_t status; // 0: 200, or the error's
    enum error_name error;
    struct slice body;      // raw, instead of an answer
    struct slice body_file; // a file sent as it is
    struct slice content_type;
    struct slice garbage; // raw bytes instead of HTTP
    struct slice headers; // raw JSON object of more response headers
    int64_t retry_after;
    int64_t delay_ms, first_ms, chunk_ms, slow_chunks, chunks, chunk_chars, words, big_kb;
    int64_t split, rechunk; // bytes per write, per HTTP chunk
    int64_t split_us;       // rest between such writes
    int64_t cut_after_bytes, cut_after_events, stall_after_events, error_after_events, bad_chunk_after_events;
    struct slice text, thinking, signature, finish, id;
    struct tool_order *tools;
    size_t n_tools;
    bool echo, interleave, half_close, rst, no_usage, no_done, clean_cut, drop, stale, close, no_length,
        ignore_max;                                                       // the request's bound on tokens is not kept
    int64_t input_tokens, output_tokens, cached_tokens, reasoning_tokens; // usage
};

void order_init(struct order *o);
// Adds what the JSON object says. ERR_BAD_JSON, ERR_BAD_FIELD (a name that is no order), ERR_NO_MEMORY.
MUST_CHECK enum err order_read(struct arena *a, struct slice json, struct order *o);
MUST_CHECK enum err order_apply(struct arena *a, const struct json_doc *doc, yyjson_val *obj, struct order *o);

#endif
