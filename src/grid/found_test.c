// SPDX-License-Identifier: Apache-2.0
// Lists of models in the three shapes, and what is no list.
#include <stdio.h>
#include "base/mem.h"
#include "grid/discovery.h"
#include "unit.h"

TEST(found_reads_openai_and_anthropic) {
    struct arena a;
    arena_init(&a, 1u << 20, 0);
    struct found_model *v;
    size_t n;
    struct slice body =
        SLICE("{\"object\":\"list\",\"data\":[{\"id\":\"big\",\"max_model_len\":32768},{\"id\":\"\"},{\"id\":3},"
              "{\"id\":\"vendor/small:free\",\"context_length\":8192},{\"id\":\"a b\"}]}");
    CHECK_EQ(found_read(DIALECT_OPENAI, body, &a, &v, &n), ERR_OK);
    CHECK_EQ(n, 2);
    CHECK(slice_is(v[0].name, "big"));
    CHECK_EQ(v[0].context, 32768);
    CHECK(slice_is(v[1].name, "vendor/small:free"));
    arena_done(&a);
}

TEST(found_reads_ollama_and_its_clouds) {
    struct arena a;
    arena_init(&a, 1u << 20, 0);
    struct found_model *v;
    size_t n;
    struct slice body = SLICE(
        "{\"models\":[{\"name\":\"qwen3:8b\",\"size\":5,\"digest\":\"ab\",\"details\":{\"family\":\"qwen3\"}},"
        "{\"name\":\"gpt-oss:120b-cloud\"},{\"name\":\"x:cloud\"},{\"name\":\"y\",\"remote_host\":\"https://o.example\"}]}");
    CHECK_EQ(found_read(DIALECT_OLLAMA, body, &a, &v, &n), ERR_OK);
    CHECK_EQ(n, 4);
    CHECK(!v[0].cloud && v[1].cloud && v[2].cloud && v[3].cloud);
    CHECK(slice_is(v[0].family, "qwen3"));
    CHECK_EQ(found_read(DIALECT_OLLAMA, SLICE("{\"models\":null}"), &a, &v, &n), ERR_OK);
    CHECK_EQ(n, 0);
    arena_done(&a);
}

TEST(found_refuses_what_is_no_list) {
    static const char *const bodies[] = {"", "<html>", "7", "{}", "{\"data\":{}}", "{\"models\":[]}", "{\"data\":[1"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct arena a;
        arena_init(&a, 1u << 20, 0);
        struct found_model *v;
        size_t n;
        CHECK_EQ(found_read(DIALECT_OPENAI, slice_str(bodies[i]), &a, &v, &n), ERR_UP_PROTOCOL);
        arena_done(&a);
    }
}

