// SPDX-License-Identifier: Apache-2.0
// A hash table of the attempts under way, chained, an entry with its texts in one piece of memory. It has as many entries
// as requests are open, a few thousand at most. Only the holder of the ledger's mutex may be here.
#include "ledger/under_way.h"
#include <string.h>
#include "base/mem.h"

#define BUCKETS 4096u // chains of one for as many open requests

struct entry {
    struct entry *next;
    struct way way;
    char text[];
};

struct under_way {
    struct entry *bucket[BUCKETS];
};

enum err under_way_new(struct under_way **ret) {
    struct under_way *u = mem_zalloc(sizeof *u);
    if (!u)
        return ERR_NO_MEMORY;
    *ret = u;
    return ERR_OK;
}

void under_way_free(struct under_way *u) {
    if (u)
        under_way_clear(u);
    mem_free(u);
}

static unsigned bucket_of(struct slice s) {
    uint32_t h = 2166136261u; // FNV-1a
    for (size_t i = 0; s.p && i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return (h ^ h >> 16) % BUCKETS;
}

static struct slice text_put(char **to, struct slice s) {
    struct slice copy = {*to, s.n};
    if (s.n)
        memcpy(*to, s.p, s.n);
    *to += s.n;
    return copy;
}

static struct entry *entry_new(const struct way *w) {
    struct entry *e = mem_alloc(sizeof *e + w->exchange.n + w->key.n + w->line.n);
    if (!e)
        return NULL;
    char *to = e->text;
    e->way = *w;
    e->way.exchange = text_put(&to, w->exchange);
    e->way.key = text_put(&to, w->key);
    e->way.line = text_put(&to, w->line);
    return e;
}

// A chain is kept by attempt, so that an exchange's stand in their order.
enum err under_way_put(struct under_way *u, const struct way *w) {
    struct entry **at = &u->bucket[bucket_of(w->exchange)], *old;
    while (*at && (*at)->way.attempt < w->attempt)
        at = &(*at)->next;
    while (*at && (*at)->way.attempt == w->attempt && !slice_eq((*at)->way.exchange, w->exchange))
        at = &(*at)->next;
    old = *at && (*at)->way.attempt == w->attempt ? *at : NULL;
    if (old && old->way.reserved_picousd >= w->reserved_picousd)
        return ERR_OK;
    struct entry *e = entry_new(w);
    if (!e)
        return ERR_NO_MEMORY;
    e->next = old ? old->next : *at;
    *at = e;
    mem_free(old);
    return ERR_OK;
}

static void drop(struct entry **at) {
    struct entry *e = *at;
    *at = e->next;
    mem_free(e);
}

void under_way_drop(struct under_way *u, struct slice exchange) {
    for (struct entry **at = &u->bucket[bucket_of(exchange)]; *at;)
        if (slice_eq((*at)->way.exchange, exchange))
            drop(at);
        else
            at = &(*at)->next;
}

void under_way_clear(struct under_way *u) {
    for (unsigned i = 0; i < BUCKETS; i++)
        while (u->bucket[i])
            drop(&u->bucket[i]);
}

enum err under_way_each(const struct under_way *u, struct slice exchange,
                        enum err (*fn)(void *ctx, const struct way *w), void *ctx) {
    enum err e = ERR_OK;
    unsigned first = exchange.p ? bucket_of(exchange) : 0, n = exchange.p ? 1 : BUCKETS;
    for (unsigned i = first; i < first + n; i++)
        for (const struct entry *at = u->bucket[i]; at && !e; at = at->next)
            if (!exchange.p || slice_eq(at->way.exchange, exchange))
                e = fn(ctx, &at->way);
    return e;
}
