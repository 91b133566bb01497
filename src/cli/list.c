// SPDX-License-Identifier: Apache-2.0
// `gridtie list`: every model that a request can go to.
#include <stdio.h>
#include "cli/table.h"
#include "cli/talk.h"

// Pico-USD per token is micro-USD per million tokens.
static const char *price_text(struct arena *a, yyjson_val *price, const char *name) {
    int64_t v = json_get_int(price, name, -1);
    if (v < 0)
        return "?";
    return v == 0 ? "free" : text_printf(a, "%.6g", (double)v / 1e6);
}

static void list_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"MODEL",      "ZONE",  ">CONTEXT", ">SIZE", ">USD/M IN",
                                        ">USD/M OUT", "STATE", "FROM",     NULL};
    yyjson_val *models = yyjson_obj_get(root, "models"), *m;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(models) == 0) {
        (void)puts("no model is known: `gridtie pull smollm2:135m` fetches a small one; endpoints go into the config");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(models, i, n, m) {
        yyjson_val *price = yyjson_obj_get(m, "price_picousd_per_token");
        int64_t context = json_get_int(m, "context", 0);
        table_add(&t, json_get_str(m, "name"));
        table_add(&t, json_get_str(m, "zone"));
        table_add_str(&t, context > 0 ? text_printf(a, "%lld", (long long)context) : "-");
        table_add_str(&t, text_bytes(a, json_get_int(m, "size_bytes", 0)));
        table_add_str(&t, price_text(a, price, "input"));
        table_add_str(&t, price_text(a, price, "output"));
        table_add(&t, json_get_str(m, "state"));
        table_add(&t, json_get_str(m, "source"));
    }
    table_print(&t);
}

static int list_run(const struct cli *c) {
    return talk_show(c, "/gridtie/v1/models", list_show);
}

const struct command command_list = {
    .name = "list",
    .operands = "",
    .summary = "the models that requests can go to",
    .text = "Shows every model that the daemon knows, local ones first, with zone, context and price.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie list", "gridtie list --json"},
    .run = list_run,
};
