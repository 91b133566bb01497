// SPDX-License-Identifier: Apache-2.0
// malloc behind one door, so that a test can make the k-th allocation of its thread fail and every caller is shown to
// survive that. Release pays one thread-local add per call. Whoever allocates owns; nothing here logs, retries or aborts.
// A size of 0 is a byte, so that NULL always means failure.
#include "base/mem.h"
#include <limits.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local unsigned long count, fail_from = ULONG_MAX, fail_to;

static int mem_refused(void) {
    count++;
    return count >= fail_from && count <= fail_to;
}

void *mem_alloc(size_t n) {
    return mem_refused() ? NULL : malloc(n ? n : 1);
}

void *mem_zalloc(size_t n) {
    return mem_refused() ? NULL : calloc(1, n ? n : 1);
}

void *mem_realloc(void *p, size_t n) {
    return mem_refused() ? NULL : realloc(p, n ? n : 1);
}

void mem_free(void *p) {
    free(p);
}

char *mem_strndup(const char *s, size_t n) {
    char *copy = mem_alloc(n + 1);
    if (!copy)
        return NULL;
    if (n)
        memcpy(copy, s, n);
    copy[n] = 0;
    return copy;
}

char *mem_strdup(const char *s) {
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

// A body of 200 KB and its tree need 1 MB for a moment. By default glibc gives that back to the kernel and takes it again
// with the next one: 8 page faults a request, measured; with this none. What is larger than MAPPED_BYTES grows by moving pages
// instead of copying: a body of 8 MB that grew stopped its loop for 4 ms.
#define KEPT_BYTES (8 << 20)
#define MAPPED_BYTES (2 << 20)

void mem_keep_freed(void) {
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

void mem_fail_at(unsigned long k) {
    count = 0;
    fail_from = k ? k : ULONG_MAX;
    fail_to = ULONG_MAX;
}

void mem_fail_once(unsigned long k) {
    mem_fail_at(k);
    fail_to = k;
}

unsigned long mem_count(void) {
    return count;
}
