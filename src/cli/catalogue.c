// SPDX-License-Identifier: Apache-2.0
// `gridtie catalogue`: what is known of models, where its two tables differ, and fetching them anew. Fetching is the
// script's work (tools/catalogue-sources, installed beside the program's helpers): it needs Python and pip, and the
// program itself speaks to no package index. A daemon that runs is told; one that starts later sees for itself.
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fs.h"
#include "cli/query.h"
#include "cli/table.h"
#include "cli/talk.h"

#define COMPILE_SECONDS 60

// ---- showing

// Pico-USD per token is micro-USD per million tokens.
static const char *usd_text(struct arena *a, yyjson_val *price, const char *name) {
    int64_t v = json_get_int(price, name, -1);
    return v < 0 ? "-" : v == 0 ? "free" : text_printf(a, "%.6g", (double)v / 1e6);
}

static const char *tokens_text(struct arena *a, int64_t n) {
    return n > 0 ? text_printf(a, "%lld", (long long)n) : "-";
}

static const char *words_text(struct arena *a, yyjson_val *list) {
    const char *text = "";
    yyjson_val *v;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, v) {
        text = text_printf(a, "%s%s%.*s", text, i ? " " : "", SLICE_FMT(json_str(v)));
    }
    return text;
}

static void nothing_there(void) {
    (void)puts("there is no catalogue: `gridtie catalogue update` fetches it; prices of the config hold without");
}

static void summary_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"PROVIDER", ">LITELLM", ">GENAI-PRICES", NULL};
    yyjson_val *providers = yyjson_obj_get(root, "providers"), *versions = yyjson_obj_get(root, "versions"), *p;
    struct table t;
    size_t i, n;
    if (!yyjson_is_true(yyjson_obj_get(root, "present"))) {
        nothing_there();
        return;
    }
    (void)printf("litellm %.*s: %lld models; genai-prices %.*s: %lld rules; compiled %.*s\n\n",
                 SLICE_FMT(json_get_str(versions, "litellm")), (long long)json_get_int(root, "models", 0),
                 SLICE_FMT(json_get_str(versions, "genai-prices")), (long long)json_get_int(root, "rules", 0),
                 SLICE_FMT(json_get_str(root, "made")));
    table_init(&t, a, heads);
    yyjson_arr_foreach(providers, i, n, p) {
        table_add(&t, json_get_str(p, "name"));
        table_add_str(&t, tokens_text(a, json_get_int(p, "litellm", 0)));
        table_add_str(&t, tokens_text(a, json_get_int(p, "genai_prices", 0)));
    }
    table_print(&t);
}

static void targets_show(struct arena *a, yyjson_val *list) {
    static const char *const heads[] = {"TARGET",     "ZONE",     ">USD/M IN", ">USD/M OUT",
                                        "PRICE FROM", ">CONTEXT", "TAKES",     NULL};
    struct table t;
    yyjson_val *m;
    size_t i, n;
    if (yyjson_arr_size(list) == 0)
        return;
    table_init(&t, a, heads);
    yyjson_arr_foreach(list, i, n, m) {
        yyjson_val *price = yyjson_obj_get(m, "price_picousd_per_token");
        table_add(&t, json_get_str(m, "name"));
        table_add(&t, json_get_str(m, "zone"));
        table_add_str(&t, usd_text(a, price, "input"));
        table_add_str(&t, usd_text(a, price, "output"));
        table_add(&t, json_get_str(m, "price_from"));
        table_add_str(&t, tokens_text(a, json_get_int(m, "context", 0)));
        table_add_str(&t, words_text(a, yyjson_obj_get(m, "modalities_in")));
    }
    table_print(&t);
    (void)puts("");
}

static void models_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"PROVIDER", "MODEL",   ">USD/M IN", ">CACHED", ">USD/M OUT", "PRICE FROM",
                                        ">CONTEXT", ">OUTPUT", "CAN",       "RETIRES", NULL};
    yyjson_val *list = yyjson_obj_get(root, "models"), *m;
    struct table t;
    size_t i, n;
    targets_show(a, yyjson_obj_get(root, "targets"));
    if (!yyjson_is_true(yyjson_obj_get(root, "present"))) {
        nothing_there();
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(list, i, n, m) {
        yyjson_val *facts = yyjson_obj_get(m, "facts"), *price = yyjson_obj_get(facts, "price_picousd_per_token");
        table_add(&t, json_get_str(m, "provider"));
        table_add(&t, json_get_str(m, "model"));
        table_add_str(&t, usd_text(a, price, "input"));
        table_add_str(&t, usd_text(a, price, "cache_read"));
        table_add_str(&t, usd_text(a, price, "output"));
        table_add(&t, json_get_str(facts, "source"));
        table_add_str(&t, tokens_text(a, json_get_int(facts, "context", 0)));
        table_add_str(&t, tokens_text(a, json_get_int(facts, "max_output", 0)));
        table_add_str(&t, words_text(a, yyjson_obj_get(facts, "can")));
        table_add(&t, json_get_str(facts, "retires"));
    }
    table_print(&t);
}

