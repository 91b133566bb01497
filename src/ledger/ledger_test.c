// SPDX-License-Identifier: Apache-2.0
// What the ledger says of exchanges, and the database and lines behind it: open ones, prices that nobody knows, torn and
// foreign lines, lines that come twice, damaged files.
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "ledger/fixture_test.h"
#include "ledger/line.h"
#include "unit.h"

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
    yyjson_val *v = fixture_why(&f, "last");
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
    CHECK(!fixture_why(&f, "x2"));
    fixture_done(&f);
}

TEST(ledger_shows_an_open_exchange) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct attempt_intent i = intent_of("x1", 0);
    CHECK_EQ(intent_put(ledger_journal(f.l, 0), &i), ERR_OK);
    CHECK_EQ(fixture_total(&f, "open_picousd"), 1000);
    CHECK(slice_is(json_get_str(fixture_why(&f, "x1"), "outcome"), "open"));
    struct attempt_record a = attempt_of(ERR_OK);
    struct settlement s = settlement_of("x1", &a, 1);
    settle_put(ledger_journal(f.l, 0), &s);
    CHECK_EQ(fixture_total(&f, "open_picousd"), 0);
    CHECK_EQ(fixture_total(&f, "settled_picousd"), 700);
    CHECK(slice_is(json_get_str(fixture_why(&f, "x1"), "outcome"), "settled"));
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
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.limit = 1000})), 20);
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.model = SLICE("new")})), 10);
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.status = SLICE("failed")})), 10);
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.status = SLICE("ok"), .model = SLICE("old")})), 5);
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.target = SLICE("none")})), 0);
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.key = SLICE("team")})), 20);
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.since_us = BEGAN_US + 15500000})), 4);
    yyjson_val *rows = fixture_log(&f, (struct log_filter){.limit = 2});
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
    CHECK(slice_is(json_get_str(fixture_why(&f, "last"), "id"), "x1"));
    CHECK(slice_is(json_get_str(fixture_why(&f, "x2"), "parent"), "x1"));
    CHECK_EQ(fixture_total(&f, "exchanges"), 2);
    fixture_done(&f);
}

TEST(ledger_counts_unknown_prices_apart) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    struct attempt_record a = attempt_of(ERR_OK);
    a.cost_picousd = -1;
    struct settlement s = settlement_of("x1", &a, 1);
    settle_put(ledger_journal(f.l, 0), &s);
    CHECK_EQ(fixture_total(&f, "settled_picousd"), 0);
    CHECK_EQ(fixture_total(&f, "unpriced"), 1);
    CHECK(yyjson_is_null(yyjson_obj_get(fixture_why(&f, "x1"), "cost_usd")));
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
    yyjson_val *v = fixture_why(&f, "x1");
    CHECK(v);
    CHECK_EQ(yyjson_arr_size(yyjson_obj_get(v, "attempts")), 8);
    CHECK_EQ(fixture_total(&f, "settled_picousd"), 8 * 700);
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
        CHECK_EQ(fixture_total(&f, "unknown"), 2);
        CHECK_EQ(fixture_total(&f, "unknown_picousd"), 2000);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), 2700);
        CHECK_EQ(fixture_total(&f, "open"), 0);
        CHECK_EQ(fixture_total(&f, "exchanges"), 2);
        yyjson_val *v = fixture_why(&f, "x1");
        CHECK(slice_is(json_get_str(v, "outcome"), "unknown"));
        CHECK_EQ(yyjson_arr_size(yyjson_obj_get(v, "attempts")), 2);
        CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.status = SLICE("failed")})), 1);
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
        (void)snprintf(copy, sizeof copy, "%s/journal/%d-%d.journal", f.dir, i, 5 + i);
        CHECK_EQ(fs_write_atomic(copy, buf_slice(&text), 0600), ERR_OK);
        CHECK(fixture_open(&f, 1, 0));
        CHECK_EQ(fixture_total(&f, "exchanges"), 11);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), 10 * 700 + 1000);
        CHECK_EQ(fixture_total(&f, "unknown"), 1);
        CHECK_EQ(fixture_total(&f, "open"), 0);
        fixture_close(&f);
    }
    buf_done(&text);
    fixture_done(&f);
}

// As the loops make them, but for the time.
static void name_of(char *id, size_t n, int i) {
    (void)snprintf(id, n, "x%02x%012x%05x", i % 3, 0x1000 + i, i);
}

