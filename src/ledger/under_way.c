// SPDX-License-Identifier: Apache-2.0
// A hash table of the attempts under way, chained, an entry with its line in one piece of memory. It has as many entries
// as requests are open, a few thousand at most. Only the holder of the ledger's mutex may be here.
#include "ledger/under_way.h"
#include <string.h>
#include "base/mem.h"

#define BUCKETS 16384u // some thousand open requests have chains of one: each link is a miss of the cache

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
    return (unsigned)(slice_hash(s, 0) % BUCKETS);
}

// A part of w's line, in the copy of it.
static struct slice moved(struct slice part, struct slice from, const char *to) {
    return part.n ? slice_of(to + (part.p - from.p), part.n) : SLICE_NONE;
}

static struct entry *entry_new(const struct way *w) {
    struct entry *e = mem_alloc(sizeof *e + w->line.n);
    if (!e)
        return NULL;
    e->way = *w;
    e->way.line.p = memcpy(e->text, w->line.p, w->line.n);
    e->way.exchange = moved(w->exchange, w->line, e->text);
    e->way.key = moved(w->key, w->line, e->text);
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
