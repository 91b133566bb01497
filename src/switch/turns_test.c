// SPDX-License-Identifier: Apache-2.0
// Signed turns: found again by their conversation and words, by nobody else; bounded; each allocation fails.
#include "switch/turns.h"
#include "base/mem.h"
#include "dialect/carry.h"
#include "unit.h"

static enum err ignore(void *ctx, const struct event *ev) {
    (void)ctx;
    (void)ev;
    return ERR_OK;
}

// A package with a signature for the words; SLICE_NONE: no memory.
static struct slice packed(struct arena *a, struct slice signature, struct slice words) {
    struct event_sink sink = {ignore, NULL};
    struct event ev[] = {{.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_TEXT},
                         {.kind = EV_DELTA, .block_kind = BLOCK_TEXT, .text = words},
                         {.kind = EV_BLOCK_END, .block_kind = BLOCK_TEXT, .signature = signature}};
    struct carry *c = carry_new(a, dialect_get(DIALECT_GEMINI), dialect_get(DIALECT_OPENAI));
    struct slice package = SLICE_NONE, heard;
    for (size_t i = 0; c && i < 3; i++)
        if (carry_event(c, &ev[i], &sink))
            return SLICE_NONE;
    return c && carry_rest(c, &package, &heard) ? package : SLICE_NONE;
}

struct talk { // system, a question, an answer, another question
    struct exchange x;
    struct request r;
    struct message m[4];
    struct part p[4];
};

static void talk_init(struct talk *t, const char *question, const char *answer) {
    static const enum role roles[] = {ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_USER};
    const char *const texts[] = {"Be brief.", question, answer, "And?"};
    memset(t, 0, sizeof *t);
    arena_init(&t->x.arena, 4 << 20, 0);
    request_init(&t->r);
    t->x.dialect = dialect_get(DIALECT_OPENAI);
    t->x.request = &t->r;
    t->r.messages = t->m;
    for (int i = 0; i < 4; i++) {
        t->p[i] = (struct part){.kind = PART_TEXT, .text = slice_str(texts[i])};
        t->m[i] = (struct message){.next = i < 3 ? &t->m[i + 1] : NULL, .role = roles[i], .parts = &t->p[i]};
    }
}

// As it was when the answer came.
static void talk_keep(struct turns *turns, struct talk *t, struct slice signature) {
    struct slice words = t->p[2].text, package = packed(&t->x.arena, signature, words);
    t->m[1].next = NULL;
    if (package.n)
        turns_keep(turns, &t->x, words, package);
    t->m[1].next = &t->m[2];
}

static struct slice talk_recall(struct turns *turns, struct talk *t) {
    t->p[2].signature = SLICE_NONE;
    t->p[2].made_by = 0;
    return turns_recall(turns, &t->x) ? SLICE("no memory") : t->p[2].signature;
}

TEST(turns_are_found_by_their_conversation_and_words) {
    struct turns *turns = turns_new();
    struct talk first, other[4];
    CHECK(turns);
    talk_init(&first, "Why?", "So.");
    CHECK(!talk_recall(turns, &first).n);
    talk_keep(turns, &first, SLICE("c2ln"));
    CHECK(slice_is(talk_recall(turns, &first), "c2ln") && first.p[2].made_by == 1 + DIALECT_GEMINI);
    first.p[0].text = SLICE("Be long."); // what the system says may change
    CHECK(slice_is(talk_recall(turns, &first), "c2ln"));
    CHECK(!talk_recall(NULL, &first).n);
    struct part rest = {.kind = PART_TEXT, .text = SLICE("o.")};
    first.p[2].text = SLICE("S");
    first.p[2].next = &rest;
    CHECK(turns_recall(turns, &first.x) == ERR_OK && slice_is(rest.signature, "c2ln")); // in two parts
    talk_init(&other[0], "Why not?", "So.");
    talk_init(&other[1], "Why?", "So!");
    talk_init(&other[2], "Why?", "So.");
    other[2].x.dialect = dialect_get(DIALECT_OLLAMA);
    talk_init(&other[3], "Why?", "So.");
    struct config_key key = {.name = "ann"};
    other[3].x.key = &key;
    for (int i = 0; i < 4; i++) {
        CHECK(!talk_recall(turns, &other[i]).n);
        arena_done(&other[i].x.arena);
    }
    arena_done(&first.x.arena);
    turns_free(turns);
}

TEST(turns_are_bounded) {
    static char big[60000];
    struct turns *turns = turns_new();
    struct talk t;
    unsigned found = 0;
    CHECK(turns);
    memset(big, 'x', sizeof big);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 200; i++) {
            char question[16];
            (void)snprintf(question, sizeof question, "%d", i);
            talk_init(&t, question, "So.");
            if (round == 0)
                talk_keep(turns, &t, slice_of(big, sizeof big));
            else
                found += talk_recall(turns, &t).n == sizeof big;
            arena_done(&t.x.arena);
        }
    CHECK(found > 20 && found < 60); // 80 KB each, of 4 MB
    turns_free(turns);
}

TEST(turns_each_failed_allocation) {
    struct turns *turns = turns_new();
    struct slice got = SLICE_NONE;
    CHECK(turns);
    for (unsigned long k = 1; !slice_is(got, "c2ln"); k++) {
        struct talk t;
        talk_init(&t, "Why?", "So.");
        mem_fail_at(k);
        talk_keep(turns, &t, SLICE("c2ln"));
        got = talk_recall(turns, &t);
        mem_fail_at(0);
        CHECK(!got.n || slice_is(got, "no memory") || slice_is(got, "c2ln"));
        got = slice_is(got, "c2ln") ? SLICE("c2ln") : SLICE_NONE;
        arena_done(&t.x.arena);
    }
    turns_free(turns);
}
