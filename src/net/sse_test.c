// SPDX-License-Identifier: Apache-2.0
// Frames: the rules of the specification, every cut, and that the raw bytes joined are the input.
#include "net/sse.h"
#include "base/mem.h"
#include "unit.h"

struct seen {
    struct buf text; // "event|data;" of each frame that counts
    struct buf raw;
    unsigned comments;
    bool all_inside; // slices of the input, nothing copied
    struct slice input;
    enum err stop;
};

static bool inside(const struct seen *t, struct slice s) {
    return s.p >= t->input.p && s.p + s.n <= t->input.p + t->input.n;
}

static enum err note(void *ctx, const struct frame *f) {
    struct seen *t = ctx;
    buf_append(&t->raw, f->raw);
    t->all_inside = t->all_inside && inside(t, f->raw) && (!f->data.n || inside(t, f->data));
    if (f->comment) {
        t->comments++;
        return t->stop;
    }
    buf_append(&t->text, f->event);
    buf_append_char(&t->text, '|');
    buf_append(&t->text, f->data);
    buf_append_char(&t->text, ';');
    return t->stop;
}

static void seen_begin(struct seen *t, struct slice input) {
    buf_clear(&t->text);
    buf_clear(&t->raw);
    t->comments = 0;
    t->all_inside = true;
    t->input = input;
}

static const struct row {
    enum framing framing;
    const char *input;
    const char *want;
    bool leftover;
    bool copied; // data of several lines
} rows[] = {
    {FRAMING_SSE, "data: a\n\n", "|a;", false, false},
    {FRAMING_SSE, "data: a\r\n\r\n", "|a;", false, false},
    {FRAMING_SSE, "data: a\r\r", "|a;", false, false},
    {FRAMING_SSE, "data: a\rdata: b\r\rdata: c\r\r", "|a\nb;|c;", false, true},
    {FRAMING_SSE, "data: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", "|a\nb;|c;", false, true},
    {FRAMING_SSE, "event: x\ndata: a\nid: 7\nretry: 1\n\n", "x|a;", false, false},
    {FRAMING_SSE, "event: x\r\ndata: {\"a\":\"b\"}\r\n\r\nevent: y\r\ndata:  c\r\n\r\n", "x|{\"a\":\"b\"};y| c;", false,
     false},
    {FRAMING_SSE, "data\n\n", "|;", false, false},
    {FRAMING_SSE, "data:\n\n", "|;", false, false},
    {FRAMING_SSE, "data\ndata\n\n", "|\n;", false, true},
    {FRAMING_SSE, "data:a\ndata:  b\n\n", "|a\n b;", false, true},
    {FRAMING_SSE, "database: x\nxdata: y\ndata: z\n\n", "|z;", false, false},
    {FRAMING_SSE, ": ping\n\ndata: a\n\n: pong\n\n", "|a;", false, false},
    {FRAMING_SSE, ":\r\n\r\ndata: a\r\n\r\n", "|a;", false, false},
    {FRAMING_SSE, "event: ping\n\ndata: a\n\n", "|a;", false, false},
    {FRAMING_SSE, "\n\n\ndata: a\n\n\n\n", "|a;", false, false},
    {FRAMING_SSE,
     "\xef\xbb\xbf"
     "data: a\n\ndata: b\n\n",
     "|a;|b;", false, false},
    {FRAMING_SSE, "\xef\xbb\xbf\ndata: a\n\n", "|a;", false, false},
    {FRAMING_SSE,
     "data: a\n\n\xef\xbb\xbf"
     "data: b\n\n",
     "|a;", false, false},
    {FRAMING_SSE, "data: a\n\ndata: cut", "|a;", true, false},
    {FRAMING_SSE, "data: a\n\ndata: cut\n", "|a;", true, false},
    {FRAMING_SSE, "data: a\r\n\r", "|a;", false, false},
    {FRAMING_SSE, "", "", false, false},
    {FRAMING_NDJSON, "{\"a\":1}\n{\"b\":2}\n", "|{\"a\":1};|{\"b\":2};", false, false},
    {FRAMING_JSON_ARRAY, "[{\"a\":1},{\"b\":[2,{}]}]", "|{\"a\":1};|{\"b\":[2,{}]};", false, false},
    {FRAMING_JSON_ARRAY, "[{\n  \"a\": \"]}\\\"{\"\n}\n,\r\n{\"b\":\"\\\\\"}\n]\n",
     "|{\n  \"a\": \"]}\\\"{\"\n};|{\"b\":\"\\\\\"};", false, false},
    {FRAMING_JSON_ARRAY, "{\"error\":{\"code\":1}}\n", "|{\"error\":{\"code\":1}};", false, false},
    {FRAMING_JSON_ARRAY, "[{\"a\":1},{\"b\":", "|{\"a\":1};", true, false},
    {FRAMING_JSON_ARRAY, "[{\"a\":1}\n,", "|{\"a\":1};", true, false},
    {FRAMING_JSON_ARRAY, "[]", "", false, false},
    {FRAMING_JSON_ARRAY, "]}[1]\n", "", false, false},
    {FRAMING_NDJSON, "{\"a\":1}\r\n\r\n{\"b\":2}", "|{\"a\":1};|{\"b\":2};", false, false},
    {FRAMING_NDJSON, "\n", "", false, false},
};

