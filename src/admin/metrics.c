// SPDX-License-Identifier: Apache-2.0
// /metrics: Prometheus text format 0.0.4, summed from relaxed atomics at the time of asking. Labels are target and zone
// names from config; nothing of a client's content.
#include "admin/api.h"
#include "base/clock.h"
#include "base/usd.h"

static void label_value(struct buf *out, const char *s) {
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_append_char(out, '\\');
        buf_append_char(out, *s == '\n' ? ' ' : *s);
    }
}

static void target_labels(struct buf *out, const struct target *t) {
    buf_append_str(out, "{target=\"");
    label_value(out, t->name);
    buf_printf(out, "\",zone=\"%s\"", zone_name(t->zone));
}

static void metric_head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void target_number(struct buf *out, const char *name, const struct target *t, uint64_t v) {
    buf_append_str(out, name);
    target_labels(out, t);
    buf_append_str(out, "} ");
    buf_append_u64(out, v);
    buf_append_char(out, '\n');
}

static uint64_t load(const _Atomic uint64_t *v) {
    return atomic_load_explicit(v, memory_order_relaxed);
}

// The end of a histogram's line, behind its other labels.
static void bucket_end(struct buf *out, const uint64_t *bound_us, uint64_t n) {
    if (bound_us)
        buf_printf(out, "le=\"%g\"} ", (double)*bound_us / 1e6);
    else
        buf_append_str(out, "le=\"+Inf\"} ");
    buf_append_u64(out, n);
    buf_append_char(out, '\n');
}

static void histogram_write(struct buf *out, const char *name, const struct target *t, const struct histogram *h) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= STATS_BUCKETS; i++) {
        sum += load(&h->bucket[i]);
        buf_printf(out, "%s_bucket", name);
        target_labels(out, t);
        buf_append_char(out, ',');
        bucket_end(out, i < STATS_BUCKETS ? &stats_bounds_us[i] : NULL, sum);
    }
    buf_printf(out, "%s_sum", name);
    target_labels(out, t);
    buf_printf(out, "} %g\n", (double)load(&h->sum_us) / 1e6);
    buf_printf(out, "%s_count", name);
    target_labels(out, t);
    buf_printf(out, "} %llu\n", (unsigned long long)sum);
}

static void counters_write(const struct snapshot *s, struct buf *out) {
    metric_head(out, "gridtie_attempts_total", "counter", "Requests sent to a target.");
    for (size_t i = 0; i < s->n_targets; i++)
        target_number(out, "gridtie_attempts_total", &s->targets[i], load(&s->targets[i].live->requests));
    metric_head(out, "gridtie_input_tokens_total", "counter", "Input tokens, cached ones included.");
    for (size_t i = 0; i < s->n_targets; i++)
        target_number(out, "gridtie_input_tokens_total", &s->targets[i], load(&s->targets[i].live->input_tokens));
    metric_head(out, "gridtie_output_tokens_total", "counter", "Output tokens, reasoning included.");
    for (size_t i = 0; i < s->n_targets; i++)
        target_number(out, "gridtie_output_tokens_total", &s->targets[i], load(&s->targets[i].live->output_tokens));
    metric_head(out, "gridtie_cached_tokens_total", "counter", "Input tokens read from the target's prompt cache.");
    for (size_t i = 0; i < s->n_targets; i++)
        target_number(out, "gridtie_cached_tokens_total", &s->targets[i], load(&s->targets[i].live->cached_tokens));
    metric_head(out, "gridtie_in_flight", "gauge", "Attempts that run now.");
    for (size_t i = 0; i < s->n_targets; i++)
        target_number(out, "gridtie_in_flight", &s->targets[i],
                      (uint64_t)atomic_load_explicit(&s->targets[i].live->in_flight, memory_order_relaxed));
}

