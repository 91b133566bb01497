// SPDX-License-Identifier: Apache-2.0
// Whatever an exchange waits for, at whatever wait: the client leaves, a deadline passes, the upstream is given up, the
// daemon drains or is cut, the config changes, the engine dies or is told to unload. For every pair of dialects, as a
// stream and whole, with a fallback, with an engine that is loaded and one that is not, and for a helper call. A wait is
// a turn of the loop after which what the exchange waits for differs from before (rig_mark); the k-th is tried for k = 1
// up to the exchange's end. After each: settled exactly once, one row in the ledger with an outcome that fits, nothing in
// flight, nothing open at the upstream, and no proper end on a stream that had none.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "base/clock.h"
#include "fault/rig.h"
#include "fault/scene.h"
#include "unit.h"

#define RUN_MS 20000 // a run that takes longer hangs
#define TRIES 5
#define FAILURES_FORGOTTEN_US 61000000 // five crashes within a minute are told as such: each of ours shall be the first

static const char other_yaml[] = "discovery: off\nengine: {enabled: false}\n" SCENE_MONEY;

// ---- what is done to it

struct act {
    const char *name;
    void (*now)(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v);
    const char *outcomes; // beside going well, with a space before and behind each
    bool new_server;
};

static void act_gone(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)r, (void)s, (void)x;
    visit_leave(v);
}

static void act_deadline(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)r, (void)s, (void)v;
    x->deadline_ms = clock_mono_ms();
    exchange_arm(x);
}

static void act_timeout(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)s, (void)v;
    for (size_t i = 0; i < x->snap->n_targets; i++)
        x->snap->targets[i].endpoint->total_ms = 0;
    for (struct exchange *y = r->shift.worker.live; y; y = y->next)
        exchange_arm(y);
}

static void on_drained(void *ctx) {
    ((struct rig *)ctx)->drained = true;
}

static void act_drain(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)s, (void)x, (void)v;
    r->drained = false;
    server_drain(r->shift.worker.server, on_drained, r);
}

static void act_cut(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)s, (void)x, (void)v;
    worker_cut(&r->shift.worker);
}

static void act_reload(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)s, (void)x, (void)v;
    if (!rig_reload(r, other_yaml))
        unit_fail(__FILE__, __LINE__, "the config was refused");
}

static int killed; // the engine's pid, 0 none

static void act_kill_engine(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)x, (void)v;
    int pid = atomic_load(&rig_target(r, s->model)->live->engine_pid);
    if (pid > 0)
        (void)kill(pid, SIGKILL);
    killed = pid;
}

static void act_unload(struct rig *r, const struct scene *s, struct exchange *x, struct visit *v) {
    (void)x, (void)v;
    (void)engine_unload(r->shift.worker.grid, rig_target(r, s->model)->model);
}

static const struct act acts[] = {
    {"gone", act_gone, " client_gone ", false},
    {"deadline", act_deadline, " deadline ", false},
    {"timeout", act_timeout, " up_timeout ", false},
    {"drain", act_drain, "", true},
    {"cut", act_cut, " draining ", true},
    {"reload", act_reload, "", false},
};
static const struct act engine_acts[] = {
    {"kill", act_kill_engine, " up_died ", false}, // only after the commit: see run_check
    {"unload", act_unload, "", false},
};
static const struct act reload_cold = {"reload", act_reload, " engine ", false}; // the model it waits for is gone

// ---- one run

struct run {
    struct rig *r;
    const struct scene *s;
    const struct act *a;
    unsigned k;
    struct visit v;
    char id[EXCHANGE_ID_BYTES];
    unsigned waits;
    bool acted;
    bool committed, asked; // when it was acted on: the client has an answer, the upstream has the request
    unsigned begun;
    int64_t rows;
};

static bool run_fail(const struct run *n, const char *what) {
    unit_fail(__FILE__, __LINE__, "%s to %s %s at wait %u (%s): %s\n%.2000s", n->s->dialect, n->s->model, n->a->name,
              n->k, n->s->name, what, n->v.in);
    return false;
}

#define ON_ANSWER UINT_MAX // instead of k: when the pool reads the whole answer, whichever wait that is

