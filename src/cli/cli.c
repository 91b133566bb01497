// SPDX-License-Identifier: Apache-2.0
// The command line: the list of subcommands, the table of options, and the parser that reads one by the other. Every
// subcommand gets --help for nothing, an unknown word is answered with the nearest known one and exit status 2. No
// option takes a secret: what stands in argv, every user of the machine can read.
#include <stdarg.h>
#include <stdio.h>
#include "base/slice.h"
#include "cli/command.h"

const struct command *const cli_commands[] = {
    &command_serve,   &command_run,       &command_chat,       &command_launch,
    &command_pull,    &command_show,      &command_create,     &command_cp,
    &command_rm,      &command_ps,        &command_list,       &command_endpoints,
    &command_why,     &command_log,       &command_spend,      &command_runs,
    &command_key,     &command_catalogue, &command_audit,      &command_privacy,
    &command_stop,    &command_check,     &command_reload,     &command_sim,
    &command_version, &command_help,      &command_completion, NULL,
};
#define N_COMMANDS (sizeof cli_commands / sizeof cli_commands[0] - 1)

const struct opt_row cli_opts[OPT_COUNT] = {
    [OPT_CONFIG] = {"config", 'c', "FILE", "the config; default: $XDG_CONFIG_HOME/gridtie/gridtie.yaml if it is there",
                    .words = WORDS_FILES},
    [OPT_BACKGROUND] = {"daemon", 0, NULL,
                        "in the background: returns when it answers; its log is in the state folder"},
    [OPT_SYSTEM] = {"system", 's', "TEXT", "instructions that stand before the conversation"},
    [OPT_IMAGE] = {"image", 'i', "FILE", "an image that goes along; may be given more than once", true,
                   .words = WORDS_FILES},
    [OPT_JSON_SCHEMA] = {"json-schema", 0, "FILE", "the answer is JSON that keeps to this schema",
                         .words = WORDS_FILES},
    [OPT_VERBOSE] = {"verbose", 'v', NULL,
                     "afterwards: target, zone, time to the first token, tokens per second, cost"},
    [OPT_LIMIT] = {"limit", 'n', "N", "so many at most, newest first; default 20, at most 1000"},
    [OPT_MODEL] = {"model", 0, "NAME", "the model, as requests name it", .words = WORDS_MODELS},
    [OPT_TARGET] = {"target", 0, "NAME", "only requests that this target answered (endpoint/model)"},
    [OPT_STATUS] = {"status", 0, "ok|failed", "only requests that ended so", .words = "ok failed"},
    [OPT_SINCE] = {"since", 0, "TIME", "only requests since: 30m, 12h, 7d ago, or seconds since 1970"},
    [OPT_BY] = {"by", 0, "WHAT", "key, model, endpoint, run or day; default key",
                .words = "key model endpoint run day"},
    [OPT_KEY] = {"key", 0, "NAME", "the run of this key, where several have one of that id"},
    [OPT_BUDGET] = {"budget", 0, "LIST", "what the new key may spend, as \"5 USD/day, 50 USD/month@Europe/Berlin\""},
    [OPT_END_DAEMON] = {"daemon", 0, NULL, "end the daemon: open streams may finish first"},
    [OPT_REFERENCE] = {"reference", 0, NULL, "print the reference of all settings (Markdown) instead"},
    [OPT_WATCH] = {"watch", 'w', NULL, "again every two seconds, until Ctrl-C"},
    [OPT_OFFLINE] = {"offline", 0, NULL, "open no connection beyond this machine, whatever the config says"},
    [OPT_ZONE] = {"zone", 0, "ZONE", "only what went to this zone: edge, sealed or cloud",
                  .words = "edge sealed cloud"},
    [OPT_FILE] = {"file", 'f', "FILE", "the Modelfile; default: Modelfile in this folder; -: standard input",
                  .words = WORDS_FILES},
    [OPT_QUANTIZE] = {"quantize", 'q', "TYPE", "its weights quantized, as Q4_K_M or Q8_0, by llama-quantize",
                      .words = "Q4_K_M Q4_0 Q5_K_M Q6_K Q8_0"},
    [OPT_MODELFILE] = {"modelfile", 0, NULL, "the Modelfile that makes it, and nothing else"},
    [OPT_JSON] = {"json", 0, NULL, "JSON instead of text"},
    [OPT_URL] = {"url", 0, "URL", "the daemon; default: $GRIDTIE_URL, else the config's first listen address"},
    [OPT_KEY_FILE] = {"key-file", 0, "FILE", "file with the key to show the daemon; default: $GRIDTIE_KEY",
                      .words = WORDS_FILES},
    [OPT_HELP] = {"help", 'h', NULL, "this"},
};

