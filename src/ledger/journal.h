// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_JOURNAL_H
#define LEDGER_JOURNAL_H
// One loop's journal: numbered segment files that only ever grow.
#include <stdatomic.h>
#include "ledger/ledger.h"

// folder is borrowed for the journal's life. Makes the first segment. ERR_DISK (errno says), ERR_NO_MEMORY.
MUST_CHECK enum err journal_open(const char *folder, unsigned index, uint64_t seq, struct journal **ret);
// Tries once more what waits in memory; what still can't be written is counted as lost. NULL is allowed.
void journal_close(struct journal *j);

// Any thread. The segment that is written to now; all before it are complete.
uint64_t journal_seq(const struct journal *j);
uint64_t journal_failures(const struct journal *j);
uint64_t journal_lost(const struct journal *j);
// The ledger's thread: lines that wait because of a full disk are tried again.
void journal_retry(struct journal *j);

#define JOURNAL_SUFFIX ".journal"
// "<folder>/<index>-<seq>.journal" into out.
void journal_segment_path(struct buf *out, const char *folder, unsigned index, uint64_t seq);

// Tests: from now on every write to a journal takes `after_bytes` bytes and then fails with this errno; 0 ends it.
void journal_set_fault(int error, size_t after_bytes);
// Segments are rotated at so many bytes; 0: LIMIT_JOURNAL_SEGMENT_BYTES.
void journal_set_segment_bytes(uint64_t n);
// Reads $GRIDTIE_FAULT_DISK: ENOSPC, EIO or EFBIG (always), or /a/path (ENOSPC while that file exists).
void journal_fault_from_env(void);
// The fault of now, as an errno; 0 none.
int journal_fault(void);

#endif
