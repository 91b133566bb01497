// SPDX-License-Identifier: Apache-2.0
// A request → the body for an Ollama upstream. Same dialect: the source with only the model's name, the bound and the
// stream flag as they must be. Otherwise from the fields, each thing without a place leaving a note, once a kind.
// Arguments of calls stand as objects there, and each result is a message of its own. All memory is the arena's.
#include "dialect/ollama.h"
#include "base/limits.h"

#define BODY_MAX (2 * (size_t)LIMIT_BODY_BYTES)

enum said {
    SAID_MEDIA = 1 << 0,
    SAID_OPAQUE = 1 << 1,
    SAID_CACHE = 1 << 2,
    SAID_SIGNATURE = 1 << 3,
    SAID_IS_ERROR = 1 << 4,
    SAID_ARGUMENTS = 1 << 5,
    SAID_NAME = 1 << 6,
    SAID_TOOL = 1 << 7,
    SAID_STRICT = 1 << 8,
    SAID_DETAIL = 1 << 9,
};

struct out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
    const struct message *caller; // the last message with calls: results look up their tool's name there
    unsigned said;
};

static void note(struct out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

static void say(struct out *out, enum said kind, const char *action, const char *path, const char *reason) {
    if (!(out->said & kind))
        note(out, action, path, reason);
    out->said |= kind;
}

static int64_t tokens_of(const struct out *out) {
    return out->o->max_tokens >= 0 ? out->o->max_tokens : out->r->max_tokens;
}

static bool will_stream(const struct out *out) {
    return out->o->stream >= 0 ? out->o->stream > 0 : out->r->stream;
}

// ---- messages

bool ollama_put_arguments(struct json_writer *w, struct arena *a, struct slice arguments) {
    struct slice object = arguments_object(a, arguments);
    if (object.p) {
        json_put_raw(w, object);
        return true;
    }
    json_obj(w);
    json_kv_str(w, "INVALID_JSON", arguments);
    json_obj_end(w);
    return false;
}

static void put_images(struct out *out, const struct part *first) {
    bool open = false;
    for (const struct part *p = first; p; p = p->next) {
        if (p->kind != PART_IMAGE || !p->data.n)
            continue;
        if (!open) {
            json_key(&out->w, "images");
            json_arr(&out->w);
        }
        open = true;
        json_put_str(&out->w, p->data);
    }
    if (open)
        json_arr_end(&out->w);
}

static void put_call(struct out *out, const struct part *p) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_str(w, "id", p->id);
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", p->name);
    json_key(w, "arguments");
    if (!ollama_put_arguments(w, out->a, p->text))
        say(out, SAID_ARGUMENTS, "approximated", "tool_calls[].function.arguments",
            "these are no JSON object; they go under INVALID_JSON");
    json_obj_end(w);
    json_obj_end(w);
}

static void put_calls(struct out *out, const struct message *m) {
    bool open = false;
    for (const struct part *p = m->parts; p; p = p->next) {
        if (p->kind != PART_TOOL_CALL)
            continue;
        if (!open) {
            json_key(&out->w, "tool_calls");
            json_arr(&out->w);
            out->caller = m;
        }
        open = true;
        put_call(out, p);
    }
    if (open)
        json_arr_end(&out->w);
}

static void note_part(struct out *out, const struct part *p) {
    if (p->kind == PART_AUDIO || p->kind == PART_DOCUMENT || (p->kind == PART_IMAGE && !p->data.n))
        say(out, SAID_MEDIA, "dropped", "messages[].content", "this dialect takes inline images only");
    if (p->detail.n)
        say(out, SAID_DETAIL, "dropped", "image_url.detail", "this dialect has no such parameter");
    if (p->kind == PART_OPAQUE)
        say(out, SAID_OPAQUE, "dropped", "messages[].content", "a part that only the client's dialect has");
    if (p->cache_control.p)
        say(out, SAID_CACHE, "dropped", "cache_control", "this dialect has no such parameter");
    if (p->signature.n || p->redacted)
        say(out, SAID_SIGNATURE, "dropped", "signature", "this dialect has no place for a provider's signature");
    for (const struct part *inner = p->content; inner; inner = inner->next)
        note_part(out, inner);
}

