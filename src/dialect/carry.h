// SPDX-License-Identifier: Apache-2.0
#ifndef DIALECT_CARRY_H
#define DIALECT_CARRY_H
// Signatures on their way through a client whose dialect is not that of the provider that made them. Providers sign what
// their models thought (Anthropic's thinking, OpenAI's encrypted reasoning, Gemini's thought signatures) and want it back
// in the next turn. Where the client's dialect has a field for a signature it goes there, else into the id of the call
// that followed, which every client gives back; both in a form that says whose it is:
//     gtS1 base64url(4 bytes of SHA-256 of the rest, the rest)          a signature
//     <the call's own id> __gtS1 base64url(…)                           a call's id
// the rest being the maker's name, a line feed, and fields of the form <letter><length>:<bytes>. Nothing is kept here.
// An answer without a call has no such id: what is left of it is a package that whoever calls may keep, by what was said.
#include "dialect/dialect.h"

struct carry;

// For one answer that `from` tells and `to` hears. NULL when out of memory. Freed with the arena.
struct carry *carry_new(struct arena *a, const struct dialect *from, const struct dialect *to);
// Passes the event on, with signatures and ids as `to` needs them.
MUST_CHECK enum err carry_event(struct carry *c, const struct event *ev, struct event_sink *sink);
// Was something too long to be carried?
bool carry_lost(const struct carry *c);
// At the answer's end: signatures that went into no field and no id, as a package, and the words that the client heard.
// False: there are none, or they are too long. Arena; *ret_words borrowed from c.
bool carry_rest(struct carry *c, struct slice *ret_package, struct slice *ret_words);
// Such a package, back into the assistant's message that it belongs to. ERR_NO_MEMORY.
MUST_CHECK enum err carry_put_back(struct arena *a, struct message *m, struct slice package);

// The way back: takes out of a client's request what an answer had packed, sets made_by, and r->carried if there was
// anything. What is no whole package stays as it is. ERR_NO_MEMORY.
MUST_CHECK enum err carry_unpack(struct arena *a, struct request *r);
// Is this part's signature (or redacted thinking) that of an upstream of dialect d?
bool carry_made_by(const struct request *r, const struct part *p, enum dialect_id d);

#endif
