// SPDX-License-Identifier: Apache-2.0
#include "ir/habit.h"
#include "unit.h"

static struct pace streamed(int64_t start_us, int64_t chunks, int64_t every_us, int64_t bytes) {
    struct pace p = {0};
    for (int64_t i = 0; i < chunks; i++)
        pace_note(&p, start_us + i * every_us, bytes);
    return p;
}

TEST(habit_knows_nothing_at_first) {
    struct habit h = {0};
    struct pace p = {0};
    CHECK_EQ(habit_need(&h, 0, 4096), 4096);
    CHECK_EQ(habit_need(&h, 100, 4096), 4096);
    CHECK_EQ(habit_input(&h, 1000), 1000);
    CHECK_EQ(habit_tokens(&h, 1000), 501);
    CHECK_EQ(habit_quantile(&h, 95), 0);
    CHECK(habit_flight(&h, &p, 0) > 1000000);
    p = streamed(1000000, 10, 20000, 8);
    CHECK(habit_flight(&h, &p, 80) < 100); // its own pace tells
}

// The quantile is never below the true one, and at most a fifth above.
TEST(habit_quantiles_are_calibrated) {
    for (int64_t scale = 1; scale <= 1000; scale *= 10) {
        struct habit h = {0};
        for (int64_t i = 1; i <= 1000; i++)
            habit_note_output(&h, i * scale, 0, NULL);
        for (unsigned q = 50; q <= 99; q += 7) {
            int64_t got = habit_quantile(&h, q), want = q * 10 * scale;
            CHECK(got >= want);
            CHECK(got <= want + want / 4);
        }
    }
}

TEST(habit_slow_answers_need_their_length_and_what_is_under_way) {
    struct habit h = {0};
    for (int i = 0; i < 200; i++) {
        struct pace p = streamed(1000000, 100, 50000, 8); // 100 chunks, 5 s, 2 tokens each: 10 within a horizon
        habit_note_output(&h, 200, 800, &p);
    }
    int64_t need = habit_need(&h, 0, 4096);
    CHECK(need >= 210 && need <= 290);
    CHECK(habit_need(&h, 100, 4096) <= 160);
    CHECK(habit_need(&h, 100, 4096) >= 110);
    CHECK(habit_need(&h, 3000, 4096) >= 3010);
    CHECK(habit_need(&h, 3000, 4096) <= 3060);
    CHECK(habit_is_used_up(&h, 195, 200));
    CHECK(!habit_is_used_up(&h, 150, 200));
    CHECK_EQ(habit_need(&h, 0, 50), 50);
}

TEST(habit_knows_a_burst_and_remembers_it) {
    struct habit h = {0};
    struct pace slow = streamed(1000000, 100, 50000, 8), burst = slow;
    CHECK(!habit_outran(&h, &slow)); // nothing to compare with
    for (int i = 0; i < 40; i++)
        habit_note_output(&h, 200, 800, &slow);
    CHECK(habit_can_stop(&h) && !habit_outran(&h, &slow));
    pace_note(&burst, burst.last_us + 1, 400); // a hundred tokens more
    CHECK(habit_outran(&h, &burst));
    habit_note_burst(&h, &burst, 1200);
    CHECK(!habit_outran(&h, &burst) && habit_need(&h, 0, 4096) > 290);
    pace_note(&burst, burst.last_us + 1, 4000);
    habit_note_burst(&h, &burst, 5200);
    CHECK(!habit_can_stop(&h));
}

TEST(habit_answers_at_once_leave_only_the_longest) {
    struct habit h = {0};
    for (int i = 1; i <= 100; i++) {
        struct pace p = streamed(1000000, 1, 0, 40 * i);
        habit_note_output(&h, 10 * i, 40 * i, &p);
    }
    CHECK_EQ(habit_need(&h, 0, 100000), 1500);
    CHECK_EQ(habit_need(&h, 1000, 100000), 1500);
    CHECK_EQ(habit_need(&h, 1500, 100000), 100000);
    CHECK(!habit_is_used_up(&h, 1500, 1500));
    CHECK(habit_is_used_up(&h, 1501, 1500));
}

TEST(habit_room_shrinks_as_more_is_known) {
    struct habit h = {0};
    int64_t before = INT64_MAX;
    for (int i = 1; i <= 100; i++) {
        habit_note_output(&h, 100, 400, NULL);
        int64_t need = habit_need(&h, 0, 4096);
        CHECK(need <= before && need >= 100);
        CHECK(i >= HABIT_LEAST || need == 4096);
        before = need;
    }
    CHECK_EQ(before, 150);
}

TEST(habit_maxima_are_forgotten) {
    struct habit h = {0};
    habit_note_output(&h, 100000, 400000, NULL);
    for (int i = 0; i < 2000; i++)
        habit_note_output(&h, 100, 400, NULL);
    CHECK(habit_need(&h, 0, 1 << 20) < 200);
}

// A size that was not seen yet is bound by its bytes, whatever other sizes taught.
TEST(habit_input_is_learned_size_by_size) {
    struct habit h = {0};
    habit_note_input(&h, 100, 3);
    CHECK(habit_input(&h, 100) < 30);
    CHECK_EQ(habit_input(&h, 4000), 4000);
    habit_note_input(&h, 4000, 1000);
    CHECK(habit_input(&h, 4000) >= 1000);
    CHECK(habit_input(&h, 4000) <= 1200);
    habit_note_input(&h, 4000, 5000); // above the bound: an upstream with a long template of its own
    CHECK(habit_input(&h, 4000) >= 5000);
}

TEST(habit_ignores_what_can_not_be) {
    struct habit h = {0};
    struct pace p = {0};
    habit_note_output(&h, -1, 10, &p);
    habit_note_output(&h, INT64_MAX, 10, &p);
    habit_note_input(&h, 0, 5);
    habit_note_input(&h, -5, 5);
    habit_note_input(&h, 5, INT64_MAX);
    CHECK_EQ(habit_need(&h, 0, 77), 77);
    CHECK_EQ(habit_input(&h, 5), 5);
    CHECK_EQ(habit_tokens(&h, INT64_MAX) > 0, 1);
    CHECK_EQ(habit_input(&h, INT64_MAX), INT64_MAX);
    for (int i = 0; i < 10000; i++)
        habit_note_output(&h, 1, INT64_MAX, NULL);
    CHECK(habit_need(&h, 0, 4096) <= 16);
}