static struct slice think_of(struct out *out, const struct part *first) {
    struct buf text = BUF_INIT(LIMIT_BODY_BYTES);
    struct slice all = SLICE_NONE;
    for (const struct part *p = first; p; p = p->next)
        if (p->kind == PART_THINK && !p->redacted)
            buf_append(&text, p->text);
    if (buf_into_arena(&text, out->a, &all))
        out->w.out->failed = true;
    return all;
}

static struct slice tool_name(const struct out *out, const struct part *result) {
    size_t n = 0;
    if (result->name.n || !out->caller)
        return result->name;
    for (const struct part *p = out->caller->parts; p && n < LIMIT_TOOLS; p = p->next, n++)
        if (p->kind == PART_TOOL_CALL && slice_eq(p->id, result->id))
            return p->name;
    return SLICE_NONE;
}

static void put_result(struct out *out, const struct part *p) {
    struct slice name = tool_name(out, p);
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", "tool");
    json_kv_str(&out->w, "content", parts_text(out->a, p->content));
    if (name.n)
        json_kv_str(&out->w, "tool_name", name);
    json_kv_str(&out->w, "tool_call_id", p->id);
    put_images(out, p->content);
    json_obj_end(&out->w);
    if (p->is_error)
        say(out, SAID_IS_ERROR, "dropped", "is_error", "this dialect has no such parameter");
}

static bool put_results(struct out *out, const struct message *m) {
    bool only = m->parts != NULL;
    for (const struct part *p = m->parts; p; p = p->next) {
        note_part(out, p);
        if (p->kind == PART_TOOL_RESULT)
            put_result(out, p);
        else
            only = false;
    }
    return only;
}

