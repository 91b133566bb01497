// SPDX-License-Identifier: Apache-2.0
// One model of the engine and the states it goes through:
//   OFF → VERIFYING → (BACKOFF) → (QUEUED) → STARTING → READY → STOPPING → OFF, and FAILED after too many crashes.
// A request that wants the model waits here, bounded in number and time, and gets exactly one answer. A child that ends
// unasked is started again while someone waits, each time a little later; with nobody waiting it stays off until the
// next request. The slot owns its child, its health probe and its waiters; the phase is the truth, the atomic that loops
// read (target_live.engine_state) follows it. Main thread; nothing here blocks.
#include "grid/slot.h"
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"

#define PROBE_FIRST_MS 50
#define PROBE_LAST_MS 500
#define PROBE_LIMIT_MS 5000 // a server that is busy answers /health all the same
#define BACKOFF_FIRST_MS 200
#define BACKOFF_LAST_MS 10000
#define FAILURES_WINDOW_MS 60000
#define FAILED_MS 30000

static void slot_enter(struct slot *s, enum phase p) {
    static const enum engine_state shown[] = {
        [PHASE_OFF] = ENGINE_OFF,           [PHASE_VERIFYING] = ENGINE_STARTING, [PHASE_QUEUED] = ENGINE_STARTING,
        [PHASE_STARTING] = ENGINE_STARTING, [PHASE_READY] = ENGINE_READY,        [PHASE_STOPPING] = ENGINE_OFF,
        [PHASE_BACKOFF] = ENGINE_STARTING,  [PHASE_FAILED] = ENGINE_FAILED};
    s->phase = p;
    atomic_store(&s->live->engine_state, (int)shown[p]);
}

static void numbers_clear(struct slot *s) {
    atomic_store_explicit(&s->live->engine_pid, 0, memory_order_relaxed);
    atomic_store_explicit(&s->live->engine_vram_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&s->live->engine_draft, (int)DRAFT_NONE, memory_order_relaxed);
    atomic_store_explicit(&s->live->engine_since_s, 0, memory_order_relaxed);
    atomic_store_explicit(&s->live->engine_expires_s, 0, memory_order_relaxed);
    atomic_store_explicit(&s->live->engine_memory_bytes, 0, memory_order_relaxed);
}

// ---- those who wait

static void waiter_answer(struct slot *s, struct want **at, enum err e, const char *detail) {
    struct want *w = *at;
    *at = w->next;
    s->n_waiters--;
    s->e->n_waiting--;
    want_reply(s->e, w, e, detail);
}

void slot_refuse(struct slot *s, enum err e, const char *detail) {
    while (s->waiters)
        waiter_answer(s, &s->waiters, e, detail);
}

void slot_send_elsewhere(struct slot *s) {
    for (struct want **at = &s->waiters; *at;) {
        if ((*at)->ask.elsewhere)
            waiter_answer(s, at, ERR_BUSY, s->held_why);
        else
            at = &(*at)->next;
    }
}

void slot_expire(struct slot *s, uint64_t now_ms) {
    char why[384];
    snprintf(why, sizeof why, "model '%s' is still being loaded; try again in a moment", s->name);
    for (struct want **at = &s->waiters; *at;) {
        if ((*at)->deadline_ms <= now_ms)
            waiter_answer(s, at, ERR_BUSY, s->phase == PHASE_QUEUED && s->is_held ? s->held_why : why);
        else
            at = &(*at)->next;
    }
}

static void waiter_add(struct slot *s, struct want *w) {
    struct want **at = &s->waiters;
    while (*at)
        at = &(*at)->next;
    w->next = NULL;
    w->since_ms = clock_mono_ms();
    w->deadline_ms = w->since_ms + (uint64_t)s->e->config->engine.wait_ms;
    *at = w;
    s->n_waiters++;
    s->e->n_waiting++;
}

void slot_take(struct slot *s, struct want *w) {
    bool failed = s->phase == PHASE_FAILED;
    if (failed && clock_mono_ms() >= s->failed_until_ms) {
        slot_enter(s, PHASE_OFF);
        failed = false;
    }
    if (failed) {
        want_reply(s->e, w, ERR_ENGINE, s->reason);
    } else if (s->phase == PHASE_READY && !s->probe) { // with a probe it is under suspicion: wait for what that finds
        want_reply(s->e, w, ERR_OK, "");
    } else if (s->n_waiters >= LIMIT_ENGINE_MODEL_WAITERS || s->e->n_waiting >= LIMIT_ENGINE_WAITERS) {
        want_reply(s->e, w, ERR_BUSY, "too many requests wait for local models to load");
    } else {
        waiter_add(s, w);
        engine_tick_soon(s->e);
        if (s->phase == PHASE_OFF && !s->verifying)
            slot_begin(s);
        else if (s->phase == PHASE_QUEUED)
            engine_queue(s->e); // if there is still no room, it may go elsewhere
    }
}

