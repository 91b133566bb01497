// SPDX-License-Identifier: Apache-2.0
// Events → Ollama's lines, and a whole answer as one object. Calls go out whole, so their arguments are gathered until
// their block ends. Counts stand in the last line; durations that nobody measured are written as 1 ns, since clients
// divide by them.
#include "dialect/ollama.h"
#include "base/clock.h"
#include "base/limits.h"

struct open_call {
    struct open_call *next;
    uint32_t block;
    struct slice name;
    struct buf arguments;
};

struct stream_writer {
    struct arena *a;
    const struct request *r;
    struct identity who;
    struct open_call *calls;
    struct usage usage;
    enum finish finish;
};

static void calls_free(void *arg) {
    struct stream_writer *w = arg;
    for (struct open_call *c = w->calls; c; c = c->next)
        buf_done(&c->arguments);
}

struct stream_writer *ollama_writer_new(struct arena *a, const struct request *r, const struct identity *who) {
    struct stream_writer *w = ARENA_NEW(a, struct stream_writer);
    if (!w || !arena_defer(a, calls_free, w))
        return NULL;
    w->a = a;
    w->r = r;
    w->who = *who;
    w->usage = USAGE_NONE;
    w->finish = FINISH_STOP;
    return w;
}

static void put_time(struct json_writer *w, const struct identity *who) {
    struct buf text = BUF_INIT(64);
    clock_append_rfc3339(&text, who->created_s * 1000000);
    json_kv_str(w, "created_at", buf_slice(&text));
    buf_done(&text);
}

static void line_begin(struct json_writer *w, const struct identity *who) {
    json_obj(w);
    json_kv_str(w, "model", who->model);
    put_time(w, who);
}

static void duration(struct json_writer *w, const char *name, int64_t us) {
    json_kv_int(w, name, us > 0 ? us * 1000 : 1);
}

static const char *reason_of(enum finish f) {
    return f == FINISH_LENGTH ? "length" : f == FINISH_LOAD ? "load" : "stop";
}

static int64_t at_least_0(int64_t v) {
    return v < 0 ? 0 : v;
}

static void put_end(struct json_writer *w, enum finish finish, const struct usage *u) {
    json_kv_bool(w, "done", true);
    json_kv_cstr(w, "done_reason", reason_of(finish));
    if (finish != FINISH_LOAD) {
        duration(w, "total_duration", at_least_0(u->load_us) + at_least_0(u->prompt_us) + at_least_0(u->output_us));
        duration(w, "load_duration", u->load_us);
        json_kv_int(w, "prompt_eval_count", at_least_0(u->input_tokens));
        duration(w, "prompt_eval_duration", u->prompt_us);
        json_kv_int(w, "eval_count", at_least_0(u->output_tokens));
        duration(w, "eval_duration", u->output_us);
    }
    json_obj_end(w);
}

static bool is_generate(const struct request *r) {
    return r->op == OP_GENERATE;
}

static void text_line(struct stream_writer *w, struct buf *out, bool thinking, struct slice text) {
    struct json_writer j = JSON_WRITER(out);
    line_begin(&j, &w->who);
    if (is_generate(w->r)) {
        json_kv_str(&j, "response", thinking ? SLICE("") : text);
        if (thinking)
            json_kv_str(&j, "thinking", text);
    } else {
        json_key(&j, "message");
        json_obj(&j);
        json_kv_cstr(&j, "role", "assistant");
        json_kv_str(&j, "content", thinking ? SLICE("") : text);
        if (thinking)
            json_kv_str(&j, "thinking", text);
        json_obj_end(&j);
    }
    json_kv_bool(&j, "done", false);
    json_obj_end(&j);
    buf_append_char(out, '\n');
}

static void put_call(struct json_writer *j, struct arena *a, struct slice name, struct slice arguments) {
    struct slice object = arguments_object(a, arguments);
    json_obj(j);
    json_key(j, "function");
    json_obj(j);
    json_kv_str(j, "name", name);
    json_kv_raw(j, "arguments", object.n ? object : SLICE("{}"));
    json_obj_end(j);
    json_obj_end(j);
}

static void call_line(struct stream_writer *w, struct open_call *c, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    line_begin(&j, &w->who);
    json_key(&j, "message");
    json_obj(&j);
    json_kv_cstr(&j, "role", "assistant");
    json_kv_cstr(&j, "content", "");
    json_key(&j, "tool_calls");
    json_arr(&j);
    put_call(&j, w->a, c->name, buf_slice(&c->arguments));
    json_arr_end(&j);
    json_obj_end(&j);
    json_kv_bool(&j, "done", false);
    json_obj_end(&j);
    buf_append_char(out, '\n');
}

