// SPDX-License-Identifier: Apache-2.0
// Reads journal segments in chunks and gives the store what they say. Most attempts are settled within the chunk that
// began them: intents gather in a table that lives as long as the chunk, a settlement takes its own out, and only what is
// left becomes rows of open attempts. Every line may come twice (a kill between two commits, a power cut): an exchange
// that is there already changes nothing, neither rows nor sums. A line that is no JSON, or of an unknown kind, is skipped
// and counted; it can never stop the lines behind it. Runs on whoever holds the ledger's mutex.
#include "ledger/feed.h"
#include <errno.h>
#include <unistd.h>
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ledger/line.h"

#define CHUNK_BYTES (1u << 20)
#define ROUND_BYTES (8u << 20) // of one transaction: a query waits for no more than this
#define BUCKETS 4096u
#define US_PER_DAY INT64_C(86400000000)
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
    f->chunk = chunk;
    *ret = f;
    return ERR_OK;
}

void feed_free(struct feed *f) {
    if (!f)
        return;
    mem_free(f->chunk);
    mem_free(f->waiting);
    mem_free(f);
}

// ---- intents that wait for their settlement

static uint32_t bucket_of(struct slice s) {
    uint32_t h = 2166136261u; // FNV-1a
    for (size_t i = 0; s.p && i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 16777619u;
    return (h ^ h >> 16) % BUCKETS;
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
}

static enum err garbage_note(struct feed *f, const char *counter) {
    int64_t ignored;
    return store_count(f->store, counter, 1, &ignored);
}

static enum err waiting_put(struct feed *f, const struct waiting *w) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, 1u << 20, 0);
    enum err e = json_read(&a, w->line, &d, &why);
    yyjson_val *root = e ? NULL : yyjson_doc_get_root(d.doc);
    if (e == ERR_BAD_JSON)
        e = garbage_note(f, "garbage_lines");
    else if (!e)
        e = store_put_open(f->store, w->exchange, json_get_int(root, "attempt", 0), json_get_int(root, "wall_us", 0),
                           json_get_int(root, "reserved", -1), w->line);
    arena_done(&a);
    return e;
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

// The attempt that gave the answer, else the last one.
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

static struct store_sum sum_of_attempt(yyjson_val *at) {
    struct store_sum sum = {0};
    yyjson_val *usage = yyjson_obj_get(at, "usage");
    if (!yyjson_is_true(yyjson_obj_get(at, "sent")))
        return sum;
    int64_t cost = capped(json_get_int(at, "cost", -1), MONEY_MOST);
    sum.overrun_picousd = capped(json_get_int(at, "overrun", 0), MONEY_MOST);
    sum.attempts = 1;
    sum.settled_picousd = cost > 0 ? cost : 0;
    sum.unpriced = cost < 0;
    sum.input_tokens = capped(json_get_int(usage, "input_tokens", 0), TOKENS_MOST);
    sum.output_tokens = capped(json_get_int(usage, "output_tokens", 0), TOKENS_MOST);
    if (slice_is(json_get_str(at, "outcome"), "unknown")) {
        sum.unknown = 1;
        sum.unknown_picousd = sum.settled_picousd;
    }
    return sum;
}

static enum err sums_add(struct feed *f, yyjson_val *root, yyjson_val *chosen) {
    yyjson_val *attempts = yyjson_obj_get(root, "attempts"), *at;
    struct store_account who = {.key = json_get_str(root, "key"), .run = json_get_str(root, "run")};
    int64_t began_s = json_get_int(root, "wall_us", 0) / US_PER_S, cap = json_get_int(root, "cap", -1);
    size_t i, n;
    enum err e = cap >= 0 && who.run.n ? store_run_put(f->store, who.key, who.run, cap, false) : ERR_OK;
    who.slot = began_s / STORE_SLOT_S;
    if (!chosen && !e)
        return store_add(f->store, &who, &(struct store_sum){.exchanges = 1});
    yyjson_arr_foreach(attempts, i, n, at) {
        struct store_sum sum = sum_of_attempt(at);
        sum.exchanges = at == chosen;
        who.target = json_get_str(at, "target");
        who.slot = json_get_int(at, "at", began_s) / STORE_SLOT_S;
        if (!e)
            e = store_add(f->store, &who, &sum);
    }
    return e;
}

static size_t count_sent(yyjson_val *attempts) {
    yyjson_val *at;
    size_t i, n, sent = 0;
    yyjson_arr_foreach(attempts, i, n, at) {
        sent += yyjson_is_true(yyjson_obj_get(at, "sent"));
    }
    return sent;
}

