// SPDX-License-Identifier: Apache-2.0
// Prices of local tokens by hand: 100 W, 0.36 USD a kilowatt hour → 0.00001 USD a second.
#include "grid/energy.h"
#include "unit.h"

TEST(energy_price_is_watts_times_time) {
    struct target_stats s = {0};
    struct price p = PRICE_UNKNOWN;
    int64_t kwh = PICOUSD_PER_USD * 36 / 100;
    CHECK(!energy_price(100, kwh, &s, &p));
    atomic_store(&s.per_token_ns, 50000000); // 20 tokens a second
    CHECK(!energy_price(100, kwh, &s, &p));
    atomic_store(&s.prompt_token_ns, 1000000);
    CHECK(energy_price(100, kwh, &s, &p));
    CHECK_EQ(p.output, 500000); // 0.5 USD per million
    CHECK_EQ(p.input, 10000);
    CHECK(p.cache_read == 0 && p.cache_write == -1);
    CHECK(!energy_price(0, kwh, &s, &p) && !energy_price(100, 0, &s, &p));
}

TEST(energy_price_is_bounded_and_never_nothing) {
    struct target_stats s = {0};
    struct price p;
    atomic_store(&s.per_token_ns, INT64_MAX);
    atomic_store(&s.prompt_token_ns, 1);
    CHECK(energy_price(1000000, PICOUSD_PER_USD * 1000, &s, &p));
    CHECK_EQ(p.output, PICOUSD_PER_USD);
    CHECK(energy_price(1, 1, &s, &p) && p.input == 1);
}

TEST(energy_moves_by_a_tenth) {
    struct price a = {.input = 1000, .output = 100}, b = a;
    CHECK(!energy_moved(&a, &b));
    b.input = 1100;
    CHECK(!energy_moved(&a, &b));
    b.input = 1101;
    CHECK(energy_moved(&a, &b) && energy_moved(&PRICE_FREE, &b));
    b = a;
    b.output = 80;
    CHECK(energy_moved(&a, &b));
}