// ---- its end

static void probe_cancel(struct slot *s) {
    timer_stop(&s->timer);
    if (s->probe)
        fetch_cancel(s->probe);
    s->probe = NULL;
}

static void backoff_set(struct slot *s, uint64_t now) {
    uint64_t wait = (uint64_t)BACKOFF_FIRST_MS << (s->failures - 1);
    s->not_before_ms = now + (wait > BACKOFF_LAST_MS ? BACKOFF_LAST_MS : wait);
}

static void slot_failed(struct slot *s) {
    uint64_t now = clock_mono_ms();
    if (now - s->first_failure_ms > FAILURES_WINDOW_MS)
        s->failures = 0;
    if (s->failures++ == 0)
        s->first_failure_ms = now;
    LOG(LOG_WARN, "engine_failed", LOG_S("model", s->name), LOG_S("reason", s->reason), LOG_I("failures", s->failures));
    atomic_store_explicit(&s->live->last_err, (int)ERR_ENGINE, memory_order_relaxed);
    atomic_store_explicit(&s->live->last_error_wall_us, clock_wall_us(), memory_order_relaxed);
    backoff_set(s, now);
    if (s->failures < LIMIT_ENGINE_RESTARTS)
        return;
    s->failures = 0;
    s->not_before_ms = 0;
    s->load_asked = false;
    s->failed_until_ms = now + FAILED_MS;
    slot_enter(s, PHASE_FAILED);
    slot_refuse(s, ERR_ENGINE, s->reason);
}

static void reason_of_end(struct slot *s, const struct child *c, int status) {
    const char *line = child_last_line(c);
    if (s->stop_failed)
        return; // it stands there already
    snprintf(s->reason, sizeof s->reason, "llama-server for '%s' ended with status %d%s%s", s->name, status,
             line[0] ? ": " : "", line);
}

static void slot_child_ended(void *ctx, struct child *c, int status) {
    struct slot *s = ctx;
    bool asked = s->phase == PHASE_STOPPING && !s->stop_failed;
    s->child = NULL;
    probe_cancel(s);
    look_cancel(s);
    numbers_clear(s);
    (void)unlink(s->socket_path);
    reason_of_end(s, c, status);
    s->stop_failed = false;
    s->unload_asked = false;
    slot_enter(s, PHASE_OFF);
    LOG(LOG_INFO, "engine_ended", LOG_S("model", s->name), LOG_I("status", status), LOG_I("asked", asked));
    if (!asked && !s->e->closing)
        slot_failed(s);
    if (s->phase == PHASE_OFF && slot_is_wanted(s) && !s->e->closing)
        slot_begin(s);
    engine_slot_ended(s->e);
}

void slot_stop(struct slot *s) {
    probe_cancel(s);
    look_cancel(s);
    if (!s->child)
        return;
    slot_enter(s, PHASE_STOPPING);
    child_stop(s->child);
}

static void slot_stop_failed(struct slot *s, const char *why) {
    snprintf(s->reason, sizeof s->reason, "llama-server for '%s' %s", s->name, why);
    s->stop_failed = true;
    slot_stop(s);
}

// The other half stands in engine_want: a loop counts itself in, then reads the state; we change the state, then read
// the count. With both fences one of the two sees the other.
bool slot_unload(struct slot *s) {
    if (s->phase != PHASE_READY)
        return false;
    int64_t unset = KEEP_UNSET, keep = atomic_exchange(&s->live->engine_keep_ms, KEEP_UNSET);
    atomic_store(&s->live->engine_state, (int)ENGINE_OFF);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load(&s->live->in_flight) > 0 || s->waiters) {
        (void)atomic_compare_exchange_strong(&s->live->engine_keep_ms, &unset, keep); // unless it got a new one
        slot_enter(s, PHASE_READY);
        return false;
    }
    slot_stop(s);
    return true;
}

