// SPDX-License-Identifier: Apache-2.0
// The way back: a table of what a model may say and what the client must get, each at every cut of its bytes.
#include <stdio.h>
#include "base/mem.h"
#include "switch/tools.h"
#include "unit.h"

#define WEATHER "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}"

// How a request stood that the model answers.
struct setting {
    enum tool_choice choice;
    bool parallel, again, json;
};
static const struct setting free_choice = {.choice = TOOL_CHOICE_AUTO};
static const struct setting forced = {.choice = TOOL_CHOICE_REQUIRED};
static const struct setting forced_again = {.choice = TOOL_CHOICE_REQUIRED, .again = true};
static const struct setting named = {.choice = TOOL_CHOICE_NAMED};
static const struct setting several = {.choice = TOOL_CHOICE_REQUIRED, .parallel = true};
static const struct setting json = {.choice = TOOL_CHOICE_AUTO, .json = true};

struct row {
    const struct setting *setting;
    const char *said;
    enum finish finish;
    const char *got; // as `heard` writes it
};

static const struct row rows[] = {
    {&free_choice, "{\"text\":\"Hello\"}", FINISH_STOP, "text<Hello> stop"},
    {&free_choice, " {\n\t\"text\" :\r\n \"Hello\" } \n", FINISH_STOP, "text<Hello> stop"},
    {&free_choice, "{\"text\":\"\"}", FINISH_STOP, "stop"},
    {&free_choice, "{\"text\":\"a\\n\\\"\\\\\\/\\b\\f\\r\\tz\"}", FINISH_STOP, "text<a\n\"\\/\b\f\r\tz> stop"},
    {&free_choice, "{\"text\":\"\\u00e9\\u20AC\\ud83d\\ude00\"}", FINISH_STOP,
     "text<\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80> stop"},
    {&free_choice, "{\"text\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}", FINISH_STOP,
     "text<\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80> stop"},
    {&free_choice, "{\"text\":\"\\ud83dx\\ude00\\ud83d\"}", FINISH_STOP,
     "text<\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd> stop"},
    {&free_choice, "{\"text\":\"\\ud83d\\ud83d\\ude00\\ud83d\\n\"}", FINISH_STOP,
     "text<\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd\n> stop"},
    {&free_choice, "{\"text\":\"cut in the mid", FINISH_LENGTH, "text<cut in the mid> length"},
    {&free_choice, "{\"text\":\"cut \\u00e", FINISH_LENGTH, "text<cut > length"},
    {&free_choice, "{\"text\":\"cut \xf0\x9f\x98", FINISH_LENGTH, "text<cut \xef\xbf\xbd> length"},
    {&free_choice, "{\"text\":\"cut \\ud83d", FINISH_LENGTH, "text<cut \xef\xbf\xbd> length"},
    {&free_choice, "{\"text\":\"x\\q\"}", FINISH_STOP, "text<x> broken<the model's answer is not JSON>"},
    {&free_choice, "{\"text\":\"x\\u12g4\"}", FINISH_STOP, "text<x> broken<the model's answer is not JSON>"},
    {&free_choice, "{\"text\":\"x\",\"more\":1}", FINISH_STOP, "text<x> broken<the model's answer is not JSON>"},
    {&free_choice, "{\"name\":\"weather\",\"arguments\":{\"city\":\"Bern\"}}", FINISH_STOP,
     "call<call_x1_0 weather {\"city\":\"Bern\"}> tool"},
    {&free_choice, "{\"arguments\" : {\"city\" : \"B\\u0065rn\"} , \"name\" : \"weather\"}", FINISH_STOP,
     "call<call_x1_0 weather {\"city\" : \"B\\u0065rn\"}> tool"},
    {&free_choice, "{\"name\":\"now\",\"arguments\":{}}", FINISH_STOP, "call<call_x1_0 now {}> tool"},
    {&free_choice, "{\"text\":5}", FINISH_STOP, "broken<the model called no tool that it may call>"},
    {&free_choice, "Hello", FINISH_STOP, "broken<the model's call is not JSON>"},
    {&free_choice, "", FINISH_STOP, "broken<the model's call is not JSON>"},
    {&free_choice, "{\"te", FINISH_LENGTH, "length"}, // too soon to tell what it would have been
    {&free_choice, "", FINISH_FILTER, "filter"},
    {&free_choice, "{\"name\":\"rm\",\"arguments\":{}}", FINISH_STOP,
     "broken<the model called no tool that it may call>"},
    {&free_choice, "[1]", FINISH_STOP, "broken<the model called no tool that it may call>"},
    {&free_choice, "{\"name\":\"weather\",\"arguments\":\"{}\"}", FINISH_STOP,
     "broken<the model's call of 'weather' does not fit the tool's parameters: expected object>"},
    {&free_choice, "{\"name\":\"weather\"}", FINISH_STOP,
     "broken<the model's call of 'weather' does not fit the tool's parameters: expected object>"},
    {&free_choice, "{\"name\":\"weather\",\"arguments\":{\"city\":7}}", FINISH_STOP,
     "broken<the model's call of 'weather' does not fit the tool's parameters: city: expected string>"},
    {&forced, "{\"text\":\"Hello\"}", FINISH_STOP, "broken<the model called no tool that it may call>"},
    {&forced, "{\"name\":\"weather\",\"arguments\":{\"city\":\"Be", FINISH_LENGTH,
     "broken<the model's call was cut by the bound on tokens>"},
    {&forced_again, "{\"name\":\"weather\",\"arguments\":{\"city\":\"Be", FINISH_LENGTH, "length"},
    {&forced_again, "{\"name\":\"weather\",\"arguments\":{\"city\":\"Be\"}}", FINISH_STOP,
     "call<call_x1_0 weather {\"city\":\"Be\"}> tool"},
    {&named, "{\"name\":\"weather\",\"arguments\":{\"city\":\"\"}}", FINISH_STOP,
     "call<call_x1_0 weather {\"city\":\"\"}> tool"},
    {&named, "{\"name\":\"now\",\"arguments\":{}}", FINISH_STOP, "broken<the model called no tool that it may call>"},
    {&forced, "{\"calls\":[{\"name\":\"now\",\"arguments\":{}}]}", FINISH_STOP,
     "broken<the model called no tool that it may call>"},
    {&several,
     "{\"calls\":[{\"name\":\"now\",\"arguments\":{}},{\"name\":\"weather\",\"arguments\":{\"city\":\"B\"}}]}",
     FINISH_STOP, "call<call_x1_0 now {}> call<call_x1_1 weather {\"city\":\"B\"}> tool"},
    {&several, "{\"calls\":[{\"name\":\"now\",\"arguments\":{}},{\"name\":\"weather\",\"arguments\":{}}]}", FINISH_STOP,
     "broken<the model's call of 'weather' does not fit the tool's parameters: city: is missing>"},
    {&several, "{\"calls\":[]}", FINISH_STOP, "broken<the model made more calls than it may, or none>"},
    {&json, "{\"answer\": {\"text\":\"}\\\"{\",\"n\":[1,{}]} }", FINISH_STOP,
     "text<{\"text\":\"}\\\"{\",\"n\":[1,{}]}> stop"},
    {&json, "{\"answer\":\"a\\\"b\"}", FINISH_STOP, "text<\"a\\\"b\"> stop"},
    {&json, "{\"answer\":-12.5}", FINISH_STOP, "text<-12.5> stop"},
    {&json, "{\"answer\":\ttrue\n}", FINISH_STOP, "text<true> stop"},
    {&json, "{\"answer\":[]}]", FINISH_STOP, "text<[]> broken<the model's answer is not JSON>"},
    {&json, "{\"answer\":{\"a\":\"\xc3\xa9", FINISH_LENGTH, "text<{\"a\":\"\xc3\xa9> length"},
    {&json, "{\"text\":\"Hello\"}", FINISH_STOP, "broken<the model called no tool that it may call>"},
    {&json, "{\"name\":\"now\",\"arguments\":{}}", FINISH_STOP, "call<call_x1_0 now {}> tool"},
};

