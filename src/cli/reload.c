// SPDX-License-Identifier: Apache-2.0
// `gridtie reload`: the daemon reads its config again, whole or not at all.
#include <stdio.h>
#include "cli/talk.h"

static int reload_run(const struct cli *c) {
    struct talk t;
    struct buf body = BUF_INIT(1u << 20);
    if (!talk_open(&t, c, NULL))
        return 1;
    enum err e = talk_fetch(&t, "POST", "/gridtie/v1/reload", SLICE("{}"), &body, 60);
    bool ok = !e && t.status == 200;
    if (ok)
        (void)puts("reloaded");
    else
        (void)talk_explain(&t, e, buf_slice(&body));
    if (!ok && !e && t.status == 400)
        (void)cli_fail(1, "the daemon goes on with the config that it has");
    talk_close(&t);
    buf_done(&body);
    return ok ? 0 : 1;
}

const struct command command_reload = {
    .name = "reload",
    .operands = "",
    .summary = "let the daemon read its config again",
    .text =
        "The daemon reads its config again and takes it whole, or says what is wrong and goes on with the old one.\n"
        "No stream breaks.\n",
    .options = OPTS_DAEMON,
    .most_args = 0,
    .examples = {"gridtie reload", "gridtie check && gridtie reload"},
    .run = reload_run,
};
