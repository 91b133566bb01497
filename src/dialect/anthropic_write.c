// SPDX-License-Identifier: Apache-2.0
// A request → the Messages body for an upstream. When the client spoke this dialect and its bytes are still there, they are
// spliced and only model, bound and stream are touched. Otherwise the body is written from the fields, and whatever has no
// place leaves a note with its reason. The body belongs to the arena; nothing is sent from here.
#include "dialect/anthropic.h"
#include "base/limits.h"

#define MAX_TOKENS_OTHERWISE 4096
#define BUDGET_MIN 1024 // less is refused

void anthropic_say(struct anthropic_out *out, enum anthropic_said kind, const char *action, const char *path,
                   const char *reason) {
    if (out->said & kind)
        return;
    out->said |= kind;
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

static void note(struct anthropic_out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

static bool own(const struct anthropic_out *out) {
    return out->r->dialect == DIALECT_ANTHROPIC;
}

static bool will_stream(const struct anthropic_out *out) {
    return out->o->stream >= 0 ? out->o->stream > 0 : out->r->stream;
}

static bool counts_only(const struct anthropic_out *out) {
    return out->r->op == OP_COUNT_TOKENS;
}

// ---- tools

static void put_tool(struct anthropic_out *out, const struct tool *t) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_str(w, "name", t->name);
    if (t->description.p)
        json_kv_str(w, "description", t->description);
    json_kv_raw(w, "input_schema", t->schema.p ? t->schema : SLICE("{\"type\":\"object\",\"properties\":{}}"));
    if (t->strict >= 0 && own(out))
        json_kv_bool(w, "strict", t->strict > 0);
    else if (t->strict > 0)
        anthropic_say(out, SAID_TOOL, "dropped", "tools.strict", "it needs a beta of this dialect");
    if (t->cache_control.p)
        json_kv_raw(w, "cache_control", t->cache_control);
    json_obj_end(w);
}

static bool can_write(const struct anthropic_out *out, const struct tool *t) {
    return !t->opaque || (own(out) && t->src.p);
}

static bool any_tool(struct anthropic_out *out) {
    bool any = false;
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        any |= can_write(out, t);
        if (!can_write(out, t))
            anthropic_say(out, SAID_OPAQUE, "dropped", "tools", "a server tool of another dialect");
    }
    return any;
}

static void put_choice(struct anthropic_out *out) {
    static const char *const words[] = {[TOOL_CHOICE_UNSET] = "auto",
                                        [TOOL_CHOICE_AUTO] = "auto",
                                        [TOOL_CHOICE_NONE] = "none",
                                        [TOOL_CHOICE_REQUIRED] = "any",
                                        [TOOL_CHOICE_NAMED] = "tool"};
    const struct request *r = out->r;
    if (r->tool_choice == TOOL_CHOICE_UNSET && r->parallel_tools != 0)
        return;
    json_key(&out->w, "tool_choice");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", words[r->tool_choice]);
    if (r->tool_choice == TOOL_CHOICE_NAMED)
        json_kv_str(&out->w, "name", r->tool_choice_name);
    if (r->parallel_tools >= 0 && r->tool_choice != TOOL_CHOICE_NONE)
        json_kv_bool(&out->w, "disable_parallel_tool_use", r->parallel_tools == 0);
    json_obj_end(&out->w);
}

static void put_tooling(struct anthropic_out *out) {
    if (!any_tool(out))
        return;
    json_key(&out->w, "tools");
    json_arr(&out->w);
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        if (t->opaque && can_write(out, t))
            json_put_raw(&out->w, t->src);
        else if (!t->opaque)
            put_tool(out, t);
    }
    json_arr_end(&out->w);
    put_choice(out);
}

// ---- thinking

// The last turn called tools and holds no signed thinking: with thinking on, the upstream would refuse it.
static bool thinking_is_lost(const struct request *r) {
    bool lost = false;
    for (const struct message *m = r->messages; m; m = m->next) {
        bool called = false, signed_ = false;
        if (m->role == ROLE_USER && m->parts && m->parts->kind != PART_TOOL_RESULT)
            lost = false;
        if (m->role != ROLE_ASSISTANT)
            continue;
        for (const struct part *p = m->parts; p; p = p->next) {
            called |= p->kind == PART_TOOL_CALL;
            signed_ |= p->kind == PART_THINK && (p->redacted || p->signature.n);
        }
        lost = called && !signed_;
    }
    return lost;
}

