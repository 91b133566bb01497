// SPDX-License-Identifier: Apache-2.0
// Reads the journal's lines (line.h): what the feed needs of each at once, single fields, and all of one as JSON, which the
// questions are answered from. Any bytes may come: a journal's disk can lie, and its last line can be torn. Nothing here
// allocates, except lines that stood in JSON before schema 3. Runs on whoever holds the ledger's mutex.
#include "base/json.h"
#include "ledger/line.h"

#define DEPTH_MOST 4   // of objects; a line has two levels
#define NUMBER_MOST 11 // bytes

const struct line_field_row line_fields[LINE_FIELD_COUNT] = {
#define X(name, text, type) {text, type},
    LINE_FIELDS(X)
#undef X
};

const struct slice line_words[WORD_COUNT] = {
#define X(name, text) SLICE(text),
    LINE_WORDS(X)
#undef X
};

struct cursor {
    const char *p, *end;
    bool broken;
};

static bool broken(struct cursor *c) {
    c->broken = true;
    c->p = c->end;
    return false;
}

static uint64_t number_take(struct cursor *c) {
    uint64_t v = 0;
    const char *p = c->p;
    for (unsigned shift = 0; p < c->end && shift < 64; shift += 6) {
        unsigned char b = (unsigned char)*p++;
        if (b < 0x40 || b > 0xbf)
            break;
        v |= (uint64_t)(b & 63) << shift;
        if (b < 0x80) {
            c->p = p;
            return v;
        }
    }
    (void)broken(c);
    return 0;
}

// Most numbers of a line are of no interest to the feed.
static void number_skip(struct cursor *c) {
    const char *p = c->p;
    while (p < c->end && ((unsigned char)*p & 0xc0) == 0x80)
        p++;
    if (p == c->end || ((unsigned char)*p & 0xc0) != 0x40 || p - c->p >= NUMBER_MOST)
        (void)broken(c);
    else
        c->p = p + 1;
}

static int64_t signed_take(struct cursor *c) {
    uint64_t v = number_take(c);
    return (int64_t)(v >> 1 ^ -(v & 1));
}

static struct slice text_take(struct cursor *c) {
    if (c->p < c->end && (unsigned char)*c->p >= LINE_WORD_FIRST) {
        unsigned word = (unsigned)(unsigned char)*c->p++ - LINE_WORD_FIRST;
        if (word < WORD_COUNT)
            return line_words[word];
        (void)broken(c);
    }
    uint64_t n = number_take(c);
    if (n > (uint64_t)(c->end - c->p)) {
        (void)broken(c);
        return SLICE_NONE;
    }
    struct slice s = slice_of(c->p, (size_t)n);
    c->p += n;
    return s;
}

// The next field of an object; false at its end, also where it is broken.
static bool field_take(struct cursor *c, enum line_field *ret) {
    if (c->p == c->end)
        return broken(c);
    unsigned field = (unsigned)(unsigned char)*c->p++ - 32u;
    if (field == LINE_ENDS)
        return false;
    if (field < LINE_ID || field >= LINE_FIELD_COUNT)
        return broken(c);
    *ret = (enum line_field)field;
    return true;
}

static void texts_skip(struct cursor *c, uint64_t n) {
    for (uint64_t i = 0; i < n && !c->broken; i++)
        (void)text_take(c);
}

static void object_skip(struct cursor *c, unsigned depth);
static void value_skip(struct cursor *c, enum line_field field, unsigned depth) {
    uint64_t n;
    switch (line_fields[field].type) {
    case LINE_INT:
        number_skip(c);
        return;
    case LINE_TEXT:
        (void)text_take(c);
        return;
    case LINE_TRUE:
        return;
    case LINE_OBJECT:
        object_skip(c, depth);
        return;
    case LINE_INTS:
        for (n = number_take(c); n > 0 && !c->broken; n--)
            number_skip(c);
        return;
    case LINE_OBJECTS:
        for (n = number_take(c); n > 0 && !c->broken; n--)
            object_skip(c, depth);
        return;
    case LINE_ROWS:
        n = number_take(c);
        texts_skip(c, n > UINT32_MAX ? UINT64_MAX : 3 * n);
        return;
    }
}

