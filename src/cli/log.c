// SPDX-License-Identifier: Apache-2.0
// `gridtie log`: the latest requests, a line each, newest first, from the daemon's ledger. The filters are checked here, so
// that a wrong one is an error of the command line and not an empty list; the daemon does the selecting. No content is
// shown, because none is kept.
#include <stdio.h>
#include "cli/query.h"
#include "cli/table.h"
#include "cli/talk.h"

static const char *result_text(struct arena *a, yyjson_val *x) {
    struct slice err = json_get_str(x, "err"), outcome = json_get_str(x, "outcome");
    if (slice_is(outcome, "unknown"))
        return "unknown";
    return err.n ? text_printf(a, "%lld %.*s", (long long)json_get_int(x, "status", 0), SLICE_FMT(err)) : "ok";
}

static void log_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"TIME",   "RESULT", "MODEL", "TARGET", "ZONE", ">FIRST",
                                        ">TOTAL", ">IN",    ">OUT",  ">USD",   "ID",   NULL};
    yyjson_val *rows = yyjson_obj_get(root, "exchanges"), *x;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(rows) == 0) {
        (void)puts("no request is recorded that fits");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(rows, i, n, x) {
        table_add(&t, slice_first(json_get_str(x, "time"), sizeof "2026-01-01T00:00:00" - 1));
        table_add_str(&t, result_text(a, x));
        table_add(&t, json_get_str(x, "model"));
        table_add(&t, json_get_str(x, "target"));
        table_add(&t, json_get_str(x, "zone"));
        table_add_str(&t, text_ms(a, yyjson_obj_get(x, "first_event_ms")));
        table_add_str(&t, text_ms(a, yyjson_obj_get(x, "total_ms")));
        table_add_str(&t, text_count(a, yyjson_obj_get(x, "input_tokens")));
        table_add_str(&t, text_count(a, yyjson_obj_get(x, "output_tokens")));
        table_add_str(&t, text_usd(a, yyjson_obj_get(x, "cost_usd")));
        table_add(&t, json_get_str(x, "id"));
    }
    table_print(&t);
}

static int log_run(const struct cli *c) {
    struct buf path = BUF_INIT(8192);
    const char *limit = c->value[OPT_LIMIT] ? c->value[OPT_LIMIT] : "20", *since = c->value[OPT_SINCE];
    const char *status = c->value[OPT_STATUS];
    uint64_t n;
    int64_t from = since ? query_since(slice_str(since)) : 0;
    if (!slice_u64(slice_str(limit), &n) || n < 1 || n > 1000)
        return cli_fail(2, "--limit %s: expected a number from 1 to 1000", limit);
    if (from < 0)
        return cli_fail(2, "--since %s: expected 30m, 12h, 7d, or seconds since 1970", since);
    if (status && strcmp(status, "ok") != 0 && strcmp(status, "failed") != 0)
        return cli_fail(2, "--status %s: expected ok or failed", status);
    buf_printf(&path, "/gridtie/v1/log?limit=%llu&since=%lld", (unsigned long long)n, (long long)from);
    query_put(&path, "model", c->value[OPT_MODEL]);
    query_put(&path, "target", c->value[OPT_TARGET]);
    query_put(&path, "status", status);
    int result = talk_show(c, buf_cstr(&path), log_show);
    buf_done(&path);
    return result;
}

const struct command command_log = {
    .name = "log",
    .operands = "",
    .summary = "the latest requests",
    .text =
        "Shows what was asked, who answered, how long it took and what it cost. Times are UTC. No content is kept.\n",
    .options = OPT(LIMIT) | OPT(MODEL) | OPT(TARGET) | OPT(STATUS) | OPT(SINCE) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie log --since 1h", "gridtie log --status failed --limit 100"},
    .run = log_run,
};
