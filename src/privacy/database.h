// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_DATABASE_H
#define PRIVACY_DATABASE_H
// Vectorscan's databases: of the table's anchors, kept compiled on the disk, and of the operator's words.
#include <hs/hs.h>
#include "base/buf.h"
#include "base/err.h"

// Each distinct anchor of the table once; a hit's id is the number of the first row that has it. Taken from the first of
// `dirs` (ends with NULL) that has it, under a name that holds the library's version, the processor and the table; else
// built (a second of one core) and put into the last of them, where that can be written. Blocks. ERR_INTERNAL with
// *problem (the library refuses the table or the processor), ERR_NO_MEMORY.
MUST_CHECK enum err database_open(const char *const *dirs, hs_database_t **ret, struct buf *problem);
// `gridtie --build-patterns DIR STAMP`, which the build calls: builds it into DIR where it is not there yet, and writes an
// empty STAMP. Exit status.
int database_build_main(int argc, char **argv);
// Words as they stand, ASCII case aside; a hit's id is the word's number. n > 0. The same errors.
MUST_CHECK enum err database_of_words(const char *const *words, size_t n, hs_database_t **ret, struct buf *problem);
// From the file alone. ERR_NOT_FOUND; ERR_DISK: it is not what was put there.
MUST_CHECK enum err database_load(const char *path, hs_database_t **ret);
// "<dir>/patterns-….hs" appended.
void database_path(const char *dir, struct buf *out);

#endif
