/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the unit tests that are linked in: gridtie-unit [--fork | --jobs N] [--list] [--verbose] [SUBSTRING…].
 *
 * A test is taken when its name or its file's path holds one of the substrings. With --fork each test runs in a child,
 * so that a crash, a sanitizer's report, a leak or a hang counts as one failed test and the others go on; without it
 * all run here, which is what a debugger wants. --jobs N has N children at a time (many tests wait for timers), each
 * one's output kept together until it ends. The last line is `N passed, N failed, N skipped`; the exit status is 1
 * on any failure, and when no test was run.
 */
#include "unit.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome { OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_SKIPPED };

/* A child's exit status for a skipped test, as automake has it. */
#define EXIT_SKIPPED 77
/* A sanitizer build on a loaded machine is slow; a test that hangs is longer than this. */
#define TEST_LIMIT_S 120
#define JOBS_MAX 32

static struct unit_test *first;
static enum outcome current;

void unit_register(struct unit_test *t) {
    /* Kept in order of file and name: the constructors' own order is the linker's. */
    struct unit_test **at = &first;
    while (*at != NULL) {
        int order = strcmp((*at)->file, t->file);
        if (order > 0 || (order == 0 && strcmp((*at)->name, t->name) > 0))
            break;
        at = &(*at)->next;
    }
    t->next = *at;
    *at = t;
}

static void quote_print(FILE *out, const unsigned char *p, size_t n) {
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '"' || p[i] == '\\')
            fprintf(out, "\\%c", p[i]);
        else if (p[i] == '\n')
            fputs("\\n", out);
        else if (isprint(p[i]) || p[i] >= 0x80)
            fputc(p[i], out);
        else
            fprintf(out, "\\x%02x", p[i]);
    }
    fputc('"', out);
}

