// SPDX-License-Identifier: Apache-2.0
// The scripted provider's addresses: which request is which, what was ordered for it, and the answer as a whole or as a
// stream. Each connection has a thread of its own and may block; shared is only the book.
#include "sim/serve.h"
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include "base/fs.h"
#include "sim/speak.h"

#define ARENA_BYTES (512u << 20)

struct call {
    struct sim *s;
    struct peer *w;
    struct arena *a;
    const struct peer_request *r;
    uint64_t number;
    const char *counts; // tokens are only counted, and this stands before the number
};

static void headers_ordered(struct arena *a, const struct order *o, struct buf *out) {
    struct json_doc doc;
    struct json_error why;
    size_t i, max;
    yyjson_val *key, *v;
    if (o->retry_after >= 0)
        buf_printf(out, "retry-after: %lld\r\n", (long long)o->retry_after);
    if (!o->headers.p || json_read(a, o->headers, &doc, &why))
        return;
    yyjson_obj_foreach(yyjson_doc_get_root(doc.doc), i, max, key, v) {
        buf_printf(out, "%.*s: %.*s\r\n", SLICE_FMT(json_str(key)), SLICE_FMT(json_str(v)));
    }
}

static void head_write(const struct call *c, int status, struct slice type, int64_t length, struct buf *out) {
    const struct order *o = c->w->order;
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
    if (type.n)
        buf_printf(out, "content-type: %.*s\r\n", SLICE_FMT(type));
    headers_ordered(c->a, o, out);
    if (length >= 0)
        buf_printf(out, "content-length: %lld\r\n", (long long)length);
    else if (c->w->chunked)
        buf_append_str(out, "transfer-encoding: chunked\r\n");
    if (!c->r->keep_alive || (length < 0 && !c->w->chunked))
        buf_append_str(out, "connection: close\r\n");
    buf_append_str(out, "\r\n");
}

static void answer_whole(struct call *c, int status, const char *type, struct slice body) {
    struct buf out = BUF_INIT(body.n + 65536);
    const struct order *o = c->w->order;
    c->w->chunked = false;
    head_write(c, status, o->content_type.p ? o->content_type : slice_str(type), o->no_length ? -1 : (int64_t)body.n,
               &out);
    if (o->cut_after_bytes < 0 && o->split <= 0 && body.n < 65536) {
        buf_append(&out, body); // one write
        if (peer_send(c->w, buf_slice(&out)))
            c->w->body_sent = body.n;
    } else if (peer_send(c->w, buf_slice(&out))) {
        (void)peer_body(c->w, body);
    }
    buf_done(&out);
}

static void answer_json(struct call *c, int status, const char *json) {
    answer_whole(c, status, "application/json", slice_str(json));
}

// ---- an answer of a model

static void answer_error(struct call *c, const struct shape_ops *ops) {
    const struct order *o = c->w->order;
    struct named_error e = ops->errors[o->error];
    struct buf body = BUF_INIT(65536);
    if (o->status > 0)
        e.status = (int)o->status;
    if (o->error == ERROR_NONE && e.status == 408)
        e.type = "timeout_error", e.message = "Request timed out";
    if (o->error == ERROR_NONE && e.status >= 500)
        e.type = ops->errors[ERROR_SERVER].type, e.message = ops->errors[ERROR_SERVER].message;
    ops->error(&e, &body);
    answer_whole(c, e.status, "application/json", buf_slice(&body));
    buf_done(&body);
}

static void stream_end(struct call *c) {
    const struct order *o = c->w->order;
    if (c->w->end != PEER_OPEN)
        return;
    if (o->half_close || (o->cut_after_events >= 0 && !o->clean_cut))
        peer_cut(c->w);
    else if (c->w->chunked)
        (void)peer_send(c->w, SLICE("0\r\n\r\n"));
}

static void answer_stream(struct call *c, struct talk *t) {
    const struct shape_ops *ops = shape_ops_of(t->ask->shape);
    const struct order *o = c->w->order;
    struct buf head = BUF_INIT(65536);
    c->w->chunked = !c->r->http_1_0 && !o->no_length;
    head_write(c, 200, o->content_type.p ? o->content_type : slice_str(ops->stream_type), -1, &head);
    if (peer_send(c->w, buf_slice(&head)))
        talk_stream(t, c->w);
    stream_end(c);
    buf_done(&head);
}