// The budget to write; -1: none, with a note if one was asked for.
static int64_t budget_of(struct anthropic_out *out, int64_t max_tokens) {
    const struct request *r = out->r;
    int64_t budget = r->think_budget > 0 ? r->think_budget : budget_of_think(r->think);
    const char *reason = NULL;
    if (r->think == THINK_OFF || budget <= 0)
        return -1;
    if (budget < BUDGET_MIN)
        budget = BUDGET_MIN;
    if (!counts_only(out) && budget >= max_tokens)
        reason = "its budget has no room below max_tokens";
    else if (!own(out) && (r->tool_choice == TOOL_CHOICE_REQUIRED || r->tool_choice == TOOL_CHOICE_NAMED))
        reason = "this dialect does not think when a tool is forced";
    else if (!own(out) && thinking_is_lost(r))
        reason = "the last turn's thinking, which this dialect needs back, is not there";
    if (!reason)
        return budget;
    note(out, "dropped", "thinking", reason);
    return -1;
}

// An Anthropic client's "adaptive", with its effort.
static bool put_adaptive(struct anthropic_out *out) {
    static const char *const words[] = {[THINK_LOW] = "low", [THINK_MEDIUM] = "medium", [THINK_HIGH] = "high"};
    enum think level = out->r->think;
    bool has_effort = level == THINK_LOW || level == THINK_MEDIUM || level == THINK_HIGH;
    if (!own(out) || out->r->think_budget >= 0 || !(level == THINK_ON || has_effort))
        return false;
    json_kv_raw(&out->w, "thinking", SLICE("{\"type\":\"adaptive\"}"));
    if (!has_effort)
        return true;
    json_key(&out->w, "output_config");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "effort", words[level]);
    json_obj_end(&out->w);
    return true;
}

// Gives back whether the upstream will think.
static bool put_thinking(struct anthropic_out *out, int64_t max_tokens) {
    if (put_adaptive(out))
        return true;
    if (out->r->think == THINK_OFF)
        json_kv_raw(&out->w, "thinking", SLICE("{\"type\":\"disabled\"}"));
    int64_t budget = budget_of(out, max_tokens);
    if (budget < 0)
        return false;
    json_key(&out->w, "thinking");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "enabled");
    json_kv_int(&out->w, "budget_tokens", budget);
    json_obj_end(&out->w);
    return true;
}

// ---- the form of the answer

static void put_format(struct anthropic_out *out) {
    const struct request *r = out->r;
    if (r->format == FORMAT_JSON || (r->format == FORMAT_SCHEMA && !r->format_schema.p))
        note(out, "dropped", "response_format", "this dialect knows JSON with a schema only");
    if (r->format != FORMAT_SCHEMA || !r->format_schema.p)
        return;
    json_key(&out->w, "output_format");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "json_schema");
    json_kv_raw(&out->w, "schema", r->format_schema);
    json_obj_end(&out->w);
    out->wire->headers[out->wire->n_headers++] =
        (struct header_pair){"anthropic-beta", SLICE("structured-outputs-2025-11-13")};
}

// ---- numbers

static int64_t max_tokens_of(struct anthropic_out *out) {
    int64_t asked = out->o->max_tokens >= 0 ? out->o->max_tokens : out->r->max_tokens;
    if (asked >= 0 || counts_only(out))
        return asked;
    note(out, "added", "max_tokens", "this dialect requires it");
    return out->o->default_max_tokens > 0 ? out->o->default_max_tokens : MAX_TOKENS_OTHERWISE;
}

static void put_temperature(struct anthropic_out *out, bool thinks) {
    double t = out->r->temperature;
    if (!num_set(t))
        return;
    if (thinks && !own(out)) {
        note(out, "dropped", "temperature", "this dialect does not take it while thinking");
        return;
    }
    if (t > 1)
        note(out, "approximated", "temperature", "this dialect ends at 1");
    json_kv_num(&out->w, "temperature", t > 1 ? 1 : t);
}

static void put_stops(struct anthropic_out *out) {
    bool any = false;
    for (size_t i = 0; i < out->r->n_stops; i++) {
        if (!slice_trim(out->r->stops[i]).n) {
            anthropic_say(out, SAID_STOP, "dropped", "stop", "this dialect refuses white space to stop at");
            continue;
        }
        if (!any) {
            json_key(&out->w, "stop_sequences");
            json_arr(&out->w);
        }
        any = true;
        json_put_str(&out->w, out->r->stops[i]);
    }
    if (any)
        json_arr_end(&out->w);
}

