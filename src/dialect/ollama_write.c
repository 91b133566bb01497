// SPDX-License-Identifier: Apache-2.0
// A request → the body for an Ollama upstream. Same dialect: the source with what must differ spliced in. Otherwise from
// the fields, each thing without a place leaving a note. Arguments of tool calls stand as objects there.
#include "dialect/ollama.h"
#include "base/limits.h"

struct out {
    struct arena *a;
    const struct request *r;
    const struct write_options *o;
    struct wire_request *wire;
    struct json_writer w;
};

static void note(struct out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

static int64_t tokens_of(const struct out *out) {
    return out->o->max_tokens >= 0 ? out->o->max_tokens : out->r->max_tokens;
}

// ---- messages

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

static void put_calls(struct out *out, const struct part *first) {
    bool open = false;
    for (const struct part *p = first; p; p = p->next) {
        if (p->kind != PART_TOOL_CALL)
            continue;
        if (!open) {
            json_key(&out->w, "tool_calls");
            json_arr(&out->w);
        }
        open = true;
        struct slice arguments = arguments_object(out->a, p->text);
        json_obj(&out->w);
        json_key(&out->w, "function");
        json_obj(&out->w);
        json_kv_str(&out->w, "name", p->name);
        json_kv_raw(&out->w, "arguments", arguments.n ? arguments : SLICE("{}"));
        json_obj_end(&out->w);
        json_obj_end(&out->w);
    }
    if (open)
        json_arr_end(&out->w);
}

static void note_parts(struct out *out, const struct part *first) {
    for (const struct part *p = first; p; p = p->next) {
        if (p->kind == PART_AUDIO || p->kind == PART_DOCUMENT || (p->kind == PART_IMAGE && !p->data.n))
            note(out, "dropped", "messages", "this dialect has no place for that kind of media");
        if (p->kind == PART_OPAQUE)
            note(out, "dropped", "messages", "a block of another dialect");
        if (p->cache_control.p)
            note(out, "dropped", "cache_control", "this dialect has no such parameter");
        if (p->signature.p || p->redacted)
            note(out, "dropped", "signature", "another provider's signature means nothing there");
    }
}

static struct slice text_of(struct out *out, const struct part *first, enum part_kind kind) {
    struct buf text = BUF_INIT(LIMIT_BODY_BYTES);
    struct slice all = SLICE_NONE;
    for (const struct part *p = first; p; p = p->next)
        if (p->kind == kind && !p->redacted)
            buf_append(&text, p->text);
    if (buf_into_arena(&text, out->a, &all) != ERR_OK)
        out->w.out->failed = true;
    return all;
}

static const struct part *call_with(const struct request *r, struct slice id) {
    for (const struct message *m = r->messages; m; m = m->next)
        for (const struct part *p = m->parts; p; p = p->next)
            if (p->kind == PART_TOOL_CALL && slice_eq(p->id, id))
                return p;
    return NULL;
}

static void put_result(struct out *out, const struct part *p) {
    const struct part *call = p->name.n ? NULL : call_with(out->r, p->id);
    struct slice name = p->name.n ? p->name : call ? call->name : SLICE_NONE;
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", "tool");
    json_kv_str(&out->w, "content", text_of(out, p->content, PART_TEXT));
    if (name.n)
        json_kv_str(&out->w, "tool_name", name);
    put_images(out, p->content);
    json_obj_end(&out->w);
    if (p->is_error)
        note(out, "dropped", "is_error", "this dialect has no such parameter");
}

static void put_message(struct out *out, const struct message *m) {
    static const char *const roles[] = {
        [ROLE_SYSTEM] = "system", [ROLE_USER] = "user", [ROLE_ASSISTANT] = "assistant", [ROLE_TOOL] = "tool"};
    bool only_results = m->parts != NULL;
    note_parts(out, m->parts);
    for (const struct part *p = m->parts; p; p = p->next) {
        if (p->kind == PART_TOOL_RESULT)
            put_result(out, p);
        else
            only_results = false;
    }
    if (only_results)
        return;
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", roles[m->role]);
    json_kv_str(&out->w, "content", text_of(out, m->parts, PART_TEXT));
    struct slice thinking = text_of(out, m->parts, PART_THINK);
    if (thinking.n)
        json_kv_str(&out->w, "thinking", thinking);
    put_images(out, m->parts);
    put_calls(out, m->parts);
    json_obj_end(&out->w);
}

// ---- everything else

static void put_prompt(struct out *out) {
    const struct request *r = out->r;
    json_kv_str(&out->w, "prompt", r->prompt);
    if (r->suffix.p)
        json_kv_str(&out->w, "suffix", r->suffix);
    if (r->raw)
        json_kv_bool(&out->w, "raw", true);
    for (const struct message *m = r->messages; m; m = m->next) {
        if (m->role == ROLE_SYSTEM)
            json_kv_str(&out->w, "system", text_of(out, m->parts, PART_TEXT));
        else
            put_images(out, m->parts);
    }
}

static void put_tools(struct out *out) {
    if (!out->r->tools || out->r->tool_choice == TOOL_CHOICE_NONE)
        return;
    json_key(&out->w, "tools");
    json_arr(&out->w);
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        if (t->opaque) {
            note(out, "dropped", "tools", "a server tool of another dialect");
            continue;
        }
        json_obj(&out->w);
        json_kv_cstr(&out->w, "type", "function");
        json_key(&out->w, "function");
        json_obj(&out->w);
        json_kv_str(&out->w, "name", t->name);
        json_kv_str(&out->w, "description", t->description);
        json_kv_raw(&out->w, "parameters", t->schema.n ? t->schema : SLICE("{\"type\":\"object\",\"properties\":{}}"));
        json_obj_end(&out->w);
        json_obj_end(&out->w);
    }
    json_arr_end(&out->w);
    if (out->r->tool_choice == TOOL_CHOICE_REQUIRED || out->r->tool_choice == TOOL_CHOICE_NAMED)
        note(out, "dropped", "tool_choice", "this dialect can't demand a call");
}

