// SPDX-License-Identifier: Apache-2.0
// Ollama's vectors: /api/embed takes texts and gives a list of vectors, the older /api/embeddings one `prompt` and gives
// one. Both are one operation here; an upstream is always asked by the newer address. Arena memory, no I/O.
#include "base/limits.h"
#include "dialect/ollama.h"
#include "dialect/task.h"

#define DIMENSIONS_MAX (1 << 20)

enum err ollama_read_embed(struct field_reader *rd, const struct field_at *root, struct request *r) {
    struct message **tail = &r->messages;
    struct slice prompt = SLICE_NONE;
    static const struct field_type others[] = {{"truncate", 'b'}, {"options", 'o'}, {NULL, 0}};
    enum err e = field_str(rd, root, "prompt", &prompt);
    r->stream = false;
    r->one_vector = prompt.p && !yyjson_obj_get(root->val, "input");
    if (!e && r->one_vector)
        e = prompt.n ? input_add(rd, &tail, prompt) : ERR_OK; // an empty one loads the model
    else if (!e)
        e = inputs_read(rd, root, "input", &tail);
    if (!e)
        e = field_int(rd, root, "dimensions", 1, DIMENSIONS_MAX, &r->dimensions);
    return e ? e : field_types(rd, root, others);
}

enum err ollama_put_embed(struct json_writer *w, const struct request *r, struct slice model) {
    if (r->kin_only) // token ids
        return ERR_UNSUPPORTED;
    json_obj(w);
    json_kv_str(w, "model", model.p ? model : r->model);
    json_key(w, "input");
    inputs_put(w, r->messages);
    if (r->dimensions >= 0)
        json_kv_int(w, "dimensions", r->dimensions);
    if (r->keep_alive.p)
        json_kv_raw(w, "keep_alive", r->keep_alive);
    json_obj_end(w);
    return buf_status(w->out);
}

static enum err vectors_of(yyjson_val *root, struct buf *list) {
    struct json_writer w = JSON_WRITER(list);
    yyjson_val *many = yyjson_obj_get(root, "embeddings"), *v;
    size_t i, n;
    if (!yyjson_is_arr(many))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(many, i, n, v) {
        if (!yyjson_is_arr(v))
            return ERR_UP_PROTOCOL;
    }
    json_put_val(&w, many);
    return buf_status(list);
}

enum err ollama_read_vectors(struct arena *a, struct slice body, struct event_sink *sink) {
    struct json_doc doc;
    struct json_error why;
    struct buf list = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct usage u = USAGE_NONE;
    enum err e = json_read(a, body, &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    u.input_tokens = json_get_int(root, "prompt_eval_count", -1);
    u.output_tokens = u.input_tokens >= 0 ? 0 : -1;
    e = vectors_of(root, &list);
    if (!e)
        e = task_emit(sink, SLICE_NONE, json_get_str(root, "model"), buf_slice(&list), &u);
    buf_done(&list);
    return e;
}

enum err ollama_write_vectors(struct arena *a, const struct request *r, const struct answer *answer,
                              const struct identity *who, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    bool nothing = !task_json(answer).n;
    json_obj(&w);
    if (!r->one_vector)
        json_kv_str(&w, "model", who->model);
    json_key(&w, r->one_vector ? "embedding" : "embeddings");
    if (!r->one_vector || nothing)
        json_arr(&w);
    enum err e = vectors_each(a, answer, &w, false, NULL, NULL);
    if (!r->one_vector || nothing)
        json_arr_end(&w);
    if (!r->one_vector) {
        json_kv_int(&w, "total_duration", 0);
        json_kv_int(&w, "load_duration", 0);
        json_kv_int(&w, "prompt_eval_count", answer->usage.input_tokens > 0 ? answer->usage.input_tokens : 0);
    }
    json_obj_end(&w);
    return e ? e : buf_status(out);
}
