// SPDX-License-Identifier: Apache-2.0
// litellm's table and genai-prices' → the compiled file. Prices come as floats in USD per token (litellm; doubles hold a
// millionth of a dollar exactly enough for whole pico-USD) and as decimal text in USD per million (genai-prices). What is
// not a number, negative, or above a dollar a token is unknown, not an error: a table of thousands of rows that strangers
// edit always has some. Rows of providers that no row of ours names are kept, for they cost little and a new row may name
// them. Off the loops; owns one builder that is freed in any case.
#include <ctype.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/mem.h"
#include "grid/catalogue_inner.h"

#define TREE_BYTES (512u << 20) // yyjson needs some times the text
#define PRICE_MOST PICOUSD_PER_USD

struct builder {
    struct buf rows, rules, clauses, text;
    uint32_t n_rows, n_rules, n_clauses, n_regex;
    struct buf *problem;
};

static void builder_init(struct builder *b, struct buf *problem) {
    *b = (struct builder){.problem = problem};
    buf_init(&b->rows, LIMIT_CATALOGUE_BYTES);
    buf_init(&b->rules, LIMIT_CATALOGUE_BYTES);
    buf_init(&b->clauses, LIMIT_CATALOGUE_BYTES);
    buf_init(&b->text, LIMIT_CATALOGUE_BYTES);
    buf_append_char(&b->text, 0); // offset 0 is the empty text
}

static void builder_done(struct builder *b) {
    buf_done(&b->rows);
    buf_done(&b->rules);
    buf_done(&b->clauses);
    buf_done(&b->text);
}

static bool builder_failed(const struct builder *b) {
    return b->rows.failed || b->rules.failed || b->clauses.failed || b->text.failed;
}

static uint32_t text_add(struct builder *b, struct slice s) {
    if (s.n == 0 || slice_find(s, 0) != SIZE_MAX)
        return 0;
    uint32_t at = (uint32_t)b->text.len;
    buf_append(&b->text, s);
    buf_append_char(&b->text, 0);
    return at;
}

// ---- litellm

static int64_t price_of(yyjson_val *row, const char *name) {
    yyjson_val *v = yyjson_obj_get(row, name);
    double pico = yyjson_is_num(v) ? round(yyjson_get_num(v) * (double)PICOUSD_PER_USD) : -1;
    return pico >= 0 && pico <= (double)PRICE_MOST ? (int64_t)pico : -1;
}

// "input_cost_per_token_above_200k_tokens": the lowest such bound that the row has for input and output.
static void tier_read(yyjson_val *row, struct price *p) {
    static const unsigned bounds[] = {32, 100, 128, 200, 256, 272, 512};
    static const char *const stems[] = {"input_cost", "output_cost", "cache_read_input_token_cost",
                                        "cache_creation_input_token_cost"};
    int64_t *const into[] = {&p->tier_input, &p->tier_output, &p->tier_cache_read, &p->tier_cache_write};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0] && p->tier_tokens == 0; i++) {
        for (size_t k = 0; k < 4; k++) {
            char name[96];
            (void)snprintf(name, sizeof name, "%s%s_above_%uk_tokens", stems[k], k < 2 ? "_per_token" : "", bounds[i]);
            *into[k] = price_of(row, name);
        }
        if (p->tier_input >= 0 && p->tier_output >= 0)
            p->tier_tokens = bounds[i] * 1000;
    }
}

static unsigned can_of(yyjson_val *row) {
    static const struct {
        const char *name;
        unsigned can;
    } flags[] = {{"supports_function_calling", CAN_TOOLS}, {"supports_vision", CAN_SEE},
                 {"supports_audio_input", CAN_HEAR},       {"supports_pdf_input", CAN_READ_PDF},
                 {"supports_reasoning", CAN_THINK},        {"supports_response_schema", CAN_SCHEMA},
                 {"supports_prompt_caching", CAN_CACHE},   {"supports_audio_output", CAN_SPEAK}},
      modes[] = {{"chat", CAN_CHAT},
                 {"responses", CAN_CHAT},
                 {"completion", CAN_CHAT},
                 {"embedding", CAN_EMBED},
                 {"image_generation", CAN_DRAW},
                 {"audio_speech", CAN_SPEAK},
                 {"audio_transcription", CAN_HEAR}};
    struct slice mode = json_get_str(row, "mode");
    unsigned can = 0;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (yyjson_is_true(yyjson_obj_get(row, flags[i].name)))
            can |= flags[i].can;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (slice_is(mode, modes[i].name))
            can |= modes[i].can;
    return can;
}

