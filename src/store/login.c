// SPDX-License-Identifier: Apache-2.0
// Logging in to a registry: an answer 401 names a realm, where a token is to be had, and the request is made once more with
// that (Docker's token protocol, https://distribution.github.io/distribution/spec/auth/token). The realm is a stranger's
// word, so nothing of ours goes there: the token is asked for anonymously. Only where the realm is the registry itself and
// it is not content with that, the key that Ollama made on this machine signs the address, as Ollama's own client does; the
// key stays here, what goes out is its public half. The token goes to the registry and nowhere else (wire.c). A job's thread.
#include "store/login.h"
#include <openssl/evp.h>
#include <stdio.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"

#define TOKEN_BYTES (64u << 10)
#define KEY_FILE_BYTES 8192

// ---- the challenge

struct slice challenge_get(struct slice challenge, const char *name) {
    struct slice rest =
        slice_from(challenge, slice_find(challenge, ' ') == SIZE_MAX ? challenge.n : slice_find(challenge, ' ') + 1);
    while (rest.n) {
        struct slice key = slice_trim(slice_split(&rest, '='));
        struct slice value;
        if (slice_starts(rest, "\"")) {
            rest = slice_from(rest, 1);
            value = slice_split(&rest, '"');
            (void)slice_split(&rest, ',');
        } else {
            value = slice_trim(slice_split(&rest, ','));
        }
        if (slice_eq_nocase(key, slice_str(name)))
            return value;
    }
    return SLICE_NONE;
}

static void query_add(struct buf *url, const char *name, struct slice value) {
    buf_append_char(url, slice_find(buf_slice(url), '?') == SIZE_MAX ? '?' : '&');
    buf_printf(url, "%s=", name);
    buf_append_percent(url, value, URL_UNRESERVED);
}

static struct slice authority_of(struct slice url) {
    url = slice_from(url, slice_starts(url, "https://") ? 8 : 7);
    return slice_first(url, slice_find(url, '/'));
}

// With TLS, or at the registry itself where that has none: nobody is asked for an address behind our network's wall.
static bool realm_is_good(struct slice realm, struct slice home) {
    if (slice_starts(realm, "https://"))
        return true;
    return slice_starts(realm, "http://") && slice_starts(home, "http://") &&
           slice_eq_nocase(authority_of(realm), authority_of(home));
}

static bool realm_is_home(struct slice realm, struct slice home) {
    return slice_starts(realm, "https://") == slice_starts(home, "https://") &&
           slice_eq_nocase(authority_of(realm), authority_of(home));
}

// ---- Ollama's key: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key

static struct slice ssh_string(struct slice *rest) {
    if (rest->n < 4)
        return *rest = SLICE_NONE;
    const uint8_t *p = (const uint8_t *)rest->p;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    struct slice s = n <= rest->n - 4 ? slice_of(rest->p + 4, n) : SLICE_NONE;
    *rest = s.p ? slice_from(*rest, 4 + n) : SLICE_NONE;
    return s;
}

static bool base64_put(struct buf *out, const void *p, size_t n) {
    char text[512];
    if (n > sizeof text / 4 * 3 - 3)
        return false;
    int len = EVP_EncodeBlock((unsigned char *)text, p, (int)n);
    buf_append_mem(out, text, len > 0 ? (size_t)len : 0);
    return len > 0 && !out->failed;
}

// The file's inside, without its armour; at most room bytes. 0: it is none.
static size_t armour_open(struct slice text, uint8_t *out, size_t room) {
    char plain[KEY_FILE_BYTES];
    size_t n = 0;
    struct slice first = slice_trim(slice_split(&text, '\n'));
    if (!slice_is(first, "-----BEGIN OPENSSH PRIVATE KEY-----"))
        return 0;
    while (text.n && n + 80 < sizeof plain) {
        struct slice line = slice_trim(slice_split(&text, '\n'));
        if (slice_starts(line, "-----END"))
            break;
        line = slice_first(line, 78);
        if (line.n)
            memcpy(plain + n, line.p, line.n);
        n += line.n;
    }
    int len = n % 4 == 0 && n / 4 * 3 <= room ? EVP_DecodeBlock(out, (unsigned char *)plain, (int)n) : -1;
    wipe(plain, sizeof plain);
    return len > 0 ? (size_t)len : 0;
}

struct key_parts {
    struct slice public_blob, seed; // seed: 32 bytes
};

