// SPDX-License-Identifier: Apache-2.0
// Every allocation of a whole exchange fails in turn, from the accepted connection to the settled account: once alone,
// and with all that follow it, as on a machine that has none left. The client gets a good answer, a whole error, a stream
// that ends with an error, or, where not even that could be written, a closed connection; never a proper end on half an
// answer, and never silence. After each the next request is served as if nothing had been, and nothing stays open.
#include <stdio.h>
#include "base/clock.h"
#include "base/mem.h"
#include "fault/scene.h"
#include "unit.h"

#define RUN_MS 20000
#define ALLOCATIONS_MAX 5000
#define WAIT_MS 30
#define LOAD_WAIT_MS 800

struct trial {
    struct rig *r;
    const struct scene *s;
    unsigned long k;
    bool alone; // the k-th only
    struct visit v;
    unsigned begun;
    bool failing;
    bool failed; // there was a k-th
};

static bool is_cold(const struct scene *s) {
    return strcmp(s->model, "local/cold") == 0;
}

static bool trial_fail(const struct trial *t, const char *what) {
    unit_fail(__FILE__, __LINE__, "%s to %s (%s), allocation %lu%s: %s\n%.1500s", t->s->dialect, t->s->model,
              t->s->name, t->k, t->alone ? " alone" : " and all after it", what, t->v.in);
    return false;
}

// A connection that can't be accepted for want of memory waits until there is some again, and so does the engine's answer
// that no letter could be written for. Nothing else does.
static void lift(struct trial *t) {
    const struct exchange *x = rig_exchange(t->r);
    bool unaccepted = rig_begun(t->r) == t->begun && server_conns(t->r->shift.worker.server) == 0;
    if (!unaccepted && !(x && x->n_attempts > 0 && x->attempts[0]->waiting))
        return;
    t->failed = mem_count() >= t->k;
    mem_fail_at(0);
}

static bool turns(struct trial *t) {
    uint64_t begin = clock_mono_ms(), end = begin + RUN_MS, wait_ms = is_cold(t->s) ? LOAD_WAIT_MS : WAIT_MS;
    while (clock_mono_ms() < end) {
        rig_turn(t->r);
        if (t->failing && clock_mono_ms() > begin + wait_ms)
            lift(t);
        visit_read(&t->v);
        if (!t->r->shift.worker.live && (t->v.closed || visit_whole(&t->v)))
            return true;
    }
    return false;
}

static bool check_answer(const struct trial *t) {
    const struct visit *v = &t->v;
    int status = visit_status(v);
    if (scene_is_answered(t->s, v))
        return true;
    if (status >= 400 && visit_whole(v)) // the server's own last words are no JSON
        return visit_holds(v, "error") || visit_holds(v, "out of memory") || trial_fail(t, "an error without a word");
    if (status == 200 && t->s->stream && visit_holds(v, scene_end(t->s)) && !visit_holds(v, "\"error\":{"))
        return trial_fail(t, "a proper end on what is not whole");
    if (status == 200 && visit_whole(v))
        return visit_holds(v, "error") || trial_fail(t, "half an answer");
    return v->closed || trial_fail(t, "neither an answer nor a closed connection");
}

static bool await_quiet(struct rig *r) {
    for (uint64_t end = clock_mono_ms() + RUN_MS; clock_mono_ms() < end; rig_turn(r))
        if (server_conns(r->shift.worker.server) == 0 && rig_sim_state(r, "open_requests") <= 1)
            return true; // the one is our question
    return false;
}

// *ret_failed: there was a k-th allocation.
static bool trial(struct rig *r, const struct scene *s, unsigned long k, bool alone, bool *ret_failed) {
    static struct trial t;
    if (is_cold(s) && engine_unload(r->shift.worker.grid, rig_target(r, s->model)->model))
        (void)rig_await_engine(r, s->model, ENGINE_OFF);
    t = (struct trial){.r = r, .s = s, .k = k, .alone = alone, .begun = rig_begun(r)};
    if (scene_is_paid(s) && alone) // without any memory nobody tells who waits
        rig_hold_money(r);
    if (!visit_begin(&t.v, r, scene_path(s), s->body, false))
        return trial_fail(&t, "no connection");
    if (alone)
        mem_fail_once(k);
    else
        mem_fail_at(k);
    t.failing = true;
    bool over = turns(&t);
    *ret_failed = t.failed || mem_count() >= k;
    mem_fail_at(0);
    bool ok = over ? check_answer(&t) : trial_fail(&t, "it hangs");
    visit_leave(&t.v);
    if (ok && !await_quiet(r))
        ok = trial_fail(&t, "something stays open");
    if (ok && (rig_in_flight(r) != 0 || rig_settled(r) != rig_begun(r)))
        ok = trial_fail(&t, "in flight, or not settled exactly once");
    for (uint64_t end = clock_mono_ms() + RUN_MS; r->held_beats > 0 && clock_mono_ms() < end;)
        rig_turn(r);
    if (ok && rig_money_held(r) != 0)
        ok = trial_fail(&t, "a budget holds something open");
    return ok;
}

static bool next_is_served(struct rig *r, const struct scene *s, unsigned long k) {
    static struct trial t;
    t = (struct trial){.r = r, .s = s, .k = k};
    bool ok = visit_begin(&t.v, r, scene_path(s), s->body, false) && turns(&t) && scene_is_answered(s, &t.v);
    visit_leave(&t.v);
    return ok || trial_fail(&t, "the request after it is not served");
}

