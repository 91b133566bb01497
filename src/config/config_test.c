// SPDX-License-Identifier: Apache-2.0
// The block of the design parses; every kind of mistake names file, line and column; units are exact.
#include "config/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/mem.h"
#include "config/values.h"
#include "unit.h"

static const char design_block[] =
    "listen: 127.0.0.1:11411            # or a list; unix:/path\n"
    "engine: {memory: 8GiB, keep_alive: 5m}\n"
    "endpoints:\n"
    "  - {name: groq, provider: groq, key: \"${GROQ_API_KEY}\"}\n"
    "  - {name: lab,  provider: vllm, url: \"http://lab.internal:8000/v1\", zone: edge}\n"
    "  - {name: any,  provider: openai, url: \"https://llm.example/v1\", key_file: llm.key, zone: cloud, models: [big, small]}\n"
    "routes:\n"
    "  coding: {targets: [groq/llama-3.3-70b, \"local/qwen3:8b\"], policy: ordered}\n"
    "catalogue: {models: [{name: any/big, input: 2.50 USD/M, output: 10 USD/M}]}\n"
    "keys: [{name: team, secret_file: ./team.key, budgets: [{amount: 50 USD, window: month}]}]\n"
    "privacy: {personal: pseudonymise}   # tightens or, spelled out, loosens the matrix\n";

static const char *problems_of(const char *yaml) {
    static char text[4096];
    struct buf problems = BUF_INIT(4096);
    struct config *c = NULL;
    text[0] = 0;
    if (config_load_text(slice_str(yaml), "t.yaml", "/nowhere", &c, &problems) == ERR_OK)
        config_unref(c);
    (void)snprintf(text, sizeof text, "%s", buf_cstr(&problems));
    buf_done(&problems);
    return text;
}

TEST(config_reads_the_block_of_the_design) {
    char dir[] = "/tmp/gridtie-config-XXXXXX", path[128];
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/team.key", dir);
    CHECK_EQ(fs_write_atomic(path, SLICE("sk-team\n"), 0600), ERR_OK);
    char llm[128];
    (void)snprintf(llm, sizeof llm, "%s/llm.key", dir);
    CHECK_EQ(fs_write_atomic(llm, SLICE("sk-llm"), 0600), ERR_OK);
    CHECK_EQ(setenv("GROQ_API_KEY", "gsk-1", 1), 0);
    struct buf problems = BUF_INIT(4096);
    struct config *c = NULL;
    enum err e = config_load_text(slice_str(design_block), "design.yaml", dir, &c, &problems);
    CHECK_STREQ(buf_cstr(&problems), "");
    CHECK_EQ(e, ERR_OK);
    CHECK_STREQ(c->listen[0], "127.0.0.1:11411");
    CHECK_EQ(c->engine.memory_bytes, 8ll << 30);
    CHECK_EQ(c->engine.keep_alive_ms, 300000);
    CHECK_EQ(c->n_endpoints, 3);
    CHECK(slice_is(secret_reveal(&c->endpoints[0].key), "gsk-1"));
    CHECK(!c->endpoints[0].has_zone);
    CHECK_EQ(c->endpoints[1].zone, ZONE_EDGE);
    CHECK_EQ(c->endpoints[2].n_models, 2);
    CHECK_STREQ(c->endpoints[2].models[1].name, "small");
    CHECK(slice_is(secret_reveal(&c->endpoints[2].key), "sk-llm"));
    CHECK_STREQ(c->routes[0].name, "coding");
    CHECK_STREQ(c->routes[0].targets[1], "local/qwen3:8b");
    CHECK_EQ(c->prices[0].input, 2500000);
    CHECK_EQ(c->prices[0].output, 10000000);
    CHECK_EQ(c->prices[0].cache_read, -1);
    CHECK(secret_equals(&c->keys[0].secret, SLICE("sk-team")));
    CHECK_EQ(c->keys[0].budgets[0].amount_picousd, 50000000000000);
    CHECK_EQ(c->keys[0].budgets[0].window, WINDOW_MONTH);
    CHECK_EQ(c->matrix[LABEL_PERSONAL][ZONE_CLOUD], COND_PSEUDONYMISED);
    config_unref(c);
    buf_done(&problems);
    (void)unlink(path);
    (void)unlink(llm);
    (void)rmdir(dir);
}

