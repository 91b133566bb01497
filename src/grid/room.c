// SPDX-License-Identifier: Apache-2.0
// Who goes when a model needs the room of others. Never one that is busy, pinned or still warm; among the rest the one
// whose loss is expected to cost least: what bringing it back takes, by how long nobody wanted it. Nobody goes unless
// that makes enough room, and nobody who can be spared. Refuse rather than thrash: what is warm is worth more where it
// is. Pure functions over what engine.c counted; nothing here knows a process.
#include "grid/room.h"

bool tenant_is_warm(const struct tenant *t, int64_t warm_ms) {
    int64_t bound = t->cost_ms < warm_ms ? t->cost_ms : warm_ms;
    return t->idle_ms < bound;
}

static bool may_go(const struct tenant *t, int64_t warm_ms) {
    return t->tenure == TENURE_IDLE && !t->must_go && !tenant_is_warm(t, warm_ms);
}

static double loss(const struct tenant *t) {
    return (double)(t->cost_ms + 1) / (double)(t->idle_ms + 1);
}

static struct tenant *cheapest(struct tenant *v, size_t n, int64_t warm_ms) {
    struct tenant *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (may_go(&v[i], warm_ms) && (!best || loss(&v[i]) < loss(best)))
            best = &v[i];
    return best;
}

static struct sizes plus(struct sizes a, struct sizes b) {
    return (struct sizes){.host = a.host + b.host, .card = a.card + b.card};
}

static struct sizes minus(struct sizes a, struct sizes b) {
    return (struct sizes){.host = a.host - b.host, .card = a.card - b.card};
}

static bool within(struct sizes a, struct sizes most) {
    return a.host <= most.host && a.card <= most.card;
}

static struct tenant *dearest_leaver(struct tenant *v, size_t n, struct sizes most) {
    struct tenant *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (v[i].must_go && within(v[i].size, most) && (!best || loss(&v[i]) > loss(best)))
            best = &v[i];
    return best;
}

struct sums {
    struct sizes staying, pinned, leaving;
    size_t n_others; // that stay and are not pinned
    bool anybody_leaves;
};

static struct sums sums_of(const struct tenant *v, size_t n) {
    struct sums s = {0};
    for (size_t i = 0; i < n; i++) {
        if (v[i].tenure == TENURE_LEAVING) {
            s.leaving = plus(s.leaving, v[i].size);
            s.anybody_leaves = true;
            continue;
        }
        s.staying = plus(s.staying, v[i].size);
        if (v[i].tenure == TENURE_PINNED)
            s.pinned = plus(s.pinned, v[i].size);
        else
            s.n_others++;
    }
    return s;
}

// An estimate may be too high: with nobody beside it but who can't go, a model is tried if its least fits.
static bool fits(const struct room_wish *w, struct sizes staying, size_t n_others) {
    return within(plus(staying, n_others ? w->need : w->least), w->budget);
}

enum room room_find(struct tenant *v, size_t n, const struct room_wish *w) {
    for (size_t i = 0; i < n; i++)
        v[i].must_go = false;
    const struct sums s = sums_of(v, n);
    if (!within(plus(s.pinned, w->least), w->budget))
        return ROOM_NEVER;
    if (fits(w, s.staying, s.n_others)) {
        bool now = !s.anybody_leaves || within(plus(plus(s.staying, s.leaving), w->need), w->budget);
        return now ? ROOM_FREE : ROOM_SOON;
    }
    struct sizes staying = s.staying;
    size_t n_others = s.n_others;
    while (w->may_evict && !fits(w, staying, n_others)) {
        struct tenant *t = cheapest(v, n, w->warm_ms);
        if (!t)
            break;
        t->must_go = true;
        staying = minus(staying, t->size);
        n_others--;
    }
    if (!fits(w, staying, n_others)) {
        for (size_t i = 0; i < n; i++)
            v[i].must_go = false;
        return ROOM_HELD;
    }
    for (struct tenant *t; (t = dearest_leaver(v, n, minus(minus(w->budget, w->need), staying)));) {
        t->must_go = false;
        staying = plus(staying, t->size);
    }
    return ROOM_SOON;
}
