// SPDX-License-Identifier: Apache-2.0
// Who goes for whom, as a table; and, over random houses, what must hold of every answer.
#include <stdlib.h>
#include <string.h>
#include "grid/room.h"
#include "unit.h"

#define MOST 4

struct room_case {
    const char *name;
    struct tenant v[MOST];
    size_t n;
    struct room_wish w;
    enum room room;
    const char *gone; // by letter: a is the first
};

#define NOBODY           \
    {                    \
        { .idle_ms = 0 } \
    }
#define IDLE(bytes_, idle_, cost_) \
    { .size.host = (bytes_), .idle_ms = (idle_), .cost_ms = (cost_) }
#define CARD(host_, card_, idle_, cost_) \
    { .size = {(host_), (card_)}, .idle_ms = (idle_), .cost_ms = (cost_) }
#define CARD_WISH(host_, card_, least_)                                                                   \
    {                                                                                                     \
        .need = {(host_), (card_)}, .least = {(host_), (least_)}, .budget = {100, 100}, .warm_ms = 15000, \
        .may_evict = true                                                                                 \
    }
#define BUSY(bytes_) \
    { .size.host = (bytes_), .tenure = TENURE_BUSY }
#define PINNED(bytes_) \
    { .size.host = (bytes_), .tenure = TENURE_PINNED, .idle_ms = 1000000 }
#define LEAVING(bytes_) \
    { .size.host = (bytes_), .tenure = TENURE_LEAVING }
#define WISH(need_, least_) \
    { .need.host = (need_), .least.host = (least_), .budget.host = 100, .warm_ms = 15000, .may_evict = true }

static const struct room_case cases[] = {
    {"an empty house", NOBODY, 0, WISH(60, 50), ROOM_FREE, ""},
    {"alone it may try what is only an estimate", NOBODY, 0, WISH(110, 90), ROOM_FREE, ""},
    {"too big at the very least", NOBODY, 0, WISH(130, 101), ROOM_NEVER, ""},
    {"beside another", {IDLE(40, 1, 9000)}, 1, WISH(60, 50), ROOM_FREE, ""},
    {"the cold one goes", {IDLE(60, 20000, 1000)}, 1, WISH(60, 50), ROOM_SOON, "a"},
    {"the warm one stays", {IDLE(60, 900, 1000)}, 1, WISH(60, 50), ROOM_HELD, ""},
    {"nobody is warm for ever", {IDLE(60, 15000, 3600000)}, 1, WISH(60, 50), ROOM_SOON, "a"},
    {"the busy one stays", {BUSY(60)}, 1, WISH(60, 50), ROOM_HELD, ""},
    {"the pinned one stays", {PINNED(40), IDLE(30, 20000, 9)}, 2, WISH(60, 50), ROOM_SOON, "b"},
    {"with what is pinned it never fits", {PINNED(60)}, 1, WISH(60, 50), ROOM_NEVER, ""},
    {"beside pinned ones its least may be tried", {PINNED(45)}, 1, WISH(60, 50), ROOM_FREE, ""},
    {"the one that is cheap to bring back goes",
     {IDLE(40, 60000, 9000), IDLE(40, 60000, 500)},
     2,
     WISH(60, 50),
     ROOM_SOON,
     "b"},
    {"the one that nobody wants goes", {IDLE(40, 900000, 900), IDLE(40, 20000, 900)}, 2, WISH(60, 50), ROOM_SOON, "a"},
    {"who can be spared is spared", {IDLE(10, 60000, 100), IDLE(60, 60000, 9000)}, 2, WISH(60, 50), ROOM_SOON, "b"},
    {"both, if it takes both", {IDLE(40, 60000, 100), IDLE(40, 60000, 200)}, 2, WISH(90, 80), ROOM_SOON, "ab"},
    {"nobody goes for nothing", {IDLE(30, 60000, 100), BUSY(60)}, 2, WISH(60, 50), ROOM_HELD, ""},
    {"one that leaves makes room", {LEAVING(60)}, 1, WISH(60, 50), ROOM_SOON, ""},
    {"and need not be waited for", {LEAVING(30)}, 1, WISH(60, 50), ROOM_FREE, ""},
    {"a card is a second memory", {CARD(10, 40, 60000, 100)}, 1, CARD_WISH(10, 40, 40), ROOM_FREE, ""},
    {"whose holder goes", {CARD(10, 80, 60000, 100)}, 1, CARD_WISH(10, 40, 40), ROOM_SOON, "a"},
    {"who only holds the machine's stays",
     {IDLE(40, 60000, 1), CARD(10, 80, 60000, 9000)},
     2,
     CARD_WISH(10, 40, 40),
     ROOM_SOON,
     "b"},
    {"who only holds the card's stays",
     {CARD(1, 80, 60000, 1), IDLE(60, 60000, 9000)},
     2,
     CARD_WISH(60, 0, 0),
     ROOM_SOON,
     "b"},
    {"nobody goes where the card stays full",
     {CARD(1, 80, 60000, 1), {.size = {1, 60}, .tenure = TENURE_BUSY}},
     2,
     CARD_WISH(10, 50, 50),
     ROOM_HELD,
     ""},
    {"too big for the card", NOBODY, 0, CARD_WISH(10, 120, 101), ROOM_NEVER, ""},
    {"what may lie elsewhere is tried", NOBODY, 0, CARD_WISH(10, 120, 0), ROOM_FREE, ""},
};

