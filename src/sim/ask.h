// SPDX-License-Identifier: Apache-2.0
#ifndef SIM_ASK_H
#define SIM_ASK_H
// What the scripted provider understands of a request: as little as it needs to answer.
#include "base/json.h"

enum shape {
    SHAPE_OPENAI,
    SHAPE_ANTHROPIC,
    SHAPE_OLLAMA_CHAT,
    SHAPE_OLLAMA_GENERATE,
    SHAPE_RESPONSES,
    SHAPE_GEMINI,
    SHAPE_COUNT
};

struct ask {
    enum shape shape;
    struct slice model;
    struct slice last_user; // text of the last user message
    struct slice marker;    // JSON behind "[[sim " in the last user message or the system text; empty: none
    bool stream;
    bool include_usage;
    bool array;         // Gemini without alt=sse
    int64_t max_tokens; // -1 none
    int64_t input_chars;
};

// target: of the request line, where Gemini has the model and whether to stream. ERR_BAD_JSON, ERR_MISSING_FIELD. Slices live in the arena.
MUST_CHECK enum err ask_read(struct arena *a, enum shape shape, struct slice target, struct slice body,
                             struct ask *ret);

#endif
