// SPDX-License-Identifier: Apache-2.0
// A registry that speaks Ollama's protocol (a corner of OCI distribution): GET BASE/v2/NAMESPACE/MODEL/manifests/TAG is a
// list of layers by media type, each GET BASE/v2/NAMESPACE/MODEL/blobs/sha256:HEX. Which registry, the config says;
// there is none built in. One that wants a login gets one (login.c). Weights and projector become blobs; system, parameters, messages and licence go into the
// manifest; its template is Go's almost always, and then the weights' own is used. A job's thread.
#include "store/gguf.h"
#include "store/login.h"
#include "store/modelfile.h"
#include "store/pull.h"

#define SMALL_LAYER_BYTES (1u << 20)

struct registry {
    struct pull *p;
    const char *base, *model, *tag; // "https://…", "library/qwen3", "8b"
    struct secret token;            // of its login; empty: it wanted none
};

static enum err layer_text(struct registry *r, const char *hex, struct slice *ret) {
    struct pull *p = r->p;
    struct buf text = BUF_INIT(SMALL_LAYER_BYTES);
    char got[HEX_BYTES];
    const char *url = arena_printf(&p->arena, "%s/v2/%s/blobs/sha256:%s", r->base, r->model, hex);
    if (!url)
        return pull_no_memory(p);
    struct wire_call c = {.url = slice_str(url), .bearer = &r->token};
    enum err e = wire_text(&p->wire, &c, &text);
    if (e || c.status != 200) {
        e = wire_explain(&p->wire, &c, e, "a layer");
    } else {
        struct hasher *h = hasher_new();
        if (h)
            hasher_feed(h, text.p ? text.p : "", text.len);
        hasher_end(h, got);
        if (!h || strcmp(got, hex) != 0)
            e = job_problem(p->job, ERR_UP_PROTOCOL, "a layer is damaged (it should be sha256:%.12s…)", hex);
        *ret = arena_copy(&p->arena, buf_slice(&text));
        if (!e && !ret->p)
            e = pull_no_memory(p);
    }
    buf_done(&text);
    return e;
}

static enum err layer_file(struct registry *r, const char *hex, int64_t bytes) {
    struct pull *p = r->p;
    char got[HEX_BYTES];
    const char *url = arena_printf(&p->arena, "%s/v2/%s/blobs/sha256:%s", r->base, r->model, hex);
    if (!url)
        return pull_no_memory(p);
    const struct download d = {
        .url = slice_str(url), .bearer = &r->token, .sha256 = hex, .bytes = bytes, .what = "the weights"};
    int64_t ignored;
    return download_run(&p->wire, &d, got, &ignored);
}

static enum err take_json(struct registry *r, struct slice text, bool object, struct slice *ret) {
    struct json_doc doc;
    struct json_error why;
    struct buf ignored = BUF_INIT(512);
    bool ok = json_read(&r->p->arena, text, &doc, &why) == ERR_OK;
    yyjson_val *root = ok ? yyjson_doc_get_root(doc.doc) : NULL;
    ok = object ? yyjson_is_obj(root) && parameters_check(root, &ignored) : yyjson_is_arr(root);
    if (ok)
        *ret = text;
    else
        job_say(r->p->job, "its %s are not understood, and not used", object ? "parameters" : "messages");
    buf_done(&ignored);
    return ERR_OK;
}

static enum err license_add(struct registry *r, struct slice text) {
    struct manifest *m = &r->p->made;
    m->license = m->license ? arena_printf(&r->p->arena, "%s\n\n%.*s", m->license, SLICE_FMT(text)) : text.p;
    return m->license ? ERR_OK : pull_no_memory(r->p);
}

static enum err layer_small(struct registry *r, struct slice kind, const char *hex) {
    struct pull *p = r->p;
    struct slice text = SLICE_NONE;
    enum err e = layer_text(r, hex, &text);
    if (e)
        return e;
    if (slice_ends(kind, ".image.template"))
        return pull_take_template(p->job, &p->arena, &p->made, text);
    if (slice_ends(kind, ".image.params"))
        return take_json(r, text, true, &p->made.parameters);
    if (slice_ends(kind, ".image.messages"))
        return take_json(r, text, false, &p->made.messages);
    if (slice_ends(kind, ".image.license"))
        return license_add(r, text);
    p->made.system = text.p;
    return ERR_OK;
}

// Those of old are in a form that llama-server does not read.
static enum err adapter_take(struct registry *r, const char *hex, int64_t bytes) {
    struct pull *p = r->p;
    struct manifest *m = &p->made;
    struct gguf g;
    struct buf path = BUF_INIT(4096);
    enum err e = layer_file(r, hex, bytes);
    store_blob_path(job_data_dir(p->job), hex, &path);
    bool good =
        !e && gguf_read_file(buf_cstr(&path), &g) == ERR_OK && g.adapter && m->n_adapters < MANIFEST_ADAPTERS_MAX;
    buf_done(&path);
    if (e || !good) {
        if (!e)
            job_say(p->job, "it has an adapter of a form that can't be used here; it is left out");
        return e;
    }
    if (!m->adapters)
        m->adapters = arena_array(&p->arena, MANIFEST_ADAPTERS_MAX, sizeof *m->adapters);
    if (!m->adapters || !(m->adapters[m->n_adapters] = arena_strdup(&p->arena, hex)))
        return pull_no_memory(p);
    m->n_adapters++;
    return ERR_OK;
}

