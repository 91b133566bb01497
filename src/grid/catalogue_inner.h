// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_CATALOGUE_INNER_H
#define GRID_CATALOGUE_INNER_H
// An opened catalogue from inside; for the catalogue*.c files only.
#include <regex.h>
#include "grid/catalogue_file.h"

struct catalogue {
    _Atomic unsigned refs;
    const struct cat_head *head;
    const struct cat_row *rows;
    const struct cat_rule *rules;
    const struct cat_clause *clauses;
    const char *text;
    regex_t *regexes; // by cat_clause.first
    uint32_t n_regexes;
    void *map; // or copy
    size_t map_bytes;
    char *copy;
};

const struct cat_row *catalogue_row(const struct catalogue *c, const char *provider, struct slice model);
const struct cat_rule *catalogue_rule(const struct catalogue *c, const char *provider, struct slice model);
// Repeats at most single characters, 99 times: regcomp's memory grows with what repetitions are multiplied to.
bool catalogue_regex_is_tame(const char *text);
// In what both say. A cached price that one of them leaves out is no difference.
bool prices_differ(const struct price *a, const struct price *b);

#endif
