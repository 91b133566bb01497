// SPDX-License-Identifier: Apache-2.0
// Composes the journal's lines into a buffer that the journal reuses, on the loop's thread, in a microsecond or two. What
// a line may hold is what struct attempt_intent and struct settlement hold: names, numbers and reasons, never content.
// A line that would be longer than the buffer's maximum is written again with less text in it (the steps of `diets`):
// an account must never be lost because a reason was long.
#include "ledger/line.h"
#include "base/json.h"
#include "base/limits.h"

// How much text may stand in a line.
struct diet {
    size_t drops, text_bytes, name_bytes;
};
static const struct diet diets[] = {{64, 1024, 512}, {16, 256, 300}, {0, 128, 256}, {0, 0, 64}};

static void put_str(struct json_writer *w, const char *name, struct slice s, size_t most) {
    if (s.n > 0 && most > 0)
        json_kv_str(w, name, slice_first(s, most));
}

static void put_int(struct json_writer *w, const char *name, int64_t v) {
    if (v >= 0)
        json_kv_int(w, name, v);
}

static void put_at(struct json_writer *w, int64_t money_s) {
    if (money_s > 0)
        json_kv_int(w, "at", money_s);
}

static void put_true(struct json_writer *w, const char *name, bool v) {
    if (v)
        json_kv_bool(w, name, true);
}

bool line_write_intent(struct buf *out, const struct attempt_intent *i) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "k", i->raised ? "t" : "i");
    json_kv_str(&w, "id", i->exchange);
    json_kv_int(&w, "attempt", i->attempt);
    json_kv_int(&w, "wall_us", i->wall_us);
    json_kv_str(&w, "target", slice_first(i->target, 512));
    put_str(&w, "endpoint", i->endpoint, 256);
    put_str(&w, "model", i->model, 512);
    json_kv_cstr(&w, "zone", zone_name(i->zone));
    put_str(&w, "key", i->key, 256);
    put_str(&w, "run", i->run, LIMIT_RUN_ID_BYTES);
    put_int(&w, "cap", i->cap_picousd);
    put_at(&w, i->money_s);
    put_int(&w, "reserved", i->reserved_picousd);
    json_obj_end(&w);
    return !out->failed;
}

static void write_usage(struct json_writer *w, const struct usage *u) {
    json_key(w, "usage");
    json_obj(w);
    put_int(w, "input_tokens", u->input_tokens);
    put_int(w, "cache_read_tokens", u->cache_read_tokens);
    put_int(w, "cache_write_tokens", u->cache_write_tokens);
    put_int(w, "output_tokens", u->output_tokens);
    put_int(w, "reasoning_tokens", u->reasoning_tokens);
    put_int(w, "prompt_us", u->prompt_us);
    put_int(w, "output_us", u->output_us);
    put_int(w, "load_us", u->load_us);
    put_true(w, "estimated", u->estimated);
    json_obj_end(w);
}

static const char *attempt_outcome(const struct attempt_record *a) {
    if (!a->sent)
        return "not_sent";
    return a->err == ERR_OK ? "settled" : "failed";
}

static void write_attempt(struct json_writer *w, const struct attempt_record *a, const struct diet *d,
                          const char *outcome) {
    json_obj(w);
    put_str(w, "target", a->target, d->name_bytes);
    put_str(w, "endpoint", a->endpoint, d->name_bytes);
    put_str(w, "model", a->model, d->name_bytes);
    json_kv_cstr(w, "zone", zone_name(a->zone));
    put_int(w, "stage", a->stage);
    put_str(w, "reason", a->reason, d->text_bytes);
    json_kv_cstr(w, "outcome", outcome ? outcome : attempt_outcome(a));
    json_kv_cstr(w, "err", err_name(a->err));
    if (a->http_status > 0)
        json_kv_int(w, "http_status", a->http_status);
    put_str(w, "detail", a->detail, d->text_bytes);
    put_int(w, "start_us", a->start_us);
    put_int(w, "connected_us", a->connected_us);
    put_int(w, "first_event_us", a->first_event_us);
    put_int(w, "end_us", a->end_us);
    put_true(w, "reused_connection", a->reused_connection);
    write_usage(w, &a->usage);
    put_int(w, "reserved", a->reserved_picousd);
    put_int(w, "cost", a->cost_picousd);
    if (a->overrun_picousd > 0)
        json_kv_int(w, "overrun", a->overrun_picousd);
    put_at(w, a->money_s);
    put_true(w, "suspect", a->suspect);
    put_true(w, "sent", a->sent);
    json_obj_end(w);
}

