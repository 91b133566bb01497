// SPDX-License-Identifier: Apache-2.0
// Reads the header of a GGUF file: metadata and tensor shapes, never tensor data. The file is a stranger's: every
// length is checked against what may be left, nesting is bounded, nothing is allocated by a number from the file, and
// the whole walk ends at GGUF_HEADER_BYTES. Bytes come through one window of 64 KiB; what is not wanted is skipped by
// moving the position. Blocks on the disk: called at start and reload on the main thread, never on a serving loop.
#include "store/gguf.h"
#include <fcntl.h>
#include <unistd.h>

enum gguf_type { // docs/gguf.md, gguf_metadata_value_type
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES
};
static const uint8_t type_bytes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

#define GGUF_KEYS_MAX 65536      // real files have about 40
#define GGUF_TENSORS_MAX 1048576 // the largest mixtures have some thousands
#define GGUF_DIMS_MAX 8
#define GGUF_TEXT_MAX 256 // of what is kept of a text
#define GGUF_ALIGNMENT 32 // where general.alignment says nothing

struct source {
    int fd;              // -1: only `window`
    struct slice window; // bytes at window_at
    uint64_t window_at;
    uint64_t at, end;   // position and size of the file, or the limit if that is nearer
    bool limited;       // the limit is nearer
    enum err err;       // sticks
    uint64_t alignment; // of tensors' data
    char bytes[65536];
};

static void source_fail(struct source *s, enum err e) {
    if (s->err == ERR_OK)
        s->err = e;
}

static bool source_fill(struct source *s) {
    if (s->fd < 0) {
        source_fail(s, ERR_UP_PROTOCOL);
        return false;
    }
    ssize_t n = pread(s->fd, s->bytes, sizeof s->bytes, (off_t)s->at);
    if (n <= 0) {
        source_fail(s, n < 0 ? ERR_DISK : ERR_UP_PROTOCOL);
        return false;
    }
    s->window = slice_of(s->bytes, (size_t)n);
    s->window_at = s->at;
    return true;
}

static bool source_has(struct source *s, uint64_t n) {
    if (s->err != ERR_OK)
        return false;
    if (n <= s->end - s->at)
        return true;
    source_fail(s, s->limited ? ERR_TOO_LARGE : ERR_UP_PROTOCOL);
    return false;
}

static void source_skip(struct source *s, uint64_t n) {
    if (source_has(s, n))
        s->at += n;
}

// False: *ret is zeroed and the error stands in s.
static bool source_read(struct source *s, void *ret, size_t n) {
    char *out = ret;
    memset(ret, 0, n);
    if (!source_has(s, n))
        return false;
    while (n > 0) {
        uint64_t off = s->at - s->window_at;
        if (s->at < s->window_at || off >= s->window.n) {
            if (!source_fill(s))
                return false;
            off = 0;
        }
        size_t take = s->window.n - (size_t)off < n ? s->window.n - (size_t)off : n;
        memcpy(out, s->window.p + off, take);
        out += take;
        n -= take;
        s->at += take;
    }
    return true;
}

