// SPDX-License-Identifier: Apache-2.0
// A request → the chat completions body for an upstream. Two ways: when the client spoke this dialect and its bytes are
// still there, they are spliced, and only what must differ is touched (model, bounds, usage, OpenRouter's routing fields,
// which are ours to obey and nobody else's business). Otherwise the body is written from the fields, and whatever has no
// place leaves a note with its reason. The body belongs to the arena; nothing is sent from here.
#include "dialect/openai.h"
#include "base/limits.h"

static bool will_stream(const struct request *r, const struct write_options *o) {
    return o->stream >= 0 ? o->stream > 0 : r->stream;
}

static bool knows_extras(const struct write_options *o) {
    return (o->quirks & QUIRK_CACHE_PROMPT) != 0;
}

void openai_say(struct openai_out *out, enum openai_said kind, const char *action, const char *path,
                const char *reason) {
    if (out->said & kind)
        return;
    out->said |= kind;
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

static void note(struct openai_out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

// ---- what this upstream does not take

// Its row in the list of lacks; NULL: it takes the member as it is.
static const char *lack_of(const struct write_options *o, const char *member) {
    size_t n = strlen(member);
    for (const char *const *l = o->lacks; l && *l; l++)
        if (strncmp(*l, member, n) == 0 && ((*l)[n] == 0 || (*l)[n] == '='))
            return *l;
    return NULL;
}

static const char *other_name(const char *lack) {
    const char *eq = strchr(lack, '=');
    return eq ? eq + 1 : NULL;
}

// The name to write it by; NULL: not at all, and a note says so.
static const char *name_of(struct openai_out *out, const char *member) {
    const char *lack = lack_of(out->o, member), *other = lack ? other_name(lack) : NULL;
    if (lack && !other)
        note(out, "dropped", member, "this upstream refuses it");
    return lack ? other : member;
}

// ---- tools

static void put_function(struct openai_out *out, const struct tool *t) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_cstr(w, "type", "function");
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", t->name);
    if (t->description.p)
        json_kv_str(w, "description", t->description);
    if (t->schema.p)
        json_kv_raw(w, "parameters", t->schema);
    if (t->strict >= 0 && !(out->o->quirks & QUIRK_NO_STRICT))
        json_kv_bool(w, "strict", t->strict > 0);
    json_obj_end(w);
    if (t->cache_control.p && out->r->dialect == DIALECT_OPENAI)
        json_kv_raw(w, "cache_control", t->cache_control);
    else if (t->cache_control.p)
        openai_say(out, SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
    json_obj_end(w);
}

void openai_put_tools(struct openai_out *out) {
    json_arr(&out->w);
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        if (!t->opaque)
            put_function(out, t);
        else if (t->src.p && out->r->dialect == DIALECT_OPENAI)
            json_put_raw(&out->w, t->src);
        else
            openai_say(out, SAID_TOOL, "dropped", "tools", "a server tool of another dialect");
    }
    json_arr_end(&out->w);
}

static bool has_functions(const struct openai_out *out) {
    for (const struct tool *t = out->r->tools; t; t = t->next)
        if (!t->opaque || (t->src.p && out->r->dialect == DIALECT_OPENAI))
            return true;
    return false;
}

static void put_choice(struct openai_out *out) {
    static const char *const words[] = {
        [TOOL_CHOICE_AUTO] = "auto", [TOOL_CHOICE_NONE] = "none", [TOOL_CHOICE_REQUIRED] = "required"};
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    if (r->tool_choice == TOOL_CHOICE_UNSET)
        return;
    json_key(w, "tool_choice");
    if (r->tool_choice != TOOL_CHOICE_NAMED) {
        json_put_cstr(w, words[r->tool_choice]);
        return;
    }
    json_obj(w);
    json_kv_cstr(w, "type", "function");
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", r->tool_choice_name);
    json_obj_end(w);
    json_obj_end(w);
}

static void put_tooling(struct openai_out *out) {
    if (!has_functions(out)) { // a choice without tools is refused upstream
        if (out->r->tools)
            openai_say(out, SAID_TOOL, "dropped", "tools", "a server tool of another dialect");
        return;
    }
    json_key(&out->w, "tools");
    openai_put_tools(out);
    put_choice(out);
    const char *name = out->r->parallel_tools >= 0 ? name_of(out, "parallel_tool_calls") : NULL;
    if (name)
        json_kv_bool(&out->w, name, out->r->parallel_tools > 0);
}

// ---- the form of the answer

static void put_schema(struct openai_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    json_kv_cstr(w, "type", "json_schema");
    json_key(w, "json_schema");
    json_obj(w);
    json_kv_str(w, "name", r->format_name.n ? r->format_name : SLICE("answer")); // required there
    if (r->format_schema.p)
        json_kv_raw(w, "schema", r->format_schema);
    if (r->format_strict >= 0)
        json_kv_bool(w, "strict", r->format_strict > 0);
    json_obj_end(w);
}

static void put_format(struct openai_out *out) {
    if (out->r->format == FORMAT_UNSET)
        return;
    json_key(&out->w, "response_format");
    json_obj(&out->w);
    if (out->r->format == FORMAT_SCHEMA)
        put_schema(out);
    else
        json_kv_cstr(&out->w, "type", out->r->format == FORMAT_JSON ? "json_object" : "text");
    json_obj_end(&out->w);
}

// ---- numbers

static void put_num(struct openai_out *out, const char *member, double v) {
    const char *name = num_set(v) ? name_of(out, member) : NULL;
    if (name)
        json_kv_num(&out->w, name, v);
}

static void put_int(struct openai_out *out, const char *member, int64_t v) {
    const char *name = name_of(out, member);
    if (name)
        json_kv_int(&out->w, name, v);
}

static void put_sampling(struct openai_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    int64_t max_tokens = out->o->max_tokens >= 0 ? out->o->max_tokens : r->max_tokens;
    if (max_tokens >= 0)
        put_int(out, out->o->quirks & QUIRK_MAX_COMPLETION_TOKENS ? "max_completion_tokens" : "max_tokens", max_tokens);
    put_num(out, "temperature", r->temperature);
    put_num(out, "top_p", r->top_p);
    put_num(out, "presence_penalty", r->presence_penalty);
    put_num(out, "frequency_penalty", r->frequency_penalty);
    if (r->seed_set)
        put_int(out, "seed", r->seed);
    if (r->n_stops) {
        json_key(w, "stop");
        json_arr(w);
        for (size_t i = 0; i < r->n_stops; i++)
            json_put_str(w, r->stops[i]);
        json_arr_end(w);
    }
    if (r->n > 1)
        put_int(out, "n", r->n);
    const char *logprobs = r->logprobs >= 0 ? name_of(out, "logprobs") : NULL;
    if (logprobs)
        json_kv_bool(w, logprobs, r->logprobs > 0);
    if (r->top_logprobs >= 0)
        put_int(out, "top_logprobs", r->top_logprobs);
    const char *user = r->user.p ? name_of(out, "user") : NULL;
    if (user)
        json_kv_str(w, user, r->user);
}

// What llama-server and its kin know beyond OpenAI.
static void put_extras(struct openai_out *out) {
    const struct request *r = out->r;
    if (knows_extras(out->o)) {
        if (r->top_k >= 0)
            json_kv_int(&out->w, "top_k", r->top_k);
        put_num(out, "min_p", r->min_p);
        put_num(out, "repeat_penalty", r->repeat_penalty);
    } else {
        const char *reason = "this dialect has no such parameter";
        if (r->top_k >= 0)
            note(out, "dropped", "top_k", reason);
        if (num_set(r->min_p))
            note(out, "dropped", "min_p", reason);
        if (num_set(r->repeat_penalty))
            note(out, "dropped", "repeat_penalty", reason);
    }
    if (r->context >= 0)
        note(out, "dropped", "options.num_ctx", "the upstream decides how long its context is");
    if (r->keep_alive.p)
        note(out, "dropped", "keep_alive", "this dialect does not load models");
}

// ---- thinking

static void put_enable_thinking(struct openai_out *out, bool on) {
    json_key(&out->w, "chat_template_kwargs");
    json_obj(&out->w);
    json_kv_bool(&out->w, "enable_thinking", on);
    json_obj_end(&out->w);
}

static void put_effort(struct openai_out *out, enum think level) {
    static const char *const words[] = {
        [THINK_OFF] = "none", [THINK_ON] = "medium",     [THINK_MINIMAL] = "minimal",
        [THINK_LOW] = "low",  [THINK_MEDIUM] = "medium", [THINK_HIGH] = "high",
    };
    json_kv_cstr(&out->w, "reasoning_effort", words[level]);
}

static void put_thinking(struct openai_out *out) {
    enum think level = request_think_level(out->r);
    if (level == THINK_UNSET)
        return;
    if (out->r->think_budget >= 0)
        note(out, "approximated", "thinking.budget_tokens", "this dialect knows levels of effort, not budgets");
    if (knows_extras(out->o)) {
        if (level == THINK_OFF || level == THINK_ON)
            put_enable_thinking(out, level != THINK_OFF);
        else
            put_effort(out, level);
        return;
    }
    if (level == THINK_OFF && out->r->dialect != DIALECT_OPENAI) {
        note(out, "dropped", "thinking", "not every model of this dialect can switch it off");
        return;
    }
    put_effort(out, level);
}

// ---- stream

static void put_stream(struct openai_out *out) {
    const struct request *r = out->r;
    if (!will_stream(r, out->o))
        return;
    json_kv_bool(&out->w, "stream", true);
    if (out->o->quirks & QUIRK_NO_STREAM_OPTIONS || !(r->include_usage || out->o->want_usage))
        return;
    json_kv_raw(&out->w, "stream_options", SLICE("{\"include_usage\":true}"));
    out->wire->usage_added = !r->include_usage;
}

// The client's preferences among a provider's providers: what only they say (to keep no data, say) must not get lost where
// somebody could heed it.
static bool takes_preferences(struct openai_out *out) {
    if (out->o->quirks & QUIRK_PREFERENCES)
        return true;
    if (out->r->provider_prefs.p)
        note(out, "dropped", "provider", preferences_dropped);
    return false;
}

// ---- from the fields

static enum err write_fields(struct openai_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_str(w, "model", out->o->model.p ? out->o->model : r->model);
    json_key(w, "messages");
    openai_put_messages(out);
    put_tooling(out);
    put_format(out);
    put_sampling(out);
    put_extras(out);
    put_thinking(out);
    put_stream(out);
    if (r->dialect == DIALECT_OPENAI) {
        put_unmodelled(w, r);
        if (takes_preferences(out) && r->provider_prefs.p)
            json_kv_raw(w, "provider", r->provider_prefs);
    }
    json_obj_end(w);
    if (r->op == OP_GENERATE && r->suffix.n)
        note(out, "dropped", "suffix", "this dialect cannot fill in the middle");
    if (r->dialect != DIALECT_OPENAI)
        notes_unmodelled(out->a, &out->wire->notes, r);
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

// ---- from the source

#define EDITS_MAX 40 // ours, and two for each thing that an upstream lacks

struct edits {
    struct edit list[EDITS_MAX];
    size_t n;
    bool failed;
};

static void edit_set(struct edits *e, const char *name, struct slice value) {
    e->failed |= !value.p || e->n == EDITS_MAX;
    if (!e->failed)
        e->list[e->n++] = (struct edit){name, value};
}

static void edit_remove(struct edits *e, const char *name) {
    e->failed |= e->n == EDITS_MAX;
    if (!e->failed)
        e->list[e->n++] = (struct edit){name, SLICE_NONE};
}

static yyjson_val *root_of(const struct request *r) {
    return yyjson_doc_get_root(r->doc.doc);
}

static bool has_member(const struct request *r, const char *name) {
    return yyjson_obj_get(root_of(r), name) != NULL;
}

#define MAX_COMPLETION "max_completion_tokens"

static void edit_max_tokens(struct openai_out *out, struct edits *e) {
    const struct request *r = out->r;
    bool new_name = (out->o->quirks & QUIRK_MAX_COMPLETION_TOKENS) != 0, has_new = has_member(r, MAX_COMPLETION);
    bool old_only = lack_of(out->o, MAX_COMPLETION) != NULL;
    bool bounded = out->o->max_tokens >= 0 && out->o->max_tokens != r->max_tokens;
    bool renamed = (new_name && has_member(r, "max_tokens")) || (old_only && has_new);
    if (!bounded && !renamed)
        return;
    int64_t value = bounded ? out->o->max_tokens : r->max_tokens;
    new_name |= has_new && !old_only;
    if (new_name)
        edit_remove(e, "max_tokens");
    else if (has_new)
        edit_remove(e, MAX_COMPLETION);
    if (value >= 0)
        edit_set(e, new_name ? MAX_COMPLETION : "max_tokens", json_text_int(out->a, value));
    edit_remove(e, "n_predict"); // llama-server's own name would win over the bound
}

// The client's stream_options with include_usage set, the others kept.
static struct slice options_with_usage(struct openai_out *out) {
    struct buf b = BUF_INIT(LIMIT_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&b);
    struct slice text = SLICE_NONE;
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_obj_get(root_of(out->r), "stream_options"));
    json_obj(&w);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        if (yyjson_equals_str(key, "include_usage"))
            continue;
        json_key_slice(&w, json_str(key));
        json_put_raw(&w, json_member_src(&out->r->doc, key));
    }
    json_kv_bool(&w, "include_usage", true);
    json_obj_end(&w);
    return buf_into_arena(&b, out->a, &text) ? SLICE_NONE : text;
}

