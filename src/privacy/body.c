// SPDX-License-Identifier: Apache-2.0
// From bytes to marks: each text of the JSON (walk.h) is unescaped and looked up in the memo or scanned; what was found
// is carried back to the bytes. Texts that follow each other in one content are also looked at across their borders,
// since the model reads them as one. Arguments and the like are looked at with the name that they have, which may be
// what makes a value a secret. Everything made here is the arena's; nothing is sent from here. Runs on a loop for
// little, on the pool for much.
#include "privacy/body.h"
#include "base/mem.h"
#include "privacy/unescape.h"
#include "privacy/walk.h"

#define JOINT_BYTES 160     // looked at on each side of a border
#define NAMED_MOST 4096     // longer values speak for themselves
#define MEMO_LEAST_BYTES 32 // below that a scan costs no more than a look-up

struct piece { // a text of a run
    struct walk_token t;
    size_t n; // unescaped
    char head[JOINT_BYTES], tail[JOINT_BYTES];
};

struct finder {
    struct body *b;
    size_t most;
    bool more;
    struct buf text; // of the token at hand, unescaped, with what was put in front
    struct spans spans;
    struct piece *pieces; // of the run at hand
    size_t n_pieces, cap_pieces;
    size_t first_mark; // of the run
};

// ---- marks

static struct mark *mark_add(struct body *b) {
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 16;
        struct mark *v = arena_array(b->a, cap, sizeof *v);
        if (!v)
            return NULL;
        if (b->n)
            memcpy(v, b->marks, b->n * sizeof *v);
        b->marks = v;
        b->cap = cap;
    }
    b->marks[b->n] = (struct mark){0};
    return &b->marks[b->n++];
}

static size_t place_of(const struct body *b, const struct walk_token *t, size_t text_at) {
    size_t at = t->escaped ? unescape_offset(t->raw, text_at) : text_at;
    return (size_t)(t->raw.p - b->json.p) + at;
}

static enum form form_of(enum entity e) {
    return entity_is_number(e) ? FORM_NUMBER : e == ENTITY_EMAIL ? FORM_ADDRESS : FORM_TEXT;
}

// text: the token's, from which the span is.
static enum err mark_span(struct finder *f, const struct walk_token *t, struct slice text, size_t at, size_t n,
                          uint16_t pattern) {
    struct body *b = f->b;
    const struct span s = {0, 0, pattern};
    struct mark *m = mark_add(b);
    if (!m)
        return ERR_NO_MEMORY;
    m->at = place_of(b, t, at);
    m->n = place_of(b, t, at + n) - m->at;
    m->pattern = pattern;
    m->loose = !matcher_borders_hold(form_of(span_entity(&s)), text, at, n);
    m->value = t->escaped ? arena_copy(b->a, slice_of(text.p + at, n)) : slice_of(b->json.p + m->at, m->n);
    return m->value.p ? ERR_OK : ERR_NO_MEMORY;
}

// ---- one text

// What is in f->text, into f->spans.
static enum err text_find(struct finder *f) {
    struct body *b = f->b;
    struct slice text = buf_slice(&f->text);
    struct memo_key key = {{0, 0}};
    bool remember = b->memo && text.n >= MEMO_LEAST_BYTES;
    f->spans.n = 0;
    if (text.n < detector_least_bytes(b->detector))
        return ERR_OK;
    if (remember) {
        key = memo_key_of(b->memo, detector_id(b->detector), text);
        if (memo_find(b->memo, key, &f->spans))
            return ERR_OK;
    }
    if (text.n > f->most || b->scanned_bytes > f->most - text.n) {
        f->more = true;
        return ERR_OK;
    }
    b->scanned_bytes += text.n;
    enum err e = detector_scan(b->detector, text, &f->spans);
    if (!e && remember)
        memo_put(b->memo, key, f->spans.v, f->spans.n);
    return e;
}

static bool text_set(struct finder *f, const struct walk_token *t) {
    if (t->escaped)
        unescape_append(&f->text, t->raw);
    else
        buf_append(&f->text, t->raw);
    return !f->text.failed;
}

// The name in front, as it would stand in JSON; its length in *ret.
static void name_put(struct finder *f, const struct walk_token *t, size_t *ret) {
    bool named = t->open && t->kind != WALK_KEY && t->key.n > 0 && t->key.n <= 64 && t->raw.n <= NAMED_MOST;
    if (named) {
        buf_append(&f->text, t->key);
        buf_append_str(&f->text, t->kind == WALK_STRING ? "\": \"" : "\": ");
    }
    *ret = f->text.len;
}

