// SPDX-License-Identifier: Apache-2.0
// A request → the body for an upstream that speaks OpenAI responses. A client's own bytes go through with only the model,
// the bound, stream and store changed: store is always false, since the upstream must not keep what was sent through here.
// Any other request is written from its fields, and whatever has no place leaves a note with its reason. Reasoning comes
// back encrypted where the request thinks, so that the next turn can go on with it. The body belongs to the arena.
#include "dialect/responses.h"
#include "base/limits.h"

#define BODY_MAX (2 * (size_t)LIMIT_BODY_BYTES)

static bool will_stream(const struct request *r, const struct write_options *o) {
    return o->stream >= 0 ? o->stream > 0 : r->stream;
}

static void note(struct responses_out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

void responses_say(struct responses_out *out, enum responses_said kind, const char *action, const char *path,
                   const char *reason) {
    if (!(out->said & kind))
        note(out, action, path, reason);
    out->said |= kind;
}

// ---- tools

static void put_function(struct responses_out *out, const struct tool *t) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_cstr(w, "type", "function");
    json_kv_str(w, "name", t->name);
    if (t->description.p)
        json_kv_str(w, "description", t->description);
    json_kv_raw(w, "parameters", t->schema); // required there, null too
    // Without a word this dialect means strict, the others don't.
    if (!(out->o->quirks & QUIRK_NO_STRICT) && (t->strict >= 0 || out->foreign))
        json_kv_bool(w, "strict", t->strict > 0);
    else if (!(out->o->quirks & QUIRK_NO_STRICT))
        json_kv_null(w, "strict");
    json_obj_end(w);
    if (t->cache_control.p)
        responses_say(out, RESP_SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
}

static bool can_write_tool(const struct responses_out *out, const struct tool *t) {
    return !t->opaque || (!out->foreign && t->src.p);
}

static bool has_tools(struct responses_out *out) {
    bool any = false;
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        any |= can_write_tool(out, t);
        if (!can_write_tool(out, t))
            responses_say(out, RESP_SAID_TOOL, "dropped", "tools", "a server tool of another dialect");
    }
    return any;
}

static void put_choice(struct responses_out *out) {
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
    json_kv_str(w, "name", r->tool_choice_name);
    json_obj_end(w);
}

static void put_tooling(struct responses_out *out) {
    bool any = has_tools(out);
    if (any) {
        json_key(&out->w, "tools");
        json_arr(&out->w);
        for (const struct tool *t = out->r->tools; t; t = t->next) {
            if (!t->opaque)
                put_function(out, t);
            else if (can_write_tool(out, t))
                json_put_raw(&out->w, t->src);
        }
        json_arr_end(&out->w);
    }
    if (any || !out->foreign)
        put_choice(out);
    if (out->r->parallel_tools >= 0 && (any || !out->foreign))
        json_kv_bool(&out->w, "parallel_tool_calls", out->r->parallel_tools > 0);
}

// ---- the form of the answer

static void put_format(struct responses_out *out) {
    static const char *const words[] = {
        [FORMAT_TEXT] = "text", [FORMAT_JSON] = "json_object", [FORMAT_SCHEMA] = "json_schema"};
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    enum format_kind format = r->format == FORMAT_SCHEMA && !r->format_schema.p ? FORMAT_JSON : r->format;
    if (format == FORMAT_UNSET)
        return;
    json_key(w, "text");
    json_obj(w);
    json_key(w, "format");
    json_obj(w);
    json_kv_cstr(w, "type", words[format]);
    if (format == FORMAT_SCHEMA) {
        json_kv_str(w, "name", r->format_name.n ? r->format_name : SLICE("answer")); // required there
        json_kv_raw(w, "schema", r->format_schema);
        if (r->format_strict >= 0 || out->foreign)
            json_kv_bool(w, "strict", r->format_strict > 0);
    }
    json_obj_end(w);
    json_obj_end(w);
}

// ---- thinking

static bool thinks(const struct request *r) {
    enum think level = request_think_level(r);
    return level != THINK_UNSET && level != THINK_OFF;
}

static void put_reasoning(struct responses_out *out) {
    static const char *const words[] = {
        [THINK_OFF] = "none", [THINK_ON] = "medium",     [THINK_MINIMAL] = "minimal",
        [THINK_LOW] = "low",  [THINK_MEDIUM] = "medium", [THINK_HIGH] = "high",
    };
    const struct request *r = out->r;
    enum think level = request_think_level(r);
    bool shown = r->think_shown > 0 || (out->foreign && thinks(r) && r->think_shown != 0);
    if (r->think_budget >= 0)
        note(out, "approximated", "thinking.budget_tokens", "this dialect knows levels of effort, not budgets");
    if (level == THINK_OFF && out->foreign) {
        note(out, "dropped", "thinking", "not every model of this dialect can switch it off");
        level = THINK_UNSET;
    }
    if (level == THINK_UNSET && !shown)
        return;
    json_key(&out->w, "reasoning");
    json_obj(&out->w);
    if (level != THINK_UNSET)
        json_kv_cstr(&out->w, "effort", words[level]);
    if (shown)
        json_kv_cstr(&out->w, "summary", "auto");
    json_obj_end(&out->w);
}

