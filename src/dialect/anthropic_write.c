// SPDX-License-Identifier: Apache-2.0
// A request → the body for an upstream that speaks Anthropic messages. A request of this dialect goes as the client's own
// bytes with only model, max_tokens and stream changed where they must be, equal byte for byte where not. Any other is
// written from its fields, with a note for each that has no place here: Anthropic knows one answer, no seed, no
// penalties, no log probabilities; it wants max_tokens, and thinking as a budget below that. All memory is the arena's.
#include "dialect/anthropic.h"
#include "base/limits.h"
#include "dialect/carry.h"

#define DEFAULT_MAX_TOKENS 4096
#define LEAST_BUDGET 1024 // what Anthropic accepts
#define BODY_MAX (2 * (size_t)LIMIT_BODY_BYTES)

static bool will_stream(const struct request *r, const struct write_options *o) {
    return o->stream >= 0 ? o->stream > 0 : r->stream;
}

// ---- thinking and max_tokens, which bound each other

struct thinking {
    int64_t max_tokens;
    int64_t budget; // -1: no thinking by budget
};

// A turn that goes on after a tool must begin with its signed thinking; without one Anthropic refuses thinking at all.
static bool turn_lacks_thinking(const struct request *r) {
    bool called = false, signed_thought = false;
    for (const struct message *m = r->messages; m; m = m->next) {
        if (m->role != ROLE_ASSISTANT)
            continue;
        called = signed_thought = false;
        for (const struct part *p = m->parts; p; p = p->next) {
            called |= p->kind == PART_TOOL_CALL;
            signed_thought |=
                p->kind == PART_THINK && (p->signature.n || p->redacted) && carry_made_by(r, p, DIALECT_ANTHROPIC);
        }
    }
    return called && !signed_thought;
}

static const char *no_thinking_reason(const struct request *r) {
    if (r->tool_choice == TOOL_CHOICE_REQUIRED || r->tool_choice == TOOL_CHOICE_NAMED)
        return "this dialect does not think when a tool is forced";
    if (turn_lacks_thinking(r))
        return "the conversation's tool calls have no signed thinking";
    return NULL;
}

static int64_t max_tokens_of(struct anthropic_out *out) {
    if (out->o->max_tokens >= 0)
        return out->o->max_tokens;
    if (out->r->max_tokens >= 0)
        return out->r->max_tokens;
    anthropic_note(out, "added", "max_tokens", "this dialect requires it");
    return out->o->default_max_tokens > 0 ? out->o->default_max_tokens : DEFAULT_MAX_TOKENS;
}

// The budget must stay below max_tokens: that is raised, or where it is a bound, the budget is cut.
static void fit_budget(struct anthropic_out *out, struct thinking *t) {
    if (t->budget < LEAST_BUDGET)
        t->budget = LEAST_BUDGET;
    if (t->budget < t->max_tokens)
        return;
    if (out->o->max_tokens < 0) {
        t->max_tokens += t->budget;
        anthropic_note(out, "approximated", "max_tokens", "raised by the thinking budget, which counts into it");
    } else if (t->max_tokens / 2 >= LEAST_BUDGET) {
        t->budget = t->max_tokens / 2;
        anthropic_note(out, "approximated", "reasoning_effort", "the thinking budget was cut to fit max_tokens");
    } else {
        t->budget = -1;
        anthropic_note(out, "dropped", "reasoning_effort", "max_tokens leaves no room for thinking");
    }
}

static struct thinking plan_thinking(struct anthropic_out *out) {
    const struct request *r = out->r;
    struct thinking t = {max_tokens_of(out), -1};
    if (!out->foreign) {
        t.budget = r->think == THINK_ON ? r->think_budget : -1;
        if (t.budget >= t.max_tokens && out->o->max_tokens >= 0)
            fit_budget(out, &t);
        return t;
    }
    enum think level = request_think_level(r);
    if (level == THINK_UNSET || level == THINK_OFF)
        return t;
    const char *reason = no_thinking_reason(r);
    if (reason) {
        anthropic_note(out, "dropped", "reasoning_effort", reason);
        return t;
    }
    t.budget = r->think_budget > 0 ? r->think_budget : budget_of_think(level);
    if (r->think_budget <= 0)
        anthropic_note(out, "approximated", "reasoning_effort", "this dialect takes a budget of tokens");
    fit_budget(out, &t);
    return t;
}

static void put_thinking(struct anthropic_out *out, const struct thinking *t) {
    struct json_writer *w = &out->w;
    bool adaptive = !out->foreign && t->budget < 0 && out->r->think != THINK_UNSET && out->r->think != THINK_OFF;
    bool off = out->r->think == THINK_OFF && !out->foreign;
    if (t->budget < 0 && !adaptive && !off)
        return;
    json_key(w, "thinking");
    json_obj(w);
    json_kv_cstr(w, "type", off ? "disabled" : adaptive ? "adaptive" : "enabled");
    if (t->budget >= 0)
        json_kv_int(w, "budget_tokens", t->budget);
    json_obj_end(w);
}

// ---- the form of the answer

