// SPDX-License-Identifier: Apache-2.0
// The ring of made keys, in memory beside the store's rows. Loops look keys up by prefix and compare hashes in constant
// time; they see a growing array whose entries never move or go. Adding and revoking happen under the ledger's mutex, the
// row first, so that what a loop accepts is on record.
#include "ledger/keyring.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fs.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/tz.h"
#include "base/usd.h"

#define MARK "gt-"
#define OWNER_MARK "gto-"
#define RANDOM_LETTERS 40 // of 32: 200 bits
#define PEPPER_BYTES 64   // hexadecimal digits

struct keyring {
    struct store *store;
    struct secret pepper, owner;
    struct ring_key *keys[LIMIT_KEYS];
    _Atomic size_t n;
};

// ---- budgets as text

static bool word_take(struct slice *s, const char *word) {
    if (!slice_starts(*s, word))
        return false;
    *s = slice_from(*s, strlen(word));
    return true;
}

static bool window_take(struct slice *s, enum config_window *ret) {
    *ret = WINDOW_TOTAL;
    if (!word_take(s, "/"))
        return true;
    if (word_take(s, "total"))
        return true;
    *ret = word_take(s, "day") ? WINDOW_DAY : WINDOW_MONTH;
    return *ret == WINDOW_DAY || word_take(s, "month");
}

static enum err zone_take(struct slice *s, const char **ret) {
    struct tz *tz = NULL;
    if (!word_take(s, "@"))
        return ERR_OK;
    enum err e = tz_load(*s, &tz);
    tz_free(tz);
    if (e)
        return e;
    *ret = mem_strndup(s->p, s->n);
    *s = SLICE_NONE;
    return *ret ? ERR_OK : ERR_NO_MEMORY;
}

static enum err budget_parse(struct slice s, struct config_budget *ret) {
    if (!decimal_read(&s, 12, &ret->amount_picousd))
        return ERR_BAD_FIELD;
    s = slice_trim(s);
    if (!word_take(&s, "USD") || !window_take(&s, &ret->window))
        return ERR_BAD_FIELD;
    enum err e = ret->window == WINDOW_TOTAL ? ERR_OK : zone_take(&s, &ret->time_zone);
    return e == ERR_NO_MEMORY ? e : e || s.n ? ERR_BAD_FIELD : ERR_OK;
}

static void budgets_free(struct config_budget *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)v[i].time_zone);
    mem_free(v);
}

static bool same_period(const struct config_budget *a, const struct config_budget *b) {
    const char *za = a->time_zone ? a->time_zone : "", *zb = b->time_zone ? b->time_zone : "";
    return a->window == b->window && (a->window == WINDOW_TOTAL || strcmp(za, zb) == 0);
}

static enum err budgets_fill(struct slice text, struct config_budget *v, size_t *n, struct buf *problem) {
    while (slice_trim(text).n) {
        struct slice one = slice_trim(slice_split(&text, ','));
        enum err e = *n < LIMIT_BUDGETS ? budget_parse(one, &v[(*n)++]) : ERR_LIMIT;
        if (e == ERR_NO_MEMORY)
            return e;
        for (size_t i = 0; !e && i + 1 < *n; i++)
            if (same_period(&v[i], &v[*n - 1]))
                e = ERR_LIMIT;
        if (e == ERR_LIMIT)
            buf_printf(problem, "budget: at most one per window and time zone, %u in all", LIMIT_BUDGETS);
        else if (e)
            buf_printf(problem,
                       "budget: found '%.*s'; expected an amount like 50 USD, 50 USD/month or 5 USD/day@Europe/Berlin",
                       SLICE_FMT(slice_first(one, 64)));
        if (e)
            return ERR_BAD_FIELD;
    }
    return ERR_OK;
}

enum err budgets_parse(struct slice text, struct config_budget **ret, size_t *ret_n, struct buf *problem) {
    struct config_budget *v = mem_zalloc(LIMIT_BUDGETS * sizeof *v);
    size_t n = 0;
    if (!v)
        return ERR_NO_MEMORY;
    enum err e = budgets_fill(text, v, &n, problem);
    if (e) {
        budgets_free(v, n);
        return e;
    }
    *ret = v;
    *ret_n = n;
    return ERR_OK;
}

// ---- entries

static void key_free(struct ring_key *k) {
    if (!k)
        return;
    budgets_free(k->key.budgets, k->key.n_budgets);
    mem_free((void *)(uintptr_t)k->key.name);
    mem_free(k->budgets);
    mem_free(k);
}

