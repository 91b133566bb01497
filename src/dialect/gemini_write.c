// SPDX-License-Identifier: Apache-2.0
// A request → the body and the path for an upstream that speaks Gemini. A client's own bytes go through unchanged, but for
// the bound; model and stream are in the path. Any other request is written from its fields, with a note for each that has
// no place here. Schemas go as JSON Schema; thinking goes as a budget, which both generations of models take. All memory
// is the arena's.
#include "base/limits.h"
#include "dialect/gemini.h"

#define BODY_MAX (2 * (size_t)LIMIT_BODY_BYTES)

static bool will_stream(const struct request *r, const struct write_options *o) {
    return o->stream >= 0 ? o->stream > 0 : r->stream;
}

static void note(struct gemini_out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

void gemini_say(struct gemini_out *out, enum gemini_said kind, const char *action, const char *path,
                const char *reason) {
    if (!(out->said & kind))
        note(out, action, path, reason);
    out->said |= kind;
}

// ---- tools

static void put_function(struct gemini_out *out, const struct tool *t) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_str(w, "name", t->name);
    if (t->description.p)
        json_kv_str(w, "description", t->description);
    if (t->schema.p)
        json_kv_raw(w, "parametersJsonSchema", t->schema);
    json_obj_end(w);
    if (t->strict > 0)
        gemini_say(out, GEM_SAID_STRICT, "dropped", "tools.strict", "this dialect has no such parameter");
    if (t->cache_control.p)
        gemini_say(out, GEM_SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
}

static bool put_functions(struct gemini_out *out) {
    bool open = false;
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        if (t->opaque)
            continue;
        if (!open) {
            json_obj(&out->w);
            json_key(&out->w, "functionDeclarations");
            json_arr(&out->w);
        }
        open = true;
        put_function(out, t);
    }
    if (open) {
        json_arr_end(&out->w);
        json_obj_end(&out->w);
    }
    return open;
}

static bool can_write_tool(struct gemini_out *out, const struct tool *t) {
    bool can = !t->opaque || (!out->foreign && t->src.p);
    if (!can)
        gemini_say(out, GEM_SAID_TOOL, "dropped", "tools", "a server tool of another dialect");
    return can;
}

static void put_choice(struct gemini_out *out, bool functions) {
    static const char *const modes[] = {[TOOL_CHOICE_AUTO] = "AUTO",
                                        [TOOL_CHOICE_NONE] = "NONE",
                                        [TOOL_CHOICE_REQUIRED] = "ANY",
                                        [TOOL_CHOICE_NAMED] = "ANY"};
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    if (r->parallel_tools == 0)
        note(out, "dropped", "parallel_tool_calls", "this dialect has no such parameter");
    if (r->tool_choice == TOOL_CHOICE_UNSET || (out->foreign && !functions))
        return;
    json_key(w, "toolConfig");
    json_obj(w);
    json_key(w, "functionCallingConfig");
    json_obj(w);
    json_kv_cstr(w, "mode", modes[r->tool_choice]);
    if (r->tool_choice == TOOL_CHOICE_NAMED) {
        json_key(w, "allowedFunctionNames");
        json_arr(w);
        json_put_str(w, r->tool_choice_name);
        json_arr_end(w);
    }
    json_obj_end(w);
    json_obj_end(w);
}

static void put_tooling(struct gemini_out *out) {
    bool any = false, functions = false;
    for (const struct tool *t = out->r->tools; t; t = t->next)
        any |= can_write_tool(out, t);
    if (any) {
        json_key(&out->w, "tools");
        json_arr(&out->w);
        functions = put_functions(out);
        for (const struct tool *t = out->r->tools; t; t = t->next)
            if (t->opaque && can_write_tool(out, t))
                json_put_raw(&out->w, t->src);
        json_arr_end(&out->w);
    }
    put_choice(out, functions);
}

// ---- generationConfig

static void put_format(struct gemini_out *out) {
    const struct request *r = out->r;
    if (r->format == FORMAT_UNSET)
        return;
    json_kv_cstr(&out->w, "responseMimeType", r->format == FORMAT_TEXT ? "text/plain" : "application/json");
    if (r->format == FORMAT_SCHEMA && r->format_schema.p)
        json_kv_raw(&out->w, "responseJsonSchema", r->format_schema);
    if (r->format_strict > 0)
        gemini_say(out, GEM_SAID_STRICT, "dropped", "response_format.strict", "this dialect always holds to a schema");
}

static const char *level_text(enum think level) {
    switch (level) {
    case THINK_MINIMAL:
        return "MINIMAL";
    case THINK_LOW:
        return "LOW";
    case THINK_MEDIUM:
        return "MEDIUM";
    case THINK_HIGH:
        return "HIGH";
    case THINK_UNSET:
    case THINK_OFF:
    case THINK_ON:
        return NULL;
    }
    return NULL;
}

