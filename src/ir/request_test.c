// SPDX-License-Identifier: Apache-2.0
// Notes, estimates, forgetting of sources, equality.
#include "ir/request.h"
#include "base/limits.h"
#include "unit.h"

static void two_messages(struct request *r, struct message m[2], struct part p[2]) {
    request_init(r);
    memset(m, 0, 2 * sizeof *m);
    memset(p, 0, 2 * sizeof *p);
    m[0] = (struct message){.next = &m[1], .role = ROLE_SYSTEM, .parts = &p[0], .src = SLICE("{}")};
    m[1] = (struct message){.role = ROLE_USER, .parts = &p[1]};
    p[0] = (struct part){.kind = PART_TEXT, .text = SLICE("be brief"), .src = SLICE("\"be brief\"")};
    p[1] = (struct part){.kind = PART_TEXT, .text = SLICE("hello")};
    r->messages = m;
}

TEST(request_equal_finds_the_difference) {
    struct request a, b;
    struct message ma[2], mb[2];
    struct part pa[2], pb[2];
    two_messages(&a, ma, pa);
    two_messages(&b, mb, pb);
    const char *where = NULL;
    CHECK(request_equal(&a, &b, &where));
    pb[1].text = SLICE("Hello");
    CHECK(!request_equal(&a, &b, &where));
    CHECK_STREQ(where, "part.text");
    pb[1].text = SLICE("hello");
    b.temperature = 0.5;
    CHECK(!request_equal(&a, &b, &where));
    CHECK_STREQ(where, "temperature");
    b.temperature = NUM_UNSET;
    mb[0].next = NULL;
    CHECK(!request_equal(&a, &b, &where));
    CHECK_STREQ(where, "messages (number)");
}

TEST(request_equal_leaves_opaque_parts_aside) {
    struct request a, b;
    struct message ma[2], mb[2];
    struct part pa[2], pb[2];
    two_messages(&a, ma, pa);
    two_messages(&b, mb, pb);
    struct part opaque = {.kind = PART_OPAQUE, .src = SLICE("{\"type\":\"x\"}")};
    pa[1].next = &opaque;
    CHECK(request_equal(&a, &b, NULL));
}

TEST(request_erase_sources_forgets_all) {
    struct request r;
    struct message m[2];
    struct part p[2];
    two_messages(&r, m, p);
    r.doc.src = SLICE("{}");
    struct part inner = {.kind = PART_TEXT, .src = SLICE("1")};
    p[1].content = &inner;
    request_erase_sources(&r);
    CHECK(!r.doc.src.p && !m[0].src.p && !p[0].src.p && !inner.src.p);
}

TEST(request_estimate_grows_with_text_and_media) {
    struct request r;
    struct message m[2];
    struct part p[2];
    two_messages(&r, m, p);
    int64_t small = request_estimate_tokens(&r);
    CHECK(small > 8 && small < 30);
    p[1].kind = PART_IMAGE;
    CHECK(request_estimate_tokens(&r) > small + 500);
}

TEST(notes_are_kept_up_to_the_limit) {
    struct arena a;
    arena_init(&a, 1 << 20, 0);
    struct notes n;
    notes_init(&n);
    for (int i = 0; i < LIMIT_DROPPED + 3; i++)
        notes_add(&a, &n, "dropped", SLICE("top_k"), "no place");
    unsigned count = 0;
    for (const struct note *at = n.first; at; at = at->next)
        count++;
    unsigned kept = n.n, skipped = n.skipped;
    arena_done(&a);
    CHECK_EQ(count, LIMIT_DROPPED);
    CHECK_EQ(kept, LIMIT_DROPPED);
    CHECK_EQ(skipped, 3);
}
