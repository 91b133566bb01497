// SPDX-License-Identifier: Apache-2.0
// Whole answers, read and written, and what they share with streams: kinds of blocks, reasons to stop, usage. Blocks that
// the inner form does not model (server tools, their results, compaction, fallback) keep their JSON in the begin event,
// so that they come out as they came in for a client of this dialect and are passed over by the others. Anthropic counts
// cached input apart from input_tokens; the inner form counts it in. All memory is the arena's or the given buf's.
#include "dialect/anthropic.h"
#include "base/limits.h"

// ---- words

enum block_kind anthropic_kind_of(struct slice type) {
    if (slice_is(type, "text"))
        return BLOCK_TEXT;
    if (slice_is(type, "thinking") || slice_is(type, "redacted_thinking"))
        return BLOCK_THINK;
    if (slice_is(type, "tool_use"))
        return BLOCK_TOOL;
    return slice_is(type, "server_tool_use") || slice_is(type, "mcp_tool_use") ? BLOCK_SERVER_TOOL : BLOCK_OPAQUE;
}

bool anthropic_owns(struct slice name) {
    return name.n && !memchr(name.p, ':', name.n);
}

static const struct {
    const char *text;
    enum finish finish;
} finishes[] = {
    {"end_turn", FINISH_STOP},
    {"max_tokens", FINISH_LENGTH},
    {"stop_sequence", FINISH_STOP_SEQUENCE},
    {"tool_use", FINISH_TOOL},
    {"pause_turn", FINISH_PAUSE},
    {"refusal", FINISH_REFUSAL},
    {"model_context_window_exceeded", FINISH_LENGTH},
    {"refusal", FINISH_FILTER},
    {"end_turn", FINISH_LOAD},
};

enum finish anthropic_finish_of(struct slice reason) {
    for (size_t i = 0; i < sizeof finishes / sizeof finishes[0]; i++)
        if (slice_is(reason, finishes[i].text))
            return finishes[i].finish;
    return FINISH_STOP; // a reason that came after us
}

const char *anthropic_finish_text(enum finish f, bool after_tool) {
    if (after_tool && (f == FINISH_STOP || f == FINISH_NONE))
        return "tool_use"; // some upstreams say "stop" after a call; this dialect's clients look here only
    for (size_t i = 0; i < sizeof finishes / sizeof finishes[0]; i++)
        if (f == finishes[i].finish)
            return finishes[i].text;
    return "end_turn";
}

struct slice anthropic_answer_id(struct arena *a, struct slice upstream, struct slice ours) {
    if (slice_starts(upstream, "msg_"))
        return upstream;
    if (ours.n)
        return slice_str(arena_printf(a, "msg_%.*s", SLICE_FMT(ours)));
    struct slice rest = slice_starts(upstream, "chatcmpl-") ? slice_from(upstream, 9) : upstream;
    return slice_str(arena_printf(a, "msg_%.*s", SLICE_FMT(rest)));
}

// ---- usage

static void take(yyjson_val *obj, const char *name, int64_t *into) {
    int64_t v = json_get_int(obj, name, -1);
    if (v >= 0 && v < INT64_C(1) << 40)
        *into = v;
}

void anthropic_read_usage(yyjson_val *usage, struct anthropic_counts *c, struct usage *ret) {
    *ret = USAGE_NONE;
    if (!yyjson_is_obj(usage))
        return;
    take(usage, "input_tokens", &c->input);
    take(usage, "cache_read_input_tokens", &c->cache_read);
    take(usage, "cache_creation_input_tokens", &c->cache_write);
    take(usage, "output_tokens", &c->output);
    take(yyjson_obj_get(usage, "output_tokens_details"), "thinking_tokens", &c->thinking);
    if (c->input >= 0)
        ret->input_tokens =
            c->input + (c->cache_read > 0 ? c->cache_read : 0) + (c->cache_write > 0 ? c->cache_write : 0);
    ret->cache_read_tokens = c->cache_read;
    ret->cache_write_tokens = c->cache_write;
    ret->output_tokens = c->output;
    ret->reasoning_tokens = c->thinking;
}

static int64_t or_zero(int64_t v) {
    return v < 0 ? 0 : v;
}

