// SPDX-License-Identifier: Apache-2.0
// The catalogue: prices to the pico-USD, names and clauses, what differs, what is no table, and a file that was tampered
// with. On the real tables too, where they were fetched.
#include "grid/catalogue.h"
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "grid/catalogue_inner.h"
#include "unit.h"

#define TODAY INT64_C(1793923200) // 2026-11-06

static const char litellm[] =
    "{\"sample_spec\":{\"litellm_provider\":\"one of many\",\"input_cost_per_token\":0},"
    "\"gpt-4o\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"input_cost_per_token\":2.5e-06,\"output_cost_per_token\":"
    "1e-05,\"cache_read_input_token_cost\":1.25e-06,\"max_input_tokens\":128000,\"max_output_tokens\":16384,"
    "\"supports_function_calling\":true,\"supports_vision\":true,\"deprecation_date\":\"2027-01-14\"},"
    "\"groq/openai/gpt-oss-20b\":{\"litellm_provider\":\"groq\",\"mode\":\"chat\",\"input_cost_per_token\":7.5e-08,"
    "\"output_cost_per_token\":3e-07},"
    "\"gemini/gemini-2.5-pro\":{\"litellm_provider\":\"gemini\",\"mode\":\"chat\",\"input_cost_per_token\":1.25e-06,"
    "\"output_cost_per_token\":1e-05,\"cache_read_input_token_cost\":1.25e-07,"
    "\"input_cost_per_token_above_200k_tokens\":2.5e-06,\"output_cost_per_token_above_200k_tokens\":1.5e-05,"
    "\"cache_read_input_token_cost_above_200k_tokens\":2.5e-07},"
    "\"deepseek-chat\":{\"litellm_provider\":\"deepseek\",\"input_cost_per_token\":1e-07,\"output_cost_per_token\":2e-07},"
    "\"deepseek/deepseek-chat\":{\"litellm_provider\":\"deepseek\",\"input_cost_per_token\":2.8e-07,\"output_cost_per_token\":"
    "4.2e-07,\"cache_creation_input_token_cost\":0.0},"
    "\"text-embedding-3-small\":{\"litellm_provider\":\"openai\",\"mode\":\"embedding\",\"input_cost_per_token\":2e-08},"
    "\"no-price\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"max_input_tokens\":\"many\"},"
    "\"odd\":{\"litellm_provider\":\"openai\",\"input_cost_per_token\":-1,\"output_cost_per_token\":\"free\"},"
    "\"dear\":{\"litellm_provider\":\"openai\",\"input_cost_per_token\":1e9,\"output_cost_per_token\":1}}";

static const char genai[] =
    "[{\"id\":\"openai\",\"models\":["
    "{\"id\":\"gpt-4o\",\"match\":{\"or\":[{\"equals\":\"gpt-4o\"},{\"regex\":\"^gpt-4o-\\\\d{4}-\\\\d{2}-\\\\d{2}$\"}]},\"context\":"
    "128000,\"prices\":[{\"from\":null,\"input\":\"2.5\",\"output\":\"10\",\"cache_read\":\"1.25\"}]},"
    "{\"id\":\"no-price\",\"match\":{\"equals\":\"no-price\"},\"context\":4096,\"prices\":[{\"from\":null,\"input\":\"0.000001\","
    "\"output\":\"3.141592\"}]},"
    "{\"id\":\"dated\",\"match\":{\"and\":[{\"starts_with\":\"da\"},{\"ends_with\":\"ted\"},{\"contains\":\"t\"}]},\"context\":0,"
    "\"prices\":[{\"from\":null,\"input\":\"1\",\"output\":\"1\"},{\"from\":\"2026-11-06\",\"input\":\"2\",\"output\":\"2\"},"
    "{\"from\":\"2026-11-07\",\"input\":\"3\",\"output\":\"3\"}]},"
    "{\"id\":\"unsaid\",\"match\":{\"regex\":\"^(?!x)unsaid\"},\"prices\":[{\"from\":null,\"input\":\"1\",\"output\":\"1\"}]}]},"
    "{\"id\":\"deepseek\",\"models\":[{\"id\":\"deepseek-chat\",\"match\":{\"starts_with\":\"deepseek-chat\"},\"context\":64000,"
    "\"prices\":[{\"from\":null,\"input\":\"0.135\",\"output\":\"0.55\",\"cache_read\":\"0.035\"}]}]},"
    "{\"id\":\"anthropic\",\"models\":[{\"id\":\"opus\",\"match\":{\"or\":[{\"or\":[{\"equals\":\"opus\"}]}]},\"prices\":[{\"from\":null,"
    "\"input\":\"5\",\"output\":\"25\",\"cache_write\":\"6.25\",\"tier\":200000,\"tier_input\":\"10\",\"tier_output\":\"37.5\","
    "\"tier_cache_write\":\"12.5\"}]}]}]";

