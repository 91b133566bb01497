// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_SPEAK_H
#define SIM_SPEAK_H
// What the scripted provider says, and how each wire format writes it.
#include "sim/ask.h"
#include "sim/order.h"
#include "sim/peer.h"

enum piece { PIECE_THINK, PIECE_TEXT, PIECE_TOOL };

struct talk {
    const struct ask *ask;
    const struct order *order;
    struct order own;  // the order, cut to the request's bound on tokens
    struct slice id;   // of the answer
    struct slice text; // all of it
    int64_t created_s;
    int64_t input_tokens, output_tokens;
    const char *finish; // in the wire format's words
    int64_t said_chars; // delivered so far
    unsigned block;     // index of Anthropic's blocks, of the items of responses
    int64_t seq;        // events or chunks so far, where they are counted
};

struct named_error {
    int status;
    const char *type, *code, *message;
};

struct shape_ops {
    const char *stream_type;
    struct named_error errors[ERROR_NAME_COUNT];
    const char *finishes[5]; // stop, length, tool, filter, stop_sequence
    const char *mark;        // what ends a frame
    void (*whole)(struct talk *t, struct buf *out);
    void (*begin)(struct talk *t, struct buf *out);
    void (*open)(struct talk *t, enum piece kind, size_t tool, struct buf *out);
    void (*piece)(struct talk *t, enum piece kind, size_t tool, struct slice text, struct buf *out);
    void (*close)(struct talk *t, enum piece kind, size_t tool, struct buf *out);
    void (*end)(struct talk *t, struct buf *out);
    void (*error)(const struct named_error *e, struct buf *out);        // a body
    void (*stream_error)(const struct named_error *e, struct buf *out); // inside a stream
};

extern const struct shape_ops openai_ops, anthropic_ops, ollama_ops, responses_ops, gemini_ops;
const struct shape_ops *shape_ops_of(enum shape s);

// Fills what follows from ask and order: text, tokens, finish.
void talk_init(struct talk *t, struct arena *a, const struct ask *ask, const struct order *o, uint64_t number);
// The body of a stream, event by event.
void talk_stream(struct talk *t, struct peer *w);
// The reasoning tokens, 0 when not ordered.
int64_t talk_reasoning(const struct talk *t);

#endif
