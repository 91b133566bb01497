// SPDX-License-Identifier: Apache-2.0
// The way back of an emulation: what the model said, one JSON object, becomes the events of a model that has tools. It
// stands in front of all other filters of an attempt, so that they see only what the client gets. The first member tells
// which it is. Text is unwrapped as it comes, at any cut of its bytes. A call is held back until it is whole and fits the
// tool's schema: before that nothing commits the exchange, so a broken one can be tried again, and no client ever gets
// half a call as a call. What is held lives in bufs that go with the attempt's arena.
#include "base/limits.h"
#include "dialect/codec.h"
#include "ir/schema.h"
#include "switch/tools.h"

enum mode {
    MODE_OPEN,  // not yet known
    MODE_TEXT,  // inside the string of "text"
    MODE_VALUE, // inside the value of "answer"
    MODE_TAIL,  // behind it
    MODE_CALL,  // held
};

struct tools_reader {
    struct arena *a;
    const struct emulation *em;
    struct slice exchange;
    enum mode mode;
    struct buf held; // all of it, until it is known to be text
    struct buf out;  // what a delta came to; at most three bytes of it wait for the rest of their character
    // inside a string
    bool escape;
    unsigned hex_left; // digits of a \u still to come
    uint32_t code, high;
    // inside a value
    size_t depth;
    bool in_string, begun;
    // blocks as the client's side counts them
    uint32_t n_blocks, block;
    bool text_open, other_open;
    enum block_kind other;
    bool finished, broken;
};

static void reader_free(void *arg) {
    struct tools_reader *r = arg;
    buf_done(&r->held);
    buf_done(&r->out);
}

struct tools_reader *tools_reader_new(struct arena *a, const struct emulation *em, struct slice exchange) {
    struct tools_reader *r = ARENA_NEW(a, struct tools_reader);
    if (!r || !arena_defer(a, reader_free, r))
        return NULL;
    r->a = a;
    r->em = em;
    r->exchange = exchange;
    buf_init(&r->held, LIMIT_UP_BODY_BYTES);
    buf_init(&r->out, LIMIT_UP_BODY_BYTES);
    return r;
}

// ---- text out

static enum err text_close(struct tools_reader *r, struct event_sink *sink) {
    if (!r->text_open)
        return ERR_OK;
    r->text_open = false;
    return emit_block_end(sink, r->block, 0, BLOCK_TEXT, SLICE_NONE);
}

