// SPDX-License-Identifier: Apache-2.0
// Replays a trace of requests (arrival, input tokens, output tokens; the Azure conversation trace has that form) against a
// budget, in simulated time, with the rules and accounts that the daemon runs: how many requests are refused although
// there was money for them, and how much is spent above the budget. Beside it the usual rule: hold the worst case, refuse
// what does not fit. No network; the upstream is a speed per answer and a delay until it stops.
//
//   replay TRACE.csv [--limit USD,…] [--speedup N] [--seed N]
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "ledger/bid.h"

#define NOW_S 1790000000
#define WAIT_US 10000000
#define TICK_TOKENS 4       // of one chunk
#define STOP_US 60000       // until an upstream stops after it was told to
#define DEFAULT_TOKENS 4096 // no client of the trace gives a bound
static const struct price price = {
    .input = 2500000, .output = 10000000, .cache_read = -1, .cache_write = -1}; // 2.50 and 10 USD a million

enum rule { RULE_OURS, RULE_WORST, RULE_WORST_WAITS, RULE_COUNT };
static const char *const rule_names[] = {"gridtie", "worst case", "worst case, waits"};

enum event_kind { EVENT_ARRIVE, EVENT_RETRY, EVENT_GIVE_UP, EVENT_CHUNK, EVENT_STOP };

struct ask { // one request of the trace
    int64_t arrive_us;
    int64_t input, output; // tokens
    int64_t input_bound, first_us, token_us;
    double token_bytes;
    // replayed
    struct waiter w;
    struct hold hold;
    struct bid bid;
    struct pace pace;
    int64_t said, cost;
    bool running, done, refused, cut, held_up;
};

struct event {
    int64_t at_us, order;
    struct ask *a;
    enum event_kind kind;
};

static struct {
    struct ask *asks;
    size_t n;
    struct event *heap;
    size_t n_events, cap_events;
    int64_t now_us, order;
    enum rule rule;
    int64_t limit;
    struct accounts *accounts;
    struct account *account;
    struct purse purse;
    struct habit habit;
    int64_t settled, truth_open; // what is over cost, what runs will cost when it is over
    int64_t affordable_refused, affordable_booked, affordable_cut, bill, overrun, waited_us;
    size_t served, refused, cut, waited;
    int64_t highest_bill;
} s;

// ---- the trace

static int64_t timestamp_us(struct slice t) {
    // 2023-11-16 18:15:46.6805900: within one day, so the date says nothing
    int h = 0, m = 0;
    double sec = 0;
    char text[64];
    (void)snprintf(text, sizeof text, "%.*s", (int)(t.n < 60 ? t.n : 60), t.p);
    const char *clock = strchr(text, ' ');
    if (!clock || sscanf(clock, "%d:%d:%lf", &h, &m, &sec) != 3)
        return -1;
    return (int64_t)h * 3600000000 + (int64_t)m * 60000000 + (int64_t)(sec * 1e6);
}

static double uniform(double from, double to) {
    return from + (to - from) * ((double)random() / 2147483647.0);
}

static bool trace_read(const char *path, int64_t speedup) {
    struct buf text = BUF_INIT(64u << 20);
    if (fs_read_file(path, 64u << 20, &text))
        return false;
    struct slice rest = buf_slice(&text);
    int64_t begin = -1;
    s.asks = mem_zalloc(30000 * sizeof *s.asks);
    while (rest.n && s.asks && s.n < 30000) {
        struct slice line = slice_split(&rest, '\n'), at = slice_split(&line, ',');
        struct slice input = slice_split(&line, ',');
        uint64_t in, out;
        int64_t when = timestamp_us(at);
        if (when < 0 || !slice_u64(input, &in) || !slice_u64(slice_trim(line), &out) || out == 0)
            continue;
        begin = begin < 0 ? when : begin;
        struct ask *a = &s.asks[s.n++];
        *a = (struct ask){.arrive_us = (when - begin) / speedup, .input = (int64_t)in, .output = (int64_t)out};
        a->input_bound = (int64_t)((double)in * uniform(3.2, 5.0)) + 60;
        a->first_us = (int64_t)(200000 + (double)in * 100);
        a->token_us = (int64_t)(1e6 / uniform(20, 100));
        a->token_bytes = uniform(3.2, 5.0);
    }
    buf_done(&text);
    return s.n > 0;
}

