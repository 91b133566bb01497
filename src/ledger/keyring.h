// SPDX-License-Identifier: Apache-2.0
#ifndef LEDGER_KEYRING_H
#define LEDGER_KEYRING_H
// The keys that `gridtie key add` made. A secret is shown once; what is kept is its HMAC under a key of the state
// folder's own, and a prefix by which people (and we) tell keys apart. Entries are only ever added and marked revoked, so
// what loops hold stays valid.
#include <stdatomic.h>
#include "config/config.h"
#include "ledger/store.h"

#define KEY_PREFIX_BYTES 8
#define KEY_SECRET_BYTES 64 // "gt-" prefix "-" 40 letters and digits, and a NUL

struct ring_key {
    struct config_key key; // name and budgets; no secret
    char prefix[KEY_PREFIX_BYTES + 1];
    uint8_t hash[32];
    char *budgets; // as given
    int64_t created_us;
    _Atomic int64_t revoked_us; // 0: not
};

struct keyring;
// Reads the keys of the store; dir holds the HMAC's key and the owner's credential, made (0600) at the first time. ERR_DISK with *problem.
MUST_CHECK enum err keyring_open(struct store *s, const char *dir, struct keyring **ret, struct buf *problem);
void keyring_close(struct keyring *k); // NULL is allowed

// --- any thread
// Was any key ever made? (Revoking the last one opens no door.)
bool keyring_any(const struct keyring *k);
// Whose credential is it? NULL: nobody's, or revoked.
const struct config_key *keyring_find(const struct keyring *k, struct slice given);
// Is it the owner's credential, which stands in the state folder (owner.key) for the command line of the same user?
bool keyring_is_owner(const struct keyring *k, struct slice given);
bool keyring_has_name(const struct keyring *k, struct slice name);
size_t keyring_count(const struct keyring *k);
const struct ring_key *keyring_at(const struct keyring *k, size_t i);

// --- under the ledger's mutex
// "2 USD, 50 USD/month, 5 USD/day@Europe/Berlin"; empty: none. ret_budgets is owned (mem_free it and each time_zone).
// ERR_BAD_FIELD with *problem, ERR_NO_MEMORY.
MUST_CHECK enum err budgets_parse(struct slice text, struct config_budget **ret, size_t *ret_n, struct buf *problem);
// The new secret goes to ret_secret. ERR_BAD_FIELD (with *problem), ERR_LIMIT (the name is taken, or LIMIT_KEYS),
// ERR_DISK, ERR_NO_MEMORY.
MUST_CHECK enum err keyring_add(struct keyring *k, struct slice name, struct slice budgets,
                                char ret_secret[KEY_SECRET_BYTES], struct buf *problem);
// *ret: what keyring_find gave for it. ERR_NOT_FOUND, ERR_DISK.
MUST_CHECK enum err keyring_revoke(struct keyring *k, struct slice name, const struct config_key **ret);

#endif
