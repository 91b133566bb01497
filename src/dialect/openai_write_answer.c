// SPDX-License-Identifier: Apache-2.0
// A collected answer → the body of a chat completion, and what whole bodies and chunks share: ids, reasons to finish,
// usage. Texts of several blocks of a kind are joined, since the wire has one field for each. Blocks without a place
// (opaque ones, server tools, redacted thinking) are left out. Writes into the caller's buf, allocates in the arena.
#include "dialect/openai.h"

struct slice openai_answer_id(struct arena *a, struct slice upstream, struct slice ours) {
    if (slice_starts(upstream, "chatcmpl-") || slice_starts(upstream, "gen-"))
        return arena_copy(a, slice_first(upstream, 256));
    struct slice id = slice_first(upstream.n ? upstream : ours, 256);
    return slice_str(arena_printf(a, "chatcmpl-%.*s", SLICE_FMT(id)));
}

struct slice openai_completion_id(struct arena *a, struct slice upstream, struct slice ours) {
    struct slice id = slice_first(upstream.n ? upstream : ours, 256);
    return slice_str(arena_printf(a, "%s%.*s", slice_starts(id, "cmpl-") ? "" : "cmpl-", SLICE_FMT(id)));
}

const char *openai_finish_text(enum finish f) {
    switch (f) {
    case FINISH_LENGTH:
        return "length";
    case FINISH_TOOL:
        return "tool_calls";
    case FINISH_FILTER:
    case FINISH_REFUSAL:
        return "content_filter";
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
    case FINISH_LOAD:
        return "stop";
    }
    return "stop";
}

static int64_t or_zero(int64_t v) {
    return v > 0 ? v : 0;
}

void openai_put_usage(struct json_writer *w, const struct usage *u) {
    json_obj(w);
    json_kv_int(w, "prompt_tokens", or_zero(u->input_tokens));
    json_kv_int(w, "completion_tokens", or_zero(u->output_tokens));
    json_kv_int(w, "total_tokens", or_zero(u->input_tokens) + or_zero(u->output_tokens));
    if (u->cache_read_tokens >= 0) {
        json_key(w, "prompt_tokens_details");
        json_obj(w);
        json_kv_int(w, "cached_tokens", u->cache_read_tokens);
        json_obj_end(w);
    }
    if (u->reasoning_tokens >= 0) {
        json_key(w, "completion_tokens_details");
        json_obj(w);
        json_kv_int(w, "reasoning_tokens", u->reasoning_tokens);
        json_obj_end(w);
    }
    json_obj_end(w);
}

// ---- one choice

static const struct answer_block *next_of(const struct answer_block *b, uint32_t choice, enum block_kind kind) {
    while (b && (b->choice != choice || b->kind != kind || b->redacted))
        b = b->next;
    return b;
}

// False: the choice has none, and nothing was written.
static bool put_texts(struct json_writer *w, const char *key, const struct answer *a, uint32_t choice,
                      enum block_kind kind) {
    const struct answer_block *b = next_of(a->first, choice, kind);
    if (!b)
        return false;
    json_key(w, key);
    buf_append_char(w->out, '"');
    for (; b; b = next_of(b->next, choice, kind))
        json_escape(w->out, buf_slice(&b->text));
    buf_append_char(w->out, '"');
    w->comma = true;
    return true;
}

static void put_call(struct json_writer *w, const struct answer_block *b) {
    json_obj(w);
    json_kv_str(w, "id", b->call_id);
    json_kv_cstr(w, "type", "function");
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", b->name);
    json_kv_str(w, "arguments", b->text.len ? buf_slice(&b->text) : SLICE("{}"));
    json_obj_end(w);
    json_obj_end(w);
}

static bool put_calls(struct json_writer *w, const struct answer *a, uint32_t choice) {
    const struct answer_block *b = next_of(a->first, choice, BLOCK_TOOL);
    if (!b)
        return false;
    json_key(w, "tool_calls");
    json_arr(w);
    for (; b; b = next_of(b->next, choice, BLOCK_TOOL))
        put_call(w, b);
    json_arr_end(w);
    return true;
}

// ---- metas: lists that came in pieces

// The elements of the arrays `member` of all metas `name` of a choice (or of the metas themselves, without a member).
static unsigned put_elements(struct json_writer *w, struct arena *arena, const struct answer *a, uint32_t choice,
                             const char *name, const char *member) {
    unsigned count = 0;
    for (const struct answer_block *b = a->first; b; b = b->next) {
        struct slice rest = buf_slice(&b->meta), what, json;
        while (b->choice == choice && answer_meta_next(&rest, &what, &json)) {
            struct json_doc doc;
            struct json_error why;
            if (!slice_is(what, name) || json_read(arena, json, &doc, &why))
                continue;
            yyjson_val *root = yyjson_doc_get_root(doc.doc), *list = member ? yyjson_obj_get(root, member) : root, *v;
            struct src_walk walk = src_walk_array(member ? json_get_src(&doc, root, member) : slice_trim(json));
            size_t i, n;
            yyjson_arr_foreach(list, i, n, v) {
                json_put_raw(w, src_walk_next(&walk));
                count++;
            }
        }
    }
    return count;
}

