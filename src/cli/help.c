// SPDX-License-Identifier: Apache-2.0
// `gridtie help [COMMAND]`: the same text as `gridtie COMMAND --help`, for those who look for it here. All of it comes from
// the command's row; nothing is written twice, and nothing here asks the daemon.
#include "cli/command.h"
#include <stddef.h>

static int help_run(const struct cli *c) {
    const struct command *of = c->n_args ? cli_find(c->args[0]) : NULL;
    if (c->n_args && !of)
        return 2;
    cli_print_help(of);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "what a command does, its options, examples",
    .text = "Shows the list of commands, or one command's help.\n",
    .options = 0,
    .most_args = 1,
    .words = {WORDS_COMMANDS},
    .examples = {"gridtie help", "gridtie help run"},
    .run = help_run,
};
