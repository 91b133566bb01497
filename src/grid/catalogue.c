// SPDX-License-Identifier: Apache-2.0
// The compiled catalogue: mapped, checked once from end to end (it lies in a folder that others may have written to), then
// read by any thread without a lock. litellm's row of exactly that name comes first; where it has none, or no price, the
// first rule of genai-prices whose clauses match. What both price is compared. Regular expressions are few; they are
// compiled when the file is opened.
#include "grid/catalogue.h"
#include <fcntl.h>
#include <regex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/mem.h"
#include "grid/catalogue_file.h"
#include "grid/catalogue_inner.h"

#define REGEX_BYTES 512 // today's longest has 60

static bool text_ok(const struct catalogue *c, uint32_t offset) {
    return offset < c->head->n_text;
}

static bool arrays_take(struct catalogue *c, struct slice file) {
    if (file.n < sizeof *c->head || memcmp(file.p, CATALOGUE_MAGIC, 8) != 0)
        return false;
    const struct cat_head *h = c->head = (const struct cat_head *)(const void *)file.p;
    size_t rows = (size_t)h->n_rows * sizeof *c->rows, rules = (size_t)h->n_rules * sizeof *c->rules,
           clauses = (size_t)h->n_clauses * sizeof *c->clauses, at = sizeof *h;
    // 32-bit counts times small structs can't overflow 64 bits.
    if (h->version != CATALOGUE_VERSION || h->n_text == 0 || file.n != at + rows + rules + clauses + h->n_text)
        return false;
    c->rows = (const struct cat_row *)(const void *)(file.p + at);
    c->rules = (const struct cat_rule *)(const void *)(file.p + at + rows);
    c->clauses = (const struct cat_clause *)(const void *)(file.p + at + rows + rules);
    c->text = file.p + at + rows + rules + clauses;
    return c->text[h->n_text - 1] == 0;
}

static int row_order(const struct catalogue *c, const struct cat_row *a, const char *provider, struct slice model) {
    int order = strcmp(c->text + a->provider, provider);
    if (order)
        return order;
    const char *name = c->text + a->model;
    size_t n = strlen(name);
    order = memcmp(name, model.p ? model.p : "", n < model.n ? n : model.n);
    return order ? order : (n > model.n) - (n < model.n);
}

static bool rows_ok(const struct catalogue *c) {
    for (uint32_t i = 0; i < c->head->n_rows; i++) {
        const struct cat_row *r = &c->rows[i];
        if (!text_ok(c, r->provider) || !text_ok(c, r->model))
            return false;
        if (i > 0 && row_order(c, r - 1, c->text + r->provider, slice_str(c->text + r->model)) >= 0)
            return false;
    }
    return true;
}

static bool clauses_ok(const struct catalogue *c) {
    uint32_t n_regex = 0;
    for (uint32_t i = 0; i < c->head->n_clauses; i++) {
        const struct cat_clause *k = &c->clauses[i];
        bool group = k->op == CAT_OR || k->op == CAT_AND;
        if (k->op >= CAT_OPS || !text_ok(c, k->text))
            return false;
        // Children stand behind their parent, so that no clause holds itself.
        if (group && (k->first <= i || k->first > c->head->n_clauses || k->n > c->head->n_clauses - k->first))
            return false;
        if (k->op == CAT_REGEX && k->first != n_regex++)
            return false;
    }
    return n_regex == c->head->n_regex;
}

static bool rules_ok(const struct catalogue *c) {
    for (uint32_t i = 0; i < c->head->n_rules; i++) {
        const struct cat_rule *r = &c->rules[i];
        if (!text_ok(c, r->provider) || !text_ok(c, r->id) || r->clause >= c->head->n_clauses)
            return false;
    }
    return true;
}

bool catalogue_regex_is_tame(const char *text) {
    for (const char *p = text; *p; p++) {
        if (*p != '{')
            continue;
        size_t n = strspn(p + 1, "0123456789");
        if (p == text || p[-1] == ')' || p[-1] == '}' || p[-1] == '*' || p[-1] == '+' || n == 0 || n > 2 ||
            p[1 + n] != '}')
            return false;
    }
    return strlen(text) <= REGEX_BYTES;
}

static bool regexes_make(struct catalogue *c) {
    c->regexes = mem_zalloc((c->head->n_regex + 1) * sizeof *c->regexes);
    for (uint32_t i = 0; c->regexes && i < c->head->n_clauses; i++) {
        const struct cat_clause *k = &c->clauses[i];
        if (k->op != CAT_REGEX)
            continue;
        if (!catalogue_regex_is_tame(c->text + k->text) ||
            regcomp(&c->regexes[c->n_regexes], c->text + k->text, REG_EXTENDED | REG_NOSUB) != 0)
            return false;
        c->n_regexes++;
    }
    return c->regexes != NULL;
}

// Takes over what c holds, in any case.
static enum err catalogue_check(struct catalogue *c, struct slice file, struct catalogue **ret) {
    atomic_init(&c->refs, 1);
    bool ok = arrays_take(c, file) && text_ok(c, c->head->litellm_version) && text_ok(c, c->head->genai_version) &&
              rows_ok(c) && clauses_ok(c) && rules_ok(c) && regexes_make(c);
    if (ok)
        *ret = c;
    else
        catalogue_unref(c);
    return ok ? ERR_OK : ERR_UP_PROTOCOL;
}

