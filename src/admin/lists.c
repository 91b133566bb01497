// SPDX-License-Identifier: Apache-2.0
// The lists that clients ask for before they talk: models in OpenAI's, Anthropic's and Gemini's shape, Ollama's
// tags, ps, show and version. Written from the worker's snapshot; routes stand in the lists like models, since a client may name them.
#include <ctype.h>
#include "admin/api.h"
#include "admin/models.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/secret.h"
#include "grid/catalogue.h"
#include "store/name.h"

#define OLLAMA_VERSION "0.12.0" // what Ollama's clients compare features with

enum shape { SHAPE_OPENAI, SHAPE_ANTHROPIC, SHAPE_GEMINI };

// Three dialects ask at one address; what they send with it tells them apart.
static enum shape shape_of(const struct http_request *r) {
    if (headers_get(&r->headers, "anthropic-version").p)
        return SHAPE_ANTHROPIC;
    bool google = slice_starts(r->path, "/v1beta/") || headers_get(&r->headers, "x-goog-api-key").p;
    return google || slice_starts(r->query, "key=") || slice_search(r->query, SLICE("&key=")) != SIZE_MAX
               ? SHAPE_GEMINI
               : SHAPE_OPENAI;
}

// The name as a list shows it: local models as Ollama's users know them, others endpoint/model.
static struct slice list_name(const struct target *t) {
    return t->endpoint->engine ? t->model : slice_str(t->name);
}

void target_inputs_json(const struct target *t, struct json_writer *w) {
    json_arr(w);
    json_put_cstr(w, "text");
    if (t->vision)
        json_put_cstr(w, "image");
    if (t->can & CAN_HEAR)
        json_put_cstr(w, "audio");
    if (t->can & CAN_READ_PDF)
        json_put_cstr(w, "file");
    json_arr_end(w);
}

static void outputs_write(const struct target *t, struct json_writer *w) {
    unsigned other = CAN_EMBED | CAN_DRAW | CAN_SPEAK;
    json_arr(w);
    if (!(t->can & other) || t->can & CAN_CHAT)
        json_put_cstr(w, "text");
    if (t->can & CAN_EMBED)
        json_put_cstr(w, "embeddings");
    if (t->can & CAN_DRAW)
        json_put_cstr(w, "image");
    if (t->can & CAN_SPEAK)
        json_put_cstr(w, "audio");
    json_arr_end(w);
}

static void usd_put(struct json_writer *w, const char *key, int64_t picousd) {
    char text[40];
    struct buf b = BUF_FIXED(text);
    usd_append(&b, picousd);
    json_kv_str(w, key, buf_slice(&b));
}

// As OpenRouter's users know them: modalities, and USD per token as text.
static void openrouter_facts(struct json_writer *w, const struct target *t) {
    json_key(w, "architecture");
    json_obj(w);
    json_key(w, "input_modalities");
    target_inputs_json(t, w);
    json_key(w, "output_modalities");
    outputs_write(t, w);
    json_obj_end(w);
    if (!price_known(&t->price))
        return;
    json_key(w, "pricing");
    json_obj(w);
    usd_put(w, "prompt", t->price.input);
    usd_put(w, "completion", t->price.output);
    if (t->price.cache_read >= 0)
        usd_put(w, "input_cache_read", t->price.cache_read);
    if (t->price.cache_write >= 0)
        usd_put(w, "input_cache_write", t->price.cache_write);
    json_obj_end(w);
}

static void openai_model(struct json_writer *w, struct slice name, const char *owner, const struct target *t) {
    json_obj(w);
    json_kv_str(w, "id", name);
    json_kv_cstr(w, "object", "model");
    json_kv_int(w, "created", t ? t->modified_s : 0);
    json_kv_cstr(w, "owned_by", owner);
    if (t) {
        json_kv_cstr(w, "zone", zone_name(t->zone));
        if (t->context)
            json_kv_int(w, "context_length", t->context);
        openrouter_facts(w, t);
    }
    json_obj_end(w);
}

void rfc3339_json(struct json_writer *w, const char *key, int64_t wall_s) {
    struct buf text = BUF_INIT(64);
    clock_append_rfc3339(&text, wall_s * 1000000);
    json_kv_str(w, key, buf_slice(&text));
    buf_done(&text);
}

