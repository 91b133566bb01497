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

static struct tenant *dearest_leaver(struct tenant *v, size_t n, int64_t most_bytes) {
    struct tenant *best = NULL;
    for (size_t i = 0; i < n; i++)
        if (v[i].must_go && v[i].bytes <= most_bytes && (!best || loss(&v[i]) > loss(best)))
            best = &v[i];
    return best;
}

struct sums {
    int64_t staying, pinned, leaving;
    bool anybody_stays;
};

static struct sums sums_of(const struct tenant *v, size_t n) {
    struct sums s = {0};
    for (size_t i = 0; i < n; i++) {
        if (v[i].tenure == TENURE_LEAVING) {
            s.leaving += v[i].bytes;
            continue;
        }
        s.staying += v[i].bytes;
        s.anybody_stays = true;
        if (v[i].tenure == TENURE_PINNED)
            s.pinned += v[i].bytes;
    }
    return s;
}

// An estimate may be too high: with nobody beside it but who can't go, a model is tried if its least fits.
static bool fits(const struct room_wish *w, const struct sums *s, int64_t staying) {
    int64_t need = staying == s->pinned ? w->least_bytes : w->need_bytes;
    return staying + need <= w->budget_bytes;
}

enum room room_find(struct tenant *v, size_t n, const struct room_wish *w) {
    for (size_t i = 0; i < n; i++)
        v[i].must_go = false;
    const struct sums s = sums_of(v, n);
    if (s.pinned + w->least_bytes > w->budget_bytes)
        return ROOM_NEVER;
    if (fits(w, &s, s.staying))
        return s.leaving == 0 || s.staying + s.leaving + w->need_bytes <= w->budget_bytes ? ROOM_FREE : ROOM_SOON;
    int64_t staying = s.staying;
    while (w->may_evict && !fits(w, &s, staying)) {
        struct tenant *t = cheapest(v, n, w->warm_ms);
        if (!t)
            break;
        t->must_go = true;
        staying -= t->bytes;
    }
    if (!fits(w, &s, staying)) {
        for (size_t i = 0; i < n; i++)
            v[i].must_go = false;
        return ROOM_HELD;
    }
    for (struct tenant *t; (t = dearest_leaver(v, n, w->budget_bytes - w->need_bytes - staying));) {
        t->must_go = false;
        staying += t->bytes;
    }
    return ROOM_SOON;
}