static uint32_t source_u32(struct source *s) {
    uint8_t b[4];
    source_read(s, b, sizeof b);
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t source_u64(struct source *s) {
    uint64_t low = source_u32(s);
    return low | (uint64_t)source_u32(s) << 32;
}

// A string's first bytes into out, NUL-terminated; the rest is skipped.
static void source_text(struct source *s, char *out, size_t room) {
    uint64_t n = source_u64(s);
    size_t keep = n < room - 1 ? (size_t)n : room - 1;
    out[0] = '\0';
    if (!source_has(s, n))
        return;
    uint64_t behind = s->at + n;
    bool ok = source_read(s, out, keep);
    out[ok ? keep : 0] = '\0';
    if (s->err == ERR_OK)
        s->at = behind;
}

static void array_skip(struct source *s) {
    uint32_t type = source_u32(s);
    uint64_t n = source_u64(s);
    if (type >= GGUF_TYPES || type == GGUF_ARRAY) {
        source_fail(s, ERR_UP_PROTOCOL); // nested arrays: the format has them, no known file does
        return;
    }
    if (type != GGUF_STRING) {
        if (n > GGUF_HEADER_BYTES)
            source_fail(s, ERR_UP_PROTOCOL);
        source_skip(s, n * type_bytes[type]);
        return;
    }
    // Each string takes eight bytes at least, so `end` bounds this loop.
    for (uint64_t i = 0; i < n && s->err == ERR_OK; i++)
        source_skip(s, source_u64(s));
}

static void value_skip(struct source *s, uint32_t type) {
    if (type >= GGUF_TYPES)
        source_fail(s, ERR_UP_PROTOCOL);
    else if (type == GGUF_STRING)
        source_skip(s, source_u64(s));
    else if (type == GGUF_ARRAY)
        array_skip(s);
    else
        source_skip(s, type_bytes[type]);
}

static int64_t scalar_read(struct source *s, uint32_t type) {
    uint8_t b[8] = {0};
    source_read(s, b, type_bytes[type]);
    uint64_t v = 0;
    for (size_t i = type_bytes[type]; i > 0; i--)
        v = v << 8 | b[i - 1];
    return v > INT64_MAX / 2 ? 0 : (int64_t)v;
}

static bool type_is_integer(uint32_t type) {
    return type < GGUF_TYPES && type_bytes[type] > 0 && type != GGUF_F32 && type != GGUF_F64;
}

// A number; of an array (heads per layer) the largest. Anything else is skipped and counts as 0.
static int64_t number_read(struct source *s, uint32_t type) {
    if (type_is_integer(type))
        return scalar_read(s, type);
    uint64_t start = s->at;
    if (type != GGUF_ARRAY) {
        value_skip(s, type);
        return 0;
    }
    uint32_t of = source_u32(s);
    uint64_t n = source_u64(s);
    if (!type_is_integer(of) || n > 4096) {
        s->at = start;
        array_skip(s);
        return 0;
    }
    int64_t most = 0;
    for (uint64_t i = 0; i < n && s->err == ERR_OK; i++) {
        int64_t v = scalar_read(s, of);
        if (v > most)
            most = v;
    }
    return most;
}

static void template_read(struct source *s, struct gguf *g) {
    char text[32768]; // the longest template in use is half of that; what stands behind is not looked at
    source_text(s, text, sizeof text);
    struct slice t = slice_str(text);
    g->chat_template = g->chat_template || t.n > 0;
    if (slice_search(t, SLICE("tools")) != SIZE_MAX)
        g->template_tools = true;
    if (slice_search(t, SLICE("<think>")) != SIZE_MAX || slice_search(t, SLICE("enable_thinking")) != SIZE_MAX)
        g->template_thinking = true;
}

static void text_keep(struct source *s, char *out, size_t room) {
    char text[GGUF_TEXT_MAX];
    source_text(s, text, sizeof text);
    size_t n = 0;
    for (; text[n] && n + 1 < room; n++)
        out[n] = text[n] > 0x20 && text[n] < 0x7f ? text[n] : '_';
    out[n] = '\0';
}

static int64_t *number_of(struct gguf *g, struct slice key) {
    if (slice_ends(key, ".context_length"))
        return &g->context_length;
    if (slice_ends(key, ".block_count"))
        return &g->block_count;
    if (slice_ends(key, ".embedding_length"))
        return &g->embedding_length;
    if (slice_ends(key, ".attention.head_count"))
        return &g->head_count;
    if (slice_ends(key, ".attention.head_count_kv"))
        return &g->head_count_kv;
    return NULL;
}

static void pair_read(struct source *s, struct gguf *g) {
    char name[GGUF_TEXT_MAX];
    source_text(s, name, sizeof name);
    uint32_t type = source_u32(s);
    struct slice key = slice_str(name);
    int64_t *number = number_of(g, key);
    if (slice_is(key, "general.architecture") && type == GGUF_STRING) {
        text_keep(s, g->architecture, sizeof g->architecture);
    } else if (slice_is(key, "general.size_label") && type == GGUF_STRING) {
        text_keep(s, g->size_label, sizeof g->size_label);
    } else if (slice_starts(key, "tokenizer.chat_template") && type == GGUF_STRING) {
        template_read(s, g);
    } else if (slice_is(key, "general.file_type")) {
        int64_t v = number_read(s, type);
        g->file_type = v >= 0 && v < 1024 ? (int)v : -1;
    } else if (slice_is(key, "general.type") && type == GGUF_STRING) {
        char kind[16];
        text_keep(s, kind, sizeof kind);
        g->adapter = strcmp(kind, "adapter") == 0;
    } else if (slice_is(key, "general.alignment")) {
        int64_t v = number_read(s, type);
        if (v > 0)
            s->alignment = (uint64_t)v;
    } else if (slice_ends(key, ".pooling_type")) {
        int64_t pooling = number_read(s, type); // llama.h, enum llama_pooling_type
        g->embedding = pooling > 0;
        g->rerank = pooling == 4;
    } else if (number) {
        *number = number_read(s, type);
    } else {
        value_skip(s, type);
    }
}

struct tensor {
    char name[GGUF_TEXT_MAX];
    uint32_t n_dims, type;
    uint64_t dims[GGUF_DIMS_MAX];
    uint64_t elements, offset;
};

static void tensor_read(struct source *s, struct tensor *t) {
    source_text(s, t->name, sizeof t->name);
    t->n_dims = source_u32(s);
    if (t->n_dims > GGUF_DIMS_MAX)
        source_fail(s, ERR_UP_PROTOCOL);
    t->elements = 1;
    for (uint32_t i = 0; i < t->n_dims && s->err == ERR_OK; i++) {
        t->dims[i] = source_u64(s);
        if (__builtin_mul_overflow(t->elements, t->dims[i], &t->elements))
            source_fail(s, ERR_UP_PROTOCOL);
    }
    t->type = source_u32(s);
    t->offset = source_u64(s);
}

// Counts it, and moves *data_end, which counts from where the tensors' data begin.
static void tensor_count(struct source *s, struct gguf *g, uint64_t *data_end) {
    struct tensor t;
    uint64_t end;
    tensor_read(s, &t);
    if (t.elements > INT64_MAX || __builtin_add_overflow(g->parameters, (int64_t)t.elements, &g->parameters) ||
        __builtin_add_overflow(t.offset, gguf_type_bytes(t.type, t.elements), &end))
        source_fail(s, ERR_UP_PROTOCOL);
    else if (s->err == ERR_OK && end > *data_end)
        *data_end = end;
}

// Their data begin behind the header, at a multiple of general.alignment.
static void file_bytes_set(struct source *s, struct gguf *g, uint64_t data_end) {
    uint64_t start = s->at + (s->alignment - s->at % s->alignment) % s->alignment, end;
    if (data_end == 0)
        return;
    if (__builtin_add_overflow(start, data_end, &end) || end > INT64_MAX)
        source_fail(s, ERR_UP_PROTOCOL);
    else
        g->file_bytes = (int64_t)end;
}

static enum err header_read(struct source *s, struct gguf *ret) {
    struct gguf g = {.file_type = -1};
    char magic[4];
    if (!source_read(s, magic, sizeof magic) || memcmp(magic, "GGUF", 4) != 0)
        return ERR_UP_PROTOCOL;
    uint32_t version = source_u32(s);
    if (version < 2 || version > 3)
        return ERR_UP_PROTOCOL;
    uint64_t tensors = source_u64(s), pairs = source_u64(s);
    if (tensors > GGUF_TENSORS_MAX || pairs > GGUF_KEYS_MAX)
        return ERR_UP_PROTOCOL;
    for (uint64_t i = 0; i < pairs && s->err == ERR_OK; i++)
        pair_read(s, &g);
    uint64_t data_end = 0;
    for (uint64_t i = 0; i < tensors && s->err == ERR_OK; i++)
        tensor_count(s, &g, &data_end);
    if (s->err == ERR_OK)
        file_bytes_set(s, &g, data_end);
    if (s->err == ERR_OK)
        *ret = g;
    return s->err;
}

enum err gguf_read(struct slice bytes, struct gguf *ret) {
    struct source s = {.fd = -1, .window = bytes, .end = bytes.n, .alignment = GGUF_ALIGNMENT};
    return header_read(&s, ret);
}

static enum err source_open(struct source *s, const char *path) {
    *s = (struct source){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), .alignment = GGUF_ALIGNMENT};
    off_t size = s->fd < 0 ? -1 : lseek(s->fd, 0, SEEK_END);
    if (size < 0) {
        if (s->fd >= 0)
            close(s->fd);
        return ERR_DISK;
    }
    s->limited = (uint64_t)size > GGUF_HEADER_BYTES;
    s->end = s->limited ? GGUF_HEADER_BYTES : (uint64_t)size;
    return ERR_OK;
}

