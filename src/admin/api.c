// SPDX-License-Identifier: Apache-2.0
// The daemon's own API under /gridtie/v1, and /healthz, /metrics, /. Questions to the ledger run off the loop; a client
// that leaves meanwhile only loses its answer. Answers are JSON; errors have the OpenAI shape.
#include "admin/errand.h"
#include <unistd.h>
#include "admin/models.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "switch/sink.h"
#include "version.h"

#define PAGE_BYTES (64u << 20)
#define PAGE_TARGETS 30 // of more, the metrics alone would take a loop over 1 ms

void api_respond_json(struct conn *c, int status, struct buf *body) {
    // Tells another gridtie that looks at this port that it is one of its kind (grid/scan.c).
    static const struct header version = {SLICE("x-gridtie-version"), SLICE(GRIDTIE_VERSION)};
    static const struct headers extra = {&version, 1};
    conn_give(c, status, "application/json", &extra, body);
}

void api_respond_error(struct conn *c, struct slice path, enum err e, const char *message) {
    struct buf out = BUF_INIT(16384);
    struct problem p = PROBLEM(e);
    int status = err_row(e)->status;
    p.message = slice_str(message);
    dialect_for_error(path)->write_error(&p, SLICE_NONE, &out, &status);
    api_respond_json(c, status, &out);
    buf_done(&out);
}

// ---- pages

struct page {
    struct errand errand; // first
    const struct daemon *d;
    struct snapshot *snap; // a reference
    const char *content_type;
    api_page_fn *write;
};

static struct page *page_of(struct errand *e) {
    return (struct page *)(void *)e;
}

static void page_work(struct errand *e) {
    page_of(e)->write(page_of(e)->d, page_of(e)->snap, &e->out);
}

static void page_done(struct errand *e) {
    if (e->err || strcmp(page_of(e)->content_type, "application/json") == 0)
        errand_answer(e, NULL);
    else if (e->conn)
        conn_give(e->conn, 200, page_of(e)->content_type, NULL, &e->out);
}

static void page_drop(struct errand *e) {
    snapshot_unref(page_of(e)->snap);
    errand_free(e);
}

void api_page(struct shift *s, struct conn *c, const char *content_type, api_page_fn *write) {
    struct page *p = mem_zalloc(sizeof *p);
    if (!p) {
        errand_start(s, c, NULL);
        return;
    }
    p->errand = (struct errand){
        .path = "/gridtie", .out = BUF_INIT(PAGE_BYTES), .work = page_work, .done = page_done, .drop = page_drop};
    p->d = s->d;
    p->snap = snapshot_ref(s->worker.snap);
    p->content_type = content_type;
    p->write = write;
    if (p->snap->n_targets > PAGE_TARGETS)
        errand_start(s, c, &p->errand);
    else
        errand_run(c, &p->errand);
}

// ---- questions to the ledger

enum question { ASK_WHY, ASK_LOG, ASK_TOTALS };

struct call {
    struct errand errand; // first
    struct ledger *ledger;
    enum question question;
    struct log_filter filter;
    char id[64], model[256], target[256], status[16];
};

static void call_work(struct errand *e) {
    struct call *k = (struct call *)(void *)e;
    switch (k->question) {
    case ASK_WHY:
        e->err = ledger_why(k->ledger, slice_str(k->id), &e->out);
        break;
    case ASK_LOG:
        e->err = ledger_log(k->ledger, &k->filter, &e->out);
        break;
    case ASK_TOTALS:
        e->err = ledger_totals(k->ledger, &e->out);
        break;
    }
}

static void call_done(struct errand *e) {
    errand_answer(e, e->err == ERR_NOT_FOUND ? "no request of that id is recorded" : NULL);
}

static struct call *call_new(struct shift *s, enum question q) {
    struct call *k = mem_zalloc(sizeof *k);
    if (!k)
        return NULL;
    k->errand = (struct errand){.path = "/gridtie", .out = BUF_INIT(64u << 20), .work = call_work, .done = call_done};
    k->ledger = s->d->ledger;
    k->question = q;
    k->filter.limit = 50;
    return k;
}

static void call_start(struct shift *s, struct conn *c, struct call *k) {
    errand_start(s, c, k ? &k->errand : NULL);
}

// ---- query strings

struct slice api_query(struct slice query, const char *name, char *to, size_t room) {
    while (query.n) {
        struct slice value = slice_split(&query, '&'), key = slice_split(&value, '=');
        if (slice_is(key, name))
            return slice_of(to, slice_percent_decode(value, to, room));
    }
    return SLICE_NONE;
}

