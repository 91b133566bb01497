// SPDX-License-Identifier: Apache-2.0
#ifndef NET_HEAD_H
#define NET_HEAD_H
// HTTP/1.x messages as bytes (RFC 9112), for both ends; only net/ includes it. Heads are parsed whole, in place.
#include <llhttp.h>
#include "base/err.h"
#include "net/http.h"

// Where the search for the end of a head stands. Zeroed to begin.
struct head_scan {
    size_t line; // start of the unfinished line
    size_t seen; // bytes looked at
};
enum head_found { HEAD_MORE, HEAD_WHOLE, HEAD_BAD };
// s: all that has come of the head, from its first byte. HEAD_WHOLE: *ret_n is its length with the blank line.
// HEAD_BAD: a line that does not end with CRLF, that starts with white space (obs-fold), or an empty first line.
enum head_found head_scan(struct head_scan *scan, struct slice s, size_t *ret_n);

// One message. The slices are borrowed from the head that was parsed.
struct message {
    llhttp_t parser;
    struct slice method; // requests
    struct slice target;
    int status; // responses
    unsigned major, minor;
    struct header *v; // the caller's
    size_t n, max;
    uint64_t length; // content-length, when has_length
    bool has_length;
    bool chunked;
    bool keep_alive; // the version and `connection` allow another message
    bool says_close; // `connection: close` was given
    bool too_many;   // more headers than max
    bool head_done;
    bool whole; // the chunked body's end was seen
    // A piece of a chunked body. False stops: message_body returns ERR_CANCELLED, and touches m no more.
    bool (*on_piece)(void *user, struct slice piece);
    void *user;
};

// Parses a whole head. v: room for max headers, only used inside. ERR_BAD_REQUEST: it breaks the grammar or its framing
// is not plain (two lengths, length and transfer-encoding, a coding other than chunked); ERR_HEADERS_TOO_LARGE: more
// than max headers.
MUST_CHECK enum err message_head(struct message *m, llhttp_type_t type, struct slice head, struct header *v,
                                 size_t max);
// Bytes of a chunked body, after message_head. Sets m->whole at the end; *ret_used tells where that was.
// ERR_BAD_REQUEST: bad chunks.
MUST_CHECK enum err message_body(struct message *m, struct slice bytes, size_t *ret_used);

#endif
