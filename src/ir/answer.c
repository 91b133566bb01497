// SPDX-License-Identifier: Apache-2.0
// Events gathered into a whole answer. It stands at the end of the pipe when the client asked for no stream, and holds
// the grammar of events to its word: what a reader may not say is refused here, so that writers need no doubt.
// The answer and its short texts live in the arena; the growing ones are bufs of their own, freed when the arena is, so
// that ten thousand deltas do not leave ten thousand copies behind. Nothing is written and nobody is called here, except
// by answer_replay.
#include "ir/answer.h"
#include "base/limits.h"

static void answer_free(void *arg) {
    struct answer *a = arg;
    for (struct answer_block *b = a->first; b; b = b->next) {
        buf_done(&b->text);
        buf_done(&b->meta);
    }
}

bool answer_init(struct answer *a, struct arena *arena) {
    *a = (struct answer){.arena = arena, .usage = USAGE_NONE};
    a->last = &a->first;
    return arena_defer(arena, answer_free, a);
}

struct answer *answer_new(struct arena *arena) {
    struct answer *a = ARENA_NEW(arena, struct answer);
    return a && answer_init(a, arena) ? a : NULL;
}

static enum err keep(struct answer *a, struct slice s, struct slice *ret) {
    if (!s.p)
        return ERR_OK;
    struct slice copy = arena_copy(a->arena, s);
    if (!copy.p)
        return ERR_NO_MEMORY;
    *ret = copy;
    return ERR_OK;
}

static enum err charge(struct answer *a, size_t n) {
    if (n > LIMIT_UP_BODY_BYTES - a->bytes)
        return ERR_TOO_LARGE;
    a->bytes += n;
    return ERR_OK;
}

static struct answer_block *block_find(struct answer *a, uint32_t block) {
    if (a->current && a->current->block == block)
        return a->current;
    for (struct answer_block *b = a->first; b; b = b->next)
        if (b->block == block)
            return a->current = b;
    return NULL;
}

static struct answer_choice *choice_at(struct answer *a, uint32_t choice) {
    unsigned n = sizeof a->choices / sizeof a->choices[0];
    if (choice >= n)
        return NULL;
    if (choice >= a->n_choices)
        a->n_choices = choice + 1;
    return &a->choices[choice];
}

static enum err add_start(struct answer *a, const struct event *ev) {
    if (a->started)
        return ERR_UP_PROTOCOL;
    a->started = true;
    a->created_s = ev->created_s;
    enum err e = keep(a, ev->id, &a->id);
    return e ? e : keep(a, ev->model, &a->model);
}

static enum err add_begin(struct answer *a, const struct event *ev) {
    if (ev->block != a->n_blocks || a->n_blocks >= LIMIT_BLOCKS)
        return ERR_UP_PROTOCOL;
    if (!choice_at(a, ev->choice))
        return ERR_UP_PROTOCOL;
    enum err e = charge(a, ev->text.n + ev->name.n + ev->call_id.n);
    if (e)
        return e;
    struct answer_block *b = ARENA_NEW(a->arena, struct answer_block);
    if (!b)
        return ERR_NO_MEMORY;
    b->block = ev->block;
    b->choice = ev->choice;
    b->kind = ev->block_kind;
    b->redacted = ev->redacted;
    buf_init(&b->text, LIMIT_UP_BODY_BYTES);
    buf_init(&b->meta, LIMIT_UP_BODY_BYTES);
    *a->last = b;
    a->last = &b->next;
    a->current = b;
    a->n_blocks++;
    e = keep(a, ev->text, &b->opening);
    if (!e)
        e = keep(a, ev->call_id, &b->call_id);
    if (!e)
        e = keep(a, ev->signature, &b->signature);
    return e ? e : keep(a, ev->name, &b->name);
}

static enum err add_delta(struct answer *a, const struct event *ev) {
    struct answer_block *b = block_find(a, ev->block);
    if (!b || b->ended)
        return ERR_UP_PROTOCOL;
    enum err e = charge(a, ev->text.n);
    if (e)
        return e;
    buf_append(&b->text, ev->text);
    return b->text.failed ? ERR_NO_MEMORY : ERR_OK;
}

// One line a value: line breaks in JSON stand only between tokens, where a space does as well.
static void append_one_line(struct buf *out, struct slice json) {
    for (size_t i = 0; i < json.n; i++)
        buf_append_char(out, json.p[i] == '\n' || json.p[i] == '\r' ? ' ' : json.p[i]);
}