static void put_message(struct out *out, const struct message *m) {
    static const char *const roles[] = {
        [ROLE_SYSTEM] = "system", [ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant", [ROLE_TOOL] = "tool"};
    if (m->name.n)
        say(out, SAID_NAME, "dropped", "messages[].name", "speakers have no names in this dialect");
    if (put_results(out, m))
        return;
    struct slice thinking = think_of(out, m->parts);
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", roles[m->role]);
    json_kv_str(&out->w, "content", parts_text(out->a, m->parts));
    if (thinking.n)
        json_kv_str(&out->w, "thinking", thinking);
    put_images(out, m->parts);
    put_calls(out, m);
    json_obj_end(&out->w);
}

static void put_messages(struct out *out) {
    json_key(&out->w, "messages");
    json_arr(&out->w);
    for (const struct message *m = out->r->messages; m; m = m->next)
        put_message(out, m);
    json_arr_end(&out->w);
}

static void put_prompt(struct out *out) {
    const struct request *r = out->r;
    json_kv_str(&out->w, "prompt", r->prompt);
    if (r->suffix.p)
        json_kv_str(&out->w, "suffix", r->suffix);
    if (r->raw)
        json_kv_bool(&out->w, "raw", true);
    for (const struct message *m = r->messages; m; m = m->next) {
        if (m->role == ROLE_SYSTEM)
            json_kv_str(&out->w, "system", parts_text(out->a, m->parts));
        else
            put_images(out, m->parts);
    }
}

// ---- tools

static void put_tool(struct out *out, const struct tool *t) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_kv_cstr(w, "type", "function");
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", t->name);
    if (t->description.p)
        json_kv_str(w, "description", t->description);
    json_kv_raw(w, "parameters", t->schema.n ? t->schema : SLICE("{\"type\":\"object\",\"properties\":{}}"));
    json_obj_end(w);
    json_obj_end(w);
    if (t->strict > 0)
        say(out, SAID_STRICT, "dropped", "tools[].function.strict", "this dialect has no such parameter");
    if (t->cache_control.p)
        say(out, SAID_CACHE, "dropped", "cache_control", "this dialect has no such parameter");
}

static void put_tools(struct out *out) {
    const struct request *r = out->r;
    bool open = false;
    if (r->tools && r->tool_choice == TOOL_CHOICE_NONE) {
        note(out, "approximated", "tool_choice", "the tools are left out, which forbids them as well");
        return;
    }
    for (const struct tool *t = r->tools; t; t = t->next) {
        if (t->opaque) {
            say(out, SAID_TOOL, "dropped", "tools[]", "a tool that only the client's dialect has");
            continue;
        }
        if (!open) {
            json_key(&out->w, "tools");
            json_arr(&out->w);
        }
        open = true;
        put_tool(out, t);
    }
    if (open)
        json_arr_end(&out->w);
    if (r->tool_choice == TOOL_CHOICE_REQUIRED || r->tool_choice == TOOL_CHOICE_NAMED)
        note(out, "dropped", "tool_choice", "this dialect cannot demand a call");
}

// ---- options

static void put_num(struct out *out, const char *name, double v) {
    if (num_set(v))
        json_kv_num(&out->w, name, v);
}

static void put_stops(struct out *out) {
    if (!out->r->n_stops)
        return;
    json_key(&out->w, "stop");
    json_arr(&out->w);
    for (size_t i = 0; i < out->r->n_stops; i++)
        json_put_str(&out->w, out->r->stops[i]);
    json_arr_end(&out->w);
}

static void put_options(struct out *out) {
    const struct request *r = out->r;
    json_key(&out->w, "options");
    json_obj(&out->w);
    put_num(out, "temperature", r->temperature);
    put_num(out, "top_p", r->top_p);
    put_num(out, "min_p", r->min_p);
    put_num(out, "repeat_penalty", r->repeat_penalty);
    put_num(out, "presence_penalty", r->presence_penalty);
    put_num(out, "frequency_penalty", r->frequency_penalty);
    if (r->top_k >= 0)
        json_kv_int(&out->w, "top_k", r->top_k);
    if (tokens_of(out) >= 0)
        json_kv_int(&out->w, "num_predict", tokens_of(out));
    if (r->context >= 0)
        json_kv_int(&out->w, "num_ctx", r->context);
    if (r->seed_set)
        json_kv_int(&out->w, "seed", r->seed);
    put_stops(out);
    json_obj_end(&out->w);
}

static void put_think(struct out *out) {
    static const char *const words[] = {
        [THINK_MINIMAL] = "low", [THINK_LOW] = "low", [THINK_MEDIUM] = "medium", [THINK_HIGH] = "high"};
    enum think level = request_think_level(out->r);
    if (out->r->think_budget >= 0)
        note(out, "approximated", "thinking.budget_tokens", "this dialect knows levels of thinking, not budgets");
    if (level == THINK_OFF || level == THINK_ON)
        json_kv_bool(&out->w, "think", level == THINK_ON);
    else if (level != THINK_UNSET)
        json_kv_cstr(&out->w, "think", words[level]);
}

static void put_format(struct out *out) {
    const struct request *r = out->r;
    bool schema = r->format == FORMAT_SCHEMA && r->format_schema.n;
    if (schema)
        json_kv_raw(&out->w, "format", r->format_schema);
    else if (r->format == FORMAT_JSON || r->format == FORMAT_SCHEMA)
        json_kv_cstr(&out->w, "format", "json");
    if (schema && r->format_strict > 0)
        note(out, "approximated", "response_format", "the schema travels, `strict` has no place");
}

static void put_notes(struct out *out) {
    const struct request *r = out->r;
    if (r->n > 1)
        note(out, "dropped", "n", "this dialect gives one answer");
    if (r->parallel_tools >= 0)
        note(out, "dropped", "parallel_tool_calls", "this dialect has no such parameter");
    if (r->user.p)
        note(out, "dropped", "user", "this dialect has no such parameter");
    if (r->dialect != DIALECT_OLLAMA)
        notes_unmodelled(out->a, &out->wire->notes, r);
}

// ---- the whole, from the fields

static enum err write_fields(struct out *out) {
    const struct request *r = out->r;
    struct buf body = BUF_INIT(BODY_MAX);
    out->w = JSON_WRITER(&body);
    json_obj(&out->w);
    json_kv_str(&out->w, "model", out->o->model.p ? out->o->model : r->model);
    if (r->op == OP_GENERATE) {
        put_prompt(out);
    } else {
        put_messages(out);
        put_tools(out);
    }
    json_kv_bool(&out->w, "stream", will_stream(out));
    put_options(out);
    put_format(out);
    put_think(out);
    if (r->keep_alive.p)
        json_kv_raw(&out->w, "keep_alive", r->keep_alive);
    if (r->logprobs >= 0)
        json_kv_bool(&out->w, "logprobs", r->logprobs > 0);
    if (r->top_logprobs >= 0)
        json_kv_int(&out->w, "top_logprobs", r->top_logprobs);
    json_obj_end(&out->w);
    put_notes(out);
    return buf_into_arena(&body, out->a, &out->wire->body);
}

// ---- the whole, from the source

// The client's options with another bound; those that we do not model stay.
static struct slice options_with_bound(struct out *out) {
    const struct json_doc *doc = &out->r->doc;
    struct buf b = BUF_INIT(BODY_MAX);
    struct json_writer w = JSON_WRITER(&b);
    struct slice text = SLICE_NONE;
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_obj_get(yyjson_doc_get_root(doc->doc), "options"));
    json_obj(&w);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        if (yyjson_equals_str(key, "num_predict"))
            continue;
        json_key_slice(&w, json_str(key));
        json_put_raw(&w, json_member_src(doc, key));
    }
    json_kv_int(&w, "num_predict", out->o->max_tokens);
    json_obj_end(&w);
    return buf_into_arena(&b, out->a, &text) ? SLICE_NONE : text;
}

