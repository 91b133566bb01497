// SPDX-License-Identifier: Apache-2.0
// The block of the design parses; every kind of mistake names file, line and column; nothing that is fed in crashes; the
// reference page is the one that the table prints.
#include "config/config.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config/schema.h"
#include "unit.h"

static const char design_block[] =
    "listen: 127.0.0.1:11411            # or a list; unix:/path\n"
    "engine: {memory: 8GiB, keep_alive: 5m}\n"
    "endpoints:\n"
    "  - {name: groq, provider: groq, key: \"${GROQ_API_KEY}\"}            # a row of providers.def gives URL, dialect, zone\n"
    "  - {name: lab,  provider: vllm, url: \"http://lab.internal:8000/v1\", zone: edge}\n"
    "  - {name: any,  provider: openai, url: \"https://llm.example/v1\", key_file: llm.key, zone: cloud, models: [big, small]}\n"
    "routes:\n"
    "  coding: {targets: [groq/llama-3.3-70b, \"local/qwen3:8b\"], policy: ordered}\n"
    "catalogue: {models: [{name: any/big, input: 2.50 USD/M, output: 10 USD/M}]}\n"
    "keys: [{name: team, secret_file: ./team.key, budgets: [{amount: 50 USD, window: month}]}]\n"
    "privacy: {personal: pseudonymise}   # tightens or, spelled out, loosens the matrix\n";

// A folder with the key files that design_block and the sample name.
struct folder {
    char dir[64], team[96], llm[96];
};

static bool folder_make(struct folder *f) {
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/gridtie-config-XXXXXX");
    if (!mkdtemp(f->dir))
        return false;
    (void)snprintf(f->team, sizeof f->team, "%s/team.key", f->dir);
    (void)snprintf(f->llm, sizeof f->llm, "%s/llm.key", f->dir);
    return !fs_write_atomic(f->team, SLICE("sk-team\n"), 0600) && !fs_write_atomic(f->llm, SLICE("sk-llm"), 0600) &&
           !setenv("GROQ_API_KEY", "gsk-1", 1) && !setenv("LAWYERS_KEY", "sk-law", 1);
}

static void folder_drop(const struct folder *f) {
    (void)unlink(f->team);
    (void)unlink(f->llm);
    (void)rmdir(f->dir);
}

// The loaded config, problems in `said`; NULL when it was refused.
static char said[8192];
static struct config *loaded_in(const char *yaml, const char *dir) {
    struct buf problems = BUF_INIT(sizeof said - 1);
    struct config *c = NULL;
    enum err e = config_load_text(slice_str(yaml), "t.yaml", dir, &c, &problems);
    (void)snprintf(said, sizeof said, "%s", buf_cstr(&problems));
    buf_done(&problems);
    return e == ERR_OK ? c : NULL;
}

static struct config *loaded(const char *yaml) {
    return loaded_in(yaml, "/nowhere");
}

static const char *problems_of(const char *yaml) {
    struct config *c = loaded(yaml);
    config_unref(c);
    return c && !said[0] ? "OK" : said;
}

