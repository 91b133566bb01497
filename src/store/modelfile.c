// SPDX-License-Identifier: Apache-2.0
// Reads a Modelfile: an instruction a line, values bare, in quotes, or in three quotes over several lines. What it says is
// gathered as it stands; what FROM means, a name, a file or a digest, is for create.c to find out. A stranger's text:
// bounded, and every cut of it gives a result or a problem with its line. Pure; any thread.
#include "store/modelfile.h"
#include <math.h>
#include <stdlib.h>

enum kind { KIND_INT, KIND_NUM, KIND_BOOL, KIND_TEXT };

// What Ollama's documentation lists; those that llama-server has no word for are kept and shown, and change nothing.
static const struct {
    const char *name;
    enum kind kind;
} known[] = {
    {"num_ctx", KIND_INT},
    {"num_predict", KIND_INT},
    {"num_keep", KIND_INT},
    {"num_batch", KIND_INT},
    {"num_gpu", KIND_INT},
    {"num_thread", KIND_INT},
    {"main_gpu", KIND_INT},
    {"seed", KIND_INT},
    {"top_k", KIND_INT},
    {"repeat_last_n", KIND_INT},
    {"mirostat", KIND_INT},
    {"top_p", KIND_NUM},
    {"min_p", KIND_NUM},
    {"typical_p", KIND_NUM},
    {"tfs_z", KIND_NUM},
    {"temperature", KIND_NUM},
    {"repeat_penalty", KIND_NUM},
    {"presence_penalty", KIND_NUM},
    {"frequency_penalty", KIND_NUM},
    {"mirostat_tau", KIND_NUM},
    {"mirostat_eta", KIND_NUM},
    {"use_mmap", KIND_BOOL},
    {"use_mlock", KIND_BOOL},
    {"numa", KIND_BOOL},
    {"low_vram", KIND_BOOL},
    {"f16_kv", KIND_BOOL},
    {"penalize_newline", KIND_BOOL},
    {"stop", KIND_TEXT},
    {"draft_num_predict", KIND_INT},
};

static bool kind_of(struct slice name, enum kind *ret) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!slice_is(name, known[i].name))
            continue;
        *ret = known[i].kind;
        return true;
    }
    return false;
}

static bool number_of(struct slice value, double *ret) {
    char text[64], *end;
    if (value.n == 0 || value.n >= sizeof text)
        return false;
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    *ret = strtod(text, &end);
    return *end == 0 && isfinite(*ret);
}

static bool refuse(struct buf *problem, struct slice name, const char *expected) {
    buf_printf(problem, "parameter %.*s: expected %s", SLICE_FMT(slice_first(name, 64)), expected);
    return false;
}

bool parameter_put(struct json_writer *w, struct slice name, struct slice value, struct buf *problem) {
    enum kind kind;
    double v = 0;
    if (!kind_of(name, &kind)) {
        buf_printf(problem, "there is no parameter '%.*s'", SLICE_FMT(slice_first(name, 64)));
        return false;
    }
    if ((kind == KIND_INT || kind == KIND_NUM) && !number_of(value, &v))
        return refuse(problem, name, "a number");
    if (kind == KIND_INT && (v != floor(v) || fabs(v) > 9e15))
        return refuse(problem, name, "a whole number");
    if (kind == KIND_BOOL && !slice_is(value, "true") && !slice_is(value, "false"))
        return refuse(problem, name, "true or false");
    json_key_slice(w, name);
    if (kind == KIND_INT)
        json_put_int(w, (int64_t)v);
    else if (kind == KIND_NUM)
        json_put_num(w, v);
    else if (kind == KIND_BOOL)
        json_put_bool(w, slice_is(value, "true"));
    else
        json_put_str(w, value);
    return true;
}

static bool is_texts(yyjson_val *v) {
    yyjson_val *one;
    size_t i, n;
    if (!yyjson_is_arr(v))
        return yyjson_is_str(v);
    yyjson_arr_foreach(v, i, n, one) {
        if (!yyjson_is_str(one))
            return false;
    }
    return true;
}

bool parameters_check(yyjson_val *object, struct buf *problem) {
    yyjson_val *key, *v;
    size_t i, n;
    enum kind kind;
    yyjson_obj_foreach(object, i, n, key, v) {
        struct slice name = json_str(key);
        if (!kind_of(name, &kind)) {
            buf_printf(problem, "there is no parameter '%.*s'", SLICE_FMT(slice_first(name, 64)));
            return false;
        }
        if (kind == KIND_INT && !(yyjson_is_num(v) && yyjson_get_num(v) == floor(yyjson_get_num(v))))
            return refuse(problem, name, "a whole number");
        if (kind == KIND_NUM && !yyjson_is_num(v))
            return refuse(problem, name, "a number");
        if (kind == KIND_BOOL && !yyjson_is_bool(v))
            return refuse(problem, name, "true or false");
        if (kind == KIND_TEXT && !is_texts(v))
            return refuse(problem, name, "a text or a list of texts");
    }
    return true;
}

