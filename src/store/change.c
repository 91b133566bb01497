// SPDX-License-Identifier: Apache-2.0
// Copying and removing names. A copy is another manifest on the same blobs; of weights that another program holds, it is a
// manifest that points to where they lie, so that a name of one's own can be put on them. Removing frees only what is the
// store's: what is another's is refused, with the place. A model that is loaded may go: what runs keeps its open file and
// finishes, and the engine unloads it. Job threads, but for the *_start.
#include "store/change.h"
#include <errno.h>
#include "base/limits.h"
#include "base/mem.h"
#include "store/leftovers.h"
#include "store/models.h"
#include "store/pull.h"

static const struct model *model_asked(const struct models *m, struct slice asked) {
    for (size_t i = 0; i < m->n; i++)
        if (model_name_same(slice_str(m->v[i].name), asked))
            return &m->v[i];
    for (size_t i = 0; i < m->n; i++)
        if (m->v[i].alias && model_name_same(slice_str(m->v[i].alias), asked))
            return &m->v[i];
    return NULL;
}

static enum err elsewhere_describe(struct arena *a, const struct model *m, struct manifest *ret) {
    *ret = (struct manifest){.name = arena_strdup(a, m->name),
                             .file = arena_strdup(a, m->path),
                             .system = m->system ? arena_strdup(a, m->system) : NULL,
                             .source = arena_strdup(a, model_from_name(m->from)),
                             .parameters = m->parameters.n ? arena_copy(a, m->parameters) : SLICE_NONE,
                             .messages = m->messages.n ? arena_copy(a, m->messages) : SLICE_NONE,
                             .size_bytes = m->size_bytes};
    return ret->name && ret->file && ret->source ? ERR_OK : ERR_NO_MEMORY;
}

enum err model_resolve(struct job *j, struct config *c, struct slice asked, struct arena *a, struct manifest *ret,
                       bool *ret_ours) {
    char name[NAME_BYTES];
    struct buf ignored = BUF_INIT(512);
    struct models *all = NULL;
    bool good = name_parse(asked, name, &ignored);
    buf_done(&ignored);
    *ret_ours = true;
    enum err e = good ? store_load(job_data_dir(j), name, a, ret) : ERR_NOT_FOUND;
    if (e == ERR_OK || e == ERR_NO_MEMORY)
        return e;
    *ret_ours = false;
    e = models_new(c, job_data_dir(j), &all);
    if (e)
        return e;
    const struct model *m = model_asked(all, asked);
    e = m ? elsewhere_describe(a, m, ret) : ERR_MODEL_NOT_FOUND;
    models_free(all);
    return e == ERR_MODEL_NOT_FOUND
               ? job_problem(j, e, "model '%.*s' not found", SLICE_FMT(slice_first(asked, NAME_BYTES)))
               : e;
}

// ---- one of both

struct change {
    struct config *config;
    char from[LIMIT_MODEL_NAME_BYTES], to[NAME_BYTES];
};

static void change_free(void *arg) {
    struct change *k = arg;
    config_unref(k->config);
    mem_free(k);
}

static enum err copy_run(struct job *j, void *arg) {
    struct change *k = arg;
    struct arena a;
    struct manifest m = {0};
    bool ours;
    arena_init(&a, LIMIT_STORE_ARENA_BYTES, 0);
    enum err e = model_resolve(j, k->config, slice_str(k->from), &a, &m, &ours);
    if (!e) {
        m.parent = m.name;
        m.name = k->to;
        e = pull_keep(j, &m);
    }
    arena_done(&a);
    return e;
}

static enum err remove_run(struct job *j, void *arg) {
    struct change *k = arg;
    struct arena a;
    struct manifest m = {0};
    bool ours = false;
    int64_t freed = 0;
    arena_init(&a, LIMIT_STORE_ARENA_BYTES, 0);
    bool busy, cut = leftovers_drop(job_data_dir(j), slice_str(k->from), &freed, &busy);
    enum err e = cut && busy ? job_problem(j, ERR_BUSY, "%s is being pulled; end that first", k->from)
                             : model_resolve(j, k->config, slice_str(k->from), &a, &m, &ours);
    if (e == ERR_MODEL_NOT_FOUND && cut) { // nothing but a pull that was cut, and that is gone now
        arena_done(&a);
        return ERR_OK;
    }
    if (!e && !ours)
        e = job_problem(j, ERR_BAD_FIELD,
                        "model '%s' is not in gridtie's own store (%s): it lies at %s; remove it there", k->from,
                        m.source, m.file);
    if (!e) {
        e = store_remove(job_data_dir(j), m.name, &freed);
        if (e)
            e = job_problem(j, e, "%s can't be removed: %s", m.name, strerror(errno));
        else
            job_changed(j);
    }
    arena_done(&a);
    return e;
}

static enum err change_start(struct jobs *jobs, const char *verb, const struct change *of,
                             enum err (*run)(struct job *j, void *arg), struct job **ret) {
    struct buf key = BUF_INIT(1024);
    struct change *k = mem_alloc(sizeof *k);
    if (!k)
        return ERR_NO_MEMORY;
    *k = *of;
    (void)config_ref(k->config);
    buf_printf(&key, "%s %s %s", verb, k->from, k->to);
    const struct job_work work = {run, change_free, k};
    enum err e = job_start(jobs, buf_slice(&key), &work, ret);
    buf_done(&key);
    return e;
}

static bool asked_take(struct slice name, char to[LIMIT_MODEL_NAME_BYTES], struct buf *problem) {
    char ignored[NAME_BYTES];
    buf_printf(problem, "'%.*s' ", SLICE_FMT(slice_first(name, 200)));
    if (name.n >= LIMIT_MODEL_NAME_BYTES || !name_parse(name, ignored, problem))
        return false;
    buf_clear(problem);
    memcpy(to, name.p, name.n);
    to[name.n] = 0;
    return true;
}

enum err copy_start(struct jobs *jobs, struct config *c, struct slice source, struct slice destination,
                    struct job **ret, struct buf *problem) {
    struct change k = {.config = c};
    char checked[LIMIT_MODEL_NAME_BYTES];
    if (!asked_take(source, k.from, problem) || !asked_take(destination, checked, problem) ||
        !name_parse(destination, k.to, problem))
        return ERR_BAD_FIELD;
    return change_start(jobs, "copy", &k, copy_run, ret);
}

enum err remove_start(struct jobs *jobs, struct config *c, struct slice name, struct job **ret, struct buf *problem) {
    struct change k = {.config = c};
    if (!asked_take(name, k.from, problem))
        return ERR_BAD_FIELD;
    return change_start(jobs, "remove", &k, remove_run, ret);
}
