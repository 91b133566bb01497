// SPDX-License-Identifier: Apache-2.0
// The API of privacy: receipts and their proof, what detection finds in a text, and what of a request would leave. All of
// it runs off the loop; a client that leaves meanwhile only loses its answer. A text that is looked at is the asker's own
// and goes nowhere else.
#include "admin/errand.h"
#include "admin/keeper.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

enum question { ASK_LIST, ASK_HEAD, ASK_VERIFY, ASK_SCAN, ASK_PREVIEW };

struct asking {
    struct errand errand; // first
    const struct keeper *k;
    enum question question;
    struct receipts_filter filter;
    char anchor[128];
    struct detector *detector; // a reference
    struct standin_key key;
    char *text;
    size_t text_bytes;
};

// ---- looking into a text

static void put_find(struct json_writer *w, const struct body *b, const struct mark *m) {
    const struct span s = {0, 0, m->pattern};
    json_obj(w);
    json_kv_cstr(w, "entity", entity_name(span_entity(&s)));
    json_kv_cstr(w, "rule", span_rule(&s));
    json_kv_int(w, "at", (int64_t)m->at);
    json_kv_int(w, "bytes", (int64_t)m->n);
    json_kv_str(w, "text", slice_of(b->json.p + m->at, m->n));
    json_obj_end(w);
}

static void scan_write(struct asking *q, const struct body *b) {
    struct json_writer w = JSON_WRITER(&q->errand.out);
    json_obj(&w);
    json_key(&w, "found");
    json_arr(&w);
    for (size_t i = 0; i < b->n; i++)
        put_find(&w, b, &b->marks[i]);
    json_arr_end(&w);
    json_obj_end(&w);
}

static enum err preview_write(struct asking *q, struct body *b) {
    struct json_writer w = JSON_WRITER(&q->errand.out);
    struct replaced r;
    enum err e = body_replace(b, &q->key, false, &r);
    if (e)
        return e;
    json_obj(&w);
    json_kv_str(&w, "text", r.json);
    json_key(&w, "replaced");
    json_obj(&w);
    for (int i = 0; i < ENTITY_COUNT; i++)
        if (r.counts[i])
            json_kv_int(&w, entity_name((enum entity)i), r.counts[i]);
    json_obj_end(&w);
    json_obj_end(&w);
    return ERR_OK;
}

// A request, or any text.
static bool is_json(struct arena *a, struct slice text) {
    struct json_doc doc;
    struct json_error why;
    struct slice trimmed = slice_trim(text);
    return trimmed.n && trimmed.p[0] == '{' && json_read(a, text, &doc, &why) == ERR_OK;
}

static enum err text_look(struct asking *q) {
    struct arena a;
    bool ignored;
    arena_init(&a, 4 * (size_t)LIMIT_EXCHANGE_ARENA_BYTES, 0);
    struct body b = {.a = &a, .detector = q->detector, .json = slice_of(q->text, q->text_bytes)};
    b.plain = !is_json(&a, b.json);
    enum err e = body_find(&b, SIZE_MAX, &ignored);
    if (!e && q->question == ASK_SCAN)
        scan_write(q, &b);
    else if (!e)
        e = preview_write(q, &b);
    arena_done(&a);
    return e;
}

static struct asking *asking_of(struct errand *e) {
    return (struct asking *)(void *)e;
}

static void asking_work(struct errand *e) {
    struct asking *q = asking_of(e);
    bool ok;
    switch (q->question) {
    case ASK_LIST:
        e->err = receipts_list(q->k->state_dir, &q->filter, &e->out);
        break;
    case ASK_HEAD:
        e->err = receipts_head(q->k->state_dir, &e->out);
        break;
    case ASK_VERIFY:
        e->err = receipts_verify(q->k->state_dir, slice_str(q->anchor), &e->out, &ok);
        break;
    case ASK_SCAN:
    case ASK_PREVIEW:
        e->err = text_look(q);
        break;
    }
}