bool slot_is_still(const struct slot *s) {
    return !s->child && !s->verifying;
}

// ---- is it well?

static void probe_start(struct slot *s);

static int64_t keep_ms(const struct slot *s) {
    int64_t asked = atomic_load_explicit(&s->live->engine_keep_ms, memory_order_relaxed);
    if (s->pinned)
        return KEEP_FOREVER;
    return asked != KEEP_UNSET ? asked : options_of(&s->e->config->engine, s->model).keep_ms;
}

int64_t slot_show_expiry(struct slot *s, uint64_t now_ms) {
    int64_t keep = s->model ? keep_ms(s) : 0;
    int64_t left = keep == KEEP_FOREVER ? INT64_MAX : keep - (int64_t)(now_ms - s->used_ms);
    int64_t at = left == INT64_MAX ? ENGINE_NEVER : clock_wall_s() + (left > 0 ? left / 1000 : 0);
    atomic_store_explicit(&s->live->engine_expires_s, at, memory_order_relaxed);
    return left;
}

static void slot_ready(struct slot *s) {
    struct target_live *live = s->live;
    s->used_ms = clock_mono_ms();
    s->load_ms = s->used_ms - s->started_ms;
    s->load_asked = false;
    s->looked_ms = 0;
    s->tokens_before = atomic_load(&live->input_tokens) + atomic_load(&live->output_tokens);
    atomic_store_explicit(&live->engine_pid, child_pid(s->child), memory_order_relaxed);
    atomic_store_explicit(&live->engine_since_s, clock_wall_s(), memory_order_relaxed);
    atomic_store_explicit(&live->engine_memory_bytes, s->held.host, memory_order_relaxed);
    atomic_store_explicit(&live->engine_load_ms, (int64_t)s->load_ms, memory_order_relaxed);
    memory_look(s, s->used_ms);
    slot_show_expiry(s, s->used_ms);
    LOG(LOG_INFO, "engine_ready", LOG_S("model", s->name), LOG_I("pid", child_pid(s->child)), LOG_I("ms", s->load_ms),
        LOG_I("estimated", s->need.likely.host), LOG_I("memory", atomic_load(&live->engine_memory_bytes)),
        LOG_I("vram", atomic_load(&live->engine_vram_bytes)));
    slot_enter(s, PHASE_READY);
    look_start(s);
    slot_refuse(s, ERR_OK, "");
}

static void probe_again(struct slot *s) {
    uint64_t age = clock_mono_ms() - s->started_ms;
    int64_t bound = s->e->config->engine.ready_ms;
    if (age >= (bound > 0 ? (uint64_t)bound : LIMIT_ENGINE_READY_MS)) {
        slot_stop_failed(s, "was not ready within the bound (engine.ready_timeout)");
        return;
    }
    timer_start(&s->timer, s->probe_wait_ms);
    s->probe_wait_ms = s->probe_wait_ms * 3 / 2 > PROBE_LAST_MS ? PROBE_LAST_MS : s->probe_wait_ms * 3 / 2;
}

static void probe_answered(struct slot *s, bool well) {
    timer_stop(&s->timer);
    s->probe = NULL;
    if (!s->child)
        return;
    if (s->phase == PHASE_STARTING) {
        if (well)
            slot_ready(s);
        else
            probe_again(s);
    } else if (s->phase == PHASE_READY) {
        if (well)
            slot_enter(s, PHASE_READY); // a loop's suspicion had set the atomic
        else
            slot_stop_failed(s, "does not answer any more");
        if (well)
            slot_refuse(s, ERR_OK, "");
    }
}

static void probe_head(void *user, int status, const struct headers *h) {
    (void)h;
    ((struct slot *)user)->probe_status = status;
}

static void probe_body(void *user, struct slice bytes) {
    (void)user;
    (void)bytes;
}

static void probe_done(void *user, enum err e, const char *detail) {
    (void)detail;
    struct slot *s = user;
    probe_answered(s, e == ERR_OK && s->probe_status == 200);
}

static const struct fetch_hooks probe_hooks = {.on_head = probe_head, .on_body = probe_body, .on_done = probe_done};
static const struct permit probe_permit = {.zone = ZONE_DEVICE, .allowed = 1u << ZONE_DEVICE, .purpose = "engine"};

