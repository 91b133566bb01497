// SPDX-License-Identifier: Apache-2.0
// A pass over the bytes that are about to leave, or have come, without a tree: it must cost little beside the scan, and
// it must see everything, also what no codec models. Which fields are exempt is decided here for all dialects at once,
// by their names: they are few, and mean the same everywhere. Inside what a client makes itself (arguments of tools,
// schemas, metadata) a name means nothing, and nothing is exempt. Pure.
#include "privacy/walk.h"

void walk_begin(struct walk *w, struct slice json) {
    w->json = json;
    w->at = 0;
    w->depth = w->runs = 0;
    w->levels[0] = (struct walk_level){0};
}

static bool name_is_one_of(struct slice name, const char *const *list) {
    for (; *list; list++)
        if (slice_is(name, *list))
            return true;
    return false;
}

// Values that are the client's own: an object that is the value of one of these names.
static bool opens(struct slice key) {
    static const char *const names[] = {
        "input",          "arguments",          "args",       "parameters", "input_schema",
        "schema",         "response",           "properties", "metadata",   "parametersJsonSchema",
        "responseSchema", "responseJsonSchema", NULL};
    return name_is_one_of(key, names);
}

static bool is_id(struct slice key) {
    static const char *const names[] = {
        "id",          "tool_use_id", "tool_call_id", "call_id", "item_id", "previous_response_id",
        "response_id", "file_id",     "fileUri",      NULL};
    return name_is_one_of(key, names);
}

static bool is_sealed(struct slice key) {
    static const char *const names[] = {"signature", "thought_signature", "thoughtSignature", "encrypted_content",
                                        NULL};
    return name_is_one_of(key, names);
}

static bool is_format(struct slice key) {
    static const char *const names[] = {"type", "role", "media_type", "mime_type", "mimeType", "detail", "model", NULL};
    return name_is_one_of(key, names);
}

// Long enough to be no word, and only of base64's letters: pictures, audio, redacted thinking.
static bool is_binary(struct slice s) {
    if (slice_eq_nocase(slice_first(s, 5), SLICE("data:"))) {
        size_t mark = slice_search(slice_first(s, 128), SLICE(";base64,"));
        if (mark == SIZE_MAX)
            return false;
        bool text = slice_eq_nocase(slice_first(slice_from(s, 5), 5), SLICE("text/"));
        return !text;
    }
    if (s.n < 64)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool fits =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("+/=-_\\", c));
        if (!fits)
            return false;
    }
    return true;
}

static bool carries_binary(struct slice key) {
    static const char *const names[] = {"data", "url", "image_url", "file_data", "images", NULL};
    return name_is_one_of(key, names);
}

static bool is_exempt(const struct walk_token *t) {
    if (t->open)
        return false;
    return is_format(t->key) || is_id(t->key) || is_sealed(t->key) || (carries_binary(t->key) && is_binary(t->raw));
}

// ---- levels

static struct walk_level *top(struct walk *w) {
    return &w->levels[w->depth];
}

static struct slice key_here(struct walk *w) {
    const struct walk_level *l = top(w);
    return l->object ? l->name : l->key;
}

static bool level_push(struct walk *w, bool object) {
    struct slice key = key_here(w);
    bool open = top(w)->open || (object && top(w)->object && opens(key));
    if (w->depth + 1 >= sizeof w->levels / sizeof w->levels[0])
        return false;
    top(w)->wants_value = false;
    w->depth++;
    *top(w) = (struct walk_level){.key = key, .object = object, .open = open};
    return true;
}

static void level_pop(struct walk *w) {
    if (w->depth == 0)
        return;
    bool text = top(w)->object && top(w)->text;
    w->depth--;
    if (w->depth > 0 && !top(w)->object)
        top(w)->text_was = text;
}

// The run of a text: an element's of an array of parts, next to another text. Documents to be ranked are read each by itself.
static unsigned run_of(struct walk *w, struct slice key) {
    struct walk_level *l = top(w);
    if (!l->object || l->open || w->depth < 2 || !slice_is(key, "text"))
        return 0;
    struct walk_level *parts = &w->levels[w->depth - 1];
    if (parts->object || slice_is(parts->key, "documents"))
        return 0;
    if (!parts->text_was)
        parts->run = ++w->runs;
    l->text = true;
    return parts->run;
}

// ---- tokens

// Between the quotes; w->at stands behind the opening one and is moved behind the closing one.
static bool string_read(struct walk *w, struct walk_token *t) {
    size_t from = w->at;
    const char *p = w->json.p;
    t->escaped = false;
    for (size_t i = from; i < w->json.n; i++) {
        if (p[i] == '\\') {
            t->escaped = true;
            i++;
        } else if (p[i] == '"') {
            t->raw = slice_of(p + from, i - from);
            w->at = i + 1;
            return true;
        }
    }
    return false;
}

static bool is_number_char(char c) {
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static void value_done(struct walk *w) {
    top(w)->wants_value = false;
}

static bool string_token(struct walk *w, struct walk_token *t) {
    w->at++;
    if (!string_read(w, t))
        return false;
    struct walk_level *l = top(w);
    t->open = l->open;
    t->run = 0;
    t->exempt = false;
    if (l->object && !l->wants_value) {
        t->kind = WALK_KEY;
        t->key = SLICE_NONE;
        l->name = t->raw;
        l->wants_value = true;
        t->exempt = !t->open;
        return true;
    }
    t->kind = WALK_STRING;
    t->key = key_here(w);
    t->exempt = is_exempt(t);
    t->run = t->exempt ? 0 : run_of(w, t->key);
    value_done(w);
    return true;
}

static void number_token(struct walk *w, struct walk_token *t) {
    size_t from = w->at;
    while (w->at < w->json.n && is_number_char(w->json.p[w->at]))
        w->at++;
    *t = (struct walk_token){
        .kind = WALK_NUMBER, .raw = slice_of(w->json.p + from, w->at - from), .key = key_here(w), .open = top(w)->open};
    t->exempt = !t->open;
    value_done(w);
}

bool walk_next(struct walk *w, struct walk_token *ret) {
    while (w->at < w->json.n) {
        char c = w->json.p[w->at];
        if (c == '"')
            return string_token(w, ret);
        if ((c >= '0' && c <= '9') || c == '-') {
            number_token(w, ret);
            return true;
        }
        w->at++;
        if (c == '{' || c == '[') {
            if (!level_push(w, c == '{'))
                return false;
        } else if (c == '}' || c == ']') {
            level_pop(w);
        } else if (c == ',') {
            value_done(w);
        }
    }
    return false;
}
