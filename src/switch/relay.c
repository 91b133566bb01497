// SPDX-License-Identifier: Apache-2.0
// Relay: upstream bytes → frames → events → filters → the client's dialect → bytes. With forward.c the only place where
// bytes and events meet. All that an attempt makes for the client gathers in at->out; until the attempt commits nothing
// of it leaves, after that each turn's bytes go out at once. Same dialect on both sides: the frames pass as they came and
// the events are only looked at. Nothing here blocks or logs.
#include "dialect/carry.h"
#include "switch/money.h"
#include "switch/private.h"
#include "switch/reply.h"
#include "switch/turns.h"
#include "switch/worker.h"

#define HELD_BYTES (1u << 20) // an upstream that says so much before its first text is broken

static void note_error(struct attempt *at, const struct problem *p) {
    at->errored = true;
    at->problem = *p;
    at->problem.message = arena_copy(&at->x->arena, p->message);
    at->problem.param = SLICE_NONE;
    at->problem.code = arena_copy(&at->x->arena, p->code);
}

static enum err event_observe(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    switch (ev->kind) {
    case EV_USAGE:
        if (!usage_merge(&at->usage, &ev->usage))
            at->suspect = true;
        break;
    case EV_FINISH:
        at->finish = at->cut ? at->finish : ev->finish;
        break;
    case EV_END:
        at->ended = true;
        break;
    case EV_ERROR:
        if (!at->cut)
            note_error(at, ev->problem);
        return ERR_OK; // attempt_fail tells the client, if it must know
    case EV_DELTA:
        at->output_bytes += (int64_t)ev->text.n;
        if (at->framed)
            pace_note(&at->pace, at->last_us + 1, (int64_t)ev->text.n);
        break;
    case EV_START:
    case EV_BLOCK_BEGIN:
    case EV_META:
    case EV_BLOCK_END:
    case EV_PING:
        break;
    }
    if (event_commits(ev))
        at->commits = true;
    return filter_pass(f, ev);
}

static enum err event_pass(void *ctx, const struct event *ev) {
    return filter_pass(ctx, ev);
}

static enum err event_rewrap(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    struct event_sink next = {event_pass, f};
    return tools_reader_event(at->unwrap, ev, &next);
}

static enum err event_guard(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    struct problem p;
    if (at->errored)
        return ERR_OK; // what follows an answer that broke its schema
    enum err e = judge_event(at->judge, ev, &p);
    if (e == ERR_UP_SCHEMA) {
        note_error(at, &p);
        return ERR_OK;
    }
    if (ev->kind == EV_END && judge_gave_up(at->judge))
        notes_add(&at->x->arena, &at->x->notes, "approximated", SLICE("response_format"),
                  "the answer was too much to hold against its schema");
    return e ? e : filter_pass(f, ev);
}

static enum err event_pack(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    struct event_sink next = {event_pass, f};
    struct slice package, words;
    if (ev->kind == EV_END && carry_rest(at->carry, &package, &words))
        turns_keep(at->x->w->turns, at->x, words, package);
    if (ev->kind == EV_END && carry_lost(at->carry))
        notes_add(&at->x->arena, &at->x->notes, "dropped", SLICE("signature"), "it is longer than a call's id may be");
    return carry_event(at->carry, ev, &next);
}

static enum err event_collect(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    enum err e = answer_add(at->answer, ev);
    return e ? e : filter_pass(f, ev);
}

static enum err event_write(struct filter *f, const struct event *ev) {
    struct attempt *at = f->owner;
    return at->x->dialect->writer_event(at->writer, ev, &at->out);
}

static void filter_join(struct attempt *at, struct filter *f, enum phase phase,
                        enum err (*event)(struct filter *, const struct event *)) {
    *f = (struct filter){phase, event, at, NULL};
    pipe_add(&at->pipe, f);
}

static enum framing relay_framing(const struct attempt *at) {
    return at->wire.json_array ? FRAMING_JSON_ARRAY : at->dialect->framing;
}

static enum err relay_open_stream(struct attempt *at) {
    struct exchange *x = at->x;
    frame_reader_init(&at->frames, relay_framing(at), LIMIT_FRAME_BYTES);
    at->frames_live = true;
    at->reader = at->dialect->reader_new(&at->arena, x->request->op);
    return at->reader ? ERR_OK : ERR_NO_MEMORY;
}

