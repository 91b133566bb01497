// SPDX-License-Identifier: Apache-2.0
// Hugging Face: hf.co/ORG/REPO[:QUANT]. GET BASE/api/models/ORG/REPO/tree/main?recursive=true lists the files, those in
// large-file storage with their sha256, in pages that link to the next; GET BASE/ORG/REPO/resolve/main/FILE gives one, by a redirect to a store elsewhere,
// which does not get our token (wire.c). Of several quantizations the one that was asked for is taken, else the one that
// most machines run best. A split GGUF is taken whole, a multimodal projector with it. A job's thread.
#include <stdlib.h>
#include "store/pull.h"
#include "store/quant.h"

#define HUB_URL "https://huggingface.co"

struct hub {
    struct pull *p;
    const char *base, *repo; // "org/repo"
    struct slice quant;      // asked for; empty: any
    const char *page;        // of the model, for people
    yyjson_val **files;      // of all pages
    size_t n_files;
};

#define HUB_FILES_MAX 65536 // the largest repositories have some thousands; a page has 1,000
#define HUB_PAGES_MAX 256

// A path in a URL: what may not stand there as it is, is coded.
static const char *path_code(struct arena *a, struct slice path) {
    struct buf out = BUF_INIT(WIRE_URL_BYTES);
    buf_append_percent(&out, path, URL_UNRESERVED "!\"$&'()*+,/:;<=>@[\\]^`{|}");
    const char *own = out.failed ? NULL : arena_strdup(a, buf_cstr(&out));
    buf_done(&out);
    return own;
}

static enum err hub_file(struct hub *h, yyjson_val *f, char hex[HEX_BYTES], int64_t *ret_bytes) {
    struct pull *p = h->p;
    yyjson_val *lfs = yyjson_obj_get(f, "lfs");
    char promised[HEX_BYTES];
    const char *path = arena_cstr(&p->arena, json_get_str(f, "path"));
    const char *coded = path_code(&p->arena, json_get_str(f, "path"));
    const char *url = path && coded ? arena_printf(&p->arena, "%s/%s/resolve/main/%s", h->base, h->repo, coded) : NULL;
    if (!url)
        return pull_no_memory(p);
    bool known = digest_parse(json_get_str(lfs, "oid"), promised);
    const struct download d = {.url = slice_str(url),
                               .bearer = secret_is_empty(&p->token) ? NULL : &p->token,
                               .sha256 = known ? promised : NULL,
                               .bytes = json_get_int(lfs, "size", json_get_int(f, "size", -1)),
                               .what = path,
                               .page = h->page};
    return download_run(&p->wire, &d, hex, ret_bytes);
}

static bool is_weights(yyjson_val *f, struct slice *ret_path, struct split_name *ret_split) {
    *ret_path = json_get_str(f, "path");
    *ret_split = (struct split_name){1, 1, 0};
    if (!slice_ends(*ret_path, ".gguf") || quant_is_projector(*ret_path))
        return false;
    if (!split_name_parse(*ret_path, ret_split))
        ret_split->stem_bytes = ret_path->n - 5;
    return true;
}

// The first file (of its parts) of what is to be taken, or NULL.
static yyjson_val *choose(struct hub *h) {
    yyjson_val *best = NULL;
    unsigned best_rank = 0;
    struct slice path;
    struct split_name split;
    for (size_t i = 0; i < h->n_files; i++) {
        yyjson_val *f = h->files[i];
        if (!is_weights(f, &path, &split) || split.part != 1)
            continue;
        struct slice quant = quant_of_file(slice_first(path, split.stem_bytes));
        if (h->quant.n && !quant_same(quant, h->quant))
            continue;
        unsigned rank = quant_rank(quant);
        if (!best || rank < best_rank) {
            best = f;
            best_rank = rank;
        }
    }
    return best;
}

