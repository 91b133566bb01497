// SPDX-License-Identifier: Apache-2.0
// Signatures on their way through a foreign client: packed, given back and unpacked, for each maker and each client; what is
// no whole package stays as it is; what is too long is lost and said so; each allocation fails in turn.
#include "dialect/carry.h"
#include "base/limits.h"
#include "base/mem.h"
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 64 << 20, 0);
}

struct pipe_end {
    struct carry *carry;
    struct event_sink out;
};

static enum err through(void *ctx, const struct event *ev) {
    struct pipe_end *p = ctx;
    return carry_event(p->carry, ev, &p->out);
}

// The whole stream of `from` as a client of `to` gathers it.
static enum err carried(struct arena *a, const struct dialect *from, const struct dialect *to, const char *stream,
                        struct answer *ret, bool *ret_lost) {
    struct pipe_end end = {carry_new(a, from, to), {sample_collect, ret}};
    struct event_sink sink = {through, &end};
    if (!end.carry || !answer_init(ret, a))
        return ERR_NO_MEMORY;
    enum err e = sample_read_stream(a, from, slice_str(stream), &sink);
    *ret_lost = carry_lost(end.carry);
    return e;
}

// What the client sends back: its answer's blocks as parts, unsigned where its dialect has no field.
static struct request *sent_back(struct arena *a, const struct dialect *d, const struct answer *answer) {
    struct request *r = ARENA_NEW(a, struct request);
    struct message *m = ARENA_NEW(a, struct message);
    struct part **tail = m ? &m->parts : NULL;
    if (!r || !m)
        return NULL;
    request_init(r);
    r->dialect = (int)d->id;
    r->messages = m;
    m->role = ROLE_ASSISTANT;
    for (const struct answer_block *b = answer->first; b; b = b->next) {
        struct part *p = ARENA_NEW(a, struct part);
        if (!p)
            return NULL;
        p->kind = b->kind == BLOCK_THINK ? PART_THINK : b->kind == BLOCK_TOOL ? PART_TOOL_CALL : PART_TEXT;
        p->text = buf_slice(&b->text);
        p->id = b->kind == BLOCK_TOOL ? b->call_id : SLICE_NONE;
        p->name = b->name;
        if (b->kind == BLOCK_THINK && d->signs_thinking)
            p->signature = b->redacted ? b->opening : b->signature;
        if (b->kind == BLOCK_TOOL && d->signs_calls)
            p->signature = b->signature;
        *tail = p;
        tail = &p->next;
    }
    return r;
}

static const struct part *find(const struct request *r, enum part_kind kind, unsigned nth) {
    for (const struct part *p = r->messages->parts; p; p = p->next)
        if (p->kind == kind && nth-- == 0)
            return p;
    return NULL;
}

#define A_START                                                                                                    \
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\"," \
    "\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
#define A_STOP                                                                                                        \
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":2}}\n\n" \
    "data: {\"type\":\"message_stop\"}\n\n"
#define A_THINK                                                                                                                   \
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\","             \
    "\"signature\":\"\"}}\n\n"                                                                                                    \
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"I \"}}\n\n"        \
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"see\"}}\n\n"       \
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ln+/=\"}}\n\n" \
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
#define A_REDACTED                                                                                           \
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"redacted_thinking\"," \
    "\"data\":\"ZGF0YQ==\"}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
#define A_CALL(i, id)                                                                                                \
    "data: {\"type\":\"content_block_start\",\"index\":" #i ",\"content_block\":{\"type\":\"tool_use\",\"id\":\"" id \
    "\",\"name\":\"f\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_stop\",\"index\":" #i "}\n\n"

static const char *const anthropic_stream = A_START A_THINK A_REDACTED A_CALL(2, "toolu_1") A_CALL(3, "toolu_2") A_STOP;

static const char *const responses_stream =
    "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"m\"}}\n\n"
    "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_9\","
    "\"summary\":[],\"encrypted_content\":\"Z0FBQQ==\"}}\n\n"
    "data: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"type\":\"function_call\",\"id\":\"fc_1\","
    "\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"{}\"}}\n\n"
    "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[]}}\n\n";

static const char *const gemini_stream =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}},\"thoughtSignature\":"
    "\"c2ln\"},{\"functionCall\":{\"id\":\"two\",\"name\":\"g\",\"args\":{}}}]},\"finishReason\":\"STOP\"}]}\n\n";

static const enum dialect_id clients[] = {DIALECT_OPENAI, DIALECT_ANTHROPIC, DIALECT_OLLAMA, DIALECT_RESPONSES,
                                          DIALECT_GEMINI};

