// SPDX-License-Identifier: Apache-2.0
// How a llama-server is started: where its binary is, and with which arguments. What config says beyond our own flags is
// passed on as it is and stands last, so that it wins (GPU flags work so). Measured against llama.cpp's server 0.5:
// --host takes the path of a UNIX socket that ends in .sock, -c is shared by the -np slots. Main thread, no waiting but
// for a few access(2).
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "grid/slot.h"

#define LAUNCH_ARGS_MAX 256
// Tokens that must match, and that are then guessed. Of its own 12 and 48 a tenth held on this machine's small model, of
// these about half; where computing is slow a wrong guess costs more than it brings.
#define LAUNCH_NGRAM "5"
// For prompts that left their slot. The server's own default of 8 GiB is too much beside weights: a sixteenth of what
// there is for models, within these bounds.
#define LAUNCH_CACHE_LEAST_MIB 64
#define LAUNCH_CACHE_MOST_MIB 1024

static const char *usable(const char *path) {
    return path && access(path, X_OK) == 0 ? path : NULL;
}

static const char *on_path(struct arena *a) {
    struct slice rest = slice_str(getenv("PATH"));
    while (rest.n) {
        struct slice dir = slice_split(&rest, ':');
        const char *found = dir.n ? usable(arena_printf(a, "%.*s/llama-server", SLICE_FMT(dir))) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static const char *in_cache(struct arena *a) {
    struct buf path = BUF_INIT(4096);
    fs_cache_dir(&path);
    buf_append_str(&path, "/bin/llama-server");
    const char *found = usable(arena_strdup(a, buf_cstr(&path)));
    buf_done(&path);
    return found;
}

static const char *beside_us(struct arena *a) {
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    char *slash = strrchr(exe, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return usable(arena_printf(a, "%s/../libexec/gridtie/llama-server", exe));
}

const char *launch_binary(const struct config_engine *c, struct arena *a, struct buf *problem) {
    const char *env = getenv("GRIDTIE_LLAMA_SERVER");
    const char *given = c->binary ? c->binary : env && env[0] ? env : NULL;
    if (given) {
        if (usable(given))
            return given;
        buf_printf(problem, "%s (from %s) is no program that can be run", given,
                   c->binary ? "engine.binary" : "GRIDTIE_LLAMA_SERVER");
        return NULL;
    }
    const char *found = on_path(a);
    if (!found)
        found = in_cache(a);
    if (!found)
        found = beside_us(a);
    if (!found)
        buf_append_str(problem,
                       "there is no llama-server here: run `tools/setup engine`, put llama-server into PATH, or "
                       "set engine.binary");
    return found;
}

struct args {
    const char **v;
    size_t n;
    bool failed;
};

static void args_add(struct args *x, const char *arg) {
    if (!arg || x->n >= LAUNCH_ARGS_MAX)
        x->failed = true;
    else
        x->v[x->n++] = arg;
}

static void args_pair(struct args *x, const char *flag, const char *value) {
    args_add(x, flag);
    args_add(x, value);
}

static void args_number(struct args *x, struct arena *a, const char *flag, int64_t value) {
    args_pair(x, flag, arena_printf(a, "%lld", (long long)value));
}

static int64_t cache_mib(const struct engine *e) {
    int64_t mib = e->budget.host / 16 >> 20;
    return mib < LAUNCH_CACHE_LEAST_MIB  ? LAUNCH_CACHE_LEAST_MIB
           : mib > LAUNCH_CACHE_MOST_MIB ? LAUNCH_CACHE_MOST_MIB
                                         : mib;
}

// Where llama-server chooses how much it puts on the cards, it leaves free what is not for models: by itself it would
// take all but 1 GiB of each. Only where config bounds that: older servers do not know the flag.
static void args_card_margin(struct args *x, struct arena *a, const struct engine *e) {
    if (e->config->engine.gpu_memory_bytes == 0 || e->budget.card == 0)
        return;
    int64_t n = cards_count(e->cards), others = cards_free(e->cards) - e->budget.card;
    int64_t margin = (others / n + CARD_SERVER_BYTES) >> 20; // it counts models only
    if (margin > 1024)
        args_number(x, a, "--fit-target", margin);
}

static void args_list(struct args *x, const char *const *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        args_add(x, v[i]);
}

// An input for a vector is read in one piece, so the batch must hold a whole context.
static void args_task(struct args *x, struct arena *a, const struct options *o) {
    if (o->task == TASK_CHAT) {
        args_add(x, "--jinja");
        return;
    }
    args_add(x, o->task == TASK_RERANK ? "--reranking" : "--embeddings");
    args_number(x, a, "-b", o->context);
    args_number(x, a, "-ub", o->context);
}

static void args_draft(struct args *x, struct arena *a, const struct options *o, const struct draft *d) {
    if (d->ngram) {
        args_pair(x, "--spec-type", "ngram-simple");
        args_pair(x, "--spec-ngram-simple-size-n", LAUNCH_NGRAM);
        args_pair(x, "--spec-ngram-simple-size-m", LAUNCH_NGRAM);
    }
    if (!d->path)
        return;
    args_pair(x, "--spec-type", "draft-simple");
    args_pair(x, "-md", arena_strdup(a, d->path));
    if (o->gpu_layers)
        args_pair(x, "-ngld", o->gpu_layers);
}

static void args_own(struct args *x, const struct options *o) {
    if (o->gpu_layers)
        args_pair(x, "-ngl", o->gpu_layers);
    if (o->own && o->own->flash_attention)
        args_pair(x, "-fa", o->own->flash_attention);
    if (o->projector)
        args_pair(x, "--mmproj", o->projector);
}

const char *const *launch_args(const struct slot *s, struct arena *a, struct buf *problem) {
    const struct config_engine *c = &s->e->config->engine;
    const struct options o = options_of(c, s->model);
    const char *binary = launch_binary(c, a, problem);
    struct draft d;
    if (!binary || options_draft(&o, s->e->models, &d, problem) != ERR_OK)
        return NULL;
    struct args x = {.v = arena_array(a, LAUNCH_ARGS_MAX + 1, sizeof(char *))};
    if (!x.v)
        return NULL;
    args_add(&x, binary);
    args_pair(&x, "--host", s->socket_path);
    args_pair(&x, "-m", s->model->path);
    args_pair(&x, "--alias", s->name);
    args_number(&x, a, "-c", o.context * o.parallel);
    args_number(&x, a, "-np", o.parallel);
    args_number(&x, a, "-t", o.threads > 0 ? o.threads : s->e->cores);
    args_number(&x, a, "--cache-ram", cache_mib(s->e));
    args_add(&x, "--offline");
    args_add(&x, "--no-webui");
    args_add(&x, "--metrics");
    args_task(&x, a, &o);
    args_draft(&x, a, &o, &d);
    args_own(&x, &o);
    for (size_t i = 0; i < s->model->n_adapters; i++)
        args_pair(&x, "--lora", s->model->adapters[i]);
    args_card_margin(&x, a, s->e);
    if (s->model->template_file)
        args_pair(&x, "--chat-template-file", s->model->template_file);
    args_list(&x, c->args, c->n_args);
    args_list(&x, o.own ? o.own->args : NULL, o.own ? o.own->n_args : 0);
    if (!x.failed)
        return x.v;
    buf_append_str(problem, "too many arguments for llama-server");
    return NULL;
}

void launch_recipe(const struct slot *s, uint8_t ret[32]) {
    struct arena a;
    struct buf all = BUF_INIT(1u << 20), why = BUF_INIT(1024);
    arena_init(&a, 1u << 20, 4096);
    const char *const *v = launch_args(s, &a, &why);
    for (size_t i = 0; v && v[i]; i++)
        buf_append_mem(&all, v[i], strlen(v[i]) + 1);
    buf_append_i64(&all, s->model->size_bytes);
    buf_append_char(&all, ' ');
    buf_append_i64(&all, s->model->modified_s);
    sha256(buf_slice(&all), ret);
    buf_done(&all);
    buf_done(&why);
    arena_done(&a);
}
