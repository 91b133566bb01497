// SPDX-License-Identifier: Apache-2.0
// The schema table: the only place that knows the names of config keys. The parser fills struct config by it, `gridtie
// check` validates by it, docs/configuration.md is printed from it. A new key is a member of struct config and a row
// here; the first member of each table says `name` where people look for one. Data only, but for how a bound is written.
#include "config/schema.h"
#include "base/limits.h"

#define TIME_MAX (366LL * 24 * 3600 * 1000) // a year; sums of such times can't overflow
#define TOKENS_MAX (1 << 30)
#define AT(type, member) offsetof(struct type, member)

static const char *const zones[] = {"device", "edge", "sealed", "cloud", NULL};
static const char *const labels[] = {"public", "internal", "personal", "secret", NULL};
static const char *const loopbacks[] = {"keyed", "owner", NULL};
static const char *const windows[] = {"total", "day", "month", NULL};
static const char *const unpriced[] = {"refuse", "allow", NULL};

#define T(name) (AT(config_model, name))
static const struct field model_fields[] = {
    {.key = "name",
     .type = FIELD_STRING,
     .offset = T(name),
     .required = true,
     .text = "the name that the endpoint knows"},
    {.key = "context",
     .type = FIELD_INT,
     .offset = T(context),
     .initial = "0",
     .max = TOKENS_MAX,
     .text = "context window in tokens, 0 unknown"},
    {.key = "vision", .type = FIELD_TRISTATE, .offset = T(vision), .text = "can it read images"},
    {.key = "tools", .type = FIELD_TRISTATE, .offset = T(tools), .text = "can it call tools"},
    {.key = "thinking", .type = FIELD_TRISTATE, .offset = T(thinking), .text = "can it show its thinking"},
    {0}};
static const struct schema schema_model = {"model", sizeof(struct config_model), model_fields, "name"};

#undef T
#define T(name) (AT(config_endpoint, name))
static const struct field timeout_fields[] = {{.key = "connect",
                                               .type = FIELD_DURATION,
                                               .offset = T(connect_ms),
                                               .initial = "5s",
                                               .min = 1,
                                               .max = 600000,
                                               .text = "until the connection stands"},
                                              {.key = "first_event",
                                               .type = FIELD_DURATION,
                                               .offset = T(first_event_ms),
                                               .initial = "5m",
                                               .min = 1,
                                               .max = TIME_MAX,
                                               .text = "until the first token"},
                                              {.key = "idle",
                                               .type = FIELD_DURATION,
                                               .offset = T(idle_ms),
                                               .initial = "2m",
                                               .min = 1,
                                               .max = TIME_MAX,
                                               .text = "silence inside a stream"},
                                              {.key = "total",
                                               .type = FIELD_DURATION,
                                               .offset = T(total_ms),
                                               .initial = "30m",
                                               .min = 1,
                                               .max = TIME_MAX,
                                               .text = "the whole attempt"},
                                              {0}};
static const struct schema schema_timeouts = {"timeouts", sizeof(struct config_endpoint), timeout_fields, NULL};