static struct catalogue *made(const char *first, const char *second, struct buf *file) {
    struct buf problem = BUF_INIT(4096);
    struct catalogue *c = NULL;
    enum err e = catalogue_compile(slice_str(first), slice_str(second),
                                   SLICE("{\"litellm\":\"1.2.3\",\"genai-prices\":\"0.4\"}"), TODAY, file, &problem);
    if (e == ERR_OK)
        e = catalogue_of(buf_slice(file), &c);
    if (e != ERR_OK)
        unit_fail(__FILE__, __LINE__, "%s: %s", err_name(e), buf_cstr(&problem));
    buf_done(&problem);
    return c;
}

static bool find(const struct catalogue *c, const char *provider, const char *model, struct model_facts *f) {
    return catalogue_find(c, provider_by_name(slice_str(provider)), slice_str(model), f);
}

TEST(catalogue_prices_are_exact) {
    struct buf file = BUF_INIT(1u << 20);
    struct catalogue *c = made(litellm, genai, &file);
    struct model_facts f;
    CHECK(c && find(c, "openai", "gpt-4o", &f));
    CHECK(f.price.input == 2500000 && f.price.output == 10000000 && f.price.cache_read == 1250000 &&
          f.price.cache_write == -1 && f.price.tier_tokens == 0);
    CHECK(f.context == 128000 && f.max_output == 16384 && f.can == (CAN_CHAT | CAN_TOOLS | CAN_SEE));
    CHECK(f.retires == 20270114 && !f.differs);
    CHECK_STREQ(f.source, "litellm");
    CHECK(find(c, "openai-responses", "gpt-4o", &f) && f.price.input == 2500000);
    CHECK(find(c, "groq", "openai/gpt-oss-20b", &f) && f.price.input == 75000 && f.price.output == 300000);
    CHECK(find(c, "openai", "text-embedding-3-small", &f) && f.price.input == 20000 && f.price.output == 0);
    CHECK(find(c, "gemini", "gemini-2.5-pro", &f));
    CHECK(f.price.tier_tokens == 200000 && f.price.tier_input == 2500000 && f.price.tier_output == 15000000 &&
          f.price.tier_cache_read == 250000 && f.price.tier_cache_write == -1);
    catalogue_unref(c);
    buf_done(&file);
}

TEST(catalogue_rules_match_what_no_row_names) {
    struct buf file = BUF_INIT(1u << 20);
    struct catalogue *c = made(litellm, genai, &file);
    struct model_facts f;
    CHECK(c && find(c, "openai", "gpt-4o-2024-08-06", &f) && f.price.input == 2500000 && slice_is(f.matched, "gpt-4o"));
    CHECK_STREQ(f.source, "genai-prices");
    CHECK(!find(c, "openai", "gpt-4o-2024-08-6", &f) && !find(c, "openai", "gpt-4o-mini", &f));
    CHECK(find(c, "openai", "no-price", &f) && f.price.input == 1 && f.price.output == 3141592 && f.context == 4096);
    CHECK(find(c, "openai", "dated", &f) && f.price.input == 2000000);
    CHECK(!find(c, "openai", "da", &f) && !find(c, "openai", "unsaid", &f));
    CHECK(find(c, "anthropic", "opus", &f) && f.price.cache_write == 6250000 && f.price.tier_tokens == 200000 &&
          f.price.tier_cache_write == 12500000 && f.price.tier_cache_read == -1);
    catalogue_unref(c);
    buf_done(&file);
}

