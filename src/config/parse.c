// SPDX-License-Identifier: Apache-2.0
// YAML nodes → struct config, by the schema table: each field's type says how its node is read and where the value goes.
// Defaults go through the same functions, so that a default that does not parse is found by the first test. Every problem
// is noted and the walk goes on; what could not be read keeps its default. All memory is the config's arena, but for
// secrets, which never pass through it. Blocks on key files.
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include "base/fs.h"
#include "base/limits.h"
#include "config/parse.h"
#include "config/values.h"

#define VARIABLE_BYTES_MAX 256 // of a variable's name
#define TEXT_BYTES_MAX 65536   // of one value with its variables put in

static const char *kind_of(const yaml_node_t *n) {
    return n->type == YAML_SCALAR_NODE ? "a value" : n->type == YAML_SEQUENCE_NODE ? "a list" : "a map";
}

// ---- ${VARIABLE}

static bool variable_name_ok(struct slice name) {
    if (!name.p)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return name.n > 0 && name.n < VARIABLE_BYTES_MAX;
}

static bool text_put(struct parse *p, const yaml_node_t *n, struct slice s, struct buf *out) {
    if (s.n > out->max - out->len) {
        problem_at(p, n, "is longer than %u bytes", (unsigned)out->max);
        return false;
    }
    buf_append(out, s);
    p->no_memory |= out->failed;
    return !out->failed;
}

static bool variable_put(struct parse *p, const yaml_node_t *n, struct slice name, struct buf *out) {
    char text[VARIABLE_BYTES_MAX];
    if (!variable_name_ok(name)) {
        problem_at(p, n, "'${%.*s}' is no variable's name", SLICE_FMT(shown(name)));
        return false;
    }
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    const char *value = getenv(text);
    if (!value) {
        problem_at(p, n, "the environment variable %s is not set; set it, or use a file", text);
        return false;
    }
    return text_put(p, n, slice_str(value), out);
}

