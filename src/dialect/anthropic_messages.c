// SPDX-License-Identifier: Apache-2.0
// "system" and "messages" of a Messages body → messages and parts. The system text becomes a message in front. Tool results
// stay parts of the user's message, where this dialect puts them. Kinds of blocks that we do not know, and media that lies
// with the provider, stay opaque with their source. All slices point into the tree or the body.
#include "dialect/anthropic.h"
#include "base/limits.h"

static enum err read_blocks(struct field_reader *rd, const struct field_at *obj, const char *name, bool may_nest,
                            struct part **first);

// ---- media

static enum err read_text_source(struct field_reader *rd, const struct field_at *source, struct part *p) {
    p->media_type = SLICE_NONE;
    return field_str_needed(rd, source, "data", &p->text);
}

static enum err read_media(struct field_reader *rd, const struct field_at *at, struct part *p, enum part_kind kind) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, at, "source", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, at, "source");
    const struct field_at source = FIELD_MEMBER(at, "source", v);
    e = field_str_needed(rd, &source, "type", &type);
    if (e)
        return e;
    p->kind = kind;
    if (slice_is(type, "base64")) {
        e = field_str_needed(rd, &source, "media_type", &p->media_type);
        return e ? e : field_str_needed(rd, &source, "data", &p->data);
    }
    if (slice_is(type, "url"))
        return field_str_needed(rd, &source, "url", &p->url);
    if (slice_is(type, "text") && kind == PART_DOCUMENT)
        return read_text_source(rd, &source, p);
    p->kind = PART_OPAQUE; // a file with the provider, or parts of its own
    return ERR_OK;
}

static enum err read_document(struct field_reader *rd, const struct field_at *at, struct part *p) {
    enum err e = read_media(rd, at, p, PART_DOCUMENT);
    return e || p->kind == PART_OPAQUE ? e : field_str(rd, at, "title", &p->name);
}

// ---- thinking and tools

static enum err read_thinking(struct field_reader *rd, const struct field_at *at, struct part *p) {
    p->kind = PART_THINK;
    enum err e = field_str_needed(rd, at, "thinking", &p->text);
    return e ? e : field_str(rd, at, "signature", &p->signature);
}

static enum err read_redacted(struct field_reader *rd, const struct field_at *at, struct part *p) {
    p->kind = PART_THINK;
    p->redacted = true;
    return field_str_needed(rd, at, "data", &p->data);
}

static enum err read_tool_use(struct field_reader *rd, const struct field_at *at, struct part *p) {
    p->kind = PART_TOOL_CALL;
    enum err e = field_str_needed(rd, at, "id", &p->id);
    if (!e)
        e = field_str_needed(rd, at, "name", &p->name);
    if (!e)
        e = field_obj_src(rd, at, "input", &p->text);
    if (e)
        return e;
    return p->text.p ? ERR_OK : field_missing(rd, at, "input");
}

static enum err read_tool_result(struct field_reader *rd, const struct field_at *at, struct part *p) {
    p->kind = PART_TOOL_RESULT;
    enum err e = field_str_needed(rd, at, "tool_use_id", &p->id);
    if (!e)
        e = field_bool(rd, at, "is_error", &p->is_error);
    return e ? e : read_blocks(rd, at, "content", false, &p->content);
}

// ---- one block

static const struct block_type {
    const char *name;
    enum err (*read)(struct field_reader *rd, const struct field_at *at, struct part *p);
} tool_types[] = {
    {"thinking", read_thinking},
    {"redacted_thinking", read_redacted},
    {"tool_use", read_tool_use},
    {"tool_result", read_tool_result},
};

static enum err read_block(struct field_reader *rd, const struct field_at *at, bool may_nest, struct part *p) {
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
    if (slice_is(type, "image"))
        return read_media(rd, at, p, PART_IMAGE);
    if (slice_is(type, "document"))
        return read_document(rd, at, p);
    for (size_t i = 0; may_nest && i < sizeof tool_types / sizeof tool_types[0]; i++)
        if (slice_is(type, tool_types[i].name))
            return tool_types[i].read(rd, at, p);
    p->kind = PART_OPAQUE;
    return ERR_OK;
}

