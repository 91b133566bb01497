// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TALK_H
#define CLI_TALK_H
// Talking to the daemon over its own API: one loop, one call at a time.
#include "base/json.h"
#include "base/secret.h"
#include "cli/command.h"
#include "net/client.h"

struct call_hooks { // all but ctx may be NULL
    void (*head)(void *ctx, int status, const struct headers *h);
    void (*body)(void *ctx, struct slice bytes);
    void (*tick)(void *ctx, unsigned seconds); // each second that passes
    void *ctx;
};

struct talk {
    struct loop loop;
    struct client *client;
    struct timer timer;
    uv_signal_t interrupt;
    struct arena arena; // url and what callers keep
    const char *url;    // as shown to people
    bool given;         // by --url or $GRIDTIE_URL: somebody else's daemon, not ours to start
    struct origin origin;
    struct slice base_path;
    struct permit permit;
    struct secret key;
    // the call that runs
    struct fetch *fetch;
    const struct call_hooks *hooks;
    unsigned seconds, most_seconds; // 0: as long as it takes
    bool stop_on_interrupt;
    int status;
    enum err err;
    bool interrupted;
    char detail[200];
};

// Prints what is wrong and returns false. config_path: NULL the usual one.
bool talk_open(struct talk *t, const struct cli *c, const char *config_path);
void talk_close(struct talk *t);
// The key that was given, by --key-file or GRIDTIE_KEY; empty: none was. False: the error is printed.
bool talk_client_key(const struct cli *c, struct secret *ret);
// Returns ERR_OK when a whole answer came, whatever its status (t->status). ERR_CANCELLED: Ctrl-C (only where
// stop_on_interrupt is set). Prints nothing.
enum err talk_call(struct talk *t, const char *method, const char *path, struct slice body,
                   const struct call_hooks *hooks, unsigned most_seconds);
// The same with the whole body appended to out.
enum err talk_fetch(struct talk *t, const char *method, const char *path, struct slice body, struct buf *out,
                    unsigned most_seconds);
// Says on standard error what a failed call means and what to do next. body: the answer's, may be empty. Returns 1.
int talk_explain(struct talk *t, enum err e, struct slice body);
// A question whose answer is JSON: its text is appended to text. Returns the root, or NULL when the error was printed.
yyjson_val *talk_ask(struct talk *t, const char *path, struct buf *text);
// The same with a body that is posted; a daemon that is busy is asked again for some seconds.
yyjson_val *talk_post(struct talk *t, const char *path, struct slice body, struct buf *text, unsigned most_seconds);
// For the commands that show a list: asks, prints the JSON as it is where --json is given, else calls show. Exit status.
int talk_show(const struct cli *c, const char *path, void (*show)(struct arena *a, yyjson_val *root));
// Is a daemon there? ERR_OK also while it drains. ERR_UP_PROTOCOL: what listens there is something else.
enum err talk_probe(struct talk *t);

#endif
