// SPDX-License-Identifier: Apache-2.0
// A target's habits. Loops note each answer with relaxed atomics and ask before the next one is sent; a note lost to a
// race changes nothing that matters, so there is neither lock nor retry. Maxima are forgotten slowly (one 64th of the
// difference per answer), so that one odd answer does not hold money for ever. Two covers of an answer are known, and the
// smaller one counts: its likely length plus what is under way while it is being stopped; or the longest one seen, with
// room that shrinks as more are known. An upstream that gives its whole answer at once leaves only the second.
#include "ir/habit.h"

#define UNKNOWN_OUTPUT_RATIO 512 // a token for two bytes: below the densest text in daily use (digits, CJK)
#define TOKENS_MOST (INT64_C(1) << 40)
#define PACE_TOKENS 16 // a shorter answer says nothing about speed,
#define RATIO_BYTES 16 // nor one this short about its bytes
#define LENGTHS_KEPT 4096
#define BURST_TIMES 2
#define OWN_PACE_US 100000 // after so long an answer's own pace tells more than others'

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static unsigned log2_of(int64_t v) {
    return v < 1 ? 0 : 63 - (unsigned)__builtin_clzll((unsigned long long)v);
}

static unsigned length_bucket(int64_t tokens) {
    if (tokens < 4)
        return tokens < 0 ? 0 : (unsigned)tokens;
    unsigned k = log2_of(tokens), quarter = (unsigned)(tokens >> (k - 2)) & 3;
    unsigned i = (k - 1) * 4 + quarter;
    return i < HABIT_LENGTHS ? i : HABIT_LENGTHS - 1;
}

// The largest length of a bucket.
static int64_t bucket_most(unsigned i) {
    if (i < 4)
        return i;
    unsigned k = i / 4 + 1, quarter = i % 4;
    return ((INT64_C(5) + quarter) << (k - 2)) - 1;
}

static unsigned size_bucket(int64_t bound) {
    unsigned k = log2_of(bound);
    return k < HABIT_SIZES ? k : HABIT_SIZES - 1;
}

static void raise64(_Atomic int64_t *at, int64_t v) {
    int64_t old = atomic_load_explicit(at, memory_order_relaxed);
    atomic_store_explicit(at, v >= old ? v : old - (old - v + 63) / 64, memory_order_relaxed);
}

static void raise32(_Atomic uint32_t *at, int64_t v) {
    int64_t old = atomic_load_explicit(at, memory_order_relaxed);
    v = least(v, UINT32_MAX);
    atomic_store_explicit(at, (uint32_t)(v >= old ? v : old - (old - v) / 64), memory_order_relaxed);
}

// ---- one answer's pace

#define PART_US (HABIT_HORIZON_US / (PACE_PARTS - 1))
#define MOMENT_US 1000

void pace_note(struct pace *p, int64_t now_us, int64_t bytes) {
    if (p->first_us == 0)
        p->first_us = p->part_us = now_us;
    p->last_us = now_us;
    if (now_us - p->first_us < MOMENT_US)
        p->first_bytes += bytes;
    for (int moved = 0; now_us - p->part_us >= PART_US; p->part_us += PART_US) {
        if (++moved > PACE_PARTS) { // a long silence: all are empty
            p->part_us = now_us;
            break;
        }
        for (int i = PACE_PARTS - 1; i > 0; i--)
            p->part[i] = p->part[i - 1];
        p->part[0] = 0;
    }
    p->part[0] += bytes;
    int64_t sum = 0;
    for (int i = 0; i < PACE_PARTS; i++)
        sum += p->part[i];
    p->peak = most(p->peak, sum);
}

// Bytes within a horizon: the most that was seen, and where the whole took less than two, what its speed would make of
// it. All in one moment is any speed.
static int64_t pace_bytes(const struct pace *p, int64_t bytes) {
    int64_t took = p->last_us - p->first_us;
    if (took >= 2 * HABIT_HORIZON_US)
        return p->peak;
    if (took < MOMENT_US)
        return bytes * (HABIT_HORIZON_US / MOMENT_US);
    return most(p->peak, (bytes - p->first_bytes) * HABIT_HORIZON_US / took);
}

// ---- learning

void habit_note_input(struct habit *h, int64_t bound, int64_t tokens) {
    if (bound <= 0 || tokens <= 0 || bound > TOKENS_MOST || tokens > bound * 8 + 8192)
        return; // no upstream adds so much of its own
    raise32(&h->input_ratio[size_bucket(bound)], tokens * 1024 / bound + 1);
}

static void lengths_forget(struct habit *h) {
    uint32_t n = 0;
    for (unsigned i = 0; i < HABIT_LENGTHS; i++) {
        uint32_t v = atomic_load_explicit(&h->length[i], memory_order_relaxed) / 2;
        atomic_store_explicit(&h->length[i], v, memory_order_relaxed);
        n += v;
    }
    atomic_store_explicit(&h->answers, n, memory_order_relaxed);
}

