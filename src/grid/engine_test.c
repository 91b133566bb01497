// SPDX-License-Identifier: Apache-2.0
// The engine against a fake llama-server, which is this very program (tests/fault/children.c). What the fake does is said
// by config engine.models[].args: --fake MODE.
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "fault/children.h"
#include "grid/grid.h"
#include "grid/guard.h"
#include "unit.h"

// ---- the rig

struct rig {
    struct loop l;
    struct grid *g;
    struct snapshot *snap;
    char dir[64];
    bool closed;
};

struct reply {
    int n;
    enum err e;
    char detail[700];
    struct target_live *live; // counted in, while it is used
};

static void rig_changed(void *ctx, struct snapshot *s) {
    struct rig *r = ctx;
    snapshot_unref(r->snap);
    r->snap = s;
}

static void rig_closed(void *ctx) {
    ((struct rig *)ctx)->closed = true;
}

static void answered(void *arg, enum err e, const char *detail) {
    struct reply *a = arg;
    a->n++;
    a->e = e;
    snprintf(a->detail, sizeof a->detail, "%s", detail);
}

static void rig_turn(struct rig *r) {
    (void)uv_run(&r->l.uv, UV_RUN_NOWAIT);
    usleep(1000);
}

static void rig_turn_ms(struct rig *r, uint64_t ms) {
    for (uint64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
        rig_turn(r);
}

static struct config *config_make(const struct rig *r, const char *engine, const char *models, const char *binary) {
    struct buf yaml = BUF_INIT(65536), why = BUF_INIT(65536);
    buf_printf(&yaml, "discovery: off\nengine:\n  binary: %s\n  %s\n  models:\n%s", binary ? binary : self_path(),
               engine, models);
    struct config *c = NULL;
    if (config_load_text(buf_slice(&yaml), "test.yaml", r->dir, &c, &why) != ERR_OK)
        unit_fail(__FILE__, __LINE__, "config: %s\n%s", buf_cstr(&why), buf_cstr(&yaml));
    buf_done(&yaml);
    buf_done(&why);
    return c;
}

// More than a fake server takes, so that what counts is what a model must take. The file has a hole of that size.
#define WEIGHTS_BYTES (256L << 20)
// One line of config engine.models; the same empty GGUF stands for all weights.
#define MODEL(name, mode) "    - {name: " name ", file: w.gguf, args: [\"--fake\", " mode "]}\n"

static bool rig_start_with(struct rig *r, const char *engine, const char *models, const char *binary) {
    *r = (struct rig){0};
    log_set_level(LOG_ERROR);
    snprintf(r->dir, sizeof r->dir, "/tmp/gridtie-test.XXXXXX");
    if (!mkdtemp(r->dir))
        return false;
    char path[128], runtime[96];
    setenv("GRIDTIE_CACHE", r->dir, 1);
    snprintf(path, sizeof path, "%s/models", r->dir);
    if (mkdir(path, 0700) != 0)
        return false;
    snprintf(path, sizeof path, "%s/models/w.gguf", r->dir);
    snprintf(runtime, sizeof runtime, "%s/run", r->dir);
    static const char header[24] = {'G', 'G', 'U', 'F', 3};
    if (fs_write_atomic(path, slice_of(header, sizeof header), 0600) != ERR_OK || truncate(path, WEIGHTS_BYTES) != 0)
        return false;
    char beside[128]; // config takes a file's name as relative to its own folder
    snprintf(beside, sizeof beside, "%s/w.gguf", r->dir);
    if (link(path, beside) != 0)
        return false;
    struct config *c = config_make(r, engine, models, binary);
    struct buf why = BUF_INIT(4096);
    bool ok = c && loop_init(&r->l, 0) == ERR_OK &&
              grid_new(&r->l, c, r->dir, runtime, rig_changed, r, &r->g, &why) == ERR_OK;
    if (!ok)
        unit_fail(__FILE__, __LINE__, "grid_new: %s", buf_cstr(&why));
    config_unref(c);
    buf_done(&why);
    return ok;
}

static bool rig_start(struct rig *r, const char *engine, const char *models) {
    return rig_start_with(r, engine, models, NULL);
}

static void dir_remove(const char *dir) {
    char path[4096];
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        if (strcmp(f->d_name, ".") == 0 || strcmp(f->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (unlink(path) != 0)
            dir_remove(path);
    }
    if (d)
        closedir(d);
    (void)rmdir(dir);
}

// True: closed in time, and no child is left.
static bool rig_stop(struct rig *r) {
    grid_close(r->g, rig_closed, r);
    for (uint64_t end = clock_mono_ms() + 15000; !r->closed && clock_mono_ms() < end;)
        rig_turn(r);
    snapshot_unref(r->snap);
    if (r->closed)
        loop_done(&r->l);
    dir_remove(r->dir);
    return r->closed && waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static const struct target *rig_target(const struct rig *r, const char *name) {
    return snapshot_target(r->snap, slice_str(name));
}

static bool rig_ask(struct rig *r, const char *name, const struct engine_ask *ask, struct reply *a) {
    *a = (struct reply){0};
    return engine_want(r->g, rig_target(r, name), ask, &r->l, answered, a);
}

static const struct engine_ask plain_ask = {.keep_ms = KEEP_UNSET};

static bool rig_want(struct rig *r, const char *name, struct reply *a) {
    return rig_ask(r, name, &plain_ask, a);
}

static void rig_await(struct rig *r, const struct reply *a, uint64_t ms) {
    for (uint64_t end = clock_mono_ms() + ms; a->n == 0 && clock_mono_ms() < end;)
        rig_turn(r);
}

static int rig_state(const struct rig *r, const char *name) {
    return atomic_load(&rig_target(r, name)->live->engine_state);
}

static bool rig_await_state(struct rig *r, const char *name, int state, uint64_t ms) {
    for (uint64_t end = clock_mono_ms() + ms; rig_state(r, name) != state && clock_mono_ms() < end;)
        rig_turn(r);
    return rig_state(r, name) == state;
}

static int rig_pid(const struct rig *r, const char *name) {
    return atomic_load(&rig_target(r, name)->live->engine_pid);
}

// Gone, or dead and not yet buried (process 1 of a container may never bury).
static bool pid_is_gone(int pid) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return true;
    bool read_ok = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    const char *behind = strrchr(text, ')');
    return !read_ok || (behind && (behind[2] == 'Z' || behind[2] == 'X'));
}

static bool await_gone(int pid, uint64_t ms) {
    for (uint64_t end = clock_mono_ms() + ms; !pid_is_gone(pid) && clock_mono_ms() < end;)
        usleep(5000);
    return pid_is_gone(pid);
}

static int parent_of(int pid) {
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    bool ok = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    const char *behind = ok ? strrchr(text, ')') : NULL;
    return behind ? (int)strtol(behind + 4, NULL, 10) : 0;
}

// Processes that know the rig's folder: its children and theirs, whoever is their parent now.
static int processes_of(const struct rig *r) {
    int n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *f; d && (f = readdir(d));) {
        char path[300];
        struct buf line = BUF_INIT(65536);
        snprintf(path, sizeof path, "/proc/%s/cmdline", f->d_name);
        if (f->d_name[0] >= '1' && f->d_name[0] <= '9' && fs_read_file(path, 65536, &line) == ERR_OK)
            n += slice_search(buf_slice(&line), slice_str(r->dir)) != SIZE_MAX;
        buf_done(&line);
    }
    if (d)
        closedir(d);
    return n;
}

// ---- tests

TEST(engine_starts_on_demand_and_stops_clean) {
    struct rig r;
    struct reply a, b;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "slow")));
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_OFF);
    CHECK(!rig_want(&r, "local/one", &a));
    CHECK(!rig_want(&r, "local/one", &b));
    rig_await(&r, &a, 20000);
    rig_await(&r, &b, 100);
    CHECK_EQ(a.e, ERR_OK);
    CHECK_EQ(a.n, 1);
    CHECK_EQ(b.n, 1);
    CHECK(rig_want(&r, "local/one", &a));
    int pid = rig_pid(&r, "local/one");
    CHECK(pid > 0);
    CHECK_EQ(processes_of(&r), 2); // the guard and the server
    struct buf ps = BUF_INIT(65536);
    grid_ps_json(r.g, &ps);
    CHECK(slice_search(buf_slice(&ps), SLICE("\"state\":\"ready\"")) != SIZE_MAX);
    buf_done(&ps);
    CHECK(rig_stop(&r));
    CHECK(pid_is_gone(pid));
}

