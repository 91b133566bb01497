// SPDX-License-Identifier: Apache-2.0
// Deep equality of two requests, for the round trip tests of the dialects: what was read, written from its fields and
// read again must be the same. Sources are left aside, and so are opaque parts and opaque tools, which are nothing but
// their source. An empty text counts as an absent one where no dialect can tell them apart. Nothing is allocated.
#include "ir/request.h"

#define SAME(cond, where)   \
    do {                    \
        if (!(cond))        \
            return (where); \
    } while (0)
#define SAME_SLICE(x, y, where) SAME(slice_eq((x), (y)), where)

static bool num_eq(double x, double y) {
    if (!num_set(x) || !num_set(y))
        return num_set(x) == num_set(y);
    double d = x - y;
    return d < 1e-9 && d > -1e-9;
}

static const struct part *skip_opaque(const struct part *p) {
    while (p && p->kind == PART_OPAQUE)
        p = p->next;
    return p;
}

static const struct tool *skip_opaque_tools(const struct tool *t) {
    while (t && t->opaque)
        t = t->next;
    return t;
}

static const char *parts_differ(const struct part *x, const struct part *y);

static const char *part_differs(const struct part *x, const struct part *y) {
    SAME(x->kind == y->kind, "part.kind");
    SAME_SLICE(x->text, y->text, "part.text");
    SAME_SLICE(x->id, y->id, "part.id");
    SAME_SLICE(x->name, y->name, "part.name");
    SAME_SLICE(x->media_type, y->media_type, "part.media_type");
    SAME_SLICE(x->data, y->data, "part.data");
    SAME_SLICE(x->url, y->url, "part.url");
    SAME_SLICE(x->detail, y->detail, "part.detail");
    SAME_SLICE(x->signature, y->signature, "part.signature");
    SAME_SLICE(x->cache_control, y->cache_control, "part.cache_control");
    SAME(x->redacted == y->redacted, "part.redacted");
    SAME(x->is_error == y->is_error, "part.is_error");
    SAME(x->made_by == y->made_by, "part.made_by");
    return parts_differ(x->content, y->content);
}

static const char *parts_differ(const struct part *x, const struct part *y) {
    x = skip_opaque(x);
    y = skip_opaque(y);
    while (x && y) {
        const char *where = part_differs(x, y);
        if (where)
            return where;
        x = skip_opaque(x->next);
        y = skip_opaque(y->next);
    }
    return x || y ? "message.parts (number)" : NULL;
}

static const char *messages_differ(const struct message *x, const struct message *y) {
    for (; x && y; x = x->next, y = y->next) {
        SAME(x->role == y->role, "message.role");
        SAME(x->developer == y->developer, "message.developer");
        SAME_SLICE(x->name, y->name, "message.name");
        const char *where = parts_differ(x->parts, y->parts);
        if (where)
            return where;
    }
    return x || y ? "messages (number)" : NULL;
}

static const char *tools_differ(const struct tool *x, const struct tool *y) {
    x = skip_opaque_tools(x);
    y = skip_opaque_tools(y);
    while (x && y) {
        SAME_SLICE(x->name, y->name, "tool.name");
        SAME_SLICE(x->description, y->description, "tool.description");
        SAME_SLICE(x->schema, y->schema, "tool.schema");
        SAME_SLICE(x->cache_control, y->cache_control, "tool.cache_control");
        SAME(x->strict == y->strict, "tool.strict");
        x = skip_opaque_tools(x->next);
        y = skip_opaque_tools(y->next);
    }
    return x || y ? "tools (number)" : NULL;
}

static const char *slices_differ(const struct slice *x, size_t nx, const struct slice *y, size_t ny,
                                 const char *where) {
    SAME(nx == ny, where);
    for (size_t i = 0; i < nx; i++)
        SAME_SLICE(x[i], y[i], where);
    return NULL;
}

static const char *sampling_differs(const struct request *a, const struct request *b) {
    SAME(a->max_tokens == b->max_tokens, "max_tokens");
    SAME(num_eq(a->temperature, b->temperature), "temperature");
    SAME(num_eq(a->top_p, b->top_p), "top_p");
    SAME(num_eq(a->min_p, b->min_p), "min_p");
    SAME(num_eq(a->presence_penalty, b->presence_penalty), "presence_penalty");
    SAME(num_eq(a->frequency_penalty, b->frequency_penalty), "frequency_penalty");
    SAME(num_eq(a->repeat_penalty, b->repeat_penalty), "repeat_penalty");
    SAME(a->top_k == b->top_k, "top_k");
    SAME(a->seed_set == b->seed_set && a->seed == b->seed, "seed");
    SAME(a->n == b->n, "n");
    SAME(a->logprobs == b->logprobs, "logprobs");
    SAME(a->top_logprobs == b->top_logprobs, "top_logprobs");
    SAME(a->think == b->think, "think");
    SAME(a->think_budget == b->think_budget, "think_budget");
    SAME(a->think_shown == b->think_shown, "think_shown");
    SAME(a->context == b->context, "context");
    return slices_differ(a->stops, a->n_stops, b->stops, b->n_stops, "stops");
}

static const char *shape_differs(const struct request *a, const struct request *b) {
    SAME(a->tool_choice == b->tool_choice, "tool_choice");
    SAME_SLICE(a->tool_choice_name, b->tool_choice_name, "tool_choice_name");
    SAME(a->parallel_tools == b->parallel_tools, "parallel_tools");
    SAME(a->format == b->format, "format");
    SAME_SLICE(a->format_name, b->format_name, "format_name");
    SAME_SLICE(a->format_schema, b->format_schema, "format_schema");
    SAME(a->format_strict == b->format_strict, "format_strict");
    SAME_SLICE(a->user, b->user, "user");
    SAME_SLICE(a->keep_alive, b->keep_alive, "keep_alive");
    return NULL;
}

static const char *requests_differ(const struct request *a, const struct request *b) {
    SAME(a->op == b->op, "op");
    SAME_SLICE(a->model, b->model, "model");
    SAME(a->stream == b->stream, "stream");
    SAME(a->include_usage == b->include_usage, "include_usage");
    SAME_SLICE(a->prompt, b->prompt, "prompt");
    SAME_SLICE(a->suffix, b->suffix, "suffix");
    SAME(a->raw == b->raw, "raw");
    SAME(a->dimensions == b->dimensions, "dimensions");
    SAME(a->as_base64 == b->as_base64, "as_base64");
    SAME(a->kin_only == b->kin_only, "kin_only");
    const char *where = messages_differ(a->messages, b->messages);
    if (!where)
        where = tools_differ(a->tools, b->tools);
    if (!where)
        where = shape_differs(a, b);
    if (!where)
        where = sampling_differs(a, b);
    return where;
}

bool request_equal(const struct request *a, const struct request *b, const char **ret_where) {
    const char *where = requests_differ(a, b);
    if (where && ret_where)
        *ret_where = where;
    return !where;
}
