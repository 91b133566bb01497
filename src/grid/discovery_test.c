// SPDX-License-Identifier: Apache-2.0
// A grid that discovers what a small server on loopback has: open before, closed after; the credential goes with the
// question and nowhere else; what is on a cloud behind Ollama is cloud; a reload keeps what was found.
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "grid/grid.h"
#include "unit.h"

struct upstream {
    int fd;
    unsigned port;
    const char *_Atomic body;
    _Atomic int status, asked;
    char last[4096];
    pthread_t thread;
};

static void *upstream_run(void *arg) {
    struct upstream *u = arg;
    for (;;) {
        int c = accept(u->fd, NULL, NULL);
        if (c < 0)
            return NULL;
        ssize_t n = read(c, u->last, sizeof u->last - 1);
        u->last[n > 0 ? n : 0] = '\0';
        atomic_fetch_add(&u->asked, 1);
        dprintf(c, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", atomic_load(&u->status),
                strlen(atomic_load(&u->body)), atomic_load(&u->body));
        close(c);
    }
}

static bool upstream_start(struct upstream *u, int status, const char *body) {
    *u = (struct upstream){.fd = socket(AF_INET, SOCK_STREAM, 0)};
    atomic_store(&u->status, status);
    atomic_store(&u->body, body);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    if (bind(u->fd, (struct sockaddr *)&a, len) != 0 || listen(u->fd, 16) != 0)
        return false;
    if (getsockname(u->fd, (struct sockaddr *)&a, &len) != 0)
        return false;
    u->port = ntohs(a.sin_port);
    return pthread_create(&u->thread, NULL, upstream_run, u) == 0;
}

static void upstream_stop(struct upstream *u) {
    shutdown(u->fd, SHUT_RDWR);
    pthread_join(u->thread, NULL);
    close(u->fd);
}

struct rig {
    struct loop l;
    struct grid *g;
    struct snapshot *snap;
    int changes;
    bool closed;
};

static void rig_changed(void *ctx, struct snapshot *s) {
    struct rig *r = ctx;
    snapshot_unref(r->snap);
    r->snap = s;
    r->changes++;
}

static void rig_closed(void *ctx) {
    ((struct rig *)ctx)->closed = true;
}

static struct config *config_make(const char *provider, unsigned port, const char *more) {
    struct buf yaml = BUF_INIT(4096), why = BUF_INIT(4096);
    struct config *c = NULL;
    bool base = strcmp(provider, "ollama") != 0;
    buf_printf(
        &yaml,
        "discovery: off\nengine: {enabled: false}\nendpoints:\n  - {name: up, provider: %s, url: \"http://127.0.0.1:%u%s\", "
        "key: planted-canary%s}\n",
        provider, port, base ? "/v1" : "", more);
    if (config_load_text(buf_slice(&yaml), "t.yaml", "/tmp", &c, &why) != ERR_OK)
        unit_fail(__FILE__, __LINE__, "%s", buf_cstr(&why));
    buf_done(&yaml);
    buf_done(&why);
    return c;
}

static bool rig_start(struct rig *r, const char *provider, unsigned port, const char *more) {
    *r = (struct rig){0};
    log_set_level(LOG_ERROR);
    struct buf why = BUF_INIT(4096);
    struct config *c = config_make(provider, port, more);
    bool ok =
        c && loop_init(&r->l, 0) == ERR_OK && grid_new(&r->l, c, "/tmp", "/tmp", rig_changed, r, &r->g, &why) == ERR_OK;
    config_unref(c);
    if (!ok)
        unit_fail(__FILE__, __LINE__, "%s", buf_cstr(&why));
    buf_done(&why);
    return ok;
}

static void rig_stop(struct rig *r) {
    grid_close(r->g, rig_closed, r);
    while (!r->closed)
        (void)uv_run(&r->l.uv, UV_RUN_ONCE);
    snapshot_unref(r->snap);
    loop_done(&r->l);
}

static bool rig_await_changes(struct rig *r, int n) {
    for (uint64_t end = clock_mono_ms() + 8000; r->changes < n && clock_mono_ms() < end; usleep(1000))
        (void)uv_run(&r->l.uv, UV_RUN_NOWAIT);
    return r->changes >= n;
}