// What stands between the model's words and the client's: the way back of an emulation, the judge of a schema.
static bool relay_check(struct attempt *at) {
    struct exchange *x = at->x;
    if (at->emulation && at->emulation->bound) {
        at->unwrap = tools_reader_new(&at->arena, at->emulation, slice_str(x->id));
        if (!at->unwrap)
            return false;
        filter_join(at, &at->rewrap, PHASE_REWRAP, event_rewrap);
    }
    if (judge_wanted(x->request)) {
        at->judge = judge_new(&at->arena, x->request);
        if (!at->judge)
            return false;
        filter_join(at, &at->guard, PHASE_GUARD, event_guard);
    }
    if (at->dialect == x->dialect)
        return true;
    at->carry = carry_new(&at->arena, at->dialect, x->dialect);
    if (at->carry)
        filter_join(at, &at->pack, PHASE_CARRY, event_pack);
    return at->carry != NULL;
}

enum err relay_open(struct attempt *at, int status, struct slice content_type) {
    struct exchange *x = at->x;
    at->status = status;
    buf_init(&at->out, LIMIT_UP_BODY_BYTES);
    buf_init(&at->body, status >= 400 ? LIMIT_UP_ERROR_BYTES : LIMIT_UP_BODY_BYTES);
    if (status >= 400)
        return ERR_OK;
    if (status < 200 || status >= 300)
        return ERR_UP_PROTOCOL;
    bool json = slice_search(content_type, SLICE("application/json")) != SIZE_MAX;
    bool follow = at->bid.reserved < at->bid.bound; // money may end it: then it must be in our hands
    at->framed = at->stream && !(json && relay_framing(at) == FRAMING_SSE);
    at->verbatim = at->wire.verbatim && at->framed == x->request->stream && !follow;
    if (!relay_check(at) || !private_open(at))
        return ERR_NO_MEMORY;
    filter_join(at, &at->observe, PHASE_OBSERVE, event_observe);
    if (follow && at->framed)
        filter_join(at, &at->follow, PHASE_OBSERVE, money_follow);
    if (!x->request->stream) {
        at->answer = answer_new(&at->arena);
        if (!at->answer)
            return ERR_NO_MEMORY;
        filter_join(at, &at->collect, PHASE_COLLECT, event_collect);
    } else if (!at->verbatim) {
        struct identity who = exchange_identity(x);
        at->writer = x->dialect->writer_new(&at->arena, x->request, &who);
        if (!at->writer)
            return ERR_NO_MEMORY;
        filter_join(at, &at->write, PHASE_WRITE, event_write);
    }
    return at->framed ? relay_open_stream(at) : ERR_OK;
}

static enum err pipe_emit_of(void *ctx, const struct event *ev) {
    struct attempt *at = ctx;
    return pipe_emit(&at->pipe, ev);
}

// A frame that carries usage and nothing else was asked for by us, not by the client.
struct frame_watch {
    struct attempt *at;
    bool usage, other;
};

static enum err frame_watch_event(void *ctx, const struct event *ev) {
    struct frame_watch *w = ctx;
    if (ev->kind == EV_USAGE)
        w->usage = true;
    else if (ev->kind != EV_META)
        w->other = true;
    return pipe_emit(&w->at->pipe, ev);
}

static void relay_pass(struct attempt *at, const struct frame *f) {
    buf_append(&at->out, f->raw);
    at->frames_passed += !f->comment;
}

static enum err relay_frame(void *ctx, const struct frame *f) {
    struct attempt *at = ctx;
    struct frame_watch watch = {at, false, false};
    struct event_sink sink = {frame_watch_event, &watch};
    if (at->cut) { // what came with it is only counted: it will be billed, and may hold the bill
        if (!f->comment)
            (void)!at->dialect->reader_frame(at->reader, f, &sink);
        return ERR_OK;
    }
    if (!f->comment) {
        enum err e = at->dialect->reader_frame(at->reader, f, &sink);
        if (e)
            return e;
    }
    if (at->errored)
        return ERR_OK;
    if (at->verbatim && !(at->wire.usage_added && watch.usage && !watch.other))
        relay_pass(at, f);
    if (at->out.failed)
        return ERR_NO_MEMORY;
    at->whole = at->ended;
    return ERR_OK;
}

