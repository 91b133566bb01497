// SPDX-License-Identifier: Apache-2.0
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H
// What the operator wrote, checked. Immutable once loaded; shared by reference count; all strings belong to it.
// One table (schema.c) gives parser, validation, defaults and the reference page.
#include <stdatomic.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/zone.h"

enum config_loopback { LOOPBACK_KEYED, LOOPBACK_OWNER };

struct config_header {
    const char *name, *value;
};

struct config_model {
    const char *name;
    int64_t context;             // tokens, 0 unknown
    int vision, tools, thinking; // -1 unset, 0, 1
};

struct config_endpoint {
    const char *name, *provider;
    const char *url;         // NULL: the provider's
    const char *api_version; // NULL: the provider's
    struct secret key;       // from key or key_file; empty: none given
    bool has_zone;
    enum zone zone;
    bool retention;
    int64_t watts; // while it computes, 0 unknown
    struct config_model *models;
    size_t n_models;             // 0: discovered
    const char *proxy, *ca_file; // NULL: none, the system's
    int64_t connect_ms, first_event_ms, idle_ms, total_ms;
    struct config_header *headers;
    size_t n_headers;
    unsigned line; // in the file
};

struct config_route {
    const char *name;
    const char **targets;
    size_t n_targets;
    const char *policy; // "ordered"
    bool has_label;
    enum label label;
    int64_t max_tokens; // of an answer, where the client gives none and a budget applies; 0: budgets.max_tokens
};

struct config_price { // pico-USD per token, -1 unknown
    const char *name; // endpoint/model
    int64_t input, output, cache_read, cache_write;
    int64_t context; // tokens, 0 unknown
};

enum config_window { WINDOW_TOTAL, WINDOW_DAY, WINDOW_MONTH };
struct config_budget {
    int64_t amount_picousd;
    enum config_window window;
    const char *time_zone; // of the day or month; NULL: the config's budget_zone
};
enum config_unpriced { UNPRICED_REFUSE, UNPRICED_ALLOW };

struct config_key {
    const char *name;
    struct secret secret;
    bool has_label, has_reach;
    enum label label; // the least label of its requests
    enum zone reach;  // the widest zone
    struct config_budget *budgets;
    size_t n_budgets;
};

enum config_task { TASK_AUTO, TASK_CHAT, TASK_EMBED, TASK_RERANK };
struct config_engine_model {
    const char *name;
    const char *file; // NULL: what the store has under that name
    enum config_task task;
    int64_t context, parallel, threads;       // 0: the engine's
    const char *gpu_layers, *flash_attention; // as llama-server takes them; NULL: its own choice
    const char *draft;                        // a model's name, a GGUF file, "ngram"; NULL: none
    const char *projector;                    // a GGUF file; NULL: none
    bool has_keep_alive, pin;
    int64_t keep_alive_ms;
    const char **args;
    size_t n_args;
};

struct config_engine {
    bool enabled;
    const char *binary;       // NULL: searched
    int64_t memory_bytes;     // 0: from the machine
    int64_t gpu_memory_bytes; // of graphics cards; 0: from what is free
    const char *gpu_layers;   // of models that do not say; NULL: llama-server's choice
    int64_t watts;            // of the machine while it computes, 0 unknown
    int64_t keep_alive_ms, ready_ms, wait_ms, ping_ms;
    int64_t warm_ms;      // an idle model keeps its room against another so long at most
    int64_t threads;      // 0: from the machine
    int64_t context;      // tokens per slot
    int64_t parallel;     // slots
    const char **preload; // names of models that are loaded at start
    size_t n_preload;
    const char **args; // passed to llama-server as they are (GPU flags)
    size_t n_args;
    struct config_engine_model *models;
    size_t n_models;
};

struct config {
    _Atomic unsigned refs;
    struct arena arena;
    const char **listen;
    size_t n_listen;
    int64_t loops; // 0: one per core
    int64_t drain_ms;
    enum config_loopback loopback;
    const char **cors; // NULL-terminated; NULL: off
    size_t n_cors;
    const char **allowed_hosts; // NULL-terminated or NULL
    size_t n_allowed_hosts;
    const char *log_level, *log_format;
    bool offline;
    bool discovery, discovery_keys; // discovery false: only what config names
    const char **discovery_ports;   // "vllm:8001"; none: the providers' own
    size_t n_discovery_ports;
    const char *state_dir;                          // NULL: the usual
    bool store_found;                               // models that other programs hold on this disk are used in place
    const char *store_registry, *store_huggingface; // base URLs; NULL: none, and $HF_ENDPOINT
    const char *store_ca_file;                      // PEM; NULL: the system's authorities
    int64_t body_bytes, head_ms, body_idle_ms, keepalive_ms, connections;
    struct config_engine engine;
    struct config_endpoint *endpoints;
    size_t n_endpoints;
    struct config_route *routes;
    size_t n_routes;
    struct config_price *prices;
    size_t n_prices;
    int64_t kwh_picousd; // price of a kilowatt hour, 0 unknown
    struct config_key *keys;
    size_t n_keys;
    int64_t budget_wait_ms, budget_max_tokens;
    const char *budget_zone;
    enum config_unpriced unpriced;
    struct config_budget *budgets; // of the whole daemon
    size_t n_budgets;
    enum condition matrix[LABEL_COUNT][ZONE_COUNT];
    enum label default_label;
    const char **words; // the operator's own, that may not leave
    size_t n_words;
    bool mask_secrets; // beyond the device
    int64_t retention_s, receipts_s;
};

// path NULL: the defaults. Problems are all listed, a line each: "file:line:column: what was found; what was expected".
// So are warnings ("file:line:column: warning: …"), also when the config is good: look at *problems either way.
// ERR_NOT_FOUND (no such file), ERR_BAD_FIELD (problems), ERR_NO_MEMORY. Blocks on the disk.
MUST_CHECK enum err config_load(const char *path, struct config **ret, struct buf *problems);
// The same from text; name stands in the problems, relative files are looked for in base_dir.
MUST_CHECK enum err config_load_text(struct slice yaml, const char *name, const char *base_dir, struct config **ret,
                                     struct buf *problems);
struct config *config_ref(struct config *c);
void config_unref(struct config *c); // any thread; NULL is allowed
// Who knows the providers says so once, before the first load: name(i) is the i-th, NULL behind the last. Then unknown
// ones are problems, and a route may point at a provider's name that config does not list (it may yet be discovered).
void config_know_providers(const char *(*name)(size_t i));
// docs/configuration.md from the table.
void config_write_reference(struct buf *out);

#endif
