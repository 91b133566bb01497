// SPDX-License-Identifier: Apache-2.0
// Credentials: pages of their own, kept out of core files, wiped before they go back. OpenSSL does the hashing and the
// wiping. Only secret_reveal shows the bytes.
#include "base/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/mem.h"

#define SECRET_FILE_BYTES 65536

static size_t pages(size_t n) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (n + page) / page * page;
}

bool secret_set(struct secret *s, struct slice value) {
    *s = (struct secret){NULL, 0};
    if (value.n == 0)
        return true;
    void *p = mmap(NULL, pages(value.n), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return false;
    (void)madvise(p, pages(value.n), MADV_DONTDUMP);
    memcpy(p, value.p, value.n);
    *s = (struct secret){p, value.n};
    return true;
}

bool secret_from_file(struct secret *s, const char *path) {
    char text[SECRET_FILE_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t n = 0;
    ssize_t got;
    while (n < sizeof text && (got = read(fd, text + n, sizeof text - n)) > 0)
        n += (size_t)got;
    int cause = n == sizeof text ? EFBIG : got < 0 ? errno : 0;
    (void)close(fd);
    bool ok = !cause && secret_set(s, slice_trim(slice_of(text, n)));
    wipe(text, n);
    if (!ok)
        errno = cause ? cause : ENOMEM;
    return ok;
}

void secret_done(struct secret *s) {
    if (s->p_) {
        wipe(s->p_, s->n_);
        (void)munmap(s->p_, pages(s->n_));
    }
    *s = (struct secret){NULL, 0};
}

struct slice secret_reveal(const struct secret *s) {
    return slice_of(s->p_, s->n_);
}

bool secret_equals(const struct secret *s, struct slice given) {
    return s->n_ > 0 && s->n_ == given.n && CRYPTO_memcmp(s->p_, given.p, given.n) == 0;
}

void sha256(struct slice s, uint8_t ret[32]) {
    unsigned n = 32;
    (void)EVP_Digest(s.n ? s.p : "", s.n, ret, &n, EVP_sha256(), NULL);
}

void hmac_sha256(struct slice key, struct slice s, uint8_t ret[32]) {
    unsigned n = 32;
    (void)HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)(s.n ? s.p : ""), s.n, ret, &n);
}

bool bytes_equal(const void *a, const void *b, size_t n) {
    return CRYPTO_memcmp(a, b, n) == 0;
}

bool random_bytes(void *p, size_t n) {
    return getrandom(p, n, 0) == (ssize_t)n; // up to 256 bytes come whole
}

static void hex_of(const uint8_t digest[32], char hex[65]) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = 0;
}

static bool sha256_stream(FILE *f, EVP_MD_CTX *md, uint8_t digest[32]) {
    char block[65536];
    size_t n;
    unsigned len = 32;
    if (EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
        return false;
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        (void)EVP_DigestUpdate(md, block, n);
    return !ferror(f) && EVP_DigestFinal_ex(md, digest, &len) == 1;
}

bool sha256_file(const char *path, char hex[65]) {
    uint8_t digest[32];
    FILE *f = fopen(path, "rbe");
    if (!f)
        return false;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && sha256_stream(f, md, digest);
    EVP_MD_CTX_free(md);
    (void)fclose(f);
    if (ok)
        hex_of(digest, hex);
    return ok;
}

// A hasher is OpenSSL's context under a name of ours.
struct hasher *hasher_new(void) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(md);
        md = NULL;
    }
    return (struct hasher *)md;
}

void hasher_feed(struct hasher *h, const void *p, size_t n) {
    (void)EVP_DigestUpdate((EVP_MD_CTX *)h, p, n);
}

void hasher_end(struct hasher *h, char *hex) {
    uint8_t digest[32];
    unsigned n = 32;
    if (h && hex && EVP_DigestFinal_ex((EVP_MD_CTX *)h, digest, &n) == 1)
        hex_of(digest, hex);
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
}

void wipe(void *p, size_t n) {
    OPENSSL_cleanse(p, n);
}
