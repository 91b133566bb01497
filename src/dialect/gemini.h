// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_GEMINI_H
#define DIALECT_GEMINI_H
// Inside of the Gemini codec (generateContent, streamGenerateContent, countTokens): what its files need of each other. The
// contracts are those of dialect.h. Format: Google's REST reference of the Gemini API and the types of its Python SDK.
// Like every protocol buffer in JSON it is read in two spellings, systemInstruction and system_instruction.
#include "dialect/codec.h"

// Opaque blocks that are parts of a content have this name; their text is the part.
#define GEMINI_PART "gemini:part"
#define GEMINI_META "gemini:" // and before the names of metas that are members of a candidate

// gemini.c
// The member's name as it is spelled in obj, else the camel case given.
const char *gemini_key(const struct field_at *obj, const char *camel);
yyjson_val *gemini_get(yyjson_val *obj, const char *camel);
// As field_check_once, whatever the spelling.
MUST_CHECK enum err gemini_check_once(struct field_reader *rd, const struct field_at *obj, const char *const *names);
// Adds the members that are not in names to r->unmodelled.
MUST_CHECK enum err gemini_unmodelled(struct field_reader *rd, const struct field_at *obj, const char *const *names,
                                      struct request *r);
// As field_types; the rows' names are camel case.
MUST_CHECK enum err gemini_types(struct field_reader *rd, const struct field_at *obj, const struct field_type *rows);
// From a parsed error body or chunk; status 0 inside a stream. The problem's slices are copied to the arena.
void gemini_problem_of(struct arena *a, int status, yyjson_val *root, struct problem *ret);
void gemini_write_error(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status);
void gemini_read_error(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret);

// gemini_request.c
enum err gemini_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem);
// gemini_address.c
extern const struct dialect_address gemini_addresses[];
enum err gemini_read_address(struct arena *a, struct slice path, struct slice query, struct request *r,
                             struct problem *problem);
// "/models/<model>:<method>"; arena, NULL when out of memory.
const char *gemini_path(struct arena *a, struct slice model, const char *method);
// gemini_embed.c
MUST_CHECK enum err gemini_read_embed(struct field_reader *rd, const struct field_at *root, struct request *r);
// From the fields; and from the client's own body, with the model's names changed.
MUST_CHECK enum err gemini_put_embed(struct arena *a, const struct request *r, struct json_writer *w,
                                     struct slice model);
MUST_CHECK enum err gemini_splice_embed(struct arena *a, const struct request *r, struct slice model,
                                        struct slice *ret);
MUST_CHECK enum err gemini_read_vectors(struct arena *a, struct slice body, struct event_sink *sink);
MUST_CHECK enum err gemini_write_vectors(struct arena *a, const struct request *r, const struct answer *answer,
                                         struct buf *out);
// gemini_contents.c: `systemInstruction` and `contents` of the root object.
MUST_CHECK enum err gemini_read_contents(struct field_reader *rd, const struct field_at *root, struct request *r);
// gemini_tools.c: `tools` and `toolConfig` of the root object.
MUST_CHECK enum err gemini_read_tools(struct field_reader *rd, const struct field_at *root, struct request *r);
// gemini_schema.c: Google's form of a schema (types in capitals, nullable …) as JSON Schema. Arena.
MUST_CHECK enum err gemini_read_schema(struct field_reader *rd, const struct field_at *at, struct slice *ret);

// gemini_write.c
enum err gemini_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem);

// What a writer of fields has said about what it dropped, each once.
enum gemini_said {
    GEM_SAID_OPAQUE = 1 << 0,
    GEM_SAID_CACHE = 1 << 1,
    GEM_SAID_THINK = 1 << 2,
    GEM_SAID_SIGNATURE = 1 << 3,
    GEM_SAID_MEDIA = 1 << 4,
    GEM_SAID_SYSTEM = 1 << 5,
    GEM_SAID_TOOL = 1 << 6,
    GEM_SAID_NAME = 1 << 7,
    GEM_SAID_STRICT = 1 << 8,
    GEM_SAID_ARGUMENTS = 1 << 9,
    GEM_SAID_DETAIL = 1 << 10,
    GEM_SAID_MOVED = 1 << 11,
    GEM_SAID_VALIDATOR = 1 << 12,
};

struct gemini_out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
    unsigned said;
    bool foreign; // the request came in another dialect
    int open;     // the role of the content that is being written, -1 none
};

void gemini_say(struct gemini_out *out, enum gemini_said kind, const char *action, const char *path,
                const char *reason);
// gemini_write_contents.c: "systemInstruction" and "contents" with their keys.
void gemini_put_contents(struct gemini_out *out);
// Arguments as an object; what is no JSON object goes under INVALID_JSON. False: it was none.
bool gemini_put_arguments(struct json_writer *w, struct arena *a, struct slice arguments);

// gemini_answer.c
enum err gemini_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
struct stream_reader *gemini_reader_new(struct arena *a, enum op op);
enum err gemini_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
enum err gemini_reader_finish(struct stream_reader *r, struct event_sink *sink);

// gemini_partial.c: arguments of a call that come in pieces, each with its path.
struct gemini_partial;
// Freed with the arena; NULL when out of memory.
struct gemini_partial *gemini_partial_new(struct arena *a);
// A list of {jsonPath, stringValue | numberValue | boolValue | nullValue}. ERR_UP_PROTOCOL, ERR_NO_MEMORY.
MUST_CHECK enum err gemini_partial_add(struct gemini_partial *p, yyjson_val *list);
// All of it as JSON text, which is freed with the next call or the arena. ERR_NO_MEMORY.
MUST_CHECK enum err gemini_partial_take(struct gemini_partial *p, struct slice *ret);

// gemini_writer.c
enum err gemini_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out);
struct stream_writer *gemini_writer_new(struct arena *a, const struct request *r, const struct identity *who);
enum err gemini_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out);

#endif
