// SPDX-License-Identifier: Apache-2.0
// The ledger against kills, torn and foreign lines, lines that come twice, full disks and many loops. Each test has a
// directory of its own and leaves none behind.
#include "ledger/ledger.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "ledger/journal.h"
#include "ledger/line.h"
#include "unit.h"

#define BEGAN_US INT64_C(1790000000000000)

// ---- a directory, a ledger, what it says

static void folder_each(const char *folder, void (*fn)(const char *path)) {
    char path[4096];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (n > 0 && (size_t)n < sizeof path && e->d_name[0] != '.')
            fn(path);
    }
    if (d)
        (void)closedir(d);
}

static void remove_one(const char *path) {
    if (unlink(path) != 0) {
        folder_each(path, remove_one);
        (void)rmdir(path);
    }
}

struct fixture {
    char dir[64];
    struct ledger *l;
    struct arena arena;
};

static bool fixture_open(struct fixture *f, unsigned loops, int64_t retention_s) {
    struct buf problem = BUF_INIT(4096);
    struct ledger_options o = {.dir = f->dir, .loops = loops, .retention_s = retention_s, .batch_ms = 20};
    enum err e = ledger_open(&o, &f->l, &problem);
    if (e)
        unit_fail(__FILE__, __LINE__, "ledger_open: %s", buf_cstr(&problem));
    buf_done(&problem);
    return e == ERR_OK;
}

static bool fixture_init(struct fixture *f, unsigned loops) {
    *f = (struct fixture){.dir = "/tmp/gridtie-ledger-XXXXXX"};
    arena_init(&f->arena, 64u << 20, 0);
    log_set_level(LOG_ERROR + 1);
    return mkdtemp(f->dir) && (loops == 0 || fixture_open(f, loops, 0));
}

static void fixture_close(struct fixture *f) {
    ledger_close(f->l);
    f->l = NULL;
}

static void fixture_done(struct fixture *f) {
    fixture_close(f);
    folder_each(f->dir, remove_one);
    (void)rmdir(f->dir);
    arena_done(&f->arena);
    journal_set_fault(0, 0);
    journal_set_segment_bytes(0);
}

static yyjson_val *parse(struct fixture *f, struct buf *b) {
    struct json_doc d;
    struct json_error why;
    struct slice copy = arena_copy(&f->arena, buf_slice(b));
    buf_done(b);
    return json_read(&f->arena, copy, &d, &why) == ERR_OK ? yyjson_doc_get_root(d.doc) : NULL;
}

static yyjson_val *totals(struct fixture *f) {
    struct buf b = BUF_INIT(1u << 20);
    return ledger_totals(f->l, &b) == ERR_OK ? parse(f, &b) : NULL;
}

static int64_t total(struct fixture *f, const char *name) {
    return json_get_int(totals(f), name, -1);
}

static yyjson_val *why(struct fixture *f, const char *id) {
    struct buf b = BUF_INIT(1u << 20);
    return ledger_why(f->l, slice_str(id), &b) == ERR_OK ? parse(f, &b) : NULL;
}

static yyjson_val *log_of(struct fixture *f, struct log_filter filter) {
    struct buf b = BUF_INIT(8u << 20);
    return ledger_log(f->l, &filter, &b) == ERR_OK ? yyjson_obj_get(parse(f, &b), "exchanges") : NULL;
}

// ---- exchanges

static struct attempt_intent intent_of(const char *id, unsigned attempt) {
    return (struct attempt_intent){.exchange = slice_str(id),
                                   .attempt = attempt,
                                   .wall_us = BEGAN_US,
                                   .target = SLICE("groq/llama"),
                                   .endpoint = SLICE("groq"),
                                   .model = SLICE("llama"),
                                   .zone = ZONE_CLOUD,
                                   .key = SLICE("team"),
                                   .reserved_picousd = 1000};
}

