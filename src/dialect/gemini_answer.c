// SPDX-License-Identifier: Apache-2.0
// Gemini's answers → events. A chunk of a stream and a whole answer are the same object, so one reader serves both: parts
// of the open kind go on in their block, a signature ends it, a call comes whole or in pieces with their paths
// (gemini_partial.c). Thinking is counted beside the answer there and inside it here. The stream has no end of its own:
// it is over when all candidates have their reason and the connection ends. Upstreams are not believed: wrong types are
// ERR_UP_PROTOCOL, unknown members are passed over.
#include "base/limits.h"
#include "dialect/gemini.h"

#define CHOICES_MAX 16

struct choice {
    struct gemini_partial *partial; // of a call that comes in pieces
    struct slice call_signature;
    uint32_t block;
    enum block_kind kind; // of the open block
    bool open;
    bool called;
    bool seen;
    bool finished;
};

struct stream_reader {
    struct arena *a;
    const struct json_doc *doc; // of the frame at hand
    struct choice choices[CHOICES_MAX];
    struct buf logprobs;
    uint64_t salt; // of made ids
    uint32_t n_blocks;
    bool counts; // OP_COUNT_TOKENS
    bool whole;  // no stream: what is there is all
    bool started;
    bool done;
    bool failed; // the upstream told an error
};

// What one candidate is read with.
struct cand_read {
    struct stream_reader *r;
    struct event_sink *sink;
    struct choice *c;
    uint32_t choice;
};

static void reader_free(void *arg) {
    struct stream_reader *r = arg;
    buf_done(&r->logprobs);
}

struct stream_reader *gemini_reader_new(struct arena *a, enum op op) {
    struct stream_reader *r = ARENA_NEW(a, struct stream_reader);
    if (!r || !arena_defer(a, reader_free, r))
        return NULL;
    r->a = a;
    r->counts = op == OP_COUNT_TOKENS;
    buf_init(&r->logprobs, LIMIT_FRAME_BYTES);
    return r;
}

// ---- blocks

static enum err close_block(struct cand_read *k, struct slice signature) {
    if (!k->c->open)
        return ERR_OK;
    k->c->open = false;
    return emit_block_end(k->sink, k->c->block, k->choice, k->c->kind, signature);
}

static enum err open_block(struct cand_read *k, struct event *begin) {
    enum err e = close_block(k, SLICE_NONE);
    if (e || k->r->n_blocks >= LIMIT_BLOCKS)
        return e ? e : ERR_UP_PROTOCOL;
    k->c->block = k->r->n_blocks++;
    k->c->kind = begin->block_kind;
    k->c->open = true;
    begin->kind = EV_BLOCK_BEGIN;
    begin->block = k->c->block;
    begin->choice = k->choice;
    return emit(k->sink, begin);
}

static enum err put_text(struct cand_read *k, yyjson_val *part, struct slice text, struct slice signature) {
    enum block_kind kind = yyjson_is_true(yyjson_obj_get(part, "thought")) ? BLOCK_THINK : BLOCK_TEXT;
    enum err e = ERR_OK;
    if (k->c->partial && k->c->open && k->c->kind == BLOCK_TOOL)
        return text.n ? ERR_UP_PROTOCOL : ERR_OK; // a call that was not ended
    if (!text.n && !(signature.n && k->c->open && k->c->kind == kind))
        return ERR_OK; // "" beside the reason to finish
    if (!k->c->open || k->c->kind != kind)
        e = open_block(k, &(struct event){.block_kind = kind});
    if (!e)
        e = emit_delta(k->sink, k->c->block, k->choice, kind, text);
    return e || !signature.n ? e : close_block(k, signature);
}

// ---- calls