static void edit_stream(struct openai_out *out, struct edits *e) {
    const struct request *r = out->r;
    bool stream = will_stream(r, out->o);
    if (stream != r->stream)
        edit_set(e, "stream", stream ? SLICE("true") : SLICE("false"));
    bool unwanted = (out->o->quirks & QUIRK_NO_STREAM_OPTIONS) || (!stream && r->stream);
    if (unwanted && has_member(r, "stream_options"))
        edit_remove(e, "stream_options");
    if (unwanted || !stream || !out->o->want_usage || r->include_usage)
        return;
    edit_set(e, "stream_options", options_with_usage(out));
    out->wire->usage_added = true;
}

static void edit_strict(struct openai_out *out, struct edits *e) {
    bool strict = false;
    for (const struct tool *t = out->r->tools; t; t = t->next)
        strict |= t->strict >= 0;
    if (!strict || !(out->o->quirks & QUIRK_NO_STRICT) || !has_member(out->r, "tools"))
        return;
    struct buf b = BUF_INIT(LIMIT_BODY_BYTES);
    struct slice text = SLICE_NONE;
    out->w = JSON_WRITER(&b);
    openai_put_tools(out);
    if (buf_into_arena(&b, out->a, &text))
        text = SLICE_NONE;
    edit_set(e, "tools", text);
}

