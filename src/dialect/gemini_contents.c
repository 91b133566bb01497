// SPDX-License-Identifier: Apache-2.0
// `systemInstruction` and `contents` of a Gemini body → messages and parts. Google takes a single object where a list of
// one is meant, and so do we. Calls have ids of late only: those without are numbered, and a response takes the id of the
// call that it names (codec_ids.c). What a function gave back is an object here and a text elsewhere: a lone "output" or
// "result" that is a text is that text, "error" marks it as one, anything else is the object's JSON. Kinds of parts that
// others don't have (code execution, video, files that lie with Google) stay opaque, with their source.
#include "base/limits.h"
#include "dialect/gemini.h"

static const char *const part_names[] = {"text",     "thought",      "thoughtSignature", "inlineData",
                                         "fileData", "functionCall", "functionResponse", NULL};

static bool type_starts(struct slice type, const char *prefix) {
    return slice_starts(type, prefix);
}

// ---- media

static enum part_kind kind_of_media(struct slice type) {
    if (type_starts(type, "image/"))
        return PART_IMAGE;
    if (type_starts(type, "audio/"))
        return PART_AUDIO;
    return type_starts(type, "text/") || slice_is(type, "application/pdf") ? PART_DOCUMENT : PART_OPAQUE;
}

// Google takes both alphabets, and its own clients write the one for URLs; the rest of the world takes the usual one.
static enum err usual_base64(struct field_reader *rd, struct slice *data) {
    size_t pad = data->n % 4 ? 4 - data->n % 4 : 0;
    if (!pad && slice_find(*data, '-') == SIZE_MAX && slice_find(*data, '_') == SIZE_MAX)
        return ERR_OK;
    char *copy = arena_alloc(rd->a, data->n + pad);
    if (!copy)
        return field_no_memory(rd);
    for (size_t i = 0; i < data->n; i++)
        copy[i] = data->p[i] == '-' ? '+' : data->p[i] == '_' ? '/' : data->p[i];
    memset(copy + data->n, '=', pad);
    *data = slice_of(copy, data->n + pad);
    return ERR_OK;
}

static enum err read_inline(struct field_reader *rd, const struct field_at *up, const char *name, yyjson_val *v,
                            struct part *p) {
    const struct field_at at = FIELD_MEMBER(up, name, v);
    if (!yyjson_is_obj(v))
        return field_wrong(rd, up, name, "an object", v);
    enum err e = field_str_needed(rd, &at, "data", &p->data);
    if (!e)
        e = field_str_needed(rd, &at, gemini_key(&at, "mimeType"), &p->media_type);
    if (!e)
        e = field_str(rd, &at, gemini_key(&at, "displayName"), &p->name);
    if (!e)
        e = usual_base64(rd, &p->data);
    if (!e)
        e = field_base64(rd, &at, "data", p->data);
    p->kind = kind_of_media(p->media_type);
    return e;
}

static enum err read_file(struct field_reader *rd, const struct field_at *up, const char *name, yyjson_val *v,
                          struct part *p) {
    const struct field_at at = FIELD_MEMBER(up, name, v);
    struct slice uri = SLICE_NONE;
    if (!yyjson_is_obj(v))
        return field_wrong(rd, up, name, "an object", v);
    enum err e = field_str_needed(rd, &at, gemini_key(&at, "fileUri"), &uri);
    if (!e)
        e = field_str(rd, &at, gemini_key(&at, "mimeType"), &p->media_type);
    if (!e)
        e = field_str(rd, &at, gemini_key(&at, "displayName"), &p->name);
    enum part_kind kind = kind_of_media(p->media_type);
    bool ours_alone = !slice_starts(uri, "http") || slice_search(uri, SLICE("googleapis.com/")) != SIZE_MAX;
    p->kind = ours_alone || kind == PART_AUDIO ? PART_OPAQUE : kind; // files that lie with Google say nothing to others
    if (p->kind != PART_OPAQUE)
        p->url = uri;
    return e;
}

// ---- calls and responses

static enum err read_call(struct field_reader *rd, const struct field_at *up, const char *name, yyjson_val *v,
                          struct part *p, struct call_ids *ids) {
    const struct field_at at = FIELD_MEMBER(up, name, v);
    p->kind = PART_TOOL_CALL;
    if (!yyjson_is_obj(v))
        return field_wrong(rd, up, name, "an object", v);
    enum err e = field_str(rd, &at, "id", &p->id);
    if (!e)
        e = field_str_needed(rd, &at, "name", &p->name);
    if (!e)
        e = field_obj_src(rd, &at, "args", &p->text);
    if (!e && !p->text.p)
        p->text = SLICE("{}");
    return e ? e : call_ids_add(rd, ids, p);
}