static void serve_why(struct shift *s, struct conn *c, struct slice id) {
    struct call *k = call_new(s, ASK_WHY);
    if (k && id.n < sizeof k->id)
        memcpy(k->id, id.p, id.n);
    call_start(s, c, k);
}

static void serve_log(struct shift *s, struct conn *c, struct slice query) {
    struct call *k = call_new(s, ASK_LOG);
    char number[24];
    uint64_t v;
    if (k) {
        if (slice_u64(api_query(query, "limit", number, sizeof number), &v) && v <= 1000)
            k->filter.limit = (int64_t)v;
        if (slice_u64(api_query(query, "since", number, sizeof number), &v) && v < INT64_MAX / 1000000)
            k->filter.since_us = (int64_t)v * 1000000;
        k->filter.model = api_query(query, "model", k->model, sizeof k->model);
        k->filter.target = api_query(query, "target", k->target, sizeof k->target);
        k->filter.status = api_query(query, "status", k->status, sizeof k->status);
    }
    call_start(s, c, k);
}

// ---- state of the daemon

static void serve_status(struct shift *s, struct conn *c) {
    struct buf out = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&out);
    struct daemon *d = s->d;
    unsigned live = 0;
    for (unsigned i = 0; i < d->n_shifts; i++)
        live += atomic_load_explicit(&d->shifts[i].worker.n_live, memory_order_relaxed);
    json_obj(&w);
    json_kv_cstr(&w, "version", GRIDTIE_VERSION);
    json_kv_int(&w, "pid", getpid());
    json_kv_int(&w, "uptime_s", clock_wall_s() - d->start_wall_s);
    json_kv_raw(&w, "listen", buf_slice(&d->listening));
    json_kv_int(&w, "loops", d->n_shifts);
    json_kv_cstr(&w, "config", d->config_path);
    json_kv_int(&w, "targets", (int64_t)s->worker.snap->n_targets);
    json_kv_int(&w, "in_flight", live);
    json_kv_bool(&w, "draining", s->worker.draining);
    json_obj_end(&w);
    api_respond_json(c, 200, &out);
    buf_done(&out);
}

static void serve_grid(struct shift *s, struct conn *c, void (*write)(struct grid *, struct buf *)) {
    struct buf out = BUF_INIT(16u << 20);
    write(s->worker.grid, &out);
    api_respond_json(c, 200, &out);
    buf_done(&out);
}

static void models_write(const struct daemon *d, const struct snapshot *snap, struct buf *out) {
    static const char *const states[] = {"off", "starting", "ready", "failed"};
    struct json_writer w = JSON_WRITER(out);
    (void)d;
    json_obj(&w);
    json_key(&w, "models");
    json_arr(&w);
    for (size_t i = 0; i < snap->n_targets; i++) {
        const struct target *t = &snap->targets[i];
        json_obj(&w);
        json_kv_cstr(&w, "name", t->name);
        json_kv_str(&w, "model", t->model);
        json_kv_cstr(&w, "endpoint", t->endpoint->name);
        json_kv_cstr(&w, "zone", zone_name(t->zone));
        target_facts_json(t, &w);
        if (t->endpoint->engine)
            json_kv_cstr(&w, "state", states[atomic_load_explicit(&t->live->engine_state, memory_order_relaxed) & 3]);
        if (t->source)
            json_kv_cstr(&w, "source", t->source);
        json_kv_int(&w, "size_bytes", t->size_bytes);
        json_kv_str(&w, "quantization", t->quantization);
        json_obj_end(&w);
    }
    json_arr_end(&w);
    json_obj_end(&w);
}

// ---- things that the main thread does

struct order {
    struct daemon *d;
    struct shift *s;
    struct guest guest;
    struct conn *conn;
    struct buf problems;
    bool ok;
};

static void order_gone(struct guest *g) {
    ((struct order *)(void *)((char *)g - offsetof(struct order, guest)))->conn = NULL;
}

static void reload_answer(void *arg) {
    struct order *o = arg;
    if (o->conn)
        conn_set_user(o->conn, NULL);
    if (o->conn && o->ok)
        conn_respond(o->conn, 200, "application/json", NULL, SLICE("{\"reloaded\":true}"));
    else if (o->conn)
        api_respond_error(o->conn, SLICE("/gridtie"), ERR_BAD_FIELD, buf_cstr(&o->problems));
    buf_done(&o->problems);
    mem_free(o);
}

