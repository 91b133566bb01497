// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_ANTHROPIC_H
#define DIALECT_ANTHROPIC_H
// Inside of the Anthropic Messages codec: what its files need of each other. The contracts are those of dialect.h.
// Format: Anthropic's API reference (messages, count_tokens, streaming, errors), version 2023-06-01.
#include "dialect/codec.h"

// anthropic_request.c
enum err anthropic_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                                struct problem *problem);
// anthropic_messages.c: the system texts, which become the first message, and the messages.
MUST_CHECK enum err anthropic_read_messages(struct field_reader *rd, const struct field_at *root, struct request *r);

// anthropic_write.c
enum err anthropic_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                 struct wire_request *ret, struct problem *problem);

// What a writer of fields has said about what it dropped, each once.
enum anthropic_said {
    SAID_OPAQUE = 1 << 0,
    SAID_THINK = 1 << 1,
    SAID_MEDIA = 1 << 2,
    SAID_NAME = 1 << 3,
    SAID_ARGUMENTS = 1 << 4,
    SAID_SYSTEM = 1 << 5,
    SAID_TOOL = 1 << 6,
    SAID_DETAIL = 1 << 7,
    SAID_STOP = 1 << 8,
};

struct anthropic_out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
    unsigned said;
    const char *open_role; // of the message that is being written; NULL: none
};

// A note, once per kind.
void anthropic_say(struct anthropic_out *out, enum anthropic_said kind, const char *action, const char *path,
                   const char *reason);
// anthropic_write_messages.c: the members "system" (when there is any) and "messages".
void anthropic_put_system(struct anthropic_out *out);
void anthropic_put_messages(struct anthropic_out *out);

// anthropic_answer.c
enum err anthropic_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
enum err anthropic_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                                const struct identity *who, struct buf *out);
enum finish anthropic_finish_of(struct slice reason);
const char *anthropic_finish_text(enum finish f, bool has_tools);
// Adds what a usage object says to *raw, whose input_tokens are still Anthropic's: without the cached ones.
void anthropic_read_usage(yyjson_val *usage, struct usage *raw);
// Raw counts ⇄ ours, whose input_tokens include the cached ones.
struct usage anthropic_usage_whole(const struct usage *raw);
// The value of "usage".
void anthropic_put_usage(struct json_writer *w, const struct usage *u);
// Kind of a content block by its type; *ret_redacted for redacted_thinking.
enum block_kind anthropic_block_kind(struct slice type, bool *ret_redacted);
// "msg_…" from the upstream's id or ours; arena, p NULL when out of memory.
struct slice anthropic_answer_id(struct arena *a, struct slice upstream, struct slice ours);

// anthropic_stream.c
struct stream_reader *anthropic_reader_new(struct arena *a, enum op op);
enum err anthropic_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
enum err anthropic_reader_finish(struct stream_reader *r, struct event_sink *sink);

// anthropic_writer.c
struct stream_writer *anthropic_writer_new(struct arena *a, const struct request *r, const struct identity *who);
enum err anthropic_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out);

// anthropic_error.c
void anthropic_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status);
void anthropic_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret);
// From a parsed object; the problem's slices are copied to the arena.
void anthropic_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret);
// "error": {"type", "message"} of an error body or event.
void anthropic_put_error(struct json_writer *w, const struct problem *p);

#endif
