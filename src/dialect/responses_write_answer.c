// SPDX-License-Identifier: Apache-2.0
// A collected answer → a response object, and what it shares with the frames of a stream: items, parts, ids. Clients check
// this object's types strictly, so every field is there, null or with the default where nothing is known; what the client
// asked with is said back to it, as this dialect does. A block is an item: text and refusals a message of one part,
// thinking a reasoning item with its signature as encrypted content. Blocks without a place are left out. Writes into the
// caller's buf, allocates in the arena.
#include "dialect/responses.h"
#include "base/limits.h"

static bool is_own_opaque(const struct answer_block *b) {
    return b->kind == BLOCK_OPAQUE && slice_starts(b->name, RESPONSES_OPAQUE) && b->opening.n;
}

bool responses_is_item(const struct answer_block *b) {
    if (b->choice != 0)
        return false; // this dialect gives one answer
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
    case BLOCK_THINK:
    case BLOCK_TOOL:
        return true;
    case BLOCK_OPAQUE:
        return is_own_opaque(b);
    case BLOCK_MEDIA:
    case BLOCK_SERVER_TOOL:
        return false;
    }
    return false;
}

void responses_put_item_id(struct json_writer *w, const char *key, const struct responses_object *o,
                           const struct answer_block *b) {
    const char *prefix = b->kind == BLOCK_THINK ? "rs" : b->kind == BLOCK_TOOL ? "fc" : "msg";
    if (b->kind == BLOCK_THINK && b->call_id.n) {
        json_kv_str(w, key, b->call_id); // its own
        return;
    }
    json_key(w, key);
    buf_printf(w->out, "\"%s_", prefix);
    json_escape(w->out, slice_first(o->who->id, 64));
    buf_printf(w->out, "_%u\"", b->block);
    w->comma = true;
}

struct slice responses_arguments(const struct answer_block *b) {
    return b->text.len ? buf_slice(&b->text) : SLICE("{}");
}

// ---- texts

// The elements of the lists `member` of all metas `name`, or the metas themselves without a member.
static void put_metas(struct json_writer *w, struct arena *a, const struct answer_block *b, const char *name,
                      const char *member) {
    struct slice rest = buf_slice(&b->meta), what, json;
    json_arr(w);
    while (answer_meta_next(&rest, &what, &json)) {
        struct json_doc doc;
        struct json_error why;
        if (!slice_is(what, name))
            continue;
        if (!member) {
            json_put_raw(w, json);
            continue;
        }
        if (json_read(a, json, &doc, &why))
            continue;
        yyjson_val *root = yyjson_doc_get_root(doc.doc), *list = yyjson_obj_get(root, member), *v;
        struct src_walk walk = src_walk_array(json_get_src(&doc, root, member));
        size_t i, n;
        yyjson_arr_foreach(list, i, n, v) {
            json_put_raw(w, src_walk_next(&walk));
        }
    }
    json_arr_end(w);
}

void responses_put_logprobs(struct json_writer *w, struct arena *a, const struct answer_block *b) {
    json_key(w, "logprobs");
    put_metas(w, a, b, "logprobs", "content");
}

void responses_put_part(struct json_writer *w, struct arena *a, const struct answer_block *b, bool whole) {
    json_obj(w);
    json_kv_cstr(w, "type", b->kind == BLOCK_REFUSAL ? "refusal" : "output_text");
    if (b->kind == BLOCK_REFUSAL) {
        json_kv_str(w, "refusal", whole ? buf_slice(&b->text) : SLICE(""));
        json_obj_end(w);
        return;
    }
    json_kv_str(w, "text", whole ? buf_slice(&b->text) : SLICE(""));
    json_key(w, "annotations");
    if (whole)
        put_metas(w, a, b, "annotation", NULL);
    else
        json_put_raw(w, SLICE("[]"));
    if (whole)
        responses_put_logprobs(w, a, b);
    else
        json_kv_raw(w, "logprobs", SLICE("[]"));
    json_obj_end(w);
}

// ---- items

// The bound ended the answer, or a filter, and this is what it ended in.
static bool is_cut(const struct responses_object *o, const struct answer_block *b) {
    enum finish finish = o->answer->choices[0].finish;
    for (b = b->next; b; b = b->next)
        if (responses_is_item(b))
            return false;
    return finish == FINISH_LENGTH || finish == FINISH_FILTER;
}

static void put_item_status(struct json_writer *w, const struct responses_object *o, const struct answer_block *b,
                            bool whole) {
    json_kv_cstr(w, "status", !whole ? "in_progress" : is_cut(o, b) ? "incomplete" : "completed");
}

