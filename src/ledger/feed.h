// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_FEED_H
#define LEDGER_FEED_H
// Journal lines → store. The caller has a transaction open.
#include "ledger/store.h"

struct feed;
// st is borrowed.
MUST_CHECK enum err feed_new(struct store *st, struct feed **ret);
void feed_free(struct feed *f); // NULL is allowed
// From now on each line comes once: until then each settlement is looked up first.
void feed_trust(struct feed *f);

// Reads whole lines of fd from *offset on, at most about 8 MiB, and moves *offset behind what it took. last: no more will
// come, so a piece without a newline at the end is a torn line: skipped and counted. *ret_end: the end was reached.
// ERR_DISK (roll back; *offset is then untouched), ERR_NO_MEMORY.
MUST_CHECK enum err feed_file(struct feed *f, int fd, bool last, int64_t *offset, bool *ret_end);
// Reads what was read before, up to `end`, for the attempts that were begun there and not settled. ERR_DISK, ERR_NO_MEMORY.
MUST_CHECK enum err feed_again(struct feed *f, int fd, int64_t end);
// One line, as feed_file would take it.
MUST_CHECK enum err feed_line(struct feed *f, struct slice line);
// An exchange with open attempts and no settlement, as a line with this outcome ("open", "unknown"), appended.
// ERR_NOT_FOUND, ERR_NO_MEMORY.
MUST_CHECK enum err feed_open_record(struct feed *f, struct slice exchange, const char *outcome, struct buf *ret);

#endif
