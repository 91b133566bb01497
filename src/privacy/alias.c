// SPDX-License-Identifier: Apache-2.0
// Real values and their stand-ins, for one request. A value is looked up by its spelling, then by its family: the
// entity and what matters of the value. A family's stand-in is fixed by the first spelling seen; another spelling gets
// the same one, spelled its way. Where that would make two texts equal (two families, two spellings, or a stand-in that
// is somebody's real value), the later one gets another stand-in: the order is the text's, so the next turn finds the
// same. One hash table over the texts of both sides; all memory is the arena's.
#include "privacy/alias.h"
#include "base/mem.h"
#include "privacy/check.h"

#define TRIES_MOST 4096

enum side { SIDE_REAL, SIDE_STANDIN, SIDE_FAMILY, SIDE_TAKEN };

struct entry {
    struct slice text;
    uint32_t value; // index of an alias, or a count of tries
    uint8_t side, entity;
    bool used;
};

struct alias_set {
    struct entry *v;
    size_t n, cap; // cap is a power of two
};

// ---- the table

static size_t hash_of(enum side side, enum entity e, struct slice text) {
    return (size_t)slice_hash(text, (uint64_t)side << 8 ^ (uint64_t)e);
}

static struct entry *slot_of(const struct alias_set *s, enum side side, enum entity e, struct slice text) {
    for (size_t i = hash_of(side, e, text);; i++) {
        struct entry *at = &s->v[i & (s->cap - 1)];
        if (!at->used || (at->side == side && at->entity == e && slice_eq(at->text, text)))
            return at;
    }
}

static struct entry *set_find(const struct alias_set *s, enum side side, enum entity e, struct slice text) {
    struct entry *at = slot_of(s, side, e, text);
    return at->used ? at : NULL;
}

static bool set_grow(struct alias_set *s, struct arena *a) {
    struct alias_set more = {arena_array(a, s->cap * 2, sizeof *s->v), s->n, s->cap * 2};
    if (!more.v)
        return false;
    for (size_t i = 0; i < s->cap; i++)
        if (s->v[i].used)
            *slot_of(&more, s->v[i].side, s->v[i].entity, s->v[i].text) = s->v[i];
    *s = more;
    return true;
}

// text must live as long. An entry that is there stays as it is.
static bool set_put(struct aliases *m, enum side side, enum entity e, struct slice text, uint32_t value) {
    struct alias_set *s = m->set;
    if (s->n * 2 >= s->cap && !set_grow(s, m->a))
        return false;
    struct entry *at = slot_of(s, side, e, text);
    if (at->used)
        return true;
    *at = (struct entry){text, value, (uint8_t)side, (uint8_t)e, true};
    s->n++;
    return true;
}

bool aliases_init(struct aliases *m, struct arena *a, const struct standin_key *key) {
    *m = (struct aliases){.a = a, .key = key};
    m->set = ARENA_NEW(a, struct alias_set);
    if (!m->set)
        return false;
    m->set->cap = 64;
    m->set->v = arena_array(a, m->set->cap, sizeof *m->set->v);
    return m->set->v != NULL;
}

// ---- what a text is measured by

static struct slice normal_of(struct arena *a, enum entity e, struct slice text) {
    struct buf b = BUF_INIT(text.n * 4 + 64);
    struct slice s = standin_normalise(e, text, &b) ? arena_copy(a, buf_slice(&b)) : SLICE_NONE;
    buf_done(&b);
    return s;
}

// Numbers of all kinds share one space, and so do texts: what looks the same must not mean two things.
static enum entity space_of(enum entity e) {
    return entity_is_number(e) ? ENTITY_CARD : ENTITY_EMAIL;
}

bool aliases_note(struct aliases *m, enum entity e, struct slice real) {
    struct slice normal = normal_of(m->a, e, real);
    return normal.p && set_put(m, SIDE_TAKEN, space_of(e), normal, 0);
}

// ---- taking

static struct alias *alias_new(struct aliases *m) {
    if (m->n == m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 16;
        struct alias *v = arena_array(m->a, cap, sizeof *v);
        if (!v)
            return NULL;
        if (m->n)
            memcpy(v, m->v, m->n * sizeof *v);
        m->v = v;
        m->cap = cap;
    }
    return &m->v[m->n++];
}