static void answer_spoken(struct call *c, const struct ask *ask, struct bill_line *bill) {
    struct talk t;
    talk_init(&t, c->a, ask, c->w->order, c->number);
    if (ask->stream) {
        answer_stream(c, &t);
    } else {
        struct buf body = BUF_INIT(256u << 20);
        if (c->w->order->first_ms > 0)
            (void)peer_wait(c->w, c->w->order->first_ms);
        shape_ops_of(ask->shape)->whole(&t, &body);
        answer_whole(c, 200, "application/json", buf_slice(&body));
        buf_done(&body);
    }
    bool whole = c->w->end == PEER_OPEN;
    bill->cancelled = !whole;
    bill->input_tokens = t.input_tokens;
    bill->output_tokens = whole ? t.output_tokens : (t.said_chars + 3) / 4;
}

static void answer_count(struct call *c, const struct ask *ask) {
    char text[96];
    (void)snprintf(text, sizeof text, "{%s:%lld}", c->counts, (long long)ask->input_chars / 4 + 1);
    answer_json(c, 200, text);
}

static void answer_file(struct call *c) {
    const struct order *o = c->w->order;
    struct buf body = BUF_INIT(64u << 20);
    const char *path = arena_cstr(c->a, o->body_file);
    if (!path || fs_read_file(path, 64u << 20, &body))
        answer_json(c, 500, "{\"error\":{\"message\":\"sim: no such body_file\"}}");
    else
        answer_whole(c, o->status > 0 ? (int)o->status : 200, "application/json", buf_slice(&body));
    buf_done(&body);
}

static void answer_ordered(struct call *c, const struct ask *ask, struct bill_line *bill) {
    const struct order *o = c->w->order;
    if (o->delay_ms > 0 && !peer_wait(c->w, o->delay_ms)) {
        bill->cancelled = true;
        return;
    }
    bool failing = (o->error != ERROR_NONE && o->error_after_events < 0) || o->status >= 300;
    bill->status = o->status > 0 ? (int)o->status : 200;
    if (o->drop) {
        peer_cut(c->w);
    } else if (o->garbage.p) {
        (void)peer_send(c->w, o->garbage);
        peer_cut(c->w);
    } else if (o->body_file.p) {
        answer_file(c);
    } else if (o->body.p) {
        answer_whole(c, bill->status, "application/json", o->body);
    } else if (failing) {
        bill->status = o->status > 0 ? (int)o->status : shape_ops_of(ask->shape)->errors[o->error].status;
        answer_error(c, shape_ops_of(ask->shape));
    } else if (c->counts) {
        answer_count(c, ask);
    } else {
        answer_spoken(c, ask, bill);
    }
}

static enum err order_for(struct call *c, const struct ask *ask, struct order *o) {
    enum err e = book_order(&c->s->book, c->a, ask->model, o);
    if (!e && ask->marker.n)
        e = order_read(c->a, ask->marker, o);
    struct slice header = headers_get(&c->r->headers, "x-sim");
    if (!e && header.n)
        e = order_read(c->a, header, o);
    return e;
}

static void call_model(struct call *c, enum shape shape) {
    struct order *o = ARENA_NEW(c->a, struct order);
    struct ask ask;
    *o = c->s->defaults;
    c->w->order = o;
    c->number = book_arrived(&c->s->book, c->r);
    enum err e = ask_read(c->a, shape, c->r->target, c->r->body, &ask);
    struct bill_line bill = {.model = ask.model, .status = 400};
    if (!e)
        e = order_for(c, &ask, o);
    if (e) {
        fprintf(stderr, "sim: request %llu: %s\n", (unsigned long long)c->number, err_name(e));
        answer_error(c, shape_ops_of(shape));
    } else {
        answer_ordered(c, &ask, &bill);
    }
    book_ended(&c->s->book, c->number, c->w, c->counts ? NULL : &bill);
    c->w->drop_next = o->stale;
    if (o->close && c->w->end == PEER_OPEN)
        c->w->end = PEER_CUT;
}

// ---- lists and small things

// In `item`, % stands for the name and ^ for the owner.
static void list_models(struct call *c, const char *open, const char *item, const char *close) {
    struct buf out = BUF_INIT(1 << 20);
    pthread_mutex_lock(&c->s->lists_lock);
    int status = c->s->list_status;
    struct slice rest = slice_str(arena_strdup(c->a, c->s->models)), name;
    pthread_mutex_unlock(&c->s->lists_lock);
    if (status != 200) {
        answer_json(c, status, "{\"error\":{\"message\":\"sim: no list\"}}");
        return;
    }
    buf_append_str(&out, open);
    while ((name = slice_split(&rest, ',')).n) {
        for (const char *p = item; *p; p++) {
            if (*p == '%')
                buf_append(&out, name);
            else if (*p == '^')
                buf_append_str(&out, c->s->owner);
            else
                buf_append_char(&out, *p);
        }
        if (rest.n)
            buf_append_char(&out, ',');
    }
    buf_append_str(&out, close);
    answer_whole(c, 200, "application/json", buf_slice(&out));
    buf_done(&out);
}