static enum err settle_put(struct feed *f, yyjson_val *root, struct slice line) {
    yyjson_val *attempts = yyjson_obj_get(root, "attempts");
    yyjson_val *chosen = attempt_chosen(attempts);
    struct store_exchange x = {.id = json_get_str(root, "id"),
                               .model = json_get_str(root, "model"),
                               .target = json_get_str(chosen, "target"),
                               .key = json_get_str(root, "key"),
                               .ended_us = json_get_int(root, "wall_us", 0) +
                                           capped(json_get_int(root, "total_us", 0), US_PER_DAY * 365),
                               .child = json_get_str(root, "parent").n > 0,
                               .failed = !slice_is(json_get_str(root, "outcome"), "settled"),
                               .record = line};
    bool fresh = false;
    enum err e = store_put_exchange(f->store, &x, &fresh);
    if (!e && fresh)
        e = sums_add(f, root, chosen);
    if (!e && waiting_drop(f, x.id) < count_sent(attempts))
        e = store_delete_open(f->store, x.id);
    return e;
}

static enum err settle_take(struct feed *f, struct slice line) {
    struct arena a;
    struct json_doc d;
    struct json_error why;
    arena_init(&a, 4u << 20, 0);
    enum err e = json_read(&a, line, &d, &why);
    yyjson_val *root = e ? NULL : yyjson_doc_get_root(d.doc);
    if (e == ERR_BAD_JSON || (!e && json_get_str(root, "id").n == 0))
        e = garbage_note(f, "garbage_lines");
    else if (!e)
        e = settle_put(f, root, line);
    arena_done(&a);
    return e;
}

// An intent is looked into only if it outlives its chunk; here its id is enough.
static enum err intent_take(struct feed *f, struct slice line, bool raised) {
    struct slice id = slice_from(line, sizeof LINE_INTENT_PREFIX - 1);
    size_t end = slice_find(id, '"');
    id = slice_first(id, end == SIZE_MAX ? 0 : end);
    if (id.n == 0 || slice_find(id, '\\') != SIZE_MAX || !slice_ends(line, "}"))
        return garbage_note(f, "garbage_lines");
    return waiting_add(f, id, line, raised);
}

static enum err line_take(struct feed *f, struct slice line) {
    if (slice_starts(line, LINE_INTENT_PREFIX))
        return intent_take(f, line, false);
    if (slice_starts(line, LINE_RAISED_PREFIX))
        return intent_take(f, line, true);
    if (slice_starts(line, LINE_SETTLED_PREFIX))
        return settle_take(f, line);
    return line.n > 0 ? garbage_note(f, "garbage_lines") : ERR_OK;
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

// ---- exchanges without a settlement

struct gathering {
    struct arena arena;
    const char *outcome;
    struct settlement s;
    struct attempt_record attempts[LIMIT_ATTEMPTS * 2];
    bool no_memory;
};

static enum zone zone_of(struct slice name) {
    enum zone z = ZONE_CLOUD;
    return zone_parse(name, &z) ? z : ZONE_CLOUD;
}

static bool gather_line(void *ctx, struct slice borrowed) {
    struct gathering *g = ctx;
    struct json_doc d;
    struct json_error why;
    struct slice line = arena_copy(&g->arena, borrowed);
    enum err e = line.p ? ERR_OK : ERR_NO_MEMORY;
    if (g->s.n_attempts == sizeof g->attempts / sizeof g->attempts[0])
        return false;
    if (!e)
        e = json_read(&g->arena, line, &d, &why);
    g->no_memory = e == ERR_NO_MEMORY;
    if (e)
        return !g->no_memory;
    yyjson_val *root = yyjson_doc_get_root(d.doc);
    int64_t wall_us = json_get_int(root, "wall_us", 0), reserved = json_get_int(root, "reserved", -1);
    if (g->s.n_attempts == 0) {
        g->s.wall_us = wall_us;
        g->s.key = json_get_str(root, "key");
        g->s.run = json_get_str(root, "run");
        g->s.cap_picousd = json_get_int(root, "cap", -1);
        g->s.model = json_get_str(root, "model");
    }
    bool unknown = g->outcome[0] == 'u';
    g->attempts[g->s.n_attempts++] = (struct attempt_record){
        .target = json_get_str(root, "target"),
        .endpoint = json_get_str(root, "endpoint"),
        .model = json_get_str(root, "model"),
        .zone = zone_of(json_get_str(root, "zone")),
        .stage = (unsigned)json_get_int(root, "attempt", 0),
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
        .money_s = json_get_int(root, "at", -1),
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
