// SPDX-License-Identifier: Apache-2.0
// `gridtie launch`: starts somebody's coding agent with its variables pointed here. An agent is a row: what it reads is its
// makers' documentation. The key goes into the agent's environment, never into argv, and is the client's own (GRIDTIE_KEY
// or --key-file), not the owner's; where the daemon wants none it is a placeholder, which the agents insist on. What was set
// is said, so that a person can do the same by hand. This process becomes the agent.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/limits.h"
#include "cli/start.h"

#define ARGS_MAX 256
#define PLACEHOLDER "gridtie"
#define MODELS_MOST 200 // that an agent is told of

struct launch {
    const struct cli *cli;
    struct talk talk;
    const char *base, *base_v1; // "http://127.0.0.1:11411", the same with /v1
    const char *model;          // NULL: the agent's own default
    const char *first;          // of the daemon's list; NULL: it has none
    yyjson_val *models;
    struct secret key; // the client's; empty: none is needed
    const char *argv[ARGS_MAX];
    int argc;
    struct buf said; // the variables that were set
};

static void arg(struct launch *l, const char *a) {
    if (l->argc < ARGS_MAX - 1)
        l->argv[l->argc++] = a;
}

static void set(struct launch *l, const char *name, const char *value) {
    (void)setenv(name, value, 1);
    buf_printf(&l->said, "  %s=%s\n", name, value);
}

static void set_key(struct launch *l, const char *name) {
    struct buf value = BUF_INIT(70000);
    bool given = !secret_is_empty(&l->key);
    buf_append(&value, given ? secret_reveal(&l->key) : SLICE(PLACEHOLDER));
    (void)setenv(name, buf_cstr(&value), 1);
    buf_printf(&l->said, "  %s=%s\n", name, given ? "(your key)" : PLACEHOLDER);
    wipe(value.p, value.cap);
    buf_done(&value);
}

static void unset(struct launch *l, const char *name) {
    if (!getenv(name))
        return;
    (void)unsetenv(name);
    buf_printf(&l->said, "  %s is taken away: it would go to its maker\n", name);
}

// ---- the agents

// https://docs.claude.com/en/docs/claude-code/settings (environment variables)
static void claude(struct launch *l) {
    static const char *const names[] = {"ANTHROPIC_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL",
                                        "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL"};
    set(l, "ANTHROPIC_BASE_URL", l->base);
    set_key(l, "ANTHROPIC_AUTH_TOKEN");
    unset(l, "ANTHROPIC_API_KEY");
    for (size_t i = 0; l->model && i < sizeof names / sizeof names[0]; i++)
        set(l, names[i], l->model);
}

// https://github.com/openai/codex, docs/config.md: model_providers
static void codex(struct launch *l) {
    struct arena *a = &l->talk.arena;
    arg(l, "-c");
    arg(l, "model_provider=\"gridtie\"");
    arg(l, "-c");
    arg(l,
        arena_printf(
            a,
            "model_providers.gridtie={name=\"gridtie\",base_url=\"%s\",wire_api=\"responses\",env_key=\"GRIDTIE_KEY\"}",
            l->base_v1));
    if (l->model) {
        arg(l, "-m");
        arg(l, l->model);
    }
    set_key(l, "GRIDTIE_KEY");
}

static void opencode_models(struct launch *l, struct json_writer *w) {
    size_t i, n;
    yyjson_val *m;
    json_key(w, "models");
    json_obj(w);
    if (l->model) {
        json_key_slice(w, slice_str(l->model));
        json_put_raw(w, SLICE("{}"));
    }
    yyjson_arr_foreach(l->models, i, n, m) {
        struct slice name = json_get_str(m, "id");
        if (i == MODELS_MOST)
            break;
        if (l->model && slice_is(name, l->model))
            continue;
        json_key_slice(w, name);
        json_put_raw(w, SLICE("{}"));
    }
    json_obj_end(w);
}

// https://opencode.ai/docs/providers (custom provider), https://opencode.ai/docs/config (OPENCODE_CONFIG_CONTENT)
static void opencode(struct launch *l) {
    struct buf out = BUF_INIT(1u << 17); // the kernel's bound for one variable
    struct json_writer w = JSON_WRITER(&out);
    json_obj(&w);
    json_key(&w, "provider");
    json_obj(&w);
    json_key(&w, "gridtie");
    json_obj(&w);
    json_kv_cstr(&w, "npm", "@ai-sdk/openai-compatible");
    json_kv_cstr(&w, "name", "gridtie");
    json_key(&w, "options");
    json_obj(&w);
    json_kv_cstr(&w, "baseURL", l->base_v1);
    json_kv_cstr(&w, "apiKey", "{env:GRIDTIE_KEY}");
    json_obj_end(&w);
    opencode_models(l, &w);
    json_obj_end(&w);
    json_obj_end(&w);
    json_kv_cstr(&w, "model", arena_printf(&l->talk.arena, "gridtie/%s", l->model ? l->model : l->first));
    json_obj_end(&w);
    if (!out.failed)
        set(l, "OPENCODE_CONFIG_CONTENT", buf_cstr(&out));
    set_key(l, "GRIDTIE_KEY");
    buf_done(&out);
}

// https://aider.chat/docs/llms/openai-compat.html
static void aider(struct launch *l) {
    set(l, "OPENAI_API_BASE", l->base_v1);
    set_key(l, "OPENAI_API_KEY");
    arg(l, "--model");
    arg(l, arena_printf(&l->talk.arena, "openai/%s", l->model ? l->model : l->first));
}

