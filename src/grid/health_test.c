// SPDX-License-Identifier: Apache-2.0
// Health as time goes by: what makes sick, how long it is left alone, what makes well again, and flapping.
#include "grid/health.h"
#include "unit.h"

static bool notes(struct health *h, bool ok, int times, uint64_t now_ms) {
    bool changed = false;
    for (int i = 0; i < times; i++)
        changed |= health_note(h, ok, now_ms);
    return changed;
}

TEST(health_three_failures_in_a_row_are_sick) {
    struct health h = {0};
    CHECK(!notes(&h, false, 2, 1000) && !health_is_sick(&h, 1000));
    CHECK(!notes(&h, true, 1, 1000) && !notes(&h, false, 2, 1000));
    CHECK(notes(&h, false, 1, 1000));
    CHECK(health_is_sick(&h, 1000) && health_is_sick(&h, 2999) && !health_is_sick(&h, 3000));
    CHECK_EQ(health_wait_ms(&h, 1500), 1500);
}

TEST(health_many_failures_between_successes_are_sick) {
    struct health h = {0};
    bool sick = false;
    int n = 0;
    for (; n < 40 && !sick; n++)
        sick = health_note(&h, n % 3 == 2, 1000); // two of three fail, never three in a row
    CHECK(sick && n >= 8);
    struct health well = {0};
    for (n = 0; n < 1000; n++)
        CHECK(!health_note(&well, n % 5 != 0, 1000)); // one of five is unsteady, no more
}

TEST(health_each_failed_trial_waits_longer) {
    struct health h = {0};
    uint64_t now = 1000;
    int64_t before = 0;
    (void)notes(&h, false, 3, now);
    for (int i = 0; i < 12; i++) {
        int64_t wait = health_wait_ms(&h, now);
        CHECK(wait > before || wait == 300000);
        before = wait;
        now += (uint64_t)wait;
        CHECK(!health_is_sick(&h, now));
        (void)health_note(&h, false, now);
    }
    CHECK_EQ(before, 300000);
}

TEST(health_a_trial_keeps_others_away) {
    struct health h = {0};
    (void)notes(&h, false, 3, 1000);
    health_tried(&h, 1000); // not its time yet: nothing moves
    CHECK_EQ(health_wait_ms(&h, 1000), 2000);
    health_tried(&h, 3000);
    CHECK(health_is_sick(&h, 3000));
    CHECK(health_note(&h, true, 3100) && !health_is_sick(&h, 3100));
    health_tried(&h, 3200); // a well one
    CHECK(!health_is_sick(&h, 3200));
}

// One round: it fails until it is sick, then does well until it is well. Returns the successes that took.
static int round_of(struct health *h, uint64_t *now, int64_t *ret_wait_ms) {
    while (!health_note(h, false, *now)) {
    }
    *ret_wait_ms = health_wait_ms(h, *now);
    *now += (uint64_t)*ret_wait_ms;
    int good = 1;
    for (; !health_note(h, true, *now) && good < 100; good++)
        *now += 1000;
    return good;
}

TEST(health_flapping_is_damped) {
    struct health h = {0};
    uint64_t now = 1000;
    int64_t wait, before = 0;
    int good = 0;
    for (int i = 0; i < 6; i++) {
        good = round_of(&h, &now, &wait);
        CHECK(wait > before);
        before = wait;
        now += 1000;
    }
    CHECK_EQ(good, 3);
    CHECK_EQ(before, 64000);
    now += 7 * 300000; // being well for long is forgiveness
    CHECK_EQ(round_of(&h, &now, &wait), 1);
    CHECK_EQ(wait, 2000);
}

// ---- what tells of whom

struct rig {
    struct endpoint e;
    struct endpoint_live place;
    struct target_live live;
    struct target t;
};

static void rig_make(struct rig *r) {
    memset(r, 0, sizeof *r);
    r->t = (struct target){.endpoint = &r->e, .live = &r->live, .place = &r->place};
}

TEST(health_what_tells_of_the_place_and_what_of_the_model) {
    static const enum err place[] = {ERR_UP_CONNECT, ERR_UP_TLS, ERR_UP_AUTH};
    static const enum err model[] = {ERR_UP_DIED,       ERR_UP_TIMEOUT,  ERR_UP_INTERNAL,
                                     ERR_UP_OVERLOADED, ERR_UP_PROTOCOL, ERR_UP_NOT_FOUND};
    static const enum err neither[] = {ERR_CLIENT_GONE, ERR_CANCELLED, ERR_UP_REFUSED,    ERR_CONTEXT_LENGTH,
                                       ERR_DEADLINE,    ERR_UP_QUOTA,  ERR_UP_RATE_LIMIT, ERR_CONTENT_FILTER};
    struct rig r;
    for (size_t i = 0; i < sizeof place / sizeof place[0]; i++) {
        rig_make(&r);
        for (int k = 0; k < 3; k++)
            target_health_note(&r.t, place[i], 1000);
        CHECK(health_is_sick(&r.place.health, 1000) && !health_is_sick(&r.live.health, 1000) &&
              target_is_sick(&r.t, 1000));
    }
    for (size_t i = 0; i < sizeof model / sizeof model[0]; i++) {
        rig_make(&r);
        for (int k = 0; k < 3; k++)
            target_health_note(&r.t, model[i], 1000);
        CHECK(!health_is_sick(&r.place.health, 1000) && health_is_sick(&r.live.health, 1000) &&
              target_is_sick(&r.t, 1000));
    }
    rig_make(&r);
    for (int k = 0; k < 10; k++)
        for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++)
            target_health_note(&r.t, neither[i], 1000);
    CHECK(!target_is_sick(&r.t, 1000) && target_health(&r.t) == HEALTH_UNKNOWN);
}

TEST(health_a_model_that_is_not_there_has_the_list_asked_again) {
    struct rig r;
    rig_make(&r);
    target_health_note(&r.t, ERR_UP_INTERNAL, 1000);
    CHECK_EQ(atomic_load(&r.place.ask_again), 0);
    target_health_note(&r.t, ERR_UP_NOT_FOUND, 1000);
    CHECK_EQ(atomic_load(&r.place.ask_again), 1);
}

TEST(health_words) {
    struct rig r;
    rig_make(&r);
    CHECK_STREQ(health_name(target_health(&r.t)), "unknown");
    target_health_note(&r.t, ERR_OK, 1000);
    CHECK_STREQ(health_name(target_health(&r.t)), "ok");
    target_health_note(&r.t, ERR_UP_DIED, 1000);
    CHECK_STREQ(health_name(target_health(&r.t)), "unsteady");
    target_health_note(&r.t, ERR_UP_DIED, 1000);
    target_health_note(&r.t, ERR_UP_DIED, 1000);
    CHECK_STREQ(health_name(target_health(&r.t)), "failing");
}
