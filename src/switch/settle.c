// SPDX-License-Identifier: Apache-2.0
// Settle: always runs, cannot fail. What is still open is taken down, the client gets its end (the answer, or the
// problem in its dialect), and the exchange is written to the journal: attempts, usage, cost, dropped fields, never
// content. The memory goes after the loop's turn (exchange.c).
#include "base/log.h"
#include "switch/attempt.h"
#include "switch/reply.h"
#include "switch/worker.h"

static void attempt_to_record(struct exchange *x, const struct attempt *at, struct attempt_record *r) {
    const struct stage *s = &x->plan.stages[at->stage];
    const struct candidate *c = &x->plan.candidates[s->candidate];
    struct slice again = at->again == AGAIN_ENGINE_DIED     ? SLICE(", again since the engine had died")
                         : at->again == AGAIN_SCHEMA_BROKEN ? SLICE(", again as the answer broke its schema")
                                                            : SLICE_NONE;
    struct slice reason = ARENA_JOIN(&x->arena, s->reason, again, SLICE(" ("), c->via, SLICE(")"));
    *r = (struct attempt_record){.target = slice_str(at->t->name),
                                 .endpoint = slice_str(at->t->endpoint->name),
                                 .model = at->t->model,
                                 .zone = at->t->zone,
                                 .stage = at->stage,
                                 .reason = reason,
                                 .err = at->err,
                                 .http_status = at->status,
                                 .detail = at->detail,
                                 .start_us = at->start_us,
                                 .connected_us = at->sent_us,
                                 .first_event_us = at->first_event_us,
                                 .end_us = at->end_us,
                                 .reused_connection = at->reused,
                                 .usage = at->usage,
                                 .reserved_picousd = at->reserved_picousd,
                                 .cost_picousd = at->cost_picousd,
                                 .overrun_picousd = at->overrun_picousd,
                                 .money_s = at->money_s,
                                 .suspect = at->suspect,
                                 .sent = at->sent};
}

static void live_count(const struct attempt *at) {
    struct target_live *live = at->t->live;
    if (at->usage.input_tokens > 0)
        atomic_fetch_add_explicit(&live->input_tokens, (uint64_t)at->usage.input_tokens, memory_order_relaxed);
    if (at->usage.output_tokens > 0)
        atomic_fetch_add_explicit(&live->output_tokens, (uint64_t)at->usage.output_tokens, memory_order_relaxed);
    if (at->usage.cache_read_tokens > 0)
        atomic_fetch_add_explicit(&live->cached_tokens, (uint64_t)at->usage.cache_read_tokens, memory_order_relaxed);
    if (at->overrun_picousd > 0)
        atomic_fetch_add_explicit(&live->overrun_picousd, (uint64_t)at->overrun_picousd, memory_order_relaxed);
    if (at->usage.draft_tokens > 0) {
        atomic_fetch_add_explicit(&live->draft_tokens, (uint64_t)at->usage.draft_tokens, memory_order_relaxed);
        atomic_fetch_add_explicit(&live->draft_accepted, (uint64_t)at->usage.draft_accepted, memory_order_relaxed);
    }
    // How long the prompt took: as the upstream says, else until the first event; a model's load is not part of it.
    int64_t from_us = at->t->endpoint->engine ? at->asked_us : at->start_us;
    int64_t first_us = at->first_event_us < 0 ? -1 : at->first_event_us - from_us;
    int64_t cached = at->usage.cache_read_tokens > 0 ? at->usage.cache_read_tokens : 0;
    // How long the answer's tokens took: as the upstream says, else from a stream's first event to its end.
    int64_t output_us = at->usage.output_us > 0 ? at->usage.output_us
                        : at->framed            ? at->end_us - at->first_event_us
                                                : -1;
    target_stats_note(&live->stats, at->err, first_us, output_us, at->usage.output_tokens,
                      at->usage.prompt_us > 0 ? at->usage.prompt_us : first_us, at->usage.input_tokens - cached);
}

static const char *op_name(enum op op) {
    switch (op) {
    case OP_CHAT:
        return "chat";
    case OP_GENERATE:
        return "generate";
    case OP_COUNT_TOKENS:
        return "count_tokens";
    case OP_EMBED:
        return "embed";
    case OP_RERANK:
        return "rerank";
    }
    return "";
}

