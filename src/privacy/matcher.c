// SPDX-License-Identifier: Apache-2.0
// A trie over the forms, in lower case: one for texts, one for the significant characters of numbers. Used both ways:
// real values in what goes up, stand-ins in what comes down. A question costs a step per byte that still fits, and the
// first byte mostly does not. Built once, then only read; any thread.
#include "privacy/matcher.h"

#define SEPARATORS_MOST 3 // between two characters of a number, as in "1234 - 5678"
#define NODE_NONE 0u

struct node {
    uint32_t child, sibling;
    uint32_t id; // of the form that ends here, plus 1
    char c;
    bool address, loose, plus;
};

struct matcher {
    struct arena *a;
    struct node *v; // v[0] unused, v[1] root of texts, v[2] root of numbers
    uint32_t n, cap;
    size_t longest;
    bool any_loose;
    bool starts[256];
};
#define ROOT_TEXT 1u
#define ROOT_NUMBER 2u

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static bool is_alnum(char c) {
    char l = lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9');
}

struct matcher *matcher_new(struct arena *a) {
    struct matcher *m = ARENA_NEW(a, struct matcher);
    struct node *v = m ? arena_array(a, 64, sizeof *v) : NULL;
    if (!v)
        return NULL;
    m->a = a;
    m->v = v;
    m->cap = 64;
    m->n = 3;
    return m;
}

static uint32_t node_new(struct matcher *m, char c) {
    if (m->n == m->cap) {
        struct node *v = arena_array(m->a, (size_t)m->cap * 2, sizeof *v);
        if (!v)
            return NODE_NONE;
        memcpy(v, m->v, m->n * sizeof *v);
        m->v = v;
        m->cap *= 2;
    }
    m->v[m->n].c = c;
    return m->n++;
}

static uint32_t child_of(const struct matcher *m, uint32_t node, char c) {
    uint32_t child = m->v[node].child;
    while (child && m->v[child].c != c)
        child = m->v[child].sibling;
    return child;
}

static uint32_t child_make(struct matcher *m, uint32_t node, char c) {
    uint32_t child = child_of(m, node, c);
    if (child)
        return child;
    child = node_new(m, c);
    if (child) {
        m->v[child].sibling = m->v[node].child;
        m->v[node].child = child;
    }
    return child;
}

static void starts_note(struct matcher *m, enum form form, char c) {
    m->starts[(unsigned char)c] = true;
    if (c >= 'a' && c <= 'z')
        m->starts[(unsigned char)(c - 32)] = true;
    if (form == FORM_NUMBER)
        m->starts['+'] = m->starts['('] = true;
}

bool matcher_add(struct matcher *m, enum form form, struct slice text, bool plus, bool loose, uint32_t id,
                 uint32_t *ret_id) {
    uint32_t node = form == FORM_NUMBER ? ROOT_NUMBER : ROOT_TEXT, root = node;
    for (size_t i = 0; i < text.n; i++) {
        if (form == FORM_NUMBER && !is_alnum(text.p[i]))
            continue;
        if (node == root)
            starts_note(m, form, lower(text.p[i]));
        node = child_make(m, node, lower(text.p[i]));
        if (!node)
            return false;
    }
    if (node == root) { // nothing of it counts
        *ret_id = id;
        return true;
    }
    struct node *end = &m->v[node];
    if (!end->id) {
        end->id = id + 1;
        end->address = form == FORM_ADDRESS;
    }
    end->loose |= loose;
    end->plus |= plus;
    m->any_loose |= loose;
    *ret_id = end->id - 1;
    if (text.n > m->longest)
        m->longest = text.n;
    return true;
}

size_t matcher_reach(const struct matcher *m) {
    return m->longest + 24; // separators that were put in, and what stands behind the end
}

bool matcher_is_empty(const struct matcher *m) {
    return m->longest == 0;
}

size_t matcher_next(const struct matcher *m, struct slice text, size_t at) {
    while (at < text.n && !m->starts[(unsigned char)text.p[at]])
        at++;
    return at;
}

// ---- borders

static bool joins(char c, bool address) {
    return is_alnum(c) || c == '_' || (address && c && strchr(".%+-@", c));
}

static bool begins_well(const struct node *end, char before) {
    return end->loose || !before || !joins(before, end->address);
}

// Does the text go on behind `to` so that it is another one? A dot and a hyphen join only if something stands behind
// them.
static enum match ends_well(const struct node *end, struct slice text, size_t to, bool more) {
    if (end->loose)
        return MATCH_YES;
    if (to == text.n)
        return more ? MATCH_MAYBE : MATCH_YES;
    char c = text.p[to];
    if (is_alnum(c) || c == '_' || (end->address && c == '@'))
        return MATCH_NO;
    if (!end->address || (c != '.' && c != '-' && c != '+'))
        return MATCH_YES;
    if (to + 1 == text.n)
        return more ? MATCH_MAYBE : MATCH_YES;
    return is_alnum(text.p[to + 1]) ? MATCH_NO : MATCH_YES;
}

