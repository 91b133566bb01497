// SPDX-License-Identifier: Apache-2.0
// The journal's lines: all that was written is read, and no cut or changed byte does harm.
#include "ledger/line.h"
#include <stdlib.h>
#include "ir/reach.h"
#include "ledger/fixture_test.h"
#include "unit.h"

static struct attempt_record attempts[2];
static const struct drop_record drop = {SLICE("dropped"), SLICE("/logit_bias"), SLICE("no \"logit_bias\"\nthere")};

static struct settlement settlement_full(void) {
    attempts[0] = attempt_of(ERR_UP_OVERLOADED);
    attempts[1] = attempt_of(ERR_OK);
    attempts[1].target = SLICE("local/qwen");
    attempts[1].cost_picousd = INT64_MAX;
    attempts[1].overrun_picousd = 1;
    attempts[1].money_s = 1790000000;
    struct settlement s = settlement_of("x1", attempts, 2);
    s.drops = &drop;
    s.n_drops = 1;
    s.cap_picousd = 0;
    s.parent = SLICE("x0");
    s.step_us[6] = -1;
    return s;
}

TEST(line_says_what_was_settled) {
    struct settlement s = settlement_full();
    struct buf line = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES);
    struct line_facts f;
    CHECK(line_write_settlement(&line, &s, NULL));
    CHECK_EQ(slice_find(buf_slice(&line), '\n'), SIZE_MAX);
    CHECK(line_facts_read(buf_slice(&line), &f));
    CHECK(slice_is(f.id, "x1") && slice_is(f.model, "fast") && slice_is(f.key, "team") && f.run.n == 0);
    CHECK(f.child && f.settled && f.cap == 0);
    CHECK_EQ(line_ended_us(&f), BEGAN_US + 95123);
    CHECK_EQ(f.n_attempts, 2);
    CHECK_EQ(f.attempts[0].cost, 700);
    CHECK(f.attempts[0].sent && !f.attempts[0].settled && f.attempts[0].money_s == -1);
    const struct line_attempt *at = line_chosen(&f);
    CHECK(at == &f.attempts[1] && slice_is(at->target, "local/qwen"));
    CHECK(at->cost == INT64_MAX && at->overrun == 1 && at->money_s == 1790000000);
    CHECK(at->input_tokens == 10 && at->output_tokens == 5);
    CHECK_EQ(line_int(buf_slice(&line), LINE_SNAPSHOT, 0), 7);
    CHECK_EQ(line_int(buf_slice(&line), LINE_COST, -7), -7); // an attempt's, not the settlement's
    buf_done(&line);
}

TEST(line_is_the_same_by_way_of_json) {
    struct settlement s = settlement_full();
    struct buf line = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES), json = BUF_INIT(1u << 20), again = BUF_INIT(1u << 20),
               third = BUF_INIT(1u << 20);
    CHECK(line_write_settlement(&line, &s, NULL));
    CHECK(line_to_json(buf_slice(&line), &json));
    CHECK(slice_search(buf_slice(&json),
                       SLICE("\"drops\":[[\"dropped\",\"/logit_bias\",\"no \\\"logit_bias\\\" there")) != SIZE_MAX);
    CHECK(slice_search(buf_slice(&json), SLICE("\"step_us\":[10,20,30,40,50,60,-1,95123]")) != SIZE_MAX);
    struct buf older = BUF_INIT(1u << 20);
    buf_append(&older, SLICE("{\"k\":\"s\","));
    buf_append(&older, slice_from(buf_slice(&json), 1));
    CHECK_EQ(line_from_json(buf_slice(&older), &again), ERR_OK);
    CHECK(line_to_json(buf_slice(&again), &third));
    CHECK(slice_eq(buf_slice(&json), buf_slice(&third)));
    buf_done(&third);
    buf_done(&line);
    buf_done(&json);
    buf_done(&again);
    buf_done(&older);
}

// The bytes stand at the end of their memory, so that a read beyond is seen.
static void look_at(struct slice s) {
    char *copy = malloc(s.n + (s.n == 0));
    struct slice line = {copy, s.n};
    struct line_facts f;
    struct line_intent i;
    struct buf json = BUF_INIT(1u << 20);
    if (!copy || !s.p)
        abort();
    memcpy(copy, s.p, s.n);
    (void)line_id(line);
    if (line_facts_read(line, &f))
        (void)line_ended_us(&f);
    (void)!line_intent_read(line, &i);
    (void)line_int(line, LINE_SNAPSHOT, 0);
    (void)line_text(line, LINE_FINISH);
    (void)!line_to_json(line, &json);
    buf_done(&json);
    free(copy);
}

// What is printed elsewhere must be the word's text, or it is written out each time.
TEST(line_has_words_for_what_is_usual) {
    struct attempt_record at = attempt_of(ERR_OK);
    struct settlement s = settlement_of("x1", &at, 1);
    struct buf line = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES), reach = BUF_INIT(256);
    for (int l = 0; l < LABEL_COUNT; l++) {
        struct reach r = reach_of_label(reach_default_matrix, (enum label)l);
        buf_clear(&reach);
        reach_print(&r, &reach);
        s.reach = buf_slice(&reach);
        s.label = (enum label)l;
        CHECK(line_write_settlement(&line, &s, NULL));
        CHECK_EQ(slice_search(buf_slice(&line), SLICE("device=")), SIZE_MAX);
        CHECK_EQ(slice_search(buf_slice(&line), slice_str(label_name(s.label))), SIZE_MAX);
        CHECK(slice_eq(line_text(buf_slice(&line), LINE_REACH), s.reach));
        CHECK(slice_is(line_text(buf_slice(&line), LINE_LABEL), label_name(s.label)));
    }
    buf_done(&line);
    buf_done(&reach);
}

TEST(line_is_broken_wherever_it_is_cut) {
    struct settlement s = settlement_full();
    struct attempt_intent i = intent_of("x1", 0);
    struct buf lines[2] = {BUF_INIT(LIMIT_JOURNAL_LINE_BYTES), BUF_INIT(LIMIT_JOURNAL_LINE_BYTES)};
    struct line_facts f;
    struct line_intent read;
    CHECK(line_write_settlement(&lines[0], &s, NULL) && line_write_intent(&lines[1], &i));
    CHECK(line_facts_read(buf_slice(&lines[0]), &f) && line_intent_read(buf_slice(&lines[1]), &read));
    CHECK(slice_eq(read.id, i.exchange) && slice_eq(read.key, i.key) && read.reserved == i.reserved_picousd);
    CHECK(!line_intent_read(buf_slice(&lines[0]), &read)); // no intent
    CHECK(!line_facts_read(buf_slice(&lines[1]), &f));     // no settlement
    for (int k = 0; k < 2; k++)
        for (size_t n = 0; n < lines[k].len; n++) {
            struct slice cut = slice_first(buf_slice(&lines[k]), n);
            CHECK(!line_intent_read(cut, &read) && !line_facts_read(cut, &f));
            look_at(cut);
        }
    for (size_t n = 0; n < lines[0].len; n++)
        for (unsigned bits = 1; bits < 256; bits += 7) {
            lines[0].p[n] = (char)((unsigned char)lines[0].p[n] ^ bits);
            look_at(buf_slice(&lines[0]));
            lines[0].p[n] = (char)((unsigned char)lines[0].p[n] ^ bits);
        }
    buf_done(&lines[0]);
    buf_done(&lines[1]);
}
