// SPDX-License-Identifier: Apache-2.0
// Messages of the inner form → "instructions" and "input" of a responses body: a flat list of items. A system text in front
// becomes the instructions; what an assistant said becomes reasoning, message and call items in its order; results of
// tools stand before what the user says. Past thinking goes only with a signature of this dialect. What has no place
// leaves a note. Called by responses_write.c; writes into its buf.
#include "dialect/carry.h"
#include "dialect/responses.h"

static bool is_plain_text(const struct part *p) {
    return p && !p->next && p->kind == PART_TEXT;
}

// ---- parts of a content

static void put_data_url(struct responses_out *out, const char *key, const struct part *p, const char *otherwise) {
    struct buf *b = out->w.out;
    json_key(&out->w, key);
    buf_append_str(b, "\"data:");
    json_escape(b, p->media_type.n ? p->media_type : slice_str(otherwise));
    buf_append_str(b, ";base64,");
    json_escape(b, p->data);
    buf_append_char(b, '"');
    out->w.comma = true;
}

static void put_text(struct responses_out *out, const struct part *p, const char *type) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", type);
    json_kv_str(&out->w, "text", p->text.p ? p->text : SLICE(""));
    json_obj_end(&out->w);
}

static void put_image(struct responses_out *out, const struct part *p) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "input_image");
    if (p->data.p)
        put_data_url(out, "image_url", p, "image/png");
    else
        json_kv_str(&out->w, "image_url", p->url);
    json_kv_str(&out->w, "detail", p->detail.n ? p->detail : SLICE("auto")); // required there
    json_obj_end(&out->w);
}

static void put_document(struct responses_out *out, const struct part *p) {
    if (p->text.n) {
        responses_say(out, RESP_SAID_MEDIA, "approximated", "document", "a text document is sent as text");
        put_text(out, p, "input_text");
        return;
    }
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "input_file");
    if (p->name.p || (out->foreign && p->data.p))
        json_kv_str(&out->w, "filename", p->name.p ? p->name : SLICE("document.pdf")); // needed beside data
    if (p->data.p && (p->media_type.p || out->foreign))
        put_data_url(out, "file_data", p, "application/pdf");
    else if (p->data.p)
        json_kv_str(&out->w, "file_data", p->data);
    if (p->url.p)
        json_kv_str(&out->w, "file_url", p->url);
    json_obj_end(&out->w);
}

static void put_audio(struct responses_out *out, const struct part *p) {
    struct slice format = slice_starts(p->media_type, "audio/") ? slice_from(p->media_type, 6) : SLICE("wav");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "input_audio");
    json_key(&out->w, "input_audio");
    json_obj(&out->w);
    json_kv_str(&out->w, "data", p->data);
    json_kv_str(&out->w, "format", slice_is(format, "mpeg") ? SLICE("mp3") : format);
    json_obj_end(&out->w);
    json_obj_end(&out->w);
}

static void put_refusal(struct responses_out *out, const struct part *p) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "refusal");
    json_kv_str(&out->w, "refusal", p->text);
    json_obj_end(&out->w);
}

// Has it a place in a content? Says what is dropped.
static bool in_content(struct responses_out *out, const struct part *p) {
    switch (p->kind) {
    case PART_TEXT:
        if (p->signature.n)
            responses_say(out, RESP_SAID_SIGNATURE, "dropped", "signature",
                          "a provider's own, without a place in this dialect");
        return true;
    case PART_REFUSAL:
    case PART_IMAGE:
        return true;
    case PART_AUDIO:
        if (out->foreign)
            responses_say(out, RESP_SAID_MEDIA, "dropped", "input_audio", "this dialect has no audio");
        return !out->foreign;
    case PART_DOCUMENT:
        if (!p->text.p && !p->data.p && !p->url.p)
            responses_say(out, RESP_SAID_MEDIA, "dropped", "document", "it lies with another provider");
        return p->text.p || p->data.p || p->url.p;
    case PART_OPAQUE:
        if (p->name.p)
            return false; // an item of its own
        if (out->foreign || !p->src.p)
            responses_say(out, RESP_SAID_OPAQUE, "dropped", "content", "a part that only another dialect knows");
        return !out->foreign && p->src.p;
    case PART_THINK:
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
        return false;
    }
    return false;
}

static void put_part(struct responses_out *out, const struct part *p, bool assistant) {
    if (p->cache_control.p)
        responses_say(out, RESP_SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
    switch (p->kind) {
    case PART_TEXT:
        put_text(out, p, assistant ? "output_text" : "input_text");
        return;
    case PART_REFUSAL:
        put_refusal(out, p);
        return;
    case PART_IMAGE:
        put_image(out, p);
        return;
    case PART_AUDIO:
        put_audio(out, p);
        return;
    case PART_DOCUMENT:
        put_document(out, p);
        return;
    case PART_OPAQUE:
        json_put_raw(&out->w, p->src);
        return;
    case PART_THINK:
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
        return; // items of their own
    }
}

// The parts from `first` up to `end`, as a text when that is all; a list can hold everything else.
static void put_content(struct responses_out *out, const char *key, const struct part *first, const struct part *end,
                        bool assistant) {
    json_key(&out->w, key);
    if (!first) {
        json_put_cstr(&out->w, "");
        return;
    }
    if (first->next == end && first->kind == PART_TEXT) {
        if (first->cache_control.p)
            responses_say(out, RESP_SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
        json_put_str(&out->w, first->text);
        return;
    }
    json_arr(&out->w);
    for (const struct part *p = first; p != end; p = p->next)
        if (in_content(out, p))
            put_part(out, p, assistant);
    json_arr_end(&out->w);
}

static void put_message(struct responses_out *out, const char *role, const struct part *first, const struct part *end) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "message");
    json_kv_cstr(&out->w, "role", role);
    put_content(out, "content", first, end, slice_is(slice_str(role), "assistant"));
    json_obj_end(&out->w);
}

