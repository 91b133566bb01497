// SPDX-License-Identifier: Apache-2.0
#ifndef IR_PIPE_H
#define IR_PIPE_H
// The filters that events pass on their way from an upstream's reader to the client's writer, ordered by phase. A filter
// sees borrowed events, never blocks, never reorders blocks, and passes on with filter_pass. Filters are embedded in
// their owners; a pipe owns nothing.
#include "ir/event.h"

enum phase {
    PHASE_REWRAP,  // an emulation's answer becomes what it stands for
    PHASE_OBSERVE, // look only: usage, commit, timings
    PHASE_RESTORE, // private values come back
    PHASE_GUARD,   // may end the stream (budget, schema)
    PHASE_CARRY,   // signatures are packed for a client whose dialect has no field for them
    PHASE_COLLECT, // gathers a whole answer
    PHASE_WRITE,   // the client's dialect
};

struct filter {
    enum phase phase;
    enum err (*event)(struct filter *f, const struct event *ev);
    void *owner;
    struct filter *next;
};

struct pipe {
    struct filter *first;
};

// Inserts behind all filters of the same or an earlier phase.
void pipe_add(struct pipe *p, struct filter *f);
MUST_CHECK enum err pipe_emit(struct pipe *p, const struct event *ev);
// From inside a filter: gives the event to the next one; ERR_OK at the end of the pipe.
static inline enum err filter_pass(struct filter *f, const struct event *ev) {
    return f->next ? f->next->event(f->next, ev) : ERR_OK;
}

#endif
