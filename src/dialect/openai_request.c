// SPDX-License-Identifier: Apache-2.0
// A client's chat completions body → request: the parameters of the root object. Members that have no place in the inner
// form are listed as unmodelled; they travel with the source to an upstream of the same dialect. Bounds are wide on
// purpose: whether a temperature of 3 makes sense is the upstream's to say, only types and what we act upon is ours.
// All slices point into the tree or the body; the tree is freed with the arena. Additions of llama-server (top_k, min_p,
// chat_template_kwargs), vLLM (repetition_penalty) and OpenRouter (models, provider, reasoning) are understood.
#include "dialect/openai.h"
#include "base/limits.h"

#define TOKENS_MAX (INT64_C(1) << 40)
#define CHOICES_MAX 16 // what an answer holds

// What we act upon; each at most once in a body.
static const char *const modelled[] = {
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "n",
    "temperature",
    "top_p",
    "max_completion_tokens",
    "presence_penalty",
    "tools",
    "tool_choice",
    "functions",
    "frequency_penalty",
    "parallel_tool_calls",
    "function_call",
    "stop",
    "response_format",
    "seed",
    "logprobs",
    "top_logprobs",
    "user",
    "models",
    "provider",
    "reasoning_effort",
    "reasoning",
    "top_k",
    "min_p",
    "repeat_penalty",
    "repetition_penalty",
    "thinking",
    "chat_template_kwargs",
    "safety_identifier",
    NULL,
};

// Of /v1/completions, and of vectors and rerank.
static const char *const modelled_prompt[] = {
    "model",
    "prompt",
    "suffix",
    "stream",
    "stream_options",
    "max_tokens",
    "n",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "seed",
    "logprobs",
    "user",
    "models",
    "provider",
    "top_k",
    "min_p",
    "repeat_penalty",
    "repetition_penalty",
    "max_completion_tokens",
    "safety_identifier",
    NULL,
};
static const char *const modelled_task[] = {"model",     "models",          "provider",   "input", "query",
                                            "documents", "encoding_format", "dimensions", "user",  NULL};

static enum err read_model(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_strings(rd, root, "models", LIMIT_TARGETS_PER_PLAN, &r->fallback_models, &r->n_fallback_models);
    if (!e)
        e = field_str(rd, root, "model", &r->model);
    if (!e)
        e = field_obj_src(rd, root, "provider", &r->provider_prefs);
    if (e)
        return e;
    if (!r->model.p && r->n_fallback_models)
        r->model = r->fallback_models[0];
    if (!r->model.n)
        return field_missing(rd, root, "model");
    if (r->model.n > LIMIT_MODEL_NAME_BYTES)
        return field_refuse(rd, root, "model", ERR_BAD_FIELD, "the name is too long");
    return ERR_OK;
}

static enum err read_stream(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *options = NULL;
    enum err e = field_bool(rd, root, "stream", &r->stream);
    if (!e)
        e = field_obj(rd, root, "stream_options", &options);
    if (e || !options)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "stream_options", options);
    return field_bool(rd, &at, "include_usage", &r->include_usage);
}

static enum err read_max_tokens(struct field_reader *rd, const struct field_at *root, struct request *r) {
    // -1 is "no bound" with llama-server and LM Studio.
    enum err e = field_int(rd, root, "max_tokens", -1, TOKENS_MAX, &r->max_tokens);
    return e ? e : field_int(rd, root, "max_completion_tokens", -1, TOKENS_MAX, &r->max_tokens);
}

static enum err read_seed(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = yyjson_obj_get(root->val, "seed");
    enum err e = field_int(rd, root, "seed", INT64_MIN, INT64_MAX, &r->seed);
    r->seed_set = !e && v && !yyjson_is_null(v);
    return e;
}

static enum err read_sampling(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_num(rd, root, "temperature", 0, 100, &r->temperature);
    if (!e)
        e = field_num(rd, root, "top_p", 0, 1, &r->top_p);
    if (!e)
        e = field_num(rd, root, "min_p", 0, 1, &r->min_p);
    if (!e)
        e = field_num(rd, root, "presence_penalty", -100, 100, &r->presence_penalty);
    if (!e)
        e = field_num(rd, root, "frequency_penalty", -100, 100, &r->frequency_penalty);
    if (!e)
        e = field_num(rd, root, "repetition_penalty", 0, 100, &r->repeat_penalty);
    if (!e)
        e = field_num(rd, root, "repeat_penalty", 0, 100, &r->repeat_penalty);
    if (!e)
        e = field_int(rd, root, "top_k", -1, TOKENS_MAX, &r->top_k);
    return e ? e : read_seed(rd, root, r);
}

