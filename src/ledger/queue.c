// SPDX-License-Identifier: Apache-2.0
// Those who wait for money that others hold: one queue per account, in the order of arrival, under the account's lock. Who
// needs money of several accounts stands in the queue of the one that refused; nobody is held up by one who came later,
// in whatever queue, so there is always one (the oldest) who only waits for money, and no circle of queues.
// Only the first is ever poked, and it stays first until it has what it needs, gives up, or must wait elsewhere; whoever
// leaves the head pokes the next. No wake-up is lost: who joins tries once more afterwards, and who gives money back looks
// at the queue afterwards (both orders are sequentially consistent, so one of the two sees the other).
#include "ledger/accounts_own.h"

// Under the lock.
static void poke_first(struct account *t) {
    struct waiter *w = t->first;
    if (w && !w->poked)
        w->poked = w->poke(w);
}

void queue_wake(struct account *t) {
    if (atomic_load(&t->n_waiting) == 0)
        return;
    (void)pthread_mutex_lock(&t->lock);
    poke_first(t);
    (void)pthread_mutex_unlock(&t->lock);
}

bool queue_is_before(struct account *t, const struct waiter *w) {
    if (atomic_load(&t->n_waiting) == 0 || !w)
        return false;
    (void)pthread_mutex_lock(&t->lock);
    bool before = t->first && t->first != w && t->first->since_us <= w->since_us;
    (void)pthread_mutex_unlock(&t->lock);
    return before;
}

static void unlink_here(struct account *t, struct waiter *w) {
    bool was_first = t->first == w;
    *(w->prev ? &w->prev->next : &t->first) = w->next;
    *(w->next ? &w->next->prev : &t->last) = w->prev;
    w->next = w->prev = NULL;
    w->at = NULL;
    atomic_fetch_sub(&t->n_waiting, 1);
    if (was_first)
        poke_first(t);
}

static void link_here(struct account *t, struct waiter *w) {
    struct waiter *before = t->last;
    while (before && before->since_us > w->since_us)
        before = before->prev;
    w->prev = before;
    w->next = before ? before->next : t->first;
    *(before ? &before->next : &t->first) = w;
    *(w->next ? &w->next->prev : &t->last) = w;
    w->at = t;
    atomic_fetch_add(&t->n_waiting, 1);
}

void queue_join(struct account *t, struct waiter *w, bool *ret_first) {
    if (w->at && w->at != t)
        (void)waiter_leave(w); // a letter that is under way from there is still counted in w->poked
    (void)pthread_mutex_lock(&t->lock);
    if (!w->at)
        link_here(t, w);
    *ret_first = t->first == w;
    (void)pthread_mutex_unlock(&t->lock);
}

bool waiter_leave(struct waiter *w) {
    struct account *t = w->at;
    if (!t)
        return w->poked;
    (void)pthread_mutex_lock(&t->lock);
    unlink_here(t, w);
    bool poked = w->poked;
    (void)pthread_mutex_unlock(&t->lock);
    return poked;
}

void waiter_read(struct waiter *w) {
    struct account *t = w->at;
    if (!t) {
        w->poked = false;
        return;
    }
    (void)pthread_mutex_lock(&t->lock);
    w->poked = false;
    (void)pthread_mutex_unlock(&t->lock);
}
