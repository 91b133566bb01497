// SPDX-License-Identifier: Apache-2.0
#ifndef GRID_CATALOGUE_FILE_H
#define GRID_CATALOGUE_FILE_H
// The compiled catalogue's layout: head, then the arrays in this order, then texts that end with NUL. Numbers as the
// machine has them, for the file is made where it is read. For the catalogue*.c files only.
#include "grid/catalogue.h"

#define CATALOGUE_MAGIC "gtcat\0\0"
#define CATALOGUE_VERSION 1
#define CATALOGUE_DEPTH_MAX 16 // of clauses in clauses

struct cat_head {
    char magic[8];
    uint32_t version, n_rows, n_rules, n_clauses, n_text;
    uint32_t litellm_version, genai_version; // texts
    uint32_t n_regex;
    int64_t made_s;
};

struct cat_row { // of litellm, ascending by provider, then model
    struct price price;
    uint32_t provider, model; // texts: offsets in bytes
    uint32_t context, max_output;
    uint32_t can, retires;
};

struct cat_rule { // of genai-prices, providers together, in their order
    struct price price;
    uint32_t provider, id;
    uint32_t context, clause;
};

enum cat_op { CAT_EQUALS, CAT_STARTS, CAT_ENDS, CAT_CONTAINS, CAT_REGEX, CAT_OR, CAT_AND, CAT_OPS };
struct cat_clause {
    uint32_t op;
    uint32_t text;     // of the first four; of a regex: POSIX extended
    uint32_t first, n; // of OR and AND: children, behind this one; of a regex: first is its number
};

#endif