TEST(config_reads_the_block_of_the_design) {
    struct folder f;
    CHECK(folder_make(&f));
    struct config *c = loaded_in(design_block, f.dir);
    folder_drop(&f);
    CHECK_STREQ(said, "");
    if (!c)
        FAIL("refused: %s", said);
    CHECK_EQ(c->n_listen, 1);
    CHECK_STREQ(c->listen[0], "127.0.0.1:11411");
    CHECK_EQ(c->engine.memory_bytes, 8LL << 30);
    CHECK_EQ(c->engine.keep_alive_ms, 300000);
    CHECK_EQ(c->n_endpoints, 3);
    CHECK(slice_is(secret_reveal(&c->endpoints[0].key), "gsk-1"));
    CHECK(!c->endpoints[0].has_zone);
    CHECK(c->endpoints[1].has_zone && c->endpoints[1].zone == ZONE_EDGE);
    CHECK(secret_is_empty(&c->endpoints[1].key));
    CHECK_EQ(c->endpoints[2].n_models, 2);
    CHECK_EQ(c->endpoints[2].line, 6);
    CHECK_STREQ(c->endpoints[2].models[1].name, "small");
    CHECK_EQ(c->endpoints[2].models[1].vision, -1);
    CHECK(slice_is(secret_reveal(&c->endpoints[2].key), "sk-llm"));
    CHECK_STREQ(c->routes[0].name, "coding");
    CHECK_STREQ(c->routes[0].policy, "ordered");
    CHECK_STREQ(c->routes[0].targets[1], "local/qwen3:8b");
    CHECK_EQ(c->prices[0].input, 2500000);
    CHECK_EQ(c->prices[0].output, 10000000);
    CHECK(c->prices[0].cache_read == -1 && c->prices[0].cache_write == -1);
    CHECK(secret_equals(&c->keys[0].secret, SLICE("sk-team")));
    CHECK_EQ(c->keys[0].budgets[0].amount_picousd, 50000000000000);
    CHECK_EQ(c->keys[0].budgets[0].window, WINDOW_MONTH);
    CHECK_EQ(c->matrix[LABEL_PERSONAL][ZONE_CLOUD], COND_PSEUDONYMISED);
    config_unref(c);
}

TEST(config_defaults_hold_without_a_file) {
    struct buf problems = BUF_INIT(4096);
    struct config *c = NULL;
    CHECK_EQ(config_load(NULL, &c, &problems), ERR_OK);
    CHECK_STREQ(buf_cstr(&problems), "");
    CHECK_STREQ(c->listen[0], "127.0.0.1:11411");
    CHECK(c->engine.enabled && !c->offline && c->loopback == LOOPBACK_KEYED);
    CHECK(c->cors == NULL && c->allowed_hosts == NULL && c->state_dir == NULL && c->engine.binary == NULL);
    CHECK_EQ(c->drain_ms, LIMIT_DRAIN_MS);
    CHECK_EQ(c->body_bytes, LIMIT_BODY_BYTES);
    CHECK_EQ(c->head_ms, LIMIT_HEAD_MS);
    CHECK_EQ(c->body_idle_ms, LIMIT_BODY_IDLE_MS);
    CHECK_EQ(c->keepalive_ms, LIMIT_KEEPALIVE_MS);
    CHECK_EQ(c->connections, LIMIT_CONNS_PER_LOOP);
    CHECK_EQ(c->engine.ready_ms, LIMIT_ENGINE_READY_MS);
    CHECK_EQ(c->engine.wait_ms, 120000);
    CHECK(c->engine.context == 4096 && c->engine.parallel == 2 && c->engine.threads == 0);
    CHECK_EQ(memcmp(c->matrix, reach_default_matrix, sizeof c->matrix), 0);
    CHECK_EQ(c->default_label, LABEL_PUBLIC);
    CHECK_EQ(c->retention_s, 30 * 86400);
    CHECK_EQ(c->budget_wait_ms, 10000);
    config_unref(c);
    CHECK_EQ(config_load_text(SLICE("# nothing\n"), "t", ".", &c, &problems), ERR_OK);
    config_unref(c);
    buf_done(&problems);
}