// ---- one answer

struct ear {
    struct buf said;
    enum block_kind kind;
    uint32_t blocks;
    const char *wrong; // something that no client may hear
};

static enum err hear(void *ctx, const struct event *ev) {
    struct ear *ear = ctx;
    struct buf *b = &ear->said;
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        if (ev->block != ear->blocks++)
            ear->wrong = "blocks do not count";
        ear->kind = ev->block_kind;
        buf_append_str(b, ev->block_kind == BLOCK_TEXT ? "text<" : ev->block_kind == BLOCK_TOOL ? "call<" : "other<");
        if (ev->block_kind == BLOCK_TOOL)
            buf_printf(b, "%.*s %.*s ", SLICE_FMT(ev->call_id), SLICE_FMT(ev->name));
        break;
    case EV_DELTA:
        if (ev->block != ear->blocks - 1 || ev->block_kind != ear->kind || !ev->text.n)
            ear->wrong = "a delta of no open block";
        if (!slice_is_utf8(ev->text))
            ear->wrong = "a delta cut inside a character";
        buf_append(b, ev->text);
        break;
    case EV_BLOCK_END:
        buf_append_str(b, "> ");
        break;
    case EV_FINISH:
        buf_append_str(b, finish_name(ev->finish));
        break;
    case EV_ERROR:
        if (b->len && b->p[b->len - 1] != ' ')
            buf_append_str(b, "> ");
        buf_printf(b, "broken<%.*s>", SLICE_FMT(ev->problem->message));
        if (ev->problem->err != ERR_UP_SCHEMA)
            ear->wrong = "an error of another kind";
        break;
    case EV_META:
        ear->wrong = "meta";
        break;
    case EV_START:
    case EV_USAGE:
    case EV_PING:
    case EV_END:
        break;
    }
    return b->failed ? ERR_NO_MEMORY : ERR_OK;
}

