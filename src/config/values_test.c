// SPDX-License-Identifier: Apache-2.0
// Scalars with units: exact, never negative, never beyond 63 bits, nothing behind the unit.
#include "config/values.h"
#include "unit.h"

struct row {
    const char *text;
    int64_t want; // -1: refused
};

#define CHECK_ROWS(function, rows)                                              \
    for (size_t i_ = 0; i_ < sizeof rows / sizeof rows[0]; i_++) {              \
        int64_t v_ = -1;                                                        \
        bool ok_ = function(slice_str(rows[i_].text), &v_);                     \
        if (ok_ != (rows[i_].want >= 0) || v_ != rows[i_].want)                 \
            FAIL("'%s' gave %d, %lld", rows[i_].text, (int)ok_, (long long)v_); \
    }

TEST(values_bytes) {
    static const struct row rows[] = {{"0", 0},
                                      {"100", 100},
                                      {"7B", 7},
                                      {"1.5KiB", 1536},
                                      {"8GiB", 8LL << 30},
                                      {"2 TiB", 2LL << 40},
                                      {"512MB", 512000000},
                                      {"1GB", 1000000000},
                                      {"3kB", 3000},
                                      {"0.5", -1},
                                      {"-1", -1},
                                      {"", -1},
                                      {".", -1},
                                      {"1.2.3KiB", -1},
                                      {"GiB", -1},
                                      {"8G", -1},
                                      {"8gib", -1},
                                      {"99999999TiB", -1},
                                      {"9223372036854775807", -1},
                                      {"99999999999999999999", -1}};
    CHECK_ROWS(value_bytes, rows)
}

TEST(values_durations) {
    static const struct row rows[] = {{"0", 0},
                                      {"250ms", 250},
                                      {"30s", 30000},
                                      {"1.5s", 1500},
                                      {"5m", 300000},
                                      {"1h", 3600000},
                                      {"30d", 2592000000},
                                      {"0.0005s", -1},
                                      {"0.5ms", -1},
                                      {"5", -1},
                                      {"-5s", -1},
                                      {"5 minutes", -1},
                                      {"1h30m", -1},
                                      {"", -1},
                                      {"s", -1},
                                      {"1e3s", -1},
                                      {"99999999999999999d", -1}};
    CHECK_ROWS(value_duration_ms, rows)
}

TEST(values_money) {
    static const struct row amounts[] = {{"50 USD", 50000000000000},
                                         {"0.000000000001 USD", 1},
                                         {"2.5USD", 2500000000000},
                                         {"9223372 USD", 9223372000000000000},
                                         {"9223373 USD", -1},
                                         {"0.0000000000001 USD", -1},
                                         {"-1 USD", -1},
                                         {"5 EUR", -1},
                                         {"5", -1},
                                         {"$5", -1},
                                         {"5 USD/M", -1},
                                         {"1,000 USD", -1}};
    static const struct row prices[] = {{"2.50 USD/M", 2500000},  {"0 USD/M", 0},        {"0.000001 USD/M", 1},
                                        {"250 USD/M", 250000000}, {"10USD/M", 10000000}, {"0.0000001 USD/M", -1},
                                        {"2.50 USD", -1},         {"-1 USD/M", -1},      {"99999999999999 USD/M", -1}};
    CHECK_ROWS(value_usd, amounts)
    CHECK_ROWS(value_price, prices)
}

TEST(values_booleans) {
    bool v = false;
    CHECK(value_bool(SLICE("true"), &v) && v);
    CHECK(value_bool(SLICE("off"), &v) && !v);
    CHECK(value_bool(SLICE("yes"), &v) && v);
    CHECK(value_bool(SLICE("no"), &v) && !v);
    CHECK(value_bool(SLICE("on"), &v) && v);
    CHECK(value_bool(SLICE("false"), &v) && !v);
    v = true;
    CHECK(!value_bool(SLICE("1"), &v) && !value_bool(SLICE("True"), &v) && !value_bool(SLICE_NONE, &v) && v);
}