// Every tenth ends long after it began: its block's span reaches over those of many others.
TEST(ledger_finds_each_among_many_blocks) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    enum { N = 2000 };
    char id[32], path[4096];
    struct buf text = BUF_INIT(8u << 20);
    for (int late = 0; late < 2; late++)
        for (int i = 0; i < N; i++) {
            name_of(id, sizeof id, i);
            if ((i % 10 == 0) == late)
                CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), id), ERR_OK);
        }
    CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), "q"), ERR_OK); // shorter than what is left out of the order
    CHECK_EQ(fixture_total(&f, "exchanges"), N + 1);
    segment_path(&f, path, sizeof path);
    CHECK_EQ(fs_read_file(path, 8u << 20, &text), ERR_OK);
    for (int again = 0; again < 2; again++) {
        for (int i = 0; i < N; i += 7) {
            name_of(id, sizeof id, i);
            CHECK(slice_is(json_get_str(fixture_why(&f, id), "id"), id));
        }
        CHECK(slice_is(json_get_str(fixture_why(&f, "q"), "id"), "q"));
        CHECK(!fixture_why(&f, "x000000000100100002") && !fixture_why(&f, "x") && !fixture_why(&f, ""));
        fixture_close(&f);
        (void)snprintf(path, sizeof path, "%s/journal/0-5.journal", f.dir);
        CHECK_EQ(fs_write_atomic(path, buf_slice(&text), 0600), ERR_OK);
        CHECK(fixture_open(&f, 1, 0));
        CHECK_EQ(fixture_total(&f, "exchanges"), N + 1);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), (N + 1) * 700);
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
    CHECK_EQ(fixture_total(&f, "exchanges"), 2);
    CHECK_EQ(fixture_total(&f, "garbage_lines"), 7);
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
    CHECK_EQ(fixture_total(&f, "exchanges"), 1);
    CHECK(fixture_total(&f, "garbage_lines") >= 1);
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
    CHECK_EQ(fixture_total(&f, "exchanges"), 0);
    segment_append(&f, slice_from(buf_slice(&line), 100));
    CHECK_EQ(fixture_total(&f, "exchanges"), 0);
    segment_append(&f, SLICE("\n"));
    CHECK_EQ(fixture_total(&f, "exchanges"), 1);
    s.exchange = SLICE("x2");
    buf_clear(&line);
    CHECK(line_write_settlement(&line, &s, NULL));
    segment_append(&f, slice_first(buf_slice(&line), line.len - 1));
    fixture_close(&f);
    CHECK_EQ(segments(&f), 1); // not fed to its end: kept for the next one
    CHECK(fixture_open(&f, 1, 0));
    CHECK_EQ(fixture_total(&f, "exchanges"), 1);
    CHECK_EQ(fixture_total(&f, "torn_lines"), 1);
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
    for (int i = 0; i < 30000; i++) {
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

// ---- what an older gridtie left

static const char schema_2[] =
    "CREATE TABLE migrations(version INTEGER PRIMARY KEY, wall_us INTEGER);"
    "CREATE TABLE exchanges(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, ended_us INTEGER NOT NULL,"
    " child INTEGER NOT NULL, failed INTEGER NOT NULL, model TEXT NOT NULL, target TEXT NOT NULL, key TEXT NOT NULL,"
    " record TEXT NOT NULL);"
    "CREATE INDEX exchanges_ended ON exchanges(ended_us);"
    "CREATE TABLE open_attempts(exchange TEXT NOT NULL, attempt INTEGER NOT NULL, wall_us INTEGER NOT NULL,"
    " reserved_picousd INTEGER NOT NULL, line TEXT NOT NULL, PRIMARY KEY(exchange, attempt)) WITHOUT ROWID;"
    "CREATE TABLE segments(name TEXT PRIMARY KEY, fed_bytes INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE spend(slot INTEGER NOT NULL, key TEXT NOT NULL, run TEXT NOT NULL, target TEXT NOT NULL,"
    " exchanges INTEGER NOT NULL, attempts INTEGER NOT NULL, input_tokens INTEGER NOT NULL,"
    " output_tokens INTEGER NOT NULL, settled_picousd INTEGER NOT NULL, unknown INTEGER NOT NULL,"
    " unknown_picousd INTEGER NOT NULL, unpriced INTEGER NOT NULL, overrun_picousd INTEGER NOT NULL,"
    " PRIMARY KEY(slot, key, run, target)) WITHOUT ROWID;"
    "CREATE TABLE runs(key TEXT NOT NULL, run TEXT NOT NULL, cap_picousd INTEGER NOT NULL, stopped INTEGER NOT NULL,"
    " PRIMARY KEY(key, run)) WITHOUT ROWID;"
    "CREATE TABLE keys(name TEXT PRIMARY KEY, prefix TEXT NOT NULL UNIQUE, hash BLOB NOT NULL, budgets TEXT NOT NULL,"
    " created_us INTEGER NOT NULL, revoked_us INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO counters VALUES('runs', 1);"
    "INSERT INTO segments VALUES('0-1000000.jsonl', 0);"
    "INSERT INTO spend VALUES(1988888, 'team', '', 'groq/llama', 1, 1, 10, 5, 700, 0, 0, 0, 0);"
    "PRAGMA user_version = 2;";
#define OLD_RECORD(id)                                                                                                  \
    "{\"k\":\"s\",\"id\":\"" id "\",\"wall_us\":1790000000000000,\"total_us\":95123,\"outcome\":\"settled\","           \
    "\"dialect\":\"openai\",\"op\":\"chat\",\"model\":\"fast\",\"key\":\"team\",\"label\":\"internal\",\"err\":\"ok\"," \
    "\"stream\":true,\"status\":200,\"step_us\":[10,20,30,40,50,60,-1,95123],\"snapshot\":7,\"attempts\":[{"            \
    "\"target\":\"groq/llama\",\"zone\":\"cloud\",\"stage\":0,\"outcome\":\"settled\",\"err\":\"ok\",\"usage\":"        \
    "{\"input_tokens\":10,\"output_tokens\":5},\"reserved\":1000,\"cost\":700,\"sent\":true}],\"drops\":"               \
    "[[\"dropped\",\"/x\",\"a \\\"reason\\\"\\nof two lines\"]],\"drops_skipped\":0,\"of_tomorrow\":1}"
#define OLD_INTENT(id)                                                                                     \
    "{\"k\":\"i\",\"id\":\"" id "\",\"attempt\":0,\"wall_us\":1790000000000000,\"target\":\"groq/llama\"," \
    "\"endpoint\":\"groq\",\"model\":\"llama\",\"zone\":\"cloud\",\"key\":\"team\",\"reserved\":1000}"

// One exchange settled and one open in the database; one settled and one open in a journal that was not read.
static bool older_make(struct fixture *f) {
    char path[4096];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/ledger.db", f->dir);
    static const char rows[] =
        "INSERT INTO exchanges VALUES(1, 'old', 1790000000095123, 0, 0, 'fast', 'groq/llama',"
        " 'team', '" OLD_RECORD("old") "');"
                                       "INSERT INTO open_attempts VALUES('under', 0, 1, 1000, '" OLD_INTENT(
                                           "under") "');";
    bool made = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, schema_2, NULL, NULL, NULL) == SQLITE_OK &&
                sqlite3_exec(db, rows, NULL, NULL, NULL) == SQLITE_OK;
    (void)sqlite3_close(db);
    (void)snprintf(path, sizeof path, "%s/journal", f->dir);
    made = made && mkdir(path, 0700) == 0;
    (void)snprintf(path, sizeof path, "%s/journal/0-1000000.jsonl", f->dir);
    return made && fs_write_atomic(path, SLICE(OLD_INTENT("new") "\n" OLD_RECORD("new") "\n" OLD_INTENT("lost") "\n"),
                                   0600) == ERR_OK;
}

