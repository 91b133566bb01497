// SPDX-License-Identifier: Apache-2.0
// The inner form of a request: its empty state, notes on what did not travel, an estimate of its size, and the two
// helpers that keep tests honest (forgetting sources, deep equality). Readers of the dialects fill it, all steps read it,
// writers turn it into bytes again. Everything belongs to the exchange's arena; nothing is freed here.
#include "ir/request.h"
#include "base/limits.h"

void request_init(struct request *r) {
    *r = (struct request){
        .parallel_tools = -1,
        .format_strict = -1,
        .max_tokens = -1,
        .temperature = NUM_UNSET,
        .top_p = NUM_UNSET,
        .min_p = NUM_UNSET,
        .presence_penalty = NUM_UNSET,
        .frequency_penalty = NUM_UNSET,
        .repeat_penalty = NUM_UNSET,
        .top_k = -1,
        .n = 1,
        .logprobs = -1,
        .top_logprobs = -1,
        .think_budget = -1,
        .think_shown = -1,
        .context = -1,
        .dimensions = -1,
        .keep_ms = KEEP_UNSET,
    };
}

void notes_init(struct notes *n) {
    *n = (struct notes){0};
    n->last = &n->first;
}

void notes_add(struct arena *a, struct notes *n, const char *action, struct slice path, const char *reason) {
    if (!n->last)
        n->last = &n->first; // a zeroed one is as good as an initialised one
    struct note *note = n->n < LIMIT_DROPPED ? ARENA_NEW(a, struct note) : NULL;
    if (!note) {
        n->skipped++;
        return;
    }
    *note = (struct note){NULL, action, path, reason};
    *n->last = note;
    n->last = &note->next;
    n->n++;
}

static void parts_erase(struct part *p) {
    for (; p; p = p->next) {
        p->src = SLICE_NONE;
        parts_erase(p->content);
    }
}

void request_erase_sources(struct request *r) {
    for (struct message *m = r->messages; m; m = m->next) {
        m->src = SLICE_NONE;
        parts_erase(m->parts);
    }
    for (struct tool *t = r->tools; t; t = t->next)
        t->src = SLICE_NONE;
    r->doc.src = SLICE_NONE;
}

// Prices of what is not text, in tokens: a message's framing, and a picture at the size most providers scale it to.
#define MESSAGE_TOKENS 4
#define MEDIA_TOKENS 1024

static int64_t text_bytes(struct slice s) {
    return (int64_t)s.n;
}

static int64_t parts_estimate_bytes(const struct part *p) {
    int64_t bytes = 0;
    for (; p; p = p->next) {
        bytes += text_bytes(p->text) + text_bytes(p->name);
        bytes += parts_estimate_bytes(p->content);
        if (p->kind == PART_OPAQUE)
            bytes += text_bytes(p->src);
        if (p->kind == PART_IMAGE || p->kind == PART_AUDIO || p->kind == PART_DOCUMENT)
            bytes += MEDIA_TOKENS * 4;
    }
    return bytes;
}

int64_t request_estimate_tokens(const struct request *r) {
    int64_t bytes = text_bytes(r->prompt) + text_bytes(r->suffix) + text_bytes(r->format_schema);
    for (const struct message *m = r->messages; m; m = m->next)
        bytes += MESSAGE_TOKENS * 4 + text_bytes(m->name) + parts_estimate_bytes(m->parts);
    for (const struct tool *t = r->tools; t; t = t->next)
        bytes += text_bytes(t->name) + text_bytes(t->description) + text_bytes(t->opaque ? t->src : t->schema);
    return bytes / 4 + 1;
}
