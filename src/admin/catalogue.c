// SPDX-License-Identifier: Apache-2.0
// The API's part about what is known of models: what the catalogue holds, what it says of a name and what our own targets
// make of that, where its two tables differ, and an order to compile it anew. The compiling runs off the main loop; a
// client that leaves meanwhile only loses its answer.
#include "admin/api.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "grid/catalogue.h"
#include "switch/sink.h"

#define FOUND_MOST 200 // rows of one answer

void target_facts_json(const struct target *t, struct json_writer *w) {
    json_kv_int(w, "context", t->context);
    json_kv_int(w, "max_output", t->max_output);
    json_key(w, "price_picousd_per_token");
    price_json(&t->price, w);
    json_kv_cstr(w, "price_from", price_from_name(t->price_from));
}

static void targets_write(const struct snapshot *s, struct slice text, struct json_writer *w) {
    json_arr(w);
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        if (t->alias_of || slice_search(slice_str(t->name), text) == SIZE_MAX)
            continue;
        json_obj(w);
        json_kv_cstr(w, "name", t->name);
        json_kv_cstr(w, "zone", zone_name(t->zone));
        target_facts_json(t, w);
        json_key(w, "modalities_in");
        target_inputs_json(t, w);
        if (t->family.n)
            json_kv_str(w, "architecture", t->family);
        if (t->parameter_size.n)
            json_kv_str(w, "parameters", t->parameter_size);
        if (t->quantization.n)
            json_kv_str(w, "quantization", t->quantization);
        json_obj_end(w);
    }
    json_arr_end(w);
}

static void serve_show(struct shift *s, struct conn *c, const struct http_request *r) {
    char text[LIMIT_MODEL_NAME_BYTES];
    struct slice model = api_query(r->query, "model", text, sizeof text);
    const struct snapshot *snap = s->worker.snap;
    struct buf out = BUF_INIT(16u << 20);
    struct json_writer w = JSON_WRITER(&out);
    if (model.n == 0) {
        catalogue_summary_json(snap->catalogue, &w);
    } else {
        json_obj(&w);
        json_kv_bool(&w, "present", snap->catalogue != NULL);
        json_key(&w, "targets");
        targets_write(snap, model, &w);
        json_key(&w, "models");
        catalogue_search_json(snap->catalogue, model, FOUND_MOST, &w);
        json_obj_end(&w);
    }
    api_respond_json(c, 200, &out);
    buf_done(&out);
}

static void serve_diff(struct shift *s, struct conn *c) {
    struct buf out = BUF_INIT(16u << 20);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_kv_bool(&w, "present", s->worker.snap->catalogue != NULL);
    json_key(&w, "models");
    catalogue_diff_json(s->worker.snap->catalogue, &w);
    json_obj_end(&w);
    api_respond_json(c, 200, &out);
    buf_done(&out);
}

// ---- an order to compile: to the main thread, to the pool, back to the main thread, back to the loop

struct update {
    struct guest guest; // first
    struct shift *shift;
    struct conn *conn; // NULL: the client is gone
    enum err err;
    struct buf problem;
};

static void update_gone(struct guest *g) {
    ((struct update *)(void *)g)->conn = NULL;
}

static void update_free(struct update *u) {
    buf_done(&u->problem);
    mem_free(u);
}

static void update_answer(void *arg) {
    struct update *u = arg;
    if (u->conn)
        conn_set_user(u->conn, NULL);
    if (u->conn && u->err == ERR_OK)
        conn_respond(u->conn, 200, "application/json", NULL, SLICE("{\"updated\":true}"));
    else if (u->conn && u->err == ERR_NOT_FOUND)
        api_respond_error(u->conn, SLICE("/gridtie"), ERR_NOT_FOUND,
                          "the daemon's cache folder has no tables to compile");
    else if (u->conn)
        api_respond_error(u->conn, SLICE("/gridtie"), u->err, u->problem.len ? buf_cstr(&u->problem) : NULL);
    update_free(u);
}

static void update_done(void *arg, enum err e, const char *problem) {
    struct update *u = arg;
    u->err = e;
    buf_append_str(&u->problem, problem);
    if (loop_post(&u->shift->worker.loop, update_answer, u))
        update_free(u); // the loop is gone, and the connection with it
}

static void update_on_main(void *arg) {
    struct update *u = arg;
    enum err e = grid_catalogue_update(u->shift->d->grid, update_done, u);
    if (e)
        update_done(u, e, "");
}

static void serve_update(struct shift *s, struct conn *c) {
    struct update *u = mem_zalloc(sizeof *u);
    if (u) {
        *u = (struct update){.guest = {update_gone, NULL}, .shift = s, .conn = c, .problem = BUF_INIT(65536)};
        conn_set_user(c, &u->guest);
        if (loop_post(&s->d->main, update_on_main, u) == ERR_OK)
            return;
        conn_set_user(c, NULL);
        mem_free(u);
    }
    api_respond_error(c, SLICE("/gridtie"), ERR_NO_MEMORY, NULL);
}

bool catalogue_serve(struct shift *s, struct conn *c, const struct http_request *r) {
    bool get = slice_is(r->method, "GET");
    if (get && slice_is(r->path, "/gridtie/v1/catalogue"))
        serve_show(s, c, r);
    else if (get && slice_is(r->path, "/gridtie/v1/catalogue/diff"))
        serve_diff(s, c);
    else if (slice_is(r->method, "POST") && slice_is(r->path, "/gridtie/v1/catalogue/update"))
        serve_update(s, c);
    else
        return false;
    return true;
}