static const char every_key[] =
    "listen: [\"[::1]:1\", unix:/run/g.sock]\n"
    "loops: 4\ndrain: 0\nloopback: owner\ncors: \"*\"\nallowed_hosts: [a.example, b.example]\noffline: yes\n"
    "state: data\nlog: {level: debug, format: json}\n"
    "limits: {body: 1MiB, head_timeout: 1s, body_timeout: 2s, idle_timeout: 3s, connections: 5}\n"
    "engine:\n  enabled: false\n  binary: bin/llama\n  threads: 8\n  context: 8192\n  parallel: 4\n"
    "  args: [--n-gpu-layers, 99, \"\"]\n  ready_timeout: 1m\n  wait: 3s\n"
    "  warm: 4s\n  preload: [b, c]\n"
    "  models: [{name: a, file: a.gguf, args: --flash-attn}, {name: b, file: /b.gguf}, {name: c, task: embed,\n"
    "    context: 2048, parallel: 8, threads: 3, gpu_layers: all, flash_attention: on, draft: ngram, projector: p.gguf,\n"
    "    keep_alive: 0, pin: yes}]\n"
    "endpoints:\n- name: e\n  provider: p\n  key: \" pre-${GRIDTIE_TEST_VALUE} \"\n  retention: no\n"
    "  models: [m, {name: n, context: 10, vision: true, tools: false}]\n"
    "  proxy: http://proxy:3128\n  ca_file: ~/ca.pem\n"
    "  timeouts: {connect: 1s, first_event: 2s, idle: 3s, total: 4s}\n"
    "  headers: {X-One: \"1\", x-two: \"${GRIDTIE_TEST_VALUE}\"}\n"
    "routes: {one: e/m, two: [e/m, m], three: {targets: e/n, label: internal}, four: [m]}\n"
    "catalogue: {models: [{name: e/m, input: 3 USD/M, output: 15 USD/M, cached_input: 0.30 USD/M,\n"
    "  cache_write: 3.75 USD/M, context: 200000}]}\n"
    "keys: [{name: k, secret: s, label: personal, reach: edge, budgets: [{amount: 1 USD}, {amount: 2 USD, window: day}]}]\n"
    "budgets: {wait: 1s}\nretention: {requests: 2d}\n"
    "privacy: {default_label: internal, internal: no, personal: {cloud: yes, edge: no_retention}, secret: {edge: yes}}\n";

static struct config *every_key_loaded(void) {
    if (setenv("GRIDTIE_TEST_VALUE", "v", 1) || setenv("HOME", "/home/u", 1))
        return NULL;
    struct config *c = loaded(every_key);
    return unit_check_streq(__FILE__, __LINE__, "problems", "nothing", said, "") ? c : NULL;
}

TEST(config_reads_every_key_of_the_daemon) {
    struct config *c = every_key_loaded();
    if (!c)
        FAIL("refused: %s", said);
    CHECK_EQ(c->n_listen, 2);
    CHECK_STREQ(c->listen[1], "unix:/run/g.sock");
    CHECK(c->loops == 4 && c->drain_ms == 0 && c->loopback == LOOPBACK_OWNER && c->offline);
    CHECK_STREQ(c->cors[0], "*");
    CHECK(c->n_allowed_hosts == 2 && c->allowed_hosts[2] == NULL);
    CHECK_STREQ(c->state_dir, "/nowhere/data");
    CHECK_STREQ(c->log_level, "debug");
    CHECK_STREQ(c->log_format, "json");
    CHECK(c->body_bytes == 1 << 20 && c->head_ms == 1000 && c->body_idle_ms == 2000 && c->keepalive_ms == 3000);
    CHECK_EQ(c->connections, 5);
    config_unref(c);
}

TEST(config_reads_every_key_of_the_engine) {
    struct config *c = every_key_loaded();
    if (!c)
        FAIL("refused: %s", said);
    CHECK(!c->engine.enabled && c->engine.threads == 8 && c->engine.context == 8192 && c->engine.parallel == 4);
    CHECK_STREQ(c->engine.binary, "/nowhere/bin/llama");
    CHECK_EQ(c->engine.n_args, 3);
    CHECK_STREQ(c->engine.args[1], "99");
    CHECK_STREQ(c->engine.args[2], "");
    CHECK(c->engine.ready_ms == 60000 && c->engine.wait_ms == 3000);
    CHECK_STREQ(c->engine.models[0].file, "/nowhere/a.gguf");
    CHECK_STREQ(c->engine.models[0].args[0], "--flash-attn");
    CHECK_STREQ(c->engine.models[1].file, "/b.gguf");
    CHECK(c->engine.models[1].task == TASK_AUTO && !c->engine.models[1].has_keep_alive && !c->engine.models[1].pin);
    const struct config_engine_model *m = &c->engine.models[2];
    CHECK(m->file == NULL && m->task == TASK_EMBED && m->context == 2048 && m->parallel == 8 && m->threads == 3);
    CHECK(m->has_keep_alive && m->keep_alive_ms == 0 && m->pin);
    CHECK_STREQ(m->gpu_layers, "all");
    CHECK_STREQ(m->flash_attention, "on");
    CHECK_STREQ(m->draft, "ngram");
    CHECK_STREQ(m->projector, "/nowhere/p.gguf");
    CHECK_EQ(c->engine.warm_ms, 4000);
    CHECK_STREQ(c->engine.preload[1], "c");
    config_unref(c);
}

