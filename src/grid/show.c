// SPDX-License-Identifier: Apache-2.0
// What people see of the grid: JSON for `gridtie ps` and `gridtie endpoints`. From the current snapshot and atomics only,
// on any thread; a key never comes near it.
#include <stdio.h>
#include "base/clock.h"
#include "base/json.h"
#include "grid/health.h"
#include "grid/inner.h"
#include "grid/options.h"

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

static void draft_put(struct json_writer *w, const struct target_live *live) {
    static const char *const names[] = {
        [DRAFT_NONE] = NULL, [DRAFT_ASKED] = "unknown", [DRAFT_WORKS] = "works", [DRAFT_REFUSED] = "refused"};
    const char *state = names[LOAD(live->engine_draft)];
    json_key(w, "draft");
    if (!state) {
        json_put_null(w);
        return;
    }
    json_obj(w);
    json_kv_cstr(w, "state", state);
    json_kv_int(w, "tokens", (int64_t)LOAD(live->draft_tokens));
    json_kv_int(w, "accepted", (int64_t)LOAD(live->draft_accepted));
    json_obj_end(w);
}

static void memory_put(struct json_writer *w, const struct target *t) {
    int64_t at = LOAD(t->live->engine_expires_s);
    json_kv_int(w, "memory_bytes", LOAD(t->live->engine_memory_bytes));
    json_kv_int(w, "estimated_bytes", LOAD(t->live->engine_estimate_bytes));
    json_kv_int(w, "vram_bytes", LOAD(t->live->engine_vram_bytes));
    json_kv_int(w, "size_bytes", t->size_bytes);
    json_kv_int(w, "load_ms", LOAD(t->live->engine_load_ms));
    json_kv_int(w, "evictions", (int64_t)LOAD(t->live->engine_evictions));
    json_kv_bool(w, "pinned", LOAD(t->live->engine_pinned));
    if (at == ENGINE_NEVER)
        json_kv_null(w, "expires_at");
    else
        json_kv_int(w, "expires_at", at);
}

// Who is counted in may still wait for the load, or for a slot.
static void slots_put(struct json_writer *w, const struct target_live *live) {
    int in_flight = LOAD(live->in_flight), slots = LOAD(live->engine_slots);
    bool ready = LOAD(live->engine_state) == ENGINE_READY;
    json_kv_int(w, "in_flight", in_flight);
    json_kv_int(w, "slots", slots);
    json_kv_int(w, "slots_busy", !ready ? 0 : in_flight < slots ? in_flight : slots);
}

static void ps_row(struct json_writer *w, const struct target *t) {
    const struct target_live *live = t->live;
    int64_t token_ns = LOAD(live->stats.per_token_ns);
    json_obj(w);
    json_kv_str(w, "name", t->model);
    json_kv_cstr(w, "target", t->name);
    json_kv_cstr(w, "state", engine_state_name(LOAD(live->engine_state)));
    json_kv_int(w, "pid", LOAD(live->engine_pid));
    json_kv_str(w, "socket", t->unix_path);
    json_kv_int(w, "since", LOAD(live->engine_since_s));
    json_kv_int(w, "starts", LOAD(live->engine_restarts));
    json_kv_int(w, "context", t->context);
    json_kv_int(w, "requests", (int64_t)LOAD(live->requests));
    json_kv_int(w, "failures", (int64_t)LOAD(live->failures));
    slots_put(w, live);
    json_kv_int(w, "input_tokens", (int64_t)LOAD(live->input_tokens));
    json_kv_int(w, "cached_tokens", (int64_t)LOAD(live->cached_tokens));
    json_kv_int(w, "output_tokens", (int64_t)LOAD(live->output_tokens));
    if (token_ns > 0)
        json_kv_num(w, "tokens_per_s", 1e9 / (double)token_ns);
    else
        json_kv_null(w, "tokens_per_s");
    draft_put(w, live);
    memory_put(w, t);
    json_obj_end(w);
}

