// SPDX-License-Identifier: Apache-2.0
// What `why`, `log` and the totals show: records as they stand in the store, written anew with units that people and
// scripts expect. Money is an integer in pico-USD and the same as a decimal text in USD, times are milliseconds with three
// decimals, what was not reached or not reported is null. Runs on the caller's thread and blocks: never a loop's.
#include <inttypes.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "ledger/ledger_own.h"
#include "ledger/line.h"

static const char *const steps[] = {"read", "admit", "recall", "label", "decide", "forward", "relay", "settle"};

// ---- values

static void put_ms(struct json_writer *w, const char *name, int64_t us) {
    char text[40];
    if (us < 0) {
        json_kv_null(w, name);
        return;
    }
    int n = snprintf(text, sizeof text, "%" PRId64 ".%03d", us / 1000, (int)(us % 1000));
    json_kv_raw(w, name, slice_of(text, (size_t)n));
}

static void put_usd(struct json_writer *w, const char *name, int64_t picousd) {
    struct buf text = BUF_INIT(64);
    if (picousd < 0) {
        json_kv_null(w, name);
        return;
    }
    usd_append(&text, picousd);
    json_kv_str(w, name, buf_slice(&text));
    buf_done(&text);
}

static void put_count(struct json_writer *w, const char *name, int64_t v) {
    if (v < 0)
        json_kv_null(w, name);
    else
        json_kv_int(w, name, v);
}

static void copy_int(struct json_writer *w, yyjson_val *from, const char *name) {
    put_count(w, name, json_get_int(from, name, -1));
}

static void copy_str(struct json_writer *w, yyjson_val *from, const char *name) {
    struct slice s = json_get_str(from, name);
    if (s.n == 0)
        json_kv_null(w, name);
    else
        json_kv_str(w, name, s);
}

static void copy_bool(struct json_writer *w, yyjson_val *from, const char *name) {
    json_kv_bool(w, name, yyjson_is_true(yyjson_obj_get(from, name)));
}

// "ok" is no error.
static void copy_err(struct json_writer *w, yyjson_val *from) {
    struct slice s = json_get_str(from, "err");
    if (s.n == 0 || slice_is(s, "ok"))
        json_kv_null(w, "err");
    else
        json_kv_str(w, "err", s);
}

static void put_time(struct json_writer *w, int64_t wall_us) {
    char digits[64];
    struct buf text = BUF_FIXED(digits);
    clock_append_rfc3339(&text, wall_us);
    json_kv_str(w, "time", buf_slice(&text));
}

// ---- an exchange

static yyjson_val *attempt_chosen(yyjson_val *attempts) {
    yyjson_val *at, *last = NULL;
    size_t i, n;
    yyjson_arr_foreach(attempts, i, n, at) {
        last = at;
        if (slice_is(json_get_str(at, "outcome"), "settled"))
            return at;
    }
    return last;
}

// -1 when any attempt that was sent has no known cost.
static int64_t cost_of(yyjson_val *attempts) {
    yyjson_val *at;
    size_t i, n;
    int64_t sum = 0;
    yyjson_arr_foreach(attempts, i, n, at) {
        int64_t cost = json_get_int(at, "cost", -1);
        if (!yyjson_is_true(yyjson_obj_get(at, "sent")))
            continue;
        if (cost < 0)
            return -1;
        if (__builtin_add_overflow(sum, cost, &sum))
            return INT64_MAX;
    }
    return sum;
}

static void write_usage(struct json_writer *w, yyjson_val *u) {
    json_key(w, "usage");
    json_obj(w);
    copy_int(w, u, "input_tokens");
    copy_int(w, u, "cache_read_tokens");
    copy_int(w, u, "cache_write_tokens");
    copy_int(w, u, "output_tokens");
    copy_int(w, u, "reasoning_tokens");
    put_ms(w, "prompt_ms", json_get_int(u, "prompt_us", -1));
    put_ms(w, "output_ms", json_get_int(u, "output_us", -1));
    put_ms(w, "load_ms", json_get_int(u, "load_us", -1));
    copy_bool(w, u, "estimated");
    json_obj_end(w);
}