enum err gguf_read_file(const char *path, struct gguf *ret) {
    struct source s;
    enum err e = source_open(&s, path);
    if (e)
        return e;
    e = header_read(&s, ret);
    close(s.fd);
    return e;
}

// ---- all of it, as JSON

#define GGUF_VALUE_MAX 65536 // of a text that is shown
#define GGUF_ARRAY_MAX 1000000

static void text_put(struct source *s, struct json_writer *w) {
    char text[GGUF_VALUE_MAX];
    source_text(s, text, sizeof text);
    json_put_str(w, slice_str(text));
}

static void scalar_put(struct source *s, uint32_t type, struct json_writer *w) {
    uint8_t b[8] = {0};
    float f;
    double d;
    source_read(s, b, type_bytes[type]);
    uint64_t v = 0;
    for (size_t i = type_bytes[type]; i > 0; i--)
        v = v << 8 | b[i - 1];
    if (type == GGUF_F32) {
        memcpy(&f, b, sizeof f);
        json_put_num(w, (double)f);
    } else if (type == GGUF_F64) {
        memcpy(&d, b, sizeof d);
        json_put_num(w, d);
    } else if (type == GGUF_BOOL) {
        json_put_bool(w, v != 0);
    } else {
        bool is_signed = type == GGUF_I8 || type == GGUF_I16 || type == GGUF_I32;
        unsigned unused = 64 - 8u * type_bytes[type];
        json_put_int(w, is_signed ? (int64_t)(v << unused) >> unused : (int64_t)v);
    }
}

