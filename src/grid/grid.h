// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_GRID_H
#define GRID_GRID_H
// What there is to compute on. The grid lives on the main thread; loops see immutable snapshots of it and one table of
// atomics per target.
#include <stdatomic.h>
#include "base/secret.h"
#include "config/config.h"
#include "dialect/dialect.h"
#include "ir/habit.h"
#include "net/client.h"
#include "net/loop.h"

enum auth { AUTH_NONE, AUTH_BEARER, AUTH_X_API_KEY, AUTH_X_GOOG_API_KEY, AUTH_API_KEY };

// The header that a credential goes in, and what stands before it there. Empty for AUTH_NONE.
struct auth_header {
    struct slice name, prefix;
};
const struct auth_header *auth_header(enum auth a);

// A row of providers.def; what is not given is 0, false, NULL.
struct provider {
    const char *name;
    enum dialect_id dialect;
    enum auth auth;
    const char *default_url; // base URL; NULL: config must give one
    enum zone zone;          // default; loopback of llama-server: device
    unsigned quirks;         // enum quirk
    const char *models_path; // GET behind the base URL; how it is read goes by dialect
    bool needs_key;
    const char *key_env;      // the usual variable, or NULL
    const char *const *lacks; // as write_options.lacks
    const char *api_version;  // the path goes by deployment, with this version in the query, unless the URL has a path
    const char *health_path;  // GET behind the base URL of one's own server, 2xx when it is well; NULL: the models
    const char *about_path;   // GET behind the base URL of one's own server: JSON with its `version`; NULL: none
    const char *litellm, *genai; // its name in the two tables of the catalogue, or NULL
    uint16_t port;               // where it listens on loopback if nothing else is said; 0: is not looked for
    const char *owner;           // what its list of models says of itself (`owned_by`), or NULL
    bool second;                 // another row's place by another interface: only config makes endpoints of it
};
const struct provider *provider_by_name(struct slice name);
extern const struct provider providers[];
extern const size_t n_providers;

enum found_by { FOUND_BY_CONFIG, FOUND_BY_KEY, FOUND_BY_PORT };

// A place that computes. Immutable; owned by its snapshot (shared by reference count between snapshots).
struct endpoint {
    const char *name;
    enum found_by found_by;
    const struct provider *provider;
    struct origin origin;    // slices owned by the endpoint
    struct slice base_path;  // "/v1", without a slash at its end
    const char *api_version; // NULL: none, see struct provider
    struct secret key;
    enum zone zone;
    bool retention;
    bool near;     // on this machine or a private network
    bool engine;   // the local engine: origin is chosen per target
    int64_t watts; // while it computes; 0 unknown
    uint64_t connect_ms, first_event_ms, idle_ms, total_ms;
    struct headers headers; // extra, from config
    _Atomic unsigned refs;
};

// What /metrics shows of a target; relaxed atomics, cumulative. Bounds of the buckets stand in grid/stats.c.
#define STATS_BUCKETS 12
struct histogram {
    _Atomic uint64_t bucket[STATS_BUCKETS + 1]; // the last is +Inf; not cumulative here
    _Atomic uint64_t sum_us;
};
struct target_stats {
    struct histogram first_event;   // time to the first token
    struct histogram per_token;     // time per output token after the first
    _Atomic int64_t first_event_us; // recent, decayed; 0: none yet
    _Atomic int64_t per_token_ns, prompt_token_ns;
    _Atomic uint64_t results[ERR_COUNT]; // attempts by how they ended
};
extern const uint64_t stats_bounds_us[STATS_BUCKETS];
// first_event_us and output_us < 0: not reached; tokens < 2: no time per token; prompt_tokens: those that were read in
// prompt_us, 0 none.
void target_stats_note(struct target_stats *s, enum err e, int64_t first_event_us, int64_t output_us, int64_t tokens,
                       int64_t prompt_us, int64_t prompt_tokens);

// What an upstream said is left of a limit, less what was sent since; it counts until reset_ms (clock_mono_ms) only.
struct window {
    _Atomic int64_t left, reset_ms;
};

// How a target or a place has been (grid/health.h).
struct health {
    _Atomic int in_row;         // failures
    _Atomic int seen, permille; // results (up to a few), and how many of the last ones failed
    _Atomic int sick;           // 0, 1
    _Atomic int flaps, good;    // relapses not yet forgotten; successes in a row while sick
    _Atomic int64_t changed_ms; // clock_mono_ms: it became sick, or well; 0 never
    _Atomic int64_t try_at_ms;  // while sick: may be tried from then on
};

