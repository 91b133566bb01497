// SPDX-License-Identifier: Apache-2.0
// A client's Ollama body → request. Streaming is the default there. Ollama has no ids for tool calls, so they are numbered
// in order and each tool message takes the next open number. An empty conversation or prompt is legal: it loads a model.
#include "dialect/ollama.h"
#include "base/limits.h"
#include "base/times.h"

#define TOKENS_MAX (INT64_C(1) << 40)

static const char *const modelled[] = {"model",      "messages", "prompt",       "system", "suffix",     "raw",
                                       "images",     "format",   "options",      "stream", "think",      "tools",
                                       "keep_alive", "logprobs", "top_logprobs", "input",  "dimensions", NULL};

// The first bytes of base64 tell the format; what is none of these is left to the upstream.
static struct slice media_type_of(struct slice base64) {
    if (slice_starts(base64, "/9j/"))
        return SLICE("image/jpeg");
    if (slice_starts(base64, "R0lG"))
        return SLICE("image/gif");
    if (slice_starts(base64, "UklG"))
        return SLICE("image/webp");
    return SLICE("image/png");
}

static enum err read_images(struct field_reader *rd, const struct field_at *obj, struct part ***tail) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, obj, "images", &list);
    if (e || !list)
        return e;
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_MEMBER(obj, "images", list), one = FIELD_ELEMENT(&at, i, v);
        if (!yyjson_is_str(v))
            return field_wrong(rd, &one, NULL, "a base64 string", v);
        e = field_base64(rd, &one, NULL, json_str(v));
        if (e)
            return e;
        struct part *p = part_add(rd->a, tail, PART_IMAGE);
        if (!p)
            return field_no_memory(rd);
        p->data = json_str(v);
        p->media_type = media_type_of(p->data);
    }
    return ERR_OK;
}

static enum err put_text(struct field_reader *rd, struct part ***tail, enum part_kind kind, struct slice text) {
    if (!text.n)
        return ERR_OK;
    struct part *p = part_add(rd->a, tail, kind);
    if (!p)
        return field_no_memory(rd);
    p->text = text;
    return ERR_OK;
}

// ---- calls and results; older Ollamas have no ids

static enum err read_arguments(struct field_reader *rd, const struct field_at *f, struct part *p) {
    yyjson_val *v = yyjson_obj_get(f->val, "arguments");
    if (yyjson_is_str(v)) // OpenAI's habit
        return field_str(rd, f, "arguments", &p->text);
    return field_obj_src(rd, f, "arguments", &p->text);
}

static enum err read_call(struct field_reader *rd, const struct field_at *at, struct part ***tail,
                          struct call_ids *ids) {
    yyjson_val *function = NULL;
    enum err e = yyjson_is_obj(at->val) ? field_obj(rd, at, "function", &function)
                                        : field_wrong(rd, at, NULL, "an object", at->val);
    if (!e && !function)
        e = field_missing(rd, at, "function");
    if (e)
        return e;
    const struct field_at f = FIELD_MEMBER(at, "function", function);
    struct part *p = part_add(rd->a, tail, PART_TOOL_CALL);
    if (!p)
        return field_no_memory(rd);
    e = field_str(rd, at, "id", &p->id);
    if (!e)
        e = field_str_needed(rd, &f, "name", &p->name);
    if (!e)
        e = read_arguments(rd, &f, p);
    return e ? e : call_ids_add(rd, ids, p);
}