static void edit_lacks(struct openai_out *out, struct edits *e) {
    for (const char *const *l = out->o->lacks; l && *l; l++) {
        const char *other = other_name(*l);
        char *member = arena_cstr(out->a, slice_first(slice_str(*l), other ? (size_t)(other - *l) - 1 : SIZE_MAX));
        e->failed |= !member;
        if (!member || strcmp(member, MAX_COMPLETION) == 0 || !has_member(out->r, member))
            continue;
        edit_remove(e, member);
        if (other)
            edit_set(e, other, json_get_src(&out->r->doc, root_of(out->r), member));
        else
            note(out, "dropped", member, "this upstream refuses it");
    }
}

static void collect_edits(struct openai_out *out, struct edits *e) {
    const struct request *r = out->r;
    if (out->o->model.p && (!slice_eq(out->o->model, r->model) || !has_member(r, "model")))
        edit_set(e, "model", json_text_str(out->a, out->o->model));
    if (has_member(r, "models"))
        edit_remove(e, "models");
    if (!takes_preferences(out) && has_member(r, "provider"))
        edit_remove(e, "provider");
    if (r->op == OP_CHAT || r->op == OP_GENERATE) {
        edit_max_tokens(out, e);
        edit_stream(out, e);
    }
    edit_strict(out, e);
    edit_lacks(out, e);
}

