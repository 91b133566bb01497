// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_ANTHROPIC_H
#define DIALECT_ANTHROPIC_H
// Inside of the Anthropic messages codec: what its files need of each other. The contracts are those of dialect.h.
// Format: Anthropic's API reference (messages, count_tokens, streaming) and the types of its Python SDK.
#include "dialect/codec.h"

#define ANTHROPIC_VERSION "2023-06-01"

// anthropic_request.c
enum err anthropic_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                                struct problem *problem);

// anthropic_messages.c: `system` and `messages` of the root object.
MUST_CHECK enum err anthropic_read_messages(struct field_reader *rd, const struct field_at *root, struct request *r);

// anthropic_write.c
enum err anthropic_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                 struct wire_request *ret, struct problem *problem);

// What a writer of fields has said about what it dropped, each once.
enum anthropic_said {
    SAID_OPAQUE = 1 << 0,
    SAID_THINK = 1 << 1,
    SAID_AUDIO = 1 << 2,
    SAID_DOCUMENT = 1 << 3,
    SAID_SYSTEM = 1 << 4,
    SAID_ID = 1 << 5,
    SAID_EMPTY = 1 << 6,
    SAID_TOOL = 1 << 7,
    SAID_STRICT = 1 << 8,
    SAID_ARGUMENTS = 1 << 9,
    SAID_STOP = 1 << 10,
    SAID_NAME = 1 << 11,
    SAID_DETAIL = 1 << 12,
    SAID_SIGNATURE = 1 << 13,
};

struct anthropic_out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
    unsigned said;
    bool foreign; // the request came in another dialect: its habits must be changed into Anthropic's
    int open;     // the role of the message that is being written, -1 none
};

void anthropic_note(struct anthropic_out *out, const char *action, const char *path, const char *reason);
// The same, once per kind.
void anthropic_say(struct anthropic_out *out, enum anthropic_said kind, const char *action, const char *path,
                   const char *reason);
// anthropic_write_messages.c: "system", "messages" and "tools" with their keys.
void anthropic_put_messages(struct anthropic_out *out);
void anthropic_put_tools(struct anthropic_out *out);

// anthropic_answer.c
enum err anthropic_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
enum err anthropic_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                                const struct identity *who, struct buf *out);

// Counts as the wire has them: cached input apart from the rest. -1: not seen.
struct anthropic_counts {
    int64_t input, cache_read, cache_write, output, thinking;
};
#define ANTHROPIC_COUNTS_NONE ((struct anthropic_counts){-1, -1, -1, -1, -1})
// Takes what a usage object reports into *c; *ret is the whole so far in the inner form's meaning.
void anthropic_read_usage(yyjson_val *usage, struct anthropic_counts *c, struct usage *ret);
// The value of "usage". `whole`: message_start and whole answers, where every field is required.
void anthropic_put_usage(struct json_writer *w, const struct usage *u, bool whole);
enum finish anthropic_finish_of(struct slice reason);
// after_tool: the last block is a call, so that "stop" means "tool_use".
const char *anthropic_finish_text(enum finish f, bool after_tool);
enum block_kind anthropic_kind_of(struct slice type);
// Is an opaque block of this name one of this dialect? (Those of others carry none, or one with a colon in it.)
bool anthropic_owns(struct slice name);
// block_begin and what the block holds already (text, thinking, a filled input). raw: the object's source.
MUST_CHECK enum err anthropic_emit_opening(struct event_sink *sink, const struct json_doc *doc, yyjson_val *obj,
                                           struct slice raw, uint32_t block);
// The members of `opening` (a content block as JSON) with its input replaced; false when it is no content block.
bool anthropic_put_opening(struct json_writer *w, struct arena *a, struct slice opening, struct slice input);
// Arguments as an object; what is no JSON object goes under INVALID_JSON, as Anthropic advises.
void anthropic_put_arguments(struct json_writer *w, struct arena *a, struct slice arguments);
// "msg_…" from the upstream's id or ours; arena, p NULL when out of memory.
struct slice anthropic_answer_id(struct arena *a, struct slice upstream, struct slice ours);

// anthropic_stream.c
struct stream_reader *anthropic_reader_new(struct arena *a, enum op op);
enum err anthropic_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
enum err anthropic_reader_finish(struct stream_reader *r, struct event_sink *sink);

// anthropic_writer.c
struct stream_writer *anthropic_writer_new(struct arena *a, const struct request *r, const struct identity *who);
enum err anthropic_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out);

// anthropic.c
void anthropic_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status);
void anthropic_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret);
// From a parsed body or event; the problem's slices are copied to the arena.
void anthropic_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret);

#endif
