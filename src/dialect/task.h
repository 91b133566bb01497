// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_TASK_H
#define DIALECT_TASK_H
// Answers that are no talk, as events: one opaque block whose text is JSON. For OP_EMBED a list of vectors, each a list of
// numbers or base64 text of little-endian floats; for OP_RERANK the upstream's list of results.
#include "dialect/codec.h"

// START … END of such an answer; json is borrowed during the call.
MUST_CHECK enum err task_emit(struct event_sink *s, struct slice id, struct slice model, struct slice json,
                              const struct usage *u);
// The JSON of a gathered one; empty: there is none (a model that was only loaded).
struct slice task_json(const struct answer *a);
// A value: the vector as the client wants it. ERR_UP_PROTOCOL: it is none.
MUST_CHECK enum err vector_put(struct json_writer *w, yyjson_val *vector, bool as_base64);
// Calls put for each vector of the answer, in order.
MUST_CHECK enum err vectors_each(struct arena *a, const struct answer *answer, struct json_writer *w, bool as_base64,
                                 void (*put)(struct json_writer *w, size_t index), void (*end)(struct json_writer *w));

// Reading a client's texts: one message each. A string or a list of strings; ERR_BAD_FIELD.
MUST_CHECK enum err input_add(struct field_reader *rd, struct message ***tail, struct slice text);
MUST_CHECK enum err inputs_read(struct field_reader *rd, const struct field_at *root, const char *name,
                                struct message ***tail);
// The texts as a JSON list.
void inputs_put(struct json_writer *w, const struct message *first);

#endif
