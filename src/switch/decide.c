// SPDX-License-Identifier: Apache-2.0
// Decide: what the client named → candidates → hard limits (reach, capability, context) → a policy orders them → the plan
// with its reasons. Pure but for the clock and the in-flight counts that are read once into the candidates; no I/O.
// A name is, in this order: a route, endpoint/model, a bare model name (local first, then config order).
#include "base/clock.h"
#include "grid/catalogue.h"
#include "grid/health.h"
#include "grid/quota.h"
#include "policy/policy.h"
#include "store/name.h"
#include "store/pull.h"
#include "switch/local.h"
#include "switch/money.h"
#include "switch/reply.h"
#include "switch/worker.h"

#define CANDIDATES_MAX 64

// As they are found, on the stack: an open stream keeps only what there is.
struct candidates {
    struct exchange *x;
    struct candidate v[CANDIDATES_MAX];
    const struct target *targets[CANDIDATES_MAX];
    size_t n;
};

static bool candidate_known(const struct candidates *c, const struct target *t) {
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->targets[i]->name, t->name) == 0)
            return true;
    return false;
}

static int64_t predicted_cost(const struct exchange *x, const struct target *t) {
    struct usage u = USAGE_NONE;
    u.input_tokens = x->estimated_tokens;
    u.output_tokens = x->request->max_tokens >= 0 ? x->request->max_tokens : 0;
    return usage_cost(&u, &t->price);
}

static const char cannot_call_tools[] = "cannot call tools";

// Beyond chats: what neither its dialect nor, as far as the catalogue knows it, its model can do.
static const char *task_out(const struct request *r, const struct target *t) {
    bool has_task = dialect_get(t->endpoint->provider->dialect)->tasks & 1u << r->op;
    if (r->op == OP_EMBED)
        return !has_task || (t->can && !(t->can & CAN_EMBED)) ? "cannot embed" : NULL;
    if (r->op == OP_RERANK)
        return !has_task || t->can & (CAN_CHAT | CAN_EMBED) ? "cannot rerank" : NULL;
    if (t->can & CAN_RERANK)
        return "only reranks";
    return t->can & CAN_EMBED && !(t->can & CAN_CHAT) ? "only embeds" : NULL;
}

// What the messages hold and t's wire format has no place for. Without it they would say something else.
static const char *media_out(const struct request *r, const struct dialect *d) {
    if (r->has_images && !(d->media & MEDIA_IMAGES))
        return "has no place for images";
    if (r->has_audio && !(d->media & MEDIA_AUDIO))
        return "has no place for audio";
    if (r->has_files && !(d->media & MEDIA_FILES))
        return "has no place for files";
    if (r->has_remote_media && !(d->media & MEDIA_REMOTE))
        return "takes images inline only";
    if (r->kin_only && (int)d->id != r->dialect)
        return "cannot read token ids or several prompts";
    return r->has_foreign && (int)d->id != r->dialect ? "has no place for a part of the messages" : NULL;
}

// Why t can't serve this request, or NULL.
static const char *target_out(const struct exchange *x, const struct target *t) {
    const struct request *r = x->request;
    bool engine = t->endpoint->engine || (t->endpoint->provider->quirks & QUIRK_LLAMA_STATUS);
    if (!reach_allows(&x->reach, t->zone, t->endpoint->retention, true))
        return "out of reach";
    if (t->caps_known && r->has_images && !t->vision)
        return "cannot read images";
    if (t->caps_known && r->tools && !t->tools && !target_emulates_tools(t))
        return cannot_call_tools;
    const char *unable = task_out(r, t);
    if (unable)
        return unable;
    if (r->kept && (int)t->endpoint->provider->dialect != r->dialect)
        return "does not have the cachedContent";
    if ((unable = media_out(r, dialect_get(t->endpoint->provider->dialect))))
        return unable;
    if (r->has_remote_media && engine)
        return "would fetch a remote image by itself";
    if (t->context > 0 && x->estimated_tokens / 4 > t->context)
        return "context window too small";
    return money_out(x, t);
}

// As upstreams count against their limits: what is read, and what may be written if it is bounded.
static int64_t tokens_wanted(const struct exchange *x) {
    return x->estimated_tokens + (x->request->max_tokens > 0 ? x->request->max_tokens : 0);
}

