// SPDX-License-Identifier: Apache-2.0
// A client's Messages body → request: the parameters of the root object. Members that have no place in the inner form are
// listed as unmodelled; they travel with the source to an upstream of the same dialect. Bounds are wide on purpose: only
// types and what we act upon is ours to judge. All slices point into the tree or the body.
#include "dialect/anthropic.h"
#include "base/limits.h"

#define TOKENS_MAX (INT64_C(1) << 40)

// What we act upon; each at most once in a body.
static const char *const modelled[] = {
    "model", "max_tokens",     "system", "messages", "tools",    "tool_choice",   "temperature",   "top_p",
    "top_k", "stop_sequences", "stream", "metadata", "thinking", "output_config", "output_format", NULL,
};

static enum err read_model(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_str(rd, root, "model", &r->model);
    if (e)
        return e;
    if (!r->model.n)
        return field_missing(rd, root, "model");
    if (r->model.n > LIMIT_MODEL_NAME_BYTES)
        return field_refuse(rd, root, "model", ERR_BAD_FIELD, "the name is too long");
    return ERR_OK;
}

static enum err read_sampling(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_int(rd, root, "max_tokens", 0, TOKENS_MAX, &r->max_tokens);
    if (!e && r->max_tokens < 0 && r->op != OP_COUNT_TOKENS)
        return field_missing(rd, root, "max_tokens");
    if (!e)
        e = field_num(rd, root, "temperature", 0, 100, &r->temperature);
    if (!e)
        e = field_num(rd, root, "top_p", 0, 1, &r->top_p);
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
    if (slice_is(type, "disabled")) {
        r->think = THINK_OFF;
        return ERR_OK;
    }
    r->think = THINK_ON;
    if (!slice_is(type, "enabled"))
        return ERR_OK; // adaptive, and what came after us
    e = field_int(rd, &at, "budget_tokens", 0, TOKENS_MAX, &r->think_budget);
    if (!e && r->think_budget < 0)
        return field_missing(rd, &at, "budget_tokens");
    return e;
}

static enum err read_format(struct field_reader *rd, const struct field_at *obj, const char *name, struct request *r) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, obj, name, &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(obj, name, v);
    e = field_str_needed(rd, &at, "type", &type);
    if (e)
        return e;
    if (!slice_is(type, "json_schema"))
        return field_refuse(rd, &at, "type", ERR_BAD_FIELD, "expected json_schema");
    r->format = FORMAT_SCHEMA;
    e = field_obj_src(rd, &at, "schema", &r->format_schema);
    if (!e && !r->format_schema.p)
        return field_missing(rd, &at, "schema");
    return e;
}

static enum think effort_level(struct slice effort) {
    if (slice_is(effort, "low"))
        return THINK_LOW;
    if (slice_is(effort, "medium"))
        return THINK_MEDIUM;
    return THINK_HIGH; // high, max and what came after us
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
    e = read_format(rd, &at, "format", r);
    if (!e)
        e = field_str(rd, &at, "effort", &effort);
    if (effort.p && r->think == THINK_ON && r->think_budget < 0)
        r->think = effort_level(effort);
    return e;
}

// ---- tools

static enum err read_tool(struct field_reader *rd, const struct field_at *at, struct tool *t) {
    struct slice type = SLICE("custom");
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str(rd, at, "type", &type);
    if (!e)
        e = field_obj_src(rd, at, "cache_control", &t->cache_control);
    if (e)
        return e;
    t->opaque = !slice_is(type, "custom");
    if (t->opaque)
        return field_str(rd, at, "name", &t->name);
    e = field_str_needed(rd, at, "name", &t->name);
    if (!e)
        e = field_str(rd, at, "description", &t->description);
    if (!e)
        e = field_flag(rd, at, "strict", &t->strict);
    if (!e)
        e = field_obj_src(rd, at, "input_schema", &t->schema);
    if (!e && !t->schema.p)
        return field_missing(rd, at, "input_schema");
    return e;
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
    struct src_walk walk = src_walk_array(json_get_src(&rd->doc, root->val, "tools"));
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
    int disabled = -1;
    enum err e = field_obj(rd, root, "tool_choice", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "tool_choice", v);
    e = field_str_needed(rd, &at, "type", &type);
    if (!e)
        e = field_flag(rd, &at, "disable_parallel_tool_use", &disabled);
    if (e)
        return e;
    if (disabled >= 0)
        r->parallel_tools = !disabled;
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
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd.doc.doc));
    e = read_root(&rd, &root, r);
    if (e)
        return e;
    request_note_media(r);
    *ret = r;
    return ERR_OK;
}
