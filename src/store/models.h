// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_MODELS_H
#define STORE_MODELS_H
// The local store: which weights the engine can serve.
#include "base/arena.h"
#include "config/config.h"
#include "store/gguf.h"
#include "store/manifest.h"

enum model_from {
    MODEL_FROM_CONFIG,
    MODEL_FROM_STORE,  // pulled or created: a manifest
    MODEL_FROM_INDEX,  // a file whose bytes we know
    MODEL_FROM_FOLDER, // a *.gguf in <data_dir>/models
    MODEL_FROM_OLLAMA, // of another program, used in place: foreign.c
    MODEL_FROM_LMSTUDIO,
    MODEL_FROM_HUGGINGFACE,
};
const char *model_from_name(
    enum model_from f); // "config", "store", "index", "folder", "ollama", "lmstudio", "huggingface"

struct model {
    const char *name;    // "smollm2:135m"
    const char *alias;   // "smollm2"; NULL
    const char *path;    // of a GGUF in parts the first, named as llama.cpp wants it
    const char *sha256;  // hex, of indexed weights and blobs; NULL: nothing is promised
    const char *problem; // why it can't be served ("no such file: …"); NULL: it can
    enum model_from from;
    unsigned n_parts;      // of a GGUF in parts, else 1
    const char *projector; // path of a multimodal projector, or NULL
    const char **adapters; // paths of LoRA adapters that are put on the weights
    size_t n_adapters;
    const char *draft;         // a model's name, "ngram", or a path; NULL: none was made with it
    const char *template_file; // Jinja, instead of the weights' own, or NULL
    // What a Modelfile said: defaults of each request. NULL or empty: nothing.
    const char *system, *license, *source, *note;
    struct slice parameters;        // JSON object, Ollama's names
    struct slice messages;          // JSON array of {role, content}
    int64_t num_ctx;                // of the parameters: tokens of a slot; 0: not given
    int64_t size_bytes, modified_s; // of all its parts, without a projector
    bool header_known;              // `header` was read
    struct gguf header;
};

struct models {
    struct arena arena;
    struct config *config; // a reference: names point into it
    struct model *v;
    size_t n;
};

// Looks at the disk. Order: config's models, the names of the store, the built-in index, other *.gguf of <data_dir>/models
// by name, what other programs hold.
MUST_CHECK enum err models_new(struct config *c, const char *data_dir, struct models **ret);
void models_free(struct models *m);
const struct model *model_named(const struct models *m, const char *name); // NULL
// One more, unless the name is taken or there are too many: NULL. Strings are the arena's. For models.c and foreign.c.
struct model *model_add(struct models *m, const char *name, const char *path, enum model_from from);

// What a manifest says beyond its files; its strings are the arena's.
void model_describe(struct models *m, struct model *model, const struct manifest *f);

// Are the weights those of the index? Blocks for as long as reading them takes (off the loop), unless the same file
// (path, size, mtime, inode) was found good before: that is remembered in <data_dir>/verified.
// ERR_OK, ERR_DISK (can't be read), ERR_ENGINE (other bytes); a text in *problem.
MUST_CHECK enum err model_verify(const char *path, const char *sha256_hex, const char *data_dir, struct buf *problem);

// Its bytes were just read and are the promised ones: a start need not read them again. Best effort.
void model_trust(const char *path, const char *sha256_hex, const char *data_dir);

#endif