TEST(engine_passes_a_deaf_server_on_to_kill) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "deaf")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    int pid = rig_pid(&r, "local/one");
    CHECK(rig_stop(&r));
    CHECK(pid_is_gone(pid));
}

TEST(engine_crash_at_start_is_told_with_its_last_line) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "crash")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 30000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(strstr(a.detail, "the weights are odd"));
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_FAILED);
    CHECK_EQ(atomic_load(&rig_target(&r, "local/one")->live->engine_restarts), LIMIT_ENGINE_RESTARTS);
    CHECK(!rig_want(&r, "local/one", &a)); // refused at once
    rig_await(&r, &a, 1000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(rig_stop(&r));
}

TEST(engine_killed_child_comes_back_for_the_next) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "ok")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    int pid = rig_pid(&r, "local/one");
    CHECK_EQ(kill(pid, SIGKILL), 0);
    engine_suspect(r.g, rig_target(&r, "local/one"));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    CHECK_EQ(a.e, ERR_OK);
    CHECK(rig_pid(&r, "local/one") != pid);
    CHECK(rig_stop(&r));
}

TEST(engine_false_suspicion_changes_nothing) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "ok")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    int pid = rig_pid(&r, "local/one");
    engine_suspect(r.g, rig_target(&r, "local/one"));
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_STARTING);
    CHECK(rig_await_state(&r, "local/one", ENGINE_READY, 5000));
    CHECK_EQ(rig_pid(&r, "local/one"), pid);
    CHECK(rig_stop(&r));
}

