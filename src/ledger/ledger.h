// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H
// What was reserved, spent and by whom, and the record that `why` and `log` read. Loops append lines to journals
// (write(2), one line an attempt and one a settlement); the ledger's own thread feeds SQLite from them in batches and
// keeps, in the same transaction, how far it has read: a killed process loses nothing and counts nothing twice.
#include "base/buf.h"
#include "base/err.h"
#include "base/zone.h"
#include "ir/usage.h"

struct ledger;
struct journal;

struct ledger_options {
    const char *dir;     // holds ledger.db and journal/; made if missing, mode 0700
    unsigned loops;      // one journal each
    int64_t retention_s; // rows of exchanges older than this are deleted (money sums are kept)
    unsigned batch_ms;   // how long the thread lets lines gather, 100
};

// Recovers first: what the journals of an earlier process hold is fed in, attempts left open become "outcome unknown".
// ERR_DISK with *problem (also: another process holds the directory). Starts the thread.
MUST_CHECK enum err ledger_open(const struct ledger_options *o, struct ledger **ret, struct buf *problem);
// Feeds what is left, stops the thread, closes.
void ledger_close(struct ledger *l);
// Owned by the ledger; only loop `index` may write to it.
struct journal *ledger_journal(struct ledger *l, unsigned index);

// In the journal before the first byte of an attempt leaves the machine.
struct attempt_intent {
    struct slice exchange; // id
    unsigned attempt;      // from 0
    int64_t wall_us;
    struct slice target; // "groq/llama"
    struct slice endpoint;
    struct slice model;
    enum zone zone;
    struct slice key;         // name of the client's key, or empty
    struct slice run;         // id, or empty
    int64_t cap_picousd;      // the run's, -1 none
    int64_t money_s;          // accounts_now_s when the money was taken: the period that pays
    int64_t reserved_picousd; // -1 unknown price
    bool raised;              // the attempt is known already and holds more now; it may go on once this is written
};
// Puts its line into the batch of the loop's turn. Nothing of the attempt may be sent before journal_flush returned ERR_OK.
// ERR_DISK: no line can be made.
MUST_CHECK enum err journal_intent(struct journal *j, const struct attempt_intent *i);
// Writes the batch, in one write(2). ERR_DISK: the intents in it are forgotten, their attempts must not be sent; its
// settlements stay in memory (bounded) and are tried again.
MUST_CHECK enum err journal_flush(struct journal *j);

struct attempt_record {
    struct slice target, endpoint, model;
    enum zone zone;
    unsigned stage;
    struct slice reason; // why this target stood at this place of the plan
    enum err err;        // ERR_OK: it gave the answer
    int http_status;     // the upstream's, 0 if none came
    struct slice detail; // operator's text, no content
    int64_t start_us;    // after the exchange began; -1: never started (then `detail` says why)
    int64_t connected_us, first_event_us, end_us; // likewise, -1 if not reached
    bool reused_connection;
    struct usage usage;
    int64_t reserved_picousd; // -1 unknown price
    int64_t cost_picousd;     // -1 unknown
    int64_t overrun_picousd;  // of the cost, above what was reserved
    int64_t money_s;          // as in its intent
    bool suspect;             // the upstream's usage could not be true; it was clamped or not believed
    bool sent;                // an intent line was written
};

struct drop_record {
    struct slice action, path, reason;
};

struct settlement {
    struct slice exchange;
    struct slice parent; // exchange id of a helper call's parent, or empty
    int64_t wall_us;     // when it began
    int64_t total_us;
    struct slice dialect, op; // names
    struct slice model;       // as asked
    struct slice route;       // name of the route, empty if none
    struct slice key;
    struct slice run;
    int64_t cap_picousd; // the run's, -1 none
    enum label label;
    struct slice label_source; // "default", "header", "key", "route"
    struct slice reach;        // printed
    bool stream;
    int status; // HTTP status given to the client
    enum err err;
    struct slice finish; // finish reason of the answer
    int64_t request_bytes, answer_bytes;
    int64_t first_event_us, step_us[8]; // time at the end of each step, from the beginning; -1 not reached
    uint64_t snapshot;                  // id of the grid snapshot the decision was made with
    const struct attempt_record *attempts;
    size_t n_attempts;
    const struct drop_record *drops;
    size_t n_drops;
    unsigned drops_skipped;
};
// Puts its line into the batch of the loop's turn. Cannot fail for the caller: what goes wrong is logged and counted.
void journal_settle(struct journal *j, const struct settlement *s);

// --- queries: any thread but the loops' (they block). Each first feeds what the journals hold now. JSON is appended.
// One exchange with its attempts: id, or "last". ERR_NOT_FOUND.
MUST_CHECK enum err ledger_why(struct ledger *l, struct slice id, struct buf *json);
struct log_filter {
    int64_t limit;                           // newest first, at most 1000
    struct slice model, target, key, status; // empty: all; status "ok" | "failed"
    int64_t since_us;
};
// {"exchanges":[…]}
MUST_CHECK enum err ledger_log(struct ledger *l, const struct log_filter *f, struct buf *json);
// Σ settled cost, Σ open reservations and counts, as {"settled_picousd":…,"open_picousd":…,"exchanges":…,"unknown":…}
MUST_CHECK enum err ledger_totals(struct ledger *l, struct buf *json);
uint64_t ledger_disk_failures(const struct ledger *l);

#endif
