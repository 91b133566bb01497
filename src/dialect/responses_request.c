// SPDX-License-Identifier: Apache-2.0
// A client's responses body → request: the parameters of the root object. What asks for state that nobody keeps here
// (previous_response_id, conversation, background) is refused by name; store is taken and does nothing, which a note of
// the writers says. Members that have no place in the inner form are looked at for their types and listed as unmodelled;
// they travel with the source to an upstream of the same dialect. All slices point into the tree or the body; the tree is
// freed with the arena.
#include "dialect/responses.h"
#include "base/limits.h"

#define TOKENS_MAX (INT64_C(1) << 40)

// What we act upon; each at most once in a body.
static const char *const modelled[] = {
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "max_output_tokens",
    "temperature",
    "top_p",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "user",
    "safety_identifier",
    "store",
    "previous_response_id",
    "conversation",
    "background",
    "include",
    "truncation",
    NULL,
};

static const struct field_type looked_at[] = {
    {"metadata", 'm'},         {"service_tier", 's'},           {"prompt", 'o'},
    {"prompt_cache_key", 's'}, {"prompt_cache_retention", 's'}, {"prompt_cache_options", 'o'},
    {"max_tool_calls", 'i'},   {"context_management", 'a'},     {NULL, 0},
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

// ---- state

static enum err refuse_state(struct field_reader *rd, const struct field_at *root) {
    static const char *const reason = "answers are not kept here; send the whole conversation as input";
    yyjson_val *conversation = yyjson_obj_get(root->val, "conversation");
    struct slice previous = SLICE_NONE;
    bool background = false;
    enum err e = field_str(rd, root, "previous_response_id", &previous);
    if (!e)
        e = field_bool(rd, root, "background", &background);
    if (e)
        return e;
    if (previous.p)
        return field_refuse(rd, root, "previous_response_id", ERR_UNSUPPORTED, reason);
    if (background)
        return field_refuse(rd, root, "background", ERR_UNSUPPORTED, "answers are not kept here; ask without it");
    if (!conversation || yyjson_is_null(conversation))
        return ERR_OK;
    if (!yyjson_is_str(conversation) && !yyjson_is_obj(conversation))
        return field_wrong(rd, root, "conversation", "a string or an object", conversation);
    return field_refuse(rd, root, "conversation", ERR_UNSUPPORTED, reason);
}

static enum err read_store(struct field_reader *rd, const struct field_at *root, struct request *r) {
    r->store = r->op == OP_CHAT; // the default there
    return field_bool(rd, root, "store", &r->store);
}

// ---- parameters

static enum err read_stream(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static const struct field_type options[] = {{"include_obfuscation", 'b'}, {NULL, 0}};
    yyjson_val *v = NULL;
    enum err e = field_bool(rd, root, "stream", &r->stream);
    if (!e)
        e = field_obj(rd, root, "stream_options", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "stream_options", v);
    return field_types(rd, &at, options);
}

static enum err read_sampling(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_int(rd, root, "max_output_tokens", 0, TOKENS_MAX, &r->max_tokens);
    if (!e)
        e = field_num(rd, root, "temperature", 0, 100, &r->temperature);
    if (!e)
        e = field_num(rd, root, "top_p", 0, 1, &r->top_p);
    if (!e)
        e = field_int(rd, root, "top_logprobs", 0, 1000, &r->top_logprobs);
    if (!e)
        e = field_str(rd, root, "safety_identifier", &r->user);
    return e ? e : field_str(rd, root, "user", &r->user);
}

static enum err read_include(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, root, "include", &list);
    const struct field_at arr = FIELD_MEMBER(root, "include", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct slice what = json_str(v);
        if (!e && !what.p)
            e = field_wrong(rd, &at, NULL, "a string", v);
        if (e)
            return e;
        if (slice_is(what, "message.output_text.logprobs"))
            r->logprobs = 1;
        else if (!slice_is(what, "reasoning.encrypted_content")) // which every answer holds that has some
            e = request_unmodelled_add(rd, r, field_path(rd->a, &at, NULL).p);
    }
    return e;
}

static enum err read_truncation(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct slice how = SLICE_NONE;
    enum err e = field_str(rd, root, "truncation", &how);
    return !e && how.p && !slice_is(how, "disabled") ? request_unmodelled_add(rd, r, "truncation") : e;
}

// ---- thinking

static const struct {
    const char *name;
    enum think level;
} efforts[] = {
    {"none", THINK_OFF},  {"minimal", THINK_MINIMAL}, {"low", THINK_LOW},  {"medium", THINK_MEDIUM},
    {"high", THINK_HIGH}, {"xhigh", THINK_HIGH},      {"max", THINK_HIGH},
};

static enum think level_of(struct slice effort) {
    for (size_t i = 0; i < sizeof efforts / sizeof efforts[0]; i++)
        if (slice_is(effort, efforts[i].name))
            return efforts[i].level;
    return THINK_ON; // a level that came after us
}

static enum err read_reasoning(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static const struct field_type others[] = {{"context", 's'}, {"mode", 's'}, {"generate_summary", 's'}, {NULL, 0}};
    struct slice effort = SLICE_NONE, summary = SLICE_NONE;
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, root, "reasoning", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "reasoning", v);
    e = field_str(rd, &at, "effort", &effort);
    if (!e)
        e = field_str(rd, &at, "summary", &summary);
    if (!e)
        e = field_types(rd, &at, others);
    if (effort.p)
        r->think = level_of(effort);
    if (summary.p || json_get_str(v, "generate_summary").p)
        r->think_shown = 1;
    return e;
}