static struct slice standin_of(struct aliases *m, enum entity e, struct slice normal, struct slice real,
                               unsigned again) {
    struct buf b = BUF_INIT(real.n + 256);
    standin_write(m->key, e, normal, real, again, &b);
    struct slice s = b.failed ? SLICE_NONE : arena_copy(m->a, buf_slice(&b));
    buf_done(&b);
    return s;
}

// A stand-in of the family of `normal` that is nobody else's and no one's value. *again: where to begin, and what it
// took.
static struct slice standin_free(struct aliases *m, enum entity e, struct slice normal, struct slice real,
                                 uint32_t family, uint32_t *again) {
    for (; *again < TRIES_MOST; ++*again) {
        struct slice standin = standin_of(m, e, normal, real, *again);
        struct slice measure = standin.p ? normal_of(m->a, e, standin) : SLICE_NONE;
        if (!measure.p)
            return SLICE_NONE;
        const struct entry *other = set_find(m->set, SIDE_STANDIN, space_of(e), measure);
        bool ours = other && other->value == family;
        if ((!other || ours) && !set_find(m->set, SIDE_TAKEN, space_of(e), measure)) {
            if (!set_put(m, SIDE_STANDIN, space_of(e), measure, family))
                return SLICE_NONE;
            return standin;
        }
    }
    return SLICE_NONE;
}

static bool spelling_is_taken(const struct aliases *m, uint32_t family, struct slice standin) {
    for (uint32_t i = family + 1; i; i = m->v[i - 1].next)
        if (slice_eq(m->v[i - 1].standin, standin))
            return true;
    return false;
}

static struct slice alias_add(struct aliases *m, enum entity e, struct slice real, struct slice standin, bool loose,
                              uint32_t family) {
    uint32_t index = m->n;
    struct alias *one = alias_new(m);
    if (!one)
        return SLICE_NONE;
    *one = (struct alias){.entity = e, .real = real, .standin = standin, .loose = loose, .family = family};
    if (family != index) {
        uint32_t last = family;
        while (m->v[last].next)
            last = m->v[last].next - 1;
        m->v[last].next = index + 1;
    }
    return set_put(m, SIDE_REAL, e, real, index) ? standin : SLICE_NONE;
}

// A value that is not known in this spelling. `normal` names its family.
static struct slice take_new(struct aliases *m, enum entity e, struct slice real, struct slice normal, bool loose) {
    const struct entry *known = set_find(m->set, SIDE_FAMILY, e, normal);
    uint32_t family = known ? known->value : m->n, again = 0;
    struct slice standin = standin_free(m, e, normal, real, family, &again);
    if (!standin.p)
        return SLICE_NONE;
    if (known && spelling_is_taken(m, family, standin)) {
        if (slice_eq(normal, real))
            return SLICE_NONE;
        return take_new(m, e, real, real, loose); // a family of its own, by its very bytes
    }
    if (!known && !set_put(m, SIDE_FAMILY, e, normal, family))
        return SLICE_NONE;
    m->counts[e] += !known;
    return alias_add(m, e, real, standin, loose, family);
}

struct slice aliases_take(struct aliases *m, enum entity e, struct slice given, bool loose) {
    const struct entry *known = set_find(m->set, SIDE_REAL, e, given);
    if (known) {
        m->v[known->value].loose |= loose;
        return m->v[known->value].standin;
    }
    struct slice real = arena_copy(m->a, given), normal = normal_of(m->a, e, given);
    return real.p && normal.p ? take_new(m, e, real, normal, loose) : SLICE_NONE;
}

// ---- finding

static enum form form_of(enum entity e) {
    if (entity_is_number(e))
        return FORM_NUMBER;
    return e == ENTITY_EMAIL ? FORM_ADDRESS : FORM_TEXT;
}

// Shorter ones may be anything where they were not found by what stands around them.
#define REAL_LEAST_BYTES 6

