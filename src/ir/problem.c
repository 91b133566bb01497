// SPDX-License-Identifier: Apache-2.0
// An error on its way to a client: the row of err.def says what it is by default, the problem says what is known beyond
// that. Every step of an exchange may make one; the client's dialect writes it. Slices are borrowed from the exchange's
// arena. Nothing is allocated here.
#include "ir/problem.h"

struct slice problem_text(const struct problem *p) {
    return p->message.n ? p->message : slice_str(err_row(p->err)->text);
}

int problem_status(const struct problem *p) {
    return err_row(p->err)->status;
}
