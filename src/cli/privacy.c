// SPDX-License-Identifier: Apache-2.0
// `gridtie privacy`: what detection finds in a file, and what of it would leave for a target that gets pseudonyms. The file
// goes to the daemon on this machine and nowhere else; the daemon has the compiled patterns and the operator's words.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/limits.h"
#include "cli/table.h"
#include "cli/talk.h"

#define LOOK_SECONDS 120

static bool input_read(const char *path, struct buf *out) {
    char block[65536];
    ssize_t n;
    if (strcmp(path, "-") != 0)
        return fs_read_file(path, LIMIT_BODY_BYTES, out) == ERR_OK;
    while ((n = read(STDIN_FILENO, block, sizeof block)) > 0)
        buf_append_mem(out, block, (size_t)n);
    return n == 0 && !out->failed;
}

// Line and column of a byte, from 1.
static void place_of(struct slice text, int64_t at, long *ret_line, long *ret_column) {
    *ret_line = *ret_column = 1;
    for (size_t i = 0; i < text.n && (int64_t)i < at; i++) {
        bool ends = text.p[i] == '\n';
        *ret_line += ends;
        *ret_column = ends ? 1 : *ret_column + 1;
    }
}

static void scan_show(struct arena *a, yyjson_val *root, const char *path, struct slice text) {
    yyjson_val *rows = yyjson_obj_get(root, "found"), *x;
    size_t i, n;
    if (yyjson_arr_size(rows) == 0)
        (void)puts("nothing was found");
    yyjson_arr_foreach(rows, i, n, x) {
        long line, column;
        place_of(text, json_get_int(x, "at", 0), &line, &column);
        (void)printf("%s:%ld:%ld: %s%s%s %s\n", path, line, column, colour_on(COLOUR_BOLD),
                     text_plain(a, json_get_str(x, "entity")), colour_off(), text_plain(a, json_get_str(x, "text")));
    }
}

static int look(const struct cli *c, const char *path, bool scan) {
    struct talk t;
    struct buf text = BUF_INIT(LIMIT_BODY_BYTES), answer = BUF_INIT(8 * (size_t)LIMIT_BODY_BYTES);
    int status = 1;
    if (!input_read(path, &text)) {
        (void)cli_fail(1, "%s can't be read: %s", path, text.failed ? "it is too large" : strerror(errno));
    } else if (talk_open(&t, c, NULL)) {
        yyjson_val *root = talk_post(&t, scan ? "/gridtie/v1/privacy/scan" : "/gridtie/v1/privacy/preview",
                                     buf_slice(&text), &answer, LOOK_SECONDS);
        status = root ? 0 : 1;
        if (root && c->value[OPT_JSON])
            (void)printf("%.*s\n", SLICE_FMT(buf_slice(&answer)));
        else if (root && scan)
            scan_show(&t.arena, root, path, buf_slice(&text));
        else if (root)
            (void)fwrite(json_get_str(root, "text").p, 1, json_get_str(root, "text").n, stdout);
        talk_close(&t);
    }
    buf_done(&text);
    buf_done(&answer);
    return status;
}

static int privacy_run(const struct cli *c) {
    bool scan = c->n_args == 2 && strcmp(c->args[0], "scan") == 0;
    bool preview = c->n_args == 2 && strcmp(c->args[0], "preview") == 0;
    if (!scan && !preview)
        return cli_fail(2, "expected: gridtie privacy scan FILE, or gridtie privacy preview FILE; - is standard input");
    return look(c, c->args[1], scan);
}

const struct command command_privacy = {
    .name = "privacy",
    .operands = "scan|preview FILE",
    .summary = "what is private in a text, and what would leave of it",
    .text =
        "`scan` lists the identifiers and secrets in FILE, with line and column. `preview` prints FILE as it would leave\n"
        "for a target that gets pseudonyms: a request (JSON) or any text; - is standard input. Stand-ins of a real\n"
        "request are others, since they depend on the run or the key. Names and places are not found.\n",
    .options = OPT(JSON) | OPTS_DAEMON,
    .most_args = 2,
    .words = {"scan preview", WORDS_FILES},
    .examples = {"gridtie privacy scan notes.txt", "gridtie privacy preview request.json"},
    .run = privacy_run,
};
