// SPDX-License-Identifier: Apache-2.0
// Reads a request of any of the five wire formats: model, stream, the user's last words, and an order that may hide in
// them as [[sim {…}]] (a gateway passes words, not headers). Written without the codecs of dialect/, which it helps to test.
#include "sim/ask.h"

struct walk {
    struct arena *a;
    struct ask *ask;
};

static void walk_marker(struct walk *w, struct slice text) {
    size_t at = slice_search(text, SLICE("[[sim "));
    if (at != SIZE_MAX)
        w->ask->marker = json_value_at(slice_from(text, at + sizeof "[[sim " - 1));
}

// Content is text, or parts with text; all of it is counted.
static struct slice content_text(struct walk *w, yyjson_val *content) {
    struct slice s = json_str(content);
    if (s.p) {
        w->ask->input_chars += (int64_t)s.n;
        return s;
    }
    struct buf all = BUF_INIT(64u << 20);
    size_t i, max;
    yyjson_val *part;
    yyjson_arr_foreach(content, i, max, part) {
        struct slice text = json_get_str(part, "text");
        buf_append(&all, text);
    }
    s = arena_copy(w->a, buf_slice(&all));
    w->ask->input_chars += (int64_t)s.n;
    buf_done(&all);
    return s;
}

static void walk_message(struct walk *w, yyjson_val *m) {
    bool google = w->ask->shape == SHAPE_GEMINI;
    struct slice role = json_get_str(m, "role"),
                 text = content_text(w, yyjson_obj_get(m, google ? "parts" : "content"));
    bool user = slice_is(role, "user") || (google && !role.p),
         system = slice_is(role, "system") || slice_is(role, "developer");
    if (user && text.n) {
        w->ask->last_user = text;
        if (w->ask->shape != SHAPE_COUNT)
            w->ask->marker = SLICE_NONE;
    }
    if (user || system)
        walk_marker(w, text);
}

static void walk_request(struct walk *w, yyjson_val *root) {
    size_t i, max;
    yyjson_val *m;
    struct slice before;
    (void)content_text(w, yyjson_obj_get(root, "prompt"));
    if (json_get_str(root, "prompt").p) {
        w->ask->last_user = json_get_str(root, "prompt");
        walk_marker(w, w->ask->last_user);
    }
    walk_marker(w, content_text(w, yyjson_obj_get(root, "system")));
    walk_marker(w, content_text(w, yyjson_obj_get(root, "instructions")));
    walk_marker(w, content_text(w, yyjson_obj_get(yyjson_obj_get(root, "systemInstruction"), "parts")));
    if (json_get_str(root, "input").p) {
        w->ask->last_user = content_text(w, yyjson_obj_get(root, "input"));
        walk_marker(w, w->ask->last_user);
    }
    before = w->ask->marker;
    static const char *const lists[SHAPE_COUNT] = {[SHAPE_RESPONSES] = "input", [SHAPE_GEMINI] = "contents"};
    yyjson_arr_foreach(yyjson_obj_get(root, lists[w->ask->shape] ? lists[w->ask->shape] : "messages"), i, max, m) {
        if (slice_is(json_get_str(m, "role"), "system") || slice_is(json_get_str(m, "role"), "developer")) {
            walk_message(w, m);
            before = w->ask->marker.n ? w->ask->marker : before;
        } else {
            walk_message(w, m);
        }
    }
    if (!w->ask->marker.n)
        w->ask->marker = before;
}

// …/models/MODEL:METHOD, or Replicate's …/models/MODEL/predictions, of which only scripted bodies are told
static void ask_address(struct slice query, struct ask *ask) {
    struct slice path = slice_split(&query, '?');
    size_t at = slice_search(path, SLICE("/models/")), colon = path.n;
    struct slice made = SLICE("/predictions");
    if (at != SIZE_MAX && slice_ends(path, "/predictions")) {
        ask->model =
            slice_first(slice_from(path, at + sizeof "/models/" - 1), path.n - made.n - at - sizeof "/models/" + 1);
        return;
    }
    while (colon > 0 && path.p[colon - 1] != ':')
        colon--;
    if (at == SIZE_MAX || colon <= at + sizeof "/models/")
        return;
    at += sizeof "/models/" - 1;
    ask->model = slice_of(path.p + at, colon - 1 - at);
    ask->stream = slice_is(slice_from(path, colon), "streamGenerateContent");
    ask->array = ask->stream && slice_search(query, SLICE("alt=sse")) == SIZE_MAX;
}

static int64_t bound_of(yyjson_val *root) {
    static const char *const names[] = {"max_completion_tokens", "max_output_tokens", "max_tokens"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (yyjson_is_int(yyjson_obj_get(root, names[i])))
            return json_get_int(root, names[i], -1);
    int64_t ollama = json_get_int(yyjson_obj_get(root, "options"), "num_predict", -1);
    return json_get_int(yyjson_obj_get(root, "generationConfig"), "maxOutputTokens", ollama);
}

enum err ask_read(struct arena *a, enum shape shape, struct slice target, struct slice body, struct ask *ret) {
    struct json_doc doc;
    struct json_error why;
    memset(ret, 0, sizeof *ret);
    enum err e = json_read(a, body, &doc, &why);
    if (e)
        return e;
    yyjson_val *root = yyjson_doc_get_root(doc.doc), *stream = yyjson_obj_get(root, "stream");
    ret->shape = shape;
    ret->model = json_get_str(root, "model");
    ret->stream =
        yyjson_is_bool(stream) ? yyjson_get_bool(stream) : shape == SHAPE_OLLAMA_CHAT || shape == SHAPE_OLLAMA_GENERATE;
    if (shape == SHAPE_GEMINI)
        ask_address(target, ret);
    if (shape == SHAPE_GEMINI && yyjson_is_obj(yyjson_obj_get(root, "generateContentRequest")))
        root = yyjson_obj_get(root, "generateContentRequest");
    ret->max_tokens = bound_of(root);
    ret->include_usage = yyjson_get_bool(yyjson_obj_get(yyjson_obj_get(root, "stream_options"), "include_usage"));
    struct walk w = {a, ret};
    walk_request(&w, root);
    return ret->model.p ? ERR_OK : ERR_MISSING_FIELD;
}
