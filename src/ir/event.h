// SPDX-License-Identifier: Apache-2.0
#ifndef IR_EVENT_H
#define IR_EVENT_H
// The one inner form of an answer: a stream of events. A whole (non-streamed) answer is the same events at once.
// Grammar:  start (block_begin delta* meta* block_end | usage | finish)* end   |  … error
// Blocks of one choice do not nest; several may be open at once (parallel tool calls). `block` counts from 0 in order of
// block_begin. All slices are borrowed during the call.
#include "base/err.h"
#include "base/slice.h"
#include "ir/problem.h"
#include "ir/usage.h"

enum event_kind {
    EV_START,       // id, model, created_s
    EV_BLOCK_BEGIN, // block, choice, block_kind; tool: call_id, name, signature if known; think: call_id if the
                    // thinking has an id; opaque: name (of another dialect than Anthropic with its prefix), raw JSON
    EV_DELTA,       // block, text: text, thinking, refusal, or a piece of a tool's arguments (JSON text)
    EV_META,        // block (or choice), name = "logprobs" | "citation" | "timings" …, raw JSON in text
    EV_BLOCK_END,   // block, signature
    EV_FINISH,      // choice, finish, stop_sequence
    EV_USAGE,       // usage (cumulative; merge)
    EV_PING,        // a keep-alive of the upstream
    EV_ERROR,       // problem: the upstream said so inside a stream
    EV_END,         // the dialect's proper end was seen
};

enum block_kind { BLOCK_TEXT, BLOCK_THINK, BLOCK_TOOL, BLOCK_REFUSAL, BLOCK_MEDIA, BLOCK_SERVER_TOOL, BLOCK_OPAQUE };

enum finish {
    FINISH_NONE,
    FINISH_STOP,
    FINISH_LENGTH,
    FINISH_TOOL,
    FINISH_FILTER,
    FINISH_STOP_SEQUENCE,
    FINISH_PAUSE,
    FINISH_REFUSAL,
    FINISH_LOAD
};

struct event {
    enum event_kind kind;
    uint32_t block;
    uint32_t choice;
    enum block_kind block_kind;
    enum finish finish;
    bool redacted; // a thinking block without text: text holds the opaque data
    struct slice text;
    struct slice id; // start: answer id
    struct slice call_id;
    struct slice name;
    struct slice model;
    struct slice signature;
    struct slice stop_sequence;
    int64_t created_s;
    struct usage usage;
    const struct problem *problem;
};

// Where events go. A returned error stops the reader and is passed up unchanged.
struct event_sink {
    enum err (*emit)(void *ctx, const struct event *ev);
    void *ctx;
};

// Is it the first text, thinking or tool event that commits an exchange? (An empty delta does not.)
bool event_commits(const struct event *ev);
const char *event_kind_name(enum event_kind k);
const char *finish_name(enum finish f);

#endif
