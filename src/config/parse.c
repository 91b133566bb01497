// SPDX-License-Identifier: Apache-2.0
// YAML → struct config, by the schema table. libyaml makes the document with line and column of every node; this walks it
// and lists every problem instead of stopping at the first. Runs on the main thread, blocks on key files, keeps nothing
// outside the config's arena.
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <yaml.h>
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config/schema.h"
#include "config/values.h"

#define DEPTH_MAX 12

struct parse {
    yaml_document_t *doc;
    struct config *c;
    const char *name, *base_dir;
    struct buf *problems;
    unsigned n_problems;
    bool no_memory;
};

static void problem_at(struct parse *p, const yaml_node_t *n, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void problem_at(struct parse *p, const yaml_node_t *n, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    p->n_problems++;
    buf_printf(p->problems, "%s:%zu:%zu: %s\n", p->name, n->start_mark.line + 1, n->start_mark.column + 1, text);
}

static struct slice scalar_of(const yaml_node_t *n) {
    return slice_of((const char *)n->data.scalar.value, n->data.scalar.length);
}

static const char *kind_of(const yaml_node_t *n) {
    return n->type == YAML_SCALAR_NODE ? "a value" : n->type == YAML_SEQUENCE_NODE ? "a list" : "a map";
}

// ---- ${VARIABLE}

static bool variable_put(struct parse *p, const yaml_node_t *n, struct slice name, struct buf *out) {
    char text[256];
    if (name.n == 0 || name.n >= sizeof text) {
        problem_at(p, n, "'${%.*s}' is no variable's name", SLICE_FMT(slice_first(name, 64)));
        return false;
    }
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    const char *value = getenv(text);
    if (!value) {
        problem_at(p, n, "the environment variable %s is not set; set it, or use a file", text);
        return false;
    }
    buf_append_str(out, value);
    return true;
}

// The scalar with its variables put in; into *out. False: a problem was noted.
static bool expand(struct parse *p, const yaml_node_t *n, struct buf *out) {
    struct slice s = scalar_of(n);
    while (s.n) {
        size_t at = slice_search(s, SLICE("${"));
        buf_append(out, slice_first(s, at == SIZE_MAX ? s.n : at));
        if (at == SIZE_MAX)
            break;
        struct slice rest = slice_from(s, at + 2);
        size_t close = slice_find(rest, '}');
        if (close == SIZE_MAX) {
            problem_at(p, n, "'${' without '}'");
            return false;
        }
        if (!variable_put(p, n, slice_first(rest, close), out))
            return false;
        s = slice_from(rest, close + 1);
    }
    return !out->failed;
}

static const char *string_of(struct parse *p, const yaml_node_t *n) {
    struct buf text = BUF_INIT(65536);
    char *copy = NULL;
    if (n->type != YAML_SCALAR_NODE)
        problem_at(p, n, "expected a value, found %s", kind_of(n));
    else if (expand(p, n, &text) && !(copy = arena_cstr(&p->c->arena, buf_slice(&text))))
        p->no_memory = true;
    buf_done(&text);
    return copy;
}

// ---- scalars

static bool name_is_one_of(struct parse *p, const yaml_node_t *n, const char *const *names, int *ret) {
    struct slice s = scalar_of(n);
    struct buf list = BUF_INIT(512);
    for (int i = 0; names[i]; i++) {
        if (slice_is(s, names[i])) {
            *ret = i;
            buf_done(&list);
            return true;
        }
        buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    problem_at(p, n, "found '%.*s'; expected one of: %s", SLICE_FMT(slice_first(s, 64)), buf_cstr(&list));
    buf_done(&list);
    return false;
}

static bool number_read(const struct field *f, struct slice s, int64_t *ret, const char **ret_expected) {
    uint64_t u = 0;
    switch ((int)f->type) {
    case FIELD_BYTES:
        *ret_expected = "a size like 512MiB";
        return value_bytes(s, ret);
    case FIELD_DURATION:
    case FIELD_SECONDS:
        *ret_expected = "a duration like 30s or 5m";
        return value_duration_ms(s, ret);
    case FIELD_MONEY:
        *ret_expected = "an amount like 50 USD";
        return value_usd(s, ret);
    case FIELD_PRICE:
        *ret_expected = "a price like 2.50 USD/M";
        return value_price(s, ret);
    default:
        *ret_expected = "a whole number";
        if (!slice_u64(s, &u) || u > INT64_MAX)
            return false;
        *ret = (int64_t)u;
        return true;
    }
}

static void number_set(struct parse *p, const yaml_node_t *n, const struct field *f, int64_t *at) {
    struct slice s = scalar_of(n);
    const char *expected;
    int64_t v;
    if (!number_read(f, s, &v, &expected)) {
        problem_at(p, n, "%s: found '%.*s'; expected %s", f->key, SLICE_FMT(slice_first(s, 64)), expected);
        return;
    }
    if (f->type == FIELD_SECONDS)
        v /= 1000;
    bool bounded = f->max != 0;
    if (bounded && (v < f->min || v > f->max)) {
        problem_at(p, n, "%s: '%.*s' is out of bounds", f->key, SLICE_FMT(slice_first(s, 64)));
        return;
    }
    *at = v;
}

static void secret_read(struct parse *p, const yaml_node_t *n, const struct field *f, struct secret *at) {
    struct buf text = BUF_INIT(65536);
    if (expand(p, n, &text)) {
        if (slice_trim(buf_slice(&text)).n == 0)
            problem_at(p, n, "%s: is empty", f->key);
        else if (!secret_set(at, slice_trim(buf_slice(&text))))
            p->no_memory = true;
    }
    if (text.p)
        wipe(text.p, text.cap);
    buf_done(&text);
}

static void secret_file_read(struct parse *p, const yaml_node_t *n, const struct field *f, struct secret *at) {
    const char *path = string_of(p, n);
    char full[PATH_MAX];
    if (!path)
        return;
    int len = snprintf(full, sizeof full, "%s%s%s", path[0] == '/' ? "" : p->base_dir, path[0] == '/' ? "" : "/", path);
    if (len < 0 || (size_t)len >= sizeof full)
        return problem_at(p, n, "%s: the path is too long", f->key);
    if (!secret_from_file(at, full))
        return problem_at(p, n, "%s: %s: %s", f->key, full, strerror(errno));
    if (secret_is_empty(at))
        problem_at(p, n, "%s: %s is empty", f->key, full);
}

// ---- structures

static void object_read(struct parse *p, const yaml_node_t *n, const struct schema *s, char *at, int depth);
static void object_init(struct parse *p, const struct schema *s, char *at);

static void strings_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    size_t count = 1;
    const yaml_node_item_t *items = NULL;
    if (n->type == YAML_SEQUENCE_NODE) {
        items = n->data.sequence.items.start;
        count = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    }
    const char **v = arena_array(&p->c->arena, count + 1, sizeof *v);
    if (!v) {
        p->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        v[i] = string_of(p, items ? yaml_document_get_node(p->doc, items[i]) : n);
        if (!v[i])
            return;
    }
    *(const char ***)(void *)(at + f->offset) = v;
    *(size_t *)(void *)(at + f->count_offset) = count;
}

// Makes room for `count` structs of the sub-table and hangs it where the field says.
static char *array_new(struct parse *p, const struct field *f, char *at, size_t count) {
    char *v = arena_array(&p->c->arena, count + 1, f->sub->size);
    if (!v) {
        p->no_memory = true;
        return NULL;
    }
    *(char **)(void *)(at + f->offset) = v;
    *(size_t *)(void *)(at + f->count_offset) = count;
    for (size_t i = 0; i < count; i++)
        object_init(p, f->sub, v + i * f->sub->size);
    return v;
}

static void list_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at, int depth) {
    if (n->type != YAML_SEQUENCE_NODE)
        return problem_at(p, n, "%s: expected a list, found %s", f->key, kind_of(n));
    const yaml_node_item_t *items = n->data.sequence.items.start;
    size_t count = (size_t)(n->data.sequence.items.top - items);
    char *v = array_new(p, f, at, count);
    for (size_t i = 0; v && i < count; i++)
        object_read(p, yaml_document_get_node(p->doc, items[i]), f->sub, v + i * f->sub->size, depth + 1);
}

