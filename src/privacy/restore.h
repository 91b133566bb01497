// SPDX-License-Identifier: Apache-2.0
#ifndef PRIVACY_RESTORE_H
#define PRIVACY_RESTORE_H
// The way back: stand-ins in an answer become the values that they stand for, on the text of each channel, however it
// was cut. What is held back is at most as long as the longest stand-in can be written.
#include "ir/event.h"
#include "privacy/alias.h"

struct restorer;
struct restore_options {
    bool json_text;      // the answer in words is JSON, because the client asked for it
    bool exact_thinking; // thinking goes back signed: only the very stand-ins, so that it becomes the same again
};
// aliases and standins (aliases_find_standin) are borrowed. Lives in the arena. NULL: out of memory.
struct restorer *restorer_new(struct arena *a, const struct aliases *aliases, const struct matcher *standins,
                              const struct restore_options *o);
// Gives the event on, restored; held text comes with the next of its block, at the latest with its end. ERR_NO_MEMORY,
// or what the sink returns.
MUST_CHECK enum err restorer_event(struct restorer *r, const struct event *ev, struct event_sink *next);

// A whole text, appended to out. json: it is JSON, and stays it.
MUST_CHECK enum err restore_text(const struct aliases *aliases, const struct matcher *standins, struct slice text,
                                 bool json, bool exact, struct buf *out);

#endif
