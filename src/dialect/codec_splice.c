// SPDX-License-Identifier: Apache-2.0
// Splicing: the client's own bytes go to an upstream of the same dialect, with only those members changed that must
// change. What we do not model thereby survives, in its order and spelling. The source is borrowed and never written
// to; the result is the source itself when nothing applies, else one allocation in the arena.
// Not for anything but the members of the root object (edits) and bytes whose place is known (patches).
#include "dialect/codec.h"
#include "base/mem.h"

struct src_walk src_walk_array(struct slice array_src) {
    if (!array_src.n || array_src.p[0] != '[')
        return (struct src_walk){SLICE_NONE};
    return (struct src_walk){slice_from(array_src, 1)};
}

struct src_walk src_walk_member(const struct json_doc *doc, yyjson_val *obj, const char *name) {
    return src_walk_array(json_get_rest(doc, obj, name));
}

struct slice src_walk_next(struct src_walk *w) {
    if (!w->rest.n)
        return SLICE_NONE;
    struct slice v = json_value_at(w->rest);
    if (!v.n)
        return SLICE_NONE;
    struct slice rest = slice_from(w->rest, (size_t)(v.p + v.n - w->rest.p));
    size_t i = 0;
    while (i < rest.n && strchr(" \t\r\n,", rest.p[i]) && rest.p[i])
        i++;
    w->rest = slice_from(rest, i);
    return v;
}

// ---- one pass over the root's members, copying what stays

struct splicer {
    struct slice src;
    const struct edit *edits;
    size_t n_edits;
    const struct patch *patches;
    size_t n_patches;
    size_t next_patch;
    struct buf out;
    uint64_t applied; // edits that found their member
    bool changed;
    unsigned kept; // members written
};

static size_t offset_of(const struct splicer *s, const char *p) {
    return (size_t)(p - s->src.p);
}

static void copy_range(struct splicer *s, size_t from, size_t to) {
    while (s->next_patch < s->n_patches) {
        const struct patch *p = &s->patches[s->next_patch];
        size_t at = offset_of(s, p->old.p);
        if (at + p->old.n > to)
            break;
        s->next_patch++;
        if (at < from)
            continue;
        buf_append_mem(&s->out, s->src.p + from, at - from);
        buf_append(&s->out, p->text);
        from = at + p->old.n;
        s->changed = true;
    }
    buf_append_mem(&s->out, s->src.p + from, to - from);
}

static const struct edit *edit_for(struct splicer *s, yyjson_val *key) {
    for (size_t i = 0; i < s->n_edits; i++) {
        if (!yyjson_equals_str(key, s->edits[i].name))
            continue;
        s->applied |= UINT64_C(1) << i;
        return &s->edits[i];
    }
    return NULL;
}

static void put_member(struct splicer *s, const struct edit *e, size_t key_at, struct slice value) {
    size_t value_at = offset_of(s, value.p);
    if (!e) {
        copy_range(s, key_at, value_at + value.n);
        return;
    }
    copy_range(s, key_at, value_at);
    s->changed |= !slice_eq(e->value, value);
    buf_append(&s->out, e->value);
}

static void put_absent(struct splicer *s) {
    for (size_t i = 0; i < s->n_edits; i++) {
        if (s->applied & (UINT64_C(1) << i) || !s->edits[i].value.p)
            continue;
        struct json_writer w = JSON_WRITER(&s->out);
        w.comma = s->kept++ > 0;
        json_kv_raw(&w, s->edits[i].name, s->edits[i].value);
        s->changed = true;
    }
}

// False: the source does not fit the tree.
static bool put_members(struct splicer *s, const struct json_doc *doc) {
    size_t end = offset_of(s, json_value_at(s->src).p) + 1; // behind the opening brace
    bool first = true;
    yyjson_obj_iter it = yyjson_obj_iter_with(yyjson_doc_get_root(doc->doc));
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it)); first = false) {
        struct slice value = json_member_src(doc, key);
        size_t key_at = json_str_at(doc, key) - 1;
        if (!value.p)
            return false;
        if (first)
            copy_range(s, 0, key_at);
        const struct edit *e = edit_for(s, key);
        if (e && !e->value.p) {
            s->changed = true;
        } else {
            if (s->kept++ > 0)
                copy_range(s, end, key_at);
            put_member(s, e, key_at, value);
        }
        end = offset_of(s, value.p) + value.n;
    }
    if (first)
        copy_range(s, 0, end);
    put_absent(s);
    copy_range(s, end, s->src.n);
    return true;
}

enum err splice(struct arena *a, const struct json_doc *doc, const struct edit *edits, size_t n_edits,
                const struct patch *patches, size_t n_patches, struct slice *ret) {
    if (n_edits == 0 && n_patches == 0) {
        *ret = doc->src;
        return ERR_OK;
    }
    size_t room = doc->src.n + 64;
    for (size_t i = 0; i < n_edits; i++)
        room += strlen(edits[i].name) + edits[i].value.n + 8;
    for (size_t i = 0; i < n_patches; i++)
        room += patches[i].text.n;
    struct splicer s = {
        .src = doc->src, .edits = edits, .n_edits = n_edits, .patches = patches, .n_patches = n_patches};
    s.out = BUF_INIT(room);
    if (!buf_reserve(&s.out, room) || !put_members(&s, doc)) {
        enum err e = s.out.failed ? ERR_NO_MEMORY : ERR_INTERNAL;
        buf_done(&s.out);
        return e;
    }
    if (!s.changed) {
        buf_done(&s.out);
        *ret = doc->src;
        return ERR_OK;
    }
    return buf_into_arena(&s.out, a, ret);
}

struct slice json_text_str(struct arena *a, struct slice s) {
    struct buf b = BUF_INIT(s.n * 6 + 16);
    struct json_writer w = JSON_WRITER(&b);
    struct slice text = SLICE_NONE;
    json_put_str(&w, s);
    if (buf_into_arena(&b, a, &text))
        return SLICE_NONE;
    return text;
}

struct slice json_text_int(struct arena *a, int64_t v) {
    char *text = arena_printf(a, "%lld", (long long)v);
    return slice_str(text);
}

// ---- bufs at the end of a writer

enum err buf_status(const struct buf *b) {
    return b->failed ? ERR_NO_MEMORY : ERR_OK;
}

// Large texts are handed over, small ones copied: a cleanup for each would cost more than the copy.
#define HAND_OVER_BYTES 16384

enum err buf_into_arena(struct buf *b, struct arena *a, struct slice *ret) {
    struct slice s = SLICE_NONE;
    if (!b->failed && b->len > HAND_OVER_BYTES && arena_defer(a, mem_free, b->p)) {
        s = buf_slice(b);
        *b = BUF_INIT(b->max);
    } else if (!b->failed) {
        s = arena_copy(a, buf_slice(b));
    }
    buf_done(b);
    if (!s.p)
        return ERR_NO_MEMORY;
    *ret = s;
    return ERR_OK;
}