static void map_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at, int depth) {
    if (n->type != YAML_MAPPING_NODE)
        return problem_at(p, n, "%s: expected a map, found %s", f->key, kind_of(n));
    const yaml_node_pair_t *pairs = n->data.mapping.pairs.start;
    size_t count = (size_t)(n->data.mapping.pairs.top - pairs);
    char *v = array_new(p, f, at, count);
    for (size_t i = 0; v && i < count; i++) {
        char *one = v + i * f->sub->size;
        *(const char **)(void *)(one + f->sub->fields[0].offset) =
            string_of(p, yaml_document_get_node(p->doc, pairs[i].key));
        object_read(p, yaml_document_get_node(p->doc, pairs[i].value), f->sub, one, depth + 1);
    }
}

static void headers_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    if (n->type != YAML_MAPPING_NODE)
        return problem_at(p, n, "%s: expected a map, found %s", f->key, kind_of(n));
    const yaml_node_pair_t *pairs = n->data.mapping.pairs.start;
    size_t count = (size_t)(n->data.mapping.pairs.top - pairs);
    struct config_header *v = arena_array(&p->c->arena, count + 1, sizeof *v);
    if (!v) {
        p->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        v[i].name = string_of(p, yaml_document_get_node(p->doc, pairs[i].key));
        v[i].value = string_of(p, yaml_document_get_node(p->doc, pairs[i].value));
        if (!v[i].name || !v[i].value)
            return;
        if (strpbrk(v[i].name, "\r\n: ") || strpbrk(v[i].value, "\r\n"))
            return problem_at(p, n, "%s: '%s' is no header", f->key, v[i].name);
    }
    *(struct config_header **)(void *)(at + f->offset) = v;
    *(size_t *)(void *)(at + f->count_offset) = count;
}

