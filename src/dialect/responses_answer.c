// SPDX-License-Identifier: Apache-2.0
// A whole response object → events, and the readings that whole answers and streams share: usage, endings, the texts of
// reasoning, items of other kinds. Items become blocks: each content part of a message one, reasoning one with its
// encrypted content as signature, calls one, all else an opaque block with its JSON. The upstream may be anybody, so every
// type is checked. Slices point into the tree, which lives as long as the arena.
#include "dialect/responses.h"
#include "base/limits.h"
#include "dialect/openai.h"

// ---- what streams share

void responses_read_usage(yyjson_val *response, struct usage *ret) {
    yyjson_val *u = yyjson_obj_get(response, "usage");
    yyjson_val *in = yyjson_obj_get(u, "input_tokens_details"), *out = yyjson_obj_get(u, "output_tokens_details");
    *ret = USAGE_NONE;
    ret->input_tokens = json_get_int(u, "input_tokens", -1);
    ret->output_tokens = json_get_int(u, "output_tokens", -1);
    ret->cache_read_tokens = json_get_int(in, "cached_tokens", -1);
    ret->cache_write_tokens = json_get_int(in, "cache_write_tokens", -1);
    ret->reasoning_tokens = json_get_int(out, "reasoning_tokens", -1);
}

static enum err emit_failed(struct arena *a, yyjson_val *response, struct event_sink *sink) {
    struct problem p;
    openai_problem_of(a, 0, response, 0, &p);
    return emit_error(sink, &p);
}

static enum finish finish_of(yyjson_val *response, bool called) {
    yyjson_val *why = yyjson_obj_get(response, "incomplete_details");
    if (!slice_is(json_get_str(response, "status"), "incomplete"))
        return called ? FINISH_TOOL : FINISH_STOP;
    return slice_is(json_get_str(why, "reason"), "content_filter") ? FINISH_FILTER : FINISH_LENGTH;
}

enum err responses_emit_ending(struct arena *a, yyjson_val *response, bool called, struct event_sink *sink) {
    struct slice status = json_get_str(response, "status");
    struct usage usage;
    if (slice_is(status, "failed") || slice_is(status, "cancelled"))
        return emit_failed(a, response, sink);
    if (slice_is(status, "queued") || slice_is(status, "in_progress"))
        return ERR_UP_PROTOCOL;
    enum err e = emit_finish(sink, 0, finish_of(response, called), SLICE_NONE);
    responses_read_usage(response, &usage);
    if (!e)
        e = emit_usage(sink, &usage);
    return e ? e : emit_end(sink);
}

static enum err texts_of(struct arena *a, yyjson_val *list, struct slice *ret) {
    struct buf all = BUF_INIT(LIMIT_UP_BODY_BYTES);
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        *ret = json_get_str(v, "text");
        if (i)
            buf_append_str(&all, "\n\n");
        buf_append(&all, *ret);
    }
    enum err e = n > 1 ? buf_into_arena(&all, a, ret) : ERR_OK;
    buf_done(&all);
    return e;
}

enum err responses_thinking_of(struct arena *a, yyjson_val *item, struct slice *ret) {
    *ret = SLICE_NONE;
    enum err e = texts_of(a, yyjson_obj_get(item, "summary"), ret);
    return e || ret->n ? e : texts_of(a, yyjson_obj_get(item, "content"), ret);
}

enum err responses_emit_opaque(struct arena *a, yyjson_val *item, struct slice raw, uint32_t block,
                               struct event_sink *sink) {
    char *name = arena_printf(a, RESPONSES_OPAQUE "%.*s", SLICE_FMT(slice_first(json_get_str(item, "type"), 64)));
    struct event begin = {.kind = EV_BLOCK_BEGIN, .block = block, .block_kind = BLOCK_OPAQUE, .text = raw};
    begin.name = slice_str(name);
    if (!name)
        return ERR_NO_MEMORY;
    enum err e = emit(sink, &begin);
    return e ? e : emit_block_end(sink, block, 0, BLOCK_OPAQUE, SLICE_NONE);
}

enum err responses_emit_logprobs(struct slice list, uint32_t block, struct event_sink *sink) {
    struct buf b = BUF_INIT(list.n + 64);
    buf_append_str(&b, "{\"content\":");
    buf_append(&b, list);
    buf_append_char(&b, '}');
    enum err e = b.failed ? ERR_NO_MEMORY : emit_meta(sink, block, 0, SLICE("logprobs"), buf_slice(&b));
    buf_done(&b);
    return e;
}

// ---- a whole answer

struct answer_reader {
    struct arena *a;
    struct json_doc doc;
    struct event_sink *sink;
    uint32_t block;
    bool called;
};

static enum err put_block(struct answer_reader *r, enum block_kind kind, struct slice text) {
    enum err e = emit_begin(r->sink, r->block, 0, kind);
    return e ? e : emit_delta(r->sink, r->block, 0, kind, text);
}

static enum err end_block(struct answer_reader *r, enum block_kind kind, struct slice signature) {
    return emit_block_end(r->sink, r->block++, 0, kind, signature);
}

