// SPDX-License-Identifier: Apache-2.0
// Reads journal segments in chunks and gives the store what they say. Most attempts are settled within the chunk that
// began them: intents gather in a table that lives as long as the chunk, a settlement takes its own out, and only what is
// left is kept as attempts under way. What an earlier process left may have been read before (a power cut, a database from a
// backup): there an exchange that is known changes nothing, neither rows nor sums. Our own journals are read once, since how
// far they were is committed with what was read, and are not asked about. A line that is broken, or of an unknown kind, is skipped
// and counted; it can never stop the lines behind it. Lines in JSON are of an older gridtie that was killed. Runs on
// whoever holds the ledger's mutex.
#include "ledger/feed.h"
#include <errno.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ledger/line.h"

#define CHUNK_BYTES (1u << 20)
#define ROUND_BYTES (8u << 20) // of one transaction: a query waits for no more than this
#define BUCKETS 4096u
#define US_PER_S 1000000
// Beyond any bill; keeps the sums of a hostile price far from overflow.
#define MONEY_MOST (INT64_MAX / 4096)
#define TOKENS_MOST (INT64_C(1) << 40)

struct waiting { // an intent of this chunk
    struct slice exchange, line;
    uint32_t next; // index + 1
    bool raised;   // of an attempt that was there before
    bool gone;
};

struct feed {
    struct store *store;
    char *chunk;
    bool again;         // only what is under way
    bool careful;       // lines may have been read before
    struct arena older; // lines that were JSON, as long as the chunk lives
    struct line_facts facts;
    struct waiting *waiting;
    uint32_t n_waiting, cap_waiting;
    uint32_t bucket[BUCKETS]; // index + 1, 0 none
};

enum err feed_new(struct store *st, struct feed **ret) {
    struct feed *f = mem_zalloc(sizeof *f);
    char *chunk = mem_alloc(CHUNK_BYTES);
    if (!f || !chunk) {
        mem_free(f);
        mem_free(chunk);
        return ERR_NO_MEMORY;
    }
    f->store = st;
    f->careful = true;
    f->chunk = chunk;
    arena_init(&f->older, 16u << 20, 0);
    *ret = f;
    return ERR_OK;
}

void feed_trust(struct feed *f) {
    f->careful = false;
}

void feed_free(struct feed *f) {
    if (!f)
        return;
    mem_free(f->chunk);
    arena_done(&f->older);
    mem_free(f->waiting);
    mem_free(f);
}

// ---- intents that wait for their settlement

static uint32_t bucket_of(struct slice s) {
    return (uint32_t)(slice_hash(s, 0) % BUCKETS);
}

static enum err waiting_add(struct feed *f, struct slice exchange, struct slice line, bool raised) {
    if (f->n_waiting == f->cap_waiting) {
        uint32_t cap = f->cap_waiting ? f->cap_waiting * 2 : 256;
        struct waiting *v = mem_realloc(f->waiting, cap * sizeof *v);
        if (!v)
            return ERR_NO_MEMORY;
        f->waiting = v;
        f->cap_waiting = cap;
    }
    uint32_t *b = &f->bucket[bucket_of(exchange)];
    f->waiting[f->n_waiting] = (struct waiting){exchange, line, *b, raised, false};
    *b = ++f->n_waiting;
    return ERR_OK;
}

// How many attempts of the exchange began in this chunk.
static size_t waiting_drop(struct feed *f, struct slice exchange) {
    size_t n = 0;
    for (uint32_t at = f->bucket[bucket_of(exchange)]; at; at = f->waiting[at - 1].next) {
        struct waiting *w = &f->waiting[at - 1];
        if (w->gone || !slice_eq(w->exchange, exchange))
            continue;
        w->gone = true;
        n += !w->raised;
    }
    return n;
}

static void waiting_clear(struct feed *f) {
    memset(f->bucket, 0, sizeof f->bucket);
    f->n_waiting = 0;
    arena_done(&f->older);
    arena_init(&f->older, 16u << 20, 0);
}

static enum err garbage_note(struct feed *f, const char *counter) {
    int64_t ignored;
    if (f->again)
        return ERR_OK;
    return store_count(f->store, counter, 1, &ignored);
}

static enum err waiting_put(struct feed *f, const struct waiting *w) {
    struct line_intent i;
    if (!line_intent_read(w->line, &i))
        return garbage_note(f, "garbage_lines");
    return store_put_open(
        f->store,
        &(struct way){
            .exchange = i.id, .key = i.key, .line = w->line, .attempt = i.attempt, .reserved_picousd = i.reserved});
}

static enum err waiting_flush(struct feed *f) {
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < f->n_waiting && !e; i++)
        if (!f->waiting[i].gone)
            e = waiting_put(f, &f->waiting[i]);
    waiting_clear(f);
    return e;
}

// ---- settlements

static int64_t capped(int64_t v, int64_t most) {
    return v > most ? most : v;
}

