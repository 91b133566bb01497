// SPDX-License-Identifier: Apache-2.0
// `gridtie rm` and `gridtie cp`: names go, and get another one. Neither copies weights.
#include <stdio.h>
#include "base/limits.h"
#include "cli/talk.h"

// Exit status; prints what went wrong.
static int change(struct talk *t, const char *method, const char *path, const struct buf *body) {
    struct buf answer = BUF_INIT(LIMIT_UP_ERROR_BYTES);
    enum err e = talk_fetch(t, method, path, buf_slice(body), &answer, 60);
    int status = !e && t->status == 200 ? 0 : talk_explain(t, e, buf_slice(&answer));
    buf_done(&answer);
    return status;
}

static int rm_one(struct talk *t, const char *model) {
    struct buf body = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&body);
    json_obj(&w);
    json_kv_cstr(&w, "model", model);
    json_obj_end(&w);
    int status = change(t, "DELETE", "/api/delete", &body);
    if (status == 0)
        (void)printf("removed %s\n", model);
    buf_done(&body);
    return status;
}

static int rm_run(const struct cli *c) {
    struct talk t;
    int status = 0;
    if (c->n_args < 1)
        return cli_fail(2, "which model? 'gridtie rm MODEL…'; 'gridtie list' shows them");
    if (!talk_open(&t, c, NULL))
        return 1;
    for (int i = 0; i < c->n_args; i++)
        status |= rm_one(&t, c->args[i]);
    talk_close(&t);
    return status;
}

static int cp_run(const struct cli *c) {
    struct talk t;
    struct buf body = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&body);
    if (c->n_args < 2)
        return cli_fail(2, "from what to what? 'gridtie cp MODEL NAME'");
    if (!talk_open(&t, c, NULL))
        return 1;
    json_obj(&w);
    json_kv_cstr(&w, "source", c->args[0]);
    json_kv_cstr(&w, "destination", c->args[1]);
    json_obj_end(&w);
    int status = change(&t, "POST", "/api/copy", &body);
    if (status == 0)
        (void)printf("%s is now also %s\n", c->args[0], c->args[1]);
    talk_close(&t);
    buf_done(&body);
    return status;
}

const struct command command_rm = {
    .name = "rm",
    .operands = "MODEL...",
    .summary = "remove models from the store",
    .text =
        "Removes names; their weights go with the last name that uses them. What runs finishes first. Models of Ollama,\n"
        "LM Studio or the Hugging Face cache stay where they are.\n",
    .options = OPTS_DAEMON,
    .most_args = -1,
    .words = {WORDS_MODELS, WORDS_MODELS},
    .examples = {"gridtie rm gemma3:270m", "gridtie rm mine other:8b"},
    .run = rm_run,
};

const struct command command_cp = {
    .name = "cp",
    .operands = "MODEL NAME",
    .summary = "give a model another name",
    .text = "Gives MODEL a second name. Both use the same weights.\n",
    .options = OPTS_DAEMON,
    .most_args = 2,
    .words = {WORDS_MODELS},
    .examples = {"gridtie cp smollm2:135m small", "gridtie cp hf.co/org/repo:Q4_K_M work"},
    .run = cp_run,
};
