// SPDX-License-Identifier: Apache-2.0
// `gridtie spend`: what was spent, by whom or on what, and how the budgets stand. The options are checked here, so that a
// wrong one is an error of the command line; the daemon does the adding.
#include <stdio.h>
#include "cli/query.h"
#include "cli/table.h"
#include "cli/talk.h"

static const char *upper(struct arena *a, struct slice s) {
    char *text = arena_cstr(a, s);
    for (char *c = text; c && *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
    return text ? text : "";
}

static void row_add(struct table *t, struct arena *a, const char *name, yyjson_val *row) {
    table_add_str(t, name);
    table_add_str(t, text_count(a, yyjson_obj_get(row, "exchanges")));
    table_add_str(t, text_count(a, yyjson_obj_get(row, "input_tokens")));
    table_add_str(t, text_count(a, yyjson_obj_get(row, "output_tokens")));
    table_add_str(t, text_usd(a, yyjson_obj_get(row, "settled_usd")));
    table_add_str(t, text_usd(a, yyjson_obj_get(row, "unknown_usd")));
    table_add_str(t, text_usd(a, yyjson_obj_get(row, "overrun_usd")));
    table_add_str(t, text_count(a, yyjson_obj_get(row, "unpriced")));
}

static const char *row_name(struct arena *a, yyjson_val *row, const char *by) {
    struct slice name = json_get_str(row, by), key = json_get_str(row, "key");
    if (strcmp(by, "key") == 0 && name.n == 0)
        return "(no key)";
    if (strcmp(by, "run") == 0 && key.n)
        return text_printf(a, "%.*s (%.*s)", SLICE_FMT(name), SLICE_FMT(key));
    return text_plain(a, name);
}

static void rows_show(struct arena *a, yyjson_val *root) {
    yyjson_val *rows = yyjson_obj_get(root, "rows"), *row;
    const char *by = arena_cstr(a, json_get_str(root, "by"));
    const char *heads[] = {
        upper(a, slice_str(by)), ">REQUESTS", ">IN", ">OUT", ">USD", ">UNKNOWN", ">OVERRUN", ">UNPRICED", NULL};
    struct table t;
    size_t i, n;
    table_init(&t, a, heads);
    yyjson_arr_foreach(rows, i, n, row) {
        row_add(&t, a, row_name(a, row, by), row);
    }
    if (yyjson_arr_size(rows) != 1)
        row_add(&t, a, "total", yyjson_obj_get(root, "total"));
    table_print(&t);
}

static const char *whose(struct arena *a, yyjson_val *b) {
    struct slice key = json_get_str(b, "key");
    return key.n ? text_printf(a, "key %.*s", SLICE_FMT(key)) : "whole";
}

static const char *window_text(struct arena *a, yyjson_val *b) {
    struct slice window = json_get_str(b, "window"), zone = json_get_str(b, "time_zone");
    return zone.n ? text_printf(a, "%.*s %.*s", SLICE_FMT(window), SLICE_FMT(zone)) : text_plain(a, window);
}

static void budgets_show(struct arena *a, yyjson_val *list) {
    static const char *const heads[] = {"BUDGET", "WINDOW", ">LIMIT", ">SPENT", ">OPEN", ">LEFT", "RENEWS", NULL};
    struct table t;
    yyjson_val *b;
    size_t i, n;
    if (yyjson_arr_size(list) == 0)
        return;
    table_init(&t, a, heads);
    yyjson_arr_foreach(list, i, n, b) {
        table_add_str(&t, whose(a, b));
        table_add_str(&t, window_text(a, b));
        table_add_str(&t, text_usd(a, yyjson_obj_get(b, "limit_usd")));
        table_add_str(&t, text_usd(a, yyjson_obj_get(b, "settled_usd")));
        table_add_str(&t, text_usd(a, yyjson_obj_get(b, "open_usd")));
        table_add_str(&t, text_usd(a, yyjson_obj_get(b, "left_usd")));
        table_add(&t, slice_first(json_get_str(b, "renews"), sizeof "2026-01-01T00:00:00" - 1));
    }
    (void)puts("");
    table_print(&t);
}

static void spend_show(struct arena *a, yyjson_val *root) {
    rows_show(a, root);
    budgets_show(a, yyjson_obj_get(root, "budgets"));
}

static int spend_run(const struct cli *c) {
    static const char *const known[] = {"key", "model", "endpoint", "run", "day"};
    struct buf path = BUF_INIT(8192);
    const char *by = c->value[OPT_BY] ? c->value[OPT_BY] : "key", *since = c->value[OPT_SINCE];
    int64_t from = since ? query_since(slice_str(since)) : 0;
    bool fine = false;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        fine = fine || strcmp(known[i], by) == 0;
    if (!fine)
        return cli_fail(2, "--by %s: expected key, model, endpoint, run or day", by);
    if (from < 0)
        return cli_fail(2, "--since %s: expected 30m, 12h, 7d, or seconds since 1970", since);
    buf_printf(&path, "/gridtie/v1/spend?since=%lld", (long long)from);
    query_put(&path, "by", by);
    int result = talk_show(c, buf_cstr(&path), spend_show);
    buf_done(&path);
    return result;
}

const struct command command_spend = {
    .name = "spend",
    .operands = "",
    .summary = "what was spent, and how the budgets stand",
    .text =
        "Shows what was spent, by key, model, endpoint, run or day (UTC), kept in quarters of an hour. UNKNOWN is the\n"
        "part of it whose outcome a kill left open, counted at what was held; OVERRUN the part above what was held.\n",
    .options = OPT(BY) | OPT(SINCE) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie spend --by model --since 7d", "gridtie spend --by day --json"},
    .run = spend_run,
};