static enum err read_block_list(struct field_reader *rd, const struct field_at *arr, struct slice src, bool may_nest,
                                struct part **first) {
    yyjson_val *v;
    size_t i, n;
    struct part **tail = first;
    struct src_walk walk = src_walk_array(src);
    yyjson_arr_foreach(arr->val, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(arr, i, v);
        struct part *p = part_add(rd->a, &tail, PART_TEXT);
        if (!p)
            return field_no_memory(rd);
        p->src = src_walk_next(&walk);
        enum err e = read_block(rd, &at, may_nest, p);
        if (e)
            return e;
    }
    return ERR_OK;
}

// A text, or a list of blocks. Absent gives no parts.
static enum err read_blocks(struct field_reader *rd, const struct field_at *obj, const char *name, bool may_nest,
                            struct part **first) {
    yyjson_val *v = yyjson_obj_get(obj->val, name);
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    if (yyjson_is_str(v)) {
        struct part **tail = first, *p = part_add(rd->a, &tail, PART_TEXT);
        if (!p)
            return field_no_memory(rd);
        p->text = json_str(v);
        return ERR_OK;
    }
    if (!yyjson_is_arr(v))
        return field_wrong(rd, obj, name, "a string or an array", v);
    const struct field_at arr = FIELD_MEMBER(obj, name, v);
    return read_block_list(rd, &arr, json_get_src(&rd->doc, obj->val, name), may_nest, first);
}

// ---- messages

static enum err read_message(struct field_reader *rd, const struct field_at *at, struct message *m) {
    struct slice role = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "role", &role);
    if (e)
        return e;
    if (slice_is(role, "assistant"))
        m->role = ROLE_ASSISTANT;
    else if (slice_is(role, "system")) // newer models take it between turns
        m->role = ROLE_SYSTEM;
    else if (!slice_is(role, "user"))
        return field_refuse(rd, at, "role", ERR_BAD_FIELD, "expected user or assistant");
    yyjson_val *content = yyjson_obj_get(at->val, "content");
    if (!content || yyjson_is_null(content))
        return field_missing(rd, at, "content");
    return read_blocks(rd, at, "content", true, &m->parts);
}

static enum err read_message_list(struct field_reader *rd, const struct field_at *arr, struct slice src,
                                  struct message ***tail) {
    yyjson_val *v;
    size_t i, n;
    struct src_walk walk = src_walk_array(src);
    yyjson_arr_foreach(arr->val, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(arr, i, v);
        struct message *m = message_add(rd->a, tail, ROLE_USER);
        if (!m)
            return field_no_memory(rd);
        m->src = src_walk_next(&walk);
        enum err e = read_message(rd, &at, m);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_system(struct field_reader *rd, const struct field_at *root, struct message ***tail) {
    struct part *parts = NULL;
    enum err e = read_blocks(rd, root, "system", false, &parts);
    if (e || !parts)
        return e;
    struct message *m = message_add(rd->a, tail, ROLE_SYSTEM);
    if (!m)
        return field_no_memory(rd);
    m->parts = parts;
    return ERR_OK;
}

enum err anthropic_read_messages(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL;
    struct message **tail = &r->messages;
    enum err e = read_system(rd, root, &tail);
    if (!e)
        e = field_arr(rd, root, "messages", &list);
    if (e)
        return e;
    if (!list)
        return field_missing(rd, root, "messages");
    if (yyjson_arr_size(list) == 0 || yyjson_arr_size(list) > LIMIT_MESSAGES)
        return field_refuse(rd, root, "messages", ERR_BAD_FIELD,
                            yyjson_arr_size(list) ? "there are too many messages" : "at least one message is needed");
    const struct field_at arr = FIELD_MEMBER(root, "messages", list);
    return read_message_list(rd, &arr, json_get_src(&rd->doc, root->val, "messages"), &tail);
}