static bool has_meta(const struct answer *a, uint32_t choice, const char *name) {
    for (const struct answer_block *b = a->first; b; b = b->next) {
        struct slice rest = buf_slice(&b->meta), what, json;
        while (b->choice == choice && answer_meta_next(&rest, &what, &json))
            if (slice_is(what, name))
                return true;
    }
    return false;
}

static void put_annotations(struct json_writer *w, struct arena *arena, const struct answer *a, uint32_t choice) {
    if (!has_meta(a, choice, "annotations"))
        return;
    json_key(w, "annotations");
    json_arr(w);
    (void)put_elements(w, arena, a, choice, "annotations", NULL);
    json_arr_end(w);
}

static void put_logprobs(struct json_writer *w, struct arena *arena, const struct answer *a, uint32_t choice) {
    json_key(w, "logprobs");
    if (!has_meta(a, choice, "logprobs")) {
        json_put_null(w);
        return;
    }
    json_obj(w);
    json_key(w, "content");
    json_arr(w);
    (void)put_elements(w, arena, a, choice, "logprobs", "content");
    json_arr_end(w);
    json_kv_null(w, "refusal");
    json_obj_end(w);
}

static void put_choice(struct json_writer *w, struct arena *arena, const struct answer *a, uint32_t choice) {
    json_obj(w);
    json_kv_int(w, "index", choice);
    json_key(w, "message");
    json_obj(w);
    json_kv_cstr(w, "role", "assistant");
    bool calls = next_of(a->first, choice, BLOCK_TOOL) || next_of(a->first, choice, BLOCK_REFUSAL);
    if (!put_texts(w, "content", a, choice, BLOCK_TEXT)) {
        if (calls)
            json_kv_null(w, "content");
        else
            json_kv_cstr(w, "content", "");
    }
    if (!put_texts(w, "refusal", a, choice, BLOCK_REFUSAL))
        json_kv_null(w, "refusal");
    (void)put_texts(w, "reasoning_content", a, choice, BLOCK_THINK);
    calls = put_calls(w, a, choice);
    put_annotations(w, arena, a, choice);
    json_obj_end(w);
    put_logprobs(w, arena, a, choice);
    enum finish finish = a->choices[choice].finish;
    json_kv_cstr(w, "finish_reason", openai_finish_text(finish ? finish : calls ? FINISH_TOOL : FINISH_STOP));
    json_obj_end(w);
}

// The log probabilities of /v1/completions have a form of their own: those of an upstream that has it too.
static struct slice completion_logprobs(const struct answer *a, uint32_t choice) {
    for (const struct answer_block *b = a->first; b; b = b->next) {
        struct slice rest = buf_slice(&b->meta), what, json;
        while (b->choice == choice && answer_meta_next(&rest, &what, &json))
            if (slice_is(what, "logprobs") && slice_search(json, SLICE("\"tokens\"")) != SIZE_MAX)
                return json;
    }
    return SLICE_NONE;
}

static void put_completion(struct json_writer *w, const struct answer *a, uint32_t choice) {
    json_obj(w);
    json_kv_int(w, "index", choice);
    if (!put_texts(w, "text", a, choice, BLOCK_TEXT))
        json_kv_cstr(w, "text", "");
    json_kv_raw(w, "logprobs", completion_logprobs(a, choice));
    json_kv_cstr(w, "finish_reason", openai_finish_text(a->choices[choice].finish));
    json_obj_end(w);
}

enum err openai_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                             const struct identity *who, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    bool plain = r->op == OP_GENERATE;
    if (r->op == OP_EMBED || r->op == OP_RERANK)
        return openai_write_task(a, r, answer, who, out);
    struct slice id = plain ? openai_completion_id(a, answer->id, who->id) : openai_answer_id(a, answer->id, who->id);
    if (!id.p)
        return ERR_NO_MEMORY;
    json_obj(&w);
    json_kv_str(&w, "id", id);
    json_kv_cstr(&w, "object", plain ? "text_completion" : "chat.completion");
    json_kv_int(&w, "created", answer->created_s > 0 ? answer->created_s : who->created_s);
    json_kv_str(&w, "model", answer->model.n ? answer->model : who->model);
    json_key(&w, "choices");
    json_arr(&w);
    for (uint32_t i = 0; i < answer->n_choices || i == 0; i++)
        if (plain)
            put_completion(&w, answer, i);
        else
            put_choice(&w, a, answer, i);
    json_arr_end(&w);
    json_key(&w, "usage");
    openai_put_usage(&w, &answer->usage);
    json_obj_end(&w);
    return buf_status(out);
}
