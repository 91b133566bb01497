// SPDX-License-Identifier: Apache-2.0
// One libuv loop with what every room needs of it: letters from other threads, frees after the turn, timers, work off
// the loop, and one read buffer that all its sockets share.
//
// loop_post and loop_stop are all that another thread may call; the mailbox's mutex is the only lock. Letters are heap
// nodes: the poster allocates, the loop frees. Deferred nodes are embedded in the objects that wait.
// Nothing here blocks except loop_run, and nothing logs.
#include "net/loop.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"

#define POOL_NICE 10

struct letter {
    struct letter *next;
    void (*fn)(void *arg);
    void *arg;
};

struct mailbox {
    pthread_mutex_t lock;
    struct letter *first, **last;
    size_t n;
    bool stop; // a flag and not a letter: stopping must not fail for want of memory
};

// ---- how long events take

const uint64_t stall_bounds_us[STALL_BUCKETS] = {100, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

// One thread writes, so no addition needs to be atomic.
static void stall_add(_Atomic uint64_t *to, uint64_t n) {
    atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + n, memory_order_relaxed);
}

static void event_end(struct loop *l, uint64_t now_us) {
    if (!l->event_us)
        return;
    uint64_t us = now_us - l->event_us;
    size_t i = 0;
    while (i < STALL_BUCKETS && us > stall_bounds_us[i])
        i++;
    stall_add(&l->stalls.bucket[i], 1);
    stall_add(&l->stalls.sum_us, us);
    if (us > atomic_load_explicit(&l->stalls.longest_us, memory_order_relaxed))
        atomic_store_explicit(&l->stalls.longest_us, us, memory_order_relaxed);
    l->event_us = 0;
}

void loop_tick(struct loop *l, const void *of) {
    uint64_t now_us = clock_mono_us();
    l->now_ms = now_us / 1000;
    if (l->event_us && of && of == l->event_of)
        return;
    event_end(l, now_us);
    l->event_us = now_us;
    l->event_of = of;
}

// The poll comes, which may wait.
static void on_prepare(uv_prepare_t *h) {
    event_end(h->data, clock_mono_us());
}

// ---- a turn

static void deferred_run(struct loop *l) {
    struct deferred *d = l->later; // newest first: turn the list round, so that order is kept
    struct deferred *ordered = NULL;
    l->later = NULL;
    while (d) {
        struct deferred *next = d->next;
        d->next = ordered;
        ordered = d;
        d = next;
    }
    while (ordered) {
        struct deferred *next = ordered->next;
        loop_tick(l, NULL);
        ordered->fn(ordered);
        ordered = next;
    }
    if (!l->later)
        (void)uv_idle_stop(&l->idle_);
}

static void on_check(uv_check_t *h) {
    struct loop *l = h->data;
    loop_tick(l, NULL);
    if (l->later)
        deferred_run(l);
}

static void on_idle(uv_idle_t *h) {
    (void)h; // only keeps the poll from waiting while frees are due
}

static struct letter *letters_take(struct mailbox *m, bool *ret_stop) {
    (void)pthread_mutex_lock(&m->lock);
    struct letter *first = m->first;
    m->first = NULL;
    m->last = &m->first;
    m->n = 0;
    *ret_stop = m->stop;
    m->stop = false;
    (void)pthread_mutex_unlock(&m->lock);
    return first;
}

static void letters_deliver(struct loop *l) {
    bool stop;
    for (struct letter *letter = letters_take(l->mail, &stop); letter;) {
        struct letter *next = letter->next;
        loop_tick(l, NULL);
        letter->fn(letter->arg);
        mem_free(letter);
        letter = next;
    }
    if (stop)
        uv_stop(&l->uv);
}

static void on_async(uv_async_t *h) {
    struct loop *l = h->data;
    loop_tick(l, NULL);
    letters_deliver(l);
}

enum err loop_init(struct loop *l, unsigned index) {
    *l = (struct loop){.index = index};
    (void)signal(SIGPIPE, SIG_IGN);
    l->mail = mem_zalloc(sizeof *l->mail);
    l->read_buf = mem_alloc(LOOP_READ_BYTES);
    if (!l->mail || !l->read_buf || uv_loop_init(&l->uv) != 0) {
        mem_free(l->mail);
        mem_free(l->read_buf);
        *l = (struct loop){0};
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&l->mail->lock, NULL);
    l->mail->last = &l->mail->first;
    (void)uv_async_init(&l->uv, &l->async_, on_async);
    (void)uv_prepare_init(&l->uv, &l->prepare_);
    (void)uv_check_init(&l->uv, &l->check_);
    (void)uv_idle_init(&l->uv, &l->idle_);
    l->uv.data = l->async_.data = l->prepare_.data = l->check_.data = l->idle_.data = l;
    (void)uv_prepare_start(&l->prepare_, on_prepare);
    (void)uv_check_start(&l->check_, on_check);
    uv_unref((uv_handle_t *)&l->prepare_);
    uv_unref((uv_handle_t *)&l->check_);
    l->now_ms = clock_mono_ms();
    return ERR_OK;
}