static void put_sampling(struct anthropic_out *out, bool thinks) {
    const struct request *r = out->r;
    put_temperature(out, thinks);
    if (num_set(r->top_p))
        json_kv_num(&out->w, "top_p", r->top_p);
    if (r->top_k >= 0 && thinks && !own(out))
        note(out, "dropped", "top_k", "this dialect does not take it while thinking");
    else if (r->top_k >= 0)
        json_kv_int(&out->w, "top_k", r->top_k);
    put_stops(out);
    if (r->user.p) {
        json_key(&out->w, "metadata");
        json_obj(&out->w);
        json_kv_str(&out->w, "user_id", r->user);
        json_obj_end(&out->w);
    }
    if (will_stream(out))
        json_kv_bool(&out->w, "stream", true);
}

static void note_unknown(struct anthropic_out *out) {
    const struct request *r = out->r;
    const struct {
        bool set;
        const char *path;
    } rows[] = {
        {r->n > 1, "n"},
        {r->logprobs > 0, "logprobs"},
        {r->top_logprobs >= 0, "top_logprobs"},
        {r->seed_set, "seed"},
        {num_set(r->min_p), "min_p"},
        {num_set(r->presence_penalty), "presence_penalty"},
        {num_set(r->frequency_penalty), "frequency_penalty"},
        {num_set(r->repeat_penalty), "repeat_penalty"},
        {r->context >= 0, "options.num_ctx"},
        {r->keep_alive.p != NULL, "keep_alive"},
        {r->suffix.n > 0, "suffix"},
        {r->raw, "raw"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].set)
            note(out, "dropped", rows[i].path, "this dialect has no such parameter");
}

// ---- the whole

static enum err write_fields(struct anthropic_out *out) {
    struct json_writer *w = &out->w;
    int64_t max_tokens = max_tokens_of(out);
    json_obj(w);
    json_kv_str(w, "model", out->o->model.p ? out->o->model : out->r->model);
    if (!counts_only(out))
        json_kv_int(w, "max_tokens", max_tokens);
    anthropic_put_system(out);
    anthropic_put_messages(out);
    put_tooling(out);
    put_format(out);
    bool thinks = put_thinking(out, max_tokens);
    if (!counts_only(out))
        put_sampling(out, thinks);
    json_obj_end(w);
    note_unknown(out);
    notes_unmodelled(out->a, &out->wire->notes, out->r);
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

static enum err write_spliced(struct anthropic_out *out) {
    const struct request *r = out->r;
    const struct write_options *o = out->o;
    struct edit edits[3];
    size_t n = 0;
    if (o->model.p && !slice_eq(o->model, r->model))
        edits[n++] = (struct edit){"model", json_text_str(out->a, o->model)};
    if (!counts_only(out) && o->max_tokens >= 0 && o->max_tokens != r->max_tokens)
        edits[n++] = (struct edit){"max_tokens", json_text_int(out->a, o->max_tokens)};
    if (!counts_only(out) && will_stream(out) != r->stream)
        edits[n++] = (struct edit){"stream", will_stream(out) ? SLICE("true") : SLICE("false")};
    for (size_t i = 0; i < n; i++)
        if (!edits[i].value.p)
            return ERR_NO_MEMORY;
    out->wire->verbatim = true;
    return splice(out->a, &r->doc, edits, n, NULL, 0, &out->wire->body);
}

// Everything may be escaped to more than its size, but what is sent has to stay sendable.
#define WRITTEN_BYTES_MAX (2 * (size_t)LIMIT_BODY_BYTES)

enum err anthropic_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                 struct wire_request *ret, struct problem *problem) {
    struct buf b = BUF_INIT(WRITTEN_BYTES_MAX);
    struct anthropic_out out = {.a = a, .r = r, .o = o, .wire = ret, .w = JSON_WRITER(&b)};
    *ret = (struct wire_request){.path = counts_only(&out) ? "/v1/messages/count_tokens" : "/v1/messages"};
    notes_init(&ret->notes);
    ret->headers[ret->n_headers++] = (struct header_pair){"anthropic-version", SLICE("2023-06-01")};
    enum err e = own(&out) && r->doc.src.p ? write_spliced(&out) : write_fields(&out);
    if (e)
        *problem = PROBLEM(e);
    return e;
}