static bool allocations_fail(struct rig *r, const struct scene *s, bool alone) {
    bool failed = true, ok = true;
    unsigned long k = 0;
    while (failed && ok && k < ALLOCATIONS_MAX)
        ok = trial(r, s, ++k, alone, &failed) && next_is_served(r, s, k);
    if (ok && (k < 10 || failed))
        unit_fail(__FILE__, __LINE__, "%s: %lu allocations", s->dialect, k);
    return ok;
}

static void memory_of(const struct scene *given) {
    static struct rig r;
    static struct scene s;
    CHECK(scene_rig(&r));
    s = *given;
    scene_write(&s);
    bool ok = allocations_fail(&r, &s, true) && allocations_fail(&r, &s, false);
    CHECK(rig_stop(&r));
    CHECK(ok);
}

#define PAIR(client_, upstream_)                                                                           \
    TEST(memory_##client_##_to_##upstream_) {                                                              \
        memory_of(SCENE(.name = "whole", .dialect = #client_, .model = #upstream_ "/m"));                  \
        memory_of(SCENE(.name = "stream", .dialect = #client_, .model = #upstream_ "/m", .stream = true)); \
        memory_of(SCENE(.name = "large", .dialect = #client_, .model = #upstream_ "/m", .filler = 20));    \
    }
PAIR(openai, openai)
PAIR(anthropic, anthropic)
PAIR(ollama, ollama)
PAIR(openai, anthropic)
PAIR(anthropic, ollama)
PAIR(ollama, openai)
PAIR(responses, responses)
PAIR(responses, gemini)
PAIR(gemini, gemini)
PAIR(gemini, responses)

TEST(memory_of_much) {
    memory_of(SCENE(.name = "whole", .dialect = "openai", .model = "openai/m", .much = true));
    memory_of(SCENE(.name = "whole", .dialect = "anthropic", .model = "ollama/m", .much = true));
}

TEST(memory_of_a_fallback) {
    memory_of(SCENE(.name = "fallback", .dialect = "anthropic", .model = "r", .stream = true));
}

TEST(memory_while_money_is_waited_for_and_followed) {
    memory_of(SCENE(.name = "paid", .dialect = "openai", .model = "openai/m", .stream = true));
    memory_of(SCENE(.name = "paid", .dialect = "ollama", .model = "openai/m"));
}

TEST(memory_of_tools_for_a_model_without) {
    memory_of(SCENE(.name = "tools", .dialect = "openai", .model = "plain/calls"));
    memory_of(SCENE(.name = "tools", .dialect = "openai", .model = "plain/answers", .stream = true));
}

TEST(memory_with_a_loaded_engine) {
    memory_of(SCENE(.name = "engine", .dialect = "openai", .model = "local/warm", .stream = true));
    memory_of(SCENE(.name = "count", .dialect = "anthropic", .model = "local/warm"));
}

TEST(memory_while_a_model_loads) {
    memory_of(SCENE(.name = "cold", .dialect = "ollama", .model = "local/cold", .stream = true));
}

// ---- a reload: whole or not at all

static const char other_yaml[] =
    "engine: {binary: $SELF, models: [{name: other, file: w.gguf, args: [\"--fake\", ok]}]}\n"
    "endpoints:\n"
    "  - {name: new, provider: openai, url: \"http://127.0.0.1:$SIM/v1\", zone: cloud, key: k, models: [m]}\n";

// The engine and the snapshot know the same config: the new one, or the old one.
static bool reload_is_whole(struct rig *r, bool taken) {
    for (uint64_t end = clock_mono_ms() + RUN_MS; taken && !rig_target(r, "new/m") && clock_mono_ms() < end;)
        rig_turn(r);
    const char *here = taken ? "local/other" : "local/warm", *gone = taken ? "local/warm" : "local/other";
    if (!rig_target(r, here) || rig_target(r, gone) || !rig_target(r, taken ? "new/m" : "openai/m"))
        return false;
    struct scene s = {.name = "engine", .dialect = "openai", .model = here};
    scene_write(&s);
    return next_is_served(r, &s, 0);
}

static bool reload_trial(struct rig *r, unsigned long k, bool alone, bool *ret_failed) {
    struct buf problems = BUF_INIT(4096);
    struct config *c = rig_config(r, other_yaml);
    if (alone)
        mem_fail_once(k);
    else
        mem_fail_at(k);
    enum err e = grid_reload(r->shift.worker.grid, c, &problems);
    *ret_failed = mem_count() >= k;
    mem_fail_at(0);
    buf_done(&problems);
    config_unref(c);
    if (e != ERR_OK && e != ERR_NO_MEMORY)
        unit_fail(__FILE__, __LINE__, "allocation %lu: %s", k, err_name(e));
    bool ok = reload_is_whole(r, e == ERR_OK);
    if (!ok)
        unit_fail(__FILE__, __LINE__, "allocation %lu%s, %s: half a reload", k, alone ? " alone" : "", err_name(e));
    return ok && rig_reload(r, scene_yaml);
}

static bool reload_fails(struct rig *r, bool alone) {
    bool failed = true, ok = true;
    unsigned long k = 0;
    while (failed && ok)
        ok = reload_trial(r, ++k, alone, &failed);
    return ok && k > 10;
}

TEST(memory_of_a_reload) {
    static struct rig r;
    CHECK(scene_rig(&r));
    bool ok = reload_fails(&r, true) && reload_fails(&r, false);
    CHECK(rig_stop(&r));
    CHECK(ok);
}