TEST(config_reads_every_key_of_endpoints) {
    struct config *c = every_key_loaded();
    if (!c)
        FAIL("refused: %s", said);
    const struct config_endpoint *e = c->endpoints;
    CHECK(slice_is(secret_reveal(&e->key), "pre-v") && !e->retention);
    CHECK(e->models[0].vision == -1 && e->models[1].vision == 1 && e->models[1].tools == 0 &&
          e->models[1].context == 10);
    CHECK_STREQ(e->proxy, "http://proxy:3128");
    CHECK_STREQ(e->ca_file, "/home/u/ca.pem");
    CHECK(e->connect_ms == 1000 && e->first_event_ms == 2000 && e->idle_ms == 3000 && e->total_ms == 4000);
    CHECK_EQ(e->n_headers, 2);
    CHECK_STREQ(e->headers[0].name, "X-One");
    CHECK_STREQ(e->headers[1].value, "v");
    config_unref(c);
}

TEST(config_reads_every_key_of_routes_prices_and_keys) {
    struct config *c = every_key_loaded();
    if (!c)
        FAIL("refused: %s", said);
    CHECK(c->n_routes == 4 && c->routes[1].n_targets == 2 && !c->routes[1].has_label);
    CHECK(c->routes[2].has_label && c->routes[2].label == LABEL_INTERNAL);
    CHECK(c->prices[0].cache_read == 300000 && c->prices[0].cache_write == 3750000 && c->prices[0].context == 200000);
    CHECK(c->keys[0].has_label && c->keys[0].label == LABEL_PERSONAL);
    CHECK(c->keys[0].has_reach && c->keys[0].reach == ZONE_EDGE);
    CHECK(c->keys[0].budgets[0].window == WINDOW_TOTAL && c->keys[0].budgets[1].window == WINDOW_DAY);
    CHECK(c->budget_wait_ms == 1000 && c->retention_s == 2 * 86400 && c->default_label == LABEL_INTERNAL);
    config_unref(c);
}

TEST(config_reads_every_key_of_privacy) {
    struct config *c = every_key_loaded();
    if (!c)
        FAIL("refused: %s", said);
    CHECK(c->matrix[LABEL_INTERNAL][ZONE_CLOUD] == COND_NO && c->matrix[LABEL_INTERNAL][ZONE_EDGE] == COND_YES);
    CHECK(c->matrix[LABEL_PERSONAL][ZONE_CLOUD] == COND_YES);
    CHECK(c->matrix[LABEL_PERSONAL][ZONE_EDGE] == COND_NO_RETENTION);
    CHECK(c->matrix[LABEL_SECRET][ZONE_EDGE] == COND_YES && c->matrix[LABEL_SECRET][ZONE_CLOUD] == COND_NO);
    config_unref(c);
}

TEST(config_is_shared_by_count) {
    struct config *c = loaded("");
    if (!c || config_ref(c) != c)
        FAIL("refused: %s", said);
    config_unref(c);
    CHECK_STREQ(c->log_level, "info");
    config_unref(c);
    config_unref(NULL);
}

