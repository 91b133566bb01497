// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_LINE_H
#define LEDGER_LINE_H
// The lines of a journal, which are also the records that the store keeps, so `why` shows exactly what the loop wrote. A
// line is a letter for its kind and fields up to LINE_END, without a line break in it:
//   field  = one byte, its place in LINE_FIELDS + 32, and its value
//   number = zigzag, in bytes of six bits, the lowest first: 0x80 | bits, the last one 0x40 | bits
//   text   = its length as such a number without sign, and its bytes (a line break becomes a space); or LINE_WORD_FIRST and
//            its place in LINE_WORDS, as one byte
//   true   = nothing; object = fields and LINE_END; numbers, objects, rows = how many, without sign, and these. A row is
//            three texts
// Fields that are -1 or empty are left out. The first one is the exchange's id. Places, also of words, never change: add at
// the end.
#include "base/limits.h"
#include "ledger/ledger.h"

#define LINE_INTENT 'i'
#define LINE_RAISED 't' // an attempt that was there before holds more
#define LINE_SETTLED 's'
#define LINE_END '!'

#define LINE_FIELDS(X)                                    \
    X(NONE, "", LINE_TRUE)                                \
    X(ENDS, "", LINE_TRUE)                                \
    X(ID, "id", LINE_TEXT)                                \
    X(ATTEMPT, "attempt", LINE_INT)                       \
    X(WALL_US, "wall_us", LINE_INT)                       \
    X(TARGET, "target", LINE_TEXT)                        \
    X(ENDPOINT, "endpoint", LINE_TEXT)                    \
    X(MODEL, "model", LINE_TEXT)                          \
    X(ZONE, "zone", LINE_TEXT)                            \
    X(KEY, "key", LINE_TEXT)                              \
    X(RUN, "run", LINE_TEXT)                              \
    X(CAP, "cap", LINE_INT)                               \
    X(AT, "at", LINE_INT)                                 \
    X(RESERVED, "reserved", LINE_INT)                     \
    X(TOTAL_US, "total_us", LINE_INT)                     \
    X(OUTCOME, "outcome", LINE_TEXT)                      \
    X(PARENT, "parent", LINE_TEXT)                        \
    X(DIALECT, "dialect", LINE_TEXT)                      \
    X(OP, "op", LINE_TEXT)                                \
    X(ROUTE, "route", LINE_TEXT)                          \
    X(LABEL, "label", LINE_TEXT)                          \
    X(LABEL_SOURCE, "label_source", LINE_TEXT)            \
    X(REACH, "reach", LINE_TEXT)                          \
    X(ERR, "err", LINE_TEXT)                              \
    X(FINISH, "finish", LINE_TEXT)                        \
    X(STREAM, "stream", LINE_TRUE)                        \
    X(STATUS, "status", LINE_INT)                         \
    X(REQUEST_BYTES, "request_bytes", LINE_INT)           \
    X(ANSWER_BYTES, "answer_bytes", LINE_INT)             \
    X(FIRST_EVENT_US, "first_event_us", LINE_INT)         \
    X(STEP_US, "step_us", LINE_INTS)                      \
    X(SNAPSHOT, "snapshot", LINE_INT)                     \
    X(ATTEMPTS, "attempts", LINE_OBJECTS)                 \
    X(DROPS, "drops", LINE_ROWS)                          \
    X(DROPS_SKIPPED, "drops_skipped", LINE_INT)           \
    X(STAGE, "stage", LINE_INT)                           \
    X(REASON, "reason", LINE_TEXT)                        \
    X(HTTP_STATUS, "http_status", LINE_INT)               \
    X(DETAIL, "detail", LINE_TEXT)                        \
    X(START_US, "start_us", LINE_INT)                     \
    X(CONNECTED_US, "connected_us", LINE_INT)             \
    X(END_US, "end_us", LINE_INT)                         \
    X(REUSED_CONNECTION, "reused_connection", LINE_TRUE)  \
    X(USAGE, "usage", LINE_OBJECT)                        \
    X(INPUT_TOKENS, "input_tokens", LINE_INT)             \
    X(CACHE_READ_TOKENS, "cache_read_tokens", LINE_INT)   \
    X(CACHE_WRITE_TOKENS, "cache_write_tokens", LINE_INT) \
    X(OUTPUT_TOKENS, "output_tokens", LINE_INT)           \
    X(REASONING_TOKENS, "reasoning_tokens", LINE_INT)     \
    X(PROMPT_US, "prompt_us", LINE_INT)                   \
    X(OUTPUT_US, "output_us", LINE_INT)                   \
    X(LOAD_US, "load_us", LINE_INT)                       \
    X(ESTIMATED, "estimated", LINE_TRUE)                  \
    X(COST, "cost", LINE_INT)                             \
    X(OVERRUN, "overrun", LINE_INT)                       \
    X(SUSPECT, "suspect", LINE_TRUE)                      \
    X(SENT, "sent", LINE_TRUE)