TEST(engine_wait_is_bounded) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "wait: 400ms", MODEL("one", "never")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 10000);
    CHECK_EQ(a.e, ERR_BUSY);
    CHECK_EQ(a.n, 1);
    CHECK(rig_stop(&r));
}

TEST(engine_not_ready_in_time_is_a_failure) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "ready_timeout: 300ms", MODEL("one", "never")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 60000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(strstr(a.detail, "ready"));
    CHECK(rig_stop(&r));
}

TEST(engine_unloads_what_is_idle) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1s", MODEL("one", "ok")));
    struct target_live *live = rig_target(&r, "local/one")->live;
    atomic_fetch_add(&live->in_flight, 1);
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    rig_turn_ms(&r, 3000);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_READY); // busy: never
    CHECK(engine_unload(r.g, SLICE("one")));
    rig_turn_ms(&r, 300);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_READY);
    int pid = rig_pid(&r, "local/one");
    atomic_fetch_sub(&live->in_flight, 1);
    CHECK(rig_await_state(&r, "local/one", ENGINE_OFF, 5000));
    rig_turn_ms(&r, 500);
    CHECK(pid_is_gone(pid));
    CHECK(!engine_unload(r.g, SLICE("one")));
    CHECK(rig_stop(&r));
}

TEST(engine_memory_lets_the_idle_one_go) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "memory: 500MiB", MODEL("one", "ok") MODEL("two", "ok"))); // room for one
    struct target_live *live = rig_target(&r, "local/one")->live;
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    atomic_fetch_add(&live->in_flight, 1);
    CHECK(!rig_want(&r, "local/two", &a));
    rig_turn_ms(&r, 500);
    CHECK_EQ(a.n, 0); // the busy one stays
    atomic_fetch_sub(&live->in_flight, 1);
    rig_await(&r, &a, 20000);
    CHECK_EQ(a.e, ERR_OK);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_OFF);
    CHECK(rig_stop(&r));
}

static bool says(const struct reply *a, const char *text) {
    if (strstr(a->detail, text))
        return true;
    unit_fail(__FILE__, __LINE__, "'%s' is not in: %s", text, a->detail);
    return false;
}

TEST(engine_does_not_thrash) {
    static const struct engine_ask elsewhere = {.keep_ms = KEEP_UNSET, .elsewhere = true};
    struct rig r;
    struct reply a, first;
    CHECK(rig_start(&r, "memory: 500MiB", MODEL("one", "2500") MODEL("two", "ok"))); // room for one
    struct target_live *one = rig_target(&r, "local/one")->live;
    CHECK(!rig_want(&r, "local/one", &first));
    CHECK(!rig_ask(&r, "local/two", &elsewhere, &a)); // it is being loaded
    rig_await(&r, &a, 2000);
    CHECK_EQ(a.e, ERR_BUSY);
    CHECK(says(&a, "'one' (314 MiB) is being loaded"));
    rig_await(&r, &first, 20000);
    CHECK_EQ(first.e, ERR_OK);
    CHECK(!rig_ask(&r, "local/two", &elsewhere, &a)); // warm for as long as its load took
    rig_await(&r, &a, 2000);
    CHECK_EQ(a.e, ERR_BUSY);
    CHECK(says(&a, "was used 0 s ago"));
    atomic_fetch_add(&one->in_flight, 1);
    CHECK(!rig_ask(&r, "local/two", &elsewhere, &a));
    rig_await(&r, &a, 2000);
    CHECK_EQ(a.e, ERR_BUSY);
    CHECK(says(&a, "answers 1 request;"));
    atomic_fetch_sub(&one->in_flight, 1);
    CHECK(!rig_want(&r, "local/two", &a)); // who has no other place waits until it is cold
    rig_await(&r, &a, 20000);
    CHECK_EQ(a.e, ERR_OK);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_OFF);
    CHECK_EQ(atomic_load(&one->engine_evictions), 1);
    CHECK(rig_stop(&r));
}