// The answer to /models as it was told, if it was.
static bool call_own_list(struct call *c) {
    pthread_mutex_lock(&c->s->lists_lock);
    struct slice list = arena_copy(c->a, buf_slice(&c->s->list));
    pthread_mutex_unlock(&c->s->lists_lock);
    if (list.n)
        answer_whole(c, 200, "application/json", list);
    return list.n > 0;
}

static void call_models(struct call *c) {
    if (call_own_list(c))
        return;
    if (headers_get(&c->r->headers, "anthropic-version").p)
        list_models(c, "{\"data\":[",
                    "{\"type\":\"model\",\"id\":\"%\",\"display_name\":\"%\",\"created_at\":\"2025-01-01T00:00:00Z\"}",
                    "],\"has_more\":false,\"first_id\":null,\"last_id\":null}");
    else if (headers_get(&c->r->headers, "x-goog-api-key").p)
        list_models(c, "{\"models\":[",
                    "{\"name\":\"models/%\",\"version\":\"1\",\"displayName\":\"%\",\"inputTokenLimit\":32768,"
                    "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\"]}",
                    "]}");
    else
        list_models(c, "{\"object\":\"list\",\"data\":[",
                    "{\"id\":\"%\",\"object\":\"model\",\"created\":1735689600,\"owned_by\":\"^\"}", "]}");
}

static void call_tags(struct call *c) {
    list_models(c, "{\"models\":[",
                "{\"name\":\"%\",\"model\":\"%\",\"modified_at\":\"2025-01-01T00:00:00Z\",\"size\":1000,\"digest\":"
                "\"00\",\"details\":{\"format\":\"gguf\",\"family\":\"sim\",\"families\":[\"sim\"],"
                "\"parameter_size\":\"1M\",\"quantization_level\":\"Q4_0\"}}",
                "]}");
}

static void call_version(struct call *c) {
    answer_json(c, 200, "{\"version\":\"0.6.0\"}");
}

static void call_show(struct call *c) {
    answer_json(
        c, 200,
        "{\"details\":{\"format\":\"gguf\",\"family\":\"sim\"},\"model_info\":{\"general.architecture\":\"sim\","
        "\"sim.context_length\":8192},\"capabilities\":[\"completion\",\"tools\"]}");
}

static void call_count(struct call *c) {
    c->counts = "\"input_tokens\"";
    call_model(c, SHAPE_ANTHROPIC);
}

static void call_input_tokens(struct call *c) {
    c->counts = "\"object\":\"response.input_tokens\",\"input_tokens\"";
    call_model(c, SHAPE_RESPONSES);
}

static void call_bill(struct call *c) {
    struct buf out = BUF_INIT(4096);
    book_bill_json(&c->s->book, &out);
    answer_whole(c, 200, "application/json", buf_slice(&out));
    buf_done(&out);
}

static void call_requests(struct call *c) {
    struct buf out = BUF_INIT(1u << 30);
    book_requests_json(&c->s->book, &out);
    answer_whole(c, 200, "application/json", buf_slice(&out));
    buf_done(&out);
}

static void call_state(struct call *c) {
    const struct peer_stats *s = &c->s->stats;
    struct buf out = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_kv_int(&w, "bytes_sent", (int64_t)atomic_load(&s->bytes_sent));
    json_kv_int(&w, "requests", (int64_t)atomic_load(&s->requests));
    json_kv_int(&w, "connections", (int64_t)atomic_load(&s->connections));
    json_kv_int(&w, "open_connections", atomic_load(&s->open_connections));
    json_kv_int(&w, "open_requests", atomic_load(&s->open_requests));
    json_kv_int(&w, "blocked_writes", atomic_load(&s->blocked_writes));
    json_obj_end(&w);
    answer_whole(c, 200, "application/json", buf_slice(&out));
    buf_done(&out);
}

static void call_script(struct call *c) {
    enum err e = book_script(&c->s->book, c->r->body);
    answer_json(c, e ? 400 : 200, e ? "{\"ok\":false,\"error\":\"not a list of orders\"}" : "{\"ok\":true}");
}

// {"models": "a,b", "list": "the text of a whole answer", "status": 503}, all optional
static void call_set_models(struct call *c) {
    struct json_doc doc;
    struct json_error why;
    bool ok = json_read(c->a, c->r->body, &doc, &why) == ERR_OK;
    yyjson_val *root = ok ? yyjson_doc_get_root(doc.doc) : NULL;
    struct slice models = json_get_str(root, "models");
    pthread_mutex_lock(&c->s->lists_lock);
    if (models.p)
        (void)snprintf(c->s->models, sizeof c->s->models, "%.*s", SLICE_FMT(models));
    buf_clear(&c->s->list);
    buf_append(&c->s->list, json_get_str(root, "list"));
    c->s->list_status = (int)json_get_int(root, "status", 200);
    pthread_mutex_unlock(&c->s->lists_lock);
    answer_json(c, ok ? 200 : 400, ok ? "{\"ok\":true}" : "{\"ok\":false}");
}

