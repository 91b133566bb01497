// SPDX-License-Identifier: Apache-2.0
// Manifests: written and read back, what is none, every cut, every allocation that fails.
#include "base/mem.h"
#include "store/manifest.h"
#include "unit.h"

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct manifest whole(const char **weights) {
    weights[0] = HEX_A;
    weights[1] = HEX_B;
    return (struct manifest){.name = "hf.co/org/repo:Q4_0",
                             .weights = weights,
                             .n_weights = 2,
                             .projector = HEX_B,
                             .adapters = weights,
                             .n_adapters = 1,
                             .draft = "sha256:" HEX_A,
                             .template = HEX_A,
                             .system = "Be \"short\".\n",
                             .license = "MIT",
                             .source = "hf.co/org/repo",
                             .parent = "other:latest",
                             .note = "n",
                             .parameters = SLICE("{\"temperature\":0.5}"),
                             .messages = SLICE("[{\"role\":\"user\",\"content\":\"hi\"}]"),
                             .size_bytes = 12,
                             .created_s = 34};
}

TEST(manifest_is_read_as_it_was_written) {
    const char *weights[2];
    struct manifest m = whole(weights), back = {0};
    struct buf text = BUF_INIT(65536), again = BUF_INIT(65536);
    struct arena a;
    arena_init(&a, 1 << 20, 0);
    manifest_write(&m, &text);
    CHECK_EQ(manifest_read(&a, buf_slice(&text), &back), ERR_OK);
    CHECK_EQ(back.n_weights, 2);
    CHECK_STREQ(back.system, m.system);
    CHECK_STREQ(manifest_draft_blob(&back), HEX_A);
    manifest_write(&back, &again);
    CHECK(slice_eq(buf_slice(&text), buf_slice(&again)));
    arena_done(&a);
    buf_done(&text);
    buf_done(&again);
}

TEST(manifest_that_is_none) {
    static const char both[] = "{\"name\":\"a:b\",\"weights\":[\"" HEX_A "\"],\"file\":\"/x\"}";
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"name\":\"a:b\"}",
                                      "{\"name\":\"../a:b\",\"file\":\"/x\"}",
                                      "{\"name\":\"a\",\"file\":\"/x\"}",
                                      "{\"name\":\"a:b\",\"file\":\"x\"}",
                                      "{\"name\":\"a:b\",\"weights\":[\"../../x\"]}",
                                      both,
                                      "{\"name\":\"a:b\",\"file\":\"/x\",\"system\":1}",
                                      "{\"name\":\"a:b\",\"file\":\"/x\",\"parameters\":[]}",
                                      "{\"name\":\"a:b\",\"file\":\"/x\",\"projector\":\"1\"}",
                                      "{\"name\":\"a:b\",\"file\":\"/x\",\"adapters\":[\"1\"]}",
                                      "{\"name\":\"a:b\",\"file\":\"/x\",\"adapters\":{}}",
                                      "{\"name\":\"a:b\",\"file\":\"/x\\u0000y\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena a;
        struct manifest m;
        arena_init(&a, 1 << 20, 0);
        enum err e = manifest_read(&a, slice_str(bad[i]), &m);
        CHECK(e == ERR_BAD_JSON || e == ERR_BAD_FIELD);
        arena_done(&a);
    }
}

TEST(manifest_every_cut_is_refused) {
    const char *weights[2];
    struct manifest m = whole(weights);
    struct buf text = BUF_INIT(65536);
    manifest_write(&m, &text);
    for (size_t n = 0; n + 1 < text.len; n++) { // the last byte is a line's end
        struct arena a;
        struct manifest back;
        arena_init(&a, 1 << 20, 0);
        CHECK_EQ(manifest_read(&a, slice_of(text.p, n), &back), ERR_BAD_JSON);
        arena_done(&a);
    }
    buf_done(&text);
}

TEST(manifest_every_allocation_may_fail) {
    const char *weights[2];
    struct manifest m = whole(weights);
    struct buf text = BUF_INIT(65536);
    manifest_write(&m, &text);
    enum err e = ERR_NO_MEMORY;
    for (unsigned long k = 1; e != ERR_OK && k < 200; k++) {
        struct arena a;
        struct manifest back;
        arena_init(&a, 1 << 20, 64);
        mem_fail_once(k);
        e = manifest_read(&a, buf_slice(&text), &back);
        mem_fail_at(0);
        CHECK(e == ERR_OK || e == ERR_NO_MEMORY);
        arena_done(&a);
    }
    CHECK_EQ(e, ERR_OK);
    buf_done(&text);
}

TEST(manifest_digests) {
    char hex[HEX_BYTES];
    CHECK(digest_parse(SLICE("sha256:" HEX_B), hex) && digest_parse(SLICE("sha256-" HEX_B), hex));
    CHECK(digest_parse(SLICE(HEX_B), hex));
    CHECK_STREQ(hex, HEX_B);
    CHECK(!digest_parse(SLICE("sha256:" HEX_B "0"), hex) && !digest_parse(SLICE("md5:" HEX_B), hex));
    CHECK(!digest_parse(SLICE("sha256:A123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), hex));
    CHECK(!digest_parse(SLICE("sha256:../3456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), hex));
}
