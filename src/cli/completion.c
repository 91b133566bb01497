// SPDX-License-Identifier: Apache-2.0
// `gridtie completion bash|zsh|fish`: prints what completes command lines in that shell, all of it from the tables of
// commands and options, so that it is never older than the program. `make install` puts it where shells look. The scripts
// ask `gridtie completion models` for names: a line each, and silence where no daemon answers.
#include <stdio.h>
#include "base/limits.h"
#include "base/slice.h"
#include "cli/talk.h"

#define MODELS_SECONDS 2 // somebody waits at a prompt

// ---- words

static bool next_word(struct slice *rest, struct slice *ret) {
    do {
        *ret = slice_split(rest, ' ');
    } while (ret->n == 0 && rest->n);
    return ret->n > 0;
}

static bool has_word(const char *words, const char *word) {
    struct slice rest = slice_str(words), one;
    while (next_word(&rest, &one))
        if (slice_is(one, word))
            return true;
    return false;
}

static void commands_put(void) {
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden)
            (void)printf("%s%s", i ? " " : "", cli_commands[i]->name);
}

// Those that are said as they are; escape stands before each colon.
static void plain_words_put(const char *words, const char *escape) {
    struct slice rest = slice_str(words), one;
    for (bool first = true; next_word(&rest, &one);) {
        if (one.p[0] == '@')
            continue;
        (void)printf("%s", first ? "" : " ");
        for (size_t i = 0; i < one.n; i++)
            (void)printf("%s%c", one.p[i] == ':' ? escape : "", one.p[i]);
        first = false;
    }
    if (has_word(words, WORDS_COMMANDS))
        commands_put();
}

// A text between single quotes; specials get a backslash, the quote what `quote` says.
static void quoted_put(const char *text, const char *specials, const char *quote) {
    (void)putchar('\'');
    for (; *text; text++) {
        if (*text == '\'')
            (void)fputs(quote, stdout);
        else if (strchr(specials, *text))
            (void)printf("\\%c", *text);
        else
            (void)putchar(*text);
    }
    (void)putchar('\'');
}

static bool option_is_of(const struct command *c, int o) {
    return (c->options | (c->raw ? 0 : OPT(HELP))) & 1u << o;
}

// ---- bash

static void bash_options_of(const struct command *c) {
    struct slice rest = slice_str(c->raw_options), one;
    (void)printf("        %s) options=\"", c->name);
    for (int o = 0, n = 0; o < OPT_COUNT; o++)
        if (option_is_of(c, o))
            (void)printf("%s--%s", n++ ? " " : "", cli_opts[o].name);
    for (bool first = true; next_word(&rest, &one); first = false)
        (void)printf("%s--%.*s", first ? "" : " ", SLICE_FMT(one));
    (void)puts("\" ;;");
}

static void bash_words(const char *pattern, const char *words) {
    if (!words)
        return;
    (void)printf("        %s) words=\"", pattern);
    if (has_word(words, WORDS_MODELS))
        (void)printf("$(_gridtie_models)");
    plain_words_put(words, "");
    (void)printf("\"%s ;;\n", has_word(words, WORDS_FILES) ? " files=1" : "");
}

static void bash_values(void) {
    char pattern[64];
    for (int o = 0; o < OPT_COUNT; o++) {
        const struct opt_row *row = &cli_opts[o];
        if (!row->value)
            continue;
        if (row->letter)
            (void)snprintf(pattern, sizeof pattern, "--%s | -%c", row->name, row->letter);
        else
            (void)snprintf(pattern, sizeof pattern, "--%s", row->name);
        bash_words(pattern, row->words);
    }
}

static void bash_operands(void) {
    char pattern[64];
    for (size_t i = 0; cli_commands[i]; i++) {
        const struct command *c = cli_commands[i];
        (void)snprintf(pattern, sizeof pattern, "\"%s 1\"", c->name);
        bash_words(pattern, c->words[0]);
        (void)snprintf(pattern, sizeof pattern, "\"%s \"*", c->name);
        bash_words(pattern, c->words[1]);
    }
}

