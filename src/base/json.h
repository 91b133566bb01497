// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_JSON_H
#define BASE_JSON_H
// JSON: a reader (yyjson tree with the source kept, so that every value's own bytes can be found again) and a
// streaming writer into a buf. RFC 8259.
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "yyjson.h"

// yyjson's memory through base/mem; for every call that takes an allocator.
extern const yyjson_alc json_alc;

// --- reading
struct json_doc {
    yyjson_doc *doc;
    struct slice src;            // borrowed; must outlive the doc
    const struct json_cut *cuts; // arena; strings that the tree has no copy of (json_read_body)
    size_t n_cuts;
};

// Where and why a text is not JSON.
struct json_error {
    size_t offset;
    const char *text; // static
};

// Parses src into *ret; it is freed with the arena. ERR_BAD_JSON (with *why), ERR_NO_MEMORY.
// Refuses: invalid UTF-8, nesting beyond LIMIT_JSON_DEPTH, NaN, comments, trailing bytes other than white space.
MUST_CHECK enum err json_read(struct arena *a, struct slice src, struct json_doc *ret, struct json_error *why);

// The same for a text that may be large: long strings without escapes are not copied, their nodes point into src.
MUST_CHECK enum err json_read_body(struct arena *a, struct slice src, struct json_doc *ret, struct json_error *why);

// Where in the source the inside of a string stands, a key's or a value's.
size_t json_str_at(const struct json_doc *d, yyjson_val *str);
// The source bytes of a member's value in its parent object, found by the key's place in the source.
// `key` is the key node (yyjson_obj_iter_next). SLICE_NONE if it can't be found.
struct slice json_member_src(const struct json_doc *d, yyjson_val *key);
// The same for object member by name; SLICE_NONE when absent.
struct slice json_get_src(const struct json_doc *d, yyjson_val *obj, const char *name);
// From the member's value on to the end of the source: its own end costs a look at all of it.
struct slice json_get_rest(const struct json_doc *d, yyjson_val *obj, const char *name);
// The bytes of one JSON value at the start of s (white space before it skipped); empty when there is none.
struct slice json_value_at(struct slice s);

static inline struct slice json_str(yyjson_val *v) {
    return yyjson_is_str(v) ? slice_of(yyjson_get_str(v), yyjson_get_len(v)) : SLICE_NONE;
}
// Member as text; SLICE_NONE when absent or no string.
static inline struct slice json_get_str(yyjson_val *obj, const char *name) {
    return json_str(yyjson_obj_get(obj, name));
}
// Member as a non-negative integer (a float with no fraction counts); `otherwise` when absent, negative or no number.
int64_t json_get_int(yyjson_val *obj, const char *name, int64_t otherwise);

// --- writing: commas and colons are put by the writer
struct json_writer {
    struct buf *out;
    bool comma; // a value stands before at this level
};

#define JSON_WRITER(bufp) ((struct json_writer){(bufp), false})

void json_obj(struct json_writer *w);                   // {
void json_obj_end(struct json_writer *w);               // }
void json_arr(struct json_writer *w);                   // [
void json_arr_end(struct json_writer *w);               // ]
void json_key(struct json_writer *w, const char *name); // name is plain ASCII without quotes
void json_key_slice(struct json_writer *w, struct slice name);
void json_put_str(struct json_writer *w, struct slice s);
void json_put_cstr(struct json_writer *w, const char *s); // NULL → null
void json_put_int(struct json_writer *w, int64_t v);
void json_put_num(struct json_writer *w, double v); // shortest form that reads back the same; NaN, Inf → null
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, struct slice json); // already JSON; empty → null
// key and value in one
void json_kv_str(struct json_writer *w, const char *name, struct slice s);
void json_kv_cstr(struct json_writer *w, const char *name, const char *s);
void json_kv_int(struct json_writer *w, const char *name, int64_t v);
void json_kv_num(struct json_writer *w, const char *name, double v);
void json_kv_bool(struct json_writer *w, const char *name, bool v);
void json_kv_null(struct json_writer *w, const char *name);
void json_kv_raw(struct json_writer *w, const char *name, struct slice json);

// Appends s with JSON escapes, without the quotes. Invalid UTF-8 becomes U+FFFD.
void json_escape(struct buf *out, struct slice s);
// A block of ASCII that json_escape leaves as it is?
#define JSON_BLOCK_BYTES 64
bool json_block_is_plain(const char *block);
// Writes a yyjson value compactly, in its order.
void json_put_val(struct json_writer *w, yyjson_val *v);

// The inside of a JSON string (without its quotes) un-escaped into the arena; p NULL when broken.
struct slice json_unescape(struct arena *a, struct slice inside);

#endif
