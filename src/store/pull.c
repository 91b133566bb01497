// SPDX-License-Identifier: Apache-2.0
// A pull from its beginning to its name. Which source it is, its form tells: a URL, a path, hf.co/…, a name of the index,
// else a name for the registry of the config. Each source fills a manifest; what they have in common is here: the wire, the
// credential, that what came is a model, the writing of the name, and that requests can go to it before anybody is told.
// Job threads, but for pull_start.
#include "store/pull.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/gguf.h"
#include "store/leftovers.h"
#include "store/modelfile.h"
#include "store/quant.h"

enum err pull_no_memory(struct pull *p) {
    return job_problem(p->job, ERR_NO_MEMORY, "gridtie is out of memory for this pull");
}

enum err pull_add_weights(struct pull *p, const char *hex, int64_t bytes) {
    struct manifest *m = &p->made;
    if (!m->weights)
        m->weights = arena_array(&p->arena, MANIFEST_PARTS_MAX, sizeof *m->weights);
    const char *own = m->weights && m->n_weights < MANIFEST_PARTS_MAX ? arena_strdup(&p->arena, hex) : NULL;
    if (!own)
        return pull_no_memory(p);
    m->weights[m->n_weights++] = own;
    m->size_bytes += bytes;
    return ERR_OK;
}

enum err pull_name(struct pull *p, const char *name) {
    p->made.name = p->as[0] ? p->as : arena_strdup(&p->arena, name);
    p->wire.name = p->made.name;
    return p->made.name ? ERR_OK : pull_no_memory(p);
}

enum err pull_take_template(struct job *j, struct arena *a, struct manifest *m, struct slice text) {
    char hex[HEX_BYTES];
    if (slice_trim(text).n == 0)
        return ERR_OK;
    if (template_is_go(text)) {
        job_say(j, "its template is a Go template, which llama-server does not read: the one in the weights is used");
        m->note = "its Go template is not used";
        return ERR_OK;
    }
    enum err e = store_put_blob(job_data_dir(j), text, hex);
    if (e)
        return job_problem(j, e, "the template can't be written: %s", strerror(errno));
    m->template = arena_strdup(a, hex);
    return m->template ? ERR_OK : ERR_NO_MEMORY;
}

// ---- the end of each

// beside: it is no model by itself, and goes with one.
static enum err file_check(struct job *j, const char *path, bool beside) {
    struct gguf g;
    struct stat st;
    if (gguf_read_file(path, &g) != ERR_OK || stat(path, &st) != 0)
        return job_problem(j, ERR_BAD_FIELD, "what came is not a GGUF file that can be read (%s)", path);
    if (g.file_bytes > (int64_t)st.st_size)
        return job_problem(j, ERR_BAD_FIELD,
                           "what came is cut: its tensors take %lld bytes, and the file has %lld; fetch it anew (%s)",
                           (long long)g.file_bytes, (long long)st.st_size, path);
    if (!beside && g.adapter)
        return job_problem(j, ERR_BAD_FIELD, "that file is an adapter, not a model: create one by FROM and ADAPTER");
    if (!beside && strcmp(g.architecture, "clip") == 0)
        return job_problem(j, ERR_BAD_FIELD, "that file is a multimodal projector, not a model");
    return ERR_OK;
}

static enum err blob_check(struct job *j, const char *hex, bool beside) {
    struct buf path = BUF_INIT(4096);
    store_blob_path(job_data_dir(j), hex, &path);
    enum err e = path.failed ? ERR_NO_MEMORY : file_check(j, buf_cstr(&path), beside);
    buf_done(&path);
    return e;
}

// All that it is made of: headers, and that no file ends before its tensors do.
static enum err weights_check(struct job *j, struct manifest *m) {
    enum err e = m->n_weights ? ERR_OK : file_check(j, m->file, false);
    for (size_t i = 0; !e && i < m->n_weights; i++)
        e = blob_check(j, m->weights[i], false);
    for (size_t i = 0; !e && i < m->n_adapters; i++)
        e = blob_check(j, m->adapters[i], true);
    if (!e && m->projector)
        e = blob_check(j, m->projector, true);
    for (size_t i = 0; e && i < m->n_weights; i++)
        store_forget(job_data_dir(j), m->weights[i]);
    if (e && m->projector)
        store_forget(job_data_dir(j), m->projector);
    return e;
}

enum err pull_keep(struct job *j, struct manifest *m) {
    job_say(j, "verifying sha256 digest"); // each was checked while it came
    enum err e = weights_check(j, m);
    if (e)
        return e;
    job_say(j, "writing manifest");
    m->created_s = clock_wall_s();
    e = store_make_dirs(job_data_dir(j));
    if (!e)
        e = store_save(job_data_dir(j), m);
    if (e)
        return job_problem(
            j, e, e == ERR_NOT_FOUND ? "a part of it was removed meanwhile; pull again" : "%s can't be written: %s",
            m->name, strerror(errno));
    job_changed(j);
    return ERR_OK;
}

// ---- a URL, a path

static struct slice file_of(struct slice path) {
    path = slice_first(path, slice_find(path, '?'));
    size_t n = path.n;
    while (n > 0 && path.p[n - 1] != '/')
        n--;
    return slice_from(path, n);
}

static enum err name_of_file(struct pull *p, struct slice file) {
    char name[NAME_BYTES];
    struct split_name ignored;
    struct slice stem = slice_ends(file, ".gguf") ? slice_first(file, file.n - 5) : file;
    if (split_name_parse(file, &ignored))
        stem = slice_first(file, ignored.stem_bytes);
    if (!p->as[0] && !name_make(stem, SLICE_NONE, name))
        return job_problem(p->job, ERR_BAD_FIELD, "no name can be made of '%.*s'; give one",
                           SLICE_FMT(slice_first(file, 100)));
    return pull_name(p, name);
}

