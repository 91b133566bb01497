// SPDX-License-Identifier: Apache-2.0
// From a file's bytes to a struct config that others may hold: reads the file, lets libyaml make a document with line and
// column of every node, has parse.c and check.c fill and check the config, and hands it out only when nothing was wrong.
// The config is one arena and a count of who holds it; secrets lie outside and are wiped with it. Runs on the main thread
// at start and reload, blocks on the disk. The file's bytes and the document's may hold keys: both are wiped.
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "config/parse.h"

#define CONFIG_ARENA_BYTES (64u << 20) // a text of LIMIT_CONFIG_BYTES as structs
#define TAIL_BYTES 80                  // kept free for "and 12 more"

// ---- problems

struct slice shown(struct slice s) {
    s = slice_first(s, 64);
    for (int i = 0; i < 3 && !slice_is_utf8(s); i++)
        s.n--;
    return s;
}

// One line. Control characters would let a config forge lines of the report.
__attribute__((format(printf, 4, 0))) static void line_put(struct parse *p, yaml_mark_t mark, const char *kind,
                                                           const char *fmt, va_list args) {
    char text[640], line[2048];
    (void)vsnprintf(text, sizeof text, fmt, args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    (void)snprintf(line, sizeof line, "%s:%zu:%zu: %s%s\n", p->name, mark.line + 1, mark.column + 1, kind, text);
    struct buf *out = p->problems;
    if (p->n_unsaid || out->max - out->len < strlen(line) + TAIL_BYTES) {
        p->n_unsaid++;
        return;
    }
    buf_append_str(out, line);
    p->no_memory |= out->failed;
}

void problem_at_mark(struct parse *p, yaml_mark_t mark, const char *fmt, ...) {
    va_list args;
    p->n_problems++;
    va_start(args, fmt);
    line_put(p, mark, "", fmt, args);
    va_end(args);
}

void problem_at(struct parse *p, const yaml_node_t *n, const char *fmt, ...) {
    va_list args;
    p->n_problems++;
    va_start(args, fmt);
    line_put(p, n->start_mark, "", fmt, args);
    va_end(args);
}

void warning_at(struct parse *p, const yaml_node_t *n, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    line_put(p, n->start_mark, "warning: ", fmt, args);
    va_end(args);
}

// ---- nodes

struct slice node_text(const yaml_node_t *n) {
    if (n->type != YAML_SCALAR_NODE)
        return SLICE_NONE;
    return slice_of((const char *)n->data.scalar.value, n->data.scalar.length);
}

bool node_is_null(const yaml_node_t *n) {
    struct slice s = node_text(n);
    return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (s.n == 0 || slice_is(s, "~") || slice_is(s, "null"));
}

const yaml_node_t *node_member(struct parse *p, const yaml_node_t *n, const char *key) {
    if (!n || n->type != YAML_MAPPING_NODE)
        return NULL;
    for (const yaml_node_pair_t *pair = n->data.mapping.pairs.start; pair < n->data.mapping.pairs.top; pair++) {
        const yaml_node_t *k = yaml_document_get_node(p->doc, pair->key);
        if (k->type == YAML_SCALAR_NODE && slice_is(node_text(k), key))
            return yaml_document_get_node(p->doc, pair->value);
    }
    return NULL;
}

const yaml_node_t *node_item(struct parse *p, const yaml_node_t *n, size_t i) {
    if (n && n->type == YAML_SEQUENCE_NODE && i < (size_t)(n->data.sequence.items.top - n->data.sequence.items.start))
        return yaml_document_get_node(p->doc, n->data.sequence.items.start[i]);
    if (n && n->type == YAML_MAPPING_NODE && i < (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start))
        return yaml_document_get_node(p->doc, n->data.mapping.pairs.start[i].value);
    return NULL;
}

// ---- the text

static enum err yaml_failed(struct parse *p, const yaml_parser_t *y) {
    if (y->error == YAML_MEMORY_ERROR)
        return ERR_NO_MEMORY;
    problem_at_mark(p, y->problem_mark, "not valid YAML: %s%s%s", y->problem ? y->problem : "unreadable",
                    y->context ? ", " : "", y->context ? y->context : "");
    return ERR_BAD_FIELD;
}

// Anchors make graphs, cycles and bombs out of trees; one document is one config. False: a problem was noted.
static bool event_ok(struct parse *p, const yaml_event_t *ev, int *depth, int *documents) {
    const yaml_char_t *anchor = NULL;
    if (ev->type == YAML_SCALAR_EVENT)
        anchor = ev->data.scalar.anchor;
    if (ev->type == YAML_SEQUENCE_START_EVENT)
        anchor = ev->data.sequence_start.anchor;
    if (ev->type == YAML_MAPPING_START_EVENT)
        anchor = ev->data.mapping_start.anchor;
    if (anchor || ev->type == YAML_ALIAS_EVENT) {
        problem_at_mark(p, ev->start_mark, "anchors (&) and aliases (*) are not supported; write the value out");
        return false;
    }
    *depth += ev->type == YAML_SEQUENCE_START_EVENT || ev->type == YAML_MAPPING_START_EVENT;
    *depth -= ev->type == YAML_SEQUENCE_END_EVENT || ev->type == YAML_MAPPING_END_EVENT;
    *documents += ev->type == YAML_DOCUMENT_START_EVENT;
    if (*depth > CONFIG_DEPTH_MAX) {
        problem_at_mark(p, ev->start_mark, "nested too deeply; nothing here is deeper than %d", CONFIG_DEPTH_MAX);
        return false;
    }
    if (*documents > 1) {
        problem_at_mark(p, ev->start_mark, "a second document begins here; a config is one");
        return false;
    }
    return true;
}

// Looks at the text as events before a tree is built from it.
static enum err events_check(struct parse *p, struct slice yaml) {
    yaml_parser_t y;
    enum err e = ERR_OK;
    int depth = 0, documents = 0;
    if (!yaml_parser_initialize(&y))
        return ERR_NO_MEMORY;
    yaml_parser_set_input_string(&y, (const unsigned char *)yaml.p, yaml.n);
    for (bool more = true; more;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&y, &ev)) {
            e = yaml_failed(p, &y);
            break;
        }
        if (!event_ok(p, &ev, &depth, &documents))
            e = ERR_BAD_FIELD;
        more = !e && ev.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&y);
    return e;
}

