// SPDX-License-Identifier: Apache-2.0
// Merging of counts and what they cost, with the numbers that a hostile upstream would send.
#include "ir/usage.h"
#include "unit.h"

TEST(usage_merge_takes_what_is_reported) {
    struct usage u = USAGE_NONE, first = USAGE_NONE, later = USAGE_NONE;
    first.input_tokens = 100;
    first.cache_read_tokens = 40;
    first.output_tokens = 1;
    later.output_tokens = 25;
    CHECK(usage_merge(&u, &first));
    CHECK(usage_merge(&u, &later));
    CHECK_EQ(u.input_tokens, 100);
    CHECK_EQ(u.cache_read_tokens, 40);
    CHECK_EQ(u.output_tokens, 25);
    CHECK_EQ(u.reasoning_tokens, -1);
}

TEST(usage_merge_ignores_absurd_counts) {
    struct usage u = USAGE_NONE, bad = USAGE_NONE;
    bad.input_tokens = -2;
    bad.output_tokens = INT64_MAX;
    bad.reasoning_tokens = 7;
    CHECK(!usage_merge(&u, &bad));
    CHECK_EQ(u.input_tokens, -1);
    CHECK_EQ(u.output_tokens, -1);
    CHECK_EQ(u.reasoning_tokens, 7);
}

TEST(usage_merge_keeps_estimated_until_counted) {
    struct usage u = USAGE_NONE, guess = USAGE_NONE, real = USAGE_NONE;
    guess.input_tokens = 10;
    guess.estimated = true;
    CHECK(usage_merge(&u, &guess));
    CHECK(u.estimated);
    real.input_tokens = 12;
    CHECK(usage_merge(&u, &real));
    CHECK(!u.estimated);
}

TEST(usage_cost_counts_each_token_once) {
    struct price p = {.input = 3, .output = 15, .cache_read = 1, .cache_write = 4};
    struct usage u = {1000, 600, 100, 50, 20, -1, -1, -1, false, 0, 0};
    CHECK_EQ(usage_cost(&u, &p), 300 * 3 + 600 * 1 + 100 * 4 + 50 * 15);
    p.cache_read = p.cache_write = -1;
    CHECK_EQ(usage_cost(&u, &p), 1000 * 3 + 50 * 15);
}

TEST(usage_cost_unknown_and_saturated) {
    struct usage u = USAGE_NONE;
    struct price p = {.input = 3, .output = 15, .cache_read = -1, .cache_write = -1};
    CHECK_EQ(usage_cost(&u, &p), -1);
    u.input_tokens = u.output_tokens = 5;
    CHECK_EQ(usage_cost(&u, &PRICE_UNKNOWN), -1);
    CHECK_EQ(usage_cost(&u, &PRICE_FREE), 0);
    p.output = INT64_MAX;
    CHECK_EQ(usage_cost(&u, &p), INT64_MAX);
}

TEST(usage_cost_above_a_tier_is_the_tiers_for_all_of_it) {
    struct price p = {.input = 3,
                      .output = 15,
                      .cache_read = 1,
                      .cache_write = 4,
                      .tier_tokens = 1000,
                      .tier_input = 6,
                      .tier_output = 20,
                      .tier_cache_read = 2,
                      .tier_cache_write = 8};
    struct usage u = USAGE_NONE;
    u.output_tokens = 10;
    u.input_tokens = 1000;
    CHECK_EQ(usage_cost(&u, &p), 1000 * 3 + 10 * 15);
    u.input_tokens = 1001;
    CHECK_EQ(usage_cost(&u, &p), 1001 * 6 + 10 * 20);
    u.cache_read_tokens = 1000;
    CHECK_EQ(usage_cost(&u, &p), 1 * 6 + 1000 * 2 + 10 * 20);
    u.cache_write_tokens = 1;
    CHECK_EQ(usage_cost(&u, &p), 1 * 8 + 1000 * 2 + 10 * 20);
    u.cache_write_tokens = -1;
    p.tier_cache_read = -1;
    CHECK_EQ(usage_cost(&u, &p), 1001 * 6 + 10 * 20);
}

TEST(usage_cost_caches_beyond_input_do_not_go_negative) {
    struct price p = {.input = 3, .output = 15, .cache_read = 1, .cache_write = 4};
    struct usage u = {10, 600, 100, 0, -1, -1, -1, -1, false, 0, 0};
    CHECK_EQ(usage_cost(&u, &p), 10);
}