static struct attempt_record attempt_of(enum err e) {
    return (struct attempt_record){.target = SLICE("groq/llama"),
                                   .endpoint = SLICE("groq"),
                                   .model = SLICE("llama"),
                                   .zone = ZONE_CLOUD,
                                   .reason = SLICE("cheapest"),
                                   .err = e,
                                   .http_status = e ? 500 : 200,
                                   .start_us = 1500,
                                   .connected_us = 2500,
                                   .first_event_us = e ? -1 : 60001,
                                   .end_us = 90000,
                                   .usage = {.input_tokens = 10,
                                             .cache_read_tokens = -1,
                                             .cache_write_tokens = -1,
                                             .output_tokens = 5,
                                             .reasoning_tokens = -1,
                                             .prompt_us = -1,
                                             .output_us = -1,
                                             .load_us = -1},
                                   .reserved_picousd = 1000,
                                   .cost_picousd = 700,
                                   .sent = true};
}

static struct settlement settlement_of(const char *id, const struct attempt_record *attempts, size_t n) {
    return (struct settlement){.exchange = slice_str(id),
                               .wall_us = BEGAN_US,
                               .total_us = 95123,
                               .dialect = SLICE("openai"),
                               .op = SLICE("chat"),
                               .model = SLICE("fast"),
                               .route = SLICE("coding"),
                               .key = SLICE("team"),
                               .label = LABEL_INTERNAL,
                               .label_source = SLICE("default"),
                               .reach = SLICE("device yes"),
                               .stream = true,
                               .status = 200,
                               .finish = SLICE("stop"),
                               .request_bytes = 100,
                               .answer_bytes = 50,
                               .first_event_us = 60001,
                               .step_us = {10, 20, 30, 40, 50, 60, 95000, 95123},
                               .snapshot = 7,
                               .attempts = attempts,
                               .n_attempts = n};
}

// Each as a turn of its own.
static enum err intent_put(struct journal *j, const struct attempt_intent *i) {
    enum err e = journal_intent(j, i);
    return e ? e : journal_flush(j);
}

static void settle_put(struct journal *j, const struct settlement *s) {
    journal_settle(j, s);
    (void)!journal_flush(j);
}

static enum err exchange_whole(struct journal *j, const char *id) {
    struct attempt_intent i = intent_of(id, 0);
    struct attempt_record a = attempt_of(ERR_OK);
    struct settlement s = settlement_of(id, &a, 1);
    enum err e = intent_put(j, &i);
    if (!e)
        settle_put(j, &s);
    return e;
}

static void segment_path(const struct fixture *f, char *path, size_t n) {
    (void)snprintf(path, n, "%s/journal/0-1000000.jsonl", f->dir);
}

static void segment_append(const struct fixture *f, struct slice text) {
    char path[4096];
    segment_path(f, path, sizeof path);
    int fd = open(path, O_WRONLY | O_APPEND);
    if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n)
        unit_fail(__FILE__, __LINE__, "can't append to %s", path);
    (void)close(fd);
}

static int files_left;
static void file_count(const char *path) {
    (void)path;
    files_left++;
}

static int segments(const struct fixture *f) {
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s/journal", f->dir);
    files_left = 0;
    folder_each(folder, file_count);
    return files_left;
}

// ---- why, log, totals

TEST(ledger_why_last_shows_every_field_at_once) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct attempt_record attempts[2] = {attempt_of(ERR_UP_OVERLOADED), attempt_of(ERR_OK)};
    struct drop_record drop = {SLICE("dropped"), SLICE("/logit_bias"), SLICE("groq has no \"logit_bias\"")};
    struct settlement s = settlement_of("x1", attempts, 2);
    attempts[1].target = SLICE("local/qwen");
    attempts[0].cost_picousd = 0;
    s.drops = &drop;
    s.n_drops = 1;
    settle_put(ledger_journal(f.l, 0), &s);
    yyjson_val *v = why(&f, "last");
    CHECK(v);
    CHECK(slice_is(json_get_str(v, "id"), "x1"));
    CHECK(slice_is(json_get_str(v, "outcome"), "settled"));
    CHECK(slice_is(json_get_str(v, "target"), "local/qwen"));
    CHECK(slice_is(json_get_str(v, "zone"), "cloud"));
    CHECK(slice_is(json_get_str(v, "label"), "internal"));
    CHECK(slice_is(json_get_str(v, "cost_usd"), "0.0000000007"));
    CHECK(yyjson_get_real(yyjson_obj_get(v, "total_ms")) == 95.123);
    CHECK(yyjson_get_real(yyjson_obj_get(yyjson_obj_get(v, "steps"), "read")) == 0.010);
    CHECK(yyjson_is_null(yyjson_obj_get(v, "parent")));
    yyjson_val *first = yyjson_arr_get(yyjson_obj_get(v, "attempts"), 0);
    CHECK(slice_is(json_get_str(first, "err"), "up_overloaded"));
    CHECK(slice_is(json_get_str(first, "outcome"), "failed"));
    CHECK(yyjson_is_null(yyjson_obj_get(first, "first_event_ms")));
    CHECK_EQ(json_get_int(yyjson_obj_get(first, "usage"), "input_tokens", 0), 10);
    yyjson_val *d = yyjson_arr_get(yyjson_obj_get(v, "drops"), 0);
    CHECK(slice_is(json_get_str(d, "reason"), "groq has no \"logit_bias\""));
    CHECK(!why(&f, "x2"));
    fixture_done(&f);
}

