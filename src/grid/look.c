// SPDX-License-Identifier: Apache-2.0
// Did the server take its draft? A draft of another vocabulary is refused in its log only, and the server goes on without
// guessing ahead: it looks well and is slow. Its /slots tells, so a model with a draft is asked for them once, when it is
// ready. Requests do not wait for that. Owns the question and the bytes of its answer. Main thread.
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "grid/slot.h"

#define LOOK_BYTES (4u << 20) // a slot shows its prompt as well

struct look {
    struct slot *s;
    struct fetch *fetch;
    struct buf body;
    int status;
};

static void look_end(struct look *k) {
    k->s->look = NULL;
    buf_done(&k->body);
    mem_free(k);
}

static void look_head(void *user, int status, const struct headers *h) {
    (void)h;
    ((struct look *)user)->status = status;
}

static void look_body(void *user, struct slice bytes) {
    buf_append(&((struct look *)user)->body, bytes);
}

// -1: it does not say.
static int speculates(struct slice body) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    int said = -1;
    arena_init(&a, 2 * LOOK_BYTES, 4096);
    if (json_read(&a, body, &doc, &why) == ERR_OK) {
        yyjson_val *v = yyjson_obj_get(yyjson_arr_get_first(yyjson_doc_get_root(doc.doc)), "speculative");
        if (yyjson_is_bool(v))
            said = yyjson_get_bool(v);
    }
    arena_done(&a);
    return said;
}

static void look_done(void *user, enum err e, const char *detail) {
    (void)detail;
    struct look *k = user;
    struct slot *s = k->s;
    int said = e == ERR_OK && k->status == 200 && !k->body.failed ? speculates(buf_slice(&k->body)) : -1;
    if (said >= 0)
        atomic_store_explicit(&s->live->engine_draft, (int)(said ? DRAFT_WORKS : DRAFT_REFUSED), memory_order_relaxed);
    if (said == 0)
        LOG(LOG_WARN, "engine_draft_refused", LOG_S("model", s->name),
            LOG_S("draft", options_of(&s->e->config->engine, s->model).draft),
            LOG_S("reason", "llama-server goes on without it; a draft needs the same vocabulary as its model"));
    look_end(k);
}

static const struct fetch_hooks look_hooks = {.on_head = look_head, .on_body = look_body, .on_done = look_done};
static const struct permit look_permit = {.zone = ZONE_DEVICE, .allowed = 1u << ZONE_DEVICE, .purpose = "engine"};

void look_start(struct slot *s) {
    if (!s->model || !options_of(&s->e->config->engine, s->model).draft)
        return;
    atomic_store_explicit(&s->live->engine_draft, (int)DRAFT_ASKED, memory_order_relaxed);
    look_cancel(s);
    struct look *k = mem_zalloc(sizeof *k);
    if (!k)
        return; // it stays unknown
    struct fetch_request r = {
        .origin = {.host = SLICE("localhost"), .port = 80, .unix_path = slice_str(s->socket_path)},
        .method = "GET",
        .path = SLICE("/slots"),
        .connect_ms = 1000,
        .permit = &look_permit,
        .fresh = true};
    *k = (struct look){.s = s, .body = BUF_INIT(LOOK_BYTES)};
    s->look = k;
    if (fetch_start(s->e->client, &r, &look_hooks, k, &k->fetch) != ERR_OK)
        look_end(k);
}

void look_cancel(struct slot *s) {
    if (!s->look)
        return;
    fetch_cancel(s->look->fetch);
    look_end(s->look);
}
