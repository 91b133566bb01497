// SPDX-License-Identifier: Apache-2.0
// `gridtie list`: every model that a request can go to, and what the store takes of the disk.
#include <stdio.h>
#include "base/limits.h"
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

static void unfinished_show(struct arena *a, yyjson_val *root) {
    yyjson_val *list = yyjson_obj_get(root, "unfinished"), *one;
    int64_t free_bytes = json_get_int(root, "free_bytes", 0), bytes = json_get_int(root, "bytes", 0);
    size_t i, n;
    if (bytes > 0)
        (void)printf("\nthe store takes %s of the disk, %s are left\n", text_bytes(a, bytes),
                     text_bytes(a, free_bytes));
    yyjson_arr_foreach(list, i, n, one) {
        const char *name = text_plain(a, json_get_str(one, "name"));
        const char *size = text_bytes(a, json_get_int(one, "bytes", 0));
        if (yyjson_is_true(yyjson_obj_get(one, "running")))
            (void)printf("%s is being pulled: %s so far\n", name[0] ? name : "something", size);
        else if (name[0])
            (void)printf("%s was pulled in part, %s: `gridtie pull %s` goes on, `gridtie rm %s` frees it\n", name, size,
                         text_plain(a, json_get_str(one, "source")), name);
        else
            (void)printf("%s of a pull that was cut: it goes when it is a week old\n", size);
    }
}

// Behind the table, for those who own the store; nobody else's answer fails for it.
static void store_look(struct talk *t) {
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct json_doc doc;
    struct json_error why;
    enum err e = talk_fetch(t, "GET", "/gridtie/v1/store", SLICE_NONE, &text, 10);
    if (!e && t->status == 200 && json_read(&t->arena, buf_slice(&text), &doc, &why) == ERR_OK)
        unfinished_show(&t->arena, yyjson_doc_get_root(doc.doc));
    buf_done(&text);
}

static int list_run(const struct cli *c) {
    struct talk t;
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    if (!talk_open(&t, c, NULL))
        return 1;
    yyjson_val *root = talk_ask(&t, "/gridtie/v1/models", &text);
    if (root && c->value[OPT_JSON]) {
        (void)printf("%.*s\n", SLICE_FMT(slice_trim(buf_slice(&text))));
    } else if (root) {
        list_show(&t.arena, root);
        store_look(&t);
    }
    talk_close(&t);
    buf_done(&text);
    return root ? 0 : 1;
}

const struct command command_list = {
    .name = "list",
    .operands = "",
    .summary = "the models that requests can go to",
    .text = "Shows every model that the daemon knows, local ones first, with zone, context and price; behind them\n"
            "what the store takes of the disk, and pulls that were cut.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie list", "gridtie list --json"},
    .run = list_run,
};