static unsigned acted_away; // while the exchange was the pool's

static void run_act(struct run *n, struct exchange *x) {
    n->acted = true;
    acted_away += exchange_is_away(x);
    n->committed = x->winner != NULL;
    n->asked = x->n_attempts > 0 && x->attempts[0]->sent;
    n->v.asleep = false;
    n->a->now(n->r, n->s, x, &n->v);
}

// Turns until the exchange is over and the client has what it will get. False: it hangs.
static bool run_turns(struct run *n) {
    uint64_t end = clock_mono_ms() + RUN_MS, mark = 0;
    while (clock_mono_ms() < end) {
        rig_turn(n->r);
        visit_read(&n->v);
        struct exchange *x = rig_exchange(n->r);
        bool recorded = !n->r->shift.worker.commit_queued;
        if (!x && recorded && (n->v.fd < 0 || n->v.closed || visit_whole(&n->v)))
            return true;
        if (!x || rig_mark(x) == mark)
            continue;
        mark = rig_mark(x);
        memcpy(n->id, x->id, sizeof n->id);
        n->waits += !n->s->slow || x->paused;
        bool on_answer = exchange_is_away(x) && x->n_attempts > 0 && x->attempts[0]->sent;
        if (!n->acted && (n->k == ON_ANSWER ? on_answer : n->waits == n->k))
            run_act(n, x);
    }
    return false;
}

static bool run_check_answer(const struct run *n, const char *err) {
    const struct visit *v = &n->v;
    bool ended = scene_is_answered(n->s, v);
    if (n->acted && n->a->now == act_gone)
        return true;
    if (!err[0])
        return ended || run_fail(n, "it went well, but the client has no whole answer");
    if (ended)
        return run_fail(n, "it failed, but the client has a proper end");
    if (visit_status(v) >= 400)
        return visit_whole(v) || run_fail(n, "the error is not whole");
    if (visit_status(v) != 200)
        return run_fail(n, "no answer at all");
    return visit_holds(v, "error") || run_fail(n, "a stream broke without an error");
}

static bool run_check_outcome(const struct run *n, const char *err) {
    char known[80];
    snprintf(known, sizeof known, " %s ", err);
    if (!err[0])
        return true;
    if (!n->acted || !strstr(n->a->outcomes, known))
        return run_fail(n, err);
    if (n->a->now == act_kill_engine && !n->committed)
        return run_fail(n, "the engine died before the commit, and the request was not tried again");
    return true;
}

static bool await_quiet(struct rig *r) {
    for (uint64_t end = clock_mono_ms() + RUN_MS; clock_mono_ms() < end; rig_turn(r))
        if (server_conns(r->shift.worker.server) == 0 && !r->shift.worker.live &&
            rig_sim_state(r, "open_requests") <= 1)
            return true; // the one is our question
    return false;
}

static bool run_check(struct run *n) {
    struct rig *r = n->r;
    char err[64];
    rig_why(r, n->id, "err", err, sizeof err);
    if (!run_check_outcome(n, err) || !run_check_answer(n, err))
        return false;
    visit_leave(&n->v);
    if (!await_quiet(r))
        return run_fail(n, "something stays open, here or at the upstream");
    if (rig_in_flight(r) != 0)
        return run_fail(n, "something stays in flight");
    if (rig_settled(r) != rig_begun(r))
        return run_fail(n, "not settled exactly once");
    if (rig_total(r, "exchanges") - n->rows != rig_begun(r) - n->begun)
        return run_fail(n, "not one row in the ledger for each exchange");
    if (rig_total(r, "unknown") != 0 || rig_total(r, "open_picousd") != 0)
        return run_fail(n, "the ledger holds something open");
    for (uint64_t end = clock_mono_ms() + RUN_MS; r->held_beats > 0 && clock_mono_ms() < end;)
        rig_turn(r);
    if (rig_money_held(r) != 0)
        return run_fail(n, "a budget holds something open");
    return true;
}

static void timeouts_restore(struct rig *r) {
    const struct snapshot *s = r->shift.worker.snap;
    for (size_t i = 0; i < s->n_targets; i++)
        s->targets[i].endpoint->total_ms = LIMIT_TOTAL_MS;
}