// ---- events, earliest first

static bool earlier(const struct event *a, const struct event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void event_add(struct ask *a, enum event_kind kind, int64_t at_us) {
    if (s.n_events == s.cap_events) {
        s.cap_events = s.cap_events ? s.cap_events * 2 : 65536;
        s.heap = mem_realloc(s.heap, s.cap_events * sizeof *s.heap);
        if (!s.heap)
            abort();
    }
    size_t i = s.n_events++;
    struct event e = {at_us, s.order++, a, kind};
    while (i > 0 && earlier(&e, &s.heap[(i - 1) / 2])) {
        s.heap[i] = s.heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s.heap[i] = e;
}

static struct event event_take(void) {
    struct event first = s.heap[0], last = s.heap[--s.n_events];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s.n_events)
            break;
        if (child + 1 < s.n_events && earlier(&s.heap[child + 1], &s.heap[child]))
            child++;
        if (!earlier(&s.heap[child], &last))
            break;
        s.heap[i] = s.heap[child];
        i = child;
    }
    s.heap[i] = last;
    return first;
}

// ---- one request's life

static int64_t cost_of(int64_t input, int64_t output) {
    return input * price.input + output * price.output;
}

static bool poke(struct waiter *w) {
    event_add((struct ask *)(void *)((char *)w - offsetof(struct ask, w)), EVENT_RETRY, s.now_us);
    return true;
}

static int64_t bytes_of(const struct ask *a, int64_t tokens) {
    return (int64_t)((double)tokens * a->token_bytes);
}

static struct bid_terms terms_of(const struct ask *a) {
    return (struct bid_terms){&price, &s.habit, a->input_bound, DEFAULT_TOKENS, 1};
}

// Would it have fitted, if everything that runs is counted at what it will really cost?
static bool was_affordable(int64_t cost) {
    return s.settled + s.truth_open + cost <= s.limit;
}

// The same by the books, where what was cut counts at what it may have cost.
static bool was_affordable_by_books(int64_t cost) {
    return atomic_load(&account_period(s.account, NOW_S)->settled) + s.truth_open + cost <= s.limit;
}

static void refuse(struct ask *a) {
    (void)waiter_leave(&a->w);
    a->refused = a->done = true;
    s.refused++;
    s.affordable_refused += was_affordable(cost_of(a->input, a->output));
    s.affordable_booked += was_affordable_by_books(cost_of(a->input, a->output));
}

static void begin(struct ask *a) {
    a->running = true;
    s.truth_open += cost_of(a->input, a->output);
    s.waited += s.now_us > a->arrive_us;
    s.waited_us += s.now_us - a->arrive_us;
    event_add(a, EVENT_CHUNK, s.now_us + a->first_us);
}

static void try_begin(struct ask *a) {
    struct bid_terms t = terms_of(a);
    struct room room;
    enum held r;
    if (s.rule == RULE_OURS) {
        r = bid_place(&t, &s.purse, NOW_S, &a->w, true, &a->hold, &a->bid, &room);
    } else {
        a->bid = bid_whole(&t);
        r = hold_take(&a->hold, &s.purse, NOW_S, a->bid.picousd, &a->w, s.rule == RULE_WORST_WAITS);
        if (s.rule == RULE_WORST && r == HELD_BY_OTHERS)
            r = HELD_NOT;
    }
    if (r == HELD)
        begin(a);
    else if (r == HELD_NOT)
        refuse(a);
    else if (!a->held_up)
        a->held_up = true, event_add(a, EVENT_GIVE_UP, s.now_us + WAIT_US);
}