struct matcher *aliases_find_real(const struct aliases *m) {
    struct matcher *found = matcher_new(m->a);
    uint32_t id;
    for (uint32_t i = 0; found && i < m->n; i++) {
        const struct alias *one = &m->v[i];
        bool skip = one->part || one->real.n < REAL_LEAST_BYTES;
        bool plus = slice_starts(one->real, "+");
        if (!skip && !matcher_add(found, form_of(one->entity), one->real, plus, one->loose, i, &id))
            return NULL;
    }
    return found;
}

// Also by what stands before the @, alone or with the @ as a URL has it.
static bool email_parts_add(struct aliases *m, struct matcher *found, uint32_t index) {
    struct slice real = m->v[index].real, standin = m->v[index].standin;
    struct slice real_host = real, standin_host = standin;
    struct slice real_user = slice_split(&real_host, '@'), standin_user = slice_split(&standin_host, '@');
    struct slice pairs[2][2] = {{real_user, standin_user},
                                {ARENA_JOIN(m->a, real_user, SLICE("%40"), real_host),
                                 ARENA_JOIN(m->a, standin_user, SLICE("%40"), standin_host)}};
    for (size_t i = 0; i < 2; i++) {
        uint32_t id = m->n, taken;
        struct alias *part = alias_new(m);
        if (!part || !pairs[i][0].p || !pairs[i][1].p)
            return false;
        *part = (struct alias){.entity = ENTITY_EMAIL, .real = pairs[i][0], .standin = pairs[i][1], .part = true};
        part->family = id;
        if (!matcher_add(found, FORM_ADDRESS, part->standin, false, false, id, &taken))
            return false;
    }
    return true;
}

struct matcher *aliases_find_standin(struct aliases *m) {
    struct matcher *found = matcher_new(m->a);
    uint32_t id, n = m->n;
    for (uint32_t i = 0; found && i < n; i++) {
        struct alias one = m->v[i];
        if (!matcher_add(found, form_of(one.entity), one.standin, slice_starts(one.standin, "+"), one.loose, one.family,
                         &id))
            return NULL;
        if (one.entity == ENTITY_EMAIL && one.family == i && !email_parts_add(m, found, i))
            return NULL;
    }
    return found;
}

// ---- the way back

static bool has_case(struct slice s, char from, char to) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= from && s.p[i] <= to)
            return true;
    return false;
}

static bool is_bare(struct slice s) {
    char ignored[1];
    return check_significant(s, ignored, 0) == s.n;
}

// The first spelling, in the manner of what was said.
static void restore_like(const struct alias *one, struct slice said, struct buf *out) {
    bool capitals = has_case(said, 'A', 'Z') && !has_case(said, 'a', 'z') && has_case(one->standin, 'a', 'z');
    bool plus = slice_starts(said, "+"), number = entity_is_number(one->entity);
    bool bare = number && is_bare(slice_from(said, plus));
    size_t at = 0;
    if (number && !plus && slice_starts(one->real, "+")) // with what parts it from the first digit
        for (at = 1; at < one->real.n && one->real.p[at] == ' ';)
            at++;
    for (size_t i = at; i < one->real.n; i++) {
        char c = one->real.p[i];
        if (bare && c && strchr(" -./()\\:\t", c))
            continue;
        bool small = c >= 'a' && c <= 'z';
        buf_append_char(out, capitals && small && !entity_is_secret(one->entity) ? (char)(c - 32) : c);
    }
}

bool aliases_restore(const struct aliases *m, uint32_t id, struct slice said, bool exact, struct buf *out) {
    const struct alias *first = &m->v[id];
    for (uint32_t i = id + 1; i; i = m->v[i - 1].next) {
        if (!slice_eq(m->v[i - 1].standin, said))
            continue;
        buf_append(out, m->v[i - 1].real);
        return true;
    }
    if (exact)
        return false;
    // A bracket that is the sentence's, not the number's.
    if (slice_starts(said, "(") && !slice_starts(first->standin, "(")) {
        buf_append_char(out, '(');
        return aliases_restore(m, id, slice_from(said, 1), exact, out);
    }
    restore_like(first, said, out);
    return true;
}
