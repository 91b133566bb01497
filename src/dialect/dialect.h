// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_DIALECT_H
#define DIALECT_DIALECT_H
// A wire format as a codec that works both ways: request, answer, stream and error, each read and written. Pure bytes ⇄ IR.
#include "base/frame.h"
#include "ir/answer.h"
#include "ir/event.h"
#include "ir/request.h"

enum dialect_id {
#define DIALECT(id, object) DIALECT_##id,
#include "dialect/dialects.def"
#undef DIALECT
    DIALECT_COUNT
};

// What an upstream speaks badly; bits set by its provider row (grid/providers.def).
enum quirk {
    QUIRK_NO_DEVELOPER_ROLE = 1 << 0,     // write "system" for "developer"
    QUIRK_NO_STREAM_OPTIONS = 1 << 1,     // does not know stream_options
    QUIRK_MAX_COMPLETION_TOKENS = 1 << 2, // wants max_completion_tokens, refuses max_tokens
    QUIRK_LLAMA_STATUS = 1 << 3,          // llama-server: 500 for what is the client's fault (see its error texts)
    QUIRK_NO_STRICT = 1 << 4,             // refuses tools[].function.strict
    QUIRK_CACHE_PROMPT = 1 << 5, // llama-server extras are understood (top_k, min_p, chat_template_kwargs, timings)
    QUIRK_PREFERENCES = 1 << 6,  // OpenRouter's `provider`, preferences among its providers, is understood
};

// What else than text a format's messages have a place for.
enum media {
    MEDIA_IMAGES = 1 << 0,
    MEDIA_AUDIO = 1 << 1,
    MEDIA_FILES = 1 << 2,  // documents that are not plain text
    MEDIA_REMOTE = 1 << 3, // by an address that the upstream fetches
};

// Where a client reaches this dialect. "{model}" in a path stands for one or more bytes, slashes too.
#define MODEL_IN_PATH "{model}"
struct dialect_address {
    const char *method;
    const char *path;
    enum op op;
};

struct write_options {
    struct slice model; // the name the upstream knows
    unsigned quirks;
    int64_t max_tokens;         // -1: the request's own; else written instead (a bound the budget can pay)
    int stream;                 // -1: as the request says; 0, 1: forced
    bool want_usage;            // ask the upstream to report usage in a stream
    int64_t default_max_tokens; // for dialects that require one (Anthropic), when the request has none
    // Members of the body that this upstream refuses, NULL-terminated: "user" is left out with a note, "seed=random_seed"
    // goes by the other name. NULL: none. OpenAI's dialect only.
    const char *const *lacks;
};

// A request on its way to an upstream.
struct wire_request {
    const char *path; // behind the endpoint's base URL, e.g. "/chat/completions"; base URLs end before that. Arena
    bool json_array;  // its stream will be one JSON array, whatever the dialect's framing is
    struct header_pair {
        const char *name;
        struct slice value;
    } headers[8]; // besides auth and content-type
    size_t n_headers;
    struct slice body;  // arena
    struct notes notes; // what was dropped or approximated
    bool verbatim;      // spliced from the source bytes
    bool usage_added;   // the client did not ask for usage: hide that frame from it
};

// What comes after an upstream's answer that is not the last yet. Slices in the arena.
struct wire_step {
    enum { NEXT_NOTHING, NEXT_STREAM, NEXT_POLL } next; // GET url: it streams the rest; it has the answer later on
    struct slice url, cancel;                           // POST cancel when nobody wants it any more
};

// Reader and writer states live in the arena and need no freeing.
struct stream_reader;
struct stream_writer;

// Who the answer says it is, when the upstream did not say.
struct identity {
    struct slice id;    // our exchange id
    struct slice model; // as the client named it
    int64_t created_s;
};

struct dialect {
    enum dialect_id id;
    const char *name;                        // "openai", "anthropic", "ollama", "responses", "gemini"
    const struct dialect_address *addresses; // ends with method NULL
    enum framing framing;
    const char *stream_content_type;
    const char *id_header;              // where its clients look for the request's id; NULL: nowhere
    const char *const *carried_headers; // client's headers that travel to an upstream of this dialect, NULL-terminated
    struct slice keepalive;             // bytes that keep a waiting stream open; empty: none
    unsigned tasks;                     // bits 1 << enum op: what else an upstream can do: OP_EMBED, OP_RERANK
    unsigned media;                     // bits enum media: what messages to an upstream can hold besides text
    bool counts_tokens;                 // an upstream has an address for OP_COUNT_TOKENS
    bool signs_thinking;                // its thinking has a field for a signature
    bool signs_calls;                   // its calls have one