static void put_num(struct out *out, const char *name, double v) {
    if (num_set(v))
        json_kv_num(&out->w, name, v);
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
    if (r->n_stops) {
        json_key(&out->w, "stop");
        json_arr(&out->w);
        for (size_t i = 0; i < r->n_stops; i++)
            json_put_str(&out->w, r->stops[i]);
        json_arr_end(&out->w);
    }
    json_obj_end(&out->w);
}

static void put_think(struct out *out) {
    static const char *const words[] = {
        [THINK_MINIMAL] = "low", [THINK_LOW] = "low", [THINK_MEDIUM] = "medium", [THINK_HIGH] = "high"};
    enum think level = request_think_level(out->r);
    if (level == THINK_OFF || level == THINK_ON)
        json_kv_bool(&out->w, "think", level == THINK_ON);
    else if (level != THINK_UNSET)
        json_kv_cstr(&out->w, "think", words[level]);
}

static void put_format(struct out *out) {
    if (out->r->format == FORMAT_JSON)
        json_kv_cstr(&out->w, "format", "json");
    if (out->r->format == FORMAT_SCHEMA)
        json_kv_raw(&out->w, "format", out->r->format_schema);
}

static void put_notes(struct out *out) {
    const struct request *r = out->r;
    if (r->n > 1)
        note(out, "dropped", "n", "this dialect gives one answer");
    if (r->parallel_tools >= 0)
        note(out, "dropped", "parallel_tool_calls", "this dialect has no such parameter");
    if (r->user.p)
        note(out, "dropped", "user", "this dialect has no such parameter");
    if (r->format == FORMAT_SCHEMA && r->format_strict > 0)
        note(out, "approximated", "response_format", "the schema travels, `strict` has no place");
    if (r->dialect != DIALECT_OLLAMA)
        notes_unmodelled(out->a, &out->wire->notes, r);
}

static enum err write_fields(struct out *out) {
    const struct request *r = out->r;
    struct buf body = BUF_INIT(LIMIT_BODY_BYTES * 2);
    out->w = JSON_WRITER(&body);
    json_obj(&out->w);
    json_kv_str(&out->w, "model", out->o->model);
    if (r->op == OP_GENERATE) {
        put_prompt(out);
    } else {
        json_key(&out->w, "messages");
        json_arr(&out->w);
        for (const struct message *m = r->messages; m; m = m->next)
            put_message(out, m);
        json_arr_end(&out->w);
        put_tools(out);
    }
    json_kv_bool(&out->w, "stream", out->o->stream >= 0 ? out->o->stream > 0 : r->stream);
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

// The source, with the model's name and the stream flag as they must be.
static enum err write_spliced(struct out *out) {
    const struct request *r = out->r;
    struct edit edits[2];
    size_t n = 0;
    if (!slice_eq(out->o->model, r->model))
        edits[n++] = (struct edit){"model", json_text_str(out->a, out->o->model)};
    if (out->o->stream >= 0 && (out->o->stream > 0) != r->stream)
        edits[n++] = (struct edit){"stream", out->o->stream > 0 ? SLICE("true") : SLICE("false")};
    for (size_t i = 0; i < n; i++)
        if (!edits[i].value.p)
            return ERR_NO_MEMORY;
    out->wire->verbatim = true;
    return splice(out->a, &r->doc, edits, n, NULL, 0, &out->wire->body);
}

enum err ollama_write_request(struct arena *a, const struct request *r, const struct write_options *o,
                              struct wire_request *ret, struct problem *problem) {
    struct out out = {.a = a, .r = r, .o = o, .wire = ret};
    (void)problem;
    *ret = (struct wire_request){.path = r->op == OP_GENERATE ? "/api/generate" : "/api/chat"};
    notes_init(&ret->notes);
    bool whole = r->dialect == DIALECT_OLLAMA && r->doc.src.p && (o->max_tokens < 0 || o->max_tokens == r->max_tokens);
    enum err e = whole ? write_spliced(&out) : write_fields(&out);
    if (e)
        ret->path = NULL;
    return e;
}
