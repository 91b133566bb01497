// SPDX-License-Identifier: Apache-2.0
// Credentials: set, compared, read from files of every awkward size; the hash against the standard's own examples.
#include "base/secret.h"
#include <errno.h>
#include <unistd.h>
#include "base/fs.h"
#include "unit.h"

TEST(secret_is_set_and_compared) {
    struct secret s = {0}, none = {0};
    CHECK(secret_set(&s, SLICE("sk-1")) && secret_set(&none, SLICE_NONE));
    CHECK(slice_is(secret_reveal(&s), "sk-1"));
    CHECK(secret_equals(&s, SLICE("sk-1")));
    CHECK(!secret_equals(&s, SLICE("sk-2")) && !secret_equals(&s, SLICE("sk-10")) && !secret_equals(&s, SLICE_NONE));
    CHECK(secret_is_empty(&none) && !secret_is_empty(&s));
    CHECK(!secret_equals(&none, SLICE_NONE)); // no key is not a key that everybody has
    secret_done(&s);
    secret_done(&s);
    secret_done(&none);
    CHECK(secret_is_empty(&s));
}

TEST(secret_of_a_whole_page_fits) {
    static char text[8192];
    struct secret s = {0};
    memset(text, 'k', sizeof text);
    for (size_t n = 4094; n < 4100; n++) {
        CHECK(secret_set(&s, slice_of(text, n)));
        CHECK(secret_equals(&s, slice_of(text, n)));
        secret_done(&s);
    }
}

TEST(secret_is_read_from_a_file) {
    char dir[] = "/tmp/gridtie-secret-XXXXXX", path[64];
    static char large[70000];
    struct secret s = {0};
    memset(large, 'x', sizeof large);
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(path, sizeof path, "%s/key", dir);
    CHECK(!secret_from_file(&s, path));
    CHECK_EQ(errno, ENOENT);
    CHECK_EQ(fs_write_atomic(path, SLICE("sk-file \r\n\n"), 0600), ERR_OK);
    CHECK(secret_from_file(&s, path) && slice_is(secret_reveal(&s), "sk-file"));
    secret_done(&s);
    CHECK_EQ(fs_write_atomic(path, SLICE(" \n"), 0600), ERR_OK);
    CHECK(secret_from_file(&s, path) && secret_is_empty(&s));
    CHECK_EQ(fs_write_atomic(path, slice_of(large, sizeof large), 0600), ERR_OK);
    CHECK(!secret_from_file(&s, path));
    CHECK_EQ(errno, EFBIG);
    CHECK(!secret_from_file(&s, dir));
    CHECK_EQ(errno, EISDIR);
    (void)unlink(path);
    (void)rmdir(dir);
}

// FIPS 180-2, appendix B.
TEST(secret_hashes_as_the_standard_says) {
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                  0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                  0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    uint8_t digest[32];
    sha256(SLICE("abc"), digest);
    CHECK_MEM(digest, 32, abc, 32);
    sha256(SLICE_NONE, digest);
    CHECK_EQ(digest[0], 0xe3);
    char path[] = "/tmp/gridtie-sha-XXXXXX", hex[65];
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, "abc", 3) == 3);
    (void)close(fd);
    CHECK(sha256_file(path, hex));
    CHECK_STREQ(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    (void)unlink(path);
    CHECK(!sha256_file(path, hex));
}

TEST(secret_wipe_wipes) {
    char text[16] = "secret";
    wipe(text, sizeof text);
    for (size_t i = 0; i < sizeof text; i++)
        CHECK_EQ(text[i], 0);
}

TEST(hmac_is_rfc_4231s) {
    static const uint8_t want[32] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf,
                                     0xce, 0xaf, 0x0b, 0xf1, 0x2b, 0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83,
                                     0x3d, 0xa7, 0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
    uint8_t key[20], got[32];
    memset(key, 0x0b, sizeof key);
    hmac_sha256(slice_of((const char *)key, sizeof key), SLICE("Hi There"), got);
    CHECK(bytes_equal(got, want, 32));
    got[31] ^= 1;
    CHECK(!bytes_equal(got, want, 32));
}