static void print_bash(void) {
    (void)puts("# SPDX-License-Identifier: Apache-2.0\n"
               "# bash completion for gridtie, printed by `gridtie completion bash`.\n\n"
               "_gridtie_models() {\n"
               "    command gridtie completion models 2>/dev/null\n"
               "}\n\n"
               "_gridtie() {\n"
               "    local line=${COMP_LINE:0:COMP_POINT} given=() options= valued= words= files= at=1 i\n"
               "    read -ra given <<<\"$line\"\n"
               "    [[ $line == *[[:space:]] ]] && given+=(\"\")\n"
               "    local last=$((${#given[@]} - 1))\n"
               "    local word=${given[last]} command=${given[1]}\n"
               "    COMPREPLY=()\n"
               "    if ((last < 2)); then");
    (void)printf("        mapfile -t COMPREPLY < <(compgen -W \"");
    commands_put();
    (void)puts(" --help\" -- \"$word\")\n"
               "        return\n"
               "    fi\n"
               "    case $command in");
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden)
            bash_options_of(cli_commands[i]);
    (void)printf("    esac\n    valued=\"");
    for (int o = 0; o < OPT_COUNT; o++)
        if (cli_opts[o].value && cli_opts[o].letter)
            (void)printf(" --%s -%c", cli_opts[o].name, cli_opts[o].letter);
        else if (cli_opts[o].value)
            (void)printf(" --%s", cli_opts[o].name);
    (void)puts(" \"\n"
               "    for ((i = 2; i < last; i++)); do\n"
               "        if [[ ${given[i]} != -* ]]; then\n"
               "            at=$((at + 1))\n"
               "        elif [[ $valued == *\" ${given[i]} \"* ]]; then\n"
               "            i=$((i + 1))\n"
               "        fi\n"
               "    done\n"
               "    if [[ $valued == *\" ${given[last - 1]} \"* ]]; then\n"
               "        case ${given[last - 1]} in");
    bash_values();
    (void)puts("        esac\n"
               "    elif [[ $word == -* ]]; then\n"
               "        words=$options\n"
               "    else\n"
               "        case \"$command $at\" in");
    bash_operands();
    (void)puts("        esac\n"
               "    fi\n"
               "    mapfile -t COMPREPLY < <(\n"
               "        compgen -W \"$words\" -- \"$word\"\n"
               "        [[ $files ]] && compgen -f -- \"$word\"\n"
               "    )\n"
               "    # A colon ends a word for readline: what stands before it is there already.\n"
               "    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
               "        COMPREPLY=(\"${COMPREPLY[@]#\"${word%:*}:\"}\")\n"
               "    fi\n"
               "}\n"
               "complete -F _gridtie gridtie");
}

// ---- zsh

static void zsh_action(const char *words) {
    if (has_word(words, WORDS_MODELS))
        (void)printf("_gridtie_models");
    else if (has_word(words, WORDS_FILES) && words[0] == '@')
        (void)printf("_files");
    else if (words) {
        (void)printf("(");
        plain_words_put(words, "\\");
        (void)printf(")");
    }
}

static void zsh_option(const struct opt_row *o, const char *dashes, const char *name) {
    char head[256];
    (void)snprintf(head, sizeof head, "%s%s%s[%s]", o->repeats ? "*" : "", dashes, name, o->text);
    (void)printf(" \\\n                ");
    // Inside the brackets a colon is escaped; the value's name and what completes it stand behind, outside the quotes' text.
    quoted_put(head, ":\\", "'\\''");
    if (!o->value)
        return;
    (void)printf("':%s:", o->value);
    zsh_action(o->words);
    (void)printf("'");
}

static void zsh_operand(const char *place, const char *words) {
    if (!words)
        return;
    (void)printf(" \\\n                '%s:%s:", place, has_word(words, WORDS_MODELS) ? "model" : "word");
    zsh_action(words);
    (void)printf("'");
}

static void zsh_command(const struct command *c) {
    struct slice rest = slice_str(c->raw_options), one;
    (void)printf("        %s)\n            _arguments", c->name);
    for (int o = 0; o < OPT_COUNT; o++) {
        char letter[2] = {cli_opts[o].letter, 0};
        if (!option_is_of(c, o))
            continue;
        zsh_option(&cli_opts[o], "--", cli_opts[o].name);
        if (letter[0])
            zsh_option(&cli_opts[o], "-", letter);
    }
    while (next_word(&rest, &one))
        (void)printf(" \\\n                '--%.*s[see gridtie %s --help]'", SLICE_FMT(one), c->name);
    zsh_operand("1", c->words[0]);
    zsh_operand(c->most_args < 0 ? "*" : "2", c->words[1]);
    (void)puts("\n            ;;");
}

static void print_zsh(void) {
    (void)puts("#compdef gridtie\n"
               "# SPDX-License-Identifier: Apache-2.0\n"
               "# zsh completion for gridtie, printed by `gridtie completion zsh`.\n\n"
               "_gridtie_models() {\n"
               "    local -a models\n"
               "    models=(${(f)\"$(command gridtie completion models 2>/dev/null)\"})\n"
               "    compadd -a models\n"
               "}\n\n"
               "_gridtie() {\n"
               "    local -a commands\n"
               "    commands=(");
    for (size_t i = 0; cli_commands[i]; i++) {
        if (cli_commands[i]->hidden)
            continue;
        (void)printf("        %s:", cli_commands[i]->name);
        quoted_put(cli_commands[i]->summary, ":\\", "'\\''");
        (void)puts("");
    }
    (void)puts("    )\n"
               "    if ((CURRENT == 2)); then\n"
               "        _describe 'command' commands\n"
               "        return\n"
               "    fi\n"
               "    local command=${words[2]}\n"
               "    shift words\n"
               "    ((CURRENT--))\n"
               "    case $command in");
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden)
            zsh_command(cli_commands[i]);
    (void)puts("    esac\n"
               "}\n\n"
               "_gridtie \"$@\"");
}