static enum err put_annotations(struct answer_reader *r, yyjson_val *part) {
    yyjson_val *list = yyjson_obj_get(part, "annotations"), *v;
    size_t i, n;
    struct src_walk walk = src_walk_array(json_get_src(&r->doc, part, "annotations"));
    yyjson_arr_foreach(list, i, n, v) {
        enum err e = emit_meta(r->sink, r->block, 0, SLICE("annotation"), src_walk_next(&walk));
        if (e)
            return e;
    }
    if (!yyjson_arr_size(yyjson_obj_get(part, "logprobs")))
        return ERR_OK;
    return responses_emit_logprobs(json_get_src(&r->doc, part, "logprobs"), r->block, r->sink);
}

static enum err put_message(struct answer_reader *r, yyjson_val *item) {
    yyjson_val *list = yyjson_obj_get(item, "content"), *v;
    size_t i, n;
    if (!yyjson_is_arr(list))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(list, i, n, v) {
        struct slice text = json_get_str(v, "text"), refusal = json_get_str(v, "refusal");
        enum block_kind kind = refusal.p ? BLOCK_REFUSAL : BLOCK_TEXT;
        if (!text.n && !refusal.n)
            continue; // nothing, or a kind of part that came after us
        enum err e = put_block(r, kind, refusal.p ? refusal : text);
        if (!e)
            e = put_annotations(r, v);
        if (!e)
            e = end_block(r, kind, SLICE_NONE);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err put_reasoning(struct answer_reader *r, yyjson_val *item) {
    struct slice text, signature = json_get_str(item, "encrypted_content");
    enum err e = responses_thinking_of(r->a, item, &text);
    if (e || (!text.n && !signature.n))
        return e;
    e = emit(r->sink, &(struct event){.kind = EV_BLOCK_BEGIN,
                                      .block = r->block,
                                      .block_kind = BLOCK_THINK,
                                      .call_id = json_get_str(item, "id")});
    if (!e)
        e = emit_delta(r->sink, r->block, 0, BLOCK_THINK, text);
    return e ? e : end_block(r, BLOCK_THINK, signature.n ? signature : SLICE_NONE);
}

static enum err put_call(struct answer_reader *r, yyjson_val *item) {
    struct slice id = json_get_str(item, "call_id"), name = json_get_str(item, "name");
    yyjson_val *arguments = yyjson_obj_get(item, "arguments");
    if (!id.n)
        id = json_get_str(item, "id");
    if (!id.n || !name.n || (arguments && !yyjson_is_str(arguments)))
        return ERR_UP_PROTOCOL;
    r->called = true;
    enum err e = emit_begin_tool(r->sink, r->block, 0, id, name);
    if (!e)
        e = emit_delta(r->sink, r->block, 0, BLOCK_TOOL, json_str(arguments));
    return e ? e : end_block(r, BLOCK_TOOL, SLICE_NONE);
}

static enum err put_item(struct answer_reader *r, yyjson_val *item, struct slice raw) {
    struct slice type = json_get_str(item, "type");
    if (!type.n || r->block >= LIMIT_BLOCKS)
        return ERR_UP_PROTOCOL;
    if (slice_is(type, "message"))
        return put_message(r, item);
    if (slice_is(type, "reasoning"))
        return put_reasoning(r, item);
    if (slice_is(type, "function_call"))
        return put_call(r, item);
    return responses_emit_opaque(r->a, item, raw, r->block++, r->sink);
}

static enum err put_response(struct answer_reader *r, yyjson_val *root) {
    yyjson_val *output = yyjson_obj_get(root, "output"), *v;
    size_t i, n;
    if (!yyjson_is_arr(output))
        return ERR_UP_PROTOCOL;
    enum err e =
        emit_start(r->sink, json_get_str(root, "id"), json_get_str(root, "model"), json_get_int(root, "created_at", 0));
    struct src_walk walk = src_walk_array(json_get_src(&r->doc, root, "output"));
    yyjson_arr_foreach(output, i, n, v) {
        if (!e)
            e = put_item(r, v, src_walk_next(&walk));
    }
    return e ? e : responses_emit_ending(r->a, root, r->called, r->sink);
}

static enum err put_count(struct answer_reader *r, yyjson_val *root) {
    struct usage usage = USAGE_NONE;
    usage.input_tokens = json_get_int(root, "input_tokens", -1);
    if (usage.input_tokens < 0)
        return ERR_UP_PROTOCOL;
    enum err e = emit_start(r->sink, SLICE_NONE, SLICE_NONE, 0);
    if (!e)
        e = emit_usage(r->sink, &usage);
    return e ? e : emit_end(r->sink);
}

enum err responses_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink) {
    struct answer_reader r = {.a = a, .sink = sink};
    struct json_error why;
    enum err e = json_read(a, body, &r.doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(r.doc.doc);
    if (!yyjson_is_obj(root))
        return ERR_UP_PROTOCOL;
    if (yyjson_is_obj(yyjson_obj_get(root, "error")))
        return emit_failed(a, root, sink);
    return op == OP_COUNT_TOKENS ? put_count(&r, root) : put_response(&r, root);
}
