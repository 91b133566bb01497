// SPDX-License-Identifier: Apache-2.0
// Budgets under many threads, in their order, over period ends and clocks that go back.
#include "ledger/accounts.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "base/clock.h"
#include "base/mem.h"
#include "ledger/bid.h"
#include "unit.h"

#define USD PICOUSD_PER_USD
#define NOW INT64_C(1790000000) // 2026-09-21T13:33:20Z

static struct account *budget(struct accounts *a, enum scope scope, const char *key, enum config_window window,
                              const char *zone, int64_t limit) {
    struct payer *p = payer_get(a, scope, slice_str(key), SLICE_NONE);
    struct account *t = payer_account(p, window, zone, true);
    if (t) {
        account_set_limit(t, limit);
        account_begin(t, NOW, 0);
    }
    payer_unref(p);
    return t;
}

static struct purse purse_of(struct accounts *a, const char *key, const char *run) {
    struct purse p = {{payer_get(a, SCOPE_WHOLE, SLICE_NONE, SLICE_NONE)}};
    if (key)
        p.payers[SCOPE_KEY] = payer_get(a, SCOPE_KEY, slice_str(key), SLICE_NONE);
    if (run)
        p.payers[SCOPE_RUN] = payer_get(a, SCOPE_RUN, slice_str(key), slice_str(run));
    return p;
}

static int64_t settled_of(struct account *t, int64_t now) {
    return atomic_load(&account_period(t, now)->settled);
}

static int64_t used_of(struct account *t, int64_t now) {
    return atomic_load(&account_period(t, now)->used);
}

TEST(hold_takes_of_all_accounts_or_of_none) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0}, h2 = {.n = 0};
    CHECK(!accounts_new(&a));
    struct account *whole = budget(a, SCOPE_WHOLE, "", WINDOW_TOTAL, "", 10 * USD);
    struct account *key = budget(a, SCOPE_KEY, "k", WINDOW_TOTAL, "", 3 * USD);
    struct purse p = purse_of(a, "k", NULL);
    CHECK(purse_is_limited(&p));
    CHECK_EQ(hold_take(&h, &p, NOW, 2 * USD, NULL, false), HELD);
    CHECK_EQ(hold_take(&h2, &p, NOW, 2 * USD, NULL, false), HELD_BY_OTHERS);
    CHECK_EQ(used_of(whole, NOW), 2 * USD);
    hold_settle(&h, USD);
    CHECK_EQ(settled_of(whole, NOW), USD);
    CHECK_EQ(used_of(key, NOW), USD);
    CHECK_EQ(hold_take(&h2, &p, NOW, 2 * USD, NULL, false), HELD);
    CHECK(!hold_more(&h2, 1));
    CHECK_EQ(used_of(whole, NOW), 3 * USD);
    hold_settle(&h2, 2 * USD);
    hold_settle(&h2, 2 * USD); // once only
    CHECK_EQ(hold_take(&h, &p, NOW, 1, NULL, false), HELD_NOT);
    CHECK_EQ(used_of(whole, NOW), 3 * USD);
    struct room room = purse_room(&p, NOW);
    CHECK_EQ(room.left, 0);
    CHECK(room.least == key);
    purse_done(&p);
    accounts_free(a);
}

