// SPDX-License-Identifier: Apache-2.0
// `gridtie version`: of this program; the daemon's stands in its /gridtie/v1/status.
#include "version.h"
#include <stdio.h>
#include "cli/command.h"

static int version_run(const struct cli *c) {
    if (c->value[OPT_JSON])
        (void)printf("{\"version\":\"%s\",\"commit\":\"%s\"}\n", GRIDTIE_VERSION, GRIDTIE_COMMIT);
    else
        (void)printf("gridtie %s (%s)\n", GRIDTIE_VERSION, GRIDTIE_COMMIT);
    return 0;
}

const struct command command_version = {
    .name = "version",
    .operands = "",
    .summary = "which version this is",
    .text = "Prints this program's version and the commit that it was built from.\n",
    .options = OPT(JSON),
    .most_args = 0,
    .examples = {"gridtie version", "gridtie version --json"},
    .run = version_run,
};
