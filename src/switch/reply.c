// SPDX-License-Identifier: Apache-2.0
// The answer's outside: status, our headers, the whole body or the error body, through the sink. Every function leaves
// the sink alone once the client has gone (sink.ops NULL).
#include "switch/reply.h"
#include <stdio.h>
#include "switch/attempt.h"

#define COST_BYTES 32

struct reply_headers {
    struct header v[11];
    size_t n;
    char timing[160], cost[COST_BYTES], retry[24];
};

struct identity exchange_identity(const struct exchange *x) {
    return (struct identity){slice_str(x->id), x->request->model, x->start_wall_us / 1000000};
}

static void header_put(struct reply_headers *h, const char *name, const char *value) {
    h->v[h->n++] = (struct header){slice_str(name), slice_str(value)};
}

// Pico-USD as decimal USD without rounding, trailing zeros cut: 1500000 → "0.0000015". Below 0: not known.
static const char *cost_text(char (*room)[COST_BYTES], int64_t picousd) {
    struct buf b = BUF_FIXED(*room);
    if (picousd < 0)
        return "unknown";
    buf_append_fixed(&b, (uint64_t)picousd, 12);
    while (b.p[b.len - 1] == '0')
        b.len--;
    if (b.p[b.len - 1] == '.')
        b.len--;
    return buf_cstr(&b);
}

static const struct attempt *answering(const struct exchange *x) {
    return x->winner;
}

int64_t exchange_cost(const struct exchange *x) {
    int64_t sum = 0;
    for (unsigned i = 0; i < x->n_attempts; i++) {
        const struct attempt *at = x->attempts[i];
        int64_t c = at->settled ? at->cost_picousd : at->sent ? usage_cost(&at->usage, &at->t->price) : 0;
        if (c < 0)
            return -1;
        sum += c;
    }
    return sum;
}

static void headers_timing(const struct exchange *x, struct reply_headers *h) {
    const struct attempt *at = answering(x);
    int64_t age_us = exchange_age_us(x);
    struct buf b = BUF_FIXED(h->timing);
    if (at) {
        buf_append_str(&b, "decide;dur=");
        buf_append_fixed(&b, (uint64_t)x->step_us[STEP_DECIDE], 3);
        buf_append_str(&b, ", upstream;dur=");
        buf_append_fixed(&b, (uint64_t)(age_us - at->start_us), 3);
        buf_append_str(&b, ", ");
    }
    buf_append_str(&b, "total;dur=");
    buf_append_fixed(&b, (uint64_t)age_us, 3);
    header_put(h, "server-timing", buf_cstr(&b));
}

static void headers_cost(const struct exchange *x, struct reply_headers *h, bool final) {
    const struct attempt *at = answering(x);
    int64_t cost = final ? exchange_cost(x) : at->reserved_picousd;
    header_put(h, final ? "x-gridtie-cost-usd" : "x-gridtie-cost-estimate-usd", cost_text(&h->cost, cost));
}

static struct headers reply_headers(const struct exchange *x, struct reply_headers *h, bool final) {
    h->n = 0;
    header_put(h, "x-gridtie-id", x->id);
    if (x->dialect->id_header)
        header_put(h, x->dialect->id_header, x->id);
    const struct attempt *at = answering(x);
    if (at) {
        header_put(h, "x-gridtie-target", at->t->name);
        header_put(h, "x-gridtie-zone", zone_name(at->t->zone));
        headers_cost(x, h, final);
    }
    if (x->request && x->request->op == OP_COUNT_TOKENS && x->answer && x->answer->usage.estimated)
        header_put(h, "x-gridtie-estimate", "input_tokens");
    headers_timing(x, h);
    return (struct headers){h->v, h->n};
}

static void stream_head(struct exchange *x, const char *trailer) {
    struct reply_headers h;
    struct headers list = reply_headers(x, &h, false);
    x->head_sent = true;
    x->status = 200;
    x->sink.ops->start(x->sink.to, 200, dialect_stream_type(x->dialect, x->request), &list, trailer);
}

void reply_begin(struct exchange *x) {
    if (x->sink.ops && x->request->stream && !x->head_sent)
        stream_head(x, "x-gridtie-cost-usd");
}

bool reply_can_ping(const struct exchange *x) {
    return x->sink.ops && x->request->stream && !x->winner && !x->request->stream_array && x->dialect->keepalive.n > 0;
}

