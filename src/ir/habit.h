// SPDX-License-Identifier: Apache-2.0
#ifndef IR_HABIT_H
#define IR_HABIT_H
// What a target's answers are like, learned from those that were seen: how long, how fast, how many tokens its bytes are.
// Money is reserved by it. Relaxed atomics, one per target, shared by all loops; zeroed memory is a valid empty one. Every
// figure errs upwards: it is about what an upstream may bill, not about what it will.
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HABIT_LENGTHS 80        // buckets of answers by length: four to a doubling, up to a million tokens
#define HABIT_SIZES 28          // buckets of requests by size: one to a doubling
#define HABIT_HORIZON_US 250000 // between our wish to stop an upstream and its stop, where the way to it is not known
#define HABIT_NOTICE_US 60000   // and where it is, beyond the way: what batches and schedulers take
#define HABIT_QUANTILE 95       // of 100 answers, so many are no longer than what is reserved at first
#define HABIT_LEAST 4           // answers before anything is known

struct habit {
    _Atomic uint32_t length[HABIT_LENGTHS];
    _Atomic uint32_t answers;
    _Atomic int64_t longest;                   // tokens, slowly forgotten
    _Atomic int64_t pace;                      // most tokens within HABIT_HORIZON_US, slowly forgotten; 0 unknown
    _Atomic int64_t horizon_us;                // until it stops when told to; 0 unknown: HABIT_HORIZON_US
    _Atomic uint32_t output_ratio;             // tokens per 1024 bytes of answer; 0 unknown
    _Atomic uint32_t input_ratio[HABIT_SIZES]; // tokens per 1024 of bound; 0 unknown
};

// One answer's way through time, kept by its attempt.
#define PACE_PARTS 5 // a horizon and a quarter: a burst lies within whole parts
struct pace {
    int64_t first_us, last_us; // when its first and last text came; 0: none yet
    int64_t first_bytes;       // of its first moment
    int64_t part_us;           // the running part began then
    int64_t part[PACE_PARTS];  // bytes in it, and in those before
    int64_t peak;              // most bytes of all parts side by side
};
void pace_note(struct pace *p, int64_t now_us, int64_t bytes);

// --- learning
// A request whose size could not be above `bound` tokens was counted at `tokens` by the upstream.
void habit_note_input(struct habit *h, int64_t bound, int64_t tokens);
// A whole answer. bytes: of its text; p: how it streamed, NULL when it came as one.
void habit_note_output(struct habit *h, int64_t tokens, int64_t bytes, const struct pace *p);

// An answer that outran what was known, however it ended.
void habit_note_burst(struct habit *h, const struct pace *p, int64_t bytes);

// A byte takes so long to it and back.
void habit_note_round_trip(struct habit *h, int64_t us);

// --- expecting; at most `bound` where one is given
// Input tokens that a request of this bound will most be counted at. Above the bound only where the upstream has shown to
// add more of its own than our bound allows for.
int64_t habit_input(const struct habit *h, int64_t bound);
// The same without room for what was never seen: for the books, once it is over and nobody said what it was.
int64_t habit_input_seen(const struct habit *h, int64_t bound);
// Tokens that so many bytes of an answer are.
int64_t habit_tokens(const struct habit *h, int64_t bytes);
// What should be held for an answer of which `said` tokens have come (0: not begun), so that an upstream which is told to
// stop when this is used up has not made more. The bound itself where too little is known.
int64_t habit_need(const struct habit *h, int64_t said, int64_t bound);
// Is there time to stop an answer before it is longer than any that was seen? Else only a bound on the wire keeps it short.
bool habit_can_stop(const struct habit *h);
// Must an answer for which no more than `reserved` can be held be stopped now? Before it is used up if there is time to;
// an upstream that gives its answers at once has made this one already, so there it may go on to the end of the hold.
bool habit_is_used_up(const struct habit *h, int64_t said, int64_t reserved);
// Is enough known for habit_need to be less than the bound?
bool habit_is_known(const struct habit *h);
// Tokens that may be under way beyond the bytes seen of an answer, by its own pace if it has gone on for a moment.
int64_t habit_flight(const struct habit *h, const struct pace *p, int64_t bytes);
// So many bytes in so little time: several times what was ever seen?
bool habit_is_burst(const struct habit *h, int64_t bytes, int64_t us);
// Has it come so much faster than any before it that no stop is in time? Then all of it may be made already.
bool habit_outran(const struct habit *h, const struct pace *p);
// The length that `percent` of the answers do not exceed; 0 when nothing is known.
int64_t habit_quantile(const struct habit *h, unsigned percent);

#endif
