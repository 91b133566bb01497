// SPDX-License-Identifier: Apache-2.0
// Packing and unpacking of signatures; carry.h says why and in what form. The way out is a filter between an upstream's
// events and a client's writer of another dialect: it gathers a thinking block's text where the client has no field for
// its signature, since the provider checks both, and hands all to the next call. The way back is a walk over the parts
// of a request that was read. What comes from a client is not believed: a package is whole by its checksum or it is no
// package, and what it says is only ever given to the provider that it names, which checks its own signature.
// Texts live in the arena, the gathered ones in bufs that are freed with it.
#include "dialect/carry.h"
#include "base/limits.h"
#include "base/secret.h"

#define MARK "gtS1" // four characters, so that base64 decoders of clients see whole groups
#define ID_MARK "__" MARK
#define CHECK_BYTES 4
#define PAYLOAD_MAX_BYTES ((size_t)LIMIT_CARRIED_BYTES / 4 * 3 - 256)
#define WORDS_MAX_BYTES ((size_t)256 << 10) // of a longer answer the rest is not kept

struct carry {
    struct arena *a;
    const struct dialect *from, *to;
    struct buf text; // of the thinking block that is open
    struct buf kept; // fields that wait for a call
    struct buf words;
    struct slice words_signature; // of the text that ended last
    struct slice think_id;
    uint32_t think_block;
    bool thinking; // think_block is open, and not redacted
    bool lost;
};

static void carry_free(void *arg) {
    struct carry *c = arg;
    buf_done(&c->text);
    buf_done(&c->kept);
    buf_done(&c->words);
}

struct carry *carry_new(struct arena *a, const struct dialect *from, const struct dialect *to) {
    struct carry *c = ARENA_NEW(a, struct carry);
    if (!c || !arena_defer(a, carry_free, c))
        return NULL;
    c->a = a;
    c->from = from;
    c->to = to;
    buf_init(&c->text, PAYLOAD_MAX_BYTES);
    buf_init(&c->kept, PAYLOAD_MAX_BYTES);
    buf_init(&c->words, WORDS_MAX_BYTES);
    return c;
}

bool carry_lost(const struct carry *c) {
    return c->lost;
}

// ---- base64url (RFC 4648), read in both alphabets, since clients decode and encode again

static void base64_append(struct buf *out, struct slice s, bool padded) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = s.n - i < 3 ? s.n - i : 3;
        uint32_t v = 0;
        for (size_t j = 0; j < 3; j++)
            v = v << 8 | (j < n ? (uint8_t)s.p[i + j] : 0);
        for (size_t j = 0; j <= n; j++)
            buf_append_char(out, letters[v >> (18 - 6 * j) & 63]);
        for (size_t j = n; padded && j < 3; j++)
            buf_append_char(out, '=');
    }
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-' || c == '+')
        return 62;
    return c == '_' || c == '/' ? 63 : -1;
}

static enum err base64_decode(struct arena *a, struct slice s, struct slice *ret, bool *ret_fits) {
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;
    uint32_t v = 0;
    if (!out)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < s.n; i++) {
        int d = base64_value(s.p[i]);
        if (d < 0)
            return ERR_OK;
        v = v << 6 | (uint32_t)d;
        if (i % 4)
            out[n++] = (char)(v >> (6 - 2 * (i % 4)) & 255);
    }
    *ret_fits = s.n % 4 != 1;
    *ret = slice_of(out, n);
    return ERR_OK;
}

// ---- packages

static void field_put(struct buf *out, char kind, struct slice s) {
    buf_printf(out, "%c%zu:", kind, s.n);
    buf_append(out, s);
}

// What stands before, and the package. p NULL: out of memory, or too long, which c->lost says.
static struct slice pack(struct carry *c, struct slice before, struct slice fields, bool padded) {
    struct buf rest = BUF_INIT(PAYLOAD_MAX_BYTES + 64), sealed = BUF_INIT(PAYLOAD_MAX_BYTES + 128);
    struct buf out = BUF_INIT((size_t)LIMIT_CARRIED_BYTES + before.n);
    struct slice text = SLICE_NONE;
    uint8_t hash[32];
    buf_append_str(&rest, c->from->name);
    buf_append_char(&rest, '\n');
    buf_append(&rest, fields);
    sha256(buf_slice(&rest), hash);
    buf_append_mem(&sealed, hash, CHECK_BYTES);
    buf_append(&sealed, buf_slice(&rest));
    buf_append(&out, before);
    buf_append_str(&out, before.p ? ID_MARK : MARK);
    base64_append(&out, buf_slice(&sealed), padded);
    if (!rest.failed && !sealed.failed && !out.failed)
        text = arena_copy(c->a, buf_slice(&out));
    buf_done(&rest);
    buf_done(&sealed);
    buf_done(&out);
    return text;
}

