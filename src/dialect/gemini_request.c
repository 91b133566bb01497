// SPDX-License-Identifier: Apache-2.0
// A client's generateContent or countTokens body → request: generationConfig and the rest of the root object. Model and
// stream stand in the address (gemini_address.c). Bounds are wide on purpose: whether a value makes sense is the upstream's
// to say, only types and what we act upon is ours. Members without a place in the inner form (safetySettings,
// cachedContent, speechConfig …) are looked at for their types and listed as unmodelled. All slices point into the tree,
// the body or the arena; the tree is freed with the arena.
#include "base/limits.h"
#include "dialect/gemini.h"

#define TOKENS_MAX (INT64_C(1) << 40)
#define CHOICES_MAX 16 // what an answer holds

static const char *const modelled[] = {
    "model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "generateContentRequest", NULL,
};

static const struct field_type looked_at[] = {
    {"model", 's'},  {"safetySettings", 'a'}, {"cachedContent", 's'},
    {"labels", 'm'}, {"serviceTier", 's'},    {"store", 'b'},
    {NULL, 0},
};

// ---- generationConfig

static const char *const config_names[] = {
    "stopSequences",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "candidateCount",
    "maxOutputTokens",
    "temperature",
    "topP",
    "topK",
    "seed",
    "presencePenalty",
    "logprobs",
    "frequencyPenalty",
    "responseLogprobs",
    "thinkingConfig",
    NULL,
};

static const struct field_type config_looked_at[] = {
    {"speechConfig", 'o'},
    {"imageConfig", 'o'},
    {"mediaResolution", 's'},
    {"audioTimestamp", 'b'},
    {"routingConfig", 'o'},
    {"modelConfig", 'o'},
    {"enableAffectiveDialog", 'b'},
    {"enableEnhancedCivicAnswers", 'b'},
    {NULL, 0},
};

static enum err read_seed(struct field_reader *rd, const struct field_at *at, struct request *r) {
    yyjson_val *v = yyjson_obj_get(at->val, "seed");
    enum err e = field_int(rd, at, "seed", INT64_MIN, INT64_MAX, &r->seed);
    r->seed_set = !e && v && !yyjson_is_null(v);
    return e;
}

static enum err read_sampling(struct field_reader *rd, const struct field_at *at, struct request *r) {
    enum err e = field_num(rd, at, "temperature", 0, 100, &r->temperature);
    if (!e)
        e = field_num(rd, at, gemini_key(at, "topP"), 0, 1, &r->top_p);
    if (!e)
        e = field_int(rd, at, gemini_key(at, "topK"), 0, TOKENS_MAX, &r->top_k);
    if (!e)
        e = field_num(rd, at, gemini_key(at, "presencePenalty"), -100, 100, &r->presence_penalty);
    if (!e)
        e = field_num(rd, at, gemini_key(at, "frequencyPenalty"), -100, 100, &r->frequency_penalty);
    if (!e)
        e = field_int(rd, at, gemini_key(at, "maxOutputTokens"), 0, TOKENS_MAX, &r->max_tokens);
    if (!e)
        e = field_int(rd, at, gemini_key(at, "candidateCount"), 1, CHOICES_MAX, &r->n);
    return e ? e : read_seed(rd, at, r);
}

static enum err read_output(struct field_reader *rd, const struct field_at *at, struct request *r) {
    struct slice *modalities = NULL;
    size_t n = 0;
    enum err e = field_flag(rd, at, gemini_key(at, "responseLogprobs"), &r->logprobs);
    if (!e)
        e = field_int(rd, at, "logprobs", 0, 1000, &r->top_logprobs);
    if (!e)
        e = field_strings(rd, at, gemini_key(at, "stopSequences"), LIMIT_STOPS, &r->stops, &r->n_stops);
    if (!e)
        e = field_strings(rd, at, gemini_key(at, "responseModalities"), 16, &modalities, &n);
    if (e || !n || (n == 1 && slice_eq_nocase(modalities[0], SLICE("TEXT"))))
        return e;
    return request_unmodelled_add(rd, r, "generationConfig.responseModalities");
}