static void object_skip(struct cursor *c, unsigned depth) {
    enum line_field field;
    if (depth == DEPTH_MOST)
        (void)broken(c);
    while (field_take(c, &field))
        value_skip(c, field, depth + 1);
}

// At the first field of a line.
static struct cursor line_begin(struct slice line) {
    bool known = line.n > 1 && (line.p[0] == LINE_INTENT || line.p[0] == LINE_RAISED || line.p[0] == LINE_SETTLED);
    return known ? (struct cursor){line.p + 1, line.p + line.n, false} : (struct cursor){line.p, line.p, true};
}

static bool line_ends(const struct cursor *c) {
    return !c->broken && c->p == c->end;
}

struct slice line_id(struct slice line) {
    struct cursor c = line_begin(line);
    enum line_field field;
    if (c.broken || line.p[line.n - 1] != LINE_END || !field_take(&c, &field) || field != LINE_ID)
        return SLICE_NONE;
    return text_take(&c);
}

int64_t line_int(struct slice line, enum line_field wanted, int64_t otherwise) {
    struct cursor c = line_begin(line);
    enum line_field field;
    while (!c.broken && field_take(&c, &field)) {
        if (field == wanted)
            return signed_take(&c);
        value_skip(&c, field, 1);
    }
    return otherwise;
}

struct slice line_text(struct slice line, enum line_field wanted) {
    struct cursor c = line_begin(line);
    enum line_field field;
    while (!c.broken && field_take(&c, &field)) {
        if (field == wanted)
            return text_take(&c);
        value_skip(&c, field, 1);
    }
    return SLICE_NONE;
}

// ---- what the feed needs

bool line_intent_read(struct slice line, struct line_intent *ret) {
    struct cursor c = line_begin(line);
    enum line_field field;
    struct line_intent i = {.reserved = -1};
    while (!c.broken && field_take(&c, &field)) {
        if (field == LINE_ID)
            i.id = text_take(&c);
        else if (field == LINE_KEY)
            i.key = text_take(&c);
        else if (field == LINE_ATTEMPT)
            i.attempt = signed_take(&c);
        else if (field == LINE_RESERVED)
            i.reserved = signed_take(&c);
        else
            value_skip(&c, field, 1);
    }
    if (!line_ends(&c) || !i.id.n || line.p[0] == LINE_SETTLED)
        return false;
    *ret = i;
    return true;
}

static void outcome_take(struct cursor *c, struct line_attempt *at) {
    struct slice outcome = text_take(c);
    at->settled = slice_is(outcome, "settled");
    at->unknown = slice_is(outcome, "unknown");
}

// Usage is an object of its own; its fields have names that nothing else has.
static void attempt_field(struct cursor *c, enum line_field field, struct line_attempt *at) {
    switch ((int)field) {
    case LINE_TARGET:
        at->target = text_take(c);
        return;
    case LINE_OUTCOME:
        outcome_take(c, at);
        return;
    case LINE_COST:
        at->cost = signed_take(c);
        return;
    case LINE_OVERRUN:
        at->overrun = signed_take(c);
        return;
    case LINE_AT:
        at->money_s = signed_take(c);
        return;
    case LINE_INPUT_TOKENS:
        at->input_tokens = signed_take(c);
        return;
    case LINE_OUTPUT_TOKENS:
        at->output_tokens = signed_take(c);
        return;
    case LINE_SENT:
        at->sent = true;
        return;
    default:
        value_skip(c, field, 2);
    }
}

static void attempt_take(struct cursor *c, struct line_attempt *at) {
    enum line_field field;
    *at = (struct line_attempt){.cost = -1, .overrun = -1, .money_s = -1};
    for (bool inside = false;;) {
        if (!field_take(c, &field)) {
            if (!inside || c->broken)
                return;
            inside = false;
        } else if (field == LINE_USAGE && !inside) {
            inside = true;
        } else {
            attempt_field(c, field, at);
        }
    }
}

static void attempts_take(struct cursor *c, struct line_facts *f) {
    uint64_t n = number_take(c);
    if (f->n_attempts > 0 || n > LINE_ATTEMPTS_MOST)
        (void)broken(c);
    for (uint64_t i = 0; i < n && !c->broken; i++)
        attempt_take(c, &f->attempts[f->n_attempts++]);
}

