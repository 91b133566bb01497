// SPDX-License-Identifier: Apache-2.0
// Replicate's codec alone: steps, whole predictions, streams at every cut, what is none, every allocation. Whole exchanges
// stand in tests/flow/test_replicate.py.
#include "base/mem.h"
#include "dialect/samples.h"
#include "net/sse.h"
#include "unit.h"

static const struct dialect *d(void) {
    return dialect_get(DIALECT_REPLICATE);
}

static const char done[] = "{\"id\":\"p\",\"status\":\"succeeded\",\"output\":[\"Hel\",\"lo\"],\"metrics\":{"
                           "\"input_token_count\":7,\"output_token_count\":2},\"urls\":{\"get\":\"http://h/p\"}}";

TEST(replicate_steps) {
    static const struct {
        const char *body;
        bool stream;
        enum err err;
        int next;
        const char *url;
    } rows[] = {
        {"{\"status\":\"starting\",\"urls\":{\"get\":\"g\",\"stream\":\"s\",\"cancel\":\"c\"}}", true, ERR_OK,
         NEXT_STREAM, "s"},
        {"{\"status\":\"starting\",\"urls\":{\"get\":\"g\",\"stream\":\"s\"}}", false, ERR_OK, NEXT_POLL, "g"},
        {"{\"status\":\"processing\",\"urls\":{\"get\":\"g\"}}", true, ERR_OK, NEXT_POLL, "g"},
        {"{\"status\":\"new kind\",\"urls\":{\"get\":\"g\"}}", true, ERR_OK, NEXT_POLL, "g"},
        {"{\"status\":\"succeeded\"}", true, ERR_OK, NEXT_NOTHING, ""},
        {"{\"status\":\"failed\",\"urls\":{\"get\":\"g\"}}", true, ERR_OK, NEXT_NOTHING, "g"},
        {"{\"status\":\"starting\"}", true, ERR_UP_PROTOCOL, 0, NULL},
        {"{\"urls\":{\"get\":\"g\"}}", false, ERR_UP_PROTOCOL, 0, NULL},
        {"[]", false, ERR_UP_PROTOCOL, 0, NULL},
        {"{", false, ERR_UP_PROTOCOL, 0, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        struct wire_step step;
        arena_init(&a, 1 << 20, 0);
        enum err e = d()->read_step(&a, slice_str(rows[i].body), rows[i].stream, &step);
        if (e != rows[i].err || (!e && ((int)step.next != rows[i].next || !slice_is(step.url, rows[i].url))))
            FAIL("%s", rows[i].body);
        arena_done(&a);
    }
}

static enum err whole(struct slice body, struct buf *out) {
    struct arena a;
    struct answer answer;
    struct event_sink sink = {sample_collect, &answer};
    arena_init(&a, 1 << 20, 0);
    enum err e = answer_init(&answer, &a) ? d()->read_answer(&a, OP_CHAT, body, &sink) : ERR_NO_MEMORY;
    if (!e && answer.first)
        buf_append(out, buf_slice(&answer.first->text));
    if (!e && answer.usage.input_tokens != 7)
        e = ERR_INTERNAL;
    arena_done(&a);
    return e;
}

TEST(replicate_whole_predictions) {
    struct buf out = BUF_INIT(4096);
    CHECK_EQ(whole(slice_str(done), &out), ERR_OK);
    CHECK_STREQ(buf_cstr(&out), "Hello");
    buf_done(&out);
    for (size_t n = 0; n < sizeof done - 1; n++) {
        struct buf cut = BUF_INIT(4096);
        CHECK_EQ(whole(slice_of(done, n), &cut), ERR_UP_PROTOCOL);
        buf_done(&cut);
    }
    static const char *const none[] = {"{\"status\":\"starting\"}", "{\"status\":\"succeeded\",\"output\":{\"a\":1}}",
                                       "7"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct buf no = BUF_INIT(4096);
        CHECK_EQ(whole(slice_str(none[i]), &no), ERR_UP_PROTOCOL);
        buf_done(&no);
    }
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; k < 200 && e; k++) {
        struct buf no = BUF_INIT(4096);
        mem_fail_at(k);
        e = whole(slice_str(done), &no);
        mem_fail_at(0);
        if (e)
            CHECK(e == ERR_NO_MEMORY || e == ERR_UP_PROTOCOL);
        buf_done(&no);
    }
    CHECK_EQ(e, ERR_OK);
}