TEST(ledger_shows_an_open_exchange) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct attempt_intent i = intent_of("x1", 0);
    CHECK_EQ(intent_put(ledger_journal(f.l, 0), &i), ERR_OK);
    CHECK_EQ(total(&f, "open_picousd"), 1000);
    CHECK(slice_is(json_get_str(why(&f, "x1"), "outcome"), "open"));
    struct attempt_record a = attempt_of(ERR_OK);
    struct settlement s = settlement_of("x1", &a, 1);
    settle_put(ledger_journal(f.l, 0), &s);
    CHECK_EQ(total(&f, "open_picousd"), 0);
    CHECK_EQ(total(&f, "settled_picousd"), 700);
    CHECK(slice_is(json_get_str(why(&f, "x1"), "outcome"), "settled"));
    fixture_done(&f);
}

TEST(ledger_log_filters_newest_first) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char id[16];
    for (int i = 0; i < 20; i++) {
        struct attempt_record a = attempt_of(i % 2 ? ERR_OK : ERR_UP_DIED);
        (void)snprintf(id, sizeof id, "x%d", i);
        struct settlement s = settlement_of(id, &a, 1);
        s.wall_us += i * 1000000;
        s.err = a.err;
        s.model = i < 10 ? SLICE("old") : SLICE("new");
        settle_put(ledger_journal(f.l, 0), &s);
    }
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.limit = 1000})), 20);
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.model = SLICE("new")})), 10);
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.status = SLICE("failed")})), 10);
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.status = SLICE("ok"), .model = SLICE("old")})), 5);
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.target = SLICE("none")})), 0);
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.key = SLICE("team")})), 20);
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.since_us = BEGAN_US + 15500000})), 4);
    yyjson_val *rows = log_of(&f, (struct log_filter){.limit = 2});
    CHECK_EQ(yyjson_arr_size(rows), 2);
    CHECK(slice_is(json_get_str(yyjson_arr_get(rows, 0), "id"), "x19"));
    CHECK_EQ(json_get_int(yyjson_arr_get(rows, 0), "input_tokens", 0), 10);
    fixture_done(&f);
}

TEST(ledger_last_is_no_helper_call) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct settlement s = settlement_of("x1", NULL, 0), child = settlement_of("x2", NULL, 0);
    child.parent = SLICE("x1");
    child.total_us += 10;
    settle_put(ledger_journal(f.l, 0), &s);
    settle_put(ledger_journal(f.l, 0), &child);
    CHECK(slice_is(json_get_str(why(&f, "last"), "id"), "x1"));
    CHECK(slice_is(json_get_str(why(&f, "x2"), "parent"), "x1"));
    CHECK_EQ(total(&f, "exchanges"), 2);
    fixture_done(&f);
}

TEST(ledger_counts_unknown_prices_apart) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct attempt_record a = attempt_of(ERR_OK);
    a.cost_picousd = -1;
    struct settlement s = settlement_of("x1", &a, 1);
    settle_put(ledger_journal(f.l, 0), &s);
    CHECK_EQ(total(&f, "settled_picousd"), 0);
    CHECK_EQ(total(&f, "unpriced"), 1);
    CHECK(yyjson_is_null(yyjson_obj_get(why(&f, "x1"), "cost_usd")));
    fixture_done(&f);
}