// "2026-10-22" → 20261022
static uint32_t date_of(struct slice s) {
    char digits[9] = "";
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < 8; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            digits[n++] = s.p[i];
    uint64_t v = 0;
    return s.n == 10 && n == 8 && slice_u64(slice_of(digits, 8), &v) ? (uint32_t)v : 0;
}

static uint32_t tokens_of(yyjson_val *row, const char *name) {
    int64_t n = json_get_int(row, name, 0);
    return n > 0 && n < (1 << 30) ? (uint32_t)n : 0;
}

// "groq/openai/gpt-oss-20b" of provider "groq" is "openai/gpt-oss-20b"; what has no such prefix is its own name.
static struct slice name_of(struct slice key, struct slice provider) {
    bool prefixed =
        key.n > provider.n + 1 && key.p[provider.n] == '/' && slice_eq(slice_first(key, provider.n), provider);
    return prefixed ? slice_from(key, provider.n + 1) : key;
}

static void row_add(struct builder *b, struct slice key, yyjson_val *v) {
    struct slice provider = json_get_str(v, "litellm_provider");
    struct cat_row row = {.price = PRICE_UNKNOWN};
    if (!provider.n || key.n > LIMIT_MODEL_NAME_BYTES || slice_is(key, "sample_spec"))
        return;
    row.price.input = price_of(v, "input_cost_per_token");
    row.price.output = price_of(v, "output_cost_per_token");
    row.price.cache_read = price_of(v, "cache_read_input_token_cost");
    row.price.cache_write = price_of(v, "cache_creation_input_token_cost");
    if (row.price.cache_write == 0) // some rows say so where writes cost as any input
        row.price.cache_write = -1;
    tier_read(v, &row.price);
    row.provider = text_add(b, provider);
    row.model = text_add(b, name_of(key, provider));
    row.context = tokens_of(v, "max_input_tokens");
    row.max_output = tokens_of(v, "max_output_tokens");
    row.can = can_of(v);
    row.retires = date_of(json_get_str(v, "deprecation_date"));
    if (row.can & CAN_EMBED && row.price.input >= 0 && row.price.output < 0)
        row.price.output = 0;
    buf_append_mem(&b->rows, &row, sizeof row);
    b->n_rows++;
}

static int row_compare(const void *a, const void *b, void *text) {
    const struct cat_row *x = a, *y = b;
    const char *t = text;
    int order = strcmp(t + x->provider, t + y->provider);
    if (!order)
        order = strcmp(t + x->model, t + y->model);
    if (!order) // of two rows for one name (with a prefix and without) the one with a price, then the dearer
        order = (y->price.input > x->price.input) - (y->price.input < x->price.input);
    return order;
}

static void rows_sort(struct builder *b) {
    struct cat_row *v = (struct cat_row *)(void *)b->rows.p;
    uint32_t kept = 0;
    if (builder_failed(b) || b->n_rows == 0)
        return;
    qsort_r(v, b->n_rows, sizeof *v, row_compare, b->text.p);
    for (uint32_t i = 0; i < b->n_rows; i++) {
        bool again = kept > 0 && strcmp(b->text.p + v[kept - 1].provider, b->text.p + v[i].provider) == 0 &&
                     strcmp(b->text.p + v[kept - 1].model, b->text.p + v[i].model) == 0;
        if (!again)
            v[kept++] = v[i];
    }
    b->n_rows = kept;
    b->rows.len = kept * sizeof *v;
}

// ---- genai-prices