static void finish(struct ask *a, int64_t made, int64_t booked) {
    int64_t cost = cost_of(a->input, made);
    a->done = true;
    a->running = false;
    s.truth_open -= cost_of(a->input, a->output);
    s.settled += cost;
    s.bill += cost;
    if (s.bill > s.highest_bill)
        s.highest_bill = s.bill;
    if (cost > a->bid.picousd)
        s.overrun += cost - a->bid.picousd;
    hold_settle(&a->hold, booked);
    s.served++;
}

static void complete(struct ask *a) {
    habit_note_input(&s.habit, a->input_bound, a->input);
    habit_note_output(&s.habit, a->said, bytes_of(a, a->said), &a->pace);
    finish(a, a->said, cost_of(a->input, a->said));
}

static void stop(struct ask *a) {
    s.cut++;
    s.affordable_cut += was_affordable(cost_of(0, a->output - a->said));
    event_add(a, EVENT_STOP, s.now_us + STOP_US);
}

static bool follows(struct ask *a) {
    struct bid_terms t = terms_of(a);
    if (s.rule != RULE_OURS || a->bid.reserved >= a->bid.bound)
        return true;
    int64_t said = habit_tokens(&s.habit, bytes_of(a, a->said));
    int64_t next = bid_next(&t, &a->bid, said + habit_quantile(&s.habit, HABIT_QUANTILE) / 2);
    if (next <= a->bid.reserved)
        return true;
    int64_t need = habit_need(&s.habit, said, a->bid.bound);
    if (bid_raise(&t, &a->hold, &a->bid, next) || (need > a->bid.reserved && bid_raise(&t, &a->hold, &a->bid, need)))
        return true;
    return need <= a->bid.reserved || !habit_is_used_up(&s.habit, said, a->bid.reserved);
}

static void chunk(struct ask *a) {
    int64_t more = a->output - a->said < TICK_TOKENS ? a->output - a->said : TICK_TOKENS;
    if (a->said + more > a->bid.bound)
        more = a->bid.bound - a->said;
    a->said += more;
    pace_note(&a->pace, s.now_us + 1, bytes_of(a, more));
    if (a->said >= a->output || a->said >= a->bid.bound) {
        if (a->said < a->output) { // the wire's own bound
            s.cut++;
            s.affordable_cut += was_affordable(cost_of(0, a->output - a->said));
        }
        complete(a);
    } else if (follows(a)) {
        event_add(a, EVENT_CHUNK, s.now_us + TICK_TOKENS * a->token_us);
    } else {
        a->cut = true;
        stop(a);
    }
}

// What it made until it noticed is on the bill; in the books is what it may have made, as the daemon counts it.
static void stopped(struct ask *a) {
    int64_t made = a->said + STOP_US / a->token_us + 1, bytes = bytes_of(a, a->said);
    int64_t said = habit_tokens(&s.habit, bytes), flight = habit_flight(&s.habit, &a->pace, bytes);
    int64_t most = habit_can_stop(&s.habit) ? habit_need(&s.habit, said, a->bid.reserved) : a->bid.reserved;
    finish(a, made < a->output ? made : a->output,
           cost_of(habit_input_seen(&s.habit, a->input_bound), flight < most - said ? said + flight : most));
}

static void event_run(const struct event *e) {
    struct ask *a = e->a;
    clock_shift(0, e->at_us - s.now_us);
    s.now_us = e->at_us;
    switch (e->kind) {
    case EVENT_ARRIVE:
        a->w = (struct waiter){.since_us = (uint64_t)s.now_us + 1, .poke = poke};
        try_begin(a);
        break;
    case EVENT_RETRY:
        waiter_read(&a->w);
        if (!a->done && !a->running)
            try_begin(a);
        break;
    case EVENT_GIVE_UP:
        if (!a->done && !a->running)
            refuse(a);
        break;
    case EVENT_CHUNK:
        chunk(a);
        break;
    case EVENT_STOP:
        stopped(a);
        break;
    }
}

// ---- a whole replay