TEST(engine_a_wait_for_room_ends_with_its_reason) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "memory: 500MiB\n  wait: 400ms", MODEL("one", "ok") MODEL("two", "ok")));
    struct target_live *one = rig_target(&r, "local/one")->live;
    CHECK(!rig_want(&r, "local/one", &a));
    atomic_fetch_add(&one->in_flight, 2);
    CHECK(rig_await_state(&r, "local/one", ENGINE_READY, 20000)); // its own wait may be over before
    rig_await(&r, &a, 2000);
    CHECK(!rig_want(&r, "local/two", &a));
    rig_await(&r, &a, 10000);
    CHECK_EQ(a.e, ERR_BUSY);
    CHECK(says(
        &a, "model 'two' needs about 314 MiB and others hold the memory for models (engine.memory, 500 MiB): 'one'"));
    CHECK(says(&a, "answers 2 requests; try again"));
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_READY);
    atomic_fetch_sub(&one->in_flight, 2);
    CHECK(rig_stop(&r));
}

TEST(engine_a_model_that_never_fits_says_what_would) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "memory: 100MiB", MODEL("one", "ok")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 5000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(says(
        &a,
        "needs at least 256 MiB (256 MiB of weights, context of 4096 tokens in 2 slots), and 100 MiB are for models"));
    CHECK(says(&a, "smaller quantization, or raise engine.memory"));
    CHECK_EQ(processes_of(&r), 0);
    CHECK(rig_stop(&r));
}

TEST(engine_slots_are_waited_for_by_so_many_and_no_more) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "parallel: 3", MODEL("one", "ok")));
    struct target_live *one = rig_target(&r, "local/one")->live;
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    atomic_fetch_add(&one->in_flight, LIMIT_ENGINE_MODEL_WAITERS + 3);
    CHECK(rig_want(&r, "local/one", &a));
    atomic_fetch_add(&one->in_flight, 1);
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 2000);
    CHECK_EQ(a.e, ERR_BUSY);
    CHECK(says(&a, "all slots of this model are busy"));
    atomic_fetch_sub(&one->in_flight, LIMIT_ENGINE_MODEL_WAITERS + 4);
    CHECK(rig_stop(&r));
}

TEST(engine_a_queue_is_bounded_for_all_models_together) {
    static struct reply many[LIMIT_ENGINE_WAITERS + 3];
    struct rig r;
    int i = 0;
    CHECK(rig_start(&r, "memory: 1GiB", MODEL("one", "never") MODEL("two", "never") MODEL("three", "never")));
    for (; i < LIMIT_ENGINE_MODEL_WAITERS; i++)
        CHECK(!rig_want(&r, "local/one", &many[i]));
    CHECK(!rig_want(&r, "local/one", &many[i]));
    rig_await(&r, &many[i], 2000);
    CHECK_EQ(many[i++].e, ERR_BUSY);
    for (; i < LIMIT_ENGINE_WAITERS + 1; i++)
        CHECK(!rig_want(&r, "local/two", &many[i]));
    CHECK(!rig_want(&r, "local/three", &many[i]));
    rig_await(&r, &many[i], 2000);
    CHECK_EQ(many[i].e, ERR_BUSY);
    CHECK_EQ(many[i].n, 1);
    CHECK_EQ(many[0].n, 0);
    CHECK(rig_stop(&r));
}

TEST(engine_a_pinned_model_stays) {
    static const struct engine_ask at_once = {.keep_ms = 0};
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "memory: 500MiB\n  keep_alive: 0s\n  warm: 0s\n  preload: [one]",
                    "    - {name: one, file: w.gguf, pin: true, args: [\"--fake\", ok]}\n" MODEL("two", "ok")));
    CHECK(rig_await_state(&r, "local/one", ENGINE_READY, 20000)); // nobody asked for it
    CHECK(rig_ask(&r, "local/one", &at_once, &a));
    rig_turn_ms(&r, 2500);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_READY);
    CHECK_EQ(atomic_load(&rig_target(&r, "local/one")->live->engine_expires_s), ENGINE_NEVER);
    CHECK(!rig_want(&r, "local/two", &a));
    rig_await(&r, &a, 5000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(says(&a, "of which pinned ones hold 256 MiB"));
    CHECK(engine_unload(r.g, SLICE("one"))); // a person's word
    CHECK(rig_await_state(&r, "local/one", ENGINE_OFF, 5000));
    CHECK(!rig_want(&r, "local/two", &a));
    rig_await(&r, &a, 20000);
    CHECK_EQ(a.e, ERR_OK);
    CHECK(rig_stop(&r));
}

