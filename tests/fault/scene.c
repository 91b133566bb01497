// SPDX-License-Identifier: Apache-2.0
// The requests of the fault suites (scene.h), written by hand in each dialect, with an order for the scripted provider in
// the user's words.
#include "fault/scene.h"
#include <stdio.h>

const char scene_yaml[] =
    "discovery: off\n"
    "engine:\n"
    "  {binary: $SELF, wait: 10s, keep_alive: 1h, parallel: 4, models: [\n"
    "    {name: warm, file: w.gguf, args: [\"--fake\", ok]}, {name: cold, file: w.gguf, args: [\"--fake\", slow]}]}\n"
    "endpoints:\n"
    "  - {name: openai, provider: openai, url: \"http://127.0.0.1:$SIM/v1\", zone: cloud, key: k, models: [m, bad]}\n"
    "  - {name: anthropic, provider: anthropic, url: \"http://127.0.0.1:$SIM\", zone: cloud, key: k, models: [m]}\n"
    "  - {name: ollama, provider: ollama, url: \"http://127.0.0.1:$SIM\", zone: cloud, key: k, models: [m]}\n"
    "  - {name: plain, provider: llama-server, url: \"http://127.0.0.1:$SIM/v1\", zone: device, models: [\n"
    "    {name: calls, tools: false, vision: false}, {name: answers, tools: false, vision: false}]}\n"
    "routes: {r: {targets: [openai/bad, anthropic/m]}}\n"
    "catalogue: {models: [{name: openai/m, input: 1 USD/M, output: 2 USD/M}]}\n";

// "bad" refuses in a way that tells nothing of its health, so that it is asked first each time.
bool scene_rig(struct rig *r) {
    return rig_start(r, scene_yaml) &&
           rig_sim_script(r, "{\"models\":{\"bad\":{\"error\":\"context_length\"},"
                             "\"calls\":{\"text\":\"{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}\"},"
                             "\"answers\":{\"text\":\"{\\\"answer\\\":{\\\"n\\\":1}}\",\"chunk_chars\":4}}}");
}

#define BIG_ORDER "[[sim {\\\"big\\\":12000,\\\"chunk_chars\\\":8000}]]"
#define ORDER \
    "[[sim {\\\"split\\\":170,\\\"split_us\\\":1000,\\\"text\\\":\\\"one two three four\\\",\\\"chunk_chars\\\":9}]]"

// A model that has no tools is asked for a call, or for an answer by a schema.
#define TOOLS                                                                                                  \
    ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]," \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"required\":[\"n\"]}}}"

// Words that nobody reads, so that buffers and arenas have to grow.
static size_t filler_write(char *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] = i % 6 == 5 ? ' ' : (char)('a' + i % 23);
    return n;
}

void scene_write(struct scene *s) {
    bool anthropic = strcmp(s->dialect, "anthropic") == 0, load = strcmp(s->name, "load") == 0;
    bool tools = strcmp(s->name, "tools") == 0;
    size_t n = (size_t)snprintf(s->body, sizeof s->body, "{\"model\":\"%s\",\"stream\":%s,%s\"messages\":[", s->model,
                                s->stream ? "true" : "false", anthropic ? "\"max_tokens\":64," : "");
    if (!load)
        n += (size_t)snprintf(s->body + n, sizeof s->body - n, "{\"role\":\"user\",\"content\":\"Hi ");
    n += filler_write(s->body + n, (size_t)s->filler << 10);
    if (s->filler)
        n += (size_t)snprintf(s->body + n, sizeof s->body - n, "[[sim {\\\"big\\\":%d}]]", s->filler);
    else if (!load && !tools)
        n += (size_t)snprintf(s->body + n, sizeof s->body - n, "%s", s->slow ? BIG_ORDER : ORDER);
    (void)snprintf(s->body + n, sizeof s->body - n, "%s]%s}", load ? "" : "\"}", tools ? TOOLS : "");
}

const char *scene_path(const struct scene *s) {
    if (strcmp(s->name, "count") == 0)
        return "/v1/messages/count_tokens";
    if (strcmp(s->dialect, "anthropic") == 0)
        return "/v1/messages";
    return strcmp(s->dialect, "ollama") == 0 ? "/api/chat" : "/v1/chat/completions";
}

const char *scene_end(const struct scene *s) {
    if (!s->stream)
        return "";
    if (strcmp(s->dialect, "openai") == 0)
        return "data: [DONE]";
    return strcmp(s->dialect, "anthropic") == 0 ? "message_stop" : "\"done\":true";
}

bool scene_is_answered(const struct scene *s, const struct visit *v) {
    return visit_whole(v) && visit_status(v) == 200 && visit_holds(v, scene_end(s));
}
