// SPDX-License-Identifier: Apache-2.0
#ifndef NET_LOOP_H
#define NET_LOOP_H
// One event loop, its mailbox, its deferred frees and its off-loop work. One thread runs it.
#include <stdatomic.h>
#include <uv.h>
#include "base/err.h"
#include "base/slice.h"

// How long one event kept its loop from the next: a read, a write, a timer, a letter, a deferred call. Written by the
// loop's own thread only.
#define STALL_BUCKETS 9
struct stalls {
    _Atomic uint64_t bucket[STALL_BUCKETS + 1]; // the last is +Inf; not cumulative here
    _Atomic uint64_t sum_us, longest_us;
};
extern const uint64_t stall_bounds_us[STALL_BUCKETS];

struct loop {
    uv_loop_t uv;
    unsigned index;         // 0 … N-1
    struct mailbox *mail;   // letters from other threads
    struct deferred *later; // freed after this turn
    char *read_buf;         // 64 KiB that every socket of this loop reads into; what is kept is copied
    uint64_t now_ms;        // clock_mono_ms at the start of the running event
    uint64_t event_us;      // when that was, more exactly; 0: the loop waits
    const void *event_of;   // whose it is
    struct stalls stalls;
    uv_prepare_t prepare_;
    uv_check_t check_;
    uv_async_t async_;
    uv_idle_t idle_;
};
#define LOOP_READ_BYTES 65536

// An event begins, and what ran before it is over. For callbacks that start work (a read, a timer), since libuv has no hook
// right after its poll. Callbacks in a row for the same thing are one event (libuv reads a socket up to 32 times); NULL is
// never the same.
void loop_tick(struct loop *l, const void *of);

// Also has the process ignore SIGPIPE: a peer that is gone must be an error of write(2), not a signal.
MUST_CHECK enum err loop_init(struct loop *l, unsigned index);
// Runs until loop_stop. Call from the thread that owns it.
void loop_run(struct loop *l);
// Any thread.
void loop_stop(struct loop *l);
// After loop_run returned and all handles are closed, or are closing: it turns the loop until they are gone.
void loop_done(struct loop *l);

// Runs fn(arg) on the loop's thread, in the order of posting. Any thread. ERR_LIMIT when LIMIT_MAILBOX letters wait,
// ERR_NO_MEMORY.
MUST_CHECK enum err loop_post(struct loop *l, void (*fn)(void *arg), void *arg);
// Runs fn(d) after the current turn's callbacks; what is deferred meanwhile waits for the next turn. This is how an object is freed that stands on the stack.
// Own thread. Never fails (the node is embedded in the object).
struct deferred {
    struct deferred *next;
    void (*fn)(struct deferred *);
};
void loop_defer(struct loop *l, struct deferred *d, void (*fn)(struct deferred *));

// A one-shot timer, embedded. Own thread. Coarse (ms). Kept in a heap of the loop: no system call to arm it.
struct timer {
    uv_timer_t uv;
    void (*fn)(struct timer *);
    void *arg;
    void (*closed_)(void *arg);
    bool ready_; // uv handle is initialised
};
void timer_init(struct timer *t, struct loop *l, void (*fn)(struct timer *), void *arg);
void timer_start(struct timer *t, uint64_t after_ms);
void timer_stop(struct timer *t);
// Closes it; closed(arg) is called later, then the memory may go. closed may be NULL if the loop outlives it.
void timer_close(struct timer *t, void (*closed)(void *arg));

// Work that blocks, on the loop's thread pool; done runs on the loop's thread. The caller keeps arg alive.
MUST_CHECK enum err loop_offload(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

#endif
