// SPDX-License-Identifier: Apache-2.0
// A Modelfile's defaults under a request: what is open is filled, what is said stays, a raw prompt gets no text.
#include "base/mem.h"
#include "switch/defaults.h"
#include "unit.h"

static const struct target made = {
    .system = SLICE("Be short."),
    .parameters = SLICE(
        "{\"temperature\":0.25,\"top_k\":7,\"num_predict\":9,\"seed\":-3,\"stop\":[\"a\",\"b\"],\"num_ctx\":512}"),
    .messages = SLICE("[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"two\"}]")};

static const struct message asked = {.role = ROLE_USER};

TEST(defaults_fill_what_is_open) {
    struct arena a;
    struct request r;
    const struct request *got;
    arena_init(&a, 1 << 20, 0);
    request_init(&r);
    r.messages = (struct message *)(uintptr_t)&asked;
    CHECK_EQ(defaults_apply(&a, &made, &r, &got), ERR_OK);
    CHECK(got->temperature == 0.25 && got->top_k == 7 && got->max_tokens == 9 && got->seed_set && got->seed == -3);
    CHECK(got->n_stops == 2 && slice_is(got->stops[1], "b"));
    const struct message *m = got->messages;
    CHECK(m->role == ROLE_SYSTEM && slice_is(m->parts->text, "Be short."));
    CHECK(m->next->role == ROLE_USER && slice_is(m->next->parts->text, "one"));
    CHECK(m->next->next->role == ROLE_ASSISTANT && m->next->next->next == &asked);
    CHECK(r.messages == &asked && !num_set(r.temperature)); // the request itself is as it was
    arena_done(&a);
}

TEST(defaults_leave_what_is_said) {
    struct arena a;
    struct request r;
    const struct request *got;
    struct slice stop = SLICE("mine");
    struct message own = {.role = ROLE_SYSTEM};
    arena_init(&a, 1 << 20, 0);
    request_init(&r);
    r.messages = &own;
    r.temperature = 0;
    r.max_tokens = 1;
    r.stops = &stop;
    r.n_stops = 1;
    CHECK_EQ(defaults_apply(&a, &made, &r, &got), ERR_OK);
    CHECK(got->temperature == 0 && got->max_tokens == 1 && got->n_stops == 1 && got->top_k == 7);
    CHECK_EQ(got->messages->role, ROLE_USER); // of the first messages: no second system text
    r.raw = true;
    r.op = OP_GENERATE;
    CHECK_EQ(defaults_apply(&a, &made, &r, &got), ERR_OK);
    CHECK(got->messages == &own && got->top_k == 7);
    r.op = OP_EMBED;
    CHECK_EQ(defaults_apply(&a, &made, &r, &got), ERR_OK);
    CHECK(got == &r);
    arena_done(&a);
}

TEST(defaults_every_allocation_may_fail) {
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; e != ERR_OK && k < 100; k++) {
        struct arena a;
        struct request r;
        const struct request *got;
        arena_init(&a, 1 << 20, 64);
        request_init(&r);
        mem_fail_once(k);
        e = defaults_apply(&a, &made, &r, &got);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        arena_done(&a);
    }
    CHECK_EQ(e, ERR_OK);
}
