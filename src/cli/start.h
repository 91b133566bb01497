// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_START_H
#define CLI_START_H
#include "cli/talk.h"

// Starts the daemon in the background, says so on standard error, and waits until it answers at t's address.
// config_path: NULL the usual one. False: it did not come up, and the end of its log was shown.
bool daemon_start(struct talk *t, const char *config_path, bool offline);
// The one that answers at t's address; else, where that is ours to do, it is started. False: the error was printed.
bool daemon_find_or_start(struct talk *t);

#endif
