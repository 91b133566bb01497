// SPDX-License-Identifier: Apache-2.0
// Gemini's vectors: embedContent takes one content and gives {embedding}, batchEmbedContents a list of such requests and
// gives {embeddings}. Both are one operation here; what comes in another format goes up as a batch. Each request of a batch
// names its model again, so that a body of this format passes with those names changed and nothing else. A content is its
// texts, joined; anything else in it has no vector elsewhere, and is refused. Arena memory, no I/O.
#include "base/limits.h"
#include "dialect/gemini.h"
#include "dialect/task.h"

#define DIMENSIONS_MAX (1 << 20)

// ---- a client's request

static enum err text_of(struct field_reader *rd, const struct field_at *at, struct slice *ret) {
    const char *name = gemini_key(at, "parts");
    struct buf b = BUF_INIT(LIMIT_BODY_BYTES);
    yyjson_val *parts = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, at, name, &parts);
    const struct field_at list = FIELD_MEMBER(at, name, parts);
    if (!e && yyjson_arr_size(parts) == 0)
        e = field_missing(rd, at, name);
    yyjson_arr_foreach(parts, i, n, v) {
        const struct field_at part = FIELD_ELEMENT(&list, i, v);
        struct slice text = SLICE_NONE;
        if (!e && !yyjson_is_obj(v))
            e = field_wrong(rd, &part, NULL, "an object", v);
        if (!e)
            e = field_str(rd, &part, "text", &text);
        if (!e && !text.p)
            e = field_refuse(rd, &part, NULL, ERR_UNSUPPORTED, "only text can be made a vector here");
        buf_append(&b, text);
    }
    if (!e)
        return buf_into_arena(&b, rd->a, ret);
    buf_done(&b);
    return e;
}

// One content, and how many numbers its vector shall have: the same for all.
static enum err read_one(struct field_reader *rd, const struct field_at *at, struct message ***tail,
                         struct request *r) {
    const char *name = gemini_key(at, "content"), *dimensions = gemini_key(at, "outputDimensionality");
    static const struct field_type others[] = {{"taskType", 's'}, {"title", 's'}, {"model", 's'}, {NULL, 0}};
    int64_t wanted = -1;
    yyjson_val *v = NULL;
    struct slice text = SLICE_NONE;
    enum err e = field_obj(rd, at, name, &v);
    if (!e && !v)
        e = field_missing(rd, at, name);
    const struct field_at content = FIELD_MEMBER(at, name, v);
    if (!e)
        e = text_of(rd, &content, &text);
    if (!e)
        e = field_int(rd, at, dimensions, 1, DIMENSIONS_MAX, &wanted);
    if (!e && r->messages && wanted != r->dimensions)
        e = field_refuse(rd, at, dimensions, ERR_UNSUPPORTED, "all requests of a batch must ask for the same");
    r->dimensions = wanted;
    if (!e)
        e = gemini_types(rd, at, others);
    return e ? e : input_add(rd, tail, text);
}

enum err gemini_read_embed(struct field_reader *rd, const struct field_at *root, struct request *r) {
    const char *name = gemini_key(root, "requests");
    struct message **tail = &r->messages;
    yyjson_val *many = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, root, name, &many);
    const struct field_at list = FIELD_MEMBER(root, name, many);
    r->one_vector = !many;
    if (e || !many)
        return e ? e : read_one(rd, root, &tail, r);
    if (yyjson_arr_size(many) == 0 || yyjson_arr_size(many) > LIMIT_INPUTS)
        return field_refuse(rd, root, name, ERR_BAD_FIELD, "there must be one request at least, and not too many");
    yyjson_arr_foreach(many, i, n, v) {
        const struct field_at one = FIELD_ELEMENT(&list, i, v);
        if (!e && !yyjson_is_obj(v))
            e = field_wrong(rd, &one, NULL, "an object", v);
        if (!e)
            e = read_one(rd, &one, &tail, r);
    }
    return e;
}

// ---- to an upstream

static struct slice model_text(struct arena *a, struct slice model) {
    bool whole = slice_starts(model, "models/") || slice_starts(model, "tunedModels/");
    struct slice full = ARENA_JOIN(a, whole ? SLICE_NONE : SLICE("models/"), model);
    return full.p ? json_text_str(a, full) : SLICE_NONE;
}

