// SPDX-License-Identifier: Apache-2.0
// Answers and streams, for every dialect that offers samples: a stream cut at every place, garbage, each allocation failing,
// replay of a collected answer, and the crossing of all pairs: what one dialect's stream says must be the same after another
// has written and read it.
#include "base/mem.h"
#include "dialect/codec.h"
#include "dialect/samples.h"
#include "unit.h"

static struct arena arena;

static void fresh(void) {
    arena_done(&arena);
    arena_init(&arena, 256 << 20, 0);
}

static struct request any_request(struct arena *a, int dialect) {
    struct request r;
    (void)a;
    request_init(&r);
    r.dialect = dialect;
    r.model = SLICE("m");
    r.stream = r.include_usage = true;
    return r;
}

// ---- gathering

static struct answer *collect_stream(struct arena *a, const struct dialect *d, struct slice bytes, enum err *ret) {
    struct answer *answer = ARENA_NEW(a, struct answer);
    struct event_sink sink = {sample_collect, answer};
    *ret = answer && answer_init(answer, a) ? ERR_OK : ERR_NO_MEMORY;
    if (!*ret)
        *ret = sample_read_stream(a, d, bytes, &sink);
    return answer;
}

static struct answer *collect_answer(struct arena *a, const struct dialect *d, struct slice body, enum err *ret) {
    struct answer *answer = ARENA_NEW(a, struct answer);
    struct event_sink sink = {sample_collect, answer};
    *ret = answer && answer_init(answer, a) ? ERR_OK : ERR_NO_MEMORY;
    if (!*ret)
        *ret = d->read_answer(a, OP_CHAT, body, &sink);
    return answer;
}

// ---- comparing what was said

static const struct answer_block *next_of(const struct answer_block *b, enum block_kind kind) {
    while (b && b->kind != kind)
        b = b->next;
    return b;
}

static const char *text_of(const struct answer *a, enum block_kind kind) {
    struct buf b = BUF_INIT(1 << 20);
    for (const struct answer_block *at = next_of(a->first, kind); at; at = next_of(at->next, kind))
        buf_append(&b, buf_slice(&at->text));
    const char *text = arena_cstr(&arena, buf_slice(&b));
    buf_done(&b);
    return text;
}

static bool same_json(struct slice x, struct slice y) {
    struct json_doc dx, dy;
    struct json_error why;
    x = x.n ? x : SLICE("{}");
    y = y.n ? y : SLICE("{}");
    return json_read(&arena, x, &dx, &why) == ERR_OK && json_read(&arena, y, &dy, &why) == ERR_OK &&
           yyjson_equals(yyjson_doc_get_root(dx.doc), yyjson_doc_get_root(dy.doc));
}

static const char *calls_differ(const struct answer *x, const struct answer *y) {
    const struct answer_block *p = next_of(x->first, BLOCK_TOOL), *q = next_of(y->first, BLOCK_TOOL);
    for (; p && q; p = next_of(p->next, BLOCK_TOOL), q = next_of(q->next, BLOCK_TOOL)) {
        if (!slice_eq(p->name, q->name))
            return "the name of a call";
        if (!same_json(buf_slice(&p->text), buf_slice(&q->text)))
            return "the arguments of a call";
    }
    return p || q ? "the number of calls" : NULL;
}

// Not every dialect tells a stop sequence from a stop.
static enum finish plain_finish(enum finish f) {
    return f == FINISH_STOP_SEQUENCE ? FINISH_STOP : f;
}

static const char *answers_differ(const struct answer *x, const struct answer *y) {
    if (strcmp(text_of(x, BLOCK_TEXT), text_of(y, BLOCK_TEXT)) != 0)
        return "the text";
    if (strcmp(text_of(x, BLOCK_THINK), text_of(y, BLOCK_THINK)) != 0)
        return "the thinking";
    if (plain_finish(x->choices[0].finish) != plain_finish(y->choices[0].finish))
        return "the finish";
    if (x->usage.input_tokens != y->usage.input_tokens || x->usage.output_tokens != y->usage.output_tokens)
        return "the usage";
    return calls_differ(x, y);
}

// ---- samples are what they claim

