// SPDX-License-Identifier: Apache-2.0
#ifndef IR_REQUEST_H
#define IR_REQUEST_H
// The one inner form of a request. All memory is the exchange's arena, or borrowed from the body that lives as long.
// Lists are linked in order. A slice with p == NULL means "absent"; "present but empty" has p != NULL.
#include "base/arena.h"
#include "base/json.h"

enum op {
    OP_CHAT,
    OP_GENERATE,     // Ollama's /api/generate: one prompt, templated unless raw
    OP_COUNT_TOKENS, // how many tokens a request is: Anthropic's count_tokens, OpenAI's input_tokens, Gemini's countTokens
    OP_EMBED,        // vectors of texts: each message is one of them
    OP_RERANK,       // documents by how well they answer a query: the first message is the query, the others they
};

enum role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

enum part_kind {
    PART_TEXT,
    PART_IMAGE,
    PART_AUDIO,
    PART_DOCUMENT,
    PART_THINK,       // text, signature, id if it has one; redacted: only data
    PART_TOOL_CALL,   // id, name, text = arguments as JSON text
    PART_TOOL_RESULT, // id, name if known, content = parts, is_error
    PART_REFUSAL,
    PART_OPAQUE, // only src: what this dialect has and others don't (server tools, encrypted reasoning)
};

struct part {
    struct part *next;
    enum part_kind kind;
    struct slice text;
    struct slice id;
    struct slice name;
    struct slice media_type;    // "image/png"
    struct slice data;          // base64 text (image, audio, document) or redacted thinking
    struct slice url;           // remote media
    struct slice detail;        // OpenAI's image detail
    struct slice signature;     // a provider's, carried and never read
    struct slice cache_control; // raw JSON object (Anthropic), absent if none
    struct part *content;       // of a tool result
    bool redacted;
    bool is_error;
    uint8_t made_by;  // whose signature it is: 1 + enum dialect_id; 0: of the client's own dialect
    struct slice src; // the JSON it was read from; p NULL when erased or synthetic
};

struct message {
    struct message *next;
    enum role role;
    bool developer; // OpenAI's "developer" spelling of system
    struct slice name;
    struct part *parts; // first
    struct slice src;
};

struct tool {
    struct tool *next;
    struct slice name;
    struct slice description;
    struct slice schema; // raw JSON object
    struct slice cache_control;
    int strict;  // -1 unset, 0, 1
    bool opaque; // a server tool: only src
    struct slice src;
};

enum tool_choice { TOOL_CHOICE_UNSET, TOOL_CHOICE_AUTO, TOOL_CHOICE_NONE, TOOL_CHOICE_REQUIRED, TOOL_CHOICE_NAMED };
enum format_kind { FORMAT_UNSET, FORMAT_TEXT, FORMAT_JSON, FORMAT_SCHEMA };
enum think { THINK_UNSET, THINK_OFF, THINK_ON, THINK_MINIMAL, THINK_LOW, THINK_MEDIUM, THINK_HIGH };

// Why a field did not travel; shown by `gridtie why`.
struct note {
    struct note *next;
    const char *action; // "dropped", "approximated", "added"
    struct slice path;
    const char *reason; // static
};

struct notes {
    struct note *first;
    struct note **last;
    unsigned n;       // kept, at most LIMIT_DROPPED
    unsigned skipped; // beyond that
};

#define NUM_UNSET (-1.0e300) // an unset floating-point parameter
static inline bool num_set(double v) {
    return v > -1.0e299;
}

// How long a model stays loaded behind a request, in ms, or:
#define KEEP_UNSET INT64_MIN
#define KEEP_FOREVER INT64_C(-1)

struct request {
    int dialect; // enum dialect_id of the client
    enum op op;
    struct slice model;
    bool stream;
    bool include_usage;       // OpenAI stream_options.include_usage; other dialects always report
    struct message *messages; // system messages in place; Anthropic's system stands first
    struct slice prompt;      // OP_GENERATE
    struct slice suffix;      // OP_GENERATE fill-in-the-middle
    bool raw;                 // OP_GENERATE without template
    int64_t dimensions;       // OP_EMBED: of a vector, -1 unset
    bool as_base64;           // OP_EMBED: vectors as base64 of little-endian floats, not as lists of numbers
    bool one_vector;          // OP_EMBED by Ollama's older address: its answer has one vector
    bool kin_only; // holds what only an upstream of the client's dialect can read: token ids, several prompts
    struct tool *tools;
    enum tool_choice tool_choice;
    struct slice tool_choice_name;
    int parallel_tools; // -1 unset, 0, 1
    enum format_kind format;
    struct slice format_name;                                                              // of the schema
    struct slice format_schema;                                                            // raw JSON schema
    int format_strict;                                                                     // -1, 0, 1
    int64_t max_tokens;                                                                    // -1 unset
    double temperature, top_p, min_p, presence_penalty, frequency_penalty, repeat_penalty; // NUM_UNSET
    int64_t top_k;                                                                         // -1 unset
    bool seed_set;
    int64_t seed;
    struct slice *stops;
    size_t n_stops;
    int64_t n;            // choices, 1 if unset
    int logprobs;         // -1 unset, 0, 1
    int64_t top_logprobs; // -1 unset
    enum think think;
    int64_t think_budget;          // tokens, -1 unset
    int think_shown;               // -1 unset, 0, 1: does the client want to read the thinking?
    struct slice user;             // OpenAI user, Anthropic metadata.user_id
    struct slice keep_alive;       // Ollama, raw JSON
    int64_t keep_ms;               // and what it means for a local model: KEEP_UNSET, KEEP_FOREVER
    int64_t context;               // Ollama num_ctx, -1 unset
    struct slice *fallback_models; // OpenRouter's `models`, in order
    size_t n_fallback_models;
    struct slice provider_prefs; // OpenRouter's `provider`, raw JSON, absent if none
    struct slice *unmodelled;    // names of members that only the source carries, at most LIMIT_DROPPED
    size_t n_unmodelled;
    bool store;        // the client wants the answer kept (OpenAI responses); nobody does
    bool kept;         // rests on what its provider keeps (Gemini's cachedContent): others lack what it rests on
    bool stream_array; // Gemini: a stream is one JSON array, not events
    bool carried;      // holds what dialect/carry.h packed: the source can't be sent on as it is
    bool has_images, has_audio, has_documents, has_thinking, has_remote_media;
    bool has_files;      // documents that are not plain text
    bool has_foreign;    // a user's words hold a part that only the client's dialect has
    struct json_doc doc; // the tree it was read from; doc.src is the body. src.p NULL: erased or synthetic
};

void request_init(struct request *r);
void notes_init(struct notes *n);
// path is borrowed and must live in the arena or be static.
void notes_add(struct arena *a, struct notes *n, const char *action, struct slice path, const char *reason);
// Forgets every source slice, so that a round trip must go through the fields (tests).
void request_erase_sources(struct request *r);
// A rough count of input tokens: bytes of text / 4 + a fixed price per image and message; for reservations and
// limits, always marked as estimated.
int64_t request_estimate_tokens(const struct request *r);
// Deep equality of the modelled fields, sources aside (tests). Writes the first difference to *ret_where if not NULL.
bool request_equal(const struct request *a, const struct request *b, const char **ret_where);

#endif
