// SPDX-License-Identifier: Apache-2.0
// Money on an exchange's way: admit finds who pays; each attempt holds money before it is sent (ledger/bid.h says how
// much), waits its turn where only others' open reservations stand in the way, and is settled when it ends, at what the
// upstream reported or, where that is missing or can't be true, at what it may have billed. All on the exchange's loop; a
// waiter's letter may come when its attempt is long gone, so it finds it through a little heap struct.
#include "switch/money.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "ledger/money.h"
#include "switch/worker.h"

#define MESSAGE_TOKENS 8  // framing of one message: role, separators
#define TOOLS_TOKENS 1024 // what providers write into the prompt once there are tools (Anthropic's: about 350)
#define MEDIA_TOKENS 4096 // one picture; most providers count 85 to 1,600
#define DOUBT_TOKENS 8192 // an upstream's own prompt may be so long

// ---- admit

static struct slice session_of_user(struct slice user) {
    static const char mark[] = "_session_";
    size_t at = slice_search(user, SLICE("_session_"));
    if (at != SIZE_MAX)
        return slice_from(user, at + sizeof mark - 1);
    if (!slice_starts(user, "{"))
        return SLICE_NONE;
    struct arena a;
    struct json_doc d;
    struct json_error why;
    struct slice found = SLICE_NONE;
    arena_init(&a, 65536, 0);
    if (user.n <= 4096 && json_read(&a, user, &d, &why) == ERR_OK) {
        struct slice id = json_get_str(yyjson_doc_get_root(d.doc), "session_id");
        size_t where = id.n ? slice_search(user, id) : SIZE_MAX; // an id has nothing to escape
        found = where == SIZE_MAX ? SLICE_NONE : slice_of(user.p + where, id.n);
    }
    arena_done(&a);
    return found;
}

static bool run_id_is_fine(struct slice id) {
    for (size_t i = 0; i < id.n; i++)
        if ((unsigned char)id.p[i] <= ' ' || (unsigned char)id.p[i] >= 0x7f)
            return false;
    return id.n > 0 && id.n <= LIMIT_RUN_ID_BYTES;
}

// *ret_bad: the client named a run in our own header, and it is no id.
static struct slice run_of(const struct exchange *x, bool *ret_bad) {
    static const char *const headers[] = {"x-claude-code-session-id", "x-session-id"};
    struct slice own = slice_trim(headers_get(x->in.headers, "x-gridtie-run"));
    *ret_bad = own.p && !run_id_is_fine(own);
    if (own.p)
        return own;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct slice v = slice_trim(headers_get(x->in.headers, headers[i]));
        if (run_id_is_fine(v))
            return v;
    }
    struct slice session = x->request ? session_of_user(x->request->user) : SLICE_NONE;
    return run_id_is_fine(session) ? session : SLICE_NONE;
}

static enum step_result run_admit(struct exchange *x, struct slice key) {
    bool bad = false;
    int64_t cap = -1;
    struct slice id = run_of(x, &bad), budget = headers_get(x->in.headers, "x-gridtie-budget-usd");
    if (bad)
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-run: expected 1 to 128 visible ASCII characters");
    if (budget.p && !usd_read(slice_trim(budget), &cap))
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-budget-usd: expected an amount of USD like 0.50");
    if (budget.p && !id.n)
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-budget-usd: caps a run, so name one in x-gridtie-run");
    if (!id.n)
        return STEP_NEXT;
    struct payer *run = payer_get(x->w->accounts, SCOPE_RUN, key, id);
    if (!run)
        return exchange_refuse(x, ERR_LIMIT, "too many runs have a budget of their own");
    x->purse.payers[SCOPE_RUN] = run;
    atomic_store_explicit(&run->last_us, x->start_wall_us, memory_order_relaxed);
    if (cap >= 0)
        run_cap(run, cap);
    return atomic_load(&run->stopped) ? exchange_refuse(x, ERR_RUN_STOPPED, NULL) : STEP_NEXT;
}

enum step_result money_admit(struct exchange *x) {
    struct slice key = x->key ? slice_str(x->key->name) : SLICE_NONE;
    x->purse.payers[SCOPE_WHOLE] = payer_get(x->w->accounts, SCOPE_WHOLE, SLICE_NONE, SLICE_NONE);
    if (x->key)
        x->purse.payers[SCOPE_KEY] = payer_get(x->w->accounts, SCOPE_KEY, key, SLICE_NONE);
    if (!x->purse.payers[SCOPE_WHOLE] || (x->key && !x->purse.payers[SCOPE_KEY]))
        return exchange_refuse(x, ERR_NO_MEMORY, NULL);
    return run_admit(x, key);
}

