// SPDX-License-Identifier: Apache-2.0
// `instructions` and `input` of a responses body → messages and parts. The wire is a flat list of items; what the model
// said in one turn (reasoning, message, calls) is gathered into one message of the assistant, in its order, and each
// result becomes a message of its own, as the chat dialects have them. Items that only this dialect has (server tools and
// their results, compaction, custom tools) stay opaque parts with their source and a name that says so. References to
// stored items are refused, as nothing is stored. All slices point into the tree or the body.
#include "dialect/responses.h"
#include "base/limits.h"

struct reading {
    struct field_reader *rd;
    struct message **tail;
    struct message *turn; // the assistant's, while it goes on
    struct part **turn_tail;
};

// ---- parts of a content

static enum err read_image(struct field_reader *rd, const struct field_at *at, struct part *p) {
    struct slice url = SLICE_NONE, file = SLICE_NONE;
    enum err e = field_str(rd, at, "image_url", &url);
    if (!e)
        e = field_str(rd, at, "file_id", &file);
    if (!e)
        e = field_str(rd, at, "detail", &p->detail);
    if (e)
        return e;
    p->kind = PART_IMAGE;
    if (slice_is(p->detail, "auto"))
        p->detail = SLICE_NONE; // the default
    if (!url.p && file.p)
        p->kind = PART_OPAQUE; // what lies with the provider says nothing to others
    else if (!url.p)
        return field_missing(rd, at, "image_url");
    else if (data_url_split(url, &p->media_type, &p->data))
        return field_base64(rd, at, "image_url", p->data);
    else
        p->url = url;
    return ERR_OK;
}

static enum err read_file(struct field_reader *rd, const struct field_at *at, struct part *p) {
    struct slice data = SLICE_NONE, file = SLICE_NONE, url = SLICE_NONE;
    enum err e = field_str(rd, at, "file_data", &data);
    if (!e)
        e = field_str(rd, at, "file_url", &url);
    if (!e)
        e = field_str(rd, at, "filename", &p->name);
    if (!e)
        e = field_str(rd, at, "file_id", &file);
    if (e)
        return e;
    p->kind = data.p || url.p ? PART_DOCUMENT : PART_OPAQUE;
    if (p->kind == PART_OPAQUE)
        return file.p ? ERR_OK : field_missing(rd, at, "file_data");
    p->url = url;
    if (data.p && !data_url_split(data, &p->media_type, &p->data))
        p->data = data;
    return data.p ? field_base64(rd, at, "file_data", p->data) : ERR_OK;
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
    if (!e)
        e = field_base64(rd, &audio, "data", p->data);
    if (e)
        return e;
    p->media_type =
        slice_is(format, "mp3") ? SLICE("audio/mpeg") : slice_str(arena_printf(rd->a, "audio/%.*s", SLICE_FMT(format)));
    return p->media_type.p ? ERR_OK : field_no_memory(rd);
}

static enum err read_part(struct field_reader *rd, const struct field_at *at, struct part *p) {
    static const struct field_type of_text[] = {{"annotations", 'a'}, {"logprobs", 'a'}, {NULL, 0}};
    struct slice type = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = field_str_needed(rd, at, "type", &type);
    if (e)
        return e;
    if (slice_is(type, "input_text") || slice_is(type, "output_text") || slice_is(type, "text")) {
        e = field_types(rd, at, of_text);
        return e ? e : field_str_needed(rd, at, "text", &p->text);
    }
    if (slice_is(type, "input_image"))
        return read_image(rd, at, p);
    if (slice_is(type, "input_file"))
        return read_file(rd, at, p);
    if (slice_is(type, "input_audio"))
        return read_audio(rd, at, p);
    p->kind = slice_is(type, "refusal") ? PART_REFUSAL : PART_OPAQUE;
    return p->kind == PART_REFUSAL ? field_str_needed(rd, at, "refusal", &p->text) : ERR_OK;
}

