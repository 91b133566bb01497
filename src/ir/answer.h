// SPDX-License-Identifier: Apache-2.0
#ifndef IR_ANSWER_H
#define IR_ANSWER_H
// Events gathered into a whole answer, for clients that did not ask for a stream.
#include "base/arena.h"
#include "base/buf.h"
#include "ir/event.h"

struct answer_block {
    struct answer_block *next;
    uint32_t block;
    uint32_t choice;
    enum block_kind kind;
    struct buf text;      // the deltas: text, thinking, refusal, arguments; freed with the answer
    struct slice opening; // the begin event's own text: an opaque block's raw JSON, a redacted block's data
    struct slice call_id, name, signature;
    struct buf meta; // raw JSON values, one a line: name \t json
    bool redacted;
    bool ended;
};

struct answer_choice {
    enum finish finish;
    struct slice stop_sequence;
};

struct answer {
    struct arena *arena;
    struct slice id, model;
    int64_t created_s;
    struct answer_block *first, **last;
    struct answer_block *current; // the one that the last event meant
    unsigned n_blocks;
    struct answer_choice choices[16]; // n beyond that is refused on reading
    unsigned n_choices;
    struct usage usage;
    size_t bytes; // gathered so far
    bool started;
    bool ended;
};

// Registers its own freeing with the arena. False when out of memory.
bool answer_init(struct answer *a, struct arena *arena);
// The same in the arena. NULL when out of memory.
struct answer *answer_new(struct arena *arena);
// ERR_NO_MEMORY, ERR_UP_PROTOCOL (grammar broken), ERR_TOO_LARGE (LIMIT_UP_BODY_BYTES). EV_ERROR gives its problem's
// error back.
MUST_CHECK enum err answer_add(struct answer *a, const struct event *ev);
// The same events again, in order (whole texts as one delta).
MUST_CHECK enum err answer_replay(const struct answer *a, struct event_sink *sink);

// The next line of a block's meta; false at the end. *rest starts as buf_slice(&block->meta).
bool answer_meta_next(struct slice *rest, struct slice *ret_name, struct slice *ret_json);

#endif
