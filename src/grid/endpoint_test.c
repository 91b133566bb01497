// SPDX-License-Identifier: Apache-2.0
// Endpoints from config: zones where config is silent, keys that may and may not travel, problems that name the line.
#include <stdio.h>
#include <stdlib.h>
#include "grid/endpoint.h"
#include "unit.h"

static struct endpoint *made(const char *provider, const char *url, struct buf *problem) {
    struct config_endpoint c = {.name = "x", .provider = provider, .url = url, .line = 7};
    struct endpoint *e = NULL;
    return endpoint_new(&c, &e, problem) == ERR_OK ? e : NULL;
}

static int zone_at(const char *provider, const char *url) {
    struct buf why = BUF_INIT(4096);
    struct endpoint *e = made(provider, url, &why);
    int zone = e ? (int)e->zone : -1;
    endpoint_unref(e);
    buf_done(&why);
    return zone;
}

TEST(endpoint_zone_errs_to_the_outside) {
    CHECK_EQ(zone_at("llama-server", NULL), ZONE_DEVICE);
    CHECK_EQ(zone_at("llama-server", "http://localhost:9000/v1"), ZONE_DEVICE);
    CHECK_EQ(zone_at("llama-server", "http://192.168.1.4:8080/v1"), ZONE_EDGE);
    CHECK_EQ(zone_at("ollama", NULL), ZONE_EDGE);
    CHECK_EQ(zone_at("vllm", NULL), ZONE_EDGE);
    CHECK_EQ(zone_at("vllm", "http://lab.internal:8000/v1"), ZONE_EDGE);
    CHECK_EQ(zone_at("vllm", "https://vllm.example/v1"), ZONE_CLOUD);
    CHECK_EQ(zone_at("openai", "http://127.0.0.1:4000/v1"), ZONE_CLOUD);
}

TEST(endpoint_config_zone_wins) {
    struct config_endpoint c = {
        .name = "x", .provider = "vllm", .url = "https://vllm.example/v1/", .has_zone = true, .zone = ZONE_SEALED};
    struct buf why = BUF_INIT(4096);
    struct endpoint *e = NULL;
    CHECK_EQ(endpoint_new(&c, &e, &why), ERR_OK);
    CHECK_EQ(e->zone, ZONE_SEALED);
    CHECK(slice_is(e->base_path, "/v1"));
    endpoint_unref(e);
}

TEST(endpoint_usual_key_stays_with_its_host) {
    setenv("OPENAI_API_KEY", "sk-usual", 1);
    struct buf why = BUF_INIT(4096);
    struct endpoint *own = made("openai", NULL, &why), *other = made("openai", "https://llm.example/v1", &why);
    CHECK(own && other);
    CHECK(secret_equals(&own->key, SLICE("sk-usual")));
    CHECK(secret_is_empty(&other->key));
    CHECK_STREQ(other->provider->name, "openai-compatible");
    endpoint_unref(own);
    endpoint_unref(other);
    unsetenv("OPENAI_API_KEY");
}

TEST(endpoint_problems_say_what_to_do) {
    unsetenv("GROQ_API_KEY");
    struct buf why = BUF_INIT(4096);
    CHECK(!made("groq", NULL, &why));
    CHECK(slice_search(buf_slice(&why), SLICE("set GROQ_API_KEY")) != SIZE_MAX);
    CHECK(slice_search(buf_slice(&why), SLICE("line 7")) != SIZE_MAX);
    buf_clear(&why);
    CHECK(!made("nobody", NULL, &why));
    CHECK(slice_search(buf_slice(&why), SLICE("known are openai")) != SIZE_MAX);
    buf_clear(&why);
    CHECK(!made("openai-compatible", NULL, &why));
    CHECK(slice_search(buf_slice(&why), SLICE("needs a url")) != SIZE_MAX);
    buf_done(&why);
}

static const char *path_at(const char *url, const char *version, const char *model) {
    static char text[256];
    struct config_endpoint c = {.name = "x", .provider = "azure", .url = url, .api_version = version};
    struct buf why = BUF_INIT(4096);
    struct arena a;
    struct endpoint *e = NULL;
    (void)secret_set(&c.key, SLICE("k"));
    arena_init(&a, 65536, 0);
    text[0] = 0;
    if (endpoint_new(&c, &e, &why) == ERR_OK)
        (void)snprintf(text, sizeof text, "%s", endpoint_path(e, slice_str(model), "/chat/completions", &a).p);
    endpoint_unref(e);
    secret_done(&c.key);
    arena_done(&a);
    buf_done(&why);
    return text;
}

TEST(endpoint_paths_by_deployment) {
    CHECK_STREQ(path_at("https://r.openai.azure.com", NULL, "gpt-4o"),
                "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21");
    CHECK_STREQ(path_at("https://r.openai.azure.com/", "2025-01-01-preview", "a/../b?c"),
                "/openai/deployments/a%2F..%2Fb%3Fc/chat/completions?api-version=2025-01-01-preview");
    CHECK_STREQ(path_at("https://r.openai.azure.com/openai/v1/", NULL, "gpt-4o"), "/openai/v1/chat/completions");
}

TEST(endpoint_of_ones_own_needs_no_key_of_the_provider) {
    struct buf why = BUF_INIT(4096);
    struct endpoint *own = made("nvidia", "http://10.0.0.7:8000/v1", &why);
    CHECK(own != NULL);
    endpoint_unref(own);
    (void)unsetenv("NVIDIA_API_KEY");
    CHECK(!made("nvidia", NULL, &why));
    CHECK(!made("azure", "https://r.openai.azure.com", &why));
    buf_done(&why);
}
