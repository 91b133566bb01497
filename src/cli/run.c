// SPDX-License-Identifier: Apache-2.0
// `gridtie run`: asks a model once and prints the answer, starting the daemon first if none runs. Standard input that is
// no terminal is appended to the prompt; without a prompt on a terminal it is a chat.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "cli/chat.h"
#include "cli/converse.h"

#define PROMPT_BYTES (16u << 20)

static bool input_read(struct buf *out) {
    char part[16384];
    ssize_t n;
    while ((n = read(STDIN_FILENO, part, sizeof part)) != 0) {
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            buf_append_mem(out, part, (size_t)n);
    }
    return !out->failed;
}

// The words behind the model's name, then standard input.
static bool prompt_read(const struct cli *c, struct buf *prompt) {
    bool ok = true;
    for (int i = 1; i < c->n_args; i++) {
        buf_append_str(prompt, i > 1 ? " " : "");
        buf_append_str(prompt, c->args[i]);
    }
    if (!isatty(STDIN_FILENO)) {
        struct buf input = BUF_INIT(PROMPT_BYTES);
        ok = input_read(&input);
        if (prompt->len && input.len)
            buf_append_str(prompt, "\n\n");
        buf_append(prompt, buf_slice(&input));
        buf_done(&input);
    }
    return ok && !prompt->failed;
}

static int run_once(struct converse *x) {
    struct buf prompt = BUF_INIT(PROMPT_BYTES);
    int status = 2;
    if (!prompt_read(x->cli, &prompt))
        status = cli_fail(1, "standard input can't be read, or is longer than %u MiB", PROMPT_BYTES >> 20);
    else if (slice_trim(buf_slice(&prompt)).n == 0)
        status = cli_fail(2, "there is no prompt: give one behind the model's name or on standard input");
    else
        status = converse_say(x, buf_slice(&prompt));
    buf_done(&prompt);
    return status;
}

static int run_run(const struct cli *c) {
    static struct converse x;
    int status;
    if (c->n_args < 1)
        return cli_fail(2, "which model? 'gridtie run MODEL [PROMPT…]'; 'gridtie list' shows them");
    if (!converse_open(&x, c, c->args[0], &status))
        return status;
    status = c->n_args > 1 || !isatty(STDIN_FILENO) ? run_once(&x) : chat_loop(&x);
    converse_close(&x);
    return status;
}

const struct command command_run = {
    .name = "run",
    .operands = "MODEL [PROMPT...]",
    .summary = "ask a model, and start the daemon if none runs",
    .text =
        "Asks MODEL and prints the answer as it comes. Standard input that is no terminal is appended to the prompt.\n"
        "Without a prompt on a terminal it is 'gridtie chat MODEL'. Ctrl-C stops the answer.\n",
    .options = OPT(SYSTEM) | OPT(IMAGE) | OPT(JSON_SCHEMA) | OPT(VERBOSE) | OPTS_DAEMON,
    .most_args = -1,
    .words = {WORDS_MODELS},
    .examples = {"gridtie run smollm2:135m \"Why is the sky blue?\"",
                 "gridtie run groq/llama-3.3-70b --verbose \"Sum this up\" <notes.txt"},
    .run = run_run,
};
