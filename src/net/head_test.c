// SPDX-License-Identifier: Apache-2.0
// Heads and chunks as bytes, and llhttp's own vectors: what it refuses in strict mode, we refuse.
#include "net/head.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/limits.h"
#include "unit.h"

// Reads all messages of s one behind the other, as server and link do. False: refused.
static bool messages_read(llhttp_type_t type, struct slice s) {
    while (s.n) {
        struct head_scan scan = {0};
        struct message m;
        struct header v[LIMIT_HEADERS];
        size_t n = 0, used = 0;
        enum head_found found = head_scan(&scan, s, &n);
        if (found == HEAD_MORE)
            return true;
        if (found == HEAD_BAD || message_head(&m, type, slice_first(s, n), v, LIMIT_HEADERS))
            return false;
        s = slice_from(s, n);
        if (m.chunked && message_body(&m, s, &used))
            return false;
        if (m.has_length && m.length > s.n)
            return true;
        if (type == HTTP_RESPONSE && !m.chunked && !m.has_length)
            return true;
        s = slice_from(s, m.chunked ? used : (size_t)m.length);
        if (!m.keep_alive)
            return true;
    }
    return true;
}

// The md files hold each message as text: \r \n \t \f \xNN are escapes, a line's end is CRLF unless escaped.
static void vector_bytes(struct slice text, struct buf *out) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i], next = i + 1 < text.n ? text.p[i + 1] : 0;
        if (c == '\n') {
            buf_append_str(out, "\r\n");
        } else if (c != '\\') {
            buf_append_char(out, c);
        } else if (next == 'x' && i + 3 < text.n) {
            char hex[3] = {text.p[i + 2], text.p[i + 3], 0};
            buf_append_char(out, (char)strtol(hex, NULL, 16));
            i += 3;
        } else {
            if (next != '\n')
                buf_append_char(out, next == 'r'   ? '\r'
                                     : next == 'n' ? '\n'
                                     : next == 't' ? '\t'
                                     : next == 'f' ? '\f'
                                                   : next);
            i++;
        }
    }
}

static struct slice block_after(struct slice *rest, const char *fence) {
    size_t at = slice_search(*rest, slice_str(fence));
    if (at == SIZE_MAX)
        return SLICE_NONE;
    *rest = slice_from(*rest, at + strlen(fence));
    size_t end = slice_search(*rest, SLICE("\n```"));
    struct slice block = slice_first(*rest, end);
    *rest = slice_from(*rest, end);
    return block;
}

// Not for us: what comes behind `close` is not read; and callbacks of the vectors' own.
static bool error_is_ours(struct slice log) {
    static const char *const not [] = {"after `Connection: close`", "pause", "Span callback", "error code=22",
                                       "error code=23"};
    if (slice_search(log, SLICE("error code=")) == SIZE_MAX)
        return false;
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++)
        if (slice_search(log, slice_str(not [i])) != SIZE_MAX)
            return false;
    return true;
}

static unsigned vectors_run(const char *dir, const char *file, llhttp_type_t type) {
    char path[600];
    struct buf text = BUF_INIT(1 << 20), bytes = BUF_INIT(1 << 20);
    unsigned n = 0;
    (void)snprintf(path, sizeof path, "%s/vectors/nodejs+llhttp/test/%s", dir, file);
    FILE *f = fopen(path, "r");
    for (int c; f && (c = fgetc(f)) != EOF;)
        buf_append_char(&text, (char)c);
    if (f)
        (void)fclose(f);
    struct slice rest = buf_slice(&text);
    for (size_t at; (at = slice_search(rest, SLICE("<!-- meta="))) != SIZE_MAX;) {
        rest = slice_from(rest, at);
        struct slice meta = slice_first(rest, slice_find(rest, '\n'));
        struct slice http = block_after(&rest, "```http\n"), log = block_after(&rest, "```log\n");
        bool strict = slice_search(meta, SLICE("\"request\"")) != SIZE_MAX ||
                      slice_search(meta, SLICE("\"response\"")) != SIZE_MAX;
        if (!strict || !error_is_ours(log))
            continue;
        buf_clear(&bytes);
        vector_bytes(http, &bytes);
        buf_append_str(&bytes, "\r\n\r\n"); // heads are judged when they are whole
        n++;
        if (messages_read(type, buf_slice(&bytes)))
            unit_fail(file, 0, "accepted: %s\n%.*s", buf_cstr(&bytes), SLICE_FMT(log));
    }
    buf_done(&text);
    buf_done(&bytes);
    return n;
}

TEST(head_refuses_what_llhttp_refuses) {
    static const char *const requests[] = {
        "request/invalid.md", "request/content-length.md", "request/transfer-encoding.md",
        "request/method.md",  "request/connection.md",     "request/sample.md",
        "request/uri.md",     "request/pipelining.md",     "request/finish.md"};
    static const char *const responses[] = {"response/invalid.md", "response/content-length.md",
                                            "response/transfer-encoding.md", "response/connection.md",
                                            "response/sample.md"};
    const char *dir = getenv("GRIDTIE_SHARED");
    unsigned n = 0;
    if (!dir) {
        unit_skip("GRIDTIE_SHARED is not set: no vectors");
        return;
    }
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        n += vectors_run(dir, requests[i], HTTP_REQUEST);
    for (size_t i = 0; i < sizeof responses / sizeof responses[0]; i++)
        n += vectors_run(dir, responses[i], HTTP_RESPONSE);
    if (n == 0)
        unit_skip("no vectors there");
    else
        CHECK(n > 20);
}

TEST(head_scan_finds_the_end_however_it_comes) {
    struct slice s = SLICE("GET / HTTP/1.1\r\nA: b\r\n\r\nrest");
    for (size_t cut = 1; cut < s.n; cut++) {
        struct head_scan scan = {0};
        size_t n = 0;
        enum head_found found = head_scan(&scan, slice_first(s, cut), &n);
        CHECK_EQ(found, cut < 24 ? HEAD_MORE : HEAD_WHOLE);
        if (found == HEAD_MORE)
            CHECK_EQ(head_scan(&scan, s, &n), HEAD_WHOLE);
        CHECK_EQ(n, 24);
    }
}

TEST(head_speaks_http_only) {
    static const char *const others[] = {"SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n",
                                         "DESCRIBE /x RTSP/1.0\r\nHost: a\r\n\r\n",
                                         "GET /x HTTP/0.9\r\nHost: a\r\n\r\n", "GET /x HTTP/1.2\r\nHost: a\r\n\r\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (messages_read(HTTP_REQUEST, slice_str(others[i])))
            FAIL("accepted: %s", others[i]);
    CHECK(messages_read(HTTP_REQUEST, SLICE("GET /x HTTP/1.0\r\nHost: a\r\n\r\n")));
}