static void reload_on_main(void *arg) {
    struct order *o = arg;
    o->ok = daemon_reload(o->d, &o->problems);
    if (loop_post(&o->s->worker.loop, reload_answer, o) == ERR_OK)
        return;
    buf_done(&o->problems); // the loop is gone, and the connection with it
    mem_free(o);
}

static void serve_reload(struct shift *s, struct conn *c) {
    struct order *o = mem_zalloc(sizeof *o);
    if (o) {
        *o = (struct order){.d = s->d, .s = s, .guest = {order_gone, NULL}, .conn = c, .problems = BUF_INIT(65536)};
        conn_set_user(c, &o->guest);
        if (loop_post(&s->d->main, reload_on_main, o) == ERR_OK)
            return;
        conn_set_user(c, NULL);
        mem_free(o);
    }
    api_respond_error(c, SLICE("/gridtie"), ERR_NO_MEMORY, NULL);
}

static void serve_stop(struct shift *s, struct conn *c) {
    conn_respond(c, 200, "application/json", NULL, SLICE("{\"stopping\":true}"));
    daemon_stop(s->d);
}

static void serve_unload(struct shift *s, struct conn *c, const struct http_request *r) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    arena_init(&a, 1 << 20, 0);
    struct slice model = SLICE_NONE;
    if (json_read(&a, r->body, &doc, &why) == ERR_OK)
        model = json_get_str(yyjson_doc_get_root(doc.doc), "model");
    if (!model.n)
        api_respond_error(c, r->path, ERR_MISSING_FIELD, "model: expected the name of a loaded model");
    else if (engine_unload(s->worker.grid, model))
        conn_respond(c, 200, "application/json", NULL, SLICE("{\"unloaded\":true}"));
    else
        api_respond_error(c, r->path, ERR_NOT_FOUND, "that model is not loaded (see: gridtie ps)");
    arena_done(&a);
}

static bool serve_get(struct shift *s, struct conn *c, const struct http_request *r) {
    struct slice p = r->path;
    if (slice_is(p, "/healthz"))
        conn_respond(c, s->worker.draining ? 503 : 200, "text/plain", NULL,
                     s->worker.draining ? SLICE("draining\n") : SLICE("ok\n"));
    else if (slice_is(p, "/"))
        conn_respond(c, 200, "text/plain; charset=utf-8", NULL,
                     SLICE("Ollama is running")); // what Ollama's clients look for
    else if (slice_is(p, "/metrics"))
        api_page(s, c, "text/plain; version=0.0.4; charset=utf-8", metrics_write);
    else if (slice_is(p, "/gridtie/v1/status"))
        serve_status(s, c);
    else if (slice_is(p, "/gridtie/v1/ps"))
        serve_grid(s, c, grid_ps_json);
    else if (slice_is(p, "/gridtie/v1/endpoints"))
        serve_grid(s, c, grid_endpoints_json);
    else if (slice_is(p, "/gridtie/v1/models"))
        api_page(s, c, "application/json", models_write);
    else if (slice_is(p, "/gridtie/v1/log"))
        serve_log(s, c, r->query);
    else if (slice_is(p, "/gridtie/v1/totals"))
        call_start(s, c, call_new(s, ASK_TOTALS));
    else if (slice_starts(p, "/gridtie/v1/why/"))
        serve_why(s, c, slice_from(p, sizeof "/gridtie/v1/why/" - 1));
    else
        return false;
    return true;
}

static bool serve_post(struct shift *s, struct conn *c, const struct http_request *r) {
    if (slice_is(r->path, "/gridtie/v1/reload"))
        serve_reload(s, c);
    else if (slice_is(r->path, "/gridtie/v1/stop"))
        serve_stop(s, c);
    else if (slice_is(r->path, "/gridtie/v1/unload"))
        serve_unload(s, c, r);
    else
        return false;
    return true;
}

bool api_serve(struct shift *s, struct conn *c, const struct http_request *r) {
    bool get = slice_is(r->method, "GET") || slice_is(r->method, "HEAD");
    if (get && serve_get(s, c, r))
        return true;
    if (slice_is(r->method, "POST") && serve_post(s, c, r))
        return true;
    return models_serve(s, c, r) || money_serve(s, c, r) || keeper_serve(s, c, r) || catalogue_serve(s, c, r) ||
           lists_serve(s, c, r);
}