static void write_attempt(struct json_writer *w, yyjson_val *at, size_t index) {
    json_obj(w);
    json_kv_int(w, "attempt", (int64_t)index);
    copy_str(w, at, "target");
    copy_str(w, at, "endpoint");
    copy_str(w, at, "model");
    copy_str(w, at, "zone");
    copy_int(w, at, "stage");
    copy_str(w, at, "reason");
    copy_str(w, at, "outcome");
    copy_err(w, at);
    copy_int(w, at, "http_status");
    copy_str(w, at, "detail");
    put_ms(w, "start_ms", json_get_int(at, "start_us", -1));
    put_ms(w, "connected_ms", json_get_int(at, "connected_us", -1));
    put_ms(w, "first_event_ms", json_get_int(at, "first_event_us", -1));
    put_ms(w, "end_ms", json_get_int(at, "end_us", -1));
    copy_bool(w, at, "reused_connection");
    copy_bool(w, at, "sent");
    write_usage(w, yyjson_obj_get(at, "usage"));
    put_count(w, "reserved_picousd", json_get_int(at, "reserved", -1));
    put_usd(w, "reserved_usd", json_get_int(at, "reserved", -1));
    put_count(w, "cost_picousd", json_get_int(at, "cost", -1));
    put_usd(w, "cost_usd", json_get_int(at, "cost", -1));
    put_usd(w, "overrun_usd", json_get_int(at, "overrun", 0));
    copy_bool(w, at, "suspect");
    json_obj_end(w);
}

static void write_steps(struct json_writer *w, yyjson_val *us) {
    json_key(w, "steps");
    json_obj(w);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        yyjson_val *v = yyjson_arr_get(us, i);
        put_ms(w, steps[i], yyjson_is_int(v) ? yyjson_get_sint(v) : -1);
    }
    json_obj_end(w);
}

static void write_drops(struct json_writer *w, yyjson_val *drops) {
    yyjson_val *d;
    size_t i, n;
    json_key(w, "drops");
    json_arr(w);
    yyjson_arr_foreach(drops, i, n, d) {
        json_obj(w);
        json_kv_str(w, "action", json_str(yyjson_arr_get(d, 0)));
        json_kv_str(w, "path", json_str(yyjson_arr_get(d, 1)));
        json_kv_str(w, "reason", json_str(yyjson_arr_get(d, 2)));
        json_obj_end(w);
    }
    json_arr_end(w);
}

// What `why` and `log` both show.
static void write_head(struct json_writer *w, yyjson_val *root) {
    yyjson_val *attempts = yyjson_obj_get(root, "attempts");
    yyjson_val *chosen = attempt_chosen(attempts);
    int64_t cost = cost_of(attempts);
    copy_str(w, root, "id");
    put_time(w, json_get_int(root, "wall_us", 0));
    copy_int(w, root, "wall_us");
    copy_str(w, root, "outcome");
    copy_int(w, root, "status");
    copy_err(w, root);
    copy_str(w, root, "parent");
    copy_str(w, root, "dialect");
    copy_str(w, root, "op");
    copy_str(w, root, "model");
    copy_str(w, root, "route");
    copy_str(w, root, "key");
    copy_str(w, root, "run");
    copy_str(w, root, "label");
    copy_bool(w, root, "stream");
    copy_str(w, root, "finish");
    copy_str(w, chosen, "target");
    copy_str(w, chosen, "zone");
    put_ms(w, "first_event_ms", json_get_int(root, "first_event_us", -1));
    put_ms(w, "total_ms", json_get_int(root, "total_us", -1));
    put_count(w, "cost_picousd", cost);
    put_usd(w, "cost_usd", cost);
}

static void write_why(struct json_writer *w, yyjson_val *root) {
    yyjson_val *attempts = yyjson_obj_get(root, "attempts"), *at;
    size_t i, n;
    json_obj(w);
    write_head(w, root);
    copy_str(w, root, "label_source");
    copy_str(w, root, "reach");
    copy_int(w, root, "request_bytes");
    copy_int(w, root, "answer_bytes");
    copy_int(w, root, "snapshot");
    write_steps(w, yyjson_obj_get(root, "step_us"));
    write_usage(w, yyjson_obj_get(attempt_chosen(attempts), "usage"));
    json_key(w, "attempts");
    json_arr(w);
    yyjson_arr_foreach(attempts, i, n, at) {
        write_attempt(w, at, i);
    }
    json_arr_end(w);
    write_drops(w, yyjson_obj_get(root, "drops"));
    copy_int(w, root, "drops_skipped");
    json_obj_end(w);
}

static void write_log_row(struct json_writer *w, yyjson_val *root) {
    yyjson_val *attempts = yyjson_obj_get(root, "attempts");
    yyjson_val *usage = yyjson_obj_get(attempt_chosen(attempts), "usage");
    json_obj(w);
    write_head(w, root);
    copy_int(w, usage, "input_tokens");
    copy_int(w, usage, "output_tokens");
    json_kv_int(w, "attempts", (int64_t)yyjson_arr_size(attempts));
    json_obj_end(w);
}

