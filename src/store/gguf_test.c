// SPDX-License-Identifier: Apache-2.0
// The GGUF reader against headers made here: what it finds, every cut of a good one, and numbers that lie.
#include <stdlib.h>
#include "base/buf.h"
#include "store/gguf.h"
#include "unit.h"

static void put_u32(struct buf *b, uint32_t v) {
    for (int i = 0; i < 4; i++)
        buf_append_char(b, (char)(v >> (8 * i)));
}

static void put_u64(struct buf *b, uint64_t v) {
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}

static void put_text(struct buf *b, const char *s) {
    put_u64(b, strlen(s));
    buf_append_str(b, s);
}

static void put_pair_u32(struct buf *b, const char *key, uint32_t v) {
    put_text(b, key);
    put_u32(b, 4);
    put_u32(b, v);
}

static void put_pair_text(struct buf *b, const char *key, const char *v) {
    put_text(b, key);
    put_u32(b, 8);
    put_text(b, v);
}

static void header_make(struct buf *b) {
    buf_append_str(b, "GGUF");
    put_u32(b, 3);
    put_u64(b, 1);
    put_u64(b, 9);
    put_pair_text(b, "general.architecture", "llama");
    put_pair_u32(b, "llama.context_length", 8192);
    put_pair_u32(b, "llama.block_count", 30);
    put_pair_u32(b, "llama.embedding_length", 576);
    put_pair_u32(b, "llama.attention.head_count", 9);
    put_pair_u32(b, "llama.attention.head_count_kv", 3);
    put_pair_u32(b, "general.file_type", 3);
    put_text(b, "tokenizer.ggml.tokens");
    put_u32(b, 9);
    put_u32(b, 8);
    put_u64(b, 2);
    put_text(b, "a");
    put_text(b, "bc");
    put_pair_text(b, "tokenizer.chat_template", "{% if tools %}<think>{% endif %}");
    put_text(b, "token_embd.weight");
    put_u32(b, 2);
    put_u64(b, 576);
    put_u64(b, 49152);
    put_u32(b, 2);
    put_u64(b, 0);
}

TEST(gguf_reads_what_a_header_says) {
    struct buf b = BUF_INIT(65536);
    struct gguf g;
    header_make(&b);
    CHECK_EQ(gguf_read(buf_slice(&b), &g), ERR_OK);
    CHECK_STREQ(g.architecture, "llama");
    CHECK_EQ(g.context_length, 8192);
    CHECK_EQ(g.parameters, 576 * 49152);
    CHECK_STREQ(gguf_quantization(g.file_type), "Q4_1");
    CHECK(g.chat_template && g.template_tools && g.template_thinking);
    CHECK_EQ(gguf_kv_bytes(&g, 1024), 1024 * 30 * 64 * 3 * 4);
    buf_done(&b);
}

TEST(gguf_tells_what_vectors_are_for) {
    for (uint32_t pooling = 0; pooling < 5; pooling++) {
        struct buf b = BUF_INIT(65536);
        struct gguf g;
        buf_append_str(&b, "GGUF");
        put_u32(&b, 3);
        put_u64(&b, 0);
        put_u64(&b, 1);
        put_pair_u32(&b, "bert.pooling_type", pooling);
        CHECK_EQ(gguf_read(buf_slice(&b), &g), ERR_OK);
        CHECK_EQ(g.embedding, pooling > 0);
        CHECK_EQ(g.rerank, pooling == 4);
        buf_done(&b);
    }
}

TEST(gguf_refuses_every_cut) {
    struct buf b = BUF_INIT(65536);
    header_make(&b);
    for (size_t n = 0; n < b.len; n++) {
        char *part = malloc(n + 1); // its own block, so that a sanitizer sees one byte too far
        memcpy(part, b.p, n);
        struct gguf g;
        CHECK_EQ(gguf_read(slice_of(part, n), &g), ERR_UP_PROTOCOL);
        free(part);
    }
    buf_done(&b);
}

static enum err read_lie(uint64_t tensors, uint64_t pairs, uint32_t type, uint64_t count) {
    struct buf b = BUF_INIT(65536);
    struct gguf g;
    buf_append_str(&b, "GGUF");
    put_u32(&b, 3);
    put_u64(&b, tensors);
    put_u64(&b, pairs);
    put_text(&b, "k");
    put_u32(&b, 9);
    put_u32(&b, type);
    put_u64(&b, count);
    enum err e = gguf_read(buf_slice(&b), &g);
    buf_done(&b);
    return e;
}

TEST(gguf_does_not_believe_numbers) {
    CHECK_EQ(read_lie(0, 1, 4, UINT64_MAX), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(0, 1, 10, UINT64_MAX / 8 + 2), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(0, 1, 8, UINT64_MAX), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(0, 1, 9, 4), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(UINT64_MAX, 1, 4, 0), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(0, UINT64_MAX, 4, 0), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(0, 1, 77, 0), ERR_UP_PROTOCOL);
    CHECK_EQ(read_lie(0, 1, 4, 0), ERR_OK);
}

static enum err one_tensor(uint32_t alignment, uint32_t type, uint64_t elements, uint64_t offset, struct gguf *ret) {
    struct buf b = BUF_INIT(65536);
    buf_append_str(&b, "GGUF");
    put_u32(&b, 3);
    put_u64(&b, 1);
    put_u64(&b, 1);
    put_pair_u32(&b, "general.alignment", alignment);
    put_text(&b, "t");
    put_u32(&b, 1);
    put_u64(&b, elements);
    put_u32(&b, type);
    put_u64(&b, offset); // 90 bytes so far
    enum err e = b.len == 90 ? gguf_read(buf_slice(&b), ret) : ERR_INTERNAL;
    buf_done(&b);
    return e;
}

TEST(gguf_knows_where_its_data_end) {
    struct gguf g = {0};
    CHECK_EQ(one_tensor(32, 0, 10, 64, &g), ERR_OK);
    CHECK_EQ(g.file_bytes, 96 + 64 + 40);
    CHECK_EQ(one_tensor(64, 2, 33, 0, &g), ERR_OK); // a block begun is a block
    CHECK_EQ(g.file_bytes, 128 + 2 * 18);
    CHECK_EQ(one_tensor(0, 12, 256, 0, &g), ERR_OK); // no alignment: the usual one
    CHECK_EQ(g.file_bytes, 96 + 144);
    CHECK_EQ(one_tensor(32, 999, 10, 64, &g), ERR_OK); // a type of tomorrow: at least its beginning
    CHECK_EQ(g.file_bytes, 96 + 64);
    CHECK_EQ(one_tensor(32, 0, 10, UINT64_MAX - 8, &g), ERR_UP_PROTOCOL);
    CHECK_EQ(one_tensor(32, 0, 10, INT64_MAX, &g), ERR_UP_PROTOCOL);
    CHECK_EQ(one_tensor(32, 0, INT64_MAX, 0, &g), ERR_UP_PROTOCOL);
}

TEST(gguf_wants_its_magic) {
    struct gguf g;
    CHECK_EQ(gguf_read(SLICE("GGML\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), &g), ERR_UP_PROTOCOL);
    CHECK_EQ(gguf_read(SLICE("GGUF\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), &g), ERR_UP_PROTOCOL);
    CHECK_EQ(gguf_read_file("/dev/null", &g), ERR_UP_PROTOCOL);
    CHECK_EQ(gguf_read_file("/nowhere/at/all", &g), ERR_DISK);
}