// Brings the rig back to where the next run starts.
static bool run_restore(struct run *n) {
    struct rig *r = n->r;
    if (n->acted && n->a->now == act_timeout)
        timeouts_restore(r);
    if (n->acted && n->a->now == act_kill_engine)
        clock_shift(0, FAILURES_FORGOTTEN_US);
    if (n->acted && n->a->now == act_drain)
        for (uint64_t end = clock_mono_ms() + RUN_MS; !r->drained && clock_mono_ms() < end;)
            rig_turn(r);
    if (n->acted && n->a->now == act_drain && !r->drained)
        return run_fail(n, "the drain does not end");
    if (n->acted && n->a->new_server) {
        rig_close_server(r);
        return rig_listen(r);
    }
    return !(n->acted && n->a->now == act_reload) || rig_reload(r, scene_yaml);
}

// A killed engine looks ready until its end is known: the next request would meet that crash and one of its own.
static bool await_burial(struct rig *r, const char *model) {
    const struct target *t = killed ? rig_target(r, model) : NULL;
    for (uint64_t end = clock_mono_ms() + RUN_MS; t && clock_mono_ms() < end; rig_turn(r))
        if (atomic_load(&t->live->engine_pid) != killed)
            t = NULL;
    killed = 0;
    return !t;
}

static bool engine_prepare(struct rig *r, const char *model, bool cold) {
    if (!await_burial(r, model))
        return false;
    if (cold && engine_unload(r->shift.worker.grid, rig_target(r, model)->model))
        return rig_await_engine(r, model, ENGINE_OFF);
    return true;
}

// One request, with `a` at its k-th wait.
static bool scene_run(struct rig *r, const struct scene *s, const struct act *a, unsigned k, struct run *n) {
    *n = (struct run){.r = r, .s = s, .a = a, .k = k, .begun = rig_begun(r), .rows = rig_total(r, "exchanges")};
    bool ok = engine_prepare(r, s->model, strcmp(s->model, "local/cold") == 0);
    if (ok && scene_is_paid(s))
        rig_hold_money(r);
    ok = ok && visit_begin(&n->v, r, scene_path(s), s->body, s->slow);
    if (ok && !run_turns(n))
        ok = run_fail(n, "it hangs");
    ok = ok && run_check(n);
    visit_leave(&n->v);
    return run_restore(n) && ok;
}

// How many waits there are when nothing is done. The kernel may join what the upstream wrote apart: the most of some.
static bool scene_count(struct rig *r, const struct scene *s, unsigned *ret) {
    static struct run n;
    static const struct act none = {"nothing", NULL, "", false};
    *ret = 1;
    for (int i = 0; i < 3 && !s->slow; i++) {
        if (!scene_run(r, s, &none, 0, &n))
            return false;
        *ret = n.waits > *ret ? n.waits : *ret;
    }
    return true;
}

// Every wait of one scene. A model that has just been loaded is left alone once the request is sent: from then on it is
// like one that was loaded before.
static bool scene_waits(struct rig *r, const struct scene *s, const struct act *a, unsigned n_waits) {
    static struct run n;
    for (unsigned k = 1; k <= n_waits; k++) {
        for (int try = 0; try < TRIES && (try == 0 || !n.acted); try++)
            if (!scene_run(r, s, a, k, &n))
                return false;
        if (!n.acted && (k == 1 || s->slow))
            return run_fail(&n, "there was no such wait");
        if (n.asked && strcmp(s->model, "local/cold") == 0)
            return true;
    }
    if (!s->much || strcmp(s->name, "whole") != 0)
        return true;
    return scene_run(r, s, a, ON_ANSWER, &n) && (n.acted || run_fail(&n, "the pool had no answer"));
}

// ---- the suites

static void waits_of(const struct scene *given, const struct act *a, size_t n_acts) {
    static struct rig r;
    static struct scene s;
    CHECK(scene_rig(&r));
    s = *given;
    scene_write(&s);
    acted_away = 0;
    unsigned n_waits = 0;
    bool ok = scene_count(&r, &s, &n_waits);
    for (size_t i = 0; i < n_acts && ok; i++)
        ok = scene_waits(&r, &s, &a[i], n_waits);
    CHECK(rig_stop(&r));
    CHECK(ok);
    CHECK(!s.much || acted_away >= 2 * n_acts); // for its reading and its writing
}

