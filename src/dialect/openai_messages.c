// SPDX-License-Identifier: Apache-2.0
// The messages of a chat completions body → messages and parts. A content is a text or a list of parts; what an assistant
// said beside it (reasoning_content, refusal, tool_calls) becomes parts of the same message, in the order in which it came
// about: thinking, text, refusal, calls. Kinds of parts that we do not know stay opaque, with their source. All slices
// point into the tree or the body.
#include "dialect/openai.h"
#include "base/limits.h"

struct parts_out {
    struct field_reader *rd;
    struct part **tail;
};

static enum err add_part(struct parts_out *out, enum part_kind kind, struct part **ret) {
    *ret = part_add(out->rd->a, &out->tail, kind);
    return *ret ? ERR_OK : field_no_memory(out->rd);
}

static enum err add_text(struct parts_out *out, enum part_kind kind, struct slice text) {
    struct part *p;
    enum err e = add_part(out, kind, &p);
    if (!e)
        p->text = text;
    return e;
}

// ---- one part

static enum err read_media(struct field_reader *rd, const struct field_at *at, const char *name, struct slice url,
                           struct part *p) {
    if (data_url_split(url, &p->media_type, &p->data))
        return field_base64(rd, at, name, p->data);
    p->url = url;
    return ERR_OK;
}

static enum err read_image(struct field_reader *rd, const struct field_at *at, struct part *p) {
    yyjson_val *v = yyjson_obj_get(at->val, "image_url");
    struct slice url = SLICE_NONE;
    p->kind = PART_IMAGE;
    if (yyjson_is_str(v)) // some clients leave the object out
        return read_media(rd, at, "image_url", json_str(v), p);
    enum err e = field_obj(rd, at, "image_url", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, at, "image_url");
    const struct field_at image = FIELD_MEMBER(at, "image_url", v);
    e = field_str_needed(rd, &image, "url", &url);
    if (!e)
        e = field_str(rd, &image, "detail", &p->detail);
    return e ? e : read_media(rd, &image, "url", url, p);
}

static enum err read_audio(struct field_reader *rd, const struct field_at *at, struct part *p) {
    yyjson_val *v = NULL;
    struct slice format = SLICE_NONE;
    p->kind = PART_AUDIO;
    enum err e = field_obj(rd, at, "input_audio", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, at, "input_audio");
    const struct field_at audio = FIELD_MEMBER(at, "input_audio", v);
    e = field_str_needed(rd, &audio, "data", &p->data);
    if (!e)
        e = field_str_needed(rd, &audio, "format", &format);
    if (e)
        return e;
    if (slice_is(format, "mp3"))
        p->media_type = SLICE("audio/mpeg");
    else
        p->media_type = slice_str(arena_printf(rd->a, "audio/%.*s", SLICE_FMT(format)));
    return p->media_type.p ? ERR_OK : field_no_memory(rd);
}

static enum err read_file(struct field_reader *rd, const struct field_at *at, struct part *p) {
    yyjson_val *v = NULL;
    struct slice data = SLICE_NONE, id = SLICE_NONE;
    enum err e = field_obj(rd, at, "file", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, at, "file");
    const struct field_at file = FIELD_MEMBER(at, "file", v);
    e = field_str(rd, &file, "file_data", &data);
    if (!e)
        e = field_str(rd, &file, "filename", &p->name);
    if (!e)
        e = field_str(rd, &file, "file_id", &id);
    if (e)
        return e;
    if (!data.p) { // a file that lies with the provider says nothing to others
        p->kind = PART_OPAQUE;
        return ERR_OK;
    }
    p->kind = PART_DOCUMENT;
    if (!data_url_split(data, &p->media_type, &p->data)) {
        if (slice_starts(data, "http"))
            p->url = data;
        else
            p->data = data;
    }
    return ERR_OK;
}

// Mistral's {"type": "thinking", "thinking": [{"type": "text", "text": …}]}
static enum err read_thinking(struct field_reader *rd, const struct field_at *at, struct part *p) {
    yyjson_val *list = yyjson_obj_get(at->val, "thinking");
    p->kind = PART_THINK;
    p->text = yyjson_is_str(list) ? json_str(list) : json_get_str(yyjson_arr_get_first(list), "text");
    if (!p->text.p)
        return field_wrong(rd, at, "thinking", "a string or a list of texts", list);
    return ERR_OK;
}

