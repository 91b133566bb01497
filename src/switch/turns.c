// SPDX-License-Identifier: Apache-2.0
// The table has one place for a name, so that neither its size nor a search has to be thought of; who comes later takes
// the place, and beyond TURNS_BYTES the next ones in the row go. A turn's name is a hash over the key that asked, its
// dialect, all messages before it but the system's, and its words: the same words of another conversation, or of somebody
// else, are another turn. What is kept are packages as they would stand in a call's id, in memory only. One lock, held
// for a copy.
#include "switch/turns.h"
#include <pthread.h>
#include "base/mem.h"
#include "base/secret.h"
#include "dialect/carry.h"

#define TURNS 1024u // some hours of a few people's conversations
#define TURNS_BYTES ((size_t)4 << 20)
#define BODY_BYTES ((size_t)1 << 20) // of a request: to hash more would hold up its loop for milliseconds

struct name {
    char hex[65];
};

struct turn {
    struct name name;
    char *package; // NULL: empty
    size_t n;
};

struct turns {
    pthread_mutex_t lock;
    struct turn v[TURNS];
    size_t bytes;
    unsigned next; // to go
    _Atomic unsigned n;
};

struct turns *turns_new(void) {
    struct turns *t = mem_zalloc(sizeof *t);
    if (t)
        (void)pthread_mutex_init(&t->lock, NULL);
    return t;
}

static void turn_drop(struct turns *t, struct turn *v) {
    if (!v->package)
        return;
    t->bytes -= v->n;
    atomic_fetch_sub_explicit(&t->n, 1, memory_order_relaxed);
    mem_free(v->package);
    v->package = NULL;
}

void turns_free(struct turns *t) {
    if (!t)
        return;
    for (unsigned i = 0; i < TURNS; i++)
        turn_drop(t, &t->v[i]);
    (void)pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

// ---- names

static void feed(struct hasher *h, char tag, struct slice s) {
    char head[32];
    int n = snprintf(head, sizeof head, "%c%zu:", tag, s.n);
    hasher_feed(h, head, (size_t)n);
    if (s.n)
        hasher_feed(h, s.p, s.n);
}

static void feed_parts(struct hasher *h, const struct part *p) {
    for (; p; p = p->next) {
        if (p->kind == PART_THINK) // which clients keep or not, and we put back
            continue;
        feed(h, 't', p->text);
        feed(h, 'n', p->name);
        feed(h, 'd', p->data);
        feed(h, 'u', p->url);
        feed_parts(h, p->content);
    }
}

static bool name_end(struct hasher *h, struct name *ret) {
    if (h)
        hasher_end(h, ret->hex);
    return h != NULL;
}

static bool name_begin(const struct exchange *x, struct name *ret) {
    struct hasher *h = hasher_new();
    if (h) {
        feed(h, 'k', x->key ? slice_str(x->key->name) : SLICE_NONE);
        feed(h, 'c', slice_str(x->dialect->name));
    }
    return name_end(h, ret);
}

// Of the conversation with one message more.
static bool name_go_on(struct name *before, const struct message *m) {
    struct hasher *h = m->role == ROLE_SYSTEM ? NULL : hasher_new();
    if (m->role == ROLE_SYSTEM)
        return true;
    if (h) {
        hasher_feed(h, before->hex, sizeof before->hex);
        feed(h, (char)('0' + (int)m->role), SLICE_NONE);
        feed_parts(h, m->parts);
    }
    return name_end(h, before);
}

// Of a turn: its words may be in several parts.
static bool name_words(const struct name *before, const struct part *p, struct slice words, struct name *ret) {
    struct hasher *h = hasher_new();
    if (h) {
        hasher_feed(h, before->hex, sizeof before->hex);
        for (; p; p = p->next)
            if (p->kind == PART_TEXT && p->text.n)
                hasher_feed(h, p->text.p, p->text.n);
        if (words.n)
            hasher_feed(h, words.p, words.n);
    }
    return name_end(h, ret);
}

static struct turn *place_of(struct turns *t, const struct name *name) {
    return &t->v[slice_hash(slice_str(name->hex), 0) % TURNS];
}

// ---- keeping

static void put(struct turns *t, const struct name *name, struct slice package) {
    char *copy = mem_strndup(package.p, package.n);
    if (!copy)
        return;
    (void)pthread_mutex_lock(&t->lock);
    struct turn *v = place_of(t, name);
    turn_drop(t, v);
    for (unsigned i = 0; i < TURNS && t->bytes + package.n > TURNS_BYTES; i++)
        turn_drop(t, &t->v[t->next++ % TURNS]);
    *v = (struct turn){*name, copy, package.n};
    t->bytes += package.n;
    atomic_fetch_add_explicit(&t->n, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&t->lock);
}

void turns_keep(struct turns *t, const struct exchange *x, struct slice words, struct slice package) {
    struct name name;
    bool ok = t && package.n <= TURNS_BYTES / 8 && x->in.body.n <= BODY_BYTES && name_begin(x, &name);
    for (const struct message *m = x->request->messages; m && ok; m = m->next)
        ok = name_go_on(&name, m);
    if (ok && name_words(&name, NULL, words, &name))
        put(t, &name, package);
}

// ---- recalling

static struct slice get(struct turns *t, struct arena *a, const struct name *name) {
    (void)pthread_mutex_lock(&t->lock);
    const struct turn *v = place_of(t, name);
    bool same = v->package && memcmp(&v->name, name, sizeof *name) == 0;
    struct slice copy = same ? arena_copy(a, slice_of(v->package, v->n)) : SLICE_NONE;
    (void)pthread_mutex_unlock(&t->lock);
    return copy;
}

enum err turns_recall(struct turns *t, struct exchange *x) {
    struct name before, turn;
    enum err e = ERR_OK;
    struct message *last = NULL;
    bool none = !t || atomic_load_explicit(&t->n, memory_order_relaxed) == 0 || x->in.body.n > BODY_BYTES;
    for (struct message *m = none || !x->request ? NULL : x->request->messages; m; m = m->next)
        last = m->role == ROLE_ASSISTANT ? m : last;
    if (!last)
        return ERR_OK;
    if (!name_begin(x, &before))
        return ERR_NO_MEMORY;
    for (struct message *m = x->request->messages; m != last->next && !e; m = m->next) {
        bool named = m->role == ROLE_ASSISTANT && name_words(&before, m->parts, SLICE_NONE, &turn);
        struct slice package = named ? get(t, &x->arena, &turn) : SLICE_NONE;
        if (package.n)
            e = carry_put_back(&x->arena, m, package);
        if (!e && !name_go_on(&before, m))
            e = ERR_NO_MEMORY;
    }
    return e;
}
