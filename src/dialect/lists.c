// SPDX-License-Identifier: Apache-2.0
// Lists of models as OpenAI's, Anthropic's and Ollama's clients read them. Their libraries check types strictly, so every
// field they need is written, with a harmless value where nothing is known: a digest made of the name, the epoch for a
// time. Capabilities are said only when the row has them, because clients switch features by them.
// Nothing is allocated but in the given buf; failure sticks there.
#include "dialect/lists.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"

#define PAGE_DEFAULT 20 // Anthropic's
#define PAGE_MAX 1000

static void put_time(struct json_writer *w, const char *name, int64_t unix_s) {
    struct buf text = BUF_INIT(64);
    clock_append_rfc3339(&text, unix_s * 1000000);
    json_kv_str(w, name, buf_slice(&text));
    w->out->failed |= text.failed;
    buf_done(&text);
}

// ---- OpenAI

static void put_openai(struct json_writer *w, const struct model_row *row) {
    json_obj(w);
    json_kv_str(w, "id", row->name);
    json_kv_cstr(w, "object", "model");
    json_kv_int(w, "created", row->created_s);
    json_kv_str(w, "owned_by", row->owner.n ? row->owner : SLICE("gridtie"));
    if (row->context > 0)
        json_kv_int(w, "context_length", row->context); // as OpenRouter has it; strict clients ignore it
    json_obj_end(w);
}

void list_openai(struct buf *out, const struct model_row *rows, size_t n) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_cstr(&w, "object", "list");
    json_key(&w, "data");
    json_arr(&w);
    for (size_t i = 0; i < n; i++)
        put_openai(&w, &rows[i]);
    json_arr_end(&w);
    json_obj_end(&w);
}

void list_openai_one(struct buf *out, const struct model_row *row) {
    struct json_writer w = JSON_WRITER(out);
    put_openai(&w, row);
}

// ---- Anthropic

static void put_anthropic(struct json_writer *w, const struct model_row *row) {
    json_obj(w);
    json_kv_cstr(w, "type", "model");
    json_kv_str(w, "id", row->name);
    json_kv_str(w, "display_name", row->name);
    put_time(w, "created_at", row->created_s);
    json_kv_cstr(w, "lifecycle", "active");
    if (row->context > 0)
        json_kv_int(w, "max_input_tokens", row->context);
    json_obj_end(w);
}

static size_t index_of(const struct model_row *rows, size_t n, struct slice name, size_t otherwise) {
    for (size_t i = 0; name.n && i < n; i++)
        if (slice_eq(rows[i].name, name))
            return i;
    return otherwise;
}

static void put_id(struct json_writer *w, const char *key, const struct model_row *row) {
    if (row)
        json_kv_str(w, key, row->name);
    else
        json_kv_null(w, key);
}

void list_anthropic(struct buf *out, const struct model_row *rows, size_t n, const struct list_page *page) {
    struct json_writer w = JSON_WRITER(out);
    size_t limit = page->limit > 0 && page->limit <= PAGE_MAX ? (size_t)page->limit : PAGE_DEFAULT;
    size_t from = index_of(rows, n, page->after, SIZE_MAX) + 1; // 0 without one
    size_t end = index_of(rows, n, page->before, n), to = end;
    if (page->before.n && end - from > limit && from < end)
        from = end - limit; // the page just before
    if (from > to)
        from = to;
    if (to - from > limit)
        to = from + limit;
    json_obj(&w);
    json_key(&w, "data");
    json_arr(&w);
    for (size_t i = from; i < to; i++)
        put_anthropic(&w, &rows[i]);
    json_arr_end(&w);
    json_kv_bool(&w, "has_more", page->before.n ? from > 0 : to < n);
    put_id(&w, "first_id", to > from ? &rows[from] : NULL);
    put_id(&w, "last_id", to > from ? &rows[to - 1] : NULL);
    json_obj_end(&w);
}

void list_anthropic_one(struct buf *out, const struct model_row *row) {
    struct json_writer w = JSON_WRITER(out);
    put_anthropic(&w, row);
}

// ---- Ollama

