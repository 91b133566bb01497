// SPDX-License-Identifier: Apache-2.0
// Events → Ollama's lines, and a whole answer as one object. What every line starts with is made once. Calls go out
// whole, so their arguments are gathered until their block ends. Counts stand in the last line, when they are known;
// durations that nobody measured are 1 ns, since clients divide by them. Bufs are freed with the arena.
#include "dialect/ollama.h"
#include "base/clock.h"
#include "base/limits.h"

struct open_call {
    struct open_call *next;
    uint32_t block;
    struct slice id, name;
    struct buf arguments;
};

struct stream_writer {
    struct arena *a;
    const struct request *r;
    struct slice head; // {"model":…,"created_at":…
    struct open_call *calls;
    struct usage usage;
    enum finish finish;
    unsigned n_calls;
    bool over;
};

// ---- what lines have in common

static struct slice make_head(struct arena *a, const struct identity *who) {
    struct buf b = BUF_INIT(16384), time = BUF_INIT(64);
    struct json_writer j = JSON_WRITER(&b);
    struct slice head = SLICE_NONE;
    clock_append_rfc3339(&time, who->created_s * 1000000);
    json_obj(&j);
    json_kv_str(&j, "model", who->model);
    json_kv_str(&j, "created_at", buf_slice(&time));
    if (time.failed)
        b.failed = true;
    buf_done(&time);
    return buf_into_arena(&b, a, &head) ? SLICE_NONE : head;
}

static struct json_writer line_begin(struct slice head, struct buf *out) {
    buf_append(out, head);
    return (struct json_writer){out, true};
}

// Raw JSON (arguments, log probabilities) may be spread over lines, and a line is all that NDJSON has. Line breaks stand
// between its tokens only.
static void make_one_line(struct buf *out, size_t from) {
    for (size_t i = from; i < out->len; i++)
        if (out->p[i] == '\n' || out->p[i] == '\r')
            out->p[i] = ' ';
}

static void line_end(struct json_writer *j, bool more) {
    if (more)
        json_kv_bool(j, "done", false);
    json_obj_end(j);
    buf_append_char(j->out, '\n');
}

static void message_begin(struct json_writer *j, struct slice content) {
    json_key(j, "message");
    json_obj(j);
    json_kv_cstr(j, "role", "assistant");
    json_kv_str(j, "content", content);
}

static void put_call(struct json_writer *j, struct arena *a, struct slice id, unsigned index, struct slice name,
                     struct slice arguments) {
    json_obj(j);
    json_kv_str(j, "id", id);
    json_key(j, "function");
    json_obj(j);
    json_kv_int(j, "index", index);
    json_kv_str(j, "name", name);
    json_key(j, "arguments");
    (void)ollama_put_arguments(j, a, arguments);
    json_obj_end(j);
    json_obj_end(j);
}

// ---- the end

static int64_t at_least_0(int64_t v) {
    return v < 0 ? 0 : v;
}

static void put_duration(struct json_writer *j, const char *name, int64_t us) {
    json_kv_int(j, name, us > 0 ? us * 1000 : 1);
}

static const char *reason_of(enum finish f, const struct request *r) {
    if (f == FINISH_LOAD)
        return r->keep_ms == 0 ? "unload" : "load";
    return f == FINISH_LENGTH ? "length" : "stop";
}

static void put_done(struct json_writer *j, const struct request *r, enum finish finish, const struct usage *u) {
    json_kv_bool(j, "done", true);
    json_kv_cstr(j, "done_reason", reason_of(finish, r));
    if (finish == FINISH_LOAD)
        return;
    put_duration(j, "total_duration", at_least_0(u->load_us) + at_least_0(u->prompt_us) + at_least_0(u->output_us));
    put_duration(j, "load_duration", u->load_us);
    if (u->input_tokens >= 0)
        json_kv_int(j, "prompt_eval_count", u->input_tokens);
    put_duration(j, "prompt_eval_duration", u->prompt_us);
    if (u->output_tokens >= 0)
        json_kv_int(j, "eval_count", u->output_tokens);
    put_duration(j, "eval_duration", u->output_us);
}

// ---- lines of a stream

