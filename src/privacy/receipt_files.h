// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_RECEIPT_FILES_H
#define PRIVACY_RECEIPT_FILES_H
// Between the writer of receipts and their reader: where they lie and how a line is taken apart.
#include "privacy/receipt.h"

#define RECEIPT_FILE_BYTES (16u << 20) // then the next file begins
#define RECEIPT_LINE_BYTES (64u << 10) // no line is longer

// "<dir>/00000007.jsonl"
void receipt_path(struct buf *out, const char *dir, unsigned file);

struct receipt_list {
    unsigned *v; // file numbers, ascending; mem_free
    size_t n;
};
// No folder is an empty list. ERR_DISK, ERR_NO_MEMORY.
MUST_CHECK enum err receipt_files(const char *dir, struct receipt_list *ret);

// Of SHA-256, with a NUL.
void receipt_hash(struct slice s, char hex[RECEIPT_HASH_HEX + 1]);

struct receipt_line {
    uint64_t seq;
    struct slice prev, hash, hashed; // hashed: what the hash is over
};
// False: it is no line of ours.
bool receipt_line_read(struct slice line, struct receipt_line *ret);

// The end of the chain: of the last file, or the one before where that is empty.
struct receipt_tail {
    bool readable;
    uint64_t seq;
    char hash[RECEIPT_HASH_HEX + 1];
    int64_t whole, torn; // bytes of the last file
};
MUST_CHECK enum err receipt_tail_read(const char *dir, const struct receipt_list *list, struct receipt_tail *ret);

#endif
