// SPDX-License-Identifier: Apache-2.0
// Recorded answers of real servers (OpenAI, Groq, xAI, Mistral, DeepSeek, Azure), as other projects keep them. They lie
// outside the tree, in the folder that GRIDTIE_SHARED names or beside the repository; without it these tests are skipped.
#include <stdio.h>
#include "base/mem.h"
#include "dialect/samples.h"
#include "unit.h"

#define TENSORZERO \
    "tensorzero+tensorzero/crates/tensorzero-core/tests/mock-provider-api/fixtures/openai/chat_completions_"
#define VERCEL "vercel+ai/packages/"

// Streams, one event a line.
static const char *const streams[] = {
    TENSORZERO "streaming_example.jsonl",
    TENSORZERO "streaming_json_example.jsonl",
    TENSORZERO "streaming_function_example.jsonl",
    VERCEL "xai/src/__fixtures__/xai-text.chunks.txt",
    VERCEL "xai/src/__fixtures__/xai-tool-call.chunks.txt",
    VERCEL "mistral/src/__fixtures__/mistral-tool-call.chunks.txt",
    VERCEL "mistral/src/__fixtures__/mistral-text.chunks.txt",
    VERCEL "mistral/src/__fixtures__/mistral-incremental-tool-call.chunks.txt",
    VERCEL "mistral/src/__fixtures__/mistral-reasoning.chunks.txt",
    VERCEL "groq/src/__fixtures__/groq-tool-call.chunks.txt",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-tool-call.chunks.txt",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-reasoning.chunks.txt",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-text.chunks.txt",
    VERCEL "openai-compatible/src/chat/__fixtures__/xai-text.chunks.txt",
    VERCEL "openai-compatible/src/chat/__fixtures__/xai-tool-call.chunks.txt",
    VERCEL "openai/src/chat/__fixtures__/openai-text.chunks.txt",
    VERCEL "openai/src/chat/__fixtures__/azure-model-router.1.chunks.txt",
};

static const char *const answers[] = {
    TENSORZERO "example.json",
    TENSORZERO "function_example.json",
    TENSORZERO "json_example.json",
    VERCEL "xai/src/__fixtures__/xai-tool-call.json",
    VERCEL "xai/src/__fixtures__/xai-text.json",
    VERCEL "mistral/src/__fixtures__/mistral-text.json",
    VERCEL "mistral/src/__fixtures__/mistral-tool-call.json",
    VERCEL "mistral/src/__fixtures__/mistral-reasoning.json",
    VERCEL "groq/src/__fixtures__/groq-tool-call.json",
    VERCEL "groq/src/__fixtures__/groq-reasoning.json",
    VERCEL "groq/src/__fixtures__/groq-text.json",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-json.json",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-tool-call.json",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-text.json",
    VERCEL "deepseek/src/chat/__fixtures__/deepseek-reasoning.json",
    VERCEL "openai-compatible/src/chat/__fixtures__/xai-tool-call.json",
    VERCEL "openai-compatible/src/chat/__fixtures__/xai-text.json",
    VERCEL "openai/src/chat/__fixtures__/openai-text.json",
};

static struct arena arena;

// The file's bytes in the arena; p NULL when it is not there.
static struct slice vector(const char *name) {
    const char *shared = getenv("GRIDTIE_SHARED"), *root = getenv("GRIDTIE_ROOT");
    char path[1024];
    if (shared)
        (void)snprintf(path, sizeof path, "%s/vectors/%s", shared, name);
    else
        (void)snprintf(path, sizeof path, "%s/../shared/vectors/%s", root ? root : ".", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return SLICE_NONE;
    char *bytes = arena_alloc(&arena, 4 << 20);
    size_t n = bytes ? fread(bytes, 1, 4 << 20, file) : 0;
    (void)fclose(file);
    return slice_of(bytes, n);
}

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
}

static const char *implausible(const struct answer *a) {
    if (!a->ended)
        return "no end";
    if (!a->n_blocks || !a->id.n || !a->model.n)
        return "no content, id or model";
    if (!a->choices[0].finish)
        return "no finish";
    for (const struct answer_block *b = a->first; b; b = b->next) {
        struct json_doc doc;
        struct json_error why;
        if (!b->text.len && b->kind != BLOCK_TOOL)
            return "an empty block";
        if (b->kind == BLOCK_TOOL && (!b->name.n || !b->call_id.n))
            return "a call without name or id";
        if (b->kind == BLOCK_TOOL && b->text.len && json_read(&arena, buf_slice(&b->text), &doc, &why))
            return "arguments that are no JSON";
    }
    return NULL;
}

static enum err read_lines(struct slice bytes, struct event_sink *sink) {
    const struct dialect *d = dialect_get(DIALECT_OPENAI);
    struct stream_reader *r = d->reader_new(&arena, OP_CHAT);
    enum err e = r ? ERR_OK : ERR_NO_MEMORY;
    while (bytes.n && !e) {
        struct frame f = {.data = slice_trim(slice_split(&bytes, '\n'))};
        if (f.data.n)
            e = d->reader_frame(r, &f, sink);
    }
    return e ? e : d->reader_finish(r, sink);
}

TEST(vectors_openai_streams_are_read) {
    fresh();
    if (!vector(streams[0]).p)
        SKIP("no recorded payloads");
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; i++) {
        fresh();
        struct answer a;
        struct event_sink sink = {sample_collect, &a};
        CHECK(answer_init(&a, &arena));
        enum err e = read_lines(vector(streams[i]), &sink);
        const char *why = e ? err_name(e) : implausible(&a);
        arena_done(&arena);
        if (why)
            FAIL("%s: %s", streams[i], why);
    }
    fresh();
}

TEST(vectors_openai_answers_are_read) {
    fresh();
    if (!vector(answers[0]).p)
        SKIP("no recorded payloads");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fresh();
        struct answer a;
        struct event_sink sink = {sample_collect, &a};
        CHECK(answer_init(&a, &arena));
        enum err e = dialect_get(DIALECT_OPENAI)->read_answer(&arena, OP_CHAT, vector(answers[i]), &sink);
        const char *why = e ? err_name(e) : implausible(&a);
        bool usage = a.usage.input_tokens > 0 && a.usage.output_tokens > 0;
        arena_done(&arena);
        if (why || !usage)
            FAIL("%s: %s", answers[i], why ? why : "no usage");
    }
    fresh();
}
