// SPDX-License-Identifier: Apache-2.0
// Emulated tools, both ways. A first byte chooses. One way: any OpenAI body with tools gives a request whose schema is JSON
// and which can be written. The other: whatever a model says, in pieces of any size, becomes events that keep the grammar,
// whole calls only, each with arguments that are a JSON object, and the same as in one piece.
#include <stdio.h>
#include "dialect/dialect.h"
#include "switch/tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void must_be_json(struct arena *a, struct slice s) {
    struct json_doc doc;
    struct json_error why;
    if (json_read(a, s, &doc, &why) == ERR_BAD_JSON)
        __builtin_trap();
}

static void fuzz_prompt(struct arena *a, bool again, struct slice body) {
    const struct write_options o = {.model = SLICE("m"), .max_tokens = -1, .stream = -1};
    const struct dialect *d = dialect_get(DIALECT_OPENAI);
    struct request *r;
    struct emulation *em;
    struct wire_request wire;
    struct problem p;
    if (d->read_request(a, OP_CHAT, body, &r, &p) || tools_rewrite(a, r, again, &em, &p))
        return;
    if (em->bound)
        must_be_json(a, em->sent.format_schema);
    if (d->write_request(a, &em->sent, &o, &wire, &p) == ERR_OK)
        must_be_json(a, wire.body);
    p = PROBLEM(ERR_UP_REFUSED);
    p.message = body;
    tools_blame(em, a, &p);
}

// ---- the way back

struct ear {
    struct arena *a;
    struct answer answer;
    struct buf heard; // without the borders of deltas
    bool broken;
};

static enum err hear(void *ctx, const struct event *ev) {
    struct ear *ear = ctx;
    if (ear->broken)
        __builtin_trap();
    if (ev->kind == EV_ERROR) {
        ear->broken = true;
        return ERR_OK;
    }
    if (ev->kind != EV_DELTA)
        buf_printf(&ear->heard, "%d %d %.*s\n", (int)ev->kind, (int)ev->finish, SLICE_FMT(ev->name));
    else
        buf_append(&ear->heard, ev->text);
    enum err e = answer_add(&ear->answer, ev);
    if (e == ERR_UP_PROTOCOL)
        __builtin_trap();
    return e;
}

static void ear_check(struct ear *ear) {
    for (const struct answer_block *b = ear->answer.first; b; b = b->next) {
        struct slice text = buf_slice(&b->text);
        if (b->kind != BLOCK_TOOL)
            continue;
        must_be_json(ear->a, text);
        if (ear->broken || !b->ended || !text.n || text.p[0] != '{' || !slice_is(b->name, "f"))
            __builtin_trap();
    }
}

static enum err feed(struct ear *ear, const struct emulation *em, struct slice said, size_t step, enum finish finish) {
    const struct event start = {.kind = EV_START}, begin = {.kind = EV_BLOCK_BEGIN}, stop = {.kind = EV_BLOCK_END};
    const struct event last = {.kind = EV_FINISH, .finish = finish}, end = {.kind = EV_END};
    struct event_sink sink = {hear, ear};
    struct tools_reader *r = tools_reader_new(ear->a, em, SLICE("x"));
    if (!r || !answer_init(&ear->answer, ear->a))
        return ERR_NO_MEMORY;
    enum err e = tools_reader_event(r, &start, &sink);
    if (!e)
        e = tools_reader_event(r, &begin, &sink);
    for (; said.n && !e; said = slice_from(said, step))
        e = tools_reader_event(r, &(struct event){.kind = EV_DELTA, .text = slice_first(said, step)}, &sink);
    if (!e)
        e = tools_reader_event(r, &stop, &sink);
    if (!e)
        e = tools_reader_event(r, &last, &sink);
    return e ? e : tools_reader_event(r, &end, &sink);
}

static void fuzz_answer(struct arena *a, uint8_t how, struct slice said) {
    struct tool tool = {.name = SLICE("f"),
                        .schema = SLICE("{\"properties\":{\"x\":{\"type\":\"integer\"}},\"required\":[\"x\"]}")};
    struct request r;
    struct emulation *em;
    struct problem p;
    struct ear *ears = arena_array(a, 2, sizeof *ears); // their answers are freed with it
    if (!ears)
        return;
    for (int i = 0; i < 2; i++)
        ears[i] = (struct ear){.a = a, .heard = BUF_INIT(16u << 20)};
    request_init(&r);
    r.tools = &tool;
    r.tool_choice = how & 2 ? TOOL_CHOICE_REQUIRED : TOOL_CHOICE_AUTO;
    r.parallel_tools = how & 4 ? 1 : -1;
    r.format = how & 8 ? FORMAT_JSON : FORMAT_UNSET;
    if (tools_rewrite(a, &r, how & 16, &em, &p))
        __builtin_trap();
    enum finish finish = how & 32 ? FINISH_LENGTH : FINISH_STOP;
    enum err one = feed(&ears[0], em, said, 1 + (how >> 6), finish), two = feed(&ears[1], em, said, said.n + 1, finish);
    if (one != two || ears[0].broken != ears[1].broken ||
        !slice_eq(buf_slice(&ears[0].heard), buf_slice(&ears[1].heard)))
        __builtin_trap();
    ear_check(&ears[0]);
    ear_check(&ears[1]);
    buf_done(&ears[0].heard);
    buf_done(&ears[1].heard);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct arena a;
    if (n < 1)
        return 0;
    arena_init(&a, 64u << 20, 0);
    struct slice rest = slice_of((const char *)bytes + 1, n - 1);
    if (bytes[0] & 1)
        fuzz_answer(&a, bytes[0], rest);
    else
        fuzz_prompt(&a, bytes[0] & 2, rest);
    arena_done(&a);
    return 0;
}
