// SPDX-License-Identifier: Apache-2.0
// What is judged, what is excused, and that each failed allocation is told.
#include "switch/judge.h"
#include "base/mem.h"
#include "unit.h"

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}";

static struct request asking(const char *text, int strict) {
    struct request r;
    request_init(&r);
    r.format = FORMAT_SCHEMA;
    r.format_schema = slice_str(text);
    r.format_strict = strict;
    return r;
}

// The verdict over one text in two deltas, cut at `cut`.
static enum err judged(const char *against, const char *text, size_t cut, enum finish finish, enum block_kind kind,
                       struct problem *p) {
    struct arena a;
    struct request r = asking(against, -1);
    struct slice s = slice_str(text);
    const struct event events[] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN, .block_kind = kind},
        {.kind = EV_DELTA, .block_kind = kind, .text = slice_first(s, cut)},
        {.kind = EV_DELTA, .block_kind = kind, .text = slice_from(s, cut)},
        {.kind = EV_BLOCK_END, .block_kind = kind},
        {.kind = EV_FINISH, .finish = finish},
        {.kind = EV_END},
    };
    arena_init(&a, 1u << 20, 64);
    struct judge *j = judge_new(&a, &r);
    enum err e = j ? ERR_OK : ERR_NO_MEMORY;
    for (size_t i = 0; i < sizeof events / sizeof events[0] && !e; i++)
        e = judge_event(j, &events[i], p);
    static char message[400];
    if (e == ERR_UP_SCHEMA) {
        (void)memccpy(message, p->message.p ? p->message.p : "", 0, sizeof message - 1);
        p->message = slice_str(message);
    }
    arena_done(&a);
    return e;
}

TEST(judge_judges_texts_at_every_cut) {
    struct problem p;
    static const char good[] = " {\"n\": 7}\n", bad[] = "{\"n\":\"7\"}", none[] = "Sure! {\"n\":7}";
    for (size_t cut = 0; cut <= sizeof good; cut++)
        CHECK_EQ(judged(schema, good, cut, FINISH_STOP, BLOCK_TEXT, &p), ERR_OK);
    for (size_t cut = 0; cut <= sizeof bad; cut++)
        CHECK_EQ(judged(schema, bad, cut, FINISH_STOP, BLOCK_TEXT, &p), ERR_UP_SCHEMA);
    CHECK(slice_is(p.message, "the model's answer does not fit the schema that was asked for: n: expected integer"));
    CHECK_EQ(judged(schema, none, 3, FINISH_STOP, BLOCK_TEXT, &p), ERR_UP_SCHEMA);
    CHECK(slice_ends(p.message, "it is not JSON"));
    CHECK_EQ(judged(schema, "", 0, FINISH_STOP, BLOCK_TEXT, &p), ERR_UP_SCHEMA);
    CHECK_EQ(judged(schema, good, 2, FINISH_STOP, BLOCK_THINK, &p), ERR_UP_SCHEMA); // thinking is no answer
}

TEST(judge_excuses_what_the_finish_tells) {
    struct problem p;
    CHECK_EQ(judged(schema, "{\"n\":", 1, FINISH_LENGTH, BLOCK_TEXT, &p), ERR_OK);
    CHECK_EQ(judged(schema, "", 0, FINISH_FILTER, BLOCK_TEXT, &p), ERR_OK);
    CHECK_EQ(judged(schema, "{}", 1, FINISH_TOOL, BLOCK_TOOL, &p), ERR_OK);
    CHECK_EQ(judged(schema, "no", 1, FINISH_STOP, BLOCK_REFUSAL, &p), ERR_OK);
    CHECK_EQ(judged(schema, "{\"x\":1}", 1, FINISH_STOP, BLOCK_TOOL, &p), ERR_OK);
}

TEST(judge_judges_each_choice) {
    struct arena a;
    struct problem p;
    struct request r = asking(schema, 1);
    arena_init(&a, 1u << 20, 0);
    struct judge *j = judge_new(&a, &r);
    enum err e[4] = {ERR_NO_MEMORY};
    if (j) {
        e[0] = judge_event(j, &(struct event){.kind = EV_DELTA, .choice = 1, .text = SLICE("{\"n\":1}")}, &p);
        e[1] = judge_event(j, &(struct event){.kind = EV_DELTA, .choice = 0, .text = SLICE("{}")}, &p);
        e[2] = judge_event(j, &(struct event){.kind = EV_FINISH, .choice = 1, .finish = FINISH_STOP}, &p);
        e[3] = judge_event(j, &(struct event){.kind = EV_FINISH, .choice = 0, .finish = FINISH_STOP}, &p);
    }
    bool up = j && judge_gave_up(j);
    arena_done(&a);
    CHECK_EQ(e[0] | e[1] | e[2], ERR_OK);
    CHECK_EQ(e[3], ERR_UP_SCHEMA);
    CHECK(!up);
}

TEST(judge_passes_what_is_too_much) {
    struct arena a;
    struct problem p;
    struct request r = asking("{\"$ref\":\"#\"}", 1);
    arena_init(&a, 1u << 20, 0);
    struct judge *j = judge_new(&a, &r);
    enum err e = ERR_NO_MEMORY;
    if (j)
        e = judge_event(j, &(struct event){.kind = EV_DELTA, .text = SLICE("1")}, &p);
    if (!e)
        e = judge_event(j, &(struct event){.kind = EV_FINISH, .finish = FINISH_STOP}, &p);
    bool up = j && judge_gave_up(j);
    arena_done(&a);
    CHECK_EQ(e, ERR_OK);
    CHECK(up);
}

TEST(judge_is_wanted) {
    struct request r = asking(schema, -1);
    CHECK(judge_wanted(&r));
    r = asking(schema, 1);
    CHECK(judge_wanted(&r));
    r = asking(schema, 0);
    CHECK(!judge_wanted(&r));
    r = asking(NULL, 1);
    CHECK(!judge_wanted(&r));
    r = asking(schema, 1);
    r.format = FORMAT_JSON;
    CHECK(!judge_wanted(&r));
}

TEST(judge_survives_each_failed_allocation) {
    struct problem p;
    for (unsigned long k = 1; k < 60; k++) {
        mem_fail_at(k);
        enum err e = judged(schema, "{\"n\":1}", 3, FINISH_STOP, BLOCK_TEXT, &p);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        if (e == ERR_OK)
            return;
    }
    FAIL("never got through");
}
