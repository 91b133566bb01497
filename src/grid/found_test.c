// SPDX-License-Identifier: Apache-2.0
// Lists of models in the three shapes, and what is no list.
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
    static const char *const bodies[] = {"", "<html>", "[]", "{}", "{\"data\":{}}", "{\"models\":[]}", "{\"data\":[1"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct arena a;
        arena_init(&a, 1u << 20, 0);
        struct found_model *v;
        size_t n;
        CHECK_EQ(found_read(DIALECT_OPENAI, slice_str(bodies[i]), &a, &v, &n), ERR_UP_PROTOCOL);
        arena_done(&a);
    }
}