static bool variables_put(struct parse *p, const yaml_node_t *n, struct buf *out) {
    struct slice s = node_text(n);
    while (s.n) {
        size_t at = slice_search(s, SLICE("${"));
        if (!text_put(p, n, slice_first(s, at), out))
            return false;
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
    return true;
}

// The scalar with its variables put in, appended to *out. False: a problem was noted.
static bool expand(struct parse *p, const yaml_node_t *n, struct buf *out) {
    if (n->type != YAML_SCALAR_NODE) {
        problem_at(p, n, "expected a value, found %s", kind_of(n));
        return false;
    }
    if (!variables_put(p, n, out))
        return false;
    if (slice_find(buf_slice(out), 0) == SIZE_MAX)
        return true;
    problem_at(p, n, "holds a NUL byte");
    return false;
}

static const char *string_of(struct parse *p, const yaml_node_t *n) {
    struct buf text = BUF_INIT(TEXT_BYTES_MAX);
    char *copy = NULL;
    if (expand(p, n, &text) && !(copy = arena_cstr(&p->c->arena, buf_slice(&text))))
        p->no_memory = true;
    buf_done(&text);
    return copy;
}

// ---- paths: ~/ is home, relative ones are looked for beside the config

static const char *path_of(struct parse *p, const yaml_node_t *n) {
    const char *path = string_of(p, n), *home = getenv("HOME");
    if (!path || path[0] == '/' || path[0] == 0)
        return path;
    if (strncmp(path, "~/", 2) == 0 && home)
        path = arena_printf(&p->c->arena, "%s%s", home, path + 1);
    else
        path = arena_printf(&p->c->arena, "%s/%s", p->base_dir, path);
    p->no_memory |= !path;
    return path;
}

// ---- scalars

static bool name_is_one_of(struct parse *p, const yaml_node_t *n, const struct field *f, int *ret) {
    struct slice s = node_text(n);
    char list[256] = "";
    size_t len = 0;
    for (int i = 0; f->names[i]; i++) {
        if (slice_is(s, f->names[i])) {
            *ret = i;
            return true;
        }
        if (len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", f->names[i]);
    }
    problem_at(p, n, "%s: found '%.*s'; expected one of: %s", f->key, SLICE_FMT(shown(s)), list);
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
    struct slice s = node_text(n);
    const char *expected;
    char low[32], high[32];
    int64_t v;
    if (!number_read(f, s, &v, &expected)) {
        problem_at(p, n, "%s: found '%.*s'; expected %s", f->key, SLICE_FMT(shown(s)), expected);
        return;
    }
    if (f->type == FIELD_SECONDS)
        v /= 1000;
    if (f->max != 0 && (v < f->min || v > f->max)) {
        problem_at(p, n, "%s: '%.*s' is out of bounds; expected %s to %s", f->key, SLICE_FMT(shown(s)),
                   field_number_text(f, f->min, low), field_number_text(f, f->max, high));
        return;
    }
    *at = v;
}

static void bool_set(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    bool yes = false;
    if (!value_bool(node_text(n), &yes))
        return problem_at(p, n, "%s: found '%.*s'; expected true or false", f->key, SLICE_FMT(shown(node_text(n))));
    if (f->type == FIELD_BOOL)
        *(bool *)(void *)at = yes;
    else
        *(int *)(void *)at = yes;
}

static void string_set(struct parse *p, const yaml_node_t *n, const struct field *f, const char **at) {
    int index = 0;
    if (f->names && !name_is_one_of(p, n, f, &index))
        return;
    const char *s = f->type == FIELD_PATH ? path_of(p, n) : string_of(p, n);
    if (s && !s[0])
        return problem_at(p, n, "%s: is empty", f->key);
    if (s)
        *at = s;
}

// ---- secrets

// Into a header of its own it goes, so it must be one line. Said without showing it.
static void secret_check(struct parse *p, const yaml_node_t *n, const struct field *f, const struct secret *s) {
    struct slice v = secret_reveal(s);
    if (v.n == 0)
        return problem_at(p, n, "%s: is empty", f->key);
    for (size_t i = 0; i < v.n; i++)
        if ((unsigned char)v.p[i] <= 0x20 || v.p[i] == 0x7f)
            return problem_at(p, n, "%s: holds a blank or a control character; a key is one word", f->key);
}

static void secret_read(struct parse *p, const yaml_node_t *n, const struct field *f, struct secret *at) {
    struct buf text = BUF_INIT(TEXT_BYTES_MAX);
    bool ok = buf_reserve(&text, 1024) && expand(p, n, &text); // room first: growing leaves copies behind
    p->no_memory |= text.cap == 0;
    if (ok && !secret_set(at, slice_trim(buf_slice(&text))))
        p->no_memory = true;
    else if (ok)
        secret_check(p, n, f, at);
    if (text.p)
        wipe(text.p, text.cap);
    buf_done(&text);
}

static void secret_file_read(struct parse *p, const yaml_node_t *n, const struct field *f, struct secret *at) {
    struct stat st;
    const char *path = path_of(p, n);
    if (!path)
        return;
    if (!secret_from_file(at, path))
        return problem_at(p, n, "%s: %s: %s", f->key, path, strerror(errno));
    secret_check(p, n, f, at);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
        warning_at(p, n, "%s: others than the owner may open %s (mode %03o); chmod 600 it", f->key, path,
                   (unsigned)(st.st_mode & 0777));
}

static void secret_set_once(struct parse *p, const yaml_node_t *n, const struct field *f, struct secret *at) {
    if (!secret_is_empty(at))
        return problem_at(p, n, "%s: the key is given twice, as itself and as a file; keep one", f->key);
    if (f->type == FIELD_SECRET)
        secret_read(p, n, f, at);
    else
        secret_file_read(p, n, f, at);
}

// ---- lists and maps

// How many items a list or map has; false with a problem when it is something else, or has too many.
static bool items_count(struct parse *p, const yaml_node_t *n, const struct field *f, yaml_node_type_t type,
                        size_t *ret) {
    if (n->type != type) {
        const char *expected = type == YAML_SEQUENCE_NODE ? "a list" : "a map";
        problem_at(p, n, "%s: expected %s, found %s", f->key, expected, kind_of(n));
        return false;
    }
    if (type == YAML_SEQUENCE_NODE)
        *ret = (size_t)(n->data.sequence.items.top - n->data.sequence.items.start);
    else
        *ret = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
    if (*ret <= LIMIT_CONFIG_ITEMS)
        return true;
    problem_at(p, n, "%s: has %zu items; at most %u are read", f->key, *ret, LIMIT_CONFIG_ITEMS);
    return false;
}

static void strings_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    size_t count = 1;
    bool list = n->type == YAML_SEQUENCE_NODE;
    if (list && !items_count(p, n, f, YAML_SEQUENCE_NODE, &count))
        return;
    if (count == 0 && f->min > 0)
        return problem_at(p, n, "%s: is empty; expected one or more", f->key);
    const char **v = arena_array(&p->c->arena, count + 1, sizeof *v);
    bool whole = v;
    p->no_memory |= !v;
    for (size_t i = 0; v && i < count; i++) {
        const yaml_node_t *item = list ? node_item(p, n, i) : n;
        v[i] = string_of(p, item);
        if (v[i] && (node_is_null(item) || (!v[i][0] && f->min > 0))) {
            problem_at(p, item, "%s: an item is empty", f->key);
            v[i] = NULL;
        }
        whole &= v[i] != NULL;
    }
    if (!whole)
        return;
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
    size_t count;
    if (!items_count(p, n, f, YAML_SEQUENCE_NODE, &count))
        return;
    char *v = array_new(p, f, at, count);
    for (size_t i = 0; v && i < count; i++)
        object_read(p, node_item(p, n, i), f->sub, v + i * f->sub->size, depth + 1);
}

static void map_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at, int depth) {
    size_t count;
    if (!items_count(p, n, f, YAML_MAPPING_NODE, &count))
        return;
    char *v = array_new(p, f, at, count);
    for (size_t i = 0; v && i < count; i++) {
        char *one = v + i * f->sub->size;
        const yaml_node_t *key = yaml_document_get_node(p->doc, n->data.mapping.pairs.start[i].key);
        string_set(p, key, &f->sub->fields[0], (const char **)(void *)(one + f->sub->fields[0].offset));
        object_read(p, node_item(p, n, i), f->sub, one, depth + 1);
    }
}