static const struct field endpoint_fields[] = {
    {.key = "name",
     .type = FIELD_STRING,
     .offset = T(name),
     .required = true,
     .text = "the first part of endpoint/model; letters, digits, . _ -"},
    {.key = "provider",
     .type = FIELD_STRING,
     .offset = T(provider),
     .required = true,
     .text = "a row of the provider table: openai, anthropic, ollama, llama-server, vllm, …"},
    {.key = "url", .type = FIELD_STRING, .offset = T(url), .text = "base URL; default: the provider's"},
    {.key = "api_version",
     .type = FIELD_STRING,
     .offset = T(api_version),
     .text = "azure: the version in the query; default: the provider's"},
    {.key = "key", .type = FIELD_SECRET, .offset = T(key), .text = "its API key; best as \"${VARIABLE}\""},
    {.key = "key_file", .type = FIELD_SECRET_FILE, .offset = T(key), .text = "a file that holds the API key"},
    {.key = "zone",
     .type = FIELD_ENUM,
     .offset = T(zone),
     .has_offset = T(has_zone),
     .names = zones,
     .text = "where it stands; default: the provider's"},
    {.key = "retention",
     .type = FIELD_BOOL,
     .offset = T(retention),
     .initial = "true",
     .text = "does it keep what it is sent"},
    {.key = "watts",
     .type = FIELD_INT,
     .offset = T(watts),
     .initial = "0",
     .max = 1000000,
     .text = "of a machine of one's own: what it draws while it computes, for the price of its tokens"},
    {.key = "models",
     .type = FIELD_LIST,
     .offset = T(models),
     .count_offset = T(n_models),
     .sub = &schema_model,
     .text = "the models on it, as names or maps; default: asked for at start"},
    {.key = "proxy", .type = FIELD_STRING, .offset = T(proxy), .text = "HTTP proxy for CONNECT"},
    {.key = "ca_file", .type = FIELD_PATH, .offset = T(ca_file), .text = "PEM file of accepted authorities"},
    {.key = "timeouts", .type = FIELD_OBJECT, .sub = &schema_timeouts, .text = "how long to wait for what"},
    {.key = "headers",
     .type = FIELD_HEADERS,
     .offset = T(headers),
     .count_offset = T(n_headers),
     .text = "more request headers, name: value"},
    {0}};
static const struct schema schema_endpoint = {"endpoint", sizeof(struct config_endpoint), endpoint_fields, NULL};

#undef T
#define T(name) (AT(config_route, name))
static const char *const policies[] = {"ordered", NULL};
static const struct field route_fields[] = {
    {.key = "name", .type = FIELD_STRING, .offset = T(name), .from_key = true, .text = "the key in the map"},
    {.key = "targets",
     .type = FIELD_STRINGS,
     .offset = T(targets),
     .count_offset = T(n_targets),
     .min = 1,
     .required = true,
     .text = "endpoint/model or a model's name, in order"},
    {.key = "policy",
     .type = FIELD_STRING,
     .offset = T(policy),
     .names = policies,
     .initial = "ordered",
     .text = "how the targets are ordered"},
    {.key = "label",
     .type = FIELD_ENUM,
     .offset = T(label),
     .has_offset = T(has_label),
     .names = labels,
     .text = "the least label of requests on this route"},
    {.key = "max_tokens",
     .type = FIELD_INT,
     .offset = T(max_tokens),
     .initial = "0",
     .max = TOKENS_MAX,
     .text = "bound of an answer where the client gives none and a budget applies; 0: budgets.max_tokens"},
    {0}};
static const struct schema schema_route = {"route", sizeof(struct config_route), route_fields, "targets"};

#undef T
#define T(name) (AT(config_price, name))
static const struct field price_fields[] = {
    {.key = "name", .type = FIELD_STRING, .offset = T(name), .required = true, .text = "endpoint/model"},
    {.key = "input", .type = FIELD_PRICE, .offset = T(input), .text = "per input token, as \"2.50 USD/M\""},
    {.key = "output", .type = FIELD_PRICE, .offset = T(output), .text = "per output token"},
    {.key = "cached_input",
     .type = FIELD_PRICE,
     .offset = T(cache_read),
     .text = "per token read from the prompt cache; default: as input"},
    {.key = "cache_write",
     .type = FIELD_PRICE,
     .offset = T(cache_write),
     .text = "per token written to it; default: as input"},
    {.key = "context",
     .type = FIELD_INT,
     .offset = T(context),
     .initial = "0",
     .max = TOKENS_MAX,
     .text = "context window in tokens, 0 unknown"},
    {0}};
static const struct schema schema_price = {"price", sizeof(struct config_price), price_fields, NULL};

#undef T
#define T(name) (AT(config_budget, name))
static const struct field budget_fields[] = {
    {.key = "amount", .type = FIELD_MONEY, .offset = T(amount_picousd), .required = true, .text = "as \"50 USD\""},
    {.key = "window",
     .type = FIELD_ENUM,
     .offset = T(window),
     .names = windows,
     .initial = "total",
     .text = "what it counts over"},
    {.key = "time_zone",
     .type = FIELD_STRING,
     .offset = T(time_zone),
     .shown = "budgets.time_zone",
     .text = "whose days and months those are, as Europe/Berlin"},
    {0}};
