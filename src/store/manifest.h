// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H
// What the store writes down about one name: which blobs it is made of, and what a Modelfile said.
#include "base/json.h"
#include "store/name.h"

#define HEX_BYTES 65 // of a sha256, with its NUL
#define MANIFEST_PARTS_MAX 256
#define MANIFEST_ADAPTERS_MAX 8
#define MANIFEST_BYTES (4u << 20) // licences of some models are long, and so are conversations in a Modelfile

struct manifest {
    const char *name;
    const char **weights; // hex of the blobs, in the order of a split GGUF; none: `file`
    size_t n_weights;
    const char *file;      // weights that lie elsewhere and are used in place: an absolute path
    const char *projector; // hex; NULL none
    const char **adapters; // hex of the blobs: low-rank changes of the weights (LoRA)
    size_t n_adapters;
    const char *draft;    // what guesses ahead: a model's name, "ngram", or "sha256:HEX" of a blob; NULL none
    const char *template; // hex of a blob with a Jinja template; NULL: the weights' own
    const char *system, *license, *source, *parent, *note; // NULL: none
    struct slice parameters;                               // JSON object, as Ollama's PARAMETERs are named; empty: none
    struct slice messages;                                 // JSON array of {role, content}; empty: none
    int64_t size_bytes, created_s;
};

// Is this 64 digits of lower-case hex? With or without "sha256:" (or "sha256-") before it; *ret gets the digits.
bool digest_parse(struct slice s, char ret[HEX_BYTES]);

// The digits of "sha256:HEX" in m->draft; NULL: it is no blob.
const char *manifest_draft_blob(const struct manifest *m);

// All in the arena. ERR_BAD_JSON, ERR_BAD_FIELD, ERR_NO_MEMORY.
MUST_CHECK enum err manifest_read(struct arena *a, struct slice json, struct manifest *ret);
void manifest_write(const struct manifest *m, struct buf *out);

#endif