static void write_attempts(struct json_writer *w, const struct settlement *s, const struct diet *d,
                           const char *outcome) {
    json_key(w, "attempts");
    json_arr(w);
    for (size_t i = 0; i < s->n_attempts; i++)
        write_attempt(w, &s->attempts[i], d, outcome);
    json_arr_end(w);
}

static void write_drops(struct json_writer *w, const struct settlement *s, const struct diet *d) {
    size_t n = s->n_drops < d->drops ? s->n_drops : d->drops;
    json_key(w, "drops");
    json_arr(w);
    for (size_t i = 0; i < n; i++) {
        json_arr(w);
        json_put_str(w, slice_first(s->drops[i].action, 64));
        json_put_str(w, slice_first(s->drops[i].path, d->text_bytes));
        json_put_str(w, slice_first(s->drops[i].reason, d->text_bytes));
        json_arr_end(w);
    }
    json_arr_end(w);
    json_kv_int(w, "drops_skipped", (int64_t)(s->drops_skipped + s->n_drops - n));
}

static void write_names(struct json_writer *w, const struct settlement *s, const struct diet *d) {
    put_str(w, "parent", s->parent, 128);
    put_str(w, "dialect", s->dialect, 64);
    put_str(w, "op", s->op, 64);
    put_str(w, "model", s->model, d->name_bytes);
    put_str(w, "route", s->route, d->name_bytes);
    put_str(w, "key", s->key, d->name_bytes);
    put_str(w, "run", s->run, LIMIT_RUN_ID_BYTES);
    put_int(w, "cap", s->cap_picousd);
    json_kv_cstr(w, "label", label_name(s->label));
    put_str(w, "label_source", s->label_source, 64);
    put_str(w, "reach", s->reach, 256);
    json_kv_cstr(w, "err", err_name(s->err));
    put_str(w, "finish", s->finish, 64);
}

static void write_settlement(struct json_writer *w, const struct settlement *s, const struct diet *d,
                             const char *outcome) {
    json_obj(w);
    json_kv_cstr(w, "k", "s");
    json_kv_str(w, "id", s->exchange);
    put_int(w, "wall_us", s->wall_us);
    put_int(w, "total_us", s->total_us);
    json_kv_cstr(w, "outcome", outcome ? outcome : s->err == ERR_OK ? "settled" : "failed");
    write_names(w, s, d);
    put_true(w, "stream", s->stream);
    put_int(w, "status", s->status);
    put_int(w, "request_bytes", s->request_bytes);
    put_int(w, "answer_bytes", s->answer_bytes);
    put_int(w, "first_event_us", s->first_event_us);
    json_key(w, "step_us");
    json_arr(w);
    for (size_t i = 0; i < sizeof s->step_us / sizeof s->step_us[0]; i++)
        json_put_int(w, s->step_us[i]);
    json_arr_end(w);
    json_kv_int(w, "snapshot", (int64_t)s->snapshot);
    write_attempts(w, s, d, outcome);
    write_drops(w, s, d);
    json_obj_end(w);
}

bool line_write_settlement(struct buf *out, const struct settlement *s, const char *outcome) {
    for (size_t i = 0; i < sizeof diets / sizeof diets[0]; i++) {
        struct json_writer w = JSON_WRITER(out);
        buf_clear(out);
        write_settlement(&w, s, &diets[i], outcome);
        if (!out->failed)
            return true;
    }
    return false;
}