TEST(ledger_brings_an_older_one_up_to_date) {
    struct fixture f;
    CHECK(fixture_init(&f, 0));
    CHECK(older_make(&f));
    for (int i = 0; i < 2; i++) {
        CHECK(fixture_open(&f, 1, 0));
        CHECK_EQ(fixture_total(&f, "exchanges"), 4);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), 2 * 700 + 2 * 1000);
        CHECK_EQ(fixture_total(&f, "unknown"), 2);
        CHECK_EQ(fixture_total(&f, "open"), 0);
        CHECK_EQ(fixture_total(&f, "garbage_lines"), 0);
        CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.limit = 100})), 4);
        CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.target = SLICE("groq/llama")})), 4);
        CHECK(slice_is(json_get_str(fixture_why(&f, "under"), "outcome"), "unknown"));
        for (int n = 0; n < 2; n++) {
            yyjson_val *v = fixture_why(&f, n ? "old" : "new");
            CHECK(slice_is(json_get_str(v, "outcome"), "settled"));
            CHECK(slice_is(json_get_str(v, "cost_usd"), "0.0000000007"));
            CHECK(yyjson_get_real(yyjson_obj_get(yyjson_obj_get(v, "steps"), "read")) == 0.010);
            CHECK(yyjson_is_null(yyjson_obj_get(v, "err")));
            yyjson_val *drop = yyjson_arr_get(yyjson_obj_get(v, "drops"), 0);
            CHECK(slice_is(json_get_str(drop, "reason"), "a \"reason\" of two lines"));
        }
        fixture_close(&f);
        CHECK_EQ(segments(&f), 0);
    }
    fixture_done(&f);
}