static const struct agent {
    const char *name, *install;
    bool names_model; // it has no default of its own that could be served here
    void (*prepare)(struct launch *l);
} agents[] = {
    {"claude", "npm install -g @anthropic-ai/claude-code", false, claude},
    {"codex", "npm install -g @openai/codex", false, codex},
    {"opencode", "npm install -g opencode-ai", true, opencode},
    {"aider", "pip install aider-chat", true, aider},
};

static const struct agent *agent_find(const char *name) {
    for (size_t i = 0; i < sizeof agents / sizeof agents[0]; i++)
        if (strcmp(agents[i].name, name) == 0)
            return &agents[i];
    (void)cli_fail(2, "there is no agent '%s'; it is one of claude, codex, opencode, aider", name);
    return NULL;
}

// ---- before it starts

static bool on_path(const char *program) {
    struct slice rest = slice_str(getenv("PATH"));
    char path[4096];
    while (rest.n) {
        struct slice folder = slice_split(&rest, ':');
        (void)snprintf(path, sizeof path, "%.*s/%s", SLICE_FMT(folder), program);
        if (folder.n && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

// Would the agent be let in, and which models are there?
static bool models_ask(struct launch *l, struct buf *text) {
    secret_done(&l->talk.key); // as the agent will come
    if (!secret_is_empty(&l->key) && !secret_set(&l->talk.key, secret_reveal(&l->key)))
        return false;
    enum err e = talk_fetch(&l->talk, "GET", "/v1/models", SLICE_NONE, text, 10);
    if (!e && l->talk.status == 401 && secret_is_empty(&l->key)) {
        (void)cli_fail(1, "the daemon wants a key: make one with 'gridtie key add NAME', then set GRIDTIE_KEY");
        return false;
    }
    struct json_doc d;
    struct json_error why;
    if (e || l->talk.status != 200 || json_read(&l->talk.arena, buf_slice(text), &d, &why) != ERR_OK) {
        (void)talk_explain(&l->talk, e, buf_slice(text));
        return false;
    }
    l->models = yyjson_obj_get(yyjson_doc_get_root(d.doc), "data");
    struct slice first = json_get_str(yyjson_arr_get_first(l->models), "id");
    l->first = first.n ? arena_cstr(&l->talk.arena, first) : NULL;
    return true;
}

static bool address_take(struct launch *l) {
    if (l->talk.origin.unix_path.n) {
        (void)cli_fail(1, "agents speak to a TCP address: let the daemon listen on 127.0.0.1 too, or give --url");
        return false;
    }
    struct slice url = slice_str(l->talk.url);
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    l->base = arena_cstr(&l->talk.arena, url);
    l->base_v1 = arena_printf(&l->talk.arena, "%s/v1", l->base);
    return true;
}

static bool ready(struct launch *l, const struct agent *agent, struct buf *text) {
    if (!daemon_find_or_start(&l->talk) || !address_take(l) || !talk_client_key(l->cli, &l->key) ||
        !models_ask(l, text))
        return false;
    if (agent->names_model && !l->model && !l->first) {
        (void)cli_fail(1, "no model is known yet, and %s must be given one: 'gridtie endpoints' shows who was asked",
                       agent->name);
        return false;
    }
    agent->prepare(l);
    return true;
}

static int launch_run(const struct cli *c) {
    static struct launch l;
    if (c->n_args < 1)
        return cli_fail(2, "which agent? claude, codex, opencode or aider");
    const struct agent *agent = agent_find(c->args[0]);
    if (!agent)
        return 2;
    if (!on_path(agent->name))
        return cli_fail(1, "%s is not installed: %s", agent->name, agent->install);
    l = (struct launch){.cli = c, .model = c->value[OPT_MODEL], .said = BUF_INIT(1u << 18)};
    struct buf text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    if (!talk_open(&l.talk, c, NULL))
        return 1;
    arg(&l, agent->name);
    if (!ready(&l, agent, &text)) {
        talk_close(&l.talk);
        buf_done(&text);
        buf_done(&l.said);
        secret_done(&l.key);
        return 1;
    }
    for (int i = 1; i < c->n_args; i++)
        arg(&l, c->args[i]);
    l.argv[l.argc] = NULL;
    (void)fprintf(stderr, "gridtie: %s starts with\n%s", agent->name, buf_cstr(&l.said));
    for (int i = 1; i < l.argc - (c->n_args - 1); i++)
        (void)fprintf(stderr, "%s%s%s", i == 1 ? "  and the arguments " : " ", l.argv[i],
                      i + 1 == l.argc - (c->n_args - 1) ? "\n" : "");
    (void)execvp(agent->name, (char *const *)(uintptr_t)l.argv);
    return cli_fail(1, "%s can't be started: %s", agent->name, strerror(errno));
}

const struct command command_launch = {
    .name = "launch",
    .operands = "AGENT [-- ARG...]",
    .summary = "start a coding agent that asks here",
    .text =
        "Starts claude, codex, opencode or aider with its variables pointed at the daemon, and says what it set. What\n"
        "stands behind -- is given to the agent. With --model it asks for that model or route; without, for its own\n"
        "default (opencode and aider: the first that 'gridtie list' shows).\n",
    .options = OPT(MODEL) | OPTS_DAEMON,
    .most_args = -1,
    .words = {"claude codex opencode aider"},
    .examples = {"gridtie launch claude --model coding", "gridtie launch codex -- exec \"explain this folder\""},
    .run = launch_run,
};
