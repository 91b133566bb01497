// SPDX-License-Identifier: Apache-2.0
// Frames in, events out: the parser for the small JSON texts of a stream, and short forms for the events that readers
// emit. A frame's tree lives in the room of its struct frame_json, on the stack of whoever reads the frame: thousands of
// open streams hold no trees. Frames that are too large for it (an image, say) get memory of their own. Events are
// borrowed by the sink for the length of the call.
#include "dialect/codec.h"
#include "base/limits.h"

static yyjson_doc *parse(struct slice text, const yyjson_alc *alc, yyjson_read_err *why) {
    // not written to without the INSITU flag
    return yyjson_read_opts((char *)(uintptr_t)text.p, text.n, YYJSON_READ_NOFLAG, alc, why);
}

enum err frame_json_open(struct frame_json *f, struct slice text) {
    yyjson_read_err why = {0};
    yyjson_alc alc;
    yyjson_doc *doc = NULL;
    f->doc = (struct json_doc){0};
    if (!text.n)
        return ERR_UP_PROTOCOL;
    if (text.n < sizeof f->room && yyjson_alc_pool_init(&alc, f->room, sizeof f->room))
        doc = parse(text, &alc, &why);
    if (!doc && (!why.code || why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION))
        doc = parse(text, &json_alc, &why);
    if (!doc)
        return why.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ERR_NO_MEMORY : ERR_UP_PROTOCOL;
    f->doc = (struct json_doc){.doc = doc, .src = text};
    f->root = yyjson_doc_get_root(doc);
    return yyjson_is_obj(f->root) ? ERR_OK : ERR_UP_PROTOCOL;
}

void frame_json_close(struct frame_json *f) {
    yyjson_doc_free(f->doc.doc);
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