// ---- the form of the answer

static enum err read_schema(struct field_reader *rd, const struct field_at *at, struct request *r) {
    static const struct field_type others[] = {{"description", 's'}, {NULL, 0}};
    r->format = FORMAT_SCHEMA;
    enum err e = field_str_needed(rd, at, "name", &r->format_name);
    if (!e)
        e = field_flag(rd, at, "strict", &r->format_strict);
    if (!e)
        e = field_types(rd, at, others);
    if (!e)
        e = field_obj_src(rd, at, "schema", &r->format_schema);
    return !e && !r->format_schema.p ? field_missing(rd, at, "schema") : e;
}

static enum err read_format(struct field_reader *rd, const struct field_at *text, struct request *r) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, text, "format", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(text, "format", v);
    e = field_str_needed(rd, &at, "type", &type);
    if (e)
        return e;
    if (slice_is(type, "json_schema"))
        return read_schema(rd, &at, r);
    if (slice_is(type, "text"))
        r->format = FORMAT_TEXT;
    else if (slice_is(type, "json_object"))
        r->format = FORMAT_JSON;
    else
        return field_refuse(rd, &at, "type", ERR_BAD_FIELD, "expected text, json_object or json_schema");
    return ERR_OK;
}

static enum err read_text(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    struct slice verbosity = SLICE_NONE;
    enum err e = field_obj(rd, root, "text", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "text", v);
    e = read_format(rd, &at, r);
    if (!e)
        e = field_str(rd, &at, "verbosity", &verbosity);
    return !e && verbosity.p ? request_unmodelled_add(rd, r, "text.verbosity") : e;
}

// ---- tools

static enum err read_tool(struct field_reader *rd, const struct field_at *at, struct tool *t) {
    static const struct field_type others[] = {
        {"defer_loading", 'b'}, {"output_schema", 'o'}, {"allowed_callers", 't'}, {NULL, 0}};
    struct slice type = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "type", &type);
    t->opaque = !slice_is(type, "function");
    if (e || t->opaque)
        return e;
    e = field_str_needed(rd, at, "name", &t->name);
    if (!e)
        e = field_str(rd, at, "description", &t->description);
    if (!e)
        e = field_obj_src(rd, at, "parameters", &t->schema);
    if (!e)
        e = field_types(rd, at, others);
    return e ? e : field_flag(rd, at, "strict", &t->strict);
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

static bool choice_word(struct slice s, enum tool_choice *ret) {
    if (slice_is(s, "auto"))
        *ret = TOOL_CHOICE_AUTO;
    else if (slice_is(s, "none"))
        *ret = TOOL_CHOICE_NONE;
    else if (slice_is(s, "required"))
        *ret = TOOL_CHOICE_REQUIRED;
    else
        return false;
    return true;
}

static enum err read_choice_object(struct field_reader *rd, const struct field_at *at, struct request *r) {
    static const struct field_type others[] = {
        {"tools", 'a'}, {"mode", 's'}, {"name", 's'}, {"server_label", 's'}, {NULL, 0}};
    struct slice type = SLICE_NONE;
    enum err e = field_str_needed(rd, at, "type", &type);
    if (!e)
        e = field_types(rd, at, others);
    if (e)
        return e;
    if (slice_is(type, "function")) {
        r->tool_choice = TOOL_CHOICE_NAMED;
        return field_str_needed(rd, at, "name", &r->tool_choice_name);
    }
    if (!slice_is(type, "allowed_tools"))
        return request_unmodelled_add(rd, r, "tool_choice");          // a server tool
    if (!choice_word(json_get_str(at->val, "mode"), &r->tool_choice)) // others get the mode without the narrower list
        return field_refuse(rd, at, "mode", ERR_BAD_FIELD, "expected auto or required");
    return request_unmodelled_add(rd, r, "tool_choice.tools");
}

static enum err read_choice(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = yyjson_obj_get(root->val, "tool_choice");
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    const struct field_at at = FIELD_MEMBER(root, "tool_choice", v);
    if (yyjson_is_obj(v))
        return read_choice_object(rd, &at, r);
    if (!yyjson_is_str(v))
        return field_wrong(rd, root, "tool_choice", "a string or an object", v);
    if (!choice_word(json_str(v), &r->tool_choice))
        return field_refuse(rd, root, "tool_choice", ERR_BAD_FIELD, "expected none, auto, required or an object");
    return ERR_OK;
}

// ---- the whole

static enum err read_root(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static enum err (*const parts[])(struct field_reader *, const struct field_at *, struct request *) = {
        read_model,     read_store, read_stream, read_sampling, read_include,        read_truncation,
        read_reasoning, read_text,  read_tools,  read_choice,   responses_read_input};
    enum err e = field_check_once(rd, root, modelled);
    if (!e)
        e = refuse_state(rd, root);
    if (!e)
        e = field_types(rd, root, looked_at);
    if (!e)
        e = field_flag(rd, root, "parallel_tool_calls", &r->parallel_tools);
    if (!e)
        e = field_unmodelled(rd, root->val, modelled, &r->unmodelled, &r->n_unmodelled);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !e; i++)
        e = parts[i](rd, root, r);
    return e;
}

enum err responses_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                                struct problem *problem) {
    struct field_reader rd;
    enum err e = field_reader_open(&rd, a, body, problem);
    if (e)
        return e;
    struct request *r = ARENA_NEW(a, struct request);
    if (!r)
        return field_no_memory(&rd);
    request_init(r);
    r->dialect = DIALECT_RESPONSES;
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