static struct store_sum sum_of_attempt(const struct line_attempt *at) {
    struct store_sum sum = {0};
    if (!at->sent)
        return sum;
    int64_t cost = capped(at->cost, MONEY_MOST);
    sum.overrun_picousd = capped(at->overrun, MONEY_MOST);
    sum.attempts = 1;
    sum.settled_picousd = cost > 0 ? cost : 0;
    sum.unpriced = cost < 0;
    sum.input_tokens = capped(at->input_tokens, TOKENS_MOST);
    sum.output_tokens = capped(at->output_tokens, TOKENS_MOST);
    if (at->unknown) {
        sum.unknown = 1;
        sum.unknown_picousd = sum.settled_picousd;
    }
    return sum;
}

static enum err sums_add(struct feed *f, const struct line_facts *x) {
    const struct line_attempt *chosen = line_chosen(x);
    struct store_account who = {.key = x->key, .run = x->run};
    int64_t began_s = x->wall_us / US_PER_S;
    enum err e = x->cap >= 0 && who.run.n ? store_run_put(f->store, who.key, who.run, x->cap, false) : ERR_OK;
    who.slot = began_s / STORE_SLOT_S;
    if (!chosen && !e)
        return store_add(f->store, &who, &(struct store_sum){.exchanges = 1});
    for (size_t i = 0; i < x->n_attempts && !e; i++) {
        const struct line_attempt *at = &x->attempts[i];
        struct store_sum sum = sum_of_attempt(at);
        sum.exchanges = at == chosen;
        who.target = at->target;
        who.slot = (at->money_s >= 0 ? at->money_s : began_s) / STORE_SLOT_S;
        e = store_add(f->store, &who, &sum);
    }
    return e;
}

static size_t count_sent(const struct line_facts *x) {
    size_t sent = 0;
    for (size_t i = 0; i < x->n_attempts; i++)
        sent += x->attempts[i].sent;
    return sent;
}

static enum err settle_take(struct feed *f, struct slice line) {
    const struct line_facts *facts = &f->facts;
    if (!line_facts_read(line, &f->facts))
        return garbage_note(f, "garbage_lines");
    struct store_exchange x = {facts->id, line, line_ended_us(facts)};
    bool known = f->again;
    enum err e = f->careful && !known ? store_knows(f->store, x.id, &known) : ERR_OK;
    if (!e && !known)
        e = store_put_exchange(f->store, &x);
    if (!e && !known)
        e = sums_add(f, facts);
    if (!e && waiting_drop(f, x.id) < count_sent(facts))
        e = store_delete_open(f->store, x.id);
    return e;
}

// An intent is looked into only if it outlives its chunk; here its id is enough.
static enum err intent_take(struct feed *f, struct slice line) {
    struct slice id = line_id(line);
    return id.n ? waiting_add(f, id, line, line.p[0] == LINE_RAISED) : garbage_note(f, "garbage_lines");
}

static enum err line_take(struct feed *f, struct slice line);
static enum err older_take(struct feed *f, struct slice json) {
    struct buf line = BUF_INIT(4 * LIMIT_JOURNAL_LINE_BYTES);
    enum err e = line_from_json(json, &line);
    struct slice kept = e ? SLICE_NONE : arena_copy(&f->older, buf_slice(&line));
    buf_done(&line);
    if (e == ERR_BAD_JSON)
        return garbage_note(f, "garbage_lines");
    return e ? e : kept.p ? line_take(f, kept) : ERR_NO_MEMORY;
}

static enum err line_take(struct feed *f, struct slice line) {
    switch (line.n ? line.p[0] : 0) {
    case LINE_INTENT:
    case LINE_RAISED:
        return intent_take(f, line);
    case LINE_SETTLED:
        return settle_take(f, line);
    case '{':
        return older_take(f, line);
    default:
        return line.n > 0 ? garbage_note(f, "garbage_lines") : ERR_OK;
    }
}

enum err feed_line(struct feed *f, struct slice line) {
    enum err e = line_take(f, line);
    if (!e)
        return waiting_flush(f);
    waiting_clear(f);
    return e;
}

// ---- files

static ssize_t read_at(int fd, char *p, size_t n, int64_t offset) {
    ssize_t got = pread(fd, p, n, (off_t)offset);
    while (got < 0 && errno == EINTR)
        got = pread(fd, p, n, (off_t)offset);
    return got;
}

static enum err chunk_take(struct feed *f, struct slice whole) {
    enum err e = ERR_OK;
    while (whole.n > 0 && !e)
        e = line_take(f, slice_split(&whole, '\n'));
    if (e)
        waiting_clear(f);
    return e ? e : waiting_flush(f);
}

// Bytes up to and with the last newline.
static size_t whole_bytes(const char *p, size_t n) {
    const char *end = n ? memrchr(p, '\n', n) : NULL;
    return end ? (size_t)(end - p) + 1 : 0;
}

