// SPDX-License-Identifier: Apache-2.0
// The chain of filters between a reader and a writer. It stands in the relay step, one per attempt, on the attempt's
// loop. Nothing is allocated here and nothing is owned: filters live in their owners, events live in the reader.
#include "ir/pipe.h"

void pipe_add(struct pipe *p, struct filter *f) {
    struct filter **at = &p->first;
    while (*at && (*at)->phase <= f->phase)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
}

enum err pipe_emit(struct pipe *p, const struct event *ev) {
    return p->first ? p->first->event(p->first, ev) : ERR_OK;
}