bool catalogue_picousd(struct slice text, int shift, int64_t *ret) {
    int64_t v = 0;
    int decimals = 12 + shift; // that are kept
    bool point = false, any = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9')
            return false;
        any = true;
        if (point && decimals == 0)
            continue; // below what a pico-USD is
        if (v > INT64_MAX / 100)
            return false;
        v = v * 10 + (c - '0');
        decimals -= point;
    }
    for (; any && decimals > 0; decimals--) {
        if (v > INT64_MAX / 100)
            return false;
        v *= 10;
    }
    if (any)
        *ret = v;
    return any;
}

// A text of USD per million tokens; absent or unfit: -1.
static int64_t mtok_of(yyjson_val *p, const char *name) {
    int64_t v;
    return catalogue_picousd(json_get_str(p, name), -6, &v) && v <= PRICE_MOST ? v : -1;
}

static struct price genai_price(yyjson_val *p) {
    struct price price = {.input = mtok_of(p, "input"),
                          .output = mtok_of(p, "output"),
                          .cache_read = mtok_of(p, "cache_read"),
                          .cache_write = mtok_of(p, "cache_write"),
                          .tier_input = mtok_of(p, "tier_input"),
                          .tier_output = mtok_of(p, "tier_output"),
                          .tier_cache_read = mtok_of(p, "tier_cache_read"),
                          .tier_cache_write = mtok_of(p, "tier_cache_write")};
    if (price.input >= 0 && price.output < 0)
        price.output = 0; // embeddings have no output
    if (price.tier_input >= 0 && price.tier_output >= 0)
        price.tier_tokens = json_get_int(p, "tier", 0);
    return price;
}

// The last of those that began by then.
static struct price price_today(yyjson_val *list, uint32_t today) {
    struct price best = PRICE_UNKNOWN;
    yyjson_val *p;
    size_t i, n;
    yyjson_arr_foreach(list, i, n, p) {
        if (date_of(json_get_str(p, "from")) <= today)
            best = genai_price(p);
    }
    return best;
}

// Python's regular expressions as far as POSIX has the same; false: it has not.
static bool regex_translate(struct slice from, struct buf *to) {
    for (size_t i = 0; i < from.n; i++) {
        struct slice rest = slice_from(from, i);
        if (slice_starts(rest, "(?:")) {
            buf_append_char(to, '(');
            i += 2;
        } else if (slice_starts(rest, "\\d")) {
            buf_append_str(to, "[0-9]");
            i++;
        } else if (slice_starts(rest, "(?") || slice_starts(rest, "*?") || slice_starts(rest, "+?")) {
            return false;
        } else if (from.p[i] == '\\' && (rest.n < 2 || isalnum((unsigned char)rest.p[1]))) {
            return false;
        } else {
            buf_append_char(to, from.p[i]);
            if (from.p[i] == '\\')
                buf_append_char(to, from.p[++i]);
        }
    }
    return !to->failed;
}

static const char *const ops[CAT_OPS] = {[CAT_EQUALS] = "equals",  [CAT_STARTS] = "starts_with",
                                         [CAT_ENDS] = "ends_with", [CAT_CONTAINS] = "contains",
                                         [CAT_REGEX] = "regex",    [CAT_OR] = "or",
                                         [CAT_AND] = "and"};

static struct cat_clause *clause_at(struct builder *b, uint32_t i) {
    return (struct cat_clause *)(void *)b->clauses.p + i;
}

static uint32_t clauses_reserve(struct builder *b, size_t n) {
    static const struct cat_clause none;
    uint32_t at = b->n_clauses;
    for (size_t i = 0; i < n; i++)
        buf_append_mem(&b->clauses, &none, sizeof none);
    b->n_clauses += (uint32_t)n;
    return at;
}

static bool regex_fill(struct builder *b, uint32_t at, struct slice pattern) {
    struct buf posix = BUF_INIT(4096);
    regex_t test;
    bool ok = regex_translate(pattern, &posix) && catalogue_regex_is_tame(buf_cstr(&posix)) &&
              regcomp(&test, buf_cstr(&posix), REG_EXTENDED | REG_NOSUB) == 0;
    if (ok) {
        regfree(&test);
        clause_at(b, at)->text = text_add(b, buf_slice(&posix));
        clause_at(b, at)->first = b->n_regex++;
    }
    buf_done(&posix);
    return ok;
}