TEST(config_problems_name_file_line_and_column) {
    CHECK_STREQ(problems_of("listn: x\n"), "t.yaml:1:1: unknown key 'listn' in config; did you mean 'listen'?\n");
    CHECK_STREQ(problems_of("\n\ndrain: soon\n"),
                "t.yaml:3:8: drain: found 'soon'; expected a duration like 30s or 5m\n");
    CHECK_STREQ(problems_of("loops: 1000\n"), "t.yaml:1:8: loops: '1000' is out of bounds; expected 0 to 64\n");
    CHECK_STREQ(problems_of("limits: {body: 2GiB}"),
                "t.yaml:1:16: body: '2GiB' is out of bounds; expected 1KiB to 1GiB\n");
    CHECK_STREQ(problems_of("retention: {requests: 1s}"),
                "t.yaml:1:23: requests: '1s' is out of bounds; expected 1m to 3660d\n");
    CHECK_STREQ(problems_of("loops: -1\n"), "t.yaml:1:8: loops: found '-1'; expected a whole number\n");
    CHECK_STREQ(problems_of("endpoints: 3\n"), "t.yaml:1:12: endpoints: expected a list, found a value\n");
    CHECK_STREQ(problems_of("engine: [1]\n"), "t.yaml:1:9: engine: expected a map, found a list\n");
    CHECK_STREQ(problems_of("state: {a: b}\n"), "t.yaml:1:8: state: expected a value, found a map\n");
    CHECK_STREQ(problems_of("offline: maybe\n"), "t.yaml:1:10: offline: found 'maybe'; expected true or false\n");
    CHECK_STREQ(problems_of("[a, b]\n"), "t.yaml:1:1: config: expected a map, found a list\n");
    CHECK_STREQ(problems_of("endpoints: [{provider: x}]\n"), "t.yaml:1:13: endpoint: 'name' is missing\n");
    CHECK_STREQ(problems_of("endpoints: [{name: \"\", provider: x}]\n"), "t.yaml:1:20: name: is empty\n");
    CHECK_STREQ(problems_of("endpoints: [~]\n"), "t.yaml:1:13: endpoint: expected a map, found nothing\n");
    CHECK_STREQ(problems_of("loopback: maybe\n"),
                "t.yaml:1:11: loopback: found 'maybe'; expected one of: keyed, owner\n");
    CHECK_STREQ(problems_of("keys: [{name: a, secret: x, budgets: [{amount: -5 USD}]}]"),
                "t.yaml:1:48: amount: found '-5 USD'; expected an amount like 50 USD\n");
    CHECK_STREQ(problems_of("{[a]: 1}"), "t.yaml:1:2: unknown key '?' in config (docs/configuration.md lists them)\n");
    CHECK_STREQ(problems_of("state: \"a\\0b\""), "t.yaml:1:8: holds a NUL byte\n");
    CHECK_STREQ(problems_of("loops: \"a\\nb\\e\""), "t.yaml:1:8: loops: found 'a?b?'; expected a whole number\n");
    CHECK(strncmp(problems_of("a: [\n"), "t.yaml:2:1: not valid YAML: ", 28) == 0);
    CHECK(strncmp(problems_of("a: \xff\n"), "t.yaml:1:1: not valid YAML: ", 28) == 0);
}

TEST(config_refuses_budgets_that_are_none) {
    static const char *const amounts[] = {"5",
                                          "USD",
                                          "5 EUR",
                                          "-5 USD",
                                          "1e3 USD",
                                          "$5",
                                          "9223372.1 USD",
                                          "99999999999999999999 USD",
                                          "0.0000000000001 USD",

                                          "5 USD.",
                                          "nan USD"};
    char text[256], expected[256];
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        (void)snprintf(text, sizeof text, "keys: [{name: a, secret: x, budgets: [{amount: %s}]}]", amounts[i]);
        (void)snprintf(expected, sizeof expected, "t.yaml:1:48: amount: found '%s'; expected an amount like 50 USD\n",
                       amounts[i]);
        CHECK_STREQ(problems_of(text), expected);
    }
    CHECK_STREQ(problems_of("budgets: {whole: [{amount: 5 USD, window: week}]}"),
                "t.yaml:1:43: window: found 'week'; expected one of: total, day, month\n");
    CHECK(strstr(problems_of("budgets: {whole: [{amount: 5 USD, window: day, time_zone: Mars/Olympus}]}"),
                 "there is none named 'Mars/Olympus'"));
    CHECK(strstr(problems_of("budgets: {whole: [{amount: 5 USD}, {amount: 6 USD}]}"),
                 "a second budget for the same time"));
    CHECK_STREQ(problems_of("budgets: {whole: [{amount: 0 USD}, {amount: 9223372 USD, window: day}]}"), "OK");
}

