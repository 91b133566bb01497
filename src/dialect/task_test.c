// SPDX-License-Identifier: Apache-2.0
// Vectors both ways, and what surrounds them: every length of base64, what is none, every cut, every allocation. Whole
// exchanges stand in tests/cases (embed-*, rerank, completions).
#include "dialect/task.h"
#include "base/mem.h"
#include "dialect/samples.h"
#include "unit.h"

static enum err convert(const char *json, bool as_base64, struct buf *out) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    struct json_writer w = JSON_WRITER(out);
    arena_init(&a, 1 << 20, 0);
    enum err e = json_read(&a, slice_str(json), &doc, &why);
    if (!e)
        e = vector_put(&w, yyjson_doc_get_root(doc.doc), as_base64);
    arena_done(&a);
    return e;
}

TEST(task_vectors_convert_both_ways) {
    static const char *const rows[][2] = {{"[]", "\"\""},
                                          {"[1]", "\"AACAPw==\""},
                                          {"[1,-2]", "\"AACAPwAAAMA=\""},
                                          {"[1,-2,0.5]", "\"AACAPwAAAMAAAAA/\""},
                                          {"[0,0,0,65504]", "\"AAAAAAAAAAAAAAAAAOB/Rw==\""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf packed = BUF_INIT(4096), list = BUF_INIT(4096), same = BUF_INIT(4096);
        CHECK_EQ(convert(rows[i][0], true, &packed), ERR_OK);
        CHECK_STREQ(buf_cstr(&packed), rows[i][1]);
        CHECK_EQ(convert(rows[i][1], false, &list), ERR_OK);
        CHECK_STREQ(buf_cstr(&list), rows[i][0]);
        CHECK_EQ(convert(rows[i][1], true, &same), ERR_OK);
        CHECK_STREQ(buf_cstr(&same), rows[i][1]);
        buf_done(&packed);
        buf_done(&list);
        buf_done(&same);
    }
}

TEST(task_vectors_that_are_none_are_refused) {
    static const struct {
        const char *json;
        bool as_base64;
    } rows[] = {{"7", false},       {"null", true},  {"{}", false},       {"[1,\"a\"]", true},
                {"\"AAA\"", false}, {"[[1]]", true}, {"\"AA A\"", false}, {"\"AACAPwA=\"", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = BUF_INIT(4096);
        if (convert(rows[i].json, rows[i].as_base64, &out) != ERR_UP_PROTOCOL)
            FAIL("%s", rows[i].json);
        buf_done(&out);
    }
}

// ---- the whole way: a client's request read and written, an upstream's answer read and written

struct way {
    enum dialect_id client, upstream;
    enum op op;
    const char *request, *answer;
};

static const struct way ways[] = {
    {DIALECT_OPENAI, DIALECT_OPENAI, OP_EMBED,
     "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"base64\"}",
     "{\"data\":[{\"index\":1,\"embedding\":[1]},{\"index\":0,\"embedding\":\"AACAPw==\"}],\"usage\":{\"total_tokens\":2}}"},
    {DIALECT_OPENAI, DIALECT_OLLAMA, OP_EMBED, "{\"model\":\"m\",\"input\":\"a\",\"dimensions\":1,\"user\":\"u\"}",
     "{\"embeddings\":[[1,2]],\"prompt_eval_count\":1}"},
    {DIALECT_OLLAMA, DIALECT_OPENAI, OP_EMBED, "{\"model\":\"m\",\"prompt\":\"a\",\"keep_alive\":1}",
     "{\"data\":[{\"embedding\":[1]}]}"},
    {DIALECT_OPENAI, DIALECT_GEMINI, OP_EMBED, "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":1}",
     "{\"embeddings\":[{\"values\":[1]},{\"values\":[2.5]}],\"usageMetadata\":{\"promptTokenCount\":2}}"},
    {DIALECT_GEMINI, DIALECT_GEMINI, OP_EMBED,
     "{\"requests\":[{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"}]},\"taskType\":\"X\"}]}",
     "{\"embeddings\":[{\"values\":[1]}]}"},
    {DIALECT_GEMINI, DIALECT_OLLAMA, OP_EMBED,
     "{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},\"output_dimensionality\":1}",
     "{\"embeddings\":[[1,2]],\"prompt_eval_count\":1}"},
    {DIALECT_OPENAI, DIALECT_OPENAI, OP_RERANK,
     "{\"model\":\"m\",\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}]}",
     "{\"results\":[{\"index\":1,\"relevance_score\":0.5}]}"},
    {DIALECT_OPENAI, DIALECT_OPENAI, OP_GENERATE, "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"logprobs\":1}",
     "{\"choices\":[{\"text\":\"a\",\"logprobs\":{\"tokens\":[\"a\"]}},{\"text\":\"b\",\"index\":1}]}"},
    {DIALECT_OPENAI, DIALECT_OLLAMA, OP_GENERATE, "{\"model\":\"m\",\"prompt\":\"a\",\"suffix\":\"b\",\"n\":1}",
     "{\"response\":\"x\",\"done\":true,\"done_reason\":\"stop\"}"},
};

static enum err go(const struct way *way, struct slice body, struct slice said, struct buf *out) {
    struct arena a;
    struct request *r;
    struct wire_request wire;
    struct answer answer;
    struct event_sink sink = {sample_collect, &answer};
    struct problem p = PROBLEM(ERR_OK);
    struct write_options o = {.model = SLICE("other"), .max_tokens = -1, .stream = -1};
    const struct dialect *client = dialect_get(way->client), *upstream = dialect_get(way->upstream);
    arena_init(&a, 1 << 20, 0);
    enum err e = client->read_request(&a, way->op, body, &r, &p);
    if (!e)
        e = upstream->write_request(&a, r, &o, &wire, &p);
    if (!e && !answer_init(&answer, &a))
        e = ERR_NO_MEMORY;
    if (!e)
        e = upstream->read_answer(&a, way->op, said, &sink);
    if (!e)
        e = client->write_answer(&a, r, &answer, &sample_identity, out);
    arena_done(&a);
    return e;
}

TEST(task_goes_the_whole_way_or_say_why) {
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct slice body = slice_str(ways[i].request), said = slice_str(ways[i].answer);
        struct buf out = BUF_INIT(65536);
        if (go(&ways[i], body, said, &out))
            FAIL("way %zu", i);
        buf_done(&out);
        for (size_t n = 0; n < body.n; n++) {
            struct buf cut = BUF_INIT(65536);
            CHECK(go(&ways[i], slice_first(body, n), said, &cut) != ERR_OK);
            buf_done(&cut);
        }
        for (size_t n = 0; n < said.n; n++) {
            struct buf cut = BUF_INIT(65536);
            CHECK_EQ(go(&ways[i], body, slice_first(said, n), &cut), ERR_UP_PROTOCOL);
            buf_done(&cut);
        }
    }
}

TEST(task_every_allocation_may_fail) {
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        enum err e = ERR_NO_MEMORY;
        for (unsigned long k = 1; k < 500 && e; k++) {
            struct buf out = BUF_INIT(65536);
            mem_fail_at(k);
            e = go(&ways[i], slice_str(ways[i].request), slice_str(ways[i].answer), &out);
            mem_fail_at(0);
            if (e)
                CHECK_EQ(e, ERR_NO_MEMORY);
            buf_done(&out);
        }
        CHECK_EQ(e, ERR_OK);
    }
}
