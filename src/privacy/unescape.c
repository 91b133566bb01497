// SPDX-License-Identifier: Apache-2.0
// JSON's escapes (RFC 8259, 7), one step at a time, so that an offset in the text can be carried back to the bytes: the
// places of what was found are few, a table of all offsets would be as long as the text. Pure.
#include "privacy/unescape.h"

static int hex4(struct slice s, size_t at) {
    int v = 0;
    if (at + 4 > s.n)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        char c = s.p[at + i], l = (char)(c | 32);
        int d = c >= '0' && c <= '9' ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t utf8_put(uint32_t cp, char to[4]) {
    if (cp < 0x80) {
        to[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        to[0] = (char)(0xc0 | cp >> 6);
        to[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        to[0] = (char)(0xe0 | cp >> 12);
        to[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        to[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | cp >> 18);
    to[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    to[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    to[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

// \uXXXX at raw[at], or two of them for one character. Bytes read; 0: it is none.
static size_t unicode_step(struct slice raw, size_t at, char to[4], size_t *ret_n) {
    int unit = hex4(raw, at + 2), low = -1;
    if (unit < 0)
        return 0;
    bool high = unit >= 0xd800 && unit < 0xdc00;
    if (high && at + 8 <= raw.n && raw.p[at + 6] == '\\' && raw.p[at + 7] == 'u')
        low = hex4(raw, at + 8);
    bool pair = low >= 0xdc00 && low < 0xe000;
    uint32_t cp = pair ? 0x10000u + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00) : (uint32_t)unit;
    *ret_n = utf8_put(cp, to);
    return pair ? 12 : 6;
}

// One character of the text from raw[at], which is a backslash. Bytes read.
static size_t step(struct slice raw, size_t at, char to[4], size_t *ret_n) {
    static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
    char c = at + 1 < raw.n ? raw.p[at + 1] : 0;
    size_t read = c == 'u' ? unicode_step(raw, at, to, ret_n) : 0;
    if (read)
        return read;
    const char *found = c ? strchr(from, c) : NULL;
    to[0] = found ? means[found - from] : '\\';
    *ret_n = 1;
    return found ? 2 : 1;
}

void unescape_append(struct buf *out, struct slice raw) {
    char to[4];
    size_t n;
    for (size_t i = 0; i < raw.n;) {
        size_t plain = slice_find(slice_from(raw, i), '\\');
        if (plain == SIZE_MAX)
            plain = raw.n - i;
        buf_append_mem(out, raw.p + i, plain);
        i += plain;
        if (i == raw.n)
            return;
        i += step(raw, i, to, &n);
        buf_append_mem(out, to, n);
    }
}

size_t unescape_offset(struct slice raw, size_t text_at) {
    char to[4];
    size_t i = 0, n = 1;
    for (size_t at = 0; i < raw.n && at < text_at; at += n) {
        n = 1;
        i += raw.p[i] == '\\' ? step(raw, i, to, &n) : 1;
    }
    return i;
}

// What an escape at the start of s stands for, if it may stand there itself; else -1.
static int plain_of(struct slice s) {
    if (s.p[1] == '/')
        return '/';
    int v = s.p[1] == 'u' ? hex4(s, 2) : -1;
    return v >= 0x20 && v < 0x7f && v != '"' && v != '\\' ? v : -1;
}

size_t unescape_plain(struct slice raw, bool more, struct buf *out) {
    size_t done = 0, at = 0; // what was given on; where to look
    while (at < raw.n) {
        const char *p = memchr(raw.p + at, '\\', raw.n - at);
        at = p ? (size_t)(p - raw.p) : raw.n;
        struct slice s = slice_from(raw, at);
        bool whole = s.n >= 6 || (s.n >= 2 && s.p[1] != 'u');
        if (!p || (!whole && more))
            break;
        int c = s.n >= 2 ? plain_of(s) : -1;
        size_t n = c >= 0 && s.p[1] == 'u' ? 6 : 2;
        if (c >= 0) {
            buf_append(out, slice_of(raw.p + done, at - done));
            buf_append_char(out, (char)c);
            done = at + n;
        }
        at += n;
    }
    at = at < raw.n ? at : raw.n;
    buf_append(out, slice_of(raw.p + done, at - done));
    return at;
}
