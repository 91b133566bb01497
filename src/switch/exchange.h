// SPDX-License-Identifier: Apache-2.0
#ifndef SWITCH_EXCHANGE_H
#define SWITCH_EXCHANGE_H
// One request and all that it owns, from first byte to settled account. It lives and dies on its worker's loop.
#include "base/arena.h"
#include "dialect/dialect.h"
#include "grid/grid.h"
#include "ir/plan.h"
#include "ir/reach.h"
#include "ledger/accounts.h"
#include "ledger/ledger.h"
#include "net/loop.h"
#include "switch/sink.h"

struct worker;
struct attempt;
struct private_job;
struct reading;

enum step_result { STEP_NEXT, STEP_WAIT, STEP_FAIL };
enum step_id {
    STEP_READ,
    STEP_ADMIT,
    STEP_RECALL,
    STEP_LABEL,
    STEP_DECIDE,
    STEP_FORWARD,
    STEP_RELAY,
    STEP_SETTLE,
    STEP_COUNT
};

// What the front of the house hands over. Slices are borrowed until the sink's answer ends.
struct arrival {
    const struct dialect *dialect;
    enum op op;
    struct slice body;
    const struct headers *headers;
    bool loopback;
    uint64_t start_us;
    struct slice path, query; // for dialects whose addresses say more than which one it is
};

// What is known of a request's content: nothing yet, waits for a detector, is looked into, known (or need not be).
enum check { CHECK_NONE, CHECK_WAITS, CHECK_RUNS, CHECK_DONE };

// What is done for an exchange off its loop (exchange_offload).
struct exchange_work {
    void (*work)(void *arg), (*done)(void *arg);
    void *arg;
    struct conn_keep *keep; // the client's bytes
    bool runs;
};

#define EXCHANGE_ID_BYTES 24

struct exchange {
    struct worker *w;
    struct exchange *next, *prev; // the worker's live ones
    struct deferred begin;        // runs a helper call, after the turn
    struct deferred later;        // frees it after the turn
    struct arena arena;
    char id[EXCHANGE_ID_BYTES];
    struct sink sink;
    struct guest guest; // how the sink speaks to us
    struct snapshot *snap;
    struct exchange_work work;

    // the parent of a helper call, and the one helper call that this one waits for
    struct exchange *parent, *child;
    void (*on_child)(struct exchange *parent, struct exchange *child); // the child has its answer or problem

    // read
    struct arrival in;
    const struct dialect *dialect;
    struct request *request;
    struct reading *reading; // by the pool
    int64_t estimated_tokens;
    int64_t input_bound; // of tokens: what money has to reckon with
    bool much;           // it is too much for the loop, read or written; also of a helper call's parent
    // admit
    const struct config_key *key; // of the snapshot's config, or a made one; NULL without
    struct purse purse;           // who pays
    unsigned hops;
    uint64_t deadline_ms; // clock_mono_ms; 0 none
    // label
    enum label label;
    const char *label_source;
    struct reach reach;
    const struct config_route *route;
    enum check check;
    struct private_job *label_job; // runs on the pool
    // decide
    struct plan plan;
    const struct target **targets; // by candidate.index
    // forward, relay
    struct attempt *attempts[LIMIT_ATTEMPTS];
    unsigned n_attempts;
    unsigned next_stage;
    struct attempt *winner; // committed
    struct timer timer;
    bool timer_live;
    bool head_sent;         // the client's status is out (an answer, or a keep-alive while a model loads)
    bool target_is_trailer; // the head went out before a target was known
    bool paused;
    // settle
    enum step_id step;
    bool running; // exchange_run is on the stack
    bool settled;
    struct problem problem;      // err == ERR_OK: none
    bool local_answer;           // answered by ourselves (an estimate, a load), no attempt was needed
    bool local_waits;            // for a model to load, or a helper call
    const struct answer *answer; // of a client that did not ask for a stream, or our own; NULL: none yet
    int status;
    enum finish finish;
    int64_t start_wall_us;
    int64_t step_us[STEP_COUNT];
    int64_t first_event_us; // -1
    int64_t answer_bytes;
    struct notes notes;
};

// Makes one and runs it. It answers through the sink, also its own failure to come to life.
void exchange_start(struct worker *w, const struct arrival *in, const struct sink *sink);
// A helper call: inherits snapshot, key, label, reach, deadline and the parent's slot; starts at decide. `request` lives
// in the parent's arena. done(parent, child) is called once, unless the parent ends first; the child's answer is then
// child->answer, or child->problem. ERR_LIMIT (LIMIT_CHILD_DEPTH), ERR_NO_MEMORY.
MUST_CHECK enum err exchange_spawn(struct exchange *parent, struct request *request,
                                   void (*done)(struct exchange *parent, struct exchange *child));
// Too much for a loop that others wait for: work(arg) runs on the pool, and until it is over the exchange with all that
// it owns, and its parents' requests, are that thread's. Whatever happens to it meanwhile is only noted in x->problem; then it
// ends, else done(arg) is called. False: out of memory, nothing runs.
MUST_CHECK bool exchange_offload(struct exchange *x, void (*work)(void *arg), void (*done)(void *arg), void *arg);
// Does it, or a helper call of it, run there?
bool exchange_is_away(const struct exchange *x);
// Is this JSON more than a loop should read or write between two events?
bool json_is_much(struct slice json);
// Goes on where a step waited.
void exchange_resume(struct exchange *x);
// Ends it with a problem, whatever it does now; settle still runs.
void exchange_fail(struct exchange *x, const struct problem *p);
// The sink's client is gone.
void exchange_gone(struct exchange *x);
// The sink has room again.
void exchange_credit(struct exchange *x);
// Microseconds since its first byte.
int64_t exchange_age_us(const struct exchange *x);

// The steps, one file each; settle has no result.
enum step_result step_read(struct exchange *x);
enum step_result step_admit(struct exchange *x);
enum step_result step_recall(struct exchange *x);
enum step_result step_label(struct exchange *x);
enum step_result step_decide(struct exchange *x);
enum step_result step_forward(struct exchange *x);
enum step_result step_relay(struct exchange *x);
void step_settle(struct exchange *x);

// Zones of the targets that the request names, a bit each; before anything was decided. (decide.c)
unsigned decide_zones(struct exchange *x);
// A route by name; NULL. (label.c)
const struct config_route *config_route_named(const struct config *c, struct slice name);

// Sets x->problem and returns STEP_FAIL. message may be NULL: the row's text.
enum step_result exchange_refuse(struct exchange *x, enum err e, const char *message);

#endif