void grid_ps_json(struct grid *g, struct buf *out) {
    struct snapshot *s = grid_snapshot(g);
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_int(&w, "budget_bytes", engine_budget_bytes(&s->config->engine));
    json_kv_int(&w, "vram_budget_bytes", LOAD(*lives_card_budget(g->lives)));
    json_key(&w, "models");
    json_arr(&w);
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (t->endpoint->engine && !t->alias_of && LOAD(t->live->engine_state) != ENGINE_OFF)
            ps_row(&w, t);
    }
    json_arr_end(&w);
    json_obj_end(&w);
    snapshot_unref(s);
}

static void url_put(struct json_writer *w, const struct endpoint *e) {
    struct buf url = BUF_INIT(4096);
    const struct origin *o = &e->origin;
    if (o->unix_path.n)
        buf_printf(&url, "unix:%.*s%.*s", SLICE_FMT(o->unix_path), SLICE_FMT(e->base_path));
    else
        buf_printf(&url, "%s://%.*s:%u%.*s", o->tls ? "https" : "http", SLICE_FMT(o->host), o->port,
                   SLICE_FMT(e->base_path));
    if (e->engine)
        json_kv_null(w, "url");
    else
        json_kv_str(w, "url", buf_slice(&url));
    buf_done(&url);
}

// The last thing that went wrong, asking for models or talking to one; while it is still true or a target's count shows it.
struct trouble {
    int64_t wall_us;
    enum err err;
    int status;
    struct slice model; // empty: the question for models
};

static struct trouble trouble_of(const struct snapshot *s, size_t endpoint) {
    const struct endpoint_live *live = snapshot_endpoint_live(s, endpoint);
    struct trouble last = {0};
    if (LOAD(live->probe_failures) > 0)
        last = (struct trouble){LOAD(live->last_error_us), (enum err)LOAD(live->last_err), LOAD(live->last_status),
                                SLICE_NONE};
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        int64_t at = LOAD(t->live->last_error_wall_us);
        if (t->endpoint == s->endpoints[endpoint] && !t->alias_of && at > last.wall_us)
            last = (struct trouble){at, (enum err)LOAD(t->live->last_err), 0, t->model};
    }
    return last;
}

static void error_put(struct json_writer *w, const struct snapshot *s, size_t endpoint) {
    struct trouble last = trouble_of(s, endpoint);
    if (last.wall_us == 0) {
        json_kv_null(w, "last_error");
        return;
    }
    struct buf when = BUF_INIT(64);
    clock_append_rfc3339(&when, last.wall_us);
    json_key(w, "last_error");
    json_obj(w);
    json_kv_cstr(w, "error", err_name(last.err));
    json_kv_cstr(w, "text", err_row(last.err)->text);
    json_kv_int(w, "status", last.status);
    if (last.model.n)
        json_kv_str(w, "model", last.model);
    json_kv_str(w, "at", buf_slice(&when));
    json_obj_end(w);
    buf_done(&when);
}

struct sums {
    int64_t in_flight;
    uint64_t requests, failures;
    double first_ms, weight; // of the recent times to the first token
};

static void sums_add(struct sums *sums, const struct target_live *live) {
    int64_t first_us = LOAD(live->stats.first_event_us);
    uint64_t requests = LOAD(live->requests);
    sums->in_flight += LOAD(live->in_flight);
    sums->requests += requests;
    sums->failures += LOAD(live->failures);
    if (first_us == 0)
        return;
    double weight = requests < 100 ? (double)requests : 100;
    sums->first_ms += (double)first_us / 1000 * weight;
    sums->weight += weight;
}

static struct sums models_put(struct json_writer *w, const struct snapshot *s, const struct endpoint *e) {
    struct sums sums = {0};
    json_key(w, "models");
    json_arr(w);
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (t->endpoint != e || t->alias_of)
            continue;
        json_put_str(w, t->model);
        sums_add(&sums, t->live);
    }
    json_arr_end(w);
    return sums;
}