TEST(config_defaults_hold_without_a_file) {
    struct buf problems = BUF_INIT(4096);
    struct config *c = NULL;
    CHECK_EQ(config_load(NULL, &c, &problems), ERR_OK);
    CHECK_EQ(c->n_listen, 1);
    CHECK(c->engine.enabled);
    CHECK_EQ(c->drain_ms, 30000);
    CHECK_EQ(c->matrix[LABEL_SECRET][ZONE_EDGE], COND_NO);
    CHECK_EQ(c->retention_s, 30 * 86400);
    config_unref(c);
    buf_done(&problems);
}

TEST(config_problems_name_file_line_and_column) {
    CHECK_STREQ(problems_of("listn: x\n"), "t.yaml:1:1: unknown key 'listn' in config; did you mean 'listen'?\n");
    CHECK_STREQ(problems_of("\n\ndrain: soon\n"),
                "t.yaml:3:8: drain: found 'soon'; expected a duration like 30s or 5m\n");
    CHECK_STREQ(problems_of("loops: 1000\n"), "t.yaml:1:8: loops: '1000' is out of bounds\n");
    CHECK_STREQ(problems_of("endpoints: 3\n"), "t.yaml:1:12: endpoints: expected a list, found a value\n");
    CHECK_STREQ(problems_of("endpoints: [{provider: x}]\n"), "t.yaml:1:13: endpoint: 'name' is missing\n");
    CHECK_STREQ(problems_of("loopback: maybe\n"), "t.yaml:1:11: found 'maybe'; expected one of: keyed, owner\n");
    CHECK_STREQ(problems_of("routes: {a: [nowhere/m]}\n"),
                "t.yaml:1:13: route 'a': no endpoint is named 'nowhere' (in 'nowhere/m')\n");
    CHECK_STREQ(problems_of("endpoints: [{name: a, provider: b, key: \"${GRIDTIE_UNSET_VARIABLE}\"}]\n"),
                "t.yaml:1:41: the environment variable GRIDTIE_UNSET_VARIABLE is not set; set it, or use a file\n");
    CHECK(strstr(problems_of("a: [\n"), "t.yaml:2:1: not valid YAML") != NULL);
}

TEST(config_lists_every_problem) {
    const char *text = problems_of("loops: x\ndrain: y\nloops: 2\n");
    CHECK(strstr(text, "t.yaml:1:8:") != NULL);
    CHECK(strstr(text, "t.yaml:2:8:") != NULL);
    CHECK(strstr(text, "t.yaml:3:1: 'loops' is given twice") != NULL);
}

TEST(config_values_are_exact) {
    int64_t v = 0;
    CHECK(value_usd(SLICE("0.000000000001 USD"), &v));
    CHECK_EQ(v, 1);
    CHECK(!value_usd(SLICE("0.0000000000001 USD"), &v));
    CHECK(!value_usd(SLICE("-1 USD"), &v));
    CHECK(!value_usd(SLICE("5 EUR"), &v));
    CHECK(!value_usd(SLICE("99999999999999 USD"), &v));
    CHECK(value_price(SLICE("250 USD/M"), &v));
    CHECK_EQ(v, 250000000);
    CHECK(value_duration_ms(SLICE("1.5s"), &v));
    CHECK_EQ(v, 1500);
    CHECK(!value_duration_ms(SLICE("5"), &v));
    CHECK(value_bytes(SLICE("1.5KiB"), &v));
    CHECK_EQ(v, 1536);
}

TEST(config_survives_every_failed_allocation) {
    for (unsigned long k = 1; k < 2000; k++) {
        struct buf problems = BUF_INIT(4096);
        struct config *c = NULL;
        mem_fail_at(k);
        enum err e =
            config_load_text(SLICE("endpoints: [{name: a, provider: b, models: [c, d]}]\nroutes: {r: [a/c]}\n"),
                             "t.yaml", ".", &c, &problems);
        mem_fail_at(0);
        buf_done(&problems);
        if (e == ERR_OK) {
            config_unref(c);
            return;
        }
    }
    CHECK(!"never succeeded");
}

TEST(config_cut_anywhere_never_crashes) {
    for (size_t i = 0; i < sizeof design_block; i++) {
        struct buf problems = BUF_INIT(65536);
        struct config *c = NULL;
        if (config_load_text(slice_of(design_block, i), "t.yaml", "/nowhere", &c, &problems) == ERR_OK)
            config_unref(c);
        buf_done(&problems);
    }
}