TEST(found_reads_what_providers_say_beside_the_name) {
    static const struct {
        const char *body;
        const char *name;
        int64_t context;
        int vision, tools, thinking;
    } rows[] = {
        // Groq
        {"{\"object\":\"list\",\"data\":[{\"id\":\"llama-3.3-70b-versatile\",\"object\":\"model\",\"created\":1733447754,"
         "\"owned_by\":\"Meta\",\"active\":true,\"context_window\":131072,\"max_completion_tokens\":32768}]}",
         "llama-3.3-70b-versatile", 131072, -1, -1, -1},
        // Together: a bare list
        {"[{\"id\":\"meta-llama/Llama-3.3-70B-Instruct-Turbo\",\"object\":\"model\",\"type\":\"chat\",\"context_length\":131072,"
         "\"pricing\":{\"input\":0.88,\"output\":0.88}}]",
         "meta-llama/Llama-3.3-70B-Instruct-Turbo", 131072, -1, -1, -1},
        // Mistral
        {"{\"object\":\"list\",\"data\":[{\"id\":\"mistral-small-latest\",\"object\":\"model\",\"owned_by\":\"mistralai\","
         "\"capabilities\":{\"completion_chat\":true,\"function_calling\":true,\"vision\":true},\"max_context_length\":"
         "131072}]}",
         "mistral-small-latest", 131072, 1, 1, -1},
        // Fireworks
        {"{\"object\":\"list\",\"data\":[{\"id\":\"accounts/fireworks/models/x\",\"kind\":\"HF_BASE_MODEL\",\"supports_chat\":"
         "true,\"supports_image_input\":false,\"supports_tools\":true,\"context_length\":163840}]}",
         "accounts/fireworks/models/x", 163840, 0, 1, -1},
        // OpenRouter
        {"{\"data\":[{\"id\":\"openai/gpt-4o\",\"context_length\":128000,\"architecture\":{\"input_modalities\":[\"text\","
         "\"image\"],\"output_modalities\":[\"text\"]},\"pricing\":{\"prompt\":\"0.0000025\"},\"supported_parameters\":"
         "[\"max_tokens\",\"tools\"]}]}",
         "openai/gpt-4o", 128000, 1, 1, 0},
        // Hugging Face
        {"{\"object\":\"list\",\"data\":[{\"id\":\"openai/gpt-oss-120b\",\"architecture\":{\"input_modalities\":[\"text\"]},"
         "\"providers\":[{\"provider\":\"a\",\"status\":\"live\",\"context_length\":131072},{\"provider\":\"b\"},"
         "{\"provider\":\"c\",\"context_length\":32768}]}]}",
         "openai/gpt-oss-120b", 32768, 0, -1, -1},
        // llama-server, vLLM, SGLang
        {"{\"data\":[{\"id\":\"m.gguf\",\"owned_by\":\"llamacpp\",\"meta\":{\"n_vocab\":1,\"n_ctx\":8192,\"n_ctx_train\":"
         "131072}}]}",
         "m.gguf", 8192, -1, -1, -1},
        {"{\"data\":[{\"id\":\"m\",\"owned_by\":\"sglang\",\"root\":\"m\",\"max_model_len\":40960}]}", "m", 40960, -1,
         -1, -1},
        // Anthropic
        {"{\"data\":[{\"type\":\"model\",\"id\":\"claude-sonnet-4-5\",\"display_name\":\"Claude\",\"created_at\":"
         "\"2025-09-29T00:00:00Z\"}],\"has_more\":false}",
         "claude-sonnet-4-5", 0, -1, -1, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        arena_init(&a, 1u << 20, 0);
        struct found_model *v;
        size_t n;
        CHECK_EQ(found_read(DIALECT_OPENAI, slice_str(rows[i].body), &a, &v, &n), ERR_OK);
        CHECK_EQ(n, 1);
        CHECK(slice_is(v[0].name, rows[i].name));
        CHECK_EQ(v[0].context, rows[i].context);
        CHECK_EQ(v[0].vision, rows[i].vision);
        CHECK_EQ(v[0].tools, rows[i].tools);
        CHECK_EQ(v[0].thinking, rows[i].thinking);
        arena_done(&a);
    }
}

static const char whole[] =
    "{\"data\":[{\"id\":\"a\",\"owned_by\":\"x\",\"zone\":\"edge\",\"capabilities\":{\"vision\":true},"
    "\"architecture\":{\"input_modalities\":[\"image\"]},\"providers\":[{\"context_length\":1}]}]}";

TEST(found_reads_what_openrouter_says_of_prices) {
    static const struct {
        const char *pricing;
        int64_t input, output, cache_read;
    } rows[] = {
        {"{\"prompt\":\"0.0000025\",\"completion\":\"0.00001\",\"request\":\"0\",\"input_cache_read\":"
         "\"0.00000125\"}",
         2500000, 10000000, 1250000},
        {"{\"prompt\":\"0\",\"completion\":\"0\"}", 0, 0, -1},
        {"{\"prompt\":\"-1\",\"completion\":\"-1\"}", -1, -1, -1},
        {"{\"prompt\":\"0.000001\",\"completion\":\"0.000001\",\"request\":\"0.005\"}", -1, -1, -1},
        {"{\"prompt\":\"0.000001\"}", -1, -1, -1},
        {"{\"input\":0.88,\"output\":0.88}", -1, -1, -1},
        {"{\"prompt\":0.88,\"completion\":\"1e9\"}", -1, -1, -1},
        {"7", -1, -1, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        arena_init(&a, 1u << 20, 0);
        struct found_model *v;
        size_t n;
        char body[512];
        (void)snprintf(body, sizeof body, "{\"data\":[{\"id\":\"m\",\"pricing\":%s}]}", rows[i].pricing);
        CHECK_EQ(found_read(DIALECT_OPENAI, slice_str(body), &a, &v, &n), ERR_OK);
        CHECK_EQ(v[0].price.input, rows[i].input);
        CHECK_EQ(v[0].price.output, rows[i].output);
        CHECK_EQ(v[0].price.cache_read, rows[i].cache_read);
        arena_done(&a);
    }
}
TEST(found_every_cut_is_no_list) {
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct arena a;
        arena_init(&a, 1u << 20, 0);
        struct found_model *v;
        size_t found;
        CHECK_EQ(found_read(DIALECT_OPENAI, slice_of(whole, n), &a, &v, &found), ERR_UP_PROTOCOL);
        arena_done(&a);
    }
}

TEST(found_every_allocation_may_fail) {
    for (unsigned long k = 1; k < 20; k++) {
        struct arena a;
        arena_init(&a, 1u << 20, 0);
        struct found_model *v;
        size_t found;
        mem_fail_at(k);
        enum err e = found_read(DIALECT_OPENAI, slice_str(whole), &a, &v, &found);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        arena_done(&a);
    }
}