static void anthropic_model(struct json_writer *w, struct slice name, const char *owner, const struct target *t) {
    (void)owner;
    json_obj(w);
    json_kv_cstr(w, "type", "model");
    json_kv_str(w, "id", name);
    json_kv_str(w, "display_name", name);
    rfc3339_json(w, "created_at", t ? t->modified_s : 0);
    json_obj_end(w);
}

static void gemini_model(struct json_writer *w, struct slice name, const char *owner, const struct target *t) {
    (void)owner;
    json_obj(w);
    json_key(w, "name");
    buf_append_str(w->out, "\"models/");
    json_escape(w->out, name);
    buf_append_char(w->out, '"');
    w->comma = true;
    json_kv_cstr(w, "version", "");
    json_kv_str(w, "displayName", name);
    if (t && t->context)
        json_kv_int(w, "inputTokenLimit", t->context);
    if (t && t->max_output)
        json_kv_int(w, "outputTokenLimit", t->max_output);
    bool embeds = t && t->can & CAN_EMBED && !(t->can & CAN_CHAT);
    json_kv_raw(w, "supportedGenerationMethods",
                embeds ? SLICE("[\"embedContent\"]") : SLICE("[\"generateContent\",\"countTokens\"]"));
    json_obj_end(w);
}

typedef void model_fn(struct json_writer *w, struct slice name, const char *owner, const struct target *t);
static model_fn *const model_writers[] = {
    [SHAPE_OPENAI] = openai_model, [SHAPE_ANTHROPIC] = anthropic_model, [SHAPE_GEMINI] = gemini_model};

// ---- what is listed, and which part of it

struct listed {
    struct slice name;
    const char *owner;
    const struct target *t; // NULL: a route
};

struct listing {
    struct listed *v;
    size_t n;
    size_t from, to; // the page
    bool more;       // in the direction in which the client reads
};

static bool listing_make(struct listing *l, const struct snapshot *s, struct arena *a) {
    *l = (struct listing){.v = arena_array(a, s->n_targets + s->config->n_routes + 1, sizeof *l->v)};
    if (!l->v)
        return false;
    for (size_t i = 0; i < s->n_targets; i++)
        if (!s->targets[i].alias_of)
            l->v[l->n++] = (struct listed){list_name(&s->targets[i]), s->targets[i].endpoint->name, &s->targets[i]};
    for (size_t i = 0; i < s->config->n_routes; i++)
        l->v[l->n++] = (struct listed){slice_str(s->config->routes[i].name), "route", NULL};
    l->to = l->n;
    return true;
}

// A number of the query; otherwise when it is not there, SIZE_MAX when it is none.
static size_t page_number(struct slice query, const char *name, size_t otherwise) {
    char text[24];
    uint64_t v = 0;
    struct slice given = api_query(query, name, text, sizeof text);
    if (!given.p)
        return otherwise;
    return slice_u64(given, &v) && v < SIZE_MAX ? (size_t)v : SIZE_MAX;
}

// The place of the model that the query names; otherwise without one, SIZE_MAX when it is not listed.
static size_t page_mark(const struct listing *l, struct slice query, const char *key, size_t otherwise) {
    char text[LIMIT_MODEL_NAME_BYTES];
    struct slice name = api_query(query, key, text, sizeof text);
    for (size_t i = 0; name.p && i < l->n; i++)
        if (slice_eq(l->v[i].name, name))
            return i;
    return name.p ? SIZE_MAX : otherwise;
}

#define ANTHROPIC_PAGE 20 // API reference, models: 1 to 1000
#define GEMINI_PAGE 50    // API reference, models.list: more than 1000 is taken for 1000
#define PAGE_MAX 1000

// NULL, or what is wrong with the query.
static const char *anthropic_page(struct listing *l, struct slice query) {
    size_t limit = page_number(query, "limit", ANTHROPIC_PAGE);
    size_t after = page_mark(l, query, "after_id", l->n), before = page_mark(l, query, "before_id", l->n);
    if (limit < 1 || limit > PAGE_MAX)
        return "limit: expected an integer from 1 to 1000";
    if (after == SIZE_MAX || before == SIZE_MAX)
        return "after_id and before_id: expected a model of this list";
    l->from = after < l->n ? after + 1 : 0;
    l->to = before;
    if (l->from > l->to)
        l->from = l->to;
    bool back = before < l->n;
    l->more = l->to - l->from > limit;
    if (l->more && back)
        l->from = l->to - limit;
    else if (l->more)
        l->to = l->from + limit;
    return NULL;
}