static void put_digest(struct json_writer *w, const struct model_row *row) {
    uint8_t hash[32];
    char hex[65];
    if (row->digest.n) {
        json_kv_str(w, "digest", row->digest);
        return;
    }
    sha256(row->name, hash);
    for (size_t i = 0; i < sizeof hash; i++) {
        hex[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    json_kv_str(w, "digest", slice_of(hex, 64)); // clients tell models apart by it
}

static void put_details(struct json_writer *w, const struct model_row *row) {
    json_key(w, "details");
    json_obj(w);
    json_kv_cstr(w, "parent_model", "");
    json_kv_cstr(w, "format", row->local ? "gguf" : "");
    json_kv_str(w, "family", row->family);
    json_key(w, "families");
    json_arr(w);
    if (row->family.n)
        json_put_str(w, row->family);
    json_arr_end(w);
    json_kv_str(w, "parameter_size", row->parameter_size);
    json_kv_str(w, "quantization_level", row->quantization);
    json_obj_end(w);
}

static void put_capabilities(struct json_writer *w, const struct model_row *row) {
    json_key(w, "capabilities");
    json_arr(w);
    json_put_cstr(w, row->embedding ? "embedding" : "completion");
    if (row->vision)
        json_put_cstr(w, "vision");
    if (row->tools)
        json_put_cstr(w, "tools");
    if (row->thinking)
        json_put_cstr(w, "thinking");
    json_arr_end(w);
}

static void put_names(struct json_writer *w, const struct model_row *row) {
    json_kv_str(w, "name", row->name);
    json_kv_str(w, "model", row->name);
}

void list_ollama_tags(struct buf *out, const struct model_row *rows, size_t n) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_key(&w, "models");
    json_arr(&w);
    for (size_t i = 0; i < n; i++) {
        json_obj(&w);
        put_names(&w, &rows[i]);
        put_time(&w, "modified_at", rows[i].created_s);
        json_kv_int(&w, "size", rows[i].size_bytes);
        put_digest(&w, &rows[i]);
        put_details(&w, &rows[i]);
        put_capabilities(&w, &rows[i]);
        json_obj_end(&w);
    }
    json_arr_end(&w);
    json_obj_end(&w);
}

// "Never" is a date far off: Ollama does the same for a negative keep_alive.
#define FAR_OFF_S INT64_C(10413792000) // 2300-01-01

void list_ollama_ps(struct buf *out, const struct model_row *rows, size_t n) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_key(&w, "models");
    json_arr(&w);
    for (size_t i = 0; i < n; i++) {
        if (!rows[i].loaded)
            continue;
        json_obj(&w);
        put_names(&w, &rows[i]);
        json_kv_int(&w, "size", rows[i].size_bytes);
        put_digest(&w, &rows[i]);
        put_details(&w, &rows[i]);
        put_time(&w, "expires_at", rows[i].expires_s > 0 ? rows[i].expires_s : FAR_OFF_S);
        json_kv_int(&w, "size_vram", rows[i].vram_bytes);
        json_kv_int(&w, "context_length", rows[i].context);
        json_obj_end(&w);
    }
    json_arr_end(&w);
    json_obj_end(&w);
}

static void put_model_info(struct json_writer *w, const struct model_row *row) {
    struct buf key = BUF_INIT(256);
    struct slice family = row->family.n ? slice_first(row->family, 64) : SLICE("unknown");
    json_key(w, "model_info");
    json_obj(w);
    json_kv_str(w, "general.architecture", family);
    if (row->parameters > 0)
        json_kv_int(w, "general.parameter_count", row->parameters);
    if (row->context > 0) { // clients look for it under the architecture's name
        buf_append(&key, family);
        buf_append_str(&key, ".context_length");
        json_key_slice(w, buf_slice(&key));
        json_put_int(w, row->context);
        w->out->failed |= key.failed;
    }
    json_obj_end(w);
    buf_done(&key);
}

void list_ollama_show(struct buf *out, const struct model_row *row) {
    struct json_writer w = JSON_WRITER(out);
    struct buf file = BUF_INIT(4096);
    buf_printf(&file, "# made by gridtie\nFROM %.*s\n", SLICE_FMT(row->name));
    json_obj(&w);
    json_kv_str(&w, "modelfile", buf_slice(&file));
    json_kv_cstr(&w, "parameters", "");
    json_kv_str(&w, "template", row->template.n ? row->template : SLICE("{{ .Prompt }}"));
    put_details(&w, row);
    put_model_info(&w, row);
    put_capabilities(&w, row);
    put_time(&w, "modified_at", row->created_s);
    json_obj_end(&w);
    out->failed |= file.failed;
    buf_done(&file);
}

void list_ollama_version(struct buf *out, struct slice version) {
    struct json_writer w = JSON_WRITER(out);
    json_obj(&w);
    json_kv_str(&w, "version", version);
    json_obj_end(&w);
}
