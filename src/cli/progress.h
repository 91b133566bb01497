// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
#include "cli/talk.h"

// Posts body and shows what the daemon does meanwhile: a bar on a terminal, plain lines elsewhere, the lines as they come
// with --json. Ctrl-C ends it. Exit status: 0, 1 (said), 130.
int progress_call(struct talk *t, const struct cli *c, const char *path, struct slice body);

#endif