static const struct schema schema_budget = {"budget", sizeof(struct config_budget), budget_fields, NULL};

#undef T
#define T(name) (AT(config_key, name))
static const struct field key_fields[] = {
    {.key = "name", .type = FIELD_STRING, .offset = T(name), .required = true, .text = "who; stands in records"},
    {.key = "secret", .type = FIELD_SECRET, .offset = T(secret), .text = "the key itself; best as \"${VARIABLE}\""},
    {.key = "secret_file",
     .type = FIELD_SECRET_FILE,
     .offset = T(secret),
     .text = "a file that holds it, relative to this one"},
    {.key = "label",
     .type = FIELD_ENUM,
     .offset = T(label),
     .has_offset = T(has_label),
     .names = labels,
     .text = "the least label of its requests"},
    {.key = "reach",
     .type = FIELD_ENUM,
     .offset = T(reach),
     .has_offset = T(has_reach),
     .names = zones,
     .text = "the widest zone of its requests"},
    {.key = "budgets",
     .type = FIELD_LIST,
     .offset = T(budgets),
     .count_offset = T(n_budgets),
     .sub = &schema_budget,
     .text = "what it may spend; all of them hold (docs/budgets.md)"},
    {0}};
static const struct schema schema_key = {"key", sizeof(struct config_key), key_fields, NULL};

#undef T
#define T(name) (AT(config_engine_model, name))
static const struct field engine_model_fields[] = {
    {.key = "name", .type = FIELD_STRING, .offset = T(name), .required = true, .text = "local/NAME"},
    {.key = "file", .type = FIELD_PATH, .offset = T(file), .required = true, .text = "a GGUF file"},
    {.key = "args",
     .type = FIELD_STRINGS,
     .offset = T(args),
     .count_offset = T(n_args),
     .text = "more llama-server arguments for this model"},
    {0}};
static const struct schema schema_engine_model = {"engine model", sizeof(struct config_engine_model),
                                                  engine_model_fields, NULL};

#undef T
#define T(name) (AT(config, engine.name))
static const struct field engine_fields[] = {
    {.key = "enabled",
     .type = FIELD_BOOL,
     .offset = T(enabled),
     .initial = "true",
     .text = "start llama-server for local models"},
    {.key = "binary",
     .type = FIELD_PATH,
     .offset = T(binary),
     .text = "llama-server; default: GRIDTIE_LLAMA_SERVER, PATH, the cache"},
    {.key = "memory",
     .type = FIELD_BYTES,
     .offset = T(memory_bytes),
     .initial = "0",
     .max = 1LL << 50,
     .text = "for loaded models; 0: half of the machine's"},
    {.key = "watts",
     .type = FIELD_INT,
     .offset = T(watts),
     .initial = "0",
     .max = 1000000,
     .text = "what this machine draws while it computes, for the price of its tokens"},
    {.key = "keep_alive",
     .type = FIELD_DURATION,
     .offset = T(keep_alive_ms),
     .initial = "5m",
     .max = TIME_MAX,
     .text = "an idle model is unloaded after this"},
    {.key = "ready_timeout",
     .type = FIELD_DURATION,
     .offset = T(ready_ms),
     .initial = "5m",
     .min = 1,
     .max = TIME_MAX,
     .text = "a model must be loaded by then"},
    {.key = "wait",
     .type = FIELD_DURATION,
     .offset = T(wait_ms),
     .initial = "2m",
     .min = 1,
     .max = TIME_MAX,
     .text = "how long a request waits for a load"},
    {.key = "ping",
     .type = FIELD_DURATION,
     .offset = T(ping_ms),
     .initial = "5s",
     .max = TIME_MAX,
     .text = "how often a stream that waits for a load gets a keep-alive, which fixes its status; 0s: never"},
    {.key = "threads", .type = FIELD_INT, .offset = T(threads), .initial = "0", .max = 1024, .text = "0: one per core"},
    {.key = "context",
     .type = FIELD_INT,
     .offset = T(context),
     .initial = "4096",
     .min = 128,
     .max = 16777216,
     .text = "tokens per slot"},
    {.key = "parallel",
     .type = FIELD_INT,
     .offset = T(parallel),
     .initial = "2",
     .min = 1,
     .max = 256,
     .text = "slots per model"},
    {.key = "args",
     .type = FIELD_STRINGS,
     .offset = T(args),
     .count_offset = T(n_args),
     .text = "more llama-server arguments (GPU layers and the like)"},
    {.key = "models",
     .type = FIELD_LIST,
     .offset = T(models),
     .count_offset = T(n_models),
     .sub = &schema_engine_model,
     .text = "GGUF files beyond the store"},
    {0}};