void anthropic_put_usage(struct json_writer *w, const struct usage *u, bool whole) {
    int64_t fresh = or_zero(u->input_tokens) - or_zero(u->cache_read_tokens) - or_zero(u->cache_write_tokens);
    json_obj(w);
    if (whole || u->input_tokens >= 0)
        json_kv_int(w, "input_tokens", or_zero(fresh));
    if (whole || u->cache_write_tokens >= 0)
        json_kv_int(w, "cache_creation_input_tokens", or_zero(u->cache_write_tokens));
    if (whole || u->cache_read_tokens >= 0)
        json_kv_int(w, "cache_read_input_tokens", or_zero(u->cache_read_tokens));
    json_kv_int(w, "output_tokens", or_zero(u->output_tokens));
    if (u->reasoning_tokens >= 0) {
        json_key(w, "output_tokens_details");
        json_obj(w);
        json_kv_int(w, "thinking_tokens", u->reasoning_tokens);
        json_obj_end(w);
    }
    json_obj_end(w);
}

// ---- reading blocks

// Has a tool call more than the inner form holds (its caller, a toolset)?
static bool has_extras(yyjson_val *obj) {
    yyjson_obj_iter it = yyjson_obj_iter_with(obj);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        struct slice k = json_str(key);
        if (!slice_is(k, "type") && !slice_is(k, "id") && !slice_is(k, "name") && !slice_is(k, "input"))
            return true;
    }
    return false;
}

