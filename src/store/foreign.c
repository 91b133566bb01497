// SPDX-License-Identifier: Apache-2.0
// What other programs on this disk hold: Ollama's manifests and blobs, LM Studio's folders, the Hugging Face cache's
// snapshots. Their weights are used where they lie; nothing of theirs is ever written, moved or removed, and they may
// change at any time: a file that is gone when it is wanted is a load that fails. Names are made so that they could have
// been pulled: "qwen3:8b", "publisher/repo:Q4_K_M", "hf.co/org/repo:Q4_K_M". Folders are bounded in depth and number, so
// that a store on a slow disk costs headers only. Runs where models_new does, never on a loop.
#include "store/foreign.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "store/quant.h"

#define ENTRIES_MAX 512 // of one folder
#define SMALL_BYTES (1u << 20)

static bool is_dir(const char *path) {
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// $variable/sub, or NULL where the variable is not set.
static const char *of_variable(struct arena *a, const char *variable, const char *sub) {
    const char *v = getenv(variable);
    return v && v[0] == '/' ? arena_printf(a, "%s%s", v, sub) : NULL;
}

static const char *of_home(struct arena *a, const char *sub) {
    struct buf home = BUF_INIT(4096);
    fs_home_dir(&home);
    const char *own = home.len ? arena_printf(a, "%s%s", buf_cstr(&home), sub) : NULL;
    buf_done(&home);
    return own;
}

static void root_put(struct foreign_root *v, size_t *n, enum foreign_kind kind, const char *path) {
    if (path && *n < FOREIGN_ROOTS_MAX)
        v[(*n)++] = (struct foreign_root){kind, path};
}

size_t foreign_roots(struct arena *a, struct foreign_root ret[FOREIGN_ROOTS_MAX]) {
    const char *set = of_variable(a, "OLLAMA_MODELS", "/manifests");
    const char *hub = of_variable(a, "HF_HUB_CACHE", "");
    size_t n = 0;
    root_put(ret, &n, FOREIGN_OLLAMA, set ? set : of_home(a, "/.ollama/models/manifests"));
    if (!set) // where its service keeps them
        root_put(ret, &n, FOREIGN_OLLAMA, arena_strdup(a, "/usr/share/ollama/.ollama/models/manifests"));
    root_put(ret, &n, FOREIGN_LMSTUDIO, of_home(a, "/.lmstudio/models"));
    root_put(ret, &n, FOREIGN_LMSTUDIO, of_home(a, "/.cache/lm-studio/models"));
    if (!hub)
        hub = of_variable(a, "HF_HOME", "/hub");
    root_put(ret, &n, FOREIGN_HUGGINGFACE, hub ? hub : of_home(a, "/.cache/huggingface/hub"));
    return n;
}

// Calls fn for each entry of a folder that is not hidden, with its path.
typedef void entry_fn(struct models *m, const char *path, const char *name, const void *ctx);
static void each_entry(struct models *m, const char *dir_path, entry_fn *fn, const void *ctx) {
    DIR *dir = dir_path ? opendir(dir_path) : NULL;
    unsigned n = 0;
    for (struct dirent *d; dir && n < ENTRIES_MAX && (d = readdir(dir)); n++) {
        const char *path = d->d_name[0] == '.' ? NULL : arena_printf(&m->arena, "%s/%s", dir_path, d->d_name);
        const char *name = path ? strrchr(path, '/') + 1 : NULL;
        if (name)
            fn(m, path, name, ctx);
    }
    if (dir)
        closedir(dir);
}

// ---- a folder with GGUF files of one repository

struct repository {
    const char *name; // "hf.co/org/repo"
    enum model_from from;
    const char *projector; // found in it
    bool looks_for_projector;
    unsigned depth; // folders that may still be entered
};

// All parts of a split GGUF are there: their bytes together, else -1.
static int64_t parts_bytes(struct models *m, const char *first, const struct split_name *split) {
    int64_t sum = 0;
    size_t stem = strlen(first) - strlen(strrchr(first, '/') + 1) + split->stem_bytes;
    for (unsigned i = 1; i <= split->of && i <= MANIFEST_PARTS_MAX; i++) {
        struct stat st;
        const char *path = arena_printf(&m->arena, "%.*s-%05u-of-%05u.gguf", (int)stem, first, i, split->of);
        if (!path || stat(path, &st) != 0)
            return -1;
        sum += (int64_t)st.st_size;
    }
    return sum;
}

static void gguf_add(struct models *m, const char *path, const char *file, const struct repository *r) {
    struct split_name split = {1, 1, 0};
    bool in_parts = split_name_parse(slice_str(file), &split);
    struct slice stem = slice_first(slice_str(file), in_parts ? split.stem_bytes : strlen(file) - 5);
    char name[NAME_BYTES], tag[NAME_BYTES];
    int64_t bytes = 0;
    if (in_parts && (split.part != 1 || (bytes = parts_bytes(m, path, &split)) < 0))
        return;
    struct slice quant = quant_of_file(stem);
    bool named = name_make(slice_str(r->name), quant, name);
    if (!named || model_named(m, name)) { // two files of one quantization
        if (!name_make(stem, SLICE_NONE, tag))
            return;
        struct slice own = slice_str(tag);
        own = slice_first(own, slice_find(own, ':'));
        named = slice_find(own, '/') == SIZE_MAX && name_make(slice_str(r->name), own, name);
    }
    struct model *model = named ? model_add(m, arena_strdup(&m->arena, name), path, r->from) : NULL;
    if (!model)
        return;
    model->n_parts = split.of;
    model->projector = r->projector;
    model->source = path;
    if (in_parts)
        model->size_bytes = bytes;
}

static void repository_entry(struct models *m, const char *path, const char *name, const void *ctx) {
    const struct repository *r = ctx;
    struct slice file = slice_str(name);
    if (slice_ends(file, ".gguf") && file.n > 5) {
        if (!quant_is_projector(file))
            gguf_add(m, path, name, r);
    } else if (r->depth > 0 && is_dir(path)) {
        struct repository inner = *r;
        inner.depth--;
        each_entry(m, path, repository_entry, &inner);
    }
}

struct found_projector {
    const char **ret;
};
static void projector_entry(struct models *m, const char *path, const char *name, const void *ctx) {
    const struct found_projector *f = ctx;
    (void)m;
    if (!*f->ret && quant_is_projector(slice_str(name)))
        *f->ret = path;
}

static void repository_add(struct models *m, const char *dir, const char *name, enum model_from from, unsigned depth) {
    struct repository r = {.name = name, .from = from, .depth = depth};
    struct found_projector f = {&r.projector};
    if (!name || !is_dir(dir))
        return;
    each_entry(m, dir, projector_entry, &f);
    each_entry(m, dir, repository_entry, &r);
}

// ---- LM Studio: publisher/repository/file.gguf

static void lmstudio_repository(struct models *m, const char *path, const char *name, const void *publisher) {
    repository_add(m, path, arena_printf(&m->arena, "%s/%s", (const char *)publisher, name), MODEL_FROM_LMSTUDIO, 0);
}

static void lmstudio_publisher(struct models *m, const char *path, const char *name, const void *ctx) {
    (void)ctx;
    each_entry(m, path, lmstudio_repository, name);
}

// ---- Hugging Face: models--org--repo/{refs/main,snapshots/REVISION/…}

static void snapshot_entry(struct models *m, const char *path, const char *name, const void *ctx) {
    (void)name;
    repository_add(m, path, ctx, MODEL_FROM_HUGGINGFACE, 1);
}

static void huggingface_entry(struct models *m, const char *path, const char *name, const void *ctx) {
    static const char prefix[] = "models--";
    struct slice rest = slice_str(name);
    (void)ctx;
    if (!slice_starts(rest, prefix))
        return;
    rest = slice_from(rest, sizeof prefix - 1);
    size_t at = slice_search(rest, SLICE("--"));
    if (at == SIZE_MAX)
        return;
    const char *repo = arena_printf(&m->arena, "hf.co/%.*s/%.*s", (int)at, rest.p, SLICE_FMT(slice_from(rest, at + 2)));
    const char *main_ref = arena_printf(&m->arena, "%s/refs/main", path);
    struct buf revision = BUF_INIT(256);
    if (main_ref && fs_read_file(main_ref, 200, &revision) == ERR_OK) {
        struct slice r = slice_trim(buf_slice(&revision));
        if (r.n && slice_find(r, '/') == SIZE_MAX)
            repository_add(m, arena_printf(&m->arena, "%s/snapshots/%.*s", path, SLICE_FMT(r)), repo,
                           MODEL_FROM_HUGGINGFACE, 1);
    } else if (repo) {
        each_entry(m, arena_printf(&m->arena, "%s/snapshots", path), snapshot_entry, repo);
    }
    buf_done(&revision);
}

// ---- Ollama: manifests/HOST/NAMESPACE/MODEL/TAG and blobs/sha256-HEX

struct ollama {
    const char *root;
    const char *host, *space, *model;
};

static const char *ollama_blob(struct models *m, const struct ollama *o, yyjson_val *layer) {
    char hex[HEX_BYTES];
    if (!digest_parse(json_get_str(layer, "digest"), hex))
        return NULL;
    const char *path = arena_printf(&m->arena, "%s/blobs/sha256-%s", o->root, hex);
    return path && fs_exists(path) ? path : NULL;
}

static struct slice small_file(struct models *m, const char *path) {
    struct buf text = BUF_INIT(SMALL_BYTES);
    struct slice own = SLICE_NONE;
    if (path && fs_read_file(path, SMALL_BYTES, &text) == ERR_OK)
        own = arena_copy(&m->arena, buf_slice(&text));
    buf_done(&text);
    return own;
}

struct ollama_layers {
    const char *weights, *projector;
    struct slice system, parameters, messages;
    int64_t bytes;
};

static void ollama_layer(struct models *m, const struct ollama *o, yyjson_val *layer, struct ollama_layers *ret) {
    struct slice kind = json_get_str(layer, "mediaType");
    const char *path = ollama_blob(m, o, layer);
    if (slice_ends(kind, ".image.model") && !ret->weights) {
        ret->weights = path;
        ret->bytes = json_get_int(layer, "size", 0);
    } else if (slice_ends(kind, ".image.projector"))
        ret->projector = path;
    else if (slice_ends(kind, ".image.system"))
        ret->system = small_file(m, path);
    else if (slice_ends(kind, ".image.params"))
        ret->parameters = small_file(m, path);
    else if (slice_ends(kind, ".image.messages"))
        ret->messages = small_file(m, path);
}

static const char *ollama_name(struct models *m, const struct ollama *o, const char *tag) {
    char name[NAME_BYTES];
    bool usual_host = slice_search(slice_str(o->host), SLICE("ollama")) != SIZE_MAX;
    bool usual_space = strcmp(o->space, "library") == 0;
    const char *path = usual_host && usual_space ? o->model
                       : usual_host              ? arena_printf(&m->arena, "%s/%s", o->space, o->model)
                                                 : arena_printf(&m->arena, "%s/%s/%s", o->host, o->space, o->model);
    return path && name_make(slice_str(path), slice_str(tag), name) ? arena_strdup(&m->arena, name) : NULL;
}

static void ollama_tag(struct models *m, const char *path, const char *tag, const void *ctx) {
    const struct ollama *o = ctx;
    struct ollama_layers layers = {0};
    struct json_doc doc;
    struct json_error why;
    struct slice text = small_file(m, path);
    yyjson_val *layer;
    size_t i, n;
    if (!text.p || json_read(&m->arena, text, &doc, &why) != ERR_OK)
        return;
    yyjson_val *list = yyjson_obj_get(yyjson_doc_get_root(doc.doc), "layers");
    yyjson_arr_foreach(list, i, n, layer) ollama_layer(m, o, layer, &layers);
    struct model *model =
        layers.weights ? model_add(m, ollama_name(m, o, tag), layers.weights, MODEL_FROM_OLLAMA) : NULL;
    if (!model)
        return;
    bool params = layers.parameters.n && json_read(&m->arena, layers.parameters, &doc, &why) == ERR_OK &&
                  yyjson_is_obj(yyjson_doc_get_root(doc.doc));
    bool messages = layers.messages.n && json_read(&m->arena, layers.messages, &doc, &why) == ERR_OK &&
                    yyjson_is_arr(yyjson_doc_get_root(doc.doc));
    const struct manifest f = {.system = layers.system.n ? layers.system.p : NULL,
                               .source = path,
                               .parameters = params ? layers.parameters : SLICE_NONE,
                               .messages = messages ? layers.messages : SLICE_NONE};
    model_describe(m, model, &f);
    model->projector = layers.projector;
    model->size_bytes = layers.bytes;
}

static void ollama_model(struct models *m, const char *path, const char *name, const void *ctx) {
    struct ollama o = *(const struct ollama *)ctx;
    o.model = name;
    each_entry(m, path, ollama_tag, &o);
}

static void ollama_space(struct models *m, const char *path, const char *name, const void *ctx) {
    struct ollama o = *(const struct ollama *)ctx;
    o.space = name;
    each_entry(m, path, ollama_model, &o);
}

static void ollama_host(struct models *m, const char *path, const char *name, const void *ctx) {
    struct ollama o = *(const struct ollama *)ctx;
    o.host = name;
    each_entry(m, path, ollama_space, &o);
}

static void ollama_add(struct models *m, const char *manifests) {
    const struct ollama o = {
        .root = arena_printf(&m->arena, "%.*s", (int)(strlen(manifests) - (sizeof "/manifests" - 1)), manifests)};
    if (o.root && is_dir(manifests))
        each_entry(m, manifests, ollama_host, &o);
}

void foreign_add(struct models *m) {
    struct foreign_root roots[FOREIGN_ROOTS_MAX];
    size_t n = foreign_roots(&m->arena, roots);
    for (size_t i = 0; i < n; i++) {
        if (roots[i].kind == FOREIGN_OLLAMA)
            ollama_add(m, roots[i].path);
        else if (roots[i].kind == FOREIGN_LMSTUDIO)
            each_entry(m, roots[i].path, lmstudio_publisher, NULL);
        else
            each_entry(m, roots[i].path, huggingface_entry, NULL);
    }
}
