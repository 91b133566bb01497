// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_UNESCAPE_H
#define PRIVACY_UNESCAPE_H
// The inside of a JSON string as the text that it means, and back to its bytes. What is no valid escape stays as it is.
#include "base/buf.h"

void unescape_append(struct buf *out, struct slice raw);
// Where byte `text_at` of the text begins in raw (raw.n at its end).
size_t unescape_offset(struct slice raw, size_t text_at);
// JSON with the escapes undone that are not needed (\u0040 is "@", \/ is "/"): the same JSON, appended. Returns how much of
// raw is done; with `more` that is without what may be the beginning of an escape, 5 bytes at most.
size_t unescape_plain(struct slice raw, bool more, struct buf *out);

#endif