#define LINE_WORD_FIRST 0xc0
#define LINE_WORDS(X)                                                            \
    X(SETTLED, "settled")                                                        \
    X(FAILED, "failed")                                                          \
    X(NOT_SENT, "not_sent")                                                      \
    X(UNKNOWN, "unknown")                                                        \
    X(OPEN, "open")                                                              \
    X(DEVICE, "device")                                                          \
    X(EDGE, "edge")                                                              \
    X(SEALED, "sealed")                                                          \
    X(CLOUD, "cloud")                                                            \
    X(PUBLIC, "public")                                                          \
    X(INTERNAL, "internal")                                                      \
    X(PERSONAL, "personal")                                                      \
    X(SECRET, "secret")                                                          \
    X(OPENAI, "openai")                                                          \
    X(RESPONSES, "responses")                                                    \
    X(ANTHROPIC, "anthropic")                                                    \
    X(OLLAMA, "ollama")                                                          \
    X(GEMINI, "gemini")                                                          \
    X(REPLICATE, "replicate")                                                    \
    X(CHAT, "chat")                                                              \
    X(GENERATE, "generate")                                                      \
    X(COUNT_TOKENS, "count_tokens")                                              \
    X(EMBED, "embed")                                                            \
    X(RERANK, "rerank")                                                          \
    X(DEFAULT, "default")                                                        \
    X(HEADER, "header")                                                          \
    X(KEY, "key")                                                                \
    X(ROUTE, "route")                                                            \
    X(REACH_YES, "device=yes edge=yes sealed=yes cloud=yes")                     \
    X(REACH_NO_RETENTION, "device=yes edge=yes sealed=yes cloud=no_retention")   \
    X(REACH_PSEUDONYMISED, "device=yes edge=yes sealed=yes cloud=pseudonymised") \
    X(REACH_NO, "device=yes edge=no sealed=no cloud=no")                         \
    X(STOP, "stop")                                                              \
    X(LENGTH, "length")                                                          \
    X(TOOL, "tool")                                                              \
    X(STOP_SEQUENCE, "stop_sequence")                                            \
    X(NONE, "none")
enum line_word {
#define X(name, text) WORD_##name,
    LINE_WORDS(X)
#undef X
        WORD_COUNT
};
extern const struct slice line_words[WORD_COUNT]; // line_read.c

enum line_type { LINE_INT, LINE_TEXT, LINE_TRUE, LINE_OBJECT, LINE_INTS, LINE_OBJECTS, LINE_ROWS };
enum line_field {
#define X(name, text, type) LINE_##name,
    LINE_FIELDS(X)
#undef X
        LINE_FIELD_COUNT
};
struct line_field_row {
    const char *name;
    enum line_type type;
};
extern const struct line_field_row line_fields[LINE_FIELD_COUNT]; // line_read.c

// Without the line break. False: it does not fit in out->max, or memory is out.
MUST_CHECK bool line_write_intent(struct buf *out, const struct attempt_intent *i);
// Texts are shortened until the line fits; money and ids never are. outcome: NULL, or "open" or "unknown" for an exchange
// whose settlement was never written.
MUST_CHECK bool line_write_settlement(struct buf *out, const struct settlement *s, const char *outcome);

// --- reading (line_read.c); lines are without their line break, slices are borrowed from them
// The id when it is a line of a kind that there is, complete at both its ends; what is between is not looked at.
struct slice line_id(struct slice line);
// Of the fields that are not inside objects. Only of lines that line_facts_read or line_intent_read found whole.
int64_t line_int(struct slice line, enum line_field wanted, int64_t otherwise);
struct slice line_text(struct slice line, enum line_field wanted);
struct line_intent {
    struct slice id, key;
    int64_t attempt, reserved; // 0 and -1 where they are missing
};
// False: it is none, or it is broken.
MUST_CHECK bool line_intent_read(struct slice line, struct line_intent *ret);

struct line_attempt {
    struct slice target;
    int64_t cost, overrun, money_s; // -1: not there
    int64_t input_tokens, output_tokens;
    bool sent, settled, unknown;
};
#define LINE_ATTEMPTS_MOST (2 * LIMIT_ATTEMPTS)
struct line_facts {
    struct slice id, model, key, run;
    int64_t wall_us, total_us, cap;
    bool child, settled;
    struct line_attempt attempts[LINE_ATTEMPTS_MOST];
    size_t n_attempts;
};
// What the sums, the log's filters and the order of records need of a settlement. False: it is none, or it is broken.
MUST_CHECK bool line_facts_read(struct slice line, struct line_facts *ret);
int64_t line_ended_us(const struct line_facts *f);
// The attempt that gave the answer, else the last one, else NULL.
const struct line_attempt *line_chosen(const struct line_facts *f);

// As JSON, appended: what `why` and the log are written from. False: it is broken, or memory is out.
MUST_CHECK bool line_to_json(struct slice line, struct buf *out);
// A line, or a record, as they were before schema 3: JSON with its kind in "k". ERR_BAD_JSON, ERR_NO_MEMORY.
MUST_CHECK enum err line_from_json(struct slice json, struct buf *out);

#endif