static enum err emulation_of(struct arena *a, const struct setting *s, struct emulation **ret) {
    struct request *r = ARENA_NEW(a, struct request);
    struct tool *tools = arena_array(a, 2, sizeof *tools);
    struct problem p;
    if (!r || !tools)
        return ERR_NO_MEMORY;
    request_init(r);
    tools[0] = (struct tool){.next = &tools[1], .name = SLICE("weather"), .schema = SLICE(WEATHER)};
    tools[1] = (struct tool){.name = SLICE("now")};
    r->tools = tools;
    r->tool_choice = s->choice;
    r->tool_choice_name = SLICE("weather");
    r->parallel_tools = s->parallel;
    if (s->json)
        r->format = FORMAT_JSON;
    return tools_rewrite(a, r, s->again, ret, &p);
}

// Pieces of `step` bytes behind a first one of `cut`.
static enum err feed(struct tools_reader *r, struct slice said, size_t cut, size_t step, enum finish finish,
                     struct event_sink *sink) {
    const struct event first[] = {
        {.kind = EV_START}, {.kind = EV_BLOCK_BEGIN}, {.kind = EV_META, .name = SLICE("logprobs")}};
    const struct event last[] = {
        {.kind = EV_BLOCK_END}, {.kind = EV_FINISH, .finish = finish}, {.kind = EV_USAGE}, {.kind = EV_END}};
    enum err e = ERR_OK;
    for (size_t i = 0; i < sizeof first / sizeof first[0] && !e; i++)
        e = tools_reader_event(r, &first[i], sink);
    for (size_t n = cut; said.n && !e; n = step) {
        if (n) {
            // in memory of its own, so that nobody keeps a pointer to it or reads beyond
            char *piece = mem_alloc(n < said.n ? n : said.n);
            if (!piece)
                return ERR_NO_MEMORY;
            memcpy(piece, said.p, n < said.n ? n : said.n);
            e = tools_reader_event(
                r, &(struct event){.kind = EV_DELTA, .text = slice_of(piece, n < said.n ? n : said.n)}, sink);
            mem_free(piece);
        }
        said = slice_from(said, n);
    }
    for (size_t i = 0; i < sizeof last / sizeof last[0] && !e; i++)
        e = tools_reader_event(r, &last[i], sink);
    return e;
}

static enum err answer(const struct row *row, size_t cut, size_t step, struct ear *ear) {
    struct arena a;
    struct emulation *em;
    struct event_sink sink = {hear, ear};
    *ear = (struct ear){.said = BUF_INIT(1u << 16)};
    arena_init(&a, 1u << 20, 64);
    enum err e = emulation_of(&a, row->setting, &em);
    struct tools_reader *r = e ? NULL : tools_reader_new(&a, em, SLICE("x1"));
    if (!e)
        e = r ? feed(r, slice_str(row->said), cut, step, row->finish, &sink) : ERR_NO_MEMORY;
    arena_done(&a);
    return e;
}

static bool answers(const struct row *row, size_t cut, size_t step) {
    struct ear ear;
    enum err e = answer(row, cut, step, &ear);
    bool fine = !e && !ear.wrong && strcmp(buf_cstr(&ear.said), row->got) == 0;
    if (!fine)
        unit_fail(__FILE__, __LINE__, "%s (%zu, %zu): %s, not %s; %s", row->said, cut, step, buf_cstr(&ear.said),
                  row->got, ear.wrong ? ear.wrong : err_name(e));
    buf_done(&ear.said);
    return fine;
}