// ---- decide

const char *money_out(const struct exchange *x, const struct target *t) {
    if (price_known(&t->price) || x->snap->config->unpriced == UNPRICED_ALLOW || !purse_is_limited(&x->purse))
        return NULL;
    return MONEY_OUT_UNPRICED;
}

// ---- what an attempt asks for

static int64_t media_bytes(const struct part *p, int64_t *ret_n) {
    int64_t bytes = 0;
    for (; p; p = p->next) {
        bytes += (int64_t)p->data.n + media_bytes(p->content, ret_n);
        *ret_n += p->kind == PART_IMAGE || p->kind == PART_AUDIO || p->kind == PART_DOCUMENT;
    }
    return bytes;
}

// No tokenizer makes more tokens of a text than it has bytes; what a provider adds is allowed for.
int64_t money_input_bound(const struct exchange *x, const struct request *r) {
    int64_t text = x->in.body.n ? (int64_t)x->in.body.n : x->estimated_tokens * 4, media = 0, n = 0;
    for (const struct message *m = r->messages; m; m = m->next) {
        text += MESSAGE_TOKENS;
        if (r->has_images || r->has_audio || r->has_documents)
            media += media_bytes(m->parts, &n);
    }
    text = text > media ? text - media : 0;
    return text + n * MEDIA_TOKENS + (r->tools ? TOOLS_TOKENS : 0);
}

static int64_t output_wanted(const struct exchange *x, const struct target *t) {
    const struct request *r = x->request;
    if (r->op == OP_EMBED || r->op == OP_RERANK)
        return 0;
    const struct config *c = x->snap->config;
    int64_t usual = x->route && x->route->max_tokens > 0 ? x->route->max_tokens : c->budget_max_tokens;
    if (t->context > 0 && usual > t->context)
        usual = t->context;
    int64_t each = r->max_tokens > 0 ? r->max_tokens : r->max_tokens == 0 ? 1 : usual;
    return each * (r->n > 0 ? r->n : 1);
}

static void terms_fill(struct attempt *at) {
    const struct exchange *x = at->x;
    at->terms = (struct bid_terms){.price = &at->t->price,
                                   .habit = &at->t->live->habit,
                                   .input_bound = x->input_bound,
                                   .want = output_wanted(x, at->t),
                                   .choices = x->request->n > 0 ? x->request->n : 1};
}

// ---- waiting

struct money_wait {
    struct waiter w;    // first
    struct attempt *at; // NULL: gone
    struct loop *loop;
    uint64_t until_ms; // age of the exchange
    bool over;
};

static void money_letter(void *arg) {
    struct money_wait *wait = arg;
    waiter_read(&wait->w);
    if (wait->at)
        attempt_go(wait->at);
    else
        mem_free(wait);
}

static bool money_poke(struct waiter *w) {
    struct money_wait *wait = (struct money_wait *)(void *)w;
    return loop_post(wait->loop, money_letter, wait) == ERR_OK;
}

static bool wait_new(struct attempt *at) {
    struct exchange *x = at->x;
    at->wait = mem_zalloc(sizeof *at->wait);
    if (at->wait)
        *at->wait = (struct money_wait){.w = {.since_us = x->in.start_us, .poke = money_poke},
                                        .at = at,
                                        .loop = &x->w->loop,
                                        .until_ms = (uint64_t)exchange_age_us(x) / 1000 +
                                                    (uint64_t)x->snap->config->budget_wait_ms};
    return at->wait != NULL;
}

static void wait_end(struct attempt *at) {
    struct money_wait *wait = at->wait;
    if (!wait)
        return;
    at->wait = NULL;
    wait->at = NULL;
    if (!waiter_leave(&wait->w))
        mem_free(wait);
}

uint64_t money_late_ms(const struct attempt *at) {
    return at->alive && at->wait ? at->wait->until_ms : UINT64_MAX;
}

void money_waited(struct attempt *at) {
    at->wait->over = true;
    attempt_go(at);
}

// ---- refusing

static void put_usd(struct buf *out, int64_t picousd) {
    usd_append(out, picousd);
    buf_append_str(out, " USD");
}

static int64_t renewal_s(struct account *t, int64_t now_s) {
    struct period *p = t ? account_period(t, now_s) : NULL;
    return p && p->end_s != INT64_MAX ? p->end_s : 0;
}