static enum err nothing_fits(struct hub *h) {
    char text[700];
    struct buf has = BUF_FIXED(text);
    struct slice path;
    struct split_name split;
    for (size_t i = 0; i < h->n_files; i++) {
        if (!is_weights(h->files[i], &path, &split) || split.part != 1)
            continue;
        struct slice quant = quant_of_file(slice_first(path, split.stem_bytes));
        if (quant.n && has.len + quant.n + 2 < sizeof text)
            buf_printf(&has, "%s%.*s", has.len ? ", " : "", SLICE_FMT(quant));
    }
    if (!has.len)
        return job_problem(h->p->job, ERR_MODEL_NOT_FOUND,
                           "%s has no GGUF file; look for a repository of the same model whose name ends in -GGUF",
                           h->repo);
    return job_problem(h->p->job, ERR_MODEL_NOT_FOUND, "%s has no %.*s; it has %s", h->repo, SLICE_FMT(h->quant),
                       buf_cstr(&has));
}

static yyjson_val *file_named(struct hub *h, const char *path) {
    for (size_t i = 0; path && i < h->n_files; i++)
        if (slice_is(json_get_str(h->files[i], "path"), path))
            return h->files[i];
    return NULL;
}

static enum err take_weights(struct hub *h, yyjson_val *first) {
    struct pull *p = h->p;
    struct slice path;
    struct split_name split;
    (void)is_weights(first, &path, &split);
    if (split.of > MANIFEST_PARTS_MAX)
        return job_problem(p->job, ERR_BAD_FIELD, "a model in %u parts is too much", split.of);
    for (unsigned i = 1; i <= split.of; i++) {
        yyjson_val *f = split.of == 1 ? first
                                      : file_named(h, arena_printf(&p->arena, "%.*s-%05u-of-%05u.gguf",
                                                                   (int)split.stem_bytes, path.p, i, split.of));
        char hex[HEX_BYTES];
        int64_t bytes = 0;
        if (!f)
            return job_problem(p->job, ERR_UP_PROTOCOL, "part %u of %u is missing in %s", i, split.of, h->repo);
        enum err e = hub_file(h, f, hex, &bytes);
        if (!e)
            e = pull_add_weights(p, hex, bytes);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err take_projector(struct hub *h) {
    struct pull *p = h->p;
    yyjson_val *best = NULL;
    char hex[HEX_BYTES];
    int64_t bytes = 0;
    for (size_t i = 0; i < h->n_files; i++) {
        yyjson_val *f = h->files[i];
        struct slice path = json_get_str(f, "path");
        bool half = slice_search(path, SLICE("f16")) != SIZE_MAX || slice_search(path, SLICE("F16")) != SIZE_MAX;
        if (quant_is_projector(path) && (!best || half))
            best = f;
    }
    if (!best)
        return ERR_OK;
    enum err e = hub_file(h, best, hex, &bytes);
    if (e)
        return e;
    p->made.projector = arena_strdup(&p->arena, hex);
    return p->made.projector ? ERR_OK : pull_no_memory(p);
}

static enum err hub_take(struct hub *h) {
    struct pull *p = h->p;
    struct slice path;
    struct split_name split;
    char name[NAME_BYTES];
    yyjson_val *first = choose(h);
    if (!first)
        return nothing_fits(h);
    (void)is_weights(first, &path, &split);
    struct slice quant = quant_of_file(slice_first(path, split.stem_bytes));
    const char *full = arena_printf(&p->arena, "hf.co/%s", h->repo);
    if (!full || !name_make(slice_str(full), h->quant.n ? h->quant : quant, name))
        return pull_no_memory(p);
    enum err e = pull_name(p, name);
    if (!e)
        e = take_weights(h, first);
    return e ? e : take_projector(h);
}

static enum err page_take(struct hub *h, struct slice text, const char *host) {
    struct pull *p = h->p;
    struct json_doc doc;
    struct json_error why;
    yyjson_val *f;
    size_t i, n;
    struct slice own = arena_copy(&p->arena, text);
    if (json_read(&p->arena, own, &doc, &why) != ERR_OK || !yyjson_is_arr(yyjson_doc_get_root(doc.doc)))
        return job_problem(p->job, ERR_UP_PROTOCOL, "%s answered with something that is no list of files", host);
    yyjson_arr_foreach(yyjson_doc_get_root(doc.doc), i, n, f) {
        if (h->n_files == HUB_FILES_MAX)
            return job_problem(p->job, ERR_UP_PROTOCOL, "%s lists more than %d files", h->repo, HUB_FILES_MAX);
        h->files[h->n_files++] = f;
    }
    return ERR_OK;
}

// *url: the page; then the next one, or NULL. Our token goes where the list is, so the next page must be of the same place.
static enum err page_get(struct hub *h, const char **url, const char *what) {
    struct pull *p = h->p;
    struct buf text = BUF_INIT(WIRE_TEXT_BYTES);
    struct wire_call c = {.url = slice_str(*url),
                          .bearer = secret_is_empty(&p->token) ? NULL : &p->token,
                          .page = h->page,
                          .accept = "application/json"};
    enum err e = wire_text(&p->wire, &c, &text);
    if (e || c.status != 200)
        e = wire_explain(&p->wire, &c, e, what);
    else
        e = page_take(h, buf_slice(&text), c.host);
    buf_done(&text);
    *url = NULL;
    if (e || !c.next[0])
        return e;
    if (!slice_starts(slice_str(c.next), h->base) || c.next[strlen(h->base)] != '/')
        return job_problem(p->job, ERR_UP_PROTOCOL,
                           "%s goes on with its list of files elsewhere, which is not followed", c.host);
    *url = arena_strdup(&p->arena, c.next);
    return *url ? ERR_OK : pull_no_memory(p);
}

static enum err hub_list(struct hub *h) {
    struct pull *p = h->p;
    const char *url = arena_printf(&p->arena, "%s/api/models/%s/tree/main?recursive=true", h->base, h->repo);
    const char *what = arena_printf(&p->arena, "the repository %s", h->repo);
    h->files = arena_array(&p->arena, HUB_FILES_MAX, sizeof(yyjson_val *));
    h->page = arena_printf(&p->arena, "%s/%s", h->base, h->repo);
    if (!url || !what || !h->files || !h->page)
        return pull_no_memory(p);
    job_say(p->job, "pulling manifest");
    enum err e = ERR_OK;
    for (unsigned i = 0; url && !e; i++)
        e = i == HUB_PAGES_MAX ? job_problem(p->job, ERR_UP_PROTOCOL, "the list of files of %s has no end", h->repo)
                               : page_get(h, &url, what);
    return e ? e : hub_take(h);
}

enum err pull_from_hub(struct pull *p) {
    const char *env = getenv("HF_ENDPOINT");
    const char *base = p->config->store_huggingface ? p->config->store_huggingface : env && env[0] ? env : HUB_URL;
    size_t base_n = strlen(base);
    struct slice rest = slice_str(p->source);
    (void)slice_split(&rest, '/');
    struct slice quant = rest, repo = slice_split(&quant, ':');
    while (base_n > 0 && base[base_n - 1] == '/')
        base_n--;
    struct hub h = {.p = p, .quant = slice_is(quant, "latest") ? SLICE_NONE : quant};
    h.base = arena_printf(&p->arena, "%.*s", (int)base_n, base);
    h.repo = arena_cstr(&p->arena, repo);
    if (!h.base || !h.repo)
        return pull_no_memory(p);
    size_t slash = slice_find(repo, '/');
    if (slash == SIZE_MAX || slice_find(slice_from(repo, slash + 1), '/') != SIZE_MAX)
        return job_problem(p->job, ERR_BAD_FIELD, "'%s': expected hf.co/ORG/REPO[:QUANT]", p->source);
    return hub_list(&h);
}
