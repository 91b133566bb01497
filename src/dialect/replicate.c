// SPDX-License-Identifier: Apache-2.0
// Replicate's predictions, as an upstream only: a model's `input` is made of the conversation, the answer is a prediction
// that may still run. Its stream has text and an end, no counts; its last state has both (HTTP API: predictions.create,
// predictions.get, streaming). No client speaks this, so the client's side of the table is OpenAI's, whose errors these
// are read by, too. Pure; arena memory.
#include "base/limits.h"
#include "dialect/openai.h"

static const struct dialect_address addresses[] = {{NULL, NULL, OP_CHAT}};
static const char *const carried_headers[] = {NULL};

// ---- a request

#define NO_PLACE "a prediction has no place for it"

struct out {
    struct arena *a;
    const struct request *r;
    struct wire_request *wire;
    struct json_writer w;
};

static void drop(struct out *out, bool is_set, const char *path, const char *reason) {
    if (is_set)
        notes_add(out->a, &out->wire->notes, "dropped", slice_str(path), reason);
}

// What is in the parts of a message and has no place in a prompt, each kind once.
struct losses {
    bool media, name, thinking, opaque, cache, error;
};

static void losses_of(const struct part *p, struct losses *l) {
    for (; p; p = p->next) {
        l->media |= p->kind == PART_IMAGE || p->kind == PART_AUDIO || p->kind == PART_DOCUMENT;
        l->thinking |= p->kind == PART_THINK || p->signature.n;
        l->opaque |= p->kind == PART_OPAQUE;
        l->cache |= p->cache_control.p != NULL;
        l->error |= p->is_error;
        losses_of(p->content, l);
    }
}

static void losses_note(struct out *out) {
    struct losses l = {0};
    for (const struct message *m = out->r->messages; m; m = m->next) {
        l.name |= m->name.n > 0;
        losses_of(m->parts, &l);
    }
    for (const struct tool *t = out->r->tools; t; t = t->next)
        l.cache |= t->cache_control.p != NULL;
    drop(out, l.media, "messages", "media: models name their inputs as they like");
    drop(out, l.name, "name", NO_PLACE);
    drop(out, l.thinking, "thinking", "a prompt has no place for past thoughts and signatures");
    drop(out, l.opaque, "messages[].content", "a part that only the client's dialect has");
    drop(out, l.cache, "cache_control", NO_PLACE);
    drop(out, l.error, "is_error", NO_PLACE);
}

static void drops_note(struct out *out) {
    const struct request *r = out->r;
    losses_note(out);
    drop(out, r->tools != NULL, "tools", NO_PLACE);
    drop(out, r->tool_choice > TOOL_CHOICE_AUTO, "tool_choice", NO_PLACE);
    drop(out, r->parallel_tools >= 0, "parallel_tool_calls", NO_PLACE);
    drop(out, r->format > FORMAT_TEXT, "response_format", NO_PLACE);
    drop(out, r->logprobs > 0, "logprobs", NO_PLACE);
    drop(out, r->n > 1, "n", NO_PLACE);
    drop(out, r->think > THINK_OFF || r->think_budget >= 0, "reasoning_effort", NO_PLACE);
    drop(out, num_set(r->min_p), "min_p", NO_PLACE);
    drop(out, num_set(r->repeat_penalty), "repeat_penalty", NO_PLACE);
    drop(out, r->user.n > 0, "user", NO_PLACE);
    drop(out, r->context >= 0, "num_ctx", NO_PLACE);
    drop(out, r->keep_alive.n > 0, "keep_alive", NO_PLACE);
    drop(out, r->suffix.n > 0, "suffix", NO_PLACE);
    drop(out, r->raw, "raw", "the model's own template is applied");
    notes_unmodelled(out->a, &out->wire->notes, r);
}

static struct slice text_of(struct out *out, const struct message *m) {
    struct slice text = parts_text(out->a, m->parts);
    for (const struct part *p = m->parts; p && !text.n; p = p->next)
        if (p->kind == PART_TOOL_RESULT)
            text = parts_text(out->a, p->content);
    return text;
}

static size_t turns_of(const struct request *r) {
    size_t n = 0;
    for (const struct message *m = r->messages; m; m = m->next)
        n += m->role != ROLE_SYSTEM;
    return n;
}

static void put_texts(struct out *out, const char *key, bool system) {
    static const char *const names[] = {
        [ROLE_SYSTEM] = "", [ROLE_USER] = "User: ", [ROLE_ASSISTANT] = "Assistant: ", [ROLE_TOOL] = "Tool: "};
    const struct request *r = out->r;
    bool said = !system && turns_of(r) > 1, any = false;
    struct buf text = BUF_INIT(2 * (size_t)LIMIT_BODY_BYTES);
    if (!system)
        buf_append(&text, r->prompt);
    for (const struct message *m = r->messages; m; m = m->next) {
        if ((m->role == ROLE_SYSTEM) != system)
            continue;
        buf_append_str(&text, any ? "\n\n" : "");
        buf_append_str(&text, said ? names[m->role] : "");
        buf_append(&text, text_of(out, m));
        any = true;
    }
    if (said)
        buf_append_str(&text, "\n\nAssistant: ");
    if (text.len || !system)
        json_kv_str(&out->w, key, buf_slice(&text));
    out->w.out->failed |= text.failed;
    buf_done(&text);
}