static enum err read_logprobs(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e;
    if (r->op == OP_GENERATE) { // there it is how many
        e = field_int(rd, root, "logprobs", 0, 1000, &r->top_logprobs);
        r->logprobs = r->top_logprobs >= 0 ? 1 : -1;
        return e;
    }
    e = field_flag(rd, root, "logprobs", &r->logprobs);
    return e ? e : field_int(rd, root, "top_logprobs", 0, 1000, &r->top_logprobs);
}

static enum err read_output(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_int(rd, root, "n", 1, CHOICES_MAX, &r->n);
    if (!e)
        e = read_logprobs(rd, root, r);
    if (!e)
        e = field_strings(rd, root, "stop", LIMIT_STOPS, &r->stops, &r->n_stops);
    if (!e)
        e = field_str(rd, root, "safety_identifier", &r->user);
    return e ? e : field_str(rd, root, "user", &r->user);
}

// ---- thinking: four spellings

static enum think effort_level(struct slice effort) {
    static const struct {
        const char *name;
        enum think level;
    } rows[] = {
        {"none", THINK_OFF},  {"minimal", THINK_MINIMAL}, {"low", THINK_LOW},  {"medium", THINK_MEDIUM},
        {"high", THINK_HIGH}, {"xhigh", THINK_HIGH},      {"max", THINK_HIGH},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_is(effort, rows[i].name))
            return rows[i].level;
    return THINK_ON; // a level that came after us
}

static enum err read_openrouter_reasoning(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, root, "reasoning", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "reasoning", v);
    struct slice effort = SLICE_NONE;
    int enabled = -1;
    e = field_flag(rd, &at, "enabled", &enabled);
    if (!e)
        e = field_str(rd, &at, "effort", &effort);
    if (!e)
        e = field_int(rd, &at, "max_tokens", 0, TOKENS_MAX, &r->think_budget);
    if (enabled >= 0)
        r->think = enabled ? THINK_ON : THINK_OFF;
    if (effort.p)
        r->think = effort_level(effort);
    return e;
}

// llama-server's and vLLM's switch, and DeepSeek's.
static enum err read_thinking_switch(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *kwargs = NULL, *thinking = NULL;
    enum err e = field_obj(rd, root, "chat_template_kwargs", &kwargs);
    if (!e)
        e = field_obj(rd, root, "thinking", &thinking);
    if (e)
        return e;
    yyjson_val *enabled = yyjson_obj_get(kwargs, "enable_thinking");
    if (yyjson_is_bool(enabled) && !yyjson_get_bool(enabled))
        r->think = THINK_OFF;
    else if (yyjson_is_bool(enabled) && r->think == THINK_UNSET)
        r->think = THINK_ON;
    struct slice type = json_get_str(thinking, "type");
    if (slice_is(type, "disabled"))
        r->think = THINK_OFF;
    else if (slice_is(type, "enabled") && r->think == THINK_UNSET)
        r->think = THINK_ON;
    return ERR_OK;
}

static enum err read_thinking(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct slice effort = SLICE_NONE;
    enum err e = read_openrouter_reasoning(rd, root, r);
    if (!e)
        e = field_str(rd, root, "reasoning_effort", &effort);
    if (e)
        return e;
    if (effort.p)
        r->think = effort_level(effort);
    return read_thinking_switch(rd, root, r);
}

// ---- the form of the answer

static enum err read_schema(struct field_reader *rd, const struct field_at *format, struct request *r) {
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, format, "json_schema", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, format, "json_schema");
    const struct field_at at = FIELD_MEMBER(format, "json_schema", v);
    r->format = FORMAT_SCHEMA;
    e = field_str(rd, &at, "name", &r->format_name);
    if (!e)
        e = field_flag(rd, &at, "strict", &r->format_strict);
    return e ? e : field_obj_src(rd, &at, "schema", &r->format_schema);
}