// Runs the way there and back for a client; NULL when a step failed.
static struct request *round_trip(enum dialect_id from, enum dialect_id to, const char *stream) {
    static struct answer answer; // outlives the arena
    bool lost = true;
    fresh();
    if (carried(&arena, dialect_get(from), dialect_get(to), stream, &answer, &lost) || lost)
        return NULL;
    struct request *r = sent_back(&arena, dialect_get(to), &answer);
    return r && !carry_unpack(&arena, r) ? r : NULL;
}

TEST(carry_anthropic_thinking_through_every_client) {
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        if (clients[i] == DIALECT_ANTHROPIC)
            continue;
        struct request *r = round_trip(DIALECT_ANTHROPIC, clients[i], anthropic_stream);
        CHECK(r && r->carried);
        const struct part *think = find(r, PART_THINK, 0), *redacted = find(r, PART_THINK, 1);
        CHECK(think && redacted && !find(r, PART_THINK, 2));
        CHECK(r->messages->parts == think);
        CHECK(slice_is(think->signature, "c2ln+/=") && slice_is(think->text, "I see"));
        CHECK(redacted->redacted && slice_is(redacted->data, "ZGF0YQ=="));
        CHECK(slice_is(find(r, PART_TOOL_CALL, 0)->id, "toolu_1"));
        CHECK(slice_is(find(r, PART_TOOL_CALL, 1)->id, "toolu_2"));
        CHECK(carry_made_by(r, think, DIALECT_ANTHROPIC) && carry_made_by(r, redacted, DIALECT_ANTHROPIC));
        CHECK(!carry_made_by(r, think, clients[i]));
    }
    fresh();
}

TEST(carry_encrypted_reasoning_through_every_client) {
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        if (clients[i] == DIALECT_RESPONSES)
            continue;
        struct request *r = round_trip(DIALECT_RESPONSES, clients[i], responses_stream);
        CHECK(r && r->carried);
        const struct part *think = find(r, PART_THINK, 0);
        CHECK(think && slice_is(think->signature, "Z0FBQQ==") && slice_is(think->id, "rs_9"));
        CHECK(carry_made_by(r, think, DIALECT_RESPONSES));
        CHECK(slice_is(find(r, PART_TOOL_CALL, 0)->id, "call_1"));
    }
    fresh();
}

TEST(carry_thought_signatures_of_calls_through_every_client) {
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        if (clients[i] == DIALECT_GEMINI)
            continue;
        struct request *r = round_trip(DIALECT_GEMINI, clients[i], gemini_stream);
        CHECK(r && r->carried);
        const struct part *call = find(r, PART_TOOL_CALL, 0), *other = find(r, PART_TOOL_CALL, 1);
        CHECK(slice_is(call->signature, "c2ln") && carry_made_by(r, call, DIALECT_GEMINI));
        CHECK(slice_starts(call->id, "call_") && slice_search(call->id, SLICE("gtS1")) == SIZE_MAX);
        CHECK(slice_is(other->id, "two") && !other->signature.n && !other->made_by);
    }
    fresh();
}

// A client that signs gets a package also for thinking that has no signature, so that no upstream takes it for its own.
TEST(carry_marks_unsigned_thinking) {
    const char *stream =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"4\"},\"finish_reason\":\"stop\"}]}\n\n"
        "data: [DONE]\n\n";
    struct request *r = round_trip(DIALECT_OPENAI, DIALECT_ANTHROPIC, stream);
    CHECK(r && r->carried);
    const struct part *think = find(r, PART_THINK, 0);
    CHECK(!think->signature.n && slice_is(think->text, "hm") && carry_made_by(r, think, DIALECT_OPENAI));
    fresh();
}

// The package of a stream's first call.
static struct slice packed_id(void) {
    static struct answer answer; // outlives the arena
    bool lost;
    fresh();
    if (carried(&arena, dialect_get(DIALECT_ANTHROPIC), dialect_get(DIALECT_OPENAI), anthropic_stream, &answer, &lost))
        return SLICE_NONE;
    for (const struct answer_block *b = answer.first; b; b = b->next)
        if (b->kind == BLOCK_TOOL)
            return b->call_id;
    return SLICE_NONE;
}

static struct request *request_with_id(struct slice id) {
    static struct part call, result;
    static struct message m;
    static struct request r;
    request_init(&r);
    call = (struct part){.kind = PART_TOOL_CALL, .id = id, .next = &result};
    result = (struct part){.kind = PART_TOOL_RESULT, .id = id};
    m = (struct message){.parts = &call};
    r.messages = &m;
    r.carried = false;
    return &r;
}

