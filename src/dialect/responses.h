// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_RESPONSES_H
#define DIALECT_RESPONSES_H
// Inside of the OpenAI responses codec: what its files need of each other. The contracts are those of dialect.h.
// Format: OpenAI's OpenAPI description (CreateResponse, Response, ResponseStreamEvent) and the types of its Python SDK.
#include "dialect/codec.h"

// Opaque items have this before their type as the name of their block, and opaque items of a request as part.name.
#define RESPONSES_OPAQUE "responses:"

// responses_request.c
enum err responses_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                                struct problem *problem);
// responses_items.c: `instructions` and `input` of the root object.
MUST_CHECK enum err responses_read_input(struct field_reader *rd, const struct field_at *root, struct request *r);

// responses_write.c
enum err responses_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                 struct wire_request *ret, struct problem *problem);

// What a writer of fields has said about what it dropped, each once.
enum responses_said {
    RESP_SAID_OPAQUE = 1 << 0,
    RESP_SAID_CACHE = 1 << 1,
    RESP_SAID_THINK = 1 << 2,
    RESP_SAID_SIGNATURE = 1 << 3,
    RESP_SAID_MEDIA = 1 << 4,
    RESP_SAID_IS_ERROR = 1 << 5,
    RESP_SAID_TOOL = 1 << 6,
    RESP_SAID_NAME = 1 << 7,
};

struct responses_out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
    unsigned said;
    bool foreign; // the request came in another dialect
};

void responses_say(struct responses_out *out, enum responses_said kind, const char *action, const char *path,
                   const char *reason);
// responses_write_items.c: "instructions" and "input" with their keys.
void responses_put_input(struct responses_out *out);

// responses_answer.c
enum err responses_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
// usage of a response object
void responses_read_usage(yyjson_val *response, struct usage *ret);
// The ending that a response object tells: ERR_UP_PROTOCOL when it has none (queued, in progress).
MUST_CHECK enum err responses_emit_ending(struct arena *a, yyjson_val *response, bool called, struct event_sink *sink);
// The text of a reasoning item: its summary, or else its content. Arena when it has several parts. ERR_NO_MEMORY.
MUST_CHECK enum err responses_thinking_of(struct arena *a, yyjson_val *item, struct slice *ret);
// block_begin and block_end of an item that only this dialect has.
MUST_CHECK enum err responses_emit_opaque(struct arena *a, yyjson_val *item, struct slice raw, uint32_t block,
                                          struct event_sink *sink);
// Log probabilities of a text in the form that the others know. list: JSON array. ERR_NO_MEMORY.
MUST_CHECK enum err responses_emit_logprobs(struct slice list, uint32_t block, struct event_sink *sink);

// responses_stream.c
struct stream_reader *responses_reader_new(struct arena *a, enum op op);
enum err responses_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
enum err responses_reader_finish(struct stream_reader *r, struct event_sink *sink);

// responses_write_answer.c
enum err responses_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                                const struct identity *who, struct buf *out);
enum responses_status { RESPONSES_IN_PROGRESS, RESPONSES_DONE, RESPONSES_FAILED };
// What a response object is written from. items: which block is which item's is told by responses_item_id.
struct responses_object {
    struct arena *a;
    const struct request *r;
    const struct answer *answer;
    const struct identity *who;
    enum responses_status status;
    const struct problem *problem; // of a failed one
};
void responses_put_object(struct json_writer *w, const struct responses_object *o);
// Is this block an item of the answer?
bool responses_is_item(const struct answer_block *b);
// The block as an item; whole: with all that it holds.
void responses_put_item(struct json_writer *w, const struct responses_object *o, const struct answer_block *b,
                        bool whole);
// The content part of a text or refusal.
void responses_put_part(struct json_writer *w, struct arena *a, const struct answer_block *b, bool whole);
void responses_put_item_id(struct json_writer *w, const char *key, const struct responses_object *o,
                           const struct answer_block *b);
struct slice responses_arguments(const struct answer_block *b);
void responses_put_logprobs(struct json_writer *w, struct arena *a, const struct answer_block *b);

// responses_writer.c
struct stream_writer *responses_writer_new(struct arena *a, const struct request *r, const struct identity *who);
enum err responses_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out);
void responses_writer_after(struct stream_writer *w, int64_t frames);

#endif
