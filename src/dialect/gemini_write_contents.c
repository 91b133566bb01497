// SPDX-License-Identifier: Apache-2.0
// Messages of the inner form → "systemInstruction" and "contents" of a Gemini body. System messages of other dialects,
// wherever they stand, are collected in front; messages of one role in a row become one content. Results of tools are
// objects with the function's name, which is looked up where the client's dialect gives only the call's id; pictures that
// a tool gave back follow in a content of their own. A model that thinks refuses a call of its own past without its
// signature, so a call from elsewhere gets the one that Google publishes for that. What has no place leaves a note.
#include "dialect/carry.h"
#include "dialect/gemini.h"

// base64 of "skip_thought_signature_validator" (Google's guide to thought signatures)
#define SKIP_VALIDATOR "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="

static bool is_own(const struct gemini_out *out, const struct part *p) {
    return carry_made_by(out->r, p, DIALECT_GEMINI);
}

// ---- contents and their parts

static void close_content(struct gemini_out *out) {
    if (out->open < 0)
        return;
    json_arr_end(&out->w);
    json_obj_end(&out->w);
    out->open = -1;
}

static void open_content(struct gemini_out *out, enum role role) {
    if (out->open == (int)role)
        return;
    close_content(out);
    json_obj(&out->w);
    json_kv_cstr(&out->w, "role", role == ROLE_ASSISTANT ? "model" : "user");
    json_key(&out->w, "parts");
    json_arr(&out->w);
    out->open = (int)role;
}

static void put_signature(struct gemini_out *out, const struct part *p) {
    if (!p->signature.n)
        return;
    if (is_own(out, p))
        json_kv_str(&out->w, "thoughtSignature", p->signature);
    else
        gemini_say(out, GEM_SAID_SIGNATURE, "dropped", "signature", "another provider's, which this one would refuse");
}

static void put_text(struct gemini_out *out, const struct part *p) {
    json_obj(&out->w);
    json_kv_str(&out->w, "text", p->text.p ? p->text : SLICE(""));
    if (p->kind == PART_THINK)
        json_kv_bool(&out->w, "thought", true);
    put_signature(out, p);
    json_obj_end(&out->w);
}

static void put_inline(struct gemini_out *out, const struct part *p, const char *otherwise) {
    json_obj(&out->w);
    json_key(&out->w, "inlineData");
    json_obj(&out->w);
    json_kv_str(&out->w, "mimeType", p->media_type.n ? p->media_type : slice_str(otherwise));
    json_kv_str(&out->w, "data", p->data);
    if (p->name.p && !out->foreign)
        json_kv_str(&out->w, "displayName", p->name);
    json_obj_end(&out->w);
    json_obj_end(&out->w);
}

static void put_uri(struct gemini_out *out, const struct part *p) {
    json_obj(&out->w);
    json_key(&out->w, "fileData");
    json_obj(&out->w);
    json_kv_str(&out->w, "fileUri", p->url);
    if (p->media_type.n)
        json_kv_str(&out->w, "mimeType", p->media_type);
    json_obj_end(&out->w);
    json_obj_end(&out->w);
}

static void put_media(struct gemini_out *out, const struct part *p, const char *otherwise) {
    if (p->detail.n)
        gemini_say(out, GEM_SAID_DETAIL, "dropped", "image_url.detail", "this dialect has no such parameter");
    if (p->kind == PART_DOCUMENT && p->text.n) {
        gemini_say(out, GEM_SAID_MEDIA, "approximated", "document", "a text document is sent as text");
        put_text(out, p);
    } else if (p->data.p) {
        put_inline(out, p, otherwise);
    } else {
        put_uri(out, p);
    }
}