static void probe_start(struct slot *s) {
    struct fetch_request r = {
        .origin = {.host = SLICE("localhost"), .port = 80, .unix_path = slice_str(s->socket_path)},
        .method = "GET",
        .path = SLICE("/health"),
        .connect_ms = 1000,
        .permit = &probe_permit,
        .fresh = true};
    s->probe_status = 0;
    enum err e = fetch_start(s->e->client, &r, &probe_hooks, s, &s->probe);
    if (e == ERR_OK) {
        timer_start(&s->timer, PROBE_LIMIT_MS);
        return;
    }
    s->probe = NULL;
    if (s->phase == PHASE_STARTING)
        probe_again(s);
    else
        slot_stop_failed(s, "cannot be reached");
}

void slot_suspect(struct slot *s) {
    if (s->phase == PHASE_READY && !s->probe)
        probe_start(s);
}

static void slot_timer(struct timer *t) {
    struct slot *s = t->arg;
    if (s->probe) { // PROBE_LIMIT_MS
        fetch_cancel(s->probe);
        probe_answered(s, false);
    } else if (s->phase == PHASE_STARTING) {
        probe_start(s);
    } else if (s->phase == PHASE_BACKOFF) {
        slot_enter(s, PHASE_OFF);
        if (slot_is_wanted(s))
            slot_begin(s);
    }
}

// ---- on the way to READY

void slot_start(struct slot *s) {
    struct arena a;
    struct buf why = BUF_INIT(1024), log_path = BUF_INIT(4096);
    arena_init(&a, 4u << 20, 4096);
    const char *const *argv = launch_args(s, &a, &why);
    buf_printf(&log_path, "%s/logs/engine-", s->e->data_dir);
    for (const char *p = s->name; *p; p++)
        buf_append_char(&log_path, *p == '/' || *p < 0x21 ? '_' : *p);
    buf_append_str(&log_path, ".log");
    struct child_options o = {.argv = argv, .log_path = buf_cstr(&log_path), .ended = slot_child_ended, .ctx = s};
    (void)unlink(s->socket_path);
    enum err e = argv ? child_start(s->e->l, &o, &s->child, &why) : ERR_ENGINE;
    if (e == ERR_OK) {
        s->started_ms = clock_mono_ms();
        s->held = s->need.likely;
        atomic_store_explicit(&s->live->engine_estimate_bytes, s->need.likely.host, memory_order_relaxed);
        s->probe_wait_ms = PROBE_FIRST_MS;
        launch_recipe(s, s->recipe);
        slot_enter(s, PHASE_STARTING);
        atomic_fetch_add_explicit(&s->live->engine_restarts, 1, memory_order_relaxed);
        timer_start(&s->timer, s->probe_wait_ms);
        LOG(LOG_INFO, "engine_start", LOG_S("model", s->name));
    } else {
        slot_give_up(s, e, buf_cstr(&why));
    }
    buf_done(&why);
    buf_done(&log_path);
    arena_done(&a);
}

bool slot_is_wanted(const struct slot *s) {
    return s->waiters || s->load_asked;
}

void slot_give_up(struct slot *s, enum err e, const char *why) {
    if (s->load_asked)
        LOG(LOG_WARN, "engine_not_loaded", LOG_S("model", s->name), LOG_S("reason", why));
    s->load_asked = false;
    slot_enter(s, PHASE_OFF);
    slot_refuse(s, e, why);
}

static void slot_go_on(struct slot *s) {
    uint64_t now = clock_mono_ms();
    if (now < s->not_before_ms) {
        slot_enter(s, PHASE_BACKOFF);
        timer_start(&s->timer, s->not_before_ms - now);
        return;
    }
    struct buf why = BUF_INIT(1024);
    enum err e = memory_estimate(s, &why);
    if (e == ERR_OK) {
        s->queued_ms = now;
        s->is_held = false;
        slot_enter(s, PHASE_QUEUED);
        engine_queue(s->e);
    } else {
        slot_give_up(s, e, buf_cstr(&why));
    }
    buf_done(&why);
}

struct verify {
    struct slot *s;
    char *path, *data_dir;
    const char *sha256; // of the index: static
    enum err err;
    struct buf problem;
};

static void verify_free(struct verify *v) {
    mem_free(v->path);
    mem_free(v->data_dir);
    buf_done(&v->problem);
    mem_free(v);
}

static void verify_work(void *arg) {
    struct verify *v = arg;
    v->err = model_verify(v->path, v->sha256, v->data_dir, &v->problem);
}

