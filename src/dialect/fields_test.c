// SPDX-License-Identifier: Apache-2.0
// docs/fields.md: what becomes of each field of a client's request at an upstream of each other dialect, and of each thing
// in an upstream's answer at a client of each other. The page is what the codecs do with the probes of fields_probes.h, so
// that it cannot say what is not so: a probe is written with and without its field, and the cell comes from the difference
// and from the notes. A field that vanishes without a note fails the test, unless the probe says why nothing is lost.
// GRIDTIE_UPDATE=1 gridtie-unit fields_page writes the page; without it the page in the tree must be the same.
#include <stdio.h>
#include "base/mem.h"
#include "dialect/carry.h"
#include "dialect/codec.h"
#include "dialect/fields_probes.h"
#include "dialect/samples.h"
#include "unit.h"

#define PAGE "docs/fields.md"
#define REASONS_MAX 200

static struct arena arena;

static struct {
    const char *texts[REASONS_MAX];
    size_t n;
} reasons;

static size_t reason_number(const char *text) {
    for (size_t i = 0; i < reasons.n; i++)
        if (strcmp(reasons.texts[i], text) == 0)
            return i + 1;
    if (reasons.n < REASONS_MAX)
        reasons.texts[reasons.n++] = text;
    return reasons.n;
}

// ---- the columns

struct column {
    const char *name;
    enum dialect_id dialect;
    unsigned quirks;
};

static const struct column columns[] = {
    {"openai", DIALECT_OPENAI, QUIRK_MAX_COMPLETION_TOKENS},
    {"llama-server", DIALECT_OPENAI, QUIRK_LLAMA_STATUS | QUIRK_CACHE_PROMPT | QUIRK_NO_DEVELOPER_ROLE},
    {"responses", DIALECT_RESPONSES, 0},
    {"anthropic", DIALECT_ANTHROPIC, 0},
    {"gemini", DIALECT_GEMINI, 0},
    {"ollama", DIALECT_OLLAMA, 0},
    {"replicate", DIALECT_REPLICATE, 0},
};
#define N_COLUMNS (sizeof columns / sizeof columns[0])

// ---- bodies