static enum err add_meta(struct answer *a, const struct event *ev) {
    struct answer_block *b = block_find(a, ev->block);
    if (!b)
        return ERR_OK; // about no block that we have: an extra, which is no reason to fail
    enum err e = charge(a, ev->name.n + ev->text.n + 2);
    if (e)
        return e;
    buf_append(&b->meta, ev->name);
    buf_append_char(&b->meta, '\t');
    append_one_line(&b->meta, ev->text);
    buf_append_char(&b->meta, '\n');
    return b->meta.failed ? ERR_NO_MEMORY : ERR_OK;
}

static enum err add_block_end(struct answer *a, const struct event *ev) {
    struct answer_block *b = block_find(a, ev->block);
    if (!b || b->ended)
        return ERR_UP_PROTOCOL;
    b->ended = true;
    return keep(a, ev->signature, &b->signature);
}

static enum err add_finish(struct answer *a, const struct event *ev) {
    struct answer_choice *c = choice_at(a, ev->choice);
    if (!c)
        return ERR_UP_PROTOCOL;
    c->finish = ev->finish;
    return keep(a, ev->stop_sequence, &c->stop_sequence);
}

enum err answer_add(struct answer *a, const struct event *ev) {
    if (ev->kind == EV_PING)
        return ERR_OK;
    if (ev->kind == EV_ERROR)
        return ev->problem && ev->problem->err ? ev->problem->err : ERR_UP_INTERNAL;
    if (a->ended || (!a->started && ev->kind != EV_START))
        return ERR_UP_PROTOCOL;
    switch (ev->kind) {
    case EV_START:
        return add_start(a, ev);
    case EV_BLOCK_BEGIN:
        return add_begin(a, ev);
    case EV_DELTA:
        return add_delta(a, ev);
    case EV_META:
        return add_meta(a, ev);
    case EV_BLOCK_END:
        return add_block_end(a, ev);
    case EV_FINISH:
        return add_finish(a, ev);
    case EV_USAGE:
        usage_merge(&a->usage, &ev->usage);
        return ERR_OK;
    case EV_END:
        a->ended = true;
        return ERR_OK;
    case EV_PING:
    case EV_ERROR:
        break;
    }
    return ERR_UP_PROTOCOL;
}

bool answer_meta_next(struct slice *rest, struct slice *ret_name, struct slice *ret_json) {
    if (!rest->n)
        return false;
    struct slice line = slice_split(rest, '\n');
    *ret_name = slice_split(&line, '\t');
    *ret_json = line;
    return true;
}

static enum err replay_metas(const struct answer_block *b, struct event_sink *sink) {
    struct slice rest = buf_slice(&b->meta);
    struct event ev = {.kind = EV_META, .block = b->block, .choice = b->choice, .block_kind = b->kind};
    while (answer_meta_next(&rest, &ev.name, &ev.text)) {
        enum err e = sink->emit(sink->ctx, &ev);
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum err replay_block(const struct answer_block *b, struct event_sink *sink) {
    struct event ev = {.kind = EV_BLOCK_BEGIN, .block = b->block, .choice = b->choice, .block_kind = b->kind};
    struct event begin = ev;
    begin.redacted = b->redacted;
    begin.text = b->opening;
    begin.call_id = b->call_id;
    begin.signature = b->signature;
    begin.name = b->name;
    enum err e = sink->emit(sink->ctx, &begin);
    if (e)
        return e;
    if (b->text.len) {
        ev.kind = EV_DELTA;
        ev.text = buf_slice(&b->text);
        e = sink->emit(sink->ctx, &ev);
        if (e)
            return e;
    }
    e = replay_metas(b, sink);
    if (e)
        return e;
    ev.kind = EV_BLOCK_END;
    ev.text = SLICE_NONE;
    ev.signature = b->signature;
    return sink->emit(sink->ctx, &ev);
}

static enum err replay_ending(const struct answer *a, struct event_sink *sink) {
    for (unsigned i = 0; i < a->n_choices; i++) {
        const struct answer_choice *c = &a->choices[i];
        struct event ev = {.kind = EV_FINISH, .choice = i, .finish = c->finish, .stop_sequence = c->stop_sequence};
        enum err e = c->finish ? sink->emit(sink->ctx, &ev) : ERR_OK;
        if (e)
            return e;
    }
    struct event ev = {.kind = EV_USAGE, .usage = a->usage};
    enum err e = sink->emit(sink->ctx, &ev);
    if (e || !a->ended)
        return e;
    ev = (struct event){.kind = EV_END};
    return sink->emit(sink->ctx, &ev);
}

enum err answer_replay(const struct answer *a, struct event_sink *sink) {
    struct event ev = {.kind = EV_START, .id = a->id, .model = a->model, .created_s = a->created_s};
    enum err e = sink->emit(sink->ctx, &ev);
    for (const struct answer_block *b = a->first; b && !e; b = b->next)
        e = replay_block(b, sink);
    return e ? e : replay_ending(a, sink);
}