static const struct schema schema_engine = {"engine", sizeof(struct config), engine_fields, NULL};

#undef T
#define T(name) (AT(config, name))
static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const struct field log_fields[] = {{.key = "level",
                                           .type = FIELD_STRING,
                                           .offset = T(log_level),
                                           .names = log_levels,
                                           .initial = "info",
                                           .text = "the lowest level that is written"},
                                          {.key = "format",
                                           .type = FIELD_STRING,
                                           .offset = T(log_format),
                                           .names = log_formats,
                                           .initial = "text",
                                           .text = "one line a record"},
                                          {0}};
static const struct schema schema_log = {"log", sizeof(struct config), log_fields, NULL};

static const struct field limit_fields[] = {{.key = "body",
                                             .type = FIELD_BYTES,
                                             .offset = T(body_bytes),
                                             .initial = "64MiB",
                                             .min = 1024,
                                             .max = 1 << 30,
                                             .text = "largest request body"},
                                            {.key = "head_timeout",
                                             .type = FIELD_DURATION,
                                             .offset = T(head_ms),
                                             .initial = "10s",
                                             .min = 1,
                                             .max = TIME_MAX,
                                             .text = "until a request's head is whole"},
                                            {.key = "body_timeout",
                                             .type = FIELD_DURATION,
                                             .offset = T(body_idle_ms),
                                             .initial = "30s",
                                             .min = 1,
                                             .max = TIME_MAX,
                                             .text = "silence inside a request's body"},
                                            {.key = "idle_timeout",
                                             .type = FIELD_DURATION,
                                             .offset = T(keepalive_ms),
                                             .initial = "75s",
                                             .min = 1,
                                             .max = TIME_MAX,
                                             .text = "an idle connection is closed after this"},
                                            {.key = "connections",
                                             .type = FIELD_INT,
                                             .offset = T(connections),
                                             .initial = "10000",
                                             .min = 1,
                                             .max = 1000000,
                                             .text = "per loop"},
                                            {0}};
static const struct schema schema_limits = {"limits", sizeof(struct config), limit_fields, NULL};

static const struct field discovery_fields[] = {
    {.key = "enabled",
     .type = FIELD_BOOL,
     .offset = T(discovery),
     .initial = "true",
     .text = "look for endpoints that are not listed; `discovery: off` is short for it"},
    {.key = "keys",
     .type = FIELD_BOOL,
     .offset = T(discovery_keys),
     .initial = "true",
     .text = "a provider whose usual variable (OPENAI_API_KEY, …) is set becomes an endpoint"},
    {.key = "ports",
     .type = FIELD_STRINGS,
     .offset = T(discovery_ports),
     .count_offset = T(n_discovery_ports),
     .shown = "ollama:11434, lmstudio:1234, gpt4all:4891, vllm:8000, llama-server:8080",
     .text = "ports of this machine to look at, PROVIDER:PORT; `[]`: none"},
    {0}};
static const struct schema schema_discovery = {"discovery", sizeof(struct config), discovery_fields, "enabled"};