TEST(ledger_line_is_cut_but_never_lost) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char wide[4000];
    struct attempt_record attempts[8];
    struct drop_record drops[64];
    memset(wide, 1, sizeof wide); // every byte is six when escaped
    for (int i = 0; i < 8; i++) {
        attempts[i] = attempt_of(ERR_UP_DIED);
        attempts[i].reason = attempts[i].detail = attempts[i].model = slice_of(wide, sizeof wide);
    }
    for (int i = 0; i < 64; i++)
        drops[i] = (struct drop_record){SLICE("dropped"), slice_of(wide, sizeof wide), slice_of(wide, sizeof wide)};
    struct settlement s = settlement_of("x1", attempts, 8);
    s.model = slice_of(wide, sizeof wide);
    s.drops = drops;
    s.n_drops = 64;
    settle_put(ledger_journal(f.l, 0), &s);
    yyjson_val *v = why(&f, "x1");
    CHECK(v);
    CHECK_EQ(yyjson_arr_size(yyjson_obj_get(v, "attempts")), 8);
    CHECK_EQ(total(&f, "settled_picousd"), 8 * 700);
    CHECK_EQ(json_get_int(v, "drops_skipped", 0) + (int64_t)yyjson_arr_size(yyjson_obj_get(v, "drops")), 64);
    fixture_done(&f);
}

// ---- what other processes left

TEST(ledger_recovers_open_attempts_as_unknown) {
    struct fixture f;
    CHECK(fixture_init(&f, 0));
    pid_t pid = fork();
    if (pid == 0) { // no close: as if killed
        struct attempt_intent first = intent_of("x1", 0), second = intent_of("x1", 1);
        bool ok = fixture_open(&f, 1, 0) && exchange_whole(ledger_journal(f.l, 0), "x0") == ERR_OK &&
                  intent_put(ledger_journal(f.l, 0), &first) == ERR_OK &&
                  intent_put(ledger_journal(f.l, 0), &second) == ERR_OK;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    for (int i = 0; i < 2; i++) { // the second time nothing is left to do
        CHECK(fixture_open(&f, 3, 0));
        CHECK_EQ(total(&f, "unknown"), 2);
        CHECK_EQ(total(&f, "unknown_picousd"), 2000);
        CHECK_EQ(total(&f, "settled_picousd"), 2700);
        CHECK_EQ(total(&f, "open"), 0);
        CHECK_EQ(total(&f, "exchanges"), 2);
        yyjson_val *v = why(&f, "x1");
        CHECK(slice_is(json_get_str(v, "outcome"), "unknown"));
        CHECK_EQ(yyjson_arr_size(yyjson_obj_get(v, "attempts")), 2);
        CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.status = SLICE("failed")})), 1);
        fixture_close(&f);
        CHECK_EQ(segments(&f), 0);
    }
    fixture_done(&f);
}

TEST(ledger_takes_lines_that_come_twice_once) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char path[4096], copy[4096];
    struct buf text = BUF_INIT(1u << 20);
    struct attempt_intent open = intent_of("open", 0);
    for (int i = 0; i < 10; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "x%d", i);
        CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), id), ERR_OK);
    }
    CHECK_EQ(intent_put(ledger_journal(f.l, 0), &open), ERR_OK);
    segment_path(&f, path, sizeof path);
    CHECK_EQ(fs_read_file(path, 1u << 20, &text), ERR_OK);
    fixture_close(&f);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(copy, sizeof copy, "%s/journal/%d-%d.jsonl", f.dir, i, 5 + i);
        CHECK_EQ(fs_write_atomic(copy, buf_slice(&text), 0600), ERR_OK);
        CHECK(fixture_open(&f, 1, 0));
        CHECK_EQ(total(&f, "exchanges"), 11);
        CHECK_EQ(total(&f, "settled_picousd"), 10 * 700 + 1000);
        CHECK_EQ(total(&f, "unknown"), 1);
        CHECK_EQ(total(&f, "open"), 0);
        fixture_close(&f);
    }
    buf_done(&text);
    fixture_done(&f);
}

