// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H
// A subcommand is a row: its file defines one, cli.c lists them. Options are shared rows too, so that a name means the
// same thing everywhere and --help, the man page and the completions can be compared with one table.
#include <stdbool.h>
#include <stdint.h>
#include "cli/cli.h"

enum opt {
    OPT_CONFIG,
    OPT_BACKGROUND,
    OPT_SYSTEM,
    OPT_IMAGE,
    OPT_JSON_SCHEMA,
    OPT_VERBOSE,
    OPT_LIMIT,
    OPT_MODEL,
    OPT_TARGET,
    OPT_STATUS,
    OPT_SINCE,
    OPT_BY,
    OPT_KEY,
    OPT_BUDGET,
    OPT_END_DAEMON,
    OPT_REFERENCE,
    OPT_WATCH,
    OPT_OFFLINE,
    OPT_ZONE,
    OPT_FILE,
    OPT_QUANTIZE,
    OPT_MODELFILE,
    OPT_JSON,
    OPT_URL,
    OPT_KEY_FILE,
    OPT_HELP,
    OPT_COUNT
};
#define OPT(name) (1u << OPT_##name)
#define OPTS_DAEMON (OPT(URL) | OPT(KEY_FILE)) // of every command that talks to the daemon

#define WORDS_MODELS "@models"
#define WORDS_FILES "@files"
#define WORDS_COMMANDS "@commands"

struct opt_row {
    const char *name;
    char letter;       // 0: none
    const char *value; // what stands for it in --help; NULL: a flag
    const char *text;
    bool repeats;      // its values are in cli.repeated; a command has at most one such option
    const char *words; // what completes its value, as of a command's operands
};
extern const struct opt_row cli_opts[OPT_COUNT];

#define CLI_REPEATED_MAX 16
struct cli { // one call of the program
    const struct cli_rooms *rooms;
    const struct command *command;
    const char *value[OPT_COUNT]; // NULL: not given; "" for those without a value
    char **args;                  // what is no option
    int n_args;
    const char *repeated[CLI_REPEATED_MAX]; // all values of the option that may be given more than once
    int n_repeated;
    int argc; // as it came, from the subcommand's name on
    char **argv;
};

struct command {
    const char *name, *operands, *summary;
    const char *text; // of --help: what it does; whole lines
    unsigned options;
    int most_args; // -1 any
    // What completes its operands, each place's words in a line; the second's go on for those behind it. WORDS_MODELS,
    // WORDS_FILES and WORDS_COMMANDS may stand among the words. NULL: nothing does.
    const char *words[2];
    bool raw;                // reads its own options
    const char *raw_options; // their names in a line, for the completions
    bool hidden;             // for scripts: in no list
    const char *examples[2];
    int (*run)(const struct cli *c);
};

extern const struct command command_serve, command_run, command_chat, command_launch, command_pull, command_show,
    command_create, command_cp, command_rm, command_ps, command_list, command_endpoints, command_why, command_log,
    command_spend, command_runs, command_key, command_catalogue, command_audit, command_privacy, command_stop,
    command_check, command_reload, command_sim, command_version, command_help, command_completion;
// All of them, in the order of the overview; NULL at the end.
extern const struct command *const cli_commands[];

// Prints --help of one command, or with NULL the overview.
void cli_print_help(const struct command *of);
// "gridtie: …" on standard error, and what to do next. Returns status.
int cli_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// NULL: unknown, and the error is printed.
const struct command *cli_find(const char *name);

#endif
