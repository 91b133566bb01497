// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_CODEC_H
#define DIALECT_CODEC_H
// What every codec needs: typed reading with a path for the message, splicing of source bytes, parsing of small frames
// without growing the arena, and short forms to build requests and to emit events.
#include "dialect/dialect.h"

// --- where a value stands; links on the C stack, up to the root whose `up` is NULL
struct field_at {
    const struct field_at *up;
    const char *name; // of a member; NULL: an element of an array, or the root
    size_t index;
    yyjson_val *val;
};
#define FIELD_ROOT(v) ((struct field_at){NULL, NULL, 0, (v)})
#define FIELD_MEMBER(upp, nm, v) ((struct field_at){(upp), (nm), 0, (v)})
#define FIELD_ELEMENT(upp, i, v) ((struct field_at){(upp), NULL, (i), (v)})

struct field_reader {
    struct arena *a;
    struct json_doc doc;
    struct problem *problem;
};

// Parses the body; root must be an object. Fills *rd; the problem is filled on ERR_BAD_JSON, ERR_BAD_FIELD.
MUST_CHECK enum err field_reader_open(struct field_reader *rd, struct arena *a, struct slice body,
                                      struct problem *problem);
// "messages[2].content"; arena. name may be NULL (the path of `at` itself).
struct slice field_path(struct arena *a, const struct field_at *at, const char *name);
// Fills the problem "<path>: expected <expected>, got <type>"; returns ERR_BAD_FIELD.
MUST_CHECK enum err field_wrong(struct field_reader *rd, const struct field_at *at, const char *name,
                                const char *expected, yyjson_val *got);
// The type was right, the value is not: "<path>: <text>". Returns `e` (ERR_BAD_FIELD, ERR_UNSUPPORTED, ERR_MISSING_FIELD).
MUST_CHECK enum err field_refuse(struct field_reader *rd, const struct field_at *at, const char *name, enum err e,
                                 const char *text);
// Refuses what is not base64 (RFC 4648 4), before an upstream does so in words that name no field.
MUST_CHECK enum err field_base64(struct field_reader *rd, const struct field_at *at, const char *name,
                                 struct slice data);
MUST_CHECK enum err field_missing(struct field_reader *rd, const struct field_at *at, const char *name);
MUST_CHECK enum err field_no_memory(struct field_reader *rd);
// Refuses an object that names one of `names` (NULL-terminated, at most 64) twice: readers differ in which one counts, and
// what we checked must be what the upstream reads.
MUST_CHECK enum err field_check_once(struct field_reader *rd, const struct field_at *obj, const char *const *names);
// The names of the members of `obj` that are not in `names`, for request.unmodelled.
MUST_CHECK enum err field_unmodelled(struct field_reader *rd, yyjson_val *obj, const char *const *names,
                                     struct slice **ret, size_t *ret_n);

// Typed members of an object. Absent and null leave *ret untouched and are ERR_OK; a wrong type is ERR_BAD_FIELD.
MUST_CHECK enum err field_str(struct field_reader *rd, const struct field_at *obj, const char *name, struct slice *ret);
MUST_CHECK enum err field_str_needed(struct field_reader *rd, const struct field_at *obj, const char *name,
                                     struct slice *ret);
MUST_CHECK enum err field_bool(struct field_reader *rd, const struct field_at *obj, const char *name, bool *ret);
// -1 unset, 0, 1
MUST_CHECK enum err field_flag(struct field_reader *rd, const struct field_at *obj, const char *name, int *ret);
// A float without fraction counts as an integer.
MUST_CHECK enum err field_int(struct field_reader *rd, const struct field_at *obj, const char *name, int64_t min,
                              int64_t max, int64_t *ret);
MUST_CHECK enum err field_num(struct field_reader *rd, const struct field_at *obj, const char *name, double min,
                              double max, double *ret);
// *ret is NULL when absent or null.
MUST_CHECK enum err field_arr(struct field_reader *rd, const struct field_at *obj, const char *name, yyjson_val **ret);
MUST_CHECK enum err field_obj(struct field_reader *rd, const struct field_at *obj, const char *name, yyjson_val **ret);
// The source bytes of a member that must be an object.
MUST_CHECK enum err field_obj_src(struct field_reader *rd, const struct field_at *obj, const char *name,
                                  struct slice *ret);
// A string, or an array of strings ("stop"). At most `max`.
MUST_CHECK enum err field_strings(struct field_reader *rd, const struct field_at *obj, const char *name, size_t max,
                                  struct slice **ret, size_t *ret_n);

// What is only looked at so that a wrong type is named here and not by an upstream: the members of `obj` in rows, which
// end with name NULL. Types: s string, b boolean, i integer, n number, a array, o object, t array of strings, m object of
// strings.
struct field_type {
    const char *name;
    char type;
};
MUST_CHECK enum err field_types(struct field_reader *rd, const struct field_at *obj, const struct field_type *rows);

// --- source bytes of array elements, in step with yyjson_arr_foreach
struct src_walk {
    struct slice rest;
};
struct src_walk src_walk_array(struct slice array_src); // empty slice: gives SLICE_NONE each time
struct src_walk src_walk_member(const struct json_doc *doc, yyjson_val *obj, const char *name);
struct slice src_walk_next(struct src_walk *w);

// --- splicing
struct edit {
    const char *name;   // member of the root object; all occurrences are meant
    struct slice value; // JSON; p NULL: remove. Absent members are added at the end
};
struct patch {
    struct slice old; // inside doc->src, and not in a member that an edit replaces
    struct slice text;
};
// The source with edits and patches (ascending by place) applied; without any that applies, *ret is doc->src itself.
MUST_CHECK enum err splice(struct arena *a, const struct json_doc *doc, const struct edit *edits, size_t n_edits,
                           const struct patch *patches, size_t n_patches, struct slice *ret);
