// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_PRIVATE_H
#define SWITCH_PRIVATE_H
// Between the steps and privacy/: what is in a request, what may leave of it, and what comes back.
#include "base/secret.h"
#include "privacy/body.h"
#include "privacy/receipt.h"
#include "switch/attempt.h"

// The process's own, shared by its workers; outlives them.
struct privacy {
    struct secret key; // the node's: stand-ins come from it
    struct receipts *receipts;
};

// --- the label step
// Looks into the request if a target that it may reach asks for that; the label and the reach then say what was found.
// Until a detector is loaded it waits; where none can be, nothing beyond edge is in reach.
enum step_result private_label(struct exchange *x);

// --- forward
// What is private in at->wire is replaced as the target's zone asks. False: it waits (attempt_go goes on), or has failed.
bool private_ready(struct attempt *at);
// Was that done, where anything asks for it? A permit beyond edge wants to know.
bool private_is_checked(const struct attempt *at);
// The receipt, before the first byte. False: it could not be written, and the attempt has failed.
bool private_receipt(struct attempt *at);
// The exchange, the attempt ends: work that still runs for it is on its own. True: it reads what stands in the attempt's
// arena, and has taken that.
void private_leave(struct exchange *x);
bool private_drop(struct attempt *at);
// What it knows of an attempt whose memory goes.
void private_free(struct attempt *at);

// --- relay
// Joins the filter that puts the values back; nothing where nothing was replaced. False: out of memory.
bool private_open(struct attempt *at);
// A text of the upstream's for the client: an error's message. Arena of the exchange; the text itself where nothing was
// replaced.
struct slice private_restore(struct attempt *at, struct slice text);

// Such a text for the records: nothing private in it. Arena of the exchange; empty where that can't be told.
struct slice private_detail(struct attempt *at, struct slice text);

#endif
