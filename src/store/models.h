// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_MODELS_H
#define STORE_MODELS_H
// The local store: which weights the engine can serve.
#include "base/arena.h"
#include "config/config.h"
#include "store/gguf.h"

struct model {
    const char *name;  // "smollm2:135m"
    const char *alias; // "smollm2"; NULL
    const char *path;
    const char *sha256;  // hex, of indexed weights; NULL: nothing is promised
    const char *problem; // why it can't be served ("no such file: …"); NULL: it can
    int64_t size_bytes, modified_s;
    bool header_known; // `header` was read
    struct gguf header;
};

struct models {
    struct arena arena;
    struct config *config; // a reference: names point into it
    struct model *v;
    size_t n;
};

// Looks at the disk. Order: config's models, the built-in index, other *.gguf of <data_dir>/models by name.
MUST_CHECK enum err models_new(struct config *c, const char *data_dir, struct models **ret);
void models_free(struct models *m);
const struct model *model_named(const struct models *m, const char *name); // NULL

// Are the weights those of the index? Blocks for as long as reading them takes (off the loop), unless the same file
// (path, size, mtime, inode) was found good before: that is remembered in <data_dir>/verified.
// ERR_OK, ERR_DISK (can't be read), ERR_ENGINE (other bytes); a text in *problem.
MUST_CHECK enum err model_verify(const char *path, const char *sha256_hex, const char *data_dir, struct buf *problem);

#endif
