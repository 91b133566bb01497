// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_TOOLS_H
#define SWITCH_TOOLS_H
// Tools for models that have none. On the way there the tools are written into the prompt and the answer is bound by a
// JSON schema; on the way back what the model said becomes tool calls and text again, so that every client gets its own
// dialect's. Pure: requests and events in, requests and events out. The words between us and the model are
//   {"name": "weather", "arguments": {…}}     one call;   {"calls": [{…}, {…}]} where several were allowed by name
//   {"text": "…"}                             an answer;  {"answer": …} where the client asked for JSON
// docs/tools.md tells users what holds and what does not.
#include "ir/event.h"
#include "ir/request.h"

#define TOOLS_CALLS_MAX 8 // calls of one answer, where several are allowed

struct emulated_tool {
    struct slice name;
    struct json_doc schema; // of the arguments; doc NULL: none was given
};

// One attempt's emulation. Everything lives in the attempt's arena; the client's request must outlive it.
struct emulation {
    struct request sent; // what the upstream gets
    struct notes notes;
    struct emulated_tool *tools;
    size_t n_tools;
    const struct emulated_tool *only; // a named choice; NULL: any
    struct slice answer_schema;       // what the client bound an answer in words by; p NULL: nothing
    bool bound;                       // the answer must be read back; else only the past was rewritten
    bool forced;                      // it must be a call
    bool parallel;
    bool again; // the second try: the schema is tight, and a cut is told as one
};

// Must r be rewritten for a model that knows nothing of tools: has it any, or calls and results in its past?
bool tools_matter(const struct request *r);
// again: see struct emulation; texts and lists without a bound get one, so that a model that rambles comes to an end.
// ERR_NO_MEMORY, ERR_TOO_LARGE, ERR_BAD_FIELD (a choice of a tool that is not there), with *problem filled.
MUST_CHECK enum err tools_rewrite(struct arena *a, const struct request *r, bool again, struct emulation **ret,
                                  struct problem *problem);
// The upstream refused the schema: the problem's message names the tool (or tools). Other refusals stay as they are.
void tools_blame(const struct emulation *em, struct arena *a, struct problem *p);

// --- the way back (tools_answer.c)
struct tools_reader;
// exchange: an id that no other answer has, for the ids of calls. NULL when out of memory. Freed with the arena.
struct tools_reader *tools_reader_new(struct arena *a, const struct emulation *em, struct slice exchange);
// Text is passed on as it comes; a call only when it is whole and fits the tool's schema. What breaks the agreement becomes
// EV_ERROR with ERR_UP_SCHEMA. ERR_UP_PROTOCOL (blocks that nobody asked for), ERR_NO_MEMORY, or what the sink returns.
MUST_CHECK enum err tools_reader_event(struct tools_reader *r, const struct event *ev, struct event_sink *sink);

#endif
