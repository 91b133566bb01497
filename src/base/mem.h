// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

// The only allocator of the program: malloc that a test can make fail at the k-th call.
// NULL means out of memory (or a fault ordered by a test); callers return ERR_NO_MEMORY.
void *mem_alloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_zalloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mem_realloc(void *p, size_t n) __attribute__((alloc_size(2)));
void mem_free(void *p);
// owned copy of a C string, NULL stays NULL
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);

// Once, before threads are: each heap keeps some MB that it has no use for at the moment.
void mem_keep_freed(void);

// Tests only: the k-th allocation of this thread from now on (1 = the next) fails, and all after it; 0 = never.
void mem_fail_at(unsigned long k);
// Tests only: that one alone.
void mem_fail_once(unsigned long k);
// Allocations of this thread since the last mem_fail_at.
unsigned long mem_count(void);

#endif
