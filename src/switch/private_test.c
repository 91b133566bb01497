// SPDX-License-Identifier: Apache-2.0
// The way back, through the codecs: every dialect's golden streams, with stand-ins put into their texts, thinking and
// arguments, are written as that dialect's upstream would, cut at every byte of the wire, in pieces of every size and at
// random, restored, written for each client's dialect, and read again there. What the client then has must be what a look at
// each whole text gives.
#include "base/mem.h"
#include "dialect/codec.h"
#include "dialect/samples.h"
#include "net/sse.h"
#include "privacy/restore.h"
#include "unit.h"

static const struct standin_key key = {{7}};
static struct arena arena; // of the golden stream at hand
static struct aliases map;
static struct matcher *standins;
static struct slice mail, card, secret;

static uint32_t dice_state;
static uint32_t dice(uint32_t sides) {
    dice_state = dice_state * 1664525u + 1013904223u;
    return (dice_state >> 8) % sides;
}

static bool map_make(void) {
    arena_done(&arena);
    arena_init(&arena, 256u << 20, 0);
    if (!aliases_init(&map, &arena, &key))
        return false;
    mail = aliases_take(&map, ENTITY_EMAIL, SLICE("jane.doe@corp.com"), false);
    card = aliases_take(&map, ENTITY_CARD, SLICE("4111111111111111"), false);
    secret = aliases_take(&map, ENTITY_SECRET, SLICE("pa\"ss\\w\n\xc3\xb6rd"), false);
    standins = aliases_find_standin(&map);
    return standins && secret.p;
}

// ---- a golden answer

// Stand-ins in front, in the middle and at the end; in arguments as members.
static bool block_fill(struct answer_block *b) {
    struct slice said = arena_copy(&arena, buf_slice(&b->text)), middle = slice_from(said, said.n / 2);
    struct slice front = slice_first(said, said.n - middle.n);
    buf_clear(&b->text);
    if (b->kind == BLOCK_TOOL) {
        struct slice rest = slice_from(said, said.n > 0);
        buf_printf(&b->text, "{\"to\":[\"<%.*s>\",\"\\\"%.*s\"],\"n\":%.*s%s%.*s", SLICE_FMT(mail), SLICE_FMT(secret),
                   SLICE_FMT(card), said.n > 2 ? "," : "", SLICE_FMT(rest.n ? rest : SLICE("}")));
    } else if (b->kind == BLOCK_TEXT || b->kind == BLOCK_THINK) {
        buf_printf(&b->text, "%.*s, %.*s(%.*s) %.*s %.*s+", SLICE_FMT(mail), SLICE_FMT(front), SLICE_FMT(secret),
                   SLICE_FMT(middle), SLICE_FMT(card));
    } else {
        buf_append(&b->text, said);
    }
    return !b->text.failed;
}

static struct answer *golden_make(const struct dialect *d, const char *sample) {
    struct answer *a = answer_new(&arena);
    struct event_sink sink = {sample_collect, a};
    if (!a || sample_read_stream(&arena, d, slice_str(sample), &sink))
        return NULL;
    for (struct answer_block *b = a->first; b; b = b->next)
        if (!block_fill(b))
            return NULL;
    return a;
}

static struct slice said_by(const struct answer *a, enum block_kind kind) {
    struct buf b = BUF_INIT(1u << 20);
    for (const struct answer_block *at = a->first; at; at = at->next)
        if (at->kind == kind) {
            buf_append(&b, buf_slice(&at->text));
            buf_append_char(&b, kind == BLOCK_TOOL ? '\n' : ' '); // how blocks are parted is the dialect's
        }
    struct slice s = arena_copy(&arena, buf_slice(&b));
    buf_done(&b);
    return s;
}

static struct slice restored(struct slice text, bool json) {
    struct buf out = BUF_INIT(1u << 20);
    enum err e = restore_text(&map, standins, text, json, false, &out);
    struct slice s = e ? SLICE_NONE : arena_copy(&arena, buf_slice(&out));
    buf_done(&out);
    return s;
}

