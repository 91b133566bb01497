// SPDX-License-Identifier: Apache-2.0
#ifndef FAULT_RIG_H
#define FAULT_RIG_H
// The whole way of a request in one thread: server, exchanges, client, grid, engine and journal on one loop that the test
// turns by hand, the scripted provider and the fake engine in processes of their own, and a client that is a bare socket.
// So a test can stop between any two turns and do something to what waits there.
#include "admin/daemon.h"
#include "switch/private.h"

struct rig {
    struct shift shift; // its worker has the only loop
    struct ledger *ledger;
    struct privacy privacy;
    struct config *config;
    char dir[64];
    pid_t sim;
    int sim_port, port;
    struct timer beat; // a turn never waits for longer
    bool server_closed, client_closed, grid_closed, drained;
    struct hold held; // of the payer's money, by us
    unsigned held_beats;
};

// yaml: what stands beside `listen`; in it $SIM is the scripted provider's port, $SELF the path of this program.
bool rig_start(struct rig *r, const char *yaml);
// True: everything closed in time and no child is left.
bool rig_stop(struct rig *r);
struct config *rig_config(const struct rig *r, const char *yaml); // owned by the caller; NULL and a failed test
bool rig_reload(struct rig *r, const char *yaml);
// A new server after one was drained or cut.
bool rig_listen(struct rig *r);
void rig_close_server(struct rig *r);
// One turn of the loop; it waits for something to do, but not for long.
void rig_turn(struct rig *r);
// The oldest that is no helper call, or NULL.
struct exchange *rig_exchange(const struct rig *r);
// Differs from one turn to the next when what the exchange waits for has changed.
uint64_t rig_mark(const struct exchange *x);
// A number that our ledger or the scripted provider tells: "exchanges", "open_requests"; -1 if it does not.
int64_t rig_total(struct rig *r, const char *name);
int64_t rig_sim_state(const struct rig *r, const char *name);
bool rig_sim_script(const struct rig *r, const char *json);
const struct target *rig_target(const struct rig *r, const char *name);
// Turns until the engine's model is in this state. False: not within some seconds.
bool rig_await_engine(struct rig *r, const char *name, int state);
// Of all targets together.
int rig_in_flight(const struct rig *r);
// Exchanges that were begun, and that were settled.
unsigned rig_begun(const struct rig *r);
unsigned rig_settled(const struct rig *r);
// A text of what `why` says of this exchange, "" where it has none.
void rig_why(struct rig *r, const char *id, const char *field, char *ret, size_t n);

// Holds all that the key "payer" may spend for some beats, so that a request of it waits; and what it holds of it in all.
void rig_hold_money(struct rig *r);
int64_t rig_money_held(struct rig *r);

// ---- the client

struct visit {
    int fd;
    char in[1 << 16]; // all that came; of much its beginning and its end
    size_t n;
    size_t lost; // from between them
    bool asleep; // takes nothing
    bool closed; // by the server
};
#define VISIT_HEAD_BYTES (16u << 10)
#define VISIT_TAIL_BYTES (16u << 10)

bool visit_begin(struct visit *v, const struct rig *r, const char *path, const char *body, bool slow);
// Takes what is there.
void visit_read(struct visit *v);
void visit_leave(struct visit *v);
// 0: no whole head yet.
int visit_status(const struct visit *v);
// The body's length or its last chunk came.
bool visit_whole(const struct visit *v);
bool visit_holds(const struct visit *v, const char *text);

#endif