bool template_is_go(struct slice text) {
    static const char *const words[] = {"if ",     "range ", "with ",     "end", "else",
                                        "define ", "block ", "template ", "$",   "."};
    if (slice_search(text, SLICE("{%")) != SIZE_MAX)
        return false;
    for (size_t at; (at = slice_search(text, SLICE("{{"))) != SIZE_MAX;) {
        text = slice_from(text, at + 2);
        struct slice inner = slice_starts(text, "-") ? slice_from(text, 1) : text;
        while (inner.n && (inner.p[0] == ' ' || inner.p[0] == '\t' || inner.p[0] == '\n'))
            inner = slice_from(inner, 1);
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (slice_starts(inner, words[i]))
                return true;
    }
    return false;
}

// ---- the text

struct reading {
    struct arena *a;
    struct slice rest;
    unsigned line, at; // at: where the instruction began
    struct modelfile m;
    struct buf parameters, stops, messages, license; // members so far
    struct json_writer params, stop, message;
    struct buf *problem;
    enum err err;
};

static bool fail(struct reading *r, const char *what) {
    if (r->err == ERR_OK) {
        buf_printf(r->problem, "line %u: %s", r->at, what);
        r->err = ERR_BAD_FIELD;
    }
    return false;
}

static void skip_blank(struct reading *r) {
    while (r->rest.n && (r->rest.p[0] == ' ' || r->rest.p[0] == '\t'))
        r->rest = slice_from(r->rest, 1);
}

static struct slice take_line(struct reading *r) {
    struct slice line = slice_split(&r->rest, '\n');
    r->line++;
    return slice_trim(line);
}

static struct slice take_word(struct reading *r) {
    size_t n = 0;
    skip_blank(r);
    while (n < r->rest.n && r->rest.p[n] != ' ' && r->rest.p[n] != '\t' && r->rest.p[n] != '\n' && r->rest.p[n] != '\r')
        n++;
    struct slice word = slice_first(r->rest, n);
    r->rest = slice_from(r->rest, n);
    return word;
}

static void count_lines(struct reading *r, struct slice s) {
    for (size_t i = 0; s.p && i < s.n; i++)
        r->line += s.p[i] == '\n';
}

static bool take_quoted(struct reading *r, struct slice quote, struct slice *ret) {
    struct slice inner = slice_from(r->rest, quote.n);
    size_t end = slice_search(inner, quote);
    if (end == SIZE_MAX)
        return fail(r, quote.n == 3 ? "the closing \"\"\" is missing" : "the closing \" is missing");
    *ret = slice_first(inner, end);
    count_lines(r, *ret);
    r->rest = slice_from(inner, end + quote.n);
    return slice_trim(take_line(r)).n == 0 || fail(r, "something stands behind the closing quote");
}

// The rest of the line, or what stands in quotes.
static bool take_value(struct reading *r, struct slice *ret) {
    skip_blank(r);
    if (slice_starts(r->rest, "\"\"\""))
        return take_quoted(r, SLICE("\"\"\""), ret);
    struct slice line = slice_first(r->rest, slice_find(r->rest, '\n'));
    if (slice_starts(line, "\"") && slice_find(slice_from(line, 1), '"') != SIZE_MAX &&
        slice_ends(slice_trim(line), "\"") && slice_trim(line).n > 1) {
        *ret = slice_trim(take_line(r));
        *ret = slice_first(slice_from(*ret, 1), ret->n - 2);
        return true;
    }
    *ret = take_line(r);
    return true;
}

static const char *keep(struct reading *r, struct slice s) {
    if (s.p && memchr(s.p, 0, s.n)) {
        (void)fail(r, "a NUL stands in the text");
        return NULL;
    }
    const char *own = arena_cstr(r->a, s);
    if (!own && r->err == ERR_OK)
        r->err = ERR_NO_MEMORY;
    return own;
}

// FROM, ADAPTER: one more of a few.
static bool do_source(struct reading *r, const char **v, size_t *n, size_t most) {
    struct slice value;
    if (!take_value(r, &value))
        return false;
    if (value.n == 0)
        return fail(r, "expected a model, a file or a digest");
    if (*n == most)
        return fail(r, "there are too many lines of this kind");
    const char *own = keep(r, value);
    if (own)
        v[(*n)++] = own;
    return own != NULL;
}

static bool do_parameter(struct reading *r) {
    struct slice name = take_word(r), value;
    struct buf why = BUF_INIT(512);
    if (!take_value(r, &value)) {
        buf_done(&why);
        return false;
    }
    bool ok = true;
    if (slice_is(name, "stop")) {
        if (!r->stops.len)
            json_arr(&r->stop);
        json_put_str(&r->stop, value);
    }
    if (!slice_is(name, "stop"))
        ok = parameter_put(&r->params, name, value, &why);
    if (!ok)
        (void)fail(r, buf_cstr(&why));
    buf_done(&why);
    return ok;
}