TEST(engine_models_that_outgrow_the_memory_go) {
    static const char models[] = MODEL("one", "ok") MODEL("two", "ok");
    struct rig r;
    struct reply a;
    struct buf why = BUF_INIT(4096);
    CHECK(rig_start(&r, "memory: 700MiB\n  warm: 0s", models));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    CHECK(!rig_want(&r, "local/two", &a));
    atomic_fetch_add(&rig_target(&r, "local/two")->live->in_flight, 1);
    rig_await(&r, &a, 20000);
    struct config *c = config_make(&r, "memory: 500MiB\n  warm: 0s", models, NULL); // as if they had grown
    CHECK_EQ(grid_reload(r.g, c, &why), ERR_OK);
    config_unref(c);
    CHECK(rig_await_state(&r, "local/one", ENGINE_OFF, 5000));
    atomic_fetch_sub(&rig_target(&r, "local/two")->live->in_flight, 1);
    rig_turn_ms(&r, 1500);
    CHECK_EQ(rig_state(&r, "local/two"), ENGINE_READY);
    buf_done(&why);
    CHECK(rig_stop(&r));
}

TEST(engine_a_reload_does_not_load_again_what_was_unloaded) {
    static const char engine[] = "keep_alive: 1h\n  preload: [one]";
    struct rig r;
    struct buf why = BUF_INIT(4096);
    CHECK(rig_start(&r, engine, MODEL("one", "ok")));
    CHECK(rig_await_state(&r, "local/one", ENGINE_READY, 20000));
    CHECK(engine_unload(r.g, SLICE("one")));
    CHECK(rig_await_state(&r, "local/one", ENGINE_OFF, 5000));
    struct config *c = config_make(&r, engine, MODEL("one", "ok"), NULL);
    CHECK_EQ(grid_reload(r.g, c, &why), ERR_OK);
    config_unref(c);
    rig_turn_ms(&r, 500);
    CHECK_EQ(processes_of(&r), 0);
    buf_done(&why);
    CHECK(rig_stop(&r));
}

TEST(engine_keeps_a_model_as_its_requests_want_it) {
    static const struct engine_ask forever = {.keep_ms = KEEP_FOREVER}, at_once = {.keep_ms = 0};
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1s", MODEL("one", "ok")));
    struct target_live *one = rig_target(&r, "local/one")->live;
    CHECK(!rig_ask(&r, "local/one", &forever, &a));
    rig_await(&r, &a, 20000);
    rig_turn_ms(&r, 2500);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_READY);
    CHECK_EQ(atomic_load(&one->engine_expires_s), ENGINE_NEVER);
    atomic_fetch_add(&one->in_flight, 1);
    CHECK(rig_ask(&r, "local/one", &at_once, &a));
    rig_turn_ms(&r, 1500);
    CHECK_EQ(rig_state(&r, "local/one"), ENGINE_READY); // it still answers
    atomic_fetch_sub(&one->in_flight, 1);
    CHECK(rig_await_state(&r, "local/one", ENGINE_OFF, 5000));
    CHECK_EQ(atomic_load(&one->engine_keep_ms), KEEP_UNSET);
    CHECK(rig_stop(&r));
}

TEST(engine_whoever_is_watched_goes_first) {
    static const struct engine_ask watched = {.keep_ms = KEEP_UNSET, .watched = true};
    struct rig r;
    struct reply a, two, three;
    CHECK(rig_start(&r, "memory: 500MiB", MODEL("one", "ok") MODEL("two", "ok") MODEL("three", "ok")));
    struct target_live *one = rig_target(&r, "local/one")->live;
    CHECK(!rig_want(&r, "local/one", &a));
    atomic_fetch_add(&one->in_flight, 1);
    rig_await(&r, &a, 20000);
    CHECK(!rig_want(&r, "local/two", &two));
    rig_turn_ms(&r, 300);
    CHECK(!rig_ask(&r, "local/three", &watched, &three));
    rig_turn_ms(&r, 300);
    atomic_fetch_sub(&one->in_flight, 1);
    rig_await(&r, &three, 20000);
    CHECK_EQ(three.e, ERR_OK);
    CHECK_EQ(two.n, 0);
    rig_await(&r, &two, 20000);
    CHECK_EQ(two.e, ERR_OK);
    CHECK(rig_stop(&r));
}

TEST(engine_settings_without_weights_say_so) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", "    - {name: ghost, pin: true}\n"));
    CHECK(!rig_want(&r, "local/ghost", &a));
    rig_await(&r, &a, 5000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(says(&a, "the store has no model 'ghost'"));
    CHECK(rig_stop(&r));
}

