// SPDX-License-Identifier: Apache-2.0
// `gridtie chat`: a conversation with line editing. A line is a question, three double quotes open one of many lines, and
// a line that starts with / is for the chat itself: words[] lists them. A word that fails says so and changes nothing.
// Saved chats are JSON files; a plain name is kept in the state folder.
#include "cli/chat.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fs.h"
#include "cli/lines.h"
#include "cli/table.h"
#include "cli/why.h"

#define QUESTION_BYTES (16u << 20)
#define QUOTES "\"\"\""

struct chat {
    struct converse *x;
    struct lines *lines;
    struct buf question; // of many lines, so far
    struct buf models;   // names, a NUL behind each; asked for once
    bool quoting, ends;
    int status;
};

struct word {
    const char *name, *takes, *text;
    void (*does)(struct chat *c, struct slice rest);
};
static const struct word words[];

// ---- what the words do

static void do_help(struct chat *c, struct slice rest) {
    (void)c;
    (void)rest;
    for (const struct word *w = words; w->name; w++) {
        char left[48];
        (void)snprintf(left, sizeof left, "%s %s", w->name, w->takes);
        (void)fprintf(stderr, "  %-24s %s\n", left, w->text);
    }
    (void)fputs("  " QUOTES "                      open and close a question of many lines\n"
                "  Ctrl-C                   stop the answer, or drop the line\n",
                stderr);
}

static void do_model(struct chat *c, struct slice rest) {
    if (rest.n && converse_model(c->x, rest))
        (void)fprintf(stderr, "the next question goes to %s; what was said stays\n", c->x->model);
    else if (!rest.n)
        (void)fprintf(stderr, "%s\n", c->x->model);
}

static void do_system(struct chat *c, struct slice rest) {
    buf_clear(&c->x->system);
    buf_append(&c->x->system, rest);
    (void)fputs(rest.n ? "instructions are set\n" : "there are no instructions now\n", stderr);
}

static void do_image(struct chat *c, struct slice rest) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%.*s", SLICE_FMT(rest));
    if (rest.n && rest.n < sizeof path && converse_image(c->x, path))
        (void)fprintf(stderr, "%s goes along with the next question\n", path);
    else if (!rest.n)
        (void)cli_fail(2, "which file? /image FILE");
}

static void settings_show(const struct converse *x) {
    for (enum setting i = 0; i < SETTING_COUNT; i++)
        (void)fprintf(stderr, "  %-18s %s\n", converse_setting_name(i), x->set[i][0] ? x->set[i] : "-");
    (void)fprintf(stderr, "  %-18s %s\n", "verbose", x->verbose ? "on" : "off");
}

static void verbose_set(struct converse *x, struct slice value) {
    if (slice_is(value, "on") || slice_is(value, "off"))
        x->verbose = value.n == 2;
    else
        (void)cli_fail(2, "verbose takes on or off");
}

static void do_set(struct chat *c, struct slice rest) {
    struct slice name = slice_split(&rest, ' '), value = slice_trim(rest);
    if (!name.n) {
        settings_show(c->x);
        return;
    }
    if (slice_is(name, "verbose")) {
        verbose_set(c->x, value);
        return;
    }
    for (enum setting i = 0; i < SETTING_COUNT; i++) {
        if (!slice_is(name, converse_setting_name(i)))
            continue;
        if (converse_set(c->x, i, value))
            (void)fprintf(stderr, "%s is %s\n", converse_setting_name(i), value.n ? c->x->set[i] : "not set");
        return;
    }
    (void)cli_fail(2, "there is no setting '%.*s'; /set shows them", SLICE_FMT(name));
}

// A name without a slash stands in the state folder. False, and the error printed: none was given, or it is too long.
static bool path_of(struct slice name, const char *word, char *ret, size_t room) {
    struct buf path = BUF_INIT(room - 1);
    bool plain = name.n && !memchr(name.p, '/', name.n) && name.p[0] != '.';
    if (plain) {
        fs_data_dir(&path);
        buf_append_str(&path, "/chats");
        if (fs_mkdirs(buf_cstr(&path), 0700) != ERR_OK)
            plain = false;
        buf_append_char(&path, '/');
    }
    buf_append(&path, name);
    if (plain)
        buf_append_str(&path, ".json");
    bool ok = name.n && !path.failed;
    if (ok)
        (void)snprintf(ret, room, "%s", buf_cstr(&path));
    else
        (void)cli_fail(2, "%s wants a name, or a file with its folder", word);
    buf_done(&path);
    return ok;
}

