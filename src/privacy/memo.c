// SPDX-License-Identifier: Apache-2.0
// A bounded table from texts to findings, four ways a row, the way that was not used for longest goes. Texts stand in
// it by their SipHash-2-4 (128 bits) under a random key: what a text was is not kept, and an entry that says "nothing
// here" can't be forged for another text. A lock around each question, since scans also run on the pool's threads.
#include "privacy/memo.h"
#include <pthread.h>
#include <sys/random.h>
#include "base/mem.h"

#define WAYS 4
#define INLINE_SPANS 2
#define SPANS_MOST 64 // more than that is looked for again

struct way {
    struct memo_key key;
    uint32_t used; // the memo's clock at the last use; 0: empty
    uint32_t n;
    union {
        struct span inline_[INLINE_SPANS];
        struct span *far; // owned, where n > INLINE_SPANS
    } spans;
};

struct memo {
    pthread_mutex_t mutex;
    uint64_t secret[2];
    uint32_t clock;
    size_t rows; // a power of two
    struct way *ways;
};

// ---- SipHash-2-4 with 128 bits out (Aumasson, Bernstein)

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[3];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[2] = ROTATE(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t word) {
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

static uint64_t sip_end(uint64_t v[4], size_t at, uint64_t mark) {
    v[at] ^= mark;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct memo_key memo_key_of(const struct memo *m, uint64_t detector, struct slice text) {
    uint64_t k0 = m->secret[0] ^ detector, k1 = m->secret[1], word = 0;
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du ^ 0xee, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    size_t i = 0;
    for (; i + 8 <= text.n; i += 8) {
        memcpy(&word, text.p + i, 8);
        sip_word(v, word);
    }
    word = (uint64_t)text.n << 56;
    for (size_t k = 0; i + k < text.n; k++)
        word |= (uint64_t)(unsigned char)text.p[i + k] << (8 * k);
    sip_word(v, word);
    uint64_t first = sip_end(v, 2, 0xee);
    return (struct memo_key){{first, sip_end(v, 1, 0xdd)}};
}

// ---- the table

struct memo *memo_new(size_t entries) {
    struct memo *m = mem_zalloc(sizeof *m);
    size_t rows = 1;
    while (rows * WAYS < entries)
        rows *= 2;
    if (!m)
        return NULL;
    m->rows = rows;
    m->ways = mem_zalloc(rows * WAYS * sizeof *m->ways);
    if (!m->ways || getrandom(m->secret, sizeof m->secret, 0) != (ssize_t)sizeof m->secret) {
        mem_free(m->ways);
        mem_free(m);
        return NULL;
    }
    (void)pthread_mutex_init(&m->mutex, NULL);
    return m;
}

static void way_clear(struct way *w) {
    if (w->n > INLINE_SPANS)
        mem_free(w->spans.far);
    *w = (struct way){0};
}

void memo_free(struct memo *m) {
    if (!m)
        return;
    for (size_t i = 0; i < m->rows * WAYS; i++)
        way_clear(&m->ways[i]);
    (void)pthread_mutex_destroy(&m->mutex);
    mem_free(m->ways);
    mem_free(m);
}

static struct way *row_of(struct memo *m, struct memo_key key) {
    return &m->ways[(key.v[0] & (m->rows - 1)) * WAYS];
}

static struct way *way_of(struct memo *m, struct memo_key key) {
    struct way *row = row_of(m, key);
    for (size_t i = 0; i < WAYS; i++)
        if (row[i].used && row[i].key.v[0] == key.v[0] && row[i].key.v[1] == key.v[1])
            return &row[i];
    return NULL;
}

static struct way *way_oldest(struct way *row) {
    struct way *w = row;
    for (size_t i = 1; i < WAYS; i++)
        if (row[i].used < w->used)
            w = &row[i];
    return w;
}

// Past four thousand million uses it starts over; some entries then go too early, none stays wrongly.
static uint32_t tick(struct memo *m) {
    m->clock++;
    return m->clock ? m->clock : ++m->clock;
}

bool memo_find(struct memo *m, struct memo_key key, struct spans *out) {
    (void)pthread_mutex_lock(&m->mutex);
    struct way *w = way_of(m, key);
    bool known = w != NULL;
    size_t before = out->n;
    if (w)
        w->used = tick(m);
    for (size_t i = 0; known && i < w->n; i++)
        known = spans_add(out, w->n > INLINE_SPANS ? w->spans.far[i] : w->spans.inline_[i]);
    (void)pthread_mutex_unlock(&m->mutex);
    if (!known)
        out->n = before;
    return known;
}

void memo_put(struct memo *m, struct memo_key key, const struct span *spans, size_t n) {
    struct span *far = NULL;
    if (n > SPANS_MOST)
        return;
    if (n > INLINE_SPANS) {
        far = mem_alloc(n * sizeof *far);
        if (!far)
            return;
        memcpy(far, spans, n * sizeof *far);
    }
    (void)pthread_mutex_lock(&m->mutex);
    struct way *known = way_of(m, key), *w = known ? known : way_oldest(row_of(m, key));
    way_clear(w);
    w->key = key;
    w->n = (uint32_t)n;
    w->used = tick(m);
    if (far)
        w->spans.far = far;
    else if (n)
        memcpy(w->spans.inline_, spans, n * sizeof *spans);
    (void)pthread_mutex_unlock(&m->mutex);
}