static void put_num(struct json_writer *w, const char *name, double v) {
    if (num_set(v))
        json_kv_num(w, name, v);
}

static void put_stops(struct json_writer *w, const struct request *r) {
    struct buf all = BUF_INIT(65536);
    for (size_t i = 0; i < r->n_stops; i++) {
        buf_append_str(&all, i ? "," : "");
        buf_append(&all, r->stops[i]);
    }
    if (all.len)
        json_kv_str(w, "stop_sequences", buf_slice(&all));
    buf_done(&all);
}

static void put_input(struct out *out, int64_t max_tokens) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    json_key(w, "input");
    json_obj(w);
    put_texts(out, "prompt", false);
    put_texts(out, "system_prompt", true);
    if (max_tokens >= 0)
        json_kv_int(w, "max_tokens", max_tokens);
    put_num(w, "temperature", r->temperature);
    put_num(w, "top_p", r->top_p);
    put_num(w, "presence_penalty", r->presence_penalty);
    put_num(w, "frequency_penalty", r->frequency_penalty);
    if (r->top_k >= 0)
        json_kv_int(w, "top_k", r->top_k);
    if (r->seed_set)
        json_kv_int(w, "seed", r->seed);
    put_stops(w, r);
    json_obj_end(w);
}

// "owner/name" is run at its own address; "owner/name:version" and a bare version name theirs in the body.
static struct slice version_of(struct slice model) {
    size_t colon = slice_find(model, ':');
    return colon != SIZE_MAX ? slice_from(model, colon + 1) : slice_find(model, '/') == SIZE_MAX ? model : SLICE_NONE;
}

static bool model_is_plain(struct slice model) {
    for (size_t i = 0; i < model.n; i++)
        if (!model.p[i] || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:", model.p[i]))
            return false;
    return model.n > 0 && slice_search(model, SLICE("..")) == SIZE_MAX;
}

static enum err replicate_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                        struct wire_request *ret, struct problem *problem) {
    struct buf body = BUF_INIT(2 * (size_t)LIMIT_BODY_BYTES);
    struct out out = {.a = a, .r = r, .wire = ret, .w = JSON_WRITER(&body)};
    struct slice model = o->model.p ? o->model : r->model, version = version_of(model);
    *ret = (struct wire_request){.path = "/predictions"};
    notes_init(&ret->notes);
    bool talks = r->op == OP_CHAT || r->op == OP_GENERATE;
    if (!talks || r->kin_only || !model_is_plain(model)) {
        *problem = PROBLEM(ERR_UNSUPPORTED);
        problem->message = talks ? SLICE("model: expected owner/name, with :version or without") : SLICE_NONE;
        return ERR_UNSUPPORTED;
    }
    if (!version.n)
        ret->path = arena_printf(a, "/models/%.*s/predictions", SLICE_FMT(model));
    json_obj(&out.w);
    if (version.n)
        json_kv_str(&out.w, "version", version);
    put_input(&out, o->max_tokens >= 0 ? o->max_tokens : r->max_tokens);
    if (o->stream >= 0 ? o->stream > 0 : r->stream)
        json_kv_bool(&out.w, "stream", true);
    json_obj_end(&out.w);
    drops_note(&out);
    enum err e = ret->path ? buf_into_arena(&body, a, &ret->body) : ERR_NO_MEMORY;
    if (e) {
        buf_done(&body);
        *problem = PROBLEM(e);
    }
    return e;
}

// ---- a prediction

static bool is_over(struct slice status) {
    return slice_is(status, "succeeded") || slice_is(status, "failed") || slice_is(status, "canceled") ||
           slice_is(status, "aborted");
}

