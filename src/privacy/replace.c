// SPDX-License-Identifier: Apache-2.0
// From marks to bytes that may leave. A value that was found once is replaced wherever it stands, also where nothing
// around it would tell what it is: an answer that was restored comes back up without the words that gave the value
// away. Values get their stand-ins in the order of the text. Between the places that change, the bytes are copied as
// they are.
#include "base/mem.h"
#include "privacy/body.h"
#include "privacy/unescape.h"
#include "privacy/walk.h"

struct edit {
    size_t at, n;
    struct slice standin; // empty for a rest
};

struct replacer {
    struct body *b;
    bool secrets_only;
    struct aliases *aliases;
    struct replaced *ret;
    struct edit *edits; // by place
    size_t n, cap;
};

static enum entity mark_entity(const struct mark *m) {
    const struct span s = {0, 0, m->pattern};
    return span_entity(&s);
}

static bool wanted(const struct replacer *r, const struct mark *m) {
    return !r->secrets_only || entity_is_secret(mark_entity(m));
}

static enum err edit_add(struct replacer *r, size_t at, size_t n, struct slice standin) {
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 32;
        struct edit *v = mem_realloc(r->edits, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        r->edits = v;
        r->cap = cap;
    }
    r->edits[r->n++] = (struct edit){at, n, standin};
    return ERR_OK;
}

static enum err value_take(struct replacer *r, size_t at, size_t n, enum entity e, struct slice value, bool loose) {
    struct slice standin = aliases_take(r->aliases, e, value, loose);
    if (!standin.p)
        return ERR_LIMIT;
    r->ret->counts[e]++;
    if (standin.n > r->ret->longest)
        r->ret->longest = standin.n;
    return edit_add(r, at, n, standin);
}

static enum err marks_take(struct replacer *r) {
    enum err e = ERR_OK;
    bool rest = false;
    for (size_t i = 0; i < r->b->n; i++)
        if (!r->b->marks[i].rest && wanted(r, &r->b->marks[i]) &&
            !aliases_note(r->aliases, mark_entity(&r->b->marks[i]), r->b->marks[i].value))
            return ERR_NO_MEMORY;
    for (size_t i = 0; i < r->b->n && !e; i++) {
        const struct mark *m = &r->b->marks[i];
        if (m->rest && rest)
            e = edit_add(r, m->at, m->n, SLICE_NONE);
        if (m->rest)
            continue;
        rest = wanted(r, m);
        if (rest)
            e = value_take(r, m->at, m->n, mark_entity(m), m->value, m->loose);
    }
    return e;
}

// ---- what was found, elsewhere

struct sweep {
    struct replacer *r;
    const struct matcher *m;
    size_t marked; // edits made from marks
    size_t next;   // of these, by place
    struct buf text;
};

// The end of the edit that covers or touches [at, at + n) of the JSON; 0: none does.
static size_t edit_over(struct sweep *s, size_t at, size_t n) {
    const struct edit *v = s->r->edits;
    while (s->next < s->marked && v[s->next].at + v[s->next].n <= at)
        s->next++;
    return s->next < s->marked && v[s->next].at < at + n ? v[s->next].at + v[s->next].n : 0;
}

static enum err sweep_token(struct sweep *s, const struct walk_token *t) {
    struct replacer *r = s->r;
    size_t base = (size_t)(t->raw.p - r->b->json.p);
    struct slice text = t->raw;
    struct match_found hit;
    if (t->escaped) {
        buf_clear(&s->text);
        unescape_append(&s->text, t->raw);
        if (s->text.failed)
            return ERR_NO_MEMORY;
        text = buf_slice(&s->text);
    }
    for (size_t at = matcher_next(s->m, text, 0); at < text.n; at = matcher_next(s->m, text, at)) {
        if (matcher_at(s->m, text, at, 0, false, &hit) != MATCH_YES) {
            at++;
            continue;
        }
        size_t from = base + (t->escaped ? unescape_offset(t->raw, at) : at);
        size_t to = base + (t->escaped ? unescape_offset(t->raw, at + hit.n) : at + hit.n);
        bool whole = t->kind != WALK_NUMBER || hit.n == text.n;
        struct slice value = slice_of(text.p + at, hit.n);
        at += hit.n;
        if (!whole || edit_over(s, from, to - from))
            continue;
        enum err e = value_take(r, from, to - from, r->aliases->v[hit.id].entity, value, false);
        if (e)
            return e;
    }
    return ERR_OK;
}

static int edit_order(const void *a, const void *b) {
    const struct edit *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static enum err known_take(struct replacer *r) {
    struct sweep s = {.r = r, .m = aliases_find_real(r->aliases), .marked = r->n};
    struct walk w;
    struct walk_token t = {.kind = WALK_STRING, .raw = r->b->json};
    enum err e = ERR_OK;
    if (!s.m)
        return ERR_NO_MEMORY;
    if (matcher_is_empty(s.m))
        return ERR_OK;
    s.text = BUF_INIT(LIMIT_BODY_BYTES * 2);
    walk_begin(&w, r->b->json);
    if (r->b->plain)
        e = sweep_token(&s, &t);
    while (!r->b->plain && !e && walk_next(&w, &t))
        if (!t.exempt)
            e = sweep_token(&s, &t);
    buf_done(&s.text);
    if (!e)
        qsort(r->edits, r->n, sizeof *r->edits, edit_order);
    return e;
}

// ---- the new bytes

static enum err write(const struct replacer *r, struct slice *ret) {
    struct slice json = r->b->json;
    size_t room = json.n + 1, at = 0;
    for (size_t i = 0; i < r->n; i++)
        room += r->edits[i].standin.n;
    char *to = arena_alloc(r->b->a, room), *end = to;
    if (!to)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < r->n; i++) {
        const struct edit *e = &r->edits[i];
        end = mempcpy(end, json.p + at, e->at - at);
        if (e->standin.n)
            end = mempcpy(end, e->standin.p, e->standin.n);
        at = e->at + e->n;
    }
    end = mempcpy(end, json.p + at, json.n - at);
    *end = 0;
    *ret = slice_of(to, (size_t)(end - to));
    return ERR_OK;
}

enum err body_replace(struct body *b, const struct standin_key *key, bool secrets_only, struct replaced *ret) {
    struct replacer r = {.b = b, .secrets_only = secrets_only, .aliases = &ret->aliases, .ret = ret};
    *ret = (struct replaced){.json = b->json};
    if (!aliases_init(&ret->aliases, b->a, key))
        return ERR_NO_MEMORY;
    enum err e = marks_take(&r);
    if (!e && r.n > 0)
        e = known_take(&r);
    if (!e && r.n > 0)
        e = write(&r, &ret->json);
    if (!e && r.n > 0) {
        ret->standins = aliases_find_standin(&ret->aliases);
        e = ret->standins ? ERR_OK : ERR_NO_MEMORY;
    }
    mem_free(r.edits);
    return e;
}
