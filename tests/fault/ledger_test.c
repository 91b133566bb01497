// SPDX-License-Identifier: Apache-2.0
// Every allocation of the ledger fails in turn: while it recovers what an earlier process left, and while a question feeds
// the store from the journals. A failed question says so, none answers with less than there is, and afterwards, also
// after a restart, every exchange is there exactly once, with its money, and no read journal is left lying around.
#include "ledger/ledger.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "ledger/journal.h"
#include "unit.h"

#define EXCHANGES 6
#define COST 700
#define RESERVED 1000
#define SEGMENT_BYTES 250 // a segment holds an exchange or two

struct books {
    char dir[64];
    struct ledger *l;
};

static enum err books_open(struct books *b) {
    struct buf problem = BUF_INIT(4096);
    struct ledger_options o = {.dir = b->dir, .loops = 1, .batch_ms = 600000}; // its thread does not come in between
    enum err e = ledger_open(&o, &b->l, &problem);
    buf_done(&problem);
    return e;
}

static void books_close(struct books *b) {
    ledger_close(b->l);
    b->l = NULL;
}

// EXCHANGES settled ones and one that is open.
static bool books_write(struct books *b) {
    struct journal *j = ledger_journal(b->l, 0);
    bool ok = true;
    for (int i = 0; i <= EXCHANGES; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "x%d", i);
        struct attempt_intent intent = {.exchange = slice_str(id),
                                        .wall_us = 1790000000000000,
                                        .target = SLICE("a/m"),
                                        .endpoint = SLICE("a"),
                                        .model = SLICE("m"),
                                        .reserved_picousd = RESERVED};
        struct attempt_record at = {.target = SLICE("a/m"),
                                    .endpoint = SLICE("a"),
                                    .model = SLICE("m"),
                                    .usage = USAGE_NONE,
                                    .reserved_picousd = RESERVED,
                                    .cost_picousd = COST,
                                    .sent = true};
        struct settlement s = {.exchange = slice_str(id),
                               .wall_us = 1790000000000000,
                               .dialect = SLICE("openai"),
                               .op = SLICE("chat"),
                               .status = 200,
                               .attempts = &at,
                               .n_attempts = 1};
        ok = ok && journal_intent(j, &intent) == ERR_OK;
        if (i < EXCHANGES)
            journal_settle(j, &s);
        ok = ok && journal_flush(j) == ERR_OK;
    }
    return ok;
}