static void do_save(struct chat *c, struct slice rest) {
    char path[4096];
    if (path_of(rest, "/save", path, sizeof path) && converse_save(c->x, path))
        (void)fprintf(stderr, "saved as %s\n", path);
}

static void do_load(struct chat *c, struct slice rest) {
    char path[4096];
    if (path_of(rest, "/load", path, sizeof path) && converse_load(c->x, path))
        (void)fprintf(stderr, "%s goes on, with %s\n", path, c->x->model);
}

static void do_why(struct chat *c, struct slice rest) {
    char path[160];
    struct buf text = BUF_INIT(1u << 20);
    (void)rest;
    if (!c->x->id[0]) {
        (void)cli_fail(1, "nothing was asked yet");
        return;
    }
    (void)snprintf(path, sizeof path, "/gridtie/v1/why/%s", c->x->id);
    yyjson_val *root = talk_ask(&c->x->talk, path, &text);
    if (root)
        why_show(&c->x->talk.arena, root);
    (void)fflush(stdout);
    buf_done(&text);
}

static void do_clear(struct chat *c, struct slice rest) {
    (void)rest;
    converse_clear(c->x);
    (void)fputs("all that was said is forgotten; the instructions stay\n", stderr);
}

static void do_bye(struct chat *c, struct slice rest) {
    (void)rest;
    c->ends = true;
}

static const struct word words[] = {
    {"/model", "[NAME]", "which model answers, or let another one", do_model},
    {"/system", "[TEXT]", "the instructions that stand before all", do_system},
    {"/image", "FILE", "an image that goes along with the next question", do_image},
    {"/set", "[NAME [VALUE]]", "temperature, max_tokens, … or verbose on; without a value as it was", do_set},
    {"/save", "NAME|FILE", "keep the chat", do_save},
    {"/load", "NAME|FILE", "go on with a chat that was kept", do_load},
    {"/why", "", "where the last answer came from, and why", do_why},
    {"/clear", "", "forget what was said", do_clear},
    {"/help", "", "this", do_help},
    {"/bye", "", "end (or Ctrl-D)", do_bye},
    {0},
};

static void word_do(struct chat *c, struct slice line) {
    struct slice rest = line, name = slice_split(&rest, ' ');
    const char *best = "/help";
    unsigned distance = 4;
    for (const struct word *w = words; w->name; w++) {
        if (slice_is(name, w->name)) {
            w->does(c, slice_trim(rest));
            return;
        }
        unsigned d = slice_distance(name, slice_str(w->name));
        if (d < distance) {
            distance = d;
            best = w->name;
        }
    }
    (void)cli_fail(2, "there is no %.*s; did you mean %s? (a question may start with a space)", SLICE_FMT(name), best);
}

// ---- completion

static void models_ask(struct chat *c) {
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct json_doc d;
    struct json_error why;
    struct arena a;
    size_t i, n;
    yyjson_val *m;
    arena_init(&a, LIMIT_UP_BODY_BYTES * 4, 0);
    if (talk_fetch(&c->x->talk, "GET", "/gridtie/v1/models", SLICE_NONE, &text, 2) == ERR_OK &&
        json_read(&a, buf_slice(&text), &d, &why) == ERR_OK) {
        yyjson_arr_foreach(yyjson_obj_get(yyjson_doc_get_root(d.doc), "models"), i, n, m) {
            buf_append(&c->models, json_get_str(m, "name"));
            buf_append_char(&c->models, 0);
        }
    }
    arena_done(&a);
    buf_done(&text);
}

static void candidates(void *ctx, struct slice typed, void (*offer)(void *to, const char *word), void *to) {
    struct chat *c = ctx;
    if (slice_starts(typed, "/set ")) {
        for (enum setting i = 0; i < SETTING_COUNT; i++)
            offer(to, converse_setting_name(i));
        offer(to, "verbose");
    } else if (slice_starts(typed, "/model ")) {
        if (!c->models.len)
            models_ask(c);
        for (const char *p = c->models.p, *end = p + c->models.len; p && p < end; p += strlen(p) + 1)
            offer(to, p);
    } else if (slice_starts(typed, "/") && !memchr(typed.p, ' ', typed.n)) {
        for (const struct word *w = words; w->name; w++)
            offer(to, w->name);
    }
}