static void document_wipe(yaml_document_t *doc) {
    for (yaml_node_t *n = doc->nodes.start; n < doc->nodes.top; n++)
        if (n->type == YAML_SCALAR_NODE && n->data.scalar.value)
            wipe(n->data.scalar.value, n->data.scalar.length);
    yaml_document_delete(doc);
}

static void document_read(struct parse *p) {
    const yaml_node_t *root = yaml_document_get_root_node(p->doc);
    if (!root || node_is_null(root))
        return; // an empty file
    object_read(p, root, &schema_root, (char *)p->c, 0);
    config_check(p, root);
}

static enum err text_read(struct parse *p, struct slice yaml) {
    yaml_parser_t y;
    yaml_document_t doc;
    enum err e = events_check(p, yaml);
    if (e)
        return e;
    if (!yaml_parser_initialize(&y))
        return ERR_NO_MEMORY;
    yaml_parser_set_input_string(&y, (const unsigned char *)yaml.p, yaml.n);
    if (yaml_parser_load(&y, &doc)) {
        p->doc = &doc;
        document_read(p);
        document_wipe(&doc);
        p->doc = NULL;
    } else {
        e = yaml_failed(p, &y);
    }
    yaml_parser_delete(&y);
    return e;
}

// ---- loading

enum err config_load_text(struct slice yaml, const char *name, const char *base_dir, struct config **ret,
                          struct buf *problems) {
    struct config *c = mem_zalloc(sizeof *c);
    if (!c)
        return ERR_NO_MEMORY;
    atomic_init(&c->refs, 1);
    arena_init(&c->arena, CONFIG_ARENA_BYTES, 0);
    memcpy(c->matrix, reach_default_matrix, sizeof c->matrix);
    struct parse p = {.c = c, .name = name, .base_dir = base_dir, .problems = problems};
    object_init(&p, &schema_root, (char *)c);
    enum err e = yaml.n && !p.no_memory ? text_read(&p, yaml) : ERR_OK;
    if (p.n_unsaid)
        buf_printf(problems, "%.40s: and %u more\n", name, p.n_unsaid);
    if (!e && p.n_problems)
        e = ERR_BAD_FIELD;
    if (p.no_memory)
        e = ERR_NO_MEMORY;
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

static enum err file_read(const char *path, struct buf *text, struct buf *problems) {
    enum err e = fs_read_file(path, LIMIT_CONFIG_BYTES, text);
    if (e == ERR_TOO_LARGE)
        buf_printf(problems, "%s:1:1: the file is larger than %u bytes\n", path, LIMIT_CONFIG_BYTES);
    else if (e && e != ERR_NO_MEMORY)
        buf_printf(problems, "%s:1:1: %s\n", path, strerror(errno));
    return e;
}

enum err config_load(const char *path, struct config **ret, struct buf *problems) {
    char dir[PATH_MAX] = ".";
    struct buf text = BUF_INIT(LIMIT_CONFIG_BYTES);
    enum err e = ERR_OK;
    if (path) {
        dir_of_path(path, dir);
        e = file_read(path, &text, problems);
    }
    if (!e)
        e = config_load_text(buf_slice(&text), path ? path : "defaults", dir, ret, problems);
    if (text.p)
        wipe(text.p, text.cap);
    buf_done(&text);
    return e;
}

// ---- holding

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
