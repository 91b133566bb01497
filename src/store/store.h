// SPDX-License-Identifier: Apache-2.0
#ifndef STORE_STORE_H
#define STORE_STORE_H
// The store on disk, below <data_dir>/models: blobs/sha256-HEX (content addressed, never changed), names/*.json (a manifest
// each), splits/HEX/ (a GGUF in parts under the names that llama.cpp looks for, as links to blobs). All of it blocks on the
// disk: off the loops. Calls may come from several threads; two processes on one folder is not a thing that happens.
#include "store/manifest.h"

MUST_CHECK enum err store_make_dirs(const char *data_dir); // ERR_DISK
void store_blob_path(const char *data_dir, const char *hex, struct buf *out);
int64_t store_blob_bytes(const char *data_dir, const char *hex); // -1: it is not there
// The path that llama-server gets for these weights.
void store_weights_path(const char *data_dir, const struct manifest *m, struct buf *out);

int64_t store_bytes(const char *data_dir); // of all that lies there, partial files too

// Bytes → blob. ERR_DISK (errno says).
MUST_CHECK enum err store_put_blob(const char *data_dir, struct slice bytes, char ret_hex[HEX_BYTES]);

// Written whole or not at all; what had the name before loses it, and its blobs if nobody else has them.
// ERR_NOT_FOUND: a blob is not there; ERR_DISK; ERR_NO_MEMORY.
MUST_CHECK enum err store_save(const char *data_dir, const struct manifest *m);
// ERR_NOT_FOUND, ERR_BAD_JSON or ERR_BAD_FIELD (damaged), ERR_DISK, ERR_NO_MEMORY. All in the arena.
MUST_CHECK enum err store_load(const char *data_dir, const char *name, struct arena *a, struct manifest *ret);
// All that can be read, by name; *ret_bad counts those that can't.
MUST_CHECK enum err store_list(const char *data_dir, struct arena *a, struct manifest **ret, size_t *ret_n,
                               unsigned *ret_bad);
// The name goes, and each blob that no other name uses. ERR_NOT_FOUND, ERR_DISK, ERR_NO_MEMORY.
MUST_CHECK enum err store_remove(const char *data_dir, const char *name, int64_t *ret_freed);

// The blob goes, unless a name uses it.
void store_forget(const char *data_dir, const char *hex);

// ENOSPC while the file that $GRIDTIE_FAULT_DISK names is there (as ledger/journal.h), else 0. For tests of a full disk.
int store_fault(void);

#endif