// "developer" → "system", in place. NULL with *ret_n 0: none; with *ret_n > 0: no memory.
static struct patch *role_patches(struct openai_out *out, size_t *ret_n) {
    yyjson_val *list = yyjson_obj_get(root_of(out->r), "messages"), *v;
    size_t i, max, n = 0;
    for (const struct message *m = out->r->messages; m; m = m->next)
        n += m->developer;
    *ret_n = out->o->quirks & QUIRK_NO_DEVELOPER_ROLE ? n : 0;
    struct patch *patches = *ret_n ? arena_array(out->a, n, sizeof *patches) : NULL;
    if (!patches)
        return NULL;
    n = 0;
    yyjson_arr_foreach(list, i, max, v) {
        if (slice_is(json_get_str(v, "role"), "developer") && n < *ret_n)
            patches[n++] = (struct patch){json_get_src(&out->r->doc, v, "role"), SLICE("\"system\"")};
    }
    *ret_n = n;
    return patches;
}

static enum err write_spliced(struct openai_out *out) {
    struct edits edits = {.n = 0};
    size_t n_patches = 0;
    collect_edits(out, &edits);
    struct patch *patches = role_patches(out, &n_patches);
    if (edits.failed || (n_patches && !patches))
        return ERR_NO_MEMORY;
    out->wire->verbatim = true;
    return splice(out->a, &out->r->doc, edits.list, edits.n, patches, n_patches, &out->wire->body);
}