static enum err read_format(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, root, "response_format", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "response_format", v);
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
    e = field_obj_src(rd, &at, "schema", &r->format_schema); // llama-server's older spelling
    if (!e && r->format == FORMAT_JSON && r->format_schema.p)
        r->format = FORMAT_SCHEMA;
    return e;
}

// ---- tools

static enum err read_function(struct field_reader *rd, const struct field_at *at, struct tool *t) {
    enum err e = field_str_needed(rd, at, "name", &t->name);
    if (!e)
        e = field_str(rd, at, "description", &t->description);
    if (!e)
        e = field_obj_src(rd, at, "parameters", &t->schema);
    return e ? e : field_flag(rd, at, "strict", &t->strict);
}

static enum err read_tool(struct field_reader *rd, const struct field_at *at, struct tool *t) {
    struct slice type = SLICE_NONE;
    yyjson_val *function = NULL;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "type", &type);
    if (e)
        return e;
    t->opaque = !slice_is(type, "function");
    if (t->opaque)
        return ERR_OK;
    e = field_obj(rd, at, "function", &function);
    if (e)
        return e;
    if (!function)
        return field_missing(rd, at, "function");
    e = field_obj_src(rd, at, "cache_control", &t->cache_control);
    const struct field_at inner = FIELD_MEMBER(at, "function", function);
    return e ? e : read_function(rd, &inner, t);
}

// `functions` is the old spelling: bare function objects.
static enum err read_tools(struct field_reader *rd, const struct field_at *root, const char *name,
                           struct tool ***tail) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, root, name, &list);
    if (e || !list)
        return e;
    if (yyjson_arr_size(list) > LIMIT_TOOLS)
        return field_refuse(rd, root, name, ERR_BAD_FIELD, "there are too many tools");
    struct src_walk walk = src_walk_member(&rd->doc, root->val, name);
    const struct field_at arr = FIELD_MEMBER(root, name, list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct tool *t = tool_add(rd->a, tail);
        if (!t)
            return field_no_memory(rd);
        t->src = src_walk_next(&walk);
        if (name[0] == 'f' && !yyjson_is_obj(v))
            return field_wrong(rd, &at, NULL, "an object", v);
        e = name[0] == 'f' ? read_function(rd, &at, t) : read_tool(rd, &at, t);
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
    else if (slice_is(s, "required") || slice_is(s, "any"))
        *ret = TOOL_CHOICE_REQUIRED;
    else
        return false;
    return true;
}

static enum err read_choice_object(struct field_reader *rd, const struct field_at *at, struct request *r) {
    yyjson_val *function = NULL, *allowed = NULL, *custom = NULL;
    enum err e = field_obj(rd, at, "function", &function);
    if (!e)
        e = field_obj(rd, at, "allowed_tools", &allowed);
    if (!e)
        e = field_obj(rd, at, "custom", &custom);
    if (e)
        return e;
    if (allowed) { // the narrower list travels with the source; others get its mode
        if (!choice_word(json_get_str(allowed, "mode"), &r->tool_choice))
            r->tool_choice = TOOL_CHOICE_AUTO;
        return ERR_OK;
    }
    const struct field_at named = FIELD_MEMBER(at, function ? "function" : "custom", function ? function : custom);
    r->tool_choice = TOOL_CHOICE_NAMED;
    if (named.val)
        return field_str_needed(rd, &named, "name", &r->tool_choice_name);
    return field_str_needed(rd, at, "name", &r->tool_choice_name); // the old function_call
}

static enum err read_choice(struct field_reader *rd, const struct field_at *root, const char *name, struct request *r) {
    yyjson_val *v = yyjson_obj_get(root->val, name);
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    const struct field_at at = FIELD_MEMBER(root, name, v);
    if (yyjson_is_obj(v))
        return read_choice_object(rd, &at, r);
    if (!yyjson_is_str(v))
        return field_wrong(rd, root, name, "a string or an object", v);
    if (!choice_word(json_str(v), &r->tool_choice))
        return field_refuse(rd, root, name, ERR_BAD_FIELD, "expected none, auto, required or an object");
    return ERR_OK;
}