static struct open_call *call_of(struct stream_writer *w, uint32_t block) {
    struct open_call *c = w->calls;
    while (c && c->block != block)
        c = c->next;
    return c;
}

static enum err begin_call(struct stream_writer *w, const struct event *ev) {
    struct open_call *c = ARENA_NEW(w->a, struct open_call);
    if (!c)
        return ERR_NO_MEMORY;
    *c = (struct open_call){w->calls, ev->block, arena_copy(w->a, ev->name), BUF_INIT(LIMIT_FRAME_BYTES)};
    w->calls = c;
    return c->name.p ? ERR_OK : ERR_NO_MEMORY;
}

static void put_delta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct open_call *c = ev->block_kind == BLOCK_TOOL ? call_of(w, ev->block) : NULL;
    if (c)
        buf_append(&c->arguments, ev->text);
    else if (ev->block_kind == BLOCK_TEXT || ev->block_kind == BLOCK_REFUSAL || ev->block_kind == BLOCK_THINK)
        text_line(w, out, ev->block_kind == BLOCK_THINK, ev->text);
}

static void put_error(const struct problem *p, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    json_obj(&j);
    json_kv_str(&j, "error", problem_text(p));
    json_obj_end(&j);
    buf_append_char(out, '\n');
}

static void last_line(struct stream_writer *w, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    line_begin(&j, &w->who);
    if (is_generate(w->r)) {
        json_kv_cstr(&j, "response", "");
    } else {
        json_key(&j, "message");
        json_obj(&j);
        json_kv_cstr(&j, "role", "assistant");
        json_kv_cstr(&j, "content", "");
        json_obj_end(&j);
    }
    put_end(&j, w->finish, &w->usage);
    buf_append_char(out, '\n');
}

enum err ollama_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct open_call *c;
    if (ev->choice > 0)
        return ERR_OK; // one answer
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        return ev->block_kind == BLOCK_TOOL ? begin_call(w, ev) : ERR_OK;
    case EV_DELTA:
        put_delta(w, ev, out);
        break;
    case EV_BLOCK_END:
        c = call_of(w, ev->block);
        if (c && c->arguments.failed)
            return ERR_NO_MEMORY;
        if (c)
            call_line(w, c, out);
        break;
    case EV_FINISH:
        w->finish = ev->finish;
        break;
    case EV_USAGE:
        (void)usage_merge(&w->usage, &ev->usage);
        break;
    case EV_ERROR:
        put_error(ev->problem, out);
        break;
    case EV_END:
        last_line(w, out);
        break;
    case EV_START:
    case EV_META:
    case EV_PING:
        break;
    }
    return buf_status(out);
}

// ---- whole

static void put_blocks(struct json_writer *j, const struct answer *answer, enum block_kind kind, const char *name,
                       bool always) {
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    for (const struct answer_block *b = answer->first; b; b = b->next)
        if (b->kind == kind && b->choice == 0 && !b->redacted)
            buf_append(&text, buf_slice(&b->text));
    if (text.len || always)
        json_kv_str(j, name, buf_slice(&text));
    if (text.failed)
        j->out->failed = true;
    buf_done(&text);
}

static void put_calls(struct json_writer *j, struct arena *a, const struct answer *answer) {
    bool open = false;
    for (const struct answer_block *b = answer->first; b; b = b->next) {
        if (b->kind != BLOCK_TOOL || b->choice != 0)
            continue;
        if (!open) {
            json_key(j, "tool_calls");
            json_arr(j);
        }
        open = true;
        put_call(j, a, b->name, buf_slice(&b->text));
    }
    if (open)
        json_arr_end(j);
}

enum err ollama_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    line_begin(&j, who);
    if (is_generate(r)) {
        put_blocks(&j, answer, BLOCK_TEXT, "response", true);
        put_blocks(&j, answer, BLOCK_THINK, "thinking", false);
    } else {
        json_key(&j, "message");
        json_obj(&j);
        json_kv_cstr(&j, "role", "assistant");
        put_blocks(&j, answer, BLOCK_TEXT, "content", true);
        put_blocks(&j, answer, BLOCK_THINK, "thinking", false);
        put_calls(&j, a, answer);
        json_obj_end(&j);
    }
    put_end(&j, answer->n_choices ? answer->choices[0].finish : FINISH_STOP, &answer->usage);
    return buf_status(out);
}