TEST(carry_broken_packages_stay_as_they_are) {
    struct slice whole = packed_id();
    CHECK(whole.n > 40);
    char *text = arena_strdup(&arena, arena_cstr(&arena, whole));
    struct request *r = request_with_id(whole);
    CHECK_EQ(carry_unpack(&arena, r), ERR_OK);
    CHECK(r->carried && slice_is(r->messages->parts->kind == PART_THINK ? SLICE("t") : SLICE("c"), "t"));
    for (size_t i = 0; i < whole.n; i++) {
        if (slice_search(slice_of(text, i), SLICE("__gtS1")) == SIZE_MAX)
            continue; // the id in front is anybody's
        char kept = text[i];
        text[i] = kept == 'A' ? 'B' : 'A';
        r = request_with_id(slice_of(text, whole.n));
        CHECK_EQ(carry_unpack(&arena, r), ERR_OK);
        // The last character may hold bits that no byte takes.
        if (r->carried && i + 1 < whole.n)
            FAIL("byte %zu of %zu", i, whole.n);
        text[i] = kept;
        r = request_with_id(slice_of(text, i));
        CHECK_EQ(carry_unpack(&arena, r), ERR_OK);
        CHECK(!r->carried && slice_eq(r->messages->parts->id, slice_of(text, i)));
    }
    fresh();
}

TEST(carry_package_inside_a_package) {
    struct slice inner = packed_id();
    struct event_sink sink;
    static struct answer answer; // outlives the arena
    struct carry *c = carry_new(&arena, dialect_get(DIALECT_GEMINI), dialect_get(DIALECT_OPENAI));
    CHECK(c && answer_init(&answer, &arena));
    sink = (struct event_sink){sample_collect, &answer};
    struct event start = {.kind = EV_START},
                 call = {.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_TOOL, .call_id = inner};
    CHECK_EQ(carry_event(c, &start, &sink), ERR_OK);
    CHECK_EQ(carry_event(c, &call, &sink), ERR_OK);
    CHECK(!slice_eq(answer.first->call_id, inner)); // an upstream's own id never unpacks as ours
    struct request *r = request_with_id(answer.first->call_id);
    CHECK_EQ(carry_unpack(&arena, r), ERR_OK);
    CHECK(r->carried && slice_eq(r->messages->parts->id, inner));
    CHECK(slice_eq(r->messages->parts->next->id, inner));
    fresh();
}

TEST(carry_too_much_is_lost_and_said) {
    static char big[LIMIT_CARRIED_BYTES];
    memset(big, 'x', sizeof big);
    fresh();
    static struct answer answer; // outlives the arena
    struct carry *c = carry_new(&arena, dialect_get(DIALECT_GEMINI), dialect_get(DIALECT_OPENAI));
    CHECK(c && answer_init(&answer, &arena));
    struct event_sink sink = {sample_collect, &answer};
    struct event start = {.kind = EV_START};
    struct event call = {.kind = EV_BLOCK_BEGIN,
                         .block_kind = BLOCK_TOOL,
                         .call_id = SLICE("c1"),
                         .signature = slice_of(big, sizeof big)};
    CHECK_EQ(carry_event(c, &start, &sink), ERR_OK);
    CHECK_EQ(carry_event(c, &call, &sink), ERR_OK);
    CHECK(carry_lost(c) && slice_is(answer.first->call_id, "c1"));
    call.block = 1;
    call.signature = SLICE("c2ln");
    CHECK_EQ(carry_event(c, &call, &sink), ERR_OK); // and the next one is not
    CHECK(slice_starts(answer.first->next->call_id, "c1__gtS1"));
    fresh();
}

// A Gemini SDK decodes what is base64 and encodes it again, with another alphabet perhaps.
TEST(carry_survives_another_alphabet) {
    static struct answer answer; // outlives the arena
    bool lost;
    fresh();
    CHECK_EQ(
        carried(&arena, dialect_get(DIALECT_ANTHROPIC), dialect_get(DIALECT_GEMINI), anthropic_stream, &answer, &lost),
        ERR_OK);
    struct request *r = sent_back(&arena, dialect_get(DIALECT_GEMINI), &answer);
    CHECK(r && r->messages && r->messages->parts);
    struct part *think = r->messages->parts;
    char *text = arena_strdup(&arena, arena_cstr(&arena, think->signature));
    CHECK(text && think->signature.n % 4 == 0);
    for (char *c = text; *c; c++)
        *c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
    think->signature = slice_str(text);
    CHECK_EQ(carry_unpack(&arena, r), ERR_OK);
    CHECK(slice_is(think->signature, "c2ln+/="));
    fresh();
}