static struct drop_record *drops_of(struct exchange *x) {
    struct drop_record *v = arena_array(&x->arena, x->notes.n + 1, sizeof *v);
    size_t i = 0;
    for (const struct note *n = x->notes.first; n && v; n = n->next)
        v[i++] = (struct drop_record){slice_str(n->action), n->path, slice_str(n->reason)};
    return v;
}

static void settle_journal(struct exchange *x) {
    struct attempt_record records[LIMIT_ATTEMPTS];
    char reach_text[256];
    struct buf reach = BUF_FIXED(reach_text);
    const struct payer *run = x->purse.payers[SCOPE_RUN];
    for (unsigned i = 0; i < x->n_attempts; i++)
        attempt_to_record(x, x->attempts[i], &records[i]);
    if (x->step_us[STEP_LABEL] >= 0)
        reach_print(&x->reach, &reach);
    struct settlement s = {.exchange = slice_str(x->id),
                           .parent = x->parent ? slice_str(x->parent->id) : SLICE_NONE,
                           .wall_us = x->start_wall_us,
                           .total_us = exchange_age_us(x),
                           .dialect = slice_str(x->dialect->name),
                           .op = slice_str(op_name(x->in.op)),
                           .model = x->request ? slice_first(x->request->model, LIMIT_MODEL_NAME_BYTES) : SLICE_NONE,
                           .route = x->route ? slice_str(x->route->name) : SLICE_NONE,
                           .key = x->key ? slice_str(x->key->name) : SLICE_NONE,
                           .run = run ? slice_str(run->run) : SLICE_NONE,
                           .cap_picousd = run ? run_cap_of(run) : -1,
                           .label = x->label,
                           .label_source = slice_str(x->label_source),
                           .reach = buf_slice(&reach),
                           .stream = x->request && x->request->stream,
                           .status = x->status ? x->status : problem_status(&x->problem),
                           .err = x->problem.err,
                           .finish = slice_str(finish_name(x->finish)),
                           .request_bytes = (int64_t)x->in.body.n,
                           .answer_bytes = x->answer_bytes,
                           .first_event_us = x->first_event_us,
                           .snapshot = x->snap->id,
                           .attempts = records,
                           .n_attempts = x->n_attempts,
                           .drops = drops_of(x),
                           .n_drops = x->notes.n,
                           .drops_skipped = x->notes.skipped};
    if (!s.drops)
        s.n_drops = 0;
    x->step_us[STEP_SETTLE] = exchange_age_us(x);
    memcpy(s.step_us, x->step_us, sizeof s.step_us);
    journal_settle(x->w->journal, &s);
    worker_commit_later(x->w);
}

static void settle_reply(struct exchange *x) {
    if (x->problem.err)
        reply_problem(x);
    else if (x->request->stream)
        reply_end_stream(x);
    else
        reply_answer(x);
}

static void settle_log(const struct exchange *x) {
    if (x->problem.err == ERR_OK || x->problem.err == ERR_CLIENT_GONE)
        return;
    enum log_level level = err_row(x->problem.err)->fault == FAULT_CLIENT ? LOG_INFO : LOG_WARN;
    LOG(level, "exchange failed", LOG_S("id", x->id), LOG_S("err", err_name(x->problem.err)),
        LOG_I("attempts", x->n_attempts), LOG_S("at", x->problem.first_file), LOG_I("line", x->problem.first_line));
}

void step_settle(struct exchange *x) {
    enum err end = x->problem.err == ERR_OK            ? ERR_OK
                   : x->problem.err == ERR_CLIENT_GONE ? ERR_CLIENT_GONE
                                                       : ERR_CANCELLED;
    for (unsigned i = 0; i < x->n_attempts; i++)
        attempt_end(x->attempts[i], end);
    if (x->timer_live)
        timer_stop(&x->timer);
    settle_reply(x);
    for (unsigned i = 0; i < x->n_attempts; i++)
        live_count(x->attempts[i]);
    atomic_fetch_add_explicit(&x->w->failures[x->problem.err], 1, memory_order_relaxed);
    settle_journal(x);
    settle_log(x);
}