TEST(config_nothing_is_as_if_not_there) {
    CHECK_STREQ(problems_of("engine:\nkeys: ~\nroutes: null\nendpoints:\nlisten:\nprivacy:\nloops:\n"), "OK");
    CHECK_STREQ(problems_of("~"), "OK");
    CHECK_STREQ(problems_of("endpoints: [{name: , provider: x}]\n"), "t.yaml:1:13: endpoint: 'name' is missing\n");
}

TEST(config_expands_variables) {
    (void)unsetenv("GRIDTIE_UNSET");
    (void)setenv("GRIDTIE_EMPTY", "", 1);
    CHECK_STREQ(problems_of("endpoints: [{name: a, provider: b, key: \"${GRIDTIE_UNSET}\"}]\n"),
                "t.yaml:1:41: the environment variable GRIDTIE_UNSET is not set; set it, or use a file\n");
    CHECK_STREQ(problems_of("endpoints: [{name: a, provider: b, key: \"${GRIDTIE_EMPTY}\"}]\n"),
                "t.yaml:1:41: key: is empty\n");
    CHECK_STREQ(problems_of("state: \"${\""), "t.yaml:1:8: '${' without '}'\n");
    CHECK_STREQ(problems_of("state: \"${}\""), "t.yaml:1:8: '${}' is no variable's name\n");
    CHECK_STREQ(problems_of("state: \"${1a}\""), "t.yaml:1:8: '${1a}' is no variable's name\n");
    CHECK_STREQ(problems_of("state: $HOME"), "OK"); // only ${…}
    static char large[70000];
    memset(large, 'x', sizeof large - 1);
    (void)setenv("GRIDTIE_LARGE", large, 1);
    CHECK_STREQ(problems_of("state: \"${GRIDTIE_LARGE}\""), "t.yaml:1:8: is longer than 65536 bytes\n");
    (void)unsetenv("GRIDTIE_LARGE");
}

TEST(config_lists_every_problem) {
    CHECK_STREQ(problems_of("loops: x\ndrain: y\nloops: 2\n"),
                "t.yaml:1:8: loops: found 'x'; expected a whole number\n"
                "t.yaml:2:8: drain: found 'y'; expected a duration like 30s or 5m\n"
                "t.yaml:3:1: 'loops' is given twice\n");
    struct buf yaml = BUF_INIT(65536), problems = BUF_INIT(1000);
    struct config *c = NULL;
    for (int i = 0; i < 300; i++)
        buf_printf(&yaml, "zz%d: 1\n", i);
    CHECK_EQ(config_load_text(buf_slice(&yaml), "t", ".", &c, &problems), ERR_BAD_FIELD);
    CHECK(!problems.failed); // a full report is still a report
    CHECK(strstr(buf_cstr(&problems), "\nt: and 28") != NULL && slice_ends(buf_slice(&problems), " more\n"));
    buf_done(&yaml);
    buf_done(&problems);
}