static struct slice lone_text(yyjson_val *response, const char *name) {
    return yyjson_obj_size(response) == 1 ? json_get_str(response, name) : SLICE_NONE;
}

static enum err read_output(struct field_reader *rd, const struct field_at *at, struct part *p, struct part ***tail) {
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, at, "response", &v);
    if (e)
        return e;
    if (!v)
        return field_missing(rd, at, "response");
    struct slice error = lone_text(v, "error"), text = lone_text(v, "output");
    if (!text.p)
        text = error.p ? error : lone_text(v, "result");
    struct part *inner = part_add(rd->a, tail, PART_TEXT);
    if (!inner)
        return field_no_memory(rd);
    p->is_error = error.p != NULL;
    inner->text = text.p ? text : json_get_src(&rd->doc, at->val, "response");
    return ERR_OK;
}

static enum err read_media_list(struct field_reader *rd, const struct field_at *at, struct part ***tail) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, at, "parts", &list);
    const struct field_at arr = FIELD_MEMBER(at, "parts", list);
    struct src_walk walk = src_walk_array(json_get_src(&rd->doc, at->val, "parts"));
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(&arr, i, v);
        yyjson_val *data = gemini_get(v, "inlineData");
        struct part *p = e ? NULL : part_add(rd->a, tail, PART_OPAQUE);
        if (e)
            return e;
        if (!p)
            return field_no_memory(rd);
        p->src = src_walk_next(&walk);
        if (!yyjson_is_obj(v))
            return field_wrong(rd, &one, NULL, "an object", v);
        e = data ? read_inline(rd, &one, gemini_key(&one, "inlineData"), data, p) : ERR_OK;
    }
    return e;
}

static enum err read_response(struct field_reader *rd, const struct field_at *up, const char *name, yyjson_val *v,
                              struct part *p, struct call_ids *ids) {
    static const struct field_type others[] = {{"willContinue", 'b'}, {"scheduling", 's'}, {NULL, 0}};
    const struct field_at at = FIELD_MEMBER(up, name, v);
    struct part **tail = &p->content;
    p->kind = PART_TOOL_RESULT;
    if (!yyjson_is_obj(v))
        return field_wrong(rd, up, name, "an object", v);
    enum err e = field_str(rd, &at, "id", &p->id);
    if (!e)
        e = field_str_needed(rd, &at, "name", &p->name);
    if (!e)
        e = gemini_types(rd, &at, others);
    if (!e)
        e = read_output(rd, &at, p, &tail);
    if (!e)
        e = read_media_list(rd, &at, &tail);
    return e ? e : call_ids_take(rd, ids, p);
}

// ---- parts

static enum err read_data(struct field_reader *rd, const struct field_at *at, struct part *p, struct call_ids *ids) {
    bool thought = false;
    const char *name = gemini_key(at, "text");
    yyjson_val *v = yyjson_obj_get(at->val, name);
    enum err e = field_bool(rd, at, "thought", &thought);
    if (e)
        return e;
    if (v && !yyjson_is_null(v)) {
        p->kind = thought ? PART_THINK : PART_TEXT;
        return field_str(rd, at, name, &p->text);
    }
    if ((v = yyjson_obj_get(at->val, name = gemini_key(at, "functionCall"))))
        return read_call(rd, at, name, v, p, ids);
    if ((v = yyjson_obj_get(at->val, name = gemini_key(at, "functionResponse"))))
        return read_response(rd, at, name, v, p, ids);
    if ((v = yyjson_obj_get(at->val, name = gemini_key(at, "inlineData"))))
        return read_inline(rd, at, name, v, p);
    if ((v = yyjson_obj_get(at->val, name = gemini_key(at, "fileData"))))
        return read_file(rd, at, name, v, p);
    p->kind = PART_OPAQUE;
    return ERR_OK;
}

static enum err read_part(struct field_reader *rd, const struct field_at *at, struct slice src, struct part ***tail,
                          struct call_ids *ids) {
    static const struct field_type others[] = {
        {"videoMetadata", 'o'}, {"executableCode", 'o'}, {"codeExecutionResult", 'o'}, {NULL, 0}};
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    struct part *p = part_add(rd->a, tail, PART_TEXT);
    if (!p)
        return field_no_memory(rd);
    p->src = src;
    enum err e = gemini_check_once(rd, at, part_names);
    if (!e)
        e = gemini_types(rd, at, others);
    if (!e)
        e = field_str(rd, at, gemini_key(at, "thoughtSignature"), &p->signature);
    return e ? e : read_data(rd, at, p, ids);
}

