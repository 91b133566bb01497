// SPDX-License-Identifier: Apache-2.0
// Makes the answer (the same every time for the same order) and plays it as a stream: thinking, text, tool calls, with
// the ordered rests, cuts and faults. The wire formats only turn a piece into bytes.
#include "sim/speak.h"
#include "base/clock.h"

static const char *const words[] = {"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"};
#define N_WORDS (sizeof words / sizeof words[0])

const struct shape_ops *shape_ops_of(enum shape s) {
    switch (s) {
    case SHAPE_OPENAI:
    case SHAPE_COUNT:
        return &openai_ops;
    case SHAPE_ANTHROPIC:
        return &anthropic_ops;
    case SHAPE_OLLAMA_CHAT:
    case SHAPE_OLLAMA_GENERATE:
        return &ollama_ops;
    case SHAPE_RESPONSES:
        return &responses_ops;
    case SHAPE_GEMINI:
        return &gemini_ops;
    }
    return &openai_ops;
}

static struct slice words_text(struct arena *a, int64_t n) {
    struct buf b = BUF_INIT(64u << 20);
    for (int64_t i = 0; i < n; i++) {
        if (i)
            buf_append_char(&b, ' ');
        buf_append_str(&b, words[(size_t)i % N_WORDS]);
    }
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_done(&b);
    return s;
}

static struct slice big_text(struct arena *a, int64_t kb) {
    size_t n = (size_t)kb * 1024;
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; p && i < n; i++)
        p[i] = i % 64 == 63 ? ' ' : (char)('a' + i % 26);
    return p ? slice_of(p, n) : SLICE_NONE;
}

static struct slice talk_text(struct arena *a, const struct ask *ask, const struct order *o) {
    if (o->text.p)
        return o->text;
    if (o->echo)
        return ask->last_user;
    if (o->big_kb > 0)
        return big_text(a, o->big_kb);
    if (o->words >= 0)
        return words_text(a, o->words);
    if (o->chunks > 0)
        return words_text(a, o->chunks);
    return o->n_tools ? SLICE_NONE : SLICE("Hello from the scripted provider.");
}

static const char *talk_finish(struct arena *a, const struct shape_ops *ops, const struct order *o) {
    static const char *const names[5] = {"stop", "length", "tool", "filter", "stop_sequence"};
    if (!o->finish.p)
        return ops->finishes[o->n_tools ? 2 : 0];
    for (int i = 0; i < 5; i++)
        if (slice_is(o->finish, names[i]))
            return ops->finishes[i];
    return arena_cstr(a, o->finish);
}

// Never inside a character.
static struct slice part_of(struct slice s, size_t *room) {
    size_t n = s.n < *room ? s.n : *room;
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    *room -= n;
    return slice_first(s, n);
}

// As a provider would: no more tokens than asked for. Ours are four bytes each, counted from one.
static bool talk_cut(struct talk *t, struct arena *a) {
    size_t said = t->text.n + t->own.thinking.n, room = (size_t)t->ask->max_tokens * 4 - 1;
    for (size_t i = 0; i < t->own.n_tools; i++)
        said += t->own.tools[i].arguments.n;
    if (t->ask->max_tokens < 1 || t->ask->max_tokens > INT64_C(1) << 40 || said <= room || t->own.ignore_max)
        return false;
    struct tool_order *tools = arena_array(a, t->own.n_tools + 1, sizeof *tools);
    t->own.thinking = part_of(t->own.thinking, &room);
    t->text = part_of(t->text, &room);
    for (size_t i = 0; tools && i < t->own.n_tools; i++) {
        tools[i] = t->own.tools[i];
        tools[i].arguments = part_of(tools[i].arguments, &room);
    }
    if (t->own.n_tools)
        t->own.tools = tools;
    return true;
}

void talk_init(struct talk *t, struct arena *a, const struct ask *ask, const struct order *o, uint64_t number) {
    memset(t, 0, sizeof *t);
    t->ask = ask;
    t->own = *o;
    t->order = &t->own;
    t->id = o->id.p ? o->id : slice_str(arena_printf(a, "sim-%llu", (unsigned long long)number));
    t->text = talk_text(a, ask, o);
    t->created_s = clock_wall_s();
    bool cut = talk_cut(t, a);
    o = t->order;
    size_t chars = t->text.n + o->thinking.n;
    for (size_t i = 0; i < o->n_tools; i++)
        chars += o->tools[i].arguments.n;
    t->input_tokens = o->input_tokens >= 0 ? o->input_tokens : ask->input_chars / 4 + 1;
    t->output_tokens = o->output_tokens >= 0 ? o->output_tokens : (int64_t)chars / 4 + 1;
    t->finish =
        cut && !o->finish.p ? shape_ops_of(ask->shape)->finishes[1] : talk_finish(a, shape_ops_of(ask->shape), o);
}

int64_t talk_reasoning(const struct talk *t) {
    return t->order->reasoning_tokens > 0 ? t->order->reasoning_tokens : 0;
}

// ---- the stream