TEST(engine_binary_missing_says_what_to_do) {
    struct rig r;
    struct reply a;
    CHECK(rig_start_with(&r, "keep_alive: 1h", MODEL("one", "ok"), "/nowhere/llama-server"));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 5000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(strstr(a.detail, "engine.binary"));
    CHECK(rig_stop(&r));
}

TEST(engine_never_serves_weights_with_a_wrong_sha256) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "ok")));
    char from[128], to[128];
    snprintf(from, sizeof from, "%s/models/w.gguf", r.dir);
    snprintf(to, sizeof to, "%s/models/smollm2-135m-instruct-q4_1.gguf", r.dir);
    CHECK_EQ(link(from, to), 0);
    struct config *c = config_make(&r, "keep_alive: 1h", MODEL("one", "ok"), NULL);
    struct buf why = BUF_INIT(4096);
    CHECK_EQ(grid_reload(r.g, c, &why), ERR_OK);
    config_unref(c);
    const struct target *alias = rig_target(&r, "local/smollm2");
    CHECK(alias && strcmp(alias->alias_of, "local/smollm2:135m") == 0);
    CHECK(!rig_want(&r, "local/smollm2", &a));
    rig_await(&r, &a, 10000);
    CHECK_EQ(a.e, ERR_ENGINE);
    CHECK(strstr(a.detail, "sha256"));
    CHECK_EQ(rig_pid(&r, "local/smollm2:135m"), 0);
    buf_done(&why);
    CHECK(rig_stop(&r));
}

TEST(engine_reload_keeps_the_child_of_a_model_that_stays) {
    struct rig r;
    struct reply a;
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "ok") MODEL("two", "ok")));
    CHECK(!rig_want(&r, "local/one", &a));
    rig_await(&r, &a, 20000);
    CHECK(!rig_want(&r, "local/two", &a));
    rig_await(&r, &a, 20000);
    int one = rig_pid(&r, "local/one"), two = rig_pid(&r, "local/two");
    struct config *c = config_make(&r, "keep_alive: 2h", MODEL("one", "ok"), NULL);
    struct buf why = BUF_INIT(4096);
    CHECK_EQ(grid_reload(r.g, c, &why), ERR_OK);
    config_unref(c);
    CHECK(!rig_target(&r, "local/two"));
    rig_turn_ms(&r, 2500);
    CHECK_EQ(rig_pid(&r, "local/one"), one);
    CHECK(pid_is_gone(two));
    buf_done(&why);
    CHECK(rig_stop(&r));
}

// ---- dying

static int pipe_pid(int fd) {
    int pid = 0;
    return read(fd, &pid, sizeof pid) == (ssize_t)sizeof pid ? pid : 0;
}

TEST(engine_kill_9_of_gridtie_leaves_nothing) {
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    pid_t daemon = fork();
    if (daemon == 0) {
        struct rig r;
        struct reply a;
        if (!rig_start(&r, "keep_alive: 1h", MODEL("one", "deaf")))
            _exit(1);
        (void)rig_want(&r, "local/one", &a);
        rig_await(&r, &a, 30000);
        int pid = rig_pid(&r, "local/one");
        if (write(ends[1], &pid, sizeof pid) < 0 || write(ends[1], r.dir, sizeof r.dir) < 0)
            _exit(1);
        for (;;)
            rig_turn(&r);
    }
    int server = pipe_pid(ends[0]), guard = parent_of(server);
    char dir[sizeof((struct rig *)0)->dir] = "";
    CHECK_EQ(read(ends[0], dir, sizeof dir), sizeof dir);
    CHECK(server > 0 && guard > 1);
    CHECK_EQ(kill(daemon, SIGKILL), 0);
    CHECK(await_gone(server, 2000));
    CHECK(await_gone(guard, 2000));
    CHECK_EQ(waitpid(daemon, NULL, 0), daemon);
    dir_remove(dir);
    close(ends[0]);
    close(ends[1]);
}

// The guard alone, as on a system without parent-death signals: EOF on stdin ends both.
TEST(engine_guard_ends_at_eof) {
    const char *exe = self_path();
    char ppid[32], path[64];
    snprintf(ppid, sizeof ppid, "%d", (int)getpid());
    snprintf(path, sizeof path, "/tmp/gridtie-test-%d.sock", (int)getpid());
    int in[2];
    CHECK_EQ(pipe(in), 0);
    pid_t guard = fork();
    if (guard == 0) {
        dup2(in[0], 0);
        close(in[0]);
        close(in[1]);
        execl(exe, "g", GUARD_FLAG, ppid, exe, "--host", path, "--fake", "ok", (char *)NULL);
        _exit(99);
    }
    close(in[0]);
    for (int i = 0; i < 500 && access(path, F_OK) != 0; i++)
        usleep(10000);
    CHECK_EQ(access(path, F_OK), 0);
    close(in[1]);
    int status = 0;
    CHECK_EQ(waitpid(guard, &status, 0), guard);
    CHECK_EQ(WEXITSTATUS(status), 128 + SIGTERM);
    (void)unlink(path);
}

