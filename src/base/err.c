// SPDX-License-Identifier: Apache-2.0
// The rows of err.def as a table: the one list of what can go wrong, with what a client is told. Names are made lower
// case once, at the first look, since logs and records want them so. Read-only after that; any thread.
#include "base/err.h"
#include <ctype.h>
#include <pthread.h>
#include <stddef.h>

static char names[ERR_COUNT][32];

static struct err_row rows[ERR_COUNT] = {
#define ERR(name, status, retriable, fault, text) [ERR_##name] = {#name, status, retriable, FAULT_##fault, text},
#include "base/err.def"
#undef ERR
};

static void rows_lower(void) {
    for (size_t i = 0; i < ERR_COUNT; i++) {
        size_t j = 0;
        for (; rows[i].name[j] && j < sizeof names[i] - 1; j++)
            names[i][j] = (char)tolower((unsigned char)rows[i].name[j]);
        rows[i].name = names[i];
    }
}

const struct err_row *err_row(enum err e) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, rows_lower);
    return &rows[(unsigned)e < ERR_COUNT ? e : ERR_INTERNAL];
}
