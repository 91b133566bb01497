// SPDX-License-Identifier: Apache-2.0
// What people see of the grid: JSON for `gridtie ps` and `gridtie endpoints`. From the current snapshot and atomics only,
// on any thread; a key never comes near it.
#include "base/clock.h"
#include "base/json.h"
#include "grid/health.h"
#include "grid/inner.h"

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

static void ps_row(struct json_writer *w, const struct target *t) {
    const struct target_live *live = t->live;
    json_obj(w);
    json_kv_str(w, "name", t->model);
    json_kv_cstr(w, "target", t->name);
    json_kv_cstr(w, "state", engine_state_name(LOAD(live->engine_state)));
    json_kv_int(w, "pid", LOAD(live->engine_pid));
    json_kv_str(w, "socket", t->unix_path);
    json_kv_int(w, "since", LOAD(live->engine_since_s));
    json_kv_int(w, "starts", LOAD(live->engine_restarts));
    json_kv_int(w, "requests", (int64_t)LOAD(live->requests));
    json_kv_int(w, "failures", (int64_t)LOAD(live->failures));
    json_kv_int(w, "in_flight", LOAD(live->in_flight));
    json_kv_int(w, "input_tokens", (int64_t)LOAD(live->input_tokens));
    json_kv_int(w, "output_tokens", (int64_t)LOAD(live->output_tokens));
    json_kv_int(w, "memory_bytes", LOAD(live->engine_memory_bytes));
    json_kv_int(w, "size_bytes", t->size_bytes);
    json_kv_int(w, "expires_at", LOAD(live->engine_expires_s));
    json_obj_end(w);
}

void grid_ps_json(struct grid *g, struct buf *out) {
    struct snapshot *s = grid_snapshot(g);
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
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

static void error_put(struct json_writer *w, const struct endpoint_live *live) {
    int64_t at = LOAD(live->last_error_us);
    if (at == 0 || LOAD(live->probe_failures) == 0) {
        json_kv_null(w, "last_error");
        return;
    }
    struct buf when = BUF_INIT(64);
    clock_append_rfc3339(&when, at);
    json_key(w, "last_error");
    json_obj(w);
    json_kv_cstr(w, "error", err_name((enum err)LOAD(live->last_err)));
    json_kv_cstr(w, "text", err_row((enum err)LOAD(live->last_err))->text);
    json_kv_int(w, "status", LOAD(live->last_status));
    json_kv_str(w, "at", buf_slice(&when));
    json_obj_end(w);
    buf_done(&when);
}

struct sums {
    int64_t in_flight;
    uint64_t requests, failures;
};

static struct sums models_put(struct json_writer *w, const struct snapshot *s, const struct endpoint *e) {
    struct sums sums = {0};
    json_key(w, "models");
    json_arr(w);
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (t->endpoint != e || t->alias_of)
            continue;
        json_put_str(w, t->model);
        sums.in_flight += LOAD(t->live->in_flight);
        sums.requests += LOAD(t->live->requests);
        sums.failures += LOAD(t->live->failures);
    }
    json_arr_end(w);
    return sums;
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
    json_kv_cstr(w, "health", health_name(endpoint_health(s, i)));
    json_kv_int(w, "in_flight", sums.in_flight);
    json_kv_int(w, "requests", (int64_t)sums.requests);
    json_kv_int(w, "failures", (int64_t)sums.failures);
    error_put(w, snapshot_endpoint_live(s, i));
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
