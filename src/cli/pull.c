// SPDX-License-Identifier: Apache-2.0
// `gridtie pull`: the daemon fetches a model; here is its progress. Ctrl-C ends the pull unless somebody else waits for the
// same, and what came is kept. A path is this machine's and is sent whole, since the daemon stands in another folder.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/progress.h"
#include "cli/start.h"

static const char *source_of(struct talk *t, const char *given) {
    bool path = given[0] == '.' || given[0] == '/';
    char *whole = path ? realpath(given, NULL) : NULL;
    const char *own = arena_strdup(&t->arena, whole ? whole : given);
    free(whole);
    return own ? own : given;
}

static int pull_call(struct talk *t, const struct cli *c) {
    struct buf body = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&body);
    json_obj(&w);
    json_kv_cstr(&w, "model", source_of(t, c->args[0]));
    if (c->n_args > 1)
        json_kv_cstr(&w, "as", c->args[1]);
    json_obj_end(&w);
    int status = progress_call(t, c, "/api/pull", buf_slice(&body));
    if (status == 0 && !c->value[OPT_JSON])
        (void)printf("pulled %s\n", c->args[c->n_args > 1]);
    buf_done(&body);
    return status;
}

static int pull_run(const struct cli *c) {
    struct talk t;
    if (c->n_args < 1)
        return cli_fail(2, "which model? 'gridtie pull MODEL'; --help shows where from");
    if (!talk_open(&t, c, NULL))
        return 1;
    int status = daemon_find_or_start(&t) ? pull_call(&t, c) : 1;
    talk_close(&t);
    return status;
}

const struct command command_pull = {
    .name = "pull",
    .operands = "MODEL [NAME]",
    .summary = "fetch a model, and start the daemon if none runs",
    .text =
        "Fetches MODEL into the store: a name of the built-in index (smollm2:135m, gemma3:270m, all-minilm), one that the\n"
        "config's store.registry has, hf.co/ORG/REPO[:QUANT], the https URL of a GGUF file, or a file's path. NAME: what\n"
        "it is called here. A pull that was cut goes on where it stood. Ctrl-C ends it.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 2,
    .words = {"smollm2:135m gemma3:270m all-minilm hf.co/ " WORDS_FILES},
    .examples = {"gridtie pull smollm2:135m",
                 "gridtie pull hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M llama3.2"},
    .run = pull_run,
};
