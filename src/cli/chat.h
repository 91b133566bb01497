// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_CHAT_H
#define CLI_CHAT_H
#include "cli/converse.h"

// Questions from standard input until it ends or says /bye. Returns an exit status.
int chat_loop(struct converse *x);

#endif