struct play {
    struct talk *t;
    struct peer *w;
    const struct shape_ops *ops;
    struct buf out;
    int64_t pieces; // that were sent
    bool over;
};

// Sends what the format wrote, frame by frame.
static bool play_flush(struct play *p) {
    struct slice rest = buf_slice(&p->out);
    struct slice mark = p->t->ask->array ? SLICE("\r\n") : slice_str(p->ops->mark);
    while (rest.n && !p->over) {
        if (p->w->events == p->t->order->error_after_events) {
            enum error_name name = p->t->order->error ? p->t->order->error : ERROR_OVERLOADED;
            buf_clear(&p->out);
            p->ops->stream_error(&p->ops->errors[name], &p->out);
            (void)peer_body(p->w, buf_slice(&p->out));
            p->over = true;
            break;
        }
        size_t n = slice_search(rest, mark);
        n = n == SIZE_MAX ? rest.n : n + mark.n;
        p->over = !peer_event(p->w, slice_first(rest, n));
        rest = slice_from(rest, n);
    }
    buf_clear(&p->out);
    return !p->over;
}

// How many bytes the next piece has: never inside a character.
static size_t piece_bytes(const struct order *o, struct slice all, struct slice rest) {
    size_t n = 8;
    if (o->chunk_chars > 0)
        n = (size_t)o->chunk_chars;
    else if (o->chunks > 0)
        n = (all.n + (size_t)o->chunks - 1) / (size_t)o->chunks;
    else if (all.n > 65536)
        n = 4096;
    if (n == 0)
        n = 1;
    if (n >= rest.n)
        return rest.n;
    while (n < rest.n && ((unsigned char)rest.p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

// After the first `slow_chunks` the rest comes in a burst.
static bool is_waited_for(const struct play *p) {
    const struct order *o = p->t->order;
    return p->pieces > 0 && o->chunk_ms > 0 && (o->slow_chunks <= 0 || p->pieces < o->slow_chunks);
}

static bool play_piece(struct play *p, enum piece kind, size_t tool, struct slice piece) {
    if (is_waited_for(p) && !peer_wait(p->w, p->t->order->chunk_ms)) {
        p->over = true;
        return false;
    }
    p->pieces++;
    p->ops->piece(p->t, kind, tool, piece, &p->out);
    if (!play_flush(p))
        return false;
    p->t->said_chars += (int64_t)piece.n;
    return true;
}

static void play_pieces(struct play *p, enum piece kind, size_t tool, struct slice all) {
    for (struct slice rest = all; rest.n && !p->over;) {
        size_t n = piece_bytes(p->t->order, all, rest);
        if (!play_piece(p, kind, tool, slice_first(rest, n)))
            return;
        rest = slice_from(rest, n);
    }
}

static void play_block(struct play *p, enum piece kind, size_t tool, struct slice all) {
    p->ops->open(p->t, kind, tool, &p->out);
    if (!play_flush(p))
        return;
    play_pieces(p, kind, tool, all);
    if (p->over)
        return;
    p->ops->close(p->t, kind, tool, &p->out);
    (void)play_flush(p);
}

// All tool calls opened first, then their arguments in turns: OpenAI's format allows it.
static void play_interleaved(struct play *p) {
    const struct order *o = p->t->order;
    size_t longest = 0;
    for (size_t i = 0; i < o->n_tools; i++) {
        p->ops->open(p->t, PIECE_TOOL, i, &p->out);
        if (o->tools[i].arguments.n > longest)
            longest = o->tools[i].arguments.n;
    }
    (void)play_flush(p);
    for (size_t at = 0; at < longest && !p->over; at += 4)
        for (size_t i = 0; i < o->n_tools && !p->over; i++) {
            struct slice part = slice_first(slice_from(o->tools[i].arguments, at), 4);
            if (part.n)
                (void)play_piece(p, PIECE_TOOL, i, part);
        }
}

static void play_tools(struct play *p) {
    const struct order *o = p->t->order;
    if (o->interleave && p->ops == &openai_ops) {
        play_interleaved(p);
        return;
    }
    for (size_t i = 0; i < o->n_tools && !p->over; i++)
        play_block(p, PIECE_TOOL, i, o->tools[i].arguments);
}

void talk_stream(struct talk *t, struct peer *w) {
    struct play p = {t, w, shape_ops_of(t->ask->shape), BUF_INIT(64u << 20), false, false};
    p.over = t->order->first_ms > 0 && !peer_wait(w, t->order->first_ms);
    if (!p.over) {
        p.ops->begin(t, &p.out);
        (void)play_flush(&p);
    }
    if (!p.over && t->order->thinking.n)
        play_block(&p, PIECE_THINK, 0, t->order->thinking);
    if (!p.over && t->text.n)
        play_block(&p, PIECE_TEXT, 0, t->text);
    if (!p.over)
        play_tools(&p);
    if (!p.over) {
        p.ops->end(t, &p.out);
        (void)play_flush(&p);
    }
    buf_done(&p.out);
}