void reply_ping(struct exchange *x) {
    if (!x->head_sent)
        stream_head(x, "x-gridtie-target, x-gridtie-zone, x-gridtie-cost-usd");
    x->target_is_trailer = true;
    x->answer_bytes += (int64_t)x->dialect->keepalive.n;
    if (x->sink.ops)
        x->sink.ops->write(x->sink.to, x->dialect->keepalive);
}

void reply_verbatim(struct exchange *x, struct buf *body) {
    struct reply_headers h;
    if (!x->sink.ops)
        return;
    struct headers list = reply_headers(x, &h, true);
    x->head_sent = true;
    x->status = 200;
    x->answer_bytes += (int64_t)body->len;
    const struct sink_ops *ops = x->sink.ops;
    x->sink.ops = NULL;
    ops->give(x->sink.to, 200, "application/json", &list, body);
}

void reply_answer(struct exchange *x) {
    if (!x->sink.ops)
        return;
    struct buf out = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct identity who = exchange_identity(x);
    enum err e = x->dialect->write_answer(&x->arena, x->request, x->answer, &who, &out);
    if (!e && !out.failed) {
        reply_verbatim(x, &out);
    } else {
        x->problem = PROBLEM(e ? e : ERR_NO_MEMORY);
        reply_problem(x);
    }
    buf_done(&out);
}

struct replay {
    const struct dialect *d;
    struct stream_writer *w;
    struct buf out;
};

static enum err replay_to(void *ctx, const struct event *ev) {
    struct replay *r = ctx;
    return r->d->writer_event(r->w, ev, &r->out);
}

// An answer of our own to a client that asked for a stream: the whole of it as one.
static void reply_replayed(struct exchange *x) {
    struct identity who = exchange_identity(x);
    struct replay r = {x->dialect, x->dialect->writer_new(&x->arena, x->request, &who), BUF_INIT(LIMIT_UP_BODY_BYTES)};
    struct event_sink sink = {replay_to, &r};
    if (r.w && answer_replay(x->answer, &sink) == ERR_OK && !r.out.failed) {
        reply_begin(x);
        x->sink.ops->write(x->sink.to, buf_slice(&r.out));
    }
    buf_done(&r.out);
}

void reply_end_stream(struct exchange *x) {
    if (!x->sink.ops)
        return;
    if (x->local_answer)
        reply_replayed(x);
    if (!x->head_sent) {
        x->problem = PROBLEM(ERR_NO_MEMORY);
        reply_problem(x);
        return;
    }
    char cost[COST_BYTES];
    struct header list[3] = {{SLICE("x-gridtie-cost-usd"), slice_str(cost_text(&cost, exchange_cost(x)))}};
    struct headers trailers = {list, 1};
    if (x->target_is_trailer && x->winner) {
        list[1] = (struct header){SLICE("x-gridtie-target"), slice_str(x->winner->t->name)};
        list[2] = (struct header){SLICE("x-gridtie-zone"), slice_str(zone_name(x->winner->t->zone))};
        trailers.n = 3;
    }
    const struct sink_ops *ops = x->sink.ops;
    x->sink.ops = NULL;
    ops->end(x->sink.to, &trailers);
}

void reply_problem(struct exchange *x) {
    if (!x->sink.ops)
        return;
    if (x->head_sent) {
        relay_break(x, &x->problem);
        return;
    }
    char last_words[1024];
    struct buf out = BUF_INIT(LIMIT_UP_ERROR_BYTES), fewer = BUF_FIXED(last_words);
    struct reply_headers h;
    int status = problem_status(&x->problem);
    x->dialect->write_error(&x->problem, slice_str(x->id), &out, &status);
    if (out.failed)
        x->dialect->write_error(&PROBLEM(x->problem.err), slice_str(x->id), &fewer, &status);
    struct headers list = reply_headers(x, &h, true);
    if (x->problem.retry_after_ms > 0) {
        (void)snprintf(h.retry, sizeof h.retry, "%lld", (long long)((x->problem.retry_after_ms + 999) / 1000));
        header_put(&h, "retry-after", h.retry);
        list.n = h.n;
    }
    x->status = status;
    x->head_sent = true;
    const struct sink_ops *ops = x->sink.ops;
    x->sink.ops = NULL;
    ops->respond(x->sink.to, status, "application/json", &list, buf_slice(out.failed ? &fewer : &out));
    buf_done(&out);
}
