// SPDX-License-Identifier: Apache-2.0
// Vectors and other answers that are no talk, between the codecs: they pass through the same pipe as one opaque block, so
// that money, health and `why` know nothing of them. A vector comes as a list of numbers or as base64 of floats, whichever
// the upstream prefers, and goes out as the client asked. Pure; what is built here is freed here.
#include "dialect/task.h"
#include "base/limits.h"

enum err task_emit(struct event_sink *s, struct slice id, struct slice model, struct slice json,
                   const struct usage *u) {
    struct event block = {.kind = EV_BLOCK_BEGIN, .block_kind = BLOCK_OPAQUE, .name = SLICE("task"), .text = json};
    enum err e = emit_start(s, id, model, 0);
    if (!e)
        e = emit(s, &block);
    if (!e)
        e = emit_block_end(s, 0, 0, BLOCK_OPAQUE, SLICE_NONE);
    if (!e)
        e = emit_finish(s, 0, FINISH_STOP, SLICE_NONE);
    if (!e)
        e = emit_usage(s, u);
    return e ? e : emit_end(s);
}

struct slice task_json(const struct answer *a) {
    return a->first && a->first->kind == BLOCK_OPAQUE ? a->first->opening : SLICE_NONE;
}

// ---- base64 (RFC 4648 4) of 32-bit floats

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct packer {
    struct buf *out;
    uint32_t bits;
    int n; // bytes in bits
};

static void pack(struct packer *p, unsigned byte) {
    p->bits = p->bits << 8 | byte;
    if (++p->n < 3)
        return;
    for (int i = 18; i >= 0; i -= 6)
        buf_append_char(p->out, digits[p->bits >> i & 63]);
    p->bits = 0;
    p->n = 0;
}

static void pack_end(struct packer *p) {
    if (p->n == 0)
        return;
    uint32_t bits = p->bits << (8 * (3 - p->n));
    for (int i = 0; i < 4; i++)
        buf_append_char(p->out, i <= p->n ? digits[bits >> (18 - 6 * i) & 63] : '=');
}

static enum err floats_pack(struct json_writer *w, yyjson_val *list) {
    struct packer p = {w->out, 0, 0};
    yyjson_val *v;
    size_t i, n;
    json_put_raw(w, SLICE("\""));
    yyjson_arr_foreach(list, i, n, v) {
        float f = (float)yyjson_get_num(v);
        uint32_t bits;
        if (!yyjson_is_num(v))
            return ERR_UP_PROTOCOL;
        memcpy(&bits, &f, sizeof bits);
        for (int k = 0; k < 32; k += 8)
            pack(&p, bits >> k & 255);
    }
    pack_end(&p);
    buf_append_char(w->out, '"');
    return ERR_OK;
}

static enum err floats_unpack(struct json_writer *w, struct slice text) {
    uint32_t bits = 0, word = 0;
    int n_bits = 0, n_bytes = 0;
    json_arr(w);
    for (size_t i = 0; i < text.n && text.p[i] != '='; i++) {
        const char *at = text.p[i] ? strchr(digits, text.p[i]) : NULL;
        if (!at)
            return ERR_UP_PROTOCOL;
        bits = bits << 6 | (uint32_t)(at - digits);
        n_bits += 6;
        if (n_bits < 8)
            continue;
        n_bits -= 8;
        word |= (bits >> n_bits & 255) << (8 * n_bytes);
        if (++n_bytes < 4)
            continue;
        float f;
        memcpy(&f, &word, sizeof f);
        json_put_num(w, (double)f);
        word = 0;
        n_bytes = 0;
    }
    json_arr_end(w);
    return n_bytes ? ERR_UP_PROTOCOL : ERR_OK;
}

enum err vector_put(struct json_writer *w, yyjson_val *vector, bool as_base64) {
    if (yyjson_is_arr(vector) && as_base64)
        return floats_pack(w, vector);
    if (yyjson_is_str(vector) && !as_base64)
        return floats_unpack(w, json_str(vector));
    if (!yyjson_is_arr(vector) && !yyjson_is_str(vector))
        return ERR_UP_PROTOCOL;
    json_put_val(w, vector);
    return ERR_OK;
}

enum err vectors_each(struct arena *a, const struct answer *answer, struct json_writer *w, bool as_base64,
                      void (*put)(struct json_writer *w, size_t index), void (*end)(struct json_writer *w)) {
    struct json_doc doc;
    struct json_error why;
    yyjson_val *v;
    size_t i, n;
    struct slice json = task_json(answer);
    if (!json.n)
        return ERR_OK;
    enum err e = json_read(a, json, &doc, &why);
    if (e)
        return e == ERR_NO_MEMORY ? e : ERR_UP_PROTOCOL;
    yyjson_arr_foreach(yyjson_doc_get_root(doc.doc), i, n, v) {
        if (put)
            put(w, i);
        e = vector_put(w, v, as_base64);
        if (e)
            return e;
        if (end)
            end(w);
    }
    return ERR_OK;
}

// ---- a client's texts

enum err input_add(struct field_reader *rd, struct message ***tail, struct slice text) {
    struct message *m = message_add(rd->a, tail, ROLE_USER);
    struct part **parts = m ? &m->parts : NULL, *p = m ? part_add(rd->a, &parts, PART_TEXT) : NULL;
    if (!p)
        return field_no_memory(rd);
    p->text = text;
    return ERR_OK;
}

enum err inputs_read(struct field_reader *rd, const struct field_at *root, const char *name, struct message ***tail) {
    struct slice *texts = NULL;
    size_t n = 0;
    enum err e = field_strings(rd, root, name, LIMIT_INPUTS, &texts, &n);
    for (size_t i = 0; i < n && !e; i++)
        e = input_add(rd, tail, texts[i]);
    return e;
}

void inputs_put(struct json_writer *w, const struct message *first) {
    json_arr(w);
    for (const struct message *m = first; m; m = m->next)
        json_put_str(w, m->parts->text);
    json_arr_end(w);
}