static const struct field catalogue_fields[] = {{.key = "models",
                                                 .type = FIELD_LIST,
                                                 .offset = T(prices),
                                                 .count_offset = T(n_prices),
                                                 .sub = &schema_price,
                                                 .text = "prices of models"},
                                                {.key = "kwh",
                                                 .type = FIELD_MONEY,
                                                 .offset = T(kwh_picousd),
                                                 .text = "a kilowatt hour, as \"0.30 USD\": with watts, what "
                                                         "tokens of one's own machines cost"},
                                                {0}};
static const struct schema schema_catalogue = {"catalogue", sizeof(struct config), catalogue_fields, NULL};

static const struct field budgets_fields[] = {
    {.key = "wait",
     .type = FIELD_DURATION,
     .offset = T(budget_wait_ms),
     .initial = "10s",
     .max = TIME_MAX,
     .text = "how long a request waits for money that open requests hold, before it is refused"},
    {.key = "time_zone",
     .type = FIELD_STRING,
     .offset = T(budget_zone),
     .initial = "UTC",
     .text = "of budgets that give none"},
    {.key = "max_tokens",
     .type = FIELD_INT,
     .offset = T(budget_max_tokens),
     .initial = "4096",
     .min = 1,
     .max = TOKENS_MAX,
     .text = "bound of an answer where neither client nor route gives one and a budget applies"},
    {.key = "unpriced",
     .type = FIELD_ENUM,
     .offset = T(unpriced),
     .names = unpriced,
     .initial = "refuse",
     .text = "a model whose price is not known, for a request that a budget applies to"},
    {.key = "whole",
     .type = FIELD_LIST,
     .offset = T(budgets),
     .count_offset = T(n_budgets),
     .sub = &schema_budget,
     .text = "what all requests together may spend"},
    {0}};
static const struct schema schema_budgets = {"budgets", sizeof(struct config), budgets_fields, NULL};

static const struct field privacy_fields[] = {
    {.key = "public",
     .type = FIELD_REACH,
     .offset = T(matrix[LABEL_PUBLIC]),
     .shown = "yes everywhere",
     .text = "for what anybody may see"},
    {.key = "internal",
     .type = FIELD_REACH,
     .offset = T(matrix[LABEL_INTERNAL]),
     .shown = "cloud: no_retention, else yes",
     .text = "for what stays in the house"},
    {.key = "personal",
     .type = FIELD_REACH,
     .offset = T(matrix[LABEL_PERSONAL]),
     .shown = "cloud: pseudonymised, else yes",
     .text = "for what tells of persons"},
    {.key = "secret",
     .type = FIELD_REACH,
     .offset = T(matrix[LABEL_SECRET]),
     .shown = "device: yes, else no",
     .text = "for what must not leave the machine"},
    {.key = "default_label",
     .type = FIELD_ENUM,
     .offset = T(default_label),
     .names = labels,
     .initial = "public",
     .text = "the label of a request that says nothing"},
    {.key = "words",
     .type = FIELD_STRINGS,
     .offset = T(words),
     .count_offset = T(n_words),
     .text = "your own words that count as personal: customers, projects; "
             "whole words, ASCII case aside"},
    {.key = "mask_secrets",
     .type = FIELD_BOOL,
     .offset = T(mask_secrets),
     .initial = "true",
     .text = "keys, tokens and passwords are masked for every zone but device"},
    {0}};
static const struct schema schema_privacy = {"privacy", sizeof(struct config), privacy_fields, NULL};

static const struct field retention_fields[] = {
    {.key = "requests",
     .type = FIELD_SECONDS,
     .offset = T(retention_s),
     .initial = "30d",
     .min = 60,
     .max = 10LL * 366 * 24 * 3600,
     .text = "records of requests are deleted after this; sums of money stay"},
    {.key = "receipts",
     .type = FIELD_SECONDS,
     .offset = T(receipts_s),
     .initial = "400d",
     .min = 24 * 3600,
     .max = 10LL * 366 * 24 * 3600,
     .text = "receipts of what left the device are deleted after this, file by file"},
    {0}};
static const struct schema schema_retention = {"retention", sizeof(struct config), retention_fields, NULL};