TEST(config_refuses_what_makes_graphs_of_trees) {
    const char *anchors = "anchors (&) and aliases (*) are not supported; write the value out\n";
    CHECK(strncmp(problems_of("cors: &a [x]\nallowed_hosts: *a\n"), "t.yaml:1:7: ", 12) == 0);
    CHECK_STREQ(said + 12, anchors);
    CHECK(strstr(problems_of("a: &x {b: *x}\n"), anchors) != NULL);
    CHECK(strstr(problems_of("&x a: 1\n"), anchors) != NULL);
    CHECK_STREQ(problems_of("loops: 1\n---\nloops: 2\n"),
                "t.yaml:2:1: a second document begins here; a config is one\n");
    char deep[4001];
    memset(deep, '[', 2000);
    memset(deep + 2000, ']', 2000);
    deep[4000] = 0;
    CHECK_STREQ(problems_of(deep), "t.yaml:1:13: nested too deeply; nothing here is deeper than 12\n");
    struct buf many = BUF_INIT(1 << 20);
    buf_append_str(&many, "cors: [");
    for (int i = 0; i < 5000; i++)
        buf_append_str(&many, "a://b,");
    buf_append_str(&many, "]");
    CHECK_STREQ(problems_of(buf_cstr(&many)), "t.yaml:1:7: cors: has 5000 items; at most 4096 are read\n");
    buf_done(&many);
}

TEST(config_guards_secrets) {
    struct folder f;
    CHECK(folder_make(&f));
    struct config *c = loaded_in("keys: [{name: a, secret_file: team.key, secret: sk-2}]", f.dir);
    CHECK(!c && strstr(said, "the key is given twice, as itself and as a file; keep one") != NULL);
    CHECK(strstr(said, "sk-") == NULL);
    CHECK(!loaded_in("keys: [{name: a, secret: \"one two\"}]", f.dir));
    CHECK_STREQ(said, "t.yaml:1:26: secret: holds a blank or a control character; a key is one word\n");
    CHECK(!loaded_in("keys: [{name: a, secret_file: none.key}]", f.dir));
    CHECK(strstr(said, "/none.key: No such file or directory") != NULL);
    CHECK(!fs_write_atomic(f.llm, SLICE(" \n"), 0600));
    CHECK(!loaded_in("keys: [{name: a, secret_file: llm.key}]", f.dir));
    CHECK_STREQ(said, "t.yaml:1:31: secret_file: is empty\n");
    CHECK(chmod(f.team, 0644) == 0);
    c = loaded_in("keys: [{name: a, secret_file: team.key}]", f.dir);
    CHECK(c && strncmp(said, "t.yaml:1:31: warning: secret_file: others than the owner may open ", 66) == 0);
    CHECK(strstr(said, "(mode 644); chmod 600 it\n") != NULL);
    config_unref(c);
    CHECK(!loaded("endpoints: [{name: a, provider: b, headers: {Host: x, \"a b\": y, ok: \"a\\r\\nb: c\"}}]"));
    CHECK_STREQ(said, "t.yaml:1:46: headers: 'Host' is no header that may be set here\n"
                      "t.yaml:1:55: headers: 'a b' is no header that may be set here\n"
                      "t.yaml:1:65: headers: 'ok' is no header that may be set here\n");
    folder_drop(&f);
}

TEST(config_loosens_the_matrix_only_when_written_out) {
    CHECK_STREQ(problems_of("privacy: {personal: yes}"),
                "t.yaml:1:21: personal: this loosens the default; write it out: personal: {cloud: yes}\n");
    CHECK_STREQ(problems_of("privacy: {secret: pseudonymise}"),
                "t.yaml:1:19: secret: this loosens the default; write it out: secret: {cloud: pseudonymised}\n");
    CHECK_STREQ(problems_of("privacy: {personal: {cloud: yes}, public: no, internal: pseudonymise}"), "OK");
    CHECK_STREQ(problems_of("privacy: {personal: {moon: no, cloud: perhaps}}"),
                "t.yaml:1:22: personal: found 'moon'; expected a zone: device, edge, sealed, cloud\n"
                "t.yaml:1:39: personal: expected yes, no, pseudonymised or no_retention\n");
    CHECK_STREQ(problems_of("privacy: {secrets: no}"),
                "t.yaml:1:11: unknown key 'secrets' in privacy; did you mean 'secret'?\n");
    CHECK_STREQ(problems_of("privacy: {public: [no]}"),
                "t.yaml:1:19: public: expected a condition or a map of zones, found a list\n");
}