static const char *gemini_page(struct listing *l, struct slice query) {
    size_t size = page_number(query, "pageSize", GEMINI_PAGE), from = page_number(query, "pageToken", 0);
    if (size == SIZE_MAX)
        return "pageSize: expected an integer";
    if (from > l->n)
        return "pageToken: expected one of an earlier answer";
    if (size == 0 || size > PAGE_MAX)
        size = size ? PAGE_MAX : GEMINI_PAGE;
    l->from = from;
    l->more = l->n - from > size;
    if (l->more)
        l->to = from + size;
    return NULL;
}

static void put_mark(struct json_writer *w, const char *key, const struct listing *l, size_t at) {
    if (l->to > l->from)
        json_kv_str(w, key, l->v[at].name);
    else
        json_kv_null(w, key);
}

static void anthropic_page_end(struct json_writer *w, const struct listing *l) {
    json_kv_bool(w, "has_more", l->more);
    put_mark(w, "first_id", l, l->from);
    put_mark(w, "last_id", l, l->to - 1);
}

static void gemini_page_end(struct json_writer *w, const struct listing *l) {
    char text[24];
    struct buf b = BUF_FIXED(text);
    if (!l->more)
        return;
    buf_append_u64(&b, l->to);
    json_kv_str(w, "nextPageToken", buf_slice(&b));
}

static void listing_write(const struct listing *l, enum shape shape, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    if (shape == SHAPE_OPENAI)
        json_kv_cstr(&w, "object", "list");
    json_key(&w, shape == SHAPE_GEMINI ? "models" : "data");
    json_arr(&w);
    for (size_t i = l->from; i < l->to; i++)
        model_writers[shape](&w, l->v[i].name, l->v[i].owner, l->v[i].t);
    json_arr_end(&w);
    if (shape == SHAPE_ANTHROPIC)
        anthropic_page_end(&w, l);
    if (shape == SHAPE_GEMINI)
        gemini_page_end(&w, l);
    json_obj_end(&w);
}

// An address whose errors have that shape.
static struct slice shape_path(enum shape shape) {
    static const char *const paths[] = {
        [SHAPE_OPENAI] = "/v1/models", [SHAPE_ANTHROPIC] = "/v1/messages", [SHAPE_GEMINI] = "/v1beta/models"};
    return slice_str(paths[shape]);
}

// OpenAI's list has no pages, and may be long.
static void openai_list(const struct daemon *d, const struct snapshot *s, struct buf *out) {
    struct arena a;
    struct listing l;
    (void)d;
    arena_init(&a, 16u << 20, 0);
    if (listing_make(&l, s, &a))
        listing_write(&l, SHAPE_OPENAI, out);
    else
        out->failed = true;
    arena_done(&a);
}

static void serve_page(const struct snapshot *s, struct conn *c, enum shape shape, struct slice query) {
    struct arena a;
    struct listing l;
    struct buf out = BUF_INIT(16u << 20);
    arena_init(&a, 16u << 20, 0);
    bool made = listing_make(&l, s, &a);
    const char *wrong = !made ? NULL : shape == SHAPE_GEMINI ? gemini_page(&l, query) : anthropic_page(&l, query);
    if (made && !wrong)
        listing_write(&l, shape, &out);
    if (!made || wrong)
        api_respond_error(c, shape_path(shape), made ? ERR_BAD_FIELD : ERR_NO_MEMORY, wrong);
    else
        api_respond_json(c, 200, &out);
    buf_done(&out);
    arena_done(&a);
}

// By its name in the list or its full name, with or without ":latest".
static const struct target *target_listed(const struct snapshot *s, struct slice name) {
    for (size_t i = 0; i < s->n_targets; i++)
        if (model_name_same(list_name(&s->targets[i]), name) || model_name_same(slice_str(s->targets[i].name), name))
            return &s->targets[i];
    for (size_t i = 0; i < s->n_targets; i++)
        if (model_name_same(s->targets[i].model, name))
            return &s->targets[i];
    return NULL;
}

