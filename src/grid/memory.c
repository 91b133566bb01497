// SPDX-License-Identifier: Apache-2.0
// Memory for models: what each takes, and the queue of those that wait for it. Before a load stands an estimate (weights,
// keys and values, a share for buffers); once the model is there the kernel's count goes before it, but never below the
// weights and the keys, which a system under pressure shows as gone although they are needed. Who leaves is decided in
// room.c; here are the slots told, and those who wait get the reason in words. One queue for all models: requests that
// somebody watches before others, then in order of arrival; who needs nobody to go may pass. Main thread only.
#include <stdio.h>
#include "base/clock.h"
#include "base/log.h"
#include "grid/machine.h"
#include "grid/slot.h"

#define TENANTS_MAX 256 // loaded at once; each is a process, and beyond that nobody is loaded
#define LOOK_MS 5000    // between two looks at what a process takes: the kernel walks its pages for it

// ---- what is there

static int64_t cost_ms(const struct slot *s) {
    const struct target_live *live = s->live;
    uint64_t tokens = atomic_load_explicit(&live->input_tokens, memory_order_relaxed) +
                      atomic_load_explicit(&live->output_tokens, memory_order_relaxed) - s->tokens_before;
    int64_t warm = tokens > (uint64_t)s->window ? s->window : (int64_t)tokens;
    int64_t token_ns = atomic_load_explicit(&live->stats.prompt_token_ns, memory_order_relaxed);
    double read_ms = (double)warm * (double)token_ns / 1e6;
    return (int64_t)s->load_ms + (read_ms < 1e9 ? (int64_t)read_ms : 1000000000);
}

static bool is_busy(const struct slot *s) {
    return s->phase != PHASE_READY || s->waiters || s->probe || atomic_load(&s->live->in_flight) > 0;
}

static struct tenant tenant_of(const struct slot *s, uint64_t now) {
    struct tenant t = {.size = s->held, .tenure = TENURE_IDLE};
    if (t.size.card > s->e->budget.card) // alone it may have what it took
        t.size.card = s->e->budget.card;
    if (s->phase == PHASE_STOPPING)
        t.tenure = TENURE_LEAVING;
    else if (s->pinned)
        t.tenure = TENURE_PINNED;
    else if (is_busy(s))
        t.tenure = TENURE_BUSY;
    t.idle_ms = now > s->used_ms ? (int64_t)(now - s->used_ms) : 0;
    t.cost_ms = cost_ms(s);
    return t;
}

// ---- in words

// What a model that does not fit would need to be told; nothing if no context does.
static void remedy_put(const struct slot *s, int64_t room, struct buf *out) {
    const struct options o = options_of(&s->e->config->engine, s->model);
    int64_t per_token = gguf_kv_bytes(&s->model->header, 1);
    int64_t fixed = s->need.least.host - per_token * o.context * o.parallel;
    for (int64_t slots = o.parallel; slots >= 1 && per_token > 0; slots = slots > 1 ? 1 : 0) {
        int64_t context = (room - fixed) / (per_token * slots) / 256 * 256;
        if (context < 512)
            continue;
        buf_printf(out, "; with parallel: %lld and context: %lld it would fit", (long long)slots, (long long)context);
        return;
    }
    buf_append_str(out, "; no context is small enough: take a smaller quantization");
}

static void never_put(const struct slot *s, struct sizes pinned, struct buf *out) {
    const struct options o = options_of(&s->e->config->engine, s->model);
    bool card = s->need.least.host + pinned.host <= s->e->budget.host; // that is too small
    int64_t budget = card ? s->e->budget.card : s->e->budget.host, held = card ? pinned.card : pinned.host;
    buf_printf(out, "model '%s' needs at least ", s->name);
    buf_append_size(out, card ? s->need.least.card : s->need.least.host);
    buf_append_str(out, " (");
    buf_append_size(out, s->model->size_bytes);
    buf_printf(out, " of weights, context of %lld tokens in %lld slots)", (long long)o.context, (long long)o.parallel);
    if (card)
        buf_printf(out, " of graphics memory for gpu_layers: %s", o.gpu_layers);
    buf_append_str(out, ", and ");
    buf_append_size(out, budget);
    buf_append_str(out, " are for models");
    if (held > 0) {
        buf_append_str(out, ", of which pinned ones hold ");
        buf_append_size(out, held);
    }
    if (card) {
        buf_append_str(out, "; with gpu_layers: auto the rest of it lies in the machine's memory, or raise "
                            "engine.gpu_memory");
        return;
    }
    remedy_put(s, budget - held, out);
    buf_append_str(out, ", or raise engine.memory");
}