TEST(ledger_skips_and_counts_garbage) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), "x0"), ERR_OK);
    segment_append(&f, SLICE("not json\n{\"k\":\"s\",\"id\":\"broken\n{\"k\":\"z\",\"id\":\"new\"}\n\n"));
    segment_append(&f,
                   SLICE("{\"k\":\"s\",\"id\":\"\"}\n{\"k\":\"i\",\"id\":\"y\",\"attempt\":tru}\n\0\0\0\0\n[1,2,3]\n"));
    CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), "x1"), ERR_OK);
    CHECK_EQ(total(&f, "exchanges"), 2);
    CHECK_EQ(total(&f, "garbage_lines"), 7);
    fixture_done(&f);
}

TEST(ledger_skips_a_line_longer_than_a_chunk) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct buf b = BUF_INIT(8u << 20);
    for (int i = 0; i < 3 << 20; i++)
        buf_append_char(&b, 'x');
    buf_append_char(&b, '\n');
    segment_append(&f, buf_slice(&b));
    buf_done(&b);
    CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), "x1"), ERR_OK);
    CHECK_EQ(total(&f, "exchanges"), 1);
    CHECK(total(&f, "garbage_lines") >= 1);
    fixture_done(&f);
}

TEST(ledger_waits_for_the_end_of_a_line_and_drops_a_torn_one) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct buf line = BUF_INIT(LIMIT_JOURNAL_LINE_BYTES);
    struct attempt_record a = attempt_of(ERR_OK);
    struct settlement s = settlement_of("x1", &a, 1);
    CHECK(line_write_settlement(&line, &s, NULL));
    segment_append(&f, slice_first(buf_slice(&line), 100));
    CHECK_EQ(total(&f, "exchanges"), 0);
    segment_append(&f, slice_from(buf_slice(&line), 100));
    CHECK_EQ(total(&f, "exchanges"), 0);
    segment_append(&f, SLICE("\n"));
    CHECK_EQ(total(&f, "exchanges"), 1);
    s.exchange = SLICE("x2");
    buf_clear(&line);
    CHECK(line_write_settlement(&line, &s, NULL));
    segment_append(&f, slice_first(buf_slice(&line), line.len - 1));
    fixture_close(&f);
    CHECK_EQ(segments(&f), 1); // not fed to its end: kept for the next one
    CHECK(fixture_open(&f, 1, 0));
    CHECK_EQ(total(&f, "exchanges"), 1);
    CHECK_EQ(total(&f, "torn_lines"), 1);
    CHECK_EQ(segments(&f), 1);
    buf_done(&line);
    fixture_done(&f);
}

TEST(ledger_directory_has_one_owner) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct ledger_options o = {.dir = f.dir, .loops = 1, .batch_ms = 20};
    struct ledger *second = NULL;
    struct buf problem = BUF_INIT(4096);
    CHECK_EQ(ledger_open(&o, &second, &problem), ERR_DISK);
    CHECK(slice_search(buf_slice(&problem), SLICE("in use by another gridtie")) != SIZE_MAX);
    buf_done(&problem);
    fixture_done(&f);
}

TEST(ledger_refuses_a_damaged_database) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char path[4096], junk[8192];
    struct buf problem = BUF_INIT(4096);
    struct ledger_options o = {.dir = f.dir, .loops = 1, .batch_ms = 20};
    CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), "x0"), ERR_OK);
    fixture_close(&f);
    (void)snprintf(path, sizeof path, "%s/ledger.db", f.dir);
    memset(junk, 'j', sizeof junk);
    for (int whole = 0; whole < 2; whole++) { // a page in the middle, then the head
        int fd = open(path, O_WRONLY);
        CHECK_EQ(pwrite(fd, junk, sizeof junk, whole ? 0 : 8192), sizeof junk);
        (void)close(fd);
        CHECK_EQ(ledger_open(&o, &f.l, &problem), ERR_DISK);
        CHECK(slice_search(buf_slice(&problem), SLICE("is damaged")) != SIZE_MAX);
        buf_clear(&problem);
    }
    buf_done(&problem);
    fixture_done(&f);
}

