// SPDX-License-Identifier: Apache-2.0
// `gridtie ps`: the local models that are in memory now.
#include <stdio.h>
#include "base/clock.h"
#include "cli/table.h"
#include "cli/talk.h"

static const char *until(struct arena *a, yyjson_val *m) {
    int64_t at = json_get_int(m, "expires_at", 0);
    return at > 0 ? text_duration(a, at - clock_wall_s()) : "-";
}

static void ps_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"MODEL",      "STATE",     ">PID",        ">MEMORY",
                                        ">IN FLIGHT", ">REQUESTS", "UNLOADED IN", NULL};
    yyjson_val *models = yyjson_obj_get(root, "models"), *m;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(models) == 0) {
        (void)puts("no model is in memory");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(models, i, n, m) {
        table_add(&t, json_get_str(m, "name"));
        table_add(&t, json_get_str(m, "state"));
        table_add_str(&t, text_count(a, yyjson_obj_get(m, "pid")));
        table_add_str(&t, text_bytes(a, json_get_int(m, "memory_bytes", 0)));
        table_add_str(&t, text_count(a, yyjson_obj_get(m, "in_flight")));
        table_add_str(&t, text_count(a, yyjson_obj_get(m, "requests")));
        table_add_str(&t, until(a, m));
    }
    table_print(&t);
}

static int ps_run(const struct cli *c) {
    return talk_show(c, "/gridtie/v1/ps", ps_show);
}

const struct command command_ps = {
    .name = "ps",
    .operands = "",
    .summary = "the local models that are in memory",
    .text = "Shows the local models that are loaded or loading, what they use, and when they will be unloaded.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie ps", "gridtie ps --json"},
    .run = ps_run,
};
