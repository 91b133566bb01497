// SPDX-License-Identifier: Apache-2.0
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H
// What the files of this folder share: one parse of one YAML document into one struct config.
#include <yaml.h>
#include "config/schema.h"

struct parse {
    yaml_document_t *doc;
    struct config *c; // owned by load.c until it is given to the caller
    const char *name, *base_dir;
    struct buf *problems;
    unsigned n_problems; // those that make the config invalid
    unsigned n_unsaid;   // of all lines, those that found no room
    bool no_memory;
};

// A line "file:line:column: …" at the node's place; a warning does not make the config invalid.
void problem_at(struct parse *p, const yaml_node_t *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void warning_at(struct parse *p, const yaml_node_t *n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void problem_at_mark(struct parse *p, yaml_mark_t mark, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
// For "%.*s": so much of a text as a message should hold.
struct slice shown(struct slice s);

// Text of a scalar; empty for other nodes.
struct slice node_text(const yaml_node_t *n);
// A plain scalar that YAML takes for "nothing".
bool node_is_null(const yaml_node_t *n);
// NULL when n is no map or has no such key; the first of two.
const yaml_node_t *node_member(struct parse *p, const yaml_node_t *n, const char *key);
// The i-th item of a list, the i-th value of a map; NULL when there is none.
const yaml_node_t *node_item(struct parse *p, const yaml_node_t *n, size_t i);

// parse.c: fills the struct at `at` (defaults first) by the schema.
void object_init(struct parse *p, const struct schema *s, char *at);
void object_read(struct parse *p, const yaml_node_t *n, const struct schema *s, char *at, int depth);
// check.c: what one field can't tell: names that are twice or unknown, addresses, prices of nothing.
void config_check(struct parse *p, const yaml_node_t *root);

#define CONFIG_DEPTH_MAX 12

#endif
