// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include <stdbool.h>

enum err_fault { FAULT_NOBODY, FAULT_CLIENT, FAULT_UPSTREAM, FAULT_US };

enum err {
#define ERR(name, status, retriable, fault, text) ERR_##name,
#include "base/err.def"
#undef ERR
    ERR_COUNT
};

// One row of err.def. `name` is lower case with underscores ("model_not_found").
struct err_row {
    const char *name;
    int status;
    bool retriable; // may another target be tried?
    enum err_fault fault;
    const char *text;
};

const struct err_row *err_row(enum err e);
static inline const char *err_name(enum err e) {
    return err_row(e)->name;
}

// Every function that returns enum err must have its result looked at.
#define MUST_CHECK __attribute__((warn_unused_result))

#endif