// ---- the assistant's items

// Ids of items start so; one that was lost on the way is made of the signature, the same each time.
static void put_reasoning_id(struct responses_out *out, const struct part *p) {
    uint64_t salt = UINT64_C(14695981039346656037);
    if (p->id.n) {
        json_kv_str(&out->w, "id", p->id);
        return;
    }
    for (size_t i = 0; i < p->signature.n; i++)
        salt = (salt ^ (unsigned char)p->signature.p[i]) * UINT64_C(1099511628211);
    json_kv_str(&out->w, "id", slice_str(arena_printf(out->a, "rs_%016llx", (unsigned long long)salt)));
}

static void put_reasoning(struct responses_out *out, const struct part *p) {
    struct json_writer *w = &out->w;
    bool ours = carry_made_by(out->r, p, DIALECT_RESPONSES);
    if (!ours || (out->foreign && !p->signature.n)) {
        if (p->signature.n || p->redacted)
            responses_say(out, RESP_SAID_SIGNATURE, "dropped", "signature",
                          "another provider's, which this one would refuse");
        responses_say(out, RESP_SAID_THINK, "dropped", "thinking",
                      "without a signature this dialect does not take it back");
        return;
    }
    json_obj(w);
    json_kv_cstr(w, "type", "reasoning");
    if (p->id.n || p->signature.n)
        put_reasoning_id(out, p);
    json_key(w, "summary");
    json_arr(w);
    if (p->text.n)
        put_text(out, p, "summary_text");
    json_arr_end(w);
    if (p->signature.p)
        json_kv_str(w, "encrypted_content", p->signature);
    json_obj_end(w);
}

static void put_call(struct responses_out *out, const struct part *p) {
    struct json_writer *w = &out->w;
    if (p->signature.n)
        responses_say(out, RESP_SAID_SIGNATURE, "dropped", "signature",
                      "another provider's, which this one would refuse");
    json_obj(w);
    json_kv_cstr(w, "type", "function_call");
    json_kv_str(w, "call_id", p->id);
    json_kv_str(w, "name", p->name);
    json_kv_str(w, "arguments", p->text.n ? p->text : SLICE("{}"));
    json_obj_end(w);
}

// What stands in one message: as long as texts and their like follow each other.
static const struct part *message_end(struct responses_out *out, const struct part *p, bool *ret_any) {
    *ret_any = false;
    for (; p; p = p->next) {
        bool inside = in_content(out, p);
        if (!inside && (p->kind == PART_THINK || p->kind == PART_TOOL_CALL || (p->kind == PART_OPAQUE && p->name.p)))
            return p;
        *ret_any |= inside;
    }
    return p;
}

static void put_opaque_item(struct responses_out *out, const struct part *p) {
    if (!out->foreign && p->src.p)
        json_put_raw(&out->w, p->src);
    else
        responses_say(out, RESP_SAID_OPAQUE, "dropped", "input", "an item that only another dialect knows");
}

static void put_assistant(struct responses_out *out, const struct message *m) {
    for (const struct part *p = m->parts, *end; p; p = end) {
        bool any;
        end = message_end(out, p, &any);
        if (any)
            put_message(out, "assistant", p, end);
        if (end != p)
            continue;
        if (p->kind == PART_THINK)
            put_reasoning(out, p);
        else if (p->kind == PART_TOOL_CALL)
            put_call(out, p);
        else
            put_opaque_item(out, p);
        end = p->next;
    }
}

// ---- everybody else's

static void put_result(struct responses_out *out, const struct part *p) {
    if (p->is_error)
        responses_say(out, RESP_SAID_IS_ERROR, "dropped", "is_error",
                      "this dialect tells errors by the text of the result only");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "function_call_output");
    json_kv_str(&out->w, "call_id", p->id);
    if (p->name.p && !out->foreign)
        json_kv_str(&out->w, "name", p->name);
    if (p->content)
        put_content(out, "output", p->content, NULL, false);
    else
        json_kv_cstr(&out->w, "output", "");
    json_obj_end(&out->w);
}

static void put_said(struct responses_out *out, const struct message *m) {
    bool any = !m->parts;
    for (const struct part *p = m->parts; p; p = p->next) {
        if (p->kind == PART_TOOL_RESULT)
            put_result(out, p);
        any |= in_content(out, p);
    }
    if (!any)
        return;
    const char *role = m->role == ROLE_SYSTEM ? (m->developer ? "developer" : "system") : "user";
    if (m->developer && out->o->quirks & QUIRK_NO_DEVELOPER_ROLE)
        role = "system";
    put_message(out, role, m->parts, NULL);
}

static bool is_instructions(const struct message *m) {
    return m && m->role == ROLE_SYSTEM && !m->developer && is_plain_text(m->parts);
}

void responses_put_input(struct responses_out *out) {
    const struct message *m = out->r->messages;
    if (is_instructions(m)) {
        json_kv_str(&out->w, "instructions", m->parts->text);
        if (m->parts->cache_control.p)
            responses_say(out, RESP_SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
        m = m->next;
    }
    json_key(&out->w, "input");
    json_arr(&out->w);
    for (; m; m = m->next) {
        if (m->name.p)
            responses_say(out, RESP_SAID_NAME, "dropped", "messages.name", "this dialect does not name speakers");
        if (m->role == ROLE_ASSISTANT)
            put_assistant(out, m);
        else
            put_said(out, m);
    }
    if (out->r->op == OP_GENERATE && out->r->prompt.p)
        put_message(out, "user", &(struct part){.kind = PART_TEXT, .text = out->r->prompt}, NULL);
    json_arr_end(&out->w);
}