static const char *effort_text(const struct anthropic_out *out) {
    if (out->foreign)
        return NULL; // it became a budget
    if (out->r->think == THINK_LOW)
        return "low";
    if (out->r->think == THINK_MEDIUM)
        return "medium";
    return out->r->think == THINK_HIGH ? "high" : NULL;
}

static void put_output_config(struct anthropic_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    const char *effort = effort_text(out);
    bool schema = r->format == FORMAT_SCHEMA && r->format_schema.p;
    if (r->format == FORMAT_JSON || (r->format == FORMAT_SCHEMA && !schema))
        anthropic_note(out, "dropped", "response_format", "this dialect takes JSON by schema only");
    if (!effort && !schema)
        return;
    json_key(w, "output_config");
    json_obj(w);
    if (effort)
        json_kv_cstr(w, "effort", effort);
    if (schema) {
        json_key(w, "format");
        json_obj(w);
        json_kv_cstr(w, "type", "json_schema");
        json_kv_raw(w, "schema", r->format_schema);
        json_obj_end(w);
    }
    json_obj_end(w);
}

// ---- tools

static bool has_tools(const struct anthropic_out *out) {
    for (const struct tool *t = out->r->tools; t; t = t->next)
        if (!t->opaque || (!out->foreign && t->src.p))
            return true;
    return false;
}

static void put_tool_choice(struct anthropic_out *out) {
    static const char *const words[] = {
        [TOOL_CHOICE_UNSET] = "auto",   [TOOL_CHOICE_AUTO] = "auto",  [TOOL_CHOICE_NONE] = "none",
        [TOOL_CHOICE_REQUIRED] = "any", [TOOL_CHOICE_NAMED] = "tool",
    };
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    if (r->tool_choice == TOOL_CHOICE_UNSET && (r->parallel_tools < 0 || (out->foreign && r->parallel_tools > 0)))
        return;
    if (out->foreign && !has_tools(out)) {
        if (r->tool_choice != TOOL_CHOICE_UNSET && r->tool_choice != TOOL_CHOICE_NONE)
            anthropic_note(out, "dropped", "tool_choice", "no tool is left to choose");
        return;
    }
    json_key(w, "tool_choice");
    json_obj(w);
    json_kv_cstr(w, "type", words[r->tool_choice]);
    if (r->tool_choice == TOOL_CHOICE_NAMED)
        json_kv_str(w, "name", r->tool_choice_name);
    if (r->parallel_tools >= 0 && (!out->foreign || (!r->parallel_tools && r->tool_choice != TOOL_CHOICE_NONE)))
        json_kv_bool(w, "disable_parallel_tool_use", !r->parallel_tools);
    json_obj_end(w);
}

// ---- sampling

static bool blank(struct slice s) {
    return slice_trim(s).n == 0;
}

static void put_stops(struct anthropic_out *out) {
    const struct request *r = out->r;
    bool open = false;
    for (size_t i = 0; i < r->n_stops; i++) {
        if (out->foreign && blank(r->stops[i])) {
            anthropic_say(out, SAID_STOP, "dropped", "stop", "blank stop sequences are refused by this dialect");
            continue;
        }
        if (!open) {
            json_key(&out->w, "stop_sequences");
            json_arr(&out->w);
            open = true;
        }
        json_put_str(&out->w, r->stops[i]);
    }
    if (open)
        json_arr_end(&out->w);
}

static void put_temperature(struct anthropic_out *out, bool thinks) {
    double t = out->r->temperature;
    if (!num_set(t))
        return;
    if (thinks && out->foreign && (t < 1 || t > 1)) {
        anthropic_note(out, "dropped", "temperature", "this dialect fixes it while it thinks");
        return;
    }
    if (t > 1 && out->foreign)
        anthropic_note(out, "approximated", "temperature", "this dialect's range ends at 1");
    json_kv_num(&out->w, "temperature", t > 1 && out->foreign ? 1 : t);
}

static void put_sampling(struct anthropic_out *out, bool thinks) {
    const struct request *r = out->r;
    put_temperature(out, thinks);
    if (num_set(r->top_p) && out->foreign && (num_set(r->temperature) || (thinks && r->top_p < 0.95)))
        anthropic_note(out, "dropped", "top_p", "newer models take temperature or top_p, and neither while thinking");
    else if (num_set(r->top_p))
        json_kv_num(&out->w, "top_p", r->top_p);
    if (r->top_k >= 0 && out->foreign && (thinks || !r->top_k))
        anthropic_note(out, "dropped", "top_k", "this dialect takes it above 0, and not while it thinks");
    else if (r->top_k >= 0)
        json_kv_int(&out->w, "top_k", r->top_k);
    put_stops(out);
}

