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
#define LAUNCH_CACHE_MIB "1024" // the server's own default of 8 GiB for prompt states is too much beside weights
#define LAUNCH_CONTEXT 4096     // tokens per slot, where neither config nor the weights say

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

static const char *binary_find(const struct config_engine *c, struct arena *a, struct buf *problem) {
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

static int64_t context_of(const struct slot *s) {
    int64_t want = s->e->config->engine.context, most = s->model->header.context_length;
    if (want <= 0)
        want = LAUNCH_CONTEXT;
    return most > 0 && most < want ? most : want;
}

static int64_t parallel_of(const struct slot *s) {
    return s->e->config->engine.parallel > 0 ? s->e->config->engine.parallel : 1;
}

static int64_t threads_of(const struct slot *s) {
    if (s->e->config->engine.threads > 0)
        return s->e->config->engine.threads;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n;
}

int64_t slot_need(const struct slot *s) {
    int64_t weights = s->model->size_bytes;
    return weights + weights / 5 + gguf_kv_bytes(&s->model->header, context_of(s) * parallel_of(s));
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

const char *const *launch_args(const struct slot *s, struct arena *a, struct buf *problem) {
    const struct config_engine *c = &s->e->config->engine;
    const char *binary = binary_find(c, a, problem);
    if (!binary)
        return NULL;
    struct args x = {.v = arena_array(a, LAUNCH_ARGS_MAX + 1, sizeof(char *))};
    if (!x.v)
        return NULL;
    args_add(&x, binary);
    args_pair(&x, "--host", s->socket_path);
    args_pair(&x, "-m", s->model->path);
    args_pair(&x, "--alias", s->name);
    args_number(&x, a, "-c", context_of(s) * parallel_of(s));
    args_number(&x, a, "-np", parallel_of(s));
    args_number(&x, a, "-t", threads_of(s));
    args_pair(&x, "--cache-ram", LAUNCH_CACHE_MIB);
    args_add(&x, "--offline");
    args_add(&x, "--no-webui");
    args_add(&x, "--metrics");
    args_add(&x, "--jinja");
    if (s->model->header.embedding)
        args_add(&x, "--embeddings");
    for (size_t i = 0; i < c->n_args; i++)
        args_add(&x, c->args[i]);
    for (size_t i = 0; i < s->model->n_args; i++)
        args_add(&x, s->model->args[i]);
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
