// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_JUDGE_H
#define SWITCH_JUDGE_H
// Structured output: does an answer fit the JSON schema that the client asked for? Pure.
#include "ir/event.h"
#include "ir/request.h"

struct judge;

// Does r ask for a schema that its answer must fit? Not where the client itself said `strict: false`.
bool judge_wanted(const struct request *r);
// NULL when out of memory. Freed with the arena.
struct judge *judge_new(struct arena *a, const struct request *r);
// Listens to an answer. ERR_UP_SCHEMA at the finish of a choice that does not fit, *problem filled; ERR_NO_MEMORY. Not
// judged are choices that called a tool, refused, or were cut: their finish says so.
MUST_CHECK enum err judge_event(struct judge *j, const struct event *ev, struct problem *problem);
// An answer, or the schema, was too much to check (LIMIT_SCHEMA_STEPS): it passed unjudged.
bool judge_gave_up(const struct judge *j);

#endif