static void array_put(struct source *s, bool verbose, struct json_writer *w) {
    uint64_t start = s->at;
    uint32_t of = source_u32(s);
    uint64_t n = source_u64(s);
    if (!verbose || of >= GGUF_TYPES || of == GGUF_ARRAY || n > GGUF_ARRAY_MAX) {
        s->at = start;
        array_skip(s);
        json_put_null(w);
        return;
    }
    json_arr(w);
    for (uint64_t i = 0; i < n && s->err == ERR_OK && !w->out->failed; i++) {
        if (of == GGUF_STRING)
            text_put(s, w);
        else
            scalar_put(s, of, w);
    }
    json_arr_end(w);
}

static void template_append(struct source *s, struct buf *out) {
    uint64_t n = source_u64(s);
    char block[4096];
    if (!source_has(s, n) || n > out->max - out->len) {
        source_skip(s, n);
        return;
    }
    while (n > 0 && source_read(s, block, n < sizeof block ? (size_t)n : sizeof block)) {
        size_t took = n < sizeof block ? (size_t)n : sizeof block;
        buf_append_mem(out, block, took);
        n -= took;
    }
}

static void pair_put(struct source *s, bool verbose, struct json_writer *w, struct buf *template) {
    char key[GGUF_TEXT_MAX];
    source_text(s, key, sizeof key);
    uint32_t type = source_u32(s);
    if (s->err != ERR_OK)
        return;
    if (strcmp(key, "tokenizer.chat_template") == 0 && type == GGUF_STRING) {
        template_append(s, template);
        return;
    }
    json_key_slice(w, slice_str(key));
    if (type == GGUF_STRING)
        text_put(s, w);
    else if (type == GGUF_ARRAY)
        array_put(s, verbose, w);
    else if (type < GGUF_TYPES)
        scalar_put(s, type, w);
    else
        source_fail(s, ERR_UP_PROTOCOL);
}