enum err feed_file(struct feed *f, int fd, bool last, int64_t *offset, bool *ret_end) {
    int64_t at = *offset;
    bool end = false;
    while (!end && at - *offset < ROUND_BYTES) {
        ssize_t n = read_at(fd, f->chunk, CHUNK_BYTES, at);
        if (n < 0)
            return ERR_DISK;
        size_t take = whole_bytes(f->chunk, (size_t)n);
        bool tail = take < (size_t)n && (size_t)n < CHUNK_BYTES;
        enum err e = chunk_take(f, slice_of(f->chunk, take));
        if (!e && take == 0 && (size_t)n == CHUNK_BYTES) {
            take = (size_t)n; // no line is that long
            e = garbage_note(f, "garbage_lines");
        }
        if (!e && tail && last) {
            take = (size_t)n;
            e = garbage_note(f, "torn_lines");
        }
        if (e)
            return e;
        at += (int64_t)take;
        end = (size_t)n < CHUNK_BYTES;
    }
    *offset = at;
    *ret_end = end;
    return ERR_OK;
}

enum err feed_again(struct feed *f, int fd, int64_t end) {
    enum err e = ERR_OK;
    f->again = true;
    for (int64_t at = 0; at < end && !e;) {
        int64_t want = end - at < (int64_t)CHUNK_BYTES ? end - at : (int64_t)CHUNK_BYTES;
        ssize_t n = read_at(fd, f->chunk, (size_t)want, at);
        size_t take = n > 0 ? whole_bytes(f->chunk, (size_t)n) : 0;
        e = n <= 0 ? ERR_DISK : chunk_take(f, slice_of(f->chunk, take));
        at += take ? (int64_t)take : n; // no line is that long
    }
    f->again = false;
    return e;
}

// ---- exchanges without a settlement

struct gathering {
    struct arena arena;
    const char *outcome;
    struct settlement s;
    struct attempt_record attempts[LINE_ATTEMPTS_MOST];
    bool no_memory;
};

static enum zone zone_of(struct slice name) {
    enum zone z = ZONE_CLOUD;
    return zone_parse(name, &z) ? z : ZONE_CLOUD;
}

static bool gather_line(void *ctx, struct slice borrowed) {
    struct gathering *g = ctx;
    struct slice line = arena_copy(&g->arena, borrowed);
    g->no_memory = !line.p;
    if (g->no_memory || g->s.n_attempts == sizeof g->attempts / sizeof g->attempts[0])
        return false;
    int64_t wall_us = line_int(line, LINE_WALL_US, 0), reserved = line_int(line, LINE_RESERVED, -1);
    if (g->s.n_attempts == 0) {
        g->s.wall_us = wall_us;
        g->s.key = line_text(line, LINE_KEY);
        g->s.run = line_text(line, LINE_RUN);
        g->s.cap_picousd = line_int(line, LINE_CAP, -1);
        g->s.model = line_text(line, LINE_MODEL);
    }
    bool unknown = g->outcome[0] == 'u';
    g->attempts[g->s.n_attempts++] = (struct attempt_record){
        .target = line_text(line, LINE_TARGET),
        .endpoint = line_text(line, LINE_ENDPOINT),
        .model = line_text(line, LINE_MODEL),
        .zone = zone_of(line_text(line, LINE_ZONE)),
        .stage = (unsigned)line_int(line, LINE_ATTEMPT, 0),
        .err = unknown ? ERR_INTERNAL : ERR_OK,
        .detail = unknown ? SLICE("gridtie was ended while this was under way; counted at what was reserved")
                          : SLICE("under way"),
        .start_us = wall_us > g->s.wall_us ? wall_us - g->s.wall_us : 0,
        .connected_us = -1,
        .first_event_us = -1,
        .end_us = -1,
        .usage = USAGE_NONE,
        .reserved_picousd = reserved,
        .cost_picousd = unknown ? reserved : -1,
        .money_s = line_int(line, LINE_AT, -1),
        .sent = true};
    return true;
}

enum err feed_open_record(struct feed *f, struct slice exchange, const char *outcome, struct buf *ret) {
    struct gathering g = {.outcome = outcome};
    arena_init(&g.arena, 4u << 20, 0);
    g.s = (struct settlement){.exchange = exchange,
                              .total_us = -1,
                              .status = -1,
                              .err = outcome[0] == 'u' ? ERR_INTERNAL : ERR_OK,
                              .request_bytes = -1,
                              .answer_bytes = -1,
                              .first_event_us = -1,
                              .step_us = {-1, -1, -1, -1, -1, -1, -1, -1},
                              .attempts = g.attempts};
    enum err e = store_each_open(f->store, exchange, gather_line, &g);
    struct buf line = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES);
    if (!e && g.no_memory)
        e = ERR_NO_MEMORY;
    if (!e && g.s.n_attempts == 0)
        e = ERR_NOT_FOUND;
    if (!e && !line_write_settlement(&line, &g.s, outcome))
        e = ERR_NO_MEMORY;
    if (!e)
        buf_append(ret, buf_slice(&line));
    if (!e && ret->failed)
        e = ERR_NO_MEMORY;
    buf_done(&line);
    arena_done(&g.arena);
    return e;
}