static const struct field root_fields[] = {
    {.key = "listen",
     .type = FIELD_STRINGS,
     .offset = T(listen),
     .count_offset = T(n_listen),
     .min = 1,
     .initial = "127.0.0.1:11411",
     .text = "address:port, [v6]:port or unix:/path; one or a list"},
    {.key = "loops",
     .type = FIELD_INT,
     .offset = T(loops),
     .initial = "0",
     .max = LIMIT_LOOPS,
     .text = "event loops; 0: one per core"},
    {.key = "drain",
     .type = FIELD_DURATION,
     .offset = T(drain_ms),
     .initial = "30s",
     .max = TIME_MAX,
     .text = "streams may finish so long after SIGTERM"},
    {.key = "loopback",
     .type = FIELD_ENUM,
     .offset = T(loopback),
     .names = loopbacks,
     .initial = "keyed",
     .text = "once a key is configured: do callers on loopback need one as well"},
    {.key = "cors",
     .type = FIELD_STRINGS,
     .offset = T(cors),
     .count_offset = T(n_cors),
     .text = "origins of web pages that may call; default: none"},
    {.key = "allowed_hosts",
     .type = FIELD_STRINGS,
     .offset = T(allowed_hosts),
     .count_offset = T(n_allowed_hosts),
     .text = "Host names accepted besides loopback's and the listening addresses"},
    {.key = "offline",
     .type = FIELD_BOOL,
     .offset = T(offline),
     .initial = "false",
     .text = "open no connection beyond loopback"},
    {.key = "state",
     .type = FIELD_PATH,
     .offset = T(state_dir),
     .text = "where state is kept; default: $XDG_DATA_HOME/gridtie"},
    {.key = "log", .type = FIELD_OBJECT, .sub = &schema_log, .text = "what is written to standard error"},
    {.key = "limits", .type = FIELD_OBJECT, .sub = &schema_limits, .text = "what clients may take"},
    {.key = "engine", .type = FIELD_OBJECT, .sub = &schema_engine, .text = "the local engine"},
    {.key = "discovery",
     .type = FIELD_OBJECT,
     .sub = &schema_discovery,
     .text = "what is found without being listed: keys in the usual variables, servers on usual ports"},
    {.key = "endpoints",
     .type = FIELD_LIST,
     .offset = T(endpoints),
     .count_offset = T(n_endpoints),
     .sub = &schema_endpoint,
     .text = "places that compute"},
    {.key = "routes",
     .type = FIELD_MAP,
     .offset = T(routes),
     .count_offset = T(n_routes),
     .sub = &schema_route,
     .text = "names that a client may give as model; a plain list in place of the map is its targets"},
    {.key = "catalogue", .type = FIELD_OBJECT, .sub = &schema_catalogue, .text = "prices"},
    {.key = "keys",
     .type = FIELD_LIST,
     .offset = T(keys),
     .count_offset = T(n_keys),
     .sub = &schema_key,
     .text = "clients' credentials; once there is one, every request needs one"},
    {.key = "budgets", .type = FIELD_OBJECT, .sub = &schema_budgets, .text = "how budgets behave"},
    {.key = "privacy", .type = FIELD_OBJECT, .sub = &schema_privacy, .text = "what each label may do in each zone"},
    {.key = "retention", .type = FIELD_OBJECT, .sub = &schema_retention, .text = "how long records are kept"},
    {0}};
const struct schema schema_root = {"config", sizeof(struct config), root_fields, NULL};

const char *field_number_text(const struct field *f, int64_t v, char text[32]) {
    static const struct unit {
        int64_t factor;
        const char *name;
    } bytes[] = {{1LL << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, ""}},
      times[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}}, plain[] = {{1, ""}};
    const struct unit *u = plain;
    if (f->type == FIELD_BYTES)
        u = bytes;
    if (f->type == FIELD_DURATION || f->type == FIELD_SECONDS)
        u = times;
    if (f->type == FIELD_SECONDS)
        v *= 1000;
    while (v % u->factor)
        u++;
    (void)snprintf(text, 32, "%lld%s", (long long)(v / u->factor), v ? u->name : "");
    return text;
}