// Models before Gemini 3 know budgets only, those after it both.
static void put_depth(struct gemini_out *out) {
    const struct request *r = out->r;
    enum think level = r->think;
    if (r->think_budget >= 0 && level != THINK_OFF) {
        json_kv_int(&out->w, "thinkingBudget", r->think_budget);
    } else if (level == THINK_ON || level == THINK_OFF) {
        json_kv_int(&out->w, "thinkingBudget", level == THINK_ON ? -1 : 0);
    } else if (!out->foreign && level_text(level)) {
        json_kv_cstr(&out->w, "thinkingLevel", level_text(level));
    } else if (level != THINK_UNSET) {
        note(out, "approximated", "reasoning_effort", "a budget of tokens, which every model of this dialect takes");
        json_kv_int(&out->w, "thinkingBudget", budget_of_think(level));
    }
}

static void put_thinking(struct gemini_out *out) {
    const struct request *r = out->r;
    enum think level = request_think_level(r);
    bool thinks = level != THINK_UNSET && level != THINK_OFF;
    if (level == THINK_OFF && out->foreign) {
        note(out, "dropped", "thinking", "not every model of this dialect can switch it off");
        return;
    }
    int shown = r->think_shown < 0 && out->foreign && thinks ? 1 : r->think_shown;
    if (level == THINK_UNSET && shown < 0)
        return;
    json_key(&out->w, "thinkingConfig");
    json_obj(&out->w);
    put_depth(out);
    if (shown >= 0)
        json_kv_bool(&out->w, "includeThoughts", shown > 0);
    json_obj_end(&out->w);
}

static void put_num(struct gemini_out *out, const char *name, double v) {
    if (num_set(v))
        json_kv_num(&out->w, name, v);
}

static void put_sampling(struct gemini_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    int64_t max_tokens = out->o->max_tokens >= 0 ? out->o->max_tokens : r->max_tokens;
    if (max_tokens >= 0)
        json_kv_int(w, "maxOutputTokens", max_tokens);
    put_num(out, "temperature", r->temperature);
    put_num(out, "topP", r->top_p);
    if (r->top_k >= 0)
        json_kv_int(w, "topK", r->top_k);
    put_num(out, "presencePenalty", r->presence_penalty);
    put_num(out, "frequencyPenalty", r->frequency_penalty);
    if (r->seed_set)
        json_kv_int(w, "seed", r->seed);
    if (r->n > 1)
        json_kv_int(w, "candidateCount", r->n);
    if (r->logprobs >= 0)
        json_kv_bool(w, "responseLogprobs", r->logprobs > 0);
    if (r->top_logprobs >= 0)
        json_kv_int(w, "logprobs", r->top_logprobs);
    if (!r->n_stops)
        return;
    json_key(w, "stopSequences");
    json_arr(w);
    for (size_t i = 0; i < r->n_stops; i++)
        json_put_str(w, r->stops[i]);
    json_arr_end(w);
}

// What our fields don't hold of the client's own generationConfig.
static void put_own_config(struct gemini_out *out) {
    const struct request *r = out->r;
    yyjson_val *config = r->doc.src.p ? gemini_get(yyjson_doc_get_root(r->doc.doc), "generationConfig") : NULL;
    yyjson_obj_iter it = yyjson_obj_iter_with(config);
    for (yyjson_val *key; config && (key = yyjson_obj_iter_next(&it));) {
        for (size_t i = 0; i < r->n_unmodelled; i++) {
            if (!slice_eq(json_str(key), r->unmodelled[i]))
                continue;
            json_key_slice(&out->w, json_str(key));
            json_put_raw(&out->w, json_member_src(&r->doc, key));
            break;
        }
    }
}

static void put_config(struct gemini_out *out) {
    json_key(&out->w, "generationConfig");
    json_obj(&out->w);
    put_sampling(out);
    put_format(out);
    put_thinking(out);
    if (!out->foreign)
        put_own_config(out);
    json_obj_end(&out->w);
}

static void note_dropped(struct gemini_out *out) {
    const struct request *r = out->r;
    const char *reason = "this dialect has no such parameter";
    const struct {
        bool given;
        const char *path;
    } rows[] = {
        {num_set(r->min_p), "min_p"},
        {num_set(r->repeat_penalty), "repeat_penalty"},
        {r->user.p != NULL, "user"},
        {r->context >= 0, "options.num_ctx"},
        {r->keep_alive.p != NULL, "keep_alive"},
        {r->op == OP_GENERATE && r->raw, "raw"},
        {r->op == OP_GENERATE && r->suffix.n, "suffix"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].given)
            note(out, "dropped", rows[i].path, reason);
    notes_unmodelled(out->a, &out->wire->notes, r);
}

