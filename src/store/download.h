// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_DOWNLOAD_H
#define STORE_DOWNLOAD_H
// A file from anywhere into a blob: resumed where it was cut, checked while it comes, in place only when it is whole.
#include "store/store.h"
#include "store/wire.h"

struct download {
    struct slice url;
    const struct secret *bearer; // NULL none
    const char *sha256;          // hex; NULL: nobody says, the blob's name is what came
    int64_t bytes;               // -1: nobody says
    const char *what;            // for people: "x-00001-of-00002.gguf"
    const char *page;            // wire_call.page
};
// Downloads as a step of the job. ret_hex: the blob. Errors have the job's problem said.
MUST_CHECK enum err download_run(struct wire *w, const struct download *d, char ret_hex[HEX_BYTES], int64_t *ret_bytes);

// Copies a local file into a blob, as a step of the job.
MUST_CHECK enum err download_copy(struct job *j, const char *path, char ret_hex[HEX_BYTES], int64_t *ret_bytes);

#endif
