// SPDX-License-Identifier: Apache-2.0
// Messages of the inner form → "system" and "messages" of a Messages body. System messages of other dialects, wherever they
// stand, are collected in front; messages of one role in a row become one, a tool's result being the user's. A message is
// opened by its first part, so that one without any part is not written. What has no place leaves a note.
#include "dialect/anthropic.h"
#include "dialect/carry.h"

void anthropic_note(struct anthropic_out *out, const char *action, const char *path, const char *reason) {
    notes_add(out->a, &out->wire->notes, action, slice_str(path), reason);
}

void anthropic_say(struct anthropic_out *out, enum anthropic_said kind, const char *action, const char *path,
                   const char *reason) {
    if (out->said & kind)
        return;
    out->said |= kind;
    anthropic_note(out, action, path, reason);
}

static bool own(const struct anthropic_out *out) {
    return !out->foreign;
}

static void put_cache_control(struct anthropic_out *out, const struct part *p) {
    if (p->cache_control.p)
        json_kv_raw(&out->w, "cache_control", p->cache_control);
}

static void open_block(struct anthropic_out *out, const char *type) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", type);
}

static void close_block(struct anthropic_out *out, const struct part *p) {
    put_cache_control(out, p);
    json_obj_end(&out->w);
}

// Ids are letters, digits, '_' and '-' here; other characters become '_', in the call and in its result alike.
static void put_id(struct anthropic_out *out, const char *key, struct slice id) {
    struct buf *b = out->w.out;
    json_key(&out->w, key);
    buf_append_char(b, '"');
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
        buf_append_char(b, fits ? c : '_');
    }
    buf_append_char(b, '"');
    out->w.comma = true;
}

// ---- blocks of a content

static void put_text(struct anthropic_out *out, const struct part *p) {
    open_block(out, "text");
    json_kv_str(&out->w, "text", p->text);
    close_block(out, p);
}

static void put_source(struct anthropic_out *out, const struct part *p, const char *media_type) {
    struct json_writer *w = &out->w;
    json_key(w, "source");
    json_obj(w);
    if (p->kind == PART_DOCUMENT && p->text.p) {
        json_kv_cstr(w, "type", "text");
        json_kv_cstr(w, "media_type", "text/plain");
        json_kv_str(w, "data", p->text);
    } else if (p->data.p) {
        json_kv_cstr(w, "type", "base64");
        json_kv_str(w, "media_type", p->media_type.n ? p->media_type : slice_str(media_type));
        json_kv_str(w, "data", p->data);
    } else {
        json_kv_cstr(w, "type", "url");
        json_kv_str(w, "url", p->url);
    }
    json_obj_end(w);
}

static void put_image(struct anthropic_out *out, const struct part *p) {
    open_block(out, "image");
    put_source(out, p, "image/png");
    if (p->detail.n)
        anthropic_say(out, SAID_DETAIL, "dropped", "image_url.detail", "this dialect has no such parameter");
    close_block(out, p);
}

static void put_document(struct anthropic_out *out, const struct part *p) {
    open_block(out, "document");
    put_source(out, p, "application/pdf");
    if (p->name.p)
        json_kv_str(&out->w, "title", p->name);
    close_block(out, p);
}

static void put_thinking(struct anthropic_out *out, const struct part *p) {
    open_block(out, p->redacted ? "redacted_thinking" : "thinking");
    if (p->redacted) {
        json_kv_str(&out->w, "data", p->data);
    } else {
        json_kv_str(&out->w, "thinking", p->text.p ? p->text : SLICE(""));
        json_kv_str(&out->w, "signature", p->signature);
    }
    json_obj_end(&out->w);
}

static void put_tool_use(struct anthropic_out *out, const struct part *p) {
    if (p->signature.n)
        anthropic_say(out, SAID_SIGNATURE, "dropped", "signature", "another provider's, which this one would refuse");
    if (!arguments_object(out->a, p->text).p)
        anthropic_say(out, SAID_ARGUMENTS, "approximated", "tool_calls.function.arguments",
                      "they are no JSON object, and this dialect takes nothing else");
    open_block(out, "tool_use");
    put_id(out, "id", p->id);
    json_kv_str(&out->w, "name", p->name);
    json_key(&out->w, "input");
    anthropic_put_arguments(&out->w, out->a, p->text);
    close_block(out, p);
}

static bool can_write(struct anthropic_out *out, const struct part *p);
static void put_part(struct anthropic_out *out, const struct part *p);

static void put_tool_result(struct anthropic_out *out, const struct part *p) {
    open_block(out, "tool_result");
    put_id(out, "tool_use_id", p->id);
    if (p->content) {
        json_key(&out->w, "content");
        json_arr(&out->w);
        for (const struct part *inner = p->content; inner; inner = inner->next)
            if (can_write(out, inner))
                put_part(out, inner);
        json_arr_end(&out->w);
    }
    if (p->is_error)
        json_kv_bool(&out->w, "is_error", true);
    close_block(out, p);
}

// ---- any part

static bool can_write_thinking(struct anthropic_out *out, const struct part *p) {
    bool is_signed = (p->redacted && p->data.n) || p->signature.n;
    if (carry_made_by(out->r, p, DIALECT_ANTHROPIC) && (is_signed || own(out)))
        return true;
    if (is_signed)
        anthropic_say(out, SAID_SIGNATURE, "dropped", "signature", "another provider's, which this one would refuse");
    anthropic_say(out, SAID_THINK, "dropped", "thinking", "without a signature this dialect does not take it back");
    return false;
}

