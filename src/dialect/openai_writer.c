// SPDX-License-Identifier: Apache-2.0
// Events → chunks of a streamed chat completion, for clients of this dialect. What every chunk starts with is made once; a
// delta then costs a copy and the escaping of its text. Blocks become what the wire has: text is delta.content, thinking is
// delta.reasoning_content (as llama-server and DeepSeek spell it), calls get the indexes that clients gather them by.
// Opaque blocks, citations and signatures have no place and are left out. State lives in the arena: one node per block,
// none per delta.
#include "dialect/openai.h"
#include "base/limits.h"

#define CHOICES_MAX 16

struct open_block {
    struct open_block *next;
    uint32_t block;
    uint32_t choice;
    uint32_t call; // index of a tool call within its choice
    enum block_kind kind;
};

struct stream_writer {
    struct arena *a;
    struct identity who;
    bool include_usage;
    bool plain;        // for a client of /v1/completions
    struct slice head; // up to and with "choices":
    struct slice model;
    struct open_block *blocks; // newest first
    struct open_block *current;
    uint32_t calls[CHOICES_MAX];
    bool greeted[CHOICES_MAX];
    bool finished[CHOICES_MAX];
    struct usage usage;
    bool ended;
};

struct stream_writer *openai_writer_new(struct arena *a, const struct request *r, const struct identity *who) {
    struct stream_writer *w = ARENA_NEW(a, struct stream_writer);
    if (!w)
        return NULL;
    w->a = a;
    w->who = *who;
    w->include_usage = r->include_usage;
    w->plain = r->op == OP_GENERATE;
    w->usage = USAGE_NONE;
    return w;
}

static enum err make_head(struct stream_writer *w, struct slice id, struct slice model, int64_t created_s) {
    struct buf b = BUF_INIT(16384);
    struct json_writer j = JSON_WRITER(&b);
    struct slice ours = w->plain ? openai_completion_id(w->a, id, w->who.id) : openai_answer_id(w->a, id, w->who.id);
    if (!ours.p)
        return ERR_NO_MEMORY;
    json_obj(&j);
    json_kv_str(&j, "id", ours);
    json_kv_cstr(&j, "object", w->plain ? "text_completion" : "chat.completion.chunk");
    json_kv_int(&j, "created", created_s > 0 ? created_s : w->who.created_s);
    json_kv_str(&j, "model", model.n ? model : w->who.model);
    json_key(&j, "choices");
    return buf_into_arena(&b, w->a, &w->head);
}

// ---- chunks

// The delta is written by the caller between open and close.
static struct json_writer chunk_open(struct stream_writer *w, uint32_t choice, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    buf_append_str(out, "data: ");
    buf_append(out, w->head);
    buf_append_str(out, "[{\"index\":");
    buf_append_u64(out, choice);
    buf_append_str(out, w->plain ? ",\"text\":\"" : ",\"delta\":{");
    return j;
}

static void chunk_close(struct stream_writer *w, struct slice logprobs, const char *finish, struct buf *out) {
    buf_append_char(out, w->plain ? '"' : '}');
    if (logprobs.n || w->plain) { // a completion must have the member
        buf_append_str(out, ",\"logprobs\":");
        buf_append(out, logprobs.n ? logprobs : SLICE("null"));
    }
    buf_append_str(out, ",\"finish_reason\":");
    if (finish) {
        buf_append_char(out, '"');
        buf_append_str(out, finish);
        buf_append_char(out, '"');
    } else {
        buf_append_str(out, "null");
    }
    buf_append_str(out, "}]");
    if (w->include_usage)
        buf_append_str(out, ",\"usage\":null");
    buf_append_str(out, "}\n\n");
}

// The first chunk of a choice says who speaks.
static void greet(struct stream_writer *w, uint32_t choice, struct buf *out) {
    if (w->greeted[choice])
        return;
    w->greeted[choice] = true;
    if (w->plain)
        return;
    (void)chunk_open(w, choice, out);
    buf_append_str(out, "\"role\":\"assistant\",\"content\":\"\"");
    chunk_close(w, SLICE_NONE, NULL, out);
}

static struct open_block *find(struct stream_writer *w, uint32_t block) {
    if (w->current && w->current->block == block)
        return w->current;
    struct open_block *b = w->blocks;
    while (b && b->block != block)
        b = b->next;
    return w->current = b;
}

// ---- events

static enum err ensure_head(struct stream_writer *w) {
    return w->head.p ? ERR_OK : make_head(w, SLICE_NONE, SLICE_NONE, 0);
}

static enum err on_start(struct stream_writer *w, const struct event *ev, struct buf *out) {
    enum err e = w->head.p ? ERR_OK : make_head(w, ev->id, ev->model, ev->created_s);
    if (!e)
        greet(w, 0, out);
    return e;
}

static enum err on_begin(struct stream_writer *w, const struct event *ev, struct buf *out) {
    struct open_block *b = ARENA_NEW(w->a, struct open_block);
    if (!b)
        return ERR_NO_MEMORY;
    *b = (struct open_block){.next = w->blocks, .block = ev->block, .choice = ev->choice, .kind = ev->block_kind};
    w->blocks = w->current = b;
    if (ev->block_kind != BLOCK_TOOL || w->plain)
        return ERR_OK;
    b->call = w->calls[ev->choice]++;
    greet(w, ev->choice, out);
    struct json_writer j = chunk_open(w, ev->choice, out);
    json_key(&j, "tool_calls");
    json_arr(&j);
    json_obj(&j);
    json_kv_int(&j, "index", b->call);
    json_kv_str(&j, "id", ev->call_id);
    json_kv_cstr(&j, "type", "function");
    json_key(&j, "function");
    json_obj(&j);
    json_kv_str(&j, "name", ev->name);
    json_kv_cstr(&j, "arguments", "");
    json_obj_end(&j);
    json_obj_end(&j);
    json_arr_end(&j);
    chunk_close(w, SLICE_NONE, NULL, out);
    return ERR_OK;
}

