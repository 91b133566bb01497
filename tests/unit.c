/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the unit tests that are linked in: gridtie-unit [--fork] [--list] [--verbose] [SUBSTRING…].
 *
 * A test is taken when its name or its file's path holds one of the substrings. With --fork each test runs in a child,
 * so that a crash, a sanitizer's report, a leak or a hang counts as one failed test and the others go on; without it
 * all run here, which is what a debugger wants. The last line is `N passed, N failed, N skipped`; the exit status is 1
 * on any failure, and when no test was run.
 */
#include "unit.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum outcome { OUTCOME_PASSED, OUTCOME_FAILED, OUTCOME_SKIPPED };

/* A child's exit status for a skipped test, as automake has it. */
#define EXIT_SKIPPED 77
/* A sanitizer build on a loaded machine is slow; a test that hangs is longer than this. */
#define TEST_LIMIT_S 120

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

static enum outcome test_run_forked(const struct unit_test *t) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        return OUTCOME_FAILED;
    }
    if (pid == 0) {
        alarm(TEST_LIMIT_S);
        enum outcome got = test_run_here(t);
        exit(got == OUTCOME_PASSED ? 0 : got == OUTCOME_SKIPPED ? EXIT_SKIPPED : 1); /* exit: LSan looks for leaks */
    }
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return OUTCOME_FAILED;
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s: ended by signal %d (%s)\n", t->file, t->name, WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 0)
        return OUTCOME_PASSED;
    else if (WEXITSTATUS(status) == EXIT_SKIPPED)
        return OUTCOME_SKIPPED;
    return OUTCOME_FAILED;
}

static bool test_matches(const struct unit_test *t, char **filters, int n) {
    for (int i = 0; i < n; i++)
        if (strstr(t->name, filters[i]) != NULL || strstr(t->file, filters[i]) != NULL)
            return true;
    return n == 0;
}

int main(int argc, char **argv) {
    bool forked = false, list = false, verbose = false;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--fork") == 0) {
            forked = true;
        } else if (strcmp(argv[at], "--list") == 0) {
            list = true;
        } else if (strcmp(argv[at], "--verbose") == 0) {
            verbose = true;
        } else {
            fprintf(stderr, "usage: %s [--fork] [--list] [--verbose] [SUBSTRING...]\n", argv[0]);
            return 2;
        }
    }

    int count[3] = {0};
    for (const struct unit_test *t = first; t != NULL; t = t->next) {
        if (!test_matches(t, argv + at, argc - at))
            continue;
        if (list) {
            printf("%s: %s\n", t->file, t->name);
            continue;
        }
        if (verbose)
            fprintf(stderr, "%s: %s\n", t->file, t->name);
        enum outcome got = forked ? test_run_forked(t) : test_run_here(t);
        count[got]++;
        if (got == OUTCOME_FAILED)
            fprintf(stderr, "FAILED %s: %s\n", t->file, t->name);
        else if (got == OUTCOME_SKIPPED)
            fprintf(stderr, "SKIPPED %s: %s\n", t->file, t->name);
    }
    if (list)
        return 0;
    printf("%d passed, %d failed, %d skipped\n", count[OUTCOME_PASSED], count[OUTCOME_FAILED], count[OUTCOME_SKIPPED]);
    return count[OUTCOME_FAILED] > 0 || count[OUTCOME_PASSED] + count[OUTCOME_SKIPPED] == 0 ? 1 : 0;
}
