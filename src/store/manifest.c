// SPDX-License-Identifier: Apache-2.0
// A manifest as JSON. It may have been edited by hand or half written by another program, so all that names a file is
// checked again when it is read: digests are digests, the name is a name, a path is absolute. Pure; any thread.
#include "store/manifest.h"

bool digest_parse(struct slice s, char ret[HEX_BYTES]) {
    if (slice_starts(s, "sha256:") || slice_starts(s, "sha256-"))
        s = slice_from(s, 7);
    if (s.n != HEX_BYTES - 1)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
            return false;
    memcpy(ret, s.p, s.n);
    ret[s.n] = 0;
    return true;
}

struct taking {
    struct arena *a;
    yyjson_val *root;
    enum err err;
};

static const char *take_text(struct taking *t, const char *key) {
    yyjson_val *v = yyjson_obj_get(t->root, key);
    if (!v || yyjson_is_null(v))
        return NULL;
    // What ends at a NUL for C would be another text than what was written.
    const char *own =
        yyjson_is_str(v) && !memchr(yyjson_get_str(v), 0, yyjson_get_len(v)) ? arena_cstr(t->a, json_str(v)) : NULL;
    if (!own && t->err == ERR_OK)
        t->err = yyjson_is_str(v) && !memchr(yyjson_get_str(v), 0, yyjson_get_len(v)) ? ERR_NO_MEMORY : ERR_BAD_FIELD;
    return own;
}

static const char *digest_keep(struct taking *t, struct slice s) {
    char hex[HEX_BYTES];
    const char *own = digest_parse(s, hex) ? arena_strdup(t->a, hex) : NULL;
    if (!own && t->err == ERR_OK)
        t->err = digest_parse(s, hex) ? ERR_NO_MEMORY : ERR_BAD_FIELD;
    return own;
}

static const char *take_digest(struct taking *t, const char *key) {
    yyjson_val *v = yyjson_obj_get(t->root, key);
    return v && !yyjson_is_null(v) ? digest_keep(t, json_str(v)) : NULL;
}

static struct slice take_json(struct taking *t, const char *key, bool object) {
    yyjson_val *v = yyjson_obj_get(t->root, key);
    if (!v || yyjson_is_null(v))
        return SLICE_NONE;
    if (object ? !yyjson_is_obj(v) : !yyjson_is_arr(v)) {
        t->err = t->err ? t->err : ERR_BAD_FIELD;
        return SLICE_NONE;
    }
    struct buf out = BUF_INIT(MANIFEST_BYTES);
    struct json_writer w = JSON_WRITER(&out);
    json_put_val(&w, v);
    struct slice own = out.failed ? SLICE_NONE : arena_copy(t->a, buf_slice(&out));
    if (!own.p && t->err == ERR_OK)
        t->err = ERR_NO_MEMORY;
    buf_done(&out);
    return own;
}

static void take_digests(struct taking *t, const char *key, size_t most, const char ***ret, size_t *ret_n) {
    yyjson_val *list = yyjson_obj_get(t->root, key), *v;
    size_t i, n;
    if (!list)
        return;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > most) {
        t->err = t->err ? t->err : ERR_BAD_FIELD;
        return;
    }
    const char **own = arena_array(t->a, yyjson_arr_size(list) + 1, sizeof *own);
    if (!own) {
        t->err = t->err ? t->err : ERR_NO_MEMORY;
        return;
    }
    *ret = own;
    yyjson_arr_foreach(list, i, n, v) {
        own[i] = digest_keep(t, json_str(v));
        if (!own[i])
            return;
        *ret_n = i + 1;
    }
}

const char *manifest_draft_blob(const struct manifest *m) {
    char ignored[HEX_BYTES];
    struct slice draft = slice_str(m->draft);
    return slice_starts(draft, "sha256:") && digest_parse(draft, ignored) ? m->draft + 7 : NULL;
}

static bool manifest_is_whole(const struct manifest *m) {
    char name[NAME_BYTES];
    struct buf ignored = BUF_INIT(512);
    bool ok = m->name && name_parse(slice_str(m->name), name, &ignored) && strcmp(name, m->name) == 0;
    ok = ok && (!m->draft || name_parse(slice_str(m->draft), name, &ignored)); // "ngram" and digests have a name's form
    buf_done(&ignored);
    return ok && (m->n_weights > 0) != (m->file != NULL) && (!m->file || m->file[0] == '/');
}

enum err manifest_read(struct arena *a, struct slice json, struct manifest *ret) {
    struct json_doc doc;
    struct json_error why;
    struct manifest m = {0};
    enum err e = json_read(a, json, &doc, &why);
    if (e != ERR_OK)
        return e;
    struct taking t = {a, yyjson_doc_get_root(doc.doc), ERR_OK};
    if (!yyjson_is_obj(t.root))
        return ERR_BAD_FIELD;
    m.name = take_text(&t, "name");
    take_digests(&t, "weights", MANIFEST_PARTS_MAX, &m.weights, &m.n_weights);
    take_digests(&t, "adapters", MANIFEST_ADAPTERS_MAX, &m.adapters, &m.n_adapters);
    m.draft = take_text(&t, "draft");
    m.file = take_text(&t, "file");
    m.projector = take_digest(&t, "projector");
    m.template = take_digest(&t, "template");
    m.system = take_text(&t, "system");
    m.license = take_text(&t, "license");
    m.source = take_text(&t, "source");
    m.parent = take_text(&t, "parent");
    m.note = take_text(&t, "note");
    m.parameters = take_json(&t, "parameters", true);
    m.messages = take_json(&t, "messages", false);
    m.size_bytes = json_get_int(t.root, "size", 0);
    m.created_s = json_get_int(t.root, "created", 0);
    if (t.err != ERR_OK)
        return t.err;
    if (!manifest_is_whole(&m))
        return ERR_BAD_FIELD;
    *ret = m;
    return ERR_OK;
}

static void put_text(struct json_writer *w, const char *key, const char *text) {
    if (text)
        json_kv_cstr(w, key, text);
}

static void put_digests(struct json_writer *w, const char *key, const char *const *v, size_t n) {
    if (n == 0)
        return;
    json_key(w, key);
    json_arr(w);
    for (size_t i = 0; i < n; i++)
        json_put_cstr(w, v[i]);
    json_arr_end(w);
}

void manifest_write(const struct manifest *m, struct buf *out) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "name", m->name);
    put_digests(&w, "weights", m->weights, m->n_weights);
    put_text(&w, "file", m->file);
    put_text(&w, "projector", m->projector);
    put_digests(&w, "adapters", m->adapters, m->n_adapters);
    put_text(&w, "draft", m->draft);
    put_text(&w, "template", m->template);
    put_text(&w, "system", m->system);
    put_text(&w, "license", m->license);
    put_text(&w, "source", m->source);
    put_text(&w, "parent", m->parent);
    put_text(&w, "note", m->note);
    if (m->parameters.n)
        json_kv_raw(&w, "parameters", m->parameters);
    if (m->messages.n)
        json_kv_raw(&w, "messages", m->messages);
    json_kv_int(&w, "size", m->size_bytes);
    json_kv_int(&w, "created", m->created_s);
    json_obj_end(&w);
    buf_append_char(out, '\n');
}