static void holder_put(const struct slot *s, const struct tenant *t, int64_t bytes, bool first, struct buf *out) {
    int in_flight = atomic_load(&s->live->in_flight);
    buf_printf(out, "%s '%s' (", first ? ":" : ",", s->name);
    buf_append_size(out, bytes);
    if (t->tenure == TENURE_PINNED)
        buf_append_str(out, ") is pinned");
    else if (s->phase == PHASE_STARTING)
        buf_append_str(out, ") is being loaded");
    else if (t->tenure == TENURE_BUSY && in_flight > 0) // or they ended this very moment
        buf_printf(out, ") answers %d request%s", in_flight, in_flight == 1 ? "" : "s");
    else
        buf_printf(out, ") was used %lld s ago", (long long)t->idle_ms / 1000);
}

static void held_put(const struct slot *s, const struct tenant *v, struct slot *const *who, size_t n, struct buf *out) {
    int64_t host = 0;
    for (size_t i = 0; i < n; i++)
        host += v[i].tenure != TENURE_LEAVING ? v[i].size.host : 0;
    bool card = host + s->need.likely.host <= s->e->budget.host; // that is full
    buf_printf(out, "model '%s' needs about ", s->name);
    buf_append_size(out, card ? s->need.likely.card : s->need.likely.host);
    buf_append_str(out, card ? " of graphics memory and others hold what is for models (engine.gpu_memory, "
                             : " and others hold the memory for models (engine.memory, ");
    buf_append_size(out, card ? s->e->budget.card : s->e->budget.host);
    buf_append_char(out, ')');
    size_t shown = 0;
    for (size_t i = 0; i < n && shown < 3; i++) {
        int64_t bytes = card ? v[i].size.card : v[i].size.host;
        if (v[i].tenure != TENURE_LEAVING && bytes > 0)
            holder_put(who[i], &v[i], bytes, shown++ == 0, out);
    }
    buf_append_str(out, "; try again in a moment, or use one of those");
}

// ---- room

static size_t tenants_of(const struct engine *e, const struct slot *but, struct tenant *v, struct slot **who) {
    uint64_t now = clock_mono_ms();
    size_t n = 0;
    for (struct slot *s = e->slots; s && n < TENANTS_MAX; s = s->next) {
        if (!s->child || s == but)
            continue;
        who[n] = s;
        v[n++] = tenant_of(s, now);
    }
    return n;
}

static void why_put(struct slot *s, enum room r, const struct tenant *v, struct slot *const *who, size_t n) {
    struct buf why = BUF_FIXED(s->held_why);
    struct sizes pinned = {0};
    for (size_t i = 0; i < n; i++) {
        pinned.host += v[i].tenure == TENURE_PINNED ? v[i].size.host : 0;
        pinned.card += v[i].tenure == TENURE_PINNED ? v[i].size.card : 0;
    }
    if (r == ROOM_NEVER)
        never_put(s, pinned, &why);
    else
        held_put(s, v, who, n, &why);
    s->held_why[why.len] = '\0';
}

// NULL for whom: what is there has outgrown the budget.
static void leavers_tell(const struct tenant *v, struct slot *const *who, size_t n, const struct slot *for_whom) {
    for (size_t i = 0; i < n; i++) {
        if (!v[i].must_go || !slot_unload(who[i])) // false: it got work this very moment; the next turn decides anew
            continue;
        LOG(LOG_INFO, "engine_evicts", LOG_S("model", who[i]->name), LOG_S("for", for_whom ? for_whom->name : "room"));
        atomic_fetch_add_explicit(&who[i]->live->engine_evictions, 1, memory_order_relaxed);
    }
}

static enum room room_for(struct slot *s, bool may_evict) {
    struct tenant v[TENANTS_MAX];
    struct slot *who[TENANTS_MAX];
    size_t n = tenants_of(s->e, s, v, who);
    struct room_wish w = {.need = s->need.likely,
                          .least = s->need.least,
                          .budget = s->e->budget,
                          .warm_ms = s->e->config->engine.warm_ms,
                          .may_evict = may_evict};
    enum room r = n == TENANTS_MAX ? ROOM_HELD : room_find(v, n, &w);
    s->is_held = r == ROOM_HELD;
    if (r == ROOM_HELD || r == ROOM_NEVER)
        why_put(s, r, v, who, n);
    else
        leavers_tell(v, who, n, s);
    return r;
}

void memory_press(struct engine *e) {
    struct tenant v[TENANTS_MAX];
    struct slot *who[TENANTS_MAX];
    size_t n = tenants_of(e, NULL, v, who);
    struct room_wish w = {.budget = e->budget, .warm_ms = e->config->engine.warm_ms, .may_evict = true};
    if (n > 1 && room_find(v, n, &w) == ROOM_SOON) // one alone may have what it needs
        leavers_tell(v, who, n, NULL);
}

