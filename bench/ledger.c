// SPDX-License-Identifier: Apache-2.0
// What the ledger costs per request, in CPU time: holding and settling money (on the loop), the two lines of the journal
// (on the loop; one write(2) for all of a turn), and feeding SQLite from them (the ledger's thread). One key with two
// budgets, a run, and a budget of the whole, as much as a request usually has; the records are of usual size. Turns of one
// line each are what a quiet daemon has, those of 32 what a busy one has.
//
//   ledger [N]      default 200000
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "ledger/bid.h"
#include "ledger/journal.h"
#include "ledger/money.h"

static double cpu_us(int who) {
    struct rusage r;
    (void)getrusage(who, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e6 + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

struct bench {
    struct ledger *l;
    struct journal *j;
    struct habit habit;
    struct price price;
    char id[32], run_text[24];
    struct slice run;
    struct hold hold;
    struct bid bid;
    struct bid_terms terms;
    struct purse purse;
    int64_t now_s;
};

static void money_begin(struct bench *b) {
    struct accounts *a = ledger_accounts(b->l);
    struct room room;
    struct waiter passer_by = {.since_us = 1};
    b->purse.payers[SCOPE_WHOLE] = payer_get(a, SCOPE_WHOLE, SLICE_NONE, SLICE_NONE);
    b->purse.payers[SCOPE_KEY] = payer_get(a, SCOPE_KEY, SLICE("bar"), SLICE_NONE);
    b->purse.payers[SCOPE_RUN] = payer_get(a, SCOPE_RUN, SLICE("bar"), b->run);
    b->now_s = accounts_now_s(a);
    b->terms = (struct bid_terms){&b->price, &b->habit, 900, 4096, 1};
    if (!purse_is_limited(&b->purse) ||
        bid_place(&b->terms, &b->purse, b->now_s, &passer_by, false, &b->hold, &b->bid, &room) != HELD)
        abort();
}

static void money_end(struct bench *b) {
    habit_note_input(&b->habit, 900, 250);
    habit_note_output(&b->habit, 200, 800, NULL);
    hold_settle(&b->hold, 250 * b->price.input + 200 * b->price.output);
    purse_done(&b->purse);
}

static void line_begin(struct bench *b) {
    struct attempt_intent i = {.exchange = slice_str(b->id),
                               .wall_us = clock_wall_us(),
                               .target = SLICE("openai/gpt-4o"),
                               .endpoint = SLICE("openai"),
                               .model = SLICE("gpt-4o"),
                               .zone = ZONE_CLOUD,
                               .key = SLICE("bar"),
                               .run = b->run,
                               .cap_picousd = -1,
                               .money_s = b->now_s,
                               .reserved_picousd = b->bid.picousd};
    if (journal_intent(b->j, &i))
        abort();
}

static void line_end(struct bench *b) {
    struct attempt_record at = {.target = SLICE("openai/gpt-4o"),
                                .endpoint = SLICE("openai"),
                                .model = SLICE("gpt-4o"),
                                .zone = ZONE_CLOUD,
                                .reason = SLICE("first in order (route coding)"),
                                .http_status = 200,
                                .start_us = 100,
                                .connected_us = 200,
                                .first_event_us = 300000,
                                .end_us = 2000000,
                                .usage = {250, 0, -1, 200, 0, -1, -1, -1, false},
                                .reserved_picousd = b->bid.picousd,
                                .cost_picousd = 2625000000,
                                .money_s = b->now_s,
                                .sent = true};
    struct settlement s = {.exchange = slice_str(b->id),
                           .wall_us = clock_wall_us(),
                           .total_us = 2000100,
                           .dialect = SLICE("openai"),
                           .op = SLICE("chat"),
                           .model = SLICE("coding"),
                           .route = SLICE("coding"),
                           .key = SLICE("bar"),
                           .run = b->run,
                           .cap_picousd = -1,
                           .label_source = SLICE("default"),
                           .reach = SLICE("device=yes edge=yes sealed=yes cloud=yes"),
                           .stream = true,
                           .status = 200,
                           .finish = SLICE("stop"),
                           .request_bytes = 900,
                           .answer_bytes = 30000,
                           .first_event_us = 300000,
                           .step_us = {10, 20, 20, 30, 50, 300000, 2000000, 2000100},
                           .attempts = &at,
                           .n_attempts = 1};
    journal_settle(b->j, &s);
}

static bool is_fed(struct bench *b, long n) {
    struct buf out = BUF_INIT(65536);
    char want[48];
    (void)snprintf(want, sizeof want, "\"exchanges\":%ld", n);
    bool fed = ledger_totals(b->l, &out) == ERR_OK && slice_search(buf_slice(&out), slice_str(want)) != SIZE_MAX;
    buf_done(&out);
    return fed;
}

static void config_make(struct bench *b) {
    static const char yaml[] = "budgets: {whole: [{amount: 9000000 USD, window: month}]}\n"
                               "keys: [{name: bar, secret: s, budgets: [{amount: 9000000 USD}, {amount: 9000000 USD,"
                               " window: day, time_zone: Europe/Berlin}]}]\n";
    struct buf problems = BUF_INIT(65536);
    struct config *c = NULL;
    if (config_load_text(slice_of(yaml, sizeof yaml - 1), "bench", ".", &c, &problems) ||
        ledger_budgets(b->l, c, true)) {
        fprintf(stderr, "%s", buf_cstr(&problems));
        abort();
    }
    config_unref(c);
    buf_done(&problems);
}

static void money_only(struct bench *b, long i) {
    b->run = slice_of(b->run_text, (size_t)snprintf(b->run_text, sizeof b->run_text, "run-%ld", i % 500));
    money_begin(b);
}

static void line_put(struct bench *b, unsigned *lines, unsigned per_turn) {
    if (++*lines % per_turn == 0 && journal_flush(b->j))
        abort();
}

static void name_put(struct bench *b, long i) {
    struct buf id = BUF_FIXED(b->id);
    buf_append_char(&id, 'x');
    buf_append_hex(&id, 0, 2);
    buf_append_hex(&id, (uint64_t)i, 17);
    (void)buf_cstr(&id);
}

// n requests with their lines, `per_turn` lines a turn, `open` of them at once.
static void lines_write(struct bench *b, long n, long first, unsigned per_turn, long open) {
    unsigned lines = 0;
    for (long i = 0; i < n + open - 1; i++) {
        money_only(b, i);
        name_put(b, first + i);
        if (i < n) {
            line_begin(b);
            line_put(b, &lines, per_turn);
        }
        name_put(b, first + i - open + 1);
        if (i >= open - 1) {
            line_end(b);
            line_put(b, &lines, per_turn);
        }
        money_end(b);
    }
    if (journal_flush(b->j))
        abort();
}

struct cost {
    double loop, feed;
};

static struct cost phase(struct bench *b, long n, long first, unsigned per_turn, long open) {
    double whole = cpu_us(RUSAGE_SELF), at = cpu_us(RUSAGE_THREAD), loop;
    lines_write(b, n, first, per_turn, open);
    loop = cpu_us(RUSAGE_THREAD) - at;
    while (!is_fed(b, first + n)) {
    } // the queries feed on this thread; what the ledger's own did is in the process' sum
    return (struct cost){loop / (double)n, (cpu_us(RUSAGE_SELF) - whole - loop) / (double)n};
}

int main(int argc, char **argv) {
    char dir[] = "/tmp/gridtie-bench-XXXXXX";
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 200000;
    struct buf problem = BUF_INIT(4096);
    struct bench b = {.price = {.input = 2500000, .output = 10000000, .cache_read = -1, .cache_write = -1}};
    if (n < 1 || !mkdtemp(dir))
        return 2;
    log_set_level(LOG_ERROR);
    struct ledger_options o = {.dir = dir, .loops = 1, .retention_s = 86400, .batch_ms = 100};
    if (ledger_open(&o, &b.l, &problem)) {
        fprintf(stderr, "%s\n", buf_cstr(&problem));
        return 1;
    }
    config_make(&b);
    b.j = ledger_journal(b.l, 0);
    double at = cpu_us(RUSAGE_THREAD), money;
    for (long i = 0; i < n; i++) {
        money_only(&b, i);
        money_end(&b);
    }
    money = (cpu_us(RUSAGE_THREAD) - at) / (double)n;
    struct cost quiet = phase(&b, n, 0, 1, 1), busy = phase(&b, n, n, 32, 1), apart = phase(&b, n, 2 * n, 32, 8192);
    printf(
        "ledger, us CPU per request over %ld: money %.2f; its two lines, busy %.2f, quiet %.2f; feed (batched, another "
        "thread) %.2f, %.2f where 8192 are open\n",
        n, money, busy.loop - money, quiet.loop - money, busy.feed, apart.feed);
    ledger_close(b.l);
    buf_done(&problem);
    return 0;
}