// FNV-1a: no secret, only distinct.
static uint64_t salt_add(uint64_t salt, struct slice s) {
    for (size_t i = 0; i < s.n; i++)
        salt = (salt ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
    return salt;
}

static enum err begin_call(struct cand_read *k, yyjson_val *call, struct slice signature) {
    struct slice id = json_get_str(call, "id"), name = json_get_str(call, "name");
    if (!name.n)
        return ERR_UP_PROTOCOL;
    if (!id.n)
        id = slice_str(arena_printf(k->r->a, "call_%016llx_%u", (unsigned long long)k->r->salt, k->r->n_blocks));
    if (!id.p)
        return ERR_NO_MEMORY;
    k->c->called = true;
    return open_block(k,
                      &(struct event){.block_kind = BLOCK_TOOL, .call_id = id, .name = name, .signature = signature});
}

static enum err end_partial(struct cand_read *k) {
    struct slice arguments;
    enum err e = gemini_partial_take(k->c->partial, &arguments);
    k->c->partial = NULL;
    if (!e)
        e = emit_delta(k->sink, k->c->block, k->choice, BLOCK_TOOL, arguments);
    return e ? e : close_block(k, k->c->call_signature);
}

static enum err begin_partial(struct cand_read *k, yyjson_val *call, struct slice signature) {
    enum err e = begin_call(k, call, signature);
    k->c->call_signature = signature.n ? arena_copy(k->r->a, signature) : SLICE_NONE;
    k->c->partial = gemini_partial_new(k->r->a);
    return !e && !k->c->partial ? ERR_NO_MEMORY : e;
}

static enum err put_pieces(struct cand_read *k, yyjson_val *call, bool goes_on, struct slice signature) {
    yyjson_val *pieces = yyjson_obj_get(call, "partialArgs");
    enum err e = k->c->partial ? ERR_OK : begin_partial(k, call, signature);
    if (!e && pieces)
        e = gemini_partial_add(k->c->partial, pieces);
    return e || goes_on ? e : end_partial(k);
}

static enum err put_whole_call(struct cand_read *k, yyjson_val *call, struct slice signature) {
    yyjson_val *args = yyjson_obj_get(call, "args");
    bool none = !args || yyjson_is_null(args);
    if (!none && !yyjson_is_obj(args))
        return ERR_UP_PROTOCOL;
    enum err e = begin_call(k, call, signature);
    if (!e && !none)
        e = emit_delta(k->sink, k->c->block, k->choice, BLOCK_TOOL, json_get_src(k->r->doc, call, "args"));
    return e ? e : close_block(k, signature);
}

static enum err put_call(struct cand_read *k, yyjson_val *call, struct slice signature) {
    bool goes_on = yyjson_is_true(yyjson_obj_get(call, "willContinue"));
    enum err e = ERR_OK;
    if (!yyjson_is_obj(call))
        return ERR_UP_PROTOCOL;
    if (k->c->partial && json_get_str(call, "name").n) // the next one begins, the last was not ended
        e = end_partial(k);
    if (e)
        return e;
    if (k->c->partial || goes_on || yyjson_obj_get(call, "partialArgs"))
        return put_pieces(k, call, goes_on, signature);
    return put_whole_call(k, call, signature);
}

// ---- parts

static enum err put_opaque(struct cand_read *k, struct slice raw) {
    enum err e = open_block(k, &(struct event){.block_kind = BLOCK_OPAQUE, .name = SLICE(GEMINI_PART), .text = raw});
    return e ? e : close_block(k, SLICE_NONE);
}

static enum err put_parts(struct cand_read *k, yyjson_val *content) {
    yyjson_val *list = yyjson_obj_get(content, "parts"), *v;
    size_t i, n;
    struct src_walk walk = src_walk_array(list ? json_get_src(k->r->doc, content, "parts") : SLICE_NONE);
    if (list && !yyjson_is_arr(list) && !yyjson_is_null(list))
        return ERR_UP_PROTOCOL;
    yyjson_arr_foreach(list, i, n, v) {
        struct slice raw = src_walk_next(&walk), signature = json_get_str(v, "thoughtSignature");
        yyjson_val *text = yyjson_obj_get(v, "text"), *call = yyjson_obj_get(v, "functionCall");
        enum err e;
        if (!yyjson_is_obj(v) || (text && !yyjson_is_str(text)))
            return ERR_UP_PROTOCOL;
        if (text)
            e = put_text(k, v, json_str(text), signature);
        else
            e = call ? put_call(k, call, signature) : put_opaque(k, raw);
        if (e)
            return e;
    }
    return ERR_OK;
}

// ---- candidates

// In the form that the others know: {"content": [{token, logprob, bytes, top_logprobs}]}.
static enum err put_logprobs(struct cand_read *k, yyjson_val *candidate) {
    yyjson_val *result = yyjson_obj_get(candidate, "logprobsResult"), *v, *top, *t;
    yyjson_val *chosen = yyjson_obj_get(result, "chosenCandidates"), *tops = yyjson_obj_get(result, "topCandidates");
    size_t i, n, j, m;
    struct json_writer w = JSON_WRITER(&k->r->logprobs);
    if (!yyjson_arr_size(chosen) || !k->c->open)
        return ERR_OK;
    buf_clear(&k->r->logprobs);
    json_obj(&w);
    json_key(&w, "content");
    json_arr(&w);
    yyjson_arr_foreach(chosen, i, n, v) {
        json_obj(&w);
        json_kv_str(&w, "token", json_get_str(v, "token"));
        json_kv_num(&w, "logprob", yyjson_get_num(yyjson_obj_get(v, "logProbability")));
        json_kv_null(&w, "bytes");
        json_key(&w, "top_logprobs");
        json_arr(&w);
        top = yyjson_obj_get(yyjson_arr_get(tops, i), "candidates");
        yyjson_arr_foreach(top, j, m, t) {
            json_obj(&w);
            json_kv_str(&w, "token", json_get_str(t, "token"));
            json_kv_num(&w, "logprob", yyjson_get_num(yyjson_obj_get(t, "logProbability")));
            json_kv_null(&w, "bytes");
            json_obj_end(&w);
        }
        json_arr_end(&w);
        json_obj_end(&w);
    }
    json_arr_end(&w);
    json_obj_end(&w);
    if (k->r->logprobs.failed)
        return ERR_NO_MEMORY;
    return emit_meta(k->sink, k->c->block, k->choice, SLICE("logprobs"), buf_slice(&k->r->logprobs));
}

// What only this dialect says of a candidate, or of the prompt; no block is meant.
static enum err put_metas(struct cand_read *k, yyjson_val *obj) {
    static const char *const names[] = {"groundingMetadata",  "citationMetadata", "safetyRatings",
                                        "urlContextMetadata", "finishMessage",    "promptFeedback"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[64];
        if (!yyjson_obj_get(obj, names[i]))
            continue;
        (void)snprintf(name, sizeof name, GEMINI_META "%s", names[i]);
        enum err e = emit_meta(k->sink, UINT32_MAX, k->choice, slice_str(name), json_get_src(k->r->doc, obj, names[i]));
        if (e)
            return e;
    }
    return ERR_OK;
}

static enum finish finish_of(const struct choice *c, struct slice reason) {
    static const char *const filtered[] = {"SAFETY", "RECITATION",   "BLOCKLIST",   "PROHIBITED_CONTENT",
                                           "SPII",   "IMAGE_SAFETY", "MODEL_ARMOR", "IMAGE_PROHIBITED_CONTENT",
                                           "OTHER",  "LANGUAGE"};
    if (slice_is(reason, "MAX_TOKENS"))
        return FINISH_LENGTH;
    for (size_t i = 0; i < sizeof filtered / sizeof filtered[0]; i++)
        if (slice_is(reason, filtered[i]))
            return FINISH_FILTER;
    return c->called ? FINISH_TOOL : FINISH_STOP; // a reason that came after us, too
}

static enum err finish_choice(struct cand_read *k, enum finish finish) {
    enum err e = k->c->partial ? end_partial(k) : close_block(k, SLICE_NONE);
    if (e || k->c->finished)
        return e;
    k->c->finished = true;
    return emit_finish(k->sink, k->choice, finish, SLICE_NONE);
}

static enum err put_candidate(struct cand_read *k, yyjson_val *v, size_t position) {
    yyjson_val *content = yyjson_obj_get(v, "content");
    int64_t index = json_get_int(v, "index", (int64_t)position);
    struct slice reason = json_get_str(v, "finishReason");
    if (!yyjson_is_obj(v) || index >= CHOICES_MAX || (content && !yyjson_is_obj(content) && !yyjson_is_null(content)))
        return ERR_UP_PROTOCOL;
    k->choice = (uint32_t)index;
    k->c = &k->r->choices[index];
    k->c->seen = true;
    enum err e = put_parts(k, content);
    if (!e)
        e = put_logprobs(k, v);
    if (!e)
        e = put_metas(k, v);
    return e || !reason.n || slice_is(reason, "FINISH_REASON_UNSPECIFIED") ? e
                                                                           : finish_choice(k, finish_of(k->c, reason));
}

// ---- chunks

static void read_usage(yyjson_val *root, struct usage *ret) {
    yyjson_val *u = yyjson_obj_get(root, "usageMetadata");
    int64_t candidates = json_get_int(u, "candidatesTokenCount", -1),
            thoughts = json_get_int(u, "thoughtsTokenCount", -1);
    int64_t tools = json_get_int(u, "toolUsePromptTokenCount", 0);
    *ret = USAGE_NONE;
    ret->input_tokens = json_get_int(u, "promptTokenCount", -1);
    if (ret->input_tokens >= 0 && ret->input_tokens < INT32_MAX && tools < INT32_MAX)
        ret->input_tokens += tools;
    ret->cache_read_tokens = json_get_int(u, "cachedContentTokenCount", -1);
    ret->reasoning_tokens = thoughts;
    if (candidates < INT32_MAX && thoughts < INT32_MAX && (candidates >= 0 || thoughts >= 0))
        ret->output_tokens = (candidates > 0 ? candidates : 0) + (thoughts > 0 ? thoughts : 0);
    // A count of none is left out, like every zero of a protocol buffer.
    if (ret->output_tokens < 0 && ret->input_tokens >= 0 && json_get_int(u, "totalTokenCount", -1) == ret->input_tokens)
        ret->output_tokens = 0;
}

static enum err start(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    if (r->started)
        return ERR_OK;
    r->started = true;
    r->salt = salt_add(salt_add(UINT64_C(14695981039346656037), json_get_str(root, "responseId")),
                       json_get_str(root, "createTime"));
    return emit_start(sink, json_get_str(root, "responseId"), json_get_str(root, "modelVersion"), 0);
}

// A prompt that was blocked has no candidates.
static enum err put_blocked(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct cand_read k = {r, sink, &r->choices[0], 0};
    if (!json_get_str(yyjson_obj_get(root, "promptFeedback"), "blockReason").n)
        return ERR_OK;
    k.c->seen = true;
    enum err e = put_metas(&k, root);
    return e ? e : finish_choice(&k, FINISH_FILTER);
}

static enum err put_chunk(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    yyjson_val *candidates = yyjson_obj_get(root, "candidates"), *v;
    size_t i, n;
    struct usage usage;
    struct cand_read k = {.r = r, .sink = sink};
    if (candidates && !yyjson_is_arr(candidates) && !yyjson_is_null(candidates))
        return ERR_UP_PROTOCOL;
    enum err e = start(r, root, sink);
    yyjson_arr_foreach(candidates, i, n, v) {
        if (e)
            return e;
        e = put_candidate(&k, v, i);
    }
    if (!e && !yyjson_arr_size(candidates))
        e = put_blocked(r, root, sink);
    read_usage(root, &usage);
    return e ? e : emit_usage(sink, &usage);
}

static enum err put_count(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct usage usage = USAGE_NONE;
    usage.input_tokens = json_get_int(root, "totalTokens", -1);
    if (usage.input_tokens < 0)
        return ERR_UP_PROTOCOL;
    enum err e = start(r, root, sink);
    if (!e)
        e = emit_usage(sink, &usage);
    r->done = true;
    return e ? e : emit_end(sink);
}

static enum err put_root(struct stream_reader *r, yyjson_val *root, struct event_sink *sink) {
    struct problem p;
    yyjson_val *error = yyjson_obj_get(root, "error");
    if (error && !yyjson_is_null(error)) {
        r->failed = true;
        gemini_problem_of(r->a, 0, root, &p);
        return emit_error(sink, &p);
    }
    return r->counts ? put_count(r, root, sink) : put_chunk(r, root, sink);
}

enum err gemini_reader_frame(struct stream_reader *r, const struct frame *f, struct event_sink *sink) {
    struct frame_json json;
    struct slice data = slice_trim(f->data);
    if (f->comment)
        return emit(sink, &(struct event){.kind = EV_PING});
    if (!data.n || r->done || r->failed || slice_is(data, "[DONE]"))
        return ERR_OK;
    enum err e = frame_json_open(&json, data);
    r->doc = &json.doc;
    if (!e)
        e = put_root(r, json.root, sink);
    r->doc = NULL;
    frame_json_close(&json);
    return e;
}

enum err gemini_reader_finish(struct stream_reader *r, struct event_sink *sink) {
    struct cand_read k = {.r = r, .sink = sink};
    bool any = false;
    if (r->done || r->failed)
        return ERR_OK;
    for (uint32_t i = 0; i < CHOICES_MAX; i++) {
        k.choice = i;
        k.c = &r->choices[i];
        if (!k.c->seen)
            continue;
        any = true;
        if (!k.c->finished && !r->whole)
            return ERR_UP_DIED;
        enum err e = finish_choice(&k, k.c->called ? FINISH_TOOL : FINISH_STOP);
        if (e)
            return e;
    }
    if (!any)
        return ERR_UP_DIED;
    r->done = true;
    return emit_end(sink);
}

enum err gemini_read_answer(struct arena *a, enum op op, struct slice body, struct event_sink *sink) {
    if (op == OP_EMBED)
        return gemini_read_vectors(a, body, sink);
    struct stream_reader *r = gemini_reader_new(a, op);
    if (!r)
        return ERR_NO_MEMORY;
    r->whole = true;
    const struct frame f = {.data = body, .raw = body};
    enum err e = gemini_reader_frame(r, &f, sink);
    if (!e)
        e = gemini_reader_finish(r, sink);
    return e == ERR_UP_DIED ? ERR_UP_PROTOCOL : e;
}