TEST(hold_costs_beyond_it_count_and_absurd_ones_do_not_wrap) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0};
    CHECK(!accounts_new(&a));
    struct account *t = budget(a, SCOPE_WHOLE, "", WINDOW_TOTAL, "", 5 * USD);
    struct purse p = purse_of(a, NULL, NULL);
    CHECK_EQ(hold_take(&h, &p, NOW, USD, NULL, false), HELD);
    hold_settle(&h, 7 * USD);
    CHECK_EQ(settled_of(t, NOW), 7 * USD);
    CHECK_EQ(used_of(t, NOW), 7 * USD);
    CHECK_EQ(purse_room(&p, NOW).left, 0);
    CHECK_EQ(hold_take(&h, &p, NOW, 0, NULL, false), HELD_NOT);
    CHECK_EQ(hold_take(&h, &p, NOW, -1, NULL, false), HELD_NOT);
    CHECK_EQ(hold_take(&h, &p, NOW, INT64_MAX, NULL, false), HELD_NOT);
    account_set_limit(t, INT64_MAX - 1);
    for (int i = 0; i < 10000; i++)
        if (hold_take(&h, &p, NOW, 1, NULL, false) == HELD)
            hold_settle(&h, INT64_MAX);
    CHECK(settled_of(t, NOW) > 0 && used_of(t, NOW) > 0);
    CHECK(purse_room(&p, NOW).left >= 0);
    purse_done(&p);
    accounts_free(a);
}

// ---- periods

TEST(account_renews_with_its_period_and_settles_in_the_one_it_was_taken_in) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0}, h2 = {.n = 0};
    CHECK(!accounts_new(&a));
    struct account *t = budget(a, SCOPE_KEY, "k", WINDOW_DAY, "UTC", USD);
    struct purse p = purse_of(a, "k", NULL);
    int64_t late = 1790035199, next = 1790035200; // 23:59:59 and midnight
    CHECK_EQ(hold_take(&h, &p, late, USD, NULL, false), HELD);
    CHECK_EQ(hold_take(&h2, &p, late, 1, NULL, false), HELD_BY_OTHERS);
    CHECK_EQ(hold_take(&h2, &p, next, USD, NULL, false), HELD);
    hold_settle(&h, USD / 2);
    CHECK_EQ(settled_of(t, next), 0);
    hold_settle(&h2, USD / 4);
    CHECK_EQ(settled_of(t, next), USD / 4);
    // back into the day before, its sums are there still
    CHECK_EQ(settled_of(t, late), USD / 2);
    CHECK_EQ(used_of(t, late), USD / 2);
    CHECK_EQ(settled_of(t, next), USD / 4);
    purse_done(&p);
    accounts_free(a);
}

// A past that this process has not seen is sealed until the ledger says what was spent in it.
TEST(account_is_sealed_in_a_period_that_it_does_not_know) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0};
    CHECK(!accounts_new(&a));
    struct account *t = budget(a, SCOPE_KEY, "k", WINDOW_MONTH, "UTC", USD);
    struct purse p = purse_of(a, "k", NULL);
    CHECK_EQ(hold_take(&h, &p, NOW, 0, NULL, false), HELD);
    int64_t june = NOW - 100 * 86400;
    CHECK_EQ(hold_take(&h, &p, june, 0, NULL, false), HELD_BY_OTHERS);
    account_begin(t, june, USD);
    CHECK_EQ(hold_take(&h, &p, june, 1, NULL, false), HELD_NOT);
    CHECK_EQ(hold_take(&h, &p, NOW, 1, NULL, false), HELD);
    purse_done(&p);
    accounts_free(a);
}

TEST(accounts_clock_stands_still_while_the_walls_is_behind) {
    struct accounts *a = NULL;
    CHECK(!accounts_new(&a));
    int64_t begin = accounts_now_s(a);
    clock_shift(-INT64_C(3600) * 1000000, 0);
    CHECK(accounts_now_s(a) >= begin);
    CHECK(accounts_now_s(a) <= begin + 5);
    clock_shift(-INT64_C(30) * 86400 * 1000000, 0);
    CHECK(accounts_now_s(a) < begin - 29 * 86400); // so far back is believed
    clock_shift(INT64_C(31) * 86400 * 1000000, 0);
    CHECK(accounts_now_s(a) > begin);
    accounts_free(a);
}