static bool do_message(struct reading *r) {
    struct slice role = take_word(r), value;
    if (!slice_is(role, "system") && !slice_is(role, "user") && !slice_is(role, "assistant"))
        return fail(r, "MESSAGE: expected system, user or assistant, and a text");
    if (!take_value(r, &value))
        return false;
    json_obj(&r->message);
    json_kv_str(&r->message, "role", role);
    json_kv_str(&r->message, "content", value);
    json_obj_end(&r->message);
    return true;
}

static bool do_text(struct reading *r, const char **ret) {
    struct slice v;
    if (!take_value(r, &v))
        return false;
    *ret = keep(r, v);
    return *ret != NULL;
}

static bool do_license(struct reading *r) {
    struct slice v;
    if (!take_value(r, &v))
        return false;
    if (r->license.len)
        buf_append_str(&r->license, "\n\n");
    buf_append(&r->license, v);
    return true;
}

static bool do_ignored(struct reading *r) { // RENDERER, PARSER, REQUIRES: of Ollama's own engine
    struct slice v;
    return take_value(r, &v);
}

static bool do_line(struct reading *r) {
    r->at = r->line;
    skip_blank(r);
    if (r->rest.n == 0 || r->rest.p[0] == '\n' || r->rest.p[0] == '\r' || r->rest.p[0] == '#') {
        (void)take_line(r);
        return true;
    }
    struct slice word = take_word(r);
    if (slice_eq_nocase(word, SLICE("FROM")))
        return do_source(r, r->m.from, &r->m.n_from, MODELFILE_FROMS);
    if (slice_eq_nocase(word, SLICE("ADAPTER")))
        return do_source(r, r->m.adapters, &r->m.n_adapters, MODELFILE_ADAPTERS);
    if (slice_eq_nocase(word, SLICE("DRAFT")))
        return do_text(r, &r->m.draft);
    if (slice_eq_nocase(word, SLICE("PARAMETER")))
        return do_parameter(r);
    if (slice_eq_nocase(word, SLICE("MESSAGE")))
        return do_message(r);
    if (slice_eq_nocase(word, SLICE("SYSTEM")))
        return do_text(r, &r->m.system);
    if (slice_eq_nocase(word, SLICE("TEMPLATE")))
        return do_text(r, &r->m.template);
    if (slice_eq_nocase(word, SLICE("LICENSE")))
        return do_license(r);
    if (slice_eq_nocase(word, SLICE("RENDERER")) || slice_eq_nocase(word, SLICE("PARSER")) ||
        slice_eq_nocase(word, SLICE("REQUIRES")))
        return do_ignored(r);
    return fail(r, "expected FROM, SYSTEM, PARAMETER, TEMPLATE, MESSAGE, ADAPTER, DRAFT or LICENSE");
}

static struct slice gathered(struct reading *r, struct buf *b) {
    if (!b->len)
        return SLICE_NONE;
    struct slice own = b->failed ? SLICE_NONE : arena_copy(r->a, buf_slice(b));
    if (!own.p && r->err == ERR_OK)
        r->err = ERR_NO_MEMORY;
    return own;
}

static void finish(struct reading *r) {
    if (r->stops.len) {
        buf_append_char(&r->stops, ']');
        json_kv_raw(&r->params, "stop", buf_slice(&r->stops));
    }
    json_obj_end(&r->params);
    json_arr_end(&r->message);
    if (r->parameters.len > 2)
        r->m.parameters = gathered(r, &r->parameters);
    if (r->messages.len > 2)
        r->m.messages = gathered(r, &r->messages);
    r->m.license = gathered(r, &r->license).p;
    if (r->parameters.failed || r->messages.failed || r->license.failed || r->stops.failed)
        r->err = r->err ? r->err : ERR_NO_MEMORY;
    if (r->err == ERR_OK && r->m.n_from == 0)
        (void)fail(r, "FROM is missing: which model is it made of?");
}

enum err modelfile_read(struct arena *a, struct slice text, struct modelfile *ret, struct buf *problem) {
    struct reading r = {.a = a,
                        .rest = text,
                        .line = 1,
                        .at = 1,
                        .parameters = BUF_INIT(MODELFILE_BYTES),
                        .stops = BUF_INIT(MODELFILE_BYTES),
                        .messages = BUF_INIT(2 * MODELFILE_BYTES),
                        .license = BUF_INIT(MODELFILE_BYTES),
                        .problem = problem};
    r.params = JSON_WRITER(&r.parameters);
    r.stop = JSON_WRITER(&r.stops);
    r.message = JSON_WRITER(&r.messages);
    json_obj(&r.params);
    json_arr(&r.message);
    if (text.n > MODELFILE_BYTES || !slice_is_utf8(text))
        (void)fail(&r, text.n > MODELFILE_BYTES ? "it is too long" : "it is not UTF-8");
    while (r.err == ERR_OK && r.rest.n && do_line(&r))
        ;
    if (r.err == ERR_OK)
        finish(&r);
    buf_done(&r.parameters);
    buf_done(&r.stops);
    buf_done(&r.messages);
    buf_done(&r.license);
    if (r.err == ERR_OK)
        *ret = r.m;
    return r.err;
}