TEST(discovery_closes_an_open_endpoint) {
    struct upstream u;
    struct rig r;
    struct arena a;
    arena_init(&a, 65536, 0);
    CHECK(upstream_start(&u, 200, "{\"data\":[{\"id\":\"big\"},{\"id\":\"small\"}]}"));
    CHECK(rig_start(&r, "vllm", u.port, ""));
    const struct target *t = snapshot_open_target(r.snap, SLICE("up/whatever/x"), &a);
    CHECK(t && slice_is(t->model, "whatever/x") && t->zone == ZONE_EDGE && t->live);
    CHECK(!snapshot_open_target(r.snap, SLICE("other/x"), &a));
    CHECK(rig_await_changes(&r, 2));
    CHECK_EQ(r.snap->n_targets, 2);
    CHECK(snapshot_target(r.snap, SLICE("up/big")));
    CHECK(!snapshot_open_target(r.snap, SLICE("up/whatever"), &a));
    CHECK_EQ(atomic_load(&u.asked), 1); // what its thread wrote before is ours to read
    CHECK(strstr(u.last, "GET /v1/models ") && strstr(u.last, "Bearer planted-canary"));
    struct buf out = BUF_INIT(65536);
    grid_endpoints_json(r.g, &out);
    CHECK(slice_search(buf_slice(&out), SLICE("\"health\":\"ok\"")) != SIZE_MAX);
    CHECK(slice_search(buf_slice(&out), SLICE("planted-canary")) == SIZE_MAX);
    buf_done(&out);
    rig_stop(&r);
    upstream_stop(&u);
    arena_done(&a);
}

TEST(discovery_survives_a_reload) {
    struct upstream u;
    struct rig r;
    CHECK(upstream_start(&u, 200, "{\"models\":[{\"name\":\"qwen3:8b\"},{\"name\":\"big:cloud\"}]}"));
    CHECK(rig_start(&r, "ollama", u.port, ""));
    CHECK(rig_await_changes(&r, 2));
    CHECK_EQ(snapshot_target(r.snap, SLICE("up/qwen3:8b"))->zone, ZONE_EDGE);
    CHECK_EQ(snapshot_target(r.snap, SLICE("up/big:cloud"))->zone, ZONE_CLOUD);
    struct config *c = config_make("ollama", u.port, "");
    struct buf why = BUF_INIT(4096);
    struct target_live *live = snapshot_target(r.snap, SLICE("up/qwen3:8b"))->live;
    CHECK_EQ(grid_reload(r.g, c, &why), ERR_OK);
    CHECK_EQ(r.changes, 3);
    CHECK(snapshot_target(r.snap, SLICE("up/qwen3:8b")));
    CHECK(snapshot_target(r.snap, SLICE("up/qwen3:8b"))->live == live);
    CHECK_EQ(atomic_load(&u.asked), 1);
    config_unref(c);
    c = config_make("ollama", u.port, ", models: [{name: mine, context: 99}]");
    CHECK_EQ(grid_reload(r.g, c, &why), ERR_OK);
    CHECK(r.snap && r.snap->n_targets == 1);
    CHECK_EQ(snapshot_target(r.snap, SLICE("up/mine"))->context, 99);
    config_unref(c);
    buf_done(&why);
    rig_stop(&r);
    upstream_stop(&u);
}

TEST(discovery_failure_is_shown_and_leaves_it_open) {
    struct upstream u;
    struct rig r;
    struct arena a;
    arena_init(&a, 65536, 0);
    CHECK(upstream_start(&u, 500, "{}"));
    CHECK(rig_start(&r, "openai", u.port, ""));
    for (uint64_t end = clock_mono_ms() + 8000; atomic_load(&u.asked) == 0 && clock_mono_ms() < end; usleep(1000))
        (void)uv_run(&r.l.uv, UV_RUN_NOWAIT);
    for (int i = 0; i < 100; i++, usleep(1000))
        (void)uv_run(&r.l.uv, UV_RUN_NOWAIT);
    struct buf out = BUF_INIT(65536);
    grid_endpoints_json(r.g, &out);
    CHECK(slice_search(buf_slice(&out), SLICE("\"health\":\"failing\"")) != SIZE_MAX);
    CHECK(slice_search(buf_slice(&out), SLICE("\"status\":500")) != SIZE_MAX);
    CHECK(snapshot_open_target(r.snap, SLICE("up/whatever"), &a));
    CHECK_EQ(r.changes, 1);
    buf_done(&out);
    rig_stop(&r);
    upstream_stop(&u);
    arena_done(&a);
}

TEST(discovery_of_another_gridtie_never_brings_a_model_nearer) {
    struct upstream u;
    struct rig r;
    CHECK(upstream_start(&u, 200,
                         "{\"data\":[{\"id\":\"local/a\",\"zone\":\"device\"},{\"id\":\"openai/b\",\"zone\":\"cloud\"},"
                         "{\"id\":\"c\"}]}"));
    CHECK(rig_start(&r, "gridtie", u.port, ", zone: edge"));
    CHECK(rig_await_changes(&r, 2));
    CHECK_EQ(snapshot_target(r.snap, SLICE("up/local/a"))->zone, ZONE_EDGE);
    CHECK_EQ(snapshot_target(r.snap, SLICE("up/openai/b"))->zone, ZONE_CLOUD);
    CHECK_EQ(snapshot_target(r.snap, SLICE("up/c"))->zone, ZONE_EDGE);
    rig_stop(&r);
    upstream_stop(&u);
}