// The day's budget is spent; then the clock goes back over midnight, and it is still spent.
TEST(account_that_was_spent_stays_so_when_the_clock_goes_back) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0};
    CHECK(!accounts_new(&a));
    int64_t midnight = (clock_wall_s() / 86400 + 1) * 86400;
    clock_shift((midnight + 600 - clock_wall_s()) * 1000000, 0);
    (void)budget(a, SCOPE_KEY, "k", WINDOW_DAY, "UTC", USD);
    struct purse p = purse_of(a, "k", NULL);
    CHECK_EQ(hold_take(&h, &p, accounts_now_s(a), USD, NULL, false), HELD);
    hold_settle(&h, USD);
    clock_shift(-INT64_C(3600) * 1000000, 0);
    CHECK_EQ(hold_take(&h, &p, accounts_now_s(a), 1, NULL, false), HELD_NOT);
    clock_shift(INT64_C(25) * 3600 * 1000000, 0);
    CHECK_EQ(hold_take(&h, &p, accounts_now_s(a), 1, NULL, false), HELD);
    purse_done(&p);
    accounts_free(a);
}

// ---- runs

TEST(run_cap_only_falls) {
    struct accounts *a = NULL;
    CHECK(!accounts_new(&a));
    struct purse p = purse_of(a, "k", "r");
    struct payer *run = p.payers[SCOPE_RUN];
    CHECK(!purse_is_limited(&p));
    CHECK_EQ(run_cap_of(run), -1);
    run_cap(run, 2 * USD);
    run_cap(run, 5 * USD);
    CHECK_EQ(run_cap_of(run), 2 * USD);
    run_cap(run, USD);
    CHECK_EQ(run_cap_of(run), USD);
    CHECK(purse_is_limited(&p));
    struct purse other = purse_of(a, "k2", "r"); // the same name under another key is another run
    CHECK_EQ(run_cap_of(other.payers[SCOPE_RUN]), -1);
    purse_done(&p);
    purse_done(&other);
    accounts_free(a);
}

TEST(runs_are_bounded_and_those_with_a_cap_are_kept) {
    struct accounts *a = NULL;
    char name[32];
    unsigned refused = 0;
    CHECK(!accounts_new(&a));
    for (unsigned i = 0; i < LIMIT_RUNS + 4000; i++) {
        (void)snprintf(name, sizeof name, "run-%u", i);
        struct payer *p = payer_get(a, SCOPE_RUN, SLICE("k"), slice_str(name));
        refused += !p;
        if (p && i < 100)
            run_cap(p, USD);
        payer_unref(p);
    }
    CHECK(refused < 400); // only where all of a bucket are kept
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "run-%u", i);
        struct payer *p = payer_find(a, SCOPE_RUN, SLICE("k"), slice_str(name));
        CHECK(p && run_cap_of(p) == USD);
        payer_unref(p);
    }
    accounts_free(a);
}

// ---- waiting

struct bell {
    struct waiter w; // first
    unsigned rings;
};

static bool ring(struct waiter *w) {
    ((struct bell *)(void *)w)->rings++;
    return true;
}

TEST(queue_is_served_in_the_order_of_arrival) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0}, holds[3] = {{.n = 0}}, late = {.n = 0};
    struct bell bells[3] = {{.rings = 0}}, latecomer = {.w = {.poke = ring, .since_us = 99}};
    CHECK(!accounts_new(&a));
    (void)budget(a, SCOPE_KEY, "k", WINDOW_TOTAL, "", 3 * USD);
    struct purse p = purse_of(a, "k", NULL);
    CHECK_EQ(hold_take(&h, &p, NOW, 3 * USD, NULL, false), HELD);
    for (int i = 0; i < 3; i++) {
        bells[i].w = (struct waiter){.poke = ring, .since_us = (uint64_t)i + 1};
        CHECK_EQ(hold_take(&holds[i], &p, NOW, USD, &bells[i].w, true), HELD_BY_OTHERS);
    }
    hold_settle(&h, 0);
    CHECK_EQ(bells[0].rings, 1);
    CHECK_EQ(bells[1].rings, 0);
    // there is room for all, but nobody goes before the first
    CHECK_EQ(hold_take(&late, &p, NOW, USD, &latecomer.w, false), HELD_BY_OTHERS);
    CHECK_EQ(hold_take(&holds[1], &p, NOW, USD, &bells[1].w, true), HELD_BY_OTHERS);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(bells[i].rings, 1);
        waiter_read(&bells[i].w);
        CHECK_EQ(hold_take(&holds[i], &p, NOW, USD, &bells[i].w, true), HELD);
        CHECK(!bells[i].w.at);
    }
    CHECK_EQ(hold_take(&late, &p, NOW, USD, &latecomer.w, false), HELD_BY_OTHERS);
    CHECK(!latecomer.w.at);
    purse_done(&p);
    accounts_free(a);
}