static struct ring_key *key_new(const struct store_key *row) {
    struct ring_key *k = mem_zalloc(sizeof *k);
    struct buf ignored = BUF_INIT(1024);
    if (!k)
        return NULL;
    k->key.name = mem_strndup(row->name.p, row->name.n);
    k->budgets = mem_strndup(row->budgets.n ? row->budgets.p : "", row->budgets.n);
    enum err e = k->key.name && k->budgets ? ERR_OK : ERR_NO_MEMORY;
    if (!e) // a row that can't be read any more (a zone that is gone) must not become a key without limits
        e = budgets_parse(row->budgets, &k->key.budgets, &k->key.n_budgets, &ignored);
    buf_done(&ignored);
    bool whole = row->prefix.p && row->prefix.n == KEY_PREFIX_BYTES && row->hash.p && row->hash.n == sizeof k->hash;
    if (e || !whole) {
        key_free(k);
        return NULL;
    }
    memcpy(k->prefix, row->prefix.p, KEY_PREFIX_BYTES);
    memcpy(k->hash, row->hash.p, sizeof k->hash);
    k->created_us = row->created_us;
    atomic_store(&k->revoked_us, row->revoked_us);
    return k;
}

static void ring_put(struct keyring *k, struct ring_key *key) {
    size_t n = atomic_load_explicit(&k->n, memory_order_relaxed);
    k->keys[n] = key;
    atomic_store_explicit(&k->n, n + 1, memory_order_release);
}

struct loading {
    struct keyring *k;
    struct buf *problem;
    bool failed;
};

static bool row_load(void *ctx, const struct store_key *row) {
    struct loading *l = ctx;
    struct ring_key *key = l->k->n < LIMIT_KEYS ? key_new(row) : NULL;
    if (!key) {
        buf_printf(l->problem, "key '%.*s' of the ledger can't be read (its budgets: %.*s)", SLICE_FMT(row->name),
                   SLICE_FMT(row->budgets));
        l->failed = true;
        return false;
    }
    ring_put(l->k, key);
    return true;
}

// ---- the HMAC's key, and the owner's

static enum err file_make(const char *path, const char *mark) {
    uint8_t bytes[PEPPER_BYTES / 2];
    char text[PEPPER_BYTES + 8];
    int at = snprintf(text, sizeof text, "%s", mark);
    if (!random_bytes(bytes, sizeof bytes))
        return ERR_DISK;
    for (size_t i = 0; i < sizeof bytes; i++)
        at += snprintf(text + at, 3, "%02x", bytes[i]);
    enum err e = fs_write_atomic(path, slice_of(text, (size_t)at), 0600);
    wipe(bytes, sizeof bytes);
    wipe(text, sizeof text);
    return e;
}

static enum err pepper_take(struct keyring *k, const char *dir, struct buf *problem) {
    struct buf path = BUF_INIT(8192);
    buf_printf(&path, "%s/keys.secret", dir);
    enum err e = ERR_OK;
    if (!fs_exists(buf_cstr(&path)))
        e = atomic_load(&k->n) > 0 ? ERR_NOT_FOUND : file_make(buf_cstr(&path), "");
    if (!e && !secret_from_file(&k->pepper, buf_cstr(&path)))
        e = ERR_DISK;
    if (e == ERR_NOT_FOUND)
        buf_printf(problem, "%s is gone: the keys that were made can't be told any more. Put it back from a backup",
                   buf_cstr(&path));
    else if (e)
        buf_printf(problem, "%s: %s", buf_cstr(&path), errno ? strerror(errno) : err_name(e));
    buf_done(&path);
    return e ? ERR_DISK : ERR_OK;
}

static enum err owner_take(struct keyring *k, const char *dir, struct buf *problem) {
    struct buf path = BUF_INIT(8192);
    buf_printf(&path, "%s/owner.key", dir);
    enum err e = fs_exists(buf_cstr(&path)) ? ERR_OK : file_make(buf_cstr(&path), OWNER_MARK);
    if (!e && !secret_from_file(&k->owner, buf_cstr(&path)))
        e = ERR_DISK;
    if (!e && secret_reveal(&k->owner).n < PEPPER_BYTES)
        e = ERR_BAD_FIELD; // an empty file must not be a credential that anybody has
    if (e)
        buf_printf(problem, "%s can't be used (%s); delete it, and a new one is made", buf_cstr(&path), err_name(e));
    buf_done(&path);
    return e ? ERR_DISK : ERR_OK;
}

enum err keyring_open(struct store *s, const char *dir, struct keyring **ret, struct buf *problem) {
    struct keyring *k = mem_zalloc(sizeof *k);
    if (!k)
        return ERR_NO_MEMORY;
    struct loading loading = {k, problem, false};
    k->store = s;
    enum err e = store_each_key(s, row_load, &loading);
    if (!e && loading.failed)
        e = ERR_DISK;
    if (!e)
        e = pepper_take(k, dir, problem);
    if (!e)
        e = owner_take(k, dir, problem);
    if (e)
        keyring_close(k);
    else
        *ret = k;
    return e;
}

void keyring_close(struct keyring *k) {
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        key_free(k->keys[i]);
    secret_done(&k->pepper);
    secret_done(&k->owner);
    mem_free(k);
}