static enum err read_parts(struct field_reader *rd, const struct field_at *up, const char *name, yyjson_val *list,
                           struct part ***tail) {
    yyjson_val *v;
    size_t i, n;
    struct src_walk walk = src_walk_array(json_get_src(&rd->doc, up->val, name));
    const struct field_at arr = FIELD_MEMBER(up, name, list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct part *p = part_add(rd->a, tail, PART_TEXT);
        if (!p)
            return field_no_memory(rd);
        p->src = src_walk_next(&walk);
        enum err e = read_part(rd, &at, p);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_content(struct field_reader *rd, const struct field_at *up, const char *name,
                             struct part ***tail) {
    yyjson_val *v = yyjson_obj_get(up->val, name);
    if (!v || yyjson_is_null(v))
        return field_missing(rd, up, name);
    if (yyjson_is_arr(v))
        return read_parts(rd, up, name, v, tail);
    if (!yyjson_is_str(v))
        return field_wrong(rd, up, name, "a string or an array", v);
    struct part *p = part_add(rd->a, tail, PART_TEXT);
    if (!p)
        return field_no_memory(rd);
    p->text = json_str(v);
    return ERR_OK;
}

// ---- the assistant's turn

static struct message *new_message(struct reading *st, enum role role) {
    st->turn = NULL;
    return message_add(st->rd->a, &st->tail, role);
}

static enum err turn_goes_on(struct reading *st) {
    if (st->turn)
        return ERR_OK;
    struct message *m = new_message(st, ROLE_ASSISTANT);
    if (!m)
        return field_no_memory(st->rd);
    st->turn = m;
    st->turn_tail = &m->parts;
    return ERR_OK;
}

static enum err turn_part(struct reading *st, enum part_kind kind, struct slice src, struct part **ret) {
    enum err e = turn_goes_on(st);
    if (e)
        return e;
    *ret = part_add(st->rd->a, &st->turn_tail, kind);
    if (!*ret)
        return field_no_memory(st->rd);
    (*ret)->src = src;
    return ERR_OK;
}

static enum err read_call(struct reading *st, const struct field_at *at, struct slice src) {
    static const struct field_type others[] = {{"id", 's'}, {"status", 's'}, {"namespace", 's'}, {NULL, 0}};
    struct part *p;
    enum err e = turn_part(st, PART_TOOL_CALL, src, &p);
    if (!e)
        e = field_str_needed(st->rd, at, "call_id", &p->id);
    if (!e)
        e = field_str_needed(st->rd, at, "name", &p->name);
    if (!e)
        e = field_types(st->rd, at, others);
    return e ? e : field_str(st->rd, at, "arguments", &p->text);
}

// The texts of a list of {type, text}, with a blank line between them.
static enum err read_texts(struct field_reader *rd, const struct field_at *up, const char *name, struct slice *ret) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    struct buf all = BUF_INIT(LIMIT_BODY_BYTES);
    enum err e = field_arr(rd, up, name, &list);
    const struct field_at arr = FIELD_MEMBER(up, name, list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct slice text = SLICE_NONE, type = SLICE_NONE;
        if (!e && !yyjson_is_obj(v))
            e = field_wrong(rd, &at, NULL, "an object", v);
        if (!e)
            e = field_str(rd, &at, "type", &type);
        if (!e)
            e = field_str_needed(rd, &at, "text", &text);
        if (all.len)
            buf_append_str(&all, "\n\n");
        buf_append(&all, text);
        *ret = text;
    }
    if (!e && n > 1 && buf_into_arena(&all, rd->a, ret))
        e = field_no_memory(rd);
    buf_done(&all);
    return e;
}

static enum err read_reasoning(struct reading *st, const struct field_at *at, struct slice src) {
    static const struct field_type others[] = {{"status", 's'}, {NULL, 0}};
    struct slice content = SLICE_NONE;
    struct part *p;
    enum err e = turn_part(st, PART_THINK, src, &p);
    if (!e)
        e = field_str(st->rd, at, "id", &p->id);
    if (!e)
        e = read_texts(st->rd, at, "summary", &p->text);
    if (!e)
        e = read_texts(st->rd, at, "content", &content);
    if (!e)
        e = field_types(st->rd, at, others);
    if (!e && !p->text.n)
        p->text = content;
    return e ? e : field_str(st->rd, at, "encrypted_content", &p->signature);
}

static enum err read_opaque(struct reading *st, struct slice src) {
    struct part *p;
    enum err e = turn_part(st, PART_OPAQUE, src, &p);
    if (!e)
        p->name = SLICE(RESPONSES_OPAQUE); // tells it from an opaque part of a content
    return e;
}

// ---- items

static enum err read_result(struct reading *st, const struct field_at *at, struct slice src) {
    static const struct field_type others[] = {{"id", 's'}, {"status", 's'}, {"namespace", 's'}, {NULL, 0}};
    struct message *m = new_message(st, ROLE_TOOL);
    struct part **tail = m ? &m->parts : NULL;
    struct part *p = m ? part_add(st->rd->a, &tail, PART_TOOL_RESULT) : NULL;
    if (!p)
        return field_no_memory(st->rd);
    p->src = src;
    struct part **inner = &p->content;
    enum err e = field_str_needed(st->rd, at, "call_id", &p->id);
    if (!e)
        e = field_str(st->rd, at, "name", &p->name);
    if (!e)
        e = field_types(st->rd, at, others);
    return e ? e : read_content(st->rd, at, "output", &inner);
}

static bool role_of(struct slice s, enum role *ret, bool *ret_developer) {
    *ret_developer = slice_is(s, "developer");
    if (*ret_developer || slice_is(s, "system"))
        *ret = ROLE_SYSTEM;
    else if (slice_is(s, "user"))
        *ret = ROLE_USER;
    else if (slice_is(s, "assistant"))
        *ret = ROLE_ASSISTANT;
    else
        return false;
    return true;
}

static enum err read_message(struct reading *st, const struct field_at *at) {
    static const struct field_type others[] = {{"id", 's'}, {"status", 's'}, {"phase", 's'}, {NULL, 0}};
    struct slice word = SLICE_NONE;
    enum role role = ROLE_USER;
    bool developer = false;
    enum err e = field_str_needed(st->rd, at, "role", &word);
    if (!e)
        e = field_types(st->rd, at, others);
    if (e)
        return e;
    if (!role_of(word, &role, &developer))
        return field_refuse(st->rd, at, "role", ERR_BAD_FIELD, "expected user, assistant, system or developer");
    if (role == ROLE_ASSISTANT) {
        e = turn_goes_on(st);
        return e ? e : read_content(st->rd, at, "content", &st->turn_tail);
    }
    struct message *m = new_message(st, role);
    if (!m)
        return field_no_memory(st->rd);
    m->developer = developer;
    struct part **tail = &m->parts;
    return read_content(st->rd, at, "content", &tail);
}

static enum err read_item(struct reading *st, const struct field_at *at, struct slice src) {
    struct slice type = SLICE_NONE;
    if (!yyjson_is_obj(at->val))
        return field_wrong(st->rd, at, NULL, "an object", at->val);
    enum err e = field_str(st->rd, at, "type", &type);
    if (e)
        return e;
    if (slice_is(type, "item_reference") || (!type.p && !yyjson_obj_get(at->val, "role")))
        return field_refuse(st->rd, at, "type", type.p ? ERR_UNSUPPORTED : ERR_MISSING_FIELD,
                            type.p ? "items are not kept here; send the item itself" : "this field is required");
    if (!type.p || slice_is(type, "message"))
        return read_message(st, at);
    if (slice_is(type, "function_call"))
        return read_call(st, at, src);
    if (slice_is(type, "function_call_output"))
        return read_result(st, at, src);
    return slice_is(type, "reasoning") ? read_reasoning(st, at, src) : read_opaque(st, src);
}

static enum err read_items(struct reading *st, const struct field_at *root, yyjson_val *list) {
    yyjson_val *v;
    size_t i, n;
    if (yyjson_arr_size(list) == 0 || yyjson_arr_size(list) > LIMIT_MESSAGES)
        return field_refuse(st->rd, root, "input", ERR_BAD_FIELD,
                            yyjson_arr_size(list) ? "there are too many items" : "at least one item is needed");
    struct src_walk walk = src_walk_array(json_get_src(&st->rd->doc, root->val, "input"));
    const struct field_at arr = FIELD_MEMBER(root, "input", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        enum err e = read_item(st, &at, src_walk_next(&walk));
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err read_instructions(struct reading *st, const struct field_at *root) {
    struct slice text = SLICE_NONE;
    enum err e = field_str(st->rd, root, "instructions", &text);
    if (e || !text.p)
        return e;
    struct message *m = new_message(st, ROLE_SYSTEM);
    struct part **tail = m ? &m->parts : NULL;
    struct part *p = m ? part_add(st->rd->a, &tail, PART_TEXT) : NULL;
    if (!p)
        return field_no_memory(st->rd);
    p->text = text;
    return ERR_OK;
}

enum err responses_read_input(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct reading st = {.rd = rd, .tail = &r->messages};
    yyjson_val *v = yyjson_obj_get(root->val, "input");
    enum err e = read_instructions(&st, root);
    if (e)
        return e;
    if (!v || yyjson_is_null(v))
        return field_missing(rd, root, "input");
    if (yyjson_is_arr(v))
        return read_items(&st, root, v);
    if (!yyjson_is_str(v))
        return field_wrong(rd, root, "input", "a string or an array", v);
    struct message *m = new_message(&st, ROLE_USER);
    struct part **tail = m ? &m->parts : NULL;
    struct part *p = m ? part_add(rd->a, &tail, PART_TEXT) : NULL;
    if (!p)
        return field_no_memory(rd);
    p->text = json_str(v);
    return ERR_OK;
}