static void candidate_add(struct candidates *c, const struct target *t, const char *how, struct slice name) {
    struct exchange *x = c->x;
    if (!t || c->n == CANDIDATES_MAX || candidate_known(c, t))
        return;
    uint64_t now_ms = clock_mono_ms();
    c->targets[c->n] = t;
    c->v[c->n] = (struct candidate){.name = slice_str(t->name),
                                    .zone = t->zone,
                                    .index = (unsigned)c->n,
                                    .predicted_cost_picousd = predicted_cost(x, t),
                                    .in_flight = atomic_load_explicit(&t->live->in_flight, memory_order_relaxed),
                                    .rest_ms = target_rest_ms(t, now_ms),
                                    .tight = target_is_tight(t, tokens_wanted(x), now_ms),
                                    .sick = target_is_sick(t, now_ms),
                                    .out = target_out(x, t),
                                    .via = ARENA_JOIN(&x->arena, slice_str(how), SLICE(" "), name)};
    c->n++;
}

static bool target_add_full(struct candidates *c, struct slice name, const char *how, struct slice asked) {
    struct exchange *x = c->x;
    const struct target *t = snapshot_target(x->snap, name);
    if (!t)
        t = snapshot_open_target(x->snap, name, &x->arena);
    candidate_add(c, t, how, asked);
    return t != NULL;
}

// One name that is no route. Returns whether anything has it.
static bool name_add(struct candidates *c, struct slice name, const char *how, struct slice asked) {
    bool found = target_add_full(c, name, how, asked);
    for (size_t i = 0; i < c->x->snap->n_targets && !found; i++) {
        const struct target *t = &c->x->snap->targets[i];
        struct slice endpoint = slice_str(t->endpoint->name);
        bool here =
            name.n > endpoint.n && name.p[endpoint.n] == '/' && slice_eq(slice_first(name, endpoint.n), endpoint);
        if (here && model_name_same(t->model, slice_from(name, endpoint.n + 1))) {
            candidate_add(c, t, how, asked);
            return true;
        }
    }
    if (found)
        return true;
    for (size_t i = 0; i < c->x->snap->n_targets; i++) {
        const struct target *t = &c->x->snap->targets[i];
        if (!model_name_same(t->model, name))
            continue;
        candidate_add(c, t, how, asked);
        found = true;
    }
    return found;
}

static bool model_add(struct candidates *c, struct slice name) {
    const struct config_route *route = config_route_named(c->x->snap->config, name);
    if (!route)
        return name_add(c, name, "model", name);
    for (size_t i = 0; i < route->n_targets; i++)
        (void)name_add(c, slice_str(route->targets[i]), "route", name);
    return true;
}

// ---- nothing was found: say what is near

static void near_note(struct slice name, struct slice asked, struct slice best[3], unsigned distance[3]) {
    struct slice tail = name;
    size_t slash = slice_find(name, '/');
    if (slash != SIZE_MAX)
        tail = slice_from(name, slash + 1);
    unsigned d = slice_distance(tail, asked), full = slice_distance(name, asked);
    if (full < d)
        d = full;
    if (slice_search(tail, asked) != SIZE_MAX || slice_search(asked, tail) != SIZE_MAX)
        d = d > 2 ? 2 : d;
    for (int i = 0; i < 3; i++) {
        if (best[i].n && d >= distance[i])
            continue;
        for (int j = 2; j > i; j--)
            best[j] = best[j - 1], distance[j] = distance[j - 1];
        best[i] = name;
        distance[i] = d;
        return;
    }
}

// What `gridtie pull` would take for this name: itself, or one of the index that is nearly it. Empty: nothing.
static struct slice pull_near(const struct config *c, struct slice asked) {
    if (pull_is_indexed(asked) || slice_starts(asked, "hf.co/"))
        return slice_first(asked, LIMIT_MODEL_NAME_BYTES);
    for (size_t i = 0; pull_indexed(i); i++)
        if (slice_distance(slice_str(pull_indexed(i)), asked) <= 3)
            return slice_str(pull_indexed(i));
    return c->store_registry ? slice_first(asked, LIMIT_MODEL_NAME_BYTES) : SLICE_NONE;
}

static enum step_result unknown_model(struct exchange *x) {
    struct slice best[3] = {SLICE_NONE, SLICE_NONE, SLICE_NONE}, asked = x->request->model;
    unsigned distance[3] = {0, 0, 0};
    const struct config *c = x->snap->config;
    for (size_t i = 0; i < x->snap->n_targets; i++)
        near_note(slice_str(x->snap->targets[i].name), asked, best, distance);
    for (size_t i = 0; i < c->n_routes; i++)
        near_note(slice_str(c->routes[i].name), asked, best, distance);
    snapshot_ask_again(x->snap);
    struct buf text = BUF_INIT(2048);
    buf_printf(&text, "model '%.*s' does not exist here", SLICE_FMT(slice_first(asked, LIMIT_MODEL_NAME_BYTES)));
    if (best[0].n)
        buf_append_str(&text, "; near matches:");
    for (int i = 0; i < 3 && best[i].n; i++)
        buf_printf(&text, "%s %.*s", i ? "," : "", SLICE_FMT(best[i]));
    if (!best[0].n)
        buf_append_str(&text, "; no model is configured or installed (see: gridtie list)");
    struct slice source = pull_near(c, asked);
    if (source.n)
        buf_printf(&text, "; to fetch it: gridtie pull %.*s", SLICE_FMT(source));
    x->problem = PROBLEM(ERR_MODEL_NOT_FOUND);
    x->problem.message = arena_copy(&x->arena, buf_slice(&text));
    x->problem.param = SLICE("model");
    buf_done(&text);
    return STEP_FAIL;
}

