// SPDX-License-Identifier: Apache-2.0
// `system` and `messages` of an Anthropic body → messages and parts. A content is a text or a list of blocks, and a tool's
// result holds such a content again. Blocks of kinds that others don't have (server tools and their results, files that
// lie with the provider, containers, compaction) stay opaque, with their source. Results of tools stay in the user's
// message, where this dialect has them; writers of other dialects take them out. All slices point into the tree or body.
#include "dialect/anthropic.h"
#include "base/limits.h"

static enum err read_content(struct field_reader *rd, const struct field_at *up, const char *name, bool needed,
                             struct part **first);

// ---- media

static enum err read_source(struct field_reader *rd, const struct field_at *at, struct part *p) {
    yyjson_val *v = NULL;
    struct slice type = SLICE_NONE;
    enum err e = field_obj(rd, at, "source", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, at, "source");
    const struct field_at source = FIELD_MEMBER(at, "source", v);
    e = field_str_needed(rd, &source, "type", &type);
    if (!e)
        e = field_str(rd, &source, "media_type", &p->media_type);
    if (e)
        return e;
    if (slice_is(type, "base64")) {
        e = field_str_needed(rd, &source, "data", &p->data);
        return e ? e : field_base64(rd, &source, "data", p->data);
    }
    if (slice_is(type, "url"))
        return field_str_needed(rd, &source, "url", &p->url);
    if (slice_is(type, "text")) // plain text, not base64
        return field_str_needed(rd, &source, "data", &p->text);
    p->kind = PART_OPAQUE; // a file that lies with the provider says nothing to others
    return ERR_OK;
}

static enum err read_document(struct field_reader *rd, const struct field_at *at, struct part *p) {
    p->kind = PART_DOCUMENT;
    enum err e = field_str(rd, at, "title", &p->name);
    return e ? e : read_source(rd, at, p);
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
    return e ? e : field_obj_src(rd, at, "input", &p->text);
}

static enum err read_tool_result(struct field_reader *rd, const struct field_at *at, struct part *p) {
    p->kind = PART_TOOL_RESULT;
    enum err e = field_str_needed(rd, at, "tool_use_id", &p->id);
    if (!e)
        e = field_bool(rd, at, "is_error", &p->is_error);
    return e ? e : read_content(rd, at, "content", false, &p->content);
}

// ---- blocks

static enum err read_block(struct field_reader *rd, const struct field_at *at, struct part *p) {
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
    if (slice_is(type, "tool_use"))
        return read_tool_use(rd, at, p);
    if (slice_is(type, "tool_result"))
        return read_tool_result(rd, at, p);
    if (slice_is(type, "thinking"))
        return read_thinking(rd, at, p);
    if (slice_is(type, "redacted_thinking"))
        return read_redacted(rd, at, p);
    if (slice_is(type, "document"))
        return read_document(rd, at, p);
    p->kind = slice_is(type, "image") ? PART_IMAGE : PART_OPAQUE;
    return p->kind == PART_IMAGE ? read_source(rd, at, p) : ERR_OK;
}

static enum err read_blocks(struct field_reader *rd, const struct field_at *up, const char *name, yyjson_val *list,
                            struct part **first) {
    yyjson_val *v;
    size_t i, n;
    struct part **tail = first;
    struct src_walk walk = src_walk_member(&rd->doc, up->val, name);
    const struct field_at arr = FIELD_MEMBER(up, name, list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct part *p = part_add(rd->a, &tail, PART_TEXT);
        if (!p)
            return field_no_memory(rd);
        p->src = src_walk_next(&walk);
        enum err e = read_block(rd, &at, p);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_content(struct field_reader *rd, const struct field_at *up, const char *name, bool needed,
                             struct part **first) {
    yyjson_val *v = yyjson_obj_get(up->val, name);
    if (!v || yyjson_is_null(v))
        return needed ? field_missing(rd, up, name) : ERR_OK;
    if (yyjson_is_arr(v))
        return read_blocks(rd, up, name, v, first);
    if (!yyjson_is_str(v))
        return field_wrong(rd, up, name, "a string or an array of blocks", v);
    struct part *p = part_add(rd->a, &first, PART_TEXT);
    if (!p)
        return field_no_memory(rd);
    p->text = json_str(v);
    return ERR_OK;
}

// ---- messages

static enum err read_system(struct field_reader *rd, const struct field_at *root, struct message ***tail) {
    yyjson_val *v = yyjson_obj_get(root->val, "system");
    if (!v || yyjson_is_null(v))
        return ERR_OK;
    struct message *m = message_add(rd->a, tail, ROLE_SYSTEM);
    if (!m)
        return field_no_memory(rd);
    return read_content(rd, root, "system", false, &m->parts);
}

static enum err read_message(struct field_reader *rd, const struct field_at *at, struct message *m) {
    struct slice role = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "role", &role);
    if (e)
        return e;
    if (slice_is(role, "user"))
        m->role = ROLE_USER;
    else if (slice_is(role, "assistant"))
        m->role = ROLE_ASSISTANT;
    else if (slice_is(role, "system"))
        m->role = ROLE_SYSTEM;
    else
        return field_refuse(rd, at, "role", ERR_BAD_FIELD, "expected user or assistant");
    return read_content(rd, at, "content", true, &m->parts);
}

enum err anthropic_read_messages(struct field_reader *rd, const struct field_at *root, struct request *r) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
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
