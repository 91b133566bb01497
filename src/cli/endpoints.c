// SPDX-License-Identifier: Apache-2.0
// `gridtie endpoints`: the places that compute, and how they are.
#include <stdio.h>
#include "cli/table.h"
#include "cli/talk.h"

static const char *models_text(struct arena *a, yyjson_val *e) {
    if (yyjson_is_true(yyjson_obj_get(e, "any_model")))
        return "any";
    return text_printf(a, "%zu", yyjson_arr_size(yyjson_obj_get(e, "models")));
}

static void endpoints_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"ENDPOINT",  "PROVIDER", "ZONE", "HEALTH",     ">MODELS",
                                        ">REQUESTS", ">FAILED",  "URL",  "LAST ERROR", NULL};
    yyjson_val *endpoints = yyjson_obj_get(root, "endpoints"), *e;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(endpoints) == 0) {
        (void)puts("there is no endpoint: add some to the config, under `endpoints`");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(endpoints, i, n, e) {
        table_add(&t, json_get_str(e, "name"));
        table_add(&t, json_get_str(e, "provider"));
        table_add(&t, json_get_str(e, "zone"));
        table_add(&t, json_get_str(e, "health"));
        table_add_str(&t, models_text(a, e));
        table_add_str(&t, text_count(a, yyjson_obj_get(e, "requests")));
        table_add_str(&t, text_count(a, yyjson_obj_get(e, "failures")));
        table_add(&t, json_get_str(e, "url"));
        table_add(&t, json_get_str(yyjson_obj_get(e, "last_error"), "text"));
    }
    table_print(&t);
}

static int endpoints_run(const struct cli *c) {
    return talk_show(c, "/gridtie/v1/endpoints", endpoints_show);
}

const struct command command_endpoints = {
    .name = "endpoints",
    .operands = "",
    .summary = "the places that compute, and their health",
    .text = "Shows the endpoints that the daemon uses, where they stand, and how their last probe or request went.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie endpoints", "gridtie endpoints --json"},
    .run = endpoints_run,
};