TEST(config_loads_files) {
    struct folder f;
    char path[96];
    struct config *c = NULL;
    struct buf problems = BUF_INIT(4096);
    CHECK(folder_make(&f));
    (void)snprintf(path, sizeof path, "%s/gridtie.yaml", f.dir);
    CHECK_EQ(config_load(path, &c, &problems), ERR_NOT_FOUND);
    CHECK(slice_ends(buf_slice(&problems), "/gridtie.yaml:1:1: No such file or directory\n"));
    buf_clear(&problems);
    CHECK(!fs_write_atomic(path, slice_str(design_block), 0600));
    CHECK_EQ(config_load(path, &c, &problems), ERR_OK); // key files are found beside it
    CHECK_STREQ(buf_cstr(&problems), "");
    config_unref(c);
    CHECK_EQ(config_load(f.dir, &c, &problems), ERR_DISK);
    buf_clear(&problems);
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)LIMIT_CONFIG_BYTES + 1) == 0);
    (void)close(fd);
    CHECK_EQ(config_load(path, &c, &problems), ERR_TOO_LARGE);
    CHECK(slice_ends(buf_slice(&problems), ": the file is larger than 4194304 bytes\n"));
    buf_done(&problems);
    (void)unlink(path);
    folder_drop(&f);
}

TEST(config_survives_every_failed_allocation) {
    struct folder f;
    enum err e = ERR_NO_MEMORY;
    CHECK(folder_make(&f));
    for (unsigned long k = 1; e; k++) {
        CHECK(k < 3000);
        struct buf problems = BUF_INIT(4096);
        struct config *c = NULL;
        mem_fail_at(k);
        e = config_load_text(slice_str(design_block), "t.yaml", f.dir, &c, &problems);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        buf_done(&problems);
        if (e == ERR_OK)
            config_unref(c);
    }
    folder_drop(&f);
}

TEST(config_survives_cuts_and_changed_bytes) {
    static const char nasty[] = "[]{}&*!|>'\"%@`:-?,#\n\t ~\xff";
    static char text[sizeof design_block];
    for (size_t i = 0; i < sizeof design_block; i++) {
        struct buf problems = BUF_INIT(65536);
        struct config *c = NULL;
        if (config_load_text(slice_of(design_block, i), "t.yaml", "/nowhere", &c, &problems) == ERR_OK)
            config_unref(c);
        memcpy(text, design_block, sizeof text);
        for (size_t k = 0; k < sizeof nasty - 1; k++) {
            text[i] = nasty[k];
            buf_clear(&problems);
            if (config_load_text(slice_of(text, sizeof text - 1), "t.yaml", "/nowhere", &c, &problems) == ERR_OK)
                config_unref(c);
        }
        buf_done(&problems);
    }
}

TEST(config_sample_is_good) {
    struct folder f;
    CHECK(folder_make(&f));
    struct config *c = loaded_in(config_sample, f.dir);
    folder_drop(&f);
    CHECK_STREQ(said, "");
    CHECK(c && c->n_endpoints == 3 && c->n_routes == 2 && c->n_keys == 2);
    config_unref(c);
}

TEST(config_reference_page_is_up_to_date) {
    struct buf page = BUF_INIT(1 << 20), file = BUF_INIT(1 << 20);
    char path[4096];
    const char *root = getenv("GRIDTIE_ROOT");
    config_write_reference(&page);
    CHECK(!page.failed && page.len > 4000);
    CHECK(strstr(buf_cstr(&page), "`routes.NAME.targets`") && !strstr(buf_cstr(&page), "`routes.NAME.name`"));
    (void)snprintf(path, sizeof path, "%s/docs/configuration.md", root ? root : ".");
    if (!root || fs_read_file(path, 1 << 20, &file)) {
        buf_done(&page);
        SKIP("GRIDTIE_ROOT is no checkout");
    }
    if (!slice_eq(buf_slice(&page), buf_slice(&file)))
        unit_fail(__FILE__, __LINE__,
                  "docs/configuration.md is stale: gridtie check --reference >docs/configuration.md");
    buf_done(&page);
    buf_done(&file);
}