// The nearest way out: who else could serve it as it is, or what to leave out.
static void way_out(const struct exchange *x, bool tools, struct buf *text) {
    int n = 0;
    for (size_t i = 0; i < x->snap->n_targets && n < 3; i++) {
        const struct target *t = &x->snap->targets[i];
        if (!t->alias_of && !target_out(x, t))
            buf_printf(text, "%s %s", n++ ? "," : ". These could:", t->name);
    }
    if (tools)
        buf_append_str(text, n ? "; or leave out `tools`" : ". Leave out `tools`, or add a model that can call them");
}

// There were candidates, but none may serve: the most honest of their reasons.
static enum step_result no_candidate(struct exchange *x) {
    struct buf text = BUF_INIT(4096);
    bool reach_only = true, money_only = true, tools = false;
    buf_append_str(&text, "no target can serve this request:");
    for (size_t i = 0; i < x->plan.n_candidates; i++) {
        const struct candidate *c = &x->plan.candidates[i];
        buf_printf(&text, "%s %.*s (%s): %s", i ? ";" : "", SLICE_FMT(c->name), zone_name(c->zone), c->out);
        reach_only = reach_only && strcmp(c->out, "out of reach") == 0;
        money_only = money_only && strcmp(c->out, MONEY_OUT_UNPRICED) == 0;
        tools = tools || c->out == cannot_call_tools;
    }
    if (reach_only)
        buf_printf(&text, ". The request's label is %s", label_name(x->label));
    way_out(x, tools, &text);
    x->problem = PROBLEM(reach_only ? ERR_NO_REACH : money_only ? ERR_PAYMENT : ERR_UNSUPPORTED);
    if (tools)
        x->problem.param = SLICE("tools");
    x->problem.message = arena_copy(&x->arena, buf_slice(&text));
    buf_done(&text);
    return STEP_FAIL;
}

// Every target asked for rest, and for longer than is worth a try: the client hears when.
static bool all_rest(struct exchange *x) {
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < x->plan.n_stages; i++) {
        int64_t rest = x->plan.candidates[x->plan.stages[i].candidate].rest_ms;
        if (rest < least)
            least = rest;
    }
    if (least == 0 || x->plan.n_stages == 0)
        return false;
    x->problem = PROBLEM(ERR_UP_RATE_LIMIT);
    x->problem.retry_after_ms = least;
    return true;
}

static bool candidates_keep(struct exchange *x, const struct candidates *c) {
    x->targets = arena_array(&x->arena, c->n, sizeof c->targets[0]);
    x->plan.candidates = arena_array(&x->arena, c->n, sizeof c->v[0]);
    if (!x->targets || !x->plan.candidates)
        return false;
    memcpy(x->targets, c->targets, c->n * sizeof c->targets[0]);
    memcpy(x->plan.candidates, c->v, c->n * sizeof c->v[0]);
    x->plan.n_candidates = c->n;
    return true;
}

static bool candidates_find(struct candidates *c, struct exchange *x) {
    c->x = x;
    c->n = 0;
    bool found = model_add(c, x->request->model);
    for (size_t i = 0; i < x->request->n_fallback_models; i++)
        found |= model_add(c, x->request->fallback_models[i]);
    return found;
}

unsigned decide_zones(struct exchange *x) {
    struct candidates c;
    unsigned zones = 0;
    (void)candidates_find(&c, x);
    for (size_t i = 0; i < c.n; i++)
        zones |= 1u << c.targets[i]->zone;
    return zones;
}

enum step_result step_decide(struct exchange *x) {
    struct candidates c;
    if (!candidates_find(&c, x))
        return unknown_model(x);
    if (!candidates_keep(x, &c))
        return exchange_refuse(x, ERR_NO_MEMORY, NULL);
    const struct policy *policy = x->route && x->route->policy ? policy_by_name(slice_str(x->route->policy)) : NULL;
    if (!policy)
        policy = policy_by_name(SLICE("ordered"));
    x->plan.policy = policy->name;
    policy->order(&x->plan);
    if (x->plan.n_stages == 0)
        return no_candidate(x);
    if (all_rest(x))
        return STEP_FAIL;
    x->local_answer = local_applies(x);
    return STEP_NEXT;
}