static enum err there_and_back(struct arena *a, enum dialect_id to) {
    static struct answer answer; // outlives the arena
    bool lost = false;
    enum err e = carried(a, dialect_get(DIALECT_ANTHROPIC), dialect_get(to), anthropic_stream, &answer, &lost);
    if (e || lost)
        return e ? e : ERR_NO_MEMORY;
    struct request *r = sent_back(a, dialect_get(to), &answer);
    return r ? carry_unpack(a, r) : ERR_NO_MEMORY;
}

// ---- what no call follows

static const char *const anthropic_words = A_START A_THINK
    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"So \"}}\n\n"
    "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"it is.\"}}\n\n"
    "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n" A_STOP;
static const char *const gemini_words =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"So it is.\"}]}}]}\n\n"
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\",\"thoughtSignature\":\"c2ln\"}]},\"finishReason\":"
    "\"STOP\"}]}\n\n";

// The answer's rest, put back into *m, whose only part is *said. ERR_NOT_FOUND: there is no rest.
static enum err words_there_and_back(struct arena *a, enum dialect_id from, const char *stream, struct message *m,
                                     struct part *said) {
    static struct answer answer; // outlives the arena
    struct slice package, words;
    struct pipe_end end = {carry_new(a, dialect_get(from), dialect_get(DIALECT_OPENAI)), {sample_collect, &answer}};
    struct event_sink sink = {through, &end};
    if (!end.carry || !answer_init(&answer, a))
        return ERR_NO_MEMORY;
    enum err e = sample_read_stream(a, dialect_get(from), slice_str(stream), &sink);
    if (e || !carry_rest(end.carry, &package, &words))
        return e ? e : ERR_NOT_FOUND;
    struct slice again = package;
    if (carry_rest(end.carry, &again, &words))
        return ERR_INTERNAL; // once
    *said = (struct part){.kind = PART_TEXT, .text = words};
    *m = (struct message){.role = ROLE_ASSISTANT, .parts = said};
    return carry_put_back(a, m, package);
}

TEST(carry_words_without_a_call) {
    struct message m;
    struct part said;
    struct request r;
    request_init(&r);
    r.dialect = DIALECT_OPENAI;
    fresh();
    CHECK_EQ(words_there_and_back(&arena, DIALECT_ANTHROPIC, anthropic_words, &m, &said), ERR_OK);
    CHECK(slice_is(said.text, "So it is.") && !said.signature.n && m.parts->next == &said);
    CHECK(m.parts->kind == PART_THINK && slice_is(m.parts->signature, "c2ln+/=") && slice_is(m.parts->text, "I see"));
    CHECK(carry_made_by(&r, m.parts, DIALECT_ANTHROPIC));
    fresh();
    CHECK_EQ(words_there_and_back(&arena, DIALECT_GEMINI, gemini_words, &m, &said), ERR_OK);
    CHECK(m.parts == &said && slice_is(said.signature, "c2ln") && carry_made_by(&r, &said, DIALECT_GEMINI));
    fresh();
    CHECK_EQ(words_there_and_back(&arena, DIALECT_GEMINI, gemini_stream, &m, &said), ERR_NOT_FOUND); // a call took it
    CHECK_EQ(carry_put_back(&arena, &m, SLICE("gtS1broken")), ERR_OK);
    fresh();
}

TEST(carry_words_each_failed_allocation) {
    const char *const streams[] = {anthropic_words, gemini_words};
    const enum dialect_id from[] = {DIALECT_ANTHROPIC, DIALECT_GEMINI};
    for (size_t i = 0; i < 2; i++) {
        enum err e = ERR_NO_MEMORY;
        for (unsigned long k = 1; e; k++) {
            struct arena a;
            struct message m;
            struct part said;
            arena_init(&a, 16 << 20, 256);
            mem_fail_at(k);
            e = words_there_and_back(&a, from[i], streams[i], &m, &said);
            mem_fail_at(0);
            arena_done(&a);
            CHECK(e == ERR_OK || e == ERR_NO_MEMORY || e == ERR_NOT_FOUND); // without memory there may be no rest
        }
    }
}

TEST(carry_each_failed_allocation) {
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        enum err e = ERR_NO_MEMORY;
        for (unsigned long k = 1; e && clients[i] != DIALECT_ANTHROPIC; k++) {
            struct arena a;
            arena_init(&a, 16 << 20, 256);
            mem_fail_at(k);
            e = there_and_back(&a, clients[i]);
            mem_fail_at(0);
            arena_done(&a);
            CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        }
    }
}