void habit_note_output(struct habit *h, int64_t tokens, int64_t bytes, const struct pace *p) {
    if (tokens <= 0 || tokens > TOKENS_MOST)
        return;
    atomic_fetch_add_explicit(&h->length[length_bucket(tokens)], 1, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&h->answers, 1, memory_order_relaxed) >= LENGTHS_KEPT)
        lengths_forget(h);
    raise64(&h->longest, tokens);
    if (bytes >= RATIO_BYTES)
        raise32(&h->output_ratio, tokens * 1024 / bytes + 1);
    if (p && p->first_us && tokens >= PACE_TOKENS && bytes > 0)
        raise64(&h->pace, least(pace_bytes(p, bytes), TOKENS_MOST / 4096) * tokens / bytes + 1);
}

void habit_note_burst(struct habit *h, const struct pace *p, int64_t bytes) {
    raise64(&h->pace, habit_tokens(h, pace_bytes(p, bytes)));
}

void habit_note_round_trip(struct habit *h, int64_t us) {
    if (us >= 0 && us < 10000000)
        raise64(&h->horizon_us, us + us / 2 + HABIT_NOTICE_US);
}

// ---- expecting

static int64_t input_with_room(const struct habit *h, int64_t bound, int64_t percent, int64_t more) {
    uint32_t ratio = atomic_load_explicit(&h->input_ratio[size_bucket(bound)], memory_order_relaxed);
    if (ratio == 0 || bound > TOKENS_MOST)
        return bound;
    int64_t likely = bound * ratio / 1024 * percent / 100 + more;
    return ratio > 1024 ? likely : least(bound, likely);
}

int64_t habit_input(const struct habit *h, int64_t bound) {
    return input_with_room(h, bound, 115, 16);
}

int64_t habit_input_seen(const struct habit *h, int64_t bound) {
    return input_with_room(h, bound, 100, 1);
}

int64_t habit_tokens(const struct habit *h, int64_t bytes) {
    uint32_t ratio = atomic_load_explicit(&h->output_ratio, memory_order_relaxed);
    if (bytes <= 0)
        return 0;
    return least(bytes, TOKENS_MOST) * (ratio ? ratio : UNKNOWN_OUTPUT_RATIO) / 1024 + 1;
}

bool habit_is_known(const struct habit *h) {
    return atomic_load_explicit(&h->answers, memory_order_relaxed) >= HABIT_LEAST;
}

int64_t habit_quantile(const struct habit *h, unsigned percent) {
    uint64_t all = 0, seen = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < HABIT_LENGTHS; i++) {
        uint32_t v = atomic_load_explicit(&h->length[i], memory_order_relaxed);
        all += v;
        last = v ? i : last;
    }
    for (unsigned i = 0; i < last; i++) {
        seen += atomic_load_explicit(&h->length[i], memory_order_relaxed);
        if (seen * 100 >= all * percent)
            return bucket_most(i);
    }
    return all ? bucket_most(last) : 0;
}

// Room above the longest seen; it shrinks as more are known.
static int64_t longest_cover(const struct habit *h) {
    uint32_t n = atomic_load_explicit(&h->answers, memory_order_relaxed);
    int64_t longest = atomic_load_explicit(&h->longest, memory_order_relaxed);
    return n < 16 ? longest * 4 : n < 64 ? longest * 2 : longest + longest / 2; // a half: bytes are counted too high
}

static int64_t flight_of(const struct habit *h, int64_t pace) {
    int64_t horizon = atomic_load_explicit(&h->horizon_us, memory_order_relaxed);
    if (pace <= 0)
        return TOKENS_MOST;
    return pace * (horizon ? horizon : HABIT_HORIZON_US) / HABIT_HORIZON_US * 5 / 4 + 4;
}

static int64_t flight_learned(const struct habit *h) {
    return flight_of(h, atomic_load_explicit(&h->pace, memory_order_relaxed));
}

int64_t habit_need(const struct habit *h, int64_t said, int64_t bound) {
    if (!habit_is_known(h))
        return bound;
    int64_t flight = flight_learned(h), cover = longest_cover(h);
    int64_t need = said + flight;
    if (said == 0)
        need += habit_quantile(h, HABIT_QUANTILE);
    if (said < cover) // until then the longest seen is a bound as well
        need = least(need, cover);
    return least(bound, most(need, 16));
}

bool habit_can_stop(const struct habit *h) {
    return flight_learned(h) < longest_cover(h);
}

bool habit_is_used_up(const struct habit *h, int64_t said, int64_t reserved) {
    return said + (habit_can_stop(h) ? flight_learned(h) : 0) > reserved;
}

bool habit_is_burst(const struct habit *h, int64_t bytes, int64_t us) {
    int64_t usual = atomic_load_explicit(&h->pace, memory_order_relaxed) * us / HABIT_HORIZON_US;
    return habit_tokens(h, bytes) > 2 * BURST_TIMES * usual + PACE_TOKENS / 2;
}

// Bytes are counted too high, and what the network held up comes at once.
bool habit_outran(const struct habit *h, const struct pace *p) {
    int64_t known = atomic_load_explicit(&h->pace, memory_order_relaxed);
    return known > 0 && habit_tokens(h, p->peak) > BURST_TIMES * known + PACE_TOKENS;
}

int64_t habit_flight(const struct habit *h, const struct pace *p, int64_t bytes) {
    int64_t learned = flight_learned(h);
    if (p->first_us == 0 || p->last_us - p->first_us < OWN_PACE_US)
        return learned;
    return least(learned, flight_of(h, habit_tokens(h, pace_bytes(p, bytes))));
}
