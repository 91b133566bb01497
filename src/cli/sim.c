// SPDX-License-Identifier: Apache-2.0
// `gridtie sim`: the scripted provider is its own room and reads its own options.
#include "cli/command.h"

static int sim_run(const struct cli *c) {
    return c->rooms->sim(c->argc, c->argv);
}

const struct command command_sim = {
    .name = "sim",
    .operands = "[OPTIONS]",
    .summary = "run a scripted provider, for tests",
    .text = "Runs a provider that answers by script; 'gridtie sim --help' lists its options.\n",
    .options = 0,
    .most_args = -1,
    .raw = true,
    .raw_options = "listen models owner bill price latency first-ms chunk-ms chunks words order help",
    .examples = {"gridtie sim --listen 127.0.0.1:9999", "gridtie sim --models a,b --chunk-ms 50"},
    .run = sim_run,
};