static void folder_empty(const char *dir, int *ret_n) {
    char path[512];
    DIR *d = opendir(dir);
    for (struct dirent *f; d && (f = readdir(d));) {
        if (f->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        if (unlink(path) != 0)
            folder_empty(path, ret_n), (void)rmdir(path);
        ++*ret_n;
    }
    if (d)
        closedir(d);
}

static int journals(const struct books *b) {
    char path[512];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/journal", b->dir);
    DIR *d = opendir(path);
    for (struct dirent *f; d && (f = readdir(d));)
        n += f->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static int64_t number_in(const char *text, const char *name) {
    char key[64];
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    return at ? strtoll(at + strlen(key), NULL, 10) : -1;
}

// unknown: the open one is from an earlier process.
static bool totals_are_right(const char *json, bool unknown) {
    return number_in(json, "settled_picousd") == EXCHANGES * COST + (unknown ? RESERVED : 0) &&
           number_in(json, "open_picousd") == (unknown ? 0 : RESERVED) && number_in(json, "unknown") == unknown;
}

static bool count_is_right(const char *json) {
    int n = 0;
    for (const char *at = json; (at = strstr(at, "\"id\":\"x")); at++)
        n++;
    return n == EXCHANGES || n == EXCHANGES + 1; // the log may leave out what is open
}

static void fail_from(unsigned long k, bool alone) {
    if (alone)
        mem_fail_once(k);
    else
        mem_fail_at(k);
}

static bool error_is_honest(enum err e) {
    return e == ERR_NO_MEMORY || e == ERR_DISK;
}

// The three questions; what is answered is right. *ret_failed: there was a k-th allocation.
static bool questions(struct books *b, bool unknown, unsigned long k, bool alone, bool *ret_failed) {
    struct buf totals = BUF_INIT(1u << 20), why = BUF_INIT(1u << 20), log = BUF_INIT(1u << 20);
    struct log_filter all = {.limit = 100};
    fail_from(k, alone);
    enum err e_totals = ledger_totals(b->l, &totals), e_why = ledger_why(b->l, SLICE("x3"), &why),
             e_log = ledger_log(b->l, &all, &log);
    *ret_failed = k && mem_count() >= k;
    mem_fail_at(0);
    bool ok = e_totals ? error_is_honest(e_totals) : totals_are_right(buf_cstr(&totals), unknown);
    if (!ok)
        unit_fail(__FILE__, __LINE__, "allocation %lu: totals: %s %s", k, err_name(e_totals), buf_cstr(&totals));
    if (e_why ? !error_is_honest(e_why) : number_in(buf_cstr(&why), "cost_picousd") != COST)
        ok = false, unit_fail(__FILE__, __LINE__, "allocation %lu: why: %s %s", k, err_name(e_why), buf_cstr(&why));
    if (e_log ? !error_is_honest(e_log) : !count_is_right(buf_cstr(&log)))
        ok = false, unit_fail(__FILE__, __LINE__, "allocation %lu: log: %s %s", k, err_name(e_log), buf_cstr(&log));
    if (!k && (e_totals || e_why || e_log))
        ok = false, unit_fail(__FILE__, __LINE__, "a question failed without need");
    buf_done(&totals);
    buf_done(&why);
    buf_done(&log);
    return ok;
}

static bool restart_is_right(struct books *b, unsigned long k) {
    bool failed;
    if (books_open(b) != ERR_OK || !questions(b, true, 0, true, &failed))
        return false;
    if (journals(b) != 1)
        unit_fail(__FILE__, __LINE__, "allocation %lu: %d journals are left", k, journals(b));
    return journals(b) == 1;
}

static void books_forget(struct books *b) {
    int n = 0;
    books_close(b);
    folder_empty(b->dir, &n);
}

static bool questions_fail(struct books *b, bool alone) {
    bool failed = true, ok = true;
    unsigned long k = 0;
    while (failed && ok) {
        bool ignored;
        ok = books_open(b) == ERR_OK && books_write(b) && questions(b, false, ++k, alone, &failed) &&
             questions(b, false, 0, alone, &ignored);
        books_close(b);
        ok = ok && restart_is_right(b, k);
        books_forget(b);
    }
    return ok && k > 5;
}

static bool recoveries_fail(struct books *b, bool alone) {
    bool failed = true, ok = true;
    unsigned long k = 0;
    while (failed && ok) {
        ok = books_open(b) == ERR_OK && books_write(b);
        books_close(b);
        fail_from(++k, alone);
        enum err e = books_open(b);
        failed = mem_count() >= k;
        mem_fail_at(0);
        if (e == ERR_OK)
            books_close(b);
        ok = ok && (e == ERR_OK || error_is_honest(e)) && restart_is_right(b, k);
        books_forget(b);
    }
    return ok && k > 5;
}

static void books_test(bool (*test)(struct books *b, bool alone)) {
    struct books b = {.dir = "/tmp/gridtie-ledger-XXXXXX"};
    CHECK(mkdtemp(b.dir));
    log_set_level(LOG_ERROR + 1);
    journal_set_segment_bytes(SEGMENT_BYTES);
    bool ok = test(&b, true) && test(&b, false);
    journal_set_segment_bytes(0);
    (void)rmdir(b.dir);
    CHECK(ok);
}

TEST(ledger_answers_right_or_not_at_all_without_memory) {
    books_test(questions_fail);
}

TEST(ledger_recovers_whatever_allocation_fails) {
    books_test(recoveries_fail);
}