static void diff_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"PROVIDER", "MODEL",      ">IN",     ">CACHED", ">OUT",
                                        ">OR IN",   ">OR CACHED", ">OR OUT", NULL};
    yyjson_val *list = yyjson_obj_get(root, "models"), *m;
    struct table t;
    size_t i, n;
    if (!yyjson_is_true(yyjson_obj_get(root, "present"))) {
        nothing_there();
        return;
    }
    (void)printf(
        "%zu models have one price in litellm's table, which holds, and another (OR) in genai-prices'; USD/M\n\n",
        yyjson_arr_size(list));
    table_init(&t, a, heads);
    yyjson_arr_foreach(list, i, n, m) {
        yyjson_val *facts = yyjson_obj_get(m, "facts"), *price = yyjson_obj_get(facts, "price_picousd_per_token"),
                   *other = yyjson_obj_get(facts, "genai_prices_picousd_per_token");
        table_add(&t, json_get_str(m, "provider"));
        table_add(&t, json_get_str(m, "model"));
        table_add_str(&t, usd_text(a, price, "input"));
        table_add_str(&t, usd_text(a, price, "cache_read"));
        table_add_str(&t, usd_text(a, price, "output"));
        table_add_str(&t, usd_text(a, other, "input"));
        table_add_str(&t, usd_text(a, other, "cache_read"));
        table_add_str(&t, usd_text(a, other, "output"));
    }
    table_print(&t);
}

static int show(const struct cli *c, const char *model) {
    struct buf path = BUF_INIT(8192);
    buf_append_str(&path, "/gridtie/v1/catalogue?v=1");
    query_put(&path, "model", model);
    int status = talk_show(c, buf_cstr(&path), model ? models_show : summary_show);
    buf_done(&path);
    return status;
}

// ---- fetching

// Installed, or in the source tree that this was built in.
static bool script_find(char (*ret)[4096]) {
    static const char *const beside[] = {"../libexec/gridtie/catalogue-sources", "../../tools/catalogue-sources"};
    const char *given = getenv("GRIDTIE_CATALOGUE_SOURCES");
    char exe[2048];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe);
    (void)snprintf(*ret, sizeof *ret, "%s", given ? given : "");
    if (given)
        return access(*ret, X_OK) == 0;
    while (n > 0 && exe[n - 1] != '/')
        n--;
    for (size_t i = 0; n > 1 && i < sizeof beside / sizeof beside[0]; i++) {
        (void)snprintf(*ret, sizeof *ret, "%.*s%s", (int)n, exe, beside[i]);
        if (access(*ret, X_OK) == 0)
            return true;
    }
    return false;
}

// Its words go to our own standard error.
static int script_run(char *script, char *folder) {
    char *argv[] = {script, folder, NULL};
    pid_t pid;
    int status = 0, e = posix_spawn(&pid, script, NULL, NULL, argv, environ);
    if (e)
        return cli_fail(1, "%s can't be run: %s", script, strerror(e));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return cli_fail(1, "%s: %s", script, strerror(errno));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static int daemon_tell(const struct cli *c) {
    struct talk t;
    struct buf answer = BUF_INIT(65536);
    int status = 0;
    if (!talk_open(&t, c, NULL))
        return 1;
    if (talk_probe(&t) != ERR_OK) {
        (void)puts("fetched; no daemon runs, the next one that starts compiles them");
    } else {
        enum err e = talk_fetch(&t, "POST", "/gridtie/v1/catalogue/update", SLICE_NONE, &answer, COMPILE_SECONDS);
        if (e || t.status != 200)
            status = talk_explain(&t, e, buf_slice(&answer));
        else
            (void)puts("fetched and compiled");
    }
    talk_close(&t);
    buf_done(&answer);
    return status;
}

static int update(const struct cli *c) {
    char script[4096];
    struct buf folder = BUF_INIT(4096);
    fs_cache_dir(&folder);
    buf_append_str(&folder, "/catalogue");
    int status = 1;
    if (!script_find(&script))
        (void)cli_fail(1, "catalogue-sources is not beside this program (libexec/gridtie, tools); "
                          "GRIDTIE_CATALOGUE_SOURCES may name it");
    else if (fs_mkdirs(buf_cstr(&folder), 0700))
        (void)cli_fail(1, "%s can't be made: %s", buf_cstr(&folder), strerror(errno));
    else
        status = script_run(script, (char *)(uintptr_t)buf_cstr(&folder));
    buf_done(&folder);
    return status ? status : daemon_tell(c);
}

static int catalogue_run(const struct cli *c) {
    const char *verb = c->n_args > 0 ? c->args[0] : "show";
    if (strcmp(verb, "show") == 0)
        return show(c, c->n_args > 1 ? c->args[1] : NULL);
    if (strcmp(verb, "diff") == 0 && c->n_args == 1)
        return talk_show(c, "/gridtie/v1/catalogue/diff", diff_show);
    if (strcmp(verb, "update") == 0 && c->n_args == 1 && !c->value[OPT_JSON])
        return update(c);
    return cli_fail(
        2, "expected 'gridtie catalogue show [MODEL]', 'gridtie catalogue diff' or 'gridtie catalogue update'");
}

const struct command command_catalogue = {
    .name = "catalogue",
    .operands = "show|diff|update [MODEL]",
    .summary = "what is known of models: prices, limits, capabilities",
    .text =
        "Shows what the catalogue holds; with MODEL, a part of a name, what it says of such models and what the daemon's\n"
        "own targets make of that: the config's word comes first, then one's own machine, then the catalogue. `diff`\n"
        "lists where its two public tables have different prices; `update` fetches both anew, by pip.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 2,
    .words = {"show diff update"},
    .examples = {"gridtie catalogue show gpt-4o", "gridtie catalogue diff --json"},
    .run = catalogue_run,
};
