// SPDX-License-Identifier: Apache-2.0
// Frames in, events out: the parser for the small JSON texts of a stream, and short forms for the events that readers
// emit. A frame's tree lives in one block that the reader keeps: the block grows to the largest usual frame and then stays,
// so that a stream of any length takes no more memory. Frames beyond that (an image, say) get memory of their own until
// the next frame. Events are borrowed by the sink for the length of the call.
#include "dialect/codec.h"
#include "base/limits.h"
#include "base/mem.h"

// yyjson asks for up to 13 times the text; a block for larger frames would be held for nothing.
#define POOLED_FRAME_BYTES 16384

static void *alc_malloc(void *ctx, size_t n) {
    (void)ctx;
    return mem_alloc(n);
}

static void *alc_realloc(void *ctx, void *p, size_t old, size_t n) {
    (void)ctx;
    (void)old;
    return mem_realloc(p, n);
}

static void alc_free(void *ctx, void *p) {
    (void)ctx;
    mem_free(p);
}

static void frame_json_free(void *arg) {
    struct frame_json *f = arg;
    yyjson_doc_free(f->doc.doc);
    mem_free(f->pool);
    *f = (struct frame_json){0};
}

bool frame_json_init(struct frame_json *f, struct arena *a) {
    *f = (struct frame_json){0};
    return arena_defer(a, frame_json_free, f);
}

static bool pool_fits(struct frame_json *f, size_t text_bytes) {
    size_t need = yyjson_read_max_memory_usage(text_bytes, YYJSON_READ_NOFLAG) + 256;
    if (need <= f->pool_bytes)
        return true;
    size_t bytes = f->pool_bytes ? f->pool_bytes : 8192;
    while (bytes < need)
        bytes *= 2;
    void *pool = mem_realloc(f->pool, bytes);
    if (!pool)
        return false;
    f->pool = pool;
    f->pool_bytes = bytes;
    return true;
}

static yyjson_doc *parse(struct frame_json *f, struct slice text, bool pooled, yyjson_read_err *why) {
    yyjson_alc alc = {alc_malloc, alc_realloc, alc_free, NULL};
    char *bytes = (char *)(uintptr_t)text.p; // not written to without the INSITU flag
    if (pooled && !yyjson_alc_pool_init(&alc, f->pool, f->pool_bytes))
        return NULL;
    return yyjson_read_opts(bytes, text.n, YYJSON_READ_NOFLAG, &alc, why);
}

enum err frame_json_read(struct frame_json *f, struct slice text, yyjson_val **ret_root) {
    yyjson_read_err why = {0};
    yyjson_doc_free(f->doc.doc);
    f->doc = (struct json_doc){0};
    if (!text.n)
        return ERR_UP_PROTOCOL;
    bool pooled = text.n <= POOLED_FRAME_BYTES;
    if (pooled && !pool_fits(f, text.n))
        return ERR_NO_MEMORY;
    yyjson_doc *doc = parse(f, text, pooled, &why);
    // yyjson's bound holds for valid JSON only: a run of brackets outgrows the block before it is found to be broken.
    if (!doc && pooled && why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        doc = parse(f, text, false, &why);
    if (!doc)
        return why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ERR_NO_MEMORY : ERR_UP_PROTOCOL;
    f->doc = (struct json_doc){doc, text};
    if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
        return ERR_UP_PROTOCOL;
    *ret_root = yyjson_doc_get_root(doc);
    return ERR_OK;
}

// ---- events

enum err emit_start(struct event_sink *s, struct slice id, struct slice model, int64_t created_s) {
    return emit(s, &(struct event){.kind = EV_START, .id = id, .model = model, .created_s = created_s});
}

enum err emit_begin(struct event_sink *s, uint32_t block, uint32_t choice, enum block_kind kind) {
    return emit(s, &(struct event){.kind = EV_BLOCK_BEGIN, .block = block, .choice = choice, .block_kind = kind});
}

enum err emit_begin_tool(struct event_sink *s, uint32_t block, uint32_t choice, struct slice call_id,
                         struct slice name) {
    return emit(s, &(struct event){.kind = EV_BLOCK_BEGIN,
                                   .block = block,
                                   .choice = choice,
                                   .block_kind = BLOCK_TOOL,
                                   .call_id = call_id,
                                   .name = name});
}

enum err emit_delta(struct event_sink *s, uint32_t block, uint32_t choice, enum block_kind kind, struct slice text) {
    if (!text.n)
        return ERR_OK;
    return emit(s,
                &(struct event){.kind = EV_DELTA, .block = block, .choice = choice, .block_kind = kind, .text = text});
}

enum err emit_block_end(struct event_sink *s, uint32_t block, uint32_t choice, enum block_kind kind,
                        struct slice signature) {
    return emit(
        s, &(struct event){
               .kind = EV_BLOCK_END, .block = block, .choice = choice, .block_kind = kind, .signature = signature});
}

enum err emit_meta(struct event_sink *s, uint32_t block, uint32_t choice, struct slice name, struct slice json) {
    return emit(s, &(struct event){.kind = EV_META, .block = block, .choice = choice, .name = name, .text = json});
}

enum err emit_finish(struct event_sink *s, uint32_t choice, enum finish finish, struct slice stop_sequence) {
    return emit(s,
                &(struct event){.kind = EV_FINISH, .choice = choice, .finish = finish, .stop_sequence = stop_sequence});
}

static bool usage_says_nothing(const struct usage *u) {
    return u->input_tokens < 0 && u->cache_read_tokens < 0 && u->cache_write_tokens < 0 && u->output_tokens < 0 &&
           u->reasoning_tokens < 0 && u->prompt_us < 0 && u->output_us < 0 && u->load_us < 0;
}

enum err emit_usage(struct event_sink *s, const struct usage *u) {
    if (usage_says_nothing(u))
        return ERR_OK;
    return emit(s, &(struct event){.kind = EV_USAGE, .usage = *u});
}

enum err emit_error(struct event_sink *s, const struct problem *p) {
    return emit(s, &(struct event){.kind = EV_ERROR, .problem = p});
}

enum err emit_end(struct event_sink *s) {
    return emit(s, &(struct event){.kind = EV_END});
}