static enum err read_calls(struct field_reader *rd, const struct field_at *obj, struct part ***tail,
                           struct call_ids *ids) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, obj, "tool_calls", &list);
    if (e || !list)
        return e;
    if (yyjson_arr_size(list) > LIMIT_TOOLS)
        return field_refuse(rd, obj, "tool_calls", ERR_BAD_FIELD, "there are too many calls");
    call_ids_turn(ids);
    const struct field_at at = FIELD_MEMBER(obj, "tool_calls", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(&at, i, v);
        e = read_call(rd, &one, tail, ids);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err role_of(struct field_reader *rd, const struct field_at *at, enum role *ret) {
    struct slice role = SLICE_NONE;
    enum err e = field_str_needed(rd, at, "role", &role);
    if (e)
        return e;
    if (slice_is(role, "system"))
        *ret = ROLE_SYSTEM;
    else if (slice_is(role, "user"))
        *ret = ROLE_USER;
    else if (slice_is(role, "assistant"))
        *ret = ROLE_ASSISTANT;
    else if (slice_is(role, "tool"))
        *ret = ROLE_TOOL;
    else
        return field_refuse(rd, at, "role", ERR_BAD_FIELD, "expected system, user, assistant or tool");
    return ERR_OK;
}

static enum err read_tool_result(struct field_reader *rd, const struct field_at *at, struct part ***tail,
                                 struct call_ids *ids, struct slice content) {
    struct part *p = part_add(rd->a, tail, PART_TOOL_RESULT);
    if (!p)
        return field_no_memory(rd);
    struct part **inner = &p->content;
    enum err e = field_str(rd, at, "tool_name", &p->name);
    if (!e)
        e = field_str(rd, at, "tool_call_id", &p->id);
    if (!e)
        e = call_ids_take(rd, ids, p);
    if (e)
        return e;
    e = put_text(rd, &inner, PART_TEXT, content);
    return e ? e : read_images(rd, at, &inner);
}

static enum err read_message(struct field_reader *rd, const struct field_at *at, struct message ***tail,
                             struct call_ids *ids) {
    struct slice content = SLICE_NONE, thinking = SLICE_NONE;
    enum role role = ROLE_USER;
    enum err e = role_of(rd, at, &role);
    if (!e)
        e = field_str(rd, at, "content", &content);
    if (!e)
        e = field_str(rd, at, "thinking", &thinking);
    if (e)
        return e;
    struct message *m = message_add(rd->a, tail, role);
    if (!m)
        return field_no_memory(rd);
    struct part **parts = &m->parts;
    if (role == ROLE_TOOL)
        return read_tool_result(rd, at, &parts, ids, content);
    e = put_text(rd, &parts, PART_THINK, thinking);
    if (!e)
        e = put_text(rd, &parts, PART_TEXT, content);
    if (!e)
        e = read_images(rd, at, &parts);
    return e ? e : read_calls(rd, at, &parts, ids);
}

static enum err read_messages(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    struct call_ids ids = {0, NULL, NULL};
    struct message **tail = &r->messages;
    enum err e = field_arr(rd, root, "messages", &list);
    if (e || !list)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "messages", list);
    if (yyjson_arr_size(list) > LIMIT_MESSAGES)
        return field_refuse(rd, root, "messages", ERR_BAD_FIELD, "too many messages");
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(&at, i, v);
        e = yyjson_is_obj(v) ? read_message(rd, &one, &tail, &ids) : field_wrong(rd, &one, NULL, "an object", v);
        if (e)
            return e;
    }
    return ERR_OK;
}

// generate: the system text and the images become messages, the prompt stays by itself.
static enum err read_prompt(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct slice system = SLICE_NONE;
    struct message **tail = &r->messages;
    enum err e = field_str(rd, root, "prompt", &r->prompt);
    if (!e)
        e = field_str(rd, root, "suffix", &r->suffix);
    if (!e)
        e = field_str(rd, root, "system", &system);
    if (!e)
        e = field_bool(rd, root, "raw", &r->raw);
    if (e)
        return e;
    if (system.n) {
        struct message *m = message_add(rd->a, &tail, ROLE_SYSTEM);
        struct part **parts = m ? &m->parts : NULL;
        e = m ? put_text(rd, &parts, PART_TEXT, system) : field_no_memory(rd);
    }
    if (e || !yyjson_obj_get(root->val, "images"))
        return e;
    struct message *m = message_add(rd->a, &tail, ROLE_USER);
    struct part **parts = m ? &m->parts : NULL;
    return m ? read_images(rd, root, &parts) : field_no_memory(rd);
}

static enum err read_tool(struct field_reader *rd, const struct field_at *at, struct tool ***tail) {
    yyjson_val *function = NULL;
    enum err e = yyjson_is_obj(at->val) ? field_obj(rd, at, "function", &function)
                                        : field_wrong(rd, at, NULL, "an object", at->val);
    if (!e && !function)
        e = field_missing(rd, at, "function");
    if (e)
        return e;
    struct tool *t = tool_add(rd->a, tail);
    if (!t)
        return field_no_memory(rd);
    const struct field_at f = FIELD_MEMBER(at, "function", function);
    t->strict = -1;
    e = field_str_needed(rd, &f, "name", &t->name);
    if (!e)
        e = field_str(rd, &f, "description", &t->description);
    return e ? e : field_obj_src(rd, &f, "parameters", &t->schema);
}