#define N_ACTS (sizeof acts / sizeof acts[0])
#define PAIR(client_, upstream_)                                                                               \
    TEST(waits_##client_##_to_##upstream_##_stream) {                                                          \
        waits_of(SCENE(.name = "stream", .dialect = #client_, .model = #upstream_ "/m", .stream = true), acts, \
                 N_ACTS);                                                                                      \
    }                                                                                                          \
    TEST(waits_##client_##_to_##upstream_##_whole) {                                                           \
        waits_of(SCENE(.name = "whole", .dialect = #client_, .model = #upstream_ "/m"), acts, N_ACTS);         \
    }
PAIR(openai, openai)
PAIR(openai, anthropic)
PAIR(openai, ollama)
PAIR(anthropic, openai)
PAIR(anthropic, anthropic)
PAIR(anthropic, ollama)
PAIR(ollama, openai)
PAIR(ollama, anthropic)
PAIR(ollama, ollama)
PAIR(responses, responses)
PAIR(responses, anthropic)
PAIR(gemini, gemini)
PAIR(gemini, openai)
PAIR(openai, gemini)
PAIR(anthropic, responses)

// For the pool, which reads what came, writes what goes, and does both with the answer.
#define MUCH(client_, upstream_)                                                                                       \
    TEST(waits_##client_##_to_##upstream_##_much) {                                                                    \
        waits_of(SCENE(.name = "whole", .dialect = #client_, .model = #upstream_ "/m", .much = true), acts, N_ACTS);   \
        waits_of(SCENE(.name = "stream", .dialect = #client_, .model = #upstream_ "/m", .stream = true, .much = true), \
                 acts, N_ACTS);                                                                                        \
    }
MUCH(openai, openai)
MUCH(anthropic, openai)
MUCH(gemini, ollama)

TEST(waits_of_a_fallback) {
    waits_of(SCENE(.name = "fallback", .dialect = "anthropic", .model = "r", .stream = true), acts, N_ACTS);
}

TEST(waits_for_a_slow_client) {
    struct scene s = {.name = "slow", .dialect = "openai", .model = "anthropic/m", .stream = true, .slow = true};
    waits_of(&s, acts, N_ACTS);
    s.dialect = "ollama";
    s.model = "ollama/m";
    waits_of(&s, acts, N_ACTS);
}

// For money that another holds, then of an answer that is followed because not all of it is held.
TEST(waits_for_money) {
    struct scene s = {.name = "paid", .dialect = "openai", .model = "openai/m", .stream = true};
    waits_of(&s, acts, N_ACTS);
    s.stream = false;
    waits_of(&s, acts, N_ACTS);
}

TEST(waits_with_a_loaded_engine) {
    struct scene s = {.name = "engine", .dialect = "openai", .model = "local/warm", .stream = true};
    waits_of(&s, acts, N_ACTS);
    waits_of(&s, engine_acts, 2);
    s.stream = false;
    waits_of(&s, engine_acts, 2);
}

TEST(waits_of_a_helper_call) {
    struct scene s = {.name = "count", .dialect = "anthropic", .model = "local/warm"};
    waits_of(&s, acts, N_ACTS);
    waits_of(&s, engine_acts, 2);
    s.much = true;
    waits_of(&s, acts, N_ACTS);
}

TEST(waits_while_a_model_loads) {
    struct scene s = {.name = "cold", .dialect = "anthropic", .model = "local/cold", .stream = true};
    waits_of(&s, acts, 5);
    waits_of(&s, engine_acts, 2);
    waits_of(&s, &reload_cold, 1);
}

TEST(waits_of_a_load_alone) {
    struct scene s = {.name = "load", .dialect = "ollama", .model = "local/cold"};
    waits_of(&s, acts, 5);
    waits_of(&s, engine_acts, 2);
    waits_of(&s, &reload_cold, 1);
}
