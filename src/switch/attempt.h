// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_ATTEMPT_H
#define SWITCH_ATTEMPT_H
// One try of one target: owns its arena, transport, reader and filters. Several may live at once; one commits.
#include "ir/pipe.h"
#include "ledger/bid.h"
#include "net/sse.h"
#include "switch/exchange.h"
#include "switch/judge.h"
#include "switch/tools.h"

struct engine_wait;
struct money_wait;
struct follow_block;
struct private_job;
struct writing;

enum again { AGAIN_NOT, AGAIN_ENGINE_DIED, AGAIN_SCHEMA_BROKEN };

struct attempt {
    struct exchange *x;
    unsigned index, stage;
    const struct target *t;
    const struct dialect *dialect; // the target's
    struct arena arena;
    struct permit permit;
    struct wire_request wire;
    struct writing *writing;     // of wire, by the pool
    bool written;                // wire is whole
    struct emulation *emulation; // of tools; NULL: none is needed
    struct private_job *private; // what was looked for in the bytes that leave; NULL: they stay on the device
    struct fetch *fetch;
    struct engine_wait *waiting;  // for a model to load
    struct attempt *next, **prev; // in worker->reserving or ->raising; prev NULL: in neither
    bool fresh;                   // second try on a new connection after a stale one
    enum again again;             // why its stage is tried a second time
    bool alive;
    bool counted; // in target_live.in_flight

    // the answer
    int status;
    bool framed;   // a stream in frames; else one body
    bool verbatim; // same dialect and nothing changed: frames pass as they came
    bool commits;  // a text, thinking or tool event was seen
    // An upstream that answers in steps (steps.c):
    struct wire_step step; // what was begun last
    bool step_over;        // the last one's answer is at hand
    struct buf said;       // by a step that is not the last
    uint64_t poll_ms;      // age of the exchange at which it is asked for again; 0: not
    uint64_t poll_every_ms;

    bool ended;   // the dialect's proper end was seen
    bool whole;   // and so was it written, for the client
    bool errored; // EV_ERROR was seen
    struct frame_reader frames;
    bool frames_live;
    struct stream_reader *reader;
    struct stream_writer *writer;
    struct pipe pipe;
    struct tools_reader *unwrap; // the way back of the emulation
    struct judge *judge;         // of a structured answer
    struct carry *carry;         // of signatures, for a client of another dialect
    struct filter rewrap, observe, restore, guard, pack, collect, write;
    struct buf out;        // for the client; held back until commit
    int64_t frames_passed; // of the upstream, as they came
    struct buf body;       // a whole answer, or an error
    struct answer *answer; // gathered for a client that did not ask for a stream
    struct problem problem;
    struct usage usage;
    enum finish finish;
    int64_t output_bytes; // of text seen, to estimate when the upstream reports no usage
    int64_t retry_after_ms;
    bool sent;
    int64_t reserved_picousd;

    // money (money.c, follow.c)
    struct bid_terms terms;
    struct bid bid;
    struct hold hold;
    struct money_wait *wait; // for money that others hold
    bool held;               // what it needs; it may be sent
    bool limited;            // a budget pays
    bool stream;             // the upstream was asked to stream, whatever the client asked
    bool raising;            // more is held, and stands in w->raising until that is in the journal
    bool unwritten;          // it could not be written: nothing more may be used than was held before
    bool cut;                // ended by us: the budget has no more for it
    uint64_t look_ms;        // once it is cut: the exchange's age when we see whether it is a burst; 0: not cut
    uint64_t look_from_ms, burst_ms;
    int64_t look_bytes; // of output when we looked last
    bool settled;
    bool suspect; // the upstream's usage can't be true
    struct filter follow;
    struct pace pace;
    struct follow_block *blocks;
    uint32_t choices_seen; // bit mask of those not finished
    int64_t money_s;       // when it was held
    int64_t cost_picousd;  // once settled; -1 unknown
    int64_t overrun_picousd;
    int64_t start_us, sent_us, first_event_us, last_us, end_us; // since the exchange began; -1 not reached
    int64_t asked_us;                                           // the upstream's time runs from here
    struct slice detail;
    enum err err;
    bool reused;
};

// --- forward.c
// The intents of the attempts that wait in w->reserving are in the journal (ERR_OK), or can't be: they are sent, or fail.
void attempts_written(struct worker *w, enum err e);
// Takes the attempt down: the fetch is cancelled, memory freed but what settle records. err is what it is recorded with.
void attempt_end(struct attempt *at, enum err err);
// Its memory, once nothing reads it any more.
void attempt_free(struct attempt *at);
// What it waited for is there: goes on to send it.
void attempt_go(struct attempt *at);
// It failed with *given: the next stage, or the exchange fails; after commit the client gets an error event.
void attempt_fail(struct attempt *at, const struct problem *given);
// The winner's proper end has been relayed, or it was cut, and only its connection is still open: ends it well. Else false.
bool attempt_finish_whole(struct attempt *at);
// The whole answer was taken in: it is delivered, or was none.
void attempt_arrived(struct attempt *at);
extern const struct fetch_hooks attempt_hooks;
// The endpoint's, as a header. Arena of the attempt.
struct header attempt_credential(struct attempt *at);
// What it waited for may be there now: goes on to send it.
void attempt_go(struct attempt *at);
// Its raised hold joins what the journal gets of this turn.
void attempt_raised(struct attempt *at);
// Arms the exchange's timer for the nearest deadline.
void exchange_arm(struct exchange *x);

// --- relay.c
MUST_CHECK enum err relay_open(struct attempt *at, int status, struct slice content_type);
// Bytes of the upstream's answer, decoded of HTTP.
MUST_CHECK enum err relay_bytes(struct attempt *at, struct slice bytes);
// The upstream's answer is complete. ERR_OK: the dialect's end was there as well.
MUST_CHECK enum err relay_close(struct attempt *at);
// An answer that was taken in whole and is not passed on as it came: writes the client's into at->out, which stays empty if that
// fails.
void relay_write(struct attempt *at);
// Gives what is held to the client, if this attempt is the winner, and stops reading where the client is slow.
void relay_flush(struct attempt *at);
// The same for an attempt that ends: nothing is left to stop.
void relay_rest(struct attempt *at);
// After commit: writes the error in the client's dialect and ends its stream without the dialect's proper end.
void relay_break(struct exchange *x, const struct problem *p);

#endif