static enum err token_find(struct finder *f, const struct walk_token *t) {
    size_t front;
    buf_clear(&f->text);
    name_put(f, t, &front);
    if (!text_set(f, t))
        return ERR_NO_MEMORY;
    enum err e = text_find(f);
    struct slice text = slice_from(buf_slice(&f->text), front);
    for (size_t i = 0; !e && i < f->spans.n; i++) {
        struct span s = f->spans.v[i];
        size_t end = s.at + s.n, at = s.at > front ? s.at - front : 0;
        // A number has to stay one: it is replaced whole or not at all.
        bool whole = t->kind != WALK_NUMBER || (at == 0 && end - front == text.n);
        if (end > front && whole)
            e = mark_span(f, t, text, at, end - front - at, s.pattern);
    }
    return e;
}

// ---- borders between texts of a run

static enum err piece_add(struct finder *f, const struct walk_token *t) {
    if (f->n_pieces == f->cap_pieces) {
        size_t cap = f->cap_pieces ? f->cap_pieces * 2 : 8;
        struct piece *v = mem_realloc(f->pieces, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        f->pieces = v;
        f->cap_pieces = cap;
    }
    struct piece *p = &f->pieces[f->n_pieces++];
    struct slice text = buf_slice(&f->text);
    size_t part = text.n < JOINT_BYTES ? text.n : JOINT_BYTES;
    p->t = *t;
    p->n = text.n;
    if (part) {
        memcpy(p->head, text.p, part);
        memcpy(p->tail, text.p + text.n - part, part);
    }
    return ERR_OK;
}

static size_t part_of(const struct piece *p) {
    return p->n < JOINT_BYTES ? p->n : JOINT_BYTES;
}

// The first piece of which something stands in the window left of the border before `border`, and from where in it.
static size_t window_begin(const struct finder *f, size_t border, size_t *ret_at) {
    size_t room = JOINT_BYTES, i = border;
    while (i > 0 && room > 0) {
        const struct piece *p = &f->pieces[--i];
        *ret_at = p->n > room ? p->n - room : 0;
        room -= p->n > room ? room : p->n;
    }
    return i;
}

// The window's text in f->text; *ret_border: where the border is in it.
static size_t window_set(struct finder *f, size_t border, size_t *ret_at, size_t *ret_border) {
    size_t first = window_begin(f, border, ret_at);
    buf_clear(&f->text);
    for (size_t i = first; i < border; i++) {
        const struct piece *p = &f->pieces[i];
        size_t from = i == first ? *ret_at : 0; // counted in the piece; the tail holds its end
        size_t in_tail = from - (p->n - part_of(p));
        buf_append_mem(&f->text, p->tail + in_tail, part_of(p) - in_tail);
    }
    *ret_border = f->text.len;
    for (size_t i = border; i < f->n_pieces && f->text.len < *ret_border + JOINT_BYTES; i++)
        buf_append_mem(&f->text, f->pieces[i].head, part_of(&f->pieces[i]));
    return first;
}

// Marks that [at, at + n) of the JSON touches go: the find over the border knows better.
static void marks_drop(struct finder *f, size_t at, size_t n) {
    size_t kept = f->first_mark;
    for (size_t i = f->first_mark; i < f->b->n; i++) {
        const struct mark *m = &f->b->marks[i];
        if (m->at + m->n <= at || m->at >= at + n)
            f->b->marks[kept++] = *m;
    }
    f->b->n = kept;
}

static bool marks_rest_at(const struct finder *f, size_t at) {
    for (size_t i = f->first_mark; i < f->b->n; i++)
        if (f->b->marks[i].rest && f->b->marks[i].at <= at && at < f->b->marks[i].at + f->b->marks[i].n)
            return true;
    return false;
}

// A find that reaches from piece `first`, byte `at` (counted in the piece) over `n` bytes.
static enum err mark_joint(struct finder *f, size_t first, size_t at, size_t n, struct slice value, uint16_t pattern) {
    struct body *b = f->b;
    bool rest = false;
    if (marks_rest_at(f, place_of(b, &f->pieces[first].t, at)))
        return ERR_OK; // known from the border before
    for (size_t i = first; n > 0 && i < f->n_pieces; i++, at = 0) {
        const struct piece *p = &f->pieces[i];
        size_t here = p->n - at < n ? p->n - at : n, begin = place_of(b, &p->t, at);
        size_t bytes = place_of(b, &p->t, at + here) - begin;
        n -= here;
        if (here == 0)
            continue;
        marks_drop(f, begin, bytes);
        struct mark *m = mark_add(b);
        if (!m)
            return ERR_NO_MEMORY;
        *m = (struct mark){.at = begin, .n = bytes, .pattern = pattern, .loose = true, .rest = rest};
        if (!rest) {
            m->value = arena_copy(b->a, value);
            if (!m->value.p)
                return ERR_NO_MEMORY;
        }
        rest = true;
    }
    return ERR_OK;
}

static enum err border_find(struct finder *f, size_t border) {
    size_t from = 0, middle = 0, first = window_set(f, border, &from, &middle);
    if (f->text.failed)
        return ERR_NO_MEMORY;
    enum err e = text_find(f);
    for (size_t i = 0; !e && i < f->spans.n; i++) {
        struct span s = f->spans.v[i];
        if (s.at >= middle || s.at + s.n <= middle)
            continue;
        size_t piece = first, at = from + s.at;
        while (at >= f->pieces[piece].n)
            at -= f->pieces[piece++].n;
        e = mark_joint(f, piece, at, s.n, slice_of(f->text.p + s.at, s.n), s.pattern);
    }
    return e;
}

static int mark_order(const void *a, const void *b) {
    const struct mark *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void marks_sort(struct body *b, size_t first) {
    if (b->n > first + 1)
        qsort(b->marks + first, b->n - first, sizeof *b->marks, mark_order);
}

static enum err run_end(struct finder *f) {
    enum err e = ERR_OK;
    for (size_t i = 1; i < f->n_pieces && !e && !f->more; i++)
        e = border_find(f, i);
    if (f->n_pieces > 1)
        marks_sort(f->b, f->first_mark);
    f->n_pieces = 0;
    return e;
}

// ---- all of it

static bool worth_a_look(const struct body *b, const struct walk_token *t) {
    return !t->exempt && t->raw.n > 0 && (t->kind != WALK_NUMBER || t->raw.n >= 8) &&
           (t->run || t->raw.n > 1 || b->plain);
}

static enum err tokens_find(struct finder *f) {
    struct walk w;
    struct walk_token t;
    unsigned run = 0;
    enum err e = ERR_OK;
    walk_begin(&w, f->b->json);
    while (!e && !f->more && walk_next(&w, &t)) {
        if (t.exempt && t.kind == WALK_KEY)
            continue;
        if (t.run && t.run != run) {
            e = run_end(f);
            run = t.run;
            f->first_mark = f->b->n;
        }
        if (e || !worth_a_look(f->b, &t))
            continue;
        e = token_find(f, &t);
        if (!e && t.run)
            e = piece_add(f, &t);
    }
    return e ? e : run_end(f);
}

static void counts_set(struct body *b) {
    memset(b->counts, 0, sizeof b->counts);
    for (size_t i = 0; i < b->n; i++) {
        const struct span s = {0, 0, b->marks[i].pattern};
        b->counts[span_entity(&s)] += !b->marks[i].rest;
    }
}

enum err body_find(struct body *b, size_t most, bool *ret_more) {
    struct finder f = {.b = b, .most = most, .text = BUF_INIT(LIMIT_BODY_BYTES * 2)};
    struct walk_token all = {.kind = WALK_STRING, .raw = b->json};
    b->n = b->scanned_bytes = 0;
    enum err e = b->plain ? token_find(&f, &all) : tokens_find(&f);
    if (e || f.more)
        b->n = 0;
    counts_set(b);
    *ret_more = !e && f.more;
    buf_done(&f.text);
    spans_done(&f.spans);
    mem_free(f.pieces);
    return e;
}

bool body_has_secret(const struct body *b) {
    return b->counts[ENTITY_SECRET] || b->counts[ENTITY_CREDENTIAL];
}

bool body_has_personal(const struct body *b) {
    for (int e = 0; e < ENTITY_COUNT; e++)
        if (b->counts[e] && !entity_is_secret((enum entity)e))
            return true;
    return false;
}
