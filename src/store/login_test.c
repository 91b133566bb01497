// SPDX-License-Identifier: Apache-2.0
// Challenges as registries word them, and a signature by the first vector of RFC 8032, section 7.1.
#include "store/login.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fs.h"
#include "unit.h"

TEST(login_challenges_are_read) {
    struct slice c =
        SLICE("Bearer realm=\"https://a.example/token\",service=\"reg, istry\", scope=\"repository:x:pull\"");
    CHECK(slice_is(challenge_get(c, "realm"), "https://a.example/token"));
    CHECK(slice_is(challenge_get(c, "service"), "reg, istry"));
    CHECK(slice_is(challenge_get(c, "scope"), "repository:x:pull"));
    CHECK(!challenge_get(c, "error").p);
    CHECK(slice_is(challenge_get(SLICE("bearer Realm=bare, service=s"), "realm"), "bare"));
    for (size_t n = 0; n <= c.n; n++) // cut anywhere, it reads no further
        CHECK(challenge_get(slice_first(c, n), "scope").n <= 17);
}

static const uint8_t seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
static const uint8_t public_key[32] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                       0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                       0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
static const uint8_t signature[64] = {0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80,
                                      0x6e, 0x82, 0x8a, 0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73,
                                      0xe0, 0x65, 0x22, 0x49, 0x01, 0x55, 0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b,
                                      0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b, 0xd2, 0x5b, 0xf5, 0xf0,
                                      0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b};

static void string_put(struct buf *out, const void *p, size_t n) {
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_append_char(out, (char)(n >> shift & 0xff));
    buf_append_mem(out, p, n);
}

// As ssh-keygen writes it.
static void key_put(struct buf *out, const char *cipher) {
    struct buf inner = BUF_INIT(1024), public = BUF_INIT(256), all = BUF_INIT(2048);
    char text[2048], both[64];
    memcpy(both, seed, 32);
    memcpy(both + 32, public_key, 32);
    string_put(&public, "ssh-ed25519", 11);
    string_put(&public, public_key, 32);
    buf_append_mem(&inner, "12341234", 8);
    string_put(&inner, "ssh-ed25519", 11);
    string_put(&inner, public_key, 32);
    string_put(&inner, both, 64);
    string_put(&inner, "me", 2);
    buf_append_mem(&all, "openssh-key-v1", 15);
    string_put(&all, cipher, strlen(cipher));
    string_put(&all, "none", 4);
    string_put(&all, "", 0);
    buf_append_mem(&all, "\0\0\0\1", 4);
    string_put(&all, public.p, public.len);
    string_put(&all, inner.p, inner.len);
    struct slice rest =
        slice_of(text, (size_t)EVP_EncodeBlock((unsigned char *)text, (unsigned char *)all.p, (int)all.len));
    buf_append_str(out, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (; rest.n; rest = slice_from(rest, 70))
        buf_printf(out, "%.*s\n", SLICE_FMT(slice_first(rest, 70)));
    buf_append_str(out, "-----END OPENSSH PRIVATE KEY-----\n");
    buf_done(&inner);
    buf_done(&public);
    buf_done(&all);
}

static bool signs(const char *path, struct slice file, struct buf *out) {
    buf_clear(out);
    return fs_write_atomic(path, file, 0600) == ERR_OK && ollama_sign(path, SLICE(""), out);
}

TEST(login_signs_with_ollamas_key) {
    char path[] = "/tmp/gridtie-login-XXXXXX", expected[128];
    struct buf file = BUF_INIT(8192), out = BUF_INIT(1024);
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    (void)close(fd);
    key_put(&file, "none");
    CHECK(signs(path, buf_slice(&file), &out));
    (void)EVP_EncodeBlock((unsigned char *)expected, signature, 64);
    size_t colon = slice_find(buf_slice(&out), ':');
    CHECK(slice_is(slice_from(buf_slice(&out), colon + 1), expected));
    CHECK(slice_starts(buf_slice(&out), "AAAAC3NzaC1lZDI1NTE5AAAA"));
    for (size_t n = 0; n + 60 < file.len; n++) // a key that is cut is none
        CHECK(!signs(path, slice_first(buf_slice(&file), n), &out));
    buf_clear(&file);
    key_put(&file, "aes256-ctr"); // it wants a passphrase
    CHECK(!signs(path, buf_slice(&file), &out));
    CHECK(!ollama_sign("/nowhere/key", SLICE("x"), &out));
    (void)unlink(path);
    buf_done(&file);
    buf_done(&out);
}