static void fact_take(struct cursor *c, enum line_field field, struct line_facts *f) {
    switch ((int)field) {
    case LINE_ID:
        f->id = text_take(c);
        return;
    case LINE_MODEL:
        f->model = text_take(c);
        return;
    case LINE_KEY:
        f->key = text_take(c);
        return;
    case LINE_RUN:
        f->run = text_take(c);
        return;
    case LINE_WALL_US:
        f->wall_us = signed_take(c);
        return;
    case LINE_TOTAL_US:
        f->total_us = signed_take(c);
        return;
    case LINE_CAP:
        f->cap = signed_take(c);
        return;
    case LINE_PARENT:
        f->child = text_take(c).n > 0;
        return;
    case LINE_OUTCOME:
        f->settled = slice_is(text_take(c), "settled");
        return;
    case LINE_ATTEMPTS:
        attempts_take(c, f);
        return;
    default:
        value_skip(c, field, 1);
    }
}

bool line_facts_read(struct slice line, struct line_facts *f) {
    struct cursor c = line_begin(line);
    enum line_field field;
    // Not its attempts: they are 1,400 bytes, and most lines have one.
    f->id = f->model = f->key = f->run = SLICE_NONE;
    f->wall_us = f->total_us = 0;
    f->cap = -1;
    f->child = f->settled = false;
    f->n_attempts = 0;
    while (!c.broken && field_take(&c, &field))
        fact_take(&c, field, f);
    return line_ends(&c) && f->id.n > 0 && line.p[0] == LINE_SETTLED;
}

int64_t line_ended_us(const struct line_facts *f) {
    const int64_t year = INT64_C(365) * 86400000000;
    int64_t took = f->total_us > year ? year : f->total_us < 0 ? 0 : f->total_us, ended;
    return __builtin_add_overflow(f->wall_us, took, &ended) ? INT64_MAX : ended;
}

const struct line_attempt *line_chosen(const struct line_facts *f) {
    for (size_t i = 0; i < f->n_attempts; i++)
        if (f->attempts[i].settled)
            return &f->attempts[i];
    return f->n_attempts ? &f->attempts[f->n_attempts - 1] : NULL;
}

// ---- as JSON

static void object_json(struct cursor *c, struct json_writer *w, unsigned depth);
static void value_json(struct cursor *c, enum line_field field, struct json_writer *w, unsigned depth) {
    uint64_t n;
    switch (line_fields[field].type) {
    case LINE_INT:
        json_put_int(w, signed_take(c));
        return;
    case LINE_TEXT:
        json_put_str(w, text_take(c));
        return;
    case LINE_TRUE:
        json_put_bool(w, true);
        return;
    case LINE_OBJECT:
        object_json(c, w, depth);
        return;
    case LINE_INTS:
        json_arr(w);
        for (n = number_take(c); n > 0 && !c->broken; n--)
            json_put_int(w, signed_take(c));
        json_arr_end(w);
        return;
    case LINE_OBJECTS:
        json_arr(w);
        for (n = number_take(c); n > 0 && !c->broken; n--)
            object_json(c, w, depth);
        json_arr_end(w);
        return;
    case LINE_ROWS:
        json_arr(w);
        for (n = number_take(c); n > 0 && !c->broken; n--) {
            json_arr(w);
            for (int i = 0; i < 3; i++)
                json_put_str(w, text_take(c));
            json_arr_end(w);
        }
        json_arr_end(w);
        return;
    }
}

static void object_json(struct cursor *c, struct json_writer *w, unsigned depth) {
    enum line_field field;
    if (depth == DEPTH_MOST)
        (void)broken(c);
    json_obj(w);
    while (field_take(c, &field)) {
        json_key(w, line_fields[field].name);
        value_json(c, field, w, depth + 1);
    }
    json_obj_end(w);
}

bool line_to_json(struct slice line, struct buf *out) {
    struct cursor c = line_begin(line);
    struct json_writer w = JSON_WRITER(out);
    if (c.broken)
        return false;
    object_json(&c, &w, 0);
    return line_ends(&c) && !out->failed;
}