void loop_run(struct loop *l) {
    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l) {
    (void)pthread_mutex_lock(&l->mail->lock);
    l->mail->stop = true;
    (void)pthread_mutex_unlock(&l->mail->lock);
    (void)uv_async_send(&l->async_);
}

void loop_done(struct loop *l) {
    if (!l->mail)
        return;
    letters_deliver(l);
    // What is deferred runs in the check phase, while our own handles are open.
    while (l->later)
        (void)uv_run(&l->uv, UV_RUN_NOWAIT);
    uv_close((uv_handle_t *)&l->async_, NULL);
    while (uv_loop_alive(&l->uv))
        (void)uv_run(&l->uv, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&l->idle_, NULL);
    uv_close((uv_handle_t *)&l->prepare_, NULL);
    uv_close((uv_handle_t *)&l->check_, NULL);
    while (uv_loop_close(&l->uv) == UV_EBUSY)
        (void)uv_run(&l->uv, UV_RUN_ONCE);
    (void)pthread_mutex_destroy(&l->mail->lock);
    mem_free(l->mail);
    mem_free(l->read_buf);
    *l = (struct loop){0};
}

enum err loop_post(struct loop *l, void (*fn)(void *arg), void *arg) {
    struct letter *letter = mem_alloc(sizeof *letter);
    if (!letter)
        return ERR_NO_MEMORY;
    *letter = (struct letter){NULL, fn, arg};
    (void)pthread_mutex_lock(&l->mail->lock);
    bool full = l->mail->n >= LIMIT_MAILBOX;
    bool was_empty = !l->mail->first;
    if (!full) {
        *l->mail->last = letter;
        l->mail->last = &letter->next;
        l->mail->n++;
    }
    (void)pthread_mutex_unlock(&l->mail->lock);
    if (full) {
        mem_free(letter);
        return ERR_LIMIT;
    }
    if (was_empty)
        (void)uv_async_send(&l->async_);
    return ERR_OK;
}

void loop_defer(struct loop *l, struct deferred *d, void (*fn)(struct deferred *)) {
    *d = (struct deferred){l->later, fn};
    l->later = d;
    if (!uv_is_active((uv_handle_t *)&l->idle_))
        (void)uv_idle_start(&l->idle_, on_idle);
}

// ---- timers

static void on_timer(uv_timer_t *h) {
    struct timer *t = h->data;
    loop_tick(h->loop->data, NULL);
    t->fn(t);
}

void timer_init(struct timer *t, struct loop *l, void (*fn)(struct timer *), void *arg) {
    *t = (struct timer){.fn = fn, .arg = arg, .ready_ = true};
    (void)uv_timer_init(&l->uv, &t->uv);
    t->uv.data = t;
}

void timer_start(struct timer *t, uint64_t after_ms) {
    (void)uv_timer_start(&t->uv, on_timer, after_ms, 0);
}

void timer_stop(struct timer *t) {
    if (t->ready_)
        (void)uv_timer_stop(&t->uv);
}

static void on_timer_closed(uv_handle_t *h) {
    struct timer *t = h->data;
    if (t->closed_)
        t->closed_(t->arg);
}

void timer_close(struct timer *t, void (*closed)(void *arg)) {
    t->closed_ = closed;
    t->ready_ = false;
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}

// ---- off the loop

struct offload {
    uv_work_t uv;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

// Where cores are few the pool's threads give way to the loops: the kernel would let them run for milliseconds.
static void give_way(void) {
    static _Thread_local bool done;
    if (!done)
        (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + POOL_NICE); // Linux: of this thread
    done = true;
}

static void offload_work(uv_work_t *w) {
    struct offload *o = w->data;
    give_way();
    o->work(o->arg);
}

static void offload_done(uv_work_t *w, int status) {
    struct offload *o = w->data;
    (void)status;
    loop_tick(w->loop->data, NULL);
    o->done(o->arg);
    mem_free(o);
}

enum err loop_offload(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg) {
    struct offload *o = mem_alloc(sizeof *o);
    if (!o)
        return ERR_NO_MEMORY;
    *o = (struct offload){.work = work, .done = done, .arg = arg};
    o->uv.data = o;
    if (uv_queue_work(&l->uv, &o->uv, offload_work, offload_done) == 0)
        return ERR_OK;
    mem_free(o);
    return ERR_LIMIT;
}