// ---- the queries

static enum err record_write(struct json_writer *w, struct slice record,
                             void (*write)(struct json_writer *w, yyjson_val *)) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    struct buf json = BUF_INIT(8 * LIMIT_JOURNAL_LINE_BYTES); // every byte of a name may be escaped
    arena_init(&a, 4u << 20, 0);
    enum err e = line_to_json(record, &json) ? json_read(&a, buf_slice(&json), &d, &why) : ERR_NO_MEMORY;
    if (!e)
        write(w, yyjson_doc_get_root(d.doc));
    buf_done(&json);
    arena_done(&a);
    return e;
}

// A store that can't take more still answers for what it has; a question that there is no memory for does not.
static enum err lock_fed(struct ledger *l) {
    enum err e = ledger_lock_fed(l);
    return e == ERR_NO_MEMORY ? e : ERR_OK;
}

enum err ledger_why(struct ledger *l, struct slice id, struct buf *json) {
    struct buf record = BUF_INIT(4 * LIMIT_JOURNAL_LINE_BYTES); // older ones were JSON
    struct json_writer w = JSON_WRITER(json);
    enum err e = lock_fed(l);
    if (!e)
        e = slice_is(id, "last") ? store_last_record(ledger_store(l), &record)
                                 : store_record(ledger_store(l), id, &record);
    if (e == ERR_NOT_FOUND)
        e = feed_open_record(ledger_feed(l), id, "open", &record);
    ledger_unlock(l);
    if (!e)
        e = record_write(&w, buf_slice(&record), write_why);
    buf_done(&record);
    return !e && json->failed ? ERR_NO_MEMORY : e;
}

struct log_rows {
    struct json_writer *w;
    bool no_memory;
};

static bool log_row(void *ctx, struct slice record) {
    struct log_rows *rows = ctx;
    rows->no_memory = record_write(rows->w, record, write_log_row) == ERR_NO_MEMORY || rows->w->out->failed;
    return !rows->no_memory;
}

enum err ledger_log(struct ledger *l, const struct log_filter *f, struct buf *json) {
    struct json_writer w = JSON_WRITER(json);
    json_obj(&w);
    json_key(&w, "exchanges");
    json_arr(&w);
    struct log_rows rows = {&w, false};
    enum err e = lock_fed(l);
    if (!e)
        e = store_each_log(ledger_store(l), f, log_row, &rows);
    ledger_unlock(l);
    json_arr_end(&w);
    json_obj_end(&w);
    return !e && (json->failed || rows.no_memory) ? ERR_NO_MEMORY : e;
}

static void write_totals(struct json_writer *w, const struct store_totals *t) {
    json_kv_int(w, "settled_picousd", t->sum.settled_picousd);
    put_usd(w, "settled_usd", t->sum.settled_picousd);
    json_kv_int(w, "open_picousd", t->open_picousd);
    put_usd(w, "open_usd", t->open_picousd);
    json_kv_int(w, "open", t->open);
    json_kv_int(w, "exchanges", t->sum.exchanges);
    json_kv_int(w, "attempts", t->sum.attempts);
    json_kv_int(w, "input_tokens", t->sum.input_tokens);
    json_kv_int(w, "output_tokens", t->sum.output_tokens);
    json_kv_int(w, "unknown", t->sum.unknown);
    json_kv_int(w, "unknown_picousd", t->sum.unknown_picousd);
    json_kv_int(w, "unpriced", t->sum.unpriced);
    json_kv_int(w, "overrun_picousd", t->sum.overrun_picousd);
}

enum err ledger_totals(struct ledger *l, struct buf *json) {
    struct json_writer w = JSON_WRITER(json);
    struct store_totals t = {0};
    int64_t garbage = 0, torn = 0;
    enum err e = lock_fed(l);
    if (!e)
        e = store_totals(ledger_store(l), &t);
    // Counters that can't be read now are shown as 0; the sums are what matters.
    (void)!store_count(ledger_store(l), "garbage_lines", 0, &garbage);
    (void)!store_count(ledger_store(l), "torn_lines", 0, &torn);
    ledger_unlock(l);
    if (e)
        return e;
    json_obj(&w);
    write_totals(&w, &t);
    json_kv_int(&w, "garbage_lines", garbage);
    json_kv_int(&w, "torn_lines", torn);
    json_kv_int(&w, "lost_lines", (int64_t)ledger_lost_lines(l));
    json_kv_int(&w, "disk_failures", (int64_t)ledger_disk_failures(l));
    json_obj_end(&w);
    return json->failed ? ERR_NO_MEMORY : ERR_OK;
}
