// SPDX-License-Identifier: Apache-2.0
// Limits of upstreams, so that the switch turns away before it runs into them. Every provider has its own names for the
// same three things (limit, what is left, when it is renewed), so headers are read by their words, not by a list:
// x-ratelimit-remaining-tokens (OpenAI, Groq, Azure), …-remaining-requests-day (Cerebras), …-remaining-req-minute
// (Mistral), anthropic-ratelimit-input-tokens-remaining, x-ratelimit-reset (Together, OpenRouter), ratelimit-remaining
// (IETF draft). What is stored are relaxed atomics of the target, shared by all loops: a hint, never a lock. Counting what
// was sent since is ours, so it only makes a target the second choice; what an upstream itself says rests it.
#include "grid/quota.h"
#include "base/times.h"

#define USUAL_RESET_MS 60000 // where a window has no word on when it is renewed
#define WARY_FIRST_MS 1000   // after a limit without a time; doubled each time in a row
#define WARY_MOST_MS 60000
#define SPENT_FIRST_MS 60000 // an empty account fills by hand
#define SPENT_MOST_MS 3600000
#define GROUPS_MAX 12

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)
#define STORE(x, v) atomic_store_explicit(&(x), (v), memory_order_relaxed)

// ---- reading headers

enum what { WHAT_NONE, WHAT_LEFT, WHAT_RESET };

// One window under its name without the word for its role: "x-ratelimit-tokens-minute".
struct group {
    char name[64];
    bool tokens;
    int64_t left, reset_ms; // -1: not said
};

static bool name_has(const char *name, const char *word) {
    return strstr(name, word) != NULL;
}

// Lower case, at most what fits: names that are longer are none of ours.
static bool name_take(struct slice from, char to[64]) {
    if (from.n >= 64)
        return false;
    for (size_t i = 0; i < from.n; i++)
        to[i] = from.p[i] >= 'A' && from.p[i] <= 'Z' ? (char)(from.p[i] + 32) : from.p[i];
    to[from.n] = 0;
    return true;
}