static void overruns_write(const struct snapshot *s, struct buf *out) {
    metric_head(out, "gridtie_overrun_usd_total", "counter", "Billed above what budgets held for it.");
    for (size_t i = 0; i < s->n_targets; i++) {
        uint64_t picousd = load(&s->targets[i].live->overrun_picousd);
        buf_append_str(out, "gridtie_overrun_usd_total");
        target_labels(out, &s->targets[i]);
        buf_append_str(out, "} ");
        usd_append(out, picousd > INT64_MAX ? INT64_MAX : (int64_t)picousd);
        buf_append_char(out, '\n');
    }
}

static void errors_write(const struct snapshot *s, struct buf *out) {
    metric_head(out, "gridtie_attempt_errors_total", "counter", "Attempts that failed, by class.");
    for (size_t i = 0; i < s->n_targets; i++) {
        const struct target *t = &s->targets[i];
        for (int e = ERR_OK + 1; e < ERR_COUNT; e++) {
            uint64_t n = load(&t->live->stats.results[e]);
            if (n == 0)
                continue;
            buf_append_str(out, "gridtie_attempt_errors_total");
            target_labels(out, t);
            buf_printf(out, ",class=\"%s\"} %llu\n", err_name((enum err)e), (unsigned long long)n);
        }
    }
}

static void engine_numbers(const struct snapshot *s, struct buf *out, const char *name,
                           uint64_t (*number)(const struct target_live *live)) {
    for (size_t i = 0; i < s->n_targets; i++)
        if (s->targets[i].endpoint->engine && !s->targets[i].alias_of)
            target_number(out, name, &s->targets[i], number(s->targets[i].live));
}

static uint64_t drafted(const struct target_live *live) {
    return load(&live->draft_tokens);
}

static uint64_t accepted(const struct target_live *live) {
    return load(&live->draft_accepted);
}

static uint64_t loads(const struct target_live *live) {
    return (uint64_t)atomic_load_explicit(&live->engine_restarts, memory_order_relaxed);
}

static uint64_t evictions(const struct target_live *live) {
    return load(&live->engine_evictions);
}

static uint64_t memory(const struct target_live *live) {
    return (uint64_t)atomic_load_explicit(&live->engine_memory_bytes, memory_order_relaxed);
}

static uint64_t vram(const struct target_live *live) {
    return (uint64_t)atomic_load_explicit(&live->engine_vram_bytes, memory_order_relaxed);
}

static void engine_write(const struct snapshot *s, struct buf *out) {
    static const struct {
        const char *name, *type, *help;
        uint64_t (*number)(const struct target_live *live);
    } rows[] = {
        {"gridtie_draft_tokens_total", "counter", "Tokens guessed ahead by speculative decoding.", drafted},
        {"gridtie_draft_accepted_tokens_total", "counter", "Guessed tokens that held.", accepted},
        {"gridtie_engine_loads_total", "counter", "Starts of a llama-server.", loads},
        {"gridtie_engine_evictions_total", "counter", "Times that a model went for another.", evictions},
        {"gridtie_engine_memory_bytes", "gauge", "Memory of a loaded model, 0 if it is not loaded.", memory},
        {"gridtie_engine_vram_bytes", "gauge", "Graphics memory of a loaded model, 0 if it is not loaded.", vram},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        metric_head(out, rows[i].name, rows[i].type, rows[i].help);
        engine_numbers(s, out, rows[i].name, rows[i].number);
    }
}

static void privacy_write(const struct daemon *d, struct buf *out) {
    uint64_t scanned = 0, replaced = 0;
    for (unsigned i = 0; i < d->n_shifts; i++) {
        scanned += load(&d->shifts[i].worker.scanned_bytes);
        replaced += load(&d->shifts[i].worker.replaced);
    }
    metric_head(out, "gridtie_privacy_scanned_bytes_total", "counter",
                "Text that detection looked at for the first time.");
    buf_printf(out, "gridtie_privacy_scanned_bytes_total %llu\n", (unsigned long long)scanned);
    metric_head(out, "gridtie_privacy_replaced_total", "counter", "Attempts that left with stand-ins in them.");
    buf_printf(out, "gridtie_privacy_replaced_total %llu\n", (unsigned long long)replaced);
}