TEST(suite_samples_are_read) {
    EACH_SAMPLE(d, streams, s) {
        fresh();
        enum err e;
        const struct answer *a = collect_stream(&arena, d, slice_str(*s), &e);
        if (e || !a->ended || !a->n_blocks || !a->choices[0].finish || a->usage.output_tokens < 0)
            FAIL("%s: %s: %s", d->name, err_name(e), *s);
    }
    EACH_SAMPLE(d, answers, s) {
        fresh();
        enum err e;
        const struct answer *a = collect_answer(&arena, d, slice_str(*s), &e);
        if (e || !a->ended || !a->n_blocks || !a->choices[0].finish || a->usage.output_tokens < 0)
            FAIL("%s: %s: %s", d->name, err_name(e), *s);
    }
    fresh();
}

// ---- replay

TEST(suite_replay_says_the_same) {
    EACH_SAMPLE(d, streams, s) {
        fresh();
        enum err e;
        const struct answer *a = collect_stream(&arena, d, slice_str(*s), &e);
        struct answer *b = ARENA_NEW(&arena, struct answer);
        struct event_sink sink = {sample_collect, b};
        CHECK_EQ(e, ERR_OK);
        CHECK(b && answer_init(b, &arena));
        CHECK_EQ(answer_replay(a, &sink), ERR_OK);
        const char *where = answers_differ(a, b);
        if (where || !b->ended || a->n_blocks != b->n_blocks)
            FAIL("%s: %s: %s", d->name, where ? where : "blocks", *s);
    }
    fresh();
}

// ---- cuts

TEST(suite_stream_cut_anywhere_is_no_disaster) {
    EACH_SAMPLE(d, streams, s) {
        struct slice whole = slice_str(*s);
        for (size_t cut = 0; cut < whole.n; cut++) {
            fresh();
            enum err e;
            // A copy of exact size: a read beyond the cut is seen by the sanitizer.
            char *part = mem_strndup(*s, cut);
            const struct answer *a = collect_stream(&arena, d, slice_of(part, cut), &e);
            bool complete = !e && a->ended, early = whole.n - cut > whole.n / 2;
            mem_free(part);
            if (e ? e != ERR_UP_DIED && e != ERR_UP_PROTOCOL : !complete || early)
                FAIL("%s: cut at %zu of %zu gave %s", d->name, cut, whole.n, err_name(e));
        }
    }
    fresh();
}

TEST(suite_stream_garbage_is_no_disaster) {
    EACH_SAMPLE(d, streams, s) {
        uint32_t seed = 7;
        struct slice whole = slice_str(*s);
        char *bytes = mem_strdup(*s);
        for (int i = 0; i < 400; i++) {
            fresh();
            memcpy(bytes, *s, whole.n);
            for (int j = 0; j < 1 + i % 4; j++) {
                seed = seed * 1664525u + 1013904223u;
                bytes[(seed >> 8) % whole.n] = (char)(seed >> 24);
            }
            enum err e;
            (void)collect_stream(&arena, d, slice_of(bytes, whole.n), &e);
            (void)collect_answer(&arena, d, slice_of(bytes, whole.n), &e);
        }
        mem_free(bytes);
    }
    EACH_SAMPLE(d, answers, s) {
        uint32_t seed = 9;
        struct slice whole = slice_str(*s);
        char *bytes = mem_strdup(*s);
        bool fine = true;
        for (int i = 0; i < 400 && fine; i++) {
            fresh();
            memcpy(bytes, *s, whole.n);
            seed = seed * 1664525u + 1013904223u;
            bytes[(seed >> 8) % whole.n] = (char)(seed >> 24);
            enum err e;
            (void)collect_answer(&arena, d, slice_of(bytes, whole.n), &e);
            fine = !e || err_row(e)->fault == FAULT_UPSTREAM;
        }
        mem_free(bytes);
        CHECK(fine);
    }
    fresh();
}