static enum err write_spliced(struct out *out) {
    const struct request *r = out->r;
    struct edit edits[3];
    size_t n = 0;
    if (out->o->model.p && !slice_eq(out->o->model, r->model))
        edits[n++] = (struct edit){"model", json_text_str(out->a, out->o->model)};
    if (r->op != OP_EMBED && will_stream(out) != r->stream)
        edits[n++] = (struct edit){"stream", will_stream(out) ? SLICE("true") : SLICE("false")};
    if (r->op != OP_EMBED && out->o->max_tokens >= 0 && out->o->max_tokens != r->max_tokens)
        edits[n++] = (struct edit){"options", options_with_bound(out)};
    for (size_t i = 0; i < n; i++)
        if (!edits[i].value.p)
            return ERR_NO_MEMORY;
    out->wire->verbatim = true;
    return splice(out->a, &r->doc, edits, n, NULL, 0, &out->wire->body);
}

static enum err write_embed(struct out *out) {
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_writer w = JSON_WRITER(&body);
    enum err e = ollama_put_embed(&w, out->r, out->o->model);
    if (out->r->dialect != DIALECT_OLLAMA)
        notes_unmodelled(out->a, &out->wire->notes, out->r);
    if (!e)
        return buf_into_arena(&body, out->a, &out->wire->body);
    buf_done(&body);
    return e;
}

enum err ollama_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem) {
    struct out out = {.a = a, .r = r, .o = o, .wire = ret};
    *ret = (struct wire_request){.path = r->op == OP_EMBED      ? "/api/embed"
                                         : r->op == OP_GENERATE ? "/api/generate"
                                                                : "/api/chat"};
    notes_init(&ret->notes);
    enum err e = ERR_UNSUPPORTED; // Ollama does not count without answering
    bool alone = r->op == OP_COUNT_TOKENS || r->op == OP_RERANK;
    if (r->op == OP_EMBED && (r->one_vector || !request_can_splice(r, DIALECT_OLLAMA)))
        e = write_embed(&out);
    else if (!alone)
        e = request_can_splice(r, DIALECT_OLLAMA) ? write_spliced(&out) : write_fields(&out);
    if (e)
        *problem = PROBLEM(e);
    return e;
}