// The local engine is not probed: how it is follows from what its servers do.
static const char *engine_word(const struct snapshot *s, const struct endpoint *e) {
    size_t n[ENGINE_FAILED + 1] = {0};
    for (size_t i = 0; i < s->n_targets; i++)
        if (s->targets[i].endpoint == e && !s->targets[i].alias_of)
            n[LOAD(s->targets[i].live->engine_state) & 3]++;
    if (n[ENGINE_READY])
        return "ready";
    if (n[ENGINE_STARTING])
        return "loading";
    return n[ENGINE_FAILED] ? "failed" : "idle";
}

static bool is_sick(const struct target *t) {
    return t->endpoint->engine ? LOAD(t->live->engine_state) == ENGINE_FAILED : LOAD(t->live->health.sick);
}

// Models that are sick though their endpoint may be well.
static void sick_put(struct json_writer *w, const struct snapshot *s, const struct endpoint *e) {
    json_key(w, "failing_models");
    json_arr(w);
    for (size_t i = 0; i < s->n_targets; i++)
        if (s->targets[i].endpoint == e && !s->targets[i].alias_of && is_sick(&s->targets[i]))
            json_put_str(w, s->targets[i].model);
    json_arr_end(w);
}

static void latency_put(struct json_writer *w, const struct sums *sums, const struct endpoint_live *live) {
    int64_t probe_us = LOAD(live->probe_us);
    if (sums->weight > 0)
        json_kv_num(w, "first_token_ms", sums->first_ms / sums->weight);
    else
        json_kv_null(w, "first_token_ms");
    int64_t version = LOAD(live->version);
    if (version > 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "%d.%d.%d", (int)(version >> 40), (int)(version >> 20 & 0xfffff),
                       (int)(version & 0xfffff));
        json_kv_cstr(w, "version", text);
    }
    if (probe_us > 0)
        json_kv_num(w, "probe_ms", (double)probe_us / 1000);
    else
        json_kv_null(w, "probe_ms");
}

static const char *found_by(const struct endpoint *e) {
    switch (e->found_by) {
    case FOUND_BY_KEY:
        return e->provider->key_env;
    case FOUND_BY_PORT:
        return "port";
    case FOUND_BY_CONFIG:
        break;
    }
    return e->engine ? "engine" : "config";
}

static void endpoint_row(struct json_writer *w, const struct snapshot *s, size_t i) {
    const struct endpoint *e = s->endpoints[i];
    json_obj(w);
    json_kv_cstr(w, "name", e->name);
    json_kv_cstr(w, "provider", e->provider->name);
    json_kv_cstr(w, "dialect", dialect_get(e->provider->dialect)->name);
    url_put(w, e);
    json_kv_cstr(w, "zone", zone_name(e->zone));
    json_kv_cstr(w, "found_by", found_by(e));
    json_kv_bool(w, "retention", e->retention);
    json_kv_bool(w, "any_model", snapshot_endpoint_open(s, i));
    struct sums sums = models_put(w, s, e);
    const struct endpoint_live *live = snapshot_endpoint_live(s, i);
    json_kv_cstr(w, "health", e->engine ? engine_word(s, e) : health_name(endpoint_health(s, i)));
    json_kv_int(w, "relapses", LOAD(live->health.flaps));
    json_kv_int(w, "next_try_ms", health_wait_ms(&live->health, clock_mono_ms()));
    sick_put(w, s, e);
    latency_put(w, &sums, live);
    json_kv_int(w, "in_flight", sums.in_flight);
    json_kv_int(w, "requests", (int64_t)sums.requests);
    json_kv_int(w, "failures", (int64_t)sums.failures);
    error_put(w, s, i);
    json_obj_end(w);
}

void grid_endpoints_json(struct grid *g, struct buf *out) {
    struct snapshot *s = grid_snapshot(g);
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_key(&w, "endpoints");
    json_arr(&w);
    for (size_t i = 0; i < s->n_endpoints; i++)
        endpoint_row(&w, s, i);
    json_arr_end(&w);
    json_obj_end(&w);
    snapshot_unref(s);
}
