// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include "sim/order.h"
#include "sim/speak.h"
#include "unit.h"

TEST(sim_reads_orders_and_refuses_unknown_names) {
    struct arena a;
    struct order o;
    arena_init(&a, 1 << 20, 0);
    order_init(&o);
    CHECK_EQ(order_read(&a,
                        SLICE("{\"status\":429,\"retry_after\":3,\"text\":\"hi\",\"echo\":true,"
                              "\"tool_calls\":[{\"name\":\"f\",\"arguments\":{\"a\":1}}],\"usage\":{\"input\":7}}"),
                        &o),
             ERR_OK);
    CHECK_EQ(o.status, 429);
    CHECK_EQ(o.retry_after, 3);
    CHECK_EQ(o.cut_after_bytes, -1);
    CHECK_EQ(o.input_tokens, 7);
    CHECK_EQ(o.n_tools, 1);
    CHECK(slice_is(o.tools[0].arguments, "{\"a\":1}"));
    CHECK_EQ(order_read(&a, SLICE("{\"statsu\":429}"), &o), ERR_BAD_FIELD);
    CHECK_EQ(order_read(&a, SLICE("{\"status\":\"429\"}"), &o), ERR_BAD_FIELD);
    arena_done(&a);
}

TEST(sim_finds_the_order_in_the_last_user_message) {
    struct arena a;
    struct ask ask;
    arena_init(&a, 1 << 20, 0);
    CHECK_EQ(ask_read(&a, SHAPE_OPENAI, SLICE_NONE,
                      SLICE("{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"[[sim "
                            "{\\\"words\\\":1}]]\"},{\"role\":\"assistant\",\"content\":\"x\"},{\"role\":\"user\","
                            "\"content\":[{\"type\":\"text\",\"text\":\"b [[sim {\\\"words\\\":2}]] c\"}]}]}"),
                      &ask),
             ERR_OK);
    CHECK(slice_is(ask.marker, "{\"words\":2}"));
    CHECK(slice_starts(ask.last_user, "b "));
    CHECK(ask.stream);
    CHECK_EQ(ask_read(&a, SHAPE_OLLAMA_CHAT, SLICE_NONE, SLICE("{\"model\":\"m\",\"messages\":[]}"), &ask), ERR_OK);
    CHECK(ask.stream);
    arena_done(&a);
}

TEST(sim_writes_json_in_every_shape) {
    struct arena a;
    struct order o;
    struct ask ask = {.model = SLICE("m"), .last_user = SLICE("q")};
    arena_init(&a, 1 << 20, 0);
    order_init(&o);
    CHECK_EQ(order_read(&a, SLICE("{\"text\":\"a\\\"b\",\"thinking\":\"t\",\"tool_calls\":[{\"name\":\"f\"}]}"), &o),
             ERR_OK);
    for (int s = 0; s < SHAPE_COUNT; s++) {
        struct talk t;
        struct buf out = BUF_INIT(65536);
        struct json_doc doc;
        struct json_error why;
        ask.shape = (enum shape)s;
        talk_init(&t, &a, &ask, &o, 1);
        shape_ops_of(ask.shape)->whole(&t, &out);
        CHECK_EQ(json_read(&a, buf_slice(&out), &doc, &why), ERR_OK);
        buf_done(&out);
    }
    arena_done(&a);
}

TEST(sim_reads_googles_addresses) {
    struct arena a;
    struct ask ask;
    arena_init(&a, 1 << 20, 0);
    struct slice body = SLICE("{\"contents\":[{\"parts\":[{\"text\":\"hi [[sim {\\\"words\\\":3}]]\"}]}]}");
    CHECK_EQ(ask_read(&a, SHAPE_GEMINI, SLICE("/v1beta/models/a/b:8b:streamGenerateContent?alt=sse"), body, &ask),
             ERR_OK);
    CHECK(slice_is(ask.model, "a/b:8b") && ask.stream && !ask.array && slice_is(ask.marker, "{\"words\":3}"));
    CHECK_EQ(ask_read(&a, SHAPE_GEMINI, SLICE("/v1/models/m:streamGenerateContent"), body, &ask), ERR_OK);
    CHECK(ask.stream && ask.array);
    CHECK_EQ(ask_read(&a, SHAPE_GEMINI, SLICE("/v1/models/m:generateContent"), body, &ask), ERR_OK);
    CHECK(!ask.stream && !ask.array);
    CHECK_EQ(ask_read(&a, SHAPE_GEMINI, SLICE("/v1/models/:generateContent"), body, &ask), ERR_MISSING_FIELD);
    arena_done(&a);
}
