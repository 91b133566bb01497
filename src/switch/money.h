// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_MONEY_H
#define SWITCH_MONEY_H
// What an exchange pays with: its purse, what each attempt holds, and what it cost.
#include "switch/attempt.h"

#define MONEY_OUT_UNPRICED \
    "its price is unknown and a budget applies (name it in catalogue.models, or set budgets.unpriced: allow)"

// --- read
// So many tokens no tokenizer makes of r, which is x's or will be. Looks at all its messages.
int64_t money_input_bound(const struct exchange *x, const struct request *r);
// --- admit
// Who pays: the whole, the key, and the run if the client names one. Bad headers and stopped runs are refused.
enum step_result money_admit(struct exchange *x);
// --- decide
// Why t can't be paid for (MONEY_OUT_UNPRICED), or NULL.
const char *money_out(const struct exchange *x, const struct target *t);
// --- forward
// Holds what the attempt needs and writes it down. False: it waits, and attempt_go is called when it may try again; or it
// has failed. Does nothing for one that holds already.
bool money_take(struct attempt *at);
// The intent, with what is held. ERR_DISK: nothing may be sent.
MUST_CHECK enum err money_intend(struct attempt *at);
// Bounds and streaming that its hold asks for.
void money_write_options(const struct attempt *at, struct write_options *o);
// When its wait is over, as an age of the exchange in ms; UINT64_MAX: it does not wait.
uint64_t money_late_ms(const struct attempt *at);
// It is: one more try, then the attempt fails.
void money_waited(struct attempt *at);
// --- relay
// The filter that follows an answer whose hold may not be enough; joined only where that is so.
enum err money_follow(struct filter *f, const struct event *ev);
// It is cut: is it read on, for some milliseconds, to learn what will be billed? Looks anew when look_ms is over.
bool money_looks_on(struct attempt *at);
// --- the end of an attempt: what it used and cost, and what it held is free again. Once.
void money_settle(struct attempt *at);

#endif