// ---- any order

#define CHAOS_ORDERS 250 // in each of four tests
#define CHAOS_PER_RIG 125
#define CHAOS_STEPS 8
#define CHAOS_WANTS (CHAOS_PER_RIG * CHAOS_STEPS)

static const char chaos_engine[] = "memory: 700MiB\n  wait: 3s"; // for two of them
static const char *const chaos_models[] = {MODEL("a", "ok") MODEL("b", "slow") MODEL("c", "crash"),
                                           MODEL("a", "ok") MODEL("b", "slow"), MODEL("b", "slow") MODEL("c", "ok"),
                                           MODEL("a", "slow") MODEL("c", "crash")};

struct chaos {
    struct rig r;
    unsigned seed;
    struct reply answers[CHAOS_WANTS];
    int n;
};

static void chaos_reload(struct chaos *k) {
    struct config *c = config_make(&k->r, chaos_engine, chaos_models[rand_r(&k->seed) % 4], NULL);
    struct buf why = BUF_INIT(4096);
    if (!c || grid_reload(k->r.g, c, &why) != ERR_OK)
        unit_fail(__FILE__, __LINE__, "reload: %s", buf_cstr(&why));
    config_unref(c);
    buf_done(&why);
}

static void chaos_kill(struct chaos *k, const struct target *t, bool guard) {
    int pid = atomic_load(&t->live->engine_pid), above = pid > 0 ? parent_of(pid) : 0;
    if (pid > 0 && (!guard || above > 1))
        (void)kill(guard ? above : pid, SIGKILL);
    (void)k;
}

static void chaos_step(struct chaos *k) {
    static const char *const names[] = {"local/a", "local/b", "local/c"};
    const struct target *t = rig_target(&k->r, names[rand_r(&k->seed) % 3]);
    int what = rand_r(&k->seed) % 20;
    if (what < 5) {
        rig_turn_ms(&k->r, (uint64_t)(rand_r(&k->seed) % 40));
    } else if (what == 5) {
        chaos_reload(k);
    } else if (t && what < 13) {
        struct reply *a = &k->answers[k->n++];
        *a = (struct reply){.live = t->live};
        atomic_fetch_add(&t->live->in_flight, 1);
        const struct engine_ask ask = {.keep_ms = rand_r(&k->seed) % 4 ? KEEP_UNSET : rand_r(&k->seed) % 200,
                                       .elsewhere = rand_r(&k->seed) % 4 == 0,
                                       .watched = rand_r(&k->seed) % 2 == 0};
        a->n = engine_want(k->r.g, t, &ask, &k->r.l, answered, a);
    } else if (t && what < 15) {
        (void)engine_unload(k->r.g, t->model);
    } else if (t && what < 18) {
        chaos_kill(k, t, what == 17);
    } else if (t) {
        engine_suspect(k->r.g, t);
    }
    rig_turn(&k->r);
}

// Requests end, some soon and some late; what is loaded never exceeds the memory for two.
static void chaos_look(struct chaos *k, int one_in) {
    int ready = 0;
    for (int i = 0; i < k->n; i++) {
        struct reply *a = &k->answers[i];
        if (!a->live || a->n == 0 || rand_r(&k->seed) % one_in)
            continue;
        atomic_fetch_sub(&a->live->in_flight, 1);
        a->live = NULL;
    }
    for (size_t i = 0; i < k->r.snap->n_targets; i++)
        ready += atomic_load(&k->r.snap->targets[i].live->engine_pid) > 0;
    CHECK(ready <= 2);
}

static void chaos_run(struct chaos *k) {
    k->n = 0;
    CHECK(rig_start(&k->r, chaos_engine, chaos_models[0]));
    for (int i = 0; i < CHAOS_PER_RIG * CHAOS_STEPS; i++) {
        chaos_step(k);
        chaos_look(k, 3);
    }
    for (int i = 0; i < k->n; i++)
        rig_await(&k->r, &k->answers[i], 10000);
    chaos_look(k, 1);
    CHECK(rig_stop(&k->r));
    for (int i = 0; i < k->n; i++)
        if (k->answers[i].n != 1)
            FAIL("question %d has %d answers", i, k->answers[i].n);
    for (uint64_t end = clock_mono_ms() + 5000; processes_of(&k->r) > 0 && clock_mono_ms() < end;)
        usleep(5000);
    CHECK_EQ(processes_of(&k->r), 0);
}

