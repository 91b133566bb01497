// SPDX-License-Identifier: Apache-2.0
// `gridtie key`: makes a client's key, lists and revokes those that were made. A new secret is printed on standard output
// once and kept nowhere; everything else goes to standard error, so that it can be put into a file.
#include <stdio.h>
#include "cli/table.h"
#include "cli/talk.h"

static void keys_show(struct arena *a, yyjson_val *root) {
    static const char *const heads[] = {"NAME", "PREFIX", "BUDGETS", "CREATED", "REVOKED", NULL};
    const size_t time = sizeof "2026-01-01T00:00:00" - 1;
    yyjson_val *keys = yyjson_obj_get(root, "keys"), *k;
    struct table t;
    size_t i, n;
    if (yyjson_arr_size(keys) == 0) {
        (void)puts("no key was made yet ('gridtie key add NAME'); those of the config are not listed");
        return;
    }
    table_init(&t, a, heads);
    yyjson_arr_foreach(keys, i, n, k) {
        table_add(&t, json_get_str(k, "name"));
        table_add_str(&t, text_printf(a, "gt-%s", text_plain(a, json_get_str(k, "prefix"))));
        table_add(&t, json_get_str(k, "budgets"));
        table_add(&t, slice_first(json_get_str(k, "created"), time));
        table_add(&t, slice_first(json_get_str(k, "revoked"), time));
    }
    table_print(&t);
}

static int show_secret(struct talk *t, const char *name, struct slice answer) {
    struct json_doc d;
    struct json_error why;
    if (json_read(&t->arena, answer, &d, &why) != ERR_OK)
        return cli_fail(1, "%s answered with something that is not JSON; is a gridtie daemon there?", t->url);
    struct slice secret = json_get_str(yyjson_doc_get_root(d.doc), "secret");
    (void)fprintf(stderr, "the key of '%s', shown this once:\n", name);
    (void)printf("%.*s\n", SLICE_FMT(secret));
    return 0;
}

static int change(const struct cli *c, const char *path, const char *name, bool add) {
    struct talk t;
    struct buf body = BUF_INIT(65536), answer = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&body);
    if (!buf_reserve(&answer, 4096) || !talk_open(&t, c, NULL)) // room first: growing leaves copies behind
        return 1;
    json_obj(&w);
    json_kv_cstr(&w, "name", name);
    if (c->value[OPT_BUDGET])
        json_kv_cstr(&w, "budget", c->value[OPT_BUDGET]);
    json_obj_end(&w);
    enum err e = talk_fetch(&t, "POST", path, buf_slice(&body), &answer, 60);
    int status = 0;
    if (e || t.status != 200)
        status = talk_explain(&t, e, buf_slice(&answer));
    else if (!add)
        (void)printf("revoked %s; what it had under way is ended\n", name);
    else if (c->value[OPT_JSON])
        (void)printf("%.*s\n", SLICE_FMT(buf_slice(&answer)));
    else
        status = show_secret(&t, name, buf_slice(&answer));
    talk_close(&t);
    wipe(answer.p, answer.cap);
    buf_done(&body);
    buf_done(&answer);
    return status;
}

static int key_run(const struct cli *c) {
    const char *verb = c->n_args > 0 ? c->args[0] : "list";
    if (strcmp(verb, "list") == 0 && c->n_args < 2 && !c->value[OPT_BUDGET])
        return talk_show(c, "/gridtie/v1/keys", keys_show);
    if (strcmp(verb, "add") == 0 && c->n_args == 2)
        return change(c, "/gridtie/v1/keys", c->args[1], true);
    if (strcmp(verb, "revoke") == 0 && c->n_args == 2 && !c->value[OPT_BUDGET])
        return change(c, "/gridtie/v1/keys/revoke", c->args[1], false);
    return cli_fail(2, "expected 'gridtie key add NAME [--budget …]', 'gridtie key list' or 'gridtie key revoke NAME'");
}

const struct command command_key = {
    .name = "key",
    .operands = "add|list|revoke [NAME]",
    .summary = "make, list and revoke clients' keys",
    .text =
        "Makes a key and prints its secret, which is shown this once and kept as a keyed hash only. Once there is any key,\n"
        "every request needs one, also on loopback, unless the config says `loopback: owner`.\n",
    .options = OPT(BUDGET) | OPT(JSON) | OPTS_DAEMON,
    .most_args = 2,
    .words = {"add list revoke"},
    .examples = {"gridtie key add ann --budget \"5 USD/day, 50 USD/month@Europe/Berlin\" >ann.key",
                 "gridtie key revoke ann"},
    .run = key_run,
};
