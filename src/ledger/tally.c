// SPDX-License-Identifier: Apache-2.0
// A hash table of sums, chained, with the names in one buffer. A transaction has as many as there are keys, runs and targets
// in a tenth of a second, or in a chunk after a kill. Only the holder of the ledger's mutex may be here.
#include "ledger/tally.h"
#include "base/mem.h"

#define TALLIES 1024u
#define BUCKETS 2048u
#define NAMES_BYTES (512u << 10)

struct tally {
    struct store_account who; // names in the buffer
    struct store_sum sum;
    uint32_t next; // index + 1, 0 none
};

struct tallies {
    size_t n, names_n;
    uint32_t bucket[BUCKETS]; // index + 1
    struct tally v[TALLIES];
    char names[NAMES_BYTES];
};

enum err tallies_new(struct tallies **ret) {
    struct tallies *t = mem_alloc(sizeof *t);
    if (!t)
        return ERR_NO_MEMORY;
    t->n = TALLIES; // the buckets are not clean yet
    tallies_clear(t);
    *ret = t;
    return ERR_OK;
}

void tallies_free(struct tallies *t) {
    mem_free(t);
}

void tallies_clear(struct tallies *t) {
    if (t->n > 0)
        memset(t->bucket, 0, sizeof t->bucket);
    t->n = t->names_n = 0;
}

static uint32_t *bucket_of(struct tallies *t, const struct store_account *who) {
    uint64_t h = slice_hash(who->target, slice_hash(who->run, slice_hash(who->key, (uint64_t)who->slot)));
    return &t->bucket[h % BUCKETS];
}

static bool is_same(const struct store_account *a, const struct store_account *b) {
    return a->slot == b->slot && slice_eq(a->run, b->run) && slice_eq(a->target, b->target) && slice_eq(a->key, b->key);
}

static struct slice name_put(struct tallies *t, struct slice s) {
    char *to = t->names + t->names_n;
    if (s.n)
        memcpy(to, s.p, s.n);
    t->names_n += s.n;
    return slice_of(to, s.n);
}

static void sum_up(int64_t *into, int64_t v) {
    if (v > 0 && __builtin_add_overflow(*into, v, into))
        *into = INT64_MAX;
}

static void sums_up(struct store_sum *into, const struct store_sum *add) {
    sum_up(&into->exchanges, add->exchanges);
    sum_up(&into->attempts, add->attempts);
    sum_up(&into->input_tokens, add->input_tokens);
    sum_up(&into->output_tokens, add->output_tokens);
    sum_up(&into->settled_picousd, add->settled_picousd);
    sum_up(&into->unknown, add->unknown);
    sum_up(&into->unknown_picousd, add->unknown_picousd);
    sum_up(&into->unpriced, add->unpriced);
    sum_up(&into->overrun_picousd, add->overrun_picousd);
}

bool tallies_add(struct tallies *t, const struct store_account *given, const struct store_sum *add) {
    struct store_account who = {given->slot, slice_first(given->key, 400), slice_first(given->run, 200),
                                slice_first(given->target, 800)};
    uint32_t *bucket = bucket_of(t, &who);
    for (uint32_t at = *bucket; at; at = t->v[at - 1].next)
        if (is_same(&t->v[at - 1].who, &who)) {
            sums_up(&t->v[at - 1].sum, add);
            return true;
        }
    if (t->n == TALLIES || who.key.n + who.run.n + who.target.n > NAMES_BYTES - t->names_n)
        return false;
    struct tally *new = &t->v[t->n];
    new->who = (struct store_account){who.slot, name_put(t, who.key), name_put(t, who.run), name_put(t, who.target)};
    new->sum = (struct store_sum){0};
    new->next = *bucket;
    *bucket = (uint32_t)++t->n;
    sums_up(&new->sum, add);
    return true;
}

enum err tallies_each(const struct tallies *t,
                      enum err (*fn)(void *ctx, const struct store_account *who, const struct store_sum *sum),
                      void *ctx) {
    enum err e = ERR_OK;
    for (size_t i = 0; i < t->n && !e; i++)
        e = fn(ctx, &t->v[i].who, &t->v[i].sum);
    return e;
}