static void word_remove(char *name, const char *word) {
    char *at = strstr(name, word);
    if (at)
        memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

static enum what what_of(char *name) {
    enum what r = name_has(name, "remaining") ? WHAT_LEFT : name_has(name, "reset") ? WHAT_RESET : WHAT_NONE;
    word_remove(name, r == WHAT_LEFT ? "remaining" : "reset");
    return r;
}

static struct group *group_of(struct group *v, size_t *n, const char *name) {
    for (size_t i = 0; i < *n; i++)
        if (strcmp(v[i].name, name) == 0)
            return &v[i];
    if (*n == GROUPS_MAX)
        return NULL;
    struct group *g = &v[(*n)++];
    *g = (struct group){.left = -1, .reset_ms = -1};
    memcpy(g->name, name, strlen(name) + 1);
    g->tokens = name_has(name, "tok") || name_has(name, "size");
    return g;
}

// From now: "7.66s", "11.38", "2025-01-01T00:00:00Z", seconds or milliseconds since 1970.
static int64_t reset_read(struct slice v, int64_t wall_us) {
    int64_t ms, us;
    uint64_t whole;
    struct slice rest = v;
    if (slice_u64(v, &whole) && whole >= 1000000000 && whole < UINT64_C(100000000000000)) {
        us = whole >= UINT64_C(1000000000000) ? (int64_t)whole * 1000 : (int64_t)whole * 1000000;
        return us > wall_us ? (us - wall_us) / 1000 : 0;
    }
    if (times_seconds(v, &ms))
        return ms;
    if (times_duration(&rest, &ms) && !rest.n)
        return ms;
    if (times_rfc3339(v, &us) || times_http_date(v, &us))
        return us > wall_us ? (us - wall_us) / 1000 : 0;
    return -1;
}

static void header_read(const struct header *h, int64_t wall_us, struct group *v, size_t *n) {
    char name[64];
    uint64_t left;
    if (!name_take(h->name, name) || !(name_has(name, "ratelimit") || name_has(name, "tokenlimit")))
        return;
    // LiteLLM passes on the headers of who stands behind it; Anthropic's output tokens are no matter of the request;
    // its "unified" ones are of subscriptions.
    if (name_has(name, "llm_provider") || name_has(name, "output") || name_has(name, "unified"))
        return;
    enum what what = what_of(name);
    struct group *g = what == WHAT_NONE ? NULL : group_of(v, n, name);
    if (!g)
        return;
    if (what == WHAT_RESET)
        g->reset_ms = reset_read(slice_trim(h->value), wall_us);
    else if (slice_u64(slice_trim(h->value), &left) && left <= INT64_MAX)
        g->left = (int64_t)left;
}

static void window_take(struct quota_window *w, const struct group *g) {
    if (g->left < 0 || (w->left >= 0 && w->left <= g->left))
        return;
    w->left = g->left;
    w->told = g->reset_ms >= 0;
    w->reset_ms = w->told ? g->reset_ms : USUAL_RESET_MS;
}

// RFC 9110 10.2.3: seconds or a date; retry-after-ms is Azure's and OpenAI's.
static int64_t retry_read(const struct headers *h, int64_t wall_us) {
    int64_t ms, us;
    uint64_t exact;
    if (slice_u64(headers_get(h, "retry-after-ms"), &exact))
        return exact < (uint64_t)TIMES_DAY_MS ? (int64_t)exact : TIMES_DAY_MS;
    struct slice v = headers_get(h, "retry-after");
    if (times_seconds(v, &ms))
        return ms;
    if (!times_http_date(v, &us))
        return -1;
    ms = us > wall_us ? (us - wall_us) / 1000 : 0;
    return ms < TIMES_DAY_MS ? ms : TIMES_DAY_MS;
}

void quota_read(const struct headers *h, int64_t wall_us, struct quota_said *ret) {
    struct group groups[GROUPS_MAX];
    size_t n = 0;
    *ret = (struct quota_said){.requests = {.left = -1}, .tokens = {.left = -1}, .retry_ms = retry_read(h, wall_us)};
    for (size_t i = 0; i < h->n; i++)
        header_read(&h->v[i], wall_us, groups, &n);
    for (size_t i = 0; i < n; i++)
        window_take(groups[i].tokens ? &ret->tokens : &ret->requests, &groups[i]);
}

// ---- what follows for a target

static void rest_until(_Atomic int64_t *at, int64_t until_ms) {
    int64_t before = LOAD(*at);
    while (until_ms > before &&
           !atomic_compare_exchange_weak_explicit(at, &before, until_ms, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void window_note(const struct target *t, struct window *w, const struct quota_window *said, uint64_t now_ms) {
    if (said->left < 0)
        return;
    int64_t until = (int64_t)now_ms + said->reset_ms;
    STORE(w->left, said->left);
    STORE(w->reset_ms, until);
    if (said->left == 0 && said->told)
        rest_until(&t->live->not_before_ms, until);
}

void target_heard(const struct target *t, const struct quota_said *q, uint64_t now_ms) {
    window_note(t, &t->live->requests_window, &q->requests, now_ms);
    window_note(t, &t->live->tokens_window, &q->tokens, now_ms);
}

static void window_count(struct window *w, int64_t n) {
    if (LOAD(w->reset_ms) > 0 && LOAD(w->left) >= 0 && n > 0)
        atomic_fetch_sub_explicit(&w->left, n, memory_order_relaxed); // below 0 is as good as 0 until the next answer
}

void target_sent(const struct target *t, int64_t tokens) {
    window_count(&t->live->requests_window, 1);
    window_count(&t->live->tokens_window, tokens);
}

static int64_t doubled(int64_t first, int64_t most, int times) {
    int64_t ms = first << (times < 16 ? times : 16);
    return ms < most ? ms : most;
}

static void wary(_Atomic int64_t *until, _Atomic int *in_row, int64_t first_ms, int64_t most_ms, uint64_t now_ms) {
    int times = atomic_fetch_add_explicit(in_row, 1, memory_order_relaxed);
    rest_until(until, (int64_t)now_ms + doubled(first_ms, most_ms, times));
}

void target_ended(const struct target *t, enum err e, int64_t retry_ms, uint64_t now_ms) {
    struct target_live *live = t->live;
    // Ollama's account in the cloud has nothing to do with its models here.
    bool whole_place = t->zone == t->endpoint->zone;
    if (e == ERR_OK) {
        STORE(live->limits_in_row, 0);
        STORE(live->wary_until_ms, 0);
        STORE(t->place->spent_in_row, 0);
        STORE(t->place->wary_until_ms, 0);
    } else if (retry_ms >= 0) {
        rest_until(&live->not_before_ms, (int64_t)now_ms + retry_ms);
    } else if (e == ERR_UP_RATE_LIMIT) {
        wary(&live->wary_until_ms, &live->limits_in_row, WARY_FIRST_MS, WARY_MOST_MS, now_ms);
    } else if (e == ERR_UP_QUOTA) {
        wary(whole_place ? &t->place->wary_until_ms : &live->wary_until_ms, &t->place->spent_in_row, SPENT_FIRST_MS,
             SPENT_MOST_MS, now_ms);
    }
}

int64_t target_rest_ms(const struct target *t, uint64_t now_ms) {
    int64_t until = LOAD(t->live->not_before_ms);
    return until > (int64_t)now_ms ? until - (int64_t)now_ms : 0;
}

static bool window_is_tight(struct window *w, int64_t need, uint64_t now_ms) {
    return LOAD(w->reset_ms) > (int64_t)now_ms && LOAD(w->left) < need;
}

bool target_is_tight(const struct target *t, int64_t tokens, uint64_t now_ms) {
    return LOAD(t->live->wary_until_ms) > (int64_t)now_ms || LOAD(t->place->wary_until_ms) > (int64_t)now_ms ||
           window_is_tight(&t->live->requests_window, 1, now_ms) ||
           window_is_tight(&t->live->tokens_window, tokens, now_ms);
}
