// SPDX-License-Identifier: Apache-2.0
// Label: how private the request is, and with that its reach: the label's row of the matrix, narrowed by the key and by
// the client's own wish. The label is the highest of header, key, route, default and what detection finds, which looks into a
// request only if a target that it may reach asks for that (private.c). Nothing here or after may widen the reach.
#include "switch/private.h"

static void label_raise(struct exchange *x, enum label l, const char *source) {
    if (x->label_source && l <= x->label)
        return;
    x->label = l;
    x->label_source = source;
}

const struct config_route *config_route_named(const struct config *c, struct slice name) {
    for (size_t i = 0; i < c->n_routes; i++)
        if (slice_is(name, c->routes[i].name))
            return &c->routes[i];
    return NULL;
}

static bool label_header(struct exchange *x) {
    struct slice v = headers_get(x->in.headers, "x-gridtie-label");
    enum label l;
    if (!v.p)
        return true;
    if (!label_parse(slice_trim(v), &l))
        return false;
    label_raise(x, l, "header");
    return true;
}

static bool reach_header(struct exchange *x) {
    struct slice v = headers_get(x->in.headers, "x-gridtie-reach");
    enum zone z;
    if (!v.p)
        return true;
    if (!zone_parse(slice_trim(v), &z))
        return false;
    x->reach = reach_intersect(x->reach, reach_up_to(z));
    return true;
}

enum step_result step_label(struct exchange *x) {
    const struct config *c = x->snap->config;
    if (x->check != CHECK_NONE)
        return private_label(x); // goes on
    x->route = config_route_named(c, x->request->model);
    label_raise(x, c->default_label, "default");
    if (!label_header(x))
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-label: expected public, internal, personal or secret");
    if (x->key && x->key->has_label)
        label_raise(x, x->key->label, "key");
    if (x->route && x->route->has_label)
        label_raise(x, x->route->label, "route");
    x->reach = reach_of_label(c->matrix, x->label);
    if (x->key && x->key->has_reach)
        x->reach = reach_intersect(x->reach, reach_up_to(x->key->reach));
    if (!reach_header(x))
        return exchange_refuse(x, ERR_BAD_FIELD, "x-gridtie-reach: expected device, edge, sealed or cloud");
    return private_label(x);
}