static void serve_model(const struct snapshot *s, struct conn *c, const struct http_request *r) {
    char text[LIMIT_MODEL_NAME_BYTES];
    struct slice coded = slice_from(r->path, slice_search(r->path, SLICE("/models/")) + sizeof "/models/" - 1);
    struct slice name = slice_of(text, slice_percent_decode(coded, text, sizeof text));
    enum shape shape = shape_of(r);
    const struct target *t = target_listed(s, name);
    const struct config_route *route = config_route_named(s->config, name);
    struct buf out = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&out);
    if (!t && !route) {
        api_respond_error(c, shape_path(shape), ERR_MODEL_NOT_FOUND, NULL);
        return;
    }
    if (route) // as a request would take the name
        model_writers[shape](&w, slice_str(route->name), "route", NULL);
    else
        model_writers[shape](&w, list_name(t), t->endpoint->name, t);
    api_respond_json(c, 200, &out);
    buf_done(&out);
}

// ---- Ollama

void ollama_details_json(struct json_writer *w, const struct target *t) {
    json_key(w, "details");
    json_obj(w);
    json_kv_cstr(w, "parent_model", "");
    json_kv_cstr(w, "format", t->endpoint->engine ? "gguf" : "");
    json_kv_str(w, "family", t->family);
    json_key(w, "families");
    json_arr(w);
    if (t->family.n)
        json_put_str(w, t->family);
    json_arr_end(w);
    json_kv_str(w, "parameter_size", t->parameter_size);
    json_kv_str(w, "quantization_level", t->quantization);
    json_obj_end(w);
}

// Clients tell models apart by it, so one without a file has one made of its name.
static void digest_json(struct json_writer *w, const struct target *t) {
    uint8_t hash[32];
    char hex[65];
    struct buf b = BUF_FIXED(hex);
    if (t->digest.n) {
        json_kv_str(w, "digest", t->digest);
        return;
    }
    sha256(slice_str(t->name), hash);
    for (size_t i = 0; i < sizeof hash; i++)
        buf_append_hex(&b, hash[i], 2);
    json_kv_str(w, "digest", buf_slice(&b));
}

static void ollama_model(struct json_writer *w, const struct target *t) {
    json_kv_str(w, "name", list_name(t));
    json_kv_str(w, "model", list_name(t));
    json_kv_int(w, "size", t->size_bytes);
    digest_json(w, t);
    ollama_details_json(w, t);
}

static void tags_page(const struct daemon *d, const struct snapshot *s, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    (void)d;
    json_obj(&w);
    json_key(&w, "models");
    json_arr(&w);
    for (size_t i = 0; i < s->n_targets; i++) {
        if (s->targets[i].alias_of)
            continue;
        json_obj(&w);
        ollama_model(&w, &s->targets[i]);
        rfc3339_json(&w, "modified_at", s->targets[i].modified_s);
        json_obj_end(&w);
    }
    json_arr_end(&w);
    json_obj_end(&w);
}

#define CENTURIES_S (INT64_C(292) * 31556952) // what Ollama says for a model that stays; its client shows "Forever"

static void ps_model(struct json_writer *w, const struct target *t) {
    int64_t at = atomic_load_explicit(&t->live->engine_expires_s, memory_order_relaxed);
    int64_t vram = atomic_load_explicit(&t->live->engine_vram_bytes, memory_order_relaxed);
    json_obj(w);
    json_kv_str(w, "name", list_name(t));
    json_kv_str(w, "model", list_name(t));
    json_kv_int(w, "size", atomic_load_explicit(&t->live->engine_memory_bytes, memory_order_relaxed) + vram);
    digest_json(w, t);
    ollama_details_json(w, t);
    rfc3339_json(w, "expires_at", at == ENGINE_NEVER ? clock_wall_s() + CENTURIES_S : at);
    json_kv_int(w, "size_vram", vram);
    json_kv_int(w, "context_length", t->context);
    json_obj_end(w);
}

static void serve_ps(struct shift *s, struct conn *c) {
    const struct snapshot *snap = s->worker.snap;
    struct buf out = BUF_INIT(16u << 20);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_key(&w, "models");
    json_arr(&w);
    for (size_t i = 0; i < snap->n_targets; i++) {
        const struct target *t = &snap->targets[i];
        bool ready = atomic_load_explicit(&t->live->engine_state, memory_order_relaxed) == ENGINE_READY;
        if (t->endpoint->engine && !t->alias_of && ready)
            ps_model(&w, t);
    }
    json_arr_end(&w);
    json_obj_end(&w);
    api_respond_json(c, 200, &out);
    buf_done(&out);
}