static enum err replicate_read_step(struct arena *a, struct slice body, bool stream, struct wire_step *ret) {
    struct json_doc doc;
    struct json_error why;
    enum err e = json_read(a, body, &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(doc.doc), *urls = yyjson_obj_get(root, "urls");
    struct slice status = json_get_str(root, "status"), streams = json_get_str(urls, "stream");
    *ret = (struct wire_step){.cancel = json_get_str(urls, "cancel"), .url = json_get_str(urls, "get")};
    if (is_over(status))
        return ERR_OK;
    ret->next = stream && streams.n ? NEXT_STREAM : NEXT_POLL;
    if (ret->next == NEXT_STREAM)
        ret->url = streams;
    return status.n && ret->url.n ? ERR_OK : ERR_UP_PROTOCOL;
}

static enum err text_put(struct event_sink *s, struct slice text) {
    enum err e = emit_begin(s, 0, 0, BLOCK_TEXT);
    if (!e)
        e = emit_delta(s, 0, 0, BLOCK_TEXT, text);
    return e ? e : emit_block_end(s, 0, 0, BLOCK_TEXT, SLICE_NONE);
}

// A text, or a list of its pieces.
static enum err output_put(struct arena *a, yyjson_val *output, struct event_sink *s) {
    struct buf all = BUF_INIT(LIMIT_UP_BODY_BYTES);
    yyjson_val *v;
    size_t i, n;
    if (yyjson_is_str(output))
        return text_put(s, json_str(output));
    if (output && !yyjson_is_arr(output) && !yyjson_is_null(output))
        return ERR_UP_PROTOCOL; // of a model that does not talk
    yyjson_arr_foreach(output, i, n, v) {
        buf_append(&all, json_str(v));
    }
    struct slice text = SLICE_NONE;
    enum err e = buf_into_arena(&all, a, &text);
    return e ? e : text_put(s, text);
}

static enum err failure_put(struct event_sink *s, struct slice said) {
    struct problem p = PROBLEM(ERR_UP_INTERNAL);
    p.detail = said;
    return emit_error(s, &p);
}

static enum err replicate_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *s) {
    struct json_doc doc;
    struct json_error why;
    struct usage u = USAGE_NONE;
    (void)op;
    enum err e = json_read(a, body, &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(doc.doc), *metrics = yyjson_obj_get(root, "metrics");
    struct slice status = json_get_str(root, "status");
    if (!is_over(status))
        return ERR_UP_PROTOCOL;
    if (!slice_is(status, "succeeded"))
        return failure_put(s, json_get_str(root, "error"));
    u.input_tokens = json_get_int(metrics, "input_token_count", -1);
    u.output_tokens = json_get_int(metrics, "output_token_count", -1);
    e = emit_start(s, json_get_str(root, "id"), json_get_str(root, "model"), 0);
    if (!e)
        e = output_put(a, yyjson_obj_get(root, "output"), s);
    if (!e)
        e = emit_finish(s, 0, FINISH_STOP, SLICE_NONE);
    if (!e)
        e = emit_usage(s, &u);
    return e ? e : emit_end(s);
}

// ---- its stream

struct stream_reader {
    bool open, done, failed;
};

static struct stream_reader *replicate_reader_new(struct arena *a, enum op op) {
    (void)op;
    return ARENA_NEW(a, struct stream_reader);
}

static enum err begin(struct stream_reader *r, struct event_sink *s) {
    if (r->open)
        return ERR_OK;
    r->open = true;
    enum err e = emit_start(s, SLICE_NONE, SLICE_NONE, 0);
    return e ? e : emit_begin(s, 0, 0, BLOCK_TEXT);
}

static enum err finish(struct stream_reader *r, struct event_sink *s, struct slice data) {
    if (slice_search(data, SLICE("\"error\"")) != SIZE_MAX || slice_search(data, SLICE("\"canceled\"")) != SIZE_MAX) {
        r->failed = true;
        return failure_put(s, data);
    }
    r->done = true;
    enum err e = begin(r, s);
    if (!e)
        e = emit_block_end(s, 0, 0, BLOCK_TEXT, SLICE_NONE);
    if (!e)
        e = emit_finish(s, 0, FINISH_STOP, SLICE_NONE);
    return e ? e : emit_end(s);
}

static enum err replicate_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *s) {
    if (f->comment)
        return emit(s, &(struct event){.kind = EV_PING});
    if (r->done || r->failed)
        return ERR_OK;
    if (slice_is(f->event, "done"))
        return finish(r, s, f->data);
    if (slice_is(f->event, "error")) {
        r->failed = true;
        return failure_put(s, f->data);
    }
    if (!slice_is(f->event, "output"))
        return ERR_OK;
    enum err e = begin(r, s);
    return e ? e : emit_delta(s, 0, 0, BLOCK_TEXT, f->data);
}

static enum err replicate_reader_finish(struct stream_reader *r, struct event_sink *s) {
    (void)s;
    return r->done || r->failed ? ERR_OK : ERR_UP_DIED;
}

const struct dialect dialect_replicate = {
    .id = DIALECT_REPLICATE,
    .name = "replicate",
    .addresses = addresses,
    .framing = FRAMING_SSE,
    .stream_content_type = "text/event-stream",
    .carried_headers = carried_headers,
    .keepalive = {NULL, 0},
    .read_request = openai_read_request,
    .write_answer = openai_write_answer,
    .writer_new = openai_writer_new,
    .writer_event = openai_writer_event,
    .write_error = openai_write_error,
    .write_request = replicate_write_request,
    .read_step = replicate_read_step,
    .read_answer = replicate_read_answer,
    .reader_new = replicate_reader_new,
    .reader_frame = replicate_reader_frame,
    .reader_finish = replicate_reader_finish,
    .read_error = openai_read_error,
};
