// SPDX-License-Identifier: Apache-2.0
// A client's messages body → request: the parameters of the root object. Members without a place in the inner form
// (service_tier, container, context_management …) are listed as unmodelled; they travel with the source to an upstream
// of the same dialect. Bounds are wide on purpose: whether a value makes sense is the upstream's to say, only types and
// what we act upon is ours. count_tokens takes the same body without max_tokens. All slices point into the tree or the
// body; the tree is freed with the arena.
#include "dialect/anthropic.h"
#include "base/limits.h"

#define TOKENS_MAX (INT64_C(1) << 40)

// What we act upon; each at most once in a body.
static const char *const modelled[] = {
    "model", "max_tokens",     "system", "messages", "tools",    "tool_choice",   "temperature",   "top_p",
    "top_k", "stop_sequences", "stream", "metadata", "thinking", "output_format", "output_config", NULL,
};

static enum err read_model(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_str_needed(rd, root, "model", &r->model);
    if (e)
        return e;
    if (!r->model.n)
        return field_missing(rd, root, "model");
    if (r->model.n > LIMIT_MODEL_NAME_BYTES)
        return field_refuse(rd, root, "model", ERR_BAD_FIELD, "the name is too long");
    return ERR_OK;
}

static enum err read_max_tokens(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_int(rd, root, "max_tokens", 0, TOKENS_MAX, &r->max_tokens);
    if (!e && r->max_tokens < 0 && r->op == OP_CHAT)
        return field_missing(rd, root, "max_tokens");
    return e;
}

static enum err read_sampling(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_num(rd, root, "temperature", 0, 100, &r->temperature);
    if (!e)
        e = field_num(rd, root, "top_p", -1, 1, &r->top_p);
    if (!e)
        e = field_int(rd, root, "top_k", -1, TOKENS_MAX, &r->top_k);
    if (!e)
        e = field_strings(rd, root, "stop_sequences", LIMIT_STOPS, &r->stops, &r->n_stops);
    return e ? e : field_bool(rd, root, "stream", &r->stream);
}

static enum err read_metadata(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, root, "metadata", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "metadata", v);
    return field_str(rd, &at, "user_id", &r->user);
}

// ---- thinking and the form of the answer

static enum err read_thinking(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, root, "thinking", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "thinking", v);
    e = field_str_needed(rd, &at, "type", &type);
    if (e)
        return e;
    r->think = slice_is(type, "disabled") ? THINK_OFF : THINK_ON;
    return r->think == THINK_ON ? field_int(rd, &at, "budget_tokens", 0, TOKENS_MAX, &r->think_budget) : ERR_OK;
}

static enum think effort_level(struct slice effort) {
    if (slice_is(effort, "low"))
        return THINK_LOW;
    return slice_is(effort, "medium") ? THINK_MEDIUM : THINK_HIGH; // high, xhigh, max
}

static enum err read_format(struct field_reader *rd, const struct field_at *up, const char *name, struct request *r) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, up, name, &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(up, name, v);
    e = field_str_needed(rd, &at, "type", &type);
    if (e || !slice_is(type, "json_schema"))
        return e; // a form that came after us travels with the source
    r->format = FORMAT_SCHEMA;
    e = field_obj_src(rd, &at, "schema", &r->format_schema);
    return !e && !r->format_schema.p ? field_missing(rd, &at, "schema") : e;
}

static enum err read_output(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    struct slice effort = SLICE_NONE;
    enum err e = read_format(rd, root, "output_format", r); // the beta's spelling
    if (!e)
        e = field_obj(rd, root, "output_config", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "output_config", v);
    e = field_str(rd, &at, "effort", &effort);
    if (!e && effort.p && r->think != THINK_OFF && r->think_budget < 0)
        r->think = effort_level(effort);
    return e ? e : read_format(rd, &at, "format", r);
}

// ---- tools

static enum err read_tool(struct field_reader *rd, const struct field_at *at, struct tool *t) {
    struct slice type = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str(rd, at, "type", &type);
    if (!e)
        e = field_obj_src(rd, at, "cache_control", &t->cache_control);
    t->opaque = type.n && !slice_is(type, "custom");
    if (e || t->opaque)
        return e;
    e = field_str_needed(rd, at, "name", &t->name);
    if (!e)
        e = field_str(rd, at, "description", &t->description);
    if (!e)
        e = field_flag(rd, at, "strict", &t->strict);
    if (!e)
        e = field_obj_src(rd, at, "input_schema", &t->schema);
    return !e && !t->schema.p ? field_missing(rd, at, "input_schema") : e;
}

static enum err read_tools(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    struct tool **tail = &r->tools;
    enum err e = field_arr(rd, root, "tools", &list);
    if (e || !list)
        return e;
    if (yyjson_arr_size(list) > LIMIT_TOOLS)
        return field_refuse(rd, root, "tools", ERR_BAD_FIELD, "there are too many tools");
    struct src_walk walk = src_walk_member(&rd->doc, root->val, "tools");
    const struct field_at arr = FIELD_MEMBER(root, "tools", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct tool *t = tool_add(rd->a, &tail);
        if (!t)
            return field_no_memory(rd);
        t->src = src_walk_next(&walk);
        e = read_tool(rd, &at, t);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_choice(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    int serial = -1;
    enum err e = field_obj(rd, root, "tool_choice", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "tool_choice", v);
    e = field_str_needed(rd, &at, "type", &type);
    if (!e)
        e = field_flag(rd, &at, "disable_parallel_tool_use", &serial);
    if (e)
        return e;
    r->parallel_tools = serial < 0 ? -1 : !serial;
    if (slice_is(type, "auto"))
        r->tool_choice = TOOL_CHOICE_AUTO;
    else if (slice_is(type, "any"))
        r->tool_choice = TOOL_CHOICE_REQUIRED;
    else if (slice_is(type, "none"))
        r->tool_choice = TOOL_CHOICE_NONE;
    else if (slice_is(type, "tool"))
        r->tool_choice = TOOL_CHOICE_NAMED;
    else
        return field_refuse(rd, &at, "type", ERR_BAD_FIELD, "expected auto, any, tool or none");
    return r->tool_choice == TOOL_CHOICE_NAMED ? field_str_needed(rd, &at, "name", &r->tool_choice_name) : ERR_OK;
}

// ---- the whole

static enum err read_root(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_check_once(rd, root, modelled);
    if (!e)
        e = read_model(rd, root, r);
    if (!e)
        e = read_max_tokens(rd, root, r);
    if (!e)
        e = read_sampling(rd, root, r);
    if (!e)
        e = read_metadata(rd, root, r);
    if (!e)
        e = read_thinking(rd, root, r);
    if (!e)
        e = read_output(rd, root, r);
    if (!e)
        e = read_tools(rd, root, r);
    if (!e)
        e = read_choice(rd, root, r);
    if (!e)
        e = anthropic_read_messages(rd, root, r);
    return e ? e : field_unmodelled(rd, root->val, modelled, &r->unmodelled, &r->n_unmodelled);
}

enum err anthropic_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                                struct problem *problem) {
    struct field_reader rd;
    enum err e = field_reader_open(&rd, a, body, problem);
    if (e)
        return e;
    struct request *r = ARENA_NEW(a, struct request);
    if (!r)
        return field_no_memory(&rd);
    request_init(r);
    r->dialect = DIALECT_ANTHROPIC;
    r->op = op;
    r->doc = rd.doc;
    r->include_usage = true;
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd.doc.doc));
    e = read_root(&rd, &root, r);
    if (e)
        return e;
    *ret = r;
    return request_complete(&rd, r);
}