// ---- streams

struct listener {
    struct stream_reader *r;
    struct event_sink sink;
};

static enum err frame_heard(void *ctx, const struct frame *f) {
    struct listener *l = ctx;
    return d()->reader_frame(l->r, f, &l->sink);
}

static enum err stream(struct slice bytes, size_t step, struct buf *out) {
    struct arena a;
    struct answer answer;
    struct frame_reader frames;
    bool left = false;
    arena_init(&a, 1 << 20, 0);
    struct listener l = {d()->reader_new(&a, OP_CHAT), {sample_collect, &answer}};
    enum err e = l.r && answer_init(&answer, &a) ? ERR_OK : ERR_NO_MEMORY;
    frame_reader_init(&frames, FRAMING_SSE, 65536);
    while (!e && bytes.n) {
        e = frame_feed(&frames, slice_first(bytes, step), frame_heard, &l);
        bytes = slice_from(bytes, step < bytes.n ? step : bytes.n);
    }
    if (!e)
        e = frame_finish(&frames, frame_heard, &l, &left);
    if (!e)
        e = d()->reader_finish(l.r, &l.sink);
    if (!e && answer.first)
        buf_append(out, buf_slice(&answer.first->text));
    frame_reader_done(&frames);
    arena_done(&a);
    return e;
}

TEST(replicate_streams_at_every_cut) {
    static const char text[] =
        ": hi\n\nevent: output\ndata: Hel\n\nevent: output\ndata: lo\ndata: you\n\nevent: new\ndata: x\n\n"
        "event: done\ndata: {}\n\n";
    for (size_t step = 1; step <= sizeof text; step++) {
        struct buf out = BUF_INIT(4096);
        CHECK_EQ(stream(slice_str(text), step, &out), ERR_OK);
        CHECK_STREQ(buf_cstr(&out), "Hello\nyou");
        buf_done(&out);
    }
    for (size_t n = 0; n + 2 < sizeof text - 1; n++) { // the last line's end may be missing
        struct buf out = BUF_INIT(4096);
        CHECK(stream(slice_of(text, n), 64, &out) != ERR_OK);
        buf_done(&out);
    }
    struct buf out = BUF_INIT(4096);
    CHECK(stream(SLICE("event: error\ndata: it broke\n\n"), 64, &out) != ERR_OK);
    CHECK(stream(SLICE("event: done\ndata: {\"reason\": \"canceled\"}\n\n"), 64, &out) != ERR_OK);
    buf_done(&out);
}

// ---- requests

TEST(replicate_models_that_are_no_names_are_refused) {
    static const char *const rows[][2] = {{"o/m", "/models/o/m/predictions"},
                                          {"o/m:v1", "/predictions"},
                                          {"abc", "/predictions"},
                                          {"o/../m", NULL},
                                          {"o/m?x=1", NULL},
                                          {"o/m#", NULL},
                                          {"o m/x", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a;
        struct request *r;
        struct wire_request wire;
        struct problem p = PROBLEM(ERR_OK);
        struct write_options o = {.model = slice_str(rows[i][0]), .max_tokens = 9, .stream = 1};
        arena_init(&a, 1 << 20, 0);
        CHECK_EQ(dialect_get(DIALECT_OPENAI)
                     ->read_request(&a, OP_CHAT,
                                    SLICE("{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"),
                                    &r, &p),
                 ERR_OK);
        enum err e = d()->write_request(&a, r, &o, &wire, &p);
        if (rows[i][1] ? e || strcmp(wire.path, rows[i][1]) != 0 : e != ERR_UNSUPPORTED)
            FAIL("%s: %s", rows[i][0], err_name(e));
        arena_done(&a);
    }
}
