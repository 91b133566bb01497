// SPDX-License-Identifier: Apache-2.0
// Short forms to build requests and to understand their values: list links, texts of parts, data URLs, tool arguments,
// levels and budgets of thinking. Readers and writers of all dialects use them, so that one meaning has one place.
// What is allocated belongs to the arena. No I/O, no logging.
#include "dialect/codec.h"
#include "base/limits.h"
#include "dialect/carry.h"

struct message *message_add(struct arena *a, struct message ***tail, enum role role) {
    struct message *m = ARENA_NEW(a, struct message);
    if (!m)
        return NULL;
    m->role = role;
    **tail = m;
    *tail = &m->next;
    return m;
}

struct part *part_add(struct arena *a, struct part ***tail, enum part_kind kind) {
    struct part *p = ARENA_NEW(a, struct part);
    if (!p)
        return NULL;
    p->kind = kind;
    **tail = p;
    *tail = &p->next;
    return p;
}

struct tool *tool_add(struct arena *a, struct tool ***tail) {
    struct tool *t = ARENA_NEW(a, struct tool);
    if (!t)
        return NULL;
    t->strict = -1;
    **tail = t;
    *tail = &t->next;
    return t;
}

static bool is_text(const struct part *p) {
    return p->kind == PART_TEXT || p->kind == PART_REFUSAL;
}

struct slice parts_text(struct arena *a, const struct part *first) {
    struct slice only = SLICE_NONE;
    size_t n = 0, bytes = 0;
    for (const struct part *p = first; p; p = p->next) {
        if (!is_text(p))
            continue;
        only = p->text;
        bytes += p->text.n;
        n++;
    }
    if (n <= 1)
        return only;
    char *joined = arena_alloc(a, bytes + 1), *at = joined;
    if (!joined)
        return SLICE_NONE;
    for (const struct part *p = first; p; p = p->next) {
        if (is_text(p) && p->text.n)
            at = mempcpy(at, p->text.p, p->text.n);
    }
    *at = 0;
    return slice_of(joined, bytes);
}

bool data_url_split(struct slice url, struct slice *ret_media_type, struct slice *ret_data) {
    if (!slice_eq_nocase(slice_first(url, 5), SLICE("data:")))
        return false;
    struct slice rest = slice_from(url, 5), head = slice_split(&rest, ',');
    if (!rest.p || !slice_ends(head, ";base64"))
        return false;
    *ret_media_type = slice_split(&head, ';'); // parameters such as charset say nothing about the bytes
    *ret_data = rest;
    return true;
}

struct slice arguments_object(struct arena *a, struct slice arguments) {
    struct slice text = slice_trim(arguments);
    struct json_doc doc;
    struct json_error why;
    if (!text.n)
        return SLICE("{}");
    if (text.p[0] != '{' || json_read(a, text, &doc, &why))
        return SLICE_NONE;
    return text;
}

static void note_part(struct request *r, const struct part *p) {
    r->has_images |= p->kind == PART_IMAGE;
    r->has_audio |= p->kind == PART_AUDIO;
    r->has_documents |= p->kind == PART_DOCUMENT;
    r->has_files |= p->kind == PART_DOCUMENT && !p->text.n;
    r->has_thinking |= p->kind == PART_THINK;
    r->has_remote_media |= p->url.n > 0;
    for (const struct part *inner = p->content; inner; inner = inner->next)
        note_part(r, inner);
}

static void note_media(struct request *r) {
    for (const struct message *m = r->messages; m; m = m->next)
        for (const struct part *p = m->parts; p; p = p->next) {
            note_part(r, p);
            r->has_foreign |= m->role == ROLE_USER && p->kind == PART_OPAQUE;
        }
}

enum err request_complete(struct field_reader *rd, struct request *r) {
    if (carry_unpack(rd->a, r))
        return field_no_memory(rd);
    note_media(r);
    return ERR_OK;
}

enum err request_unmodelled_add(struct field_reader *rd, struct request *r, const char *path) {
    if (r->n_unmodelled >= LIMIT_DROPPED)
        return ERR_OK;
    struct slice *all = arena_array(rd->a, r->n_unmodelled + 1, sizeof *all);
    if (!all || !path)
        return field_no_memory(rd);
    if (r->n_unmodelled)
        memcpy(all, r->unmodelled, r->n_unmodelled * sizeof *all);
    all[r->n_unmodelled++] = slice_str(path);
    r->unmodelled = all;
    return ERR_OK;
}

void put_unmodelled(struct json_writer *w, const struct request *r) {
    if (!r->doc.src.p)
        return;
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_doc_get_root(r->doc.doc));
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        for (size_t i = 0; i < r->n_unmodelled; i++) {
            if (!slice_eq(json_str(key), r->unmodelled[i]))
                continue;
            json_key_slice(w, json_str(key));
            json_put_raw(w, json_member_src(&r->doc, key));
            break;
        }
    }
}

const char preferences_dropped[] = "only OpenRouter knows these preferences; here the routes of the config decide";

void notes_unmodelled(struct arena *a, struct notes *n, const struct request *r) {
    for (size_t i = 0; i < r->n_unmodelled; i++)
        notes_add(a, n, "dropped", r->unmodelled[i], "this field is known to the client's dialect only");
    if (r->provider_prefs.p)
        notes_add(a, n, "dropped", SLICE("provider"), preferences_dropped);
    if (r->store)
        notes_add(a, n, "dropped", SLICE("store"), "answers are not kept: send back what the next turn needs");
}

// ---- thinking

enum think think_of_budget(int64_t tokens) {
    if (tokens < 0)
        return THINK_UNSET;
    if (tokens == 0)
        return THINK_OFF;
    if (tokens <= 768)
        return THINK_MINIMAL;
    if (tokens <= 2560)
        return THINK_LOW;
    return tokens <= 10240 ? THINK_MEDIUM : THINK_HIGH;
}

int64_t budget_of_think(enum think level) {
    switch (level) {
    case THINK_UNSET:
        return -1;
    case THINK_OFF:
        return 0;
    case THINK_MINIMAL:
        return 512;
    case THINK_LOW:
        return 1024;
    case THINK_ON:
    case THINK_MEDIUM:
        return 4096;
    case THINK_HIGH:
        return 16384;
    }
    return -1;
}

enum think request_think_level(const struct request *r) {
    bool open = r->think == THINK_ON || r->think == THINK_UNSET;
    return open && r->think_budget >= 0 ? think_of_budget(r->think_budget) : r->think;
}