// ---- the queue

static bool is_urgent(const struct slot *s, uint64_t now) {
    uint64_t patience = (uint64_t)s->e->config->engine.wait_ms / 2;
    for (const struct want *w = s->waiters; w; w = w->next)
        if (w->ask.watched || now - w->since_ms > patience) // nobody is passed for ever
            return true;
    return false;
}

static struct slot *queue_next(const struct engine *e, uint64_t now) {
    struct slot *best = NULL;
    bool best_urgent = false;
    for (struct slot *s = e->slots; s; s = s->next) {
        if (s->phase != PHASE_QUEUED || s->was_asked)
            continue;
        bool urgent = is_urgent(s, now);
        if (best && (best_urgent > urgent || (best_urgent == urgent && best->queued_ms <= s->queued_ms)))
            continue;
        best = s;
        best_urgent = urgent;
    }
    return best;
}

void engine_queue(struct engine *e) {
    bool first = true;
    uint64_t now = clock_mono_ms();
    if (e->in_queue || e->closing || cards_busy(e->cards))
        return;
    e->in_queue = true; // a start that fails comes back here
    for (struct slot *s; (s = queue_next(e, now));) {
        s->was_asked = true;
        if (!slot_is_wanted(s)) {
            slot_give_up(s, ERR_ENGINE, "");
            continue;
        }
        enum room r = room_for(s, first && s->waiters); // nobody goes for a load that no request waits for
        if (r == ROOM_FREE)
            slot_start(s);
        else if (r == ROOM_NEVER || (r == ROOM_HELD && !s->waiters))
            slot_give_up(s, ERR_ENGINE, s->held_why);
        else if (r == ROOM_HELD)
            slot_send_elsewhere(s);
        first = first && r != ROOM_HELD && r != ROOM_SOON;
    }
    for (struct slot *s = e->slots; s; s = s->next)
        s->was_asked = false;
    e->in_queue = false;
}

// ---- what is taken

enum err memory_estimate(struct slot *s, struct buf *problem) {
    const struct options o = options_of(&s->e->config->engine, s->model);
    struct draft d;
    enum err e = options_draft(&o, s->e->models, &d, problem);
    if (e)
        return e;
    s->window = o.context * o.parallel;
    atomic_store_explicit(&s->live->engine_slots, (int)o.parallel, memory_order_relaxed);
    s->need = options_need(&o, s->model, &d, s->e->budget.card);
    if (s->measured.host <= 0 || slot_recipe_changed(s))
        return ERR_OK;
    s->need.likely = s->measured;
    if (s->need.likely.host < s->need.least.host)
        s->need.likely.host = s->need.least.host;
    return ERR_OK;
}

void memory_budget(struct engine *e) {
    const struct config_engine *c = &e->config->engine;
    e->budget.host = engine_budget_bytes(c);
    e->budget.card = engine_card_budget_bytes(c, cards_free(e->cards));
    atomic_store_explicit(lives_card_budget(e->lives), e->budget.card, memory_order_relaxed);
}

void memory_cards_told(void *engine) {
    struct engine *e = engine;
    if (e->closing)
        return;
    memory_budget(e);
    LOG(LOG_INFO, "engine_cards", LOG_I("total", cards_total(e->cards)), LOG_I("free", cards_free(e->cards)),
        LOG_I("budget", e->budget.card));
    for (struct slot *s = e->slots; s; s = s->next) {
        struct buf why = BUF_INIT(1024);
        if (s->phase == PHASE_QUEUED && s->model && memory_estimate(s, &why) != ERR_OK)
            slot_give_up(s, ERR_ENGINE, buf_cstr(&why));
        buf_done(&why);
    }
    engine_queue(e);
}

// Where weights lie on a card, the kernel shows little of them in the machine's memory; where no driver tells what is on
// the card (in a container), the estimate stands.
void memory_look(struct slot *s, uint64_t now) {
    int pid = child_pid(s->child);
    if (pid == 0 || (s->looked_ms && now - s->looked_ms < LOOK_MS))
        return;
    s->looked_ms = now;
    int64_t bytes = process_memory(pid), vram = process_vram(pid);
    if (bytes <= 0)
        return;
    int64_t least = vram > 0 ? 0 : s->need.least.host;
    s->held.host = bytes > least ? bytes : least;
    if (vram > 0)
        s->held.card = vram;
    s->measured = s->held;
    atomic_store_explicit(&s->live->engine_memory_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&s->live->engine_vram_bytes, s->held.card, memory_order_relaxed);
}
