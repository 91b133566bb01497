// SPDX-License-Identifier: Apache-2.0
// Letters, deferred calls, timers and off-loop work.
#include "net/loop.h"
#include <pthread.h>
#include "base/limits.h"
#include "base/mem.h"
#include "unit.h"

struct bench {
    struct loop l;
    unsigned letters, deferred, offloaded, done, fired;
    bool in_order, closed;
    struct deferred d, again;
    struct timer t;
};

static struct bench *bench;

static void stop_now(void *arg) {
    loop_stop(arg);
}

static void letter(void *arg) {
    bench->in_order = bench->in_order && (uintptr_t)arg == bench->letters;
    if (++bench->letters == 3000)
        loop_stop(&bench->l);
}

static void *post_all(void *arg) {
    for (uintptr_t i = 0; i < 3000; i++)
        while (loop_post(arg, letter, (void *)i) != ERR_OK)
            continue;
    return NULL;
}

TEST(loop_letters_come_in_order) {
    struct bench b = {.in_order = true};
    pthread_t thread;
    bench = &b;
    CHECK_EQ(loop_init(&b.l, 3), ERR_OK);
    CHECK_EQ(b.l.index, 3);
    CHECK(pthread_create(&thread, NULL, post_all, &b.l) == 0);
    loop_run(&b.l);
    pthread_join(thread, NULL);
    CHECK_EQ(b.letters, 3000);
    CHECK(b.in_order);
    loop_done(&b.l);
}

static void count(void *arg) {
    ++*(unsigned *)arg;
}

TEST(loop_mailbox_has_a_limit) {
    struct loop l;
    unsigned n = 0;
    CHECK_EQ(loop_init(&l, 0), ERR_OK);
    for (unsigned i = 0; i < LIMIT_MAILBOX; i++)
        CHECK_EQ(loop_post(&l, count, &n), ERR_OK);
    CHECK_EQ(loop_post(&l, count, &n), ERR_LIMIT);
    loop_done(&l);
    CHECK_EQ(n, LIMIT_MAILBOX); // what was posted is delivered
}

static void deferred_again(struct deferred *d) {
    (void)d;
    bench->deferred += 10;
    loop_stop(&bench->l);
}

static void deferred_fn(struct deferred *d) {
    (void)d;
    bench->deferred++;
    loop_defer(&bench->l, &bench->again, deferred_again);
}

static void timer_fn(struct timer *t) {
    struct bench *b = t->arg;
    b->fired++;
    loop_defer(&b->l, &b->d, deferred_fn);
    CHECK_EQ(b->deferred, 0);
}

static void timer_gone(void *arg) {
    ((struct bench *)arg)->closed = true;
}

TEST(loop_defers_until_the_turn_ends) {
    struct bench b = {0};
    bench = &b;
    CHECK_EQ(loop_init(&b.l, 0), ERR_OK);
    timer_init(&b.t, &b.l, timer_fn, &b);
    timer_start(&b.t, 1);
    loop_run(&b.l);
    CHECK_EQ(b.fired, 1);
    CHECK_EQ(b.deferred, 11);
    timer_close(&b.t, timer_gone);
    loop_done(&b.l);
    CHECK(b.closed);
}

static void work(void *arg) {
    ((struct bench *)arg)->offloaded++;
}

static void worked(void *arg) {
    struct bench *b = arg;
    b->done++;
    loop_stop(&b->l);
}

TEST(loop_offloads) {
    struct bench b = {0};
    CHECK_EQ(loop_init(&b.l, 0), ERR_OK);
    CHECK_EQ(loop_offload(&b.l, work, worked, &b), ERR_OK);
    loop_run(&b.l);
    CHECK_EQ(b.offloaded, 1);
    CHECK_EQ(b.done, 1);
    mem_fail_at(1);
    enum err e = loop_offload(&b.l, work, worked, &b);
    enum err posted = loop_post(&b.l, stop_now, &b.l);
    mem_fail_at(0);
    CHECK_EQ(e, ERR_NO_MEMORY);
    CHECK_EQ(posted, ERR_NO_MEMORY);
    loop_done(&b.l);
}

TEST(loop_init_fails_whole) {
    struct loop l;
    for (unsigned long k = 1; k <= 2; k++) {
        mem_fail_at(k);
        enum err e = loop_init(&l, 0);
        mem_fail_at(0);
        CHECK_EQ(e, ERR_NO_MEMORY);
        loop_done(&l);
    }
}
