// SPDX-License-Identifier: Apache-2.0
// The JSON writer: straight into a buf, commas by one flag. Whatever is written is valid JSON as long as objects and
// arrays are closed; broken UTF-8 becomes U+FFFD.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"

static void value_begin(struct json_writer *w) {
    if (w->comma)
        buf_append_char(w->out, ',');
    w->comma = true;
}

void json_obj(struct json_writer *w) {
    value_begin(w);
    buf_append_char(w->out, '{');
    w->comma = false;
}

void json_obj_end(struct json_writer *w) {
    buf_append_char(w->out, '}');
    w->comma = true;
}

void json_arr(struct json_writer *w) {
    value_begin(w);
    buf_append_char(w->out, '[');
    w->comma = false;
}

void json_arr_end(struct json_writer *w) {
    buf_append_char(w->out, ']');
    w->comma = true;
}

void json_key_slice(struct json_writer *w, struct slice name) {
    json_put_str(w, name);
    buf_append_char(w->out, ':');
    w->comma = false;
}

void json_key(struct json_writer *w, const char *name) {
    size_t n = strlen(name);
    if (!buf_reserve(w->out, n + sizeof ",\"\":" - 1))
        return;
    char *p = w->out->p + w->out->len;
    if (w->comma)
        *p++ = ',';
    *p++ = '"';
    memcpy(p, name, n); // NOLINT(bugprone-not-null-terminated-result): a buffer has a length, no NUL
    p += n;
    *p++ = '"';
    *p++ = ':';
    w->out->len = (size_t)(p - w->out->p);
    w->comma = false;
}

void json_put_str(struct json_writer *w, struct slice s) {
    value_begin(w);
    buf_append_char(w->out, '"');
    json_escape(w->out, s);
    buf_append_char(w->out, '"');
}

void json_put_cstr(struct json_writer *w, const char *s) {
    if (s)
        json_put_str(w, slice_str(s));
    else
        json_put_null(w);
}

void json_put_int(struct json_writer *w, int64_t v) {
    value_begin(w);
    buf_append_i64(w->out, v);
}

void json_put_num(struct json_writer *w, double v) {
    char text[32];
    if (!isfinite(v)) {
        json_put_null(w);
        return;
    }
    if (v == floor(v) && fabs(v) < 9007199254740992.0) {
        json_put_int(w, (int64_t)v);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    value_begin(w);
    buf_append_str(w->out, text);
}

void json_put_bool(struct json_writer *w, bool v) {
    value_begin(w);
    buf_append_str(w->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *w) {
    value_begin(w);
    buf_append_str(w->out, "null");
}

void json_put_raw(struct json_writer *w, struct slice json) {
    value_begin(w);
    if (json.n)
        buf_append(w->out, json);
    else
        buf_append_str(w->out, "null");
}

void json_kv_str(struct json_writer *w, const char *name, struct slice s) {
    json_key(w, name);
    json_put_str(w, s);
}

void json_kv_cstr(struct json_writer *w, const char *name, const char *s) {
    json_key(w, name);
    json_put_cstr(w, s);
}

void json_kv_int(struct json_writer *w, const char *name, int64_t v) {
    json_key(w, name);
    json_put_int(w, v);
}

void json_kv_num(struct json_writer *w, const char *name, double v) {
    json_key(w, name);
    json_put_num(w, v);
}

void json_kv_bool(struct json_writer *w, const char *name, bool v) {
    json_key(w, name);
    json_put_bool(w, v);
}

void json_kv_null(struct json_writer *w, const char *name) {
    json_key(w, name);
    json_put_null(w);
}

void json_kv_raw(struct json_writer *w, const char *name, struct slice json) {
    json_key(w, name);
    json_put_raw(w, json);
}

// ---- escapes

static const char *short_escape(unsigned char c) {
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    default:
        return NULL;
    }
}

static void escape_control(struct buf *out, unsigned char c) {
    static const char hex[] = "0123456789abcdef";
    const char *text = short_escape(c);
    if (text) {
        buf_append_mem(out, text, 2);
        return;
    }
    char u[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_append_mem(out, u, sizeof u);
}

// Goes through as it is: ASCII but for controls, quote and backslash.
static const bool is_plain[256] = {[0x20 ... 0x21] = true, [0x23 ... 0x5b] = true, [0x5d ... 0x7f] = true};

// 64 at once, without a branch: the compiler makes vectors of it.
bool json_block_is_plain(const char *block) {
    const unsigned char *p = (const unsigned char *)block;
    unsigned char bad = 0;
    for (int i = 0; i < JSON_BLOCK_BYTES; i++)
        bad |= (unsigned char)(p[i] < 0x20 || p[i] > 0x7f || p[i] == '"' || p[i] == '\\');
    return !bad;
}

void json_escape(struct buf *out, struct slice s) {
    size_t from = 0, i = 0, next = 0; // where a block is looked at again: text without any pays for each byte once
    while (i < s.n) {
        if (i >= next && s.n - i >= JSON_BLOCK_BYTES) {
            next = i + JSON_BLOCK_BYTES;
            if (json_block_is_plain(s.p + i)) {
                i = next;
                continue;
            }
        }
        unsigned char c = (unsigned char)s.p[i];
        if (is_plain[c]) {
            i++;
            continue;
        }
        size_t whole = c >= 0x80 ? slice_utf8_step(slice_from(s, i)) : 0;
        if (whole) {
            i += whole;
            continue;
        }
        buf_append_mem(out, s.p + from, i - from);
        if (c >= 0x80)
            buf_append_mem(out, "\xef\xbf\xbd", 3);
        else
            escape_control(out, c);
        from = ++i;
    }
    if (s.n > from)
        buf_append_mem(out, s.p + from, s.n - from);
}

void json_put_val(struct json_writer *w, yyjson_val *v) {
    size_t n = 0;
    char *text = yyjson_val_write_opts(v, YYJSON_WRITE_NOFLAG, &json_alc, &n, NULL);
    json_put_raw(w, slice_of(text, text ? n : 0));
    if (!text)
        w->out->failed = true;
    mem_free(text);
}
