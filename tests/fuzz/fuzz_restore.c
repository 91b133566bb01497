// SPDX-License-Identifier: Apache-2.0
// An answer in which %0 to %9 are stand-ins and a 0x01 is where a delta ends: the pieces restored are the whole restored, in
// words and in a tool's arguments, no matter what stands around.
#include <stdlib.h>
#include "privacy/restore.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const struct standin_key key = {{1, 2, 3}};

static const struct {
    enum entity e;
    const char *real;
} values[10] = {{ENTITY_EMAIL, "jane.doe@corp.com"},  {ENTITY_EMAIL, "Bob@X.org"},
                {ENTITY_CARD, "4111 1111 1111 1111"}, {ENTITY_PHONE, "+49 30 1234567"},
                {ENTITY_PHONE, "(415) 555-2671"},     {ENTITY_SECRET, "pa\"ss\\w\nord"},
                {ENTITY_IP, "203.0.113.77"},          {ENTITY_WORD, "Acme"},
                {ENTITY_US_SSN, "078-05-1120"},       {ENTITY_IBAN, "DE89370400440532013000"}};

static struct buf heard;

static enum err hear(void *ctx, const struct event *ev) {
    (void)ctx;
    if (ev->kind == EV_DELTA)
        buf_append(&heard, ev->text);
    return ERR_OK;
}

static void text_make(const struct aliases *m, struct slice in, struct buf *out) {
    for (size_t i = 0; i < in.n; i++) {
        char c = i + 1 < in.n ? in.p[i + 1] : 0;
        if (in.p[i] == '%' && c >= '0' && c <= '9')
            buf_append(out, m->v[in.p[++i] - '0'].standin);
        else
            buf_append_char(out, in.p[i]);
    }
}

static void pieces_check(struct arena *a, struct aliases *m, const struct matcher *standins, struct slice text,
                         bool json) {
    struct buf all = BUF_INIT(1u << 22), want = BUF_INIT(1u << 22);
    struct event_sink sink = {hear, NULL};
    struct restorer *r = restorer_new(a, m, standins, &(struct restore_options){0});
    struct event ev = {.kind = EV_DELTA, .block_kind = json ? BLOCK_TOOL : BLOCK_TEXT};
    heard = BUF_INIT(1u << 22);
    for (struct slice rest = text; r && rest.n;) {
        ev.text = slice_split(&rest, 1);
        buf_append(&all, ev.text);
        if (restorer_event(r, &ev, &sink))
            abort();
    }
    ev.kind = EV_BLOCK_END;
    ev.text = SLICE_NONE;
    if (!r || restorer_event(r, &ev, &sink) || restore_text(m, standins, buf_slice(&all), json, false, &want))
        abort();
    if (!slice_eq(buf_slice(&heard), buf_slice(&want)))
        abort();
    buf_done(&heard);
    buf_done(&all);
    buf_done(&want);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    struct arena a;
    struct aliases m;
    struct buf text = BUF_INIT(1u << 22);
    arena_init(&a, 64u << 20, 0);
    if (!aliases_init(&m, &a, &key))
        abort();
    for (size_t i = 0; i < 10; i++)
        if (!aliases_take(&m, values[i].e, slice_str(values[i].real), false).p)
            abort();
    text_make(&m, slice_of((const char *)bytes, n), &text);
    struct matcher *standins = aliases_find_standin(&m);
    if (!standins)
        abort();
    pieces_check(&a, &m, standins, buf_slice(&text), false);
    pieces_check(&a, &m, standins, buf_slice(&text), true);
    buf_done(&text);
    arena_done(&a);
    return 0;
}