TEST(room_decides_who_goes) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct room_case c = cases[i];
        char gone[MOST + 1];
        size_t k = 0;
        enum room got = room_find(c.v, c.n, &c.w);
        for (size_t j = 0; j < c.n; j++)
            if (c.v[j].must_go)
                gone[k++] = (char)('a' + j);
        gone[k] = '\0';
        if (got != c.room || strcmp(gone, c.gone) != 0)
            FAIL("%s: room %d, gone '%s'", c.name, got, gone);
    }
}

TEST(room_of_a_passer_by_costs_nobody) {
    struct tenant v[] = {IDLE(60, 60000, 100)};
    struct room_wish w = WISH(60, 50);
    w.may_evict = false;
    CHECK_EQ(room_find(v, 1, &w), ROOM_HELD);
    CHECK(!v[0].must_go);
}

static void house_check(const struct tenant *v, size_t n, const struct room_wish *w, enum room got) {
    struct sizes staying = {0};
    bool others = false;
    for (size_t i = 0; i < n; i++) {
        bool may = v[i].tenure == TENURE_IDLE && !tenant_is_warm(&v[i], w->warm_ms);
        CHECK(!v[i].must_go || (may && got == ROOM_SOON));
        if (v[i].tenure == TENURE_LEAVING || v[i].must_go)
            continue;
        staying.host += v[i].size.host;
        staying.card += v[i].size.card;
        others |= v[i].tenure != TENURE_PINNED;
    }
    const struct sizes *more = others ? &w->need : &w->least;
    if (got == ROOM_FREE || got == ROOM_SOON)
        CHECK(staying.host + more->host <= w->budget.host && staying.card + more->card <= w->budget.card);
}

TEST(room_keeps_its_rules_in_any_house) {
    unsigned seed = 7;
    for (int turn = 0; turn < 40000; turn++) {
        struct tenant v[6];
        size_t n = (size_t)(rand_r(&seed) % 7);
        int cards = turn % 2; // every other house has none
        for (size_t i = 0; i < n; i++)
            v[i] = (struct tenant){.size = {1 + rand_r(&seed) % 50, cards * (rand_r(&seed) % 50)},
                                   .tenure = (enum tenure)(rand_r(&seed) % 4),
                                   .idle_ms = rand_r(&seed) % 30000,
                                   .cost_ms = rand_r(&seed) % 30000};
        struct room_wish w = CARD_WISH(rand_r(&seed) % 90, cards * (rand_r(&seed) % 90), 0);
        w.budget.card *= cards;
        w.least = (struct sizes){w.need.host * 3 / 4, w.need.card * (rand_r(&seed) % 2)};
        house_check(v, n, &w, room_find(v, n, &w));
    }
}
