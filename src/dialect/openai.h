// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_OPENAI_H
#define DIALECT_OPENAI_H
// Inside of the OpenAI chat completions codec: what its files need of each other. The contracts are those of dialect.h.
// Format: OpenAI's API reference (chat/completions), llama-server's and OpenRouter's additions.
#include "dialect/codec.h"

// openai_request.c
enum err openai_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem);

// openai_task.c: vectors and the order of documents. The root's model was read.
MUST_CHECK enum err openai_read_embed(struct field_reader *rd, const struct field_at *root, struct request *r);
MUST_CHECK enum err openai_read_rerank(struct field_reader *rd, const struct field_at *root, struct request *r);
MUST_CHECK enum err openai_put_task(struct arena *a, enum op op, yyjson_val *root, struct event_sink *sink);
enum err openai_write_task(struct arena *a, const struct request *r, const struct answer *answer,
                           const struct identity *who, struct buf *out);

// openai_messages.c: messages and their parts. obj is the root.
MUST_CHECK enum err openai_read_messages(struct field_reader *rd, const struct field_at *obj, struct request *r);

// openai_write.c
enum err openai_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem);

// What a writer of fields has said about what it dropped, each once.
enum openai_said {
    SAID_OPAQUE = 1 << 0,
    SAID_CACHE = 1 << 1,
    SAID_THINK = 1 << 2,
    SAID_SIGNATURE = 1 << 3,
    SAID_MEDIA = 1 << 4,
    SAID_IS_ERROR = 1 << 5,
    SAID_TOOL = 1 << 6,
    SAID_MOVED = 1 << 7,
};

struct openai_out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
    unsigned said;
};

// openai_task.c: the body for an upstream of this dialect, from the fields.
MUST_CHECK enum err openai_put_embed(struct openai_out *out);
// A note, once per kind.
void openai_say(struct openai_out *out, enum openai_said kind, const char *action, const char *path,
                const char *reason);
// openai_write_messages.c: the value of "messages".
void openai_put_messages(struct openai_out *out);
// The value of "tools".
void openai_put_tools(struct openai_out *out);

// openai_answer.c
enum err openai_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
enum finish openai_finish_of(struct slice reason, bool has_tools);
// Usage in a whole answer or a chunk, wherever it stands; what is not there stays -1.
void openai_read_usage(yyjson_val *root, struct usage *ret);
// The thinking in a message or delta, in either of its spellings.
struct slice openai_reasoning_of(yyjson_val *said);
// A content that is a list of parts (Mistral): calls back for each text and thinking text.
MUST_CHECK enum err openai_each_part(yyjson_val *parts,
                                     enum err (*text)(void *ctx, enum block_kind kind, struct slice text), void *ctx);

// openai_stream.c
struct stream_reader *openai_reader_new(struct arena *a, enum op op);
enum err openai_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
enum err openai_reader_finish(struct stream_reader *r, struct event_sink *sink);

// openai_writer.c
enum err openai_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out);
struct stream_writer *openai_writer_new(struct arena *a, const struct request *r, const struct identity *who);
enum err openai_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out);
const char *openai_finish_text(enum finish f);
void openai_put_usage(struct json_writer *w, const struct usage *u);
// Of an answer to /v1/completions: "cmpl-…".
struct slice openai_completion_id(struct arena *a, struct slice upstream, struct slice ours);
// "chatcmpl-…" from the upstream's id or ours; arena, p NULL when out of memory.
struct slice openai_answer_id(struct arena *a, struct slice upstream, struct slice ours);

// openai_error.c
void openai_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status);
void openai_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret);
// From a parsed object; the problem's slices are copied to the arena.
void openai_problem_of(struct arena *a, int status, yyjson_val *root, unsigned quirks, struct problem *ret);

#endif