static bool key_read(struct slice s, struct key_parts *ret) {
    static const char magic[] = "openssh-key-v1";
    if (s.n < sizeof magic || memcmp(s.p, magic, sizeof magic) != 0)
        return false;
    s = slice_from(s, sizeof magic);
    bool bare = slice_is(ssh_string(&s), "none"); // no passphrase
    (void)ssh_string(&s);
    (void)ssh_string(&s);
    s = slice_from(s, 4); // number of keys
    ret->public_blob = ssh_string(&s);
    struct slice inner = slice_from(ssh_string(&s), 8); // two equal numbers
    bool ed25519 = slice_is(ssh_string(&inner), "ssh-ed25519");
    (void)ssh_string(&inner);
    ret->seed = slice_first(ssh_string(&inner), 32);
    return bare && ed25519 && ret->public_blob.n && ret->seed.n == 32;
}

static bool key_sign(const struct key_parts *k, struct slice text, struct buf *out) {
    uint8_t signature[64];
    size_t n = sizeof signature;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, (const uint8_t *)k->seed.p, k->seed.n);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = key && md && EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(md, signature, &n, (const uint8_t *)text.p, text.n) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    if (!ok || !base64_put(out, k->public_blob.p, k->public_blob.n))
        return false;
    buf_append_char(out, ':');
    return base64_put(out, signature, n);
}

bool ollama_sign(const char *key_path, struct slice text, struct buf *out) {
    uint8_t inside[KEY_FILE_BYTES];
    struct secret file = {0};
    struct key_parts k;
    if (!secret_from_file(&file, key_path))
        return false;
    size_t n = armour_open(secret_reveal(&file), inside, sizeof inside);
    bool ok = key_read(slice_of((const char *)inside, n), &k) && key_sign(&k, text, out);
    wipe(inside, sizeof inside);
    secret_done(&file);
    return ok;
}

// What Ollama's registry verifies: the method, the address with time and a number used once, the hash of no body.
static bool address_sign(struct buf *url, struct buf *authorization) {
    static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct buf path = BUF_INIT(4096), text = BUF_INIT(2 * WIRE_URL_BYTES);
    uint8_t once[16];
    char hex[2 * sizeof once + 1];
    bool ok = random_bytes(once, sizeof once);
    for (size_t i = 0; ok && i < sizeof once; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", once[i]);
    if (ok) {
        query_add(url, "nonce", slice_str(hex));
        buf_printf(url, "&ts=%lld", (long long)clock_wall_s());
        fs_home_dir(&path);
        buf_append_str(&path, "/.ollama/id_ed25519");
        buf_printf(&text, "GET,%s,", buf_cstr(url));
        ok = base64_put(&text, empty_sha256, sizeof empty_sha256 - 1) &&
             ollama_sign(buf_cstr(&path), buf_slice(&text), authorization);
    }
    buf_done(&path);
    buf_done(&text);
    return ok && !url->failed;
}

// ---- the token

static bool token_take(struct login *l, struct slice body) {
    struct arena a;
    struct json_doc doc;
    struct json_error why;
    bool ok = false;
    arena_init(&a, 4 * TOKEN_BYTES, 0);
    if (json_read(&a, body, &doc, &why) == ERR_OK) {
        yyjson_val *root = yyjson_doc_get_root(doc.doc);
        struct slice token = json_get_str(root, "token");
        if (!token.n)
            token = json_get_str(root, "access_token");
        secret_done(l->token);
        ok = token.n && slice_is_one_line(token) && secret_set(l->token, token);
    }
    arena_done(&a);
    return ok;
}

static bool token_fetch(struct login *l, const char *url, const char *authorization) {
    struct buf body = BUF_INIT(TOKEN_BYTES);
    struct wire_call c = {.url = slice_str(url), .authorization = authorization, .accept = "application/json"};
    enum err e = wire_text(l->wire, &c, &body);
    bool ok = !e && c.status == 200 && token_take(l, buf_slice(&body));
    buf_done(&body);
    return ok;
}

bool login_by_challenge(void *ctx, const struct wire_call *refused) {
    struct login *l = ctx;
    struct slice challenge = slice_str(refused->challenge), realm = challenge_get(challenge, "realm");
    struct slice service = challenge_get(challenge, "service"), scopes = challenge_get(challenge, "scope");
    struct buf url = BUF_INIT(WIRE_URL_BYTES - 1), signature = BUF_INIT(1024);
    if (!realm_is_good(realm, refused->url))
        return false;
    buf_append(&url, realm);
    if (service.n)
        query_add(&url, "service", service);
    while (scopes.n)
        query_add(&url, "scope", slice_split(&scopes, ' '));
    bool ok = !url.failed && token_fetch(l, buf_cstr(&url), NULL);
    if (!ok && l->use_key && realm_is_home(realm, refused->url) && address_sign(&url, &signature))
        ok = token_fetch(l, buf_cstr(&url), buf_cstr(&signature));
    buf_done(&url);
    buf_done(&signature);
    return ok;
}
