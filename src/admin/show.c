// SPDX-License-Identifier: Apache-2.0
// POST /api/show: what a model is. Of a local one its GGUF is read for it (metadata, the chat template), off the loop, and
// what a Modelfile said stands beside; the Modelfile itself is written from that, so that it can be taken elsewhere. Of the
// models of other places the lists say what is known. Shape: Ollama's.
#include "admin/errand.h"
#include "admin/models.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/change.h"
#include "store/models.h"

#define SHOW_BYTES (64u << 20) // verbose: a vocabulary of 260,000 words with its merges
#define TEMPLATE_BYTES (1u << 20)

struct show_call {
    struct errand errand; // first
    const char *data_dir;
    struct snapshot *snap;
    const struct target *t; // of snap
    bool verbose;
    char name[NAME_BYTES + 64];
};

static const struct model *model_of_target(const struct models *m, struct slice name) {
    for (size_t i = 0; i < m->n; i++)
        if (model_name_same(slice_str(m->v[i].name), name) ||
            (m->v[i].alias && model_name_same(slice_str(m->v[i].alias), name)))
            return &m->v[i];
    return NULL;
}

// ---- its Modelfile

static bool has_char(struct slice s, const char *of) {
    for (size_t i = 0; i < s.n; i++)
        if (strchr(of, s.p[i]))
            return true;
    return false;
}

// A value so that modelfile.c, and Ollama, read back what it was.
static void value_write(struct buf *out, const char *word, struct slice s) {
    bool edges = slice_trim(s).n != s.n || s.n == 0 || s.p[0] == '"';
    bool lines = has_char(s, "\r\n");
    const char *quote = lines ? "\"\"\"" : edges ? "\"" : "";
    buf_printf(out, "%s %s%.*s%s\n", word, quote, SLICE_FMT(s), quote);
}

static void parameter_line(struct buf *out, const char *verb, struct slice key, yyjson_val *v) {
    struct json_writer w = JSON_WRITER(out);
    buf_printf(out, "%s%.*s ", verb, SLICE_FMT(key));
    if (yyjson_is_str(v) && verb[0] && has_char(json_str(v), "\r\n"))
        buf_printf(out, "\"\"\"%.*s\"\"\"", SLICE_FMT(json_str(v)));
    else if (yyjson_is_str(v) && verb[0])
        buf_printf(out, "\"%.*s\"", SLICE_FMT(json_str(v)));
    else
        json_put_val(&w, v);
    buf_append_char(out, '\n');
}

// "num_ctx 2048", a line each.
static void parameters_write(struct buf *out, const char *verb, struct slice json) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    yyjson_val *key, *v, *one;
    size_t i, n, k, m;
    arena_init(&a, MANIFEST_BYTES * 4, 0);
    if (json.n && json_read(&a, json, &doc, &why) == ERR_OK) {
        yyjson_obj_foreach(yyjson_doc_get_root(doc.doc), i, n, key, v) {
            if (!yyjson_is_arr(v))
                parameter_line(out, verb, json_str(key), v);
            yyjson_arr_foreach(v, k, m, one) parameter_line(out, verb, json_str(key), one);
        }
    }
    arena_done(&a);
}

static void messages_write(struct buf *out, struct slice json) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    yyjson_val *m;
    size_t i, n;
    arena_init(&a, MANIFEST_BYTES * 4, 0);
    if (json.n && json_read(&a, json, &doc, &why) == ERR_OK) {
        yyjson_arr_foreach(yyjson_doc_get_root(doc.doc), i, n, m) {
            buf_append_str(out, "MESSAGE ");
            struct slice role = json_get_str(m, "role");
            char word[32];
            (void)snprintf(word, sizeof word, "%.*s", (int)(role.n < 20 ? role.n : 20), role.p ? role.p : "");
            value_write(out, word, json_get_str(m, "content"));
        }
    }
    arena_done(&a);
}

static void modelfile_write(struct buf *out, const struct model *m, struct slice template) {
    buf_printf(out, "# made by gridtie from %s\n# to build on it, replace the first FROM by:\n# FROM %s\n\nFROM %s\n",
               m->name, m->name, m->path);
    if (m->projector)
        buf_printf(out, "FROM %s\n", m->projector);
    for (size_t i = 0; i < m->n_adapters; i++)
        buf_printf(out, "ADAPTER %s\n", m->adapters[i]);
    if (m->draft)
        buf_printf(out, "DRAFT %s\n", m->draft);
    if (m->template_file)
        buf_printf(out, "TEMPLATE \"\"\"%.*s\"\"\"\n", SLICE_FMT(template));
    if (m->system)
        value_write(out, "SYSTEM", slice_str(m->system));
    parameters_write(out, "PARAMETER ", m->parameters);
    messages_write(out, m->messages);
    if (m->license)
        buf_printf(out, "LICENSE \"\"\"%s\"\"\"\n", m->license);
}

// ---- the answer

static void text_put(struct json_writer *w, const char *key, struct buf *text) {
    json_kv_str(w, key, slice_of(text->p ? text->p : "", text->len));
}