// Says what is dropped.
static bool can_write(struct anthropic_out *out, const struct part *p) {
    switch (p->kind) {
    case PART_TEXT:
        if (p->signature.n)
            anthropic_say(out, SAID_SIGNATURE, "dropped", "signature",
                          "another provider's, which this one would refuse");
        return own(out) || p->text.n; // empty blocks are refused
    case PART_REFUSAL:
        return own(out) || p->text.n;
    case PART_IMAGE:
        return true;
    case PART_DOCUMENT:
        if (!p->text.p && !p->data.p && !p->url.p)
            anthropic_say(out, SAID_DOCUMENT, "dropped", "document", "it lies with another provider");
        return p->text.p || p->data.p || p->url.p;
    case PART_AUDIO:
        anthropic_say(out, SAID_AUDIO, "dropped", "input_audio", "this dialect has no audio");
        return false;
    case PART_THINK:
        return can_write_thinking(out, p);
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
        return true;
    case PART_OPAQUE:
        if (own(out) && p->src.p)
            return true;
        anthropic_say(out, SAID_OPAQUE, "dropped", "content", "a part that only another dialect knows");
        return false;
    }
    return false;
}

static void put_part(struct anthropic_out *out, const struct part *p) {
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        put_text(out, p);
        return;
    case PART_IMAGE:
        put_image(out, p);
        return;
    case PART_DOCUMENT:
        put_document(out, p);
        return;
    case PART_THINK:
        put_thinking(out, p);
        return;
    case PART_TOOL_CALL:
        put_tool_use(out, p);
        return;
    case PART_TOOL_RESULT:
        put_tool_result(out, p);
        return;
    case PART_OPAQUE:
        json_put_raw(&out->w, p->src);
        return;
    case PART_AUDIO:
        return; // can_write refused it
    }
}

// ---- system

static void put_system(struct anthropic_out *out) {
    bool any = false, turn = false;
    for (const struct message *m = out->r->messages; m; m = m->next) {
        turn |= m->role != ROLE_SYSTEM;
        if (m->role == ROLE_SYSTEM && turn)
            anthropic_say(out, SAID_SYSTEM, "approximated", "messages",
                          "system messages between turns are sent in front");
        for (const struct part *p = m->role == ROLE_SYSTEM ? m->parts : NULL; p; p = p->next) {
            if (p->kind != PART_TEXT || !p->text.n)
                continue;
            if (!any) {
                json_key(&out->w, "system");
                json_arr(&out->w);
            }
            any = true;
            put_text(out, p);
        }
    }
    if (any)
        json_arr_end(&out->w);
}

// ---- messages

static void close_message(struct anthropic_out *out) {
    if (out->open < 0)
        return;
    json_arr_end(&out->w);
    json_obj_end(&out->w);
    out->open = -1;
}

static void open_message(struct anthropic_out *out, enum role role) {
    if (out->open == (int)role)
        return;
    close_message(out);
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", role == ROLE_ASSISTANT ? "assistant" : "user");
    json_key(&out->w, "content");
    json_arr(&out->w);
    out->open = (int)role;
}

// Results stand first in a message, or the upstream refuses it.
static void put_parts(struct anthropic_out *out, const struct message *m, bool results) {
    for (const struct part *p = m->parts; p; p = p->next) {
        if ((p->kind == PART_TOOL_RESULT) != results || !can_write(out, p))
            continue;
        open_message(out, m->role == ROLE_ASSISTANT ? ROLE_ASSISTANT : ROLE_USER);
        put_part(out, p);
    }
}

// A conversation must have a turn: a system text alone becomes the user's.
static bool only_system(const struct anthropic_out *out) {
    bool any = false;
    for (const struct message *m = out->r->messages; m; m = m->next) {
        if (m->role != ROLE_SYSTEM)
            return false;
        any |= m->parts != NULL;
    }
    return any && !out->r->prompt.n;
}

void anthropic_put_messages(struct anthropic_out *out) {
    bool alone = only_system(out);
    if (alone)
        anthropic_note(out, "approximated", "messages", "a system message alone became the user's");
    else
        put_system(out);
    out->open = -1;
    json_key(&out->w, "messages");
    json_arr(&out->w);
    for (const struct message *m = out->r->messages; m; m = m->next) {
        if (m->role == ROLE_SYSTEM && !alone)
            continue;
        if (own(out))
            close_message(out); // two of one role in a row stay two
        if (m->name.p)
            anthropic_say(out, SAID_NAME, "dropped", "messages.name", "this dialect does not name speakers");
        put_parts(out, m, true);
        put_parts(out, m, false);
    }
    if (out->r->op == OP_GENERATE && out->r->prompt.n) {
        open_message(out, ROLE_USER);
        put_text(out, &(struct part){.kind = PART_TEXT, .text = out->r->prompt});
    }
    close_message(out);
    json_arr_end(&out->w);
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
        anthropic_say(out, SAID_STRICT, "dropped", "tools.strict", "it needs a beta of this dialect");
    if (t->cache_control.p)
        json_kv_raw(w, "cache_control", t->cache_control);
    json_obj_end(w);
}

static bool can_write_tool(const struct anthropic_out *out, const struct tool *t) {
    return !t->opaque || (own(out) && t->src.p);
}

static bool any_tool(struct anthropic_out *out) {
    bool any = false;
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        any |= can_write_tool(out, t);
        if (!can_write_tool(out, t))
            anthropic_say(out, SAID_TOOL, "dropped", "tools", "a server tool of another dialect");
    }
    return any;
}

void anthropic_put_tools(struct anthropic_out *out) {
    if (!any_tool(out))
        return;
    json_key(&out->w, "tools");
    json_arr(&out->w);
    for (const struct tool *t = out->r->tools; t; t = t->next) {
        if (t->opaque && can_write_tool(out, t))
            json_put_raw(&out->w, t->src);
        else if (!t->opaque)
            put_tool(out, t);
    }
    json_arr_end(&out->w);
}
