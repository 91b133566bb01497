// SPDX-License-Identifier: Apache-2.0
#ifndef FUZZ_CODEC_H
#define FUZZ_CODEC_H
// What a codec reads, fuzzed: a client's request (written again, in both ways and for every dialect), an upstream's
// answer, stream and error (told on in every dialect, with signatures packed). The first byte chooses. What comes out must be JSON, whatever
// came in; everything lives in one arena, so that a leak is seen. A stream's frames are lines, as the cutting into
// frames is net's and fuzzed there.
#include "dialect/carry.h"
#include "dialect/samples.h"

struct fuzz_run {
    struct arena *a;
    const struct dialect *d;
    enum op op;
};

static inline void fuzz_must_be_json(struct arena *a, struct slice s) {
    struct json_doc doc;
    struct json_error why;
    if (json_read(a, s, &doc, &why) == ERR_BAD_JSON)
        __builtin_trap();
}

static inline void fuzz_request(struct fuzz_run *run, struct slice body) {
    struct request *r;
    struct wire_request wire;
    struct problem p = PROBLEM(ERR_OK);
    struct write_options o = {.model = SLICE("other"), .max_tokens = 7, .stream = 1, .want_usage = true};
    if (run->d->read_request(run->a, run->op, body, &r, &p)) {
        if (!p.err)
            __builtin_trap();
        return;
    }
    (void)request_estimate_tokens(r);
    if (run->d->write_request(run->a, r, &o, &wire, &p) == ERR_OK)
        fuzz_must_be_json(run->a, wire.body);
    for (int i = 0; i < DIALECT_COUNT; i++)
        if (i != (int)run->d->id && dialects[i]->write_request(run->a, r, &o, &wire, &p) == ERR_OK)
            fuzz_must_be_json(run->a, wire.body);
    request_erase_sources(r);
    if (run->d->write_request(run->a, r, &o, &wire, &p) == ERR_OK)
        fuzz_must_be_json(run->a, wire.body);
}

// ---- answers and streams, told on in every dialect

struct fuzz_ear {
    const struct dialect *d;
    struct carry *carry;
    struct stream_writer *writer;
    struct buf out;
};

struct fuzz_ears {
    struct answer *answer;
    struct fuzz_ear v[DIALECT_COUNT];
};

static inline enum err fuzz_write(void *ctx, const struct event *ev) {
    struct fuzz_ear *ear = ctx;
    return ear->d->writer_event(ear->writer, ev, &ear->out);
}

static inline enum err fuzz_hear(void *ctx, const struct event *ev) {
    struct fuzz_ears *ears = ctx;
    enum err e = answer_add(ears->answer, ev);
    for (int i = 0; i < DIALECT_COUNT && !e; i++) {
        struct event_sink sink = {fuzz_write, &ears->v[i]};
        e = carry_event(ears->v[i].carry, ev, &sink);
    }
    return e;
}

static inline void fuzz_written(struct fuzz_run *run, struct fuzz_ears *ears, bool fine) {
    struct request r;
    request_init(&r);
    r.op = run->op;
    for (int i = 0; i < DIALECT_COUNT; i++) {
        struct slice rest = buf_slice(&ears->v[i].out);
        struct frame f;
        while (sample_frame(dialects[i]->framing, &rest, &f))
            if (f.data.n && !slice_is(f.data, "[DONE]"))
                fuzz_must_be_json(run->a, f.data);
        struct buf out = BUF_INIT(64 << 20);
        if (fine && !dialects[i]->write_answer(run->a, &r, ears->answer, &sample_identity, &out))
            fuzz_must_be_json(run->a, buf_slice(&out));
        buf_done(&out);
        buf_done(&ears->v[i].out);
    }
}

static inline bool fuzz_ears_init(struct fuzz_run *run, struct fuzz_ears *ears) {
    struct request *r = ARENA_NEW(run->a, struct request);
    ears->answer = ARENA_NEW(run->a, struct answer);
    if (!r || !ears->answer || !answer_init(ears->answer, run->a))
        return false;
    request_init(r);
    r->op = run->op;
    for (int i = 0; i < DIALECT_COUNT; i++) {
        struct fuzz_ear *ear = &ears->v[i];
        *ear = (struct fuzz_ear){dialects[i], carry_new(run->a, run->d, dialects[i]),
                                 dialects[i]->writer_new(run->a, r, &sample_identity), BUF_INIT(64 << 20)};
        if (!ear->carry || !ear->writer)
            return false;
    }
    return true;
}

static inline void fuzz_stream(struct fuzz_run *run, struct slice bytes) {
    struct fuzz_ears ears = {0};
    struct event_sink sink = {fuzz_hear, &ears};
    struct stream_reader *r = run->d->reader_new(run->a, run->op);
    if (!r || !fuzz_ears_init(run, &ears))
        return;
    enum err e = ERR_OK;
    while (!e && bytes.n) {
        struct frame f = {.data = slice_split(&bytes, '\n')};
        f.raw = f.data;
        e = run->d->reader_frame(r, &f, &sink);
    }
    if (!e)
        e = run->d->reader_finish(r, &sink);
    fuzz_written(run, &ears, !e);
}

static inline void fuzz_answer(struct fuzz_run *run, struct slice body) {
    struct fuzz_ears ears = {0};
    struct event_sink sink = {fuzz_hear, &ears};
    if (fuzz_ears_init(run, &ears))
        fuzz_written(run, &ears, !run->d->read_answer(run->a, run->op, body, &sink));
}

static inline void fuzz_error(struct fuzz_run *run, struct slice body) {
    struct problem p;
    int status = 0;
    run->d->read_error(run->a, 400, body, 0, &p);
    if (!p.err || p.err >= ERR_COUNT)
        __builtin_trap();
    struct buf out = BUF_INIT(1 << 20);
    run->d->write_error(&p, SLICE("x"), &out, &status);
    if (status < 400)
        __builtin_trap();
    fuzz_must_be_json(run->a, buf_slice(&out));
    buf_done(&out);
}

// other: the dialect's second op.
static inline int fuzz_codec(const struct dialect *d, enum op other, const uint8_t *bytes, size_t n) {
    static void (*const parts[])(struct fuzz_run * run, struct slice s) = {fuzz_request, fuzz_answer, fuzz_stream,
                                                                           fuzz_error};
    struct arena a;
    if (n < 1)
        return 0;
    arena_init(&a, 64 << 20, 0);
    struct fuzz_run run = {&a, d, bytes[0] & 4 ? other : OP_CHAT};
    parts[bytes[0] % 4](&run, slice_of((const char *)bytes + 1, n - 1));
    arena_done(&a);
    return 0;
}

#endif