// Fills the clause that stands at `at`. What can't be said matches nothing: an OR without children.
static void clause_fill(struct builder *b, uint32_t at, yyjson_val *v, int depth) {
    *clause_at(b, at) = (struct cat_clause){.op = CAT_OR, .first = b->n_clauses};
    for (uint32_t op = 0; op < CAT_OPS && depth < CATALOGUE_DEPTH_MAX; op++) {
        yyjson_val *inner = yyjson_obj_get(v, ops[op]), *item;
        size_t i, n = yyjson_arr_size(inner);
        if (!inner || b->clauses.failed)
            continue;
        if (op == CAT_REGEX) {
            if (regex_fill(b, at, json_str(inner)))
                clause_at(b, at)->op = op;
        } else if (op < CAT_REGEX) {
            *clause_at(b, at) = (struct cat_clause){.op = op, .text = text_add(b, json_str(inner))};
        } else {
            uint32_t first = clauses_reserve(b, n);
            if (b->clauses.failed)
                return;
            *clause_at(b, at) = (struct cat_clause){.op = op, .first = first, .n = (uint32_t)n};
            yyjson_arr_foreach(inner, i, n, item) {
                clause_fill(b, first + (uint32_t)i, item, depth + 1);
            }
        }
        return;
    }
}

static void rule_add(struct builder *b, uint32_t provider, yyjson_val *m, uint32_t today) {
    struct cat_rule rule = {.price = price_today(yyjson_obj_get(m, "prices"), today), .provider = provider};
    rule.clause = clauses_reserve(b, 1);
    if (b->clauses.failed)
        return;
    clause_fill(b, rule.clause, yyjson_obj_get(m, "match"), 0);
    rule.id = text_add(b, json_get_str(m, "id"));
    rule.context = tokens_of(m, "context");
    buf_append_mem(&b->rules, &rule, sizeof rule);
    b->n_rules++;
}

// ---- the whole

// Regexes are numbered in the order of their clauses, which is not that in which they were met.
static void regexes_number(struct builder *b) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->n_clauses && !b->clauses.failed; i++)
        if (clause_at(b, i)->op == CAT_REGEX)
            clause_at(b, i)->first = n++;
}

static enum err tree_read(struct builder *b, struct arena *a, struct slice text, const char *what, yyjson_val **ret) {
    struct json_doc doc;
    struct json_error why = {0};
    *ret = NULL;
    if (!text.n)
        return ERR_OK;
    enum err e = json_read(a, text, &doc, &why);
    if (e == ERR_BAD_JSON)
        buf_printf(b->problem, "%s is no JSON: %s at byte %zu\n", what, why.text ? why.text : "", why.offset);
    if (e == ERR_OK)
        *ret = yyjson_doc_get_root(doc.doc);
    return e == ERR_BAD_JSON ? ERR_UP_PROTOCOL : e;
}

static enum err litellm_take(struct builder *b, struct arena *a, struct slice text) {
    yyjson_val *root, *key, *v;
    size_t i, n;
    enum err e = tree_read(b, a, text, "litellm.json", &root);
    if (e || !root)
        return e;
    if (!yyjson_is_obj(root)) {
        buf_append_str(b->problem, "litellm.json is no object\n");
        return ERR_UP_PROTOCOL;
    }
    yyjson_obj_foreach(root, i, n, key, v) {
        row_add(b, json_str(key), v);
    }
    rows_sort(b);
    return ERR_OK;
}

static enum err genai_take(struct builder *b, struct arena *a, struct slice text, uint32_t today) {
    yyjson_val *root, *p, *m;
    size_t i, n, k, n_models;
    enum err e = tree_read(b, a, text, "genai-prices.json", &root);
    if (e || !root)
        return e;
    if (!yyjson_is_arr(root)) {
        buf_append_str(b->problem, "genai-prices.json is no list\n");
        return ERR_UP_PROTOCOL;
    }
    yyjson_arr_foreach(root, i, n, p) {
        uint32_t provider = text_add(b, json_get_str(p, "id"));
        yyjson_arr_foreach(yyjson_obj_get(p, "models"), k, n_models, m) {
            rule_add(b, provider, m, today);
        }
    }
    regexes_number(b);
    return ERR_OK;
}