static void verify_done(void *arg) {
    struct verify *v = arg;
    struct slot *s = v->s;
    s->verifying = false;
    slot_enter(s, PHASE_OFF);
    if (v->err != ERR_OK) {
        LOG(LOG_ERROR, "engine_weights", LOG_S("model", s->name), LOG_S("reason", buf_cstr(&v->problem)));
        slot_give_up(s, ERR_ENGINE, buf_cstr(&v->problem));
    } else if (slot_is_wanted(s) && s->model && !s->e->closing) {
        slot_go_on(s);
    }
    verify_free(v);
    engine_slot_ended(s->e);
}

// Before the first load; it goes on beside the reading of the weights.
static void cards_look(struct engine *e) {
    struct arena a;
    struct buf why = BUF_INIT(1024);
    arena_init(&a, 1u << 20, 0);
    const char *binary = launch_binary(&e->config->engine, &a, &why);
    if (binary)
        cards_ask(e->cards, binary);
    buf_done(&why);
    arena_done(&a);
}

static void slot_verify(struct slot *s) {
    struct verify *v = mem_zalloc(sizeof *v);
    if (v) {
        *v = (struct verify){.s = s, .sha256 = s->model->sha256, .problem = BUF_INIT(1024)};
        v->path = mem_strdup(s->model->path);
        v->data_dir = mem_strdup(s->e->data_dir);
    }
    if (v && v->path && v->data_dir && loop_offload(s->e->l, verify_work, verify_done, v) == ERR_OK) {
        s->verifying = true;
        slot_enter(s, PHASE_VERIFYING);
        return;
    }
    if (v)
        verify_free(v);
    slot_give_up(s, ERR_NO_MEMORY, "no memory to check the weights");
}

void slot_begin(struct slot *s) {
    slot_enter(s, PHASE_OFF);
    const char *problem = s->model ? s->model->problem : "the model is not in the store any more";
    if (problem) {
        slot_give_up(s, ERR_ENGINE, problem);
        return;
    }
    cards_look(s->e);
    if (s->model->sha256)
        slot_verify(s);
    else
        slot_go_on(s);
}

// What was measured holds for what was started.
bool slot_recipe_changed(const struct slot *s) {
    uint8_t now[32];
    launch_recipe(s, now);
    return memcmp(now, s->recipe, sizeof now) != 0;
}

// ---- being there

static enum err socket_name(struct slot *s, struct buf *problem) {
    uint8_t hash[32];
    char path[4096];
    sha256(slice_str(s->name), hash);
    snprintf(path, sizeof path, "%s/m%02x%02x%02x%02x.sock", s->e->runtime_dir, hash[0], hash[1], hash[2], hash[3]);
    if (strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        buf_printf(problem, "the runtime directory's path is too long for a socket: %s\n", s->e->runtime_dir);
        return ERR_BAD_FIELD;
    }
    s->socket_path = mem_strdup(path);
    return s->socket_path ? ERR_OK : ERR_NO_MEMORY;
}

enum err slot_new(struct engine *e, const char *name, struct slot **ret, struct buf *problem) {
    char full[LIMIT_MODEL_NAME_BYTES + 16];
    snprintf(full, sizeof full, "local/%s", name);
    struct slot *s = mem_zalloc(sizeof *s);
    if (!s)
        return ERR_NO_MEMORY;
    s->e = e;
    s->name = mem_strdup(name);
    s->live = lives_target(e->lives, full);
    enum err err = s->name && s->live ? socket_name(s, problem) : ERR_NO_MEMORY;
    if (err != ERR_OK) {
        mem_free(s->name);
        mem_free(s);
        return err;
    }
    slot_enter(s, PHASE_OFF);
    timer_init(&s->timer, e->l, slot_timer, s);
    e->open++;
    *ret = s;
    return ERR_OK;
}

static void slot_gone(void *arg) {
    struct slot *s = arg;
    struct engine *e = s->e;
    mem_free(s->name);
    mem_free(s->socket_path);
    mem_free(s);
    e->open--;
    engine_slot_ended(e);
}

void slot_close(struct slot *s) {
    slot_refuse(s, ERR_DRAINING, "gridtie is shutting down, or the model left the store");
    probe_cancel(s);
    look_cancel(s);
    slot_enter(s, PHASE_OFF);
    numbers_clear(s);
    timer_close(&s->timer, slot_gone);
}