// ---- from the fields

static void put_request(struct gemini_out *out) {
    gemini_put_contents(out);
    put_tooling(out);
    put_config(out);
    if (!out->foreign)
        put_unmodelled(&out->w, out->r);
}

// A count of more than contents is of a whole request, which must name the model again.
static void put_count(struct gemini_out *out, struct slice model) {
    struct json_writer *w = &out->w;
    json_key(w, "generateContentRequest");
    json_obj(w);
    json_key(w, "model");
    buf_append_str(w->out, slice_find(model, '/') == SIZE_MAX ? "\"models/" : "\"");
    json_escape(w->out, model);
    buf_append_char(w->out, '"');
    w->comma = true;
    put_request(out);
    json_obj_end(w);
}

static enum err write_fields(struct gemini_out *out, struct slice model) {
    struct json_writer *w = &out->w;
    if (out->r->op == OP_EMBED) {
        enum err e = gemini_put_embed(out->a, out->r, w, model);
        return e ? e : buf_into_arena(w->out, out->a, &out->wire->body);
    }
    json_obj(w);
    if (out->r->op == OP_COUNT_TOKENS)
        put_count(out, model);
    else
        put_request(out);
    json_obj_end(w);
    if (out->foreign)
        note_dropped(out);
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

// ---- from the source

// The client's generationConfig with another bound, whatever else is in it.
static struct slice config_with_bound(struct gemini_out *out, yyjson_val *config) {
    const struct json_doc *doc = &out->r->doc;
    struct buf b = BUF_INIT(BODY_MAX);
    struct json_writer w = JSON_WRITER(&b);
    struct slice text = SLICE_NONE;
    const struct field_at at = FIELD_ROOT(config);
    const char *bound = gemini_key(&at, "maxOutputTokens");
    yyjson_obj_iter it = yyjson_obj_iter_with(config);
    json_obj(&w);
    for (yyjson_val *key; config && (key = yyjson_obj_iter_next(&it));) {
        if (yyjson_equals_str(key, bound))
            continue;
        json_key_slice(&w, json_str(key));
        json_put_raw(&w, json_member_src(doc, key));
    }
    json_kv_int(&w, "maxOutputTokens", out->o->max_tokens);
    json_obj_end(&w);
    return buf_into_arena(&b, out->a, &text) ? SLICE_NONE : text;
}

static enum err write_source(struct gemini_out *out, struct slice model) {
    const struct request *r = out->r;
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(r->doc.doc));
    struct edit edits[2];
    size_t n = 0;
    if (r->op == OP_CHAT && out->o->max_tokens >= 0 && out->o->max_tokens != r->max_tokens) {
        const char *name = gemini_key(&root, "generationConfig");
        edits[n++] = (struct edit){name, config_with_bound(out, yyjson_obj_get(root.val, name))};
        if (!edits[0].value.p)
            return ERR_NO_MEMORY;
    }
    if (yyjson_obj_get(root.val, "model")) // ours, where the path has the upstream's
        edits[n++] = (struct edit){"model", SLICE_NONE};
    out->wire->verbatim = true;
    if (r->op == OP_EMBED)
        return gemini_splice_embed(out->a, r, model, &out->wire->body);
    return splice(out->a, &r->doc, edits, n, NULL, 0, &out->wire->body);
}

static bool can_splice(const struct request *r) {
    if (!request_can_splice(r, DIALECT_GEMINI))
        return false;
    return r->op != OP_COUNT_TOKENS || !gemini_get(yyjson_doc_get_root(r->doc.doc), "generateContentRequest");
}

static const char *method_of(const struct request *r, bool splices, bool stream, bool array) {
    if (r->op == OP_COUNT_TOKENS)
        return "countTokens";
    if (r->op == OP_EMBED)
        return splices && r->one_vector ? "embedContent" : "batchEmbedContents";
    return !stream ? "generateContent" : array ? "streamGenerateContent" : "streamGenerateContent?alt=sse";
}

enum err gemini_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem) {
    struct buf b = BUF_INIT(BODY_MAX);
    struct slice model = o->model.p ? o->model : r->model;
    bool splices = can_splice(r), stream = will_stream(r, o);
    *ret = (struct wire_request){.json_array = splices && stream && r->stream && r->stream_array};
    ret->path = gemini_path(a, model, method_of(r, splices, stream, ret->json_array));
    notes_init(&ret->notes);
    struct gemini_out out = {
        .a = a, .r = r, .o = o, .wire = ret, .w = JSON_WRITER(&b), .foreign = r->dialect != DIALECT_GEMINI};
    enum err e = !ret->path ? ERR_NO_MEMORY : splices ? write_source(&out, model) : write_fields(&out, model);
    buf_done(&b);
    if (e)
        *problem = PROBLEM(e);
    return e;
}