// What the client wants to hear beside the text; with the source as it said it.
static void put_include(struct responses_out *out) {
    const struct request *r = out->r;
    struct slice own =
        !out->foreign && r->doc.src.p ? json_get_src(&r->doc, yyjson_doc_get_root(r->doc.doc), "include") : SLICE_NONE;
    if (own.p) {
        json_kv_raw(&out->w, "include", own);
        return;
    }
    bool logprobs = r->logprobs > 0;
    if (!logprobs && !thinks(r))
        return;
    json_key(&out->w, "include");
    json_arr(&out->w);
    if (thinks(r))
        json_put_cstr(&out->w, "reasoning.encrypted_content");
    if (logprobs)
        json_put_cstr(&out->w, "message.output_text.logprobs");
    json_arr_end(&out->w);
}

// ---- numbers

static void put_sampling(struct responses_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    int64_t max_tokens = out->o->max_tokens >= 0 ? out->o->max_tokens : r->max_tokens;
    if (max_tokens >= 0)
        json_kv_int(w, "max_output_tokens", max_tokens);
    if (num_set(r->temperature))
        json_kv_num(w, "temperature", r->temperature);
    if (num_set(r->top_p))
        json_kv_num(w, "top_p", r->top_p);
    if (r->top_logprobs >= 0)
        json_kv_int(w, "top_logprobs", r->top_logprobs);
    if (r->user.p)
        json_kv_str(w, "user", r->user);
}

static void note_dropped(struct responses_out *out) {
    const struct request *r = out->r;
    const struct {
        bool given;
        const char *path;
    } rows[] = {
        {r->n_stops > 0, "stop"},
        {r->seed_set, "seed"},
        {r->n > 1, "n"},
        {r->top_k >= 0, "top_k"},
        {num_set(r->min_p), "min_p"},
        {num_set(r->presence_penalty), "presence_penalty"},
        {num_set(r->frequency_penalty), "frequency_penalty"},
        {num_set(r->repeat_penalty), "repeat_penalty"},
        {r->context >= 0, "options.num_ctx"},
        {r->keep_alive.p != NULL, "keep_alive"},
        {r->op == OP_GENERATE && r->raw, "raw"},
        {r->op == OP_GENERATE && r->suffix.n, "suffix"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].given)
            note(out, "dropped", rows[i].path, "this dialect has no such parameter");
    notes_unmodelled(out->a, &out->wire->notes, r);
}

// ---- from the fields

static void put_chat_fields(struct responses_out *out) {
    put_include(out);
    put_sampling(out);
    json_kv_bool(&out->w, "store", false);
    if (will_stream(out->r, out->o))
        json_kv_bool(&out->w, "stream", true);
}

static enum err write_fields(struct responses_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_str(w, "model", out->o->model.p ? out->o->model : r->model);
    responses_put_input(out);
    put_tooling(out);
    put_format(out);
    put_reasoning(out);
    if (r->op != OP_COUNT_TOKENS)
        put_chat_fields(out);
    if (!out->foreign)
        put_unmodelled(w, r);
    json_obj_end(w);
    if (out->foreign)
        note_dropped(out);
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

// ---- from the source

static enum err write_source(struct responses_out *out) {
    const struct request *r = out->r;
    yyjson_val *root = yyjson_doc_get_root(r->doc.doc);
    bool chat = r->op != OP_COUNT_TOKENS, stream = will_stream(r, out->o);
    struct edit edits[4];
    size_t n = 0;
    if (out->o->model.p && !slice_eq(out->o->model, r->model))
        edits[n++] = (struct edit){"model", json_text_str(out->a, out->o->model)};
    if (chat && out->o->max_tokens >= 0 && out->o->max_tokens != r->max_tokens)
        edits[n++] = (struct edit){"max_output_tokens", json_text_int(out->a, out->o->max_tokens)};
    if (chat && stream != r->stream)
        edits[n++] = (struct edit){"stream", stream ? SLICE("true") : SLICE("false")};
    if (chat && !yyjson_is_false(yyjson_obj_get(root, "store")))
        edits[n++] = (struct edit){"store", SLICE("false")};
    for (size_t i = 0; i < n; i++)
        if (!edits[i].value.p)
            return ERR_NO_MEMORY;
    out->wire->verbatim = true;
    return splice(out->a, &r->doc, edits, n, NULL, 0, &out->wire->body);
}

enum err responses_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                 struct wire_request *ret, struct problem *problem) {
    struct buf b = BUF_INIT(BODY_MAX);
    *ret = (struct wire_request){.path = r->op == OP_COUNT_TOKENS ? "/responses/input_tokens" : "/responses"};
    notes_init(&ret->notes);
    struct responses_out out = {
        .a = a, .r = r, .o = o, .wire = ret, .w = JSON_WRITER(&b), .foreign = r->dialect != DIALECT_RESPONSES};
    if (!out.foreign && r->store)
        note(&out, "approximated", "store", "answers are not kept: send back what the next turn needs");
    enum err e = request_can_splice(r, DIALECT_RESPONSES) ? write_source(&out) : write_fields(&out);
    buf_done(&b);
    if (e)
        *problem = PROBLEM(e);
    return e;
}
