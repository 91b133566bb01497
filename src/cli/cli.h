// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_CLI_H
#define CLI_CLI_H

// What the command line needs of the rooms above it; main gives them. Each returns an exit status, argv[0] is its name.
struct cli_rooms {
    int (*serve)(int argc, char **argv);
    int (*sim)(int argc, char **argv);
};
// 0; 1: it failed, and standard error says why; 2: the command line is wrong; 130: Ctrl-C.
int cli_main(int argc, char **argv, const struct cli_rooms *rooms);

#endif
