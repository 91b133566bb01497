// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_REPLY_H
#define SWITCH_REPLY_H
// How an exchange answers its client: the head with our headers, a whole body, an error.
#include "switch/exchange.h"

// Who the answer says it is.
struct identity exchange_identity(const struct exchange *x);
// The client gets its status line and, for a stream, whatever follows. Called once the winner is known.
void reply_begin(struct exchange *x);
// A stream that nothing has been sent of yet can get a sign of life, if its dialect has one. The first fixes the status,
// not the target: that one is then told in the trailers.
bool reply_can_ping(const struct exchange *x);
void reply_ping(struct exchange *x);
// A whole answer as the upstream wrote it.
void reply_verbatim(struct exchange *x, struct buf *body);
// A whole answer from x->answer, in the client's dialect.
void reply_answer(struct exchange *x);
// A stream is complete: the last chunk, with the final cost as a trailer.
void reply_end_stream(struct exchange *x);
// x->problem in the client's dialect: as an error answer, or inside a stream that has begun.
void reply_problem(struct exchange *x);
// What it cost so far, pico-USD; -1 unknown.
int64_t exchange_cost(const struct exchange *x);

#endif