// ---- privacy: label → zone → condition

static void matrix_cell(struct parse *p, const yaml_node_t *n, enum condition *cell) {
    struct slice s = n->type == YAML_SCALAR_NODE ? scalar_of(n) : SLICE_NONE;
    bool yes;
    if (slice_is(s, "pseudonymise"))
        *cell = COND_PSEUDONYMISED;
    else if (condition_parse(s, cell))
        return;
    else if (value_bool(s, &yes))
        *cell = yes ? COND_YES : COND_NO;
    else
        problem_at(p, n, "privacy: expected yes, no, pseudonymised or no_retention");
}

static void matrix_row(struct parse *p, const yaml_node_t *n, enum condition row[ZONE_COUNT]) {
    if (n->type == YAML_SCALAR_NODE)
        return matrix_cell(p, n, &row[ZONE_CLOUD]);
    if (n->type != YAML_MAPPING_NODE)
        return problem_at(p, n, "privacy: expected a map of zones or a condition");
    for (const yaml_node_pair_t *pair = n->data.mapping.pairs.start; pair < n->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(p->doc, pair->key);
        enum zone z;
        if (key->type != YAML_SCALAR_NODE || !zone_parse(scalar_of(key), &z))
            problem_at(p, key, "privacy: expected a zone: device, edge, sealed, cloud");
        else
            matrix_cell(p, yaml_document_get_node(p->doc, pair->value), &row[z]);
    }
}

static void matrix_read(struct parse *p, const yaml_node_t *n) {
    if (n->type != YAML_MAPPING_NODE)
        return problem_at(p, n, "privacy: expected a map of labels");
    for (const yaml_node_pair_t *pair = n->data.mapping.pairs.start; pair < n->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(p->doc, pair->key);
        enum label l;
        if (key->type != YAML_SCALAR_NODE || !label_parse(scalar_of(key), &l))
            problem_at(p, key, "privacy: expected a label: public, internal, personal, secret");
        else
            matrix_row(p, yaml_document_get_node(p->doc, pair->value), p->c->matrix[l]);
    }
}

// ---- one field, one object

