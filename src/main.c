// SPDX-License-Identifier: Apache-2.0
// argv → subcommand. The only file that knows every folder: what is below cli is handed to it as callbacks.
#include <string.h>
#include "admin/daemon.h"
#include "cli/cli.h"
#include "grid/guard.h"
#include "privacy/database.h"
#include "sim/sim.h"

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--engine-guard") == 0)
        return engine_guard_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "--build-patterns") == 0)
        return database_build_main(argc, argv);
    const struct cli_rooms rooms = {.serve = daemon_main, .sim = sim_main};
    return cli_main(argc, argv, &rooms);
}
