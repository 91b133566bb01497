// SPDX-License-Identifier: Apache-2.0
// `gridtie serve`: the daemon itself is above this folder and comes as a callback; here is only the door to it.
#include <stdio.h>
#include "cli/start.h"

static int serve_background(const struct cli *c) {
    struct talk t;
    if (!talk_open(&t, c, c->value[OPT_CONFIG]))
        return 2;
    bool running = talk_probe(&t) == ERR_OK;
    if (running)
        (void)cli_fail(1, "a daemon is running already at %s; 'gridtie stop --daemon' ends it", t.url);
    bool started = !running && daemon_start(&t, c->value[OPT_CONFIG], c->value[OPT_OFFLINE]);
    talk_close(&t);
    return started ? 0 : 1;
}

static int serve_run(const struct cli *c) {
    char name[] = "serve", option[] = "--config", off[] = "--offline", file[4096];
    char *argv[5] = {name};
    int argc = 1;
    if (c->value[OPT_BACKGROUND])
        return serve_background(c);
    if (c->value[OPT_OFFLINE])
        argv[argc++] = off;
    if (!c->value[OPT_CONFIG])
        return c->rooms->serve(argc, argv);
    int n = snprintf(file, sizeof file, "%s", c->value[OPT_CONFIG]);
    if (n < 0 || (size_t)n >= sizeof file)
        return cli_fail(2, "--config: the path is too long");
    argv[argc++] = option;
    argv[argc++] = file;
    return c->rooms->serve(argc, argv);
}

const struct command command_serve = {
    .name = "serve",
    .operands = "",
    .summary = "run the daemon",
    .text = "Runs the daemon: 127.0.0.1:11411 unless the config says otherwise. SIGTERM or SIGINT: open streams may\n"
            "finish, then it ends; a second one cuts them. SIGHUP: reads the config again; a broken one is refused.\n",
    .options = OPT(CONFIG) | OPT(BACKGROUND) | OPT(OFFLINE),
    .most_args = 0,
    .examples = {"gridtie serve", "gridtie serve --daemon --config ./gridtie.yaml"},
    .run = serve_run,
};
