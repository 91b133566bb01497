// SPDX-License-Identifier: Apache-2.0
// Events → a Gemini answer, whole or in chunks, as server-sent events or as the elements of one JSON array. A text goes
// out as it comes; a call when it is whole, because this dialect's arguments are objects. The reason to finish comes last,
// with the counts. Blocks without a place (server tools and opaque ones of other dialects) are left out. State lives in
// the arena, arguments of open calls in bufs that are freed with it.
#include "base/limits.h"
#include "dialect/gemini.h"

#define CHOICES_MAX 16

struct out_block {
    struct out_block *next; // newest first
    uint32_t block;
    uint32_t choice;
    enum block_kind kind;
    struct slice call_id, name, signature;
    struct buf arguments;
};

struct stream_writer {
    struct arena *a;
    struct identity who;
    struct slice id, model;
    struct out_block *blocks, *current;
    enum finish finishes[CHOICES_MAX];
    bool seen[CHOICES_MAX];
    struct slice feedback; // promptFeedback, raw
    struct usage usage;
    bool array;
    bool hides; // the client does not want to read the thinking
    bool begun; // an element of the array was written
    bool over;
};

static void writer_free(void *arg) {
    struct stream_writer *w = arg;
    for (struct out_block *b = w->blocks; b; b = b->next)
        buf_done(&b->arguments);
}

struct stream_writer *gemini_writer_new(struct arena *a, const struct request *r, const struct identity *who) {
    struct stream_writer *w = ARENA_NEW(a, struct stream_writer);
    if (!w || !arena_defer(a, writer_free, w))
        return NULL;
    w->a = a;
    w->who = *who;
    w->array = r->stream_array;
    w->hides = r->dialect == DIALECT_GEMINI && r->think_shown == 0;
    w->usage = USAGE_NONE;
    return w;
}

// ---- what whole answers and chunks share

static const char *finish_text(enum finish f) {
    switch (f) {
    case FINISH_LENGTH:
        return "MAX_TOKENS";
    case FINISH_FILTER:
    case FINISH_REFUSAL:
        return "SAFETY";
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_TOOL:
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
    case FINISH_LOAD:
        return "STOP";
    }
    return "STOP";
}

static int64_t or_zero(int64_t v) {
    return v > 0 ? v : 0;
}

static void put_usage(struct json_writer *w, const struct usage *u) {
    int64_t thoughts = or_zero(u->reasoning_tokens), output = or_zero(u->output_tokens);
    json_key(w, "usageMetadata");
    json_obj(w);
    json_kv_int(w, "promptTokenCount", or_zero(u->input_tokens));
    json_kv_int(w, "candidatesTokenCount", output > thoughts ? output - thoughts : 0);
    json_kv_int(w, "totalTokenCount", or_zero(u->input_tokens) + (output > thoughts ? output : thoughts));
    if (u->cache_read_tokens > 0)
        json_kv_int(w, "cachedContentTokenCount", u->cache_read_tokens);
    if (thoughts)
        json_kv_int(w, "thoughtsTokenCount", thoughts);
    json_obj_end(w);
}

static void put_text_part(struct json_writer *w, struct slice text, bool thought, struct slice signature) {
    json_obj(w);
    json_kv_str(w, "text", text);
    if (thought)
        json_kv_bool(w, "thought", true);
    if (signature.n)
        json_kv_str(w, "thoughtSignature", signature);
    json_obj_end(w);
}

static void put_call_part(struct json_writer *w, struct arena *a, struct slice id, struct slice name,
                          struct slice arguments, struct slice signature) {
    json_obj(w);
    json_key(w, "functionCall");
    json_obj(w);
    json_kv_str(w, "id", id);
    json_kv_str(w, "name", name);
    json_key(w, "args");
    (void)gemini_put_arguments(w, a, arguments);
    json_obj_end(w);
    if (signature.n)
        json_kv_str(w, "thoughtSignature", signature);
    json_obj_end(w);
}

static bool is_own_opaque(enum block_kind kind, struct slice name, struct slice raw) {
    return kind == BLOCK_OPAQUE && slice_is(name, GEMINI_PART) && raw.n;
}

// ---- whole answers

static void put_block(struct json_writer *w, struct arena *a, const struct answer_block *b, bool hides) {
    struct slice text = buf_slice(&b->text);
    switch (b->kind) {
    case BLOCK_THINK:
        put_text_part(w, b->redacted || hides ? SLICE("") : text, true, b->redacted ? b->opening : b->signature);
        return;
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        put_text_part(w, text, false, b->signature);
        return;
    case BLOCK_TOOL:
        put_call_part(w, a, b->call_id, b->name, text, b->signature);
        return;
    case BLOCK_OPAQUE:
        if (is_own_opaque(b->kind, b->name, b->opening))
            json_put_raw(w, b->opening);
        return;
    case BLOCK_MEDIA:
    case BLOCK_SERVER_TOOL:
        return;
    }
}