// How long single events kept a loop, of all loops together: meanwhile every stream of it stands still.
static void stalls_write(const struct daemon *d, struct buf *out) {
    uint64_t sum_us = 0, longest_us = 0, n = 0;
    metric_head(out, "gridtie_loop_stall_seconds", "histogram", "How long one event kept its loop from the others.");
    for (size_t b = 0; b <= STALL_BUCKETS; b++) {
        for (unsigned i = 0; i < d->n_shifts; i++)
            n += load(&d->shifts[i].worker.loop.stalls.bucket[b]);
        buf_append_str(out, "gridtie_loop_stall_seconds_bucket{");
        bucket_end(out, b < STALL_BUCKETS ? &stall_bounds_us[b] : NULL, n);
    }
    for (unsigned i = 0; i < d->n_shifts; i++) {
        const struct stalls *s = &d->shifts[i].worker.loop.stalls;
        uint64_t longest = load(&s->longest_us);
        sum_us += load(&s->sum_us);
        longest_us = longest > longest_us ? longest : longest_us;
    }
    buf_printf(out, "gridtie_loop_stall_seconds_sum %g\n", (double)sum_us / 1e6);
    buf_printf(out, "gridtie_loop_stall_seconds_count %llu\n", (unsigned long long)n);
    metric_head(out, "gridtie_loop_longest_stall_seconds", "gauge", "The longest of them since the daemon started.");
    buf_printf(out, "gridtie_loop_longest_stall_seconds %g\n", (double)longest_us / 1e6);
}

static void daemon_write(const struct daemon *d, struct buf *out) {
    metric_head(out, "gridtie_requests_total", "counter", "Requests from clients, by how they ended.");
    for (int e = 0; e < ERR_COUNT; e++) {
        uint64_t n = 0;
        for (unsigned i = 0; i < d->n_shifts; i++)
            n += load(&d->shifts[i].worker.failures[e]);
        if (n || e == ERR_OK)
            buf_printf(out, "gridtie_requests_total{result=\"%s\"} %llu\n", err_name((enum err)e),
                       (unsigned long long)n);
    }
    unsigned live = 0;
    for (unsigned i = 0; i < d->n_shifts; i++)
        live += atomic_load_explicit(&d->shifts[i].worker.n_live, memory_order_relaxed);
    metric_head(out, "gridtie_exchanges", "gauge", "Requests that are open now.");
    buf_printf(out, "gridtie_exchanges %u\n", live);
    metric_head(out, "gridtie_journal_failures_total", "counter", "Writes that the disk refused.");
    buf_printf(out, "gridtie_journal_failures_total %llu\n", (unsigned long long)ledger_disk_failures(d->ledger));
    metric_head(out, "gridtie_uptime_seconds", "gauge", "Since the daemon started.");
    buf_printf(out, "gridtie_uptime_seconds %lld\n", (long long)(clock_wall_s() - d->start_wall_s));
}

void metrics_write(const struct daemon *d, const struct snapshot *snap, struct buf *out) {
    daemon_write(d, out);
    stalls_write(d, out);
    privacy_write(d, out);
    counters_write(snap, out);
    overruns_write(snap, out);
    errors_write(snap, out);
    engine_write(snap, out);
    metric_head(out, "gridtie_first_token_seconds", "histogram", "From sending a request to its first token.");
    for (size_t i = 0; i < snap->n_targets; i++)
        histogram_write(out, "gridtie_first_token_seconds", &snap->targets[i],
                        &snap->targets[i].live->stats.first_event);
    metric_head(out, "gridtie_token_seconds", "histogram", "Time per output token after the first.");
    for (size_t i = 0; i < snap->n_targets; i++)
        histogram_write(out, "gridtie_token_seconds", &snap->targets[i], &snap->targets[i].live->stats.per_token);
}