// ---- the loop

static void question_ask(struct chat *c, struct slice question) {
    if (slice_trim(question).n)
        c->status = converse_say(c->x, question);
}

// A line inside quotes, or the one that opens them.
static void quoted_take(struct chat *c, struct slice line) {
    size_t quotes = sizeof QUOTES - 1;
    bool closes = line.n >= quotes && memcmp(line.p + line.n - quotes, QUOTES, quotes) == 0;
    buf_append(&c->question, closes ? slice_first(line, line.n - quotes) : line);
    c->quoting = !closes;
    if (!closes) {
        buf_append_char(&c->question, '\n');
        return;
    }
    if (c->question.failed)
        (void)cli_fail(1, "a question has at most %u MiB", QUESTION_BYTES >> 20);
    else
        question_ask(c, buf_slice(&c->question));
    buf_clear(&c->question);
}

static void line_take(struct chat *c, struct slice line) {
    if (c->quoting)
        quoted_take(c, line);
    else if (slice_starts(slice_trim(line), QUOTES))
        quoted_take(c, slice_from(slice_trim(line), sizeof QUOTES - 1));
    else if (slice_starts(line, "/"))
        word_do(c, slice_trim(line));
    else
        question_ask(c, slice_trim(line));
}

static const char *prompt_of(const struct chat *c) {
    if (c->quoting)
        return "... ";
    return colour_on(COLOUR_BOLD)[0] ? "\1\033[1m\1>>> \1\033[0m\1" : ">>> ";
}

int chat_loop(struct converse *x) {
    struct chat c = {.x = x, .question = BUF_INIT(QUESTION_BYTES), .models = BUF_INIT(LIMIT_UP_BODY_BYTES)};
    struct buf history = BUF_INIT(8192);
    struct slice line;
    bool person = isatty(STDIN_FILENO) && x->err_is_terminal;
    fs_data_dir(&history);
    (void)!fs_mkdirs(buf_cstr(&history), 0700); // without it there is no history, which is no reason not to talk
    buf_append_str(&history, "/chat-history");
    c.lines = lines_open(buf_cstr(&history), candidates, &c);
    if (person)
        (void)fprintf(stderr, "%s: a question a line; /help says what else. Ctrl-C stops an answer, Ctrl-D ends.\n",
                      x->model);
    while (!c.ends) {
        enum line_kind kind = lines_next(c.lines, prompt_of(&c), &line);
        if (kind == LINE_END)
            break;
        if (kind == LINE_TEXT)
            line_take(&c, line);
        c.quoting = c.quoting && kind == LINE_TEXT;
        if (!c.quoting)
            buf_clear(&c.question);
    }
    if (person && !c.ends)
        (void)fputc('\n', stderr);
    lines_close(c.lines);
    buf_done(&history);
    buf_done(&c.models);
    buf_done(&c.question);
    return person || c.status == 130 ? 0 : c.status;
}

static int chat_run(const struct cli *c) {
    static struct converse x;
    int status;
    if (!converse_open(&x, c, c->n_args ? c->args[0] : NULL, &status))
        return status;
    status = chat_loop(&x);
    converse_close(&x);
    return status;
}

const struct command command_chat = {
    .name = "chat",
    .operands = "[MODEL]",
    .summary = "talk with a model, a question a line",
    .text =
        "A conversation with MODEL, by default the first that 'gridtie list' shows. A line is a question; \"\"\" opens and\n"
        "closes one of many lines. /help lists what else can be typed: another model, instructions, images, settings,\n"
        "saving and loading, and why the last answer came from where it did. Ctrl-C stops the answer and keeps the chat.\n",
    .options = OPT(SYSTEM) | OPT(IMAGE) | OPT(JSON_SCHEMA) | OPT(VERBOSE) | OPTS_DAEMON,
    .most_args = 1,
    .words = {WORDS_MODELS},
    .examples = {"gridtie chat", "gridtie chat smollm2:135m --system \"Answer in one sentence.\""},
    .run = chat_run,
};
