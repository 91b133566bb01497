// SPDX-License-Identifier: Apache-2.0
// The ledger against kills, full disks, many loops and time.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "ledger/fixture_test.h"
#include "unit.h"

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
        int64_t n = fixture_total(&f, "exchanges"), unknown = fixture_total(&f, "unknown");
        CHECK(n >= last + 1 && n <= last + 2); // the last may have been written and not reported
        CHECK(unknown <= 1);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), (n - unknown) * 700 + unknown * 1000);
        for (int64_t i = 0; i <= last; i += 1 + last / 50) {
            (void)snprintf(id, sizeof id, "x%lld", (long long)i);
            CHECK(slice_is(json_get_str(fixture_why(&f, id), "outcome"), "settled"));
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
    while (fixture_total(&f, "exchanges") < LOOP_EXCHANGES)
        (void)usleep(1000);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
    CHECK(w[0].ok && w[1].ok);
    CHECK_EQ(fixture_total(&f, "exchanges"), 2 * LOOP_EXCHANGES);
    CHECK_EQ(fixture_total(&f, "settled_picousd"), 2 * LOOP_EXCHANGES * 700);
    CHECK_EQ(fixture_total(&f, "garbage_lines"), 0);
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
    CHECK_EQ(fixture_total(&f, "exchanges"), 1200);
    clock_shift(0, 2000000);
    for (int i = 0; i < 500 && yyjson_arr_size(fixture_log(&f, (struct log_filter){.limit = 1000})) > 100; i++) {
        clock_shift(0, 1000000);
        (void)usleep(20000);
    }
    CHECK_EQ(yyjson_arr_size(fixture_log(&f, (struct log_filter){.limit = 1000})), 100);
    CHECK_EQ(fixture_total(&f, "exchanges"), 1200);
    CHECK_EQ(fixture_total(&f, "settled_picousd"), 1200 * 700);
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
        CHECK_EQ(fixture_total(&f, "exchanges"), 0);
        journal_set_fault(0, 0);
        for (int n = 0; n < 500 && fixture_total(&f, "exchanges") == 0; n++)
            (void)usleep(10000); // the ledger's thread tries again by itself
        CHECK_EQ(fixture_total(&f, "exchanges"), 1);
        CHECK_EQ(intent_put(j, &second), ERR_OK);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), 700);
        CHECK_EQ(fixture_total(&f, "open"), 1);
        CHECK_EQ(fixture_total(&f, "garbage_lines"), 0);
        CHECK_EQ(fixture_total(&f, "lost_lines"), 0);
        fixture_done(&f);
    }
}

TEST(ledger_a_turn_is_written_as_one_or_not_at_all) {
    const size_t pieces[] = {0, 1, 300, 5000};
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
        CHECK_EQ(fixture_total(&f, "exchanges") + fixture_total(&f, "open"), 0); // only a flush writes
        journal_set_fault(ENOSPC, pieces[i]);
        CHECK_EQ(journal_flush(j), pieces[i] < 5000 ? ERR_DISK : ERR_OK);
        journal_set_fault(0, 0);
        for (int n = 0; n < 500 && fixture_total(&f, "exchanges") < 2; n++)
            (void)usleep(10000);
        CHECK_EQ(fixture_total(&f, "exchanges"), 2);
        CHECK_EQ(fixture_total(&f, "settled_picousd"), 1400);
        CHECK_EQ(fixture_total(&f, "open"), pieces[i] < 5000 ? 0 : 1);
        CHECK_EQ(fixture_total(&f, "garbage_lines") + fixture_total(&f, "lost_lines"), 0);
        fixture_done(&f);
    }
}

TEST(ledger_counts_what_a_long_full_disk_loses) {
    struct fixture f;
    CHECK(fixture_init(&f, 1));
    char id[32];
    journal_set_fault(EIO, 0);
    for (int i = 0; i < 40000; i++) {
        struct attempt_record a = attempt_of(ERR_OK);
        (void)snprintf(id, sizeof id, "x%d", i);
        struct settlement s = settlement_of(id, &a, 1);
        settle_put(ledger_journal(f.l, 0), &s);
    }
    int64_t lost = fixture_total(&f, "lost_lines");
    CHECK(lost > 0 && lost < 40000);
    journal_set_fault(0, 0);
    for (int n = 0; n < 500 && fixture_total(&f, "exchanges") == 0; n++)
        (void)usleep(10000);
    CHECK_EQ(fixture_total(&f, "exchanges"), 40000 - lost);
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
    CHECK(fixture_total(&f, "exchanges") > 10);
    CHECK_EQ(fixture_total(&f, "settled_picousd"),
             (fixture_total(&f, "exchanges") - fixture_total(&f, "unknown")) * 700 +
                 fixture_total(&f, "unknown") * 1000);
    CHECK_EQ(fixture_total(&f, "garbage_lines"), 0);
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
    CHECK_EQ(fixture_total(&f, "exchanges"), n);
    uint64_t fed = clock_mono_us();
    fprintf(stderr, "ledger: %d exchanges: %.2f us to write both lines, all fed after %.2f us each\n", n,
            (double)(written - start) / n, (double)(fed - start) / n);
    fixture_done(&f);
}