void ollama_capabilities_json(struct json_writer *w, const struct target *t) {
    json_key(w, "capabilities");
    json_arr(w);
    bool embeds = t->can & CAN_EMBED && !(t->can & CAN_CHAT);
    json_put_cstr(w, embeds ? "embedding" : "completion");
    if (!embeds && (t->tools || target_emulates_tools(t)))
        json_put_cstr(w, "tools");
    if (t->vision)
        json_put_cstr(w, "vision");
    if (t->thinking)
        json_put_cstr(w, "thinking");
    json_arr_end(w);
}

static void show_write(const struct target *t, struct json_writer *w) {
    json_obj(w);
    json_kv_cstr(w, "license", "");
    json_kv_cstr(w, "modelfile", "");
    json_kv_cstr(w, "parameters", "");
    json_kv_cstr(w, "template", "");
    ollama_details_json(w, t);
    json_key(w, "model_info");
    json_obj(w);
    json_kv_str(w, "general.architecture", t->family);
    if (t->context && t->family.n) {
        struct buf key = BUF_INIT(256);
        buf_printf(&key, "%.*s.context_length", SLICE_FMT(t->family));
        json_kv_int(w, buf_cstr(&key), t->context);
        buf_done(&key);
    }
    json_obj_end(w);
    ollama_capabilities_json(w, t);
    rfc3339_json(w, "modified_at", t->modified_s);
    json_obj_end(w);
}

static void serve_show(struct shift *shift, struct conn *c, const struct http_request *r) {
    const struct snapshot *s = shift->worker.snap;
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    struct buf out = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&out);
    arena_init(&a, 4u << 20, 0);
    bool read = json_read(&a, r->body, &doc, &why) == ERR_OK;
    yyjson_val *root = read ? yyjson_doc_get_root(doc.doc) : NULL;
    struct slice name = json_get_str(root, "model");
    if (!name.n)
        name = json_get_str(root, "name");
    const struct target *t = name.n ? target_listed(s, name) : NULL;
    if (!read)
        api_respond_error(c, r->path, ERR_BAD_JSON, NULL);
    else if (!name.n)
        api_respond_error(c, r->path, ERR_MISSING_FIELD, "model is required");
    else if (!t)
        api_respond_error(c, r->path, ERR_MODEL_NOT_FOUND,
                          arena_printf(&a, "model '%.*s' not found", SLICE_FMT(slice_first(name, 256))));
    else if (t->endpoint->engine)
        show_start(shift, c, t, yyjson_is_true(yyjson_obj_get(root, "verbose")));
    else {
        show_write(t, &w);
        api_respond_json(c, 200, &out);
    }
    buf_done(&out);
    arena_done(&a);
}

// The list's address, or that of one model.
static bool is_models(struct slice path, bool list) {
    static const char *const paths[] = {"/v1/models", "/v1beta/models", "/models"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct slice rest = slice_from(path, strlen(paths[i]));
        if (slice_starts(path, paths[i]) && (list ? rest.n == 0 : rest.n > 1 && rest.p[0] == '/'))
            return true;
    }
    return false;
}

bool lists_has(struct slice path) {
    return is_models(path, true) || slice_is(path, "/api/tags") || slice_is(path, "/api/ps") ||
           slice_is(path, "/api/version");
}

bool lists_serve(struct shift *s, struct conn *c, const struct http_request *r) {
    const struct snapshot *snap = s->worker.snap;
    bool get = slice_is(r->method, "GET") || slice_is(r->method, "HEAD");
    if (get && is_models(r->path, true) && shape_of(r) == SHAPE_OPENAI)
        api_page(s, c, "application/json", openai_list);
    else if (get && is_models(r->path, true))
        serve_page(snap, c, shape_of(r), r->query);
    else if (get && is_models(r->path, false))
        serve_model(snap, c, r);
    else if (get && slice_is(r->path, "/api/tags"))
        api_page(s, c, "application/json", tags_page);
    else if (get && slice_is(r->path, "/api/ps"))
        serve_ps(s, c);
    else if (get && slice_is(r->path, "/api/version"))
        conn_respond(c, 200, "application/json", NULL, SLICE("{\"version\":\"" OLLAMA_VERSION "\"}"));
    else if (slice_is(r->method, "POST") && slice_is(r->path, "/api/show"))
        serve_show(s, c, r);
    else
        return false;
    return true;
}