static enum err read_tools(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    struct tool **tail = &r->tools;
    enum err e = field_arr(rd, root, "tools", &list);
    if (e || !list)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "tools", list);
    if (yyjson_arr_size(list) > LIMIT_TOOLS)
        return field_refuse(rd, root, "tools", ERR_BAD_FIELD, "too many tools");
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(&at, i, v);
        e = read_tool(rd, &one, &tail);
        if (e)
            return e;
    }
    return ERR_OK;
}

static const char *const modelled_options[] = {
    "temperature",
    "top_p",
    "min_p",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "num_predict",
    "num_ctx",
    "seed",
    "stop",
    NULL,
};

static enum err read_sampling(struct field_reader *rd, const struct field_at *at, struct request *r) {
    enum err e = field_num(rd, at, "temperature", 0, 100, &r->temperature);
    if (!e)
        e = field_num(rd, at, "top_p", 0, 1, &r->top_p);
    if (!e)
        e = field_num(rd, at, "min_p", 0, 1, &r->min_p);
    if (!e)
        e = field_num(rd, at, "repeat_penalty", 0, 100, &r->repeat_penalty);
    if (!e)
        e = field_num(rd, at, "presence_penalty", -100, 100, &r->presence_penalty);
    if (!e)
        e = field_num(rd, at, "frequency_penalty", -100, 100, &r->frequency_penalty);
    if (!e)
        e = field_int(rd, at, "top_k", -1, TOKENS_MAX, &r->top_k);
    return e;
}

static enum err read_bounds(struct field_reader *rd, const struct field_at *at, struct request *r) {
    yyjson_val *seed = yyjson_obj_get(at->val, "seed");
    enum err e = field_int(rd, at, "num_predict", -2, TOKENS_MAX, &r->max_tokens);
    if (r->max_tokens <= 0)
        r->max_tokens = -1; // -1 and -2 are "no bound"
    if (!e)
        e = field_int(rd, at, "num_ctx", 0, TOKENS_MAX, &r->context);
    if (!e)
        e = field_int(rd, at, "seed", INT64_MIN, INT64_MAX, &r->seed);
    r->seed_set = seed && !yyjson_is_null(seed);
    return e ? e : field_strings(rd, at, "stop", LIMIT_STOPS, &r->stops, &r->n_stops);
}

// The options that nobody else has stand with the root's unmodelled members.
static enum err add_unmodelled(struct field_reader *rd, yyjson_val *options, struct request *r) {
    struct slice *more = NULL;
    size_t n = 0;
    enum err e = field_unmodelled(rd, options, modelled_options, &more, &n);
    if (e || !n)
        return e;
    struct slice *all = arena_array(rd->a, n + r->n_unmodelled, sizeof *all);
    if (!all)
        return field_no_memory(rd);
    if (r->n_unmodelled)
        memcpy(all, r->unmodelled, r->n_unmodelled * sizeof *all);
    memcpy(all + r->n_unmodelled, more, n * sizeof *all);
    r->unmodelled = all;
    r->n_unmodelled = r->n_unmodelled + n < LIMIT_DROPPED ? r->n_unmodelled + n : LIMIT_DROPPED;
    return ERR_OK;
}

static enum err read_options(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = NULL;
    enum err e = field_unmodelled(rd, root->val, modelled, &r->unmodelled, &r->n_unmodelled);
    if (!e)
        e = field_obj(rd, root, "options", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, "options", v);
    e = field_check_once(rd, &at, modelled_options);
    if (!e)
        e = read_sampling(rd, &at, r);
    if (!e)
        e = read_bounds(rd, &at, r);
    return e ? e : add_unmodelled(rd, v, r);
}

