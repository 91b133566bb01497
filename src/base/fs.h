// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_FS_H
#define BASE_FS_H
#include "base/buf.h"
#include "base/err.h"

// Whole file appended to *out. ERR_NOT_FOUND, ERR_TOO_LARGE (more than max bytes), ERR_DISK (errno says), ERR_NO_MEMORY.
MUST_CHECK enum err fs_read_file(const char *path, size_t max, struct buf *out);
// Written beside, synced, renamed over. ERR_DISK.
MUST_CHECK enum err fs_write_atomic(const char *path, struct slice content, unsigned mode);
// Renamed over, and on the disk when it returns (the content must be synced before). ERR_DISK (errno says).
MUST_CHECK enum err fs_rename_synced(const char *from, const char *to);
// The directory and all above it. ERR_DISK.
MUST_CHECK enum err fs_mkdirs(const char *path, unsigned mode);
bool fs_exists(const char *path);
// A folder and all below it; links are not followed. Best effort.
void fs_remove_tree(const char *path);

// $HOME, or what the user database says; appended.
void fs_home_dir(struct buf *out);
// Where things are (XDG base directories); appended. $XDG_CONFIG_HOME/gridtie, $XDG_DATA_HOME/gridtie,
// $XDG_RUNTIME_DIR/gridtie (else the data directory's run/), $GRIDTIE_CACHE (else
// $XDG_CACHE_HOME/gridtie).
void fs_config_dir(struct buf *out);
void fs_data_dir(struct buf *out);
void fs_runtime_dir(struct buf *out);
void fs_cache_dir(struct buf *out);

#endif