static void scalar_set(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    int index = 0;
    bool yes = false;
    if (n->type != YAML_SCALAR_NODE)
        return problem_at(p, n, "%s: expected a value, found %s", f->key, kind_of(n));
    switch ((int)f->type) {
    case FIELD_STRING:
        if (f->names && !name_is_one_of(p, n, f->names, &index))
            return;
        *(const char **)(void *)at = string_of(p, n);
        return;
    case FIELD_BOOL:
    case FIELD_TRISTATE:
        if (!value_bool(scalar_of(n), &yes))
            return problem_at(p, n, "%s: expected true or false", f->key);
        if (f->type == FIELD_BOOL)
            *(bool *)(void *)at = yes;
        else
            *(int *)(void *)at = yes;
        return;
    case FIELD_ENUM:
        if (name_is_one_of(p, n, f->names, &index))
            *(int *)(void *)at = index;
        return;
    case FIELD_SECRET:
        return secret_read(p, n, f, (struct secret *)(void *)at);
    case FIELD_SECRET_FILE:
        return secret_file_read(p, n, f, (struct secret *)(void *)at);
    default:
        number_set(p, n, f, (int64_t *)(void *)at);
    }
}

static void field_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at, int depth) {
    if (f->has_offset)
        *(bool *)(void *)(at + f->has_offset) = true;
    switch ((int)f->type) {
    case FIELD_OBJECT:
        return object_read(p, n, f->sub, at, depth + 1);
    case FIELD_LIST:
        return list_read(p, n, f, at, depth);
    case FIELD_MAP:
        return map_read(p, n, f, at, depth);
    case FIELD_STRINGS:
        return strings_read(p, n, f, at);
    case FIELD_HEADERS:
        return headers_read(p, n, f, at);
    case FIELD_MATRIX:
        return matrix_read(p, n);
    default:
        scalar_set(p, n, f, at + f->offset);
    }
}

static const struct field *field_named(const struct schema *s, struct slice key, const struct field **ret_near) {
    unsigned least = 4;
    *ret_near = NULL;
    for (const struct field *f = s->fields; f->key; f++) {
        unsigned d = slice_distance(slice_str(f->key), key);
        if (d == 0)
            return f;
        if (d < least)
            least = d, *ret_near = f;
    }
    return NULL;
}

static void unknown_key(struct parse *p, const yaml_node_t *key, const struct schema *s, const struct field *near) {
    struct slice name = key->type == YAML_SCALAR_NODE ? slice_first(scalar_of(key), 64) : SLICE("?");
    if (near)
        problem_at(p, key, "unknown key '%.*s' in %s; did you mean '%s'?", SLICE_FMT(name), s->name, near->key);
    else
        problem_at(p, key, "unknown key '%.*s' in %s (docs/configuration.md lists them)", SLICE_FMT(name), s->name);
}

static void pairs_read(struct parse *p, const yaml_node_t *n, const struct schema *s, char *at, int depth) {
    uint64_t seen = 0;
    for (const yaml_node_pair_t *pair = n->data.mapping.pairs.start; pair < n->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(p->doc, pair->key);
        const struct field *near = NULL, *f = NULL;
        if (key->type == YAML_SCALAR_NODE)
            f = field_named(s, scalar_of(key), &near);
        if (!f) {
            unknown_key(p, key, s, near);
            continue;
        }
        uint64_t bit = 1ull << (f - s->fields);
        if (seen & bit)
            problem_at(p, key, "'%s' is given twice", f->key);
        seen |= bit;
        field_read(p, yaml_document_get_node(p->doc, pair->value), f, at, depth);
    }
    for (const struct field *f = s->fields; f->key; f++)
        if (f->required && !(seen & 1ull << (f - s->fields)))
            problem_at(p, n, "%s: '%s' is missing", s->name, f->key);
}

static void object_read(struct parse *p, const yaml_node_t *n, const struct schema *s, char *at, int depth) {
    const struct field *near;
    if (depth > DEPTH_MAX)
        return problem_at(p, n, "nested too deeply");
    if (n->type == YAML_MAPPING_NODE)
        return pairs_read(p, n, s, at, depth);
    if (s->scalar && n->type != YAML_MAPPING_NODE)
        return field_read(p, n, field_named(s, slice_str(s->scalar), &near), at, depth);
    problem_at(p, n, "%s: expected a map, found %s", s->name, kind_of(n));
}