// ---- written by the upstream in pieces

struct chopper {
    const struct dialect *d;
    struct stream_writer *w;
    size_t step; // bytes of a piece; 0: at random
    struct buf out;
};

static enum err chop(void *ctx, const struct event *ev) {
    struct chopper *c = ctx;
    struct event piece = *ev;
    struct slice rest = ev->text;
    enum err e = ERR_OK;
    if (ev->kind != EV_DELTA)
        return c->d->writer_event(c->w, ev, &c->out);
    while (rest.n && !e) {
        size_t n = c->step ? c->step : 1 + dice(12);
        n = n < rest.n ? n : rest.n;
        while (n < rest.n && ((unsigned char)rest.p[n] & 0xc0) == 0x80) // no upstream cuts a character
            n++;
        piece.text = slice_first(rest, n);
        rest = slice_from(rest, n);
        e = c->d->writer_event(c->w, &piece, &c->out);
    }
    return e;
}

static struct request request_of(const struct dialect *d) {
    struct request r;
    request_init(&r);
    r.dialect = (int)d->id;
    r.model = SLICE("m");
    r.stream = r.include_usage = true;
    return r;
}

static struct slice wire_make(const struct dialect *d, const struct answer *a, size_t step) {
    struct request r = request_of(d);
    struct chopper c = {d, d->writer_new(&arena, &r, &sample_identity), step, BUF_INIT(1u << 20)};
    struct event_sink sink = {chop, &c};
    enum err e = c.w ? answer_replay(a, &sink) : ERR_NO_MEMORY;
    struct slice s = e || c.out.failed ? SLICE_NONE : arena_copy(&arena, buf_slice(&c.out));
    buf_done(&c.out);
    return s;
}

// ---- read, restored, written for the client

struct way {
    const struct dialect *from, *to; // to NULL: no client, the events are gathered as they are
    struct arena a;
    struct stream_reader *reader;
    struct restorer *restorer;
    struct stream_writer *writer;
    struct answer *answer;
    struct buf out;
};

static enum err way_event(void *ctx, const struct event *ev) {
    struct way *w = ctx;
    return w->to ? w->to->writer_event(w->writer, ev, &w->out) : answer_add(w->answer, ev);
}

static enum err way_restore(void *ctx, const struct event *ev) {
    struct event_sink next = {way_event, ctx};
    return restorer_event(((struct way *)ctx)->restorer, ev, &next);
}

static enum err way_frame(void *ctx, const struct frame *f) {
    struct way *w = ctx;
    struct event_sink sink = {way_restore, w};
    return w->from->reader_frame(w->reader, f, &sink);
}

static enum err way_read(struct way *w, struct slice wire, size_t cut) {
    struct frame_reader r;
    struct event_sink sink = {way_restore, w};
    bool left;
    frame_reader_init(&r, w->from->framing, 1u << 20);
    enum err e = frame_feed(&r, slice_first(wire, cut), way_frame, w);
    e = e ? e : frame_feed(&r, slice_from(wire, cut), way_frame, w);
    e = e ? e : frame_finish(&r, way_frame, w, &left);
    frame_reader_done(&r);
    return e ? e : w->from->reader_finish(w->reader, &sink);
}

// What the client has in the end, in w->answer.
static enum err way_go(struct way *w, struct slice wire, size_t cut) {
    struct request r = request_of(w->to ? w->to : w->from);
    arena_init(&w->a, 16u << 20, 0);
    w->out = BUF_INIT(1u << 20);
    w->reader = w->from->reader_new(&w->a, OP_CHAT);
    w->restorer = restorer_new(&w->a, &map, standins, &(struct restore_options){0});
    w->answer = answer_new(&w->a);
    if (w->to)
        w->writer = w->to->writer_new(&w->a, &r, &sample_identity);
    if (!w->reader || !w->restorer || !w->answer || (w->to && !w->writer))
        return ERR_NO_MEMORY;
    enum err e = way_read(w, wire, cut);
    struct event_sink sink = {sample_collect, w->answer};
    if (w->to && !e)
        e = sample_read_stream(&w->a, w->to, buf_slice(&w->out), &sink);
    return e;
}