static enum err read_part(struct field_reader *rd, const struct field_at *at, struct part *p) {
    struct slice type = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "type", &type);
    if (!e)
        e = field_obj_src(rd, at, "cache_control", &p->cache_control);
    if (e)
        return e;
    if (slice_is(type, "text"))
        return field_str_needed(rd, at, "text", &p->text);
    if (slice_is(type, "image_url"))
        return read_image(rd, at, p);
    if (slice_is(type, "input_audio"))
        return read_audio(rd, at, p);
    if (slice_is(type, "file"))
        return read_file(rd, at, p);
    if (slice_is(type, "thinking"))
        return read_thinking(rd, at, p);
    p->kind = slice_is(type, "refusal") ? PART_REFUSAL : PART_OPAQUE;
    return p->kind == PART_REFUSAL ? field_str_needed(rd, at, "refusal", &p->text) : ERR_OK;
}

static enum err read_part_list(struct parts_out *out, const struct field_at *msg, yyjson_val *list) {
    yyjson_val *v;
    size_t i, n;
    struct src_walk walk = src_walk_member(&out->rd->doc, msg->val, "content");
    const struct field_at arr = FIELD_MEMBER(msg, "content", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct part *p;
        enum err e = add_part(out, PART_TEXT, &p);
        if (e)
            return e;
        p->src = src_walk_next(&walk);
        e = read_part(out->rd, &at, p);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_content(struct parts_out *out, const struct field_at *msg, bool needed) {
    yyjson_val *v = yyjson_obj_get(msg->val, "content");
    if (!v || yyjson_is_null(v))
        return needed ? field_missing(out->rd, msg, "content") : ERR_OK;
    if (yyjson_is_str(v))
        return add_text(out, PART_TEXT, json_str(v));
    if (yyjson_is_arr(v))
        return read_part_list(out, msg, v);
    return field_wrong(out->rd, msg, "content", "a string or an array", v);
}

// ---- what an assistant said

static enum err read_call(struct parts_out *out, const struct field_at *at, struct slice id) {
    struct part *p;
    enum err e = add_part(out, PART_TOOL_CALL, &p);
    if (e)
        return e;
    p->id = id;
    e = field_str_needed(out->rd, at, "name", &p->name);
    return e ? e : field_str(out->rd, at, "arguments", &p->text);
}

static enum err read_tool_call(struct parts_out *out, const struct field_at *at) {
    struct slice id = SLICE_NONE, type = SLICE("function");
    yyjson_val *function = NULL;
    if (!yyjson_is_obj(at->val))
        return field_wrong(out->rd, at, NULL, "an object", at->val);
    enum err e = field_str(out->rd, at, "type", &type);
    if (!e)
        e = field_str_needed(out->rd, at, "id", &id);
    if (!e)
        e = field_obj(out->rd, at, "function", &function);
    if (e)
        return e;
    if (!slice_is(type, "function")) {
        struct part *opaque;
        e = add_part(out, PART_OPAQUE, &opaque);
        if (!e)
            opaque->id = id; // tells it from an opaque part of the content
        return e;
    }
    if (!function)
        return field_missing(out->rd, at, "function");
    const struct field_at inner = FIELD_MEMBER(at, "function", function);
    return read_call(out, &inner, id);
}

static enum err read_tool_calls(struct parts_out *out, const struct field_at *msg) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(out->rd, msg, "tool_calls", &list);
    if (e || !list)
        return e;
    const struct field_at arr = FIELD_MEMBER(msg, "tool_calls", list);
    struct src_walk walk = src_walk_member(&out->rd->doc, msg->val, "tool_calls");
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct part **mine = out->tail;
        e = read_tool_call(out, &at);
        if (e)
            return e;
        (*mine)->src = src_walk_next(&walk);
    }
    return ERR_OK;
}

// The old function_call had no id; its result names the function, so the name makes the id on both sides.
static struct slice function_call_id(struct field_reader *rd, struct slice name) {
    return slice_str(arena_printf(rd->a, "call_%.*s", SLICE_FMT(name)));
}