// 0 when it is not found.
static int root_page(const char *path, const char *table) {
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    const char *text = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
    bool found = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_prepare_v2(db, text, -1, &q, NULL) == SQLITE_OK &&
                 sqlite3_bind_text(q, 1, table, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW;
    int page = found ? sqlite3_column_int(q, 0) : 0;
    (void)sqlite3_finalize(q);
    (void)sqlite3_close(db);
    return page;
}

TEST(ledger_of_a_large_database_looks_at_the_money) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char path[4096], id[32], junk[4096];
    struct buf problem = BUF_INIT(4096);
    struct ledger_options o = {.dir = f.dir, .loops = 1, .batch_ms = 20};
    for (int i = 0; i < 8000; i++) {
        (void)snprintf(id, sizeof id, "x%d", i);
        CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), id), ERR_OK);
    }
    fixture_close(&f);
    (void)snprintf(path, sizeof path, "%s/ledger.db", f.dir);
    struct stat st;
    CHECK(stat(path, &st) == 0 && st.st_size > 5 << 20);
    CHECK_EQ(ledger_open(&o, &f.l, &problem), ERR_OK);
    fixture_close(&f);
    memset(junk, 'j', sizeof junk);
    int page = root_page(path, "spend"), fd = open(path, O_WRONLY);
    CHECK(page > 1);
    CHECK_EQ(pwrite(fd, junk, sizeof junk, (off_t)(page - 1) * 4096), sizeof junk);
    (void)close(fd);
    CHECK_EQ(ledger_open(&o, &f.l, &problem), ERR_DISK);
    CHECK(slice_search(buf_slice(&problem), SLICE("is damaged")) != SIZE_MAX);
    buf_done(&problem);
    fixture_done(&f);
}

// ---- kill -9

#define KILL_LINES 3000

static void child_writes(struct fixture *f, int report) {
    char id[32];
    if (!fixture_open(f, 2, 0))
        _exit(1);
    for (uint32_t i = 0; i < KILL_LINES; i++) {
        (void)snprintf(id, sizeof id, "x%u", i);
        if (exchange_whole(ledger_journal(f->l, i % 2), id) != ERR_OK)
            _exit(1);
        if (write(report, &i, sizeof i) != sizeof i)
            _exit(1);
    }
    (void)pause();
    _exit(0);
}

// Reads what the child reported until it is gone.
static int64_t child_kill(pid_t pid, int report, useconds_t after) {
    uint32_t last = UINT32_MAX, got;
    (void)usleep(after);
    (void)kill(pid, SIGKILL);
    while (read(report, &got, sizeof got) == sizeof got)
        last = got;
    (void)waitpid(pid, NULL, 0);
    return last == UINT32_MAX ? -1 : (int64_t)last;
}

TEST(ledger_loses_and_doubles_nothing_when_killed) {
    unsigned seed = (unsigned)getpid();
    for (int round = 0; round < 8; round++) {
        struct fixture f;
        int ends[2];
        char id[32];
        CHECK(fixture_init(&f, 0));
        CHECK_EQ(pipe(ends), 0);
        journal_set_segment_bytes(round % 2 ? 20000 : 0); // also amid rotations
        pid_t pid = fork();
        if (pid == 0)
            child_writes(&f, ends[1]);
        (void)close(ends[1]);
        seed = seed * 1103515245u + 12345u;
        int64_t last = child_kill(pid, ends[0], 10000 + (seed >> 16) % 150000);
        (void)close(ends[0]);
        CHECK(fixture_open(&f, 1, 0));
        int64_t n = total(&f, "exchanges"), unknown = total(&f, "unknown");
        CHECK(n >= last + 1 && n <= last + 2); // the last may have been written and not reported
        CHECK(unknown <= 1);
        CHECK_EQ(total(&f, "settled_picousd"), (n - unknown) * 700 + unknown * 1000);
        for (int64_t i = 0; i <= last; i += 1 + last / 50) {
            (void)snprintf(id, sizeof id, "x%lld", (long long)i);
            CHECK(slice_is(json_get_str(why(&f, id), "outcome"), "settled"));
        }
        CHECK_EQ(segments(&f), 1); // the new one
        fixture_done(&f);
    }
}

// ---- loops in parallel, rotation, retention

#define LOOP_EXCHANGES 4000
struct writer {
    struct journal *j;
    int index;
    bool ok;
};

static void *writer_main(void *arg) {
    struct writer *w = arg;
    char id[32];
    w->ok = true;
    for (int i = 0; i < LOOP_EXCHANGES && w->ok; i++) {
        (void)snprintf(id, sizeof id, "l%d-%d", w->index, i);
        w->ok = exchange_whole(w->j, id) == ERR_OK;
    }
    return NULL;
}