static enum err read_format(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = yyjson_obj_get(root->val, "format");
    if (!v || yyjson_is_null(v) || (yyjson_is_str(v) && yyjson_get_len(v) == 0))
        return ERR_OK;
    if (yyjson_is_obj(v)) {
        r->format = FORMAT_SCHEMA;
        return field_obj_src(rd, root, "format", &r->format_schema);
    }
    if (!yyjson_equals_str(v, "json"))
        return field_wrong(rd, root, "format", "\"json\" or a schema", v);
    r->format = FORMAT_JSON;
    return ERR_OK;
}

static enum err read_think(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *v = yyjson_obj_get(root->val, "think");
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    if (yyjson_is_bool(v))
        r->think = yyjson_get_bool(v) ? THINK_ON : THINK_OFF;
    else if (yyjson_equals_str(v, "low"))
        r->think = THINK_LOW;
    else if (yyjson_equals_str(v, "medium"))
        r->think = THINK_MEDIUM;
    else if (yyjson_equals_str(v, "high") || yyjson_equals_str(v, "max"))
        r->think = THINK_HIGH;
    else
        return field_wrong(rd, root, "think", "true, false, \"low\", \"medium\", \"high\" or \"max\"", v);
    return ERR_OK;
}

#define KEEP_MOST_S 31536000.0 // a year

// As Ollama reads it: a number is of seconds, a text a duration, anything below zero means for ever.
static enum err read_keep_alive(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static const char expected[] = "a duration like \"5m\", or a number of seconds";
    yyjson_val *v = yyjson_obj_get(root->val, "keep_alive");
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    r->keep_alive = json_get_src(&rd->doc, root->val, "keep_alive");
    if (yyjson_is_num(v)) {
        double s = yyjson_get_num(v);
        r->keep_ms = s < 0 ? KEEP_FOREVER : (int64_t)((s > KEEP_MOST_S ? KEEP_MOST_S : s) * 1000);
        return ERR_OK;
    }
    if (!yyjson_is_str(v))
        return field_wrong(rd, root, "keep_alive", expected, v);
    struct slice s = json_str(v);
    bool below = s.n > 0 && s.p[0] == '-';
    s = slice_from(s, below);
    if (slice_is(s, "0"))
        r->keep_ms = 0;
    else if (!times_duration(&s, &r->keep_ms) || s.n)
        return field_refuse(rd, root, "keep_alive", ERR_BAD_FIELD, "expected a duration like 5m, 30s or 1h30m");
    if (below && r->keep_ms > 0)
        r->keep_ms = KEEP_FOREVER;
    return ERR_OK;
}

static enum err read_root(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = field_check_once(rd, root, modelled);
    r->stream = true;
    if (!e)
        e = field_str_needed(rd, root, "model", &r->model);
    if (!e && !r->model.n)
        e = field_missing(rd, root, "model");
    if (!e && r->model.n > LIMIT_MODEL_NAME_BYTES)
        e = field_refuse(rd, root, "model", ERR_BAD_FIELD, "the name is too long");
    if (!e)
        e = field_bool(rd, root, "stream", &r->stream);
    if (!e)
        e = read_keep_alive(rd, root, r);
    if (!e && r->op == OP_EMBED)
        return ollama_read_embed(rd, root, r);
    if (!e)
        e = r->op == OP_GENERATE ? read_prompt(rd, root, r) : read_messages(rd, root, r);
    if (!e)
        e = read_tools(rd, root, r);
    if (!e)
        e = read_options(rd, root, r);
    if (!e)
        e = read_format(rd, root, r);
    if (!e)
        e = read_think(rd, root, r);
    if (!e)
        e = field_flag(rd, root, "logprobs", &r->logprobs);
    if (!e)
        e = field_int(rd, root, "top_logprobs", 0, 1000, &r->top_logprobs);
    return e;
}

enum err ollama_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem) {
    struct field_reader rd;
    enum err e = field_reader_open(&rd, a, body, problem);
    if (e)
        return e;
    struct request *r = ARENA_NEW(a, struct request);
    if (!r)
        return field_no_memory(&rd);
    request_init(r);
    r->dialect = DIALECT_OLLAMA;
    r->op = op;
    r->include_usage = true;
    r->doc = rd.doc;
    yyjson_val *val = yyjson_doc_get_root(rd.doc.doc);
    const struct field_at root = FIELD_ROOT(val);
    e = read_root(&rd, &root, r);
    if (e)
        return e;
    *ret = r;
    return request_complete(&rd, r);
}