// What changes about an endpoint; relaxed atomics.
struct endpoint_live {
    struct health health;
    _Atomic int ask_again;              // for its models: one that is listed was not there
    _Atomic int64_t version;            // of the server there, three numbers of 20 bits; 0 unknown, -1 it does not say
    _Atomic int64_t probe_us;           // how long the last answer to that took; 0 none
    _Atomic int probes, probe_failures; // failures in a row
    _Atomic int last_err, last_status;  // of the last probe that failed
    _Atomic int64_t last_ok_us, last_error_us; // wall
    _Atomic int spent_in_row;                  // answers that its account is empty
    _Atomic int64_t wary_until_ms;             // clock_mono_ms: until then others are asked first
};

// What changes; relaxed atomics, shared by all loops and snapshots, found again by target name after a reload.
struct target_live {
    _Atomic int in_flight;
    _Atomic uint64_t requests, failures;
    _Atomic uint64_t input_tokens, output_tokens;
    _Atomic uint64_t overrun_picousd;              // billed above what was held
    _Atomic uint64_t cached_tokens;                // of the input: read from the upstream's prompt cache
    _Atomic uint64_t draft_tokens, draft_accepted; // guessed ahead by speculative decoding, and held
    _Atomic int engine_state;                      // enum engine_state
    _Atomic int64_t engine_keep_ms;                // what the last request that said it wants; KEEP_UNSET
    struct health health;
    _Atomic int64_t last_error_wall_us;
    _Atomic int last_err;          // enum err
    _Atomic int64_t not_before_ms; // clock_mono_ms: a Retry-After is respected until then
    _Atomic int64_t wary_until_ms; // clock_mono_ms: it refused without a time; until then others are asked first
    _Atomic int limits_in_row;     // refusals for a limit, without a success between
    struct window requests_window, tokens_window;
    // engine targets, written by the main thread
    _Atomic int engine_pid, engine_restarts;             // 0: not running
    _Atomic int64_t engine_since_s, engine_memory_bytes; // 0: not loaded
    _Atomic int64_t engine_expires_s;                    // 0: not loaded; ENGINE_NEVER
    _Atomic int64_t engine_estimate_bytes, engine_vram_bytes, engine_load_ms;
    _Atomic uint64_t engine_evictions;                     // times that it went for another
    _Atomic int engine_slots, engine_pinned, engine_draft; // the last: enum engine_draft
    struct target_stats stats;
    struct habit habit; // of its answers
};
#define ENGINE_NEVER INT64_MAX
enum engine_draft { DRAFT_NONE, DRAFT_ASKED, DRAFT_WORKS, DRAFT_REFUSED };
enum engine_state { ENGINE_OFF, ENGINE_STARTING, ENGINE_READY, ENGINE_FAILED };

enum price_from {
    PRICE_FROM_NOBODY,
    PRICE_FROM_CONFIG,
    PRICE_FROM_CATALOGUE,
    PRICE_FROM_OWN,
    PRICE_FROM_ENERGY,
    PRICE_FROM_LIST
};

struct target {
    const char *name;   // "groq/llama-3.3-70b", "local/smollm2:135m"
    struct slice model; // as the upstream knows it
    struct endpoint *endpoint;
    enum zone zone;
    struct price price;
    enum price_from price_from;
    int64_t context, max_output;  // tokens, 0 unknown
    unsigned can;                 // by the catalogue (grid/catalogue.h); 0: nothing is said
    bool vision, tools, thinking; // false may mean unknown where caps_known is false
    bool caps_known;
    struct slice unix_path; // engine: the child's socket
    struct target_live *live;
    struct endpoint_live *place; // of its endpoint
    const char *alias_of;        // another name of that model ("smollm2"): lists leave it out; NULL: none
    int64_t size_bytes;          // engine: of the file
    struct slice family, quantization, parameter_size, digest; // from the GGUF, empty if unknown
    int64_t modified_s;
    // engine: what a Modelfile said, defaults of each request (switch/defaults.h); empty: nothing
    struct slice system, parameters, messages;
    const char *source; // engine: where the weights are from ("store", "ollama", …); NULL otherwise
};

// Its model has no tools, but its answers can be bound by a schema (a llama-server): switch/tools.h makes up for it.
bool target_emulates_tools(const struct target *t);