// Feeds the input in pieces of `step` bytes behind a first one of `cut`; the joined raw bytes end up in t.
static enum err feed_cut(struct seen *t, const struct row *row, size_t cut, size_t step, bool *ret_leftover) {
    struct frame_reader r;
    struct slice s = slice_str(row->input);
    enum err e = ERR_OK;
    frame_reader_init(&r, row->framing, 1000);
    seen_begin(t, s);
    for (size_t at = 0, n = cut; at < s.n && !e; at += n, n = step)
        e = frame_feed(&r, slice_first(slice_from(s, at), n), note, t);
    if (!e)
        e = frame_finish(&r, note, t, ret_leftover);
    frame_reader_done(&r);
    return e;
}

static bool row_holds(struct seen *t, const struct row *row, size_t cut, size_t step) {
    bool leftover = false;
    struct slice s = slice_str(row->input);
    enum err e = feed_cut(t, row, cut, step, &leftover);
    struct slice raw = buf_slice(&t->raw);
    return !e && slice_is(buf_slice(&t->text), row->want) && leftover == row->leftover && raw.n <= s.n &&
           (raw.n == s.n) == !leftover && slice_eq(raw, slice_first(s, raw.n));
}

TEST(frames_every_cut) {
    struct seen t = {.text = BUF_INIT(4096), .raw = BUF_INIT(4096)};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].input);
        for (size_t cut = 1; cut <= n + 1; cut++)
            for (size_t step = 1; step <= n; step++)
                if (!row_holds(&t, &rows[i], cut, step))
                    FAIL("row %zu, cut %zu, step %zu: got %s", i, cut, step, buf_cstr(&t.text));
    }
    buf_done(&t.text);
    buf_done(&t.raw);
}

TEST(frames_whole_are_not_copied) {
    struct seen t = {.text = BUF_INIT(4096), .raw = BUF_INIT(4096)};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct frame_reader r;
        if (rows[i].copied)
            continue;
        frame_reader_init(&r, rows[i].framing, 1000);
        seen_begin(&t, slice_str(rows[i].input));
        CHECK_EQ(frame_feed(&r, t.input, note, &t), ERR_OK);
        CHECK(t.all_inside);
        frame_reader_done(&r);
    }
    buf_done(&t.text);
    buf_done(&t.raw);
}

TEST(frames_too_large_and_stopped) {
    struct seen t = {.text = BUF_INIT(1 << 20), .raw = BUF_INIT(1 << 20)};
    struct frame_reader r;
    char big[5000];
    memset(big, 'a', sizeof big);
    frame_reader_init(&r, FRAMING_SSE, 1000);
    seen_begin(&t, slice_of(big, sizeof big));
    CHECK_EQ(frame_feed(&r, t.input, note, &t), ERR_TOO_LARGE);
    frame_reader_done(&r);
    frame_reader_init(&r, FRAMING_SSE, 1000);
    enum err e = ERR_OK;
    size_t fed = 0;
    for (; !e && fed < 5000; fed += 10)
        e = frame_feed(&r, slice_of(big, 10), note, &t);
    CHECK_EQ(e, ERR_TOO_LARGE);
    CHECK(fed < 1030);
    frame_reader_done(&r);
    frame_reader_init(&r, FRAMING_NDJSON, 1000);
    t.stop = ERR_BAD_JSON;
    CHECK_EQ(frame_feed(&r, SLICE("a\nb\n"), note, &t), ERR_BAD_JSON);
    CHECK_EQ(t.raw.len, 2);
    frame_reader_done(&r);
    buf_done(&t.text);
    buf_done(&t.raw);
}

TEST(frames_long_and_cut_small) {
    struct seen t = {.text = BUF_INIT(8 << 20), .raw = BUF_INIT(8 << 20)};
    struct frame_reader r;
    struct buf in = BUF_INIT(8 << 20);
    buf_append_str(&in, "data: ");
    for (size_t i = 0; i < 3000000; i++)
        buf_append_char(&in, 'x');
    buf_append_str(&in, "\n\ndata: y\n\n");
    frame_reader_init(&r, FRAMING_SSE, 4 << 20);
    seen_begin(&t, buf_slice(&in));
    for (size_t at = 0; at < in.len; at += 100)
        CHECK_EQ(frame_feed(&r, slice_first(slice_from(t.input, at), 100), note, &t), ERR_OK);
    CHECK(slice_ends(buf_slice(&t.text), "x;|y;"));
    CHECK_EQ(t.raw.len, in.len);
    frame_reader_done(&r);
    buf_done(&in);
    buf_done(&t.text);
    buf_done(&t.raw);
}

TEST(frames_failed_allocations) {
    struct seen t = {.text = BUF_INIT(4096), .raw = BUF_INIT(4096)};
    (void)buf_reserve(&t.text, 2000);
    (void)buf_reserve(&t.raw, 2000);
    for (unsigned long k = 1; k < 20; k++) {
        bool leftover;
        mem_fail_at(k);
        enum err e = feed_cut(&t, &rows[4], 5, 3, &leftover);
        bool all = mem_count() < k;
        mem_fail_at(0);
        CHECK_EQ(e, all ? ERR_OK : ERR_NO_MEMORY);
        if (all)
            break;
    }
    buf_done(&t.text);
    buf_done(&t.raw);
}