// Each order of requests, unloads, kills of servers and guards, suspicions, reloads and pauses, over three models of which
// two have room, ends with one answer for each request and without a process.
static void chaos(unsigned seed) {
    struct chaos *k = mem_zalloc(sizeof *k);
    CHECK(k);
    k->seed = seed;
    for (int i = 0; i < CHAOS_ORDERS; i += CHAOS_PER_RIG)
        chaos_run(k);
    mem_free(k);
}

#define CHAOS(seed_)                                                           \
    TEST(engine_any_order_leaves_no_orphan_and_no_unanswered_waiter_##seed_) { \
        chaos(seed_);                                                          \
    }
CHAOS(1)
CHAOS(2)
CHAOS(3)
CHAOS(4)

// ---- other threads

struct asker {
    struct rig *r;
    struct loop l;
    struct reply a[50];
    _Atomic int answered;
    pthread_t thread;
};

static void asker_answered(void *arg, enum err e, const char *detail) {
    (void)detail;
    struct asker *k = arg;
    int n = atomic_fetch_add(&k->answered, 1);
    k->a[n].e = e;
    if (n + 1 == 50)
        loop_stop(&k->l);
}

static void *asker_run(void *arg) {
    struct asker *k = arg;
    const struct target *t = rig_target(k->r, "local/one");
    atomic_fetch_add(&t->live->in_flight, 1);
    for (int i = 0; i < 50; i++) {
        if (i % 10 == 9)
            (void)engine_unload(k->r->g, SLICE("one"));
        if (i % 10 == 5)
            engine_suspect(k->r->g, t);
        if (engine_want(k->r->g, t, &plain_ask, &k->l, asker_answered, k))
            asker_answered(k, ERR_OK, "");
        (void)uv_run(&k->l.uv, UV_RUN_NOWAIT);
    }
    if (atomic_load(&k->answered) < 50)
        loop_run(&k->l);
    atomic_fetch_sub(&t->live->in_flight, 1);
    return NULL;
}

TEST(engine_answers_on_the_loop_that_asked) {
    struct rig r;
    static struct asker askers[2];
    CHECK(rig_start(&r, "keep_alive: 1h", MODEL("one", "slow")));
    for (unsigned i = 0; i < 2; i++) {
        askers[i].r = &r;
        CHECK_EQ(loop_init(&askers[i].l, i + 1), ERR_OK);
        CHECK_EQ(pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]), 0);
    }
    for (uint64_t end = clock_mono_ms() + 20000; clock_mono_ms() < end;) {
        rig_turn(&r);
        if (atomic_load(&askers[0].answered) == 50 && atomic_load(&askers[1].answered) == 50)
            break;
    }
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(atomic_load(&askers[i].answered), 50);
        pthread_join(askers[i].thread, NULL);
        loop_done(&askers[i].l);
        for (int k = 0; k < 50; k++)
            CHECK_EQ(askers[i].a[k].e, ERR_OK);
    }
    CHECK(rig_stop(&r));
}

// ---- the real one

TEST(engine_serves_with_the_real_llama_server) {
    struct buf cache = BUF_INIT(4096);
    unsetenv("GRIDTIE_CACHE");
    fs_cache_dir(&cache);
    char binary[4096], weights[4096], models[8192];
    snprintf(binary, sizeof binary, "%s/bin/llama-server", buf_cstr(&cache));
    snprintf(weights, sizeof weights, "%s/models/tiny-random.gguf", buf_cstr(&cache));
    buf_done(&cache);
    if (access(binary, X_OK) != 0 || access(weights, R_OK) != 0)
        SKIP("no llama-server or weights: tools/setup engine");
    struct rig r;
    struct reply a;
    snprintf(models, sizeof models, "    - {name: tiny, file: %s}\n", weights);
    CHECK(rig_start_with(&r, "context: 512", models, binary));
    const struct target *t = rig_target(&r, "local/tiny");
    CHECK(t && t->context > 0 && t->size_bytes > 0);
    CHECK(!rig_want(&r, "local/tiny", &a));
    rig_await(&r, &a, 60000);
    CHECK_STREQ(a.detail, "");
    CHECK_EQ(a.e, ERR_OK);
    const struct target *smol = rig_target(&r, "local/smollm2"); // of the index: its sha256 is checked
    if (smol) {
        CHECK(!rig_want(&r, "local/smollm2", &a));
        rig_await(&r, &a, 60000);
        CHECK_STREQ(a.detail, "");
        CHECK(smol->caps_known && slice_is(smol->quantization, "Q4_1") && slice_is(smol->family, "llama"));
    }
    CHECK(rig_stop(&r));
}
