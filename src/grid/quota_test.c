// SPDX-License-Identifier: Apache-2.0
// Rate-limit headers as the providers send them, and when a target rests or stands behind.
#include "grid/quota.h"
#include "base/mem.h"
#include "grid/endpoint.h"
#include "grid/snapshot.h"
#include "unit.h"

#define NOW_US INT64_C(1735689600000000) // 2025-01-01T00:00:00Z

// "name: value\n…"
static struct quota_said said_by(const char *text) {
    static struct header v[40];
    struct slice rest = slice_str(text);
    size_t n = 0;
    while (rest.n && n < 40) {
        struct slice line = slice_split(&rest, '\n'), name = slice_split(&line, ':');
        v[n++] = (struct header){name, slice_trim(line)};
    }
    struct quota_said q;
    quota_read(&(struct headers){v, n}, NOW_US, &q);
    return q;
}

TEST(quota_headers_of_providers) {
    static const struct {
        const char *text;
        int64_t requests, requests_ms, tokens, tokens_ms, retry_ms;
    } rows[] = {
        // OpenAI
        {"x-ratelimit-limit-requests: 15000\nx-ratelimit-limit-tokens: 40000000\nx-ratelimit-remaining-requests: 14999\n"
         "x-ratelimit-remaining-tokens: 39999826\nx-ratelimit-reset-requests: 4ms\nx-ratelimit-reset-tokens: 0s",
         14999, 4, 39999826, 0, -1},
        // Groq
        {"X-RateLimit-Remaining-Requests: 14370\nX-RateLimit-Remaining-Tokens: 17997\nX-RateLimit-Reset-Requests: "
         "2m59.56s\nX-RateLimit-Reset-Tokens: 7.66s\nRetry-After: 2",
         14370, 179560, 17997, 7660, 2000},
        // Anthropic
        {"anthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 49\n"
         "anthropic-ratelimit-requests-reset: 2025-01-01T00:00:01Z\nanthropic-ratelimit-input-tokens-remaining: 49000\n"
         "anthropic-ratelimit-input-tokens-reset: 2025-01-01T00:00:30Z\nanthropic-ratelimit-output-tokens-remaining: 0\n"
         "anthropic-ratelimit-output-tokens-reset: 2025-01-01T00:00:10Z\nanthropic-ratelimit-tokens-remaining: 57000\n"
         "anthropic-ratelimit-tokens-reset: 2025-01-01T00:00:20Z\nanthropic-ratelimit-unified-remaining: 0",
         49, 1000, 49000, 30000, -1},
        // Cerebras
        {"x-ratelimit-limit-requests-day: 14400\nx-ratelimit-remaining-requests-day: 5\nx-ratelimit-reset-requests-day: "
         "33011.382867097855\nx-ratelimit-remaining-tokens-minute: 58\nx-ratelimit-reset-tokens-minute: 11.382867097854614",
         5, 33011382, 58, 11382, -1},
        // Mistral
        {"x-ratelimit-limit-tokens-minute: 5000000\nx-ratelimit-remaining-tokens-minute: 4999911\n"
         "x-ratelimit-tokens-query-cost: 52\nx-ratelimit-limit-req-minute: 720\nx-ratelimit-remaining-req-minute: 717",
         717, 60000, 4999911, 60000, -1},
        {"ratelimitbysize-reset: 12\nx-ratelimitbysize-limit-minute: 2000000\nx-ratelimitbysize-remaining-minute: 1999\n"
         "x-ratelimitbysize-remaining-month: 9999999",
         -1, 0, 1999, 60000, -1},
        // Together, OpenRouter, the IETF's draft
        {"x-ratelimit-limit: 60\nx-ratelimit-remaining: 3\nx-ratelimit-reset: 4\nx-tokenlimit-limit: 100\n"
         "x-tokenlimit-remaining: 90",
         3, 4000, 90, 60000, -1},
        {"X-RateLimit-Limit: 50\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1735693200000", 0, 3600000, -1, 0, -1},
        {"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1735689660", 0, 60000, -1, 0, -1},
        {"RateLimit-Limit: 100\nRateLimit-Remaining: 7\nRateLimit-Reset: 30", 7, 30000, -1, 0, -1},
        // Azure
        {"x-ratelimit-remaining-requests: 9\nx-ratelimit-remaining-tokens: 6800\nretry-after-ms: 6543\nretry-after: 7",
         9, 60000, 6800, 60000, 6543},
        {"retry-after-ms: 120000", -1, 0, -1, 0, 120000},
        {"x-ratelimit-limit-tokens: -1\nx-ratelimit-remaining-tokens: -1\nx-ratelimit-reset-tokens: 0", -1, 0, -1, 0,
         -1},
        // Fireworks
        {"x-ratelimit-limit-requests: 600\nx-ratelimit-remaining-requests: 599\nx-ratelimit-limit-tokens-prompt: 60000\n"
         "x-ratelimit-remaining-tokens-prompt: 59000\nx-ratelimit-limit-tokens-generated: 6000\nx-ratelimit-over-limit: no",
         599, 60000, 59000, 60000, -1},
        // a proxy's own before those of who stands behind it
        {"llm_provider-x-ratelimit-remaining-requests: 0\nx-ratelimit-remaining-requests: 8", 8, 60000, -1, 0, -1},
        {"retry-after: Wed, 01 Jan 2025 00:01:00 GMT", -1, 0, -1, 0, 60000},
        {"retry-after: Wed, 01 Jan 2020 00:01:00 GMT", -1, 0, -1, 0, 0},
        {"retry-after: 0.5", -1, 0, -1, 0, 500},
        {"retry-after: soon\nx-ratelimit-remaining-requests: many\nx-ratelimit-reset-requests: later", -1, 0, -1, 0,
         -1},
        {"retry-after: 99999999999999999999", -1, 0, -1, 0, 86400000},
        {"x-ratelimit-remaining-tokens: 18446744073709551615", -1, 0, -1, 0, -1},
        {"content-type: application/json", -1, 0, -1, 0, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct quota_said q = said_by(rows[i].text);
        if (q.requests.left != rows[i].requests || q.requests.reset_ms != rows[i].requests_ms ||
            q.tokens.left != rows[i].tokens || q.tokens.reset_ms != rows[i].tokens_ms || q.retry_ms != rows[i].retry_ms)
            FAIL("%s\nrequests %lld in %lld, tokens %lld in %lld, retry %lld", rows[i].text, (long long)q.requests.left,
                 (long long)q.requests.reset_ms, (long long)q.tokens.left, (long long)q.tokens.reset_ms,
                 (long long)q.retry_ms);
    }
}

TEST(quota_any_header_is_survived) {
    char name[200], text[700];
    for (size_t n = 0; n < sizeof name - 1; n++) {
        memset(name, 'a', n);
        name[n] = 0;
        (void)snprintf(text, sizeof text, "x-ratelimit-remaining-%s: 5\nratelimit%sreset: 5\n%s: 1", name, name, name);
        (void)said_by(text);
    }
    char many[8192] = "";
    size_t at = 0;
    for (int i = 0; i < 40; i++)
        at += (size_t)snprintf(many + at, sizeof many - at, "x-ratelimit-remaining-%d: %d\n", i, 100 - i);
    CHECK(said_by(many).requests.left > 0);
}

// ---- a target

struct rig {
    struct endpoint e;
    struct endpoint_live place;
    struct target_live live;
    struct target t;
};

static void rig_make(struct rig *r, enum zone zone) {
    memset(r, 0, sizeof *r);
    r->e.zone = ZONE_CLOUD;
    r->t = (struct target){.endpoint = &r->e, .zone = zone, .live = &r->live, .place = &r->place};
}

TEST(quota_nothing_left_rests_until_it_is_renewed) {
    struct rig r;
    rig_make(&r, ZONE_CLOUD);
    struct quota_said q = said_by("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 3s");
    CHECK_EQ(target_rest_ms(&r.t, 1000), 0);
    target_heard(&r.t, &q, 1000);
    CHECK_EQ(target_rest_ms(&r.t, 1000), 3000);
    CHECK_EQ(target_rest_ms(&r.t, 3999), 1);
    CHECK_EQ(target_rest_ms(&r.t, 4000), 0);
    CHECK(target_is_tight(&r.t, 1, 3999) && !target_is_tight(&r.t, 1, 4000));
}

TEST(quota_without_a_told_time_only_stands_behind) {
    struct rig r;
    rig_make(&r, ZONE_CLOUD);
    struct quota_said q = said_by("x-ratelimit-remaining-tokens: 0");
    target_heard(&r.t, &q, 1000);
    CHECK_EQ(target_rest_ms(&r.t, 1000), 0);
    CHECK(target_is_tight(&r.t, 1, 1000) && !target_is_tight(&r.t, 1, 61001));
}

TEST(quota_counts_what_was_sent_since) {
    struct rig r;
    rig_make(&r, ZONE_CLOUD);
    CHECK(!target_is_tight(&r.t, 1 << 30, 1000));
    target_sent(&r.t, 100); // nothing was told: nothing is counted
    struct quota_said q = said_by("x-ratelimit-remaining-requests: 2\nx-ratelimit-remaining-tokens: 1000\n"
                                  "x-ratelimit-reset-requests: 10s\nx-ratelimit-reset-tokens: 10s");
    target_heard(&r.t, &q, 1000);
    CHECK(!target_is_tight(&r.t, 1000, 1000) && target_is_tight(&r.t, 1001, 1000));
    target_sent(&r.t, 600);
    CHECK(!target_is_tight(&r.t, 400, 1000) && target_is_tight(&r.t, 401, 1000));
    target_sent(&r.t, 100);
    CHECK(target_is_tight(&r.t, 1, 1000));
    CHECK_EQ(target_rest_ms(&r.t, 1000), 0);
}

// Milliseconds from `now` on that it is tight, at a resolution of 500.
static int64_t tight_for(const struct target *t, uint64_t now) {
    int64_t ms = 0;
    while (target_is_tight(t, 0, now + (uint64_t)ms))
        ms += 500;
    return ms;
}

TEST(quota_a_refusal_with_a_time_rests_and_one_without_stands_behind) {
    struct rig r;
    rig_make(&r, ZONE_CLOUD);
    target_ended(&r.t, ERR_UP_RATE_LIMIT, 500, 3000);
    CHECK_EQ(target_rest_ms(&r.t, 3000), 500);
    CHECK_EQ(tight_for(&r.t, 3000), 0);
    target_ended(&r.t, ERR_UP_RATE_LIMIT, -1, 4000);
    CHECK_EQ(target_rest_ms(&r.t, 4000), 0);
    CHECK_EQ(tight_for(&r.t, 4000), 1000);
    target_ended(&r.t, ERR_UP_RATE_LIMIT, -1, 5000);
    CHECK_EQ(tight_for(&r.t, 5000), 2000);
    for (int i = 0; i < 100; i++)
        target_ended(&r.t, ERR_UP_RATE_LIMIT, -1, 10000);
    CHECK_EQ(tight_for(&r.t, 10000), 60000);
    target_ended(&r.t, ERR_OK, -1, 11000);
    CHECK_EQ(tight_for(&r.t, 11000), 0);
    target_ended(&r.t, ERR_UP_RATE_LIMIT, -1, 70000);
    CHECK_EQ(tight_for(&r.t, 70000), 1000);
    target_ended(&r.t, ERR_UP_OVERLOADED, 4000, 80000);
    CHECK_EQ(target_rest_ms(&r.t, 80000), 4000);
}

TEST(quota_an_empty_account_is_the_endpoints) {
    struct rig r;
    rig_make(&r, ZONE_CLOUD);
    struct target_live other = {0};
    struct target neighbour = r.t;
    neighbour.live = &other;
    target_ended(&r.t, ERR_UP_QUOTA, -1, 0);
    CHECK_EQ(tight_for(&neighbour, 0), 60000);
    CHECK_EQ(target_rest_ms(&neighbour, 0), 0);
    target_ended(&r.t, ERR_UP_QUOTA, -1, 60000);
    CHECK_EQ(tight_for(&neighbour, 60000), 120000);
    for (int i = 0; i < 50; i++)
        target_ended(&r.t, ERR_UP_QUOTA, -1, 200000);
    CHECK_EQ(tight_for(&neighbour, 200000), 3600000);
    target_ended(&neighbour, ERR_OK, -1, 300000); // it was filled
    CHECK_EQ(tight_for(&r.t, 300000), 0);
}

TEST(quota_of_a_cloud_behind_a_local_server_rests_only_that_model) {
    struct rig r;
    rig_make(&r, ZONE_CLOUD);
    r.e.zone = ZONE_EDGE;
    struct target_live other = {0};
    struct target local = r.t;
    local.live = &other;
    local.zone = ZONE_EDGE;
    target_ended(&r.t, ERR_UP_QUOTA, -1, 0);
    CHECK(target_is_tight(&r.t, 0, 0) && !target_is_tight(&local, 0, 0));
}
