// SPDX-License-Identifier: Apache-2.0
// Asks a llama-server for its devices before the first model is loaded, and keeps the sums. It runs under the guard like
// any other, with nothing in its environment that it need not know, and is killed if it does not answer: then there are
// no cards, which only means that their memory is not shared out. NVIDIA's own library, which tells what a process
// takes, is opened on another thread in the same go, since that wakes the driver. Main thread.
#include "grid/cards.h"
#include "base/mem.h"
#include "grid/child.h"
#include "grid/nvml.h"

#define ASK_MS 20000 // a driver that sleeps takes seconds to wake
#define MIB_MOST (INT64_C(1) << 30)

struct cards {
    struct loop *l;
    void (*told)(void *ctx);
    void *ctx;
    struct child *child;
    bool opening; // NVIDIA's library
    char *binary; // that was asked last
    int64_t total, free_bytes;
    unsigned n;
    struct timer limit;
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

bool cards_busy(const struct cards *c) {
    return c->child || c->opening;
}

int64_t cards_total(const struct cards *c) {
    return c->total;
}

int64_t cards_free(const struct cards *c) {
    return c->free_bytes;
}

unsigned cards_count(const struct cards *c) {
    return c->n;
}

// ---- the answer

static bool mib_at(struct slice text, const char *behind, int64_t *ret) {
    uint64_t v = 0;
    size_t end = slice_search(text, slice_str(behind));
    if (end == SIZE_MAX || !slice_u64(slice_trim(slice_first(text, end)), &v) || v > (uint64_t)MIB_MOST)
        return false;
    *ret = (int64_t)v << 20;
    return true;
}

// Its name may hold brackets of its own: the last one counts.
bool cards_line(struct slice line, int64_t *ret_total, int64_t *ret_free) {
    size_t at = line.n;
    while (at > 0 && line.p[at - 1] != '(')
        at--;
    struct slice sizes = slice_from(line, at), total = slice_split(&sizes, ',');
    return at > 0 && slice_find(line, ':') < at && mib_at(total, " MiB", ret_total) &&
           mib_at(sizes, " MiB free)", ret_free);
}

static void cards_free_all(struct cards *c) {
    void (*closed)(void *) = c->closed;
    void *ctx = c->closed_ctx;
    mem_free(c->binary);
    mem_free(c);
    if (closed)
        closed(ctx);
}

static void limit_closed(void *arg) {
    cards_free_all(arg);
}

static void cards_tell(struct cards *c) {
    if (cards_busy(c))
        return;
    if (c->closing)
        timer_close(&c->limit, limit_closed);
    else
        c->told(c->ctx);
}

static void open_work(void *arg) {
    (void)arg;
    nvml_open();
}

static void open_done(void *arg) {
    struct cards *c = arg;
    c->opening = false;
    cards_tell(c);
}

static void on_ended(void *ctx, struct child *child, int status) {
    struct cards *c = ctx;
    const char *line;
    c->child = NULL;
    timer_stop(&c->limit);
    for (unsigned i = 0; status == 0 && (line = child_line(child, i)); i++) {
        int64_t total = 0, left = 0;
        if (!cards_line(slice_str(line), &total, &left))
            continue;
        c->total += total;
        c->free_bytes += left;
        c->n++;
    }
    c->opening = c->total > 0 && !c->closing && loop_offload(c->l, open_work, open_done, c) == ERR_OK;
    cards_tell(c);
}

// ---- the question

static void on_limit(struct timer *t) {
    struct cards *c = t->arg;
    if (c->child)
        child_kill(c->child);
}

void cards_ask(struct cards *c, const char *binary) {
    if (c->closing || cards_busy(c) || (c->binary && strcmp(c->binary, binary) == 0))
        return;
    const char *const argv[] = {binary, "--list-devices", NULL};
    struct child_options o = {.argv = argv, .ended = on_ended, .ctx = c};
    struct buf why = BUF_INIT(1024);
    mem_free(c->binary);
    c->binary = mem_strdup(binary);
    c->total = c->free_bytes = 0;
    c->n = 0;
    if (child_start(c->l, &o, &c->child, &why) == ERR_OK) // or the load will say what is wrong
        timer_start(&c->limit, ASK_MS);
    buf_done(&why);
}

enum err cards_new(struct loop *l, void (*told)(void *ctx), void *ctx, struct cards **ret) {
    struct cards *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NO_MEMORY;
    c->l = l;
    c->told = told;
    c->ctx = ctx;
    timer_init(&c->limit, l, on_limit, c);
    *ret = c;
    return ERR_OK;
}

void cards_close(struct cards *c, void (*closed)(void *ctx), void *ctx) {
    c->closing = true;
    c->closed = closed;
    c->closed_ctx = ctx;
    if (c->child)
        child_kill(c->child);
    cards_tell(c);
}
