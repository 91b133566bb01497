// SPDX-License-Identifier: Apache-2.0
// Messages of the inner form → "messages" of a chat completions body. What other dialects put into one message is taken
// apart: a user message with tool results becomes tool messages and then the user's own; pictures inside a tool's result,
// which this dialect cannot say there, follow in a user message once all results of the turn are written. What has no place
// leaves a note. Called by openai_write.c; writes into its buf.
#include "dialect/openai.h"

static bool own(const struct openai_out *out) {
    return out->r->dialect == DIALECT_OPENAI;
}

static bool is_media(const struct part *p) {
    return p->kind == PART_IMAGE || p->kind == PART_AUDIO || (p->kind == PART_DOCUMENT && !p->text.n);
}

// ---- parts of a content

static void put_cache_control(struct openai_out *out, const struct part *p) {
    if (!p->cache_control.p)
        return;
    if (own(out))
        json_kv_raw(&out->w, "cache_control", p->cache_control);
    else
        openai_say(out, SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
}

static void put_data_url(struct openai_out *out, const char *key, const struct part *p, const char *otherwise) {
    struct buf *b = out->w.out;
    json_key(&out->w, key);
    buf_append_str(b, "\"data:");
    json_escape(b, p->media_type.n ? p->media_type : slice_str(otherwise));
    buf_append_str(b, ";base64,");
    json_escape(b, p->data);
    buf_append_char(b, '"');
    out->w.comma = true;
}

static void put_text_part(struct openai_out *out, const struct part *p) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "text");
    json_kv_str(&out->w, "text", p->text.p ? p->text : SLICE(""));
    put_cache_control(out, p);
    json_obj_end(&out->w);
}

static void put_image(struct openai_out *out, const struct part *p) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "image_url");
    json_key(&out->w, "image_url");
    json_obj(&out->w);
    if (p->data.p)
        put_data_url(out, "url", p, "image/png");
    else
        json_kv_str(&out->w, "url", p->url);
    if (p->detail.p)
        json_kv_str(&out->w, "detail", p->detail);
    json_obj_end(&out->w);
    put_cache_control(out, p);
    json_obj_end(&out->w);
}

static struct slice audio_format(struct slice media_type) {
    if (slice_is(media_type, "audio/mpeg"))
        return SLICE("mp3");
    return slice_starts(media_type, "audio/") ? slice_from(media_type, 6) : SLICE("wav");
}

static void put_audio(struct openai_out *out, const struct part *p) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "input_audio");
    json_key(&out->w, "input_audio");
    json_obj(&out->w);
    json_kv_str(&out->w, "data", p->data);
    json_kv_str(&out->w, "format", audio_format(p->media_type));
    json_obj_end(&out->w);
    put_cache_control(out, p);
    json_obj_end(&out->w);
}

static void put_document(struct openai_out *out, const struct part *p) {
    if (p->text.n) {
        openai_say(out, SAID_MEDIA, "approximated", "document", "a text document is sent as text");
        put_text_part(out, p);
        return;
    }
    if (!p->data.p && !p->url.p) {
        openai_say(out, SAID_MEDIA, "dropped", "document", "it lies with another provider");
        return;
    }
    json_obj(&out->w);
    json_kv_cstr(&out->w, "type", "file");
    json_key(&out->w, "file");
    json_obj(&out->w);
    if (p->name.p)
        json_kv_str(&out->w, "filename", p->name);
    if (p->data.p && p->media_type.p)
        put_data_url(out, "file_data", p, "application/pdf");
    else
        json_kv_str(&out->w, "file_data", p->data.p ? p->data : p->url);
    json_obj_end(&out->w);
    put_cache_control(out, p);
    json_obj_end(&out->w);
}

static void put_opaque(struct openai_out *out, const struct part *p) {
    if (own(out) && p->src.p)
        json_put_raw(&out->w, p->src);
    else
        openai_say(out, SAID_OPAQUE, "dropped", "content", "a part that only another dialect knows");
}

static void put_part(struct openai_out *out, const struct part *p) {
    switch (p->kind) {
    case PART_TEXT:
        put_text_part(out, p);
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
        if (!p->id.p) // with an id it is a tool call
            put_opaque(out, p);
        return;
    case PART_REFUSAL:
    case PART_THINK:
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
        return; // said beside the content
    }
}

static const char no_place_for_signatures[] = "a provider's own, without a place in this dialect";

