// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_SECRET_H
#define BASE_SECRET_H
#include "base/slice.h"

// A credential: heap bytes that are wiped when freed, kept out of core files (MADV_DONTDUMP), and without a formatter.
struct secret {
    char *p_; // only secret_reveal looks inside
    size_t n_;
};

// Copies; false when out of memory. An empty slice gives an empty secret.
bool secret_set(struct secret *s, struct slice value);
// Reads a whole file (at most 64 KiB), white space at the end removed. False with errno set.
bool secret_from_file(struct secret *s, const char *path);
void secret_done(struct secret *s);
static inline bool secret_is_empty(const struct secret *s) {
    return s->n_ == 0;
}
// Borrowed. For the one place that writes an auth header, nowhere else.
struct slice secret_reveal(const struct secret *s);
// In constant time for a given length of `given`.
bool secret_equals(const struct secret *s, struct slice given);
// HMAC-less SHA-256 of bytes, 32 bytes out: for key fingerprints and file checks.
void sha256(struct slice s, uint8_t ret[32]);
// HMAC-SHA-256 (RFC 2104).
void hmac_sha256(struct slice key, struct slice s, uint8_t ret[32]);
// Are both n bytes the same? In constant time.
bool bytes_equal(const void *a, const void *b, size_t n);
// From the kernel's generator. False: there is none.
bool random_bytes(void *p, size_t n);
// Whole file; false with errno set. hex: 65 bytes.
bool sha256_file(const char *path, char hex[65]);
// SHA-256 of what comes in pieces. NULL: no memory. hasher_end frees it (also NULL); hex: 65 bytes, or NULL to drop it.
struct hasher;
struct hasher *hasher_new(void);
void hasher_feed(struct hasher *h, const void *p, size_t n);
void hasher_end(struct hasher *h, char *hex);
// Overwrites and is not optimised away.
void wipe(void *p, size_t n);

#endif