// Everything may be escaped to six times its size, but what is sent has to stay sendable.
#define WRITTEN_BYTES_MAX (2 * (size_t)LIMIT_BODY_BYTES)

// A client's /v1/completions, or what another's client wants without a template.
static bool is_completion(const struct request *r) {
    return r->op == OP_GENERATE && (r->dialect == DIALECT_OPENAI || r->raw);
}

static enum err write_completion(struct openai_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    struct request plain = *r;
    if (r->kin_only) // prompts that only the source had
        return ERR_UNSUPPORTED;
    plain.logprobs = -1;
    plain.top_logprobs = -1;
    out->r = &plain;
    json_obj(w);
    json_kv_str(w, "model", out->o->model.p ? out->o->model : r->model);
    json_kv_str(w, "prompt", r->prompt);
    if (r->suffix.p)
        json_kv_str(w, "suffix", r->suffix);
    put_sampling(out);
    put_extras(out);
    if (r->top_logprobs >= 0)
        json_kv_int(w, "logprobs", r->top_logprobs);
    put_stream(out);
    if (r->dialect == DIALECT_OPENAI)
        put_unmodelled(w, r);
    else
        notes_unmodelled(out->a, &out->wire->notes, r);
    json_obj_end(w);
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

static enum err write_from_fields(struct openai_out *out) {
    if (is_completion(out->r))
        return write_completion(out);
    if (out->r->op == OP_RERANK) // only this dialect has it
        return ERR_UNSUPPORTED;
    return out->r->op == OP_EMBED ? openai_put_embed(out) : write_fields(out);
}

static const char *path_of(const struct request *r) {
    return r->op == OP_EMBED    ? "/embeddings"
           : r->op == OP_RERANK ? "/rerank"
           : is_completion(r)   ? "/completions"
                                : "/chat/completions";
}

enum err openai_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem) {
    struct buf b = BUF_INIT(WRITTEN_BYTES_MAX);
    struct write_options own = *o;
    struct openai_out out = {.a = a, .r = r, .o = &own, .wire = ret, .w = JSON_WRITER(&b)};
    if (is_completion(r))
        own.quirks &= ~(unsigned)QUIRK_MAX_COMPLETION_TOKENS;
    *ret = (struct wire_request){.path = path_of(r)};
    notes_init(&ret->notes);
    if (r->op == OP_COUNT_TOKENS) {
        *problem = PROBLEM(ERR_UNSUPPORTED);
        problem->message = SLICE("this target cannot count tokens");
        return ERR_UNSUPPORTED;
    }
    enum err e = request_can_splice(r, DIALECT_OPENAI) ? write_spliced(&out) : write_from_fields(&out);
    if (e)
        buf_done(&b);
    if (e)
        *problem = PROBLEM(e);
    return e;
}