TEST(suite_stream_frames_out_of_order) {
    EACH_SAMPLE(d, streams, s) {
        for (int skip = 0; skip < 12; skip++) {
            fresh();
            struct answer a;
            struct event_sink sink = {sample_collect, &a};
            struct slice rest = slice_str(*s);
            struct frame f;
            CHECK(answer_init(&a, &arena));
            struct stream_reader *r = d->reader_new(&arena, OP_CHAT);
            CHECK(r != NULL);
            enum err e = ERR_OK;
            for (int i = 0; !e && sample_frame(d->framing, &rest, &f); i++) {
                if (i != skip)
                    e = d->reader_frame(r, &f, &sink);
                if (!e && i == skip + 3) // one comes twice
                    e = d->reader_frame(r, &f, &sink);
            }
            if (!e)
                e = d->reader_finish(r, &sink);
            arena_done(&arena);
            arena_init(&arena, 256 << 20, 0);
            if (e && err_row(e)->fault != FAULT_UPSTREAM)
                FAIL("%s: without frame %d: %s", d->name, skip, err_name(e));
        }
    }
    fresh();
}

static enum err deep_frame(const struct dialect *d, const char *opening) {
    struct buf b = BUF_INIT(1 << 20);
    struct answer a;
    struct event_sink sink = {sample_collect, &a};
    fresh();
    for (int k = 0; k < 10000; k++)
        buf_append_str(&b, opening);
    bool ready = answer_init(&a, &arena);
    struct stream_reader *r = d->reader_new(&arena, OP_CHAT);
    const struct frame f = {.data = buf_slice(&b), .raw = buf_slice(&b)};
    enum err e = ready && r ? d->reader_frame(r, &f, &sink) : ERR_NO_MEMORY;
    buf_done(&b);
    fresh();
    return e;
}

TEST(suite_frames_nested_deeply) {
    for (int i = 0; i < DIALECT_COUNT; i++) {
        if (!samples[i].streams)
            continue;
        CHECK_EQ(deep_frame(dialects[i], "{\"choices\":["), ERR_UP_PROTOCOL);
        CHECK_EQ(deep_frame(dialects[i], "["), ERR_UP_PROTOCOL);
    }
}

// ---- crossing

struct crossing {
    const struct dialect *d;
    struct stream_writer *w;
    struct buf out;
};

static enum err to_writer(void *ctx, const struct event *ev) {
    struct crossing *x = ctx;
    return x->d->writer_event(x->w, ev, &x->out);
}

static void cross_stream(const struct dialect *from, const struct dialect *to, const char *stream) {
    fresh();
    struct request r = any_request(&arena, (int)to->id);
    struct crossing x = {to, to->writer_new(&arena, &r, &sample_identity), BUF_INIT(1 << 20)};
    struct event_sink sink = {to_writer, &x};
    enum err e = x.w ? sample_read_stream(&arena, from, slice_str(stream), &sink) : ERR_NO_MEMORY;
    struct slice bytes = arena_copy(&arena, buf_slice(&x.out));
    buf_done(&x.out);
    CHECK_EQ(e, ERR_OK);
    const struct answer *before = collect_stream(&arena, from, slice_str(stream), &e);
    CHECK_EQ(e, ERR_OK);
    const struct answer *after = collect_stream(&arena, to, bytes, &e);
    if (e || !after->ended)
        FAIL("%s to %s: %s: %.*s", from->name, to->name, err_name(e), SLICE_FMT(bytes));
    const char *where = answers_differ(before, after);
    if (where)
        FAIL("%s to %s: %s differs: %.*s", from->name, to->name, where, SLICE_FMT(bytes));
}

TEST(suite_stream_crosses_all_pairs) {
    EACH_SAMPLE(d, streams, s) {
        for (int i = 0; i < DIALECT_COUNT; i++)
            if (samples[i].streams)
                cross_stream(d, dialects[i], *s);
    }
    fresh();
}

static void cross_answer(const struct dialect *from, const struct dialect *to, const char *body) {
    fresh();
    enum err e;
    struct request r = any_request(&arena, (int)to->id);
    const struct answer *before = collect_answer(&arena, from, slice_str(body), &e);
    CHECK_EQ(e, ERR_OK);
    struct buf out = BUF_INIT(1 << 20);
    e = to->write_answer(&arena, &r, before, &sample_identity, &out);
    struct slice bytes = arena_copy(&arena, buf_slice(&out));
    buf_done(&out);
    CHECK_EQ(e, ERR_OK);
    const struct answer *after = collect_answer(&arena, to, bytes, &e);
    const char *where = e ? "" : answers_differ(before, after);
    if (where)
        FAIL("%s to %s: %s %s: %.*s", from->name, to->name, err_name(e), where, SLICE_FMT(bytes));
}