void unit_fail(const char *file, int line, const char *format, ...) {
    current = OUTCOME_FAILED;
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

void unit_skip(const char *reason) {
    if (current == OUTCOME_PASSED)
        current = OUTCOME_SKIPPED;
    fprintf(stderr, "skipped: %s\n", reason);
}

bool unit_check(const char *file, int line, const char *text, bool holds) {
    if (!holds)
        unit_fail(file, line, "CHECK(%s) does not hold", text);
    return holds;
}

bool unit_check_eq(const char *file, int line, const char *a_text, const char *b_text, long long a, long long b) {
    if (a != b)
        unit_fail(file, line, "%s is %lld (%#llx), not %s = %lld (%#llx)", a_text, a, (unsigned long long)a, b_text, b,
                  (unsigned long long)b);
    return a == b;
}

static void value_print(const char *text, const void *p, size_t n) {
    fprintf(stderr, "    %s = ", text);
    if (p == NULL)
        fputs("NULL", stderr);
    else
        quote_print(stderr, p, n);
    fprintf(stderr, " (%zu bytes)\n", n);
}

bool unit_check_streq(const char *file, int line, const char *a_text, const char *b_text, const char *a,
                      const char *b) {
    bool same = a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
    if (!same) {
        unit_fail(file, line, "strings differ");
        value_print(a_text, a, a == NULL ? 0 : strlen(a));
        value_print(b_text, b, b == NULL ? 0 : strlen(b));
    }
    return same;
}

bool unit_check_mem(const char *file, int line, const char *a_text, const char *b_text, const void *a, size_t a_bytes,
                    const void *b, size_t b_bytes) {
    if (a_bytes == b_bytes && (a_bytes == 0 || memcmp(a, b, a_bytes) == 0))
        return true;
    const unsigned char *p = a, *q = b;
    size_t shorter = a_bytes < b_bytes ? a_bytes : b_bytes, at = 0;
    while (at < shorter && p[at] == q[at])
        at++;
    unit_fail(file, line, "bytes differ from offset %zu on", at);
    value_print(a_text, a, a_bytes);
    value_print(b_text, b, b_bytes);
    return false;
}

static enum outcome test_run_here(const struct unit_test *t) {
    current = OUTCOME_PASSED;
    t->run();
    return current;
}

/* One place for a running child. */
struct job {
    const struct unit_test *test; /* NULL: free */
    pid_t pid;
    int output; /* a file in memory that the child writes to; -1: it writes to our own stderr */
};

static struct job jobs[JOBS_MAX];
static int counts[3];

static void count_outcome(const struct unit_test *t, enum outcome got) {
    counts[got]++;
    if (got == OUTCOME_FAILED)
        fprintf(stderr, "FAILED %s: %s\n", t->file, t->name);
    else if (got == OUTCOME_SKIPPED)
        fprintf(stderr, "SKIPPED %s: %s\n", t->file, t->name);
}

static void job_start(struct job *j, const struct unit_test *t, bool keep_output) {
    j->test = t;
    j->output = keep_output ? memfd_create("output", 0) : -1;
    fflush(NULL);
    j->pid = fork();
    if (j->pid != 0)
        return;
    if (j->output >= 0) {
        dup2(j->output, STDERR_FILENO);
        dup2(j->output, STDOUT_FILENO);
    }
    alarm(TEST_LIMIT_S);
    enum outcome got = test_run_here(t);
    exit(got == OUTCOME_PASSED ? 0 : got == OUTCOME_SKIPPED ? EXIT_SKIPPED : 1); /* exit: LSan looks for leaks */
}

static enum outcome outcome_of(const struct unit_test *t, int status) {
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s: ended by signal %d (%s)\n", t->file, t->name, WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 0)
        return OUTCOME_PASSED;
    else if (WEXITSTATUS(status) == EXIT_SKIPPED)
        return OUTCOME_SKIPPED;
    return OUTCOME_FAILED;
}

static void job_end(struct job *j, int status) {
    char bytes[4096];
    if (j->output >= 0) {
        lseek(j->output, 0, SEEK_SET);
        for (ssize_t n; (n = read(j->output, bytes, sizeof bytes)) > 0;)
            fwrite(bytes, 1, (size_t)n, stderr);
        close(j->output);
    }
    count_outcome(j->test, outcome_of(j->test, status));
    j->test = NULL;
}

/* Waits for the next of the n places' children to end; false when none runs. */
static bool jobs_wait(int n) {
    int status = 0;
    pid_t pid = wait(&status);
    for (int i = 0; pid > 0 && i < n; i++)
        if (jobs[i].test != NULL && jobs[i].pid == pid)
            job_end(&jobs[i], status);
    return pid > 0;
}

static void test_run_forked(const struct unit_test *t, int n) {
    for (;;) {
        for (int i = 0; i < n; i++) {
            if (jobs[i].test != NULL)
                continue;
            job_start(&jobs[i], t, n > 1);
            if (jobs[i].pid < 0) {
                perror("fork");
                jobs[i].test = NULL;
                count_outcome(t, OUTCOME_FAILED);
            }
            return;
        }
        jobs_wait(n);
    }
}

static bool test_matches(const struct unit_test *t, char **filters, int n) {
    for (int i = 0; i < n; i++)
        if (strstr(t->name, filters[i]) != NULL || strstr(t->file, filters[i]) != NULL)
            return true;
    return n == 0;
}

static void tests_run(char **filters, int n, int at_once, bool list, bool verbose) {
    for (const struct unit_test *t = first; t != NULL; t = t->next) {
        if (!test_matches(t, filters, n))
            continue;
        if (verbose || list)
            fprintf(list ? stdout : stderr, "%s: %s\n", t->file, t->name);
        if (list)
            continue;
        if (at_once > 0)
            test_run_forked(t, at_once);
        else
            count_outcome(t, test_run_here(t));
    }
    while (at_once > 0 && jobs_wait(at_once))
        ;
}

static int usage(const char *name) {
    fprintf(stderr, "usage: %s [--fork | --jobs N] [--list] [--verbose] [SUBSTRING...]\n", name);
    return 2;
}

int main(int argc, char **argv) {
    bool list = false, verbose = false;
    int at = 1;
    long at_once = 0; /* 0: all here */
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--fork") == 0)
            at_once = 1;
        else if (strcmp(argv[at], "--jobs") == 0 && at + 1 < argc)
            at_once = strtol(argv[++at], NULL, 10);
        else if (strcmp(argv[at], "--list") == 0)
            list = true;
        else if (strcmp(argv[at], "--verbose") == 0)
            verbose = true;
        else
            return usage(argv[0]);
    }
    if (at_once < 0 || at_once > JOBS_MAX)
        return usage(argv[0]);
    tests_run(argv + at, argc - at, (int)at_once, list, verbose);
    if (list)
        return 0;
    printf("%d passed, %d failed, %d skipped\n", counts[OUTCOME_PASSED], counts[OUTCOME_FAILED],
           counts[OUTCOME_SKIPPED]);
    return counts[OUTCOME_FAILED] > 0 || counts[OUTCOME_PASSED] + counts[OUTCOME_SKIPPED] == 0 ? 1 : 0;
}