// ---- fish

static void fish_words(const char *words) {
    if (has_word(words, WORDS_FILES))
        (void)printf(" -F");
    if (!words || (words[0] == '@' && has_word(words, WORDS_FILES)))
        return;
    (void)printf(" -a '");
    if (has_word(words, WORDS_MODELS))
        (void)printf("(__gridtie_models)");
    plain_words_put(words, "");
    (void)printf("'");
}

static void fish_option(const struct command *c, const struct opt_row *o) {
    (void)printf("complete -c gridtie -n '__fish_seen_subcommand_from %s' -l %s", c->name, o->name);
    if (o->letter)
        (void)printf(" -s %c", o->letter);
    if (o->value)
        (void)printf(" -r");
    fish_words(o->words);
    (void)printf(" -d ");
    quoted_put(o->text, "\\", "\\'");
    (void)puts("");
}

static void fish_command(const struct command *c) {
    struct slice rest = slice_str(c->raw_options), one;
    (void)puts("");
    for (int o = 0; o < OPT_COUNT; o++)
        if (option_is_of(c, o))
            fish_option(c, &cli_opts[o]);
    while (next_word(&rest, &one))
        (void)printf("complete -c gridtie -n '__fish_seen_subcommand_from %s' -l %.*s\n", c->name, SLICE_FMT(one));
    for (int place = 0; place < 2; place++) {
        if (!c->words[place] || (place && c->words[0] && strcmp(c->words[0], c->words[1]) == 0))
            continue;
        (void)printf("complete -c gridtie -n '__fish_seen_subcommand_from %s'", c->name);
        fish_words(c->words[place]);
        (void)puts("");
    }
}

static void print_fish(void) {
    (void)puts("# SPDX-License-Identifier: Apache-2.0\n"
               "# fish completion for gridtie, printed by `gridtie completion fish`.\n\n"
               "function __gridtie_models\n"
               "    command gridtie completion models 2>/dev/null\n"
               "end\n\n"
               "complete -c gridtie -f");
    for (size_t i = 0; cli_commands[i]; i++) {
        if (cli_commands[i]->hidden)
            continue;
        (void)printf("complete -c gridtie -n __fish_use_subcommand -a %s -d ", cli_commands[i]->name);
        quoted_put(cli_commands[i]->summary, "\\", "\\'");
        (void)puts("");
    }
    for (size_t i = 0; cli_commands[i]; i++)
        if (!cli_commands[i]->hidden)
            fish_command(cli_commands[i]);
}

// ---- names of models

// Shells read them again: a name that somebody else's server made up must not be a command.
static bool name_is_tame(struct slice name) {
    for (size_t i = 0; i < name.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-", name.p[i]) || !name.p[i])
            return false;
    return name.n > 0 && name.p[0] != '-';
}

static int print_models(const struct cli *c) {
    struct talk t;
    struct json_doc doc;
    struct json_error why;
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    yyjson_val *m;
    size_t i, n;
    if (!talk_open(&t, c, NULL))
        return 1;
    enum err e = talk_fetch(&t, "GET", "/api/tags", SLICE_NONE, &text, MODELS_SECONDS);
    if (!e && t.status == 200 && json_read(&t.arena, buf_slice(&text), &doc, &why) == ERR_OK) {
        yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(doc.doc), "models"), i, n, m) {
            struct slice name = json_get_str(m, "name");
            if (name_is_tame(name))
                (void)printf("%.*s\n", SLICE_FMT(name));
        }
    }
    talk_close(&t);
    buf_done(&text);
    return 0;
}

static int completion_run(const struct cli *c) {
    struct slice what = slice_str(c->n_args ? c->args[0] : "");
    if (slice_is(what, "models"))
        return print_models(c);
    if (slice_is(what, "bash"))
        print_bash();
    else if (slice_is(what, "zsh"))
        print_zsh();
    else if (slice_is(what, "fish"))
        print_fish();
    else
        return cli_fail(2, "for which shell? 'gridtie completion bash|zsh|fish'");
    return 0;
}

const struct command command_completion = {
    .name = "completion",
    .operands = "bash|zsh|fish|models",
    .summary = "what completes command lines in a shell",
    .text = "Prints the shell's completions: source <(gridtie completion bash), or put them where the shell looks.\n"
            "models: the names of models that the daemon knows, for those scripts.\n",
    .options = OPTS_DAEMON,
    .most_args = 1,
    .hidden = true,
    .examples = {"source <(gridtie completion bash)",
                 "gridtie completion fish > ~/.config/fish/completions/gridtie.fish"},
    .run = completion_run,
};
