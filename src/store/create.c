// SPDX-License-Identifier: Apache-2.0
// Creating a name: from another model, files of this disk, or blobs that a client has sent, with a system text, parameters,
// a template, messages and a licence of its own, each of which replaces the parent's. The same whether it comes as Ollama's
// JSON, where the client has read the Modelfile, or as the Modelfile itself. Job threads, but for create_start.
#include <errno.h>
#include "base/limits.h"
#include "base/mem.h"
#include "store/change.h"
#include "store/gguf.h"
#include "store/modelfile.h"
#include "store/pull.h"

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
    struct slice base; // folder of relative paths; empty: none are known
    yyjson_val *files; // of the request: name → digest
};

static enum err no_memory(struct creating *k) {
    return job_problem(k->job, ERR_NO_MEMORY, "gridtie is out of memory for this");
}

// ---- weights

// A blob with weights or a projector: which, its header tells.
static enum err blob_add(struct creating *k, const char *hex) {
    struct buf path = BUF_INIT(4096);
    struct gguf g;
    int64_t bytes = store_blob_bytes(job_data_dir(k->job), hex);
    const char *own = arena_strdup(&k->a, hex);
    store_blob_path(job_data_dir(k->job), hex, &path);
    enum err e = bytes < 0 ? ERR_NOT_FOUND : gguf_read_file(buf_cstr(&path), &g);
    buf_done(&path);
    if (!own)
        return no_memory(k);
    if (e == ERR_NOT_FOUND)
        return job_problem(k->job, ERR_MODEL_NOT_FOUND, "there is no blob sha256:%s", hex);
    if (e)
        return job_problem(k->job, ERR_BAD_FIELD, "sha256:%.12s… is not a GGUF file that can be read", hex);
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

static enum err path_add(struct creating *k, struct slice from) {
    char hex[HEX_BYTES];
    int64_t bytes;
    const char *path = slice_starts(from, "/") ? arena_cstr(&k->a, from)
                                               : arena_printf(&k->a, "%.*s/%.*s", SLICE_FMT(k->base), SLICE_FMT(from));
    if (!path)
        return no_memory(k);
    if (!slice_starts(from, "/") && !k->base.n)
        return job_problem(k->job, ERR_BAD_FIELD, "FROM %.*s: a path must be absolute here", SLICE_FMT(from));
    enum err e = download_copy(k->job, path, hex, &bytes);
    return e ? e : blob_add(k, hex);
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
    return slice_starts(from, "/") || slice_starts(from, "./") || slice_starts(from, "../") ||
           slice_ends(from, ".gguf");
}

static enum err from_add(struct creating *k, struct slice from) {
    char hex[HEX_BYTES];
    if (digest_parse(slice_starts(from, "@") ? slice_from(from, 1) : from, hex))
        return blob_add(k, hex);
    return is_path(from) ? path_add(k, from) : parent_add(k, from);
}

static enum err files_add(struct creating *k) {
    yyjson_val *key, *v;
    size_t i, n;
    char hex[HEX_BYTES];
    yyjson_obj_foreach(k->files, i, n, key, v) {
        if (!slice_ends(json_str(key), ".gguf") && yyjson_obj_size(k->files) > 1)
            return job_problem(k->job, ERR_UNSUPPORTED, "%.*s: only GGUF files can be made a model here",
                               SLICE_FMT(slice_first(json_str(key), 100)));
        if (!digest_parse(json_str(v), hex))
            return job_problem(k->job, ERR_BAD_FIELD, "files: expected sha256:… for each");
        enum err e = blob_add(k, hex);
        if (e)
            return e;
    }
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
    if (!e && f.adapter)
        e = job_problem(k->job, ERR_UNSUPPORTED, "ADAPTER is not supported here; merge it into the weights");
    for (size_t i = 0; i < f.n_from && !e; i++)
        e = from_add(k, slice_str(f.from[i]));
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
    k->files = yyjson_obj_get(root, "files");
    enum err e = ERR_OK;
    if (json_get_str(root, "quantize").n)
        return job_problem(k->job, ERR_UNSUPPORTED,
                           "quantize is not supported here; make the file with llama-quantize");
    if (yyjson_obj_size(yyjson_obj_get(root, "adapters")) > 0)
        return job_problem(k->job, ERR_UNSUPPORTED, "adapters are not supported here; merge them into the weights");
    if (from.n)
        e = from_add(k, from);
    if (!e)
        e = files_add(k);
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