// ---- asking and answering

static void asking_drop(struct errand *e) {
    struct asking *q = asking_of(e);
    if (q->text)
        wipe(q->text, q->text_bytes);
    if (e->out.p)
        wipe(e->out.p, e->out.cap);
    mem_free(q->text);
    detector_unref(q->detector);
    errand_free(e);
}

static struct asking *asking_new(struct shift *s, enum question question) {
    struct asking *q = mem_zalloc(sizeof *q);
    if (!q)
        return NULL;
    q->errand =
        (struct errand){.path = "/gridtie", .out = BUF_INIT(512u << 20), .work = asking_work, .drop = asking_drop};
    q->k = &s->d->keeper;
    q->question = question;
    q->filter = (struct receipts_filter){.zone = -1, .limit = 100};
    return q;
}

static void asking_start(struct shift *s, struct conn *c, struct asking *q) {
    errand_start(s, c, q ? &q->errand : NULL);
}

static void serve_list(struct shift *s, struct conn *c, struct slice query) {
    struct asking *q = asking_new(s, ASK_LIST);
    char text[64];
    uint64_t v;
    enum zone z;
    struct slice zone = api_query(query, "zone", text, sizeof text);
    if (q && zone.n && !zone_parse(zone, &z)) {
        asking_drop(&q->errand);
        api_respond_error(c, SLICE("/gridtie"), ERR_BAD_FIELD, "zone: expected device, edge, sealed or cloud");
        return;
    }
    if (q) {
        q->filter.zone = zone.n ? (int)z : -1;
        if (slice_u64(api_query(query, "limit", text, sizeof text), &v) && v <= 1000000)
            q->filter.limit = (int64_t)v;
        if (slice_u64(api_query(query, "since", text, sizeof text), &v) && v < INT64_MAX / 1000000)
            q->filter.since_us = (int64_t)v * 1000000;
    }
    asking_start(s, c, q);
}

static void serve_verify(struct shift *s, struct conn *c, struct slice query) {
    struct asking *q = asking_new(s, ASK_VERIFY);
    if (q)
        (void)api_query(query, "head", q->anchor, sizeof q->anchor - 1);
    asking_start(s, c, q);
}

static void serve_look(struct shift *s, struct conn *c, const struct http_request *r, enum question question) {
    struct asking *q = asking_new(s, question);
    if (!s->worker.detector) {
        if (q)
            asking_drop(&q->errand);
        api_respond_error(c, SLICE("/gridtie"), ERR_BUSY, "the detector is not loaded yet; try again in a moment");
        return;
    }
    if (q) {
        q->detector = detector_ref(s->worker.detector);
        standin_key_of(secret_reveal(&s->worker.privacy->key), SLICE("preview"), &q->key);
        q->text = mem_alloc(r->body.n + 1);
        q->text_bytes = q->text ? r->body.n : 0;
        if (q->text_bytes)
            memcpy(q->text, r->body.p, r->body.n);
    }
    if (q && !q->text) {
        asking_drop(&q->errand);
        q = NULL;
    }
    asking_start(s, c, q);
}

bool keeper_serve(struct shift *s, struct conn *c, const struct http_request *r) {
    bool get = slice_is(r->method, "GET"), post = slice_is(r->method, "POST");
    if (get && slice_is(r->path, "/gridtie/v1/audit"))
        serve_list(s, c, r->query);
    else if (get && slice_is(r->path, "/gridtie/v1/audit/head"))
        asking_start(s, c, asking_new(s, ASK_HEAD));
    else if (get && slice_is(r->path, "/gridtie/v1/audit/verify"))
        serve_verify(s, c, r->query);
    else if (post && slice_is(r->path, "/gridtie/v1/privacy/scan"))
        serve_look(s, c, r, ASK_SCAN);
    else if (post && slice_is(r->path, "/gridtie/v1/privacy/preview"))
        serve_look(s, c, r, ASK_PREVIEW);
    else
        return false;
    return true;
}