static void put_message(struct json_writer *w, const struct responses_object *o, const struct answer_block *b,
                        bool whole) {
    json_kv_cstr(w, "type", "message");
    json_kv_cstr(w, "role", "assistant");
    put_item_status(w, o, b, whole);
    json_key(w, "content");
    json_arr(w);
    if (whole)
        responses_put_part(w, o->a, b, true);
    json_arr_end(w);
}

static void put_reasoning(struct json_writer *w, const struct answer_block *b, bool whole) {
    struct slice sealed = b->redacted ? b->opening : b->signature;
    json_kv_cstr(w, "type", "reasoning");
    json_key(w, "summary");
    json_arr(w);
    if (whole && b->text.len) {
        json_obj(w);
        json_kv_cstr(w, "type", "summary_text");
        json_kv_str(w, "text", buf_slice(&b->text));
        json_obj_end(w);
    }
    json_arr_end(w);
    if (whole && sealed.n)
        json_kv_str(w, "encrypted_content", sealed);
}

static void put_call(struct json_writer *w, const struct responses_object *o, const struct answer_block *b,
                     bool whole) {
    json_kv_cstr(w, "type", "function_call");
    put_item_status(w, o, b, whole);
    json_kv_str(w, "call_id", b->call_id);
    json_kv_str(w, "name", b->name);
    json_kv_str(w, "arguments", whole ? responses_arguments(b) : SLICE(""));
}

void responses_put_item(struct json_writer *w, const struct responses_object *o, const struct answer_block *b,
                        bool whole) {
    if (b->kind == BLOCK_OPAQUE) {
        json_put_raw(w, b->opening);
        return;
    }
    json_obj(w);
    responses_put_item_id(w, "id", o, b);
    if (b->kind == BLOCK_THINK)
        put_reasoning(w, b, whole);
    else if (b->kind == BLOCK_TOOL)
        put_call(w, o, b, whole);
    else
        put_message(w, o, b, whole);
    json_obj_end(w);
}

// ---- the object

static void put_output(struct json_writer *w, const struct responses_object *o) {
    json_key(w, "output");
    json_arr(w);
    if (o->status != RESPONSES_IN_PROGRESS)
        for (const struct answer_block *b = o->answer->first; b; b = b->next)
            if (responses_is_item(b) && (b->ended || o->status == RESPONSES_DONE))
                responses_put_item(w, o, b, true);
    json_arr_end(w);
}

static const char *incomplete_reason(const struct responses_object *o) {
    switch (o->answer->choices[0].finish) {
    case FINISH_LENGTH:
        return "max_output_tokens";
    case FINISH_FILTER:
    case FINISH_REFUSAL:
        return "content_filter";
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_TOOL:
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
    case FINISH_LOAD:
        return NULL;
    }
    return NULL;
}

static const char *error_code(enum err e) {
    if (e == ERR_RATE_LIMIT || e == ERR_UP_RATE_LIMIT || e == ERR_UP_QUOTA)
        return "rate_limit_exceeded";
    return err_row(e)->fault == FAULT_CLIENT ? "invalid_prompt" : "server_error";
}

static void put_status(struct json_writer *w, const struct responses_object *o) {
    const char *reason = o->status == RESPONSES_DONE ? incomplete_reason(o) : NULL;
    const char *done = reason ? "incomplete" : "completed";
    json_kv_cstr(w, "status",
                 o->status == RESPONSES_FAILED ? "failed"
                 : o->status == RESPONSES_DONE ? done
                                               : "in_progress");
    json_key(w, "error");
    if (o->status == RESPONSES_FAILED) {
        json_obj(w);
        json_kv_cstr(w, "code", error_code(o->problem->err));
        json_kv_str(w, "message", problem_text(o->problem));
        json_obj_end(w);
    } else {
        json_put_null(w);
    }
    json_key(w, "incomplete_details");
    if (reason) {
        json_obj(w);
        json_kv_cstr(w, "reason", reason);
        json_obj_end(w);
    } else {
        json_put_null(w);
    }
}

static int64_t or_zero(int64_t v) {
    return v > 0 ? v : 0;
}

static void put_usage(struct json_writer *w, const struct responses_object *o) {
    const struct usage *u = &o->answer->usage;
    json_key(w, "usage");
    if (o->status != RESPONSES_DONE) {
        json_put_null(w);
        return;
    }
    json_obj(w);
    json_kv_int(w, "input_tokens", or_zero(u->input_tokens));
    json_key(w, "input_tokens_details");
    json_obj(w);
    json_kv_int(w, "cached_tokens", or_zero(u->cache_read_tokens));
    json_kv_int(w, "cache_write_tokens", or_zero(u->cache_write_tokens));
    json_obj_end(w);
    json_kv_int(w, "output_tokens", or_zero(u->output_tokens));
    json_key(w, "output_tokens_details");
    json_obj(w);
    json_kv_int(w, "reasoning_tokens", or_zero(u->reasoning_tokens));
    json_obj_end(w);
    json_kv_int(w, "total_tokens", or_zero(u->input_tokens) + or_zero(u->output_tokens));
    json_obj_end(w);
}