// Schema 3 had a row for each id where there are spans now.
TEST(ledger_takes_the_ids_of_schema_3_over) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char id[32], path[4096];
    struct buf text = BUF_INIT(1u << 20), rows = BUF_INIT(1u << 20);
    buf_append_str(&rows, "CREATE TABLE ids(id TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;");
    for (int i = 0; i < 300; i++) {
        name_of(id, sizeof id, i);
        CHECK_EQ(exchange_whole(ledger_journal(f.l, 0), id), ERR_OK);
        if (i % 100 == 99)
            CHECK_EQ(fixture_total(&f, "exchanges"), i + 1); // a block of its own, or more
        buf_printf(&rows, "INSERT INTO ids SELECT '%s', n FROM records WHERE instr(lines, '%s');", id, id);
    }
    buf_append_str(&rows, "DROP TABLE spans; DELETE FROM migrations WHERE version = 4; PRAGMA user_version = 3;");
    segment_path(&f, path, sizeof path);
    CHECK_EQ(fs_read_file(path, 1u << 20, &text), ERR_OK);
    fixture_close(&f);
    (void)snprintf(path, sizeof path, "%s/ledger.db", f.dir);
    sqlite3 *db = NULL;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, buf_cstr(&rows), NULL, NULL, NULL) == SQLITE_OK);
    (void)sqlite3_close(db);
    (void)snprintf(path, sizeof path, "%s/journal/0-5.journal", f.dir);
    CHECK_EQ(fs_write_atomic(path, buf_slice(&text), 0600), ERR_OK);
    CHECK(fixture_open(&f, 1, 3600)); // all are older: their records go
    CHECK_EQ(fixture_total(&f, "exchanges"), 300);
    for (int i = 0; i < 300; i += 50) {
        name_of(id, sizeof id, i);
        CHECK(fixture_why(&f, id));
    }
    clock_shift(0, 2000000);
    for (int i = 0; i < 500 && fixture_why(&f, id); i++)
        (void)usleep(20000);
    CHECK(!fixture_why(&f, id));
    CHECK_EQ(fixture_total(&f, "exchanges"), 300);
    buf_done(&text);
    buf_done(&rows);
    fixture_done(&f);
}

// ---- attempts that outlive what they stand in

TEST(ledger_keeps_what_is_under_way_over_rotations_and_kills) {
    for (int kill_it = 0; kill_it < 2; kill_it++) {
        struct fixture f;
        CHECK(fixture_init(&f, 0));
        pid_t pid = fork();
        if (pid == 0) { // without a close: as if killed
            char id[32];
            struct attempt_intent open[] = {intent_of("early", 0), intent_of("settles", 0), intent_of("raised", 0)};
            struct attempt_record at = attempt_of(ERR_OK);
            struct settlement s = settlement_of("settles", &at, 1);
            bool ok = fixture_open(&f, 1, 0);
            journal_set_segment_bytes(5000);
            for (int i = 0; i < 3; i++)
                ok = ok && intent_put(ledger_journal(f.l, 0), &open[i]) == ERR_OK;
            for (int i = 0; i < 100; i++) { // the ledger reads all segments but the last, and deletes them
                (void)snprintf(id, sizeof id, "x%d", i);
                ok = ok && exchange_whole(ledger_journal(f.l, 0), id) == ERR_OK;
            }
            ok = ok && fixture_total(&f, "open") == 3 && segments(&f) == 1;
            open[2].raised = true;
            open[2].reserved_picousd = 5000;
            ok = ok && intent_put(ledger_journal(f.l, 0), &open[2]) == ERR_OK;
            settle_put(ledger_journal(f.l, 0), &s);
            ok = ok && fixture_total(&f, "open") == 2 && fixture_total(&f, "open_picousd") == 6000 &&
                 slice_is(json_get_str(fixture_why(&f, "raised"), "outcome"), "open");
            if (!kill_it)
                fixture_close(&f);
            _exit(ok ? 0 : 1);
        }
        int status = 0;
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        CHECK(fixture_open(&f, 1, 0));
        CHECK_EQ(fixture_total(&f, "exchanges"), 103);
        CHECK_EQ(fixture_total(&f, "unknown"), 2);
        CHECK_EQ(fixture_total(&f, "unknown_picousd"), 6000);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), 101 * 700 + 6000);
        fixture_done(&f);
    }
}