bool matcher_borders_hold(enum form form, struct slice text, size_t at, size_t n) {
    const struct node end = {.address = form == FORM_ADDRESS};
    return begins_well(&end, at > 0 ? text.p[at - 1] : 0) && ends_well(&end, text, at + n, false) == MATCH_YES;
}

// ---- walking

// Bytes of a separator between two characters of a number at `at`; 0 none. *ret_cut: the text ends inside it.
static size_t separator_at(struct slice text, size_t at, bool *ret_cut) {
    static const char *const wide[] = {"\xc2\xa0", "\xe2\x80\x90", "\xe2\x80\x91", "\xe2\x80\x93", "\xe2\x80\xaf"};
    char c = text.p[at];
    if (strchr(" -./()\\:", c) && c)
        return 1;
    for (size_t i = 0; (unsigned char)c >= 0xc2 && i < sizeof wide / sizeof wide[0]; i++) {
        size_t n = strlen(wide[i]), have = text.n - at < n ? text.n - at : n;
        if (memcmp(text.p + at, wide[i], have) != 0)
            continue;
        *ret_cut |= have < n;
        return n;
    }
    return 0;
}

struct walk_state {
    size_t begin, at;
    bool plus; // a + stands in front
};

// What one path through the trie found: the longest end that stands, and whether more text could change that.
static enum match walk(const struct matcher *m, uint32_t root, struct slice text, struct walk_state w, char before,
                       bool more, struct match_found *ret) {
    uint32_t node = root;
    enum match best = MATCH_NO;
    bool open = false, cut = false;
    size_t at = w.at;
    while (!cut) {
        const struct node *end = &m->v[node];
        if (end->id && begins_well(end, before) && !(w.plus && !end->plus)) {
            enum match here = ends_well(end, text, at, more);
            open |= here == MATCH_MAYBE;
            if (here == MATCH_YES) {
                best = MATCH_YES;
                *ret = (struct match_found){at - w.begin, end->id - 1};
            }
        }
        if (!end->child)
            break;
        size_t next = at;
        bool begun = node != root || w.at > w.begin; // or behind the + of one
        for (int i = 0; root == ROOT_NUMBER && begun && i < SEPARATORS_MOST && next < text.n; i++) {
            size_t n = separator_at(text, next, &cut);
            if (n == 0)
                break;
            next += n;
        }
        if (next >= text.n || cut) {
            open = open || (more && at - w.begin < matcher_reach(m));
            break;
        }
        node = child_of(m, node, lower(text.p[next]));
        if (!node)
            break;
        at = next + 1;
    }
    return open ? MATCH_MAYBE : best;
}

static enum match walk_number(const struct matcher *m, struct slice text, size_t at, char before, bool more,
                              struct match_found *ret) {
    struct walk_state w = {at, at, false};
    if (!m->v[ROOT_NUMBER].child)
        return MATCH_NO;
    for (; w.at < text.n && w.at < at + 2 && (text.p[w.at] == '+' || text.p[w.at] == '('); w.at++)
        w.plus |= text.p[w.at] == '+';
    if (w.at == text.n)
        return more ? MATCH_MAYBE : MATCH_NO;
    // What stands before the + is nobody's concern; before a digit it is.
    return walk(m, ROOT_NUMBER, text, w, w.at > at ? 0 : before, more, ret);
}

enum match matcher_at(const struct matcher *m, struct slice text, size_t at, char before, bool more,
                      struct match_found *ret) {
    struct match_found number = {0, 0};
    if (!m->starts[(unsigned char)text.p[at]])
        return MATCH_NO;
    char prior = at > 0 ? text.p[at - 1] : before;
    // Most letters stand inside a word, where nothing begins: not worth a walk.
    if (!m->any_loose && joins(prior, false) && text.p[at] != '+' && text.p[at] != '(')
        return MATCH_NO;
    enum match a = walk(m, ROOT_TEXT, text, (struct walk_state){at, at, false}, prior, more, ret);
    enum match b = walk_number(m, text, at, prior, more, &number);
    if (a == MATCH_MAYBE || b == MATCH_MAYBE)
        return MATCH_MAYBE;
    if (b == MATCH_YES && (a != MATCH_YES || number.n > ret->n)) {
        *ret = number;
        return MATCH_YES;
    }
    return a;
}
