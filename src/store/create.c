// SPDX-License-Identifier: Apache-2.0
// Creating a name: from another model, files of this disk, or blobs that a client has sent, with adapters, a draft, a system
// text, parameters, a template, messages and a licence of its own, each of which replaces the parent's; quantized, if it is
// asked for. The same whether it comes as Ollama's
// JSON, where the client has read the Modelfile, or as the Modelfile itself. Job threads, but for create_start.
#include <dirent.h>
#include <errno.h>
#include "base/limits.h"
#include "base/mem.h"
#include "store/change.h"
#include "store/gguf.h"
#include "store/modelfile.h"
#include "store/pull.h"
#include "store/quantize.h"

struct create {
    struct config *config;
    char name[NAME_BYTES];
    char *body; // the request, owned
    size_t body_bytes;
};

struct creating {
    struct job *job;
    struct create *c;
    struct arena a;
    struct manifest m;
    struct slice base;   // folder of relative paths; empty: none are known
    bool fresh_adapters; // its own, no longer the parent's
};

static enum err no_memory(struct creating *k) {
    return job_problem(k->job, ERR_NO_MEMORY, "gridtie is out of memory for this");
}

// ---- weights

static bool is_of_other_form(struct slice file) {
    static const char *const ends[] = {".safetensors", ".bin", ".pt", ".pth", ".onnx", ".json", ".npz"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (slice_ends(file, ends[i]))
            return true;
    return false;
}

static enum err other_form_refuse(struct creating *k, struct slice file) {
    return job_problem(
        k->job, ERR_UNSUPPORTED,
        "%.*s: weights in safetensors or other forms are not read here; make a GGUF file of them with llama.cpp's "
        "convert_hf_to_gguf.py (an adapter's: convert_lora_to_gguf.py) and create from that",
        SLICE_FMT(slice_first(file, 200)));
}

// What a blob is, its header tells. *ret_hex is the arena's.
static enum err blob_look(struct creating *k, const char *hex, struct gguf *ret, int64_t *ret_bytes,
                          const char **ret_hex) {
    struct buf path = BUF_INIT(4096);
    *ret_bytes = store_blob_bytes(job_data_dir(k->job), hex);
    *ret_hex = arena_strdup(&k->a, hex);
    store_blob_path(job_data_dir(k->job), hex, &path);
    enum err e = *ret_bytes < 0 ? ERR_NOT_FOUND : gguf_read_file(buf_cstr(&path), ret);
    buf_done(&path);
    if (!*ret_hex)
        return no_memory(k);
    if (e == ERR_NOT_FOUND)
        return job_problem(k->job, ERR_MODEL_NOT_FOUND, "there is no blob sha256:%s", hex);
    return e ? job_problem(k->job, ERR_BAD_FIELD, "sha256:%.12s… is not a GGUF file that can be read", hex) : ERR_OK;
}

// Weights, or a projector.
static enum err blob_add(struct creating *k, const char *hex) {
    struct gguf g;
    int64_t bytes;
    const char *own;
    enum err e = blob_look(k, hex, &g, &bytes, &own);
    if (e)
        return e;
    if (g.adapter)
        return job_problem(k->job, ERR_BAD_FIELD, "sha256:%.12s… is an adapter, not a model: it goes behind ADAPTER",
                           hex);
    if (strcmp(g.architecture, "clip") == 0) {
        k->m.projector = own;
        return ERR_OK;
    }
    k->m.size_bytes += bytes;
    if (!k->m.weights)
        k->m.weights = arena_array(&k->a, MANIFEST_PARTS_MAX, sizeof *k->m.weights);
    if (!k->m.weights || k->m.n_weights == MANIFEST_PARTS_MAX)
        return no_memory(k);
    k->m.weights[k->m.n_weights++] = own;
    job_say(k->job, "using existing layer sha256:%s", hex);
    return ERR_OK;
}

static enum err adapter_add(struct creating *k, const char *hex) {
    struct gguf g;
    int64_t bytes;
    const char *own;
    enum err e = blob_look(k, hex, &g, &bytes, &own);
    if (e)
        return e;
    if (!g.adapter)
        return job_problem(k->job, ERR_BAD_FIELD, "sha256:%.12s… is no adapter: its general.type says something else",
                           hex);
    if (!k->fresh_adapters) // the parent's are replaced
        k->m.n_adapters = 0;
    if (!k->fresh_adapters)
        k->m.adapters = arena_array(&k->a, MANIFEST_ADAPTERS_MAX, sizeof *k->m.adapters);
    k->fresh_adapters = true;
    if (k->m.adapters && k->m.n_adapters == MANIFEST_ADAPTERS_MAX)
        return job_problem(k->job, ERR_BAD_FIELD, "more than %d adapters are too many", MANIFEST_ADAPTERS_MAX);
    if (!k->m.adapters)
        return no_memory(k);
    k->m.adapters[k->m.n_adapters++] = own;
    return ERR_OK;
}

static enum err draft_add(struct creating *k, const char *hex) {
    struct gguf g;
    int64_t bytes;
    const char *own;
    enum err e = blob_look(k, hex, &g, &bytes, &own);
    if (!e)
        k->m.draft = arena_printf(&k->a, "sha256:%s", own);
    return e ? e : k->m.draft ? ERR_OK : no_memory(k);
}

// A file of this disk, copied into a blob, which is added.
typedef enum err add_fn(struct creating *k, const char *hex);
static enum err file_add(struct creating *k, const char *path, add_fn *add) {
    char hex[HEX_BYTES];
    int64_t bytes;
    DIR *dir = opendir(path);
    if (dir)
        (void)closedir(dir);
    if (dir || is_of_other_form(slice_str(path)))
        return other_form_refuse(k, slice_str(path));
    enum err e = download_copy(k->job, path, hex, &bytes);
    return e ? e : add(k, hex);
}

static enum err path_add(struct creating *k, struct slice from, add_fn *add) {
    struct split_name split;
    const char *path = slice_starts(from, "/") ? arena_cstr(&k->a, from)
                                               : arena_printf(&k->a, "%.*s/%.*s", SLICE_FMT(k->base), SLICE_FMT(from));
    if (!path)
        return no_memory(k);
    if (!slice_starts(from, "/") && !k->base.n)
        return job_problem(k->job, ERR_BAD_FIELD, "%.*s: a path must be absolute here", SLICE_FMT(from));
    if (!split_name_parse(slice_str(path), &split) || split.part != 1)
        return file_add(k, path, add);
    enum err e = split.of <= MANIFEST_PARTS_MAX
                     ? ERR_OK
                     : job_problem(k->job, ERR_BAD_FIELD, "a model in %u parts is too much", split.of);
    for (unsigned i = 1; !e && i <= split.of; i++) {
        const char *part = arena_printf(&k->a, "%.*s-%05u-of-%05u.gguf", (int)split.stem_bytes, path, i, split.of);
        e = part ? file_add(k, part, add) : no_memory(k);
    }
    return e;
}

static enum err parent_add(struct creating *k, struct slice from) {
    struct manifest parent = {0};
    bool ours;
    enum err e = model_resolve(k->job, k->c->config, from, &k->a, &parent, &ours);
    if (e == ERR_MODEL_NOT_FOUND && pull_is_indexed(from))
        job_say(k->job, "it can be had by `gridtie pull %.*s`", SLICE_FMT(slice_first(from, NAME_BYTES)));
    if (e)
        return e;
    parent.parent = parent.name;
    parent.note = NULL;
    k->m = parent;
    return ERR_OK;
}

static bool is_path(struct slice from) {
    return slice_starts(from, "/") || slice_starts(from, "./") || slice_starts(from, "../") || slice_is(from, ".") ||
           slice_ends(from, ".gguf") || is_of_other_form(from);
}

// "@sha256:…" or a digest alone, as Ollama's clients write blobs.
static bool is_digest(struct slice from, char hex[HEX_BYTES]) {
    return digest_parse(slice_starts(from, "@") ? slice_from(from, 1) : from, hex);
}

static enum err adapter_from(struct creating *k, struct slice from) {
    char hex[HEX_BYTES];
    return is_digest(from, hex) ? adapter_add(k, hex) : path_add(k, from, adapter_add);
}

static enum err draft_from(struct creating *k, struct slice from) {
    char hex[HEX_BYTES], name[NAME_BYTES];
    struct buf problem = BUF_INIT(512);
    enum err e = ERR_OK;
    if (is_digest(from, hex))
        e = draft_add(k, hex);
    else if (is_path(from))
        e = path_add(k, from, draft_add);
    else if (!slice_is(from, "ngram") && !name_parse(from, name, &problem))
        e = job_problem(k->job, ERR_BAD_FIELD, "draft: '%.*s' %s", SLICE_FMT(slice_first(from, 100)),
                        buf_cstr(&problem));
    else
        k->m.draft = arena_cstr(&k->a, from);
    buf_done(&problem);
    return e ? e : k->m.draft ? ERR_OK : no_memory(k);
}

static enum err from_add(struct creating *k, struct slice from) {
    char hex[HEX_BYTES];
    if (is_digest(from, hex))
        return blob_add(k, hex);
    return is_path(from) ? path_add(k, from, blob_add) : parent_add(k, from);
}

// An object of a request: name of a file → digest of its blob.
static enum err files_add(struct creating *k, const char *what, yyjson_val *files, add_fn *add) {
    yyjson_val *key, *v;
    size_t i, n;
    char hex[HEX_BYTES];
    yyjson_obj_foreach(files, i, n, key, v) {
        if (is_of_other_form(json_str(key)) || (!slice_ends(json_str(key), ".gguf") && yyjson_obj_size(files) > 1))
            return other_form_refuse(k, json_str(key));
        if (!digest_parse(json_str(v), hex))
            return job_problem(k->job, ERR_BAD_FIELD, "%s: expected sha256:… for each", what);
        enum err e = add(k, hex);
        if (e)
            return e;
    }
    return ERR_OK;
}

// ---- another quantization

static enum err quantize(struct creating *k, struct slice type) {
    char hex[HEX_BYTES];
    struct buf path = BUF_INIT(4096);
    struct manifest *m = &k->m;
    if (m->n_weights > 1)
        return job_problem(k->job, ERR_UNSUPPORTED, "a model in %zu parts can't be quantized here; join it first",
                           m->n_weights);
    store_weights_path(job_data_dir(k->job), m, &path);
    enum err e =
        path.failed ? no_memory(k) : quantize_run(k->job, k->c->config, buf_cstr(&path), type, hex, &m->size_bytes);
    buf_done(&path);
    if (e)
        return e;
    m->file = NULL;
    m->weights = arena_array(&k->a, 1, sizeof *m->weights);
    if (!m->weights || !(m->weights[0] = arena_strdup(&k->a, hex)))
        return no_memory(k);
    m->n_weights = 1;
    return ERR_OK;
}

// ---- what is said about it

static enum err parameters_join(struct creating *k, struct slice more) {
    struct json_doc old_doc, new_doc;
    struct json_error why;
    struct buf out = BUF_INIT(MANIFEST_BYTES);
    struct json_writer w = JSON_WRITER(&out);
    yyjson_val *old = NULL, *key, *v;
    size_t i, n;
    if (json_read(&k->a, more, &new_doc, &why) != ERR_OK)
        return no_memory(k);
    if (k->m.parameters.n && json_read(&k->a, k->m.parameters, &old_doc, &why) == ERR_OK)
        old = yyjson_doc_get_root(old_doc.doc);
    yyjson_val *fresh = yyjson_doc_get_root(new_doc.doc);
    json_obj(&w);
    yyjson_obj_foreach(old, i, n, key, v) {
        if (yyjson_obj_getn(fresh, yyjson_get_str(key), yyjson_get_len(key)))
            continue;
        json_key_slice(&w, json_str(key));
        json_put_val(&w, v);
    }
    yyjson_obj_foreach(fresh, i, n, key, v) {
        json_key_slice(&w, json_str(key));
        json_put_val(&w, v);
    }
    json_obj_end(&w);
    k->m.parameters = arena_copy(&k->a, buf_slice(&out));
    bool ok = k->m.parameters.p && !out.failed;
    buf_done(&out);
    return ok ? ERR_OK : no_memory(k);
}

static enum err modelfile_take(struct creating *k, struct slice text) {
    struct modelfile f = {0};
    struct buf problem = BUF_INIT(2048);
    enum err e = modelfile_read(&k->a, text, &f, &problem);
    if (e)
        e = job_problem(k->job, e, "the Modelfile: %s", buf_cstr(&problem));
    buf_done(&problem);
    for (size_t i = 0; i < f.n_from && !e; i++)
        e = from_add(k, slice_str(f.from[i]));
    for (size_t i = 0; i < f.n_adapters && !e; i++)
        e = adapter_from(k, slice_str(f.adapters[i]));
    if (!e && f.draft)
        e = draft_from(k, slice_str(f.draft));
    if (!e && f.template)
        e = pull_take_template(k->job, &k->a, &k->m, slice_str(f.template));
    if (!e && f.parameters.n)
        e = parameters_join(k, f.parameters);
    k->m.system = f.system ? f.system : k->m.system;
    k->m.license = f.license ? f.license : k->m.license;
    k->m.messages = f.messages.n ? f.messages : k->m.messages;
    return e;
}

static const char *text_take(struct creating *k, yyjson_val *root, const char *key, const char *otherwise) {
    struct slice s = json_get_str(root, key);
    return s.p ? arena_cstr(&k->a, s) : otherwise;
}

static bool message_is_good(yyjson_val *m) {
    struct slice role = json_get_str(m, "role");
    return (slice_is(role, "system") || slice_is(role, "user") || slice_is(role, "assistant")) &&
           yyjson_is_str(yyjson_obj_get(m, "content"));
}

static enum err messages_take(struct creating *k, yyjson_val *list) {
    struct buf out = BUF_INIT(MANIFEST_BYTES);
    struct json_writer w = JSON_WRITER(&out);
    yyjson_val *m;
    size_t i, n;
    enum err e = yyjson_is_arr(list) ? ERR_OK : job_problem(k->job, ERR_BAD_FIELD, "messages: expected a list");
    yyjson_arr_foreach(list, i, n, m) {
        if (!message_is_good(m))
            e = job_problem(k->job, ERR_BAD_FIELD,
                            "messages[%zu]: expected a role (system, user, assistant) and content", i);
    }
    json_put_val(&w, list);
    if (!e) {
        k->m.messages = arena_copy(&k->a, buf_slice(&out));
        e = k->m.messages.p && !out.failed ? ERR_OK : no_memory(k);
    }
    buf_done(&out);
    return e;
}

static enum err parameters_take(struct creating *k, yyjson_val *object) {
    struct buf problem = BUF_INIT(512), out = BUF_INIT(MANIFEST_BYTES);
    struct json_writer w = JSON_WRITER(&out);
    enum err e = ERR_OK;
    if (!yyjson_is_obj(object))
        e = job_problem(k->job, ERR_BAD_FIELD, "parameters: expected an object");
    else if (!parameters_check(object, &problem))
        e = job_problem(k->job, ERR_BAD_FIELD, "%s", buf_cstr(&problem));
    json_put_val(&w, object);
    struct slice own = e ? SLICE_NONE : arena_copy(&k->a, buf_slice(&out));
    if (!e)
        e = own.p ? parameters_join(k, own) : no_memory(k);
    buf_done(&problem);
    buf_done(&out);
    return e;
}

static void license_take(struct creating *k, yyjson_val *v) {
    yyjson_val *one;
    size_t i, n;
    if (yyjson_is_str(v))
        k->m.license = arena_cstr(&k->a, json_str(v));
    yyjson_arr_foreach(v, i, n, one) {
        k->m.license = i ? arena_printf(&k->a, "%s\n\n%.*s", k->m.license, SLICE_FMT(json_str(one)))
                         : arena_cstr(&k->a, json_str(one));
    }
}

static enum err fields_take(struct creating *k, yyjson_val *root) {
    yyjson_val *parameters = yyjson_obj_get(root, "parameters"), *messages = yyjson_obj_get(root, "messages");
    struct slice from = json_get_str(root, "from"), template = json_get_str(root, "template");
    struct slice draft = json_get_str(root, "draft");
    enum err e = from.n ? from_add(k, from) : ERR_OK;
    if (!e)
        e = files_add(k, "files", yyjson_obj_get(root, "files"), blob_add);
    if (!e)
        e = files_add(k, "adapters", yyjson_obj_get(root, "adapters"), adapter_add);
    if (!e && draft.n)
        e = draft_from(k, draft);
    if (!e && template.p)
        e = pull_take_template(k->job, &k->a, &k->m, template);
    if (!e && parameters && !yyjson_is_null(parameters))
        e = parameters_take(k, parameters);
    if (!e && yyjson_is_arr(messages) && yyjson_arr_size(messages) > 0)
        e = messages_take(k, messages);
    k->m.system = text_take(k, root, "system", k->m.system);
    license_take(k, yyjson_obj_get(root, "license"));
    return e;
}

static enum err create_do(struct creating *k) {
    struct json_doc doc;
    struct json_error why;
    if (json_read(&k->a, slice_of(k->c->body, k->c->body_bytes), &doc, &why) != ERR_OK)
        return no_memory(k); // it was read before
    yyjson_val *root = yyjson_doc_get_root(doc.doc);
    struct slice text = json_get_str(root, "modelfile");
    k->base = json_get_str(root, "path");
    enum err e = text.p ? modelfile_take(k, text) : fields_take(k, root);
    if (!e && k->m.n_weights == 0 && !k->m.file)
        e = job_problem(k->job, ERR_MISSING_FIELD, "neither 'from' nor 'files' says which weights it is made of");
    struct slice type = json_get_str(root, "quantize");
    if (!type.n)
        type = json_get_str(root, "quantization"); // as older clients spell it
    if (!e && type.n)
        e = quantize(k, type);
    if (e)
        return e;
    k->m.name = k->c->name;
    if (!k->m.source)
        k->m.source = "created";
    return pull_keep(k->job, &k->m);
}

static enum err create_run(struct job *j, void *arg) {
    struct creating k = {.job = j, .c = arg};
    arena_init(&k.a, LIMIT_STORE_ARENA_BYTES, 0);
    job_say(j, "parsing modelfile");
    enum err e = create_do(&k);
    arena_done(&k.a);
    return e;
}

static void create_free(void *arg) {
    struct create *c = arg;
    config_unref(c->config);
    mem_free(c->body);
    mem_free(c);
}

static struct create *create_new(struct config *config, struct slice body, const char *name) {
    struct create *c = mem_zalloc(sizeof *c);
    if (!c)
        return NULL;
    c->body = mem_strndup(body.p, body.n);
    if (!c->body) {
        mem_free(c);
        return NULL;
    }
    c->body_bytes = body.n;
    c->config = config_ref(config);
    memcpy(c->name, name, sizeof c->name);
    return c;
}

enum err create_start(struct jobs *jobs, struct config *config, struct slice body, struct job **ret,
                      struct buf *problem) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    char name[NAME_BYTES];
    struct buf key = BUF_INIT(512);
    arena_init(&a, LIMIT_STORE_ARENA_BYTES, 0);
    enum err e = json_read(&a, body, &doc, &why);
    yyjson_val *root = e ? NULL : yyjson_doc_get_root(doc.doc);
    struct slice asked = json_get_str(root, "model");
    if (!asked.n)
        asked = json_get_str(root, "name");
    if (!e) {
        buf_printf(problem, "'%.*s' ", SLICE_FMT(slice_first(asked, 200)));
        e = name_parse(asked, name, problem) ? ERR_OK : ERR_BAD_FIELD;
    }
    arena_done(&a);
    if (e)
        return e;
    buf_clear(problem);
    struct create *c = create_new(config, body, name);
    if (!c)
        return ERR_NO_MEMORY;
    static _Atomic unsigned serial; // two that make one name are two: the last one holds
    buf_printf(&key, "create %u", serial++);
    const struct job_work work = {create_run, create_free, c};
    e = job_start(jobs, buf_slice(&key), &work, ret);
    buf_done(&key);
    return e;
}