static const char *delta_name(enum block_kind kind) {
    switch (kind) {
    case BLOCK_TEXT:
        return "\"content\":\"";
    case BLOCK_THINK:
        return "\"reasoning_content\":\"";
    case BLOCK_REFUSAL:
        return "\"refusal\":\"";
    case BLOCK_TOOL:
    case BLOCK_MEDIA:
    case BLOCK_SERVER_TOOL:
    case BLOCK_OPAQUE:
        return NULL;
    }
    return NULL;
}

static enum err put_plain(struct stream_writer *w, const struct open_block *b, struct slice text, struct buf *out) {
    if (b->kind != BLOCK_TEXT)
        return ERR_OK;
    greet(w, b->choice, out);
    (void)chunk_open(w, b->choice, out);
    json_escape(out, text);
    chunk_close(w, SLICE_NONE, NULL, out);
    return ERR_OK;
}

static enum err on_delta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    const struct open_block *b = find(w, ev->block);
    if (!b)
        return ERR_INTERNAL;
    const char *name = delta_name(b->kind);
    if (!ev->text.n || (!name && b->kind != BLOCK_TOOL))
        return ERR_OK;
    if (w->plain)
        return put_plain(w, b, ev->text, out);
    greet(w, b->choice, out);
    (void)chunk_open(w, b->choice, out);
    if (name) {
        buf_append_str(out, name);
    } else {
        buf_append_str(out, "\"tool_calls\":[{\"index\":");
        buf_append_u64(out, b->call);
        buf_append_str(out, ",\"function\":{\"arguments\":\"");
    }
    json_escape(out, ev->text);
    buf_append_str(out, name ? "\"" : "\"}}]");
    chunk_close(w, SLICE_NONE, NULL, out);
    return ERR_OK;
}

static enum err on_meta(struct stream_writer *w, const struct event *ev, struct buf *out) {
    const struct open_block *b = find(w, ev->block);
    bool logprobs = slice_is(ev->name, "logprobs");
    if (!b || (!logprobs && !slice_is(ev->name, "annotations")))
        return ERR_OK;
    if (w->plain && slice_search(ev->text, SLICE("\"tokens\"")) == SIZE_MAX)
        return ERR_OK; // of chats: they have another form
    greet(w, b->choice, out);
    struct json_writer j = chunk_open(w, b->choice, out);
    if (!logprobs)
        json_kv_raw(&j, "annotations", ev->text);
    chunk_close(w, logprobs ? ev->text : SLICE_NONE, NULL, out);
    return ERR_OK;
}

static void put_finish(struct stream_writer *w, uint32_t choice, enum finish finish, struct buf *out) {
    if (w->finished[choice])
        return;
    w->finished[choice] = true;
    greet(w, choice, out);
    (void)chunk_open(w, choice, out);
    chunk_close(w, SLICE_NONE, openai_finish_text(finish), out);
}

static void put_usage_chunk(struct stream_writer *w, struct buf *out) {
    struct json_writer j = JSON_WRITER(out);
    buf_append_str(out, "data: ");
    buf_append(out, w->head);
    buf_append_str(out, "[]");
    j.comma = true;
    json_key(&j, "usage");
    openai_put_usage(&j, &w->usage);
    buf_append_str(out, "}\n\n");
}

static enum err on_end(struct stream_writer *w, struct buf *out) {
    w->ended = true;
    for (uint32_t i = 0; i < CHOICES_MAX; i++)
        if (w->greeted[i])
            put_finish(w, i, w->calls[i] ? FINISH_TOOL : FINISH_STOP, out);
    if (w->include_usage)
        put_usage_chunk(w, out);
    buf_append_str(out, "data: [DONE]\n\n");
    return ERR_OK;
}

static enum err on_error(const struct event *ev, struct buf *out) {
    const struct problem unknown = PROBLEM(ERR_UP_INTERNAL);
    int status;
    buf_append_str(out, "data: ");
    openai_write_error(ev->problem ? ev->problem : &unknown, SLICE_NONE, out, &status);
    buf_append_str(out, "\n\n");
    return ERR_OK;
}

static enum err dispatch(struct stream_writer *w, const struct event *ev, struct buf *out) {
    switch (ev->kind) {
    case EV_START:
        return on_start(w, ev, out);
    case EV_BLOCK_BEGIN:
        return on_begin(w, ev, out);
    case EV_DELTA:
        return on_delta(w, ev, out);
    case EV_META:
        return on_meta(w, ev, out);
    case EV_FINISH:
        put_finish(w, ev->choice, ev->finish, out);
        return ERR_OK;
    case EV_USAGE:
        usage_merge(&w->usage, &ev->usage);
        return ERR_OK;
    case EV_END:
        return on_end(w, out);
    case EV_PING:
        buf_append_str(out, ": keep-alive\n\n");
        return ERR_OK;
    case EV_ERROR:
        return on_error(ev, out);
    case EV_BLOCK_END:
        return ERR_OK;
    }
    return ERR_OK;
}

enum err openai_writer_event(struct stream_writer *w, const struct event *ev, struct buf *out) {
    if (w->ended)
        return ERR_OK;
    if (ev->choice >= CHOICES_MAX)
        return ERR_UP_PROTOCOL;
    bool bare = ev->kind == EV_START || ev->kind == EV_PING || ev->kind == EV_ERROR;
    enum err e = bare ? ERR_OK : ensure_head(w);
    if (!e)
        e = dispatch(w, ev, out);
    return e ? e : buf_status(out);
}