TEST(tools_answer_at_every_cut) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].said);
        for (size_t cut = 0; cut <= n; cut++)
            if (!answers(&rows[i], cut, n + 1))
                return;
        for (size_t step = 1; step <= 3; step++)
            if (!answers(&rows[i], step, step))
                return;
    }
}

TEST(tools_answer_survives_each_failed_allocation) {
    static const size_t which[] = {0, 4, 15, 27, 36, 40};
    for (size_t i = 0; i < sizeof which / sizeof which[0]; i++) {
        enum err e = ERR_NO_MEMORY;
        for (unsigned long k = 1; e && k < 300; k++) {
            struct ear ear;
            mem_fail_at(k);
            e = answer(&rows[which[i]], 3, 1, &ear);
            mem_fail_at(0);
            buf_done(&ear.said);
            CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        }
        CHECK_EQ(e, ERR_OK);
    }
}

// ---- what else may stand beside the text

static enum err events_heard(const struct event *events, size_t n, struct ear *ear) {
    struct arena a;
    struct emulation *em;
    struct event_sink sink = {hear, ear};
    *ear = (struct ear){.said = BUF_INIT(1u << 16)};
    arena_init(&a, 1u << 20, 0);
    enum err e = emulation_of(&a, &free_choice, &em);
    struct tools_reader *r = e ? NULL : tools_reader_new(&a, em, SLICE("x1"));
    for (size_t i = 0; r && i < n && !e; i++)
        e = tools_reader_event(r, &events[i], &sink);
    arena_done(&a);
    return e;
}

TEST(tools_answer_lets_thinking_pass) {
    const struct event events[] = {
        {.kind = EV_START},
        {.kind = EV_BLOCK_BEGIN, .block = 0, .block_kind = BLOCK_THINK},
        {.kind = EV_DELTA, .block = 0, .block_kind = BLOCK_THINK, .text = SLICE("hm")},
        {.kind = EV_BLOCK_END, .block = 0, .block_kind = BLOCK_THINK},
        {.kind = EV_BLOCK_BEGIN, .block = 1},
        {.kind = EV_DELTA, .block = 1, .text = SLICE("{\"text\":\"one ")},
        {.kind = EV_BLOCK_END, .block = 1},
        {.kind = EV_BLOCK_BEGIN, .block = 2, .block_kind = BLOCK_THINK},
        {.kind = EV_DELTA, .block = 2, .block_kind = BLOCK_THINK, .text = SLICE("so")},
        {.kind = EV_BLOCK_END, .block = 2, .block_kind = BLOCK_THINK},
        {.kind = EV_BLOCK_BEGIN, .block = 3},
        {.kind = EV_DELTA, .block = 3, .text = SLICE("two\"}")},
        {.kind = EV_BLOCK_END, .block = 3},
        {.kind = EV_END}, // without a finish: it is made up
    };
    struct ear ear;
    enum err e = events_heard(events, sizeof events / sizeof events[0], &ear);
    bool same = strcmp(buf_cstr(&ear.said), "other<hm> text<one > other<so> text<two> stop") == 0;
    buf_done(&ear.said);
    CHECK_EQ(e, ERR_OK);
    CHECK(!ear.wrong && same);
}

// An opening without an end is found to be none of ours, in whatever pieces it comes.
TEST(tools_answer_bounds_its_opening) {
    char said[600];
    for (int spaces = 230; spaces < 270; spaces++) {
        (void)snprintf(said, sizeof said, "%*s{\"text\":\"x\"}", spaces, "");
        bool near = spaces + (int)strlen("{\"text\":\"") <= 256;
        const struct row row = {&free_choice, said, FINISH_STOP,
                                near ? "text<x> stop" : "broken<the model called no tool that it may call>"};
        if (!answers(&row, 0, sizeof said) || !answers(&row, 1, 1) || !answers(&row, 255, 2))
            return;
    }
}

TEST(tools_answer_refuses_blocks_of_nobody) {
    struct ear ear;
    const struct event tool = {.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_TOOL},
                       second = {.kind = EV_DELTA, .choice = 1};
    enum err e = events_heard(&tool, 1, &ear);
    buf_done(&ear.said);
    CHECK_EQ(e, ERR_UP_PROTOCOL);
    e = events_heard(&second, 1, &ear);
    buf_done(&ear.said);
    CHECK_EQ(e, ERR_UP_PROTOCOL);
}
