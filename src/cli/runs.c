// SPDX-License-Identifier: Apache-2.0
// `gridtie runs`: the runs of agents, latest first, and stopping one. A stopped run begins nothing more, and what it has
// under way ends with an error in its client's dialect.
#include <stdio.h>
#include "cli/table.h"
#include "cli/talk.h"

static void runs_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"RUN",  "KEY",  "STATE", ">REQUESTS", ">IN", ">OUT",
                                        ">USD", ">CAP", ">OPEN", "LAST",      NULL};
    yyjson_val *runs = yyjson_obj_get(root, "runs"), *r;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(runs) == 0) {
        (void)puts("there is no run yet: a client names one in the header x-gridtie-run");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(runs, i, n, r) {
        table_add(&t, json_get_str(r, "run"));
        table_add(&t, json_get_str(r, "key"));
        table_add(&t, json_get_str(r, "state"));
        table_add_str(&t, text_count(a, yyjson_obj_get(r, "exchanges")));
        table_add_str(&t, text_count(a, yyjson_obj_get(r, "input_tokens")));
        table_add_str(&t, text_count(a, yyjson_obj_get(r, "output_tokens")));
        table_add_str(&t, text_usd(a, yyjson_obj_get(r, "settled_usd")));
        table_add_str(&t, yyjson_obj_get(r, "cap_usd") ? text_usd(a, yyjson_obj_get(r, "cap_usd")) : NULL);
        table_add_str(&t, text_usd(a, yyjson_obj_get(r, "open_usd")));
        table_add(&t, slice_first(json_get_str(r, "last"), sizeof "2026-01-01T00:00:00" - 1));
    }
    table_print(&t);
}

static int stop(const struct cli *c, const char *run) {
    struct talk t;
    struct buf body = BUF_INIT(65536), answer = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&body);
    if (!talk_open(&t, c, NULL))
        return 1;
    json_obj(&w);
    json_kv_cstr(&w, "run", run);
    if (c->value[OPT_KEY])
        json_kv_cstr(&w, "key", c->value[OPT_KEY]);
    json_obj_end(&w);
    enum err e = talk_fetch(&t, "POST", "/gridtie/v1/runs/stop", buf_slice(&body), &answer, 60);
    int status = 0;
    if (!e && t.status == 200)
        (void)printf("stopped %s\n", run);
    else
        status = talk_explain(&t, e, buf_slice(&answer));
    talk_close(&t);
    buf_done(&body);
    buf_done(&answer);
    return status;
}

static int runs_run(const struct cli *c) {
    if (c->n_args == 0)
        return talk_show(c, "/gridtie/v1/runs", runs_show);
    if (strcmp(c->args[0], "stop") == 0 && c->n_args == 2)
        return stop(c, c->args[1]);
    return cli_fail(2, "expected 'gridtie runs' or 'gridtie runs stop ID'");
}

const struct command command_runs = {
    .name = "runs",
    .operands = "[stop ID]",
    .summary = "the runs of agents and what they spent; stop one",
    .text =
        "Shows the runs that clients named (x-gridtie-run, or the session ids that they send anyway), latest first. With\n"
        "stop ID that run begins nothing more, and what it has under way ends.\n",
    .options = OPT(KEY) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 2,
    .words = {"stop"},
    .examples = {"gridtie runs", "gridtie runs stop 4f1c2a"},
    .run = runs_run,
};