TEST(ledger_takes_two_loops_in_parallel_and_rotates) {
    struct fixture f;
    pthread_t threads[2];
    struct writer w[2];
    CHECK(fixture_init(&f, 2));
    journal_set_segment_bytes(100000);
    for (int i = 0; i < 2; i++) {
        w[i] = (struct writer){ledger_journal(f.l, (unsigned)i), i, false};
        CHECK_EQ(pthread_create(&threads[i], NULL, writer_main, &w[i]), 0);
    }
    while (total(&f, "exchanges") < LOOP_EXCHANGES)
        (void)usleep(1000);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    CHECK(w[0].ok && w[1].ok);
    CHECK_EQ(total(&f, "exchanges"), 2 * LOOP_EXCHANGES);
    CHECK_EQ(total(&f, "settled_picousd"), 2 * LOOP_EXCHANGES * 700);
    CHECK_EQ(total(&f, "garbage_lines"), 0);
    CHECK(journal_seq(w[0].j) > 1000001);
    CHECK_EQ(segments(&f), 2);
    fixture_close(&f);
    CHECK_EQ(segments(&f), 0);
    fixture_done(&f);
}

TEST(ledger_retention_keeps_the_sums) {
    struct fixture f;
    CHECK(fixture_init(&f, 0));
    CHECK(fixture_open(&f, 1, 3600));
    char id[32];
    int64_t now = clock_wall_us();
    for (int i = 0; i < 1200; i++) {
        (void)snprintf(id, sizeof id, "x%d", i);
        struct attempt_record a = attempt_of(ERR_OK);
        struct settlement s = settlement_of(id, &a, 1);
        s.wall_us = i < 1100 ? now - INT64_C(7200) * 1000000 : now;
        settle_put(ledger_journal(f.l, 0), &s);
    }
    CHECK_EQ(total(&f, "exchanges"), 1200);
    clock_shift(0, 2000000);
    for (int i = 0; i < 500 && yyjson_arr_size(log_of(&f, (struct log_filter){.limit = 1000})) > 100; i++) {
        clock_shift(0, 1000000);
        (void)usleep(20000);
    }
    CHECK_EQ(yyjson_arr_size(log_of(&f, (struct log_filter){.limit = 1000})), 100);
    CHECK_EQ(total(&f, "exchanges"), 1200);
    CHECK_EQ(total(&f, "settled_picousd"), 1200 * 700);
    fixture_done(&f);
}

// ---- full disks

TEST(ledger_full_disk_refuses_intents_and_keeps_settlements) {
    const size_t pieces[] = {0, 1, 57};
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        CHECK(fixture_init(&f, 1));
        struct journal *j = ledger_journal(f.l, 0);
        struct attempt_intent first = intent_of("x1", 0), second = intent_of("x2", 0);
        struct attempt_record a = attempt_of(ERR_OK);
        struct settlement s = settlement_of("x1", &a, 1);
        CHECK_EQ(intent_put(j, &first), ERR_OK);
        journal_set_fault(ENOSPC, pieces[i]);
        settle_put(j, &s);
        CHECK_EQ(intent_put(j, &second), ERR_DISK);
        CHECK(ledger_disk_failures(f.l) >= 2);
        CHECK_EQ(total(&f, "exchanges"), 0);
        journal_set_fault(0, 0);
        for (int n = 0; n < 500 && total(&f, "exchanges") == 0; n++)
            (void)usleep(10000); // the ledger's thread tries again by itself
        CHECK_EQ(total(&f, "exchanges"), 1);
        CHECK_EQ(intent_put(j, &second), ERR_OK);
        CHECK_EQ(total(&f, "settled_picousd"), 700);
        CHECK_EQ(total(&f, "open"), 1);
        CHECK_EQ(total(&f, "garbage_lines"), 0);
        CHECK_EQ(total(&f, "lost_lines"), 0);
        fixture_done(&f);
    }
}