int cli_fail(int status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    (void)fputs("gridtie: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return status;
}

// ---- help

static void print_options(unsigned mask) {
    for (int i = 0; i < OPT_COUNT; i++) {
        const struct opt_row *o = &cli_opts[i];
        char left[64];
        if (!(mask & 1u << i))
            continue;
        (void)snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        (void)printf("  %s%c%s%-20s %s\n", o->letter ? "-" : " ", o->letter ? o->letter : ' ', o->letter ? ", " : "  ",
                     left, o->text);
    }
}

static void print_overview(void) {
    (void)puts("usage: gridtie COMMAND [OPTIONS]\n\n"
               "A switch for AI compute: one address in front of local models, nearby machines and clouds.\n\n"
               "commands:");
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (!cli_commands[i]->hidden)
            (void)printf("  %-10s %s\n", cli_commands[i]->name, cli_commands[i]->summary);
    (void)puts("\nexamples:\n"
               "  gridtie run smollm2:135m \"Why is the sky blue?\"\n"
               "  gridtie COMMAND --help");
}

void cli_print_help(const struct command *of) {
    if (!of) {
        print_overview();
        return;
    }
    (void)printf("usage: gridtie %s%s%s%s\n\n%s\noptions:\n", of->name, of->raw ? "" : " [OPTIONS]",
                 of->operands[0] ? " " : "", of->operands, of->text);
    print_options(of->options | OPT(HELP));
    (void)printf("\nexamples:\n  %s\n  %s\n", of->examples[0], of->examples[1]);
}

// ---- names

static const char *nearest(const char *word, const char *best, const char *candidate, unsigned *distance) {
    unsigned d = slice_distance(slice_str(word), slice_str(candidate));
    if (d >= *distance)
        return best;
    *distance = d;
    return candidate;
}

const struct command *cli_find(const char *name) {
    const char *best = NULL;
    unsigned distance = 4;
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(cli_commands[i]->name, name) == 0)
            return cli_commands[i];
        if (!cli_commands[i]->hidden)
            best = nearest(name, best, cli_commands[i]->name, &distance);
    }
    if (best)
        (void)cli_fail(2, "there is no command '%s'; did you mean '%s'?", name, best);
    else
        (void)cli_fail(2, "there is no command '%s'; 'gridtie help' lists them", name);
    return NULL;
}

static int option_unknown(const struct cli *c, const char *given, struct slice name) {
    const char *best = NULL;
    unsigned distance = 4;
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", (int)(name.n < 60 ? name.n : 60), name.p);
    for (int i = 0; i < OPT_COUNT; i++)
        if ((c->command->options | OPT(HELP)) & 1u << i)
            best = nearest(word, best, cli_opts[i].name, &distance);
    if (best)
        return cli_fail(2, "%s has no option '%s'; did you mean '--%s'?", c->command->name, given, best);
    return cli_fail(2, "%s has no option '%s'; see 'gridtie %s --help'", c->command->name, given, c->command->name);
}

static int option_find(const struct cli *c, struct slice name, char letter) {
    for (int i = 0; i < OPT_COUNT; i++) {
        if (!((c->command->options | OPT(HELP)) & 1u << i))
            continue;
        if (letter ? cli_opts[i].letter == letter : slice_is(name, cli_opts[i].name))
            return i;
    }
    return -1;
}

// ---- reading

// argv[*at] starts with '-'. Moves *at on where the value is a word of its own. 0, or the exit status.
static int option_read(struct cli *c, int *at) {
    const char *given = c->argv[*at];
    bool is_long = given[1] == '-';
    struct slice rest = slice_str(given + (is_long ? 2 : 1));
    struct slice name = is_long ? slice_split(&rest, '=') : slice_first(rest, 1);
    int o = option_find(c, name, is_long ? 0 : given[1]);
    if (o < 0)
        return option_unknown(c, given, name);
    const char *value = is_long ? rest.p : rest.n > 1 ? rest.p + 1 : NULL;
    if (!cli_opts[o].value) {
        c->value[o] = "";
        return value ? cli_fail(2, "--%s takes no value", cli_opts[o].name) : 0;
    }
    if (!value && *at + 1 < c->argc)
        value = c->argv[++*at];
    if (!value)
        return cli_fail(2, "--%s needs a value: --%s %s", cli_opts[o].name, cli_opts[o].name, cli_opts[o].value);
    c->value[o] = value;
    if (cli_opts[o].repeats && c->n_repeated == CLI_REPEATED_MAX)
        return cli_fail(2, "--%s can be given %d times at most", cli_opts[o].name, CLI_REPEATED_MAX);
    if (cli_opts[o].repeats)
        c->repeated[c->n_repeated++] = value;
    return 0;
}

static int line_read(struct cli *c) {
    bool only_args = false;
    for (int i = 1; i < c->argc; i++) {
        char *word = c->argv[i];
        int status = 0;
        if (!only_args && strcmp(word, "--") == 0)
            only_args = true;
        else if (!only_args && word[0] == '-' && word[1])
            status = option_read(c, &i);
        else
            c->args[c->n_args++] = word;
        if (status)
            return status;
    }
    if (c->command->most_args >= 0 && c->n_args > c->command->most_args && !c->value[OPT_HELP])
        return cli_fail(2, "%s does not take '%s'; see 'gridtie %s --help'", c->command->name,
                        c->args[c->command->most_args], c->command->name);
    return 0;
}

static int command_start(struct cli *c) {
    if (c->command->raw)
        return c->command->run(c);
    // Operands are gathered at the front of argv: reading is always ahead of writing.
    c->args = c->argv + 1;
    int status = line_read(c);
    if (status)
        return status;
    if (!c->value[OPT_HELP])
        return c->command->run(c);
    cli_print_help(c->command);
    return 0;
}

int cli_main(int argc, char **argv, const struct cli_rooms *rooms) {
    struct cli c = {.rooms = rooms, .argc = argc - 1, .argv = argv + 1};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cli_print_help(NULL);
        return 0;
    }
    bool version = strcmp(argv[1], "--version") == 0;
    c.command = version ? &command_version : cli_find(argv[1]);
    return c.command ? command_start(&c) : 2;
}