static void put_text(struct stream_writer *w, struct buf *out, bool thinking, struct slice text) {
    struct json_writer j = line_begin(w->head, out);
    if (w->r->op == OP_GENERATE) {
        json_kv_str(&j, "response", thinking ? SLICE("") : text);
        if (thinking)
            json_kv_str(&j, "thinking", text);
    } else {
        message_begin(&j, thinking ? SLICE("") : text);
        if (thinking)
            json_kv_str(&j, "thinking", text);
        json_obj_end(&j);
    }
    line_end(&j, true);
}

static void put_empty(struct stream_writer *w, struct json_writer *j) {
    if (w->r->op == OP_GENERATE) {
        json_kv_cstr(j, "response", "");
        return;
    }
    message_begin(j, SLICE(""));
    json_obj_end(j);
}

// The text's own line has gone; the log probabilities follow in one without text.
static void put_logprobs_line(struct stream_writer *w, struct slice logprobs, struct buf *out) {
    size_t from = out->len;
    struct json_writer j = line_begin(w->head, out);
    put_empty(w, &j);
    json_kv_raw(&j, "logprobs", logprobs);
    make_one_line(out, from);
    line_end(&j, true);
}

static enum err put_logprobs(struct stream_writer *w, struct slice text, struct buf *out) {
    struct frame_json json;
    enum err e = frame_json_open(&json, text);
    if (!e && yyjson_is_arr(yyjson_obj_get(json.root, "content")))
        put_logprobs_line(w, json_get_src(&json.doc, json.root, "content"), out);
    frame_json_close(&json);
    return e == ERR_NO_MEMORY ? e : ERR_OK;
}

static void put_call_line(struct stream_writer *w, const struct open_call *c, struct buf *out) {
    if (w->r->op == OP_GENERATE)
        return; // generate knows no calls
    size_t from = out->len;
    struct json_writer j = line_begin(w->head, out);
    message_begin(&j, SLICE(""));
    json_key(&j, "tool_calls");
    json_arr(&j);
    put_call(&j, w->a, c->id, w->n_calls++, c->name, buf_slice(&c->arguments));
    json_arr_end(&j);
    make_one_line(out, from);
    json_obj_end(&j);
    line_end(&j, true);
}

static void put_last(struct stream_writer *w, struct buf *out) {
    struct json_writer j = line_begin(w->head, out);
    put_empty(w, &j);
    put_done(&j, w->r, w->finish, &w->usage);
    line_end(&j, false);
    w->over = true;
}

static void put_error(struct stream_writer *w, const struct problem *p, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    json_obj(&j);
    json_kv_str(&j, "error", problem_text(p));
    line_end(&j, false);
    w->over = true;
}

// ---- events

static void writer_free(void *arg) {
    struct stream_writer *w = arg;
    for (struct open_call *c = w->calls; c; c = c->next)
        buf_done(&c->arguments);
}

struct stream_writer *ollama_writer_new(struct arena *a, const struct request *r, const struct identity *who) {
    struct stream_writer *w = ARENA_NEW(a, struct stream_writer);
    if (!w || !arena_defer(a, writer_free, w))
        return NULL;
    w->a = a;
    w->r = r;
    w->head = make_head(a, who);
    w->usage = USAGE_NONE;
    return w->head.p ? w : NULL;
}

static struct open_call **find_call(struct stream_writer *w, uint32_t block) {
    struct open_call **at = &w->calls;
    while (*at && (*at)->block != block)
        at = &(*at)->next;
    return at;
}

static enum err on_begin(struct stream_writer *w, const struct event *ev) {
    if (ev->block_kind != BLOCK_TOOL)
        return ERR_OK;
    struct open_call *c = ARENA_NEW(w->a, struct open_call);
    if (!c)
        return ERR_NO_MEMORY;
    c->block = ev->block;
    c->id = arena_copy(w->a, ev->call_id);
    c->name = arena_copy(w->a, ev->name);
    buf_init(&c->arguments, LIMIT_FRAME_BYTES);
    c->next = w->calls;
    w->calls = c;
    return c->id.p && c->name.p ? ERR_OK : ERR_NO_MEMORY;
}

static void on_delta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct open_call *c = ev->block_kind == BLOCK_TOOL ? *find_call(w, ev->block) : NULL;
    if (c)
        buf_append(&c->arguments, ev->text);
    else if (ev->block_kind == BLOCK_TEXT || ev->block_kind == BLOCK_REFUSAL || ev->block_kind == BLOCK_THINK)
        put_text(w, out, ev->block_kind == BLOCK_THINK, ev->text);
}