bool gemini_put_arguments(struct json_writer *w, struct arena *a, struct slice arguments) {
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

static void put_call(struct gemini_out *out, const struct part *p, bool first) {
    struct json_writer *w = &out->w;
    json_obj(w);
    json_key(w, "functionCall");
    json_obj(w);
    json_kv_str(w, "id", p->id);
    json_kv_str(w, "name", p->name);
    json_key(w, "args");
    if (!gemini_put_arguments(w, out->a, p->text))
        gemini_say(out, GEM_SAID_ARGUMENTS, "approximated", "tool_calls.function.arguments",
                   "they are no JSON object, and this dialect takes nothing else");
    json_obj_end(w);
    put_signature(out, p);
    if (first && (out->foreign || !is_own(out, p)) && (!p->signature.n || !is_own(out, p))) {
        gemini_say(out, GEM_SAID_VALIDATOR, "added", "thoughtSignature",
                   "the call was not this provider's: its check of signatures is told to pass it");
        json_kv_cstr(w, "thoughtSignature", SKIP_VALIDATOR);
    }
    json_obj_end(w);
}

// ---- results

static struct slice function_of(const struct gemini_out *out, const struct part *result) {
    if (result->name.n)
        return result->name;
    for (const struct message *m = out->r->messages; m; m = m->next)
        for (const struct part *p = m->parts; p; p = p->next)
            if (p->kind == PART_TOOL_CALL && slice_eq(p->id, result->id))
                return p->name;
    return SLICE("unknown"); // a result without its call; the name is required
}

static bool is_text(const struct part *p) {
    return p->kind == PART_TEXT || (p->kind == PART_DOCUMENT && p->text.n);
}

static bool is_media(const struct part *p) {
    return (p->kind == PART_IMAGE || p->kind == PART_AUDIO || p->kind == PART_DOCUMENT) && (p->data.p || p->url.p);
}

static struct slice result_text(struct gemini_out *out, const struct part *p) {
    struct buf all = BUF_INIT(SIZE_MAX / 2);
    struct slice text = SLICE("");
    size_t n = 0;
    for (const struct part *inner = p->content; inner; inner = inner->next) {
        if (!is_text(inner))
            continue;
        text = inner->text;
        n++;
        buf_append(&all, text);
    }
    if (n > 1 && buf_into_arena(&all, out->a, &text))
        out->w.out->failed = true;
    buf_done(&all);
    return text;
}

// Google reads "output" and "error", or else the whole object, as what the function said.
static void put_output(struct gemini_out *out, const struct part *p) {
    struct slice text = result_text(out, p), object = text.n ? arguments_object(out->a, text) : SLICE_NONE;
    json_key(&out->w, "response");
    if (object.p && !p->is_error) {
        json_put_raw(&out->w, object);
        return;
    }
    json_obj(&out->w);
    json_kv_str(&out->w, p->is_error ? "error" : "output", text);
    json_obj_end(&out->w);
}

static void put_own_media(struct gemini_out *out, const struct part *p) {
    bool open = false;
    for (const struct part *inner = p->content; inner; inner = inner->next) {
        if (is_text(inner))
            continue;
        if (!open) {
            json_key(&out->w, "parts");
            json_arr(&out->w);
        }
        open = true;
        if (is_media(inner))
            put_media(out, inner, "image/png");
        else if (inner->src.p)
            json_put_raw(&out->w, inner->src);
    }
    if (open)
        json_arr_end(&out->w);
}

static void put_result(struct gemini_out *out, const struct part *p) {
    json_obj(&out->w);
    json_key(&out->w, "functionResponse");
    json_obj(&out->w);
    json_kv_str(&out->w, "id", p->id);
    json_kv_str(&out->w, "name", function_of(out, p));
    put_output(out, p);
    if (!out->foreign)
        put_own_media(out, p);
    json_obj_end(&out->w);
    json_obj_end(&out->w);
}

static void put_moved_media(struct gemini_out *out, const struct message *m) {
    for (const struct part *p = m->parts; p; p = p->next) {
        for (const struct part *inner = p->kind == PART_TOOL_RESULT ? p->content : NULL; inner; inner = inner->next) {
            if (!is_media(inner))
                continue;
            gemini_say(out, GEM_SAID_MOVED, "approximated", "tool_result.content",
                       "media inside a tool's result is sent as a content behind it");
            open_content(out, ROLE_USER);
            put_media(out, inner, "image/png");
        }
    }
}

// ---- any part

static bool can_write_thinking(struct gemini_out *out, const struct part *p) {
    if (!out->foreign && is_own(out, p))
        return true;
    if (is_own(out, p) && p->signature.n)
        return true; // carried by the client
    if (p->signature.n || p->redacted)
        gemini_say(out, GEM_SAID_SIGNATURE, "dropped", "signature", "another provider's, which this one would refuse");
    gemini_say(out, GEM_SAID_THINK, "dropped", "thinking", "without a signature this dialect does not take it back");
    return false;
}

// Says what is dropped.
static bool can_write(struct gemini_out *out, const struct part *p) {
    if (p->cache_control.p)
        gemini_say(out, GEM_SAID_CACHE, "dropped", "cache_control", "this dialect caches prompts on its own");
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        return p->text.n || (!out->foreign && is_own(out, p));
    case PART_IMAGE:
    case PART_AUDIO:
    case PART_DOCUMENT:
        if (!p->data.p && !p->url.p && !p->text.n)
            gemini_say(out, GEM_SAID_MEDIA, "dropped", "document", "it lies with another provider");
        return p->data.p || p->url.p || p->text.n;
    case PART_THINK:
        return can_write_thinking(out, p);
    case PART_TOOL_CALL:
    case PART_TOOL_RESULT:
        return true;
    case PART_OPAQUE:
        if (out->foreign || !p->src.p)
            gemini_say(out, GEM_SAID_OPAQUE, "dropped", "content", "a part that only another dialect knows");
        return !out->foreign && p->src.p;
    }
    return false;
}