// Parts that are written into the content.
static bool in_content(const struct part *p) {
    switch (p->kind) {
    case PART_TEXT:
    case PART_IMAGE:
    case PART_AUDIO:
    case PART_DOCUMENT:
        return true;
    case PART_OPAQUE:
        return !p->id.p;
    case PART_REFUSAL:
    case PART_THINK:
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
        return false;
    }
    return false;
}

static size_t count_content(const struct part *p) {
    size_t n = 0;
    for (; p; p = p->next)
        n += in_content(p);
    return n;
}

static const struct part *first_content(const struct part *p) {
    while (p && !in_content(p))
        p = p->next;
    return p;
}

// A single text is a string, which every upstream understands; anything else is a list.
static void put_content(struct openai_out *out, const struct part *parts, bool may_be_null) {
    const struct part *first = first_content(parts);
    for (const struct part *p = first; p; p = p->next)
        if (p->kind == PART_TEXT && p->signature.n)
            openai_say(out, SAID_SIGNATURE, "dropped", "signature", no_place_for_signatures);
    json_key(&out->w, "content");
    if (!first) {
        if (may_be_null)
            json_put_null(&out->w);
        else
            json_put_str(&out->w, SLICE(""));
        return;
    }
    if (count_content(parts) == 1 && first->kind == PART_TEXT && !(own(out) && first->cache_control.p)) {
        if (first->cache_control.p)
            openai_say(out, SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
        json_put_str(&out->w, first->text);
        return;
    }
    json_arr(&out->w);
    for (const struct part *p = first; p; p = p->next)
        put_part(out, p);
    json_arr_end(&out->w);
}

// ---- what an assistant said beside it

static void put_reasoning(struct openai_out *out, const struct message *m) {
    struct buf *b = out->w.out;
    bool any = false, understood = own(out) || out->o->quirks & QUIRK_CACHE_PROMPT;
    for (const struct part *p = m->parts; p; p = p->next) {
        if (p->kind != PART_THINK)
            continue;
        if (p->signature.n || p->redacted)
            openai_say(out, SAID_SIGNATURE, "dropped", "signature", no_place_for_signatures);
        if (!understood || p->redacted) {
            openai_say(out, SAID_THINK, "dropped", "thinking", "this dialect does not take past thinking back");
            continue;
        }
        if (!any) {
            json_key(&out->w, "reasoning_content");
            buf_append_char(b, '"');
        }
        any = true;
        json_escape(b, p->text);
    }
    if (!any)
        return;
    buf_append_char(b, '"');
    out->w.comma = true;
}

static void put_call(struct openai_out *out, const struct part *p) {
    struct json_writer *w = &out->w;
    if (p->kind == PART_OPAQUE) {
        put_opaque(out, p);
        return;
    }
    if (p->signature.n)
        openai_say(out, SAID_SIGNATURE, "dropped", "signature", no_place_for_signatures);
    json_obj(w);
    json_kv_str(w, "id", p->id);
    json_kv_cstr(w, "type", "function");
    json_key(w, "function");
    json_obj(w);
    json_kv_str(w, "name", p->name);
    json_kv_str(w, "arguments", p->text.n ? p->text : SLICE("{}"));
    json_obj_end(w);
    json_obj_end(w);
}

static bool is_call(const struct part *p) {
    return p->kind == PART_TOOL_CALL || (p->kind == PART_OPAQUE && p->id.p && p->src.p);
}

static void put_calls(struct openai_out *out, const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next) {
        if (!is_call(p))
            continue;
        json_key(&out->w, "tool_calls");
        json_arr(&out->w);
        for (; p; p = p->next)
            if (is_call(p))
                put_call(out, p);
        json_arr_end(&out->w);
        return;
    }
}

static bool has_call(const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next)
        if (is_call(p))
            return true;
    return false;
}

static void put_refusal(struct openai_out *out, const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next) {
        if (p->kind != PART_REFUSAL)
            continue;
        json_kv_str(&out->w, "refusal", p->text);
        return;
    }
}

static void put_assistant(struct openai_out *out, const struct message *m) {
    bool refused = false;
    for (const struct part *p = m->parts; p; p = p->next)
        refused |= p->kind == PART_REFUSAL;
    put_content(out, m->parts, has_call(m) || refused);
    put_refusal(out, m);
    put_reasoning(out, m);
    put_calls(out, m);
}

// ---- tool results

