// SPDX-License-Identifier: Apache-2.0
// `gridtie endpoints`: the places that compute, and how they are. With --watch it asks every two seconds and shows the new
// state in place of the old one, until Ctrl-C.
#include <stdio.h>
#include <unistd.h>
#include "cli/table.h"
#include "cli/talk.h"

#define WATCH_SECONDS 2

static const char *models_text(struct arena *a, yyjson_val *e) {
    size_t failing = yyjson_arr_size(yyjson_obj_get(e, "failing_models"));
    if (yyjson_is_true(yyjson_obj_get(e, "any_model")))
        return "any";
    size_t n = yyjson_arr_size(yyjson_obj_get(e, "models"));
    return failing ? text_printf(a, "%zu (%zu failing)", n, failing) : text_printf(a, "%zu", n);
}

// Time to the first token where there was traffic, else of the last look.
static const char *latency_text(struct arena *a, yyjson_val *e) {
    yyjson_val *first = yyjson_obj_get(e, "first_token_ms"), *probe = yyjson_obj_get(e, "probe_ms");
    if (yyjson_is_num(first))
        return text_ms(a, first);
    return yyjson_is_num(probe) ? text_printf(a, "(%s)", text_ms(a, probe)) : "-";
}

static const char *error_text(struct arena *a, yyjson_val *e) {
    yyjson_val *last = yyjson_obj_get(e, "last_error");
    struct slice text = json_get_str(last, "text"), model = json_get_str(last, "model");
    if (!text.n)
        return "-";
    return model.n ? text_printf(a, "%.*s: %.*s", SLICE_FMT(model), SLICE_FMT(text))
                   : text_printf(a, "%.*s", SLICE_FMT(text));
}

static const char *provider_text(struct arena *a, yyjson_val *e) {
    struct slice version = json_get_str(e, "version");
    const char *name = text_plain(a, json_get_str(e, "provider"));
    return version.n ? text_printf(a, "%s %s", name, text_plain(a, version)) : name;
}

static void endpoints_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"ENDPOINT", "PROVIDER",  "ZONE",    "FOUND BY", "HEALTH",     ">MODELS",
                                        ">LATENCY", ">REQUESTS", ">FAILED", "URL",      "LAST ERROR", NULL};
    yyjson_val *endpoints = yyjson_obj_get(root, "endpoints"), *e;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(endpoints) == 0) {
        (void)puts(
            "there is no endpoint: set a provider's key (OPENAI_API_KEY, …) before the daemon starts, run a local\n"
            "server, or add some to the config, under `endpoints`");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(endpoints, i, n, e) {
        table_add(&t, json_get_str(e, "name"));
        table_add_str(&t, provider_text(a, e));
        table_add(&t, json_get_str(e, "zone"));
        table_add(&t, json_get_str(e, "found_by"));
        table_add(&t, json_get_str(e, "health"));
        table_add_str(&t, models_text(a, e));
        table_add_str(&t, latency_text(a, e));
        table_add_str(&t, text_count(a, yyjson_obj_get(e, "requests")));
        table_add_str(&t, text_count(a, yyjson_obj_get(e, "failures")));
        table_add(&t, json_get_str(e, "url"));
        table_add_str(&t, error_text(a, e));
    }
    table_print(&t);
}

static void watch_show(struct arena *a, yyjson_val *root) {
    bool terminal = isatty(STDOUT_FILENO);
    if (terminal)
        (void)fputs("\033[H\033[2J", stdout); // home, then clear
    endpoints_show(a, root);
    if (!terminal)
        (void)putchar('\n');
    (void)fflush(stdout);
}

static int endpoints_run(const struct cli *c) {
    const char *path = "/gridtie/v1/endpoints";
    if (!c->value[OPT_WATCH])
        return talk_show(c, path, endpoints_show);
    for (;;) {
        int status = talk_show(c, path, watch_show);
        (void)fflush(stdout);
        if (status || ferror(stdout))
            return status;
        (void)sleep(WATCH_SECONDS);
    }
}

const struct command command_endpoints = {
    .name = "endpoints",
    .operands = "",
    .summary = "the places that compute, and their health",
    .text =
        "Shows the endpoints that the daemon uses, listed or found: where they stand, how they are, their models, the\n"
        "recent time to the first token (in brackets: of the last look), and what went wrong last.\n",
    .options = OPT(WATCH) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie endpoints", "gridtie endpoints --watch"},
    .run = endpoints_run,
};
