// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_DATABASE_H
#define PRIVACY_DATABASE_H
// Vectorscan's databases: of the table's anchors, kept compiled on the disk, and of the operator's words.
#include <hs/hs.h>
#include "base/buf.h"
#include "base/err.h"

// Each distinct anchor of the table once; a hit's id is the number of the first row that has it. Taken from `dir`,
// where it lies under a name that holds the library's version, the processor and the table; built and put there when it
// is not there or broken (a second of one core; a folder that can't be written is no error). dir NULL: built. Blocks.
// ERR_INTERNAL with *problem (the library refuses the table or the processor), ERR_NO_MEMORY.
MUST_CHECK enum err database_open(const char *dir, hs_database_t **ret, struct buf *problem);
// Words as they stand, ASCII case aside; a hit's id is the word's number. n > 0. The same errors.
MUST_CHECK enum err database_of_words(const char *const *words, size_t n, hs_database_t **ret, struct buf *problem);
// From the file alone. ERR_NOT_FOUND; ERR_DISK: it is not what was put there.
MUST_CHECK enum err database_load(const char *path, hs_database_t **ret);
// "<dir>/patterns-….hs" appended.
void database_path(const char *dir, struct buf *out);

#endif