static void note_dropped(struct anthropic_out *out) {
    const struct request *r = out->r;
    const char *reason = "this dialect has no such parameter";
    if (r->n > 1)
        anthropic_note(out, "dropped", "n", "this dialect gives one answer");
    if (r->logprobs > 0 || r->top_logprobs > 0)
        anthropic_note(out, "dropped", "logprobs", "this dialect gives no log probabilities");
    if (r->seed_set)
        anthropic_note(out, "dropped", "seed", reason);
    if (num_set(r->min_p))
        anthropic_note(out, "dropped", "min_p", reason);
    if (num_set(r->presence_penalty))
        anthropic_note(out, "dropped", "presence_penalty", reason);
    if (num_set(r->frequency_penalty))
        anthropic_note(out, "dropped", "frequency_penalty", reason);
    if (num_set(r->repeat_penalty))
        anthropic_note(out, "dropped", "repeat_penalty", reason);
    if (r->context >= 0)
        anthropic_note(out, "dropped", "options.num_ctx", "the upstream decides how long its context is");
    if (r->keep_alive.p)
        anthropic_note(out, "dropped", "keep_alive", "this dialect does not load models");
    if (r->op == OP_GENERATE && r->raw)
        anthropic_note(out, "approximated", "raw", "this dialect always applies the model's chat template");
    if (r->op == OP_GENERATE && r->suffix.n)
        anthropic_note(out, "dropped", "suffix", "this dialect cannot fill in the middle");
    notes_unmodelled(out->a, &out->wire->notes, r);
}

static void put_user(struct anthropic_out *out) {
    if (!out->r->user.p)
        return;
    json_key(&out->w, "metadata");
    json_obj(&out->w);
    json_kv_str(&out->w, "user_id", out->r->user);
    json_obj_end(&out->w);
}

// ---- from the fields

static void put_chat_fields(struct anthropic_out *out, const struct thinking *t) {
    json_kv_int(&out->w, "max_tokens", t->max_tokens);
    put_sampling(out, t->budget >= 0);
    put_user(out);
    if (will_stream(out->r, out->o))
        json_kv_bool(&out->w, "stream", true);
}

static enum err write_fields(struct anthropic_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    bool counts = r->op == OP_COUNT_TOKENS;
    struct thinking t =
        counts ? (struct thinking){r->max_tokens, r->think == THINK_ON ? r->think_budget : -1} : plan_thinking(out);
    json_obj(w);
    json_kv_str(w, "model", out->o->model.p ? out->o->model : r->model);
    if (!counts)
        put_chat_fields(out, &t);
    anthropic_put_messages(out);
    anthropic_put_tools(out);
    put_tool_choice(out);
    put_thinking(out, &t);
    put_output_config(out);
    if (!out->foreign)
        put_unmodelled(w, r);
    json_obj_end(w);
    if (out->foreign)
        note_dropped(out);
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

// ---- from the source

#define EDITS_MAX 4

struct edits {
    struct edit list[EDITS_MAX];
    size_t n;
    bool failed;
};

static void edit_set(struct edits *e, const char *name, struct slice value) {
    e->failed |= !value.p;
    e->list[e->n++] = (struct edit){name, value};
}

// A bound below the client's own max_tokens must also hold the thinking budget below itself.
static void edit_max_tokens(struct anthropic_out *out, struct edits *e) {
    const struct request *r = out->r;
    if (out->o->max_tokens < 0 || out->o->max_tokens == r->max_tokens)
        return;
    edit_set(e, "max_tokens", json_text_int(out->a, out->o->max_tokens));
    struct thinking t = {out->o->max_tokens, r->think_budget};
    if (t.budget < t.max_tokens)
        return;
    fit_budget(out, &t);
    const char *on = arena_printf(out->a, "{\"type\":\"enabled\",\"budget_tokens\":%lld}", (long long)t.budget);
    edit_set(e, "thinking", t.budget < 0 ? SLICE("{\"type\":\"disabled\"}") : slice_str(on));
}

static enum err write_source(struct anthropic_out *out) {
    const struct request *r = out->r;
    struct edits e = {.n = 0};
    if (out->o->model.p && !slice_eq(out->o->model, r->model))
        edit_set(&e, "model", json_text_str(out->a, out->o->model));
    if (r->op == OP_CHAT) {
        edit_max_tokens(out, &e);
        if (will_stream(r, out->o) != r->stream)
            edit_set(&e, "stream", r->stream ? SLICE("false") : SLICE("true"));
    }
    if (e.failed)
        return ERR_NO_MEMORY;
    out->wire->verbatim = true;
    return splice(out->a, &r->doc, e.list, e.n, NULL, 0, &out->wire->body);
}

enum err anthropic_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                                 struct wire_request *ret, struct problem *problem) {
    struct buf b = BUF_INIT(BODY_MAX);
    *ret = (struct wire_request){.path = r->op == OP_COUNT_TOKENS ? "/v1/messages/count_tokens" : "/v1/messages"};
    notes_init(&ret->notes);
    ret->headers[0] = (struct header_pair){"anthropic-version", SLICE(ANTHROPIC_VERSION)};
    ret->n_headers = 1;
    struct anthropic_out out = {
        .a = a, .r = r, .o = o, .wire = ret, .w = JSON_WRITER(&b), .foreign = r->dialect != DIALECT_ANTHROPIC};
    enum err e = request_can_splice(r, DIALECT_ANTHROPIC) ? write_source(&out) : write_fields(&out);
    buf_done(&b);
    if (e)
        *problem = PROBLEM(e);
    return e;
}
