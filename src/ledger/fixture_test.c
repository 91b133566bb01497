// SPDX-License-Identifier: Apache-2.0
// The fixture of the ledger's tests (fixture_test.h).
#include "ledger/fixture_test.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "unit.h"

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

bool fixture_open(struct fixture *f, unsigned loops, int64_t retention_s) {
    struct buf problem = BUF_INIT(4096);
    struct ledger_options o = {.dir = f->dir, .loops = loops, .retention_s = retention_s, .batch_ms = 20};
    enum err e = ledger_open(&o, &f->l, &problem);
    if (e)
        unit_fail(__FILE__, __LINE__, "ledger_open: %s", buf_cstr(&problem));
    buf_done(&problem);
    return e == ERR_OK;
}

bool fixture_init(struct fixture *f, unsigned loops) {
    *f = (struct fixture){.dir = "/tmp/gridtie-ledger-XXXXXX"};
    arena_init(&f->arena, 64u << 20, 0);
    log_set_level(LOG_ERROR + 1);
    return mkdtemp(f->dir) && (loops == 0 || fixture_open(f, loops, 0));
}

void fixture_close(struct fixture *f) {
    ledger_close(f->l);
    f->l = NULL;
}

void fixture_done(struct fixture *f) {
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

yyjson_val *fixture_totals(struct fixture *f) {
    struct buf b = BUF_INIT(1u << 20);
    return ledger_totals(f->l, &b) == ERR_OK ? parse(f, &b) : NULL;
}

int64_t fixture_total(struct fixture *f, const char *name) {
    return json_get_int(fixture_totals(f), name, -1);
}

yyjson_val *fixture_why(struct fixture *f, const char *id) {
    struct buf b = BUF_INIT(1u << 20);
    return ledger_why(f->l, slice_str(id), &b) == ERR_OK ? parse(f, &b) : NULL;
}

yyjson_val *fixture_log(struct fixture *f, struct log_filter filter) {
    struct buf b = BUF_INIT(8u << 20);
    return ledger_log(f->l, &filter, &b) == ERR_OK ? yyjson_obj_get(parse(f, &b), "exchanges") : NULL;
}

// ---- exchanges

struct attempt_intent intent_of(const char *id, unsigned attempt) {
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

struct attempt_record attempt_of(enum err e) {
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

struct settlement settlement_of(const char *id, const struct attempt_record *attempts, size_t n) {
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

enum err intent_put(struct journal *j, const struct attempt_intent *i) {
    enum err e = journal_intent(j, i);
    return e ? e : journal_flush(j);
}

void settle_put(struct journal *j, const struct settlement *s) {
    journal_settle(j, s);
    (void)!journal_flush(j);
}

enum err exchange_whole(struct journal *j, const char *id) {
    struct attempt_intent i = intent_of(id, 0);
    struct attempt_record a = attempt_of(ERR_OK);
    struct settlement s = settlement_of(id, &a, 1);
    enum err e = intent_put(j, &i);
    if (!e)
        settle_put(j, &s);
    return e;
}

void segment_path(const struct fixture *f, char *path, size_t n) {
    (void)snprintf(path, n, "%s/journal/0-1000000.journal", f->dir);
}

void segment_append(const struct fixture *f, struct slice text) {
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

int segments(const struct fixture *f) {
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s/journal", f->dir);
    files_left = 0;
    folder_each(folder, file_count);
    return files_left;
}