TEST(queue_passes_the_bell_on_when_its_first_gives_up) {
    struct accounts *a = NULL;
    struct hold h = {.n = 0}, h1 = {.n = 0}, h2 = {.n = 0};
    struct bell one = {.w = {.poke = ring, .since_us = 1}}, two = {.w = {.poke = ring, .since_us = 2}};
    CHECK(!accounts_new(&a));
    (void)budget(a, SCOPE_KEY, "k", WINDOW_TOTAL, "", 2 * USD);
    struct purse p = purse_of(a, "k", NULL);
    CHECK_EQ(hold_take(&h, &p, NOW, USD, NULL, false), HELD);
    CHECK_EQ(hold_take(&h1, &p, NOW, 2 * USD, &one.w, true), HELD_BY_OTHERS);
    CHECK_EQ(hold_take(&h2, &p, NOW, USD, &two.w, true), HELD_BY_OTHERS); // it would fit, but it is not its turn
    CHECK(!waiter_leave(&one.w));
    CHECK_EQ(two.rings, 1);
    CHECK(waiter_leave(&two.w)); // its letter is still under way
    purse_done(&p);
    accounts_free(a);
}

// ---- many threads

#define THREADS 8
#define ROUNDS 4000

struct worker_of_test {
    struct waiter w; // first
    struct accounts *a;
    pthread_mutex_t lock;
    pthread_cond_t bell;
    unsigned rings;
    unsigned seed;
    int64_t settled, waits, refused;
    bool give_up;
    char key[8];
};

static bool wake_worker(struct waiter *w) {
    struct worker_of_test *k = (struct worker_of_test *)(void *)w;
    (void)pthread_mutex_lock(&k->lock);
    k->rings++;
    (void)pthread_cond_signal(&k->bell);
    (void)pthread_mutex_unlock(&k->lock);
    return true;
}

static unsigned roll(struct worker_of_test *k, unsigned most) {
    return (unsigned)rand_r(&k->seed) % most;
}

static bool bell_wait(struct worker_of_test *k) {
    struct timespec until;
    int e = 0;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    (void)pthread_mutex_lock(&k->lock);
    while (k->rings == 0 && !e)
        e = pthread_cond_timedwait(&k->bell, &k->lock, &until);
    k->rings = 0;
    (void)pthread_mutex_unlock(&k->lock);
    waiter_read(&k->w);
    return !e;
}

static void round_of(struct worker_of_test *k, const struct purse *p) {
    struct hold h = {.n = 0};
    int64_t want = roll(k, 1000) * (USD / 1000);
    k->w.since_us = clock_mono_us();
    enum held r;
    while ((r = hold_take(&h, p, NOW, want, &k->w, true)) == HELD_BY_OTHERS) {
        k->waits++;
        if (!bell_wait(k)) {
            k->give_up = true; // a wake-up was lost
            (void)waiter_leave(&k->w);
            return;
        }
    }
    (void)waiter_leave(&k->w);
    if (r == HELD_NOT) {
        k->refused++;
        return;
    }
    if (roll(k, 4) == 0 && hold_more(&h, USD / 100))
        want += USD / 100;
    if (roll(k, 3) == 0)
        sched_yield();
    int64_t cost = roll(k, 5) == 0 ? 0 : want * (int64_t)roll(k, 100) / 1000;
    hold_settle(&h, cost);
    k->settled += cost;
}