// ' → ", and the rest of the body around it.
static struct slice json_of(const char *head, const char *text, const char *tail) {
    char *made = arena_printf(&arena, "%s%s%s", head, text, tail);
    for (char *c = made; c && *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return slice_str(made);
}

static struct slice request_body(const struct request_probe *p, const char *members) {
    const struct request_base *b = &request_bases[p->client];
    bool own_turns = strstr(p->with, b->turns_name) != NULL || p->op == OP_GENERATE;
    bool some = *members != 0;
    char *head = arena_printf(&arena, "{%s%s%s%s", b->head, own_turns || !*b->head ? "" : ",",
                              own_turns ? "" : b->turns, some && (!own_turns || *b->head) ? "," : "");
    return json_of(head, members, "}");
}

static enum err write_one(const struct request_probe *p, const struct column *c, struct slice body,
                          struct wire_request *ret) {
    struct request *r;
    struct problem problem = PROBLEM(ERR_OK);
    struct write_options o = {.max_tokens = -1, .stream = -1, .default_max_tokens = 4096, .quirks = c->quirks};
    enum err e = dialect_get(p->client)->read_request(&arena, p->op, body, &r, &problem);
    if (e)
        unit_fail(__FILE__, __LINE__, "%s %s is not read: %.*s", dialect_get(p->client)->name, p->field,
                  SLICE_FMT(problem.message));
    if (e)
        return e;
    r->model = SLICE("m");
    o.model = r->model;
    request_erase_sources(r);
    return dialect_get(c->dialect)->write_request(&arena, r, &o, ret, &problem);
}

static bool note_in(const struct notes *list, const struct note *n) {
    for (const struct note *o = list->first; o; o = o->next)
        if (strcmp(o->action, n->action) == 0 && slice_eq(o->path, n->path) && strcmp(o->reason, n->reason) == 0)
            return true;
    return false;
}

// ---- cells

// The numbers of the notes that come with the field.
static const char *notes_of(const struct wire_request *with, const struct wire_request *without) {
    const char *text = "";
    for (const struct note *n = with->notes.first; n; n = n->next)
        if (!note_in(&without->notes, n))
            text = arena_printf(&arena, "%s%s%zu", text, *text ? ", " : " ", reason_number(n->reason));
    return text;
}

// A part of a whole that is dropped with a note goes with it: no tools, no `strict` of one.
static const char *dropped_whole(const struct wire_request *without) {
    const char *text = "";
    for (const struct note *n = without->notes.first; n; n = n->next)
        if (strcmp(n->action, "dropped") == 0)
            text = arena_printf(&arena, "%s%s%zu", text, *text ? ", " : " ", reason_number(n->reason));
    return text;
}

static const char *request_cell(const struct request_probe *p, const struct column *c) {
    struct wire_request with, without;
    if (c->dialect == p->client)
        return "●";
    if (write_one(p, c, request_body(p, p->without), &without))
        return "✕";
    if (write_one(p, c, request_body(p, p->with), &with))
        return "✕";
    bool differ = !slice_eq(with.body, without.body) || strcmp(with.path, without.path) != 0;
    const char *noted = notes_of(&with, &without);
    if (*noted)
        return arena_printf(&arena, "%s%s", differ ? "◐" : "○", noted);
    if (differ)
        return "●";
    const char *whole = dropped_whole(&without);
    if (!p->same && *whole)
        return arena_printf(&arena, "○%s", whole);
    if (!p->same)
        unit_fail(__FILE__, __LINE__, "%s: %s is lost on the way to %s without a note", dialect_get(p->client)->name,
                  p->field, c->name);
    return p->same ? arena_printf(&arena, "– %zu", reason_number(p->same)) : "?";
}

// What relay does with each event: signatures go where the client's dialect gives them back.
struct told {
    struct carry *carry;
    struct event_sink answer;
};

static enum err tell(void *ctx, const struct event *ev) {
    struct told *t = ctx;
    return carry_event(t->carry, ev, &t->answer);
}

// Ids that count the blocks of an answer would make it another one.
static struct slice without_counts(struct slice s) {
    char *out = arena_alloc(&arena, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        out[n++] = s.p[i];
        if (n > 4 && memcmp(out + n - 4, "_x1_", 4) == 0)
            while (i + 1 < s.n && s.p[i + 1] >= '0' && s.p[i + 1] <= '9')
                i++;
    }
    return slice_of(out, n);
}

static struct slice answer_told(const struct answer_probe *p, const struct dialect *client, const char *members) {
    const struct answer_base *b = &answer_bases[p->upstream];
    struct answer *answer = answer_new(&arena);
    struct told t = {carry_new(&arena, dialect_get(p->upstream), client), {sample_collect, answer}};
    struct event_sink sink = {tell, &t};
    struct request r;
    struct buf out = BUF_INIT(1 << 20);
    struct slice told = SLICE_NONE, body = json_of(b->head, members, b->tail);
    request_init(&r);
    r.dialect = (int)client->id;
    r.model = SLICE("m");
    r.think_shown = 1;
    if (dialect_get(p->upstream)->read_answer(&arena, OP_CHAT, body, &sink) ||
        client->write_answer(&arena, &r, answer, &sample_identity, &out) || buf_into_arena(&out, &arena, &told))
        unit_fail(__FILE__, __LINE__, "%s %s: not told to %s: %.*s", dialect_get(p->upstream)->name, p->field,
                  client->name, SLICE_FMT(body));
    return without_counts(told);
}

static const char *answer_cell(const struct answer_probe *p, const struct dialect *client) {
    if (client->id == p->upstream)
        return "●";
    struct slice with = answer_told(p, client, p->with), without = answer_told(p, client, p->without);
    if (slice_eq(with, without))
        return p->how && !p->like ? arena_printf(&arena, "◐ %zu", reason_number(p->how)) : "○";
    if (p->like && slice_eq(with, answer_told(p, client, p->like)))
        return arena_printf(&arena, "◐ %zu", reason_number(p->how));
    return "●";
}

// ---- the page

static const char *const page_head =
    "# What becomes of each field\n\n"
    "This page is written by a test (`src/dialect/fields_test.c`) from what the code does, and the test fails when it no longer\n"
    "fits. ● carried, ◐ approximated, ○ dropped, – nothing to carry, ✕ refused; the numbers lead to the reasons at the end.\n"
    "What is approximated or dropped in a request is also told by `gridtie why`. Between equal dialects all is carried: the bytes\n"
    "go through as they came. ○ in an answer: the client's dialect has no place for it; what a provider signed is kept in memory then,\n"
    "and goes back to it with the next turn ([Packed](dialects.md)). How addresses, streams and errors differ:\n"
    "[dialects.md](dialects.md).\n";

static void row_begin(struct buf *out, const char *field) {
    buf_printf(out, "| %s |", field);
}

static void put_requests(struct buf *out, enum dialect_id client) {
    buf_printf(out, "\n## Requests of %s clients\n| field |", dialect_get(client)->name);
    for (size_t c = 0; c < N_COLUMNS; c++)
        if (columns[c].dialect != client)
            buf_printf(out, " → %s |", columns[c].name);
    buf_append_str(out, "\n|---|");
    for (size_t c = 0; c < N_COLUMNS; c++)
        if (columns[c].dialect != client)
            buf_append_str(out, "---|");
    buf_append_char(out, '\n');
    for (const struct request_probe *p = request_probes; p->field; p++) {
        if (p->client != client)
            continue;
        row_begin(out, p->field);
        for (size_t c = 0; c < N_COLUMNS; c++)
            if (columns[c].dialect != client)
                buf_printf(out, " %s |", request_cell(p, &columns[c]));
        buf_append_char(out, '\n');
    }
}

static void put_answers(struct buf *out, enum dialect_id upstream) {
    buf_printf(out, "\n## Answers of %s upstreams\n| in the answer |", dialect_get(upstream)->name);
    for (int c = 0; c < DIALECT_COUNT; c++)
        if (c != (int)upstream && dialect_has_clients(dialects[c]))
            buf_printf(out, " → %s |", dialects[c]->name);
    buf_append_str(out, "\n|---|---|---|---|---|\n");
    for (const struct answer_probe *p = answer_probes; p->field; p++) {
        if (p->upstream != upstream)
            continue;
        row_begin(out, p->field);
        for (int c = 0; c < DIALECT_COUNT; c++)
            if (c != (int)upstream && dialect_has_clients(dialects[c]))
                buf_printf(out, " %s |", answer_cell(p, dialects[c]));
        buf_append_char(out, '\n');
    }
}

static void put_page(struct buf *out) {
    reasons.n = 0;
    buf_append_str(out, page_head);
    for (int d = 0; d < DIALECT_COUNT; d++)
        if (dialect_has_clients(dialects[d]))
            put_requests(out, (enum dialect_id)d);
    for (int d = 0; d < DIALECT_COUNT; d++)
        if (dialect_has_clients(dialects[d]))
            put_answers(out, (enum dialect_id)d);
    buf_append_str(out, "\n## Reasons\n");
    for (size_t i = 0; i < reasons.n; i++)
        buf_printf(out, "%zu. %s\n", i + 1, reasons.texts[i]);
}

static struct slice file_read(const char *path) {
    FILE *f = fopen(path, "rb");
    size_t room = 1 << 20, n = 0;
    char *text = f ? arena_alloc(&arena, room) : NULL;
    n = text ? fread(text, 1, room, f) : 0;
    if (f)
        (void)fclose(f);
    return text ? slice_of(text, n) : SLICE_NONE;
}

TEST(fields_page_is_what_the_codecs_do) {
    const char *root = getenv("GRIDTIE_ROOT");
    arena_init(&arena, 256 << 20, 0);
    struct buf page = BUF_INIT(1 << 20);
    put_page(&page);
    struct slice text = buf_slice(&page);
    const char *path = arena_printf(&arena, "%s/" PAGE, root ? root : ".");
    if (getenv("GRIDTIE_UPDATE")) {
        FILE *f = fopen(path, "wb");
        bool wrote = f && fwrite(text.p, 1, text.n, f) == text.n;
        if (f)
            (void)fclose(f);
        CHECK(wrote);
    }
    struct slice kept = file_read(path);
    if (!kept.p)
        unit_skip("no " PAGE " from here");
    else if (!slice_eq(kept, text))
        unit_fail(__FILE__, __LINE__,
                  "%s is not what the codecs do; GRIDTIE_UPDATE=1 gridtie-unit fields_page writes it", path);
    buf_done(&page);
    arena_done(&arena);
}

// ---- no field of a sample without its probe

static bool probed(enum dialect_id d, const char *name) {
    const char *quoted = arena_printf(&arena, "'%s'", name);
    if (!quoted)
        return false;
    if (strstr(request_bases[d].head, quoted) || strstr(request_bases[d].turns, quoted))
        return true;
    for (const struct request_probe *p = request_probes; p->field; p++)
        if (p->client == d && strstr(p->with, quoted))
            return true;
    return false;
}

// Schemas and a model's arguments are anyone's.
static bool is_free(const char *name, yyjson_val *v) {
    static const char *const names[] = {"parameters",
                                        "input_schema",
                                        "schema",
                                        "args",
                                        "arguments",
                                        "response",
                                        "input",
                                        "responseSchema",
                                        "parametersJsonSchema",
                                        "parameters_json_schema",
                                        "response_json_schema",
                                        "format",
                                        "cache_control",
                                        NULL};
    for (const char *const *n = names; *n && yyjson_is_obj(v); n++)
        if (strcmp(*n, name) == 0)
            return true;
    return false;
}

static void check_probed(enum dialect_id d, yyjson_val *v) {
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_arr(v)) {
        yyjson_arr_foreach(v, i, n, item) check_probed(d, item);
    } else if (yyjson_is_obj(v)) {
        yyjson_obj_foreach(v, i, n, key, item) {
            const char *name = yyjson_get_str(key);
            if (!probed(d, name))
                unit_fail(__FILE__, __LINE__, "%s: no probe of fields_probes.h has '%s'", dialect_get(d)->name, name);
            if (name && !is_free(name, item))
                check_probed(d, item);
        }
    }
}

TEST(fields_of_the_samples_are_probed) {
    arena_init(&arena, 256 << 20, 0);
    EACH_SAMPLE(d, requests, s) {
        yyjson_doc *doc = yyjson_read(*s, strlen(*s), 0);
        check_probed(d->id, yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
    }
    arena_done(&arena);
}
