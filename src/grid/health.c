// SPDX-License-Identifier: Apache-2.0
// Health: passive from traffic, active (grid/discovery.c asks) for the sick. Three failures in a row, or half of the last
// few, make a target or a place sick: it stands behind those that are well, and is tried again after a time that doubles
// with each relapse. One that comes and goes has to do well several times before it counts as well, and its relapses are
// forgotten only with time, so that a flapping upstream doesn't drag requests along. Loops write when attempts end, the
// main thread when probes do; all are relaxed atomics, where a lost race costs one trial more or less.
#include "grid/health.h"

#define SICK_IN_ROW 3     // failures
#define SICK_PERMILLE 500 // of the last few, once there are SEEN_ENOUGH
#define SEEN_ENOUGH 8     // results
#define BACKOFF_FIRST_MS 2000
#define BACKOFF_MOST_MS 300000
#define FLAPS_MOST 10
#define FLAP_FORGET_MS 300000 // of being well, for each relapse
#define GOOD_MOST 3           // successes in a row before it is well, at most

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)

uint64_t health_backoff_ms(int flaps) {
    uint64_t ms = (uint64_t)BACKOFF_FIRST_MS << (flaps < FLAPS_MOST ? flaps : FLAPS_MOST);
    return ms < BACKOFF_MOST_MS ? ms : BACKOFF_MOST_MS;
}

// How much of its past a well one still has to answer for.
static int flaps_left(const struct health *h, uint64_t now_ms) {
    int64_t well_ms = (int64_t)now_ms - LOAD(h->changed_ms);
    int64_t left = LOAD(h->flaps) - (well_ms > 0 ? well_ms / FLAP_FORGET_MS : 0);
    return left > 0 ? (int)left : 0;
}

static void rate_note(struct health *h, bool ok) {
    int seen = LOAD(h->seen), rate = LOAD(h->permille);
    // The first few count in full, later ones with an eighth.
    int weight = seen < SEEN_ENOUGH ? seen + 1 : SEEN_ENOUGH;
    STORE(h->permille, rate + ((ok ? 0 : 1000) - rate) / weight);
    if (seen < SEEN_ENOUGH)
        STORE(h->seen, seen + 1);
}

static bool turn(struct health *h, bool sick, uint64_t now_ms) {
    int was = sick ? 0 : 1;
    if (!atomic_compare_exchange_strong(&h->sick, &was, sick ? 1 : 0))
        return false;
    int flaps = sick ? flaps_left(h, now_ms) : LOAD(h->flaps);
    if (sick) {
        STORE(h->try_at_ms, (int64_t)(now_ms + health_backoff_ms(flaps)));
        flaps = flaps < FLAPS_MOST ? flaps + 1 : FLAPS_MOST;
    }
    STORE(h->flaps, flaps);
    STORE(h->good, 0);
    STORE(h->in_row, 0);
    STORE(h->seen, 0);
    STORE(h->permille, 0);
    STORE(h->changed_ms, (int64_t)now_ms);
    return true;
}

static bool note_good(struct health *h, uint64_t now_ms) {
    STORE(h->in_row, 0);
    if (!LOAD(h->sick))
        return false;
    int good = atomic_fetch_add_explicit(&h->good, 1, memory_order_relaxed) + 1, flaps = LOAD(h->flaps);
    STORE(h->try_at_ms, (int64_t)now_ms); // it did well, so the next trial may follow at once
    return good >= (flaps < GOOD_MOST ? flaps : GOOD_MOST) && turn(h, false, now_ms);
}

static bool note_bad(struct health *h, uint64_t now_ms) {
    int in_row = atomic_fetch_add_explicit(&h->in_row, 1, memory_order_relaxed) + 1;
    if (LOAD(h->sick)) {
        STORE(h->good, 0);
        // Each trial that fails waits for longer.
        int longer = LOAD(h->flaps) + in_row - 1;
        STORE(h->try_at_ms, (int64_t)(now_ms + health_backoff_ms(longer)));
        return false;
    }
    bool often = LOAD(h->seen) >= SEEN_ENOUGH && LOAD(h->permille) >= SICK_PERMILLE;
    return (in_row >= SICK_IN_ROW || often) && turn(h, true, now_ms);
}

bool health_note(struct health *h, bool ok, uint64_t now_ms) {
    rate_note(h, ok);
    return ok ? note_good(h, now_ms) : note_bad(h, now_ms);
}

int64_t health_wait_ms(const struct health *h, uint64_t now_ms) {
    int64_t at = LOAD(h->try_at_ms);
    return LOAD(h->sick) && at > (int64_t)now_ms ? at - (int64_t)now_ms : 0;
}

