// SPDX-License-Identifier: Apache-2.0
// `gridtie check`: reads a config as the daemon would and lists everything that is wrong with it, without a daemon.
#include <stdio.h>
#include "base/fs.h"
#include "cli/command.h"
#include "config/config.h"

static int print_reference(void) {
    struct buf out = BUF_INIT(4u << 20);
    config_write_reference(&out);
    size_t put = fwrite(out.p ? out.p : "", 1, out.len, stdout);
    int status = out.failed || put != out.len ? 1 : 0;
    buf_done(&out);
    return status;
}

static int check_file(const char *path) {
    struct buf problems = BUF_INIT(1u << 20);
    struct config *c = NULL;
    enum err e = config_load(path, &c, &problems);
    if (e && problems.len == 0)
        buf_printf(&problems, "%s: %s", path, e == ERR_NOT_FOUND ? "no such file" : err_row(e)->text);
    if (e) {
        const char *text = buf_cstr(&problems);
        (void)fprintf(stderr, "%s%s", text, problems.len && problems.p[problems.len - 1] == '\n' ? "" : "\n");
    } else {
        (void)printf("%s: ok\n", path);
    }
    config_unref(c);
    buf_done(&problems);
    return e ? 1 : 0;
}

static int check_run(const struct cli *c) {
    struct buf path = BUF_INIT(8192);
    int status = 0;
    if (c->value[OPT_REFERENCE])
        return print_reference();
    if (c->n_args)
        return check_file(c->args[0]);
    fs_config_dir(&path);
    buf_append_str(&path, "/gridtie.yaml");
    if (fs_exists(buf_cstr(&path)))
        status = check_file(buf_cstr(&path));
    else
        (void)printf("ok: there is no %s, so the defaults hold\n", buf_cstr(&path));
    buf_done(&path);
    return status;
}

const struct command command_check = {
    .name = "check",
    .operands = "[FILE]",
    .summary = "check the config, without a daemon",
    .text = "Reads FILE, or the usual config, and lists every problem with file, line and column. Exit status 1 if\n"
            "there is any.\n",
    .options = OPT(REFERENCE),
    .most_args = 1,
    .words = {WORDS_FILES},
    .examples = {"gridtie check", "gridtie check ./gridtie.yaml"},
    .run = check_run,
};
