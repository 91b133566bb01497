// SPDX-License-Identifier: Apache-2.0
#ifndef NET_HTTP_H
#define NET_HTTP_H
// What the HTTP server and client share.
#include "base/buf.h"
#include "base/slice.h"

struct header {
    struct slice name; // as it came; compare with slice_eq_nocase
    struct slice value;
};

struct headers {
    const struct header *v;
    size_t n;
};

// First header of that name; SLICE_NONE when absent (p NULL; a present empty value has p non-NULL).
struct slice headers_get(const struct headers *h, const char *name);
const char *http_status_text(int status);

#endif