static enum err emit_citations(struct event_sink *sink, const struct json_doc *doc, yyjson_val *obj, uint32_t block) {
    yyjson_val *list = yyjson_obj_get(obj, "citations"), *v;
    size_t i, n;
    if (!yyjson_arr_size(list))
        return ERR_OK;
    struct src_walk walk = src_walk_member(doc, obj, "citations");
    yyjson_arr_foreach(list, i, n, v) {
        enum err e = emit_meta(sink, block, 0, SLICE("citation"), src_walk_next(&walk));
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err emit_input(struct event_sink *sink, const struct json_doc *doc, yyjson_val *obj, uint32_t block,
                           enum block_kind kind) {
    yyjson_val *input = yyjson_obj_get(obj, "input");
    if (input && !yyjson_is_obj(input))
        return kind == BLOCK_TOOL ? ERR_UP_PROTOCOL : ERR_OK;
    return yyjson_obj_size(input) ? emit_delta(sink, block, 0, kind, json_get_src(doc, obj, "input")) : ERR_OK;
}

static enum err emit_tool(struct event_sink *sink, const struct json_doc *doc, yyjson_val *obj, struct slice raw,
                          struct event *begin) {
    begin->call_id = json_get_str(obj, "id");
    begin->name = json_get_str(obj, "name");
    if (begin->block_kind == BLOCK_TOOL && (!begin->call_id.n || !begin->name.n))
        return ERR_UP_PROTOCOL;
    if (begin->block_kind == BLOCK_SERVER_TOOL || has_extras(obj))
        begin->text = raw;
    enum err e = emit(sink, begin);
    return e ? e : emit_input(sink, doc, obj, begin->block, begin->block_kind);
}

enum err anthropic_emit_opening(struct event_sink *sink, const struct json_doc *doc, yyjson_val *obj, struct slice raw,
                                uint32_t block) {
    struct slice type = json_get_str(obj, "type");
    struct event begin = {.kind = EV_BLOCK_BEGIN, .block = block, .block_kind = anthropic_kind_of(type)};
    if (!type.n)
        return ERR_UP_PROTOCOL;
    if (begin.block_kind == BLOCK_TOOL || begin.block_kind == BLOCK_SERVER_TOOL)
        return emit_tool(sink, doc, obj, raw, &begin);
    if (begin.block_kind == BLOCK_OPAQUE) {
        begin.name = type;
        begin.text = raw;
        return emit(sink, &begin);
    }
    begin.redacted = slice_is(type, "redacted_thinking");
    if (begin.redacted)
        begin.text = json_get_str(obj, "data");
    enum err e = emit(sink, &begin);
    if (e || begin.redacted)
        return e;
    bool text = begin.block_kind == BLOCK_TEXT;
    e = emit_delta(sink, block, 0, begin.block_kind, json_get_str(obj, text ? "text" : "thinking"));
    return e || !text ? e : emit_citations(sink, doc, obj, block);
}

// ---- reading a whole answer

static enum err emit_content(struct event_sink *sink, const struct json_doc *doc, yyjson_val *root) {
    yyjson_val *list = yyjson_obj_get(root, "content"), *v;
    size_t i, n;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > LIMIT_BLOCKS)
        return ERR_UP_PROTOCOL;
    struct src_walk walk = src_walk_member(doc, root, "content");
    yyjson_arr_foreach(list, i, n, v) {
        if (!yyjson_is_obj(v))
            return ERR_UP_PROTOCOL;
        enum err e = anthropic_emit_opening(sink, doc, v, src_walk_next(&walk), (uint32_t)i);
        struct slice signature = json_get_str(v, "signature");
        if (!e)
            e = emit_block_end(sink, (uint32_t)i, 0, anthropic_kind_of(json_get_str(v, "type")),
                               signature.n ? signature : SLICE_NONE);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_message(struct event_sink *sink, const struct json_doc *doc, yyjson_val *root) {
    struct anthropic_counts counts = ANTHROPIC_COUNTS_NONE;
    struct usage usage;
    if (!slice_is(json_get_str(root, "type"), "message"))
        return ERR_UP_PROTOCOL;
    enum err e = emit_start(sink, json_get_str(root, "id"), json_get_str(root, "model"), 0);
    if (!e)
        e = emit_content(sink, doc, root);
    if (!e)
        e = emit_finish(sink, 0, anthropic_finish_of(json_get_str(root, "stop_reason")),
                        json_get_str(root, "stop_sequence"));
    anthropic_read_usage(yyjson_obj_get(root, "usage"), &counts, &usage);
    if (!e)
        e = emit_usage(sink, &usage);
    return e ? e : emit_end(sink);
}

static enum err read_count(struct event_sink *sink, yyjson_val *root) {
    struct usage usage = USAGE_NONE;
    take(root, "input_tokens", &usage.input_tokens);
    if (usage.input_tokens < 0)
        return ERR_UP_PROTOCOL;
    enum err e = emit_start(sink, SLICE_NONE, SLICE_NONE, 0);
    if (!e)
        e = emit_usage(sink, &usage);
    return e ? e : emit_end(sink);
}

enum err anthropic_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink) {
    struct json_doc doc;
    struct json_error why;
    enum err e = json_read(a, body, &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    if (!yyjson_is_obj(root))
        return ERR_UP_PROTOCOL;
    if (slice_is(json_get_str(root, "type"), "error")) {
        struct problem p;
        anthropic_problem_of(a, 0, root, &p);
        return emit_error(sink, &p);
    }
    return op == OP_COUNT_TOKENS ? read_count(sink, root) : read_message(sink, &doc, root);
}

// ---- writing

void anthropic_put_arguments(struct json_writer *w, struct arena *a, struct slice arguments) {
    struct slice object = arguments_object(a, arguments);
    if (object.p) {
        json_put_raw(w, object);
        return;
    }
    json_obj(w);
    json_kv_str(w, "INVALID_JSON", arguments);
    json_obj_end(w);
}

bool anthropic_put_opening(struct json_writer *w, struct arena *a, struct slice opening, struct slice input) {
    struct json_doc doc;
    struct json_error why;
    if (!opening.n || json_read(a, opening, &doc, &why))
        return false;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    if (!json_get_str(root, "type").n)
        return false;
    json_obj(w);
    yyjson_obj_iter it = yyjson_obj_iter_with(root);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        if (yyjson_equals_str(key, "input") && input.p)
            continue;
        json_key_slice(w, json_str(key));
        json_put_raw(w, json_member_src(&doc, key));
    }
    if (input.p)
        json_kv_raw(w, "input", input);
    json_obj_end(w);
    return true;
}

static void put_tool_use(struct json_writer *w, struct arena *a, const struct answer_block *b) {
    struct slice object = arguments_object(a, buf_slice(&b->text));
    if (object.p && anthropic_put_opening(w, a, b->opening, object))
        return;
    json_obj(w);
    json_kv_cstr(w, "type", "tool_use");
    json_kv_str(w, "id", b->call_id);
    json_kv_str(w, "name", b->name);
    json_key(w, "input");
    anthropic_put_arguments(w, a, buf_slice(&b->text));
    json_obj_end(w);
}

static void put_text_block(struct json_writer *w, const struct answer_block *b) {
    struct slice rest = buf_slice(&b->meta), name, json;
    bool open = false;
    json_obj(w);
    json_kv_cstr(w, "type", "text");
    json_kv_str(w, "text", buf_slice(&b->text));
    while (answer_meta_next(&rest, &name, &json)) {
        if (!slice_is(name, "citation"))
            continue;
        if (!open) {
            json_key(w, "citations");
            json_arr(w);
            open = true;
        }
        json_put_raw(w, json);
    }
    if (open)
        json_arr_end(w);
    json_obj_end(w);
}

static void put_think(struct json_writer *w, const struct answer_block *b) {
    json_obj(w);
    json_kv_cstr(w, "type", b->redacted ? "redacted_thinking" : "thinking");
    if (b->redacted) {
        json_kv_str(w, "data", b->opening);
    } else {
        json_kv_str(w, "thinking", buf_slice(&b->text));
        json_kv_str(w, "signature", b->signature);
    }
    json_obj_end(w);
}

// A block that filled itself by deltas of its own (compaction): the members of the deltas win over the opening's.
static struct slice merged_opaque(struct arena *a, const struct answer_block *b) {
    struct slice rest = buf_slice(&b->meta), name, json, last = SLICE_NONE, text = SLICE_NONE;
    struct json_doc opening, delta;
    struct json_error why;
    while (answer_meta_next(&rest, &name, &json))
        if (slice_is(name, "delta"))
            last = json;
    if (!last.n || json_read(a, last, &delta, &why) || json_read(a, b->opening, &opening, &why))
        return b->opening;
    yyjson_val *over = yyjson_doc_get_root(delta.doc), *key;
    struct buf out = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_doc_get_root(opening.doc));
    while ((key = yyjson_obj_iter_next(&it))) {
        bool kept = yyjson_equals_str(key, "type") || !yyjson_obj_get(over, yyjson_get_str(key));
        json_key_slice(&w, json_str(key));
        json_put_raw(&w, kept ? json_member_src(&opening, key) : json_get_src(&delta, over, yyjson_get_str(key)));
    }
    json_obj_end(&w);
    return buf_into_arena(&out, a, &text) ? b->opening : text;
}

static void put_block(struct json_writer *w, struct arena *a, const struct answer_block *b) {
    struct slice input = b->text.len ? buf_slice(&b->text) : SLICE("{}");
    switch (b->kind) {
    case BLOCK_TEXT:
    case BLOCK_REFUSAL:
        put_text_block(w, b);
        return;
    case BLOCK_THINK:
        put_think(w, b);
        return;
    case BLOCK_TOOL:
        put_tool_use(w, a, b);
        return;
    case BLOCK_SERVER_TOOL:
        anthropic_put_opening(w, a, b->opening, arguments_object(a, input).p ? input : SLICE("{}"));
        return;
    case BLOCK_OPAQUE:
        anthropic_put_opening(w, a, anthropic_owns(b->name) ? merged_opaque(a, b) : SLICE_NONE, SLICE_NONE);
        return;
    case BLOCK_MEDIA:
        return; // this dialect's answers hold no media
    }
}

static bool ends_in_tool(const struct answer *answer) {
    bool tool = false;
    for (const struct answer_block *b = answer->first; b; b = b->next)
        tool = b->choice == 0 ? b->kind == BLOCK_TOOL : tool;
    return tool;
}

static void put_message(struct json_writer *w, struct arena *a, const struct answer *answer, struct slice id,
                        struct slice model) {
    const struct answer_choice *c = &answer->choices[0];
    json_obj(w);
    json_kv_str(w, "id", id);
    json_kv_cstr(w, "type", "message");
    json_kv_cstr(w, "role", "assistant");
    json_kv_str(w, "model", model);
    json_key(w, "content");
    json_arr(w);
    for (const struct answer_block *b = answer->first; b; b = b->next)
        if (b->choice == 0)
            put_block(w, a, b);
    json_arr_end(w);
    json_kv_cstr(w, "stop_reason", anthropic_finish_text(c->finish, ends_in_tool(answer)));
    if (c->stop_sequence.n)
        json_kv_str(w, "stop_sequence", c->stop_sequence);
    else
        json_kv_null(w, "stop_sequence");
    json_key(w, "usage");
    anthropic_put_usage(w, &answer->usage, true);
    json_obj_end(w);
}

enum err anthropic_write_answer(struct arena *a, const struct request *r, const struct answer *answer,
                                const struct identity *who, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    if (r->op == OP_COUNT_TOKENS) {
        json_obj(&w);
        json_kv_int(&w, "input_tokens", or_zero(answer->usage.input_tokens));
        json_obj_end(&w);
        return buf_status(out);
    }
    struct slice id = anthropic_answer_id(a, answer->id, who->id);
    if (!id.p)
        return ERR_NO_MEMORY;
    put_message(&w, a, answer, id, answer->model.n ? answer->model : who->model);
    return buf_status(out);
}