static void put_renewal(struct buf *out, int64_t renews_s) {
    if (renews_s == 0) {
        buf_append_str(out, "; it does not renew");
        return;
    }
    buf_append_str(out, "; it renews at ");
    clock_append_rfc3339(out, renews_s * 1000000);
}

static void refuse(struct attempt *at, enum err e, const struct room *room) {
    struct buf text = BUF_INIT(2048);
    struct problem p = PROBLEM(e);
    int64_t renews_s = renewal_s(room->least, at->money_s);
    if (room->least)
        account_name(room->least, &text);
    else
        buf_append_str(&text, "the budget");
    buf_append_str(&text, e == ERR_PAYMENT ? " is spent: " : " is held by requests that still run: ");
    put_usd(&text, room->left);
    buf_append_str(&text, e == ERR_PAYMENT ? " is left of " : " is not settled of ");
    put_usd(&text, room->least ? atomic_load(&room->least->limit) : 0);
    buf_append_str(&text, ", and this request needs ");
    put_usd(&text, at->bid.picousd);
    put_renewal(&text, renews_s);
    if (e == ERR_PAYMENT && renews_s)
        p.retry_after_ms = (renews_s - at->money_s) * 1000;
    if (e != ERR_PAYMENT)
        p.retry_after_ms = 1000;
    p.message = at->detail = arena_copy(&at->x->arena, buf_slice(&text));
    buf_done(&text);
    wait_end(at);
    attempt_fail(at, &p);
}

// ---- taking

// Nothing to hold: it costs nothing, or nobody knows what it costs and that is allowed.
static bool is_unpaid(const struct attempt *at) {
    const struct price *p = &at->t->price;
    bool nothing = p->input == 0 && p->output == 0 && p->cache_read <= 0 && p->cache_write <= 0;
    return !price_known(p) || nothing || at->x->request->op == OP_COUNT_TOKENS;
}

static enum held ask(struct attempt *at, struct room *room) {
    struct exchange *x = at->x;
    struct waiter passer_by = {.since_us = x->in.start_us};
    at->bid.picousd = 0;
    if (is_unpaid(at))
        return HELD;
    at->limited = purse_is_limited(&x->purse);
    if (!at->limited) {
        at->bid = bid_whole(&at->terms);
        return hold_take(&at->hold, &x->purse, at->money_s, at->bid.picousd, NULL, false);
    }
    struct waiter *w = at->wait ? &at->wait->w : &passer_by;
    enum held r = bid_place(&at->terms, &x->purse, at->money_s, w, at->wait != NULL, &at->hold, &at->bid, room);
    if (r != HELD_BY_OTHERS || at->wait || !wait_new(at))
        return r;
    return bid_place(&at->terms, &x->purse, at->money_s, &at->wait->w, true, &at->hold, &at->bid, room);
}

bool money_take(struct attempt *at) {
    struct room room = {0};
    if (at->held)
        return true;
    if (!at->terms.price)
        terms_fill(at);
    at->money_s = accounts_now_s(at->x->w->accounts);
    enum held r = ask(at, &room);
    at->held = r == HELD;
    if (r == HELD_BY_OTHERS && at->wait && !at->wait->over) {
        exchange_arm(at->x);
        return false;
    }
    wait_end(at);
    if (!at->held)
        refuse(at, r == HELD_NOT ? ERR_PAYMENT : ERR_BUDGET_HELD, &room);
    return at->held;
}

static int64_t reserved_of(const struct attempt *at) {
    return price_known(&at->t->price) ? at->bid.picousd : -1;
}

enum err money_intend(struct attempt *at) {
    const struct exchange *x = at->x;
    const struct payer *run = x->purse.payers[SCOPE_RUN];
    struct attempt_intent intent = {.exchange = slice_str(x->id),
                                    .attempt = at->index,
                                    .wall_us = clock_wall_us(),
                                    .target = slice_str(at->t->name),
                                    .endpoint = slice_str(at->t->endpoint->name),
                                    .model = at->t->model,
                                    .zone = at->t->zone,
                                    .key = x->key ? slice_str(x->key->name) : SLICE_NONE,
                                    .run = run ? slice_str(run->run) : SLICE_NONE,
                                    .cap_picousd = run ? run_cap_of(run) : -1,
                                    .money_s = at->money_s,
                                    .reserved_picousd = reserved_of(at),
                                    .raised = at->sent};
    at->reserved_picousd = intent.reserved_picousd;
    return journal_intent(x->w->journal, &intent);
}