static enum err file_write(struct builder *b, struct arena *a, struct slice versions, int64_t wall_s, struct buf *out) {
    yyjson_val *root;
    enum err e = tree_read(b, a, versions, "versions.json", &root);
    if (e)
        return e;
    struct cat_head head = {.magic = CATALOGUE_MAGIC,
                            .version = CATALOGUE_VERSION,
                            .litellm_version = text_add(b, json_get_str(root, "litellm")),
                            .genai_version = text_add(b, json_get_str(root, "genai-prices")),
                            .n_rows = b->n_rows,
                            .n_rules = b->n_rules,
                            .n_clauses = b->n_clauses,
                            .n_regex = b->n_regex,
                            .made_s = wall_s};
    head.n_text = (uint32_t)b->text.len;
    buf_append_mem(out, &head, sizeof head);
    buf_append(out, buf_slice(&b->rows));
    buf_append(out, buf_slice(&b->rules));
    buf_append(out, buf_slice(&b->clauses));
    buf_append(out, buf_slice(&b->text));
    return builder_failed(b) || out->failed ? ERR_NO_MEMORY : ERR_OK;
}

static uint32_t day_of(int64_t wall_s) {
    struct buf text = BUF_INIT(64);
    clock_append_rfc3339(&text, wall_s * 1000000);
    uint32_t day = date_of(slice_first(buf_slice(&text), 10));
    buf_done(&text);
    return day;
}

enum err catalogue_compile(struct slice litellm, struct slice genai, struct slice versions, int64_t wall_s,
                           struct buf *out, struct buf *problem) {
    struct builder b;
    struct arena a;
    builder_init(&b, problem);
    arena_init(&a, TREE_BYTES, 0);
    enum err e = litellm_take(&b, &a, litellm);
    arena_done(&a); // one tree at a time
    if (e == ERR_OK)
        e = genai_take(&b, &a, genai, day_of(wall_s));
    if (e == ERR_OK)
        e = file_write(&b, &a, versions, wall_s, out);
    arena_done(&a);
    builder_done(&b);
    return e;
}

static enum err source_read(const char *folder, const char *name, struct buf *out, struct buf *problem) {
    struct buf path = BUF_INIT(8192);
    buf_printf(&path, "%s/%s", folder, name);
    enum err e = fs_read_file(buf_cstr(&path), LIMIT_CATALOGUE_BYTES, out);
    if (e == ERR_DISK || e == ERR_TOO_LARGE)
        buf_printf(problem, "%s: %s\n", buf_cstr(&path), err_row(e)->text);
    buf_done(&path);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err catalogue_compile_files(const char *folder, const char *to, int64_t wall_s, struct buf *problem) {
    struct buf litellm = BUF_INIT(LIMIT_CATALOGUE_BYTES), genai = BUF_INIT(LIMIT_CATALOGUE_BYTES),
               versions = BUF_INIT(65536), out = BUF_INIT(4 * LIMIT_CATALOGUE_BYTES);
    enum err e = source_read(folder, "litellm.json", &litellm, problem);
    if (e == ERR_OK)
        e = source_read(folder, "genai-prices.json", &genai, problem);
    if (e == ERR_OK)
        e = source_read(folder, "versions.json", &versions, problem);
    if (e == ERR_OK && litellm.len == 0 && genai.len == 0)
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        e = catalogue_compile(buf_slice(&litellm), buf_slice(&genai), buf_slice(&versions), wall_s, &out, problem);
    if (e == ERR_OK)
        e = fs_write_atomic(to, buf_slice(&out), 0600);
    buf_done(&litellm);
    buf_done(&genai);
    buf_done(&versions);
    buf_done(&out);
    return e;
}