static void replay(enum rule rule, int64_t limit) {
    struct ask *asks = s.asks;
    size_t n = s.n;
    struct event *heap = s.heap;
    size_t cap = s.cap_events;
    memset(&s, 0, sizeof s);
    s.asks = asks, s.n = n, s.heap = heap, s.cap_events = cap;
    s.rule = rule, s.limit = limit;
    if (accounts_new(&s.accounts))
        abort();
    s.purse.payers[SCOPE_KEY] = payer_get(s.accounts, SCOPE_KEY, SLICE("trace"), SLICE_NONE);
    s.account = payer_account(s.purse.payers[SCOPE_KEY], WINDOW_TOTAL, "", true);
    account_set_limit(s.account, limit);
    account_begin(s.account, NOW_S, 0);
    habit_note_round_trip(&s.habit, 0);
    for (size_t i = 0; i < n; i++) {
        struct ask *a = &s.asks[i];
        *a = (struct ask){.arrive_us = a->arrive_us,
                          .input = a->input,
                          .output = a->output,
                          .input_bound = a->input_bound,
                          .first_us = a->first_us,
                          .token_us = a->token_us,
                          .token_bytes = a->token_bytes};
        event_add(a, EVENT_ARRIVE, a->arrive_us);
    }
    while (s.n_events > 0) {
        struct event e = event_take();
        event_run(&e);
    }
    int64_t open =
        atomic_load(&account_period(s.account, NOW_S)->used) - atomic_load(&account_period(s.account, NOW_S)->settled);
    printf("%8.2f  %-18s %7zu %7zu  %6.2f%%  %6.2f%% %6zu  %6.2f%%  %8.4f  %7.4f %5.1f%% %9.1f  %s\n",
           (double)limit / (double)PICOUSD_PER_USD, rule_names[rule], s.served, s.refused,
           100.0 * (double)s.affordable_refused / (double)n, 100.0 * (double)s.affordable_booked / (double)n, s.cut,
           100.0 * (double)s.affordable_cut / (double)n, (double)s.overrun / (double)PICOUSD_PER_USD,
           (double)s.bill / (double)PICOUSD_PER_USD, 100.0 * (double)s.bill / (double)limit,
           s.waited ? (double)s.waited_us / 1000.0 / (double)s.waited : 0.0,
           s.highest_bill > limit || open ? "BROKEN" : "");
    purse_done(&s.purse);
    accounts_free(s.accounts);
}

int main(int argc, char **argv) {
    const char *limits = "1,5,20,50,100,200";
    uint64_t speedup = 1, seed = 1;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--limit") == 0)
            limits = argv[i + 1];
        else if (strcmp(argv[i], "--speedup") == 0)
            (void)slice_u64(slice_str(argv[i + 1]), &speedup);
        else if (strcmp(argv[i], "--seed") == 0)
            (void)slice_u64(slice_str(argv[i + 1]), &seed);
    }
    srandom((unsigned)seed);
    if (argc < 2 || !trace_read(argv[1], speedup ? (int64_t)speedup : 1)) {
        fprintf(stderr, "usage: replay TRACE.csv [--limit USD,…] [--speedup N] [--seed N]\n");
        return 2;
    }
    int64_t all = 0;
    for (size_t i = 0; i < s.n; i++)
        all += cost_of(s.asks[i].input, s.asks[i].output);
    printf(
        "%zu requests, %.2f USD in all, %llu times as fast; 2.50 and 10 USD a million tokens, bound %d where none is given\n",
        s.n, (double)all / (double)PICOUSD_PER_USD, (unsigned long long)speedup, DEFAULT_TOKENS);
    printf(
        "   limit  rule                served refused by bill  by books    cut  afford   overrun     bill   used   wait ms\n");
    for (struct slice rest = slice_str(limits), one; (one = slice_split(&rest, ',')).n;) {
        int64_t limit;
        for (int rule = 0; rule < RULE_COUNT && usd_read(one, &limit); rule++)
            replay((enum rule)rule, limit);
    }
    return 0;
}