static enum err layer_take(struct registry *r, yyjson_val *layer) {
    struct pull *p = r->p;
    char hex[HEX_BYTES];
    struct slice kind = json_get_str(layer, "mediaType");
    int64_t bytes = json_get_int(layer, "size", -1);
    if (!digest_parse(json_get_str(layer, "digest"), hex))
        return job_problem(p->job, ERR_UP_PROTOCOL, "the manifest of %s names no digest for a layer", p->source);
    if (slice_ends(kind, ".image.model")) {
        enum err e = layer_file(r, hex, bytes);
        return e ? e : pull_add_weights(p, hex, bytes);
    }
    if (slice_ends(kind, ".image.projector")) {
        p->made.projector = arena_strdup(&p->arena, hex);
        return p->made.projector ? layer_file(r, hex, bytes) : pull_no_memory(p);
    }
    static const char *const small[] = {".template", ".system", ".params", ".messages", ".license"};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
        if (slice_ends(kind, small[i]))
            return layer_small(r, kind, hex);
    return slice_ends(kind, ".image.adapter") ? adapter_take(r, hex, bytes) : ERR_OK;
}

static enum err layers_take(struct registry *r, yyjson_val *root) {
    yyjson_val *list = yyjson_obj_get(root, "layers"), *layer;
    size_t i, n;
    enum err e = ERR_OK;
    yyjson_arr_foreach(list, i, n, layer) {
        e = layer_take(r, layer);
        if (e)
            return e;
    }
    if (r->p->made.n_weights == 0)
        return job_problem(r->p->job, ERR_UP_PROTOCOL, "%s has no weights that can be used here", r->p->source);
    return ERR_OK;
}

static enum err manifest_get(struct registry *r) {
    struct pull *p = r->p;
    struct buf text = BUF_INIT(WIRE_TEXT_BYTES);
    struct json_doc doc;
    struct json_error why;
    const char *url = arena_printf(&p->arena, "%s/v2/%s/manifests/%s", r->base, r->model, r->tag);
    const char *what = arena_printf(&p->arena, "the model %s", p->source);
    if (!url || !what)
        return pull_no_memory(p);
    job_say(p->job, "pulling manifest");
    struct wire_call c = {
        .url = slice_str(url), .bearer = &r->token, .accept = "application/vnd.docker.distribution.manifest.v2+json"};
    enum err e = wire_text(&p->wire, &c, &text);
    if (e || c.status != 200)
        e = wire_explain(&p->wire, &c, e, what);
    else if (json_read(&p->arena, arena_copy(&p->arena, buf_slice(&text)), &doc, &why) != ERR_OK)
        e = job_problem(p->job, ERR_UP_PROTOCOL, "%s answered with something that is no manifest", c.host);
    else
        e = layers_take(r, yyjson_doc_get_root(doc.doc));
    buf_done(&text);
    return e;
}

static enum err no_registry(struct pull *p) {
    char names[512];
    struct buf known = BUF_FIXED(names);
    for (size_t i = 0; pull_indexed(i); i++)
        buf_printf(&known, "%s%s", i ? ", " : "", pull_indexed(i));
    return job_problem(
        p->job, ERR_MODEL_NOT_FOUND,
        "'%s' is not in the built-in index (%s), and no registry is set: pull it as hf.co/ORG/REPO:QUANT, by "
        "its URL, or set store.registry to one that speaks Ollama's protocol",
        p->source, buf_cstr(&known));
}

enum err pull_from_registry(struct pull *p) {
    char name[NAME_BYTES];
    struct buf ignored = BUF_INIT(256);
    struct registry r = {.p = p, .base = p->config->store_registry};
    bool ok = name_parse(slice_str(p->source), name, &ignored);
    buf_done(&ignored);
    if (!r.base)
        return no_registry(p);
    struct slice rest = slice_str(name), model = slice_split(&rest, ':');
    size_t base_n = strlen(r.base);
    while (base_n > 0 && r.base[base_n - 1] == '/')
        base_n--;
    r.base = arena_printf(&p->arena, "%.*s", (int)base_n, r.base);
    r.model = arena_printf(&p->arena, "%s%.*s", slice_find(model, '/') == SIZE_MAX ? "library/" : "", SLICE_FMT(model));
    r.tag = arena_cstr(&p->arena, rest);
    if (!ok || !r.base || !r.model || !r.tag)
        return pull_no_memory(p);
    enum err e = pull_name(p, name);
    struct login login = {&p->wire, &r.token, p->config->store_found};
    p->wire.login = login_by_challenge;
    p->wire.login_ctx = &login;
    if (!e)
        e = manifest_get(&r);
    p->wire.login = NULL;
    secret_done(&r.token);
    return e;
}