static void put_part(struct gemini_out *out, const struct part *p, bool first_call) {
    switch (p->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
    case PART_THINK:
        put_text(out, p);
        return;
    case PART_IMAGE:
        put_media(out, p, "image/png");
        return;
    case PART_AUDIO:
        put_media(out, p, "audio/wav");
        return;
    case PART_DOCUMENT:
        put_media(out, p, "application/pdf");
        return;
    case PART_TOOL_CALL:
        put_call(out, p, first_call);
        return;
    case PART_TOOL_RESULT:
        put_result(out, p);
        return;
    case PART_OPAQUE:
        json_put_raw(&out->w, p->src);
        return;
    }
}

// ---- system

static void put_system(struct gemini_out *out) {
    bool any = false, turn = false;
    for (const struct message *m = out->r->messages; m; m = m->next) {
        turn |= m->role != ROLE_SYSTEM;
        if (m->role == ROLE_SYSTEM && turn)
            gemini_say(out, GEM_SAID_SYSTEM, "approximated", "messages",
                       "system messages between turns are sent in front");
        for (const struct part *p = m->role == ROLE_SYSTEM ? m->parts : NULL; p; p = p->next) {
            if (!can_write(out, p) || p->kind == PART_THINK || p->kind == PART_TOOL_CALL || p->kind == PART_TOOL_RESULT)
                continue;
            if (!any) {
                json_key(&out->w, "systemInstruction");
                json_obj(&out->w);
                json_key(&out->w, "parts");
                json_arr(&out->w);
            }
            any = true;
            put_part(out, p, false);
        }
    }
    if (!any)
        return;
    json_arr_end(&out->w);
    json_obj_end(&out->w);
}

// A conversation must have a turn: a system text alone becomes the user's.
static bool only_system(const struct gemini_out *out) {
    bool any = false;
    for (const struct message *m = out->r->messages; m; m = m->next) {
        if (m->role != ROLE_SYSTEM)
            return false;
        any |= m->parts != NULL;
    }
    return any && !out->r->prompt.n;
}

// ---- messages

static bool has_results(const struct message *m) {
    for (const struct part *p = m ? m->parts : NULL; p; p = p->next)
        if (p->kind == PART_TOOL_RESULT)
            return true;
    return false;
}

static void put_parts(struct gemini_out *out, const struct message *m, bool results) {
    bool first_call = true;
    for (const struct part *p = m->parts; p; p = p->next) {
        if ((out->foreign && (p->kind == PART_TOOL_RESULT) != results) || !can_write(out, p))
            continue;
        open_content(out, m->role == ROLE_ASSISTANT ? ROLE_ASSISTANT : ROLE_USER);
        put_part(out, p, first_call);
        first_call &= p->kind != PART_TOOL_CALL;
    }
}

static void put_foreign(struct gemini_out *out, const struct message *m, const struct message **moved) {
    put_parts(out, m, true);
    if (has_results(m) && !*moved)
        *moved = m;
    if (*moved && !has_results(m->next)) {
        for (const struct message *at = *moved; at != m->next; at = at->next) {
            if (at == *moved)
                close_content(out); // what the tools said must stand alone
            put_moved_media(out, at);
        }
        *moved = NULL;
    }
    put_parts(out, m, false);
}

void gemini_put_contents(struct gemini_out *out) {
    const struct message *moved = NULL; // since here, results hold media that is not written yet
    bool alone = only_system(out);
    if (alone)
        gemini_say(out, GEM_SAID_SYSTEM, "approximated", "messages", "a system message alone became the user's");
    else
        put_system(out);
    out->open = -1;
    json_key(&out->w, "contents");
    json_arr(&out->w);
    for (const struct message *m = out->r->messages; m; m = m->next) {
        if (m->role == ROLE_SYSTEM && !alone)
            continue;
        if (m->name.p)
            gemini_say(out, GEM_SAID_NAME, "dropped", "messages.name", "this dialect does not name speakers");
        if (out->foreign) {
            put_foreign(out, m, &moved);
            continue;
        }
        close_content(out); // two of one role in a row stay two
        if (!m->parts)
            open_content(out, m->role == ROLE_ASSISTANT ? ROLE_ASSISTANT : ROLE_USER);
        put_parts(out, m, false);
    }
    if (out->r->op == OP_GENERATE && out->r->prompt.n) {
        open_content(out, ROLE_USER);
        put_text(out, &(struct part){.kind = PART_TEXT, .text = out->r->prompt});
    }
    close_content(out);
    json_arr_end(&out->w);
}