static void put_result_content(struct openai_out *out, const struct part *content) {
    size_t texts = 0;
    for (const struct part *p = content; p; p = p->next)
        texts += p->kind == PART_TEXT || (p->kind == PART_DOCUMENT && p->text.n);
    json_key(&out->w, "content");
    if (texts <= 1) {
        struct slice text = SLICE("");
        for (const struct part *p = content; p; p = p->next)
            if ((p->kind == PART_TEXT || p->kind == PART_DOCUMENT) && p->text.p)
                text = p->text;
        json_put_str(&out->w, text);
        return;
    }
    json_arr(&out->w);
    for (const struct part *p = content; p; p = p->next)
        if (p->kind == PART_TEXT || (p->kind == PART_DOCUMENT && p->text.n))
            put_text_part(out, p);
    json_arr_end(&out->w);
}

static void put_result(struct openai_out *out, const struct part *p) {
    if (p->is_error)
        openai_say(out, SAID_IS_ERROR, "dropped", "is_error",
                   "this dialect tells errors by the text of the result only");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", "tool");
    json_kv_str(&out->w, "tool_call_id", p->id);
    if (p->name.p && own(out))
        json_kv_str(&out->w, "name", p->name);
    put_result_content(out, p->content);
    json_obj_end(&out->w);
}

static bool has_result(const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next)
        if (p->kind == PART_TOOL_RESULT)
            return true;
    return false;
}

static bool result_has_media(const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next)
        for (const struct part *inner = p->kind == PART_TOOL_RESULT ? p->content : NULL; inner; inner = inner->next)
            if (is_media(inner))
                return true;
    return false;
}

static void put_media_of(struct openai_out *out, const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next)
        for (const struct part *inner = p->kind == PART_TOOL_RESULT ? p->content : NULL; inner; inner = inner->next)
            if (is_media(inner))
                put_part(out, inner);
}

// The pictures of the results from `first` up to and including `last`.
static void put_moved_media(struct openai_out *out, const struct message *first, const struct message *last) {
    openai_say(out, SAID_MOVED, "approximated", "tool_result.content",
               "media inside a tool's result is sent as a user message behind it");
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", "user");
    json_key(&out->w, "content");
    json_arr(&out->w);
    for (const struct message *m = first;; m = m->next) {
        put_media_of(out, m);
        if (m == last)
            break;
    }
    json_arr_end(&out->w);
    json_obj_end(&out->w);
}

// ---- one message

static const char *role_text(const struct openai_out *out, const struct message *m) {
    switch (m->role) {
    case ROLE_SYSTEM:
        return m->developer && !(out->o->quirks & QUIRK_NO_DEVELOPER_ROLE) ? "developer" : "system";
    case ROLE_ASSISTANT:
        return "assistant";
    case ROLE_USER:
    case ROLE_TOOL:
        return "user";
    }
    return "user";
}

static void put_plain(struct openai_out *out, const struct message *m) {
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", role_text(out, m));
    if (m->name.p)
        json_kv_str(&out->w, "name", m->name);
    if (m->role == ROLE_ASSISTANT)
        put_assistant(out, m);
    else
        put_content(out, m->parts, false);
    json_obj_end(&out->w);
}

static void put_results(struct openai_out *out, const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next)
        if (p->kind == PART_TOOL_RESULT)
            put_result(out, p);
}

// /api/generate: the prompt is what the user says, in one message with the pictures that came with it (`with`, or NULL).
static void put_prompt(struct openai_out *out, const struct message *with) {
    const struct part prompt = {.kind = PART_TEXT, .text = out->r->prompt};
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", "user");
    if (with) {
        json_key(&out->w, "content");
        json_arr(&out->w);
        for (const struct part *p = with->parts; p; p = p->next)
            put_part(out, p);
        put_part(out, &prompt);
        json_arr_end(&out->w);
    } else {
        put_content(out, &prompt, false);
    }
    json_obj_end(&out->w);
}

void openai_put_messages(struct openai_out *out) {
    const struct message *moved = NULL; // since here, results hold media that is not written yet
    const struct message *with = NULL;  // what the prompt is joined to
    bool generate = out->r->op == OP_GENERATE && out->r->prompt.p;
    json_arr(&out->w);
    for (const struct message *m = out->r->messages; m; m = m->next) {
        if (generate && !m->next && m->role == ROLE_USER) {
            with = m;
            break;
        }
        bool results = has_result(m), said = first_content(m->parts) != NULL;
        put_results(out, m);
        if (!moved && result_has_media(m))
            moved = m;
        bool turn_ends = !m->next || !has_result(m->next) || said;
        if (moved && turn_ends) {
            put_moved_media(out, moved, m);
            moved = NULL;
        }
        if (!results || said)
            put_plain(out, m);
    }
    if (generate)
        put_prompt(out, with);
    json_arr_end(&out->w);
}
