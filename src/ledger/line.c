// SPDX-License-Identifier: Apache-2.0
// Composes the journal's lines into a buffer that the journal reuses, on the loop's thread, in some tenths of a
// microsecond. What a line may hold is what struct attempt_intent and struct settlement hold: names, numbers and reasons,
// never content. A line that would be longer than the buffer's maximum is written again with less text in it (the steps of
// `diets`): an account must never be lost because a reason was long.
#include "ledger/line.h"
#include "base/json.h"

// How much text may stand in a line.
struct diet {
    size_t drops, text_bytes, name_bytes;
};
static const struct diet diets[] = {{64, 1024, 512}, {16, 256, 300}, {0, 128, 256}, {0, 0, 64}};

// ---- values

// The bytes of a number without sign; at most 11.
static size_t number_put(char *p, uint64_t v) {
    size_t n = 0;
    for (; v >= 64; v >>= 6)
        p[n++] = (char)(0x80 | (v & 63));
    p[n++] = (char)(0x40 | v);
    return n;
}

#define NUMBER_MOST 11u

// Where the next `most` bytes may be written; NULL: no room. What was written is added to out->len.
static char *room(struct buf *out, size_t most) {
    return buf_reserve(out, most) ? out->p + out->len : NULL;
}

static uint64_t zigzag(int64_t v) {
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static void put_count(struct buf *out, size_t v) {
    char *p = room(out, NUMBER_MOST);
    if (p)
        out->len += number_put(p, v);
}

static void put_signed(struct buf *out, int64_t v) {
    char *p = room(out, NUMBER_MOST);
    if (p)
        out->len += number_put(p, zigzag(v));
}

static void put_number(struct buf *out, enum line_field field, int64_t v) {
    char *p = room(out, 1 + NUMBER_MOST);
    if (!p)
        return;
    *p = (char)(32 + field);
    out->len += 1 + number_put(p + 1, zigzag(v));
}

static void put_text(struct buf *out, struct slice s) {
    put_count(out, s.n);
    buf_append(out, s);
}

static void put_str(struct buf *out, enum line_field field, struct slice s, size_t most) {
    s = slice_first(s, most);
    char *p = s.n ? room(out, 1 + NUMBER_MOST + s.n) : NULL;
    if (!p)
        return;
    *p = (char)(32 + field);
    size_t head = 1 + number_put(p + 1, s.n);
    memcpy(p + head, s.p, s.n);
    out->len += head + s.n;
}

static void put_word(struct buf *out, enum line_field field, enum line_word word) {
    char *p = room(out, 2);
    if (!p)
        return;
    p[0] = (char)(32 + field);
    p[1] = (char)(LINE_WORD_FIRST + word);
    out->len += 2;
}

// As a word where it is one of these.
static void put_str_word(struct buf *out, enum line_field field, struct slice s, enum line_word from,
                         enum line_word to) {
    for (enum line_word at = from; at <= to; at++)
        if (slice_eq(s, line_words[at])) {
            put_word(out, field, at);
            return;
        }
    put_str(out, field, s, 256);
}

// Numbers have no such bytes, so that what is found stands in a text.
static bool line_close(struct buf *out) {
    buf_append_char(out, LINE_END);
    if (out->failed)
        return false;
    for (char *p = out->p; (p = memchr(p, '\n', (size_t)(out->p + out->len - p)));)
        *p = ' ';
    return true;
}

static void put_int(struct buf *out, enum line_field field, int64_t v) {
    if (v >= 0)
        put_number(out, field, v);
}

static void put_more(struct buf *out, enum line_field field, int64_t v) {
    if (v > 0)
        put_number(out, field, v);
}

static void put_tag(struct buf *out, enum line_field field) {
    buf_append_char(out, (char)(32 + field));
}

static void put_true(struct buf *out, enum line_field field, bool v) {
    if (v)
        put_tag(out, field);
}

static enum line_word zone_word(enum zone z) {
    return (enum line_word)(WORD_DEVICE + (z < ZONE_COUNT ? z : ZONE_CLOUD));
}

// No error is no text.
static void put_err(struct buf *out, enum err e) {
    if (e)
        put_str(out, LINE_ERR, slice_str(err_name(e)), 64);
}

// ---- lines

bool line_write_intent(struct buf *out, const struct attempt_intent *i) {
    buf_append_char(out, i->raised ? LINE_RAISED : LINE_INTENT);
    put_str(out, LINE_ID, i->exchange, SIZE_MAX);
    put_int(out, LINE_ATTEMPT, i->attempt);
    put_int(out, LINE_WALL_US, i->wall_us);
    put_str(out, LINE_TARGET, i->target, 512);
    put_str(out, LINE_ENDPOINT, i->endpoint, 256);
    put_str(out, LINE_MODEL, i->model, 512);
    put_word(out, LINE_ZONE, zone_word(i->zone));
    put_str(out, LINE_KEY, i->key, 256);
    put_str(out, LINE_RUN, i->run, LIMIT_RUN_ID_BYTES);
    put_int(out, LINE_CAP, i->cap_picousd);
    put_more(out, LINE_AT, i->money_s);
    put_int(out, LINE_RESERVED, i->reserved_picousd);
    return line_close(out);
}

static void write_usage(struct buf *out, const struct usage *u) {
    put_tag(out, LINE_USAGE);
    put_int(out, LINE_INPUT_TOKENS, u->input_tokens);
    put_int(out, LINE_CACHE_READ_TOKENS, u->cache_read_tokens);
    put_int(out, LINE_CACHE_WRITE_TOKENS, u->cache_write_tokens);
    put_int(out, LINE_OUTPUT_TOKENS, u->output_tokens);
    put_int(out, LINE_REASONING_TOKENS, u->reasoning_tokens);
    put_int(out, LINE_PROMPT_US, u->prompt_us);
    put_int(out, LINE_OUTPUT_US, u->output_us);
    put_int(out, LINE_LOAD_US, u->load_us);
    put_true(out, LINE_ESTIMATED, u->estimated);
    buf_append_char(out, LINE_END);
}

static enum line_word attempt_outcome(const struct attempt_record *a) {
    if (!a->sent)
        return WORD_NOT_SENT;
    return a->err == ERR_OK ? WORD_SETTLED : WORD_FAILED;
}

static void write_attempt(struct buf *out, const struct attempt_record *a, const struct diet *d,
                          const enum line_word *outcome) {
    put_str(out, LINE_TARGET, a->target, d->name_bytes);
    put_str(out, LINE_ENDPOINT, a->endpoint, d->name_bytes);
    put_str(out, LINE_MODEL, a->model, d->name_bytes);
    put_word(out, LINE_ZONE, zone_word(a->zone));
    put_int(out, LINE_STAGE, a->stage);
    put_str(out, LINE_REASON, a->reason, d->text_bytes);
    put_word(out, LINE_OUTCOME, outcome ? *outcome : attempt_outcome(a));
    put_err(out, a->err);
    put_more(out, LINE_HTTP_STATUS, a->http_status);
    put_str(out, LINE_DETAIL, a->detail, d->text_bytes);
    put_int(out, LINE_START_US, a->start_us);
    put_int(out, LINE_CONNECTED_US, a->connected_us);
    put_int(out, LINE_FIRST_EVENT_US, a->first_event_us);
    put_int(out, LINE_END_US, a->end_us);
    put_true(out, LINE_REUSED_CONNECTION, a->reused_connection);
    write_usage(out, &a->usage);
    put_int(out, LINE_RESERVED, a->reserved_picousd);
    put_int(out, LINE_COST, a->cost_picousd);
    put_more(out, LINE_OVERRUN, a->overrun_picousd);
    put_more(out, LINE_AT, a->money_s);
    put_true(out, LINE_SUSPECT, a->suspect);
    put_true(out, LINE_SENT, a->sent);
    buf_append_char(out, LINE_END);
}

static void write_attempts(struct buf *out, const struct settlement *s, const struct diet *d,
                           const enum line_word *outcome) {
    put_tag(out, LINE_ATTEMPTS);
    put_count(out, s->n_attempts);
    for (size_t i = 0; i < s->n_attempts; i++)
        write_attempt(out, &s->attempts[i], d, outcome);
}

static void write_drops(struct buf *out, const struct settlement *s, const struct diet *d) {
    size_t n = s->n_drops < d->drops ? s->n_drops : d->drops;
    put_tag(out, LINE_DROPS);
    put_count(out, n);
    for (size_t i = 0; i < n; i++) {
        put_text(out, slice_first(s->drops[i].action, 64));
        put_text(out, slice_first(s->drops[i].path, d->text_bytes));
        put_text(out, slice_first(s->drops[i].reason, d->text_bytes));
    }
    put_int(out, LINE_DROPS_SKIPPED, (int64_t)(s->drops_skipped + s->n_drops - n));
}

static void write_names(struct buf *out, const struct settlement *s, const struct diet *d) {
    put_str(out, LINE_PARENT, s->parent, 128);
    put_str_word(out, LINE_DIALECT, s->dialect, WORD_OPENAI, WORD_REPLICATE);
    put_str_word(out, LINE_OP, s->op, WORD_CHAT, WORD_RERANK);
    put_str(out, LINE_MODEL, s->model, d->name_bytes);
    put_str(out, LINE_ROUTE, s->route, d->name_bytes);
    put_str(out, LINE_KEY, s->key, d->name_bytes);
    put_str(out, LINE_RUN, s->run, LIMIT_RUN_ID_BYTES);
    put_int(out, LINE_CAP, s->cap_picousd);
    put_str_word(out, LINE_LABEL, slice_str(label_name(s->label)), WORD_PUBLIC, WORD_SECRET);
    put_str_word(out, LINE_LABEL_SOURCE, s->label_source, WORD_DEFAULT, WORD_ROUTE);
    put_str_word(out, LINE_REACH, s->reach, WORD_REACH_YES, WORD_REACH_NO);
    put_err(out, s->err);
    put_str_word(out, LINE_FINISH, s->finish, WORD_STOP, WORD_NONE);
}

static void write_settlement(struct buf *out, const struct settlement *s, const struct diet *d,
                             const enum line_word *outcome) {
    buf_append_char(out, LINE_SETTLED);
    put_str(out, LINE_ID, s->exchange, SIZE_MAX);
    put_int(out, LINE_WALL_US, s->wall_us);
    put_int(out, LINE_TOTAL_US, s->total_us);
    put_word(out, LINE_OUTCOME, outcome ? *outcome : s->err == ERR_OK ? WORD_SETTLED : WORD_FAILED);
    write_names(out, s, d);
    put_true(out, LINE_STREAM, s->stream);
    put_int(out, LINE_STATUS, s->status);
    put_int(out, LINE_REQUEST_BYTES, s->request_bytes);
    put_int(out, LINE_ANSWER_BYTES, s->answer_bytes);
    put_int(out, LINE_FIRST_EVENT_US, s->first_event_us);
    put_tag(out, LINE_STEP_US);
    put_count(out, sizeof s->step_us / sizeof s->step_us[0]);
    for (size_t i = 0; i < sizeof s->step_us / sizeof s->step_us[0]; i++)
        put_signed(out, s->step_us[i]);
    put_int(out, LINE_SNAPSHOT, (int64_t)s->snapshot);
    write_attempts(out, s, d, outcome);
    write_drops(out, s, d);
}

bool line_write_settlement(struct buf *out, const struct settlement *s, const char *outcome) {
    const enum line_word word = outcome && outcome[0] == 'u' ? WORD_UNKNOWN : WORD_OPEN;
    for (size_t i = 0; i < sizeof diets / sizeof diets[0]; i++) {
        buf_clear(out);
        write_settlement(out, s, &diets[i], outcome ? &word : NULL);
        if (line_close(out))
            return true;
    }
    return false;
}

// ---- what was JSON

static enum line_field field_of(struct slice name) {
    enum line_field f = LINE_ID;
    while (f < LINE_FIELD_COUNT && !slice_is(name, line_fields[f].name))
        f++;
    return f;
}

static void put_row(struct buf *out, yyjson_val *row) {
    for (size_t i = 0; i < 3; i++)
        put_text(out, json_str(yyjson_arr_get(row, i)));
}

static void put_fields(struct buf *out, yyjson_val *object);
static void put_object(struct buf *out, yyjson_val *object) {
    put_fields(out, object);
    buf_append_char(out, LINE_END);
}

static void put_all(struct buf *out, enum line_field field, yyjson_val *list) {
    yyjson_val *v;
    size_t i, n;
    put_tag(out, field);
    put_count(out, yyjson_arr_size(list));
    yyjson_arr_foreach(list, i, n, v) {
        if (line_fields[field].type == LINE_INTS)
            put_signed(out, yyjson_is_int(v) ? yyjson_get_sint(v) : -1);
        else if (line_fields[field].type == LINE_ROWS)
            put_row(out, v);
        else
            put_object(out, v);
    }
}

static void put_value(struct buf *out, enum line_field field, yyjson_val *v) {
    switch (line_fields[field].type) {
    case LINE_INT:
        if (yyjson_is_int(v))
            put_number(out, field, yyjson_get_sint(v));
        return;
    case LINE_TEXT:
        put_str(out, field, json_str(v), SIZE_MAX);
        return;
    case LINE_TRUE:
        put_true(out, field, yyjson_is_true(v));
        return;
    case LINE_OBJECT:
        put_tag(out, field);
        put_object(out, v);
        return;
    case LINE_INTS:
    case LINE_OBJECTS:
    case LINE_ROWS:
        put_all(out, field, v);
        return;
    }
}

static void put_fields(struct buf *out, yyjson_val *object) {
    yyjson_val *key, *v;
    size_t i, n;
    yyjson_obj_foreach(object, i, n, key, v) {
        enum line_field f = field_of(json_str(key));
        if (f < LINE_FIELD_COUNT)
            put_value(out, f, v);
    }
}

enum err line_from_json(struct slice json, struct buf *out) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, 4u << 20, 0);
    enum err e = json_read(&a, json, &d, &why);
    yyjson_val *root = e ? NULL : yyjson_doc_get_root(d.doc);
    struct slice kind = json_get_str(root, "k");
    if (!e && !(slice_is(kind, "i") || slice_is(kind, "t") || slice_is(kind, "s")))
        e = ERR_BAD_JSON;
    if (!e) {
        buf_append(out, kind);
        put_fields(out, root);
        e = line_close(out) ? ERR_OK : ERR_NO_MEMORY;
    }
    arena_done(&a);
    return e;
}
