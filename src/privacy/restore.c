// SPDX-License-Identifier: Apache-2.0
// One engine for whole texts and for pieces: it moves over the text, copies what can be no stand-in, replaces what is
// one, and stops where more must be known. Each open block keeps what it stopped at; nothing else is kept. In text that is
// JSON escapes that are not needed are undone first, since some write "@" as one; values are escaped, and inside a number
// only digits are put. One pass: what was put in is never looked at again. Stands
// in the relay step, on the attempt's loop; never blocks.
#include "privacy/restore.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "privacy/unescape.h"

struct json_place { // where in JSON the text is
    bool in_string, escaped;
};

struct engine {
    const struct aliases *aliases;
    const struct matcher *m;
    bool json, exact;
    struct json_place place;
    char before; // the last character that was let go; 0 none
};

// ---- the engine

static void place_move(struct json_place *p, struct slice s) {
    for (size_t i = 0; i < s.n; i++) {
        if (p->escaped)
            p->escaped = false;
        else if (s.p[i] == '\\')
            p->escaped = p->in_string;
        else if (s.p[i] == '"')
            p->in_string = !p->in_string;
    }
}

static void let_go(struct engine *g, struct slice s, struct buf *out) {
    if (!s.n)
        return;
    buf_append(out, s);
    if (g->json)
        place_move(&g->place, s);
    g->before = s.p[s.n - 1];
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// A value into JSON: escaped in a string; elsewhere it stands as a number, and only digits fit.
static void value_put(const struct engine *g, struct slice value, struct buf *out) {
    if (!g->json) {
        buf_append(out, value);
    } else if (g->place.in_string) {
        json_escape(out, value);
    } else {
        for (size_t i = 0; i < value.n; i++)
            if (is_digit(value.p[i]))
                buf_append_char(out, value.p[i]);
    }
}

// False: it is not to be replaced after all.
static bool replace(struct engine *g, struct slice said, uint32_t id, struct buf *out) {
    struct buf value = BUF_INIT(LIMIT_BODY_BYTES);
    bool ok = aliases_restore(g->aliases, id, said, g->exact, &value);
    if (ok)
        value_put(g, buf_slice(&value), out);
    out->failed |= value.failed;
    buf_done(&value);
    if (ok)
        g->before = said.p[said.n - 1];
    return ok;
}

// Moves over the text; returns how much of it is done. The rest must be known longer.
static size_t engine_run(struct engine *g, struct slice text, bool more, struct buf *out) {
    size_t done = 0, at = matcher_next(g->m, text, 0);
    while (at < text.n) {
        struct match_found hit;
        enum match found = matcher_at(g->m, text, at, g->before, more, &hit);
        if (found == MATCH_MAYBE)
            break;
        if (found == MATCH_NO) {
            at = matcher_next(g->m, text, at + 1);
            continue;
        }
        let_go(g, slice_of(text.p + done, at - done), out);
        done = at;
        if (replace(g, slice_of(text.p + at, hit.n), hit.id, out))
            done = at + hit.n;
        at = matcher_next(g->m, text, at + hit.n);
    }
    size_t end = at < text.n ? at : text.n;
    let_go(g, slice_of(text.p + done, end - done), out);
    return end;
}

static bool has_escapes(struct slice json) {
    return json.n && memchr(json.p, '\\', json.n);
}

enum err restore_text(const struct aliases *aliases, const struct matcher *standins, struct slice text, bool json,
                      bool exact, struct buf *out) {
    struct engine g = {aliases, standins, json, exact, {false, false}, 0};
    struct buf plain = BUF_INIT(LIMIT_UP_BODY_BYTES);
    if (json && has_escapes(text)) {
        (void)unescape_plain(text, false, &plain);
        text = buf_slice(&plain);
    }
    (void)engine_run(&g, text, false, out);
    out->failed |= plain.failed;
    buf_done(&plain);
    return out->failed ? ERR_NO_MEMORY : ERR_OK;
}

// ---- blocks

struct held { // one open block
    struct held *next;
    uint32_t block;
    struct event like; // a delta of this block: its numbers and kind, no text
    struct engine engine;
    struct buf tail;
    struct buf half; // what may be the beginning of an escape
};

struct restorer {
    struct arena *a;
    const struct aliases *aliases;
    const struct matcher *m;
    struct restore_options o;
    struct held *open, *idle;
    struct buf text;  // of the event at hand
    struct buf plain; // what came, without needless escapes
};

static void held_close(struct restorer *r, struct held *h) {
    struct held **at = &r->open;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    h->next = r->idle;
    r->idle = h;
}

static void restorer_free(void *arg) {
    struct restorer *r = arg;
    while (r->open)
        held_close(r, r->open);
    for (struct held *h = r->idle; h; h = h->next) {
        buf_done(&h->tail);
        buf_done(&h->half);
    }
    buf_done(&r->text);
    buf_done(&r->plain);
}

struct restorer *restorer_new(struct arena *a, const struct aliases *aliases, const struct matcher *standins,
                              const struct restore_options *o) {
    struct restorer *r = ARENA_NEW(a, struct restorer);
    if (!r || !arena_defer(a, restorer_free, r))
        return NULL;
    r->a = a;
    r->aliases = aliases;
    r->m = standins;
    r->o = *o;
    r->text = BUF_INIT(LIMIT_UP_BODY_BYTES);
    r->plain = BUF_INIT(LIMIT_UP_BODY_BYTES);
    return r;
}

static struct held *held_of(struct restorer *r, const struct event *ev) {
    for (struct held *h = r->open; h; h = h->next)
        if (h->block == ev->block)
            return h;
    struct held *h = r->idle;
    if (h)
        r->idle = h->next;
    else
        h = ARENA_NEW(r->a, struct held);
    if (!h)
        return NULL;
    struct buf tail = h->tail.p ? h->tail : BUF_INIT(LIMIT_UP_BODY_BYTES);
    struct buf half = h->half.p ? h->half : BUF_INIT(LIMIT_UP_BODY_BYTES);
    buf_clear(&tail);
    buf_clear(&half);
    bool json = ev->block_kind == BLOCK_TOOL || (r->o.json_text && ev->block_kind == BLOCK_TEXT);
    bool exact = r->o.exact_thinking && ev->block_kind == BLOCK_THINK;
    *h = (struct held){.next = r->open, .block = ev->block, .like = *ev, .tail = tail, .half = half};
    h->engine = (struct engine){r->aliases, r->m, json, exact, {false, false}, 0};
    h->like.text = SLICE_NONE;
    r->open = h;
    return h;
}

static enum err text_give(struct restorer *r, const struct event *like, struct event_sink *next) {
    struct event ev = *like;
    if (r->text.failed)
        return ERR_NO_MEMORY;
    ev.text = buf_slice(&r->text);
    return ev.text.n ? next->emit(next->ctx, &ev) : ERR_OK;
}

// A piece of JSON without needless escapes; what may be the beginning of one waits.
static struct slice plain_take(struct restorer *r, struct held *h, struct slice text) {
    if (!h->half.len && !has_escapes(text))
        return text;
    buf_append(&h->half, text);
    buf_clear(&r->plain);
    buf_consume(&h->half, unescape_plain(buf_slice(&h->half), true, &r->plain));
    return buf_slice(&r->plain);
}

static enum err delta_give(struct restorer *r, const struct event *ev, struct event_sink *next) {
    struct held *h = held_of(r, ev);
    if (!h)
        return ERR_NO_MEMORY;
    struct slice text = h->engine.json ? plain_take(r, h, ev->text) : ev->text;
    if (h->tail.len) {
        buf_append(&h->tail, text);
        text = buf_slice(&h->tail);
    }
    buf_clear(&r->text);
    size_t done = engine_run(&h->engine, text, true, &r->text);
    if (h->tail.len)
        buf_consume(&h->tail, done);
    else
        buf_append(&h->tail, slice_from(text, done));
    return h->tail.failed || h->half.failed || r->plain.failed ? ERR_NO_MEMORY : text_give(r, ev, next);
}

// What the block still holds. It is over.
static enum err held_give(struct restorer *r, struct held *h, struct event_sink *next) {
    buf_clear(&r->text);
    (void)unescape_plain(buf_slice(&h->half), false, &h->tail);
    (void)engine_run(&h->engine, buf_slice(&h->tail), false, &r->text);
    r->text.failed |= h->tail.failed;
    held_close(r, h);
    return text_give(r, &h->like, next);
}

static enum err block_end(struct restorer *r, uint32_t block, struct event_sink *next) {
    for (struct held *h = r->open; h; h = h->next)
        if (h->block == block)
            return held_give(r, h, next);
    return ERR_OK;
}

// A text that comes whole with its event.
static enum err whole_give(struct restorer *r, const struct event *ev, bool json, struct event_sink *next) {
    struct event copy = *ev;
    struct slice *text = ev->kind == EV_FINISH ? &copy.stop_sequence : &copy.text;
    buf_clear(&r->text);
    enum err e = text->n ? restore_text(r->aliases, r->m, *text, json, false, &r->text) : ERR_OK;
    if (e)
        return e;
    if (text->n)
        *text = buf_slice(&r->text);
    return next->emit(next->ctx, &copy);
}

static enum err all_end(struct restorer *r, struct event_sink *next) {
    enum err e = ERR_OK;
    while (r->open && !e)
        e = held_give(r, r->open, next);
    return e;
}

enum err restorer_event(struct restorer *r, const struct event *ev, struct event_sink *next) {
    enum err e = ERR_OK;
    switch (ev->kind) {
    case EV_DELTA:
        return delta_give(r, ev, next);
    case EV_BLOCK_END:
        e = block_end(r, ev->block, next);
        break;
    case EV_BLOCK_BEGIN:
        return ev->redacted ? next->emit(next->ctx, ev) : whole_give(r, ev, true, next);
    case EV_META: // log probabilities tell of tokens, and a stand-in is many of them
        return slice_is(ev->name, "logprobs") ? next->emit(next->ctx, ev) : whole_give(r, ev, true, next);
    case EV_FINISH:
        return whole_give(r, ev, false, next);
    case EV_END:
    case EV_ERROR:
        e = all_end(r, next);
        break;
    case EV_START:
    case EV_USAGE:
    case EV_PING:
        break;
    }
    return e ? e : next->emit(next->ctx, ev);
}