struct package {
    struct slice id; // what stands before it
    uint8_t maker;   // 1 + dialect
    struct slice fields;
};

static bool package_open(struct slice sealed, struct package *ret) {
    uint8_t hash[32];
    struct slice rest = slice_from(sealed, CHECK_BYTES);
    sha256(rest, hash);
    if (!rest.n || memcmp(hash, sealed.p, CHECK_BYTES) != 0)
        return false;
    const struct dialect *d = dialect_by_name(slice_split(&rest, '\n'));
    if (!d)
        return false;
    ret->maker = (uint8_t)(d->id + 1);
    ret->fields = rest;
    return true;
}

// *ret_found false: the text is no package.
static enum err package_find(struct arena *a, struct slice text, bool is_id, struct package *ret, bool *ret_found) {
    struct slice sealed = SLICE_NONE;
    const char *mark = is_id ? ID_MARK : MARK;
    size_t at = slice_search(text, slice_str(mark)), n = strlen(mark);
    bool fits = false;
    *ret_found = false;
    *ret = (struct package){0};
    if (at == SIZE_MAX || (!is_id && at != 0) || text.n - at > LIMIT_CARRIED_BYTES + 16)
        return ERR_OK;
    for (size_t more; is_id && (more = slice_search(slice_from(text, at + n), slice_str(mark))) != SIZE_MAX;)
        at += n + more; // the last one is ours
    enum err e = base64_decode(a, slice_from(text, at + n), &sealed, &fits);
    if (e || !fits)
        return e;
    ret->id = slice_of(text.p, at);
    *ret_found = package_open(sealed, ret);
    return ERR_OK;
}

static bool field_next(struct slice *rest, char *ret_kind, struct slice *ret) {
    uint64_t n;
    size_t colon = rest->p ? slice_find(*rest, ':') : SIZE_MAX;
    if (colon == SIZE_MAX || colon < 2 || !slice_u64(slice_of(rest->p + 1, colon - 1), &n) || n > rest->n - colon - 1)
        return false;
    *ret_kind = rest->p[0];
    *ret = slice_of(rest->p + colon + 1, (size_t)n);
    *rest = slice_from(*rest, colon + 1 + (size_t)n);
    return true;
}

// ---- the way out

static enum err no_room(struct carry *c) {
    c->lost = true;
    return ERR_OK;
}

static void think_fields(struct carry *c, struct buf *out, char kind, struct slice data) {
    if (c->think_id.n)
        field_put(out, 'i', c->think_id);
    if (c->text.len)
        field_put(out, 't', buf_slice(&c->text));
    field_put(out, kind, data);
}

static enum err keep_for_call(struct carry *c, char kind, struct slice data) {
    if (c->text.failed)
        c->kept.failed = true;
    think_fields(c, &c->kept, kind, data);
    return ERR_OK; // what failed shows when it is packed
}

// A thinking block whose signature (or data, kind 'r') goes into the client's own field.
static enum err seal_think(struct carry *c, char kind, struct slice data, struct slice *ret) {
    struct buf fields = BUF_INIT(PAYLOAD_MAX_BYTES);
    think_fields(c, &fields, kind, data);
    *ret = fields.failed ? SLICE_NONE : pack(c, SLICE_NONE, buf_slice(&fields), true);
    buf_done(&fields);
    return ret->p ? ERR_OK : no_room(c);
}

static enum err on_think_begin(struct carry *c, const struct event *ev, struct event_sink *sink) {
    struct event out = *ev;
    enum err e = ERR_OK;
    buf_clear(&c->text);
    c->think_block = ev->block;
    c->thinking = !ev->redacted;
    c->think_id = ev->call_id.n ? arena_copy(c->a, ev->call_id) : SLICE_NONE;
    out.call_id = SLICE_NONE;
    if (ev->redacted && c->to->signs_thinking)
        e = seal_think(c, 'r', ev->text, &out.text);
    else if (ev->redacted)
        e = keep_for_call(c, 'r', ev->text);
    return e ? e : sink->emit(sink->ctx, &out);
}

