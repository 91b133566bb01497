// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_LINES_H
#define CLI_LINES_H
// Lines that a person types, with editing and history at a terminal; plain lines of standard input elsewhere.
#include <stdbool.h>
#include "base/slice.h"

struct lines;
enum line_kind { LINE_TEXT, LINE_INTERRUPTED, LINE_END };

// history_path: where lines are kept from chat to chat; NULL: nowhere. candidates: calls `offer` with each word that may
// stand at the end of what was typed; NULL: no completion. Never fails: without a terminal, or memory, lines are plain.
struct lines *lines_open(const char *history_path,
                         void (*candidates)(void *ctx, struct slice typed, void (*offer)(void *to, const char *word),
                                            void *to),
                         void *ctx);
// *ret is without its line end, and holds until the next call. LINE_INTERRUPTED: Ctrl-C, what was typed is dropped.
enum line_kind lines_next(struct lines *l, const char *prompt, struct slice *ret);
void lines_close(struct lines *l);

#endif
