// SPDX-License-Identifier: Apache-2.0
// What commits an exchange, names, and the text of a problem.
#include "ir/event.h"
#include "unit.h"

TEST(event_commits_on_content_only) {
    struct event ev = {.kind = EV_START};
    CHECK(!event_commits(&ev));
    ev = (struct event){.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_TEXT};
    CHECK(!event_commits(&ev));
    ev.block_kind = BLOCK_TOOL;
    CHECK(event_commits(&ev));
    ev = (struct event){.kind = EV_DELTA, .text = SLICE("")};
    CHECK(!event_commits(&ev));
    ev.text = SLICE("x");
    CHECK(event_commits(&ev));
    ev = (struct event){.kind = EV_PING};
    CHECK(!event_commits(&ev));
}

TEST(event_names_are_all_there) {
    for (int k = EV_START; k <= EV_END; k++)
        CHECK(event_kind_name((enum event_kind)k)[0] != 'u' || k == EV_USAGE);
    for (int f = FINISH_NONE; f <= FINISH_LOAD; f++)
        CHECK(finish_name((enum finish)f)[0] != 'u');
    CHECK_STREQ(event_kind_name(EV_USAGE), "usage");
    CHECK_STREQ(finish_name((enum finish)99), "unknown");
}

TEST(problem_text_falls_back_to_the_row) {
    struct problem p = PROBLEM(ERR_UP_DIED);
    CHECK(slice_is(problem_text(&p), err_row(ERR_UP_DIED)->text));
    CHECK_EQ(problem_status(&p), 502);
    CHECK_EQ(p.retry_after_ms, -1);
    p.message = SLICE("more is known");
    CHECK(slice_is(problem_text(&p), "more is known"));
}