    // --- the client's side
    // body must live as long as the arena. Errors: ERR_BAD_JSON, ERR_BAD_FIELD, ERR_MISSING_FIELD, ERR_UNSUPPORTED,
    // ERR_NO_MEMORY, with *problem filled (message names the field and what was expected).
    enum err (*read_request)(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem);
    // NULL, or for a dialect whose addresses say what others have in the body (model, stream): takes it from there.
    // Call it behind read_request. The same errors.
    enum err (*read_address)(struct arena *a, struct slice path, struct slice query, struct request *r,
                             struct problem *problem);
    // A whole answer as this dialect's body.
    enum err (*write_answer)(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out);
    struct stream_writer *(*writer_new)(struct arena *a, const struct request *r, const struct identity *who);
    // Appends zero or more whole frames. EV_ERROR writes the dialect's in-stream error; EV_END its proper end.
    enum err (*writer_event)(struct stream_writer *w, const struct event *ev, struct buf *out);
    // NULL, or: so many frames went to the client as they came, and w counts on from there.
    void (*writer_after)(struct stream_writer *w, int64_t frames);
    // Body of an error answer; *ret_status its HTTP status in this dialect.
    void (*write_error)(const struct problem *p, struct slice request_id, struct buf *out, int *ret_status);

    // --- the upstream's side
    enum err (*write_request)(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem);
    // NULL, or of an upstream that answers in steps: an answer's body → the next one. ERR_UP_PROTOCOL.
    enum err (*read_step)(struct arena *a, struct slice body, bool stream, struct wire_step *ret);
    // A whole answer → the same events that a stream would give, EV_START … EV_END. ERR_UP_PROTOCOL if it is none.
    enum err (*read_answer)(struct arena *a, enum op op, struct slice body, struct event_sink *sink);
    struct stream_reader *(*reader_new)(struct arena *a, enum op op);
    // ERR_UP_PROTOCOL on garbage. Unknown event types are skipped.
    enum err (*reader_frame)(struct stream_reader *r, const struct frame *f, struct event_sink *sink);
    // The upstream closed properly: emits what is owed (block_end, end). ERR_UP_DIED if the answer was not complete.
    enum err (*reader_finish)(struct stream_reader *r, struct event_sink *sink);
    // An error body (any status >= 400, or whatever came with it) → problem. Never fails: an unreadable body gives the
    // error of its status. Slices in the arena.
    void (*read_error)(struct arena *a, int status, struct slice body, unsigned quirks, struct problem *ret);
};

extern const struct dialect *const dialects[DIALECT_COUNT];

// False: it is an upstream's only, and its client's side is another's.
static inline bool dialect_has_clients(const struct dialect *d) {
    return d->addresses->method != NULL;
}
static inline const struct dialect *dialect_get(enum dialect_id id) {
    return dialects[id];
}
// By name; NULL if there is none.
const struct dialect *dialect_by_name(struct slice name);
// Of the stream that r's client gets.
const char *dialect_stream_type(const struct dialect *d, const struct request *r);
// Which dialect and op serve this method and path; NULL if none. *ret_known_path: the path exists with another method.
const struct dialect *dialect_for(struct slice method, struct slice path, enum op *ret_op, bool *ret_known_path);
// Does the path fit the table's pattern? *ret_model: what stands for {model}, raw; p NULL without one.
bool dialect_path_split(const char *pattern, struct slice path, struct slice *ret_model);
// The dialect whose error shape fits a path that is not served: whose address it is with another method, else by its
// beginning (/api/… → Ollama, /v1/messages… → Anthropic, /v1beta/… → Gemini), else OpenAI.
const struct dialect *dialect_for_error(struct slice path);
// HTTP status → error, for upstream answers without a readable body: 401, 403 → UP_AUTH, 404 → UP_NOT_FOUND,
// 408 → UP_TIMEOUT, 429 → UP_RATE_LIMIT, 413 → TOO_LARGE, other 4xx → UP_REFUSED, 503/529 → UP_OVERLOADED, 5xx → UP_INTERNAL.
enum err dialect_err_of_status(int status);

#endif