// JSON texts in the arena; p NULL when out of memory.
struct slice json_text_str(struct arena *a, struct slice s);
struct slice json_text_int(struct arena *a, int64_t v);

// --- frames: a small text's tree on the caller's stack, so that a stream holds nothing between its frames
#define FRAME_ROOM_BYTES 8192 // of a frame of 2 KB; one with a sentence in it takes less than 4
struct frame_json {
    struct json_doc doc;
    yyjson_val *root;
    char room[FRAME_ROOM_BYTES];
};
// ERR_UP_PROTOCOL when it is no JSON object, ERR_NO_MEMORY. Close it in any case.
MUST_CHECK enum err frame_json_open(struct frame_json *f, struct slice text);
void frame_json_close(struct frame_json *f);

// --- building requests; all zeroed, arena, NULL when out of memory. *tail is the link to set, moved on.
struct message *message_add(struct arena *a, struct message ***tail, enum role role);
struct part *part_add(struct arena *a, struct part ***tail, enum part_kind kind);
struct tool *tool_add(struct arena *a, struct tool ***tail);
// All PART_TEXT (and refusal) texts of a list, joined by nothing; a single one is not copied. p NULL: none or no memory.
struct slice parts_text(struct arena *a, const struct part *first);
// "data:image/png;base64,AAAA" → media type and base64 text; false if it is no base64 data URL.
bool data_url_split(struct slice url, struct slice *ret_media_type, struct slice *ret_data);
// A tool's arguments as they may stand raw in JSON: the text when it is a JSON object, else "{}" (empty) — SLICE_NONE when
// it is neither (the model wrote no JSON).
struct slice arguments_object(struct arena *a, struct slice arguments);
// The end of every read_request: unpacks what carry.h packed, sets has_images … has_remote_media. ERR_NO_MEMORY.
MUST_CHECK enum err request_complete(struct field_reader *rd, struct request *r);
// One more name that other dialects must note; ERR_NO_MEMORY. path is static or in the arena.
MUST_CHECK enum err request_unmodelled_add(struct field_reader *rd, struct request *r, const char *path);
// Why `provider` does not travel.
extern const char preferences_dropped[];
// For a writer of another dialect: a note for each member that was not modelled.
void notes_unmodelled(struct arena *a, struct notes *n, const struct request *r);
// Can the client's own bytes go to an upstream of dialect d?
static inline bool request_can_splice(const struct request *r, enum dialect_id d) {
    return r->dialect == (int)d && r->doc.src.p && !r->carried;
}
// From the fields, for the client's own dialect: the root members that were not modelled, as they came.
void put_unmodelled(struct json_writer *w, const struct request *r);

// Ids for calls that came without. Zeroed to begin.
struct open_call;
struct call_ids {
    unsigned made;
    struct open_call *open, **tail; // calls of the last turn that wait for their results
};
void call_ids_turn(struct call_ids *ids); // a turn with calls begins: what waits is forgotten
// A call that was read, and a result; each gets an id if it has none. ERR_NO_MEMORY.
MUST_CHECK enum err call_ids_add(struct field_reader *rd, struct call_ids *ids, struct part *call);
MUST_CHECK enum err call_ids_take(struct field_reader *rd, struct call_ids *ids, struct part *result);

// Thinking levels ⇄ budgets: minimal 512, low 1024, medium 4096, high 16384 tokens, each level up to the middle.
enum think think_of_budget(int64_t tokens);
int64_t budget_of_think(enum think level);
// The level the request asks for: from its level, or its budget. UNSET and OFF stay.
enum think request_think_level(const struct request *r);

// --- emitting
MUST_CHECK static inline enum err emit(struct event_sink *s, const struct event *ev) {
    return s->emit(s->ctx, ev);
}
MUST_CHECK enum err emit_start(struct event_sink *s, struct slice id, struct slice model, int64_t created_s);
MUST_CHECK enum err emit_begin(struct event_sink *s, uint32_t block, uint32_t choice, enum block_kind kind);
MUST_CHECK enum err emit_begin_tool(struct event_sink *s, uint32_t block, uint32_t choice, struct slice call_id,
                                    struct slice name);
// An empty text emits nothing.
MUST_CHECK enum err emit_delta(struct event_sink *s, uint32_t block, uint32_t choice, enum block_kind kind,
                               struct slice text);
MUST_CHECK enum err emit_block_end(struct event_sink *s, uint32_t block, uint32_t choice, enum block_kind kind,
                                   struct slice signature);
MUST_CHECK enum err emit_meta(struct event_sink *s, uint32_t block, uint32_t choice, struct slice name,
                              struct slice json);
MUST_CHECK enum err emit_finish(struct event_sink *s, uint32_t choice, enum finish finish, struct slice stop_sequence);
MUST_CHECK enum err emit_usage(struct event_sink *s, const struct usage *u); // nothing when nothing is reported
MUST_CHECK enum err emit_error(struct event_sink *s, const struct problem *p);
MUST_CHECK enum err emit_end(struct event_sink *s);

// buf_failed as an error, for the end of a writer: ERR_OK or ERR_NO_MEMORY.
MUST_CHECK enum err buf_status(const struct buf *b);
// The bytes copied to the arena; ERR_NO_MEMORY. Frees the buf in any case.
MUST_CHECK enum err buf_into_arena(struct buf *b, struct arena *a, struct slice *ret);

#endif
