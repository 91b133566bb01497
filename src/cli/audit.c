// SPDX-License-Identifier: Apache-2.0
// `gridtie audit`: the receipts of what left this device, and the proof that none was changed or taken out. The daemon reads
// its files; what is shown is names, numbers and hashes, because nothing else is kept.
#include <stdio.h>
#include "base/clock.h"
#include "base/limits.h"
#include "cli/query.h"
#include "cli/table.h"
#include "cli/talk.h"

static const char *spans_text(struct arena *a, yyjson_val *spans) {
    const char *text = "";
    yyjson_obj_iter it = yyjson_obj_iter_with(spans);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));)
        text = text_printf(a, "%s%s%lld %s", text, text[0] ? ", " : "",
                           (long long)yyjson_get_sint(yyjson_obj_iter_get_val(key)), yyjson_get_str(key));
    return text;
}

static struct slice time_text(struct arena *a, int64_t wall_us) {
    struct buf b = BUF_INIT(64);
    clock_append_rfc3339(&b, wall_us);
    struct slice s = slice_first(arena_copy(a, buf_slice(&b)), sizeof "2026-01-01T00:00:00" - 1);
    buf_done(&b);
    return s;
}

static void list_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {">SEQ", "TIME",   "ZONE",     "TARGET", "KEY",
                                        "RULE", ">BYTES", "REPLACED", "ID",     NULL};
    yyjson_val *rows = yyjson_obj_get(root, "receipts"), *x;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(rows) == 0) {
        (void)puts("no receipt fits: nothing of that kind left this device");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(rows, i, n, x) {
        table_add_str(&t, text_count(a, yyjson_obj_get(x, "seq")));
        table_add(&t, time_text(a, json_get_int(x, "wall_us", 0)));
        table_add(&t, json_get_str(x, "zone"));
        table_add(&t, json_get_str(x, "target"));
        table_add(&t, json_get_str(x, "key"));
        table_add(&t, json_get_str(x, "rule"));
        table_add_str(&t, text_count(a, yyjson_obj_get(x, "bytes")));
        table_add_str(&t, spans_text(a, yyjson_obj_get(x, "spans")));
        table_add(&t, json_get_str(x, "exchange"));
    }
    table_print(&t);
}

static void head_show(struct arena *a, yyjson_val *root) {
    (void)printf("%lld:%s\n", (long long)json_get_int(root, "seq", 0), text_plain(a, json_get_str(root, "hash")));
}

static int verify_show(struct arena *a, yyjson_val *root) {
    yyjson_val *problems = yyjson_obj_get(root, "problems"), *p;
    size_t i, n;
    long long receipts = (long long)json_get_int(root, "receipts", 0);
    yyjson_arr_foreach(problems, i, n, p) {
        (void)printf("%s%s%s\n", colour_on(COLOUR_RED), text_plain(a, json_str(p)), colour_off());
    }
    if (!yyjson_is_true(yyjson_obj_get(root, "ok")))
        return 1;
    (void)printf("%lld receipts, from %lld to %lld: none was changed, taken out or put elsewhere\n", receipts,
                 (long long)json_get_int(root, "first", 0), (long long)json_get_int(root, "last", 0));
    return 0;
}

static int audit_list(const struct cli *c) {
    struct buf path = BUF_INIT(8192);
    const char *since = c->value[OPT_SINCE], *limit = c->value[OPT_LIMIT] ? c->value[OPT_LIMIT] : "100";
    int64_t from = since ? query_since(slice_str(since)) : 0;
    uint64_t n;
    if (from < 0)
        return cli_fail(2, "--since %s: expected 30m, 12h, 7d, or seconds since 1970", since);
    if (!slice_u64(slice_str(limit), &n) || n < 1 || n > 1000000)
        return cli_fail(2, "--limit %s: expected a number from 1 to 1000000", limit);
    buf_printf(&path, "/gridtie/v1/audit?since=%lld&limit=%llu", (long long)from, (unsigned long long)n);
    query_put(&path, "zone", c->value[OPT_ZONE]);
    int result = talk_show(c, buf_cstr(&path), list_show);
    buf_done(&path);
    return result;
}

// Its exit status says whether the proof holds, also with --json.
static int audit_verify(const struct cli *c, const char *head) {
    struct talk t;
    struct buf path = BUF_INIT(8192), text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    if (!talk_open(&t, c, NULL))
        return 1;
    buf_append_str(&path, "/gridtie/v1/audit/verify?");
    query_put(&path, "head", head);
    yyjson_val *root = talk_ask(&t, buf_cstr(&path), &text);
    int status = 1;
    if (root && c->value[OPT_JSON]) {
        (void)printf("%.*s\n", SLICE_FMT(buf_slice(&text)));
        status = yyjson_is_true(yyjson_obj_get(root, "ok")) ? 0 : 1;
    } else if (root) {
        status = verify_show(&t.arena, root);
    }
    talk_close(&t);
    buf_done(&path);
    buf_done(&text);
    return status;
}

static int audit_run(const struct cli *c) {
    const char *what = c->n_args ? c->args[0] : "list";
    if (c->n_args == 0)
        return audit_list(c);
    if (strcmp(what, "head") == 0 && c->n_args == 1)
        return talk_show(c, "/gridtie/v1/audit/head", head_show);
    if (strcmp(what, "verify") == 0)
        return audit_verify(c, c->n_args > 1 ? c->args[1] : NULL);
    return cli_fail(2, "audit knows verify and head, not '%s'; without a word it lists", what);
}

const struct command command_audit = {
    .name = "audit",
    .operands = "[verify [HEAD]|head]",
    .summary = "receipts of what left this device",
    .text =
        "Lists the receipts: one for each attempt that left this device, written before its first byte did, newest\n"
        "last. `verify` proves that none was changed, taken out or put elsewhere; `head` prints the end of the chain:\n"
        "keep it elsewhere and give it to `verify` later, and a cut at the end shows as well. No content is kept.\n",
    .options = OPT(SINCE) | OPT(ZONE) | OPT(LIMIT) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 2,
    .words = {"verify head"},
    .examples = {"gridtie audit --since 24h --zone cloud", "gridtie audit verify"},
    .run = audit_run,
};