struct catalogue;
struct snapshot {
    _Atomic unsigned refs;
    uint64_t id;
    struct config *config;  // a reference
    struct target *targets; // local engine first, then config order
    size_t n_targets;
    struct endpoint **endpoints;
    size_t n_endpoints;
    struct catalogue *catalogue; // a reference, or NULL
};
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); // any thread
// By full name; NULL.
const struct target *snapshot_target(const struct snapshot *s, struct slice full_name);
// Endpoints without a model list take any model ("endpoint/whatever"): a target made in the arena for this exchange.
// NULL when the endpoint does not exist, lists its models, or its discovery succeeded and does not have it.
const struct target *snapshot_open_target(const struct snapshot *s, struct slice full_name, struct arena *a);

// A model was asked for that nobody has: servers nearby are asked soon what they have now.
void snapshot_ask_again(const struct snapshot *s);

// The path of a request to this model, in the arena; wire_path is the dialect's ("/chat/completions"). Empty: no memory.
struct slice endpoint_path(const struct endpoint *e, struct slice model, const char *wire_path, struct arena *a);

const char *price_from_name(enum price_from f); // "config", "catalogue", "own", "energy", "list"; NULL: nobody

struct grid;
// Main thread. changed(ctx, snapshot) is called with a fresh reference whenever there is a new snapshot (first time
// before grid_new returns): give it to all loops. runtime_dir: for the children's sockets.
MUST_CHECK enum err grid_new(struct loop *main, struct config *c, const char *data_dir, const char *runtime_dir,
                             void (*changed)(void *ctx, struct snapshot *s), void *ctx, struct grid **ret,
                             struct buf *problem);
// A new config, checked before; existing engine children of models that stay are kept.
MUST_CHECK enum err grid_reload(struct grid *g, struct config *c, struct buf *problem);
// Main thread. Compiles the catalogue anew from its sources, off the loop; then done(arg, …) is called on the main thread:
// ERR_OK, ERR_NOT_FOUND (there are no sources), or what is wrong with them. Else nothing was started: ERR_BUSY (one is
// being made), ERR_DRAINING, ERR_NO_MEMORY.
MUST_CHECK enum err grid_catalogue_update(struct grid *g, void (*done)(void *arg, enum err e, const char *problem),
                                          void *arg);
// Main thread. Reads the store anew, off the loop; done(arg, …) is called on the main thread once requests can go to what
// is there now: every worker whose snapshot has that id, or a later one, sees it. Else nothing was started: ERR_DRAINING,
// ERR_NO_MEMORY.
MUST_CHECK enum err grid_models_refresh(struct grid *g, void (*done)(void *arg, enum err e, uint64_t snapshot),
                                        void *arg);
// Stops children (engine-notes.md says how), probes and timers; closed when all is gone.
void grid_close(struct grid *g, void (*closed)(void *ctx), void *ctx);

// How a request wants a model of the engine.
struct engine_ask {
    int64_t keep_ms; // how long it is to stay afterwards; KEEP_UNSET, KEEP_FOREVER
    bool elsewhere;  // there is another place to go: it does not wait for room that busy or warm models hold
    bool watched;    // somebody watches it come: goes before those whom nobody watches
};
// Loop thread. Wants the engine to serve t. True: it is ready now. False: reply(arg, err, detail) will be called on
// loop l exactly once: ERR_OK, ERR_ENGINE (could not be served; detail says why), ERR_BUSY (too many wait, or not ready
// within config engine.wait; loading goes on), ERR_DRAINING; only when nothing can be posted it is called before this
// returns. Count live->in_flight before you ask and while using it: an idle model with in_flight 0 may be unloaded.
bool engine_want(struct grid *g, const struct target *t, const struct engine_ask *ask, struct loop *l,
                 void (*reply)(void *arg, enum err e, const char *detail), void *arg);
// Any thread: ask to unload (gridtie stop MODEL, keep_alive 0). false: not loaded.
bool engine_unload(struct grid *g, struct slice model);
// Loop thread: the attempt's connection to the child failed; the grid checks the child.
void engine_suspect(struct grid *g, const struct target *t);
// Any thread: JSON {"models":[{name, state, pid, socket, since, requests, in_flight, memory_bytes, expires_at …}]} and
// {"endpoints":[{name, provider, url, zone, models, health, last_error …}]}. From snapshots and atomics.
void grid_ps_json(struct grid *g, struct buf *out);
void grid_endpoints_json(struct grid *g, struct buf *out);

#endif