// The bytes of `s` before a character that is not whole yet.
static size_t whole_characters(struct slice s) {
    size_t back = 0;
    while (back < 3 && back < s.n && ((unsigned char)s.p[s.n - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == s.n)
        return s.n;
    unsigned char lead = (unsigned char)s.p[s.n - 1 - back];
    size_t need = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
    return back < need ? s.n - 1 - back : s.n;
}

static enum err text_emit(struct tools_reader *r, size_t n, struct event_sink *sink) {
    enum err e = ERR_OK;
    if (r->out.failed)
        return ERR_NO_MEMORY;
    if (!n)
        return ERR_OK;
    if (!r->text_open) {
        r->text_open = true;
        r->block = r->n_blocks++;
        e = emit_begin(sink, r->block, 0, BLOCK_TEXT);
    }
    if (!e)
        e = emit_delta(sink, r->block, 0, BLOCK_TEXT, slice_first(buf_slice(&r->out), n));
    buf_consume(&r->out, n);
    return e;
}

// ---- the string of "text"

static void put_code(struct tools_reader *r, uint32_t c) {
    struct buf *b = &r->out;
    if (c < 0x80) {
        buf_append_char(b, (char)c);
        return;
    }
    if (c >= 0x10000) {
        buf_append_char(b, (char)(0xf0 | c >> 18));
        buf_append_char(b, (char)(0x80 | (c >> 12 & 0x3f)));
    } else if (c >= 0x800) {
        buf_append_char(b, (char)(0xe0 | c >> 12));
    }
    buf_append_char(b, (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
    buf_append_char(b, (char)(0x80 | (c & 0x3f)));
}

// A first half of a pair to which no second one came.
static void drop_half(struct tools_reader *r) {
    if (r->high)
        put_code(r, 0xfffd);
    r->high = 0;
}

static void put_unit(struct tools_reader *r) {
    uint32_t c = r->code;
    if (r->high && c >= 0xdc00 && c < 0xe000) {
        put_code(r, 0x10000 + ((r->high - 0xd800) << 10) + (c - 0xdc00));
        r->high = 0;
        return;
    }
    drop_half(r);
    if (c >= 0xd800 && c < 0xdc00)
        r->high = c;
    else
        put_code(r, c >= 0xdc00 && c < 0xe000 ? 0xfffd : c);
}

static bool string_escape(struct tools_reader *r, char c) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c ? strchr(from, c) : NULL;
    r->escape = false;
    if (c == 'u') {
        r->hex_left = 4;
        r->code = 0;
        return true;
    }
    drop_half(r);
    if (at)
        buf_append_char(&r->out, to[at - from]);
    return at != NULL;
}

static bool string_byte(struct tools_reader *r, char c) {
    if (r->hex_left) {
        int digit = slice_hex_digit(c);
        r->code = r->code << 4 | (uint32_t)digit;
        if (digit >= 0 && --r->hex_left == 0)
            put_unit(r);
        return digit >= 0;
    }
    if (r->escape)
        return string_escape(r, c);
    if (c == '\\') {
        r->escape = true;
        return true;
    }
    drop_half(r);
    if (c == '"')
        r->mode = MODE_TAIL;
    else
        buf_append_char(&r->out, c);
    return true;
}

// ---- the value of "answer", passed on as it is

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool tail_byte(char c) {
    return is_space(c) || c == '}';
}

static void value_in_string(struct tools_reader *r, char c) {
    if (r->escape)
        r->escape = false;
    else if (c == '\\')
        r->escape = true;
    else if (c == '"')
        r->in_string = false;
    if (!r->in_string && r->depth == 0)
        r->mode = MODE_TAIL;
}

static bool value_byte(struct tools_reader *r, char c) {
    bool opens = c == '{' || c == '[', closes = c == '}' || c == ']';
    if (!r->begun && is_space(c))
        return true;
    if (!r->in_string && r->depth == 0 && r->begun && (closes || is_space(c))) { // behind a number or a word
        r->mode = MODE_TAIL;
        return tail_byte(c);
    }
    buf_append_char(&r->out, c);
    r->begun = true;
    if (r->in_string) {
        value_in_string(r, c);
        return true;
    }
    r->in_string = c == '"';
    r->depth += opens;
    if (closes && r->depth > 0 && --r->depth == 0)
        r->mode = MODE_TAIL;
    return true;
}

static bool text_bytes(struct tools_reader *r, struct slice s) {
    for (size_t i = 0; i < s.n; i++) {
        bool fine = r->mode == MODE_TEXT    ? string_byte(r, s.p[i])
                    : r->mode == MODE_VALUE ? value_byte(r, s.p[i])
                                            : tail_byte(s.p[i]);
        if (!fine)
            return false;
    }
    return true;
}

// ---- which it is

// The first member begins within so many bytes, or it is none of ours; a model that never gets there costs no more than that.
#define OPENING_BYTES 256

// The bytes of s up to and with c, white space before it skipped; 0: they are not all there (or it is another, *ret_other).
static size_t skip_to(struct slice s, size_t at, char c, bool *ret_other) {
    while (at < s.n && is_space(s.p[at]))
        at++;
    if (at == s.n)
        return 0;
    *ret_other |= s.p[at] != c;
    return s.p[at] == c ? at + 1 : 0;
}

// Sets the mode as soon as the first member's name and the beginning of its value are there. Returns what they take.
static size_t decide_mode(struct tools_reader *r) {
    struct slice s = slice_first(buf_slice(&r->held), OPENING_BYTES);
    bool other = s.n == OPENING_BYTES;
    size_t name = skip_to(s, 0, '{', &other);
    if (name)
        name = skip_to(s, name, '"', &other);
    size_t end = name ? slice_find(slice_from(s, name), '"') : SIZE_MAX;
    size_t at = end != SIZE_MAX ? skip_to(s, name + end + 1, ':', &other) : 0;
    bool text = at && slice_eq(slice_of(s.p + name, end), SLICE("text"));
    bool value = at && slice_eq(slice_of(s.p + name, end), SLICE("answer"));
    bool wrapped = r->em->answer_schema.p ? value : text;
    if (r->em->forced || (at ? !wrapped : other)) {
        r->mode = MODE_CALL;
        return 0;
    }
    if (at && text)
        at = skip_to(s, at, '"', &other);
    if (at)
        r->mode = text ? MODE_TEXT : MODE_VALUE;
    else if (other)
        r->mode = MODE_CALL;
    return at;
}

// ---- what breaks the agreement

static enum err say_broken(struct tools_reader *r, const char *text, struct event_sink *sink) {
    struct problem p = PROBLEM(ERR_UP_SCHEMA);
    p.message = slice_str(text);
    if (!text)
        return ERR_NO_MEMORY;
    r->broken = true;
    return emit_error(sink, &p);
}

// ---- calls

struct call {
    struct slice name, arguments;
};

// NULL: it is a call as it must be. Else why not (arena; "" out of memory).
static const char *call_check(struct tools_reader *r, const struct json_doc *doc, yyjson_val *v, struct call *ret) {
    const struct emulation *em = r->em;
    const struct emulated_tool *tool = NULL;
    yyjson_val *arguments = yyjson_obj_get(v, "arguments");
    struct slice name = json_get_str(v, "name");
    struct schema_fault f;
    for (size_t i = 0; i < em->n_tools && !tool; i++)
        if (name.p && slice_eq(em->tools[i].name, name) && (!em->only || em->only == &em->tools[i]))
            tool = &em->tools[i];
    if (!tool)
        return "the model called no tool that it may call";
    *ret = (struct call){name, json_get_src(doc, v, "arguments")};
    const char *why = NULL;
    if (!yyjson_is_obj(arguments))
        why = "expected object";
    else if (tool->schema.doc && schema_check(yyjson_doc_get_root(tool->schema.doc), arguments, &f) == ERR_UP_SCHEMA)
        why = f.text; // ERR_LIMIT: too much to check; the engine was bound by it
    if (!why)
        return NULL;
    why = arena_printf(r->a, "the model's call of '%.*s' does not fit the tool's parameters: %s",
                       SLICE_FMT(slice_first(name, LIMIT_MODEL_NAME_BYTES)), why);
    return why ? why : "";
}

static enum err call_emit(struct tools_reader *r, const struct call *c, struct event_sink *sink) {
    uint32_t block = r->n_blocks++;
    const char *id = arena_printf(r->a, "call_%.*s_%u", SLICE_FMT(r->exchange), block);
    if (!id)
        return ERR_NO_MEMORY;
    enum err e = emit_begin_tool(sink, block, 0, slice_str(id), c->name);
    if (!e)
        e = emit_delta(sink, block, 0, BLOCK_TOOL, c->arguments);
    return e ? e : emit_block_end(sink, block, 0, BLOCK_TOOL, SLICE_NONE);
}

// The calls of a whole answer; all are looked at before the first is told.
static const char *calls_read(struct tools_reader *r, const struct json_doc *doc, struct call *calls, size_t *ret_n) {
    yyjson_val *root = yyjson_doc_get_root(doc->doc), *list = yyjson_obj_get(root, "calls"), *v;
    size_t i, n;
    if (!r->em->parallel || !yyjson_is_arr(list)) {
        *ret_n = 1;
        return call_check(r, doc, root, &calls[0]);
    }
    if (yyjson_arr_size(list) == 0 || yyjson_arr_size(list) > TOOLS_CALLS_MAX)
        return "the model made more calls than it may, or none";
    yyjson_arr_foreach(list, i, n, v) {
        const char *why = call_check(r, doc, v, &calls[i]);
        if (why)
            return why;
    }
    *ret_n = n;
    return NULL;
}

static enum err calls_emit(struct tools_reader *r, struct event_sink *sink) {
    struct call calls[TOOLS_CALLS_MAX];
    struct json_doc doc;
    struct json_error why;
    size_t n = 0;
    enum err e = json_read(r->a, buf_slice(&r->held), &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : say_broken(r, "the model's call is not JSON", sink);
    const char *broken = calls_read(r, &doc, calls, &n);
    if (broken)
        return say_broken(r, broken[0] ? broken : NULL, sink);
    for (size_t i = 0; i < n && !e; i++)
        e = call_emit(r, &calls[i], sink);
    return e ? e : emit_finish(sink, 0, FINISH_TOOL, SLICE_NONE);
}

// ---- the end

static enum err finish_held(struct tools_reader *r, const struct event *ev, struct event_sink *sink) {
    if (ev->finish == FINISH_STOP || ev->finish == FINISH_NONE)
        return calls_emit(r, sink);
    // Cut in a call: once more with a tight schema, which may fit; then it is said, and what there is of it is not told.
    if (ev->finish == FINISH_LENGTH && r->mode == MODE_CALL && !r->em->again)
        return say_broken(r, "the model's call was cut by the bound on tokens", sink);
    return emit_finish(sink, 0, ev->finish, ev->stop_sequence);
}

static enum err finish_text(struct tools_reader *r, const struct event *ev, struct event_sink *sink) {
    drop_half(r);
    if (whole_characters(buf_slice(&r->out)) != r->out.len) {
        buf_clear(&r->out);
        put_code(r, 0xfffd);
    }
    enum err e = text_emit(r, r->out.len, sink);
    if (!e)
        e = text_close(r, sink);
    return e ? e : emit_finish(sink, 0, ev->finish, ev->stop_sequence);
}

static enum err on_finish(struct tools_reader *r, const struct event *ev, struct event_sink *sink) {
    if (r->finished)
        return ERR_OK;
    r->finished = true;
    bool held = r->mode == MODE_OPEN || r->mode == MODE_CALL;
    return held ? finish_held(r, ev, sink) : finish_text(r, ev, sink);
}

// ---- events in

static enum err on_text(struct tools_reader *r, struct slice text, struct event_sink *sink) {
    size_t from = r->held.len, taken;
    if (r->mode == MODE_OPEN || r->mode == MODE_CALL) {
        buf_append(&r->held, text);
        if (r->held.failed)
            return ERR_NO_MEMORY;
        taken = r->mode == MODE_OPEN ? decide_mode(r) : 0;
        if (r->mode == MODE_OPEN || r->mode == MODE_CALL)
            return ERR_OK;
        text = slice_from(text, taken - from); // the value begins in this piece, or it would have been found before
    }
    bool fine = text_bytes(r, text);
    enum err e = text_emit(r, whole_characters(buf_slice(&r->out)), sink);
    return e || fine ? e : say_broken(r, "the model's answer is not JSON", sink);
}

// Thinking and refusals pass; other blocks cannot be, as nobody offered a tool.
static enum err on_begin(struct tools_reader *r, const struct event *ev, struct event_sink *sink) {
    struct event out = *ev;
    r->other_open = ev->block_kind != BLOCK_TEXT;
    r->other = ev->block_kind;
    if (!r->other_open)
        return ERR_OK;
    if (ev->block_kind != BLOCK_THINK && ev->block_kind != BLOCK_REFUSAL)
        return ERR_UP_PROTOCOL;
    enum err e = text_close(r, sink);
    r->block = out.block = r->n_blocks++;
    return e ? e : emit(sink, &out);
}

static enum err on_inner(struct tools_reader *r, const struct event *ev, struct event_sink *sink) {
    struct event out = *ev;
    out.block = r->block;
    if (r->other_open) {
        r->other_open = ev->kind != EV_BLOCK_END;
        return emit(sink, &out);
    }
    return ev->kind == EV_DELTA && !r->finished ? on_text(r, ev->text, sink) : ERR_OK;
}

enum err tools_reader_event(struct tools_reader *r, const struct event *ev, struct event_sink *sink) {
    const struct event stop = {.kind = EV_FINISH, .finish = FINISH_STOP};
    enum err e = ERR_OK;
    if (r->broken && ev->kind != EV_USAGE) // what it cost is true all the same
        return ERR_OK;
    if (ev->choice != 0)
        return ERR_UP_PROTOCOL;
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        return on_begin(r, ev, sink);
    case EV_DELTA:
    case EV_BLOCK_END:
        return on_inner(r, ev, sink);
    case EV_META:
        return ERR_OK; // about the words between us and the model
    case EV_FINISH:
        return on_finish(r, ev, sink);
    case EV_END:
        e = on_finish(r, &stop, sink);
        return e || r->broken ? e : emit(sink, ev);
    case EV_START:
    case EV_USAGE:
    case EV_PING:
    case EV_ERROR:
        return emit(sink, ev);
    }
    return ERR_OK;
}