static enum err read_format(struct field_reader *rd, const struct field_at *at, struct request *r) {
    struct slice type = SLICE_NONE;
    yyjson_val *v = NULL;
    const char *name = gemini_key(at, "responseSchema");
    enum err e = field_str(rd, at, gemini_key(at, "responseMimeType"), &type);
    if (!e)
        e = field_obj_src(rd, at, gemini_key(at, "responseJsonSchema"), &r->format_schema);
    if (!e)
        e = field_obj(rd, at, name, &v);
    const struct field_at schema = FIELD_MEMBER(at, name, v);
    if (!e && v && !r->format_schema.p)
        e = gemini_read_schema(rd, &schema, &r->format_schema);
    if (e)
        return e;
    if (slice_is(type, "text/x.enum"))
        return request_unmodelled_add(rd, r, "generationConfig.responseMimeType");
    if (r->format_schema.p)
        r->format = FORMAT_SCHEMA;
    else if (slice_is(type, "application/json"))
        r->format = FORMAT_JSON;
    else if (slice_is(type, "text/plain"))
        r->format = FORMAT_TEXT;
    return ERR_OK;
}

static enum think level_of(struct slice s) {
    static const struct {
        const char *name;
        enum think level;
    } rows[] = {{"minimal", THINK_MINIMAL}, {"low", THINK_LOW}, {"medium", THINK_MEDIUM}, {"high", THINK_HIGH}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (slice_eq_nocase(s, slice_str(rows[i].name)))
            return rows[i].level;
    return THINK_UNSET;
}

static enum err read_thinking(struct field_reader *rd, const struct field_at *config, struct request *r) {
    const char *name = gemini_key(config, "thinkingConfig");
    struct slice level = SLICE_NONE;
    int64_t budget = INT64_MIN;
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, config, name, &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(config, name, v);
    e = field_flag(rd, &at, gemini_key(&at, "includeThoughts"), &r->think_shown);
    if (!e)
        e = field_int(rd, &at, gemini_key(&at, "thinkingBudget"), -1, TOKENS_MAX, &budget);
    if (!e)
        e = field_str(rd, &at, gemini_key(&at, "thinkingLevel"), &level);
    r->think = level_of(level);
    if (budget > INT64_MIN)
        r->think = budget ? THINK_ON : THINK_OFF;
    if (budget > 0)
        r->think_budget = budget;
    return e;
}

static enum err read_config(struct field_reader *rd, const struct field_at *root, struct request *r) {
    static enum err (*const parts[])(struct field_reader *, const struct field_at *,
                                     struct request *) = {read_sampling, read_output, read_format, read_thinking};
    const char *name = gemini_key(root, "generationConfig");
    yyjson_val *v = NULL;
    enum err e = field_obj(rd, root, name, &v);
    if (e || !v)
        return e;
    const struct field_at at = FIELD_MEMBER(root, name, v);
    e = gemini_check_once(rd, &at, config_names);
    if (!e)
        e = gemini_types(rd, &at, config_looked_at);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && !e; i++)
        e = parts[i](rd, &at, r);
    return e ? e : gemini_unmodelled(rd, &at, config_names, r);
}

// ---- the whole

static enum err read_root(struct field_reader *rd, const struct field_at *root, struct request *r) {
    enum err e = gemini_check_once(rd, root, modelled);
    if (!e)
        e = gemini_types(rd, root, looked_at);
    if (!e)
        e = gemini_unmodelled(rd, root, modelled, r);
    r->kept = yyjson_is_str(gemini_get(root->val, "cachedContent"));
    if (!e)
        e = read_config(rd, root, r);
    if (!e)
        e = gemini_read_tools(rd, root, r);
    return e ? e : gemini_read_contents(rd, root, r);
}

// countTokens takes contents, or a whole request as a member.
static enum err read_count(struct field_reader *rd, const struct field_at *root, struct request *r) {
    const char *name = gemini_key(root, "generateContentRequest");
    yyjson_val *v = NULL;
    enum err e = r->op == OP_COUNT_TOKENS ? field_obj(rd, root, name, &v) : ERR_OK;
    const struct field_at inner = FIELD_MEMBER(root, name, v);
    return e ? e : read_root(rd, v ? &inner : root, r);
}

enum err gemini_read_request(struct arena *a, enum op op, struct slice body, struct request **ret,
                             struct problem *problem) {
    struct field_reader rd;
    enum err e = field_reader_open(&rd, a, body, problem);
    if (e)
        return e;
    struct request *r = ARENA_NEW(a, struct request);
    if (!r)
        return field_no_memory(&rd);
    request_init(r);
    r->dialect = DIALECT_GEMINI;
    r->op = op;
    r->doc = rd.doc;
    r->include_usage = true;
    const struct field_at root = FIELD_ROOT(yyjson_doc_get_root(rd.doc.doc));
    e = op == OP_EMBED ? gemini_read_embed(&rd, &root, r) : read_count(&rd, &root, r);
    if (e)
        return e;
    *ret = r;
    return request_complete(&rd, r);
}
