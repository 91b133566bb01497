// SPDX-License-Identifier: Apache-2.0
// Watches the folders where Ollama, LM Studio and the Hugging Face cache keep models, so that one that was just fetched there
// can be used, and one that was removed is no longer offered. inotify sees one folder and not what lies below, so each folder
// on the way is watched; a root that is not there yet is awaited in the nearest folder that is. Which those are is looked up
// on the pool (a walk), anew after each change, until a walk finds no folder that is not watched yet. There may be more of
// them than may be watched: of all, the times of change are compared every half minute. A change is told when it has been
// quiet for a moment, and a download that goes on and on every ten seconds. The loop's thread owns all of it.
#include "store/foreign_watch.h"
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/mem.h"
#include "store/foreign.h"

#define QUIET_MS 500
#define PATIENCE_MS 10000
#define WALK_ARENA_BYTES (32u << 20)

// ---- a walk

struct place {
    const char *path;
    const char *awaited; // only this entry matters: a root's next folder, which is not there yet; NULL: all do
    enum foreign_kind kind;
    unsigned depth;
};

struct walk {
    struct foreign_watch *w;
    struct arena arena;
    struct place *v;
    size_t n;
    uint64_t times; // of all folders, mixed
};

static void place_put(struct walk *k, const char *path, const char *awaited, enum foreign_kind kind, unsigned depth) {
    struct stat st;
    if (!path || k->n == LIMIT_LOOKED_FOLDERS || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return;
    k->v[k->n++] = (struct place){path, awaited, kind, depth};
    uint64_t t = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec + (uint64_t)st.st_ino;
    k->times = (awaited ? k->times : k->times ^ t) * 0x9e3779b97f4a7c15u + 1; // what is awaited tells of itself
}

static const char *child_of(struct walk *k, const char *path, const char *name) {
    return arena_printf(&k->arena, "%s/%s", strcmp(path, "/") == 0 ? "" : path, name);
}

// The nearest folder above that is there, and which entry of it leads on.
static void root_await(struct walk *k, const char *root) {
    char *path = arena_strdup(&k->arena, root), *slash;
    struct stat st;
    while (path && (slash = strrchr(path, '/')) && slash != path) {
        *slash = 0;
        const char *above = arena_strdup(&k->arena, path);
        if (above && stat(above, &st) == 0 && S_ISDIR(st.st_mode)) {
            place_put(k, above, slash + 1, FOREIGN_OLLAMA, 0);
            return;
        }
    }
}

// Folders hold folders so deep: HOST/NAMESPACE/MODEL; PUBLISHER/REPOSITORY; models--X/{refs,snapshots/REVISION/FOLDER}.
static bool is_wanted(const struct place *in, const char *name) {
    static const unsigned deepest[] = {[FOREIGN_OLLAMA] = 3, [FOREIGN_LMSTUDIO] = 2, [FOREIGN_HUGGINGFACE] = 4};
    if (name[0] == '.' || in->depth >= deepest[in->kind])
        return false;
    if (in->kind != FOREIGN_HUGGINGFACE || in->depth > 1)
        return true;
    return in->depth == 0 ? strncmp(name, "models--", 8) == 0
                          : strcmp(name, "snapshots") == 0 || strcmp(name, "refs") == 0;
}

static void place_enter(struct walk *k, size_t i) {
    const struct place in = k->v[i];
    DIR *dir = in.awaited ? NULL : opendir(in.path);
    for (struct dirent *d; dir && k->n < LIMIT_LOOKED_FOLDERS && (d = readdir(dir));)
        if (d->d_type != DT_REG && is_wanted(&in, d->d_name))
            place_put(k, child_of(k, in.path, d->d_name), NULL, in.kind, in.depth + 1);
    if (dir)
        (void)closedir(dir);
}

// Breadth first: if not all can be watched, the upper ones are.
static void walk_do(struct walk *k) {
    struct foreign_root roots[FOREIGN_ROOTS_MAX];
    size_t n = foreign_roots(&k->arena, roots);
    struct stat st;
    for (size_t i = 0; i < n; i++) {
        if (stat(roots[i].path, &st) == 0 && S_ISDIR(st.st_mode))
            place_put(k, roots[i].path, NULL, roots[i].kind, 0);
        else
            root_await(k, roots[i].path);
    }
    for (size_t i = 0; i < k->n; i++)
        place_enter(k, i);
}

// ---- watches

struct watched {
    uv_fs_event_t event; // first
    struct foreign_watch *w;
    struct watched *next;
    char *path, *awaited;
    bool kept; // the latest walk has it
};

struct foreign_watch {
    struct loop *loop;
    unsigned most, n, n_handles; // n_handles: that are not closed yet
    uint64_t look_ms;
    void (*changed)(void *ctx);
    void *ctx;
    struct watched *first;
    struct timer quiet, look;
    struct walk *walk;   // that runs
    uint64_t first_ms;   // of changes that were not told; 0: there are none
    uint64_t times;      // of the latest walk
    bool told;           // what the latest walk found is known
    bool again, closing; // again: something changed during the walk
};

static void watch_walk(struct foreign_watch *w);

static void handle_closed(struct foreign_watch *w) {
    if (--w->n_handles == 0 && w->closing && !w->walk)
        mem_free(w);
}

static void watched_closed(uv_handle_t *h) {
    struct watched *x = (struct watched *)(void *)h;
    struct foreign_watch *w = x->w;
    mem_free(x->path);
    mem_free(x->awaited);
    mem_free(x);
    handle_closed(w);
}

static void timer_closed(void *arg) {
    handle_closed(arg);
}

static void change_seen(struct foreign_watch *w) {
    uint64_t now = clock_mono_ms();
    if (w->first_ms == 0)
        w->first_ms = now;
    uint64_t left = w->first_ms + PATIENCE_MS > now ? w->first_ms + PATIENCE_MS - now : 1;
    timer_start(&w->quiet, left < QUIET_MS ? left : QUIET_MS);
}

static void on_event(uv_fs_event_t *h, const char *name, int events, int status) {
    struct watched *x = (struct watched *)(void *)h;
    (void)events;
    (void)status;
    if (!x->awaited || !name || strcmp(name, x->awaited) == 0)
        change_seen(x->w);
}

static bool watch_add(struct foreign_watch *w, const struct place *p) {
    struct watched *x = w->n < w->most ? mem_zalloc(sizeof *x) : NULL;
    if (!x)
        return false;
    x->w = w;
    x->path = mem_strdup(p->path);
    x->awaited = p->awaited ? mem_strdup(p->awaited) : NULL;
    x->kept = true;
    if (!x->path || (p->awaited && !x->awaited) || uv_fs_event_init(&w->loop->uv, &x->event) != 0) {
        mem_free(x->path);
        mem_free(x->awaited);
        mem_free(x);
        return false;
    }
    w->n_handles++;
    if (uv_fs_event_start(&x->event, on_event, x->path, 0) != 0) {
        uv_close((uv_handle_t *)&x->event, watched_closed);
        return false;
    }
    x->next = w->first;
    w->first = x;
    w->n++;
    return true;
}

static struct watched *watch_of(struct foreign_watch *w, const struct place *p) {
    for (struct watched *x = w->first; x; x = x->next)
        if (strcmp(x->path, p->path) == 0 && !x->awaited == !p->awaited &&
            (!p->awaited || strcmp(x->awaited, p->awaited) == 0))
            return x;
    return NULL;
}

// Returns whether a folder is watched now that was not before: it may have got entries in between.
static bool watches_adopt(struct foreign_watch *w, const struct walk *k) {
    bool any = false;
    for (struct watched *x = w->first; x; x = x->next)
        x->kept = false;
    for (size_t i = 0; i < k->n && i < w->most; i++) {
        struct watched *x = watch_of(w, &k->v[i]);
        if (x)
            x->kept = true;
        else
            any |= watch_add(w, &k->v[i]);
    }
    for (struct watched **at = &w->first; *at;) {
        struct watched *x = *at;
        if (x->kept) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        w->n--;
        uv_close((uv_handle_t *)&x->event, watched_closed);
    }
    return any;
}

// ---- turns

static void walk_work(void *arg) {
    walk_do(arg);
}

static void walk_free(struct walk *k) {
    arena_done(&k->arena);
    mem_free(k);
}

static void walk_done(void *arg) {
    struct walk *k = arg;
    struct foreign_watch *w = k->w;
    w->walk = NULL;
    if (w->closing) {
        walk_free(k);
        if (w->n_handles == 0)
            mem_free(w);
        return;
    }
    bool fresh = watches_adopt(w, k), other = k->times != w->times;
    w->times = k->times;
    walk_free(k);
    w->told &= !other;
    if (fresh || w->again) {
        w->again = false;
        watch_walk(w);
        return;
    }
    timer_start(&w->look, w->look_ms);
    if (w->told)
        return;
    w->told = true;
    w->changed(w->ctx);
}

static struct walk *walk_new(struct foreign_watch *w) {
    struct walk *k = mem_zalloc(sizeof *k);
    if (!k)
        return NULL;
    *k = (struct walk){.w = w};
    arena_init(&k->arena, WALK_ARENA_BYTES, 0);
    k->v = arena_array(&k->arena, LIMIT_LOOKED_FOLDERS, sizeof *k->v);
    if (k->v)
        return k;
    walk_free(k);
    return NULL;
}

static void watch_walk(struct foreign_watch *w) {
    w->again |= w->walk != NULL;
    if (w->walk)
        return;
    timer_stop(&w->look);
    w->walk = walk_new(w);
    if (w->walk && loop_offload(w->loop, walk_work, walk_done, w->walk) == ERR_OK)
        return;
    if (w->walk)
        walk_free(w->walk);
    w->walk = NULL;
    timer_start(&w->look, w->look_ms);
}

static void quiet_due(struct timer *t) {
    struct foreign_watch *w = t->arg;
    w->first_ms = 0;
    w->told = false;
    watch_walk(w);
}

static void look_due(struct timer *t) {
    watch_walk(t->arg);
}

enum err foreign_watch_new(struct loop *l, unsigned most, uint64_t look_ms, void (*changed)(void *ctx), void *ctx,
                           struct foreign_watch **ret) {
    struct foreign_watch *w = mem_zalloc(sizeof *w);
    if (!w)
        return ERR_NO_MEMORY;
    *w = (struct foreign_watch){
        .loop = l, .most = most, .look_ms = look_ms, .changed = changed, .ctx = ctx, .n_handles = 2, .told = true};
    timer_init(&w->quiet, l, quiet_due, w);
    timer_init(&w->look, l, look_due, w);
    struct walk *k = walk_new(w);
    if (k) { // what it finds is what the caller reads next; whatever comes later is a change
        walk_do(k);
        (void)watches_adopt(w, k);
        w->times = k->times;
        walk_free(k);
    }
    watch_walk(w);
    *ret = w;
    return ERR_OK;
}

void foreign_watch_close(struct foreign_watch *w) {
    if (!w)
        return;
    w->closing = true;
    while (w->first) {
        struct watched *x = w->first;
        w->first = x->next;
        uv_close((uv_handle_t *)&x->event, watched_closed);
    }
    timer_close(&w->quiet, timer_closed);
    timer_close(&w->look, timer_closed);
}