static enum err on_think_end(struct carry *c, const struct event *ev, struct event_sink *sink) {
    struct event out = *ev;
    enum err e = ERR_OK;
    c->thinking = false;
    if (c->to->signs_thinking)
        e = seal_think(c, ev->signature.n ? 's' : 'u', ev->signature, &out.signature);
    else if (ev->signature.n)
        e = keep_for_call(c, 's', ev->signature);
    return e ? e : sink->emit(sink->ctx, &out);
}

static enum err on_call(struct carry *c, const struct event *ev, struct event_sink *sink) {
    struct event out = *ev;
    bool signed_call = ev->signature.n && !c->to->signs_calls;
    bool looks_packed = slice_search(ev->call_id, SLICE(ID_MARK)) != SIZE_MAX;
    if (!signed_call && !c->kept.len && !c->kept.failed && !looks_packed)
        return sink->emit(sink->ctx, ev);
    if (signed_call)
        field_put(&c->kept, 'c', ev->signature);
    struct slice id = ev->call_id.p ? ev->call_id : SLICE("");
    struct slice packed = c->kept.failed ? SLICE_NONE : pack(c, id, buf_slice(&c->kept), false);
    buf_clear(&c->kept);
    if (packed.p)
        out.call_id = packed;
    else
        c->lost = true;
    return sink->emit(sink->ctx, &out);
}

static void note_words(struct carry *c, const struct event *ev) {
    if (ev->kind == EV_BLOCK_BEGIN)
        c->words_signature = SLICE_NONE;
    else if (ev->kind == EV_DELTA)
        buf_append(&c->words, ev->text);
    else if (ev->kind == EV_BLOCK_END && ev->signature.n)
        c->words_signature = arena_copy(c->a, ev->signature);
}

bool carry_rest(struct carry *c, struct slice *ret_package, struct slice *ret_words) {
    if (c->words_signature.n)
        field_put(&c->kept, 'x', c->words_signature);
    c->lost |= c->kept.failed;
    if (!c->kept.len || !c->words.len || c->kept.failed || c->words.failed)
        return false;
    *ret_package = pack(c, SLICE_NONE, buf_slice(&c->kept), false);
    *ret_words = buf_slice(&c->words);
    buf_clear(&c->kept);
    c->words_signature = SLICE_NONE;
    return ret_package->p != NULL;
}

enum err carry_event(struct carry *c, const struct event *ev, struct event_sink *sink) {
    if (ev->choice != 0)
        return sink->emit(sink->ctx, ev); // who wants several answers goes on with one, and not with its thinking
    if (ev->block_kind == BLOCK_TEXT && c->from->signs_thinking)
        note_words(c, ev);
    if (ev->kind == EV_BLOCK_BEGIN && ev->block_kind == BLOCK_THINK)
        return on_think_begin(c, ev, sink);
    if (ev->kind == EV_BLOCK_BEGIN && ev->block_kind == BLOCK_TOOL)
        return on_call(c, ev, sink);
    if (!c->thinking || ev->block != c->think_block)
        return sink->emit(sink->ctx, ev);
    if (ev->kind == EV_BLOCK_END)
        return on_think_end(c, ev, sink);
    if (ev->kind == EV_DELTA && !c->to->signs_thinking)
        buf_append(&c->text, ev->text);
    return sink->emit(sink->ctx, ev);
}

// ---- the way back

bool carry_made_by(const struct request *r, const struct part *p, enum dialect_id d) {
    return (p->made_by ? p->made_by - 1 : r->dialect) == (int)d;
}

// The next whole thinking of a package; false at its end. A call's signature goes to *call.
static bool think_next(struct slice *rest, struct part *ret, struct slice *call) {
    char kind;
    struct slice s;
    *ret = (struct part){.kind = PART_THINK};
    while (field_next(rest, &kind, &s)) {
        if (kind == 'i')
            ret->id = s;
        else if (kind == 't')
            ret->text = s;
        else if (kind == 'c' || kind == 'x')
            *call = s;
        if (kind != 's' && kind != 'r' && kind != 'u')
            continue;
        ret->redacted = kind == 'r';
        *(kind == 'r' ? &ret->data : &ret->signature) = kind == 'u' ? SLICE_NONE : s;
        return true;
    }
    return false;
}

