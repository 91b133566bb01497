// SPDX-License-Identifier: Apache-2.0
// What settings become: the arguments of a llama-server, and what it is thought to take.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "fault/children.h"
#include "grid/slot.h"
#include "unit.h"

struct stand {
    struct engine e;
    struct slot s;
    struct model models[2];
    struct models all;
};

static bool stand_up(struct stand *x, const char *engine) {
    struct buf yaml = BUF_INIT(65536), why = BUF_INIT(65536);
    buf_printf(&yaml, "engine:\n  binary: %s\n%s", self_path(), engine);
    *x = (struct stand){.e = {.cores = 6, .budget.host = 8LL << 30}};
    if (config_load_text(buf_slice(&yaml), "test.yaml", "/", &x->e.config, &why) != ERR_OK)
        unit_fail(__FILE__, __LINE__, "config: %s", buf_cstr(&why));
    struct gguf header = {
        .context_length = 8192, .block_count = 10, .embedding_length = 640, .head_count = 10, .head_count_kv = 5};
    x->models[0] = (struct model){.name = "m", .path = "/w/m.gguf", .size_bytes = 1000 << 20, .header = header};
    x->models[1] = (struct model){.name = "small:1b", .alias = "small", .path = "/w/s.gguf", .size_bytes = 100 << 20};
    x->all = (struct models){.v = x->models, .n = 2};
    x->e.models = &x->all;
    x->s =
        (struct slot){.e = &x->e, .name = mem_strdup("m"), .socket_path = mem_strdup("/r/m.sock"), .model = x->models};
    buf_done(&yaml);
    buf_done(&why);
    return x->e.config != NULL;
}

static void stand_down(struct stand *x) {
    config_unref(x->e.config);
    mem_free(x->s.name);
    mem_free(x->s.socket_path);
}

// All behind the binary, in a line.
static void args_in_line(const struct stand *x, struct buf *line) {
    struct arena a;
    arena_init(&a, 1 << 20, 0);
    const char *const *v = launch_args(&x->s, &a, line);
    for (size_t i = 1; v && v[i]; i++)
        buf_printf(line, "%s%s", i > 1 ? " " : "", v[i]);
    arena_done(&a);
}

#define HEAD "--host /r/m.sock -m /w/m.gguf --alias m "
#define TAIL "--cache-ram 512 --offline --no-webui --metrics "