// The n-th of a split file's siblings, by the first's name.
static const char *part_of(struct pull *p, const char *first, size_t stem, unsigned i, unsigned of) {
    return arena_printf(&p->arena, "%.*s-%05u-of-%05u.gguf", (int)stem, first, i, of);
}

static enum err one_from_url(struct pull *p, const char *url) {
    char hex[HEX_BYTES];
    int64_t bytes;
    const char *what = arena_cstr(&p->arena, file_of(slice_str(url)));
    const struct download d = {.url = slice_str(url), .bytes = -1, .what = what ? what : ""};
    enum err e = download_run(&p->wire, &d, hex, &bytes);
    return e ? e : pull_add_weights(p, hex, bytes);
}

static enum err one_from_path(struct pull *p, const char *path) {
    char hex[HEX_BYTES];
    int64_t bytes;
    enum err e = download_copy(p->job, path, hex, &bytes);
    return e ? e : pull_add_weights(p, hex, bytes);
}

static enum err pull_files(struct pull *p, enum err (*one)(struct pull *p, const char *from)) {
    struct split_name split;
    enum err e = name_of_file(p, file_of(slice_str(p->source)));
    if (e)
        return e;
    if (!split_name_parse(slice_str(p->source), &split))
        return one(p, p->source);
    if (split.of > MANIFEST_PARTS_MAX)
        return job_problem(p->job, ERR_BAD_FIELD, "a model in %u parts is too much", split.of);
    for (unsigned i = 1; i <= split.of && !e; i++) {
        const char *part = part_of(p, p->source, split.stem_bytes, i, split.of);
        e = part ? one(p, part) : pull_no_memory(p);
    }
    return e;
}

static enum err pull_from_url(struct pull *p) {
    return pull_files(p, one_from_url);
}

static enum err pull_from_path(struct pull *p) {
    return pull_files(p, one_from_path);
}

// ---- which source

typedef enum err source_fn(struct pull *p);

static source_fn *source_of(const char *source) {
    struct slice s = slice_str(source);
    if (slice_starts(s, "http://") || slice_starts(s, "https://"))
        return pull_from_url;
    if (slice_starts(s, "/"))
        return pull_from_path;
    if (slice_starts(s, "hf.co/") || slice_starts(s, "huggingface.co/"))
        return pull_from_hub;
    return pull_is_indexed(s) ? pull_from_index : pull_from_registry;
}

static enum err pull_go(struct pull *p) {
    const char *token = getenv("HF_TOKEN");
    if (token && !secret_set(&p->token, slice_str(token)))
        return pull_no_memory(p);
    enum err e = wire_open(&p->wire, p->job);
    if (e)
        return e;
    p->wire.ca_file = p->config->store_ca_file;
    // Without a query: signatures stand there.
    p->wire.source = arena_cstr(&p->arena, slice_first(slice_str(p->source), slice_find(slice_str(p->source), '?')));
    leftovers_sweep(job_data_dir(p->job), false);
    e = source_of(p->source)(p);
    if (!e && !p->made.source)
        p->made.source = p->wire.source;
    if (!e)
        e = pull_keep(p->job, &p->made);
    wire_close(&p->wire);
    return e;
}

static enum err pull_run(struct job *j, void *arg) {
    struct pull *p = arg;
    p->job = j;
    arena_init(&p->arena, 4 * (size_t)WIRE_TEXT_BYTES, 0);
    enum err e = pull_go(p);
    arena_done(&p->arena);
    return e;
}

static void pull_free(void *arg) {
    struct pull *p = arg;
    secret_done(&p->token);
    config_unref(p->config);
    mem_free(p);
}

static bool source_check(struct slice s, struct buf *problem) {
    char name[NAME_BYTES];
    bool path = slice_starts(s, "/"), url = slice_starts(s, "http://") || slice_starts(s, "https://");
    if (s.n == 0 || s.n >= WIRE_URL_BYTES || !slice_is_one_line(s)) {
        buf_append_str(problem, "expected the name of a model, a URL or an absolute path");
        return false;
    }
    if (path || url)
        return true;
    buf_printf(problem, "'%.*s' ", SLICE_FMT(slice_first(s, 200)));
    if (!name_parse(s, name, problem))
        return false;
    buf_clear(problem);
    return true;
}

enum err pull_start(struct jobs *jobs, struct config *c, struct slice source, struct slice as, struct job **ret,
                    struct buf *problem) {
    struct buf key = BUF_INIT(2 * WIRE_URL_BYTES);
    char name[NAME_BYTES] = "";
    if (!source_check(source, problem))
        return ERR_BAD_FIELD;
    if (as.n) {
        buf_printf(problem, "'%.*s' ", SLICE_FMT(slice_first(as, 200)));
        if (!name_parse(as, name, problem))
            return ERR_BAD_FIELD;
        buf_clear(problem);
    }
    struct pull *p = mem_zalloc(sizeof *p);
    if (!p)
        return ERR_NO_MEMORY;
    p->config = config_ref(c);
    memcpy(p->source, source.p, source.n);
    memcpy(p->as, name, sizeof name);
    buf_printf(&key, "pull %s %s", p->source, p->as);
    const struct job_work work = {pull_run, pull_free, p};
    enum err e = job_start(jobs, buf_slice(&key), &work, ret);
    buf_done(&key);
    return e;
}
