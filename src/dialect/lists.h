// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_LISTS_H
#define DIALECT_LISTS_H
// What clients ask beside answers: which models there are, in each dialect's shape, and Ollama's small answers. Pure
// writing from plain rows; who may see which model is the caller's to decide. Each appends one whole body.
#include "base/buf.h"

struct model_row {
    struct slice name;           // as a client gives it: "local/qwen3:8b", "auto"
    struct slice owner;          // endpoint or "gridtie"
    struct slice zone;           // "device", "edge", …
    struct slice family;         // "qwen3"; empty unknown
    struct slice parameter_size; // "8.2B"; empty unknown
    struct slice quantization;   // "Q4_K_M"; empty unknown
    struct slice digest;         // sha256, hex; empty: made of the name
    struct slice template;       // chat template; empty unknown
    int64_t context;             // tokens; 0 unknown
    int64_t parameters;          // count; 0 unknown
    int64_t size_bytes;          // 0 unknown or not here
    int64_t vram_bytes;          // of a loaded model
    int64_t created_s;           // Unix seconds; 0 unknown
    int64_t expires_s;           // of a loaded model: when it goes; 0 never
    bool local;                  // its weights are on this machine
    bool loaded;
    bool vision, tools, thinking;
    bool embedding; // makes vectors, not text
};

// OpenAI: GET /v1/models, GET /v1/models/{id}
void list_openai(struct buf *out, const struct model_row *rows, size_t n);
void list_openai_one(struct buf *out, const struct model_row *row);

// Anthropic: GET /v1/models (with anthropic-version), GET /v1/models/{id}. What a page is comes from the query:
// after and before are ids (empty: none), limit 1…1000 (0: 20).
struct list_page {
    struct slice after, before;
    int64_t limit;
};
void list_anthropic(struct buf *out, const struct model_row *rows, size_t n, const struct list_page *page);
void list_anthropic_one(struct buf *out, const struct model_row *row);

// Ollama: GET /api/tags, GET /api/ps (only loaded ones are written), POST /api/show, GET /api/version
void list_ollama_tags(struct buf *out, const struct model_row *rows, size_t n);
void list_ollama_ps(struct buf *out, const struct model_row *rows, size_t n);
void list_ollama_show(struct buf *out, const struct model_row *row);
// The version that clients compare to know what we can do: an Ollama's, not gridtie's.
void list_ollama_version(struct buf *out, struct slice version);

#endif