static void gridtie_put(struct json_writer *w, const struct target *t, const struct model *m) {
    json_key(w, "gridtie");
    json_obj(w);
    json_kv_cstr(w, "name", t->name);
    json_kv_cstr(w, "from", model_from_name(m->from));
    json_kv_cstr(w, "path", m->path);
    json_kv_int(w, "parts", m->n_parts);
    json_kv_int(w, "size", m->size_bytes);
    json_kv_int(w, "context", t->context);
    json_kv_bool(w, "chat_template", m->header.chat_template || m->template_file);
    if (m->sha256)
        json_kv_cstr(w, "sha256", m->sha256);
    if (m->source)
        json_kv_cstr(w, "source", m->source);
    if (m->note)
        json_kv_cstr(w, "note", m->note);
    if (m->projector)
        json_kv_cstr(w, "projector", m->projector);
    if (m->problem)
        json_kv_cstr(w, "problem", m->problem);
    json_obj_end(w);
}

// "projector_info", where there is a projector.
static void projector_put(struct json_writer *w, const struct model *m) {
    struct buf info = BUF_INIT(1u << 20), ignored = BUF_INIT(TEMPLATE_BYTES);
    struct json_writer i = JSON_WRITER(&info);
    json_obj(&i);
    enum err e = m->projector ? gguf_metadata(m->projector, false, &i, &ignored, NULL) : ERR_NOT_FOUND;
    json_obj_end(&i);
    if (!e && !info.failed)
        json_kv_raw(w, "projector_info", buf_slice(&info));
    buf_done(&info);
    buf_done(&ignored);
}

static void model_put(struct show_call *k, const struct model *m) {
    struct buf template = BUF_INIT(TEMPLATE_BYTES), info = BUF_INIT(SHOW_BYTES / 2), text = BUF_INIT(SHOW_BYTES / 4),
               tensors = BUF_INIT(SHOW_BYTES / 4);
    struct json_writer w = JSON_WRITER(&k->errand.out), i = JSON_WRITER(&info), t = JSON_WRITER(&tensors);
    json_obj(&i);
    enum err e = gguf_metadata(m->path, k->verbose, &i, &template, k->verbose ? &t : NULL);
    if (!e && m->header.parameters > 0)
        json_kv_int(&i, "general.parameter_count", m->header.parameters);
    json_obj_end(&i);
    if (m->template_file) {
        buf_clear(&template);
        (void)!fs_read_file(m->template_file, TEMPLATE_BYTES, &template);
    }
    json_obj(&w);
    json_kv_cstr(&w, "license", m->license ? m->license : "");
    modelfile_write(&text, m, buf_slice(&template));
    text_put(&w, "modelfile", &text);
    buf_clear(&text);
    parameters_write(&text, "", m->parameters);
    if (text.len)
        text.len--;
    text_put(&w, "parameters", &text);
    text_put(&w, "template", &template);
    if (m->system)
        json_kv_cstr(&w, "system", m->system);
    if (m->messages.n)
        json_kv_raw(&w, "messages", m->messages);
    ollama_details_json(&w, k->t);
    json_kv_raw(&w, "model_info", e ? SLICE("{}") : buf_slice(&info));
    projector_put(&w, m);
    if (k->verbose && !e)
        json_kv_raw(&w, "tensors", buf_slice(&tensors));
    ollama_capabilities_json(&w, k->t);
    rfc3339_json(&w, "modified_at", m->modified_s);
    gridtie_put(&w, k->t, m);
    json_obj_end(&w);
    if (info.failed || text.failed || tensors.failed)
        k->errand.err = ERR_NO_MEMORY;
    buf_done(&tensors);
    buf_done(&template);
    buf_done(&info);
    buf_done(&text);
}

static void show_work(struct errand *e) {
    struct show_call *k = (struct show_call *)(void *)e;
    struct models *all = NULL;
    e->err = models_new(k->snap->config, k->data_dir, &all);
    if (e->err)
        return;
    const struct model *m = model_of_target(all, slice_str(k->name));
    if (m)
        model_put(k, m);
    else
        e->err = ERR_MODEL_NOT_FOUND; // it went meanwhile
    models_free(all);
}

static void show_drop(struct errand *e) {
    snapshot_unref(((struct show_call *)(void *)e)->snap);
    errand_free(e);
}

void show_start(struct shift *s, struct conn *c, const struct target *t, bool verbose) {
    struct show_call *k = mem_zalloc(sizeof *k);
    if (!k) {
        api_respond_error(c, SLICE("/api/show"), ERR_NO_MEMORY, NULL);
        return;
    }
    k->errand = (struct errand){.path = "/api/show", .out = BUF_INIT(SHOW_BYTES), .work = show_work, .drop = show_drop};
    k->data_dir = s->d->data_dir;
    k->snap = snapshot_ref(s->worker.snap);
    k->t = t;
    k->verbose = verbose;
    (void)snprintf(k->name, sizeof k->name, "%.*s", SLICE_FMT(slice_first(t->model, sizeof k->name - 1)));
    errand_start(s, c, &k->errand);
}