bool health_is_sick(const struct health *h, uint64_t now_ms) {
    return health_wait_ms(h, now_ms) > 0;
}

void health_tried(struct health *h, uint64_t now_ms) {
    if (LOAD(h->sick) && health_wait_ms(h, now_ms) == 0)
        STORE(h->try_at_ms, (int64_t)(now_ms + health_backoff_ms(LOAD(h->flaps))));
}

// ---- targets

enum tells_of { TELLS_NOTHING, TELLS_OF_PLACE, TELLS_OF_TARGET };

static enum tells_of tells_of(enum err e) {
    switch ((int)e) {
    case ERR_UP_CONNECT:
    case ERR_UP_TLS:
    case ERR_UP_AUTH:
        return TELLS_OF_PLACE;
    case ERR_UP_PROTOCOL:
    case ERR_UP_DIED:
    case ERR_UP_TIMEOUT:
    case ERR_UP_INTERNAL:
    case ERR_UP_OVERLOADED:
    case ERR_UP_NOT_FOUND:
        return TELLS_OF_TARGET;
    default: // limits have their own rule (grid/quota.c), the rest is the client's or ours
        return TELLS_NOTHING;
    }
}

void target_health_note(const struct target *t, enum err e, uint64_t now_ms) {
    if (t->endpoint->engine)
        return; // supervised: it has a state instead
    if (e == ERR_OK) {
        (void)health_note(&t->place->health, true, now_ms);
        (void)health_note(&t->live->health, true, now_ms);
        return;
    }
    if (e == ERR_UP_NOT_FOUND || e == ERR_UP_CONNECT)
        STORE(t->place->ask_again, 1);
    enum tells_of of = tells_of(e);
    if (of == TELLS_OF_PLACE)
        (void)health_note(&t->place->health, false, now_ms);
    if (of == TELLS_OF_TARGET)
        (void)health_note(&t->live->health, false, now_ms);
}

bool target_is_sick(const struct target *t, uint64_t now_ms) {
    return health_is_sick(&t->live->health, now_ms) || health_is_sick(&t->place->health, now_ms);
}

void target_tried(const struct target *t, uint64_t now_ms) {
    health_tried(&t->live->health, now_ms);
    health_tried(&t->place->health, now_ms);
}

// ---- words

const char *health_name(enum health_word h) {
    static const char *const names[] = {"unknown", "ok", "unsteady", "failing"};
    return names[h];
}

const char *engine_state_name(int state) {
    static const char *const names[] = {"off", "starting", "ready", "failed"};
    return state >= ENGINE_OFF && state <= ENGINE_FAILED ? names[state] : "off";
}

static enum health_word word_of(const struct health *h) {
    if (LOAD(h->sick))
        return HEALTH_FAILING;
    if (LOAD(h->in_row) > 0 || LOAD(h->permille) >= 100)
        return HEALTH_UNSTEADY;
    return LOAD(h->seen) > 0 || LOAD(h->changed_ms) > 0 ? HEALTH_OK : HEALTH_UNKNOWN;
}

enum health_word target_health(const struct target *t) {
    if (LOAD(t->place->health.sick))
        return HEALTH_FAILING;
    return word_of(&t->live->health);
}

// Of the place itself: as traffic and probes found it; and a list that was never got is a failure, one that is not got
// any more is none as long as traffic does well.
static enum health_word place_word(const struct endpoint_live *live) {
    enum health_word w = word_of(&live->health);
    bool asking_fails = LOAD(live->probe_failures) > 0;
    if (asking_fails && w == HEALTH_UNSTEADY && LOAD(live->last_ok_us) == 0)
        return HEALTH_FAILING;
    if (asking_fails && w == HEALTH_UNKNOWN)
        return HEALTH_FAILING;
    return w;
}

enum health_word endpoint_health(const struct snapshot *s, size_t endpoint) {
    enum health_word place = place_word(snapshot_endpoint_live(s, endpoint));
    size_t n = 0, sick = 0;
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (t->endpoint != s->endpoints[endpoint])
            continue;
        enum health_word w = word_of(&t->live->health);
        n++;
        sick += w == HEALTH_FAILING;
        if (w == HEALTH_UNSTEADY && place < HEALTH_UNSTEADY)
            place = HEALTH_UNSTEADY;
        if (w == HEALTH_OK && place == HEALTH_UNKNOWN)
            place = HEALTH_OK;
    }
    if (n > 0 && sick == n)
        return HEALTH_FAILING;
    return sick > 0 && place < HEALTH_UNSTEADY ? HEALTH_UNSTEADY : place;
}