// ---- looking

size_t keyring_count(const struct keyring *k) {
    return atomic_load_explicit(&k->n, memory_order_acquire);
}

const struct ring_key *keyring_at(const struct keyring *k, size_t i) {
    return k->keys[i];
}

bool keyring_any(const struct keyring *k) {
    return keyring_count(k) > 0;
}

static void hash_of(const struct keyring *k, struct slice secret, uint8_t ret[32]) {
    hmac_sha256(secret_reveal(&k->pepper), secret, ret);
}

const struct config_key *keyring_find(const struct keyring *k, struct slice given) {
    uint8_t hash[32];
    size_t n = keyring_count(k), mark = sizeof MARK - 1;
    if (n == 0 || !slice_starts(given, MARK) || given.n < mark + KEY_PREFIX_BYTES || given.n >= KEY_SECRET_BYTES)
        return NULL;
    hash_of(k, given, hash);
    for (size_t i = 0; i < n; i++) { // the prefix is no secret, the hash is compared in constant time
        const struct ring_key *key = k->keys[i];
        if (memcmp(key->prefix, given.p + mark, KEY_PREFIX_BYTES) == 0 && bytes_equal(key->hash, hash, sizeof hash))
            return atomic_load(&key->revoked_us) ? NULL : &key->key;
    }
    return NULL;
}

bool keyring_is_owner(const struct keyring *k, struct slice given) {
    return secret_equals(&k->owner, given);
}

bool keyring_has_name(const struct keyring *k, struct slice name) {
    for (size_t i = 0; i < keyring_count(k); i++)
        if (slice_is(name, k->keys[i]->key.name))
            return true;
    return false;
}

// ---- making and revoking

static bool letters_random(char *to, size_t n) {
    static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789"; // no l, o, 0 or 1
    uint8_t bytes[RANDOM_LETTERS];
    if (n > sizeof bytes || !random_bytes(bytes, n))
        return false;
    for (size_t i = 0; i < n; i++)
        to[i] = alphabet[bytes[i] % 32];
    wipe(bytes, sizeof bytes);
    return true;
}

static bool secret_make(char ret[KEY_SECRET_BYTES]) {
    char prefix[KEY_PREFIX_BYTES], rest[RANDOM_LETTERS];
    bool ok = letters_random(prefix, sizeof prefix) && letters_random(rest, sizeof rest);
    (void)snprintf(ret, KEY_SECRET_BYTES, MARK "%.*s-%.*s", KEY_PREFIX_BYTES, prefix, RANDOM_LETTERS, rest);
    wipe(rest, sizeof rest);
    return ok;
}

static bool name_is_fine(struct slice name) {
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+";
    for (size_t i = 0; i < name.n; i++)
        if (!name.p[i] || !strchr(chars, name.p[i]))
            return false;
    return name.n > 0 && name.n <= LIMIT_KEY_NAME_BYTES;
}

static enum err key_store(struct keyring *k, const struct store_key *row) {
    struct ring_key *key = key_new(row);
    if (!key)
        return ERR_NO_MEMORY;
    enum err e = store_key_put(k->store, row);
    if (e)
        key_free(key);
    else
        ring_put(k, key);
    return e;
}

enum err keyring_add(struct keyring *k, struct slice name, struct slice budgets, char ret_secret[KEY_SECRET_BYTES],
                     struct buf *problem) {
    struct config_budget *parsed = NULL;
    size_t n = 0;
    uint8_t hash[32];
    if (!name_is_fine(name)) {
        buf_printf(problem, "name: expected 1 to %u letters, digits, . _ - @ +", LIMIT_KEY_NAME_BYTES);
        return ERR_BAD_FIELD;
    }
    if (keyring_has_name(k, name) || keyring_count(k) == LIMIT_KEYS)
        return ERR_LIMIT;
    enum err e = budgets_parse(budgets, &parsed, &n, problem);
    if (e)
        return e;
    budgets_free(parsed, n);
    if (!secret_make(ret_secret))
        return ERR_DISK;
    hash_of(k, slice_str(ret_secret), hash);
    struct store_key row = {.name = name,
                            .prefix = slice_of(ret_secret + sizeof MARK - 1, KEY_PREFIX_BYTES),
                            .budgets = slice_trim(budgets),
                            .hash = slice_of((const char *)hash, sizeof hash),
                            .created_us = clock_wall_us()};
    return key_store(k, &row);
}

enum err keyring_revoke(struct keyring *k, struct slice name, const struct config_key **ret) {
    int64_t now = clock_wall_us();
    enum err e = store_key_revoke(k->store, name, now);
    for (size_t i = 0; !e && i < keyring_count(k); i++)
        if (slice_is(name, k->keys[i]->key.name)) {
            atomic_store(&k->keys[i]->revoked_us, now);
            *ret = &k->keys[i]->key;
        }
    return e;
}
