// SPDX-License-Identifier: Apache-2.0
// OpenAI's addresses that are no chats: vectors (/v1/embeddings) and the order of documents (/v1/rerank, which OpenAI does
// not have, but llama-server, vLLM and their kin, in Jina's and Cohere's shape). An upstream of this dialect gets the
// client's bytes with another model in them; one of another dialect what the fields say. Arena memory, no I/O.
#include "base/limits.h"
#include "dialect/openai.h"
#include "dialect/task.h"

#define DIMENSIONS_MAX (1 << 20)

// ---- requests

// A list of token ids: it can be counted and sent on to a server of this dialect, no more.
static enum err ids_add(struct field_reader *rd, const struct field_at *at, struct message ***tail, struct slice src) {
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(at->val, i, n, v) {
        if (!yyjson_is_uint(v))
            return field_wrong(rd, at, NULL, "token ids", v);
    }
    struct message *m = message_add(rd->a, tail, ROLE_USER);
    struct part **parts = m ? &m->parts : NULL, *p = m ? part_add(rd->a, &parts, PART_OPAQUE) : NULL;
    if (!p)
        return field_no_memory(rd);
    p->src = src;
    return ERR_OK;
}

static enum err ids_read(struct field_reader *rd, const struct field_at *root, struct request *r,
                         struct message ***tail) {
    yyjson_val *list = yyjson_obj_get(root->val, "input"), *v;
    const struct field_at arr = FIELD_MEMBER(root, "input", list);
    size_t i, n;
    r->kin_only = true;
    if (!yyjson_is_arr(yyjson_arr_get_first(list)))
        return ids_add(rd, &arr, tail, json_get_src(&rd->doc, root->val, "input"));
    if (yyjson_arr_size(list) > LIMIT_INPUTS)
        return field_refuse(rd, root, "input", ERR_BAD_FIELD, "there are too many");
    struct src_walk walk = src_walk_member(&rd->doc, root->val, "input");
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct slice src = src_walk_next(&walk);
        enum err e = yyjson_is_arr(v) ? ids_add(rd, &at, tail, src) : field_wrong(rd, &at, NULL, "token ids", v);
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err openai_read_embed(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static const char *const formats[] = {"float", "base64"};
    struct message **tail = &r->messages;
    yyjson_val *input = yyjson_obj_get(root->val, "input"), *first = yyjson_arr_get_first(input);
    struct slice format = SLICE_NONE;
    bool ids = yyjson_is_num(first) || yyjson_is_arr(first);
    enum err e = ids ? ids_read(rd, root, r, &tail) : inputs_read(rd, root, "input", &tail);
    if (!e && !r->messages)
        e = input && !yyjson_is_null(input) ? field_refuse(rd, root, "input", ERR_BAD_FIELD, "there is nothing in it")
                                            : field_missing(rd, root, "input");
    if (!e)
        e = field_str(rd, root, "encoding_format", &format);
    if (!e && format.p && !slice_is(format, formats[0]) && !slice_is(format, formats[1]))
        e = field_refuse(rd, root, "encoding_format", ERR_BAD_FIELD, "expected float or base64");
    r->as_base64 = slice_is(format, formats[1]);
    if (!e)
        e = field_int(rd, root, "dimensions", 1, DIMENSIONS_MAX, &r->dimensions);
    return e ? e : field_str(rd, root, "user", &r->user);
}

// Documents are texts, or objects with one.
static enum err documents_read(struct field_reader *rd, const struct field_at *root, struct message ***tail) {
    yyjson_val *list = NULL, *v;
    size_t i, n;
    enum err e = field_arr(rd, root, "documents", &list);
    if (e)
        return e;
    if (yyjson_arr_size(list) == 0)
        return field_missing(rd, root, "documents");
    if (yyjson_arr_size(list) > LIMIT_INPUTS)
        return field_refuse(rd, root, "documents", ERR_BAD_FIELD, "there are too many");
    const struct field_at arr = FIELD_MEMBER(root, "documents", list);
    yyjson_arr_foreach(list, i, n, v) {
        const struct field_at at = FIELD_ELEMENT(&arr, i, v);
        struct slice text = yyjson_is_obj(v) ? json_get_str(v, "text") : json_str(v);
        e = text.p ? input_add(rd, tail, text) : field_wrong(rd, &at, NULL, "a text", v);
        if (e)
            return e;
    }
    return ERR_OK;
}

enum err openai_read_rerank(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct message **tail = &r->messages;
    struct slice query = SLICE_NONE;
    r->kin_only = true;
    enum err e = field_str_needed(rd, root, "query", &query);
    if (!e)
        e = input_add(rd, &tail, query);
    return e ? e : documents_read(rd, root, &tail);
}

// ---- to an upstream, from the fields

enum err openai_put_embed(struct openai_out *out) {
    const struct request *r = out->r;
    struct json_writer *w = &out->w;
    if (r->kin_only) // ids that only the source had
        return ERR_UNSUPPORTED;
    json_obj(w);
    json_kv_str(w, "model", out->o->model.p ? out->o->model : r->model);
    json_key(w, "input");
    inputs_put(w, r->messages);
    if (r->dimensions >= 0)
        json_kv_int(w, "dimensions", r->dimensions);
    if (r->as_base64)
        json_kv_cstr(w, "encoding_format", "base64");
    if (r->user.p)
        json_kv_str(w, "user", r->user);
    json_obj_end(w);
    if (r->keep_alive.p)
        notes_add(out->a, &out->wire->notes, "dropped", SLICE("keep_alive"), "this dialect does not load models");
    return buf_into_arena(w->out, out->a, &out->wire->body);
}

// ---- from an upstream

// In the order of their indexes, which is that of the inputs.
static enum err data_put(struct json_writer *w, struct arena *a, yyjson_val *data) {
    size_t n = yyjson_arr_size(data), i, max;
    yyjson_val *v, **sorted = arena_array(a, n + 1, sizeof *sorted);
    if (!sorted)
        return ERR_NO_MEMORY;
    yyjson_arr_foreach(data, i, max, v) {
        int64_t index = json_get_int(v, "index", (int64_t)i);
        yyjson_val *vector = yyjson_obj_get(v, "embedding");
        if (index >= (int64_t)n || sorted[index] || (!yyjson_is_arr(vector) && !yyjson_is_str(vector)))
            return ERR_UP_PROTOCOL;
        sorted[index] = vector;
    }
    json_arr(w);
    for (i = 0; i < n; i++)
        json_put_val(w, sorted[i]);
    json_arr_end(w);
    return ERR_OK;
}

static void usage_read(yyjson_val *root, struct usage *ret) {
    openai_read_usage(root, ret);
    if (ret->input_tokens < 0)
        ret->input_tokens = json_get_int(yyjson_obj_get(root, "usage"), "total_tokens", -1);
    if (ret->input_tokens >= 0 && ret->output_tokens < 0)
        ret->output_tokens = 0;
}

enum err openai_put_task(struct arena *a, enum op op, yyjson_val *root, struct event_sink *sink) {
    struct buf list = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct json_writer w = JSON_WRITER(&list);
    yyjson_val *v = yyjson_obj_get(root, op == OP_EMBED ? "data" : "results");
    struct usage usage;
    usage_read(root, &usage);
    enum err e = yyjson_is_arr(v) ? ERR_OK : ERR_UP_PROTOCOL;
    if (!e && op == OP_EMBED)
        e = data_put(&w, a, v);
    else if (!e)
        json_put_val(&w, v);
    if (!e)
        e = buf_status(&list);
    if (!e)
        e = task_emit(sink, json_get_str(root, "id"), json_get_str(root, "model"), buf_slice(&list), &usage);
    buf_done(&list);
    return e;
}

// ---- to a client

static void item_begin(struct json_writer *w, size_t index) {
    json_obj(w);
    json_kv_cstr(w, "object", "embedding");
    json_kv_int(w, "index", (int64_t)index);
    json_key(w, "embedding");
}

static void usage_put(struct json_writer *w, const struct usage *u) {
    int64_t tokens = u->input_tokens > 0 ? u->input_tokens : 0;
    json_key(w, "usage");
    json_obj(w);
    json_kv_int(w, "prompt_tokens", tokens);
    json_kv_int(w, "total_tokens", tokens);
    json_obj_end(w);
}

enum err openai_write_task(struct arena *a, const struct request *r, const struct answer *answer,
                           const struct identity *who, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    enum err e = ERR_OK;
    json_obj(&w);
    json_kv_cstr(&w, "object", "list");
    json_key(&w, r->op == OP_EMBED ? "data" : "results");
    if (r->op == OP_EMBED) {
        json_arr(&w);
        e = vectors_each(a, answer, &w, r->as_base64, item_begin, json_obj_end);
        json_arr_end(&w);
    } else {
        json_put_raw(&w, task_json(answer));
    }
    json_kv_str(&w, "model", answer->model.n ? answer->model : who->model);
    usage_put(&w, &answer->usage);
    json_obj_end(&w);
    return e ? e : buf_status(out);
}