static void *worker_run(void *arg) {
    struct worker_of_test *k = arg;
    for (int i = 0; i < ROUNDS && !k->give_up; i++) {
        struct purse p = purse_of(k->a, k->key, roll(k, 2) ? "run" : NULL);
        round_of(k, &p);
        purse_done(&p);
    }
    return NULL;
}

struct watch {
    struct account *accounts[4];
    _Atomic bool stop;
    uint64_t looks;
    bool above;
};

static void *watch_run(void *arg) {
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        for (int i = 0; i < 4; i++) {
            struct account *t = w->accounts[i];
            w->above |= used_of(t, NOW) > atomic_load(&t->limit);
        }
        w->looks++;
    }
    return NULL;
}

TEST(hold_never_exceeds_a_limit_under_many_threads) {
    struct worker_of_test k[THREADS];
    pthread_t threads[THREADS], watcher;
    struct accounts *a = NULL;
    CHECK(!accounts_new(&a));
    struct watch w = {.accounts = {budget(a, SCOPE_WHOLE, "", WINDOW_TOTAL, "", 600 * USD),
                                   budget(a, SCOPE_WHOLE, "", WINDOW_DAY, "UTC", 4 * USD + 800 * USD),
                                   budget(a, SCOPE_KEY, "k0", WINDOW_TOTAL, "", 400 * USD),
                                   budget(a, SCOPE_KEY, "k1", WINDOW_TOTAL, "", 2 * USD)}};
    CHECK(!pthread_create(&watcher, NULL, watch_run, &w));
    for (unsigned i = 0; i < THREADS; i++) {
        k[i] = (struct worker_of_test){.w = {.poke = wake_worker}, .a = a, .seed = i + 1};
        (void)snprintf(k[i].key, sizeof k[i].key, "k%u", i % 2);
        (void)pthread_mutex_init(&k[i].lock, NULL);
        (void)pthread_cond_init(&k[i].bell, NULL);
        CHECK(!pthread_create(&threads[i], NULL, worker_run, &k[i]));
    }
    int64_t settled = 0, waits = 0, refused = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        CHECK(!k[i].give_up);
        settled += k[i].settled, waits += k[i].waits, refused += k[i].refused;
    }
    atomic_store(&w.stop, true);
    (void)pthread_join(watcher, NULL);
    CHECK(!w.above);
    CHECK(w.looks > 100);
    CHECK(waits > 100);
    CHECK(refused > 100);
    CHECK_EQ(used_of(w.accounts[0], NOW), settled); // nothing is open
    CHECK_EQ(settled_of(w.accounts[0], NOW), settled);
    CHECK_EQ(settled_of(w.accounts[1], NOW), settled);
    CHECK_EQ(settled_of(w.accounts[2], NOW) + settled_of(w.accounts[3], NOW), settled);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(atomic_load(&w.accounts[i]->n_waiting), 0);
    CHECK(settled_of(w.accounts[3], NOW) > USD);
    accounts_free(a);
}

// ---- memory

TEST(accounts_survive_every_failed_allocation) {
    for (unsigned long k = 1; k < 40; k++) {
        struct accounts *a = NULL;
        mem_fail_at(k);
        if (!accounts_new(&a)) {
            struct payer *key = payer_get(a, SCOPE_KEY, SLICE("k"), SLICE_NONE);
            struct account *t = key ? payer_account(key, WINDOW_DAY, "UTC", true) : NULL;
            if (t)
                account_begin(t, NOW, 5);
            payer_unref(key);
            struct purse p = {{NULL}};
            p.payers[SCOPE_KEY] = payer_find(a, SCOPE_KEY, SLICE("k"), SLICE_NONE);
            p.payers[SCOPE_RUN] = payer_get(a, SCOPE_RUN, SLICE("k"), SLICE("r"));
            struct hold h = {.n = 0};
            if (hold_take(&h, &p, NOW + 86400, 1, NULL, false) == HELD)
                hold_settle(&h, 1);
            mem_fail_at(0);
            purse_done(&p);
        }
        mem_fail_at(0);
        accounts_free(a);
    }
}

