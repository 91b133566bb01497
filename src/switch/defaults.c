// SPDX-License-Identifier: Apache-2.0
// Defaults of a model that was made by a Modelfile, put under each request that goes to it: its system text if the request
// has none, its first messages before the conversation, its parameters where the request leaves them open. Part of an
// attempt, since another target of the same request has other defaults. Pure; all memory is the attempt's arena.
#include "switch/defaults.h"

static struct message *message_make(struct arena *a, enum role role, struct slice text, struct message *next) {
    struct message *m = ARENA_NEW(a, struct message);
    struct part *p = ARENA_NEW(a, struct part);
    if (!m || !p)
        return NULL;
    p->kind = PART_TEXT;
    p->text = text;
    m->role = role;
    m->parts = p;
    m->next = next;
    return m;
}

static bool has_system(const struct request *r) {
    for (const struct message *m = r->messages; m; m = m->next)
        if (m->role == ROLE_SYSTEM)
            return true;
    return false;
}

// From the last to the first: each stands before what is there.
static bool messages_prepend(struct arena *a, yyjson_val *list, struct request *r) {
    for (size_t i = yyjson_arr_size(list); i-- > 0;) {
        yyjson_val *v = yyjson_arr_get(list, i);
        struct slice role = json_get_str(v, "role");
        enum role as = slice_is(role, "assistant") ? ROLE_ASSISTANT
                       : slice_is(role, "system")  ? ROLE_SYSTEM
                                                   : ROLE_USER;
        r->messages = message_make(a, as, json_get_str(v, "content"), r->messages);
        if (!r->messages)
            return false;
    }
    return true;
}

static void number_set(double *to, yyjson_val *object, const char *name) {
    yyjson_val *v = yyjson_obj_get(object, name);
    if (!num_set(*to) && yyjson_is_num(v))
        *to = yyjson_get_num(v);
}

static void count_set(int64_t *to, yyjson_val *object, const char *name) {
    if (*to < 0)
        *to = json_get_int(object, name, -1);
}

static bool stops_set(struct arena *a, struct request *r, yyjson_val *v) {
    size_t n = yyjson_is_str(v) ? 1 : yyjson_arr_size(v);
    if (r->n_stops || !n)
        return true;
    r->stops = arena_array(a, n, sizeof *r->stops);
    if (!r->stops)
        return false;
    for (size_t i = 0; i < n; i++)
        r->stops[i] = json_str(yyjson_is_str(v) ? v : yyjson_arr_get(v, i));
    r->n_stops = n;
    return true;
}

static bool parameters_set(struct arena *a, yyjson_val *object, struct request *r) {
    yyjson_val *seed = yyjson_obj_get(object, "seed");
    number_set(&r->temperature, object, "temperature");
    number_set(&r->top_p, object, "top_p");
    number_set(&r->min_p, object, "min_p");
    number_set(&r->repeat_penalty, object, "repeat_penalty");
    number_set(&r->presence_penalty, object, "presence_penalty");
    number_set(&r->frequency_penalty, object, "frequency_penalty");
    count_set(&r->top_k, object, "top_k");
    count_set(&r->max_tokens, object, "num_predict"); // negative: no bound, as unset
    if (!r->seed_set && yyjson_is_int(seed)) {
        r->seed = yyjson_get_sint(seed);
        r->seed_set = true;
    }
    return stops_set(a, r, yyjson_obj_get(object, "stop"));
}

// ERR_OK with NULL where there is none.
static enum err tree_of(struct arena *a, struct slice json, yyjson_val **ret) {
    struct json_doc doc;
    struct json_error why;
    *ret = NULL;
    enum err e = json.n ? json_read(a, json, &doc, &why) : ERR_OK;
    if (!e && json.n)
        *ret = yyjson_doc_get_root(doc.doc);
    return e == ERR_NO_MEMORY ? e : ERR_OK; // it was checked when it was written
}

enum err defaults_apply(struct arena *a, const struct target *t, const struct request *r, const struct request **ret) {
    yyjson_val *parameters, *messages;
    bool applies = r->op == OP_CHAT || r->op == OP_GENERATE || r->op == OP_COUNT_TOKENS;
    *ret = r;
    if (!applies || (!t->system.n && !t->parameters.n && !t->messages.n))
        return ERR_OK;
    struct request *own = arena_alloc(a, sizeof *own);
    enum err e = own ? tree_of(a, t->parameters, &parameters) : ERR_NO_MEMORY;
    if (!e)
        e = tree_of(a, t->messages, &messages);
    if (e)
        return e;
    *own = *r;
    own->doc = (struct json_doc){0}; // it is another request now: written from the fields
    bool ok = parameters_set(a, parameters, own);
    if (ok && !r->raw)
        ok = messages_prepend(a, messages, own);
    if (ok && !r->raw && t->system.n && !has_system(own)) {
        own->messages = message_make(a, ROLE_SYSTEM, t->system, own->messages);
        ok = own->messages != NULL;
    }
    *ret = own;
    return ok ? ERR_OK : ERR_NO_MEMORY;
}
