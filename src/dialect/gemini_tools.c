// SPDX-License-Identifier: Apache-2.0
// `tools` and `toolConfig` of a Gemini body. One tool of the wire holds many functions, and may hold a server tool beside
// them; each becomes a tool of its own. Schemas come in Google's form (parameters) or as JSON Schema
// (parametersJsonSchema); the inner form has the latter. All slices point into the tree, the body or the arena.
#include "base/limits.h"
#include "dialect/gemini.h"

static const char *const function_names[] = {"name",     "description",        "parameters", "parametersJsonSchema",
                                             "response", "responseJsonSchema", "behavior",   NULL};

static enum err read_function(struct field_reader *rd, const struct field_at *at, struct tool ***tail) {
    static const struct field_type others[] = {
        {"response", 'o'}, {"responseJsonSchema", 'o'}, {"behavior", 's'}, {NULL, 0}};
    yyjson_val *v = NULL;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    struct tool *t = tool_add(rd->a, tail);
    if (!t)
        return field_no_memory(rd);
    enum err e = gemini_check_once(rd, at, function_names);
    if (!e)
        e = field_str_needed(rd, at, "name", &t->name);
    if (!e)
        e = field_str(rd, at, "description", &t->description);
    if (!e)
        e = gemini_types(rd, at, others);
    if (!e)
        e = field_obj_src(rd, at, gemini_key(at, "parametersJsonSchema"), &t->schema);
    if (!e)
        e = field_obj(rd, at, "parameters", &v);
    if (e || !v || t->schema.p)
        return e;
    const struct field_at schema = FIELD_MEMBER(at, "parameters", v);
    return gemini_read_schema(rd, &schema, &t->schema);
}

static enum err read_functions(struct field_reader *rd, const struct field_at *at, struct tool ***tail) {
    yyjson_val *v;
    size_t i, n;
    if (yyjson_is_obj(at->val)) // a single one for a list, which Google takes
        return read_function(rd, at, tail);
    if (!yyjson_is_arr(at->val))
        return field_wrong(rd, at, NULL, "an array", at->val);
    if (yyjson_arr_size(at->val) > LIMIT_TOOLS)
        return field_refuse(rd, at, NULL, ERR_BAD_FIELD, "there are too many functions");
    yyjson_arr_foreach(at->val, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(at, i, v);
        enum err e = read_function(rd, &one, tail);
        if (e)
            return e;
    }
    return ERR_OK;
}

// {"googleSearch": {}}: a tool that Google runs.
static enum err read_server_tool(struct field_reader *rd, const struct field_at *tool, yyjson_val *key,
                                 struct tool ***tail) {
    yyjson_val *v = yyjson_obj_iter_get_val(key);
    if (yyjson_is_null(v))
        return ERR_OK;
    if (!yyjson_is_obj(v))
        return field_wrong(rd, tool, yyjson_get_str(key), "an object", v);
    struct tool *t = tool_add(rd->a, tail);
    char *src =
        arena_printf(rd->a, "{\"%.*s\":%.*s}", SLICE_FMT(json_str(key)), SLICE_FMT(json_member_src(&rd->doc, key)));
    if (!t || !src)
        return field_no_memory(rd);
    t->opaque = true;
    t->src = slice_str(src);
    return ERR_OK;
}

static enum err read_tool(struct field_reader *rd, const struct field_at *at, struct tool ***tail) {
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    const char *functions = gemini_key(at, "functionDeclarations");
    enum err e = ERR_OK;
    yyjson_obj_iter it = yyjson_obj_iter_with(at->val);
    for (yyjson_val *key; !e && (key = yyjson_obj_iter_next(&it));) {
        const struct field_at inner = FIELD_MEMBER(at, yyjson_get_str(key), yyjson_obj_iter_get_val(key));
        if (!yyjson_equals_str(key, functions))
            e = read_server_tool(rd, at, key, tail);
        else if (!yyjson_is_null(inner.val))
            e = read_functions(rd, &inner, tail);
    }
    return e;
}

// ---- toolConfig

static enum err read_mode(struct field_reader *rd, const struct field_at *at, struct request *r) {
    struct slice mode = SLICE_NONE, *names = NULL;
    size_t n = 0;
    enum err e = field_str(rd, at, "mode", &mode);
    if (!e)
        e = field_strings(rd, at, gemini_key(at, "allowedFunctionNames"), LIMIT_TOOLS, &names, &n);
    if (e)
        return e;
    if (slice_eq_nocase(mode, SLICE("ANY")))
        r->tool_choice = n == 1 ? TOOL_CHOICE_NAMED : TOOL_CHOICE_REQUIRED;
    else if (slice_eq_nocase(mode, SLICE("NONE")))
        r->tool_choice = TOOL_CHOICE_NONE;
    else if (slice_eq_nocase(mode, SLICE("AUTO")) || slice_eq_nocase(mode, SLICE("VALIDATED")))
        r->tool_choice = TOOL_CHOICE_AUTO;
    else if (mode.p && !slice_is(mode, "MODE_UNSPECIFIED"))
        return field_refuse(rd, at, "mode", ERR_BAD_FIELD, "expected AUTO, ANY, NONE or VALIDATED");
    if (r->tool_choice == TOOL_CHOICE_NAMED)
        r->tool_choice_name = names[0];
    else if (n) // others may choose among all
        e = request_unmodelled_add(rd, r, "toolConfig.functionCallingConfig.allowedFunctionNames");
    return e;
}

static enum err read_config(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static const struct field_type others[] = {
        {"retrievalConfig", 'o'}, {"includeServerSideToolInvocations", 'b'}, {NULL, 0}};
    static const char *const names[] = {"functionCallingConfig", NULL};
    const char *name = gemini_key(root, "toolConfig");
    yyjson_val *v = NULL, *calling = NULL;
    enum err e = field_obj(rd, root, name, &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, name, v);
    e = gemini_types(rd, &at, others);
    if (!e)
        e = gemini_unmodelled(rd, &at, names, r);
    name = gemini_key(&at, "functionCallingConfig");
    if (!e)
        e = field_obj(rd, &at, name, &calling);
    if (e || !calling)
        return e;
    const struct field_at inner = FIELD_MEMBER(&at, name, calling);
    return read_mode(rd, &inner, r);
}

enum err gemini_read_tools(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct tool **tail = &r->tools;
    yyjson_val *v = yyjson_obj_get(root->val, "tools"), *one;
    size_t i, n;
    const struct field_at list = FIELD_MEMBER(root, "tools", v);
    enum err e = ERR_OK;
    if (v && !yyjson_is_arr(v) && !yyjson_is_obj(v) && !yyjson_is_null(v))
        return field_wrong(rd, root, "tools", "an array", v);
    if (yyjson_arr_size(v) > LIMIT_TOOLS)
        return field_refuse(rd, root, "tools", ERR_BAD_FIELD, "there are too many tools");
    if (yyjson_is_obj(v))
        e = read_tool(rd, &list, &tail);
    yyjson_arr_foreach(v, i, n, one) {
        const struct field_at at = FIELD_ELEMENT(&list, i, one);
        if (!e)
            e = read_tool(rd, &at, &tail);
    }
    return e ? e : read_config(rd, root, r);
}