// ---- bids

static struct price price_of_test = {
    .input = 250000000, .output = 1000000000, .cache_read = -1, .cache_write = -1}; // 250 and 1,000 USD a million

static struct bid_terms terms_of(const struct habit *h, int64_t input, int64_t want) {
    return (struct bid_terms){&price_of_test, h, input, want, 1};
}

static void teach_at(struct habit *h, int64_t tokens, int n, int64_t every_us) {
    for (int i = 0; i < n; i++) {
        struct pace p = {0};
        for (int64_t k = 0; k < tokens; k++)
            pace_note(&p, 1000000 + k * every_us, 4);
        habit_note_output(h, tokens, tokens * 4, &p);
    }
}

static void teach(struct habit *h, int64_t tokens, int n) {
    teach_at(h, tokens, n, 20000);
}

TEST(bid_holds_the_worst_case_while_it_fits) {
    struct habit h = {0};
    struct bid_terms t = terms_of(&h, 100, 500);
    struct bid b = bid_whole(&t);
    CHECK_EQ(b.bound, 500);
    CHECK_EQ(b.reserved, 500);
    CHECK_EQ(b.picousd, 100 * INT64_C(250000000) + 500 * INT64_C(1000000000));
    t.want = INT64_MAX / 2;
    CHECK_EQ(bid_whole(&t).picousd, MONEY_MOST);
}

TEST(bid_of_what_may_be_above_a_tier_pays_the_tiers_price) {
    struct habit h = {0};
    struct bid_terms t = terms_of(&h, 100, 500);
    struct price p = price_of_test;
    p.tier_tokens = 100;
    p.tier_input = 2 * p.input;
    p.tier_output = 3 * p.output;
    p.tier_cache_read = p.tier_cache_write = -1;
    t.price = &p;
    CHECK_EQ(bid_whole(&t).picousd, 100 * p.input + 500 * p.output);
    t.input_bound = 101;
    CHECK_EQ(bid_whole(&t).picousd, 101 * 2 * p.input + 500 * 3 * p.output);
    CHECK_EQ(bid_output_cost(&t, 7), 7 * 3 * p.output);
    struct bid b;
    teach(&h, 40, 100);
    CHECK(bid_cut(&t, USD, 0, &b));
    CHECK(b.bound < (USD - 101 * 2 * p.input) / p.output && b.picousd <= USD);
}

TEST(bid_is_cut_to_what_is_left) {
    struct habit h = {0};
    struct bid_terms t = terms_of(&h, 100, 4096);
    struct bid b;
    CHECK(bid_cut(&t, 2 * USD, 0, &b)); // unknown: an eighth, all of it held
    CHECK_EQ(b.bound, (2000 - 25) / 8);
    CHECK_EQ(b.reserved, b.bound);
    teach(&h, 40, 100);
    CHECK(bid_cut(&t, 2 * USD, 2 * USD, &b)); // known: all that is free over the wire, of it held what answers need
    CHECK_EQ(b.bound, 1975);
    CHECK_EQ(b.reserved, 60);
    CHECK(b.picousd <= 2 * USD);
    CHECK(bid_cut(&t, 2 * USD, USD, &b)); // what others hold could not pay a burst
    CHECK(b.bound == 975 && b.reserved == 60);
    CHECK(bid_cut(&t, 2 * USD, 0, &b)); // but answers somewhat longer than usual are not cut for it
    CHECK(b.bound == 240 && b.reserved == 60);
    CHECK(bid_cut(&t, 45 * (USD / 1000), 0, &b));
    CHECK_EQ(b.bound, 20);
    CHECK_EQ(b.reserved, 20);
    CHECK(!bid_cut(&t, 40 * (USD / 1000), 0, &b)); // fifteen tokens are no answer
    CHECK_EQ(b.picousd, 41 * (USD / 1000));
    t.want = 5; // but one who wants no more gets it
    CHECK(bid_cut(&t, 40 * (USD / 1000), 0, &b));
    CHECK_EQ(b.bound, 5);
    CHECK(!bid_cut(&t, 0, 0, &b));
}