TEST(catalogue_regexes_that_explode_are_refused) {
    static const char *const wild[] = {"(a{9}){9}", "a{99}{99}", "a{100}", "a{1,}", "{2}", "a+{9}", "a{9", "a{}"};
    for (size_t i = 0; i < sizeof wild / sizeof wild[0]; i++)
        if (catalogue_regex_is_tame(wild[i]))
            FAIL("%s", wild[i]);
    CHECK(catalogue_regex_is_tame("^m-[0-9]{4}-[0-9]{2}$"));
    char long_one[600];
    memset(long_one, 'a', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = 0;
    CHECK(!catalogue_regex_is_tame(long_one));
}

TEST(catalogue_differences_are_told) {
    struct buf file = BUF_INIT(1u << 20), out = BUF_INIT(1u << 20);
    struct catalogue *c = made(litellm, genai, &file);
    struct json_writer w = JSON_WRITER(&out);
    struct model_facts f;
    CHECK(c && find(c, "deepseek", "deepseek-chat", &f) && f.differs);
    CHECK(f.price.input == 280000 && f.price.cache_write == -1 && f.other.input == 135000); // of two rows the dearer
    catalogue_diff_json(c, &w);
    CHECK(slice_search(buf_slice(&out), SLICE("\"deepseek-chat\"")) != SIZE_MAX);
    CHECK(slice_search(buf_slice(&out), SLICE("\"gpt-4o\"")) == SIZE_MAX);
    catalogue_unref(c);
    buf_done(&file);
    buf_done(&out);
}

TEST(catalogue_odd_prices_are_unknown) {
    struct buf file = BUF_INIT(1u << 20);
    struct catalogue *c = made(litellm, "", &file);
    struct model_facts f;
    CHECK(c && find(c, "openai", "odd", &f) && !price_known(&f.price) && !f.source);
    CHECK(find(c, "openai", "dear", &f) && !price_known(&f.price));
    CHECK(find(c, "openai", "no-price", &f) && !price_known(&f.price) && f.context == 0);
    CHECK(!find(c, "openai", "sample_spec", &f) && !find(c, "openai", "", &f) && !find(c, "ollama", "gpt-4o", &f));
    CHECK(!find(NULL, "openai", "gpt-4o", &f));
    catalogue_unref(c);
    buf_done(&file);
}

TEST(catalogue_decimals) {
    static const struct {
        const char *text;
        int shift;
        int64_t picousd; // -1: refused
    } rows[] = {{"2.5", 0, 2500000000000},
                {"0.15", -6, 150000},
                {"10", -6, 10000000},
                {"0.0000001", -6, 0},
                {"1.2345678", -6, 1234567},
                {".5", -6, 500000},
                {"5.", -6, 5000000},
                {"", -6, -1},
                {".", -6, -1},
                {"-1", -6, -1},
                {"1e3", -6, -1},
                {"1.2.3", -6, -1},
                {"99999999999999999999", -6, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t v = -1;
        if (!catalogue_picousd(slice_str(rows[i].text), rows[i].shift, &v))
            v = -1;
        if (v != rows[i].picousd)
            FAIL("%s: %lld", rows[i].text, (long long)v);
    }
}

TEST(catalogue_what_is_no_table_is_refused) {
    static const char *const wrong[][2] = {{"[]", ""}, {"", "{}"}, {"{", ""}, {"", "[1"}, {"7", ""}, {"<html>", ""}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct buf file = BUF_INIT(1u << 20), problem = BUF_INIT(4096);
        CHECK_EQ(catalogue_compile(slice_str(wrong[i][0]), slice_str(wrong[i][1]), SLICE_NONE, TODAY, &file, &problem),
                 ERR_UP_PROTOCOL);
        CHECK(problem.len > 0);
        buf_done(&file);
        buf_done(&problem);
    }
    // What is a table of other things gives an empty one.
    struct buf file = BUF_INIT(1u << 20);
    struct model_facts f;
    struct catalogue *c =
        made("{\"a\":1,\"b\":{},\"c\":[]}", "[1,{\"id\":2,\"models\":[{},7]},{\"models\":{}}]", &file);
    CHECK(c && !find(c, "openai", "a", &f));
    catalogue_unref(c);
    buf_done(&file);
}

// Whatever stands in the file: it is refused, or it can be read without harm.
static void try_file(struct slice file) {
    struct catalogue *c = NULL;
    struct model_facts f;
    struct buf out = BUF_INIT(1u << 20);
    struct json_writer w = JSON_WRITER(&out);
    if (catalogue_of(file, &c) != ERR_OK)
        return;
    (void)find(c, "openai", "gpt-4o-2024-08-06", &f);
    (void)find(c, "anthropic", "opus", &f);
    catalogue_summary_json(c, &w);
    catalogue_diff_json(c, &w);
    catalogue_search_json(c, SLICE("g"), 10, &w);
    catalogue_unref(c);
    buf_done(&out);
}

TEST(catalogue_a_broken_file_does_no_harm) {
    struct buf file = BUF_INIT(1u << 20);
    struct catalogue *c = made(litellm, genai, &file);
    catalogue_unref(c);
    for (size_t n = 0; n < file.len; n++) {
        c = NULL;
        CHECK_EQ(catalogue_of(slice_of(file.p, n), &c), ERR_UP_PROTOCOL);
    }
    for (size_t i = 0; i < file.len; i++) {
        char before = file.p[i];
        static const char bytes[] = {0, 1, 0x7f, (char)0x80, (char)0xff};
        for (size_t k = 0; k < sizeof bytes; k++) {
            file.p[i] = bytes[k];
            try_file(buf_slice(&file));
        }
        file.p[i] = before;
    }
    buf_done(&file);
}

TEST(catalogue_every_allocation_may_fail) {
    for (unsigned long k = 1; k < 400; k++) {
        struct buf file = BUF_INIT(1u << 20), problem = BUF_INIT(4096);
        struct catalogue *c = NULL;
        mem_fail_at(k);
        enum err e = catalogue_compile(slice_str(litellm), slice_str(genai), SLICE("{}"), TODAY, &file, &problem);
        if (e == ERR_OK)
            e = catalogue_of(buf_slice(&file), &c);
        mem_fail_at(0);
        if (e != ERR_OK)
            CHECK(e == ERR_NO_MEMORY || e == ERR_UP_PROTOCOL);
        catalogue_unref(c);
        buf_done(&file);
        buf_done(&problem);
    }
}

// ---- the real tables

static bool folder_compile(const char *folder, struct catalogue **ret) {
    char to[] = "/tmp/gridtie-catalogue-XXXXXX";
    struct buf problem = BUF_INIT(4096);
    int fd = mkstemp(to);
    enum err e = catalogue_compile_files(folder, to, TODAY, &problem);
    if (e == ERR_OK)
        e = catalogue_open(to, ret);
    if (e != ERR_OK && e != ERR_NOT_FOUND)
        unit_fail(__FILE__, __LINE__, "%s: %s", err_name(e), buf_cstr(&problem));
    (void)close(fd);
    (void)unlink(to);
    buf_done(&problem);
    return e == ERR_OK;
}

TEST(catalogue_of_the_real_tables) {
    struct buf folder = BUF_INIT(4096);
    struct catalogue *c = NULL;
    struct model_facts f;
    fs_cache_dir(&folder);
    buf_append_str(&folder, "/catalogue");
    bool there = folder_compile(buf_cstr(&folder), &c);
    buf_done(&folder);
    if (!there)
        SKIP("the tables are not fetched (tools/setup catalogue)");
    CHECK(find(c, "openai", "gpt-4o", &f) && f.price.input == 2500000 && f.price.output == 10000000);
    CHECK(find(c, "anthropic", "claude-sonnet-4-5-20250929", &f) && price_known(&f.price) && f.context >= 200000);
    CHECK(find(c, "openrouter", "openai/gpt-4o", &f) && price_known(&f.price));
    CHECK(find(c, "gemini", "gemini-2.5-pro", &f) && f.price.tier_tokens == 200000);
    catalogue_unref(c);
}