static enum err unpack_think(struct arena *a, struct request *r, struct part *p) {
    struct package pk;
    struct part inner;
    struct slice call = SLICE_NONE;
    bool found;
    enum err e = package_find(a, p->signature, false, &pk, &found);
    if (e || !found || !think_next(&pk.fields, &inner, &call))
        return e;
    r->carried = true;
    p->made_by = pk.maker;
    p->id = inner.id;
    p->signature = inner.signature;
    p->redacted = inner.redacted;
    p->data = inner.data;
    return ERR_OK;
}

// A client that gives thinking back without its signature gives a copy of what the package holds.
static void drop_unsigned(struct message *m) {
    for (struct part **at = &m->parts; *at;) {
        bool copy = (*at)->kind == PART_THINK && !(*at)->signature.n && !(*at)->redacted && !(*at)->made_by;
        if (copy)
            *at = (*at)->next;
        else
            at = &(*at)->next;
    }
}

// Thinking stands in front of its turn, as it did; that before a later call of the turn stands before that call.
static enum err unpack_call(struct arena *a, struct request *r, struct message *m, struct part *p, bool first) {
    struct package pk;
    struct part inner;
    bool found;
    enum err e = package_find(a, p->id, true, &pk, &found);
    if (e || !found)
        return e;
    r->carried = true;
    p->id = pk.id;
    p->made_by = pk.maker;
    for (bool any = false; think_next(&pk.fields, &inner, &p->signature); any = true) {
        struct part *think = ARENA_NEW(a, struct part);
        if (!think)
            return ERR_NO_MEMORY;
        if (!any && first)
            drop_unsigned(m);
        struct part **at = &m->parts;
        while (*at && *at != p && (!first || (*at)->made_by))
            at = &(*at)->next;
        *think = inner;
        think->made_by = pk.maker;
        think->next = *at;
        *at = think;
    }
    return ERR_OK;
}

static enum err unpack_result(struct arena *a, struct request *r, struct part *p) {
    struct package pk;
    bool found;
    enum err e = package_find(a, p->id, true, &pk, &found);
    if (e || !found)
        return e;
    r->carried = true;
    p->id = pk.id;
    return ERR_OK;
}

static enum err unpack_message(struct arena *a, struct request *r, struct message *m) {
    bool first = true;
    enum err e = ERR_OK;
    for (struct part *p = m->parts; p && !e; p = p->next) {
        if (p->kind == PART_THINK && p->signature.n)
            e = unpack_think(a, r, p);
        else if (p->kind == PART_TOOL_CALL)
            e = unpack_call(a, r, m, p, first);
        else if (p->kind == PART_TOOL_RESULT)
            e = unpack_result(a, r, p);
        first &= p->kind != PART_TOOL_CALL;
    }
    return e;
}

enum err carry_put_back(struct arena *a, struct message *m, struct slice package) {
    struct package pk;
    struct part inner, **at = &m->parts;
    struct slice words = SLICE_NONE;
    bool found;
    enum err e = package_find(a, package, false, &pk, &found);
    if (e || !found)
        return e;
    for (bool any = false; think_next(&pk.fields, &inner, &words); any = true) {
        struct part *think = ARENA_NEW(a, struct part);
        if (!think)
            return ERR_NO_MEMORY;
        if (!any)
            drop_unsigned(m);
        *think = inner;
        think->made_by = pk.maker;
        think->next = *at;
        *at = think;
        at = &think->next;
    }
    struct part *last = NULL;
    for (struct part *p = m->parts; p; p = p->next)
        last = p->kind == PART_TEXT ? p : last;
    if (!last || !words.n)
        return ERR_OK;
    last->signature = words;
    last->made_by = pk.maker;
    return ERR_OK;
}

enum err carry_unpack(struct arena *a, struct request *r) {
    enum err e = ERR_OK;
    for (struct message *m = r->messages; m && !e; m = m->next)
        e = unpack_message(a, r, m);
    return e;
}