static void put_candidate(struct json_writer *w, struct arena *a, const struct answer *answer, uint32_t choice,
                          bool hides) {
    json_obj(w);
    json_key(w, "content");
    json_obj(w);
    json_key(w, "parts");
    json_arr(w);
    for (const struct answer_block *b = answer->first; b; b = b->next)
        if (b->choice == choice)
            put_block(w, a, b, hides);
    json_arr_end(w);
    json_kv_cstr(w, "role", "model");
    json_obj_end(w);
    json_kv_cstr(w, "finishReason", finish_text(answer->choices[choice].finish));
    json_kv_int(w, "index", choice);
    json_obj_end(w);
}

static enum err put_count(struct json_writer *w, const struct answer *answer) {
    json_obj(w);
    json_kv_int(w, "totalTokens", or_zero(answer->usage.input_tokens));
    json_obj_end(w);
    return buf_status(w->out);
}

enum err gemini_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    bool hides = r->dialect == DIALECT_GEMINI && r->think_shown == 0;
    if (r->op == OP_COUNT_TOKENS)
        return put_count(&w, answer);
    if (r->op == OP_EMBED)
        return gemini_write_vectors(a, r, answer, out);
    json_obj(&w);
    json_key(&w, "candidates");
    json_arr(&w);
    for (uint32_t i = 0; i < answer->n_choices || i == 0; i++)
        put_candidate(&w, a, answer, i, hides);
    json_arr_end(&w);
    put_usage(&w, &answer->usage);
    json_kv_str(&w, "modelVersion", answer->model.n ? answer->model : who->model);
    json_kv_str(&w, "responseId", answer->id.n ? answer->id : who->id);
    json_obj_end(&w);
    return buf_status(out);
}

// ---- chunks

struct chunk {
    struct json_writer j;
    size_t from;
};

static struct chunk chunk_begin(struct stream_writer *w, struct buf *out) {
    struct chunk c = {.j = JSON_WRITER(out)};
    if (w->array)
        buf_append_str(out, w->begun ? ",\r\n" : "[");
    else
        buf_append_str(out, "data: ");
    w->begun = true;
    c.from = out->len;
    json_obj(&c.j);
    return c;
}

// A frame's data is one line; raw JSON may have line breaks, between its tokens only.
static void chunk_end(struct stream_writer *w, struct chunk *c) {
    struct buf *out = c->j.out;
    json_obj_end(&c->j);
    for (size_t i = c->from; i < out->len; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
    if (!w->array)
        buf_append_str(out, "\r\n\r\n");
}

// The part is written by the caller between open and close.
static struct chunk part_open(struct stream_writer *w, uint32_t choice, struct buf *out) {
    struct chunk c = chunk_begin(w, out);
    w->seen[choice] = true;
    json_key(&c.j, "candidates");
    json_arr(&c.j);
    json_obj(&c.j);
    json_key(&c.j, "content");
    json_obj(&c.j);
    json_key(&c.j, "parts");
    json_arr(&c.j);
    return c;
}

static void part_close(struct stream_writer *w, struct chunk *c, uint32_t choice, const char *finish) {
    struct json_writer *j = &c->j;
    json_arr_end(j);
    json_kv_cstr(j, "role", "model");
    json_obj_end(j);
    if (finish)
        json_kv_cstr(j, "finishReason", finish);
    json_kv_int(j, "index", choice);
    json_obj_end(j);
    json_arr_end(j);
    if (finish && w->feedback.p)
        json_kv_raw(j, "promptFeedback", w->feedback);
    if (w->usage.input_tokens >= 0 || finish)
        put_usage(j, &w->usage);
    json_kv_str(j, "modelVersion", w->model.n ? w->model : w->who.model);
    json_kv_str(j, "responseId", w->id.n ? w->id : w->who.id);
    chunk_end(w, c);
}

static void put_text(struct stream_writer *w, const struct out_block *b, struct slice text, struct slice signature,
                     struct buf *out) {
    bool thought = b->kind == BLOCK_THINK;
    if (thought && w->hides)
        text = SLICE("");
    if (!text.n && !signature.n)
        return;
    struct chunk c = part_open(w, b->choice, out);
    put_text_part(&c.j, text, thought, signature);
    part_close(w, &c, b->choice, NULL);
}

// ---- events

static struct out_block *find(struct stream_writer *w, uint32_t block) {
    if (w->current && w->current->block == block)
        return w->current;
    struct out_block *b = w->blocks;
    while (b && b->block != block)
        b = b->next;
    return w->current = b;
}

static struct slice keep(struct stream_writer *w, struct slice s, bool *failed) {
    struct slice copy = s.n ? arena_copy(w->a, s) : SLICE_NONE;
    *failed |= s.n && !copy.p;
    return copy;
}

static enum err on_begin(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_block *b = ARENA_NEW(w->a, struct out_block);
    bool failed = false;
    if (!b)
        return ERR_NO_MEMORY;
    *b = (struct out_block){.next = w->blocks, .block = ev->block, .choice = ev->choice, .kind = ev->block_kind};
    buf_init(&b->arguments, LIMIT_UP_BODY_BYTES);
    w->blocks = w->current = b;
    if (ev->block_kind == BLOCK_TOOL) {
        b->call_id = keep(w, ev->call_id, &failed);
        b->name = keep(w, ev->name, &failed);
        b->signature = keep(w, ev->signature, &failed);
    } else if (ev->block_kind == BLOCK_THINK && ev->redacted) {
        put_text(w, b, SLICE(""), ev->text, out);
    } else if (is_own_opaque(ev->block_kind, ev->name, ev->text)) {
        struct chunk c = part_open(w, ev->choice, out);
        json_put_raw(&c.j, ev->text);
        part_close(w, &c, ev->choice, NULL);
    }
    return failed ? ERR_NO_MEMORY : ERR_OK;
}

static enum err on_delta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_block *b = find(w, ev->block);
    if (!b)
        return ERR_OK;
    if (b->kind == BLOCK_TOOL) {
        buf_append(&b->arguments, ev->text);
        return buf_status(&b->arguments);
    }
    if (b->kind == BLOCK_TEXT || b->kind == BLOCK_THINK || b->kind == BLOCK_REFUSAL)
        put_text(w, b, ev->text, SLICE_NONE, out);
    return ERR_OK;
}