// ---- defaults

static void field_init(struct parse *p, const struct field *f, char *at) {
    yaml_node_t node = {.type = YAML_SCALAR_NODE};
    if (f->type == FIELD_OBJECT)
        object_init(p, f->sub, at);
    if (f->type == FIELD_TRISTATE)
        *(int *)(void *)(at + f->offset) = -1;
    if (f->type == FIELD_PRICE)
        *(int64_t *)(void *)(at + f->offset) = -1;
    if (!f->initial)
        return;
    node.data.scalar.value = (yaml_char_t *)(uintptr_t)f->initial;
    node.data.scalar.length = strlen(f->initial);
    if (f->type == FIELD_STRINGS)
        strings_read(p, &node, f, at);
    else
        scalar_set(p, &node, f, at + f->offset);
}

static void object_init(struct parse *p, const struct schema *s, char *at) {
    for (const struct field *f = s->fields; f->key; f++)
        field_init(p, f, at);
}

// ---- what one field can't tell

static const yaml_node_t *node_of_list(struct parse *p, const char *key, size_t i) {
    yaml_node_t *root = yaml_document_get_root_node(p->doc);
    for (const yaml_node_pair_t *pair = root->data.mapping.pairs.start; pair < root->data.mapping.pairs.top; pair++) {
        if (!slice_is(scalar_of(yaml_document_get_node(p->doc, pair->key)), key))
            continue;
        const yaml_node_t *v = yaml_document_get_node(p->doc, pair->value);
        if (v->type == YAML_SEQUENCE_NODE)
            return yaml_document_get_node(p->doc, v->data.sequence.items.start[i]);
        if (v->type == YAML_MAPPING_NODE)
            return yaml_document_get_node(p->doc, v->data.mapping.pairs.start[i].value);
    }
    return root;
}

static bool name_ok(const char *name) {
    return name[0] && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name);
}

static void endpoints_check(struct parse *p) {
    for (size_t i = 0; i < p->c->n_endpoints; i++) {
        struct config_endpoint *e = &p->c->endpoints[i];
        const yaml_node_t *n = node_of_list(p, "endpoints", i);
        e->line = (unsigned)n->start_mark.line + 1;
        if (!e->name)
            continue;
        if (!name_ok(e->name))
            problem_at(p, n, "endpoint name '%s': only letters, digits, . _ -", e->name);
        if (strcmp(e->name, "local") == 0)
            problem_at(p, n, "'local' is the engine's own name");
        for (size_t j = 0; j < i; j++)
            if (p->c->endpoints[j].name && strcmp(p->c->endpoints[j].name, e->name) == 0)
                problem_at(p, n, "a second endpoint named '%s'", e->name);
        if (e->url && strncmp(e->url, "http://", 7) != 0 && strncmp(e->url, "https://", 8) != 0)
            problem_at(p, n, "endpoint '%s': url must begin with http:// or https://", e->name);
    }
}

static bool endpoint_exists(const struct config *c, struct slice name) {
    if (slice_is(name, "local"))
        return true;
    for (size_t i = 0; i < c->n_endpoints; i++)
        if (c->endpoints[i].name && slice_is(name, c->endpoints[i].name))
            return true;
    return false;
}

static void routes_check(struct parse *p) {
    for (size_t i = 0; i < p->c->n_routes; i++) {
        const struct config_route *r = &p->c->routes[i];
        const yaml_node_t *n = node_of_list(p, "routes", i);
        for (size_t j = 0; j < r->n_targets; j++) {
            struct slice name = slice_str(r->targets[j]);
            size_t slash = slice_find(name, '/');
            if (slash != SIZE_MAX && !endpoint_exists(p->c, slice_first(name, slash)))
                problem_at(p, n, "route '%s': no endpoint is named '%.*s' (in '%s')", r->name, (int)slash, name.p,
                           r->targets[j]);
        }
    }
}