enum err relay_bytes(struct attempt *at, struct slice bytes) {
    if (at->framed) {
        enum err e = frame_feed(&at->frames, bytes, relay_frame, at);
        if (e)
            return e == ERR_TOO_LARGE ? ERR_UP_PROTOCOL : e;
        if (at->x->winner != at && at->out.len > HELD_BYTES)
            return ERR_UP_PROTOCOL;
        return ERR_OK;
    }
    if (at->status >= 400 && at->body.len + bytes.n > LIMIT_UP_ERROR_BYTES)
        bytes = slice_first(bytes, LIMIT_UP_ERROR_BYTES - at->body.len);
    buf_append(&at->body, bytes);
    return at->body.failed ? ERR_UP_PROTOCOL : ERR_OK;
}

static enum err relay_close_stream(struct attempt *at) {
    bool leftover = false;
    enum err e = frame_finish(&at->frames, relay_frame, at, &leftover);
    if (e || at->errored || at->ended)
        return e;
    struct event_sink sink = {pipe_emit_of, at};
    e = at->dialect->reader_finish(at->reader, &sink);
    if (!e && leftover)
        e = ERR_UP_DIED;
    return e;
}

enum err relay_close(struct attempt *at) {
    if (at->framed)
        return relay_close_stream(at);
    struct event_sink sink = {pipe_emit_of, at};
    enum err e = at->dialect->read_answer(&at->arena, at->x->request->op, buf_slice(&at->body), &sink);
    if (!e && !at->ended && !at->errored)
        e = ERR_UP_PROTOCOL;
    return e;
}

void relay_write(struct attempt *at) {
    struct exchange *x = at->x;
    struct identity who = exchange_identity(x);
    if (x->request->stream || at->verbatim)
        return;
    if (x->dialect->write_answer(&x->arena, x->request, at->answer, &who, &at->out) || at->out.failed)
        buf_done(&at->out);
}

void relay_rest(struct attempt *at) {
    struct exchange *x = at->x;
    if (x->winner != at || at->out.len == 0 || !x->sink.ops || !x->request->stream)
        return;
    x->answer_bytes += (int64_t)at->out.len;
    x->sink.ops->write(x->sink.to, buf_slice(&at->out));
    buf_clear(&at->out);
}

void relay_flush(struct attempt *at) {
    struct exchange *x = at->x;
    size_t held = at->out.len;
    relay_rest(at);
    if (at->out.len == held)
        return;
    if (x->sink.ops && at->fetch && !x->paused && !x->sink.ops->has_credit(x->sink.to)) {
        x->paused = true;
        fetch_pause(at->fetch);
    }
}

static struct stream_writer *breaking_writer(struct exchange *x, const struct identity *who) {
    const struct attempt *at = x->winner;
    if (at && at->writer)
        return at->writer;
    if (x->request->stream_array)
        return NULL; // where an array stands that went through as it came, we don't know
    struct stream_writer *w = x->dialect->writer_new(&x->arena, x->request, who);
    if (w && at && x->dialect->writer_after)
        x->dialect->writer_after(w, at->frames_passed);
    return w;
}

void relay_break(struct exchange *x, const struct problem *p) {
    if (!x->sink.ops)
        return;
    struct event ev = {.kind = EV_ERROR, .problem = p};
    struct buf out = BUF_INIT(LIMIT_UP_BODY_BYTES); // the event may hold the whole answer again
    struct identity who = exchange_identity(x);
    struct stream_writer *w = breaking_writer(x, &who);
    if (w && !x->dialect->writer_event(w, &ev, &out) && !out.failed && out.len > 0) { // nothing: it had ended already
        x->sink.ops->write(x->sink.to, buf_slice(&out));
        x->sink.ops->end(x->sink.to, NULL);
    } else {
        x->sink.ops->abort(x->sink.to);
    }
    x->sink.ops = NULL;
    buf_done(&out);
}

// The answer is committed: each upstream read is relayed by the attempt's hooks; this step only waits for its end.
enum step_result step_relay(struct exchange *x) {
    if (x->problem.err)
        return STEP_FAIL;
    return x->winner && x->winner->alive ? STEP_WAIT : STEP_NEXT;
}