// The wire has a bound wherever a budget pays; the client's own stays byte for byte where it is the same.
void money_write_options(const struct attempt *at, struct write_options *o) {
    if (!at->limited)
        return;
    o->max_tokens = at->bid.bound / at->terms.choices;
    if (at->bid.reserved < at->bid.bound && !at->x->request->stream)
        o->stream = 1;
}

// ---- the end

// May the upstream have begun to work on it?
static bool was_reached(const struct attempt *at) {
    return at->sent && at->status < 400 && (at->status > 0 || at->sent_us >= 0);
}

static void clamp(struct attempt *at, int64_t *tokens, int64_t most) {
    if (*tokens <= most)
        return;
    *tokens = most;
    at->suspect = true;
}

// Numbers that can't be: far above what was sent and seen, or nothing for what was seen. Where no budget depends on them
// they are left as they were reported.
static void usage_doubt(struct attempt *at) {
    struct usage *u = &at->usage;
    int64_t seen = at->output_bytes, bound = at->bid.bound > seen ? at->bid.bound : seen;
    if (!at->limited)
        return;
    clamp(at, &u->input_tokens, 2 * at->terms.input_bound + (at->x->request->tools ? 4 : 1) * DOUBT_TOKENS);
    clamp(at, &u->output_tokens, bound + DOUBT_TOKENS / 16);
    if (u->output_tokens == 0 && seen > 0)
        u->output_tokens = -1, at->suspect = true;
    if (u->input_tokens == 0 && was_reached(at))
        u->input_tokens = -1, at->suspect = true;
}

// What it may have made beyond what was seen, of an answer that did not come to its own end.
static int64_t output_unseen(const struct attempt *at) {
    const struct habit *h = &at->t->live->habit;
    int64_t said = habit_tokens(h, at->output_bytes);
    if (!at->limited)
        return said;
    if (!at->stream) // a whole answer may be made already
        return habit_need(h, 0, at->bid.reserved);
    if (habit_outran(h, &at->pace))
        return at->bid.bound;
    // Never more than the hold: the wire's bound, or our own stop, is within it, and bytes are counted too high.
    int64_t flight = habit_flight(h, &at->pace, at->output_bytes), most = at->bid.reserved;
    if (habit_can_stop(h))
        most = habit_need(h, said, most);
    return flight < most - said ? said + flight : most;
}

// What the upstream did not report, or not to the end, is our own count, marked so.
static void usage_complete(struct attempt *at) {
    struct usage *u = &at->usage;
    const struct habit *h = &at->t->live->habit;
    bool whole = at->err == ERR_OK && (!at->cut || at->ended);
    if (!was_reached(at) || (whole && u->input_tokens >= 0 && u->output_tokens >= 0))
        return;
    int64_t output = whole ? habit_tokens(h, at->output_bytes) : output_unseen(at);
    if (at->limited && output > at->bid.bound)
        output = at->bid.bound; // the wire's; bytes are counted too high
    u->estimated = true;
    if (u->input_tokens < 0)
        u->input_tokens = at->limited ? habit_input_seen(h, at->terms.input_bound) : at->x->estimated_tokens;
    if (output > u->output_tokens)
        u->output_tokens = output;
}

static void habit_learn(const struct attempt *at) {
    const struct usage *u = &at->usage;
    struct habit *h = &at->t->live->habit;
    if (at->limited && at->framed && habit_outran(h, &at->pace))
        habit_note_burst(h, &at->pace, at->output_bytes);
    if (at->err != ERR_OK || at->cut || at->suspect || u->estimated || at->x->request->op == OP_COUNT_TOKENS)
        return;
    habit_note_input(h, at->terms.input_bound, u->input_tokens);
    habit_note_output(h, u->output_tokens, at->output_bytes, at->framed ? &at->pace : NULL);
}

void money_settle(struct attempt *at) {
    wait_end(at);
    if (at->settled)
        return;
    at->settled = true;
    if (at->terms.price) {
        usage_doubt(at);
        usage_complete(at);
        habit_learn(at);
    }
    at->cost_picousd = was_reached(at) ? usage_cost(&at->usage, &at->t->price) : 0;
    if (at->limited && at->cost_picousd > at->bid.picousd)
        at->overrun_picousd = at->cost_picousd - at->bid.picousd;
    hold_settle(&at->hold, at->cost_picousd);
}