static enum err on_block_end(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct open_call **at = find_call(w, ev->block), *c = *at;
    if (!c)
        return ERR_OK;
    if (c->arguments.failed)
        return ERR_NO_MEMORY;
    put_call_line(w, c, out);
    *at = c->next;
    buf_done(&c->arguments);
    return ERR_OK;
}

static enum err dispatch(struct stream_writer *w, const struct event *ev, struct buf *out) {
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        return on_begin(w, ev);
    case EV_DELTA:
        on_delta(w, ev, out);
        return ERR_OK;
    case EV_META:
        return slice_is(ev->name, "logprobs") && ev->text.n ? put_logprobs(w, ev->text, out) : ERR_OK;
    case EV_BLOCK_END:
        return on_block_end(w, ev, out);
    case EV_FINISH:
        w->finish = ev->finish;
        return ERR_OK;
    case EV_USAGE:
        (void)usage_merge(&w->usage, &ev->usage);
        return ERR_OK;
    case EV_ERROR:
        put_error(w, ev->problem, out);
        return ERR_OK;
    case EV_END:
        put_last(w, out);
        return ERR_OK;
    case EV_START:
    case EV_PING:
        return ERR_OK;
    }
    return ERR_OK;
}

enum err ollama_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out) {
    if (w->over || ev->choice > 0)
        return ERR_OK; // one answer
    enum err e = dispatch(w, ev, out);
    return e ? e : buf_status(out);
}

// ---- a whole answer

static void put_texts(struct json_writer *j, const struct answer *answer, bool thinking, const char *name) {
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    for (const struct answer_block *b = answer->first; b; b = b->next) {
        bool wanted = thinking ? b->kind == BLOCK_THINK : b->kind == BLOCK_TEXT || b->kind == BLOCK_REFUSAL;
        if (wanted && b->choice == 0 && !b->redacted)
            buf_append(&text, buf_slice(&b->text));
    }
    if (text.len || !thinking)
        json_kv_str(j, name, buf_slice(&text));
    j->out->failed |= text.failed;
    buf_done(&text);
}

static void put_calls(struct json_writer *j, struct arena *a, const struct answer *answer) {
    unsigned n = 0;
    for (const struct answer_block *b = answer->first; b; b = b->next) {
        if (b->kind != BLOCK_TOOL || b->choice != 0)
            continue;
        if (!n) {
            json_key(j, "tool_calls");
            json_arr(j);
        }
        put_call(j, a, b->call_id, n++, b->name, buf_slice(&b->text));
    }
    if (n)
        json_arr_end(j);
}

// The arrays of all log probabilities, joined.
static void put_all_logprobs(struct json_writer *j, struct arena *a, const struct answer *answer) {
    bool open = false;
    struct slice name, json;
    struct json_doc doc;
    struct json_error why;
    for (const struct answer_block *b = answer->first; b; b = b->next) {
        struct slice rest = b->choice == 0 ? buf_slice(&b->meta) : SLICE_NONE;
        while (answer_meta_next(&rest, &name, &json)) {
            if (!slice_is(name, "logprobs") || json_read(a, json, &doc, &why))
                continue;
            yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc.doc), "content"), *v;
            size_t i, n;
            yyjson_arr_foreach(list, i, n, v) {
                if (!open) {
                    json_key(j, "logprobs");
                    json_arr(j);
                    open = true;
                }
                json_put_val(j, v);
            }
        }
    }
    if (open)
        json_arr_end(j);
}

enum err ollama_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out) {
    if (r->op == OP_EMBED)
        return ollama_write_vectors(a, r, answer, who, out);
    struct slice head = make_head(a, who);
    if (!head.p)
        return ERR_NO_MEMORY;
    size_t from = out->len;
    struct json_writer j = line_begin(head, out);
    if (r->op == OP_GENERATE) {
        put_texts(&j, answer, false, "response");
        put_texts(&j, answer, true, "thinking");
    } else {
        json_key(&j, "message");
        json_obj(&j);
        json_kv_cstr(&j, "role", "assistant");
        put_texts(&j, answer, false, "content");
        put_texts(&j, answer, true, "thinking");
        put_calls(&j, a, answer);
        json_obj_end(&j);
    }
    put_all_logprobs(&j, a, answer);
    put_done(&j, r, answer->choices[0].finish, &answer->usage);
    json_obj_end(&j);
    make_one_line(out, from);
    return buf_status(out);
}
