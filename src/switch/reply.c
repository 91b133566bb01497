// SPDX-License-Identifier: Apache-2.0
// The answer's outside: status, our headers, the whole body or the error body, through the sink. Every function leaves
// the sink alone once the client has gone (sink.ops NULL).
#include "switch/reply.h"
#include <stdio.h>
#include "switch/attempt.h"

struct reply_headers {
    struct header v[10];
    size_t n;
    char timing[160], cost[32], retry[24];
};

struct identity exchange_identity(const struct exchange *x) {
    return (struct identity){slice_str(x->id), x->request->model, x->start_wall_us / 1000000};
}

static void header_put(struct reply_headers *h, const char *name, const char *value) {
    h->v[h->n++] = (struct header){slice_str(name), slice_str(value)};
}

// Pico-USD as decimal USD without rounding, trailing zeros cut: 1500000 → "0.0000015".
static void usd_format(char *out, size_t n, int64_t picousd) {
    int len = snprintf(out, n, "%lld.%012lld", (long long)(picousd / PICOUSD_PER_USD),
                       (long long)(picousd % PICOUSD_PER_USD));
    while (len > 0 && out[len - 1] == '0')
        out[--len] = 0;
    if (len > 0 && out[len - 1] == '.')
        out[--len] = 0;
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
    double decided = (double)x->step_us[STEP_DECIDE] / 1000.0;
    if (at)
        (void)snprintf(h->timing, sizeof h->timing, "decide;dur=%.3f, upstream;dur=%.3f, total;dur=%.3f", decided,
                       (double)(exchange_age_us(x) - at->start_us) / 1000.0, (double)exchange_age_us(x) / 1000.0);
    else
        (void)snprintf(h->timing, sizeof h->timing, "total;dur=%.3f", (double)exchange_age_us(x) / 1000.0);
    header_put(h, "server-timing", h->timing);
}

static void headers_cost(const struct exchange *x, struct reply_headers *h, bool final) {
    const struct attempt *at = answering(x);
    int64_t cost = final ? exchange_cost(x) : at->reserved_picousd;
    if (cost < 0)
        (void)snprintf(h->cost, sizeof h->cost, "unknown");
    else
        usd_format(h->cost, sizeof h->cost, cost);
    header_put(h, final ? "x-gridtie-cost-usd" : "x-gridtie-cost-estimate-usd", h->cost);
}

static struct headers reply_headers(const struct exchange *x, struct reply_headers *h, bool final) {
    h->n = 0;
    header_put(h, "x-gridtie-id", x->id);
    const struct attempt *at = answering(x);
    if (at) {
        header_put(h, "x-gridtie-target", at->t->name);
        header_put(h, "x-gridtie-zone", zone_name(at->t->zone));
        headers_cost(x, h, final);
    }
    headers_timing(x, h);
    return (struct headers){h->v, h->n};
}

static void stream_head(struct exchange *x, struct headers h) {
    x->head_sent = true;
    x->status = 200;
    x->sink.ops->start(x->sink.to, 200, x->dialect->stream_content_type, &h, "x-gridtie-cost-usd");
}

void reply_begin(struct exchange *x) {
    struct reply_headers h;
    if (!x->sink.ops || !x->request->stream || x->head_sent)
        return;
    stream_head(x, reply_headers(x, &h, false));
}

static void reply_whole(struct exchange *x, int status, struct slice body) {
    struct reply_headers h;
    if (!x->sink.ops)
        return;
    struct headers list = reply_headers(x, &h, true);
    x->head_sent = true;
    x->status = status;
    x->answer_bytes += (int64_t)body.n;
    const struct sink_ops *ops = x->sink.ops;
    x->sink.ops = NULL;
    ops->respond(x->sink.to, status, "application/json", &list, body);
}

void reply_verbatim(struct exchange *x, struct slice body) {
    reply_whole(x, 200, body);
}

void reply_answer(struct exchange *x) {
    if (!x->sink.ops)
        return;
    struct buf out = BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct identity who = exchange_identity(x);
    enum err e = x->dialect->write_answer(&x->arena, x->request, &x->answer, &who, &out);
    if (!e && !out.failed) {
        reply_whole(x, 200, buf_slice(&out));
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
    if (r.w && answer_replay(&x->answer, &sink) == ERR_OK && !r.out.failed) {
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
    char cost[32];
    int64_t picousd = exchange_cost(x);
    if (picousd < 0)
        (void)snprintf(cost, sizeof cost, "unknown");
    else
        usd_format(cost, sizeof cost, picousd);
    struct header trailer = {SLICE("x-gridtie-cost-usd"), slice_str(cost)};
    struct headers trailers = {&trailer, 1};
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
    struct buf out = BUF_INIT(LIMIT_UP_ERROR_BYTES);
    struct reply_headers h;
    int status = problem_status(&x->problem);
    x->dialect->write_error(&x->problem, slice_str(x->id), &out, &status);
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
    ops->respond(x->sink.to, status, "application/json", &list, buf_slice(&out));
    buf_done(&out);
}