static enum err read_function_call(struct parts_out *out, const struct field_at *msg) {
    yyjson_val *v = NULL;
    enum err e = field_obj(out->rd, msg, "function_call", &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(msg, "function_call", v);
    struct slice id = function_call_id(out->rd, json_get_str(v, "name"));
    return id.p ? read_call(out, &at, id) : field_no_memory(out->rd);
}

static enum err read_reasoning(struct parts_out *out, const struct field_at *msg) {
    struct slice text = SLICE_NONE;
    enum err e = field_str(out->rd, msg, "reasoning", &text);
    if (!e)
        e = field_str(out->rd, msg, "reasoning_content", &text);
    return e || !text.n ? e : add_text(out, PART_THINK, text);
}

static enum err read_assistant(struct parts_out *out, const struct field_at *msg) {
    struct slice refusal = SLICE_NONE;
    enum err e = read_reasoning(out, msg);
    if (!e)
        e = read_content(out, msg, false);
    if (!e)
        e = field_str(out->rd, msg, "refusal", &refusal);
    if (!e && refusal.n)
        e = add_text(out, PART_REFUSAL, refusal);
    if (!e)
        e = read_tool_calls(out, msg);
    return e ? e : read_function_call(out, msg);
}

// ---- a tool's result

static enum err read_result(struct parts_out *out, const struct field_at *msg, struct message *m, bool old) {
    struct part *p;
    enum err e = add_part(out, PART_TOOL_RESULT, &p);
    if (e)
        return e;
    p->name = m->name;
    if (old) {
        p->id = function_call_id(out->rd, m->name);
        if (!p->id.p)
            return field_no_memory(out->rd);
    } else {
        e = field_str_needed(out->rd, msg, "tool_call_id", &p->id);
    }
    struct parts_out inner = {out->rd, &p->content};
    m->name = SLICE_NONE; // the result's, not a speaker's
    return e ? e : read_content(&inner, msg, true);
}

// ---- one message

static bool role_of(struct slice s, struct message *m) {
    m->developer = slice_is(s, "developer");
    if (m->developer || slice_is(s, "system"))
        m->role = ROLE_SYSTEM;
    else if (slice_is(s, "user"))
        m->role = ROLE_USER;
    else if (slice_is(s, "assistant"))
        m->role = ROLE_ASSISTANT;
    else if (slice_is(s, "tool") || slice_is(s, "function"))
        m->role = ROLE_TOOL;
    else
        return false;
    return true;
}

static enum err read_message(struct field_reader *rd, const struct field_at *at, struct message *m) {
    struct slice role = SLICE_NONE;
    struct parts_out out = {rd, &m->parts};
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "role", &role);
    if (!e)
        e = field_str(rd, at, "name", &m->name);
    if (e)
        return e;
    if (!role_of(role, m))
        return field_refuse(rd, at, "role", ERR_BAD_FIELD, "expected system, developer, user, assistant or tool");
    if (m->role == ROLE_ASSISTANT)
        return read_assistant(&out, at);
    if (m->role == ROLE_TOOL)
        return read_result(&out, at, m, slice_is(role, "function"));
    return read_content(&out, at, true);
}

enum err openai_read_messages(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, root, "messages", &list);
    if (e)
        return e;
    if (!list)
        return field_missing(rd, root, "messages");
    if (yyjson_arr_size(list) == 0 || yyjson_arr_size(list) > LIMIT_MESSAGES)
        return field_refuse(rd, root, "messages", ERR_BAD_FIELD,
                            yyjson_arr_size(list) ? "there are too many messages" : "at least one message is needed");
    struct message **tail = &r->messages;
    struct src_walk walk = src_walk_member(&rd->doc, root->val, "messages");
    const struct field_at arr = FIELD_MEMBER(root, "messages", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct message *m = message_add(rd->a, &tail, ROLE_USER);
        if (!m)
            return field_no_memory(rd);
        m->src = src_walk_next(&walk);
        e = read_message(rd, &at, m);
        if (e)
            return e;
    }
    return ERR_OK;
}
