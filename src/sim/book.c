// SPDX-License-Identifier: Apache-2.0
// The scripted provider's memory: the last requests with headers and bodies, the bill (a line per request once its
// outcome is known, written with one write(2)), and the script. One lock; nothing here waits for a socket.
#include "sim/book.h"
#include <unistd.h>
#include "base/mem.h"
#include "base/secret.h"

void book_init(struct book *b, int bill_fd, int64_t input_price, int64_t output_price) {
    memset(b, 0, sizeof *b);
    (void)pthread_mutex_init(&b->lock, NULL);
    b->bill_fd = bill_fd;
    b->input_price = input_price;
    b->output_price = output_price;
    b->next_number = 1;
}

static void hex_write(struct buf *out, const uint8_t *p, size_t n) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        buf_append_char(out, digits[p[i] >> 4]);
        buf_append_char(out, digits[p[i] & 15]);
    }
}

static char *request_json(uint64_t number, const struct peer_request *r) {
    struct buf out = BUF_INIT(64u << 20), hash = BUF_INIT(128);
    struct json_writer w = JSON_WRITER(&out);
    uint8_t digest[32];
    sha256(r->body, digest);
    hex_write(&hash, digest, sizeof digest);
    json_obj(&w);
    json_kv_int(&w, "number", (int64_t)number);
    json_kv_str(&w, "method", r->method);
    json_kv_str(&w, "path", r->target);
    json_key(&w, "headers");
    json_obj(&w);
    for (size_t i = 0; i < r->headers.n; i++) {
        json_key_slice(&w, r->headers.v[i].name);
        json_put_str(&w, r->headers.v[i].value);
    }
    json_obj_end(&w);
    json_kv_int(&w, "body_bytes", (int64_t)r->body.n);
    json_kv_str(&w, "body_sha256", buf_slice(&hash));
    json_kv_str(&w, "body", r->body.n ? slice_first(r->body, BOOK_BODY_BYTES) : SLICE(""));
    char *text = mem_strndup(out.p, out.len);
    buf_done(&out);
    buf_done(&hash);
    return text;
}

uint64_t book_arrived(struct book *b, const struct peer_request *r) {
    pthread_mutex_lock(&b->lock);
    uint64_t number = b->next_number++;
    pthread_mutex_unlock(&b->lock);
    char *json = request_json(number, r);
    pthread_mutex_lock(&b->lock);
    struct book_entry *e = &b->entries[number % BOOK_REQUESTS];
    mem_free(e->json);
    *e = (struct book_entry){number, json, "open", 0, 0};
    pthread_mutex_unlock(&b->lock);
    return number;
}

static const char *outcome_of(const struct peer *w) {
    switch (w->end) {
    case PEER_OPEN:
        return "done";
    case PEER_GONE:
        return "gone";
    case PEER_CUT:
        return "cut";
    }
    return "";
}

static void bill_write(struct book *b, uint64_t number, const struct bill_line *l, int64_t cost) {
    struct buf out = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_kv_int(&w, "number", (int64_t)number);
    json_kv_str(&w, "model", slice_first(l->model, 200));
    json_kv_int(&w, "status", l->status);
    json_kv_int(&w, "input_tokens", l->input_tokens);
    json_kv_int(&w, "output_tokens", l->output_tokens);
    json_kv_int(&w, "cost_picousd", cost);
    json_kv_bool(&w, "cancelled", l->cancelled);
    json_obj_end(&w);
    buf_append_char(&out, '\n');
    if (b->bill_fd >= 0 && write(b->bill_fd, out.p, out.len) < 0)
        b->bill_fd = -1;
    buf_done(&out);
}

void book_ended(struct book *b, uint64_t number, const struct peer *w, const struct bill_line *line) {
    pthread_mutex_lock(&b->lock);
    struct book_entry *e = &b->entries[number % BOOK_REQUESTS];
    if (e->number == number) {
        e->outcome = outcome_of(w);
        e->events = w->events;
        e->body_sent = w->body_sent;
    }
    if (line) {
        int64_t cost = line->input_tokens * b->input_price + line->output_tokens * b->output_price;
        b->requests++;
        b->cancelled += line->cancelled;
        b->input_tokens += line->input_tokens;
        b->output_tokens += line->output_tokens;
        b->cost_picousd += cost;
        bill_write(b, number, line, cost);
    }
    pthread_mutex_unlock(&b->lock);
}

// ---- the script

static enum err standing_apply(struct arena *a, const char *text, struct slice model, struct order *o) {
    struct json_doc doc;
    struct json_error why;
    enum err e = json_read(a, arena_copy(a, slice_str(text)), &doc, &why);
    if (e)
        return e;
    yyjson_val *root = yyjson_doc_get_root(doc.doc), *def = yyjson_obj_get(root, "default");
    yyjson_val *own = yyjson_obj_getn(yyjson_obj_get(root, "models"), model.p ? model.p : "", model.n);
    if (def)
        e = order_apply(a, &doc, def, o);
    return !e && own ? order_apply(a, &doc, own, o) : e;
}

