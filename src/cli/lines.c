// SPDX-License-Identifier: Apache-2.0
// Line editing by libedit: arrows, Emacs or vi keys as ~/.editrc says, a history that lasts. Ctrl-C is a key here (the
// terminal's own signal is off while a line is edited), so that it drops the line and not the chat; while an answer comes
// the terminal is as it was, and Ctrl-C is a signal again. Tab completes the last word.
#include "cli/lines.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>
#include "base/mem.h"

#define HISTORY_LINES 1000
#define OFFERS_MAX 64
#define WORD_BYTES 256

struct lines {
    EditLine *el; // NULL: no terminal
    History *history;
    char *history_path;
    void (*candidates)(void *ctx, struct slice typed, void (*offer)(void *to, const char *word), void *to);
    void *ctx;
    const char *prompt;
    bool interrupted;
    char *plain; // getline's
    size_t plain_room;
};

// ---- keys

static const char *prompt_text(EditLine *el) {
    struct lines *l = NULL;
    (void)el_get(el, EL_CLIENTDATA, &l);
    return l->prompt;
}
// libedit's type has no const; it only reads.
static char *prompt_give(EditLine *el) {
    union {
        const char *in;
        char *out;
    } u = {prompt_text(el)};
    return u.out;
}

static unsigned char on_interrupt(EditLine *el, wint_t key) {
    struct lines *l = NULL;
    const LineInfo *at = el_line(el);
    (void)key;
    (void)el_get(el, EL_CLIENTDATA, &l);
    (void)el_cursor(el, (int)(at->lastchar - at->cursor));
    el_deletestr(el, (int)(at->lastchar - at->buffer));
    l->interrupted = true;
    (void)fputs("^C\n", stderr);
    return CC_NEWLINE;
}

struct offers {
    struct slice begun; // the word under the cursor so far
    char v[OFFERS_MAX][WORD_BYTES];
    size_t n;
};

static void offer_take(void *to, const char *word) {
    struct offers *o = to;
    if (o->n == OFFERS_MAX || strlen(word) >= WORD_BYTES ||
        strncmp(word, o->begun.p ? o->begun.p : "", o->begun.n) != 0)
        return;
    (void)snprintf(o->v[o->n++], WORD_BYTES, "%s", word);
}

// How much all offers have in common.
static size_t offers_common(const struct offers *o) {
    size_t n = strlen(o->v[0]);
    for (size_t i = 1; i < o->n; i++) {
        size_t same = 0;
        while (same < n && o->v[i][same] == o->v[0][same])
            same++;
        n = same;
    }
    return n;
}

static void offers_show(const struct offers *o) {
    (void)fputc('\n', stderr);
    for (size_t i = 0; i < o->n; i++)
        (void)fprintf(stderr, "%s%s", o->v[i], i + 1 < o->n ? "  " : "\n");
}

static unsigned char on_tab(EditLine *el, wint_t key) {
    static struct offers o;
    struct lines *l = NULL;
    char more[WORD_BYTES + 1];
    const LineInfo *at = el_line(el);
    struct slice typed = slice_of(at->buffer, (size_t)(at->cursor - at->buffer));
    size_t start = typed.n;
    (void)key;
    (void)el_get(el, EL_CLIENTDATA, &l);
    while (start && typed.p[start - 1] != ' ')
        start--;
    o.begun = slice_from(typed, start);
    o.n = 0;
    if (l->candidates)
        l->candidates(l->ctx, typed, offer_take, &o);
    size_t common = o.n ? offers_common(&o) : 0;
    if (o.n == 0)
        return CC_ERROR;
    if (common <= o.begun.n && o.n > 1) {
        offers_show(&o);
        return CC_REDISPLAY;
    }
    (void)snprintf(more, sizeof more, "%.*s%s", (int)(common - o.begun.n), o.v[0] + o.begun.n, o.n == 1 ? " " : "");
    return el_insertstr(el, more) == 0 ? CC_REFRESH : CC_ERROR;
}

// ---- open and close

static void history_open(struct lines *l) {
    HistEvent ev;
    l->history = history_init();
    if (!l->history)
        return;
    (void)history(l->history, &ev, H_SETSIZE, HISTORY_LINES);
    (void)history(l->history, &ev, H_SETUNIQUE, 1);
    if (l->history_path)
        (void)history(l->history, &ev, H_LOAD, l->history_path); // none yet is fine
    (void)el_set(l->el, EL_HIST, history, l->history);
}

static void editor_open(struct lines *l) {
    (void)setlocale(LC_CTYPE, "");
    l->el = el_init("gridtie", stdin, stderr, stderr);
    if (!l->el)
        return;
    (void)el_set(l->el, EL_CLIENTDATA, l);
    (void)el_set(l->el, EL_PROMPT_ESC, prompt_give, '\1');
    (void)el_set(l->el, EL_EDITOR, "emacs");
    (void)el_wset(l->el, EL_ADDFN, L"gridtie-interrupt", L"drop the line", on_interrupt); // el_set would leak the names
    (void)el_wset(l->el, EL_ADDFN, L"gridtie-complete", L"complete the word", on_tab);
    (void)el_set(l->el, EL_BIND, "^C", "gridtie-interrupt", NULL);
    // A Ctrl-D that was typed while an answer came: the terminal has made a NUL of it.
    (void)el_set(l->el, EL_BIND, "^@", "em-delete-or-list", NULL);
    (void)el_set(l->el, EL_BIND, "^I", "gridtie-complete", NULL);
    (void)el_set(l->el, EL_SETTY, "-d", "-isig", NULL);
    history_open(l);
    (void)el_source(l->el, NULL);
}

struct lines *lines_open(const char *history_path,
                         void (*candidates)(void *ctx, struct slice typed, void (*offer)(void *to, const char *word),
                                            void *to),
                         void *ctx) {
    struct lines *l = mem_zalloc(sizeof *l);
    if (!l)
        abort(); // a fresh process without memory for this has nothing left to say
    l->candidates = candidates;
    l->ctx = ctx;
    l->history_path = history_path ? mem_strdup(history_path) : NULL;
    if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
        editor_open(l);
    return l;
}

void lines_close(struct lines *l) {
    HistEvent ev;
    mode_t mask = umask(077); // what was asked is the owner's to read
    if (l->history && l->history_path)
        (void)history(l->history, &ev, H_SAVE, l->history_path);
    (void)umask(mask);
    if (l->el)
        el_end(l->el);
    if (l->history)
        history_end(l->history);
    free(l->plain);
    mem_free(l->history_path);
    mem_free(l);
}

// ---- a line

static enum line_kind edited_next(struct lines *l, struct slice *ret) {
    int n = 0;
    HistEvent ev;
    const char *text = el_gets(l->el, &n);
    if (!text || n <= 0)
        return LINE_END;
    *ret = slice_of(text, (size_t)n - (text[n - 1] == '\n'));
    if (l->history && slice_trim(*ret).n)
        (void)history(l->history, &ev, H_ENTER, text);
    return LINE_TEXT;
}

enum line_kind lines_next(struct lines *l, const char *prompt, struct slice *ret) {
    l->prompt = prompt;
    l->interrupted = false;
    if (l->el) {
        enum line_kind kind = edited_next(l, ret);
        return l->interrupted ? LINE_INTERRUPTED : kind;
    }
    ssize_t n = getline(&l->plain, &l->plain_room, stdin);
    if (n < 0)
        return LINE_END;
    *ret = slice_of(l->plain, (size_t)n - (n > 0 && l->plain[n - 1] == '\n'));
    return LINE_TEXT;
}