static enum err read_all_tools(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct tool **tail = &r->tools;
    enum err e = read_tools(rd, root, "tools", &tail);
    if (!e)
        e = read_tools(rd, root, "functions", &tail);
    if (!e)
        e = read_choice(rd, root, "function_call", r);
    if (!e)
        e = read_choice(rd, root, "tool_choice", r);
    return e ? e : field_flag(rd, root, "parallel_tool_calls", &r->parallel_tools);
}

// ---- no chats

// Several prompts, or one of token ids: only the source has them, and each makes choices of its own.
static enum err read_prompts(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = yyjson_obj_get(root->val, "prompt"), *first = yyjson_arr_get_first(list);
    int64_t n = yyjson_is_num(first) ? 1 : (int64_t)yyjson_arr_size(list);
    if (n == 0 || n * r->n > CHOICES_MAX)
        return field_refuse(rd, root, "prompt", ERR_BAD_FIELD, "expected 1 to 16 answers in all");
    r->kin_only = true;
    r->n *= n;
    r->prompt = json_get_src(&rd->doc, root->val, "prompt");
    return ERR_OK;
}

static enum err read_prompt(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = yyjson_obj_get(root->val, "prompt");
    if (!v || yyjson_is_null(v))
        return field_missing(rd, root, "prompt");
    if (yyjson_is_arr(v) && yyjson_arr_size(v) == 1 && yyjson_is_str(yyjson_arr_get_first(v)))
        v = yyjson_arr_get_first(v);
    r->raw = true;
    if (yyjson_is_arr(v))
        return read_prompts(rd, root, r);
    if (!yyjson_is_str(v))
        return field_wrong(rd, root, "prompt", "a string or a list", v);
    r->prompt = json_str(v);
    return field_str(rd, root, "suffix", &r->suffix);
}

static enum err read_completion(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_check_once(rd, root, modelled_prompt);
    if (!e)
        e = read_model(rd, root, r);
    if (!e)
        e = read_stream(rd, root, r);
    if (!e)
        e = read_max_tokens(rd, root, r);
    if (!e)
        e = read_sampling(rd, root, r);
    if (!e)
        e = read_output(rd, root, r);
    if (!e)
        e = read_prompt(rd, root, r);
    return e ? e : field_unmodelled(rd, root->val, modelled_prompt, &r->unmodelled, &r->n_unmodelled);
}

static enum err read_task(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_check_once(rd, root, modelled_task);
    if (!e)
        e = read_model(rd, root, r);
    if (!e)
        e = r->op == OP_EMBED ? openai_read_embed(rd, root, r) : openai_read_rerank(rd, root, r);
    return e ? e : field_unmodelled(rd, root->val, modelled_task, &r->unmodelled, &r->n_unmodelled);
}

// ---- the whole

static enum err read_root(struct field_reader *rd, const struct field_at *root, struct request *r) {
    if (r->op == OP_GENERATE)
        return read_completion(rd, root, r);
    if (r->op == OP_EMBED || r->op == OP_RERANK)
        return read_task(rd, root, r);
    enum err e = field_check_once(rd, root, modelled);
    if (!e)
        e = read_model(rd, root, r);
    if (!e)
        e = read_stream(rd, root, r);
    if (!e)
        e = read_max_tokens(rd, root, r);
    if (!e)
        e = read_sampling(rd, root, r);
    if (!e)
        e = read_output(rd, root, r);
    if (!e)
        e = read_thinking(rd, root, r);
    if (!e)
        e = read_format(rd, root, r);
    if (!e)
        e = read_all_tools(rd, root, r);
    if (!e)
        e = openai_read_messages(rd, root, r);
    return e ? e : field_unmodelled(rd, root->val, modelled, &r->unmodelled, &r->n_unmodelled);
}

enum err openai_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem) {
    struct field_reader rd;
    enum err e = field_reader_open(&rd, a, body, problem);
    if (e)
        return e;
    struct request *r = ARENA_NEW(a, struct request);
    if (!r)
        return field_no_memory(&rd);
    request_init(r);
    r->dialect = DIALECT_OPENAI;
    r->op = op;
    r->doc = rd.doc;
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd.doc.doc));
    e = read_root(&rd, &root, r);
    if (e)
        return e;
    *ret = r;
    return request_complete(&rd, r);
}