enum err gemini_put_embed(struct arena *a, const struct request *r, struct json_writer *w, struct slice model) {
    struct slice name = model_text(a, model);
    if (r->kin_only) // token ids
        return ERR_UNSUPPORTED;
    if (!name.p)
        return ERR_NO_MEMORY;
    json_obj(w);
    json_key(w, "requests");
    json_arr(w);
    for (const struct message *m = r->messages; m; m = m->next) {
        json_obj(w);
        json_kv_raw(w, "model", name);
        json_key(w, "content");
        json_obj(w);
        json_key(w, "parts");
        json_arr(w);
        json_obj(w);
        json_kv_str(w, "text", m->parts->text);
        json_obj_end(w);
        json_arr_end(w);
        json_obj_end(w);
        if (r->dimensions >= 0)
            json_kv_int(w, "outputDimensionality", r->dimensions);
        json_obj_end(w);
    }
    json_arr_end(w);
    json_obj_end(w);
    return buf_status(w->out);
}

enum err gemini_splice_embed(struct arena *a, const struct request *r, struct slice model, struct slice *ret) {
    yyjson_val *root = yyjson_doc_get_root(r->doc.doc), *many = gemini_get(root, "requests"), *v;
    struct slice name = model_text(a, model);
    size_t n_patches = 0, i, n;
    struct patch *patches = arena_alloc(a, (yyjson_arr_size(many) + 1) * sizeof *patches);
    if (!patches || !name.p)
        return ERR_NO_MEMORY;
    yyjson_arr_foreach(many, i, n, v) {
        struct slice old = json_get_src(&r->doc, v, "model");
        if (old.n)
            patches[n_patches++] = (struct patch){old, name};
    }
    const struct edit edit = {"model", name};
    bool named = yyjson_obj_get(root, "model") != NULL;
    return splice(a, &r->doc, &edit, named, patches, n_patches, ret);
}

// ---- the answer

enum err gemini_read_vectors(struct arena *a, struct slice body, struct event_sink *sink) {
    struct json_doc doc;
    struct json_error why;
    struct buf list = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&list);
    struct usage u = USAGE_NONE;
    yyjson_val *v;
    size_t i, n;
    enum err e = json_read(a, body, &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(doc.doc), *one = gemini_get(root, "embedding");
    yyjson_val *many = gemini_get(root, "embeddings");
    if (!yyjson_is_obj(one) && !yyjson_is_arr(many))
        return ERR_UP_PROTOCOL;
    json_arr(&w);
    if (yyjson_is_obj(one))
        e = vector_put(&w, gemini_get(one, "values"), false);
    yyjson_arr_foreach(yyjson_is_obj(one) ? NULL : many, i, n, v) {
        if (!e)
            e = vector_put(&w, gemini_get(v, "values"), false);
    }
    json_arr_end(&w);
    u.input_tokens = json_get_int(gemini_get(root, "usageMetadata"), "promptTokenCount", -1);
    u.output_tokens = u.input_tokens >= 0 ? 0 : -1;
    if (!e)
        e = buf_status(&list);
    if (!e)
        e = task_emit(sink, SLICE_NONE, SLICE_NONE, buf_slice(&list), &u);
    buf_done(&list);
    return e;
}

static void vector_begin(struct json_writer *w, size_t index) {
    (void)index;
    json_obj(w);
    json_key(w, "values");
}

enum err gemini_write_vectors(struct arena *a, const struct request *r, const struct answer *answer, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_key(&w, r->one_vector ? "embedding" : "embeddings");
    if (!r->one_vector)
        json_arr(&w);
    enum err e = vectors_each(a, answer, &w, false, vector_begin, json_obj_end);
    if (!r->one_vector)
        json_arr_end(&w);
    if (answer->usage.input_tokens >= 0) {
        json_key(&w, "usageMetadata");
        json_obj(&w);
        json_kv_int(&w, "promptTokenCount", answer->usage.input_tokens);
        json_obj_end(&w);
    }
    json_obj_end(&w);
    return e ? e : buf_status(out);
}