static void call_reset(struct call *c) {
    book_reset(&c->s->book);
    answer_json(c, 200, "{\"ok\":true}");
}

static void call_openai(struct call *c) {
    call_model(c, SHAPE_OPENAI);
}

static void call_anthropic(struct call *c) {
    call_model(c, SHAPE_ANTHROPIC);
}

static void call_responses(struct call *c) {
    call_model(c, SHAPE_RESPONSES);
}

static void call_gemini(struct call *c) {
    if (slice_ends(c->r->path, ":countTokens"))
        c->counts = "\"totalTokens\"";
    call_model(c, SHAPE_GEMINI);
}

static void call_ollama_chat(struct call *c) {
    call_model(c, SHAPE_OLLAMA_CHAT);
}

static void call_ollama_generate(struct call *c) {
    call_model(c, SHAPE_OLLAMA_GENERATE);
}

static const struct address {
    const char *method, *path;
    void (*call)(struct call *c);
} addresses[] = {
    {"POST", "/v1/chat/completions", call_openai},
    {"POST", "/v1/messages", call_anthropic},
    {"POST", "/v1/messages/count_tokens", call_count},
    {"POST", "/v1/responses", call_responses},
    {"POST", "/v1/responses/input_tokens", call_input_tokens},
    {"GET", "/v1/models", call_models},
    {"GET", "/v1beta/models", call_models},
    {"POST", "/api/chat", call_ollama_chat},
    {"POST", "/api/generate", call_ollama_generate},
    {"POST", "/api/embed", call_ollama_generate},
    {"POST", "/api/show", call_show},
    {"GET", "/api/tags", call_tags},
    {"GET", "/api/version", call_version},
    {"GET", "/sim/bill", call_bill},
    {"GET", "/sim/requests", call_requests},
    {"GET", "/sim/state", call_state},
    {"POST", "/sim/script", call_script},
    {"POST", "/sim/models", call_set_models},
    {"POST", "/sim/reset", call_reset},
};

static void call_route(struct call *c) {
    struct slice path = c->r->path;
    // Providers have OpenAI's addresses at other base paths.
    if (slice_ends(path, "/completions") || slice_ends(path, "/embeddings") || slice_ends(path, "/rerank"))
        path = SLICE("/v1/chat/completions");
    else if (slice_ends(path, "/models"))
        path = slice_starts(path, "/sim/") ? path : SLICE("/v1/models");
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        if (slice_is(c->r->method, addresses[i].method) && slice_is(path, addresses[i].path)) {
            addresses[i].call(c);
            return;
        }
    }
    if (slice_is(c->r->method, "POST") && slice_search(c->r->path, SLICE("/models/")) != SIZE_MAX) {
        call_gemini(c);
        return;
    }
    c->number = book_arrived(&c->s->book, c->r);
    answer_json(c, 404, "{\"error\":{\"message\":\"sim: no such address\",\"type\":\"not_found\"}}");
    book_ended(&c->s->book, c->number, c->w, NULL);
}

// One request. False: the connection is over.
static bool serve_one(struct sim *s, struct peer *w) {
    struct peer_request r = {.keep_alive = false};
    static const struct order quiet = {.cut_after_bytes = -1,
                                       .cut_after_events = -1,
                                       .stall_after_events = -1,
                                       .error_after_events = -1,
                                       .bad_chunk_after_events = -1,
                                       .retry_after = -1};
    struct arena a;
    arena_init(&a, ARENA_BYTES, 0);
    bool ok = peer_read(w, &a, &r);
    if (ok) {
        struct call c = {.s = s, .w = w, .a = &a, .r = &r};
        w->order = &quiet;
        atomic_fetch_add(&s->stats.requests, 1);
        atomic_fetch_add(&s->stats.open_requests, 1);
        call_route(&c);
        atomic_fetch_sub(&s->stats.open_requests, 1);
        ok = w->end == PEER_OPEN && r.keep_alive && !w->order->no_length;
        w->order = NULL;
        peer_next(w);
    }
    arena_done(&a);
    return ok;
}

void serve_connection(struct sim *s, int fd) {
    struct peer w = {.fd = fd, .stats = &s->stats};
    buf_init(&w.in, 300u << 20);
    atomic_fetch_add(&s->stats.connections, 1);
    atomic_fetch_add(&s->stats.open_connections, 1);
    while (serve_one(s, &w)) {
    }
    atomic_fetch_sub(&s->stats.open_connections, 1);
    buf_done(&w.in);
    (void)close(fd);
}
