// SPDX-License-Identifier: Apache-2.0
// The lists, field by field where clients are strict. That the official libraries take them is tested in tests/sdk.
#include "dialect/lists.h"
#include "base/json.h"
#include "unit.h"

static const struct model_row rows[] = {
    {.name = SLICE("qwen3:8b"),
     .owner = SLICE("local"),
     .family = SLICE("qwen3"),
     .parameter_size = SLICE("8.2B"),
     .quantization = SLICE("Q4_K_M"),
     .context = 40960,
     .parameters = 8200000000,
     .size_bytes = 5200000000,
     .vram_bytes = 100,
     .created_s = 1700000000,
     .local = true,
     .loaded = true,
     .tools = true,
     .thinking = true},
    {.name = SLICE("cloud/\"big\""), .owner = SLICE("cloud")},
    {.name = SLICE("auto")},
};
#define N (sizeof rows / sizeof rows[0])

static yyjson_val *parsed(struct arena *a, struct buf *b) {
    struct json_doc doc;
    struct json_error why;
    if (b->failed || json_read(a, arena_copy(a, buf_slice(b)), &doc, &why))
        return NULL;
    buf_clear(b);
    return yyjson_doc_get_root(doc.doc);
}

TEST(list_openai_has_every_model) {
    struct arena a;
    struct buf b = BUF_INIT(65536);
    arena_init(&a, 1 << 20, 0);
    list_openai(&b, rows, N);
    yyjson_val *root = parsed(&a, &b), *data = yyjson_obj_get(root, "data");
    CHECK(slice_is(json_get_str(root, "object"), "list"));
    CHECK_EQ(yyjson_arr_size(data), N);
    CHECK(slice_is(json_get_str(yyjson_arr_get(data, 1), "id"), "cloud/\"big\""));
    CHECK(slice_is(json_get_str(yyjson_arr_get(data, 2), "owned_by"), "gridtie"));
    list_openai_one(&b, &rows[0]);
    CHECK_EQ(json_get_int(parsed(&a, &b), "created", -1), 1700000000);
    buf_done(&b);
    arena_done(&a);
}

struct page_case {
    struct list_page page;
    const char *first, *last;
    bool more;
};

static void check_page(const struct page_case *c) {
    struct arena a;
    struct buf b = BUF_INIT(65536);
    arena_init(&a, 1 << 20, 0);
    list_anthropic(&b, rows, N, &c->page);
    yyjson_val *root = parsed(&a, &b);
    struct slice first = json_get_str(root, "first_id"), last = json_get_str(root, "last_id");
    bool more = yyjson_is_true(yyjson_obj_get(root, "has_more"));
    bool fine = c->first ? slice_is(first, c->first) && slice_is(last, c->last) : !first.p && !last.p;
    buf_done(&b);
    arena_done(&a);
    CHECK(fine);
    CHECK_EQ(more, c->more);
}

TEST(list_anthropic_gives_pages) {
    const struct page_case cases[] = {
        {{.limit = 0}, "qwen3:8b", "auto", false},
        {{.limit = 2}, "qwen3:8b", "cloud/\"big\"", true},
        {{.limit = 2, .after = SLICE("cloud/\"big\"")}, "auto", "auto", false},
        {{.limit = 2, .after = SLICE("auto")}, NULL, NULL, false},
        {{.limit = 1, .before = SLICE("auto")}, "cloud/\"big\"", "cloud/\"big\"", true},
        {{.limit = 5, .before = SLICE("auto")}, "qwen3:8b", "cloud/\"big\"", false},
        {{.limit = 5, .before = SLICE("qwen3:8b")}, NULL, NULL, false},
        {{.limit = 9999, .after = SLICE("unknown")}, "qwen3:8b", "auto", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_page(&cases[i]);
}

TEST(list_ollama_knows_what_is_loaded) {
    struct arena a;
    struct buf b = BUF_INIT(65536);
    arena_init(&a, 1 << 20, 0);
    list_ollama_tags(&b, rows, N);
    yyjson_val *models = yyjson_obj_get(parsed(&a, &b), "models"), *first = yyjson_arr_get_first(models);
    CHECK_EQ(yyjson_arr_size(models), N);
    CHECK_EQ(json_get_str(first, "digest").n, 64);
    CHECK(slice_is(json_get_str(first, "modified_at"), "2023-11-14T22:13:20.000Z"));
    CHECK(slice_is(json_get_str(yyjson_obj_get(first, "details"), "format"), "gguf"));
    CHECK_EQ(yyjson_arr_size(yyjson_obj_get(first, "capabilities")), 3);
    list_ollama_ps(&b, rows, N);
    models = yyjson_obj_get(parsed(&a, &b), "models");
    CHECK_EQ(yyjson_arr_size(models), 1);
    CHECK(slice_is(json_get_str(yyjson_arr_get_first(models), "expires_at"), "2300-01-01T00:00:00.000Z"));
    buf_done(&b);
    arena_done(&a);
}

TEST(list_ollama_shows_a_model) {
    struct arena a;
    struct buf b = BUF_INIT(65536);
    arena_init(&a, 1 << 20, 0);
    list_ollama_show(&b, &rows[0]);
    yyjson_val *info = yyjson_obj_get(parsed(&a, &b), "model_info");
    CHECK_EQ(json_get_int(info, "qwen3.context_length", -1), 40960);
    CHECK(slice_is(json_get_str(info, "general.architecture"), "qwen3"));
    list_ollama_show(&b, &rows[1]);
    CHECK(parsed(&a, &b) != NULL);
    list_ollama_version(&b, SLICE("0.12.6"));
    CHECK(slice_is(json_get_str(parsed(&a, &b), "version"), "0.12.6"));
    buf_done(&b);
    arena_done(&a);
}
