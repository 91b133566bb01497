// SPDX-License-Identifier: Apache-2.0
// Fuzzes what the OpenAI codec reads: a client's request (written again, in both ways), an upstream's answer, stream and
// error. The first byte chooses which; each runs in an arena of its own. A stream's frames are lines, as the cutting into
// frames is net's and fuzzed there.
#include "dialect/samples.h"

extern const struct dialect dialect_openai;
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct dialect *const d = &dialect_openai;

static void fuzz_request(struct arena *a, struct slice body) {
    struct request *r;
    struct wire_request wire;
    struct problem p = PROBLEM(ERR_OK);
    struct write_options o = {.model = SLICE("other"), .max_tokens = 7, .stream = 1, .want_usage = true};
    if (d->read_request(a, OP_CHAT, body, &r, &p)) {
        if (!p.err)
            __builtin_trap();
        return;
    }
    (void)request_estimate_tokens(r);
    if (d->write_request(a, r, &o, &wire, &p))
        return;
    struct json_doc doc;
    struct json_error why;
    if (json_read(a, wire.body, &doc, &why)) // a splice must not break what was whole
        __builtin_trap();
    request_erase_sources(r);
    if (d->write_request(a, r, &o, &wire, &p) == ERR_OK && json_read(a, wire.body, &doc, &why))
        __builtin_trap();
}

static void finish(struct arena *a, const struct answer *answer, enum err e) {
    struct request r;
    struct buf out = BUF_INIT(64 << 20);
    request_init(&r);
    if (!e)
        (void)d->write_answer(a, &r, answer, &sample_identity, &out);
    buf_done(&out);
}

static void fuzz_stream(struct arena *a, struct slice bytes) {
    struct answer answer;
    struct event_sink sink = {sample_collect, &answer};
    struct stream_reader *r = d->reader_new(a, OP_CHAT);
    if (!r || !answer_init(&answer, a))
        return;
    enum err e = ERR_OK;
    while (!e && bytes.n) {
        struct frame f = {.data = slice_split(&bytes, '\n')};
        f.raw = f.data;
        e = d->reader_frame(r, &f, &sink);
    }
    if (!e)
        e = d->reader_finish(r, &sink);
    finish(a, &answer, e);
    arena_done(a);
}

static void fuzz_answer(struct arena *a, struct slice body) {
    struct answer answer;
    struct event_sink sink = {sample_collect, &answer};
    if (!answer_init(&answer, a))
        return;
    finish(a, &answer, d->read_answer(a, OP_CHAT, body, &sink));
    arena_done(a);
}

static void fuzz_error(struct arena *a, struct slice body) {
    struct problem p;
    d->read_error(a, 500, body, QUIRK_LLAMA_STATUS, &p);
    if (!p.err)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static void (*const parts[])(struct arena *, struct slice) = {fuzz_request, fuzz_stream, fuzz_answer, fuzz_error};
    struct arena a;
    if (n < 1)
        return 0;
    arena_init(&a, 64 << 20, 0);
    parts[bytes[0] % 4](&a, slice_of((const char *)bytes + 1, n - 1));
    arena_done(&a);
    return 0;
}