static void keys_check(struct parse *p) {
    for (size_t i = 0; i < p->c->n_keys; i++) {
        const struct config_key *k = &p->c->keys[i];
        const yaml_node_t *n = node_of_list(p, "keys", i);
        if (secret_is_empty(&k->secret) && p->n_problems == 0)
            problem_at(p, n, "key '%s': needs secret or secret_file", k->name);
        for (size_t j = 0; j < i; j++)
            if (k->name && p->c->keys[j].name && strcmp(p->c->keys[j].name, k->name) == 0)
                problem_at(p, n, "a second key named '%s'", k->name);
    }
}

static void matrix_default(struct config *c) {
    memcpy(c->matrix, reach_default_matrix, sizeof c->matrix);
}

static enum err document_read(struct parse *p) {
    yaml_node_t *root = yaml_document_get_root_node(p->doc);
    if (!root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
        return ERR_OK; // an empty file
    object_read(p, root, &schema_root, (char *)p->c, 0);
    if (root->type == YAML_MAPPING_NODE) {
        endpoints_check(p);
        routes_check(p);
        keys_check(p);
    }
    return ERR_OK;
}

static void yaml_problem(struct parse *p, const yaml_parser_t *y) {
    p->n_problems++;
    buf_printf(p->problems, "%s:%zu:%zu: not valid YAML: %s\n", p->name, y->problem_mark.line + 1,
               y->problem_mark.column + 1, y->problem ? y->problem : "unreadable");
}

static enum err text_read(struct parse *p, struct slice yaml) {
    yaml_parser_t y;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&y))
        return ERR_NO_MEMORY;
    yaml_parser_set_input_string(&y, (const unsigned char *)yaml.p, yaml.n);
    if (yaml_parser_load(&y, &doc)) {
        p->doc = &doc;
        (void)document_read(p);
        yaml_document_delete(&doc);
    } else {
        yaml_problem(p, &y);
    }
    yaml_parser_delete(&y);
    if (p->no_memory)
        return ERR_NO_MEMORY;
    return p->n_problems ? ERR_BAD_FIELD : ERR_OK;
}

enum err config_load_text(struct slice yaml, const char *name, const char *base_dir, struct config **ret,
                          struct buf *problems) {
    struct config *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NO_MEMORY;
    atomic_init(&c->refs, 1);
    arena_init(&c->arena, 64u << 20, 0);
    matrix_default(c);
    struct parse p = {.c = c, .name = name, .base_dir = base_dir, .problems = problems};
    object_init(&p, &schema_root, (char *)c);
    enum err e = p.no_memory ? ERR_NO_MEMORY : ERR_OK;
    if (!e && yaml.n)
        e = text_read(&p, yaml);
    if (e) {
        config_unref(c);
        return e;
    }
    *ret = c;
    return ERR_OK;
}

static void dir_of_path(const char *path, char dir[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    (void)snprintf(dir, PATH_MAX, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (slash == path)
        (void)snprintf(dir, PATH_MAX, "/");
}

enum err config_load(const char *path, struct config **ret, struct buf *problems) {
    char dir[PATH_MAX] = ".";
    struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES);
    enum err e = ERR_OK;
    if (path) {
        dir_of_path(path, dir);
        e = fs_read_file(path, LIMIT_CONFIG_BYTES - 1, &text);
        if (e)
            buf_printf(problems, "%s:1:1: %s\n", path, e == ERR_TOO_LARGE ? "the file is too large" : strerror(errno));
    }
    if (!e)
        e = config_load_text(buf_slice(&text), path ? path : "defaults", dir, ret, problems);
    if (text.p)
        wipe(text.p, text.cap);
    buf_done(&text);
    return e;
}

struct config *config_ref(struct config *c) {
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void config_unref(struct config *c) {
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    for (size_t i = 0; i < c->n_endpoints; i++)
        secret_done(&c->endpoints[i].key);
    for (size_t i = 0; i < c->n_keys; i++)
        secret_done(&c->keys[i].secret);
    arena_done(&c->arena);
    mem_free(c);
}