enum err catalogue_of(struct slice file, struct catalogue **ret) {
    struct catalogue *c = mem_zalloc(sizeof *c);
    char *copy = c ? mem_alloc(file.n + 1) : NULL;
    if (!copy) {
        mem_free(c);
        return ERR_NO_MEMORY;
    }
    memcpy(copy, file.p ? file.p : "", file.n);
    c->copy = copy;
    return catalogue_check(c, slice_of(copy, file.n), ret);
}

enum err catalogue_open(const char *path, struct catalogue **ret) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_NOT_FOUND;
    bool sane = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size < LIMIT_CATALOGUE_BYTES;
    void *map = sane ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    (void)close(fd);
    if (map == MAP_FAILED)
        return ERR_UP_PROTOCOL;
    struct catalogue *c = mem_zalloc(sizeof *c);
    if (!c) {
        (void)munmap(map, (size_t)st.st_size);
        return ERR_NO_MEMORY;
    }
    c->map = map;
    c->map_bytes = (size_t)st.st_size;
    return catalogue_check(c, slice_of(map, c->map_bytes), ret);
}

struct catalogue *catalogue_ref(struct catalogue *c) {
    if (c)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void catalogue_unref(struct catalogue *c) {
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < c->n_regexes; i++)
        regfree(&c->regexes[i]);
    mem_free(c->regexes);
    if (c->map)
        (void)munmap(c->map, c->map_bytes);
    mem_free(c->copy);
    mem_free(c);
}

// ---- looking up

const struct cat_row *catalogue_row(const struct catalogue *c, const char *provider, struct slice model) {
    uint32_t low = 0, high = c->head->n_rows;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = row_order(c, &c->rows[middle], provider, model);
        if (order == 0)
            return &c->rows[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool clause_matches(const struct catalogue *c, uint32_t at, const char *name, size_t n, int depth) {
    const struct cat_clause *k = &c->clauses[at];
    const char *text = c->text + k->text;
    size_t len = strlen(text);
    if (depth > CATALOGUE_DEPTH_MAX)
        return false;
    switch ((enum cat_op)k->op) {
    case CAT_EQUALS:
        return strcmp(name, text) == 0;
    case CAT_STARTS:
        return strncmp(name, text, len) == 0;
    case CAT_ENDS:
        return len <= n && strcmp(name + n - len, text) == 0;
    case CAT_CONTAINS:
        return strstr(name, text) != NULL;
    case CAT_REGEX:
        return regexec(&c->regexes[k->first], name, 0, NULL, 0) == 0;
    case CAT_OR:
    case CAT_AND:
        for (uint32_t i = 0; i < k->n; i++)
            if (clause_matches(c, k->first + i, name, n, depth + 1) == (k->op == CAT_OR))
                return k->op == CAT_OR;
        return k->op == CAT_AND;
    case CAT_OPS:
        break;
    }
    return false;
}

const struct cat_rule *catalogue_rule(const struct catalogue *c, const char *provider, struct slice model) {
    char name[LIMIT_MODEL_NAME_BYTES + 1];
    if (model.n >= sizeof name || slice_find(model, 0) != SIZE_MAX)
        return NULL;
    memcpy(name, model.p ? model.p : "", model.n);
    name[model.n] = 0;
    for (uint32_t i = 0; i < c->head->n_rules; i++) {
        const struct cat_rule *r = &c->rules[i];
        if (strcmp(c->text + r->provider, provider) == 0 && clause_matches(c, r->clause, name, model.n, 0))
            return r;
    }
    return NULL;
}

bool prices_differ(const struct price *a, const struct price *b) {
    bool read = a->cache_read >= 0 && b->cache_read >= 0 && a->cache_read != b->cache_read;
    return a->input != b->input || a->output != b->output || read;
}

bool catalogue_find(const struct catalogue *c, const struct provider *p, struct slice model, struct model_facts *ret) {
    const struct cat_row *row = c && p->litellm ? catalogue_row(c, p->litellm, model) : NULL;
    const struct cat_rule *rule = c && p->genai ? catalogue_rule(c, p->genai, model) : NULL;
    if (!row && !rule)
        return false;
    *ret = (struct model_facts){.price = PRICE_UNKNOWN, .other = PRICE_UNKNOWN};
    if (row) {
        ret->context = row->context;
        ret->max_output = row->max_output;
        ret->can = row->can;
        ret->retires = row->retires;
        ret->matched = slice_str(c->text + row->model);
    }
    if (row && price_known(&row->price)) {
        ret->price = row->price;
        ret->source = "litellm";
    }
    if (!rule)
        return true;
    if (!row)
        ret->matched = slice_str(c->text + rule->id);
    if (ret->context == 0)
        ret->context = rule->context;
    if (!ret->source && price_known(&rule->price)) {
        ret->price = rule->price;
        ret->source = "genai-prices";
    } else if (ret->source && price_known(&rule->price) && prices_differ(&ret->price, &rule->price)) {
        ret->differs = true;
        ret->other = rule->price;
    }
    return true;
}
