// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_FOREIGN_H
#define STORE_FOREIGN_H
#include "store/models.h"

// Where another program keeps what it has, whether it is there or not.
struct foreign_root {
    enum foreign_kind { FOREIGN_OLLAMA, FOREIGN_LMSTUDIO, FOREIGN_HUGGINGFACE } kind;
    const char *path; // absolute; in the arena
};
#define FOREIGN_ROOTS_MAX 8
// By variables and home. Returns how many.
size_t foreign_roots(struct arena *a, struct foreign_root ret[FOREIGN_ROOTS_MAX]);

// Adds what other programs' stores on this disk hold and nobody has named yet. Reads only.
void foreign_add(struct models *m);

#endif