// RFC 9110: a token; what curl and we write ourselves stays ours.
static bool header_ok(const struct config_header *h) {
    static const char token[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    static const char *const ours[] = {"host", "content-length", "transfer-encoding", "connection"};
    if (!h->name[0] || strspn(h->name, token) != strlen(h->name))
        return false;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (slice_eq_nocase(slice_str(h->name), slice_str(ours[i])))
            return false;
    for (const char *v = h->value; *v; v++)
        if (((unsigned char)*v < 0x20 && *v != '\t') || *v == 0x7f)
            return false;
    return true;
}

static void headers_read(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    size_t count;
    if (!items_count(p, n, f, YAML_MAPPING_NODE, &count))
        return;
    struct config_header *v = arena_array(&p->c->arena, count + 1, sizeof *v);
    bool whole = v;
    p->no_memory |= !v;
    for (size_t i = 0; v && i < count; i++) {
        const yaml_node_t *key = yaml_document_get_node(p->doc, n->data.mapping.pairs.start[i].key);
        v[i].name = string_of(p, key);
        v[i].value = string_of(p, node_item(p, n, i));
        if (v[i].name && v[i].value && !header_ok(&v[i]))
            problem_at(p, key, "%s: '%.*s' is no header that may be set here", f->key,
                       SLICE_FMT(shown(slice_str(v[i].name))));
        whole &= v[i].name && v[i].value;
    }
    if (!whole)
        return;
    *(struct config_header **)(void *)(at + f->offset) = v;
    *(size_t *)(void *)(at + f->count_offset) = count;
}

// ---- privacy: a row of the matrix, zone → condition

static bool condition_read(struct parse *p, const yaml_node_t *n, const struct field *f, enum condition *ret) {
    bool yes;
    if (slice_is(node_text(n), "pseudonymise"))
        *ret = COND_PSEUDONYMISED;
    else if (n->type == YAML_SCALAR_NODE && value_bool(node_text(n), &yes))
        *ret = yes ? COND_YES : COND_NO;
    else if (n->type != YAML_SCALAR_NODE || !condition_parse(node_text(n), ret)) {
        problem_at(p, n, "%s: expected yes, no, pseudonymised or no_retention", f->key);
        return false;
    }
    return true;
}

static void reach_read(struct parse *p, const yaml_node_t *n, const struct field *f, enum condition row[ZONE_COUNT]) {
    enum condition c;
    enum zone z;
    if (n->type == YAML_SCALAR_NODE && condition_read(p, n, f, &c)) {
        if (c > row[ZONE_CLOUD])
            return problem_at(p, n, "%s: this loosens the default; write it out: %s: {cloud: %s}", f->key, f->key,
                              condition_name(c));
        row[ZONE_CLOUD] = c;
    }
    if (n->type == YAML_SEQUENCE_NODE)
        return problem_at(p, n, "%s: expected a condition or a map of zones, found a list", f->key);
    for (size_t i = 0; n->type == YAML_MAPPING_NODE && node_item(p, n, i); i++) {
        const yaml_node_t *key = yaml_document_get_node(p->doc, n->data.mapping.pairs.start[i].key);
        if (!zone_parse(node_text(key), &z))
            problem_at(p, key, "%s: found '%.*s'; expected a zone: device, edge, sealed, cloud", f->key,
                       SLICE_FMT(shown(node_text(key))));
        else if (condition_read(p, node_item(p, n, i), f, &c))
            row[z] = c;
    }
}

// ---- one field, one object

static void scalar_set(struct parse *p, const yaml_node_t *n, const struct field *f, char *at) {
    int index = 0;
    if (n->type != YAML_SCALAR_NODE)
        return problem_at(p, n, "%s: expected a value, found %s", f->key, kind_of(n));
    switch ((int)f->type) {
    case FIELD_STRING:
    case FIELD_PATH:
        return string_set(p, n, f, (const char **)(void *)at);
    case FIELD_BOOL:
    case FIELD_TRISTATE:
        return bool_set(p, n, f, at);
    case FIELD_ENUM:
        if (name_is_one_of(p, n, f, &index))
            *(int *)(void *)at = index;
        return;
    case FIELD_SECRET:
    case FIELD_SECRET_FILE:
        return secret_set_once(p, n, f, (struct secret *)(void *)at);
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
    case FIELD_REACH:
        return reach_read(p, n, f, (enum condition *)(void *)(at + f->offset));
    default:
        scalar_set(p, n, f, at + f->offset);
    }
}

static const struct field *field_named(const struct schema *s, struct slice key, const struct field **ret_near) {
    unsigned least = 4;
    *ret_near = NULL;
    for (const struct field *f = s->fields; f->key; f++) {
        unsigned d = f->from_key ? least : slice_distance(slice_str(f->key), key);
        if (d == 0)
            return f;
        if (d < least && d * 2 <= key.n) // further away is another word
            least = d, *ret_near = f;
    }
    return NULL;
}

static void unknown_key(struct parse *p, const yaml_node_t *key, const struct schema *s, const struct field *near) {
    struct slice name = key->type == YAML_SCALAR_NODE ? shown(node_text(key)) : SLICE("?");
    if (near)
        problem_at(p, key, "unknown key '%.*s' in %s; did you mean '%s'?", SLICE_FMT(name), s->name, near->key);
    else
        problem_at(p, key, "unknown key '%.*s' in %s (docs/configuration.md lists them)", SLICE_FMT(name), s->name);
}

static void pairs_read(struct parse *p, const yaml_node_t *n, const struct schema *s, char *at, int depth) {
    uint64_t seen = 0, given = 0;
    for (size_t i = 0; node_item(p, n, i); i++) {
        const yaml_node_t *key = yaml_document_get_node(p->doc, n->data.mapping.pairs.start[i].key);
        const struct field *near = NULL, *f = NULL;
        if (key->type == YAML_SCALAR_NODE)
            f = field_named(s, node_text(key), &near);
        if (!f) {
            unknown_key(p, key, s, near);
            continue;
        }
        uint64_t bit = 1ull << (f - s->fields);
        if (seen & bit)
            problem_at(p, key, "'%s' is given twice", f->key);
        if ((seen & bit) == 0 && !node_is_null(node_item(p, n, i))) {
            field_read(p, node_item(p, n, i), f, at, depth);
            given |= bit;
        }
        seen |= bit;
    }
    for (const struct field *f = s->fields; f->key; f++)
        if (f->required && !(given & 1ull << (f - s->fields)))
            problem_at(p, n, "%s: '%s' is missing", s->name, f->key);
}

void object_read(struct parse *p, const yaml_node_t *n, const struct schema *s, char *at, int depth) {
    const struct field *near;
    if (depth > CONFIG_DEPTH_MAX)
        return problem_at(p, n, "nested too deeply");
    if (n->type == YAML_MAPPING_NODE)
        return pairs_read(p, n, s, at, depth);
    if (s->scalar && !node_is_null(n))
        return field_read(p, n, field_named(s, slice_str(s->scalar), &near), at, depth);
    problem_at(p, n, "%s: expected a map, found %s", s->name, node_is_null(n) ? "nothing" : kind_of(n));
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

void object_init(struct parse *p, const struct schema *s, char *at) {
    for (const struct field *f = s->fields; f->key; f++)
        field_init(p, f, at);
}