static void way_done(struct way *w) {
    buf_done(&w->out);
    arena_done(&w->a);
}

static bool same_json(struct slice x, struct slice y) {
    struct json_doc dx, dy;
    struct json_error why;
    return json_read(&arena, x, &dx, &why) == ERR_OK && json_read(&arena, y, &dy, &why) == ERR_OK &&
           yyjson_equals(yyjson_doc_get_root(dx.doc), yyjson_doc_get_root(dy.doc));
}

static bool same_calls(struct slice got, struct slice want) {
    while (want.n) {
        struct slice x = slice_split(&got, '\n'), y = slice_split(&want, '\n');
        if (!same_json(x, y))
            return false;
    }
    return got.n == 0;
}

struct wanted {
    struct slice text, thinking, calls;
};

static void check_way(const struct dialect *from, const struct dialect *to, struct slice wire, size_t cut,
                      const struct wanted *want) {
    struct way w = {.from = from, .to = to};
    enum err e = way_go(&w, wire, cut);
    bool ok = !e && w.answer->ended && slice_eq(said_by(w.answer, BLOCK_TEXT), want->text) &&
              slice_eq(said_by(w.answer, BLOCK_THINK), want->thinking) &&
              same_calls(said_by(w.answer, BLOCK_TOOL), want->calls);
    if (!ok)
        FAIL("%s to %s, cut at %zu of %zu: %s, '%.*s' '%.*s' %.*s, not '%.*s' '%.*s' %.*s", from->name,
             to ? to->name : "events", cut, wire.n, err_name(e), SLICE_FMT(said_by(w.answer, BLOCK_TEXT)),
             SLICE_FMT(said_by(w.answer, BLOCK_THINK)), SLICE_FMT(said_by(w.answer, BLOCK_TOOL)), SLICE_FMT(want->text),
             SLICE_FMT(want->thinking), SLICE_FMT(want->calls));
    way_done(&w);
}

static bool wanted_make(const struct answer *a, struct wanted *ret) {
    *ret = (struct wanted){restored(said_by(a, BLOCK_TEXT), false), restored(said_by(a, BLOCK_THINK), false),
                           restored(said_by(a, BLOCK_TOOL), true)};
    return ret->calls.p && (ret->calls.n || ret->text.n) &&
           slice_search(ret->text.n ? ret->text : ret->calls, SLICE("jane.doe@corp.com")) != SIZE_MAX;
}

TEST(private_streams_cut_at_every_byte) {
    EACH_SAMPLE(d, streams, s) {
        struct wanted want;
        CHECK(map_make());
        struct answer *a = golden_make(d, *s);
        CHECK(a && wanted_make(a, &want));
        struct slice wire = wire_make(d, a, 17);
        CHECK(wire.n > 0);
        for (size_t cut = 0; cut <= wire.n; cut++)
            check_way(d, NULL, wire, cut, &want);
    }
    arena_done(&arena);
}

TEST(private_streams_in_every_pair_and_piece) {
    EACH_SAMPLE(d, streams, s) {
        struct wanted want;
        CHECK(map_make());
        struct answer *a = golden_make(d, *s);
        CHECK(a && wanted_make(a, &want));
        for (size_t step = 0; step < 40; step++) { // every size up to longer than a stand-in, and random ones between
            struct slice wire = wire_make(d, a, step % 2 ? step / 2 + 1 : 0);
            CHECK(wire.n > 0);
            for (int i = 0; i < DIALECT_COUNT; i++)
                if (samples[i].streams) // else no client speaks it
                    check_way(d, dialects[i], wire, dice((uint32_t)wire.n), &want);
        }
    }
    arena_done(&arena);
}
