// SPDX-License-Identifier: Apache-2.0
// Detection: one pass of Vectorscan over the folded text for all anchors at once; where one hits, the rows that share
// it look for their exact bounds with PCRE2 in the neighbourhood. A row's check is a callout at the end of its
// expression: when it refuses, the expression goes on looking, so that "12 4111 1111 1111 1111" still finds the card.
// No row looks twice at the same start, so that a text full of hits stays linear. The detector is shared by all
// threads; what a scan writes to lies in a scanner, of which each running scan has one.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "privacy/detector.h"
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>
#include "base/mem.h"
#include "privacy/database.h"
#include "privacy/fold.h"

#define LOOKAHEAD 20000    // bytes behind it that an expression sees at first: more than the longest private key
#define MATCH_LIMIT 300000 // steps of one expression: thirty times what the longest key needs
#define JIT_STACK_BYTES (256u << 10)

struct row {
    pcre2_code *code;
    uint32_t value; // number of the group named v, 0 the whole
    uint16_t next;  // the next row with the same anchor, 0 none
    uint32_t near;  // letters that its near words begin with, bit 0 is a
};

// How far a row has come in the running scan.
struct progress {
    size_t done;      // starts before this were tried
    size_t read;      // near words were looked for before this
    size_t near_word; // where the last one began, plus 1; 0 none yet
};

// Digits with no more than GAP between them, as far as an expression could go.
#define GAP 3
struct chain {
    size_t from, to; // empty: none yet
    unsigned digits;
    bool run;    // nothing between them
    bool begins; // some of them begin with 0
};

struct scanner {
    struct scanner *next;
    hs_scratch_t *scratch;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    struct progress *progress; // by row
    // of the running scan
    struct detector *d;
    struct slice text;
    const struct pattern *pattern;
    struct spans *out;
    struct chain chain; // the last one
    size_t letter_read; // letters were looked for before this
    size_t letter;      // where the last one stands, plus 1; 0 none yet
    enum err err;
};

#define RUN_MOST 20 // the anchor takes no longer ones
#define RUN_ROWS 24

struct detector {
    _Atomic unsigned refs;
    uint64_t id;
    hs_database_t *base, *words;
    struct row *rows;
    // Rows of DIGITS that so many can be: in a run, and with something between them (the last: so many or more); 0 ends.
    uint16_t of_run[RUN_MOST][RUN_ROWS], of_chain[RUN_MOST][RUN_ROWS];
    uint32_t *word_bytes;
    size_t n_words, least_bytes;
    pcre2_general_context *memory;
    pthread_mutex_t mutex; // of idle
    struct scanner *idle;
};

// ---- spans

void spans_done(struct spans *s) {
    mem_free(s->v);
    *s = (struct spans){0};
}

bool spans_add(struct spans *s, struct span one) {
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct span *v = mem_realloc(s->v, cap * sizeof *v);
        if (!v)
            return false;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = one;
    return true;
}