TEST(launch_passes_on_what_config_says) {
    static const struct {
        const char *engine, *args;
    } rows[] = {
        {"", HEAD "-c 8192 -np 2 -t 6 " TAIL "--jinja"},
        {"  context: 1024\n  parallel: 1\n  threads: 3\n  args: [--mlock]",
         HEAD "-c 1024 -np 1 -t 3 " TAIL "--jinja --mlock"},
        {"  models: [{name: m, context: 100000, parallel: 4, threads: 1, gpu_layers: all, flash_attention: on, args: [--x]}]",
         HEAD "-c 32768 -np 4 -t 1 " TAIL "--jinja -ngl all -fa on --x"},
        {"  models: [{name: m, projector: /w/p.gguf}]", HEAD "-c 8192 -np 2 -t 6 " TAIL "--jinja --mmproj /w/p.gguf"},
        {"  models: [{name: m, draft: small, gpu_layers: 7}]",
         HEAD "-c 8192 -np 2 -t 6 " TAIL "--jinja --spec-type draft-simple -md /w/s.gguf -ngld 7 -ngl 7"},
        {"  models: [{name: m, draft: ngram}]",
         HEAD "-c 8192 -np 2 -t 6 " TAIL
              "--jinja --spec-type ngram-simple --spec-ngram-simple-size-n 5 --spec-ngram-simple-size-m 5"},
        {"  models: [{name: m, task: embed, context: 512}]",
         HEAD "-c 1024 -np 2 -t 6 " TAIL "--embeddings -b 512 -ub 512"},
        {"  models: [{name: m, task: rerank, context: 512}]",
         HEAD "-c 1024 -np 2 -t 6 " TAIL "--reranking -b 512 -ub 512"},
        {"  models: [{name: m, draft: nobody}]", "its draft 'nobody' is no model of the store and no file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stand x;
        struct buf line = BUF_INIT(65536);
        CHECK(stand_up(&x, rows[i].engine));
        args_in_line(&x, &line);
        CHECK_STREQ(buf_cstr(&line), rows[i].args);
        buf_done(&line);
        stand_down(&x);
    }
}

TEST(launch_takes_what_a_model_was_made_with) {
    static const char *adapters[] = {"/w/a.gguf", "/w/b.gguf"};
    struct stand x;
    struct buf line = BUF_INIT(65536);
    CHECK(stand_up(&x, ""));
    x.models[0].adapters = adapters;
    x.models[0].n_adapters = 2;
    x.models[0].draft = "small";
    args_in_line(&x, &line);
    CHECK_STREQ(buf_cstr(&line), HEAD "-c 8192 -np 2 -t 6 " TAIL "--jinja --spec-type draft-simple -md /w/s.gguf "
                                      "--lora /w/a.gguf --lora /w/b.gguf");
    stand_down(&x);
    CHECK(stand_up(&x, "  models: [{name: m, draft: ngram}]")); // config goes before
    x.models[0].draft = "small";
    CHECK_STREQ(options_of(&x.e.config->engine, x.models).draft, "ngram");
    buf_done(&line);
    stand_down(&x);
}

TEST(launch_knows_what_a_model_is_for) {
    struct stand x;
    CHECK(stand_up(&x, ""));
    x.models[0].header.embedding = true;
    CHECK_EQ(options_of(&x.e.config->engine, x.models).task, TASK_EMBED);
    x.models[0].header.rerank = true;
    CHECK_EQ(options_of(&x.e.config->engine, x.models).task, TASK_RERANK);
    stand_down(&x);
    CHECK(stand_up(&x, "  models: [{name: m, task: chat}]"));
    x.models[0].header.embedding = true;
    CHECK_EQ(options_of(&x.e.config->engine, x.models).task, TASK_CHAT);
    stand_down(&x);
}

// 10 layers, 5 heads of 64 for keys and as many for values, 2 bytes each: 12,800 bytes a token.
TEST(launch_estimates_weights_keys_and_drafts) {
    static const int64_t weights = 1000 << 20, kv = INT64_C(12800) * 4096 * 2, small = 100 << 20, server = 32 << 20;
    struct stand x;
    struct buf why = BUF_INIT(1024);
    struct draft d;
    CHECK(stand_up(&x, "  models: [{name: m, draft: small}]"));
    struct options o = options_of(&x.e.config->engine, x.models);
    CHECK_EQ(options_draft(&o, &x.all, &d, &why), ERR_OK);
    struct need n = options_need(&o, x.models, &d, 0);
    CHECK_EQ(n.least.host, weights + kv + small);
    CHECK_EQ(n.likely.host, n.least.host + (weights + small) / 10 + server);
    CHECK(n.least.card == 0 && n.likely.card == 0);
    d = (struct draft){0};
    CHECK_EQ(options_need(&o, x.models, &d, 0).least.host, weights + kv);
    buf_done(&why);
    stand_down(&x);
}

// 1,000 MiB of weights in 10 layers and one for the output, 100 MiB of keys and values, a tenth of the weights for buffers.
TEST(launch_estimates_what_lies_on_cards) {
    static const struct {
        const char *engine;
        int64_t card_mib;               // budget
        int64_t least_host, least_card; // MiB
        int64_t likely_host, likely_card;
    } rows[] = {
        {"  context: 4096", 0, 1100, 0, 1232, 0},                        // no card
        {"  models: [{name: m, gpu_layers: all}]", 0, 1100, 0, 1232, 0}, // nor does a wish make one
        {"  context: 4096", 4000, 0, 0, 400, 1800},                      // its choice: all of it
        {"  context: 4096", 1200, 550, 0, 1000, 1200},                   // as much as there is room for
        {"  context: 4096", 400, 1100, 0, 1600, 400},                    // not even for a server without a model
        {"  gpu_layers: all", 400, 0, 1100, 400, 1800},                  // held to
        {"  models: [{name: m, gpu_layers: auto}]\n  gpu_layers: 3", 4000, 0, 0, 400, 1800},
        {"  models: [{name: m, gpu_layers: 11}]", 4000, 0, 1100, 400, 1800},
        {"  gpu_layers: 0", 4000, 1100, 0, 1600, 600},
        {"  models: [{name: m, gpu_layers: 5}]", 4000, 600, 500, 1054, 1145},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stand x;
        struct draft none = {0};
        CHECK(stand_up(&x, rows[i].engine));
        x.models[0].header.head_count_kv = 5;
        x.models[0].size_bytes = (1100 << 20) - gguf_kv_bytes(&x.models[0].header, 8192);
        struct options o = options_of(&x.e.config->engine, x.models);
        struct need n = options_need(&o, x.models, &none, rows[i].card_mib << 20);
        int64_t got[] = {n.least.host >> 20, n.least.card >> 20, n.likely.host >> 20, n.likely.card >> 20};
        int64_t want[] = {rows[i].least_host, rows[i].least_card, rows[i].likely_host, rows[i].likely_card};
        for (size_t k = 0; k < 4; k++)
            if (llabs(got[k] - want[k]) > 2 + (k > 1) * 10) // a tenth of the weights is not quite 100 MiB
                FAIL("row %zu, number %zu: %lld, not %lld", i, k, (long long)got[k], (long long)want[k]);
        stand_down(&x);
    }
}