// ---- what the client asked with

static struct slice asked(const struct responses_object *o, const char *name) {
    const struct json_doc *doc = &o->r->doc;
    if (o->r->dialect != DIALECT_RESPONSES || !doc->src.p)
        return SLICE_NONE;
    return json_get_src(doc, yyjson_doc_get_root(doc->doc), name);
}

static void put_asked(struct json_writer *w, const struct responses_object *o, const char *name,
                      struct slice otherwise) {
    struct slice said = asked(o, name);
    json_kv_raw(w, name, said.p && !slice_is(said, "null") ? said : otherwise);
}

static void put_tools(struct json_writer *w, const struct responses_object *o) {
    json_key(w, "tools");
    json_arr(w);
    for (const struct tool *t = o->r->dialect == DIALECT_RESPONSES ? o->r->tools : NULL; t; t = t->next) {
        if (t->opaque) {
            if (t->src.p)
                json_put_raw(w, t->src);
            continue;
        }
        json_obj(w);
        json_kv_cstr(w, "type", "function");
        json_kv_str(w, "name", t->name);
        if (t->description.p)
            json_kv_str(w, "description", t->description);
        else
            json_kv_null(w, "description");
        json_kv_raw(w, "parameters", t->schema);
        json_kv_bool(w, "strict", t->strict != 0);
        json_obj_end(w);
    }
    json_arr_end(w);
}

static void put_numbers(struct json_writer *w, const struct request *r) {
    json_kv_num(w, "temperature", num_set(r->temperature) ? r->temperature : 1);
    json_kv_num(w, "top_p", num_set(r->top_p) ? r->top_p : 1);
    json_kv_int(w, "top_logprobs", or_zero(r->top_logprobs));
    json_key(w, "max_output_tokens");
    if (r->max_tokens >= 0)
        json_put_int(w, r->max_tokens);
    else
        json_put_null(w);
}

static void put_request(struct json_writer *w, const struct responses_object *o) {
    static const char *const nullable[] = {"instructions", "max_tool_calls", "prompt_cache_key",
                                           "prompt_cache_retention", "safety_identifier"};
    for (size_t i = 0; i < sizeof nullable / sizeof nullable[0]; i++)
        put_asked(w, o, nullable[i], SLICE("null"));
    json_kv_null(w, "previous_response_id");
    json_kv_bool(w, "background", false);
    json_kv_bool(w, "store", false);
    put_asked(w, o, "metadata", SLICE("{}"));
    put_asked(w, o, "reasoning", SLICE("{\"effort\":null,\"summary\":null}"));
    put_asked(w, o, "text", SLICE("{\"format\":{\"type\":\"text\"}}"));
    put_asked(w, o, "tool_choice", SLICE("\"auto\""));
    put_asked(w, o, "truncation", SLICE("\"disabled\""));
    put_asked(w, o, "service_tier", SLICE("\"default\""));
    json_kv_bool(w, "parallel_tool_calls", o->r->parallel_tools != 0);
    put_tools(w, o);
    put_numbers(w, o->r);
    if (o->r->user.p)
        json_kv_str(w, "user", o->r->user);
}

void responses_put_object(struct json_writer *w, const struct responses_object *o) {
    const struct answer *a = o->answer;
    struct slice id = slice_first(a->id.n ? a->id : o->who->id, 256);
    json_obj(w);
    json_key(w, "id");
    buf_append_str(w->out, slice_starts(id, "resp_") ? "\"" : "\"resp_");
    json_escape(w->out, id);
    buf_append_char(w->out, '"');
    w->comma = true;
    json_kv_cstr(w, "object", "response");
    json_kv_int(w, "created_at", a->created_s > 0 ? a->created_s : o->who->created_s);
    put_status(w, o);
    json_kv_str(w, "model", a->model.n ? a->model : o->who->model);
    put_output(w, o);
    put_request(w, o);
    put_usage(w, o);
    json_obj_end(w);
}

enum err responses_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                                const struct identity *who, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    if (r->op == OP_COUNT_TOKENS) {
        json_obj(&w);
        json_kv_cstr(&w, "object", "response.input_tokens");
        json_kv_int(&w, "input_tokens", or_zero(answer->usage.input_tokens));
        json_obj_end(&w);
        return buf_status(out);
    }
    const struct responses_object o = {.a = a, .r = r, .answer = answer, .who = who, .status = RESPONSES_DONE};
    responses_put_object(&w, &o);
    return buf_status(out);
}