// Nobody ends in time what comes all at once: only what is held may go over the wire.
TEST(bid_for_answers_at_once_is_held_whole) {
    struct habit h = {0};
    struct bid_terms t = terms_of(&h, 0, 4096);
    struct bid b;
    teach_at(&h, 40, 100, 0);
    CHECK(!habit_can_stop(&h));
    CHECK(bid_cut(&t, 2 * USD, 2 * USD, &b)); // some times the longest that were seen
    CHECK(b.bound == 240 && b.reserved == 240);
    CHECK(bid_cut(&t, 2 * USD, USD / 2, &b)); // a quarter of what is free
    CHECK(b.bound == 125 && b.reserved == 125);
    CHECK(bid_cut(&t, 2 * USD, USD / 100, &b)); // but no less than the longest that were seen
    CHECK(b.bound == 60 && b.reserved == 60);
    CHECK(bid_cut(&t, 50 * (USD / 1000), 0, &b)); // nor more than is left
    CHECK(b.bound == 50 && b.reserved == 50);
    CHECK(!bid_cut(&t, 15 * (USD / 1000), 0, &b));
    t.choices = 3;
    CHECK(bid_cut(&t, 2 * USD, 2 * USD, &b));
    CHECK(b.bound == 240 && b.reserved == 240);
    CHECK(bid_cut(&t, 2 * USD, USD / 2, &b));
    CHECK(b.bound == 123 && b.picousd == 123 * (USD / 1000));
}

TEST(bid_counts_every_choice) {
    struct habit h = {0};
    struct bid_terms t = terms_of(&h, 0, 300);
    struct bid b;
    t.choices = 3;
    teach(&h, 40, 100);
    CHECK(bid_cut(&t, 100 * (USD / 1000), 0, &b));
    CHECK_EQ(b.bound, 99);
    CHECK(!bid_cut(&t, 47 * (USD / 1000), 0, &b));
}

TEST(bid_of_a_free_target_needs_nothing) {
    struct habit h = {0};
    struct price none = PRICE_FREE;
    struct bid_terms t = terms_of(&h, 100, 4096);
    struct bid b;
    t.price = &none;
    CHECK_EQ(bid_whole(&t).picousd, 0);
    CHECK(bid_cut(&t, 0, 0, &b) || h.answers == 0);
}

TEST(bid_is_raised_step_by_step_and_refused_at_the_end) {
    struct accounts *a = NULL;
    struct habit h = {0};
    struct hold hold = {.n = 0};
    struct room room;
    CHECK(!accounts_new(&a));
    (void)budget(a, SCOPE_KEY, "k", WINDOW_TOTAL, "", 2 * USD);
    struct purse p = purse_of(a, "k", NULL);
    struct bid_terms t = terms_of(&h, 0, 100000);
    struct bid b;
    teach(&h, 40, 100);
    CHECK_EQ(bid_place(&t, &p, NOW, NULL, false, &hold, &b, &room), HELD);
    CHECK_EQ(b.reserved, 60);
    int raises = 0;
    for (int64_t said = 1; said <= b.bound; said++) {
        int64_t want = bid_next(&t, &b, said);
        if (want > b.reserved && !bid_raise(&t, &hold, &b, want))
            break;
        CHECK(said <= b.reserved);
        raises += want > 60;
    }
    CHECK_EQ(b.reserved, 2000);
    CHECK_EQ(b.picousd, 2 * USD);
    CHECK(raises > 0);
    hold_settle(&hold, b.picousd);
    CHECK_EQ(bid_place(&t, &p, NOW, NULL, false, &hold, &b, &room), HELD_NOT);
    CHECK_EQ(room.left, 0);
    purse_done(&p);
    accounts_free(a);
}