TEST(ledger_a_turn_is_written_as_one_or_not_at_all) {
    const size_t pieces[] = {0, 1, 700, 5000};
    for (int i = 0; i < 4; i++) {
        struct fixture f;
        CHECK(fixture_init(&f, 1));
        struct journal *j = ledger_journal(f.l, 0);
        struct attempt_intent intents[] = {intent_of("x1", 0), intent_of("x2", 0), intent_of("x3", 0)};
        struct attempt_record a = attempt_of(ERR_OK);
        struct settlement s[] = {settlement_of("x1", &a, 1), settlement_of("x2", &a, 1)};
        CHECK_EQ(journal_flush(j), ERR_OK); // nothing to do
        for (int n = 0; n < 3; n++)
            CHECK_EQ(journal_intent(j, &intents[n]), ERR_OK);
        journal_settle(j, &s[0]);
        journal_settle(j, &s[1]);
        CHECK_EQ(total(&f, "exchanges") + total(&f, "open"), 0); // only a flush writes
        journal_set_fault(ENOSPC, pieces[i]);
        CHECK_EQ(journal_flush(j), pieces[i] < 5000 ? ERR_DISK : ERR_OK);
        journal_set_fault(0, 0);
        for (int n = 0; n < 500 && total(&f, "exchanges") < 2; n++)
            (void)usleep(10000);
        CHECK_EQ(total(&f, "exchanges"), 2);
        CHECK_EQ(total(&f, "settled_picousd"), 1400);
        CHECK_EQ(total(&f, "open"), pieces[i] < 5000 ? 0 : 1);
        CHECK_EQ(total(&f, "garbage_lines") + total(&f, "lost_lines"), 0);
        fixture_done(&f);
    }
}

TEST(ledger_counts_what_a_long_full_disk_loses) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char id[32];
    journal_set_fault(EIO, 0);
    for (int i = 0; i < 8000; i++) {
        struct attempt_record a = attempt_of(ERR_OK);
        (void)snprintf(id, sizeof id, "x%d", i);
        struct settlement s = settlement_of(id, &a, 1);
        settle_put(ledger_journal(f.l, 0), &s);
    }
    int64_t lost = total(&f, "lost_lines");
    CHECK(lost > 0 && lost < 8000);
    journal_set_fault(0, 0);
    for (int n = 0; n < 500 && total(&f, "exchanges") == 0; n++)
        (void)usleep(10000);
    CHECK_EQ(total(&f, "exchanges"), 8000 - lost);
    fixture_done(&f);
}

static int child_with_file_limit(struct fixture *f) {
    char id[32];
    int refused = 0;
    if (!fixture_open(f, 1, 0))
        return 1;
    struct rlimit limit = {300000, 300000};
    (void)setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(id, sizeof id, "x%d", i);
        refused += exchange_whole(ledger_journal(f->l, 0), id) == ERR_DISK;
    }
    return refused > 0 && ledger_disk_failures(f->l) > 0 ? 0 : 2;
}

TEST(ledger_survives_a_file_size_limit) {
    struct fixture f;
    int status = 0;
    CHECK(fixture_init(&f, 0));
    pid_t pid = fork();
    if (pid == 0)
        _exit(child_with_file_limit(&f));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK(fixture_open(&f, 1, 0));
    CHECK(total(&f, "exchanges") > 10);
    CHECK_EQ(total(&f, "settled_picousd"),
             (total(&f, "exchanges") - total(&f, "unknown")) * 700 + total(&f, "unknown") * 1000);
    CHECK_EQ(total(&f, "garbage_lines"), 0);
    fixture_done(&f);
}

// ---- speed, to be read by people

TEST(ledger_speed_of_100k_settlements) {
    struct fixture f;
    const int n = 100000;
    char id[32];
    CHECK(fixture_init(&f, 1));
    uint64_t start = clock_mono_us();
    for (int i = 0; i < n; i++) {
        (void)snprintf(id, sizeof id, "01k%08d", i);
        CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), id), ERR_OK);
    }
    uint64_t written = clock_mono_us();
    CHECK_EQ(total(&f, "exchanges"), n);
    uint64_t fed = clock_mono_us();
    fprintf(stderr, "ledger: %d exchanges: %.2f us to write both lines, all fed after %.2f us each\n", n,
            (double)(written - start) / n, (double)(fed - start) / n);
    fixture_done(&f);
}
