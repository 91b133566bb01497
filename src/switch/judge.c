// SPDX-License-Identifier: Apache-2.0
// Holds a structured answer against its schema. It listens in the pipe of an attempt behind everything that may change the
// text. At the finish of each choice the text is parsed and checked, whoever the upstream is: what a provider guarantees is
// its own affair, and a check costs little beside an answer. A whole answer is judged before the client sees a byte of it;
// of a stream the text is gone by then, so what is held back is its proper end.
#include "switch/judge.h"
#include "base/limits.h"
#include "ir/schema.h"

#define CHOICES_MAX 16 // what a reader may tell of

struct judge {
    struct arena *a;
    struct json_doc schema;
    struct buf text[CHOICES_MAX];
    bool excused[CHOICES_MAX]; // it called a tool, or refused
    bool gave_up;
};

bool judge_wanted(const struct request *r) {
    return r->op != OP_COUNT_TOKENS && r->format == FORMAT_SCHEMA && r->format_schema.n && r->format_strict != 0;
}

static void judge_free(void *arg) {
    struct judge *j = arg;
    for (size_t i = 0; i < CHOICES_MAX; i++)
        buf_done(&j->text[i]);
}

struct judge *judge_new(struct arena *a, const struct request *r) {
    struct judge *j = ARENA_NEW(a, struct judge);
    struct json_error why;
    if (!j || !arena_defer(a, judge_free, j) || json_read(a, r->format_schema, &j->schema, &why))
        return NULL;
    j->a = a;
    for (size_t i = 0; i < CHOICES_MAX; i++)
        buf_init(&j->text[i], LIMIT_UP_BODY_BYTES);
    return j;
}

bool judge_gave_up(const struct judge *j) {
    return j->gave_up;
}

static enum err judge_text(struct judge *j, struct slice text, struct problem *problem) {
    struct json_doc doc;
    struct json_error why;
    struct schema_fault f = {"it is not JSON"};
    enum err e = json_read(j->a, text, &doc, &why);
    if (e == ERR_NO_MEMORY)
        return e;
    e = e ? ERR_UP_SCHEMA : schema_check(yyjson_doc_get_root(j->schema.doc), yyjson_doc_get_root(doc.doc), &f);
    j->gave_up |= e == ERR_LIMIT;
    if (e != ERR_UP_SCHEMA)
        return ERR_OK;
    *problem = PROBLEM(ERR_UP_SCHEMA);
    problem->message =
        slice_str(arena_printf(j->a, "the model's answer does not fit the schema that was asked for: %s", f.text));
    return e;
}

enum err judge_event(struct judge *j, const struct event *ev, struct problem *problem) {
    if (ev->choice >= CHOICES_MAX)
        return ERR_OK;
    bool text = ev->block_kind == BLOCK_TEXT;
    switch (ev->kind) {
    case EV_BLOCK_BEGIN:
        j->excused[ev->choice] |= ev->block_kind == BLOCK_TOOL || ev->block_kind == BLOCK_REFUSAL;
        return ERR_OK;
    case EV_DELTA:
        if (text)
            buf_append(&j->text[ev->choice], ev->text);
        return text && j->text[ev->choice].failed ? ERR_NO_MEMORY : ERR_OK;
    case EV_FINISH:
        if (ev->finish != FINISH_STOP || j->excused[ev->choice])
            return ERR_OK;
        return judge_text(j, buf_slice(&j->text[ev->choice]), problem);
    case EV_START:
    case EV_META:
    case EV_BLOCK_END:
    case EV_USAGE:
    case EV_PING:
    case EV_ERROR:
    case EV_END:
        break;
    }
    return ERR_OK;
}
