// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_OLLAMA_H
#define DIALECT_OLLAMA_H
// Inside of the Ollama codec (/api/chat, /api/generate, /api/embed): what its files need of each other. The contracts are those of
// dialect.h. Format: Ollama's API description and the types of its Python package.
#include "dialect/codec.h"

// ollama_request.c
enum err ollama_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem);
// ollama_embed.c: vectors. The root's model was read.
MUST_CHECK enum err ollama_read_embed(struct field_reader *rd, const struct field_at *root, struct request *r);
MUST_CHECK enum err ollama_put_embed(struct json_writer *w, const struct request *r, struct slice model);
enum err ollama_read_vectors(struct arena *a, struct slice body, struct event_sink *sink);
enum err ollama_write_vectors(struct arena *a, const struct request *r, const struct answer *answer,
                              const struct identity *who, struct buf *out);
// ollama_write.c
enum err ollama_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem);
// A tool's arguments as an object; what is no JSON object goes under INVALID_JSON. False: it was none.
bool ollama_put_arguments(struct json_writer *w, struct arena *a, struct slice arguments);
// ollama_answer.c
enum err ollama_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
struct stream_reader *ollama_reader_new(struct arena *a, enum op op);
enum err ollama_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
enum err ollama_reader_finish(struct stream_reader *r, struct event_sink *sink);
// ollama_writer.c
enum err ollama_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out);
struct stream_writer *ollama_writer_new(struct arena *a, const struct request *r, const struct identity *who);
enum err ollama_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out);
// ollama.c: from a parsed body or line; status 0 inside a stream. The problem's slices are copied to the arena.
void ollama_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret);

#endif
