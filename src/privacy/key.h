// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_KEY_H
#define PRIVACY_KEY_H
#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

// The node's own key, from which stand-ins come: $GRIDTIE_STATE_KEY, the file that $GRIDTIE_STATE_KEY_FILE names,
// gridtie-state-key in $CREDENTIALS_DIRECTORY (systemd), else state.key in state_dir, made (0600) at the first time.
// ERR_DISK, ERR_BAD_FIELD (shorter than 16 bytes) with *problem; ERR_NO_MEMORY. Blocks.
MUST_CHECK enum err state_key_open(const char *state_dir, struct secret *ret, struct buf *problem);

#endif