static void on_block_end(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct out_block *b = find(w, ev->block);
    if (!b)
        return;
    if (b->kind == BLOCK_TEXT || b->kind == BLOCK_THINK || b->kind == BLOCK_REFUSAL)
        put_text(w, b, SLICE(""), ev->signature, out);
    if (b->kind != BLOCK_TOOL)
        return;
    struct chunk c = part_open(w, b->choice, out);
    put_call_part(&c.j, w->a, b->call_id, b->name, buf_slice(&b->arguments), b->signature);
    part_close(w, &c, b->choice, NULL);
    buf_done(&b->arguments);
}

static enum err on_meta(struct stream_writer *w, const struct event *ev) {
    bool failed = false;
    if (slice_is(ev->name, GEMINI_META "promptFeedback"))
        w->feedback = keep(w, ev->text, &failed);
    return failed ? ERR_NO_MEMORY : ERR_OK;
}

static void on_end(struct stream_writer *w, struct buf *out) {
    w->over = true;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        if (!w->seen[i] && i > 0)
            continue;
        struct chunk c = part_open(w, i, out);
        put_text_part(&c.j, SLICE(""), false, SLICE_NONE);
        part_close(w, &c, i, finish_text(w->finishes[i]));
    }
    if (w->array)
        buf_append_str(out, "]");
}

static void on_error(struct stream_writer *w, const struct problem *p, struct buf *out) {
    int status;
    w->over = true;
    buf_append_str(out, !w->array ? "data: " : w->begun ? ",\r\n" : "[");
    gemini_write_error(p, w->who.id, out, &status);
    buf_append_str(out, w->array ? "]" : "\r\n\r\n");
}

static enum err dispatch(struct stream_writer *w, const struct event *ev, struct buf *out) {
    const struct problem unknown = PROBLEM(ERR_UP_INTERNAL);
    bool failed = false;
    switch (ev->kind) {
    case EV_START:
        w->id = keep(w, ev->id, &failed);
        w->model = keep(w, ev->model, &failed);
        return failed ? ERR_NO_MEMORY : ERR_OK;
    case EV_BLOCK_BEGIN:
        return on_begin(w, ev, out);
    case EV_DELTA:
        return on_delta(w, ev, out);
    case EV_META:
        return on_meta(w, ev);
    case EV_BLOCK_END:
        on_block_end(w, ev, out);
        return ERR_OK;
    case EV_FINISH:
        w->seen[ev->choice] = true;
        w->finishes[ev->choice] = ev->finish;
        return ERR_OK;
    case EV_USAGE:
        (void)usage_merge(&w->usage, &ev->usage);
        return ERR_OK;
    case EV_PING:
        return ERR_OK;
    case EV_ERROR:
        on_error(w, ev->problem ? ev->problem : &unknown, out);
        return ERR_OK;
    case EV_END:
        on_end(w, out);
        return ERR_OK;
    }
    return ERR_OK;
}

enum err gemini_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out) {
    if (w->over)
        return ERR_OK;
    if (ev->choice >= CHOICES_MAX)
        return ERR_UP_PROTOCOL;
    enum err e = dispatch(w, ev, out);
    return e ? e : buf_status(out);
}