TEST(suite_answer_crosses_all_pairs) {
    EACH_SAMPLE(d, answers, s) {
        for (int i = 0; i < DIALECT_COUNT; i++)
            if (samples[i].answers)
                cross_answer(d, dialects[i], *s);
    }
    fresh();
}

// A stream and a whole answer of the same dialect go through the same events.
TEST(suite_stream_collected_is_an_answer) {
    EACH_SAMPLE(d, streams, s) {
        fresh();
        enum err e;
        struct request r = any_request(&arena, (int)d->id);
        const struct answer *before = collect_stream(&arena, d, slice_str(*s), &e);
        struct buf out = BUF_INIT(1 << 20);
        e = e ? e : d->write_answer(&arena, &r, before, &sample_identity, &out);
        struct slice bytes = arena_copy(&arena, buf_slice(&out));
        buf_done(&out);
        CHECK_EQ(e, ERR_OK);
        const struct answer *after = collect_answer(&arena, d, bytes, &e);
        const char *where = e ? "" : answers_differ(before, after);
        if (where)
            FAIL("%s: %s %s: %.*s", d->name, err_name(e), where, SLICE_FMT(bytes));
    }
    fresh();
}

// ---- each allocation fails in turn

static enum err stream_through(struct arena *a, const struct dialect *d, const char *stream) {
    struct request r = any_request(a, (int)d->id);
    struct crossing x = {d, d->writer_new(a, &r, &sample_identity), BUF_INIT(1 << 20)};
    struct event_sink sink = {to_writer, &x};
    enum err e = x.w ? sample_read_stream(a, d, slice_str(stream), &sink) : ERR_NO_MEMORY;
    buf_done(&x.out);
    return e;
}

static enum err answer_through(struct arena *a, const struct dialect *d, const char *body) {
    enum err e;
    struct request r = any_request(a, (int)d->id);
    const struct answer *answer = collect_answer(a, d, slice_str(body), &e);
    struct buf out = BUF_INIT(1 << 20);
    if (!e)
        e = d->write_answer(a, &r, answer, &sample_identity, &out);
    buf_done(&out);
    return e;
}

static enum err error_through(struct arena *a, const struct dialect *d, const char *body) {
    struct problem p = PROBLEM(ERR_OK);
    struct buf out = BUF_INIT(1 << 20);
    int status = 0;
    d->read_error(a, 400, slice_str(body), 0, &p);
    d->write_error(&p, SLICE("x1"), &out, &status);
    bool fine = p.err && status >= 400 && !out.failed;
    buf_done(&out);
    return fine ? ERR_OK : ERR_NO_MEMORY;
}

// Fails with each allocation, until all of them succeed; the sanitizer looks for what is left behind.
static void fail_each(const struct dialect *d, const char *text,
                      enum err (*run)(struct arena *, const struct dialect *, const char *)) {
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; e; k++) {
        struct arena a;
        arena_init(&a, 16 << 20, 256);
        mem_fail_at(k);
        e = run(&a, d, text);
        mem_fail_at(0);
        arena_done(&a);
        if ((e != ERR_OK && e != ERR_NO_MEMORY) || k > 10000)
            FAIL("%s: allocation %lu gave %s: %s", d->name, k, err_name(e), text);
    }
}

TEST(suite_answers_survive_each_failed_allocation) {
    EACH_SAMPLE(d, streams, s)
    fail_each(d, *s, stream_through);
    EACH_SAMPLE(d, answers, s)
    fail_each(d, *s, answer_through);
    EACH_SAMPLE(d, errors, s)
    fail_each(d, *s, error_through);
}

TEST(suite_errors_cross_and_keep_their_fault) {
    EACH_SAMPLE(d, errors, s) {
        for (int i = 0; i < DIALECT_COUNT; i++) {
            if (!samples[i].errors)
                continue;
            fresh();
            struct problem p, q;
            struct buf out = BUF_INIT(1 << 16);
            int status = 0;
            d->read_error(&arena, 400, slice_str(*s), 0, &p);
            dialects[i]->write_error(&p, SLICE("x1"), &out, &status);
            dialects[i]->read_error(&arena, status, buf_slice(&out), 0, &q);
            buf_done(&out);
            CHECK_EQ(err_row(q.err)->fault, err_row(p.err)->fault);
            CHECK(slice_eq(p.message, q.message));
        }
    }
    fresh();
}
