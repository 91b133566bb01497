// SPDX-License-Identifier: Apache-2.0
// The grammar of events, and that a collected answer says the same again.
#include "ir/answer.h"
#include "base/limits.h"
#include "base/mem.h"
#include "unit.h"

static enum err add(struct answer *a, struct event ev) {
    return answer_add(a, &ev);
}

static enum err collect(void *ctx, const struct event *ev) {
    return answer_add(ctx, ev);
}

// Two parallel tool calls, interleaved, with a text before.
static enum err fill(struct answer *a) {
    const struct event script[] = {
        {.kind = EV_START, .id = SLICE("id1"), .model = SLICE("m"), .created_s = 5},
        {.kind = EV_BLOCK_BEGIN, .block = 0, .block_kind = BLOCK_TEXT},
        {.kind = EV_DELTA, .block = 0, .text = SLICE("hel")},
        {.kind = EV_PING},
        {.kind = EV_DELTA, .block = 0, .text = SLICE("lo")},
        {.kind = EV_META, .block = 0, .name = SLICE("logprobs"), .text = SLICE("{\n\"content\":[]}")},
        {.kind = EV_BLOCK_END, .block = 0},
        {.kind = EV_BLOCK_BEGIN, .block = 1, .block_kind = BLOCK_TOOL, .call_id = SLICE("c1"), .name = SLICE("f")},
        {.kind = EV_BLOCK_BEGIN, .block = 2, .block_kind = BLOCK_TOOL, .call_id = SLICE("c2"), .name = SLICE("g")},
        {.kind = EV_DELTA, .block = 1, .text = SLICE("{\"a\":")},
        {.kind = EV_DELTA, .block = 2, .text = SLICE("{}")},
        {.kind = EV_DELTA, .block = 1, .text = SLICE("1}")},
        {.kind = EV_BLOCK_END, .block = 2},
        {.kind = EV_BLOCK_END, .block = 1, .signature = SLICE("sig")},
        {.kind = EV_FINISH, .finish = FINISH_TOOL},
        {.kind = EV_USAGE, .usage = {.input_tokens = 3, .output_tokens = 4, .cache_read_tokens = -1}},
        {.kind = EV_END},
    };
    for (size_t i = 0; i < sizeof script / sizeof script[0]; i++) {
        enum err e = answer_add(a, &script[i]);
        if (e)
            return e;
    }
    return ERR_OK;
}

static void check_filled(const struct answer *a) {
    CHECK(a->ended);
    CHECK_EQ(a->n_blocks, 3);
    CHECK_EQ(a->created_s, 5);
    CHECK(slice_is(a->id, "id1"));
    CHECK(slice_is(buf_slice(&a->first->text), "hello"));
    struct slice rest = buf_slice(&a->first->meta), name, json;
    CHECK(answer_meta_next(&rest, &name, &json));
    CHECK(slice_is(name, "logprobs"));
    CHECK(slice_is(json, "{ \"content\":[]}"));
    CHECK(!answer_meta_next(&rest, &name, &json));
    const struct answer_block *tool = a->first->next;
    CHECK(slice_is(buf_slice(&tool->text), "{\"a\":1}"));
    CHECK(slice_is(tool->call_id, "c1"));
    CHECK(slice_is(tool->signature, "sig"));
    CHECK_EQ(a->choices[0].finish, FINISH_TOOL);
    CHECK_EQ(a->usage.output_tokens, 4);
}

TEST(answer_collects_and_replays_the_same) {
    struct arena arena;
    arena_init(&arena, 1 << 20, 0);
    struct answer a, b;
    bool fine = answer_init(&a, &arena) && answer_init(&b, &arena) && fill(&a) == ERR_OK;
    struct event_sink sink = {collect, &b};
    fine = fine && answer_replay(&a, &sink) == ERR_OK;
    if (fine) {
        check_filled(&a);
        check_filled(&b);
    }
    arena_done(&arena);
    CHECK(fine);
}

TEST(answer_refuses_what_breaks_the_grammar) {
    struct arena arena;
    arena_init(&arena, 1 << 20, 0);
    struct answer a;
    enum err got[8];
    bool fine = answer_init(&a, &arena);
    got[0] = add(&a, (struct event){.kind = EV_END});
    got[1] = add(&a, (struct event){.kind = EV_START});
    got[2] = add(&a, (struct event){.kind = EV_BLOCK_BEGIN, .block = 1});
    got[3] = add(&a, (struct event){.kind = EV_DELTA, .block = 0, .text = SLICE("x")});
    got[4] = add(&a, (struct event){.kind = EV_BLOCK_BEGIN, .block = 0, .choice = 16});
    got[5] = add(&a, (struct event){.kind = EV_END});
    got[6] = add(&a, (struct event){.kind = EV_USAGE});
    got[7] = add(&a, (struct event){.kind = EV_ERROR, .problem = &PROBLEM(ERR_UP_OVERLOADED)});
    arena_done(&arena);
    CHECK(fine);
    const enum err want[8] = {ERR_UP_PROTOCOL, ERR_OK, ERR_UP_PROTOCOL, ERR_UP_PROTOCOL,
                              ERR_UP_PROTOCOL, ERR_OK, ERR_UP_PROTOCOL, ERR_UP_OVERLOADED};
    for (int i = 0; i < 8; i++)
        CHECK_EQ(got[i], want[i]);
}

TEST(answer_survives_each_failed_allocation) {
    for (unsigned long k = 1; k < 40; k++) {
        struct arena arena;
        arena_init(&arena, 1 << 20, 64);
        struct answer a;
        mem_fail_at(k);
        enum err e = answer_init(&a, &arena) ? fill(&a) : ERR_NO_MEMORY;
        mem_fail_at(0);
        arena_done(&arena);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        if (e == ERR_OK)
            return;
    }
    FAIL("never got through");
}

TEST(answer_is_bounded) {
    struct arena arena;
    arena_init(&arena, 1 << 20, 0);
    struct answer a;
    bool fine = answer_init(&a, &arena);
    a.bytes = LIMIT_UP_BODY_BYTES - 2;
    fine = fine && add(&a, (struct event){.kind = EV_START}) == ERR_OK &&
           add(&a, (struct event){.kind = EV_BLOCK_BEGIN}) == ERR_OK;
    enum err e = add(&a, (struct event){.kind = EV_DELTA, .text = SLICE("abc")});
    arena_done(&arena);
    CHECK(fine);
    CHECK_EQ(e, ERR_TOO_LARGE);
}
