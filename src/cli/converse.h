// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_CONVERSE_H
#define CLI_CONVERSE_H
// A conversation with one model at a time through the daemon: what was said, what the next request carries beside it, and
// the answer that is printed as it comes. Kept as JSON text, and only here.
#include "base/limits.h"
#include "cli/talk.h"
#include "net/sse.h"

// What a request may say about how to answer; each is sent only when it is set.
#define CONVERSE_SETTINGS(X)                         \
    X(TEMPERATURE, "temperature", false)             \
    X(TOP_P, "top_p", false)                         \
    X(MAX_TOKENS, "max_tokens", false)               \
    X(SEED, "seed", false)                           \
    X(STOP, "stop", true)                            \
    X(FREQUENCY_PENALTY, "frequency_penalty", false) \
    X(PRESENCE_PENALTY, "presence_penalty", false)   \
    X(REASONING_EFFORT, "reasoning_effort", true)
enum setting {
#define X(id, name, text) SETTING_##id,
    CONVERSE_SETTINGS(X)
#undef X
        SETTING_COUNT
};

struct converse {
    const struct cli *cli;
    struct talk talk;
    char model[LIMIT_MODEL_NAME_BYTES + 1];
    struct buf system;            // empty: none
    struct buf messages;          // JSON objects with commas between, without the system's
    struct buf images;            // content parts for the next question, a comma before each
    struct buf schema;            // the JSON schema that answers keep to; empty: none
    char set[SETTING_COUNT][256]; // JSON; empty: not set
    bool verbose;
    // the answer that comes now
    struct frame_reader frames;
    struct buf answer; // its text
    struct buf error;  // the body, when the status is none of success
    char id[80];       // of the last request; "" before the first
    bool out_is_terminal, err_is_terminal, waits_shown, any, thinks, in_stream_error;
    char last; // character printed
    uint64_t start_us, first_us, end_us;
    int64_t input_tokens, output_tokens;
};

// Finds or starts the daemon, and takes --system, --image, --json-schema and --verbose. False: the error is printed, and
// *status is the exit status; nothing is to be closed then.
bool converse_open(struct converse *x, const struct cli *c, const char *model, int *status);
void converse_close(struct converse *x);
// False, and the error printed: a name that is too long.
bool converse_model(struct converse *x, struct slice name);
// Asks, and prints the answer as it comes. Returns an exit status: 0, 1 (the error is printed) or 130 (Ctrl-C). What was
// said joins the conversation; a question without an answer does not.
int converse_say(struct converse *x, struct slice prompt);
// Takes an image (PNG, JPEG, GIF, WebP) along with the next question. False: the error is printed.
bool converse_image(struct converse *x, const char *path);
// Takes a value as a person wrote it; an empty one unsets. False: the error is printed.
bool converse_set(struct converse *x, enum setting s, struct slice value);
const char *converse_setting_name(enum setting s);
// All that was said is forgotten, the settings stay.
void converse_clear(struct converse *x);
// The whole conversation as one JSON object, and back. False: the error is printed and nothing has changed.
bool converse_save(struct converse *x, const char *path);
bool converse_load(struct converse *x, const char *path);

#endif