static int span_order(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

// A secret is a secret; else the longer find knows better, else the row that stands first.
static bool span_outranks(const struct span *a, const struct span *b) {
    bool secret_a = entity_is_secret(span_entity(a)), secret_b = entity_is_secret(span_entity(b));
    if (secret_a != secret_b)
        return secret_a;
    return a->n != b->n ? a->n > b->n : a->pattern < b->pattern;
}

// From `first` on: sorted, and overlapping ones united.
static void spans_unite(struct spans *s, size_t first) {
    size_t kept = first;
    if (s->n > first)
        qsort(s->v + first, s->n - first, sizeof *s->v, span_order);
    for (size_t i = first; i < s->n; i++) {
        struct span *last = kept > first ? &s->v[kept - 1] : NULL, one = s->v[i];
        if (!last || one.at >= last->at + last->n) {
            s->v[kept++] = one;
            continue;
        }
        bool beyond = one.at + one.n > last->at + last->n, secret = entity_is_secret(span_entity(&one));
        if (span_outranks(&one, last))
            last->pattern = one.pattern;
        // Half this and half that is written as neither: it comes back only as the text that it is.
        if (beyond && one.at > last->at && !secret && !entity_is_secret(span_entity(last)))
            last->pattern = PATTERN_WORD;
        if (beyond)
            last->n = one.at + one.n - last->at;
    }
    s->n = kept;
}

// ---- scanners

static void scanner_free(struct scanner *s) {
    if (!s)
        return;
    (void)hs_free_scratch(s->scratch);
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    mem_free(s->progress);
    mem_free(s);
}

static int callout(pcre2_callout_block *b, void *arg);

static bool scratch_ok(struct detector *d, hs_scratch_t **scratch) {
    return hs_alloc_scratch(d->base, scratch) == HS_SUCCESS &&
           (!d->words || hs_alloc_scratch(d->words, scratch) == HS_SUCCESS);
}

static struct scanner *scanner_new(struct detector *d) {
    struct scanner *s = mem_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->d = d;
    s->progress = mem_alloc(n_patterns * sizeof *s->progress);
    s->match = pcre2_match_data_create(16, d->memory);
    s->context = pcre2_match_context_create(d->memory);
    s->stack = pcre2_jit_stack_create(32u << 10, JIT_STACK_BYTES, d->memory);
    if (!s->progress || !s->match || !s->context || !s->stack || !scratch_ok(d, &s->scratch)) {
        scanner_free(s);
        return NULL;
    }
    (void)pcre2_set_callout(s->context, callout, s);
    (void)pcre2_set_match_limit(s->context, MATCH_LIMIT);
    pcre2_jit_stack_assign(s->context, NULL, s->stack);
    return s;
}

static struct scanner *scanner_take(struct detector *d) {
    (void)pthread_mutex_lock(&d->mutex);
    struct scanner *s = d->idle;
    if (s)
        d->idle = s->next;
    (void)pthread_mutex_unlock(&d->mutex);
    return s ? s : scanner_new(d);
}

static void scanner_give(struct detector *d, struct scanner *s) {
    (void)pthread_mutex_lock(&d->mutex);
    s->next = d->idle;
    d->idle = s;
    (void)pthread_mutex_unlock(&d->mutex);
}

// ---- one hit

static struct found found_of(const struct scanner *s, const PCRE2_SIZE *v, uint32_t group, size_t from, size_t to) {
    if (group && v[2 * group] != PCRE2_UNSET) {
        from = v[2 * group];
        to = v[2 * group + 1];
    }
    // What ends a sentence is no part of a key.
    while (s->pattern->entity == ENTITY_SECRET && to > from + 1 && strchr(".,:;)", s->text.p[to - 1]))
        to--;
    return (struct found){s->text, slice_of(s->text.p + from, to - from)};
}

// At the end of an expression. 0: it stands; 1: go on looking.
static int callout(pcre2_callout_block *b, void *arg) {
    struct scanner *s = arg;
    const struct pattern *p = s->pattern;
    const struct row *row = &s->d->rows[p - patterns];
    uint32_t group = row->value < b->capture_top ? row->value : 0;
    struct found f = found_of(s, b->offset_vector, group, b->start_match, b->current_position);
    if (f.span.n == 0 || (p->near[0] && !check_near(&f, p->near)))
        return 1;
    return p->check && !p->check(&f);
}

// The first match of the row that starts in [from, last]. 1 found, 0 none, < 0 failed.
static int row_match(struct scanner *s, const struct row *row, size_t from, size_t last) {
    for (size_t more = LOOKAHEAD;; more *= 8) {
        size_t end = last + more < s->text.n ? last + more : s->text.n;
        (void)pcre2_set_offset_limit(s->context, last);
        int rc = pcre2_match(row->code, (PCRE2_SPTR)s->text.p, end, from, 0, s->match, s->context);
        if (rc == PCRE2_ERROR_NOMATCH)
            return 0;
        if (rc < 0)
            return -1;
        // What runs up to the end of the window may go on behind it.
        if (pcre2_get_ovector_pointer(s->match)[1] < end || end == s->text.n)
            return 1;
    }
}

// Is there one in the NEAR_BYTES before `from`, or from there on before `hit`? Rows of numbers have none for long.
static bool letter_is_near(struct scanner *s, size_t from, size_t hit) {
    if (s->letter_read + NEAR_BYTES < from)
        s->letter_read = from - NEAR_BYTES;
    for (; s->letter_read < hit; s->letter_read++)
        if (((unsigned char)s->text.p[s->letter_read] | 32u) - 'a' < 26)
            s->letter = s->letter_read + 1;
    return s->letter && s->letter + NEAR_BYTES > from;
}

// Most numbers stand beside no word that would make them something: not worth an expression. No row reads a byte twice.
static bool may_be_near(struct scanner *s, size_t index, size_t from, size_t hit) {
    struct progress *p = &s->progress[index];
    const char *near = s->pattern->near;
    if (!near[0] || s->text.n < 2 * NEAR_BYTES)
        return true;
    if (!letter_is_near(s, from, hit))
        return false;
    if (p->read + NEAR_BYTES < from)
        p->read = from - NEAR_BYTES;
    for (; p->read < hit; p->read++) {
        unsigned letter = ((unsigned char)s->text.p[p->read] | 32u) - 'a';
        if (letter < 26 && s->d->rows[index].near & 1u << letter && near_begins(slice_from(s->text, p->read), near))
            p->near_word = p->read + 1;
    }
    return p->near_word && p->near_word + NEAR_BYTES > from;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_gap(char c) {
    return c == ' ' || c == '.' || c == '/' || c == '-' || c == '(' || c == ')';
}

// The next digit from `at` on in steps of 1 or -1, or SIZE_MAX.
static size_t digit_beside(struct slice t, size_t at, size_t step) {
    for (unsigned gap = 0; gap <= GAP && at < t.n; gap++, at += step) {
        if (is_digit(t.p[at]))
            return at;
        if (!is_gap(t.p[at]))
            break;
    }
    return SIZE_MAX;
}

// Of the digit at `at`. Each chain is read once, whatever hits in it.
static const struct chain *chain_of(struct scanner *s, size_t at) {
    struct chain *c = &s->chain;
    struct slice t = s->text;
    if (at >= c->from && at < c->to)
        return c;
    *c = (struct chain){.from = at};
    for (size_t next = at; next != SIZE_MAX; next = digit_beside(t, next - 1, SIZE_MAX))
        c->from = next;
    c->to = c->from;
    for (size_t next = c->from; next != SIZE_MAX; next = digit_beside(t, next + 1, 1)) {
        bool first = next == c->from || next > c->to;
        c->begins = c->begins || (first && t.p[next] == '0');
        c->digits++;
        c->to = next + 1;
    }
    c->run = c->digits == c->to - c->from;
    return c;
}

// Most numbers have too few digits, or one too many: not worth an expression.
static bool may_be_digits(struct scanner *s, size_t hit) {
    const struct pattern *p = s->pattern;
    if (!p->least || hit == 0 || !is_digit(s->text.p[hit - 1]))
        return true;
    const struct chain *c = chain_of(s, hit - 1);
    if (c->digits < p->least || (p->runs & PATTERN_BEGINS_0 && !c->begins))
        return false;
    if (!c->run)
        return true;
    // A match could only be the run itself. Words that must stand near are seldom there, and come first.
    struct found f = {s->text, slice_of(s->text.p + c->from, c->digits)};
    return c->digits < RUN_MOST && p->runs & 1u << c->digits && (p->near[0] || !p->check || p->check(&f));
}

static bool row_confirm(struct scanner *s, size_t index, size_t hit) {
    const struct row *row = &s->d->rows[index];
    size_t *done = &s->progress[index].done, from = 0;
    s->pattern = &patterns[index];
    if (!may_be_digits(s, hit))
        return true;
    if (hit > s->pattern->back)
        from = hit - s->pattern->back;
    if (!may_be_near(s, index, from, hit))
        return true;
    while (*done <= hit) {
        if (from < *done)
            from = *done;
        int rc = row_match(s, row, from, hit);
        if (rc < 0)
            return false;
        if (rc == 0) {
            *done = hit + 1;
            return true;
        }
        const PCRE2_SIZE *v = pcre2_get_ovector_pointer(s->match);
        struct found f = found_of(s, v, row->value, v[0], v[1]);
        *done = v[1] > v[0] ? v[1] : v[0] + 1;
        if (!spans_add(s->out, (struct span){(uint32_t)(f.span.p - s->text.p), (uint32_t)f.span.n, (uint16_t)index}))
            return false;
    }
    return true;
}

static int on_anchor(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *arg) {
    struct scanner *s = arg;
    (void)from;
    (void)flags;
    size_t index = id;
    const struct chain *c = patterns[id].least && is_digit(s->text.p[to - 1]) ? chain_of(s, (size_t)to - 1) : NULL;
    if (c && c->run && c->digits >= RUN_MOST)
        return 0;
    if (c) {
        size_t n = c->digits < RUN_MOST ? c->digits : RUN_MOST - 1;
        for (const uint16_t *row = c->run ? s->d->of_run[n] : s->d->of_chain[n]; *row && !s->err; row++)
            s->err = row_confirm(s, *row, (size_t)to) ? ERR_OK : ERR_LIMIT;
        return s->err != ERR_OK;
    }
    do {
        if (!row_confirm(s, index, (size_t)to)) {
            s->err = ERR_LIMIT;
            return 1;
        }
        index = s->d->rows[index].next;
    } while (index);
    return 0;
}

// ---- words

static bool joins_words(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           ((unsigned char)c >= 0xc3 && (unsigned char)c <= 0xd3); // letters of Europe; CJK has no spaces
}

static int on_word(unsigned id, unsigned long long unused, unsigned long long to, unsigned flags, void *arg) {
    struct scanner *s = arg;
    size_t n = s->d->word_bytes[id], at = (size_t)to - n;
    const char *t = s->text.p;
    (void)unused;
    (void)flags;
    bool left = at > 0 && joins_words(t[at - 1]) && joins_words(t[at]);
    bool right = to < s->text.n && joins_words(t[to]) && joins_words(t[to - 1]);
    if (left || right)
        return 0;
    if (spans_add(s->out, (struct span){(uint32_t)at, (uint32_t)n, PATTERN_WORD}))
        return 0;
    s->err = ERR_NO_MEMORY;
    return 1;
}

// ---- a scan

static enum err scan(struct scanner *s, struct slice text, struct spans *out) {
    struct detector *d = s->d;
    s->text = text;
    s->out = out;
    s->err = ERR_OK;
    s->chain = (struct chain){0};
    s->letter_read = s->letter = 0;
    memset(s->progress, 0, n_patterns * sizeof *s->progress);
    hs_error_t rc = hs_scan(d->base, text.p, (unsigned)text.n, 0, s->scratch, on_anchor, s);
    if (rc == HS_SUCCESS && d->words)
        rc = hs_scan(d->words, text.p, (unsigned)text.n, 0, s->scratch, on_word, s);
    if (s->err)
        return s->err;
    return rc == HS_SUCCESS ? ERR_OK : ERR_INTERNAL;
}

static void spans_unfold(struct spans *s, size_t first, const struct folded *f) {
    for (size_t i = first; f->at && i < s->n; i++) {
        uint32_t at = f->at[s->v[i].at];
        s->v[i].n = f->at[s->v[i].at + s->v[i].n] - at;
        s->v[i].at = at;
    }
}

enum err detector_scan(struct detector *d, struct slice text, struct spans *out) {
    struct folded f;
    size_t first = out->n;
    if (text.n < d->least_bytes)
        return ERR_OK;
    if (text.n >= UINT32_MAX)
        return ERR_LIMIT;
    struct scanner *s = scanner_take(d);
    if (!s)
        return ERR_NO_MEMORY;
    enum err e = fold(text, &f);
    if (!e)
        e = scan(s, f.text, out);
    if (!e)
        spans_unfold(out, first, &f);
    fold_done(&f);
    scanner_give(d, s);
    if (e)
        out->n = first;
    else
        spans_unite(out, first);
    return e;
}

// ---- making one

static void *memory_take(PCRE2_SIZE n, void *unused) {
    (void)unused;
    return mem_alloc(n);
}

static void memory_give(void *p, void *unused) {
    (void)unused;
    mem_free(p);
}

static enum err row_compile(struct detector *d, size_t index, struct buf *problem) {
    int code;
    PCRE2_SIZE where;
    struct row *row = &d->rows[index];
    struct buf text = BUF_INIT(16384);
    buf_printf(&text, "(?:%s)(?C1)", patterns[index].expression);
    row->code = text.failed ? NULL
                            : pcre2_compile((PCRE2_SPTR)text.p, text.len, PCRE2_USE_OFFSET_LIMIT | PCRE2_DOLLAR_ENDONLY,
                                            &code, &where, NULL);
    buf_done(&text);
    if (!row->code) {
        buf_printf(problem, "the expression of '%s' can't be compiled", patterns[index].rule);
        return ERR_INTERNAL;
    }
    // Where the system forbids code made at run time, the interpreter does it.
    (void)pcre2_jit_compile(row->code, PCRE2_JIT_COMPLETE);
    int group = pcre2_substring_number_from_name(row->code, (PCRE2_SPTR) "v");
    row->value = group > 0 ? (uint32_t)group : 0;
    for (struct slice words = slice_str(patterns[index].near); words.n;) {
        unsigned letter = ((unsigned char)slice_split(&words, ',').p[0] | 32u) - 'a';
        row->near |= letter < 26 ? 1u << letter : 0;
    }
    return ERR_OK;
}

static void rows_link(struct detector *d) {
    for (size_t i = 1; i < n_patterns; i++)
        for (size_t j = i; j-- > 0;)
            if (strcmp(patterns[j].anchor, patterns[i].anchor) == 0) {
                d->rows[j].next = (uint16_t)i;
                break;
            }
}

// All rows of DIGITS have one anchor.
static void digits_list(struct detector *d) {
    unsigned runs[RUN_MOST] = {0}, chains[RUN_MOST] = {0};
    for (size_t i = 0; i < n_patterns; i++)
        for (unsigned n = 0; n < RUN_MOST && patterns[i].least; n++) {
            if (patterns[i].runs & 1u << n && runs[n] < RUN_ROWS - 1)
                d->of_run[n][runs[n]++] = (uint16_t)i;
            if (patterns[i].least <= n && chains[n] < RUN_ROWS - 1)
                d->of_chain[n][chains[n]++] = (uint16_t)i;
        }
}

static enum err words_take(struct detector *d, const struct detector_options *o, struct buf *problem) {
    if (o->n_words == 0)
        return ERR_OK;
    d->word_bytes = mem_alloc(o->n_words * sizeof *d->word_bytes);
    if (!d->word_bytes)
        return ERR_NO_MEMORY;
    d->n_words = o->n_words;
    for (size_t i = 0; i < o->n_words; i++) {
        d->word_bytes[i] = (uint32_t)strlen(o->words[i]);
        if (d->word_bytes[i] < d->least_bytes)
            d->least_bytes = d->word_bytes[i];
    }
    return database_of_words(o->words, o->n_words, &d->words, problem);
}

static enum err detector_fill(struct detector *d, const struct detector_options *o, struct buf *problem) {
    enum err e = database_open(o->dirs, &d->base, problem);
    for (size_t i = 0; i < n_patterns && !e; i++)
        e = row_compile(d, i, problem);
    if (e)
        return e;
    rows_link(d);
    digits_list(d);
    return words_take(d, o, problem);
}

enum err detector_new(const struct detector_options *o, struct detector **ret, struct buf *problem) {
    static _Atomic uint64_t serial;
    struct detector *d = mem_zalloc(sizeof *d);
    if (!d)
        return ERR_NO_MEMORY;
    atomic_init(&d->refs, 1);
    d->id = atomic_fetch_add(&serial, 1) + 1;
    d->least_bytes = 6; // a@b.de
    (void)pthread_mutex_init(&d->mutex, NULL);
    d->rows = mem_zalloc(n_patterns * sizeof *d->rows);
    d->memory = pcre2_general_context_create(memory_take, memory_give, NULL);
    enum err e = d->rows && d->memory ? detector_fill(d, o, problem) : ERR_NO_MEMORY;
    if (e)
        detector_unref(d);
    else
        *ret = d;
    return e;
}

struct detector *detector_ref(struct detector *d) {
    atomic_fetch_add(&d->refs, 1);
    return d;
}

void detector_unref(struct detector *d) {
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    while (d->idle) {
        struct scanner *s = d->idle;
        d->idle = s->next;
        scanner_free(s);
    }
    for (size_t i = 0; d->rows && i < n_patterns; i++)
        pcre2_code_free(d->rows[i].code);
    pcre2_general_context_free(d->memory);
    (void)hs_free_database(d->base);
    (void)hs_free_database(d->words);
    mem_free(d->rows);
    mem_free(d->word_bytes);
    (void)pthread_mutex_destroy(&d->mutex);
    mem_free(d);
}

uint64_t detector_id(const struct detector *d) {
    return d->id;
}

size_t detector_least_bytes(const struct detector *d) {
    return d->least_bytes;
}