static enum err read_parts(struct field_reader *rd, const struct field_at *content, struct message *m,
                           struct call_ids *ids) {
    yyjson_val *v = yyjson_obj_get(content->val, "parts"), *one;
    size_t i, n;
    struct part **tail = &m->parts;
    const struct field_at list = FIELD_MEMBER(content, "parts", v);
    struct slice src = v ? json_get_src(&rd->doc, content->val, "parts") : SLICE_NONE;
    if (!v || yyjson_is_null(v))
        return ERR_OK; // an answer that was cut at once has none, and comes back so
    if (yyjson_is_obj(v))
        return read_part(rd, &list, src, &tail, ids);
    if (!yyjson_is_arr(v))
        return field_wrong(rd, content, "parts", "an array", v);
    struct src_walk walk = src_walk_array(src);
    yyjson_arr_foreach(v, i, n, one) {
        const struct field_at at = FIELD_ELEMENT(&list, i, one);
        enum err e = read_part(rd, &at, src_walk_next(&walk), &tail, ids);
        if (e)
            return e;
    }
    return ERR_OK;
}

// ---- contents

static enum err role_of(struct field_reader *rd, const struct field_at *at, enum role *ret) {
    struct slice role = SLICE_NONE;
    enum err e = field_str(rd, at, "role", &role);
    if (e)
        return e;
    if (slice_is(role, "model"))
        *ret = ROLE_ASSISTANT;
    else if (role.n && !slice_is(role, "user") && !slice_is(role, "function") && !slice_is(role, "tool"))
        return field_refuse(rd, at, "role", ERR_BAD_FIELD, "expected user or model");
    return ERR_OK;
}

static enum err read_content(struct field_reader *rd, const struct field_at *at, struct slice src,
                             struct message ***tail, struct call_ids *ids) {
    enum role role = ROLE_USER;
    if (!yyjson_is_obj(at->val))
        return field_wrong(rd, at, NULL, "an object", at->val);
    enum err e = role_of(rd, at, &role);
    if (e)
        return e;
    struct message *m = message_add(rd->a, tail, role);
    if (!m)
        return field_no_memory(rd);
    m->src = src;
    if (role == ROLE_ASSISTANT)
        call_ids_turn(ids);
    return read_parts(rd, at, m, ids);
}

static enum err read_system(struct field_reader *rd, const struct field_at *root, struct message ***tail,
                            struct call_ids *ids) {
    const char *name = gemini_key(root, "systemInstruction");
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, root, name, &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, name, v);
    static const struct field_type others[] = {{"role", 's'}, {NULL, 0}};
    struct message *m = message_add(rd->a, tail, ROLE_SYSTEM);
    if (!m)
        return field_no_memory(rd);
    e = field_types(rd, &at, others);
    return e ? e : read_parts(rd, &at, m, ids);
}

enum err gemini_read_contents(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct message **tail = &r->messages;
    struct call_ids ids = {0};
    yyjson_val *v = yyjson_obj_get(root->val, "contents"), *one;
    size_t i, n;
    const struct field_at list = FIELD_MEMBER(root, "contents", v);
    enum err e = read_system(rd, root, &tail, &ids);
    if (e)
        return e;
    if (!v || yyjson_is_null(v))
        return field_missing(rd, root, "contents");
    struct slice src = json_get_src(&rd->doc, root->val, "contents");
    if (yyjson_is_obj(v))
        return read_content(rd, &list, src, &tail, &ids);
    if (!yyjson_is_arr(v))
        return field_wrong(rd, root, "contents", "an array", v);
    if (yyjson_arr_size(v) == 0 || yyjson_arr_size(v) > LIMIT_MESSAGES)
        return field_refuse(rd, root, "contents", ERR_BAD_FIELD,
                            yyjson_arr_size(v) ? "there are too many contents" : "at least one content is needed");
    struct src_walk walk = src_walk_array(src);
    yyjson_arr_foreach(v, i, n, one) {
        const struct field_at at = FIELD_ELEMENT(&list, i, one);
        e = read_content(rd, &at, src_walk_next(&walk), &tail, &ids);
        if (e)
            return e;
    }
    return ERR_OK;
}