static void tensor_put(struct source *s, struct json_writer *w) {
    struct tensor t = {0};
    tensor_read(s, &t);
    if (s->err != ERR_OK)
        return;
    json_obj(w);
    json_kv_cstr(w, "name", t.name);
    json_kv_cstr(w, "type", gguf_type_name(t.type));
    json_key(w, "shape");
    json_arr(w);
    for (uint32_t i = 0; i < t.n_dims; i++)
        json_put_int(w, (int64_t)t.dims[i]);
    json_arr_end(w);
    json_obj_end(w);
}

static enum err metadata_put(struct source *s, bool verbose, struct json_writer *w, struct buf *template,
                             struct json_writer *tensors) {
    char magic[4];
    if (!source_read(s, magic, sizeof magic) || memcmp(magic, "GGUF", 4) != 0)
        return ERR_UP_PROTOCOL;
    (void)source_u32(s);
    uint64_t n_tensors = source_u64(s), pairs = source_u64(s);
    if (pairs > GGUF_KEYS_MAX || n_tensors > GGUF_TENSORS_MAX)
        return ERR_UP_PROTOCOL;
    for (uint64_t i = 0; i < pairs && s->err == ERR_OK && !w->out->failed; i++)
        pair_put(s, verbose, w, template);
    if (!tensors)
        return s->err;
    json_arr(tensors);
    for (uint64_t i = 0; i < n_tensors && s->err == ERR_OK && !tensors->out->failed; i++)
        tensor_put(s, tensors);
    json_arr_end(tensors);
    return s->err;
}

enum err gguf_metadata(const char *path, bool verbose, struct json_writer *w, struct buf *template,
                       struct json_writer *tensors) {
    struct source s;
    enum err e = source_open(&s, path);
    if (e)
        return e;
    e = metadata_put(&s, verbose, w, template, tensors);
    close(s.fd);
    return e;
}

// llama.h, enum llama_ftype.
const char *gguf_quantization(int file_type) {
    static const char *const names[] = {
        [0] = "F32",     [1] = "F16",     [2] = "Q4_0",     [3] = "Q4_1",    [7] = "Q8_0",     [8] = "Q5_0",
        [9] = "Q5_1",    [10] = "Q2_K",   [11] = "Q3_K_S",  [12] = "Q3_K_M", [13] = "Q3_K_L",  [14] = "Q4_K_S",
        [15] = "Q4_K_M", [16] = "Q5_K_S", [17] = "Q5_K_M",  [18] = "Q6_K",   [19] = "IQ2_XXS", [20] = "IQ2_XS",
        [21] = "Q2_K_S", [22] = "IQ3_XS", [23] = "IQ3_XXS", [24] = "IQ1_S",  [25] = "IQ4_NL",  [26] = "IQ3_S",
        [27] = "IQ3_M",  [28] = "IQ2_S",  [29] = "IQ2_M",   [30] = "IQ4_XS", [31] = "IQ1_M",   [32] = "BF16",
        [36] = "TQ1_0",  [37] = "TQ2_0",  [38] = "MXFP4"};
    size_t n = sizeof names / sizeof names[0];
    const char *name = file_type >= 0 && (size_t)file_type < n ? names[file_type] : NULL;
    return name ? name : "";
}

int64_t gguf_kv_bytes(const struct gguf *g, int64_t context_tokens) {
    int64_t heads = g->head_count, kv_heads = g->head_count_kv ? g->head_count_kv : heads;
    if (heads <= 0 || g->block_count <= 0 || g->embedding_length <= 0 || context_tokens <= 0)
        return 0;
    int64_t bytes = 2 * 2; // keys and values, 16 bit each
    if (__builtin_mul_overflow(bytes, g->block_count, &bytes) ||
        __builtin_mul_overflow(bytes, context_tokens, &bytes) ||
        __builtin_mul_overflow(bytes, g->embedding_length / heads, &bytes) ||
        __builtin_mul_overflow(bytes, kv_heads, &bytes))
        return 0;
    return bytes;
}