enum err book_order(struct book *b, struct arena *a, struct slice model, struct order *o) {
    pthread_mutex_lock(&b->lock);
    char *standing = mem_strdup(b->standing), *next = NULL;
    if (b->queue_from < b->queue_to) {
        next = b->queue[b->queue_from % BOOK_QUEUE];
        b->queue[b->queue_from++ % BOOK_QUEUE] = NULL;
    }
    pthread_mutex_unlock(&b->lock);
    enum err e = standing ? standing_apply(a, standing, model, o) : ERR_OK;
    if (!e && next)
        e = order_read(a, slice_str(next), o);
    mem_free(standing);
    mem_free(next);
    return e;
}

static char *value_text(yyjson_val *v) {
    struct buf out = BUF_INIT(64u << 20);
    struct json_writer w = JSON_WRITER(&out);
    json_put_val(&w, v);
    char *text = mem_strndup(out.p, out.len);
    buf_done(&out);
    return text;
}

static enum err script_check(struct arena *a, struct json_doc *doc, yyjson_val *orders) {
    size_t i, max;
    yyjson_val *v;
    struct order o;
    yyjson_arr_foreach(orders, i, max, v) {
        order_init(&o);
        enum err e = order_apply(a, doc, v, &o);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err queue_add(struct book *b, yyjson_val *orders) {
    size_t i, max;
    yyjson_val *v;
    yyjson_arr_foreach(orders, i, max, v) {
        if (b->queue_to - b->queue_from >= BOOK_QUEUE)
            return ERR_LIMIT;
        b->queue[b->queue_to++ % BOOK_QUEUE] = value_text(v);
    }
    return ERR_OK;
}

static enum err script_read(struct book *b, struct arena *a, struct slice json) {
    struct json_doc doc;
    struct json_error why;
    struct order o;
    enum err e = json_read(a, json, &doc, &why);
    if (e)
        return e;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    yyjson_val *orders = yyjson_is_arr(root) ? root : yyjson_obj_get(root, "queue");
    e = script_check(a, &doc, orders);
    order_init(&o);
    if (!e && yyjson_obj_get(root, "default"))
        e = order_apply(a, &doc, yyjson_obj_get(root, "default"), &o);
    if (e)
        return e;
    pthread_mutex_lock(&b->lock);
    if (yyjson_is_obj(root) && (yyjson_obj_get(root, "default") || yyjson_obj_get(root, "models"))) {
        mem_free(b->standing);
        b->standing = value_text(root);
    }
    e = queue_add(b, orders);
    pthread_mutex_unlock(&b->lock);
    return e;
}

enum err book_script(struct book *b, struct slice json) {
    struct arena a;
    arena_init(&a, 64u << 20, 0);
    enum err e = script_read(b, &a, json);
    arena_done(&a);
    return e;
}

void book_reset(struct book *b) {
    pthread_mutex_lock(&b->lock);
    for (size_t i = 0; i < BOOK_REQUESTS; i++) {
        mem_free(b->entries[i].json);
        b->entries[i] = (struct book_entry){0};
    }
    while (b->queue_from < b->queue_to)
        mem_free(b->queue[b->queue_from++ % BOOK_QUEUE]);
    mem_free(b->standing);
    b->standing = NULL;
    b->requests = b->cancelled = b->input_tokens = b->output_tokens = b->cost_picousd = 0;
    pthread_mutex_unlock(&b->lock);
}

// ---- reports

void book_bill_json(struct book *b, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    pthread_mutex_lock(&b->lock);
    json_obj(&w);
    json_kv_int(&w, "requests", b->requests);
    json_kv_int(&w, "cancelled", b->cancelled);
    json_kv_int(&w, "input_tokens", b->input_tokens);
    json_kv_int(&w, "output_tokens", b->output_tokens);
    json_kv_int(&w, "cost_picousd", b->cost_picousd);
    json_obj_end(&w);
    pthread_mutex_unlock(&b->lock);
}

static void entry_write(const struct book_entry *e, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    buf_append_str(out, e->json ? e->json : "{\"lost\":true");
    w.comma = true;
    json_kv_cstr(&w, "outcome", e->outcome);
    json_kv_int(&w, "events", e->events);
    json_kv_int(&w, "body_sent", (int64_t)e->body_sent);
    json_obj_end(&w);
}

void book_requests_json(struct book *b, struct buf *out) {
    bool first = true;
    pthread_mutex_lock(&b->lock);
    buf_append_char(out, '[');
    uint64_t from = b->next_number > BOOK_REQUESTS ? b->next_number - BOOK_REQUESTS : 1;
    for (uint64_t n = from; n < b->next_number; n++) {
        const struct book_entry *e = &b->entries[n % BOOK_REQUESTS];
        if (e->number != n)
            continue;
        if (!first)
            buf_append_char(out, ',');
        first = false;
        entry_write(e, out);
    }
    buf_append_char(out, ']');
    pthread_mutex_unlock(&b->lock);
}
