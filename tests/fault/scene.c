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
    "  - {name: responses, provider: openai-responses, url: \"http://127.0.0.1:$SIM/v1\", zone: cloud, key: k, models: [m]}\n"
    "  - {name: gemini, provider: gemini, url: \"http://127.0.0.1:$SIM/v1beta\", zone: cloud, key: k, models: [m]}\n"
    "  - {name: plain, provider: llama-server, url: \"http://127.0.0.1:$SIM/v1\", zone: device, models: [\n"
    "    {name: calls, tools: false, vision: false}, {name: answers, tools: false, vision: false}]}\n" SCENE_MONEY
    "routes: {r: {targets: [openai/bad, anthropic/m]}}\n"
    "catalogue: {models: [{name: openai/m, input: 1 USD/M, output: 2 USD/M}]}\n";

// "bad" refuses in a way that tells nothing of its health, so that it is asked first each time.
bool scene_rig(struct rig *r) {
    return rig_start(r, scene_yaml) &&
           rig_sim_script(r, "{\"models\":{\"bad\":{\"error\":\"context_length\"},"
                             "\"calls\":{\"text\":\"{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{}}\"},"
                             "\"answers\":{\"text\":\"{\\\"answer\\\":{\\\"n\\\":1}}\",\"chunk_chars\":4}}}");
}

#define BIG_ORDER "[[sim {\\\"big\\\":12000,\\\"chunk_chars\\\":8000,\\\"ignore_max\\\":true}]]"
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

// Copies a pattern with $M and $S in it; its length.
static int text_fill(char *to, size_t n, const char *pattern, const char *model, const char *stream) {
    size_t put = 0;
    for (const char *p = pattern; *p && put < n; p++) {
        const char *in = p[0] == '$' && p[1] == 'M' ? model : p[0] == '$' && p[1] == 'S' ? stream : NULL;
        put += (size_t)snprintf(to + put, n - put, "%.*s", in ? 1000 : 1, in ? in : p);
        p += in != NULL;
    }
    return (int)put;
}

// How a client of each dialect says it: around the user's words, where to, and what only a proper end has.
static const struct shape {
    const char *dialect, *before, *after; // $M: the model, $S: whether it is a stream
    const char *path, *stream_path;
    const char *end;
} shapes[] = {
    {"openai", "{\"model\":\"$M\",\"stream\":$S,\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]",
     "/v1/chat/completions", "/v1/chat/completions", "data: [DONE]"},
    {"anthropic", "{\"model\":\"$M\",\"stream\":$S,\"max_tokens\":64,\"messages\":[{\"role\":\"user\",\"content\":\"",
     "\"}]", "/v1/messages", "/v1/messages", "message_stop"},
    {"ollama", "{\"model\":\"$M\",\"stream\":$S,\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]", "/api/chat",
     "/api/chat", "\"done\":true"},
    {"responses", "{\"model\":\"$M\",\"stream\":$S,\"input\":\"", "\"", "/v1/responses", "/v1/responses",
     "response.completed"},
    {"gemini", "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"", "\"}]}]",
     "/v1beta/models/$M:generateContent", "/v1beta/models/$M:streamGenerateContent?alt=sse", "finishReason"},
};

static const struct shape *shape_of(const struct scene *s) {
    size_t i = 0;
    while (i + 1 < sizeof shapes / sizeof shapes[0] && strcmp(shapes[i].dialect, s->dialect) != 0)
        i++;
    return &shapes[i];
}

// A request, and a whole answer, that are too much for a loop: many quotes, and many words.
static size_t much_write(const struct scene *s, char *to, size_t n) {
    size_t put = 0;
    for (size_t i = 0; i <= LIMIT_LOOP_JSON_QUOTES; i++)
        put += (size_t)snprintf(to + put, n - put, "\\\"");
    if (!s->stream)
        put += (size_t)snprintf(to + put, n - put, "[[sim {\\\"big\\\":%u,\\\"ignore_max\\\":true}]]",
                                LIMIT_LOOP_JSON_BYTES >> 10);
    return put;
}

static size_t words_write(const struct scene *s, char *to, size_t n) {
    size_t put = (size_t)snprintf(to, n, "Hi ");
    if (s->much)
        return put + much_write(s, to + put, n - put);
    put += filler_write(to + put, (size_t)s->filler << 10);
    if (s->filler)
        put += (size_t)snprintf(to + put, n - put, "[[sim {\\\"big\\\":%d}]]", s->filler);
    else if (strcmp(s->name, "tools") != 0)
        put += (size_t)snprintf(to + put, n - put, "%s", s->slow ? BIG_ORDER : ORDER);
    return put;
}

void scene_write(struct scene *s) {
    const struct shape *shape = shape_of(s);
    if (strcmp(s->name, "load") == 0) {
        (void)snprintf(s->body, sizeof s->body, "{\"model\":\"%s\",\"stream\":false,\"messages\":[]}", s->model);
        return;
    }
    size_t n = (size_t)text_fill(s->body, sizeof s->body, shape->before, s->model, s->stream ? "true" : "false");
    n += words_write(s, s->body + n, sizeof s->body - n);
    (void)snprintf(s->body + n, sizeof s->body - n, "%s%s}", shape->after, strcmp(s->name, "tools") == 0 ? TOOLS : "");
}

bool scene_is_paid(const struct scene *s) {
    return strcmp(s->name, "paid") == 0;
}

const char *scene_path(const struct scene *s) {
    static char path[256];
    const struct shape *shape = shape_of(s);
    if (strcmp(s->name, "count") == 0)
        return "/v1/messages/count_tokens";
    int n = text_fill(path, sizeof path, s->stream ? shape->stream_path : shape->path, s->model, "");
    if (scene_is_paid(s))
        (void)snprintf(path + n, sizeof path - (size_t)n, "?key=s");
    return path;
}

const char *scene_end(const struct scene *s) {
    return s->stream ? shape_of(s)->end : "";
}

bool scene_is_answered(const struct scene *s, const struct visit *v) {
    bool broken =
        s->stream && visit_holds(v, "\"error\":{"); // Gemini's end is the end of the stream: an error may follow
    return visit_whole(v) && visit_status(v) == 200 && visit_holds(v, scene_end(s)) && !broken;
}
